"""Users whom auth_file does not list: auth_query asks PostgreSQL for their secrets."""
import concurrent.futures
import os
import statistics
import time

import pgwire
import psycopg2
import pytest
from pooler import hosts
from rawclient import RawClient, ServerError
from tools import proc

ROLES = {
    "asker": "LOGIN PASSWORD 'asker-secret'",
    "weak": "LOGIN PASSWORD 'weak-secret'",
    "stranger": "LOGIN PASSWORD 'stranger-secret'",
    "expired": "LOGIN PASSWORD 'expired-secret' VALID UNTIL '2020-01-01'",
    "current": "LOGIN PASSWORD 'current-secret' VALID UNTIL '2100-01-01'",
    "group_role": "NOLOGIN PASSWORD 'group-secret'",
    "unset": "LOGIN",
}


@pytest.fixture(scope="module", autouse=True)
def roles(site):
    sql = site.cluster.primary.sql
    for name, options in ROLES.items():
        sql(f"CREATE ROLE {name} {options}")
    sql("SET password_encryption = md5; CREATE ROLE hashed LOGIN PASSWORD 'hashed-secret'")
    sql("CREATE DATABASE elsewhere")
    sql("GRANT SELECT ON pg_authid TO asker", "app")
    site.cluster.wait_caught_up()
    yield
    sql("REVOKE SELECT ON pg_authid FROM asker", "app")
    sql("DROP DATABASE elsewhere")
    for name in [*ROLES, "hashed"]:
        sql(f"DROP ROLE {name}")


def start(site, databases=None, listed=("asker", "admin", "stats"), **options):
    """auth_file lists only these; all others have to be asked for."""
    secrets = {**site.passwords, "asker": "asker-secret"}
    settings = {"auth_user": "asker", "auth_file": "{folder}/listed.txt",
                **options.pop("settings", {})}
    if databases is None:
        databases = site.app_on([site.cluster.primary])
    pooler = site.pgweir(databases=databases, settings=settings, **options)
    path = f"{pooler.folder}/listed.txt"
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(f'"{user}" "{secrets[user]}"\n' for user in listed)
    os.chmod(path, 0o600)
    proc.give_to_service_user(path)
    return pooler


def login(pooler, user, password=None, database="app"):
    client = RawClient(pooler.port, timeout=20 * pooler.slow)
    return client.login(user, f"{user}-secret" if password is None else password, database)


def refusal(pooler, user, password=None, database="app"):
    with pytest.raises(ServerError) as error:
        login(pooler, user, password, database)
    return error.value


def queries(pooler):
    """How often PostgreSQL was asked."""
    return int(pooler.show_one("LOGINS", name="auth_query_sent")["count"])


def test_a_user_of_postgresql_comes_in_and_reaches_its_server(site):
    """The keys that the login teaches serve the login to the server."""
    with start(site) as p:
        with login(p, "stranger") as client:
            assert client.value("SELECT current_user") == "stranger"
        with psycopg2.connect(host="127.0.0.1", port=p.port, user="current", dbname="app",
                              password="current-secret") as conn, conn.cursor() as cur:
            cur.execute("SELECT current_user")
            assert cur.fetchone() == ("current",)


@pytest.mark.parametrize("auth_type", ["md5", "plain", "scram-sha-256"])
def test_each_auth_type_takes_what_was_told(site, auth_type):
    with start(site, settings={"auth_type": auth_type}) as p:
        with login(p, "stranger") as client:
            assert client.value("SELECT current_user") == "stranger"
        assert refusal(p, "stranger", "wrong").sqlstate == "28P01"
        assert refusal(p, "nobody").sqlstate == "28P01"


def test_an_md5_secret_that_was_told_serves_client_and_server(site):
    databases = site.app_on([site.cluster.primary])
    with start(site, databases, settings={"auth_type": "md5"}) as p:
        site.cluster.primary.sql("SELECT 1")
        with RawClient(p.port) as client:  # the server asks for SCRAM, so only the client's side
            client.send(pgwire.startup({"user": "hashed", "database": "app"}))
            assert client.read_message().body[:4] == pgwire.i32(5)
        assert refusal(p, "hashed", "wrong").sqlstate == "28P01"
    with start(site, databases, settings={"auth_type": "md5"},
               listed=("asker", "admin")) as p, \
            login(p, "md5user", site.passwords["md5user"]) as client:
        assert client.value("SELECT current_user") == "md5user"


@pytest.mark.parametrize("user", ["expired", "group_role", "unset", "nobody"])
@pytest.mark.parametrize("auth_type", ["md5", "scram-sha-256"])
def test_who_may_not_log_in_to_postgresql_may_not_here(site, user, auth_type):
    password = {"group_role": "group-secret"}.get(user)
    with start(site, settings={"auth_type": auth_type}) as p:
        error = refusal(p, user, password)
        assert error.sqlstate == "28P01"
        assert error.fields["M"] == f'password authentication failed for user "{user}"'


def test_auth_file_goes_first(site):
    """A user that is listed has the listed password, whatever PostgreSQL says."""
    with start(site, listed=("asker", "admin", "app")) as p:
        path = f"{p.folder}/listed.txt"
        with open(path, "a", encoding="utf-8") as f:
            f.write('"stranger" "another"\n')
        p.admin("RELOAD")
        assert refusal(p, "stranger").sqlstate == "28P01"
        assert queries(p) == 0


def test_many_logins_of_one_user_wait_for_one_query(site):
    with start(site) as p, concurrent.futures.ThreadPoolExecutor(16) as pool:
        clients = list(pool.map(lambda _: login(p, "stranger"), range(48)))
        assert all(c.value("SELECT 1") == "1" for c in clients)
        assert queries(p) == 1
        for client in clients:
            client.close()


def test_many_different_users_come_in(site, superuser):
    users = [f"many{i}" for i in range(40)]
    superuser("".join(f"CREATE ROLE {u} LOGIN PASSWORD '{u}-secret';" for u in users))
    try:
        with start(site) as p, concurrent.futures.ThreadPoolExecutor(16) as pool:
            clients = list(pool.map(lambda u: login(p, u), users))
            assert queries(p) == len(users)
            n = int(superuser("SELECT count(*) FROM pg_stat_activity"
                              " WHERE application_name = 'pgweir-auth'"))
            assert 1 <= n <= 4
            for client in clients:
                client.close()
    finally:
        superuser("".join(f"DROP ROLE {u};" for u in users))


def test_an_answer_lives_as_long_as_is_set(site):
    with start(site, settings={"auth_query_lifetime": "0"}) as p:
        for _ in range(3):
            login(p, "stranger").close()
        assert queries(p) == 3
        p.settings["auth_query_lifetime"] = "0.3"
        p.reload()
        login(p, "stranger").close()
        login(p, "stranger").close()
        assert queries(p) == 4
        time.sleep(0.4)  # the lifetime itself
        login(p, "stranger").close()
        assert queries(p) == 5


@pytest.mark.parametrize("auth_type", ["md5", "plain", "scram-sha-256"])
def test_a_password_that_was_changed_is_asked_for_again(site, superuser, auth_type):
    user, encryption = ("hashed", "md5") if auth_type == "md5" else ("stranger", "scram-sha-256")
    database = site.app_on([site.cluster.primary])["app"] + " user=app password=app-secret"
    with start(site, {"app": database}, settings={"auth_type": auth_type}) as p:
        login(p, user).close()
        superuser(f"SET password_encryption = '{encryption}';"
                  f"ALTER ROLE {user} PASSWORD 'changed'")
        try:
            time.sleep(1.1)  # a younger answer is not doubted
            if auth_type == "scram-sha-256":  # a proof holds for one verifier: the next is right
                refusal(p, user, "changed")
            login(p, user, "changed").close()
            assert refusal(p, user).sqlstate == "28P01"
        finally:
            superuser(f"SET password_encryption = '{encryption}';"
                      f"ALTER ROLE {user} PASSWORD '{user}-secret'")


def test_wrong_passwords_do_not_multiply_queries(site):
    with start(site) as p:
        for _ in range(10):
            refusal(p, "stranger", "wrong")
            refusal(p, "nobody")
        assert queries(p) <= 2 + 2 * 10 * p.slow  # at most one a second for each
        assert queries(p) < 20


def test_start_up_parameters_of_the_client_do_not_reach_the_lookup(site, superuser):
    """CVE-2025-12819: an operator in a schema of the attacker's must never be looked at."""
    superuser("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC;"
              "CREATE TABLE evil.pg_authid (rolname name, rolpassword text, rolcanlogin bool,"
              " rolvaliduntil timestamptz);"
              "INSERT INTO evil.pg_authid VALUES ('nobody', 'known', true, NULL);"
              "GRANT SELECT ON evil.pg_authid TO PUBLIC;"
              "ALTER ROLE asker SET search_path = evil")
    try:
        query = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1"
        for settings in ({}, {"auth_query": query}):
            with start(site, settings=settings) as p, RawClient(p.port) as client:
                with pytest.raises(ServerError) as error:
                    client.login("nobody", "known", "app", search_path="evil",
                                 options="-c search_path=evil")
                assert error.value.sqlstate == "28P01"
    finally:
        superuser("DROP SCHEMA evil CASCADE; ALTER ROLE asker RESET search_path")


def test_own_queries_functions_and_databases(site, superuser):
    superuser("CREATE SCHEMA lookup; GRANT USAGE ON SCHEMA lookup TO asker;"
              "CREATE FUNCTION lookup.secret(text, OUT uname text, OUT phash text) RETURNS record"
              " LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS"
              " 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1'")
    try:
        primary = hosts([site.cluster.primary])
        databases = {
            "app": f"{primary} auth_query='SELECT * FROM lookup.secret($1)'",
            "there": f"{primary} dbname=elsewhere auth_dbname=app",
            "refused": f"{primary} dbname=elsewhere",
            "none": f"{primary} dbname=app auth_dbname=no_such_entry",
        }
        with start(site, databases) as p:
            with login(p, "stranger") as client:
                assert client.value("SELECT current_database()") == "app"
            assert refusal(p, "nobody").sqlstate == "28P01"  # a row of NULLs
            with login(p, "stranger", database="there") as client:
                assert client.value("SELECT current_database()") == "elsewhere"
            error = refusal(p, "stranger", database="refused")  # no right on pg_authid there
            assert error.sqlstate == "28000" and "42501" in error.fields["D"]
            assert "auth_query" in error.fields["H"] and "auth_user" in error.fields["H"]
            assert "permission denied" in p.log_text()
            assert "auth_dbname" in refusal(p, "stranger", database="none").fields["H"]
    finally:
        superuser("DROP SCHEMA lookup CASCADE")


def test_the_fallback_database_and_the_console(site):
    databases = {"*": hosts([site.cluster.primary])}
    settings = {"auth_dbname": "app", "admin_users": "admin,stranger"}
    with start(site, databases, settings=settings) as p:
        for database in ("app", "elsewhere"):
            with login(p, "stranger", database=database) as client:
                assert client.value("SELECT current_database()") == database
        with login(p, "stranger", database="pgweir") as console:
            console.query("SHOW VERSION").check()
        assert queries(p) == 1
        assert refusal(p, "stranger", "wrong", "pgweir").sqlstate == "28P01"


@pytest.mark.parametrize("query, words", [
    ("SELECT 'x' || $1", "two columns"),
    ("SELECT no_such_column FROM pg_authid WHERE rolname = $1", "no_such_column"),
    ("SELECT $1::text, rolpassword FROM pg_authid", "several rows"),
    ("SELECT $1::text, repeat('x', 2000)", "1023"),
    ("SELECT pg_sleep(60)::text, $1::text", "auth_query failed"),
], ids=["columns", "error", "rows", "length", "slow"])
def test_a_lookup_that_fails_says_so(site, query, words):
    with start(site, settings={"auth_query": query, "auth_query_timeout": "1"}) as p:
        error = refusal(p, "stranger")
        assert error.sqlstate in ("28000", "57P03")
        assert "auth_query" in error.fields["H"]
        assert words in p.log_text()


def test_a_malformed_verifier_is_refused(site):
    query = "SELECT $1::text, 'SCRAM-SHA-256$4096:x$y:z'"
    with start(site, settings={"auth_query": query}) as p:
        assert refusal(p, "stranger").sqlstate == "28000"


def test_wrong_password_of_auth_user_is_told(site):
    with start(site, listed=("admin",), settings={"auth_query_timeout": "1"}) as p:
        assert refusal(p, "stranger").sqlstate in ("28000", "57P03")
        with open(f"{p.folder}/listed.txt", "a", encoding="utf-8") as f:
            f.write('"asker" "wrong"\n')
        p.admin("RELOAD")
        error = refusal(p, "stranger")
        assert error.sqlstate == "28000" and "28P01" in error.fields["D"]
        began = time.monotonic()
        assert refusal(p, "current").sqlstate == "28000"  # by the refusal that is known
        assert time.monotonic() - began < 1 * p.slow


def test_a_query_without_its_parameter_is_refused_at_start(site):
    with pytest.raises(RuntimeError, match="auth_query"):
        start(site, settings={"auth_query": "SELECT 1, 2"}).start()


def test_trust_asks_whether_the_user_exists(site):
    with start(site, settings={"auth_type": "trust"}) as p:
        assert refusal(p, "nobody").sqlstate in ("28000", "28P01")
        with RawClient(p.port) as client:
            client.login("trustuser", None, "app")
            assert client.value("SELECT current_user") == "trustuser"


def test_lookups_go_to_a_replica_while_the_primary_is_gone(site):
    """… and to the primary while it is there."""
    dead = f"host=127.0.0.1,127.0.0.1 port={proc.free_port()},{site.cluster.standbys[0].port}"
    settings = {"auth_dbname": "app", "admin_users": "admin,stranger"}
    with start(site, {"app": f"{dead} dbname=app routing=on"}, settings=settings) as p:
        login(p, "stranger", database="pgweir").close()
    with start(site, site.app_on(site.cluster.nodes),
               settings={"auth_query_lifetime": "0"}) as p:
        def primary_is_asked():
            login(p, "stranger").close()
            return site.cluster.primary.sql("SELECT count(*) FROM pg_stat_activity"
                                            " WHERE application_name = 'pgweir-auth'") == "1"
        proc.wait_until("the primary to be asked", primary_is_asked, 10 * p.slow)


def test_a_server_connection_that_was_lost_is_made_again(site, superuser):
    with start(site, settings={"auth_query_lifetime": "0"}) as p:
        for _ in range(2):
            login(p, "stranger").close()
            superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                      " WHERE application_name = 'pgweir-auth'")


def test_logins_that_hang_in_a_lookup_hold_up_nobody(site, superuser):
    query = "SELECT rolname, rolpassword FROM pg_authid, pg_sleep(3) WHERE rolname = $1"
    with start(site, listed=("asker", "admin", "app"), settings={"auth_query": query}) as p:
        with RawClient(p.port) as hung:
            hung.send(pgwire.startup({"user": "stranger", "database": "app"}))
            p.wait_show("LOGINS", lambda row: row["count"] != "0", name="auth_query_sent")
            began = time.monotonic()
            for _ in range(5):
                login(p, "app", site.passwords["app"]).close()
            assert time.monotonic() - began < 2
            assert superuser("SELECT count(*) FROM pg_stat_activity WHERE"
                             " application_name = 'pgweir-auth' AND state = 'active'") == "1"


def test_unknown_user_and_wrong_password_look_and_last_alike(site):
    def seconds(pooler, user):
        began = time.monotonic()
        refusal(pooler, user, "wrong")
        return time.monotonic() - began
    with start(site, settings={"auth_query_lifetime": "0"}) as p:
        pairs = [(seconds(p, "stranger"), seconds(p, "nobody")) for _ in range(15)]
        known, unknown = (statistics.median(column) for column in zip(*pairs))
        assert abs(known - unknown) < 0.25 * max(known, unknown) + 0.01


def test_pgbouncer_ini_with_auth_query_runs_unchanged(site):
    """As its manual has it: [pgbouncer], auth_type md5, a query of pg_shadow."""
    query = "SELECT usename, passwd FROM pg_shadow WHERE usename=$1"
    superuser = site.cluster.primary.sql
    superuser("GRANT SELECT ON pg_shadow TO asker", "app")
    try:
        with start(site, {"app": hosts([site.cluster.primary]) + " auth_user=asker"},
                   settings={"auth_user": None, "auth_query": query, "auth_type": "md5"}) as p, \
                login(p, "stranger") as client:
            assert client.value("SELECT current_user") == "stranger"
    finally:
        superuser("REVOKE SELECT ON pg_shadow FROM asker", "app")
