#!/usr/bin/python3
"""A throw-away PostgreSQL primary with streaming standbys, on loopback, in one folder.

As a module: Cluster and Node; the servers die with the Python process. As a command (for
./quickstart and for trying things by hand) the servers stay until `destroy`:

    cluster.py start DIR [--standbys N] [--tls] [--durable] [--scale N] [--set name=value]…
    cluster.py stop|destroy|status|pids DIR
    cluster.py node DIR NAME start|stop|kill|freeze|thaw|promote|pause-replay|resume-replay
    cluster.py sql DIR NAME 'SELECT …'

The superuser `postgres` may log in without a password, over the unix socket alone, which lies in
a folder that only the servers' user can enter. TCP takes SCRAM passwords. Without --durable,
fsync is off: never for data that matters.
Environment: PGBIN, the folder of initdb (default: the newest under /usr/lib/postgresql).
"""
import argparse
import glob
import json
import os
import shutil
import signal
import sys
import tempfile

if __package__:
    from . import certs, proc
else:  # called as a command
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from tools import certs, proc

STATE_FILE = "cluster.json"
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "wal_keep_size": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "wal_retrieve_retry_interval": "200ms",
    "hot_standby": "on",
    "autovacuum": "off",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "dynamic_shared_memory_type": "mmap",  # leaves nothing behind outside the folder when killed
    "log_line_prefix": "%m [%p] %u@%d ",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}  # commits still reach standbys at once


def find_bindir():
    """The folder of PostgreSQL's server programs."""
    def version(path):
        return int(path.split("/")[-2]) if path.split("/")[-2].isdigit() else 0
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=version, reverse=True)
    for folder in [os.environ.get("PGBIN", "")] + found:
        if os.path.exists(f"{folder}/initdb"):
            return folder
    raise RuntimeError("no initdb found: install postgresql, or set PGBIN")


class Node:
    """One PostgreSQL instance of a cluster."""

    def __init__(self, cluster, name, port):
        self.cluster = cluster
        self.name = name
        self.port = port
        self.data = f"{cluster.folder}/{name}"
        self.log = f"{cluster.folder}/log/{name}.log"
        self._child = None

    def __repr__(self):
        return f"<{self.name} port={self.port}>"

    def pid(self):
        """The postmaster's pid; None if it does not run."""
        try:
            with open(f"{self.data}/postmaster.pid") as f:
                pid = int(f.readline())
        except (OSError, ValueError):
            return None
        return pid if proc.is_alive(pid) else None

    def is_running(self):
        return self.pid() is not None

    def sql(self, text, db="postgres", user="postgres"):
        """Run SQL through psql on the unix socket; rows as text, columns divided by |."""
        return proc.run([f"{self.cluster.bindir}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1",
                         "-h", self.cluster.socket_dir, "-p", self.port, "-U", user, "-d", db,
                         "-f", "-"], stdin=text).strip()

    def accepts(self):
        done = proc.run([f"{self.cluster.bindir}/pg_isready", "-h", self.cluster.socket_dir,
                         "-p", self.port], check=False)
        return "accepting connections" in done

    def start(self, wait=True):
        self._child = proc.spawn(
            [f"{self.cluster.bindir}/postgres", "-D", self.data, "-c", f"port={self.port}",
             "-c", f"unix_socket_directories={self.cluster.socket_dir}"],
            self.log, stay=self.cluster.stay)
        if wait:
            self.wait_accepts()

    def wait_accepts(self, timeout=30):
        proc.wait_until(f"{self.name} to accept connections (log: {self.log})",
                        self._accepts_or_dead, timeout, 0.05)

    def _accepts_or_dead(self):
        if self._child and self._child.poll() is not None:
            with open(self.log) as f:
                raise RuntimeError(f"{self.name} ended at start:\n{f.read()[-2000:]}")
        return self.accepts()

    def stop(self, mode="fast", timeout=60):
        pid = self.pid()
        if pid:
            self.thaw()
            proc.send_signal(pid, STOP_SIGNALS[mode])
            self._wait_gone([pid], timeout)

    def kill(self):
        """SIGKILL to every process of it, as if the machine had died."""
        pid = self.pid()
        if not pid:
            return
        proc.send_signal(pid, signal.SIGSTOP)  # or it would replace the children it loses
        tree = [pid] + proc.children(pid)
        for one in reversed(tree):
            proc.send_signal(one, signal.SIGKILL)
        self._wait_gone(tree, 10)
        self._remove_remains()

    def _wait_gone(self, pids, timeout):
        def gone():
            if self._child:
                self._child.poll()
            return not any(proc.is_alive(p) for p in pids)
        proc.wait_until(f"{self.name} to end", gone, timeout)

    def _remove_remains(self):
        """What a killed postmaster leaves: its segment, and locks that a zombie keeps valid."""
        with open(f"{self.data}/postmaster.pid") as f:
            lines = f.read().splitlines()
        socket = f"{self.cluster.socket_dir}/.s.PGSQL.{self.port}"
        for path in (f"{self.data}/postmaster.pid", socket, socket + ".lock"):
            os.unlink(path)
        if len(lines) > 6 and len(lines[6].split()) == 2:
            proc.run(["ipcrm", "-m", lines[6].split()[1]], check=False)

    def freeze(self):
        """SIGSTOP to every process of it: it keeps its sockets and answers nothing."""
        self._signal_tree(signal.SIGSTOP)

    def thaw(self):
        self._signal_tree(signal.SIGCONT)

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def _signal_tree(self, signo):
        pid = self.pid()
        if pid:
            proc.send_signal(pid, signo)
            for child in proc.children(pid):
                proc.send_signal(child, signo)

    def is_standby(self):
        return self.sql("SELECT pg_is_in_recovery()") == "t"

    def promote(self):
        self.sql("SELECT pg_promote(wait => true, wait_seconds => 30)")

    def pause_replay(self):
        self.sql("SELECT pg_wal_replay_pause()")
        proc.wait_until(f"{self.name} to pause its replay", lambda: self.sql(
            "SELECT pg_get_wal_replay_pause_state()"
            if self.cluster.version >= 14 else
            "SELECT CASE WHEN pg_is_wal_replay_paused() THEN 'paused' END") == "paused")

    def resume_replay(self):
        self.sql("SELECT pg_wal_replay_resume()")

    def wait_caught_up(self, primary=None, timeout=30):
        """Wait until it has replayed all that the primary has written by now."""
        # one synchronous commit writes what asynchronous ones have left in memory
        lsn = (primary or self.cluster.primary).sql(
            "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, '', '');"
            "SELECT pg_current_wal_lsn()").splitlines()[-1]
        proc.wait_until(f"{self.name} to replay up to {lsn}", lambda: self.sql(
            f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'") == "t", timeout)

    def follow(self, primary):
        """Make this running standby stream from another primary."""
        self.sql(f"ALTER SYSTEM SET primary_conninfo = '{self._conninfo(primary)}'")
        self.sql("SELECT pg_reload_conf()")

    def rebuild(self, primary):
        """Throw its data away and clone it anew, as a standby of `primary`; starts it."""
        self.stop("immediate")
        shutil.rmtree(self.data)
        proc.run([f"{self.cluster.bindir}/pg_basebackup", "-D", self.data, "-X", "stream",
                  "-c", "fast", "-h", self.cluster.socket_dir, "-p", primary.port,
                  "-U", "postgres"])
        self._make_standby(primary)
        self.start()

    def rewind(self, primary):
        """A former primary goes back to where `primary` left it, as its standby; starts it."""
        self.stop("fast")
        proc.run([f"{self.cluster.bindir}/pg_rewind", "-D", self.data, "--source-server",
                  f"host={self.cluster.socket_dir} port={primary.port} user=postgres "
                  "dbname=postgres"])
        self._make_standby(primary)
        self.start()

    def _conninfo(self, primary):
        return (f"host={self.cluster.socket_dir} port={primary.port} user=postgres "
                f"application_name={self.name}")

    def _make_standby(self, primary):
        with open(f"{self.data}/postgresql.auto.conf", "w") as f:
            f.write(f"primary_conninfo = '{self._conninfo(primary)}'\n"
                    f"cluster_name = '{self.name}'\n")
        with open(f"{self.data}/standby.signal", "w"):
            pass
        proc.give_to_service_user(f"{self.data}/postgresql.auto.conf")
        proc.give_to_service_user(f"{self.data}/standby.signal")


class Cluster:
    """A primary and its standbys. Use as a context manager, or call start and destroy."""

    def __init__(self, folder=None, standbys=2, tls=False, durable=False, settings=None,
                 hba=(), stay=False):
        self.made_folder = folder is None or not os.path.exists(folder)
        if folder is None:
            folder = tempfile.mkdtemp(prefix="pgweir-pg-")
        self.folder = os.path.abspath(folder)
        self.socket_dir = f"{self.folder}/sock"
        self.stay = stay
        self.tls = tls
        self.hba = list(hba)  # lines that go before the usual ones
        self.bindir = find_bindir()
        self.version = int(proc.run([f"{self.bindir}/postgres", "-V"]).split()[2].split(".")[0])
        self.settings = {**SETTINGS, **({} if durable else NOT_DURABLE), **(settings or {})}
        self.authority = None
        names = ["primary"] + [f"standby{i}" for i in range(1, standbys + 1)]
        self.nodes = [Node(self, name, proc.free_port()) for name in names]

    @property
    def primary(self):
        """The node that was made as the primary; after a promotion the test knows better."""
        return self.nodes[0]

    @property
    def standbys(self):
        return self.nodes[1:]

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.destroy()
            raise

    def __exit__(self, *_):
        self.destroy()

    @classmethod
    def load(cls, folder):
        """The cluster that `start` left in a folder."""
        with open(f"{folder}/{STATE_FILE}") as f:
            state = json.load(f)
        self = cls.__new__(cls)
        self.folder = os.path.abspath(folder)
        self.socket_dir = f"{self.folder}/sock"
        self.stay = True
        self.made_folder = state["made_folder"]
        self.bindir = state["bindir"]
        self.version = state["version"]
        self.nodes = [Node(self, n["name"], n["port"]) for n in state["nodes"]]
        return self

    def start(self):
        for folder in (self.folder, self.socket_dir, f"{self.folder}/log"):
            os.makedirs(folder, exist_ok=True)
            proc.give_to_service_user(folder)
        os.chmod(self.folder, 0o755)
        os.chmod(self.socket_dir, 0o700)
        self._save()
        self._init_primary()
        for node in self.standbys:
            self._copy_primary(node)
        self.primary.start()
        for node in self.standbys:
            node.start(wait=False)
        for node in self.standbys:
            node.wait_accepts()
        proc.wait_until("all standbys to stream", lambda: int(self.primary.sql(
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"))
            == len(self.standbys))
        return self

    def _save(self):
        with open(f"{self.folder}/{STATE_FILE}", "w") as f:
            json.dump({"nodes": [{"name": n.name, "port": n.port} for n in self.nodes],
                       "bindir": self.bindir, "version": self.version,
                       "made_folder": self.made_folder}, f)

    def _init_primary(self):
        data = self.primary.data
        proc.run([f"{self.bindir}/initdb", "-D", data, "-U", "postgres", "-A", "trust",
                  "-E", "UTF8", "--no-locale", "-N"])
        settings = dict(self.settings)
        if self.tls:
            self.authority = certs.Authority(f"{self.folder}/tls")
            cert, key = self.authority.issue("server")
            settings.update(ssl="on", ssl_cert_file=cert, ssl_key_file=key)
        with open(f"{data}/postgresql.conf", "a") as f:
            f.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        with open(f"{data}/pg_hba.conf", "w") as f:
            f.write("local all all trust\nlocal replication all trust\n")
            f.writelines(line + "\n" for line in self.hba)
            f.write("host all all 127.0.0.1/32 scram-sha-256\n")

    def _copy_primary(self, node):
        """A cold copy of a cleanly stopped primary is as good a base as a base backup."""
        proc.run(["cp", "-a", self.primary.data, node.data])
        node._make_standby(self.primary)

    def stop(self, mode="fast"):
        for node in reversed(self.nodes):
            node.stop(mode)

    def destroy(self):
        """Stop all and remove what start made, nothing else."""
        if not os.path.exists(f"{self.folder}/{STATE_FILE}"):
            return
        self.stop("immediate")
        for name in [n.name for n in self.nodes] + ["sock", "log", "tls"]:
            shutil.rmtree(f"{self.folder}/{name}", ignore_errors=True)
        os.unlink(f"{self.folder}/{STATE_FILE}")
        if self.made_folder and not os.listdir(self.folder):
            os.rmdir(self.folder)

    def node(self, name):
        return next(n for n in self.nodes if n.name == name)

    def create_user(self, name, password, options="", encryption="scram-sha-256"):
        self.primary.sql(f"SET password_encryption = '{encryption}';"
                         f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}' {options}")

    def create_database(self, name, owner="postgres", scale=0):
        self.primary.sql(f'CREATE DATABASE "{name}" OWNER "{owner}"')
        if scale:
            proc.run([f"{self.bindir}/pgbench", "-i", "-q", "-s", scale, "-h", self.socket_dir,
                      "-p", self.primary.port, "-U", owner, name], timeout=600)

    def wait_caught_up(self):
        for node in self.standbys:
            node.wait_caught_up()


def _command_start(args):
    settings = dict(item.split("=", 1) for item in args.set)
    cluster = Cluster(args.folder, args.standbys, args.tls, args.durable, settings, stay=True)
    try:
        cluster.start()
        cluster.create_user(args.user, args.password)
        cluster.create_user("monitor", args.password, "IN ROLE pg_monitor")
        cluster.create_database(args.db, args.user, args.scale)
        cluster.wait_caught_up()
    except BaseException:
        cluster.destroy()
        raise
    for node in cluster.nodes:
        print(node.name, node.port)


def _command_node(args):
    node = Cluster.load(args.folder).node(args.name)
    getattr(node, args.action.replace("-", "_"))()


def _command_sql(args):
    print(Cluster.load(args.folder).node(args.name).sql(args.text))


def _command_other(args):
    cluster = Cluster.load(args.folder)
    if args.command == "status":
        for node in cluster.nodes:
            role = "stopped"
            if node.accepts():
                role = "standby" if node.is_standby() else "primary"
            print(node.name, node.port, role)
    elif args.command == "pids":
        for node in cluster.nodes:
            if node.is_running():
                print(node.name, node.pid())
    else:
        getattr(cluster, args.command)()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start")
    start.add_argument("folder")
    start.add_argument("--standbys", type=int, default=2)
    start.add_argument("--tls", action="store_true")
    start.add_argument("--durable", action="store_true")
    start.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    start.add_argument("--user", default="app")
    start.add_argument("--password", default="secret")
    start.add_argument("--db", default="app")
    start.add_argument("--scale", type=int, default=0, help="pgbench tables of this scale")
    start.set_defaults(call=_command_start)
    for name in ("stop", "destroy", "status", "pids"):
        one = commands.add_parser(name)
        one.add_argument("folder")
        one.set_defaults(call=_command_other)
    node = commands.add_parser("node")
    node.add_argument("folder")
    node.add_argument("name")
    node.add_argument("action", choices=["start", "stop", "kill", "freeze", "thaw", "promote",
                                         "pause-replay", "resume-replay"])
    node.set_defaults(call=_command_node)
    sql = commands.add_parser("sql")
    sql.add_argument("folder")
    sql.add_argument("name")
    sql.add_argument("text")
    sql.set_defaults(call=_command_sql)
    args = parser.parse_args()
    args.call(args)


if __name__ == "__main__":
    main()
