"""Queries through the pooler with psql, pgbench and the drivers, in each pool mode."""
import asyncio
import struct

import asyncpg
import pgwire
import pytest
from pgwire import cstr, i16, i32, msg
from rawclient import RawClient, ServerError

PROTOCOLS = ["simple", "extended", "prepared"]


@pytest.fixture(scope="module", params=["transaction", "session"])
def pooler(site, request):
    with site.pgweir(settings={"pool_mode": request.param, "default_pool_size": 20}) as p:
        yield p


@pytest.fixture
def table(new_table):
    return new_table("id serial PRIMARY KEY, v text")


def test_psql_runs_statements_and_scripts(pooler):
    assert pooler.psql("-c", "SELECT 1, 'zwei'") == "1|zwei\n"
    assert pooler.psql(stdin="SELECT 1;\nSELECT 2;\n\\echo done\n") == "1\n2\ndone\n"


def test_several_statements_in_one_message(pooler):
    with pooler.raw() as client:
        result = client.query("SELECT 1; SELECT 2 WHERE false; VALUES (3), (4)")
        assert result.rows == [("1",), ("3",), ("4",)]
        assert result.tags == ["SELECT 1", "SELECT 0", "SELECT 2"]


def test_empty_query(pooler):
    with pooler.raw() as client:
        assert client.query("").kinds == "IZ"
        assert client.prepared(";").kinds == "12nIZ"


@pytest.mark.threads
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pgbench_tpcb_keeps_its_books(pooler, superuser, protocol):
    superuser("TRUNCATE pgbench_history")
    before = int(superuser("SELECT sum(abalance) FROM pgbench_accounts"))
    report = pooler.pgbench("-c", "15", "-j", "2", "-t", "20", "-M", protocol)
    assert report["done"] == 300 and report["failed"] == 0
    assert superuser("SELECT count(*) FROM pgbench_history") == "300"
    moved = int(superuser("SELECT sum(delta) FROM pgbench_history"))
    assert int(superuser("SELECT sum(abalance) FROM pgbench_accounts")) == before + moved


@pytest.mark.threads
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pgbench_select_only(pooler, protocol):
    assert pooler.pgbench("-S", "-c", "15", "-j", "2", "-t", "100",
                          "-M", protocol)["done"] == 1500


def test_psycopg2_parameters_and_types(pooler):
    with pooler.connect().cursor() as cur:
        cur.execute("SELECT %s, %s, %s::int[], %s::bytea",
                    ("Grüße 🐘", None, [1, 2], b"\0\xff"))
        text, null, numbers, data = cur.fetchone()
        assert (text, null, numbers, bytes(data)) == ("Grüße 🐘", None, [1, 2], b"\0\xff")


def test_psycopg2_transactions(pooler, table):
    conn = pooler.connect()
    conn.autocommit = False
    cur = conn.cursor()
    cur.execute(f"INSERT INTO {table} (v) VALUES ('kept')")
    conn.commit()
    cur.execute(f"INSERT INTO {table} (v) VALUES ('dropped')")
    conn.rollback()
    cur.execute(f"SELECT v FROM {table}")
    assert cur.fetchall() == [("kept",)]
    conn.close()


def test_psycopg3_prepares_statements(pooler, table):
    with pooler.connect3(prepare_threshold=0) as conn:
        for i in range(10):
            conn.execute(f"INSERT INTO {table} (v) VALUES (%s)", (f"row {i}",))
        rows = conn.execute(f"SELECT v FROM {table} WHERE id > %s", (0,)).fetchall()
        assert rows == [(f"row {i}",) for i in range(10)]


def test_psycopg3_server_side_cursor(pooler):
    with pooler.connect3() as conn, conn.transaction(), conn.cursor("big") as cur:
        cur.execute("SELECT g FROM generate_series(1, 1000) g")
        assert cur.fetchmany(3) == [(1,), (2,), (3,)]
        assert len(cur.fetchall()) == 997


def test_psycopg3_nested_transactions(pooler, table):
    with pooler.connect3() as conn, conn.transaction():
        conn.execute(f"INSERT INTO {table} (v) VALUES ('outer')")
        with conn.transaction() as inner:
            conn.execute(f"INSERT INTO {table} (v) VALUES ('inner')")
            raise_rollback(inner)
        assert conn.execute(f"SELECT v FROM {table}").fetchall() == [("outer",)]


def raise_rollback(transaction):
    import psycopg  # pylint: disable=import-outside-toplevel
    raise psycopg.Rollback(transaction)


async def use_asyncpg(pooler, table):
    target = {"host": "127.0.0.1", "port": pooler.port, "user": "app", "database": "app",
              "password": pooler.passwords["app"], "ssl": False}
    async with asyncpg.create_pool(min_size=4, max_size=4, **target) as pool:
        async def insert(i):
            async with pool.acquire() as conn:
                async with conn.transaction():
                    await conn.execute(f"INSERT INTO {table} (v) VALUES ($1)", f"a{i}")
                    return await conn.fetchval("SELECT $1::int * 2", i)
        assert await asyncio.gather(*(insert(i) for i in range(40))) == [
            2 * i for i in range(40)]
        async with pool.acquire() as conn:
            await conn.copy_records_to_table(table, columns=["v"], records=[("copied",)])
            assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 41


def test_asyncpg_pool(pooler, table):
    asyncio.run(use_asyncpg(pooler, table))


def test_notice_reaches_the_client(pooler):
    with pooler.raw() as client:
        result = client.query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
        assert [n["M"] for n in result.notices] == ["hello"]


def test_function_call_message(pooler):
    int4pl = 177  # oid of int4pl(int4, int4)
    call = msg("F", i32(int4pl), i16(1), i16(1), i16(2), i32(4), i32(40), i32(4), i32(2), i16(1))
    with pooler.raw() as client:
        answer = client.run(call).messages
        assert [m.kind for m in answer] == ["V", "Z"]
        assert struct.unpack(">ii", answer[0].body) == (4, 42)


def test_start_up_reports_the_servers_parameters(pooler, site):
    with pooler.raw() as client:
        with RawClient(site.cluster.primary.port) as direct:
            direct.login("app", site.passwords["app"])
            differing = {k: (v, client.parameters.get(k)) for k, v in direct.parameters.items()
                         if client.parameters.get(k) != v}
        assert not differing


def test_newer_minor_protocol_and_unknown_options_are_negotiated(pooler):
    with RawClient(pooler.port) as client:
        client.send(pgwire.startup({"user": "app", "database": "app", "_pq_.nonsense": "on"},
                                   version=pgwire.PROTOCOL_3_0 + 9))
        answer = client.read_message()
        minor, n_options = struct.unpack_from(">ii", answer.body)
        assert answer.kind == "v" and minor & 0xffff == 2 and n_options == 1
        assert answer.body[8:] == cstr("_pq_.nonsense")


def test_unknown_database_is_refused_with_postgresqls_code(pooler):
    with RawClient(pooler.port) as client:
        with pytest.raises(ServerError) as refused:
            client.login("app", pooler.passwords["app"], "nowhere")
        assert refused.value.sqlstate == "3D000"


def test_unix_socket(site):
    with site.pgweir(settings={"unix_socket_dir": "{folder}"}) as p:
        with RawClient(p.port, p.folder) as client:
            client.login("app", p.passwords["app"])
            assert client.value("SELECT 1") == "1"


def test_transaction_mode_shares_two_servers(site):
    with site.pgweir(settings={"default_pool_size": 2}) as p:
        clients = [p.raw() for _ in range(20)]
        pids = {c.value("SELECT pg_backend_pid()") for c in clients for _ in range(3)}
        assert 1 <= len(pids) <= 2


def test_session_mode_keeps_the_server_and_cleans_it_for_the_next(site):
    with site.pgweir(settings={"pool_mode": "session", "default_pool_size": 1}) as p:
        with p.raw() as first:
            pid = first.value("SELECT pg_backend_pid()")
            first.query("SET work_mem = '5MB'; CREATE TEMP TABLE mine (a int)").check()
            assert first.value("SELECT pg_backend_pid()") == pid
            first.send(pgwire.TERMINATE)
        with p.raw() as second:
            assert second.value("SHOW work_mem") == "4MB"
            assert second.query("SELECT * FROM mine").sqlstate == "42P01"


def test_statement_mode_gives_the_server_back_and_refuses_blocks(site):
    with site.pgweir(settings={"pool_mode": "statement", "default_pool_size": 1}) as p:
        clients = [p.raw() for _ in range(3)]
        assert {c.value("SELECT 1") for c in clients for _ in range(3)} == {"1"}
        clients[0].send(pgwire.query("BEGIN"))
        assert "E" in [m.kind for m in clients[0].read_until("Z", "E")]
        assert clients[1].value("SELECT 1") == "1"


def test_pool_mode_of_a_database_and_of_a_user(site):
    databases = {**site.app_on([site.cluster.primary], "pool_size=1"),
                 **{"app_session": site.app_on([site.cluster.primary],
                                               "pool_size=1 pool_mode=session")["app"]}}
    with site.pgweir(databases) as p, p.raw() as one, p.raw() as two:
        assert one.value("SELECT pg_backend_pid()") == two.value("SELECT pg_backend_pid()")
        with p.raw(database="app_session") as holder, p.raw(database="app_session") as waiter:
            holder.query("SELECT 1").check()
            waiter.send(pgwire.query("SELECT 2"))
            assert waiter.is_silent_for(0.3)
            holder.send(pgwire.TERMINATE)
            assert waiter.result().value() == "2"
