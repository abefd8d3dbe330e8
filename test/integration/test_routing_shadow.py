"""routing = shadow: everything on the primary, and SHOW ROUTES tells what would be."""
from collections import Counter

import pgwire
import pytest
from tools import proc
from where import wait_replica_read, where_fixture


where = where_fixture("site")


def wait_nodes(pooler):
    proc.wait_until("three nodes", lambda: [r["health"] for r in pooler.show("NODES")] == ["up"] * 3,
                    20 * pooler.slow, 0.1)


def rows_of(pooler, **match):
    return [r for r in pooler.show("ROUTES") if all(r[k] == v for k, v in match.items())]


def test_shadow_runs_all_on_the_primary_and_counts_what_would_be(site, where):
    primary = f"127.0.0.1:{site.cluster.primary.port}"
    with site.pgweir_routed("routing=shadow max_lag=10s") as p, p.raw() as client:
        wait_nodes(p)
        wait_would_be_a_replica(p, client)
        before = sum(int(r["units"]) for r in rows_of(p, reason="replica_ok"))
        for _ in range(20):
            assert where.of(client) == "primary"
        assert where.of(client, "SELECT * FROM pgbench_branches FOR UPDATE") == "primary"
        would = [r for r in rows_of(p, mode="shadow", verdict="read")
                 if r["reason"] == "replica_ok"]
        assert sum(int(r["units"]) for r in would) >= before + 20
        assert all(r["node"] != primary and int(r["server_time"]) > 0 for r in would)
        writes = rows_of(p, verdict="write", reason="write")
        assert [r["node"] for r in writes] == [primary]
        assert not rows_of(p, mode="on")
        # a block that would run on a replica
        client.query("BEGIN READ ONLY").check()
        assert where.of(client) == "primary"
        client.query("COMMIT").check()
        p.databases["app"] = p.databases["app"].replace("routing=shadow", "routing=on")
        p.reload()
        wait_replica_read(client, where)
        assert rows_of(p, mode="on") and not rows_of(p, mode="shadow"), "counted anew"


def wait_would_be_a_replica(pooler, client):
    def would():
        client.query("SELECT 1").check()
        return rows_of(pooler, reason="replica_ok", mode="shadow")
    proc.wait_until("a read that would go to a replica", would, 10 * pooler.slow, 0.05)


def test_shadow_of_strong_reads_does_not_wait(site, where):
    with site.pgweir_routed("routing=shadow consistency=strong max_lag=10s") as p, \
            p.raw() as client:
        wait_nodes(p)
        wait_would_be_a_replica(p, client)
        assert where.of(client) == "primary"


# What a client says in turn, and how many of its units run on a replica: on one with routing = on,
# on none with shadow, which counts the same.
WRITE = "UPDATE pgbench_branches SET bbalance = bbalance"
READ = "SELECT count(*) FROM pgbench_branches"
SCRIPTS = {
    "lone reads": ([READ, "VALUES (1)", READ], 3),
    "a lone write": ([READ, WRITE, READ], 2),
    "what must not be read on a replica": (["SELECT pg_is_in_recovery()", READ], 1),
    "READ ONLY": (["BEGIN READ ONLY", READ, "SAVEPOINT a", "SELECT now()", "ROLLBACK TO a",
                   "SET LOCAL work_mem = '5MB'", "SHOW work_mem", "COMMIT", READ], 8),
    "READ ONLY twice": (["BEGIN READ ONLY", READ, "COMMIT AND CHAIN", READ, "ROLLBACK"], 4),
    "READ ONLY moves": (["BEGIN READ ONLY", READ, READ, "DECLARE c CURSOR FOR SELECT 1",
                         "FETCH c", READ, "COMMIT", READ], 3),
    "READ ONLY moves at once": (["BEGIN READ ONLY", "DECLARE c CURSOR FOR SELECT 1", READ,
                                 "COMMIT", READ], 1),
    "READ ONLY is bound": (["/* pgweir: replica */ BEGIN READ ONLY", READ,
                            "DECLARE c CURSOR FOR SELECT 1", "FETCH c", READ, "COMMIT"], 5),
    "a snapshot": (["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", READ,
                    "DECLARE c CURSOR FOR SELECT 1", "FETCH c", READ, "COMMIT"], 5),
    "it only reads": (["BEGIN", READ, "SAVEPOINT a", READ, "RELEASE a", "COMMIT"], 5),
    "it reads, then writes": (["BEGIN", READ, READ, WRITE, READ, "COMMIT", READ], 3),
    "it asks the time": (["BEGIN", READ, "SELECT now()", READ, "ROLLBACK"], 1),
    "it asks for the primary": (["BEGIN", READ, "/* pgweir: primary */ SELECT 1", READ, "COMMIT"],
                                1),
    "it writes at once": (["BEGIN", WRITE, READ, "COMMIT", READ], 1),
}
ON_REPLICAS = ("replica_ok", "replica_stays")  # the last read was on that replica


@pytest.fixture(scope="module", name="both")
def both_modes(site):
    """One daemon with the same nodes twice: database `app` is in shadow, `on` is not."""
    usual = "dbname=app transaction_reads=replica consistency=eventual max_lag=10s"
    nodes = site.app_on(site.cluster.nodes, usual)["app"]
    with site.pgweir({"app": f"{nodes} routing=shadow", "on": f"{nodes} routing=on"},
                     settings={"workers": 1}) as p:
        wait_nodes(p)
        for database in ("app", "on"):
            with p.raw(database=database) as client:
                proc.wait_until("reads on a replica", lambda: one_on_a_replica(p, client, database),
                                20 * p.slow, 0.05)
        yield p


def routes(pooler, database):
    """(verdict, reason, is it a replica) of each unit so far: how many, and their µs."""
    primary = f"127.0.0.1:{pooler.site.cluster.primary.port}"
    units, us = Counter(), Counter()
    for r in rows_of(pooler, database=database):
        reason = "replica" if r["reason"] in ON_REPLICAS else r["reason"]
        key = (r["verdict"], reason, r["node"] != primary)
        units[key] += int(r["units"])
        us[key] += int(r["server_time"])
    return units, us


def counted(pooler, database, run):
    """What run() adds to the routes: units, µs."""
    units, us = routes(pooler, database)
    run()
    units_now, us_now = routes(pooler, database)
    return units_now - units, us_now - us


def on_replicas(counter):
    return sum(n for (_, _, is_replica), n in counter.items() if is_replica)


def one_on_a_replica(pooler, client, database):
    units, _ = counted(pooler, database, lambda: client.query(READ).check())
    return on_replicas(units) == 1


@pytest.mark.parametrize("name", SCRIPTS)
def test_shadow_counts_each_unit_as_it_would_run(both, name):
    script, n_replica = SCRIPTS[name]
    found = {}
    for database in ("app", "on"):
        with both.raw(database=database) as client:
            found[database], _ = counted(both, database, lambda c=client: [
                c.query(sql).check() for sql in script])
    assert found["app"] == found["on"]
    assert on_replicas(found["app"]) == n_replica


def test_shadow_tells_the_time_that_would_be_saved(both, where):
    def block():
        client.query("BEGIN READ ONLY").check()
        assert where.of(client, READ) == "primary"
        assert where.of(client, "SELECT pg_sleep(0.2)") == "primary"
        client.query("COMMIT").check()

    def moving():
        client.query("BEGIN").check()
        client.query(READ).check()
        client.query("SELECT pg_sleep(0.3)").check()
        client.query(WRITE).check()
        client.query("SELECT pg_sleep(0.4)").check()
        client.query("COMMIT").check()

    with both.raw() as client:
        units, us = counted(both, "app", block)
        assert on_replicas(us) == sum(us.values()) >= 200_000
        units, us = counted(both, "app", moving)
        assert on_replicas(units) == 2
        assert on_replicas(us) >= 300_000
        assert sum(us.values()) - on_replicas(us) >= 400_000
        assert units["write", "moved", False] == 1


def test_shadow_counts_reads_sent_at_once_one_by_one(both):
    def at_once():
        client.send(pgwire.query(READ) * 10 + pgwire.query(WRITE) + pgwire.query(READ))
        for _ in range(12):
            client.result().check()

    with both.raw() as client:
        units, _ = counted(both, "app", at_once)
    assert units == {("read", "replica", True): 11, ("write", "write", False): 1}


def test_shadow_counts_what_has_waited_for_a_server(site):
    with site.pgweir_routed("routing=shadow max_lag=10s pool_size=1 consistency=eventual "
                            "transaction_reads=replica") as p, p.raw() as holder, p.raw() as client:
        wait_nodes(p)
        wait_would_be_a_replica(p, holder)
        for script in ([READ], ["BEGIN READ ONLY", READ, "COMMIT"], ["BEGIN", READ, "COMMIT"]):
            holder.query("BEGIN").check()
            holder.query(WRITE).check()

            def waiting():
                for sql in script[:-2]:
                    client.query(sql).check()
                client.send(pgwire.query(READ))
                p.wait_show("POOLS", lambda r: r["cl_waiting"] == "1", database="app")
                holder.query("COMMIT").check()
                client.result().check()
                for sql in script[2:]:
                    client.query(sql).check()
            units, _ = counted(p, "app", waiting)
            assert units["read", "replica", True] == 1, script
            assert on_replicas(units) == max(1, len(script) - 1), script


def test_a_block_that_would_be_on_a_replica_leaves_no_mark(site):
    """Else what comes behind it would have to wait for the primary's next sample."""
    with site.pgweir_routed("routing=shadow max_lag=10s") as p, p.raw() as client:
        wait_nodes(p)
        wait_would_be_a_replica(p, client)

        def blocks():
            for _ in range(20):
                for sql in ("BEGIN READ ONLY", READ, "COMMIT"):
                    client.query(sql).check()
        units, _ = counted(p, "app", blocks)
        assert units == {("read", "replica", True): 20, ("transaction", "in_transaction", True): 20}
