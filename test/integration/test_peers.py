"""Several processes behind one address: a cancel request that comes to the wrong one is passed on."""
import contextlib
import socket
import struct
import threading

import pgwire
import pytest
from fakeserver import FakeServer
from rawclient import RawClient
from test_cancel import is_sleeping, start_sleep
from tools import proc


def start_group(site, stack, n=3, **settings):
    """`n` processes, each of which knows all; process i has peer_id i + 1."""
    group = [site.pgweir(settings={"default_pool_size": 1, "peer_id": i + 1, **settings})
             for i in range(n)]
    for p in group:
        p.peers = {q.settings["peer_id"]: f"host=127.0.0.1 port={q.port}" for q in group}
        stack.enter_context(p)
    return group


@pytest.fixture(scope="module")
def group(site):
    with contextlib.ExitStack() as stack:
        yield start_group(site, stack)


def cancel_at(pooler, client, key=None):
    """Send the client's cancel request to `pooler`, and wait until it is done with it."""
    with RawClient(pooler.port) as other:
        other.send(pgwire.cancel_request(client.pid, key or client.key))
        assert other.wait_closed() == []


class FakePeer(FakeServer):
    """Collects the cancel requests that come; each stays open until `let_go` is set."""

    def __init__(self):
        self.requests = []
        self.let_go = threading.Event()
        super().__init__(self.handle)

    def handle(self, conn):
        try:
            conn.read_startup()
        except pgwire.Closed:
            if conn.cancel is not None:
                self.requests.append(conn.cancel)
                self.let_go.wait(20)


def peer_request(peer_id, ttl=3):
    """A request as PgBouncer's or our process with that peer_id would get it."""
    number = b"\x01" + struct.pack("<H", peer_id) + b"\x07"
    return pgwire.cancel_request(struct.unpack(">i", number)[0], bytes([1, 2, 3, 0xa0 | ttl]))


@pytest.mark.parametrize("version", [pgwire.PROTOCOL_3_0, pgwire.PROTOCOL_3_2], ids=["3.0", "3.2"])
@pytest.mark.parametrize("wrong", [1, 2])
def test_cancel_at_another_process_is_passed_on(group, superuser, wrong, version):
    with RawClient(group[0].port) as client:
        client.login("app", group[0].passwords["app"], version=version)
        start_sleep(client, superuser, f"peer{wrong}{version}")
        cancel_at(group[wrong], client)
        assert client.result().sqlstate == "57014"
        assert client.value("SELECT 1") == "1"


def test_cancel_at_the_right_process_needs_no_peer(group, superuser):
    with group[1].raw() as client:
        start_sleep(client, superuser, "rightone")
        client.send_cancel()
        assert client.result().sqlstate == "57014"


def test_client_in_line_elsewhere_is_cancelled(group, superuser):
    with group[1].raw() as holder, group[1].raw() as waiter:
        start_sleep(holder, superuser, "peerholder")
        waiter.send(pgwire.query("SELECT 'never runs'"))
        assert waiter.is_silent_for(0.2)
        cancel_at(group[2], waiter)
        assert waiter.result().sqlstate == "57014"
        assert is_sleeping(superuser, "peerholder")
        cancel_at(group[0], holder)
        assert holder.result().sqlstate == "57014"


def test_wrong_key_cancels_nothing_anywhere(group, superuser):
    with group[0].raw() as client:
        start_sleep(client, superuser, "peerwrong")
        for p in group:
            cancel_at(p, client, key=bytes(b ^ 0x55 for b in client.key))
        assert client.is_silent_for(0.3)
        cancel_at(group[1], client)
        assert client.result().sqlstate == "57014"


def test_number_and_key_are_laid_out_as_pgbouncers(group):
    for p in group:
        with p.raw() as client:
            packed = struct.pack(">i", client.pid) + client.key
            assert client.pid > 0
            assert struct.unpack_from("<H", packed, 1)[0] == p.settings["peer_id"]
            assert packed[7] & 3 == 3


def test_own_notification_comes_from_the_number_that_the_client_was_told(group):
    with group[0].raw() as one, group[0].raw() as two:
        for client in (one, two):
            client.query("LISTEN peers").check()
        one.query("NOTIFY peers").check()
        two.send(pgwire.query("SELECT 1"))
        told = next(m for m in two.read_until("Z") if m.kind == "A")
        assert struct.unpack_from(">i", told.body)[0] == one.pid


def test_many_clients_of_one_process_are_told_apart(group, superuser):
    clients = [group[0].raw() for _ in range(40)]
    assert len({(c.pid, c.key) for c in clients}) == 40
    victim = clients[23]
    start_sleep(victim, superuser, "toldapart")
    for c in clients:
        if c is not victim:
            cancel_at(group[1], c)
    assert victim.is_silent_for(0.2)
    cancel_at(group[1], victim)
    assert victim.result().sqlstate == "57014"
    for c in clients:
        c.close()


def test_request_is_passed_on_with_one_less_to_go(site):
    with FakePeer() as fake, site.pgweir(settings={"peer_id": 1}) as p:
        p.peers = {5: f"host=127.0.0.1 port={fake.port}"}
        assert p.reload().tags == ["RELOAD"]
        fake.let_go.set()
        for ttl in (3, 2, 1):
            with RawClient(p.port) as other:
                other.send(peer_request(5, ttl))
                assert other.wait_closed() == []
            assert fake.requests[-1][-1] & 3 == ttl - 1
            assert fake.requests[-1][:7] == peer_request(5)[8:15]
        with RawClient(p.port) as other:
            other.send(peer_request(5, 0))
            assert other.wait_closed() == []
        assert len(fake.requests) == 3, "passed on though it was often enough"


def test_request_never_goes_round_for_ever(site):
    """Two processes that take each other for number 9."""
    with contextlib.ExitStack() as stack:
        one, two = start_group(site, stack, 2)
        for p, q in ((one, two), (two, one)):
            p.peers[9] = f"host=127.0.0.1 port={q.port} pool_size=4"
            p.reload()
        with RawClient(one.port, timeout=5 * one.slow) as other:
            other.send(peer_request(9))
            assert other.wait_closed(5 * one.slow) == []
        proc.wait_until("no request to be left", lambda: all(
            r["cl_active_cancel_req"] == "0" for p in (one, two) for r in p.show("PEER_POOLS")))


def test_pool_size_bounds_what_is_passed_on_at_once(site):
    with FakePeer() as fake, site.pgweir(settings={"peer_id": 1, "cancel_wait_timeout": 20},
                                         peers={1: "host=127.0.0.1"}) as p:
        p.peers[5] = f"host=127.0.0.1 port={fake.port} pool_size=2"
        p.reload()
        with contextlib.ExitStack() as stack:
            others = [stack.enter_context(RawClient(p.port)) for _ in range(5)]
            for other in others:
                other.send(peer_request(5))
            row = p.wait_show("PEER_POOLS", lambda r: r["cl_waiting_cancel_req"] == "3",
                              peer_id="5")
            assert row["cl_active_cancel_req"] == row["sv_active_cancel"] == "2"
            proc.wait_until("two requests", lambda: len(fake.requests) == 2)
            states = sorted(r["state"] for r in p.show("CLIENTS") if "cancel" in r["state"])
            assert states == ["active_cancel_req"] * 2 + ["waiting_cancel_req"] * 3
            fake.let_go.set()
            for other in others:
                assert other.wait_closed() == []
            assert len(fake.requests) == 5
        row = p.show_one("PEER_POOLS", peer_id="5")
        assert {v for k, v in row.items() if k != "peer_id"} == {"0"}


def test_requester_that_waits_too_long_is_let_go(site):
    with FakePeer() as fake, site.pgweir(settings={"peer_id": 1, "cancel_wait_timeout": 1,
                                                   "server_cancel_timeout": 2}) as p:
        p.peers[5] = f"host=127.0.0.1 port={fake.port} pool_size=1"
        p.reload()
        with RawClient(p.port) as first, RawClient(p.port) as second:
            first.send(peer_request(5))
            proc.wait_until("a request", lambda: len(fake.requests) == 1)
            second.send(peer_request(5))
            assert second.wait_closed() == []
            assert first.wait_closed() == []
        p.wait_show("PEER_POOLS", lambda r: r["sv_active_cancel"] == "0", peer_id="5")
        assert len(fake.requests) == 1


def test_peer_that_is_not_there_costs_the_requester_nothing(site):
    with site.pgweir(settings={"peer_id": 1}, peers={
            5: f"host=127.0.0.1 port={proc.free_port()}", 6: "host=no-such-host.invalid"}) as p:
        for peer in (5, 6, 7):
            with RawClient(p.port) as other:
                other.send(peer_request(peer))
                assert other.wait_closed() == []
        p.wait_log("cancel request not passed on")
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"


def test_show_peers(site):
    with site.pgweir(settings={"peer_id": 1, "default_pool_size": 7}, peers={
            2: "host=/tmp/two port=5555 pool_size=3", 1: "host=one.example.com"}) as p:
        assert p.show("PEERS") == [
            {"peer_id": "1", "host": "one.example.com", "port": "6432", "pool_size": "7"},
            {"peer_id": "2", "host": "/tmp/two", "port": "5555", "pool_size": "3"}]
        assert [r["peer_id"] for r in p.show("PEER_POOLS")] == ["2"]
        lists = {r["list"]: r["items"] for r in p.show("LISTS")}
        assert lists["peers"] == "2" and lists["peer_pools"] == "1"


def test_client_from_before_peer_id_was_set_is_still_cancelled(site, superuser):
    with site.pgweir(peers={2: "host=127.0.0.1"}) as p:
        with p.raw() as client:
            p.reload(peer_id=1)
            start_sleep(client, superuser, "beforepeers")
            client.send_cancel()
            assert client.result().sqlstate == "57014"


def test_unix_socket_of_a_peer(site, superuser):
    one = site.pgweir(settings={"peer_id": 1, "unix_socket_dir": "{folder}"})
    with one:
        with site.pgweir(settings={"peer_id": 2},
                         peers={1: f"host={one.folder} port={one.port}"}) as two:
            with one.raw() as client:
                start_sleep(client, superuser, "unixpeer")
                cancel_at(two, client)
                assert client.result().sqlstate == "57014"


def test_storm_at_the_wrong_process(group):
    """Many requests at once for one client; its neighbours share the server with it."""
    with group[0].raw() as victim, group[0].raw() as neighbour:
        for n in range(20):
            victim.send(pgwire.query("SELECT pg_sleep(0.02)"))
            with contextlib.ExitStack() as stack:
                others = [stack.enter_context(RawClient(group[1].port)) for _ in range(5)]
                for other in others:
                    other.send(pgwire.cancel_request(victim.pid, victim.key))
                assert neighbour.value(f"SELECT {n}") == str(n)
                assert victim.result().sqlstate in (None, "57014")
                for other in others:
                    with contextlib.suppress(socket.timeout):
                        assert other.wait_closed() == []
