"""A configuration that explains itself: RELOAD DRY RUN, what RELOAD says, SHOW SETTINGS."""
import contextlib
import pathlib
import shutil

import psycopg2
import pytest
from tools import certs, proc


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


@pytest.mark.parametrize("n", [50, 51, 70])
def test_changes_that_are_too_many_for_the_log_are_counted(site, n):
    with site.pgweir() as p:
        p.databases.update({f"more{i}": p.databases["app"] for i in range(n)})
        p.reload()
        lines = p.log_text().splitlines()
        assert sum("configuration changed what=database" in line for line in lines) == 50
        more = [line.split(" hint=")[0] for line in lines if "more changes" in line]
        assert [line.rsplit(" ", 1)[1] for line in more] == ([f"n={n - 50}"] if n > 50 else [])


# --- files that settings name ------------------------------------------------------------------

HBA = "local all all trust\nhost all all 127.0.0.1/32 trust\n"


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return str(path)


@pytest.fixture
def with_files(site):
    folder = pathlib.Path(site.new_folder())
    ca = certs.Authority(str(folder))
    for side in ("client", "server", "stats"):
        cert, key = ca.issue("localhost")
        shutil.copy(cert, folder / f"{side}.crt")
        shutil.copy(key, folder / f"{side}.key")
        shutil.copy(ca.cert, folder / f"{side}.ca")
        proc.give_to_service_user(folder / f"{side}.key")
    write(folder / "more", "u1\n")
    settings = {
        "auth_type": "hba", "unix_socket_dir": "{folder}",
        "auth_hba_file": write(folder / "hba", HBA + "host all @more 10.0.0.1/32 reject\n"),
        "auth_ident_file": write(folder / "ident", "m a b\n"),
        "client_tls_sslmode": "allow", "server_tls_sslmode": "allow",
        "stats_tls_cert_file": str(folder / "stats.crt"),
        "stats_tls_key_file": str(folder / "stats.key"),
        **{f"{side}_tls_{kind}_file": str(folder / f"{side}.{end}")
           for side in ("client", "server")
           for kind, end in (("ca", "ca"), ("cert", "crt"), ("key", "key"))}}
    with site.pgweir(settings=settings) as p:
        yield p, folder, ca


def changed_files(p):
    return {row["name"]: row["effect"] for row in dry_run(p) if row["what"] == "file"}


def test_dry_run_tells_that_rules_have_changed(with_files):
    p, folder, _ = with_files
    assert dry_run(p) == []
    write(folder / "hba", "host all u9 127.0.0.1/32 reject\n" + HBA)
    assert dry_run(p) == [{"what": "file", "name": "auth_hba_file", "key": "contents",
                           "present": "old", "new": "new", "effect": "new clients",
                           "clients": None, "servers": None}]
    conn = p.connect(user="admin", database="pgweir")
    conn.autocommit = True
    with contextlib.closing(conn), conn.cursor() as cur:
        cur.execute("RELOAD")
        assert "file auth_hba_file contents: old -> new (new clients)" in " ".join(conn.notices)
        conn.notices.clear()
        cur.execute("RELOAD")
        assert not conn.notices
    assert "what=file name=auth_hba_file key=contents" in p.log_text().replace('"', "")
    assert dry_run(p) == []


def test_dry_run_tells_of_a_list_that_a_rule_names_and_of_the_ident_map(with_files):
    p, folder, _ = with_files
    write(folder / "more", "u1\nu2\n")
    assert changed_files(p) == {"auth_hba_file": "new clients"}
    write(folder / "more", "u1\n")
    write(folder / "ident", "m a c\n")
    assert changed_files(p) == {"auth_ident_file": "new clients"}


def test_dry_run_tells_of_new_certificates(with_files):
    p, folder, ca = with_files
    effects = {"client": "new clients", "server": "new server connections",
               "stats": "new connections"}
    for side, effect in effects.items():
        old = [(folder / f"{side}.{end}").read_text() for end in ("crt", "key")]
        cert, key = ca.issue("localhost")
        shutil.copy(cert, folder / f"{side}.crt")
        shutil.copy(key, folder / f"{side}.key")
        assert changed_files(p) == {
            f"{side}_tls_cert_file": effect, f"{side}_tls_key_file": effect}, side
        for end, text in zip(("crt", "key"), old):
            write(folder / f"{side}.{end}", text)
    for side in ("client", "server"):
        with open(folder / f"{side}.ca", "a", encoding="utf-8") as f:
            f.write("# the same certificate, and a line\n")
    assert changed_files(p) == {"client_tls_ca_file": effects["client"],
                                "server_tls_ca_file": effects["server"]}


def test_a_file_that_is_not_in_use_or_has_another_name_is_not_told_of(with_files):
    p, folder, _ = with_files
    write(folder / "hba2", "local all all trust\n" + HBA)
    p.settings.update(auth_hba_file=str(folder / "hba2"))
    p.write_config()
    assert [row["what"] for row in dry_run(p)] == ["setting"]
    p.settings.update(auth_type="trust", client_tls_sslmode="disable")
    p.write_config()
    p.admin("RELOAD")
    write(folder / "hba2", HBA)
    with open(folder / "client.ca", "a", encoding="utf-8") as f:
        f.write("# a line\n")
    assert dry_run(p) == []


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
