"""A PostgreSQL server that does as a test wants, right or wrong.

    with FakeServer(handler) as server:     # handler(conn) runs in a thread per connection
        … host=127.0.0.1 port={server.port}

A handler usually begins with conn.login() and goes on with conn.serve(), which answers like a
server that knows one statement; a hostile one sends what it likes. What a handler raises is kept
in `server.errors`, connections that the other side closes apart.
"""
import socket
import struct
import threading

import pgwire
from pgwire import Closed, Message, Stream, cstr, i32, msg
from scram import ServerProof, md5_answer
from tools import proc

PARAMETERS = {
    "server_version": "15.9", "server_encoding": "UTF8", "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY", "TimeZone": "Etc/UTC", "IntervalStyle": "postgres",
    "integer_datetimes": "on", "standard_conforming_strings": "on", "is_superuser": "off",
    "session_authorization": "app", "application_name": "",
    "default_transaction_read_only": "off", "in_hot_standby": "off",
}
SESSION_WORDS = ("SET", "RESET", "DISCARD", "DEALLOCATE")
ONE_ROW = (pgwire.row_description("x") + pgwire.data_row("1")
           + pgwire.command_complete("SELECT 1"))


def first_word(message):
    words = message.text().split()
    return words[0].upper().rstrip(";") if words else ""


def is_look(m):
    """The pooler looks at the database's objects when it logs in."""
    return m.kind == "Q" and "'currval|lastval'" in m.text()


class FakeConnection(Stream):
    """One accepted connection, seen from the server."""

    def __init__(self, sock, number):
        super().__init__(sock)
        self.number = number  # 1, 2 … in order of arrival
        self.params = {}
        self.cancel = None  # body of a CancelRequest, if that is what came

    def read_startup(self):
        """The start-up packet; TLS and GSS requests before it are declined."""
        while True:
            size, code = struct.unpack(">ii", self.read(8))
            body = self.read(size - 8)
            if code in (pgwire.SSL_REQUEST_CODE, pgwire.GSS_REQUEST_CODE):
                self.send(b"N")
                continue
            if code == pgwire.CANCEL_REQUEST_CODE:
                self.cancel = body
                raise Closed("a CancelRequest")
            words = body.split(b"\0")
            self.params = {k.decode(): v.decode() for k, v in zip(words[::2], words[1::2]) if k}
            return

    def login(self, auth="trust", password="", parameters=None, **scram):
        """Everything up to the first ReadyForQuery."""
        self.read_startup()
        getattr(self, f"_auth_{auth}")(password, **scram)
        self.send(pgwire.auth_ok() + self.session(parameters) + pgwire.ready())

    def session(self, parameters=None):
        values = {**PARAMETERS, **(parameters or {})}
        return (b"".join(pgwire.parameter_status(k, v) for k, v in values.items())
                + pgwire.backend_key(1000 + self.number, i32(self.number)))

    def _auth_trust(self, password):
        pass

    def _auth_password(self, password):
        self.send(msg("R", i32(3)))
        self._require(self.read_message().text() == password)

    def _auth_md5(self, password):
        self.send(msg("R", i32(5), b"salt"))
        self._require(self.read_message().text()
                      == md5_answer(self.params["user"], password, b"salt"))

    def _auth_scram(self, password, **scram):
        proof = ServerProof(password, **scram)
        self.send(msg("R", i32(10), cstr("SCRAM-SHA-256"), b"\0"))
        first = self.read_message().body
        first = first[first.index(b"\0") + 5:].decode()
        self.send(msg("R", i32(11), proof.first(first).encode()))
        final = proof.final(self.read_message().body.decode())
        self._require(final is not None)
        self.send(msg("R", i32(12), final.encode()))

    def _require(self, good):
        if not good:
            self.send(pgwire.error_response("28P01", "wrong password", "FATAL"))
            self.close()
            raise Closed("wrong password")

    def read_any_unit(self):
        """One simple Query, or an extended series up to its Sync: the list of messages."""
        return self.read_until("Q", "S", "X", "F")

    def read_unit(self):
        """The same; what the pooler sends of its own, SET and the like, is answered rightly and
        left out."""
        unit = self.read_any_unit()
        while unit[-1].kind == "Q" and (first_word(unit[-1]) in SESSION_WORDS or
                                        is_look(unit[-1])):
            self.send(self.answer(unit))
            unit = self.read_any_unit()
        return unit

    def answer(self, unit, rows=ONE_ROW):
        """The right replies to a unit, as if each statement gave one row."""
        out = b""
        for m in unit:
            out += self._reply(m, rows)
        return out

    @staticmethod
    def _reply(m, rows):
        if m.kind == "Q":
            return FakeConnection._reply_query(m, rows)
        return {"P": msg("1"), "B": msg("2"), "C": msg("3"), "S": pgwire.ready(),
                "D": (msg("t", b"\0\0") if m.body[:1] == b"S" else b"")
                + pgwire.row_description("x"),
                "E": pgwire.data_row("1") + pgwire.command_complete("SELECT 1")}.get(m.kind, b"")

    @staticmethod
    def _reply_query(m: Message, rows):
        word = first_word(m)
        if is_look(m):
            return pgwire.command_complete("SELECT 0") + pgwire.ready()
        if word in SESSION_WORDS or word in ("ROLLBACK", "COMMIT"):
            return pgwire.command_complete(word) + pgwire.ready()
        if word == "BEGIN":
            return pgwire.command_complete(word) + pgwire.ready("T")
        return rows + pgwire.ready()

    def serve(self, units=None):
        """Answer units rightly until the client leaves, or so many of them."""
        while units is None or units > 0:
            unit = self.read_unit()
            if unit[-1].kind == "X":
                raise Closed("Terminate")
            self.send(self.answer(unit))
            units = None if units is None else units - 1


def well_behaved(conn):
    conn.login()
    conn.serve()


class FakeServer:
    """Listens on a free port of loopback until closed."""

    def __init__(self, handler=well_behaved):
        self.handler = handler
        self.errors = []
        self.connections = []
        self.port = proc.free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        if kind is None and self.errors:
            raise self.errors[0]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
        self.listener.close()
        for conn in self.connections:
            conn.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            conn = FakeConnection(sock, len(self.connections) + 1)
            self.connections.append(conn)
            threading.Thread(target=self._handle, args=(conn,), daemon=True).start()

    def _handle(self, conn):
        try:
            self.handler(conn)
        except (Closed, OSError):
            pass
        except Exception as e:  # pylint: disable=broad-except
            self.errors.append(e)
        finally:
            conn.close()
