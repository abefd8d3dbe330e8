"""The classifier and its catalog query against real servers: the scripts of test/routing."""
import os
import subprocess
import sys

import pytest
from pooler import find_binary

TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = f"{TEST}/routing"
JUDGE = os.environ.get("PGWEIR_JUDGE") or os.path.join(
    os.path.dirname(os.path.dirname(find_binary())), "test", "routing", "judge")

pytestmark = [
    pytest.mark.nodes,  # once, with the plain build: what it proves no sanitizer sees
    pytest.mark.skipif(not os.path.exists(JUDGE), reason=f"no {JUDGE}: make test/routing/judge"),
]


def dsn(cluster, node):
    return f"host={cluster.socket_dir} port={node.port} user=postgres dbname=rt"


def run(cluster, *argv):
    """Run one of the scripts, which may lie where the servers' user cannot read; its output."""
    env = {**os.environ, "PATH": f"{cluster.bindir}:{os.environ['PATH']}"}
    done = subprocess.run([str(a) for a in argv], env=env, text=True, timeout=170, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout


@pytest.fixture(scope="module")
def catalog(own_site, tmp_path_factory):
    """catalog.tsv as this server gives it, from a database filled with both schemas."""
    cluster = own_site.cluster
    cluster.create_database("rt")
    text = run(cluster, f"{FOLDER}/make_catalog.sh", JUDGE, dsn(cluster, cluster.primary))
    cluster.wait_caught_up()
    path = tmp_path_factory.mktemp("routing") / "catalog.tsv"
    path.write_text(text, encoding="utf-8")
    return path


COMMITTED_VERSION = 150020  # of the server that catalog.tsv is from


def builtins_and_rest(lines):
    builtins = {line for line in lines if line.startswith("builtin\t")}
    return builtins, sorted(line for line in lines if line not in builtins)


def test_committed_catalog_is_what_the_query_gives(own_site, catalog):
    """Another minor version may have built-in functions more, or lack some; all else is the same."""
    primary = own_site.cluster.primary
    version = int(primary.sql("SHOW server_version_num"))
    if version // 10000 != COMMITTED_VERSION // 10000:
        pytest.skip(f"the committed one is of PostgreSQL 15, this is {version}")
    with open(f"{FOLDER}/catalog.tsv", encoding="utf-8") as f:
        committed, committed_rest = builtins_and_rest(f.read().splitlines())
    here, rest = builtins_and_rest(catalog.read_text(encoding="utf-8").splitlines())
    assert rest == committed_rest
    known = primary.sql("SELECT string_agg(DISTINCT proname::text, ' ') FROM pg_catalog.pg_proc")
    known = {f"builtin\t{name}" for name in known.split()}
    lacking = committed - known
    assert here >= committed - lacking
    assert version == COMMITTED_VERSION or len(lacking) < 5
    assert here == committed - lacking or version > COMMITTED_VERSION


def test_catalog_query_calls_nothing_of_a_user(own_site, catalog):  # pylint: disable=unused-argument
    cluster = own_site.cluster
    run(cluster, f"{FOLDER}/search_path.sh", JUDGE, dsn(cluster, cluster.primary))


@pytest.mark.parametrize("name", ["statements.jsonl", "examples.jsonl"])
def test_verdicts_are_true_on_a_primary_and_its_standby(own_site, catalog, name):
    cluster = own_site.cluster
    run(cluster, sys.executable, f"{FOLDER}/verify.py", JUDGE, catalog,
        dsn(cluster, cluster.primary), dsn(cluster, cluster.standbys[0]), f"{FOLDER}/{name}")
