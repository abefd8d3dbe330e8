"""A client that speaks the protocol by hand, for tests that drivers are too polite for."""
import socket
import struct

import pgwire
from pgwire import Stream, cstr, i32, msg
from scram import ClientProof, md5_answer


class ServerError(Exception):
    """An ErrorResponse; `fields` by code letter, `sqlstate` its C."""

    def __init__(self, message):
        self.fields = message.fields()
        self.sqlstate = self.fields.get("C")
        super().__init__(f"{self.sqlstate}: {self.fields.get('M')}")


class Result:
    """What one or more units were answered with, up to a ReadyForQuery."""

    def __init__(self, messages):
        self.messages = messages
        self.kinds = "".join(m.kind for m in messages)
        self.rows = [m.row() for m in messages if m.kind == "D"]
        self.tags = [m.text() for m in messages if m.kind == "C"]
        self.notices = [m.fields() for m in messages if m.kind == "N"]
        self.errors = [ServerError(m) for m in messages if m.kind == "E"]
        self.columns = next((m.columns() for m in messages if m.kind == "T"), None)
        self.status = messages[-1].body.decode() if self.kinds.endswith("Z") else None

    @property
    def sqlstate(self):
        """SQLSTATE of the first error, or None."""
        return self.errors[0].sqlstate if self.errors else None

    def check(self):
        if self.errors:
            raise self.errors[0]
        return self

    def value(self):
        """The only value of the only row."""
        self.check()
        assert len(self.rows) == 1 and len(self.rows[0]) == 1, self.rows
        return self.rows[0][0]


class RawClient(Stream):
    """Connects at once; login() is a step of its own."""

    def __init__(self, port, host="127.0.0.1", timeout=20.0):
        if host.startswith("/"):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            sock.connect(f"{host}/.s.PGSQL.{port}")
        else:
            sock = socket.create_connection((host, port), timeout)
        super().__init__(sock, timeout)
        self.address = (host, port)
        self.parameters = {}
        self.pid = None
        self.key = None
        self.told_version = None  # what NegotiateProtocolVersion said, if it came

    def request_tls(self, context, name=None):
        self.send(pgwire.SSL_REQUEST)
        answer = self.read(1)
        assert answer == b"S", answer
        self.start_tls(context, name=name)
        return self

    def login(self, user, password=None, database=None, version=pgwire.PROTOCOL_3_0, **params):
        """Returns self; raises ServerError when it is refused."""
        params = {"user": user, "database": database or user, **params}
        self.send(pgwire.startup(params, version))
        self._authenticate(user, password)
        self._read_session()
        return self

    def begin_login(self, user, password, database, **params):
        """Up to the proof; greeted() reads the rest."""
        self.send(pgwire.startup({"user": user, "database": database, **params}))
        self._read_login_message()
        self._scram(password)
        return self

    def greeted(self):
        assert self._read_login_message().body == i32(0)
        self._read_session()
        return self

    def _authenticate(self, user, password):
        while True:
            m = self._read_login_message()
            code, = struct.unpack_from(">i", m.body)
            if code == 0:
                return
            if code == 3:
                self.send(msg("p", cstr(password)))
            elif code == 5:
                self.send(msg("p", cstr(md5_answer(user, password, m.body[4:8]))))
            elif code == 10:
                self._scram(password)
            else:
                raise AssertionError(f"unexpected authentication request {code}")

    def _scram(self, password):
        proof = ClientProof(password or "")
        first = proof.first().encode()
        self.send(msg("p", cstr("SCRAM-SHA-256"), i32(len(first)), first))
        m = self._read_login_message()
        self.send(msg("p", proof.final(m.body[4:].decode()).encode()))
        proof.check(self._read_login_message().body[4:].decode())

    def _read_login_message(self):
        m = self.read_message()
        while m.kind in "Nv":
            if m.kind == "v":
                self.told_version, = struct.unpack_from(">i", m.body)
            m = self.read_message()
        if m.kind == "E":
            raise ServerError(m)
        assert m.kind == "R", m
        return m

    def _read_session(self):
        for m in self.read_until("Z", "E"):
            if m.kind == "S":
                name, value = m.pair()
                self.parameters[name] = value
            elif m.kind == "K":
                self.pid, = struct.unpack_from(">i", m.body)
                self.key = m.body[4:]
            elif m.kind == "E":
                raise ServerError(m)

    def result(self):
        """Read up to the next ReadyForQuery."""
        return Result(self.read_until("Z"))

    def run(self, data):
        """Send and read one answer."""
        self.send(data)
        return self.result()

    def query(self, sql):
        """A simple query; errors are in the result."""
        return self.run(pgwire.query(sql))

    def value(self, sql):
        return self.query(sql).value()

    def prepared(self, sql, params=(), name=""):
        """The same by Parse, Bind, Describe, Execute, Sync."""
        return self.run(pgwire.prepared(sql, params, name))

    def send_cancel(self):
        """Ask, on a connection of its own, to cancel what this client runs; waits for its end."""
        host, port = self.address
        with RawClient(port, host) as other:
            other.send(pgwire.cancel_request(self.pid, self.key))
            assert other.wait_closed() == []
