"""What can be seen of the routing: SHOW LAG, LEARNED, CATALOG, their metrics, log lines."""
import re
import time
import urllib.request

import pytest
from tools import proc
from test_routing import is_replica
from where import wait_replica_read, wait_routing, where_fixture

HIDES = """
    CREATE FUNCTION {}(int) RETURNS bigint STABLE LANGUAGE plpgsql AS $$
    DECLARE n bigint;
    BEGIN EXECUTE 'SELECT next' || 'val(''hid' || 'den'')' INTO n; RETURN n; END $$;"""
OBJECTS = "CREATE SEQUENCE hidden; GRANT ALL ON SEQUENCE hidden TO app;" + \
    HIDES.format("liar") + HIDES.format("liar_too")
DROP = "DROP FUNCTION liar, liar_too; DROP SEQUENCE hidden"


where = where_fixture("own_site")


@pytest.fixture(scope="module")
def pooler(own_site, where):
    own_site.cluster.primary.sql(OBJECTS, "app")
    own_site.cluster.wait_caught_up()
    port = proc.free_port()
    with own_site.pgweir_routed("max_lag=10s", settings={
            "stats_port": port, "catalog_refresh_interval": "3600", "workers": 1}) as p:
        p.stats_port = port
        wait_routing(p, where)
        yield p
    own_site.cluster.primary.sql(DROP, "app")


def metrics(pooler):
    url = f"http://127.0.0.1:{pooler.stats_port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()

def value_of(text, name):
    """The sample's value; `name` with its labels as a regular expression."""
    return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1))


def count(pooler, *names):
    """Sums over all labels."""
    lines = metrics(pooler).splitlines()
    return [sum(float(line.rsplit(" ", 1)[1]) for line in lines
                if re.match(rf"{name}[ {{]", line)) for name in names]


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_a_statement_that_a_replica_refused_is_learned(pooler, where, extended):
    name = "liar_too" if extended else "liar"
    with pooler.raw() as client:
        before = count(pooler, "pgweir_learned_statements_total", "pgweir_replays_total")

        def run(n):
            return client.prepared(f"SELECT {name}({n})") if extended else \
                client.query(f"SELECT {name}({n})")
        wait_replica_read(client, where)
        first = int(run(1).value())
        rows = [r for r in pooler.show("LEARNED") if f"{name}(" in r["statement"]]
        assert len(rows) == 1 and rows[0]["database"] == "app" and rows[0]["hits"] == "1"
        for i in range(2, 6):
            wait_replica_read(client, where)
            assert int(run(i).value()) > first
        rows = [r for r in pooler.show("LEARNED") if f"{name}(" in r["statement"]]
        assert len(rows) == 1 and int(rows[0]["hits"]) >= 4, "values do not matter"
        wait_replica_read(client, where)
        assert is_replica({where.of(client)}), "others are reads as before"
        text = "\n".join(r[0] for r in client.query(f"EXPLAIN ROUTE SELECT {name}(1)").rows)
        assert "one has refused it" in text and "(write)" in text
        told = {r["source"]: r["class"] for r in pooler.show("ERRORS")
                if r["sqlstate"] == "25006"}
        assert told == {"replayed": "Invalid Transaction State"}, "no client has seen it"
        assert count(pooler, "pgweir_learned_statements") == [1]
        assert count(pooler, "pgweir_learned_statements_total", "pgweir_replays_total") == [
            n + 1 for n in before], "the first ran twice, the others at once where they belong"
        pooler.admin("RELOAD")  # the catalogs are read again
        proc.wait_until("LEARNED to be empty", lambda: not pooler.show("LEARNED"), 10, 0.1)


def test_of_what_is_learned_the_newest_are_kept(pooler, where):
    with pooler.raw(options="-c pgweir.consistency=eventual") as client:
        before = count(pooler, "pgweir_learned_statements_total")[0]
        for i in range(140):  # another name is another statement
            client.query(f"SELECT liar({i}) AS n{i}").check()
        rows = [r["statement"] for r in pooler.show("LEARNED")]
        assert len(rows) == 128 == count(pooler, "pgweir_learned_statements")[0]
        assert count(pooler, "pgweir_learned_statements_total")[0] == before + 140
        assert not any(s.endswith(" AS n0") for s in rows)
        assert any(s.endswith(" AS n139") for s in rows)
        wait_replica_read(client, where)
        client.query("SELECT liar(1) AS n0").check()  # as at first
        assert count(pooler, "pgweir_learned_statements_total")[0] == before + 141
    pooler.admin("RELOAD")
    proc.wait_until("LEARNED to be empty", lambda: not pooler.show("LEARNED"), 10, 0.1)


@pytest.mark.usefixtures("pooler")  # which has made what hides
def test_the_catalog_is_read_again_on_a_timer(own_site, where):
    """A function that changed past pgweir; nobody reloads. What was learned goes with it."""
    superuser = own_site.cluster.primary.sql
    superuser("CREATE FUNCTION calm() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'", "app")
    own_site.cluster.wait_caught_up()
    with own_site.pgweir_routed(settings={"catalog_refresh_interval": 1}) as p, p.raw() as client:
        wait_routing(p, where)
        wait_replica_read(client, where)
        assert is_replica({where.of(client, "SELECT calm()")})
        superuser("ALTER FUNCTION calm VOLATILE", "app")
        proc.wait_until("it to be known", lambda: where.of(client, "SELECT calm()") == "primary",
                        20, 0.2)
        superuser("ALTER FUNCTION calm STABLE", "app")
        proc.wait_until("it to be forgotten", lambda: is_replica(
            {where.of(client, "SELECT calm()")}), 20, 0.2)
        wait_replica_read(client, where)
        client.query("SELECT liar(1)").check()
        p.wait_log("a statement was learned to write")
        proc.wait_until("what was learned to be forgotten", lambda: not p.show("LEARNED"), 20, 0.2)
    superuser("DROP FUNCTION calm", "app")


def test_a_reload_reads_the_catalog_again(own_site, where):
    """A function that changed past pgweir, long before the timer would tell."""
    superuser = own_site.cluster.primary.sql
    superuser("CREATE FUNCTION quiet() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'", "app")
    own_site.cluster.wait_caught_up()
    with own_site.pgweir_routed(settings={"catalog_refresh_interval": 3600}) as p, \
            p.raw() as client:
        wait_routing(p, where)
        wait_replica_read(client, where)
        assert is_replica({where.of(client, "SELECT quiet()")})
        for kind in ("VOLATILE", "STABLE"):
            superuser(f"ALTER FUNCTION quiet {kind}", "app")
            own_site.cluster.wait_caught_up()
            before = is_replica({where.of(client, "SELECT quiet()")})
            assert before == (kind == "VOLATILE"), "nobody has told it"
            p.admin("RELOAD")
            # Ten times, for on a busy machine one read goes to the primary for other reasons.
            proc.wait_until("it to be known", lambda old=before: all(
                old != is_replica({where.of(client, "SELECT quiet()")}) for _ in range(10)),
                20 * p.slow, 0.1)
    superuser("DROP FUNCTION quiet", "app")


def test_show_catalog_tells_what_is_loaded(pooler):
    with pooler.raw() as client:
        client.value("SELECT 1")
    row = pooler.show_one("CATALOG", database="app")
    assert int(row["names"]) > 100 and int(row["bytes"]) > 1000 and row["all_unsafe"] == "0"
    assert row["loaded"].endswith("UTC")
    text = metrics(pooler)
    for name in ("pgweir_catalog_names", "pgweir_catalog_bytes", "pgweir_catalog_age_seconds"):
        assert f'{name}{{cluster="0",database="app"}}' in text


def test_show_lag_has_the_history_of_each_node(own_site, pooler, where):
    standby = own_site.cluster.standbys[0]
    node = f"127.0.0.1:{standby.port}"
    standby.pause_replay()
    try:
        with pooler.raw() as client:
            end = time.monotonic() + 3
            while time.monotonic() < end:
                client.query("CREATE TABLE IF NOT EXISTS lagging (a int)").check()
                client.query("INSERT INTO lagging VALUES (1)").check()
                time.sleep(0.1)
            client.query("DROP TABLE lagging").check()
    finally:
        standby.resume_replay()
    rows = [r for r in pooler.show("LAG") if r["node"] == node]
    assert 3 <= len(rows) <= 60
    assert [r["at"] for r in rows] == sorted((r["at"] for r in rows), reverse=True)
    assert max(int(r["lag_ms"]) for r in rows if r["lag_ms"]) >= 1000
    assert max(int(r["lag_bytes"]) for r in rows if r["lag_bytes"]) > 0
    primary = [r for r in pooler.show("LAG") if r["role"] == "primary"]
    assert primary and all(r["lag_ms"] is None or r["lag_ms"] == "" for r in primary)
    line = next(ln for ln in metrics(pooler).splitlines()
                if ln.startswith("pgweir_node_lag_max_seconds") and node in ln)
    assert float(line.split()[-1]) >= 1
    wait_routing(pooler, where)


def test_metrics_tell_each_state_of_a_node(own_site, pooler):
    standby = own_site.cluster.standbys[0]
    node = f'{{node="127.0.0.1:{standby.port}"}}'
    states = ("up", "down", "refused", "fenced", "blind", "silent")

    def seen():
        text = metrics(pooler)
        return [int(value_of(text, f"pgweir_node_{s}" + re.escape(node))) for s in states]
    assert seen() == [1, 0, 0, 0, 0, 0]
    standby.kill()
    proc.wait_until("it to be down", lambda: seen() == [0, 1, 0, 0, 0, 0], 10)
    standby.start()
    proc.wait_until("it to be up", lambda: seen() == [1, 0, 0, 0, 0, 0], 20)
    standby.freeze()
    proc.wait_until("it to hang", lambda: seen() == [0, 1, 0, 0, 0, 1], 20)
    standby.thaw()
    proc.wait_until("it to go on", lambda: seen() == [1, 0, 0, 0, 0, 0], 20)
    text = metrics(pooler)
    pool = f'{{database="app",user="app",node="127.0.0.1:{standby.port}"'
    assert value_of(text, "pgweir_node_ejected" + re.escape(pool + "}")) == 0
    for cause in ("errors", "latency"):
        assert value_of(text, "pgweir_node_ejections_total"
                        + re.escape(f'{pool},cause="{cause}"}}')) == 0


CHANGES = ("node is up", "node is down", "node is down from the start", "node is refused",
           "node has another role", "node is fenced", "node is fenced no more", "node is blind",
           "node is blind no more", "replica follows the primary's timeline",
           "replica is not on the primary's timeline", "primary found", "cluster has no primary",
           "timeline rose")


def without_reason(text):
    """Lines on a change of role or health that do not tell why."""
    told = [ln for ln in text.splitlines()
            if re.search(rf" (INFO|WARN|ERROR) ({'|'.join(CHANGES)}) \w+=", ln)]
    assert told
    return [ln for ln in told if not re.search(r' reason=("[^"]+"|[^-\s"]+)', ln)]


def test_each_change_of_role_or_health_is_logged_with_its_reason(own_site, pooler, where):
    cluster = own_site.cluster
    first = f"node=127.0.0.1:{cluster.primary.port}"
    pooler.wait_log('reason="its first answer"')
    pooler.wait_log(f"primary found cluster=0 {first} timeline=1 "
                    'reason="it is not in recovery, on the highest timeline"')
    standby = cluster.standbys[1]
    node = f"127.0.0.1:{standby.port}"
    standby.kill()
    pooler.wait_log(f"node is down node={node}")
    line = next(ln for ln in pooler.log_text().splitlines() if f"node is down node={node}" in ln)
    assert "reason=" in line and "reason=-" not in line
    standby.start()
    proc.wait_until("it to answer again", lambda: re.search(
        rf'node is up node={node} .*reason="it answers again"', pooler.log_text()), 20)
    proc.wait_until("it to follow again", lambda: re.search(
        rf"replica follows the primary's timeline node={node} .*reason=\"it answers again\"",
        pooler.log_text()), 20)
    wait_routing(pooler, where)
    old = cluster.primary
    old.stop("immediate")
    pooler.wait_log(f"cluster has no primary cluster=0 was=127.0.0.1:{old.port} reason=\"")
    old.start()
    wait_routing(pooler, where)
    standby.promote()
    pooler.wait_log(f"node has another role node={node}")
    pooler.wait_log(f"node is fenced node=127.0.0.1:{old.port}")
    line = next(ln for ln in pooler.log_text().splitlines() if "node is fenced node" in ln)
    assert "old timeline" in line
    pooler.wait_log(f"primary found cluster=0 node={node} timeline=2 "
                    'reason="it is not in recovery, on a higher timeline than any before"')
    pooler.wait_log(f"replica is not on the primary's timeline "
                    f"node=127.0.0.1:{cluster.standbys[0].port} cluster=0 timeline=1 "
                    'reason="there is a higher one"')
    # the time with two primaries is counted, seen or not, and logged
    pooler.wait_log("more than one primary cluster=0 primaries=2")
    line = next(ln for ln in pooler.log_text().splitlines() if "a replica was promoted" in ln)
    unseen = int(line.split("unseen_ms=")[1].split()[0])
    assert unseen < 1000 * pooler.slow
    row = pooler.show_one("CLUSTERS", cluster="0")
    assert (row["primary"], row["timeline"], row["nodes"], row["nodes_up"]) == (node, "2", "3", "3")
    assert (row["primaries"], row["promotions"], row["doubles"]) == ("2", "1", "1")
    assert int(row["unseen_ms"]) == unseen
    old.stop("immediate")
    pooler.wait_log("one primary at most again cluster=0 lasted_ms=")
    old.start()
    proc.wait_until("it to be fenced again", lambda: pooler.show_one(
        "CLUSTERS", cluster="0")["doubles"] == "2", 20)
    old.stop("immediate")
    proc.wait_until("it to be gone again", lambda: pooler.show_one(
        "CLUSTERS", cluster="0")["primaries"] == "1", 20)
    proc.wait_until("it to be fenced no more", lambda: re.search(
        rf'node is fenced no more node=127.0.0.1:{old.port} .*reason="?\w', pooler.log_text()), 20)
    assert without_reason(pooler.log_text()) == []
    row = pooler.show_one("CLUSTERS", cluster="0")
    text = metrics(pooler)
    old.start()
    label = re.escape('{cluster="0"}')
    assert int(row["double_ms"]) > 0
    assert value_of(text, "pgweir_cluster_primaries" + label) == 1
    assert value_of(text, "pgweir_cluster_timeline" + label) == 2
    assert value_of(text, "pgweir_cluster_promotions_total" + label) == 1
    assert value_of(text, "pgweir_cluster_double_primaries_total" + label) == 2
    assert abs(value_of(text, "pgweir_cluster_double_primary_seconds_total" + label) * 1000
               - int(row["double_ms"])) < 2
    assert abs(value_of(text, "pgweir_cluster_promotion_unseen_seconds_total" + label) * 1000
               - unseen) < 2


def test_what_is_wrong_with_a_node_at_the_start_or_after_a_refusal_is_logged(own_site):
    """It has never been up, so it has not gone down; but why it is not there is told."""
    nodes = list(own_site.cluster.nodes)
    gone = proc.free_port()
    with own_site.pgweir({"app": f"host=127.0.0.1,127.0.0.1 port={nodes[1].port},{gone} "
                                 "dbname=app"}) as p:
        p.wait_log(f"node is down from the start node=127.0.0.1:{gone}")
        line = next(ln for ln in p.log_text().splitlines() if "down from the start" in ln)
        assert "refused" in line.split("reason=")[1]
