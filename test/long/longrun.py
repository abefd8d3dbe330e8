"""What the long runs share: the harness of the integration tests, the crowd of clients, and their
command line."""
import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time

TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TEST, f"{TEST}/integration", f"{os.path.dirname(TEST)}/bench"]

import conftest  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc  # noqa: E402  pylint: disable=wrong-import-position

# Clients of a crowd log in without a password, and say nothing in the log.
CROWD_SETTINGS = {"auth_type": "trust", "log_connections": 0, "log_disconnections": 0}
NEVER = ("wrong", "stale", "leaked", "stray", "stuck")  # what no client may ever see
LEDGER = """CREATE TABLE ledger (who int, seq int); CREATE INDEX ON ledger (who, seq);
    ALTER TABLE ledger OWNER TO app"""
LOST = "SELECT who, seq FROM acked EXCEPT SELECT who, seq FROM ledger"  # after check_ledger


def parse_args(doc, **flags):
    """flags: further switches, with their help."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--scale", type=float, default=1.0,
                        help="1: the whole of it; 0.1: a tenth")
    parser.add_argument("--seed", type=int, default=1)
    for name, text in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    return parser.parse_args()


def say(text):
    print(text, flush=True)


@contextlib.contextmanager
def site(standbys=2, **settings):
    """A cluster and what daemons need, as the integration tests have it."""
    conftest.pytest_configure(NoMarkers())
    made = conftest.temporary_site(standbys, **settings)
    try:
        yield next(made)
    finally:
        made.close()


class NoMarkers:
    """Stands in for pytest's configuration, which has no say here."""

    def addinivalue_line(self, *_):
        pass


def build_crowd(folder):
    """test/tools/crowd.c, made once in a folder; returns the program's path."""
    program = f"{folder}/crowd"
    if not os.path.exists(program):
        subprocess.run(["cc", "-O2", "-o", program, f"{TEST}/tools/crowd.c"], check=True)
    return program


class Crowd:
    """test/tools/crowd.c, running: `now` has its last line as {name: number}."""

    def __init__(self, pooler, database="app", **settings):
        folder = pooler.site.folder
        self.unsure = f"{folder}/unsure-{time.monotonic_ns()}"
        self.now = {}
        with open(f"{folder}/crowd.err", "a", encoding="utf-8") as err:
            self.process = subprocess.Popen(
                [build_crowd(folder), str(pooler.port), "app", database, f"unsure={self.unsure}",
                 *(f"{name}={value}" for name, value in settings.items())],
                stdout=subprocess.PIPE, stderr=None if sys.stderr.isatty() else err, text=True)
        self.errors = f"{folder}/crowd.err"
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            words = line.split()
            self.now = {**{k: int(v) for k, v in (w.split("=") for w in words[1:])},
                        "what": words[0]}

    def wait_logged_in(self, count, timeout):
        began = time.monotonic()
        proc.wait_until(f"{count} clients to be logged in",
                        lambda: self.now.get("logged_in", 0) >= count, timeout, 0.1)
        return time.monotonic() - began

    def done(self):
        """Units so far."""
        return sum(self.now.get(op, 0) for op in ("read", "write", "set", "pin", "cancel", "leave"))

    def failed(self):
        return {k: v for k, v in self.now.items() if k.startswith("failed_") and v}

    def notes(self):
        """What is known of its writes so far, as crowd.c tells it, in whole lines."""
        with open(self.unsure, encoding="utf-8") as f:
            lines, end, _ = f.read().rpartition("\n")
        return lines + end

    def stop(self):
        """End it, or wait until it has ended; returns its last line."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def wait(self):
        self.process.wait()
        self.reader.join()
        if os.path.exists(self.errors):
            with open(self.errors, encoding="utf-8", errors="replace") as f:
                for line in f.read().splitlines()[:30]:
                    say(f"    {line}")
            os.truncate(self.errors, 0)
        if self.now.get("what") != "end":
            raise RuntimeError(f"the crowd ended with {self.process.returncode}")
        return self.now

    def never(self):
        """What was seen that no client may ever see; {} is good."""
        return {k: self.now[k] for k in NEVER if self.now[k]}


class Watch(threading.Thread):
    """Looks at a daemon twice a second: its longest wait (SHOW POOLS), its memory, its files."""

    def __init__(self, pooler):
        super().__init__(daemon=True)
        self.pooler = pooler
        self.end = threading.Event()
        self.longest_us = 0
        self.rss_kib = [pooler.rss_kib()]
        self.start()

    def run(self):
        with self.pooler.raw("admin", "pgweir") as console:
            while not self.end.wait(0.5):
                pools = console.query("SHOW POOLS").check()
                names = [name for name, _ in pools.columns]
                for row in (dict(zip(names, values)) for values in pools.rows):
                    waited = int(row["maxwait"]) * 1_000_000 + int(row["maxwait_us"])
                    self.longest_us = max(self.longest_us, waited)
                self.rss_kib.append(self.pooler.rss_kib())

    def stop(self):
        self.end.set()
        self.join()
        return self


def check_ledger(primary, crowds):
    """Compare the table with what its clients were told: {finding: count}, {} is good. Leaves the
    table `acked`: who, seq of each write that was acknowledged."""
    primary.sql("DROP TABLE IF EXISTS unsure, acked; CREATE TABLE unsure"
                " (who int, seq int, what text, sqlstate text)", "app")
    for crowd in crowds:
        primary.sql(f"COPY unsure FROM stdin;\n{crowd.notes()}\\.\n", "app")
    primary.sql("CREATE TABLE acked AS SELECT who, generate_series(1, seq) seq FROM unsure"
                " WHERE what = 'last' EXCEPT SELECT who, seq FROM unsure"
                " WHERE what IN ('refused', 'unknown'); CREATE INDEX ON acked (who, seq)", "app")
    number = {name: int(primary.sql(sql, "app")) for name, sql in {
        "lost": f"SELECT count(*) FROM ({LOST}) l",
        "doubled": "SELECT count(*) FROM (SELECT FROM ledger GROUP BY who, seq"
                   " HAVING count(*) > 1) d",
        "refused, but there": "SELECT count(*) FROM unsure JOIN ledger USING (who, seq)"
                              " WHERE what = 'refused'",
        "missed, but there": "SELECT count(*) FROM unsure JOIN acked USING (who, seq)"
                             " JOIN ledger USING (who, seq) WHERE what = 'missed'",
        "phantom": "SELECT count(*) FROM (SELECT who, seq FROM ledger EXCEPT SELECT who, seq"
                   " FROM acked EXCEPT SELECT who, seq FROM unsure WHERE what <> 'last') p",
        "acked": "SELECT count(*) FROM acked",
    }.items()}
    number["miscounted"] = abs(number.pop("acked") - sum(crowd.now["write"] for crowd in crowds))
    return {k: v for k, v in number.items() if v}


def units(pooler):
    """{port of a node: reads there, "": units anywhere} of the database so far"""
    found = {"": 0}
    for row in pooler.show("ROUTES"):
        if row["database"] == "app":
            port = row["node"].rsplit(":", 1)[-1]
            found[""] += int(row["units"])
            if row["verdict"] == "read" and port:
                found[port] = found.get(port, 0) + int(row["units"])
    return found


def wait_left(pooler, timeout=60):
    """Until no client but consoles is there."""
    proc.wait_until("the clients to be gone", lambda: not any(
        row["database"] != "pgbouncer" for row in pooler.show("CLIENTS")), timeout, 0.2)
