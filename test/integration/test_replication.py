"""A client that asks for `replication` gets a server of its own: real pg_basebackup, a real standby,
pg_recvlogical and a real subscription through pgweir."""
import os
import subprocess
import time

import psycopg2
import psycopg2.extras
import pgwire
import pytest
from conftest import temporary_site
from pgwire import Closed
from rawclient import RawClient, ServerError
from tools import proc
from tools.cluster import Node

IDENTIFY = "IDENTIFY_SYSTEM"


@pytest.fixture(scope="module")
def own_site():
    yield from temporary_site(standbys=1, wal_level="logical", max_wal_senders=20,
                              max_replication_slots=20)


@pytest.fixture(scope="module")
def pooler(own_site):
    nodes = [own_site.cluster.primary]  # programs of physical replication ask for "replication"
    databases = {**own_site.app_on(nodes), "replication": own_site.app_on(nodes)["app"]}
    with own_site.pgweir(databases, settings={"query_timeout": 2, "server_lifetime": 5}) as daemon:
        yield daemon


@pytest.fixture
def superuser(own_site):
    return lambda sql, db="app": own_site.cluster.primary.sql(sql, db)


def walsender(pooler, user="copier", replication="true", **params):
    return pooler.raw(user, "app", replication=replication, **params)


def program(site, name, *args):
    return [f"{site.cluster.bindir}/{name}", *args]


def environment(pooler, **more):
    return {**pooler.env("copier", "app"), **more}


def no_walsender(superuser):
    return superuser("SELECT count(*) FROM pg_stat_replication WHERE usename = 'copier'") == "0"


# --- what it sees --------------------------------------------------------------------------------

def test_a_walsender_answers_its_own_commands(pooler, superuser):
    with walsender(pooler) as client:
        assert client.query(IDENTIFY).rows[0][0] == superuser(
            "SELECT system_identifier FROM pg_control_system()")
        assert client.value("SHOW server_version_num") == superuser("SHOW server_version_num")


def test_a_logical_walsender_runs_sql_with_the_clients_settings(pooler):
    with walsender(pooler, replication="database", DateStyle="German",
                   application_name="subscriber") as client:
        assert client.value("SELECT date '2026-11-22'") == "22.11.2026"
        assert client.value("SHOW application_name") == "subscriber"
        assert client.query(IDENTIFY).rows[0][3] == "app"
        with pytest.raises(ServerError) as error:
            client.query("IDENTIFY NOTHING").check()
        assert error.value.sqlstate == "42601"
        assert client.value("SELECT 1") == "1"


def test_it_is_shown_and_its_server_ends_with_it(pooler, superuser):
    with walsender(pooler, application_name="watched") as client:
        client.query(IDENTIFY).check()
        mine = pooler.show_one("CLIENTS", user="copier")
        assert mine["replication"] == "physical"
        assert pooler.show_one("SERVERS", user="copier")["replication"] == "physical"
        assert [p["cause"] for p in pooler.show("PINS") if p["user"] == "copier"] == ["replication"]
        assert superuser("SELECT application_name FROM pg_stat_activity"
                         " WHERE usename = 'copier'") == "watched"
    proc.wait_until("its server to end", lambda: not any(
        s["user"] == "copier" for s in pooler.show("SERVERS")), 20)
    proc.wait_until("its walsender to end", lambda: no_walsender(superuser), 20)


def test_a_refused_one_is_told_why_and_hurts_nobody(pooler):
    with pytest.raises((ServerError, Closed)) as error:
        with walsender(pooler, "app"):
            pass
    assert error.value.sqlstate in ("42501", "28000")
    with pooler.raw() as other:
        assert other.value("SELECT 1") == "1"


def test_a_word_that_is_none_is_refused(pooler):
    with RawClient(pooler.port) as client, pytest.raises(ServerError) as error:
        client.login("copier", pooler.passwords["copier"], "app", replication="perhaps")
    assert error.value.sqlstate == "22023"


# --- its place in the pool -----------------------------------------------------------------------

def test_it_takes_the_place_of_an_idle_server_and_waits_for_a_busy_one(own_site):
    with own_site.pgweir(settings={"default_pool_size": 1, "query_wait_timeout": 1}) as pooler:
        with pooler.raw("copier") as plain:
            plain.query("SELECT 1").check()
            with walsender(pooler) as first:
                first.query(IDENTIFY).check()
                with pytest.raises((ServerError, Closed)) as error:
                    with walsender(pooler):
                        pass
                assert error.value.sqlstate in ("53300", "57P03")
                assert "query_wait_timeout" in str(error.value)
            assert plain.value("SELECT 2") == "2"


def test_one_that_waits_gets_the_place_that_becomes_free(own_site):
    with own_site.pgweir(settings={"default_pool_size": 1}) as pooler:
        with pooler.raw("copier") as holder:
            holder.query("BEGIN").check()
            holder.query("SELECT 1").check()
            waiting = subprocess.Popen(
                program(own_site, "psql", "-XAtc", IDENTIFY, "dbname=app replication=true"),
                env={**os.environ, **environment(pooler)}, stdout=subprocess.PIPE, text=True)
            pooler.wait_show("POOLS", lambda row: row["cl_waiting"] == "1", user="copier")
            holder.query("COMMIT").check()
            assert "|" in waiting.communicate(timeout=20)[0]


# --- real programs -------------------------------------------------------------------------------

def test_a_base_backup_through_pgweir_becomes_a_standby_of_it(own_site, pooler, superuser):
    cluster = own_site.cluster
    copy = Node(cluster, "copy", proc.free_port())
    proc.run(program(own_site, "pg_basebackup", "-D", copy.data, "-X", "stream", "-c", "fast"),
             env=environment(pooler, PGAPPNAME="backup"))
    proc.run(program(own_site, "pg_verifybackup", copy.data))
    with open(f"{copy.data}/postgresql.auto.conf", "w", encoding="utf-8") as f:
        f.write(f"primary_conninfo = 'host=127.0.0.1 port={pooler.port} user=copier dbname=app "
                f"password={pooler.passwords['copier']} application_name=copy'\n")
    with open(f"{copy.data}/standby.signal", "w", encoding="utf-8"):
        pass
    copy.start()
    try:
        superuser("CREATE TABLE streamed AS SELECT generate_series(1, 100000) AS n")
        proc.wait_until("the rows to come through pgweir", lambda: copy.sql(
            "SELECT to_regclass('streamed') IS NOT NULL", "app") == "t", 30)
        proc.wait_until("all of them", lambda: copy.sql(
            "SELECT count(*) FROM streamed", "app") == "100000", 30)
        assert superuser("SELECT state FROM pg_stat_replication"
                         " WHERE application_name = 'copy'") == "streaming"
        time.sleep(3)  # longer than query_timeout
        superuser("INSERT INTO streamed VALUES (0)")
        proc.wait_until("the stream to go on", lambda: copy.sql(
            "SELECT count(*) FROM streamed", "app") == "100001", 30)
    finally:
        copy.stop("immediate")
    proc.wait_until("its walsender to end", lambda: no_walsender(superuser), 20)


def test_logical_decoding_both_ways(pooler, superuser):
    superuser("CREATE TABLE decoded (n int)")
    conn = psycopg2.connect(**pooler._target("copier", "app"),
                            connection_factory=psycopg2.extras.LogicalReplicationConnection)
    cur = conn.cursor()
    cur.create_replication_slot("through_pgweir", output_plugin="test_decoding")
    try:
        cur.start_replication("through_pgweir", decode=True, options={"include-xids": "0"})
        superuser("INSERT INTO decoded VALUES (41); INSERT INTO decoded VALUES (42)")
        seen, end = [], time.monotonic() + 20
        while "COMMIT" not in seen[-1:] or not any("42" in s for s in seen):
            assert time.monotonic() < end, seen
            message = cur.read_message()
            if message is None:
                time.sleep(0.01)
                continue
            seen.append(message.payload)
            cur.send_feedback(flush_lsn=message.data_start, reply=True)
        assert [s for s in seen if "INSERT" in s] == [
            f"table public.decoded: INSERT: n[integer]:{n}" for n in (41, 42)]
        proc.wait_until("the feedback to arrive", lambda: superuser(
            "SELECT confirmed_flush_lsn > restart_lsn FROM pg_replication_slots"
            " WHERE slot_name = 'through_pgweir'") == "t", 20)
    finally:
        conn.close()
        proc.wait_until("the slot to be free", lambda: superuser(
            "SELECT active FROM pg_replication_slots") == "f", 20)
        superuser("SELECT pg_drop_replication_slot('through_pgweir')")


def test_a_subscription_through_pgweir(own_site, pooler, superuser):
    superuser("CREATE TABLE published (n int PRIMARY KEY); INSERT INTO published VALUES (1);"
              " GRANT SELECT ON published TO copier; CREATE PUBLICATION p FOR TABLE published")
    own_site.cluster.create_database("subscriber")
    here = f"host=127.0.0.1 port={pooler.port} user=copier dbname=app " \
           f"password={pooler.passwords['copier']}"
    superuser("CREATE TABLE published (n int PRIMARY KEY)", "subscriber")
    # the slot is made apart: both databases are of one cluster, and CREATE would wait for itself
    superuser("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    superuser(f"CREATE SUBSCRIPTION s CONNECTION '{here}' PUBLICATION p"
              " WITH (create_slot = false, slot_name = 's')", "subscriber")
    try:
        superuser("INSERT INTO published VALUES (2)")
        proc.wait_until("both rows to be there", lambda: superuser(
            "SELECT string_agg(n::text, ',' ORDER BY n) FROM published", "subscriber") == "1,2", 40)
    finally:
        superuser("ALTER SUBSCRIPTION s DISABLE", "subscriber")
        superuser("ALTER SUBSCRIPTION s SET (slot_name = NONE)", "subscriber")
        superuser("DROP SUBSCRIPTION s", "subscriber")


def test_a_client_that_breaks_off_frees_its_walsender(pooler, superuser):
    client = walsender(pooler)
    lsn = client.query(IDENTIFY).rows[0][2]
    client.send(pgwire.query(f"START_REPLICATION {lsn}"))
    proc.wait_until("the stream to begin", lambda: superuser(
        "SELECT count(*) FROM pg_stat_replication WHERE usename = 'copier'") == "1", 10)
    client.close()
    proc.wait_until("its walsender to end", lambda: no_walsender(superuser), 20)
