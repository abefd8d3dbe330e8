#!/usr/bin/python3
"""Count pgweir's memory for an idle client: logged in, served once, and quiet since.

What is counted is the growth of the process's anonymous memory (RssAnon), allocator and all, from
half of the clients to all of them, so that what grows by steps is there already. The kernel's own
for a socket is not in it. The last line tells how many cases are within their bounds.
"""
import argparse
import os
import resource
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import rig  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc  # noqa: E402  pylint: disable=wrong-import-position

AT_MOST = 768
ENGINES = ("epoll", "auto")


def bytes_for_each(program, engine, clients):
    more = f"io_engine = {engine}\nmax_client_conn = {clients + 10}\n"
    with rig.folder() as path, rig.fake_server(path) as port:
        pgweir = rig.Counted(path, port, program, more=more)
        try:
            pgweir.start()
            with rig.Drive(path, pgweir.port, clients // 2, "simple") as first:
                first.order(f"count {clients}")
                half = proc.status_kib(pgweir.pid, "RssAnon")
                with rig.Drive(path, pgweir.port, clients - clients // 2, "simple") as rest:
                    rest.order(f"count {clients}")
                    whole = proc.status_kib(pgweir.pid, "RssAnon")
        finally:
            pgweir.stop()
    return (whole - half) * 1024 / (clients - clients // 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="PGWEIR")
    parser.add_argument("--clients", type=int, default=5000)
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    good = []
    for engine in ENGINES:
        n = bytes_for_each(os.path.abspath(args.binary), engine, args.clients)
        good.append(n <= AT_MOST)
        print(f"{'' if good[-1] else 'FAILED: '}{args.clients} idle clients, io_engine = {engine}: "
              f"{n:.0f} bytes for each, at most {AT_MOST}", flush=True)
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
