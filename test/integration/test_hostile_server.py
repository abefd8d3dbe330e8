"""A server that breaks the protocol, lies or hangs: the daemon and its other pools live on."""
import contextlib
import struct
import threading
import time

import pgwire
import pytest
from fakeserver import ONE_ROW, FakeServer
from pgwire import Closed, cstr, i16, i32, msg
from rawclient import Result, ServerError

HOSTILE_SETTINGS = {"server_connect_timeout": 2, "query_wait_timeout": 3, "query_timeout": 3,
                    "server_login_retry": 1, "default_pool_size": 1}


@pytest.fixture
def behind(site):
    """behind(handler): a context with a Pgweir whose database `bad` is a fake server with that
    handler, and `app` a real one; afterwards `app` has to answer at once."""
    @contextlib.contextmanager
    def run(handler, **settings):
        with FakeServer(handler) as server:
            databases = {**site.app_on([site.cluster.primary]),
                         "bad": f"host=127.0.0.1 port={server.port} password=app-secret"}
            with site.pgweir(databases, settings={**HOSTILE_SETTINGS, **settings}) as p:
                with p.raw() as bystander:
                    p.server = server
                    yield p
                    began = time.monotonic()
                    assert bystander.value("SELECT 1") == "1"
                    assert time.monotonic() - began < 1.0 * p.slow
    return run


def try_query(pooler, data=pgwire.query("SELECT 1"), timeout=15, **params):
    """Log in to `bad` and run something: the Result, or the error that ended the session."""
    try:
        with pooler.raw(database="bad", **params) as client:
            client.sock.settimeout(timeout * pooler.slow)
            return client.run(data)
    except (ServerError, Closed) as e:
        return e


def assert_failed(outcome):
    assert isinstance(outcome, (ServerError, Closed)) or outcome.sqlstate, outcome.messages


def at_login(*replies):
    """A handler that answers the start-up packet with these bytes, then waits."""
    def handler(conn):
        conn.read_startup()
        for reply in replies:
            conn.send(reply)
        conn.wait_closed()
    return handler


def after_query(*replies, close=False):
    """A handler that logs in rightly and answers every unit with these bytes."""
    def handler(conn):
        conn.login()
        while True:
            conn.read_unit()
            for reply in replies:
                conn.send(reply)
            if close:
                return
    return handler


R, Z, E = "R", pgwire.ready(), pgwire.error_response
LOGIN_REPLIES = {
    "junk": b"\xde\xad\xbe\xef" * 50,
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "huge length": b"R\x7f\xff\xff\xff",
    "negative length": b"R\xff\xff\xff\xff\0\0\0\0",
    "length of three": b"R\0\0\0\3",
    "short authentication": msg(R, b"\0\0"),
    "unknown authentication": msg(R, i32(99)),
    "gss": msg(R, i32(7)),
    "scram without mechanisms": msg(R, i32(10), b"\0"),
    "unknown mechanisms": msg(R, i32(10), b"SCRAM-FOO\0PLAIN\0\0"),
    "mechanisms without end": msg(R, i32(10), b"SCRAM-SHA-256"),
    "scram continue first": msg(R, i32(11), b"r=x,s=AAAA,i=4096"),
    "scram final first": msg(R, i32(12), b"v=AAAA"),
    "ready first": Z,
    "row first": pgwire.data_row("1"),
    "ok twice": pgwire.auth_ok() * 2 + Z,
    "key of wrong size": pgwire.auth_ok() + msg("K", b"\0\0") + Z,
    "status without end": pgwire.auth_ok() + msg("S", b"TimeZone") + Z,
    "status of 100 kB": pgwire.auth_ok() + msg("S", cstr("x" * 100_000), cstr("y" * 100_000)) + Z,
    "negotiation": msg("v", i32(0), i32(1 << 30)) + pgwire.auth_ok() + Z,
    "error without fields": msg("E", b"\0"),
    "error without end": msg("E", b"SFATAL"),
    "error without sqlstate": E(None, "no code", "FATAL"),
    "ready in transaction": pgwire.auth_ok() + pgwire.ready("T"),
    "ready of nonsense": pgwire.auth_ok() + pgwire.ready("?"),
    "endless notices": pgwire.auth_ok() + msg("N", b"SNOTICE\0Mblah\0\0") * 5000,
}


@pytest.mark.parametrize("reply", LOGIN_REPLIES.values(), ids=LOGIN_REPLIES)
def test_bad_answers_to_the_start_up_packet(behind, reply):
    with behind(at_login(reply)) as p:
        assert_failed(try_query(p))


def test_error_at_login_reaches_the_client(behind):
    with behind(at_login(E("28000", "not you", "FATAL"))) as p:
        outcome = try_query(p)
        assert_failed(outcome)
        assert "not you" in str(outcome if isinstance(outcome, Exception) else outcome.errors)


@pytest.mark.parametrize("handler", [
    lambda conn: None, lambda conn: conn.read_startup(), lambda conn: conn.reset(),
    lambda conn: conn.wait_closed(), at_login(), at_login(pgwire.auth_ok()[:3]),
], ids=["closes at once", "closes after start-up", "resets", "silent", "silent after start-up",
        "stops in a message"])
def test_login_that_gets_nowhere(behind, handler):
    with behind(handler) as p:
        assert_failed(try_query(p))


@pytest.mark.parametrize("first", [
    "r={r}x,s=c2FsdA==,i=2147483647", "r={r}x,s=c2FsdA==,i=0", "r={r}x,s=c2FsdA==,i=-1",
    "r={r}x,s=c2FsdA==,i=99999999999999999999", "r={r}x,s=c2FsdA==,i=4096junk",
    "r={r}x,s=c2FsdA==", "r={r}x,s=,i=4096", "r={r}x,s=!!!,i=4096", "r=other,s=c2FsdA==,i=4096",
    "r={r},s=c2FsdA==,i=4096", "r={r}" + "x" * 9000 + ",s=c2FsdA==,i=4096",
    "r={r}x,s=" + "QUFB" * 5000 + ",i=4096", "m=ext,r={r}x,s=c2FsdA==,i=4096", "", "e=other-error",
])
def test_bad_scram_messages_of_a_server(behind, first):
    def handler(conn):
        conn.read_startup()
        conn.send(msg("R", i32(10), b"SCRAM-SHA-256\0\0"))
        nonce = conn.read_message().body.split(b",r=")[1]
        conn.send(msg("R", i32(11), first.encode().replace(b"{r}", nonce)))
        conn.wait_closed()
    with behind(handler) as p:
        began = time.monotonic()
        assert_failed(try_query(p))
        assert time.monotonic() - began < 8 * p.slow


def test_wrong_server_signature_is_refused(behind):
    def handler(conn):
        conn.read_startup()
        conn.send(msg("R", i32(10), b"SCRAM-SHA-256\0\0"))
        nonce = conn.read_message().body.split(b",r=")[1]
        conn.send(msg("R", i32(11), b"r=" + nonce + b"x,s=c2FsdA==,i=4096"))
        conn.read_message()
        conn.send(msg("R", i32(12), b"v=" + b"A" * 43 + b"=") + pgwire.auth_ok() + Z)
        conn.serve()
    with behind(handler) as p:
        assert_failed(try_query(p))


def test_login_that_skips_the_proof_of_the_server(behind):
    """AuthenticationOk in the middle of SCRAM: the server has not shown that it knows us."""
    def handler(conn):
        conn.read_startup()
        conn.send(msg("R", i32(10), b"SCRAM-SHA-256\0\0"))
        conn.read_message()
        conn.send(pgwire.auth_ok() + conn.session() + Z)
        conn.serve()
    with behind(handler) as p:
        assert_failed(try_query(p))


QUERY_REPLIES = {
    "junk": b"\xde\xad\xbe\xef" * 50,
    "huge length": b"D\x7f\xff\xff\xff" + b"x" * 100,
    "negative length": b"D\xff\xff\xff\xff",
    "unknown type": msg("@", b"what"),
    "login message": pgwire.auth_ok(),
    "unasked parse complete": msg("1") + ONE_ROW + Z,
    "unasked copy data": pgwire.copy_data(b"x") + Z,
    "ready of nonsense": ONE_ROW + pgwire.ready("?"),
    "ready without status": ONE_ROW + msg("Z"),
    "copy both": msg("W", b"\0", i16(0)),
}


@pytest.mark.parametrize("reply", QUERY_REPLIES.values(), ids=QUERY_REPLIES)
def test_bad_answers_to_a_query_end_that_server_only(behind, reply):
    """The client gets an error or what the server said; the session may end, nothing hangs."""
    with behind(after_query(reply)) as p:
        try_query(p)
        assert p.show_one("DATABASES", name="bad")


def test_error_without_sqlstate_is_passed_on(behind):
    with behind(after_query(E(None, "no code") + Z)) as p:
        outcome = try_query(p)
        assert isinstance(outcome, Result) and "no code" in str(outcome.errors[0].fields)


def test_negative_field_length_in_a_row_is_not_looked_at(behind):
    row = msg("D", i16(1), i32(-2))
    with behind(after_query(pgwire.row_description("x") + row
                            + pgwire.command_complete("SELECT 1") + Z)) as p:
        with p.raw(database="bad") as client:
            client.send(pgwire.query("SELECT 1"))
            assert client.read_until("Z")[1].raw() == row


@pytest.mark.parametrize("extra", [ONE_ROW + Z, Z, pgwire.command_complete("SELECT 1"),
                                   pgwire.data_row("stolen"), E("XX000", "late") + Z],
                         ids=["answer", "ready", "complete", "row", "error"])
def test_more_answers_than_questions_never_reach_the_next_client(behind, extra):
    """The worst class: what comes unasked must close the server, not answer somebody else."""
    def handler(conn):
        conn.login()
        first = True
        while True:
            unit = conn.read_unit()
            rows = pgwire.row_description("x") + pgwire.data_row(
                f"{conn.number}:{unit[-1].text()}") + pgwire.command_complete("SELECT 1")
            conn.send(rows + Z + (extra if first else b""))
            first = False
    with behind(handler) as p:
        with p.raw(database="bad") as one, p.raw(database="bad") as two:
            for i in range(6):
                for client in (one, two):
                    sql = f"SELECT {id(client)}, {i}"
                    result = client.query(sql)
                    assert result.sqlstate or result.rows[0][0].endswith(":" + sql)


def test_answer_that_never_comes_ends_at_query_timeout(behind):
    with behind(after_query()) as p:
        began = time.monotonic()
        assert_failed(try_query(p))
        assert time.monotonic() - began < 10 * p.slow


def test_answer_that_stops_half_way(behind):
    with behind(after_query(ONE_ROW[:-3], close=True)) as p:
        assert_failed(try_query(p))


def test_server_that_closes_after_each_answer(behind):
    with behind(after_query(ONE_ROW + Z, close=True)) as p, p.raw(database="bad") as client:
        for _ in range(5):
            assert client.value("SELECT 1") == "1"
            p.wait_show("POOLS", lambda row: row["sv_idle"] == "0", database="bad")


@pytest.mark.parametrize("last", [E("57P01", "going", "FATAL"), E("57P05", "idle", "FATAL"),
                                  msg("N", b"SNOTICE\0Mhello\0\0"), b""],
                         ids=["57P01", "57P05", "notice", "nothing"])
def test_idle_server_that_goes_is_replaced_unseen(behind, last):
    gone = threading.Event()

    def handler(conn):
        conn.login()
        conn.serve(1)
        if conn.number == 1:
            conn.send(last)
            gone.set()
            return
        conn.serve()
    with behind(handler) as p, p.raw(database="bad") as client:
        assert client.value("SELECT 1") == "1"
        assert gone.wait(5)
        p.wait_show("POOLS", lambda row: row["sv_idle"] == "0", database="bad")
        assert client.value("SELECT 1") == "1"


def test_flood_of_parameter_status_stays_bounded(behind):
    flood = b"".join(pgwire.parameter_status(f"made_up_{i}", "x" * 500) for i in range(20_000))
    with behind(after_query(flood + ONE_ROW + Z)) as p:
        before = p.rss_kib()
        try_query(p)
        if not p.site.sanitizer:
            assert p.rss_kib() - before < 32 * 1024


def test_answers_in_single_bytes(behind):
    def handler(conn):
        conn.login()
        while True:
            conn.read_unit()
            conn.send_in_pieces(ONE_ROW + Z, 1, 0.001)
    with behind(handler) as p:
        assert try_query(p).value() == "1"


def test_setting_that_the_server_refuses_is_its_clients_error(behind):
    """What the pooler sends ahead for one client fails; no other client sees anything of it."""
    def handler(conn):
        conn.login()
        while True:
            unit = conn.read_any_unit()
            if "work_mem" in str(unit):
                conn.send(E("XX000", "no settings here") + Z)
            else:
                conn.send(conn.answer(unit))
    with behind(handler) as p:
        with p.raw(database="bad") as one:
            for _ in range(3):
                assert one.value("SELECT 1") == "1"
                assert_failed(try_query(p, work_mem="7MB"))


def test_backend_key_of_new_length(behind):
    """Protocol 3.2 has cancel keys of up to 256 bytes; a longer one is refused."""
    def handler(conn):
        conn.read_startup()
        conn.send(pgwire.auth_ok() + msg("K", struct.pack(">i", 1), b"k" * 256) + Z)
        conn.serve()
    with behind(handler) as p:
        outcome = try_query(p)
        assert isinstance(outcome, Exception) or outcome.sqlstate or outcome.value() == "1"
