"""The PROXY protocol in front of clients: who may send a header, and what it changes."""
import contextlib
import ssl
import struct

import pgwire
import pytest
from pgwire import Closed
from rawclient import RawClient, ServerError
from tools.certs import Authority

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(address="203.0.113.7", port=40000):
    family = "TCP6" if ":" in address else "TCP4"
    other = "::1" if ":" in address else "127.0.0.1"
    return f"PROXY {family} {address} {other} {port} 5432\r\n".encode()


def v2(address=(203, 0, 113, 7), port=40000, command=1, tlvs=b""):
    body = bytes(address) + bytes((127, 0, 0, 1)) + struct.pack(">HH", port, 5432) + tlvs
    return V2 + bytes((0x20 | command, 0x11)) + struct.pack(">H", len(body)) + body


@pytest.fixture(scope="module")
def proxied(site):
    with site.pgweir(settings={"proxy_protocol": "on", "proxy_protocol_trusted": "127.0.0.1",
                               "unix_socket_dir": "{folder}", "client_login_timeout": 2}) as p:
        yield p


def enter(p, header, user="app", database="app", **more):
    client = RawClient(p.port)
    client.send(header)
    return client.login(user, p.passwords[user], database, **more)


def address_of(p, name):
    row = p.show_one("CLIENTS", application_name=name)
    return row["addr"], row["port"]


@pytest.mark.parametrize("header, address", [
    (v1(), "203.0.113.7"), (v1("2001:db8::7"), "2001:db8::7"), (v2(), "203.0.113.7"),
    (v2(tlvs=b"\x04\0\x03abc\x05\0\0"), "203.0.113.7"), (v2(command=0), "127.0.0.1"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"), (b"", "127.0.0.1")])
def test_the_header_says_where_the_client_is_from(proxied, header, address):
    with enter(proxied, header, application_name="named") as client:
        addr, port = address_of(proxied, "named")
        assert addr == address
        if address != "127.0.0.1":
            assert port == "40000"
            proxied.wait_log(f"addr={address} port=40000")
        assert client.value("SELECT 1") == "1"


def test_a_header_in_pieces_and_with_the_login_behind_it(proxied):
    for header in (v1(), v2()):
        with RawClient(proxied.port) as client:
            client.send_in_pieces(header)
            client.login("app", proxied.passwords["app"], "app")
        with RawClient(proxied.port) as client:
            client.send(header + pgwire.startup({"user": "app", "database": "app"}))
            assert client.read_message().kind == "R"


def test_the_console_is_reached_through_a_proxy_too(proxied):
    with enter(proxied, v2(), "admin", "pgweir") as console:
        assert console.query("SHOW VERSION").check().rows


def closed_at(p, data):
    """The connection ends without an answer to `data`, but for one to an SSLRequest."""
    with RawClient(p.port) as client:
        client.send(data)
        with pytest.raises(Closed):
            while True:
                assert client.read(1) == b"N"


@pytest.mark.parametrize("data", [
    b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", b"PROXY " + b"x" * 200, V2 + b"\x31\x11\0\0",
    V2 + b"\x21\x11\xff\xff", v2()[:-3] + b"\xff\xff\xff" + b"x" * 8000, v1() + v1(),
    v2() + v2(), pgwire.SSL_REQUEST + v1()])
def test_malformed_headers_end_the_connection(proxied, data):
    closed_at(proxied, data)
    with proxied.raw() as other:
        assert other.value("SELECT 1") == "1"


@pytest.mark.parametrize("part", [b"P", v1()[:20], v2()[:20]])
def test_half_a_header_is_waited_for_until_the_login_timeout(proxied, part):
    with RawClient(proxied.port) as client:
        client.send(part)
        assert "client_login_timeout" in client.read_message().fields()["M"]


def test_headers_are_refused_from_whom_nobody_trusts(site):
    with site.pgweir(settings={"proxy_protocol": "on",
                               "proxy_protocol_trusted": "10.0.0.0/8, ::1"}) as p:
        closed_at(p, v1())
        p.wait_log("PROXY header refused")
        with p.raw() as client:  # without one it is a client as any other
            assert client.value("SELECT 1") == "1"
    with site.pgweir() as p:
        closed_at(p, v1())  # off: no such bytes are known


def test_required_headers(site):
    settings = {"proxy_protocol": "required", "proxy_protocol_trusted": "127.0.0.1",
                "unix_socket_dir": "{folder}"}
    with site.pgweir(settings=settings) as p:
        with RawClient(p.port) as client, pytest.raises(ServerError) as error:
            client.login("app", p.passwords["app"], "app")
        assert error.value.sqlstate == "28000" and "proxy" in str(error.value)
        with enter(p, v1()) as client:
            assert client.value("SELECT 1") == "1"
        with RawClient(p.port, p.folder) as client:  # a unix socket has no proxy in front
            client.login("app", p.passwords["app"], "app")


def test_rules_see_the_clients_address_and_tls_comes_behind_the_header(site):
    authority = Authority(f"{site.new_folder()}/tls")
    cert, key = authority.issue("pgweir", key="ec")
    settings = {"proxy_protocol": "on", "proxy_protocol_trusted": "127.0.0.1",
                "auth_type": "hba", "auth_hba_file": "{folder}/hba",
                "client_tls_sslmode": "allow", "client_tls_cert_file": cert,
                "client_tls_key_file": key}
    p = site.pgweir(settings=settings)
    p._write("hba", "hostssl app app 203.0.113.0/24 scram-sha-256\n"  # pylint: disable=W0212
                    "host pgweir admin 127.0.0.1/32 scram-sha-256\n")
    with p:
        def over_tls(header):
            client = RawClient(p.port)
            client.send(header)
            return client.request_tls(ssl.create_default_context(cafile=authority.cert),
                                      "localhost")

        with over_tls(v2()) as client:
            client.login("app", p.passwords["app"], "app")
            assert client.value("SELECT 1") == "1"
        with over_tls(v2((203, 0, 114, 7))) as client, pytest.raises(ServerError) as error:
            client.login("app", p.passwords["app"], "app")
        assert 'host "203.0.114.7"' in str(error.value)


def test_limits_are_those_of_the_clients_address_not_of_the_proxys(site):
    settings = {"proxy_protocol": "on", "proxy_protocol_trusted": "127.0.0.1",
                "max_half_open_per_address": 2}
    with site.pgweir(settings=settings) as p, contextlib.ExitStack() as stack:
        def half_open(header):
            client = stack.enter_context(RawClient(p.port))
            client.send(header + pgwire.startup({"user": "app", "database": "app"}))
            return client.read_message()

        for address in ("203.0.113.7", "203.0.113.8", "203.0.113.7", "203.0.113.8"):
            assert half_open(v1(address)).kind == "R"
        assert half_open(v1("203.0.113.7")).fields()["C"] == "53300"
        with enter(p, v1("203.0.113.9")) as client:
            assert client.value("SELECT 1") == "1"
