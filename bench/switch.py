#!/usr/bin/python3
"""What a setting costs in CPU time: one pgweir without it and one with it, turn and turn about.

    bench/switch.py PGWEIR query_stats=0 query_stats=1
    bench/switch.py PGWEIR routing=off routing=on --replicas 2

bench/drive.c in front, bench/fakepg.c behind (or a real primary with replicas), both daemons all
the time, one loaded at a time and in changing order; CPU is the user and system time of all their
threads, and the ratio is taken within a round. Several settings are joined by commas. Callgrind
counts the same without noise (bench/roundtrip.py), but not the kernel's share, of which this is a
part.
"""
import argparse
import contextlib
import os
import statistics
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import load  # noqa: E402  pylint: disable=wrong-import-position
import rig  # noqa: E402  pylint: disable=wrong-import-position
from tools import uring  # noqa: E402  pylint: disable=wrong-import-position
from tools.cluster import Cluster  # noqa: E402  pylint: disable=wrong-import-position

POOL = 20
CLIENTS = 16


class Set(contenders.Pgweir):
    """With settings, on an engine; a server of `back.nodes` is a host of the database."""

    def __init__(self, folder, back, program, engine, settings):
        super().__init__(folder, back, POOL, program)
        lines = "".join(f"{s.replace('=', ' = ')}\n" for s in settings.split(","))
        self.more = (f"workers = 1\nio_engine = {engine}\nmonitor_user = {contenders.USER}\n"
                     f"max_lag = 60s\n{lines}")

    def write(self, name, text):
        ports = ",".join(str(port) for port in self.back.ports)
        hosts = ",".join("127.0.0.1" for _ in self.back.ports)
        return super().write(name, text.replace(f"host=127.0.0.1 port={self.back.port}",
                                                f"host={hosts} port={ports}"))


@contextlib.contextmanager
def servers(path, n_replicas):
    """What both daemons are in front of."""
    if n_replicas == 0:
        with rig.fake_server(path) as back:
            back.ports = [back.port]
            yield back
        return
    hba = [f"host all {contenders.USER} 127.0.0.1/32 trust"]
    with Cluster(f"{path}/pg", n_replicas, hba=hba) as cluster:
        cluster.create_user(contenders.USER, contenders.USER)
        cluster.create_database(contenders.USER, contenders.USER, 1)
        cluster.primary.sql(f"GRANT pg_monitor TO {contenders.USER}")
        cluster.wait_caught_up()
        back = contenders.Back(cluster.primary.port)
        back.ports = [node.port for node in cluster.nodes]
        yield back


def spent(daemon, drive, seconds):
    before = load.Spent(daemon.pid)
    done = drive.order(f"seconds {seconds}")
    return before.each(done["done"])[0]


def rounds_of(daemons, path, mode, args):
    """[CPU µs of a transaction without, with] for each round."""
    with rig.Drive(path, daemons[0].target, CLIENTS, mode) as first, \
            rig.Drive(path, daemons[1].target, CLIENTS, mode) as second:
        drives = [first, second]
        for drive in drives:
            drive.order(f"seconds {args.seconds}")
        found = []
        for n in range(args.rounds):
            each = [None, None]
            for i in (0, 1) if n % 2 == 0 else (1, 0):
                each[i] = spent(daemons[i], drives[i], args.seconds)
            found.append(each)
        return found


def compare(engine, args):
    for mode in args.modes:
        with rig.folder() as path, servers(path, args.replicas) as back:
            daemons = []
            try:
                for i, settings in enumerate((args.without, args.with_it)):
                    os.makedirs(f"{path}/{i}")
                    os.chmod(f"{path}/{i}", 0o755)
                    contenders.proc.give_to_service_user(f"{path}/{i}")
                    daemons.append(Set(f"{path}/{i}", back, args.binary, engine, settings))
                    daemons[-1].start()
                found = rounds_of(daemons, path, mode, args)
            finally:
                for daemon in daemons:
                    daemon.stop()
        ratios = sorted(b / a for a, b in found)
        print(f"| {engine} | {mode} | {statistics.median(a for a, _ in found):.2f} "
              f"| {statistics.median(b for _, b in found):.2f} "
              f"| {100 * (statistics.median(ratios) - 1):+.1f} % "
              f"| {100 * (ratios[0] - 1):+.1f} to {100 * (ratios[-1] - 1):+.1f} % |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="PGWEIR", type=os.path.abspath)
    parser.add_argument("without", metavar="KEY=VALUE,…")
    parser.add_argument("with_it", metavar="KEY=VALUE,…")
    parser.add_argument("--modes", nargs="+", default=rig.MODES, choices=rig.MODES)
    parser.add_argument("--replicas", type=int, default=0, metavar="N",
                        help="in front of a primary with so many, not of fakepg")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    args = parser.parse_args()
    print(f"| engine | mode | {args.without} | {args.with_it} | | rounds |\n|---|---|--:|--:|--:|--:|")
    for engine in ["epoll"] if uring.why_not() else ["epoll", "io_uring"]:
        compare(engine, args)


if __name__ == "__main__":
    main()
