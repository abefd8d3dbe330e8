"""Clients that LISTEN go to the process that takes over, and miss nothing on the way."""
import os
import random
import signal
import threading
import time

import pgwire
import pytest

from hearing import Listener, Notifier, heard, notification
from rawclient import RawClient
from tools import proc

pytestmark = pytest.mark.threads


def test_client_that_only_listens_goes_too(succession):
    s = succession()
    with s.daemon.raw() as listener, s.daemon.raw() as sender:
        listener.query("LISTEN news").check()
        for n in range(3):
            s.wait_ended(s.replace())
            sender.query(f"NOTIFY news, '{n}'").check()
            assert heard(listener) == (sender.pid, "news", str(n))
        assert listener.is_silent_for(0.3)


class Hiccups:
    """Both processes of a take-over stand still now and then, each for itself: one hears late."""

    def __init__(self, succession, seed):
        self.s, self.rand, self.over = succession, random.Random(seed), threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            pid = self.rand.choice(self.s.pids[-2:])
            if proc.is_alive(pid):
                os.kill(pid, signal.SIGSTOP)
                time.sleep(self.rand.uniform(0, 0.03))
                os.kill(pid, signal.SIGCONT)
            time.sleep(self.rand.uniform(0, 0.01))

    def stop(self):
        self.over.set()
        self.thread.join()


@pytest.mark.parametrize("engine", ["epoll", "auto"])
@pytest.mark.parametrize("workers", [1, 3])
def test_ten_takeovers_lose_no_notification(succession, site, workers, engine):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    s = succession(settings={"workers": workers, "io_engine": engine, "default_pool_size": 5})
    kinds = [(["one"], None), (["one", "two"], None), (["two", "three", "four"], None),
             (["one", "three"], "SELECT 1"), (["two"], "BEGIN; SELECT pg_sleep(0.01); COMMIT"),
             (["three"], "SELECT pg_sleep(0.05)"), (["four"], None), (["four"], None)]
    listeners = [Listener(s.daemon.raw, channels, busy) for channels, busy in kinds]
    notifier = Notifier(site, ["one", "two", "three", "four"])
    hiccups = Hiccups(s, seed)
    for x in listeners:
        x.thread.start()
    try:
        for _ in range(10):
            s.wait_ended(s.replace())
    finally:
        hiccups.stop()
        notifier.stop()
        for x in listeners:
            x.end(notifier.n)
    assert notifier.n > 100


def test_listening_goes_on_as_it_was_and_can_be_changed(succession):
    s = succession()
    with s.daemon.raw() as one, s.daemon.raw() as two:
        one.query('LISTEN a; LISTEN "B c"; LISTEN d').check()
        s.wait_ended(s.replace())
        assert one.query("SELECT pg_listening_channels()").check().rows == [("a",), ("B c",), ("d",)]
        one.query("UNLISTEN a").check()
        one.query("LISTEN e").check()
        two.query("""NOTIFY a; NOTIFY "B c", '1'; NOTIFY e, '2'; NOTIFY d, '3'""").check()
        assert [heard(one)[1:] for _ in range(3)] == [("B c", "1"), ("e", "2"), ("d", "3")]
        s.wait_ended(s.replace())
        proc.wait_until("its channels, and no other", lambda: s.daemon.show_one(
            "LISTENERS", database="app")["channels"] == "3", 20)
        one.query("BEGIN; UNLISTEN *; LISTEN a; ROLLBACK").check()
        two.query("NOTIFY a; NOTIFY e").check()
        assert heard(one)[1] == "e"
        one.query("UNLISTEN *").check()
        two.query("""NOTIFY "B c"; NOTIFY e""").check()
        s.wait_ended(s.replace())
        two.query("NOTIFY d").check()
        assert one.is_silent_for(0.3)
        assert s.daemon.show("LISTENERS") == []


def test_the_pid_is_the_notifier_s_on_servers_that_have_moved(succession):
    s = succession(settings={"default_pool_size": 2})
    senders = [s.daemon.raw() for _ in range(4)]
    with s.daemon.raw() as listener:
        listener.query("LISTEN who").check()
        for _ in range(3):
            for c in senders:
                result = c.query(f"LISTEN own; NOTIFY who, '{c.pid}'; NOTIFY own").check()
                assert [notification(m)[0] for m in result.messages if m.kind == "A"] == [c.pid]
                assert heard(listener) == (c.pid, "who", str(c.pid))
                c.query("UNLISTEN own").check()
            s.wait_ended(s.replace())
            # who has written there last goes on: the new process knows it from the old one
            senders[-1].query(f"NOTIFY who, '{senders[-1].pid}'").check()
            assert heard(listener)[0] == senders[-1].pid
    for c in senders:
        c.close()


def test_what_comes_inside_a_transaction_is_told_at_its_end_and_the_client_goes_then(succession):
    s = succession()
    with s.daemon.raw() as one, s.daemon.raw() as two:
        one.query("LISTEN news").check()
        one.query("BEGIN").check()
        one.query("SELECT 1").check()
        old = s.replace()
        for n in range(5):
            two.query(f"NOTIFY news, '{n}'").check()
        assert one.is_silent_for(0.3)
        assert proc.is_alive(old)
        result = one.query("COMMIT").check()
        assert [notification(m)[2] for m in result.messages if m.kind == "A"] == list("01234")
        s.wait_ended(old)
        two.query("NOTIFY news, '5'").check()
        assert heard(one)[2] == "5"


def test_a_pinned_listener_hears_in_the_old_process(succession):
    s = succession()
    with s.daemon.raw() as pinned, s.daemon.raw() as moves, s.daemon.raw() as two:
        pinned.query("CREATE TEMP TABLE mine ()").check()
        for c in pinned, moves:
            c.query("LISTEN news").check()
        old = s.replace()
        s.daemon.wait_log("listening clients go to the new process")
        two.query("NOTIFY news, '1'").check()
        for c in pinned, moves:
            assert heard(c)[1:] == ("news", "1")
        pinned.query("LISTEN more").check()
        two.query("NOTIFY more, '2'").check()
        assert heard(pinned)[1:] == ("more", "2")
        assert proc.is_alive(old)
        assert moves.is_silent_for(0.1)
    s.wait_ended(old)


def test_who_stays_for_long_goes_when_much_has_come_since(succession):
    """More than the new process keeps since a marker: another one is sent."""
    s = succession(settings={"notify_queue": 16 << 20})
    with s.daemon.raw() as one, s.daemon.raw() as other, s.daemon.raw() as two:
        for c in one, other:
            c.query("LISTEN news").check()
        one.query("BEGIN").check()
        one.query("SELECT 1").check()
        old = s.replace()
        for n in range(1000):
            two.query(f"SELECT pg_notify('news', '{n} ' || repeat('x', 7900))").check()
        for n in range(1000):
            assert heard(other)[2].startswith(f"{n} ")
        assert proc.is_alive(old)
        one.send(pgwire.query("COMMIT"))
        told = [notification(m)[2] for m in one.read_until("Z") if m.kind == "A"]
        assert [t.split()[0] for t in told] == [str(n) for n in range(1000)]
        s.wait_ended(old)
        two.query("NOTIFY news, 'last'").check()
        assert heard(one)[2] == heard(other)[2] == "last"


def end_listening_backends(site):
    site.cluster.primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             "WHERE application_name = 'pgweir-listen'")


def test_a_loss_in_a_takeover_is_told_and_nothing_comes_twice(succession, site):
    """The listening connections of either process are lost at any time, and both hear late."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rand, s = random.Random(seed), succession()
    listeners = [Listener(s.daemon.raw, channels) for channels in (["one"], ["one", "two"])]
    notifier = Notifier(site, ["one", "two"])
    hiccups = Hiccups(s, seed)
    for x in listeners:
        x.thread.start()
    try:
        for _ in range(8):
            enders = threading.Timer(rand.uniform(0.1, 0.6), end_listening_backends, [site])
            enders.start()
            s.wait_ended(s.replace(), timeout=60)
            enders.join()
        proc.wait_until("to listen again", lambda: s.daemon.show_one(
            "LISTENERS", database="app")["state"] == "ready", 20)
    finally:
        hiccups.stop()
        time.sleep(0.5)  # what is told last is not lost
        notifier.stop()
        for x in listeners:
            x.finish(notifier.n)
    for x in listeners:
        assert all("may have been missed" in str(told) for told in x.others), x.others
        for got in x.got.values():
            assert got == sorted(set(got))
            if len(got) != notifier.n:
                assert x.others
