"""What an error takes back: names of statements, settings of a block, a unit behind settings."""
import pgwire
import pytest
from pgwire import bind, close, describe, execute, parse
from rawclient import RawClient

SYNC = pgwire.SYNC
ERROR = parse("", "SELECT 1/0") + bind()  # what follows up to Sync is skipped


@pytest.fixture(scope="module")
def pooler(site):
    """A server that all clients share, of roles that app may become."""
    site.cluster.primary.sql("CREATE ROLE clerk; CREATE ROLE guest; GRANT clerk, guest TO app")
    with site.pgweir(settings={"default_pool_size": 1, "workers": 1}) as p:
        yield p
    site.cluster.primary.sql("DROP ROLE clerk, guest")


@pytest.fixture(params=["PostgreSQL", "pgweir"])
def client(request, pooler, site):
    """The same is asked of PostgreSQL itself."""
    if request.param == "pgweir":
        with pooler.raw() as c:
            yield c
    else:
        with RawClient(site.cluster.primary.port) as c:
            yield c.login("app", site.passwords["app"], "app")


@pytest.fixture
def two(pooler):
    with pooler.raw() as one, pooler.raw() as other:
        yield one, other


def run_named(client, name):
    return client.run(bind("", name) + execute() + SYNC)


def pipelined(client, *units):
    """All units are sent before the first one's answer is read."""
    client.send(b"".join(unit + SYNC for unit in units))
    return [client.result() for _ in units]


# --- names of statements --------------------------------------------------------------------------

def test_close_that_an_error_skips_leaves_the_name_to_a_parse_in_the_next_unit(client):
    client.run(parse("k", "SELECT 'old'") + SYNC).check()
    failed, again = pipelined(client, ERROR + close("S", "k"),
                              parse("k", "SELECT 'new'") + bind("", "k") + execute())
    assert (failed.sqlstate, failed.kinds) == ("22012", "1EZ")
    assert (again.sqlstate, again.kinds) == ("42P05", "EZ")
    assert run_named(client, "k").value() == "old"


def test_parse_that_an_error_skips_leaves_the_name_free_in_the_next_unit(client):
    make = parse("n", "SELECT 8")
    failed, made = pipelined(client, ERROR + make, make + bind("", "n") + execute())
    assert (failed.sqlstate, failed.kinds) == ("22012", "1EZ")
    assert (made.kinds, made.value()) == ("12DCZ", "8")
    assert run_named(client, "n").value() == "8", "it is there afterwards"


def test_bind_behind_an_error_is_no_parse_for_the_next_unit(two):
    """The server has not parsed the statement; an error skips the Parse that is put ahead."""
    one, other = two
    one.run(parse("s", "SELECT 7") + SYNC).check()
    other.query("DISCARD ALL").check()  # the server's statements are gone
    run = bind("", "s") + execute()
    failed, made = pipelined(one, ERROR + run, run)
    assert (failed.sqlstate, failed.kinds) == ("22012", "1EZ")
    assert (made.kinds, made.value()) == ("2DCZ", "7")
    assert run_named(one, "s").value() == "7"


def test_execute_of_a_prepare_behind_an_error_is_none_for_the_next_unit(two):
    one, other = two
    one.query("PREPARE p AS SELECT 99").check()
    other.query("DISCARD ALL").check()
    run = parse("", "EXECUTE p") + bind() + execute()
    failed, made = pipelined(one, ERROR + run, run)
    assert (failed.sqlstate, failed.kinds) == ("22012", "1EZ")
    assert (made.kinds, made.value()) == ("12DCZ", "99")
    assert one.value("EXECUTE p") == "99"


def test_execute_that_was_parsed_when_its_name_meant_something_else(client, two):
    run = parse("e", "EXECUTE v") + bind("", "e") + describe("P") + execute() + SYNC
    client.query("PREPARE v AS SELECT 1 AS one").check()
    assert client.run(run).value() == "1"
    client.query("DEALLOCATE v; PREPARE v AS SELECT 'a' AS a, 'b' AS b").check()
    two[0].query("DISCARD ALL").check()  # the server's statements are gone
    for _ in range(2):
        assert run_named(client, "e").check().rows == [("a", "b")]
        two[0].query("DISCARD ALL").check()


def take_names(other, one):
    """What another client has on the server, under names that `one` uses otherwise, or not at all."""
    one.query("PREPARE q AS SELECT 'mine'").check()
    other.query("PREPARE p AS SELECT 'hers'; PREPARE q AS SELECT 'hers'").check()


SKIPPED = ERROR + parse("", "EXECUTE p") + bind() + execute() + parse("", "EXECUTE q") + bind() + execute()


def test_name_of_another_client_whose_close_an_error_skips_is_not_met_in_the_next_unit(two):
    one, other = two
    take_names(other, one)
    one.send(SKIPPED + SYNC + pgwire.query("EXECUTE p") + pgwire.query("EXECUTE q"))
    failed, wrong, right = (one.result() for _ in range(3))
    assert (failed.sqlstate, wrong.sqlstate) == ("22012", "26000")
    assert right.value() == "mine"
    assert other.value("EXECUTE q") == "hers"


@pytest.mark.parametrize("makes", [False, True])
def test_name_of_another_client_whose_close_an_error_skips_is_not_met_in_the_block(two, makes):
    one, other = two
    take_names(other, one)
    one.query("BEGIN; SAVEPOINT a").check()
    assert one.run(SKIPPED + SYNC).sqlstate == "22012"
    one.query("ROLLBACK TO a").check()
    if makes:
        one.query("PREPARE p AS SELECT 'too'").check()
        assert one.value("EXECUTE p") == "too"
    else:
        assert one.query("EXECUTE p").sqlstate == "26000"
        one.query("ROLLBACK TO a").check()
    assert one.value("EXECUTE q") == "mine"
    one.query("COMMIT").check()
    assert [other.value(f"EXECUTE {name}") for name in "pq"] == ["hers", "hers"]


@pytest.mark.parametrize("forget", ["DISCARD ALL", "DEALLOCATE ALL", "DEALLOCATE s"])
@pytest.mark.parametrize("name", ["s", "t"])
def test_parse_sent_behind_what_forgets_names_is_not_forgotten(client, forget, name):
    client.run(parse("s", "SELECT 'old'") + SYNC).check()
    client.send(pgwire.query(forget) + parse(name, "SELECT 'new'") + SYNC)
    assert [client.result().sqlstate for _ in range(2)] == [None, None]
    assert run_named(client, name).value() == "new"


def test_unnamed_statement_sent_behind_discard_all_is_not_forgotten(two):
    """What its text leaves in the server is followed, and it may be bound later."""
    one, other = two
    sent = pgwire.query("DISCARD ALL") + parse("", "PREPARE p AS SELECT 5") + bind() + execute() + SYNC
    one.send(sent + pgwire.query("DISCARD ALL") + parse("", "SELECT set_config('app.x', 'mine', false)")
             + bind() + execute() + SYNC + pgwire.query("DISCARD ALL") + parse("", "SELECT 6") + SYNC)
    assert [one.result().sqlstate for _ in range(6)] == 6 * [None]
    assert other.query("EXECUTE p").sqlstate == "26000"
    assert run_named(one, "").value() == "6"
    one.send(sent)
    assert [one.result().sqlstate for _ in range(2)] == [None, None]
    assert other.query("EXECUTE p").sqlstate == "26000"
    assert one.value("EXECUTE p") == "5"
    one.send(pgwire.query("DISCARD ALL") + pgwire.prepared("SET lock_timeout = '7s'"))
    assert [one.result().sqlstate for _ in range(2)] == [None, None]
    assert other.value("SHOW lock_timeout") == "0"
    assert one.value("SHOW lock_timeout") == "7s"


def test_failed_parse_and_its_close_in_one_unit_leave_the_name_free(client):
    failed = client.run(parse("s", "SELECT nope") + describe("S", "s") + bind("", "s") + execute()
                        + close("S", "s") + SYNC)
    assert (failed.sqlstate, failed.kinds) == ("42703", "EZ")
    made = client.run(parse("s", "SELECT 1") + bind("", "s") + execute() + SYNC)
    assert (made.kinds, made.value()) == ("12DCZ", "1")
    assert run_named(client, "s").value() == "1"


def test_statements_of_a_client_with_a_temporary_table_are_its_own(site, new_table, superuser):
    """Else the text's result would be taken for that of everybody's table: 0A000 for the others."""
    table = new_table("a text")
    superuser(f"INSERT INTO {table} VALUES ('x')")
    unit = parse("s", f"SELECT * FROM {table}") + describe("S", "s") + SYNC
    with site.pgweir(settings={"default_pool_size": 2, "workers": 1}) as p, \
            p.raw() as holder, p.raw() as plain, p.raw() as owner:
        def pid(client):
            return client.value("SELECT pg_backend_pid()")

        holder.query("BEGIN").check()
        held = pid(holder)
        owner.query(f"CREATE TEMP TABLE {table} AS SELECT 1 AS a, 2 AS b").check()
        owned = pid(owner)
        assert held != owned
        holder.query("ROLLBACK").check()
        assert plain.run(unit).check().columns == [("a", 25)]
        assert run_named(plain, "s").rows == [("x",)]
        assert owner.run(unit).check().columns == [("a", 23), ("b", 23)]
        assert run_named(owner, "s").rows == [("1", "2")]
        owner.query(f"DROP TABLE {table}").check()
        holder.query("BEGIN").check()
        holders = [holder]
        if pid(holder) == owned:  # it is the other server that plain is to run on
            holders.append(p.raw())
            holders[-1].query("BEGIN").check()
            assert pid(holders[-1]) == held
            holder.query("ROLLBACK").check()
        assert pid(plain) == owned
        for _ in range(2):
            assert run_named(plain, "s").check().rows == [("x",)]
        holders[-1].query("ROLLBACK").check()
        holders[-1].close()


def test_prepare_transaction_without_a_block_commits_for_all_its_tag_says(client, two):
    series = "SET lock_timeout = '6s'", "PREPARE TRANSACTION 'never'"
    done = client.run(b"".join(parse("", sql) + bind() + execute() for sql in series) + SYNC).check()
    assert done.tags == ["SET", "ROLLBACK"]
    assert two[0].value("SHOW lock_timeout") == "0"
    assert client.value("SHOW lock_timeout") == "6s"
    assert client.query("BEGIN; SELECT 1/0").sqlstate == "22012"
    client.query("ROLLBACK").check()
    assert client.value("SHOW lock_timeout") == "6s"



# --- settings -------------------------------------------------------------------------------------

def test_prepare_transaction_of_a_failed_block_takes_its_settings_back(client, two):
    client.query("SET work_mem = '5MB'").check()
    for _ in range(2):
        for sql in ("BEGIN", "SET work_mem = '77MB'", "SET ROLE clerk"):
            client.query(sql).check()
        assert client.query("SELECT 1/0").status == "E"
        assert client.query("PREPARE TRANSACTION 'never'").check().tags == ["ROLLBACK"]
        for _ in range(2):
            assert client.query("SELECT current_user, current_setting('work_mem')").rows == [
                ("app", "5MB")]
            two[0].query("SELECT 1").check()  # and what is put ahead later is this


def test_prepare_transaction_of_a_failed_block_leaves_others_theirs(two):
    one, other = two
    other.query("SET ROLE clerk").check()
    other.query("SET work_mem = '6MB'").check()
    for sql in ("BEGIN", "SET ROLE clerk", "SET work_mem = '77MB'"):
        one.query(sql).check()
    assert one.query("SELECT 1/0").status == "E"
    assert one.query("PREPARE TRANSACTION 'never'").check().tags == ["ROLLBACK"]
    for _ in range(2):
        assert other.query("SELECT current_user, current_setting('work_mem')").rows == [
            ("clerk", "6MB")]
        assert one.query("SELECT current_user, current_setting('work_mem')").rows == [
            ("app", "4MB")]


@pytest.mark.parametrize("make", [pgwire.query, pgwire.prepared], ids=["simple", "extended"])
def test_unit_behind_settings_that_fail_is_not_run(two, new_table, superuser, make):
    """The server still has another client's settings: what is written would be of that one."""
    one, other = two
    table = new_table("tenant text DEFAULT current_setting('app.tenant'), note text")
    superuser(f"GRANT ALL ON {table} TO clerk, guest")
    for client, tenant, role in ((one, "A", "clerk"), (other, "B", "guest")):
        client.query(f"SET app.tenant = '{tenant}'").check()
        client.query(f"SET ROLE {role}").check()
        client.run(make(f"INSERT INTO {table} (note) VALUES ('first')")).check()
    superuser("REVOKE guest FROM app")
    try:
        for _ in range(2):
            assert one.query("SELECT current_user, current_setting('app.tenant')").rows == [
                ("clerk", "A")]
            refused = other.run(make(f"INSERT INTO {table} (note) VALUES ('second')"))
            assert refused.sqlstate and refused.tags == [], "it has failed, and the client is told"
        assert one.value("SELECT current_user") == "clerk"
        assert superuser(f"SELECT string_agg(tenant || note, ',' ORDER BY tenant) FROM {table}") \
            == "Afirst,Bfirst"
    finally:
        superuser("GRANT guest TO app")


SHOWN = "SELECT current_setting('work_mem') || ' ' || current_setting('datestyle')"


@pytest.mark.parametrize("first", ["SELECT 1", "SELECT 1/0", "SET lock_timeout = '7s'"])
@pytest.mark.parametrize("units", [
    ["SET work_mem = '7MB'; SET datestyle = 'German'; SELECT 1/0"],
    ["BEGIN; SET LOCAL datestyle = 'German'; SELECT 1", "SELECT 1/0", "END"],
    ["BEGIN", "SET work_mem = '7MB'", "SELECT 1/0", "ROLLBACK"]],
    ids=["one", "local", "block"])
def test_what_a_failed_unit_behind_others_has_set_is_taken_back(client, two, first, units):
    client.send(b"".join(map(pgwire.query, [first, *units])))
    for _ in [first, *units]:
        client.result()
    for _ in range(2):
        assert client.value(SHOWN) == "4MB ISO, MDY"
        assert two[0].value(SHOWN) == "4MB ISO, MDY"  # and what is put ahead later is this


@pytest.mark.parametrize("behind", [False, True])
def test_what_a_failed_series_has_set_ahead_of_a_flush_is_taken_back(client, two, behind):
    client.send((pgwire.query("SELECT 1") if behind else b"") +
                parse("", "SET work_mem = '7MB'") + bind() + execute() + pgwire.FLUSH)
    if behind:
        client.result().check()
    client.read_until("C")
    assert client.run(ERROR + execute() + SYNC).sqlstate == "22012"
    for _ in range(2):
        assert client.value(SHOWN) == "4MB ISO, MDY"
        assert two[0].value(SHOWN) == "4MB ISO, MDY"


# --- RESET of what the start-up packet has set ----------------------------------------------------

@pytest.fixture(params=["PostgreSQL", "pgweir"])
def sets_at_login(request, pooler, site):
    port = pooler.port if request.param == "pgweir" else site.cluster.primary.port
    with RawClient(port) as c:
        yield c.login("app", site.passwords["app"], "app", options="-c work_mem=3MB")


RESET = parse("", "RESET work_mem") + bind() + execute()


def test_reset_in_a_series_that_fails_and_goes_on(sets_at_login):
    sets_at_login.send(RESET + ERROR + execute() + pgwire.FLUSH)
    sets_at_login.read_until("E")
    sets_at_login.send(parse("", "SELECT 1") + bind() + execute() + pgwire.FLUSH)
    assert sets_at_login.run(SYNC).kinds == "Z"
    assert sets_at_login.value("SHOW work_mem") == "3MB"


def test_reset_in_a_series_does_not_end_its_transaction(sets_at_login, new_table):
    table = new_table()
    for message in (parse("", f"INSERT INTO {table} VALUES (1)") + bind() + execute(), RESET):
        sets_at_login.send(message + pgwire.FLUSH)
        sets_at_login.read_until("C")
    assert sets_at_login.run(ERROR + execute() + SYNC).sqlstate == "22012"
    assert sets_at_login.value(f"SELECT count(*) FROM {table}") == "0"
    assert sets_at_login.value("SHOW work_mem") == "3MB"


def test_reset_ahead_of_a_copy(sets_at_login, new_table):
    table = new_table()
    sets_at_login.send(pgwire.query(f"RESET work_mem; COPY {table} FROM STDIN"))
    sets_at_login.read_until("G")
    assert sets_at_login.run(pgwire.copy_data(b"1\n") + pgwire.COPY_DONE).check().tags == ["COPY 1"]
    assert sets_at_login.value(f"SELECT count(*) FROM {table}") == "1"
    assert sets_at_login.value("SHOW work_mem") == "3MB"


@pytest.mark.parametrize("sql", ["RESET work_mem", "RESET ALL", "DISCARD ALL"])
def test_unit_sent_behind_a_reset_has_the_login_s_settings(sets_at_login, sql):
    sets_at_login.send(pgwire.query(sql) + pgwire.query("SHOW work_mem"))
    sets_at_login.result().check()
    assert sets_at_login.result().value() == "3MB"


@pytest.mark.parametrize("port", ["PostgreSQL", "pgweir"])
@pytest.mark.parametrize("run", [pgwire.query("SET timezone = 'UTC'; RESET work_mem"),
                                 parse("", "SET timezone = 'UTC'") + bind() + execute() + RESET + SYNC],
                         ids=["query", "series"])
def test_set_to_the_server_s_default_beside_a_reset_stays(pooler, site, two, port, run):
    with RawClient(pooler.port if port == "pgweir" else site.cluster.primary.port) as c:
        c.login("app", site.passwords["app"], "app", options="-c work_mem=3MB -c timezone=Asia/Tokyo")
        told = dict(m.pair() for m in c.run(run).check().messages if m.kind == "S")
        assert told["TimeZone"] == "UTC"
        for _ in range(2):
            assert c.query("SELECT current_setting('timezone'), current_setting('work_mem')").rows \
                == [("UTC", "3MB")]
            two[0].query("SET timezone = 'Asia/Tokyo'").check()
            two[0].query("SELECT 1").check()
