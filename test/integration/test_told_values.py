"""What ParameterStatus has told a client of a parameter that its start-up packet names."""
import pgwire
import pytest
from pgwire import bind, execute, parse
from rawclient import RawClient

SYNC = pgwire.SYNC
NAME = "application_name"


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 1, "workers": 1}) as p:
        yield p


class Told(RawClient):
    """Keeps what it is told."""

    def result(self):
        result = super().result()
        for m in result.messages:
            if m.kind == "S":
                self.parameters.update([m.pair()])
        return result


@pytest.fixture(params=["PostgreSQL", "pgweir"])
def client(request, pooler, site):
    port = pooler.port if request.param == "pgweir" else site.cluster.primary.port
    with Told(port) as c:
        c.login("app", site.passwords["app"], "app", **{NAME: "one"})
        c.query(f"SET {NAME} = 'z'").check()
        yield c


def step(sql):
    return parse("", sql) + bind() + execute()


def units(*texts):
    return [pgwire.query(text) for text in texts]


FAILS = {
    "series": lambda sql: [step(sql) + step("SELECT 1/0") + SYNC],
    "text": lambda sql: units(f"{sql}; SELECT 1/0"),
    "block": lambda sql: units("BEGIN", sql, "SELECT 1/0", "ROLLBACK"),
    "rolled back": lambda sql: units("BEGIN", sql, "ROLLBACK"),
    "text rolled back": lambda sql: units(f"BEGIN; {sql}; ROLLBACK"),
    "series in a block": lambda sql: [*units("BEGIN", "SELECT 1"), step(sql) + step("SELECT 1/0") + SYNC,
                                      pgwire.query("ROLLBACK")],
    "savepoint": lambda sql: units("BEGIN; SAVEPOINT a", sql, "ROLLBACK TO a", "COMMIT"),
}


@pytest.mark.parametrize("sql", [f"RESET {NAME}", "RESET ALL", f"SET {NAME} = 'y'"])
@pytest.mark.parametrize("how", list(FAILS))
@pytest.mark.parametrize("at_once", [False, True])
def test_what_is_taken_back_is_not_told(client, sql, how, at_once):
    sent = FAILS[how](sql)
    for data in [b"".join(sent)] if at_once else sent:
        client.send(data)
        for _ in sent if at_once else "1":
            client.result()
    assert client.parameters[NAME] == client.value(f"SHOW {NAME}") == "z"


@pytest.mark.parametrize("sql", [f"RESET {NAME}", "RESET ALL", "DISCARD ALL"])
@pytest.mark.parametrize("how", [lambda sql: [pgwire.query(sql)], lambda sql: [step(sql) + SYNC],
                                 lambda sql: units("BEGIN", sql, "COMMIT")])
def test_reset_is_told(client, sql, how):
    if sql == "DISCARD ALL" and len(how(sql)) > 1:
        return
    for data in how(sql):
        client.run(data).check()
    assert client.parameters[NAME] == client.value(f"SHOW {NAME}") == "one"


def test_error_behind_discard_all_does_not_bring_back(client, pooler):
    """It is a transaction of its own, in a series, too."""
    client.query("LISTEN told; SET lock_timeout = '5s'").check()
    assert client.run(step("DISCARD ALL") + step("SELECT 1/0") + SYNC).sqlstate == "22012"
    assert client.parameters[NAME] == client.value(f"SHOW {NAME}") == "one"
    with pooler.raw() as other:
        assert other.value("SHOW lock_timeout") == "0"
        assert client.value("SHOW lock_timeout") == "0"
        assert client.query("SELECT * FROM pg_listening_channels()").rows == []
        other.query("NOTIFY told").check()
        assert "A" not in client.query("SELECT 1").kinds
