"""Random transactions of several clients, each run twice: through pgweir, where they begin on
replicas and move, and on a private connection to the primary, which is the model. Every answer is
compared. Each client has a table of its own; the two sides have a schema each."""
import contextlib
import random
import time

import pgwire
from rawclient import RawClient
from where import wait_routing

HISTORY = 40  # statements of the client, for a report
N_ROWS = 12
LARGE = "SELECT repeat('x', 2000), 1 / (700 - g) FROM generate_series(1, 800) g"
CLIENTS = 3
SCHEMAS = ("left_side", "right_side")
SETUP = "".join(f"CREATE SCHEMA {s}; GRANT USAGE ON SCHEMA {s} TO app;" + "".join(
    f"CREATE TABLE {s}.t{i} (id int PRIMARY KEY, n int);"
    f"INSERT INTO {s}.t{i} SELECT g, g FROM generate_series(1, {N_ROWS}) g;"
    for i in range(CLIENTS)) + f"GRANT ALL ON ALL TABLES IN SCHEMA {s} TO app;" for s in SCHEMAS)
DROP = "".join(f"DROP SCHEMA {s} CASCADE;" for s in SCHEMAS)
NAMES = ("s1", "s2", '"S1"')


def digest(result):
    """What must be equal."""
    copied = b"".join(m.body for m in result.messages if m.kind == "d")
    return (tuple(result.rows), tuple(result.tags), tuple(e.sqlstate for e in result.errors),
            copied, result.status)


def short(answers):
    return [(a[0] if len(str(a[0])) < 300 else f"{len(a[0])} rows", *a[1:]) for a in answers]


class Actor:
    """A client and its model."""

    def __init__(self, model, number):
        self.model = model
        self.number = number
        self.table = f"t{number}"
        self.log = []
        self.status = "I"
        self.ran = False      # something of the block has run on a server
        self.now = None       # what each side has said of the block's begin
        self.sides = []
        for port, schema in zip(model.ports, SCHEMAS):
            client = RawClient(port, timeout=60)
            client.login("app", model.password, "app", options=f"-c search_path={schema}")
            client.run(pgwire.parse("one", f"SELECT n FROM {self.table} WHERE id = $1::int")
                       + pgwire.parse("add", f"UPDATE {self.table} SET n = n + 1 WHERE id = $1::int")
                       + pgwire.parse("all", f"TABLE {self.table} ORDER BY id")
                       + pgwire.SYNC).check()
            self.sides.append(client)

    def run(self, text, data, n_units=1):
        self.log.append(text)
        answers = []
        for client in self.sides:
            client.send(data)
            answers.append([digest(client.result()) for _ in range(n_units)])
        if answers[0] != answers[1]:
            self.model.fail(self, short(answers[0]), short(answers[1]))
        self.follow(answers[1][-1])
        return answers

    def follow(self, last):
        self.status = last[-1]
        if self.status == "I":
            self.ran = False
            self.now = None

    def ask_now(self):
        """The same throughout a block, on each side."""
        self.log.append("SELECT now()")
        results = [client.query("SELECT extract(epoch FROM now())") for client in self.sides]
        if [r.sqlstate for r in results] != [None, None]:
            if digest(results[0]) != digest(results[1]):
                self.model.fail(self, digest(results[0]), digest(results[1]))
            return
        values = [r.value() for r in results]
        if self.status == "T":
            if self.now is not None and self.now != values:
                self.model.fail(self, values, self.now)
            self.now = values
            self.ran = True


class Model:
    def __init__(self, ports, password, seed, lose):
        self.ports = ports
        self.password = password
        self.seed = seed
        self.lose = lose  # has the replicas' connections of pgweir lost
        self.rng = random.Random(seed)
        self.step = 0
        self.n_lost = 0
        self.actors = [Actor(self, i) for i in range(CLIENTS)]

    def close(self):
        for actor in self.actors:
            for client in actor.sides:
                client.close()

    def fail(self, actor, got, want):
        own = "\n".join("  " + text for text in actor.log[-HISTORY:])
        raise AssertionError(f"seed {self.seed}, step {self.step}, client {actor.number}\n"
                             f"pgweir:     {got}\nPostgreSQL: {want}\nits statements:\n{own}")

    # --- statements -------------------------------------------------------------------------

    def read(self, t):
        k = self.rng.randint(1, N_ROWS + 2)
        return self.rng.choice([
            f"SELECT id, n FROM {t} ORDER BY id", f"SELECT sum(n), count(*) FROM {t}",
            f"SELECT n FROM {t} WHERE id = {k}", f"COPY (TABLE {t} ORDER BY id) TO STDOUT", "SHOW work_mem",
            f"SELECT n FROM {t} WHERE id = {k}; SELECT {k}", "SELECT current_setting('lock_timeout')",
            "SELECT current_setting('app.tenant', true)", "SELECT current_user",
            f"SELECT count(*) FROM {t} a, {t} b WHERE a.n < b.n", "SHOW transaction_isolation",
            f"WITH a AS (SELECT max(n) AS m FROM {t}) SELECT m + {k} FROM a", ""])

    def wrong(self, t):
        return self.rng.choice([
            "SELECT 1/0", f"SELECT id, 1 / (id - 5) FROM {t} ORDER BY id", "SELECT nothing", LARGE,
            "SELECT 'x'::int", "SELECT * FROM nowhere", "SELEC 1", f"SELECT 1; SELECT 1/0; TABLE {t}"])

    def write(self, t):
        k = self.rng.randint(1, N_ROWS + 4)
        return self.rng.choice([
            f"UPDATE {t} SET n = n + {k} WHERE id = {k}", f"UPDATE {t} SET n = {k}",
            f"INSERT INTO {t} VALUES ({k}, 0)", f"DELETE FROM {t} WHERE id = {k}",
            f"SELECT n FROM {t} WHERE id = {k} FOR UPDATE", "SET work_mem = '9MB'",
            f"INSERT INTO {t} VALUES ({k}, 0) ON CONFLICT (id) DO UPDATE SET n = {t}.n + 1 RETURNING n",
            f"SELECT 1; UPDATE {t} SET n = n + 1 WHERE id = 1", "RESET work_mem",
            "SELECT age(now()) < interval '1 day'", "SELECT txid_current() IS NULL",
            "SET LOCAL datestyle = 'German'", "SELECT set_config('work_mem', '10MB', true)"])

    def begin(self):
        return self.rng.choice(["BEGIN"] * 8 + [
            "START TRANSACTION", "BEGIN ISOLATION LEVEL READ COMMITTED",
            "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN READ WRITE"])

    def control(self, actor):
        name = self.rng.choice(NAMES)
        forms = [f"SAVEPOINT {name}"] * 3 + [f"ROLLBACK TO {name}"] * 3 + [
            f"RELEASE {name}", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "BEGIN",
            f"SET LOCAL work_mem = '{self.rng.randint(1, 9)}MB'",
            f"SET LOCAL app.tenant = '{self.rng.randint(1, 9)}'", "SET LOCAL ROLE app",
            f"SET LOCAL lock_timeout = '{self.rng.randint(10, 99)}s'"]
        if actor.ran:  # else it is answered before it is found to be wrong
            forms += ["SET LOCAL work_mem = 'no'", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                      "SET TRANSACTION READ ONLY"]
        return self.rng.choice(forms)

    def end(self):
        return self.rng.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "END", "ABORT"])

    def statement(self, actor):
        r = self.rng.random()
        if actor.status == "E":
            if r < 0.5:
                return self.control(actor)
            return self.end() if r < 0.8 else self.read(actor.table)
        if actor.status == "I" and r < 0.6:
            return self.begin()
        if r < 0.45:
            return self.read(actor.table)
        if r < 0.75 and actor.status == "T":
            return self.control(actor)
        if r < 0.85:
            return self.end()
        return self.write(actor.table) if r < 0.94 else self.wrong(actor.table)

    # --- units ------------------------------------------------------------------------------

    def named(self, actor):
        name = self.rng.choice(["one", "one", "all", "add"])
        params = [] if name == "all" else [str(self.rng.randint(1, N_ROWS)).encode()]
        return (f"execute {name} {params}",
                pgwire.bind("", name, params) + pgwire.execute() + pgwire.SYNC, 1)

    def portal(self, actor):
        text = f"SELECT id FROM {actor.table} ORDER BY id"
        return (f"3 rows of {text}", pgwire.parse("", text) + pgwire.bind()
                + pgwire.execute("", 3) + pgwire.execute("", 2) + pgwire.SYNC, 1)

    def series(self, actor):
        """Several statements before one Sync."""
        texts, data = [], b""
        if actor.status == "I" and self.rng.random() < 0.5:
            texts.append("BEGIN")
            data += pgwire.parse("", "BEGIN") + pgwire.bind() + pgwire.execute()
        for _ in range(self.rng.randint(2, 4)):
            text = self.read(actor.table) if self.rng.random() < 0.75 else self.write(actor.table)
            if ";" in text or text.startswith(("COPY", "SET", "RESET")):
                text = f"SELECT count(*) FROM {actor.table}"
            texts.append(text)
            data += pgwire.parse("", text) + pgwire.bind() + pgwire.execute()
            if self.rng.random() < 0.1:
                data += pgwire.FLUSH
        return "series: " + " | ".join(texts), data + pgwire.SYNC, 1

    def at_once(self, actor):
        """Several units without waiting, up to the end of a block."""
        t = actor.table
        texts = [self.begin()] if actor.status == "I" else []
        for _ in range(self.rng.randint(1, 4)):
            r = self.rng.random()
            texts.append(self.read(t) if r < 0.6 else self.write(t) if r < 0.8 else
                         self.wrong(t) if r < 0.9 else f"SAVEPOINT {self.rng.choice(NAMES)}")
        texts.append(self.end())
        return "at once: " + " | ".join(texts), b"".join(map(pgwire.query, texts)), len(texts)

    def together(self, actor):
        """Control of the block and other statements in one message."""
        t = actor.table
        name = self.rng.choice(NAMES)
        text = self.rng.choice([
            f"BEGIN; {self.read(t)}", f"SAVEPOINT {name}; {self.read(t)}",
            f"ROLLBACK TO {name}; {self.write(t)}", f"COMMIT; {self.read(t)}",
            f"ROLLBACK; BEGIN; {self.read(t)}", f"{self.read(t)}; COMMIT"])
        return text, pgwire.query(text), 1

    def unit(self, actor):
        r = self.rng.random()
        if r < 0.55:
            text = self.statement(actor)
            return text, pgwire.query(text), 1
        if r < 0.75:
            text = self.statement(actor)
            if ";" in text:
                text = "SELECT 1"
            return "extended: " + text, pgwire.prepared(text), 1
        if actor.status == "E":
            text = self.end()
            return text, pgwire.query(text), 1
        if r < 0.83:
            return self.named(actor)
        if r < 0.85:
            return self.portal(actor)
        if r < 0.90:
            return self.series(actor)
        return self.at_once(actor) if r < 0.96 else self.together(actor)

    def take_step(self):
        self.step += 1
        actor = self.rng.choice(self.actors)
        if self.rng.random() < 0.04:
            actor.ask_now()
            return
        if self.rng.random() < 0.005 and not any(a.status == "E" for a in self.actors):
            self.lose()
            self.n_lost += 1
        if actor.status == "I" and self.rng.random() < 0.5:
            time.sleep(0.03)  # replicas have what it has written: its block may begin there
        text, data, n_units = self.unit(actor)
        answers = actor.run(text, data, n_units)
        if any({"BEGIN", "COMMIT", "ROLLBACK"} & set(a[1]) for a in answers[1]):
            actor.now = None  # another block, even if all of it was in one message
        if actor.status == "T" and any(a[0] or a[3] for a in answers[1]):
            actor.ran = True


@contextlib.contextmanager
def beside_a_private_connection(kind, site, where, seed, more=""):
    """(model, pgweir): a model of this kind, on a pgweir with `more` in its entry, and on the primary."""
    cluster = site.cluster
    cluster.primary.sql(SETUP, "app")
    cluster.wait_caught_up()

    def lose():
        for standby in cluster.standbys:
            standby.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE usename = 'app'")
    with site.pgweir_routed(f"{more} max_lag=10s pool_size=5", settings={"workers": 1}) as p:
        wait_routing(p, where)
        model = kind([p.port, cluster.primary.port], site.passwords["app"], seed, lose)
        yield model, p
        model.close()
    cluster.primary.sql(DROP, "app")
