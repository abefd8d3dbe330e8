#!/usr/bin/python3
"""Count the system calls that pgweir makes for a transaction, with strace, and hold them against what
they may be at most. One worker on each engine, bench/drive.c in front, bench/fakepg.c behind. With
io_uring a turn of the loop, which SHOW WORKERS counts, is to be one call.

The last line tells how many cases are within their bounds.
"""
import argparse
import itertools
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test", f"{TOP}/test/integration"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import pgwire  # noqa: E402  pylint: disable=wrong-import-position
import rig  # noqa: E402  pylint: disable=wrong-import-position
from rawclient import RawClient  # noqa: E402  pylint: disable=wrong-import-position
from tools import uring  # noqa: E402  pylint: disable=wrong-import-position

TRANSACTIONS = 3000
POOL = 20
CLIENTS = (1, 16, 100)  # a lone one; those that have a server each; those that stand in line
AT_MOST = {1: 6.0, 16: 4.2, 100: 4.2}
BATCHED_AT_MOST = {1: 6.0, 16: 2.6, 100: 2.6}  # where the sends of a turn go with one io_submit
URING_AT_MOST = {1: 2.0, 16: 0.6, 100: 0.6}
TURN_AT_MOST = 1.02  # of io_uring_enter
SLACK = 0.1  # for what comes by the clock, of which a busy machine has more for a transaction
LOGINS = 100
LOGIN_AT_MOST = {False: 25, True: 14}  # on epoll, 22 to 24 as messages come together; on io_uring
MEGABYTES = 32
PER_MEGABYTE = 40  # calls; a relay that moves 64 KiB at a time needs 32
# A socket that has been quiet for long is asked whether it is still there (net/engine.h): by the
# clock, and only because strace makes a transaction take that long.
BY_THE_CLOCK = "getsockopt"
NEVER = ("epoll_ctl", "timerfd_settime", "timerfd_create", "futex", "eventfd2")


def worker_thread(pid):
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as f:
            if f.read() == "worker-0\n":
                return tid
    return str(pid)  # not pgweir's


class OnEpoll(contenders.Pgweir):
    more = contenders.Pgweir.more + contenders.ADMIN


class OnUring(contenders.PgweirUring):
    more = contenders.PgweirUring.more + contenders.ADMIN


class NotAllowed(Exception):
    """strace may not do its work here, as in some containers."""


class Strace:
    """Counts the calls of one thread."""

    def __init__(self, tid, path):
        self.path = path
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["strace", "-c", "-U", "calls,errors,name", "-o", path, "-p", tid],
            stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if "attached" not in line:
            raise NotAllowed(line.strip())

    def stop(self):
        """{call: (calls, errors)}"""
        self.process.terminate()
        self.process.wait(30)
        self.process.stderr.close()
        found = {}
        with open(self.path, encoding="ascii") as f:
            for line in f:
                words = re.fullmatch(r"\s*(\d+)\s+(\d+)?\s+(\w+)\s*", line)
                if words and words.group(3) not in ("total", BY_THE_CLOCK):
                    found[words.group(3)] = (int(words.group(1)), int(words.group(2) or 0))
        return found


def count(path, pgweir, mode, clients, look=lambda: None):
    """Calls and errors for each transaction, by call. `look` is called before and after."""
    with rig.Drive(path, pgweir.target, clients, mode) as drive:
        drive.order(f"count {10 * clients + 200}")  # servers are open, statements known
        look()
        strace = Strace(worker_thread(pgweir.pid), f"{path}/strace")
        drive.order(f"count {TRANSACTIONS}")
        counts = strace.stop()
        look()
    return {name: [n / TRANSACTIONS for n in pair] for name, pair in counts.items()}


def count_with_turns(path, pgweir, mode, clients):
    """(What count returns, turns of the loop for each transaction)"""
    turns = []
    counts = count(path, pgweir, mode, clients, lambda: turns.append(pgweir.of_workers("turns")))
    return counts, (turns[1] - turns[0]) / TRANSACTIONS


def log_in(pgweir):
    """Connect, prove with SCRAM, ask once, close."""
    with RawClient(int(pgweir.target), timeout=60) as client:
        client.login(contenders.USER, contenders.PASSWORD)
        client.query("SELECT 1").check()


def count_logins(path, pgweir):
    """Calls for each login."""
    for _ in range(10):
        log_in(pgweir)  # a server is open, the keys are known
    strace = Strace(worker_thread(pgweir.pid), f"{path}/strace")
    for _ in range(LOGINS):
        log_in(pgweir)
    counts = strace.stop()
    return sum(calls for calls, _ in counts.values()) / LOGINS


def judge_logins(kind, program):
    with rig.folder() as path, rig.fake_server(path) as back:
        pgweir = kind(path, back, POOL, program, front="scram")
        try:
            pgweir.start()
            calls = count_logins(path, pgweir)
        finally:
            pgweir.stop()
    good = calls <= LOGIN_AT_MOST[kind.is_uring]
    print(f"{'' if good else 'FAILED: '}{kind.name}: connect, SCRAM, SELECT 1, close: {calls:.1f} "
          f"calls, at most {LOGIN_AT_MOST[kind.is_uring]}", flush=True)
    return good


def count_rows(path, pgweir):
    """Calls for each megabyte of rows of a megabyte."""
    with rig.Drive(path, pgweir.target, 1, "simple", f"bulk {1 << 20}") as drive:
        drive.order("count 2")
        strace = Strace(worker_thread(pgweir.pid), f"{path}/strace")
        drive.order(f"count {MEGABYTES}")
        counts = strace.stop()
    return sum(calls for calls, _ in counts.values()) / MEGABYTES


def count_copy(path, pgweir):
    """The same of COPY data that comes in messages of 8 KiB, as libpq sends them."""
    data = pgwire.copy_data(b"x" * 8192) * 128
    with RawClient(int(pgweir.target), timeout=120) as client:
        client.login(contenders.USER)
        client.send(pgwire.query("COPY sink FROM STDIN"))
        client.read_until("G")
        strace = Strace(worker_thread(pgweir.pid), f"{path}/strace")
        for _ in range(MEGABYTES):
            client.send(data)
        client.run(pgwire.COPY_DONE).check()
        counts = strace.stop()
    return sum(calls for calls, _ in counts.values()) / MEGABYTES


def judge_bulk(what, calls):
    good = calls <= PER_MEGABYTE
    print(f"{'' if good else 'FAILED: '}{what}: {calls:.1f} calls for each megabyte, at most "
          f"{PER_MEGABYTE}", flush=True)
    return good


def bounds(counts):
    if "io_uring_enter" in counts:
        return URING_AT_MOST
    return BATCHED_AT_MOST if "io_submit" in counts else AT_MOST


def faults(counts, turns, clients):
    """What is above its bound. `turns`: for each transaction."""
    a_turn = counts.get("io_uring_enter", [0])[0] / turns
    total = sum(calls for calls, _ in counts.values())
    at_most = bounds(counts)[clients]
    if a_turn > TURN_AT_MOST:
        yield f"{a_turn:.2f} io_uring_enter for each turn, at most {TURN_AT_MOST}"
    if total > at_most + SLACK:
        yield f"{total:.2f} calls, at most {at_most}"
    for name, (calls, errors) in counts.items():
        if name in NEVER and calls > SLACK:
            yield f"{calls:.2f} {name}"
        if errors > SLACK:
            yield f"{errors:.2f} {name} for nothing"


def judge(what, clients, counts, turns):
    found = list(faults(counts, turns, clients))
    told = ", ".join(f"{name} {calls:.2f}" for name, (calls, _) in
                     sorted(counts.items(), key=lambda item: -item[1][0]) if calls >= 0.005)
    print(f"{'FAILED: ' if found else ''}{what}, {clients} clients on {POOL} servers: "
          f"{sum(c for c, _ in counts.values()):.2f} ({told}){'; ' if found else ''}"
          f"{'; '.join(found)}", flush=True)
    return not found


def count_all(kind, program):
    """Whether each case is within its bounds."""
    engine = "io_uring" if kind.is_uring else "epoll"
    with rig.folder() as path, rig.fake_server(path) as back:
        pgweir = kind(path, back, POOL, program)
        try:
            pgweir.start()
            for mode, clients in itertools.product(rig.MODES, CLIENTS):
                yield judge(f"{engine}: {mode}", clients,
                            *count_with_turns(path, pgweir, mode, clients))
            yield judge_bulk(f"{engine}: rows", count_rows(path, pgweir))
            yield judge_bulk(f"{engine}: COPY FROM STDIN", count_copy(path, pgweir))
        finally:
            pgweir.stop()
    yield judge_logins(kind, program)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="PGWEIR")
    program = os.path.abspath(parser.parse_args().binary)
    good, why_not = [], uring.why_not()
    if why_not:
        print(f"SKIPPED: NOT COUNTED ON io_uring: {why_not}")
    try:
        for kind in (OnEpoll,) if why_not else (OnEpoll, OnUring):
            good += count_all(kind, program)
    except NotAllowed as e:
        print(f"SKIPPED: SYSTEM CALLS ARE NOT COUNTED, for strace says: {e}")
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
