"""TLS without a question before it, as PostgreSQL 17 speaks it (sslnegotiation=direct), from clients
and to servers. The PostgreSQL of the tests is older: a fake server and clients made by hand do it."""
import socket
import ssl

import pgwire
import pytest
from fakeserver import FakeServer
from pgwire import Closed
from pooler import proc
from rawclient import RawClient, ServerError
from tools.certs import Authority


@pytest.fixture(scope="module")
def authority(site):
    return Authority(f"{site.new_folder()}/tls")


@pytest.fixture(scope="module")
def files(authority):
    cert, key = authority.issue("pgweir", key="ec")
    return {"client_tls_cert_file": cert, "client_tls_key_file": key}


@pytest.fixture(scope="module", params=["auto", "epoll"])
def pooler(site, files, request):
    settings = {"client_tls_sslmode": "allow", "io_engine": request.param, **files,
                "proxy_protocol": "on", "proxy_protocol_trusted": "127.0.0.1"}
    with site.pgweir(settings=settings) as p:
        yield p


def context(authority, *protocols):
    made = ssl.create_default_context(cafile=authority.cert)
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


def direct(p, authority, *protocols):
    client = RawClient(p.port)
    client.start_tls(context(authority, *protocols), name="localhost")
    return client


def test_a_client_begins_with_tls(pooler, authority):
    with direct(pooler, authority, "postgresql") as client:
        assert client.sock.selected_alpn_protocol() == "postgresql"
        client.login("app", pooler.passwords["app"], "app", application_name="direct")
        assert client.value("SELECT 1") == "1"
        assert "TLSv1" in pooler.show_one("CLIENTS", application_name="direct")["tls"]
        size = 3 << 20
        assert client.query("SELECT length('" + "y" * size + "')").value() == str(size)
    with direct(pooler, authority, "http/1.1", "postgresql") as client:
        client.login("admin", pooler.passwords["admin"], "pgweir")
        assert client.query("SHOW VERSION").check().rows


def test_without_alpn_it_is_refused(pooler, authority):
    with direct(pooler, authority) as client:
        message = client.read_message().fields()
        assert message["C"] == "08P01" and "ALPN" in message["M"]


@pytest.mark.parametrize("asks", [False, True])
def test_another_protocol_is_refused_in_the_handshake(pooler, authority, asks):
    with RawClient(pooler.port) as client, pytest.raises((ssl.SSLError, OSError)):
        if asks:
            client.request_tls(context(authority, "http/1.1"), "localhost")
        else:
            client.start_tls(context(authority, "http/1.1"), name="localhost")


def test_alpn_is_no_duty_of_who_asks_first(pooler, authority):
    for protocols in ([], ["postgresql"]):
        with RawClient(pooler.port) as client:
            client.request_tls(context(authority, *protocols), "localhost")
            client.login("app", pooler.passwords["app"], "app")


def test_a_hello_in_pieces_and_behind_a_proxys_header(pooler, authority):
    for header in (b"", b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n"):
        with RawClient(pooler.port) as client:
            inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context(authority, "postgresql").wrap_bio(inward, outward,
                                                            server_hostname="localhost")
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            hello = header + outward.read()
            client.send(hello[:len(header) + 1])
            client.send_in_pieces(hello[len(header) + 1:], 50)
            while True:
                inward.write(client.sock.recv(65536))
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    pass
            tls.write(pgwire.startup({"user": "app", "database": "app"}))
            client.send(outward.read())
            while True:
                inward.write(client.sock.recv(65536))
                try:
                    assert tls.read(1) == b"R"
                    break
                except ssl.SSLWantReadError:
                    pass


@pytest.mark.parametrize("data", [b"\x16", b"\x16\x03\x01\x00\x05hello" + b"x" * 20000,
                                  pgwire.SSL_REQUEST + b"\x16\x03\x01"],
                         ids=["one byte", "no hello", "after a request"])
def test_what_is_no_handshake_ends_the_connection(pooler, data):
    with RawClient(pooler.port) as client:
        with pytest.raises((Closed, OSError)):
            client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
            while True:
                client.read(1)
    with pooler.raw() as other:
        assert other.value("SELECT 1") == "1"


def test_a_second_request_for_tls_is_refused(pooler, authority):
    with direct(pooler, authority, "postgresql") as client:
        client.send(pgwire.SSL_REQUEST)
        assert client.read_message().fields()["C"] == "08P01"


def test_without_tls_such_a_connection_ends(site, authority):
    with site.pgweir() as p:
        with pytest.raises((ssl.SSLError, OSError)):
            direct(p, authority, "postgresql")
        with p.raw() as other:
            assert other.value("SELECT 1") == "1"


# --- to servers ---


def speaks_directly(cert, key, *protocols, seen=None):
    """A handler of FakeServer that begins with TLS."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cert, key)
    if protocols:
        made.set_alpn_protocols(list(protocols))

    def handler(conn):
        conn.start_tls(made, server_side=True)
        try:
            conn.login()
            conn.serve()
        finally:
            if seen is not None and conn.cancel is not None:
                seen.append(conn.cancel)

    return handler


def to_fake(site, authority, server, **settings):
    return site.pgweir({"app": f"host=localhost port={server.port} dbname=app"},
                       settings={"server_tls_sslmode": "verify-full",
                                 "server_tls_ca_file": authority.cert,
                                 "server_tls_sslnegotiation": "direct",
                                 "query_wait_timeout": 5, "server_login_retry": 1, **settings})


def test_a_server_is_logged_in_to_directly(site, authority):
    cert, key = authority.issue("server", key="ec")
    with FakeServer(speaks_directly(cert, key, "postgresql")) as server, \
            to_fake(site, authority, server) as p, p.raw() as client:
        assert client.value("SELECT 1") == "1"


def test_a_server_without_alpn_is_refused(site, authority):
    cert, key = authority.issue("server2", key="ec")
    with FakeServer(speaks_directly(cert, key)) as server, to_fake(site, authority, server) as p:
        with pytest.raises(ServerError, match="ALPN"):
            p.raw()


def test_an_older_server_is_refused(site):
    settings = {"server_tls_sslmode": "require", "server_tls_sslnegotiation": "direct",
                "query_wait_timeout": 5}
    with site.pgweir(settings=settings) as p, pytest.raises(ServerError):
        p.raw()


def test_direct_needs_tls_for_sure(site):
    p = site.pgweir(settings={"server_tls_sslnegotiation": "direct"})
    status, told = p.check_config()
    assert status == 1 and "server_tls_sslnegotiation" in told


def test_cancels_go_the_same_way(site, authority):
    cert, key = authority.issue("server3", key="ec")
    cancels = []
    handler = speaks_directly(cert, key, "postgresql", seen=cancels)

    def never_answers(conn):
        def serve():
            while "SELECT 1" not in (unit := conn.read_unit())[-1].text():
                conn.send(conn.answer(unit))
            conn.read(1)

        conn.serve = serve
        handler(conn)

    with FakeServer(never_answers) as server, to_fake(site, authority, server) as p:
        with p.raw() as client:
            client.send(pgwire.query("SELECT 1"))
            p.wait_show("CLIENTS", lambda row: row["link"] != "", database="app")
            client.send_cancel()
            proc.wait_until("the cancel request", lambda: cancels)


def test_cancel_over_verified_tls_to_a_real_server(site):
    settings = {"server_tls_sslmode": "verify-full",
                "server_tls_ca_file": site.cluster.authority.cert}
    with site.pgweir(settings=settings) as p, p.raw() as client:
        assert client.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t"
        client.send(pgwire.query("SELECT pg_sleep(60)"))
        p.wait_show("CLIENTS", lambda row: row["state"] == "active", database="app")
        client.send_cancel()
        assert client.result().sqlstate == "57014"
