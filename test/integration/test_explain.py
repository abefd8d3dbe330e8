"""A configuration that explains itself: RELOAD DRY RUN, what RELOAD says, SHOW SETTINGS."""
import psycopg2
import pytest


@pytest.fixture
def pooler(site):
    with site.pgweir(settings={"unix_socket_dir": "{folder}"}) as p:
        yield p


def dry_run(p):
    conn = p.connect(user="admin", database="pgweir")
    conn.autocommit = True
    with conn.cursor() as cur:
        cur.execute("RELOAD DRY RUN")
        names = [d[0] for d in cur.description]
        rows = [dict(zip(names, row)) for row in cur.fetchall()]
    conn.close()
    return rows


def test_dry_run_tells_what_would_change_and_changes_nothing(pooler):
    assert dry_run(pooler) == []
    with pooler.raw() as client, pooler.raw() as other:
        assert client.value("SELECT 1") == other.value("SELECT 1") == "1"
        servers = len([r for r in pooler.show("SERVERS") if r["database"] == "app"])
        pooler.settings.update(max_client_conn=77, listen_port=pooler.port + 1)
        pooler.databases["app"] += " pool_size=3"
        pooler.databases["more"] = pooler.databases["app"]
        pooler.passwords["later"] = "secret"
        pooler.write_config()
        rows = {(r["what"], r["name"], r["key"]): r for r in dry_run(pooler)}
        row = rows["setting", "max_client_conn", None]
        assert (row["present"], row["new"], row["effect"]) == ("10000", "77", "new clients")
        row = rows["setting", "listen_port", None]
        assert row["new"] == str(pooler.port + 1) and row["effect"] == "at the next start"
        row = rows["database", "app", "pool_size"]
        assert row["new"] == "3" and row["clients"] == 2 and row["servers"] == servers
        assert rows["database", "more", None]["new"] == "configured"
        assert rows["auth_file", "later", None]["new"] == "listed"
        assert "secret" not in str(rows)
        assert pooler.show_one("CONFIG", key="max_client_conn")["value"] == "10000"
        assert not [r for r in pooler.show("DATABASES") if r["name"] == "more"]
        assert "configuration taken over" not in pooler.log_text()


def test_reload_reports_the_same(pooler):
    pooler.settings["max_client_conn"] = 78
    pooler.settings["listen_port"] += 1
    pooler.write_config()
    conn = pooler.connect(user="admin", database="pgweir")
    conn.autocommit = True
    with conn.cursor() as cur:
        cur.execute("RELOAD")
        said = " ".join(conn.notices)
        assert "max_client_conn: 10000 -> 78 (new clients)" in said
        assert f"listen_port: {pooler.port} -> {pooler.port + 1} (at the next start)" in said
        conn.notices.clear()
        cur.execute("SET max_client_conn = 79")
        assert not conn.notices
    conn.close()
    assert 'name=max_client_conn key=- from=10000 to=78 effect="new clients"' in \
        pooler.log_text().replace('"10000"', "10000").replace('"78"', "78")


def test_dry_run_of_a_bad_file_says_what_is_wrong(pooler):
    pooler.settings["pool_mode"] = "sometimes"
    pooler.write_config()
    with pytest.raises(psycopg2.Error, match="sometimes") as error:
        dry_run(pooler)
    assert error.value.pgcode == "F0000"
    assert pooler.show_one("CONFIG", key="pool_mode")["value"] == "transaction"


def test_dry_run_is_for_admins(pooler):
    conn = pooler.connect(user="stats", database="pgweir")
    conn.autocommit = True
    with conn.cursor() as cur, pytest.raises(psycopg2.Error, match="admin access needed"):
        cur.execute("RELOAD DRY RUN")
    conn.close()


def test_dry_run_over_the_extended_protocol(pooler):
    pooler.settings["max_client_conn"] = 80
    pooler.write_config()
    with pooler.raw(user="admin", database="pgweir") as client:
        result = client.prepared("RELOAD DRY RUN").check()
        assert [row[1] for row in result.rows] == ["max_client_conn"]


def test_settings_tell_value_source_and_help(pooler):
    pooler.admin("SET query_timeout = 5")
    rows = {r["name"]: r for r in pooler.show("SETTINGS", user="stats")}
    assert set(rows) == {r["key"] for r in pooler.show("CONFIG")}
    with open(pooler.config, encoding="utf-8") as f:
        line = next(i for i, text in enumerate(f, 1) if text.startswith("listen_port"))
    port = rows["listen_port"]
    assert port["value"] == str(pooler.port) and port["default"] == "6432"
    assert port["source"] == f"{pooler.config}:{line}"
    assert port["changed_by"] == "restart" and "port" in port["help"]
    assert rows["query_timeout"]["source"] == "console"
    assert rows["query_timeout"]["changed_by"] == "reload, SET"
    assert rows["max_lag"]["source"] == "default"
    assert rows["pkt_buf"]["changed_by"] == "nothing"
    assert rows["monitor_password"]["value"] == "***"


def test_a_variable_of_the_environment_is_named_as_a_source(site):
    with site.pgweir(environment={"PGWEIR_QUERY_TIMEOUT": "7"}) as p:
        row = p.show_one("SETTINGS", name="query_timeout")
        assert (row["value"], row["source"]) == ("7", "PGWEIR_QUERY_TIMEOUT")


def test_pools_above_what_a_node_has_are_told_in_the_log(site):
    """As soon as the monitor knows what the node has, and after a reload that changes it."""
    text = "pools may want more connections than the node has"
    with site.pgweir_routed(settings={"max_node_connections": 50}) as p:
        p.wait_show("NODES", lambda row: row["health"] == "up", role="primary")
        assert text not in p.log_text()
        p.reload(max_node_connections=5000, default_pool_size=5000)
        p.wait_log(f"{text} node=127.0.0.1:{site.cluster.primary.port} wanted=5000 has=")
