"""PostgreSQL's protocol 3.0 by hand: messages are built and read here, byte by byte.

Message layout: manual, chapter "Message Formats". No driver stands between, so that a test can
send anything in any order and any pieces.
"""
import socket
import ssl
import struct
import time

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = PROTOCOL_3_0 + 2
SSL_REQUEST_CODE = 80877103
GSS_REQUEST_CODE = 80877104
CANCEL_REQUEST_CODE = 80877102


def i16(value):
    return struct.pack(">h", value)


def i32(value):
    return struct.pack(">i", value)


def cstr(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def msg(kind, *parts):
    """A message: type byte, length including itself, body."""
    body = b"".join(parts)
    return kind.encode() + i32(len(body) + 4) + body


def startup_body(code, *parts):
    """A message without a type byte, as they are before login."""
    body = i32(code) + b"".join(parts)
    return i32(len(body) + 4) + body


def startup(params, version=PROTOCOL_3_0):
    pairs = b"".join(cstr(k) + cstr(v) for k, v in params.items())
    return startup_body(version, pairs, b"\0")


SSL_REQUEST = startup_body(SSL_REQUEST_CODE)
GSS_REQUEST = startup_body(GSS_REQUEST_CODE)


def cancel_request(pid, key):
    return startup_body(CANCEL_REQUEST_CODE, i32(pid), key)


# --- frontend -------------------------------------------------------------------------------

SYNC = msg("S")
FLUSH = msg("H")
TERMINATE = msg("X")
COPY_DONE = msg("c")


def query(sql):
    return msg("Q", cstr(sql))


def parse(name, sql, types=()):
    return msg("P", cstr(name), cstr(sql), i16(len(types)), *map(i32, types))


def bind(portal="", statement="", params=(), result_formats=()):
    values = b"".join(i32(-1) if p is None else i32(len(p)) + p for p in params)
    formats = b"".join(map(i16, result_formats))
    return msg("B", cstr(portal), cstr(statement), i16(0), i16(len(params)), values,
               i16(len(result_formats)), formats)


def describe(kind, name=""):
    return msg("D", kind.encode(), cstr(name))


def execute(portal="", max_rows=0):
    return msg("E", cstr(portal), i32(max_rows))


def close(kind, name=""):
    return msg("C", kind.encode(), cstr(name))


def copy_data(data):
    return msg("d", data)


def copy_fail(reason):
    return msg("f", cstr(reason))


def prepared(sql, params=(), name=""):
    """Parse, Bind, Describe, Execute, Sync of one statement."""
    values = [None if p is None else str(p).encode() for p in params]
    return parse(name, sql) + bind("", name, values) + describe("P") + execute() + SYNC


# --- backend --------------------------------------------------------------------------------

def auth_ok():
    return msg("R", i32(0))


def parameter_status(name, value):
    return msg("S", cstr(name), cstr(value))


def backend_key(pid, key):
    return msg("K", i32(pid), key)


def ready(status="I"):
    return msg("Z", status.encode())


def row_description(*names):
    fields = [cstr(n) + i32(0) + i16(0) + i32(25) + i16(-1) + i32(-1) + i16(0) for n in names]
    return msg("T", i16(len(names)), *fields)


def data_row(*values):
    return msg("D", i16(len(values)), *(i32(len(v)) + v for v in (v.encode() for v in values)))


def command_complete(tag):
    return msg("C", cstr(tag))


def error_response(sqlstate, text, severity="ERROR", **more):
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": text, **more}
    return msg("E", *(k.encode() + cstr(v) for k, v in fields.items() if v is not None), b"\0")


class Message:
    """One received message."""

    def __init__(self, kind, body):
        self.kind = kind
        self.body = body

    def __repr__(self):
        return f"{self.kind}{self.body[:60]!r}"

    def raw(self):
        return msg(self.kind, self.body)

    def fields(self):
        """Of an ErrorResponse or NoticeResponse: code letter to text."""
        return {f[:1].decode(): f[1:].decode() for f in self.body.split(b"\0") if f}

    def text(self):
        """Of a message that is one string: CommandComplete."""
        return self.body.rstrip(b"\0").decode()

    def pair(self):
        """Of ParameterStatus."""
        return tuple(p.decode() for p in self.body.split(b"\0")[:2])

    def row(self):
        """Of a DataRow: the values as text, None for null."""
        values, at = [], 2
        for _ in range(struct.unpack_from(">h", self.body)[0]):
            size, = struct.unpack_from(">i", self.body, at)
            at += 4
            values.append(None if size < 0 else
                          self.body[at:at + size].decode(errors="surrogateescape"))
            at += max(size, 0)
        return tuple(values)

    def columns(self):
        """Of a RowDescription: (name, type oid) each."""
        found, at = [], 2
        for _ in range(struct.unpack_from(">h", self.body)[0]):
            end = self.body.index(b"\0", at)
            type_oid, = struct.unpack_from(">i", self.body, end + 7)
            found.append((self.body[at:end].decode(), type_oid))
            at = end + 19
        return found


class Closed(Exception):
    """The other side has ended the connection."""


class Stream:
    """A socket that messages are sent to and read from; every read has a time limit."""

    def __init__(self, sock, timeout=20.0):
        sock.settimeout(timeout)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.buffer = b""
        self.n_sent = 0  # bytes, TLS apart
        self.n_received = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Close with RST instead of FIN, as a machine that has gone does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def start_tls(self, context, server_side=False, name=None):
        self.sock = context.wrap_socket(self.sock, server_side=server_side, server_hostname=name)

    def send(self, data):
        try:
            self.sock.sendall(data)
            self.n_sent += len(data)
        except (ConnectionError, ssl.SSLError) as e:
            raise Closed(str(e)) from e

    def send_in_pieces(self, data, size=1, pause=0.002):
        for at in range(0, len(data), size):
            self.send(data[at:at + size])
            time.sleep(pause)

    def _fill(self):
        try:
            more = self.sock.recv(1 << 16)
        except (ConnectionError, ssl.SSLError) as e:
            raise Closed(str(e)) from e
        if not more:
            raise Closed("end of stream")
        self.n_received += len(more)
        self.buffer += more

    def read(self, size):
        while len(self.buffer) < size:
            self._fill()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def read_message(self):
        head = self.read(5)
        size, = struct.unpack(">i", head[1:])
        return Message(chr(head[0]), self.read(size - 4))

    def read_until(self, *kinds):
        """All messages up to the first of one of these kinds."""
        found = [self.read_message()]
        while found[-1].kind not in kinds:
            found.append(self.read_message())
        return found

    def skip(self, size):
        """Read and forget that many bytes."""
        size -= len(self.buffer)
        self.buffer = self.buffer[size:] if size < 0 else b""
        while size > 0:
            got = len(self.sock.recv(min(size, 1 << 20)))
            if not got:
                raise Closed("end of stream")
            size -= got

    def is_silent_for(self, seconds):
        """True if nothing comes in that time; an end of the stream is not silence."""
        if self.buffer:
            return False
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self._fill()
            return False
        except (socket.timeout, TimeoutError):
            return True
        except Closed:
            return False
        finally:
            self.sock.settimeout(before)

    def wait_closed(self, timeout=20.0):
        """Read to the end of the stream; returns the messages that came before it."""
        self.sock.settimeout(timeout)
        found = []
        try:
            while True:
                found.append(self.read_message())
        except Closed:
            return found
