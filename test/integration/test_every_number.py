"""A known load through two workers, and every metric compared with what was done.

Each family of /metrics stands in exactly one of the lists below, so a new one without a test is
found. The console's columns are compared in test_every_column.py.
"""
import os
import time

import pgwire
import pytest
from pgwire import bind, describe, execute, parse
from test_notify import kill_listener
from test_stats import get, metrics, total
from tools import proc

pytestmark = pytest.mark.threads
N = 6   # clients
POOL = 2

# Families that other modules drive, each with where its value is looked at.
ELSEWHERE = {
    **{f"pgweir_query_{name}_total": "test_queries.py" for name in (
        "calls", "errors", "rows", "queue_seconds", "server_seconds", "repeated")},
    "pgweir_query_duration_seconds": "test_queries.py",
    "pgweir_catalog_names": "test_routing_sight.py",
    "pgweir_catalog_bytes": "test_routing_sight.py",
    "pgweir_catalog_age_seconds": "test_routing_sight.py",
    "pgweir_learned_statements": "test_routing_sight.py",
    "pgweir_learned_statements_total": "test_routing_sight.py",
    "pgweir_replays_total": "test_routing_sight.py",
    "pgweir_broken_answers_total": "test_routing_exceptions.py",
    "pgweir_broken_blocks_total": "test_routing_exceptions.py",
    "pgweir_auth_checks_total": "test_external.py",
    "pgweir_auth_checks": "test_external.py",
    "pgweir_notify_overflows_total": "test_notify.py",
    "pgweir_node_lag_max_seconds": "test_routing_sight.py",
    "pgweir_node_read_share_ratio": "test_balance.py",
    "pgweir_node_down": "test_routing_sight.py",
    "pgweir_node_refused": "test_routing_sight.py",
    "pgweir_node_fenced": "test_routing_sight.py",
    "pgweir_node_blind": "test_routing_sight.py",
    "pgweir_node_silent": "test_routing_sight.py",
    "pgweir_node_ejected": "test_routing_sight.py",
    "pgweir_node_ejections_total": "test_routing_sight.py",
    "pgweir_cluster_primaries": "test_routing_sight.py",
    "pgweir_cluster_timeline": "test_routing_sight.py",
    "pgweir_cluster_promotions_total": "test_routing_sight.py",
    "pgweir_cluster_promotion_unseen_seconds_total": "test_routing_sight.py",
    "pgweir_cluster_double_primaries_total": "test_routing_sight.py",
    "pgweir_cluster_double_primary_seconds_total": "test_routing_sight.py",
    "pgweir_pins_over_max_total": "test_pins.py",
    "pgweir_replica_transactions_total": "test_transaction_reads.py",
    "pgweir_replica_transactions_ended_total": "test_transaction_reads.py",
    "pgweir_replica_transactions_moved_total": "test_transaction_reads.py",
    "pgweir_worker_settings_asked_total": "test_settings_hidden.py",
}


class Done:
    """What was done to the daemon, and its metrics before and after."""

    def __init__(self, pooler, clients):
        self.pooler, self.clients = pooler, clients
        self.count = {name: 0 for name in (
            "queries", "xacts", "assigned", "local", "logins", "class 22", "class 53", "timeouts",
            "parses", "server parses", "binds", "read", "write", "transaction", "session")}
        self.held = {}  # gauges while something went on
        self.before = metrics(pooler)
        self.bytes_before = self.bytes()
        self.began = time.monotonic()
        self.after = self.passed = None

    def bytes(self):
        return sum(c.n_sent for c in self.clients), sum(c.n_received for c in self.clients)

    def login(self):
        """One more client, whose bytes count."""
        client = self.pooler.raw()
        self.add(logins=1)
        self.clients.append(client)
        return client

    def add(self, **counts):
        for name, n in counts.items():
            self.count[name.replace("_", " ")] += n

    def ask(self, client, sql, sqlstate=None, verdict="read", **counts):
        """One query in a transaction of its own, unless `counts` says otherwise."""
        assert client.query(sql).sqlstate == sqlstate
        self.add(**{"queries": 1, "xacts": 1, "assigned": 1, verdict: 1, **counts})

    def begin(self, client):
        self.ask(client, "BEGIN; SELECT 1", verdict="transaction", xacts=0)

    def commit(self, client):
        self.ask(client, "COMMIT", verdict="transaction", assigned=0)

    def end(self):
        self.passed = time.monotonic() - self.began
        self.after = metrics(self.pooler)
        self.moved = [b - a for a, b in zip(self.bytes_before, self.bytes())]

    def grown(self, name, **labels):
        return total(self.after, name, **labels) - total(self.before, name, **labels)

    def now(self, name, **labels):
        return total(self.after, name, **labels)


def queries(done):
    for client in done.clients:
        for i in range(10):
            done.ask(client, f"SELECT {i}")
        done.ask(client, "BEGIN", verdict="local", xacts=0, assigned=0)
        done.ask(client, "SELECT 1", xacts=0)
        done.commit(client)
        done.ask(client, "SELECT 1/0", "22012", class_22=1)


def statements(done):
    """One server takes all, since the other is held: each text is parsed once."""
    holder, *others = done.clients
    done.begin(holder)
    for i, client in enumerate(others):
        client.run(parse("s", f"SELECT 'of client {i}'") + describe("S", "s")
                   + pgwire.SYNC).check()
        for _ in range(4):
            client.run(bind("", "s") + execute() + pgwire.SYNC).check()
        done.add(queries=5, xacts=5, assigned=5, parses=1, server_parses=1, binds=4,
                 read=5)
    done.commit(holder)


def waits(done):
    """One waits half a second for a server, another too long."""
    one, two, three, *_ = done.clients
    for client in (one, two):
        done.begin(client)
    three.send(pgwire.query("SELECT 1"))
    done.pooler.wait_show("POOLS", lambda r: r["cl_waiting"] == "1", database="app")
    time.sleep(0.5)
    done.held["waiting"] = metrics(done.pooler)
    done.commit(one)
    three.result().check()
    done.add(queries=1, xacts=1, assigned=1, read=1)
    done.begin(one)
    done.pooler.admin("SET query_wait_timeout = 1")
    # never sent: it counts as an error of ours and a wait, as no query
    assert three.query("SELECT 1").sqlstate == "53300"
    done.add(timeouts=1, class_53=1)
    done.pooler.admin("SET query_wait_timeout = 120")
    for client in (one, two):
        done.commit(client)


def pins(done):
    one = done.clients[0]
    done.ask(one, "SELECT pg_advisory_lock(4711)", verdict="write")
    done.held["pinned"] = metrics(done.pooler)
    done.ask(one, "SELECT pg_advisory_unlock(4711)", verdict="write", assigned=0)
    leaver = done.login()
    done.ask(leaver, "CREATE TEMP TABLE left_behind (a int)", verdict="write")
    leaver.close()
    proc.wait_until("the table to be dropped",
                    lambda: total(metrics(done.pooler), "pgweir_server_cleanings_total"))


def running(done):
    """One unit runs, of another a part has come; one has a setting of its own."""
    one, two, three, *_ = done.clients
    one.send(pgwire.query(f"SELECT pg_sleep({done.pooler.slow})"))  # longer than looking takes
    part = pgwire.query("SELECT 'of which the head comes first'")
    two.send(part[:-10])
    done.ask(three, "SET work_mem = '3MB'", verdict="session")
    done.pooler.wait_show("POOLS", lambda r: r["sv_active"] == "1", database="app")
    done.held["running"] = metrics(done.pooler)
    two.send(part[-10:])
    for client in (one, two):
        client.result().check()
        done.add(queries=1, xacts=1, assigned=1, read=1)


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir_routed("route=primary", settings={
            "workers": 2, "default_pool_size": POOL}) as p:
        proc.wait_until("three nodes that are up, one primary, and the catalog", lambda: [
            total(metrics(p), name) for name in ("pgweir_node_up", "pgweir_node_is_primary",
                                                 "pgweir_node_is_replica")] == [3, 1, 2])
        yield p


@pytest.fixture(scope="module")
def done(pooler):
    clients = [pooler.raw() for _ in range(N)]
    for client in clients[:2]:  # both servers are open from here on
        client.query("BEGIN; SELECT 1").check()
    for client in clients[:2]:
        client.query("COMMIT").check()
    d = Done(pooler, clients)
    for step in (queries, statements, waits, pins, running):
        step(d)
    with pooler.raw("admin", "pgweir"):
        d.end()
    yield d
    for client in clients:
        client.close()


# --- databases, routes, errors ---

@pytest.mark.parametrize("metric, what", [
    ("queries", "queries"), ("transactions", "xacts"), ("server_assignments", "assigned"),
    ("client_logins", "logins"), ("client_parses", "parses"), ("server_parses", "server parses"),
    ("binds", "binds"), ("wait_timeouts", "timeouts")])
def test_what_a_database_did(done, metric, what):
    assert done.grown(f"pgweir_{metric}_total", database="app") == done.count[what] > 0


def test_bytes_are_those_of_the_sockets(done):
    assert done.grown("pgweir_received_bytes_total") == done.moved[0]
    assert done.grown("pgweir_sent_bytes_total") == done.moved[1]


def test_times_are_within_what_has_passed(done):
    """Two servers were held for half a second, then for one; a query slept for a second."""
    assert 1.5 <= done.grown("pgweir_wait_seconds_total") <= N * done.passed
    assert 3.0 <= done.grown("pgweir_transaction_seconds_total") <= POOL * done.passed
    assert 1.0 <= done.grown("pgweir_query_seconds_total") <= POOL * done.passed


def test_histograms_have_each_unit_and_each_wait(done):
    sent = done.count["queries"] - done.count["local"]
    for name, n in (("pgweir_unit_seconds", sent),
                    ("pgweir_wait_seconds", done.count["assigned"] + done.count["timeouts"])):
        assert done.grown(name + "_count", user="app") == n
        assert done.grown(name + "_bucket", le="+Inf") == n
    assert done.grown("pgweir_unit_seconds_bucket", le="0.262144") < sent, "one slept for longer"
    for histogram, counter in (("unit", "query"), ("wait", "wait")):
        assert done.grown(f"pgweir_{histogram}_seconds_sum") == pytest.approx(
            done.grown(f"pgweir_{counter}_seconds_total"))


def test_units_by_verdict_and_node(done, site):
    primary = f"127.0.0.1:{site.cluster.primary.port}"
    for verdict in ("read", "write", "transaction", "session"):
        assert done.grown("pgweir_units_total", verdict=verdict, node=primary, mode="on") == \
            done.grown("pgweir_units_total", verdict=verdict) == done.count[verdict] > 0
    assert done.grown("pgweir_units_total", reason="pinned") == 1, "the unlock"
    assert done.grown("pgweir_unit_server_seconds_total") == pytest.approx(
        done.grown("pgweir_query_seconds_total"))


def test_errors_by_class_and_source(done):
    assert done.grown("pgweir_errors_total") == N + 1
    assert done.grown("pgweir_errors_total", sqlstate="22012", sqlstate_class="22", source="server") == \
        done.count["class 22"] == N
    assert done.grown("pgweir_errors_total", sqlstate_class="53", source="pgweir") == \
        done.count["class 53"] == 1


# --- pools and pins ---

def test_states_of_clients_and_servers(done, site):
    waiting, running_, idle = done.held["waiting"], done.held["running"], done.after
    primary = f"127.0.0.1:{site.cluster.primary.port}"
    for values, clients, servers in (
            (waiting, {"active": 2, "waiting": 1, "idle": N - 3}, {"active": 2}),
            (running_, {"active": 1, "idle": N - 1}, {"active": 1, "idle": 1}),
            (idle, {"idle": N}, {"idle": 2})):
        assert states(values, "pgweir_clients", database="app", user="app") == clients
        assert states(values, "pgweir_servers", database="app", node=primary) == servers
        assert total(values, "pgweir_servers") == 2, "on the primary alone"


def states(values, name, **labels):
    """Counts that are not 0, by state."""
    wanted = set(labels.items())
    return {dict(have)["state"]: n for (what, have), n in values.items()
            if what == name and wanted <= have and n != 0}


def test_gauges_of_pools(done):
    waiting, running_ = done.held["waiting"], done.held["running"]
    assert 0.5 <= total(waiting, "pgweir_maxwait_seconds", database="app") <= done.passed
    assert done.now("pgweir_maxwait_seconds") == 0
    assert total(running_, "pgweir_outstanding_units", database="app") == 1
    assert done.now("pgweir_outstanding_units") == 0
    assert 0 < done.now("pgweir_recent_latency_seconds", database="app") <= done.passed


def test_pins_by_cause(done):
    pinned = done.held["pinned"]
    assert total(pinned, "pgweir_pinned_clients", database="app") == 1
    assert total(pinned, "pgweir_pins", cause="advisory_lock") == total(pinned, "pgweir_pins") == 1
    assert done.now("pgweir_pins") == done.now("pgweir_pinned_clients") == 0
    assert done.grown("pgweir_pins_total") == 2
    assert done.grown("pgweir_pins_total", cause="advisory_lock") == \
        done.grown("pgweir_pins_total", cause="temp") == 1
    assert done.grown("pgweir_server_cleanings_total", kind="temp") == \
        done.grown("pgweir_server_cleanings_total") == 1


# --- workers and the process ---

def test_counters_of_workers(done):
    workers = {dict(labels)["worker"] for name, labels in done.after
               if name.startswith("pgweir_worker_")}
    assert workers == {"0", "1"}
    assert done.grown("pgweir_worker_units_total") == done.count["queries"] - done.count["local"]
    assert done.grown("pgweir_worker_handovers_in_total") == \
        done.grown("pgweir_worker_handovers_out_total") <= done.count["assigned"]
    assert done.grown("pgweir_worker_turns_total") >= done.count["queries"]
    assert 0 < done.now("pgweir_worker_cpu_seconds_total") <= \
        done.now("process_cpu_seconds_total") <= proc.cpu_us(done.pooler.pid) / 1e6


def test_what_workers_keep(done):
    before, running_ = done.before, done.held["running"]
    assert total(before, "pgweir_worker_buffer_bytes") == 0
    assert total(running_, "pgweir_worker_buffer_bytes") > 0, "a part of a query"
    assert done.now("pgweir_worker_buffer_bytes") == 0
    assert done.now("pgweir_worker_buffer_free_bytes") > 0, "it is kept for use"
    assert total(running_, "pgweir_worker_settings_sets") == \
        total(done.held["pinned"], "pgweir_worker_settings_sets") + 1, "SET work_mem"
    assert done.grown("pgweir_worker_statements") == N - 1
    texts = sum(len(f"SELECT 'of client {i}'") for i in range(N - 1))
    assert texts <= done.grown("pgweir_worker_statement_bytes") <= texts + 200 * (N - 1)


def test_the_process(done):
    pid = done.pooler.pid
    assert [v for (name, labels), v in done.after.items()
            if name == "pgweir_info" and dict(labels)["version"]] == [1]
    assert done.now("process_resident_memory_bytes") == pytest.approx(
        proc.status_kib(pid, "VmRSS") * 1024, rel=0.3)
    started = os.stat(f"/proc/{pid}").st_ctime
    assert abs(done.now("process_start_time_seconds") - started) < 15
    assert done.now("pgweir_client_connections") == N
    assert done.now("pgweir_client_connections_limit") == 10000
    assert (total(done.before, "pgweir_console_connections"),
            done.now("pgweir_console_connections")) == (0, 1)
    assert done.now("pgweir_helper_jobs") == 0


def test_custom_parameters_close_servers(pooler):
    """Two servers know a name that the third client has never set."""
    before = total(metrics(pooler), "pgweir_worker_custom_parameter_closes_total")
    with pooler.raw() as one, pooler.raw() as two, pooler.raw() as third:
        for client in (one, two):
            client.query("BEGIN; SET app.name = 'x'").check()
        for client in (one, two):
            client.query("COMMIT").check()
        assert third.value("SELECT current_setting('app.name', true) IS NULL") == "t"
    assert total(metrics(pooler), "pgweir_worker_custom_parameter_closes_total") == before + 1


# --- notifications ---

def test_notifications_are_counted(pooler):
    def grown(name):
        now = metrics(pooler)
        return total(now, f"pgweir_{name}") - total(before, f"pgweir_{name}")
    before = metrics(pooler)
    with pooler.raw() as one, pooler.raw() as two, pooler.raw(client_encoding="LATIN1") as far:
        for client in (one, two):
            client.query("LISTEN counted").check()
        one.query("LISTEN other").check()
        proc.wait_until("both channels", lambda: grown("listen_channels") == 2)
        assert grown("listen_subscriptions") == 3
        assert "A" in two.query("NOTIFY counted, 'x'").check().kinds
        assert one.read_until("A")
        proc.wait_until("both to be counted", lambda: grown("notifications_sent_total") == 2)
        assert grown("notifications_received_total") == 1
        assert grown("pins_total") == 0
        far.query("LISTEN counted").check()
        assert grown("pins_total") == 1, "it has another encoding"
        kill_listener(pooler.site)
        proc.wait_until("the loss", lambda: grown("listen_losses_total") == 1)


# --- nodes ---

def test_nodes_tell_their_positions_and_their_lag(pooler, site):
    primary, standby = site.cluster.primary, site.cluster.standbys[0]
    label = {n: f"127.0.0.1:{n.port}" for n in (primary, standby)}

    def of(node, name):
        return total(metrics(pooler), f"pgweir_node_{name}", node=label[node])

    def position(node, function):
        return int(node.sql(f"SELECT {function} - '0/0'", "app"))
    for node in site.cluster.nodes:
        values = metrics(pooler)
        here = {"node": f"127.0.0.1:{node.port}"}
        assert total(values, "pgweir_node_up", **here) == 1
        assert total(values, "pgweir_node_timeline", **here) == 1
        assert total(values, "pgweir_node_is_primary", **here) == (node is primary)
        assert total(values, "pgweir_node_is_replica", **here) == (node is not primary)
        assert 0 < total(values, "pgweir_node_probe_seconds", **here) < 5
    standby.pause_replay()
    try:
        stood = position(standby, "pg_last_wal_replay_lsn()")
        primary.sql("SELECT txid_current()", "app")
        end = position(primary, "pg_current_wal_insert_lsn()")
        proc.wait_until("the lag in bytes", lambda: of(standby, "lag_bytes") == end - stood > 0)
        assert of(primary, "wal_position_bytes") == end
        assert of(standby, "wal_position_bytes") == stood
        began = time.monotonic()
        proc.wait_until("the lag in seconds", lambda: of(standby, "lag_seconds") >= 0.3)
        assert of(standby, "lag_seconds") <= time.monotonic() - began + 5
    finally:
        standby.resume_replay()
    proc.wait_until("the replica to have caught up", lambda: of(standby, "lag_bytes") == 0)
    proc.wait_until("its lag to be gone", lambda: of(standby, "lag_seconds") < 0.3)


# --- none is left out ---

def test_every_metric_is_compared_with_what_was_done(pooler):
    here = os.path.dirname(os.path.abspath(__file__))

    def source(module):
        with open(f"{here}/{module}", encoding="utf-8") as f:
            return f.read()
    ours = source(os.path.basename(__file__))
    for line in get(pooler, "/metrics")[1].splitlines():
        if not line.startswith("# HELP "):
            continue
        name = line.split()[2]
        text = source(ELSEWHERE[name]) if name in ELSEWHERE else ours
        asked = {name + "{", name + '"', f'"{name.removeprefix("pgweir_")}"',
                 f'"{name.removeprefix("pgweir_node_")}"',
                 f'"{name.removeprefix("pgweir_").removesuffix("_total")}"'}
        assert any(word in text for word in asked), f"{name} is not looked at by a test"
