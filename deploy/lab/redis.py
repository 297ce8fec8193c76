# SPDX-License-Identifier: Apache-2.0
"""A private Redis: AOF on, noeviction, loopback port and unix socket.

A kill -9 of the server loses nothing that it answered: it writes to the AOF before it answers, and only a crash of the
machine could lose the second that is not yet fsynced.
"""

import socket

from .process import Process, own


class Redis:
    """Attributes: host, port, url, unix_socket."""

    def __init__(self, folder, ports):
        self.folder = folder / "redis"
        self.host = "127.0.0.1"
        self.port = ports.take("redis")
        self.url = f"redis://{self.host}:{self.port}"
        self.unix_socket = self.folder / "redis.sock"
        self.folder.mkdir()
        own(self.folder)
        # An absolute path, so that a save does not depend on the folder that the lab was started in.
        self.process = Process("redis-server", [
            "/usr/bin/redis-server", "--bind", self.host, "--port", self.port, "--unixsocket", self.unix_socket,
            "--dir", self.folder, "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction", "--databases", "16", "--daemonize", "no", "--protected-mode", "yes",
            "--enable-debug-command", "local"], self.folder / "redis.log")

    def command(self, *words):
        """One command in the RESP protocol; returns the decoded reply (str, int, None or list)."""
        with socket.create_connection((self.host, self.port), 5) as sock:
            parts = [str(word).encode() for word in words]
            sock.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            with sock.makefile("rb") as stream:
                return _reply(stream)

    def spawn(self):
        self.process.spawn()

    def wait_ready(self):
        self.process.wait_ready(self._answers, 20)

    def _answers(self):
        try:
            return self.command("PING") == "PONG"
        except (OSError, RuntimeError):     # not listening yet, or LOADING
            return False

    def start(self):
        self.spawn()
        self.wait_ready()

    def stop(self):
        self.process.stop()

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        self.start()

    def flush(self):
        """Everything is forgotten, as after an operator's FLUSHALL or the loss of the volume."""
        self.command("FLUSHALL")


def _reply(stream):
    line = stream.readline()
    if not line:
        raise ConnectionError("redis closed the connection")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"+":
        return rest
    if kind == b"-":
        raise RuntimeError(rest)
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == "-1" else stream.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
    if kind == b"*":
        return None if rest == "-1" else [_reply(stream) for _ in range(int(rest))]
    raise RuntimeError(f"not a Redis reply: {line!r}")
