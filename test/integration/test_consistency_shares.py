"""How many reads replicas still serve while the same database is written to: the figures of
docs/benchmarks.md. Three clients read as fast as they can, one writes at a rate."""
import os
import threading
import time

import pytest
from test_consistency import run_threads
from where import wait_routing, where_fixture

SCALE = float(os.environ.get("PGWEIR_PROOF_SCALE", "1"))
SECONDS = 2 * SCALE
RATES = [0, 10, 100, 1000]
# Of the reads at that many writes a second, at least so many percent must be on replicas; what
# asks for others' writes has nothing to promise where somebody always writes.
LEAST = {"eventual": [90, 90, 90, 80], "session": [90, 90, 90, 80],
         "database": [90, 20, 0, 0], "strong": [70, 50, 10, 0]}


where = where_fixture("site")


def route_counts(pooler):
    primary = f":{pooler.site.cluster.primary.port}"
    rows = [r for r in pooler.show("ROUTES") if r["verdict"] == "read"]
    replicas = sum(int(r["units"]) for r in rows if not r["node"].endswith(primary))
    return replicas, sum(int(r["units"]) for r in rows)


def write(pooler, table, rate, end):
    """So many writes a second, on a connection of their own."""
    n = 0
    with pooler.raw() as client:
        begun = time.monotonic()
        while not end.is_set() and rate:
            n += 1
            client.query(f"UPDATE {table} SET n = {n}").check()
            pause = begun + n / rate - time.monotonic()
            if pause > 0:
                end.wait(pause)
    return n


@pytest.mark.parametrize("mode", list(LEAST))
def test_replicas_serve_reads_at_each_rate_of_writes(site, where, new_table, mode):
    table = new_table("n int")
    site.cluster.primary.sql(f"INSERT INTO {table} VALUES (0)", "app")
    site.cluster.wait_caught_up()
    with site.pgweir_routed(f"consistency={mode}", settings={"default_pool_size": 10}) as p:
        wait_routing(p, where)
        for rate, least in zip(RATES, LEAST[mode]):
            reads, waits, end, writes = [0] * 3, [0.0] * 3, threading.Event(), [0]

            def work(me):
                if me == 3:
                    writes[0] = write(p, table, rate, end)
                    return
                with p.raw() as client:
                    deadline = time.monotonic() + SECONDS
                    while time.monotonic() < deadline:
                        begun = time.monotonic()
                        client.query(f"SELECT n FROM {table}").check()
                        waits[me] += time.monotonic() - begun
                        reads[me] += 1
                end.set()
            before = route_counts(p)
            run_threads(4, work)
            after = route_counts(p)
            share = 100 * (after[0] - before[0]) / (after[1] - before[1])
            print(f"{mode}, {writes[0] / SECONDS:.0f} writes/s (of {rate}): {share:.0f} % of"
                  f" {sum(reads) / SECONDS:.0f} reads/s on replicas,"
                  f" {sum(waits) / sum(reads) * 1e3:.2f} ms each")
            assert share >= least
