"""A node is lost under reads, diverges, is rewound (pg_rewind) and comes back as a replica: no
read fails, none is older than the client's own writes or than what it has seen, none is of the
divergence."""
import threading
import time

import pytest
from conftest import temporary_site
from test_routing import replays
from tools import proc
from where import wait_routing, where_fixture

CLIENTS = 12  # half of them write
DIVERGED = 1_000_000_000
SETTINGS = {"synchronous_standby_names": "ANY 1 (primary, standby1, standby2)",
            "wal_log_hints": "on", "full_page_writes": "on"}

where = where_fixture("rewound_site")


@pytest.fixture(scope="module", name="rewound_site")
def rewound_site_fixture():
    """With synchronous replication, or a failover may lose what was acknowledged."""
    yield from temporary_site(standbys=2, **SETTINGS)


@pytest.fixture(scope="module", name="pooler")
def pooler_fixture(rewound_site, where):
    cluster = rewound_site.cluster
    cluster.primary.sql("CREATE TABLE rewound AS SELECT id, 0 AS n "
                        f"FROM generate_series(1, {CLIENTS // 2}) id;"
                        "ALTER TABLE rewound OWNER TO app", "app")
    cluster.wait_caught_up()
    settings = {"server_login_retry": 1, "query_wait_timeout": 60}
    app = rewound_site.app_on(cluster.nodes)["app"]
    # `session` does not go back among replicas: who only reads must not have been on the primary
    databases = {"app": app, "readers": f"{app} primary_reads=never"}
    with rewound_site.pgweir(databases, settings=settings) as p:
        wait_routing(p, where)
        yield p


class Client(threading.Thread):
    """Reads a row without a pause; one that writes raises its own before each second read."""

    def __init__(self, pooler, row, writes):
        super().__init__()
        self.pooler, self.row, self.writes = pooler, row, writes
        self.least, self.most = 0, 0 if writes else DIVERGED - 1  # what a read may see
        self.n_reads = self.n_lost = 0
        self.wrong = []
        self.end = threading.Event()

    def run(self):
        try:
            with self.pooler.raw(database="app" if self.writes else "readers") as client:
                while not self.end.is_set():
                    if self.writes and self.n_reads % 2 == 0:
                        self._write(client)
                    self._read(client)
        except Exception as e:  # pylint: disable=broad-except
            self.wrong.append(repr(e))

    def _write(self, client):
        self.most += 1
        result = client.query(f"UPDATE rewound SET n = {self.most} WHERE id = {self.row}")
        if result.errors:
            self.n_lost += 1  # it may have been done all the same
        else:
            self.least = self.most

    def _read(self, client):
        result = client.query(f"SELECT n FROM rewound, pg_sleep(0.03) WHERE id = {self.row}")
        self.n_reads += 1
        if result.errors:
            self.wrong.append(result.errors[0].fields)
            return
        seen = int(result.value())
        if not self.least <= seen <= self.most:
            self.wrong.append((seen, self.least, self.most))
        self.least = max(seen, self.least)


def n_replays(pooler):
    return sum(replays(pooler, "lost", database) for database in ("app", "readers"))


class Clients:
    """All of them, in the background; leaving checks what they have seen."""

    def __init__(self, pooler):
        pooler.site.cluster.primary.sql("UPDATE rewound SET n = 0", "app")
        pooler.site.cluster.wait_caught_up()
        self.pooler, self.n_replays = pooler, n_replays(pooler)
        self.all = [Client(pooler, 1 + i // 2, i % 2 == 0) for i in range(CLIENTS)]

    def __enter__(self):
        for c in self.all:
            c.start()
        return self

    def __exit__(self, kind, *_):
        for c in self.all:
            c.end.set()
        for c in self.all:
            c.join()
        if kind is None:
            assert not any(c.wrong for c in self.all), [c.wrong[:3] for c in self.all]
            assert n_replays(self.pooler) > self.n_replays, "some were under way there"

    def n_lost(self):
        """Writes that were told to have failed."""
        return sum(c.n_lost for c in self.all)


def wait_read(pooler, node):
    """Wait until some of the clients' reads run there."""
    proc.wait_until(f"reads on {node.name}", lambda: int(node.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'app'"
        " AND query LIKE 'SELECT n FROM rewound%'")) > 0, 30 * pooler.slow)


def lose_under_reads(pooler, node):
    """An immediate shutdown while reads run there."""
    wait_read(pooler, node)
    node.stop("immediate")


def diverge(node):
    """Write what no client may see. Commits wait for no replica: there is none."""
    node.sql(f"SET synchronous_commit = local; UPDATE rewound SET n = {DIVERGED}", "app")


def test_replica_that_was_promoted_apart_is_rewound(pooler, rewound_site):
    """While pgweir cannot reach it."""
    primary, node, _ = rewound_site.cluster.nodes
    with Clients(pooler) as clients:
        lose_under_reads(pooler, node)
        known, node.port = node.port, proc.free_port()
        node.start()
        node.promote()
        diverge(node)
        node.stop("immediate")
        node.port = known
        node.rewind(primary)
        wait_read(pooler, node)
        time.sleep(1)  # of reads, on it as well
        assert clients.n_lost() == 0


def test_old_primary_is_rewound_after_a_failover(pooler, rewound_site):
    """Last in this file."""
    old, *replicas = rewound_site.cluster.nodes
    with Clients(pooler) as clients:
        for r in replicas:  # then who has written reads on the primary
            r.pause_replay()
        lose_under_reads(pooler, old)
        for r in replicas:
            r.resume_replay()
        new, third = sorted(replicas, reverse=True, key=lambda n: int(
            n.sql("SELECT pg_last_wal_receive_lsn() - '0/0'")))
        new.promote()
        third.follow(new)
        wait_read(pooler, third)
        old.start()  # it believes to be the primary still
        pooler.wait_show("NODES", lambda r: r["fenced"] == "1", 20, node=f"127.0.0.1:{old.port}")
        diverge(old)
        time.sleep(1)  # of reads and writes, none of them there
        old.stop("immediate")
        new.sql("CHECKPOINT")  # pg_rewind asks its control file for its timeline
        old.rewind(new)
        wait_read(pooler, old)
        time.sleep(1)
        assert clients.n_lost() <= CLIENTS // 2, "none but those that were under way"
    assert int(new.sql("SELECT max(n) FROM rewound", "app")) < DIVERGED
