"""Random sequences of statements that set things, by several clients, each run twice: through
pgweir, and on a private connection to PostgreSQL, which is the model. Every answer is compared."""
import random

import pgwire
from rawclient import RawClient, Result

ORDINARY = {
    "work_mem": ["'5MB'", "6144", "'7MB'"],
    "lock_timeout": ["'70s'", "80000"],
    "search_path": ["red", "blue", "blue, red", "'red'", "\"$user\", blue", "''"],
    "timezone": ["'Asia/Tokyo'", "'UTC'", "3"],
    "datestyle": ["German", "'SQL, DMY'"],
    "application_name": ["one", "'it''s two'", "''"],
    "enable_seqscan": ["off", "on", "false"],
    "statement_timeout": ["'90s'", "'100s'"],
    "default_transaction_isolation": ["'repeatable read'", "'read committed'"],
    "extra_float_digits": ["-2", "3"],
}
CUSTOM = ["app.a", "app.b", "App.User_Id", "other.tenant"]
HISTORY = 25  # of all clients, for a report
ROLES = ["role_a", "role_b", "none", "app"]
VALUES = ["1", "two", "", "it's 3", "7 \\ 8"]
REPORTED = ["TimeZone", "DateStyle", "application_name", "is_superuser", "session_authorization",
            "client_encoding", "standard_conforming_strings"]
EVERYTHING = ("SELECT current_user, session_user, current_setting('role'), " + ", ".join(
    f"current_setting('{n}', true)" for n in [*ORDINARY, *CUSTOM, "idle_session_timeout"]
    if n != "idle_session_timeout"))
STATEMENTS = {"p0": "SELECT color FROM paint", "p1": "SELECT current_setting('app.a', true)",
              "p2": "SELECT color, current_user FROM paint",
              "p3": "SELECT set_config('app.b', $1, true)",
              "p4": "SELECT set_config($1, $2, $3)", "p5": "SET work_mem = '9MB'"}
SETUP = """
CREATE ROLE role_a; CREATE ROLE role_b; GRANT role_a, role_b TO app;
CREATE ROLE chief LOGIN SUPERUSER PASSWORD 'chief-secret';
CREATE SCHEMA red; CREATE SCHEMA blue; CREATE SCHEMA role_a;
CREATE TABLE red.paint AS SELECT 'red'::text AS color;
CREATE TABLE blue.paint AS SELECT 'blue'::text AS color;
CREATE TABLE role_a.paint AS SELECT 'of role_a'::text AS color;
GRANT USAGE ON SCHEMA red, blue, role_a TO PUBLIC;
GRANT SELECT ON red.paint, blue.paint, role_a.paint TO PUBLIC;
CREATE FUNCTION public.sets_path(v text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN set_config('search_path', v, false); END $$;
CREATE FUNCTION public.sets_app_a(v text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN SET LOCAL app.b = 'local'; RETURN set_config('app.a', v, false); END $$;
CREATE VIEW public.paths AS SELECT public.sets_path('blue, red') AS path;
CREATE FUNCTION public.notes() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('app.User_Id', 'noted', true); RETURN NULL; END $$;
CREATE UNLOGGED TABLE public.noted (a int);
CREATE TRIGGER notes BEFORE INSERT ON public.noted FOR EACH ROW EXECUTE FUNCTION public.notes();
GRANT ALL ON public.noted, public.paths TO PUBLIC;
CREATE FUNCTION public.sets_it(n text, v text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN set_config(n, v, false); END $$;
CREATE FUNCTION public.sets_and_fails(n text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config(n, 'x', false); RAISE 'no'; END $$;
CREATE FUNCTION public.sets_nothing() RETURNS text LANGUAGE plpgsql VOLATILE
    SET work_mem = '11MB' AS $$ BEGIN RETURN current_setting('work_mem'); END $$;
CREATE PROCEDURE public.sets_in_two(v text) LANGUAGE plpgsql AS
    $$ BEGIN SET lock_timeout = '61s'; COMMIT; PERFORM set_config('work_mem', v, false); END $$;
"""


class Side:
    """One connection, through pgweir or not, and what it was told by ParameterStatus."""

    def __init__(self, port, user, password, params):
        self.client = RawClient(port, timeout=60)
        self.client.login(user, password, "app", **params)
        self.parameters = {}
        self._hear([])
        for name in REPORTED:
            self.parameters[name] = self.client.parameters.get(name)

    def _hear(self, messages):
        for m in messages:
            if m.kind == "S":
                name, value = m.pair()
                self.parameters[name] = value

    def run(self, data, n_units):
        """Send everything, then read that many ReadyForQuery."""
        self.client.send(data)
        out = []
        for _ in range(n_units):
            result = self.client.result()
            self._hear(result.messages)
            out.append(digest(result))
        return out, {n: self.parameters.get(n) for n in REPORTED}

    def close(self):
        self.client.send(pgwire.TERMINATE)
        self.client.close()


def digest(result: Result):
    """What must be equal."""
    return (tuple(result.rows), tuple(result.tags), tuple(e.sqlstate for e in result.errors),
            result.status)


class Actor:
    """A client and its model."""

    def __init__(self, model, number, user, password):
        self.model = model
        self.number = number
        self.user = user
        self.password = password
        self.log = []
        self.sides = None
        self.status = "I"
        self.pinned = False
        self.savepoints = 0
        self.open()

    def open(self):
        params = self.model.startup_params(self.user)
        self.has_login_settings = "options" in params or "application_name" in params
        self.log = [f"-- login {params}"]
        self.sides = [Side(port, self.user, self.password, params) for port in self.model.ports]
        self.status = "I"
        self.pinned = False

    def reopen(self):
        for side in self.sides:
            side.close()
        self.open()

    def holds(self):
        return self.status != "I" or self.pinned

    def run(self, text, data, n_units=1):
        self.log.append(text)
        got, want = [side.run(data, n_units) for side in self.sides]
        if got != want:
            raise AssertionError(self.model.report(self, got, want))
        self.status = want[0][-1][3]


class Model:
    """Two pools of two servers: of an ordinary user, and of a superuser who becomes others."""

    def __init__(self, ports, users, seed, n_clients=4):
        self.ports = ports
        self.rng = random.Random(seed)
        self.seed = seed
        self.step = 0
        self.history = []
        self.actors = {user: [Actor(self, i, user, password) for i in range(n_clients)]
                       for user, password in users.items()}

    def close(self):
        for actors in self.actors.values():
            for actor in actors:
                for side in actor.sides:
                    side.client.close()

    def report(self, actor, got, want):
        short = {EVERYTHING: "EVERYTHING"}

        def cut(text):
            return short.get(text, text).replace(EVERYTHING, "EVERYTHING")
        others = "\n".join(f"  {who}: {cut(text)}" for who, text in self.history[-HISTORY:])
        own = "\n".join("  " + cut(text) for text in actor.log[-40:])
        return (f"seed {self.seed}, step {self.step}, {actor.user} {actor.number}\n"
                f"pgweir:     {got}\nPostgreSQL: {want}\nits statements:\n{own}\n"
                f"everybody's last:\n{others}")

    # --- statements -------------------------------------------------------------------------

    def startup_params(self, user):
        # Where a superuser's login has a role, RESET SESSION AUTHORIZATION brings that back.
        role = ["-c role=role_a"] if user != "chief" else []
        params = {}
        if self.rng.random() < 0.2:
            params["options"] = self.rng.choice(
                ["-c app.a=login", "-c work_mem=8MB", "--search_path=red", *role])
        if self.rng.random() < 0.2:
            params["application_name"] = "starter"
        return params

    def parameter(self):
        """A name and a value for SET."""
        if self.rng.random() < 0.45:
            value = self.rng.choice(VALUES).replace("'", "''").replace("\\", "/")
            return self.rng.choice(CUSTOM), f"'{value}'"
        name = self.rng.choice(list(ORDINARY))
        return name, self.rng.choice(ORDINARY[name])

    def plain_value(self):
        """The same for set_config, its value as a string."""
        name, value = self.parameter()
        value = value.strip("'").replace("''", "'")
        if name == "datestyle":
            value = "German"
        return name, value.replace("\"$user\", blue", "blue")

    def set_statement(self):
        name, value = self.parameter()
        form = self.rng.choice(["SET {n} = {v}", "SET {n} TO {v}", "SET SESSION {n} = {v}",
                                "SET LOCAL {n} = {v}", "SET LOCAL {n} TO {v}", "RESET {n}",
                                "SET {n} TO DEFAULT", "SET LOCAL {n} TO DEFAULT"])
        return form.format(n=name, v=value)

    def set_config(self):
        name, value = self.plain_value()
        value = value.replace("'", "''")
        local = self.rng.choice(["true", "false"])
        call = f"set_config('{name}', '{value}', {local})"
        form = self.rng.choice([
            "SELECT {c}", "SELECT {c}", "SELECT {c}, {d}", "SELECT {c} FROM generate_series(1, 2)",
            "SELECT {c} WHERE false", "SELECT CASE WHEN {x} THEN {c} END", "SELECT {c}, 1/{x}::int",
            "SELECT set_config('{n}', 'a' || {x}, {l})", "SELECT set_config('role', '{r}', {l})",
            "SELECT {c} FROM (VALUES ({x})) v(b) WHERE b",
            "WITH a AS (SELECT {c} AS b) SELECT b FROM a", "SELECT set_config('{n}', NULL, {l})"])
        other, more = self.plain_value()
        more = more.replace("'", "''")
        if "'a' ||" in form and name not in CUSTOM:
            form = "SELECT {c}"
        return form.format(c=call, d=f"set_config('{other}', '{more}', {local})", l=local, n=name,
                           x=self.rng.choice(["true", "false"]), r=self.rng.choice(ROLES[:3]))

    def role_statement(self, user):
        role = self.rng.choice(ROLES)
        forms = ["SET ROLE {r}", "SET LOCAL ROLE {r}", "RESET ROLE", "SET ROLE NONE",
                 "SET SESSION ROLE {r}", "SET role TO '{r}'"]
        if user == "chief":
            forms += ["SET SESSION AUTHORIZATION {r}", "SET SESSION AUTHORIZATION DEFAULT",
                      "RESET SESSION AUTHORIZATION", "SET LOCAL SESSION AUTHORIZATION {r}"]
        return self.rng.choice(forms).format(r=role)

    def transaction(self, actor, may_begin):
        if actor.status == "I":
            return self.rng.choice(["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ",
                                    "START TRANSACTION READ ONLY"]) if may_begin else "SELECT 1"
        name = self.rng.choice(["s1", "S2"])
        return self.rng.choice(["COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK", f"SAVEPOINT {name}",
                                f"SAVEPOINT {name}", f"ROLLBACK TO {name}",
                                f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE {name}", "SELECT 1/0",
                                "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"])

    def statement(self, actor, may_begin):
        r = self.rng.random()
        if r < 0.26:
            return self.set_statement()
        if r < 0.42:
            return self.set_config()
        if r < 0.51:
            return self.role_statement(actor.user)
        if r < 0.70:
            return self.transaction(actor, may_begin)
        if r < 0.73:
            return "RESET ALL"
        if r < 0.75:  # which ends a pin, whatever the server then keeps (docs/compatibility.md)
            return "DISCARD ALL" if not actor.pinned else "SELECT 1"
        if r < 0.77:
            return "SET SESSION CHARACTERISTICS AS TRANSACTION " + self.rng.choice(
                ["ISOLATION LEVEL SERIALIZABLE", "READ WRITE", "ISOLATION LEVEL READ COMMITTED"])
        if r < 0.79:
            return self.rng.choice([
                "SELECT public.sets_path('red')", "SELECT public.sets_path('blue') WHERE false",
                "SELECT public.sets_nothing()", "CALL public.sets_in_two('12MB')",
                "SELECT public.sets_app_a('seen')", "SELECT public.sets_app_a('seen') WHERE false",
                "DO $$ BEGIN PERFORM public.sets_app_a('done'); END $$",
                "SELECT * FROM public.paths", "INSERT INTO public.noted DEFAULT VALUES"])
        if r < 0.85:
            return "SELECT color FROM paint"
        if r < 0.95:
            name = self.rng.choice([*ORDINARY, *CUSTOM])
            return f"SELECT current_setting('{name}', true)"
        return EVERYTHING

    # --- units ------------------------------------------------------------------------------

    def pipeline(self, actor, may_begin):
        """Several statements before one Sync, the protocol's own."""
        texts, data = [], b""
        for _ in range(self.rng.randint(1, 3)):
            text = self.statement(actor, False)
            if text.split()[0] in ("BEGIN", "START", "CALL", "DISCARD"):
                text = "SELECT 1"
            texts.append(text)
            data += pgwire.parse("", text) + pgwire.bind() + pgwire.execute()
            if self.rng.random() < 0.1:
                data += pgwire.FLUSH
        return "pipeline: " + "; ".join(texts), data + pgwire.SYNC, 1

    def named(self):
        """A prepared statement, made anew or used."""
        name = self.rng.choice(list(STATEMENTS))
        setting, value = self.plain_value()
        if setting not in CUSTOM:
            value = value or "red"
        params = {"p3": [value], "p4": [setting, value, self.rng.choice(["true", "f", "off"])]}
        values = [str(v).encode() for v in params.get(name, [])]
        use = pgwire.bind("", name, values) + pgwire.execute() + pgwire.SYNC
        if self.rng.random() < 0.3:
            return (f"close and parse {name} {values}", pgwire.close("S", name)
                    + pgwire.parse(name, STATEMENTS[name]) + use, 1)
        return f"bind {name} {values}", use, 1

    def portal(self):
        """A set_config in a portal of which a row is taken."""
        text = "SELECT set_config('app.b', 'p' || i, false) FROM generate_series(1, 3) i"
        return (f"portal: {text}", pgwire.parse("", text) + pgwire.bind() + pgwire.execute("", 1)
                + pgwire.SYNC, 1)

    def undone(self):
        """What a savepoint takes back; whether it is committed is left to chance."""
        units = ["SAVEPOINT undone", self.set_statement(), "ROLLBACK TO undone",
                 self.rng.choice(["COMMIT", "COMMIT", "SELECT 1", "ROLLBACK"])]
        return "at once: " + " | ".join(units), b"".join(map(pgwire.query, units)), len(units)

    def unit(self, actor, may_begin):
        # RESET goes back to what the start-up packet said when its message has ended, so that what
        # follows it in the same message, or is sent with it, does not see that yet; nor does SET
        # LOCAL … TO DEFAULT (docs/compatibility.md).
        if actor.status == "T" and not actor.has_login_settings and self.rng.random() < 0.08:
            return self.undone()
        r = self.rng.random() * (0.6 if actor.has_login_settings else 1)
        if r < 0.45:
            text = self.statement(actor, may_begin)
            if actor.has_login_settings:
                text = text.replace("NULL", "'x'").replace("SET LOCAL", "SET")
            return text, pgwire.query(text), 1
        if r < 0.60:
            text = self.statement(actor, may_begin)
            if actor.has_login_settings:
                text = text.replace("NULL", "'x'").replace("SET LOCAL", "SET")
            return "extended: " + text, pgwire.prepared(text), 1
        if r < 0.70:
            texts = [self.statement(actor, False) for _ in range(self.rng.randint(2, 4))]
            texts = ["SELECT 2" if t.split()[0] in ("DISCARD", "CALL") else t for t in texts]
            return "several: " + "; ".join(texts), pgwire.query("; ".join(texts)), 1
        if r < 0.80:
            return self.pipeline(actor, may_begin)
        if r < 0.90:
            return self.named()
        if r < 0.92:
            return self.portal()
        units = [self.statement(actor, False) for _ in range(self.rng.randint(2, 3))]
        return ("at once: " + " | ".join(units), b"".join(map(pgwire.query, units)), len(units))

    def take_step(self):
        """One unit of one client; at most one client of a pool keeps a server for itself."""
        self.step += 1
        user = self.rng.choice(list(self.actors))
        holders = [a for a in self.actors[user] if a.holds()]
        actor = holders[0] if holders and self.rng.random() < 0.6 else \
            self.rng.choice(self.actors[user])
        if self.rng.random() < 0.01 or (actor.pinned and self.rng.random() < 0.3):
            actor.reopen()
            return
        may_begin = not holders
        if may_begin and self.rng.random() < 0.004:
            self.out_of_sight(actor)
            return
        text, data, n_units = self.unit(actor, may_begin)
        self.history.append((f"{actor.user} {actor.number}", text))
        del self.history[:-HISTORY]
        actor.run(text, data, n_units)
        if self.rng.random() < 0.3 and actor.status != "E":
            actor.run(EVERYTHING, pgwire.query(EVERYTHING))

    def out_of_sight(self, actor):
        """A function that sets what its call does not name: its client keeps its server."""
        text = self.rng.choice(["SELECT public.sets_it('app.a', 'unseen')",
                                "SELECT public.sets_and_fails('other.tenant')"])
        actor.pinned = True
        actor.run(text, pgwire.query(text))
