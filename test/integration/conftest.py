"""Fixtures of the integration tests, and their time limits.

One primary with two standbys serves all tests; each module starts the daemons it needs. A test
that kills or promotes nodes uses `own_site`, a cluster for that module alone.
"""
import faulthandler
import itertools
import os
import resource
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from pooler import Site  # noqa: E402  pylint: disable=wrong-import-position
from succession import SETTINGS, Succession  # noqa: E402  pylint: disable=wrong-import-position
from tools import proc  # noqa: E402  pylint: disable=wrong-import-position
from tools.cluster import Cluster  # noqa: E402  pylint: disable=wrong-import-position

TABLE_NUMBERS = itertools.count(1)
TEST_SECONDS = 180  # per test, its fixtures included
PASSWORDS = {"app": "app-secret", "other": "other-secret", "admin": "admin-secret",
             "stats": "stats-secret", "monitor": "monitor-secret", "md5user": "md5-secret",
             "plainuser": "plain-secret", "trustuser": "trust-secret", "tlsuser": "tls-secret",
             "copier": "copier-secret"}
OPTIONS = {"monitor": "IN ROLE pg_monitor", "copier": "REPLICATION"}
HBA = ["host replication copier,app 127.0.0.1/32 scram-sha-256",
       "hostnossl all tlsuser 127.0.0.1/32 reject",
       "host all md5user 127.0.0.1/32 md5", "host all plainuser 127.0.0.1/32 password",
       "host all trustuser 127.0.0.1/32 trust"]


def pytest_configure(config):
    config.addinivalue_line("markers", "threads: worth running under ThreadSanitizer")
    config.addinivalue_line("markers", "nodes: needs replicas to lag, nodes to fail; takes minutes")
    config.addinivalue_line("markers", "engines: run on both engines by ./quickstart test")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))  # cleans up


# Run on the other engine as well: what moves bytes, ends connections, hands them over.
ENGINES = ("test_basics", "test_cancel", "test_copy", "test_limits", "test_many_clients",
           "test_pipeline", "test_takeover", "test_tls", "test_vanish")
NODES = ("test_consistency", "test_failover", "test_promotion", "test_routing", "test_switchover",
         "test_topology")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.module.__name__.startswith(NODES):
            item.add_marker(pytest.mark.nodes)
        if item.module.__name__.startswith(ENGINES):
            item.add_marker(pytest.mark.engines)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails; one that hangs in C code ends the whole run with a trace."""
    def expired(*_):
        raise TimeoutError(f"{item.nodeid} took more than {TEST_SECONDS} s")
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(TEST_SECONDS)
    faulthandler.dump_traceback_later(TEST_SECONDS + 60, exit=True)
    yield
    signal.alarm(0)
    faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Show the end of the running daemons' logs with a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name, value in item.funcargs.items():
            for daemon in getattr(value, "running", None) or getattr(
                    getattr(value, "site", None), "running", []):
                report.sections.append((f"log of pgweir, port {daemon.port} ({name})",
                                        daemon.log_text()[-4000:]))


def make_site(folder, cluster):
    for user, password in PASSWORDS.items():
        if user not in ("admin", "stats"):
            cluster.create_user(user, password, OPTIONS.get(user, ""),
                                "md5" if user == "md5user" else "scram-sha-256")
    cluster.create_database("app", "app", scale=1)
    cluster.wait_caught_up()
    return Site(cluster, folder, PASSWORDS)


def temporary_site(standbys, hba=(), **settings):
    """hba: lines ahead of the usual ones; settings: of PostgreSQL, beyond the usual ones."""
    folder = tempfile.mkdtemp(prefix="pgweir-it-", dir="/tmp")
    os.chmod(folder, 0o755)
    proc.give_to_service_user(folder)
    try:
        with Cluster(f"{folder}/pg", standbys, tls=True, hba=[*hba, *HBA],
                     settings=settings) as cluster:
            site = make_site(folder, cluster)
            yield site
            for daemon in list(site.running):
                daemon.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def site():
    """The shared cluster, left as it was found."""
    yield from temporary_site(standbys=2)


@pytest.fixture(scope="module")
def own_site():
    """A cluster of the module's own, for tests that hurt it."""
    yield from temporary_site(standbys=2)


@pytest.fixture
def new_table(site):
    """new_table("a int, b text") makes a table of the user app and returns its name; it is
    dropped after the test."""
    names = []

    def make(columns="a int", options=""):
        names.append(f"made_{next(TABLE_NUMBERS)}")
        site.cluster.primary.sql(f"CREATE {options} TABLE {names[-1]} ({columns});"
                                 f"ALTER TABLE {names[-1]} OWNER TO app", "app")
        return names[-1]
    yield make
    for name in names:
        site.cluster.primary.sql(f"DROP TABLE IF EXISTS {name}", "app")


@pytest.fixture
def succession(site):
    """succession(databases, settings) starts a daemon that can be replaced, of two workers."""
    made = []

    def make(databases=None, settings=None, **more):
        settings = {**SETTINGS, "workers": 2, **(settings or {})}
        daemon = site.pgweir(databases, settings=settings, **more).start()
        made.append(Succession(daemon))
        return made[-1]
    yield make
    for s in made:
        if s.pids:  # else the test has seen to its end
            s.stop()


@pytest.fixture
def superuser(site):
    """Run SQL on the primary, past pgweir: superuser(sql, db="app")."""
    def run(sql, db="app"):
        return site.cluster.primary.sql(sql, db)
    return run
