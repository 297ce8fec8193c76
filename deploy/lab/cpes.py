# SPDX-License-Identifier: Apache-2.0
"""The lab's side of the simulated CPEs (cpe.py): starts the process and speaks to its control socket."""

import json
import os
import pathlib
import socket
import sys

from .process import Process, own
from .wait import LabError, wait_until


class Cpes:
    def __init__(self, folder, pg, radius, nas):
        self.folder = folder / "cpe"
        self.folder.mkdir()
        own(self.folder)
        self.control = self.folder / "control"
        config = self.folder / "config.json"
        config.write_text(json.dumps({
            "control": str(self.control), "database": pg.url("nas", "nas"), "radius_host": radius.host,
            "nas": [{"name": one.name, "address": one.address, "secret": one.secret, "auth_port": radius.auth_port,
                     "acct_port": radius.acct_port} for one in nas]}), encoding="utf-8")
        config.chmod(0o600)
        own(config)
        package = pathlib.Path(__file__).resolve().parent.parent
        # -B: no bytecode beside the sources
        self.process = Process("cpe", [sys.executable, "-B", "-m", "lab.cpe", config], self.folder / "cpe.log",
                               env={"PATH": os.defpath, "PYTHONPATH": str(package), "LANG": "C.UTF-8",
                                    "HOME": str(self.folder)}, cwd=self.folder,
                               drop=False)     # its program lies in the tree, which the unprivileged user may not see
        self._stream = None

    def spawn(self):
        self.control.unlink(missing_ok=True)
        self.process.spawn()

    def wait_ready(self):
        self.process.wait_line("^ready$", 20)

    def start(self):
        self.spawn()
        self.wait_ready()

    def stop(self):
        self._hang_up()
        self.process.stop()

    def _hang_up(self):
        if self._stream:
            self._stream.close()
            self._stream = None

    def _ask(self, command, **arguments):
        self.process.check()
        if self._stream is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(10)
            sock.connect(str(self.control))
            self._stream = sock.makefile("rwb")
            sock.close()                # the stream keeps it open
        self._stream.write(json.dumps({"command": command, **arguments}).encode() + b"\n")
        self._stream.flush()
        answer = json.loads(self._stream.readline())
        if not answer["ok"]:
            raise LabError(f"cpe {command}: {answer['error']}")
        return answer["value"]

    def add(self, user, password, **options):
        """A CPE that dials at once (dial=False: waits for dial()). Options: auth="chap"|"pap", nas=name, redial_ms,
        retry_ms (0: stays out when rejected), interim_ms, hold="accept"|"start", start_delay_ms."""
        self._ask("add", user=user, password=password, **options)

    def set(self, user, **options):
        """Changes options of add(), from the next dial on."""
        self._ask("set", user=user, **options)

    def dial(self, user):
        self._ask("dial", user=user)

    def release(self, user):
        """Lets go what `hold` held back."""
        self._ask("release", user=user)

    def hangup(self, user):
        """The customer switches the CPE off: Accounting-Stop, no redial."""
        self._ask("hangup", user=user)

    def state(self, user):
        """{"user", "nas", "state": off|login|held|online|rejected|waiting, "session", "framed_ip", "rate" and
        "addrlist" (as the NAS holds them now), "start_sent", "accepts", "rejects", "disconnects", "message"}."""
        return self._ask("state", user=user)[0]

    def states(self):
        return {one["user"]: one for one in self._ask("state")}

    def wait(self, user, state, timeout_s=20, **expected):
        """Waits until the CPE is in that state (and its other fields equal `expected`); returns state(user)."""
        last = {}

        def reached():
            last.update(self.state(user))
            return last["state"] == state and all(last[key] == value for key, value in expected.items()) and dict(last)
        try:
            return wait_until(reached, f"{user} to be {state} {expected or ''}".rstrip(), timeout_s)
        except LabError as error:
            raise LabError(f"{error}; it is {last}") from None

    def clear(self):
        """Every CPE is forgotten, without accounting."""
        self._ask("clear")
