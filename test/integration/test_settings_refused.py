"""What goes ahead of a unit is refused: then the unit does not run, and its client reads why."""
import os
import signal

import pgwire
import pytest
from tools import proc

NOTE = "INSERT INTO identity.noted VALUES (current_user, current_setting('search_path'))"
LARGE = NOTE + " --" + 70_000 * "x"
COPY = "COPY identity.copied (t) FROM STDIN"


@pytest.fixture(scope="module")
def roles(site):
    site.cluster.primary.sql(
        "CREATE ROLE limited; GRANT limited TO app; CREATE SCHEMA identity;"
        "CREATE TABLE identity.noted (who text, path text);"
        "CREATE TABLE identity.copied (who text DEFAULT current_user, t text);"
        "GRANT ALL ON SCHEMA identity TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA identity TO PUBLIC",
        "app")
    yield
    site.cluster.primary.sql("DROP SCHEMA identity CASCADE; DROP ROLE IF EXISTS limited", "app")


@pytest.fixture
def pooler(site, roles, superuser):
    superuser("GRANT limited TO app; TRUNCATE identity.noted, identity.copied")
    databases = site.app_on([site.cluster.primary])
    with site.pgweir(databases, settings={"default_pool_size": 2, "workers": 1,
                                          "max_unit_size": "64kB"}) as p:
        yield p


@pytest.fixture
def refused(pooler, superuser):
    """A client of another role, which has been taken from it; its server has gone to another."""
    with pooler.raw() as client, pooler.raw() as other:
        client.query("SET search_path = public, pg_catalog").check()
        client.query("SET ROLE limited").check()
        client.query(NOTE).check()
        superuser("REVOKE limited FROM app")
        other.query("BEGIN").check()
        other.query("SELECT 1").check()
        yield client
        other.query("ROLLBACK").check()


def noted(superuser):
    return superuser("SELECT string_agg(who || ':' || path, ' ') FROM identity.noted").strip()


ONCE = "limited:public, pg_catalog"


def copy_in(client):
    """Its data right behind it, as a driver that does not wait sends it."""
    client.send(pgwire.query(COPY) + pgwire.copy_data(b"1\n") + pgwire.msg("c"))
    return client.result()


WRITES = {
    "simple": lambda c: c.query(NOTE), "extended": lambda c: c.prepared(NOTE),
    "named": lambda c: c.prepared(NOTE, name="noting"),
    "stream": lambda c: c.query(LARGE), "extended stream": lambda c: c.prepared(LARGE),
    "transaction in one": lambda c: c.query(f"BEGIN; {NOTE}; COMMIT"),
    "begins with an end": lambda c: c.query(f"ROLLBACK; {NOTE}"), "copy": copy_in,
}


@pytest.mark.parametrize("write", list(WRITES))
def test_a_write_never_runs_as_the_login_instead_of_its_role(pooler, refused, superuser, write):
    for _ in range(2):
        result = WRITES[write](refused)
        assert (result.sqlstate, len(result.errors), result.status) == ("42501", 1, "I")
        assert "role" in str(result.errors[0])
    assert noted(superuser) == ONCE
    assert superuser("SELECT count(*) FROM identity.copied").strip() == "0"
    superuser("GRANT limited TO app")
    assert WRITES[write](refused).sqlstate is None
    assert refused.query("SELECT current_user, current_setting('search_path')").check().rows == [
        ("limited", "public, pg_catalog")]
    if write == "copy":
        assert superuser("SELECT who FROM identity.copied").strip() == "limited"
    else:
        assert noted(superuser) == f"{ONCE} {ONCE}"


def test_the_role_is_gone(pooler, refused, superuser):
    superuser("DROP ROLE limited")
    try:
        for write in ("simple", "extended", "stream"):
            assert WRITES[write](refused).sqlstate == "22023"
        assert noted(superuser) == ONCE
    finally:
        superuser("CREATE ROLE limited; GRANT limited TO app")
    assert refused.value("SELECT current_user") == "limited"


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_each_of_a_pipeline_is_refused(refused, superuser, extended):
    one = (pgwire.prepared if extended else pgwire.query)(NOTE)
    refused.send(one * 5 + pgwire.query("SELECT 1"))
    assert [refused.result().sqlstate for _ in range(6)] == 6 * ["42501"]
    assert noted(superuser) == ONCE
    superuser("GRANT limited TO app")
    refused.send(one * 5 + pgwire.query("SELECT current_user"))
    results = [refused.result().check() for _ in range(6)]
    assert results[-1].rows == [("limited",)]
    assert noted(superuser) == " ".join(6 * [ONCE])


@pytest.mark.parametrize("local", [[], ["SET LOCAL work_mem = '5MB'"], ["SAVEPOINT a"]])
def test_a_block_that_has_not_begun_fails_whole(refused, superuser, local):
    assert refused.query("BEGIN").check().status == "T"
    for sql in [*local, NOTE]:
        result = refused.query(sql)
    assert result.errors and result.status == "E"
    assert refused.query(NOTE).sqlstate == "25P02"
    assert refused.query("ROLLBACK").check().status == "I"
    assert noted(superuser) == ONCE
    superuser("GRANT limited TO app")
    for sql in ["BEGIN", *local, NOTE, "COMMIT"]:
        refused.query(sql).check()
    assert noted(superuser) == f"{ONCE} {ONCE}"


def test_the_server_that_has_refused_serves_others(pooler, refused):
    there = {r["ptr"] for r in pooler.show("SERVERS") if r["user"] == "app"}
    assert len(there) == 1
    refused.query(NOTE)
    proc.wait_until("it to be idle", lambda: [
        r["state"] for r in pooler.show("SERVERS") if r["ptr"] not in there and
        r["user"] == "app"] == ["idle"])
    new = {r["ptr"] for r in pooler.show("SERVERS") if r["user"] == "app"}
    with pooler.raw() as plain:
        for _ in range(3):
            assert plain.query("SELECT current_user, current_setting('search_path')").check().rows \
                == [("app", '"$user", public')]
            assert refused.query(NOTE).sqlstate == "42501"
    assert {r["ptr"] for r in pooler.show("SERVERS") if r["user"] == "app"} == new
    assert "settings could not be applied" in pooler.log_text()


@pytest.mark.parametrize("write", ["simple", "extended", "stream", "extended stream"])
def test_the_server_is_lost_while_they_wait(pooler, superuser, write):
    """Nothing of the unit was sent: a small one runs on another server, a large one is told."""
    with pooler.raw() as client, pooler.raw() as other:
        client.query("SET search_path = public, pg_catalog; SET ROLE limited").check()
        pid = int(other.value("SELECT pg_backend_pid()"))
        os.kill(pid, signal.SIGSTOP)
        try:
            make = pgwire.prepared if write.startswith("extended") else pgwire.query
            client.send(make(LARGE if write.endswith("stream") else NOTE))
            proc.wait_until("its settings to be on their way", lambda: [
                r["state"] for r in pooler.show("SERVERS") if r["remote_pid"] == str(pid)] == ["active"])
            superuser(f"SELECT pg_terminate_backend({pid})")
        finally:
            os.kill(pid, signal.SIGCONT)
        result = client.result()
        assert result.sqlstate == ("57P01" if write.endswith("stream") else None)
        assert result.status == "I"
        assert client.value("SELECT current_user") == "limited"
        assert noted(superuser) == ("" if write.endswith("stream") else ONCE)


def test_who_a_superuser_wants_to_be(site, roles, superuser):
    """session_authorization: its user is dropped."""
    superuser("CREATE ROLE chief_too SUPERUSER LOGIN; CREATE ROLE passing LOGIN;"
              "GRANT ALL ON SCHEMA identity TO passing; TRUNCATE identity.noted")
    superuser("ALTER ROLE app SUPERUSER")
    try:
        with site.pgweir(site.app_on([site.cluster.primary]),
                         settings={"default_pool_size": 2, "workers": 1}) as p, \
                p.raw() as client, p.raw() as other:
            client.query("SET SESSION AUTHORIZATION passing").check()
            client.query(NOTE).check()
            superuser("DROP OWNED BY passing; DROP ROLE passing")
            other.query("BEGIN").check()
            other.query("SELECT 1").check()
            for write in ("simple", "extended", "begins with an end"):
                assert WRITES[write](client).sqlstate == "22023"
            assert noted(superuser) == 'passing:"$user", public'
            superuser("CREATE ROLE passing LOGIN; GRANT ALL ON SCHEMA identity TO passing")
            client.query(NOTE).check()
            assert noted(superuser) == 'passing:"$user", public passing:"$user", public'
            other.query("ROLLBACK").check()
    finally:
        superuser("ALTER ROLE app NOSUPERUSER; DROP OWNED BY passing;"
                  "DROP ROLE passing; DROP ROLE chief_too")


def test_what_names_an_object_is_not_left_out(pooler, superuser):
    """A unit does not run with the default of a setting that cannot be set again."""
    superuser("CREATE TEXT SEARCH CONFIGURATION passing (COPY = simple)")
    with pooler.raw() as client, pooler.raw() as other:
        client.query("SET default_text_search_config = 'public.passing'").check()
        superuser("DROP TEXT SEARCH CONFIGURATION passing")
        other.query("BEGIN").check()
        other.query("SELECT 1").check()
        assert client.query(NOTE).sqlstate == "22023"
        assert noted(superuser) == ""
        other.query("ROLLBACK").check()


@pytest.mark.parametrize("write", ["simple", "extended"])
def test_a_refusal_that_nobody_expects(pooler, superuser, write):
    """The unit is sent along: its block has failed. PostgreSQL 15 on: a library owns its prefix."""
    with pooler.raw() as client, pooler.raw() as loads:
        loads.query("BEGIN").check()
        loads.query("DO LANGUAGE plpgsql 'BEGIN END'").check()
        client.query("SET plpgsql.passing = '1'").check()
        pid = client.value("SELECT pg_backend_pid()")
        loads.query("COMMIT").check()
        superuser(f"SELECT pg_terminate_backend({pid})")
        proc.wait_until("its server to be gone", lambda: [
            pid not in {r["remote_pid"] for r in pooler.show("SERVERS")}] == [True])
        assert WRITES[write](client).sqlstate == "42602"
        assert noted(superuser) == ""
