#!/usr/bin/python3
"""Count whether a transaction costs more instructions where there is more of everything: clients,
pools, prepared statements. With valgrind's callgrind, one worker, the epoll engine, bench/drive.c in
front, bench/fakepg.c behind; the difference of a long run and a short one, as in roundtrip.py.

The last line tells how many kinds are within their bound. It takes some minutes.
"""
import argparse
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import memory  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
import rig  # noqa: E402  pylint: disable=wrong-import-position
import roundtrip  # noqa: E402  pylint: disable=wrong-import-position

RISE_MAX = 0.15
# What there is more of: how many of it, and the load with n of it.
KINDS = {"clients": ((100, 1000, 20000), lambda n: Load(clients=n)),
         "pools": ((1, 50, 500), lambda n: Load(clients=500, pool_size=500 // n, databases=n)),
         "prepared statements": ((1, 500, 5000), lambda n: Load(statements=n))}


class Load:
    """So many clients take turns with so many databases, or with statements of their own."""

    def __init__(self, clients=1, pool_size=20, databases=1, statements=1):
        self.clients, self.pool_size = clients, pool_size
        self.database = f"{contenders.USER}*{databases}"
        self.mode = f"prepared*{statements}" if statements > 1 else "prepared"
        # all have had their turns; servers are open, and know all
        self.few = (20 if clients == pool_size * databases else 3) * max(clients, statements)
        self.many = self.few + 2 * max(1000, clients, statements)


class Any(contenders.Pgweir):
    """With whatever database is asked for; statements stay on their servers."""

    more = (contenders.Pgweir.more + "history_period = 600\nmax_prepared_statements = 5000\n"
            "query_wait_timeout = 3000\nclient_login_timeout = 3000\n")

    def write(self, name, text):
        return super().write(name, text.replace(f"{contenders.USER} = ", "* = "))


def run_once(program, load, transactions):
    """Counts of each thread, by its number."""
    with rig.folder() as path, rig.fake_server(path) as back:
        counted = Any(path, back, load.pool_size, program, before=roundtrip.callgrind(path))
        counts = {}
        try:
            counted.start()
            with rig.Drive(path, counted.target, load.clients, load.mode,
                           database=load.database) as drive:
                drive.order(f"count {transactions}")
        finally:
            counts = roundtrip.stop(counted)
        return counts


def count(program, load):
    """Instructions of a transaction."""
    few, many = (run_once(program, load, n) for n in (load.few, load.many))
    return roundtrip.difference(few, many, load.many - load.few).instructions


def judge(kind, figures):
    """figures: {n: instructions}. Tells them; True if they are good."""
    least, *_, most = figures
    rise = figures[most] / figures[least] - 1
    good = rise <= RISE_MAX
    print(f"{'' if good else 'FAILED: '}{least} to {most:,} {kind}: {figures[least]:.0f} to "
          f"{figures[most]:.0f} instructions ({100 * rise:+.1f} %, at most "
          f"{100 * RISE_MAX:+.0f} %)", flush=True)
    return good


def table(counted):
    """Markdown."""
    lines = ["| of | so many | instructions/tx |", "|---|--:|--:|"]
    lines += [f"| {kind} | {n:,} | {count:,.0f} |" for kind, figures in counted.items()
              for n, count in figures.items()]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="PGWEIR")
    parser.add_argument("--only", action="append", choices=KINDS)
    parser.add_argument("--write", action="store_true", help="put the table in docs/benchmarks.md")
    args = parser.parse_args()
    memory.raise_fd_limit()
    counted = {}
    for kind, (numbers, make) in KINDS.items():
        if not args.only or kind in args.only:
            counted[kind] = {n: count(os.path.abspath(args.binary), make(n))
                             for n in map(memory.at_most, numbers)}
    text = table(counted)
    print(text)
    if args.write:
        report.write_section(f"{TOP}/docs/benchmarks.md", "flat", text)
    good = [judge(kind, figures) for kind, figures in counted.items()]
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
