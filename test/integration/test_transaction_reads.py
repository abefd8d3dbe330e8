"""transaction_reads = replica: a READ COMMITTED transaction begins on a replica while it only reads,
and moves to the primary, unseen, with the first statement that is not a plain read."""
import re
import threading
import time
import urllib.request

import psycopg2
import pgwire
import psycopg
import pytest
from pgwire import bind, describe, execute, parse
from tools import proc
from where import new_mark, wait_replica_read, wait_routing, where_fixture

OBJECTS = """
    CREATE TABLE item (id int PRIMARY KEY, n int);
    INSERT INTO item SELECT g, 0 FROM generate_series(1, 20) g;
    CREATE FUNCTION moody() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
    CREATE SEQUENCE secret;
    CREATE FUNCTION liar() RETURNS bigint STABLE LANGUAGE plpgsql AS $$ DECLARE n bigint;
        BEGIN EXECUTE 'SELECT next' || 'val(''sec' || 'ret'')' INTO n; RETURN n; END $$;
    ALTER ROLE other SET default_transaction_isolation = 'repeatable read';
    GRANT ALL ON ALL TABLES IN SCHEMA public TO app, other;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app, other;
    GRANT CREATE ON SCHEMA public TO app;
    CREATE ROLE reader; GRANT reader TO app; GRANT SELECT ON item TO reader;
"""
DROP = """
    DROP TABLE item; DROP ROLE reader; DROP FUNCTION moody, liar; DROP SEQUENCE secret;
    ALTER ROLE other RESET default_transaction_isolation;
"""
MOVERS = [
    ("INSERT INTO item VALUES (100, 0)", "write"),
    ("UPDATE item SET n = 1 WHERE id = 1", "write"),
    ("SELECT n FROM item WHERE id = 1 FOR UPDATE", "write"),
    ("SELECT nextval('secret')", "write"),
    ("SELECT moody()", None),
    ("SELECT now()", "time"), ("SELECT transaction_timestamp()", "time"),
    ("SELECT current_timestamp", "time"), ("SELECT CURRENT_DATE", "time"),
    ("SELECT localtime(0)", "time"), ("SELECT pg_catalog.\"now\"()", "time"),
    ("SELECT age(timestamp '2001-01-01')", "time"), ("SELECT 'today'::date", "time"),
    ("SELECT timestamptz 'now'", "time"), ("SELECT E'n\\x6fw'::timestamptz", "time"),
    ("SELECT txid_current()", None), ("SELECT pg_current_snapshot()", None),
    ("SELECT txid_current_if_assigned()", None), ("SELECT pg_export_snapshot()", None),
    ("SELECT pg_is_in_recovery()", None), ("SHOW transaction_read_only", None),
    ("DECLARE c CURSOR FOR SELECT 1", "cursor"),
    ("SET work_mem = '5MB'", "session"), ("SET LOCAL application_name = 'x'", "session"),
    ("SET LOCAL SESSION AUTHORIZATION app", "session"),
    ("SELECT set_config('work_mem', '5MB', true)", None),
    ("SET TRANSACTION READ ONLY", "session"), ("SET LOCAL transaction_read_only = on", "session"),
    ("BEGIN", "session"), ("LOCK TABLE item IN SHARE MODE", None),
    ("SELECT pg_advisory_xact_lock(7)", None), ("CREATE TEMP TABLE passing (a int)", None),
    ("SELECT 1; SELECT now()", "time"), ("SELECT 1; UPDATE item SET n = n", "write"),
    ("PREPARE p AS SELECT 1", None), ("NOTIFY nobody", None),
    ("/* pgweir: primary */ SELECT 1", "hint"),
    ("/* pgweir: consistency=strong */ SELECT 1", "hint"),
    ("DO $$ BEGIN END $$", None),
]
STAYERS = [
    "SELECT count(*) FROM item", "SHOW work_mem", "VALUES (1)", "EXPLAIN SELECT 1", "",
    "COPY item TO STDOUT", "SELECT 1; SELECT 2", "SELECT clock_timestamp() > '2001-01-01'",
    "SELECT statement_timestamp() IS NULL", "SELECT 1 AS age, 2 AS now", "SAVEPOINT s",
    "SET LOCAL work_mem = '6MB'", "SET LOCAL app.tenant = 'x'", "SET LOCAL ROLE app",
    "SELECT 'knowledge'", "TABLE item", "SELECT random() < 2",
]

where = where_fixture("own_site")


@pytest.fixture(scope="module")
def site(own_site):
    own_site.cluster.primary.sql(OBJECTS, "app")
    own_site.cluster.wait_caught_up()
    yield own_site
    own_site.cluster.primary.sql(DROP, "app")


def start(site, more="", **settings):
    return site.pgweir_routed(f"transaction_reads=replica max_lag=10s {more}",
                              settings={"workers": 1, **settings})


@pytest.fixture(scope="module")
def pooler(site, where):
    with start(site) as p:
        wait_routing(p, where)
        with p.raw() as client:  # the primary has told its default isolation
            client.query("UPDATE item SET n = n").check()
            wait_replica_read(client, where)
        yield p


@pytest.fixture
def client(pooler, where):
    with pooler.raw() as one:
        wait_replica_read(one, where)
        yield one


@pytest.fixture(autouse=True)
def same_items(site):
    yield
    site.cluster.primary.sql("DELETE FROM item WHERE id > 20; UPDATE item SET n = 0 WHERE n <> 0",
                             "app")


def events(pooler, database="app"):
    return {r["event"]: int(r["transactions"]) for r in pooler.show("TRANSACTION_READS")
            if r["database"] == database}


def changes(before, after):
    return {e: n - before.get(e, 0) for e, n in after.items() if n != before.get(e, 0)}


def begin(client, where, sql="BEGIN"):
    """A block that has read on a replica; the replica's name."""
    for _ in range(20):  # now and then the primary is the only one that is fit
        wait_replica_read(client, where)
        client.query(sql).check()
        node = where.of(client, "SELECT count(*) FROM item")
        if node != "primary":
            return node
        client.query("ROLLBACK").check()
    raise AssertionError("it always begins on the primary")


# --- where it runs -------------------------------------------------------------------------------


@pytest.mark.parametrize("end, tag", [("COMMIT", "COMMIT"), ("ROLLBACK", "ROLLBACK"),
                                      ("END", "COMMIT")])
def test_a_block_that_only_reads_begins_and_ends_on_a_replica(pooler, client, where, end, tag):
    before = events(pooler)
    node = begin(client, where)
    assert {where.of(client, "SELECT n FROM item") for _ in range(5)} == {node}
    result = client.query(end)
    assert result.tags == [tag] and result.status == "I"
    assert changes(before, events(pooler)) == {"began": 1, "ended": 1}
    assert where.of(client) != "primary", "nothing was written"


def test_it_moves_with_the_first_write_and_stays(pooler, client, where, site):
    before = events(pooler)
    begin(client, where)
    result, nodes = where.run(client, "INSERT INTO item VALUES (50, 5)")
    assert nodes == {"primary"} and result.status == "T" and result.tags == ["INSERT 0 1"]
    result, nodes = where.run(client, "SELECT n FROM item WHERE id = 50")
    assert nodes == {"primary"} and result.rows == [("5",)], "it sees what it has written"
    client.query("COMMIT").check()
    assert site.cluster.primary.sql("SELECT n FROM item WHERE id = 50", "app") == "5"
    assert client.value("SELECT n FROM item WHERE id = 50") == "5", "and so does its next read"
    assert changes(before, events(pooler)) == {"began": 1, "moved_write": 1}


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("sql, cause", MOVERS, ids=[m[0] for m in MOVERS])
def test_what_is_not_a_plain_read_moves_it_before_it_runs(
        pooler, client, where, sql, cause, extended):
    if extended and ";" in sql and not sql.startswith("DO"):
        pytest.skip("one statement in a Parse")
    before = events(pooler)
    begin(client, where)
    result, nodes = where.run(client, sql, extended) if "pgweir" not in sql else (
        client.prepared(sql) if extended else client.query(sql), {"primary"})
    result.check()
    assert nodes == {"primary"} and result.status == "T"
    assert where.of(client, "SELECT 1") == "primary", "it stays there"
    client.query("ROLLBACK").check()
    moved = changes(before, events(pooler))
    assert moved.pop("began") == 1 and sum(moved.values()) == 1
    if cause is not None:
        assert moved == {f"moved_{cause}": 1}
    client.query("DISCARD ALL").check()


@pytest.mark.parametrize("sql, cause", [m for m in MOVERS if m[1] == "time"])
def test_what_must_not_begin_on_a_replica_begins_on_the_primary(client, where, sql, cause):
    client.query("BEGIN").check()
    assert where.of(client, sql) == "primary"
    assert where.of(client, "SELECT 1") == "primary"
    client.query("COMMIT").check()


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("sql", STAYERS)
def test_a_plain_read_stays(pooler, client, where, sql, extended):
    if extended and ";" in sql:
        pytest.skip("one statement in a Parse")
    before = events(pooler)
    node = begin(client, where)
    (client.prepared(sql) if extended else client.query(sql)).check()
    assert where.of(client, "SELECT 1") == node
    client.query("COMMIT").check()
    assert changes(before, events(pooler)) == {"began": 1, "ended": 1}


@pytest.mark.parametrize("data, n_ready", [
    (parse("", "SELECT 1") + bind() + execute("", 1) + pgwire.SYNC, 1),
    (parse("", "SELECT 1") + bind("p") + execute("p") + pgwire.SYNC, 1),
    (parse("", "SELECT 1") + bind("p") + pgwire.SYNC + describe("P", "p") + execute("p")
     + pgwire.SYNC, 2),
], ids=["row limit", "named portal", "portal of another series"])
def test_a_portal_that_outlives_its_series_moves_it(pooler, client, where, data, n_ready):
    before = events(pooler)
    begin(client, where)
    client.send(data)
    for _ in range(n_ready):
        assert client.result().check().status == "T"
    assert where.of(client) == "primary"
    client.query("COMMIT").check()
    assert changes(before, events(pooler)) == {"began": 1, "moved_cursor": 1}


def test_rows_of_a_limited_portal_are_all_there(client, where):
    begin(client, where)
    data = parse("", "SELECT id FROM item ORDER BY 1") + bind("p") + execute("p", 3) + pgwire.SYNC
    rows = client.run(data).check().rows
    while len(rows) < 20:
        more = client.run(execute("p", 7) + pgwire.SYNC).check().rows
        assert more
        rows += more
    assert rows == [(str(i),) for i in range(1, 21)]
    client.query("COMMIT").check()


def test_a_series_with_a_flush_moves_it(pooler, client, where):
    before = events(pooler)
    begin(client, where)
    client.send(parse("", "SELECT 5") + bind() + describe("P") + execute() + pgwire.FLUSH)
    kinds = ""
    while not kinds.endswith("C"):
        kinds += client.read_message().kind
    assert kinds == "12TDC"
    assert client.run(pgwire.SYNC).status == "T"
    assert where.of(client) == "primary"
    client.query("COMMIT").check()
    assert changes(before, events(pooler)) == {"began": 1, "moved_streamed": 1}


def test_the_same_now_throughout(client, where):
    begin(client, where)
    first = client.value("SELECT now()")
    client.query("SELECT pg_sleep(0.05)").check()
    assert client.value("SELECT current_timestamp") == first
    assert client.prepared("SELECT now()").value() == first
    client.query("COMMIT").check()


@pytest.mark.parametrize("sql", ["BEGIN READ WRITE", "BEGIN ISOLATION LEVEL SERIALIZABLE",
                                 "BEGIN ISOLATION LEVEL REPEATABLE READ"])
def test_blocks_that_cannot_be_moved_begin_on_the_primary(client, where, sql):
    client.query(sql).check()
    assert where.of(client) == "primary"
    client.query("COMMIT").check()


@pytest.mark.parametrize("sql", ["BEGIN ISOLATION LEVEL READ COMMITTED", "START TRANSACTION",
                                 "BEGIN ISOLATION LEVEL READ UNCOMMITTED"])
def test_blocks_that_can_be_moved(client, where, sql):
    begin(client, where, sql)
    assert where.of(client, "UPDATE item SET n = 1 WHERE id = 1") == "primary"
    client.query("ROLLBACK").check()


def test_modes_said_after_begin_count(client, where):
    for modes in ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                  "SET LOCAL transaction_isolation = 'repeatable read'"):
        client.query("BEGIN").check()
        client.query(modes).check()
        assert where.of(client) == "primary"
        assert client.value("SHOW transaction_isolation") == "repeatable read"
        client.query("COMMIT").check()


def test_the_isolation_that_the_session_or_the_server_has_by_default_counts(
        pooler, client, where):
    client.query("SET default_transaction_isolation = 'repeatable read'").check()
    client.query("BEGIN").check()
    assert where.of(client) == "primary"
    client.query("COMMIT").check()
    client.query("RESET default_transaction_isolation").check()
    with pooler.raw("other") as one:  # ALTER ROLE ... SET: no text of the client tells
        wait_replica_read(one, where)
        for _ in range(3):
            one.query("BEGIN").check()
            assert where.of(one) == "primary"
            assert one.value("SHOW transaction_isolation") == "repeatable read"
            one.query("COMMIT").check()
        begin(one, where, "BEGIN ISOLATION LEVEL READ COMMITTED")
        one.query("COMMIT").check()


def test_a_read_only_block_stays_longer(pooler, client, where):
    before = events(pooler)
    begin(client, where, "BEGIN READ ONLY")
    assert where.of(client, "SELECT now()") != "primary"
    assert client.query("UPDATE item SET n = 1").sqlstate == "25006"
    assert client.query("ROLLBACK").status == "I"
    assert changes(before, events(pooler)) == {"began": 1, "moved_write": 1}
    begin(client, where, "BEGIN READ ONLY")
    assert client.query("COMMIT").status == "I"
    assert changes(before, events(pooler)) == {"began": 1, "moved_write": 1}


@pytest.mark.parametrize("sql", [
    "BEGIN; SELECT 1; INSERT INTO item VALUES (60, 0)", "BEGIN; SELECT 1"])
def test_a_block_of_one_message_is_the_primarys(client, where, sql):
    result, nodes = where.run(client, sql)
    assert nodes == {"primary"} and result.status == "T"
    client.query("ROLLBACK").check()


def test_implicit_transactions_are_as_ever(pooler, client, where):
    before = events(pooler)
    assert where.of(client, "SELECT 1; SELECT now()") != "primary"
    assert where.of(client, "SELECT 1; UPDATE item SET n = n") == "primary"
    assert changes(before, events(pooler)) == {}


@pytest.mark.parametrize("mode", ["strong", "database"])
def test_who_must_see_what_others_write_reads_on_the_primary(pooler, where, mode):
    with pooler.raw(options=f"-c pgweir.consistency={mode}") as one:
        one.query("BEGIN").check()
        assert where.of(one) == "primary"
        one.query("COMMIT").check()


def test_what_the_client_asks_for_in_the_block_moves_it(pooler, client, where):
    for sql in ("SET LOCAL pgweir.consistency = strong", "SET LOCAL pgweir.route = primary"):
        before = events(pooler)
        begin(client, where)
        client.query(sql).check()
        assert where.of(client) == "primary"
        client.query("COMMIT").check()
        assert changes(before, events(pooler)) == {"began": 1, "moved_hint": 1}


def test_a_hint_ahead_of_begin_holds_for_the_block(pooler, where):
    with pooler.raw(options="-c pgweir.consistency=strong") as one:
        one.query("/* pgweir: consistency=eventual */ BEGIN").check()
        node = where.of(one)
        assert node != "primary" and where.of(one) == node
        one.query("COMMIT").check()


def test_a_client_reads_its_own_writes_in_its_next_block(client, where):
    n_replica = 0
    for i in range(100):
        client.query(f"UPDATE item SET n = {i} WHERE id = 3").check()
        if i % 3 == 0:
            time.sleep(0.03)
        client.query("BEGIN").check()
        result, nodes = where.run(client, "SELECT n FROM item WHERE id = 3")
        assert result.value() == str(i)
        n_replica += nodes != {"primary"}
        client.query("COMMIT").check()
    assert n_replica > 0


# --- what is created again -----------------------------------------------------------------------


def test_set_local_is_there_after_the_move(client, where):
    begin(client, where)
    client.query("SET LOCAL work_mem = '7MB'").check()
    assert client.value("SHOW work_mem") == "7MB"
    assert where.of(client, "UPDATE item SET n = 1 WHERE id = 1") == "primary"
    assert client.value("SHOW work_mem") == "7MB"
    client.query("COMMIT").check()
    assert client.value("SHOW work_mem") == "4MB"


def test_custom_parameters_and_roles_are_there_after_the_move(client, where):
    tenant = "SELECT current_setting('app.tenant', true)"
    begin(client, where)
    client.query("SET LOCAL app.tenant = 'seven'").check()
    client.query("SAVEPOINT a").check()
    client.query("SET LOCAL app.tenant = 'eight'").check()
    client.query("ROLLBACK TO a").check()
    client.query("SET LOCAL ROLE reader").check()
    assert client.value(tenant) == "seven"
    assert client.query("INSERT INTO item VALUES (80, 0)").sqlstate == "42501", "the role is there"
    client.query("ROLLBACK TO a").check()
    assert where.of(client, "UPDATE item SET n = 1 WHERE id = 1") == "primary"
    assert client.value(tenant) == "seven" and client.value("SELECT current_user") == "app"
    client.query("COMMIT").check()
    assert client.value(tenant) == ""


def test_set_local_before_the_first_statement(client, where):
    client.query("BEGIN").check()
    client.query("SET LOCAL work_mem = '7MB'").check()
    client.query("SAVEPOINT a").check()
    client.query("SET LOCAL work_mem = '8MB'").check()
    assert where.of(client) != "primary" and client.value("SHOW work_mem") == "8MB"
    client.query("ROLLBACK TO a").check()
    assert client.value("SHOW work_mem") == "7MB"
    client.query("UPDATE item SET n = 1").check()
    assert client.value("SHOW work_mem") == "7MB"
    client.query("ROLLBACK TO a").check()
    assert client.value("SELECT sum(n) FROM item") == "0"
    client.query("COMMIT").check()


def test_savepoints_are_there_after_the_move(client, where):
    begin(client, where)
    for sql in ("SAVEPOINT a", "SELECT 1", "SAVEPOINT b", "SAVEPOINT gone", "RELEASE gone",
                "SAVEPOINT undone", "ROLLBACK TO b"):
        client.query(sql).check()
    assert where.of(client, "UPDATE item SET n = 1 WHERE id = 1") == "primary"
    client.query("ROLLBACK TO b").check()
    assert client.value("SELECT n FROM item WHERE id = 1") == "0"
    client.query("UPDATE item SET n = 2 WHERE id = 1").check()
    client.query("SAVEPOINT c").check()
    assert client.query("ROLLBACK TO gone").sqlstate == "3B001"
    client.query("ROLLBACK TO c").check()
    assert client.query("ROLLBACK TO undone").sqlstate == "3B001"
    client.query("ROLLBACK TO a").check()
    assert client.value("SELECT n FROM item WHERE id = 1") == "0"
    client.query("RELEASE a").check()
    client.query("COMMIT").check()


def test_what_a_rollback_has_undone_is_not_there_after_the_move(client, where):
    begin(client, where)
    for sql in ("SAVEPOINT a", "SET LOCAL work_mem = '9MB'", "SELECT 1", "ROLLBACK TO a",
                "SAVEPOINT b", "SET LOCAL lock_timeout = '9s'", "RELEASE b"):
        client.query(sql).check()
    client.query("UPDATE item SET n = 1 WHERE id = 1").check()
    assert client.value("SHOW work_mem") == "4MB"
    assert client.value("SHOW lock_timeout") == "9s"
    client.query("COMMIT").check()


def test_more_than_the_journal_holds_moves_it(pooler, client, where):
    before = events(pooler)
    begin(client, where)
    for i in range(200):
        client.query(f"SAVEPOINT number_{i}").check()
    assert where.of(client) == "primary"
    client.query("UPDATE item SET n = 1").check()
    client.query("ROLLBACK TO number_3").check()
    assert client.value("SELECT sum(n) FROM item") == "0"
    client.query("COMMIT").check()
    assert changes(before, events(pooler)) == {"began": 1, "moved_session": 1}


def test_savepoints_in_a_loop_keep_it_on_the_replica(client, where):
    node = begin(client, where)
    for i in range(200):
        for sql in (f"SAVEPOINT one_{i}", "SELECT 1", f"RELEASE one_{i}"):
            client.query(sql).check()
    assert where.of(client) == node
    client.query("COMMIT").check()


@pytest.mark.parametrize("sql", ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                                 "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"])
def test_what_must_come_before_any_query_is_refused_after_the_move(client, where, sql):
    begin(client, where)
    result = client.query(sql)
    assert result.sqlstate == "25001" and result.status == "E"
    client.query("ROLLBACK").check()


def test_what_must_come_before_any_query_may_come_after_show(client, where):
    wait_replica_read(client, where)
    client.query("BEGIN").check()
    assert where.of(client, "SHOW work_mem") != "primary"
    client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").check()
    assert client.value("SHOW transaction_isolation") == "repeatable read"
    client.query("COMMIT").check()


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_and_chain(pooler, client, where, end):
    before = events(pooler)
    begin(client, where, "BEGIN ISOLATION LEVEL READ COMMITTED")
    client.query("SET LOCAL work_mem = '7MB'").check()
    client.query("SAVEPOINT a").check()
    result = client.query(f"{end} AND CHAIN")
    assert result.tags == [end] and result.status == "T"
    assert client.value("SHOW work_mem") == "4MB"
    assert where.of(client) != "primary"
    assert where.of(client, "UPDATE item SET n = 1 WHERE id = 1") == "primary"
    assert client.query("ROLLBACK TO a").sqlstate == "3B001"
    assert client.query(f"{end} AND CHAIN").tags == ["ROLLBACK"]
    assert client.value("SELECT n FROM item WHERE id = 1") == "0"
    assert client.query("COMMIT").status == "I"
    assert changes(before, events(pooler)) == {"began": 2, "ended": 1, "moved_write": 1}


def test_set_transaction_first_in_a_chained_block(client, where):
    begin(client, where)
    client.query("COMMIT AND CHAIN").check()
    client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").check()
    assert client.value("SHOW transaction_isolation") == "repeatable read"
    client.query("COMMIT").check()


def test_prepared_statements_are_there_after_the_move(client, where):
    client.run(parse("read", "SELECT n FROM item WHERE id = $1") + parse(
        "write", "UPDATE item SET n = $2 WHERE id = $1") + pgwire.SYNC).check()
    wait_replica_read(client, where)
    begin(client, where)

    def run(name, *params):
        return client.run(bind("", name, [p.encode() for p in params]) + execute() + pgwire.SYNC)
    assert run("read", "4").rows == [("0",)]
    client.run(parse("new", "SELECT n + 1 FROM item WHERE id = $1") + pgwire.SYNC).check()
    client.run(parse("", "SELECT n + 2 FROM item WHERE id = $1") + pgwire.SYNC).check()
    assert where.of(client, "SELECT 'still there'") != "primary"
    client.run(parse("", "SELECT n + 2 FROM item WHERE id = $1") + pgwire.SYNC).check()
    assert run("write", "4", "8").tags == ["UPDATE 1"]
    assert run("read", "4").rows == [("8",)] and run("new", "4").rows == [("9",)]
    assert run("", "4").rows == [("10",)]
    assert client.run(parse("new", "SELECT 1") + pgwire.SYNC).sqlstate == "42P05"
    client.query("ROLLBACK").check()


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_a_statement_that_fails_runs_on_the_primary(pooler, client, where, extended):
    before = events(pooler)
    begin(client, where)
    client.query("SET LOCAL work_mem = '7MB'").check()
    client.query("SAVEPOINT a").check()
    result, nodes = where.run(client, "SELECT 1 / (n - n) FROM item", extended)
    assert result.sqlstate == "22012" and result.status == "E" and nodes == {"primary"}
    assert client.query("SELECT 1").sqlstate == "25P02"
    client.query("ROLLBACK TO a").check()
    assert client.value("SHOW work_mem") == "7MB" and where.of(client) == "primary"
    client.query("COMMIT").check()
    assert changes(before, events(pooler)) == {"began": 1, "moved_failed": 1}


def test_the_first_statement_fails(client, where):
    client.query("BEGIN").check()
    result, nodes = where.run(client, "SELECT no_such_column FROM item")
    assert result.sqlstate == "42703" and result.status == "E" and nodes == {"primary"}
    assert client.query("SELECT 1").sqlstate == "25P02"
    result = client.query("COMMIT")
    assert result.tags == ["ROLLBACK"] and result.status == "I"


def test_a_deferred_statement_fails(client):
    client.query("BEGIN").check()
    client.query("SET LOCAL work_mem = 'nonsense'").check()
    client.query("SAVEPOINT a").check()
    result = client.query("SELECT 1")
    assert result.sqlstate == "22023" and result.status == "E"
    client.query("ROLLBACK").check()


@pytest.mark.parametrize("sql, sqlstate", [
    ("SET LOCAL work_mem = 'nonsense'", "22023"), ("ROLLBACK TO nowhere", "3B001"),
    ("RELEASE nowhere", "3B001"), ("SET LOCAL no_such_parameter = 1", "42704")])
def test_control_of_the_block_fails(client, where, sql, sqlstate):
    begin(client, where)
    client.query("SAVEPOINT a").check()
    result = client.query(sql)
    assert result.sqlstate == sqlstate and result.status == "E"
    client.query("ROLLBACK TO a").check()
    client.query("UPDATE item SET n = 1 WHERE id = 1").check()
    client.query("COMMIT").check()
    assert client.value("SELECT n FROM item WHERE id = 1") == "1"


def test_what_fails_on_the_replica_alone_succeeds(pooler, client, where, site):
    standbys = site.cluster.standbys
    for standby in standbys:
        standby.pause_replay()
    try:
        begin(client, where)
        site.cluster.primary.sql("CREATE TABLE young AS SELECT 1 AS a;"
                                 "GRANT ALL ON young TO app", "app")
        assert client.query("SELECT a FROM young").value() == "1"
        client.query("COMMIT").check()
    finally:
        for standby in standbys:
            standby.resume_replay()
    site.cluster.primary.sql("DROP TABLE young", "app")
    site.cluster.wait_caught_up()


def test_a_write_that_no_text_shows_runs_once_and_is_learned(pooler, client, where, site):
    last = int(site.cluster.primary.sql("SELECT nextval('secret')", "app"))
    begin(client, where)
    before = events(pooler)
    assert int(client.value("SELECT liar()")) == last + 1
    assert changes(before, events(pooler)) == {"moved_failed": 1}, "it was taken for a read"
    client.query("COMMIT").check()
    wait_replica_read(client, where)
    client.query("BEGIN").check()
    assert where.of(client, "SELECT liar()") == "primary"
    client.query("COMMIT").check()


LARGE = "SELECT repeat('x', 1000), 1 / (3000 - g) FROM generate_series(1, 4000) g"


def test_an_answer_that_breaks_off_leaves_a_failed_block(pooler, client, where):
    before = events(pooler)
    node = begin(client, where)
    client.query("SET LOCAL work_mem = '7MB'").check()
    client.query("SAVEPOINT a").check()
    result = client.query(LARGE)
    assert len(result.rows) > 64 and result.sqlstate == "22012" and result.status == "E"
    for sql in ("SELECT 1", "SAVEPOINT b", "UPDATE item SET n = 1", "SET LOCAL work_mem = '1MB'"):
        assert client.query(sql).sqlstate == "25P02"
    assert client.prepared("SELECT 1").sqlstate == "25P02"
    result = client.query("ROLLBACK TO a")
    assert result.tags == ["ROLLBACK"] and result.status == "T"
    assert where.of(client) == node and client.value("SHOW work_mem") == "7MB"
    assert where.of(client, "UPDATE item SET n = 1 WHERE id = 1") == "primary"
    assert client.value("SHOW work_mem") == "7MB"
    client.query("ROLLBACK TO a").check()
    client.query("COMMIT").check()
    assert changes(before, events(pooler)) == {"began": 1, "moved_write": 1}


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_block_that_failed_on_the_replica_ends_there(pooler, client, where, end):
    before = events(pooler)
    begin(client, where)
    assert client.query(LARGE).sqlstate == "22012"
    result = client.query(end)
    assert result.tags == ["ROLLBACK"] and result.status == "I"
    assert changes(before, events(pooler)) == {"began": 1, "ended": 1}


@pytest.mark.parametrize("sql, tags, status", [
    ("ROLLBACK TO a; UPDATE item SET n = 1 WHERE id = 1", ["ROLLBACK", "UPDATE 1"], "T"),
    ("COMMIT; UPDATE item SET n = 1 WHERE id = 1", ["ROLLBACK", "UPDATE 1"], "I"),
    ("UPDATE item SET n = 1; ROLLBACK", [], "E")])
def test_a_failed_block_moves_as_it_is(client, where, sql, tags, status):
    begin(client, where)
    client.query("SAVEPOINT a").check()
    assert client.query(LARGE).sqlstate == "22012"
    result = client.query(sql)
    assert result.tags == tags and result.status == status
    assert result.sqlstate == (None if tags else "25P02")
    client.query("ROLLBACK").check()


def test_what_the_client_cancels_is_not_run_again(pooler, client, where):
    node = begin(client, where)
    client.query("SAVEPOINT a").check()
    timer = threading.Timer(0.5, client.send_cancel)
    timer.start()
    begun = time.monotonic()
    result = client.query("SELECT pg_sleep(20)")
    timer.join()
    assert result.sqlstate == "57014" and result.status == "E"
    assert time.monotonic() - begun < 5
    client.query("ROLLBACK TO a").check()
    assert where.of(client) == node
    client.query("COMMIT").check()


# --- a lost server -------------------------------------------------------------------------------


def terminate(site, mark):
    for node in site.cluster.nodes:
        node.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 f" WHERE position('{mark}' IN query) > 0 AND pid <> pg_backend_pid()")


def lose_the_server(client, site):
    """The one where the client reads, between two statements."""
    mark = new_mark()
    client.query(mark + "SELECT 1").check()
    terminate(site, mark)
    time.sleep(0.2)


def test_the_replica_is_lost_between_two_statements(pooler, client, where, site):
    before = events(pooler)
    begin(client, where)
    client.query("SET LOCAL work_mem = '7MB'").check()
    client.query("SAVEPOINT a").check()
    lose_the_server(client, site)
    assert client.value("SHOW work_mem") == "7MB" and where.of(client) == "primary"
    client.query("ROLLBACK TO a").check()
    result = client.query("COMMIT")
    assert result.tags == ["COMMIT"] and result.status == "I"
    assert changes(before, events(pooler)) == {"began": 1, "moved_lost": 1}


def test_the_replica_is_lost_before_the_end(client, where, site):
    begin(client, where)
    lose_the_server(client, site)
    result = client.query("COMMIT")
    assert result.tags == ["COMMIT"] and result.status == "I"


def test_what_must_come_first_is_refused_after_a_loss(client, where, site):
    begin(client, where)
    lose_the_server(client, site)
    assert client.query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").sqlstate == "25001"
    client.query("ROLLBACK").check()


def test_the_replica_is_lost_while_it_runs(client, where, site):
    begin(client, where)
    client.query("SET LOCAL work_mem = '7MB'").check()
    mark = new_mark()
    client.send(pgwire.query(mark + "SELECT current_setting('work_mem') FROM pg_sleep(1)"))
    proc.wait_until("it to run", lambda: where.ran(mark), 5, 0.05)
    for standby in site.cluster.standbys:
        standby.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    f" WHERE position('{mark}' IN query) > 0 AND pid <> pg_backend_pid()")
    assert client.result().value() == "7MB"
    assert where.of(client) == "primary"
    client.query("COMMIT").check()


def test_who_is_idle_for_too_long_is_told(pooler, where):
    before = events(pooler)
    with pooler.raw() as one:
        begin(one, where)
        one.query("SET LOCAL idle_in_transaction_session_timeout = '300ms'").check()
        time.sleep(1)
        result = one.query("SELECT 1")
        assert result.sqlstate in ("25P03", "08006") and result.status == "E"
        assert one.query("ROLLBACK").status == "I"
    assert changes(before, events(pooler)) == {"began": 1, "ended": 1}


def test_a_client_that_leaves_leaves_nothing_behind(pooler, client, where):
    before = events(pooler)
    with pooler.raw() as gone:
        wait_replica_read(gone, where)
        begin(gone, where)
        gone.query("SET LOCAL work_mem = '7MB'").check()
    proc.wait_until("the block to end", lambda: "ended" in changes(before, events(pooler)), 5)
    for _ in range(5):
        assert client.value("SHOW work_mem") == "4MB"
    assert changes(before, events(pooler)) == {"began": 1, "ended": 1}


# --- many statements at once ---------------------------------------------------------------------


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_pipelined_units(client, where, extended):
    one = pgwire.prepared if extended else pgwire.query
    sqls = ["BEGIN", "SELECT 'a'", "SELECT 'b'", "SAVEPOINT s", "SELECT 'c'",
            "UPDATE item SET n = 3 WHERE id = 2", "SELECT n FROM item WHERE id = 2",
            "ROLLBACK TO s", "SELECT n FROM item WHERE id = 2", "COMMIT", "SELECT 'd'",
            "BEGIN", "SELECT 'e'", "SELECT 1 / 0", "SELECT 'f'", "ROLLBACK", "SELECT 'g'"]
    for _ in range(20):
        wait_replica_read(client, where)
        client.send(b"".join(one(s) for s in sqls))
        results = [client.result() for _ in sqls]
        assert [r.rows[0][0] if r.rows else None for r in results] == [
            None, "a", "b", None, "c", None, "3", None, "0", None, "d", None, "e", None, None,
            None, "g"]
        assert [r.status for r in results] == list("TTTTTTTTTIITTEEII")
        assert [r.sqlstate for r in results if r.errors] == ["22012", "25P02"]


def test_a_series_of_reads_and_a_write_moves_as_a_whole(client, where):
    begin(client, where)
    mark = new_mark()
    read = parse("", mark + "SELECT n FROM item WHERE id = 5") + bind() + execute()
    result = client.run(read + read + parse("", "UPDATE item SET n = 4 WHERE id = 5") + bind()
                        + execute() + read + pgwire.SYNC)
    assert result.rows == [("0",), ("0",), ("4",)] and where.ran(mark) == {"primary"}
    client.query("ROLLBACK").check()


def test_a_series_of_reads_that_fails_runs_again_as_a_whole(client, where):
    begin(client, where)
    read = parse("", "SELECT n FROM item WHERE id = 5") + bind() + execute()
    result = client.run(read + parse("x", "SELECT 1 / (n - n) FROM item") + bind("", "x")
                        + execute() + read + pgwire.SYNC)
    assert result.rows == [("0",)] and result.sqlstate == "22012" and result.status == "E"
    assert result.kinds == "12DC12EZ"
    client.query("ROLLBACK").check()
    assert client.run(bind("", "x") + execute() + pgwire.SYNC).sqlstate == "22012", "it is there"


def series(*sqls):
    return b"".join(parse("", s) + bind() + describe("P") + execute() for s in sqls) + pgwire.SYNC


def test_a_begin_at_the_front_of_a_series(pooler, client, where):
    """As pgjdbc and psycopg's pipelines send it."""
    wait_replica_read(client, where)
    before = events(pooler)
    mark = new_mark()
    begins = parse("", "BEGIN") + bind() + execute()
    result = client.run(begins + series(mark + "SELECT n FROM item WHERE id = 1"))
    assert result.kinds == "12C12TDCZ" and result.status == "T"
    assert result.tags == ["BEGIN", "SELECT 1"] and where.ran(mark) <= {"standby1", "standby2"}
    assert where.of(client, "UPDATE item SET n = 2 WHERE id = 1") == "primary"
    assert client.query("ROLLBACK").status == "I"
    assert changes(before, events(pooler)) == {"began": 1, "moved_write": 1}
    client.run(parse("b", "BEGIN") + pgwire.SYNC).check()
    wait_replica_read(client, where)
    result = client.run(bind("", "b") + execute() + series("SELECT 1", "SELECT 2"))
    assert result.tags == ["BEGIN", "SELECT 1", "SELECT 1"] and result.status == "T"
    assert where.of(client) != "primary"
    client.query("COMMIT").check()


@pytest.mark.parametrize("sqls, tags, sqlstate, status", [
    (["SELECT 1", "SELECT 1/0", "SELECT 2"], ["BEGIN", "SELECT 1"], "22012", "E"),
    (["UPDATE item SET n = 1 WHERE id = 1"], ["BEGIN", "UPDATE 1"], None, "T"),
    (["SELECT 1", "COMMIT"], ["BEGIN", "SELECT 1", "COMMIT"], None, "I"),
    (["SELECT now() = now()"], ["BEGIN", "SELECT 1"], None, "T"),
    (["SET TRANSACTION READ ONLY", "SELECT 1"], ["BEGIN", "SET", "SELECT 1"], None, "T")])
def test_a_begin_at_the_front_of_any_series(client, where, sqls, tags, sqlstate, status):
    wait_replica_read(client, where)
    result = client.run(series("BEGIN", *sqls))
    assert (result.tags, result.sqlstate, result.status) == (tags, sqlstate, status)
    client.query("ROLLBACK").check()
    assert client.query("SELECT 1").status == "I"


def test_psycopg3_pipeline(pooler, where):
    with pooler.raw() as raw:
        wait_replica_read(raw, where)
    conn = psycopg.connect(**pooler._target("app", "app"), sslmode="disable")
    before = events(pooler)
    with conn.pipeline():
        cursors = [conn.execute("SELECT %s::int", (i,)) for i in range(5)]
    assert [c.fetchone()[0] for c in cursors] == list(range(5))
    conn.commit()
    assert changes(before, events(pooler)) == {"began": 1, "ended": 1}
    conn.close()


def test_copy(client, where):
    node = begin(client, where)
    rows = client.query("COPY (SELECT id FROM item ORDER BY 1) TO STDOUT")
    assert rows.tags == ["COPY 20"] and where.of(client) == node
    client.send(pgwire.query("COPY item FROM STDIN"))
    assert client.read_message().kind == "G"
    client.send(pgwire.copy_data(b"70\t7\n") + pgwire.COPY_DONE)
    assert client.result().tags == ["COPY 1"]
    assert where.of(client) == "primary"
    assert client.value("SELECT n FROM item WHERE id = 70") == "7"
    client.query("ROLLBACK").check()


# --- drivers -------------------------------------------------------------------------------------


def test_psycopg2_as_it_comes(pooler, where):
    conn = psycopg2.connect(**pooler._target("app", "app"), sslmode="disable")
    with pooler.raw() as raw:
        wait_replica_read(raw, where)
    before = events(pooler)
    with conn, conn.cursor() as cur:
        for _ in range(3):
            cur.execute("SELECT n FROM item WHERE id = %s", (6,))
            assert cur.fetchone() == (0,)
        cur.execute("UPDATE item SET n = 6 WHERE id = 6")
        cur.execute("SELECT n FROM item WHERE id = 6")
        assert cur.fetchone() == (6,)
    assert changes(before, events(pooler)) == {"began": 1, "moved_write": 1}
    with conn, conn.cursor() as cur:
        cur.execute("SELECT n FROM item WHERE id = 6")
        assert cur.fetchone() == (6,)
    conn.close()


def test_psycopg3_as_it_comes(pooler, where):
    conn = psycopg.connect(**pooler._target("app", "app"), sslmode="disable", prepare_threshold=2)
    with pooler.raw() as raw:
        wait_replica_read(raw, where)
    before = events(pooler)
    for i in range(8):  # prepared from the third time on
        assert conn.execute("SELECT n FROM item WHERE id = %s", (i + 1,)).fetchone() == (0,)
    with conn.transaction():  # a savepoint
        assert conn.execute("SELECT count(*) FROM item").fetchone() == (20,)
    conn.commit()
    assert changes(before, events(pooler)) == {"began": 1, "ended": 1}
    with pytest.raises(psycopg.errors.DivisionByZero):
        with conn.transaction():
            conn.execute("SELECT n FROM item WHERE id = %s", (1,))
            with conn.transaction():
                conn.execute("UPDATE item SET n = 1 WHERE id = %s", (1,))
            conn.execute("SELECT 1 / 0")
    assert conn.execute("SELECT n FROM item WHERE id = %s", (1,)).fetchone() == (0,)
    conn.close()


# --- what can be seen ----------------------------------------------------------------------------


def explained(client, sql):
    return "\n".join(r[0] for r in client.query(f"EXPLAIN ROUTE {sql}").check().rows)


def test_explain_route_tells_of_the_block(client, where):
    client.query("BEGIN").check()
    assert "may begin on a replica" in explained(client, "SELECT 1")
    assert "does not begin on a replica" in explained(client, "SELECT now()")
    begin_node = where.of(client)
    assert begin_node != "primary"
    assert "(in_transaction)" in explained(client, "SELECT 1")
    for sql, cause in (("SELECT now()", "time"), ("UPDATE item SET n = 1", "write"),
                       ("DECLARE c CURSOR FOR SELECT 1", "cursor"), ("SET work_mem = 1", "session")):
        text = explained(client, sql)
        assert re.search(rf"Route: moves from .* to the primary \({cause}\)", text), text
        assert "transaction_reads = replica" in text
    for sql in ("SAVEPOINT a", "SET LOCAL work_mem = '1MB'", "COMMIT"):
        assert "(in_transaction)" in explained(client, sql)
    assert where.of(client) == begin_node, "nothing was run"
    client.query("UPDATE item SET n = 1").check()
    assert "has moved there" in explained(client, "SELECT 1")
    client.query("ROLLBACK").check()


def test_routes_and_metrics_count(pooler, client, where):
    def moved():
        return sum(int(r["units"]) for r in pooler.show("ROUTES") if r["reason"] == "moved")
    before = moved()
    begin(client, where)
    client.query("UPDATE item SET n = 1").check()
    client.query("ROLLBACK").check()
    assert moved() == before + 1
    url = f"http://127.0.0.1:{pooler.stats_port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    now = events(pooler)
    assert f'pgweir_replica_transactions_total{{database="app"}} {now["began"]}' in text
    assert f'pgweir_replica_transactions_ended_total{{database="app"}} {now["ended"]}' in text
    assert ('pgweir_replica_transactions_moved_total{database="app",cause="write"} '
            f'{now["moved_write"]}') in text


def test_it_is_switched_on_and_off_by_a_reload(site, where):
    with site.pgweir_routed("max_lag=10s", settings={"workers": 1}) as p, p.raw() as one:
        wait_routing(p, where)
        prepared = parse("t", "SELECT now()") + pgwire.SYNC
        one.run(prepared).check()
        one.query("BEGIN").check()
        assert where.of(one) == "primary"
        one.query("COMMIT").check()
        assert not p.show("TRANSACTION_READS")
        p.databases["app"] += " transaction_reads=replica"
        p.reload()

        def on_replica():
            one.query("BEGIN").check()
            node = where.of(one)
            one.query("COMMIT").check()
            return node != "primary"
        proc.wait_until("blocks on replicas", on_replica, 10 * p.slow, 0.1)
        wait_replica_read(one, where)
        begin(one, where)
        one.run(bind("", "t") + execute() + pgwire.SYNC).check()
        assert where.of(one) == "primary", "what it was judged before is not believed"
        p.databases["app"] = p.databases["app"].replace("transaction_reads=replica", "")
        one.query("COMMIT").check()
        wait_replica_read(one, where)
        begin(one, where)
        p.reload()
        assert where.of(one, "UPDATE item SET n = n") == "primary", "a block that was under way"
        one.query("COMMIT").check()
        one.query("BEGIN").check()
        assert where.of(one) == "primary"
        one.query("COMMIT").check()


def test_routing_must_be_on(site):
    with pytest.raises(RuntimeError, match="transaction_reads=replica"):
        with site.pgweir_routed("transaction_reads=replica route=primary"):
            pass


# --- a replica that is not fit any more ----------------------------------------------------------


def test_a_replica_that_lags_is_left(site, where):
    with site.pgweir_routed("transaction_reads=replica max_lag=700ms",
                            settings={"workers": 1}) as p:
        wait_routing(p, where)
        with p.raw() as one:
            one.query("UPDATE item SET n = n").check()
            wait_replica_read(one, where)
            begin(one, where)
            before = events(p)
            for standby in site.cluster.standbys:
                standby.pause_replay()
            try:
                end = time.monotonic() + 20
                while where.of(one) != "primary":
                    site.cluster.primary.sql("UPDATE item SET n = n", "app")
                    assert time.monotonic() < end
                    time.sleep(0.1)
            finally:
                for standby in site.cluster.standbys:
                    standby.resume_replay()
            one.query("COMMIT").check()
            assert changes(before, events(p)) == {"moved_node": 1}
        site.cluster.wait_caught_up()


def test_one_server_of_each_node_is_enough(site, where):
    """A block that moves has let its replica go before it waits for the primary."""
    with start(site, default_pool_size=1, query_wait_timeout=10) as p:
        wait_routing(p, where)
        with p.raw() as one, p.raw() as other:
            one.query("UPDATE item SET n = n").check()
            wait_replica_read(one, where)
            wait_replica_read(other, where)
            other.query("BEGIN; UPDATE item SET n = n WHERE id = 1").check()
            begin(one, where)
            one.send(pgwire.query("UPDATE item SET n = n WHERE id = 2"))
            time.sleep(0.3)
            with p.raw() as third:
                wait_replica_read(third, where)
            other.query("COMMIT").check()
            assert one.result().check().status == "T"
            one.query("COMMIT").check()
