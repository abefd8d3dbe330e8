"""Finds out on which node a statement ran: it carries a mark, which pg_stat_activity shows."""
import itertools

import pgwire
import psycopg2
import pytest
from tools import proc

_numbers = itertools.count(1)


def new_mark():
    return f"/* mark {next(_numbers)} */"


class Where:
    """Looks into every running node of a cluster, past the pooler."""

    def __init__(self, cluster, database="app"):
        self.cluster = cluster
        self.database = database
        self._connections = {}

    def close(self):
        for conn in self._connections.values():
            conn.close()
        self._connections = {}

    def _ask(self, node, mark):
        for _ in range(2):  # a connection from before the node's restart fails once
            try:
                if node.name not in self._connections:
                    self._connections[node.name] = psycopg2.connect(
                        host=self.cluster.socket_dir, port=node.port, user="postgres",
                        dbname=self.database)
                    self._connections[node.name].autocommit = True
                cur = self._connections[node.name].cursor()
                cur.execute("SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                            " AND position(%s IN query) > 0", (mark,))
                return cur.fetchone()[0] > 0
            except psycopg2.Error:
                self._connections.pop(node.name, None)
        return False

    def ran(self, mark):
        """Names of the nodes where a statement with that mark was the last of its backend."""
        return {n.name for n in self.cluster.nodes if n.is_running() and self._ask(n, mark)}

    def run(self, client, sql, extended=False, params=()):
        """Run a statement on a RawClient: (its Result, the nodes where it ran)."""
        mark = new_mark()
        result = client.prepared(mark + sql, params) if extended else client.query(mark + sql)
        return result, self.ran(mark)

    def of(self, client, sql="SELECT 1", extended=False):
        """The one node where a statement that succeeds ran."""
        result, nodes = self.run(client, sql, extended)
        result.check()
        assert len(nodes) == 1, nodes
        return nodes.pop()


def wait_routing(pooler, where, replicas=2, timeout=20):
    """Wait until the daemon knows its nodes and so many replicas, and reads go to one of them."""
    def nodes_known():
        rows = [r for r in pooler.show("NODES") if r["health"] == "up"]
        roles = sorted(r["role"] for r in rows)
        return roles == ["primary"] + ["replica"] * replicas
    proc.wait_until(f"a primary and {replicas} replicas in SHOW NODES", nodes_known,
                    timeout * pooler.slow, 0.1)
    if replicas:
        with pooler.raw() as client:
            wait_replica_read(client, where, timeout * pooler.slow)


def wait_replica_read(client, where, timeout=20):
    """Wait until this client's reads go to a replica: its own writes are known to be there."""
    proc.wait_until("reads on a replica", lambda: where.of(client) != "primary", timeout, 0.05)


def send_marked(client, sql):
    """Send a statement without waiting; returns its mark."""
    mark = new_mark()
    client.send(pgwire.query(mark + sql))
    return mark


def where_fixture(site, database="app"):
    """The fixture `where` of a test module: a Where on the cluster of its fixture `site`."""
    @pytest.fixture(scope="module", name="where")
    def make(request):
        finder = Where(request.getfixturevalue(site).cluster, database)
        yield finder
        finder.close()
    return make
