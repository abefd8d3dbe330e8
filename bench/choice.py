#!/usr/bin/python3
"""Count the instructions that pgweir spends on where a unit goes, with valgrind's callgrind: the
verdict (judge_unit) and the choice of a node (pick_pool), in the daemon itself, of a database with a
primary and two replicas.

Each statement is sent a few times and many more times, with another number in it each time: the
difference is what the units cost. Exits with 1 if memory is allocated for one.

    choice.py PGWEIR [--write]   the table; --write puts it in docs/benchmarks.md
    choice.py PGWEIR --check     none of them may cost 3,000 instructions, and none may cost memory
"""
import argparse
import glob
import os
import shutil
import signal
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/bench", f"{TOP}/test"]

import psycopg2  # noqa: E402

import classify  # noqa: E402  pylint: disable=wrong-import-position
import contenders  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
import roundtrip  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc  # noqa: E402  pylint: disable=wrong-import-position
from tools.cluster import Cluster  # noqa: E402  pylint: disable=wrong-import-position

FEW, MANY = 100, 1100
BOUND = 3000  # instructions, of 200 bytes or fewer; longer statements may cost as much more
LEAST = 500  # a figure below this means that nothing was counted
STATEMENTS = ("pgbench's select", "pgbench's update", "a join", "Django's", "with FOR UPDATE",
              "with E'…'", "nextval in INSERT", "EXPLAIN")
TABLES = """
    CREATE TABLE users (id int, name text, email text);
    CREATE TABLE orders (id int, user_id int, total int, status text, created_at timestamptz,
                         updated_at timestamptz, note text);
    CREATE SEQUENCE orders_id_seq;
    CREATE TABLE app_user (id int, username text, email text, is_active bool);
    GRANT ALL ON users, orders, app_user, orders_id_seq TO {user};"""


class Routed(contenders.Pgweir):
    """pgweir under callgrind, which counts inside two functions only."""

    more = f"workers = 1\nio_engine = epoll\nmonitor_user = {contenders.USER}\n"

    def __init__(self, folder, nodes, program):
        super().__init__(folder, contenders.Back(nodes[0].port), 20, program)
        self.nodes = nodes

    def write(self, name, text):
        ports = ",".join(str(n.port) for n in self.nodes)
        hosts = ",".join("127.0.0.1" for _ in self.nodes)
        return super().write(name, text.replace(f"host=127.0.0.1 port={self.back.port}",
                                                f"host={hosts} port={ports} max_lag=60"))

    def command(self):
        return ["valgrind", "--tool=callgrind", "--separate-threads=yes", "--collect-atstart=no",
                "--toggle-collect=judge_unit*", "--toggle-collect=pick_pool*",
                f"--callgrind-out-file={self.folder}/out", *super().command()]

    def stop(self):
        """Counts of the worker: of the thread that counted most."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)
        self.process = None
        return max(roundtrip.read_counts(path) for path in glob.glob(f"{self.folder}/out-*"))


def wait_for_replicas(cur):
    """The client judges something, so that the catalog is loaded, and has written nothing."""
    def routed():
        cur.execute("EXPLAIN ROUTE SELECT 1")
        return "(replica_" in str(cur.fetchall())
    while not routed():  # seldom: this is counted, too
        time.sleep(1)


def run_once(folder, cluster, program, statement, times):
    os.makedirs(folder)
    proc.give_to_service_user(folder)
    pgweir = Routed(folder, cluster.nodes, program)
    try:
        pgweir.start()
        conn = psycopg2.connect(host="127.0.0.1", port=pgweir.port, user=contenders.USER,
                                dbname=contenders.USER)
        conn.autocommit = True
        cur = conn.cursor()
        wait_for_replicas(cur)
        for i in range(times):
            cur.execute(statement.replace("#", str(100_000 + i)))
        conn.close()
    finally:
        counts = pgweir.stop()
    return counts


def count(folder, cluster, program, name):
    """(bytes, instructions, allocations) of one unit."""
    statement = classify.STATEMENTS[name]
    few, many = (run_once(f"{folder}/{n}", cluster, program, statement, n) for n in (FEW, MANY))
    return (len(statement) + 5, (many.instructions - few.instructions) / (MANY - FEW),
            round((many.allocations - few.allocations) / (MANY - FEW), 1))


def is_good(row):
    length, instructions, allocated = row
    return LEAST < instructions < BOUND * max(length, 200) / 200 and allocated == 0


def count_well(folder, cluster, program, name):
    """The same, and once more if it is too much: what comes by the clock only adds."""
    rows = []
    while len(rows) < roundtrip.TRIES and not any(is_good(row) for row in rows):
        rows.append(count(f"{folder}.{len(rows)}", cluster, program, name))
    return min(rows, key=lambda row: (not is_good(row), row[1]))


def table(rows):
    lines = ["| statement | bytes | verdict and choice |", "|---|--:|--:|"]
    lines += [f"| {name} | {length} | {instructions:,.0f} |"
              for name, (length, instructions, _) in rows.items()]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", metavar="PGWEIR")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="pgweir-choice-", dir="/tmp")
    os.chmod(folder, 0o755)
    proc.give_to_service_user(folder)
    hba = [f"host all {contenders.USER} 127.0.0.1/32 trust"]
    try:
        with Cluster(f"{folder}/pg", 2, hba=hba) as cluster:
            cluster.create_user(contenders.USER, contenders.USER)
            cluster.create_database(contenders.USER, contenders.USER, 1)
            cluster.primary.sql(TABLES.format(user=contenders.USER), contenders.USER)
            cluster.primary.sql(f"GRANT pg_monitor TO {contenders.USER}")
            cluster.wait_caught_up()
            rows = {name: count_well(f"{folder}/{i}", cluster, args.program, name)
                    for i, name in enumerate(STATEMENTS)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = table(rows)
    print(text)
    if args.write:
        report.write_section(f"{TOP}/docs/benchmarks.md", "choice", text)
    bad = [name for name, row in rows.items() if not is_good(row)]
    for name in bad:
        print(f"FAILED: {name}: {rows[name][1]:,.0f} instructions, {rows[name][2]} allocations; "
              f"less than {BOUND:,} and none are wanted")
    if args.check:
        print(f"{len(rows) - len(bad)} passed, {len(bad)} failed")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
