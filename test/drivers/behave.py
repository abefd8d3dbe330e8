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
