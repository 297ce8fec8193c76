# SPDX-License-Identifier: Apache-2.0
"""A private RabbitMQ node with an epmd of its own.

Debian's /usr/sbin/rabbitmq-server changes to the user rabbitmq and to /var/lib/rabbitmq; the script under it,
/usr/lib/rabbitmq/bin/rabbitmq-server, takes everything from the environment. Two traps of it are avoided here:
  - it starts `epmd -daemon` when none answers, which outlives the node: epmd is our own child, the node gets
    -start_epmd false and its name on the command line, so that it does not look for one to start;
  - it stays as a shell between us and the Erlang VM: with RABBITMQ_ALLOW_INPUT it execs the VM instead, so that the
    pid that we started is the VM, a kill -9 is a kill -9 of the broker and it dies with the lab.
"""

import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import urllib.parse

from .process import Process, own, run_as
from .wait import LabError, wait_until

SBIN = "/usr/lib/rabbitmq/bin"
ERL_BIN = "/usr/lib/erlang/bin"

# The applications that a broker without plugins loads. The package brings 80 folders, each of which the code server
# tries for each module: with these alone the node starts in half the time (3.6 s instead of 8.4 s on two cores).
APPLICATIONS = ("amqp10_common", "aten", "credentials_obfuscation", "cuttlefish", "enough", "gen_batch_server",
                "getopt", "jsx", "observer_cli", "osiris", "ra", "rabbit", "rabbit_common", "rabbitmq_prelaunch",
                "ranch", "recon", "seshat", "stdout_formatter", "sysmon_handler", "syslog", "systemd")


class RabbitMQ:
    """Attributes: host, port, user, password; management_port or None.

    consumer_timeout_ms and channel_tick_ms are the broker's limits on unacknowledged deliveries and how often it looks
    (its own default looks once a minute, too seldom for a test).
    """

    def __init__(self, folder, ports, consumer_timeout_ms=1800000, channel_tick_ms=60000, management=False):
        self.folder = folder / "rabbitmq"
        if not os.path.exists(f"{SBIN}/rabbitmq-server"):
            raise LabError("rabbitmq-server is not installed: sh deploy/packages/install run")
        self.host = "127.0.0.1"
        self.port = ports.take("rabbitmq")
        self.epmd_port = ports.take("epmd")
        self.dist_port = ports.take("rabbitmq-distribution")
        self.management_port = ports.take("rabbitmq-management") if management else None
        self.user = "silver"
        self.password = secrets.token_urlsafe(12)
        self.node = "silver@localhost"
        self._cookie = secrets.token_hex(16)
        self._vhosts = 0
        self._write_files(consumer_timeout_ms, channel_tick_ms)
        env = self._environment()
        self.epmd = Process("epmd", [f"{ERL_BIN}/epmd", "-port", self.epmd_port, "-address", self.host],
                            self.folder / "epmd.log", env=env, cwd=self.folder)
        self.process = Process("rabbitmq-server", [f"{SBIN}/rabbitmq-server"], self.folder / "rabbitmq.log", env=env,
                               cwd=self.folder, stop_timeout_s=40)

    # ---- files and environment

    def _file(self, name, text, mode=0o644):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        own(path)

    def _write_files(self, consumer_timeout_ms, channel_tick_ms):
        self.folder.mkdir()
        own(self.folder)
        self._file(".erlang.cookie", self._cookie, 0o400)
        self._file("rabbitmq-env.conf", "")
        self._file("enabled_plugins", "[rabbitmq_management].\n" if self.management_port else "[].\n")
        self._file("advanced.config", f"[{{rabbit, [{{consumer_timeout, {consumer_timeout_ms}}}, "
                                      f"{{channel_tick_interval, {channel_tick_ms}}}]}}].\n")
        lines = [f"listeners.tcp.1 = {self.host}:{self.port}",
                 f"default_user = {self.user}", f"default_pass = {self.password}",
                 "num_acceptors.tcp = 2",
                 "vm_memory_high_watermark.absolute = 1GB", "disk_free_limit.absolute = 50MB",
                 "raft.wal_max_size_bytes = 64000000"]
        if self.management_port:
            lines += [f"management.tcp.ip = {self.host}", f"management.tcp.port = {self.management_port}"]
        self._file("rabbitmq.conf", "\n".join(lines) + "\n")
        self._link_home()

    def _link_home(self):
        """A home of links to the installed one, with no more plugin folders than are needed."""
        real = pathlib.Path(SBIN, "rabbitmq-server").resolve().parent.parent
        home = self.folder / "home"
        (home / "plugins").mkdir(parents=True)
        for name in ("sbin", "escript"):
            (home / name).symlink_to(real / name)
        folders = list((real / "plugins").glob("*-*"))
        needed = [path for path in folders if path.name.rsplit("-", 1)[0] in APPLICATIONS]
        if self.management_port or len(needed) != len(APPLICATIONS):
            needed = folders
        for path in needed:
            (home / "plugins" / path.name).symlink_to(path)

    def _environment(self):
        here = str(self.folder)
        return {
            "PATH": f"{ERL_BIN}:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": here,
            "RABBITMQ_SCRIPTS_DIR": f"{here}/home/sbin", "RABBITMQ_NODENAME": self.node, "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_CONF_ENV_FILE": f"{here}/rabbitmq-env.conf", "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{here}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{here}/data", "RABBITMQ_LOG_BASE": f"{here}/log", "RABBITMQ_LOGS": "-",
            "RABBITMQ_PLUGINS_EXPAND_DIR": f"{here}/plugins", "RABBITMQ_GENERATED_CONFIG_DIR": f"{here}/generated",
            "RABBITMQ_SCHEMA_DIR": f"{here}/schema", "RABBITMQ_PID_FILE": f"{here}/rabbitmq.pid",
            "RABBITMQ_DIST_PORT": str(self.dist_port), "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": self.host, "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                f"-noinput -start_epmd false -sname {self.node} +S 1:1 +sbwt none "
                "-kernel inet_dist_use_interface {127,0,0,1} "
                f"-kernel inet_dist_listen_min {self.dist_port} -kernel inet_dist_listen_max {self.dist_port}",
        }

    # ---- life

    def spawn(self):
        if not self.epmd.alive():
            self.epmd.spawn()
        self.epmd.wait_ready(lambda: _accepts(self.host, self.epmd_port), 10)
        self.process.spawn()

    def wait_ready(self):
        # The banner, or the line of the log: the logger drops lines when many queues say something at once.
        self.process.wait_line("Server startup complete|completed with [0-9]+ plugins", 90)
        self.process.wait_ready(lambda: _accepts(self.host, self.port), 10)

    def start(self):
        self.spawn()
        self.wait_ready()

    def stop(self):
        self.process.stop()
        self.epmd.stop()

    def kill(self, settle=True):
        """kill -9 of the broker (and of its epmd).

        settle: first has the broker write its directory of quorum queues, which it otherwise does some hundred
        milliseconds late (dets auto-save). A queue declared in the moment before a kill loses its registration there:
        the node starts again with a queue that never gets a leader (seen with 3.10.8).
        """
        if settle and self.process.alive():
            self.eval("[ok = dets:sync(T) || T <- dets:all()]")
        self.process.kill()
        self.epmd.kill()

    def restart(self):
        self.stop()
        self.start()

    def pause(self):
        """The broker falls silent without closing a connection; resume() wakes it."""
        self.process.signal(signal.SIGSTOP)

    def resume(self):
        self.process.signal(signal.SIGCONT)

    # ---- operations

    def url(self, vhost="/"):
        return (f"amqp://{self.user}:{urllib.parse.quote(self.password, safe='')}@{self.host}:{self.port}/"
                f"{urllib.parse.quote(vhost, safe='')}")

    def _run(self, argv, stdin=None):
        done = subprocess.run(argv, env=self._environment(), cwd=self.folder, input=stdin, capture_output=True,
                              text=True, timeout=60, check=False, **run_as()[0])
        if done.returncode != 0:
            raise LabError(f"{argv[0]} {' '.join(argv[1:3])} failed: {(done.stderr or done.stdout).strip()[-600:]}")
        return done.stdout

    def ctl(self, *words):
        """rabbitmqctl; takes one to two seconds (it starts an Erlang VM). eval() is the quick road."""
        return self._run([f"{SBIN}/rabbitmqctl", "-q", *words])

    def eval(self, expression):
        """One Erlang expression on the node, by erl_call (some 20 ms); returns the printed value."""
        out = self._run([f"{ERL_BIN}/erl_call", "-sname", self.node, "-c", self._cookie, "-e"],
                        stdin=expression.rstrip(". \n") + ".\n")
        text = out.strip()
        if not text.startswith("{ok,"):
            raise LabError(f"rabbitmq could not evaluate {expression!r}: {text}")
        return text[len("{ok,"):-1].strip()

    def new_vhost(self):
        """A fresh vhost with every right for our user; the cleanest start of a test. Returns its name."""
        self._vhosts += 1
        name = f"lab-{self._vhosts}"
        self.eval(f'ok = rabbit_vhost:add({_bin(name)}, {_bin("lab")}), '
                  f'ok = rabbit_auth_backend_internal:set_permissions({_bin(self.user)}, {_bin(name)}, '
                  f'{_bin(".*")}, {_bin(".*")}, {_bin(".*")}, {_bin("lab")})')
        return name

    def delete_vhost(self, name):
        self.eval(f'rabbit_vhost:delete({_bin(name)}, {_bin("lab")})')

    def connections(self):
        """How many AMQP clients are connected now."""
        return int(self.eval("length(rabbit_networking:connections())"))

    def close_all_connections(self, reason="closed by the operator"):
        """Every client gets connection.close, as from `rabbitmqctl close_all_connections`; returns how many."""
        return int(self.eval("Pids = rabbit_networking:connections(), "
                             f'[rabbit_networking:close_connection(P, "{reason}") || P <- Pids], length(Pids)'))

    def queues(self, vhost):
        """{queue: {"messages": n, "ready": n, "unacked": n, "consumers": n}} of the vhost's quorum queues, asked of
        each queue's leader. (rabbitmqctl list_queues shows what the leaders published up to five seconds ago.)"""
        keys = ("messages", "ready", "unacked", "consumers")
        # A queue that has no leader yet (the node has just started) does not answer: it is asked again.
        expression = (
            "catch lists:map(fun(Q) -> {resource, _, _, Name} = amqqueue:get_name(Q), "
            "{ok, {_, S}, _} = ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:overview/1, 500), "
            "[binary_to_list(Name) | [maps:get(K, S) || K <- "
            "[num_messages, num_ready_messages, num_checked_out, num_consumers]]] end, "
            f"[Q || Q <- rabbit_amqqueue:list({_bin(vhost)}), amqqueue:get_type(Q) =:= rabbit_quorum_queue])")

        def answer():
            text = self.eval(expression)
            return None if text.startswith("{'EXIT'") else [text]
        rows = json.loads(wait_until(answer, f"the queue leaders of {vhost}", 30)[0])
        return {row[0]: dict(zip(keys, row[1:])) for row in rows}

    def set_memory_alarm(self, on):
        """Publishing connections are blocked while the alarm stands (connection.blocked)."""
        verb = "set_alarm({{resource_limit, memory, node()}, []})" if on else \
               "clear_alarm({resource_limit, memory, node()})"
        self.eval(f"rabbit_alarm:{verb}")

    def wipe(self):
        """Stops, forgets every message and definition, and starts again."""
        self.stop()
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.start()

    def wait_connections(self, count, timeout_s=20):
        wait_until(lambda: self.connections() == count, f"{count} connections at the broker", timeout_s, 0.05)


def _bin(text):
    return '<<"' + text.replace("\\", "\\\\").replace('"', '\\"') + '">>'


def _accepts(host, port):
    try:
        with socket.create_connection((host, port), 2):
            return True
    except OSError:
        return False
