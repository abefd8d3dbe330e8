"""The console: its tables have PgBouncer's columns, over both protocols."""
import os
import re
import socket
import subprocess

import pgwire
import psycopg2
import pytest
from pooler import TOP
from rawclient import RawClient, ServerError
from tools import proc

SOCKET = ("type user database replication state addr port local_addr local_port connect_time "
          "request_time wait wait_us close_needed ptr link remote_pid tls application_name "
          "prepared_statements id")
COUNTS = ["server_assignment_count", "xact_count", "query_count", "received", "sent", "xact_time",
          "query_time", "wait_time", "client_parse_count", "server_parse_count", "bind_count",
          "client_login_count"]
PLAIN_COUNTS = ["server_assignment_count", "xact_count", "query_count", "bytes_received",
                "bytes_sent", "xact_time", "query_time", "wait_time"]
PARSE_COUNTS = ["client_parse_count", "server_parse_count", "bind_count", "client_login_count"]
OIDS = {"s": 25, "b": 17, "i": 23, "q": 20, "N": 1700, "T": 25}

COLUMNS = {
    "STATS": ["database"] + [f"total_{c}" for c in COUNTS]
    + [f"avg_{'recv' if c == 'received' else c}" for c in COUNTS],
    "STATS_TOTALS": ["database"] + PLAIN_COUNTS + PARSE_COUNTS,
    "STATS_AVERAGES": ["database"] + PLAIN_COUNTS + [f"avg_{c}" for c in PARSE_COUNTS],
    "TOTALS": ["name", "value"],
    "CLIENTS": SOCKET.split(),
    "SERVERS": SOCKET.split(),
    "SOCKETS": SOCKET.split() + ["recv_pos", "pkt_pos", "pkt_remain", "send_pos", "send_remain",
                                 "pkt_avail", "send_avail"],
    "ACTIVE_SOCKETS": SOCKET.split() + ["recv_pos", "pkt_pos", "pkt_remain", "send_pos",
                                        "send_remain", "pkt_avail", "send_avail"],
    "FDS": "fd task user database addr port cancel link client_encoding std_strings datestyle "
           "timezone password scram_client_key scram_server_key".split(),
    "POOLS": "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req "
             "sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login "
             "maxwait maxwait_us pool_mode load_balance_hosts".split(),
    "DATABASES": "name host port database force_user pool_size min_pool_size reserve_pool_size "
                 "server_lifetime pool_mode load_balance_hosts max_connections "
                 "current_connections max_client_connections current_client_connections paused "
                 "disabled".split(),
    "USERS": "name pool_size reserve_pool_size pool_mode max_user_connections "
             "current_connections max_user_client_connections "
             "current_client_connections".split(),
    "LISTS": ["list", "items"],
    "CONFIG": ["key", "value", "default", "changeable"],
    "VERSION": ["version"],
    "STATE": ["key", "value"],
    "MEM": ["name", "size", "used", "free", "memtotal"],
    "DNS_HOSTS": ["hostname", "ttl", "addrs"],
    "DNS_ZONES": ["zonename", "serial", "count"],
    "PEERS": ["peer_id", "host", "port", "pool_size"],
    "PEER_POOLS": "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel "
                  "sv_login".split(),
}
# As PgBouncer 1.25 describes its rows (src/admin.c, src/stats.c): a letter for each column.
TYPES = {
    "STATS": "s" + 24 * "N", "STATS_TOTALS": "s" + 12 * "N", "STATS_AVERAGES": "s" + 12 * "N",
    "TOTALS": "sN", "CLIENTS": "ssssssisiTTiiississii", "SERVERS": "ssssssisiTTiiississii",
    "SOCKETS": "ssssssisiTTiiississii" + "iiiiiii",
    "ACTIVE_SOCKETS": "ssssssisiTTiiississii" + "iiiiiii", "POOLS": "ssiiiiiiiiiiiiiss",
    "DATABASES": "ssissiiiissiiiiii", "USERS": "ssssiiii", "LISTS": "si", "CONFIG": "ssss",
    "VERSION": "s", "STATE": "ss", "MEM": "siiii", "DNS_HOSTS": "sqs", "DNS_ZONES": "sqi",
    "PEERS": "isii", "PEER_POOLS": "iiiii", "FDS": "issssiqisssssbb",
}
WIDER = {"id", "used", "free", "memtotal"}  # than int4: they may outgrow it
OUR_COLUMNS = ["linked_id", "node", "statement", "pins"]
OWN_TABLES = ["NODES", "NODE_POOLS", "ROUTES", "WORKERS", "PINS", "LOGINS"]
LISTS = ["databases", "users", "peers", "pools", "peer_pools", "free_clients", "used_clients",
         "login_clients", "free_servers", "used_servers", "dns_names", "dns_zones",
         "dns_queries", "dns_pending"]


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir_routed(settings={"admin_users": "admin", "stats_users": "stats"}) as p:
        with p.raw() as client:
            client.query("SELECT 1").check()
            yield p


@pytest.mark.parametrize("database", ["pgweir", "pgbouncer"])
@pytest.mark.parametrize("table", COLUMNS)
def test_columns_are_pgbouncers_in_name_and_order(pooler, table, database):
    with pooler.raw("admin", database) as console:
        simple = console.query(f"SHOW {table}").check()
        extended = console.prepared(f"SHOW {table}").check()
    for result in (simple, extended):
        ours = OUR_COLUMNS if database == "pgweir" and table in ("CLIENTS", "SERVERS") else []
        assert [name for name, _ in result.columns] == COLUMNS[table] + ours
        assert len(TYPES[table]) == len(COLUMNS[table])
        assert result.tags == ["SHOW"]
        for (name, oid), kind in zip(result.columns, TYPES[table]):
            assert oid == OIDS["q" if name in WIDER and kind == "i" else kind], name


@pytest.mark.parametrize("table", OWN_TABLES)
def test_own_tables_answer(pooler, table):
    with pooler.raw("admin", "pgweir") as console:
        assert console.query(f"SHOW {table}").check().columns
        assert console.prepared(f"show {table.lower()};").check().columns


def test_lists_has_pgbouncers_rows(pooler):
    assert [row["list"] for row in pooler.show("LISTS")] == LISTS


def test_version_is_understood_by_monitoring_tools(pooler):
    version = pooler.show("VERSION")[0]["version"]
    assert version.startswith("PgBouncer 1.") or "PgBouncer 1." in version


def test_state_rows(pooler):
    assert pooler.show("STATE") == [{"key": "active", "value": "yes"},
                                    {"key": "paused", "value": "no"},
                                    {"key": "suspended", "value": "no"}]


def test_help_is_a_notice_that_names_all(pooler):
    """Every table of the manual, whose list is made from the program's, and no other."""
    with open(f"{TOP}/man/pgweir-console.7", encoding="utf-8") as f:
        page = f.read()
    tables = re.findall(r"(?m)^\.It Ic (\w+)$", page[page.index("generated: begin"):])
    with pooler.raw("admin", "pgweir") as console:
        result = console.query("SHOW HELP").check()
        assert result.tags == ["SHOW"] and "RECONNECT" in str(result.notices)
        lines = re.findall(r"\tSHOW (\S+)", result.notices[0]["D"])
        named = "|".join(lines).split("|")
        assert sorted(named) == sorted(["HELP", *tables])
        for table in tables:
            assert console.query(f"SHOW {table}").check().tags == ["SHOW"], table


def test_rows_by_database_and_user_only(pooler):
    """Whatever the nodes: one row of POOLS per database and user, one of DATABASES per database."""
    keys = [(r["database"], r["user"]) for r in pooler.show("POOLS")]
    assert len(keys) == len(set(keys)) and ("app", "app") in keys
    names = [r["name"] for r in pooler.show("DATABASES")]
    assert len(names) == len(set(names)) and {"app"} <= set(names)


def test_show_nodes_tells_roles_and_lag(pooler):
    rows = pooler.wait_show("NODES", lambda row: row["role"] == "primary") and pooler.show("NODES")
    assert len(rows) == 3
    ports = {row["node"].rsplit(":", 1)[1] for row in rows}
    assert ports == {str(n.port) for n in pooler.site.cluster.nodes}


@pytest.mark.parametrize("statement", [
    "SHOW NONSENSE", "SHOW", "NONSENSE", "SELECT nonsense", "SHOW POOLS EXTRA WORDS",
    "SHOW \"POOLS", "PAUSE nowhere", "KILL_CLIENT 999999", "SET nonsense = 1", "RELOAD now",
    "; ; DROP", "SHOW ALL", "SET default_pool_size = much",
])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_what_it_does_not_know_is_an_error_not_an_end(pooler, statement, extended):
    with pooler.raw("admin", "pgweir") as console:
        run = console.prepared if extended else console.query
        assert run(statement).sqlstate
        assert run("SHOW VERSION").sqlstate is None


@pytest.mark.parametrize("probe, value", [
    ("SHOW client_encoding", "UTF-?8"), ("SHOW standard_conforming_strings", "on"),
    ("SHOW datestyle", "ISO.*"), ("SHOW timezone", "GMT"),
    ("SHOW default_transaction_isolation", "read committed"),
])
def test_probes_of_drivers_are_answered(pooler, probe, value):
    with pooler.raw("admin", "pgweir") as console:
        assert re.fullmatch(value, console.query(probe).check().rows[0][0])


@pytest.mark.parametrize("user", ["admin", "stats"])
def test_settings_that_drivers_send_are_accepted(pooler, user):
    """And ignored, with a notice, whoever sends them; others are the console's own, or wrong."""
    with pooler.raw(user, "pgweir") as console:
        for sql in ("SET client_encoding = 'UTF8'", "SET datestyle TO 'ISO'",
                    "SET timezone = 'UTC'", "SET standard_conforming_strings = on",
                    "SET default_transaction_isolation = 'read committed'",
                    "SET extra_float_digits = 3", "SET application_name = 'x'"):
            result = console.query(sql).check()
            assert result.tags == ["SET"] and len(result.notices) == 1, result.messages
        assert console.query("SET work_mem = 1").sqlstate
        assert console.query("SHOW VERSION").check().rows


def test_drivers_use_the_console(pooler):
    with pooler.connect("admin", "pgbouncer").cursor() as cur:
        cur.execute("SHOW STATS_TOTALS")
        assert len(cur.description) == len(COLUMNS["STATS_TOTALS"])
    with pooler.connect3("admin", "pgweir", prepare_threshold=None) as conn:
        assert conn.execute("SHOW VERSION").fetchone()
    assert "app" in pooler.psql("-c", "SHOW DATABASES", user="admin", database="pgweir")


def test_words_are_case_insensitive_and_identifiers_may_be_quoted(pooler):
    with pooler.raw("admin", "pgweir") as console:
        for sql in ("show Pools;", "  SHOW\n POOLS  ", "RECONNECT \"app\"", "SELECT version"):
            console.query(sql).check()


def test_stats_user_sees_but_changes_nothing(pooler):
    with pooler.raw("stats", "pgweir") as console:
        for table in {*COLUMNS, *OWN_TABLES} - {"FDS"}:
            console.query(f"SHOW {table}").check()
        for command in ("RELOAD", "PAUSE", "PAUSE app", "RESUME app", "KILL app", "DISABLE app",
                        "ENABLE app", "RECONNECT", "SHUTDOWN", "SET verbose = 1",
                        "KILL_CLIENT 1", "SUSPEND", "WAIT_CLOSE", "SHUTDOWN WAIT_FOR_CLIENTS"):
            assert console.query(command).sqlstate, command
    with pooler.raw() as client:
        assert client.value("SELECT 1") == "1"


def test_user_of_neither_list_is_refused(pooler):
    with pytest.raises((ServerError, psycopg2.Error)):
        pooler.admin("SHOW VERSION", user="other")


@pytest.mark.parametrize("user", ["pgbouncer", "pgweir"])
def test_the_daemons_own_user_is_admin_over_the_unix_socket(site, user):
    """PgBouncer's rule: the system's user counts, not a password; over TCP it does not."""
    with site.pgweir(settings={"unix_socket_dir": "{folder}", "admin_users": ""}) as p:
        def psql(host, **more):
            return subprocess.run(
                ["psql", "-wXAt", "-h", host, "-p", str(p.port), "-U", user, "-d", "pgbouncer",
                 "-c", "RELOAD"], capture_output=True, text=True, check=False, env=proc.clean_env(),
                **more)
        assert psql(p.folder, **proc.as_user()).returncode == 0
        assert psql("127.0.0.1", **proc.as_user()).returncode != 0
        if os.geteuid() == 0:  # then the daemon has another user
            assert psql(p.folder).returncode != 0


def test_fds_gives_no_socket_and_no_key_away(site):
    """As an admin over the unix socket, to whom PgBouncer sends a descriptor beside each row."""
    with site.pgweir(settings={"unix_socket_dir": "{folder}"}) as p, p.raw() as client, \
            RawClient(p.port, p.folder) as console:
        client.query("SELECT 1").check()
        console.login("admin", p.passwords["admin"], "pgweir")
        console.send(pgwire.query("SHOW FDS"))
        data, anew = b"", 1 + 4 + 1  # ReadyForQuery ends it
        while not data[-anew:].startswith(b"Z"):
            more, descriptors, flags, _ = console.sock.recvmsg(65536, socket.CMSG_SPACE(64))
            assert more and descriptors == [] and not flags & socket.MSG_CTRUNC
            data += more
        rows = [r for r in p.show("FDS") if r["task"] in ("client", "server")]
        assert {r["task"] for r in rows} == {"client", "server"}
        for r in rows:
            assert r["password"] is r["scram_client_key"] is r["scram_server_key"] is None


def test_anybody_is_admin_where_anybody_comes_in(site):
    """auth_type = any, as in PgBouncer."""
    entry = f"{site.app_on([site.cluster.primary])['app']} user=app password={site.passwords['app']}"
    with site.pgweir({"app": entry}, settings={"auth_type": "any"}) as p:
        with RawClient(p.port) as console:
            console.login("somebody", None, "pgweir")
            assert console.query("PAUSE").check().tags == ["PAUSE"]
            assert console.query("RESUME").check().tags == ["RESUME"]
        with RawClient(p.port) as client:
            client.login("whoever", None, "app")
            assert client.value("SELECT current_user") == "app"


def test_clients_and_servers_rows(pooler):
    with pooler.raw(application_name="seen here") as client:
        client.query("SELECT 1").check()
        row = pooler.show_one("CLIENTS", application_name="seen here")
        assert (row["type"], row["user"], row["database"]) == ("C", "app", "app")
        assert row["addr"] == "127.0.0.1"
        assert int(row["port"]) == client.sock.getsockname()[1]
        servers = pooler.show("SERVERS")
        assert servers and {r["type"] for r in servers} == {"S"}
        backends = pooler.site.cluster.primary.sql(
            "SELECT pid FROM pg_stat_activity WHERE usename = 'app'").split()
        on_primary = [r["remote_pid"] for r in servers
                      if r["port"] == str(pooler.site.cluster.primary.port)
                      and r["remote_pid"] != "0"]  # one that is logging in has none yet
        assert set(on_primary) <= set(backends)


def test_config_lists_every_key_of_help_config(pooler):
    keys = {row["key"] for row in pooler.show("CONFIG")}
    assert {"listen_port", "max_client_conn", "default_pool_size", "pool_mode", "max_lag",
            "query_wait_timeout", "stats_port", "workers"} <= keys
    assert {row["changeable"] for row in pooler.show("CONFIG")} == {"yes", "no"}
    value = pooler.show_one("CONFIG", key="listen_port")["value"]
    assert value == str(pooler.port)


# --- which server, which statement ------------------------------------------------------------

def statement_of(pooler, client_name):
    return pooler.show_one("CLIENTS", application_name=client_name)["statement"]


def test_clients_and_servers_tell_what_runs(pooler):
    with pooler.raw(application_name="who runs") as client:
        client.query("SELECT 1").check()
        row = pooler.show_one("CLIENTS", application_name="who runs")
        assert row["linked_id"] is row["node"] is row["statement"] is row["pins"] is None
        client.query("BEGIN").check()
        client.query("SELECT count(*) FROM pg_class WHERE relname = 'a'").check()
        row = pooler.show_one("CLIENTS", application_name="who runs")
        server = pooler.show_one("SERVERS", id=row["linked_id"])
        assert server["linked_id"] == row["id"]
        assert server["remote_pid"] == client.value("SELECT pg_backend_pid()")
        assert row["node"] == server["node"] and row["node"].startswith("127.0.0.1:")
        assert server["statement"] == row["statement"] and len(row["statement"]) == 16
        client.query("CREATE TEMP TABLE seen ON COMMIT DROP AS SELECT 1 AS a").check()
        assert pooler.show_one("CLIENTS", application_name="who runs")["pins"] == "temp"
        client.query("ROLLBACK").check()


def send_named(client, sql):
    client.run(pgwire.parse("named", sql) + pgwire.SYNC).check()
    return client.run(pgwire.bind("", "named") + pgwire.execute() + pgwire.SYNC)


@pytest.mark.parametrize("send", [RawClient.query, RawClient.prepared, send_named],
                         ids=["simple", "unnamed", "named"])
def test_fingerprint_is_of_the_statement_however_it_is_sent(pooler, send):
    with pooler.raw(application_name="finger") as client:
        client.query("BEGIN").check()
        found = []
        for sql in ("SELECT 7 AS finger", "select  8 AS finger -- but", "SELECT 7 AS other"):
            send(client, sql).check()
            found.append(statement_of(pooler, "finger"))
            client.run(pgwire.close("S", "named") + pgwire.SYNC).check()
        assert found[0] == found[1] != found[2]
        client.query("SELECT 9 AS finger").check()
        assert statement_of(pooler, "finger") == found[0]
        client.query("SELECT '" + "x" * 100_000 + "' AS large").check()
        assert len(statement_of(pooler, "finger")) == 16
