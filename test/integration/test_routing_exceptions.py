"""The two cases in which a client of a replica is told what a primary would not have told it: a
large answer that breaks off, and a READ ONLY block that is bound to its replica. Both are counted.
A READ COMMITTED block that is READ ONLY goes on elsewhere, unseen."""
import contextlib
import time

import pgwire
import psycopg2
import pytest
from pgwire import Closed, bind, execute, parse, query
from test_routing import replays
from test_stats import metrics, total
from tools import proc
from where import new_mark, wait_replica_read, wait_routing, where_fixture

where = where_fixture("own_site")
LARGE = "SELECT repeat('x', 1000) FROM generate_series(1, 1000)"  # 1 MB: window and sockets
BLOCK = "BEGIN ISOLATION LEVEL {} READ ONLY"


@pytest.fixture
def cluster(own_site):
    return own_site.cluster


@pytest.fixture
def pooler(own_site, where):
    settings = {"default_pool_size": 5, "replay_window": "16kB"}
    with own_site.pgweir_routed(settings=settings) as p:
        wait_routing(p, where)
        yield p


@pytest.fixture
def client(pooler):
    with pooler.raw() as c:
        yield c


@pytest.fixture(autouse=True)
def healthy(cluster):
    yield
    for node in cluster.nodes:
        if not node.is_running():
            node.start()


def counts(pooler):
    """(broken_answers, broken_blocks), the same of SHOW ROUTES and of the metrics."""
    rows = pooler.show("ROUTES")
    shown = tuple(sum(int(r[c]) for r in rows) for c in ("broken_answers", "broken_blocks"))
    families = metrics(pooler)
    assert shown == tuple(total(families, f"pgweir_{c}_total", database="app")
                          for c in ("broken_answers", "broken_blocks"))
    broken = [r for r in rows if r["broken_answers"] != "0" or r["broken_blocks"] != "0"]
    assert all(r["node"] != "-" for r in broken)
    return shown


def node_of(cluster, where, mark):
    proc.wait_until("the statement to run", lambda: where.ran(mark), 20)
    names = where.ran(mark)
    assert len(names) == 1
    node = cluster.node(names.pop())
    assert node.is_standby()
    return node


def terminate(node, mark):
    node.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
             f" AND position('{mark}' IN query) > 0")


def large(client, cluster, where):
    """A large answer that is passed on and does not end: the node, where it runs."""
    mark = new_mark()
    client.send(query(f"{mark}{LARGE} UNION ALL SELECT 'end' FROM pg_sleep(60)"))
    return node_of(cluster, where, mark), mark


def test_large_answer_that_breaks_off_is_told_and_counted(pooler, client, cluster, where):
    assert counts(pooler) == (0, 0)
    node, mark = large(client, cluster, where)
    terminate(node, mark)
    result = client.result()
    assert result.sqlstate == "57P01" and result.status == "I" and len(result.rows) > 16
    assert counts(pooler) == (1, 0)
    assert client.value("SELECT 7") == "7"
    assert counts(pooler) == (1, 0)


def test_large_answer_of_a_killed_replica_is_counted(pooler, client, cluster, where):
    node, _ = large(client, cluster, where)
    node.kill()
    try:
        assert client.result().sqlstate in ("08006", "57P01", "57P02")
    except Closed:  # it broke off inside a row: nothing can be told
        pass
    assert counts(pooler) == (1, 0)


def test_answer_within_the_window_runs_elsewhere_and_is_not_counted(
        pooler, client, cluster, where):
    mark = new_mark()
    client.send(query(f"{mark}SELECT 7 FROM pg_sleep(2)"))
    terminate(node_of(cluster, where, mark), mark)
    assert client.result().value() == "7"
    assert counts(pooler) == (0, 0)
    assert (replays(pooler, "shutdown"), replays(pooler, "lost")) == (1, 0), "it has said why"
    assert [r["sqlstate"] for r in pooler.show("ERRORS") if r["source"] == "replayed"] == ["57P01"]


def test_block_whose_replica_dies_after_an_answer_is_told_40001(pooler, client, cluster, where):
    client.query(BLOCK.format("REPEATABLE READ")).check()
    node = cluster.node(where.of(client))
    assert node.is_standby() and counts(pooler) == (0, 0)
    node.kill()
    result = client.query("SELECT 1")
    assert result.sqlstate == "40001" and result.status == "E"
    assert counts(pooler) == (0, 1)
    client.query("ROLLBACK").check()
    client.query(BLOCK.format("REPEATABLE READ")).check()
    assert client.value("SELECT 7") == "7"
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 1)


def test_block_whose_statement_is_lost_is_told_40001(pooler, client, cluster, where):
    client.query(BLOCK.format("REPEATABLE READ")).check()
    client.query("SELECT 1").check()
    mark = new_mark()
    client.send(query(f"{mark}SELECT 7 FROM pg_sleep(60)"))
    terminate(node_of(cluster, where, mark), mark)
    result = client.result()
    assert result.sqlstate == "40001" and result.status == "E"
    client.query("ROLLBACK").check()
    assert counts(pooler) == (0, 1)


def test_block_before_its_first_answer_runs_elsewhere(pooler, client, cluster, where):
    client.query(BLOCK.format("REPEATABLE READ")).check()
    mark = new_mark()
    client.send(query(f"{mark}SELECT 7 FROM pg_sleep(2)"))
    terminate(node_of(cluster, where, mark), mark)
    assert client.result().value() == "7"
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 0)


@contextlib.contextmanager
def a_table_in_conflict(cluster):
    """`conflict`, of 100 rows; what the standbys replay cancels statements soon."""
    for standby in cluster.standbys:
        standby.sql("ALTER SYSTEM SET max_standby_streaming_delay = '100ms'")
        standby.sql("SELECT pg_reload_conf()")
    cluster.primary.sql("CREATE TABLE conflict AS SELECT generate_series(1, 100) AS n;"
                        "GRANT SELECT ON conflict TO app", "app")
    cluster.wait_caught_up()
    try:
        yield
    finally:
        cluster.primary.sql("DROP TABLE IF EXISTS conflict", "app")
        for standby in cluster.standbys:
            standby.sql("ALTER SYSTEM RESET max_standby_streaming_delay")
            standby.sql("SELECT pg_reload_conf()")


def test_recovery_conflict_in_a_block_is_counted(pooler, client, cluster, where):
    """What a standby must replay cancels the statement: 40001 of its own, and 40001 it stays."""
    with a_table_in_conflict(cluster):
        client.query(BLOCK.format("REPEATABLE READ")).check()
        proc.wait_until("the table", lambda: client.query("SELECT n FROM conflict").sqlstate is None)
        mark = new_mark()
        client.send(query(f"{mark}SELECT count(*), pg_sleep(20) FROM conflict"))
        node_of(cluster, where, mark)
        cluster.primary.sql("DROP TABLE conflict", "app")
        result = client.result()
        assert result.sqlstate == "40001" and result.status == "E"
        client.query("ROLLBACK").check()
        assert counts(pooler) == (0, 1)


def test_own_error_in_a_block_is_passed_on_and_not_counted(pooler, client, where):
    client.query(BLOCK.format("REPEATABLE READ")).check()
    assert where.of(client) != "primary"
    assert client.query("SELECT 1/0").sqlstate == "22012"
    client.query("ROLLBACK").check()
    client.query(BLOCK.format("REPEATABLE READ")).check()
    client.query("SELECT 1").check()
    assert client.query("CREATE TABLE nowhere ()").sqlstate == "25006"
    client.query("ROLLBACK").check()
    assert counts(pooler) == (0, 0)


@pytest.mark.parametrize("sqlstate, told, n", [
    ("XX000", "40001", 1), ("XX001", "40001", 1), ("58030", "40001", 1), ("22012", "22012", 0)])
def test_an_error_of_the_node_in_a_block_is_told_40001(
        pooler, client, cluster, where, sqlstate, told, n):
    cluster.primary.sql("CREATE FUNCTION weak() RETURNS int STABLE LANGUAGE plpgsql AS "
                        f"$$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$", "app")
    try:
        cluster.wait_caught_up()
        client.query(BLOCK.format("REPEATABLE READ")).check()
        assert where.of(client) != "primary"
        result = client.query("SELECT weak()")
        assert result.sqlstate == told and result.status == "E"
        client.query("ROLLBACK").check()
        assert counts(pooler) == (0, n)
    finally:
        cluster.primary.sql("DROP FUNCTION weak", "app")


# --- what holds a read up on a replica alone ---------------------------------------------------


def hold_replay(cluster, locker):
    """Replay stands still on all standbys, where it has the table `held` locked."""
    locker.cursor().execute("LOCK TABLE held")
    cluster.wait_caught_up()
    for standby in cluster.standbys:
        proc.wait_until("the lock there", lambda s=standby: s.sql(
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
            " AND relation = 'held'::regclass", "app") == "1")
        standby.pause_replay()
    locker.commit()


@pytest.fixture
def held_up(own_site, where):
    """A pgweir that reads on replicas, whose replay stands still and locks the table `held`."""
    cluster = own_site.cluster
    cluster.primary.sql("CREATE TABLE held AS SELECT 7 AS n; GRANT SELECT ON held TO app", "app")
    cluster.wait_caught_up()
    locker = psycopg2.connect(
        host=cluster.socket_dir, port=cluster.primary.port, user="postgres", dbname="app")
    with own_site.pgweir_routed("consistency=eventual max_lag=1h primary_reads=never "
                                "transaction_reads=replica", settings={"workers": 1}) as p:
        wait_routing(p, where)
        p.wait_log("catalog loaded")
        hold_replay(cluster, locker)
        try:
            yield p
        finally:
            locker.close()
            for standby in cluster.standbys:
                standby.resume_replay()
            cluster.primary.sql("DROP TABLE held", "app")
            cluster.wait_caught_up()


BLOCKS = {"lone": [], "READ ONLY": ["BEGIN READ ONLY", "SELECT 1"], "moving": ["BEGIN", "SELECT 1"],
          "REPEATABLE READ, first": [BLOCK.format("REPEATABLE READ")]}


def in_each_block(pooler, where, timeout):
    """A client in each of these blocks in turn, on a replica; what comes next waits for replay, and
    it alone has that timeout, which what comes before may take longer than on a busy machine."""
    for sqls in BLOCKS.values():
        with pooler.raw() as c:
            c.query("SET statement_timeout = 0").check()  # its worker knows the primary's defaults
            wait_replica_read(c, where)
            for sql in sqls:
                c.query(sql).check()
            c.query(f"SET {'LOCAL ' if sqls else ''}statement_timeout = '{timeout}'").check()
            yield c


def held_units(extended):
    mark = new_mark()
    return mark, (pgwire.prepared if extended else query)(f"{mark}SELECT n FROM held")


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_timeout_behind_replay_is_no_error_of_the_clients(held_up, where, extended):
    for n, one in enumerate(in_each_block(held_up, where, "1s")):  # the primary has as long
        mark, unit = held_units(extended)
        assert one.run(unit).check().value() == "7"
        assert "primary" in where.ran(mark) and replays(held_up, "canceled") == n + 1
    assert counts(held_up) == (0, 0)


def test_pipeline_behind_replay_is_answered_in_order(held_up, where):
    with held_up.raw() as one:
        wait_replica_read(one, where)
        one.query("SET statement_timeout = '300ms'").check()
        one.send(query("SELECT 1") + held_units(False)[1] + query("SELECT 2"))
        assert [one.result().value() for _ in range(3)] == ["1", "7", "2"]


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_what_waits_behind_a_read_is_not_mixed_with_it(held_up, where, extended):
    """It was gathered and judged while the read ahead of it was on the replica; that runs again."""
    for sql, values in (
            ("CREATE TEMP TABLE t ()", []), ("SHOW pgweir.last_lsn", None), ("LISTEN a", []),
            ("SET pgweir.route = 'primary'", []), ("BEGIN", []), ("DEALLOCATE ALL", []),
            ("SELECT pg_is_in_recovery(), '" + 99 * "x" + "'", [("f", 99 * "x")])):
        with held_up.raw() as one:
            wait_replica_read(one, where)
            one.query("SET statement_timeout = '300ms'").check()
            one.send(held_units(extended)[1] + query(sql) + query("SELECT 5"))
            read, behind, last = (one.result().check() for _ in range(3))
            assert read.value() == "7" and last.value() == "5"
            assert values is None or behind.rows == values, sql


@pytest.mark.parametrize("how", ["CancelRequest", "pg_cancel_backend"])
def test_what_the_client_cancels_behind_replay_is_told_once(held_up, cluster, where, how):
    for one in in_each_block(held_up, where, "0"):
        mark, unit = held_units(False)
        one.send(unit)
        node_of(cluster, where, mark)
        if how == "CancelRequest":
            one.send_cancel()
        else:
            with held_up.raw() as caller:
                assert caller.value(f"SELECT pg_cancel_backend({one.pid})") == "t"
        assert one.result().sqlstate == "57014"
        assert "primary" not in where.ran(mark)
        one.query("ROLLBACK").check()
        assert one.value("SELECT 1") == "1"
    assert counts(held_up) == (0, 0) and replays(held_up, "canceled") == 0


def test_what_was_cancelled_before_says_nothing_of_what_follows(held_up, where, cluster):
    """On the same server connection: the mark of a cancel is its unit's alone."""
    with held_up.raw() as one:
        wait_replica_read(one, where)
        one.query("BEGIN READ ONLY").check()
        one.query("SELECT 1").check()
        one.query("SAVEPOINT a").check()
        mark, unit = held_units(False)
        one.send(unit)
        node = node_of(cluster, where, mark)
        one.send_cancel()
        assert one.result().sqlstate == "57014"
        one.query("ROLLBACK TO a").check()
        assert where.of(one) == node.name
        one.query("SET LOCAL statement_timeout = '300ms'").check()
        assert one.value("SELECT n FROM held") == "7"
        assert where.of(one) == "primary"
        one.query("COMMIT").check()


def test_a_lock_that_replay_has_is_told_40001_in_a_block_with_a_snapshot(held_up, where):
    """55P03 at once: nothing else is in the way of such a block. A timeout if it is not its own."""
    for n, timeout in enumerate(("lock", "statement"), 1):
        with held_up.raw() as one:
            wait_replica_read(one, where)
            one.query(BLOCK.format("REPEATABLE READ")).check()
            assert where.of(one) != "primary"
            one.query(f"SET LOCAL {timeout}_timeout = '300ms'").check()
            result = one.query("SELECT n FROM held")
            assert result.sqlstate == "40001" and result.status == "E"
            one.query("ROLLBACK").check()
            assert counts(held_up) == (0, n)


def test_an_operators_cancel_on_a_replica_is_no_error_of_the_clients(held_up, cluster, where):
    """pg_cancel_backend() there, past pgweir: of the primary's statements it says nothing."""
    for one in in_each_block(held_up, where, "0"):
        mark, unit = held_units(False)
        one.send(unit)
        node_of(cluster, where, mark).sql(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            f" AND position('{mark}' IN query) > 0")
        assert one.result().check().value() == "7"
        one.query("ROLLBACK").check()
    assert counts(held_up) == (0, 0)


# --- READ ONLY, READ COMMITTED: it goes on elsewhere ---------------------------------------------


@pytest.fixture(scope="module")
def account(own_site):
    own_site.cluster.primary.sql(
        "CREATE TABLE account AS SELECT g AS id, 0 AS n FROM generate_series(1, 20) g;"
        "CREATE ROLE reader; GRANT reader TO app;"
        "GRANT SELECT ON account TO app, reader", "app")
    own_site.cluster.wait_caught_up()
    yield
    own_site.cluster.primary.sql("DROP TABLE account; DROP ROLE reader", "app")


def begin(client, cluster, where, *begins):
    """A READ ONLY block that has read on a replica: the node."""
    for _ in range(20):  # now and then the primary is the only one that is fit
        wait_replica_read(client, where)
        for sql in begins or ("BEGIN READ ONLY",):
            client.query(sql).check()
        node = cluster.node(where.of(client))
        if node.is_standby():
            return node
        client.query("ROLLBACK").check()
    raise AssertionError("it always begins on the primary")


def lose(client, node, how):
    """Between two statements: its node dies, or its backend alone."""
    if how == "killed":
        node.kill()
    else:
        mark = new_mark()
        client.query(mark + "SELECT 1").check()
        terminate(node, mark)
    time.sleep(0.2)


@pytest.mark.parametrize("before, begins, how", [
    ([], ["BEGIN READ ONLY"], "killed"), ([], ["BEGIN READ ONLY"], "terminated"),
    ([], ["BEGIN", "SET TRANSACTION READ ONLY"], "terminated"),
    ([], ["START TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY"], "terminated"),
    (["SET default_transaction_read_only = on"], ["BEGIN"], "killed"),
], ids=lambda v: v if isinstance(v, str) else "; ".join(v) or "-")
def test_it_goes_on_between_two_statements(pooler, client, cluster, where, before, begins, how):
    for sql in before:
        client.query(sql).check()
    node = begin(client, cluster, where, *begins)
    lose(client, node, how)
    assert where.of(client) == "primary"
    assert client.value("SHOW transaction_read_only") == "on"
    assert client.value("SHOW transaction_isolation") == "read committed"
    result = client.query("COMMIT")
    assert result.tags == ["COMMIT"] and result.status == "I"
    assert counts(pooler) == (0, 0)
    moved = [r for r in pooler.show("TRANSACTION_READS") if r["database"] == "app"]
    assert {r["event"]: r["transactions"] for r in moved if r["transactions"] != "0"} == {
        "began": "1", "moved_lost": "1"}


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("how", ["killed", "terminated"])
def test_it_goes_on_within_a_statement(pooler, client, cluster, where, how, extended):
    begin(client, cluster, where)
    client.query("SET LOCAL work_mem = '7MB'").check()
    mark = new_mark()
    one = pgwire.prepared if extended else query
    client.send(one(f"{mark}SELECT current_setting('work_mem') FROM pg_sleep(2)"))
    node = node_of(cluster, where, mark)
    if how == "killed":
        node.kill()
    else:
        terminate(node, mark)
    result = client.result().check()
    assert result.value() == "7MB" and result.status == "T"
    assert where.of(client, extended=extended) == "primary"
    assert client.query("COMMIT").tags == ["COMMIT"]
    assert counts(pooler) == (0, 0)


@pytest.mark.parametrize("within", [False, True], ids=["between", "within"])
def test_without_a_primary_it_goes_on_on_another_replica(pooler, client, cluster, where, within):
    node = begin(client, cluster, where)
    client.query("SET LOCAL work_mem = '7MB'").check()
    cluster.primary.stop("immediate")
    try:
        pooler.wait_show("NODES", lambda r: r["health"] == "down", 30,
                         node=f"127.0.0.1:{cluster.primary.port}")
        if within:
            mark = new_mark()
            client.send(query(f"{mark}SELECT 7 FROM pg_sleep(2)"))
            terminate(node_of(cluster, where, mark), mark)
            assert client.result().value() == "7"
        else:
            lose(client, node, "terminated")
        assert cluster.node(where.of(client)).is_standby()
        assert client.value("SHOW work_mem") == "7MB"
        assert client.query("COMMIT").tags == ["COMMIT"]
        assert counts(pooler) == (0, 0)
    finally:
        cluster.primary.start()


def test_what_it_has_set_is_there_again(pooler, client, cluster, where, account):
    node = begin(client, cluster, where)
    for sql in ("SET LOCAL work_mem = '7MB'", "SAVEPOINT a", "SET LOCAL work_mem = '8MB'",
                "SET LOCAL app.tenant = 'seven'", "SAVEPOINT b", "SET LOCAL ROLE reader",
                "SELECT n FROM account", "SAVEPOINT gone", "SET LOCAL work_mem = '9MB'",
                "ROLLBACK TO gone", "RELEASE gone"):
        client.query(sql).check()
    assert where.of(client) == node.name
    lose(client, node, "terminated")
    assert where.of(client) == "primary"
    tenant = "SELECT current_setting('app.tenant', true)"
    assert client.value("SHOW work_mem") == "8MB" and client.value(tenant) == "seven"
    assert client.value("SELECT current_user") == "reader"
    client.query("ROLLBACK TO b").check()
    assert client.value("SELECT current_user") == "app"
    client.query("ROLLBACK TO a").check()
    assert client.value("SHOW work_mem") == "7MB"
    assert client.query("ROLLBACK TO gone").sqlstate == "3B001"
    assert client.query("COMMIT").tags == ["ROLLBACK"]
    assert client.value("SHOW work_mem") == "4MB"
    assert counts(pooler) == (0, 0)


@pytest.mark.parametrize("first", ["SET LOCAL app.tenant = 'seven'", "SET LOCAL work_mem = '7MB'"])
def test_what_was_set_first_is_there_again(pooler, client, cluster, where, first):
    node = begin(client, cluster, where, "BEGIN READ ONLY", first)
    lose(client, node, "terminated")
    tenant = "SELECT current_setting('app.tenant', true)"
    assert client.value("SHOW work_mem") == ("7MB" if "work_mem" in first else "4MB")
    assert client.value(tenant) in (("seven",) if "tenant" in first else (None, ""))
    assert where.of(client) == "primary"
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 0)


def test_prepared_statements_are_there_again(pooler, client, cluster, where, account):
    client.run(parse("before", "SELECT n + 1 FROM account WHERE id = $1") + pgwire.SYNC).check()
    node = begin(client, cluster, where)
    client.run(parse("in", "SELECT n + 2 FROM account WHERE id = $1") + pgwire.SYNC).check()

    def run(name):
        return client.run(bind("", name, [b"3"]) + execute() + pgwire.SYNC).check().rows
    assert run("before") == [("1",)] and run("in") == [("2",)]
    lose(client, node, "terminated")
    assert run("before") == [("1",)] and run("in") == [("2",)]
    assert where.of(client) == "primary"
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 0)


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_pipelined_statements_go_on(pooler, client, cluster, where, extended):
    one = pgwire.prepared if extended else query
    begin(client, cluster, where)
    mark = new_mark()
    sqls = ["SELECT 'a'", "SAVEPOINT s", f"{mark}SELECT 'b' FROM pg_sleep(2)", "SELECT 'c'",
            "SELECT 'd'", "ROLLBACK TO s", "SELECT 'e'", "COMMIT", "SELECT 'f'"]
    client.send(b"".join(map(one, sqls)))
    terminate(node_of(cluster, where, mark), mark)
    results = [client.result().check() for _ in sqls]
    assert [r.rows[0][0] for r in results if r.rows] == list("abcdef")
    assert results[-2].tags == ["COMMIT"] and results[-2].status == "I"
    assert counts(pooler) == (0, 0)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_the_replica_is_lost_before_the_end(pooler, client, cluster, where, end):
    node = begin(client, cluster, where)
    lose(client, node, "killed")
    result = client.query(end)
    assert result.tags == [end] and result.status == "I"
    assert counts(pooler) == (0, 0)


def test_the_next_block_of_a_chain_goes_on_as_well(pooler, client, cluster, where):
    node = begin(client, cluster, where)
    client.query("SET LOCAL work_mem = '7MB'").check()
    client.query("COMMIT AND CHAIN").check()
    assert where.of(client) == node.name
    lose(client, node, "terminated")
    assert client.value("SHOW work_mem") == "4MB"
    assert client.value("SHOW transaction_read_only") == "on" and where.of(client) == "primary"
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 0)


def test_what_must_come_before_any_query_may_come_after_show(client, cluster, where):
    wait_replica_read(client, where)
    client.query("BEGIN READ ONLY").check()
    node = where.of(client, "SHOW work_mem")
    assert node != "primary" and where.of(client, "SHOW work_mem", True) == node
    client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").check()
    assert client.value("SHOW transaction_isolation") == "repeatable read"
    client.query("COMMIT").check()


def test_what_it_may_not_do_it_may_not_do_elsewhere(pooler, client, cluster, where, account):
    node = begin(client, cluster, where)
    lose(client, node, "terminated")
    client.query("SAVEPOINT a").check()
    assert client.query("SET TRANSACTION READ WRITE").sqlstate == "25001"
    client.query("ROLLBACK TO a").check()
    assert client.query("UPDATE account SET n = 1").sqlstate == "25006"
    assert client.query("SELECT 1").sqlstate == "25P02"
    assert client.query("COMMIT").tags == ["ROLLBACK"]
    assert counts(pooler) == (0, 0)


def test_a_recovery_conflict_behind_the_first_answer_is_not_told(pooler, client, cluster, where):
    with a_table_in_conflict(cluster):
        proc.wait_until("the table", lambda: client.query("SELECT n FROM conflict").sqlstate is None)
        begin(client, cluster, where)
        client.query("SAVEPOINT a").check()
        mark = new_mark()
        client.send(query(f"{mark}SELECT count(*), pg_sleep(2) FROM conflict"))
        node_of(cluster, where, mark)
        cluster.primary.sql("ALTER TABLE conflict ADD COLUMN m int", "app")  # its lock is replayed
        assert client.result().check().rows[0][0] == "100"
        assert where.of(client) == "primary"
        client.query("ROLLBACK TO a").check()
        client.query("COMMIT").check()
        assert counts(pooler) == (0, 0)


def test_an_error_of_its_own_is_the_primarys(pooler, client, cluster, where, account):
    begin(client, cluster, where)
    client.query("SAVEPOINT a").check()
    result, nodes = where.run(client, "SELECT 1 / n FROM account")
    assert result.sqlstate == "22012" and result.status == "E" and nodes == {"primary"}
    assert client.query("SELECT 1").sqlstate == "25P02"
    client.query("ROLLBACK TO a").check()
    assert where.of(client) == "primary"
    assert client.query("COMMIT").tags == ["COMMIT"]
    assert counts(pooler) == (0, 0)


def test_a_block_that_has_failed_stays_until_it_is_lost(pooler, client, cluster, where, account):
    """Its answer broke off behind replay_window: it is failed there, and lives on there."""
    node = begin(client, cluster, where)
    client.query("SET LOCAL work_mem = '7MB'").check()
    client.query("SAVEPOINT a").check()
    large_error = "SELECT repeat('x', 1000), 1 / (3000 - g) FROM generate_series(1, 4000) g"
    assert client.query(large_error).sqlstate == "22012"
    assert client.query("SELECT 1").sqlstate == "25P02"
    client.query("ROLLBACK TO a").check()
    assert where.of(client) == node.name and client.value("SHOW work_mem") == "7MB"
    lose(client, node, "terminated")
    assert where.of(client) == "primary" and client.value("SHOW work_mem") == "7MB"
    client.query("ROLLBACK TO a").check()
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 0)


def test_time_does_not_bind_it(pooler, client, cluster, where):
    """now() is that of the replica's transaction there, and a later one elsewhere."""
    node = begin(client, cluster, where)
    first = client.value("SELECT extract(epoch FROM now())")
    assert where.of(client, "SELECT now()") == node.name
    lose(client, node, "terminated")
    assert float(client.value("SELECT extract(epoch FROM now())")) > float(first)
    assert where.of(client) == "primary"
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 0)


CURSORS = {
    "cursor": query("DECLARE c CURSOR FOR SELECT id FROM account ORDER BY id"),
    "cursor with values": pgwire.prepared(
        "DECLARE c CURSOR FOR SELECT id FROM account WHERE id > $1", ["3"]),
    "portal": parse("", "SELECT id FROM account ORDER BY id") + bind("p") + execute("p", 3)
    + pgwire.SYNC,
}


@pytest.mark.parametrize("first", [False, True], ids=["later", "first"])
@pytest.mark.parametrize("what", CURSORS)
def test_a_cursor_is_the_primarys(pooler, client, cluster, where, account, what, first):
    """No other server has its place in its rows, so it must not be where a loss is told."""
    if first:
        wait_replica_read(client, where)
        client.query("BEGIN READ ONLY").check()
    else:
        begin(client, cluster, where)
        client.query("SET LOCAL lock_timeout = '7s'").check()
    rows = client.run(CURSORS[what]).check().rows
    if "cursor" in what:
        rows = client.query("FETCH 3 FROM c").check().rows
    assert len(rows) == 3 and where.of(client) == "primary"
    assert client.value("SHOW transaction_read_only") == "on"
    assert client.value("SHOW lock_timeout") == ("0" if first else "7s")
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 0)


def test_what_its_client_wants_on_a_replica_may_bind_it(pooler, client, cluster, where, account):
    """By the hint: a cursor, a portal, what is not proved to be a read. A plain read does not."""
    def lost_behind(sql, then=None):
        for _ in range(20):
            wait_replica_read(client, where)
            client.query("BEGIN READ ONLY").check()
            result, nodes = where.run(client, sql)
            result.check()
            if "primary" not in nodes:
                break
            client.query("ROLLBACK").check()
        if then:
            assert len(client.query(then).check().rows) == 2
        lose(client, cluster.node(nodes.pop()), "terminated")
        result = client.query("SELECT 1")
        client.query("ROLLBACK").check()
        return result.sqlstate
    hint = "/* pgweir: replica */ "
    assert lost_behind(hint + "SELECT 1") is None
    assert counts(pooler) == (0, 0)
    assert lost_behind(hint + "DECLARE c CURSOR FOR SELECT id FROM account", "FETCH 2 FROM c") == "40001"
    assert lost_behind(hint + "SELECT pg_is_in_recovery()") == "40001"
    client.query("SET pgweir.route = replica").check()
    assert lost_behind("DECLARE c CURSOR FOR SELECT id FROM account", "FETCH 2 FROM c") == "40001"
    client.query("RESET pgweir.route").check()
    assert counts(pooler) == (0, 3)
    node = begin(client, cluster, where)  # the next one is not bound by what those did
    client.query("SAVEPOINT a").check()
    lose(client, node, "terminated")
    client.query("ROLLBACK TO a").check()
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 3)


LEAVES = {  # where a replica would refuse it, differ, or have what cannot be made again
    "SELECT txid_current() IS NULL": "f", "SELECT pg_is_in_recovery()": "f",
    "SELECT set_config('work_mem', '7MB', true)": "7MB", "SET LOCAL DateStyle = 'German'": None,
    "LISTEN something": None, "SELECT pg_export_snapshot() IS NULL": "f",
}


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("sql", LEAVES)
def test_what_is_no_plain_read_is_the_primarys(pooler, client, cluster, where, sql, extended):
    begin(client, cluster, where)
    client.query("SET LOCAL lock_timeout = '7s'").check()
    result, nodes = where.run(client, sql, extended)
    assert nodes == {"primary"}
    assert [r[0] for r in result.check().rows] == ([LEAVES[sql]] if LEAVES[sql] else [])
    assert where.of(client) == "primary" and client.value("SHOW lock_timeout") == "7s"
    assert client.value("SHOW transaction_read_only") == "on"
    client.query("ROLLBACK").check()
    client.query("UNLISTEN *").check()
    assert counts(pooler) == (0, 0)


def test_more_than_can_be_made_again_is_the_primarys(pooler, client, cluster, where):
    begin(client, cluster, where)
    for i in range(100):
        client.query(f"SAVEPOINT number_{i}").check()
    assert where.of(client) == "primary"
    client.query("ROLLBACK TO number_3").check()
    client.query("COMMIT").check()
    assert counts(pooler) == (0, 0)


def test_explain_route_tells_what_a_read_only_block_does(client, cluster, where):
    node = begin(client, cluster, where)

    def explain(sql):
        return "\n".join(r[0] for r in client.query(f"EXPLAIN ROUTE {sql}").check().rows)
    for sql in ("SELECT now()", "SAVEPOINT a"):
        text = explain(sql)
        assert "stays on" in text and str(node.port) in text and "READ ONLY" in text
    for sql in ("SELECT txid_current()", "DECLARE c CURSOR FOR SELECT 1"):
        assert "to the primary (" in explain(sql)
    client.query("COMMIT").check()


def test_a_block_that_is_repeatable_read_by_default_is_bound(own_site, cluster, where):
    cluster.primary.sql("ALTER ROLE other SET default_transaction_isolation = 'repeatable read'")
    cluster.wait_caught_up()
    try:
        with own_site.pgweir_routed() as p:
            wait_routing(p, where)
            with p.raw("other") as one:
                wait_replica_read(one, where)
                lose(one, begin(one, cluster, where), "terminated")
                assert one.query("SELECT 1").sqlstate == "40001"
                one.query("ROLLBACK").check()
                node = begin(one, cluster, where, BLOCK.format("READ COMMITTED"))
                lose(one, node, "terminated")
                assert where.of(one) == "primary"
                one.query("COMMIT").check()
            assert counts(p) == (0, 1)
    finally:
        cluster.primary.sql("ALTER ROLE other RESET default_transaction_isolation")


def test_a_series_of_losses_costs_no_connection(pooler, client, cluster, where):
    for _ in range(10):
        lose(client, begin(client, cluster, where), "terminated")
        assert where.of(client) == "primary"
        client.query("COMMIT").check()
    assert counts(pooler) == (0, 0)


def test_where_the_entry_is_for_replicas_it_goes_on_on_one(own_site, cluster, where):
    with own_site.pgweir_routed("route=replica") as p:
        wait_routing(p, where)
        p.wait_log("catalog loaded")  # else nothing is known to be a read
        with p.raw() as one:
            node = begin(one, cluster, where)
            one.query("SAVEPOINT a").check()
            for _ in range(3):
                lose(one, node, "terminated")
                node = cluster.node(where.of(one))
                assert node.is_standby()
            one.query("ROLLBACK TO a").check()
            assert one.query("COMMIT").tags == ["COMMIT"]
        assert counts(p) == (0, 0)
