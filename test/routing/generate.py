"""Random statements, reads and writes, from a grammar of our own, in any disguise that SQL has.

The words of a statement are drawn first, then each is written in one of its spellings: upper or
lower case, quoted or U&"quoted" names, strings of every kind, comments and blanks in between.
"""
import random

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, a int, b text, "Mixed Case" int DEFAULT 1);
CREATE TABLE u (id int PRIMARY KEY, t_id int, c numeric, d timestamptz DEFAULT '2024-01-01');
CREATE UNLOGGED TABLE fast (id int, a int);
CREATE TABLE part (id int, a int) PARTITION BY RANGE (id);
CREATE UNLOGGED TABLE part_fast PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE parent (id int, a int);
CREATE UNLOGGED TABLE child () INHERITS (parent);
CREATE SEQUENCE seq;
CREATE TABLE guarded (id int, a int);
CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO u VALUES (nextval(''seq''), 1, 1) RETURNING 1';
CREATE FUNCTION writes(x int) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''seq''); RETURN x; END';
CREATE FUNCTION "Writes Too"() RETURNS int LANGUAGE sql AS 'SELECT nextval(''seq'')::int';
CREATE FUNCTION reads(x int) RETURNS int LANGUAGE sql STABLE AS 'SELECT a FROM t WHERE id = x';
CREATE FUNCTION adds(x int, y int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x + y';
CREATE FUNCTION calls(x int) RETURNS int LANGUAGE sql STABLE AS 'SELECT writes(x)';
CREATE FUNCTION row_writes(r t) RETURNS int LANGUAGE sql AS 'SELECT nextval(''seq'')::int';
CREATE FUNCTION keeps(s int, x int) RETURNS int LANGUAGE sql AS 'SELECT nextval(''seq'')::int';
CREATE AGGREGATE collects(int) (SFUNC = keeps, STYPE = int, INITCOND = '0');
CREATE OPERATOR @!@ (FUNCTION = keeps, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR @+@ (FUNCTION = adds, LEFTARG = int, RIGHTARG = int);
CREATE DOMAIN checked AS int CHECK (writes(VALUE) IS NOT NULL);
CREATE DOMAIN plain AS int CHECK (VALUE > -1000000);
CREATE VIEW v AS SELECT id, a FROM t;
CREATE VIEW writing AS SELECT id, writes(id) AS a FROM t;
CREATE VIEW deep AS SELECT * FROM (SELECT id, a FROM writing) s;
CREATE VIEW locking AS SELECT id, a FROM t FOR UPDATE;
CREATE POLICY p ON guarded USING (writes(id) > 0);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
INSERT INTO t SELECT i, i * 2, 'x' || i FROM generate_series(1, 20) i;
INSERT INTO u SELECT -i, i, i / 2.0 FROM generate_series(1, 20) i;
INSERT INTO guarded VALUES (1, 1);
CREATE ROLE fuzz_user;
GRANT ALL ON ALL TABLES IN SCHEMA public TO fuzz_user;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO fuzz_user;
"""
TABLES = ["t", "t", "t", "u", "v", "parent", "fast", "part", "writing", "deep", "locking", "seq",
          "guarded", "child", "part_fast", "pg_class"]
WEIGHTS = [9, 9, 9, 9, 6, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
COLUMNS = {"u": ["id", "t_id", "c", "d"], "seq": ["last_value", "is_called"],
           "pg_class": ["oid", "relname"]}
BLANKS = [" ", " ", " ", " ", "\n", "\t", "  ", "/**/", " /* ' */ ", "/* a /* nested \" */ b */",
          " -- it's; $$ \n", "\f"]
TAGS = ["$$", "$x$", "$_1$"]


class Generator:
    """One statement after the other, the same for the same seed."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.alias = 0
        self.budget = 0  # of pieces; what is over it is made simple

    # --- spelling: ("word", text), ("name", text), ("string", value) or ("raw", text)

    def _name(self, name):
        spelled = [name, name.upper(), '"' + name.replace('"', '""') + '"', f'U&"{self._u(name)}"']
        if not name.islower() or " " in name:
            spelled = spelled[2:]
        return self.r.choices(spelled, [8, 2, 2, 1][-len(spelled):])[0]

    def _u(self, text):
        at = self.r.randrange(len(text))
        code = ord(text[at])
        written = self.r.choice([f"\\{code:04x}", f"\\+{code:06X}"])
        return text[:at] + written + text[at + 1:]

    def _string(self, value):
        kind = self.r.randrange(8)
        doubled = value.replace("'", "''")
        if kind == 0:
            return "E'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        if kind == 1:
            tag = self.r.choice(TAGS)
            return tag + value + tag if "$" not in value else f"'{doubled}'"
        if kind == 2 and "\\" not in value:
            return f"U&'{doubled}'"
        if kind == 3:
            return f"N'{doubled}'"
        return f"'{doubled}'"

    def _spell(self, kind, text):
        if kind == "word":
            return self.r.choice([text, text.lower(), text.capitalize()])
        if kind == "name":
            return self._name(text)
        return self._string(text) if kind == "string" else text

    def text(self, tokens):
        out = []
        for kind, token in tokens:
            spelled = self._spell(kind, token)
            if out:
                out.append(self.r.choice(BLANKS) if self.r.random() < 0.9
                           or self._joins(out[-1], spelled) else "")
            out.append(spelled)
        return "".join(out) + self.r.choice(["", ";", " ;", ";\n", " -- end"])

    @staticmethod
    def _joins(left, right):
        """Would the two be read as one?"""
        wordy = (left[-1].isalnum() or left[-1] in "_$\"'") and \
            (right[0].isalnum() or right[0] in "_$\"'")
        return wordy or (left[-1] in "+-*/<>=~!@#%^&|`?:." and right[0] in "+-*/<>=~!@#%^&|`?:.")

    # --- grammar: lists of tokens

    @staticmethod
    def raw(text):
        return [("raw", part) for part in text.split(" ")]

    @staticmethod
    def word(text):
        return [("word", part) for part in text.split(" ")]

    def name(self, name):
        return [("name", name)]

    def call(self, name, *args):
        out = self.name(name) + [("raw", "(")]
        for i, arg in enumerate(args):
            out += ([("raw", ",")] if i else []) + arg
        return out + [("raw", ")")]

    def column(self, scope):
        alias, table = self.r.choice(scope) if scope else (None, None)
        if alias is None:
            return [("raw", "1")]
        column = self.r.choice(COLUMNS.get(table, ["id", "a"]))
        return self.name(alias) + [("raw", ".")] + self.name(column)

    def number(self, depth, scope):
        r = self.r.random()
        self.budget -= 1
        if depth <= 0 or r < 0.25 or self.budget < 0:
            return [("raw", str(self.r.randrange(1, 20)))]
        if r < 0.45:
            return self.raw("$$7$$ ::") + self.name("int4")
        if r < 0.55:
            return self.call("adds", self.number(depth - 1, scope), self.number(depth - 1, scope))
        if r < 0.65:
            return self.call("reads", self.number(depth - 1, scope))
        if r < 0.70:
            return [("raw", "(")] + self.number(depth - 1, scope) + \
                [("raw", self.r.choice(["+", "-", "*", "@+@"]))] + self.number(0, scope) + \
                [("raw", ")")]
        if r < 0.76:
            return [("raw", "(")] + self.word("SELECT") + self.word("count") + self.raw("( * )") \
                + self.from_(depth - 1)[0] + [("raw", ")")]
        if r < 0.80:
            return self.word("CASE WHEN") + self.condition(depth - 1, scope) + self.word("THEN") \
                + self.number(depth - 1, scope) + self.word("ELSE") + self.number(0, scope) \
                + self.word("END")
        if r < 0.83:
            return self.call("length", [("string", self.r.choice(
                ["", "it's", "; DELETE FROM t", "/*", "--", "FOR UPDATE", "a\\", "\"", "writes(1)"]
            ))])
        if r < 0.86:
            return self.call(
                "length", self.word("substring") + self.raw("(") + [("string", "abcdef")] +
                self.word("FROM") + self.raw("2") + self.word("FOR") + self.raw("2 )"))
        if r < 0.90:
            return self.number(0, scope) + [("raw", "::")] + self.name(
                self.r.choice(["int4", "int4", "plain", "checked"]))
        return self.danger(depth, scope)

    def danger(self, depth, scope):
        inner = self.number(depth - 2, scope)
        return self.r.choice([
            lambda: self.call("writes"), lambda: self.call("writes", inner),
            lambda: self.call("Writes Too"), lambda: self.call("calls", inner),
            lambda: self.call("nextval", [("string", "seq")]),
            lambda: self.call("lastval"), lambda: self.call("currval", [("string", "seq")]),
            lambda: self.call("pg_try_advisory_xact_lock", inner) + [("raw", "::")]
            + self.name("int4"),
            lambda: self.call("int4", self.call("txid_current")),
            lambda: [("raw", "(")] + self.raw("1 @!@ 2") + [("raw", ")")],
            lambda: [("raw", "(")] + self.word("SELECT") + self.name("t") + self.raw(".")
            + self.name("row_writes") + self.word("FROM") + self.name("t")
            + self.word("LIMIT") + self.raw("1 )"),
            lambda: [("raw", "(")] + self.word("SELECT") + self.call("collects", self.raw("1"))
            + self.raw(")"),
            lambda: self.name("public") + [("raw", ".")] + self.call("writes"),
        ])()

    def condition(self, depth, scope):
        r = self.r.random()
        if depth <= 0 or r < 0.5 or self.budget < 0:
            return self.number(depth - 1, scope) + [
                ("raw", self.r.choice(["=", "<", ">=", "<>"]))] + self.number(depth - 1, scope)
        if r < 0.65:
            return self.column(scope) + self.word("IS NOT NULL")
        if r < 0.8:
            return [("raw", "(")] + self.condition(depth - 1, scope) + self.word(
                self.r.choice(["AND", "OR"])) + self.condition(depth - 1, scope) + [("raw", ")")]
        if r < 0.9:
            return self.word("EXISTS") + [("raw", "(")] + self.select(depth - 1) + [("raw", ")")]
        return self.word("NOT") + self.raw("(") + self.condition(depth - 1, scope) + self.raw(")")

    def from_(self, depth):
        """FROM …, and the aliases it makes."""
        out, scope = self.word("FROM"), []
        for i in range(self.r.choice([1, 1, 1, 1, 1, 2])):
            self.alias += 1
            alias = self.r.choice(["x", "y", "update", "set", "Al ias"]) + str(self.alias)
            if i:
                out += self.r.choice([[("raw", ",")], self.word("CROSS JOIN")])
            if depth > 0 and self.budget > 0 and self.r.random() < 0.2:
                out += [("raw", "(")] + self.select(depth - 1, ("id", "a")) + [("raw", ")")]
                table = "t"
            else:
                table = self.r.choices(TABLES, WEIGHTS)[0]
                if table != "pg_class" and self.r.random() < 0.2:
                    out += self.name("public") + [("raw", ".")]
                out += self.name(table)
            out += (self.word("AS") if self.r.random() < 0.5 else []) + self.name(alias)
            scope.append((alias, table))
        return out, scope

    def select(self, depth, columns=None):
        source, scope = self.from_(depth)
        out = self.word("SELECT")
        if columns:
            out += self.raw("1") + self.word("AS") + self.name(columns[0]) + [("raw", ",")] + \
                self.number(depth, scope) + self.word("AS") + self.name(columns[1])
        else:
            out += self.number(depth, scope)
            if self.r.random() < 0.4:
                out += [("raw", ",")] + self.column(scope)
        out += source
        if self.r.random() < 0.6:
            out += self.word("WHERE") + self.condition(depth - 1, scope)
        if self.r.random() < 0.2:
            out += self.word("ORDER BY") + self.raw("1")
        if len(scope) > 1 or ("pg_class" in (table for _, table in scope)) \
                or self.r.random() < 0.3:
            out += self.word("LIMIT") + self.raw(str(self.r.randrange(1, 4)))
        if self.r.random() < 0.04:
            out += self.word(self.r.choice(["FOR UPDATE", "FOR NO KEY UPDATE", "FOR SHARE",
                                            "FOR KEY SHARE", "FOR UPDATE SKIP LOCKED"]))
        return out

    def write(self, depth, returning):
        value = self.number(depth - 1, [])
        out = self.r.choice([
            lambda: self.word("INSERT INTO") + self.name("u") + self.raw("(") + self.name("id")
            + self.raw(",") + self.name("t_id") + self.raw(")") + self.word("VALUES")
            + self.raw(f"( {self.r.randrange(100, 10**9)} ,") + value + self.raw(")")
            + self.word("ON CONFLICT DO NOTHING"),
            lambda: self.word("UPDATE") + self.name("t") + self.word("SET") + self.name("a")
            + [("raw", "=")] + value + self.word("WHERE") + self.name("id") + self.raw("= 3"),
            lambda: self.word("DELETE FROM") + self.name("u") + self.word("WHERE")
            + self.name("id") + self.raw("= -1000"),
        ])()
        return out + (self.word("RETURNING") + self.name("id") if returning else [])

    def with_(self, depth):
        out, n = self.word("WITH"), self.r.choice([1, 1, 2])
        for i in range(n):
            self.alias += 1
            out += ([("raw", ",")] if i else []) + self.name(f"w{self.alias}") + self.word("AS")
            out += self.r.choice([[], [], self.word("MATERIALIZED")]) + [("raw", "(")]
            out += self.write(depth - 1, True) if self.r.random() < 0.3 else self.select(depth - 1)
            out += [("raw", ")")]
        return out + (self.write(depth - 1, False) if self.r.random() < 0.1
                      else self.select(depth - 1))

    def statement(self):
        """The text of one statement, or now and then of two."""
        depth, r = self.r.choice([1, 2, 3, 4]), self.r.random()
        self.budget = 40
        if r < 0.50:
            tokens = self.select(depth)
        elif r < 0.70:
            tokens = self.with_(depth)
        elif r < 0.75:
            tokens = self.write(depth, self.r.random() < 0.5)
        elif r < 0.80:
            tokens = [("raw", "(")] + self.select(depth) + [("raw", ")")] + \
                self.word("UNION ALL") + self.select(0, None)
        elif r < 0.85:
            tokens = self.word("EXPLAIN") + self.r.choice([
                [], self.word("ANALYZE"), self.raw("( COSTS off )"),
                self.raw("( ANALYZE , TIMING off )"), self.raw("( ANALYZE 'off' )")]) + \
                self.r.choice([self.select, self.with_, lambda d: self.write(d, False)])(depth)
        elif r < 0.90:
            tokens = self.word("COPY") + self.r.choice([
                lambda: self.raw("(") + self.select(depth) + self.raw(")"),
                lambda: self.raw("(") + self.write(depth, True) + self.raw(")"),
                lambda: self.name("t")])() + self.word("TO STDOUT")
        elif r < 0.94:
            tokens = self.word("VALUES") + self.raw("(") + self.number(depth, []) + self.raw(")")
        elif r < 0.96:
            tokens = self.word("TABLE") + self.name(self.r.choices(TABLES, WEIGHTS)[0])
        else:
            tokens = self.select(depth) + [("raw", ";")] + self.r.choice(
                [self.select, lambda d: self.write(d, False)])(depth)
        return self.text(tokens)
