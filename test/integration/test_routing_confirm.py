"""A block of REPEATABLE READ READ ONLY on a replica, behind its first answer: it has one snapshot,
which no other node has. Of an error that the replica's older state may have caused the primary is
asked, out of the client's sight: what it would not have given is told as 40001, and counted; the
statement's own error is told as it is."""
import contextlib
import time

import pgwire
import psycopg
import psycopg2
import pytest
from pgwire import SYNC, bind, execute, parse, query
from test_routing import replays
from test_routing_exceptions import BLOCK, counts, hold_replay
from tools import proc
from where import wait_replica_read, wait_routing, where_fixture

where = where_fixture("own_site")
PLACES = 4  # for servers on each node
BEGIN = BLOCK.format("REPEATABLE READ")
STALE = ("SELECT n FROM granted", "SELECT n FROM created", "SELECT added FROM changed",
         "SELECT made()", "SELECT n FROM sch.other")
CODES = ("42501", "42P01", "42703", "42883", "42P01")


@pytest.fixture
def cluster(own_site):
    return own_site.cluster


@pytest.fixture(scope="module")
def stale(own_site, where):
    """
    A pgweir that reads on replicas; they have not replayed what the primary has got, and have
    `held` locked. It has known them before, else it would not know how far they lag.
    """
    cluster = own_site.cluster
    locker = psycopg2.connect(
        host=cluster.socket_dir, port=cluster.primary.port, user="postgres", dbname="app")
    try:
        cluster.primary.sql(
            "CREATE TABLE granted AS SELECT 7 AS n; CREATE TABLE changed AS SELECT 7 AS n;"
            "GRANT SELECT ON changed TO app; CREATE SCHEMA sch; GRANT USAGE ON SCHEMA sch TO app;"
            "CREATE TABLE divided AS SELECT g AS n FROM generate_series(-1, 3) g;"
            "GRANT SELECT ON divided TO app;"
            "CREATE TABLE held AS SELECT 7 AS n; GRANT SELECT ON held TO app", "app")
        cluster.wait_caught_up()
        settings = {"default_pool_size": PLACES}
        with own_site.pgweir_routed("consistency=eventual max_lag=1h primary_reads=never",
                                    settings=settings) as p:
            wait_routing(p, where)
            p.wait_log("catalog loaded")
            hold_replay(cluster, locker)
            cluster.primary.sql(
                "GRANT SELECT ON granted TO app; CREATE TABLE created AS SELECT 7 AS n;"
                "CREATE TABLE sch.other AS SELECT 7 AS n; GRANT SELECT ON sch.other TO app;"
                "GRANT SELECT ON created TO app; ALTER TABLE changed ADD COLUMN added int DEFAULT 7;"
                "CREATE FUNCTION made() RETURNS int STABLE LANGUAGE sql AS 'SELECT 7';"
                "DELETE FROM divided WHERE n = 0", "app")
            yield p
    finally:
        locker.close()
        for standby in cluster.standbys:
            standby.resume_replay()
        cluster.primary.sql(
            "DROP TABLE IF EXISTS granted, created, changed, divided, held;"
            "DROP SCHEMA IF EXISTS sch CASCADE; DROP FUNCTION IF EXISTS made", "app")
        cluster.wait_caught_up()


@pytest.fixture
def behind(stale):
    stale.before = (counts(stale)[1], {c: replays(stale, c) for c in ("missing", "canceled")})
    yield stale


def told(pooler):
    """How many blocks of this test were told 40001, as pgweir counts them."""
    answers, blocks = counts(pooler)
    assert answers == 0
    return blocks - pooler.before[0]


def asked(pooler, cause):
    return replays(pooler, cause) - pooler.before[1][cause]


@pytest.fixture
def client(behind, where):
    with behind.raw() as c:
        begin(c, where)
        yield c


def begin(client, where, *sqls):
    """A block on a replica, though the last one may have broken there."""
    for sql in (BEGIN, "SELECT 1", "COMMIT"):
        client.query(sql).check()
    wait_replica_read(client, where)  # definitions have passed: the catalog is loaded again
    client.query(BEGIN).check()
    node = where.of(client)
    assert node != "primary"
    for sql in sqls:
        client.query(sql).check()
    return node


def is_stale(result):
    return (result.sqlstate, result.status) == ("40001", "E")


def unit(sql, extended, params=()):
    return pgwire.prepared(sql, params) if extended else query(sql)


SIMPLE_OR_NOT = pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])


@SIMPLE_OR_NOT
def test_what_is_not_replayed_is_told_40001(behind, client, where, extended):
    for n, (sql, code) in enumerate(zip(STALE, CODES), 1):
        result = client.run(unit(sql, extended))
        assert is_stale(result) and code in result.errors[0].fields["M"], (sql, result.errors)
        assert client.query("SELECT 1").sqlstate == "25P02"
        assert client.query("ROLLBACK").tags == ["ROLLBACK"]
        assert told(behind) == n
        begin(client, where)
    assert asked(behind, "missing") == len(STALE)


@SIMPLE_OR_NOT
def test_rows_that_are_gone_are_told_40001(behind, client, extended):
    """The rows ahead of the error are the client's already; it need not wait for the primary."""
    result = client.run(unit("SELECT 1 / n FROM divided ORDER BY n", extended))
    assert is_stale(result) and "22012" in result.errors[0].fields["M"]
    assert told(behind) == 1


@SIMPLE_OR_NOT
@pytest.mark.parametrize("sql, code", [
    ("SELECT 1/0", "22012"), ("SELECT n FROM nowhere", "42P01"), ("SELECT 'x'::int", "22P02"),
    ("SELECT rolname FROM pg_authid", "42501"), ("SELEC", "42601")])
def test_the_statements_own_error_stays(behind, client, where, sql, code, extended):
    node = where.of(client)
    client.query("SAVEPOINT a").check()
    client.query("SET LOCAL work_mem = '7MB'").check()
    result = client.run(unit(sql, extended))
    assert (result.sqlstate, result.status) == (code, "E")
    assert client.query("SELECT 1").sqlstate == "25P02"
    client.query("ROLLBACK TO a").check()
    assert client.value("SHOW work_mem") == "4MB" and where.of(client) == node
    assert client.query("COMMIT").tags == ["COMMIT"]
    assert told(behind) == 0


def test_a_block_goes_on_behind_its_savepoint(behind, client, where):
    """The replica keeps the block, whatever the primary says: ROLLBACK TO has its meaning."""
    node = where.of(client)
    first = client.value("SELECT count(*) FROM divided")
    client.query("SAVEPOINT a").check()
    for n in range(1, 4):
        assert is_stale(client.query(STALE[0])) and told(behind) == n
        client.query("ROLLBACK TO a").check()
        assert where.of(client) == node
        assert client.value("SELECT count(*) FROM divided") == first
    assert client.query("COMMIT").tags == ["COMMIT"]
    assert client.query("SELECT n FROM granted").check().value() == "7"  # asked of the primary


@SIMPLE_OR_NOT
def test_a_timeout_behind_replay_is_told_40001_and_one_of_its_own_not(behind, where, extended):
    with behind.raw() as one:
        for local in ("SET", "SET LOCAL"):
            begin(one, where, f"{local} statement_timeout = '300ms'")
            assert is_stale(one.run(unit("SELECT n FROM held", extended)))
            one.query("ROLLBACK").check()
            begin(one, where, f"{local} statement_timeout = '300ms'")
            assert one.run(unit("SELECT pg_sleep(9)", extended)).sqlstate == "57014"
            one.query("ROLLBACK").check()
        assert told(behind) == 2 and asked(behind, "canceled") == 4


def test_what_the_block_has_set_is_set_where_it_is_asked(behind, cluster, client):
    """SET LOCAL ROLE, its undoing, and a search_path decide what the primary says."""
    cluster.primary.sql("CREATE ROLE nobody_special; GRANT nobody_special TO app;")
    try:
        client.query("SAVEPOINT a").check()
        client.query("SET LOCAL search_path = sch").check()
        assert is_stale(client.query("SELECT n FROM other"))
        client.query("ROLLBACK TO a").check()
        assert client.query("SELECT n FROM other").sqlstate == "42P01"
        client.query("ROLLBACK TO a").check()
        client.run(unit("SET LOCAL search_path = sch", True)).check()
        assert is_stale(client.query("SELECT n FROM other"))
        client.query("ROLLBACK").check()
        assert told(behind) == 2
    finally:
        cluster.primary.sql("DROP ROLE nobody_special")


def test_bound_values_and_named_statements(behind, client, where):
    """A value decides; a name that the failed series has made is the client's as it was told."""
    assert client.run(pgwire.prepared("SELECT 1 / $1::int", ["0"])).sqlstate == "22012"
    client.query("ROLLBACK").check()
    client.query(BEGIN).check()
    client.query("SELECT 1").check()
    series = (parse("made", "SELECT 1 / n FROM divided WHERE n < $1") + bind("", "made", [b"1"])
              + execute() + SYNC)
    assert is_stale(client.run(series))
    client.query("ROLLBACK").check()
    assert client.run(bind("", "made", [b"0"]) + execute() + SYNC).check().rows == [("-1",)]
    begin(client, where)
    assert is_stale(client.run(parse("not", STALE[1]) + SYNC))  # as if it had not been parsed
    client.query("ROLLBACK").check()
    assert client.run(bind("", "not") + execute() + SYNC).sqlstate == "26000"
    assert client.run(parse("not", STALE[1]) + bind("", "not") + execute() + SYNC).check().rows
    assert told(behind) == 2


@SIMPLE_OR_NOT
def test_a_pipeline_is_answered_in_order(behind, client, extended):
    sqls = ["SELECT 'a'", STALE[0], "SELECT 'b'", "SELECT 'c'", "ROLLBACK", "SELECT 'd'"]
    client.send(b"".join(unit(s, extended) for s in sqls))
    results = [client.result() for _ in sqls]
    assert [r.sqlstate for r in results] == [None, "40001", "25P02", "25P02", None, None]
    assert [r.status for r in results] == ["T", "E", "E", "E", "I", "I"]
    assert results[0].value() == "a" and results[-1].value() == "d"
    assert told(behind) == 1


def test_a_whole_block_in_one_write(behind, client, where):
    """Its second statement is sent before the first is answered: behind it nothing runs again."""
    client.query("ROLLBACK").check()
    for second, code in ((STALE[0], "40001"), ("SELECT 1/0", "22012")):
        wait_replica_read(client, where)
        sqls = [BEGIN, "SELECT 'a'", second, "SELECT 'b'", "ROLLBACK"]
        client.send(b"".join(map(query, sqls)))
        results = [client.result() for _ in sqls]
        assert [r.sqlstate for r in results] == [None, None, code, "25P02", None]
        assert results[-1].tags == ["ROLLBACK"] and results[-1].status == "I"
    assert told(behind) == 1


def test_a_series_of_several_statements(behind, client):
    """The ones ahead of the failed one are told, and run once more where they can do nothing."""
    def one(sql):
        return parse("", sql) + bind() + execute()
    result = client.run(one("SELECT 'a'") + one(STALE[0]) + one("SELECT 'b'") + SYNC)
    assert is_stale(result) and result.rows == [("a",)]
    assert told(behind) == 1


def test_nothing_is_left_on_the_primary(behind, cluster, client, where):
    """Neither an open transaction nor a connection for each of ten errors."""
    for _ in range(10):
        assert is_stale(client.query(STALE[0]))
        client.query("ROLLBACK").check()
        begin(client, where)
    rows = [r for r in behind.show("SERVERS") if r["user"] == "app"
            and int(r["port"]) == cluster.primary.port]
    assert len(rows) <= 3 and all(r["state"] in ("idle", "used") for r in rows)
    assert cluster.primary.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND xact_start IS NOT NULL") == "0"


def test_a_full_pool_is_waited_for(behind, client, where):
    """All places on the primary are taken: the question stands in line as any unit."""
    with contextlib.ExitStack() as stack:
        holders = [stack.enter_context(behind.raw()) for _ in range(PLACES)]
        for holder in holders:
            holder.query("BEGIN").check()
            assert where.of(holder, "SELECT txid_current() IS NULL") == "primary"
        client.send(query(STALE[0]))
        assert client.is_silent_for(0.5)
        holders[0].query("COMMIT").check()
        assert is_stale(client.result())
    assert told(behind) == 1


def test_what_cannot_be_asked(behind, client, where):
    """What is no plain read may have an effect: whether its error is of the replica's state is told by
    its code. What a READ ONLY transaction is refused everywhere is not."""
    client.query("SAVEPOINT a").check()
    assert is_stale(client.query("SELECT pg_is_in_recovery() FROM granted"))
    client.query("ROLLBACK TO a").check()
    assert asked(behind, "missing") == 0
    for sql, code in (("CREATE TABLE nowhere ()", "25006"),
                      ("SELECT set_config('app.x', 'y', true), 1/0", "22012")):
        assert client.query(sql).sqlstate == code
        client.query("ROLLBACK TO a").check()
    assert told(behind) == 1
    assert is_stale(client.query("SELECT set_config('app.x', n::text, true) FROM granted"))
    client.query("ROLLBACK TO a").check()
    assert is_stale(client.query("SELECT pg_current_wal_lsn()"))
    assert asked(behind, "missing") == 0
    assert client.query("ROLLBACK").tags == ["ROLLBACK"]
    assert told(behind) == 3


@SIMPLE_OR_NOT
@pytest.mark.parametrize("sql", [
    STALE[0], "SELECT pg_current_wal_lsn()", "SELECT pg_current_xact_id()"])
def test_a_block_that_is_run_again_succeeds(behind, client, where, sql, extended):
    """On the primary, though the replicas are as they were; the one behind it is on a replica."""
    assert is_stale(client.run(unit(sql, extended)))
    client.query("ROLLBACK").check()
    assert where.of(client) != "primary", "it is for blocks alone"
    client.query(BEGIN).check()
    assert where.of(client) == "primary"
    assert len(client.run(unit(sql, extended)).check().rows) == 1
    client.query("COMMIT").check()
    client.query(BEGIN).check()
    assert where.of(client) != "primary"
    assert told(behind) == 1


def test_psycopg(behind, client):
    """As an application sees it: SerializationFailure, to be run again; its own error otherwise."""
    with behind.connect3() as conn:
        conn.autocommit = False
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        for sql, values, error in ((STALE[0], None, psycopg.errors.SerializationFailure),
                                   ("SELECT 1 / %s::int", (0,), psycopg.errors.DivisionByZero)):
            with pytest.raises(error):
                with conn.transaction():
                    conn.execute("SELECT %s::int", (1,))
                    conn.execute(sql, values, prepare=True)
        conn.read_only = False
        with conn.transaction():
            assert conn.execute("SELECT n FROM granted").fetchone() == (7,)
    assert told(behind) == 1


def test_without_a_primary_nobody_knows(behind, cluster, client, where):
    """What a primary may give as well is told; what only a standby lacks waits, and is 40001."""
    with behind.raw() as other:
        begin(other, where)
        behind.reload(query_wait_timeout="2")
        cluster.primary.stop("immediate")
        try:
            behind.wait_show("NODES", lambda r: r["health"] == "down", 30,
                             node=f"127.0.0.1:{cluster.primary.port}")
            assert client.query("SELECT 1/0").sqlstate == "22012"
            assert told(behind) == 0
            begun = time.monotonic()
            assert is_stale(other.query(STALE[1]))
            assert 1.5 < time.monotonic() - begun < 15 and told(behind) == 1
            assert other.query("ROLLBACK").tags == ["ROLLBACK"]
            other.query(BEGIN).check()  # it is not kept for a primary
            assert where.of(other) != "primary"
        finally:
            cluster.primary.start()


def slow_on_the_primary(cluster):
    """A session of the primary's that holds what a stale read asks for there."""
    locker = psycopg2.connect(
        host=cluster.socket_dir, port=cluster.primary.port, user="postgres", dbname="app")
    locker.cursor().execute("LOCK TABLE created")
    return locker


def waiting(cluster):
    return cluster.primary.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                               " AND usename = 'app'")


@pytest.mark.parametrize("how", ["cancelled", "terminated", "ended", "client", "timeout", "replica"])
def test_what_happens_while_the_primary_is_asked(behind, cluster, client, where, how):
    node = cluster.node(where.of(client))
    if how == "timeout":  # the primary's lock lasts for longer than it may take
        client.query("SET LOCAL lock_timeout = '1s'").check()
    locker = slow_on_the_primary(cluster)
    try:
        client.send(query(STALE[1]))
        proc.wait_until("it to be asked", lambda: waiting(cluster) == "1")
        assert client.is_silent_for(0.2)
        app = "SELECT {}(pid) FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid()"
        if how == "cancelled":
            client.send_cancel()
        elif how == "terminated":
            cluster.primary.sql(app.format("pg_terminate_backend"))
        elif how == "replica":
            node.sql(app.format("pg_terminate_backend"))
            node.kill()
        elif how == "ended":  # the session, by its number
            with behind.raw() as caller:
                assert caller.value(f"SELECT pg_terminate_backend({client.pid})") == "t"
            told_last = [m.fields()["C"] for m in client.wait_closed() if m.kind == "E"]
            assert told_last == ["57P01"] and told(behind) == 0
        if how == "client":
            client.close()
        elif how != "ended":
            result = client.result()
            code = "57014" if how == "cancelled" else "40001"
            assert (result.sqlstate, result.status) == (code, "E")
            assert client.query("SELECT 1").sqlstate == "25P02"
            client.query("ROLLBACK").check()
            assert told(behind) == (0 if how == "cancelled" else 1)
        proc.wait_until("the primary to be left", lambda: waiting(cluster) == "0")
    finally:
        locker.close()
        if not node.is_running():
            node.start()
            node.pause_replay()
    with behind.raw() as one:
        assert one.value("SELECT 7") == "7"
    proc.wait_until("all to be let go", lambda: all(
        r["state"] in ("idle", "used") for r in behind.show("SERVERS") if r["user"] == "app"))
