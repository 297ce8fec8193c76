# SPDX-License-Identifier: Apache-2.0
"""The ring without a device: publish -> queue -> lane -> converge -> result -> ledger, on real servers."""

import itertools
import json
import pathlib
import random
import re

import pytest

from lab import Odoo, Silverd
from worlds import AT_END, AT_START, ELSEWHERE, IN_FIRST_LIFE, STORIES, WORLDS, World, cases_of, side_by_side

DOCUMENTED = pathlib.Path(__file__).parent.parent.parent / "docs" / "failpoints.md"

SERVICE = {"plan": {"code": "FTTH-100", "down_kbps": 100000, "up_kbps": 50000},
           "onu": {"device": "null-1", "serial": "HWTC1A2B3C4D", "frame": 0, "slot": 1, "port": 3,
                   "line_profile": "10", "service_profile": "10",
                   "services": [{"name": "internet", "gemport": 1, "vlan": 100, "user_vlan": 100}]}}


@pytest.fixture
def fleet(lab, binary):
    def make(settings=None, env=None, targets=None, **null):
        network = lab.folder / "network.json"
        network.unlink(missing_ok=True)
        entry = {"id": "null-1", "driver": "null", "null": {"file": str(network), **null}}
        silverd = Silverd(lab, binary("worker/silverd"), targets or [entry], settings, env=env)
        silverd.network = network
        silverd.listen()
        return silverd
    return make


@pytest.fixture
def odoo(lab):
    odoo = Odoo(lab.rabbitmq.url(lab.vhost))
    yield odoo
    odoo.close()


def held(silverd):
    return json.loads(silverd.network.read_text()) if silverd.network.exists() else {}


def ledger(lab, event_id):
    rows = lab.pg.query("silver", "SELECT outcome, run, evidence, saved FROM silver.event WHERE id = %s", event_id)
    return rows[0] if rows else None


def test_an_event_is_applied_observed_and_in_the_ledger(fleet, odoo, lab, wait):
    silverd = fleet().start()
    event = odoo.contract(1, **SERVICE).publish("activated")
    result = silverd.final(event)
    assert (result["outcome"], result["evidence"]) == ("applied", "observed")
    assert [t["target"] for t in result["targets"]] == ["null-1"]
    assert held(silverd)["onu/CT-1"]["rev"] == result["rev"]
    row = wait(lambda: (ledger(lab, event["id"]) or (None,))[0] == "applied" and ledger(lab, event["id"]), "the ledger's row")
    assert row[1] == 1
    log = lab.pg.query("silver", "SELECT dir, text FROM silver.exec_log WHERE event = %s ORDER BY seq", event["id"])
    assert any(direction == ">" and text.startswith("put onu CT-1") for direction, text in log)


def test_the_same_event_again_changes_nothing(fleet, odoo):
    """A-03: 50 times the same event: one write, one outcome."""
    silverd = fleet().start()
    contract = odoo.contract(2, **SERVICE)
    event = contract.event("activated")
    for _ in range(50):
        odoo.publish(event)
    silverd.final(event)
    other = contract.publish("reconcile")
    silverd.final(other)
    assert silverd.outcomes(event["id"]) == {"applied"}
    writes = [e for r in silverd.results(event["id"]) for e in (r.get("log") or []) if e["dir"] == ">" and e["text"].startswith("put")]
    assert len(writes) == 1


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_generations_end_in_the_highest(fleet, odoo, wait, seed):
    """A-03: 20 generations in any order: the network holds the highest, nothing older was written after it."""
    silverd = fleet().start()
    contracts = []
    for number in range(20):
        contract = odoo.contract(100 + number, **SERVICE)
        events = [contract.event("plan_changed", plan={"down_kbps": 1000 * (g + 1)}) for g in range(20)]
        contracts.append((contract, events))
    queue = [event for _, events in contracts for event in events]
    random.Random(seed).shuffle(queue)
    for event in queue:
        odoo.publish(event)
    for contract, events in contracts:
        result = silverd.final(events[-1], 60)
        assert result["outcome"] == "applied"
        for event in events:
            assert silverd.final(event)["outcome"] in ("applied", "superseded")
        wait(lambda c=contract, r=result: held(silverd)[f"onu/{c.ref}"]["rev"] == r["rev"], "the highest generation's state", 1)


def test_a_target_that_does_nothing_ends_dead(fleet, odoo):
    """A-11."""
    silverd = fleet(silent=True).start()
    result = silverd.final(odoo.contract(4, **SERVICE).publish("activated"))
    assert (result["outcome"], result["code"]) == ("dead", "core.no-effect")
    assert "letter" in result


def test_transient_failures_climb_the_ladder_and_die(fleet, odoo):
    silverd = fleet(fail="transient-job").start()
    event = odoo.contract(5, **SERVICE).publish("activated")
    result = silverd.final(event, 60)
    assert (result["outcome"], result["code"], result["attempt"]) == ("dead", "null.told-to-fail", 6)
    waiting = [r for r in silverd.results(event["id"]) if r["state"] == "progress"]
    assert len(waiting) == 5
    assert all(r["waiting"]["code"] == "null.told-to-fail" for r in waiting)


def test_unknown_device_is_dead_and_makes_no_queue(fleet, odoo, lab):
    silverd = fleet().start()
    before = set(lab.rabbitmq.queues(lab.vhost))
    service = {**SERVICE, "onu": {**SERVICE["onu"], "device": "olt-99"}}
    result = silverd.final(odoo.contract(6, **service).publish("activated"))
    assert (result["outcome"], result["code"], result["args"]["device"]) == ("dead", "inventory.unknown-device", "olt-99")
    assert set(lab.rabbitmq.queues(lab.vhost)) == before


def test_a_message_that_is_no_event_is_rejected(fleet, odoo, wait):
    silverd = fleet().start()
    odoo.channel()
    odoo.send(b"{\"schema\": ", "contract.activated.null-1", "11111111-2222-4333-8444-555555555555", "application/json")
    result = silverd.final("11111111-2222-4333-8444-555555555555")
    assert (result["outcome"], result["code"]) == ("rejected", "event.syntax")


def test_a_staging_copy_is_rejected(fleet, lab):
    silverd = fleet().start()
    staging = Odoo(lab.rabbitmq.url(lab.vhost), database="staging")
    result = silverd.final(staging.contract(7, **SERVICE).publish("activated"))
    staging.close()
    assert (result["outcome"], result["code"]) == ("rejected", "event.source")
    assert held(silverd) == {}


def test_the_same_generation_with_other_content_is_rejected(fleet, odoo):
    silverd = fleet().start()
    contract = odoo.contract(8, **SERVICE)
    first = contract.publish("activated")
    silverd.final(first)
    other = contract.event("plan_changed", generation=first["generation"], plan={"down_kbps": 7000})
    odoo.publish(other)
    result = silverd.final(other)
    assert (result["outcome"], result["code"]) == ("rejected", "event.generation-reused")


def test_an_id_belongs_to_one_event(fleet, odoo, wait):
    """An id that another contract used: said so, not answered with the other's result; the other's stays."""
    silverd = fleet().start()
    first = odoo.contract(9, **SERVICE).publish("activated")
    silverd.final(first)
    thief = odoo.contract(10, **SERVICE).event("activated")
    thief["id"] = first["id"]
    odoo.publish(thief)
    result = wait(lambda: next((r for r in silverd.results(first["id"]) if r["contract"]["ref"] == "CT-10"), None), "the refusal")
    assert (result["outcome"], result["code"]) == ("rejected", "event.id-reused")
    assert "onu/CT-10" not in held(silverd) and "onu/CT-9" in held(silverd)


def test_sigterm_drains(fleet, odoo, lab):
    silverd = fleet(latency_ms=50).start()
    events = [odoo.contract(20 + n, **SERVICE).publish("activated") for n in range(30)]
    silverd.final(events[0])
    silverd.stop()
    assert silverd.process.returncode() == 0
    assert "to=given-back" not in silverd.process.log_text()    # what was in hand was finished
    silverd.start()
    for event in events:
        assert silverd.final(event)["outcome"] == "applied"
    assert all(silverd.outcomes(e["id"]) == {"applied"} for e in events)


def test_a_payment_does_not_wait_for_the_bill_run_before_its_own_suspension(fleet, odoo):
    """One contract's suspension is the last of a bill run, its payment comes behind it: both go first now."""
    silverd = fleet(latency_ms=60).start()
    contracts = [odoo.contract(100 + n, **SERVICE) for n in range(16)]
    for contract in contracts:
        contract.service["onu"]["serial"] = f"HWTC{contract.number:08X}"
    bulk = [c.event("suspended", state="suspended") for c in contracts]
    for event in bulk:
        odoo.publish(event, bulk=True)
    silverd.final(bulk[0])
    paid = contracts[-1].publish("resumed")
    done = {event["id"]: silverd.final(event)["at"]["finished"] for event in [paid, *bulk]}
    before = [e["id"] for e in bulk if done[e["id"]] < done[paid["id"]]]
    assert bulk[-1]["id"] in before and len(before) < 10, sorted(done.values())


def test_what_waits_too_long_for_its_lane_goes_to_the_back_of_its_queue(fleet, odoo):
    """The broker would take it for a stuck consumer's delivery; it costs no attempt, and everything ends once."""
    silverd = fleet({"job": {"hold_max": "1s"}}, latency_ms=100).start()
    events = [odoo.contract(200 + n, **SERVICE).event("activated", onu={"serial": f"HWTC{n:08X}"}) for n in range(12)]
    for event in events:
        odoo.publish(event)
    results = [silverd.final(event) for event in events]
    assert {(r["outcome"], r["attempt"]) for r in results} == {("applied", 1)}
    assert all(silverd.outcomes(e["id"]) == {"applied"} for e in events)
    assert "held too long: to the back of its queue" in silverd.process.log_text()


@pytest.fixture
def worlds(lab, binary):
    made = [World(lab, binary, number) for number in range(WORLDS)]
    yield made
    for world in made:
        world.close()


def test_kill_at_every_point_gives_one_outcome(worlds, wait, lab):
    """A-05 on the null driver: killed at every change of state, journal entry and change of ownership, then started again."""
    side_by_side(wait, [world.trace(story) for world, story in itertools.zip_longest(worlds, STORIES)])
    cases = cases_of({story: world.hits for world, story in zip(worlds, STORIES)})
    lives = [cases[number::WORLDS] for number in range(WORLDS)]
    for number, point in enumerate(AT_START + AT_END):      # behind a death that left a journal
        lives[number].insert(3, ("activated", point, 1))
    documented = set(re.findall(r"^\| `([a-z.-]+)` \|", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE))
    assert {point for life in lives for _, point, _ in life} | set(IN_FIRST_LIFE) == {name for name in documented if not name.startswith(ELSEWHERE)}
    side_by_side(wait, [world.lives(life) for world, life in zip(worlds, lives)])
    for world in worlds:
        world.check()
    events = [event["id"] for world in worlds for _, _, events in world.contracts for event in events]
    wait(lambda: not set(events) - {row[0] for row in lab.pg.query("silver", "SELECT id::text FROM silver.event WHERE outcome IS NOT NULL")},
         "the ledger's rows")
