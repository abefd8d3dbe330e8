"""Who notifies and who listens, for tests that look whether all of it comes, once, in order."""
import struct
import threading

import psycopg2

import pgwire


def notification(message):
    """(pid, channel, payload) of a NotificationResponse."""
    assert message.kind == "A", message.kind
    pid, = struct.unpack_from(">I", message.body)
    channel, payload, _ = message.body[4:].split(b"\0")
    return pid, channel.decode(), payload.decode()


def heard(client):
    return notification(client.read_message())


class Notifier:
    """Numbered notifications on each channel, of a server by itself, one each `pause_s`, until
    stop()."""

    def __init__(self, site, channels, pause_s=0.001):
        self.site, self.channels, self.pause_s = site, channels, pause_s
        self.n, self.failed, self.over = 0, [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        each = " ".join(f"PERFORM pg_notify('{ch}', i::text);" for ch in self.channels)
        try:
            node = self.site.cluster.primary
            conn = psycopg2.connect(host=node.cluster.socket_dir, port=node.port,
                                    user="postgres", dbname="app")
            conn.autocommit = True
            with conn.cursor() as cur:
                while not self.over.is_set():
                    cur.execute(f"DO $$BEGIN FOR i IN {self.n}..{self.n + 19} LOOP {each} COMMIT; "
                                f"PERFORM pg_sleep({self.pause_s}); END LOOP; END$$")
                    self.n += 20
            conn.close()
        except Exception as e:  # pylint: disable=broad-except
            self.failed.append(repr(e))

    def stop(self):
        self.over.set()
        self.thread.join()
        assert self.failed == []


class Listener:
    """Listens, never speaks (or speaks, if `busy`), and notes what it hears, by channel."""

    def __init__(self, connect, channels, busy=None):
        self.client, self.channels, self.busy = connect(), channels, busy
        self.got = {ch: [] for ch in channels}
        self.others, self.wanted, self.over = [], None, threading.Event()
        self.client.query("; ".join(f"LISTEN {ch}" for ch in channels)).check()
        self.thread = threading.Thread(target=self.run)

    def take(self, message):
        if message.kind == "A":
            _, channel, payload = notification(message)
            self.got[channel].append(int(payload))
        elif message.kind in "NE":
            self.others.append(message.fields())

    def has_all(self):
        return self.wanted is not None and all(
            got and got[-1] == self.wanted - 1 for got in self.got.values())

    def run(self):
        try:
            while not self.has_all() and not self.over.is_set():
                if self.busy is not None and self.wanted is None:
                    self.client.send(pgwire.query(self.busy))
                    for m in self.client.read_until("Z"):
                        self.take(m)
                elif not self.client.is_silent_for(0.2):
                    self.take(self.client.read_message())
        except Exception as e:  # pylint: disable=broad-except
            self.others.append(repr(e))

    def finish(self, wanted):
        self.wanted = wanted
        self.thread.join(20)
        self.over.set()
        self.thread.join()
        self.client.close()

    def end(self, wanted):
        """Nothing is missing, nothing came twice, all came in order."""
        self.finish(wanted)
        assert self.others == []
        for channel, got in self.got.items():
            assert got == list(range(wanted)), (channel, got[:3], got[-3:], wanted)
