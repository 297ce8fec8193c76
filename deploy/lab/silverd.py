# SPDX-License-Identifier: Apache-2.0
"""silverd as a child of a lab: configuration and inventory from the lab's servers, results read as they are published."""

import json
import os
import re
import secrets
import shlex
import subprocess

import pika
import yaml

from .wait import PATIENCE, LabError, http_get, wait_until

# Short waits; whatever a test needs otherwise it says.
QUICK = {"session": {"ttl": "1500ms", "margin": "300ms"},
         "job": {"session_settle": "300ms", "store_retry": "100ms"},
         "ladder": {"level_1": "300ms", "level_2": "600ms", "level_3": "900ms", "level_4": "1200ms", "level_5": "1500ms"},
         "save": {"every": "2s"},
         "gate": {"probe_min": "200ms", "probe_max": "1s"},
         "broker": {"reconnect_min": "50ms", "reconnect_max": "500ms", "confirm_timeout": "5s"},
         "redis": {"timeout": "1s"}}


# Words before silverd and silverctl on their command lines, for example a call of valgrind.
WRAPPER = shlex.split(os.environ.get("LAB_WRAPPER", ""))
# What a slow silverd must have more time for, or it takes itself for lost.
STRETCHED = (("session", "ttl"), ("session", "margin"), ("redis", "timeout"), ("broker", "confirm_timeout"))


def stretched(settings):
    for section, key in STRETCHED:
        said = re.fullmatch(r"(\d+)(ms|s)", settings.get(section, {}).get(key, ""))
        if said and PATIENCE != 1:
            settings[section][key] = f"{int(int(said[1]) * PATIENCE)}{said[2]}"
    return settings


class Silverd:
    """Not yet started. targets: entries of the inventory. settings: {section: {key: value}} over QUICK.

    check_result: called with every result that is read, raises when it is not as it must be; None: nobody looks.
    """

    check_result = None

    def __init__(self, lab, program, targets, settings=None, name="silverd", roles=("worker", "ledger"), env=None):
        self.lab = lab
        self.folder = lab.folder / name
        self.folder.mkdir(exist_ok=True)
        self.inventory = self.folder / "inventory.yaml"
        self.config = self.folder / "silverd.yaml"
        self.port = lab.ports.take(f"{name}-http")
        self.name = name
        self.program = program
        self.env = env or {}
        self.fleet_key = self.folder / "fleet.key"
        if not self.fleet_key.exists():
            self.fleet_key.touch(mode=0o600)
            self.fleet_key.write_text(secrets.token_hex(32), encoding="utf-8")
        self.write_inventory(targets)
        self.settings = stretched(self._settings(roles, settings or {}))
        self.config.touch(mode=0o600)
        self.write_config()
        self.process = lab.child(name, [*WRAPPER, program, "--config", self.config], env={**os.environ, **self.env})
        self._results = {}
        self._tap = None

    def write_config(self):
        """settings as they are now; read at the next start."""
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=True), encoding="utf-8")

    def write_inventory(self, targets):
        self.inventory.write_text(yaml.safe_dump({"schema": "silver.inventory/1", "targets": targets}, sort_keys=False),
                                  encoding="utf-8")

    def _settings(self, roles, more):
        lab = self.lab
        settings = {
            "process": {"roles": list(roles), "name": self.name, "http_listen": f"127.0.0.1:{self.port}", "log_level": "debug"},
            "broker": {"host": lab.rabbitmq.host, "port": lab.rabbitmq.port, "vhost": lab.vhost, "user": lab.rabbitmq.user,
                       "password": self._reference("broker", lab.rabbitmq.password)},
            "redis": {"host": lab.redis.host, "port": lab.redis.port},
            "ledger": {"host": lab.pg.host, "port": lab.pg.port, "database": "silver", "user": "silver_ledger",
                       "password": self._reference("ledger", lab.pg.passwords["silver_ledger"]), "reader": "silver_reader",
                       "reader_password": self._reference("reader", lab.pg.passwords["silver_reader"])},
            "inventory": {"path": str(self.inventory)},
            "secrets": {"fleet_key_file": str(self.fleet_key), "inline": True},
            "events": {"sources": ["odoo/prod"]}}
        for part in (QUICK, more):
            for section, keys in part.items():
                settings.setdefault(section, {}).update(keys)
        return settings

    def _reference(self, name, value):
        return self.lab.secret(name, value)["$secret"]

    # ---- life

    def start(self, wait_ready=True):
        self.process.spawn()
        if wait_ready:
            self.process.wait_ready(self.is_ready)
        return self

    def is_ready(self):
        answer = http_get(f"http://127.0.0.1:{self.port}/readyz")
        return answer is not None and answer[0] == 200

    def owns_everything(self):
        answer = http_get(f"http://127.0.0.1:{self.port}/healthz?verbose")
        return answer is not None and "not owned" not in answer[1] and "unsure" not in answer[1]

    def stop(self):
        self.process.stop()

    def kill(self):
        self.process.kill()

    def ctl(self, *words, check=True, env=None):
        """silverctl with this fleet's configuration: its stdout, or JSON objects when --json is among the words."""
        program = self.program.parent / "ctl" / "silverctl"
        done = subprocess.run([*WRAPPER, program, "--config", self.config, *words], capture_output=True, text=True, check=False,
                              timeout=60 * PATIENCE, env={**os.environ, "TZ": "UTC", **(env or {})})
        if check and done.returncode not in (0, 1, 3):
            raise LabError(f"silverctl {' '.join(words)}: exit {done.returncode}: {done.stderr}")
        return done

    # ---- what it says

    def listen(self):
        """Keeps every result from now on; before the first event."""
        self._connection = pika.BlockingConnection(pika.URLParameters(self.lab.rabbitmq.url(self.lab.vhost)))
        self._tap = self._connection.channel()
        self._tap.exchange_declare("silver.results", "topic", durable=True, passive=False)
        self._tap.queue_declare("test.results", durable=True)
        self._tap.queue_bind("test.results", "silver.results", "#")
        return self

    def deafen(self):
        """Nobody but the fleet's own is bound to the results, until listen(); what is said meanwhile is not kept."""
        self._tap.queue_delete("test.results")

    def _drain(self):
        while True:
            try:
                method, _, body = self._tap.basic_get("test.results", auto_ack=True)
            except pika.exceptions.AMQPError:
                self.listen()
                continue
            if method is None:
                return
            result = json.loads(body)
            if self.check_result is not None:
                self.check_result(result)
            if "event" in result:
                self._results.setdefault(result["event"], []).append(result)

    def waiting(self, queue):
        """How many messages are ready in a queue."""
        return self._tap.queue_declare(queue, passive=True).method.message_count

    def results(self, event_id):
        """Everything that was said of an event, in order."""
        self._drain()
        return self._results.get(event_id, [])

    def said(self):
        """{event: everything that was said of it}"""
        self._drain()
        return dict(self._results)

    def final(self, event, timeout_s=30):
        """The final result of an event (dict or id), waited for."""
        event_id = event["id"] if isinstance(event, dict) else event

        def found():
            self.process.check()
            return next((r for r in reversed(self.results(event_id)) if r["state"] == "final"), None)
        return wait_until(found, f"a final result of {event_id}", timeout_s)

    def outcomes(self, event_id):
        """Outcomes of the final results of an event: one, however often it was said."""
        return {r["outcome"] for r in self.results(event_id) if r["state"] == "final"}
