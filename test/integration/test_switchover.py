"""SWITCHOVER: a planned change of the primary loses nothing, and no client is told an error."""
import threading

import pgwire
import pytest
from pooler import hosts
from rawclient import ServerError
from tools import proc
from where import wait_routing, where_fixture

where = where_fixture("own_site")


@pytest.fixture(scope="module", name="pooler")
def pooler_fixture(own_site, where):
    databases = {**own_site.app_on(own_site.cluster.nodes),
                 "single": f"{hosts([own_site.cluster.primary])} dbname=app routing=off"}
    with own_site.pgweir(databases, settings={"query_wait_timeout": 120,
                                              "server_login_retry": 1}) as p:
        wait_routing(p, where)
        yield p


@pytest.fixture(autouse=True)
def resumed(request):
    """Nothing stays paused."""
    yield
    pooler = request.getfixturevalue("pooler")
    for command in ("RESUME app", "RESUME"):
        with pooler.raw("admin", "pgweir") as console:
            console.query(command)


class Switching:
    """A SWITCHOVER under way."""

    def __init__(self, pooler, command="SWITCHOVER app"):
        self.console = pooler.raw("admin", "pgweir")
        self.console.send(pgwire.query(command))

    def waits(self):
        return self.console.is_silent_for(0.5)

    def safe(self):
        """Ports of the nodes that can be promoted."""
        result = self.console.result().check()
        names = [name for name, _ in result.columns]
        rows = [dict(zip(names, row)) for row in result.rows]
        self.console.close()
        return {int(r["node"].rsplit(":")[-1]) for r in rows if r["safe"] == "1"}


def test_it_waits_for_transactions_and_for_a_replica(pooler, own_site):
    standbys = own_site.cluster.standbys
    with pooler.raw() as busy:
        busy.query("BEGIN; SELECT 1 FOR UPDATE").check()
        switching = Switching(pooler)
        assert switching.waits(), "a transaction is open"
        for standby in standbys:
            standby.pause_replay()
        busy.query("CREATE TABLE waited_for (a int); COMMIT").check()
        assert switching.waits(), "no replica has replayed it"
        rows = pooler.show("SWITCHOVER")
        assert {r["safe"] for r in rows} == {"0"} and len(rows) == 2
        assert all(int(r["missing_bytes"]) > 0 for r in rows)
        standbys[1].resume_replay()
        assert switching.safe() == {standbys[1].port}
        row = pooler.show_one("SWITCHOVER", node=f"127.0.0.1:{standbys[0].port}")
        assert "replayed" in row["reason"] and row["paused"] == "1"
        standbys[0].resume_replay()
        pooler.wait_show("SWITCHOVER", lambda r: r["safe"] == "1",
                         node=f"127.0.0.1:{standbys[0].port}")
        busy.send(pgwire.query("DROP TABLE waited_for"))
        assert busy.is_silent_for(0.3), "it stays paused"
        pooler.admin("RESUME app")
        busy.result().check()
    assert {r["safe"] for r in pooler.show("SWITCHOVER")} == {"0"}


def test_resume_ends_the_wait(pooler, own_site):
    for standby in own_site.cluster.standbys:
        standby.pause_replay()
    try:
        own_site.cluster.primary.sql("CREATE TABLE not_replayed (a int); DROP TABLE not_replayed")
        switching = Switching(pooler, "SWITCHOVER")
        assert switching.waits()
        pooler.admin("RESUME")
        with pytest.raises(ServerError, match="resumed"):
            switching.safe()
    finally:
        for standby in own_site.cluster.standbys:
            standby.resume_replay()


def test_what_cannot_be_is_refused(pooler):
    for command in ("SWITCHOVER single", "SWITCHOVER nowhere", "SWITCHOVER pgweir"):
        with pytest.raises(ServerError):
            pooler.admin(command)
    with pooler.raw("stats", "pgweir") as console:
        assert console.query("SWITCHOVER app").errors
        console.query("SHOW SWITCHOVER").check()
    assert pooler.show_one("DATABASES", name="app")["paused"] == "0"


def test_prepared_it_describes_its_rows(pooler):
    with pooler.raw("admin", "pgweir") as console:
        result = console.prepared("SWITCHOVER app").check()
        assert "safe" in [name for name, _ in result.columns] and len(result.rows) == 2


def test_database_on_the_same_nodes_has_to_be_paused_too(own_site, where):
    nodes = own_site.cluster.nodes
    databases = {**own_site.app_on(nodes), "second": f"{hosts(nodes)} dbname=app"}
    with own_site.pgweir(databases) as p:
        wait_routing(p, where)
        with pytest.raises(ServerError, match="second"):
            p.admin("SWITCHOVER app")
        assert p.show_one("DATABASES", name="app")["paused"] == "0"
        p.admin("PAUSE second")
        assert Switching(p).safe()


class Writers:
    """Each counts up in its own row of a table, as fast as it may; leaving checks that nobody was
    told an error, and that the table has what was acknowledged, once."""

    def __init__(self, pooler, n=8):
        self.pooler = pooler
        self.acknowledged = [0] * n
        self.errors = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(n)]

    def _run(self, me):
        with self.pooler.raw() as client:
            while not self._end.is_set():
                n = self.acknowledged[me] + 1
                result = client.query(f"INSERT INTO switched VALUES ({me}, {n})")
                self.errors += [str(e) for e in result.errors]
                if result.errors:
                    return
                self.acknowledged[me] = n

    def wait_more(self):
        goal = [n + 30 for n in self.acknowledged]
        proc.wait_until("all to write", lambda: self.errors or all(
            n >= g for n, g in zip(self.acknowledged, goal)), 60)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()


def wait_primary(pooler, node):
    proc.wait_until("it to be known as the primary", lambda: pooler.show_one(
        "NODES", node=f"127.0.0.1:{node.port}")["is_primary"] == "1", 20 * pooler.slow)


def check_kept(writers, node):
    """Nobody was told an error, and the node has what was acknowledged, once."""
    assert not writers.errors, writers.errors
    kept = [int(n) for n in node.sql(
        "SELECT count(*) FROM switched GROUP BY who ORDER BY who", "app").split()]
    assert kept == writers.acknowledged


def test_planned_switchover_loses_nothing_and_tells_no_client(pooler, own_site, where):
    """Near the end of this file: afterwards another node is the primary."""
    old, new, third = own_site.cluster.nodes
    old.sql("CREATE TABLE switched (who int, n int, UNIQUE (who, n));"
            "ALTER TABLE switched OWNER TO app", "app")
    with Writers(pooler) as writers:
        writers.wait_more()
        safe = Switching(pooler).safe()
        assert new.port in safe or third.port in safe
        if new.port not in safe:
            new, third = third, new
        before = list(writers.acknowledged)
        old.stop("fast")
        new.promote()
        third.follow(new)
        wait_primary(pooler, new)
        assert writers.acknowledged == before, "paused"
        pooler.admin("RESUME app")
        writers.wait_more()
    check_kept(writers, new)
    with pooler.raw() as client:
        assert where.of(client, "SELECT 1 FOR UPDATE") == new.name


def test_pause_promote_resume_loses_nothing_and_tells_no_client(pooler, own_site, where):
    """By hand, as with PgBouncer, after the other: from its new primary to the node that is left."""
    running = [n for n in own_site.cluster.nodes if n.is_running()]
    old, new = sorted(running, key=lambda n: n.is_standby())
    old.sql("TRUNCATE switched", "app")
    with Writers(pooler) as writers:
        writers.wait_more()
        pooler.admin("PAUSE app")
        new.wait_caught_up(old)
        before = list(writers.acknowledged)  # they have read their last answers by now
        old.stop("fast")
        new.promote()
        wait_primary(pooler, new)
        assert writers.acknowledged == before, "paused"
        pooler.admin("RESUME app")
        writers.wait_more()
    check_kept(writers, new)
    with pooler.raw() as client:
        assert where.of(client, "SELECT 1 FOR UPDATE") == new.name
