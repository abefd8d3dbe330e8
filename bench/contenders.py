"""What is compared: pgweir, PgBouncer, a bare relay, and no proxy at all, each in front of the same
PostgreSQL server, with the same pool size, without TLS, clients trusted."""
import os
import re
import shutil
import subprocess

from tools import proc

USER = "bench"
READY_SECONDS = 20


class Contender:
    """A proxy that can be started. `pid` is None where there is none to measure."""

    name = ""
    has_prepared = True   # named prepared statements work
    is_one_to_one = False  # a server connection per client
    waits_to_parse = False  # each Parse takes a server
    is_yardstick = False  # runs in every other round: no ratio is asked of it

    def __init__(self, folder, server_port, pool_size):
        self.folder = folder
        self.server_port = server_port
        self.pool_size = pool_size
        self.port = proc.free_port()
        self.process = None

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def version(self):
        return ""

    def command(self):
        raise NotImplementedError

    def start(self):
        self.process = proc.spawn(self.command(), f"{self.folder}/{self.name}.log")
        proc.wait_until(f"{self.name} to accept on port {self.port}", self._accepts,
                        READY_SECONDS, 0.05)

    def _accepts(self):
        if self.process.poll() is not None:
            with open(f"{self.folder}/{self.name}.log", encoding="utf-8") as f:
                raise RuntimeError(f"{self.name} ended at start:\n{f.read()[-2000:]}")
        done = subprocess.run(["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
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
    """pgbench straight to PostgreSQL."""

    name = "direct"
    is_one_to_one = True
    is_yardstick = True

    def start(self):
        self.port = self.server_port


class Floor(Contender):
    """bench/floor_epoll.c: what a proxy of one thread cannot cost less than."""

    name = "floor"
    is_one_to_one = True
    is_yardstick = True

    def __init__(self, folder, server_port, pool_size, program):
        super().__init__(folder, server_port, pool_size)
        self.program = program

    def command(self):
        return [self.install(self.program), self.port, self.server_port]


class Pooler(Contender):
    """What PgBouncer and pgweir have in common: the configuration file."""

    section = "pgbouncer"
    more = ""

    def __init__(self, folder, server_port, pool_size, program):
        super().__init__(folder, server_port, pool_size)
        self.program = program

    def command(self):
        users = self.write("users", f'"{USER}" ""\n')
        config = self.write("ini", f"""[databases]
{USER} = host=127.0.0.1 port={self.server_port} dbname={USER}

[{self.section}]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {self.pool_size}
max_client_conn = 12000
server_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
query_wait_timeout = 300
{self.more}
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
    more = "workers = 1\n"


class PgweirWorkers(Pgweir):
    """With its defaults, as many workers as CPUs."""

    name = "pgweir-workers"
    more = ""


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
