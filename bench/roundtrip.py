#!/usr/bin/python3
"""Count the instructions and the allocations that pgweir needs for a transaction, with valgrind's
callgrind.

One client of bench/drive.c sends pgbench's select in lockstep through one worker on the epoll
engine to bench/fakepg.c, once for few transactions and once for many more: the difference is what
the transactions cost, without start and login.

    roundtrip.py NAME=BINARY…    a table: a column for each binary, compared with the first.
                                 NAME=BINARY,KEY=VALUE… gives it settings. --write puts the
                                 table in docs/benchmarks.md
    roundtrip.py --check BINARY  compare with bench/baseline.tsv, which has a line for each compiler:
                                 more than 3 % above it fails, an allocation fails. Where a line is
                                 missing that is said loudly, and it is added.
    roundtrip.py --record BINARY write its figures to bench/baseline.tsv
"""
import argparse
import collections
import glob
import os
import re
import signal
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
import rig  # noqa: E402  pylint: disable=wrong-import-position

FEW, MANY = 200, 1200
BASELINE = f"{TOP}/bench/baseline.tsv"
RISE_MAX = 0.03
TRIES = 3  # what comes by the clock only adds, the more the busier the machine is: the least counts
ALLOCATORS = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "strdup"}

Counts = collections.namedtuple("Counts", "instructions allocations")


class Counted(contenders.Pgweir):
    """Without samples for the page, which workers answer: they fall into the count by chance."""

    more = contenders.Pgweir.more + "history_period = 600\n"


def stop(pgweir):
    """Ends one under callgrind, which loses nothing: Counts of each thread, by its number."""
    if pgweir.process is None:
        return {}
    pgweir.process.send_signal(signal.SIGQUIT)
    pgweir.process.wait(60)
    pgweir.process = None
    return {path.rsplit("-", 1)[1]: read_counts(path)
            for path in glob.glob(f"{pgweir.folder}/out-*")}


def read_counts(path):
    """Of a file of callgrind's, in which a name is told once and has a number then."""
    names, instructions, allocations, called = {}, 0, 0, None
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            if found := re.match(r"c?fn=(\(\d+\))(?: (\S+))?", line):
                number, name = found.groups()
                if name:
                    names[number] = re.sub(r"'\d+$", "", name)
                if line[0] == "c":
                    called = names[number]
            elif line.startswith("calls=") and called in ALLOCATORS:
                allocations += int(line[6:].split()[0])
            elif found := re.match(r"(?:totals|summary): (\d+)", line):
                instructions = int(found.group(1))
    return Counts(instructions, allocations)


def callgrind(folder):
    """What runs a contender, and leaves its counts in this folder."""
    return ["valgrind", "--tool=callgrind", "--separate-threads=yes",
            f"--callgrind-out-file={folder}/out"]


def run_once(kind, more, mode, transactions):
    with rig.folder() as path, rig.fake_server(path) as back:
        counted = kind(path, back, 20, *more, before=callgrind(path))
        counts = {}
        try:
            counted.start()
            with rig.Drive(path, counted.target, 1, mode) as drive:
                drive.order(f"count {transactions}")
        finally:
            counts = stop(counted)
        return counts


def difference(few, many, transactions):
    """Counts of one of so many transactions, by which the second of two runs was longer."""
    if not few or not many:
        raise RuntimeError("callgrind has left nothing")
    # The worker's is the thread to which the transactions made the difference.
    nothing = Counts(0, 0)
    thread = max(many, key=lambda t: many[t].instructions - few.get(t, nothing).instructions)
    return Counts(*((m - f) / transactions
                    for m, f in zip(many[thread], few.get(thread, nothing))))


def count(kind, more, mode):
    """Counts of one transaction through a contender of this class, with these arguments."""
    few, many = (run_once(kind, more, mode, n) for n in (FEW, MANY))
    return difference(few, many, MANY - FEW)


# --- the table ---

def table(counts, names):
    lines = [f"| mode | {' | '.join(names)} | |", f"|---|{'--:|' * len(names)}--:|"]
    for mode in rig.MODES:
        figures = [c.instructions for c in counts[mode]]
        lines.append(f"| {mode} | {' | '.join(f'{n:,.0f}' for n in figures)} | "
                     f"{100 * (figures[-1] / figures[0] - 1):+.1f} % |")
    return "\n".join(lines)


def column(text):
    """(name, class, program) of NAME=BINARY,KEY=VALUE…"""
    name, rest = text.split("=", 1)
    program, *settings = rest.split(",")
    more = "".join(f"{s.replace('=', ' = ')}\n" for s in settings)
    return name, type("Set", (Counted,), {"more": Counted.more + more}), program


def compare(binaries, write):
    named = [column(b) for b in binaries]
    counts = {mode: [count(kind, (program,), mode) for _, kind, program in named]
              for mode in rig.MODES}
    text = table(counts, [name for name, _, _ in named])
    print(text)
    if write:
        report.write_section(f"{TOP}/docs/benchmarks.md", "roundtrip", text)


# --- the check ---

def compiler_of(program):
    """What a binary was built with, as far as that changes how many instructions it needs."""
    text = subprocess.run(["readelf", "-p", ".comment", program], capture_output=True, text=True,
                          check=True).stdout
    found = re.search(r"\] +(GCC|.*clang)\D*?([\d.]+)", text.split("\n", 2)[2])
    name = "clang" if "clang" in text else "gcc"
    version = re.findall(r"(\d+\.\d+\.\d+)", text)[-1] if found else "unknown"
    log = os.path.join(os.path.dirname(program), "..", "config.log")
    flags = ""
    if os.path.exists(log):
        with open(log, encoding="utf-8") as f:
            flags = "\n".join(re.findall(r"^(?:CFLAGS|PGWEIR_LTO)=.*", f.read(), re.MULTILINE))
    lto = "lto" if "-flto" in flags else "nolto"
    return f"{os.uname().machine} {name}-{version} {lto}"


def read_baseline():
    with open(BASELINE, encoding="utf-8") as f:
        lines = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
    return {(line[0], line[1]): int(line[2]) for line in lines}


def write_baseline(figures):
    with open(BASELINE, encoding="utf-8") as f:
        head = [line for line in f if line.startswith("#")]
    with open(BASELINE, "w", encoding="utf-8") as f:
        f.writelines(head)
        f.writelines(f"{compiler}\t{mode}\t{n}\n" for (compiler, mode), n in sorted(figures.items()))


def least(program, mode, enough):
    """The least of several counts; no further one once it is as small as that."""
    found = count(Counted, (program,), mode)
    for _ in range(TRIES - 1):
        if found.instructions <= enough:
            break
        found = min(found, count(Counted, (program,), mode))
    return found


def judge(mode, counts, before):
    """Tells the figures; True if they are good."""
    n = round(counts.instructions)
    good = round(counts.allocations, 1) == 0
    told = f"{mode}: {n} instructions a transaction, {counts.allocations:.2f} allocations"
    if before is not None:
        rise = n / before - 1
        good = good and rise <= RISE_MAX
        told += f"; {before} are recorded ({100 * rise:+.1f} %, at most {100 * RISE_MAX:+.0f} %)"
    print(("" if good else "FAILED: ") + told)
    return good


def check(program, record):
    compiler, known = compiler_of(program), read_baseline()
    results = {mode: least(program, mode, 0 if record else
                           known.get((compiler, mode), 0) * (1 + RISE_MAX))
               for mode in rig.MODES}
    good = [judge(mode, counts, None if record else known.get((compiler, mode)))
            for mode, counts in results.items()]
    missing = {(compiler, mode): round(counts.instructions) for mode, counts in results.items()
               if record or (compiler, mode) not in known}
    if missing:
        write_baseline({**known, **missing})
    if missing and not record:
        print(f"SKIPPED: NO INSTRUCTIONS ARE RECORDED FOR {compiler.upper()}. They have been added "
              f"to {os.path.relpath(BASELINE, TOP)}: look at them, and commit it.")
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    return all(good)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="+", metavar="NAME=PGWEIR")
    for flag in ("check", "record", "write"):
        parser.add_argument(f"--{flag}", action="store_true")
    args = parser.parse_args()
    if args.check or args.record:
        sys.exit(0 if check(os.path.abspath(args.binaries[0]), args.record) else 1)
    compare(args.binaries, args.write)


if __name__ == "__main__":
    main()
