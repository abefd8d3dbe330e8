"""A series that prepares and ends in a Flush, as asyncpg's prepare(): the server is let go, though the
client's Sync is still to come; what it sees is what it would see on a connection of its own."""
import asyncio

import asyncpg
import pgwire
import pytest
from pgwire import bind, close, describe, execute, parse
from tools import proc

FLUSH, SYNC = pgwire.FLUSH, pgwire.SYNC
RUN = bind() + execute() + SYNC


@pytest.fixture(scope="module")
def pooler(site):
    settings = {"default_pool_size": 1, "query_wait_timeout": 1, "workers": 1}
    with site.pgweir(settings=settings) as p:
        yield p


def kinds(client, *ends):
    return "".join(m.kind for m in client.read_until(*ends))


def prepare(client, name, sql):
    client.send(parse(name, sql) + describe("S", name) + FLUSH)
    assert kinds(client, "T", "n") in ("1tT", "1tn")


@pytest.mark.parametrize("name", ["", "s"])
def test_more_clients_prepare_than_there_are_servers(pooler, name):
    clients = [pooler.raw() for _ in range(3)]
    for _ in range(3):
        for i, client in enumerate(clients):
            prepare(client, name, f"SELECT {i}, $1::int")
        for i, client in enumerate(clients):
            ran = client.run(bind("", name, [b"7"]) + execute() + SYNC).check()
            assert (ran.kinds, ran.rows) == ("2DCZ", [(str(i), "7")])
            if name:
                assert client.run(close("S", name) + SYNC).check().kinds == "3Z"
    for client in clients:
        client.close()


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nothing"])
def test_after_an_error_all_is_skipped_up_to_the_clients_sync(pooler, sql):
    with pooler.raw() as client, pooler.raw() as other:
        client.send(parse("s", "SELECT 1") + parse("bad", sql) + describe("S", "bad") + FLUSH)
        assert kinds(client, "E") == "1E"
        client.send(parse("", "SELECT 2") + bind() + execute() + FLUSH + pgwire.query("SELECT 3"))
        assert other.value("SELECT 'free'") == "free"
        assert client.is_silent_for(0.2)
        ended = client.run(SYNC)
        assert (ended.kinds, ended.status) == ("Z", "I")
        assert client.run(bind("", "bad") + execute() + SYNC).sqlstate == "26000"
        assert client.run(bind("", "s") + execute() + SYNC).value() == "1"


def test_sync_ends_the_series(pooler):
    with pooler.raw() as client:
        for _ in range(3):
            prepare(client, "", "SELECT 1")
            assert client.run(SYNC).kinds == "Z"
        assert client.run(RUN).value() == "1"


def test_close_and_flush(pooler):
    with pooler.raw() as client:
        prepare(client, "s", "SELECT 1")
        client.send(close("S", "s") + FLUSH)
        assert kinds(client, "3") == "3"
        client.send(bind("", "s") + execute() + FLUSH)
        assert client.read_until("E")[0].fields()["C"] == "26000"
        assert client.run(SYNC).kinds == "Z"
        prepare(client, "s", "SELECT 2")
        assert client.run(bind("", "s") + execute() + SYNC).value() == "2"


def test_name_that_is_taken(pooler):
    with pooler.raw() as client:
        prepare(client, "s", "SELECT 1")
        client.send(parse("s", "SELECT 2") + FLUSH)
        assert client.read_until("E")[0].fields()["C"] == "42P05"
        assert client.run(SYNC).kinds == "Z"
        assert client.run(bind("", "s") + execute() + SYNC).value() == "1"


def test_flush_of_nothing_takes_no_server(pooler):
    with pooler.raw() as client, pooler.raw() as other:
        client.send(FLUSH)
        client.send(FLUSH + FLUSH)
        assert client.is_silent_for(0.2)
        assert other.value("SELECT 1") == client.value("SELECT 1") == "1"
        client.send(FLUSH + parse("", "SELECT 2") + bind() + execute() + FLUSH)
        assert kinds(client, "C") == "12DC"
        client.send(FLUSH)
        assert client.run(SYNC).kinds == "Z"


def test_parse_that_is_known_needs_no_server_at_all(pooler):
    with pooler.raw() as client, pooler.raw() as other:
        other.run(parse("s", "SELECT 'known'") + SYNC).check()
        other.query("BEGIN; SELECT 1").check()
        client.send(parse("s", "SELECT 'known'") + FLUSH)
        assert kinds(client, "1") == "1"
        assert client.run(SYNC).kinds == "Z"
        other.query("COMMIT").check()
        assert client.run(bind("", "s") + execute() + SYNC).value() == "known"


def test_no_server_comes_in_time(pooler):
    with pooler.raw() as client, pooler.raw() as other:
        other.query("BEGIN; SELECT 1").check()
        client.send(parse("", "SELECT 'late'") + describe("S") + FLUSH)
        assert client.read_until("E")[0].fields()["C"] == "53300"
        client.send(bind() + execute())
        assert client.is_silent_for(0.2)
        ended = client.run(SYNC)
        assert (ended.kinds, ended.status) == ("Z", "I")
        other.query("COMMIT").check()
        assert client.value("SELECT 1") == "1"


@pytest.fixture
def locked(pooler, new_table, superuser):
    """A table that another session has locked: a Parse that names it waits."""
    table = new_table("a int")
    with pooler.site.pgweir() as direct, direct.raw() as holder:
        holder.query(f"BEGIN; LOCK TABLE {table}").check()

        def waits():
            return superuser(f"SELECT pid FROM pg_locks WHERE NOT granted AND relation = "
                             f"'{table}'::regclass")
        yield table, waits, lambda: holder.query("COMMIT").check()


def test_what_follows_waits_for_the_answer(pooler, locked):
    table, waits, unlock = locked
    with pooler.raw() as client:
        client.send(parse("s", f"SELECT a FROM {table}") + describe("S", "s") + FLUSH)
        proc.wait_until("the Parse to wait", lambda: waits() != "")
        client.send(bind("", "s") + execute() + SYNC + pgwire.query("SELECT 2"))
        assert client.is_silent_for(0.2)
        unlock()
        first = client.result().check()
        assert (first.kinds, first.rows) == ("1tT2CZ", [])
        assert client.result().value() == "2"


def test_server_is_lost_meanwhile(pooler, locked, superuser):
    table, waits, _ = locked
    with pooler.raw() as client:
        client.send(parse("s", f"SELECT a FROM {table}") + describe("S", "s") + FLUSH)
        proc.wait_until("the Parse to wait", lambda: waits() != "")
        superuser(f"SELECT pg_terminate_backend({waits()})")
        assert client.read_until("E")[0].fields()["C"] == "57P01"
        client.send(bind("", "s") + execute())
        assert client.is_silent_for(0.2)
        assert client.run(SYNC).kinds == "Z"
        assert client.value("SELECT 1") == "1"


def test_cancel_meanwhile(pooler, locked):
    table, waits, _ = locked
    with pooler.raw() as client:
        client.send(parse("s", f"SELECT a FROM {table}") + describe("S", "s") + FLUSH)
        proc.wait_until("the Parse to wait", lambda: waits() != "")
        client.send_cancel()
        assert client.read_until("E")[0].fields()["C"] == "57014"
        assert client.run(SYNC).kinds == "Z"
        assert client.run(bind("", "s") + execute() + SYNC).sqlstate == "26000"


def test_client_leaves_meanwhile(pooler, locked):
    table, waits, _ = locked
    with pooler.raw() as client:
        client.send(parse("s", f"SELECT a FROM {table}") + describe("S", "s") + FLUSH)
        proc.wait_until("the Parse to wait", lambda: waits() != "")
    with pooler.raw() as other:
        assert other.value("SELECT 1") == "1"


def test_result_that_changes_between_flush_and_bind(pooler, new_table, superuser):
    table = new_table("a int")
    with pooler.raw() as client:
        prepare(client, "s", f"SELECT * FROM {table}")
        assert client.run(SYNC).kinds == "Z"
        superuser(f"ALTER TABLE {table} ADD b text")
        refused = client.run(bind("", "s") + execute() + SYNC)
        assert refused.sqlstate == "0A000"


def test_inside_a_transaction_the_server_is_held_anyway(pooler):
    with pooler.raw() as client:
        client.query("BEGIN; SET LOCAL work_mem = '7MB'").check()
        now = client.value("SELECT now()")
        prepare(client, "", "SELECT now(), current_setting('work_mem')")
        assert client.run(RUN).rows == [(now, "7MB")]
        client.send(parse("", "SELEC") + FLUSH)
        kinds(client, "E")
        assert client.run(SYNC).status == "E"
        client.query("ROLLBACK").check()


def test_session_mode(site):
    with site.pgweir(settings={"pool_mode": "session"}) as p, p.raw() as client:
        prepare(client, "", "SELECT 7")
        assert client.run(RUN).value() == "7"
        client.send(parse("", "SELEC") + FLUSH)
        kinds(client, "E")
        client.send(pgwire.query("SELECT 1"))
        assert client.run(SYNC).kinds == "Z"


def test_series_larger_than_is_kept_is_streamed(pooler):
    long = "SELECT 7" + " " * 1_100_000
    with pooler.raw() as client:
        client.send(parse("", long) + FLUSH)
        assert kinds(client, "1") == "1"
        assert client.run(RUN).value() == "7"


def test_asyncpg_prepares_on_more_connections_than_servers(pooler):
    async def work():
        target = {"host": "127.0.0.1", "port": pooler.port, "user": "app", "database": "app",
                  "password": pooler.passwords["app"]}
        conns = [await asyncpg.connect(**target) for _ in range(4)]
        prepared = [await c.prepare(f"SELECT {i} + $1::int AS n") for i, c in enumerate(conns)]
        for i, statement in enumerate(prepared):
            assert [a.name for a in statement.get_attributes()] == ["n"]
            assert await statement.fetchval(10) == 10 + i
        for c in conns:
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await c.prepare("SELEC 1")
        assert [await s.fetchval(20) for s in prepared] == [20, 21, 22, 23]
        for c in conns:
            await c.close()
    asyncio.run(work())
