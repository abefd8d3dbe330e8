#!/usr/bin/python3
"""How long does a query wait while many clients log in at once?

    bench/storm.py NAME=BINARY… [--clients N]

One client of bench/drive.c sends a select every 2 ms, which bench/fakepg.c answers; meanwhile
bench/storm.c logs N clients in with SCRAM, all begun at once, through one worker. A name that
begins with "pgbouncer" is PgBouncer. The user's verifier has one iteration, so that libpq asks as
fast as it can: the derivation is the clients' own otherwise, and takes longer than all that is
measured. What is told is the longest time of a query, in milliseconds, without the storm and in it,
and the storm's own time; medians of the rounds, which go turn and turn about. Only a quiet machine
gives figures: who measures has the other CPU.
"""
import argparse
import base64
import hashlib
import hmac
import os
import statistics
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import contenders  # noqa: E402  pylint: disable=wrong-import-position
import rig  # noqa: E402  pylint: disable=wrong-import-position

GUEST = "guest"  # who storms; the one that asks is trusted
RATE, SECONDS = 500, 2
STORM_AFTER_S = 0.3
SALT = b"0123456789abcdef"


def verifier(password):
    """PostgreSQL's, of one iteration."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt, stored, server = (base64.b64encode(b).decode() for b in (SALT, stored, server))
    return f"SCRAM-SHA-256$1:{salt}${stored}:{server}"


class Stormed:
    """A pooler whose guests log in with SCRAM."""

    def command(self):
        program, config = super().command()
        hba = self.write("hba", f"host all {contenders.USER} 127.0.0.1/32 trust\n"
                                f"host all {GUEST} 127.0.0.1/32 scram-sha-256\n")
        with open(f"{self.folder}/{self.name}.users", "a", encoding="utf-8") as f:
            f.write(f'"{GUEST}" "{verifier(contenders.PASSWORD)}"\n')
        with open(config, encoding="utf-8") as f:
            text = f.read()
        self.write("ini", text.replace("auth_type = trust",
                                       f"auth_type = hba\nauth_hba_file = {hba}"))
        return [program, config]


class StormedPgweir(Stormed, contenders.Pgweir):
    """… pgweir."""


class StormedUring(Stormed, contenders.PgweirUring):
    """… on the other engine."""


class StormedPgbouncer(Stormed, contenders.Pgbouncer):
    """… PgBouncer."""


def storm(path, contender, clients):
    """Seconds until all of them are in. They stay until the caller closes the process's input."""
    conninfo = (f"host=127.0.0.1 port={contender.port} user={GUEST} dbname={contenders.USER} "
                f"password={contenders.PASSWORD} sslmode=disable gssencmode=disable")
    process = subprocess.Popen(  # pylint: disable=consider-using-with
        [contenders.compile_tool("storm", path, "-I/usr/include/postgresql", "-lpq"), conninfo,
         str(clients)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found = dict(word.split("=") for word in process.stdout.readline().split())
    if int(found.get("in", 0)) != clients:
        raise RuntimeError(f"{contender.name}: a storm ended with {found}")
    return process, int(found["us"]) / 1e6


def longest_ms(drive):
    return drive.order(f"seconds {SECONDS} {RATE}")["max_us"] / 1000


def one_round(path, contender, clients):
    """(longest ms in quiet, longest ms in the storm, seconds of the storm)"""
    with rig.Drive(path, contender.target, 1, "simple") as drive:
        quiet = longest_ms(drive)
        stormed = []
        asker = threading.Thread(target=lambda: stormed.append(longest_ms(drive)))
        asker.start()
        time.sleep(STORM_AFTER_S)
        process, seconds = storm(path, contender, clients)
        asker.join()
        process.communicate()
    return quiet, stormed[0], seconds


def started(path, back, args):
    made = []
    for text in args.binaries:
        name, program = text.split("=", 1)
        kind = StormedPgbouncer if name.startswith("pgbouncer") else \
            StormedUring if name.endswith("uring") else StormedPgweir
        contender = kind(path, back, 20, os.path.abspath(program))
        contender.name = name
        contender.start()
        made.append(contender)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="+", metavar="NAME=BINARY",
                        help="NAME…uring is pgweir on io_uring")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with rig.folder() as path, rig.fake_server(path) as back:
        contenders.compile_tool("storm", path, "-I/usr/include/postgresql", "-lpq")
        made = started(path, back, args)
        try:
            rounds = [[one_round(path, c, args.clients) for c in made] for _ in range(args.rounds)]
        finally:
            for contender in made:
                contender.stop()
    print(f"| {args.clients:,} logins at once | longest query, quiet, ms | in the storm, ms "
          "| the storm, s |\n|---|--:|--:|--:|")
    for i, contender in enumerate(made):
        quiet, stormed, seconds = (statistics.median(r[i][k] for r in rounds) for k in range(3))
        print(f"| {contender.name} | {quiet:.1f} | {stormed:.1f} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
