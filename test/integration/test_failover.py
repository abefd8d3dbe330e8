"""Nodes that die, freeze, lag or restart while clients work."""
import contextlib
import re
import signal
import threading
import time

import pgwire
import pytest
from pgwire import Closed
from tools import proc
from where import new_mark, send_marked, wait_routing, where_fixture


where = where_fixture("own_site")


@pytest.fixture(autouse=True)
def healthy(own_site):
    """Every node runs again after each test, and the standbys have caught up."""
    yield
    for node in own_site.cluster.nodes:
        node.thaw()
        if not node.is_running():
            node.start()
    for standby in own_site.cluster.standbys:
        standby.resume_replay()
    own_site.cluster.wait_caught_up()


@pytest.fixture
def pooler(own_site, where):
    settings = {"default_pool_size": 5, "query_wait_timeout": 20, "server_login_retry": 1}
    with own_site.pgweir_routed(settings=settings) as p:
        wait_routing(p, where)
        yield p


@pytest.fixture
def cluster(own_site):
    return own_site.cluster


class Readers:
    """pgbench -S in the background; entering starts it, leaving checks that no read failed."""

    def __init__(self, pooler, seconds, *more):
        self.pooler = pooler
        self.args = ["-S", "-c", "8", "-j", "2", "-T", str(seconds), *more]
        self.report = None
        self.error = None

    def _run(self):
        try:
            self.report = self.pooler.pgbench(*self.args)
        except RuntimeError as e:
            self.error = e

    def __enter__(self):
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._thread.join()
        if kind is None:
            assert self.error is None, self.error
            assert self.report["failed"] == 0 and "aborted" not in self.report["text"]
            assert self.report["done"] > 0


def health(pooler, node):
    row = next(r for r in pooler.show("NODES") if r["node"].endswith(f":{node.port}"))
    return row["health"]


def wait_health(pooler, node, state, timeout=15):
    proc.wait_until(f"{node.name} to be {state}", lambda: health(pooler, node) == state,
                    timeout * pooler.slow, 0.05)


@pytest.mark.parametrize("protocol", ["simple", "prepared"])
def test_replica_killed_under_read_load_costs_no_read(pooler, cluster, where, protocol):
    victim = cluster.standbys[0]
    with Readers(pooler, 6, "-M", protocol):
        time.sleep(1)  # some load first
        victim.kill()
        wait_health(pooler, victim, "down")
        victim.start()
        wait_health(pooler, victim, "up")
    wait_routing(pooler, where)


def test_replica_shut_down_under_read_load_costs_no_read(pooler, cluster):
    """A fast shutdown says 57P01 to each connection."""
    victim = cluster.standbys[1]
    with Readers(pooler, 5):
        time.sleep(1)
        victim.stop("fast")
        victim.start()


def test_both_replicas_gone_reads_go_to_the_primary(pooler, cluster, where):
    with Readers(pooler, 4):
        time.sleep(1)  # some load first
        for standby in cluster.standbys:
            standby.kill()
    for standby in cluster.standbys:
        assert health(pooler, standby) == "down"
    with pooler.raw() as client:
        assert where.of(client) == "primary"


def test_frozen_replica_is_taken_out_and_comes_back(pooler, cluster, where):
    victim = cluster.standbys[0]
    victim.freeze()
    wait_health(pooler, victim, "down", 8)
    with pooler.raw() as client:
        began = time.monotonic()
        for _ in range(20):
            client.query("SELECT 1").check()
        assert time.monotonic() - began < 15 * pooler.slow
    victim.thaw()
    wait_health(pooler, victim, "up")
    wait_routing(pooler, where)


def frozen_under(pooler, cluster, where, client, message, mark):
    """Send it, freeze the replica where it runs, and cancel, which does not wait for what the
    replica would say; returns that node."""
    client.send(message)
    found = proc.wait_until("the read to run", lambda: where.ran(mark))
    victim = cluster.node(found.pop())
    assert victim is not cluster.primary
    victim.freeze()
    client.send_cancel()
    assert "cancel request given up" not in pooler.log_text()
    return victim


@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_a_cancel_of_a_read_on_a_frozen_replica_is_not_lost(pooler, cluster, where, protocol):
    """The replica never hears of it: the read that would run elsewhere is canceled here."""
    before = pooler.show("ERRORS")
    with pooler.raw() as client:
        mark = new_mark()
        sql = f"{mark}SELECT pg_sleep(60)"
        make = pgwire.query if protocol == "simple" else pgwire.prepared
        both = make(sql) + make("SELECT 'behind it'")
        victim = frozen_under(pooler, cluster, where, client, both, mark)
        result = client.result()
        assert (result.sqlstate, result.status) == ("57014", "I")
        assert client.result().value() == "behind it"
        assert client.value("SELECT 1") == "1"
        victim.thaw()
        assert where.ran(mark) <= {victim.name}
        replayed = [r for r in pooler.show("ERRORS") if r["source"] == "replayed"]
        assert sum(int(r["errors"]) for r in replayed) == sum(
            int(r["errors"]) for r in before if r["source"] == "replayed")


def test_a_cancel_in_a_read_only_block_on_a_frozen_replica_fails_the_block(pooler, cluster, where):
    with pooler.raw() as client:
        client.query("BEGIN READ ONLY").check()
        mark = new_mark()
        victim = frozen_under(pooler, cluster, where, client,
                              pgwire.query(f"{mark}SELECT pg_sleep(60)"), mark)
        result = client.result()
        assert (result.sqlstate, result.status) == ("57014", "E")
        assert client.query("SELECT 1").sqlstate == "25P02"
        assert client.query("ROLLBACK").check().status == "I"
        assert client.value("SELECT 1") == "1"
        victim.thaw()
        assert where.ran(mark) <= {victim.name}


def test_replica_frozen_half_of_the_time_gets_less_than_a_third_of_the_reads(pooler, cluster):
    slow, other = cluster.standbys

    def units(node):
        return sum(int(r["units"]) for r in pooler.show("ROUTES")
                   if r["node"].endswith(f":{node.port}"))
    before = units(slow), units(other)
    with Readers(pooler, 8):
        for _ in range(8):
            slow.freeze()
            time.sleep(0.5)
            slow.thaw()
            time.sleep(0.5)
    gained = units(slow) - before[0], units(other) - before[1]
    print(f"{gained[0]} reads on the slow replica, {gained[1]} on the other")
    assert gained[0] < sum(gained) / 3


def test_lagging_replica_gets_no_reads(own_site, cluster, where):
    with own_site.pgweir_routed("max_lag=500ms") as p:
        wait_routing(p, where)
        late = cluster.standbys[0]
        late.pause_replay()
        with p.raw() as writer, p.raw() as reader:
            def is_out():
                writer.query("UPDATE pgbench_branches SET bbalance = bbalance").check()
                row = next(r for r in p.show("NODES") if r["node"].endswith(f":{late.port}"))
                return int(row["lag_ms"] or 0) > 700
            proc.wait_until("the lag to grow", is_out, 15 * p.slow, 0.1)
            assert late.name not in {where.of(reader) for _ in range(20)}
            late.resume_replay()
            wait_routing(p, where)


def test_writes_wait_for_the_primarys_restart_and_reads_go_on(pooler, cluster, where):
    with pooler.raw() as writer, pooler.raw() as reader:
        writer.query("SELECT 1").check()
        cluster.primary.stop("fast")
        wait_health(pooler, cluster.primary, "down")
        send_marked(writer, "UPDATE pgbench_branches SET bbalance = bbalance")
        assert where.of(reader).startswith("standby")
        assert writer.is_silent_for(0.5)
        cluster.primary.start()
        began = time.monotonic()
        assert writer.result().check().tags == ["UPDATE 1"]
        print(f"answered {time.monotonic() - began:.2f} s after the primary accepted")
        assert time.monotonic() - began < 15 * pooler.slow


@pytest.mark.parametrize("how", ["kill", "fast"])
@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_with_no_primary_a_lost_replicas_read_runs_on_the_other(
        pooler, cluster, where, protocol, how):
    """Without a primary nobody knows what the one has shown and the other lacks: `eventual`."""
    with pooler.raw(options="-c pgweir.consistency=eventual") as client:
        cluster.primary.stop("fast")
        wait_health(pooler, cluster.primary, "down")
        mark = new_mark()
        sql = f"{mark}SELECT pg_sleep(1.5), 'told'"
        client.send(pgwire.query(sql) if protocol == "simple" else pgwire.prepared(sql))
        found = proc.wait_until("the read to run", lambda: where.ran(mark))
        victim = cluster.node(found.pop())
        victim.kill() if how == "kill" else victim.stop("fast")
        assert client.result().check().rows[0][1] == "told"
        assert where.ran(mark) == {s.name for s in cluster.standbys if s is not victim}
        assert health(pooler, cluster.primary) == "down"


def test_with_no_primary_a_read_is_lost_with_one_replica_more_at_most(pooler, cluster, where):
    """It may be what has brought them down: after that the primary is waited for."""
    with pooler.raw(options="-c pgweir.consistency=eventual") as client:
        cluster.primary.stop("fast")
        wait_health(pooler, cluster.primary, "down")
        mark = new_mark()
        client.send(pgwire.query(f"{mark}SELECT pg_sleep(2), 'told'"))
        for _ in cluster.standbys:
            found = proc.wait_until("the read to run", lambda: where.ran(mark))
            cluster.node(found.pop()).kill()
        for standby in cluster.standbys:
            standby.start()
            wait_health(pooler, standby, "up")
        assert client.is_silent_for(1) and where.ran(mark) == set()
        cluster.primary.start()
        assert client.result().check().rows[0][1] == "told"
        assert where.ran(mark) == {"primary"}


OF_STANDBYS = ["08006", "25006", "0A000", "40001", "40P01", "42P01", "42703", "42704", "42883",
               "3F000", "53100", "53200", "53300", "55000", "55P03", "57P01", "57P03", "58000",
               "58030", "XX000", "XX001", "XX002"]
OF_ANYBODY = ["22012", "42501", "P0001"]


@pytest.fixture
def weak(pooler, cluster):  # pylint: disable=unused-argument
    """A read weak(code), which fails on a standby with that SQLSTATE; no catalog can tell."""
    cluster.primary.sql("""
        CREATE FUNCTION weak(code text) RETURNS int STABLE LANGUAGE plpgsql AS $$
        DECLARE is_standby bool;
        BEGIN EXECUTE 'SELECT pg_is_in_' || 'recovery()' INTO is_standby;
        IF is_standby THEN RAISE EXCEPTION USING ERRCODE = code; END IF; RETURN 7; END $$""", "app")
    cluster.wait_caught_up()
    yield "weak"
    cluster.primary.wait_accepts()
    cluster.primary.sql("DROP FUNCTION weak", "app")


def test_with_no_primary_what_only_a_standby_gives_waits_for_one(pooler, cluster, weak):
    """It is told to nobody; what a primary may give as well is told at once."""
    with contextlib.ExitStack() as stack:
        clients = {code: stack.enter_context(pooler.raw(options="-c pgweir.consistency=eventual"))
                   for code in OF_STANDBYS + OF_ANYBODY}
        cluster.primary.stop("fast")
        wait_health(pooler, cluster.primary, "down")
        for code, client in clients.items():
            client.send(pgwire.query(f"SELECT {weak}('{code}')"))
        for code in OF_ANYBODY:
            assert clients[code].result().sqlstate == code
        time.sleep(1)
        assert [code for code in OF_STANDBYS if not clients[code].is_silent_for(0.01)] == []
        cluster.primary.start()
        for code in OF_STANDBYS:
            assert clients[code].result().value() == "7", code


def test_with_no_primary_a_strong_read_waits_and_others_go_on(pooler, cluster, where):
    """What was acknowledged anywhere before it came, only a primary can tell."""
    with pooler.raw() as client, pooler.raw(options="-c pgweir.consistency=strong") as strong:
        assert client.value("SELECT 1") == strong.value("SELECT 1") == "1"
        cluster.primary.stop("fast")
        wait_health(pooler, cluster.primary, "down")
        strong.send(pgwire.query("SELECT 7"))
        assert where.of(client).startswith("standby")
        assert strong.is_silent_for(1)
        cluster.primary.start()
        assert strong.result().value() == "7"


def test_login_refused_while_shutting_down_is_tried_again_when_the_node_is_up(
        own_site, cluster, where):
    """Not only after server_login_retry."""
    primary = cluster.primary
    with own_site.pgweir_routed(settings={"server_login_retry": 60}) as p:
        wait_routing(p, where)
        with p.raw() as writer:
            where.of(writer)  # its connections hold a smart shutdown up
            proc.send_signal(primary.pid(), signal.SIGTERM)
            proc.wait_until("logins to be refused", lambda: not primary.accepts())
            p.admin("RECONNECT")
            writer.send(pgwire.query("UPDATE pgbench_branches SET bbalance = bbalance"))
            p.wait_log("is shutting down")
            primary.stop("immediate")
            wait_health(p, primary, "down")
            primary.start()
            began = time.monotonic()
            assert writer.result().check().tags == ["UPDATE 1"]
            assert time.monotonic() - began < 15 * p.slow


def test_write_that_waits_too_long_gets_57p03_and_the_session_lives(own_site, cluster, where):
    with own_site.pgweir_routed(settings={"query_wait_timeout": 2}) as p:
        wait_routing(p, where)
        with p.raw() as writer:
            cluster.primary.stop("fast")
            wait_health(p, cluster.primary, "down")
            refused = writer.query("UPDATE pgbench_branches SET bbalance = bbalance")
            assert refused.sqlstate == "57P03" and refused.errors[0].fields.get("H")
            assert writer.query("SELECT 1").value() == "1"
            cluster.primary.start()
            wait_routing(p, where)
            writer.query("UPDATE pgbench_branches SET bbalance = bbalance").check()


@pytest.mark.parametrize("how, under_way, sqlstate", [
    ("kill", False, "08006"), ("kill", True, "08006"), ("fast", False, "08006"),
    ("fast", True, "57P01")])
def test_who_was_in_a_transaction_on_a_lost_primary_is_told_to_run_it_again(
        pooler, cluster, where, how, under_way, sqlstate):
    with pooler.raw() as writer:
        writer.query("BEGIN; UPDATE pgbench_branches SET bbalance = 4711").check()
        if under_way:
            mark = send_marked(writer, "SELECT pg_sleep(60)")
            proc.wait_until("it to run", lambda: where.ran(mark))
        cluster.primary.kill() if how == "kill" else cluster.primary.stop("fast")
        wait_health(pooler, cluster.primary, "down")
        failed = writer.result() if under_way else writer.query("SELECT 1")
        assert (failed.sqlstate, failed.status) == (sqlstate, "E")
        assert failed.errors[0].fields["H"] == \
            "The transaction was rolled back; run it again."
        assert writer.query("COMMIT").tags == ["ROLLBACK"]
        cluster.primary.start()
        assert writer.query("SELECT bbalance FROM pgbench_branches FOR UPDATE").value() != "4711"


def test_open_transaction_on_a_killed_primary_gets_an_error(pooler, cluster, where):
    with pooler.raw() as writer, pooler.raw() as idle:
        idle.query("SELECT moment FROM (SELECT now() AS moment) s").check()
        writer.query("BEGIN; UPDATE pgbench_branches SET bbalance = bbalance").check()
        cluster.primary.kill()
        failed = writer.query("COMMIT")
        assert re.match("08|57P0|40", failed.sqlstate), failed.sqlstate
        cluster.primary.start()
        wait_routing(pooler, where)
        if failed.status == "E":
            writer.query("ROLLBACK").check()
        for client in (writer, idle):
            client.query("UPDATE pgbench_branches SET bbalance = bbalance").check()


def test_write_under_way_when_the_primary_dies_is_never_sent_again(pooler, cluster, new_row):
    """It may have been done or not; it must not be done twice, and the client must be told."""
    with pooler.raw() as writer:
        writer.send(pgwire.query(f"UPDATE {new_row} SET n = n + 1 WHERE "
                                 "(SELECT true FROM pg_sleep(0.5))"))
        assert writer.is_silent_for(0.2)
        cluster.primary.kill()
        assert re.match("08|57P0|40", writer.result().sqlstate)
    cluster.primary.start()
    assert cluster.primary.sql(f"SELECT n FROM {new_row}", "app") in ("0", "1")


@pytest.fixture
def new_row(cluster):
    cluster.primary.sql("CREATE TABLE one_row AS SELECT 0 AS n; "
                        "ALTER TABLE one_row OWNER TO app; CHECKPOINT", "app")
    yield "one_row"
    cluster.primary.wait_accepts()
    cluster.primary.sql("DROP TABLE one_row", "app")


def test_frozen_primary_reads_go_on_and_writes_recover(pooler, cluster):
    with pooler.raw() as writer, pooler.raw() as reader:
        cluster.primary.freeze()
        wait_health(pooler, cluster.primary, "down", 8)
        for _ in range(10):
            reader.query("SELECT 1").check()
        writer.send(pgwire.query("UPDATE pgbench_branches SET bbalance = bbalance"))
        assert writer.is_silent_for(0.5)
        cluster.primary.thaw()
        assert writer.result().check().tags == ["UPDATE 1"]


def test_read_only_block_with_a_snapshot_on_a_killed_replica_gets_an_error(
        pooler, where, cluster):
    with pooler.raw() as client:
        client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").check()
        node = cluster.node(where.of(client))
        node.kill()
        failed = client.query("SELECT 1")
        assert re.match("08|57P0|40", failed.sqlstate), failed.sqlstate
        if failed.status == "E":
            assert client.query("ROLLBACK").status == "I"
        assert client.value("SELECT 1") == "1"


def test_read_whose_answer_has_begun_is_not_run_twice(pooler, where, cluster):
    """After the replay window rows have reached the client: it gets an error, never rows twice."""
    with pooler.raw() as client:
        mark = send_marked(client, "SELECT g, repeat('x', 1000) FROM generate_series(1, 500000) g")
        assert client.read_message().kind == "T"
        first = client.read_message().row()
        node = where.ran(mark).pop()
        cluster.node(node).kill()
        rest = []
        try:
            while not rest or rest[-1].kind not in "EZ":
                rest.append(client.read_message())
        except Closed:
            pass  # it was cut in the middle of a message
        numbers = [int(m.row()[0]) for m in rest if m.kind == "D"]
        assert [int(first[0])] + numbers == list(range(1, len(numbers) + 2))
        assert "C" not in [m.kind for m in rest] or len(numbers) + 1 == 500_000
