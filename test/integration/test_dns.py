"""Names of hosts: several addresses, addresses that change, a name service that fails."""
import contextlib
import threading
import time

import pytest
from fakedns import FakeDns, Relay
from pgwire import Closed
from rawclient import RawClient, ServerError
from tools import proc
from where import wait_routing, where_fixture

NAME = "pg.test"
ADDRESSES = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
SLOWEST = 1.5  # seconds an answer may take on a busy machine; a lookup in vain takes longer

where = where_fixture("site")


@pytest.fixture(scope="module", name="port")
def port_fixture(site):
    """The nodes' one port: each node has an address of its own there."""
    port = proc.free_port()
    relays = [Relay(a, port, n.port) for a, n in zip(ADDRESSES, site.cluster.nodes)]
    yield port
    for relay in relays:
        relay.close()


@pytest.fixture(name="dns")
def dns_fixture():
    with FakeDns({NAME: ADDRESSES}) as dns:
        yield dns


def settings(site, dns, **more):
    path = dns.write_resolv_conf(f"{site.folder}/resolv-{dns.port}.conf")
    return {"resolv_conf": path, "dns_max_ttl": 1, "dns_nxdomain_ttl": 1, **more}


@pytest.fixture(name="pooler")
def pooler_fixture(site, dns, port):
    """One name for all nodes, as of a headless service."""
    databases = {"app": f"host={NAME} port={port} dbname=app routing=on"}
    with site.pgweir(databases, settings=settings(site, dns)) as p:
        yield p


def label(address, port):
    return f"{NAME}[{address}]:{port}"


def nodes(pooler):
    return {r["node"]: r["role"] for r in pooler.show("NODES")}


def wait_nodes(pooler, port, addresses):
    proc.wait_until(f"nodes at {addresses}",
                    lambda: set(nodes(pooler)) == {label(a, port) for a in addresses},
                    20 * pooler.slow, 0.1)


class Clients:
    """Clients that write and read what they have written, each on one connection; entering starts
    them, leaving checks that nothing failed and nothing was stale."""

    def __init__(self, pooler, table, n=4):
        self.pooler = pooler
        self.table = table
        self.done = [0] * n
        self.wrong = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(n)]

    def _run(self, me):
        try:
            with self.pooler.raw() as client:
                client.query(f"INSERT INTO {self.table} VALUES ({me}, 0)").check()
                while not self._end.is_set():
                    n = self.done[me] + 1
                    client.query(f"UPDATE {self.table} SET b = {n} WHERE a = {me}").check()
                    for _ in range(5):
                        seen = client.value(f"SELECT b FROM {self.table} WHERE a = {me}")
                        if seen != str(n):
                            self.wrong.append(f"{seen} instead of {n}")
                    self.done[me] = n
        except Exception as e:  # pylint: disable=broad-except
            self.wrong.append(repr(e))

    def wait_rounds(self, more=20):
        goal = [n + more for n in self.done]
        proc.wait_until("clients to go on", lambda: self.wrong or all(
            n >= g for n, g in zip(self.done, goal)), 60)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            assert not self.wrong, self.wrong[:5]
            assert all(self.done)


def test_each_address_of_a_name_is_a_node(pooler, port, where):
    wait_nodes(pooler, port, ADDRESSES)
    wait_routing(pooler, where)
    assert nodes(pooler) == {label(ADDRESSES[0], port): "primary",
                             label(ADDRESSES[1], port): "replica",
                             label(ADDRESSES[2], port): "replica"}
    with pooler.raw() as client:
        proc.wait_until("reads on both", lambda: {where.of(client) for _ in range(20)}
                        == {"standby1", "standby2"}, 20 * pooler.slow)
        assert where.of(client, "SELECT 1 FOR UPDATE") == "primary"


def test_nodes_come_and_go_with_their_addresses_and_clients_notice_nothing(
        pooler, port, where, dns, new_table):
    wait_nodes(pooler, port, ADDRESSES)
    wait_routing(pooler, where)
    with Clients(pooler, new_table("a int, b int")) as clients:
        clients.wait_rounds()
        dns.names[NAME] = ADDRESSES[:2]
        wait_nodes(pooler, port, ADDRESSES[:2])
        clients.wait_rounds()
        with pooler.raw() as client:
            for _ in range(20):
                assert where.run(client, "SELECT 1")[1] <= {"primary", "standby1"}
        dns.names[NAME] = ADDRESSES[:1]
        wait_nodes(pooler, port, ADDRESSES[:1])
        clients.wait_rounds()
        dns.names[NAME] = ADDRESSES[::-1]
        wait_nodes(pooler, port, ADDRESSES)
        clients.wait_rounds()
    wait_routing(pooler, where)


def test_name_that_gets_further_addresses_keeps_its_cluster(
        site, dns, port, where, new_table):
    """The first address alone is a node with the name's label; no mark is lost on the way."""
    dns.names[NAME] = ADDRESSES[:1]
    databases = {"app": f"host={NAME} port={port} dbname=app routing=on"}
    with site.pgweir(databases, settings=settings(site, dns)) as p:
        wait_routing(p, where, 0)
        assert nodes(p) == {f"{NAME}:{port}": "primary"}
        before = p.show("NODES")[0]["cluster"]
        with Clients(p, new_table("a int, b int")) as clients:
            clients.wait_rounds()
            dns.names[NAME] = ADDRESSES
            wait_nodes(p, port, ADDRESSES)
            proc.wait_until("all roles", lambda: sorted(nodes(p).values())
                            == ["primary", "replica", "replica"], 20 * p.slow, 0.1)
            clients.wait_rounds()
        assert {r["cluster"] for r in p.show("NODES")} == {before}


SIX = ["fd00::1", "fd00::2"]


@pytest.mark.parametrize("four, six, taken", [
    (ADDRESSES, SIX, ADDRESSES), (ADDRESSES[:2], SIX, ADDRESSES[:2]), (ADDRESSES[:1], SIX, SIX),
    ([], SIX, SIX)], ids=["more of IPv4", "as many", "more of IPv6", "IPv6 alone"])
def test_of_both_families_the_one_with_more_addresses_is_taken(site, dns, port, four, six, taken):
    dns.names[NAME], dns.names6[NAME] = four, six
    databases = {"app": f"host={NAME} port={port} dbname=app routing=on"}
    with site.pgweir(databases, settings=settings(site, dns)) as p:
        wait_nodes(p, port, taken)


def test_no_more_addresses_are_taken_than_a_database_has_nodes(site, dns, port):
    dns.names[NAME] = [f"127.0.1.{i}" for i in range(1, 21)]
    databases = {"app": f"host={NAME} port={port} dbname=app routing=on"}
    with site.pgweir(databases, settings=settings(site, dns)) as p:
        p.wait_log(f"addresses of a name host={NAME} nodes=16 addresses=20")
        proc.wait_until("its nodes", lambda: len(nodes(p)) == 16, 20 * p.slow, 0.1)


def test_without_routing_a_name_is_one_node_whatever_it_has(site, dns, port):
    """As in PgBouncer: its addresses are taken for the same server's."""
    databases = {"app": f"host={NAME} port={port} dbname=app"}
    with site.pgweir(databases, settings=settings(site, dns)) as p, p.raw() as client:
        assert client.value("SELECT 1") == "1"
        assert list(nodes(p)) == [f"{NAME}:{port}"]
        assert len(p.show_one("DNS_HOSTS", hostname=NAME)["addrs"].split(",")) == 3


@pytest.mark.parametrize("mode", ["refuse", "silent", "gone"])
def test_last_good_addresses_serve_while_the_name_service_fails(
        pooler, port, where, dns, new_table, mode):
    wait_nodes(pooler, port, ADDRESSES)
    wait_routing(pooler, where)
    with Clients(pooler, new_table("a int, b int")) as clients:
        clients.wait_rounds()
        if mode == "gone":
            dns.names = {}
        else:
            dns.mode = mode
        asked = dns.asked
        proc.wait_until("it to be asked again", lambda: dns.asked > asked + 3, 30 * pooler.slow)
        pooler.admin("RECONNECT")
        clients.wait_rounds()
        pooler.wait_log("host name not resolved host=pg.test", 20)
        assert set(nodes(pooler)) == {label(a, port) for a in ADDRESSES}
        assert {r["health"] for r in pooler.show("NODES")} == {"up"}
        clients.wait_rounds()


def test_name_service_that_never_answers_holds_up_nobody_else(site, dns, port):
    """Neither a worker nor the control thread waits for it."""
    dns.mode = "silent"
    databases = {"app": f"host=127.0.0.1 port={site.cluster.primary.port} dbname=app",
                 "lost": f"host={NAME} port={port} dbname=app",
                 "routed": f"host={NAME},other.test port={port} dbname=app"}
    with site.pgweir(databases, settings=settings(site, dns, query_wait_timeout=3)) as p:
        with p.raw() as client, RawClient(p.port) as waits:
            waits.begin_login("app", p.passwords["app"], "routed")
            took = []  # seconds of each answer: of the worker, of the control thread
            for _ in range(30):
                for ask in (lambda: client.value("SELECT 1") == "1",
                            lambda: len(p.show("DNS_HOSTS")) <= 3):
                    began = time.monotonic()
                    assert ask()
                    took.append(time.monotonic() - began)
            # a stalled one would wait for a time-out of the resolver: seconds, and each time
            assert max(took) < SLOWEST * p.slow
        with pytest.raises(ServerError):
            p.raw(database="lost")
        dns.mode = "answer"
        proc.wait_until("it to be found", lambda: can_log_in(p, "lost"), 60 * p.slow, 0.2)


def can_log_in(pooler, database):
    with contextlib.suppress(Closed, ServerError), pooler.raw(database=database) as client:
        return client.value("SELECT 1") == "1"
    return False


def test_servers_at_an_address_that_the_name_has_left_are_closed(site, dns, port, where):
    """The new server of a DNS failover gets everything, though the old one still answers."""
    dns.names[NAME] = ADDRESSES[:1]
    databases = {"app": f"host={NAME} port={port} dbname=app"}
    with site.pgweir(databases, settings=settings(site, dns)) as p:
        with p.raw() as client:
            assert where.of(client) == "primary"
            dns.names[NAME] = ADDRESSES[1:2]
            proc.wait_until("the new one to be used", lambda: where.of(client) == "standby1",
                            20 * p.slow, 0.2)
            assert {where.of(client) for _ in range(10)} == {"standby1"}


def test_monitor_follows_the_name_too(site, dns, port, where):
    dns.names = {"a.test": ADDRESSES[:1], "b.test": ADDRESSES[1:2]}
    databases = {"app": f"host=a.test,b.test port={port} dbname=app"}
    with site.pgweir(databases, settings=settings(site, dns)) as p:
        wait_routing(p, where, 1)
        dns.names = {"a.test": ADDRESSES[1:2], "b.test": ADDRESSES[:1]}
        proc.wait_until("the roles to be exchanged", lambda: nodes(p) == {
            f"a.test:{port}": "replica", f"b.test:{port}": "primary"}, 20 * p.slow, 0.1)
        wait_routing(p, where, 1)
        with p.raw() as client:
            client.query("SELECT 1 FOR UPDATE").check()
            assert where.of(client, "SELECT 1 FOR UPDATE") == "primary"
