# SPDX-License-Identifier: Apache-2.0
"""A lab: private instances of every server that silverd talks to, in one folder, on loopback.

    with Lab() as lab:                       # starts RabbitMQ, Redis, PostgreSQL, FreeRADIUS, one NAS
        lab.rabbitmq.url(lab.vhost)

Nothing but the folder is written, and it is removed at the end unless it was given or keep is set. Every process is a
child of this one and dies with it.
"""

import itertools
import os
import pathlib
import shutil
import signal
import tempfile

from .cpes import Cpes
from .freeradius import FreeRADIUS, Nas
from .ports import Ports
from .postgresql import PostgreSQL
from .process import Process, run_as
from .rabbitmq import RabbitMQ
from .redis import Redis
from .wait import LabError, wait_until


class Lab:
    """Attributes: folder (pathlib.Path), ports, redis, rabbitmq, pg, radius, nas {name: Nas}, cpes, vhost.

    folder     None: a new one under TMPDIR, removed at the end. Given: made if missing, must be empty, stays.
    base_port  None: free ports. Given: base_port, base_port + 1, ...; a port in use is a LabError.
    nas        names of the NAS stand-ins; they get 127.0.0.2, 127.0.0.3, ...
    rabbitmq   keyword arguments of RabbitMQ (consumer_timeout_ms, channel_tick_ms, management)
    """

    def __init__(self, folder=None, base_port=None, keep=False, nas=("bng-1",), rabbitmq=None):
        self.keep = keep or folder is not None
        self.folder = _make_folder(folder)
        self.vhost = "/"
        self._children = []
        self._servers = []
        try:
            self.ports = Ports(base_port)
            self.redis = Redis(self.folder, self.ports)
            self.rabbitmq = RabbitMQ(self.folder, self.ports, **(rabbitmq or {}))
            self.pg = PostgreSQL(self.folder, self.ports)
            self.radius = FreeRADIUS(self.folder, self.ports, self.pg)
            self.nas = {name: Nas(self.folder, self.ports, self.pg, name, f"127.0.0.{2 + i}")
                        for i, name in enumerate(nas)}
            self.cpes = Cpes(self.folder, self.pg, self.radius, self.nas.values())
        except BaseException:
            self.close()
            raise

    # ---- life

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Starts everything; the broker, which takes longest, boots while the others come up."""
        for server in (self.rabbitmq, self.redis, self.pg):
            self._servers.append(server)
            server.spawn()
        self.redis.wait_ready()
        self.pg.wait_ready()
        for server in (self.radius, *self.nas.values(), self.cpes):
            self._servers.append(server)
            server.start()
        self._add_isp_rows()
        self.rabbitmq.wait_ready()

    def _add_isp_rows(self):
        self.radius.add_suspended_group()
        for nas in self.nas.values():
            nas.add_row()

    def clean(self):
        """The state of a new lab, servers running: fresh vhost, empty Redis, RADIUS with the ISP's rows only, no
        session, empty ledger database. Children (silverd, simulators) must have been stopped before."""
        for server in self._servers:
            if not server.process.alive():      # a test that failed may have left it stopped
                server.start()
        self.cpes.clear()
        if self.vhost != "/":
            self.rabbitmq.delete_vhost(self.vhost)
        self.vhost = self.rabbitmq.new_vhost()
        self.redis.flush()
        self.pg.query("nas", "DELETE FROM nas_session")
        self.pg.empty_radius()
        self._add_isp_rows()
        self.pg.empty_silver()

    def check(self):
        """LabError when one of the servers is not running."""
        for server in self._servers:
            server.process.check()

    def child(self, name, argv, env=None, drop=False, **options):
        """A further process of the lab (silverd, silver-sim, ...), not yet started: a Process that is stopped with
        the lab. Its output goes to <folder>/<name>.log, its working folder is the lab's. It runs as this user;
        env is added to this process's environment."""
        process = Process(name, argv, self.folder / f"{name}.log", env={**os.environ, **(env or {})},
                          cwd=self.folder, drop=drop, **options)
        self._children.append(process)
        return process

    def new_folder(self, name):
        """A folder in the lab that nobody else uses, called name, or name-2, ... when a test before took that."""
        for free in itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2))):
            try:
                (self.folder / free).mkdir()
                return self.folder / free
            except FileExistsError:
                continue

    def secret(self, name, value):
        """Keeps a secret in a file of the lab that only this user reads; the reference to it."""
        folder = self.folder / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(value, encoding="utf-8")
        return {"$secret": f"file:{path}"}

    def radius_target(self, target_id="radius-1", **options):
        """The RADIUS server's entry in an inventory."""
        return {"id": target_id, "driver": "freeradius-sql",
                "sql": {"address": self.pg.host, "port": self.pg.port, "database": "radius", "user": "silver_worker",
                        "password": self.secret("radius-sql", self.pg.passwords["silver_worker"])},
                "auth": {"address": self.radius.host, "port": self.radius.auth_port, "nas_ip": "127.0.0.1",
                         "secret": self.secret("radius-client", self.radius.client_secret)}, **options}

    def nas_target(self, name="bng-1", radius="radius-1", **options):
        """A NAS's entry in an inventory."""
        nas = self.nas[name]
        return {"id": name, "driver": "radius-session", "radius": radius, "nas_address": nas.address,
                "coa": {"address": nas.address, "port": nas.coa_port,
                        "secret": self.secret(f"coa-{name}", nas.coa_secret)}, **options}

    def children(self):
        return list(self._children)

    def stop_children(self):
        """Stops what child() made, newest first; the servers stay."""
        while self._children:
            self._children.pop().stop()

    def processes(self):
        """[(pid, command line)] of every process that works in the lab's folder, children of children too."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                try:
                    cwd = os.readlink(f"/proc/{entry}/cwd")
                    words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
                if cwd == str(self.folder) or cwd.startswith(f"{self.folder}/"):
                    found.append((int(entry), words.strip()))
        return found

    def close(self):
        """Stops all, newest first, each by its pid; then no process works in the folder any more."""
        self.stop_children()
        while self._servers:
            self._servers.pop().stop()
        try:
            wait_until(lambda: not self.processes(), "the lab's processes to end", 10)
        except LabError:
            for pid, _ in self.processes():
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not self.processes(), "the lab's processes to be killed", 10)
        if hasattr(self, "ports"):
            self.ports.close()
        if not self.keep:
            shutil.rmtree(self.folder)


def _make_folder(folder):
    if folder is None:
        path = pathlib.Path(tempfile.mkdtemp(prefix="silver-lab-"))
    else:
        path = pathlib.Path(folder).resolve()
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise LabError(f"the folder {path} is not empty: name another one or remove it")
    path.chmod(0o755)
    uid = run_as()[1][0]
    for parent in path.parents:
        if os.geteuid() == 0 and not parent.stat().st_mode & 0o001 and parent.stat().st_uid != uid:
            raise LabError(f"the servers run unprivileged and cannot pass through {parent}: "
                           "choose a folder that others may search, or set TMPDIR")
    return path


def exit_on_signals():
    """SIGTERM and SIGHUP end the program as Ctrl-C does, so that `with Lab()` closes the lab."""
    def leave(number, _frame):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
