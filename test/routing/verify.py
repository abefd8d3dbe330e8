#!/usr/bin/env python3
"""Compare the classifier's verdicts with what a real primary and its standby do.

    verify.py JUDGE CATALOG PRIMARY_DSN STANDBY_DSN STATEMENTS.jsonl...

Both servers have schema.sql and extra.sql loaded; CATALOG was made from them (make_catalog.sh).
Each statement runs on a fresh connection, on the standby first. A statement judged for a replica
must give the same SQLSTATE and the same rows on both, and leave no setting behind. Exit status 1
if one does not. Statements that act on a standby for good are not run.

libpq is called through ctypes, so that nothing but PostgreSQL's own client library is needed.
"""
import ctypes
import ctypes.util
import json
import re
import subprocess
import sys

pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
for name, result in (("PQconnectdb", ctypes.c_void_p), ("PQgetResult", ctypes.c_void_p),
                     ("PQresultErrorField", ctypes.c_char_p), ("PQgetvalue", ctypes.c_char_p),
                     ("PQcmdStatus", ctypes.c_char_p), ("PQerrorMessage", ctypes.c_char_p)):
    getattr(pq, name).restype = result

OK, BAD, COPY_OUT, COPY_IN = 0, 1, 3, 4  # CONNECTION_OK …, PGRES_COPY_OUT, PGRES_COPY_IN
FIELD_SQLSTATE = ord("C")

NOT_RUN = re.compile(r"pg_promote|pg_wal_replay|ALTER\s+SYSTEM|pg_reload_conf|pg_switch_wal", re.I)
NOT_COMPARED = re.compile(
    r"random|clock_timestamp|now\(|timeofday|current_(date|time)|localtime|uuid|_size\b|EXPLAIN"
    r"|pg_sleep|statement_timestamp|txid|tablesample", re.I)


def drain_copy_out(conn, rows):
    buf = ctypes.c_char_p()
    while pq.PQgetCopyData(ctypes.c_void_p(conn), ctypes.byref(buf), 0) > 0:
        rows.append(buf.value)
        pq.PQfreemem(buf)


def take_result(conn, res, rows):
    """Add the rows of one result; return its SQLSTATE or None."""
    r = ctypes.c_void_p(res)
    state = pq.PQresultErrorField(r, FIELD_SQLSTATE)
    status = pq.PQresultStatus(r)
    for i in range(pq.PQntuples(r)):
        rows.append([None if pq.PQgetisnull(r, i, j) else pq.PQgetvalue(r, i, j)
                     for j in range(pq.PQnfields(r))])
    if status == COPY_OUT:
        drain_copy_out(conn, rows)
    elif status == COPY_IN:
        pq.PQputCopyEnd(ctypes.c_void_p(conn), b"none")
    pq.PQclear(r)
    return state.decode() if state else None


def send(conn, entry):
    sql = bytes.fromhex(entry["sql_hex"]) if entry.get("sql") is None else entry["sql"].encode()
    params = entry.get("params")
    if params is None:
        pq.PQsendQuery(ctypes.c_void_p(conn), sql)
        return
    values = (ctypes.c_char_p * max(1, len(params)))(
        *[None if p is None else p.encode() for p in params])
    pq.PQsendQueryParams(ctypes.c_void_p(conn), sql, len(params), None, values, None, None, 0)


def run(dsn, entry):
    """SQLSTATE of the first error or None, and all rows."""
    conn = pq.PQconnectdb(dsn.encode())
    if pq.PQstatus(ctypes.c_void_p(conn)) != OK:
        sys.exit(pq.PQerrorMessage(ctypes.c_void_p(conn)).decode())
    # a lock held by somebody else, or a pg_sleep, must not stop the run
    pq.PQclear(ctypes.c_void_p(pq.PQexec(ctypes.c_void_p(conn), b"SET statement_timeout = '10s'")))
    send(conn, entry)
    first, rows = None, []
    while res := pq.PQgetResult(ctypes.c_void_p(conn)):
        state = take_result(conn, res, rows)
        first = first or state
    pq.PQfinish(ctypes.c_void_p(conn))
    return first, rows


pq.PQexec.restype = ctypes.c_void_p


def check(entry, verdict, primary, standby):
    """One complaint about the verdict, or None."""
    if verdict != "replica" or NOT_RUN.search(entry.get("sql") or ""):
        return None
    there, there_rows = run(standby, entry)
    here, here_rows = run(primary, entry)
    if here != there:
        return f"primary {here}, standby {there}"
    if here_rows != there_rows and not NOT_COMPARED.search(entry.get("sql") or ""):
        return f"rows differ: {here_rows[:2]} and {there_rows[:2]}"
    return None


def lost(entry, verdict, primary, standby):
    """A statement kept on the primary that the standby would have answered alike."""
    if verdict != "primary" or entry["class"] != "replica" or entry.get("hard"):
        return False
    here = run(primary, entry)
    return here[0] is None and run(standby, entry) == here


def main():
    judge, catalog, primary, standby, *files = sys.argv[1:]
    n = n_replica = n_wrong = n_lost = 0
    for path in files:
        entries = [json.loads(line) for line in open(path, encoding="utf-8")]
        out = subprocess.run([judge, catalog, path], stdout=subprocess.PIPE, check=True).stdout
        verdicts = [line.split(b"\t")[0].decode() for line in out.split(b"\n")
                    if line.startswith((b"replica\t", b"primary\t"))]
        assert len(verdicts) == len(entries), "one line a statement"
        for entry, verdict in zip(entries, verdicts):
            n += 1
            n_replica += verdict == "replica"
            if why := check(entry, verdict, primary, standby):
                n_wrong += 1
                print(f"WRONG {entry['id']}: {(entry.get('sql') or '')[:120]!r}: {why}")
            if lost(entry, verdict, primary, standby):
                n_lost += 1
                print(f"lost  {entry['id']}: {(entry.get('sql') or '')[:120]!r}")
    print(f"{n} statements, {n_replica} judged for a replica, {n_wrong} wrong, {n_lost} lost")
    sys.exit(1 if n_wrong else 0)


main()
