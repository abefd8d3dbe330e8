#!/usr/bin/python3
"""SQLAlchemy: its pool and ORM, over psycopg2."""
import contextlib
import io
import threading
import time

import sqlalchemy as sa
from behave import (BIG, CA, CLIENTS, DATABASE, HOST, PASSWORD, PORT, USER, behaviour, main,
                    psycopg2_notifies)
from sqlalchemy.orm import Session, declarative_base, relationship

Base = declarative_base()


class Author(Base):
    __tablename__ = "d_author"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.Text, unique=True)
    books = relationship("Book", back_populates="author")


class Book(Base):
    __tablename__ = "d_book"
    id = sa.Column(sa.Integer, primary_key=True)
    title = sa.Column(sa.Text)
    author_id = sa.Column(sa.ForeignKey("d_author.id"))
    author = relationship("Author", back_populates="books")


def engine(password=PASSWORD, database=DATABASE, **arguments):
    url = sa.engine.URL.create("postgresql+psycopg2", USER, password, HOST, int(PORT), database)
    return sa.create_engine(url, connect_args=arguments, pool_size=CLIENTS, max_overflow=0)


MAIN = engine()


@contextlib.contextmanager
def connections(count):
    """Fresh ones, without transactions of SQLAlchemy's: what is set there ends with them."""
    own = engine()
    opened = [own.connect().execution_options(isolation_level="AUTOCOMMIT") for _ in range(count)]
    try:
        yield opened
    finally:
        for conn in opened:
            conn.close()
        own.dispose()


def run(conn, sql, **params):
    conn.execute(sa.text(sql), params)


def value(conn, sql, **params):
    return conn.execute(sa.text(sql), params).scalar()


def code(call, *args, **more):
    try:
        return call(*args, **more)
    except sa.exc.DBAPIError as error:
        return error.orig.pgcode


@behaviour
def orm():
    Base.metadata.drop_all(MAIN)
    Base.metadata.create_all(MAIN)
    with Session(MAIN) as one, Session(MAIN) as two:
        one.add_all(Author(name=f"a{i}", books=[Book(title=f"b{i}.{k}") for k in range(3)])
                    for i in range(20))
        two.add(Author(name="two"))
        one.flush()
        two.flush()
        one.commit()
        two.rollback()
        seen = [two.query(Author).count(),
                [b.title for b in two.query(Author).filter_by(name="a7").one().books]]
        one.add(Author(name="a7"))
        seen += [code(one.commit)]
        one.rollback()
        return seen + [one.query(Book).join(Author).filter(Author.name == "a3").count()]


@behaviour
def prepared():
    with connections(2) as (one, two), connections(CLIENTS - 2) as others:
        run(one, "PREPARE q (int) AS SELECT $1 + 1")
        run(two, "PREPARE q (int) AS SELECT $1 * 2")
        seen = [(value(one, "EXECUTE q(:i)", i=i), value(two, "EXECUTE q(:i)", i=i),
                 [value(conn, "SELECT :i + 0", i=i) for conn in others]) for i in range(6)]
        seen += [code(run, one, "PREPARE q AS SELECT 1"), code(value, others[0], "EXECUTE q(1)")]
        for conn in (one, two):
            run(conn, "DEALLOCATE q")
        return seen


@behaviour
def settings():
    automatic = MAIN.execution_options(isolation_level="AUTOCOMMIT")
    conns = [automatic.connect() for _ in range(CLIENTS)]
    for i, conn in enumerate(conns):
        conn.execute(sa.text(f"SET search_path = pg_catalog, d{i}"))
    seen = [value(conn, "SHOW search_path") for conn in conns]
    for conn in conns:
        conn.execute(sa.text("RESET search_path"))
        conn.close()
    with MAIN.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        seen += [value(conn, "SHOW transaction_isolation")]
    with MAIN.connect() as conn:
        return seen + [value(conn, "SHOW transaction_isolation")]


@behaviour
def custom_setting():
    with connections(2) as (one, two):
        ask = "SELECT current_setting('app.user_id', true)"
        run(one, "SET app.user_id = '7'")
        seen = [value(one, ask), value(two, ask)]
        run(one, "SELECT set_config('app.user_id', :id, false)", id="8")
        return seen + [value(one, ask), value(two, ask)]


@behaviour
def errors():
    with MAIN.connect() as conn:
        seen = [code(value, conn, sql) for sql in
                ("SELECT 1/0", "SELEKT 1", "SELECT * FROM no_such_table")]
        with conn.begin() as block:
            seen += [value(conn, "SELECT 1"), code(value, conn, "SELECT 'x'::int"),
                     code(value, conn, "SELECT 1")]
            block.rollback()
        return seen + [value(conn, "SELECT 5")]


@behaviour
def cancel():
    with MAIN.connect() as conn, MAIN.connect() as other:
        threading.Timer(0.3, conn.connection.dbapi_connection.cancel).start()
        return [code(value, conn, "SELECT pg_sleep(30)"), value(conn, "SELECT 1"),
                value(other, "SELECT 2")]


def raw_copy(conn, sql, file):
    """By the driver's own cursor: SQLAlchemy has no COPY."""
    with conn.connection.cursor() as raw:
        try:
            return raw.copy_expert(sql, file)
        except conn.dialect.dbapi.Error as error:
            return error.pgcode


@behaviour
def copy():
    with connections(2) as (one, two):
        run(one, "DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)")
        seen = [raw_copy(one, "COPY d_copy FROM STDIN", io.StringIO(
            "".join(f"{i}\trow {i}\n" for i in range(10000))))]
        seen += [value(two, "SELECT count(*) || ' ' || sum(a) FROM d_copy")]
        out = io.StringIO()
        seen += [raw_copy(two, "COPY d_copy TO STDOUT", out), len(out.getvalue())]
        seen += [raw_copy(one, "COPY d_copy FROM STDIN", io.StringIO("x\ty\n")),
                 value(one, "SELECT count(*) FROM d_copy")]
        run(one, "DROP TABLE d_copy")
        return seen


@behaviour
def listen():
    with connections(2) as (one, two):
        run(one, "LISTEN d_news")
        run(two, "NOTIFY d_news, 'hello'")
        run(two, "SELECT pg_notify('d_news', :payload)", payload="again")
        raw = one.connection.dbapi_connection
        return psycopg2_notifies(raw, 2)


@behaviour
def temp_table():
    table = sa.Table("d_temp", sa.MetaData(), sa.Column("a", sa.Integer), prefixes=["TEMPORARY"])
    with MAIN.connect() as one, MAIN.connect() as other:
        table.create(one)
        one.execute(table.insert(), [{"a": i} for i in range(5)])
        seen = [one.execute(sa.select(sa.func.sum(table.c.a))).scalar(),
                code(value, other, "SELECT a FROM d_temp")]
        table.drop(one)
        return seen


@behaviour
def advisory_lock():
    with MAIN.connect() as one, MAIN.connect() as two:
        return [value(one, "SELECT pg_try_advisory_lock(:key)", key=78),
                value(two, "SELECT pg_try_advisory_lock(:key)", key=78),
                value(one, "SELECT pg_advisory_unlock(:key)", key=78),
                value(two, "SELECT pg_try_advisory_lock(:key)", key=78),
                value(two, "SELECT pg_advisory_unlock(:key)", key=78)]


@behaviour
def cursor():
    conns = [MAIN.connect().execution_options(stream_results=True) for _ in range(3)]
    results = [conn.execute(sa.text(f"SELECT generate_series(1, 1000) * {i + 1}"))
               for i, conn in enumerate(conns)]
    seen = []
    for _ in range(5):
        seen += [sum(row[0] for row in result.fetchmany(200)) for result in results]
    for conn in conns:
        conn.close()
    return seen


@behaviour
def big_value():
    with MAIN.connect() as conn:
        big = "0123456789abcdef" * (BIG // 16)
        return value(conn, "SELECT :big", big=big) == big


def login_error(**target):
    try:
        engine(**target).connect().close()
    except sa.exc.OperationalError as error:
        return str(error.orig).splitlines()[0].rsplit("FATAL:  ", maxsplit=1)[-1]
    return "no error"


@behaviour
def wrong_password():
    return login_error(password="wrong")


@behaviour
def unknown_database():
    return login_error(database="no_such_database")


@behaviour
def tls():
    with engine(sslmode="verify-full", sslrootcert=CA).connect() as conn, \
            engine(sslmode="disable").connect() as plain:
        return [value(conn, "SELECT 1"), value(plain, "SELECT 2")]


@behaviour
def savepoints():
    with Session(MAIN) as one, Session(MAIN) as two:
        seen = []
        for session in (one, two):
            session.execute(sa.text("SELECT 1"))
            nested = session.begin_nested()
            seen += [code(session.execute, sa.text("SELECT 1/0"))]
            nested.rollback()
            seen += [value(session, "SELECT 6")]
        return seen


@behaviour
def read_transactions():
    """A Session for each request: it begins with its first query, and commits or is closed."""
    def total(session):
        return session.query(sa.func.sum(Book.id)).scalar() + session.query(Author).count()

    seen = 0
    for i in range(20):
        for _ in range(CLIENTS):
            with Session(MAIN) as session:
                seen += total(session)
                seen += len(session.query(Author).filter_by(name=f"a{i}").one().books)
        time.sleep(0.1)
    seen = [seen]
    for i in range(CLIENTS):
        with Session(MAIN) as session:
            author = session.query(Author).filter_by(name=f"a{i}").one()
            author.books.append(Book(title=f"more {i}"))
            session.flush()
            seen += [session.query(Book).filter_by(author_id=author.id).count()]
            (session.commit if i % 2 else session.rollback)()
            seen += [session.query(Book).filter_by(author=author).count(),
                     code(session.execute, sa.text("SELECT 1/0"))]
    return seen


@behaviour
def two_phase():
    """Not where max_prepared_transactions is 0: the error is the answer then."""
    with MAIN.connect() as conn:
        block = conn.begin_twophase()
        conn.execute(sa.text("SELECT 1"))
        result = code(block.prepare)
    with MAIN.connect() as conn:
        return [result, value(conn, "SELECT 7")]


@behaviour
def reflection():
    found = sa.inspect(MAIN)
    seen = [sorted(t for t in found.get_table_names() if t.startswith("d_")),
            [str(c["type"]) for c in found.get_columns("d_book")],
            [k["referred_table"] for k in found.get_foreign_keys("d_book")]]
    Base.metadata.drop_all(MAIN)
    return seen


if __name__ == "__main__":
    main()
