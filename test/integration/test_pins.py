"""What cannot be carried to another server keeps the client on its own, visibly and bounded."""
import time

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
    ("listen", "LISTEN news", "SELECT pg_listening_channels()", "news", "UNLISTEN *"),
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


@states("sql prepare", "set_config", "role", "savepoint", "custom parameter")
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
        one.query("LISTEN news").check()
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
        one.query("LISTEN a").check()
        two.query("LISTEN b").check()
        refused = three.query("LISTEN c")
        assert refused.sqlstate == "53300" and "max_pinned" in str(refused.errors[0].fields)
        assert three.value("SELECT 1") == "1", "unpinned work goes on"
        assert len(pooler.show("PINS")) == 2


def test_waiting_pin_gets_the_place_that_becomes_free(pooler):
    with pooler.raw() as one, pooler.raw() as two, pooler.raw() as three:
        one.query("LISTEN a").check()
        two.query("LISTEN b").check()
        three.send(pgwire.query("LISTEN c"))
        assert three.is_silent_for(0.3)
        one.query("UNLISTEN *").check()
        assert three.result().check().tags == ["LISTEN"]


def test_max_pinned_leaves_one_server_unpinned_by_default(site):
    with site.pgweir(settings={"default_pool_size": 1, "query_wait_timeout": 1}) as p:
        with p.raw() as one, p.raw() as two:
            assert one.query("LISTEN a").sqlstate == "53300"
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
