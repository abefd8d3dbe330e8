"""BEGIN is answered at once and reaches a server with the first statement."""
import pgwire
import pytest
from pgwire import bind, describe, execute, parse


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 1, "query_wait_timeout": 1}) as p:
        yield p


@pytest.fixture
def client(pooler):
    with pooler.raw() as one:
        yield one


@pytest.fixture
def other(pooler):
    with pooler.raw() as one:
        yield one


@pytest.fixture
def table(new_table):
    return new_table("a int")


def extended(sql):
    return parse("", sql) + bind() + describe("P") + execute() + pgwire.SYNC


@pytest.mark.parametrize("sql, tag", [
    ("BEGIN", "BEGIN"), ("begin;", "BEGIN"), ("BEGIN WORK", "BEGIN"),
    ("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE", "BEGIN"),
    ("START TRANSACTION", "START TRANSACTION"), ("START TRANSACTION READ ONLY",
                                                 "START TRANSACTION"),
    ("/* c */ BEGIN -- x", "BEGIN"),
])
def test_begin_alone_holds_no_server(client, other, sql, tag):
    result = client.query(sql)
    assert (result.kinds, result.tags, result.status) == ("CZ", [tag], "T")
    assert other.value("SELECT 1") == "1"
    assert client.value("SELECT 1") == "1"
    assert other.query("SELECT 1").sqlstate == "53300", "now the only server is held"
    assert client.query("COMMIT").status == "I"
    assert other.value("SELECT 1") == "1"


def test_begin_in_extended_protocol(client, other):
    result = client.run(extended("BEGIN"))
    assert (result.kinds, result.tags, result.status) == ("12nCZ", ["BEGIN"], "T")
    assert other.value("SELECT 1") == "1"
    assert client.prepared("SELECT 1").status == "T"
    assert client.run(extended("COMMIT")).status == "I"


def test_prepared_begin_and_commit(client, other):
    client.run(parse("b", "BEGIN") + parse("c", "COMMIT") + pgwire.SYNC).check()
    for _ in range(3):
        assert client.run(bind("", "b") + execute() + pgwire.SYNC).status == "T"
        assert other.value("SELECT 1") == "1"
        assert client.value("SELECT 2") == "2"
        assert client.run(bind("", "c") + execute() + pgwire.SYNC).status == "I"


def test_begin_and_statement_in_one_series(client):
    """As pgjdbc sends it."""
    result = client.run(parse("", "BEGIN") + bind() + execute() + parse("", "SELECT 5") + bind()
                        + describe("P") + execute() + pgwire.SYNC)
    assert result.tags == ["BEGIN", "SELECT 1"] and result.status == "T"
    assert client.query("ROLLBACK").status == "I"


@pytest.mark.parametrize("end, tag", [("COMMIT", "COMMIT"), ("ROLLBACK", "ROLLBACK"),
                                      ("END", "COMMIT"), ("ABORT", "ROLLBACK")])
def test_empty_transaction_touches_no_server(pooler, client, other, end, tag):
    other.query("BEGIN; SELECT 1").check()
    assert client.query("BEGIN").status == "T"
    assert client.query("SAVEPOINT s").tags == ["SAVEPOINT"]
    result = client.query(end)
    assert (result.kinds, result.tags, result.status) == ("CZ", [tag], "I")
    other.query("COMMIT").check()


def test_transaction_works_as_ever(client, table):
    client.query("BEGIN").check()
    client.query(f"INSERT INTO {table} VALUES (1)").check()
    client.query("ROLLBACK").check()
    client.query("BEGIN").check()
    client.query(f"INSERT INTO {table} VALUES (2)").check()
    client.query("COMMIT").check()
    assert client.query(f"SELECT a FROM {table}").rows == [("2",)]


def test_savepoint_before_the_first_statement(client, table):
    for sql in ("BEGIN", "SAVEPOINT s", f"INSERT INTO {table} VALUES (1)", "ROLLBACK TO s",
                f"INSERT INTO {table} VALUES (2)", "RELEASE s", "COMMIT"):
        client.query(sql).check()
    assert client.query(f"SELECT a FROM {table}").rows == [("2",)]


def test_modes_and_set_local_before_the_first_statement(client, other):
    for sql in ("BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                "SET LOCAL work_mem = '6MB'"):
        client.query(sql).check()
    assert other.value("SELECT 1") == "1"
    assert client.value("SHOW transaction_isolation") == "serializable"
    assert client.value("SHOW work_mem") == "6MB"
    client.query("COMMIT").check()
    assert client.value("SHOW transaction_isolation") == "read committed"
    assert client.value("SHOW work_mem") == "4MB"


def test_read_only_block_refuses_writes(client, table):
    client.query("BEGIN READ ONLY").check()
    assert client.query(f"INSERT INTO {table} VALUES (1)").sqlstate == "25006"
    assert client.query("ROLLBACK").status == "I"


def test_begin_in_begin_warns(client):
    client.query("BEGIN").check()
    result = client.query("BEGIN")
    assert [n["C"] for n in result.notices] == ["25001"] and result.status == "T"
    client.query("ROLLBACK").check()


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_end_without_begin_warns(client, end):
    result = client.query(end)
    assert [n["C"] for n in result.notices] == ["25P01"] and result.status == "I"


@pytest.mark.parametrize("sql", ["BEGIN NONSENSE", "BEGIN ISOLATION LEVEL", "START"])
def test_what_only_looks_like_begin_gets_postgresqls_error(client, sql):
    result = client.query(sql)
    assert result.sqlstate == "42601" and result.status == "I"


def test_rollback_to_unknown_savepoint_fails_the_block(client):
    client.query("BEGIN").check()
    assert client.query("ROLLBACK TO nowhere").sqlstate == "3B001"
    assert client.query("SELECT 1").sqlstate == "25P02"
    assert client.query("ROLLBACK").status == "I"


def test_and_chain_begins_the_next_block(client):
    client.query("BEGIN ISOLATION LEVEL REPEATABLE READ").check()
    client.query("SELECT 1").check()
    assert client.query("COMMIT AND CHAIN").status == "T"
    assert client.value("SHOW transaction_isolation") == "repeatable read"
    assert client.query("ROLLBACK").status == "I"


def test_block_that_gets_no_server_fails_until_rollback(client, other):
    other.query("BEGIN; SELECT 1").check()
    client.query("BEGIN").check()
    result = client.query("SELECT 1")
    assert result.sqlstate == "53300" and result.status == "E"
    assert client.query("SELECT 1").sqlstate == "25P02"
    assert client.query("ROLLBACK").status == "I"
    other.query("COMMIT").check()
    assert client.value("SELECT 1") == "1"


def test_idle_in_transaction_timeout_holds_without_a_server(client, other):
    client.query("SET idle_in_transaction_session_timeout = '300ms'").check()
    client.query("BEGIN").check()
    ended = client.wait_closed(5)
    assert [m.fields()["C"] for m in ended if m.kind == "E"] == ["25P03"]
    assert other.value("SELECT 1") == "1"


def test_ddl_in_a_block_is_rolled_back(client):
    client.query("BEGIN").check()
    client.query("CREATE TABLE nonesuch (a int)").check()
    client.query("ROLLBACK").check()
    assert client.query("TABLE nonesuch").sqlstate == "42P01"


def test_first_statement_that_fails(client):
    client.query("BEGIN").check()
    result = client.query("SELECT 1/0")
    assert result.sqlstate == "22012" and result.status == "E"
    assert client.query("ROLLBACK").status == "I"


def test_of_several_deferred_statements_the_error_of_the_first_is_told(client):
    for sql in ("BEGIN", "SET LOCAL work_mem = 'nonsense'", "SAVEPOINT s",
                "SET LOCAL lock_timeout = '1s'"):
        client.query(sql).check()
    result = client.query("SELECT 1")
    assert result.sqlstate == "22023" and result.status == "E"
    client.query("ROLLBACK").check()
