#!/usr/bin/python3
"""psycopg 3: extended queries, statements prepared after a few uses, pipeline mode."""
import contextlib
import threading
import time

import psycopg
from behave import BIG, CA, CLIENTS, behaviour, main, transactions_that_read


@contextlib.contextmanager
def connections(count, **more):
    opened = [psycopg.connect(autocommit=True, prepare_threshold=2, **more) for _ in range(count)]
    try:
        yield opened
    finally:
        for conn in opened:
            conn.close()


def value(conn, sql, params=None, **more):
    return conn.execute(sql, params, **more).fetchone()[0]


def code(call, *args):
    try:
        return call(*args)
    except psycopg.Error as error:
        return error.sqlstate


@behaviour
def prepared():
    with connections(CLIENTS) as conns:
        seen = 0
        for i in range(8):
            for k, conn in enumerate(conns):
                with conn.transaction() if i % 3 == 0 else contextlib.nullcontext():
                    seen += value(conn, "SELECT %s::int + 1", (i,))
                    seen += value(conn, f"SELECT %s::int * {k}", (i,), prepare=True)
        conns[0].execute("DEALLOCATE ALL")
        return [seen, value(conns[0], "SELECT %s::int * 3", (5,), prepare=True)]


@behaviour
def settings():
    with connections(CLIENTS) as conns:
        for i, conn in enumerate(conns):
            conn.execute(f"SET TimeZone = 'Etc/GMT+{i}'")
            conn.execute(f"SET statement_timeout = {60000 + i}")
            conn.execute(f"SET search_path = pg_catalog, d{i}")
        seen = []
        for conn in conns * 2:
            with contextlib.suppress(ZeroDivisionError), conn.transaction():
                conn.execute("SET LOCAL work_mem = '7MB'")
                conn.execute("SET statement_timeout = 5000")
                raise ZeroDivisionError
            seen += [value(conn, f"SHOW {name}") for name in
                     ("TimeZone", "statement_timeout", "search_path", "work_mem")]
        seen += [conn.info.parameter_status("TimeZone") for conn in conns]
        conns[0].execute("RESET ALL")
        return seen + [value(conns[0], "SHOW statement_timeout")]


@behaviour
def custom_setting():
    with connections(2) as (one, two):
        ask = "SELECT current_setting('app.user_id', true)"
        one.execute("SET app.user_id = '7'")
        seen = [value(one, ask), value(two, ask)]
        one.execute("SELECT set_config('app.user_id', %s, false)", ("8",))
        return seen + [value(one, ask), value(two, ask)]


@behaviour
def errors():
    with connections(1) as (conn,):
        seen = [code(value, conn, sql) for sql in
                ("SELECT 1/0", "SELEKT 1", "SELECT * FROM no_such_table", "SELECT 1")]
        conn.autocommit = False
        seen += [code(value, conn, sql) for sql in ("SELECT 1", "SELECT 'x'::int", "SELECT 1")]
        conn.rollback()
        return seen + [value(conn, "SELECT 5")]


@behaviour
def cancel():
    with connections(2) as (one, two):
        timer = threading.Timer(0.3, one.cancel)
        timer.start()
        began = time.monotonic()
        seen = [code(value, one, "SELECT pg_sleep(30)"), time.monotonic() - began < 10]
        timer.join()
        return seen + [value(one, "SELECT 1"), value(two, "SELECT 2")]


def fill(conn, rows):
    with conn.cursor() as cursor_, cursor_.copy("COPY d_copy FROM STDIN") as out:
        for row in rows:
            out.write_row(row)


@behaviour
def copy():
    with connections(2) as (one, two):
        one.execute("DROP TABLE IF EXISTS d_copy")
        one.execute("CREATE TABLE d_copy (a int, b text)")
        fill(one, ((i, f"row {i}") for i in range(10000)))
        seen = [value(two, "SELECT count(*) || ' ' || sum(a) FROM d_copy")]
        with two.cursor() as cursor_, cursor_.copy("COPY d_copy TO STDOUT (FORMAT BINARY)") as rows:
            seen += [sum(len(bytes(row)) for row in rows)]
        seen += [code(fill, one, [("x", "y")]), value(one, "SELECT count(*) FROM d_copy")]
        one.execute("DROP TABLE d_copy")
        return seen


@behaviour
def listen():
    with connections(2) as (one, two):
        heard = []
        one.execute("LISTEN d_news")
        two.execute("NOTIFY d_news, 'hello'")
        two.execute("SELECT pg_notify(%s, %s)", ("d_news", "again"))
        for note in one.notifies():
            heard.append((note.channel, note.payload))
            if len(heard) == 2:
                break
        return heard


@behaviour
def temp_table():
    with connections(3) as (one, two, three):
        one.execute("CREATE TEMP TABLE d_temp (a int)")
        two.execute("CREATE TEMP TABLE d_temp (a text)")
        one.execute("INSERT INTO d_temp VALUES (%s), (%s)", (1, 2))
        two.execute("INSERT INTO d_temp VALUES (%s)", ("x",))
        seen = [value(one, "SELECT sum(a) FROM d_temp"), value(two, "SELECT max(a) FROM d_temp"),
                code(value, three, "SELECT a FROM d_temp")]
        one.execute("DROP TABLE d_temp")
        return seen + [code(value, one, "SELECT a FROM d_temp")]


@behaviour
def advisory_lock():
    with connections(2) as (one, two):
        one.execute("SELECT pg_advisory_lock(%s)", (77,))
        seen = [value(two, "SELECT pg_try_advisory_lock(%s)", (77,))]
        seen += [value(one, "SELECT pg_advisory_unlock(%s)", (77,))]
        seen += [value(two, "SELECT pg_try_advisory_lock(%s)", (77,))]
        return seen + [value(two, "SELECT pg_advisory_unlock(%s)", (77,)),
                       value(one, "SELECT pg_advisory_unlock(%s)", (77,))]


@behaviour
def cursor():
    with connections(3) as conns:
        seen = []
        for conn in conns:
            conn.autocommit = False
        named = [conn.cursor("c") for conn in conns]
        for i, one in enumerate(named):
            one.execute("SELECT generate_series(1, 1000) * %s", (i + 1,))
        for _ in range(5):
            seen += [sum(row[0] for row in one.fetchmany(200)) for one in named]
        for conn in conns:
            conn.commit()
        hold = conns[0].cursor("h", withhold=True)
        hold.execute("SELECT generate_series(1, 100)")
        conns[0].commit()
        seen += [value(conns[1], "SELECT 1"), sum(row[0] for row in hold.fetchall())]
        hold.close()
        conns[0].commit()
        return seen


@behaviour
def big_value():
    with connections(1) as (conn,):
        big = "0123456789abcdef" * (BIG // 16)
        return [value(conn, "SELECT md5(%s)", (big,)), value(conn, "SELECT %s::text", (big,)) == big,
                value(conn, "SELECT %b::bytea", (big.encode(),)) == big.encode()]


def login_error(**target):
    try:
        psycopg.connect(**target).close()
    except psycopg.OperationalError as error:
        return str(error).splitlines()[0].rsplit("FATAL:  ", maxsplit=1)[-1]
    return "no error"


@behaviour
def wrong_password():
    return login_error(password="wrong")


@behaviour
def unknown_database():
    return login_error(dbname="no_such_database")


@behaviour
def tls():
    with connections(2, sslmode="verify-full", sslrootcert=CA) as (one, two), \
            connections(1, sslmode="disable") as (plain,):
        return [value(one, "SELECT 1"), value(two, "SELECT 2"), value(plain, "SELECT 3"),
                one.pgconn.ssl_in_use, plain.pgconn.ssl_in_use]


@behaviour
def savepoints():
    with connections(3) as conns:
        seen = []
        for i, conn in enumerate(conns):
            with conn.transaction():
                with contextlib.suppress(psycopg.Error), conn.transaction():
                    conn.execute("SELECT 1/0")
                seen += [value(conn, "SELECT %s::int", (i,)), conn.info.transaction_status.name]
        return seen


@behaviour
def read_transactions():
    """Without autocommit, which is the default: whatever is done is in a transaction."""
    with connections(CLIENTS) as conns:
        return transactions_that_read(conns, psycopg.Connection.execute, value, code)


@behaviour
def pipeline():
    with connections(3) as conns:
        seen = []
        for conn in conns:
            with conn.pipeline():
                cursors = [conn.execute("SELECT %s::int + 1", (i,)) for i in range(50)]
                seen += [sum(c.fetchone()[0] for c in cursors)]
            with contextlib.suppress(psycopg.Error), conn.pipeline() as block:
                first = conn.execute("SELECT 3")
                conn.execute("SELECT 1/0")
                last = conn.execute("SELECT 4")
                block.sync()
                seen += [first.fetchone(), last.fetchone()]
            seen += [value(conn, "SELECT 9")]
        one = conns[0].cursor()
        one.executemany("SELECT %s::int", [(i,) for i in range(100)], returning=True)
        return seen + [one.fetchone()]


if __name__ == "__main__":
    main()
