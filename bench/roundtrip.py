#!/usr/bin/python3
"""Count the instructions that pgweir needs for a transaction, with valgrind's callgrind.

pgbench runs its select-only script with one client through one worker on the epoll engine, once for
few transactions and once for many more: the difference is what the transactions cost, without
start and login. One row for each binary and protocol mode; the first binary is what the others are
compared with. --write puts the table in docs/benchmarks.md.
"""
import argparse
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc  # noqa: E402  pylint: disable=wrong-import-position
from tools.cluster import Cluster  # noqa: E402  pylint: disable=wrong-import-position

FEW, MANY = 200, 1200
MODES = ("simple", "extended", "prepared")


class Counted(contenders.Pgweir):
    """pgweir under callgrind, which loses nothing when pgweir ends at once."""

    name = "counted"
    more = "workers = 1\nio_engine = epoll\n"

    def command(self):
        return ["valgrind", "--tool=callgrind", "--separate-threads=yes",
                f"--callgrind-out-file={self.folder}/out", *super().command()]

    def stop(self):
        """Returns the instructions of each thread, by its number."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)
        self.process = None
        totals = {}
        for path in glob.glob(f"{self.folder}/out-*"):
            with open(path, encoding="utf-8") as f:
                found = re.search(r"^(?:totals|summary): (\d+)", f.read(), re.MULTILINE)
            totals[path.rsplit("-", 1)[1]] = int(found.group(1)) if found else 0
        return totals


def run_once(folder, cluster, program, mode, transactions):
    os.makedirs(folder)
    proc.give_to_service_user(folder)
    pgweir = Counted(folder, cluster.primary.port, 20, program)
    pgweir.start()
    proc.run([f"{cluster.bindir}/pgbench", "-n", "-h", "127.0.0.1", "-p", str(pgweir.port),
              "-U", contenders.USER, "-M", mode, "-c", "1", "-t", str(transactions),
              "-b", "select-only", contenders.USER], timeout=200)
    return pgweir.stop()


def count(folder, cluster, program, mode):
    few, many = (run_once(f"{folder}/{os.path.basename(os.path.dirname(program))}-{mode}-{n}",
                          cluster, program, mode, n) for n in (FEW, MANY))
    # The worker's is the thread to which the transactions made the difference.
    return max(n - few.get(thread, 0) for thread, n in many.items()) / (MANY - FEW)


def table(counts, names):
    lines = [f"| mode | {' | '.join(names)} | |", f"|---|{'--:|' * len(names)}--:|"]
    for mode in MODES:
        figures = counts[mode]
        lines.append(f"| {mode} | {' | '.join(f'{n:,.0f}' for n in figures)} | "
                     f"{100 * (figures[-1] / figures[0] - 1):+.1f} % |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="+", metavar="NAME=PGWEIR",
                        help="what the column is called, and the program")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    named = [b.split("=", 1) for b in args.binaries]
    folder = tempfile.mkdtemp(prefix="pgweir-roundtrip-", dir="/tmp")
    os.chmod(folder, 0o755)
    proc.give_to_service_user(folder)
    hba = [f"host all {contenders.USER} 127.0.0.1/32 trust"]
    try:
        with Cluster(f"{folder}/pg", 0, hba=hba) as cluster:
            cluster.create_user(contenders.USER, contenders.USER)
            cluster.create_database(contenders.USER, contenders.USER, 1)
            counts = {mode: [count(f"{folder}/{i}", cluster, program, mode)
                             for i, (_, program) in enumerate(named)] for mode in MODES}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = table(counts, [name for name, _ in named])
    print(text)
    if args.write:
        report.write_section(f"{TOP}/docs/benchmarks.md", "roundtrip", text)


if __name__ == "__main__":
    main()
