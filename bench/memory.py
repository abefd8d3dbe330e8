#!/usr/bin/python3
"""Count pgweir's memory for an idle client: logged in, served once, and quiet since.

What is counted is the growth of the process's anonymous memory (RssAnon), allocator and all, from
half of the clients to all of them, so that what grows by steps is there already. The kernel's own
for a socket is not in it. The last line tells how many cases are within their bounds.
"""
import argparse
import functools
import os
import resource
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import rig  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc, uring  # noqa: E402  pylint: disable=wrong-import-position

AT_MOST = 768
POOL = 20


def bytes_for_each(path, contender, clients):
    """Of one that runs and that has no clients."""
    with rig.Drive(path, contender.target, clients // 2, "simple") as first:
        first.order(f"count {clients}")
        half = proc.status_kib(contender.pid, "RssAnon")
        with rig.Drive(path, contender.target, clients - clients // 2, "simple") as rest:
            rest.order(f"count {clients}")
            whole = proc.status_kib(contender.pid, "RssAnon")
    return (whole - half) * 1024 / (clients - clients // 2)


def count(make, path, clients):
    """Of a contender that make() gives."""
    contender = make()
    try:
        contender.start()
        return bytes_for_each(path, contender, clients)
    finally:
        contender.stop()


def raise_fd_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="PGWEIR")
    parser.add_argument("--clients", type=int, default=5000)
    args = parser.parse_args()
    raise_fd_limit()
    good, program = [], os.path.abspath(args.binary)
    engines = [contenders.Pgweir] if uring.why_not() else [contenders.Pgweir, contenders.PgweirUring]
    for engine in engines:
        with rig.folder() as path, rig.fake_server(path) as back:
            n = count(functools.partial(engine, path, back, POOL, program), path, args.clients)
        good.append(n <= AT_MOST)
        print(f"{'' if good[-1] else 'FAILED: '}{args.clients} idle clients, {engine.name}: "
              f"{n:.0f} bytes for each, at most {AT_MOST}", flush=True)
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
