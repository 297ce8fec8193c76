# SPDX-License-Identifier: Apache-2.0
"""A-13: canary secrets in events, inventory, files and replies, looked for wherever the fleet writes something down."""

import base64
import json
import os
import pathlib
import resource
import signal
import subprocess
import uuid

import msgpack
import pika
import pytest
from lab import Odoo, Silverd, http_get
from test_radius_drivers import TIMERS, groups, stale_row

INLINE = "canary-inline-b7Qx9"         # in an event
WIFI = "canary-wifi-key-m3Zr5"
REFUSED = "canary-refused-k8Vt2"        # in messages that are not accepted
UNKNOWN = "canary-unknown-p4Wd6"


def spellings(secret):
    """As it stands, in hex and in base64 at each of the three offsets."""
    raw = secret.encode()
    yield raw
    yield raw.hex().encode()
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + raw)[4 if shift else 0:-4]


def found(where, data, secrets):
    """[(secret, where)] of those that stand in the data in any spelling."""
    data = data.encode() if isinstance(data, str) else data
    return [(name, where) for name, secret in secrets.items() if any(word in data for word in spellings(secret))]


class Watch:
    """A queue that gets a copy of what the worker sends to an exchange."""

    def __init__(self, lab):
        self.connection = pika.BlockingConnection(pika.URLParameters(lab.rabbitmq.url(lab.vhost)))
        self.channel = self.connection.channel()
        self.queues = []
        self.seen = []

    def bind(self, exchange, key="", arguments=None):
        name = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.queue_bind(name, exchange, key, arguments)
        self.queues.append(name)

    def messages(self):
        """Properties and body of everything so far."""
        for name in self.queues:
            while (message := self.channel.basic_get(name, auto_ack=True))[0] is not None:
                self.seen.append(str(message[1].__dict__).encode() + b"\n" + message[2])
        return self.seen


class Fleet:
    def __init__(self, lab, program, **settings):
        self.lab = lab
        self.network = lab.folder / "network.json"
        self.network.unlink(missing_ok=True)
        plain = lab.nas_target("bng-2")
        plain["coa"]["secret"] = lab.nas["bng-2"].coa_secret        # the inventory may hold one itself
        targets = [lab.radius_target(), lab.nas_target(timers=dict(TIMERS)), plain,
                   {"id": "olt-null", "driver": "null", "null": {"file": str(self.network)}},
                   {"id": "olt-away", "driver": "null", "maintenance": True, "null": {"file": str(self.network)}}]
        settings = {"job": {"attempts_max": "2"}, "gate": {"equal_failures": "0"}, **settings}
        self.silverd = Silverd(lab, program, targets, settings)
        self.silverd.listen()
        self.silverd.start()
        self.watch = Watch(lab)
        self.odoo = Odoo(lab.rabbitmq.url(lab.vhost))

    def close(self):
        self.watch.connection.close()
        self.odoo.close()

    def contract(self, number=1, password=INLINE, device="olt-null", **access):
        return self.odoo.contract(
            number, plan={"code": "FTTH-50", "down_kbps": 50000, "up_kbps": 25000},
            access={"server": "radius-1", "username": f"u{number}@isp", "password": password, "nas": "bng-1", **access},
            onu={"device": device, "serial": f"HWTC{number:08X}", "frame": 0, "slot": 1, "port": 3,
                 "line_profile": "10", "service_profile": "10", "wifi": [{"index": 1, "ssid": "casa", "key": WIFI}],
                 "services": [{"name": "internet", "gemport": 1, "vlan": 100, "user_vlan": 100}]})

    def secrets(self):
        lab = self.lab
        return {"inline password": INLINE, "wifi key": WIFI, "of a refused message": REFUSED,
                "of a dead message": UNKNOWN, "fleet key": self.silverd.fleet_key.read_text(),
                "broker": lab.rabbitmq.password,
                "radius sql": lab.pg.passwords["silver_worker"], "ledger": lab.pg.passwords["silver_ledger"],
                "reader": lab.pg.passwords["silver_reader"], "coa": lab.nas["bng-1"].coa_secret,
                "coa in the inventory": lab.nas["bng-2"].coa_secret, "radius client": lab.radius.client_secret}

    def leaks(self):
        """Everything that the fleet wrote, sent or shows, searched for every secret."""
        return [leak for where, data in self.traces() for leak in found(where, data, self.secrets())]

    def traces(self):
        lab = self.lab
        for path in [pathlib.Path(self.silverd.process.log), self.silverd.config, self.network,
                     lab.pg.folder / "postgresql.log", *lab.redis.folder.rglob("*"),
                     *lab.folder.glob("nas-*/radius.log")]:
            if path.is_file():
                yield str(path), path.read_bytes()
        yield "results", json.dumps(list(self.silverd._results.values()))
        yield "republished", b"\n".join(self.watch.messages())
        dump = [lab.pg.bin / "pg_dump", "-h", lab.pg.socket_dir, "-p", str(lab.pg.port), "-U", "postgres", "silver"]
        yield "ledger", subprocess.run(dump, check=True, capture_output=True).stdout
        yield "post-auth", str(lab.pg.query("radius", "SELECT * FROM radpostauth"))
        yield "fence", str(lab.pg.query("radius", "SELECT * FROM silver_fence"))
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                yield f"command line of {entry.name}", (entry / "cmdline").read_bytes()
            except OSError:
                continue    # it has ended meanwhile
        yield "environment of silverd", pathlib.Path(f"/proc/{self.silverd.process.pid}/environ").read_bytes()
        for page in ("healthz?verbose", "readyz", "metrics"):
            yield page, http_get(f"http://127.0.0.1:{self.silverd.port}/{page}")[1]


@pytest.fixture
def fleet(lab, binary):
    made = []

    def make(**settings):
        made.append(Fleet(lab, binary("worker/silverd"), **settings))
        return made[-1]
    yield make
    for one in made:
        one.close()


def test_A13_secrets_of_events_and_inventory_are_written_down_nowhere(fleet, lab, wait):
    net = fleet()
    net.watch.bind("silver.retry", arguments={"x-match": "all"})
    net.watch.bind("silver.results", "#")
    ana = net.contract(1, ipv4="100.64.0.10")
    event = ana.event("activated")
    event["x_note"] = event["service"]["x_copy"] = INLINE       # Odoo's own fields may repeat it
    net.odoo.publish(event)
    assert net.silverd.final(event)["outcome"] == "applied"
    assert lab.pg.query("radius", "SELECT value FROM radcheck") == [(INLINE,)]      # the one place that it is for
    # one that climbs the ladder and dies: copies, letter
    result = net.silverd.final(net.contract(2, ipv4="100.64.0.10").publish("activated"))
    assert (result["outcome"], result["code"]) == ("dead", "freeradius-sql.address-taken") and "letter" in result
    # messages that are refused: by syntax, by shape, by a field of a newer publisher, by a reference of another kind
    bad = [({}, 30), ({"state": "x"}, 0), ({"x": 1}, 0), ({"access": {"password": {"$secret": "file:/x"}}}, 0)]
    for number, (changed, cut) in enumerate(bad, 10):
        broken = net.contract(number, REFUSED if number != 12 else UNKNOWN).event("activated")
        broken["service"].update(changed)
        body = json.dumps(broken).encode()
        message_id = str(uuid.uuid4())
        net.odoo.send(body[:len(body) - cut], "contract.activated.olt-null", message_id, "application/json")
        result = net.silverd.final(message_id if cut else broken)
        assert result["outcome"] == ("dead" if number == 12 else "rejected"), result
    plan = lab.folder / "plan.json"
    plan.write_text(json.dumps(net.contract(1, ipv4="100.64.0.11").event("changed")))
    asked = [["plan", str(plan)], ["event", event["id"]], ["contract", "CT-1"], ["contract", "CT-2"], ["dlq", "list"],
             ["dlq", "show", "CT-2"], ["device", "show", "radius-1"], ["device", "show", "bng-2"],
             ["device", "list"], ["check-config"]]
    said = [net.silverd.ctl(*words) for words in asked]
    plan.unlink()
    assert all(done.stdout for done in said)
    assert found("silverctl", "".join(done.stdout + done.stderr for done in said), net.secrets()) == []
    wait(lambda: lab.pg.query("silver", "SELECT count(*) FROM silver.letter")[0][0] == 2, "both letters in the ledger")
    assert net.leaks() == []
    # the search finds what is there, and looks where a secret would stand beside what it finds
    held = str(lab.pg.query("radius", "SELECT value FROM radcheck"))
    assert found("", held, net.secrets()) == [("inline password", "")]
    traces = dict(net.traces())
    assert b"u2@isp" in traces["ledger"] and "u1@isp" in traces["post-auth"] and "CT-1" in traces["results"]
    assert b"u2@isp" in traces["republished"] and b"silver-attempt" in traces["republished"]


def test_A13_secrets_in_replies_are_masked(fleet, lab, wait):
    """A RADIUS server and a NAS that say the customer's password back, in words and as the name of a session."""
    net = fleet()
    ana = net.contract(1)
    assert net.silverd.final(ana.publish("activated"))["outcome"] == "applied"
    lab.pg.query("radius", "INSERT INTO radreply (username, attribute, op, value) "
                 "VALUES ('u1@isp', 'Reply-Message', ':=', %s)", f"Hola, su clave es {INLINE}.")
    accepted = net.silverd.final(ana.publish("plan_changed", plan={"down_kbps": 60000}))
    assert accepted["outcome"] == "applied"
    heard = [entry["text"] for entry in accepted["log"] if "Access-Accept" in entry["text"]]
    assert heard and all("Reply-Message" in text for text in heard)
    # a refusal with the password in its words: in the verdict, its arguments and what the target holds
    lab.pg.query("radius", "INSERT INTO radgroupcheck (groupname, attribute, op, value) "
                 "VALUES ('FTTH-50@25000/70000', 'Auth-Type', ':=', 'Reject')")
    lab.pg.query("radius", "INSERT INTO radgroupreply (groupname, attribute, op, value) "
                 "VALUES ('FTTH-50@25000/70000', 'Mikrotik-Rate-Limit', '=', '25000k/70000k'), "
                 "('FTTH-50@25000/70000', 'Reply-Message', ':=', %s)", f"no con {INLINE}")
    refused = net.silverd.final(ana.publish("plan_changed", plan={"down_kbps": 70000}))
    assert (refused["outcome"], refused["code"]) == ("dead", "radius.login-rejected"), refused
    assert "no con" in json.dumps(refused["args"])
    stale_row(lab, "u1@isp", INLINE)
    result = net.silverd.final(ana.publish("suspended", "suspended"))
    assert result["outcome"] == "applied" and groups(lab, "u1@isp")[0] == ("silver-suspended", 1)
    wait(lambda: lab.pg.query("silver", "SELECT 1 FROM silver.event WHERE id = %s AND outcome = 'applied'",
                              result["event"]), "the ledger's row")
    assert net.leaks() == []


def test_A13_message_that_is_sent_on_is_sealed_first(fleet, lab, wait):
    """From the intake to the queue of its device: the copy is ours, and nothing of ours carries a secret in clear."""
    net = fleet()
    event = net.contract(3, device="olt-away").event("activated")
    net.odoo.send(msgpack.packb(event), "contract.activated.misspelt", event["id"])
    # the device is in maintenance: nobody consumes, the copy lies there
    queue = "silver.device.olt-away"
    wait(lambda: lab.rabbitmq.queues(lab.vhost).get(queue, {}).get("ready") == 1, "the message in its device's queue")
    properties, body = next(net.watch.channel.consume(queue, inactivity_timeout=20))[1:]
    assert b"u3@isp" in body and properties.message_id == event["id"]
    assert found("forwarded", body, net.secrets()) == []


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_A13_no_core_is_written(fleet, lab, number):
    """The limit of this machine is lifted for the test: it is silverd that must forbid it."""
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
    try:
        net = fleet()
        # a core is written by a process that does not forbid it, where this machine writes any
        plain = subprocess.Popen(["/bin/sleep", "60"], cwd=lab.folder)
        plain.send_signal(number)
        machine_writes = os.waitid(os.P_PID, plain.pid, os.WEXITED | os.WNOWAIT).si_code == os.CLD_DUMPED
        plain.wait()
        for core in lab.folder.glob("core*"):
            core.unlink()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
    process = net.silverd.process
    now = pathlib.Path(f"/proc/{process.pid}/limits").read_text().splitlines()
    assert next(line.split()[4:6] for line in now if line.startswith("Max core")) == ["0", "0"]
    process.signal(number)
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert (ended.si_code, ended.si_status) == (os.CLD_KILLED, number), f"this machine writes cores: {machine_writes}"
    assert list(lab.folder.rglob("core*")) == []
