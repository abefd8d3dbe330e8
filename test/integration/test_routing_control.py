"""What a client can say about its routing: pgweir.* parameters, hints, EXPLAIN ROUTE."""
import contextlib
import re

import psycopg2
import pytest
from test_routing import is_replica
from tools import proc
from where import wait_replica_read, wait_routing, where_fixture

OBJECTS = """
    CREATE FUNCTION moody() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE notes (n int); INSERT INTO notes VALUES (0);
    CREATE FUNCTION note() RETURNS int VOLATILE LANGUAGE sql
        AS 'UPDATE notes SET n = n + 1 RETURNING n';
    CREATE SEQUENCE tickets; GRANT SELECT ON notes TO other;
    CREATE VIEW moody_view AS SELECT moody();
    CREATE FUNCTION moody_sum(int, int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT $1 + $2';
    CREATE OPERATOR public.%%% (FUNCTION = moody_sum, LEFTARG = int, RIGHTARG = int);
    ALTER TABLE notes OWNER TO app; ALTER SEQUENCE tickets OWNER TO app;
"""
DROP = "DROP VIEW moody_view; DROP OPERATOR public.%%% (int, int);" \
    "DROP FUNCTION moody, note, moody_sum; DROP TABLE notes; DROP SEQUENCE tickets;"


where = where_fixture("site")


@pytest.fixture(scope="module")
def pooler(site, where):
    site.cluster.primary.sql(OBJECTS, "app")
    site.cluster.wait_caught_up()
    with site.pgweir_routed("max_lag=10s", settings={"default_pool_size": 5}) as p:
        wait_routing(p, where)
        yield p
    site.cluster.primary.sql(DROP, "app")


@pytest.fixture
def client(pooler, where):
    with pooler.raw() as one:
        wait_replica_read(one, where)
        yield one


def run(client, sql, extended):
    return client.prepared(sql) if extended else client.query(sql)


both = pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])


@both
def test_parameters_are_set_shown_and_reset(client, extended):
    for name, default, value, shown in [
            ("consistency", "session", "'strong'", "strong"),
            ("consistency", "session", "Eventual", "eventual"),
            ("max_lag", "10s", "'200ms'", "200ms"), ("route", "auto", "primary", "primary"),
            ("max_lag", "10s", "2", "2s"), ("min_lsn", "", "'16/B374D848'", "16/B374D848"),
            ("min_lsn", "", "'16/B374D848@3'", "16/B374D848@3")]:
        for set_sql in (f"SET pgweir.{name} = {value}", f"set session PGWEIR.{name} to {value};"):
            assert run(client, f"SHOW pgweir.{name}", extended).value() == default
            result = run(client, set_sql, extended).check()
            assert result.tags == ["SET"]
            assert run(client, f"SHOW pgweir.{name}", extended).value() == shown
            assert run(client, f"RESET pgweir.{name}", extended).check().tags == ["RESET"]
    client.query("SET pgweir.consistency = 'strong'").check()
    client.query("SET pgweir.consistency TO DEFAULT").check()
    assert client.value("SHOW pgweir.consistency") == "session"
    client.query("SET pgweir.route = 'primary'").check()
    client.query("RESET ALL").check()
    assert client.value("SHOW pgweir.route") == "auto"


@both
@pytest.mark.parametrize("sql, sqlstate, text", [
    ("SET pgweir.consistency = 'strange'", "22023",
     'invalid value for parameter "pgweir.consistency": "strange"'),
    ("SET pgweir.max_lag = '5 parsec'", "22023", "pgweir.max_lag"),
    ("SET pgweir.min_lsn = 'x'", "22023", "pgweir.min_lsn"),
    ("SET pgweir.last_lsn = '0/1'", "55P02", "cannot be changed"),
    ("SET pgweir.colour = 'red'", "42704",
     'unrecognized configuration parameter "pgweir.colour"'),
    ("SHOW pgweir.colour", "42704", "pgweir.colour"),
    ("RESET pgweir.colour", "42704", "pgweir.colour"),
    ("SET pgweir.route = primary, replica", "42601", "syntax error"),
])
def test_wrong_ones_are_refused_in_postgresqls_terms(client, sql, sqlstate, text, extended):
    result = run(client, sql, extended)
    assert result.sqlstate == sqlstate
    assert text in result.errors[0].fields["M"]
    if sqlstate == "22023":
        assert result.errors[0].fields["H"]
    assert client.value("SELECT 1") == "1"


def show(client):
    return client.value("SHOW pgweir.consistency")


@pytest.mark.parametrize("held", [False, True], ids=["deferred", "open"])
def test_transactions_undo_what_they_set(client, held):
    def begin():
        client.query("BEGIN").check()
        if held:
            client.query("SELECT 1").check()
    begin()
    client.query("SET pgweir.consistency = 'strong'").check()
    assert show(client) == "strong"
    client.query("ROLLBACK").check()
    assert show(client) == "session"
    begin()
    client.query("SET pgweir.consistency = 'strong'").check()
    client.query("COMMIT").check()
    assert show(client) == "strong"
    begin()
    client.query("SET LOCAL pgweir.consistency = 'eventual'").check()
    assert show(client) == "eventual"
    client.query("COMMIT").check()
    assert show(client) == "strong"
    begin()
    client.query("SAVEPOINT a").check()
    client.query("SET pgweir.consistency = 'database'").check()
    client.query("SAVEPOINT b").check()
    client.query("SET pgweir.consistency = 'eventual'").check()
    client.query("ROLLBACK TO b").check()
    assert show(client) == "database"
    client.query("ROLLBACK TO a").check()
    assert show(client) == "strong"
    client.query("SET pgweir.consistency = 'database'").check()
    client.query("RELEASE a").check()
    client.query("COMMIT").check()
    assert show(client) == "database"
    client.query("DISCARD ALL").check()
    assert show(client) == "session"


@pytest.mark.parametrize("held", [False, True], ids=["deferred", "open"])
def test_an_error_fails_the_transaction(client, held):
    client.query("BEGIN").check()
    if held:
        client.query("SELECT 1").check()
    result = client.query("SET pgweir.route = 'nowhere'")
    assert result.sqlstate == "22023" and result.status == "E"
    assert client.query("SELECT 1").sqlstate == "25P02"
    assert client.query("SET pgweir.route = 'primary'").sqlstate == "25P02"
    assert client.query("COMMIT").check().tags == ["ROLLBACK"]
    assert client.value("SHOW pgweir.route") == "auto"


def test_set_local_outside_a_transaction_warns(client):
    result = client.query("SET LOCAL pgweir.route = 'primary'").check()
    assert result.tags == ["SET"] and result.notices[0]["C"] == "25P01"
    assert client.value("SHOW pgweir.route") == "auto"


def test_start_up_options_set_parameters_and_are_what_reset_goes_to(pooler):
    with pooler.raw(options="-c pgweir.consistency=strong -c pgweir.max_lag=3s") as client:
        assert show(client) == "strong"
        client.query("SET pgweir.consistency = 'eventual'").check()
        client.query("RESET pgweir.consistency").check()
        assert show(client) == "strong"
        assert client.value("SHOW pgweir.max_lag") == "3s"
    for options, text in [("-c pgweir.consistency=strange", "invalid value"),
                          ("-c pgweir.colour=red", "unrecognized configuration parameter")]:
        with pytest.raises(psycopg2.OperationalError, match=text):
            pooler.connect(options=options)


def test_set_at_the_beginning_of_a_text_counts_for_its_rest(client, where):
    mark = "/* together 1 */"
    result = client.query(f"SET pgweir.route = primary; SELECT 42 {mark}").check()
    assert result.tags == ["SET", "SELECT 1"] and result.rows[-1][0] == "42"
    assert where.ran(mark) == {"primary"}
    assert client.query("SET pgweir.route = replica; SELECT 1/0").sqlstate == "22012"
    assert client.value("SHOW pgweir.route") == "primary"


def test_drivers_can_set_and_show(pooler):
    with pooler.connect3() as conn:
        conn.execute("SET pgweir.consistency = 'strong'")
        for _ in range(3):
            assert conn.execute("SHOW pgweir.consistency", prepare=True).fetchone() == ("strong",)


def test_route_decides_for_what_can_be_chosen(client, where):
    client.query("SET pgweir.route = primary").check()
    assert where.of(client) == "primary"
    client.query("SET pgweir.route = replica").check()
    assert is_replica({where.of(client)})
    assert is_replica({where.of(client, "SELECT moody()")}), "on the client's word"
    assert is_replica({where.of(client, "SELECT pg_is_in_recovery()")})
    assert where.of(client, "UPDATE notes SET n = n") == "primary", "never a write"
    assert where.of(client, "SELECT * FROM notes FOR UPDATE") == "primary"
    assert where.of(client, "SELECT nextval('tickets')") == "primary"
    wait_replica_read(client, where)
    result = client.query("SELECT note()")
    assert result.sqlstate == "25006", "the replica's own error"


@both
def test_hints_decide_for_their_statement(client, where, extended):
    def ran(hint, sql="SELECT 1"):
        result, nodes = where.run(client, f"/* {hint} */ {sql}", extended)
        result.check()
        return nodes

    assert ran("pgweir: primary") == {"primary"}
    assert ran("PGWEIR:primary,max_lag=200ms") == {"primary"}
    assert is_replica(ran("just a comment"))
    assert is_replica(ran("pgweir: replica", "SELECT moody()"))
    assert ran("", "SELECT moody()") == {"primary"}
    wait_replica_read(client, where)
    assert ran("pgweir: replica", "UPDATE notes SET n = n") == {"primary"}
    wait_replica_read(client, where)
    assert is_replica(ran("pgweir: consistency=eventual"))
    assert is_replica(ran("pgweir: consistency=strong"))


def test_a_hint_of_begin_counts_for_the_block(client, where):
    client.query("/* pgweir: primary */ BEGIN READ ONLY").check()
    assert where.of(client) == "primary"
    client.query("COMMIT").check()
    wait_replica_read(client, where)
    client.query("BEGIN READ ONLY").check()
    assert is_replica({where.of(client)})
    client.query("COMMIT").check()


def test_consistency_of_a_statement_reads_past_the_clients_own_mark(site, client, where):
    for standby in site.cluster.standbys:
        standby.pause_replay()
    try:
        client.query("UPDATE notes SET n = 77").check()
        assert client.value("SELECT n FROM notes") == "77"
        seen = client.value("/* pgweir: consistency=eventual */ SELECT n FROM notes")
        assert seen != "77", "it may be old"
        assert client.value("/* pgweir: consistency=strong */ SELECT n FROM notes") == "77"
    finally:
        for standby in site.cluster.standbys:
            standby.resume_replay()


def paused(site):
    """No standby replays while this lasts, and what the primary writes makes them lag."""
    stack = contextlib.ExitStack()
    for standby in site.cluster.standbys:
        standby.pause_replay()
        stack.callback(standby.resume_replay)
    site.cluster.primary.sql("UPDATE notes SET n = n", "app")
    return stack


@pytest.mark.usefixtures("pooler")
def test_max_lag_is_the_clients_the_hints_and_the_users(site, where):
    """Each over the one before it: configuration, user, SET, hint."""
    with site.pgweir_routed("max_lag=60s consistency=eventual",
                            users={"other": "max_lag=500ms"}) as p:
        wait_routing(p, where)
        with p.raw() as one, p.raw("other") as other, paused(site):
            def sees(client, sql="SELECT 1"):
                return {where.of(client, sql) for _ in range(3)}
            proc.wait_until("the user's max_lag", lambda: sees(other) == {"primary"}, 20, 0.1)
            assert "primary" not in sees(one)
            assert sees(one, "/* pgweir: max_lag=500ms */ SELECT 1") == {"primary"}
            assert "primary" not in sees(one)
            one.query("SET pgweir.max_lag = '500ms'").check()
            assert sees(one) == {"primary"}
            assert "primary" not in sees(one, "/* pgweir: max_lag=1min */ SELECT 1")
            one.query("RESET pgweir.max_lag").check()
            assert "primary" not in sees(one)
            other.query("SET pgweir.max_lag = '1min'").check()
            assert "primary" not in sees(other)


@pytest.mark.usefixtures("pooler")
def test_consistency_is_the_users_over_the_databases(site, where):
    with site.pgweir_routed("max_lag=60s consistency=eventual",
                            users={"other": "consistency=strong"}) as p:
        wait_routing(p, where)
        with p.raw() as one, p.raw("other") as other, paused(site):
            site.cluster.primary.sql("UPDATE notes SET n = 4711", "app")
            assert other.value("SHOW pgweir.consistency") == "strong"
            for _ in range(10):
                assert other.value("SELECT n FROM notes") == "4711"
                assert one.value("SELECT n FROM notes") != "4711"


def test_an_unknown_hint_is_told_once(client):
    result = client.query("/* pgweir: faster */ SELECT 1").check()
    assert "faster" in result.notices[0]["M"] and result.notices[0]["S"] == "WARNING"
    assert not client.query("/* pgweir: faster */ SELECT 1").check().notices


def test_causality_is_handed_from_process_to_process(site, pooler, where):
    """Another pgweir with the mark of a write reads nothing older, without it it does."""
    with site.pgweir_routed("max_lag=30s") as other, pooler.raw() as writer:
        wait_routing(other, where)
        with other.raw() as reader:
            wait_replica_read(reader, where)
            for standby in site.cluster.standbys:
                standby.pause_replay()
            try:
                writer.query("UPDATE notes SET n = 123").check()
                mark = writer.value("SHOW pgweir.last_lsn")
                assert "/" in mark and mark.endswith("@1")
                assert reader.value("SELECT n FROM notes") != "123"
                reader.query(f"SET pgweir.min_lsn = '{mark}'").check()
                assert reader.value("SELECT n FROM notes") == "123"
                assert reader.value("SHOW pgweir.last_lsn") == mark, "it is handed on"
                reader.query("SET pgweir.min_lsn = ''").check()
                assert reader.value("SELECT n FROM notes") != "123"
            finally:
                for standby in site.cluster.standbys:
                    standby.resume_replay()


def test_last_lsn_in_a_transaction_that_has_written_is_not_known(client):
    client.query("BEGIN").check()
    client.query("UPDATE notes SET n = 5").check()
    client.query("COMMIT").check()
    client.query("BEGIN").check()
    client.query("UPDATE notes SET n = 6").check()
    assert client.query("SHOW pgweir.last_lsn").sqlstate == "55000"
    client.query("ROLLBACK").check()
    assert "/" in client.value("SHOW pgweir.last_lsn")


def explain(client, sql, extended=False):
    rows = run(client, f"EXPLAIN ROUTE {sql}", extended).check().rows
    return "\n".join(r[0] for r in rows)


def nodes_told(text):
    """(name, position, bytes of lag) of each node in EXPLAIN ROUTE."""
    return re.findall(r"Node (\S+): (?:primary|replica), up, at (\S+)@1, lag [^,]+, (\d+) bytes", text)


def number(lsn):
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


@both
def test_explain_route_tells_where_and_why(site, client, where, extended):
    text = explain(client, "SELECT 1", extended)
    assert "(replica_" in text and "proved to run on a replica" in text
    assert text.count("Node 127.0.0.1:") == 3 and "-> Node" in text
    assert len(nodes_told(text)) == 3
    text = explain(client, "SELECT moody(), nextval('tickets') FROM notes FOR UPDATE", extended)
    assert "(write)" in text
    for token in ('"moody"', '"nextval"', '"FOR"'):
        assert token in text, text
    text = explain(client, "UPDATE notes SET n = 1000", extended)
    assert f"Route: 127.0.0.1:{site.cluster.primary.port} (write)" in text
    assert client.value("SELECT count(*) FROM notes WHERE n = 1000") == "0", "nothing is run"
    assert "(hint)" in explain(client, "/* pgweir: primary */ SELECT 1", extended)
    for standby in site.cluster.standbys:
        standby.pause_replay()
    try:
        client.query("UPDATE notes SET n = 1").check()
        client.value("SHOW pgweir.last_lsn")  # its sample has come
        text = explain(client, "SELECT 1", extended)
        assert "(mark_behind)" in text and "has not replayed what must be seen" in text
        mark = number(re.search(r"Must have: (\S+)@1 \(this client's last write\)", text).group(1))
        primary = f":{site.cluster.primary.port}"
        assert {node: number(lsn) >= mark for node, lsn, _ in nodes_told(text)} == {
            f"127.0.0.1:{n.port}": n is site.cluster.primary for n in site.cluster.nodes}
        assert {int(n) > 0 for node, _, n in nodes_told(text) if not node.endswith(primary)} == {True}
    finally:
        for standby in site.cluster.standbys:
            standby.resume_replay()
    client.query("BEGIN").check()
    where.of(client)
    assert "in_transaction" in explain(client, "SELECT 1", extended)
    client.query("ROLLBACK").check()


def test_explain_route_tells_what_the_catalog_knows(client):
    """Of each name that speaks against a replica; the statement is not run."""
    for sql, fact in [
            ("SELECT moody()", '"moody" at byte 8: in the catalog as volatile, or as reaching'),
            ("SELECT * FROM moody_view", '"moody_view" at byte 15: in the catalog as running such'),
            ("TABLE tickets", '"tickets" at byte 7: in the catalog as a sequence, unlogged'),
            ("SELECT 1 OPERATOR(public.%%%) 2", '"%%%" at byte 26: in the catalog as calling'),
            ("INSERT INTO notes VALUES (1)", "this is for the primary; "),
            ("SELECT pg_is_in_recovery()", '"pg_is_in_recovery" at byte 8'),
            ("SELECT pg_switch_wal()", "PostgreSQL's own, volatile or another")]:
        text = explain(client, sql)
        assert "Not for a replica: " in text and fact in text, text
        assert 'Catalog of "app": ' in text


@both
def test_the_console_explains_routes_too(site, pooler, client, extended):
    """As for a client that has just logged in; stats users may ask as well."""
    with pooler.raw("stats", "pgweir") as console:
        text = explain(console, "IN app SELECT 1", extended)
        assert "(replica_ok)" in text and "proved to run on a replica" in text
        assert text.count("Node 127.0.0.1:") == 3 and text.count("-> Node") == 1
        assert "lag " in text and "fit, another was preferred" in text
        text = explain(console, 'IN "app" SELECT moody(), nextval(\'tickets\') FROM notes '
                       "FOR UPDATE; SELECT 'it''s'", extended)
        primary = f"127.0.0.1:{site.cluster.primary.port}"
        assert f"Route: {primary} (write)" in text
        for token in ('"moody"', '"nextval"', '"FOR"'):
            assert token in text, text
        before = client.value("SELECT count(*) FROM notes")
        explain(console, "IN app INSERT INTO notes VALUES (4711)", extended)
        assert client.value("SELECT count(*) FROM notes") == before, "nothing is run"
        assert "(hint)" in explain(console, "IN app /* pgweir: primary */ SELECT 1", extended)
        for standby in site.cluster.standbys:
            standby.pause_replay()
        try:
            site.cluster.primary.sql("CREATE TABLE ahead (n int); DROP TABLE ahead", "app")
            ask = "IN app /* pgweir: max_lag=0 */ SELECT 1"
            proc.wait_until("the lag to be known", lambda: f"-> Node {primary}" in explain(
                console, ask, extended), 10)
            text = explain(console, ask, extended)
            assert "(lag)" in text and text.count("max_lag; 0 units") == 2, text
        finally:
            for standby in site.cluster.standbys:
                standby.resume_replay()
        for sql, error in (("EXPLAIN ROUTE IN nowhere SELECT 1", "No such database: nowhere"),
                           ("EXPLAIN ROUTE IN app", "invalid command"),
                           ("EXPLAIN ROUTE", "invalid command"),
                           ("EXPLAIN SELECT 1", "invalid command")):
            assert error in str(console.query(sql).errors[0])
        assert console.query("SHOW VERSION").rows


def test_the_console_explains_without_a_pool_of_its_own(site):
    """The console's user, who has no servers in this database, is in no list of them."""
    with site.pgweir_routed() as p:
        with p.raw("admin", "pgweir") as console:
            for _ in range(2):
                assert "Route: " in explain(console, "IN app SELECT 1", False)
        assert [r["user"] for r in p.show("POOLS")] == ["pgbouncer"]
        assert p.show("NODE_POOLS") == []
        with p.raw() as client, p.raw("admin", "pgweir") as console:  # one that is there stays
            assert client.value("SELECT 1") == "1"
            assert "Route: " in explain(console, "IN app SELECT 1", False)
            assert client.value("SELECT 2") == "2"
        assert {r["user"] for r in p.show("NODE_POOLS")} == {"app"}


def test_routes_say_that_the_catalog_is_not_there_yet(site):
    """Of each database the first statement, which is what asks for the catalog."""
    entry = f"host=127.0.0.1 port={site.cluster.primary.port} routing=on"
    with site.pgweir(settings={"min_pool_size": 1}, databases={
            "app": f"{entry} dbname=app", "counts": f"{entry} dbname=postgres",
            "writes": f"{entry} dbname=template1"}) as p:
        first = {"app": "SELECT 1", "counts": "SELECT count(*) FROM pg_class",
                 "writes": "UPDATE nothing SET a = lower('A')"}
        for database, sql in first.items():
            with p.raw(database=database) as client:
                client.query(sql)
        routes = {r["database"]: (r["verdict"], r["reason"]) for r in p.show("ROUTES")}
        assert routes == {"app": ("read", "catalog"), "counts": ("unknown", "catalog"),
                          "writes": ("write", "write")}
