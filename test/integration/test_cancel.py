"""A cancel request ends the query it was meant for, and no other."""
import contextlib
import os
import threading
import time

import pgwire
import pytest
from fakeserver import FakeServer
from rawclient import RawClient
from tools import proc


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 1, "query_wait_timeout": 30}) as p:
        yield p


def is_sleeping(superuser, mark):
    return superuser("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                     f"query LIKE '%pg_sleep%' AND query LIKE '%{mark}%' "
                     "AND pid <> pg_backend_pid()") != "0"


def start_sleep(client, superuser, mark):
    client.send(pgwire.query(f"SELECT pg_sleep(60) /* {mark} */"))
    proc.wait_until("the query to run", lambda: is_sleeping(superuser, mark))


def test_running_query_is_cancelled(pooler, superuser):
    with pooler.raw() as client:
        start_sleep(client, superuser, "running")
        client.send_cancel()
        result = client.result()
        assert result.sqlstate == "57014" and result.status == "I"
        assert client.value("SELECT 1") == "1"


def test_psycopg_cancel(pooler, superuser):
    conn = pooler.connect3()
    timer = threading.Timer(0.5, conn.cancel)
    timer.start()
    with pytest.raises(Exception, match="cancel"):
        conn.execute("SELECT pg_sleep(60)")
    timer.join()
    assert conn.execute("SELECT 1").fetchone() == (1,)
    conn.close()


def test_client_in_line_is_cancelled_without_reaching_a_server(pooler, superuser):
    with pooler.raw() as holder, pooler.raw() as waiter:
        start_sleep(holder, superuser, "holder")
        waiter.send(pgwire.query("SELECT 'never runs'"))
        assert waiter.is_silent_for(0.2)
        waiter.send_cancel()
        assert waiter.result().sqlstate == "57014"
        assert is_sleeping(superuser, "holder")
        holder.send_cancel()
        assert holder.result().sqlstate == "57014"
        assert waiter.value("SELECT 1") == "1"


def test_extended_series_in_line_is_cancelled_up_to_its_sync(pooler, superuser):
    with pooler.raw() as holder, pooler.raw() as waiter:
        start_sleep(holder, superuser, "holder")
        waiter.send(pgwire.prepared("SELECT 'never runs'"))
        assert waiter.is_silent_for(0.2)
        waiter.send_cancel()
        result = waiter.result()
        assert result.kinds == "EZ" and result.sqlstate == "57014"
        holder.send_cancel()
        holder.result()
        assert waiter.prepared("SELECT 2").value() == "2"


def test_cancel_of_an_idle_client_hits_nobody(pooler, superuser):
    with pooler.raw() as idle, pooler.raw() as busy:
        idle.query("SELECT 1").check()
        start_sleep(busy, superuser, "busy")
        for _ in range(20):
            idle.send_cancel()
        assert busy.is_silent_for(0.5)
        busy.send_cancel()
        assert busy.result().sqlstate == "57014"
        assert idle.value("SELECT 1") == "1"


def test_wrong_key_cancels_nothing(pooler, superuser):
    with pooler.raw() as client:
        start_sleep(client, superuser, "wrongkey")
        for pid, key in ((client.pid, os.urandom(len(client.key))),
                         (client.pid + 1, client.key), (0, bytes(4)), (-1, b"\xff" * 4)):
            with RawClient(pooler.port) as other:
                other.send(pgwire.cancel_request(pid, key))
                assert other.wait_closed() == []
        assert client.is_silent_for(0.3)
        client.send_cancel()
        assert client.result().sqlstate == "57014"


def test_each_client_has_a_key_of_its_own(pooler):
    clients = [pooler.raw() for _ in range(20)]
    keys = {(c.pid, c.key) for c in clients}
    pids = {c.value("SELECT pg_backend_pid()") for c in clients}
    assert len(keys) == 20 and len(pids) == 1
    assert not {str(c.pid) for c in clients} & pids, "the server's own pid is told to clients"


@pytest.mark.parametrize("version, length", [
    (pgwire.PROTOCOL_3_0, 4), (pgwire.PROTOCOL_3_2, 32), (pgwire.PROTOCOL_3_0 + 9999, 32)],
    ids=["3.0", "3.2", "newer"])
def test_key_is_as_long_as_the_protocol_has_it(pooler, superuser, version, length):
    with RawClient(pooler.port) as client:
        client.login("app", pooler.passwords["app"], version=version)
        assert len(client.key) == length
        assert client.told_version == (pgwire.PROTOCOL_3_2 if version > pgwire.PROTOCOL_3_2
                                       else None)
        start_sleep(client, superuser, f"length{version}")
        for key in (client.key[:4] + bytes(28), client.key[:-1], client.key + b"\0",
                    os.urandom(256)):
            if len(key) >= 4 and key != client.key:
                with RawClient(pooler.port) as other:
                    other.send(pgwire.cancel_request(client.pid, key))
                    assert other.wait_closed() == []
        assert client.is_silent_for(0.2)
        client.send_cancel()
        assert client.result().sqlstate == "57014"
        assert client.value("SELECT 1") == "1"


def test_client_in_line_with_a_long_key_is_cancelled(pooler, superuser):
    with pooler.raw() as holder, RawClient(pooler.port) as waiter:
        waiter.login("app", pooler.passwords["app"], version=pgwire.PROTOCOL_3_2)
        start_sleep(holder, superuser, "longholder")
        waiter.send(pgwire.query("SELECT 'never runs'"))
        assert waiter.is_silent_for(0.2)
        waiter.send_cancel()
        assert waiter.result().sqlstate == "57014"
        holder.send_cancel()
        assert holder.result().sqlstate == "57014"


@pytest.mark.threads
def test_cancel_storm_hits_only_the_stormers_queries(pooler):
    """One client cancels itself all the time; its neighbours share the only server with it."""
    end = threading.Event()
    wrong = []

    def neighbour(number):
        with pooler.raw() as client:
            n = 0
            while not end.is_set():
                n += 1
                result = client.query(f"SELECT {number * 1_000_000 + n}")
                if result.sqlstate or result.rows != [(str(number * 1_000_000 + n),)]:
                    wrong.append((result.sqlstate, result.rows))

    neighbours = [threading.Thread(target=neighbour, args=(i,)) for i in range(3)]
    for thread in neighbours:
        thread.start()
    with pooler.raw() as stormer:
        outcomes = []
        for _ in range(60):
            stormer.send(pgwire.query("SELECT pg_sleep(0.01)"))
            threads = [threading.Thread(target=stormer.send_cancel) for _ in range(3)]
            for thread in threads:
                thread.start()
            outcomes.append(stormer.result().sqlstate)
            for thread in threads:
                thread.join()
    end.set()
    for thread in neighbours:
        thread.join()
    assert not wrong, wrong[:3]
    assert set(outcomes) <= {None, "57014"} and "57014" in outcomes


def test_late_cancel_does_not_reach_the_next_client(pooler):
    """The query ends by itself just when its cancel arrives."""
    with pooler.raw() as first, pooler.raw() as second:
        for _ in range(100):
            first.send(pgwire.query("SELECT 1"))
            cancelling = threading.Thread(target=first.send_cancel)
            cancelling.start()
            assert first.result().sqlstate in (None, "57014")
            assert second.query("SELECT pg_sleep(0.002)").sqlstate is None
            cancelling.join()


def test_cancel_inside_a_transaction_leaves_it_failed(pooler, superuser):
    with pooler.raw() as client:
        client.query("BEGIN").check()
        start_sleep(client, superuser, "block")
        client.send_cancel()
        assert client.result().status == "E"
        assert client.query("ROLLBACK").status == "I"


def test_cancel_through_tls_request(pooler, superuser):
    """libpq may ask for TLS before its CancelRequest; a refusal is followed by the request."""
    with pooler.raw() as client:
        start_sleep(client, superuser, "tlscancel")
        with RawClient(pooler.port) as other:
            other.send(pgwire.SSL_REQUEST)
            assert other.read(1) == b"N"
            other.send(pgwire.cancel_request(client.pid, client.key))
            assert other.wait_closed() == []
        assert client.result().sqlstate == "57014"


def test_cancel_is_quick(pooler, superuser):
    with pooler.raw() as client:
        start_sleep(client, superuser, "quick")
        began = time.monotonic()
        client.send_cancel()
        client.result()
        assert time.monotonic() - began < 1.0 * pooler.slow


# --- a server whose cancel requests take their time ------------------------------------------

class SlowToCancel(FakeServer):
    """Answers "slow" queries with 57014 once a cancel request has come (or `go_on` is set); that
    request's connection stays open until `let_go` is set."""

    def __init__(self):
        self.cancels = []
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.let_go = threading.Event()
        super().__init__(self.handle)

    def handle(self, conn):
        try:
            conn.login()
        except pgwire.Closed:
            if conn.cancel is not None:
                self.cancels.append(conn.cancel)
                self.go_on.set()
                self.let_go.wait(30)
            raise
        while True:
            unit = conn.read_unit()
            if unit[-1].kind == "X":
                return
            if b"slow" in unit[-1].body:
                self.asked.set()
                self.go_on.wait(30)
                conn.send(pgwire.error_response("57014", "canceled") + pgwire.ready())
            else:
                conn.send(conn.answer(unit))


@contextlib.contextmanager
def behind_slow(site, **settings):
    with SlowToCancel() as fake, site.pgweir({
            "app": f"host=127.0.0.1 port={fake.port} dbname=app user=app password=x "
                   "pool_size=1"}, settings={"routing": "off", **settings}) as p:
        yield fake, p
        fake.let_go.set()


def cancel_slow(fake, p, client):
    """The client's query is cancelled and answered; the request's connection is still open."""
    client.send(pgwire.query("SELECT slow"))
    assert fake.asked.wait(20)
    other = RawClient(p.port)
    other.send(pgwire.cancel_request(client.pid, client.key))
    assert client.result().sqlstate == "57014"
    return other


def test_server_is_not_reused_before_its_cancel_has_ended(site):
    with behind_slow(site) as (fake, p), p.raw() as first, p.raw() as second:
        with cancel_slow(fake, p, first) as other:
            p.wait_show("SERVERS", lambda r: r["state"] == "being_canceled")
            row = p.show_one("POOLS", database="app")
            assert row["sv_being_canceled"] == row["cl_active_cancel_req"] == "1"
            assert [r["state"] for r in p.show("CLIENTS") if "cancel" in r["state"]] == [
                "active_cancel_req"]
            second.send(pgwire.query("SELECT 1"))
            assert second.is_silent_for(0.5)
            fake.let_go.set()
            assert other.wait_closed() == []
        assert second.result().value() == "1"
        row = p.show_one("POOLS", database="app")
        assert row["sv_being_canceled"] == row["cl_active_cancel_req"] == "0"


def test_server_is_closed_when_its_cancel_does_not_end(site):
    with behind_slow(site, server_cancel_timeout=1) as (fake, p):
        with p.raw() as first, p.raw() as second:
            before = p.show("SERVERS")[0]["id"]
            with cancel_slow(fake, p, first) as other:
                began = time.monotonic()
                assert second.value("SELECT 1") == "1"
                assert 0.5 < time.monotonic() - began < 10 * p.slow
                assert p.show("SERVERS")[0]["id"] != before
                assert other.wait_closed() == []
            assert len(fake.cancels) == 1


def test_server_that_still_runs_when_its_cancel_gives_up_is_closed_afterwards(site):
    """The query goes on, the request's connection neither ends nor counts any more; but the
    signal may still come, and must not meet another client."""
    with behind_slow(site, server_cancel_timeout=0.5) as (fake, p):
        fake.go_on = threading.Event()
        real, fake.go_on.set = fake.go_on.set, lambda: None
        with p.raw() as first, p.raw() as second:
            first.send(pgwire.query("SELECT slow"))
            assert fake.asked.wait(20)
            before = p.show("SERVERS")[0]["id"]
            with RawClient(p.port) as other:
                other.send(pgwire.cancel_request(first.pid, first.key))
                assert other.wait_closed() == []
            p.wait_log("cancel request given up")
            real()
            assert first.result().sqlstate == "57014"
            assert second.value("SELECT 1") == "1"
            assert p.show("SERVERS")[0]["id"] != before


def test_storm_for_one_query_is_one_request_to_the_server(site):
    with behind_slow(site) as (fake, p), p.raw() as client, contextlib.ExitStack() as stack:
        client.send(pgwire.query("SELECT slow"))
        assert fake.asked.wait(20)
        others = [stack.enter_context(RawClient(p.port)) for _ in range(50)]
        for other in others:
            other.send(pgwire.cancel_request(client.pid, client.key))
        assert client.result().sqlstate == "57014"
        still_open = [other for other in others if other.is_silent_for(0.3)]
        assert len(still_open) == 1
        fake.let_go.set()
        assert still_open[0].wait_closed() == []
        assert len(fake.cancels) == 1
        assert client.value("SELECT 1") == "1"
