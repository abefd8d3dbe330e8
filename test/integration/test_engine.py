"""Which engine serves the workers' sockets, and what is said where io_uring cannot be had."""
import contextlib
import os
import sys
import time

import pgwire
import pytest
from tools import proc, uring

FORBID = (sys.executable, os.path.realpath(uring.__file__))


def engine(pooler):
    """What SHOW WORKERS tells, after a query through the pooler."""
    with pooler.raw() as c:
        c.query("SELECT 1").check()
    names = {row["io_engine"] for row in pooler.show("WORKERS")}
    assert len(names) == 1, names
    return names.pop()


@pytest.fixture(name="offered")
def needs_io_uring(site):
    if uring.why_not():
        pytest.skip(f"io_uring is NOT tested: {uring.why_not()}")
    with open(site.binary, "rb") as f:
        if b"built without liburing" in f.read():
            pytest.skip("io_uring is NOT tested: the binary is built without it")


@pytest.mark.parametrize("asked", ["auto", "io_uring"])
def test_io_uring_where_it_is_offered(site, offered, asked):
    with site.pgweir(settings={"io_engine": asked, "workers": 2}) as p:
        assert engine(p) == "io_uring"
        assert f'sockets are served by io_uring io_engine={asked}' in p.log_text()


@pytest.mark.parametrize("asked", ["epoll", "auto"])
def test_who_has_nothing_to_do_hardly_wakes(site, asked):
    """Ten times a second by a worker's own clock; without routing there is nothing to watch."""
    with site.pgweir(settings={"io_engine": asked, "workers": 1}) as p:
        assert engine(p)
        time.sleep(1.5)  # control has made all that it makes in its first second
        before = proc.switches(p.pid)
        time.sleep(3)
        assert proc.switches(p.pid) - before < 75  # 120 while both threads woke before their time


def test_auto_is_the_default(site, offered):
    with site.pgweir(settings={"io_engine": None}) as p:
        assert engine(p) == "io_uring"


def test_epoll_where_it_is_asked_for(site):
    with site.pgweir(settings={"io_engine": "epoll"}) as p:
        assert engine(p) == "epoll"
        assert "io_uring" not in p.log_text()
        assert "system call of its own" not in p.log_text()


def test_epoll_without_batches_where_those_are_forbidden(site):
    with site.pgweir(settings={"io_engine": "epoll", "workers": 2}, before=(*FORBID, "--aio")) as p:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(p.raw()) for _ in range(20)]
            for number in range(20):
                for c in clients:
                    c.send(pgwire.query(f"SELECT {number}"))
                assert [c.result().value() for c in clients] == [str(number)] * 20
        assert engine(p) == "epoll"
        assert p.log_text().count(
            "INFO each send is a system call of its own worker=0 "
            'reason="the system forbids io_submit (a container\'s seccomp filter)"') == 1


@pytest.mark.parametrize("asked, said", [
    ("auto", "INFO sockets are served by epoll"),
    ("io_uring", "WARN io_uring is not available, sockets are served by epoll")])
def test_epoll_and_the_reason_where_io_uring_is_forbidden(site, offered, asked, said):
    with site.pgweir(settings={"io_engine": asked, "workers": 2}, before=FORBID) as p:
        assert engine(p) == "epoll"
        lines = [line for line in p.log_text().splitlines() if "served by" in line]
        assert len(lines) == 1 and said in lines[0], lines
        assert "seccomp" in lines[0]
