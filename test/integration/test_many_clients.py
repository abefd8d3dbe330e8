"""Far more clients than servers: each gets its own answers, and an idle one costs little."""
import selectors
import struct

import pgwire
import pytest
from rawclient import RawClient
from tools import proc

pytestmark = pytest.mark.threads


@pytest.fixture(scope="module")
def pooler(site):
    settings = {"default_pool_size": 5, "workers": 2, "max_client_conn": 3000}
    with site.pgweir(settings=settings) as p:
        yield p


@pytest.fixture
def many(pooler):
    clients = []

    def login(count):
        clients.extend(pooler.raw() for _ in range(count))
        return clients
    yield login
    for client in clients:
        client.close()


def answer_all(clients, units, timeout):
    """Send units[i] to clients[i], all at once; returns the Results in the same order."""
    with selectors.DefaultSelector() as waiting:
        for i, (client, unit) in enumerate(zip(clients, units)):
            client.send(unit)
            waiting.register(client.sock, selectors.EVENT_READ, i)
        results = [None] * len(clients)
        while waiting.get_map():
            ready = waiting.select(timeout)
            assert ready, f"{len(waiting.get_map())} clients wait for an answer"
            for key, _ in ready:
                results[key.data] = clients[key.data].result()
                waiting.unregister(key.fileobj)
    return results


def test_thousand_pgbench_clients_on_five_servers(site, pooler):
    report = pooler.pgbench("-S", "-c", "1000", "-j", "2", "-t", "5", timeout=170)
    assert report["done"] == 5000 and report["failed"] == 0
    assert int(site.cluster.primary.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")) <= 5


def test_every_client_gets_its_own_answer(pooler, many):
    clients = many(200)
    for turn in range(15):
        words = [f"{turn}-{i}" for i in range(len(clients))]
        units = [pgwire.query(f"SELECT '{w}'") if (i + turn) % 2
                 else pgwire.prepared("SELECT $1::text", [w]) for i, w in enumerate(words)]
        results = answer_all(clients, units, 20 * pooler.slow)
        assert [r.value() for r in results] == words


def test_transactions_of_many_clients_do_not_mix(pooler, many):
    clients = many(40)
    for turn in range(3):
        for text in ("BEGIN", "SELECT set_config('lock_timeout', '{}', true)",
                     "SHOW lock_timeout", "COMMIT"):
            group = clients[turn::8]
            answers = answer_all(group, [pgwire.query(text.format(1000 + i))
                                         for i in range(len(group))], 20 * pooler.slow)
            if text.startswith("SHOW"):
                expected = [f"{1000 + i}ms" if i else "1s" for i in range(len(group))]
                assert [r.value() for r in answers] == expected


def test_thousand_idle_clients_cost_little_memory(pooler, many):
    many(100)
    before = pooler.rss_kib()
    clients = many(1000)
    grown = pooler.rss_kib() - before
    print(f"{grown / 1000:.2f} KiB for each idle client")
    if not pooler.site.sanitizer:
        assert grown < 2 * 1000, f"{grown} KiB for 1000 idle clients"
    assert clients[-1].value("SELECT 1") == "1"


def test_descriptors_are_given_back(pooler):
    before = proc.n_fds(pooler.pid)
    clients = [pooler.raw() for _ in range(200)]
    assert clients[0].value("SELECT 1") == "1"
    for i, client in enumerate(clients):
        client.reset() if i % 2 else client.close()
    proc.wait_until("descriptors to be given back",
                    lambda: proc.n_fds(pooler.pid) <= before + 10, 10 * pooler.slow)


def test_login_storm(pooler):
    """500 connections ask to log in at the same time."""
    clients = [RawClient(pooler.port, timeout=60) for _ in range(500)]
    for client in clients:
        client.send(pgwire.startup({"user": "app", "database": "app"}))
    for client in clients:
        request = client.read_message()
        assert (request.kind, struct.unpack_from(">i", request.body)[0]) == ("R", 10)
    with pooler.raw() as late:
        assert late.value("SELECT 1") == "1"
    for client in clients:
        client.close()
