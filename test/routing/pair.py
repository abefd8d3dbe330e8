"""A session on a primary and one on its standby, and what the classifier says in between.

Statements are tried on the standby and run on the primary. Of each read it is noted whether the
standby gave the primary's answer, and where the classifier would have had it run.
"""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import time

TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TEST}/routing", TEST, f"{TEST}/integration"]

import generate  # noqa: E402  pylint: disable=wrong-import-position
import pgwire  # noqa: E402  pylint: disable=wrong-import-position
from rawclient import RawClient, Result, ServerError  # noqa: E402  pylint: disable=wrong-import-position

# These would act on the standby for good.
NOT_TRIED = re.compile(r"pg_promote|pg_wal_replay|pg_reload_conf|pg_terminate|pg_cancel", re.I)
# What they answer is not the same twice, or differs by server in what a client does not mind.
NOT_COMPARED = re.compile(
    r"random|clock_timestamp|now\s*\(|timeofday|current_(date|time)|localtime|uuid|_size\b"
    r"|explain|pg_sleep|statement_timestamp|tablesample|'(now|today|tomorrow|yesterday)", re.I)
READ = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*"
                  r"(select|with|values|table|explain|show|copy)\b", re.I | re.S)
# Kept by both sessions, so that they stay alike.
SESSION = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
                     r"(set|reset|discard|prepare|deallocate|load)\b", re.I | re.S)
NO_SUCH = ("42", "3F")  # classes of the errors of a temporary object that is not there

SQLV_DDL, SQLV_BODY = 0x0008, 0x4000  # verdict.h
Verdict = collections.namedtuple("Verdict", "where cls cause token flags effects")


class Judge:
    """The classifier, as a process (test/routing/judge --serve)."""

    def __init__(self, program):
        self.program = program
        self.database = None  # whose catalog is loaded
        self.process = subprocess.Popen([program, "--serve"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def _send(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def load(self, client, database):
        """The catalog of the client's database."""
        self.database = database
        version = client.value("SHOW server_version_num")
        sql = subprocess.run([self.program, "--catalog-sql", version], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        rows = client.query(sql).check().rows
        with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as f:
            f.writelines(f"{kind}\t{name}\n" for kind, name in rows)
            f.flush()
            self._send(catalog=f.name)
            self.ask("SELECT 1")  # answered when the file was read

    def ask(self, sql, std_strings=True):
        self._send(sql=sql, strings="on" if std_strings else "off")
        line = self.process.stdout.readline().decode(errors="replace")
        fields = line.rstrip("\n").split("\t")
        while len(fields) < 6:  # a token with a tab or a newline in it
            line = self.process.stdout.readline().decode(errors="replace")
            more = line.rstrip("\n").split("\t")
            fields = fields[:-1] + [fields[-1] + more[0]] + more[1:]
        return Verdict(*fields[:3], "\t".join(fields[3:-2]), int(fields[-2], 16), fields[-1])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def answer(client, sql, copy_data=b""):
    """Of a simple query; a COPY FROM STDIN gets `copy_data`, which may be a function."""
    client.send(pgwire.query(sql))
    found = [client.read_message()]
    while found[-1].kind != "Z":
        if found[-1].kind == "G":
            data = copy_data() if callable(copy_data) else copy_data
            client.send(pgwire.copy_data(data) + pgwire.COPY_DONE)
        elif found[-1].kind == "S":
            name, value = found[-1].pair()
            client.parameters[name] = value
        found.append(client.read_message())
    return Result(found)


def values(result):
    """What a client sees of an answer, in an order of its own."""
    copied = [m.body for m in result.messages if m.kind == "d"]
    return sorted(map(repr, result.rows)), sorted(copied)


class Count:
    """What was found; add() them up."""

    def __init__(self):
        self.reads = self.accepted = self.kept = self.replica = 0
        self.wrong = []
        self.causes = collections.Counter()

    def add(self, other):
        self.reads += other.reads
        self.accepted += other.accepted
        self.kept += other.kept
        self.replica += other.replica
        self.wrong += other.wrong
        self.causes += other.causes

    def kept_percent(self):
        return 100 * self.kept / self.accepted if self.accepted else 0.0


class Pair:
    """The sessions, of one user in one database."""

    def __init__(self, cluster, judge, user, database, timeout=30):
        self.cluster = cluster
        self.judge = judge
        self.database = database
        self.timeout = timeout
        self.count = Count()
        self.pinned = False  # a temporary object may hide another
        self.outdated = True  # the judge's catalog
        self.status = "I"  # the primary's transaction status
        self.held = []  # settings made in the open transaction
        self.written = True  # maybe, since the standby was last known to have all
        self.owner = self._open(cluster.primary, "postgres")
        self.watcher = self._open(cluster.standbys[0], "postgres")
        self.primary = self.standby = None
        self.connect(user)

    def _open(self, node, user):
        client = RawClient(node.port, self.cluster.socket_dir, self.timeout + 30)
        client.login(user, database=self.database,
                     options=f"-c statement_timeout={self.timeout}s -c lock_timeout=10s")
        return client

    def connect(self, user):
        primary = self._open(self.cluster.primary, user)
        standby = self._open(self.cluster.standbys[0], user)
        self.close_sessions()
        self.primary, self.standby = primary, standby
        self.pinned = False
        self.status = "I"

    def drop_grown(self):
        """Volatile functions add a row for each they are shown: without an end it doubles."""
        if self.status == "I":
            self.owner.query("DELETE FROM u WHERE id > 0")
            self.written = True

    def close_sessions(self):
        for client in (self.primary, self.standby):
            if client is not None:
                client.close()

    def close(self):
        self.close_sessions()
        self.owner.close()
        self.watcher.close()

    def _verdict(self, sql):
        return self.judge.ask(sql, self.primary.parameters["standard_conforming_strings"] == "on")

    def _catch_up(self):
        """Until the standby shows what the primary does."""
        if not self.written:
            return
        # a transaction of its own, which is flushed, and all before it with it
        lsn = self.owner.value("SELECT pg_logical_emit_message(true, '', '')")
        deadline = time.monotonic() + self.timeout
        while self.watcher.value(
                f"SELECT pg_last_wal_replay_lsn() < pg_lsn '{lsn}'") == "t":
            if time.monotonic() > deadline:
                raise TimeoutError("the standby does not replay")
            time.sleep(0.002)
        self.written = False

    def refresh(self):
        """The judge knows what is defined now."""
        if self.outdated:
            self.judge.load(self.owner, self.database)
            self.outdated = False

    def run(self, sql, copy_data=b""):
        """One text; returns the primary's answer."""
        if self.judge.database != self.database:
            self.outdated = True
            self.refresh()
        verdict = self._verdict(sql)
        tried = None
        if (READ.match(sql) or verdict.where == "replica") and self.status == "I" \
                and not NOT_TRIED.search(sql):
            self._catch_up()
            tried = answer(self.standby, sql)
            if tried.status != "I":
                self.standby.query("ROLLBACK")
        result = answer(self.primary, sql, copy_data)
        self.written = self.written or verdict.where == "primary"
        self._follow(sql, result, verdict)
        if tried is not None:
            self._compare(sql, verdict, tried, result)
        return result

    def _follow(self, sql, result, verdict):
        """Keep the sessions alike, and know what the classifier must know."""
        if verdict.flags & (SQLV_DDL | SQLV_BODY) or "DO" in result.tags:  # definitions, or hidden code
            self.outdated = True
        if " temp(" in verdict.effects:
                self.pinned = True
        if SESSION.match(sql) and not result.errors:
            if result.status == "I":
                self._catch_up()  # it may name what was just made, a role's membership say
                answer(self.standby, sql)
            else:
                self.held.append(sql)
        if result.status == "I" and self.held:
            if "COMMIT" in result.tags:
                for held in self.held:
                    answer(self.standby, held)
            self.held = []
        self.status = result.status

    def _compare(self, sql, verdict, tried, result):
        if (result.sqlstate or "")[:2] in ("57", "55") and result.sqlstate != tried.sqlstate:
            return  # it took too long, on one of them
        n = self.count
        n.reads += 1
        same_state = tried.sqlstate == result.sqlstate
        same = same_state and bool(NOT_COMPARED.search(sql) or values(tried) == values(result))
        if self.pinned and not same and (same_state or (tried.sqlstate or "").startswith(NO_SUCH)):
            return  # a temporary object, which only the primary's session has
        if not same and verdict.where == "replica":
            self.refresh()
            verdict = self._verdict(sql)
            if verdict.where == "replica":
                n.wrong.append((sql, f"primary {result.sqlstate or 'OK'}, standby "
                                     f"{tried.sqlstate or 'OK'}"))
        if verdict.where == "replica":
            n.replica += 1
        if not same or result.errors:
            return
        n.accepted += 1
        if verdict.where == "primary":
            n.kept += 1
            n.causes[f"{verdict.cause}: {verdict.token[:40]}"] += 1


def prepare_fuzz(cluster, database):
    """What the random statements read and write."""
    cluster.primary.sql(f"CREATE DATABASE {database}")
    cluster.primary.sql(generate.SETUP, db=database)
    cluster.wait_caught_up()


def fuzz(cluster, judge, database, seed, n):
    """The Count of n random statements, and how many of them worked."""
    session = Pair(cluster, judge, "postgres", database, timeout=10)
    generator, worked = generate.Generator(seed), 0
    for i in range(n):
        if i % 50 == 0:  # as somebody whom policies bind, half of the time
            session.run("SET ROLE fuzz_user" if i % 100 else "RESET ROLE")
            session.drop_grown()
        worked += not session.run(generator.statement()).errors
    session.close()
    return session.count, worked


def is_text(sql):
    """Can it be sent? Test files have bytes of other encodings."""
    try:
        sql.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in sql


def _run_piece(script, session, sql, command):
    result = session.run(sql, lambda: script.take_copy_data().encode())
    script.std_strings = session.primary.parameters["standard_conforming_strings"] == "on"
    if command == "gset" and len(result.rows) == 1:
        script.variables.update(
            {name: value for (name, _), value in zip(result.columns, result.rows[0])
             if value is not None})
    elif command == "gexec":
        for cell in (cell for row in result.rows for cell in row if cell is not None):
            session.run(cell)


def run_script(cluster, judge, database, script):
    """The Count of a psqlscript.Script."""
    session = Pair(cluster, judge, "postgres", database, timeout=20)
    for sql, command, argument in script:
        try:
            if command == "connect":
                user = argument[1] if len(argument) > 1 and argument[1] != "-" else "postgres"
                session.connect(user)
            elif is_text(sql):
                _run_piece(script, session, sql, command)
        except ServerError:  # a login that is refused
            continue
        except pgwire.Closed:  # a statement that ends its session
            session.connect("postgres")
        except TimeoutError:
            print(f"no answer to {sql.strip()[:80]!r}", flush=True)
            session.connect("postgres")
    session.close()
    return session.count
