"""routing = shadow: everything on the primary, and SHOW ROUTES tells what would be."""
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
