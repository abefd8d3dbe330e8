"""The two cases in which a client of a replica is told what a primary would not have told it: a
large answer that breaks off, and a READ ONLY block that has had an answer. Both are counted."""
import pytest
from pgwire import Closed, query
from test_stats import metrics, total
from tools import proc
from where import new_mark, wait_routing, where_fixture

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
    assert all(r["verdict"] == "read" and r["node"] != "-" for r in broken)
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


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "READ COMMITTED"])
def test_block_whose_replica_dies_after_an_answer_is_told_40001(
        pooler, client, cluster, where, isolation):
    client.query(BLOCK.format(isolation)).check()
    node = cluster.node(where.of(client))
    assert node.is_standby() and counts(pooler) == (0, 0)
    node.kill()
    result = client.query("SELECT 1")
    assert result.sqlstate == "40001" and result.status == "E"
    assert counts(pooler) == (0, 1)
    client.query("ROLLBACK").check()
    client.query(BLOCK.format(isolation)).check()
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


def test_recovery_conflict_in_a_block_is_counted(pooler, client, cluster, where):
    """What a standby must replay cancels the statement: 40001 of its own, and 40001 it stays."""
    for standby in cluster.standbys:
        standby.sql("ALTER SYSTEM SET max_standby_streaming_delay = '100ms'")
        standby.sql("SELECT pg_reload_conf()")
    cluster.primary.sql("CREATE TABLE conflict AS SELECT generate_series(1, 100) AS n", "app")
    cluster.primary.sql("GRANT SELECT ON conflict TO app", "app")
    cluster.wait_caught_up()
    try:
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
    finally:
        cluster.primary.sql("DROP TABLE IF EXISTS conflict", "app")
        for standby in cluster.standbys:
            standby.sql("ALTER SYSTEM RESET max_standby_streaming_delay")
            standby.sql("SELECT pg_reload_conf()")


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
