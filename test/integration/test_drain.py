"""SHUTDOWN WAIT_FOR_CLIENTS with drain_rate: load balancers move the clients, a few at a time."""
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest
from tools import proc

CLIENTS = 30


def is_ready(daemon):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.stats_port}/readyz", timeout=5):
            return True
    except urllib.error.HTTPError:
        return False


def is_told(client):
    """Has something come for the client?"""
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return False
    finally:
        client.sock.settimeout(20)


ENDS = {
    "console": lambda daemon: daemon.admin("SHUTDOWN WAIT_FOR_CLIENTS"),
    "SIGTERM": lambda daemon: daemon.process.send_signal(signal.SIGTERM),
    "SIGINT": lambda daemon: daemon.process.send_signal(signal.SIGINT),  # the unit's, the image's
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_clients_are_closed_at_the_rate_after_readyz_is_red(site, end):
    daemon = site.pgweir(settings={"drain_rate": 10, "drain_delay": 1, "workers": 2}).start()
    clients = [daemon.raw() for _ in range(CLIENTS)]
    busy = daemon.raw()
    busy.query("BEGIN; SELECT 1").check()
    assert is_ready(daemon)
    began = time.monotonic()
    end(daemon)
    proc.wait_until("/readyz turns red", lambda: not is_ready(daemon))
    assert not any(is_told(c) for c in clients)
    for c in clients:
        assert c.read_message().fields()["C"] == "57P01"
    took = time.monotonic() - began
    assert took > 1 + (CLIENTS - 10) / 10  # a second's quota may go at once
    assert busy.value("SELECT 2") == "2"
    busy.query("COMMIT").check()
    assert busy.read_message().fields()["C"] == "57P01"
    daemon.process.wait(20 * daemon.slow)
    daemon.stop()


def test_without_a_rate_clients_leave_by_themselves(site):
    daemon = site.pgweir(settings={"drain_delay": 0}).start()
    with daemon.raw() as client:
        daemon.admin("SHUTDOWN WAIT_FOR_CLIENTS")
        time.sleep(0.5)  # several rounds of what would close it
        assert client.value("SELECT 1") == "1"
    daemon.process.wait(20 * daemon.slow)
    daemon.stop()
