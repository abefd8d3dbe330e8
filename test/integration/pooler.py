"""Runs a pgweir with a given configuration and talks to it.

Environment: PGWEIR_BIN  the binary (default: build/src/pgweir, else src/pgweir)
"""
import os
import re
import shutil
import signal
import subprocess

import psycopg
import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT

from rawclient import RawClient
from tools import proc

READY = "accepting connections"
TROUBLE = re.compile(r"ERROR: \w*Sanitizer|WARNING: \w*Sanitizer|runtime error:|panic|assert",
                     re.IGNORECASE)
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANITIZER_ENV = {
    "ASAN_OPTIONS": "exitcode=99:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "exitcode=66:second_deadlock_stack=1:history_size=4",
}


def find_binary():
    named = os.environ.get("PGWEIR_BIN")
    for path in [named] if named else [f"{TOP}/build/src/pgweir", f"{TOP}/src/pgweir"]:
        if os.access(path, os.X_OK):
            return os.path.abspath(path)
    raise RuntimeError("no pgweir found: build it, or set PGWEIR_BIN")


def sanitizer(binary):
    """Name of the sanitizer that a binary was built with, or None."""
    with open(binary, "rb") as f:
        code = f.read()
    return "asan" if b"__asan_init" in code else "tsan" if b"__tsan_init" in code else None


def hosts(nodes):
    """host= and port= of a [databases] entry for these nodes."""
    return (f"host={','.join('127.0.0.1' for _ in nodes)} "
            f"port={','.join(str(n.port) for n in nodes)}")


class Pgweir:
    """One running daemon. A context manager: starts at entry, at exit stops and checks that it
    ended well: exit status 0, no sanitizer report and no panic in its log. "{folder}" in a
    setting stands for the daemon's own folder."""

    def __init__(self, site, databases, settings=None, users=None, passwords=None,
                 secrets=None, args=(), environment=None, before=(), peers=None):
        self.site = site
        self.folder = site.new_folder()
        self.port = proc.free_port()
        self.stats_port = proc.free_port()
        self.args = list(args)
        self.before = list(before)  # a command that runs it
        self.fds = ()  # descriptors that it inherits
        self.binary = site.binary
        self.environment = {**SANITIZER_ENV, **(environment or {})}
        self.process = None
        self.databases = dict(databases)
        self.users = dict(users or {})
        self.peers = dict(peers or {})
        self.passwords = {**site.passwords, **(passwords or {})}
        self.secrets = dict(secrets or {})  # what auth_file holds instead of the password, by user
        self.settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "",
            "auth_file": f"{self.folder}/users.txt", "admin_users": "admin",
            "stats_users": "stats", "monitor_user": "monitor",
            "monitor_password": site.passwords["monitor"], "stats_addr": "127.0.0.1",
            "stats_port": self.stats_port, "server_tls_sslmode": "disable",
            # PGWEIR_IO_ENGINE=epoll runs all of this on the other engine
            "io_engine": os.environ.get("PGWEIR_IO_ENGINE"),
            **(settings or {})}
        self.config = f"{self.folder}/pgweir.ini"  # None: it is given none
        self.log = f"{self.folder}/pgweir.log"
        self.slow = 4 if site.sanitizer else 1  # how much longer things may take

    # --- running ----------------------------------------------------------------------------

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
            return
        if self.process:
            print(f"log of pgweir, port {self.port}, status {self.process.poll()}:\n"
                  + self.log_text()[-4000:])  # pytest shows it with the failure
        self.kill()

    def write_config(self):
        lines = ["[databases]"]
        lines += [f"{name} = {value}" for name, value in self.databases.items()]
        lines += ["", "[users]"]
        lines += [f"{name} = {value}" for name, value in self.users.items()]
        lines += ["", "[peers]"]
        lines += [f"{number} = {value}" for number, value in self.peers.items()]
        lines += ["", "[pgweir]"]
        lines += [f"{name} = {value}" for name, value in self.settings.items()
                  if value is not None]
        text = "\n".join(lines) + "\n"
        self._write("pgweir.ini", text.replace("{folder}", self.folder))
        secrets = {**self.passwords, **self.secrets}
        self._write("users.txt", "".join(f'"{u}" "{s}"\n' for u, s in secrets.items()))

    def check_config(self):
        """What -t tells of its configuration: (exit status, text)."""
        self.write_config()
        done = subprocess.run([self.site.binary, "-t", self.config], capture_output=True,
                              text=True, timeout=60, check=False, env=proc.clean_env())
        return done.returncode, done.stderr

    def _write(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o600)
        proc.give_to_service_user(path)

    def launch(self):
        """Start it without waiting."""
        self.write_config()
        self.process = proc.spawn([*self.before, self.binary, *self.args,
                                   *([self.config] if self.config else [])],
                                  self.log, env=self.environment, fds=self.fds)
        self.site.running.append(self)

    def start(self):
        self.launch()
        try:
            proc.wait_until(f"pgweir to say '{READY}'", self._is_ready, 15 * self.slow)
        except BaseException:
            self.kill()
            raise
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"pgweir ended with {self.process.returncode} at start:\n"
                               + self.log_text()[-3000:])
        return READY in self.log_text()

    @property
    def pid(self):
        return self.process.pid

    def stop(self, signo=signal.SIGQUIT, timeout=20):
        if self.process is None:
            return
        self.process.send_signal(signo)
        try:
            status = self.process.wait(timeout * self.slow)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"pgweir still runs {timeout} s after {signo.name}") from None
        self.forget()
        self.check_log()
        assert status == 0, f"pgweir ended with {status}:\n{self.log_text()[-3000:]}"

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.forget()

    def forget(self):
        self.process = None
        self.site.running.remove(self)

    def log_text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def check_log(self):
        text = self.log_text()
        found = TROUBLE.search(text)
        assert not found, f"in the log: {text[max(0, found.start() - 500):][:6000]}"

    def wait_log(self, text, timeout=10):
        proc.wait_until(f"'{text}' in the log", lambda: text in self.log_text(),
                        timeout * self.slow)

    def reload(self, **settings):
        """Change settings and tell it by the console; returns the answer."""
        self.settings.update(settings)
        self.write_config()
        return self.admin("RELOAD")

    def rss_kib(self):
        return proc.status_kib(self.pid, "VmRSS")

    # --- talking ----------------------------------------------------------------------------

    def _target(self, user, database):
        return {"host": "127.0.0.1", "port": self.port, "user": user, "dbname": database,
                "password": self.passwords.get(user, "")}

    def connect(self, user="app", database="app", **more):
        """A psycopg2 connection in autocommit, which sends simple queries."""
        conn = psycopg2.connect(**{"sslmode": "disable", "connect_timeout": 20,
                                   **self._target(user, database), **more})
        conn.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        return conn

    def connect3(self, user="app", database="app", **more):
        """A psycopg 3 connection in autocommit, which sends extended queries."""
        return psycopg.connect(autocommit=True, **{
            "sslmode": "disable", "connect_timeout": 20, **self._target(user, database), **more})

    def raw(self, user="app", database="app", **params):
        """A RawClient, logged in."""
        client = RawClient(self.port, timeout=20 * self.slow)
        return client.login(user, self.passwords.get(user, ""), database, **params)

    def admin(self, command, user="admin"):
        """Run a console command; returns its Result, errors raised."""
        with self.raw(user, "pgweir") as console:
            return console.query(command).check()

    def show(self, what, user="admin"):
        """Rows of SHOW `what`, as dicts."""
        result = self.admin("SHOW " + what, user)
        names = [name for name, _ in result.columns]
        return [dict(zip(names, row)) for row in result.rows]

    def show_one(self, what, **match):
        """The only row of SHOW `what` with these values."""
        rows = [r for r in self.show(what) if all(r[k] == v for k, v in match.items())]
        assert len(rows) == 1, f"SHOW {what} has {len(rows)} rows with {match}"
        return rows[0]

    def wait_show(self, what, test, timeout=10, **match):
        """Wait until test(row) holds for a row of SHOW `what`; returns it."""
        def probe():
            rows = [r for r in self.show(what) if all(r[k] == v for k, v in match.items())]
            return next((r for r in rows if test(r)), None)
        return proc.wait_until(f"a row of SHOW {what} with {match}", probe, timeout * self.slow)

    def env(self, user="app", database="app"):
        """Environment for psql and pgbench."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": user,
                "PGDATABASE": database, "PGPASSWORD": self.passwords.get(user, ""),
                "PGSSLMODE": "disable", "PGCONNECT_TIMEOUT": "30"}

    def psql(self, *args, stdin=None, check=True, **who):
        return proc.run([f"{self.site.cluster.bindir}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1",
                         *args], env=self.env(**who), stdin=stdin, check=check)

    def pgbench(self, *args, timeout=120, **who):
        """Run pgbench; returns the numbers of its report. An aborted client is an error."""
        text = proc.run([f"{self.site.cluster.bindir}/pgbench", "-n", *args],
                        env=self.env(**who), timeout=timeout)
        number = re.search(r"transactions actually processed: (\d+)", text)
        failed = re.search(r"number of failed transactions: (\d+)", text)
        return {"done": int(number.group(1)), "failed": int(failed.group(1)) if failed else 0,
                "text": text}


class Site:
    """What all daemons of a test run share: the cluster, the binary, a folder, the passwords."""

    def __init__(self, cluster, folder, passwords):
        self.cluster = cluster
        self.folder = folder
        self.passwords = passwords
        self.running = []
        self.n_folders = 0
        self.sanitizer = sanitizer(find_binary())
        # a copy, where the servers' user can reach it
        self.binary = shutil.copy(find_binary(), f"{folder}/pgweir")
        os.chmod(self.binary, 0o755)

    def new_folder(self):
        self.n_folders += 1
        path = f"{self.folder}/{self.n_folders}"
        os.mkdir(path)
        proc.give_to_service_user(path)
        return path

    def app_on(self, nodes, more=""):
        """[databases] with `app` on these nodes."""
        return {"app": f"{hosts(nodes)} dbname=app {more}".strip()}

    def pgweir(self, databases=None, **options):
        """A Pgweir on the primary alone, or with these databases."""
        return Pgweir(self, databases or self.app_on([self.cluster.primary]), **options)

    def pgweir_routed(self, more="", **options):
        """A Pgweir whose database `app` has all nodes of the cluster."""
        return Pgweir(self, self.app_on(self.cluster.nodes, more), **options)
