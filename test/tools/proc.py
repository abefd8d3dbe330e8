"""Processes, ports and waiting.

Everything started here runs as an ordinary user: the caller, or SERVICE_USER when the caller is
root (PostgreSQL refuses to run as root). A process dies with the one that started it, unless it
was started to stay.

Environment: PGWEIR_TEST_PORTS  range that listening ports are taken from (default 21000-31999,
                                below Linux's ephemeral ports)
             PGWEIR_TEST_USER   user for servers when called as root (default: postgres)
"""
import ctypes
import os
import pwd
import random
import signal
import socket
import subprocess
import time

SERVICE_USER = os.environ.get("PGWEIR_TEST_USER", "postgres")
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_ports = None


def service_user():
    """The account that servers run as, or None: the caller's own."""
    return pwd.getpwnam(SERVICE_USER) if os.geteuid() == 0 else None


def give_to_service_user(path):
    user = service_user()
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)


def clean_env(extra=None):
    """A small environment without the caller's PG* variables."""
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    env.update(extra or {})
    return env


def as_user():
    user = service_user()
    if not user:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def spawn(argv, log, env=None, stay=False, cwd="/", fds=()):
    """Start a server in a session of its own; stdout and stderr are appended to `log`.
    fds: descriptors that it inherits."""
    with open(log, "ab") as out:
        give_to_service_user(log)
        return subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
            env=clean_env(env), start_new_session=True, pass_fds=fds,
            preexec_fn=None if stay else _die_with_parent, **as_user())


def run(argv, env=None, stdin=None, timeout=120, check=True):
    """Run a command to its end as the service user; returns its stdout as text."""
    done = subprocess.run(
        [str(a) for a in argv], input=stdin, stdin=None if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env(env), cwd="/",
        text=True, timeout=timeout, **as_user())
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(str(a) for a in argv)[:300]} ended with "
                           f"{done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def wait_until(what, probe, timeout=15.0, every=0.02):
    """Call probe() until it answers something true; returns that. Tells what it waited for."""
    deadline = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}; last answer: {value!r}")
        time.sleep(every)


def free_port():
    """A loopback port on which nothing listens; never the same twice in one process."""
    global _ports
    if _ports is None:
        low, high = map(int, os.environ.get("PGWEIR_TEST_PORTS", "21000-31999").split("-"))
        first = random.randrange(low, high + 1)
        _ports = iter(list(range(first, high + 1)) + list(range(low, first)))
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port left in PGWEIR_TEST_PORTS")


def _stat_fields(pid):
    """Fields of /proc/PID/stat from `state` on; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            line = f.read()
    except OSError:
        return None
    return line[line.rindex(b")") + 2:].split()


def is_alive(pid):
    fields = _stat_fields(pid)
    return fields is not None and fields[0] not in (b"Z", b"X")


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat_fields(name)
            if fields and int(fields[1]) == pid:
                found.append(int(name))
    return found


def send_signal(pid, signo):
    try:
        os.kill(pid, signo)
    except ProcessLookupError:
        pass


def cpu_us(pid):
    """CPU time of a process's present threads so far, in µs; /proc/PID/stat counts by 10 ms."""
    total_ns = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
            total_ns += int(f.read().split()[0])
    return total_ns / 1000


def switches(pid):
    """Context switches of a process's present threads so far."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8") as f:
            total += sum(int(line.split()[1]) for line in f if "ctxt_switches:" in line)
    return total


def status_kib(pid, key):
    """A kB value of /proc/PID/status: VmRSS, VmHWM …"""
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise KeyError(key)


def n_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
