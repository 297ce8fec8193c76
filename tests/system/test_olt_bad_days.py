# SPDX-License-Identifier: Apache-2.0
"""What an OLT says on a bad day: all sessions taken, busy for long, login refused, restarted in mid-dialogue, words that mean nothing."""

import itertools
import signal

import pytest
from lab import Silverd
from olt import RATES, Field, Shared, serial_of, shown

OLTS = [f"olt-{n}" for n in range(1, 5)]
PROMPT = "MA5608T(config)#"


@pytest.fixture(scope="module")
def shared(running_lab, binary):
    shared = Shared(running_lab, lambda name: Field(running_lab, binary, OLTS, name=name))
    yield shared
    shared.close()


@pytest.fixture
def field(shared, request):
    yield shared.get()
    shared.give_back(request.node)


# ---- all sessions taken ----

def test_a_session_that_somebody_else_holds_is_waited_for(field, wait):
    """Person at a console, one session for each account; the device frees it some time after the person's link has died."""
    olt = field.olts["olt-1"]
    ana = field.customer()
    ana.does("activated")
    olt.set(release_ms=1500)
    olt.ask("drop")                         # our own session: the OLT holds it for a while, as for a worker that died
    event = ana.publish("suspended", "suspended")
    assert field.gate("olt-1", "cli.session-quota")["lock"] == ""
    wait(lambda: olt.counters()["quota_refusals"] >= 2, "a second probe")
    field.unspent(event)
    field.good(event)
    assert olt.counters()["sessions"]["max"] == 1
    olt.set(release_ms=0)
    field.check()


# ---- busy ----

@pytest.mark.parametrize("kind, code", [("busy", "huawei.busy"), ("flash_busy", "huawei.flash-busy")])
def test_busy_for_minutes_spends_nothing(field, wait, kind, code):
    """Probes find it alive, jobs find it busy: the gate goes to and fro, further and further apart, and no attempt is spent."""
    olt, customers = field.olts["olt-1"], [field.customer() for _ in range(5)]
    closings = field.closings()
    olt.fault(kind, count=-1)
    events = [ana.publish("activated") for ana in customers]
    field.gate("olt-1", code)
    wait(lambda: field.closings() >= closings + 4, "four probes in vain")
    field.unspent(*events)
    assert olt.writes() == []
    olt.clear_faults()
    for event in events:
        field.good(event)
    field.check()


def test_busy_in_the_middle_is_no_different(field):
    """The n-th command finds it busy, for each n of an activation: what was written is found again."""
    for n in range(1, 21, len(OLTS)):
        for i, olt in enumerate(field.olts.values()):
            olt.clear_faults()
            olt.fault("flash_busy", n=n + i)
        events = [field.customer(olt=name).publish("activated", plan=(next(RATES), next(RATES))) for name in OLTS]
        for event in events:
            field.good(event)
    for olt in field.olts.values():
        assert len(olt.writes()) == len(set(olt.writes()))
    field.check()


# ---- a restart in mid-dialogue ----

def test_a_reboot_after_each_write_loses_nothing(field, wait):
    """The running configuration is gone, and all that was written in this run with it: done again from what is read."""
    for olt in field.olts.values():
        olt.set(latency_for=[{"match": "^(traffic table|ont add|service-port .* vlan)", "ms": 150}])
    events = {name: field.customer(olt=name).publish("activated", plan=(next(RATES), next(RATES))) for name in OLTS}
    for n, olt in enumerate(field.olts.values(), 1):        # so long after the n-th of its four writes that the next one is under way
        wait(lambda: len(olt.writes()) >= n, f"{n} writes")
        olt.ask("reboot")
    for event in events.values():
        field.good(event)
    for olt in field.olts.values():
        olt.set(latency_for=[])
    field.check()


# ---- words that mean nothing, prompts that lie ----

@pytest.mark.parametrize("match", ["^enable", "by-sn", "^traffic table", "^ont add", "^quit", "^save"])
def test_a_login_in_the_middle_ends_the_session_and_nothing_is_typed_into_it(field, match):
    """The OLT restarted behind a terminal server: the next thing is a new session, and no word of ours is a guess at a login."""
    olt = field.olts["olt-1"]
    olt.ask("drop")
    olt.fault("login_again", match=match)
    event = field.customer().publish("activated", plan=(next(RATES), next(RATES)))
    field.good(event)
    assert olt.fired() == 1 and olt.counters()["login_failures"] == 0
    field.check()


@pytest.mark.parametrize("match, executes, outcome", [("by-sn", False, "dead"), ("^ont add", True, "applied"), ("^save", True, "applied")])
def test_a_prompt_that_lies_shifts_nothing(field, match, executes, outcome):
    """A prompt in the middle of an answer: what follows it belongs to no command; each later answer is still that of its own question."""
    olt, ana = field.olts["olt-1"], field.customer()
    olt.fault("unknown_text", match=match, execute=executes, text=f"\r\n{PROMPT}\r\n  ONT-ID : 99\r\n\r\n{PROMPT}\r\n  Failure: no")
    event = ana.publish("activated", plan=(next(RATES), next(RATES)))
    result = field.silverd.final(event)
    assert result["outcome"] == outcome, result
    if outcome == "dead":
        assert result["code"] == "huawei.unexpected-reply"
        ana.does("reconcile")
    field.check()


def test_another_name_of_the_host_is_learned_by_a_new_login(field):
    """Somebody renames the OLT under a warm session: its prompt is not ours any more, the session ends, the next one knows the name."""
    olt, ana = field.olts["olt-1"], field.customer()
    ana.does("activated")
    olt.set(hostname="OLT-Norte-1", password_warning=True, last_login=True, prompt_twice=True)
    ana.does("suspended", "suspended")
    olt.set(hostname="MA5608T", password_warning=False, last_login=False, prompt_twice=False)
    olt.ask("drop")
    ana.does("resumed")
    field.check()


def test_pages_although_they_were_switched_off(field, wait):
    """The release does not know scroll: lists come in pages, and are read whole."""
    olt, ana = field.olts["olt-1"], field.customer(port=15)
    olt.ask("drop")
    olt.fault("unknown_text", match="^scroll", text="  % Unknown command, the error locates at '^'", count=-1)
    lines = [f'ont add 15 {n} sn-auth {shown(serial_of(70000 + n))} omci ont-lineprofile-id 10 ont-srvprofile-id 10 desc "MA5608T(config)#"'
             for n in range(60, 120)]
    olt.type("interface gpon 0/1", *lines, "quit", "save")
    ana.does("activated")
    assert olt.fired() == 1
    olt.type("interface gpon 0/1", *(f"ont delete 15 {n}" for n in range(60, 120)), "quit", "save")
    wait(lambda: not olt.state()["saving"], "the save at the console")
    field.check()


def test_a_device_that_is_silent_at_the_log_out_holds_nobody_up(field, wait):
    olt = field.olts["olt-1"]
    field.customer().does("activated")
    olt.fault("silence", match="^quit")
    field.silverd.ctl("device", "pause", "olt-1")
    wait(lambda: olt.counters()["sessions"]["open"] == 0, "the session to be cut", 3)
    field.silverd.ctl("device", "resume", "olt-1")
    field.customer().does("activated")
    field.check()
