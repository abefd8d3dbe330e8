"""Statements and portals inside series and pipelines: what an error takes with it, and what not."""
import pgwire
import pytest
from pgwire import bind, close, describe, execute, parse

FLUSH, SYNC = pgwire.FLUSH, pgwire.SYNC


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 2}) as p:
        yield p


def run_named(client, name):
    return client.run(bind("", name) + execute() + SYNC)


def test_error_in_a_parse_takes_what_follows_up_to_sync(pooler):
    with pooler.raw() as client:
        result = client.run(parse("a", "SELECT 'a'") + parse("bad", "SELEC") + bind("", "a") +
                            execute() + parse("c", "SELECT 'c'") + close("S", "a") + SYNC)
        assert result.kinds == "1EZ" and result.sqlstate == "42601" and result.status == "I"
        assert run_named(client, "a").value() == "a"
        assert run_named(client, "bad").sqlstate == "26000"
        assert run_named(client, "c").sqlstate == "26000"
        client.run(parse("c", "SELECT 'c2'") + SYNC).check()
        assert run_named(client, "c").value() == "c2"


def test_error_in_a_parse_inside_a_pipeline_of_units(pooler):
    with pooler.raw() as client:
        client.send(parse("x", "SELECT 1") + bind("", "x") + execute() + SYNC +
                    parse("y", "SELECT nothing") + bind("", "y") + execute() + SYNC +
                    bind("", "y") + execute() + SYNC +
                    parse("y", "SELECT 3") + bind("", "y") + execute() + SYNC)
        assert client.result().value() == "1"
        assert client.result().sqlstate == "42703"
        assert client.result().sqlstate == "26000"
        assert client.result().value() == "3"


@pytest.mark.parametrize("wrong,sqlstate", [(parse("x", "SELECT 2"), "42P05"),
                                            (bind("", "none"), "26000"),
                                            (describe("S", "none"), "26000"),
                                            (bind("", ""), "26000"),
                                            (execute("none"), "34000"),
                                            (describe("P", "none"), "34000")])
@pytest.mark.parametrize("block", [False, True])
def test_wrong_name_in_the_middle_of_a_series(pooler, wrong, sqlstate, block):
    with pooler.raw() as client:
        client.run(parse("x", "SELECT 1") + close("S") + SYNC).check()
        if block:
            client.query("BEGIN").check()
        run = bind("", "x") + execute()
        result = client.run(run + wrong + run + SYNC)
        assert result.kinds == "2DCEZ" and result.sqlstate == sqlstate
        assert result.status == ("E" if block else "I")
        if block:
            assert client.query("ROLLBACK").check().status == "I"
        assert client.run(run + SYNC).value() == "1"


def test_named_statement_parsed_and_closed_and_parsed_in_one_series(pooler):
    with pooler.raw() as client:
        use = bind("", "s") + execute()
        result = client.run(parse("s", "SELECT 1") + use + close("S", "s") + SYNC +
                            parse("s", "SELECT 2") + use + SYNC)
        assert result.check().rows == [("1",)]
        assert client.result().value() == "2"


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT 2"])
def test_close_and_parse_that_are_skipped_leave_the_old_one(pooler, sql):
    with pooler.raw() as client:
        client.run(parse("s", "SELECT 1") + SYNC).check()
        skipped = close("S", "s") + parse("s", sql) + bind("", "s") + execute()
        assert client.run(parse("bad", "SELEC") + skipped + SYNC).kinds == "EZ"
        assert run_named(client, "s").value() == "1"
        assert client.run(skipped + SYNC).check().rows == [(sql[-1],)]
        assert run_named(client, "s").value() == sql[-1]


def test_unnamed_statement_closed(pooler):
    with pooler.raw() as client:
        client.send(parse("", "SELECT 1") + SYNC + close("S") + SYNC + bind() + execute() + SYNC +
                    parse("", "SELECT 2") + close("S") + bind() + execute() + SYNC +
                    close("S") + parse("", "SELECT 3") + SYNC + bind() + execute() + SYNC)
        assert client.result().check().kinds == "1Z"
        assert client.result().check().kinds == "3Z"
        assert client.result().sqlstate == "26000"
        assert client.result().sqlstate == "26000"
        assert client.result().check().kinds == "31Z"
        assert client.result().value() == "3"
        assert run_named(client, "").value() == "3"


def test_row_by_row_with_flush(pooler):
    """libpq's chunks, JDBC's fetch size: the answers come before the Sync."""
    with pooler.raw() as client:
        client.send(parse("", "SELECT generate_series(1, 5)") + bind("p") + describe("P", "p") +
                    execute("p", 2) + FLUSH)
        assert "".join(m.kind for m in client.read_until("s")) == "12TDDs"
        client.send(execute("p", 2) + FLUSH)
        assert "".join(m.kind for m in client.read_until("s")) == "DDs"
        client.send(execute("p", 2) + FLUSH)
        assert "".join(m.kind for m in client.read_until("C")) == "DC"
        client.send(close("P", "p") + SYNC)
        assert client.result().check().kinds == "3Z"
        assert client.run(execute("p") + SYNC).sqlstate == "34000"


def test_two_portals_in_turn_while_others_work(site):
    """One server is enough, and it is held: the portals are there until the transaction ends."""
    with site.pgweir(settings={"default_pool_size": 2}) as p, p.raw() as client, p.raw() as other:
        client.run(parse("g", "SELECT generate_series($1::int, 9)") + SYNC).check()
        client.query("BEGIN").check()
        client.run(bind("a", "g", [b"1"]) + bind("b", "g", [b"5"]) + SYNC).check()
        got = {"a": [], "b": []}
        for i in range(3):
            for portal in "ab":
                result = client.run(execute(portal, 2) + SYNC).check()
                got[portal] += [int(row[0]) for row in result.rows]
                assert other.value(f"SELECT {i}") == str(i)
        assert got == {"a": [1, 2, 3, 4, 5, 6], "b": [5, 6, 7, 8, 9]}
        client.run(close("P", "a") + SYNC).check()
        assert client.run(execute("a") + SYNC).sqlstate == "34000"
        client.query("ROLLBACK").check()
        assert client.run(execute("b") + SYNC).sqlstate == "34000"


def test_unnamed_portal_lasts_over_sync_in_a_transaction(pooler):
    with pooler.raw() as client:
        client.run(parse("g", "SELECT generate_series(1, 4)") + SYNC).check()
        client.query("BEGIN").check()
        assert client.run(bind("", "g") + SYNC).check().kinds == "2Z"
        assert client.run(execute("", 3) + SYNC).check().kinds == "DDDsZ"
        assert client.run(describe("P") + execute() + SYNC).check().kinds == "TDCZ"
        client.query("COMMIT").check()


def test_portal_of_a_statement_that_is_closed(pooler):
    """Closing the statement closes its portals, as in PostgreSQL."""
    with pooler.raw() as client:
        client.query("BEGIN").check()
        client.run(parse("g", "SELECT generate_series(1, 4)") + bind("p", "g") + SYNC).check()
        assert client.run(execute("p", 1) + SYNC).check().kinds == "DsZ"
        assert client.run(close("S", "g") + SYNC).check().kinds == "3Z"
        assert run_named(client, "g").sqlstate == "26000"
        client.query("ROLLBACK").check()


def test_many_statements_parsed_and_run_before_one_sync(pooler):
    """All of them in one implicit transaction, an error in the last takes all back."""
    with pooler.raw() as client:
        client.query("CREATE TEMP TABLE taken (a int PRIMARY KEY)").check()
        ok = b"".join(parse(f"i{n}", f"INSERT INTO taken VALUES ({n})") + bind("", f"i{n}") +
                      execute() for n in range(100))
        bad = bind("", "i5") + execute()
        result = client.run(ok + bad + SYNC)
        assert result.kinds == "12C" * 100 + "2EZ" and result.sqlstate == "23505"
        assert client.value("SELECT count(*) FROM taken") == "0"
        again = b"".join(bind("", f"i{n}") + execute() for n in range(100))
        assert client.run(again + SYNC).check().kinds == "2C" * 100 + "Z"
        assert client.value("SELECT count(*) FROM taken") == "100"
        client.query("DISCARD ALL").check()
