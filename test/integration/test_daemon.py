"""What makes it a service: pid file, limits, logs and their rotation, the user it becomes."""
import fcntl
import json
import os
import signal
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
    with site.pgweir(settings={"user": "postgres"}) as p:
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"
    assert "user" in fails_to_start(site.pgweir(args=["-u", "nobody-of-this-name"]))


def test_end_while_the_files_are_being_read_again_is_in_order(site):
    for _ in range(10):
        with site.pgweir() as p:  # ends it with SIGQUIT, and looks at its status
            os.kill(p.pid, signal.SIGHUP)
