# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL cluster with the databases `radius`, `nas` and `silver`.

  radius  FreeRADIUS's own schema and grants (Debian's schema.sql and setup.sql), then every deploy/sql/radius-*.sql
  nas     the session table of the NAS stand-ins (out of the reach of the product's roles)
  silver  deploy/sql/ledger-roles.sql; the tables are silverd's own work

The product's roles come from the files that an operator applies, so that their grants are what is tested.

Superuser only over the unix socket in the lab's folder; every role logs in over TCP with a password (SCRAM).
psycopg2 is imported where it is used, so that a machine without it gets a sentence instead of a stack trace.
"""

import contextlib
import glob
import os
import pathlib
import secrets
import shutil
import signal
import subprocess

from .process import Process, own, run_as
from .wait import LabError

ROLES = ("radius", "nas", "silver_worker", "silver_ledger", "silver_reader")
RADIUS_SQL = pathlib.Path("/etc/freeradius/3.0/mods-config/sql/main/postgresql")
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent

NAS_SQL = """
CREATE TABLE nas_session (
    acctsessionid text PRIMARY KEY,
    nas           text NOT NULL,
    username      text NOT NULL,
    framedip      text NOT NULL,
    rate          text,
    addrlist      text,
    started_at    timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION nas_session_gone() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('nas_session_gone', OLD.acctsessionid); RETURN NULL; END $$;
CREATE TRIGGER gone AFTER DELETE ON nas_session FOR EACH ROW EXECUTE FUNCTION nas_session_gone();
GRANT SELECT, INSERT, UPDATE, DELETE ON nas_session TO nas;
"""


def read_protected(path):
    """Text of a file that only root and the group freerad may read (FreeRADIUS keeps passwords beside its schema)."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LabError(f"{path} is missing: sh deploy/packages/install run") from None
    except PermissionError:
        sudo = shutil.which("sudo")
        done = sudo and subprocess.run([sudo, "-n", "cat", str(path)], capture_output=True, text=True, check=False)
        if done and done.returncode == 0:
            return done.stdout
        raise LabError(f"{path} may be read by root and the group freerad only: "
                       "run as root, with sudo, or as a member of that group") from None


class PostgreSQL:
    """Attributes: host, port, socket_dir, passwords {role: password}."""

    def __init__(self, folder, ports):
        self.folder = folder / "pg"
        self.host = "127.0.0.1"
        self.port = ports.take("postgresql")
        self.socket_dir = self.folder
        self.passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
        self.bin = _bindir()
        self._made = False
        self.folder.mkdir(mode=0o700)
        own(self.folder)
        if len(f"{self.folder}/.s.PGSQL.{self.port}") > 100:
            raise LabError(f"the path of the lab's folder is too long for a unix socket: {folder}")
        # SIGINT: fast shutdown. SIGQUIT if the lab dies: the postmaster ends at once but frees its shared memory.
        self.process = Process("postgresql", [
            self.bin / "postgres", "-D", self.folder / "data", "-p", self.port], self.folder / "postgresql.log",
            env=_env(self.folder), cwd=self.folder, stop_signal=signal.SIGINT, death_signal=signal.SIGQUIT)

    # ---- life

    def spawn(self):
        if not (self.folder / "data").exists():
            self._initdb()
        self.process.spawn()

    def _initdb(self):
        data = self.folder / "data"
        user = run_as()[0]
        done = subprocess.run([self.bin / "initdb", "-D", data, "-U", "postgres", "--auth-local=trust",
                               "--auth-host=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
                               "--no-instructions"],
                              cwd=self.folder, env=_env(self.folder), capture_output=True, text=True, check=False,
                              **user)
        if done.returncode != 0:
            raise LabError(f"initdb failed: {done.stderr.strip()[-600:]}")
        with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write(f"listen_addresses = '{self.host}'\nunix_socket_directories = '{self.socket_dir}'\n"
                       # Need not survive a crash of the machine; a crash of the server it does survive.
                       "fsync = off\nfull_page_writes = off\n"
                       "dynamic_shared_memory_type = mmap\nshared_buffers = '32MB'\nmax_connections = 60\n"
                       "max_wal_size = '256MB'\njit = off\nlog_min_messages = warning\n"
                       "log_line_prefix = '%m [%p] %u@%d '\n")

    def wait_ready(self):
        self.process.wait_ready(self._answers, 30)
        if not self._made:
            self._make_databases()
            self._made = True

    def _answers(self):
        psycopg2 = _psycopg2()
        try:
            self.admin("postgres").close()
            return True
        except psycopg2.OperationalError:
            return False

    def start(self):
        self.spawn()
        self.wait_ready()

    def stop(self):
        self.process.stop()

    def restart(self):
        self.stop()
        self.start()

    def kill(self):
        """Ends it without a shutdown, as a crash would (SIGQUIT: kill -9 would leave shared memory behind)."""
        self.process.signal(signal.SIGQUIT)
        self.process.stop()

    # ---- databases

    def _make_databases(self):
        with self.session("postgres") as cursor:
            cursor.execute("CREATE ROLE nas LOGIN PASSWORD %s", (self.passwords["nas"],))
            for database in ("radius", "nas", "silver"):
                cursor.execute(f"CREATE DATABASE {database}")
        self.apply("radius", read_protected(RADIUS_SQL / "schema.sql"), "FreeRADIUS's schema.sql")
        self.apply("radius", read_protected(RADIUS_SQL / "setup.sql"), "FreeRADIUS's setup.sql")
        for path in sorted(REPOSITORY.glob("deploy/sql/radius-*.sql")):
            self.apply("radius", path.read_text(encoding="utf-8"), path.name)
        self.apply("silver", (REPOSITORY / "deploy/sql/ledger-roles.sql").read_text(encoding="utf-8"),
                   "ledger-roles.sql", ledger_password=self.passwords["silver_ledger"],
                   reader_password=self.passwords["silver_reader"])
        self.apply("nas", NAS_SQL, "the table of sessions")
        with self.session("postgres") as cursor:
            for role in ("radius", "silver_worker"):
                cursor.execute(f"ALTER ROLE {role} LOGIN PASSWORD %s", (self.passwords[role],))

    def apply(self, database, sql, what, **variables):
        """A script as an operator would apply it: psql, superuser, stop at the first error."""
        argv = [self.bin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.socket_dir, "-p", str(self.port),
                "-U", "postgres", "-d", database]
        for name, value in variables.items():
            argv += ["-v", f"{name}={value}"]
        done = subprocess.run(argv, input=sql, env=_env(self.folder), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"{what} could not be applied to the database {database}: {done.stderr.strip()[-600:]}")

    def empty_silver(self):
        """The ledger's tables are dropped (silverd makes them again), its sessions are ended; grants stay."""
        with self.session("silver") as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                           "WHERE datname = 'silver' AND pid <> pg_backend_pid()")
            cursor.execute("DROP SCHEMA IF EXISTS silver CASCADE")

    def empty_radius(self):
        """Every row of the RADIUS database is deleted, of the product's own tables too; the schema stays."""
        with self.session("radius") as cursor:
            cursor.execute("SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables "
                           "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
            cursor.execute(f"TRUNCATE {cursor.fetchone()[0]} RESTART IDENTITY")

    def url(self, database, role):
        """libpq URI with the role's password."""
        return f"postgresql://{role}:{self.passwords[role]}@{self.host}:{self.port}/{database}"

    def connect(self, database, role):
        """psycopg2 connection as one of ROLES, over TCP, autocommit."""
        connection = _psycopg2().connect(self.url(database, role))
        connection.autocommit = True
        return connection

    def admin(self, database):
        """psycopg2 connection as superuser over the unix socket, autocommit."""
        connection = _psycopg2().connect(host=str(self.socket_dir), port=self.port, user="postgres", dbname=database)
        connection.autocommit = True
        return connection

    @contextlib.contextmanager
    def session(self, database):
        connection = self.admin(database)
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def query(self, database, sql, *args):
        """Rows (list of tuples) of one statement as superuser; [] for a statement without rows."""
        with self.session(database) as cursor:
            cursor.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else []


def _bindir():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    if not found:
        raise LabError("postgresql is not installed: sh deploy/packages/install run")
    return pathlib.Path(found[-1]).parent


def _env(home):
    return {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def _psycopg2():
    try:
        import psycopg2
    except ImportError:
        raise LabError("python3-psycopg2 is missing (sh deploy/packages/install run), "
                       "or this is not Debian's /usr/bin/python3") from None
    return psycopg2
