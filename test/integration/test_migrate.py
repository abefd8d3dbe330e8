"""pgweir --migrate: a file of PgBouncer as one of pgweir, explained key by key."""
import os
import subprocess

import pytest
from pooler import hosts
from tools import proc

DEBIAN = "/etc/pgbouncer/pgbouncer.ini"


def run(site, *args):
    done = subprocess.run([site.binary, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False, env=proc.clean_env())
    return done.returncode, done.stdout, done.stderr


def write(folder, name, text):
    with open(f"{folder}/{name}", "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(f"{folder}/{name}", 0o600)
    proc.give_to_service_user(f"{folder}/{name}")
    return f"{folder}/{name}"


@pytest.fixture
def old(site):
    """A file with a bit of everything, and the folder that it is in."""
    folder = site.new_folder()
    users = write(folder, "userlist.txt", "".join(
        f'"{u}" "{s}"\n' for u, s in site.passwords.items()))
    more = write(folder, "more.ini", "max_client_conn = 200\n[users]\napp = pool_size=3\n")
    text = f"""[databases]
app = {hosts([site.cluster.primary, *site.cluster.standbys[:1]])}
"with space" = host=127.0.0.1 user=app password='it''s'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {proc.free_port()}
unix_socket_dir =
auth_file = {users}
auth_type = md5
admin_users = admin
ignore_startup_parameters = extra_float_digits,options
server_reset_query = DISCARD ALL
pkt_buf = 8192
max_client_conn = 100
server_tls_sslmode = disable
%include {more}
"""
    return folder, write(folder, "pgbouncer.ini", text)


def explanation(text, pair):
    """The comment in front of a line, as one text."""
    lines = text.splitlines()
    at = lines.index(pair)
    said = []
    while at > 0 and lines[at - 1].startswith(";; "):
        at -= 1
        said.insert(0, lines[at][3:])
    return " ".join(said)


def test_every_line_is_there_with_what_becomes_of_it(site, old):
    folder, path = old
    status, text, errors = run(site, f"--migrate={path}")
    assert status == 0 and not errors
    assert "\n[pgweir]\n" in text and "[pgbouncer]" not in text
    assert max(len(line) for line in text.splitlines() if line.startswith(";; ")) <= 100
    assert explanation(text, "admin_users = admin").endswith(": kept")
    assert f"{path}:13: left out, it does nothing here: buffers" in explanation(
        text, ";pkt_buf = 8192")
    assert "follows its client" in explanation(
        text, ";ignore_startup_parameters = extra_float_digits,options")
    assert "given again below" in explanation(text, ";max_client_conn = 100")
    assert f"{folder}/more.ini:1: kept" in explanation(text, "max_client_conn = 200")
    assert "SCRAM" in explanation(text, "auth_type = md5")
    assert "cleaned without it" in explanation(text, "server_reset_query = DISCARD ALL")
    assert "\"with space\" = host=127.0.0.1 user=app password='it''s'\n" in text
    assert "routing=on" in text and "\napp = pool_size=3\n" in text
    # defaults that differ
    said = explanation(text, "pool_mode = session")
    assert "which is transaction in pgweir" in said and "worth a try" in said
    assert "which is auto in pgweir" in explanation(text, "routing = off")


def test_what_it_writes_serves_as_the_old_file_does(site, old):
    folder, path = old
    text = run(site, f"--migrate={path}")[1]
    new = write(folder, "pgweir.ini", text)
    status, _, said = run(site, "-t", new)
    assert status == 0 and "note: " not in said, said
    p = site.pgweir()
    p.port = int(next(line.split("=")[1] for line in text.splitlines()
                      if line.startswith("listen_port")))
    p.write_config = lambda: p._write("pgweir.ini", text)
    with p:
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"
        config = {r["key"]: r["value"] for r in p.show("CONFIG")}
        assert config["pool_mode"] == "session" and config["max_client_conn"] == "200"
        assert p.show_one("USERS", name="app")["pool_size"].strip() == "3"


def test_a_file_with_errors_is_not_migrated(site, old):
    folder, _ = old
    status, text, errors = run(site, "--migrate", write(
        folder, "bad.ini", "[databases]\n[pgbouncer]\nlisten_addr = *\npool_mode = often\n"))
    assert status == 1 and not text and "bad.ini:4: pool_mode = often" in errors
    status, text, errors = run(site, "--migrate", write(
        folder, "ours.ini", "[databases]\n[pgweir]\nlisten_addr = *\n"))
    assert status == 1 and not text and "a file of PgBouncer" in errors
    status, text, errors = run(site, "--migrate", f"{folder}/none.ini")
    assert status == 1 and "none.ini" in errors


@pytest.mark.skipif(not os.path.exists(DEBIAN), reason=f"needs {DEBIAN}")
def test_debians_file_is_migrated(site):
    status, text, errors = run(site, "--migrate", DEBIAN)
    assert status == 0 and not errors
    for line, words in (("logfile = /var/log/postgresql/pgbouncer.log", "/var/log/pgweir"),
                        ("pidfile = /var/run/postgresql/pgbouncer.pid", "systemd needs none"),
                        ("unix_socket_dir = /var/run/postgresql", "/run/pgweir"),
                        ("auth_file = /etc/pgbouncer/userlist.txt", "/etc/pgweir")):
        assert words in explanation(text, line)  # where the service may read and write
    status, _, said = run(site, "-t", write(site.new_folder(), "pgweir.ini", text))
    assert status == 0, said


@pytest.mark.skipif(not os.path.exists(DEBIAN), reason=f"needs {DEBIAN}")
def test_debians_file_serves_when_it_is_migrated_and_changed_as_the_page_tells(site):
    """docs/migration.md: what becomes of each line that names a place of this machine."""
    p = site.pgweir()
    text = run(site, "--migrate", DEBIAN)[1]
    node = hosts([site.cluster.primary])
    changes = {
        # what every installation of PgBouncer has added to it
        "[databases]": f"[databases]\napp = {node}",
        ";monitor_user = monitor": ";monitor_user = monitor\nadmin_users = admin",
        # the table's lines, with the folder for the service's
        "auth_file = /etc/pgbouncer/userlist.txt": f"auth_file = {p.folder}/userlist.txt",
        "logfile = /var/log/postgresql/pgbouncer.log": f"logfile = {p.folder}/weir.log",
        "pidfile = /var/run/postgresql/pgbouncer.pid": "",
        "unix_socket_dir = /var/run/postgresql": f"unix_socket_dir = {p.folder}",
        # 6432 may be PgBouncer's own
        "listen_port = 6432": f"listen_port = {p.port}",
    }
    for line, new in changes.items():
        assert text.count(f"\n{line}\n") == 1, line
        text = text.replace(f"\n{line}\n", f"\n{new}\n")
    assert "/var/run/" not in "".join(
        line for line in text.splitlines() if not line.startswith(";"))
    write(p.folder, "userlist.txt", "".join(f'"{u}" "{s}"\n' for u, s in p.passwords.items()))
    p.write_config = lambda: p._write("pgweir.ini", text)
    with p:
        for host in ("127.0.0.1", p.folder):
            assert p.psql("-h", host, "-c", "SELECT 6 * 7").strip() == "42"
        config = {r["key"]: r["value"] for r in p.show("CONFIG")}
        assert [config[key] for key in ("pool_mode", "auth_type", "max_client_conn")] == [
            "session", "md5", "10000"]
        assert [r["name"] for r in p.show("DATABASES")] == ["app", "pgbouncer"]
        with open(f"{p.folder}/weir.log", encoding="utf-8") as f:
            assert "accepting connections" in f.read()
