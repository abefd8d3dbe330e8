"""What a client has set, whichever way, is what a private connection would have."""
import os

import pytest
from settings_model import SETUP, Model

STEPS = int(os.environ.get("PGWEIR_SETTINGS_STEPS", "4000"))
SEED = int(os.environ.get("PGWEIR_SETTINGS_SEED", "1"))
SLICE = 2000  # steps of one test, each of which has a time limit


@pytest.fixture(scope="module")
def model(site):
    site.cluster.primary.sql(SETUP, "app")
    passwords = {**site.passwords, "chief": "chief-secret"}
    databases = site.app_on([site.cluster.primary], "routing=on")  # so that it loads the catalog
    with site.pgweir(databases, settings={"default_pool_size": 2}, passwords=passwords) as p:
        users = {"app": passwords["app"], "chief": passwords["chief"]}
        with p.raw() as c:  # the catalog is asked for by the first statement
            c.query("SELECT 1").check()
        p.wait_log("catalog loaded")
        model = Model([p.port, site.cluster.primary.port], users, SEED)
        yield model, p
        model.close()
    site.cluster.primary.sql(
        "DROP SCHEMA red, blue, role_a CASCADE; DROP TABLE noted; DROP VIEW paths;"
        "DROP FUNCTION notes, sets_path, sets_app_a, sets_it, sets_and_fails, sets_nothing;"
        "DROP PROCEDURE sets_in_two;"
        "DROP OWNED BY role_a, role_b; DROP ROLE role_a, role_b, chief", "app")


@pytest.mark.parametrize("part", range(-(-STEPS // SLICE)))
def test_random_sequences_do_what_private_connections_do(model, part):
    sequences, _ = model
    for _ in range(min(SLICE, STEPS - part * SLICE)):
        sequences.take_step()


def test_nobody_was_kept_on_a_server_for_what_can_follow(model):
    sequences, p = model
    for actors in sequences.actors.values():
        for actor in actors:
            actor.reopen()
    assert p.show("PINS") == []
