"""The stats port for others than the machine's own: TLS, passwords, and those who mean ill."""
import base64
import concurrent.futures
import hashlib
import hmac
import os
import re
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from tools import proc
from tools.certs import Authority

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ("/", "/metrics", "/stats.json", "/history.json")
BROWSER = shutil.which("chromium")


@pytest.fixture(scope="module")
def authority(site):
    return Authority(f"{site.new_folder()}/tls")


@pytest.fixture(scope="module")
def stranger(site):
    return Authority(f"{site.new_folder()}/other", "nobody's CA")


@pytest.fixture(scope="module")
def pooler(site, authority):
    with site.pgweir(settings=tls(authority, stats_auth="ops:se:cret")) as p:
        yield p


def tls(authority, name="stats", **more):
    cert, key = authority.issue(name)
    return {"stats_tls_cert_file": cert, "stats_tls_key_file": key, **more}


def verifier(password, iterations=4096):
    salt = b"0123456789abcdef"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    keys = [hmac.digest(salted, what, "sha256") for what in (b"Client Key", b"Server Key")]
    text = [base64.b64encode(b).decode()
            for b in (salt, hashlib.sha256(keys[0]).digest(), keys[1])]
    return f"SCRAM-SHA-256${iterations}:{text[0]}${text[1]}:{text[2]}"


def curl(p, path, *more, ca=None, scheme="https"):
    """(curl's exit status, HTTP status, body)"""
    argv = ["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *more]
    if ca:
        argv += ["--cacert", ca]
    done = subprocess.run([*argv, f"{scheme}://localhost:{p.stats_port}{path}"],
                          capture_output=True, text=True, timeout=60, check=False)
    body, _, status = done.stdout.rpartition("\n")
    return done.returncode, int(status), body


def test_pages_come_over_tls_to_who_has_the_password(pooler, authority):
    for path in PAGES:
        assert curl(pooler, path, "-u", "ops:se:cret", ca=authority.cert)[:2] == (0, 200)
        for user in ("ops:se:cre", "ops:", "op:se:cret", ":"):
            rc, status, body = curl(pooler, path, "-u", user, ca=authority.cert)
            assert (rc, status, body.count("\n")) == (0, 401, 1)
        assert curl(pooler, path, ca=authority.cert)[:2] == (0, 401)
    assert curl(pooler, "/nowhere", ca=authority.cert)[1] == 401
    metrics = curl(pooler, "/metrics", "-u", "ops:se:cret", ca=authority.cert)[2]
    assert metrics.count("\n# TYPE ") > 50 and metrics.endswith("\n")


def test_probes_need_no_password(pooler, authority):
    assert curl(pooler, "/healthz", ca=authority.cert) == (0, 200, "ok\n")
    assert curl(pooler, "/readyz", ca=authority.cert) == (0, 200, "ready\n")
    assert curl(pooler, "/healthz", "-k")[1] == 200  # as a kubelet asks: it checks nothing


def test_a_stranger_is_not_trusted_and_plain_http_is_not_answered(pooler, stranger):
    assert curl(pooler, "/healthz", ca=stranger.cert)[:2] == (60, 0)
    rc, status, _ = curl(pooler, "/healthz", scheme="http")
    assert rc != 0 and status == 0


def test_tls_1_2_is_the_least(pooler, authority):
    old = ("--tls-max", "1.1", "--tlsv1.0", "--ciphers", "DEFAULT:@SECLEVEL=0")
    assert curl(pooler, "/healthz", *old, ca=authority.cert)[:2] == (35, 0)
    for version in ("1.2", "1.3"):
        assert curl(pooler, "/healthz", "--tls-max", version, f"--tlsv{version}",
                    ca=authority.cert)[1] == 200


def test_http_is_what_alpn_agrees_on(pooler, authority):
    context = ssl.create_default_context(cafile=authority.cert)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("localhost", pooler.stats_port), 10) as sock:
        with context.wrap_socket(sock, server_hostname="localhost") as s:
            assert s.selected_alpn_protocol() == "http/1.1"
            s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert s.makefile("rb").read().endswith(b"\r\n\r\nok\n")
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection(("localhost", pooler.stats_port), 10) as sock:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(sock, server_hostname="localhost")


def test_one_connection_serves_many_requests(pooler, authority):
    url = f"https://localhost:{pooler.stats_port}/metrics"
    done = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null", "-u",
         "ops:se:cret", "--cacert", authority.cert, "-w", "%{http_code} %{num_connects}\n",
         url, url, url], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["200", "1", "200", "0", "200", "0"]


@pytest.mark.parametrize("secret", ["plain", "md5", "scram"])
def test_secrets_are_those_of_auth_file(site, secret):
    text = {"plain": "s3cret", "scram": verifier("s3cret"),
            "md5": "md5" + hashlib.md5(b"s3cretprom").hexdigest()}[secret]
    with site.pgweir(settings={"stats_auth": "prom"}, secrets={"prom": text}) as p:
        assert curl(p, "/metrics", "-u", "prom:s3cret", scheme="http")[1] == 200
        assert curl(p, "/metrics", "-u", "prom:s3cret", scheme="http")[1] == 200
        assert curl(p, "/metrics", "-u", f"prom:{text}x", scheme="http")[1] == 401
        assert curl(p, "/metrics", "-u", "app:" + p.passwords["app"], scheme="http")[1] == 401
        p.secrets["prom"] = "another"
        p.reload()
        assert curl(p, "/metrics", "-u", "prom:s3cret", scheme="http")[1] == 401
        assert curl(p, "/metrics", "-u", "prom:another", scheme="http")[1] == 200
        p.reload(stats_auth=f"prom:{verifier('third')}")
        assert curl(p, "/metrics", "-u", "prom:another", scheme="http")[1] == 401
        assert curl(p, "/metrics", "-u", "prom:third", scheme="http")[1] == 200
        assert "SCRAM-SHA-256$" not in str(p.show("CONFIG")) + str(p.show("SETTINGS"))
        assert "s3cret" not in p.log_text() and "third" not in p.log_text()


def test_several_users_may_be_let_in(site):
    secrets = {"prom": verifier("one"), "grafana": verifier("two"), "third": "three"}

    def let_in(p):
        return [user for user, password in (("prom", "one"), ("grafana", "two"), ("third", "three"))
                if curl(p, "/metrics", "-u", f"{user}:{password}", scheme="http")[1] == 200]
    with site.pgweir(settings={"stats_auth": "prom, grafana"}, secrets=secrets) as p:
        assert let_in(p) == ["prom", "grafana"]
        assert curl(p, "/metrics", "-u", "grafana:one", scheme="http")[1] == 401
        p.reload(stats_auth="third,prom")
        assert let_in(p) == ["prom", "third"]
        assert curl(p, "/metrics", scheme="http")[1] == 401


@pytest.mark.parametrize("settings, told", [
    ({"stats_auth": "nobody"}, "expected user:password, or users of auth_file"),
    ({"stats_auth": "app, nobody"}, "expected user:password, or users of auth_file"),
    ({"stats_auth": "ops:"}, "expected user:password, or users of auth_file"),
    ({"stats_auth": "ops:SCRAM-SHA-256$1:x"}, "malformed SCRAM verifier"),
    ({"stats_tls_cert_file": "/nowhere"}, "stats_tls_cert_file and stats_tls_key_file together"),
    ({"stats_tls_cert_file": "/nowhere", "stats_tls_key_file": "/nowhere"},
     'certificate file "/nowhere": No such file'),
])
def test_what_cannot_work_is_an_error(site, settings, told):
    status, text = site.pgweir(settings=settings).check_config()
    assert status == 1 and told in text
    with site.pgweir() as p:
        with pytest.raises(Exception, match=re.escape(told.split(" ", 1)[0])):
            p.reload(**settings)
        assert curl(p, "/metrics", scheme="http")[1] == 200  # as before


def test_open_to_the_network_is_warned_of(site, authority):
    p = site.pgweir(settings={"stats_addr": "0.0.0.0"})
    assert "whoever reaches the stats port" in p.check_config()[1]
    p.settings["stats_auth"] = "ops:x"
    assert "crosses the network" in p.check_config()[1]
    p.settings.update(tls(authority))
    assert "stats_addr" not in p.check_config()[1]


def test_a_reload_takes_new_certificates_and_keeps_connections(site, authority, stranger):
    settings = tls(authority, "renewed")
    with site.pgweir(settings=settings) as p:
        context = ssl.create_default_context(cafile=authority.cert)
        with socket.create_connection(("localhost", p.stats_port), 10) as sock, \
                context.wrap_socket(sock, server_hostname="localhost") as kept:
            def ask():
                kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                text = b""
                while not text.endswith(b"ok\n"):
                    piece = kept.recv(4096)
                    assert piece, text
                    text += piece
            ask()
            other = tls(stranger, "renewed")
            for name, path in settings.items():  # the same files, another CA's certificate
                if name.startswith("stats_tls"):
                    shutil.copy(other[name], path)
            assert p.reload().tags == ["RELOAD"]
            ask()
        assert curl(p, "/healthz", ca=stranger.cert)[:2] == (0, 200)
        assert curl(p, "/healthz", ca=authority.cert)[0] == 60
        p.reload(stats_tls_cert_file="", stats_tls_key_file="")
        assert curl(p, "/healthz", scheme="http")[1] == 200
        p.reload(**tls(authority))
        assert curl(p, "/healthz", ca=authority.cert)[1] == 200


def test_guessing_stalls_nobody(site, authority):
    """Wrong passwords against a costly verifier, from many connections: who is known is answered,
    and so are probes; clients do not notice."""
    hard = verifier("s3cret", 400000)  # a tenth of a second and more each
    with site.pgweir(settings=tls(authority, stats_auth=f"ops:{hard}")) as p:
        assert curl(p, "/metrics", "-u", "ops:s3cret", ca=authority.cert)[1] == 200
        until = time.monotonic() + 4

        def guess(i):
            seen = set()
            while time.monotonic() < until:
                seen.add(curl(p, "/metrics", "-u", f"ops:wrong{i}", ca=authority.cert)[1])
            return seen
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            guesses = [pool.submit(guess, i) for i in range(8)]
            with p.raw() as client:
                while time.monotonic() < until:
                    began = time.monotonic()
                    assert curl(p, "/metrics", "-u", "ops:s3cret", ca=authority.cert)[1] == 200
                    assert curl(p, "/healthz", ca=authority.cert)[1] == 200
                    assert client.value("SELECT 1") == "1"
                    p.raw().close()  # a login
                    assert time.monotonic() - began < 5 * p.slow
            seen = set().union(*(g.result() for g in guesses))
        assert seen <= {401, 503} and 401 in seen


def test_those_who_say_nothing_or_nonsense_are_ended(pooler, authority):
    """Silent, plain and broken handshakes take places of the port; they are given back."""
    socks = [socket.create_connection(("localhost", pooler.stats_port), 10) for _ in range(64)]
    for i, sock in enumerate(socks):
        sock.settimeout(30)
        if i % 3 == 1:
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        elif i % 3 == 2:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00" + bytes(40))
    proc.wait_until("an answer", lambda: curl(pooler, "/healthz", ca=authority.cert)[1] == 200, 40)
    proc.wait_until("all to be ended", lambda: all(is_ended(s) for s in socks), 40)
    for sock in socks:
        sock.close()


def is_ended(sock):
    sock.setblocking(False)
    try:
        while sock.recv(4096):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_draws_the_page_over_tls(site, authority, tmp_path):
    with site.pgweir(settings=tls(authority)) as p:
        done = subprocess.run(
            [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--ignore-certificate-errors", f"--user-data-dir={tmp_path}/profile",
             "--virtual-time-budget=4000", "--dump-dom", "--enable-logging=stderr",
             f"https://localhost:{p.stats_port}/"],
            check=True, capture_output=True, text=True, timeout=120)
        assert 'data-ready="1"' in done.stdout, done.stdout[-3000:]
        assert not re.search(r"Content.Security|Uncaught|Refused to", done.stderr), done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_the_scrape_configuration_is_valid(tmp_path):
    shutil.copy(f"{TOP}/packaging/prometheus/prometheus.yml", tmp_path)
    shutil.copy(f"{TOP}/packaging/prometheus/pgweir.rules.yml", tmp_path)
    text = (tmp_path / "prometheus.yml").read_text()
    for name in ("pgweir-ca.pem", "pgweir-password"):  # the files that it names
        (tmp_path / name).write_text("x")
        text = text.replace(f"/etc/prometheus/{name}", str(tmp_path / name))
    (tmp_path / "prometheus.yml").write_text(text)
    done = subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=tmp_path,
                          text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "basic_auth" in text and "tls_config" in text
