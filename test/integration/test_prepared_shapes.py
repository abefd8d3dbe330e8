"""What a client was told of a prepared statement's result holds, whatever becomes of the tables."""
import threading
import time

import pgwire
import pytest
from pgwire import bind, close, describe, execute, parse
from rawclient import RawClient

CHANGED = ("0A000", "cached plan must not change result type", "RevalidateCachedQuery")


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 3, "workers": 1}) as p:
        yield p


@pytest.fixture
def shaped(new_table, superuser):
    """A table with a row, of which a column is about to be added."""
    class Table:
        name = new_table("a int")
        sql = f"SELECT * FROM {name}"

        @staticmethod
        def change(do="ADD b text DEFAULT 'new'"):
            superuser(f"ALTER TABLE {Table.name} {do}")
    superuser(f"INSERT INTO {Table.name} VALUES (1)")
    return Table


class Locked:
    """The table is locked against parsing."""

    def __init__(self, superuser, table):
        self.superuser, self.table = superuser, table
        self.thread = None

    def __enter__(self):
        sql = f"BEGIN; LOCK TABLE {self.table.name}; SELECT pg_sleep(1.5); COMMIT"
        self.thread = threading.Thread(target=self.superuser, args=(sql,))
        self.thread.start()
        time.sleep(0.4)

    def __exit__(self, *_):
        self.thread.join()


class Held:
    """All other servers of the pool are held, so that a client gets `server`, or another one."""

    def __init__(self, pooler, n):
        self.clients = [pooler.raw() for _ in range(n)]
        for client in self.clients:
            client.query("BEGIN; SELECT 1").check()

    def free(self):
        self.clients[-1].query("ROLLBACK").check()
        self.clients.pop().close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self.clients:
            self.free()


@pytest.fixture
def elsewhere(site):
    """A pool of two servers: elsewhere(client) holds the one that the client was on last."""
    with site.pgweir(settings={"default_pool_size": 2, "workers": 1}) as p:
        def hold(client):
            pid = client.value("SELECT pg_backend_pid()")
            holders = [p.raw(), p.raw()]
            for holder in holders:
                holder.query("BEGIN").check()
            pids = [h.value("SELECT pg_backend_pid()") for h in holders]
            assert pid in pids
            other = holders.pop(1 - pids.index(pid))
            other.query("ROLLBACK").check()
            other.close()
            return holders[0]
        hold.pooler = p
        yield hold


def run_named(client, name, describes=False):
    unit = bind("", name) + (describe("P") if describes else b"") + execute() + pgwire.SYNC
    return client.run(unit)


def prepare_and_describe(client, name, sql):
    return client.run(parse(name, sql) + describe("S", name) + pgwire.SYNC).check()


def assert_changed(result):
    fields = result.errors[0].fields
    assert (fields["C"], fields["M"], fields["R"]) == CHANGED


# --- a server that has not parsed it --------------------------------------------------------------

def test_same_result_on_another_server(elsewhere, shaped):
    with elsewhere.pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        with elsewhere(client):
            assert run_named(client, "s").check().kinds == "2DCZ"
            assert run_named(client, "s").check().kinds == "2DCZ"


def test_changed_result_on_another_server(elsewhere, shaped):
    """Never new rows for the old description; nothing of the unit is run."""
    with elsewhere.pooler.raw() as client:
        sql = f"INSERT INTO {shaped.name} (a) VALUES (7) RETURNING *"
        prepare_and_describe(client, "s", shaped.sql)
        prepare_and_describe(client, "i", sql)
        shaped.change()
        with elsewhere(client):
            for name in ("s", "i", "s"):
                result = run_named(client, name)
                assert result.kinds == "EZ"
                assert_changed(result)
            assert client.value(f"SELECT count(*) FROM {shaped.name}") == "1"
            assert run_named(client, "s").sqlstate == "0A000", "as long as it is not closed"
            client.run(close("S", "s") + pgwire.SYNC).check()
            assert len(prepare_and_describe(client, "s", shaped.sql).columns) == 2
            assert run_named(client, "s").check().rows == [("1", "new")]


def test_changed_result_in_a_transaction_on_another_server(elsewhere, shaped):
    with elsewhere.pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        shaped.change()
        with elsewhere(client):
            client.query("BEGIN").check()
            result = run_named(client, "s")
            assert_changed(result)
            assert result.status == "E"
            assert client.query("SELECT 1").sqlstate == "25P02"
            assert client.query("ROLLBACK").status == "I"


@pytest.mark.parametrize("change", ["ALTER a TYPE text", "RENAME a TO b", "DROP a"])
def test_every_kind_of_change_is_seen(elsewhere, shaped, change):
    with elsewhere.pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        shaped.change(change)
        with elsewhere(client):
            assert_changed(run_named(client, "s"))


def test_what_does_not_change_the_result_changes_nothing(elsewhere, shaped, superuser):
    with elsewhere.pooler.raw() as client:
        prepare_and_describe(client, "s", f"SELECT a FROM {shaped.name}")
        superuser(f"BEGIN; ALTER TABLE {shaped.name} ADD b text; ALTER TABLE {shaped.name} RENAME "
                  f"TO old; CREATE TABLE {shaped.name} AS SELECT * FROM old; DROP TABLE old;"
                  f"ALTER TABLE {shaped.name} OWNER TO app; COMMIT")
        with elsewhere(client):
            assert run_named(client, "s").value() == "1"
        assert run_named(client, "s").value() == "1"


def test_unit_that_describes_sees_the_new_result_elsewhere(elsewhere, shaped):
    with elsewhere.pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        shaped.change()
        with elsewhere(client):
            assert run_named(client, "s", describes=True).check().rows == [("1", "new")]
            assert run_named(client, "s").check().rows == [("1", "new")], "it was told"


def test_portal_description_counts(elsewhere, shaped):
    """pgjdbc keeps what the first Describe of a portal tells."""
    with elsewhere.pooler.raw() as client:
        first = parse("s", shaped.sql) + bind("", "s") + describe("P") + execute() + pgwire.SYNC
        assert client.run(first).check().kinds == "12TDCZ"
        shaped.change()
        with elsewhere(client):
            assert_changed(run_named(client, "s"))


def test_second_statement_of_a_series_on_another_server(elsewhere, shaped):
    with elsewhere.pooler.raw() as client:
        prepare_and_describe(client, "one", "SELECT 1")
        prepare_and_describe(client, "s", shaped.sql)
        unit = bind("", "one") + execute() + bind("", "s") + execute() + pgwire.SYNC
        with elsewhere(client):
            assert client.run(unit).check().kinds == "2DC2DCZ"
        with elsewhere(client):
            assert client.run(unit).check().kinds == "2DC2DCZ"
        shaped.change()
        client.run(parse("other", shaped.sql + " LIMIT 3") + describe("S", "other") + pgwire.SYNC)
        assert client.run(unit).kinds == "2DCEZ"


def test_pipelined_units_wait_for_the_check(elsewhere, shaped):
    with elsewhere.pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        with elsewhere(client):
            one = bind("", "s") + execute() + pgwire.SYNC
            client.send(one + pgwire.query("SELECT 'behind'") + one)
            assert client.result().value() == "1"
            assert client.result().value() == "behind"
            assert client.result().value() == "1"


def test_table_that_is_gone_elsewhere(elsewhere, shaped, superuser):
    with elsewhere.pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        superuser(f"DROP TABLE {shaped.name}")
        with elsewhere(client):
            for begin in (False, True):
                if begin:
                    client.query("BEGIN").check()
                result = run_named(client, "s")
                assert result.sqlstate == "42P01" and result.status == "E" if begin else "I"
            assert client.query("ROLLBACK").status == "I"


def test_client_that_leaves_while_it_is_asked(elsewhere, shaped, superuser):
    """The server is told the end of what was begun, and is used again."""
    client = elsewhere.pooler.raw()
    prepare_and_describe(client, "s", shaped.sql)
    with elsewhere(client):
        with Locked(superuser, shaped):
            client.send(bind("", "s") + execute() + pgwire.SYNC)
            assert client.is_silent_for(0.3)
            client.close()
        with elsewhere.pooler.raw() as other:
            assert other.value("SELECT 1") == "1"
    with elsewhere.pooler.raw() as other:
        assert run_named(other, "s").sqlstate == "26000"
        assert prepare_and_describe(other, "s", shaped.sql).columns == [("a", 23)]
        assert run_named(other, "s").value() == "1"


def test_server_that_is_lost_while_it_is_asked(elsewhere, shaped, superuser):
    with elsewhere.pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        with elsewhere(client):
            with Locked(superuser, shaped):
                client.send(bind("", "s") + execute() + pgwire.SYNC + pgwire.query("SELECT 2"))
                assert client.is_silent_for(0.3)
                superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                          "WHERE usename = 'app' AND wait_event_type = 'Lock'")
                assert client.result().sqlstate == "57P01"
                assert client.result().value() == "2"
        assert run_named(client, "s").value() == "1"


# --- a server that has parsed it before -----------------------------------------------------------

def test_0a000_as_on_a_private_connection(pooler, shaped):
    with pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        assert run_named(client, "s").value() == "1"
        shaped.change()
        for _ in range(3):
            assert_changed(run_named(client, "s"))


@pytest.mark.parametrize("n_clients", [1, 3])
def test_unit_that_describes_is_healed(pooler, shaped, n_clients):
    """libpq describes in every unit."""
    clients = [pooler.raw() for _ in range(n_clients)]
    for client in clients:
        prepare_and_describe(client, "s", shaped.sql)
    for n in range(2, 5):
        shaped.change(f"ADD c{n} int DEFAULT {n}")
        for client in clients:
            result = run_named(client, "s", describes=True).check()
            assert result.kinds == "2TDCZ" and len(result.columns) == n
            assert result.rows == [tuple(str(i) for i in range(1, n + 1))]
    for client in clients:
        client.close()


def test_healed_once_with_all_parameters(pooler, new_table, superuser):
    table = new_table("a int, b text")
    with pooler.raw() as client:
        prepare_and_describe(client, "i", f"INSERT INTO {table} VALUES ($1, $2) RETURNING *")
        superuser(f"ALTER TABLE {table} ADD c int DEFAULT 3")
        unit = bind("", "i", [b"1", b"x" * 9000]) + describe("P") + execute() + pgwire.SYNC
        assert client.run(unit).check().rows == [("1", "x" * 9000, "3")]
        assert client.value(f"SELECT count(*) FROM {table}") == "1"


def test_in_a_transaction_nothing_is_healed(pooler, shaped):
    with pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        shaped.change()
        client.query("BEGIN").check()
        assert_changed(run_named(client, "s", describes=True))
        client.query("ROLLBACK").check()
        assert run_named(client, "s", describes=True).check().rows == [("1", "new")]


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "pgweir"])
def test_changed_result_inside_a_transaction_is_postgresqls_own_error(pooler, shaped, direct):
    """A statement prepared before the change fails there on a connection of one's own, too."""
    site = pooler.site
    port = site.cluster.primary.port if direct else pooler.port
    with RawClient(port) as client:
        client.login("app", site.passwords["app"], "app")
        prepare_and_describe(client, "s", shaped.sql)
        shaped.change()
        client.query("BEGIN").check()
        refused = client.run(bind("", "s") + describe("P") + execute() + pgwire.SYNC)
        assert_changed(refused)
        assert refused.status == "E"
        client.query("ROLLBACK").check()
        client.query("BEGIN").check()
        client.run(close("S", "s") + pgwire.SYNC).check()
        prepare_and_describe(client, "s", shaped.sql)
        assert run_named(client, "s").check().rows == [("1", "new")]
        client.query("COMMIT").check()


def test_not_healed_where_something_has_run_before(pooler, shaped):
    with pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        prepare_and_describe(client, "i", f"INSERT INTO {shaped.name} VALUES (2)")
        shaped.change()
        unit = bind("", "i") + execute() + bind("", "s") + describe("P") + execute() + pgwire.SYNC
        result = client.run(unit)
        assert result.kinds == "2CEZ"
        assert client.value(f"SELECT count(*) FROM {shaped.name}") == "1"


def test_not_healed_where_another_unit_is_under_way(pooler, shaped):
    """What was sent behind it has run before it could run again."""
    with pooler.raw() as client:
        prepare_and_describe(client, "s", shaped.sql)
        shaped.change()
        unit = bind("", "s") + describe("P") + execute() + pgwire.SYNC
        client.send(unit + pgwire.query("SELECT 2"))
        assert client.result().sqlstate == "0A000"
        assert client.result().value() == "2"


def test_statement_parsed_after_the_change_is_the_new_one(pooler, shaped):
    """Servers may still have the old one, of another client."""
    with pooler.raw() as old:
        for _ in range(3):
            with Held(pooler, 2) as held:
                prepare_and_describe(old, f"s{len(held.clients)}", shaped.sql)
                old.run(close("S", f"s{len(held.clients)}") + pgwire.SYNC).check()
        shaped.change()
        for _ in range(4):
            with pooler.raw() as new:
                result = prepare_and_describe(new, "s", shaped.sql)
                assert len(result.columns) == 2
                assert run_named(new, "s").check().rows == [("1", "new")]


def test_statement_parsed_inside_the_transaction_that_changes(pooler, shaped):
    with pooler.raw() as client, pooler.raw() as other:
        prepare_and_describe(other, "s", shaped.sql)
        client.query("BEGIN").check()
        client.query(f"ALTER TABLE {shaped.name} ADD b text DEFAULT 'new'").check()
        assert len(prepare_and_describe(client, "s", shaped.sql).columns) == 2
        assert run_named(client, "s").check().rows == [("1", "new")]
        client.query("ROLLBACK").check()
        assert run_named(other, "s").check().rows == [("1",)]
        assert_changed(run_named(client, "s"))
        assert run_named(other, "s").check().rows == [("1",)]


def test_unnamed_statement_bound_in_another_unit(elsewhere, shaped):
    """Go's lib/pq: Parse, Describe, Sync; then Bind, Execute, Sync."""
    p = elsewhere.pooler
    with p.raw() as client:
        for change in (False, True):
            with elsewhere(client) as here:
                client.run(parse("", shaped.sql) + describe("S") + pgwire.SYNC).check()
                there = p.raw()
                there.send(pgwire.query("BEGIN; SELECT 1"))
                if change:
                    shaped.change()
                here.query("ROLLBACK").check()
                there.result().check()
                result = client.run(bind() + execute() + pgwire.SYNC)
                there.query("ROLLBACK").check()
                there.close()
            if change:
                assert_changed(result)
            else:
                assert result.value() == "1"
