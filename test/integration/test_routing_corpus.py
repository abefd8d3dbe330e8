"""The classifier against a real primary and its standby: a sample of every form (sample.sql), and
random statements (generate.py). ./quickstart test --full has more of them, and PostgreSQL's own
regression suite."""
import os
import sys

import pytest
from pooler import find_binary

TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.append(f"{TEST}/routing")

import pair  # noqa: E402  pylint: disable=wrong-import-position
from psqlscript import Script  # noqa: E402  pylint: disable=wrong-import-position

JUDGE = os.environ.get("PGWEIR_JUDGE") or os.path.join(
    os.path.dirname(os.path.dirname(find_binary())), "test", "routing", "judge")
pytestmark = [
    pytest.mark.nodes,  # once, with the plain build: what it proves no sanitizer sees
    pytest.mark.skipif(not os.path.exists(JUDGE), reason=f"no {JUDGE}: make test/routing/judge"),
]
N_RANDOM = 400
# Right to keep: one overload is volatile, or the answer is the server's or the session's own.
KEPT = {"function: overloaded", "relation: pg_stat_activity", "relation: pg_locks",
        "advisory lock: pg_try_advisory_lock", "setting: set_config"}


@pytest.fixture
def judge():
    made = pair.Judge(JUDGE)
    yield made
    made.close()


def test_sample_is_judged_as_the_standby_answers(own_site, judge):
    cluster = own_site.cluster
    cluster.create_database("sample")
    cluster.wait_caught_up()
    with open(f"{TEST}/routing/sample.sql", encoding="utf-8") as f:
        script = Script(f.read(), {})
    count = pair.run_script(cluster, judge, "sample", script)
    assert not count.wrong
    assert count.reads >= 95 and count.replica >= 40
    assert not set(count.causes) - KEPT, "kept on the primary though the standby answers"


def test_random_statements_are_judged_as_the_standby_answers(own_site, judge):
    pair.prepare_fuzz(own_site.cluster, "fuzz")
    count, worked = pair.fuzz(own_site.cluster, judge, "fuzz", 1, N_RANDOM)
    assert not count.wrong
    assert worked > N_RANDOM * 0.8
    assert count.replica > N_RANDOM * 0.3
