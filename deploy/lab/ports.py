# SPDX-License-Identifier: Apache-2.0
"""Ports on loopback for one lab.

Ports lie below the kernel's ephemeral range: a client that keeps dialling a port there while its server restarts
could be given that very port as its own source port, and would then be connected to itself. Without a chosen base a
lab reserves a block of 200 ports by binding an abstract unix socket, which the kernel frees when the process ends,
however it ends: two labs at the same time never share a block, and no lock file remains.
"""

import glob
import os
import random
import socket

from .wait import LabError

BLOCK = 200
FIRST, LAST = 20000, 32000


def _can_bind(kind, address, port):
    with socket.socket(socket.AF_INET, kind) as sock:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError:
            return False
    return True


def is_free(port, address="127.0.0.1"):
    """True when nothing holds the port, neither TCP nor UDP, neither on this address nor on all of them."""
    return _can_bind(socket.SOCK_STREAM, address, port) and _can_bind(socket.SOCK_DGRAM, address, port)


def holder(port):
    """Who holds the port: 'name (pid N)', or None when it cannot be seen (other user, or nobody)."""
    inodes = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        try:
            with open(f"/proc/net/{table}", encoding="ascii") as lines:
                for line in list(lines)[1:]:
                    fields = line.split()
                    listening = fields[3] == "0A" or table.startswith("udp")
                    if listening and int(fields[1].rsplit(":", 1)[1], 16) == port:
                        inodes.add(f"socket:[{fields[9]}]")
        except FileNotFoundError:
            continue
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) in inodes:
                pid = link.split("/")[2]
                with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                    return f"{comm.read().strip()} (pid {pid})"
        except OSError:
            continue
    return None


class Ports:
    """take(name) hands out the next port of the block.

    base=None: a free block is chosen, ports in use are skipped. With a base: base, base + 1, ... exactly; a port in
    use is a LabError that names the port, what it was wanted for and the process that holds it.
    """

    def __init__(self, base=None):
        self.chosen = base is not None
        self.given = {}
        self._reservation = None
        self._next = base if self.chosen else self._reserve_block()
        self._end = self._next + BLOCK

    def _reserve_block(self):
        bases = list(range(FIRST, LAST, BLOCK))
        random.SystemRandom().shuffle(bases)
        for base in bases:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                sock.bind(f"\0silver-lab-ports-{base}")
            except OSError:
                sock.close()
                continue
            self._reservation = sock
            return base
        raise LabError("every block of ports is taken by another running lab: stop one of them")

    def take(self, name, address="127.0.0.1"):
        while self._next < self._end:
            port = self._next
            self._next += 1
            if is_free(port, address):
                self.given[name] = port
                return port
            if self.chosen:
                raise LabError(f"port {port} (wanted for {name}) is in use by "
                               f"{holder(port) or 'a process of another user'}: stop it or choose another base port")
        raise LabError(f"no free port left for {name} in the lab's block of {BLOCK}")

    def close(self):
        if self._reservation:
            self._reservation.close()
            self._reservation = None
