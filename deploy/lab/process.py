# SPDX-License-Identifier: Apache-2.0
"""One child process of the lab: started with its output in a log, stopped by its pid, dead when the lab is dead.

The kernel sends each child its death signal when this process ends in any way (PR_SET_PDEATHSIG), kill -9 included.
It is tied to the thread that forked, so children are started by the main thread only. It is also forgotten when a
process changes its user, which is why the user is changed before it is set (subprocess does so) and why no child runs
through su, sudo, setpriv or a shell that would stay between.
"""

import ctypes
import os
import pwd
import re
import signal
import subprocess
import threading

from .wait import PATIENCE, LabError, wait_until

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

# The user of every server when the lab is run by root; else they run as whoever runs the lab.
UNPRIVILEGED = "nobody"


def run_as():
    """Keyword arguments for subprocess that drop root, and the (uid, gid) that results."""
    if os.geteuid() != 0:
        return {}, (os.geteuid(), os.getegid())
    entry = pwd.getpwnam(UNPRIVILEGED)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}, (entry.pw_uid, entry.pw_gid)


def own(path):
    """Gives a file or folder of the lab to the user that the servers run as."""
    uid, gid = run_as()[1]
    if os.geteuid() == 0:
        os.chown(path, uid, gid)
    return path


def _die_with_parent(parent, death_signal):
    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:      # the parent died between fork and prctl
            os._exit(1)
    return prepare


class Process:
    """name: for messages. log: path that gets stdout and stderr, appended. drop: run as the unprivileged user."""

    def __init__(self, name, argv, log, env=None, cwd=None, drop=True, stop_signal=signal.SIGTERM,
                 death_signal=signal.SIGKILL, stop_timeout_s=20):
        self.name = name
        self.argv = [str(arg) for arg in argv]
        self.log = str(log)
        self.env = env
        self.cwd = cwd
        self.drop = drop
        self.stop_signal = stop_signal
        self.death_signal = death_signal
        self.stop_timeout_s = stop_timeout_s
        self._popen = None
        self._log_start = 0

    @property
    def pid(self):
        return self._popen.pid if self._popen else None

    def spawn(self):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children are started by the main thread only (they die with the thread)")
        user = run_as()[0] if self.drop else {}
        self._log_start = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as out:
            try:
                self._popen = subprocess.Popen(
                    self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=self.env,
                    cwd=self.cwd, start_new_session=True, umask=0o022,
                    preexec_fn=_die_with_parent(os.getpid(), self.death_signal), **user)
            except FileNotFoundError:
                raise LabError(f"{self.name}: {self.argv[0]} is not installed "
                               "(deploy/packages/install build run test)") from None
        return self

    def alive(self):
        return self._popen is not None and self._popen.poll() is None

    def returncode(self):
        return self._popen.poll() if self._popen else None

    def log_text(self):
        """What it has written since the latest spawn()."""
        with open(self.log, encoding="utf-8", errors="replace") as text:
            text.seek(self._log_start)
            return text.read()

    def wait_line(self, pattern, timeout_s=60):
        """Waits until the log since the latest spawn() has a line that the regular expression finds; the match."""
        def found():
            return re.search(pattern, self.log_text(), re.MULTILINE)
        self.wait_ready(found, timeout_s)
        return found()

    def log_end(self, lines=6):
        return "\n".join("    " + line for line in self.log_text().splitlines()[-lines:])

    def check(self):
        """LabError when the process is gone: which, how it ended, its last lines, where its log is."""
        if self.alive():
            return
        code = self.returncode()
        how = "was never started" if code is None else (
            f"was ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}")
        raise LabError(f"{self.name} {how}; its log {self.log} ends with:\n{self.log_end()}")

    def wait_ready(self, condition, timeout_s=60):
        """Waits until condition() is true; fails at once when the process ends before."""
        def ready():
            self.check()
            return condition()
        try:
            wait_until(ready, f"{self.name} to be ready", timeout_s)
        except LabError as error:
            if "in vain" in str(error):
                raise LabError(f"{error}; its log {self.log} ends with:\n{self.log_end()}") from None
            raise

    def signal(self, number):
        if self.alive():
            self._popen.send_signal(number)

    def stop(self):
        """Asks it to end and waits; after stop_timeout_s it is killed. Nothing happens when it is not running."""
        if self._popen is None:
            return
        if self.alive():
            self._popen.send_signal(self.stop_signal)
            try:
                self._popen.wait(self.stop_timeout_s * PATIENCE)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        self._popen.wait()

    def kill(self):
        """kill -9, and waits until the kernel has taken it away."""
        if self.alive():
            self._popen.kill()
        if self._popen:
            self._popen.wait()
