"""A daemon that is replaced by `pgweir --takeover`, again and again."""
import os
import re
import signal
import subprocess

from tools import proc

SETTINGS = {"takeover_socket": "{folder}/takeover"}


class Succession:
    """`daemon` stays the one to talk to; `pid` is the process that serves now."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.pids = [daemon.pid]

    @property
    def pid(self):
        return self.pids[-1]

    def replace(self, option="--takeover"):
        """Have another process take over; returns the number of the one before."""
        old = self.pid
        text = proc.run([self.daemon.site.binary, option, self.daemon.config])
        self.pids.append(int(re.search(r"process (\d+) has taken over", text).group(1)))
        return old

    def refused(self):
        """What --takeover says when it does not come about."""
        done = subprocess.run([self.daemon.site.binary, "--takeover", self.daemon.config],
                              text=True, capture_output=True, check=False,
                              env=proc.clean_env(), **proc.as_user())
        assert done.returncode == 1
        return done.stderr

    def wait_ended(self, pid, timeout=20):
        proc.wait_until(f"process {pid} to end", lambda: not proc.is_alive(pid),
                        timeout * self.daemon.slow)

    def stop(self):
        os.kill(self.pid, signal.SIGQUIT)
        for pid in self.pids:
            self.wait_ended(pid)
        status = self.daemon.process.wait()
        self.daemon.forget()
        self.daemon.check_log()
        assert status == 0
