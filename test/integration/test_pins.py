"""What cannot be carried to another server keeps the client on its own, visibly and bounded."""
import threading
import time
import urllib.request

import pgwire
import pytest
from tools import proc

# cause, what makes the state, what shows it, its value, what undoes it
STATES = [
    ("temp table", "CREATE TEMP TABLE mine AS SELECT 7 AS a", "SELECT a FROM mine", "7",
     "DROP TABLE mine"),
    ("temp table as", "SELECT 7 AS a INTO TEMP mine", "SELECT a FROM mine", "7",
     "DISCARD TEMP"),
    ("advisory lock", "SELECT pg_advisory_lock(4711)",
     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 "
     "AND pid = pg_backend_pid()", "1", "SELECT pg_advisory_unlock(4711)"),
    ("listen", "LISTEN mine", "SELECT pg_listening_channels()", "mine", "UNLISTEN *"),
    ("hold cursor", "DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 7",
     "FETCH ABSOLUTE 1 FROM c", "7", "CLOSE c"),
    ("custom parameter", "SET app.user_id = '7'", "SHOW app.user_id", "7", "RESET app.user_id"),
    ("set_config", "SELECT set_config('work_mem', '7MB', false)", "SHOW work_mem", "7MB",
     "RESET work_mem"),
    ("role", "SET ROLE pg_monitor", "SELECT current_user", "pg_monitor", "RESET ROLE"),
    ("sql prepare", "PREPARE q AS SELECT 7", "EXECUTE q", "7", "DEALLOCATE q"),
    ("savepoint", "BEGIN; SAVEPOINT s; SET work_mem = '7MB'; RELEASE s; COMMIT",
     "SHOW work_mem", "7MB", "RESET work_mem"),
]


@pytest.fixture(scope="module")
def pooler(site):
    settings = {"default_pool_size": 4, "max_pinned": 2, "query_wait_timeout": 2}
    with site.pgweir(settings=settings) as p:
        site.cluster.primary.sql("GRANT pg_monitor TO app")
        yield p
        site.cluster.primary.sql("REVOKE pg_monitor FROM app")


def states(*without):
    chosen = [s for s in STATES if s[0] not in without]
    return pytest.mark.parametrize("make, look, value, undo", [s[1:] for s in chosen],
                                   ids=[s[0] for s in chosen])


@states()
def test_state_stays_with_its_client(pooler, make, look, value, undo):
    with pooler.raw() as one, pooler.raw() as two, pooler.raw() as three:
        one.query(make).check()
        for _ in range(4):
            for other in (two, three):
                other.query("SELECT 1").check()
                seen = other.query(look)
                assert seen.sqlstate or seen.rows != [(value,)], "another client sees it"
            assert one.value(look) == value
        one.query(undo).check()
        gone = one.query(look)
        assert gone.sqlstate or gone.rows != [(value,)]


@states()
def test_state_ends_with_its_client(pooler, make, look, value, undo):
    del undo
    with pooler.raw() as one:
        one.query(make).check()
    for _ in range(4):
        with pooler.raw() as other:
            seen = other.query(look)
            assert seen.sqlstate or seen.rows != [(value,)], "a later client sees it"


@states("sql prepare", "set_config", "role", "savepoint", "custom parameter", "listen")
def test_show_pins_tells_and_forgets(pooler, make, look, value, undo):
    del look, value
    with pooler.raw() as one:
        one.query(make).check()
        pins = pooler.show("PINS")
        assert len(pins) == 1 and {"client", "cause", "statement", "since"} <= set(pins[0])
        assert pins[0]["cause"] and make[:20] in pins[0]["statement"]
        one.query(undo).check()
        proc.wait_until("the pin to be given up", lambda: pooler.show("PINS") == [])


def test_state_made_anew_while_the_last_one_is_asked_after(pooler):
    """The lock is sent before it is known that the one before was the last."""
    with pooler.raw() as one, pooler.raw() as other:
        for i in range(50):
            one.query("SELECT pg_advisory_lock(1)").check()
            one.query("SELECT pg_advisory_unlock(1)").check()
            one.query("SELECT pg_advisory_lock(2)").check()
            time.sleep(0.01)
            other.query("BEGIN; SELECT 1").check()
            assert one.value("SELECT pg_advisory_unlock(2)") == "t", f"round {i}"
            other.query("COMMIT").check()
        proc.wait_until("the pin to be given up", lambda: pooler.show("PINS") == [])


def test_prepared_statement_undoes_a_pin(pooler):
    with pooler.raw() as one:
        one.run(pgwire.parse("undo", "SELECT pg_advisory_unlock(3)") + pgwire.SYNC).check()
        one.query("SELECT pg_advisory_lock(3)").check()
        assert len(pooler.show("PINS")) == 1
        one.run(pgwire.bind("", "undo") + pgwire.execute() + pgwire.SYNC).check()
        proc.wait_until("the pin to be given up", lambda: pooler.show("PINS") == [])


def test_pin_ends_with_the_session(pooler):
    with pooler.raw() as one:
        one.query("SELECT pg_advisory_lock(1)").check()
        assert len(pooler.show("PINS")) == 1
    with pooler.raw() as other:
        other.query("SELECT 1").check()
    assert pooler.show("PINS") == []


def test_temp_table_that_is_rolled_back_pins_nothing(pooler):
    with pooler.raw() as one:
        one.query("BEGIN; CREATE TEMP TABLE mine (a int); ROLLBACK").check()
        one.query("BEGIN; CREATE TEMP TABLE mine (a int) ON COMMIT DROP; COMMIT").check()
        assert one.query("TABLE mine").sqlstate == "42P01"


def test_transaction_advisory_lock_and_plain_cursor_pin_nothing(pooler):
    with pooler.raw() as one:
        one.query("BEGIN; SELECT pg_advisory_xact_lock(1); DECLARE c CURSOR FOR SELECT 1;"
                  "COMMIT").check()
        assert pooler.show("PINS") == []


def test_notifications_reach_an_idle_listener(pooler):
    with pooler.raw() as listener, pooler.raw() as sender:
        listener.query("LISTEN news").check()
        sender.query("NOTIFY news, 'hello'").check()
        message = listener.read_message()
        assert message.kind == "A" and message.body[4:] == b"news\0hello\0"
        sender.query("BEGIN; NOTIFY news, 'never'; ROLLBACK").check()
        assert listener.is_silent_for(0.3)


def test_one_more_pin_than_allowed_waits_and_fails(pooler):
    with pooler.raw() as one, pooler.raw() as two, pooler.raw() as three:
        one.query("SELECT pg_advisory_lock(1)").check()
        two.query("SELECT pg_advisory_lock(2)").check()
        refused = three.query("SELECT pg_advisory_lock(3)")
        assert refused.sqlstate == "53300" and "max_pinned" in str(refused.errors[0].fields)
        assert three.value("SELECT 1") == "1", "unpinned work goes on"
        assert len(pooler.show("PINS")) == 2


def test_waiting_pin_gets_the_place_that_becomes_free(pooler):
    with pooler.raw() as one, pooler.raw() as two, pooler.raw() as three:
        one.query("SELECT pg_advisory_lock(1)").check()
        two.query("SELECT pg_advisory_lock(2)").check()
        three.send(pgwire.query("SELECT pg_advisory_lock(3)"))
        assert three.is_silent_for(0.3)
        one.query("SELECT pg_advisory_unlock_all()").check()
        assert three.result().check().tags == ["SELECT 1"]


def test_max_pinned_leaves_one_server_unpinned_by_default(site):
    with site.pgweir(settings={"default_pool_size": 1, "query_wait_timeout": 1}) as p:
        with p.raw() as one, p.raw() as two:
            assert one.query("SELECT pg_advisory_lock(1)").sqlstate == "53300"
            assert two.value("SELECT 1") == "1"


@pytest.fixture
def sequence(superuser):
    superuser("CREATE SEQUENCE counter; ALTER SEQUENCE counter OWNER TO app;"
              "CREATE TABLE counted (id serial, v text); ALTER TABLE counted OWNER TO app")
    yield "counter"
    superuser("DROP SEQUENCE counter; DROP TABLE counted")


def test_nextval_and_insert_do_not_pin(pooler, sequence):
    with pooler.raw() as one:
        one.query(f"SELECT nextval('{sequence}')").check()
        one.query("INSERT INTO counted (v) VALUES ('x')").check()
        assert pooler.show("PINS") == []


def test_currval_finds_the_server_of_nextval(pooler, sequence):
    with pooler.raw() as one, pooler.raw() as two:
        one.query("SELECT lastval()")  # what was advanced before somebody asks may be refused
        for _ in range(5):
            number = one.value(f"SELECT nextval('{sequence}')")
            with pooler.raw() as passing:
                passing.query("SELECT 1").check()
            two.query("SELECT 1").check()
            assert one.value(f"SELECT currval('{sequence}')") == number
            assert one.value("SELECT lastval()") == number


def test_lastval_after_insert(pooler, sequence):
    del sequence
    with pooler.raw() as one, pooler.raw() as two:
        one.query("SELECT lastval()")
        one.query("INSERT INTO counted (v) VALUES ('x')").check()
        two.query("SELECT 1").check()
        assert one.value("SELECT lastval()") == one.value("SELECT max(id) FROM counted")


def test_currval_is_never_another_clients_value(site, sequence):
    with site.pgweir(settings={"default_pool_size": 1}) as p, p.raw() as one, p.raw() as two:
        assert two.query(f"SELECT currval('{sequence}')").sqlstate == "55000"
        one.query(f"SELECT nextval('{sequence}')").check()
        two.query(f"SELECT nextval('{sequence}')").check()
        refused = one.query(f"SELECT currval('{sequence}')")
        assert refused.sqlstate == "55000" and refused.errors[0].fields.get("H")


# --- what is left behind ----------------------------------------------------------------------

@pytest.mark.parametrize("cause, make", [
    ("load", "LOAD 'plpgsql'"),
    ("dblink", "SELECT dblink_connect('mine', 'dbname=app user=app host=127.0.0.1 "
               "port={port} password={password}')")], ids=["load", "dblink"])
def test_what_cannot_be_undone_closes_the_server(site, superuser, cause, make):
    superuser("CREATE EXTENSION IF NOT EXISTS dblink; ALTER ROLE app SUPERUSER")
    try:
        with site.pgweir() as p:
            with p.raw() as one, p.raw() as two:
                one.query(make.format(port=site.cluster.primary.port,
                                      password=site.passwords["app"])).check()
                assert [r["cause"] for r in p.show("PINS")] == [cause]
                pid = one.value("SELECT pg_backend_pid()")
                for _ in range(5):
                    assert two.value("SELECT pg_backend_pid()") != pid
                    assert one.value("SELECT pg_backend_pid()") == pid
            proc.wait_until("the server to be closed", lambda: superuser(
                f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") == "0")
            assert p.show("PINS") == []
    finally:
        superuser("ALTER ROLE app NOSUPERUSER; DROP EXTENSION dblink")


LOCKS = ("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
         "AND pid = pg_backend_pid()")
CURSORS = "SELECT count(*) FROM pg_cursors WHERE is_holdable"
TEMP = "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"


@pytest.fixture
def one_server(site):
    """Clients come and go on one server that may be pinned."""
    with site.pgweir(settings={"default_pool_size": 2, "max_pinned": 1, "workers": 1}) as p:
        with p.raw() as client:
            client.query("SELECT 1").check()
        p.wait_log("catalog loaded")  # that takes a server for a moment
        yield p


def cleanings(p):
    """{kind: servers that were cleaned so}, those that are not 0."""
    found = metric(p, "pgweir_server_cleanings_total")
    return {k.split('"')[1]: v for k, v in found.items() if v}


@pytest.mark.parametrize("make, look, kinds", [
    ("CREATE TEMP TABLE mine AS SELECT 7 AS a", TEMP, ["temp"]),
    ("SELECT pg_advisory_lock(4711)", LOCKS, ["locks"]),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 7", CURSORS, ["cursors"]),
    ("LISTEN mine", "SELECT count(*) FROM pg_listening_channels()", ["channels"]),
    ("BEGIN; CREATE TEMP TABLE mine AS SELECT 7 AS a; SELECT pg_advisory_lock(4711); "
     "DECLARE c CURSOR WITH HOLD FOR TABLE mine; COMMIT",
     f"SELECT ({TEMP}) + ({LOCKS}) + ({CURSORS})", ["cursors", "locks", "temp"])],
    ids=["temp", "lock", "cursor", "listen", "several"])
def test_only_what_a_client_has_left_is_cleaned(one_server, make, look, kinds):
    """What others have on the server, prepared statements and settings, stays there."""
    p = one_server
    # whose names may mean temporary tables has statements of its own: others have theirs made anew
    n_own = int("temp" in kinds)
    with p.raw(application_name="other") as other:
        other.run(pgwire.parse("s", "SELECT 'mine', pg_backend_pid()") + pgwire.SYNC).check()
        with p.raw(application_name="other") as one:
            one.query(make).check()
            pid = one.value("SELECT pg_backend_pid()")
            one.run(pgwire.parse("s", "SELECT 'mine', pg_backend_pid()") + pgwire.SYNC).check()
            assert one.run(pgwire.bind("", "s") + pgwire.execute() + pgwire.SYNC).rows == [
                ("mine", pid)]
        proc.wait_until("the server to be clean",
                        lambda: cleanings(p) == dict.fromkeys(kinds, 1))
        parses = p.show_one("STATS", database="app")["total_server_parse_count"]
        for _ in range(3):
            ran = other.run(pgwire.bind("", "s") + pgwire.execute() + pgwire.SYNC).check()
            assert ran.rows == [("mine", pid)], "the server is another one, or was not shared"
        parsed = p.show_one("STATS", database="app")["total_server_parse_count"]
        assert int(parsed) == int(parses) + n_own
        assert other.value(look) == "0"
        assert other.value("SHOW application_name") == "other"


def test_seed_is_random_again(one_server):
    rows = []
    for _ in range(2):
        with one_server.raw() as one:
            one.query("SELECT setseed(0.5)").check()
            pid = one.value("SELECT pg_backend_pid()")
            assert [r["cause"] for r in one_server.show("PINS")] == ["setseed"]
        proc.wait_until("the server to be clean", lambda: one_server.show_one(
            "SERVERS", remote_pid=pid)["state"] == "idle")
        with one_server.raw() as other:
            rows.append((other.value("SELECT pg_backend_pid()"), other.value("SELECT random()")))
    assert rows[0][0] == rows[1][0], "the server was closed"
    assert rows[0][1] != rows[1][1], "the seed has stayed"
    assert cleanings(one_server) == {"seed": 2}


def test_discard_all_does_not_undo_a_seed(one_server):
    with one_server.raw() as one:
        one.query("SELECT setseed(0.5)").check()
        first = one.value("SELECT random()")
        one.query("SELECT setseed(0.5)").check()
        one.query("DISCARD ALL").check()
        assert one_server.show("PINS") == []
        assert one.value("SELECT random()") != first


def test_cleaning_that_fails_closes_the_server(site):
    with site.pgweir(settings={"default_pool_size": 1, "workers": 1, "pool_mode": "session",
                               "server_reset_query": "SELECT 1/0"}) as p:
        with p.raw() as one:
            pid = one.value("SELECT pg_backend_pid()")
        with p.raw() as other:
            assert other.value("SELECT pg_backend_pid()") != pid
        p.wait_log("cleaning failed")


@pytest.mark.parametrize("settings, left", [
    ({"server_reset_query": "DISCARD ALL"}, ("", "0")),
    ({"server_reset_query": "RESET ALL"}, ("", "1")),
    ({"server_reset_query": "DEALLOCATE ALL"}, ("", "0")),
    ({"server_reset_query": ""}, ("", "1"))], ids=["all", "reset", "deallocate", "none"])
def test_reset_query_of_the_operator(site, settings, left):
    """It runs when a session ends; what it leaves, SQL PREPARE here, is PgBouncer's meaning."""
    with site.pgweir(settings={**settings, "pool_mode": "session", "default_pool_size": 1,
                               "workers": 1}) as p:
        with p.raw() as one:
            one.query("SET application_name = 'left behind'; PREPARE q AS SELECT 1").check()
            one.query("CREATE TEMP TABLE mine AS SELECT 7 AS a").check()
            pid = one.value("SELECT pg_backend_pid()")
        with p.raw(application_name="") as other:
            assert other.value("SELECT pg_backend_pid()") == pid
            assert other.value(TEMP) == "0"
            assert (other.value("SHOW application_name"), other.value(
                "SELECT count(*) FROM pg_prepared_statements WHERE name = 'q'")) == left
            assert cleanings(p).get("reset_query", 0) == (settings["server_reset_query"] != "")


# --- sequences --------------------------------------------------------------------------------

def busy_sequences(pooler, sequence, stop):
    """Clients that advance sequences on every server all the time."""
    def work():
        with pooler.raw() as client:
            while not stop.is_set():
                client.query(f"SELECT nextval('{sequence}')").check()
                client.query("INSERT INTO counted (v) VALUES ('x')").check()
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.threads
def test_currval_follows_its_nextval_though_others_advance(site, sequence):
    with site.pgweir(settings={"default_pool_size": 5, "max_pinned": 4, "workers": 1}) as p:
        stop = threading.Event()
        with p.raw() as one:
            one.query(f"SELECT currval('{sequence}')")
            threads = busy_sequences(p, sequence, stop)
            try:
                for _ in range(100):
                    number = one.value(f"SELECT nextval('{sequence}')")
                    assert one.value(f"SELECT currval('{sequence}')") == number
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            assert one.value("SELECT 1") == "1"
            proc.wait_until("nobody to be kept", lambda: p.show("PINS") == [])


def test_client_is_kept_for_its_next_unit_only(site, sequence):
    with site.pgweir(settings={"default_pool_size": 2, "workers": 1}) as p, p.raw() as one:
        one.query(f"SELECT currval('{sequence}')")
        one.query(f"SELECT nextval('{sequence}')").check()
        assert [r["cause"] for r in p.show("PINS")] == ["sequence"]
        one.query("SELECT 1").check()
        assert p.show("PINS") == []
        one.query(f"SELECT nextval('{sequence}')").check()
        began = time.monotonic()
        proc.wait_until("it to be let go", lambda: p.show("PINS") == [])
        assert time.monotonic() - began > 0.3
        assert one.value(f"SELECT currval('{sequence}')") == one.value("SELECT lastval()")
        with p.raw() as two:  # a kept one is within the limit of pins, and none waits for it
            two.query(f"SELECT nextval('{sequence}')").check()
            one.query(f"SELECT nextval('{sequence}')").check()
            assert len(p.show("PINS")) == 1
            assert two.value("SELECT 1") == one.value("SELECT 1") == "1"


def test_nobody_is_kept_where_nobody_asks(site, sequence):
    with site.pgweir(settings={"workers": 1}) as p, p.raw() as one:
        one.query(f"SELECT nextval('{sequence}')").check()
        assert p.show("PINS") == []
    with site.pgweir(settings={"workers": 1, "sequence_state": "off"}) as p, p.raw() as one:
        one.query(f"SELECT currval('{sequence}')")
        one.query(f"SELECT nextval('{sequence}')").check()
        assert p.show("PINS") == []


def test_sequence_state_pin_pins_with_the_first(site, sequence):
    with site.pgweir(settings={"default_pool_size": 2, "query_wait_timeout": 1},
                     databases=site.app_on([site.cluster.primary], "sequence_state=pin")) as p:
        with p.raw() as one, p.raw() as two:
            number = one.value(f"SELECT nextval('{sequence}')")
            one.query("SELECT 1").check()
            assert [r["cause"] for r in p.show("PINS")] == ["sequence"]
            refused = two.query(f"SELECT nextval('{sequence}')")
            assert refused.sqlstate == "53300" and "max_pinned" in refused.errors[0].fields["H"]
            assert one.value(f"SELECT currval('{sequence}')") == number
            one.query("DISCARD SEQUENCES").check()
            assert p.show("PINS") == []
            two.query(f"SELECT nextval('{sequence}')").check()


def test_currval_in_a_transaction_is_never_another_clients(site, sequence):
    with site.pgweir(settings={"default_pool_size": 1, "workers": 1}) as p:
        with p.raw() as one, p.raw() as two:
            one.query(f"SELECT nextval('{sequence}')").check()
            for begin in (("BEGIN",), ("BEGIN", "SELECT 1")):
                for sql in begin:
                    two.query(sql).check()
                refused = two.query(f"SELECT currval('{sequence}')")
                assert refused.sqlstate == "55000" and refused.status == "E"
                two.query("ROLLBACK").check()
            two.query("BEGIN").check()
            number = two.value(f"SELECT nextval('{sequence}')")
            assert two.value(f"SELECT currval('{sequence}')") == number
            two.query("COMMIT").check()


def test_one_sequence_advanced_tells_nothing_of_another(site, sequence):
    """Two clients advance different sequences on the only server."""
    with site.pgweir(settings={"default_pool_size": 1, "workers": 1}) as p:
        with p.raw() as one, p.raw() as two:
            two.query(f"SELECT currval('{sequence}')")  # from now on it matters
            one.query("INSERT INTO counted (v) VALUES ('x')").check()
            number = two.value(f"SELECT nextval('{sequence}')")
            assert two.query("SELECT currval('counted_id_seq')").sqlstate == "55000"
            two.query(f"SELECT nextval('{sequence}')").check()
            assert int(two.value("SELECT lastval()")) == int(number) + 1


def one_server_of(site, **settings):
    return site.pgweir(settings={"default_pool_size": 1, "workers": 1, **settings})


@pytest.mark.parametrize("ask", ["SELECT currval('counter')", "SELECT lastval()"])
def test_first_who_asks_does_not_find_what_was_advanced_before(site, sequence, ask):
    """Until somebody asks, nothing is discarded: what the server knows is of several clients."""
    del sequence
    with one_server_of(site) as p, p.raw() as one, p.raw() as two:
        one.query("SELECT 1").check()
        one.query("SELECT nextval('counter')").check()
        two.query("INSERT INTO counted (id, v) VALUES (0, 'advances nothing')").check()
        assert two.query(ask).sqlstate == "55000"
        assert one.query(ask).sqlstate == "55000"
        number = two.value("SELECT nextval('counter')")
        assert two.value(ask) == number


def test_first_who_asks_in_its_transaction(site, sequence):
    with one_server_of(site) as p, p.raw() as one, p.raw() as two:
        one.query("SELECT 1").check()
        one.query(f"SELECT nextval('{sequence}')").check()
        two.query("BEGIN").check()
        two.query("INSERT INTO counted (id, v) VALUES (0, 'advances nothing')").check()
        assert two.query(f"SELECT currval('{sequence}')").sqlstate == "55000"
        two.query("ROLLBACK").check()
        two.query("BEGIN").check()
        two.query("INSERT INTO counted (v) VALUES ('x')").check()
        assert two.value("SELECT lastval()") == two.value("SELECT max(id) FROM counted")
        two.query("ROLLBACK").check()


SERIAL = "pg_get_serial_sequence('counted', 'id')"


def ask_by_query(client, sql):
    return client.query(sql)


def ask_by_value(client, sql):
    """What the call names goes as a value, in the text format."""
    call, _, name = sql.partition("('")
    if "'" in name[:-2] or not name.endswith("')"):
        return client.prepared(sql)  # no single value names it
    return client.prepared(call + "($1)", [name[:-2]])


def ask_by_name(client, sql):
    client.run(pgwire.close("S", "ask") + pgwire.parse("ask", sql) + pgwire.SYNC).check()
    return client.run(pgwire.bind(statement="ask") + pgwire.execute() + pgwire.SYNC)


@pytest.mark.parametrize("run", [ask_by_query, ask_by_value, ask_by_name],
                         ids=["query", "value", "name"])
@pytest.mark.parametrize("ask", ["SELECT currval('counted_id_seq')", "SELECT lastval()",
                                 "SELECT currval('counted_id_seq'::regclass)",
                                 f"SELECT currval({SERIAL})"])
def test_transaction_finds_what_it_has_advanced_though_nobody_has_asked_before(site, sequence, ask, run):
    with one_server_of(site) as p, p.raw() as one, p.raw() as two:
        one.query("SELECT 1").check()
        one.query(f"SELECT nextval('{sequence}')").check()
        one.query("INSERT INTO counted (v) VALUES ('other')").check()
        two.query("BEGIN").check()
        two.query("INSERT INTO counted (v) VALUES ('x')").check()
        number = two.value("SELECT max(id) FROM counted")
        assert run(two, ask).value() == number
        two.query("INSERT INTO counted (id, v) VALUES (-1, 'nothing')").check()
        assert run(two, ask).value() == number
        two.query("ROLLBACK").check()


def test_first_who_asks_for_another_sequence_in_its_transaction(site, sequence):
    """What others have advanced there is told to nobody, whatever the call is made of."""
    for ask in (f"SELECT currval('{sequence}')", f"SELECT currval('{sequence[:3]}' || '{sequence[3:]}')",
                f"SELECT currval('counted_id_seq'), currval('{sequence}')",
                f"SELECT currval(s) FROM (VALUES ('{sequence}')) v(s)"):
        with one_server_of(site) as p, p.raw() as one, p.raw() as two:
            one.query("SELECT 1").check()
            one.query(f"SELECT nextval('{sequence}')").check()
            two.query("BEGIN").check()
            two.query("INSERT INTO counted (v) VALUES ('x')").check()
            assert two.query(ask).sqlstate == "55000"
            two.query("ROLLBACK").check()


def test_setval_is_no_advance(site, sequence):
    with one_server_of(site) as p, p.raw() as one, p.raw() as two:
        one.query("SELECT 1").check()
        one.query(f"SELECT nextval('{sequence}')").check()
        two.query("BEGIN").check()
        two.query("INSERT INTO counted (v) VALUES ('x')").check()
        two.query(f"SELECT setval('{sequence}', 7, false)").check()
        assert two.query(f"SELECT currval('{sequence}')").sqlstate == "55000"
        two.query("ROLLBACK").check()


def test_first_insert_of_what_currval_gives(site, sequence):
    """The statement that asks advances as well: a row of another table that refers to the first."""
    with one_server_of(site) as p, p.raw() as one, p.raw() as two:
        one.query(f"SELECT nextval('{sequence}')").check()
        two.query("BEGIN").check()
        two.query("INSERT INTO counted (v) VALUES ('parent')").check()
        two.query("INSERT INTO counted (id, v) VALUES (-7, currval('counted_id_seq'))").check()
        assert two.value("SELECT v FROM counted WHERE id = -7") == two.value("SELECT max(id) FROM counted")
        two.query("ROLLBACK").check()


def test_first_who_asks_for_what_does_not_exist(site, sequence):
    with one_server_of(site) as p, p.raw() as one, p.raw() as two:
        one.query(f"SELECT nextval('{sequence}')").check()
        two.query("BEGIN").check()
        two.query("INSERT INTO counted (v) VALUES ('x')").check()
        failed = two.query("SELECT currval('missing')")
        assert (failed.sqlstate, failed.status) == ("42P01", "E")
        two.query("ROLLBACK").check()
        assert two.value("SELECT 1") == "1"


def test_what_a_stream_advances_is_its_clients(site, sequence):
    with one_server_of(site) as p, p.raw() as one, p.raw() as two:
        two.query("INSERT INTO counted (v) VALUES ('x')").check()
        one.send(pgwire.parse("", f"SELECT nextval('{sequence}')") + pgwire.bind() +
                 pgwire.execute() + pgwire.FLUSH)
        one.read_until("C")
        one.run(pgwire.SYNC).check()
        assert two.query("SELECT lastval()").sqlstate == "55000"
        assert two.query(f"SELECT currval('{sequence}')").sqlstate == "55000"
        two.query(f"SELECT nextval('{sequence}')").check()
        one.send(pgwire.parse("", f"SELECT currval('{sequence}')") + pgwire.bind() +
                 pgwire.execute() + pgwire.FLUSH)
        assert one.read_until("E")[-1].fields()["C"] == "55000"
        one.run(pgwire.SYNC)


def test_prepare_asks_nothing(site, sequence):
    with one_server_of(site) as p, p.raw() as one:
        text = f"SELECT currval('{sequence}')"
        for end in (pgwire.SYNC, pgwire.FLUSH):
            one.send(pgwire.parse("s", text) + pgwire.describe("S", "s") + end)
            assert one.read_until("T", "E")[-1].kind == "T"
            one.run(pgwire.close("S", "s") + pgwire.SYNC)
        one.query(f"PREPARE q AS {text}").check()
        assert one.query("EXECUTE q").sqlstate == "55000"
        number = one.value(f"SELECT nextval('{sequence}')")
        assert one.value("EXECUTE q") == number
        with p.raw() as two:
            two.query(f"PREPARE q AS {text}").check()
            assert two.query("EXECUTE q").sqlstate == "55000"


@pytest.mark.parametrize("make, ask", [
    ("CREATE TABLE hides (id int DEFAULT currval('counter'))",
     "INSERT INTO hides DEFAULT VALUES RETURNING id"),
    ("CREATE VIEW hides AS SELECT currval('counter')", "TABLE hides"),
    ("CREATE FUNCTION hides() RETURNS bigint LANGUAGE plpgsql AS "
     "$$ BEGIN RETURN currval('counter'); END $$", "SELECT hides()"),
    ("CREATE FUNCTION hides() RETURNS bigint LANGUAGE sql STABLE AS "
     "$$ SELECT lastval() $$", "SELECT hides()"),
    (None, "DO $$ BEGIN PERFORM currval('counter'); END $$")],
    ids=["default", "view", "plpgsql", "sql", "do"])
def test_currval_out_of_sight(site, sequence, superuser, make, ask):
    """In the catalog, or in the body of a DO block: nobody needs to have asked in plain text."""
    if make:
        superuser("SET ROLE app; " + make)
    try:
        with one_server_of(site) as p, p.raw() as one, p.raw() as two:
            one.query("SELECT 1").check()
            for _ in range(2):
                number = one.value(f"SELECT nextval('{sequence}')")
                two.query("INSERT INTO counted (id, v) VALUES (0, 'nothing')").check()
                assert two.query(ask).sqlstate == "55000"
            two.query("DISCARD ALL").check()
            number = one.value(f"SELECT nextval('{sequence}')")
            ran = one.query(ask).check()
            assert not ran.rows or ran.rows == [(number,)]
    finally:
        if make:
            kind = make.split()[1]
            superuser(f"DROP {kind} hides")


def test_currval_in_what_is_created_later(site, sequence, superuser):
    """Through pgweir, in plain text or in a function's body; past it, on the next server connection."""
    makes = ["CREATE VIEW hides AS SELECT currval('counter') AS n",
             "CREATE FUNCTION hides() RETURNS bigint LANGUAGE plpgsql AS "
             "$$ BEGIN RETURN currval('counter'); END $$"]
    for make, ask in zip(makes, ("TABLE hides", "SELECT hides()")):
        with one_server_of(site) as p, p.raw() as one, p.raw() as two:
            one.query(f"SELECT nextval('{sequence}')").check()
            one.query(make).check()
            two.query("INSERT INTO counted (id, v) VALUES (0, 'nothing')").check()
            assert two.query(ask).sqlstate == "55000"
        superuser(f"DROP {make.split()[1]} hides")


def test_kept_client_survives_the_loss_of_its_server(site, sequence, superuser):
    with site.pgweir(settings={"default_pool_size": 2, "workers": 1}) as p, p.raw() as one:
        one.query(f"SELECT currval('{sequence}')")
        one.query(f"SELECT nextval('{sequence}')").check()
        superuser(f"SELECT pg_terminate_backend({p.show('SERVERS')[0]['remote_pid']})")
        proc.wait_until("the server to be gone", lambda: p.show("PINS") == [])
        assert one.query(f"SELECT currval('{sequence}')").sqlstate in ("55000", "57P01", "08006")
        assert one.value("SELECT 1") == "1"


# --- too long, too many -------------------------------------------------------------------------

def test_idle_pinned_client_is_ended_and_told_its_pin(site):
    with site.pgweir(settings={"pin_idle_timeout": 1}) as p:
        with p.raw() as pinned, p.raw() as free:
            free.query("SELECT 1").check()
            pinned.query("CREATE TEMP TABLE mine AS SELECT 7 AS a").check()
            for _ in range(4):  # not idle, however long it takes together
                pinned.query("SELECT pg_sleep(0.4)").check()
            pinned.query("SELECT pg_sleep(1.2)").check()
            assert pinned.value("SELECT a FROM mine") == "7"
            began = time.monotonic()
            fields = pinned.wait_closed()[0].fields()
            assert time.monotonic() - began > 0.7
            assert fields["C"] == "57P05" and fields["S"] == "FATAL"
            assert "temp" in fields["M"] and "CREATE TEMP TABLE mine" in fields["M"]
            assert "pin_idle_timeout" in fields["H"]
            assert free.value("SELECT 1") == "1"
            assert p.show("PINS") == []


def test_idle_pinned_client_is_ended_after_a_hidden_query(site):
    """Whether it is still pinned was asked behind its last statement; the time runs from there."""
    with site.pgweir(settings={"pin_idle_timeout": 1}) as p, p.raw() as pinned:
        pinned.query("SELECT pg_advisory_lock(71), pg_advisory_lock(72)").check()
        pinned.query("SELECT pg_advisory_unlock(71)").check()
        assert pinned.wait_closed()[0].fields()["C"] == "57P05"


def test_idle_session_is_not_idle_pinned(site):
    with site.pgweir(settings={"pin_idle_timeout": 0.5, "pool_mode": "session"}) as p:
        with p.raw() as one:
            one.query("CREATE TEMP TABLE mine AS SELECT 7 AS a").check()
            assert one.is_silent_for(1.2)
            assert one.value("SELECT a FROM mine") == "7"


def metric(p, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{p.stats_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines
            if line.startswith(name)}


def test_pin_found_out_afterwards_is_granted_and_counted(site):
    """Inside a transaction the client has its server already: it cannot wait for a place."""
    with site.pgweir(settings={"default_pool_size": 3, "max_pinned": 1}) as p:
        with p.raw() as one, p.raw() as two, p.raw() as three:
            one.query("CREATE TEMP TABLE a (x int)").check()
            two.query("BEGIN").check()
            two.query("SELECT 1").check()
            two.query("CREATE TEMP TABLE b (x int)").check()
            two.query("COMMIT").check()
            assert len(p.show("PINS")) == 2
            assert metric(p, "pgweir_pins_over_max_total") == {"pgweir_pins_over_max_total": 1}
            assert metric(p, "pgweir_pins{")['pgweir_pins{cause="temp"}'] == 2
            one.query("DISCARD TEMP").check()
            three.send(pgwire.query("CREATE TEMP TABLE c (x int)"))
            assert three.is_silent_for(0.3), "the one over the limit has the only place"
            two.query("DISCARD TEMP").check()
            assert three.result().check().tags == ["CREATE TABLE"]


def test_unnamed_statement_outlives_the_end_of_a_pin_in_session_mode(site):
    """Whether a pin still holds is asked by a simple query, which would end the server's own unnamed
    statement."""
    with site.pgweir(settings={"pool_mode": "session"}) as p, p.raw() as client:
        client.query("CREATE TEMP TABLE t (a int)").check()
        client.send(pgwire.query("DROP TABLE t") + pgwire.parse("", "SELECT 5") + pgwire.SYNC)
        for _ in range(2):
            client.result().check()
        time.sleep(0.1)
        assert client.run(pgwire.describe("S", "") + pgwire.SYNC).check().kinds == "tTZ"
