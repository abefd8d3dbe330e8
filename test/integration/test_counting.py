"""Every number on the console and in the metrics is what was done, exactly."""
import time

import pgwire
import pytest
from pgwire import bind, describe, execute, parse
from tools import proc

pytestmark = pytest.mark.threads
N_CLIENTS = 6


@pytest.fixture
def pooler(site):
    """Two workers; one pool of two servers on one node."""
    settings = {"workers": 2, "default_pool_size": 2}
    with site.pgweir(settings=settings) as p:
        yield p


@pytest.fixture
def clients(pooler):
    """Logged in, each served once, so that both servers are open."""
    made = [pooler.raw(application_name=f"counted {i}") for i in range(N_CLIENTS)]
    for client in made:
        client.query("BEGIN; SELECT 1").check()
        if client is not made[0]:
            client.query("COMMIT").check()
            made[0].query("COMMIT").check()
            made[0].query("BEGIN; SELECT 1").check()
    made[0].query("COMMIT").check()
    yield made
    for client in made:
        client.close()


class Delta:
    """What a block added to the row of STATS_TOTALS of a database, and to the clients' bytes."""

    def __init__(self, pooler, clients, database="app"):
        self.pooler, self.clients, self.database = pooler, clients, database
        self.added = {}
        self.sent = self.received = 0

    def _row(self):
        row = self.pooler.show_one("STATS_TOTALS", database=self.database)
        return {k: int(v) for k, v in row.items() if k != "database"}

    def _bytes(self):
        return sum(c.n_sent for c in self.clients), sum(c.n_received for c in self.clients)

    def __enter__(self):
        self._before, self._bytes_before = self._row(), self._bytes()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            after, moved = self._row(), self._bytes()
            self.added = {k: after[k] - self._before[k] for k in after}
            self.sent = moved[0] - self._bytes_before[0]
            self.received = moved[1] - self._bytes_before[1]

    def __getitem__(self, name):
        return self.added[name]


def test_simple_queries_are_counted(pooler, clients):
    with Delta(pooler, clients) as delta:
        for client in clients:
            for i in range(10):
                client.query(f"SELECT {i}").check()
    assert delta["query_count"] == delta["xact_count"] == 10 * N_CLIENTS
    assert delta["server_assignment_count"] == 10 * N_CLIENTS
    assert delta["bytes_received"] == delta.sent
    assert delta["bytes_sent"] == delta.received
    assert delta["client_parse_count"] == delta["bind_count"] == delta["client_login_count"] == 0


def test_transactions_are_counted_once(pooler, clients):
    with Delta(pooler, clients) as delta:
        for client in clients:
            for sql in ("BEGIN", "SELECT 1", "SELECT 2", "COMMIT"):
                client.query(sql).check()
            client.query("BEGIN; SELECT 1; COMMIT").check()
    assert delta["xact_count"] == delta["server_assignment_count"] == 2 * N_CLIENTS
    assert delta["query_count"] == 5 * N_CLIENTS
    assert delta["bytes_received"] == delta.sent
    assert delta["bytes_sent"] == delta.received


def test_errors_count_as_queries(pooler, clients):
    with Delta(pooler, clients) as delta:
        for client in clients:
            assert client.query("SELECT 1/0").sqlstate == "22012"
            assert client.prepared("SELECT nothing()").sqlstate == "42883"
    assert delta["query_count"] == delta["xact_count"] == 2 * N_CLIENTS
    assert delta["client_parse_count"] == N_CLIENTS
    assert delta["bytes_sent"] == delta.received


def test_parses_and_binds_are_counted(pooler, clients):
    with Delta(pooler, clients) as delta:
        for client in clients:
            client.run(parse("counted", "SELECT 'counted'") + describe("S", "counted")
                       + pgwire.SYNC).check()
            for _ in range(4):
                client.run(bind("", "counted") + execute() + pgwire.SYNC).check()
    assert delta["client_parse_count"] == N_CLIENTS
    assert delta["bind_count"] == 4 * N_CLIENTS
    assert 1 <= delta["server_parse_count"] <= 2, "the text is parsed once on each server"
    assert delta["query_count"] == 5 * N_CLIENTS


def test_logins_are_counted(pooler, clients):
    with Delta(pooler, clients) as delta:
        for _ in range(7):
            pooler.raw().close()
        with pytest.raises(Exception, match="28P01"):
            pooler.passwords["other"], kept = "wrong", pooler.passwords["other"]
            try:
                pooler.raw("other", "app")
            finally:
                pooler.passwords["other"] = kept
    assert delta["client_login_count"] == 7


def test_wait_time_is_the_time_waited(pooler, clients):
    first, second, waiter = clients[:3]
    for holder in (first, second):
        holder.query("BEGIN; SELECT 1").check()
    with Delta(pooler, clients) as delta:
        began = time.monotonic()
        waiter.send(pgwire.query("SELECT 1"))
        pooler.wait_show("POOLS", lambda row: row["cl_waiting"] == "1", database="app")
        assert waiter.is_silent_for(0.5)
        first.query("COMMIT").check()
        waiter.result().check()
        waited = (time.monotonic() - began) * 1e6
    second.query("COMMIT").check()
    assert 500_000 <= delta["wait_time"] <= waited


def test_query_time_and_transaction_time(pooler, clients):
    client = clients[0]
    with Delta(pooler, clients) as delta:
        began = time.monotonic()
        client.query("SELECT pg_sleep(0.3)").check()
        client.query("BEGIN; SELECT 1").check()
        time.sleep(0.3)  # idle in transaction, which is no query's time
        client.query("COMMIT").check()
        passed = (time.monotonic() - began) * 1e6
    assert 300_000 <= delta["query_time"] <= passed - 290_000
    assert 600_000 <= delta["xact_time"] <= passed


def test_rows_of_pools(pooler, clients):
    def pool():
        return pooler.show_one("POOLS", database="app", user="app")

    def counts(row):
        return {k: int(row[k]) for k in ("cl_active", "cl_waiting", "sv_active", "sv_idle",
                                         "sv_used", "sv_login", "maxwait")}
    idle = counts(pool())
    assert idle["cl_active"] == N_CLIENTS and idle["cl_waiting"] == idle["sv_active"] == 0
    assert idle["sv_idle"] + idle["sv_used"] == 2
    for holder in clients[:2]:
        holder.query("BEGIN; SELECT 1").check()
    for waiter in clients[2:5]:
        waiter.send(pgwire.query("SELECT 1"))
    row = pooler.wait_show("POOLS", lambda r: r["cl_waiting"] == "3", database="app")
    assert counts(row)["cl_active"] == N_CLIENTS - 3 and counts(row)["sv_active"] == 2
    assert counts(row)["sv_idle"] == 0
    time.sleep(1.1)
    assert counts(pool())["maxwait"] >= 1, "the oldest has waited for more than a second"
    for holder in clients[:2]:
        holder.query("COMMIT").check()
    for waiter in clients[2:5]:
        waiter.result().check()
    assert counts(pool())["maxwait"] == 0
    assert (pool()["pool_mode"], pool()["cl_active_cancel_req"]) == ("transaction", "0")


def test_logins_are_no_server_assignments(pooler):
    """The first login, and those with new start-up settings, have a server tell what to greet with."""
    with pooler.raw() as one, pooler.raw(work_mem="7MB", application_name="x") as two:
        one.query("SELECT 1").check()
        two.query("SELECT 1").check()
        row = pooler.show_one("STATS_TOTALS", database="app")
        assert (row["server_assignment_count"], row["query_count"]) == ("2", "2")


def test_every_wait_is_seen(pooler, clients):
    """Not only that in a pool's line: where no node is fit (here: PAUSE), and for a pin's place."""
    def waits(row):
        return row["cl_waiting"] == "1" and int(row["maxwait_us"]) + int(row["maxwait"]) > 0
    pooler.admin("PAUSE app")
    clients[0].send(pgwire.query("SELECT 1"))
    pooler.wait_show("POOLS", waits, database="app", user="app")
    pooler.admin("RESUME app")
    clients[0].result().check()
    clients[1].query("SELECT pg_advisory_lock(1)").check()  # of two servers one may be pinned
    clients[2].send(pgwire.query("SELECT pg_advisory_lock(2)"))
    pooler.wait_show("POOLS", waits, database="app", user="app")
    pooler.wait_show("NODE_POOLS", waits, database="app", user="app")
    clients[1].query("SELECT pg_advisory_unlock_all()").check()
    clients[2].result().check()
    row = pooler.show_one("POOLS", database="app", user="app")
    assert (row["cl_waiting"], row["maxwait"], row["maxwait_us"]) == ("0", "0", "0")


def test_rows_of_clients_and_servers(pooler, clients):
    active, waiting, idle = clients[:3]
    blocker = clients[3]
    for holder in (active, blocker):
        holder.query("BEGIN; SELECT 1").check()
    waiting.send(pgwire.query("SELECT 1"))
    pooler.wait_show("POOLS", lambda r: r["cl_waiting"] == "1", database="app")
    rows = {r["application_name"]: r for r in pooler.show("CLIENTS")}
    assert [rows[f"counted {i}"]["state"] for i in range(3)] == ["active", "waiting", "idle"]
    assert rows["counted 0"]["link"] and not rows["counted 2"]["link"]
    by_ptr = {r["ptr"]: r for r in pooler.show("SERVERS")}
    server = by_ptr[rows["counted 0"]["link"]]
    assert server["state"] == "active" and server["link"] == rows["counted 0"]["ptr"]
    assert server["remote_pid"] == active.value("SELECT pg_backend_pid()")
    assert len({r["id"] for r in rows.values()}) == len(rows)
    for holder in (active, blocker):
        holder.query("COMMIT").check()
    waiting.result().check()
    assert {r["state"] for r in pooler.show("SERVERS")} <= {"idle", "used"}
    del idle


def test_prepared_statements_column(pooler, clients):
    client = clients[0]
    for i in range(3):
        client.run(parse(f"c{i}", f"SELECT {i}") + pgwire.SYNC).check()
    assert pooler.show_one("CLIENTS", application_name="counted 0")["prepared_statements"] == "3"


def test_rows_of_lists(pooler, clients):
    def lists():
        return {r["list"]: int(r["items"]) for r in pooler.show("LISTS")}
    before = lists()
    more = [pooler.raw() for _ in range(5)]
    after = lists()
    assert after["used_clients"] == before["used_clients"] + 5
    assert after["used_servers"] + after["free_servers"] >= 2
    assert after["login_clients"] == 0 and after["pools"] >= 1
    for client in more:
        client.close()
    proc.wait_until("the clients to be forgotten",
                    lambda: lists()["used_clients"] == before["used_clients"])
    del clients


def test_rows_of_databases_and_users(pooler, clients):
    row = pooler.show_one("DATABASES", name="app")
    assert int(row["current_connections"]) == 2
    assert int(row["current_client_connections"]) == N_CLIENTS
    user = pooler.show_one("USERS", name="app")
    assert int(user["current_connections"]) == 2
    assert int(user["current_client_connections"]) == N_CLIENTS
    del clients


def test_totals_add_up(pooler, clients):
    for client in clients:
        client.query("SELECT 1").check()

    def by_database(name):  # the console's own commands count too
        return sum(int(r[name]) for r in pooler.show("STATS_TOTALS"))
    for name in ("query_count", "xact_count"):
        before = by_database(name)
        totals = {r["name"]: int(r["value"]) for r in pooler.show("TOTALS")}
        assert before <= totals[f"total_{name}"] <= by_database(name)


def test_workers_share_the_clients(pooler, clients):
    rows = pooler.show("WORKERS")
    assert len(rows) == 2
    assert sum(int(r["clients"]) for r in rows) >= N_CLIENTS
    del clients
