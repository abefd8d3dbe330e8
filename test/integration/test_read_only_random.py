"""Random READ ONLY transactions whose replica is lost now and then do what private connections do."""
import os

import pytest
from test_routing_exceptions import counts
from test_transaction_reads import events
from transactions_model import Model, beside_a_private_connection
from where import where_fixture

STEPS = int(os.environ.get("PGWEIR_TRANSACTIONS_STEPS", "1500"))
SLICE = 1500  # steps of one test, each of which has a time limit
EVENTS = ("moved_lost", "moved_failed")
SEED = int(os.environ.get("PGWEIR_TRANSACTIONS_SEED", "1"))

where = where_fixture("own_site")


class ReadOnlyModel(Model):
    def begin(self):
        return self.rng.choice(["BEGIN READ ONLY"] * 6 + [
            "START TRANSACTION READ ONLY", "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", "BEGIN"])

    def write(self, t):
        """Seldom: it ends on the primary."""
        return super().write(t) if self.rng.random() < 0.2 else self.read(t)

    def control(self, actor):
        """No chain behind a failure: there PostgreSQL keeps READ ONLY only in a chained block."""
        text = super().control(actor)
        return "ROLLBACK" if "CHAIN" in text and actor.status == "E" else text

    def take_step(self):
        for actor in self.actors:
            actor.now = None  # it is later behind a move
        if self.rng.random() < 0.02 and not any(a.status == "E" for a in self.actors):
            self.lose()
            self.n_lost += 1
        super().take_step()


@pytest.fixture(scope="module")
def model(own_site, where):
    with beside_a_private_connection(ReadOnlyModel, own_site, where, SEED) as both:
        yield both


@pytest.mark.parametrize("part", range(-(-STEPS // SLICE)))
def test_random_read_only_transactions_do_what_private_connections_do(model, part):
    transactions, _ = model
    for _ in range(min(SLICE, STEPS - part * SLICE)):
        transactions.take_step()


def test_they_moved_for_every_reason(model):
    """Some need luck with time: as many steps again are taken as it needs, up to a bound."""
    transactions, p = model
    found = events(p)
    end = transactions.step + 4 * SLICE
    while transactions.step < end and not all(found.get(e, 0) > 0 for e in EVENTS):
        transactions.take_step()
        found = events(p)
    print(found, "lost", transactions.n_lost)
    assert all(found.get(e, 0) > 0 for e in EVENTS), found
    assert found["began"] == sum(n for event, n in found.items() if event.startswith("moved_"))
    assert counts(p) == (0, 0)
