"""COPY both ways, and messages that are larger than any buffer."""
import io
import struct
import threading

import pgwire
import pytest
from fakeserver import FakeServer
from pgwire import copy_data, msg
from rawclient import Result
from tools import proc

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 2}) as p:
        yield p


@pytest.fixture
def table(new_table):
    return new_table("a int, b text")


class MemoryWatch:
    """The highest resident size of a daemon, sampled while a block runs."""

    def __init__(self, pooler):
        self.pooler = pooler
        self.before = self.highest = pooler.rss_kib()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self):
        while not self._end.wait(0.02):
            self.highest = max(self.highest, proc.status_kib(self.pooler.pid, "VmRSS"))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._end.set()
        self._thread.join()
        if kind is None and not self.pooler.site.sanitizer:
            grown = self.highest - self.before
            assert grown < 16 * 1024, f"resident memory grew by {grown} KiB"


def test_copy_in_and_out_with_psycopg2(pooler, table):
    with pooler.connect() as conn, conn.cursor() as cur:
        rows = "".join(f"{i}\trow {i}\n" for i in range(10_000))
        cur.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(rows))
        out = io.StringIO()
        cur.copy_expert(f"COPY (SELECT * FROM {table} ORDER BY a) TO STDOUT", out)
        assert out.getvalue() == rows
        cur.execute("SELECT 1")


def test_copy_with_psycopg3_extended_and_binary(pooler, table):
    with pooler.connect3() as conn, conn.cursor() as cur:
        with cur.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for i in range(1000):
                copy.write_row((i, "x" * i))
        assert cur.execute(f"SELECT sum(length(b)) FROM {table}").fetchone() == (499_500,)
        with cur.copy(f"COPY {table} TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 1000


def test_copy_fail_ends_in_an_error_and_the_session_goes_on(pooler, table):
    with pooler.raw() as client:
        client.send(pgwire.query(f"COPY {table} FROM STDIN"))
        assert client.read_message().kind == "G"
        result = client.run(copy_data(b"1\tone\n") + pgwire.copy_fail("changed my mind"))
        assert result.sqlstate == "57014" and result.status == "I"
        assert client.value(f"SELECT count(*) FROM {table}") == "0"


def test_copy_data_error_swallows_the_rest_of_the_data(pooler, table):
    with pooler.raw() as client:
        client.send(pgwire.query(f"COPY {table} FROM STDIN"))
        assert client.read_message().kind == "G"
        client.send(copy_data(b"not a number\tx\n") + copy_data(b"2\ty\n") * 100
                    + pgwire.COPY_DONE)
        assert client.result().sqlstate == "22P02"
        assert client.value("SELECT 7") == "7"


def test_copy_in_extended_protocol(pooler, table):
    with pooler.raw() as client:
        client.send(pgwire.parse("", f"COPY {table} FROM STDIN") + pgwire.bind()
                    + pgwire.execute() + pgwire.FLUSH)
        assert "".join(m.kind for m in client.read_until("G")) == "12G"
        result = client.run(copy_data(b"5\tfive\n") + pgwire.COPY_DONE + pgwire.SYNC)
        assert result.tags == ["COPY 1"] and result.status == "I"
        assert client.value("SELECT 8") == "8"


def test_copy_in_whose_data_follows_without_waiting(pooler, table):
    with pooler.raw() as client:
        client.send(pgwire.query(f"COPY {table} FROM STDIN") + copy_data(b"1\ta\n2\tb\n")
                    + pgwire.COPY_DONE + pgwire.query(f"SELECT count(*) FROM {table}"))
        assert client.result().tags == ["COPY 2"]
        assert client.result().value() == "2"


def test_copy_among_other_statements_of_one_message(pooler, table):
    with pooler.raw() as client:
        client.send(pgwire.query(f"SELECT 1; COPY {table} FROM STDIN; SELECT 2"))
        client.read_until("G")
        result = client.run(copy_data(b"1\ta\n") + pgwire.COPY_DONE)
        assert result.tags == ["COPY 1", "SELECT 1"] and result.rows == [("2",)]


def test_two_copies_of_one_message(pooler, table):
    with pooler.raw() as client:
        client.send(pgwire.query(f"COPY {table} FROM STDIN; COPY {table} FROM STDIN"))
        for i in range(2):
            assert client.read_until("G")
            client.send(copy_data(f"{i}\ta\n".encode()) + pgwire.COPY_DONE)
        assert client.result().tags == ["COPY 1"]  # the other one came before the second G
        assert client.value(f"SELECT sum(a) FROM {table}") == "1"


def leave_before_copy_begins(pooler, what):
    """Returns the backend that was left."""
    with pooler.raw() as client:
        backend = client.value("SELECT pg_backend_pid()")
        client.send(what)
    proc.wait_until("the client to have left", lambda: not any(
        c["database"] == "app" for c in pooler.show("CLIENTS")))
    return backend


def test_server_is_free_when_the_client_of_a_copy_leaves_before_it_begins(pooler, table):
    """No cancel reaches a server that waits for CopyData: it is told that none comes."""
    backend = leave_before_copy_begins(pooler, pgwire.query(f"COPY {table} FROM STDIN"))
    pooler.wait_show("SERVERS", lambda s: s["state"] == "idle", timeout=5, remote_pid=backend)
    with pooler.raw() as client:
        assert client.value(f"SELECT count(*) FROM {table}") == "0"


def test_server_is_free_or_gone_when_more_was_sent_behind_such_a_copy(pooler, table):
    """Whether its Sync counts depends on what is faster, the COPY or the cancel."""
    backend = leave_before_copy_begins(
        pooler, pgwire.parse("", f"COPY {table} FROM STDIN") + pgwire.bind() + pgwire.execute()
        + pgwire.SYNC)
    proc.wait_until("the server to be idle or closed", lambda: all(
        s["state"] == "idle" for s in pooler.show("SERVERS") if s["remote_pid"] == backend),
        timeout=5)
    with pooler.raw() as client:
        assert client.value(f"SELECT count(*) FROM {table}") == "0"


@pytest.mark.parametrize("end", [pgwire.COPY_DONE, pgwire.copy_fail("no")])
def test_server_is_free_after_a_copy(pooler, table, end):
    """Its end is no message that is still owed an answer; another one may follow, as of a driver that
    closes its stream twice."""
    with pooler.raw() as client:
        client.send(pgwire.query(f"COPY {table} FROM STDIN"))
        assert client.read_message().kind == "G"
        client.run(copy_data(b"1\ta\n") + end)
        pooler.wait_show("SERVERS", lambda s: s["state"] == "idle", link="")
        client.send(pgwire.copy_fail("again"))
        assert client.value("SELECT 1") == "1"


def test_copy_messages_outside_of_copy_are_ignored(pooler):
    """PostgreSQL drops CopyData, CopyDone and CopyFail that come when no COPY runs."""
    with pooler.raw() as client, pooler.raw() as neighbour:
        client.send(copy_data(b"stray") + pgwire.COPY_DONE + pgwire.copy_fail("stray"))
        assert client.value("SELECT 1") == "1"
        assert neighbour.value("SELECT 2") == "2"


def test_row_of_100_megabytes_streams_in_constant_memory(pooler):
    size = 100 * MEGABYTE
    with pooler.raw() as client, MemoryWatch(pooler):
        client.send(pgwire.query(f"SELECT repeat('x', {size})"))
        assert client.read_message().kind == "T"
        assert client.read(5)[:1] == b"D"
        client.skip(2 + 4 + size)
        assert Result(client.read_until("Z")).tags == ["SELECT 1"]


def test_slow_reader_does_not_make_the_daemon_buffer(pooler):
    with pooler.raw() as client, pooler.raw() as neighbour, MemoryWatch(pooler):
        client.send(pgwire.query(f"SELECT repeat('x', {50 * MEGABYTE})"))
        assert client.read_message().kind == "T"
        client.read(5)
        for i in range(50):
            assert neighbour.value(f"SELECT {i}") == str(i)
        client.skip(2 + 4 + 50 * MEGABYTE)
        client.read_until("Z")


def test_query_of_100_megabytes(pooler):
    size = 100 * MEGABYTE
    with pooler.raw() as client, MemoryWatch(pooler):
        client.send(pgwire.query("SELECT length('" + "y" * size + "')"))
        assert client.result().value() == str(size)


def test_parameter_of_50_megabytes_in_pieces(pooler):
    size = 50 * MEGABYTE
    unit = (pgwire.parse("", "SELECT length($1)") + pgwire.bind("", "", [b"z" * size])
            + pgwire.execute() + pgwire.SYNC)
    with pooler.raw() as client, MemoryWatch(pooler):
        for at in range(0, len(unit), 3 * MEGABYTE + 7):
            client.send(unit[at:at + 3 * MEGABYTE + 7])
        assert client.result().value() == str(size)


class Gigabyte(FakeServer):
    """Takes a query of a gigabyte and answers with a row of a gigabyte: the longest messages
    that PostgreSQL takes and sends."""

    SIZE = (1 << 30) - 1  # what the length field says at most

    def __init__(self):
        self.taken = 0
        super().__init__(self.handle)

    def handle(self, conn):
        conn.login()
        while True:
            kind, size = struct.unpack(">cI", conn.read(5))
            if size != self.SIZE:
                m = pgwire.Message(kind.decode(), conn.read(size - 4))
                if m.kind == "X":
                    return
                conn.send(conn.answer([m]))
                continue
            conn.skip(size - 4)
            self.taken += size
            conn.send(pgwire.row_description("x") + b"D" + pgwire.i32(self.SIZE) + b"\0\1"
                      + pgwire.i32(self.SIZE - 10))
            send_much(conn, self.SIZE - 10)
            conn.send(pgwire.command_complete("SELECT 1") + pgwire.ready())


def send_much(stream, size, byte=b"g"):
    chunk = byte * MEGABYTE
    for _ in range(size // MEGABYTE):
        stream.send(chunk)
    stream.send(chunk[:size % MEGABYTE])


def test_messages_of_a_gigabyte_both_ways_in_constant_memory(site):
    size = Gigabyte.SIZE
    with Gigabyte() as fake, site.pgweir({
            "app": f"host=127.0.0.1 port={fake.port} user=app password=x"}) as p:
        with p.raw() as client, MemoryWatch(p):
            client.query("SELECT 1").check()
            client.send(b"Q" + pgwire.i32(size))
            send_much(client, size - 5)
            client.send(b"\0")
            assert client.read_message().kind == "T"
            assert client.read(5) == b"D" + pgwire.i32(size)
            client.skip(size - 4)
            assert Result(client.read_until("Z")).tags == ["SELECT 1"]
        assert fake.taken == size


def test_copy_of_200_megabytes_both_ways_in_constant_memory(pooler, new_table):
    big = new_table("line text", "UNLOGGED")
    line = b"w" * 1023 + b"\n"
    with pooler.raw() as client, MemoryWatch(pooler):
        client.send(pgwire.query(f"COPY {big} FROM STDIN"))
        assert client.read_message().kind == "G"
        chunk = copy_data(line * 64) * 16
        for _ in range(200):
            client.send(chunk)
        assert client.run(pgwire.COPY_DONE).tags == [f"COPY {200 * 1024}"]
        client.send(pgwire.query(f"COPY {big} TO STDOUT"))
        assert client.read_message().kind == "H"
        client.skip(200 * 1024 * len(msg("d", line)))
        assert Result(client.read_until("Z")).kinds == "cCZ"
