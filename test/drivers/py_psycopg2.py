#!/usr/bin/python3
"""psycopg2: simple queries; what is prepared, is so by SQL."""
import contextlib
import io
import threading
import time

import psycopg2
import psycopg2.extensions
from behave import (BIG, CA, CLIENTS, behaviour, main, psycopg2_notifies,
                    transactions_that_read)

ERRORS = (psycopg2.Error,)


@contextlib.contextmanager
def connections(count, **more):
    opened = [psycopg2.connect(**more) for _ in range(count)]
    for conn in opened:
        conn.autocommit = True
    try:
        yield opened
    finally:
        for conn in opened:
            conn.close()


def value(conn, sql, params=None):
    with conn.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


def run(conn, sql, params=None):
    with conn.cursor() as cursor:
        cursor.execute(sql, params)


def code(call, *args):
    try:
        return call(*args)
    except ERRORS as error:
        return error.pgcode


@behaviour
def prepared():
    with connections(2) as (one, two), connections(CLIENTS - 2) as others:
        run(one, "PREPARE q (int) AS SELECT $1 + 1")
        run(two, "PREPARE q (int) AS SELECT $1 * 2")
        seen = [(value(one, "EXECUTE q(%s)", (i,)), value(two, "EXECUTE q(%s)", (i,)),
                 [value(conn, "SELECT %s + 0", (i,)) for conn in others]) for i in range(6)]
        for conn in (one, two):
            run(conn, "DEALLOCATE q")
        return seen


@behaviour
def settings():
    with connections(CLIENTS) as conns:
        for i, conn in enumerate(conns):
            run(conn, f"SET TimeZone = 'Etc/GMT+{i}'; SET statement_timeout = {60000 + i}")
            run(conn, f"SET search_path = pg_catalog, d{i}")
        seen = []
        for conn in conns * 2:
            conn.autocommit = False
            run(conn, "SET LOCAL work_mem = '7MB'")
            run(conn, "SET statement_timeout = 5000")
            conn.rollback()
            conn.autocommit = True
            seen += [value(conn, f"SHOW {name}") for name in
                     ("TimeZone", "statement_timeout", "search_path", "work_mem")]
        run(conns[0], "RESET ALL")
        return seen + [value(conns[0], "SHOW statement_timeout")]


@behaviour
def custom_setting():
    with connections(2) as (one, two):
        ask = "SELECT current_setting('app.user_id', true)"
        run(one, "SET app.user_id = '7'")
        seen = [value(one, ask), value(two, ask)]
        run(one, "SELECT set_config('app.user_id', '8', false)")
        return seen + [value(one, ask), value(two, ask)]


@behaviour
def errors():
    with connections(1) as (conn,):
        seen = [code(value, conn, sql) for sql in
                ("SELECT 1/0", "SELEKT 1", "SELECT * FROM no_such_table", "SELECT 1")]
        conn.autocommit = False
        seen += [code(value, conn, sql) for sql in
                 ("SELECT 1", "SELECT 'x'::int", "SELECT 1")]
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


@behaviour
def copy():
    with connections(2) as (one, two):
        run(one, "DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)")
        with one.cursor() as cursor:
            cursor.copy_expert("COPY d_copy FROM STDIN", io.StringIO(
                "".join(f"{i}\trow {i}\n" for i in range(10000))))
        seen = [value(two, "SELECT count(*) || ' ' || sum(a) FROM d_copy")]
        out = io.StringIO()
        with two.cursor() as cursor:
            cursor.copy_expert("COPY d_copy TO STDOUT", out)
        seen += [len(out.getvalue())]
        with one.cursor() as cursor:
            seen += [code(cursor.copy_expert, "COPY d_copy FROM STDIN", io.StringIO("x\ty\n"))]
        seen += [value(one, "SELECT count(*) FROM d_copy")]
        run(one, "DROP TABLE d_copy")
        return seen


@behaviour
def listen():
    with connections(2) as (one, two):
        run(one, "LISTEN d_news")
        run(two, "NOTIFY d_news, 'hello'")
        run(two, "SELECT pg_notify('d_news', 'again')")
        return psycopg2_notifies(one, 2)


@behaviour
def temp_table():
    with connections(3) as (one, two, three):
        run(one, "CREATE TEMP TABLE d_temp (a int)")
        run(two, "CREATE TEMP TABLE d_temp (a text)")
        run(one, "INSERT INTO d_temp VALUES (1), (2)")
        run(two, "INSERT INTO d_temp VALUES ('x')")
        seen = [value(one, "SELECT sum(a) FROM d_temp"), value(two, "SELECT max(a) FROM d_temp"),
                code(value, three, "SELECT a FROM d_temp")]
        run(one, "DROP TABLE d_temp")
        return seen + [code(value, one, "SELECT a FROM d_temp")]


@behaviour
def advisory_lock():
    with connections(2) as (one, two):
        run(one, "SELECT pg_advisory_lock(77)")
        seen = [value(two, "SELECT pg_try_advisory_lock(77)")]
        seen += [value(one, "SELECT pg_advisory_unlock(77)")]
        seen += [value(two, "SELECT pg_try_advisory_lock(77)")]
        return seen + [value(two, "SELECT pg_advisory_unlock(77)"),
                       value(one, "SELECT pg_advisory_unlock(77)")]


@behaviour
def cursor():
    with connections(3) as conns:
        seen = []
        for conn in conns:
            conn.autocommit = False
        named = [conn.cursor("c") for conn in conns]
        for i, one in enumerate(named):
            one.itersize = 100
            one.execute(f"SELECT generate_series(1, 1000) * {i + 1}")
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
        return [value(conn, "SELECT md5(%s)", (big,)), value(conn, "SELECT %s", (big,)) == big]


def login_error(**target):
    try:
        psycopg2.connect(**target).close()
    except psycopg2.OperationalError as error:
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
                one.info.ssl_in_use, plain.info.ssl_in_use]


@behaviour
def savepoints():
    with connections(3) as conns:
        seen = []
        for conn in conns:
            conn.autocommit = False
            run(conn, "SAVEPOINT s")
        for i, conn in enumerate(conns):
            seen += [code(value, conn, "SELECT 1/0"), code(value, conn, "SELECT 1")]
            run(conn, "ROLLBACK TO SAVEPOINT s")
            seen += [value(conn, "SELECT %s", (i,))]
        for conn in conns:
            conn.commit()
        return seen


@behaviour
def read_transactions():
    """Without autocommit, which is the default: whatever is done is in a transaction."""
    with connections(CLIENTS) as conns:
        return transactions_that_read(conns, run, value, code)


if __name__ == "__main__":
    main()
