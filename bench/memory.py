#!/usr/bin/python3
"""Count pgweir's memory for an idle client: logged in, served once, and quiet since.

What is counted is the growth of the process's anonymous memory (RssAnon), allocator and all, from
half of the clients to all of them, so that what grows by steps is there already. The kernel's own
for a socket is not in it: kernel_kib() is for a comparison, on a machine that does nothing else.
The last line tells how many cases are within their bounds.
"""
import argparse
import contextlib
import functools
import os
import resource
import ssl
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test", f"{TOP}/test/integration"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import rig  # noqa: E402  pylint: disable=wrong-import-position
from rawclient import RawClient  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc, uring  # noqa: E402  pylint: disable=wrong-import-position
from tools.certs import Authority  # noqa: E402  pylint: disable=wrong-import-position

AT_MOST = {"plain": 768, "tls": 16384}
TLS_CLIENTS = 1000
POOL = 20
FDS_ELSE = 500  # descriptors of a process that has clients


def kernel_kib():
    """Of all the machine: what the kernel has for itself, sockets too."""
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Slab:"))


def used(contender):
    """(its own, the kernel's) in KiB, when nothing has happened for a while."""
    time.sleep(contender.settles_s)
    return (proc.status_kib(contender.pid, "RssAnon") if contender.pid else 0), kernel_kib()


def both_for_each(path, contender, clients):
    """(its own bytes, the kernel's for both ends of the connection) of one that runs and that has
    no clients."""
    with rig.Drive(path, contender.target, clients // 2, "simple") as first:
        first.order(f"count {clients}")
        half = used(contender)
        with rig.Drive(path, contender.target, clients - clients // 2, "simple") as rest:
            rest.order(f"count {clients}")
            whole = used(contender)
    return tuple((w - h) * 1024 / (clients - clients // 2) for w, h in zip(whole, half))


def bytes_for_each(path, contender, clients):
    return both_for_each(path, contender, clients)[0]


def tls_bytes_for_each(_, contender, clients):
    """The same of clients over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.ExitStack() as stack:
        rss = []
        for _ in range(2):
            for _ in range(clients // 2):
                client = stack.enter_context(RawClient(contender.port, timeout=60))
                client.request_tls(context).login(contenders.USER)
                assert client.query("SELECT 1").check().kinds == "TDCZ"
            rss.append(used(contender)[0])
    return (rss[1] - rss[0]) * 1024 / (clients // 2)


def count(make, path, clients, measure=bytes_for_each):
    """Of a contender that make() gives."""
    contender = make()
    try:
        contender.start()
        return measure(path, contender, clients)
    finally:
        contender.stop()


def count_tls(kind, more, clients):
    """Of one of this class, with these arguments."""
    with rig.folder() as path, rig.fake_server(path) as back:
        back.certificate = Authority(f"{path}/ca").issue("memory")
        for name in back.certificate:
            proc.give_to_service_user(name)
        make = functools.partial(kind, path, back, POOL, *more, front="tls")
        return count(make, path, clients, tls_bytes_for_each)


def judge(what, clients, front, n):
    good = n <= AT_MOST[front]
    print(f"{'' if good else 'FAILED: '}{clients} idle clients, {what}: {n:.0f} bytes for each, at "
          f"most {AT_MOST[front]}", flush=True)
    return good


def raise_fd_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def at_most(clients):
    """So many clients, or what the limit on descriptors allows."""
    return min(clients, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - FDS_ELSE)


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
        good.append(judge(engine.name, args.clients, "plain", n))
    with rig.folder() as path, rig.fake_server(path) as back:
        back.certificate = Authority(f"{path}/ca").issue("memory")
        for name in back.certificate:
            proc.give_to_service_user(name)
        make = functools.partial(contenders.Pgweir, path, back, POOL, program, front="tls")
        n = count(make, path, TLS_CLIENTS, tls_bytes_for_each)
        good.append(judge("TLS", TLS_CLIENTS, "tls", n))
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
