"""A process that is taken over, and says what it likes: the test is the old one."""
import array
import os
import random
import socket
import struct

import pgwire
import pytest

from pgwire import Closed, Stream, cstr
from succession import SETTINGS

pytestmark = pytest.mark.threads

# What a new process that ends at once has heard first: the hello, with what this build's images are.
HEARS_THE_HELLO = """#!/usr/bin/python3
import socket
old = socket.socket(fileno=3)
with open("{path}", "wb") as f:
    f.write(old.recv(65536))
"""


@pytest.fixture(scope="module")
def hello(site):
    with site.pgweir(settings=SETTINGS) as p:
        path, program = f"{p.folder}/hello", f"{p.folder}/hears_the_hello"
        with open(program, "w", encoding="utf-8") as f:
            f.write(HEARS_THE_HELLO.format(path=path))
        os.chmod(program, 0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asker:
            asker.settimeout(20)
            asker.connect(f"{p.folder}/takeover")
            asker.send(b"S" + cstr(program) + b"\0")
            assert b"the new process has ended" in asker.recv(1000)
        with open(path, "rb") as f:
            record = f.read()
        assert record.startswith(b"H")
        with p.raw() as client:  # and nothing has changed
            assert client.value("SELECT 1") == "1"
        yield record


class Old:
    """The old process; `p` is the new one."""

    def __init__(self, site, hello, **settings):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.p = site.pgweir(settings=settings)
        self.p.args = [f"--takeover-fd={theirs.fileno()}"]
        self.p.fds = (theirs.fileno(),)
        self.p.launch()
        theirs.close()
        self.say(hello)
        self.say(b"E")
        assert self.sock.recv(100) == b"R\1"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.sock.close()
        self.p.__exit__(kind)

    def say(self, record, sock=None):
        rights = [] if sock is None else [
            (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))]
        self.sock.sendmsg([record], rights)

    def client(self, image, unread=b""):
        """A client of this image comes; the end that is in its hand."""
        ours, theirs = socket.socketpair()
        self.say(b"C" + image + unread, theirs)
        theirs.close()
        return Stream(ours)

    def place(self, database="app", user="app"):
        """As much as to say that there is such a pool, and its server is told of."""
        node = self.p.site.cluster.primary
        return cstr(database) + cstr(user) + cstr(f"127.0.0.1:{node.port}")


def names(*pairs):
    return struct.pack(">H", len(pairs)) + b"".join(cstr(n) + cstr(v) for n, v in pairs)


def image(user="app", database="app", number=1 << 16, settings=(), rest=b"\0\0\0\0\0"):
    """Of a client that has set this, and nothing else."""
    return (cstr(user) + cstr(database) + struct.pack(">II", number, 0) + b"\4key." + bytes(24)
            + b"\0\0\0\0\0\0" + names() + names(*settings) + names() + rest)


def answer(stream):
    """The value that comes; None: an error."""
    rows = [m for m in stream.read_until("Z") if m.kind == "D"]
    return rows[0].body[6:].decode() if rows else None


def ask(stream, sql):
    stream.send(pgwire.query(sql))
    return answer(stream)


def is_gone(stream):
    try:
        while True:
            stream.read_message()
    except (Closed, OSError):
        return True


def test_client_of_an_image_is_one(site, hello):
    """This is what an image looks like: else the tests below would show nothing."""
    with Old(site, hello) as old:
        client = old.client(image(settings=[("work_mem", "7MB")]))
        waits = old.client(image(), pgwire.query("SELECT 5"))
        old.say(b"N")
        assert ask(client, "SHOW work_mem") == "7MB"
        assert answer(waits) == "5"
        with old.p.raw() as other:
            assert other.value("SELECT 1") == "1"


def test_process_that_does_not_tell_what_it_has_is_waited_for_5_seconds(site, hello):
    with Old(site, hello) as old:
        client = old.client(image())
        client.send(pgwire.query("SELECT 1"))
        client.sock.settimeout(2)
        with pytest.raises(socket.timeout):
            client.read_message()
        client.sock.settimeout(20)
        assert answer(client) == "1"
        assert "does not tell what servers it has" in old.p.log_text()


NO_CLIENTS = [
    image(database="pgweir"), image(database="nowhere"), image(database=""), image(user=""),
    image(user="x" * 64), image(settings=[("", "x")]), image(settings=[("work_mem", "7MB")])[:-9],
    image(rest=b"\0\1"), image(rest=b"\1"), image(rest=b"\0\0\0\0\1news"),
    image(rest=b"\0\0\0\0\1\xff\0" + bytes(8)),
    image(rest=b"\0\0\0\0\1\0" + bytes(8)), image(rest=b"\0\0\0\0\2" + (b"a\0" + bytes(8)) * 2),
    image(rest=b"\0\0\0\xff\xff"), image(rest=b"\0\0\1\0" + bytes(12) + b"\0\0\0\1x"),
    b"", b"app", image(rest=b"\0\0\1\0" + bytes(12) + b"\xff\xff\xff\xff"),
]


def test_image_of_no_client_is_closed(site, hello):
    with Old(site, hello) as old:
        old.say(b"N")
        for wrong in NO_CLIENTS:
            assert is_gone(old.client(wrong))
        assert ask(old.client(image()), "SELECT 1") == "1"


def test_any_number_will_do(site, hello):
    """Two clients of one number, numbers of no worker, of no slot: each is served."""
    with Old(site, hello) as old:
        old.say(b"N")
        for number in (1 << 16, 1 << 16, 0, 0xffffffff, 0xffff, 0x7fffffff, 65 << 16):
            assert ask(old.client(image(number=number)), "SELECT 1") == "1"


def test_descriptors_that_are_no_connection_do_no_harm(site, hello):
    with Old(site, hello) as old, open("/dev/null", "rb") as null, \
            socket.create_server(("127.0.0.1", 0)) as listening:
        old.say(b"N")
        for sock in (null, listening, old.sock, None):
            old.say(b"C" + image(), sock)
            old.say(b"P" + old.place())
            old.say(b"V" + struct.pack(">I", 0) + old.place() + b"\0", sock)
        assert ask(old.client(image()), "SELECT 1") == "1"


def test_mutated_images_do_no_harm(site, hello):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rand = random.Random(seed)
    good = image(settings=[("work_mem", "7MB"), ("application_name", "x")],
                 rest=b"\0\1one\0" + bytes(8) + b"\0" + struct.pack(">I", 8) + b"SELECT 1"
                 + bytes(2) + names() + b"\0\0" + b"\0\1news\0" + struct.pack(">Q", 1 << 32))
    with Old(site, hello) as old:
        old.say(b"N")
        kept = old.client(good)
        for _ in range(400):
            bad = bytearray(good)
            for _ in range(rand.randint(1, 4)):
                bad[rand.randrange(len(bad))] = rand.choice((0, 1, 255, rand.randrange(256)))
            client = old.client(bytes(bad), rand.choice((b"", pgwire.query("SELECT 1"), b"Q\0\0")))
            if rand.random() < 0.7:
                client.close()
            server = b"V" + struct.pack(">I", 0) + old.place() + bytes(bad[rand.randrange(40):])
            ours, theirs = socket.socketpair()
            old.say(b"P" + old.place())
            old.say(server, theirs)
            ours.close()
            theirs.close()
        assert ask(kept, "SHOW work_mem") == "7MB"
        with old.p.raw() as other:
            assert other.value("SELECT 1") == "1"


def test_channels_and_markers_of_any_kind_do_no_harm(site, hello):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rand = random.Random(seed)
    with Old(site, hello) as old:
        old.say(b"N")
        for name in (b"news", b"", b"x" * 63, b"x" * 64, b'"', b"\xff", b"pgweir_takeover"):
            for database in (b"app", b"nowhere", b"", b"x" * 64):
                old.say(b"F" + database + b"\0" + name + b"\0")
        for text in (b"", b"0" * 31, b"'" * 32, b"0" * 33, b"0" * 32):
            for number in (0, 7, 0xffffffff):
                old.say(b"M" + struct.pack(">Q", number) + b"app\0" + text + b"\0")
        for _ in range(200):
            old.say(rand.choice((b"F", b"M")) + rand.randbytes(rand.randrange(40)))
        listener = old.client(image(rest=b"\0\0\0\0\1news\0" + struct.pack(">Q", 9 << 32)))
        with old.p.raw() as other:
            other.query("LISTEN news").check()
            assert ask(listener, "SELECT 1") == "1"
            other.query("NOTIFY news, 'x'").check()
            message = listener.read_message()
            assert (message.kind, message.body[4:]) == ("A", b"news\0x\0")


def test_images_of_another_kind_are_not_looked_at(site, hello):
    """Of a newer release, say: the clients stay where they are; one that comes all the same goes."""
    sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    p = site.pgweir()
    p.args, p.fds = [f"--takeover-fd={theirs.fileno()}"], (theirs.fileno(),)
    p.launch()
    theirs.close()
    sock.settimeout(20)
    sock.send(hello[:1] + b"\x7f" + hello[2:])
    sock.send(b"E")
    assert sock.recv(100) == b"R\0"
    sock.send(b"N")
    ours, theirs = socket.socketpair()
    sock.sendmsg([b"C" + image()], [
        (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
    theirs.close()
    assert is_gone(Stream(ours))
    with p.raw() as client:
        assert client.value("SELECT 1") == "1"
    sock.close()
    p.stop()


@pytest.mark.parametrize("record", [b"H", b"H" + bytes(20), b"L\0\0", b"L\x63\0", b"?", b"X" * 1000],
                         ids=range(6))
def test_hello_that_is_none_is_refused(site, hello, record):
    sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    p = site.pgweir()
    p.args, p.fds = [f"--takeover-fd={theirs.fileno()}"], (theirs.fileno(),)
    p.launch()
    theirs.close()
    with sock:
        sock.send(hello)
        sock.send(record)
        assert p.process.wait(20) == 1
    p.forget()
