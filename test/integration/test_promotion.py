"""A standby is promoted: writes follow it, and never go back to the old primary."""
import threading

import pytest
from followed import Followed
from pgwire import Closed
from rawclient import ServerError
from tools import proc
from where import send_marked, wait_routing, where_fixture


where = where_fixture("own_site")


@pytest.fixture(scope="module")
def pooler(own_site, where):
    settings = {"query_wait_timeout": 20, "server_login_retry": 1}
    with own_site.pgweir_routed(settings=settings) as p:
        wait_routing(p, where)
        yield p


class Writer:
    """Counts up as fast as it may; every acknowledged number is kept."""

    def __init__(self, pooler):
        self.pooler = pooler
        self.acknowledged = []
        self.errors = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        number = 0
        with self.pooler.raw() as client:
            while not self._end.is_set():
                number += 1
                try:
                    result = client.query(f"INSERT INTO promoted VALUES ({number})")
                except (Closed, ServerError) as e:
                    self.errors.append(repr(e))
                    return
                if result.errors:
                    self.errors.append(result.sqlstate)
                else:
                    self.acknowledged.append(number)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def check_followed(pooler, node):
    """Promote the node; a write has to arrive there soon after pgweir knows."""
    followed = Followed(pooler, node)
    node.promote()
    took = followed.seconds()
    print(f"a write on {node.name} {took:.3f} s after its first answer as the primary")
    assert took <= followed.limit()


def test_writes_follow_a_promotion_and_never_go_back(pooler, own_site, where):
    """The old primary dies, a standby takes over, and the old primary comes back writable."""
    old, new, third = own_site.cluster.nodes
    old.sql("CREATE TABLE promoted (a int); ALTER TABLE promoted OWNER TO app", "app")
    own_site.cluster.wait_caught_up()
    listener = pooler.raw()
    listener.query("LISTEN promoted").check()
    with Writer(pooler) as writer:
        proc.wait_until("some writes", lambda: len(writer.acknowledged) > 50)
        old.kill()
        before = len(writer.acknowledged)
        check_followed(pooler, new)
        proc.wait_until("writes on the new primary",
                        lambda: len(writer.acknowledged) > before + 10, 15 * pooler.slow)
        third.follow(new)
        old.start()  # writable, on the old timeline
        lost_before = int(old.sql("SELECT count(*) FROM promoted", "app"))
        before = len(writer.acknowledged)
        proc.wait_until("many more writes", lambda: len(writer.acknowledged) > before + 200,
                        15 * pooler.slow)
    assert int(old.sql("SELECT count(*) FROM promoted", "app")) == lost_before
    assert len(writer.errors) <= 2, writer.errors
    kept = {int(n) for n in new.sql("SELECT a FROM promoted", "app").split()}
    after_promotion = set(writer.acknowledged[before:])
    assert after_promotion <= kept
    with pooler.raw() as client:
        assert where.of(client, "SELECT count(*) FROM promoted FOR UPDATE"
                        .replace("count(*)", "a")) == new.name
    assert old.name not in reads(pooler, where), "an old timeline is not fit for reads"
    assert "missed" in listener.read_message().fields()["M"]
    with pooler.raw() as client:
        client.query("NOTIFY promoted, 'new'").check()
    assert listener.read_message().body[4:] == b"promoted\0new\0", "it listens on the new one"
    listener.close()


def reads(pooler, where):
    with pooler.raw() as client:
        return {where.of(client) for _ in range(30)}


def test_old_primary_rejoins_as_a_replica(pooler, own_site, where):
    old, new, _ = own_site.cluster.nodes
    old.rebuild(new)
    old.wait_caught_up(new)
    proc.wait_until("the rebuilt node to get reads",
                    lambda: old.name in reads(pooler, where), 20 * pooler.slow)
    with pooler.raw() as client:
        assert where.of(client, "INSERT INTO promoted VALUES (0)") == new.name


def test_a_read_on_a_replica_that_is_promoted_goes_on(pooler, own_site, where):
    """Last in this file: the primary is left alive, and fenced."""
    with pooler.raw() as client:
        proc.wait_until("reads on a replica", lambda: where.of(client) in (
            own_site.cluster.nodes[0].name, own_site.cluster.nodes[2].name), 20, 0.05)
        mark = send_marked(client, "SELECT 4711 FROM pg_sleep(2)")
        proc.wait_until("it to run", lambda: where.ran(mark), 10, 0.02)
        name = where.ran(mark).pop()
        with Writer(pooler):
            check_followed(pooler, own_site.cluster.node(name))
        assert client.result().check().value() == "4711"
        proc.wait_until("writes there", lambda: where.of(
            client, "INSERT INTO promoted VALUES (-1)") == name, 20, 0.1)
