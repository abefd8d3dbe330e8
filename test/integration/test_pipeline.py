"""Clients that send on without waiting get every answer, in order, and only their own."""
import random
import threading
import time

import pgwire
import pytest
from pgwire import bind, close, describe, execute, parse


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 1}) as p:
        yield p


def values(results):
    return [r.value() for r in results]


def test_queries_sent_at_once_are_answered_in_order(pooler):
    with pooler.raw() as client:
        client.send(b"".join(pgwire.query(f"SELECT {i}") for i in range(200)))
        assert values(client.result() for _ in range(200)) == [str(i) for i in range(200)]


def test_series_sent_at_once_are_answered_in_order(pooler):
    with pooler.raw() as client:
        client.send(b"".join(pgwire.prepared("SELECT $1::int", [i]) for i in range(200)))
        assert values(client.result() for _ in range(200)) == [str(i) for i in range(200)]


def test_errors_end_their_own_unit_only(pooler):
    with pooler.raw() as client:
        client.send(pgwire.query("SELECT 1") + pgwire.query("SELECT 1/0")
                    + pgwire.prepared("SELECT nothing()") + pgwire.prepared("SELECT 4")
                    + pgwire.query("SELECT 5"))
        results = [client.result() for _ in range(5)]
        assert [r.sqlstate for r in results] == [None, "22012", "42883", None, None]
        assert values(results[3:]) == ["4", "5"]


def test_many_statements_before_one_sync(pooler):
    one = parse("", "SELECT $1::int")
    with pooler.raw() as client:
        client.send(b"".join(one + bind("", "", [str(i).encode()]) + execute()
                             for i in range(100)) + pgwire.SYNC)
        result = client.result()
        assert result.rows == [(str(i),) for i in range(100)]
        assert result.kinds == "12DC" * 100 + "Z"


def test_a_message_that_is_skipped_is_skipped_to_its_end(pooler):
    """After an error the server skips to Sync. What had come of a message was not sent to it, so what
    comes later must not be either: it would be read as messages of their own."""
    with pooler.raw() as client:
        pid = client.value("SELECT pg_backend_pid()")
        client.send(parse("", "SELECT 1/$1::int") + bind("", "", [b"0"]) + execute() + pgwire.FLUSH)
        assert client.read_until("E")[-1].fields()["C"] == "22012"
        message = bind("", "", [b"Q" * 100_000])
        for part in (message[:1000], message[1000:50_000], message[50_000:] + execute()):
            client.send(part)
            time.sleep(0.05)
        assert client.run(pgwire.SYNC).kinds == "Z"
        assert client.value("SELECT pg_backend_pid()") == pid


def test_flush_brings_answers_before_sync(pooler):
    with pooler.raw() as client:
        client.send(parse("", "SELECT 7") + bind() + describe("P") + pgwire.FLUSH)
        assert "".join(m.kind for m in client.read_until("T")) == "12T"
        client.send(execute() + pgwire.FLUSH)
        assert "".join(m.kind for m in client.read_until("C")) == "DC"
        assert client.run(pgwire.SYNC).kinds == "Z"


def test_server_is_held_between_flush_and_sync(pooler):
    with pooler.raw() as client, pooler.raw() as neighbour:
        client.send(parse("", "SELECT 'mine'") + bind() + execute() + pgwire.FLUSH)
        client.read_until("C")
        neighbour.send(pgwire.query("SELECT 'neighbour'"))
        assert neighbour.is_silent_for(0.3)
        assert client.run(pgwire.SYNC).kinds == "Z"
        assert neighbour.result().value() == "neighbour"


@pytest.mark.parametrize("name", ["", "named"])
def test_what_is_set_after_a_flush_stays_with_its_client(pooler, name):
    with pooler.raw() as client, pooler.raw() as neighbour:
        client.query("SELECT 'judged'").check()
        client.send(parse(name, "SET work_mem = '5MB'") + pgwire.FLUSH)
        client.read_until("1")
        client.send(bind("", name) + execute() + pgwire.FLUSH)
        client.read_until("C")
        client.send(parse("", "SET lock_timeout = 7") + bind() + execute() + pgwire.SYNC)
        client.result().check()
        assert neighbour.value("SHOW work_mem") == "4MB"
        assert neighbour.value("SHOW lock_timeout") == "0"
        assert client.value("SHOW work_mem") == "5MB"
        assert client.value("SHOW lock_timeout") == "7ms"


def test_an_unnamed_statement_is_bound_after_a_flush_as_what_it_is(pooler):
    with pooler.raw() as client, pooler.raw() as neighbour:
        client.run(parse("", "SET work_mem = '5MB'") + pgwire.SYNC).check()
        client.send(parse("", "SELECT 8") + pgwire.FLUSH)
        client.read_until("1")
        assert client.run(bind() + execute() + pgwire.SYNC).check().value() == "8"
        assert neighbour.value("SHOW work_mem") == client.value("SHOW work_mem") == "4MB"


def test_syncs_alone_are_each_answered(pooler):
    with pooler.raw() as client:
        client.send(pgwire.SYNC * 10)
        assert [client.result().kinds for _ in range(10)] == ["Z"] * 10


def test_transaction_sent_at_once(pooler):
    with pooler.raw() as client:
        client.send(pgwire.query("BEGIN") + pgwire.query("SELECT 1") + pgwire.query("COMMIT")
                    + pgwire.query("SELECT 2"))
        assert "".join(client.result().status for _ in range(4)) == "TTII"


def test_mixed_simple_and_extended_at_once(pooler):
    with pooler.raw() as client:
        client.send(pgwire.prepared("SELECT 'a'") + pgwire.query("SELECT 'b'")
                    + pgwire.prepared("SELECT 'c'") + pgwire.query("SELECT 'd'"))
        assert values(client.result() for _ in range(4)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_any_split_into_packets(pooler, size):
    units = (pgwire.query("SELECT 'simple'") + pgwire.prepared("SELECT $1::text", ["extended"])
             + parse("n", "SELECT 'named'") + bind("", "n") + execute() + close("S", "n")
             + pgwire.SYNC)
    with pooler.raw() as client, pooler.raw() as neighbour:
        client.send_in_pieces(units, size, pause=0.001)
        assert values(client.result() for _ in range(3)) == ["simple", "extended", "named"]
        assert neighbour.value("SELECT 1") == "1"


def test_two_clients_pipeline_over_one_server(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        for turn in range(10):
            for client, word in ((one, "one"), (two, "two")):
                client.send(b"".join(pgwire.query(f"SELECT '{word} {turn} {i}'")
                                     for i in range(20)))
            for client, word in ((two, "two"), (one, "one")):
                assert values(client.result() for _ in range(20)) == [
                    f"{word} {turn} {i}" for i in range(20)]


def test_client_that_pipelines_without_reading_is_held_back(pooler):
    """It sends until nobody takes more from it; memory stays bounded, the neighbours are served."""
    before = pooler.rss_kib()
    with pooler.raw() as client, pooler.raw() as neighbour:
        client.sock.settimeout(2)
        unit = pgwire.query("SELECT repeat('x', 10000)") * 100
        sent = 0
        try:
            while sent < 20_000:
                client.sock.sendall(unit)
                sent += 100
        except TimeoutError:
            pass
        if not pooler.site.sanitizer:
            assert pooler.rss_kib() - before < 32 * 1024
        client.reset()
        assert neighbour.value("SELECT 1") == "1"


def test_psycopg3_pipeline(pooler):
    with pooler.connect3() as conn:
        with conn.pipeline():
            cursors = [conn.execute("SELECT %s::int", (i,)) for i in range(50)]
            assert [c.fetchone()[0] for c in cursors] == list(range(50))


def test_psycopg3_pipeline_of_writes_in_one_transaction(pooler, superuser, new_table):
    table = new_table("a int")
    with pooler.connect3() as conn, conn.pipeline(), conn.transaction():
        for i in range(100):
            conn.execute(f"INSERT INTO {table} VALUES (%s)", (i,))
    assert superuser(f"SELECT count(*) FROM {table}") == "100"


@pytest.mark.threads
def test_random_units_in_random_pieces(pooler):
    """A seeded mix of everything above on a few clients that share the server."""
    rng = random.Random(11)
    clients = [pooler.raw() for _ in range(4)]
    for _ in range(30):
        expected = []
        for client in clients:
            count = rng.randrange(1, 12)
            words = [f"w{rng.randrange(10**9)}" for _ in range(count)]
            data = b"".join(rng.choice([
                lambda w: pgwire.query(f"SELECT '{w}'"),
                lambda w: pgwire.prepared("SELECT $1::text", [w]),
            ])(w) for w in words)
            cut = rng.randrange(len(data))
            client.send(data[:cut])
            expected.append((client, data[cut:], words))
        rng.shuffle(expected)
        for client, rest, _ in expected:
            client.send(rest)
        for client, _, words in expected:
            assert values(client.result() for _ in words) == words


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN READ ONLY", "SELECT 0"])
def test_more_units_than_one_server_may_owe(site, begin):
    """They come while the first of them still runs: the rest is read when it is answered."""
    count = 20_000
    with site.pgweir_routed() as p, p.raw() as client:
        data = [begin, "SELECT pg_sleep(1)", *(f"SELECT {i}" for i in range(count)), "COMMIT"]
        sender = threading.Thread(target=client.send, args=(b"".join(map(pgwire.query, data)),))
        sender.start()
        for _ in range(2):
            client.result().check()
        assert values(client.result() for _ in range(count)) == [str(i) for i in range(count)]
        assert client.result().tags == ["COMMIT"]
        sender.join()


def test_units_that_wait_are_not_read_far_ahead(site):
    """Clients that send on and on while there is no server for them cost little, and lose nothing."""
    unit, count = pgwire.prepared(f"SELECT length('{'x' * 4000}')"), 400
    with site.pgweir(settings={"default_pool_size": 2}) as p:
        clients = [p.raw() for _ in range(40)]
        before, highest = p.rss_kib(), 0
        threads = [threading.Thread(target=c.send, args=(unit * count,)) for c in clients]
        with p.raw() as one, p.raw() as two:
            for holder in (one, two):
                holder.query("BEGIN; SELECT 1").check()
            for thread in threads:
                thread.start()
            time.sleep(1)
        answers = {}
        threads += [threading.Thread(target=lambda c=c: answers.update(
            {c: values(c.result() for _ in range(count))})) for c in clients]
        for thread in threads[len(clients):]:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            highest = max(highest, p.rss_kib())
            time.sleep(0.02)
        assert [answers.get(c) for c in clients] == [["4000"] * count] * len(clients)
        print(f"{(highest - before) / len(clients):.0f} KiB for each client")
        if not site.sanitizer:
            assert highest - before < 112 * len(clients)


@pytest.mark.parametrize("parts", ["BE", "PBDE", "CC", "BCE"])
def test_more_messages_before_one_sync_than_a_server_may_owe(site, parts):
    """The client is held back until the server has answered, as by PostgreSQL, not refused."""
    count = 30_000
    messages = {"P": parse("s", "SELECT 5"), "B": bind("", "s"), "D": describe("P"),
                "E": execute(), "C": close("S", "none")}
    if parts == "PBDE":
        messages.update(P=parse("", "SELECT 5"), B=bind())
    with site.pgweir() as p, p.raw() as client:
        client.prepared("SELECT 5", name="" if "P" in parts else "s")
        data = b"".join(messages[kind] for kind in parts) * count + pgwire.SYNC
        sender = threading.Thread(target=client.send, args=(data,))
        sender.start()
        answers = {"P": "1", "B": "2", "D": "T", "E": "DC", "C": "3"}
        expected = "".join(answers[kind] for kind in parts) * count
        result = client.result()
        sender.join()
        assert result.kinds == expected + "Z"
