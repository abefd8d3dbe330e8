"""Named prepared statements follow their client from server to server."""
import pgwire
import psycopg
import pytest
from pgwire import bind, close, describe, execute, parse


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 3}) as p:
        yield p


@pytest.fixture
def busy(pooler):
    """Make the pool use another server: holds one in a transaction while the block runs."""
    class Holder:
        def __enter__(self):
            self.client = pooler.raw()
            self.client.query("BEGIN; SELECT 1").check()

        def __exit__(self, *_):
            self.client.query("ROLLBACK")
            self.client.close()
    return Holder


def run_named(client, name, *params):
    """Bind and execute a statement prepared before."""
    values = [str(p).encode() for p in params]
    return client.run(bind("", name, values) + execute() + pgwire.SYNC)


def prepare(client, name, sql, types=()):
    assert client.run(parse(name, sql, types) + pgwire.SYNC).check().kinds == "1Z"


def test_statement_is_found_on_every_server(pooler, busy):
    with pooler.raw() as client:
        prepare(client, "add", "SELECT $1::int + 1, pg_backend_pid()")
        pids = set()
        for i in range(4):
            with busy(), busy():
                number, pid = run_named(client, "add", i).check().rows[0]
                assert number == str(i + 1)
                pids.add(pid)
            with busy():
                pids.add(run_named(client, "add", i).check().rows[0][1])
        assert pids


def test_statements_of_that_name_of_two_clients_differ(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        prepare(one, "s", "SELECT 'one'")
        prepare(two, "s", "SELECT 'two'")
        for _ in range(10):
            assert run_named(one, "s").value() == "one"
            assert run_named(two, "s").value() == "two"


def test_another_clients_statement_is_unknown(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        prepare(one, "mine", "SELECT 1")
        assert run_named(two, "mine").sqlstate == "26000"
        assert run_named(one, "mine").value() == "1"


def test_second_parse_of_a_name_is_refused(pooler):
    with pooler.raw() as client:
        prepare(client, "twice", "SELECT 1")
        assert client.run(parse("twice", "SELECT 2") + pgwire.SYNC).sqlstate == "42P05"
        assert run_named(client, "twice").value() == "1"


def test_closed_statement_is_gone_and_its_name_free(pooler):
    with pooler.raw() as client:
        prepare(client, "c", "SELECT 1")
        assert client.run(close("S", "c") + pgwire.SYNC).kinds == "3Z"
        assert run_named(client, "c").sqlstate == "26000"
        prepare(client, "c", "SELECT 2")
        assert run_named(client, "c").value() == "2"
        assert client.run(close("S", "never was") + pgwire.SYNC).kinds == "3Z"


def test_failed_parse_leaves_no_statement(pooler):
    with pooler.raw() as client:
        assert client.run(parse("bad", "SELEC 1") + pgwire.SYNC).sqlstate == "42601"
        assert run_named(client, "bad").sqlstate == "26000"
        prepare(client, "bad", "SELECT 'good'")
        assert run_named(client, "bad").value() == "good"


def test_parse_in_a_rolled_back_transaction_stays(pooler):
    """Prepared statements are not transactional."""
    with pooler.raw() as client:
        client.query("BEGIN").check()
        prepare(client, "kept", "SELECT 'kept'")
        client.query("ROLLBACK").check()
        assert run_named(client, "kept").value() == "kept"


def test_describe_of_statement_on_another_server(pooler, busy):
    with pooler.raw() as client:
        prepare(client, "d", "SELECT $1::int AS a, $2::text AS b")
        with busy():
            result = client.run(describe("S", "d") + pgwire.SYNC)
        assert result.kinds == "tTZ" and result.columns == [("a", 23), ("b", 25)]
        assert result.messages[0].body == b"\0\2" + pgwire.i32(23) + pgwire.i32(25)


def test_parameter_types_belong_to_the_statement(pooler):
    with pooler.raw() as client:
        prepare(client, "as_int", "SELECT pg_typeof($1)", [23])
        prepare(client, "as_text", "SELECT pg_typeof($1)", [25])
        assert run_named(client, "as_int", 1).value() == "integer"
        assert run_named(client, "as_text", 1).value() == "text"


def test_search_path_decides_what_a_statement_means(pooler, superuser):
    superuser("CREATE SCHEMA red AUTHORIZATION app; CREATE TABLE red.colour AS SELECT 'red' c;"
              "CREATE SCHEMA blue AUTHORIZATION app; CREATE TABLE blue.colour AS SELECT 'blue' c;"
              "ALTER TABLE red.colour OWNER TO app; ALTER TABLE blue.colour OWNER TO app")
    with pooler.raw() as red, pooler.raw() as blue:
        for client, name in ((red, "red"), (blue, "blue")):
            client.query(f"SET search_path = {name}").check()
            prepare(client, "s", "SELECT c FROM colour")
        for _ in range(6):
            assert run_named(red, "s").value() == "red"
            assert run_named(blue, "s").value() == "blue"
    superuser("DROP SCHEMA red, blue CASCADE")


def test_changed_result_type_is_postgresqls_own_error(pooler, superuser, new_table):
    shape = new_table("a int")
    superuser(f"INSERT INTO {shape} VALUES (1)")
    with pooler.raw() as client:
        prepare(client, "all", f"SELECT * FROM {shape}")
        assert run_named(client, "all").value() == "1"
        superuser(f"ALTER TABLE {shape} ADD b int")
        assert run_named(client, "all").sqlstate == "0A000"


def test_unnamed_statement_lives_from_sync_to_sync(pooler):
    with pooler.raw() as client, pooler.raw() as other:
        assert client.run(parse("", "SELECT 'mine'") + pgwire.SYNC).kinds == "1Z"
        other.prepared("SELECT 'other'").check()
        assert run_named(client, "").value() == "mine"


def test_sql_level_prepare_execute_deallocate(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        one.query("PREPARE p (int) AS SELECT $1 + 1").check()
        assert two.query("EXECUTE p (1)").sqlstate == "26000"
        for i in range(5):
            assert one.value(f"EXECUTE p ({i})") == str(i + 1)
        one.query("DEALLOCATE p").check()
        assert one.query("EXECUTE p (1)").sqlstate == "26000"


def test_deallocate_all_and_discard_all_forget_protocol_statements(pooler):
    with pooler.raw() as client:
        for command in ("DEALLOCATE ALL", "DISCARD ALL"):
            prepare(client, "gone", "SELECT 1")
            client.query(command).check()
            assert run_named(client, "gone").sqlstate == "26000"


def test_many_statements_outlive_the_servers_cache(site):
    settings = {"default_pool_size": 1, "max_prepared_statements": 10}
    # The name built so that pgweir does not see what is asked for: then the client would see its own.
    ask = "SELECT query_to_xml('SELECT count(*) AS n FROM pg_prepared_' || 'statements', true, true, '')"
    with site.pgweir(settings=settings) as p, p.raw() as client:
        for i in range(50):
            prepare(client, f"s{i}", f"SELECT {i}")
        for i in range(50):
            assert run_named(client, f"s{i}").value() == str(i)
        assert int(client.value(ask).split("<n>")[1].split("<")[0]) <= 11
        assert client.value("SELECT count(*) FROM pg_prepared_statements") == "50"


def test_max_prepared_statements_zero_still_serves_unnamed_ones(site):
    with site.pgweir(settings={"max_prepared_statements": 0}) as p, p.raw() as client:
        assert client.prepared("SELECT $1::int", [5]).value() == "5"


def test_psycopg3_prepared_statement_survives_a_new_server(pooler, superuser):
    with pooler.connect3(prepare_threshold=0) as conn:
        assert conn.execute("SELECT %s::int", (1,)).fetchone() == (1,)
        superuser("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                  "WHERE usename = 'app'")
        assert conn.execute("SELECT %s::int", (1,)).fetchone() == (1,)


@pytest.mark.threads
def test_many_clients_with_the_same_statements(pooler):
    """ORMs prepare the same texts under the same names on every connection."""
    clients = [pooler.connect3(prepare_threshold=0) for _ in range(12)]
    for i in range(20):
        for n, conn in enumerate(clients):
            assert conn.execute("SELECT %s::int * %s::int", (n, i)).fetchone() == (n * i,)
    for conn in clients:
        conn.close()


def test_portal_inside_a_transaction(pooler):
    with pooler.raw() as client:
        client.query("BEGIN").check()
        client.run(parse("g", "SELECT generate_series(1, 5)") + bind("p", "g") + pgwire.SYNC)
        first = client.run(execute("p", 2) + pgwire.SYNC)
        assert first.kinds == "DDsZ" and first.status == "T"
        assert len(client.run(execute("p", 0) + pgwire.SYNC).rows) == 3
        client.query("COMMIT").check()
        assert client.run(execute("p") + pgwire.SYNC).sqlstate == "34000"


def test_error_inside_psycopg3_pipeline_of_prepared_statements(pooler):
    with pooler.connect3(prepare_threshold=0) as conn:
        with pytest.raises(psycopg.errors.DivisionByZero), conn.pipeline():
            conn.execute("SELECT %s::int", (1,))
            conn.execute("SELECT 1 / %s::int", (0,))
        assert conn.execute("SELECT %s::int", (2,)).fetchone() == (2,)


@pytest.mark.parametrize("total", [262_145, 700_000, 1 << 20])
@pytest.mark.parametrize("behind", [b"", parse("", "SELECT 1") + bind() + execute() + pgwire.FLUSH],
                         ids=["alone", "behind a flush"])
def test_named_statement_larger_than_a_unit(pooler, busy, total, behind):
    """Its Parse is kept until it is whole, then it is a statement like any other."""
    head = len(parse("large", "SELECT length('')"))
    size = total - head
    large = parse("large", "SELECT length('" + "x" * size + "')")
    assert len(large) == total
    with pooler.raw() as client:
        if behind:
            client.send(behind)
            client.read_until("C")
        client.send(large + bind("", "large") + execute() + pgwire.SYNC)
        assert client.result().value() == str(size)
        for _ in range(3):
            with busy(), busy():
                assert run_named(client, "large").value() == str(size)
            with busy():
                assert run_named(client, "large").value() == str(size)
        assert client.query("SELECT 1").value() == "1"


def test_named_statement_in_pieces_behind_a_flush(pooler, busy):
    """Of its Parse the head may come alone."""
    with pooler.raw() as client:
        client.send(parse("", "SELECT 1") + bind() + execute() + pgwire.FLUSH)
        client.read_until("C")
        client.send_in_pieces(parse("pieces", "SELECT 7"), 5, 0.02)
        client.send(bind("", "pieces") + execute() + pgwire.SYNC)
        assert client.result().value() == "7"
        with busy(), busy():
            assert run_named(client, "pieces").value() == "7"


def pins(pooler):
    return [row["cause"] for row in pooler.show("PINS")]


@pytest.mark.parametrize("size", [1 << 20, 5_000_000])
def test_named_statement_too_large_to_keep_stays_where_it_is(pooler, size):
    with pooler.raw() as client, pooler.raw() as other:
        client.send(parse("large", "SELECT length('" + "x" * size + "')") + pgwire.SYNC)
        assert client.result().check().kinds == "1Z"
        assert pins(pooler) == ["large_statement"]
        assert run_named(other, "large").sqlstate == "26000"
        for _ in range(3):
            other.query("SELECT 1").check()
            assert run_named(client, "large").value() == str(size)
            client.query("SET search_path = public").check()
        assert client.run(parse("large", "SELECT 1") + pgwire.SYNC).sqlstate == "42P05"
        client.send(parse("large", "SELECT length('" + "y" * size + "')") + pgwire.SYNC)
        assert client.result().sqlstate == "42P05"
        assert run_named(client, "large").value() == str(size)
        assert client.run(close("S", "large") + pgwire.SYNC).check().kinds == "3Z"
        assert pins(pooler) == []
        assert run_named(client, "large").sqlstate == "26000"
    for _ in range(4):
        with pooler.raw() as other:
            assert run_named(other, "large").sqlstate == "26000"
            assert other.query("EXECUTE large").sqlstate == "26000"


@pytest.mark.parametrize("end", ["DEALLOCATE a; DEALLOCATE b", "DEALLOCATE ALL", "DISCARD ALL"])
def test_pin_of_large_statements_ends_with_the_last(pooler, end):
    with pooler.raw() as client:
        for name in "ab":
            client.send(parse(name, "SELECT length('" + "x" * (1 << 20) + "')") + pgwire.SYNC)
            client.result().check()
        client.run(parse("c", "SELECT 3") + close("S", "c") + pgwire.SYNC).check()
        if end.startswith("DEALLOCATE a"):
            client.query("DEALLOCATE a").check()
            assert pins(pooler) == ["large_statement"]
            end = "DEALLOCATE b"
        client.query(end).check()
        assert pins(pooler) == []
        assert run_named(client, "b").sqlstate == "26000"
        assert client.value("SELECT 1") == "1"


def test_large_statement_that_does_not_parse(pooler):
    with pooler.raw() as client:
        client.send(parse("large", "SELECT nothing('" + "x" * (1 << 20) + "')") + pgwire.SYNC)
        assert client.result().sqlstate == "42883"
        assert run_named(client, "large").sqlstate == "26000"
        prepare(client, "large", "SELECT 1")
        assert run_named(client, "large").value() == "1"


@pytest.mark.parametrize("size", [100_000, 250_000])
@pytest.mark.parametrize("before", [b"", parse("", "SELECT 1") + bind() + execute() + pgwire.FLUSH],
                         ids=["alone", "behind a flush"])
def test_large_unnamed_statement_bound_in_another_unit(pooler, busy, size, before):
    """Go's lib/pq does so with every statement."""
    with pooler.raw() as client:
        client.send(before)
        if before:
            client.read_until("C")
        client.send(parse("", "SELECT length('" + "x" * size + "')") + pgwire.SYNC)
        client.result().check()
        with busy(), busy():
            assert run_named(client, "").value() == str(size)
        assert client.prepared("SELECT 2").value() == "2"
        with busy():
            assert run_named(client, "").value() == "2"


def test_memory_of_statements_is_bounded(site):
    """100,000 texts of one client; where there is room no more, Parse says so, and all else goes
    on."""
    settings = {"default_pool_size": 2, "max_statement_memory": "8MB", "workers": 1}
    with site.pgweir(settings=settings) as p, p.raw() as client, p.raw() as other:
        before, refused, n = p.rss_kib(), 0, 1000
        for start in range(0, 100_000, n):
            units = [parse(f"s{i}", f"SELECT {i}") for i in range(start, start + n)]
            client.send(b"".join(unit + pgwire.SYNC for unit in units))
            for _ in range(n):
                result = client.result()
                if result.errors:
                    assert result.sqlstate == "53400"
                    assert "max_statement_memory" in result.errors[0].fields["H"]
                    refused += 1
        assert 80_000 < refused < 99_000
        if not site.sanitizer:
            assert p.rss_kib() - before < 12 << 10
        assert run_named(client, "s0").value() == "0"
        assert run_named(client, "s99999").sqlstate == "26000"
        assert client.prepared("SELECT 5").value() == "5"
        prepare(other, "s", "SELECT 'other'")
        assert run_named(other, "s").value() == "other"
        client.run(close("S", "s0") + pgwire.SYNC).check()
        prepare(client, "s0", "SELECT 1")
        client.query("DEALLOCATE ALL").check()
        prepare(client, "s1", "SELECT 1")


def test_refused_parse_ends_its_series_and_its_transaction(site):
    settings = {"default_pool_size": 1, "max_statement_memory": "1MB", "workers": 1}
    with site.pgweir(settings=settings) as p, p.raw() as client:
        client.query("BEGIN").check()
        for name, size in (("a", 200_000), ("b", 200_000)):
            client.send(parse(name, "SELECT length('" + "x" * size + "')") + bind("", name) +
                        execute() + pgwire.SYNC)
            result = client.result()
        assert result.kinds == "EZ" and result.sqlstate == "53400" and result.status == "E"
        assert client.query("ROLLBACK").status == "I"
        assert run_named(client, "a").value() == "200000"


# --- a Parse that needs no server -----------------------------------------------------------------

@pytest.fixture
def single(site):
    """One server."""
    with site.pgweir(settings={"default_pool_size": 1, "query_wait_timeout": 2}) as p:
        yield p


class Holding:
    """Nobody else gets a server while the block runs."""

    def __init__(self, pooler):
        self.client = pooler.raw()

    def __enter__(self):
        self.client.query("BEGIN; SELECT 1").check()

    def __exit__(self, *_):
        self.client.query("ROLLBACK").check()
        self.client.close()


def test_known_statement_is_parsed_without_a_server(single):
    with single.raw() as one, single.raw() as two:
        prepare(one, "s", "SELECT 7")
        with Holding(single):
            prepare(two, "mine", "SELECT 7")
            assert two.run(parse("mine", "SELECT 7") + pgwire.SYNC).sqlstate == "53300", \
                "the name is taken: that is for the server to say"
            assert two.query("BEGIN").status == "T"
            assert two.run(parse("in block", "SELECT 7") + pgwire.SYNC).check().status == "T"
            assert two.query("ROLLBACK").status == "I"
        assert run_named(two, "mine").value() == "7"
        assert run_named(two, "in block").value() == "7"
        assert two.run(parse("mine", "SELECT 7") + pgwire.SYNC).sqlstate == "42P05"
        assert two.run(close("S", "mine") + pgwire.SYNC).check().kinds == "3Z"
        assert run_named(two, "mine").sqlstate == "26000"


@pytest.mark.parametrize("other", [
    {"sql": "SELECT 8"}, {"types": (23,)}, {"before": "SET search_path = red"},
    {"before": "SET client_encoding = LATIN1"}, {"unit": "describe"}, {"unit": "two"},
    {"block": "SET LOCAL search_path = red"},
])
def test_another_statement_is_not(single, other):
    with single.raw() as one, single.raw() as two:
        prepare(one, "s", "SELECT 7")
        if "before" in other:
            two.query(other["before"]).check()
        if "block" in other:
            two.query("BEGIN").check()
            two.query(other["block"]).check()
        more = {"describe": describe("S", "s"), "two": parse("t", "SELECT 7")}
        with Holding(single):
            unit = parse("s", other.get("sql", "SELECT 7"), other.get("types", ())) + \
                more.get(other.get("unit"), b"") + pgwire.SYNC
            assert two.run(unit).sqlstate == "53300"


def test_what_does_not_parse_is_never_known(single):
    with single.raw() as one:
        for name in "abc":
            assert one.run(parse(name, "SELECT * FROM nowhere") + pgwire.SYNC).sqlstate == "42P01"


def test_table_dropped_in_between_is_an_error_on_execute(single, new_table, superuser):
    table = new_table("a int")
    with single.raw() as one, single.raw() as two:
        prepare(one, "s", f"SELECT a FROM {table}")
        superuser(f"DROP TABLE {table}")
        prepare(two, "s", f"SELECT a FROM {table}")
        assert run_named(two, "s").sqlstate == "42P01"
        assert two.value("SELECT 1") == "1"
        assert run_named(two, "s").sqlstate == "42P01"
        assert run_named(one, "s").sqlstate == "42P01"


def test_after_ddl_a_statement_is_parsed_again(single, new_table):
    table = new_table("a int")
    with single.raw() as one, single.raw() as two:
        prepare(one, "s", f"SELECT a FROM {table}")
        one.query(f"DROP TABLE {table}").check()
        with Holding(single):
            assert two.run(parse("s", f"SELECT a FROM {table}") + pgwire.SYNC).sqlstate == "53300"


def test_statement_of_another_database_is_unknown(site, new_table):
    table = new_table("a int")
    databases = site.app_on([site.cluster.primary])
    databases["elsewhere"] = databases["app"].replace("dbname=app", "dbname=postgres")
    with site.pgweir(databases) as p:
        with p.raw() as one, p.raw(database="elsewhere") as two:
            prepare(one, "s", f"SELECT a FROM {table}")
            assert two.run(parse("s", f"SELECT a FROM {table}") + pgwire.SYNC).sqlstate == "42P01"


def test_one_thread_prepares_for_more_clients_than_servers(site):
    """pgbench waits in PQprepare for one client, while its other clients hold all servers."""
    with site.pgweir(settings={"default_pool_size": 2, "query_wait_timeout": 20}) as p:
        done = p.pgbench("-M", "prepared", "-c", "8", "-j", "1", "-t", "20")
        assert (done["done"], done["failed"]) == (160, 0)


@pytest.mark.parametrize("own", ["CREATE TEMP TABLE own (a int)", "BEGIN; CREATE TABLE own (a int)",
                                 "BEGIN; SET LOCAL search_path = pg_catalog"])
def test_what_one_client_alone_can_parse_is_not_known(pooler, own):
    sql = "SELECT 1 FROM pg_class" if "SET" in own else "SELECT a FROM own"
    with pooler.raw() as one, pooler.raw() as two:
        one.query(own).check()
        assert one.run(parse("s", sql) + pgwire.SYNC).check().kinds == "1Z"
        two.query("BEGIN").check()
        with pooler.raw() as three, pooler.raw() as four:
            for holder in (three, four):
                holder.query("BEGIN; SELECT 1").check()
            two.send(parse("s", sql) + pgwire.SYNC)
            assert two.is_silent_for(0.3), "it waits for a server to say so"
            three.query("ROLLBACK").check()
            assert two.result().sqlstate == (None if "SET" in own else "42P01")
            four.query("ROLLBACK").check()
        two.query("ROLLBACK").check()
        one.query("ROLLBACK; DROP TABLE IF EXISTS own").check()
