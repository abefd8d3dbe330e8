"""The page for people, what it is made of, and what is packed for Prometheus and Grafana."""
import base64
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request

import pgwire
import pytest
import yaml
from browser import Browser
from tools import proc

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECTIONS = ["now", "hour", "nodes", "pools", "headroom", "queries", "nplusone", "errors",
            "waits", "misuse", "pins"]
BROWSER = shutil.which("chromium")


@pytest.fixture(scope="module")
def pooler(site):
    settings = {"workers": 2, "history_period": "20ms", "misuse_idle": "50ms"}
    with site.pgweir_routed(settings=settings) as p:
        with p.raw(application_name="shop") as client:
            for i in range(30):
                client.query(f"SELECT abalance FROM pgbench_accounts WHERE aid = {i}").check()
                client.query("BEGIN; SELECT pg_advisory_xact_lock(1); COMMIT").check()
            client.query("SELECT 1/0")
            client.query("SELECT pg_advisory_lock(1)").check()
            client.query("SELECT pg_advisory_unlock(1)").check()
            client.query("BEGIN").check()
            client.query("SELECT 1 AS held").check()
            yield p


def get(pooler, path, headers=None):
    request = urllib.request.Request(f"http://127.0.0.1:{pooler.stats_port}{path}",
                                     headers=headers or {})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers, answer.read().decode()


def test_the_policy_allows_what_the_page_holds_and_nothing_else(pooler):
    headers, text = get(pooler, "/")
    policy = headers["Content-Security-Policy"]
    assert headers["Content-Type"].startswith("text/html")
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        inside = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(inside) == 1
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"(src|href)=\"(https?:)?//", text), "nothing comes from elsewhere"
    assert " style=" not in text and " onclick=" not in text


def test_sections_have_names_and_tables_have_captions(pooler):
    text = get(pooler, "/")[1]
    for name in SECTIONS:
        assert f'<section id="{name}" aria-labelledby="h-{name}">' in text
        assert f'href="#{name}"' in text and f'id="h-{name}"' in text
    for what in ("<main", "<nav aria-label", "<header>", "<footer>", 'aria-live="polite"',
                 'lang="en"', 'class="skip"', "<noscript>"):
        assert what in text


def test_the_history_has_what_was_done(pooler):
    def served():
        h = json.loads(get(pooler, "/history.json")[1])
        assert all(len(s) == len(h["columns"]) for s in h["samples"])
        at = h["columns"].index("queries")
        return h["period_s"] == 0.02 and len(h["samples"]) > 3 and any(
            s[at] > 0 for s in h["samples"])
    with pooler.raw() as client:
        proc.wait_until("samples with queries", lambda: client.query("SELECT 1") and served(), 20)


def test_the_history_has_histograms_of_what_it_covers(site):
    """Queries by their time on servers, waits by theirs, as they are; and no more once the hour
    that they were in is over."""
    def hists(p):
        h = json.loads(get(p, "/history.json")[1])
        return h["histograms"], len(h["samples"])

    def longest(counts, up_to):  # the bucket of the longest, in µs
        at = max((i for i, c in enumerate(counts) if c), default=None)
        return None if at is None else up_to[at]
    settings = {"history_period": "100ms", "default_pool_size": 1}
    with site.pgweir(settings=settings) as p, p.raw() as client, p.raw() as waits:
        for _ in range(20):
            client.query("SELECT 1").check()
        client.sock.sendall(pgwire.query("SELECT pg_sleep(0.3)"))
        waits.query("SELECT 2").check()
        client.result().check()
        seen = proc.wait_until("all in it", lambda: (
            lambda h: sum(h["queries"]) >= 22 and sum(h["waits"]) >= 1 and h)(hists(p)[0]), 20)
        up_to = seen["up_to_us"]
        assert len(up_to) == len(seen["queries"]) == len(seen["waits"]) == 16
        assert up_to == sorted(up_to)
        assert longest(seen["queries"], up_to) >= 300000, seen
        assert longest(seen["waits"], up_to) >= 250000, seen
        assert sum(seen["queries"]) == 22
        p.reload(history_period="20ms")  # begins anew
        proc.wait_until("new samples", lambda: sum(hists(p)[0]["queries"]) == 0, 20)
        for _ in range(5):
            client.query("SELECT 1").check()
        proc.wait_until("all in it", lambda: sum(hists(p)[0]["queries"]) == 5, 20)
        proc.wait_until("the hour to pass", lambda: sum(hists(p)[0]["queries"]) == 0, 60)
        assert hists(p)[1] == 360


def test_the_history_is_bounded(pooler):
    proc.wait_until("all samples", lambda: len(json.loads(
        get(pooler, "/history.json")[1])["samples"]) == 360, 60)


def test_what_the_page_shows_is_in_stats_json(pooler):
    stats = json.loads(get(pooler, "/stats.json")[1])
    for table in ("nodes", "node_pools", "headroom", "queries", "nplusone", "errors", "waits",
                  "misuse", "pin_counts"):
        assert table in stats
    rows = [r for r in stats["nplusone"] if "pgbench_accounts" in r["statement"]]
    assert rows and rows[0]["application_name"] == "shop"
    assert [(r["sqlstate"], r["source"], r["errors"]) for r in stats["errors"]] == [
        ("22012", "server", 1)]

    def kinds():
        found = json.loads(get(pooler, "/stats.json")[1])["misuse"]
        return {r["kind"] for r in found if r["application_name"] == "shop"}
    proc.wait_until("who is idle", lambda: {"idle_in_transaction", "pin_advisory_lock"} <= kinds())


def test_a_password_can_be_asked_for(site):
    with site.pgweir(settings={"stats_auth": "ops:se:cret"}) as p:
        good = {"Authorization": "Basic " + base64.b64encode(b"ops:se:cret").decode()}
        for path in ("/", "/metrics", "/stats.json", "/history.json"):
            assert get(p, path, good)[1]
            for wrong in ({}, {"Authorization": good["Authorization"][:-4]},
                          {"Authorization": "Basic " + base64.b64encode(b"ops:x").decode()},
                          {"Authorization": "Bearer x"}, {"Authorization": good["Authorization"] + "A"}):
                with pytest.raises(urllib.error.HTTPError) as refused:
                    get(p, path, wrong)
                assert refused.value.code == 401
                assert "Basic" in refused.value.headers["WWW-Authenticate"]
        assert get(p, "/healthz")[1] == "ok\n"
        assert "se:cret" not in str(p.show("CONFIG")) + p.log_text()


# --- in a browser ------------------------------------------------------------------------------

def browse(url, folder, *more, width=1280, height=2400):
    return subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--hide-scrollbars", f"--user-data-dir={folder}/profile", "--virtual-time-budget=4000",
         f"--window-size={width},{height}", *more, url],
        check=True, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_draws_it_within_its_policy(pooler, tmp_path):
    done = browse(f"http://127.0.0.1:{pooler.stats_port}/", tmp_path, "--dump-dom",
                  "--enable-logging=stderr")
    dom = done.stdout
    assert 'data-ready="1"' in dom, dom[-3000:]
    assert not re.search(r"Content.Security|Uncaught|Refused to", done.stderr), done.stderr
    assert '<th scope="col"' in dom and "<caption>Nodes</caption>" in dom
    assert "SELECT abalance FROM pgbench_accounts WHERE aid = $1" in dom
    assert dom.count("<figure>") == 10 and dom.count('role="img"') == 10
    assert ">All nodes up</p>" in dom
    for told in ("<code>22012</code>", "Data Exception", "pinned: advisory lock",
                 "idle in transaction", "SELECT $1 AS held"):
        assert told in dom, told


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_the_page_names_what_is_switched_off(site, tmp_path):
    off = dict.fromkeys(("history", "error_stats", "wait_stats", "query_stats",
                         "nplusone_threshold", "misuse_idle", "misuse_transaction"), 0)
    with site.pgweir(settings=off) as p:
        done = browse(f"http://127.0.0.1:{p.stats_port}/", tmp_path, "--dump-dom",
                      "--enable-logging=stderr")
    assert 'data-ready="1"' in done.stdout and "Uncaught" not in done.stderr, done.stderr
    for settings, times in (("history", 2), ("error_stats", 1), ("wait_stats", 1),
                            ("query_stats", 1), ("nplusone_threshold = 0, query_stats", 1),
                            ("misuse_idle = 0, misuse_transaction", 1)):
        assert done.stdout.count(f"Switched off: {settings} = 0.") == times, settings
    assert "<figure>" not in done.stdout


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_draws_histograms(site, tmp_path):
    with site.pgweir(settings={"history_period": "1s"}) as p, p.raw() as client:
        for _ in range(30):
            client.query("SELECT 1").check()
        client.query("SELECT pg_sleep(0.2)").check()
        proc.wait_until("a sample with them", lambda: sum(json.loads(
            get(p, "/history.json")[1])["histograms"]["queries"]) == 31, 20)
        shots = os.environ.get("PGWEIR_TEST_SHOTS")
        if shots:
            browse(f"http://127.0.0.1:{p.stats_port}/", tmp_path,
                   f"--screenshot={shots}/histograms.png", height=1400)
        dom = browse(f"http://127.0.0.1:{p.stats_port}/", tmp_path, "--dump-dom").stdout
    label = re.search(r'aria-label="Queries by time on servers, 31 in the last 6.0 min: ([^"]*)"', dom)
    assert label and re.search(r"up to (262 ms|1\.0 s) 3\.2 %", label[1]), label
    assert 'aria-label="Waits by time in the queue, ' in dom
    assert dom.count('class="bar"') == 32
    assert ">No node is watched</p>" in dom  # it does not route: nothing is wrong


FRAME = """<!DOCTYPE html><style>html, body {{ margin: 0; color-scheme: {scheme} }}
iframe {{ border: 0; display: block; width: {width}px; height: {height}px }}</style>
<iframe src="/"></iframe><script>setInterval(() => {{
  const d = document.querySelector("iframe").contentDocument.documentElement;
  document.body.dataset.wide = d.scrollWidth + " of " + d.clientWidth;
}}, 100)</script>"""


class Framed(http.server.BaseHTTPRequestHandler):
    """The page in a frame of any width, which no window can have; its policy would forbid that."""

    def do_GET(self):  # pylint: disable=invalid-name
        if self.path.startswith("/framed/"):
            width, height, scheme = self.path.split("/")[2:]
            body = FRAME.format(width=width, height=height, scheme=scheme).encode()
        else:
            with urllib.request.urlopen(self.server.origin + self.path, timeout=20) as answer:
                body = answer.read()
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if self.path.endswith(".json")
                         else "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@pytest.fixture
def framed(pooler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", proc.free_port()), Framed)
    server.origin = f"http://127.0.0.1:{pooler.stats_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
@pytest.mark.parametrize("width", [360, 1280, 3840])
def test_the_page_is_no_wider_than_its_screen(framed, tmp_path, width):
    url = f"{framed}/framed/{width}/2400/light"
    dom = browse(url, tmp_path, "--dump-dom", width=max(width, 800)).stdout
    assert f'data-wide="{width} of {width}"' in dom
    shots = os.environ.get("PGWEIR_TEST_SHOTS")  # to be looked at
    for scheme in ("light", "dark") if shots else ():
        height = {360: 5200, 1280: 3600}.get(width, 2200)
        browse(f"{framed}/framed/{width}/{height}/{scheme}", tmp_path,
               "--blink-settings=preferredColorScheme=" + ("1" if scheme == "light" else "0"),
               f"--screenshot={shots}/{width}-{scheme}.png", width=width, height=height)


FOCUSED = """(() => { const a = document.activeElement;
    const box = a.getBoundingClientRect();
    return [a.className || a.tagName, box.left >= 0 && box.top >= 0 && box.width > 0,
            getComputedStyle(a).outlineStyle !== "none"]; })()"""


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_the_keyboard_gets_everywhere(pooler, tmp_path):
    """The first Tab offers to skip to the content; then come links and what scrolls, seen, to the end."""
    with Browser(BROWSER, tmp_path, "--window-size=360,800") as browser:
        browser.open(f"http://127.0.0.1:{pooler.stats_port}/", "document.body?.dataset.ready === '1'")
        stops = []
        for _ in range(60):
            browser.press("Tab", 9)
            stops.append(browser.value(FOCUSED))
            if stops[-1][0] == "BODY":
                stops.pop()
                break
        assert stops[0][0] == "skip"
        assert all(is_seen and has_outline for _, is_seen, has_outline in stops), stops
        n_scroll = browser.value("document.querySelectorAll('[tabindex=\"0\"]').length")
        assert n_scroll > 0, "tables are wider than 360 px"
        assert len(stops) == 1 + n_scroll + browser.value(
            "document.querySelectorAll('a[href]:not(.skip), button, summary, input, select').length")
        browser.open(f"http://127.0.0.1:{pooler.stats_port}/", "document.body?.dataset.ready === '1'")
        browser.press("Tab", 9)
        browser.press("Enter", 13)
        assert browser.value("location.hash") == "#main"
        assert browser.value("document.activeElement.id") == "main"


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_screen_reader_is_told_all(pooler, tmp_path):
    """Landmarks, headings in order, tables with headers, pictures in words, news without a shout."""
    with Browser(BROWSER, tmp_path, "--window-size=1280,2400") as browser:
        browser.open(f"http://127.0.0.1:{pooler.stats_port}/", "document.body?.dataset.ready === '1'")
        tree = browser.accessible()
        n_rows = browser.value("document.querySelectorAll('tbody tr').length")
        captions = browser.value("[...document.querySelectorAll('caption')].map(c => c.innerText)")

    def names(role):
        return [name for r, name, _ in tree if r == role]
    for role in ("banner", "main", "contentinfo"):
        assert len(names(role)) == 1, role
    assert names("navigation") == ["Sections"]
    heads = [(p["level"], name) for r, name, p in tree if r == "heading"]
    assert heads[0] == (1, "pgweir") and {level for level, _ in heads[1:]} == {2}
    titles = [name for _, name in heads[1:]]
    assert len(titles) == len(SECTIONS) and set(titles) <= set(names("region"))
    assert names("table") == captions and len(captions) >= 8
    assert all(names("columnheader")) and len(names("columnheader")) > 3 * len(captions)
    assert len(names("rowheader")) == n_rows and all(names("rowheader"))
    pictures = names("img") + names("image")
    assert len(pictures) == 10 and all(re.search(r": now .*; at most | in the last ", p)
                                       for p in pictures), pictures
    assert len(names("term")) == len(names("definition")) == 8
    news = [p for r, _, p in tree if r == "status"]
    assert [p["live"] for p in news] == ["polite"]
    assert not [r for r, _, p in tree if p.get("live") == "assertive"]
    nameless = [(r, p) for r, name, p in tree if p.get("focusable") and not name
                and r not in ("main", "RootWebArea")]
    assert not nameless, nameless
    assert not names("meter"), "its number stands beside it"


# For each element with text of its own: contrast with what is painted behind it, by WCAG's formula.
CONTRAST = """(() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parts(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] === 1) return c;
    }
    return parts(getComputedStyle(document.documentElement).backgroundColor);
  };
  const out = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(e.tagName) || !e.getClientRects().length)
      continue;
    const style = getComputedStyle(e), svg = e.namespaceURI.endsWith("svg");
    const a = light(parts(svg ? style.fill : style.color)), b = light(behind(e));
    out.push([e.tagName + "." + e.className, (Math.max(a, b) + .05) / (Math.min(a, b) + .05)]);
  }
  return out;
})()"""


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_text_can_be_read_in_light_and_dark(pooler, tmp_path):
    with Browser(BROWSER, tmp_path, "--window-size=1280,2400") as browser:
        grounds = []
        for scheme in ("light", "dark"):
            browser.prefer(scheme)
            browser.open(f"http://127.0.0.1:{pooler.stats_port}/",
                         "document.body?.dataset.ready === '1'")
            seen = browser.value(CONTRAST)
            assert len(seen) > 100
            assert [x for x in seen if x[1] < 4.5] == [], scheme
            grounds.append(browser.value("getComputedStyle(document.body).backgroundColor"))
        assert grounds[0] != grounds[1]
        dashes = browser.value("""[2, 3].map(i => [
            getComputedStyle(document.querySelector(".k" + i)).strokeDasharray,
            getComputedStyle(document.querySelector(".b" + i)).backgroundImage])""")
        assert all(curve != "none" and "repeating" in key for curve, key in dashes)  # not by colour alone


# --- Prometheus and Grafana --------------------------------------------------------------------

def test_alert_rules_are_valid_and_fire(tmp_path):
    for what in (["check", "rules", "pgweir.rules.yml"], ["test", "rules", "pgweir.rules_test.yml"]):
        done = subprocess.run(["promtool", *what], cwd=f"{TOP}/packaging/prometheus", text=True,
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_to_fire_and_not_to_fire():
    with open(f"{TOP}/packaging/prometheus/pgweir.rules.yml", encoding="utf-8") as f:
        alerts = re.findall(r"alert: (\w+)", f.read())
    with open(f"{TOP}/packaging/prometheus/pgweir.rules_test.yml", encoding="utf-8") as f:
        text = f.read()
    assert len(alerts) == 9
    assert sorted(set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", text))) == \
        sorted(set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", text))) == sorted(alerts)


def test_rules_and_dashboard_name_metrics_that_are_there(pooler):
    with open(f"{TOP}/packaging/prometheus/pgweir.rules.yml", encoding="utf-8") as f:
        rules = [rule for group in yaml.safe_load(f)["groups"] for rule in group["rules"]]
    with open(f"{TOP}/packaging/grafana/pgweir.json", encoding="utf-8") as f:
        panels = json.load(f)["panels"]
    text = "\n".join([r["expr"] for r in rules] + [t["expr"] for p in panels for t in p["targets"]])
    known = get(pooler, "/metrics")[1]
    names = set(re.findall(r"\b(?:pgweir|process)_\w+", text))
    assert len(names) > 20 and len(panels) >= 12
    for name in names:
        assert f"# TYPE {re.sub('_bucket$', '', name)} " in known, name
    for name, labels in re.findall(r"(\w+)\{([^}]*)\}", text):  # all that are selected by
        for label in set(re.findall(r"(\w+)=", labels)) - {"instance", "job"}:
            assert re.search(rf'(?m)^{name}\{{.*\b{label}="', known), (name, label)
    for labels, name in re.findall(r"by \(([^)]*)\) \((?:\w+\()?(\w+)", text):  # and summed by
        for label in set(labels.split(", ")) - {"instance"}:
            assert re.search(rf'(?m)^{name}\{{.*\b{label}="', known), (name, label)
