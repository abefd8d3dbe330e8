"""Nodes that refuse the LSN functions, as some managed services do."""
import pytest
from tools import proc
from where import where_fixture

where = where_fixture("own_site")

OF_REPLICAS = ["pg_last_wal_replay_lsn()"]
OF_PRIMARIES = ["pg_current_wal_insert_lsn()", "pg_walfile_name(pg_lsn)"]
IDENTITY = ["pg_control_system()"]


def run_everywhere(cluster, primary, verb, functions, who):
    primary.sql("; ".join(f"{verb} EXECUTE ON FUNCTION {f} {who} PUBLIC" for f in functions), "app")
    for node in cluster.nodes:
        if node is not primary and node.is_running():
            node.wait_caught_up(primary)


@pytest.fixture(name="refuse")
def refuse_fixture(own_site):
    """refuse(functions): nobody but the superuser may call them, until the test has ended."""
    cluster, done = own_site.cluster, []

    def refuse(functions):
        run_everywhere(cluster, cluster.primary, "REVOKE", functions, "FROM")
        done.extend(functions)
    yield refuse
    if done and cluster.primary.is_running():
        run_everywhere(cluster, cluster.primary, "GRANT", done, "TO")


def wait_up(pooler, roles):
    proc.wait_until(f"nodes to be {roles}", lambda: sorted(
        r["role"] for r in pooler.show("NODES") if r["health"] == "up") == roles,
        20 * pooler.slow, 0.1)


def check_used(pooler, where):
    """Writes and reads of `session` on the primary, those of `eventual` on replicas."""
    with pooler.raw() as client:
        assert where.of(client, "SELECT 1 FOR UPDATE") == "primary"
        assert {where.of(client) for _ in range(5)} == {"primary"}
        client.query("SET pgweir.consistency = 'eventual'").check()
        proc.wait_until("reads on replicas", lambda: where.of(client) != "primary",
                        20 * pooler.slow)
        assert "primary" not in {where.of(client) for _ in range(5)}
        client.query("SET pgweir.consistency = 'strong'").check()
        assert where.of(client) == "primary"


ALL = ["primary", "replica", "replica"]


@pytest.mark.parametrize("functions", [OF_REPLICAS, OF_PRIMARIES, IDENTITY,
                                       OF_REPLICAS + OF_PRIMARIES + IDENTITY],
                         ids=["replicas", "primary", "identity", "all"])
def test_they_serve_reads_that_may_be_old_and_a_warning_says_why(
        own_site, where, refuse, functions):
    refuse(functions)
    with own_site.pgweir_routed() as p:
        wait_up(p, ALL)
        check_used(p, where)
        p.wait_log("WARN node does not tell its position")
        assert "permission denied" in p.log_text()
        refusing = "primary" if functions == OF_PRIMARIES else "replica"
        row = next(r for r in p.show("NODES") if r["role"] == refusing)
        assert "eventual" in row["reason"]
        assert row["follows"] == "0"


def test_what_refuses_the_client_alone_is_no_reason(own_site, where, refuse):
    """The monitor may, the clients' user may not: servers are asked for their role alone."""
    refuse(OF_PRIMARIES)
    primary = own_site.cluster.primary
    for f in OF_PRIMARIES:
        primary.sql(f"GRANT EXECUTE ON FUNCTION {f} TO monitor", "app")
    own_site.cluster.wait_caught_up()
    with own_site.pgweir_routed() as p:
        wait_up(p, ALL)
        with p.raw() as client:
            assert where.of(client, "SELECT 1 FOR UPDATE") == "primary"
            proc.wait_until("reads on replicas", lambda: where.of(client) != "primary",
                            20 * p.slow)
        assert "does not tell its position" not in p.log_text()
    for f in OF_PRIMARIES:
        primary.sql(f"REVOKE EXECUTE ON FUNCTION {f} FROM monitor", "app")


def test_promotion_is_followed_without_them(own_site, where, refuse):
    """Last in this file. The old primary does not come back: nothing could tell it apart."""
    refuse(OF_REPLICAS + OF_PRIMARIES + IDENTITY)
    old, new, _ = own_site.cluster.nodes
    with own_site.pgweir_routed(settings={"query_wait_timeout": 60, "server_login_retry": 1}) as p:
        wait_up(p, ALL)
        with p.raw() as client:
            assert where.of(client, "SELECT 1 FOR UPDATE") == "primary"
            old.kill()
            new.promote()
            assert where.of(client, "SELECT 1 FOR UPDATE") == new.name
