"""What statements cost is counted exactly, by fingerprint; slow ones are logged, series are noticed."""
import urllib.request

import pgwire
import pytest
from pgwire import bind, describe, execute, parse
from tools import proc

pytestmark = pytest.mark.threads
HISTOGRAM = "pgweir_query_duration_seconds"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"workers": 2, "default_pool_size": 4}) as p:
        yield p


@pytest.fixture(autouse=True)
def forgotten(pooler):
    pooler.admin("RESET QUERIES")


@pytest.fixture
def clients(pooler):
    made = [pooler.raw(application_name=f"client {i}") for i in range(6)]
    yield made
    for client in made:
        client.close()


def row(pooler, statement, **match):
    return pooler.show_one("QUERIES", statement=statement, **match)


def numbers(r, *names):
    return [int(r[n]) for n in names]


def test_calls_rows_and_errors_are_exact_over_both_workers(pooler, clients):
    for n, client in enumerate(clients):
        for i in range(10):
            client.query(f"SELECT generate_series(1, {n + i})").check()
        client.query(f"SELECT {n} / 0")
    r = row(pooler, "SELECT generate_series($1, ...)")
    assert numbers(r, "calls", "errors") == [60, 0]
    assert int(r["rows"]) == sum(n + i for n in range(6) for i in range(10))
    assert (r["database"], r["user"], r["role"]) == ("app", "app", "primary")
    assert numbers(row(pooler, "SELECT $1 / $2"), "calls", "errors", "rows") == [6, 6, 0]


def test_all_ways_to_run_a_statement_are_counted(pooler, clients, new_table):
    table = new_table()
    insert = f"INSERT INTO {table} VALUES ($1), ($2)"
    for client in clients:
        client.prepared(insert, [1, 2]).check()
        client.prepared(insert, [1, 2]).check()
        client.run(parse("named", insert) + describe("S", "named") + pgwire.SYNC).check()
        client.run((bind("", "named", [b"1", b"2"]) + execute()) * 5 + pgwire.SYNC).check()
        client.query(f"insert into {table} values (1), (2)").check()
    shown = [r for r in pooler.show("QUERIES") if table in r["statement"]]
    assert len(shown) == 1
    assert numbers(shown[0], "calls", "errors", "rows") == [8 * 6, 0, 16 * 6]


def test_errors_of_a_series_belong_to_its_statement(pooler, clients):
    client = clients[0]
    assert client.prepared("SELECT nothing_such($1)", ["1"]).sqlstate == "42883"
    assert client.prepared("SELECT $1::int", ["x"]).sqlstate == "22P02"
    assert client.prepared("SELECT 1/(1 - $1::int)", ["1"]).sqlstate == "22012"
    for statement in ("SELECT nothing_such($1)", "SELECT $1::int", "SELECT $1/($2 - $3::int)"):
        assert numbers(row(pooler, statement), "calls", "errors") == [1, 1], statement


def test_times_are_the_servers_and_the_queues(pooler, clients):
    client = clients[0]
    for _ in range(4):
        client.query("SELECT pg_sleep(0.05)").check()
    r = row(pooler, "SELECT pg_sleep($1)")
    assert 200_000 <= int(r["server_time"]) < 20_000_000
    assert 50_000 <= int(r["p50"]) <= int(r["p95"]) <= int(r["p99"])
    assert 50_000 <= int(r["max"]) <= int(r["server_time"])


def test_time_in_the_queue_is_counted_with_its_statement(site):
    with site.pgweir(settings={"workers": 1, "default_pool_size": 1}) as p:
        with p.raw() as holder, p.raw() as waiter:
            holder.query("BEGIN; SELECT 1").check()
            waiter.send(pgwire.query("SELECT 'waited'"))
            p.wait_show("POOLS", lambda r: int(r["maxwait_us"]) > 100_000, database="app")
            holder.query("COMMIT").check()
            waiter.result().check()
            waits = [int(r["queue_time"]) for r in p.show("QUERIES")
                     if r["statement"] == "SELECT $1"]
            assert len(waits) == 1 and waits[0] > 100_000


def test_the_number_of_statements_is_bounded_and_the_sum_kept(site):
    settings = {"workers": 1, "query_stats_max": 10}
    with site.pgweir(settings=settings) as p, p.raw() as client:
        for i in range(100):
            client.query(f"SELECT 1 AS a{i}").check()
            client.query("SELECT 1 AS often").check()
        rows = p.show("QUERIES")
        assert len(rows) == 11
        assert sum(int(r["calls"]) for r in rows) == 200
        assert int(row(p, "SELECT $1 AS often")["calls"]) == 100
        p.admin("RESET QUERIES")
        assert p.show("QUERIES") == []
        p.reload(query_stats=0)
        client.query("SELECT 1 AS often").check()
        assert p.show("QUERIES") == []


def test_a_replica_is_told_from_the_primary(site):
    settings = {"workers": 2, "consistency": "eventual"}
    with site.pgweir_routed(settings=settings) as p, p.raw() as client:
        proc.wait_until("a read on a replica", lambda: client.query(
            "SELECT 1 AS told").check() and any(
                r["role"] == "replica" for r in p.show("QUERIES")), 20)
        client.query("BEGIN").check()
        client.query("CREATE TEMP TABLE x (a int)").check()
        client.query("SELECT 1 AS told").check()
        client.query("ROLLBACK").check()
        rows = [r for r in p.show("QUERIES") if r["statement"] == "SELECT $1 AS told"]
        assert sorted(r["role"] for r in rows) == ["primary", "replica"]


def test_metrics_have_the_top(pooler, clients):
    clients[0].query("BEGIN").check()
    for _ in range(25):
        clients[0].query("SELECT pg_sleep(0.01), 1/1").check()
    clients[0].query("SELECT pg_sleep(0.01), 1/0")
    clients[0].query("ROLLBACK").check()
    fingerprint = row(pooler, "SELECT pg_sleep($1), $2/$3")["fingerprint"]
    with urllib.request.urlopen(f"http://127.0.0.1:{pooler.stats_port}/metrics") as page:
        lines = page.read().decode().splitlines()
    labels = f'{{database="app",user="app",role="primary",fingerprint="{fingerprint}"}} '
    values = {line.split("{")[0]: float(line.split()[-1]) for line in lines if labels in line}
    spent = values.pop("pgweir_query_server_seconds_total")
    assert spent >= 0.25
    assert values.pop(HISTOGRAM + "_sum") == spent
    assert values.pop(HISTOGRAM + "_count") == 26
    assert values == {"pgweir_query_calls_total": 26, "pgweir_query_errors_total": 1,
                      "pgweir_query_rows_total": 25, "pgweir_query_queue_seconds_total": 0,
                      "pgweir_query_repeated_total": 26}
    buckets = {line.split(',le="')[1].split('"')[0]: int(line.split()[-1]) for line in lines
               if line.startswith(HISTOGRAM + "_bucket" + labels[:-2])}
    counts = list(buckets.values())
    assert len(counts) == 17 and counts == sorted(counts)
    # 25 slept for 10 ms or more; the one that failed did so before or after it
    assert buckets["0.004096"] <= 1 and buckets["+Inf"] == 26
    pooler.admin("RESET QUERIES")
    with urllib.request.urlopen(f"http://127.0.0.1:{pooler.stats_port}/metrics") as page:
        assert fingerprint not in page.read().decode()


def test_the_metrics_have_no_more_than_the_top(site):
    settings = {"workers": 2, "query_stats_top": 2}
    with site.pgweir(settings=settings) as p, p.raw() as client:
        for i in range(1, 6):
            client.query("SELECT " + ", ".join("1" * i)).check()
        assert len(p.show("QUERIES")) >= 5
        with urllib.request.urlopen(f"http://127.0.0.1:{p.stats_port}/metrics") as page:
            lines = page.read().decode().splitlines()
    assert sum(line.startswith(HISTOGRAM + "_count{") for line in lines) == 2


# --- the slow-query log ------------------------------------------------------------------------

def slow_lines(pooler):
    return [line for line in pooler.log_text().splitlines() if "slow query" in line]


def test_slow_queries_are_logged_with_their_trace(site):
    settings = {"workers": 2, "slow_query_threshold": "30ms", "slow_query_text": 1}
    with site.pgweir(settings=settings) as p, p.raw(application_name="shop") as client:
        client.query("SELECT 'fast'").check()
        client.query(f"SELECT pg_sleep(0.05), 'secret' /*traceparent='{TRACE}'*/").check()
        client.prepared(f"SELECT pg_sleep(0.05) /*traceparent='{TRACE}'*/").check()
        assert client.query("SELECT 1/length(pg_sleep(0.05)::text)").sqlstate == "22012"
        p.wait_log("sqlstate=22012")
        lines = slow_lines(p)
        assert len(lines) == 3
        for line in lines[:2]:
            assert f"traceparent={TRACE}" in line and "sqlstate=00000 " in line
            for part in ("fingerprint=", "queue_ms=0.000", "role=primary", "db=app", "user=app",
                         "application_name=shop", "addr=127.0.0.1:"):
                assert part in line, part
        assert 'text="SELECT pg_sleep($1), $2"' in lines[0]
        assert "secret" not in p.log_text()
        p.reload(slow_query_text=0)
        client.query("SELECT pg_sleep(0.05)").check()
        proc.wait_until("the fourth line", lambda: len(slow_lines(p)) == 4, 10)
        assert "text=" not in slow_lines(p)[3]


def test_the_slow_query_log_has_a_rate(site):
    settings = {"workers": 1, "slow_query_threshold": "1us", "slow_query_rate": 5}
    with site.pgweir(settings=settings) as p, p.raw() as client:
        client.run(pgwire.query("SELECT 1"))
        for _ in range(300):
            client.query("SELECT 1").check()
        logged = len(slow_lines(p))
        assert logged < 300
        p.reload(slow_query_rate=50)
        proc.wait_until("a line that tells of the others", lambda: client.query(
            "SELECT 1").check() and any("left_out=" in line and "left_out=0" not in line
                                        for line in slow_lines(p)), 10)


# --- errors ------------------------------------------------------------------------------------

def traced(n):
    trace = f"{TRACE[:-4]}{n:x}-01"
    return trace, f"/*traceparent='{trace}'*/"


def lines_of(pooler, trace, n=1):
    """The lines of the log with this trace context, once there are so many."""
    def lines():
        found = [x for x in pooler.log_text().splitlines() if f"traceparent={trace}" in x]
        return found if len(found) == n else None
    return proc.wait_until(f"{n} lines with {trace}", lines, 10)


def test_failed_queries_are_logged_with_their_trace(site):
    settings = {"workers": 2, "log_query_errors": 1}
    traces = [traced(n) for n in range(1, 5)]
    with site.pgweir(settings=settings) as p, p.raw(application_name="shop") as client:
        client.query(f"SELECT 1/length('') {traces[0][1]}")
        client.prepared(f"SELECT $1::int {traces[1][1]}", ["secret"])
        client.run(parse("s", f"SELECT 1/$1::int {traces[2][1]}") + pgwire.SYNC).check()
        client.query("SELECT 1").check()
        client.run(bind("", "s", [b"0"]) + execute() + pgwire.SYNC)
        states = ("22012", "22P02", "22012")
        for (trace, _), state in zip(traces, states):
            line = lines_of(p, trace)[0]
            assert "query failed" in line and f"sqlstate={state} " in line
            for part in ("fingerprint=", "role=primary", "db=app", "application_name=shop"):
                assert part in line, part
        client.query(f"SELECT 1 {traces[3][1]}").check()
        p.reload(log_query_errors=0)
        client.query(f"SELECT 1/length('') {traces[3][1]}")
        client.query("SELECT 1").check()
        text = p.log_text()
        assert traces[3][0] not in text and "secret" not in text and "text=" not in text


def test_errors_of_pgweir_are_logged_with_their_trace(site, superuser):
    settings = {"workers": 1, "default_pool_size": 1, "query_wait_timeout": "300ms"}
    waited, series, failed, lost = (traced(n) for n in range(5, 9))
    with site.pgweir(settings=settings) as p, p.raw() as client, p.raw() as holder:
        holder.query("BEGIN").check()
        pid = holder.query("SELECT pg_backend_pid()").value()
        client.query("BEGIN").check()
        assert client.query(f"SELECT 1 {waited[1]}").sqlstate is not None
        assert client.query(f"SELECT 2 {failed[1]}").sqlstate == "25P02"
        client.query("ROLLBACK").check()
        assert client.prepared(f"SELECT 3 {series[1]}", []).sqlstate is not None
        holder.send(pgwire.query(f"SELECT pg_sleep(60) {lost[1]}"))
        proc.wait_until("the sleep", lambda: superuser(
            f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND query LIKE '%sleep%'"), 10)
        superuser(f"SELECT pg_terminate_backend({pid})")
        assert holder.result().sqlstate == "57P01"
        for trace, state in ((waited[0], ""), (failed[0], "25P02"), (series[0], ""),
                             (lost[0], "57P01")):
            line = lines_of(p, trace)[0]
            assert "error sent to client" in line and f"sqlstate={state}" in line
        assert client.run(bind("", "none") + pgwire.SYNC).sqlstate == "26000"
        p.wait_log("sqlstate=26000")
        assert "traceparent=-" in [x for x in p.log_text().splitlines()
                                   if "sqlstate=26000" in x][0].split()


# --- N+1 ---------------------------------------------------------------------------------------

def test_a_series_in_a_transaction_is_noticed(pooler, clients):
    client = clients[3]
    for n in (25, 40, 19):
        client.query("BEGIN").check()
        client.query("SELECT 1 AS parents").check()
        for i in range(n):
            client.query(f"SELECT 1 AS child WHERE {i} > 0").check()
        client.query("COMMIT").check()
    r = pooler.show_one("NPLUSONE")
    assert r["statement"] == "SELECT $1 AS child WHERE $2 > $3"
    assert numbers(r, "series", "in_transaction", "calls", "longest") == [2, 2, 65, 40]
    assert r["application_name"] == "client 3"
    assert "JOIN" in r["hint"]


def test_a_series_outside_of_transactions_is_noticed(site):
    settings = {"workers": 2, "nplusone_threshold": 10, "nplusone_window": "60s"}
    with site.pgweir(settings=settings) as p:
        clients = [p.raw() for _ in range(4)]
        for i in range(12):
            for n, client in enumerate(clients):
                if n < 2 or i < 9:
                    client.prepared("SELECT $1::int AS loop", [i]).check()
        r = p.show_one("NPLUSONE")
        assert numbers(r, "series", "in_transaction", "calls", "longest") == [2, 0, 24, 12]
        p.admin("RESET QUERIES")
        assert p.show("NPLUSONE") == []
        for client in clients:
            client.close()
