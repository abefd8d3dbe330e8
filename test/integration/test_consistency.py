"""No client reads older data than its consistency allows, whatever the replicas' lag."""
import io
import random
import threading
import time

import pytest
from where import wait_routing, where_fixture


where = where_fixture("site")


@pytest.fixture(scope="module")
def node_port(site):
    """A function that tells where it runs, and that no catalog can find out to do so."""
    primary = site.cluster.primary
    primary.sql("""
        CREATE FUNCTION node_port() RETURNS int STABLE LANGUAGE plpgsql AS $$
        DECLARE port int;
        BEGIN EXECUTE 'SELECT inet_' || 'server_port()' INTO port; RETURN port; END $$""", "app")
    site.cluster.wait_caught_up()
    yield "node_port()"
    primary.sql("DROP FUNCTION node_port()", "app")


@pytest.fixture(scope="module")
def pooler(site, where, node_port):  # pylint: disable=unused-argument
    """`app` is routed, app_ro is for reads on replicas alone."""
    entry = site.app_on(site.cluster.nodes, "max_lag=10s")["app"]
    databases = {"app": entry, "app_ro": entry + " route=replica"}
    with site.pgweir(databases, settings={"default_pool_size": 10}) as p:
        wait_routing(p, where)
        yield p


@pytest.fixture
def paused_at_random(site):
    """Both standbys' replay is paused and resumed at random while the test runs."""
    end = threading.Event()

    def disturb(standby, rng):
        while not end.is_set():
            standby.pause_replay()
            time.sleep(rng.uniform(0, 0.3))
            standby.resume_replay()
            time.sleep(rng.uniform(0, 0.3))
    threads = [threading.Thread(target=disturb, args=(s, random.Random(i)))
               for i, s in enumerate(site.cluster.standbys)]
    for thread in threads:
        thread.start()
    yield
    end.set()
    for thread in threads:
        thread.join()
    site.cluster.wait_caught_up()


def run_threads(count, work):
    """work(i) in threads; what they raise is raised here."""
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as e:  # pylint: disable=broad-except
            failures.append(e)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def units_on_replicas(pooler):
    primary = f":{pooler.site.cluster.primary.port}"
    rows = [r for r in pooler.show("ROUTES") if r["database"] == "app"]
    replicas = sum(int(r["units"]) for r in rows if not r["node"].endswith(primary))
    return replicas, sum(int(r["units"]) for r in rows)


@pytest.mark.threads
@pytest.mark.usefixtures("paused_at_random")
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_own_writes_are_always_read(pooler, new_table, site, extended):
    table = new_table("id int PRIMARY KEY, n int")
    site.cluster.primary.sql(f"INSERT INTO {table} SELECT g, 0 FROM generate_series(0, 3) g",
                             "app")
    stale, pairs = [], [0] * 4

    def work(me):
        with pooler.raw() as client:
            run = client.prepared if extended else client.query
            i, deadline = 0, time.monotonic() + 4
            while time.monotonic() < deadline:
                i += 1
                run(f"UPDATE {table} SET n = {i} WHERE id = {me}").check()
                seen = run(f"SELECT n FROM {table} WHERE id = {me}").value()
                if int(seen) != i:
                    stale.append((me, i, seen))
                pairs[me] = i
    run_threads(4, work)
    print(f"{sum(pairs)} pairs of a write and a read")
    assert not stale, f"{len(stale)} stale reads of {sum(pairs)}, for example {stale[:3]}"


@pytest.mark.usefixtures("paused_at_random")
def test_writes_in_transactions_and_copies_are_read(pooler, new_table):
    table = new_table("n int")
    with pooler.connect() as conn, conn.cursor() as cur:
        for i in range(1, 60):
            if i % 3 == 0:
                cur.execute(f"BEGIN; INSERT INTO {table} VALUES ({i}); COMMIT")
            elif i % 3 == 1:
                cur.execute(f"SELECT 1; INSERT INTO {table} VALUES ({i})")
            else:
                cur.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(f"{i}\n"))
            cur.execute(f"SELECT count(*) FROM {table}")
            assert cur.fetchone()[0] == i


@pytest.mark.usefixtures("paused_at_random")
def test_reads_of_one_client_on_replicas_never_go_back_in_time(pooler, new_table, site, node_port):
    table = new_table("n int")
    site.cluster.primary.sql(f"INSERT INTO {table} VALUES (0)", "app")
    site.cluster.wait_caught_up()
    end, ports = threading.Event(), set()

    def write():
        with pooler.raw() as client:
            while not end.is_set():
                client.query(f"UPDATE {table} SET n = n + 1").check()
                time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        def read(_):
            with pooler.raw(database="app_ro") as client:
                last, deadline = -1, time.monotonic() + 4
                while time.monotonic() < deadline:
                    row = client.query(f"SELECT n, {node_port} FROM {table}").rows[0]
                    now, port = int(row[0]), int(row[1])
                    if port == site.cluster.primary.port:
                        continue  # no replica was fit: the promise is about those
                    assert now >= last, f"read {now} after {last}"
                    last = now
                    ports.add(port)
        run_threads(3, read)
    finally:
        end.set()
        writer.join()
    assert ports, "no read ran on a replica"


def test_most_reads_run_on_replicas_at_ten_writes_a_second(pooler, new_table):
    table = new_table("n int")
    before = units_on_replicas(pooler)
    with pooler.raw() as client:
        deadline, writes = time.monotonic() + 5, 0
        while time.monotonic() < deadline:
            client.query(f"INSERT INTO {table} VALUES (1)").check()
            writes += 1
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                assert client.value(f"SELECT count(*) FROM {table}") == str(writes)
    after = units_on_replicas(pooler)
    share = (after[0] - before[0]) / (after[1] - before[1])
    print(f"{share:.0%} of the units ran on replicas")
    assert share > 0.5


def test_failed_and_cancelled_writes_count_as_writes(pooler, new_table):
    """A message may have committed something before its error."""
    table = new_table("n int")
    with pooler.raw() as client:
        for i in range(1, 40):
            assert client.query(f"BEGIN; INSERT INTO {table} VALUES (1); COMMIT; SELECT 1/0")\
                .sqlstate == "22012"
            assert client.value(f"SELECT count(*) FROM {table}") == str(i)


def test_eventual_reads_from_replicas_right_after_a_write(site, where):
    standby1, standby2 = site.cluster.standbys
    with site.pgweir_routed("max_lag=30s consistency=eventual") as p:
        wait_routing(p, where)
        site.cluster.primary.sql("CREATE TABLE eventual AS SELECT 0 AS n;"
                                 "ALTER TABLE eventual OWNER TO app", "app")
        site.cluster.wait_caught_up()
        for standby in (standby1, standby2):
            standby.pause_replay()
        try:
            with p.raw() as client:
                client.query("UPDATE eventual SET n = 1").check()
                seen = {client.value("SELECT n FROM eventual") for _ in range(30)}
                assert "0" in seen, "old rows are read, as asked for"
        finally:
            for standby in (standby1, standby2):
                standby.resume_replay()
            site.cluster.primary.sql("DROP TABLE eventual", "app")
