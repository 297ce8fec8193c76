# SPDX-License-Identifier: Apache-2.0
"""A-12: wrong and hostile messages through the whole fleet: each has its outcome, none reaches a device or SQL."""

import copy
import json
import re
import uuid

import msgpack
import pika
import pytest
from conftest import ROOT
from lab import Odoo, Silverd
from test_radius_drivers import rows

EXAMPLES = ROOT / "schemas" / "examples"
CORPUS = EXAMPLES / "invalid" / "event"
EXPECTED = json.loads((EXAMPLES / "invalid" / "event.expected.json").read_text(encoding="utf-8"))
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What would end a line, a string or a statement, or speak to a terminal; "hostil" is looked for where it must not come.
HOSTILE = ["hostil\r\nundo ont 1", "hostil\n", "hostil'; DROP TABLE radcheck; --", 'hostil" or "1"="1', "hostil;reboot",
           "hostil\x1b]0;x\x07", "hostil\\", "$(hostil)", "hostil`id`", "hostil\x7f", "hostil\u009b2J", "hostil\u2028x",
           "hostil%0d%0a"]


@pytest.fixture
def fleet(lab, binary):
    network = lab.folder / "network.json"
    network.unlink(missing_ok=True)
    olt = {"id": "olt-null", "driver": "null", "null": {"file": str(network)}}
    silverd = Silverd(lab, binary("worker/silverd"), [lab.radius_target(), lab.nas_target(), olt])
    silverd.network = network
    silverd.listen()
    return silverd.start()


@pytest.fixture
def odoo(lab):
    odoo = Odoo(lab.rabbitmq.url(lab.vhost))
    yield odoo
    odoo.close()


def service(number=1):
    """Of contract <number>, which shares neither name nor address with another."""
    return {"plan": {"code": "FTTH-50", "down_kbps": 50000, "up_kbps": 25000},
            "access": {"server": "radius-1", "username": f"u{number}@isp", "password": "clave-1", "nas": "bng-1",
                       "ipv4": f"100.64.{number // 250}.{number % 250 + 1}"},
            "onu": {"device": "olt-null", "serial": "HWTC1A2B3C4D", "frame": 0, "slot": 1, "port": 3,
                    "line_profile": "10", "service_profile": "10", "description": "Calle 8 No 12-34",
                    "services": [{"name": "internet", "gemport": 1, "vlan": 100, "user_vlan": 100}]}}


def content_type(path):
    return f"application/{path.suffix[1:]}"


def event_id(path, message_id):
    """What the message is called in its result: its own id when it has one that can be used, else the property's."""
    if EXPECTED[path.name]["code"] == "event.syntax":
        return message_id
    body = path.read_bytes()
    event = msgpack.unpackb(body) if path.suffix == ".msgpack" else json.loads(body)
    own = event.get("id") if isinstance(event, dict) else None
    return own if isinstance(own, str) and UUID.fullmatch(own) else message_id


def is_as_expected(result, expected):
    said = (result["outcome"], result["code"], result["args"]["path"])
    return (said == (expected["outcome"], expected["code"], expected["path"]) and
            result["args"]["rule"].startswith(expected["rule"]))


@pytest.mark.parametrize("road", ["olt-null", "nowhere"])
def test_A12_every_malformed_message_ends_with_its_place_and_rule(fleet, odoo, lab, wait, road):
    """Sent to a device's queue, and to one that does not exist (the intake)."""
    waiting = {}
    for path in sorted(CORPUS.iterdir()):
        message_id = str(uuid.uuid4())
        odoo.send(path.read_bytes(), f"contract.activated.{road}", message_id, content_type(path))
        waiting.setdefault(event_id(path, message_id), []).append(path.name)
    assert sum(map(len, waiting.values())) == len(EXPECTED) >= 40
    for event, names in waiting.items():
        wait(lambda e=event, n=len(names): len(fleet.results(e)) >= n, f"the results of {names}", 60)
        results = list(fleet.results(event))
        for name in names:
            right = next((r for r in results if is_as_expected(r, EXPECTED[name])), None)
            assert right, (name, EXPECTED[name], [(r["outcome"], r["code"], r["args"]) for r in results])
            assert right["state"] == "final" and right["run"] == 0
            assert ("letter" in right) == (right["outcome"] == "dead")
            results.remove(right)
        assert results == []
    # the fleet works on, and nothing of them came anywhere near the network
    fleet.final(odoo.contract(1, **service()).publish("activated"))
    assert set(json.loads(fleet.network.read_text())) == {"onu/CT-1"}
    assert lab.pg.query("radius", "SELECT DISTINCT username FROM radcheck") == [("u1@isp",)]
    wait(lambda: lab.pg.query("silver", "SELECT outcome FROM silver.event WHERE ref = 'CT-1'"), "the ledger's row")
    logged = lab.pg.query("silver", "SELECT DISTINCT e.ref FROM silver.exec_log x "
                          "JOIN silver.event e ON e.id = x.event")
    assert logged == [("CT-1",)]
    dead = {event for event, names in waiting.items() if any(EXPECTED[name]["outcome"] == "dead" for name in names)}
    assert {row[0] for row in lab.pg.query("silver", "SELECT event::text FROM silver.letter")} == dead


def leaves(tree, path=()):
    """Paths of all strings."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(value, str):
            yield (*path, key)
        elif isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))


def replaced(event, path, value):
    event = copy.deepcopy(event)
    part = event
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return event


def test_A12_hostile_text_in_any_place_reaches_no_device_and_no_statement(fleet, odoo, lab, wait):
    """Each string of an event in turn, each hostile text; PostgreSQL writes down every statement that it is sent."""
    lab.pg.query("radius", "ALTER ROLE silver_worker SET log_statement = 'all'")
    try:
        places = list(leaves(odoo.contract(1, **service()).event("activated")))
        assert len(places) > 20
        sent, number = [], 1000
        for path in places:
            for text in HOSTILE:
                number += 1
                event = replaced(odoo.contract(number, **service(number)).event("activated"), path, text)
                message_id = event["id"] if path != ("id",) else str(uuid.uuid4())
                odoo.send(msgpack.packb(event), "contract.activated.olt-null", message_id)
                sent.append((message_id, path))
        outcomes = {}
        for message_id, path in sent:
            result = fleet.final(message_id, 60)
            outcomes.setdefault(result["outcome"], set()).add(path)
            assert not re.search(r"[\x00-\x1f\x7f-\x9f]", json.dumps({**result, "log": None}, ensure_ascii=False))
        # only a password may be so, if no byte of it is a control byte
        assert outcomes.pop("rejected") >= set(places) - {("service", "access", "password")}
        assert set().union(*outcomes.values()) <= {("service", "access", "password")}, outcomes
    finally:
        lab.pg.query("radius", "ALTER ROLE silver_worker RESET log_statement")
    statements = [line for line in (lab.pg.folder / "postgresql.log").read_text(errors="replace").splitlines()
                  if "silver_worker@radius" in line and "LOG:" in line]
    assert any("INSERT INTO radcheck" in line for line in statements)       # they are written down
    assert not any("hostil" in line for line in statements)
    assert "hostil" not in (fleet.network.read_text() if fleet.network.exists() else "")
    for table, columns in (("radcheck", "username, attribute, op"), ("radreply", "*"), ("radusergroup", "*"),
                           ("radgroupreply", "*"), ("radgroupcheck", "*"), ("silver_fence", "*")):
        assert "hostil" not in str(lab.pg.query("radius", f"SELECT {columns} FROM {table}"))
    ended = "SELECT count(*) FROM silver.event WHERE outcome IS NOT NULL"
    wait(lambda: lab.pg.query("silver", ended)[0][0] >= len(sent), "the ledger to have them all")
    assert "hostil" not in str(lab.pg.query("silver", "SELECT text FROM silver.exec_log"))
    assert "hostil" not in fleet.process.log_text()


def publish(odoo, event, **properties):
    """As somebody does who may publish and means no good."""
    odoo.channel().basic_publish("silver.events", "contract.activated.olt-null", json.dumps(event).encode(),
                                 pika.BasicProperties(**{"delivery_mode": 2, **properties}), mandatory=True)


def test_A12_hostile_properties_and_headers_do_not_matter(fleet, odoo, lab):
    """What stands outside the body is as foreign as the body."""
    headers = [{"silver-attempt": "many"}, {"silver-attempt": -5}, {"silver-attempt": 2 ** 62},
               {"silver-replay": "../../x\r\n/99999999999999999999"}, {"silver-origin": "amq.topic"},
               {"silver-first-failed": "x", "x-death": "not a list"}, {"traceparent": "\x00" * 300},
               {"silver-code": "'; DROP TABLE silver.event; --"}, {f"h{n}": "x" * 100 for n in range(200)}]
    odd = [{"message_id": "x\r\ny"}, {"message_id": "a" * 255}, {"content_type": "application/json;\r\nx"},
           {"content_type": "\x1b[2J"}, {"timestamp": 2 ** 62}, {"timestamp": 10 ** 14},
           {"priority": 255, "expiration": "100000"}, {"reply_to": "amq.rabbitmq.nowhere", "correlation_id": "\r\n"},
           *({"headers": one} for one in headers)]
    for number, properties in enumerate(odd, 1):
        event = odoo.contract(number, **service(number)).event("activated")
        publish(odoo, event, **properties)
        result = fleet.final(event)
        assert (result["outcome"], result["contract"]["ref"]) == ("applied", f"CT-{number}"), (properties, result)
        assert len(rows(lab, "radcheck", f"u{number}@isp", "id")) == 1
    # one that has to wait (the address is taken) says since when, whatever it was sent with
    for number, first in enumerate((2 ** 62, -1), 100):
        event = odoo.contract(number, **service(number)).event("activated")
        event["service"]["access"]["ipv4"] = service(1)["access"]["ipv4"]
        publish(odoo, event, headers={"silver-first-failed": first, "silver-attempt": 4})
        result = fleet.final(event)
        assert (result["outcome"], result["code"], result["attempt"]) == ("dead", "freeradius-sql.address-taken", 6)
        waiting = [r["waiting"]["since"] for r in fleet.results(event["id"]) if r["state"] == "progress"]
        assert waiting and all(since[:4] == result["at"]["finished"][:4] for since in waiting)
