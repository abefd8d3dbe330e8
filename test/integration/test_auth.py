"""Who is let in, by which proof, and with what the daemon itself logs in to servers."""
import hashlib
import statistics
import time

import pgwire
import pytest
import scram
from pgwire import msg
from rawclient import RawClient, ServerError


def start(site, auth_type, **options):
    return site.pgweir(settings={"auth_type": auth_type, **options.pop("settings", {})},
                       **options)


def refused(pooler, user="app", password="wrong"):
    with RawClient(pooler.port) as client, pytest.raises(ServerError) as error:
        client.login(user, password, "app")
    return error.value


SECRETS = {"plain": lambda user, password: password,
           "md5": scram.md5_secret,
           "scram": lambda user, password: scram.verifier(password)}


@pytest.mark.parametrize("auth_type, secret", [
    ("md5", "plain"), ("md5", "md5"), ("md5", "scram"), ("scram-sha-256", "plain"),
    ("scram-sha-256", "scram")])
def test_proofs_by_kind_of_entry(site, auth_type, secret):
    databases = {"app": site.app_on([site.cluster.primary])["app"]
                 + " user=app password=app-secret"}
    with start(site, auth_type, databases=databases,
               secrets={"app": SECRETS[secret]("app", "app-secret")}) as p:
        with p.raw() as client:
            assert client.value("SELECT current_user") == "app"
        assert refused(p).sqlstate == "28P01"
        assert refused(p, password="").sqlstate == "28P01"


def test_md5_entry_cannot_prove_scram(site):
    secrets = {"app": scram.md5_secret("app", "app-secret")}
    with start(site, "scram-sha-256", secrets=secrets) as p:
        assert refused(p, password="app-secret").sqlstate == "28P01"


def iterations_asked(pooler, user):
    """Of the server's first message."""
    with RawClient(pooler.port) as client:
        client.send(pgwire.startup({"user": user, "database": "app"}))
        assert client.read_message().kind == "R"
        first = scram.ClientProof("").first().encode()
        client.send(msg("p", pgwire.cstr("SCRAM-SHA-256"), pgwire.i32(len(first)), first))
        return int(scram.attributes(client.read_message().body[4:].decode())["i"])


def test_scram_iterations_are_those_of_entries_without_a_verifier(site):
    """And of those who are unknown, who look the same; a verifier has its own."""
    with start(site, "scram-sha-256") as p:
        assert iterations_asked(p, "app") == iterations_asked(p, "nobody") == 4096
        p.secrets["other"] = scram.verifier("other-secret", 4242)
        p.reload(scram_iterations=5001)
        assert [iterations_asked(p, user) for user in ("app", "other")] == [5001, 4242]
        assert iterations_asked(p, "nobody") in (5001, 4242)
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"


def test_trust_asks_nothing_but_knows_its_users(site):
    with start(site, "trust") as p:
        with RawClient(p.port) as client:
            client.login("app", None, "app")
            assert client.value("SELECT 1") == "1"
        assert refused(p, user="stranger").sqlstate in ("28P01", "28000")


@pytest.mark.parametrize("user", ["plainuser", "md5user", "app", "trustuser"])
def test_login_to_servers_by_their_method(site, user):
    """password, md5, scram-sha-256 and trust in PostgreSQL's pg_hba.conf, from a plain entry."""
    with start(site, "scram-sha-256") as p, p.raw(user, "app") as client:
        assert client.value("SELECT current_user") == user


def test_md5_entry_serves_a_server_that_asks_for_md5(site):
    secrets = {"md5user": scram.md5_secret("md5user", site.passwords["md5user"])}
    with start(site, "md5", secrets=secrets) as p:
        with p.raw("md5user", "app") as client:
            assert client.value("SELECT current_user") == "md5user"


def test_learned_scram_keys_serve_the_server(site, superuser):
    """The auth_file holds the server's own verifier; the client's proof gives the keys."""
    verifier = superuser("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
    with start(site, "scram-sha-256", secrets={"app": verifier}) as p:
        for _ in range(2):
            with p.raw() as client:
                assert client.value("SELECT current_user") == "app"
            p.admin("RECONNECT app")


def test_verifier_of_another_salt_is_refused_with_an_explanation(site):
    with start(site, "scram-sha-256", settings={"query_wait_timeout": 3},
               secrets={"app": scram.verifier("app-secret")}) as p:
        with pytest.raises(ServerError):
            with p.raw() as client:
                client.query("SELECT 1").check()
        assert "verifier" in p.log_text()


def test_password_of_the_database_entry_serves_any_client(site):
    databases = {"app": site.app_on([site.cluster.primary])["app"]
                 + " user=app password=app-secret"}
    with start(site, "scram-sha-256", databases=databases) as p, \
            p.raw("other", "app") as client:
        assert client.value("SELECT current_user") == "app"


def test_unknown_user_and_wrong_password_give_the_same_bytes(site):
    def transcript(pooler, user):
        """What is seen on the wire, with what is random in any case left out."""
        with RawClient(pooler.port) as client:
            client.send(pgwire.startup({"user": user, "database": "app"}))
            seen = [client.read_message().raw()]
            proof = scram.ClientProof("wrong")
            first = proof.first().encode()
            client.send(msg("p", b"SCRAM-SHA-256\0", pgwire.i32(len(first)), first))
            challenge = client.read_message()
            values = scram.attributes(challenge.body[4:].decode())
            seen.append((challenge.kind, len(challenge.body), values["i"], len(values["r"]),
                         len(values["s"])))
            client.send(msg("p", proof.final(challenge.body[4:].decode()).encode()))
            seen += [m.raw().replace(user.encode(), b"USER") for m in client.wait_closed()]
            return seen, values["s"]

    with start(site, "scram-sha-256") as p:
        known, _ = transcript(p, "app")
        unknown, salt = transcript(p, "xxx")
        assert known == unknown
        assert transcript(p, "xxx")[1] == salt, "the mock salt is stable"
        assert transcript(p, "yyy")[1] != salt


def test_md5_unknown_user_and_wrong_password_give_the_same_bytes(site):
    def transcript(pooler, user):
        with RawClient(pooler.port) as client:
            client.send(pgwire.startup({"user": user, "database": "app"}))
            request = client.read_message()
            client.send(msg("p", b"md5" + hashlib.md5(b"x").hexdigest().encode() + b"\0"))
            return [(request.kind, request.body[:4])] + [
                m.raw().replace(user.encode(), b"USER") for m in client.wait_closed()]
    with start(site, "md5") as p:
        assert transcript(p, "app") == transcript(p, "xxx")


def test_unknown_user_and_wrong_password_take_the_same_time(site):
    def seconds(pooler, user):
        began = time.monotonic()
        refused(pooler, user)
        return time.monotonic() - began
    with start(site, "scram-sha-256") as p:
        pairs = [(seconds(p, "app"), seconds(p, "xxx")) for _ in range(15)]
        known, unknown = (statistics.median(column) for column in zip(*pairs))
        assert abs(known - unknown) < 0.25 * max(known, unknown) + 0.01


def test_user_named_in_lists_of_the_console_is_authenticated_too(site):
    with start(site, "scram-sha-256") as p:
        with RawClient(p.port) as client, pytest.raises(ServerError) as error:
            client.login("admin", "wrong", "pgweir")
        assert error.value.sqlstate == "28P01"


def test_a_user_of_another_case_is_another_user_on_the_console(site):
    passwords = {"ADMIN": "other", "Stats": "another"}
    with start(site, "scram-sha-256", passwords=passwords) as p:
        for user, password in passwords.items():
            with RawClient(p.port) as client, pytest.raises(ServerError) as error:
                client.login(user, password, "pgweir")
            assert error.value.sqlstate == "42501"


def test_user_without_rights_is_kept_from_the_console(site):
    with start(site, "scram-sha-256") as p:
        with pytest.raises(ServerError):
            p.admin("SHOW POOLS", user="app")


@pytest.mark.parametrize("length", [1, 100, 127, 128, 1000, 1023])
def test_passwords_up_to_the_bound(site, length):
    passwords = {"longer": "p" * length}
    databases = {"app": site.app_on([site.cluster.primary])["app"]
                 + " user=app password=app-secret"}
    with start(site, "scram-sha-256", passwords=passwords, databases=databases) as p:
        with p.raw("longer", "app") as client:
            assert client.value("SELECT 1") == "1"
        assert refused(p, "longer", "p" * (length + 1)).sqlstate == "28P01"


@pytest.mark.parametrize("length", [1024, 1025, 8000])
def test_longer_passwords_are_refused_at_start(site, length):
    with pytest.raises(RuntimeError, match="longer"):
        start(site, "scram-sha-256", passwords={"longer": "p" * length}).start()


@pytest.mark.parametrize("length", [1023, 1024, 1025, 9000])
def test_over_long_cleartext_password_is_just_wrong(site, length):
    with start(site, "md5") as p:
        assert refused(p, password="x" * length).sqlstate == "28P01"
        with RawClient(p.port) as client:
            client.send(pgwire.startup({"user": "app", "database": "app"}))
            client.read_message()
            client.send(msg("p", b"x" * length + b"\0"))
            assert all(m.kind == "E" for m in client.wait_closed())


def test_user_names_of_any_length(site):
    with start(site, "scram-sha-256") as p:
        for length in (1, 63, 64, 127, 128, 129, 1000, 5000):
            with RawClient(p.port) as client, pytest.raises((ServerError, pgwire.Closed)):
                client.login("u" * length, "wrong", "app")
        with p.raw() as other:
            assert other.value("SELECT 1") == "1"


def test_password_is_changed_by_reload(site):
    with start(site, "scram-sha-256") as p:
        p.databases["app"] += " user=app password=app-secret"  # PostgreSQL keeps the old one
        p.reload()
        keeps = p.raw()
        p.secrets["app"] = "new-secret"
        p.reload()
        assert refused(p, password="app-secret").sqlstate == "28P01"
        assert keeps.value("SELECT 1") == "1"
        with RawClient(p.port) as client:
            client.login("app", "new-secret", "app")


def test_no_secret_appears_in_the_log_or_on_the_console(site):
    with site.pgweir(args=["-v", "-v"]) as p:
        with p.raw() as client:
            client.query("SELECT 1").check()
        refused(p, password="guessed-secret")
        shown = str([p.show(what) for what in ("CONFIG", "DATABASES", "USERS", "CLIENTS")])
        for secret in (*p.passwords.values(), "guessed-secret"):
            assert secret not in p.log_text() and secret not in shown


@pytest.mark.parametrize("password, same_as", [
    ("\u2168\u00a0x\u00ad", "IX x"), ("e\u0301\ufb01", "\u00e9fi"), ("\u00a0\u0221", None)],
    ids=["replaced", "composed", "taken as it is"])
def test_passwords_are_prepared_as_postgresql_does(site, superuser, password, same_as):
    """SASLprep: of the entry, for the client's proof, and of the same towards the server."""
    superuser(f"CREATE ROLE prepared LOGIN PASSWORD '{password}'")
    try:
        with start(site, "scram-sha-256", passwords={"prepared": password}) as p:
            conn = p.connect("prepared")  # libpq prepares it, too
            conn.cursor().execute("SELECT 1")
            conn.close()
            with RawClient(p.port) as client:  # this one prepares nothing
                client.login("prepared", same_as or password, "app")
                assert client.value("SELECT current_user") == "prepared"
            if same_as:
                assert refused(p, user="prepared", password=password).sqlstate == "28P01"
    finally:
        superuser("DROP ROLE prepared")


def server_ids(p):
    return {row["id"] for row in p.show("SERVERS")}


@pytest.mark.parametrize("change", ["user", "password", "auth_file", "timezone"])
def test_servers_with_another_login_are_retired_by_reload(site, superuser, change):
    """A client goes on, on a server that has logged in as the configuration says now."""
    entry = site.app_on([site.cluster.primary])["app"]
    own = " user=app password=app-secret" if change != "auth_file" else ""
    with site.pgweir({"app": entry + own}, settings={"default_pool_size": 1}) as p:
        with p.raw("app") as client, p.raw("app") as holder:
            assert client.value("SELECT current_user") == "app"
            before = server_ids(p)
            holder.query("BEGIN; SELECT 1").check()
            try:
                if change == "user":
                    p.databases["app"] = f"{entry} user=other password=other-secret"
                elif change == "timezone":
                    p.databases["app"] = f"{entry}{own} timezone=Asia/Tokyo"
                else:
                    superuser("ALTER ROLE app PASSWORD 'changed'")
                    if change == "password":
                        p.databases["app"] = f"{entry} user=app password=changed"
                    else:
                        p.secrets["app"] = "changed"
                p.reload()
                assert server_ids(p) == before, "the one in use is kept until it is released"
                holder.query("COMMIT").check()
                user = "other" if change == "user" else "app"
                assert client.value("SELECT current_user") == user
                if change == "timezone":
                    assert client.value("SHOW timezone") == "Asia/Tokyo"
                assert not server_ids(p) & before
            finally:
                superuser("ALTER ROLE app PASSWORD 'app-secret'")


def test_reload_without_a_new_login_keeps_the_servers(site):
    with site.pgweir() as p:
        with p.raw() as client:
            client.query("SELECT 1").check()
            before = server_ids(p)
            p.secrets["other"] = "changed"
            p.reload(query_wait_timeout=77)
            client.query("SELECT 1").check()
            assert server_ids(p) == before


def test_new_verifier_keeps_the_servers(site, superuser):
    """None could be opened with it before the user has logged in again."""
    verifier = superuser("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
    with site.pgweir(secrets={"app": verifier}) as p:
        with p.raw() as client:
            client.query("SELECT 1").check()
            before = server_ids(p)
            p.secrets["app"] = scram.verifier("another")
            p.reload()
            assert client.value("SELECT 1") == "1"
            assert server_ids(p) == before
