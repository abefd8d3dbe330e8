"""Random series of protocol messages are answered as on private connections."""
import os

import pytest
from protocol_model import CLIENTS, DROP, SCHEMAS, SETUP, Model

STEPS = int(os.environ.get("PGWEIR_PROTOCOL_STEPS", "1000"))
SEED = int(os.environ.get("PGWEIR_PROTOCOL_SEED", "1"))
SLICE = 1000  # steps of one test, each of which has a time limit
SERVERS = 2


@pytest.fixture(scope="module")
def model(site):
    site.cluster.primary.sql(SETUP, "app")
    with site.pgweir(site.app_on([site.cluster.primary]),
                     settings={"default_pool_size": SERVERS, "workers": 1, "query_wait_timeout": 2}) as p:
        both = Model([p.port, site.cluster.primary.port], site.passwords["app"], SEED, SERVERS)
        yield both, p
        both.close()
    site.cluster.primary.sql(DROP, "app")


@pytest.mark.parametrize("part", range(-(-STEPS // SLICE)))
def test_random_series_are_answered_as_on_private_connections(model, part):
    both, _ = model
    for _ in range(min(SLICE, STEPS - part * SLICE)):
        both.take_step()


def test_both_sides_have_written_the_same(model, site):
    both, p = model
    print("blocked", both.n_blocked, "of", both.step)
    assert both.n_blocked < both.step / 20
    both.reopen()
    assert p.show("PINS") == []
    for i in range(CLIENTS):
        left, right = (site.cluster.primary.sql(
            f"SELECT string_agg(t::text, ' ' ORDER BY n) FROM {s}.t{i} t", "app") for s in SCHEMAS)
        assert left == right
