"""What one client has set or made is never seen by the next one on the same server."""
import pgwire
import pytest
import rawclient

# name, a value to set, how SHOW tells it; PostgreSQL reports them all in ParameterStatus
REPORTED = [
    ("client_encoding", "LATIN1", "LATIN1"), ("timezone", "'Asia/Tokyo'", "Asia/Tokyo"),
    ("standard_conforming_strings", "off", "off"), ("application_name", "mine", "mine"),
]

# messages that set it and end a transaction, or a part of one, behind it; whether it is kept
ENDED = {
    "commit, error": (["BEGIN; {}; COMMIT; SELECT 1/0"], True),
    "implicit, error": (["{}; COMMIT; SELECT 1/0"], True),
    "savepoint": (["BEGIN", "{}; SAVEPOINT a", "ROLLBACK TO a", "COMMIT"], True),
    "undone part": (["BEGIN; SAVEPOINT a; {}; ROLLBACK TO a; COMMIT"], False),
    "rollback, again": (["BEGIN", "{}", "ROLLBACK; {}"], True),
    "rollback": (["BEGIN", "{}; ROLLBACK"], False),
}

# what has a client make things in its pg_temp, without a word of TEMP in CREATE; whether this is
# seen before, so that the client keeps the server (else the server is cleaned behind it)
INTO_PG_TEMP = {
    "set local": (["BEGIN", "SET LOCAL search_path = pg_temp", "{}", "COMMIT"], True),
    "set local in one": (["BEGIN; SET LOCAL search_path = pg_temp; {}; COMMIT"], True),
    "set": (["SET search_path = pg_temp", "{}"], True),
    "set_config": (["SELECT set_config('search_path', 'pg_temp, public', false)", "{}"], True),
    "set_config, local": (["BEGIN; SELECT set_config('search_path', 'pg_temp', true); {}; COMMIT"],
                          True),
    "set_config, maybe local": (["BEGIN; SELECT set_config('search_path', 'pg_temp', 1 = 1); {}",
                                 "COMMIT"], True),
    "set_config, not local": (["SELECT set_config('search_path', 'pg_temp', 1 = 2)", "{}"], True),
    "capitals": (["SELECT set_config('search_path', 'PG_TEMP', false)", "{}"], True),
    "capitals in one": (["SELECT set_config('search_path', 'Pg_Temp', false); {}"], True),
    "capitals, local": (["BEGIN", "SELECT set_config('search_path', 'PG_TEMP', true)", "{}",
                         "COMMIT"], True),
    "computed": (["BEGIN", "SELECT set_config('search_path', 'PG_' || 'TEMP', true)", "{}",
                  "COMMIT"], False),
}
MAKE = "CREATE TABLE passed AS SELECT 'secret' AS a"

# what keeps the server for its client, what runs and is rolled back then, what shows it, its value
GIVEN_UP = {
    "table": ("CREATE TEMP TABLE passed AS SELECT 7 AS a", "DISCARD TEMP", "SELECT a FROM passed",
              "7"),
    "channel": ("LISTEN passed", "UNLISTEN *", "SELECT pg_listening_channels()", "passed"),
    "function": ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 42'",
                 "SELECT 1", "SELECT pg_temp.f()", "42"),
    "domain": ("CREATE DOMAIN pg_temp.passed AS int", "SELECT 1", "SELECT 1::passed", "1"),
}

OPTIONS = "-c work_mem=7MB -c search_path=red"
SHOW_BOTH = "SELECT current_setting('work_mem'), current_setting('search_path')"


@pytest.fixture(scope="module")
def single(site):
    """A pool of one server, which all clients share."""
    with site.pgweir(settings={"default_pool_size": 1}) as p:
        yield p


@pytest.fixture(scope="module")
def pair(site):
    with site.pgweir(settings={"default_pool_size": 2}) as p:
        yield p


@pytest.mark.parametrize("name, value, shown", REPORTED, ids=[r[0] for r in REPORTED])
@pytest.mark.parametrize("messages, kept", ENDED.values(), ids=ENDED)
def test_reported_parameter_set_ahead_of_an_end(single, messages, kept, name, value, shown):
    with single.raw() as one, single.raw() as other:
        default = other.value(f"SHOW {name}")
        assert default != shown
        for m in messages:
            one.query(m.replace("{}", f"SET {name} = {value}"))
        assert other.value(f"SHOW {name}") == default
        assert one.value(f"SHOW {name}") == (shown if kept else default)
        assert other.value(f"SHOW {name}") == default


def test_text_keeps_its_encoding(single, new_table):
    table = new_table("a text")
    with single.raw() as one, single.raw() as other:
        other.query("SELECT 1").check()
        one.query("BEGIN; SET client_encoding = LATIN1; COMMIT; SELECT 1/0")
        other.query(f"INSERT INTO {table} VALUES ('é')").check()
        assert other.value(f"SELECT length(a) FROM {table}") == "1"


@pytest.mark.parametrize("messages, kept", INTO_PG_TEMP.values(), ids=INTO_PG_TEMP)
def test_table_in_pg_temp_is_its_clients(pair, messages, kept):
    with pair.raw() as holder, pair.raw() as other, pair.raw() as one:
        holder.query("BEGIN; SELECT 1").check()
        for m in messages:
            one.query(m.format(MAKE)).check()
        other.send(pgwire.query("SELECT a FROM passed"))
        if kept:
            assert other.is_silent_for(0.3), "another client has the server"
            assert one.value("SELECT a FROM pg_temp.passed") == "secret"
            one.close()
        assert other.result().sqlstate == "42P01"


def test_table_in_pg_temp_by_start_up_setting(single):
    with single.raw(search_path="pg_temp") as one, single.raw() as other:
        other.query("SELECT 1").check()
        one.query(MAKE).check()
        assert other.query("SELECT a FROM passed").sqlstate == "42P01"


@pytest.mark.parametrize("messages", [
    ["RESET work_mem; RESET search_path"],
    ["BEGIN", "RESET work_mem; SELECT 1/0", "ROLLBACK"],
    ["BEGIN", "RESET work_mem; RESET search_path; SELECT 1/0", "ROLLBACK"],
    ["BEGIN", "RESET work_mem; SAVEPOINT a", "ROLLBACK TO a", "COMMIT"],
    ["BEGIN", "RESET work_mem; SAVEPOINT a", "SELECT 1/0", "ROLLBACK TO a", "COMMIT"],
    ["BEGIN; RESET work_mem; COMMIT; BEGIN; SELECT 1", "ROLLBACK"],
    ["BEGIN; RESET work_mem; COMMIT AND CHAIN", "SELECT 1/0", "ROLLBACK"],
], ids=["two", "error", "two, error", "savepoint", "savepoint, error", "two blocks", "chain, error"])
def test_reset_to_what_the_client_started_with(single, messages):
    with single.raw() as other, single.raw(options=OPTIONS) as one, \
            single.raw(options=OPTIONS) as same:
        default = other.query(SHOW_BOTH).check().rows
        mine = one.query(SHOW_BOTH).check().rows
        assert mine == [("7MB", "red")] != default
        for order in ((same, other, one), (other, one, same), (one, same, other)):
            for m in messages:
                one.query(m)
            for c in order:
                assert c.query(SHOW_BOTH).rows == (default if c is other else mine)


@pytest.mark.parametrize("reset", ["RESET work_mem", "RESET ALL"])
@pytest.mark.parametrize("block", [["BEGIN; {}"], ["BEGIN", "SELECT 1", "{}"], ["BEGIN; {}; SELECT 1/0"]])
@pytest.mark.parametrize("politely", [True, False])
def test_reset_that_its_client_leaves_behind_in_a_block(single, reset, block, politely):
    """It is rolled back: the server has what the client started with again."""
    with single.raw() as other:
        default = other.query(SHOW_BOTH).check().rows
        with single.raw(options=OPTIONS) as one:
            for text in block:
                one.query(text.format(reset))
            if politely:
                one.send(pgwire.TERMINATE)
        assert other.query(SHOW_BOTH).check().rows == default


def test_reset_that_a_savepoint_has_seen(pair):
    """The client itself is given back what it started with, in its block and as long as it keeps
    the server."""
    with pair.raw(options=OPTIONS) as one:
        one.query("CREATE TEMP TABLE kept (a int)").check()
        for messages in (["BEGIN", "RESET work_mem; SAVEPOINT a", "ROLLBACK TO a"],
                         ["COMMIT"],
                         ["BEGIN; RESET work_mem; COMMIT; BEGIN; SELECT 1", "ROLLBACK"]):
            for m in messages:
                one.query(m).check()
            assert one.query(SHOW_BOTH).check().rows == [("7MB", "red")]


def test_search_path_that_a_bind_tells(pair):
    with pair.raw() as holder, pair.raw() as other, pair.raw() as one:
        holder.query("BEGIN; SELECT 1").check()
        one.query("BEGIN").check()
        one.prepared("SELECT set_config('search_path', $1, $2)", ["Pg_Temp", "true"]).check()
        one.query(MAKE).check()
        one.query("COMMIT").check()
        other.send(pgwire.query("SELECT a FROM passed"))
        assert other.is_silent_for(0.3), "another client has the server"
        assert one.value("SELECT a FROM pg_temp.passed") == "secret"
        one.close()
        assert other.result().sqlstate == "42P01"


@pytest.mark.parametrize("path", ["pg_temp", "public"])
def test_search_path_for_a_moment_keeps_no_server(single, path):
    """Who has made nothing in pg_temp meanwhile is let go."""
    with single.raw() as one, single.raw() as other:
        for m in ("BEGIN", f"SELECT set_config('search_path', '{path}', true)", "COMMIT"):
            one.query(m).check()
        assert other.value("SELECT 1") == "1"


@pytest.mark.parametrize("gives_up", ["SET ROLE NONE", "SET ROLE NONE; RESET ALL",
                                      "SELECT set_config('role', 'none', false); RESET ALL"])
def test_role_that_the_login_begins_with(site, superuser, gives_up):
    """ALTER ROLE … SET role: to give it up is to set one."""
    superuser("CREATE ROLE first; GRANT first TO other; ALTER ROLE other SET role = first")
    try:
        with site.pgweir(settings={"default_pool_size": 1}) as p, p.raw("other") as one, \
                p.raw("other") as two:
            def users():
                return [c.value("SELECT current_user") for c in (one, two, one, two)]
            assert users() == ["first", "first"] * 2
            one.query(gives_up).check()
            assert users() == ["other", "first"] * 2
            one.query("RESET ROLE; RESET ALL").check()
            assert users() == ["first", "first"] * 2
    finally:
        superuser("ALTER ROLE other RESET role; DROP ROLE first")


TEMP = ["CREATE TEMP TABLE passed AS SELECT 7 AS a", "DROP TABLE passed", "SELECT 1"]


@pytest.fixture
def fresh(site):
    """Clients come and go on one server that may be pinned; nobody has set temp_buffers yet."""
    with site.pgweir(settings={"default_pool_size": 2, "max_pinned": 1, "workers": 1}) as p, \
            p.raw() as holder:
        holder.query("BEGIN; SELECT 1").check()
        p.wait_log("catalog loaded")  # that takes a server for a moment
        yield p


@pytest.mark.parametrize("dropped", [False, True], ids=["left", "dropped"])
@pytest.mark.parametrize("how", ["login", "set", "in a block", "set_config", "bind"])
def test_temp_buffers_where_there_was_a_temporary_table(fresh, how, dropped):
    """PostgreSQL takes them only ahead of the first temporary table of a session."""
    with fresh.raw() as other:
        for m in TEMP if dropped else TEMP[:1]:
            other.query(m).check()
    with fresh.raw(**({"temp_buffers": "2MB"} if how == "login" else {})) as one:
        if how == "set":
            one.query("SET temp_buffers = '2MB'").check()
        elif how == "in a block":
            one.query("BEGIN").check()
            one.query("SET temp_buffers = '2MB'").check()
            one.query("COMMIT").check()
        elif how == "set_config":
            one.query("SELECT set_config('temp_buffers', '2MB', false)").check()
        elif how == "bind":
            one.prepared("SET temp_buffers = '2MB'").check()
        for _ in range(2):
            assert one.value("SHOW temp_buffers") == "2MB"
            with fresh.raw() as other:
                other.query(TEMP[0]).check()
        one.query(TEMP[0]).check()
        assert one.value("SELECT a FROM passed") == "7"


def test_temp_buffers_where_nobody_has_seen_the_table(fresh):
    with fresh.raw() as other:
        for m in INTO_PG_TEMP["computed"][0]:
            other.query(m.format(MAKE)).check()
    with pytest.raises(rawclient.ServerError, match="22023"):
        fresh.raw(temp_buffers="2MB")
    with fresh.raw(temp_buffers="2MB") as one:
        assert one.value("SHOW temp_buffers") == "2MB"


@pytest.mark.parametrize("make, gone, look, value", GIVEN_UP.values(), ids=GIVEN_UP)
def test_pin_outlives_a_rollback(pair, make, gone, look, value):
    # LISTEN pins where the encoding is not the database's
    with pair.raw(client_encoding="LATIN1") as one, pair.raw() as holder, pair.raw() as other:
        holder.query("BEGIN; SELECT 1").check()
        one.query(make).check()
        for m in ("BEGIN", gone, "ROLLBACK"):
            one.query(m).check()
        other.send(pgwire.query(look))
        assert other.is_silent_for(0.3), "another client has the server"
        assert one.value(look) == value
        holder.query("COMMIT").check()
        seen = other.result()
        assert seen.sqlstate or seen.rows == []
