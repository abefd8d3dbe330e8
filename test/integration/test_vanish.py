"""Clients that go away at the worst moment leave neither work nor harm behind."""
import struct

import pgwire
import pytest
from pgwire import bind, copy_data, execute, parse
from rawclient import RawClient
from tools import proc

# The heads of messages that declare 64 bytes and bring one of them.
HALF_MESSAGES = {kind: kind.encode() + struct.pack(">i", 64) + b"x" for kind in "QPBDECSHdcfFp"}
LEAVE = {"fin": lambda c: c.close(), "reset": lambda c: c.reset(),
         "terminate": lambda c: (c.send(pgwire.TERMINATE), c.close())}


@pytest.fixture
def pooler(site):
    """One server; a daemon for each test, as a server that is lost would spoil the next one's."""
    settings = {"default_pool_size": 1, "query_wait_timeout": 20, "server_cancel_timeout": 10}
    with site.pgweir(settings=settings) as p:
        yield p


def leaving(*names):
    return pytest.mark.parametrize("leave", [LEAVE[n] for n in names], ids=names)


def server_pid(pooler):
    with pooler.raw() as client:
        return client.value("SELECT pg_backend_pid()")


def is_active(superuser, mark):
    return superuser("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                     f"query LIKE '%{mark}%' AND pid <> pg_backend_pid()") != "0"


@leaving("fin", "reset", "terminate")
def test_running_query_is_cancelled_and_the_server_used_again(pooler, superuser, leave):
    pid = server_pid(pooler)
    client = pooler.raw()
    client.send(pgwire.query("SELECT pg_sleep(60) /* gone */"))
    proc.wait_until("the query to run", lambda: is_active(superuser, "/* gone */"))
    leave(client)
    proc.wait_until("the query to be cancelled",
                    lambda: not is_active(superuser, "/* gone */"), 5 * pooler.slow)
    assert server_pid(pooler) == pid


@leaving("fin", "reset", "terminate")
def test_open_transaction_is_rolled_back_and_the_server_used_again(pooler, new_table, leave):
    table = new_table("a int")
    pid = server_pid(pooler)
    client = pooler.raw()
    client.query(f"BEGIN; INSERT INTO {table} VALUES (1)").check()
    leave(client)
    with pooler.raw() as other:
        assert other.value(f"SELECT count(*) FROM {table}") == "0"
        assert other.query("SELECT 1").status == "I"
    assert server_pid(pooler) == pid


def test_failed_transaction_is_rolled_back(pooler):
    client = pooler.raw()
    client.query("BEGIN; SELECT 1/0")
    client.close()
    with pooler.raw() as other:
        assert other.query("SELECT 1").status == "I"


def test_lock_of_a_vanished_client_is_freed(pooler, superuser, new_table):
    table = new_table("a int")
    client = pooler.raw()
    client.query(f"BEGIN; LOCK TABLE {table}").check()
    client.reset()
    proc.wait_until("the lock to be freed", lambda: superuser(
        f"SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass") == "0")


@pytest.mark.parametrize("kind", HALF_MESSAGES)
@pytest.mark.parametrize("leaves", [True, False], ids=["leaves", "stays"])
def test_half_a_message_after_a_query_never_swallows_the_neighbours_query(pooler, kind, leaves):
    """The head of a message, passed on early, would make the server take the next client's
    query for its body."""
    with pooler.raw() as neighbour:
        client = pooler.raw()
        client.send(pgwire.query("SELECT 'whole'") + HALF_MESSAGES[kind])
        try:
            assert client.result().value() == "whole"
        except pgwire.Closed:
            assert kind == "p", "a password now is no part of the protocol"
        if leaves:
            client.close()
        for i in range(3):
            assert neighbour.value(f"SELECT {i}") == str(i)
        client.close()


@pytest.mark.parametrize("kind", "HdcfS")
def test_half_a_message_after_a_series(pooler, kind):
    with pooler.raw() as neighbour:
        client = pooler.raw()
        client.send(pgwire.prepared("SELECT 'whole'") + HALF_MESSAGES[kind])
        assert client.result().value() == "whole"
        assert neighbour.value("SELECT 1") == "1"
        client.reset()
        assert neighbour.value("SELECT 2") == "2"


def test_large_message_that_never_ends(pooler):
    """The beginning of a large unit has been streamed to the server when the client goes."""
    client = pooler.raw()
    client.send(b"Q" + struct.pack(">i", 50_000_000) + b"SELECT '" + b"x" * 5_000_000)
    with pooler.raw() as neighbour:
        client.reset()
        assert neighbour.value("SELECT 1") == "1"


@leaving("fin", "reset")
def test_series_without_sync(pooler, leave):
    client = pooler.raw()
    client.send(parse("", "SELECT 'flushed'") + bind() + execute() + pgwire.FLUSH)
    client.read_until("C")
    leave(client)
    with pooler.raw() as other:
        assert other.value("SELECT 1") == "1"
        assert other.query("SELECT 2").status == "I"


@leaving("fin", "reset")
def test_in_the_middle_of_copy_in(pooler, new_table, leave):
    table = new_table("a text")
    client = pooler.raw()
    client.send(pgwire.query(f"COPY {table} FROM STDIN"))
    assert client.read_message().kind == "G"
    client.send(copy_data(b"row\n") * 1000 + copy_data(b"half a row")[:7])
    leave(client)
    with pooler.raw() as other:
        assert other.value(f"SELECT count(*) FROM {table}") == "0"


@leaving("fin", "reset")
def test_with_a_large_answer_unread(pooler, leave):
    client = pooler.raw()
    client.send(pgwire.query("SELECT repeat('x', 1000) FROM generate_series(1, 200000)"))
    client.read(1000)
    leave(client)
    with pooler.raw() as other:
        assert other.value("SELECT 1") == "1"


def test_while_waiting_in_line(pooler):
    with pooler.raw() as holder:
        holder.query("BEGIN; SELECT 1").check()
        gone = [pooler.raw() for _ in range(5)]
        for client in gone:
            client.send(pgwire.query("SELECT pg_sleep(3)"))
        stays = pooler.raw()
        stays.send(pgwire.query("SELECT 'patient'"))
        for client in gone:
            client.reset()
        pooler.wait_show("POOLS", lambda row: row["cl_waiting"] == "1", database="app")
        holder.query("COMMIT").check()
        assert stays.result().value() == "patient"


def test_during_login(pooler):
    packet = pgwire.startup({"user": "app", "database": "app"})
    for size in range(0, len(packet), 3):
        client = RawClient(pooler.port)
        client.send(packet[:size])
        client.reset()
    client = RawClient(pooler.port)
    client.send(packet)
    client.read_message()
    client.reset()
    with pooler.raw() as other:
        assert other.value("SELECT 1") == "1"


def test_half_closed_client_gets_its_last_answer(pooler):
    """A client that sends its query and a FIN at once still reads."""
    import socket  # pylint: disable=import-outside-toplevel
    client = pooler.raw()
    client.send(pgwire.query("SELECT 'last words'") + pgwire.TERMINATE)
    client.sock.shutdown(socket.SHUT_WR)
    rows = [m.row() for m in client.wait_closed() if m.kind == "D"]
    assert rows in ([("last words",)], []), "or it may have been cancelled"
    with pooler.raw() as other:
        assert other.value("SELECT 1") == "1"


@pytest.mark.threads
def test_crowd_of_vanishing_clients(pooler):
    for turn in range(100):
        client = pooler.raw()
        client.send([pgwire.query("SELECT pg_sleep(1)"), pgwire.query("BEGIN; SELECT 1"),
                     pgwire.prepared("SELECT 1")[:-7], pgwire.query("SELECT 1") * 20][turn % 4])
        client.reset() if turn % 2 else client.close()
    with pooler.raw() as other:
        assert other.query("SELECT 1").status == "I"
    pooler.wait_show("POOLS", lambda row: row["cl_active"] == row["cl_waiting"] == "0"
                     or int(row["cl_active"]) <= 1, database="app")


@pytest.mark.threads
def test_while_it_changes_threads(site):
    """A client goes to another worker once it has proved itself; some leave in that moment."""
    settings = {"workers": 4, "auth_type": "any", "default_pool_size": 2, "client_login_timeout": 60}
    databases = {f"db{i}": site.app_on([site.cluster.primary])["app"] + " user=app password="
                 + site.passwords["app"] for i in range(8)}
    with site.pgweir(databases=databases, settings=settings) as pooler:
        for i in range(400):
            client = RawClient(pooler.port)
            client.send(pgwire.startup({"user": "app", "database": f"db{i % 8}"}))
            client.reset() if i % 2 else client.close()
        with pooler.raw(database="db0") as client:
            assert client.value("SELECT 1") == "1"
