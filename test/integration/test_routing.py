"""Reads go to replicas, everything else to the primary; the application sees one database."""
import collections
import re
import time
import urllib.request

import pgwire
import pytest
from tools import proc
from where import new_mark, wait_replica_read, wait_routing, where_fixture

READS = [
    "SELECT 1", "select count(*) from pgbench_accounts where aid < 10", "TABLE pgbench_branches",
    "VALUES (1), (2)", "WITH x AS (SELECT 1) SELECT * FROM x", "(SELECT 1) UNION (SELECT 2)",
    "SELECT 'DELETE FROM pgbench_branches'", "SELECT $a$ INSERT INTO $a$",
    "SELECT now(), current_date", "SELECT bid AS \"update\" FROM pgbench_branches",
    "EXPLAIN SELECT 1", "-- a comment\nSELECT /* nested /* DROP */ */ 1;",
    "SELECT 1; SELECT 2", "SELECT substring('abc' FOR 2)", "SELECT upper('x'), random() < 2",
    "SELECT steady(1)", "SELECT * FROM plain_view", "COPY (SELECT 1) TO STDOUT",
]
WRITES = [
    "UPDATE pgbench_branches SET bbalance = bbalance", "DELETE FROM pgbench_history WHERE false",
    "INSERT INTO pgbench_history DEFAULT VALUES", "SELECT 1; DELETE FROM pgbench_history",
    "WITH d AS (DELETE FROM pgbench_history RETURNING 1) SELECT count(*) FROM d",
    "SELECT * FROM pgbench_branches FOR UPDATE", "SELECT * FROM pgbench_branches FOR KEY SHARE",
    "SELECT nextval('ticket')", "SELECT last_value FROM ticket", "NOTIFY nobody",
    "EXPLAIN ANALYZE DELETE FROM pgbench_history", "SELECT pg_is_in_recovery()",
    "SELECT pg_current_wal_lsn()", "SELECT pg_advisory_xact_lock(1)", "SELECT txid_current()",
    "DO $$ BEGIN END $$", "CALL idle_procedure()", "SELECT moody()", "SELECT \"moody\"()",
    "SELECT * FROM moody_view", "SELECT * FROM not_logged", "CREATE TABLE IF NOT EXISTS "
    "pgbench_history (a int)", "ANALYZE pgbench_branches", "SHOW transaction_read_only",
    "SELECT count(*) FROM pg_stat_activity", "SELECT 1 INTO TEMP passing; DROP TABLE passing",
]
OBJECTS = """
    CREATE SEQUENCE ticket;
    CREATE UNLOGGED TABLE not_logged (a int);
    CREATE FUNCTION steady(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION moody() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
    CREATE VIEW plain_view AS SELECT bid FROM pgbench_branches;
    CREATE VIEW moody_view AS SELECT moody();
    CREATE PROCEDURE idle_procedure() LANGUAGE sql AS 'SELECT 1';
    CREATE SEQUENCE secret_ticket;
    CREATE FUNCTION liar() RETURNS bigint STABLE LANGUAGE plpgsql AS $$ DECLARE n bigint;
        BEGIN EXECUTE 'SELECT next' || 'val(''secret' || '_ticket'')' INTO n; RETURN n; END $$;
    CREATE FUNCTION other_liar() RETURNS bigint STABLE LANGUAGE plpgsql AS $$ DECLARE n bigint;
        BEGIN EXECUTE 'SELECT next' || 'val(''secret' || '_ticket'')' INTO n; RETURN n; END $$;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app;
"""
DROP_OBJECTS = """
    DROP VIEW plain_view, moody_view;
    DROP FUNCTION steady, moody, liar, other_liar; DROP PROCEDURE idle_procedure;
    DROP TABLE not_logged; DROP SEQUENCE ticket, secret_ticket;
"""
SAMPLES_PASS = 0.25  # seconds; the monitor samples in less, which clears the client's marks


where = where_fixture("site")


@pytest.fixture(scope="module")
def pooler(site, where):
    site.cluster.primary.sql(OBJECTS, "app")
    site.cluster.wait_caught_up()
    with site.pgweir_routed(settings={"default_pool_size": 5}) as p:
        wait_routing(p, where)
        yield p
    site.cluster.primary.sql(DROP_OBJECTS, "app")


@pytest.fixture
def client(pooler):
    with pooler.raw() as one:
        yield one


def is_replica(nodes):
    return len(nodes) == 1 and next(iter(nodes)).startswith("standby")


def by_protocol(statements):
    """Each statement in both protocols; several in one message are for the simple one alone."""
    return pytest.mark.parametrize("sql, extended", [
        (s, extended) for s in statements for extended in (False, True)
        if not extended or ";" not in s[:-1]])


@by_protocol(READS)
def test_reads_run_on_a_replica(client, where, sql, extended):
    result, nodes = where.run(client, sql, extended)
    result.check()
    assert is_replica(nodes), nodes


@by_protocol(WRITES)
def test_everything_else_runs_on_the_primary(client, where, sql, extended):
    result, nodes = where.run(client, sql, extended)
    # what defines objects is followed by a cleaning, which may be what the node has run last
    assert nodes == {"primary"} or (sql.startswith("CREATE ") and not nodes), (nodes, result.errors)
    result.check()


def test_reads_are_shared_by_the_replicas(pooler, where):
    """By client: one that reads without a pause stays, for the other replica is not known to have
    what it has just seen."""
    wait_routing(pooler, where)  # the writes before have defined objects: the catalog is old
    counts = collections.Counter()
    for _ in range(100):
        with pooler.raw() as client:
            counts[where.of(client)] += 1
    # the faster one gets more, and a machine that is busy elsewhere makes one of them slow
    assert set(counts) == {"standby1", "standby2"} and min(counts.values()) >= 3


def test_prepared_statement_keeps_its_verdict(client, where):
    read, write = "/* mark kept-read */ SELECT 1", "/* mark kept-write */ SELECT moody()"
    client.run(pgwire.parse("r", read) + pgwire.parse("w", write) + pgwire.SYNC).check()
    time.sleep(SAMPLES_PASS)
    for name, mark, replica in (("r", "kept-read", True), ("w", "kept-write", False)):
        client.run(pgwire.bind("", name) + pgwire.execute() + pgwire.SYNC).check()
        nodes = where.ran(f"/* mark {mark} */")
        assert is_replica(nodes - {"primary"}) if replica else "primary" in nodes


def test_series_of_several_statements_goes_where_all_may_run(client, where):
    def series(*statements):
        return b"".join(pgwire.parse("", s) + pgwire.bind() + pgwire.execute()
                        for s in statements) + pgwire.SYNC
    client.run(series("/* mark s1 */ SELECT 1", "/* mark s2 */ SELECT 2")).check()
    assert is_replica(where.ran("/* mark s2 */"))
    client.run(series("/* mark s3 */ SELECT 1",
                      "/* mark s4 */ UPDATE pgbench_branches SET bid = bid")).check()
    assert where.ran("/* mark s4 */") == {"primary"}


def test_plain_block_runs_on_the_primary(client, where):
    client.query("BEGIN").check()
    assert where.of(client) == "primary"
    assert where.of(client) == "primary"
    client.query("COMMIT").check()


@pytest.mark.parametrize("begin", [
    ["BEGIN READ ONLY"], ["START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"],
    ["BEGIN", "SET TRANSACTION READ ONLY"], ["SET default_transaction_read_only = on", "BEGIN"],
])
def test_read_only_block_runs_on_one_replica(client, where, begin):
    for sql in begin:
        client.query(sql).check()
    time.sleep(SAMPLES_PASS)  # SET is no proven read
    nodes = {where.of(client) for _ in range(5)}
    assert is_replica(nodes), nodes
    client.query("COMMIT AND CHAIN").check()
    assert {where.of(client) for _ in range(3)} == nodes
    assert client.query("UPDATE pgbench_branches SET bid = bid").sqlstate == "25006"
    client.query("ROLLBACK").check()


def test_read_only_block_becoming_read_write_runs_on_the_primary(client, where):
    client.query("BEGIN READ ONLY").check()
    client.query("SET TRANSACTION READ WRITE").check()
    assert where.of(client, "UPDATE pgbench_branches SET bid = bid") == "primary"
    client.query("ROLLBACK").check()


@pytest.mark.parametrize("whose", ["ROLE other", "DATABASE app"])
def test_blocks_are_read_only_where_the_server_says_so(site, where, superuser, whose):
    """default_transaction_read_only of the role or of the database, which no statement shows."""
    superuser(f"ALTER {whose} SET default_transaction_read_only = on")
    try:
        with site.pgweir_routed() as p:
            wait_routing(p, where)
            with p.raw("other") as client:
                wait_replica_read(client, where)
                client.query("BEGIN").check()
                assert is_replica({where.of(client)})
                assert client.value("SHOW transaction_read_only") == "on"
                client.query("COMMIT").check()
                client.query("BEGIN READ WRITE").check()
                assert where.of(client) == "primary"
                client.query("COMMIT").check()
    finally:
        superuser("SET default_transaction_read_only = off;"
                  f"ALTER {whose} RESET default_transaction_read_only")


def test_strings_end_where_the_clients_setting_says(client, where):
    """Without standard_conforming_strings it is one string, with it a statement behind another."""
    sql = "SELECT 'a\\'; DELETE FROM pgbench_history; --'"
    client.query("SET standard_conforming_strings = off").check()
    client.query("SET escape_string_warning = off").check()
    wait_replica_read(client, where)
    result, nodes = where.run(client, sql)
    assert result.check().tags == ["SELECT 1"] and is_replica(nodes)
    client.query("SET standard_conforming_strings = on").check()
    wait_replica_read(client, where)
    result, nodes = where.run(client, sql)
    assert result.check().tags[-1].startswith("DELETE") and nodes == {"primary"}


def test_serializable_block_runs_on_the_primary(client, where):
    client.query("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY").check()
    assert where.of(client) == "primary"
    client.query("ROLLBACK").check()


@pytest.mark.parametrize("whose", ["ROLE other", "DATABASE app"])
def test_whose_default_is_serializable_reads_on_the_primary(site, where, superuser, whose):
    """A standby refuses each statement of such a session. No login there fails for it, so who
    takes back the default for himself reads there."""
    where.ran("nothing")  # it is connected to all nodes, with another default
    superuser(f"ALTER {whose} SET default_transaction_isolation = serializable")
    site.cluster.wait_caught_up()
    try:
        with site.pgweir_routed("primary_reads=never", settings={"query_wait_timeout": 5}) as p:
            p.wait_show("NODES", lambda r: r["is_primary"] == "1", 20,
                        node=f"127.0.0.1:{site.cluster.primary.port}")
            with p.raw("other") as client:
                client.query("SELECT 1 FOR UPDATE").check()
                p.wait_log("catalog loaded")
                for _ in range(5):
                    assert where.of(client) == "primary"
                client.query("BEGIN READ ONLY").check()
                assert where.of(client) == "primary"
                client.query("COMMIT").check()
                assert "(unknown)" in str(client.query("EXPLAIN ROUTE SELECT 1").rows)
                assert replays(p, "unsupported") == 0
                client.query("SET default_transaction_isolation = 'read committed'").check()
                client.query("SET search_path = public").check()  # set by a function, behind that
                wait_replica_read(client, where)
                assert replays(p, "unsupported") == 0
                client.query("SET search_path = public, pg_catalog").check()
                wait_replica_read(client, where)
                assert replays(p, "unsupported") == 0
                client.query("SET default_transaction_isolation = 'serializable'").check()
                assert where.of(client) == "primary"
            assert "server login failed" not in p.log_text()
    finally:
        superuser(f"ALTER {whose} RESET default_transaction_isolation")
        site.cluster.wait_caught_up()


def test_a_unit_larger_than_max_unit_size_is_the_primarys(site, where):
    with site.pgweir_routed(settings={"max_unit_size": "64kB"}) as p:
        wait_routing(p, where)
        for extended in (False, True):
            with p.raw() as client:
                wait_replica_read(client, where)
                assert is_replica({where.of(client, "SELECT 1 --" + 60_000 * "x", extended)})
                large = "SELECT pg_sleep(0.2) --" + 70_000 * "x"
                assert where.of(client, large, extended) == "primary"
                assert len(p.show("PINS")) == (not extended), "it may have done anything"
        row = p.show_one("ROUTES", reason="streamed")
        assert (row["verdict"], row["units"]) == ("unknown", "2")
        assert int(row["server_time"]) >= 400_000
        assert row["node"] == f"127.0.0.1:{site.cluster.primary.port}"


def test_one_replica_that_is_serializable_keeps_no_read_from_the_others(site, where):
    """In its own postgresql.conf: that says nothing of sessions on another node. What it refuses
    runs on the primary."""
    odd, other = site.cluster.standbys
    name = "default_transaction_isolation"

    def change(how, value):
        odd.sql(f"SET {name} = 'read committed';\nALTER SYSTEM {how};\nSELECT pg_reload_conf()")
        proc.wait_until(value, lambda: odd.sql(f"SHOW {name}") == value)

    change(f"SET {name} = serializable", "serializable")
    try:
        with site.pgweir_routed(settings={"workers": 1}) as p:
            wait_routing(p, where)
            p.wait_log("catalog loaded")
            with p.raw() as client:
                client.query("SELECT 1 FOR UPDATE").check()
                proc.wait_until("the odd one to be asked", lambda: client.query("SELECT 1").check()
                                and replays(p, "unsupported") > 0)
                assert "(unknown)" not in str(client.query("EXPLAIN ROUTE SELECT 1").check().rows)
                proc.wait_until("reads on the other", lambda: where.of(client) == other.name)
    finally:
        change(f"RESET {name}", "read committed")


def test_settings_follow_to_every_node(client, where):
    client.query("SET work_mem = '6MB'").check()
    seen = set()
    for i in range(40):
        sql = ("SELECT setting FROM (SELECT current_setting('work_mem') AS setting) s"
               if i % 2 else "SELECT moody()")
        result, nodes = where.run(client, sql)
        seen |= nodes
        assert result.value() in ("6MB", "1")
    assert "primary" in seen
    assert client.value("SHOW work_mem") == "6MB"


def test_pipelined_units_for_different_nodes_are_answered_in_order(client):
    sqls = ["SELECT 'read'", "SELECT 'write' FROM moody()"] * 30
    client.send(b"".join(pgwire.query(s) for s in sqls))
    assert [client.result().value() for _ in sqls] == ["read", "write"] * 30


def test_session_looks_like_one_with_the_primary(pooler, client):
    assert client.parameters.get("in_hot_standby", "off") == "off"
    for _ in range(4):
        assert client.value("SELECT pg_is_in_recovery()") == "f"
        assert client.value("SHOW transaction_read_only") == "off"
        assert client.query("SELECT 1").kinds == "TDCZ", "no ParameterStatus of a replica"
    pooler.connect(target_session_attrs="read-write").close()


def test_route_of_an_entry_fixes_the_role(site, where):
    entry = site.app_on(site.cluster.nodes)["app"]
    databases = {"app": entry, "app_rw": entry + " route=primary",
                 "app_ro": entry + " route=replica"}
    with site.pgweir(databases) as p:
        wait_routing(p, where)
        with p.raw(database="app_rw") as rw, p.raw(database="app_ro") as ro:
            wait_replica_read(ro, where)
            assert {where.of(rw) for _ in range(5)} == {"primary"}
            assert {where.of(ro) for _ in range(5)} <= {"standby1", "standby2"}
            result, nodes = where.run(ro, "UPDATE pgbench_branches SET bid = bid")
            assert result.sqlstate == "25006" and is_replica(nodes)


@pytest.fixture(scope="module", params=["fallback", "never"])
def lone_replica(request, site, where):
    """An entry for replicas that has but one of them."""
    nodes = [site.cluster.primary, site.cluster.standbys[0]]
    databases = site.app_on(nodes, f"route=replica primary_reads={request.param}")
    with site.pgweir(databases, settings={"query_wait_timeout": 15}) as p:
        wait_routing(p, where, 1)
        p.wait_log("catalog loaded")
        yield p


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("sqls", [[], ["BEGIN READ ONLY"], ["BEGIN READ ONLY", "SELECT 1"], [
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SELECT 1"]], ids=" ".join)
def test_what_the_only_replica_refuses_is_told_at_once(lone_replica, where, sqls, extended):
    """Nobody else may say otherwise: no node is waited for."""
    replica = lone_replica.site.cluster.standbys[0].name
    with lone_replica.raw() as client:
        wait_replica_read(client, where)
        for sql in sqls:
            client.query(sql).check()
        result, nodes = where.run(client, "SELECT n FROM nowhere", extended)
        assert (result.sqlstate, nodes) == ("42P01", {replica})
        client.query("ROLLBACK").check()
        assert where.of(client) == replica


@pytest.mark.parametrize("set_by", ["client", "role"])
def test_who_is_serializable_has_nothing_of_an_entry_for_replicas(
        lone_replica, where, superuser, set_by):
    """A standby says so to each statement, at once; the primary is not what the entry is for."""
    superuser("ALTER ROLE other SET default_transaction_isolation = " +
              ("serializable" if set_by == "role" else "'read committed'"))
    lone_replica.site.cluster.wait_caught_up()
    lone_replica.admin("RECONNECT")
    try:
        with lone_replica.raw("other") as client:
            if set_by == "client":
                wait_replica_read(client, where)
                client.query("SET default_transaction_isolation = serializable").check()
            for sql in ("SELECT 1", "TABLE pgbench_branches", "SELECT 1 FOR UPDATE"):
                result, nodes = where.run(client, sql)
                assert (result.sqlstate, is_replica(nodes)) == ("0A000", True), result.errors
            client.query("BEGIN READ ONLY").check()
            assert client.query("SELECT 1").sqlstate == "0A000"
            client.query("ROLLBACK").check()
            client.query("SET default_transaction_isolation = 'read committed'").check()
            assert is_replica({where.of(client)})
    finally:
        superuser("ALTER ROLE other RESET default_transaction_isolation")
        lone_replica.site.cluster.wait_caught_up()


@pytest.mark.parametrize("block", [False, True], ids=["lone", "READ ONLY"])
def test_read_that_is_lost_with_the_connection_to_the_only_replica_runs_again(
        lone_replica, where, block):
    """A lone one on the primary meanwhile, if that may have it."""
    replica = lone_replica.site.cluster.standbys[0]
    with lone_replica.raw() as client:
        wait_replica_read(client, where)
        if block:
            client.query("BEGIN READ ONLY").check()
        mark = new_mark()
        client.send(pgwire.query(f"{mark}SELECT 7 FROM pg_sleep(1)"))
        proc.wait_until("it to run", lambda: where.ran(mark))
        replica.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
                    f"pg_backend_pid() AND position('{mark}' IN query) > 0")
        assert client.result().value() == "7"
        if block or "never" in lone_replica.databases["app"]:
            assert where.ran(mark) == {replica.name}
        client.query("ROLLBACK").check()


def test_routing_off_takes_hosts_as_equals(site, where):
    entry = site.app_on(site.cluster.standbys, "routing=off")["app"]
    with site.pgweir({"app": entry}) as p, p.raw() as one, p.raw() as two:
        one.query("BEGIN").check()
        two.query("BEGIN").check()
        assert {where.of(c, "SELECT count(*) FROM pgbench_branches") for c in (one, two)} \
            <= {"standby1", "standby2"}


def test_list_without_a_primary_says_so(site):
    databases = site.app_on(site.cluster.standbys, "routing=on")
    with site.pgweir(databases, settings={"query_wait_timeout": 2}) as p:
        with pytest.raises(Exception) as told:
            with p.raw() as client:
                client.query("UPDATE pgbench_branches SET bid = bid").check()
        assert "57P03" in str(told.value)
        assert "route" in getattr(told.value, "fields", {}).get("H", "")


def test_refused_write_on_a_replica_is_run_on_the_primary(client, where):
    """liar() is labelled STABLE but takes a number from a sequence, which its body hides."""
    wait_replica_read(client, where)
    result, nodes = where.run(client, "SELECT liar()")
    assert len(nodes) == 2 and "primary" in nodes, "it was taken for a read"
    assert int(client.prepared("SELECT liar()").value()) == int(result.value()) + 1
    wait_replica_read(client, where)
    _, nodes = where.run(client, "SELECT liar()")
    assert nodes == {"primary"}, "the refusal was remembered"


def replays(pooler, cause, database="app"):
    url = f"http://127.0.0.1:{pooler.stats_port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(rf'^pgweir_replays_total.database="{database}",cause="{cause}". (\d+)$', text,
                      re.MULTILINE)
    return int(found.group(1)) if found else 0  # nobody has used it yet


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("sqlstate, cause", [
    ("08006", "lost"), ("53100", "resources"), ("53200", "resources"), ("53300", "resources"),
    ("53400", "resources"), ("55P03", "resources"), ("57P01", "shutdown"), ("57P04", "shutdown"),
    ("57P05", "shutdown"), ("58000", "system"), ("58030", "system"), ("XX000", "system"),
    ("XX001", "system"), ("55000", "unsupported"), ("0A000", "unsupported"), ("42P01", "missing"),
    ("42883", "missing"), ("42703", "missing"), ("42704", "missing"), ("3F000", "missing"),
    ("40001", "conflict"), ("40P01", "conflict"), ("57P02", "shutdown"), ("57P03", "shutdown"),
    ("08001", "lost"), ("22P02", "other"), ("22012", "other"), ("42501", "missing"), ("P0001", "other")])
def test_what_only_a_replica_lacks_is_no_error_of_the_clients(
        pooler, site, client, superuser, sqlstate, cause, extended):
    """weak() is a read; what a standby answers it stands for a lack of its own."""
    before = replays(pooler, cause)
    superuser("CREATE FUNCTION weak() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN "
              f"IF pg_is_in_recovery() THEN RAISE SQLSTATE '{sqlstate}'; END IF; RETURN 1; END $$")
    try:
        site.cluster.wait_caught_up()
        for _ in range(4):  # each of them begins on a replica
            result = client.prepared("SELECT weak()") if extended else client.query("SELECT weak()")
            assert result.value() == "1"
        assert client.value("SELECT 2") == "2"
        assert replays(pooler, cause) >= before + 4
    finally:
        superuser("DROP FUNCTION weak")


def test_what_the_replica_has_not_replayed_is_no_error_of_the_clients(site, where, superuser):
    """The client takes old rows; that it may read the table at all, the replicas do not know yet."""
    superuser("CREATE TABLE granted AS SELECT 'sad' AS mood; CREATE TYPE mood AS ENUM ('sad')")
    site.cluster.wait_caught_up()
    with site.pgweir_routed("consistency=eventual max_lag=60s") as p, p.raw() as client:
        wait_routing(p, where)
        assert client.query("SELECT mood FROM granted").sqlstate == "42501", "the primary's, too"
        for standby in site.cluster.standbys:
            standby.pause_replay()
        try:
            superuser("GRANT SELECT ON granted TO app; ALTER TYPE mood ADD VALUE 'happy'")
            for sql in ("SELECT mood FROM granted", "SELECT 'happy'::mood"):
                result, nodes = where.run(client, sql)
                assert result.check().rows and len(nodes) == 2 and "primary" in nodes
            assert is_replica({where.of(client)})
        finally:
            for standby in site.cluster.standbys:
                standby.resume_replay()
            superuser("DROP TABLE granted; DROP TYPE mood")


@pytest.fixture
def lacks_late(site, where, superuser):
    """A pgweir of one server on each node; no replica has replayed the role `late`, nor what else is
    called so."""
    superuser("CREATE SCHEMA own; CREATE TABLE own.place AS SELECT 'own' AS name;"
              "CREATE TABLE place AS SELECT 'public' AS name;"
              "GRANT USAGE ON SCHEMA own TO PUBLIC; GRANT SELECT ON own.place, place TO PUBLIC")
    site.cluster.wait_caught_up()
    settings = {"default_pool_size": 1, "workers": 1}
    with site.pgweir_routed("consistency=eventual max_lag=60s", settings=settings) as p:
        wait_routing(p, where)
        p.wait_log("catalog loaded")
        with p.raw() as client:
            proc.wait_until("both replicas to have read", lambda: where.of(client) != "primary" and
                            len(servers_on_replicas(p, site)) == 2)
        for standby in site.cluster.standbys:
            standby.pause_replay()
        try:
            superuser("CREATE ROLE late; GRANT late TO app; GRANT USAGE ON SCHEMA own TO late;"
                      "CREATE TEXT SEARCH CONFIGURATION late (COPY = simple)")
            yield p
        finally:
            for standby in site.cluster.standbys:
                standby.resume_replay()
            superuser("DROP TABLE place; DROP SCHEMA own CASCADE; DROP ROLE IF EXISTS late;"
                      "DROP TEXT SEARCH CONFIGURATION IF EXISTS late")


def servers_on_replicas(pooler, site):
    """Their ids: those of the application."""
    ports = {str(s.port) for s in site.cluster.standbys}
    return {r["ptr"] for r in pooler.show("SERVERS") if r["user"] == "app" and r["port"] in ports}


PLACE = "SELECT name, current_user FROM place"


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_settings_that_a_replica_refuses_are_in_force_nowhere_else(
        lacks_late, site, where, extended):
    """The read that they go ahead of runs on the primary; no later one finds that server as if they
    had been set there. The server itself is as good as ever."""
    p = lacks_late
    there = servers_on_replicas(p, site)
    before = replays(p, "other")
    with p.raw(options="-c role=late -c search_path=own") as client:
        for _ in range(6):
            result, nodes = where.run(client, PLACE, extended)
            assert result.check().rows == [("own", "late")] and "primary" in nodes
        client.send((pgwire.prepared if extended else pgwire.query)(PLACE) * 3)
        assert [client.result().check().rows for _ in range(3)] == 3 * [[("own", "late")]]
        for sqls in (["BEGIN READ ONLY"], ["BEGIN READ ONLY", "RESET ROLE", "SET LOCAL ROLE late"]):
            for sql in sqls:
                client.query(sql).check()
            for _ in range(2):
                result, nodes = where.run(client, PLACE, extended)
                assert result.check().rows == [("own", "late")] and "primary" in nodes
            client.query("ROLLBACK").check()
    assert replays(p, "other") > before
    with p.raw(options="-c search_path=own") as client:
        for _ in range(4):
            result, nodes = where.run(client, PLACE, extended)
            assert result.check().rows == [("own", "app")] and is_replica(nodes)
    for standby in site.cluster.standbys:
        standby.resume_replay()
    site.cluster.wait_caught_up()
    with p.raw(options="-c role=late -c search_path=own") as client:
        for _ in range(4):
            result, nodes = where.run(client, PLACE, extended)
            assert result.check().rows == [("own", "late")] and is_replica(nodes)
    assert servers_on_replicas(p, site) == there


def test_custom_names_that_a_replica_has_not_made_are_made_once_more(lacks_late, where):
    """A name goes behind the settings, and fails with them."""
    mine = "SELECT current_setting('app.mine', true)"
    with lacks_late.raw() as client:
        for sql in ("SET app.mine = '1'", "RESET app.mine", "SET default_text_search_config = 'late'"):
            client.query(sql).check()
        for _ in range(4):
            result, nodes = where.run(client, mine)
            assert result.check().value() == "" and "primary" in nodes
        client.query("RESET default_text_search_config").check()
        for _ in range(4):
            result, nodes = where.run(client, mine)
            assert result.check().value() == "" and is_replica(nodes)


def test_what_has_nothing_to_do_with_the_replica_is_told_at_once(client, where):
    wait_replica_read(client, where)
    result, nodes = where.run(client, "SELECT FROM WHERE")
    assert result.sqlstate == "42601" and is_replica(nodes)


def test_a_timeout_strikes_where_the_primary_says_so(pooler, client, where):
    """It may have come of the replica alone, as any other error may."""
    client.query("SET statement_timeout = 50").check()
    wait_replica_read(client, where)
    before = replays(pooler, "canceled")
    result, nodes = where.run(client, "SELECT pg_sleep(9)")
    assert result.sqlstate == "57014" and len(nodes) == 2 and "primary" in nodes
    assert replays(pooler, "canceled") == before + 1


def test_a_replica_that_takes_no_logins_costs_no_read(site, where):
    """The monitor may log in there, the application may not."""
    node = site.cluster.standbys[0]
    path = f"{node.data}/pg_hba.conf"
    with open(path, encoding="utf-8") as f:
        kept = f.read()

    def set_hba(text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        node.sql("SELECT pg_reload_conf()")

    def reads():
        for c in clients:
            result, nodes = where.run(c, "SELECT 1")
            assert not result.errors, result.errors
            ran.update(nodes)
        return ran
    set_hba("host all app all reject\n" + kept)
    try:
        with site.pgweir_routed(settings={"server_login_retry": 1}) as p:
            wait_routing(p, where)
            clients, ran = [p.raw() for _ in range(8)], set()
            for _ in range(10):
                assert node.name not in reads()
            assert p.show_one("NODES", node=f"127.0.0.1:{node.port}")["health"] == "up"
            p.wait_log("server login failed")
            set_hba(kept)
            proc.wait_until("reads there, too", lambda: node.name in reads(), 20, 0.1)
            for c in clients:
                c.close()
    finally:
        set_hba(kept)


def test_refused_write_in_a_read_only_block_is_the_clients_error(pooler, client, where):
    wait_replica_read(client, where)
    client.query("BEGIN READ ONLY").check()
    result, nodes = where.run(client, "SELECT other_liar()")
    assert result.sqlstate == "25006" and is_replica(nodes), "nor does it run again"
    client.query("ROLLBACK").check()
    assert not [r for r in pooler.show("LEARNED") if "other_liar" in r["statement"]]


@pytest.mark.parametrize("sqls", [["{}"], ["DO $do$ BEGIN {}; END $do$"], ["BEGIN", "{}", "COMMIT"]],
                         ids=["plain", "DO", "in a block"])
def test_new_volatile_function_is_known_at_once(client, site, where, superuser, sqls):
    """Also when reads run on replicas again."""
    wait_replica_read(client, where)
    try:
        for sql in sqls:
            client.query(sql.format("CREATE FUNCTION fresh() RETURNS int VOLATILE LANGUAGE sql "
                                    "AS 'SELECT inet_server_port()'")).check()
        for _ in range(5):
            assert client.value("SELECT fresh()") == str(site.cluster.primary.port)
        # its server on the primary may be asked something by pgweir behind it: no mark is there
        proc.wait_until("reads on a replica", lambda: is_replica(where.run(client, "SELECT 1")[1]), 20)
        assert client.value("SELECT fresh()") == str(site.cluster.primary.port)
    finally:
        superuser("DROP FUNCTION IF EXISTS fresh")


def wait_replica_read_of(client, where, sql, extended):
    """It may be that a moment long no replica is fit."""
    proc.wait_until(f"{sql} on a replica", lambda: where.of(client, sql, extended) != "primary",
                    10, 0.1)


FOREIGN = """
    CREATE EXTENSION postgres_fdw;
    CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw
        OPTIONS (host '127.0.0.1', port '{port}', dbname 'app');
    CREATE USER MAPPING FOR PUBLIC SERVER itself OPTIONS (user 'app', password '{password}');
    CREATE TABLE is_far (a int); CREATE TABLE is_near (a int);
    INSERT INTO is_far VALUES (1); INSERT INTO is_near VALUES (1);
    CREATE FOREIGN TABLE far_table (a int) SERVER itself OPTIONS (table_name 'is_far');
    CREATE TABLE half_far (a int) PARTITION BY LIST (a);
    CREATE FOREIGN TABLE half_far_1 PARTITION OF half_far FOR VALUES IN (1) SERVER itself
        OPTIONS (table_name 'is_far');
    CREATE TABLE half_far_2 PARTITION OF half_far FOR VALUES IN (2);
    CREATE VIEW far_view AS SELECT a FROM far_table;
    CREATE VIEW view_of_view AS SELECT count(*) FROM half_far, far_view;
    GRANT SELECT ON is_far, is_near, far_table, half_far, half_far_1, half_far_2, far_view,
        view_of_view TO app;
"""
DROP_FOREIGN = """
    DROP VIEW view_of_view, far_view; DROP TABLE half_far; DROP FOREIGN TABLE far_table;
    DROP TABLE is_far, is_near; DROP EXTENSION postgres_fdw CASCADE;
"""


def test_what_reaches_a_foreign_table_runs_on_the_primary(site, where, superuser):
    """Plain, as a partition, behind views. Replicas would answer it too: nothing is refused."""
    if superuser("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'") != "1":
        pytest.skip("there is no postgres_fdw here")
    superuser(FOREIGN.format(port=site.cluster.primary.port, password=site.passwords["app"]))
    try:
        site.cluster.wait_caught_up()
        with site.pgweir_routed("max_lag=10s") as p, p.raw() as client:
            wait_routing(p, where)
            wait_replica_read(client, where)
            for extended in (False, True):
                for near in ("is_far", "is_near", "half_far_2"):
                    wait_replica_read_of(client, where, f"SELECT count(*) FROM {near}", extended)
                for far in ("far_table", "half_far_1", "half_far", "far_view", "view_of_view"):
                    sql = f"SELECT count(*) FROM {far}"
                    assert where.of(client, sql, extended) == "primary", far
                    explained = client.query(f"EXPLAIN ROUTE {sql}").check().rows
                    assert f'"{far}" at byte 22: in the catalog as ' in str(explained)
            assert client.value("TABLE far_table") == client.value("TABLE half_far") == "1"
            assert not p.show("LEARNED")
    finally:
        superuser(DROP_FOREIGN)


def test_operators_lists_override(site, where):
    settings = {"primary_functions": "steady", "replica_functions": "moody"}
    with site.pgweir_routed(settings=settings) as p:
        wait_routing(p, where)
        with p.raw() as client:
            assert where.of(client, "SELECT steady(1)") == "primary"
            time.sleep(SAMPLES_PASS)  # what the operator listed is no proven read
            assert is_replica({where.of(client, "SELECT moody()")})


def test_show_routes_counts_by_node(pooler, client, where):
    wait_routing(pooler, where)  # the test before has defined a function: the catalog is old

    def units(node_is_primary):
        primary = f":{pooler.site.cluster.primary.port}"
        return sum(int(r["units"]) for r in pooler.show("ROUTES")
                   if r["node"].endswith(primary) == node_is_primary)
    reads, writes = units(False), units(True)
    for _ in range(10):
        client.query("SELECT 1").check()
        client.query("SELECT moody()").check()
    assert units(False) >= reads + 1 and units(True) >= writes + 10


# Characters whose second byte is a backslash or a letter. JOHAB is not read, but is not lost either.
@pytest.mark.parametrize("encoding, codec, text", [
    ("SJIS", "shift_jis", "\u8868\u30bd"), ("big-5", "big5", "\u529f\u8a31"),
    ("GBK", "gbk", "\u4e57"), ("GB18030", "gb18030", "\u4e57\u00de"), ("UHC", "cp949", "\uac02"),
    ("JOHAB", "johab", "\ubaa8"), ("EUC_JP", "euc_jp", "\u8868"), ("LATIN1", "latin-1", "\u00e9"),
])
def test_characters_that_hide_ascii_bytes_are_read_whole(pooler, where, encoding, codec, text):
    wait_routing(pooler, where)
    raw = text.encode(codec)
    with pooler.raw(client_encoding=encoding) as client:
        def run(sql):
            mark = new_mark()
            data = (mark + sql).encode().replace(b"?", raw) + b"\0"
            result = client.run(pgwire.msg("Q", data)).check()
            return [m.body[6:] for m in result.messages if m.kind == "D"], where.ran(mark)

        wait_replica_read(client, where)
        rows, nodes = run("SELECT E'?'")
        assert rows == [raw]
        assert (nodes == {"primary"}) == (encoding == "JOHAB")
        assert run("SELECT E'?', moody()")[1] == {"primary"}
        assert run("SELECT E'?\\t?' || '?'")[0] == [raw + b"\t" + raw + raw]
        assert bool(pooler.show("PINS")) == (encoding == "JOHAB")
