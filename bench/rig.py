"""pgweir between bench/drive.c and bench/fakepg.c: what is measured there is pgweir alone."""
import contextlib
import os
import shutil
import subprocess
import tempfile

from tools import proc

import contenders

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ORDER_SECONDS = 300
MODES = ("simple", "extended", "prepared")


@contextlib.contextmanager
def folder():
    """A temporary one, in which the servers' user may work."""
    path = tempfile.mkdtemp(prefix="pgweir-rig-", dir="/tmp")
    os.chmod(path, 0o755)
    proc.give_to_service_user(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def fake_server(path, is_unix=False):
    """fakepg on a free port, or behind a unix socket: the contenders' Back."""
    port = proc.free_port()
    back = contenders.Back(f"{path}/.s.PGSQL.{port}" if is_unix else port)
    process = proc.spawn([contenders.compile_tool("fakepg", path), back.where],
                         f"{path}/fakepg.log")
    try:
        yield back
    finally:
        process.kill()
        process.wait()


class Drive:
    """Clients that are logged in, and what they are told to do. `database` and `mode` may be of
    several each: see drive.c."""

    def __init__(  # pylint: disable=too-many-arguments,too-many-positional-arguments
            self, path, target, clients, mode, sql=None, database=contenders.USER):
        command = [contenders.compile_tool("drive", path), target, contenders.USER, database,
                   str(clients), mode, *([sql] if sql else [])]
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        self._line("ready")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(ORDER_SECONDS)
        self.process.stdout.close()

    def _line(self, begin):
        line = self.process.stdout.readline()
        if not line.startswith(begin):
            raise RuntimeError(f"drive ended with {self.process.wait()} instead of saying {begin}")
        return line

    def order(self, text):
        """{name: number} of what came of it."""
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        words = self._line("done=").split()
        found = {k: float(v) for k, v in (word.split("=") for word in words)}
        if found["failed"]:
            raise RuntimeError(f"{found['failed']:.0f} errors")
        return found
