"""auth_type hba and cert: rules and maps in PostgreSQL's syntax decide who comes in, and how."""
import contextlib
import os
import pwd

import psycopg2
import pytest
from rawclient import RawClient, ServerError
from tools.certs import Authority

ADMIN = "host pgweir admin all scram-sha-256\n"


def write(p, **files):
    """The files of the rules, in the daemon's folder."""
    for name, text in files.items():
        p._write(name, text)  # pylint: disable=protected-access


@contextlib.contextmanager
def hba(site, rules, ident=None, files=None, **options):
    """A pgweir with these rules; the console's admin comes in by a rule of its own."""
    settings = {"auth_type": "hba", "auth_hba_file": "{folder}/hba", **options.pop("settings", {})}
    if ident is not None:
        settings["auth_ident_file"] = "{folder}/ident"
    p = site.pgweir(settings=settings, **options)
    write(p, hba=ADMIN + rules, ident=ident or "", **(files or {}))
    with p:
        yield p


def login(p, user="app", database="app", password=None, host="127.0.0.1", **params):
    with RawClient(p.port, host) as client:
        client.login(user, p.passwords.get(user) if password is None else password, database,
                     **params)
        return client.value("SELECT current_user")


def refused(p, *args, **kwargs):
    with pytest.raises(ServerError) as error:
        login(p, *args, **kwargs)
    return error.value


def test_the_first_rule_that_fits_decides(site):
    rules = ("host app plainuser 127.0.0.1/32 reject\n"
             "host app md5user 127.0.0.1 255.255.255.255 trust\n"
             "host app,other @names samehost scram-sha-256  # the last rule\n")
    with hba(site, rules, files={"names": "app\n\"trustuser\", /^nobody[0-9]$\n"}) as p:
        error = refused(p, "plainuser")
        assert error.sqlstate == "28000"
        assert error.fields["M"] == ('pg_hba.conf rejects connection for host "127.0.0.1", user '
                                     '"plainuser", database "app", no encryption')
        assert login(p, "md5user", password="wrong") == "md5user"
        assert login(p) == "app"
        assert refused(p, password="wrong").sqlstate == "28P01"
        assert refused(p, "nobody1", password="x").sqlstate == "28P01"  # as if it were known
        error = refused(p, "stats")
        assert error.sqlstate == "28000"
        assert error.fields["M"] == ('no pg_hba.conf entry for host "127.0.0.1", user "stats", '
                                     'database "app", no encryption')
        assert "auth_hba_file" in error.fields["H"]


def test_trust_does_not_let_in_who_is_not_listed(site):
    with hba(site, "host all all all trust\n") as p:
        assert login(p, password="") == "app"
        assert refused(p, "stranger", password="").sqlstate == "28P01"


def test_passwords_in_the_clear_and_md5(site):
    with hba(site, "host all app all password\nhost all plainuser all md5\n") as p:
        for user in ("app", "plainuser"):
            assert login(p, user) == user
            assert refused(p, user, password="wrong").sqlstate == "28P01"


@pytest.mark.parametrize("replication", ["true", "database"])
def test_rules_for_replication_do_not_open_the_console(site, replication):
    with hba(site, "host replication all all trust\n") as p:
        error = refused(p, "admin", "pgweir", password="wrong", replication=replication)
        assert error.sqlstate == "0A000"
        assert error.fields["M"] == "the admin console has no replication"
        assert refused(p, "admin", "pgweir", password="wrong").sqlstate == "28P01"


def test_rules_for_physical_replication_are_apart(site):
    with hba(site, "host all all all trust\n") as p:
        error = refused(p, replication="true")
        assert "no pg_hba.conf entry for replication connection from host" in error.fields["M"]
        write(p, hba=ADMIN + "host replication all all reject\n")
        p.admin("RELOAD")
        error = refused(p, replication="true")
        assert "pg_hba.conf rejects replication connection for host" in error.fields["M"]


def test_a_role_has_the_members_that_users_list(site):
    with hba(site, "host app +staff all trust\nhost all all all reject\n") as p:
        assert refused(p, password="").sqlstate == "28000"
        p.users["app"] = "roles=auditors,staff"
        p.reload()
        assert login(p, password="") == "app"


def test_wrong_rules_are_all_told_and_change_nothing(site):
    with hba(site, "host app app all trust\n") as p:
        assert login(p, password="") == "app"
        write(p, hba=ADMIN + "host app app all gss\nhost app app db1 md5\n")
        with p.raw("admin", "pgweir") as console:
            told = str(console.query("RELOAD").errors[0])
        assert f"{p.folder}/hba:2: method = gss" in told and f"{p.folder}/hba:3: address" in told
        assert login(p, password="") == "app"
        status, checked = p.check_config()
        assert status == 1
        assert f"{p.folder}/hba:2: method = gss" in checked and "hba:3: address = db1" in checked
        write(p, hba=ADMIN + "host app app all reject\n")
        p.admin("RELOAD")
        assert refused(p, password="").sqlstate == "28000"


@pytest.fixture(scope="module")
def authority(site):
    return Authority(f"{site.new_folder()}/tls")


@pytest.fixture(scope="module")
def tls(authority):
    cert, key = authority.issue("pgweir")
    return {"client_tls_cert_file": cert, "client_tls_key_file": key,
            "client_tls_ca_file": authority.cert, "client_tls_sslmode": "allow"}


@pytest.fixture(scope="module")
def certs(authority, site):
    """By common name; `stranger` is signed by somebody else."""
    made = {name: authority.issue(f"client-{i}", name, "DNS:client")
            for i, name in enumerate(["app", "app@example.com", "plainuser"])}
    made["stranger"] = Authority(f"{site.new_folder()}/stranger", "stranger").issue("x", "app")
    return {name: {"sslcert": cert, "sslkey": key} for name, (cert, key) in made.items()}


def enter(p, user="app", **params):
    conn = p.connect(user, **{"sslmode": "require", "sslcert": "/nowhere", **params})
    with conn.cursor() as cursor:
        cursor.execute("SELECT current_user")
        value, = cursor.fetchone()
    conn.close()
    return value


def locked_out(p, match, user="app", **params):
    with pytest.raises(psycopg2.OperationalError, match=match):
        enter(p, user, **params)


def test_tls_and_plain_connections_have_rules_of_their_own(site, tls):
    rules = "hostssl app app all scram-sha-256\nhostnossl app app all reject\n"
    with hba(site, rules, settings=tls) as p:
        assert enter(p) == "app"
        locked_out(p, "pg_hba.conf rejects connection", sslmode="disable")


def test_certificates_prove_users(site, tls, certs):
    rules = ("hostssl app app,plainuser all cert map=mail\n"
             "hostssl app stats all cert clientname=DN map=dn\n"
             "hostssl app md5user all scram-sha-256 clientcert=verify-ca\n"
             "hostssl app trustuser all trust clientcert=verify-full\n")
    ident = "mail app app\nmail /^(.*)@example\\.com$ \\1\ndn CN=plainuser stats\n"
    with hba(site, rules, ident=ident, settings=tls) as p:
        assert enter(p, **certs["app"]) == "app"
        assert enter(p, **certs["app@example.com"]) == "app"
        wrong = "certificate authentication failed for user"
        locked_out(p, wrong, **certs["plainuser"])
        locked_out(p, wrong, "plainuser", **certs["plainuser"])  # not in the map
        locked_out(p, "requires a valid client certificate")
        locked_out(p, "SSL|tls|certificate", **certs["stranger"])
        locked_out(p, wrong, "stats", **certs["app"])
        assert enter(p, "md5user", **certs["app"]) == "md5user"
        locked_out(p, "requires a valid client certificate", "md5user")
        locked_out(p, "password authentication failed", "md5user", password="wrong",
                   **certs["app"])
        locked_out(p, wrong, "trustuser", **certs["app"])


def test_auth_type_cert(site, tls, certs):
    settings = {**tls, "auth_type": "cert", "client_tls_sslmode": "verify-full",
                "unix_socket_dir": "{folder}"}
    with site.pgweir(settings=settings) as p:
        assert enter(p, password="not asked", **certs["app"]) == "app"
        locked_out(p, "certificate authentication failed", "plainuser", **certs["app"])
        locked_out(p, "SSL|certificate")
        locked_out(p, "SSL", sslmode="disable")
        assert refused(p, host=p.folder).sqlstate == "28000"  # no certificate on a unix socket


def test_auth_type_cert_needs_verified_certificates(site, tls):
    p = site.pgweir(settings={**tls, "auth_type": "cert"})
    status, told = p.check_config()
    assert status == 1 and "client_tls_sslmode = verify-full with cert" in told


def test_rules_that_ask_for_certificates_need_a_ca(site):
    p = site.pgweir(settings={"auth_type": "hba", "auth_hba_file": "{folder}/hba"})
    write(p, hba="hostssl all all all cert\n")
    status, told = p.check_config()
    assert status == 1 and f"{p.folder}/hba:1: method: expected client_tls_ca_file" in told


def test_peers_of_a_unix_socket_by_their_system_name(site):
    me = pwd.getpwuid(os.geteuid()).pw_name
    rules = "local app app peer map=me\nlocal app plainuser peer\nlocal all all reject\n"
    with hba(site, rules, ident=f"me {me} app\n",
             settings={"unix_socket_dir": "{folder}"}) as p:
        assert login(p, password="not asked", host=p.folder) == "app"
        error = refused(p, "plainuser", password="", host=p.folder)
        assert error.sqlstate == "28000"
        assert error.fields["M"] == 'Peer authentication failed for user "plainuser"'
        assert "host \"[local]\"" in refused(p, "stats", host=p.folder).fields["M"]
