"""Limits of pools and clients, waiting in line, and timeouts."""
import threading
import time

import pgwire
import pytest
from fakeserver import FakeServer
from pgwire import Closed
from rawclient import RawClient, ServerError
from tools import proc


def hold(pooler, user="app", database="app"):
    """A client that keeps a server in an open transaction."""
    client = pooler.raw(user, database)
    client.query("BEGIN; SELECT 1").check()
    return client


def sqlstate_of(pooler, user="app", database="app"):
    """What a query of a new client ends in; where no server was ever had, the login does."""
    try:
        with pooler.raw(user, database) as client:
            return client.query("SELECT 1").sqlstate
    except ServerError as e:
        return e.sqlstate


def backends(superuser, where="usename = 'app'"):
    return int(superuser("SELECT count(*) FROM pg_stat_activity WHERE backend_type = "
                         f"'client backend' AND {where}"))


def test_pool_size_holds_and_the_line_moves(site, superuser):
    with site.pgweir(settings={"default_pool_size": 2}) as p:
        first, second = hold(p), hold(p)
        with p.raw() as third:
            third.send(pgwire.query("SELECT 3"))
            assert third.is_silent_for(0.3)
            assert p.show_one("POOLS", database="app")["cl_waiting"] == "1"
            assert backends(superuser) == 2
            first.query("COMMIT").check()
            assert third.result().value() == "3"
        second.query("COMMIT").check()


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_query_wait_timeout_is_an_error_and_the_session_lives(site, extended):
    settings = {"default_pool_size": 1, "query_wait_timeout": 1}
    with site.pgweir(settings=settings) as p, p.raw() as waiter:
        holder = hold(p)
        began = time.monotonic()
        result = waiter.prepared("SELECT 1") if extended else waiter.query("SELECT 1")
        assert 0.9 < time.monotonic() - began < 3 * p.slow
        assert result.kinds == "EZ" and result.sqlstate == "53300"
        assert "query_wait_timeout" in result.errors[0].fields["H"] \
            or "pool_size" in result.errors[0].fields["H"]
        holder.query("COMMIT").check()
        assert waiter.prepared("SELECT 2").value() == "2"


def test_waiters_are_served_in_the_order_they_came(site):
    with site.pgweir(settings={"default_pool_size": 1, "workers": 1}) as p:
        holder = hold(p)
        waiters = [p.raw() for _ in range(8)]
        for n, waiter in enumerate(waiters):
            waiter.send(pgwire.query("SELECT clock_timestamp()"))
            p.wait_show("POOLS", lambda row, n=n: int(row["cl_waiting"]) == n + 1,
                        database="app")
        holder.query("COMMIT").check()
        times = [w.result().value() for w in waiters]
        assert times == sorted(times)


def test_max_client_conn_refuses_the_next_login(site):
    with site.pgweir(settings={"max_client_conn": 3}) as p:
        clients = [p.raw() for _ in range(3)]
        with pytest.raises((ServerError, Closed)) as refused:
            p.raw()
        assert getattr(refused.value, "sqlstate", "53300") == "53300"
        assert clients[0].value("SELECT 1") == "1"
        clients[1].send(pgwire.TERMINATE)
        proc.wait_until("the place to be free", lambda: can_login(p))


def can_login(pooler):
    try:
        pooler.raw().close()
        return True
    except (ServerError, Closed):
        return False


def test_reserve_pool_helps_those_who_wait_long(site):
    settings = {"default_pool_size": 1, "reserve_pool_size": 1, "reserve_pool_timeout": 1}
    with site.pgweir(settings=settings) as p:
        holder = hold(p)
        with p.raw() as waiter, p.raw() as second:
            began = time.monotonic()
            waiter.send(pgwire.query("BEGIN; SELECT 'from the reserve'"))
            assert waiter.result().rows == [("from the reserve",)]
            assert time.monotonic() - began > 0.8
            second.send(pgwire.query("SELECT 2"))
            assert second.is_silent_for(1.5), "the reserve is one server"
            holder.query("COMMIT").check()
            assert second.result().value() == "2"


def test_min_pool_size_is_kept_open(site, superuser):
    with site.pgweir(settings={"min_pool_size": 3, "default_pool_size": 5}) as p:
        with p.raw() as client:
            client.query("SELECT 1").check()
            proc.wait_until("three servers", lambda: backends(superuser) == 3, 10 * p.slow)


def test_max_db_connections_holds_over_users(site, superuser):
    settings = {"default_pool_size": 5, "query_wait_timeout": 2}
    databases = site.app_on([site.cluster.primary], "max_db_connections=2")
    with site.pgweir(databases, settings=settings) as p:
        holders = [hold(p, "app"), hold(p, "other")]
        assert sqlstate_of(p, "other") == "53300"
        assert backends(superuser, "usename IN ('app', 'other')") == 2
        for holder in holders:
            holder.query("COMMIT").check()


def test_idle_server_of_another_user_makes_room(site):
    """A full database whose servers are idle in another pool must not starve anybody."""
    databases = site.app_on([site.cluster.primary], "max_db_connections=1")
    with site.pgweir(databases, settings={"query_wait_timeout": 5}) as p:
        for user in ("app", "other", "app", "other"):
            with p.raw(user) as client:
                assert client.value("SELECT current_user") == user


def test_max_user_connections_holds_over_databases(site, superuser):
    entry = site.app_on([site.cluster.primary])["app"]
    with site.pgweir({"app": entry, "app2": entry}, users={"app": "max_user_connections=1"},
                     settings={"query_wait_timeout": 1}) as p:
        holder = hold(p)
        assert sqlstate_of(p, database="app2") == "53300"
        assert backends(superuser) == 1
        holder.query("COMMIT").check()


def test_max_node_connections_is_shared_by_pools(site, superuser):
    entry = site.app_on([site.cluster.primary])["app"]
    settings = {"max_node_connections": 2, "query_wait_timeout": 1}
    with site.pgweir({"app": entry, "app2": entry}, settings=settings) as p:
        holders = [hold(p), hold(p, database="app2")]
        assert sqlstate_of(p, "other") == "53300"
        assert backends(superuser, "usename IN ('app', 'other')") == 2
        for holder in holders:
            holder.query("COMMIT").check()


def test_idle_servers_are_closed(site, superuser):
    with site.pgweir(settings={"server_idle_timeout": 1}) as p, p.raw() as client:
        client.query("SELECT 1").check()
        assert backends(superuser) == 1
        proc.wait_until("the idle server to be closed", lambda: backends(superuser) == 0,
                        10 * p.slow)
        assert client.value("SELECT 1") == "1"


def test_old_servers_are_replaced(site):
    with site.pgweir(settings={"server_lifetime": 1, "default_pool_size": 1}) as p:
        with p.raw() as client:
            first = client.value("SELECT pg_backend_pid()")
            proc.wait_until("a new server", lambda: client.value(
                "SELECT pg_backend_pid()") != first, 10 * p.slow, 0.2)


def test_query_timeout_ends_the_query(site, superuser):
    with site.pgweir(settings={"query_timeout": 1, "default_pool_size": 1}) as p:
        with p.raw() as client, p.raw() as other:
            client.send(pgwire.query("SELECT pg_sleep(60) /* timeout */"))
            assert client.read_message().kind == "E"
            assert other.value("SELECT 1") == "1"
            proc.wait_until("the query to end", lambda: backends(
                superuser, "state = 'active' AND query LIKE '%pg_sleep(60) /* timeout%' "
                           "AND usename = 'app'") == 0)


def test_idle_transaction_timeout_rolls_back(site, new_table):
    table = new_table("a int")
    with site.pgweir(settings={"idle_transaction_timeout": 1, "default_pool_size": 1}) as p:
        with p.raw() as client, p.raw() as other:
            client.query(f"BEGIN; INSERT INTO {table} VALUES (1)").check()
            assert "E" in [m.kind for m in client.wait_closed(10 * p.slow)]
            assert other.value(f"SELECT count(*) FROM {table}") == "0"


def test_client_idle_timeout_ends_the_session(site):
    with site.pgweir(settings={"client_idle_timeout": 1}) as p, p.raw() as client:
        client.query("SELECT 1").check()
        began = time.monotonic()
        client.wait_closed(10 * p.slow)
        assert time.monotonic() - began > 0.8


@pytest.mark.threads
def test_no_server_idles_while_a_client_waits(site):
    """Many short waits over several workers: nobody is forgotten in line."""
    settings = {"default_pool_size": 3, "workers": 4, "query_wait_timeout": 20}
    with site.pgweir(settings=settings) as p:
        longest, lock = [0.0], threading.Lock()

        def work():
            with p.raw() as client:
                for _ in range(100):
                    began = time.monotonic()
                    client.query("SELECT 1").check()
                    with lock:
                        longest[0] = max(longest[0], time.monotonic() - began)

        threads = [threading.Thread(target=work) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert longest[0] < 2.0 * p.slow


class SlowLogins(FakeServer):
    """Answers no start-up packet before `let_in` is set, and counts those that wait for it."""

    def __init__(self):
        self.let_in = threading.Event()
        self.n_waiting = self.highest = 0
        self.lock = threading.Lock()
        super().__init__(self.handle)

    def handle(self, conn):
        conn.read_startup()
        with self.lock:
            self.n_waiting += 1
            self.highest = max(self.highest, self.n_waiting)
        self.let_in.wait(60)
        with self.lock:
            self.n_waiting -= 1
        conn.send(pgwire.auth_ok() + conn.session() + pgwire.ready())
        conn.serve()


@pytest.mark.threads
def test_max_server_logins_bounds_the_logins_at_once_of_a_node(site):
    """Over both workers and all pools: two databases on one node, each of twenty clients."""
    with SlowLogins() as fake:
        entry = f"host=127.0.0.1 port={fake.port} user=app password=x pool_size=20"
        with site.pgweir({"one": entry, "two": entry}, settings={
                "workers": 2, "max_server_logins": 3, "auth_type": "trust"}) as p:
            clients = [RawClient(p.port) for _ in range(40)]
            for i, client in enumerate(clients):
                client.send(pgwire.startup({"user": "app", "database": ("one", "two")[i % 2]}))
            proc.wait_until("three logins", lambda: fake.n_waiting == 3)
            proc.wait_until("all clients to wait", lambda: sum(
                int(r["cl_waiting"]) for r in p.show("POOLS")) == 40)
            assert fake.highest == 3
            fake.let_in.set()
            for client in clients:
                client.read_until("Z")
            for client in clients:
                client.send(pgwire.query("SELECT 1"))
            for client in clients:
                assert client.result().value() == "1"
                client.close()
            assert fake.highest == 3


def test_sessions_on_servers_have_no_idle_session_timeout(site, superuser):
    superuser("ALTER ROLE other SET idle_session_timeout = '300ms'")
    try:
        with site.pgweir() as p, p.raw("other", "app") as client:
            pid = client.value("SELECT pg_backend_pid()")
            proc.wait_until("twice that time to pass", lambda: superuser(
                "SELECT state_change < now() - interval '700ms' FROM pg_stat_activity "
                f"WHERE pid = {pid}") == "t")
            assert client.value("SELECT pg_backend_pid()") == pid
    finally:
        superuser("ALTER ROLE other RESET idle_session_timeout")
