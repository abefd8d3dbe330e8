"""What clients wait for, who holds servers without need, and how much room is left."""
import json
import re
import time
import urllib.request

import pgwire
import pytest
from rawclient import RawClient
from tools import proc
from where import wait_replica_read, wait_routing, where_fixture

pytestmark = pytest.mark.threads
where = where_fixture("site")


@pytest.fixture
def pooler(site):
    settings = {"workers": 2, "default_pool_size": 2, "max_pinned": 1, "misuse_idle": "200ms",
                "misuse_transaction": "400ms"}
    with site.pgweir(settings=settings) as p:
        yield p


def waits(pooler):
    return {r["waits_for"]: r for r in pooler.show("WAITS") if r["database"] == "app"}


def wait_for(pooler, cause, n=1):
    pooler.wait_show("WAITS", lambda r: int(r["now"]) == n, database="app", waits_for=cause)


def held(pooler, n):
    """So many clients in a transaction on a server each."""
    made = [pooler.raw(application_name="holder") for _ in range(n)]
    for client in made:
        client.query("BEGIN").check()
        client.query("SELECT 1").check()
    return made


# --- WAITS -------------------------------------------------------------------------------------

def test_waits_are_counted_by_what_they_are_for(pooler):
    waiters = [pooler.raw() for _ in range(3)]
    holders = held(pooler, 2)
    for waiter in waiters:
        waiter.send(pgwire.query("SELECT 1"))
    wait_for(pooler, "server", 3)
    time.sleep(0.1)
    for client in holders:
        client.query("COMMIT").check()
    for waiter in waiters:
        waiter.result().check()
    row = waits(pooler)["server"]
    assert (int(row["now"]), int(row["waits"])) == (0, 3)
    assert 300_000 <= int(row["total_time"]) and 100_000 <= int(row["p50"]) <= int(row["p99"])
    assert int(row["max"]) >= 100_000
    assert "HEADROOM" in row["hint"]

    holders[0].query("SELECT pg_advisory_lock(1)").check()
    waiters[0].send(pgwire.query("SELECT pg_advisory_lock(2)"))
    wait_for(pooler, "max_pinned")
    holders[0].query("SELECT pg_advisory_unlock(1)").check()
    waiters[0].result().check()
    waiters[0].query("SELECT pg_advisory_unlock(2)").check()
    assert int(waits(pooler)["max_pinned"]["waits"]) == 1

    pooler.admin("PAUSE app")
    waiters[1].send(pgwire.query("SELECT 1"))
    wait_for(pooler, "pause")
    pooler.admin("RESUME app")
    waiters[1].result().check()
    assert int(waits(pooler)["pause"]["waits"]) == 1
    for client in holders + waiters:
        client.close()


def test_the_first_client_waits_for_a_login(pooler):
    with pooler.raw() as client:
        pooler.admin("RECONNECT app")
        client.query("SELECT 1").check()
        assert int(waits(pooler)["server_login"]["waits"]) >= 1


def test_currval_waits_for_the_server_of_its_nextval(site):
    settings = {"workers": 1, "default_pool_size": 1}
    site.cluster.primary.sql("CREATE SEQUENCE waited_for; ALTER SEQUENCE waited_for OWNER TO app", "app")
    try:
        with site.pgweir(settings=settings) as p, p.raw() as one, p.raw() as two:
            one.query("SELECT lastval()")
            number = one.value("SELECT nextval('waited_for')")
            two.query("BEGIN").check()
            two.query("SELECT 1").check()
            one.send(pgwire.query("SELECT currval('waited_for')"))
            wait_for(p, "same_server")
            two.query("COMMIT").check()
            assert one.result().value() == number
            row = waits(p)["same_server"]
            assert (int(row["now"]), int(row["waits"])) == (0, 1) and int(row["max"]) > 0
            assert set(waits(p)) <= {"same_server", "server_login"}
    finally:
        site.cluster.primary.sql("DROP SEQUENCE waited_for", "app")


def test_a_login_waits_for_a_node(site):
    """Its greeting has parameters of a server: the client waits before it has sent a statement."""
    with site.pgweir({"app": f"host=127.0.0.1 port={proc.free_port()} routing=on"}) as p:
        with RawClient(p.port) as client:
            client.begin_login("app", p.passwords["app"], "app")
            wait_for(p, "node")
            row = waits(p)["node"]
            assert row["now"] == "1" and int(row["oldest"]) > 0
        proc.wait_until("nobody waits", lambda: waits(p).get("node", {}).get("now", "0") == "0")


def test_strong_reads_wait_for_the_next_sample(site, where):
    with site.pgweir_routed("max_lag=10s") as p:
        wait_routing(p, where)
        with p.raw(options="-c pgweir.consistency=strong") as client:
            wait_replica_read(client, where)
            before = int(waits(p)["strong_read"]["waits"])
            for _ in range(5):
                client.query("SELECT 1").check()
            row = waits(p)["strong_read"]
            assert int(row["now"]) == 0 and int(row["waits"]) == before + 5
            assert 0 < int(row["p50"]) <= int(row["max"])


# --- PIN_COUNTS --------------------------------------------------------------------------------

def test_pins_are_counted_by_cause(pooler):
    def pins():
        return {r["cause"]: (int(r["now"]), int(r["total"])) for r in pooler.show("PIN_COUNTS")}
    causes = set(pins())
    assert {"advisory_lock", "temp", "listen", "replication"} <= causes
    assert set(pins().values()) == {(0, 0)}
    with pooler.raw() as client:
        for n in (1, 2):
            client.query("SELECT pg_advisory_lock(5)").check()
            assert pins() == {**dict.fromkeys(causes, (0, 0)), "advisory_lock": (1, n)}
            client.query("SELECT pg_advisory_unlock(5)").check()
            proc.wait_until("the pin's end", lambda n=n: pins()["advisory_lock"] == (0, n))


# --- MISUSE ------------------------------------------------------------------------------------

def misuse(pooler):
    return {r["kind"]: r for r in pooler.show("MISUSE") if r["application_name"] == "shop"}


def test_who_is_idle_in_transactions_is_told_with_the_statement_before(pooler):
    with pooler.raw(application_name="shop") as client:
        for n in range(2):
            client.query("BEGIN").check()
            client.query("SELECT 1 AS before").check()
            time.sleep(0.25)
            client.query("SELECT 1 AS after").check()
            client.query("COMMIT").check()
        row = misuse(pooler)["idle_in_transaction"]
        assert int(row["times"]) == 2
        assert 500_000 <= int(row["total_time"]) and 250_000 <= int(row["longest"])
        assert row["statement"] == "SELECT $1 AS before"
        assert (row["database"], row["user"]) == ("app", "app")


def test_long_transactions_are_told_of(pooler):
    with pooler.raw(application_name="shop") as client:
        client.query("SELECT pg_sleep(0.5)").check()
        assert misuse(pooler) == {}, "a statement by itself is no transaction block"
        client.query("BEGIN").check()
        client.query("SELECT pg_sleep(0.5)").check()
        client.query("COMMIT").check()
        row = misuse(pooler)["long_transaction"]
        assert int(row["times"]) == 1 and int(row["longest"]) >= 500_000


def test_pins_are_told_of_with_their_cause(pooler):
    with pooler.raw(application_name="shop") as client:
        client.query("SELECT pg_advisory_lock(3)").check()
        client.query("SELECT pg_advisory_unlock(3)").check()
        proc.wait_until("the pin's end", lambda: "pin_advisory_lock" in misuse(pooler))
        assert int(misuse(pooler)["pin_advisory_lock"]["times"]) == 1
        pooler.admin("RESET QUERIES")
        assert misuse(pooler) == {}


def test_who_does_it_now_is_told_with_client_and_address(pooler):
    with pooler.raw(application_name="shop") as client:
        client.query("BEGIN").check()
        client.query("SELECT 1 AS now_idle").check()

        def present():
            rows = misuse(pooler)
            return rows if {"idle_in_transaction", "long_transaction"} <= set(rows) else None
        rows = proc.wait_until("both", present, 10)
        known = pooler.show_one("CLIENTS", application_name="shop")
        for kind, least in (("idle_in_transaction", 200_000), ("long_transaction", 400_000)):
            row = rows[kind]
            assert (int(row["now"]), int(row["times"])) == (1, 1)
            assert least <= int(row["longest"]) == int(row["total_time"])
            assert row["statement"] == "SELECT $1 AS now_idle"
            assert row["client"] == known["id"] and row["addr"] == "127.0.0.1"
        client.query("COMMIT").check()
        rows = misuse(pooler)
        assert all((int(r["now"]), int(r["times"])) == (0, 1) for r in rows.values())
        client.query("SELECT pg_advisory_lock(4)").check()
        assert int(misuse(pooler)["pin_advisory_lock"]["now"]) == 1


def test_misuse_is_summed_over_the_workers(pooler):
    clients = [pooler.raw(application_name="shop") for _ in range(6)]
    for client in clients:
        client.query("SELECT pg_advisory_lock(5)").check()
        client.query("SELECT pg_advisory_unlock(5)").check()
    proc.wait_until("all of them", lambda: int(
        misuse(pooler).get("pin_advisory_lock", {}).get("times", 0)) == 6)
    assert len([r for r in pooler.show("MISUSE") if r["kind"] == "pin_advisory_lock"]) == 1
    for client in clients:
        client.close()


# --- ERRORS ------------------------------------------------------------------------------------

def errors(pooler):
    return {(r["sqlstate"], r["source"]): int(r["errors"]) for r in pooler.show("ERRORS")
            if r["database"] == "app"}


def test_errors_are_counted_by_sqlstate_and_who_made_them(pooler):
    pooler.admin("RESET ERRORS")
    assert errors(pooler) == {}
    with pooler.raw() as client, pooler.raw() as other:
        for one in (client, other, client):
            one.query("SELECT 1/0")
        assert client.prepared("SELECT $1::int", ["x"]).sqlstate == "22P02"
        client.query("BEGIN").check()
        client.query("SELEC")
        assert client.query("SELECT 1").sqlstate == "25P02"
        client.query("ROLLBACK").check()
        assert client.run(pgwire.bind("", "none") + pgwire.SYNC).sqlstate == "26000"
    assert errors(pooler) == {("22012", "server"): 3, ("22P02", "server"): 1,
                              ("42601", "server"): 1, ("25P02", "server"): 1,
                              ("26000", "pgweir"): 1}
    row = pooler.show_one("ERRORS", sqlstate="22012")
    assert row["class"] == "Data Exception" and row["last_seen"].endswith("UTC")
    pooler.admin("RESET ERRORS")
    assert errors(pooler) == {}


# --- HEADROOM ----------------------------------------------------------------------------------

def test_headroom_is_by_littles_law(site):
    settings = {"workers": 2, "default_pool_size": 4, "history_period": "200ms"}
    with site.pgweir(settings=settings) as p:
        busy, other = p.raw(), p.raw()
        for client in (busy, other):
            client.query("BEGIN").check()
            client.query("SELECT 1").check()

        def pool_is(utilisation):
            return p.wait_show("HEADROOM", lambda r: float(r["utilisation"].split()[0]) ==
                               pytest.approx(utilisation, abs=8) and "Too early" not in r["advice"],
                               resource="pool", database="app", timeout=20)
        assert int(pool_is(50)["limit"]) == 4, "two of four are held"
        more = held(p, 2)
        row = pool_is(100)
        assert row["advice"].startswith(("Saturates first", "Full", "At the present"))
        for client in (busy, other, *more):
            client.query("COMMIT").check()
        row = pool_is(0)
        assert float(row["peak"]) == pytest.approx(4, abs=0.5)
        assert {r["resource"] for r in p.show("HEADROOM")} == {"pool", "workers", "clients"}
        for client in (busy, other, *more):
            client.close()


def test_headroom_is_for_the_wait_goal(site):
    """The same load: if nobody minds to wait, hardly more servers are needed than are busy."""
    settings = {"default_pool_size": 9, "history_period": "100ms"}
    with site.pgweir(settings=settings) as p, p.raw() as one_more:
        clients = held(p, 3)
        p.wait_show("HEADROOM", lambda r: one_more.value("SELECT 1") and int(r["held_us"]),
                    resource="pool", database="app")
        for goal, least, most in (("0.000001", 6, 8), ("3600", 4, 4)):
            p.admin(f"SET wait_goal = {goal}")
            p.wait_show("HEADROOM", lambda r: float(r["used"]) > 2.9 and
                        least <= int(r["size_for_goal"]) <= most, resource="pool", database="app")
        for client in clients:
            client.close()


def test_headroom_tells_when_growth_fills_it(site):
    """25 of 40 places are taken one by one; when the rest would be is told."""
    settings = {"history_period": "100ms", "max_client_conn": 40}
    came = []
    with site.pgweir(settings=settings) as p:
        def row():
            return p.show_one("HEADROOM", resource="clients")
        assert "full in" not in row()["advice"]
        began = time.monotonic()
        for _ in range(25):
            came.append(p.raw())
            time.sleep(0.16)
        per_s = 25 / (time.monotonic() - began)
        now = row()
        assert float(now["growth_per_hour"]) == pytest.approx(per_s * 3600, rel=0.4)
        assert 0 < int(now["full_in_s"]) <= 2 * 15 / per_s
        assert "At the present growth it is full in " in now["advice"]
        assert now["advice"].endswith(" seconds: raise max_client_conn.")
        for client in came:
            client.close()


# --- switched off ------------------------------------------------------------------------------

def notices(pooler, table):
    return re.findall(r"switched off: (\w+) = 0", str(pooler.admin("SHOW " + table).notices))


def test_thresholds_of_zero_are_switches_too(pooler):
    """They leave out what they are the threshold of, forget what there was, and say so."""
    pooler.reload(nplusone_threshold=2, misuse_idle="50ms", misuse_transaction="50ms")

    def misbehave():
        with pooler.raw(application_name="shop") as client:
            client.query("SELECT pg_advisory_lock(9)").check()
            client.query("BEGIN").check()
            for _ in range(3):
                client.query("SELECT 1 AS again").check()
            time.sleep(0.1)
            client.query("SELECT 1 AS after").check()
            client.query("COMMIT").check()
            client.query("SELECT pg_advisory_unlock(9)").check()
            proc.wait_until("the pin's end", lambda: pooler.show_one(
                "PIN_COUNTS", cause="advisory_lock")["now"] == "0")
    of_idle, of_long = {"idle_in_transaction", "pin_advisory_lock"}, {"long_transaction"}
    misbehave()
    assert set(misuse(pooler)) == of_idle | of_long and pooler.show("NPLUSONE")
    assert notices(pooler, "MISUSE") == notices(pooler, "NPLUSONE") == []
    for off, left in (("misuse_idle", of_long), ("misuse_transaction", of_idle)):
        for _ in range(2):  # what there was, and what comes
            pooler.reload(**{off: 0})
            assert set(misuse(pooler)) <= left and notices(pooler, "MISUSE") == [off]
            misbehave()
            assert set(misuse(pooler)) == left
        pooler.reload(**{off: "50ms"})
        misbehave()
    pooler.reload(nplusone_threshold=0, misuse_idle=0, misuse_transaction=0)
    for _ in range(2):
        assert misuse(pooler) == {} and pooler.show("NPLUSONE") == []
        misbehave()
    assert notices(pooler, "MISUSE") == ["misuse_idle", "misuse_transaction"]
    assert notices(pooler, "NPLUSONE") == ["nplusone_threshold"]
    pooler.reload(nplusone_threshold=2)
    assert pooler.show("NPLUSONE") == [], "nothing was kept"


def test_each_part_can_be_switched_off(pooler):
    """Off, a table is empty and says why; on again, it begins anew."""
    parts = {"ERRORS": "error_stats", "HEADROOM": "history", "NPLUSONE": "query_stats",
             "QUERIES": "query_stats", "WAITS": "wait_stats"}

    def fail_and_wait():
        waiter, holders = pooler.raw(), held(pooler, 2)
        waiter.send(pgwire.query("SELECT 1/0"))
        pooler.wait_show("POOLS", lambda r: r["cl_waiting"] == "1", database="app")
        time.sleep(0.02)
        for client in holders:
            client.query("COMMIT").check()
        assert waiter.result().sqlstate == "22012"
        for client in (*holders, waiter):
            client.close()

    def page(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{pooler.stats_port}{path}") as answer:
            return answer.read().decode()

    pooler.reload(history_period="20ms")
    fail_and_wait()
    proc.wait_until("all are filled", lambda: all(
        pooler.show(t) for t in parts if t != "NPLUSONE"))
    pooler.reload(**dict.fromkeys(parts.values(), 0))
    fail_and_wait()
    for table, setting in parts.items():
        result = pooler.admin("SHOW " + table)
        assert result.rows == [] and f"switched off: {setting} = 0" in str(result.notices), table
    assert "pgweir_errors_total{" not in page("/metrics")
    stats = json.loads(page("/stats.json"))
    assert {r["table"]: r["setting"] for r in stats["off"]} == {
        t.lower(): s for t, s in parts.items()}
    assert not any(stats[t.lower()] for t in parts)
    assert json.loads(page("/history.json"))["samples"] == []

    pooler.reload(**dict.fromkeys(parts.values(), 1))
    assert errors(pooler) == {} and waits(pooler) == {}, "nothing was kept"
    fail_and_wait()
    assert errors(pooler) == {("22012", "server"): 1}
    assert int(waits(pooler)["server"]["waits"]) == 1
    proc.wait_until("samples", lambda: pooler.show("HEADROOM"))
    assert "switched off" not in str(pooler.admin("SHOW WAITS").notices)
    assert json.loads(page("/stats.json"))["off"] == []
