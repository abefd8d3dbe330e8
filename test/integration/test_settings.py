"""Settings belong to the client, whichever server it uses."""
import random
import time

import pgwire
import pytest
from rawclient import RawClient, ServerError
from test_consistency import run_threads

# name, a value to set, how SHOW tells it
SETTINGS = [
    ("search_path", "red, public", "red, public"), ("work_mem", "'5MB'", "5MB"),
    ("timezone", "'Asia/Tokyo'", "Asia/Tokyo"), ("datestyle", "'German'", "German, DMY"),
    ("statement_timeout", "'12s'", "12s"), ("application_name", "'it''s me'", "it's me"),
    ("extra_float_digits", "-3", "-3"), ("client_encoding", "LATIN1", "LATIN1"),
    ("default_transaction_isolation", "'repeatable read'", "repeatable read"),
    ("intervalstyle", "iso_8601", "iso_8601"), ("bytea_output", "escape", "escape"),
    ("standard_conforming_strings", "off", "off"), ("lock_timeout", "7000", "7s"),
    ("default_transaction_read_only", "on", "on"), ("enable_seqscan", "off", "off"),
    ("client_min_messages", "error", "error"), ("geqo", "false", "off"),
]


@pytest.fixture(scope="module", params=[1, 2])
def pooler(site, request):
    with site.pgweir(settings={"default_pool_size": request.param}) as p:
        yield p


@pytest.fixture
def two(pooler):
    """Two clients that share the pool's servers."""
    with pooler.raw() as one, pooler.raw() as other:
        yield one, other


def show(client, name):
    return client.value(f"SHOW {name}")


@pytest.mark.parametrize("name, value, shown", SETTINGS, ids=[s[0] for s in SETTINGS])
def test_set_stays_with_its_client(two, name, value, shown):
    one, other = two
    default = show(other, name)
    assert default != shown
    one.query(f"SET {name} = {value}").check()
    for _ in range(3):
        assert show(one, name) == shown
        assert show(other, name) == default
    one.query(f"RESET {name}").check()
    assert show(one, name) == default


@pytest.mark.parametrize("form, name, shown", [
    ("SET work_mem TO '6MB'", "work_mem", "6MB"),
    ("SET SESSION work_mem = '6MB'", "work_mem", "6MB"),
    ("set  /* c */ WORK_MEM = 6144 -- end", "work_mem", "6MB"),
    ("SET \"work_mem\" = '6MB'", "work_mem", "6MB"),
    ("SET TIME ZONE 'Asia/Tokyo'", "timezone", "Asia/Tokyo"),
    ("SET TIME ZONE 3", "timezone", "<+03>-03"),
    ("SET NAMES 'LATIN1'", "client_encoding", "LATIN1"),
    ("SET search_path TO 'a b', c", "search_path", '"a b", c'),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "default_transaction_read_only",
     "on"),
    ("SET work_mem = '6MB'; SET lock_timeout = 5", "lock_timeout", "5ms"),
])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_every_form_of_set(two, form, name, shown, extended):
    one, other = two
    default = show(other, name)
    if extended and ";" in form:
        form = form.split(";")[1]
    (one.prepared(form) if extended else one.query(form)).check()
    for _ in range(2):
        assert show(other, name) == default
        assert show(one, name) == shown


def test_set_to_default_and_reset_all(two):
    one, other = two
    one.query("SET work_mem = '6MB'; SET geqo = off").check()
    one.query("SET work_mem TO DEFAULT").check()
    assert show(one, "work_mem") == show(other, "work_mem") and show(one, "geqo") == "off"
    one.query("RESET ALL").check()
    assert show(one, "geqo") == "on"


def test_failed_set_changes_nothing(two):
    one, other = two
    one.query("SET work_mem = '6MB'").check()
    assert one.query("SET work_mem = 'much'").sqlstate == "22023"
    assert one.query("SET no_such_setting = 1").sqlstate == "42704"
    show(other, "work_mem")
    assert show(one, "work_mem") == "6MB"


def test_set_in_a_message_that_fails_is_undone(two):
    one, other = two
    assert one.query("SET work_mem = '6MB'; SELECT 1/0").sqlstate == "22012"
    show(other, "work_mem")
    assert show(one, "work_mem") == "4MB"


def test_rollback_undoes_and_commit_keeps(two):
    one, other = two
    one.query("BEGIN").check()
    one.query("SET work_mem = '6MB'").check()
    assert show(one, "work_mem") == "6MB"
    one.query("ROLLBACK").check()
    assert show(other, "work_mem") == show(one, "work_mem") == "4MB"
    one.query("BEGIN; SET work_mem = '6MB'").check()
    one.query("COMMIT").check()
    assert show(other, "work_mem") == "4MB"
    assert show(one, "work_mem") == "6MB"


@pytest.mark.parametrize("end, shown", [
    (["ROLLBACK"], "4MB"), (["COMMIT"], "6MB"), (["SELECT 1/0", "COMMIT"], "4MB"),
    (["SELECT 1/0", "ROLLBACK"], "4MB")], ids=["rollback", "commit", "failed", "failed rollback"])
@pytest.mark.parametrize("make", [pgwire.query, pgwire.prepared], ids=["simple", "extended"])
def test_end_of_a_transaction_that_is_sent_before_its_set_was_answered(site, make, end, shown):
    """The whole block stands in line, and goes to the server at once."""
    texts = ["BEGIN", "SET work_mem = '6MB'"] + end
    with site.pgweir(settings={"default_pool_size": 1}) as p, p.raw() as one, p.raw() as other:
        for _ in range(2):  # the second time it has had a server before
            other.query("BEGIN; SELECT 1").check()
            one.send(b"".join(map(make, texts)))
            time.sleep(0.2)
            other.query("COMMIT").check()
            for _ in texts:
                one.result()
            assert show(one, "work_mem") == shown and show(other, "work_mem") == "4MB"


def test_commit_of_a_failed_transaction_undoes(two):
    one, other = two
    one.query("BEGIN; SET work_mem = '6MB'").check()
    one.query("SELECT 1/0")
    assert one.query("COMMIT").tags == ["ROLLBACK"]
    assert show(other, "work_mem") == show(one, "work_mem") == "4MB"


def test_set_local_ends_with_the_transaction(two):
    one, other = two
    one.query("SET work_mem = '5MB'").check()
    one.query("BEGIN; SET LOCAL work_mem = '6MB'").check()
    assert show(one, "work_mem") == "6MB"
    one.query("COMMIT").check()
    assert show(one, "work_mem") == "5MB" and show(other, "work_mem") == "4MB"


def test_set_local_outside_a_transaction_warns_and_does_nothing(two):
    one, _ = two
    assert [n["C"] for n in one.query("SET LOCAL work_mem = '6MB'").notices] == ["25P01"]
    assert show(one, "work_mem") == "4MB"


def test_set_in_savepoint_that_is_rolled_back(two):
    one, other = two
    one.query("BEGIN; SET work_mem = '5MB'; SAVEPOINT s; SET work_mem = '6MB'").check()
    one.query("ROLLBACK TO s").check()
    assert show(one, "work_mem") == "5MB"
    one.query("COMMIT").check()
    assert show(other, "work_mem") == "4MB"
    assert show(one, "work_mem") == "5MB"


def test_start_up_packet_sets(pooler):
    with pooler.raw(work_mem="7MB", application_name="starter", DateStyle="SQL") as one, \
            pooler.raw() as other:
        for _ in range(2):
            assert show(other, "work_mem") == "4MB" and show(other, "application_name") == ""
            assert show(one, "work_mem") == "7MB"
            assert show(one, "application_name") == "starter"
        assert one.parameters["application_name"] == "starter"
        assert one.parameters["DateStyle"] == "SQL, MDY"
        one.query("SET work_mem = '5MB'").check()
        one.query("RESET work_mem").check()
        assert show(one, "work_mem") == "7MB", "RESET goes back to what the start-up packet said"


@pytest.mark.parametrize("options, name, shown", [
    ("-c work_mem=7MB", "work_mem", "7MB"), ("--work_mem=7MB", "work_mem", "7MB"),
    ("--work-mem=7MB", "work_mem", "7MB"), ("-cgeqo=off -c work_mem=7MB", "geqo", "off"),
    (r'-c search_path="a\ b"', "search_path", '"a b"'),
])
def test_options_of_the_start_up_packet(pooler, options, name, shown):
    with pooler.raw(options=options) as one, pooler.raw() as other:
        default = show(other, name)
        assert default != shown
        for _ in range(2):
            assert show(one, name) == shown
            assert show(other, name) == default


def test_login_is_told_what_its_server_had_already(site):
    """A server that another client has left with the same application_name tells it again."""
    with site.pgweir(settings={"default_pool_size": 1}) as p:
        for options in ("", "-c work_mem=8MB", "-c work_mem=7MB", "-c lock_timeout=9s"):
            with p.raw(application_name="mine", options=options) as client:
                assert client.parameters["application_name"] == "mine"
                assert client.value("SHOW application_name") == "mine"


def test_refused_logins_leave_nothing_to_who_comes_next(site):
    with site.pgweir(settings={"default_pool_size": 1}) as p:
        deadline = time.monotonic() + 3
        options = ["-c app.a=theirs -c nonsense=1", "-c work_mem=9MB -c nonsense=1"]

        def log_in(n):
            while time.monotonic() < deadline:
                with pytest.raises(ServerError):
                    p.raw(options=options[n])

        def query(_):
            with p.raw() as client:
                while time.monotonic() < deadline:
                    row = client.query("SELECT current_setting('app.a', true), "
                                       "current_setting('work_mem')").check().rows[0]
                    assert row[0] in (None, "") and row[1] == "4MB"
        run_threads(4, lambda n: log_in(n) if n < 2 else query(n))


def test_bad_start_up_setting_is_refused_as_postgresql_does(pooler, site):
    for port in (pooler.port, site.cluster.primary.port):
        with RawClient(port) as client:
            with pytest.raises(Exception, match="22023"):
                client.login("app", site.passwords["app"], work_mem="much").query("SELECT 1")\
                    .check()
    with pooler.raw() as client:
        assert client.value("SELECT 1") == "1"


def test_defaults_of_the_role_hold(pooler, superuser):
    superuser("ALTER ROLE app IN DATABASE app SET work_mem = '9MB'")
    try:
        pooler.admin("RECONNECT app")
        with pooler.raw() as one, pooler.raw() as other:
            one.query("SET work_mem = '5MB'").check()
            assert show(other, "work_mem") == "9MB"
            one.query("RESET work_mem").check()
            assert show(one, "work_mem") == "9MB"
    finally:
        superuser("ALTER ROLE app IN DATABASE app RESET work_mem")
        pooler.admin("RECONNECT app")


@pytest.mark.parametrize("alter", ["ALTER ROLE app", "ALTER DATABASE app", "ALTER USER CURRENT_USER",
                                   "ALTER ROLE app IN DATABASE app"])
def test_new_sessions_have_new_defaults_at_once(site, superuser, alter):
    with site.pgweir(settings={"default_pool_size": 3, "workers": 2}) as p:
        superuser("ALTER DATABASE app OWNER TO app")
        try:
            with p.raw() as one, p.raw() as busy, p.raw() as old:
                old.query("SET statement_timeout = '33s'").check()
                busy.query("BEGIN").check()
                busy.query("SELECT 1").check()
                for value in ("'7MB'", "'9MB'", "DEFAULT"):
                    for block in (False, True):
                        one.query("BEGIN" if block else "SELECT 1").check()
                        one.query(f"{alter} SET work_mem = {value}").check()
                        one.query(f"{alter} SET TimeZone = 'Asia/Tokyo'").check()
                        if block:
                            one.query("COMMIT").check()
                        wanted = "4MB" if value == "DEFAULT" else value.strip("'")
                        for _ in range(4):
                            with p.raw() as new:
                                assert show(new, "work_mem") == wanted
                                assert new.parameters["TimeZone"] == "Asia/Tokyo"
                assert show(old, "statement_timeout") == "33s"
                assert busy.value("SELECT 1") == "1"
                busy.query("COMMIT").check()
                one.query(f"{alter} RESET TimeZone").check()
                with p.raw() as new:
                    assert new.parameters["TimeZone"] != "Asia/Tokyo"
        finally:
            superuser("ALTER ROLE app RESET ALL; ALTER DATABASE app RESET ALL; "
                      "ALTER ROLE app IN DATABASE app RESET ALL; "
                      "ALTER DATABASE app OWNER TO postgres")


def test_parameter_status_tells_each_client_its_own(two):
    one, other = two
    result = one.query("SET TimeZone = 'Asia/Tokyo'")
    assert [m.pair() for m in result.messages if m.kind == "S"] == [("TimeZone", "Asia/Tokyo")]
    for _ in range(3):
        assert "S" not in other.query("SELECT 1").kinds
        assert "S" not in one.query("SELECT 1").kinds
    result = one.query("RESET TimeZone")
    assert [m.pair()[0] for m in result.messages if m.kind == "S"] == ["TimeZone"]


def test_discard_all_is_what_it_is_on_a_private_connection(two):
    one, other = two
    one.query("SET work_mem = '6MB'").check()
    other.query("SET work_mem = '5MB'").check()
    assert one.query("DISCARD ALL").check().tags == ["DISCARD ALL"]
    assert show(one, "work_mem") == "4MB" and show(other, "work_mem") == "5MB"


def test_client_encoding_is_kept_per_client(two):
    one, other = two
    one.query("SET client_encoding = LATIN1").check()
    for _ in range(2):
        assert one.query("SELECT chr(228)").messages[1].body.endswith(b"\xe4")
        assert other.query("SELECT chr(228)").messages[1].body.endswith(b"\xc3\xa4")


@pytest.mark.threads
def test_random_settings_of_many_clients_never_mix(pooler):
    rng = random.Random(7)
    clients = [(pooler.raw(), {}) for _ in range(8)]
    values = {"work_mem": ["5MB", "6MB", "7MB"], "lock_timeout": ["1s", "2s"],
              "geqo": ["off"], "search_path": ["a", "b"]}
    defaults = {"work_mem": "4MB", "lock_timeout": "0", "geqo": "on",
                "search_path": '"$user", public'}
    for _ in range(400):
        client, own = rng.choice(clients)
        name = rng.choice(list(values))
        act = rng.random()
        if act < 0.3:
            own[name] = rng.choice(values[name])
            client.query(f"SET {name} = '{own[name]}'").check()
        elif act < 0.4:
            own.pop(name, None)
            client.run(pgwire.query(f"RESET {name}")).check()
        else:
            assert show(client, name) == own.get(name, defaults[name])


@pytest.mark.parametrize("login", [{}, {"options": "-c work_mem=8MB"}])
def test_nothing_is_put_ahead_in_a_failed_transaction(pooler, login):
    """What RESET ALL has left to be sent again would fail there, and the client with it."""
    with pooler.raw(**login) as client:
        client.query("SET lock_timeout = '70s'").check()
        client.query("BEGIN").check()
        client.query("SELECT 1").check()
        assert client.query("RESET ALL; SELECT 1/0").sqlstate == "22012"
        result = client.query("COMMIT; SELECT current_setting('work_mem')")
        assert result.tags[0] == "ROLLBACK" and result.status == "I"
        assert result.rows == [("8MB" if login else "4MB",)]
        assert client.value("SHOW lock_timeout") == "70s"
        client.query("BEGIN").check()
        assert client.query("SELECT 1; RESET ALL; SELECT 1/0").sqlstate == "22012"
        assert client.query("SELECT 1").sqlstate == "25P02"
        assert client.query("ROLLBACK; SELECT current_setting('lock_timeout')").value() == "70s"


def test_set_local_behind_reset_all_is_local(pooler):
    with pooler.raw() as client:
        client.query("BEGIN").check()
        client.query("RESET ALL; SELECT 1; SET LOCAL application_name TO 'inside'").check()
        told = [m.pair() for m in client.query("COMMIT").check().messages if m.kind == "S"]
        assert told == [("application_name", "")]
        assert client.value("SHOW application_name") == ""
