"""Every function of PostgreSQL's own against a primary and its standby: one that the classifier
lets run on a replica gives the same answer there, and none is kept without a reason."""
import itertools
import os
import re
import sys

import pytest
from pooler import find_binary

TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.append(f"{TEST}/routing")

import pair  # noqa: E402  pylint: disable=wrong-import-position

JUDGE = os.environ.get("PGWEIR_JUDGE") or os.path.join(
    os.path.dirname(os.path.dirname(find_binary())), "test", "routing", "judge")
pytestmark = [
    pytest.mark.nodes,
    pytest.mark.skipif(not os.path.exists(JUDGE), reason=f"no {JUDGE}: make test/routing/judge"),
]

# Literals of each type, the likeliest first; a type that is not here gets NULL.
ARGUMENTS = {
    "bool": ["true"], "bytea": [r"'\x6162'"], '"char"': ["'r'"], "name": ["'pg_class'", "'utf8'"],
    "int8": ["1", "100"], "int2": ["1"], "int4": ["1", "2"],
    "text": ["'abc'", "'UTF8'", "'1'", "'YYYY'"], "oid": ["1259", "1"], "tid": ["'(0,1)'"],
    "xid": ["'3'"], "cid": ["'0'"], "json": ["'{\"a\": 1}'", "'[1, 2]'"],
    "jsonb": ["'{\"a\": 1}'", "'[1, 2]'"], "jsonpath": ["'$.a'"], "xml": ["'<a>1</a>'"],
    "point": ["'(1,2)'"], "lseg": ["'[(0,0),(1,1)]'"], "path": ["'((0,0),(1,1),(2,0))'"],
    "box": ["'(1,1),(0,0)'"], "polygon": ["'((0,0),(1,1),(2,0))'"], "line": ["'{1,2,3}'"],
    "circle": ["'<(0,0),1>'"], "float4": ["1.5"], "float8": ["0.5", "10"],
    "money": ["'1.00'"], "macaddr": ["'08:00:2b:01:02:03'"], "inet": ["'10.0.0.1/8'"],
    "cidr": ["'10.0.0.0/8'"], "macaddr8": ["'08:00:2b:01:02:03:04:05'"],
    "aclitem": ["'postgres=r/postgres'"], "bpchar": ["'abc'"], "varchar": ["'abc'"],
    "date": ["'2024-01-02'"], "time": ["'03:04:05'"], "timestamp": ["'2024-01-02 03:04:05'"],
    "timestamptz": ["'2024-01-02 03:04:05+00'"], "interval": ["'1 day'"],
    "timetz": ["'03:04:05+00'"], "bit": ["B'101'"], "varbit": ["B'101'"], "numeric": ["1.5", "2"],
    "uuid": ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], "pg_lsn": ["'0/16B3748'"],
    "tsvector": ["'a:1 b:2'"], "tsquery": ["'a & b'"], "regconfig": ["'english'"],
    "regdictionary": ["'simple'"], "txid_snapshot": ["'10:20:10,14'"],
    "pg_snapshot": ["'10:20:10,14'"], "int4range": ["'[1,5)'"], "numrange": ["'[1,5)'"],
    "regclass": ["'pg_class'"], "regtype": ["'int4'"], "regproc": ["'now'"], "xid8": ["'3'"],
    "anyelement": ["1"], "anynonarray": ["1"], "anycompatible": ["1"], "any": ["1"],
    "anycompatiblenonarray": ["1"], "anyarray": ["ARRAY[1, 2]"], "_text": ["ARRAY['abc', 'b']"],
    "anycompatiblearray": ["ARRAY[1, 2]"], "anyrange": ["'[1,5)'::int4range"],
    "anycompatiblerange": ["'[1,5)'::int4range"], "anymultirange": ["'{[1,5)}'::int4multirange"],
    "anycompatiblemultirange": ["'{[1,5)}'::int4multirange"], "record": ["ROW(1, 2)"],
    "cstring": ["'1'", "'abc'"], "anyenum": ["NULL::mood"], "refcursor": ["'c'"],
    "oidvector": ["'1 2'"], "int2vector": ["'1 2'"], "pg_node_tree": ["NULL"],
}
UNTYPED = {"any", "anyenum", "record", "anyelement", "anynonarray", "anycompatible", "anyarray",
           "anycompatiblenonarray", "anycompatiblearray", "anyrange", "anycompatiblerange",
           "anymultirange", "anycompatiblemultirange"}
TRIES = 6
FUNCTIONS = """
SELECT DISTINCT p.oid::int, p.proname, p.prokind::text, p.provolatile::text,
       array_to_string(ARRAY(SELECT CASE t.typname WHEN 'char' THEN '"char"' ELSE t.typname END
                             FROM unnest(p.proargtypes) WITH ORDINALITY a(oid, i)
                             JOIN pg_type t ON t.oid = a.oid ORDER BY i), ' ')
  FROM pg_proc p
 WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a', 'w')
   AND NOT 'internal'::regtype::oid = ANY (p.proargtypes::oid[])
   AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype,
                            'fdw_handler'::regtype, 'index_am_handler'::regtype,
                            'language_handler'::regtype, 'table_am_handler'::regtype,
                            'tsm_handler'::regtype)
 ORDER BY p.proname, 1
"""
# Kept on the primary, and not even tried on the standby: they act on the server.
ACTS = re.compile(
    r"^(pg_(promote|wal_replay_|terminate_backend|cancel_backend|reload_conf|rotate_logfile"
    r"|switch_wal|start_backup|stop_backup|backup_|create_|drop_|copy_|logical_|replication_|sync_"
    r"|sleep|stat_reset|log_|advisory|try_advisory|import_|export_|nextoid|stop_making|read_|ls_"
    r"|stat_file|file|current_logfile|set_)|binary_upgrade_|lo_|lowrite|loread|brin_|gin_clean"
    r"|ts_stat|ts_rewrite|.*_to_xml|setseed|set_config|nextval|setval|currtid)")
# Kept on the primary although the standby gave the same answer here, and why.
KEPT = {
    "statistics, locks, memory or connections of one server":
        r"pg_stat_|pg_lock_status|pg_blocking_pids|pg_safe_snapshot_blocking|pg_isolation_test"
        r"|pg_get_(backend_memory|shmem|replication_slots|wal_)|pg_notification_queue"
        r"|pg_show_replication_origin|inet_|pg_jit_available|pg_prepared_xact",
    "files and packages of one server":
        r"pg_(config|available_ext|extension_update|hba_file|ident_file|tablespace_|collation_actual"
        r"|database_collation|control_)",
    "transactions as one server numbers them, of which a standby lags behind":
        r"txid_|pg_(current_snapshot|current_xact|xact_|last_committed|get_multixact)",
    "of one session":
        r"current_setting|currval|lastval|pg_(cursor|prepared_statement|my_temp|listening)",
    "a sequence, of which a standby is ahead": r"pg_sequence_last_value",
    "for CREATE EXTENSION and CREATE FUNCTION": r"pg_extension_config_dump|plpgsql_validator",
}
# Volatile ones that a replica may answer, as builtin.h has them (BUILTIN_HARMLESS).
HARMLESS = {
    "random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4",
    "uuidv7", "pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_database_size", "pg_tablespace_size",
    "pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size",
    "pg_partition_tree", "pg_partition_ancestors", "lo_get", "system", "bernoulli", "amvalidate",
    "current_query"}


@pytest.fixture(scope="module")
def sessions(own_site):
    cluster = own_site.cluster
    cluster.create_database("builtins")
    cluster.primary.sql("CREATE TYPE mood AS ENUM ('sad', 'glad')", db="builtins")
    cluster.wait_caught_up()
    judge = pair.Judge(JUDGE)
    made = pair.Pair(cluster, judge, "postgres", "builtins", timeout=5)
    made.refresh()
    yield made
    made.close()
    judge.close()


def calls(name, kind, types):
    """Texts that call it, until one works."""
    values = [[v if t in UNTYPED else f"{v}::{t}" for v in ARGUMENTS.get(t, ["NULL"])]
              for t in types]
    if kind == "a" and not types:
        return [f"SELECT {name}(*)"]
    over = " OVER (ORDER BY g) FROM generate_series(1, 2) g" if kind == "w" else ""
    return [f'SELECT pg_catalog."{name}"({", ".join(v)}){over}'
            for v in itertools.islice(itertools.product(*values), TRIES)]


def outcome(client, sql):
    result = pair.answer(client, sql)
    return result.sqlstate, pair.values(result)


def compare(sessions, texts):
    """(text, primary's, standby's) outcomes of the first text that works, or of the last."""
    for sql in texts:
        there = outcome(sessions.standby, sql)
        here = outcome(sessions.primary, sql)
        if here[0] is None:
            break
    if here[0] is None and here != there and outcome(sessions.primary, sql) != here:
        return sql, here[:1], there[:1]  # not the same twice: only whether it works
    return sql, here, there


@pytest.fixture(scope="module")
def functions(sessions):
    """[(name, volatility, texts that call it, where the first of them may run)]"""
    rows = sessions.owner.query(FUNCTIONS).check().rows
    made = []
    for _, name, kind, volatility, types in rows:
        texts = calls(name, kind, types.split())
        made.append((name, volatility, texts, sessions.judge.ask(texts[0]).where))
    return made


def test_every_function_for_a_replica_answers_there_as_on_the_primary(sessions, functions):
    wrong, worked, called = [], 0, 0
    for name, volatility, texts, where in functions:
        if where == "replica" and not name.startswith("pg_sleep"):
            sql, here, there = compare(sessions, texts)
            called += 1
            worked += here[0] is None
            if here != there:
                wrong.append((name, volatility, sql, here, there))
    assert not wrong
    assert called > 2300 and worked > 0.85 * called


def test_only_harmless_ones_of_the_volatile_functions_are_for_a_replica(functions):
    volatile = {name for name, volatility, _, where in functions
                if volatility == "v" and where == "replica"}
    assert not volatile - HARMLESS
    assert {"random", "clock_timestamp", "pg_database_size", "lo_get"} <= volatile


def test_what_is_kept_on_the_primary_has_a_reason(sessions, functions):
    reason = re.compile("|".join(KEPT.values()))
    kept = set()
    for name, _, texts, where in functions:
        if where == "primary" and not ACTS.match(name) and not reason.match(name):
            _, here, there = compare(sessions, texts)
            if here == there:
                kept.add(name)
    assert not kept


def test_sizes_are_kept_where_a_relation_is_unlogged(sessions):
    sql = "SELECT pg_catalog.pg_database_size(current_database())"
    assert sessions.judge.ask(sql).where == "replica"
    sessions.run("CREATE UNLOGGED TABLE is_empty_there (a int)")
    sessions.refresh()
    assert sessions.judge.ask(sql).where == "primary"
    forget(sessions, "TABLE is_empty_there")


def forget(sessions, what):
    sessions.run(f"DROP {what} CASCADE")
    sessions.outdated = True
    sessions.refresh()


def test_default_operator_class_of_a_builtin_type_taints_everything(sessions):
    sql = "SELECT '(1,1)'::point"
    for volatility in ("IMMUTABLE", "VOLATILE"):
        sessions.run("CREATE FUNCTION compares(point, point) RETURNS int LANGUAGE sql "
                     f"{volatility} AS 'SELECT 0'").check()
        sessions.run("CREATE OPERATOR CLASS of_points DEFAULT FOR TYPE point USING btree AS "
                     "FUNCTION 1 compares(point, point)").check()
        sessions.outdated = True
        sessions.refresh()
        where = "replica" if volatility == "IMMUTABLE" else "primary"
        assert sessions.judge.ask(sql).where == where
        forget(sessions, "OPERATOR FAMILY of_points USING btree")
        forget(sessions, "FUNCTION compares")
