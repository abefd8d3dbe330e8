#!/usr/bin/python3
"""Compare pgweir with PgBouncer, bare relays and no proxy: throughput, CPU, latency, memory.

Every round runs every case through the contenders, in rotating order, so that slow drift of the
machine hits all alike; ratios are taken within a round, and the table has their medians. CPU is
the user and system time of the proxy's threads, from /proc/PID/task/*/schedstat.

A case is KIND[+FRONT]:PROTOCOL:CLIENTS.
  KIND   fake     bench/drive.c's select, answered by bench/fakepg.c: more than PostgreSQL can do
         bulk     rows of 1 MB, by the same two
         select, tpcb, mixed (nine reads to one tpcb-like transaction), rows (of 1 MB), connect (a
                  login for each select): pgbench and PostgreSQL
         copyout, copyin: 100 MB by psql
  FRONT  unix     clients and server over unix sockets
         tls      TLS to clients
         scram    clients log in with SCRAM

Environment: PGWEIR_BIN (default build-quickstart/release/src/pgweir), PGBOUNCER_SRC (a source tree
of PgBouncer 1.25; its rows are left out without it), PGBIN.
"""
import argparse
import contextlib
import functools
import os
import shutil
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import load  # noqa: E402  pylint: disable=wrong-import-position
import memory  # noqa: E402  pylint: disable=wrong-import-position
import picture  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
import rig  # noqa: E402  pylint: disable=wrong-import-position
import roundtrip  # noqa: E402  pylint: disable=wrong-import-position
import syscalls  # noqa: E402  pylint: disable=wrong-import-position
import workers  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc, uring  # noqa: E402  pylint: disable=wrong-import-position
from tools.certs import Authority  # noqa: E402  pylint: disable=wrong-import-position
from tools.cluster import Cluster  # noqa: E402  pylint: disable=wrong-import-position

ASKED_FOR = ("fake:extended:16", "fake:prepared:16")  # by --case: pgbench's say the same
CASES = [*(case for case in load.GOALS if case not in ASKED_FOR),
         "fake+unix:simple:16", "fake+unix:prepared:100"]
AT_HALF = ("fake:simple:16", "fake:simple:100")  # cases that are run again for their percentiles
IDLE, IDLE_TLS = (5000, 20000), 2000  # clients
YARDSTICK_EVERY = 5  # rounds
ONE_TO_ONE_MAX = 200  # clients; more connections than that measure PostgreSQL


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", metavar="KIND:PROTOCOL:CLIENTS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4, help="of each run")
    parser.add_argument("--scale", type=int, default=20, help="of pgbench's tables")
    parser.add_argument("--pool-size", type=int, default=20)
    parser.add_argument("--only", action="append", metavar="CONTENDER")
    parser.add_argument("--other", action="append", default=[], metavar="NAME=HOST:PORT:PID",
                        help="one that runs already; it takes part in cases without a FRONT")
    parser.add_argument("--no-counts", action="store_true",
                        help="leave out memory, system calls and instructions")
    parser.add_argument("--write", action="store_true",
                        help="put tables and picture in docs/benchmarks.md")
    args = parser.parse_args()
    args.at_half = [c for c in AT_HALF if c in (args.case or CASES)]
    args.cases = {text: load.Case(text) for text in args.case or CASES}
    return args


def loudly(text):
    print(f"\n*** {text} ***\n", file=sys.stderr)


# --- contenders ---

def programs(folder):
    """{class: arguments} of all that can be had here; what cannot is told."""
    found = {contenders.Direct: (), contenders.Floor: ()}
    why = uring.why_not()
    if why is None:
        found[contenders.FloorUring] = ()
    debian = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
    if debian:
        found[contenders.DebianPgbouncer] = (debian,)
    else:
        loudly("Debian's pgbouncer is not installed: its rows are left out")
    source = os.environ.get("PGBOUNCER_SRC")
    if source:
        found[contenders.Pgbouncer] = (contenders.build_pgbouncer(source, folder),)
    else:
        loudly("PGBOUNCER_SRC is not set: the rows of PgBouncer 1.25 are left out")
    binary = os.environ.get("PGWEIR_BIN", f"{TOP}/build-quickstart/release/src/pgweir")
    found[contenders.Pgweir] = found[contenders.PgweirWorkers] = (binary,)
    if why is None:
        found[contenders.PgweirUring] = (binary,)
    else:
        loudly(f"io_uring is not to be had here ({why}): its rows are left out")
    return found


class Field:
    """The contenders, one process of each for each (kind of server, front) that is asked for."""

    def __init__(self, folder, backs, found, args):
        self.folder, self.backs, self.found = folder, backs, found
        self.pool_size = args.pool_size
        self.only = args.only
        self.others = [contenders.Other(text) for text in args.other]
        self.running = {}

    def classes(self):
        return [c for c in self.found if not self.only or c.name in self.only]

    def of(self, case):
        """Those that can run it, started."""
        made = [self._get(c, case) for c in self.classes() if case.front in c.fronts]
        return [c for c in made + self.others if case.suits(c, ONE_TO_ONE_MAX)]

    def _get(self, kind, case):
        key = (kind, case.is_fake, case.front)
        if key not in self.running:
            folder = f"{self.folder}/{len(self.running)}"
            os.makedirs(folder)
            proc.give_to_service_user(folder)
            back = self.backs[case.is_fake, case.front == "unix"]
            made = kind(folder, back, self.pool_size, *self.found[kind], front=case.front)
            made.start()
            self.running[key] = made
        return self.running[key]

    def stop(self):
        for contender in self.running.values():
            contender.stop()


# --- rounds ---

def run_round(number, args, field, pgbench, results):
    for text, case in args.cases.items():
        found = field.of(case)
        turn = number % len(found)
        for contender in found[turn:] + found[:turn]:
            if contender.is_yardstick and number % YARDSTICK_EVERY:
                continue
            result = load.run(pgbench, contender, case, args.seconds + case.login_seconds,
                              field.folder)
            results[text][number][contender.name] = result
            told = result.error or (f"{result.tps:,.1f} tps, {report.number(result.cpu_us, 1)} "
                                    "µs of CPU for each")
            print(f"round {number + 1}, {case}, {contender.name}: {told}", flush=True)
        if text in args.at_half:
            run_at_half(args, field, case, found, results[text][number])


def run_at_half(args, field, case, found, results):
    """Percentiles of all at the same rate: half of what the slowest can do."""
    rates = [r.tps for r in results.values() if r.tps]
    for contender in found:
        result = results.get(contender.name)
        if result is not None and result.tps:
            result.percentiles_us = load.percentiles(contender, case, args.seconds,
                                                     min(rates) / 2, field.folder)


@contextlib.contextmanager
def servers(folder, args):
    """The cluster, and {(is fakepg, over a unix socket): Back}."""
    certificate = Authority(f"{folder}/ca").issue("bench")
    for path in certificate:
        proc.give_to_service_user(path)
    hba = [f"host all {contenders.USER} 127.0.0.1/32 trust",
           f"local all {contenders.USER} trust"]
    settings = {"max_connections": 2 * ONE_TO_ONE_MAX + 400, "shared_buffers": "512MB"}
    with Cluster(f"{folder}/pg", 0, settings=settings, hba=hba) as cluster, \
            rig.fake_server(folder) as fake, rig.fake_server(folder, True) as fake_unix:
        cluster.create_user(contenders.USER, contenders.PASSWORD)
        cluster.create_database(contenders.USER, contenders.USER, args.scale)
        cluster.primary.sql("CREATE UNLOGGED TABLE sink (line text);"
                            f"ALTER TABLE sink OWNER TO {contenders.USER}", contenders.USER)
        verifier = cluster.primary.sql("SELECT rolpassword FROM pg_authid "
                                       f"WHERE rolname = '{contenders.USER}'")
        port = cluster.primary.port
        path = f"{cluster.socket_dir}/.s.PGSQL.{port}"
        yield cluster, {(False, False): contenders.Back(port, certificate, verifier),
                        (False, True): contenders.Back(path, certificate, verifier),
                        (True, False): fake, (True, True): fake_unix}


# --- counts ---

CALLS = [(mode, n) for mode in ("simple", "prepared") for n in (16, 100)]


def count_all(found):
    """Markdown of what is counted, not timed."""
    kinds = {k: more for k, more in found.items() if k is not contenders.PgweirWorkers}
    crowds = [memory.at_most(n) for n in IDLE]
    each = report.counts(
        "For each transaction, in front of fakepg, by strace and callgrind (which does not go with "
        "io_uring):",
        [*((f"calls, {mode}, {n} clients", 2) for mode, n in CALLS),
         *((f"instructions, {mode}", 0) for mode in rig.MODES)],
        [(k.name, [guarded(calls, k, more, mode, n) for mode, n in CALLS]
          + [guarded(instructions, k, more, mode) for mode in rig.MODES])
         for k, more in kinds.items() if k is not contenders.Direct])
    idle = report.counts(
        "Bytes for each idle client: the process's own, and the kernel's for both ends of the "
        "connection:",
        [(f"{whose}, {n:,} clients", 0) for n in crowds for whose in ("own", "kernel")]
        + [(f"own, {IDLE_TLS:,} over TLS", 0)],
        [(k.name, [*(v for n in crowds for v in guarded(idle_bytes, k, more, n) or (None, None)),
                   guarded(memory.count_tls, k, more, IDLE_TLS) if "tls" in k.fronts else None])
         for k, more in kinds.items()
         if k is contenders.Direct or not (k.is_one_to_one or k.is_yardstick)])
    spread = [workers.table(workers.count_all(*more)) for k, more in kinds.items()
              if k is contenders.Pgweir]
    return [each, idle, *spread]


def guarded(count, *args):
    """None where it cannot be counted."""
    if not args[0].has_prepared and "prepared" in args:
        return None
    try:
        return count(*args)
    except (RuntimeError, OSError, subprocess.SubprocessError, syscalls.NotAllowed) as e:
        loudly(f"{args[0].name} is not counted: {e}")
        return None


def idle_bytes(kind, more, clients):
    """(its own, the kernel's)"""
    with rig.folder() as path, rig.fake_server(path) as back:
        own, kernel = memory.count(functools.partial(kind, path, back, 20, *more), path, clients,
                                   memory.both_for_each)
        return (own if kind is not contenders.Direct else None), kernel


def calls(kind, more, mode, clients):
    with rig.folder() as path, rig.fake_server(path) as back:
        contender = kind(path, back, 20, *more)
        try:
            contender.start()
            counts = syscalls.count(path, contender, mode, clients)
            return sum(n for n, _ in counts.values())
        finally:
            contender.stop()


def instructions(kind, more, mode):
    return None if kind.is_uring else roundtrip.count(kind, more, mode).instructions


# --- results ---

def publish(args, field, results, cluster, counts):
    names = [c.name for c in field.classes()] + [c.name for c in field.others]
    versions = {c.name: c.version() for c in field.running.values() if c.version()}
    versions["PostgreSQL"] = proc.run([f"{cluster.bindir}/postgres", "-V"]).split()[2]
    how = (f"median of {args.rounds} rounds of {args.seconds:g} s; pool of {args.pool_size}; "
           f"pgbench scale {args.scale}; fsync off; all on one machine, over loopback TCP unless "
           "said")
    rows = [(args.cases[text], sort_rounds(names, rounds)) for text, rounds in results.items()]
    parts = [report.facts(versions, how), report.table(rows), report.percentiles(rows)]
    parts += counts
    text = "\n\n".join(part for part in parts if part)
    print("\n" + text)
    if args.write:
        picture.write(f"{TOP}/docs/benchmarks.svg", rows)
        report.write_section(f"{TOP}/docs/benchmarks.md", "run",
                             text + "\n\n![CPU of a transaction, as a ratio to the floor's]"
                             "(benchmarks.svg)")
    failed = [r.error for rounds in results.values() for row in rounds for r in row.values()
              if r.error]
    if failed:
        sys.exit(f"{len(failed)} runs failed, the first: {failed[0]}")


def sort_rounds(names, rounds):
    """Contenders in the same order in every row of the table."""
    return [{n: r[n] for n in names if n in r} for r in rounds]


def main():
    args, began = parse_args(), time.monotonic()
    memory.raise_fd_limit()
    with rig.folder() as folder, servers(folder, args) as (cluster, backs):
        load.prepare_folder(folder)
        field = Field(folder, backs, programs(folder), args)
        results = {text: [{} for _ in range(args.rounds)] for text in args.cases}
        try:
            for number in range(args.rounds):
                run_round(number, args, field, load.find_pgbench(cluster.bindir), results)
        finally:
            field.stop()
        print(f"timed after {(time.monotonic() - began) / 60:.1f} minutes")
        counts = [] if args.no_counts else count_all(
            {c: field.found[c] for c in field.classes()})
        print(f"counted after {(time.monotonic() - began) / 60:.1f} minutes")
        publish(args, field, results, cluster, counts)


if __name__ == "__main__":
    main()
