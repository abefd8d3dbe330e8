"""What a peer that is not logged in, or does not keep to the protocol, may cost: itself only."""
import os
import random
import socket
import ssl
import struct
import time

import pgwire
import pytest
from pgwire import Closed, i32, msg, startup, startup_body
from rawclient import RawClient, ServerError
from tools import proc
from tools.certs import Authority

GOOD = {"user": "app", "database": "app"}
GOOD = {"user": "app", "database": "app"}
LENGTHS = [0, 1, 2, 3, 4, 7, 8, 9, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 10_001,
           1_000_000]


def short(data):
    """A test's name for some bytes."""
    return f"{data[:24]!r} of {len(data)}"


@pytest.fixture(scope="module")
def pooler(site):
    settings = {"client_login_timeout": 2, "default_pool_size": 2, "max_client_conn": 2000,
                "tcp_defer_accept": 0}  # or the system keeps silent connections from us
    with site.pgweir(settings=settings) as p:
        yield p


@pytest.fixture(autouse=True)
def others_live_on(pooler):
    """After each attack the daemon is the same and serves."""
    with pooler.raw() as bystander:
        yield
        assert bystander.value("SELECT 1") == "1"
    with pooler.raw() as newcomer:
        assert newcomer.value("SELECT 2") == "2"


def attack(pooler, data):
    """Send bytes on a fresh connection; returns the messages up to the close by the daemon."""
    with RawClient(pooler.port, timeout=5 * pooler.slow) as client:
        try:
            client.send(data)
        except Closed:
            return []
        return client.wait_closed(8 * pooler.slow)


@pytest.mark.parametrize("length", LENGTHS)
def test_first_packet_of_any_length(pooler, length):
    answer = attack(pooler, struct.pack(">I", length) + i32(pgwire.PROTOCOL_3_0) + b"user\0")
    assert all(m.kind == "E" for m in answer)


@pytest.mark.parametrize("code", [0, 1, 2 << 16, 4 << 16, 0x7fffffff, -1, 80877105])
def test_unknown_protocol_versions(pooler, code):
    assert all(m.kind == "E" for m in attack(pooler, startup_body(code, b"user\0app\0\0")))


@pytest.mark.parametrize("body", [
    b"", b"\0", b"user", b"user\0", b"user\0app", b"user\0app\0", b"database\0app\0\0",
    b"user\0\0\0", b"\0\0\0\0", b"user\0app\0\0trailing", b"user\0app\0database\0\0",
    b"user\0" + b"u" * 9000 + b"\0\0", b"user\0app\0database\0" + b"d" * 9000 + b"\0\0",
    b"user\0app\0" + b"k\0v\0" * 2000 + b"\0", b"\xff" * 500 + b"\0\0",
    b"user\0app\0options\0" + b"-c " * 2000 + b"\0\0",
    b"user\0app\0client_encoding\0" + b"\x80" * 100 + b"\0\0",
], ids=short)
def test_malformed_start_up_packets(pooler, body):
    with RawClient(pooler.port, timeout=5) as client:
        client.send(startup_body(pgwire.PROTOCOL_3_0, body))
        client.sock.shutdown(socket.SHUT_WR)
        assert "Z" not in [m.kind for m in client.wait_closed(8 * pooler.slow)]


@pytest.mark.parametrize("kind", "QPBDECSHdcfFXp@\0")
def test_messages_before_start_up(pooler, kind):
    assert all(m.kind == "E" for m in attack(pooler, msg(kind, b"x" * 20)))


@pytest.mark.parametrize("kind", "QPBDECSHdcfF@")
def test_messages_instead_of_a_password(pooler, kind):
    answer = attack(pooler, startup(GOOD) + msg(kind, b"SELECT 1\0"))
    assert [m.kind for m in answer][:1] in (["R"], []) and "Z" not in [m.kind for m in answer]


@pytest.mark.parametrize("length", LENGTHS)
def test_password_message_of_any_length(pooler, length):
    answer = attack(pooler, startup(GOOD) + b"p" + struct.pack(">I", length) + b"SCRAM-SHA-256\0")
    assert "Z" not in [m.kind for m in answer]


@pytest.mark.parametrize("first", [
    b"", b"n,,", b"n,,n=,r=", b"n,,r=x", b"y,,n=,r=x", b"p=tls-unique,,n=,r=x", b"n,,n=,r=,,,",
    b"n,,n=,r=" + b"x" * 9000, b"n,a=x,n=,r=x", b"n,,m=ext,n=,r=x", b"\xff\xfe\xfd",
    b"n,,n=,r=a\0b", b"n" * 5000,
], ids=short)
def test_malformed_scram_first_messages(pooler, first):
    data = msg("p", b"SCRAM-SHA-256\0", i32(len(first)), first)
    answer = attack(pooler, startup(GOOD) + data + msg("p", b"c=biws,r=x,p=AAAA"))
    assert "Z" not in [m.kind for m in answer]


@pytest.mark.parametrize("final", [
    b"", b"c=biws", b"c=biws,r=,p=", b"c=biws,r={r},p=", b"c=biws,r={r},p=!!!!",
    b"c=biws,r={r},p=" + b"A" * 43 + b"=", b"c=biws,r={r},p=" + b"A" * 5000, b"c=biws,r={r}x,p=AA",
    b"c=AAAA,r={r},p=" + b"A" * 43 + b"=", b"\0" * 100,
], ids=short)
def test_malformed_scram_final_messages(pooler, final):
    with RawClient(pooler.port, timeout=5 * pooler.slow) as client:
        first = b"n,,n=,r=abcdefghijklmnop"
        client.send(startup(GOOD) + msg("p", b"SCRAM-SHA-256\0", i32(len(first)), first))
        client.read_message()
        nonce = client.read_message().body[4:].split(b",")[0][2:]
        client.send(msg("p", final.replace(b"{r}", nonce)))
        kinds = [m.kind for m in client.wait_closed(8 * pooler.slow)]
        assert kinds in (["E"], [])


def test_requests_for_encryption_are_answered_once_each(pooler):
    with RawClient(pooler.port) as client:
        client.send(pgwire.SSL_REQUEST)
        assert client.read(1) == b"N"
        client.send(pgwire.GSS_REQUEST)
        assert client.read(1) == b"N"
        client.send(pgwire.SSL_REQUEST * 1000)
        assert len(client.wait_closed(8 * pooler.slow)) <= 2


def test_silent_connections_end_at_the_login_timeout(pooler):
    before, memory = proc.n_fds(pooler.pid), pooler.rss_kib()
    silent = [socket.create_connection(("127.0.0.1", pooler.port)) for _ in range(500)]
    began = time.monotonic()
    with pooler.raw() as healthy:
        assert healthy.value("SELECT 1") == "1"
    assert time.monotonic() - began < 0.5 * pooler.slow
    if not pooler.site.sanitizer:
        assert pooler.rss_kib() - memory < 500 * 2
    proc.wait_until("the silent connections to be closed",
                    lambda: proc.n_fds(pooler.pid) <= before + 5, 10 * pooler.slow)
    for one in silent:
        one.close()


def test_slow_login_ends_at_the_login_timeout(pooler):
    """One byte now and then does not extend the time."""
    packet = startup(GOOD)
    with RawClient(pooler.port) as client:
        began = time.monotonic()
        with pytest.raises(Closed):
            for byte in packet * 5:
                client.send(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - began < 8 * pooler.slow


@pytest.mark.parametrize("kind", "QPBDECFd")
@pytest.mark.parametrize("length", [0, 3, 0x7fffffff, 0x80000000, 0xffffffff, 0x40000001])
def test_lengths_after_login(pooler, kind, length):
    memory = pooler.rss_kib()
    with pooler.raw() as client:
        try:
            client.send(kind.encode() + struct.pack(">I", length) + b"x" * 100)
            client.sock.shutdown(socket.SHUT_WR)
        except (Closed, OSError):
            pass
        assert "Z" not in [m.kind for m in client.wait_closed(8 * pooler.slow)]
    if not pooler.site.sanitizer:
        assert pooler.rss_kib() - memory < 4096


def test_random_bytes(pooler):
    rng = random.Random(3)
    for _ in range(100):
        with RawClient(pooler.port) as client:
            client.send(rng.randbytes(rng.randrange(1, 200)))
            if rng.random() < 0.5:
                client.reset()


def test_random_bytes_after_login(pooler):
    rng = random.Random(4)
    for _ in range(50):
        with pooler.raw() as client:
            try:
                client.send(rng.randbytes(rng.randrange(1, 300)))
            except Closed:
                pass
            client.reset()


def test_bytes_stuffed_before_tls_are_refused(site):
    authority = Authority(f"{site.new_folder()}/tls")
    cert, key = authority.issue("pgweir")
    with site.pgweir(settings={"client_tls_sslmode": "allow", "client_tls_cert_file": cert,
                               "client_tls_key_file": key}) as p:
        context = ssl.create_default_context(cafile=authority.cert)
        with RawClient(p.port) as client:
            client.send(pgwire.SSL_REQUEST + startup(GOOD))
            with pytest.raises((Closed, OSError)):
                if client.read(1) == b"S":
                    client.start_tls(context, name="localhost")
                client.wait_closed()
                raise Closed("refused without a handshake")
        with RawClient(p.port) as client:
            client.request_tls(context, "localhost").login("app", p.passwords["app"])
            assert client.value("SELECT 1") == "1"


def test_cancel_requests_of_any_length(pooler):
    for size in (4, 5, 31, 32, 256, 257, 9000):
        request = startup_body(pgwire.CANCEL_REQUEST_CODE, i32(1), os.urandom(size))
        assert attack(pooler, request) == [], "cancel sockets get no answer"
    for size in (0, 1, 3):
        request = startup_body(pgwire.CANCEL_REQUEST_CODE, os.urandom(size))
        assert all(m.kind == "E" for m in attack(pooler, request))
