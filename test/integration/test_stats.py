"""The stats port: metrics that Prometheus accepts, health, readiness, JSON."""
import json
import re
import subprocess
import urllib.error
import urllib.request

import pgwire
import pytest
from pooler import TOP
from tools import proc
from where import Where, wait_routing

SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@pytest.fixture(scope="module")
def pooler(site):
    finder = Where(site.cluster)
    with site.pgweir_routed(settings={"workers": 2, "default_pool_size": 3}) as p:
        wait_routing(p, finder)
        yield p
    finder.close()


def get(pooler, path):
    """(status, body) of a page of the stats port."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{pooler.stats_port}{path}",
                                    timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def metrics(pooler):
    """{(name, labels): value} of /metrics."""
    status, text = get(pooler, "/metrics")
    assert status == 200
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            key = (name, frozenset(LABEL.findall(labels or "")))
            assert key not in found, f"twice: {line}"
            found[key] = float(value)
    return found


def total(values, name, **labels):
    """Sum of a metric over all samples that have these labels."""
    wanted = set(labels.items())
    return sum(v for (n, have), v in values.items() if n == name and wanted <= have)


def test_promtool_accepts_the_metrics(pooler):
    with pooler.raw() as client:
        client.query("SELECT 1/0")
        client.query("SELECT 1").check()
    _, text = get(pooler, "/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          capture_output=True, timeout=30, check=False)
    assert done.returncode == 0 and not done.stderr.strip(), done.stdout + done.stderr


def test_names_have_our_prefix_and_help(pooler):
    _, text = get(pooler, "/metrics")
    names = {SAMPLE.match(line).group(1) for line in text.splitlines()
             if line and not line.startswith("#")}
    assert names and all(n.startswith("pgweir_") or n.startswith("process_") for n in names)
    for name in names:
        base = re.sub("_(bucket|sum|count)$", "", name)
        assert f"# HELP {base} " in text or f"# HELP {name} " in text


@pytest.mark.parametrize("subject", ["unit", "transaction|xact", "wait", "latency|duration|time",
                                     "error", "byte", "client", "server", "lag"])
def test_every_subject_is_there(pooler, subject):
    assert any(re.search(subject, name) for name, _ in metrics(pooler))


def test_histograms_are_cumulative_and_complete(pooler):
    values = metrics(pooler)
    buckets = {}
    for (name, labels), value in values.items():
        if name.endswith("_bucket"):
            rest = frozenset((k, v) for k, v in labels if k != "le")
            bound = float(dict(labels)["le"])
            buckets.setdefault((name[:-7], rest), []).append((bound, value))
    assert buckets
    for (name, labels), found in buckets.items():
        counts = [count for _, count in sorted(found)]
        assert counts == sorted(counts), (name, labels)
        assert max(found)[0] == float("inf")
        assert counts[-1] == values[(name + "_count", labels)]


def test_counters_never_fall_and_agree_with_show_stats(pooler):
    before = metrics(pooler)
    with pooler.raw() as client:
        for _ in range(25):
            client.query("SELECT 1").check()
    after = metrics(pooler)
    for key, value in before.items():
        if key[0].endswith("_total"):
            assert after.get(key, 0) >= value, key
    queries = int(pooler.show_one("STATS_TOTALS", database="app")["query_count"])
    assert queries in {v for (n, labels), v in after.items() if n.endswith("_total")
                       and ("database", "app") in labels} or queries in {
        total(after, n, database="app") for n, _ in after if n.endswith("_total")}


def test_health_and_readiness(pooler):
    assert get(pooler, "/healthz")[0] == 200
    assert get(pooler, "/readyz")[0] == 200
    assert get(pooler, "/nowhere")[0] == 404


def test_not_ready_while_shutting_down_or_paused_for_good(site):
    with site.pgweir() as p, p.raw() as client:
        client.query("BEGIN; SELECT 1").check()
        with p.raw("admin", "pgweir") as console:
            console.send(pgwire.query("SHUTDOWN WAIT_FOR_CLIENTS"))
            proc.wait_until("/readyz to say no", lambda: get(p, "/readyz")[0] == 503)
            assert get(p, "/healthz")[0] == 200
        client.query("ROLLBACK").check()


def test_the_guide_names_every_metric_and_table(pooler):
    """docs/console.md: a metric by its name, or by what differs from the one before (`…lag_seconds`)
    or its beginning (`pgweir_worker_…`); a table by its name."""
    with open(f"{TOP}/docs/console.md", encoding="utf-8") as f:
        text = f.read()
    section = text[text.index("\nMetrics: "):]
    words = re.findall(r"`([^`]*)`", section[:section.index("\n\n")])
    ends = tuple(w[1:] for w in words if w.startswith("…"))
    begins = tuple(w[:-1] for w in words if w.endswith("…"))
    families = re.findall(r"(?m)^# TYPE (\w+) ", get(pooler, "/metrics")[1])
    assert len(families) > 60
    assert [f for f in families if f not in words and not f.endswith(ends)
            and not f.startswith(begins)] == []
    with open(f"{TOP}/man/pgweir-console.7", encoding="utf-8") as f:
        page = f.read()
    tables = re.findall(r"(?m)^\.It Ic (\w+)$", page[page.index("generated: begin"):])
    assert len(tables) > 40 and [t for t in tables if not re.search(rf"\b{t}\b", text)] == []


def test_stats_json(pooler):
    status, text = get(pooler, "/stats.json")
    assert status == 200
    assert "app" in json.dumps(json.loads(text))


@pytest.mark.parametrize("request_bytes", [
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /metrics HTTP/9.9\r\n\r\n", b"\0\1\2\3\r\n\r\n", b"GET " + b"x" * 100_000,
    b"GET /../../etc/passwd HTTP/1.0\r\n\r\n", b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n",
], ids=["post", "version", "junk", "long", "path", "delete"])
def test_bad_requests_harm_nobody(pooler, request_bytes):
    import socket  # pylint: disable=import-outside-toplevel
    with socket.create_connection(("127.0.0.1", pooler.stats_port), 5) as sock:
        sock.settimeout(10)
        answer = b""
        try:
            sock.sendall(request_bytes)
            sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(65536):
                answer += chunk
        except TimeoutError:
            raise
        except OSError:
            pass  # it was closed or reset already
        assert not answer or b" 200 " not in answer.split(b"\r\n")[0]
    assert get(pooler, "/healthz")[0] == 200


@pytest.mark.threads
def test_connections_of_both_ports_come_and_go(pooler):
    """A socket's number is free only when the loop that watched it has forgotten it."""
    for _ in range(40):
        assert get(pooler, "/healthz")[0] == 200
        clients = [pooler.raw() for _ in range(3)]
        assert [c.value("SELECT 1") for c in clients] == ["1"] * 3
        for client in clients:
            client.close()


def test_silent_connections_to_the_stats_port_harm_nobody(pooler):
    import socket  # pylint: disable=import-outside-toplevel
    silent = [socket.create_connection(("127.0.0.1", pooler.stats_port)) for _ in range(100)]
    assert get(pooler, "/metrics")[0] == 200
    with pooler.raw() as client:
        assert client.value("SELECT 1") == "1"
    for one in silent:
        one.close()
