"""Another process takes over from the running one: nobody notices (pgweir --takeover)."""
import contextlib
import os
import random
import re
import select
import signal
import subprocess
import threading
import time
import urllib.request

import psycopg2
import pytest

import pgwire
from fakeserver import FakeServer
from pgwire import Closed
from rawclient import RawClient, ServerError
from tools import proc
from tools.certs import Authority

pytestmark = pytest.mark.threads


def value(conn, sql):
    with conn.cursor() as cur:
        cur.execute(sql)
        return cur.fetchone()[0]


def test_idle_client_goes_on_with_its_settings(succession):
    s = succession()
    with s.daemon.raw(application_name="before") as client:
        client.query("SET work_mem = '7MB'; SET app.user_id = '42'").check()
        old = s.replace()
        s.wait_ended(old)
        assert client.value("SELECT concat_ws(' ', current_setting('work_mem'), current_setting("
                            "'app.user_id'), current_setting('application_name'))") \
            == "7MB 42 before"
        client.query("RESET ALL").check()
        assert client.value("SHOW application_name") == "before"
        assert client.value("SHOW work_mem") == "4MB"


@pytest.mark.parametrize("option", ["-R", "--reboot"])
def test_pgbouncers_options_do_it(succession, option):
    s = succession()
    with s.daemon.raw() as client:
        assert client.value("SELECT 1") == "1"
        s.wait_ended(s.replace(option))
        assert client.value("SELECT 2") == "2"


def test_prepared_statements_go_on(succession):
    s = succession()
    with s.daemon.connect3() as conn:
        conn.prepare_threshold = 0
        assert conn.execute("SELECT %s::int + 1", (1,), prepare=True).fetchone() == (2,)
        old = s.replace()
        s.wait_ended(old)
        for n in range(3):
            assert conn.execute("SELECT %s::int + 1", (n,), prepare=True).fetchone() == (n + 1,)


def test_server_connections_go_on_with_what_they_have(succession):
    s = succession()
    with s.daemon.connect3() as conn:
        conn.execute("SET work_mem = '7MB'")
        conn.execute("SELECT %s::int + 1", (1,), prepare=True)
        pid = value(conn, "SELECT pg_backend_pid()")
        old = s.replace()
        s.wait_ended(old)
        assert [r["remote_pid"] for r in s.daemon.show("SERVERS")] == [str(pid)]
        assert value(conn, "SELECT pg_backend_pid()") == pid
        assert conn.execute("SELECT %s::int + 1", (2,), prepare=True).fetchone() == (3,)
        # it was not parsed again: its name there is the one from before
        assert s.daemon.show_one("STATS", database="app")["total_server_parse_count"] == "0"
        assert value(conn, "SHOW work_mem") == "7MB"


def test_what_the_primary_has_told_goes_on(succession, site, superuser):
    """That its sessions are serializable by default, which no replica would serve."""
    superuser("ALTER ROLE other SET default_transaction_isolation = serializable")
    site.cluster.wait_caught_up()
    try:
        s = succession(site.app_on(site.cluster.nodes, "routing=on"), {"workers": 1})
        proc.wait_until("a primary", lambda: "1" in [
            r["is_primary"] for r in s.daemon.show("NODES")])
        with s.daemon.raw("other") as client:
            client.query("SELECT 1 FOR UPDATE").check()
            s.daemon.wait_log("catalog loaded")

            def route():
                return str(client.query("EXPLAIN ROUTE SELECT 1").check().rows)
            proc.wait_until("its isolation to count", lambda: "(unknown)" in route())
            servers = s.daemon.show("SERVERS")
            old = s.replace()
            s.wait_ended(old)
            proc.wait_until("the catalog", lambda: "(catalog)" not in route())
            assert "(unknown)" in route()
            pids = [[r["remote_pid"] for r in rows if r["user"] == "other"]
                    for rows in (servers, s.daemon.show("SERVERS"))]
            assert len(pids[0]) == 1 and pids[0] == pids[1], "the server is another"
    finally:
        superuser("ALTER ROLE other RESET default_transaction_isolation")
        site.cluster.wait_caught_up()


def test_transaction_ends_in_the_old_process(succession, new_table):
    s, table = succession(), new_table()
    with s.daemon.raw() as client:
        client.query(f"BEGIN; INSERT INTO {table} VALUES (1)").check()
        old = s.replace()
        client.query(f"INSERT INTO {table} VALUES (2)").check()
        assert proc.is_alive(old)
        client.query("COMMIT").check()
        s.wait_ended(old)
        assert client.value(f"SELECT count(*) FROM {table}") == "2"


def kill_servers(superuser, user):
    superuser(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '{user}'")


def test_scram_keys_go_on(succession, superuser):
    """What the client's login has taught serves the logins of the new process's servers, too."""
    verifier = superuser("SELECT rolpassword FROM pg_authid WHERE rolname = 'other'")
    assert verifier.startswith("SCRAM-SHA-256$")
    s = succession(secrets={"other": verifier})
    with s.daemon.raw("other") as client:
        pid = client.value("SELECT pg_backend_pid()")
        s.wait_ended(s.replace())
        kill_servers(superuser, "other")
        assert client.value("SELECT pg_backend_pid()") != pid


@pytest.mark.parametrize("secret", ["rolpassword", "'asked-secret'"])
def test_secrets_that_auth_query_has_told_go_on(succession, superuser, secret):
    superuser("CREATE ROLE asked LOGIN PASSWORD 'asked-secret'")
    superuser("CREATE ROLE asker LOGIN SUPERUSER PASSWORD 'asker-secret'")
    try:
        s = succession(settings={
            "auth_user": "asker", "auth_query":
                f"SELECT rolname, {secret} FROM pg_catalog.pg_authid WHERE rolname = $1"},
            passwords={"asker": "asker-secret"})
        with RawClient(s.daemon.port) as client:
            client.login("asked", "asked-secret", "app")
            pid = client.value("SELECT pg_backend_pid()")
            s.wait_ended(s.replace())
            kill_servers(superuser, "asked")
            assert client.value("SELECT pg_backend_pid()") != pid
    finally:
        kill_servers(superuser, "asked")
        superuser("DROP ROLE asked")
        kill_servers(superuser, "asker")
        superuser("DROP ROLE asker")


def test_address_that_a_proxy_has_told_goes_on(succession):
    s = succession(settings={"proxy_protocol": "on", "proxy_protocol_trusted": "127.0.0.1"})
    with RawClient(s.daemon.port) as told, s.daemon.raw(application_name="own") as own:
        told.send(b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 5432\r\n")
        told.login("app", s.daemon.passwords["app"], "app", application_name="told")
        port = s.daemon.show_one("CLIENTS", application_name="own")["port"]
        for _ in range(2):
            s.wait_ended(s.replace())
            row = s.daemon.show_one("CLIENTS", application_name="told")
            assert (row["addr"], row["port"]) == ("203.0.113.7", "40000")
            row = s.daemon.show_one("CLIENTS", application_name="own")
            assert (row["addr"], row["port"]) == ("127.0.0.1", port)
        assert told.value("SELECT 1") == own.value("SELECT 1") == "1"


def listening_sockets(port):
    """Inodes of those that listen there."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return {row[9] for row in rows
            if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}


@pytest.mark.parametrize("workers", [2, 4, 6])
def test_every_listening_socket_goes_on(succession, workers):
    """All members of SO_REUSEPORT, whatever the new number of workers: a connection waits in any."""
    s = succession(settings={"workers": 4})
    before = listening_sockets(s.daemon.port)
    assert len(before) == 4
    s.daemon.settings["workers"] = workers
    s.daemon.write_config()
    stop, failed, done = threading.Event(), [], [0]

    def come_and_go():
        try:
            while not stop.is_set():
                with s.daemon.raw() as client:
                    assert client.value("SELECT 1") == "1"
                done[0] += 1
        except Exception as e:  # pylint: disable=broad-except
            failed.append(repr(e))
    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        s.wait_ended(s.replace())
        had = done[0]
        proc.wait_until("more clients", lambda had=had: failed or done[0] > had + 40)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert listening_sockets(s.daemon.port) == before


def test_stats_port_goes_on(succession):
    s = succession()
    url = f"http://127.0.0.1:{s.daemon.stats_port}/readyz"
    for _ in range(2):
        old = s.replace()
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200
        s.wait_ended(old)


@pytest.mark.parametrize("way", ["unix", "admin"])
def test_every_way_in_goes_on(succession, way):
    """Beside TCP: a unix socket and admin_port. Nobody is refused in between, and the pid file names
    who serves."""
    admin_port = proc.free_port()
    s = succession(settings={"unix_socket_dir": "{folder}", "admin_port": admin_port,
                             "pidfile": "{folder}/pid"})
    path = f"{s.daemon.folder}/.s.PGSQL.{s.daemon.port}"
    made = os.stat(path).st_ino
    stop, failed, done = threading.Event(), [], [0]

    def come():
        if way == "admin":
            with RawClient(admin_port) as console:
                console.login("admin", s.daemon.passwords["admin"], "pgweir")
        else:
            conn = s.daemon.connect(host=s.daemon.folder)
            assert value(conn, "SELECT 1") == 1
            conn.close()

    def come_and_go():
        try:
            while not stop.is_set():
                come()
                done[0] += 1
        except Exception as e:  # pylint: disable=broad-except
            failed.append(repr(e))
    stays = s.daemon.connect(host=s.daemon.folder)
    value(stays, "SELECT set_config('app.user_id', '42', false)")
    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            s.wait_ended(s.replace())
            with open(f"{s.daemon.folder}/pid", encoding="utf-8") as f:
                assert int(f.read()) == s.pid
            had = done[0]
            proc.wait_until("more clients", lambda had=had: failed or done[0] > had + 10)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert os.stat(path).st_ino == made
    assert value(stays, "SHOW app.user_id") == "42"
    stays.close()
    with RawClient(admin_port) as client, pytest.raises((ServerError, Closed)):
        client.login("app", s.daemon.passwords["app"], "app")  # for the console alone, still
        client.query("SELECT 1").check()
    s.stop()
    s.pids.clear()
    assert not os.path.exists(path) and not os.path.exists(f"{s.daemon.folder}/pid")


def test_new_clients_are_the_new_process_s(succession):
    s = succession()
    old = s.replace()
    with s.daemon.raw() as client:
        assert client.value("SELECT 1") == "1"
        s.wait_ended(old)
        assert s.daemon.show_one("CLIENTS", database="app")["user"] == "app"


def test_pinned_client_stays_until_it_leaves(succession):
    s = succession()
    with s.daemon.raw() as client:
        client.query("CREATE TEMP TABLE mine AS SELECT 7 AS x").check()
        old = s.replace()
        with s.daemon.raw() as other:
            other.query("SELECT 1").check()
        assert client.value("SELECT x FROM mine") == "7"
        assert proc.is_alive(old)
    s.wait_ended(old)


@contextlib.contextmanager
def over_tls(daemon):
    conn = daemon.connect(sslmode="require")
    assert conn.info.ssl_in_use
    yield lambda sql: str(value(conn, sql))
    conn.close()


@contextlib.contextmanager
def in_a_session(daemon):
    with daemon.raw(database="session") as client:
        yield client.value


@contextlib.contextmanager
def over_replication(daemon):
    with daemon.raw("copier", replication="database") as client:
        assert client.query("IDENTIFY_SYSTEM").check().rows
        yield client.value


@pytest.mark.parametrize("way", [over_tls, in_a_session, over_replication])
def test_client_that_cannot_go_on_stays_until_it_leaves(succession, site, way):
    cert, key = Authority(f"{site.new_folder()}/tls").issue("pgweir")
    databases = site.app_on([site.cluster.primary])
    databases["session"] = databases["app"] + " pool_mode=session"
    s = succession(databases, settings={"client_tls_sslmode": "allow", "client_tls_cert_file": cert,
                                        "client_tls_key_file": key})
    with way(s.daemon) as ask:
        assert ask("SELECT 1") == "1"
        old = s.replace()
        with way(s.daemon) as of_the_new:
            assert of_the_new("SELECT 2") == "2"
            shown = [r for r in s.daemon.show("CLIENTS") if r["database"] in databases]
            assert len(shown) == 1
            assert ask("SELECT 3") == "3"
            time.sleep(0.5)  # it does not go later, either
            assert ask("SELECT 4") == "4" and proc.is_alive(old)
    s.wait_ended(old)


def test_clients_go_on_where_servers_have_tls(succession):
    """A server connection with TLS cannot be handed on: it is closed, and another one opened."""
    s = succession(settings={"server_tls_sslmode": "require", "default_pool_size": 1})
    with s.daemon.raw() as client:
        client.query("SET work_mem = '7MB'").check()
        for _ in range(2):
            s.wait_ended(s.replace())
            assert client.value("SELECT ssl::text || current_setting('work_mem') FROM pg_stat_ssl "
                                "WHERE pid = pg_backend_pid()") == "true7MB"


# What pgweir --takeover sends (control/takeover_wire.h).
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
    s.settimeout(20)
    s.connect(sys.argv[1])
    try:
        s.send(b"S" + b"".join(word.encode() + b"\\0" for word in sys.argv[2:]))
        print("closed" if s.recv(100) == b"" else "answered")
    except (BrokenPipeError, ConnectionResetError):
        print("closed")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_only_the_daemons_user_and_root_may_ask(succession):
    """The file's mode keeps others out; where an administrator has opened it, their number does."""
    s = succession()
    os.chmod(s.daemon.folder, 0o755)
    path = f"{s.daemon.folder}/takeover"
    assert os.stat(path).st_mode & 0o777 == 0o600

    def ask(**who):
        done = subprocess.run(
            ["/usr/bin/python3", "-c", ASK, path, s.daemon.binary, s.daemon.config],
            text=True, capture_output=True, check=False, cwd="/", **who)
        return done.stdout + done.stderr
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    assert "Permission denied" in ask(**nobody)
    os.chmod(path, 0o666)
    assert ask(**nobody) == "closed\n"
    assert "takes over" not in s.daemon.log_text()
    assert ask(**proc.as_user()) == "answered\n"
    s.pids.append(int(re.search(r"takes over pid=(\d+)", s.daemon.log_text()).group(1)))
    s.wait_ended(s.daemon.pid)


def test_client_that_stays_gets_a_server_of_the_new_process_s(succession, site):
    """The budget of one: what the new process has, and uses, it gives up for who is left behind."""
    s = succession(site.app_on([site.cluster.primary], "pool_size=1"))
    with s.daemon.raw() as client, s.daemon.raw() as other:
        other.query("SELECT 1").check()
        client.query("BEGIN").check()  # nothing is sent to a server yet
        old = s.replace()
        stop = threading.Event()

        def keep_busy():
            while not stop.is_set():
                other.query("SELECT pg_sleep(0.01)").check()
        thread = threading.Thread(target=keep_busy)
        thread.start()
        try:
            assert client.value("SELECT 1") == "1"
            assert proc.is_alive(old)
            client.query("COMMIT").check()
            s.wait_ended(old)
            assert client.value("SELECT 1") == "1"
        finally:
            stop.set()
            thread.join()


def test_clients_that_stay_are_served_within_the_budget(succession, site, superuser):
    """Also when the new process has had no client yet that would have told it the budget."""
    s, n = succession(site.app_on([site.cluster.primary], "max_db_connections=4")), 4
    with contextlib.ExitStack() as stack:
        holders, late = ([stack.enter_context(s.daemon.raw(user)) for _ in range(n)]
                         for user in ("app", "other"))
        for client in holders:
            client.query("BEGIN").check()
            client.query("SELECT 1").check()
        for client in late:
            client.query("BEGIN").check()  # nothing is sent to a server yet
        old = s.replace()
        for client in late:
            client.send(pgwire.query("SELECT 1"))
        time.sleep(0.5)  # they ask for servers, in vain
        for client in holders:
            client.query("COMMIT").check()  # it goes on, and its server too
        until = time.monotonic() + 1
        while time.monotonic() < until:
            ports = superuser("SELECT client_port FROM pg_stat_activity "
                              "WHERE usename IN ('app', 'other')")
            assert len(connected_ports() & set(ports.split())) <= n
        for client in late:
            assert client.result().value() == "1"
            client.query("COMMIT").check()
        s.wait_ended(old)


def test_pinned_client_is_ended_at_takeover_timeout(succession):
    s = succession(settings={"takeover_timeout": "1"})
    with s.daemon.raw() as client:
        client.query("CREATE TEMP TABLE mine ()").check()
        old = s.replace()
        s.wait_ended(old)
        assert client.read_message().fields()["C"] == "57P01"


def test_the_old_process_serves_again_when_the_new_one_is_killed(succession):
    s = succession(settings={"unix_socket_dir": "{folder}", "pidfile": "{folder}/pid"})
    ready = f"http://127.0.0.1:{s.daemon.stats_port}/readyz"
    with s.daemon.raw() as pinned, s.daemon.raw() as large, s.daemon.raw() as idle:
        pinned.query("CREATE TEMP TABLE mine AS SELECT 7 AS x; LISTEN news").check()
        large.run(pgwire.parse("s", f"SELECT '{'x' * 70000}'") + pgwire.SYNC).check()
        idle.query("SELECT 1").check()
        old = s.replace()
        s.daemon.wait_show("CLIENTS", lambda r: True, database="app")  # the idle one has moved
        time.sleep(1.5)  # idle servers have gone on, too
        os.kill(s.pid, signal.SIGKILL)
        s.wait_ended(s.pid)
        for _ in range(3):
            assert large.value("SELECT 5") == "5"
            assert pinned.value("SELECT x FROM mine") == "7"
            large.query("NOTIFY news").check()
            assert pinned.read_message().kind == "A"
            time.sleep(0.2)  # it goes to nobody
        with s.daemon.raw() as new, s.daemon.connect(host=s.daemon.folder) as by_file:
            assert new.value("SELECT 1") == "1"
            assert value(by_file, "SELECT 1") == 1
            with urllib.request.urlopen(ready, timeout=10) as answer:
                assert answer.status == 200
            with open(f"{s.daemon.folder}/pid", encoding="utf-8") as f:
                assert int(f.read()) == old
            s.pids.append(old)
            assert s.replace() == old  # another one may take over
            assert new.value("SELECT 2") == "2"
            assert pinned.value("SELECT x FROM mine") == "7"
    s.wait_ended(old)


def test_the_new_process_may_be_killed_at_any_time(succession):
    """Who stays does not notice, whoever comes is served, and the pool is never over its size."""
    s = succession(settings={"default_pool_size": 3})
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rand = random.Random(seed)
    with s.daemon.raw() as pinned:
        pinned.query("CREATE TEMP TABLE mine AS SELECT 7 AS x").check()
        for _ in range(10):
            with s.daemon.raw() as idle:
                idle.query("SELECT 1").check()
                old = s.replace()
                time.sleep(rand.choice([0, rand.uniform(0, 0.05), rand.uniform(0, 1.5)]))
                os.kill(s.pid, signal.SIGKILL)
                s.wait_ended(s.pid)
                s.pids.append(old)
            clients = [s.daemon.connect() for _ in range(6)]
            for conn in clients * 2:
                assert value(conn, "SELECT 1") == 1
            for conn in clients:
                conn.close()
            assert len([r for r in s.daemon.show("SERVERS") if r["database"] == "app"]) <= 3
            assert pinned.value("SELECT x FROM mine") == "7"
    s.wait_ended(s.replace())


def test_the_old_process_serves_nobody_when_the_new_one_is_told_to_end(succession):
    s = succession()
    with s.daemon.raw() as pinned:
        pinned.query("CREATE TEMP TABLE mine AS SELECT 7 AS x").check()
        old = s.replace()
        os.kill(s.pid, signal.SIGQUIT)
        s.wait_ended(s.pid)
        with pytest.raises(OSError):
            s.daemon.raw()
        assert pinned.value("SELECT x FROM mine") == "7"
        assert proc.is_alive(old)
    s.wait_ended(old)
    s.daemon.process.wait(20)
    s.daemon.forget()
    s.pids.clear()


def test_cancel_reaches_a_client_wherever_it_is(succession, superuser):
    s = succession()
    moved, stays = s.daemon.connect(), s.daemon.connect()
    value(moved, "SELECT 1")
    value(stays, "SELECT pg_advisory_lock(1) IS NULL")
    s.replace()
    value(moved, "SELECT 1")
    for conn in moved, stays:
        errors = []

        def sleep(conn=conn, errors=errors):
            try:
                value(conn, "SELECT pg_sleep(60)")
            except psycopg2.Error as e:
                errors.append(e.pgcode)
        thread = threading.Thread(target=sleep)
        thread.start()
        proc.wait_until("it to run, for earlier a cancel request does nothing", lambda: superuser(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND usename = 'app'"
            " AND query = 'SELECT pg_sleep(60)'").strip() == "1")
        conn.cancel()
        thread.join(20 * s.daemon.slow)
        assert errors == ["57014"]
    moved.close()
    stays.close()


def connected_ports():
    """Our ends of TCP connections that nobody has closed. A backend lives on for a moment after."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return {str(int(row[1].split(":")[1], 16)) for row in rows if row[3] == "01"}


# What bounds the servers to ten, and whose pools share them.
BUDGETS = {
    "pool_size": ("pool_size=10", {}, ["app"]),
    "max_db_connections": ("pool_size=8 max_db_connections=10", {}, ["app", "other"]),
    "max_node_connections": ("pool_size=8", {"max_node_connections": 10}, ["app", "other"])}


@pytest.mark.parametrize("budget", BUDGETS)
def test_ten_takeovers_under_load_lose_nothing(succession, site, new_table, superuser, budget):
    more, settings, users = BUDGETS[budget]
    s, table = succession(site.app_on([site.cluster.primary], more), settings), new_table()
    site.cluster.primary.sql(f"GRANT ALL ON {table} TO PUBLIC", "app")
    stop, failed, done, most = threading.Event(), [], [0] * 40, []

    def work(i):
        try:
            conn = s.daemon.connect(users[i % len(users)])
            while not stop.is_set():
                with conn.cursor() as cur:
                    cur.execute("BEGIN")
                    cur.execute(f"INSERT INTO {table} VALUES (%s)", (i,))
                    cur.execute("COMMIT")
                    cur.execute("SELECT %s", (done[i],))
                    assert cur.fetchone()[0] == done[i]
                done[i] += 1
            conn.close()
        except Exception as e:  # pylint: disable=broad-except
            failed.append(repr(e))
    def count_backends():
        while not stop.is_set():
            ports = superuser("SELECT client_port FROM pg_stat_activity "
                              "WHERE usename IN ('app', 'other')")
            most.append(len(connected_ports() & set(ports.split())))
    threads = [threading.Thread(target=count_backends)]
    threads += [threading.Thread(target=work, args=(i,)) for i in range(40)]
    for t in threads:
        t.start()
    try:
        for _ in range(10):
            old = s.replace()
            s.wait_ended(old)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert failed == []
    assert min(done) > 0
    assert (8 if len(users) > 1 else 0) < max(most) <= 10  # both processes together
    assert int(superuser(f"SELECT count(*) FROM {table}")) == sum(done)


class CountingServer(FakeServer):
    """Counts the connections of a pool that are open at once; of them only the first logs in before
    `let_in`, and even there no unit ends."""

    def __init__(self):
        self.let_in = threading.Event()
        self.pool = []
        self.highest = 0
        self.lock = threading.Lock()
        super().__init__(self.handle)

    def n_open(self):
        """Those that the other side has not closed, whatever it has sent before."""
        poll = select.poll()
        numbers = [n for n in (conn.sock.fileno() for conn in self.pool) if n >= 0]
        for number in numbers:
            poll.register(number, select.POLLRDHUP)
        return len(numbers) - len(poll.poll(0))

    def handle(self, conn):
        conn.read_startup()
        if conn.params["user"] != "app":
            return  # the monitor: of no pool
        with self.lock:
            self.pool.append(conn)
            self.highest = max(self.highest, self.n_open())
        if conn is not self.pool[0]:
            self.let_in.wait(60)
        conn.send(pgwire.auth_ok() + conn.session() + pgwire.ready())
        while (unit := conn.read_unit())[-1].kind != "X":
            self.let_in.wait(60)
            conn.send(conn.answer(unit))

    def _handle(self, conn):
        super()._handle(conn)
        with self.lock:
            self.pool = [c for c in self.pool if c is not conn]


def test_what_is_opened_while_the_new_process_starts_is_counted(succession):
    """Ten servers, nine of them logging in, are opened after the new process was told what there
    is, before it serves: it opens none beside them."""
    with CountingServer() as fake:
        nowhere = f"host=127.0.0.1 port={proc.free_port()}"
        s = succession({"one": f"host=127.0.0.1 port={fake.port} user=app password=x pool_size=10",
                        # it serves 3 s after its start only, for want of a fit node
                        "late": f"{nowhere} dbname=app user=app password=x routing=on"},
                       settings={"auth_type": "trust", "workers": 4, "query_wait_timeout": 60})
        clients = [RawClient(s.daemon.port) for _ in range(20)]
        for client in clients:
            client.login("app", database="one")
        taking_over = threading.Thread(target=s.replace)
        taking_over.start()
        s.daemon.wait_log("another process takes over")
        for client in clients:
            client.send(pgwire.query("SELECT 1"))
        proc.wait_until("ten servers", lambda: fake.n_open() == 10)
        taking_over.join()
        late = [RawClient(s.daemon.port) for _ in range(10)]  # the new process's
        for client in late:
            client.send(pgwire.startup({"user": "app", "database": "one"}))
        time.sleep(1)
        assert fake.highest == 10
        fake.let_in.set()
        for client in late:
            client.read_until("Z")
            client.send(pgwire.query("SELECT 1"))
        for client in clients + late:
            assert client.result().value() == "1"
            client.close()
        assert fake.highest == 10
        s.wait_ended(s.pids[0])


def test_new_process_that_cannot_start_changes_nothing(succession):
    s = succession()
    with s.daemon.raw() as client:
        client.query("SET work_mem = '7MB'").check()
        s.daemon.settings["listen_addr"] = "127.0.0.1,192.0.2.1"  # not ours
        s.daemon.write_config()
        assert "the new process has ended" in s.refused()
        assert client.value("SHOW work_mem") == "7MB"
        with s.daemon.raw() as other:
            other.query("SELECT 1").check()
        s.daemon.settings["listen_addr"] = "127.0.0.1"
        s.daemon.write_config()
        s.replace()
        assert client.value("SHOW work_mem") == "7MB"


@pytest.mark.parametrize("off, on", [("PAUSE app", "RESUME app"), ("PAUSE", "RESUME"),
                                     ("SUSPEND", "RESUME"), ("DISABLE app", "ENABLE app")])
def test_no_takeover_while_something_is_off(succession, off, on):
    s = succession()
    with s.daemon.raw() as client, s.daemon.raw("admin", "pgweir") as console:
        console.query(off).check()
        assert "RESUME or ENABLE first" in s.refused()
        console.query(on).check()
        s.replace()
        assert client.value("SELECT 1") == "1"


def test_no_takeover_while_clients_are_waited_for(succession):
    s = succession()
    with s.daemon.raw() as client:
        client.query("CREATE TEMP TABLE mine ()").check()
        s.daemon.admin("SHUTDOWN WAIT_FOR_CLIENTS")
        assert "shutting down" in s.refused()
    assert s.daemon.process.wait(20) == 0
    s.daemon.forget()
    s.pids.clear()
