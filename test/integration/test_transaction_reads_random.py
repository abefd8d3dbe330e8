"""Random transactions with transaction_reads = replica do what private connections do."""
import os

import pytest
from test_transaction_reads import events
from transactions_model import Model, beside_a_private_connection
from where import where_fixture

STEPS = int(os.environ.get("PGWEIR_TRANSACTIONS_STEPS", "6000"))
SEED = int(os.environ.get("PGWEIR_TRANSACTIONS_SEED", "1"))
SLICE = 3000  # steps of one test, each of which has a time limit
EVENTS = ("began", "ended", "moved_write", "moved_session", "moved_time", "moved_cursor",
          "moved_failed", "moved_lost")

where = where_fixture("own_site")


@pytest.fixture(scope="module")
def model(own_site, where):
    with beside_a_private_connection(Model, own_site, where, SEED, "transaction_reads=replica") as both:
        yield both


@pytest.mark.parametrize("part", range(-(-STEPS // SLICE)))
def test_random_transactions_do_what_private_connections_do(model, part):
    transactions, _ = model
    for _ in range(min(SLICE, STEPS - part * SLICE)):
        transactions.take_step()


def test_they_began_ended_and_moved_for_every_reason(model):
    """Some reasons need luck with time: as many steps again are taken as it needs, up to a bound."""
    transactions, p = model
    found = events(p)
    end = transactions.step + 4 * SLICE
    while transactions.step < end and not all(found.get(e, 0) > 0 for e in EVENTS):
        for _ in range(100):
            transactions.take_step()
        found = events(p)
    print(found, "lost", transactions.n_lost)
    assert found["began"] > transactions.step / 50
    assert all(found.get(e, 0) > 0 for e in EVENTS), found
