"""Every error of pgweir's own: told from PostgreSQL's, with PostgreSQL's code, and FATAL exactly when
the connection ends."""
import contextlib
import struct
import time

import pgwire
import pytest
from fakeserver import FakeServer
from pgwire import Closed, cstr, msg
from rawclient import RawClient
from tools import proc


class Case:
    """What a test does to get one error: `p` a running pgweir, `stack` closes what it opens."""

    def __init__(self, p, stack, superuser):
        self.p = p
        self.stack = stack
        self.superuser = superuser

    def client(self, **params):
        return self.stack.enter_context(self.p.raw(**params))

    def bare(self):
        return self.stack.enter_context(RawClient(self.p.port, timeout=20 * self.p.slow))

    def login(self, user="app", password=None, database="app", **params):
        """A login that is refused: the client, with its error still to be read."""
        client = self.bare()
        client.send(pgwire.startup({"user": user, "database": database, **params}))
        return client


# --- statements: the connection lives -----------------------------------------------------------

def query_wait_timeout(case):
    case.client().send(pgwire.query("SELECT pg_sleep(60)"))
    proc.wait_until("the server to be taken", lambda: case.p.show_one(
        "POOLS", database="app")["sv_active"] == "1")
    waiter = case.client()
    waiter.send(pgwire.query("SELECT 1"))
    return waiter


def max_pinned(case):
    case.client().query("CREATE TEMP TABLE one (a int)").check()
    waiter = case.client()
    waiter.send(pgwire.query("CREATE TEMP TABLE two (a int)"))
    return waiter


def cancelled_in_line(case):
    waiter = query_wait_timeout(case)
    time.sleep(0.2)
    waiter.send_cancel()
    return waiter


def currval(case):
    """Of two clients that share one server, the one that did not advance a sequence there last."""
    client, other = case.client(), case.client()
    client.query("CREATE SEQUENCE IF NOT EXISTS own_errors; SELECT nextval('own_errors')").check()
    other.query("SELECT nextval('own_errors')").check()
    client.send(pgwire.query("SELECT lastval()"))
    return client


def duplicate_statement(case):
    client = case.client()
    client.run(pgwire.parse("a", "SELECT 1") + pgwire.SYNC).check()
    client.send(pgwire.parse("a", "SELECT 2") + pgwire.SYNC)
    return client


def unknown_statement(case):
    client = case.client()
    client.send(pgwire.bind("", "nope") + pgwire.execute() + pgwire.SYNC)
    return client


def large_statements(case):
    client = case.client()
    for name in ("first", "second"):
        client.send(pgwire.parse(name, f"SELECT '{name:x<200000}'") + pgwire.SYNC)
        if name == "first":
            client.result().check()
    return client


def failed_alone(case):
    """The server of a transaction is lost: the next statement fails, and its end is accepted."""
    client = case.client()
    pid = client.query("BEGIN; SELECT pg_backend_pid()").rows[0][0]
    case.superuser(f"SELECT pg_terminate_backend({pid}, 5000)")
    client.send(pgwire.query("SELECT 1"))
    return client


# --- the connection ends ------------------------------------------------------------------------

def wrong_password(case):
    client = case.bare()
    client.send(pgwire.startup({"user": "md5user", "database": "app"}))
    m = client.read_message()
    assert m.kind == "R"
    client.send(msg("p", cstr("md5" + "0" * 32)))
    return client


def unknown_database(case):
    client = case.bare()
    with contextlib.suppress(Closed):
        client.begin_login("app", case.p.passwords["app"], "unknown")
    return client


def no_user(case):
    client = case.bare()
    client.send(pgwire.startup({"database": "app"}))
    return client


def protocol_two(case):
    client = case.bare()
    client.send(pgwire.startup({"user": "app"}, version=2 << 16))
    return client


def second_ssl_request(case):
    client = case.bare()
    client.send(pgwire.SSL_REQUEST)
    assert client.read(1) == b"N"
    client.send(pgwire.SSL_REQUEST)
    return client


def bad_options(case):
    return case.login(options="nonsense")


def long_parameter(case):
    return case.login(application_name="x" * 9000)


def not_for_the_console(case):
    client = case.bare()
    with contextlib.suppress(Closed):
        client.begin_login("other", case.p.passwords["other"], "pgweir")
    return client


def disabled(case):
    case.p.admin("DISABLE app")
    client = case.bare()
    client.begin_login("app", case.p.passwords["app"], "app")
    return client


def too_many_clients(case):
    for _ in range(2):
        case.client()
    return case.login()


def too_many_of_user(case):
    case.client()
    client = case.bare()
    client.begin_login("app", case.p.passwords["app"], "app")
    return client


def login_too_slow(case):
    client = case.bare()
    client.send(pgwire.startup({"user": "app"})[:6])
    return client


def idle_client(case):
    return case.client()


def idle_pinned(case):
    client = case.client()
    client.query("CREATE TEMP TABLE one (a int)").check()
    return client


def idle_in_transaction(case):
    client = case.client()
    client.query("BEGIN").check()
    return client


def idle_in_open_transaction(case):
    client = case.client()
    client.query("BEGIN").check()
    client.query("SELECT pg_sleep(0.7)").check()
    client.query("SELECT 1").check()
    return client


def query_timeout(case):
    client = case.client()
    client.send(pgwire.query("SELECT pg_sleep(60)"))
    return client


def begin_in_statement_mode(case):
    client = case.client()
    client.send(pgwire.query("BEGIN"))
    return client


def unknown_message(case):
    client = case.client()
    client.send(msg("@", b"what is this"))
    return client


def killed(case):
    client = case.client(application_name="victim")
    number = case.p.show_one("CLIENTS", application_name="victim")["id"]
    case.p.admin(f"KILL_CLIENT {number}")
    return client


def shut_down(case):
    client = case.client()
    case.p.stop()
    return client


def pinned_server_lost(case):
    client = case.client()
    client.query("CREATE TEMP TABLE one (a int)").check()
    pid = client.value("SELECT pg_backend_pid()")
    case.superuser(f"SELECT pg_terminate_backend({pid}, 5000)")
    return client


SHORT = {"default_pool_size": 1, "query_wait_timeout": 1}
CASES = [  # what happens, settings, SQLSTATE, severity, a word of the hint
    (query_wait_timeout, SHORT, "53300", "ERROR", "pool_size"),
    (max_pinned, {"default_pool_size": 2, "query_wait_timeout": 1}, "53300", "ERROR",
     "max_pinned"),
    (cancelled_in_line, {"default_pool_size": 1}, "57014", "ERROR", None),
    (currval, {"default_pool_size": 1}, "55000", "ERROR", "RETURNING"),
    (duplicate_statement, {}, "42P05", "ERROR", None),
    (unknown_statement, {}, "26000", "ERROR", None),
    (large_statements, {"max_statement_memory": "1MB", "workers": 1}, "53400", "ERROR",
     "max_statement_memory"),
    (failed_alone, {}, "08006", "ERROR", "transaction was rolled back"),
    (wrong_password, {"auth_type": "md5"}, "28P01", "FATAL", None),
    (unknown_database, {}, "3D000", "FATAL", "[databases]"),
    (no_user, {}, "28000", "FATAL", None),
    (protocol_two, {}, "0A000", "FATAL", None),
    (second_ssl_request, {}, "08P01", "FATAL", None),
    (bad_options, {}, "42601", "FATAL", "-c name=value"),
    (long_parameter, {}, "22023", "FATAL", "ignore_startup_parameters"),
    (not_for_the_console, {}, "42501", "FATAL", "admin_users"),
    (disabled, {}, "57P03", "FATAL", "ENABLE"),
    (too_many_clients, {"max_client_conn": 2}, "53300", "FATAL", "max_client_conn"),
    (too_many_of_user, {"max_user_client_connections": 1}, "53300", "FATAL",
     "max_user_client_connections"),
    (login_too_slow, {"client_login_timeout": 0.5}, "08004", "FATAL", "client_login_timeout"),
    (idle_client, {"client_idle_timeout": 0.5}, "57P05", "FATAL", "client_idle_timeout"),
    (idle_pinned, {"pin_idle_timeout": 0.5}, "57P05", "FATAL", "pin_idle_timeout"),
    (idle_in_transaction, {"idle_transaction_timeout": 0.5}, "25P03", "FATAL",
     "idle_transaction_timeout"),
    (idle_in_open_transaction, {"idle_transaction_timeout": 0.5}, "25P03", "FATAL",
     "idle_transaction_timeout"),
    (query_timeout, {"query_timeout": 0.5}, "57014", "FATAL", "query_timeout"),
    (begin_in_statement_mode, {"pool_mode": "statement"}, "08P01", "FATAL", "pool_mode"),
    (unknown_message, {}, "08P01", "FATAL", None),
    (killed, {}, "57P01", "FATAL", None),
    (shut_down, {}, "57P01", "FATAL", None),
    (pinned_server_lost, {}, "57P01", "FATAL", None),
]


def read_error(client):
    m = client.read_message()
    while m.kind != "E":
        assert m.kind in "vRN", m
        m = client.read_message()
    return m.fields()


@pytest.mark.parametrize("provoke, settings, sqlstate, severity, hint", CASES,
                         ids=[c[0].__name__ for c in CASES])
def test_own_error(site, superuser, provoke, settings, sqlstate, severity, hint):
    with contextlib.ExitStack() as stack:
        p = stack.enter_context(site.pgweir(settings=settings))
        client = provoke(Case(p, stack, superuser))
        fields = read_error(client)
        assert fields["R"] == "pgweir" and fields["M"]
        assert (fields["C"], fields["S"], fields["V"]) == (sqlstate, severity, severity), fields
        if hint:
            assert hint in fields["H"], fields
        if severity == "FATAL":
            assert client.wait_closed() == []
            return
        if client.read_until("Z")[-1].body != b"I":
            assert client.query("ROLLBACK").status == "I"
        client.send(pgwire.SYNC)
        assert client.read_message().kind == "Z", "the session lives"
        client.close()


def test_long_wait_is_told_by_a_notice_of_ours(site):
    with site.pgweir(settings={"default_pool_size": 1, "query_wait_notify": 0.5}) as p:
        with p.raw() as holder, p.raw() as waiter:
            holder.send(pgwire.query("SELECT pg_sleep(2)"))
            time.sleep(0.1)
            waiter.send(pgwire.query("SELECT 1"))
            notice = waiter.read_message()
            assert notice.kind == "N"
            fields = notice.fields()
            assert fields["S"] == "NOTICE" and fields["R"] == "pgweir"
            assert "query_wait_notify" in fields["H"]
            assert waiter.result().value() == "1"
            holder.result()


def test_postgresqls_errors_are_not_ours(site):
    with site.pgweir() as p, p.raw() as client:
        for sql in ("SELECT 1/0", "SELECT * FROM nowhere", "SELEC"):
            assert client.query(sql).errors[0].fields["R"] != "pgweir"


def lost_during(site, sql, begins=()):
    """A fake server that is lost when it gets this statement; the client's error."""
    def handler(conn):
        conn.login()
        while True:
            unit = conn.read_any_unit()
            if unit[-1].kind == "X" or sql.encode() in b"".join(m.body for m in unit):
                raise Closed("lost")
            conn.send(conn.answer(unit))
    with FakeServer(handler) as fake, site.pgweir({
            "app": f"host=127.0.0.1 port={fake.port} dbname=app user=app password=x"},
            settings={"routing": "off"}) as p, p.raw() as client:
        for one in begins:
            client.query(one).check()
        client.send(pgwire.query(sql))
        return read_error(client)


IN_A_BLOCK = ("BEGIN", "INSERT INTO t VALUES (1)")


@pytest.mark.parametrize("sql, begins, message", [
    ("COMMIT", IN_A_BLOCK, "during COMMIT"), ("END AND CHAIN", IN_A_BLOCK, "during COMMIT"),
    ("PREPARE TRANSACTION 'one'", IN_A_BLOCK, "during PREPARE TRANSACTION"),
    ("COMMIT PREPARED 'one'", (), "during COMMIT PREPARED"),
    ("ROLLBACK PREPARED 'one'", (), "ROLLBACK PREPARED")])
def test_end_of_a_transaction_that_is_not_known_says_so(site, sql, begins, message):
    fields = lost_during(site, sql, begins)
    assert (fields["C"], fields["S"], fields["R"]) == ("08007", "ERROR", "pgweir")
    assert "not known" in fields["H"] and message in fields["M"]


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (2)", "CALL something()"])
def test_a_lost_statement_that_may_have_been_carried_out_says_so(site, sql):
    fields = lost_during(site, sql)
    assert (fields["C"], fields["S"], fields["R"]) == ("08006", "ERROR", "pgweir")
    assert "not known; it is not repeated" in fields["H"]


def test_message_code_of_a_length_is_its_own(site):
    """A length below 4 is no message: the connection ends with 08P01."""
    with site.pgweir() as p, p.raw() as client:
        client.send(b"Q" + struct.pack(">i", 3))
        fields = read_error(client)
        assert (fields["C"], fields["S"], fields["R"]) == ("08P01", "FATAL", "pgweir")
        assert client.wait_closed() == []
