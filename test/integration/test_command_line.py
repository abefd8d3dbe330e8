"""Options of the command, the configuration's errors, and what the daemon says at its start."""
import os
import socket
import subprocess
import urllib.request

import pytest
from pooler import TOP, hosts
from tools import proc
from where import Where, wait_routing


def run(site, *args):
    """Run pgweir to its end: (exit status, stdout + stderr)."""
    done = subprocess.run([site.binary, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False, env=proc.clean_env())
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def config(site):
    """config(text): the path of a file with it."""
    folder = site.new_folder()

    def write(text, name="test.ini"):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as f:
            f.write(text)
        return f"{folder}/{name}"
    return write


def test_version_and_help(site):
    for option in ("-V", "--version"):
        status, text = run(site, option)
        assert status == 0 and "pgweir" in text
    status, text = run(site, "--help")
    assert status == 0
    assert all(word in text for word in ("-d", "-t", "-q", "-v", "-u", "-V", "--help-config"))


def test_help_config_tells_every_key(site):
    status, everything = run(site, "--help-config")
    assert status == 0 and "pool_mode" in everything and "max_lag" in everything
    status, one = run(site, "--help-config", "default_pool_size")
    assert status == 0 and "default_pool_size" in one and "max_lag" not in one
    assert "20" in one
    status, _ = run(site, "--help-config", "no_such_key")
    assert status != 0


def test_wrong_use_is_refused(site):
    for args in ((), ("--nonsense",), ("/nonexistent/file.ini",), ("a", "b", "c")):
        status, text = run(site, *args)
        assert status != 0 and text


GOOD = "[databases]\napp = host=127.0.0.1\n[pgweir]\nlisten_addr = 127.0.0.1\nlisten_port = 25999\n"


def test_check_of_a_good_file(site, config):
    status, text = run(site, "-t", config(GOOD))
    assert status == 0, text


def test_check_shows_all_errors_with_file_line_key_and_what_was_expected(site, config):
    path = config(GOOD + "pool_mode = sometimes\nmax_client_conn = -5\nnonsense = 1\n"
                         "default_pol_size = 3\n")
    status, text = run(site, "-t", path)
    assert status != 0
    for line, words in ((6, ("pool_mode", "sometimes", "transaction")),
                        (7, ("max_client_conn", "-5")), (8, ("nonsense",)),
                        (9, ("default_pol_size", "default_pool_size"))):
        told = [t for t in text.splitlines() if words[0] in t and str(line) in t]
        assert told and all(w in told[0] for w in words), (words, text)
    assert os.path.basename(path) in text


def ten_lines():
    """The configuration in README.md."""
    with open(f"{TOP}/README.md", encoding="utf-8") as f:
        text = f.read()
    section = text[text.index("## Ten lines"):]
    lines = section[:section.index("The hosts are")].splitlines()[1:]
    return "\n".join(line[4:] for line in lines) + "\n"


def test_nodes_are_asked_how_many_connections_they_have(site):
    """--ask-nodes: pools above max_connections; nodes that do not answer; no password is told."""
    def ask(p, *more, env=None):
        p.write_config()
        done = subprocess.run([site.binary, "-t", *more, p.config], capture_output=True, text=True,
                              timeout=60, check=False, env=proc.clean_env(env))
        return done.returncode, done.stderr
    node = site.cluster.primary
    has = int(node.sql("SELECT current_setting('max_connections')::int"
                       " - current_setting('superuser_reserved_connections')::int"))
    p = site.pgweir(settings={"default_pool_size": has + 1})
    assert "connections for clients" not in ask(p)[1]
    rc, text = ask(p, "--ask-nodes", env={"PGHOST": "203.0.113.1", "PGPORT": "1"})
    assert rc == 0 and f"node 127.0.0.1:{node.port} has {has} connections for clients" in text, text
    assert "max_node_connections" in text and "the configuration is good" in text
    p.settings["max_node_connections"] = has
    rc, text = ask(p, "--ask-nodes")
    assert rc == 0 and "connections for clients" not in text and "not asked" not in text, text
    p.settings["monitor_password"] = "not-the-password"
    rc, text = ask(p, "--ask-nodes")
    assert rc == 0 and f"127.0.0.1:{node.port}: not asked: " in text, text
    assert "password authentication failed" in text and "not-the-password" not in text
    p.settings["monitor_password"] = site.passwords["monitor"]
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing
    p.databases = {"gone": f"host=127.0.0.1 port={proc.free_port()}",
                   "mute": f"host=127.0.0.1 port={silent.getsockname()[1]}"}
    rc, text = ask(p, "--ask-nodes")
    silent.close()
    assert rc == 0 and text.count("not asked: ") == 2 and "refused" in text and "timeout" in text
    done = subprocess.run([site.binary, "--ask-nodes", p.config], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 2 and "goes with -t" in done.stderr


def test_the_ten_lines_of_the_readme_work(site):
    """As they stand, but for the addresses, the files and the ports of this machine."""
    text = ten_lines()
    assert len([line for line in text.splitlines() if line]) <= 10
    p = site.pgweir()
    p.write_config()  # for the file of users
    for old, new in (("host=10.0.0.1,10.0.0.2,10.0.0.3", hosts(site.cluster.nodes)),
                     ("/etc/pgweir/userlist.txt", f"{p.folder}/users.txt"),
                     ("= secret", f"= {site.passwords['monitor']}"),
                     ("= 9127", f"= {p.stats_port}"), ("= *", f"= 127.0.0.1\nlisten_port = {p.port}")):
        assert old in text
        text = text.replace(old, new)
    with open(p.config, "w", encoding="utf-8") as f:
        f.write(text)
    assert run(site, "-t", p.config)[0] == 0
    p.write_config = lambda: None
    with p:
        finder = Where(site.cluster)
        wait_routing(p, finder)  # reads on a replica
        finder.close()
        with p.raw() as client:
            assert client.value("SELECT count(*) FROM pgbench_branches") == "1"
            client.query("CREATE TABLE ten_lines (a int)").check()
            client.query("DROP TABLE ten_lines").check()
        assert {r["role"] for r in p.show("NODES")} == {"primary", "replica"}
        url = f"http://127.0.0.1:{p.stats_port}/readyz"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200


def test_a_bad_file_keeps_it_from_starting(site, config):
    status, text = run(site, config(GOOD + "pool_mode = sometimes\n"))
    assert status != 0 and "pool_mode" in text


def test_pgbouncers_own_file_runs_unchanged(site, config):
    """Its section, its keys, those that mean nothing here included."""
    text = f"""
;; database lines
[databases]
* = host=127.0.0.1 port={site.cluster.primary.port}
app = host=127.0.0.1 port={site.cluster.primary.port} dbname=app connect_query='SELECT 1'

[pgbouncer]
logfile =
pidfile =
listen_addr = 127.0.0.1
listen_port = 25999
auth_type = md5
auth_file = {config('"app" "secret"', 'userlist.txt')}
server_reset_query = DISCARD ALL
pkt_buf = 4096
sbuf_loopcnt = 5
;max_client_conn = 1
ignore_startup_parameters = extra_float_digits
"""
    status, told = run(site, "-t", config(text))
    assert status == 0, told


def test_includes_long_lines_and_a_missing_last_newline(site, config):
    hosts = ",".join(["127.0.0.1"] * 8)
    included = config("max_client_conn = 123", "more.ini")
    path = config(f"[databases]\napp = host={hosts} application_name='{'x' * 7000}'\n[pgweir]\n"
                  f"listen_addr = 127.0.0.1\n%include {included}")
    status, text = run(site, "-t", path)
    assert status == 0, text


def test_ready_line_is_said_once_and_second_daemon_on_the_port_is_refused(site):
    with site.pgweir() as p:
        assert p.log_text().count("accepting connections") == 1
        status, text = run(site, p.config)
        assert status != 0 and str(p.port) in text
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"


def test_starts_while_no_server_is_there_and_serves_when_it_comes(site):
    port = proc.free_port()
    with site.pgweir({"app": f"host=127.0.0.1 port={port} dbname=app"},
                     settings={"query_wait_timeout": 2}) as p:
        with pytest.raises(Exception):
            with p.raw() as client:
                client.query("SELECT 1").check()
        assert p.process.poll() is None


def test_daemon_option(site):
    pooler = site.pgweir(settings={"pidfile": "{folder}/pgweir.pid",
                                   "logfile": "{folder}/daemon.log"}, args=["-d"])
    pooler.launch()
    proc.wait_until("the foreground process to end", lambda: pooler.process.poll() is not None)
    assert pooler.process.returncode == 0
    pooler.forget()
    pid_file = f"{pooler.folder}/pgweir.pid"
    with open(pid_file, encoding="ascii") as f:
        pid = int(f.read())
    try:
        proc.wait_until("the daemon to serve", lambda: serves(pooler))
    finally:
        proc.send_signal(pid, 3)
        proc.wait_until("the daemon to end", lambda: not proc.is_alive(pid))
    assert not os.path.exists(pid_file)


def serves(pooler):
    try:
        with pooler.raw() as client:
            return client.value("SELECT 1") == "1"
    except OSError:
        return False
