"""PREPARE, EXECUTE and DEALLOCATE follow their client from server to server."""
import pgwire
import psycopg
import pytest
from pgwire import bind, close, describe, execute, parse


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 2, "workers": 1}) as p:
        yield p


class Elsewhere:
    """The client's next units do not run on the server that it was on last."""

    def __init__(self, pooler, client):
        pid = client.value("SELECT pg_backend_pid()")
        self.holders = [pooler.raw(), pooler.raw()]
        pids = []
        for holder in self.holders:
            holder.query("BEGIN").check()
            pids.append(holder.value("SELECT pg_backend_pid()"))
        self._free(self.holders.pop(1 - pids.index(pid)))

    @staticmethod
    def _free(holder):
        holder.query("ROLLBACK").check()
        holder.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._free(self.holders.pop())


def pinned(pooler):
    return [row["cause"] for row in pooler.show("PINS")]


@pytest.fixture(autouse=True)
def nothing_stays_pinned(pooler):
    yield
    assert pinned(pooler) == []


def extended(client, sql):
    return client.prepared(sql)


def simple(client, sql):
    return client.query(sql)


@pytest.mark.parametrize("run", [simple, extended])
@pytest.mark.parametrize("block", [False, True])
def test_executed_on_every_server(pooler, run, block):
    with pooler.raw() as client:
        run(client, "PREPARE p (int) AS SELECT $1 + 1").check()
        assert pinned(pooler) == []
        for i in range(3):
            with Elsewhere(pooler, client):
                if block:
                    client.query("BEGIN").check()
                assert run(client, f"EXECUTE p ({i})").value() == str(i + 1)
                if block:
                    assert client.query("COMMIT").check().status == "I"
        run(client, "DEALLOCATE p").check()
        assert run(client, "EXECUTE p (1)").sqlstate == "26000"
        with Elsewhere(pooler, client):
            assert run(client, "EXECUTE p (1)").sqlstate == "26000"


def test_one_name_of_many_clients(pooler):
    clients = [pooler.raw() for _ in range(6)]
    for n, client in enumerate(clients):
        client.query(f"PREPARE p AS SELECT {n % 3}").check()
    for _ in range(3):
        for n, client in enumerate(clients):
            assert client.value("EXECUTE p") == str(n % 3)
    with pooler.raw() as other:
        for _ in range(3):
            assert other.query("EXECUTE p").sqlstate == "26000"
            assert other.query("DEALLOCATE p").sqlstate == "26000"
    for n, client in enumerate(clients):
        assert client.value("EXECUTE p") == str(n % 3)
        client.query("DEALLOCATE p").check()
        assert client.query("EXECUTE p").sqlstate == "26000"
        client.close()


def test_taken_name(pooler):
    with pooler.raw() as client:
        client.query("PREPARE p AS SELECT 1").check()
        with Elsewhere(pooler, client):
            assert client.query("PREPARE p AS SELECT 2").sqlstate == "42P05"
            assert client.value("EXECUTE p") == "1"
        assert client.query("PREPARE p AS SELECT 2").sqlstate == "42P05"
        assert client.value("EXECUTE p") == "1"
        client.query("DEALLOCATE p").check()


def test_several_in_one_query(pooler):
    with pooler.raw() as client:
        text = "PREPARE a AS SELECT ';', 1; /* ; */ PREPARE b (int) AS SELECT $1; EXECUTE a"
        assert client.query(text).check().rows == [(";", "1")]
        with Elsewhere(pooler, client):
            assert client.query("EXECUTE b (5); EXECUTE a").check().rows == [("5",), (";", "1")]
            both = "DEALLOCATE a; PREPARE a AS SELECT 2; EXECUTE a"
            assert client.query(both).check().rows == [("2",)]
        with Elsewhere(pooler, client):
            assert client.value("EXECUTE a") == "2"


def test_pipelined(pooler):
    with pooler.raw() as client, pooler.raw() as other:
        other.query("PREPARE p AS SELECT 'other'").check()
        client.send(pgwire.query("PREPARE p AS SELECT 'mine'") + pgwire.query("EXECUTE p") +
                    pgwire.query("DEALLOCATE p") + pgwire.query("EXECUTE p") +
                    pgwire.query("PREPARE p AS SELECT 'again'") + pgwire.query("EXECUTE p"))
        assert client.result().check().tags == ["PREPARE"]
        assert client.result().value() == "mine"
        assert client.result().check().tags == ["DEALLOCATE"]
        assert client.result().sqlstate == "26000"
        assert client.result().check().tags == ["PREPARE"]
        assert client.result().value() == "again"
        assert other.value("EXECUTE p") == "other"
        assert client.value("EXECUTE p") == "again"


def test_not_undone_by_rollback(pooler):
    with pooler.raw() as client:
        client.query("BEGIN").check()
        client.query("PREPARE p AS SELECT 1").check()
        client.query("ROLLBACK").check()
        with Elsewhere(pooler, client):
            assert client.value("EXECUTE p") == "1"


@pytest.mark.parametrize("forget", ["DEALLOCATE ALL", "DISCARD ALL", "DEALLOCATE PREPARE ALL"])
def test_all_are_forgotten(pooler, forget):
    with pooler.raw() as client, pooler.raw() as other:
        for one in (client, other):
            one.query("PREPARE p AS SELECT 1").check()
        client.query(forget).check()
        for _ in range(2):
            with Elsewhere(pooler, client):
                assert client.query("EXECUTE p").sqlstate == "26000"
        assert other.value("EXECUTE p") == "1"


def test_discard_plans_forgets_nothing(pooler):
    with pooler.raw() as client:
        client.query("PREPARE p AS SELECT 1").check()
        client.run(parse("q", "SELECT 2") + pgwire.SYNC).check()
        assert client.query("DISCARD PLANS").check().tags == ["DISCARD PLANS"]
        for _ in range(2):
            with Elsewhere(pooler, client):
                assert client.value("EXECUTE p") == "1"
                assert client.run(bind("", "q") + execute() + pgwire.SYNC).value() == "2"


# --- names of the protocol and of SQL are one and the same ----------------------------------------

def test_deallocate_of_a_statement_of_the_protocol(pooler):
    """psycopg 3, PDO and ActiveRecord prepare by the protocol and deallocate by SQL."""
    with pooler.raw() as client:
        for run in (simple, extended):
            client.run(parse('Name "x"', "SELECT 1") + pgwire.SYNC).check()
            with Elsewhere(pooler, client):
                assert run(client, 'DEALLOCATE "Name ""x"""').check().tags == ["DEALLOCATE"]
            unit = bind("", 'Name "x"') + execute() + pgwire.SYNC
            assert client.run(unit).sqlstate == "26000"
            assert run(client, 'DEALLOCATE "Name ""x"""').sqlstate == "26000"


def test_execute_of_a_statement_of_the_protocol(pooler):
    with pooler.raw() as client:
        client.run(parse("p", "SELECT $1::int * 2", [23]) + pgwire.SYNC).check()
        for _ in range(2):
            with Elsewhere(pooler, client):
                assert client.value("EXECUTE p (4)") == "8"
                assert extended(client, "EXECUTE p (4)").value() == "8"


def test_bind_of_a_statement_that_prepare_made(pooler):
    with pooler.raw() as client:
        client.query("PREPARE p (int) AS SELECT $1 + 1 AS n").check()
        for _ in range(2):
            with Elsewhere(pooler, client):
                unit = bind("", "p", [b"4"]) + describe("P") + execute() + pgwire.SYNC
                assert client.run(unit).value() == "5"
                assert client.run(describe("S", "p") + pgwire.SYNC).check().kinds == "tTZ"
        assert client.run(parse("p", "SELECT 2") + pgwire.SYNC).sqlstate == "42P05"
        client.run(close("S", "p") + pgwire.SYNC).check()
        assert client.query("EXECUTE p (1)").sqlstate == "26000"


def test_psycopg3_deallocates_what_it_no_longer_needs(pooler):
    with pooler.connect3(prepare_threshold=0) as conn:
        conn.prepared_max = 2
        for i in range(30):
            assert conn.execute(f"SELECT %s::int + {i % 5}", (1,)).fetchone() == (1 + i % 5,)


# --- errors ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("run", [simple, extended])
def test_error_of_what_cannot_be_prepared_again(pooler, new_table, superuser, run):
    table = new_table("a int")
    with pooler.raw() as client:
        client.query(f"PREPARE p AS SELECT * FROM {table}").check()
        superuser(f"DROP TABLE {table}")
        with Elsewhere(pooler, client):
            result = run(client, "EXECUTE p")
            assert len(result.errors) == 1 and result.sqlstate == "42P01"
            client.query("BEGIN").check()
            result = run(client, "EXECUTE p")
            assert len(result.errors) == 1 and result.sqlstate == "42P01" and result.status == "E"
            assert run(client, "EXECUTE p").sqlstate == "25P02"
            assert client.query("ROLLBACK").status == "I"
        superuser(f"CREATE TABLE {table} AS SELECT 3 AS a; ALTER TABLE {table} OWNER TO app")
        assert run(client, "EXECUTE p").value() == "3"


def test_failed_prepare_leaves_nothing(pooler):
    with pooler.raw() as client:
        assert client.query("PREPARE p AS SELECT * FROM nowhere").sqlstate == "42P01"
        assert client.query("EXECUTE p").sqlstate == "26000"
        client.query("PREPARE p AS SELECT 1").check()
        assert client.value("EXECUTE p") == "1"


def test_search_path_of_the_client(pooler, superuser):
    superuser("".join(f"CREATE SCHEMA {s} AUTHORIZATION app; CREATE TABLE {s}.t AS SELECT '{s}' s;"
                      f"ALTER TABLE {s}.t OWNER TO app;" for s in ("sql_a", "sql_b")))
    try:
        clients = {s: pooler.raw() for s in ("sql_a", "sql_b")}
        for schema, client in clients.items():
            client.query(f"SET search_path = {schema}").check()
            client.query("PREPARE p AS SELECT s FROM t").check()
        for _ in range(4):
            for schema, client in clients.items():
                assert client.value("EXECUTE p") == schema
        for client in clients.values():
            client.close()
    finally:
        superuser("DROP SCHEMA sql_a, sql_b CASCADE")


def test_names_of_ours_are_out_of_reach(pooler):
    """A client that guesses them neither runs nor removes what another has prepared."""
    with pooler.raw() as client, pooler.raw() as guesser:
        client.run(parse("s", "SELECT 'secret'") + pgwire.SYNC).check()
        for do in ("EXECUTE", "DEALLOCATE"):
            for n in range(1, 40):
                assert guesser.query(f"{do} pgweir_{n:x}").sqlstate == "26000"
            assert client.run(bind("", "s") + execute() + pgwire.SYNC).value() == "secret"


def test_name_like_ours_keeps_its_server(pooler):
    with pooler.raw() as client:
        client.query("PREPARE pgweir_missing AS SELECT 1").check()
        assert pinned(pooler) == ["sql_prepare"]
        assert client.value("EXECUTE pgweir_missing") == "1"
    with pooler.raw() as other:
        for _ in range(3):
            assert other.run(bind("", "none") + execute() + pgwire.SYNC).sqlstate == "26000"
            with Elsewhere(pooler, other):
                assert other.run(bind("", "none") + execute() + pgwire.SYNC).sqlstate == "26000"


def test_many_names_of_many_clients_stay_within_bounds(site):
    settings = {"default_pool_size": 1, "max_prepared_statements": 5}
    with site.pgweir(settings=settings) as p:
        for _ in range(4):
            with p.raw() as client:
                for i in range(8):
                    client.query(f"PREPARE n{_}_{i} AS SELECT {i}").check()
                for i in range(8):
                    assert client.value(f"EXECUTE n{_}_{i}") == str(i)
        with p.raw() as client:
            client.query("PREPARE last AS SELECT 1").check()
            assert int(client.value("SELECT count(*) FROM pg_prepared_statements")) <= 13


def test_simple_query_after_an_error_is_an_error_of_its_own(pooler):
    with pooler.connect3() as conn:
        conn.autocommit = True
        conn.execute("PREPARE p AS SELECT 1")
        with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
            conn.execute("PREPARE p AS SELECT 1")
        assert conn.execute("EXECUTE p").fetchone() == (1,)


def test_after_one_that_could_not_be_prepared_again(pooler, new_table, superuser):
    """What is left of it on a server is not in the way of the next one, on that same server."""
    table = new_table("a int")
    with pooler.raw() as client:
        client.query(f"PREPARE p AS SELECT * FROM {table}").check()
        superuser(f"DROP TABLE {table}")
        with Elsewhere(pooler, client):
            client.query("CREATE TEMP TABLE stays (a int)").check()
        assert client.query("EXECUTE p").sqlstate == "42P01"
        superuser(f"CREATE TABLE {table} AS SELECT 3 AS a; ALTER TABLE {table} OWNER TO app")
        assert client.value("EXECUTE p") == "3"
        client.query("DROP TABLE stays").check()


# --- EXECUTE that is not the statement itself ----------------------------------------------------

@pytest.mark.parametrize("name", ["", "named"])
def test_execute_is_described(pooler, name):
    """As psql's \\gdesc asks: the result's columns are those of what is executed."""
    def ask():
        return parse(name, "EXECUTE p") + describe("S", name) + pgwire.SYNC
    with pooler.raw() as client, pooler.raw() as other:
        other.query("PREPARE p AS SELECT 1, 2, 3").check()
        client.query("PREPARE p AS SELECT 1 AS mine, 2 AS too").check()
        for _ in range(2):
            with Elsewhere(pooler, client):
                assert [c[0] for c in client.run(ask()).check().columns] == ["mine", "too"]
                if name:
                    client.run(close("S", name) + pgwire.SYNC).check()


def test_functions_execute_statements_of_their_client(pooler):
    with pooler.raw() as creator:
        creator.query("""CREATE FUNCTION runs(sql text) RETURNS text LANGUAGE plpgsql AS
            $$ DECLARE r text; BEGIN EXECUTE sql INTO r; RETURN r; END $$""").check()
        with pooler.raw() as client, pooler.raw() as other:
            client.query("PREPARE p AS SELECT 'mine'").check()
            client.query("PREPARE q AS SELECT runs('EXECUTE p')").check()
            other.query("PREPARE p AS SELECT 'other'").check()
            other.query("PREPARE others AS SELECT 'other'").check()
            for run in simple, extended:
                with Elsewhere(pooler, client):
                    assert run(client, "SELECT runs('EXECUTE p')").value() == "mine"
                with Elsewhere(pooler, client):
                    assert run(client, "EXECUTE q").value() == "mine"
                with Elsewhere(pooler, client):
                    assert run(client, "SELECT runs('EXECUTE others')").sqlstate == "26000"
                assert run(other, "SELECT runs('EXECUTE p')").value() == "other"
                assert run(other, "EXECUTE others").value() == "other"
        creator.query("DROP FUNCTION runs(text)").check()


@pytest.mark.parametrize("run", [simple, extended])
def test_who_looks_sees_the_client_s_own(pooler, run):
    ask = "SELECT name, statement, from_sql FROM pg_prepared_statements ORDER BY 1"
    with pooler.raw() as client, pooler.raw() as other:
        other.query("PREPARE theirs AS SELECT 'other'").check()
        other.run(parse("also", "SELECT 'other'") + pgwire.SYNC).check()
        client.run(parse("proto", "SELECT 1") + pgwire.SYNC).check()
        client.query("PREPARE p AS SELECT 2").check()
        for _ in range(2):
            with Elsewhere(pooler, client):
                assert run(client, ask).check().rows == [
                    ("p", "PREPARE p AS SELECT 2", "t"), ("proto", "SELECT 1", "f")]
        assert run(client, "SELECT count(*) FROM pg_prepared_statement()").value() == "2"
        assert client.run(bind("", "proto") + execute() + pgwire.SYNC).value() == "1"
        assert other.run(bind("", "also") + execute() + pgwire.SYNC).value() == "other"
        assert run(other, "EXECUTE theirs").value() == "other"


@pytest.mark.parametrize("run", [simple, extended])
def test_what_is_executed_is_followed(pooler, run):
    """What a statement does to the session counts when it is executed, not when it is prepared."""
    with pooler.raw() as client:
        run(client, "PREPARE sets (text) AS SELECT set_config('work_mem', $1, false)").check()
        run(client, "PREPARE locks AS SELECT pg_advisory_lock(77)").check()
        assert pinned(pooler) == []
        run(client, "EXECUTE sets ('7MB')").check()
        with Elsewhere(pooler, client):
            assert run(client, "SHOW work_mem").value() == "7MB"
        with pooler.raw() as other:
            for _ in range(3):
                assert run(other, "SHOW work_mem").value() == "4MB"
        run(client, "PREPARE ends AS SELECT set_config('work_mem', '8MB', false) ; ").check()
        assert run(client, "EXECUTE ends").value() == "8MB"
        with Elsewhere(pooler, client):
            assert run(client, "EXECUTE ends;").value() == "8MB"
            assert run(client, "SHOW work_mem;").value() == "8MB"
        run(client, "EXECUTE locks").check()
        assert pinned(pooler) == ["advisory_lock"]
        run(client, "SELECT pg_advisory_unlock(77)").check()


PREPARES = ("PREPARE sets AS SELECT set_config('app.executed', 'mine', false),"
            " set_config('lock_timeout', '8s', false)")
LOOK = "SELECT current_setting('app.executed', true), current_setting('lock_timeout')"


@pytest.mark.parametrize("known", [False, True], ids=["new", "another before"])
@pytest.mark.parametrize("units", [
    lambda p, e: pgwire.query(f"{p}; {e}"), lambda p, e: pgwire.query(p) + pgwire.query(e),
    lambda p, e: pgwire.prepared(p) + pgwire.prepared(e),
    lambda p, e: parse("", p) + bind() + execute() + pgwire.prepared(e)],
    ids=["query", "queries", "series", "one series"])
def test_what_is_prepared_and_executed_at_once_is_its_client_s(pooler, units, known):
    """The name is not known yet when its EXECUTE goes to the server."""
    with pooler.raw() as other:
        with pooler.raw() as client:
            data = units(PREPARES, "EXECUTE sets") + pgwire.query("SELECT 'end'")
            if known:
                client.query("PREPARE sets AS SELECT 1").check()
                data = pgwire.query("DEALLOCATE sets") + data
            client.send(data)
            while client.result().check().rows[-1:] != [("end",)]:
                pass
            for _ in range(3):
                assert other.query(LOOK).check().rows == [(None, "0")]
                assert client.query(LOOK).check().rows == [("mine", "8s")]
        assert other.query(LOOK).check().rows == [(None, "0")]


def test_a_lock_of_what_is_prepared_and_executed_at_once_keeps_its_server(pooler):
    with pooler.raw() as client:
        client.query("PREPARE locks AS SELECT pg_advisory_lock(77); EXECUTE locks").check()
        assert pinned(pooler) == ["advisory_lock"]
