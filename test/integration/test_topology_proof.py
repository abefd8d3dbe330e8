"""The proof of test/long/topology in short: a cascade of nodes under a mixed load, while a replica and
then the primary are killed: no wrong answer, no acknowledged write lost or done twice, no read failed.
And with asynchronous replication, while a replica is promoted beside the primary and that is killed:
nothing lost but what PostgreSQL has lost."""
import os
import subprocess
import sys

import pytest
from pooler import find_binary

PROGRAM = f"{os.path.dirname(os.path.abspath(__file__))}/../long/topology"


@pytest.mark.parametrize("more", [[], ["--async"]], ids=["synchronous", "asynchronous"])
def test_nodes_are_lost_under_a_mixed_load(more):
    done = subprocess.run([sys.executable, PROGRAM, "--short", *more], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
                          env={**os.environ, "PGWEIR_BIN": find_binary()})
    if "SKIPPED" in done.stdout or "no namespace" in done.stdout:
        pytest.skip(done.stdout.strip())
    print(done.stdout)
    assert done.returncode == 0
    assert "answers and ledger: as they have to be; bad: nothing" in done.stdout
