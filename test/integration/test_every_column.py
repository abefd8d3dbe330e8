"""Every column of POOLS, CLIENTS, SERVERS, LISTS and STATS, compared with what was done, through two
workers. The tables' columns themselves are in test_console.py; here none may be left out."""
import contextlib
import datetime
import os
import socket
import threading
import time

import pgwire
import pytest
from fakeserver import FakeServer
from pgwire import bind, execute, parse
from rawclient import RawClient
from test_console import COLUMNS, LISTS, OUR_COLUMNS
from tools import proc

pytestmark = pytest.mark.threads
N = 4


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"workers": 2, "default_pool_size": 2}) as p:
        yield p


@pytest.fixture
def clients(pooler):
    made = [pooler.raw(application_name=f"column {i}") for i in range(N)]
    for client in made[:2]:
        client.query("BEGIN; SELECT 1").check()
    for client in made[:2]:
        client.query("COMMIT").check()
    yield made
    for client in made:
        client.close()


def is_time(text, since):
    """A moment between `since`, seconds since 1970, and now; the text has whole seconds."""
    at = datetime.datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S")
    at = at.replace(tzinfo=datetime.timezone.utc) if text.endswith("UTC") else at.astimezone()
    return since - 1 <= at.timestamp() <= time.time() + 1


def compare(row, expected, table):
    """Each column of the row equals the expected value, or satisfies it if that is a function."""
    assert set(expected) == set(COLUMNS[table] + (OUR_COLUMNS if "linked_id" in row else []))
    wrong = {k: row[k] for k, v in expected.items()
             if not (v(row[k]) if callable(v) else row[k] == v)}
    assert not wrong, f"{wrong} in {row}"


# --- CLIENTS and SERVERS ---

def test_every_column_of_clients_and_servers(pooler, clients, site, superuser):
    began = time.time()
    active, other, waiting, idle = clients
    late = pooler.raw(application_name="column 4")
    clients.append(late)
    late.run(parse("kept", "SELECT 2") + pgwire.SYNC).check()
    for client in (active, other):
        client.query("BEGIN; SELECT 1").check()
    active.run(parse("", "SELECT 1") + bind() + execute() + pgwire.SYNC).check()
    active.run(parse("mine", "SELECT 'mine'") + bind("", "mine") + execute() + pgwire.SYNC).check()
    waiting.send(pgwire.query("SELECT 'waits'"))
    pooler.wait_show("CLIENTS", lambda r: r["wait"] == "1", application_name="column 2")
    rows = {r["application_name"]: r for r in pooler.show("CLIENTS")}
    servers = {r["ptr"]: r for r in pooler.show("SERVERS")}
    server = servers[rows["column 0"]["link"]]
    backend = active.value("SELECT pg_backend_pid()")
    common = {"type": "C", "user": "app", "database": "app", "replication": "none",
              "addr": "127.0.0.1", "local_addr": "127.0.0.1", "local_port": str(pooler.port),
              "connect_time": lambda t: is_time(t, began - 60), "close_needed": "0", "tls": "",
              "request_time": lambda t: is_time(t, began), "wait": "0", "wait_us": "0",
              "remote_pid": "0", "ptr": lambda p: int(p, 16) > 0, "link": "", "linked_id": None,
              "node": None, "statement": lambda s: s is None or len(s) == 16, "pins": None,
              "id": lambda i: int(i) > 0, "prepared_statements": "0"}
    node = f"127.0.0.1:{site.cluster.primary.port}"
    here = {"link": server["ptr"], "linked_id": server["id"], "node": node, "state": "active",
            "prepared_statements": "1", "statement": lambda s: len(s) == 16}
    for name, client, special in (
            ("column 0", active, here),
            ("column 2", waiting, {"state": "waiting", "wait": lambda w: int(w) >= 1,
                                   "wait_us": lambda us: 0 <= int(us) < 1_000_000}),
            ("column 3", idle, {"state": "idle",
                                "request_time": lambda t: is_time(t, began - 60)}),
            ("column 4", late, {"state": "idle", "prepared_statements": "1"})):
        compare(rows[name], {**common, "application_name": name,
                             "port": str(client.sock.getsockname()[1]), **special}, "CLIENTS")
    assert len({r["id"] for r in rows.values()}) == len({r["ptr"] for r in rows.values()}) == len(rows)
    port, started, n_prepared = superuser(
        "SELECT client_port, extract(epoch FROM backend_start) FROM pg_stat_activity "
        f"WHERE pid = {backend}").split("|") + [
            active.value("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''")]
    compare(server, {**common, "type": "S", "state": "active", "port": node.split(":")[1],
                     "local_port": port, "remote_pid": backend, "node": node, "pins": None,
                     "connect_time": lambda t: is_time(t, float(started) - 1),
                     "link": rows["column 0"]["ptr"], "linked_id": rows["column 0"]["id"],
                     "statement": rows["column 0"]["statement"], "application_name": "column 0",
                     "prepared_statements": n_prepared}, "SERVERS")
    pooler.admin("RECONNECT app")
    outdated = pooler.show_one("SERVERS", ptr=server["ptr"])
    assert outdated["close_needed"] == "1", "it is in use"
    for client in (active, other):
        client.query("COMMIT").check()
    waiting.result().check()
    assert server["id"] not in {r["id"] for r in pooler.show("SERVERS")}


def test_clients_over_unix_sockets_and_with_pins(site):
    """The columns that plain TCP leaves empty; tls is in test_tls.py."""
    folder = site.new_folder()
    with site.pgweir(settings={"workers": 2, "unix_socket_dir": folder}) as p:
        with RawClient(p.port, host=folder) as client:
            client.login("app", p.passwords["app"], "app")
            client.query("SELECT pg_advisory_lock(77)").check()
            row = p.show_one("CLIENTS", database="app")
            assert (row["addr"], row["port"], row["pins"]) == ("unix", str(p.port), "advisory_lock")
            assert row["remote_pid"] == str(os.getpid())
            assert p.show_one("SERVERS", ptr=row["link"])["pins"] == "advisory_lock"


# --- POOLS ---

class Stubborn(FakeServer):
    """Its logins wait for `log_in`, its answer to "slow" and the ends of cancel requests for
    `let_go`."""

    def __init__(self):
        self.log_in, self.let_go = threading.Event(), threading.Event()
        super().__init__(self.handle)

    def listen_no_more(self):
        self.listener.shutdown(socket.SHUT_RDWR)

    def close(self):
        with contextlib.suppress(OSError):
            super().close()

    def handle(self, conn):
        try:
            conn.read_startup()
        except pgwire.Closed:
            self.let_go.wait(60)
            raise
        self.log_in.wait(60)
        conn.send(pgwire.auth_ok() + conn.session() + pgwire.ready())
        while True:
            unit = conn.read_any_unit()
            if unit[-1].kind == "X":
                return
            if b"slow" in unit[-1].body:
                self.let_go.wait(60)
            conn.send(conn.answer(unit))


@contextlib.contextmanager
def stubborn(site, **settings):
    with Stubborn() as fake, site.pgweir({
            "app": f"host=127.0.0.1 port={fake.port} user=app password=x pool_size=2"},
            settings={"workers": 2, **settings}) as p:
        try:
            yield fake, p
        finally:
            fake.log_in.set()
            fake.let_go.set()


def pool(p, **counts):
    """Wait until the pool's columns are so, all others 0, and compare the whole row."""
    names = COLUMNS["POOLS"][2:13]
    wanted = {name: str(counts.get(name, 0)) for name in names}
    p.wait_show("POOLS", lambda r: {n: r[n] for n in names} == wanted, database="app", user="app")
    compare(p.show_one("POOLS", database="app", user="app"), {
        "database": "app", "user": "app", **wanted, "pool_mode": "transaction",
        "maxwait": lambda s: int(s) < 60, "maxwait_us": lambda us: int(us) < 1_000_000,
        "load_balance_hosts": None}, "POOLS")


def test_every_column_of_pools(site):
    with stubborn(site) as (fake, p):
        one = RawClient(p.port).begin_login("app", p.passwords["app"], "app")
        pool(p, cl_waiting=1, sv_login=1)
        fake.log_in.set()
        one.greeted()
        pool(p, cl_active=1, sv_idle=1)
        one.send(pgwire.query("SELECT slow"))
        pool(p, cl_active=1, sv_active=1)
        with RawClient(p.port) as request:
            request.send(pgwire.cancel_request(one.pid, one.key))
            pool(p, cl_active=1, cl_active_cancel_req=1, sv_active_cancel=1)
            fake.let_go.set()
            one.result().check()
        pool(p, cl_active=1, sv_idle=1)
        one.close()


def test_tested_and_used_servers(site):
    """A server is tested while server_check_query runs, and used when that is due."""
    with stubborn(site, server_check_delay="1", server_check_query="SELECT slow") as (fake, p):
        fake.log_in.set()
        with p.raw() as one:
            one.query("SELECT 1").check()
            pool(p, cl_active=1, sv_used=1)
            one.send(pgwire.query("SELECT 1"))
            pool(p, cl_waiting=1, sv_tested=1)
            assert p.show_one("SERVERS", database="app")["state"] == "tested"
            fake.let_go.set()
            one.result().check()


def test_cancel_requests_that_wait_for_their_connection(site):
    """PostgreSQL takes no connection: the request has not been sent."""
    with stubborn(site) as (fake, p):
        fake.log_in.set()
        with p.raw() as one:
            one.send(pgwire.query("SELECT slow"))
            pool(p, cl_active=1, sv_active=1)
            fake.listen_no_more()
            with socket.create_server(("127.0.0.1", fake.port), backlog=0) as full:
                fillers = [connect_soon(full.getsockname()) for _ in range(4)]
                with RawClient(p.port) as request:
                    request.send(pgwire.cancel_request(one.pid, one.key))
                    pool(p, cl_active=1, cl_waiting_cancel_req=1, sv_active_cancel=1)
                for filler in fillers:
                    filler.close()
            fake.let_go.set()
            one.result().check()


def connect_soon(address):
    """A connection that fills the queue of a listener that accepts nothing."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(address)
    return sock


# --- LISTS ---

def test_every_row_of_lists(site):
    with site.pgweir({"app": f"host=localhost port={site.cluster.primary.port} dbname=app",
                      "too": f"host=127.0.0.1 port={site.cluster.primary.port} dbname=app"},
                     users={"extra": "pool_size=1"}, peers={"1": "host=127.0.0.1 port=1"},
                     settings={"workers": 2, "peer_id": "2", "default_pool_size": 2}) as p:
        half = RawClient(p.port)
        half.send(pgwire.startup({"user": "app", "database": "app"}))
        half.read_message()
        with p.raw() as one, p.raw() as two, p.raw(database="too") as three:
            for client in (one, two):
                client.query("BEGIN; SELECT 1").check()
            three.query("SELECT 1").check()
            expected = {
                "databases": 3, "users": len(p.passwords) + 1, "peers": 1, "peer_pools": 1,
                "pools": 3, "free_clients": 0, "used_clients": 4, "login_clients": 1,
                "free_servers": 0, "used_servers": 3, "dns_names": 1, "dns_zones": 0,
                "dns_queries": 0, "dns_pending": 0}
            assert set(expected) == set(LISTS)
            assert {r["list"]: int(r["items"]) for r in p.show("LISTS")} == expected
        half.close()


# --- STATS ---

def test_every_column_of_stats(site):
    """Before the first period is over an average is of all that was done since the start."""
    started = time.monotonic()
    with site.pgweir(settings={"workers": 2, "default_pool_size": 2,
                               "stats_period": 600}) as p, p.raw() as one, p.raw() as two:
        for client in (one, two):
            for _ in range(20):
                client.query("SELECT 1").check()
            client.run(parse("s", "SELECT 2") + bind("", "s") + execute() + pgwire.SYNC).check()
            client.run(bind("", "s") + execute() + pgwire.SYNC).check()
            client.query("SELECT pg_sleep(0.2)").check()
        counts = {"server_assignment_count": 46, "xact_count": 46, "query_count": 46,
                  "client_parse_count": 2, "bind_count": 4, "client_login_count": 2,
                  "received": one.n_sent + two.n_sent, "sent": one.n_received + two.n_received}
        proc.wait_until("averages of a second at least", lambda: time.monotonic() - started > 1.5)
        row = {k: int(v) for k, v in p.show_one("STATS", database="app").items()
               if k != "database"}
        passed = time.monotonic() - started
        for name, n in counts.items():
            assert row[f"total_{name}"] == n, name
            average = row[f"avg_{'recv' if name == 'received' else name}"]
            assert int(n / passed) <= average <= n, (name, average, passed)
        assert 1 <= row["total_server_parse_count"] <= 2
        assert row["avg_server_parse_count"] <= 2
        for name, low in (("query", 0.4), ("xact", 0.4), ("wait", 0)):
            time_us = row[f"total_{name}_time"]
            assert low * 1e6 <= time_us <= 2e6 * passed
            assert row[f"avg_{name}_time"] == time_us // 46
        seen = {f"total_{n}" for n in counts} | {
            f"avg_{'recv' if n == 'received' else n}" for n in counts} | {
            f"{kind}_{n}" for kind in ("total", "avg")
            for n in ("server_parse_count", "query_time", "xact_time", "wait_time")}
        assert seen == set(COLUMNS["STATS"]) - {"database"}
        totals = p.show_one("STATS_TOTALS", database="app")
        assert int(totals["bytes_received"]) == counts["received"]
        assert int(totals["bytes_sent"]) == counts["sent"]
