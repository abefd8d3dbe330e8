"""What is compared: pgweir, PgBouncer, a bare relay, and no proxy at all, each in front of the same
PostgreSQL server, with the same pool size, without TLS, clients trusted."""
import csv
import os
import re
import shutil
import subprocess

from tools import proc

USER = "bench"
ADMIN = f"admin_users = {USER}\n"  # what lets it ask the console
READY_SECONDS = 20


FRONTS = ("plain", "unix", "tls", "scram")  # how clients come in
PASSWORD = "bench-secret"


class Back:
    """What all are in front of: PostgreSQL or fakepg. `where` is a port, or a unix socket's path."""

    def __init__(self, where, certificate=None, secret=PASSWORD):
        self.where = where
        self.certificate = certificate  # (certificate, key) for the poolers' own TLS
        self.secret = secret  # what auth_file has of the user

    @property
    def host(self):
        return os.path.dirname(self.where) if self.is_unix else "127.0.0.1"

    @property
    def port(self):
        return self.where.rsplit(".", 1)[1] if self.is_unix else self.where

    @property
    def is_unix(self):
        return isinstance(self.where, str)


class Contender:
    """A proxy that can be started. `pid` is None where there is none to measure."""

    name = ""
    has_prepared = True   # named prepared statements work
    is_one_to_one = False  # a server connection per client
    waits_to_parse = False  # each Parse takes a server
    is_yardstick = False  # runs in some rounds only: no ratio is asked of it
    settles_s = 0  # seconds until what busy clients had has gone back, and to the system
    is_uring = False  # callgrind cannot end what waits in io_uring_enter(2)
    fronts = ("plain", "unix")

    def __init__(self, folder, back, pool_size, front="plain", before=()):
        self.folder = folder
        self.back = back
        self.pool_size = pool_size
        self.front = front
        self.before = list(before)  # a command that runs it
        self.port = proc.free_port()
        self.process = None

    @property
    def pid(self):
        return self.process.pid if self.process else None

    @property
    def host(self):
        """Where clients connect to: an address, or the folder of a unix socket."""
        return self.folder if self.front == "unix" else "127.0.0.1"

    @property
    def target(self):
        """The same for drive.c."""
        return f"{self.folder}/.s.PGSQL.{self.port}" if self.front == "unix" else str(self.port)

    def version(self):
        return ""

    def command(self):
        raise NotImplementedError

    def start(self):
        self.process = proc.spawn([*self.before, *self.command()], f"{self.folder}/{self.name}.log")
        proc.wait_until(f"{self.name} to accept on port {self.port}", self._accepts,
                        READY_SECONDS, 0.05)

    def _accepts(self):
        if self.process.poll() is not None:
            with open(f"{self.folder}/{self.name}.log", encoding="utf-8") as f:
                raise RuntimeError(f"{self.name} ended at start:\n{f.read()[-2000:]}")
        done = subprocess.run(["pg_isready", "-q", "-h", self.host, "-p", str(self.port)],
                              check=False)
        return done.returncode == 0

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def write(self, name, text):
        path = f"{self.folder}/{self.name}.{name}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        proc.give_to_service_user(path)
        return path

    def install(self, program):
        """A copy of a program where the servers' user can run it."""
        path = f"{self.folder}/{self.name}"
        shutil.copy(program, path)
        os.chmod(path, 0o755)
        return path


class Direct(Contender):
    """The load straight to the server."""

    name = "direct"
    is_one_to_one = True
    is_yardstick = True

    @property
    def host(self):
        return self.back.host

    @property
    def target(self):
        return str(self.back.where)

    def start(self):
        self.port = self.back.port


class Other(Contender):
    """What runs already, in front of a server of its own choice: NAME=HOST:PORT:PID."""

    fronts = ("plain",)

    def __init__(self, text):
        super().__init__("", None, 0)
        self.name, where = text.split("=", 1)
        self._host, port, pid = where.rsplit(":", 2)
        self.port, self._pid = int(port), int(pid)

    @property
    def pid(self):
        return self._pid

    @property
    def host(self):
        return self._host

    def start(self):
        pass


class Floor(Contender):
    """bench/floor_epoll.c: what a proxy of one thread cannot cost less than."""

    name = "floor"
    source = "floor_epoll"
    libraries = ()
    is_one_to_one = True

    def command(self):
        return [compile_tool(self.source, self.folder, *self.libraries), self.target,
                self.back.where]


class FloorUring(Floor):
    """The same over io_uring."""

    name = "floor-uring"
    source = "floor_uring"
    libraries = ("-luring",)
    is_uring = True


class Pooler(Contender):
    """What PgBouncer and pgweir have in common: the configuration file."""

    section = "pgbouncer"
    more = ""
    fronts = FRONTS

    def __init__(self, folder, back, pool_size, program, front="plain", before=()):
        super().__init__(folder, back, pool_size, front, before)
        self.program = program

    def _front(self):
        if self.front == "tls":
            cert, key = self.back.certificate
            return (f"client_tls_sslmode = require\nclient_tls_cert_file = {cert}\n"
                    f"client_tls_key_file = {key}\n")
        return f"unix_socket_dir = {self.folder}\n" if self.front == "unix" else "unix_socket_dir =\n"

    def command(self):
        users = self.write("users", f'"{USER}" "{self.back.secret}"\n')
        config = self.write("ini", f"""[databases]
{USER} = host={self.back.host} port={self.back.port} dbname={USER}

[{self.section}]
listen_addr = 127.0.0.1
listen_port = {self.port}
auth_type = {"scram-sha-256" if self.front == "scram" else "trust"}
auth_file = {users}
pool_mode = transaction
default_pool_size = {self.pool_size}
max_client_conn = 25000
server_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
query_wait_timeout = 300
{self._front()}{self.more}
""")
        return [self.install(self.program), config]

    def version(self):
        text = subprocess.run([self.program, "--version"], capture_output=True, text=True,
                              check=False).stdout
        found = re.search(r"\d+\.\d+\S*", text)
        return found.group(0).rstrip(",") if found else text.strip()


class DebianPgbouncer(Pooler):
    """Before 1.21 PgBouncer has no prepared statements in transaction mode."""

    name = "pgbouncer-debian"
    is_yardstick = True
    has_prepared = False
    waits_to_parse = True


class Pgbouncer(Pooler):
    """PgBouncer from its source."""

    name = "pgbouncer"
    waits_to_parse = True
    more = "max_prepared_statements = 200\n"


class Pgweir(Pooler):
    """With one worker: like PgBouncer and the relay it uses one CPU."""

    name = "pgweir"
    section = "pgweir"
    settles_s = 12  # … and control has all it makes in its first seconds
    more = "workers = 1\nio_engine = epoll\n"

    def of_workers(self, column):
        """The sum of that column of SHOW WORKERS. `more` has to have ADMIN."""
        shown = subprocess.run(
            ["psql", "-X", "--csv", "-h", self.host, "-p", str(self.port), "-U", USER,
             "-d", "pgweir", "-c", "SHOW WORKERS"], check=True, capture_output=True, text=True)
        return sum(int(row[column]) for row in csv.DictReader(shown.stdout.splitlines()))


class PgweirUring(Pgweir):
    """The same on the other engine."""

    name = "pgweir-uring"
    is_uring = True
    more = "workers = 1\nio_engine = io_uring\n"


class PgweirWorkers(Pgweir):
    """With its defaults, as many workers as CPUs."""

    name = "pgweir-workers"
    more = ""
    is_yardstick = True


def compile_tool(name, folder, *libraries):
    """bench/NAME.c; returns the program."""
    program = f"{folder}/{name}"
    if not os.path.exists(program):
        subprocess.run(["cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", "-o", program,
                        f"{os.path.dirname(os.path.abspath(__file__))}/{name}.c", *libraries],
                       check=True)
    return program


def build_pgbouncer(source, folder):
    """Build PgBouncer in `folder` from a copy of its source tree; returns the program."""
    tree = f"{folder}/pgbouncer-source"
    shutil.copytree(source, tree, symlinks=True)
    if not os.path.exists(f"{tree}/configure"):
        _run_in(tree, ["./autogen.sh"])
    _run_in(tree, ["./configure", "--without-cares", "CFLAGS=-O2 -g"])
    _run_in(tree, ["make", "-j2", "pgbouncer"])
    return f"{tree}/pgbouncer"


def _run_in(folder, command):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed in {folder}:\n{done.stdout[-2000:]}")
