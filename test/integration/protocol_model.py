"""Random series of protocol messages of several clients, each sent twice: through pgweir, whose few
servers they share, and on a private connection, which is the model. Every answer is compared, and
what ParameterStatus has said. Each client has a table of its own; the two sides have a schema each.

Left out is what docs/compatibility.md tells of: what follows a RESET, DISCARD or DEALLOCATE ALL in
the same message or series; an EXECUTE behind the end of a block in the same message. Where both sides refuse, it may be
for another of two reasons (REFUSED_FIRST)."""
import itertools
import os
import random
import re
import time

import pgwire
from rawclient import RawClient, ServerError

HISTORY = int(os.environ.get("PGWEIR_PROTOCOL_HISTORY", "12"))  # series of a client, for a report
CLIENTS = 5
SCHEMAS = ("left_side", "right_side")
SETUP = "CREATE ROLE clerk; GRANT clerk TO app;" + "".join(
    f"CREATE SCHEMA {s}; GRANT USAGE ON SCHEMA {s} TO PUBLIC;" + "".join(
        f"CREATE TABLE {s}.t{i} (n int, who text, mem text);" for i in range(CLIENTS))
    + f"GRANT ALL ON ALL TABLES IN SCHEMA {s} TO PUBLIC;" for s in SCHEMAS)
DROP = "".join(f"DROP SCHEMA {s} CASCADE;" for s in SCHEMAS) + "DROP ROLE clerk"
REPORTED = ("TimeZone", "DateStyle", "application_name", "IntervalStyle")
ALL = "SELECT current_user, current_setting('app.x', true), " + ", ".join(
    f"current_setting('{name}')" for name in (
        "work_mem", "search_path", "lock_timeout", "default_transaction_isolation", *REPORTED))
OPTIONS = ("-c work_mem=3MB", "-c datestyle=German", "-c search_path=pg_catalog,public -c work_mem=6MB",
           "-c TimeZone=Asia/Tokyo -c IntervalStyle=iso_8601")
# A name that is taken, a block that has failed: pgweir may look there before PostgreSQL's parser does.
REFUSED_FIRST = {"42P05", "25P02"}
NO_SERVER = ("E", "53300")
ENDS_AND_EXECUTES = re.compile("(COMMIT|ROLLBACK|PREPARE TRANSACTION).*; EXECUTE")


def digest(m):
    """What must be equal; None: nothing."""
    if m.kind in "NS":
        return None
    if m.kind == "E":
        return "E", m.fields().get("C")
    if m.kind == "D":
        return "D", m.row()
    if m.kind == "T":
        return "T", tuple(column[0] for column in m.columns())
    return (m.kind, m.body) if m.kind in "CZ" else (m.kind,)


def units(answers):
    unit = []
    for answer in answers:
        unit.append(answer)
        if answer[0] == "Z":
            yield unit
            unit = []


def are_equal(a, b):
    return len(a) == len(b) and all(
        x == y or (x[0] == y[0] == "E" and REFUSED_FIRST & {x[1], y[1]}) for x, y in zip(a, b))


def parses_in_failed_block(got, want):
    """What a server has already, pgweir says of itself that it is parsed, where PostgreSQL refuses
    it as long as the block is open, if that has failed just before, in the same write."""
    return ("E", "25P02") in want and want[-1] == ("Z", b"E") and ("1",) in got and are_equal(
        *([x for x in unit if x not in (("1",), ("E", "25P02"))] for unit in (got, want)))


def data_of(op, schema):
    kind, *of = op
    of = [text.replace("@", schema) for text in of]
    if kind == "Query":
        return pgwire.query(*of)
    if kind == "run":
        name, portal, sql = of
        return (pgwire.close("P", portal) if portal else b"") + pgwire.parse(name, sql) \
            + pgwire.bind(portal, name) + pgwire.describe("P", portal) + pgwire.execute(portal)
    if kind == "Parse":
        return pgwire.parse(*of)
    if kind == "bind":
        return pgwire.bind("", *of) + pgwire.execute()
    if kind == "Close":
        return pgwire.close("S", *of)
    if kind == "Execute":
        return pgwire.execute(*of)
    return {"Flush": pgwire.FLUSH, "Sync": pgwire.SYNC}[kind]


class Side:
    def __init__(self, port, schema, password, params):
        self.schema = schema
        self.client = RawClient(port, timeout=60)
        self.client.login("app", password, "app", **params)
        self.reported = {name: self.client.parameters.get(name) for name in REPORTED}

    def run(self, ops):
        self.client.send(b"".join(data_of(op, self.schema) for op in ops))
        answers = []
        for op in ops:
            for m in self.client.result().messages if op[0] in ("Query", "Sync") else ():
                if m.kind == "S" and m.pair()[0] in self.reported:
                    self.reported.update([m.pair()])
                answers.append(digest(m))
        return [a for a in answers if a is not None]


class Model:
    def __init__(self, ports, password, seed, n_servers):
        self.ports = ports
        self.password = password
        self.seed = seed
        self.n_servers = n_servers
        self.rng = random.Random(seed)
        self.step = 0
        self.n_rows = 0
        self.n_blocked = 0
        self.sides = [()] * CLIENTS
        self.status = ["I"] * CLIENTS
        self.log = [[] for _ in range(CLIENTS)]
        for i in range(CLIENTS):
            self.open(i)

    def open(self, i, rudely=False):
        for side in self.sides[i]:
            if not rudely:
                side.client.send(pgwire.TERMINATE)
            side.client.close()
        params = {}
        if self.rng.random() < 0.5:
            params["application_name"] = self.rng.choice(["one", "two"])
        if self.rng.random() < 0.5:
            params["options"] = self.rng.choice(OPTIONS)
        self.log[i].append(f"opens {params}")
        self.sides[i] = [Side(port, schema, self.password, params)
                         for port, schema in zip(self.ports, SCHEMAS)]
        self.status[i] = "I"

    def close(self):
        for sides in self.sides:
            for side in sides:
                side.client.close()

    # --- what is sent -------------------------------------------------------------------------

    def sql(self, i):
        r = self.rng
        self.n_rows += 1
        insert = (f"INSERT INTO @.t{i} VALUES"
                  f" ({self.n_rows}, current_user, current_setting('work_mem'))")
        prepared = r.choice(["SELECT 11", "SELECT current_setting('work_mem')", insert])
        weighed = {
            insert: 12, ALL: 6, f"SELECT count(*), max(n) FROM @.t{i}": 3, "SELECT 1/0": 2, "SELEC": 1,
            "SELECT nothing": 1, "": 1,
            "BEGIN": 4, "COMMIT": 4, "ROLLBACK": 3, "COMMIT AND CHAIN": 1, "BEGIN READ ONLY": 1,
            "ROLLBACK AND CHAIN": 1, "SAVEPOINT a": 2, "ROLLBACK TO a": 2, "RELEASE a": 1,
            "PREPARE TRANSACTION 'x'": 1,
            f"SET work_mem = '{r.choice('57')}MB'": 3, "SET LOCAL work_mem = '9MB'": 2,
            "RESET work_mem": 2, f"SET datestyle = '{r.choice(['German', 'SQL, DMY'])}'": 2,
            "SET LOCAL datestyle = 'German'": 2, "RESET datestyle": 2,
            f"SET timezone = '{r.choice(['UTC', 'Asia/Tokyo'])}'": 2, "RESET timezone": 1,
            "SET intervalstyle = 'iso_8601'": 1, "RESET intervalstyle": 1, "RESET ALL": 1,
            "SET ROLE clerk": 1, "RESET ROLE": 1, "SET search_path = public": 1, "RESET search_path": 1,
            "SET default_transaction_isolation = 'repeatable read'": 1,
            "RESET default_transaction_isolation": 1,
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE": 1,
            "SET application_name = 'z'": 1, "RESET application_name": 1, "SET app.x = '7'": 1,
            "SELECT set_config('work_mem', '8MB', false)": 1,
            f"SELECT set_config('app.x', '{r.randint(1, 3)}', {r.choice(['true', 'false'])})": 1,
            f"PREPARE {r.choice('qrs')} AS {prepared}": 2, f"EXECUTE {r.choice('qrs')}": 3,
            f"DEALLOCATE {r.choice('qrs')}": 1, "DEALLOCATE ALL": 1, "DISCARD ALL": 1}
        return r.choices(list(weighed), weighed.values())[0]

    @staticmethod
    def takes_back(sql):
        return sql.startswith(("RESET", "DISCARD", "DEALLOCATE ALL"))

    def one_that_keeps(self, i):
        sql = self.sql(i)
        while self.takes_back(sql):
            sql = self.sql(i)
        return sql

    def text(self, i):
        n = self.rng.choice([1, 1, 1, 1, 2, 3, 4])
        while True:
            text = "; ".join([self.one_that_keeps(i) for _ in range(n - 1)] + [self.sql(i)])
            if not ENDS_AND_EXECUTES.search(text):
                return text

    def ops(self, i):
        """Ends with a Query or a Sync."""
        r, ops = self.rng, []
        for _ in range(r.choice([1, 1, 2, 3, 4, 6, 9])):
            kind = r.random()
            begins = not ops or ops[-1][0] in ("Query", "Sync")
            if begins and kind < 0.35:
                ops.append(("Query", self.text(i)))
                continue
            sql = ""
            if kind < 0.6:
                sql = self.sql(i)
                name = "" if self.takes_back(sql) else r.choice(["", "", "", "a", "b", "c"])
                ops.append(("run", name, r.choice(["", "", "", "x"]), sql))
            elif kind < 0.7:
                ops.append(("Parse", r.choice("abc"), self.one_that_keeps(i)))
            elif kind < 0.8:
                ops.append(("bind", r.choice("abc")))
            elif kind < 0.9:
                ops.append(("Close", r.choice("abc")))
            else:
                ops.append(("Flush",) if kind < 0.95 else ("Execute", "x"))
            if r.random() < 0.5 or self.takes_back(sql):
                ops.append(("Sync",))
        return ops if ops[-1][0] in ("Query", "Sync") else [*ops, ("Sync",)]

    # --- steps --------------------------------------------------------------------------------

    def run(self, i, ops):
        self.log[i].append(ops)
        got, want = (side.run(ops) for side in self.sides[i])
        if NO_SERVER in got:
            self.begin_anew()
            return
        pairs = [pair for pair in itertools.zip_longest(units(got), units(want), fillvalue=())
                 if not are_equal(*pair)]
        reported = [side.reported for side in self.sides[i]]
        if not all(parses_in_failed_block(*pair) for pair in pairs):
            self.fail(i, got, want, reported)
        self.status[i] = want[-1][1].decode()
        if pairs:
            self.open(i)  # else its statements are not the same any more
        elif self.status[i] == "I" and reported[0] != reported[1]:
            self.fail(i, got, want, reported)

    def begin_anew(self):
        """All servers were held by clients that are pinned, as may be."""
        self.n_blocked += 1
        for i in range(CLIENTS):
            for side in self.sides[i]:
                side.client.close()
            self.sides[i] = ()
        for i in range(CLIENTS):
            self.open_when_there_is_a_server(i)
            self.run(i, [("Query", f"TRUNCATE @.t{i}")])

    def open_when_there_is_a_server(self, i):
        for _ in range(20):
            try:
                return self.open(i)
            except ServerError as e:
                assert e.sqlstate == NO_SERVER[1]
                time.sleep(0.2)
        raise AssertionError("servers stay held")

    def fail(self, i, got, want, reported):
        lines = [f"seed {self.seed}, step {self.step}, client {i}: pgweir | PostgreSQL"]
        for n in range(max(len(got), len(want))):
            pair = [answers[n] if n < len(answers) else None for answers in (got, want)]
            lines.append(f"{' ' if pair[0] == pair[1] else '!'} {pair[0]} | {pair[1]}")
        lines.append(f"reported: {reported[0]} | {reported[1]}")
        raise AssertionError("\n".join([*lines, "it has sent:", *map(str, self.log[i][-HISTORY:])]))

    def take_step(self):
        self.step += 1
        i = self.rng.randrange(CLIENTS)
        holding = [j for j in range(CLIENTS) if j != i and self.status[j] != "I"]
        self.rng.shuffle(holding)
        for j in holding[self.n_servers - 1:]:
            self.run(j, [("Query", "ROLLBACK")])
        if self.rng.random() < 0.02:
            try:
                self.open(i, self.rng.random() < 0.5)
            except ServerError as e:
                assert e.sqlstate == NO_SERVER[1]
                self.begin_anew()
        self.run(i, self.ops(i))
        if self.status[i] != "I" and self.rng.random() < 0.3:
            self.run(i, [("Query", self.rng.choice(["COMMIT", "ROLLBACK"]))])

    def reopen(self):
        for i in range(CLIENTS):
            self.open(i)
