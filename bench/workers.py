#!/usr/bin/python3
"""Count how often a server changes its worker in a steady load, and what a transaction costs with
one, two and four of them. bench/drive.c in front, bench/fakepg.c behind.

A hand-over is counted by pgweir itself (SHOW WORKERS), while the load goes on. How fair the line is
is counted, too: how many transactions end while one is under way, at most, for each client; in the
mean that is one. With one worker it is judged; where one of several has no CPU for a while, the
others go on. CPU and the longest time are told, but not judged: they are the machine's as well, on
which four workers may have two CPUs. The last line tells how many cases are within their bounds.
"""
import argparse
import collections
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import load  # noqa: E402  pylint: disable=wrong-import-position
import rig  # noqa: E402  pylint: disable=wrong-import-position
from tools import uring  # noqa: E402  pylint: disable=wrong-import-position

WORKERS, CLIENTS = (1, 2, 4), (64, 1000)
POOL = 20
TRANSACTIONS = 30000
MOVED_MAX = 0.02  # hand-overs for each transaction
PASSED_MAX = 3  # times the mean; with one worker
TRIES = 3  # a machine that is busy with something else stops a worker for long: the least counts

Run = collections.namedtuple("Run", "moved cpu_us longest passed")


class Workers(contenders.Pgweir):
    """With so many of them, on an engine."""

    def __init__(self, folder, back, program, engine, n):
        super().__init__(folder, back, POOL, program)
        self.more = f"workers = {n}\nio_engine = {engine}\n{contenders.ADMIN}"

    def moved(self):
        """Servers that have come to a worker from another, ever."""
        return self.of_workers("handovers_in")


def measure(program, engine, n, clients):
    """One Run: hand-overs and CPU of a transaction; its longest time, and how many others end in
    it, as multiples of the mean."""
    with rig.folder() as path, rig.fake_server(path) as back:
        pgweir = Workers(path, back, program, engine, n)
        try:
            pgweir.start()
            with rig.Drive(path, pgweir.target, clients, "simple") as drive:
                drive.order(f"count {10 * clients + TRANSACTIONS // 10}")  # it is steady now
                moved, spent = pgweir.moved(), load.Spent(pgweir.pid)
                done = drive.order(f"count {TRANSACTIONS}")
                cpu_us, _ = spent.each(TRANSACTIONS)
                moved = (pgweir.moved() - moved) / TRANSACTIONS
        finally:
            pgweir.stop()
    return Run(moved, cpu_us, done["max_us"] * done["done"] / done["us"] / clients,
               done["passed_max"] / clients)


def faults(run, n):
    """What is above its bound, with so many workers."""
    if run.moved >= MOVED_MAX:
        yield f"{run.moved:.3f} hand-overs for each transaction, at most {MOVED_MAX}"
    if n == 1 and run.passed > PASSED_MAX:
        yield f"one was passed by {run.passed:.1f} for each client, at most {PASSED_MAX}"


def least(program, engine, n, clients):
    runs = []
    while len(runs) < TRIES and (not runs or any(faults(runs[-1], n))):
        runs.append(measure(program, engine, n, clients))
    return min(runs, key=lambda run: (len(list(faults(run, n))), run))


def engines():
    return ["epoll"] if uring.why_not() else ["epoll", "io_uring"]


def count_all(program):
    """{(engine, workers, clients): Run}"""
    return {(engine, n, clients): least(program, engine, n, clients)
            for engine in engines() for clients in CLIENTS for n in WORKERS}


def table(runs):
    """Markdown."""
    lines = ["| engine | clients | workers | CPU µs/tx | x one worker | servers moved for 100 tx "
             "| longest time, x mean | passed by at most, x mean |",
             "|---|--:|--:|--:|--:|--:|--:|--:|"]
    for (engine, n, clients), run in runs.items():
        one = runs[engine, WORKERS[0], clients]
        lines.append(f"| {engine} | {clients:,} | {n} | {run.cpu_us:.1f} "
                     f"| {run.cpu_us / one.cpu_us:.2f} | {100 * run.moved:.2f} "
                     f"| {run.longest:.1f} | {run.passed:.1f} |")
    return "\n".join(["Workers, in front of fakepg:", "", *lines])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="PGWEIR")
    args = parser.parse_args()
    runs = count_all(os.path.abspath(args.binary))
    print(table(runs))
    bad = {case: list(faults(run, case[1])) for case, run in runs.items()}
    bad = {case: found for case, found in bad.items() if found}
    for case, found in bad.items():
        print(f"FAILED: {case}: {'; '.join(found)}")
    print(f"{len(runs) - len(bad)} passed, {len(bad)} failed")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
