#!/usr/bin/python3
"""asyncpg: named statements kept by each connection, binary values, cursors as portals."""
import asyncio
import contextlib
import io
import ssl

import asyncpg
from behave import BIG, CA, CLIENTS, behaviour, main_async


@contextlib.asynccontextmanager
async def connections(count, **more):
    opened = [await asyncpg.connect(**{"ssl": False, **more}) for _ in range(count)]
    try:
        yield opened
    finally:
        for conn in opened:
            await conn.close()


async def code(answer):
    try:
        return await answer
    except asyncpg.PostgresError as error:
        return error.sqlstate


@behaviour
async def prepared():
    async with connections(CLIENTS) as conns:
        seen = 0
        for i in range(8):
            for k, conn in enumerate(conns):
                async with conn.transaction() if i % 3 == 0 else contextlib.AsyncExitStack():
                    seen += await conn.fetchval(f"SELECT $1::int * {k}", i)
                    seen += await conn.fetchval("SELECT $1::int + 1", i)
            await asyncio.gather(*(conn.fetchval("SELECT pg_sleep(0.01)") for conn in conns))
        return seen


@behaviour
async def settings():
    async with connections(CLIENTS, server_settings={"lock_timeout": "4321"}) as conns:
        for i, conn in enumerate(conns):
            await conn.execute(f"SET TimeZone = 'Etc/GMT+{i}'; SET statement_timeout = {60000 + i};"
                               f"SET search_path = pg_catalog, d{i}")
        seen = []
        for conn in conns * 2:
            block = conn.transaction()
            await block.start()
            await conn.execute("SET LOCAL work_mem = '7MB'")
            await conn.execute("SET statement_timeout = 5000")
            await block.rollback()
            seen += [await conn.fetchval(f"SHOW {name}") for name in
                     ("TimeZone", "statement_timeout", "search_path", "work_mem", "lock_timeout")]
        seen += [conn.get_settings().TimeZone for conn in conns]
        await conns[0].execute("RESET ALL")
        return seen + [await conns[0].fetchval(f"SHOW {name}") for name in
                       ("statement_timeout", "lock_timeout")]


@behaviour
async def custom_setting():
    async with connections(2) as (one, two):
        ask = "SELECT current_setting('app.user_id', true)"
        await one.execute("SET app.user_id = '7'")
        seen = [await one.fetchval(ask), await two.fetchval(ask)]
        await one.fetchval("SELECT set_config('app.user_id', $1, false)", "8")
        return seen + [await one.fetchval(ask), await two.fetchval(ask)]


@behaviour
async def errors():
    async with connections(1) as (conn,):
        seen = [await code(conn.fetchval(sql)) for sql in
                ("SELECT 1/0", "SELEKT 1", "SELECT * FROM no_such_table", "SELECT 1")]
        block = conn.transaction()
        await block.start()
        seen += [await code(conn.fetchval(sql)) for sql in
                 ("SELECT 1", "SELECT 'x'::int", "SELECT 1")]
        await block.rollback()
        return seen + [await conn.fetchval("SELECT 5")]


@behaviour
async def cancel():
    async with connections(2) as (one, two):
        try:
            await asyncio.wait_for(one.fetchval("SELECT pg_sleep(30)"), 0.3)
            seen = ["not cancelled"]
        except asyncio.TimeoutError:
            seen = ["timeout"]
        return seen + [await one.fetchval("SELECT 1"), await two.fetchval("SELECT 2")]


@behaviour
async def copy():
    async with connections(2) as (one, two):
        await one.execute("DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)")
        seen = [await one.copy_records_to_table(
            "d_copy", records=[(i, f"row {i}") for i in range(10000)])]
        seen += [await two.fetchval("SELECT count(*) || ' ' || sum(a) FROM d_copy")]
        out = io.BytesIO()
        seen += [await two.copy_from_query("SELECT * FROM d_copy", output=out), len(out.getvalue())]
        seen += [await code(one.copy_to_table("d_copy", source=io.BytesIO(b"x\ty\n"))),
                 await one.fetchval("SELECT count(*) FROM d_copy")]
        await one.execute("DROP TABLE d_copy")
        return seen


@behaviour
async def listen():
    async with connections(2) as (one, two):
        heard = asyncio.Queue()
        await one.add_listener("d_news", lambda *what: heard.put_nowait(what[2:]))
        await two.execute("NOTIFY d_news, 'hello'")
        await two.fetchval("SELECT pg_notify($1, $2)", "d_news", "again")
        return [await asyncio.wait_for(heard.get(), 10) for _ in range(2)]


@behaviour
async def temp_table():
    async with connections(3) as (one, two, three):
        await one.execute("CREATE TEMP TABLE d_temp (a int)")
        await two.execute("CREATE TEMP TABLE d_temp (a text)")
        await one.executemany("INSERT INTO d_temp VALUES ($1)", [(1,), (2,)])
        await two.execute("INSERT INTO d_temp VALUES ($1)", "x")
        seen = [await one.fetchval("SELECT sum(a) FROM d_temp"),
                await two.fetchval("SELECT max(a) FROM d_temp"),
                await code(three.fetchval("SELECT a FROM d_temp"))]
        await one.execute("DROP TABLE d_temp")
        return seen + [await code(one.fetchval("SELECT a FROM d_temp"))]


@behaviour
async def advisory_lock():
    async with connections(2) as (one, two):
        await one.execute("SELECT pg_advisory_lock($1)", 77)
        seen = [await two.fetchval("SELECT pg_try_advisory_lock($1)", 77)]
        seen += [await one.fetchval("SELECT pg_advisory_unlock($1)", 77)]
        seen += [await two.fetchval("SELECT pg_try_advisory_lock($1)", 77)]
        return seen + [await two.fetchval("SELECT pg_advisory_unlock($1)", 77),
                       await one.fetchval("SELECT pg_advisory_unlock($1)", 77)]


@behaviour
async def cursor():
    async with connections(3) as conns:
        blocks = [conn.transaction() for conn in conns]
        for block in blocks:
            await block.start()
        named = [await conn.cursor(f"SELECT generate_series(1, 1000) * {i + 1}")
                 for i, conn in enumerate(conns)]
        seen = []
        for _ in range(5):
            seen += [sum(row[0] for row in await one.fetch(200)) for one in named]
        for block in blocks:
            await block.commit()
        async with conns[0].transaction():
            seen += [sum([row[0] async for row in conns[0].cursor(
                "SELECT generate_series(1, $1::int)", 100, prefetch=7)])]
        return seen


@behaviour
async def big_value():
    async with connections(1) as (conn,):
        big = "0123456789abcdef" * (BIG // 16)
        return [await conn.fetchval("SELECT md5($1)", big),
                await conn.fetchval("SELECT $1::text", big) == big,
                await conn.fetchval("SELECT $1::bytea", big.encode()) == big.encode()]


async def login_error(**target):
    try:
        await (await asyncpg.connect(ssl=False, **target)).close()
    except asyncpg.PostgresError as error:
        return f"{error.sqlstate} {error.message}"
    return "no error"


@behaviour
async def wrong_password():
    return await login_error(password="wrong")


@behaviour
async def unknown_database():
    return await login_error(database="no_such_database")


@behaviour
async def tls():
    context = ssl.create_default_context(cafile=CA)
    async with connections(2, ssl=context) as (one, two), connections(1) as (plain,):
        return [await one.fetchval("SELECT 1"), await two.fetchval("SELECT 2"),
                await plain.fetchval("SELECT 3")]


@behaviour
async def savepoints():
    async with connections(3) as conns:
        seen = []
        for i, conn in enumerate(conns):
            async with conn.transaction():
                with contextlib.suppress(asyncpg.PostgresError):
                    async with conn.transaction():
                        await conn.fetchval("SELECT 1/0")
                seen += [await conn.fetchval("SELECT $1::int", i), conn.is_in_transaction()]
        return seen


@behaviour
async def prepare_many():
    """Each prepares, before any of them executes: asyncpg sends no Sync in between."""
    async with connections(CLIENTS) as conns:
        own = [await conn.prepare(f"SELECT $1::int * {k}") for k, conn in enumerate(conns)]
        return [await statement.fetchval(7) for statement in own]


@behaviour
async def pool_resets():
    """Its own pool resets each connection that comes back: advisory locks, cursors, UNLISTEN, RESET."""
    async with asyncpg.create_pool(min_size=2, max_size=2, ssl=False) as pool:
        async def one(i):
            async with pool.acquire() as conn:
                before = await conn.fetchval("SHOW work_mem")
                await conn.execute(f"SET work_mem = '{i + 5}MB'")
                return before, await conn.fetchval("SHOW work_mem")
        return sorted(await asyncio.gather(*(one(i) for i in range(8))))


if __name__ == "__main__":
    asyncio.run(main_async())
