"""pgweir-ramp: it raises the clients up to a limit, and names what gave way first."""
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys

import pytest
from tools import proc
from tools.certs import Authority

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = f"{TOP}/bench/pgweir-ramp"


@pytest.fixture(scope="module")
def ramp():
    loader = importlib.machinery.SourceFileLoader("pgweir_ramp", PROGRAM)
    spec = importlib.util.spec_from_loader("pgweir_ramp", loader)
    module = importlib.util.module_from_spec(spec)
    write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = write
    return module


def run(pooler, *args):
    return subprocess.run(
        [sys.executable, PROGRAM, "--stats", f"http://127.0.0.1:{pooler.stats_port}",
         "--step-seconds", "2", *args, "app"], env=proc.clean_env(pooler.env()),
        capture_output=True, text=True, timeout=120, check=False)


def test_a_small_pool_is_found(site):
    folder = site.new_folder()
    script = f"{folder}/sleep.sql"
    with open(script, "w", encoding="utf-8") as f:
        f.write("SELECT pg_sleep(0.2);\n")  # what a slow machine adds is little
    with site.pgweir(settings={"default_pool_size": 2}) as p:
        done = run(p, "-f", script, "--start", "2", "--max", "32", "--factor", "4", "--p95", "1500",
                   "--json")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert [s["clients"] for s in result["steps"]] == [2, 8, 32]
        assert result["first"]["what"] == "pool", result
        assert "all 2 servers of database app, user app" in result["first"]["why"]
        assert "pool_size" in result["first"]["advice"]
        assert result["ceiling"]["clients"] < result["steps"][-1]["clients"]
        text = run(p, "-f", script, "--start", "2", "--max", "3", "--p95", "60000")
        assert text.returncode == 0 and "no limit was reached with 3 clients" in text.stdout


def test_errors_are_a_limit(site):
    folder = site.new_folder()
    script = f"{folder}/error.sql"
    with open(script, "w", encoding="utf-8") as f:
        f.write("SELECT 1/0;\n")
    with site.pgweir() as p:
        done = run(p, "-f", script, "--start", "2", "--step-seconds", "6")  # logins may be slow
        assert done.returncode == 0, done.stderr
        assert "ceiling: below 2 clients" in done.stdout and "% errors" in done.stdout


def test_what_cannot_run_is_said(site):
    with site.pgweir() as p:
        done = run(p, "--pgbench", "/nonexistent/pgbench")
        assert done.returncode == 1 and "/nonexistent/pgbench" in done.stderr
        done = run(p, "--stats", "http://127.0.0.1:1")
        assert done.returncode == 1 and "stats port" in done.stderr
        assert run(p, "--factor", "1").returncode == 2


def test_a_step_without_a_transaction_is_a_limit(site):
    """With so many clients that pgbench's time is over before their logins are."""
    program = f"{site.new_folder()}/pgbench"
    with open(program, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\necho number of transactions actually processed: 0\n")
    os.chmod(program, 0o755)
    with site.pgweir() as p:
        done = run(p, "--pgbench", program, "--start", "4")
        assert done.returncode == 0, done.stderr
        assert "ceiling: below 4 clients" in done.stdout
        assert "stopped: no transaction within 2 s, with 4 clients" in done.stdout


def test_the_stats_port_may_want_a_password_and_have_tls(site):
    authority = Authority(f"{site.new_folder()}/tls")
    cert, key = authority.issue("stats")
    auth = f"{site.new_folder()}/auth"
    with open(auth, "w", encoding="utf-8") as f:
        f.write("ops:se:cret\n")
    settings = {"stats_auth": "ops:se:cret", "stats_tls_cert_file": cert,
                "stats_tls_key_file": key}
    with site.pgweir(settings=settings) as p:
        over_tls = ("--stats", f"https://localhost:{p.stats_port}", "-b", "select-only", "--max", "1")
        trusting = (*over_tls, "--stats-ca", authority.cert)
        done = run(p, *trusting, "--stats-auth", auth)
        assert done.returncode == 0 and "no limit was reached" in done.stdout, done.stderr
        done = run(p, *trusting)
        assert done.returncode == 1 and "401" in done.stderr and "--stats-auth" in done.stderr
        done = run(p, *over_tls, "--stats-auth", auth)
        assert done.returncode == 1 and "certificate verify failed" in done.stderr
        done = run(p, *over_tls, "--stats-ca", "/nonexistent/ca")
        assert done.returncode == 1 and "cannot use /nonexistent/ca" in done.stderr


def sample(at, cpu_us=0, active=1, waiting=0, latency_us=1000, role="primary", xacts=0, xact_us=0):
    key = {"database": "app", "user": "u"}
    return (at, {
        "pools": [{**key, "cl_waiting": waiting}],
        "node_pools": [{**key, "node": "n:5432", "role": role, "sv_active": active, "pinned": 0,
                        "pool_size": 4, "latency_us": latency_us}],
        "workers": [{"worker": 0, "cpu_us": cpu_us}],
        "stats": [{**key, "total_xact_count": xacts, "total_xact_time": xact_us,
                   "total_wait_time": 0}]})


FULL = {"active": 4, "waiting": 9}


@pytest.mark.parametrize("what, load_cpu, first, last", [
    ("load generator", 0.99, {}, FULL),
    ("pgweir", 0.1, {}, {"cpu_us": 950_000, **FULL}),
    ("pool", 0.1, {}, FULL),
    ("primary", 0.1, {}, {"latency_us": 3000, **FULL}),
    ("replica", 0.1, {"role": "replica"}, {"latency_us": 3000, "role": "replica", **FULL}),
    ("network", 0.1, {}, {"xacts": 100, "xact_us": 100_000}),
    ("node", 0.1, {}, {"xacts": 100, "xact_us": 5_000_000}),
])
def test_what_gave_way_is_told_apart(ramp, what, load_cpu, first, last):
    steps = [ramp.Step(n, 100, 50, 80, 0, cpu, [sample(0), sample(1, **values)])
             for n, cpu, values in ((1, 0.1, first), (8, load_cpu, last))]
    steps[1] = steps[1]._replace(samples=[sample(1 + i / 20, **last) for i in range(20)]
                                 if "cpu_us" not in last and "xacts" not in last
                                 else [sample(1), sample(2, **last)])
    verdict = ramp.judge(*steps)
    assert verdict.what == what, verdict
    assert verdict.why and verdict.advice


def test_percentiles_and_limits(ramp):
    assert ramp.percentile([], 0.95) == 0
    assert ramp.percentile(list(range(100)), 0.95) == 95
    args = ramp.parse(["--p95", "80", "--errors", "1", "app"])
    step = ramp.Step(1, 1, 50, 80, 1, 0, [])
    assert ramp.broken_limit(step, args) is None
    assert "p95" in ramp.broken_limit(step._replace(p95_ms=80.1), args)
    assert "errors" in ramp.broken_limit(step._replace(errors_percent=1.1), args)
