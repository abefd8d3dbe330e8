"""In PgBouncer's place: its files, its options, its console, and the tools that know it.

Debian's packages are read and run where they are installed: pgbouncer (its configuration),
prometheus-pgbouncer-exporter, check-postgres, munin-plugins-core. What their successors and the
other tools of this kind ask for is listed here.
"""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import pgwire
import psycopg2
import pytest
from pooler import hosts
from rawclient import RawClient, ServerError
from tools import proc
from tools.certs import Authority

DEBIAN = "/etc/pgbouncer/pgbouncer.ini"
EXPORTER = "/usr/bin/prometheus-pgbouncer-exporter"
CHECK_POSTGRES = "/usr/bin/check_postgres"
MUNIN = "/usr/share/munin/plugins"


def needs(path):
    return pytest.mark.skipif(not os.path.exists(path), reason=f"needs {path}")


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"unix_socket_dir": "{folder}"}) as p:
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"
        yield p


def run(site, *args):
    """pgweir to its end: (exit status, stdout + stderr)."""
    done = subprocess.run([site.binary, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False, env=proc.clean_env())
    return done.returncode, done.stdout + done.stderr


def check(site, path, *options):
    """pgweir -t: (exit status, what it says)."""
    return run(site, "-t", *options, path)


def complaints(text):
    """What of it is not a note or a warning."""
    return [line for line in text.splitlines()
            if not line.startswith(("note: ", "warning: ")) and "is good" not in line]


# --- files ----------------------------------------------------------------------------------

@needs(DEBIAN)
def test_debians_configuration_is_good_as_it_is(site):
    status, text = check(site, DEBIAN)
    assert status == 0 and not complaints(text), text
    assert "unknown" not in text


@needs(DEBIAN)
def test_every_key_that_debians_configuration_shows_is_known(site):
    """Its comments show the keys with their defaults: all of them at once."""
    folder = site.new_folder()
    lines, shown = [], []
    with open(DEBIAN, encoding="utf-8") as f:
        for line in f:
            match = re.match(r";\s?([a-z_0-9]+) = ?(.*)", line)
            if match and not match[2].startswith("md5") and "tls" not in match[1]:
                shown.append(match[1])
                line = f"{match[1]} = {match[2]}\n"
            lines.append(line)
    assert len(shown) > 50
    with open(f"{folder}/all.ini", "w", encoding="utf-8") as f:
        f.writelines(lines)
    _, text = check(site, f"{folder}/all.ini")
    assert "unknown" not in text, text
    told = "\n".join(complaints(text))
    for key in shown:
        # keys shown without a value, and names of users of another system
        assert f" {key} = " not in told or f"{key} = :" in told, told


@needs(DEBIAN)
def test_debians_configuration_serves(site):
    """Included as it is; only what this machine has otherwise comes after it."""
    p = site.pgweir()
    p.write_config = lambda: p._write("pgweir.ini", (
        f"%include {DEBIAN}\n[databases]\napp = {hosts([site.cluster.primary])}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {p.port}\nunix_socket_dir = {p.folder}\n"
        f"logfile =\npidfile = {p.folder}/pid\nadmin_users = admin\n"
        f"auth_file = {p.folder}/users.txt\n")) or p._write("users.txt", "".join(
            f'"{u}" "{s}"\n' for u, s in p.passwords.items()))
    with p:
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"
        assert p.show_one("CONFIG", key="pool_mode")["value"] == "session"
        assert p.show_one("CONFIG", key="max_client_conn")["value"] == "100"
        assert os.path.exists(f"{p.folder}/pid")


FORMS = """
;; comments of both kinds
# another
[databases]
plain = host={host} port={port}
quoted = host='{host}' port={port} user='app' password='it''s' connect_query='select 1'
"with space" = host={host} port={port} dbname=app
list = host={host},{host} port={port} load_balance_hosts=disable
limits = host={host} port={port} pool_size=3 min_pool_size=1 reserve_pool_size=2 max_db_connections=9 \
max_db_client_connections=20 server_lifetime=60 query_wait_timeout=9
old = host={host} port={port} reserve_pool=2 pool_mode=transaction
session = host={host} port={port} client_encoding=UTF8 datestyle=ISO timezone=UTC application_name=x
socket = host=/var/run/postgresql
abstract = host=@pg
empty =
* = host={host} port={port}

[users]
app = pool_mode=statement max_user_connections=3 max_user_client_connections=9 pool_size=2
"o'brien" = reserve_pool_size=1 query_timeout=9 idle_transaction_timeout=9 transaction_timeout=9
other = client_idle_timeout=9 query_wait_timeout=3

[peers]
1 = host=127.0.0.1 port=6432 pool_size=3
2 = host=/tmp/pgbouncer2

[pgbouncer]
listen_addr = 127.0.0.1,::1
listen_port = 25998
peer_id = 1
auth_file = {users}
unix_socket_mode = 0777
tcp_keepalive = 1
verbose=0
  server_idle_timeout =   600.5
max_packet_size = 2147483647
client_tls_dheparams = legacy
service_name = weir
suspend_timeout = 3
%include {more}
"""


def test_every_documented_form_is_read(site):
    folder = site.new_folder()
    users = f"{folder}/userlist.txt"
    with open(users, "w", encoding="utf-8") as f:
        f.write('"app" "plain"\n"old" "md5' + 32 * "a" + '"\n; a comment\n\n'
                '"quote""inside" "x" "ignored"\n')
    os.chmod(users, 0o600)
    with open(f"{folder}/more.ini", "w", encoding="utf-8") as f:
        f.write("max_client_conn = 77\n[databases]\nincluded = host=127.0.0.1\n")
    with open(f"{folder}/all.ini", "w", encoding="utf-8") as f:
        f.write(FORMS.format(host="127.0.0.1", port=site.cluster.primary.port, users=users,
                             more=f"{folder}/more.ini"))
    status, text = check(site, f"{folder}/all.ini")
    assert status == 0 and not complaints(text), text


# Every key of PgBouncer 1.25's [pgbouncer], with its default where it is not empty.
DEFAULTS = """
logfile pidfile user syslog=0 syslog_facility=daemon syslog_ident=pgbouncer verbose=0
job_name=pgbouncer so_reuseport=0 peer_id=0 disable_pqexec=0 conffile resolv_conf listen_addr
listen_port=6432 listen_backlog=128 unix_socket_dir=/tmp unix_socket_mode=0777 unix_socket_group
auth_type=md5 auth_file auth_hba_file auth_ident_file auth_user auth_query auth_dbname
auth_ldap_options scram_iterations=4096 admin_users stats_users pool_mode=session
default_pool_size=20 min_pool_size=0 reserve_pool_size=0 reserve_pool_timeout=5 max_client_conn=100
max_db_connections=0 max_db_client_connections=0 max_user_connections=0
max_user_client_connections=0 server_round_robin=0 max_prepared_statements=200
track_extra_parameters=IntervalStyle ignore_startup_parameters application_name_add_host=0
autodb_idle_timeout=3600 pool_idle_timeout=0 server_reset_query_always=0 server_check_query=<empty>
server_check_delay=30 server_fast_close=0 server_lifetime=3600 server_idle_timeout=600
server_connect_timeout=15 server_login_retry=15 client_login_timeout=60 client_idle_timeout=0
query_timeout=0 query_wait_timeout=120 query_wait_notify=5 cancel_wait_timeout=10
idle_transaction_timeout=0 transaction_timeout=0 suspend_timeout=10 login_notify_message
client_tls_sslmode=disable client_tls_ca_file client_tls_cert_file client_tls_key_file
client_tls_ciphers=default client_tls13_ciphers client_tls_protocols=secure
client_tls_dheparams=auto client_tls_ecdhcurve=auto server_tls_sslmode=prefer server_tls_ca_file
server_tls_cert_file server_tls_key_file server_tls_ciphers=default server_tls13_ciphers
server_tls_protocols=secure log_connections=1 log_disconnections=1 log_pooler_errors=1 log_stats=1
stats_period=60 dns_max_ttl=15 dns_nxdomain_ttl=15 dns_zone_check_period=0 pkt_buf=4096
max_packet_size=2147483647 sbuf_loopcnt=5 tcp_defer_accept=1 tcp_keepalive=1 tcp_keepcnt=0
tcp_keepidle=0 tcp_keepintvl=0 tcp_socket_buffer=0 tcp_user_timeout=0
"""
# What cannot be said in one word.
DEFAULTS_MORE = {"server_reset_query": "DISCARD ALL"}
NEEDS_RESTART = """
pidfile user so_reuseport disable_pqexec resolv_conf listen_addr listen_port listen_backlog
unix_socket_dir unix_socket_mode unix_socket_group job_name pkt_buf track_extra_parameters
""".split()


def test_every_key_of_pgbouncer_is_there_with_its_default(site):
    p = site.pgweir()
    p.write_config = lambda: p._write("pgweir.ini", (
        f"[databases]\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {p.port}\n"
        f"unix_socket_dir =\nauth_file = {p.folder}/users.txt\nadmin_users = admin\n"
        )) or p._write("users.txt", f'"admin" "{p.passwords["admin"]}"\n')
    wanted = dict((word.split("=") + [""])[:2] for word in DEFAULTS.split())
    wanted.update(DEFAULTS_MORE)
    with p:
        shown = {r["key"]: r for r in p.show("CONFIG")}
        assert set(wanted) - set(shown) == set()
        differ = {key: shown[key]["default"] for key, value in wanted.items()
                  if shown[key]["default"] != value}
        assert not differ
        given = {"listen_addr", "listen_port", "unix_socket_dir", "auth_file", "admin_users",
                 "conffile"}
        assert {key for key in wanted if shown[key]["value"] != shown[key]["default"]} <= given
        assert [key for key in wanted if shown[key]["changeable"] == "no"] == [
            key for key in wanted if key in NEEDS_RESTART]


def test_conffile_names_what_the_next_reload_reads(site):
    with site.pgweir() as p:
        assert p.show_one("CONFIG", key="conffile")["value"] == p.config
        other = f"{p.folder}/other.ini"
        shutil.copy(p.config, other)
        with open(other, "a", encoding="utf-8") as f:
            f.write("max_client_conn = 321\n")
        proc.give_to_service_user(other)
        p.admin(f"SET conffile = '{other}'")
        assert p.show_one("CONFIG", key="max_client_conn")["value"] != "321"
        p.admin("RELOAD")
        assert p.show_one("CONFIG", key="max_client_conn")["value"] == "321"
        assert p.show_one("CONFIG", key="conffile")["value"] == other


# --- command line ---------------------------------------------------------------------------

def test_options_of_pgbouncer(site):
    for option in ("-h", "--help", "-V", "--version"):
        assert run(site, option)[0] == 0
    said = {run(site, "-q", "-v", option, "none.ini") for option in ("-R", "--reboot",
                                                                     "--takeover")}
    assert len(said) == 1 and said.pop()[0] != 0


# --- the console ----------------------------------------------------------------------------

FDS = ("fd task user database addr port cancel link client_encoding std_strings datestyle timezone "
       "password scram_client_key scram_server_key").split()


def test_show_fds_is_for_admins_and_tells_no_secret(pooler):
    with pooler.raw() as client:
        client.query("BEGIN; SELECT 1").check()
        rows = pooler.show("FDS")
        assert [list(r) for r in rows] == [FDS] * len(rows)
        assert {"client", "server"} <= {r["task"] for r in rows}
        for row in rows:
            if row["database"] != "app":  # a console that has gone since
                continue
            assert os.path.exists(f"/proc/{pooler.pid}/fd/{row['fd']}")
            assert row["password"] is None and row["scram_client_key"] is None
    with pytest.raises(ServerError, match="admin access needed"):
        pooler.show("FDS", user="stats")
    conn = psycopg2.connect(host="127.0.0.1", port=pooler.port, user="stats", dbname="pgbouncer",
                            password=pooler.passwords["stats"])
    conn.autocommit = True
    with conn.cursor() as cur:
        for command in ("PAUSE", "SUSPEND", "RELOAD", "SHUTDOWN", "KILL", "RECONNECT", "ENABLE app",
                        "DISABLE app", "WAIT_CLOSE", "KILL_CLIENT 1", "RESUME",
                        "SET verbose = 1", "SHUTDOWN WAIT_FOR_CLIENTS"):
            with pytest.raises(psycopg2.Error, match="admin access needed"):
                cur.execute(command)
        cur.execute("SHOW VERSION")
    conn.close()


def is_ready(p):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{p.stats_port}/readyz", timeout=10) as r:
            return r.status == 200
    except urllib.error.HTTPError:
        return False


def test_suspend_holds_all_and_resume_lets_go_on(site):
    with site.pgweir(settings={"unix_socket_dir": "{folder}"}) as p:
        with p.raw() as busy, p.raw() as idle:
            busy.send(pgwire.query("SELECT pg_sleep(0.3), 'answer'"))
            p.wait_show("POOLS", lambda r: r["sv_active"] == "1", database="app", user="app")
            console = p.connect(user="admin", database="pgbouncer")
            console.autocommit = True
            with console.cursor() as cur:
                cur.execute("SUSPEND")
                cur.execute("SHOW STATE")
                assert dict(cur.fetchall()) == {"active": "no", "paused": "no",
                                                "suspended": "yes"}
                for command in ("SUSPEND", "PAUSE"):
                    with pytest.raises(psycopg2.Error, match="already suspended/paused"):
                        cur.execute(command)
                idle.send(pgwire.query("SELECT 2"))
                assert busy.is_silent_for(1) and idle.is_silent_for(0.1)
                assert not is_ready(p)
                cur.execute("RESUME")
                assert busy.result().rows[0][1] == "answer"
                assert idle.result().value() == "2"
                with pytest.raises(psycopg2.Error, match="not paused/suspended"):
                    cur.execute("RESUME")
            console.close()
        with p.raw() as client:
            assert client.value("SELECT 3") == "3"


def test_new_clients_wait_while_suspended_and_a_signal_resumes(site):
    with site.pgweir() as p:
        p.admin("SUSPEND")
        waiting = subprocess.Popen(["psql", "-X", "-At", "-c", "SELECT 4"], env=p.env(),
                                   stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1)
        p.process.send_signal(signal.SIGUSR2)
        assert waiting.communicate(timeout=20)[0].strip() == "4"


def test_suspend_closes_who_takes_nothing(site):
    """What was read before has to go out; a client that does not read it is closed."""
    with site.pgweir(settings={"suspend_timeout": 1}) as p, p.raw() as deaf, p.raw() as client:
        deaf.send(pgwire.query("SELECT repeat('x', 60000) FROM generate_series(1, 1000)"))
        sizes = [-1]

        def halted():  # its answer fills the sockets
            sizes.append(p.show_one("STATS", database="app")["total_sent"])
            return sizes[-1] == sizes[-2] != "0"
        proc.wait_until("the answer to come to a halt", halted, 20)
        p.admin("SUSPEND")
        p.process.send_signal(signal.SIGUSR2)
        assert client.value("SELECT 1") == "1"
        assert len([r for r in p.show("CLIENTS") if r["database"] == "app"]) == 1


def test_signals_pause_and_resume(site):
    with site.pgweir() as p:
        for signo, paused in ((signal.SIGUSR1, "yes"), (signal.SIGUSR2, "no")):
            p.process.send_signal(signo)
            p.wait_show("STATE", lambda row, value=paused: row["value"] == value, key="paused")


# --- keys ---

@pytest.mark.parametrize("dheparams, works", [("auto", True), ("none", False)])
def test_ephemeral_diffie_hellman_is_switched(site, dheparams, works):
    cert, key = Authority(f"{site.new_folder()}/tls").issue("pgweir")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES256-GCM-SHA384")
    with site.pgweir(settings={"client_tls_sslmode": "require", "client_tls_cert_file": cert,
                               "client_tls_key_file": key, "client_tls_ciphers": "all",
                               "client_tls_dheparams": dheparams}) as p, \
            RawClient(p.port) as client:
        if works:
            client.request_tls(context).login("app", p.passwords["app"])
            assert client.value("SELECT 1") == "1"
        else:
            with pytest.raises((ssl.SSLError, OSError)):
                client.request_tls(context)


# --- monitoring -----------------------------------------------------------------------------

# Facts, tool by tool: the table, the columns that are looked up by name.
ASKED = {
    "Go exporter": {
        "STATS_TOTALS": "database query_count query_time bytes_received bytes_sent wait_time "
                        "xact_count xact_time client_parse_count server_parse_count bind_count",
        "POOLS": "database user cl_active cl_active_cancel_req cl_waiting cl_waiting_cancel_req "
                 "sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login "
                 "maxwait",
        "DATABASES": "name host port database force_user pool_mode pool_size reserve_pool_size "
                     "max_connections current_connections paused disabled",
        "LISTS": "list items",
        "CONFIG": "key value",
    },
    "Datadog": {
        "STATS": "database total_query_count total_xact_count total_received total_sent "
                 "total_query_time total_xact_time total_wait_time avg_query_count avg_xact_count "
                 "avg_recv avg_sent avg_query_time avg_xact_time avg_wait_time",
        "POOLS": "database user cl_active cl_waiting sv_active sv_idle sv_used sv_tested sv_login "
                 "maxwait maxwait_us",
        "DATABASES": "name pool_size max_connections current_connections",
        "CONFIG": "key value",
        "CLIENTS": "user database state connect_time request_time wait wait_us",
        "SERVERS": "user database state connect_time request_time",
    },
    "netdata": {
        "CONFIG": "key value",
        "DATABASES": "name database host port max_connections current_connections paused disabled",
        "STATS": "database total_xact_count total_query_count total_received total_sent "
                 "total_xact_time total_query_time total_wait_time avg_xact_time avg_query_time",
        "POOLS": "database cl_active cl_waiting cl_active_cancel_req sv_active sv_idle sv_used "
                 "sv_tested sv_login maxwait maxwait_us",
    },
    "Telegraf": {
        "STATS": "database total_query_count total_xact_count total_received total_sent "
                 "avg_query_time avg_xact_time avg_wait_time",
        "POOLS": "database user cl_active cl_waiting sv_active sv_idle sv_used maxwait pool_mode",
        "LISTS": "list items",
        "DATABASES": "name pool_size current_connections",
    },
    "pgwatch": {
        "STATS": "database total_xact_count total_query_count total_received total_sent "
                 "total_xact_time total_query_time total_wait_time",
        "CLIENTS": "type user database state",
    },
}
TEXTS = {"database", "user", "name", "host", "force_user", "pool_mode", "key", "value", "list",
         "state", "connect_time", "request_time", "type"}


@pytest.mark.parametrize("tool", ASKED)
def test_columns_that_the_tool_looks_for_are_there_and_are_numbers(pooler, tool):
    with pooler.raw() as client:
        client.query("BEGIN; SELECT 1").check()
        for table, columns in ASKED[tool].items():
            rows = pooler.show(table, user="stats")
            assert rows, table
            for row in rows:
                for column in columns.split():
                    value = row[column]
                    if column not in TEXTS and value is not None:
                        float(value)


def test_numbers_that_tools_take_from_lists_and_config(pooler):
    lists = {r["list"]: r["items"] for r in pooler.show("LISTS")}
    for name in ("databases users pools free_clients used_clients login_clients free_servers "
                 "used_servers dns_names dns_zones dns_queries").split():
        assert lists[name].isdigit()
    rows = pooler.show("CONFIG")
    assert list(rows[0]) == ["key", "value", "default", "changeable"]
    config = {r["key"]: r["value"] for r in rows}
    assert config["max_client_conn"].isdigit() and config["max_user_connections"].isdigit()


def test_version_as_each_tool_reads_it(site, pooler):
    text = pooler.show("VERSION")[0]["version"]
    assert re.search(r"\d+\.\d+\.\d+", text)                           # Datadog
    semver = re.search(r"PgBouncer[^\d]*(\d+)\.(\d+)\.(\d+)", text)    # netdata
    assert tuple(int(n) for n in semver.groups()) > (1, 8, 0)
    assert "pgweir" in text
    pooler.admin("SET version_text = 'PgBouncer 1.22.1'")
    assert pooler.show("VERSION")[0]["version"] == "PgBouncer 1.22.1"
    pooler.admin("SET version_text = ''")


def test_times_of_clients_are_parsed_by_datadog(pooler):
    with pooler.raw() as client:
        assert client.value("SELECT 1") == "1"
        for row in pooler.show("CLIENTS") + pooler.show("SERVERS"):
            for column in ("connect_time", "request_time"):
                assert row[column] is None or re.fullmatch(
                    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+", row[column])


def test_legacy_columns_come_behind_the_others_when_asked_for(pooler):
    now = {table: list(pooler.show(table)[0]) for table in ("STATS", "DATABASES")}
    pooler.admin("SET legacy_columns = 1")
    for table, more in (("STATS", ["total_requests", "avg_req", "avg_query"]),
                        ("DATABASES", ["reserve_pool"])):
        rows = pooler.show(table)
        assert {tuple(r) for r in rows} == {tuple(now[table] + more)}
    assert all(r["total_requests"] == r["total_query_count"] for r in pooler.show("STATS"))
    pooler.admin("SET legacy_columns = 0")
    assert {table: list(pooler.show(table)[0]) for table in now} == now


@needs(EXPORTER)
def test_debians_exporter_runs(pooler):
    """It asks for columns that PgBouncer renamed in 1.8, and does not work with Debian's own."""
    pooler.admin("SET legacy_columns = 1")
    port = proc.free_port()
    env = {**os.environ, "PGPASSWORD": pooler.passwords["stats"]}
    exporter = subprocess.Popen(
        [EXPORTER, "--host", "127.0.0.1", "--port", str(port), "--pgbouncer-host", "127.0.0.1",
         "--pgbouncer-port", str(pooler.port), "--pgbouncer-user", "stats"], env=env,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def fetch():
        assert exporter.poll() is None, exporter.stdout.read()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as r:
                return r.read().decode()
        except OSError:
            return None
    try:
        text = proc.wait_until("the exporter to answer", fetch, 30)
    finally:
        exporter.terminate()
        exporter.communicate(timeout=10)
        pooler.admin("SET legacy_columns = 0")
    for name in ("used_clients", "requests_total", "query_microseconds_total", "active_clients",
                 "pool_size", "reserve_pool"):
        assert f"pgbouncer_{name}" in text, text
    assert 'database="app"' in text


@needs(CHECK_POSTGRES)
@pytest.mark.parametrize("action, arguments", [
    *((f"pgb_pool_{what}", ("--warning=1000", "--critical=2000")) for what in
      "cl_active cl_waiting sv_active sv_idle sv_used sv_tested sv_login maxwait".split()),
    ("pgbouncer_backends", ("--warning=90%", "--critical=95%")),
    ("pgbouncer_checksum", ("--critical=0",)),
])
def test_debians_check_postgres_runs(pooler, action, arguments):
    done = subprocess.run(
        ["perl", CHECK_POSTGRES, f"--action={action}", "--host=127.0.0.1",
         f"--port={pooler.port}", "--dbuser=stats", f"--dbpass={pooler.passwords['stats']}",
         *arguments], capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    if action == "pgbouncer_checksum":  # 0 is no sum: it tells which one it is
        assert "UNKNOWN" in said and re.search(r"\b[0-9a-f]{32}\b", said), said
    else:
        assert done.returncode == 0 and " OK: " in said, said
        assert "app=" in said or action == "pgbouncer_backends", said


@needs(f"{MUNIN}/pgbouncer_requests")
@pytest.mark.parametrize("plugin", ["pgbouncer_requests", "pgbouncer_connections"])
def test_munins_plugins_run(site, pooler, plugin):
    folder = site.new_folder()
    env = {**os.environ, **pooler.env("stats", "pgbouncer"), "MUNIN_LIBDIR": "/usr/share/munin",
           "MUNIN_PLUGSTATE": folder, "MUNIN_STATEFILE": f"{folder}/state"}

    def run_plugin(*args):
        done = subprocess.run(["perl", f"{MUNIN}/{plugin}", *args], env=env, capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
        return done.stdout
    assert "graph_title PgBouncer" in run_plugin("config")
    values = dict(re.findall(r"^(\w+)\.value (\d+)$", run_plugin(), re.MULTILINE))
    assert set(values) == ({"app"} if plugin == "pgbouncer_requests" else
                           {"cl_active", "cl_waiting", "sv_active", "sv_idle"})


def test_the_port_changes_over_without_a_refused_connection(site):
    """docs/migration.md, the day itself: Debian's PgBouncer and pgweir share the port for a while."""
    program = "/usr/sbin/pgbouncer"
    if not os.path.exists(program):
        pytest.skip("PgBouncer is not installed")
    admin_port = proc.free_port()  # where only ours listens
    p = site.pgweir(settings={"so_reuseport": 1, "auth_type": "trust", "admin_port": admin_port})
    folder = site.new_folder()
    ini = f"{folder}/pgbouncer.ini"
    with open(ini, "w", encoding="utf-8") as f:
        f.write(f"[databases]\napp = {p.databases['app']} user=app password={site.passwords['app']}\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {p.port}\nso_reuseport = 1\n"
                f"unix_socket_dir = {folder}\nauth_type = any\nlogfile = {folder}/log\n")
    os.chmod(ini, 0o644)
    theirs = proc.spawn([program, ini], f"{folder}/out")
    try:
        def login():
            client = RawClient(p.port)
            client.login("app", None, "app")
            return client
        proc.wait_until("PgBouncer", lambda: is_listening(p.port))
        for client in [login() for _ in range(5)]:
            client.close()
        with p:
            clients = [login() for _ in range(60)]
            with RawClient(admin_port) as console:
                console.login("admin", None, "pgweir")
                shown = console.query("SHOW CLIENTS").check()
            user = [name for name, _ in shown.columns].index("user")
            ours = len([r for r in shown.rows if r[user] == "app"])
            assert 0 < ours < 60, "the system gives new connections to both"
            theirs.terminate()
            theirs.wait(20)
            for _ in range(20):
                with login() as client:
                    assert client.value("SELECT 1") == "1"
            for client in clients:
                client.close()
    finally:
        if theirs.poll() is None:
            theirs.kill()
            theirs.wait()


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
