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


def compile_tool(name, folder, *libraries):
    """bench/NAME.c; returns the program."""
    program = f"{folder}/{name}"
    if not os.path.exists(program):
        subprocess.run(["cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", "-o", program,
                        f"{TOP}/bench/{name}.c", *libraries], check=True)
    return program


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
def fake_server(path):
    """fakepg on a free port, which is returned."""
    port = proc.free_port()
    process = proc.spawn([compile_tool("fakepg", path), port], f"{path}/fakepg.log")
    try:
        yield port
    finally:
        process.kill()
        process.wait()


class Drive:
    """Clients that are logged in, and what they are told to do."""

    def __init__(self, path, port, clients, mode, sql=None):
        command = [compile_tool("drive", path), str(port), contenders.USER, contenders.USER,
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


class Counted(contenders.Pgweir):
    """pgweir with one worker, with a command that runs it and settings of its own."""

    name = "counted"

    def __init__(self, path, server_port, program, before=(), more="io_engine = epoll\n",
                 pool_size=20):
        super().__init__(path, server_port, pool_size, program)
        self.before = list(before)
        self.more = "workers = 1\n" + more

    def command(self):
        return [*self.before, *super().command()]
