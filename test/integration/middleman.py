"""Somebody between two ends: speaks TLS with both, and passes on what it reads."""
import socket
import ssl
import threading

import pgwire


class Middleman:
    """In front of a server's port; `authority` gives it a certificate."""

    def __init__(self, port, authority):
        self.server_port = port
        cert, key = authority.issue("middleman")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        for sock in self.sockets:
            sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            assert sock.recv(8, socket.MSG_WAITALL) == pgwire.SSL_REQUEST
            sock.sendall(b"S")
            client = self.context.wrap_socket(sock, server_side=True)
            server = socket.create_connection(("127.0.0.1", self.server_port))
            server.sendall(pgwire.SSL_REQUEST)
            assert server.recv(1) == b"S"
            trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            server = trusting.wrap_socket(server)
        except (OSError, AssertionError):
            sock.close()
            return
        self.sockets += [client, server]
        threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
        self._pump(server, client)

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except (OSError, ValueError):
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
