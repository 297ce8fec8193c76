# SPDX-License-Identifier: Apache-2.0
"""What an event asks that cannot be had is said before the first byte leaves; what changed meanwhile is seen before each write."""

import uuid

import pytest

from lab import Odoo, Silverd
from test_null import SERVICE, held

PLAYBOOK = [{"name": "voip-port", "vars": {}}]
ROUTER = {"device": "null-1", "objects": ["queue"]}


@pytest.fixture
def odoo(lab):
    odoo = Odoo(lab.rabbitmq.url(lab.vhost))
    yield odoo
    odoo.close()


@pytest.fixture
def silverd(lab, binary, request):
    """A null target, a RADIUS database and a NAS; the environment is the test's parameter."""
    network = lab.folder / "network.json"
    network.unlink(missing_ok=True)
    targets = [{"id": "null-1", "driver": "null", "null": {"file": str(network)}}, lab.radius_target(), lab.nas_target()]
    silverd = Silverd(lab, binary("worker/silverd"), targets, {"job": {"attempts_max": 2}}, env=getattr(request, "param", {}))
    silverd.network = network
    return silverd.listen().start()


def test_what_cannot_be_had_is_dead_and_nothing_is_touched(silverd, odoo):
    """A section is never skipped in silence: the rest is not carried out either."""
    access = {"username": "ana", "password": "clave-de-ana"}
    wanted = {
        "playbooks": ({"playbooks": PLAYBOOK}, "core.unsupported-section", {"section": "playbooks"}),
        "router": ({"router": ROUTER}, "core.unsupported-section", {"section": "router"}),
        "radius nobody knows": ({"access": {**access, "server": "radius-9"}}, "inventory.unknown-device", {"device": "radius-9"}),
        "a NAS as RADIUS": ({"access": {**access, "server": "bng-1"}}, "radius-session.unsupported",
                            {"target": "bng-1", "what": "user"}),
    }
    events = {name: odoo.contract(10 + n, **SERVICE).publish("activated", **changes)
              for n, (name, (changes, _, _)) in enumerate(wanted.items())}
    for name, (_, code, args) in wanted.items():
        result = silverd.final(events[name])
        assert (result["outcome"], result["code"]) == ("dead", code), (name, result)
        assert args.items() <= result["args"].items(), (name, result)
        assert result["attempt"] == 1
    assert held(silverd) == {}
    assert silverd.final(odoo.contract(20, **SERVICE).publish("activated"))["outcome"] == "applied"


def test_a_thing_that_another_contract_claims_is_not_written(silverd, odoo):
    """Two contracts of one ref: the target cannot tell them apart, the claim can. The second's is dead, and the first's stays."""
    first = odoo.contract(30, **SERVICE)
    second = odoo.contract(31, **SERVICE)
    second.ref = first.ref
    rev = silverd.final(first.publish("activated"))["rev"]
    result = silverd.final(second.publish("activated", plan={"code": "FTTH-200"}))
    assert (result["outcome"], result["code"]) == ("dead", "core.claimed-by-other"), result
    assert result["args"]["other"] == first.ref
    assert result["attempt"] == 2       # the other may let go of it
    assert held(silverd)[f"onu/{first.ref}"]["rev"] == rev
    assert silverd.final(first.publish("reconcile"))["outcome"] == "unchanged"


@pytest.mark.parametrize("silverd", [{"SILVER_FAILPOINTS": "write.before-admit~CT-40 =nap"}], indirect=True, ids=[""])
def test_an_event_that_was_overtaken_before_its_write_writes_nothing(silverd, odoo, lab, wait):
    """G3: admitted as the newest, and no longer so when the write is due: another worker has accepted a newer one meanwhile."""
    contract = odoo.contract(40, **SERVICE)
    event = contract.publish("activated")
    wait(lambda: "failpoint write.before-admit: nap" in silverd.process.log_text(), "the moment before the write")
    newer = str(uuid.uuid4())
    lab.redis.command("HSET", "sn:1:c:odoo/prod/40", "gen", str(event["generation"] + 1), "event", newer)
    result = silverd.final(event)
    assert (result["outcome"], result["code"], result["args"]) == ("superseded", "core.superseded", {"by": newer}), result
    assert held(silverd) == {}
