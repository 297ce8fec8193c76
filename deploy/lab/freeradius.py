# SPDX-License-Identifier: Apache-2.0
"""FreeRADIUS on the private PostgreSQL, and NAS stand-ins that receive CoA and Disconnect.

The server is 127.0.0.1; the provisioner is its static client at 127.0.0.1; each NAS has an address of its own in
127.0.0.0/8, a row in the table `nas`, and listens there for CoA with another secret than its RADIUS secret, so that
code which mixes up addresses or secrets is seen.
"""

import os
import pathlib
import secrets

from .postgresql import RADIUS_SQL, read_protected
from .process import Process, own

TEMPLATES = pathlib.Path(__file__).resolve().parent / "freeradius"
SUSPENDED_GROUP = "suspended"


class _Radiusd:
    """One freeradius process of a private folder with a filled-in configuration."""

    def __init__(self, name, folder, template, values):
        self.folder = folder
        folder.mkdir()
        own(folder)
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        for key, value in {"FOLDER": folder, **values}.items():
            text = text.replace(f"@{key}@", str(value))
        # `dictionary` must exist beside the configuration; the log is opened by the unprivileged user
        for file, content in (("radiusd.conf", text), ("dictionary", ""), ("radius.log", "")):
            self.file(file, content)
        self.process = Process(name, ["/usr/sbin/freeradius", "-f", "-d", folder], folder / "radius.log",
                               env={"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8"}, cwd=folder)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o640)
        own(path)

    def spawn(self):
        self.process.spawn()

    def wait_ready(self):
        self.process.wait_line("Ready to process requests", 30)

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


class FreeRADIUS(_Radiusd):
    """Attributes: host, auth_port, acct_port, client_secret (for requests from 127.0.0.1).

    client_lifetime_s: how long the answer of the table `nas` for an address is kept.
    """

    def __init__(self, folder, ports, pg, client_lifetime_s=60):
        self.pg = pg
        self.host = "127.0.0.1"
        self.auth_port = ports.take("radius-auth")
        self.acct_port = ports.take("radius-acct")
        self.client_secret = secrets.token_urlsafe(12)
        super().__init__("freeradius", folder / "radius", "radiusd.conf", {
            "HOST": self.host, "AUTH_PORT": self.auth_port, "ACCT_PORT": self.acct_port, "SQL_HOST": pg.host,
            "SQL_PORT": pg.port, "SQL_PASSWORD": pg.passwords["radius"], "CLIENT_SECRET": self.client_secret,
            "CLIENT_LIFETIME": client_lifetime_s})
        self.file("queries.conf", read_protected(RADIUS_SQL / "queries.conf"))

    def add_suspended_group(self):
        """The ISP's own rows: who is in this group is rejected, with words."""
        with self.pg.session("radius") as cursor:
            cursor.execute("INSERT INTO radgroupcheck (groupname, attribute, op, value) "
                           "VALUES (%s, 'Auth-Type', ':=', 'Reject')", (SUSPENDED_GROUP,))
            cursor.execute("INSERT INTO radgroupreply (groupname, attribute, op, value) "
                           "VALUES (%s, 'Reply-Message', ':=', 'Servicio suspendido')", (SUSPENDED_GROUP,))


class Nas(_Radiusd):
    """Attributes: name, address, coa_port, secret (its packets to the RADIUS server), coa_secret (CoA to it)."""

    def __init__(self, folder, ports, pg, name, address):
        self.pg = pg
        self.name = name
        self.address = address
        self.coa_port = ports.take(f"coa-{name}", address)
        self.secret = secrets.token_urlsafe(12)
        self.coa_secret = secrets.token_urlsafe(12)
        super().__init__(f"nas {name}", folder / f"nas-{name}", "nas.conf", {
            "HOST": address, "COA_PORT": self.coa_port, "COA_SECRET": self.coa_secret, "NAS": name,
            "SQL_HOST": pg.host, "SQL_PORT": pg.port, "SQL_PASSWORD": pg.passwords["nas"]})

    def add_row(self):
        """Its row in the table `nas` of the RADIUS database."""
        self.pg.query("radius", "INSERT INTO nas (nasname, shortname, type, secret) VALUES (%s, %s, 'other', %s)",
                      self.address, self.name, self.secret)

    def sessions(self, username=None):
        """[{"acctsessionid", "username", "framedip", "rate", "addrlist"}] of this NAS, oldest first."""
        names = ("acctsessionid", "username", "framedip", "rate", "addrlist")
        rows = self.pg.query("nas", f"SELECT {', '.join(names)} FROM nas_session WHERE nas = %s "
                             "AND (%s IS NULL OR username = %s) ORDER BY started_at, acctsessionid",
                             self.name, username, username)
        return [dict(zip(names, row)) for row in rows]
