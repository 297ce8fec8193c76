# SPDX-License-Identifier: Apache-2.0
"""silver-sim from Python: start it, ask its control socket, and sit at a console through OpenSSH's client."""

import json
import os
import pathlib
import pwd
import re
import selectors
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PASSWORD = "s3cret"
PROMPT = re.compile(rb"\r\n[A-Za-z0-9_.\-]+(\(config[^)\r\n]*\))?[>#]$")


def binary():
    build = pathlib.Path(os.environ.get("SILVER_BUILD", ROOT / "build" / "gcc"))
    return build / "tests" / "sim" / "silver-sim"


def wait_until(what, check, seconds=10.0):
    """Waits for check() to be true; the one place where tests wait."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def olt_config(name="olt-1", **changes):
    """An OLT with what most tests need; `changes` are settings of the configuration file."""
    return {
        "name": name, "port": 0, "user": "silver", "password": PASSWORD, "hostname": "MA5608T", "latency_ms": 0,
        "save_ms": 30, "boards": [{"frame": 0, "slot": 1, "ports": 8}],
        "line_profiles": [{"id": 10, "name": "line_10", "gems": [{"index": 1, "vlan": 110}, 2]},
                          {"id": 20, "name": "line_20", "gems": [2]}],
        "service_profiles": [{"id": 10, "name": "srv_10", "eth": 4}],
        "vlans": [100, 110],
        "traffic_tables": [{"index": 9, "cir": 102400, "name": "DOWN_100M"}, {"index": 11, "cir": 51200},
                           {"index": 6, "cir": 0, "policy": "tag-in-package"}],
        "autofind": [{"fsp": "0/1/0", "sn": "4857544311E70E9A", "rx_dbm": -21.4}],
        **changes,
    }


class Simulator:
    """One silver-sim process in a folder of its own. `olts` are objects of the configuration file."""

    def __init__(self, folder, *olts):
        self.folder = pathlib.Path(folder)
        self.control = self.folder / "control.sock"
        self.config = self.folder / "sim.json"
        self.config.write_text(json.dumps({
            "control": str(self.control), "host_key": str(self.folder / "host_key"),
            "state_dir": str(self.folder / "state"), "olts": list(olts) or [olt_config()]}))
        self.process = None
        self.ports = {}

    def start(self):
        errors = open(self.folder / "sim.log", "ab")
        self.process = subprocess.Popen([binary(), "--config", self.config], stdout=subprocess.PIPE, stderr=errors,
                                        stdin=subprocess.DEVNULL, text=True)
        errors.close()
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            self.process.kill()
            self.process.wait()
            raise AssertionError("silver-sim did not start: " + (self.folder / "sim.log").read_text())
        self.ports = json.loads(line[6:])
        return self

    def stop(self):
        """Ends the process; its exit code (a sanitizer's report makes it non-zero)."""
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait(timeout=20)
        self.process.stdout.close()
        self.process = None
        return code

    def ask(self, op, olt="olt-1", **more):
        """One request; fails the test when the answer is not ok."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.control))
            s.sendall(json.dumps({"op": op, "olt": olt, **more}).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = s.recv(65536)
                if not part:
                    break
                answer += part
        answer = json.loads(answer)
        assert answer["ok"], answer
        return answer

    def fault(self, kind, olt="olt-1", **order):
        self.ask("fault", olt, fault={"kind": kind, **order})

    def console(self, olt="olt-1", **more):
        return Console(self.folder, self.ports[olt], **more)


class OpenSshFront:
    """An OpenSSH server on a port of its own whose only command is a console of one simulated OLT (key login)."""

    def __init__(self, sim, olt="olt-1"):
        self.folder = sim.folder / f"sshd-{olt}"
        self.folder.mkdir()
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.key = self.folder / "user_key"
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (self.folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder}/host_key\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder}/user_key.pub\nStrictModes no\nPasswordAuthentication no\n"
            f"PermitRootLogin yes\nForceCommand {binary()} relay {sim.control} {olt}\n")
        self.made = None                                        # sshd as root insists on this folder
        if os.getuid() == 0 and not os.path.isdir("/run/sshd"):
            os.mkdir("/run/sshd", 0o755)
            self.made = "/run/sshd"
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "config"], stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_until("sshd listens", self._listens)

    def _listens(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return "Server listening" in (self.folder / "log").read_text()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10)
        if self.made:
            os.rmdir(self.made)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Closed(Exception):
    """The device ended the connection."""


class Console:
    """ssh -tt with pipes: the device's bytes as they are, the password by SSH_ASKPASS."""

    def __init__(self, folder, port, password=PASSWORD, method="keyboard-interactive,password", user="silver",
                 key=None):
        askpass = pathlib.Path(folder) / "askpass"
        if not askpass.exists():
            askpass.write_text("#!/bin/sh\nprintf '%s\\n' \"$SIM_PASSWORD\"\n")
            askpass.chmod(0o700)
        self.known_hosts = pathlib.Path(folder) / "known_hosts"
        argv = ["ssh", "-F", "none", "-tt", "-p", str(port), "-o", f"UserKnownHostsFile={self.known_hosts}",
                "-o", "StrictHostKeyChecking=accept-new",
                *(["-i", str(key)] if key else ["-o", "PubkeyAuthentication=no"]), "-o", "IdentitiesOnly=yes",
                "-o", f"PreferredAuthentications={'publickey' if key else method}", "-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=ERROR",
                f"{user}@127.0.0.1"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force",
                                             "SIM_PASSWORD": password})
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.pending = b""
        self.closed = False

    def read_until(self, pattern, seconds=10.0):
        """What was sent up to and with the pattern; Closed when the link ends before (its bytes stay in pending)."""
        pattern = re.compile(pattern) if isinstance(pattern, bytes) else pattern
        end = time.monotonic() + seconds
        while True:
            match = pattern.search(self.pending)
            if match:
                taken, self.pending = self.pending[:match.end()], self.pending[match.end():]
                return taken
            if self.closed:
                raise Closed(self.pending)
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{pattern.pattern!r} not in {self.pending!r}")
            if self.selector.select(left):
                part = os.read(self.process.stdout.fileno(), 65536)
                self.pending += part
                self.closed = not part

    def silent(self, seconds):
        """Nothing comes for that long."""
        return not self.pending and not self.selector.select(seconds)

    def send(self, text):
        self.process.stdin.write(text.encode("latin-1"))
        self.process.stdin.flush()

    def login(self):
        """The banner with the first prompt."""
        return self.read_until(PROMPT).decode()

    def run(self, line, until=PROMPT):
        """Types a line; all that the device sends up to the next prompt, echo included."""
        self.send(line + "\r")
        return self.read_until(until).decode()

    def runs(self, *lines):
        return "".join(self.run(line) for line in lines)

    def ended(self, seconds=10.0):
        """The rest of what was sent, when the device has ended the connection."""
        try:
            self.read_until(rb"(?!)", seconds)
        except Closed:
            return self.pending.decode("latin-1")
        raise AssertionError("the connection is still there")

    def close(self):
        self.selector.close()
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
