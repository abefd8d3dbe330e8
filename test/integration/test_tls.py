"""TLS towards clients and towards servers."""
import hashlib
import ssl

import pgwire
import psycopg2
import pytest
from conftest import temporary_site
from middleman import Middleman
from pgwire import Closed
from rawclient import RawClient, ServerError
from scram import ClientProof
from tools import proc
from tools.certs import Authority


@pytest.fixture(scope="module")
def authority(site):
    return Authority(f"{site.new_folder()}/tls")


@pytest.fixture(scope="module")
def files(authority):
    cert, key = authority.issue("pgweir")
    return {"client_tls_cert_file": cert, "client_tls_key_file": key}


@pytest.fixture(scope="module")
def pooler(site, files):
    with site.pgweir(settings={"client_tls_sslmode": "allow", **files}) as p:
        yield p


@pytest.fixture(scope="module")
def strict(site, files):
    with site.pgweir(settings={"client_tls_sslmode": "require", **files}) as p:
        yield p


def is_encrypted(conn):
    return conn.info.ssl_in_use


@pytest.mark.parametrize("mode, encrypted", [("disable", False), ("allow", False),
                                             ("prefer", True), ("require", True)])
def test_sslmodes_of_libpq(pooler, mode, encrypted):
    conn = pooler.connect(sslmode=mode)
    assert is_encrypted(conn) == encrypted
    conn.cursor().execute("SELECT 1")
    conn.close()


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_certificate_is_verified_by_the_client(pooler, authority, site, mode):
    conn = pooler.connect(sslmode=mode, sslrootcert=authority.cert)
    assert is_encrypted(conn)
    conn.close()
    stranger = Authority(f"{site.new_folder()}/stranger", "stranger")
    with pytest.raises(psycopg2.OperationalError, match="certificate"):
        pooler.connect(sslmode=mode, sslrootcert=stranger.cert)


def test_plain_client_is_refused_where_tls_is_required(strict):
    with RawClient(strict.port) as client, pytest.raises((ServerError, Closed)):
        client.login("app", strict.passwords["app"])
    conn = strict.connect(sslmode="require")
    assert is_encrypted(conn)
    conn.close()


def test_without_tls_a_request_is_declined(site):
    with site.pgweir() as p:
        conn = p.connect(sslmode="prefer")
        assert not is_encrypted(conn)
        conn.close()
        with pytest.raises(psycopg2.OperationalError, match="SSL"):
            p.connect(sslmode="require")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(pooler, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with RawClient(pooler.port) as client, pytest.raises((ssl.SSLError, OSError)):
        client.request_tls(context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_versions_are_spoken(pooler, authority, version):
    context = ssl.create_default_context(cafile=authority.cert)
    context.minimum_version = context.maximum_version = version
    with RawClient(pooler.port) as client:
        client.request_tls(context, "localhost").login("app", pooler.passwords["app"])
        assert client.value("SELECT 1") == "1"


def session_of(p, version=None, ciphers=None, curve=None):
    """A login with what a client offers: (version, cipher)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if curve is not None:
        context.set_ecdh_curve(curve)
    with RawClient(p.port) as client:
        client.request_tls(context).login("app", p.passwords["app"])
        assert client.value("SELECT 1") == "1"
        return client.sock.version(), client.sock.cipher()[0]


TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
AES128, AES256 = "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"


@pytest.mark.parametrize("key, value, fits, does_not", [
    ("protocols", "tlsv1.2", {"version": TLS12}, {"version": TLS13}),
    ("protocols", "tlsv1.3", {"version": TLS13}, {"version": TLS12}),
    ("ciphers", AES128, {"version": TLS12, "ciphers": AES128}, {"version": TLS12, "ciphers": AES256}),
    ("ecdhcurve", "secp384r1", {"curve": "secp384r1"}, {"curve": "prime256v1"}),
])
def test_what_clients_may_use_is_as_set(site, files, key, value, fits, does_not):
    settings = {"client_tls_sslmode": "allow", **files}
    with site.pgweir(settings=settings) as p:
        session_of(p, **fits)
        session_of(p, **does_not)  # by default both do
        p.reload(**{f"client_tls_{key}": value})
        session_of(p, **fits)
        with pytest.raises((ssl.SSLError, OSError)):
            session_of(p, **does_not)


def test_cipher_suites_of_tls_1_3_are_as_set(site, files):
    settings = {"client_tls_sslmode": "allow", **files}
    with site.pgweir(settings=settings) as p:
        for suite in ("TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"):
            p.reload(client_tls13_ciphers=suite)
            assert session_of(p) == ("TLSv1.3", suite)


@pytest.mark.parametrize("settings, shown", [
    ({}, "TLSv1.3 TLS_AES_256_GCM_SHA384"),
    ({"server_tls13_ciphers": "TLS_AES_128_GCM_SHA256"}, "TLSv1.3 TLS_AES_128_GCM_SHA256"),
    ({"server_tls_protocols": "tlsv1.2"}, f"TLSv1.2 {AES256}"),
    ({"server_tls_protocols": "tlsv1.2", "server_tls_ciphers": AES128}, f"TLSv1.2 {AES128}"),
])
def test_what_is_used_towards_servers_is_as_set(site, settings, shown):
    with site.pgweir(settings={"server_tls_sslmode": "require", **settings}) as p, \
            p.raw() as client:
        assert client.value("SELECT version || ' ' || cipher FROM pg_stat_ssl "
                            "WHERE pid = pg_backend_pid()") == shown


def test_large_answers_and_questions_through_tls(pooler, authority):
    context = ssl.create_default_context(cafile=authority.cert)
    size = 20 << 20
    with RawClient(pooler.port) as client:
        client.request_tls(context, "localhost").login("app", pooler.passwords["app"])
        client.send(pgwire.query(f"SELECT repeat('x', {size})"))
        assert client.read_message().kind == "T"
        client.read(5)
        client.skip(2 + 4 + size)
        client.read_until("Z")
        assert client.query("SELECT length('" + "y" * size + "')").value() == str(size)


def test_pipelined_bytes_in_one_record(pooler, authority):
    context = ssl.create_default_context(cafile=authority.cert)
    with RawClient(pooler.port) as client:
        client.request_tls(context, "localhost").login("app", pooler.passwords["app"])
        client.send(b"".join(pgwire.query(f"SELECT {i}") for i in range(100)))
        assert [client.result().value() for _ in range(100)] == [str(i) for i in range(100)]


def test_garbage_instead_of_a_handshake(pooler):
    with RawClient(pooler.port) as client:
        client.send(pgwire.SSL_REQUEST)
        assert client.read(1) == b"S"
        client.send(b"this is no ClientHello" * 10)
        with pytest.raises((Closed, AssertionError, ValueError, OSError)):
            while True:
                client.read(1)
    with pooler.raw() as other:
        assert other.value("SELECT 1") == "1"


@pytest.mark.threads
def test_pgbench_over_tls_with_many_connections(pooler):
    env = pooler.env()
    env["PGSSLMODE"] = "require"
    assert pooler.pgbench("-S", "-C", "-c", "5", "-t", "10",
                          f"sslmode=require host=127.0.0.1 port={pooler.port} "
                          "dbname=app user=app")["done"] == 50


def test_show_clients_tells_tls(pooler):
    conn = pooler.connect(sslmode="require", application_name="encrypted")
    conn.cursor().execute("SELECT 1")
    row = pooler.show_one("CLIENTS", application_name="encrypted")
    assert "TLSv1" in row["tls"]
    conn.close()


@pytest.mark.parametrize("mode, encrypted", [("disable", "f"), ("prefer", "t"), ("require", "t"),
                                             ("verify-ca", "t"), ("verify-full", "t")])
def test_sslmodes_towards_the_server(site, mode, encrypted):
    settings = {"server_tls_sslmode": mode}
    if mode.startswith("verify"):
        settings["server_tls_ca_file"] = site.cluster.authority.cert
    with site.pgweir(settings=settings) as p, p.raw() as client:
        assert client.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") \
            == encrypted


def test_sslmode_allow_uses_tls_only_where_plain_is_refused(site):
    query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    with site.pgweir(settings={"server_tls_sslmode": "allow", "workers": 1}) as p:  # one welcome
        with p.raw() as client:
            assert client.value(query) == "f"
        p.admin("PAUSE")
        clients = [RawClient(p.port).begin_login("tlsuser", p.passwords["tlsuser"], "app")
                   for _ in range(6)]
        p.admin("RESUME")  # all at once: several logins are refused at the same time
        for client in clients:
            assert client.greeted().value(query) == "t"
            client.close()
        assert "server login failed" not in p.log_text()
        p.reload(server_tls_sslmode="disable", server_login_retry=1, query_wait_timeout=2)
        p.admin("RECONNECT app")
        with p.raw("tlsuser", "app") as client:
            assert client.query("SELECT 1").sqlstate == "57P03"


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
@pytest.mark.parametrize("ca_file", ["", "system"])
def test_without_a_ca_file_the_systems_certificates_count(site, mode, ca_file):
    """For the monitor, which is libpq, as well."""
    settings = {"server_tls_sslmode": mode, "server_tls_ca_file": ca_file}
    ours = {"SSL_CERT_FILE": site.cluster.authority.cert}
    with site.pgweir_routed(settings=settings, environment=ours) as p:
        p.wait_show("NODES", lambda r: r["health"] == "up", role="primary")
        with p.raw() as client:
            assert client.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t"


def test_certificate_that_the_system_does_not_know_is_refused(site):
    settings = {"server_tls_sslmode": "verify-ca", "query_wait_timeout": 2}
    with site.pgweir(settings=settings) as p:
        with pytest.raises((ServerError, Closed)):
            with p.raw() as client:
                client.query("SELECT 1").check()
        assert "certificate verify failed" in p.log_text()


def test_server_with_a_strangers_certificate_is_refused(site):
    stranger = Authority(f"{site.new_folder()}/stranger", "stranger")
    settings = {"server_tls_sslmode": "verify-full", "server_tls_ca_file": stranger.cert,
                "query_wait_timeout": 2}
    with site.pgweir(settings=settings) as p:
        with pytest.raises((ServerError, Closed)):
            with p.raw() as client:
                client.query("SELECT 1").check()
        assert "certificate" in p.log_text()


def test_large_answer_from_a_server_over_tls(site):
    with site.pgweir(settings={"server_tls_sslmode": "require"}) as p, p.raw() as client:
        assert len(client.value("SELECT repeat('x', 10000000)")) == 10_000_000
        assert client.value("SELECT length('" + "y" * 10_000_000 + "')") == "10000000"


def test_new_certificate_is_used_after_reload(site, authority):
    folder = site.new_folder()
    second = Authority(f"{folder}/second", "second")
    first_files, second_files = authority.issue("first"), second.issue("second")
    with site.pgweir(settings={"client_tls_sslmode": "require",
                               "client_tls_cert_file": first_files[0],
                               "client_tls_key_file": first_files[1]}) as p:
        keeps = p.connect(sslmode="verify-full", sslrootcert=authority.cert)
        with p.connect("admin", "pgweir", sslmode="require").cursor() as cur:
            p.settings.update(client_tls_cert_file=second_files[0],
                              client_tls_key_file=second_files[1])
            p.write_config()
            cur.execute("RELOAD")
        p.connect(sslmode="verify-full", sslrootcert=second.cert).close()
        keeps.cursor().execute("SELECT 1")
        keeps.close()


def test_reload_takes_new_certificates_and_keeps_connections(site, authority):
    cert, key = authority.issue("renewed", key="ec")
    settings = {"client_tls_sslmode": "require", "client_tls_cert_file": cert,
                "client_tls_key_file": key}

    def presented(client):
        return client.sock.getpeercert(binary_form=True)

    with site.pgweir(settings=settings) as p:
        def enter():
            client = over_tls(p, authority)
            return client.login("app", p.passwords["app"], "app")

        def reload():
            with over_tls(p, authority) as console:
                console.login("admin", p.passwords["admin"], "pgweir")
                return console.query("RELOAD")

        with enter() as old:
            old.query("BEGIN; SELECT 1").check()
            before = presented(old)
            authority.issue("renewed", key="ec")  # the same files
            with enter() as same:
                assert presented(same) == before
            assert reload().check().tags == ["RELOAD"]
            with enter() as new:
                assert presented(new) not in (None, before)
                assert new.value("SELECT 1") == "1"
            assert old.query("COMMIT").tags == ["COMMIT"] and presented(old) == before
            with open(cert, "w", encoding="ascii") as f:
                f.write("no certificate")
            assert cert in str(reload().errors[0])
            with enter() as still:
                assert presented(still) not in (None, before)
            assert old.value("SELECT 2") == "2"


# --- our certificate towards servers ---

CERTIFICATE_OF = "SELECT client_dn || ' ' || client_serial FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def asking():
    """A cluster that lets nobody in without a certificate: for app and monitor it is all they need,
    other has to give a password as well."""
    lines = ["hostssl all app,monitor 127.0.0.1/32 cert map=weir",
             "hostssl all other 127.0.0.1/32 scram-sha-256 clientcert=verify-full",
             "host all all 127.0.0.1/32 reject"]
    for site in temporary_site(1, hba=lines, ssl_ca_file="../tls/ca.crt"):
        for node in site.cluster.nodes:
            with open(f"{node.data}/pg_ident.conf", "a", encoding="ascii") as f:
                f.write("weir pgweir app\nweir pgweir monitor\n")
            node.sql("SELECT pg_reload_conf()")
        yield site


def with_certificate(site, common_name):
    cert, key = site.cluster.authority.issue(f"to-server-{common_name}", common_name)
    return {"server_tls_sslmode": "verify-full", "server_tls_ca_file": site.cluster.authority.cert,
            "server_tls_cert_file": cert, "server_tls_key_file": key, "query_wait_timeout": 5,
            "server_login_retry": 1}


def test_servers_that_ask_for_a_certificate_get_it(asking):
    """From the data path and from the monitor, on all nodes; no password is asked for."""
    with asking.pgweir_routed(settings=with_certificate(asking, "pgweir")) as p:
        def seen(node):
            return node.sql("SELECT DISTINCT usename || ' ' || client_dn FROM pg_stat_ssl JOIN "
                            "pg_stat_activity USING (pid) WHERE usename IN ('app', 'monitor') "
                            "ORDER BY 1").splitlines()
        with p.raw() as client:
            for node in asking.cluster.nodes:
                proc.wait_until(f"both on {node.name}", lambda node=node: client.value(
                    "SELECT 1") == "1" and seen(node) == ["app /CN=pgweir", "monitor /CN=pgweir"])


def test_a_password_may_be_asked_for_as_well(asking):
    with asking.pgweir(settings=with_certificate(asking, "other")) as p:
        with p.raw("other") as client:
            assert client.value(CERTIFICATE_OF).startswith("/CN=other ")
        with pytest.raises(ServerError, match="certificate"):
            p.raw("app")  # that name is not app's


def test_without_a_certificate_the_server_refuses(asking):
    settings = with_certificate(asking, "pgweir")
    settings = {name: value for name, value in settings.items()
                if name not in ("server_tls_cert_file", "server_tls_key_file")}
    with asking.pgweir(settings=settings) as p, pytest.raises(ServerError, match="certificate"):
        p.raw()


def test_reload_takes_a_new_certificate_towards_servers(asking):
    """The files are the same: connections that are there stay, new ones have the new one."""
    with asking.pgweir(settings=with_certificate(asking, "pgweir")) as p:
        with p.raw() as client, p.raw() as new:
            first = client.value(CERTIFICATE_OF)
            client.query("BEGIN").check()
            assert client.value(CERTIFICATE_OF) == first
            with_certificate(asking, "pgweir")
            assert new.value(CERTIFICATE_OF) == first, "not read again yet"
            p.admin("RELOAD")
            p.admin("RECONNECT")
            second = new.value(CERTIFICATE_OF)
            assert second.startswith("/CN=pgweir ") and second != first
            assert client.value(CERTIFICATE_OF) == first, "its transaction goes on"
            client.query("COMMIT").check()
            assert client.value(CERTIFICATE_OF) == second

            p.reload(**with_certificate(asking, "stranger"))
            p.admin("RECONNECT")
            assert new.query(CERTIFICATE_OF).sqlstate
            p.reload(**with_certificate(asking, "pgweir"))
            assert new.value(CERTIFICATE_OF).startswith("/CN=pgweir ")


def test_a_certificate_without_its_key_changes_nothing(asking):
    with asking.pgweir(settings=with_certificate(asking, "pgweir")) as p, p.raw() as client:
        other = asking.cluster.authority.issue("of-another", "pgweir")
        with pytest.raises(ServerError, match="server_tls|key"):
            p.reload(server_tls_cert_file=other[0])
        p.admin("RECONNECT")
        assert client.value(CERTIFICATE_OF).startswith("/CN=pgweir ")


# --- channel binding ---


@pytest.mark.parametrize("key, digest", [("rsa:2048", "sha256"), ("rsa:2048", "sha384"),
                                         ("ec", "sha512")])
def test_client_binds_its_proof_to_our_certificate(site, authority, key, digest):
    """libpq hashes the certificate with the hash of its signature."""
    cert, key = authority.issue(f"bound-{key[:2]}-{digest}", key=key, digest=digest)
    settings = {"client_tls_sslmode": "allow", "client_tls_cert_file": cert,
                "client_tls_key_file": key}
    with site.pgweir(settings=settings) as p:
        for user in ("app", "md5user"):
            p.connect(user, sslmode="require", channel_binding="require").close()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            p.connect(sslmode="require", channel_binding="require", password="wrong")
        with pytest.raises(psycopg2.OperationalError, match="channel binding"):
            p.connect(sslmode="disable", channel_binding="require")


def sasl(client, user, mechanism, proof, password=True):
    """A login by hand: the mechanisms offered, and the messages after them."""
    client.send(pgwire.startup({"user": user, "database": "app"}))
    offered = client.read_message().body[4:].split(b"\0")
    first = proof.first().encode()
    client.send(pgwire.msg("p", pgwire.cstr(mechanism), pgwire.i32(len(first)), first))
    m = client.read_message()
    if m.kind == "R" and password:
        client.send(pgwire.msg("p", proof.final(m.body[4:].decode()).encode()))
        m = client.read_message()
    return [name.decode() for name in offered if name], m


def over_tls(pooler, authority):
    client = RawClient(pooler.port)
    return client.request_tls(ssl.create_default_context(cafile=authority.cert), "localhost")


PLUS = "SCRAM-SHA-256-PLUS"
BIND = "p=tls-server-end-point,,"


@pytest.mark.parametrize("user", ["app", "nobody"])
def test_a_downgrade_is_refused(pooler, authority, user):
    """'y': the client could, and was told that we cannot. Somebody took PLUS off the list."""
    with over_tls(pooler, authority) as client:
        proof = ClientProof(pooler.passwords.get(user, "x"), gs2="y,,")
        offered, m = sasl(client, user, "SCRAM-SHA-256", proof)
        assert offered == [PLUS, "SCRAM-SHA-256"]
        assert m.kind == "E" and m.fields()["C"] == "28000"
    with over_tls(pooler, authority) as client:  # 'n': it cannot
        client.login("app", pooler.passwords["app"], "app")


@pytest.mark.parametrize("binding", [b"", b"\0" * 32, b"x" * 64, b"x" * 500])
def test_a_wrong_binding_is_refused(pooler, authority, binding):
    with over_tls(pooler, authority) as client:
        proof = ClientProof(pooler.passwords["app"], gs2=BIND, binding=binding)
        _, m = sasl(client, "app", PLUS, proof)
        assert m.kind == "E" and m.fields()["S"] == "FATAL"
    with pooler.raw() as other:
        assert other.value("SELECT 1") == "1"


def test_the_right_binding_is_taken_once(pooler, authority, files):
    der = ssl.PEM_cert_to_DER_cert(open(files["client_tls_cert_file"], encoding="ascii").read())
    for user, expected in (("app", "R"), ("nobody", "E")):
        with over_tls(pooler, authority) as client:
            proof = ClientProof(pooler.passwords["app"], gs2=BIND,
                                binding=hashlib.sha256(der).digest())
            _, m = sasl(client, user, PLUS, proof)
            assert m.kind == expected
            if expected == "R":
                proof.check(m.body[4:].decode())


@pytest.mark.parametrize("gs2, mechanism", [(BIND, PLUS), (BIND, "SCRAM-SHA-256"),
                                            ("n,,", PLUS), ("p=tls-unique,,", PLUS)])
def test_what_was_not_offered_is_refused(pooler, gs2, mechanism):
    """Without TLS there is no certificate to bind to."""
    with RawClient(pooler.port) as client:
        proof = ClientProof(pooler.passwords["app"], gs2=gs2)
        offered, m = sasl(client, "app", mechanism, proof)
        assert offered == ["SCRAM-SHA-256"]
        assert m.kind == "E" and m.fields()["C"] == "28000"
    with RawClient(pooler.port) as client:  # 'y' is true then
        _, m = sasl(client, "app", "SCRAM-SHA-256", ClientProof(pooler.passwords["app"], "y,,"))
        assert m.kind == "R"


def test_logins_to_servers_are_bound(site, superuser):
    """libpq's words: with `require` nothing but SCRAM-SHA-256-PLUS will do."""
    verifier = superuser("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
    settings = {"server_tls_sslmode": "require", "server_channel_binding": "require",
                "query_wait_timeout": 5}
    with site.pgweir_routed(settings=settings, secrets={"app": verifier}) as p:
        with p.raw() as client:  # with the keys that its own login has taught
            assert client.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t"
        p.wait_show("NODES", lambda row: row["role"] == "replica")  # and so are the monitor's
        for user in ("md5user", "trustuser"):
            with pytest.raises(ServerError, match="server_channel_binding"):
                p.raw(user)


def test_binding_without_tls_is_a_wrong_configuration(site):
    p = site.pgweir(settings={"server_channel_binding": "require"})
    status, told = p.check_config()
    assert status == 1 and "server_channel_binding" in told


@pytest.mark.parametrize("binding, works", [("prefer", False), ("disable", True)])
def test_a_middleman_is_noticed_by_the_server(site, authority, binding, works):
    """It has a certificate that we accept, and speaks TLS with both sides."""
    with Middleman(site.cluster.primary.port, authority) as middleman:
        settings = {"server_tls_sslmode": "require", "server_channel_binding": binding,
                    "query_wait_timeout": 5}
        databases = {"app": f"host=127.0.0.1 port={middleman.port} dbname=app"}
        with site.pgweir(databases, settings=settings) as p:
            with RawClient(p.port) as client:
                try:
                    client.login("app", p.passwords["app"], "app")
                    got = client.query("SELECT 1").sqlstate is None
                except ServerError as error:
                    assert "channel binding" in str(error)
                    got = False
        assert got == works
