"""Errors of statements reach their client as PostgreSQL made them, and leave no trace."""
import os

import pgwire
import psycopg2
import pytest
from pgwire import bind, execute, msg, parse
from rawclient import RawClient


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 1}) as p:
        yield p


@pytest.fixture
def direct(site):
    """The same client without a pooler between."""
    with RawClient(site.cluster.primary.port) as client:
        yield client.login("app", site.passwords["app"])


@pytest.mark.parametrize("sql", [
    "SELECT 1/0", "SELEC 1", "SELECT * FROM nowhere", "SELECT nothing()", "SELECT 'x'::int",
    "SELECT 1; SELECT 1/0; SELECT 2", "COMMIT; SELECT nothing()", "\x01", "SELECT 'unclosed",
    "INSERT INTO pgbench_branches (bid) VALUES (1)", "DROP TABLE pg_class",
    "COPY pgbench_branches TO '/nonexistent/file'", "SELECT 1 AS \"x\"; syntax error here",
])
def test_errors_are_postgresqls_own_byte_for_byte(pooler, direct, sql):
    with pooler.raw() as client:
        ours = [m.raw() for m in client.query(sql).messages]
        theirs = [m.raw() for m in direct.query(sql).messages]
        assert ours == theirs
        assert client.value("SELECT 1") == "1"


def test_error_in_a_series_skips_to_sync(pooler):
    with pooler.raw() as client:
        result = client.run(
            parse("", "SELECT 1 / (g - 1) FROM generate_series(1, 1) g") + bind() + execute()
            + parse("", "SELECT 'skipped'") + bind() + execute() + pgwire.SYNC)
        assert result.kinds == "12EZ" and result.sqlstate == "22012"
        assert client.prepared("SELECT 2").value() == "2"


def test_failed_transaction_stays_failed_until_rollback(pooler):
    with pooler.raw() as client, pooler.raw() as other:
        assert client.query("BEGIN; SELECT 1/0").status == "E"
        assert client.query("SELECT 1").sqlstate == "25P02"
        assert client.prepared("SELECT 1").sqlstate == "25P02"
        assert client.query("ROLLBACK").status == "I"
        assert other.value("SELECT 1") == "1"


def test_commit_of_a_failed_transaction_answers_rollback(pooler):
    with pooler.raw() as client:
        client.query("BEGIN; SELECT 1/0")
        assert client.query("COMMIT").tags == ["ROLLBACK"]


def test_unknown_statement_and_portal(pooler, direct):
    for client in (pooler.raw(), direct):
        assert client.run(bind("", "nope") + pgwire.SYNC).sqlstate == "26000"
        assert client.run(execute("nope") + pgwire.SYNC).sqlstate == "34000"
        assert client.run(pgwire.describe("S", "nope") + pgwire.SYNC).sqlstate == "26000"
        assert client.value("SELECT 1") == "1"


def test_malformed_bind_is_refused_and_the_session_lives(pooler):
    with pooler.raw() as client:
        result = client.run(parse("", "SELECT $1::int") + msg("B", b"\0\0\0\0") + pgwire.SYNC)
        assert result.sqlstate == "08P01" and result.status == "I"
        assert client.value("SELECT 1") == "1"


def test_unknown_message_type_ends_the_session_only(pooler):
    with pooler.raw() as client, pooler.raw() as other:
        client.send(msg("@", b"what is this"))
        kinds = [m.kind for m in client.wait_closed()]
        assert kinds[-1:] == ["E"] or not kinds
        assert other.value("SELECT 1") == "1"


def test_terminated_backend_is_told_to_its_client_and_replaced(pooler, superuser):
    with pooler.raw() as client, pooler.raw() as other:
        pid = client.query("BEGIN; SELECT pg_backend_pid()").rows[0][0]
        superuser(f"SELECT pg_terminate_backend({pid})")
        client.send(pgwire.query("SELECT 1"))
        told = client.read_message()
        assert told.kind == "E" and told.fields()["C"] in ("57P01", "08006", "08003")
        assert other.value("SELECT 1") == "1"


def test_backend_that_dies_while_idle_is_not_an_error(pooler, superuser):
    with pooler.raw() as client:
        pid = client.value("SELECT pg_backend_pid()")
        superuser(f"SELECT pg_terminate_backend({pid}, 5000)")
        assert client.value("SELECT 1") == "1"


def test_login_that_postgresql_refuses_is_told_with_its_code(site):
    databases = {"app": site.app_on([site.cluster.primary])["app"],
                 "gone": site.app_on([site.cluster.primary])["app"].replace("dbname=app",
                                                                            "dbname=nowhere")}
    with site.pgweir(databases, settings={"query_wait_timeout": 3}) as p, p.raw() as good:
        with pytest.raises(psycopg2.Error) as refused:
            p.connect(database="gone").cursor().execute("SELECT 1")
        assert refused.value.pgcode in (None, "3D000") and "nowhere" in str(refused.value)
        assert good.value("SELECT 1") == "1"


def test_libevents_own_messages_are_lines_of_the_log(site):
    """Here of its resolver, about a name server that it cannot read; else they go to stderr."""
    with site.pgweir(settings={"resolv_conf": "{folder}/resolv.conf"}) as p:
        p.stop()
        with open(f"{p.folder}/resolv.conf", "w") as f:
            f.write("nameserver nonsense:x\n")
        os.chmod(f"{p.folder}/resolv.conf", 0o644)
        p.start()
        p.wait_log("WARN libevent error=")
        assert "[warn]" not in p.log_text()
