# SPDX-License-Identifier: Apache-2.0
"""What becomes of those who wait for a save that does not come, and what an OLT's entry in the inventory says for itself."""

import pytest
from olt import Field


class PatientField(Field):
    """An OLT with waiting times of its own."""

    def target(self, olt, **options):
        return super().target(olt, idle_close_ms=400, sessions_max=1, **options)


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
