#!/usr/bin/python3
"""5,000 clients on 20 servers per node, a primary and two replicas; a replica is killed meanwhile
and comes back. Prints, and with --write puts in docs/benchmarks.md, where the units went, what
failed, and the memory of pgweir."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{TOP}/test")

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import load  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc  # noqa: E402  pylint: disable=wrong-import-position
from tools.cluster import Cluster  # noqa: E402  pylint: disable=wrong-import-position

USER = contenders.USER
LOGIN_SECONDS = 120  # for all clients to be logged in


class Routed(contenders.Pgweir):
    """pgweir in front of a whole cluster, with a console."""

    def __init__(self, folder, cluster, pool_size, program):
        super().__init__(folder, cluster.primary.port, pool_size, program)
        self.cluster = cluster
        self.more = f"admin_users = {USER}\nmonitor_user = monitor\nmonitor_password = monitor\n"

    def command(self):
        command = super().command()
        hosts = ",".join("127.0.0.1" for _ in self.cluster.nodes)
        ports = ",".join(str(n.port) for n in self.cluster.nodes)
        with open(command[1], encoding="utf-8") as f:
            text = f.read()
        with open(command[1], "w", encoding="utf-8") as f:
            f.write(text.replace(f"host=127.0.0.1 port={self.server_port}",
                                 f"host={hosts} port={ports}"))
        return command

    def show(self, table):
        """Rows of a SHOW table, as dicts."""
        text = proc.run([f"{self.cluster.bindir}/psql", "-XA", "-F", "|", "-P", "footer=off",
                         "-h", "127.0.0.1", "-p", self.port, "-d", "pgweir", "-c",
                         f"SHOW {table}"], env=load.bench_env())
        names, *rows = [line.split("|") for line in text.splitlines()]
        return [dict(zip(names, row)) for row in rows]

    def node_of(self, row):
        return next((n.name for n in self.cluster.nodes
                     if row["node"].endswith(f":{n.port}")), row["node"])

    def units(self):
        """{node's name: units of the database so far}"""
        found = {n.name: 0 for n in self.cluster.nodes}
        for row in self.show("ROUTES"):
            if row["database"] == USER:
                name = self.node_of(row)
                found[name] = found.get(name, 0) + int(row["units"])
        return found

    def health(self, node):
        return next(r["health"] for r in self.show("NODES") if self.node_of(r) == node.name)

    def wait_health(self, node, state):
        """Seconds until the node is in that state."""
        began = time.monotonic()
        proc.wait_until(f"{node.name} to be {state}", lambda: self.health(node) == state, 60, 0.1)
        return time.monotonic() - began


class Clients:
    """A pgbench of many clients in the background."""

    def __init__(self, pooler, what, count, *more):
        self.what = f"{count} clients, {what}"
        self.path = f"{pooler.folder}/{what.replace(' ', '-')}.log"
        command = [load.find_pgbench(pooler.cluster.bindir), "-n", "-h", "127.0.0.1", "-p",
                   str(pooler.port), "-c", str(count), "-j", "2", "-T", "3600", "-P", "1", *more]
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen(command, env=load.bench_env(), stdout=log, stderr=log)

    def text(self):
        with open(self.path, encoding="utf-8") as f:
            return f.read()

    def is_running(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"pgbench ended:\n{self.text()[-2000:]}")
        return "progress:" in self.text()

    def errors(self):
        return len(re.findall("error|aborted|fatal", self.text(), re.IGNORECASE))

    def transactions(self):
        rates = re.findall(r"progress: [\d.]+ s, ([\d.]+) tps", self.text())
        return int(sum(float(r) for r in rates))

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Phase:
    """What happens in some seconds: units by node, memory."""

    def __init__(self, pooler, name, seconds):
        before, began = pooler.units(), time.monotonic()
        time.sleep(seconds)
        passed, after = time.monotonic() - began, pooler.units()
        self.name = name
        self.rate = {n: (after[n] - before.get(n, 0)) / passed for n in after}
        self.rss_mib = proc.status_kib(pooler.pid, "VmRSS") / 1024
        print(f"{name}: " + ", ".join(f"{n} {r:,.0f}/s" for n, r in self.rate.items()),
              flush=True)


def run(pooler, args):
    writers = args.clients // 5
    crowds = []
    try:
        crowds.append(Clients(pooler, "reading", args.clients - writers, "-S", "-M", "prepared"))
        crowds.append(Clients(pooler, "tpcb-like", writers, "-b", "tpcb-like"))
        began = time.monotonic()
        proc.wait_until("all clients to work", lambda: all(c.is_running() for c in crowds),
                        LOGIN_SECONDS, 0.2)
        print(f"{args.clients} clients logged in within {time.monotonic() - began:.1f} s")
        return measure(pooler, args, crowds)
    finally:
        for crowd in crowds:
            crowd.stop()


def measure(pooler, args, crowds):
    victim = pooler.cluster.standbys[0]
    phases = [Phase(pooler, "all nodes up", args.seconds)]
    victim.kill()
    noticed = pooler.wait_health(victim, "down")
    phases.append(Phase(pooler, f"{victim.name} killed", args.seconds))
    victim.start()
    back = pooler.wait_health(victim, "up")
    phases.append(Phase(pooler, f"{victim.name} back", args.seconds))
    for crowd in crowds:
        crowd.is_running()
    return text_of(pooler, phases, crowds, noticed, back)


def text_of(pooler, phases, crowds, noticed, back):
    names = [n.name for n in pooler.cluster.nodes]
    lines = [f"| | {' | '.join(f'{n}, units/s' for n in names)} | memory of pgweir |",
             "|---|" + "--:|" * (len(names) + 1)]
    for phase in phases:
        rates = " | ".join(f"{phase.rate.get(n, 0):,.0f}" for n in names)
        lines.append(f"| {phase.name} | {rates} | {phase.rss_mib:,.0f} MiB |")
    lines.append("")
    for crowd in crowds:
        lines.append(f"- {crowd.what}: {crowd.transactions():,} transactions, "
                     f"{crowd.errors()} errors")
    lines.append(f"- the dead replica was taken out within {noticed:.1f} s, and in again "
                 f"{back:.1f} s after it accepted connections")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--pool-size", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=15, help="of each of the three phases")
    parser.add_argument("--write", action="store_true", help="put it in docs/benchmarks.md")
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="pgweir-crowd-", dir="/tmp")
    os.chmod(folder, 0o755)
    proc.give_to_service_user(folder)
    pooler = None
    try:
        with Cluster(f"{folder}/pg", 2, hba=[f"host all {USER} 127.0.0.1/32 trust"]) as cluster:
            cluster.create_user(USER, USER)
            cluster.create_user("monitor", "monitor", "IN ROLE pg_monitor")
            cluster.create_database(USER, USER, 20)
            cluster.wait_caught_up()
            binary = os.environ.get("PGWEIR_BIN", f"{TOP}/build-quickstart/release/src/pgweir")
            pooler = Routed(folder, cluster, args.pool_size, binary)
            pooler.start()
            text = run(pooler, args)
            versions = {"pgweir": pooler.version(), "PostgreSQL": f"{cluster.version}"}
            how = (f"{args.clients:,} clients, pool of {args.pool_size} per node; pgbench, nodes "
                   "and pgweir share one machine")
            text = report.facts(versions, how) + "\n\n" + text
            print("\n" + text)
            if args.write:
                report.write_section(f"{TOP}/docs/benchmarks.md", "crowd", text)
    finally:
        if pooler:
            pooler.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if not re.search(", 0 errors", text) or re.search(r", [1-9]\d* errors", text):
        sys.exit("clients saw errors")


if __name__ == "__main__":
    main()
