# SPDX-License-Identifier: Apache-2.0
"""silverctl against a running fleet: answers, JSON by schemas/ctl/v1, exit codes, languages, terminals."""

import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import uuid

import jsonschema
import psycopg2
import pytest

from lab import Odoo, Silverd
from results import Road, result

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CTL_SCHEMA = jsonschema.Draft7Validator(json.loads((ROOT / "schemas/ctl/v1/schema.json").read_text(encoding="utf-8")))
SERVICE = {"plan": {"code": "FTTH-100", "down_kbps": 100000, "up_kbps": 50000},
           "onu": {"device": "null-1", "serial": "HWTC1A2B3C4D", "frame": 0, "slot": 1, "port": 3,
                   "line_profile": "10", "service_profile": "10",
                   "services": [{"name": "internet", "gemport": 1, "vlan": 100, "user_vlan": 100}]}}


class Fleet(Silverd):
    """A silverd with null devices and a silverctl that is asked about them."""

    def __init__(self, lab, binary, settings=None, targets=None, env=None, **null):
        self.network = lab.folder / "network.json"
        self.network.unlink(missing_ok=True)
        entries = targets or [{"id": "null-1", "driver": "null", "null": {"file": str(self.network), **null}}]
        super().__init__(lab, binary("worker/silverd"), entries, settings, env=env)
        self.silverctl = binary("worker/ctl/silverctl")
        self.listen()

    def start(self, wait_ready=True):
        super().start(wait_ready)
        self.process.wait_line("ledger .database ready")
        return self

    def run(self, *words, code=0, env=None, stdin=None):
        done = subprocess.run([self.silverctl, "--config", self.config, *[str(word) for word in words]], text=True,
                              input=stdin, capture_output=True, check=False, timeout=60,
                              env={**os.environ, "TZ": "America/Caracas", "LC_ALL": "C.UTF-8", **(env or {})})
        assert done.returncode == code, \
            f"silverctl {words}: exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        return done

    def text(self, *words, **more):
        return self.run(*words, **more).stdout

    def json(self, *words, code=0):
        """The objects that --json prints; each has the shape of ctl/v1."""
        lines = [json.loads(line) for line in self.run("--json", *words, code=code).stdout.splitlines()]
        for line in lines:
            errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in CTL_SCHEMA.iter_errors(line)]
            assert not errors, (words, errors)
        return lines

    def file(self, name, event):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(event), encoding="utf-8")
        return path


@pytest.fixture
def fleet(lab, binary):
    def make(**more):
        return Fleet(lab, binary, **more)
    return make


@pytest.fixture
def odoo(lab):
    odoo = Odoo(lab.rabbitmq.url(lab.vhost))
    yield odoo
    odoo.close()


def event_of(odoo, number, action="activated", **service):
    return odoo.contract(number, **SERVICE).event(action, **service)


def written(fleet):
    return json.loads(fleet.network.read_text()) if fleet.network.exists() else {}


# ---- publish, event, contract

def test_publish_and_wait_then_look_at_it(fleet, odoo):
    fleet = fleet().start()
    event = event_of(odoo, 1)
    answer = fleet.text("publish", "--wait", fleet.file("one", event))
    assert re.match(rf"{event['id'][:8]}  contract\.activated  CT-1 \S*  ?applied \(observed\)\n$", answer), answer

    for name in (event["id"], event["id"][:6], "CT-1", "last"):
        assert fleet.text("event", name).startswith(f"{event['id'][:8]}  contract.activated  CT-1"), name
    shown = fleet.text("event", "last")
    assert "applied (observed)" in shown and re.search(r"\+\d+\.\d s  (null-1)? +put onu CT-1.* ok\n", shown), shown
    assert re.search(r"-04:00, \d+\.\d s after publication, run 1", shown)
    raw = fleet.text("event", "last", "--raw")
    assert re.search(r"^> put onu CT-1", raw, re.MULTILINE)

    [document] = fleet.json("event", "last")
    assert (document["output"], document["event"], document["outcome"]) == ("event", event["id"], "applied")
    assert document["finished"].endswith("Z") and [e["dir"] for e in document["log"]][:2] == [">", "<"]

    contract = fleet.text("contract", "CT-1")
    assert "wanted: active, FTTH-100" in contract and "network: agrees" in contract
    [document] = fleet.json("contract", "odoo/prod/1")
    assert [t["target"] for t in document["targets"]] == ["null-1"]
    assert [e["event"] for e in document["events"]] == [event["id"]]


def test_publish_without_wait_says_where_it_went(fleet, odoo):
    fleet = fleet().start()
    first, second = event_of(odoo, 1), event_of(odoo, 2)
    lines = fleet.json("publish", fleet.file("a", first), fleet.file("b", second))
    assert [(line["event"], line["routing_key"]) for line in lines] == [
        (first["id"], "contract.activated.null-1"), (second["id"], "contract.activated.null-1")]
    assert fleet.final(first)["outcome"] == fleet.final(second)["outcome"] == "applied"
    third = event_of(odoo, 3)
    answer = fleet.text("publish", "--bulk", "-", stdin=json.dumps(third))
    assert "bulk.activated.null-1" in answer
    assert fleet.final(third)["outcome"] == "applied"


def test_invalid_event_is_refused_before_anything_is_sent(fleet, odoo):
    fleet = fleet().start()
    good, bad = event_of(odoo, 1), event_of(odoo, 2)
    bad["service"]["plan"]["down_kbps"] = "quick"
    done = fleet.run("publish", fleet.file("good", good), fleet.file("bad", bad), code=65)
    assert "/service/plan/down_kbps" in done.stderr and done.stdout == ""
    fleet.run("event", good["id"], code=4)
    fleet.run("publish", fleet.folder / "absent.json", code=64)
    assert fleet.json("publish", fleet.file("bad", bad), code=65)[0]["code"] == "event.shape"
    assert fleet.results(good["id"]) == []


def test_dead_event_exits_with_1_and_explains_itself(fleet, odoo):
    fleet = fleet(silent=True).start()
    event = event_of(odoo, 1)
    assert "dead: core.no-effect" in fleet.text("publish", "--wait", fleet.file("one", event), code=1)

    listed = fleet.text("dlq", "list")
    assert event["id"][:8] in listed and "core.no-effect" in listed and "1 letter." in listed
    shown = fleet.text("dlq", "show", event["id"][:8])
    assert "What happened:   null-1 says yes to the change and does not hold it afterwards." in shown
    assert "What to do:" in shown and "What holds now:" in shown
    groups = fleet.text("dlq", "groups")
    assert re.search(r"^ +1  core\.no-effect +null +null-1 ", groups, re.MULTILINE), groups

    [letter] = fleet.json("dlq", "list")
    assert (letter["code"], letter["state"], letter["target"]) == ("core.no-effect", "open", "null-1")
    assert fleet.json("dlq", "list", "--cause", "core.no-effect", "--device", "null-1") == [letter]
    assert fleet.json("dlq", "list", "--cause", "other.code") == []
    assert fleet.json("dlq", "list", "--device", "null-2") == []
    assert fleet.json("dlq", "show", "CT-1")[0]["what"].startswith("null-1 says yes")
    [group] = fleet.json("dlq", "groups")
    assert (group["count"], group["devices"], group["newest"]) == (1, ["null-1"], event["id"])


def test_what_is_not_there(fleet, odoo):
    fleet = fleet().start()
    fleet.run("event", "last", code=4)
    fleet.run("event", "0123abcd", code=4)
    fleet.run("contract", "CT-404", code=4)
    fleet.run("device", "show", "olt-404", code=4)
    fleet.run("publish", "--wait", fleet.file("one", event_of(odoo, 1)))
    fleet.run("dlq", "show", "CT-1", code=4)
    assert fleet.json("event", "CT-404", code=4)[0]["code"] == "event.not-found"


def test_a_prefix_of_several_events_is_not_guessed(fleet, lab, wait):
    fleet = fleet().start()
    road = Road(lab, make=False)
    twins = ["deadbeef-0000-4000-8000-00000000000" + digit for digit in "12"]
    road.send(*[result(twin) for twin in twins])
    road.close()
    wait(lambda: recorded(lab, twins), "the ledger's rows")
    done = fleet.run("event", "deadbeef", code=64)
    assert "several events" in done.stderr
    assert fleet.json("event", twins[1])[0]["event"] == twins[1]
    two_sources = result(str(uuid.uuid4()), ns="odoo/other")
    road = Road(lab, make=False)
    road.send(two_sources)
    road.close()
    wait(lambda: recorded(lab, [two_sources["event"]]), "the ledger's row")
    assert "several sources" in fleet.run("contract", "CT-17071", code=64).stderr
    assert fleet.json("contract", "odoo/other/17071")[0]["ns"] == "odoo/other"


def recorded(lab, events):
    """All these events are in the ledger (whose tables may not be there yet)."""
    try:
        rows = lab.pg.query("silver", "SELECT count(*) FROM silver.event WHERE id::text = ANY(%s)", list(events))
        return rows == [(len(events),)]
    except psycopg2.errors.UndefinedTable:
        return False


# ---- plan

def test_plan_says_what_would_change_and_sends_nothing(fleet, odoo):
    fleet = fleet().start()
    event = event_of(odoo, 1)
    path = fleet.file("one", event)
    shown = fleet.text("plan", path)
    assert re.search(r"^ +\+ +put onu CT-1", shown, re.MULTILINE), shown
    assert "owner of null-1 (epoch " in shown and "nothing was sent" in shown
    fleet.run("plan", "--exit-code", path, code=3)
    [document] = fleet.json("plan", path)
    assert document["changes"] == 1 and document["targets"][0]["changes"][0]["mark"] == "+"
    assert written(fleet) == {} and fleet.results(event["id"]) == []

    fleet.run("publish", "--wait", path)
    before = fleet.network.read_bytes()
    assert "unchanged" in fleet.text("plan", "--exit-code", path)
    assert fleet.json("plan", path)[0]["changes"] == 0
    assert fleet.network.read_bytes() == before


def test_plan_without_an_owner_is_not_reachable(fleet, odoo):
    fleet = fleet().start()
    fleet.stop()
    done = fleet.run("plan", fleet.file("one", event_of(odoo, 1)), code=69)
    assert "no worker owns null-1" in done.stderr


# ---- devices, workers

def test_devices_and_workers(fleet, wait):
    fleet = fleet().start()
    wait(fleet.owns_everything, "ownership")
    rows = fleet.json("device", "list")
    assert [(row["device"], row["driver"], row["gate"]["state"], row["ready"]) for row in rows] == [
        ("null-1", "null", "open", 0)]
    assert rows[0]["owner"].startswith("silverd/") and rows[0]["epoch"] > 0
    listed = fleet.text("device", "list")
    assert re.search(r"^null-1 +null +silverd +open ", listed, re.MULTILINE) and "1 device, 0 closed." in listed
    assert "gate            open" in fleet.text("device", "show", "null-1")
    assert fleet.text("device", "test", "null-1").startswith("null-1  ok")
    [tested] = fleet.json("device", "test", "null-1")
    assert tested["ok"] is True
    [worker] = fleet.json("worker", "list")
    assert worker["worker"] == rows[0]["owner"] and worker["devices"] == ["null-1"]
    fleet.stop()
    assert "No worker lives" in fleet.text("worker", "list", code=1)


def test_pause_holds_events_and_resume_lets_them_go(fleet, odoo, wait, lab):
    fleet = fleet().start()
    wait(fleet.owns_everything, "ownership")
    shown = fleet.text("device", "pause", "null-1", "--why", "fibra", "--until", "2h")
    assert re.search(r"^null-1  CLOSED paused by \S+ since \S+ until [\d :-]+: \"fibra\"$", shown, re.MULTILINE), shown
    assert "CLOSED paused by" in fleet.text("device", "list")
    shown = fleet.text("device", "show", "null-1")
    assert re.search(r"What happened: +\S+ paused null-1: fibra", shown)
    wait(lambda: lab.pg.query("silver", "SELECT state, why FROM silver.gate") == [("closed", "fibra")],
         "the ledger's copy")

    event = event_of(odoo, 1)
    done = fleet.run("publish", "--wait", "--timeout", "2", fleet.file("one", event), code=75)
    assert "waiting for the owner of null-1" in done.stderr and "it goes on: silverctl event" in done.stderr
    assert written(fleet) == {}

    [gate] = fleet.json("device", "resume", "null-1")
    assert gate["gate"]["state"] == "open"
    assert fleet.final(event)["outcome"] == "applied"
    wait(lambda: lab.pg.query("silver", "SELECT state FROM silver.gate") == [("open",)], "the ledger's copy")


def test_pause_of_a_device_without_owner_waits_for_the_next_one(fleet, odoo, wait, lab):
    fleet = fleet().start()
    wait(fleet.owns_everything, "ownership")
    fleet.stop()
    done = fleet.run("device", "pause", "null-1", "--why", "rack 3")
    assert "the next owner will find this order" in done.stderr
    fleet.start()
    wait(fleet.owns_everything, "ownership")
    wait(lambda: lab.pg.query("silver", "SELECT why FROM silver.gate") == [("rack 3",)], "the ledger's copy")
    event = event_of(odoo, 1)
    fleet.run("publish", "--wait", "--timeout", "2", fleet.file("one", event), code=75)
    assert written(fleet) == {}
    fleet.run("device", "resume", "null-1")
    assert fleet.final(event)["outcome"] == "applied"


def test_pause_outlives_a_flush_of_redis(fleet, odoo, wait, lab):
    fleet = fleet().start()
    wait(fleet.owns_everything, "ownership")
    fleet.run("device", "pause", "null-1", "--why", "rack 3")
    wait(lambda: lab.pg.query("silver", "SELECT why FROM silver.gate") == [("rack 3",)], "the ledger's copy")
    fleet.stop()
    lab.redis.flush()
    fleet.start()
    wait(fleet.owns_everything, "ownership")
    event = event_of(odoo, 1)
    fleet.run("publish", "--wait", "--timeout", "2", fleet.file("one", event), code=75)
    assert written(fleet) == {}
    assert fleet.json("device", "list")[0]["gate"]["why"] == "rack 3"


@pytest.mark.parametrize("until", ["yesterday", "25:00", "0h", "-2h", "2020-01-01T00:00:00Z", ""])
def test_until_must_be_a_time_to_come(fleet, until):
    assert "--until wants" in fleet().run("device", "pause", "null-1", f"--until={until}", code=64).stderr


# ---- topology, configuration

def test_topology_is_compared_and_made(fleet, lab):
    fleet = fleet()
    differences = fleet.json("topology", "--check", code=1)[0]["differences"]
    assert any("silver.device.null-1" in line for line in differences)
    assert "for 1 device." in fleet.text("topology", "--apply")
    assert fleet.json("topology", "--check") == [
        {"schema": "silver.ctl/1", "output": "topology", "ok": True, "differences": []}]
    assert fleet.text("topology", "--check") == "The broker is as it shall be.\n"
    assert "silver.device.null-1.bulk" in lab.rabbitmq.queues(lab.vhost)
    described = fleet.text("topology")
    assert re.search(r"^queue +silver\.device\.null-1 ", described, re.MULTILINE)


def test_check_config_names_every_fault(fleet):
    fleet = fleet().start()
    shown = fleet.text("check-config")
    assert [line.split()[:2] for line in shown.splitlines()] == [
        ["ok", "inventory"], ["ok", "broker"], ["ok", "redis"], ["ok", "ledger"]]
    done = fleet.run("check-config", "--broker.port=1", "--redis.port=1", code=78)
    assert re.findall(r"^FAULT +(\w+)", done.stdout, re.MULTILINE) == ["broker", "redis"]
    [document] = fleet.json("check-config", "--ledger.port=1", code=78)
    assert [fault["code"] for fault in document["faults"]] == ["pg.unreachable"]


def test_exit_codes_of_what_cannot_be(fleet, odoo):
    fleet = fleet()
    path = fleet.file("one", event_of(odoo, 1))
    fleet.run("frobnicate", code=64)
    fleet.run("event", code=64)
    fleet.run("event", "last", "--wait", code=64)
    fleet.run("event", "last", "--timeout", "soon", code=64)
    assert "broker.prot" in fleet.run("event", "last", "--broker.prot=1", code=78).stderr
    fleet.run("event", "last", "--config", "/nonexistent.yaml", code=78)
    fleet.run("event", "last", "--ledger.port=1", code=69)
    fleet.run("publish", path, "--broker.port=1", code=69)
    fleet.run("device", "list", "--redis.port=1", code=69)
    fleet.inventory.write_text("targets: 5\n", encoding="utf-8")
    assert "inventory.yaml" in fleet.run("device", "list", code=78).stderr
    assert "usage: silverctl" in fleet.text("--help") and "plan FILE" in fleet.text("plan", "--help")
    assert re.match(r"silverctl \d+\.\d+\.\d+\n$", fleet.text("--version"))


def waiting_publish(fleet, path):
    """silverctl publish --wait that waits: it says so on stderr after a second."""
    waiting = subprocess.Popen([fleet.silverctl, "--config", fleet.config, "publish", "--wait", path],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert "waiting" in waiting.stderr.readline()
    return waiting


def test_interrupted_exits_with_130(fleet, odoo, wait):
    fleet = fleet()
    fleet.run("topology", "--apply")
    lost = fleet.file("one", event_of(odoo, 1))
    fleet.start()
    wait(fleet.owns_everything, "ownership")
    fleet.run("device", "pause", "null-1")
    waiting = waiting_publish(fleet, lost)
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(10) == 130
    waiting.stderr.close()


# ---- language, terminal, hostile text

def test_spanish_for_people_english_for_programs(fleet, odoo):
    fleet = fleet(silent=True).start()
    event = event_of(odoo, 1)
    fleet.run("publish", "--wait", fleet.file("one", event), code=1)
    for words, env in ((("--lang", "es"), {}), ((), {"LC_ALL": "es_VE.UTF-8"}),
                       ((), {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "es_ES"})):
        shown = fleet.text("dlq", "show", "CT-1", *words, env=env)
        assert "Qué pasó:" in shown and "Qué hacer:" in shown and "core.no-effect" in shown, (words, env, shown)
        assert "What happened" not in shown
    assert "What happened" in fleet.text("dlq", "show", "CT-1", "--lang", "en", env={"LC_ALL": "es_VE.UTF-8"})
    assert fleet.text("--json", "dlq", "show", "CT-1", "--lang", "es") == fleet.text("--json", "dlq", "show", "CT-1")
    assert "Órdenes:" in fleet.text("--help", "--lang", "es")


def on_terminal(fleet, *words, env=None):
    """What silverctl writes to a terminal of 80 columns."""
    parent, child = pty.openpty()
    import fcntl
    import struct
    import termios
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen([fleet.silverctl, "--config", fleet.config, *words], stdout=child,
                               stderr=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})})
    os.close(child)
    text = b""
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:             # EIO: nobody holds the other end any more
            break
        if not chunk:
            break
        text += chunk
    os.close(parent)
    process.wait(30)
    return text.decode().replace("\r\n", "\n")


def test_colour_on_a_terminal_only(fleet, odoo):
    fleet = fleet().start()
    fleet.run("publish", "--wait", fleet.file("one", event_of(odoo, 1)))
    assert "\x1b[32mapplied\x1b[0m" in on_terminal(fleet, "event", "last")
    for words, env in ((("event", "last", "--no-color"), {}), (("event", "last"), {"NO_COLOR": "1"}),
                       (("event", "last", "--json"), {})):
        assert "\x1b" not in on_terminal(fleet, *words, env=env), words
    assert "\x1b" not in fleet.text("event", "last")
    plain = re.sub(r"\x1b\[\d*m", "", on_terminal(fleet, "device", "list"))
    assert max(len(line) for line in plain.splitlines()) <= 80 and "null-1" in plain


def test_what_devices_say_cannot_command_a_terminal(fleet, lab, wait):
    fleet = fleet().start()
    evil, more = "ok\u202e", "\u009b2J\x1b[2J\u202e"
    message = result(outcome="dead", args={"profile": more})
    message["log"][1].update(text=evil, verdict=more)
    message["targets"][0]["holds"] = {more: more}
    road = Road(lab, make=False)
    road.send(message, result(contract=2, type="contract.activated"))
    road.close()
    wait(lambda: recorded(lab, [message["event"]]), "the ledger's row")
    event = message["event"]
    for words in (("event", event), ("event", event, "--raw"), ("dlq", "show", event), ("dlq", "list"),
                  ("contract", "CT-17071"), ("dlq", "groups"), ("device", "show", "null-1")):
        shown = fleet.text(*words)
        assert "\u009b" not in shown and "\u202e" not in shown and "\x1b" not in shown, words


def test_passwords_stay_out_of_the_process_list(fleet, lab, odoo, wait):
    fleet = fleet().start()
    wait(fleet.owns_everything, "ownership")
    fleet.run("device", "pause", "null-1")
    waiting = waiting_publish(fleet, fleet.file("one", event_of(odoo, 1)))
    seen = "".join(pathlib.Path(f"/proc/{waiting.pid}/{name}").read_text() for name in ("cmdline", "environ"))
    waiting.send_signal(signal.SIGINT)
    waiting.wait(10)
    waiting.stderr.close()
    for secret in (lab.rabbitmq.password, *lab.pg.passwords.values()):
        assert secret not in seen
