"""Which of the nodes that are fit gets a read: primary_reads, zones, slow start, outliers."""
import threading
import time
import urllib.request

import pytest
from fakedns import Relay
from pooler import hosts
from test_routing_sight import metrics
from tools import proc
from where import send_marked, wait_routing, where_fixture

READS = 300


where = where_fixture("own_site")


@pytest.fixture
def routed(own_site, where):
    """Start a Pgweir whose database app has these keys, and wait until it routes."""
    started = []
    for s in own_site.cluster.standbys:  # what a test before this one has left
        if not s.is_running():
            s.start()

    def start(more="", **settings):
        settings = {"workers": 1, "catalog_refresh_interval": "3600", **settings}
        p = own_site.pgweir_routed(f"max_lag=10s {more}", settings=settings)
        started.append(p)
        p.__enter__()
        wait_routing(p, where)
        return p
    yield start
    for p in started:
        p.__exit__(None, None, None)


def name_of(node):
    return f"127.0.0.1:{node.port}"


def counts(pooler, key):
    """Reads so far by one column of SHOW ROUTES."""
    found = {}
    for r in pooler.show("ROUTES"):
        if r["verdict"] == "read":
            found[r[key]] = found.get(r[key], 0) + int(r["units"])
    return found


def read(pooler, key="node", n=READS, n_clients=1):
    """Run reads, as many by each client after the other; how many of them went where, or why."""
    before = counts(pooler, key)
    for _ in range(n_clients):
        with pooler.raw() as client:
            for _ in range(n // n_clients):
                client.query("SELECT 1").check()
    return {k: v - before.get(k, 0) for k, v in counts(pooler, key).items()
            if v != before.get(k, 0)}


def stop(pooler, node):
    node.kill()
    pooler.wait_show("NODES", lambda r: r["health"] != "up", node=name_of(node))


def start(pooler, node):
    node.start()
    pooler.wait_show("NODES", lambda r: r["health"] == "up", node=name_of(node))


def read_at_once(pooler, key, n_clients=6):
    """Slow reads of several clients, so that what is outstanding decides."""
    before = counts(pooler, key)

    def one():
        with pooler.raw() as client:
            for _ in range(READS // n_clients):
                client.query("SELECT pg_sleep(0.01)").check()
    threads = [threading.Thread(target=one) for _ in range(n_clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return {k: v - before.get(k, 0) for k, v in counts(pooler, key).items()}


def test_the_primary_takes_its_share_of_reads_only_if_asked_to(own_site, routed):
    primary = name_of(own_site.cluster.primary)
    p = routed("primary_reads=share")
    node_counts = counts(p, "node").get(primary, 0)
    shared = 0

    def has_share():  # until the catalog is known all of them run on the primary
        nonlocal shared
        shared = read_at_once(p, "reason").get("primary_share", 0)
        return shared >= READS / 10
    proc.wait_until("a tenth of reads on the primary", has_share, 20 * p.slow, 0.2)
    assert shared <= READS * 0.7
    assert counts(p, "node")[primary] - node_counts >= shared
    with p.raw() as client:
        client.query("UPDATE pgbench_branches SET bbalance = bbalance").check()
    p.databases["app"] = p.databases["app"].replace("=share", "=fallback")
    p.reload()
    assert primary not in read(p)


def test_replicas_share_reads_by_weight(own_site, routed):
    """One read at a time, as long on either, and with nothing that it must have seen: chance alone
    decides, and it heeds the weights."""
    light, heavy = (name_of(s) for s in own_site.cluster.standbys)
    p = routed("weight=1,1,3 consistency=eventual", slow_start=0)

    def share_of(node):
        """Of reads that take so long that nothing else does."""
        before = counts(p, "node")
        with p.raw() as client:
            for _ in range(200):
                client.query("SELECT pg_sleep(0.005)").check()
        after = counts(p, "node")
        n = {k: after.get(k, 0) - before.get(k, 0) for k in (light, heavy)}
        return n[node] / sum(n.values())
    # with equal weights it would come to that in one of 1,000 tries
    proc.wait_until("a quarter", lambda: 0.12 < share_of(light) < 0.38, 30 * p.slow, 0.1)
    p.databases["app"] = p.databases["app"].replace("weight=1,1,3", "weight=1,3,1")
    p.reload()
    proc.wait_until("three quarters", lambda: 0.62 < share_of(light) < 0.88, 30 * p.slow, 0.1)


def test_reads_wait_for_a_replica_if_the_primary_takes_none(own_site, routed, where):
    p = routed("primary_reads=never", query_wait_timeout=2)
    standbys = own_site.cluster.standbys
    with p.raw() as client:
        for i in range(1, 21):  # a read that follows a write waits for the replica that has it
            client.query(f"UPDATE pgbench_branches SET bbalance = {i}").check()
            result, nodes = where.run(client, "SELECT bbalance FROM pgbench_branches")
            assert int(result.value()) == i and "primary" not in nodes
        for s in standbys:
            stop(p, s)
        begun = time.monotonic()
        error = client.query("SELECT 1").errors[0].fields
        assert time.monotonic() - begun > 1.5
        assert "primary_reads = never" in error["H"], error
        assert where.of(client, "/* pgweir: primary */ SELECT 1") == "primary"
    with p.raw() as client:
        text = "\n".join(r[0] for r in client.query("EXPLAIN ROUTE SELECT 1").rows)
        assert "waits, no node is fit" in text and "primary_reads = never" in text
        p.databases["app"] = p.databases["app"].replace("=never", "=fallback")
        p.reload()
        assert where.of(client) == "primary"
        for s in standbys:
            start(p, s)


def test_who_waits_for_a_replica_gets_one_or_a_free_primary(own_site, routed, where):
    """All replicas are busy. A hint is kept to; without one the primary helps out."""
    p = routed(default_pool_size=1)
    busy = [p.raw() for _ in own_site.cluster.standbys]
    sql = "SELECT count(*) FROM pgbench_branches"
    with p.raw() as asker, p.raw() as reader, p.raw() as writer:
        for one in busy:  # the second one finds the first one's replica in use
            one.query("BEGIN READ ONLY").check()
            assert where.of(one) != "primary"
        asker.query("SET pgweir.route = replica").check()
        mark = send_marked(asker, sql)
        p.wait_show("POOLS", lambda r: r["cl_waiting"] == "1", database="app", user="app")
        writer.query("UPDATE pgbench_branches SET bbalance = 0").check()  # then the primary is free
        assert p.show_one("POOLS", database="app", user="app")["cl_waiting"] == "1"
        writer.query("BEGIN").check()
        writer.query("SELECT 1 FOR UPDATE").check()
        other = send_marked(reader, sql)
        p.wait_show("POOLS", lambda r: r["cl_waiting"] == "2", database="app", user="app")
        writer.query("COMMIT").check()
        assert reader.result().check().rows and where.ran(other) == {"primary"}
        assert counts(p, "reason")["busy"] == 1
        busy[0].query("COMMIT").check()
        assert asker.result().check().rows
        assert where.ran(mark) <= {s.name for s in own_site.cluster.standbys} != set()
    for one in busy:
        one.close()


def test_reads_stay_in_the_own_zone_until_it_cannot_serve(own_site, routed):
    near, far = own_site.cluster.standbys
    p = routed("zone=far,near,far", zone="near", slow_start=0)
    assert read(p) == {name_of(near): READS}
    with p.raw() as client:
        text = "\n".join(r[0] for r in client.query("EXPLAIN ROUTE SELECT 1").rows)
        assert "in another zone" in text
    stop(p, near)
    assert read(p, "reason") == {"other_zone": READS}
    start(p, near)
    with p.raw() as client:
        proc.wait_until("reads in the own zone", lambda: set(read(p, n=5)) == {name_of(near)},
                        10 * p.slow, 0.1)
        client.query("SELECT 1").check()
    near.pause_replay()
    try:
        p.databases["app"] = p.databases["app"].replace("max_lag=10s", "max_lag=200ms")
        p.reload()
        own_site.cluster.primary.sql("CREATE TABLE zoned (a int)", "app")
        proc.wait_until("lag to be seen", lambda: set(read(p, n=5)) == {name_of(far)},
                        10 * p.slow, 0.1)
    finally:
        near.resume_replay()
        own_site.cluster.primary.sql("DROP TABLE zoned", "app")


def test_a_node_that_comes_back_gets_its_share_by_and_by(own_site, routed):
    back = own_site.cluster.standbys[0]
    port = proc.free_port()
    p = routed(slow_start=60, stats_port=port)
    assert [r["share_percent"] for r in p.show("NODES")] == ["100"] * 3
    stop(p, back)
    start(p, back)
    share = int(p.show_one("NODES", node=name_of(back))["share_percent"])
    assert 9 <= share < 60
    # a client stays on its replica until a sample has come: many of them, so that it is a share
    by_node = read(p, n_clients=READS // 3)
    assert by_node.get(name_of(back), 0) < READS * 0.35
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        line = next(ln for ln in answer.read().decode().splitlines()
                    if ln.startswith("pgweir_node_read_share_ratio") and name_of(back) in ln)
    assert 0.08 <= float(line.split()[-1]) < 0.7
    p.reload(slow_start=1)
    p.wait_show("NODES", lambda r: r["share_percent"] == "100", node=name_of(back))
    proc.wait_until("both replicas to be used alike",
                    lambda: read(p).get(name_of(back), 0) > READS * 0.25, 10 * p.slow, 0.1)


class Readers:
    """Clients that read without a pause; leaving checks that no read failed."""

    def __init__(self, pooler, n_clients, sql="SELECT 1"):
        self.pooler, self.sql = pooler, sql
        self.errors = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(n_clients)]

    def _run(self):
        with self.pooler.raw() as client:
            while not self._end.is_set():
                self.errors.extend(client.query(self.sql).errors)

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, kind, *_):
        self._end.set()
        for t in self._threads:
            t.join()
        if kind is None:
            assert not self.errors, "the reads ran elsewhere"


def check_is_ejected(pooler, node, cause, seconds):
    """The log, SHOW NODE_POOLS, the metrics and EXPLAIN ROUTE tell it, and no read goes there."""
    name = name_of(node)
    pooler.wait_log(f"node is ejected node={name} db=app user=app reason={cause} "
                    f"time_s={seconds}")
    assert int(pooler.show_one("NODE_POOLS", node=name, database="app",
                               user="app")["ejected_ms"]) <= seconds * 1000
    counted = (f'pgweir_node_ejections_total{{database="app",user="app",'
               f'node="{name}",cause="{cause}"}} 1')
    assert counted in metrics(pooler)
    # what was on its way there may be counted yet
    proc.wait_until("no read on it", lambda: name not in read(pooler, n=50), 5, 0.02)
    with pooler.raw() as client:
        text = "\n".join(r[0] for r in client.query("EXPLAIN ROUTE SELECT 1").rows)
        assert "it is ejected as an outlier" in text


def wait_taken_in_again(pooler, node):
    pooler.wait_log(f"node is taken in again node={name_of(node)}", 10 * pooler.slow)
    assert pooler.show_one("NODES", node=name_of(node))["ejected"] == "0"


def test_a_replica_on_which_reads_fail_is_ejected_and_taken_in_again(own_site, routed):
    bad = own_site.cluster.standbys[0]
    p = routed(eject_errors=3, eject_time=2, eject_time_max=4, slow_start=0)
    with Readers(p, 4, "SELECT pg_sleep(0.1)"):
        def ejected():
            bad.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE usename = 'app' AND query LIKE '%pg_sleep%'")
            return p.show_one("NODES", node=name_of(bad))["ejected"] == "1"
        proc.wait_until("the replica to be ejected", ejected, 20 * p.slow, 0.02)
        check_is_ejected(p, bad, "errors", 2)
        wait_taken_in_again(p, bad)


@pytest.fixture
def fails_on(own_site):
    """fails_on(node): a read weak(code), which fails there alone, as no catalog can tell."""
    cluster = own_site.cluster

    def make(node):
        cluster.primary.sql(f"""
            CREATE FUNCTION weak(code text) RETURNS int STABLE LANGUAGE plpgsql AS $$
            DECLARE here int;
            BEGIN EXECUTE 'SELECT inet_' || 'server_port()' INTO here;
            IF here = {node.port} THEN RAISE EXCEPTION USING ERRCODE = code; END IF;
            RETURN 7; END $$""", "app")
        cluster.wait_caught_up()
        return "weak"
    yield make
    cluster.primary.sql("DROP FUNCTION IF EXISTS weak", "app")


def test_what_a_node_lacks_ejects_it_and_what_a_read_is_to_blame_for_does_not(
        own_site, routed, fails_on):
    """Of errors, for which the read runs elsewhere all the same."""
    bad = own_site.cluster.standbys[0]
    p = routed("consistency=eventual", eject_errors=3, eject_time=1, eject_time_max=1, slow_start=0)
    weak = fails_on(bad)
    with p.raw() as client:
        def failed(code):
            """Whether it is ejected after reads with that code, for so long that it is judged."""
            before, deadline = p.log_text().count("node is ejected"), time.monotonic() + 4 * p.slow
            while time.monotonic() < deadline and \
                    p.log_text().count("node is ejected") == before:
                for _ in range(20):
                    assert client.value(f"SELECT {weak}('{code}')") == "7"
            return p.log_text().count("node is ejected") > before
        for code in ("08006", "53100", "57P01", "58030", "XX001"):
            assert failed(code), code
            proc.wait_until("it to be taken in again", lambda: p.show_one(
                "NODES", node=name_of(bad))["ejected"] == "0", 10 * p.slow)
        for code in ("22012", "42P01", "40001"):
            assert not failed(code), code
        assert p.log_text().count("reason=errors") == 5


def test_a_replica_that_is_slow_is_ejected_and_taken_in_again(own_site, where):
    """The other one serves meanwhile, and stays in though it becomes slow as well."""
    relays = [Relay("127.0.0.1", proc.free_port(), s.port) for s in own_site.cluster.standbys]
    slow, other = relays
    entry = (f"{hosts([own_site.cluster.primary, *relays])} dbname=app max_lag=10s "
             "consistency=eventual primary_reads=never")
    settings = {"workers": 1, "catalog_refresh_interval": "3600", "slow_start": 0,
                "default_pool_size": 4, "eject_time": 4, "eject_time_max": 60}

    def check_other_serves():
        assert [r["node"] for r in p.show("NODES") if r["ejected"] != "0"] == [name_of(slow)]
        assert set(read(p, n=3)) == {name_of(other)}
    try:
        with own_site.pgweir({"app": entry}, settings=settings) as p:
            wait_routing(p, where)
            # more than one replica's servers can do, or the slow one would hardly be tried
            with Readers(p, 8, "SELECT pg_sleep(0.004)"):
                slow.delay = 0.05
                p.wait_show("NODES", lambda r: r["ejected"] == "1", 30, node=name_of(slow))
                check_is_ejected(p, slow, "latency", 4)
                other.delay = 0.05
                check_other_serves()
                slow.delay = other.delay = 0
                wait_taken_in_again(p, slow)
                proc.wait_until("reads on both", lambda: len(read(p)) == 2, 10 * p.slow, 0.1)
                slow.delay = 0.05
                p.wait_log(f"node is ejected node={name_of(slow)} db=app user=app "
                           "reason=latency time_s=8", 30)  # the second time
                check_other_serves()
    finally:
        for r in relays:
            r.close()


def test_how_much_slower_is_too_slow_is_eject_latency(own_site, where):
    """A replica that is at 1000 times kept, however long it is, is ejected at 3 times."""
    relays = [Relay("127.0.0.1", proc.free_port(), s.port) for s in own_site.cluster.standbys]
    slow = relays[0]
    entry = (f"{hosts([own_site.cluster.primary, *relays])} dbname=app max_lag=10s "
             "consistency=eventual primary_reads=never")
    settings = {"workers": 1, "catalog_refresh_interval": "3600", "slow_start": 0,
                "default_pool_size": 4, "eject_latency": 1000}
    try:
        with own_site.pgweir({"app": entry}, settings=settings) as p:
            wait_routing(p, where)
            with Readers(p, 8, "SELECT pg_sleep(0.004)"):
                slow.delay = 0.05
                time.sleep(5 * p.slow)  # it is judged each second, thrice in a row
                assert "node is ejected" not in p.log_text()
                p.admin("SET eject_latency = 3")
                p.wait_log(f"node is ejected node={name_of(slow)} db=app user=app "
                           "reason=latency", 30)
    finally:
        for r in relays:
            r.close()
