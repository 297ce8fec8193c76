# SPDX-License-Identifier: Apache-2.0
"""Simulated OLTs (tests/sim) as children of a lab; the settings of an OLT are described in tests/sim/README.md."""

import json
import secrets
import socket
import subprocess

from .wait import LabError


class Sim:
    """One silver-sim process with its OLTs, not yet started. A port and a password of its own are filled in for each
    OLT that has none; they stay the same over a restart, and so does what the OLTs have saved.

    Attributes: process, control, olts {name: settings}.
    """

    def __init__(self, lab, program, olts, name="silver-sim"):
        self.folder = lab.new_folder(name)
        self.control = self.folder / "control"
        self.olts = {}
        for olt in olts:
            port = olt["port"] if "port" in olt else lab.ports.take(olt["name"])
            self.olts[olt["name"]] = {"user": "silver", "password": secrets.token_urlsafe(12), **olt, "port": port}
        config = self.folder / "config.json"
        config.write_text(json.dumps({
            "control": str(self.control), "host_key": str(self.folder / "host_key"),
            "state_dir": str(self.folder / "state"), "olts": list(self.olts.values())}), encoding="utf-8")
        config.chmod(0o600)
        self.process = lab.child(name, [program, "--config", config])

    def start(self):
        self.process.spawn()
        self.process.wait_line(r"^ready ", 20)
        return self

    def stop(self):
        self.process.stop()

    def kill(self):
        """The OLTs lose power: what was not saved is gone, sessions are cut."""
        self.process.kill()

    def ask(self, op, olt=None, **more):
        """One request to the control socket; LabError when it is refused."""
        self.process.check()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(self.control))
            sock.sendall(json.dumps({"op": op, "olt": olt or next(iter(self.olts)), **more}).encode() + b"\n")
            with sock.makefile("rb") as stream:
                answer = json.loads(stream.readline())
        if not answer["ok"]:
            raise LabError(f"silver-sim {op}: {answer['error']}")
        return answer

    def state(self, olt=None):
        """What the OLT holds now: its running and saved configuration, ONUs, sessions."""
        return self.ask("state", olt)

    def fault(self, kind, olt=None, **order):
        self.ask("fault", olt, fault={"kind": kind, **order})

    def counters(self, olt=None):
        return self.ask("counters", olt)

    def host_key(self):
        """The fingerprint that the inventory holds (SHA256:...), as ssh-keygen says it."""
        done = subprocess.run(["ssh-keygen", "-l", "-f", str(self.folder / "host_key")], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"ssh-keygen cannot read the simulator's host key: {done.stderr.strip()}")
        return done.stdout.split()[1]

    def target(self, olt, password, **options):
        """The OLT's entry in an inventory; `password` is a reference such as {"$secret": "file:/..."}."""
        settings = self.olts[olt]
        return {"id": olt, "driver": "huawei-smartax", "address": settings.get("listen", "127.0.0.1"), "port": settings["port"],
                "credential": {"user": settings["user"], "password": password}, "host_key": self.host_key(), **options}
