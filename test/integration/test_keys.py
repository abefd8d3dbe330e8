"""Settings that one test each is enough for."""
import contextlib
import ctypes
import grp
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import pgwire
import pytest
from fakeserver import FakeServer
from pooler import hosts
from rawclient import RawClient, ServerError
from tools import proc


def refused(client, data):
    """The fields of the error that the connection ends with."""
    client.send(data)
    errors = [m for m in client.wait_closed() if m.kind == "E"]
    assert len(errors) == 1
    return errors[0].fields()


# --- tcp_defer_accept -----------------------------------------------------------------------

def test_silent_connection_is_accepted_at_once_only_without_defer_accept(site):
    with site.pgweir() as p:
        with socket.create_connection(("127.0.0.1", p.port)):
            time.sleep(0.3)
            assert p.show_one("LISTS", list="login_clients")["items"] == "0"
            p.reload(tcp_defer_accept=0)
            with socket.create_connection(("127.0.0.1", p.port)):
                p.wait_show("LISTS", lambda row: row["items"] == "1", list="login_clients")
            p.reload(tcp_defer_accept=1)
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"


# --- disable_pqexec -------------------------------------------------------------------------

def test_disable_pqexec_refuses_simple_queries(site):
    with site.pgweir(settings={"disable_pqexec": 1}) as p:
        with p.raw() as client:
            assert client.prepared("SELECT 1").value() == "1"
            # what was sent before it is answered first
            client.send(pgwire.prepared("SELECT 2"))
            fields = refused(client, pgwire.query("SELECT 3"))
            assert fields["S"] == "FATAL" and fields["C"] == "08P01"
            assert "disable_pqexec" in fields["M"]
        with p.raw() as client:
            assert client.prepared("SELECT 4").value() == "4"
        assert p.show("VERSION")  # the console speaks both


# --- max_packet_size ------------------------------------------------------------------------

def test_max_packet_size_of_clients(site):
    size = 100_000
    with site.pgweir(settings={"max_packet_size": size}) as p:
        fits = "SELECT length('" + "x" * (size - 5 - 18) + "')"
        with p.raw() as client:
            assert len(pgwire.query(fits)) == size
            assert client.query(fits).value() == str(size - 23)
            fields = refused(client, pgwire.query(fits + " "))
            assert fields["C"] == "08P01" and "max_packet_size" in fields["M"]
        p.reload(max_packet_size=size + 1)
        with p.raw() as client:
            assert client.query(fits + " ").value() == str(size - 23)


def test_max_packet_size_of_servers(site):
    size = 100_000
    with site.pgweir(settings={"max_packet_size": size}) as p, p.raw() as client:
        row = 1 + 4 + 2 + 4  # of a DataRow with one value
        query = "SELECT repeat('x', {})"
        assert len(client.query(query.format(size - row)).value()) == size - row
        result = client.query(query.format(size - row + 1))
        assert result.sqlstate == "54000" and "max_packet_size" in result.errors[0].fields["M"]
        assert client.value("SELECT 1") == "1", "the server is lost, the client is not"


# --- application_name_add_host --------------------------------------------------------------

def test_application_name_add_host(site):
    def name_of(conn):
        with conn.cursor() as cur:
            cur.execute("SHOW application_name")
            return cur.fetchone()[0]

    settings = {"application_name_add_host": 1, "unix_socket_dir": "{folder}"}
    with site.pgweir(settings=settings) as p:
        conn = p.connect(application_name="shop")
        mine = f"127.0.0.1:{socket.fromfd(conn.fileno(), socket.AF_INET, 0).getsockname()[1]}"
        assert name_of(conn) == f"shop - {mine}"
        assert conn.get_parameter_status("application_name") == f"shop - {mine}"
        conn.cursor().execute("SET application_name = 'own'")
        assert name_of(conn) == "own"
        conn.cursor().execute("RESET application_name")
        assert name_of(conn) == f"shop - {mine}"
        conn.close()
        conn = p.connect(host=p.folder)
        assert name_of(conn) == f"app - unix:{p.port}"
        conn.close()
    with site.pgweir() as p:
        conn = p.connect(application_name="shop")
        assert name_of(conn) == "shop"
        conn.close()


# --- query_wait_notify ----------------------------------------------------------------------

def test_query_wait_notify_tells_once_in_each_wait(site):
    settings = {"default_pool_size": 1, "query_wait_notify": 1}
    with site.pgweir(settings=settings) as p, p.raw() as waiter, p.raw() as holder:
        for sent in (pgwire.query("SELECT 1"), pgwire.prepared("SELECT 1")):
            holder.query("BEGIN; SELECT 1").check()
            began = time.monotonic()
            waiter.send(sent)
            notice = waiter.read_message()
            assert notice.kind == "N" and 0.9 < time.monotonic() - began < 2 * p.slow
            assert notice.fields()["S"] == "NOTICE" and "queued" in notice.fields()["M"]
            assert waiter.is_silent_for(1.3), "once"
            holder.query("COMMIT").check()
            assert waiter.result().value() == "1"


def test_query_wait_notify_says_nothing_before_the_greeting_or_when_off(site):
    settings = {"default_pool_size": 1, "query_wait_notify": 1}
    with site.pgweir(settings=settings) as p, p.raw() as holder:
        p.admin("PAUSE")
        with RawClient(p.port) as client:  # these settings are new: it waits for a server
            client.begin_login("app", p.passwords["app"], "app", application_name="new")
            assert client.is_silent_for(1.5)
        p.reload(query_wait_notify=0)
        holder.send(pgwire.query("SELECT 1"))
        assert holder.is_silent_for(1.5)
        p.admin("RESUME")
        assert holder.result().value() == "1"


# --- server_check_query, server_check_delay -------------------------------------------------

def test_server_check_query_runs_before_a_server_long_idle_is_used(site, superuser):
    settings = {"default_pool_size": 1, "server_check_delay": 1, "query_wait_notify": 0,
                "server_check_query": "SELECT nextval('checks')"}
    superuser("CREATE SEQUENCE checks; GRANT ALL ON checks TO app")

    def n_checks():
        return int(superuser("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM checks"))
    try:
        with site.pgweir(settings=settings) as p, p.raw() as client:
            assert client.value("SELECT 1") == "1"
            assert client.value("SELECT 2") == "2"
            assert n_checks() == 0
            pid = client.value("SELECT pg_backend_pid()")
            p.wait_show("POOLS", lambda r: (r["sv_used"], r["sv_idle"]) == ("1", "0"),
                        database="app")
            assert p.show_one("SERVERS", database="app")["state"] == "used"
            assert client.value("SELECT pg_backend_pid()") == pid
            assert n_checks() == 1
            assert client.prepared("SELECT 3").value() == "3"
            assert n_checks() == 1
            p.reload(server_check_delay=0)  # before each use
            assert client.value("SELECT 4") == "4"
            assert client.value("SELECT 5") == "5"
            assert n_checks() == 3
            p.reload(server_check_query="")  # never
            assert client.value("SELECT 6") == "6"
            assert n_checks() == 3
            assert client.value("SELECT pg_backend_pid()") == pid
    finally:
        superuser("DROP SEQUENCE checks")


def test_server_that_fails_its_check_is_replaced(site):
    settings = {"default_pool_size": 1, "server_check_delay": 0,
                "server_check_query": "SELECT 1 / 0"}
    with site.pgweir(settings=settings) as p, p.raw() as client:
        pid = client.value("SELECT pg_backend_pid()")
        assert client.value("SELECT pg_backend_pid()") != pid
        p.wait_log("server_check_query failed")


def test_server_that_does_not_answer_its_check_is_closed_unused(site):
    """The client's statement has not been sent to it, so it runs elsewhere."""
    settings = {"default_pool_size": 2, "server_check_delay": 0, "node_timeout": 1}
    with site.pgweir(settings=settings) as p, p.raw() as client:
        pid = int(client.value("SELECT pg_backend_pid()"))
        proc.send_signal(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert int(client.value("SELECT pg_backend_pid()")) != pid
            assert 0.9 < time.monotonic() - began < 3 * p.slow
        finally:
            proc.send_signal(pid, signal.SIGCONT)


# --- server_fast_close ----------------------------------------------------------------------

def test_server_fast_close_ends_sessions_between_transactions(site):
    with site.pgweir(settings={"pool_mode": "session"}) as p:
        with p.raw() as idle, p.raw() as busy:
            assert idle.value("SELECT 1") == "1"
            busy.query("BEGIN; SELECT 1").check()
            p.admin("RECONNECT app")
            assert idle.is_silent_for(0.5), "it is off"
            p.reload(server_fast_close=1)
            fields = [m for m in idle.wait_closed() if m.kind == "E"][0].fields()
            assert fields["S"] == "FATAL" and fields["C"] == "57P01"
            assert busy.value("SELECT 2") == "2"
            result = busy.run(pgwire.query("COMMIT"))
            assert result.tags == ["COMMIT"]
            assert [m.kind for m in busy.wait_closed()] == ["E"]
        with p.raw() as client:
            assert client.value("SELECT 3") == "3"
            assert client.is_silent_for(0.3)
            assert client.value("SELECT 4") == "4"


def test_server_fast_close_ends_pins(site):
    with site.pgweir(settings={"server_fast_close": 1}) as p, p.raw() as pinned, p.raw() as free:
        pinned.query("CREATE TEMP TABLE kept (a int)").check()
        assert free.value("SELECT 1") == "1"
        p.admin("RECONNECT app")
        assert [m.kind for m in pinned.wait_closed()] == ["E"]
        assert free.value("SELECT 2") == "2"


# --- autodb_idle_timeout --------------------------------------------------------------------

@pytest.mark.threads
def test_database_known_only_through_a_star_is_forgotten_when_unused(site):
    databases = {**site.app_on([site.cluster.primary]), "*": hosts([site.cluster.primary])}
    settings = {"autodb_idle_timeout": 2, "server_idle_timeout": 1, "workers": 2}

    def counted():
        return {row["database"] for row in p.show("STATS")}
    with site.pgweir(databases, settings=settings) as p, p.raw(database="template1") as stays:
        for _ in range(2):
            clients = [p.raw(database="postgres") for _ in range(6)]
            for client in clients:
                assert client.value("SELECT current_database()") == "postgres"
            with p.raw() as client:
                assert client.value("SELECT 1") == "1"
            time.sleep(3.5)
            assert {"postgres", "template1", "app"} <= counted(), "it has clients"
            for client in clients:
                client.close()
            proc.wait_until("the database to be forgotten", lambda: "postgres" not in counted(),
                            20 * p.slow)
            assert {"template1", "app"} <= counted()
        assert stays.value("SELECT current_database()") == "template1"


# --- load_balance_hosts ---------------------------------------------------------------------

def test_load_balance_hosts_disable_keeps_a_host_until_it_fails(own_site):
    first, second = own_site.cluster.standbys
    databases = {name: f"{hosts([first, second])} dbname=app load_balance_hosts={how}"
                 for name, how in (("one", "disable"), ("both", "round-robin"))}
    settings = {"routing": "off", "server_login_retry": 1, "workers": 2}

    def ports(database):
        clients = [p.raw(database=database) for _ in range(4)]
        found = {client.value("SELECT inet_server_port()") for client in clients * 2}
        for client in clients:
            client.close()
        return found
    with own_site.pgweir(databases, settings=settings) as p:
        assert ports("one") == {str(first.port)}
        assert ports("both") == {str(first.port), str(second.port)}
        first.stop()
        assert ports("one") == {str(second.port)}
        first.start()
        time.sleep(1.5)
        assert ports("one") == {str(second.port)}, "no way back before that one fails"
        assert ports("both") == {str(first.port), str(second.port)}
        second.stop()
        assert ports("one") == {str(first.port)}


# --- server_round_robin ---------------------------------------------------------------------

@pytest.mark.parametrize("on, distinct", [(0, 1), (1, 3)])
def test_server_round_robin_takes_the_one_that_was_idle_for_longest(site, on, distinct):
    settings = {"server_round_robin": on, "workers": 1, "default_pool_size": 3}
    with site.pgweir(settings=settings) as p:
        clients = [p.raw() for _ in range(3)]
        for client in clients:
            client.query("BEGIN").check()
            client.query("SELECT 1").check()
        for client in clients:
            client.query("COMMIT").check()
        pids = [clients[0].value("SELECT pg_backend_pid()") for _ in range(6)]
        assert len(set(pids)) == distinct and pids[:3] == pids[3:]
        for client in clients:
            client.close()


# --- server_reset_query_always --------------------------------------------------------------

@pytest.mark.parametrize("always", [0, 1])
def test_server_reset_query_always_runs_it_after_each_transaction(site, new_table, always):
    table = new_table()
    settings = {"server_reset_query": f"INSERT INTO {table} VALUES (1)", "workers": 1,
                "server_reset_query_always": always, "default_pool_size": 1}
    with site.pgweir(settings=settings) as p, p.raw() as client:
        def resets():
            return int(site.cluster.primary.sql(f"SELECT count(*) FROM {table}", "app"))
        before = resets()
        for _ in range(3):
            client.query("BEGIN; SELECT 1; COMMIT").check()
        if always:
            proc.wait_until("three resets", lambda: resets() == before + 3)
        else:
            assert resets() == before == 0


# --- max_db_client_connections --------------------------------------------------------------

def test_max_db_client_connections_refuses_who_is_too_many(site):
    databases = site.app_on([site.cluster.primary])
    databases["app_more"] = databases["app"]
    with site.pgweir(databases, settings={"max_db_client_connections": 2}) as p:
        with p.raw() as one, p.raw("other") as _:
            with pytest.raises(ServerError) as error:
                p.raw()
            assert error.value.fields["C"] == "53300"
            assert "max_db_client_connections" in error.value.fields["M"]
            with p.raw(database="app_more") as elsewhere:
                assert elsewhere.value("SELECT 1") == one.value("SELECT 1") == "1"
        proc.wait_until("a place", lambda: p.show_one(
            "DATABASES", name="app")["current_client_connections"] == "0")
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"


# --- login_notify_message -------------------------------------------------------------------

@pytest.mark.parametrize("message", ["", "Maintenance at 18:00"])
def test_login_notify_message_is_told_once_at_the_login(site, message):
    with site.pgweir(settings={"login_notify_message": message}) as p:
        with RawClient(p.port) as client:
            client.begin_login("app", p.passwords["app"], "app")
            notices = [m.fields() for m in client.read_until("Z") if m.kind == "N"]
            assert [f["M"] for f in notices] == [message] * (message != "")
            assert client.query("SELECT 1").value() == "1"


# --- what is logged -------------------------------------------------------------------------

@pytest.mark.parametrize("on", [0, 1])
@pytest.mark.parametrize("key, line", [
    ("log_connections", "INFO client logged in"), ("log_disconnections", "INFO client closed"),
    ("log_stats", "INFO stats xacts_per_s=")])
def test_log_lines_that_a_key_turns_on(site, key, line, on):
    with site.pgweir(settings={key: on, "stats_period": 1}) as p:
        with p.raw() as client:
            client.query("SELECT 1").check()
        p.wait_show("POOLS", lambda row: row["cl_active"] == "0", database="app")
        if on:
            p.wait_log(line)
            return
        time.sleep(2.5 if key == "log_stats" else 0.2)
        assert line not in p.log_text()


# --- sockets --------------------------------------------------------------------------------

def ss(*args):
    return proc.run(["ss", "-Hnt", *args]).split()


@pytest.mark.skipif(shutil.which("ss") is None, reason="needs ss")
def test_listen_backlog_and_tcp_socket_buffer_reach_the_sockets(site):
    with site.pgweir(settings={"listen_backlog": 37, "tcp_socket_buffer": 24576,
                               "workers": 1}) as p, p.raw() as client:
        assert client.value("SELECT 1") == "1"
        assert ss("-l", "sport", "=", f":{p.port}")[2] == "37"
        # of both of our ends; the kernel doubles what it is told
        for end in (("sport", "=", f":{p.port}"),
                    ("dport", "=", f":{site.cluster.primary.port}")):
            memory = ss("-m", "state", "established", *end)
            assert any(",rb49152," in m and ",tb49152," in m for m in memory), memory


PIDFD_GETFD = 438  # the system call's number, on all architectures


@contextlib.contextmanager
def socket_of(p, task):
    """The daemon's own socket to its only client, or its only server, of the database app."""
    number = int(p.show_one("FDS", task=task, database="app")["fd"])
    pidfd = os.pidfd_open(p.pid)
    fd = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, number, 0)
    os.close(pidfd)
    if fd < 0:
        pytest.skip(f"its sockets cannot be looked at here: {os.strerror(ctypes.get_errno())}")
    with socket.socket(fileno=fd) as s:
        yield s


@pytest.mark.parametrize("task", ["client", "server"])
def test_keepalive_and_user_timeout_reach_the_sockets(site, task):
    def told(p):
        with p.raw() as client:
            client.query("BEGIN; SELECT 1").check()
            with socket_of(p, task) as s:
                return [s.getsockopt(level, option) for level, option in (
                    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))]
    with site.pgweir(settings={"tcp_keepidle": 61, "tcp_keepintvl": 17, "tcp_keepcnt": 5,
                               "tcp_user_timeout": 23000, "workers": 1}) as p:
        assert told(p) == [1, 61, 17, 5, 23000]
    with site.pgweir(settings={"tcp_keepalive": 0, "workers": 1}) as p:
        assert told(p)[0] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be of any group")
def test_the_unix_socket_has_the_group_and_mode_that_are_asked_for(site, monkeypatch):
    """A group that the service user is in, not its own first one; its members may connect, others
    may not."""
    group = grp.getgrnam("daemon")
    user = proc.service_user()
    monkeypatch.setattr(proc, "as_user", lambda: {
        "user": user.pw_uid, "group": user.pw_gid, "extra_groups": [group.gr_gid]})
    with site.pgweir(settings={"unix_socket_dir": "{folder}", "unix_socket_group": group.gr_name,
                               "unix_socket_mode": "0770"}) as p:
        path = f"{p.folder}/.s.PGSQL.{p.port}"
        made = os.stat(path)
        assert stat.S_ISSOCK(made.st_mode) and stat.S_IMODE(made.st_mode) == 0o770
        assert (made.st_uid, made.st_gid) == (user.pw_uid, group.gr_gid)
        assert "no such group" not in p.log_text()
        os.chmod(p.folder, 0o755)
        for who, may in ((group.gr_gid, True), (65534, False)):
            done = subprocess.run(
                [sys.executable, "-c", "import socket, sys\n"
                 "socket.socket(socket.AF_UNIX).connect(sys.argv[1])", path],
                user=65534, group=who, extra_groups=[], cwd="/", capture_output=True, text=True,
                check=False)
            assert (done.returncode == 0) == may, done.stderr
            assert may or "PermissionError" in done.stderr


@pytest.mark.skipif(shutil.which("ss") is None, reason="needs ss")
def test_a_storm_of_logins_finds_room_in_the_backlog(site):
    """PgBouncer's 128 turn many of a thousand clients away, which try again in a second."""
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as f:
        most = int(f.read())
    with site.pgweir(settings={"workers": 1}) as p:
        assert ss("-l", "sport", "=", f":{p.port}")[2] == str(min(4096, most))


def test_a_unix_socket_group_that_is_not_there_is_told_of(site):
    with site.pgweir(settings={"unix_socket_dir": "{folder}", "unix_socket_group": "nobody-s"}) as p:
        assert "no such group unix_socket_group=nobody-s" in p.log_text()
        assert p.connect(host=p.folder)


# --- what is kept of a client that does not read ---------------------------------------------

class Pushing(FakeServer):
    """Answers a query with one row, of which it counts what was taken of it."""

    SIZE = 64 << 20

    def __init__(self):
        self.taken = 0
        super().__init__(self.handle)

    def handle(self, conn):
        conn.login()
        if conn.params["user"] != "app":
            conn.serve()
            return
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        conn.read_unit()
        conn.send(pgwire.row_description("x") + b"D" + pgwire.i32(self.SIZE) + b"\0\1"
                  + pgwire.i32(self.SIZE - 10))
        conn.sock.settimeout(60)
        chunk = b"x" * 4096
        while True:
            self.taken += conn.sock.send(chunk)


@pytest.mark.parametrize("size", [65536, 8 << 20])
def test_relay_buffer_is_what_is_taken_for_a_client_that_does_not_read(site, size):
    """Beside what the sockets hold, which is little here."""
    with Pushing() as server, site.pgweir(
            {"app": f"host=127.0.0.1 port={server.port}"},
            settings={"relay_buffer": size, "tcp_socket_buffer": 65536}) as p, p.raw() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(pgwire.query("SELECT 1"))
        proc.wait_until("it to be taken", lambda: server.taken >= size, 20 * p.slow)
        seen = -1
        while seen != server.taken:  # the sockets' own
            seen = server.taken
            time.sleep(0.5 * p.slow)
        assert seen < size + (2 << 20)
        client.reset()


# --- threads ---------------------------------------------------------------------------------

def test_helper_threads_are_so_many(site):
    def n_threads(n):
        with site.pgweir(settings={"helper_threads": n, "workers": 1}) as p:
            names = [open(f"/proc/{p.pid}/task/{task}/comm", encoding="utf-8").read()
                     for task in os.listdir(f"/proc/{p.pid}/task")]
            return len([name for name in names if not name.startswith("iou-")])  # the kernel's
    assert n_threads(6) - n_threads(1) == 5


# --- the monitor -----------------------------------------------------------------------------

@pytest.mark.parametrize("monitor, own, where", [
    (None, "", "app"), ("postgres", "", "postgres"),
    ("postgres", " monitor_dbname=other", "other")])
def test_monitor_dbname_is_where_the_monitor_connects_to(site, monitor, own, where):
    asked = []

    def handler(conn):
        conn.login()
        if conn.params["user"] == "monitor":
            asked.append(conn.params["database"])
        conn.serve()
    with FakeServer(handler) as server, site.pgweir(
            {"app": f"host=127.0.0.1 port={server.port} routing=on{own}"},
            settings={"monitor_dbname": monitor}) as p:
        proc.wait_until("the monitor", lambda: asked, 20 * p.slow)
        assert set(asked) == {where}
