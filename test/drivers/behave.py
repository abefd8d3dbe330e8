"""What the scripts of the Python drivers share: behaviours are functions that return what the
client saw; main() runs them all and prints a line for each, "name: what was seen"."""
import os
import select
import sys
import time
import traceback

CLIENTS = 5  # more than the pool has servers
BIG = 10 * 1024 * 1024
HOST, PORT, USER, PASSWORD, DATABASE = (
    os.environ[name] for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"))
CA = os.environ["DRIVER_CA"]
_behaviours = []


def behaviour(function):
    _behaviours.append(function)
    return function


def tell(name, result):
    print(f"{name}: {' '.join(map(str, result)) if isinstance(result, (list, tuple)) else result}",
          flush=True)


def tell_failure(name, error):
    traceback.print_exc(file=sys.stderr)
    print(f"{name}: failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
          flush=True)


def transactions_that_read(conns, run, value, code):
    """Of connections as psycopg has them, with autocommit off: transactions that only read, that
    write behind a read, and that fail. run, value and code are the driver's, of (connection, SQL
    [, values])."""
    run(conns[0], "DROP TABLE IF EXISTS d_read")
    run(conns[0], "CREATE TABLE d_read AS SELECT g AS a FROM generate_series(1, 100) g")
    for conn in conns:
        conn.autocommit = False
    seen = 0
    for i in range(20):
        for conn in conns:
            seen += value(conn, "SELECT sum(a) FROM d_read")
            seen += value(conn, "SELECT a FROM d_read WHERE a = %s", (i + 1,))
            conn.commit()
        time.sleep(0.1)
    seen = [seen]
    for i, conn in enumerate(conns):
        top = value(conn, "SELECT max(a) FROM d_read")
        run(conn, "INSERT INTO d_read VALUES (%s)", (top + 1,))
        seen += [value(conn, "SELECT max(a) FROM d_read")]
        (conn.commit if i % 2 else conn.rollback)()
        seen += [value(conn, "SELECT max(a) FROM d_read"), code(value, conn, "SELECT 1/0"),
                 code(value, conn, "SELECT 1")]
        conn.rollback()
    run(conns[0], "DROP TABLE d_read")
    conns[0].commit()
    return seen


def psycopg2_notifies(connection, count):
    """Channel and payload of so many notifications, or of what comes within 10 seconds."""
    deadline = time.monotonic() + 10
    while len(connection.notifies) < count and time.monotonic() < deadline:
        select.select([connection], [], [], 1)
        connection.poll()
    return [(n.channel, n.payload) for n in connection.notifies]


def main():
    for function in _behaviours:
        try:
            tell(function.__name__, function())
        except Exception as error:  # pylint: disable=broad-except
            tell_failure(function.__name__, error)


async def main_async():
    for function in _behaviours:
        try:
            tell(function.__name__, await function())
        except Exception as error:  # pylint: disable=broad-except
            tell_failure(function.__name__, error)
