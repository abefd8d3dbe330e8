"""What the console's commands do: RELOAD, PAUSE, RESUME, KILL, SHUTDOWN … and the signals."""
import os
import signal
import subprocess
import threading
import time

import pgwire
import pytest
from pgwire import Closed
from rawclient import RawClient, ServerError
from tools import proc


@pytest.fixture
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 2}) as p:
        yield p


class Background:
    """Runs a console command that answers later."""

    def __init__(self, pooler, command):
        self.console = pooler.raw("admin", "pgweir")
        self.console.send(pgwire.query(command))

    def is_done(self):
        return not self.console.is_silent_for(0.2)

    def result(self):
        return self.console.result().check()


def is_closed(client):
    try:
        client.wait_closed(5)
        return True
    except TimeoutError:
        return False


def test_pause_waits_for_transactions_and_resume_lets_go_on(pooler, superuser):
    with pooler.raw() as busy, pooler.raw() as other:
        busy.query("BEGIN; SELECT 1").check()
        pausing = Background(pooler, "PAUSE app")
        assert not pausing.is_done()
        other.send(pgwire.query("SELECT 'later'"))
        assert other.is_silent_for(0.3)
        busy.query("COMMIT").check()
        assert pausing.result().tags == ["PAUSE"]
        proc.wait_until("the servers to be closed", lambda: superuser(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") == "0")
        assert pooler.show_one("DATABASES", name="app")["paused"] == "1"
        assert other.is_silent_for(0.2)
        pooler.admin("RESUME app")
        assert other.result().value() == "later"


def test_pause_of_all_and_errors_of_pause_and_resume(pooler):
    pooler.admin("PAUSE")
    with pytest.raises(ServerError):
        pooler.admin("PAUSE")
    assert {"key": "paused", "value": "yes"} in pooler.show("STATE")
    pooler.admin("RESUME")
    for command in ("RESUME", "RESUME app", "PAUSE nowhere", "PAUSE pgweir"):
        with pytest.raises(ServerError):
            pooler.admin(command)
    with pooler.raw() as client:
        assert client.value("SELECT 1") == "1"


def test_disable_refuses_new_clients_only(pooler):
    with pooler.raw() as stays:
        pooler.admin("DISABLE app")
        with pytest.raises((ServerError, Closed)):
            pooler.raw()
        assert stays.value("SELECT 1") == "1"
        assert pooler.show_one("DATABASES", name="app")["disabled"] == "1"
        pooler.admin("ENABLE app")
        pooler.raw().close()


def test_reconnect_replaces_servers_as_they_are_released(pooler):
    with pooler.raw() as client:
        before = client.value("SELECT pg_backend_pid()")
        pooler.admin("RECONNECT app")
        pooler.admin("WAIT_CLOSE app")
        assert client.value("SELECT pg_backend_pid()") != before


def test_wait_close_waits_for_the_last_marked_server(pooler):
    with pooler.raw() as busy:
        busy.query("BEGIN; SELECT 1").check()
        pooler.admin("RECONNECT app")
        waiting = Background(pooler, "WAIT_CLOSE app")
        assert not waiting.is_done()
        busy.query("COMMIT").check()
        assert waiting.result().tags == ["WAIT_CLOSE"]


def test_kill_drops_clients_and_stays_paused(pooler):
    victim = pooler.raw()
    victim.query("BEGIN; SELECT 1").check()
    pooler.admin("KILL app")
    assert is_closed(victim)
    answers = []

    def come_later():  # it may have to wait at its login or at its query
        with pooler.raw() as later:
            answers.append(later.value("SELECT 1"))
    thread = threading.Thread(target=come_later)
    thread.start()
    thread.join(0.5)
    assert not answers
    pooler.admin("RESUME app")
    thread.join()
    assert answers == ["1"]


def test_kill_and_wait_close_without_a_database_mean_all(site):
    databases = {name: f"host=127.0.0.1 port={site.cluster.primary.port} dbname=app"
                 for name in ("app", "second")}
    with site.pgweir(databases) as p:
        victims = [p.raw(database=name) for name in databases]
        for victim in victims:
            victim.query("BEGIN; SELECT 1").check()
        p.admin("RECONNECT")
        waiting = Background(p, "WAIT_CLOSE")
        victims[0].query("COMMIT").check()
        assert not waiting.is_done(), "the other database's server is not closed yet"
        victims[1].query("COMMIT").check()
        assert waiting.result().tags == ["WAIT_CLOSE"]
        assert p.admin("WAIT_CLOSE").tags == ["WAIT_CLOSE"], "nothing to wait for"

        for victim in victims:
            victim.query("BEGIN; SELECT 1").check()
        assert p.admin("KILL").tags == ["KILL"]
        assert all(is_closed(victim) for victim in victims)
        rows = {r["name"]: r["current_connections"] for r in p.show("DATABASES")}
        assert {name: rows[name] for name in databases} == dict.fromkeys(databases, "0")
        assert {"key": "paused", "value": "yes"} in p.show("STATE")
        with pytest.raises(ServerError):
            p.admin("RESUME app")
        p.admin("RESUME")
        for name in databases:
            with p.raw(database=name) as client:
                assert client.value("SELECT 1") == "1"


def test_kill_client_ends_one(pooler):
    with pooler.raw(application_name="victim") as victim, pooler.raw() as other:
        victim.query("SELECT 1").check()
        number = pooler.show_one("CLIENTS", application_name="victim")["id"]
        pooler.admin(f"KILL_CLIENT {number}")
        assert is_closed(victim)
        assert other.value("SELECT 1") == "1"


def test_set_changes_a_setting_at_once(pooler):
    pooler.admin("SET query_wait_timeout = 1")
    assert pooler.show_one("CONFIG", key="query_wait_timeout")["value"] == "1"
    pooler.admin("SET default_pool_size = 1")
    with pooler.raw() as holder, pooler.raw() as waiter:
        holder.query("BEGIN; SELECT 1").check()
        assert waiter.query("SELECT 1").sqlstate == "53300"
    with pytest.raises(ServerError):
        pooler.admin("SET listen_port = 1234")


def test_reload_takes_new_databases_users_and_limits(pooler):
    pooler.databases["second"] = pooler.databases["app"]
    pooler.passwords["other"] = "changed-secret"
    with pooler.raw() as keeps:
        pooler.reload(query_wait_timeout=3)
        with pooler.raw(database="second") as client:
            assert client.value("SELECT 1") == "1"
        assert pooler.show_one("CONFIG", key="query_wait_timeout")["value"] == "3"
        with RawClient(pooler.port) as client, pytest.raises(ServerError):
            client.login("other", "other-secret", "app")
        assert keeps.value("SELECT 1") == "1"
    del pooler.databases["second"]
    pooler.reload()
    with pytest.raises((ServerError, Closed)):
        pooler.raw(database="second")


@pytest.mark.parametrize("line, complaint", [
    ("default_pool_size = many", "default_pool_size"), ("nonsense_key = 1", "nonsense_key"),
    ("[strange", "section"), ("pool_mode = sometimes", "pool_mode"),
])
def test_invalid_file_changes_nothing_and_says_why(pooler, line, complaint):
    pooler.write_config()
    with open(pooler.config, "a", encoding="utf-8") as f:
        f.write(f"query_wait_timeout = 7\n{line}\n")
    with pytest.raises(ServerError) as refused:
        pooler.admin("RELOAD")
    assert complaint in str(refused.value.fields) + pooler.log_text()
    assert pooler.show_one("CONFIG", key="query_wait_timeout")["value"] != "7"
    with pooler.raw() as client:
        assert client.value("SELECT 1") == "1"
    pooler.process.send_signal(signal.SIGHUP)
    with pooler.raw() as client:
        assert client.value("SELECT 1") == "1"


def test_sighup_reloads(pooler):
    pooler.settings["query_wait_timeout"] = 9
    pooler.write_config()
    pooler.process.send_signal(signal.SIGHUP)
    pooler.wait_show("CONFIG", lambda row: row["value"] == "9", key="query_wait_timeout")


def wait_exit(pooler, timeout=10):
    try:
        return pooler.process.wait(timeout * pooler.slow)
    except subprocess.TimeoutExpired:
        return None


def ended(pooler):
    """The daemon ended by itself: check it as stop() would."""
    status = wait_exit(pooler)
    pooler.forget()
    pooler.check_log()
    return status


@pytest.mark.parametrize("how", ["SHUTDOWN", "SIGQUIT", "SIGTERM SIGTERM", "SIGINT SIGINT"])
def test_shutdown_at_once(site, how):
    pooler = site.pgweir().start()
    client = pooler.raw()
    client.query("BEGIN; SELECT 1").check()
    if how == "SHUTDOWN":
        with pooler.raw("admin", "pgweir") as console:
            console.send(pgwire.query("SHUTDOWN"))
    else:
        for name in how.split():
            pooler.process.send_signal(getattr(signal, name))
            time.sleep(0.2)  # two of a kind at the same moment are one signal
    assert ended(pooler) == 0
    assert is_closed(client)


@pytest.mark.parametrize("how", ["SHUTDOWN WAIT_FOR_CLIENTS", "SIGTERM"])
def test_shutdown_that_waits_for_clients(site, how):
    pooler = site.pgweir().start()
    client = pooler.raw()
    client.query("SELECT 1").check()
    tell(pooler, how)
    proc.wait_until("new clients to be refused", lambda: refuses(pooler))
    assert client.value("SELECT 2") == "2"
    assert pooler.process.poll() is None
    client.send(pgwire.TERMINATE)
    client.close()
    assert ended(pooler) == 0


@pytest.mark.parametrize("how", ["SHUTDOWN WAIT_FOR_SERVERS", "SIGINT"])
def test_shutdown_that_waits_for_servers(site, how):
    pooler = site.pgweir().start()
    with pooler.raw() as busy, pooler.raw() as idle:
        busy.query("BEGIN; SELECT 1").check()
        tell(pooler, how)
        proc.wait_until("new clients to be refused", lambda: refuses(pooler))
        assert pooler.process.poll() is None
        assert busy.query("COMMIT").tags == ["COMMIT"]
        assert ended(pooler) == 0
        assert is_closed(idle)


def tell(pooler, how):
    if how.startswith("SIG"):
        pooler.process.send_signal(getattr(signal, how))
        return
    console = pooler.raw("admin", "pgweir")
    console.send(pgwire.query(how))
    threading.Timer(1.0, console.close).start()


def refuses(pooler):
    """New clients are refused at once: a balancer in front goes on to the next one."""
    try:
        pooler.raw().close()
        return False
    except (ConnectionError, Closed, ServerError):
        return True


def test_admin_port_serves_the_console_alone(site):
    port = proc.free_port()
    with site.pgweir(settings={"admin_port": port}) as p:
        with RawClient(port) as console:
            console.login("admin", p.passwords["admin"], "pgweir")
            assert console.query("SHOW VERSION").rows
        with RawClient(port) as client, pytest.raises((ServerError, Closed)):
            client.login("app", p.passwords["app"], "app")
            client.query("SELECT 1").check()


def test_admin_addr_and_admin_socket_dir_serve_the_console_alone(site):
    port = proc.free_port()
    with site.pgweir(settings={"admin_port": port, "admin_addr": "127.0.0.7",
                               "admin_socket_dir": "{folder}"}) as p:
        with pytest.raises(ConnectionRefusedError):
            RawClient(port)
        names = [name for name in os.listdir(p.folder) if name.startswith(".s.PGSQL.")]
        assert len(names) == 1
        for way in ((port, "127.0.0.7"), (int(names[0].removeprefix(".s.PGSQL.")), p.folder)):
            with RawClient(*way) as console:
                console.login("admin", p.passwords["admin"], "pgweir")
                assert console.query("SHOW VERSION").rows
            with RawClient(*way) as client, pytest.raises((ServerError, Closed)):
                client.login("app", p.passwords["app"], "app")
                client.query("SELECT 1").check()


def test_console_answers_while_the_pool_is_full_and_max_client_conn_is_reached(site):
    settings = {"default_pool_size": 1, "max_client_conn": 3}
    with site.pgweir(settings=settings) as p:
        clients = [p.raw() for _ in range(3)]
        clients[0].query("BEGIN; SELECT 1").check()
        clients[1].send(pgwire.query("SELECT 1"))
        assert p.show_one("POOLS", database="app")["cl_waiting"] == "1"
