"""Puts one kind of load on one contender and measures the contender meanwhile."""
import contextlib
import math
import os
import re
import subprocess
import threading
import time

from tools import proc

import rig
from contenders import FRONTS, PASSWORD, USER

PROGRESS = re.compile(r"progress: ([\d.]+) s, ([\d.]+) tps, lat ([\d.]+) ms")
THREADS_MAX = 100
TRIES = 3  # a second longer each
PGBENCH = {"select": ["-b", "select-only"], "tpcb": ["-b", "tpcb-like"],
           "mixed": ["-b", "select-only@9", "-b", "tpcb-like@1"],
           "rows": ["-f", "{folder}/rows.sql"], "connect": ["-C", "-b", "select-only"]}
DRIVE = {"fake": None, "bulk": "bulk 1000000"}
COPY = {"copyout": "COPY (SELECT repeat('x', 999) FROM generate_series(1, 100000)) TO STDOUT",
        "copyin": "COPY sink FROM STDIN WHERE false"}
# What pgweir is held to on the epoll engine: CPU as a ratio to the floor, and to PgBouncer.
GOALS = {
    "select:simple:16": (1.08, 0.97), "select:extended:16": (1.10, 0.88),
    "select:prepared:16": (1.15, 0.72), "select:simple:100": (1.00, 0.87),
    "select:prepared:100": (1.15, 0.72),
    "fake:simple:16": (1.08, 0.97), "fake:extended:16": (1.10, 0.88),
    "fake:prepared:16": (1.15, 0.72),
    "fake:simple:64": (1.00, 0.87), "fake:simple:100": (1.00, 0.87),
    "fake:simple:1000": (1.00, 0.87), "fake:prepared:100": (1.15, 0.72),
    "fake:prepared:1000": (1.15, 0.72), "bulk:simple:4": (1.05, 0.33),
    "copyout:simple:1": (1.05, 0.33), "copyin:simple:1": (1.05, 0.33),
    "select+tls:simple:16": (None, 0.75), "rows+tls:simple:4": (None, 0.75),
    "connect+scram:simple:4": (None, 0.95)}
# On the other engine: to the same two, and to the floor over io_uring.
GOALS_URING = {
    "select:simple:16": (0.80, None, 1.10), "select:simple:100": (0.70, None, 1.10),
    "select:prepared:16": (0.85, 0.50, 1.10), "select:prepared:100": (0.70, 0.50, 1.10),
    "select:extended:16": (None, None, 1.10),
    "fake:simple:16": (0.80, None, 1.10), "fake:prepared:16": (0.85, 0.50, 1.10),
    "fake:extended:16": (None, None, 1.10),
    "fake:simple:100": (0.70, None, 1.10), "fake:prepared:100": (0.70, 0.50, 1.10),
    "fake:prepared:1000": (None, 0.50, 1.10)}


class Case:
    """KIND[+FRONT]:PROTOCOL:CLIENTS, as in "select+tls:simple:16"."""

    def __init__(self, text):
        kind, self.protocol, clients = text.split(":")
        self.kind, _, front = kind.partition("+")
        self.front = front or "plain"
        self.clients = int(clients)
        if self.kind not in {*PGBENCH, *DRIVE, *COPY} or self.protocol not in rig.MODES or \
                self.front not in FRONTS:
            raise ValueError(f"no such case: {text}")
        self.goals = {"pgweir": GOALS.get(text, ()), "pgweir-uring": GOALS_URING.get(text, ())}

    def __str__(self):
        front = "" if self.front == "plain" else f" over {self.front}"
        return f"{self.kind}{front}, {self.protocol}, {self.clients} clients"

    def goals_of(self, contender):
        """Ratios at most, to the floor, PgBouncer and the floor over io_uring; as far as there are
        any, and None for one that there is not."""
        return self.goals.get(contender, ())

    @property
    def is_fake(self):
        """In front of fakepg, not PostgreSQL."""
        return self.kind in DRIVE

    def suits(self, contender, one_to_one_max):
        """False where the contender cannot run it."""
        if self.front not in contender.fronts:
            return False
        if self.protocol == "prepared" and not contender.has_prepared:
            return False
        if contender.waits_to_parse and self.threads == THREADS_MAX < self.clients:
            return False
        return self.is_fake or not contender.is_one_to_one or self.clients <= one_to_one_max

    @property
    def login_seconds(self):
        """What pgbench's own clock loses to the logins."""
        return 0 if self.is_fake else self.clients // 700

    @property
    def threads(self):
        """
        pgbench waits in PQprepare for one client while its thread's other clients hold servers
        in transactions: with fewer threads than clients PgBouncer's pool stands still for ever.
        """
        if self.protocol == "prepared" and self.kind not in ("select", *DRIVE):
            return min(self.clients, THREADS_MAX)
        return min(2, self.clients)


class Result:
    """One run: transactions per second, and what the proxy spent on each. Percentiles are of a
    second run, at half of what the slowest contender can do."""

    def __init__(self, tps=None, cpu_us=None, switches=None, latency_ms=None, error=None):
        self.tps = tps
        self.cpu_us = cpu_us
        self.switches = switches
        self.latency_ms = latency_ms
        self.error = error
        self.percentiles_us = None

    @property
    def p99_us(self):
        return self.percentiles_us[-1] if self.percentiles_us else None


class Spent:
    """What a process, all its threads, has spent since then."""

    def __init__(self, pid):
        self.pid = pid
        self.before = self._now()

    def _now(self):
        return (proc.cpu_us(self.pid), proc.switches(self.pid)) if self.pid else (0, 0)

    def each(self, n):
        """(CPU µs, context switches) for each of n transactions."""
        if not self.pid or not n:
            return None, None
        return tuple((now - before) / n for now, before in zip(self._now(), self.before))


class TooShort(RuntimeError):
    """There is nothing to measure between."""


def run(pgbench, contender, case, seconds, folder):
    try:
        for more in range(TRIES - 1):
            with contextlib.suppress(TooShort):
                return _run(pgbench, contender, case, seconds + more, folder)
        return _run(pgbench, contender, case, seconds + TRIES - 1, folder)
    except (RuntimeError, OSError) as e:
        return Result(error=str(e)[:200])


def _run(pgbench, contender, case, seconds, folder):
    if case.kind in DRIVE:
        return _drive(contender, case, seconds, folder)
    if case.kind in COPY:
        return _copy(pgbench, contender, case, seconds, folder)
    return _pgbench(pgbench, contender, case, seconds, folder)


# --- drive ---

@contextlib.contextmanager
def driven(contender, case, folder):
    with rig.Drive(folder, contender.target, case.clients, case.protocol,
                   DRIVE[case.kind]) as drive:
        yield drive


def _drive(contender, case, seconds, folder):
    with driven(contender, case, folder) as drive:
        drive.order(f"count {4 * case.clients + 20}")
        spent = Spent(contender.pid)
        done = drive.order(f"seconds {seconds}")
        cpu, switches = spent.each(done["done"])
        return Result(done["done"] / done["us"] * 1e6, cpu, switches, done["p50_us"] / 1000)


def percentiles(contender, case, seconds, rate, folder):
    """(p50, p95, p99) in µs at so many transactions a second."""
    with driven(contender, case, folder) as drive:
        drive.order(f"count {4 * case.clients + 20}")
        done = drive.order(f"seconds {seconds} {rate:.0f}")
        return tuple(done[f"p{p}_us"] for p in (50, 95, 99))


# --- pgbench ---

def environment(case):
    """pgbench and psql in the caller's name, with nothing of the caller's settings."""
    return proc.clean_env({"PGUSER": USER, "PGDATABASE": USER, "PGPASSWORD": PASSWORD,
                           "PGSSLMODE": "require" if case.front == "tls" else "disable",
                           "PGGSSENCMODE": "disable"})


def prepare_folder(folder):
    """What the loads read."""
    with open(f"{folder}/rows.sql", "w", encoding="ascii") as f:
        f.write("SELECT repeat('x', 1000000);\n")
    with open(f"{folder}/copy.txt", "w", encoding="ascii") as f:
        for _ in range(100_000):
            f.write("x" * 999 + "\n")


def _pgbench(pgbench, contender, case, seconds, folder):
    """CPU and transactions are counted between the first and the last progress line, so that logins
    and the first second stay out."""
    script = [word.format(folder=folder) for word in PGBENCH[case.kind]]
    command = [pgbench, "-n", "-h", contender.host, "-p", str(contender.port), "-P", "1",
               "-M", case.protocol, "-c", str(case.clients), "-j", str(case.threads),
               "-T", str(math.ceil(seconds) + 1), *script]
    with subprocess.Popen(command, env=environment(case), stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as bench:
        alarm = threading.Timer(seconds + 120, bench.kill)
        alarm.start()
        marks, errors, spent, each = [], [], None, None
        for line in bench.stderr:
            found = PROGRESS.match(line)
            if found:
                marks.append(tuple(map(float, found.groups())))
                spent = spent or Spent(contender.pid)
                each = spent.each(_done(marks))
            elif re.search("error|aborted|fatal", line, re.IGNORECASE):
                errors.append(line.strip())
        alarm.cancel()
    if bench.wait() != 0 or errors:
        return Result(error=(errors or [f"pgbench ended with {bench.returncode}"])[0][:200])
    if len(marks) < 2 or not _done(marks):
        raise TooShort("pgbench told its progress only once")
    latency = sum(m[2] for m in marks[1:]) / (len(marks) - 1)
    return Result(_done(marks) / (marks[-1][0] - marks[0][0]), *each, latency)


def _done(marks):
    """Transactions between the first mark and the last; marks: (seconds, tps since the mark before,
    latency in ms)."""
    return sum(mark[1] * (mark[0] - before[0]) for before, mark in zip(marks, marks[1:]))


# --- COPY ---

def _copy(pgbench, contender, case, seconds, folder):
    """100 MB at a time, by psql, until the time is over."""
    command = [os.path.join(os.path.dirname(pgbench), "psql"), "-XAtq", "-h", contender.host,
               "-p", str(contender.port), "-c", COPY[case.kind]]
    spent, began, n = Spent(contender.pid), time.monotonic(), 0
    while n == 0 or time.monotonic() - began < seconds:
        with open(f"{folder}/copy.txt", "rb") as data:
            done = subprocess.run(command, env=environment(case), stdin=data,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                  check=False, timeout=120)
        if done.returncode != 0:
            return Result(error=done.stderr.strip()[:200])
        n += 1
    passed = time.monotonic() - began
    return Result(n / passed, *spent.each(n), passed / n * 1000)


def find_pgbench(bindir):
    path = f"{bindir}/pgbench"
    if not os.path.exists(path):
        raise RuntimeError(f"no pgbench in {bindir}")
    return path
