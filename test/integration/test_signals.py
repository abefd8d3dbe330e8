"""pg_cancel_backend() and pg_terminate_backend() of the number that a client was given at its login."""
import re
import struct
import threading
import time
import urllib.request

import pgwire
import pytest
from tools import proc
from where import wait_replica_read, wait_routing, where_fixture

CALLS = {  # how the number is told: (text, parameters, result formats) of the caller's unit
    "literal": lambda client, call, number: client.query(f"SELECT {call}({number})"),
    "cast": lambda client, call, number: client.query(f"SELECT pg_catalog.{call}({number}::int)"),
    "value": lambda client, call, number: client.prepared(f"SELECT {call}($1)", [number]),
    "binary": lambda client, call, number: client.run(
        pgwire.parse("", f"SELECT {call}($1)") + pgwire.msg(
            "B", pgwire.cstr(""), pgwire.cstr(""), pgwire.i16(1), pgwire.i16(1), pgwire.i16(1),
            pgwire.i32(4), struct.pack("!i", number), pgwire.i16(0)) + pgwire.execute() +
        pgwire.SYNC),
}


where = where_fixture("site")


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 2, "query_wait_timeout": 30,
                               "workers": 2}) as p:
        yield p


def is_sleeping(superuser, mark):
    return superuser("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                     f"query LIKE '%pg_sleep%' AND query LIKE '%{mark}%' "
                     "AND pid <> pg_backend_pid()") != "0"


def start_sleep(client, superuser, mark):
    client.send(pgwire.query(f"SELECT pg_sleep(60) /* {mark} */"))
    proc.wait_until("the query to run", lambda: is_sleeping(superuser, mark))


@pytest.mark.parametrize("how", CALLS)
def test_running_query_is_cancelled_by_its_clients_number(pooler, superuser, how):
    with pooler.raw() as victim, pooler.raw() as caller:
        start_sleep(victim, superuser, how)
        assert CALLS[how](caller, "pg_cancel_backend", victim.pid).value() == "t"
        assert victim.result().sqlstate == "57014"
        assert victim.value("SELECT 1") == caller.value("SELECT 1") == "1"


@pytest.mark.parametrize("how", CALLS)
def test_session_is_terminated_by_its_number(pooler, superuser, how):
    with pooler.raw() as victim, pooler.raw() as caller:
        start_sleep(victim, superuser, how)
        assert CALLS[how](caller, "pg_terminate_backend", victim.pid).value() == "t"
        ended = victim.wait_closed()
        assert [m.fields()["C"] for m in ended if m.kind == "E"] == ["57P01"]
        assert caller.value("SELECT 1") == "1"


def test_session_idle_in_its_transaction_is_terminated(pooler):
    with pooler.raw() as victim, pooler.raw() as caller:
        victim.query("BEGIN").check()
        victim.query("SELECT 1").check()
        assert caller.value(f"SELECT pg_cancel_backend({victim.pid})") == "t"
        assert victim.value("SELECT 1") == "1", "there was nothing to cancel"
        assert caller.value(f"SELECT pg_terminate_backend({victim.pid})") == "t"
        assert [m.fields()["C"] for m in victim.wait_closed() if m.kind == "E"] == ["57P01"]


def test_idle_session_is_terminated(pooler):
    with pooler.raw() as victim, pooler.raw() as caller:
        victim.query("SELECT 1").check()
        caller.query(f"SELECT pg_terminate_backend({victim.pid})").check()
        assert [m.fields()["C"] for m in victim.wait_closed() if m.kind == "E"] == ["57P01"]


def test_client_in_line_is_cancelled(site, superuser):
    with site.pgweir(settings={"default_pool_size": 2, "workers": 2}) as p:
        with p.raw() as one, p.raw() as two, p.raw() as waiter:
            two.query("BEGIN").check()
            two.query("SELECT 1").check()
            start_sleep(one, superuser, "line")
            waiter.send(pgwire.query("SELECT 'never runs'"))
            assert waiter.is_silent_for(0.2)
            two.query(f"SELECT pg_cancel_backend({waiter.pid})").check()
            assert waiter.result().sqlstate == "57014"
            assert two.value(f"SELECT pg_cancel_backend({one.pid})") == "t"
            assert one.result().sqlstate == "57014"


def test_postgresql_decides_who_may(pooler, superuser):
    with pooler.raw() as victim, pooler.raw(user="other") as caller:
        start_sleep(victim, superuser, "may")
        for call in ("pg_cancel_backend", "pg_terminate_backend"):
            assert caller.query(f"SELECT {call}({victim.pid})").sqlstate == "42501"
        assert victim.is_silent_for(0.3)
        victim.send_cancel()
        assert victim.result().sqlstate == "57014"
        victim.query("SELECT 1").check()
        caller.query(f"SELECT pg_terminate_backend({victim.pid})")
        assert victim.value("SELECT 1") == "1"


def test_number_of_nobody_and_process_ids_are_left_alone(pooler, superuser):
    with pooler.raw() as victim, pooler.raw() as caller:
        start_sleep(victim, superuser, "nobody")
        for number in (victim.pid + 100_000, 2**31 - 1, 100 << 24):
            assert caller.value(f"SELECT pg_cancel_backend({number})") == "f"
        pid = superuser("SELECT pid FROM pg_stat_activity WHERE query LIKE '%/* nobody */' "
                        "AND pid <> pg_backend_pid()")
        assert caller.value(f"SELECT pg_cancel_backend({pid})") == "t"
        assert victim.result().sqlstate == "57014"


def test_several_calls_of_a_pipeline_and_a_kept_statement(pooler, superuser):
    with pooler.raw() as one, pooler.raw() as caller:
        caller.run(pgwire.parse("cancel", "SELECT pg_cancel_backend($1)") + pgwire.SYNC).check()
        for mark in ("first", "second"):
            start_sleep(one, superuser, mark)
            value = str(one.pid).encode()
            unit = pgwire.bind(statement="cancel", params=[value]) + pgwire.execute() + pgwire.SYNC
            caller.send(pgwire.query("SELECT 1") + unit + pgwire.query("SELECT 2"))
            assert [caller.result().value() for _ in range(3)] == ["1", "t", "2"]
            assert one.result().sqlstate == "57014"


def test_caller_may_leave_before_the_answer(pooler, superuser):
    with pooler.raw() as victim:
        for _ in range(10):
            with pooler.raw() as caller:
                caller.send(pgwire.query(f"SELECT pg_cancel_backend({victim.pid})"))
        # a call that is read later than the victim's query would rightly hit it
        proc.wait_until("the callers to be gone", lambda: 1 == len(
            [r for r in pooler.show("CLIENTS") if r["database"] == "app"]))
        proc.wait_until("nothing to be held", lambda: all(
            r["state"] == "idle" for r in pooler.show("SERVERS")))
        assert victim.value("SELECT 1") == "1"


@pytest.mark.threads
def test_storm_hits_only_who_was_meant(site):
    """Neighbours share the servers with one who is cancelled by its number all the time."""
    with site.pgweir(settings={"default_pool_size": 3, "workers": 2}) as p:
        end, wrong = threading.Event(), []

        def neighbour(number):
            with p.raw() as client:
                while not end.is_set():
                    result = client.query(f"SELECT {number}, pg_sleep(0.001)")
                    if result.sqlstate:
                        wrong.append(result.sqlstate)

        threads = [threading.Thread(target=neighbour, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        outcomes = set()
        with p.raw() as victim, p.raw() as caller:
            for _ in range(100):
                victim.send(pgwire.query("SELECT pg_sleep(0.01)"))
                caller.query(f"SELECT pg_cancel_backend({victim.pid})").check()
                outcomes.add(victim.result().sqlstate)
        end.set()
        for thread in threads:
            thread.join()
        assert wrong == [] and outcomes <= {None, "57014"} and "57014" in outcomes


def test_query_on_a_replica_is_cancelled(site, where):
    with site.pgweir_routed(settings={"workers": 2}) as p:
        wait_routing(p, where)
        with p.raw() as victim, p.raw() as caller:
            wait_replica_read(victim, where)  # else a primary's server may be free sooner
            victim.send(pgwire.query("/* pgweir: replica */ SELECT pg_sleep(60) /* onreplica */"))
            names = {node.name for node in site.cluster.standbys}
            proc.wait_until("the query to run", lambda: where.ran("/* onreplica */") & names)
            assert caller.value(f"SELECT pg_cancel_backend({victim.pid})") == "t"
            assert victim.result().sqlstate == "57014"
            assert caller.value("SELECT pg_is_in_recovery()") == "f"


def test_caller_that_waits_for_a_replica_is_not_served_by_the_primary(site, where):
    """There, the number would be nobody's, and the call in vain."""
    with site.pgweir_routed(settings={"workers": 1, "default_pool_size": 1,
                                      "server_cancel_timeout": 6}) as p:
        wait_routing(p, where)
        with p.raw() as victim, p.raw() as caller, p.raw() as writer:
            wait_replica_read(victim, where)
            victim.send(pgwire.query("/* pgweir: replica */ SELECT pg_sleep(3) /* kept busy */"))
            names = {node.name for node in site.cluster.standbys}
            proc.wait_until("the query to run", lambda: where.ran("/* kept busy */") & names)
            caller.send(pgwire.query(f"SELECT pg_cancel_backend({victim.pid})"))
            for _ in range(50):  # each frees the primary's server
                assert writer.value("SELECT txid_current()")
            assert caller.is_silent_for(0.1)
            victim.result().check()
            assert caller.result().value() in ("t", "f")  # by then it is over


# Proven reads that last for as long as nobody ends them.
LONG_READ = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"


@pytest.mark.parametrize("hint, role", [("", "replica"), ("/* pgweir: primary */", "primary")])
def test_read_of_a_terminated_session_runs_nowhere_else(site, where, hint, role):
    """PostgreSQL says the same (57P01) when a node is shut down, which no client would notice."""
    with site.pgweir_routed(settings={"workers": 2}) as p:
        wait_routing(p, where)
        with p.raw() as victim, p.raw() as caller:
            wait_replica_read(victim, where)
            mark = f"/* terminated on a {role} */"
            victim.send(pgwire.query(f"{hint}{LONG_READ} {mark}"))
            ran = proc.wait_until("the read to run", lambda: where.ran(mark))
            assert ("primary" in ran) == (role == "primary")
            assert caller.value(f"SELECT pg_terminate_backend({victim.pid})") == "t"
            ended = victim.wait_closed()
            assert [m.fields()["C"] for m in ended if m.kind == "E"] == ["57P01"]
            proc.wait_until("its backend to go", lambda: not where.ran(mark))
            names = "pgweir_replays_total"
            with urllib.request.urlopen(f"http://127.0.0.1:{p.stats_port}/metrics") as answer:
                counts = re.findall(rf"^{names}\{{.*\}} (\d+)$", answer.read().decode(), re.MULTILINE)
            assert counts and set(counts) == {"0"}


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN READ ONLY",
                                   "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"])
def test_session_idle_in_a_block_on_a_replica_is_terminated(site, where, begin):
    with site.pgweir_routed("transaction_reads=replica", settings={"workers": 2}) as p:
        wait_routing(p, where)
        with p.raw() as victim, p.raw() as caller:
            def begins_on_a_replica():
                victim.query("COMMIT").check()
                victim.query(begin).check()
                return where.of(victim, "SELECT 1") != "primary"
            proc.wait_until("a block on a replica", begins_on_a_replica)
            assert caller.value(f"SELECT pg_terminate_backend({victim.pid})") == "t"
            assert [m.fields()["C"] for m in victim.wait_closed() if m.kind == "E"] == ["57P01"]


CALLS_OF_NOBODY = {  # pg_terminate_backend() of its number that ends no session: (caller, call, says)
    "refused": ("other", "pg_terminate_backend({})", "42501"),
    "not run": ("app", "CASE WHEN random() < 0 THEN pg_terminate_backend({}) END", None),
}


def end_process(site, where, mark):
    """Of the server connection where that has run: PostgreSQL says the same when a node is stopped."""
    name = proc.wait_until("it to run", lambda: where.ran(mark)).pop()
    node = site.cluster.node(name)
    assert node.is_standby()
    node.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
             f"pg_backend_pid() AND query LIKE '%{mark}'")
    proc.wait_until("it to end", lambda: name not in where.ran(mark))


@pytest.mark.parametrize("how", CALLS_OF_NOBODY)
@pytest.mark.parametrize("idle", [True, False], ids=["idle in a block", "within a read"])
def test_call_that_ends_nobody_is_forgotten(site, where, idle, how):
    """The replica of its victim is lost later: the session goes on, as any other."""
    user, call, sqlstate = CALLS_OF_NOBODY[how]
    settings = {"workers": 2, "server_cancel_timeout": 1}
    with site.pgweir_routed("primary_reads=never", settings=settings) as p:
        wait_routing(p, where)
        with p.raw() as victim, p.raw(user) as caller:
            wait_replica_read(victim, where)
            mark = f"/* {how} {idle} */"
            victim.query("BEGIN READ ONLY").check()
            if idle:
                victim.query(f"SELECT 1 {mark}").check()
            else:
                victim.send(pgwire.query(f"{LONG_READ} {mark}"))
                proc.wait_until("the read to run", lambda: where.ran(mark))
            assert caller.query("SELECT " + call.format(victim.pid)).sqlstate == sqlstate
            time.sleep(1.5)
            end_process(site, where, mark)
            if not idle:
                proc.wait_until("the read to run again", lambda: where.ran(mark))
                victim.send_cancel()
                assert victim.result().sqlstate == "57014"
                victim.query("ROLLBACK").check()
            assert victim.value("SELECT 2") == "2"


def test_read_whose_process_is_ended_runs_elsewhere(site, where):
    """By its process id: the server is meant, as far as can be told, and not the client."""
    with site.pgweir_routed(settings={"workers": 2}) as p:
        wait_routing(p, where)
        with p.raw() as victim:
            wait_replica_read(victim, where)
            victim.send(pgwire.query(f"{LONG_READ} /* its process */"))
            name = proc.wait_until("the read to run", lambda: where.ran("/* its process */")).pop()
            node = next(n for n in site.cluster.nodes if n.name == name)
            node.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
                     "pg_backend_pid() AND query LIKE '%/* its process */'")
            proc.wait_until("the read to run again",
                            lambda: where.ran("/* its process */") - {name})
            victim.send_cancel()
            assert victim.result().sqlstate == "57014"
