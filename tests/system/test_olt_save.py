# SPDX-License-Identifier: Apache-2.0
"""What becomes of those who wait for a save that does not come, and what an OLT's entry in the inventory says for itself."""

import datetime
import json

import pytest
from olt import Field


class PatientField(Field):
    """An OLT with waiting times of its own."""

    def target(self, olt, **options):
        return super().target(olt, idle_close_ms=400, sessions_max=1, **options)


class ImpatientField(Field):
    """Its first looks are quick, and there is room for slow ones."""

    def __init__(self, *args, **more):
        super().__init__(*args, {"gate": {"probe_min": "50ms", "probe_max": "10s", "probe_busy": "10s"}}, **more)

    def times_of(self, words):
        """When the log said so, in seconds."""
        lines = [line for line in self.silverd.process.log_text().splitlines() if words in line]
        return [datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp() for line in lines]


@pytest.fixture
def field(lab, binary, request):
    kind = getattr(request, "param", Field)
    field = kind(lab, binary, ["olt-1"], name=f"saver-{len(request.node.name)}").start()
    yield field
    field.close()


def test_a_save_that_is_refused_closes_the_gate_with_the_reason(field, wait):
    """It is asked for again when the gate's probes say so; when the OLT saves again, everything goes on and is final then."""
    olt = field.olts["olt-1"]
    olt.fault("unknown_text", match="^save", text="  Failure: The flash does not hold what it should", count=-1)
    event = field.customer().publish("activated")
    field.gate("olt-1", "huawei.unknown-failure")
    assert not [r for r in field.silverd.results(event["id"]) if r["state"] == "final"]
    olt.clear_faults()
    field.good(event)
    field.check()


def test_who_waits_for_a_busy_save_is_told_why(field, wait):
    olt = field.olts["olt-1"]
    olt.fault("flash_busy", match="^save", count=2)
    event = field.customer().publish("activated")
    wait(lambda: [r for r in field.silverd.results(event["id"]) if (r.get("waiting") or {}).get("code", "").startswith("huawei.")],
         "the reason of the wait")
    field.good(event)


@pytest.mark.parametrize("field", [PatientField], indirect=True)
def test_an_idle_session_closes_when_its_own_entry_says_so(field, wait):
    field.customer().does("activated")
    wait(lambda: field.olts["olt-1"].counters()["sessions"]["open"] == 0, "the idle session to close", 8)


@pytest.mark.parametrize("field", [ImpatientField], indirect=True)
def test_a_save_that_is_refused_again_and_again_is_left_alone_for_longer(field, wait):
    """What is read and written before it succeeds each time; the next look takes twice as long all the same."""
    olt = field.olts["olt-1"]
    olt.fault("unknown_text", match="^save", text="  Failure: The flash does not hold what it should", count=-1)
    event = field.customer().publish("activated")
    closings = wait(lambda: len(times := field.times_of(" gate closed device=")) >= 6 and times, "the sixth refusal", 40)
    assert closings[5] - closings[4] > closings[1] - closings[0] + 0.3, closings
    olt.clear_faults()
    field.good(event)


def test_waiting_does_not_wear_a_message_out(field, wait):
    """Before the broker throws it out for having been taken back so often, a new copy takes its place."""
    olt = field.olts["olt-1"]
    event = field.customer().event("activated")
    olt.fault("busy", count=1)
    field.odoo.send(json.dumps(event).encode(), "contract.activated.olt-1", event["id"], "application/json",
                    headers={"x-delivery-count": 600})
    field.good(event)
    assert field.silverd.process.log_text().count("a new copy takes its place") == 1
