"""A replica behind a replica, nodes that hang with units on them, a primary that was replaced."""
import time

import pgwire
import pytest
from fakedns import Relay
from tools import proc
from where import send_marked, wait_routing, where_fixture

where = where_fixture("own_site")


@pytest.fixture(scope="module", name="cluster")
def cluster_fixture(own_site):
    """standby2 streams from standby1; the table cascaded has a row with 0."""
    first, second = own_site.cluster.standbys
    own_site.cluster.primary.sql("CREATE TABLE cascaded (n int); INSERT INTO cascaded VALUES (0);"
                                 "ALTER TABLE cascaded OWNER TO app", "app")
    second.follow(first)
    proc.wait_until("the cascade", lambda: first.sql(
        "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1")
    return own_site.cluster


@pytest.fixture(name="pooler")
def pooler_fixture(own_site, cluster, where):
    settings = {"node_timeout": 2, "server_login_retry": 1, "query_wait_timeout": 60}
    databases = {**own_site.app_on(cluster.nodes),
                 "reads": own_site.app_on(cluster.nodes, "primary_reads=never")["app"]}
    with own_site.pgweir(databases, settings=settings) as p:
        yield p
    for node in cluster.nodes:
        node.thaw()


def row(pooler, node):
    return pooler.show_one("NODES", node=f"127.0.0.1:{node.port}")


def test_cascaded_replica_gets_reads_that_see_the_clients_writes(pooler, cluster, where):
    wait_routing(pooler, where)
    assert row(pooler, cluster.standbys[1])["follows"] == "1"
    with pooler.raw() as client:
        seen, number = set(), 0
        deadline = time.monotonic() + 60 * pooler.slow
        while "standby2" not in seen and time.monotonic() < deadline:
            number += 1
            client.query(f"UPDATE cascaded SET n = {number}").check()
            for _ in range(20):
                result, nodes = where.run(client, "SELECT n FROM cascaded")
                assert result.value() == str(number), nodes
                seen |= nodes
        assert "standby2" in seen


def test_cascaded_replica_whose_upstream_is_gone_lags_and_is_left(pooler, cluster, where):
    wait_routing(pooler, where)
    first, second = cluster.standbys
    first.kill()
    try:
        with pooler.raw() as client:
            for number in range(1000, 1050):
                client.query(f"UPDATE cascaded SET n = {number}").check()
                assert client.value("SELECT n FROM cascaded") == str(number)
                time.sleep(0.05)
        pooler.wait_show("NODES", lambda r: int(r["lag_ms"] or 0) > 1000, 30,
                         node=f"127.0.0.1:{second.port}")
    finally:
        first.start()
    wait_routing(pooler, where, timeout=60)


@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_read_on_a_replica_that_hangs_runs_elsewhere(pooler, cluster, where, protocol):
    wait_routing(pooler, where)
    with pooler.raw(database="reads") as client:
        sql = "SELECT 'told', pg_sleep(2)"
        if protocol == "simple":
            mark = send_marked(client, sql)
        else:
            mark = "/* hangs */"
            client.send(pgwire.prepared(mark + sql))
        name = proc.wait_until("the read to run", lambda: where.ran(mark)).pop()
        assert name.startswith("standby")
        cluster.node(name).freeze()
        began = time.monotonic()
        assert client.result().check().rows[0][0] == "told"
        # node_timeout, and the two seconds of the second run
        assert time.monotonic() - began < (2 + 2 + 1.5) * pooler.slow
    cluster.node(name).thaw()
    wait_routing(pooler, where)


def block_is_on(client, where, node):
    client.query("BEGIN READ ONLY").check()
    if where.of(client) == node.name:
        return True
    client.query("ROLLBACK").check()
    time.sleep(0.3)  # until it is known how far that was, so that another may follow
    return False


def test_block_on_a_replica_that_hangs_goes_on_elsewhere(pooler, cluster, where):
    wait_routing(pooler, where)
    node = cluster.standbys[1]  # the other one gets no WAL through it
    with pooler.raw(database="reads") as client:
        proc.wait_until("a block on it", lambda: block_is_on(client, where, node), 30)
        time.sleep(0.5)  # until it is known how far that was: the primary takes no reads here
        node.freeze()
        result = client.query("SELECT 1").check()
        assert result.value() == "1" and result.status == "T"
        assert client.query("COMMIT").tags == ["COMMIT"]
        assert client.value("SELECT 1") == "1"
    node.thaw()
    wait_routing(pooler, where)


def test_write_on_a_primary_that_hangs_ends_when_it_goes_on(pooler, cluster, where):
    """Nothing was told of another primary: it is neither given up nor repeated."""
    wait_routing(pooler, where)
    with pooler.raw() as client:
        mark = send_marked(client, "UPDATE cascaded SET n = n + 1 WHERE pg_sleep(1) IS NOT NULL")
        proc.wait_until("the write to run", lambda: where.ran(mark))
        before = int(cluster.primary.sql("SELECT n FROM cascaded", "app"))
        cluster.primary.freeze()
        pooler.wait_show("NODES", lambda r: r["health"] == "down", 30,
                         node=f"127.0.0.1:{cluster.primary.port}")
        assert client.is_silent_for(1)
        cluster.primary.thaw()
        assert client.result().check().tags == ["UPDATE 1"]
        assert cluster.primary.sql("SELECT n FROM cascaded", "app") == str(before + 1)


def control_file_timeline(node):
    return node.sql("SELECT timeline_id FROM pg_control_checkpoint()")


def test_transaction_on_a_primary_that_was_replaced_gets_an_error(pooler, cluster, where):
    """Near the end of this file. The old primary lives and is writable; nothing goes there.
    All of it before the new one's first checkpoint has ended, which has much to write and a low
    rate: until then its control file, and its replica's, have the old timeline."""
    wait_routing(pooler, where)
    old, new, third = cluster.nodes
    old.sql("UPDATE pgbench_accounts SET abalance = abalance", "app")
    cluster.wait_caught_up()
    timeline = control_file_timeline(old)
    with pooler.raw() as writer, pooler.raw() as idle:
        for client in (writer, idle):
            client.query("BEGIN").check()
            client.query("INSERT INTO cascaded VALUES (-1)").check()
        new.promote()
        pooler.wait_show("NODES", lambda r: r["is_primary"] == "1", 30,
                         node=f"127.0.0.1:{new.port}")
        assert row(pooler, old)["fenced"] == "1"
        failed = writer.query("INSERT INTO cascaded VALUES (-1)")
        assert failed.sqlstate.startswith("08") and failed.status == "E"
        assert "run it again" in failed.errors[0].fields["H"]
        writer.query("ROLLBACK").check()
        ended = idle.query("COMMIT")
        assert ended.sqlstate, "it was not committed, and must not say so"
        if ended.status == "E":
            idle.query("ROLLBACK").check()
        for client in (writer, idle):
            client.query("INSERT INTO cascaded VALUES (-2)").check()
    assert old.sql("SELECT count(*) FROM cascaded WHERE n < 0", "app") == "0"
    assert new.sql("SELECT count(*) FROM cascaded WHERE n = -2", "app") == "2"
    assert new.sql("SELECT count(*) FROM cascaded WHERE n = -1", "app") == "0"
    pooler.wait_show("NODES", lambda r: r["follows"] == "1", 30,
                     node=f"127.0.0.1:{third.port}")  # its upstream is the new primary
    with pooler.raw() as client:
        proc.wait_until("reads on the one replica that is left",
                        lambda: where.of(client) == third.name, 30 * pooler.slow)
    assert [control_file_timeline(n) for n in (new, third)] == [timeline, timeline]


def test_new_connection_that_leads_to_an_old_primary_gets_no_write(own_site, cluster):
    """The monitor's connection stays with the new primary, which its address has left."""
    old, new, third = cluster.nodes
    if new.is_standby():
        new.promote()
    port = proc.free_port()
    relay = Relay("127.0.0.5", port, new.port)
    databases = {"app": f"host=127.0.0.5,127.0.0.1 port={port},{third.port} dbname=app"}
    with own_site.pgweir(databases, settings={"server_login_retry": 1,
                                              "query_wait_timeout": 60}) as p:
        p.wait_show("NODES", lambda r: r["is_primary"] == "1", 30, node=f"127.0.0.5:{port}")
        with p.raw() as client:
            client.query("INSERT INTO cascaded VALUES (-3)").check()
            relay.to_port = old.port
            p.admin("RECONNECT")
            client.send(pgwire.query("INSERT INTO cascaded VALUES (-3)"))
            p.wait_log("the node is not what the monitor takes it for", 30)
            assert client.is_silent_for(0.5)
            relay.to_port = new.port
            client.result().check()
    relay.close()
    assert old.sql("SELECT count(*) FROM cascaded WHERE n = -3", "app") == "0"
    assert new.sql("SELECT count(*) FROM cascaded WHERE n = -3", "app") == "2"
