#!/usr/bin/python3
"""Count the instructions that the classifier needs for a statement, with valgrind's callgrind.

A count is the same on every run and every machine with the same compiler: it says what a change
costs where a clock would not. Each statement is judged a thousand times, with another number in
it each time, against the catalog of the routing tests. --write puts the table in
docs/benchmarks.md. Exits with 1 if a statement of 200 bytes, or fewer, costs 3,000 instructions, but for
those whose names begin with an UNBOUND word: their tokens are looked at, of some of them more than once;
or if it does together with the choice of a node, but for those that are OVER already.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CATALOG = f"{TOP}/test/routing/catalog.tsv"
TIMES = 1000
BOUND = (200, 3000)  # bytes, instructions
UNBOUND = ("walked",)  # how the names of those begin that the bound is not for
CHOICE = {"replica": 1125, "primary": 550}  # all but the verdict: see choice.py
OVER = ("with WITH", "with ü", "many turns", "VALUES", "SHOW", "SET", "COPY … FROM", "BEGIN … COMMIT")
STATEMENTS = {
    "pgbench's select": "SELECT abalance FROM pgbench_accounts WHERE aid = #",
    "pgbench's update": "UPDATE pgbench_accounts SET abalance = abalance + 4711 WHERE aid = #",
    "pgbench's insert": "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) "
                        "VALUES (#, 1, 12, 4711, CURRENT_TIMESTAMP)",
    "a join": "SELECT us.id, us.name, us.email, o.total FROM users us JOIN orders o "
              "ON o.user_id = us.id WHERE o.status = 'shipped' AND o.created_at > '2024-01-01' "
              "AND us.id = # ORDER BY o.created_at DESC LIMIT 5",
    "Django's": 'SELECT "app_user"."id", "app_user"."username", "app_user"."email" FROM '
                '"app_user" WHERE ("app_user"."is_active" AND "app_user"."id" = #) '
                'ORDER BY "app_user"."username" ASC LIMIT 21',
    "with WITH": "WITH recent AS (SELECT id, total FROM orders WHERE user_id = # ORDER BY id "
                 "DESC LIMIT 10) SELECT count(*), sum(total), max(id) FROM recent",
    "two statements": "SELECT id, total, status FROM orders WHERE user_id = # AND status <> 'paid' "
                      "ORDER BY id; SELECT count(*), max(created_at) FROM orders WHERE user_id = # "
                      "AND created_at > '2024-01-01'",
    "a comment ahead": "/* app:shop,controller:orders,action:index */ SELECT o.id, o.total FROM "
                       "orders o WHERE o.user_id = # AND o.status = 'shipped' AND o.total > 100 "
                       "ORDER BY o.created_at DESC LIMIT 20",
    "with FOR UPDATE": "SELECT id, user_id, total, status, created_at FROM orders WHERE user_id = # "
                       "AND status = 'open' AND total < 1000 ORDER BY created_at FOR UPDATE SKIP LOCKED",
    "with E'…'": "SELECT us.id, us.name, us.email, o.total FROM users us JOIN orders o ON "
                    "o.user_id = us.id WHERE o.status = E'it\\'s' AND o.created_at > '2024-01-01' AND "
                    "us.id = # ORDER BY o.created_at DESC LIMIT 5",
    "with ü": "SELECT k.id, k.größe, k.straße, k.postleitzahl FROM kunden k JOIN aufträge a "
              "ON a.kunden_id = k.id WHERE a.zustand = $$versandt$$ AND a.änderung > '2024-01-01' "
              "AND k.id = # ORDER BY a.datum DESC LIMIT 5",
    "many turns": "WITH next AS (SELECT id FROM jobs WHERE state = 'ready' ORDER BY id LIMIT # "
                  "FOR UPDATE SKIP LOCKED) UPDATE jobs SET state = 'taken' FROM next WHERE "
                  "jobs.id = next.id RETURNING jobs.id",
    "a dangerous name": "SELECT nextval('orders_id_seq'), us.id, us.name, us.email, o.total "
                        "FROM users us JOIN orders o ON o.user_id = us.id WHERE o.status = "
                        "'shipped' AND us.id = # ORDER BY o.created_at DESC LIMIT 5",
    "nextval in INSERT": "INSERT INTO orders (id, user_id, total, status, created_at, updated_at, note) VALUES "
                         "(nextval('orders_id_seq'), #, 4711, 'open', '2024-01-01 12:00', '2024-01-01 "
                         "12:00', 'to be paid at once') RETURNING id",
    "walked: a view in a list": "SELECT us.id, us.name, us.email, o.total FROM orders o, v_seq v, users us WHERE "
                        "o.user_id = us.id AND o.status = 'shipped' AND o.created_at > '2024-01-01' "
                        "AND us.id = # ORDER BY o.created_at DESC LIMIT 5",
    "SELECT INTO": "SELECT us.id, us.name, us.email, o.total INTO TEMP recent FROM users us JOIN orders o "
                   "ON o.user_id = us.id WHERE o.status = 'shipped' AND o.created_at > '2024-01-01' AND "
                   "us.id = # ORDER BY o.created_at",
    "EXPLAIN": "EXPLAIN SELECT us.id, us.name, us.email, o.total FROM users us JOIN orders o "
               "ON o.user_id = us.id WHERE o.status = 'shipped' AND o.created_at > "
               "'2024-01-01' AND us.id = # ORDER BY o.created_at DESC",
    "EXPLAIN (…)": "EXPLAIN (ANALYZE, BUFFERS) SELECT us.id, us.name, us.email, o.total FROM users us "
                   "JOIN orders o ON o.user_id = us.id WHERE o.status = 'shipped' AND "
                   "o.created_at > '2024-01-01' AND us.id = # LIMIT 5",
    "VALUES": "VALUES (#, 'shipped', '2024-01-01 12:00', 4711, 'to be paid at once', NULL), (#, 'shipped', "
              "'2024-01-01 12:00', 4711, 'to be paid at once', NULL), (#, 'open', '2024-01-01', 1, 'x', NULL)",
    "SHOW": "SHOW transaction_isolation",
    "SET": "SET statement_timeout = '#ms'",
    "walked: COPY (…) TO": "COPY (SELECT us.id, us.name, us.email, o.total FROM users us JOIN orders o ON o.user_id = "
                   "us.id WHERE o.status = 'shipped' AND o.created_at > '2024-01-01' AND us.id = #) TO "
                   "STDOUT WITH (FORMAT csv, HEADER)",
    "COPY … FROM": "COPY pgbench_history (tid, bid, aid, delta, mtime) FROM STDIN WITH (FORMAT csv)",
    "BEGIN … COMMIT": "BEGIN; UPDATE accounts SET balance = balance - 4711, changed = 'now' WHERE id = #; "
                      "UPDATE accounts SET balance = balance + 4711, changed = 'now' WHERE id = #; "
                      "SELECT balance FROM accounts WHERE id = #; COMMIT",
    "DECLARE": "DECLARE c NO SCROLL CURSOR FOR SELECT us.id, us.name, us.email, o.total FROM users us JOIN "
               "orders o ON o.user_id = us.id WHERE o.status = 'shipped' AND o.created_at > '2024-01-01' "
               "AND us.id = # ORDER BY o.created_at",
    "walked: CREATE TABLE": "CREATE TABLE IF NOT EXISTS orders_# (id bigint NOT NULL PRIMARY KEY, user_id bigint NOT "
                    "NULL, total numeric(10, 2) NOT NULL DEFAULT 0, status text NOT NULL DEFAULT 'open', "
                    "created_at timestamptz)",
    "CREATE VIEW": "CREATE OR REPLACE VIEW shipped_orders_# AS SELECT us.id, us.name, us.email, o.total FROM users "
                   "us JOIN orders o ON o.user_id = us.id WHERE o.status = 'shipped' AND o.created_at > '2024-01-01'",
    "ALTER TABLE": "ALTER TABLE orders_# ADD COLUMN delivered_at timestamptz, ADD COLUMN delivered_to text, "
                   "ALTER COLUMN status SET DEFAULT 'open', DROP COLUMN IF EXISTS note, ADD CONSTRAINT "
                   "total_is_positive CHECK (total > 0)",
    "CALL": "CALL transfer(#, 4711, 12, 'shipped', '2024-01-01 12:00', 'to be paid at once')",
    "BEGIN": "BEGIN",
}


def build(folder):
    sources = [f"{TOP}/src/sql/{name}" for name in sorted(os.listdir(f"{TOP}/src/sql"))
               if name.endswith(".c")]
    sources += [f"{TOP}/src/base/status.c", f"{TOP}/test/routing/load.c",
                f"{TOP}/test/routing/jsonl.c", f"{TOP}/bench/classify.c"]
    program = f"{folder}/classify"
    subprocess.run(["cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", f"-I{TOP}/src", "-o", program,
                    *sources], check=True)
    return program


def count(program, folder, statement):
    """(bytes, where, instructions) of one judgement."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out",
         "--collect-atstart=no", "--toggle-collect=sql_classify",
         program, CATALOG, str(TIMES), statement],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    total = int(re.search(r"Collected : (\d+)", done.stderr).group(1))
    length, where = done.stdout.split()
    return int(length), where, total // TIMES


def table(rows):
    lines = ["| statement | bytes | for the | instructions | a byte |", "|---|--:|---|--:|--:|"]
    for name, (length, where, instructions) in rows.items():
        lines.append(f"| {name} | {length} | {where} | {instructions:,} "
                     f"| {instructions / length:.1f} |")
    return "\n".join(lines) + "\n"


def write(text):
    path = f"{TOP}/docs/benchmarks.md"
    with open(path, encoding="utf-8") as f:
        old = f.read()
    new = re.sub(r"(<!-- classify: begin -->\n).*(<!-- classify: end -->)",
                 lambda m: m.group(1) + text + m.group(2), old, flags=re.DOTALL)
    if new.count("<!-- classify: begin -->") != 1:
        raise SystemExit(f"{path} has no place for the table")
    with open(path, "w", encoding="utf-8") as f:
        f.write(new)


def is_over(name, length, where, instructions):
    most = BOUND[1] * max(length, BOUND[0]) / BOUND[0]
    return not name.startswith(UNBOUND) and (
        instructions > most or (name not in OVER and instructions + CHOICE[where] > most))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = build(folder)
        rows = {name: count(program, folder, text) for name, text in STATEMENTS.items()}
    text = table(rows)
    print(text, end="")
    if args.write:
        write(text)
    over = [name for name, row in rows.items() if is_over(name, *row)]
    for name in over:
        print(f"over {BOUND[1]:,} instructions for {BOUND[0]} bytes: {name}")
    print(f"{len(rows) - len(over)} passed, {len(over)} failed")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
