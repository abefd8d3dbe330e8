"""A name server that answers what a test wants, and relays that give nodes further addresses."""
import socket
import struct
import threading
import time


class FakeDns:
    """Answers questions for A and AAAA; all other types do not exist. `names` maps a name to its
    addresses, `names6` to those of IPv6; `mode` is "answer", "refuse" (SERVFAIL) or "silent". `asked`
    counts the questions."""

    def __init__(self, names, ttl=0):
        self.names = dict(names)
        self.names6 = {}
        self.ttl = ttl
        self.mode = "answer"
        self.asked = 0
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.mode = "end"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._sock.close()

    def write_resolv_conf(self, path):
        with open(path, "w", encoding="ascii") as f:
            f.write(f"nameserver 127.0.0.1:{self.port}\noptions ndots:1\n")
        return path

    def _run(self):
        while True:
            question, sender = self._sock.recvfrom(4096)
            if self.mode == "end":
                return
            self.asked += 1
            if self.mode != "silent" and len(question) > 12:
                self._sock.sendto(self._answer(question), sender)

    def _answer(self, question):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind, = struct.unpack_from(">H", question, at + 1)
        name = ".".join(labels).lower()
        family = socket.AF_INET6 if kind == 28 else socket.AF_INET
        addresses = {1: self.names, 28: self.names6}.get(kind, {}).get(name, [])
        is_known = name in self.names or name in self.names6
        code = 2 if self.mode == "refuse" else 0 if is_known else 3
        if code:
            addresses = []
        raw = [socket.inet_pton(family, a) for a in addresses]
        head = question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
        return head + question[12:at + 5] + b"".join(
            struct.pack(">HHHIH", 0xC00C, kind, 1, self.ttl, len(a)) + a for a in raw)


class Relay:
    """Listens on an address of its own and passes everything on to a port of 127.0.0.1."""

    def __init__(self, address, port, to_port):
        self.address = address
        self.port = port
        self.to_port = to_port
        self.delay = 0  # seconds that all it passes on, each way, comes later
        self._listener = socket.create_server((address, port))
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            self._shut(sock)

    @staticmethod
    def _shut(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                near.close()
                continue
            self._sockets += [near, far]
            for a, b in ((near, far), (far, near)):
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _pass(self, source, sink):
        try:
            while data := source.recv(65536):
                time.sleep(self.delay)
                sink.sendall(data)
        except OSError:
            pass
        self._shut(sink)
        self._shut(source)
