"""Runs pgbench against one contender and measures the contender meanwhile."""
import os
import re
import subprocess
import threading

from tools import proc

from contenders import USER

PROGRESS = re.compile(r"progress: ([\d.]+) s, ([\d.]+) tps, lat ([\d.]+) ms")
THREADS_MAX = 100
SCRIPTS = {"select": ["-b", "select-only"], "tpcb": ["-b", "tpcb-like"],
           "mixed": ["-b", "select-only@9", "-b", "tpcb-like@1"]}


class Case:
    """A script, a protocol, a number of clients: "select:prepared:50"."""

    def __init__(self, text):
        self.script, self.protocol, clients = text.split(":")
        self.clients = int(clients)
        if self.script not in SCRIPTS or self.protocol not in ("simple", "extended", "prepared"):
            raise ValueError(f"no such case: {text}")

    def __str__(self):
        return f"{self.script}, {self.protocol}, {self.clients} clients"

    def suits(self, contender, one_to_one_max):
        """False where the contender cannot run it."""
        if self.protocol == "prepared" and not contender.has_prepared:
            return False
        if contender.waits_to_parse and self.threads == THREADS_MAX < self.clients:
            return False
        return not contender.is_one_to_one or self.clients <= one_to_one_max

    @property
    def login_seconds(self):
        """What pgbench's own clock loses to the logins."""
        return self.clients // 700

    @property
    def threads(self):
        """
        pgbench waits in PQprepare for one client while its thread's other clients hold servers
        in transactions: with fewer threads than clients PgBouncer's pool stands still for ever.
        """
        if self.protocol == "prepared" and self.script != "select":
            return min(self.clients, THREADS_MAX)
        return min(2, self.clients)


class Result:
    """One run: transactions per second, latency, CPU of the proxy per transaction."""

    def __init__(self, tps=None, latency_ms=None, cpu_us=None, rss_kib=None, error=None):
        self.tps = tps
        self.latency_ms = latency_ms
        self.cpu_us = cpu_us
        self.rss_kib = rss_kib
        self.error = error


def bench_env():
    """pgbench in the caller's name, with nothing of the caller's settings."""
    return proc.clean_env({"PGUSER": USER, "PGDATABASE": USER, "PGSSLMODE": "disable",
                           "PGGSSENCMODE": "disable"})


def run(pgbench, contender, case, seconds):
    """One run of a case. CPU and transactions are counted between the first and the last
    progress line, so that logins and the first second stay out."""
    command = [pgbench, "-n", "-h", "127.0.0.1", "-p", str(contender.port), "-P", "1",
               "-M", case.protocol, "-c", str(case.clients), "-j", str(case.threads),
               "-T", str(seconds), *SCRIPTS[case.script]]
    with subprocess.Popen(command, env=bench_env(), stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as bench:
        alarm = threading.Timer(seconds + 120, bench.kill)
        alarm.start()
        marks, errors = [], []
        for line in bench.stderr:
            found = PROGRESS.match(line)
            if found:
                cpu = proc.cpu_us(contender.pid) if contender.pid else 0
                marks.append((*map(float, found.groups()), cpu))
            elif re.search("error|aborted|fatal", line, re.IGNORECASE):
                errors.append(line.strip())
        alarm.cancel()
    if bench.wait() != 0 or errors:
        return Result(error=(errors or [f"pgbench ended with {bench.returncode}"])[0][:200])
    if len(marks) < 2:
        return Result(error="pgbench told its progress only once: nothing to measure between")
    return summarize(marks, contender)


def summarize(marks, contender):
    """marks: (seconds, tps since the mark before, latency in ms, CPU µs of the proxy)."""
    seconds = marks[-1][0] - marks[0][0]
    done = sum(tps * (at - before[0])
               for before, (at, tps, _, _) in zip(marks, marks[1:]))
    latency = sum(m[2] for m in marks[1:]) / (len(marks) - 1)
    if not done:
        return Result(error="no transaction in the measured time")
    cpu = (marks[-1][3] - marks[0][3]) / done if contender.pid else None
    rss = proc.status_kib(contender.pid, "VmRSS") if contender.pid else None
    return Result(done / seconds, latency, cpu, rss)


def find_pgbench(bindir):
    path = f"{bindir}/pgbench"
    if not os.path.exists(path):
        raise RuntimeError(f"no pgbench in {bindir}")
    return path
