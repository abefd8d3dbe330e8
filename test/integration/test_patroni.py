"""Patroni's REST API as a source of the leader; here a fake one beside each node."""
import base64
import http.server
import re
import ssl
import subprocess
import threading

import pgwire
import pytest
from pooler import hosts
from tools import proc
from tools.certs import Authority
from where import wait_routing, where_fixture

where = where_fixture("site")


def basic(password):
    return "Basic " + base64.b64encode(password.encode()).decode()


class FakeApi:
    """
    GET /leader: `status` is 200 or 503, or "silent", "rubbish"; `asked` counts the questions.
    tls: files of a certificate and its key; password: "user:password" that it wants.
    """

    def __init__(self, status, tls=None, password=None):
        self.status = status
        self.asked = 0
        self.paths = set()
        self.given = set()
        self._free = threading.Event()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers as `api` wants."""

            def do_GET(self):  # pylint: disable=invalid-name
                """One question."""
                api.asked += 1
                api.paths.add(self.path)
                api.given.add(self.headers["Authorization"])
                if password is not None and self.headers["Authorization"] != basic(password):
                    self.send_error(401)
                elif api.status == "silent":
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
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            context.set_alpn_protocols(["http/1.1"])
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
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
        told = f'patroni tells node=127.0.0.1:{primary.port} api_port={apis[0].port} leader='
        assert (told + 'no was=yes reason="it answers 503: this member has not the leader lock"'
                in pooler.log_text())
        assert told + "yes was=unknown" in pooler.log_text()
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
    pooler.wait_log(f"patroni does not tell node=127.0.0.1:{primary.port} "
                    f"api_port={apis[0].port} was=yes reason=")
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


# --- TLS, and a password -------------------------------------------------------------------------

PASSWORD = "weir:p4ss:w\u00f6rd"


@pytest.fixture(scope="module", name="authority")
def authority_fixture(site):
    return Authority(f"{site.new_folder()}/ca", "Patroni's CA")


@pytest.fixture(name="secured")
def secured_fixture(authority):
    """Three APIs that speak HTTPS and want a password; the certificates can be exchanged."""
    made = []

    def make(tls=None, password=PASSWORD):
        tls = tls or authority.issue("api")
        made.extend(FakeApi(status, tls, password) for status in (200, 503, 503))
        return made

    yield make
    for api in made:
        api.close()


def expired(authority):
    """A certificate of the authority's whose time is over, and its key."""
    base = f"{authority.folder}/expired"
    cert, key = authority.issue("expired")
    subprocess.run(["openssl", "x509", "-req", "-days", "0", "-in", f"{base}.csr",
                    "-CA", authority.cert, "-CAkey", authority.key, "-CAcreateserial",
                    "-extfile", f"{base}.ext", "-out", cert], check=True, capture_output=True)
    return cert, key


def start(site, where, apis, **settings):
    pooler = site.pgweir(database(site, apis), settings={"node_timeout": 2, **settings})
    pooler.__enter__()
    wait_routing(pooler, where)
    return pooler


def test_https_and_a_password(site, where, authority, secured):
    apis = secured()
    pooler = start(site, where, apis, patroni_tls_ca_file=authority.cert, patroni_auth=PASSWORD)
    try:
        wait_patroni(pooler, site.cluster.primary, "leader")
        for standby in site.cluster.standbys:
            wait_patroni(pooler, standby, "not leader")
        assert all(a.given == {basic(PASSWORD)} and a.paths == {"/leader"} for a in apis)
        row = next(r for r in pooler.show("CONFIG") if r["key"] == "patroni_auth")
        assert "p4ss" not in str(row)
        assert not any("p4ss" in str(r) for r in pooler.show("CONFIG") + pooler.show("NODES"))
        assert "p4ss" not in pooler.log_text()
        assert basic(PASSWORD)[6:] not in pooler.log_text()
    finally:
        pooler.__exit__(None, None, None)


@pytest.mark.parametrize("wrong, reason", [
    ("password", "it refuses patroni_auth"), ("no password", "it refuses patroni_auth"),
    ("ca", "self-signed certificate in certificate chain|unable to get local issuer"),
    ("host", "IP address mismatch"), ("expired", "certificate has expired"),
    ("plain", "wrong version number|packet length|connection was closed|could not connect")])
def test_what_is_not_trusted_says_nothing(site, where, authority, secured, wrong, reason):
    """Roles are discovered as without Patroni; the log tells why, and after a repair it is asked."""
    primary = site.cluster.primary
    settings = {"patroni_tls_ca_file": authority.cert, "patroni_auth": PASSWORD}
    tls = authority.issue("good")
    if wrong == "password":
        settings["patroni_auth"] = "weir:other"
    elif wrong == "no password":
        settings["patroni_auth"] = ""
    elif wrong == "ca":
        settings["patroni_tls_ca_file"] = Authority(f"{site.new_folder()}/other", "another CA").cert
    elif wrong == "host":
        tls = authority.issue("elsewhere", common_name="elsewhere", san="DNS:elsewhere")
    elif wrong == "expired":
        tls = expired(authority)
    else:
        tls = None
    apis = secured(tls) if tls else [FakeApi(s) for s in (200, 503, 503)]
    pooler = start(site, where, apis, **settings)
    try:
        wait_patroni(pooler, primary, "no answer")
        proc.wait_until("the questions", lambda: all(
            r["patroni"] == "no answer" for r in pooler.show("NODES")), 10 * pooler.slow)
        assert node_row(pooler, primary)["is_primary"] == "1"
        assert re.search(f"patroni does not tell.*({reason})", pooler.log_text())
        assert "p4ss" not in pooler.log_text() and "weir:" not in pooler.log_text()
        if "assword" not in wrong:
            assert all(not a.given or tls is None for a in apis), "nobody untrusted gets it"
        with pooler.raw() as client:
            assert where.of(client, "SELECT 1 FOR UPDATE") == primary.name
        if wrong in ("password", "no password", "ca"):
            pooler.reload(patroni_tls_ca_file=authority.cert, patroni_auth=PASSWORD)
            wait_patroni(pooler, primary, "leader")
    finally:
        pooler.__exit__(None, None, None)
        if tls is None:
            for api in apis:
                api.close()


@pytest.mark.parametrize("key, value, expected", [
    ("patroni_tls_ca_file", "/nowhere/ca.pem", "/nowhere/ca.pem"),
    ("patroni_tls_ca_file", "/dev/null", "/dev/null"),
    ("patroni_auth", "nameless", "expected user:password"),
    ("patroni_auth", ":p4ss", "expected user:password")])
def test_settings_that_cannot_be_used_are_told_with_their_place(pooler, key, value, expected):
    pooler.settings[key] = value
    pooler.write_config()
    with pooler.raw("admin", "pgweir") as console:
        error = str(console.query("RELOAD").errors[0])
    assert re.search(rf"pgweir\.ini:\d+: {key}", error) and expected in error, error
    assert "p4ss" not in error and "nameless" not in error
