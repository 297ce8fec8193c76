# SPDX-License-Identifier: Apache-2.0
"""Events that are legal and strange, with real SSH and simulated OLTs: what an office or a technician does on a bad day."""

import pytest
from olt import serial_of, shown


def test_two_contracts_swap_their_onus(field):
    """Each asks for what the other is about to leave: neither waits for ever, both end with the other's ONU."""
    ana, beto = field.customer(port=5), field.customer(port=5)
    ana.does("activated")
    beto.does("activated")
    ana.onu, beto.onu = beto.onu, ana.onu
    events = [who.publish("onu_swapped", serial=serial_of(who.onu)) for who in (ana, beto)]
    for event in events:
        assert field.silverd.final(event)["outcome"] == "applied"
        field.one_outcome(event)
    field.check()


@pytest.mark.parametrize("first", ["suspended", "terminated"])
def test_a_contract_that_begins_at_its_end(field, first):
    """Its activation was never seen: nothing is made, and what follows is as ever."""
    ana = field.customer()
    ana.does(first, first, outcome="unchanged")
    assert not [ont for ont in field.olts["olt-1"].state()["onts"] if ont["sn"] == shown(serial_of(ana.onu))]
    ana.does("activated")
    ana.does("terminated", "terminated")
    ana.does("resumed")
    field.check()


def test_a_suspension_need_not_say_the_flows_and_profiles(field):
    """What is not said stays as it is."""
    ana = field.customer(flows=((1, 100), (2, 110)))
    ana.does("activated")
    event = ana.event("suspended", "suspended")
    for key in ("services", "line_profile", "service_profile"):
        del event["service"]["onu"][key]
    field.odoo.publish(event)
    field.good(event)
    field.check()


def test_a_contract_that_gets_another_reference(field):
    ana = field.customer()
    ana.does("activated")
    ana.ref = ana.contract.ref = f"NEW-{ana.contract.number}"
    ana.does("changed")
    field.check()
    ana.does("terminated", "terminated")
    field.check()
