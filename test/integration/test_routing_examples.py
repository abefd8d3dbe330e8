"""The sample of statements and scripts in test/routing, each on the node where it belongs, with
the results of one direct connection."""
import json
import os
import time

import pgwire
import pytest
from pooler import hosts
from rawclient import RawClient
from where import new_mark, wait_routing, where_fixture

SAMPLES_PASS = 0.25  # seconds; the monitor samples in less, which clears the client's marks
FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "routing")


def load(name):
    if not os.path.exists(FOLDER):
        return []
    with open(f"{FOLDER}/{name}", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


EXAMPLES = load("examples.jsonl")
SCRIPTS = load("scripts.jsonl")
PINNED = {"temp-table"}  # ADR 0016: a pinned client reads where it is pinned
ON_PRIMARY = {"es003"}  # ADR 0035: a cursor of READ COMMITTED could not outlive its replica
BODY = [e for e in EXAMPLES if e["needs"] == "body"]


where = where_fixture("own_site", "rt")


@pytest.fixture(scope="module")
def pooler(own_site, where):
    """On a database of its own; the client is a superuser, as the sample expects."""
    primary = own_site.cluster.primary
    primary.sql("CREATE DATABASE rt OWNER app")
    with open(f"{FOLDER}/schema.sql", encoding="utf-8") as f:
        primary.sql(f.read(), "rt")
    primary.sql("ALTER ROLE app SUPERUSER")
    own_site.cluster.wait_caught_up()
    databases = {name: f"{hosts(own_site.cluster.nodes)} dbname=rt" for name in ("rt", "app")}
    with own_site.pgweir(databases, settings={"query_wait_timeout": 5}) as p:
        wait_routing(p, where)
        yield p


def message_of(entry, mark):
    """The bytes of an example's unit, with a mark in front of its text."""
    if entry.get("sql_hex"):
        return pgwire.msg("Q", mark.encode() + bytes.fromhex(entry["sql_hex"]) + b"\0")
    if entry.get("params") is not None:
        return pgwire.prepared(mark + entry["sql"], entry["params"])
    return pgwire.query(mark + entry["sql"])


def run_example(pooler, where, entry):
    """On a fresh session: (Result, nodes)."""
    mark = new_mark()
    with pooler.raw(database="rt") as client:
        result = client.run(message_of(entry, mark))
        nodes = where.ran(mark)
        if result.status != "I":
            client.query("ROLLBACK")
    return result, nodes


@pytest.mark.parametrize("entry", [e for e in EXAMPLES if e["class"] in ("primary", "session")
                                   and e["needs"] != "body"], ids=lambda e: e["id"])
def test_what_must_not_run_on_a_replica_does_not(pooler, where, entry):
    result, nodes = run_example(pooler, where, entry)
    assert not {n for n in nodes if n.startswith("standby")}, entry["sql"]
    assert result.sqlstate == entry["sqlstate_on_primary"]


@pytest.mark.parametrize("entry", BODY, ids=lambda e: e["id"])
def test_what_only_the_functions_body_tells_gives_the_primarys_answer(pooler, where, entry):
    if entry["wrong_route"] == "silent":
        pytest.skip("no router can see it: for the operator's primary_functions")
    result, _ = run_example(pooler, where, entry)
    assert result.sqlstate == entry["sqlstate_on_primary"]


def test_nearly_all_reads_run_on_a_replica(pooler, where):
    wait_routing(pooler, where)  # the examples before have defined objects: the catalog is old
    reads = [e for e in EXAMPLES if e["class"] == "replica" and not e.get("hard")]
    on_primary = []
    for entry in reads:
        result, nodes = run_example(pooler, where, entry)
        assert result.sqlstate is None, (entry["sql"], result.errors)
        if "primary" in nodes:  # a BEGIN READ ONLY alone runs nowhere: it is deferred
            on_primary.append(entry["id"])
    assert len(on_primary) <= 0.05 * len(reads), f"on the primary: {on_primary}"


def run_script(client, script, where=None):
    """Run the steps: (sqlstate, rows, nodes) of each. Before a read that belongs on a replica
    the client's own writes get the time to be known there."""
    seen = []
    for step in script["steps"]:
        mark = new_mark()
        if where and step["route"] == "replica":
            time.sleep(SAMPLES_PASS)
        result = client.run(message_of(step, mark))
        seen.append((result.sqlstate, result.rows, where.ran(mark) if where else set()))
    return seen


def prepare_script(cluster, statements):
    for sql in statements:
        cluster.primary.sql(sql, "rt")
    cluster.wait_caught_up()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: f"{s['id']}-{s['kind']}")
def test_scripts_give_the_results_of_a_direct_connection(pooler, where, own_site, script):
    results = []
    for port, finder in ((own_site.cluster.primary.port, None), (pooler.port, where)):
        prepare_script(own_site.cluster, script.get("setup", []))
        with RawClient(port) as client:
            client.login("app", own_site.passwords["app"], "rt")
            results.append(run_script(client, script, finder))
        prepare_script(own_site.cluster, script.get("cleanup", []))
    direct, ours = results
    for step, theirs, mine in zip(script["steps"], direct, ours):
        assert mine[0] == theirs[0] == step["sqlstate"], step["sql"]
        assert mine[1] == theirs[1], step["sql"]
        on_replica = any(n.startswith("standby") for n in mine[2])
        if step["route"] == "primary" and not script.get("hard"):
            assert not on_replica, step["sql"]
        if (step["route"] == "replica" and not script.get("hard") and not script.get("fresh")
                and script["kind"] not in PINNED and script["id"] not in ON_PRIMARY):
            assert on_replica or "primary" not in mine[2], step["sql"]
