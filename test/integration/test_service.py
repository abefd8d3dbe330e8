"""What the service manager is told, and the sockets that it hands over: the test is the manager."""
import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import time
import urllib.request

import pytest

from rawclient import RawClient
from succession import SETTINGS, Succession
from tools import proc

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207

# Descriptors from 100 on become those from 3 on, as a service manager hands them over.
HAND_OVER = """
import os, sys
n = int(sys.argv[1])
for i in range(n):
    os.dup2(100 + i, 3 + i)
os.closerange(100, 100 + n)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """The end of the notify socket that systemd has. Behind a message's lines it notes who sent it."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        if address.startswith("/"):
            os.chmod(address, 0o777)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(0.05)
        self.messages = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self):
        with contextlib.suppress(socket.timeout):
            while True:
                text, about, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
                sender, _, _ = struct.unpack("3i", about[0][2])
                self.messages.append([*text.decode().split("\n"), f"from {sender}"])
        return self.messages

    def wait(self, assignment, timeout=20):
        """The first message from now on that has it, or that begins with it; those before are
        forgotten."""
        def probe():
            for i, message in enumerate(self.receive()):
                if any(line.startswith(assignment) for line in message):
                    del self.messages[:i + 1]
                    return message
            return None
        return proc.wait_until(f"{assignment} on the notify socket", probe, timeout)


@pytest.fixture
def manager(site):
    with Manager(f"{site.new_folder()}/notify") as m:
        yield m


def watched(site, manager, **options):
    return site.pgweir(environment={"NOTIFY_SOCKET": manager.address}, **options)


def test_ready_reloading_and_stopping_are_told(site, manager):
    with watched(site, manager) as p:
        assert manager.wait("READY=1")[1].startswith("STATUS=Accepting connections")
        before_us = time.monotonic_ns() // 1000
        os.kill(p.pid, signal.SIGHUP)
        reloading = manager.wait("RELOADING=1")
        told_us = int(reloading[1].removeprefix("MONOTONIC_USEC="))
        assert before_us <= told_us <= time.monotonic_ns() // 1000
        manager.wait("READY=1")
    manager.wait("STOPPING=1")


def test_the_socket_may_have_an_abstract_name(site):
    with Manager(f"@pgweir-{os.getpid()}") as abstract, watched(site, abstract):
        abstract.wait("READY=1")


def test_a_refused_configuration_is_told(site, manager):
    with watched(site, manager) as p:
        manager.wait("READY=1")
        p.settings["pool_mode"] = "sometimes"
        p.write_config()
        os.kill(p.pid, signal.SIGHUP)
        manager.wait("RELOADING=1")
        status = manager.wait("READY=1")[1]
        assert "refused" in status and "pool_mode = sometimes" in status and p.config in status
        p.reload(pool_mode="session")
        manager.wait("RELOADING=1")
        assert "refused" not in manager.wait("READY=1")[1]


def test_stopping_is_told_when_the_last_client_has_left(site, manager):
    """Earlier, and systemd would kill it after TimeoutStopSec, with clients at work."""
    with watched(site, manager) as p:
        manager.wait("READY=1")
        with p.raw() as client:
            os.kill(p.pid, signal.SIGTERM)
            manager.wait("STATUS=Taking no new clients, waiting for clients to leave")
            assert client.value("SELECT 1") == "1"
            assert not any("STOPPING=1" in m for m in manager.receive())
        manager.wait("STOPPING=1")
        p.process.wait(20)


def test_a_process_that_takes_over_becomes_the_main_one(site, manager):
    p = watched(site, manager, settings=SETTINGS).start()
    s = Succession(p)
    manager.wait("READY=1")
    with p.raw() as client:
        for _ in range(2):
            old = s.replace()
            assert f"MAINPID={s.pid}" in manager.wait("MAINPID=")
            s.wait_ended(old)
            assert client.value("SELECT 1") == "1"
    # the old one is not the service any more: its end is none
    assert not any("STOPPING=1" in m for m in manager.receive())
    s.stop()
    manager.wait("STOPPING=1")


def test_the_old_process_is_the_main_one_again_when_the_new_one_dies(site, manager):
    p = watched(site, manager, settings={**SETTINGS, "pool_mode": "session"}).start()
    s = Succession(p)
    manager.wait("READY=1")
    with p.raw() as stays:
        stays.query("SELECT 1").check()
        old = s.replace()
        manager.wait(f"MAINPID={s.pid}")
        os.kill(s.pid, signal.SIGKILL)
        manager.wait(f"MAINPID={old}")
        assert manager.wait("READY=1")[1].startswith("STATUS=Accepting connections")
        s.pids.append(old)
        assert stays.value("SELECT 1") == "1"
    s.stop()
    manager.wait("STOPPING=1")


def install(source, path):
    """As a package manager does: the new file takes the old one's name."""
    shutil.copy(source, f"{path}.new")
    os.chmod(f"{path}.new", 0o755)
    os.replace(f"{path}.new", path)


def test_a_reload_starts_a_binary_that_has_been_replaced(site, manager):
    """systemctl reload is all that an upgrade needs, and who is connected does not notice."""
    p = watched(site, manager)  # without takeover_socket
    p.binary = f"{p.folder}/pgweir"
    install(site.binary, p.binary)
    p.start()
    s = Succession(p)
    manager.wait("READY=1")
    with p.raw() as client:
        client.query("SET work_mem = '7MB'").check()
        for _ in range(2):
            old = s.pid
            install(site.binary, p.binary)
            p.settings["default_pool_size"] = p.settings.get("default_pool_size", 10) + 1
            p.write_config()
            os.kill(old, signal.SIGHUP)
            s.pids.append(int(manager.wait("MAINPID=")[0].removeprefix("MAINPID=")))
            assert s.pid != old
            s.wait_ended(old)
            assert client.value("SHOW work_mem") == "7MB"
            assert p.show_one("CONFIG", key="default_pool_size")["value"] == \
                str(p.settings["default_pool_size"])
        os.kill(s.pid, signal.SIGHUP)  # the same file: no more than a reload
        manager.wait("RELOADING=1")
        manager.wait("READY=1")
        assert client.value("SELECT 1") == "1"
        install("/bin/false", p.binary)
        os.kill(s.pid, signal.SIGHUP)
        p.wait_log("the take-over has failed, all goes on here")
        assert client.value("SHOW work_mem") == "7MB"
        with p.raw() as another:
            assert another.value("SELECT 1") == "1"
    s.stop()
    manager.wait("STOPPING=1")


def test_a_new_process_that_ends_too_soon_leaves_files_and_sockets(site):
    """Those are the old one's until the new one has said that it serves."""
    p = site.pgweir(settings={"unix_socket_dir": "{folder}", "pidfile": "{folder}/pid"})
    p.binary = f"{p.folder}/pgweir"
    install(site.binary, p.binary)
    p.start()
    paths = [f"{p.folder}/{name}" for name in
             (f".s.PGSQL.{p.port}", f".s.PGWEIR.{p.port}.takeover", "pid")]
    assert all(os.path.exists(path) for path in paths)
    p.databases["app"] = f"host=127.0.0.1 port={proc.free_port()} routing=on"  # it waits for one
    p.write_config()
    install(site.binary, p.binary)
    os.kill(p.pid, signal.SIGHUP)
    p.wait_log("another process takes over")
    new = int(re.search(r"takes over pid=(\d+)", p.log_text()).group(1))
    proc.wait_until("the new process to run",
                    lambda: p.log_text().count("accepting connections") == 2)
    os.kill(new, signal.SIGQUIT)
    p.wait_log("the take-over has failed, all goes on here")
    assert all(os.path.exists(path) for path in paths)
    with open(paths[2], encoding="utf-8") as f:
        assert int(f.read()) == p.pid
    with p.raw() as client:
        assert client.value("SELECT 1") == "1"
    p.stop()


def test_life_is_told_as_often_as_the_watchdog_wants(site, manager):
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "900000"}
    with site.pgweir(environment=environment):
        for _ in range(3):
            manager.wait("WATCHDOG=1")


# A manager tells whom it watches.
WATCH_ME = """
import os, sys
os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_the_watchdog_is_fed_by_whoever_serves(site, manager):
    """Also when another process has taken over, and when that one has died: in time, each time."""
    limit = 4.5
    p = site.pgweir(settings={**SETTINGS, "pool_mode": "session"}, environment={
        "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(int(limit * 1e6))})
    p.before = ["/usr/bin/python3", "-c", WATCH_ME]
    s = Succession(p.start())
    manager.wait("WATCHDOG=1")
    fed = [time.monotonic()]

    def feeds(pid):
        while True:
            told = manager.wait("WATCHDOG=1")
            assert time.monotonic() - fed[0] < limit
            fed[0] = time.monotonic()
            if told[-1] == f"from {pid}":
                return
    with p.raw() as stays:
        stays.query("SELECT 1").check()
        old = s.replace()
        feeds(s.pid)
        os.kill(s.pid, signal.SIGKILL)
        feeds(old)
        s.pids.append(old)
        s.replace()
        feeds(s.pid)
    s.wait_ended(old)
    s.replace()  # the third one has it from the second
    feeds(s.pid)
    s.stop()


def test_the_watchdog_of_another_process_is_not_fed(site, manager):
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "300000",
                   "WATCHDOG_PID": "1"}
    with site.pgweir(environment=environment) as p:
        manager.wait("READY=1")
        for _ in range(30):  # time passes: more than the watchdog's
            p.admin("SHOW VERSION")
        assert not any("WATCHDOG=1" in m for m in manager.receive())


@contextlib.contextmanager
def stopped_thread(pid, name):
    """A thread of a process does not run; the others do."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    tids = [tid for tid in os.listdir(f"/proc/{pid}/task")
            if open(f"/proc/{pid}/task/{tid}/comm", encoding="utf-8").read().strip() == name]
    tid = int(tids[0])
    if libc.ptrace(PTRACE_SEIZE, tid, None, None) != 0:
        pytest.skip("threads cannot be stopped here: ptrace is not allowed")
    libc.ptrace(PTRACE_INTERRUPT, tid, None, None)
    os.waitpid(tid, 0x40000000)  # __WALL
    yield
    libc.ptrace(PTRACE_DETACH, tid, None, None)


def test_a_worker_that_hangs_is_no_life(site, manager):
    # long enough for a thread that only waits for a busy CPU
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "4500000"}
    with site.pgweir(environment=environment, settings={"workers": 2}) as p:
        manager.wait("WATCHDOG=1")
        with stopped_thread(p.pid, "worker-1"):
            manager.wait("STATUS=Worker 1 does not turn its loop")
            manager.receive()
            manager.messages.clear()
            with urllib.request.urlopen(f"http://127.0.0.1:{p.stats_port}/healthz") as answer:
                assert answer.status == 200  # the control thread lives
            time.sleep(2.0)  # one would be due by now; for none there is nothing to wait for
            assert not any("WATCHDOG=1" in m for m in manager.receive())
        manager.wait("WATCHDOG=1")
        manager.wait("READY=1")


def test_without_a_manager_nothing_is_missing(site):
    with site.pgweir(environment={"WATCHDOG_USEC": "300000"}) as p:
        assert "manager" not in p.log_text()
    with site.pgweir(environment={"NOTIFY_SOCKET": "nonsense"}) as p:
        assert "service manager cannot be told" in p.log_text()


# --- sockets ------------------------------------------------------------------------------------

class Sockets:
    """Listening sockets of the manager."""

    def __init__(self):
        self.made = []  # (name, socket)

    def tcp(self, name):
        s = socket.create_server(("127.0.0.1", 0))
        self.made.append((name, s))
        return s.getsockname()[1]

    def unix(self, name, path):
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        os.chmod(path, 0o777)
        s.listen()
        self.made.append((name, s))
        return path

    def hand_to(self, p):
        for i, (_, s) in enumerate(self.made):
            copy = fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 100 + i)
            assert copy == 100 + i
        p.fds = tuple(range(100, 100 + len(self.made)))
        p.before = ["/usr/bin/python3", "-c", HAND_OVER, str(len(self.made))]
        p.environment |= {"LISTEN_FDS": str(len(self.made)),
                          "LISTEN_FDNAMES": ":".join(name for name, _ in self.made)}
        return p

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for i, (_, s) in enumerate(self.made):
            s.close()
            os.close(100 + i)


def test_sockets_that_are_handed_over_are_used_and_left_listening(site):
    with Sockets() as sockets:
        clients = sockets.tcp("postgres")
        admins = sockets.tcp("admin")
        stats = sockets.tcp("stats")
        path = sockets.unix("postgres", f"{site.new_folder()}/.s.PGSQL.5432")
        p = sockets.hand_to(site.pgweir(settings={"workers": 2}))
        own_port, own_stats = p.port, p.stats_port
        p.port, p.stats_port = clients, stats
        with p:
            for _ in range(8):
                with p.raw() as client:
                    assert client.value("SELECT 1") == "1"
            with RawClient(admins) as console:
                console.login("admin", site.passwords["admin"], "pgweir")
                assert console.query("SHOW VERSION").check()
            with urllib.request.urlopen(f"http://127.0.0.1:{stats}/healthz") as answer:
                assert answer.status == 200
            assert p.psql("-h", os.path.dirname(path), "-p", "5432", "-c", "SELECT 7") == "7\n"
            for port in (own_port, own_stats):  # the configured ones are not opened
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port))
        # between two of us a client waits in the manager's backlog
        assert os.path.exists(path)
        with socket.create_connection(("127.0.0.1", clients)):
            pass


def test_sockets_that_are_handed_over_go_on_at_a_takeover(site):
    with Sockets() as sockets:
        clients = sockets.tcp("postgres")
        path = sockets.unix("postgres", f"{site.new_folder()}/.s.PGSQL.5432")
        p = sockets.hand_to(site.pgweir(settings={**SETTINGS, "workers": 2,
                                                  "pidfile": "{folder}/pid"}))
        p.port = clients
        s = Succession(p.start())
        with p.raw() as stays:
            for _ in range(2):
                s.wait_ended(s.replace())
                assert stays.value("SELECT 1") == "1"
                with p.raw() as client:
                    assert client.value("SELECT 2") == "2"
                assert p.psql("-h", os.path.dirname(path), "-p", "5432", "-c", "SELECT 7") == "7\n"
                with open(f"{p.folder}/pid", encoding="utf-8") as f:
                    assert int(f.read()) == s.pid
        s.stop()
        assert os.path.exists(path)  # the manager's
        with socket.create_connection(("127.0.0.1", clients)):
            pass


def test_what_is_handed_over_to_another_process_is_not_touched(site):
    with site.pgweir(environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"}) as p:
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"


def test_a_descriptor_that_is_no_listening_socket_is_refused(site):
    with Sockets() as sockets:
        sockets.made.append(("postgres", socket.socket()))
        p = sockets.hand_to(site.pgweir())
        p.launch()
        assert p.process.wait(20) == 1
        assert "descriptor 3 (postgres) is no listening stream socket" in p.log_text()
        p.kill()
