"""LISTEN and NOTIFY in transaction mode: thousands of listeners, one listening connection."""
import asyncio
import select
import struct
import time
import urllib.request

import asyncpg
import pgwire
import pytest
from hearing import heard, notification
from test_stats import metrics, total
from tools import proc


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 3, "workers": 2}) as p:
        yield p


def metric(pooler, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{pooler.stats_port}/metrics").read().decode()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))


def kill_listener(site):
    """End the backend of the listening connection."""
    killed = site.cluster.primary.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'pgweir-listen'")
    assert killed == "1"


def test_a_notification_reaches_an_idle_listener_that_holds_no_server(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        assert one.query("LISTEN news").check().tags == ["LISTEN"]
        assert [r for r in pooler.show("PINS")] == []
        two.query("NOTIFY news, 'hello'").check()
        assert heard(one) == (two.pid, "news", "hello")
        two.query("SELECT pg_notify('news', repeat('x', 7999))").check()
        assert heard(one) == (two.pid, "news", "x" * 7999)
        one.query("UNLISTEN news").check()
        two.query("NOTIFY news").check()
        assert one.is_silent_for(0.2)


def test_unit_of_a_pinned_listener_goes_on_behind_what_is_hidden(pooler):
    """It waits until nothing is under way: also for a question that pgweir asks on its own."""
    with pooler.raw() as one:
        one.query("LISTEN hidden").check()
        one.query("CREATE TEMP TABLE keeps_its_server (a int)").check()
        for _ in range(20):
            one.send(pgwire.query("SET SESSION AUTHORIZATION app") + pgwire.query("SELECT 1"))
            for tag in ("SET", "SELECT 1"):
                messages = one.read_until("Z")
                assert [m.body for m in messages if m.kind == "C"] == [tag.encode() + b"\0"]
        one.query("RESET SESSION AUTHORIZATION").check()


def test_many_more_listeners_than_servers(pooler):
    clients = [pooler.raw() for _ in range(60)]
    try:
        for i, c in enumerate(clients):
            c.query(f"LISTEN all_of_them; LISTEN only_{i}").check()
        with pooler.raw() as sender:
            sender.query("NOTIFY all_of_them, '1'; NOTIFY all_of_them, '2'").check()
            for c in clients:
                assert [heard(c)[2] for _ in range(2)] == ["1", "2"]
            sender.query("NOTIFY only_17").check()
            assert heard(clients[17])[1] == "only_17"
            assert clients[18].is_silent_for(0.1)
        assert metric(pooler, "pgweir_listen_subscriptions") == 120
    finally:
        for c in clients:
            c.close()
    proc.wait_until("no channel", lambda: metric(pooler, "pgweir_listen_channels") == 0, 10)


@pytest.mark.parametrize("statement, name", [
    ("LISTEN MixedCase", "mixedcase"), ('LISTEN "MixedCase"', "MixedCase"),
    ('LISTEN "a""b;c"', 'a"b;c'), ("LISTEN " + "n" * 70, "n" * 63),
    ('LISTEN U&"d\\0061t"', "dat"), ("/* c */ listen\n X1 ;", "x1"),
    ("LISTEN GRÖßE", "grÖße"), ('LISTEN "Ä→😀"', "Ä→😀"), ("LISTEN " + "xä" * 22, "xä" * 21),
    ('LISTEN U&"\\00e4"', "ä")])
def test_names_are_folded_and_cut_as_the_server_does(pooler, statement, name):
    with pooler.raw() as one, pooler.raw() as two:
        one.query(statement).check()
        assert pooler.show("PINS") == []
        two.query("SELECT pg_notify('" + name + "', 'p')").check()
        assert heard(one) == (two.pid, name, "p")


@pytest.mark.parametrize("name", [b'""', b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b"x.y", b""])
def test_a_name_that_the_server_refuses_does_not_reach_the_listening_connection(pooler, name):
    with pooler.raw() as one, pooler.raw() as two:
        one.query("LISTEN good").check()
        before = pooler.show_one("LISTENERS", database="app")["losses"]
        two.send(pgwire.msg("Q", b"LISTEN " + name + b"\0"))
        assert two.result().sqlstate in ("42601", "22021")
        two.query("NOTIFY good, 'p'").check()
        assert heard(one)[1:] == ("good", "p")
        assert pooler.show_one("LISTENERS", database="app")["losses"] == before


def test_a_client_of_another_encoding_listens_on_a_pinned_server(pooler):
    with pooler.raw(client_encoding="LATIN1") as one, pooler.raw() as two:
        one.query("LISTEN abroad").check()
        assert [r["cause"] for r in pooler.show("PINS")] == ["listen"]
        two.query("NOTIFY abroad, 'ä'").check()
        message = one.read_message()
        assert message.kind == "A" and message.body[4:] == b"abroad\0\xe4\0"
        assert struct.unpack_from(">I", message.body)[0] == two.pid


def test_another_encoding_after_listen_is_said_where_it_matters(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        one.query("LISTEN abroad").check()
        one.query("SET client_encoding = 'LATIN1'").check()
        two.query("NOTIFY abroad, 'a'").check()
        assert heard(one) == (two.pid, "abroad", "a")
        two.query("NOTIFY abroad, 'ä'").check()
        warning = one.read_message()
        assert warning.kind == "N" and warning.fields()["C"] == "22P05"
        one.query("RESET client_encoding").check()
        two.query("NOTIFY abroad, 'ä'").check()
        assert heard(one) == (two.pid, "abroad", "ä")


def test_own_notifications_come_before_the_answer_to_commit(pooler):
    with pooler.raw() as one:
        one.query("LISTEN own").check()
        for i in range(50):
            result = one.query(f"NOTIFY own, '{i}'").check()
            assert result.kinds == "CAZ"
            assert notification(result.messages[1]) == (one.pid, "own", str(i))
        assert one.query("BEGIN").check().kinds == "CZ"
        assert one.query("SELECT pg_notify('own', 'in')").check().kinds == "TDCZ"
        assert one.query("COMMIT").check().kinds == "CAZ"
        assert one.query("BEGIN; NOTIFY own; ROLLBACK").check().kinds == "CCCZ"
        result = one.query("LISTEN fresh; NOTIFY fresh, 'f'").check()
        assert result.kinds == "CCAZ"
        assert one.is_silent_for(0.1)


def test_what_fails_after_the_commit_does_not_hasten_the_answer(pooler):
    with pooler.raw() as one:
        one.query("LISTEN own").check()
        for _ in range(20):
            assert one.query("BEGIN; NOTIFY own; COMMIT; SELECT 1/0").kinds == "CCCEAZ"


@pytest.mark.parametrize("end", ["UNLISTEN ceased", "UNLISTEN *"])
def test_who_unlistens_does_not_hear_itself(pooler, end):
    with pooler.raw() as one:
        one.query("LISTEN ceased").check()
        assert one.query(f"NOTIFY ceased; {end}").check().kinds == "CCZ"
        assert one.is_silent_for(0.2)
        one.query("LISTEN ceased").check()
        assert one.query(f"NOTIFY ceased; {end}; LISTEN ceased").check().kinds == "CCCAZ"


def test_what_came_before_an_unlisten_is_not_told_after_it(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        one.query("LISTEN kept; LISTEN ceased").check()
        one.query("BEGIN").check()
        two.query("NOTIFY ceased; NOTIFY kept").check()
        time.sleep(0.1)
        one.query("UNLISTEN ceased").check()
        result = one.query("COMMIT").check()
        assert result.kinds == "CAZ" and notification(result.messages[1])[1] == "kept"


def test_a_trigger_notifies_its_own_client_before_the_answer(pooler):
    with pooler.raw() as one:
        one.query("CREATE TABLE noisy (a int); CREATE FUNCTION shout() RETURNS trigger "
                  "LANGUAGE plpgsql AS $$BEGIN PERFORM pg_notify('noise', NEW.a::text); "
                  "RETURN NEW; END$$; CREATE TRIGGER t AFTER INSERT ON noisy FOR EACH ROW "
                  "EXECUTE FUNCTION shout()").check()
        try:
            one.query("LISTEN noise").check()
            assert one.query("INSERT INTO noisy VALUES (5)").check().kinds == "CAZ"
        finally:
            one.query("UNLISTEN *; DROP TABLE noisy; DROP FUNCTION shout()").check()


def test_listen_takes_effect_at_commit_and_is_undone_by_rollback(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        one.query("BEGIN").check()
        one.query("LISTEN later").check()
        two.query("NOTIFY later, 'early'").check()
        assert one.query("SELECT 1").check().kinds == "TDCZ"
        one.query("COMMIT").check()
        two.query("NOTIFY later, 'now'").check()
        assert heard(one)[2] == "now"
        one.query("BEGIN; UNLISTEN later; LISTEN never").check()
        one.query("ROLLBACK").check()
        two.query("NOTIFY later, 'still'; NOTIFY never").check()
        assert heard(one)[2] == "still"
        assert one.is_silent_for(0.2)
        failed = one.query("LISTEN broken; SELECT 1/0")
        assert failed.sqlstate == "22012"
        one.query("BEGIN; LISTEN broken").check()
        assert one.query("SELECT 1/0").sqlstate == "22012"
        assert one.query("COMMIT").check().tags == ["ROLLBACK"]
        two.query("NOTIFY broken").check()
        assert one.is_silent_for(0.2)


def test_rollback_to_a_savepoint_undoes_what_came_after_it(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        one.query("BEGIN").check()
        one.query("LISTEN sa").check()
        one.query("SAVEPOINT s").check()
        one.query("LISTEN sb; UNLISTEN sa").check()
        one.query("ROLLBACK TO s").check()
        one.query("LISTEN sc").check()
        one.query("RELEASE s").check()
        one.query("COMMIT").check()
        two.query("NOTIFY sa; NOTIFY sb; NOTIFY sc").check()
        assert [heard(one)[1], heard(one)[1]] == ["sa", "sc"]
        assert one.is_silent_for(0.2)


@pytest.mark.parametrize("undo", ["UNLISTEN *", "DISCARD ALL", "UNLISTEN gone"])
def test_what_ends_listening(pooler, undo):
    with pooler.raw() as one, pooler.raw() as two:
        one.query("LISTEN gone").check()
        one.query(undo).check()
        two.query("NOTIFY gone").check()
        assert one.is_silent_for(0.2)


def test_none_comes_inside_a_transaction_or_an_answer(pooler):
    with pooler.raw() as one, pooler.raw() as two:
        one.query("LISTEN quiet").check()
        one.query("BEGIN").check()
        two.query("NOTIFY quiet, 'a'").check()
        assert one.is_silent_for(0.2)
        assert one.query("SELECT 1").check().kinds == "TDCZ"
        two.query("NOTIFY quiet, 'b'").check()
        assert one.query("COMMIT").check().kinds == "CAAZ"
        one.send(pgwire.query("SELECT pg_sleep(0.4)"))
        time.sleep(0.1)
        two.query("NOTIFY quiet, 'c'").check()
        assert one.result().check().kinds in ("TDCAZ", "TDACZ")
        one.query("BEGIN").check()
        one.query("SELECT 1/0")
        two.query("NOTIFY quiet, 'd'").check()
        assert one.query("ROLLBACK").check().kinds == "CAZ"


def test_the_pid_is_the_one_that_the_notifier_knows(pooler):
    with pooler.raw() as listener:
        listener.query("LISTEN who").check()
        senders = [pooler.raw() for _ in range(12)]
        try:
            for c in senders:  # all at once: servers change hands
                c.send(b"".join(pgwire.query(f"NOTIFY who, '{c.pid}'") for _ in range(10)))
            for c in senders:
                for _ in range(10):
                    c.result().check()
            for _ in range(120):
                pid, _, payload = heard(listener)
                assert str(pid) == payload
        finally:
            for c in senders:
                c.close()


def test_the_extended_protocol_listens_too(pooler):
    with pooler.connect3() as one, pooler.raw() as two:
        one.execute("LISTEN ext")
        one.execute("LISTEN ext2", prepare=True)
        assert pooler.show("PINS") == []
        two.query("NOTIFY ext, 'x'; NOTIFY ext2, 'y'").check()
        got = [next(one.notifies()) for _ in range(1)]
        assert (got[0].pid, got[0].channel, got[0].payload) == (two.pid, "ext", "x")


def test_a_series_may_close_its_statement(pooler):
    def closing(sql):
        return (pgwire.parse("s", sql) + pgwire.bind("", "s") + pgwire.execute()
                + pgwire.close("S", "s") + pgwire.SYNC)
    with pooler.raw() as one, pooler.raw() as two:
        assert one.run(closing("LISTEN closing")).check().kinds == "12C3Z"
        two.query("NOTIFY closing, 'x'").check()
        assert heard(one) == (two.pid, "closing", "x")
        for _ in range(10):
            assert one.run(closing("NOTIFY closing, 'own'")).check().kinds == "12C3AZ"
        assert one.run(closing("UNLISTEN closing")).check().kinds == "12C3Z"
        two.query("NOTIFY closing, 'y'").check()
        assert one.is_silent_for(0.2)


def in_stream(client, sql, name=""):
    """A Parse with Flush, whose answer is waited for; then the rest."""
    client.send(pgwire.parse(name, sql) + pgwire.FLUSH)
    assert client.read_message().kind == "1"
    client.send(pgwire.bind("", name) + pgwire.execute() + pgwire.SYNC)
    return client.result()


@pytest.mark.parametrize("name", ["", "named"])
def test_listen_in_a_stream_is_shared_too(pooler, name):
    with pooler.raw() as one, pooler.raw() as two:
        assert in_stream(one, "LISTEN flushed", name).check().kinds == "2CZ"
        assert pooler.show("PINS") == []
        two.query("NOTIFY flushed, 'x'").check()
        assert heard(one) == (two.pid, "flushed", "x")
        assert in_stream(one, "NOTIFY flushed, 'own'", name and "b").check().kinds == "2CAZ"
        assert in_stream(one, "UNLISTEN flushed", name and "c").check().kinds == "2CZ"
        two.query("NOTIFY flushed, 'y'").check()
        assert one.is_silent_for(0.2)


def test_psycopg2_waits_by_select(pooler):
    with pooler.raw() as two:
        one = pooler.connect()
        one.cursor().execute("LISTEN p2")
        two.query("NOTIFY p2, 'x'").check()
        assert select.select([one], [], [], 10)[0]
        one.poll()
        assert [(n.pid, n.channel, n.payload) for n in one.notifies] == [(two.pid, "p2", "x")]
        one.close()


def test_asyncpg_adds_and_removes_listeners(pooler):
    async def run():
        conn = await asyncpg.connect(host="127.0.0.1", port=pooler.port, user="app",
                                     database="app", password=pooler.passwords["app"], ssl=False)
        got = asyncio.Queue()
        def callback(_conn, pid, channel, payload):
            got.put_nowait((pid, channel, payload))
        await conn.add_listener("ap", callback)
        await conn.execute("SELECT pg_notify('ap', 'one')")
        assert (await asyncio.wait_for(got.get(), 10))[1:] == ("ap", "one")
        async with conn.transaction():
            await conn.execute("NOTIFY ap, 'two'")
            assert got.empty()
        assert (await asyncio.wait_for(got.get(), 10))[2] == "two"
        await conn.remove_listener("ap", callback)
        await conn.execute("NOTIFY ap, 'three'")
        await asyncio.sleep(0.2)
        assert got.empty()
        await conn.close()
    asyncio.run(run())


def test_a_lost_listening_connection_is_told_and_replaced(site, pooler):
    with pooler.raw() as one, pooler.raw() as two, pooler.raw() as deaf:
        one.query("LISTEN again").check()
        deaf.query("SELECT 1").check()
        kill_listener(site)
        notice = one.read_message()
        assert notice.kind == "N" and "missed" in notice.fields()["M"]
        two.query("NOTIFY again, 'x'").check()
        assert heard(one)[2] == "x"
        assert deaf.is_silent_for(0.1)
        kill_listener(site)
        two.query("LISTEN another").check()  # waits for the next connection, pins nothing
        assert pooler.show("PINS") == []


def test_a_queue_that_overflows_ends_its_client_visibly(site):
    with site.pgweir(settings={"notify_queue": "16kB"}) as p:
        with p.raw() as one, p.raw() as two, p.raw() as three:
            one.query("LISTEN much").check()
            three.query("LISTEN much").check()
            one.query("BEGIN").check()
            for i in range(5):
                two.query(f"SELECT pg_notify('much', repeat('{i}', 7000))").check()
                assert heard(three)[2] == str(i) * 7000
            end = one.read_message()
            assert end.kind == "E" and end.fields()["C"] == "53400"
            assert "notify_queue" in end.fields()["H"]
        assert total(metrics(p), "pgweir_notify_overflows_total") == 1


def test_session_mode_is_the_servers_own(site):
    with site.pgweir(settings={"pool_mode": "session"}) as p:
        with p.raw() as one, p.raw() as two:
            one.query("LISTEN plain").check()
            two.query("NOTIFY plain, 'x'").check()
            assert heard(one) == (two.pid, "plain", "x")
            result = one.query("NOTIFY plain, 'own'").check()
            assert result.kinds == "CAZ"
            assert notification(result.messages[1]) == (one.pid, "plain", "own")
            site.cluster.primary.sql("NOTIFY plain, 'other'", db="app")
            pid, _, payload = heard(one)
            assert payload == "other" and pid not in (one.pid, two.pid)
            assert p.show("LISTENERS") == []


def test_statement_mode_listens_as_well(site):
    with site.pgweir(settings={"pool_mode": "statement"}) as p:
        with p.raw() as one, p.raw() as two:
            one.query("LISTEN single").check()
            assert p.show("PINS") == []
            two.query("NOTIFY single, 'x'").check()
            assert heard(one) == (two.pid, "single", "x")
            assert one.query("NOTIFY single, 'own'").check().kinds == "CAZ"


def test_without_a_user_for_it_the_client_is_pinned(site):
    with site.pgweir(settings={"monitor_user": "", "monitor_password": ""}) as p:
        with p.raw() as one, p.raw() as two:
            one.query("LISTEN pinned").check()
            assert [r["cause"] for r in p.show("PINS")] == ["listen"]
            two.query("NOTIFY pinned, 'x'").check()
            assert heard(one) == (two.pid, "pinned", "x")


@pytest.mark.parametrize("limit", [None, 0], ids=["refused", "silent"])
def test_a_listening_connection_that_cannot_log_in_pins(site, limit):
    site.cluster.primary.sql("DROP ROLE IF EXISTS ear; CREATE ROLE ear LOGIN PASSWORD 'ear'"
                             + (f" CONNECTION LIMIT {limit}" if limit is not None else ""))
    settings = {"monitor_user": "ear", "node_timeout": 2 if limit is not None else 600,
                "monitor_password": "ear" if limit is not None else "wrong"}
    with site.pgweir(settings=settings) as p, p.raw() as one, p.raw() as two:
        one.query("LISTEN fallback").check()
        assert [r["cause"] for r in p.show("PINS")] == ["listen"]
        two.query("NOTIFY fallback, 'x'").check()
        assert heard(one)[1:] == ("fallback", "x")
        assert in_stream(two, "LISTEN fallback").check().kinds == "2CZ"
        assert [r["cause"] for r in p.show("PINS")] == ["listen"] * 2
        one.query("NOTIFY fallback, 'y'").check()
        assert heard(two)[1:] == ("fallback", "y")


def test_listening_through_routing_is_on_the_primary(site):
    with site.pgweir_routed() as p, p.raw() as one, p.raw() as two:
        one.query("LISTEN routed").check()
        for _ in range(5):
            one.query("SELECT count(*) FROM pgbench_branches").check()
        two.query("NOTIFY routed, 'x'").check()
        assert heard(one) == (two.pid, "routed", "x")


def test_servers_that_listened_for_a_moment_do_not_any_more(site, pooler):
    with pooler.raw() as one, pooler.raw() as two:
        for i in range(6):
            one.query(f"LISTEN moment{i}").check()
        for _ in range(12):
            assert two.query("SELECT count(*) FROM pg_listening_channels()").value() == "0"


def test_a_client_sees_its_own_channels(pooler):
    look = "SELECT pg_listening_channels() ORDER BY 1"
    with pooler.raw() as one, pooler.raw() as two:
        one.query("LISTEN ca; LISTEN \"c\"\"B\"").check()
        two.query("LISTEN cz").check()
        for _ in range(4):
            assert sorted(one.query(look).check().rows) == [('c"B',), ("ca",)]
            assert two.query(look).check().rows == [("cz",)]
        one.query("BEGIN").check()
        assert len(one.query(look).check().rows) == 2
        one.query("COMMIT").check()
        one.query("UNLISTEN ca").check()
        assert one.query(look).check().rows == [('c"B',)]


def test_thousands_listen(site):
    settings = {"default_pool_size": 4, "workers": 2, "max_client_conn": 3000}
    with site.pgweir(settings=settings) as p:
        clients = []
        try:
            for _ in range(2000):
                clients.append(p.raw())
            for c in clients:
                c.send(pgwire.query("LISTEN crowd"))
            for c in clients:
                c.result().check()
            begun = time.monotonic()
            for i in range(3):
                clients[i].query(f"NOTIFY crowd, '{i}'").check()
            for n, c in enumerate(clients[3:]):
                assert [heard(c) for _ in range(3)] == [
                    (clients[i].pid, "crowd", str(i)) for i in range(3)], n
            assert time.monotonic() - begun < 5 * p.slow
            row = p.show_one("LISTENERS", database="app")
            assert (row["channels"], row["received"], row["losses"]) == ("1", "3", "0")
            assert p.show("PINS") == []
        finally:
            for c in clients:
                c.close()


def test_a_client_that_leaves_while_its_answer_waits_harms_nobody(pooler):
    with pooler.raw() as listener:
        listener.query("LISTEN leaving").check()
        for i in range(30):
            c = pooler.raw()
            c.query("LISTEN leaving").check()
            c.send(pgwire.query(f"NOTIFY leaving, '{i}'"))
            c.close()
        with pooler.raw() as last:
            last.query("NOTIFY leaving, 'end'").check()
        got = []
        while not got or got[-1] != "end":
            got.append(heard(listener)[2])
        assert len(got) == len(set(got))


def test_units_in_one_packet_are_answered_in_their_order(pooler):
    with pooler.raw() as one:
        one.send(b"".join(pgwire.query(q) for q in (
            "SELECT 1", "LISTEN packed", "NOTIFY packed, 'a'", "UNLISTEN packed",
            "NOTIFY packed, 'b'", "SELECT 2")))
        kinds = [one.result().check().kinds for _ in range(6)]
        assert kinds == ["TDCZ", "CZ", "CAZ", "CZ", "CZ", "TDCZ"]
