"""The tests' own tools against PostgreSQL itself and against each other."""
import pgwire
import pytest
from fakeserver import FakeServer
from rawclient import RawClient, ServerError


@pytest.mark.parametrize("user", ["app", "md5user", "plainuser", "trustuser"])
def test_raw_client_logs_in_to_postgresql(site, user):
    with RawClient(site.cluster.primary.port) as client:
        client.login(user, site.passwords[user], "app")
        assert client.value("SELECT current_user") == user
        assert client.parameters["server_encoding"] == "UTF8"


def test_raw_client_reads_answers_of_postgresql(site):
    with RawClient(site.cluster.primary.port) as client:
        client.login("app", site.passwords["app"])
        assert client.query("SELECT 1, NULL; SELECT 2").rows == [("1", None), ("2",)]
        assert client.prepared("SELECT $1::int + 1", [41]).value() == "42"
        failed = client.query("SELECT 1/0")
        assert failed.sqlstate == "22012" and failed.status == "I"
        with pytest.raises(ServerError):
            failed.check()


def test_wrong_password_is_refused_by_postgresql(site):
    with RawClient(site.cluster.primary.port) as client:
        with pytest.raises(ServerError) as refused:
            client.login("app", "wrong")
        assert refused.value.sqlstate == "28P01"


@pytest.mark.parametrize("auth", ["trust", "password", "md5", "scram"])
def test_raw_client_logs_in_to_fake_server(site, auth):
    def handler(conn):
        conn.login(auth, "secret")
        conn.serve()
    with FakeServer(handler) as server, RawClient(server.port) as client:
        client.login("app", "secret")
        assert client.value("SELECT 1") == "1"
        assert client.prepared("SELECT 1").value() == "1"
        client.send_in_pieces(pgwire.query("SELECT 1"))
        assert client.result().value() == "1"


def test_standbys_follow_and_replay_can_be_paused(site):
    standby = site.cluster.standbys[0]
    site.cluster.primary.sql("CREATE TABLE harness (a int)", "app")
    site.cluster.wait_caught_up()
    standby.pause_replay()
    site.cluster.primary.sql("INSERT INTO harness VALUES (1)", "app")
    assert standby.sql("SELECT count(*) FROM harness", "app") == "0"
    standby.resume_replay()
    standby.wait_caught_up()
    assert standby.sql("SELECT count(*) FROM harness", "app") == "1"
    site.cluster.primary.sql("DROP TABLE harness", "app")


def test_daemon_starts_answers_and_stops(site):
    with site.pgweir() as pooler:
        with pooler.raw() as client:
            assert client.value("SELECT 41 + 1") == "42"
        assert pooler.psql("-c", "SELECT 1") == "1\n"
