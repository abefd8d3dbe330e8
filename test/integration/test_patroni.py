"""Patroni's REST API as a source of the leader; here a fake one beside each node."""
import http.server
import threading

import pgwire
import pytest
from pooler import hosts
from tools import proc
from where import wait_routing, where_fixture

where = where_fixture("site")


class FakeApi:
    """GET /leader: `status` is 200 or 503, or "silent", "rubbish"; `asked` counts the questions."""

    def __init__(self, status):
        self.status = status
        self.asked = 0
        self.paths = set()
        self._free = threading.Event()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers as `api` wants."""

            def do_GET(self):  # pylint: disable=invalid-name
                """One question."""
                api.asked += 1
                api.paths.add(self.path)
                if api.status == "silent":
                    api._free.wait(30)  # pylint: disable=protected-access
                elif api.status == "rubbish":
                    self.wfile.write(b"\x00\xff" * 30_000)
                else:
                    self.send_response(api.status)
                    self.end_headers()
                    self.wfile.write(b'{"state": "running"}' * 1000)

            def log_message(self, *_):
                """Says nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # the other side closes early
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._free.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(name="apis")
def apis_fixture():
    apis = [FakeApi(200), FakeApi(503), FakeApi(503)]
    yield apis
    for api in apis:
        api.close()


def database(site, apis):
    ports = ",".join(str(a.port) for a in apis)
    return {"app": f"{hosts(site.cluster.nodes)} dbname=app patroni_port={ports}"}


@pytest.fixture(name="pooler")
def pooler_fixture(site, where, apis):
    with site.pgweir(database(site, apis), settings={"query_wait_timeout": 60,
                                                     "node_timeout": 2}) as p:
        wait_routing(p, where)
        wait_patroni(p, site.cluster.primary, "leader")
        yield p


def node_row(pooler, node):
    return pooler.show_one("NODES", node=f"127.0.0.1:{node.port}")


def wait_patroni(pooler, node, word):
    proc.wait_until(f"Patroni's word on {node.name} to be {word}",
                    lambda: node_row(pooler, node)["patroni"] == word, 20 * pooler.slow)


def test_each_api_is_asked_for_the_leader(pooler, site, apis):
    for standby in site.cluster.standbys:
        wait_patroni(pooler, standby, "not leader")
    assert node_row(pooler, site.cluster.primary)["is_primary"] == "1"
    assert all(a.paths == {"/leader"} for a in apis)
    before = [a.asked for a in apis]
    proc.wait_until("them to be asked again",
                    lambda: all(a.asked > n + 1 for a, n in zip(apis, before)), 20 * pooler.slow)


def test_node_that_is_not_the_leader_gets_no_write_until_it_is(pooler, site, where, apis):
    primary = site.cluster.primary
    with pooler.raw() as writer, pooler.raw() as reader:
        writer.query("SELECT 1 FOR UPDATE").check()
        apis[0].status = 503
        wait_patroni(pooler, primary, "not leader")
        row = node_row(pooler, primary)
        assert (row["is_primary"], row["fenced"], row["health"]) == ("0", "1", "up")
        assert "Patroni" in row["reason"]
        writer.send(pgwire.query("SELECT 2 FOR UPDATE"))
        assert where.of(reader).startswith("standby")
        assert writer.is_silent_for(0.5)
        pooler.wait_log("node is fenced")
        assert "two primaries" not in pooler.log_text()
        apis[0].status = 200
        assert writer.result().value() == "2"
    assert node_row(pooler, primary)["fenced"] == "0"


@pytest.mark.parametrize("how", ["silent", "rubbish", 404, "gone"])
def test_without_an_answer_roles_are_discovered(pooler, site, where, apis, how):
    """Patroni may die and its node live; who takes over from it has a higher timeline."""
    primary = site.cluster.primary
    if how == "gone":
        apis[0].close()
    else:
        apis[0].status = how
    wait_patroni(pooler, primary, "no answer")
    pooler.wait_log("patroni does not tell")
    with pooler.raw() as client:
        assert where.of(client, "SELECT 1 FOR UPDATE") == primary.name
    assert node_row(pooler, primary)["is_primary"] == "1"


def test_reload_can_stop_asking(pooler, site, apis):
    primary = site.cluster.primary
    apis[0].status = 503
    wait_patroni(pooler, primary, "not leader")
    pooler.databases = site.app_on(site.cluster.nodes)
    pooler.reload()
    with pooler.raw() as client:
        client.query("SELECT 1 FOR UPDATE").check()
    assert node_row(pooler, primary)["patroni"] is None


def test_port_that_is_none_is_refused(pooler, site):
    pooler.databases = {"app": f"{hosts(site.cluster.nodes)} dbname=app patroni_port=1,2"}
    pooler.write_config()
    with pooler.raw("admin", "pgweir") as console:
        assert "patroni_port" in str(console.query("RELOAD").errors[0])
