"""Reads that are under way on a primary when it is lost: what has had no effect runs again."""
import re
import threading
import time

import pgwire
import pytest
from tools import proc
from where import new_mark, wait_replica_read, wait_routing, where_fixture

where = where_fixture("own_site")

SLOW = "SELECT n, pg_sleep(2) FROM one_row"


@pytest.fixture(name="cluster", scope="module")
def cluster_fixture(own_site):
    return own_site.cluster


@pytest.fixture(name="pooler")
def pooler_fixture(own_site, cluster, where):
    settings = {"default_pool_size": 5, "query_wait_timeout": 60, "server_login_retry": 1,
                "workers": 2}
    cluster.primary.sql("CREATE TABLE one_row AS SELECT 0 AS n; CREATE TABLE rows (id int PRIMARY"
                        " KEY, n int); INSERT INTO rows SELECT g, 0 FROM generate_series(1, 8) g;"
                        "ALTER TABLE one_row OWNER TO app; ALTER TABLE rows OWNER TO app", "app")
    cluster.wait_caught_up()
    entry = own_site.app_on(cluster.nodes)["app"]
    databases = {"app": entry, "app_session": entry + " pool_mode=session",
                 "app_all": entry + " consistency=database"}
    with own_site.pgweir(databases, settings=settings) as p:
        wait_routing(p, where)
        yield p
    if not cluster.primary.is_running():
        cluster.primary.start()
    for standby in cluster.standbys:
        standby.resume_replay()
    cluster.primary.sql("DROP TABLE one_row, rows", "app")
    cluster.wait_caught_up()


def unit(sql, protocol):
    return pgwire.query(sql) if protocol == "simple" else pgwire.prepared(sql)


def begin_on_the_primary(cluster, where, client, sql=SLOW, protocol="simple", behind=b""):
    """Replicas have received, and not replayed, what the client writes: its read runs there."""
    for standby in cluster.standbys:
        standby.pause_replay()
    client.query("UPDATE one_row SET n = n + 1").check()
    written = cluster.primary.sql("SELECT pg_current_wal_flush_lsn()")
    for standby in cluster.standbys:
        proc.wait_until("it to be received", lambda node=standby: node.sql(
            f"SELECT pg_last_wal_receive_lsn() >= '{written}'") == "t")
    mark = new_mark()
    client.send(unit(mark + sql, protocol) + behind)
    proc.wait_until("the read to run", lambda: where.ran(mark) == {cluster.primary.name})


def replays(pooler):
    return sum(int(r["units"]) for r in pooler.show("ROUTES") if r["reason"] == "replay")


@pytest.mark.parametrize("protocol, how", [("simple", "kill"), ("extended", "fast")])
def test_it_runs_on_the_primary_when_that_is_back(pooler, cluster, where, protocol, how):
    with pooler.raw() as client:
        before = int(client.value("SELECT n FROM one_row"))
        begin_on_the_primary(cluster, where, client, protocol=protocol)
        if how == "kill":
            cluster.primary.kill()
        else:
            cluster.primary.stop("fast")
        assert client.is_silent_for(0.5)
        cluster.primary.start()
        assert client.result().check().rows[0][0] == str(before + 1)
        assert replays(pooler) == 1
        client.query("UPDATE one_row SET n = n").check()


def test_it_runs_on_a_replica_that_has_the_clients_write(pooler, cluster, where):
    with pooler.raw() as client:
        before = int(client.value("SELECT n FROM one_row"))
        begin_on_the_primary(cluster, where, client)
        cluster.primary.kill()
        assert client.is_silent_for(0.5)
        cluster.standbys[1].resume_replay()
        assert client.result().check().rows[0][0] == str(before + 1)


def test_reads_that_follow_each_other_run_again_in_order(pooler, cluster, where):
    with pooler.raw() as client:
        behind = pgwire.query("SELECT 'b'") + pgwire.prepared("SELECT 'c'", name="named")
        begin_on_the_primary(cluster, where, client, behind=behind)
        cluster.primary.kill()
        cluster.primary.start()
        assert client.result().check().rows[0][1] == ""
        assert [client.result().value() for _ in range(2)] == ["b", "c"]
        assert client.run(pgwire.bind("", "named") + pgwire.execute() + pgwire.SYNC).value() == "c"


@pytest.mark.parametrize("behind", ["write", "flush"])
def test_a_read_with_something_else_behind_it_is_told_to_be_lost(
        pooler, cluster, where, behind):
    """What has been sent behind it may have had an effect, and is not sent again."""
    more = pgwire.query("UPDATE rows SET n = n + 1") if behind == "write" else \
        pgwire.parse("", "UPDATE rows SET n = n + 1") + pgwire.bind() + pgwire.execute() + \
        pgwire.FLUSH
    with pooler.raw() as client:
        begin_on_the_primary(cluster, where, client, behind=more)
        cluster.primary.kill()
        assert re.match("08|57P0", client.result().sqlstate)
        if behind == "flush":
            client.send(pgwire.SYNC)
        assert re.match("08|57P0", client.result().sqlstate)
        cluster.primary.start()
        assert client.value("SELECT sum(n) FROM rows") == "0"


@pytest.mark.parametrize("sql, first", [
    (SLOW, "BEGIN; UPDATE one_row SET n = n"),
    (SLOW, "CREATE TEMP TABLE pinned (a int)"),
    (SLOW + " FOR UPDATE", "SELECT 1"),
    ("WITH w AS (UPDATE rows SET n = n + 1) SELECT n, pg_sleep(2) FROM one_row", "SELECT 1"),
    ("DO 'BEGIN PERFORM pg_sleep(2); END'", "SELECT 1"),
], ids=["in a transaction", "pinned", "locks", "writes", "unknown"])
def test_what_may_have_had_an_effect_does_not_run_again(pooler, cluster, where, sql, first):
    with pooler.raw() as client:
        client.query(first).check()
        begin_on_the_primary(cluster, where, client, sql)
        cluster.primary.kill()
        messages = []
        while not messages or messages[-1].kind != "E":
            messages.append(client.read_message())
        assert re.match("08|57P0", messages[-1].fields()["C"])
        cluster.primary.start()
    assert cluster.primary.sql("SELECT sum(n) FROM rows", "app") == "0"


def test_it_runs_again_once(pooler, cluster, where):
    """A read that brings its primary down must not do so for ever."""
    with pooler.raw() as client:
        begin_on_the_primary(cluster, where, client, "SELECT n, pg_sleep(4) FROM one_row")
        cluster.primary.kill()
        cluster.primary.start()
        proc.wait_until("it to run again", lambda: cluster.primary.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(4) FROM%' AND "
            "state = 'active' AND pid <> pg_backend_pid()") == "1")
        cluster.primary.kill()
        assert re.match("08|57P0", client.result().sqlstate)
        cluster.primary.start()
        client.query("UPDATE one_row SET n = n").check()


def test_an_answer_that_has_begun_is_not_told_twice(pooler, cluster, where):
    with pooler.raw() as client:
        begin_on_the_primary(
            cluster, where, client, "SELECT repeat('x', 1000), pg_sleep(g / 500) FROM "
            "generate_series(1, 501) g")
        assert client.read_message().kind == "T"
        rows = [client.read_message().kind for _ in range(100)]
        cluster.primary.kill()
        with pytest.raises((pgwire.Closed, StopIteration)):
            while True:
                kind = client.read_message().kind
                if kind == "E":
                    raise StopIteration
                rows.append(kind)
        assert set(rows) == {"D"} and len(rows) <= 501


def test_a_killed_primary_costs_no_read_of_clients_that_write(pooler, cluster):
    """Each reads, again and again, the row that it has just written, while nodes come and go."""
    failed, reads, writes, over = [], [0] * 8, [0] * 8, threading.Event()

    def work(i):
        with pooler.raw() as client:
            sent = 0
            while not over.is_set():
                sent += 1
                result = client.query(f"UPDATE rows SET n = {sent} WHERE id = {i + 1}")
                writes[i] += not result.errors
                for _ in range(3):
                    read = client.query(f"SELECT n FROM rows WHERE id = {i + 1}")
                    reads[i] += 1
                    if read.errors:
                        failed.append(read.errors[0])
                    elif not result.errors and read.value() != str(sent):
                        failed.append(f"{read.value()} instead of {sent}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    try:
        for _ in range(3):
            before = sum(writes)
            proc.wait_until("some writes", lambda n=before: sum(writes) > n + 50, 30)
            cluster.primary.kill()
            cluster.primary.start()
        proc.wait_until("some writes", lambda n=sum(writes): sum(writes) > n + 50, 30)
    finally:
        over.set()
        for t in threads:
            t.join()
    print(f"{sum(reads)} reads, {sum(writes)} writes")
    assert not failed and min(reads) > 0


def test_units_behind_an_answer_that_is_being_passed_on_run_elsewhere_whole(
        pooler, cluster, where):
    """What is sent behind an answer larger than replay_window is kept as what it is."""
    with pooler.raw() as client:
        mark = new_mark()
        client.send(pgwire.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)") +
                    pgwire.query(f"SELECT 'b{mark}', pg_sleep(2)"))
        assert client.read_message().kind == "T"
        first = client.read_message()
        client.send(pgwire.query("SELECT 'this is the third of them'"))
        time.sleep(0.2)  # it is read behind them
        rows = [first]
        while rows[-1].kind != "Z":
            rows.append(client.read_message())
        assert [m.kind for m in rows].count("D") == 20000
        proc.wait_until("the second to run", lambda: where.ran(mark))
        node = cluster.node(where.ran(mark).pop())
        node.kill()
        try:
            assert client.result().check().rows[0][0].startswith("b")
            assert client.result().value() == "this is the third of them"
        finally:
            node.start()


# --- what has an effect, and is committed or not --------------------------------------------------


@pytest.fixture(name="nobody_confirms")
def nobody_confirms_fixture(cluster):
    """The primary commits, and tells nobody: it waits for a standby that does not exist."""
    cluster.primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    cluster.primary.sql("SELECT pg_reload_conf()")
    proc.wait_until("it to be read", lambda: cluster.primary.sql(
        "SHOW synchronous_standby_names") == "nobody")
    cluster.primary.sql("CHECKPOINT")  # the checkpointer puts it in force, before anything else
    yield
    if not cluster.primary.is_running():
        cluster.primary.start()
    cluster.primary.sql("ALTER SYSTEM RESET synchronous_standby_names")
    cluster.primary.sql("SELECT pg_reload_conf()")


WRITE = "UPDATE rows SET n = n + 1 WHERE id = 1"


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("begins, sql, sqlstate", [
    (["BEGIN", WRITE], "COMMIT", "08007"), ([], f"BEGIN; {WRITE}; COMMIT", "08007"),
    ([], WRITE, "08006")], ids=["block", "one message", "autocommit"])
def test_a_commit_that_nobody_has_confirmed_is_not_known(
        pooler, cluster, nobody_confirms, begins, sql, sqlstate, protocol):
    """It was committed, it is found out after the primary's restart: run again, it were twice."""
    if protocol == "extended" and sql.count(";"):
        pytest.skip("one statement a message")
    with pooler.raw() as client:
        for one in begins:
            client.query(one).check()
        client.send(unit(sql, protocol))
        proc.wait_until("the commit to wait", lambda: cluster.primary.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1")
        cluster.primary.kill()
        result = client.result()
        assert result.sqlstate == sqlstate
        assert "not known; it is not repeated" in result.errors[0].fields["H"]
        cluster.primary.start()
        assert client.query("ROLLBACK").status == "I"
        proc.wait_until("reads", lambda: client.query("SELECT 1").sqlstate is None, 20, 0.1)
        assert cluster.primary.sql("SELECT n FROM rows WHERE id = 1", "app") == "1"


def end_waiting_backend(cluster):
    """End the backend that waits for a confirmation: it has committed, and its client is not told."""
    proc.wait_until("the commit to wait", lambda: cluster.primary.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1")
    cluster.primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE wait_event = 'SyncRep'")


def end_sleeping_backend(cluster):
    proc.wait_until("it to sleep", lambda: cluster.primary.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE wait_event = 'PgSleep'") == "1")


def read_error(client):
    message = client.read_message()
    while message.kind != "E":
        message = client.read_message()
    return message.fields()


ONE_MORE = pgwire.bind() + pgwire.execute() + pgwire.SYNC
COMMITS = {  # what is sent ahead of the block, in the block, and for its end
    "unnamed": (b"", b"", pgwire.prepared("COMMIT")),
    "named": (b"", b"", pgwire.prepared("COMMIT", name="end")),
    "prepared before": (pgwire.parse("end", "COMMIT") + pgwire.SYNC, b"",
                        pgwire.bind("", "end") + pgwire.execute() + pgwire.SYNC),
    "parsed before": (b"", pgwire.parse("", "COMMIT") + pgwire.SYNC, ONE_MORE),
    "portal": (b"", pgwire.parse("", "COMMIT") + pgwire.bind("last") + pgwire.SYNC,
               pgwire.execute("last") + pgwire.SYNC),
    "stream": (b"", b"", pgwire.parse("", "COMMIT") + pgwire.FLUSH + ONE_MORE),
    "large": (b"", b"", pgwire.query(f"{WRITE} /*{'x' * 3000000}*/; COMMIT")),
    "many effects": (b"", b"", pgwire.query("SET work_mem = '4MB';" * 30 + "COMMIT")),
}


@pytest.mark.parametrize("database", ["app", "app_session"])
@pytest.mark.parametrize("how", list(COMMITS))
def test_a_commit_is_not_known_however_it_was_sent(
        pooler, cluster, nobody_confirms, database, how):
    """Also where nobody has looked at what it was: \"rolled back; run it again\" would be a lie."""
    before, ahead, end = COMMITS[how]
    with pooler.raw(database=database) as client:
        for data in (before, pgwire.query("BEGIN"), pgwire.query(WRITE), ahead):
            if data:
                client.run(data).check()
        client.send(end)
        end_waiting_backend(cluster)
        fields = read_error(client)
        assert fields["C"] == "08007" and "not known; it is not repeated" in fields["H"]
    assert cluster.primary.sql("SELECT n > 0 FROM rows WHERE id = 1", "app") == "t"


@pytest.mark.parametrize("database", ["app", "app_session"])
@pytest.mark.parametrize("protocol", ["simple", "extended", "portal"])
def test_a_write_in_a_block_that_is_lost_was_rolled_back(pooler, cluster, database, protocol):
    sql = "UPDATE rows SET n = n + 1 FROM pg_sleep(10) WHERE id = 2"
    with pooler.raw(database=database) as client:
        client.query("BEGIN").check()
        client.query(WRITE).check()
        if protocol == "portal":
            client.run(pgwire.parse("", sql) + pgwire.bind("slow") + pgwire.SYNC).check()
            client.send(pgwire.execute("slow") + pgwire.SYNC)
        else:
            client.send(unit(sql, protocol))
        end_sleeping_backend(cluster)
        fields = read_error(client)
        assert fields["C"] == "57P01" and "rolled back; run it again" in fields["H"]


@pytest.mark.parametrize("database, reader", [
    ("app", "its own client"), ("app_all", "another client"), ("app_session", "another client")])
def test_what_a_lost_write_has_committed_is_read(pooler, cluster, where, database, reader):
    """Its client was told that it is not known: its next read must not go where it cannot be seen."""
    with pooler.raw(database=database) as writer, pooler.raw(database="app_all") as other:
        if database != "app_session":
            wait_replica_read(writer, where)
        wait_replica_read(other, where)
        for standby in cluster.standbys:
            standby.pause_replay()
        writer.send(pgwire.query(f"DO $$BEGIN {WRITE}; COMMIT; PERFORM pg_sleep(20); END$$"))
        end_sleeping_backend(cluster)
        assert read_error(writer)["C"] == "57P01"
        client = writer if reader == "its own client" else other
        if client is writer:
            assert writer.read_message().kind == "Z"
        for _ in range(10):
            assert client.value("SELECT n FROM rows WHERE id = 1") == "1"
            time.sleep(0.1)
