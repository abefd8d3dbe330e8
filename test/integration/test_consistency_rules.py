"""The rules of samples and marks that only a real cluster can break, one test each."""
import signal
import threading
import time

import pgwire
import psycopg2
import pytest
from succession import SETTINGS, Succession
from test_routing import is_replica
from tools import proc
from where import send_marked, wait_replica_read, wait_routing, where_fixture


where = where_fixture("own_site")


@pytest.fixture(scope="module")
def pooler(own_site, where):
    own_site.cluster.primary.sql("CREATE TABLE marked (n int); INSERT INTO marked VALUES (0);"
                                 "ALTER TABLE marked OWNER TO app", "app")
    own_site.cluster.wait_caught_up()
    entry = own_site.app_on(own_site.cluster.nodes, "max_lag=60s")["app"]
    with own_site.pgweir({"app": entry, "app_mate": entry,
                          "app_strong": entry + " consistency=strong"},
                         settings={"default_pool_size": 5}) as p:
        wait_routing(p, where)
        yield p
    own_site.cluster.primary.sql("DROP TABLE marked", "app")


@pytest.fixture
def paused(own_site):
    for standby in own_site.cluster.standbys:
        standby.pause_replay()
    yield
    for standby in own_site.cluster.standbys:
        standby.resume_replay()
    own_site.cluster.wait_caught_up()


@pytest.fixture
def lazy_primary(own_site):
    """What is committed with synchronous_commit = off is not written for seconds."""
    primary = own_site.cluster.primary
    for setting in ("wal_writer_delay = '10s'", "wal_writer_flush_after = '1GB'"):
        primary.sql(f"ALTER SYSTEM SET {setting}")
    primary.sql("SELECT pg_reload_conf()")
    time.sleep(0.5)
    yield primary
    primary.sql("ALTER SYSTEM RESET ALL")
    primary.sql("SELECT pg_reload_conf()")


def must_see(number, clients, seconds=1):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for client in clients:
            assert client.value("SELECT n FROM marked") == number
        time.sleep(0.02)


def test_a_sample_is_the_insert_position(pooler, where, lazy_primary):  # pylint: disable=unused-argument
    """pg_current_wal_lsn() would be below what an asynchronous commit has acknowledged."""
    with pooler.raw() as client:
        client.query("SET synchronous_commit = off").check()
        for i in range(1, 9):
            client.query(f"UPDATE marked SET n = {i}").check()
            time.sleep(0.25)  # samples come, replicas say that they have all that was written
            assert client.value("SELECT n FROM marked") == str(i)


def test_a_strong_read_that_comes_behind_another_does_not_follow_it_to_its_replica(
        pooler, where, own_site):
    with pooler.raw(database="app_strong") as reader, pooler.raw() as writer:
        wait_replica_read(reader, where)
        for standby in own_site.cluster.standbys:
            standby.pause_replay()
        try:
            slow = "SELECT count(*) FROM generate_series(1, 4000000)"
            reader.send(pgwire.query(slow))
            time.sleep(0.2)  # it runs on a replica now
            writer.query("UPDATE marked SET n = 777").check()
            reader.send(pgwire.query("SELECT n FROM marked"))
            assert reader.result().check().rows
            assert reader.result().check().rows == [("777",)]
        finally:
            for standby in own_site.cluster.standbys:
                standby.resume_replay()
            own_site.cluster.wait_caught_up()


@pytest.mark.parametrize("mode", ["database", "strong"])
def test_blocks_whose_statements_must_see_others_writes_run_on_the_primary(pooler, where, mode):
    with pooler.raw() as client:
        client.query(f"SET pgweir.consistency = '{mode}'").check()
        wait_replica_read(client, where)
        client.query("BEGIN READ ONLY").check()
        assert where.of(client) == "primary"
        client.query("COMMIT").check()
        wait_replica_read(client, where)
        client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").check()
        assert is_replica({where.of(client)}), "it has one snapshot"
        client.query("COMMIT").check()
        client.query("SET pgweir.consistency = 'session'").check()
        client.query("BEGIN READ ONLY").check()
        assert is_replica({where.of(client)})
        client.query("COMMIT").check()


@pytest.mark.usefixtures("paused")
def test_a_write_by_any_entry_is_seen_by_all_of_the_database(pooler):
    with pooler.raw() as writer, pooler.raw(database="app_mate") as reader:
        reader.query("SET pgweir.consistency = 'database'").check()
        for i in range(1000, 1020):
            writer.query(f"UPDATE marked SET n = {i}").check()
            assert reader.value("SELECT n FROM marked") == str(i)


@pytest.mark.usefixtures("pooler")  # which has made the table
def test_a_write_before_a_reload_routed_the_entry_is_read_behind_it(own_site, where, request):
    routed = own_site.app_on(own_site.cluster.nodes, "max_lag=60s")["app"]
    alone = own_site.app_on([own_site.cluster.primary])["app"]
    with own_site.pgweir({"app": alone, "app_mate": routed}) as p, p.raw() as client:
        with p.raw(database="app_mate") as other:
            wait_replica_read(other, where)
        request.getfixturevalue("paused")
        number = client.value("UPDATE marked SET n = n + 1 RETURNING n")
        p.databases["app"] = routed
        p.reload()
        with p.raw() as other:
            wait_replica_read(other, where)
            must_see(number, [client])


@pytest.mark.usefixtures("pooler")  # which has made the table
def test_a_read_before_a_reload_routed_the_entry_is_not_gone_back_behind(own_site, where):
    primary, (ahead, behind) = own_site.cluster.primary, own_site.cluster.standbys
    routed = own_site.app_on([primary, behind], "max_lag=60s")["app"]
    alone = own_site.app_on([ahead])["app"]
    with own_site.pgweir({"app": alone, "app_mate": routed}) as p, p.raw() as client:
        with p.raw(database="app_mate") as other:
            wait_replica_read(other, where)
        behind.pause_replay()
        try:
            primary.sql("UPDATE marked SET n = n + 1", "app")
            number = primary.sql("SELECT n FROM marked", "app").strip()
            proc.wait_until("the one that replays to show it", lambda: client.value(
                "SELECT n FROM marked") == number)
            p.databases["app"] = routed
            p.reload()
            with p.raw() as other:
                wait_replica_read(other, where)
                must_see(number, [client])
        finally:
            behind.resume_replay()
            own_site.cluster.wait_caught_up()


def write_unflushed(client):
    """What no replica gets for seconds, though they have all that there is; returns the number."""
    client.query("SET synchronous_commit = off").check()
    return client.value("UPDATE marked SET n = n + 1 RETURNING n")


def wait_replicas_again(pooler, client, where):
    """Until reads run there, of a client that has no mark: what is not proven a read would leave one."""
    proc.wait_until("the catalog", lambda: "(catalog)" not in str(
        client.query("EXPLAIN ROUTE SELECT 1").check().rows))
    with pooler.raw() as other:
        wait_replica_read(other, where)


@pytest.mark.usefixtures("pooler", "lazy_primary")
def test_a_write_is_read_after_reloads_that_end_routing_and_begin_it_again(own_site, where):
    routed = own_site.app_on(own_site.cluster.nodes, "max_lag=60s")
    alone = own_site.app_on([own_site.cluster.primary])
    with own_site.pgweir(routed) as p, p.raw() as client:
        wait_routing(p, where)
        number = write_unflushed(client)
        for databases in (alone, routed):
            p.databases.update(databases)
            p.reload()
        wait_replicas_again(p, client, where)
        must_see(number, [client])


@pytest.mark.usefixtures("pooler", "lazy_primary")
def test_a_write_is_read_after_another_process_has_taken_over(own_site, where):
    """By who wrote it, and by anybody under consistency = database."""
    routed = own_site.app_on(own_site.cluster.nodes, "max_lag=60s")
    s = Succession(own_site.pgweir(routed, settings=SETTINGS).start())
    try:
        wait_routing(s.daemon, where)
        with s.daemon.raw() as writer:
            number = write_unflushed(writer)
            s.wait_ended(s.replace())
            wait_replicas_again(s.daemon, writer, where)
            with s.daemon.raw(options="-c pgweir.consistency=database") as other:
                must_see(number, [writer, other])
    finally:
        s.stop()


def test_a_strong_read_sees_what_others_wrote_past_pgweir(pooler, own_site, where):
    with pooler.raw() as reader:
        reader.query("SET pgweir.consistency = 'strong'").check()
        wait_replica_read(reader, where)
        for i in range(2000, 2003):
            for standby in own_site.cluster.standbys:
                standby.pause_replay()
            try:
                own_site.cluster.primary.sql(f"UPDATE marked SET n = {i}", "app")
                assert reader.value("SELECT n FROM marked") == str(i)
            finally:
                for standby in own_site.cluster.standbys:
                    standby.resume_replay()
            wait_replica_read(reader, where)


@pytest.mark.usefixtures("pooler")  # which has made the table
@pytest.mark.parametrize("wait", ["30s", "50ms"])
def test_a_strong_read_waits_for_a_replica_as_long_as_strong_wait(own_site, where, wait):
    """Replay stands still: for 30 s it waits, and runs on a replica; else on the primary."""
    with own_site.pgweir_routed("max_lag=60s consistency=strong",
                                settings={"strong_wait": wait}) as p, p.raw() as reader:
        wait_routing(p, where)
        wait_replica_read(reader, where)
        for standby in own_site.cluster.standbys:
            standby.pause_replay()
        try:
            own_site.cluster.primary.sql("UPDATE marked SET n = 5000", "app")
            mark = send_marked(reader, "SELECT n FROM marked")
            if wait == "30s":
                assert reader.is_silent_for(1)
            else:
                assert reader.result().value() == "5000" and where.ran(mark) == {"primary"}
        finally:
            for standby in own_site.cluster.standbys:
                standby.resume_replay()
        if wait == "30s":
            assert reader.result().value() == "5000" and is_replica(where.ran(mark))
        reasons = {r["reason"] for r in p.show("ROUTES") if r["verdict"] == "read"}
        assert ("strong" in reasons) == (wait == "50ms")


def test_many_strong_reads_wait_together(pooler, where):
    """One sample serves all that wait: eight times the readers are not eight times the samples."""
    with pooler.raw() as client:
        client.query("SET pgweir.consistency = 'strong'").check()
        wait_replica_read(client, where)
    counts = []

    def read():
        with pooler.raw(options="-c pgweir.consistency=strong") as one:
            n, end = 0, time.monotonic() + 1.5
            while time.monotonic() < end:
                one.value("SELECT 1")
                n += 1
            counts.append(n)

    def rate(readers):
        counts.clear()
        threads = [threading.Thread(target=read) for _ in range(readers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts)
    alone = rate(1)
    assert rate(8) > 1.5 * alone, "they do not wait one after the other"


@pytest.fixture
def unflushed(own_site):
    """The primary has inserted WAL of an open transaction, and nobody will flush it."""
    primary = own_site.cluster.primary
    frozen = [int(pid) for pid in primary.sql(
        "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('background writer',"
        "'walwriter', 'checkpointer', 'autovacuum launcher')").splitlines()]
    own_site.cluster.wait_caught_up()
    for pid in frozen:
        proc.send_signal(pid, signal.SIGSTOP)
    writer = psycopg2.connect(host=own_site.cluster.socket_dir, port=primary.port, user="postgres",
                              dbname="app")
    writer.cursor().execute("INSERT INTO marked VALUES (-1)")
    yield primary
    for pid in frozen:
        proc.send_signal(pid, signal.SIGCONT)
    writer.rollback()
    writer.close()


def test_reads_do_not_wait_for_what_nobody_flushes(own_site, where, pooler, unflushed):
    """It reaches no replica, so none lags for it, and no read can have shown it."""
    ahead = "SELECT pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()"
    with own_site.pgweir_routed("primary_reads=never", settings={
            "query_wait_timeout": 5, "slow_start": 0}) as p, p.raw() as client, p.raw() as first:
        proc.wait_until("the catalog", lambda: "proved to run" in str(
            first.query("EXPLAIN ROUTE SELECT 1").rows) or first.query("SELECT 1") is None, 20)
        wait_replica_read(client, where)
        end = time.monotonic() + 3  # three times max_lag
        while time.monotonic() < end:
            client.query("SELECT 1").check()
            time.sleep(0.05)
        assert unflushed.sql(ahead) == "t", "the test has made what it is about"
        node = own_site.cluster.node(where.of(client))
        node.kill()
        try:
            for _ in range(20):  # on the other one, which has all that the first can have shown
                assert where.of(client) not in ("primary", node.name)
                time.sleep(0.05)
            assert unflushed.sql(ahead) == "t"
        finally:
            node.start()
    assert pooler.admin("SHOW VERSION")
