"""What makes it a service: pid file, limits, logs and their rotation, the user it becomes."""
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import pooler
from tools import proc


def lines_of(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def fails_to_start(p):
    p.launch()
    try:
        assert p.process.wait(20) == 1
    finally:
        p.kill()
    return p.log_text()


# --- pid file -----------------------------------------------------------------------------------

def test_second_daemon_with_the_same_pid_file_is_refused_and_told_whose_it_is(site):
    with site.pgweir(settings={"pidfile": "{folder}/pid"}) as p:
        assert lines_of(f"{p.folder}/pid") == [str(p.pid)]
        text = fails_to_start(site.pgweir(settings={"pidfile": f"{p.folder}/pid"}))
        assert "another pgweir runs" in text and f"pid={p.pid}" in text
        assert lines_of(f"{p.folder}/pid") == [str(p.pid)]
    assert not os.path.exists(f"{p.folder}/pid")


@pytest.mark.parametrize("content", ["1\n", "999999999999\n", "", "nonsense"])
def test_a_pid_file_that_was_left_over_is_taken(site, content):
    """Also where its number belongs to another program by now: 1 always does."""
    p = site.pgweir(settings={"pidfile": "{folder}/pid"})
    with open(f"{p.folder}/pid", "w", encoding="ascii") as f:
        f.write(content)
    proc.give_to_service_user(f"{p.folder}/pid")
    with p:
        assert lines_of(f"{p.folder}/pid") == [str(p.pid)]


def test_a_pid_file_that_another_process_locks_is_not_taken(site):
    p = site.pgweir(settings={"pidfile": "{folder}/pid"})
    with open(f"{p.folder}/pid", "w", encoding="ascii") as f:
        proc.give_to_service_user(f.name)
        fcntl.flock(f, fcntl.LOCK_EX)
        assert "another pgweir runs" in fails_to_start(p)


# --- limits -------------------------------------------------------------------------------------

def limited(site, soft, hard, **settings):
    p = site.pgweir(settings=settings)
    p.before = ["prlimit", f"--nofile={soft}:{hard}"]
    return p


def limit_of(p):
    with open(f"/proc/{p.pid}/limits", encoding="ascii") as f:
        line = next(line for line in f if line.startswith("Max open files"))
    return int(line.split()[3])


def test_the_limit_on_files_is_raised_as_far_as_needed(site):
    with limited(site, 100, 5000, max_client_conn=1000, workers=2) as p:
        assert 1000 + 128 < limit_of(p) <= 1000 + 300
        assert "open files" not in p.log_text()


def test_a_limit_that_is_too_low_is_told_with_numbers_and_what_to_do(site):
    with limited(site, 100, 400, max_client_conn=1000, workers=2) as p:
        assert limit_of(p) == 400
        text = next(line for line in p.log_text().splitlines() if "open files is too low" in line)
        words = dict(word.split("=", 1) for word in text.split(' hint="')[0].split() if "=" in word)
        others, needed = int(words["others"]), int(words["needed"])
        assert words["limit"] == "400" and needed == 1000 + others
        assert f"LimitNOFILE={needed}" in text and f"ulimit -n {needed}" in text
        assert f"max_client_conn = {400 - others}" in text
    with limited(site, 100, 400, max_client_conn=400 - others, workers=2) as p:
        assert "open files" not in p.log_text()  # the hint is right


# --- logs ---------------------------------------------------------------------------------------

def test_hup_opens_the_log_again_for_rotation(site):
    with site.pgweir(settings={"logfile": "{folder}/weir.log", "log_connections": 1}) as p:
        path = f"{p.folder}/weir.log"
        os.rename(path, path + ".1")
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"
        proc.wait_until("the moved file to be written on",
                        lambda: any("user=app" in line for line in lines_of(path + ".1")))
        os.kill(p.pid, signal.SIGHUP)
        proc.wait_until("a new file", lambda: any("taken over" in line for line in lines_of(path)))
        moved = len(lines_of(path + ".1"))
        with p.raw("other") as client:
            assert client.value("SELECT 1") == "1"
        proc.wait_until("the new file to be written to",
                        lambda: any("user=other" in line for line in lines_of(path)))
        assert len(lines_of(path + ".1")) == moved


def test_a_log_that_cannot_be_opened_again_is_told_and_written_on(site):
    p = site.pgweir(settings={"logfile": "{folder}/logs/weir.log"})
    os.mkdir(f"{p.folder}/logs")
    proc.give_to_service_user(f"{p.folder}/logs")
    with p:
        os.rename(f"{p.folder}/logs", f"{p.folder}/away")
        os.kill(p.pid, signal.SIGHUP)
        proc.wait_until("the error", lambda: any(
            "cannot open the log file" in line for line in lines_of(f"{p.folder}/away/weir.log")))


def test_every_json_line_is_an_object_with_the_same_keys(site):
    with site.pgweir(settings={"logfile": "{folder}/weir.log", "log_format": "json",
                               "log_connections": 1}) as p:
        with p.raw(application_name='"quoted" \\ back\x01') as client:
            assert client.value("SELECT 1") == "1"
        with pytest.raises(Exception):
            p.raw(database='no "such\\ one')
        proc.wait_until("the refusal in the log", lambda: any(
            "such" in line for line in lines_of(f"{p.folder}/weir.log")))
        objects = [json.loads(line) for line in lines_of(f"{p.folder}/weir.log")]
        assert all({"time", "level", "event"} <= o.keys() for o in objects)
        assert any(o.get("user") == "app" for o in objects)
        assert {o["level"] for o in objects} <= {"ERROR", "WARN", "INFO"}
        for o in objects:
            time.strptime(o["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
        p.reload(log_format="text")
        proc.wait_until("lines of text", lambda: "INFO" in lines_of(
            f"{p.folder}/weir.log")[-1].split()[1:2])


def is_serving(p):
    try:
        with p.raw() as client:
            return client.value("SELECT 1") == "1"
    except OSError:
        return False


INFO, DEBUG = {"INFO"}, {"INFO", "DEBUG"}


@pytest.mark.parametrize("args, verbose, levels", [
    ([], 0, INFO), (["-q"], 0, set()), (["--quiet"], 0, set()), (["-v"], 0, DEBUG),
    (["--verbose"], 0, DEBUG), ([], 1, DEBUG), (["-q", "-v"], 0, DEBUG), (["-q"], 1, DEBUG)])
def test_how_much_is_logged(site, args, verbose, levels):
    """Beside warnings and errors; and changed on the console while it runs. Of a node that is down
    each attempt is such a line."""
    p = site.pgweir({**site.app_on([site.cluster.primary]),
                     "gone": f"host=127.0.0.1 port={proc.free_port()} routing=on"},
                    args=args, settings={"verbose": verbose, "server_login_retry": 1})
    p.launch()  # a quiet one does not say when it is ready

    def logged():
        return {line.split()[1] for line in lines_of(p.log)}
    proc.wait_until("it to serve", lambda: is_serving(p))
    if "DEBUG" in levels:
        proc.wait_until("an attempt", lambda: "DEBUG" in logged())
    time.sleep(0.5)  # several attempts
    assert logged() - {"WARN", "ERROR"} == levels
    p.admin("SET verbose = 1")
    proc.wait_until("more", lambda: logged() >= DEBUG)
    p.stop()


ADVICE = "max_lag = 0.05: is below lag_check_interval"


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_the_start_says_is_in_the_log_file(site, form):
    """Advice on the configuration, and on the system: from before the file is open."""
    with limited(site, 100, 400, max_client_conn=1000, workers=2, max_lag=0.05, log_format=form,
                 logfile="{folder}/weir.log") as p:
        lines = lines_of(f"{p.folder}/weir.log")
        at = [[i for i, line in enumerate(lines) if what in line] for what in (
            ADVICE, "open files is too low", "accepting connections")]
        assert [len(found) for found in at] == [1, 1, 1] and sorted(at) == at, lines
        assert p.log_text().count(ADVICE) == 1, "stderr has it, too"
        if form == "json":
            objects = [json.loads(line) for line in lines]
            assert [o["event"] for o in objects].count("configuration is unwise") >= 1
            assert [o["time"] for o in objects] == sorted(o["time"] for o in objects)


def test_what_is_too_much_advice_for_the_log_is_counted(site):
    """A place in the code that logs has so many lines a second; who starts says all of it at once."""
    entry = site.app_on([site.cluster.primary])["app"]
    databases = {f"app{i}": f"{entry} zone=a" for i in range(70)}  # there is no zone of pgweir's
    with site.pgweir(databases, settings={"logfile": "{folder}/weir.log"}) as p:
        for path in (p.log, f"{p.folder}/weir.log"):
            lines = lines_of(path)
            assert sum("configuration note" in line for line in lines) == 50
            more = [line for line in lines if "more findings" in line]
            assert len(more) == 1 and int(re.search(r" n=(\d+) ", more[0])[1]) >= 20
    assert p.check_config()[1].count("zone has no effect") == 70


def test_why_it_does_not_start_is_in_the_log_file(site):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        p = site.pgweir(settings={"logfile": "{folder}/weir.log",
                                  "listen_port": taken.getsockname()[1]})
        said = fails_to_start(p)
        assert "another process listens there" in said
        assert any("another process listens there" in line for line in lines_of(f"{p.folder}/weir.log"))


REFUSED = "pool_mode = sometimes: expected "


def refused_by(path):
    """The last two lines of a log: an error of the configuration, and what came of it."""
    return [re.sub(r"^\S+ ", "", line) for line in lines_of(path)][-2:]


@pytest.mark.parametrize("wrong, words", [
    ({"pool_mode": "sometimes"}, REFUSED),
    ({"no_such_key": 1}, "unknown key"),
    ({"auth_file": "/nowhere/users"}, "/nowhere/users"),
    ({"auth_type": "hba", "auth_hba_file": "/nowhere/hba"}, "/nowhere/hba")])
def test_why_a_configuration_is_refused_is_in_the_log_file(site, wrong, words):
    """On stderr as -t tells it, and there once."""
    p = site.pgweir(settings={**wrong, "logfile": "{folder}/weir.log"})
    said = fails_to_start(p)
    assert said.count(words) == 1 and "configuration error" not in said
    error, end = refused_by(f"{p.folder}/weir.log")
    assert error.startswith("ERROR configuration error at=") and words in error
    assert end == f"ERROR cannot start what=configuration config={p.config} errors=1"


def test_a_refusal_is_logged_in_the_form_that_was_asked_for(site):
    p = site.pgweir(settings={"pool_mode": "sometimes", "logfile": "{folder}/weir.log",
                              "log_format": "json"})
    fails_to_start(p)
    objects = [json.loads(line) for line in lines_of(f"{p.folder}/weir.log")]
    assert [o["event"] for o in objects] == ["configuration error", "cannot start"]


def test_where_to_log_may_be_said_by_the_environment(site):
    p = site.pgweir(settings={"pool_mode": "sometimes"})
    p.environment["PGWEIR_LOGFILE"] = f"{p.folder}/weir.log"
    fails_to_start(p)
    assert REFUSED in refused_by(f"{p.folder}/weir.log")[0]


@pytest.mark.parametrize("wrong", [{"log_format": "xml"}, {"syslog": "perhaps"}])
def test_where_to_log_that_is_wrong_itself_is_told_on_stderr_alone(site, wrong):
    p = site.pgweir(settings={**wrong, "logfile": "{folder}/weir.log"})
    assert str(*wrong.values()) in fails_to_start(p)
    assert not os.path.exists(f"{p.folder}/weir.log")


@pytest.mark.parametrize("how", ["signal", "console"])
def test_why_a_reload_is_refused_is_in_the_log_that_is_there(site, how):
    """Not in that of the refused configuration."""
    with site.pgweir(settings={"logfile": "{folder}/weir.log"}) as p:
        p.settings.update(pool_mode="sometimes", logfile=f"{p.folder}/new.log")
        p.write_config()
        if how == "signal":
            p.process.send_signal(signal.SIGHUP)
        else:
            with p.raw("admin", "pgweir") as console:
                assert REFUSED in str(console.query("RELOAD").errors[0])
        p.wait_log("configuration not taken over")
        for path in (p.log, f"{p.folder}/weir.log"):
            found = [line for line in lines_of(path) if "configuration" in line]
            assert "ERROR configuration error at=" in found[-2] and REFUSED in found[-2]
            assert "errors=1" in found[-1]
        assert not os.path.exists(f"{p.folder}/new.log")


# --- syslog -------------------------------------------------------------------------------------

# A /dev of its own, in which /dev/log is the test's socket; then the service user again.
OWN_DEV = """
set -e
mount -t tmpfs none /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/urandom c 1 9
ln -s "$1" /dev/log
user=$2 group=$3
shift 3
exec setpriv --reuid "$user" --regid "$group" --clear-groups "$@"
"""


def own_dev(*args):
    return ["unshare", "--mount", "sh", "-c", OWN_DEV, "sh", *map(str, args)]


def may_mount():
    return os.geteuid() == 0 and subprocess.run(
        own_dev("/nowhere", 0, 0, "true"), capture_output=True, check=False).returncode == 0


class Syslog:
    """A socket that the daemons of a site have as /dev/log."""

    def __init__(self, site, monkeypatch):
        self.path = f"{site.new_folder()}/log"
        self.user = proc.service_user()
        self.begin()
        os.chmod(os.path.dirname(self.path), 0o755)
        monkeypatch.setattr(proc, "as_user", lambda: {})
        monkeypatch.setitem(pooler.SANITIZER_ENV, "ASAN_OPTIONS", "exitcode=99:detect_leaks=0")

    def begin(self, kind=socket.SOCK_DGRAM):
        self.socket = socket.socket(socket.AF_UNIX, kind)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)

    def end(self):
        self.socket.close()
        os.unlink(self.path)

    def serve(self, p):
        p.before = own_dev(self.path, self.user.pw_uid, self.user.pw_gid)
        return p

    def received(self):
        lines = []
        while True:
            try:
                lines.append(self.socket.recv(65536, socket.MSG_DONTWAIT).decode())
            except BlockingIOError:
                return lines


needs_own_dev = pytest.mark.skipif(
    not may_mount(), reason="only root with a mount namespace can have its own /dev/log")


@pytest.fixture(name="syslog")
def fixture_syslog(site, monkeypatch):
    syslog = Syslog(site, monkeypatch)
    yield syslog
    syslog.end()


@needs_own_dev
def test_syslog_that_is_not_read_holds_nobody_up(site, syslog):
    with syslog.serve(site.pgweir(settings={"syslog": 1})) as p:
        for _ in range(30):  # a socket takes ten lines or so that nobody reads
            p.raw().close()
        assert p.show("VERSION")
        n_logged = len(p.log_text().splitlines())
        taken = syslog.received()
        p.raw().close()
        lost = []
        proc.wait_until("the lines that are lost", lambda: lost.extend(
            int(m[1]) for line in syslog.received()
            if (m := re.search(r"<28>.*syslog took no lines, which are lost to it lines=(\d+)$", line))) or lost)
        assert len(lost) == 1 and len(taken) + lost[0] >= n_logged > len(taken)


@needs_own_dev
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_syslog_that_is_begun_anew_is_found(site, syslog, kind):
    with syslog.serve(site.pgweir(settings={"syslog": 1})) as p:
        syslog.end()
        p.raw().close()  # lost: there is none
        p.wait_log("client closed")
        syslog.begin(kind)
        if kind == socket.SOCK_STREAM:
            syslog.socket.listen()
        p.raw().close()
        if kind == socket.SOCK_STREAM:
            listening, (syslog.socket, _) = syslog.socket, syslog.socket.accept()
            listening.close()
        lines = []
        proc.wait_until("a line", lambda: lines.extend(syslog.received()) or any(
            "client closed" in line for line in lines))
        assert "syslog took no lines" in lines[0]
        assert kind != socket.SOCK_STREAM or lines[-1].endswith("\0")


@needs_own_dev
def test_syslog_gets_every_line_under_its_name_and_facility(site, syslog):
    received = syslog.received

    def told(p, ident, facility, levels):
        """levels: a piece of each line that is waited for, and its level; the last one comes last."""
        form = re.compile(
            rf"<(\d+)>\w{{3}} [ \d]\d \d\d:\d\d:\d\d {ident}\[{p.pid}\]: (.*)\n?", re.DOTALL)
        lines = []
        proc.wait_until(list(levels)[-1], lambda: lines.extend(received()) or any(
            list(levels)[-1] in line for line in lines))
        parts = [form.fullmatch(line) for line in lines]
        assert all(parts), lines
        assert {int(m[1]) >> 3 for m in parts} == {facility}
        for what, level in levels.items():
            assert [int(m[1]) & 7 for m in parts if what in m[2]] == [level], what

    p = site.pgweir(settings={
        "syslog": 1, "syslog_ident": "weir-of-test", "syslog_facility": "local3",
        "max_lag": 0.05})
    syslog.serve(p)
    warning, info, local3, local5 = 4, 6, 19, 21
    with p:
        told(p, "weir-of-test", local3, {
            ADVICE: warning, "accepting connections version=": info})
        assert "accepting connections version=" in p.log_text(), "stderr has it, too"
        with p.raw() as client:
            client.query("SELECT pg_terminate_backend(pg_backend_pid())")
        told(p, "weir-of-test", local3, {"server closed": warning, "client closed": info})
        p.reload(syslog_ident="another", syslog_facility="local5")
        received()  # those of the reload itself are under the old name
        p.raw().close()
        told(p, "another", local5, {"client logged in": info, "client closed": info})
        p.reload(syslog=0)
        received()
        p.raw().close()
        p.wait_log("client logged in")
        assert received() == []


@needs_own_dev
def test_syslog_is_told_why_a_configuration_is_refused(site, syslog):
    said = fails_to_start(syslog.serve(site.pgweir(
        settings={"syslog": 1, "syslog_ident": "weir", "pool_mode": "sometimes"})))
    lines = syslog.received()
    assert said.count(REFUSED) == 1 and len(lines) == 2, lines
    assert re.match(r"<27>.* weir\[\d+\]: configuration error ", lines[0]) and REFUSED in lines[0]
    assert "cannot start what=configuration" in lines[1]


# --- user ---------------------------------------------------------------------------------------

@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_becomes_the_user_that_is_asked_for_and_never_serves_as_root(site, monkeypatch):
    monkeypatch.setattr(proc, "as_user", lambda: {})
    # a process that has changed its user cannot be looked at, not even by itself, for leaks
    monkeypatch.setitem(pooler.SANITIZER_ENV, "ASAN_OPTIONS", "exitcode=99:detect_leaks=0")
    text = fails_to_start(site.pgweir())
    assert "will not run as root" in text
    with site.pgweir(args=["-u", "postgres"], settings={"pidfile": "{folder}/pid"}) as p:
        status = "".join(open(f"/proc/{p.pid}/status", encoding="utf-8"))
        uid = proc.service_user().pw_uid
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
        assert "CapEff:\t0000000000000000\n" in status
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"
    with site.pgweir(settings={"user": "postgres", "logfile": "{folder}/weir.log",
                               "max_lag": 0.05}) as p:
        assert os.stat(f"{p.folder}/weir.log").st_uid == uid  # it can open it again
        assert any(ADVICE in line for line in lines_of(f"{p.folder}/weir.log"))
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"
    assert "user" in fails_to_start(site.pgweir(args=["-u", "nobody-of-this-name"]))
    p = site.pgweir(settings={"user": "postgres", "logfile": "{folder}/weir.log",
                              "pool_mode": "sometimes"})
    fails_to_start(p)
    assert os.stat(f"{p.folder}/weir.log").st_uid == uid
    assert REFUSED in refused_by(f"{p.folder}/weir.log")[0]
    p = site.pgweir(settings={"logfile": "{folder}/weir.log", "pool_mode": "sometimes"})
    fails_to_start(p)
    assert not os.path.exists(f"{p.folder}/weir.log"), "it would be root's"


def test_end_while_the_files_are_being_read_again_is_in_order(site):
    for _ in range(10):
        with site.pgweir() as p:  # ends it with SIGQUIT, and looks at its status
            os.kill(p.pid, signal.SIGHUP)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGQUIT])
def test_signals_during_the_end_do_not_make_it_another_one(site, sig):
    """A service manager's may come while it ends by itself."""
    p = site.pgweir().start()
    process = p.process
    while process.poll() is None:
        process.send_signal(sig)
    p.forget()
    assert process.returncode == 0
