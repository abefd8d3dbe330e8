"""What an address may do before it has proved who it is, and that no secret is ever shown."""
import os
import socket
import statistics
import time
import urllib.request

import pgwire
import pytest
import scram
from rawclient import RawClient, ServerError
from tools import proc


def refusal(pooler, user="app", password="wrong"):
    with RawClient(pooler.port, timeout=20 * pooler.slow) as client, \
            pytest.raises(ServerError) as error:
        client.login(user, password, "app")
    return error.value


def count(pooler, name):
    return int(pooler.show_one("LOGINS", name=name)["count"])


@pytest.fixture
def unix(site):
    """Settings with a unix socket, which no limit holds for, and how to reach it."""
    folder = site.new_folder()
    os.chmod(folder, 0o777)
    return {"unix_socket_dir": folder}


def show_by_unix(site, pooler, name):
    """A row of SHOW LOGINS, past the limits on addresses."""
    text = proc.run([f"{site.cluster.bindir}/psql", "-XAtq", "-c", "SHOW LOGINS"],
                    env={**pooler.env("admin", "pgweir"),
                         "PGHOST": pooler.settings["unix_socket_dir"]})
    return int(dict(line.split("|") for line in text.split())[name])


def test_logins_of_an_address_are_limited_and_come_back(site, unix):
    with site.pgweir(settings={"login_rate_limit": "2", **unix}) as p:
        refused = 0
        for _ in range(40):
            try:
                p.raw().close()
            except ServerError as e:
                assert e.sqlstate == "53300" and "login_rate_limit" in e.fields["H"]
                refused += 1
        assert refused >= 1
        assert show_by_unix(site, p, "rate_limited") == refused

        def comes_in():
            try:
                p.raw().close()
            except ServerError:
                return False
            return True
        proc.wait_until("a login to be let in again", comes_in, 10)


def test_silent_connections_are_limited_and_others_are_let_in(site, unix):
    settings = {"max_half_open_per_address": "5", "tcp_defer_accept": "0", "workers": "1", **unix}
    with site.pgweir(settings=settings) as p:
        holder = p.raw()  # has logged in: does not count
        silent = [socket.create_connection(("127.0.0.1", p.port)) for _ in range(5)]
        with RawClient(p.port, timeout=20) as one_more:
            error = one_more.read_message()
            assert error.fields()["C"] == "53300"
            assert "max_half_open" in error.fields()["H"]
            one_more.wait_closed()
        assert show_by_unix(site, p, "too_many_half_open") == 1
        assert holder.value("SELECT 1") == "1"
        for sock in silent:
            sock.close()

        def comes_in():
            try:
                p.raw().close()
            except (ServerError, pgwire.Closed):
                return False
            return True
        proc.wait_until("a login to be let in again", comes_in, 10)
        holder.close()


def test_half_open_connections_are_limited_in_all(site, unix):
    settings = {"max_half_open": "3", "tcp_defer_accept": "0", "workers": "1", **unix}
    with site.pgweir(settings=settings) as p:
        silent = [socket.create_connection(("127.0.0.1", p.port)) for _ in range(3)]
        with RawClient(p.port, timeout=20) as one_more:
            assert one_more.read_message().fields()["C"] == "53300"
        for sock in silent:
            sock.close()


@pytest.mark.parametrize("auth_type", ["md5", "scram-sha-256", "plain"])
def test_a_failed_login_waits_whoever_it_is(site, auth_type):
    def seconds(pooler, user):
        began = time.monotonic()
        assert refusal(pooler, user).sqlstate == "28P01"
        return time.monotonic() - began
    with site.pgweir(settings={"auth_type": auth_type, "login_failure_delay": "0.2"}) as p:
        known, unknown = (statistics.median(seconds(p, user) for _ in range(3))
                          for user in ("app", "nobody"))
        assert known >= 0.2 and unknown >= 0.2
        began = time.monotonic()
        p.raw().close()
        assert time.monotonic() - began < 0.2 + p.slow  # the right password does not wait
        assert count(p, "refused") == 6
        with RawClient(p.port) as leaves:  # while it waits
            leaves.send(pgwire.startup({"user": "app", "database": "app"}))
            leaves.read_message()
            leaves.send(pgwire.msg("p", b"x\0"))


def test_no_secret_is_shown_anywhere(site, superuser):
    """Logs at their most talkative, every table of the console, both pages of the stats port."""
    verifier = superuser("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
    superuser("CREATE ROLE teller SUPERUSER LOGIN PASSWORD 'teller-secret';"
              "CREATE ROLE told LOGIN PASSWORD 'told-secret'")
    told = superuser("SELECT rolpassword FROM pg_authid WHERE rolname = 'told'")
    entry = site.app_on([site.cluster.primary])["app"]
    databases = {"app": entry, "forced": f"{entry} user=other password=other-secret"}
    try:
        for auth_type in ("scram-sha-256", "md5", "plain"):
            md5 = scram.md5_secret("md5user", site.passwords["md5user"])
            with site.pgweir(databases, args=["-v", "-v"], passwords={"teller": "teller-secret"},
                             secrets={"app": verifier, "md5user": md5},
                             settings={"auth_type": auth_type, "auth_user": "teller",
                                       "log_pooler_errors": "1"}) as p:
                p.raw("app").close()
                with RawClient(p.port) as client:
                    client.login("told", "told-secret", "app")
                    assert client.value("SELECT current_user") == "told"
                with p.raw("app", "forced") as client:
                    assert client.value("SELECT current_user") == "other"
                refusal(p, "told", "guessed-secret")
                refusal(p, "nobody", "guessed-secret")
                p.admin("RELOAD")
                shown = [p.log_text()]
                help_text = p.admin("SHOW HELP").notices[0]["D"]
                for line in help_text.splitlines():
                    if line.strip().startswith("SHOW "):
                        shown += [repr(p.show(table)) for table in line.split()[1].split("|")
                                  if table not in ("HELP", "VERSION")]
                for page in ("metrics", "stats.json"):
                    with urllib.request.urlopen(
                            f"http://127.0.0.1:{p.stats_port}/{page}") as answer:
                        shown.append(answer.read().decode())
                keys = [part for v in (verifier, told) for part in v.split("$")[2].split(":")]
                secrets = [*p.passwords.values(), "told-secret", "guessed-secret", md5[3:],
                           verifier, told, *keys]
                text = "\n".join(shown)
                assert len(shown) > 20 and not [s for s in secrets if s in text]
    finally:
        superuser("DROP ROLE told; DROP ROLE teller")
