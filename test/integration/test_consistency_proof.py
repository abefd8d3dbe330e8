"""Tens of thousands of reads after writes, on the same and on other connections, while replicas
lag, stop replaying and restart: none is staler than its consistency allows. Under `strong` those who
read what others write come through a second pgweir.

PGWEIR_PROOF_SCALE multiplies the length of each run; at 1 there are some ten thousand checks in all."""
import concurrent.futures
import contextlib
import os
import random
import threading
import time

import pytest
from test_consistency import run_threads
from tools import proc
from where import wait_routing, where_fixture

SCALE = float(os.environ.get("PGWEIR_PROOF_SCALE", "1"))
SECONDS = 2 * SCALE  # of each run
MODES = ["session", "database", "strong"]
LEVELS = ["on", "off", "remote_apply"]
WRITERS, READERS = 2, 3
STARTER = concurrent.futures.ThreadPoolExecutor(1)  # a child ends with the thread that made it


where = where_fixture("own_site")


@pytest.fixture(scope="module", params=MODES)
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def pooler(own_site, where, mode):
    """`app` reads as the mode says, app_mate leads to the same database. `readers`: where those
    come who only read, another process if the mode promises anything across processes."""
    entry = own_site.app_on(own_site.cluster.nodes, f"max_lag=30s consistency={mode}")["app"]

    def daemon():
        return own_site.pgweir({"app": entry, "app_mate": entry},
                               settings={"default_pool_size": 10, "workers": 2})
    with contextlib.ExitStack() as stack:
        p = stack.enter_context(daemon())
        p.readers = stack.enter_context(daemon()) if mode == "strong" else p
        for one in daemons(p):
            wait_routing(one, where)
        yield p


def daemons(pooler):
    return {pooler, pooler.readers}


class Disturbance:
    """Replay is paused and resumed at random on each standby; now and then one restarts, and only
    one at a time: a write under remote_apply needs the other meanwhile."""

    def __init__(self, cluster, restarts):
        self.cluster, self.restarts = cluster, restarts
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(s, random.Random(i)))
                        for i, s in enumerate(cluster.standbys)]
        self.restarting = threading.Lock()
        self.n_restarts = 0
        self.failure = None

    def _restart(self, standby):
        with self.restarting:
            standby.stop("immediate")
            STARTER.submit(standby.start).result()
            self.n_restarts += 1

    def _run(self, standby, rng):
        try:
            self._pause(standby, rng)
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e

    def _pause(self, standby, rng):
        while not self.end.is_set():
            if self.restarts and rng.random() < 0.15:
                self._restart(standby)
                continue
            standby.pause_replay()
            time.sleep(rng.uniform(0, 0.2))
            standby.resume_replay()
            time.sleep(rng.uniform(0, 0.3))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure
        for standby in self.cluster.standbys:
            standby.resume_replay()
        self.cluster.wait_caught_up()


class Proof:
    """Counters that writers raise, and what readers found of them."""

    def __init__(self, pooler, table, level):
        self.pooler, self.table, self.level = pooler, table, level
        self.told = [0] * WRITERS  # the last value that its writer was told is committed
        self.checks = self.stale = self.writes = 0
        self.example = None
        self.deadline = time.monotonic() + SECONDS

    def note(self, seen, least, what):
        self.checks += 1
        if seen < least:
            self.stale += 1
            self.example = self.example or (what, seen, least)

    def write(self, me):
        rng = random.Random(me)
        with self.pooler.raw() as client:
            client.query(f"SET synchronous_commit = {self.level}").check()
            value = 0
            while time.monotonic() < self.deadline:
                value += 1
                text = f"UPDATE {self.table} SET n = {value} WHERE id = {me}"
                if rng.random() < 0.3:
                    text = f"BEGIN; {text}; COMMIT"
                client.query(text).check()
                self.told[me] = value
                self.writes += 1
                own = int(client.value(f"SELECT n FROM {self.table} WHERE id = {me}"))
                self.note(own, value, "own write")
                time.sleep(rng.choice([0, 0, 0.002, 0.03]))

    def read(self, me):
        """What others wrote: no less than they were told before; for a session no going back."""
        rng = random.Random(me)
        others = self.pooler.mode != "session"
        with self.pooler.readers.raw(database="app_mate") as client:
            seen_on_replica = [0] * WRITERS
            while time.monotonic() < self.deadline:
                of = rng.randrange(WRITERS)
                least = self.told[of] if others else 0
                row = client.query(f"SELECT n, {self.pooler.node_port} FROM {self.table}"
                                   f" WHERE id = {of}").rows[0]
                seen, on_replica = int(row[0]), int(row[1]) != self.pooler.primary_port
                if on_replica:
                    least = max(least, seen_on_replica[of])
                    seen_on_replica[of] = seen
                self.note(seen, least, "another's write" if others else "no going back")
                if rng.random() < 0.1:
                    time.sleep(0.01)

    def run(self):
        run_threads(WRITERS + READERS,
                    lambda i: self.write(i) if i < WRITERS else self.read(i))


@pytest.fixture(scope="module")
def proofs(own_site, pooler, mode):
    """Makes the table; tells where a read ran."""
    primary = own_site.cluster.primary
    primary.sql("""
        CREATE TABLE proof (id int PRIMARY KEY, n int NOT NULL); ALTER TABLE proof OWNER TO app;
        CREATE FUNCTION port_of_node() RETURNS int STABLE LANGUAGE plpgsql AS $$
        DECLARE port int;
        BEGIN EXECUTE 'SELECT inet_' || 'server_port()' INTO port; RETURN port; END $$""", "app")
    own_site.cluster.wait_caught_up()
    for one in daemons(pooler):
        one.admin("RELOAD")
    pooler.mode, pooler.node_port, pooler.primary_port = mode, "port_of_node()", primary.port
    yield pooler
    primary.sql("DROP TABLE proof; DROP FUNCTION port_of_node()", "app")


def route_counts(pooler):
    primary = f":{pooler.primary_port}"
    rows = [r for one in daemons(pooler) for r in one.show("ROUTES") if r["verdict"] == "read"]
    replicas = sum(int(r["units"]) for r in rows if not r["node"].endswith(primary))
    return replicas, sum(int(r["units"]) for r in rows)


@pytest.mark.threads
@pytest.mark.parametrize("restarts", [False, True], ids=["paused", "restarted"])
@pytest.mark.parametrize("level", LEVELS)
def test_no_read_is_staler_than_its_consistency_allows(own_site, proofs, level, restarts):
    primary = own_site.cluster.primary
    primary.sql("TRUNCATE proof; INSERT INTO proof SELECT g, 0 FROM generate_series(0, 9) g",
                "app")
    own_site.cluster.wait_caught_up()
    names = "'*'" if level == "remote_apply" else "''"
    primary.sql(f"ALTER SYSTEM SET synchronous_standby_names = {names}")
    primary.sql("SELECT pg_reload_conf()")
    before = route_counts(proofs)
    try:
        with Disturbance(own_site.cluster, restarts) as disturbance:
            proof = Proof(proofs, "proof", level)
            proof.run()
    finally:
        primary.sql("ALTER SYSTEM RESET synchronous_standby_names")
        primary.sql("SELECT pg_reload_conf()")
    after = route_counts(proofs)
    share = (after[0] - before[0]) / (after[1] - before[1])
    print(f"{proofs.mode}, synchronous_commit={level}: {proof.checks} reads after {proof.writes}"
          f" writes, {disturbance.n_restarts} restarts, {proof.stale} stale,"
          f" {share:.0%} of the reads on replicas")
    assert proof.stale == 0, f"{proof.stale} of {proof.checks}: {proof.example}"
    assert proof.checks > 100 * SCALE
    # With everybody's writes to wait for a slow machine may have had none on replicas until now.
    if after[0] == before[0]:
        with proofs.readers.raw(database="app_mate") as client:
            def reads_on_replicas():
                client.query("SELECT n FROM proof WHERE id = 0").check()
                return route_counts(proofs)[0] > before[0]
            proc.wait_until("reads on replicas", reads_on_replicas, 20 * proofs.slow, 0.05)
