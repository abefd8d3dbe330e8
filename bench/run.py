#!/usr/bin/python3
"""Compare pgweir with PgBouncer, a bare relay and no proxy: throughput, latency, CPU.

Every round runs every case through the contenders, in rotating order, so that slow drift of the
machine hits all alike; ratios are taken within a round, and the table has their medians. CPU is
the user and system time of the proxy's threads, from /proc/PID/task/*/schedstat.

A case is SCRIPT:PROTOCOL:CLIENTS, SCRIPT one of select, tpcb, mixed (nine reads to one tpcb-like
transaction). Environment: PGWEIR_BIN (default build-quickstart/release/src/pgweir), PGBOUNCER_SRC
(a source tree of PgBouncer 1.25; its rows are left out without it), PGBIN.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{TOP}/test")

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import load  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc  # noqa: E402  pylint: disable=wrong-import-position
from tools.cluster import Cluster  # noqa: E402  pylint: disable=wrong-import-position

SHORT = ["select:simple:1", "select:simple:50", "select:extended:50", "select:prepared:50",
         "tpcb:simple:50", "tpcb:prepared:50", "mixed:extended:200", "select:simple:1000",
         "mixed:simple:1000", "select:prepared:5000"]
FULL = [f"{script}:{protocol}:{clients}" for script in ("select", "tpcb", "mixed")
        for protocol in ("simple", "extended", "prepared") for clients in (1, 50, 500, 5000)]
ONE_TO_ONE_MAX = 200  # clients; more server connections than that measure PostgreSQL


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", metavar="SCRIPT:PROTOCOL:CLIENTS")
    parser.add_argument("--full", action="store_true", help=f"all {len(FULL)} cases")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--scale", type=int, default=20, help="of pgbench's tables")
    parser.add_argument("--pool-size", type=int, default=20)
    parser.add_argument("--only", action="append", metavar="CONTENDER")
    parser.add_argument("--write", action="store_true", help="put the table in docs/benchmarks.md")
    args = parser.parse_args()
    args.cases = [load.Case(c) for c in args.case or (FULL if args.full else SHORT)]
    return args


def loudly(text):
    print(f"\n*** {text} ***\n", file=sys.stderr)


def build_floor(folder):
    program = f"{folder}/floor_epoll"
    subprocess.run(["cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", "-o", program,
                    f"{TOP}/bench/floor_epoll.c"], check=True)
    return program


def make_contenders(folder, port, args):
    """All that can be had here; what cannot is told."""
    common = (folder, port, args.pool_size)
    found = [contenders.Direct(*common),
             contenders.Floor(*common, build_floor(folder))]
    debian = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
    if debian:
        found.append(contenders.DebianPgbouncer(*common, debian))
    else:
        loudly("Debian's pgbouncer is not installed: its rows are left out")
    source = os.environ.get("PGBOUNCER_SRC")
    if source:
        found.append(contenders.Pgbouncer(*common, contenders.build_pgbouncer(source, folder)))
    else:
        loudly("PGBOUNCER_SRC is not set: the rows of PgBouncer 1.25 are left out")
    binary = os.environ.get("PGWEIR_BIN", f"{TOP}/build-quickstart/release/src/pgweir")
    found.append(contenders.Pgweir(*common, binary))
    found.append(contenders.PgweirWorkers(*common, binary))
    return [c for c in found if not args.only or c.name in args.only]


def run_round(number, args, found, pgbench, results):
    for case in args.cases:
        turn = number % len(found)
        for contender in found[turn:] + found[:turn]:
            if not case.suits(contender, ONE_TO_ONE_MAX):
                continue
            if contender.is_yardstick and number % 2:
                continue
            result = load.run(pgbench, contender, case, args.seconds + case.login_seconds)
            results[case][number][contender.name] = result
            told = result.error or (f"{result.tps:,.0f} tps, {report.number(result.cpu_us, 1)} "
                                    "µs of CPU for each")
            print(f"round {number + 1}, {case}, {contender.name}: {told}", flush=True)


def sort_rounds(found, results):
    """Contenders in the same order in every row of the table."""
    return [(case, [{c.name: r[c.name] for c in found if c.name in r} for r in rounds])
            for case, rounds in results.items()]


def main():
    args = parse_args()
    folder = tempfile.mkdtemp(prefix="pgweir-bench-", dir="/tmp")
    os.chmod(folder, 0o755)
    proc.give_to_service_user(folder)
    found = []
    settings = {"max_connections": ONE_TO_ONE_MAX + 200, "shared_buffers": "512MB"}
    hba = [f"host all {contenders.USER} 127.0.0.1/32 trust"]
    try:
        with Cluster(f"{folder}/pg", 0, settings=settings, hba=hba) as cluster:
            cluster.create_user(contenders.USER, contenders.USER)
            cluster.create_database(contenders.USER, contenders.USER, args.scale)
            found = make_contenders(folder, cluster.primary.port, args)
            for contender in found:
                contender.start()
            results = {case: [{} for _ in range(args.rounds)] for case in args.cases}
            pgbench = load.find_pgbench(cluster.bindir)
            for number in range(args.rounds):
                run_round(number, args, found, pgbench, results)
            publish(args, found, results, cluster)
    finally:
        for contender in found:
            contender.stop()
        shutil.rmtree(folder, ignore_errors=True)


def publish(args, found, results, cluster):
    names = [c.name for c in found]
    base = next((n for n in ("pgbouncer", "pgbouncer-debian", "floor") if n in names), names[0])
    versions = {c.name: c.version() for c in found}
    versions["PostgreSQL"] = proc.run([f"{cluster.bindir}/postgres", "-V"]).split()[2]
    how = (f"median of {args.rounds} rounds of {args.seconds} s; pool of {args.pool_size}; "
           f"pgbench scale {args.scale}; fsync off; all on one machine, over loopback, without TLS")
    text = report.facts(versions, how) + "\n\n" + report.table(sort_rounds(found, results), base)
    print("\n" + text)
    if args.write:
        report.write_section(f"{TOP}/docs/benchmarks.md", "run", text)
    failed = [r.error for rounds in results.values() for row in rounds for r in row.values()
              if r.error]
    if failed:
        sys.exit(f"{len(failed)} runs failed, the first: {failed[0]}")


if __name__ == "__main__":
    main()
