# SPDX-License-Identifier: Apache-2.0
"""silverd and Huawei OLTs from event to result: real SSH, RabbitMQ, Redis and PostgreSQL, simulated OLTs.

All tests of this file share one silverd and two OLTs; each brings its own contracts, and the OLTs are compared whole.
"""

import itertools
import json
import random

import pytest

from olt import DIALOGUES, RATES, VLANS, shown


def active_customer(field):
    ana = field.customer()
    ana.does("activated")
    return ana


# ---- the life of a contract ----

@pytest.mark.parametrize("cutoff", [{}, {"cutoff": "port", "cutoff_port": 2}, {"cutoff": "none"}], ids=["onu", "port", "none"])
def test_life_of_a_contract(field, cutoff):
    """After each event the OLT holds exactly what the contract is to have."""
    cut = "unchanged" if cutoff == {"cutoff": "none"} else "applied"
    ana = field.customer(**cutoff)
    ana.does("activated")
    field.check()
    ana.does("plan_changed", plan=(200000, 80000))
    field.check()
    ana.does("suspended", "suspended", outcome=cut)
    field.check()
    ana.does("resumed", outcome=cut)
    field.check()
    ana.does("onu_swapped", serial=ana.hang_up())
    field.check()
    ana.does("terminated", "terminated")
    field.check()
    ana.does("terminated", "terminated", outcome="unchanged")
    field.check()


def test_move_to_another_olt_leaves_nothing_behind(field):
    ana = field.customer(flows=((1, 100), (2, 110)))
    ana.does("activated")
    result = ana.does("moved", device="olt-2", port=3, serial=ana.hang_up("olt-2", 3))
    left = [t for t in result["targets"] if t["target"] == "olt-1"]
    assert [(t["code"], t["outcome"]) for t in left] == [("core.follow-up", "pending")]
    field.good({"id": left[0]["args"]["event"]})
    field.check()
    ana.does("terminated", "terminated")
    field.check()


def test_termination_that_knows_a_newer_onu_removes_the_older_one(field):
    """The swap's event never came, or came too late."""
    ana = field.customer()
    ana.does("activated")
    ana.does("terminated", "terminated", serial=ana.hang_up())
    field.check()


# ---- A-03: again, and in any order ----

def test_A03_the_same_event_fifty_times(field):
    ana = field.customer()
    event = ana.event("activated")
    for _ in range(50):
        field.odoo.publish(event)
    field.good(event)
    field.good(ana.publish("reconcile"), "unchanged")       # behind all of them
    writes = field.olts["olt-1"].writes()
    assert len(writes) == len(set(writes)) and sum(w.startswith("ont add") for w in writes) == 1
    field.check()


def test_A03_shuffled_generations_end_in_the_highest(field):
    """Five contracts, eight generations each, shuffled: the highest holds, and no line was sent twice."""
    customers = [field.customer() for _ in range(5)]
    events = {c.ref: [c.event("plan_changed", plan=(1000 * n + 10 * g, 2000 * n + 10 * g)) for g in range(8)]
              for n, c in enumerate(customers, 21)}
    queue = [event for some in events.values() for event in some]
    random.Random(4).shuffle(queue)
    for event in queue:
        field.odoo.publish(event)
    for some in events.values():
        field.good(some[-1])
        for event in some:
            assert field.silverd.final(event)["outcome"] in ("applied", "superseded")
    writes = field.olts["olt-1"].writes()
    assert len(writes) == len(set(writes))
    field.check()


KINDS = ["plan_changed", "resumed", "onu_swapped", "moved", "flows", "terminated", "suspended"]


def random_event(chance, ana, kinds):
    """What may happen to a contract next."""
    kind = chance.choice(kinds)
    if kind in ("suspended", "terminated"):
        return ana.event(kind, kind)
    if kind == "onu_swapped":
        return ana.event(kind, serial=ana.hang_up())
    if kind == "moved":
        olt = chance.choice(sorted(ana.field.olts))
        ana.field.olts[olt].plug(ana.onu, ana.port)
        return ana.event(kind, device=olt)
    if kind == "flows":
        vlans = chance.sample(VLANS, chance.randint(1, 2))
        return ana.event("changed", services=[{"name": f"s{g}", "gemport": g, "vlan": v} for g, v in enumerate(vlans, 1)])
    return ana.event(kind, plan=(chance.choice((10000, 20000)), 5000))


def storm(field, chance, mishap=lambda published: None):
    """Contracts that are moved, swapped, cut and ended, in any order and twice, while links break and OLTs are busy."""
    customers = [field.customer(olt=chance.choice(sorted(field.olts))) for _ in range(8)]
    newest, queue = [], []
    for ana in customers:
        events = [ana.event("activated")] + [random_event(chance, ana, KINDS) for _ in range(5)]
        # a suspension that comes first makes no ONU, one that comes later keeps it: let the newest be another event
        events.append(random_event(chance, ana, KINDS[:-1]))
        newest.append(events[-1])
        queue += events + chance.sample(events, 2)
    for olt in field.olts.values():
        olt.fault("cut_after_write", n=chance.randint(2, 9), count=3)
        olt.fault("cut_before", n=chance.randint(20, 60), count=3)
        olt.fault("flash_busy", n=chance.randint(60, 120), count=2)
        olt.fault("save_cut", n=chance.randint(1, 3), completes=chance.choice([True, False]))
    chance.shuffle(queue)
    for n, event in enumerate(queue):
        field.odoo.publish(event)
        mishap(queue[:n + 1])
    for event in queue:
        result = field.silverd.final(event, 60)
        assert result["outcome"] in ("applied", "unchanged", "superseded"), (result["code"], result["args"], result["log"])
        field.one_outcome(event)
    for event in newest:
        result = field.silverd.final(event)
        assert (result["outcome"] in ("applied", "unchanged"), result["evidence"], result["saved"]) == (True, "observed", True)
    for cleanup in field.follow_ups():
        field.silverd.final(cleanup)
    field.check()


@pytest.mark.parametrize("seed", range(3))
def test_G3_a_storm_ends_in_the_newest_state_and_nothing_else(field, seed):
    storm(field, random.Random(seed))


@pytest.mark.parametrize("seed", range(2))
def test_G3_a_storm_in_which_silverd_dies_and_olts_restart(field, seed):
    chance, silverd = random.Random(seed), field.silverd

    def mishap(published):
        if chance.random() > 0.1:
            return
        silverd.final(chance.choice(published))         # so that there is always something under way and something done
        what = chance.choice(["kill", "stop", "reboot", "drop"])
        if what in ("kill", "stop"):
            getattr(silverd, what)()
            silverd.start(wait_ready=False)
        else:
            field.olts[chance.choice(sorted(field.olts))].ask(what)

    storm(field, chance, mishap)


# ---- A-04: the link breaks ----

@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_A04_cut_after_each_write(field, dialogue):
    """The n-th write is executed and its answer is lost, for each n that there is."""
    olt = field.olts["olt-1"]
    active, make, writes = DIALOGUES[dialogue]
    for n in itertools.count(1):
        ana = active_customer(field) if active else field.customer()
        olt.reset()
        olt.fault("cut_after_write", n=n)
        event = make(ana)
        field.odoo.publish(event)
        field.good(event)
        fired = olt.fired()
        olt.clear_faults()
        assert len(olt.writes()) == len(set(olt.writes())) == writes
        field.check()
        if not fired:
            break
    assert n == writes + 1


# ---- A-09, A-10: whose is it ----

def test_A09_late_termination_after_the_onu_was_given_away_by_hand(field):
    """Somebody at the console gave A's ONU to B; A's termination arrives late, and B's activation even later."""
    olt = field.olts["olt-1"]
    ana = field.customer()
    ana.does("activated")
    bob = field.customer(onu=ana.onu, port=ana.port)
    flow = olt.state()["service_ports"][-1]
    port = f"{ana.port} {next(o['id'] for o in olt.state()['onts'] if o['sn'] == shown(ana.service['serial']))}"
    olt.type("interface gpon 0/1", f'ont modify {port} desc {bob.ref}', "quit", "save")
    olt.reset()
    ana.does("terminated", "terminated", outcome="unchanged")
    assert olt.writes() == [] and flow in olt.state()["service_ports"]
    bob.does("activated", outcome="unchanged")
    field.check()


def test_A09_late_termination_after_the_onu_was_given_away_by_event(field, wait):
    """B's activation arrives before A's termination: it waits until the ONU is free, and A's leaves nothing of A."""
    ana = field.customer()
    ana.does("activated")
    bob = field.customer(onu=ana.onu, port=ana.port, flows=((2, 110),))
    event = bob.publish("activated")
    waiting = wait(lambda: [r for r in field.silverd.results(event["id"]) if r.get("waiting")], "B to wait")
    assert waiting[0]["waiting"]["code"] == "huawei.other-contract"
    ana.does("terminated", "terminated")
    result = field.silverd.final(event)
    assert (result["outcome"], result["evidence"]) == ("applied", "observed") and result["attempt"] > 1
    field.check()


def test_A10_the_neighbour_on_a_shared_onu_survives_everything(field):
    olt = field.olts["olt-1"]
    bob = field.customer(shared=True, flows=((1, 100),))
    bob.does("activated")
    ana = field.customer(onu=bob.onu, port=bob.port, shared=True, flows=((2, 110), (3, 120)))
    neighbour = olt.state()["service_ports"][-1]
    for kind, changes in (("activated", {}), ("plan_changed", {"plan": (70000, 30000)}), ("suspended", {}), ("resumed", {}),
                          ("terminated", {}), ("activated", {}), ("suspended", {}), ("terminated", {"outcome": "unchanged"}),
                          ("activated", {})):
        ana.does(kind, kind if kind in ("suspended", "terminated") else "active", **changes)
        field.check()
        assert neighbour in olt.state()["service_ports"]
    ana.does("onu_swapped", serial=ana.hang_up(), shared=False)
    field.check()
    assert neighbour in olt.state()["service_ports"]
    ana.does("terminated", "terminated")
    bob.does("terminated", "terminated")
    field.check()


# ---- A-11: what an OLT may answer ----

def test_A11_an_olt_that_answers_and_does_nothing(field):
    ana = field.customer()
    field.olts["olt-1"].fault("do_nothing", count=-1)
    event = ana.event("activated")
    ana.state = None
    field.odoo.publish(event)
    field.dead(event, "core.no-effect")
    field.olts["olt-1"].clear_faults()
    field.check()


@pytest.mark.parametrize("match, text, code, words", [
    ("^ont add", None, "huawei.unknown-failure", "Configuring ONT-ID 5 failed"),
    ("by-sn", "  qwertz \x07 %s", "huawei.unexpected-reply", "qwertz"),
])
def test_a_reply_that_nobody_knows_is_dead_with_its_words(field, match, text, code, words):
    ana = field.customer()
    field.olts["olt-1"].fault("unknown_text", match=match, **({"text": text} if text else {}))
    event = ana.event("activated")
    ana.state = None
    field.odoo.publish(event)
    result = field.dead(event, code)
    assert any(words in entry["text"] for entry in result["log"] if entry["dir"] == "<")
    assert "\x07" not in json.dumps(result, ensure_ascii=False) and result["letter"]["event_sealed"]
    assert (code == "huawei.unknown-failure") or result["letter"]["reply_sealed"]
    field.check()


@pytest.mark.parametrize("changes, code", [({"line_profile": "77"}, "huawei.line-profile-missing"),
                                           ({"flows": ((1, 100), (2, 999))}, "huawei.vlan-missing")])
def test_a_first_activation_that_fails_leaves_nothing_half_built(field, changes, code):
    ana = field.customer(**changes)
    event = ana.event("activated")
    ana.state = None
    field.odoo.publish(event)
    result = field.dead(event, code)
    assert result["saved"]
    field.check()


def test_equal_failures_close_the_gate_before_a_sixth(field):
    """A board is pulled out: five dead letters, not five thousand."""
    customers = [field.customer(slot=7) for _ in range(9)]
    events = [ana.event("activated") for ana in customers]
    for ana, event in zip(customers, events):
        ana.state = None
        field.odoo.publish(event)
    assert field.gate("olt-1", "core.equal-failures")["lock"] == "person"
    bob = field.customer(olt="olt-2")
    bob.does("activated")
    finals = [e for e in events if any(r["state"] == "final" for r in field.silverd.results(e["id"]))]
    assert len(finals) == 5
    for event in finals:
        field.dead(event, "huawei.onu-elsewhere")
    field.olts["olt-1"].set(boards=[{"frame": 0, "slot": 1, "ports": 16}, {"frame": 0, "slot": 7, "ports": 16}])
    for ana in customers:
        ana.field.olts["olt-1"].ask("plug", fsp=f"0/7/{ana.port}", sn=shown(ana.service["serial"]))
    field.silverd.ctl("device", "resume", "olt-1")
    for ana, event in zip(customers, events):
        if event not in finals:
            field.good(event)
            ana.does("terminated", "terminated")
    field.check()


# ---- waiting is not failing ----

@pytest.mark.parametrize("kind, code", [("busy", "huawei.busy"), ("flash_busy", "huawei.flash-busy"), ("quota", "cli.session-quota")])
def test_a_device_that_is_busy_is_waited_for(field, kind, code):
    olt = field.olts["olt-1"]
    ana = field.customer()
    if kind == "quota":
        olt.ask("drop")
    olt.fault(kind, count=-1)
    event = ana.publish("activated")
    field.gate("olt-1", code)
    assert not [r for r in field.silverd.results(event["id"]) if r["state"] == "final"]
    olt.clear_faults()
    field.good(event)
    field.check()


def test_an_unreachable_olt_is_waited_for_and_its_neighbour_goes_on(field):
    olt = field.olts["olt-1"]
    ana = field.customer()
    bob = field.customer(olt="olt-2")
    olt.fault("refuse_connect", seconds=60)
    olt.ask("drop")
    event = ana.publish("activated")
    field.gate("olt-1", "cli.connect")
    bob.does("activated")
    assert not [r for r in field.silverd.results(event["id"]) if r["state"] == "final"]
    olt.clear_faults()
    field.good(event)
    field.check()


def login_trap_password(olt):
    olt.set(password="changed-by-somebody", lock_after=3)
    return "ssh.auth"


def login_trap_host_key(olt):
    olt.ask("new_host_key")
    return "ssh.host-key-changed"


@pytest.mark.parametrize("trap, failures", [(login_trap_password, 1), (login_trap_host_key, 0)])
def test_a_login_that_fails_waits_for_a_person(field, trap, failures):
    """One try, whatever comes; nothing is lost, and the account is not locked."""
    olt = field.olts["olt-2"]
    code = trap(olt)
    olt.ask("drop")
    customers = [field.customer(olt="olt-2") for _ in range(3)]
    events = [customer.publish("activated") for customer in customers]
    assert field.gate("olt-2", code)["lock"] == "person"
    for _ in range(5):                                      # the rest of the fleet has work meanwhile
        field.customer().does("activated")
    assert olt.counters()["login_failures"] == failures
    assert not [r for e in events for r in field.silverd.results(e["id"]) if r["state"] == "final"]
    olt.set(password=field.sim.olts["olt-2"]["password"], lock_after=0, host_key=str(field.sim.folder / "host_key"))
    field.silverd.ctl("device", "resume", "olt-2")
    for event in events:
        field.good(event)
    field.check()


# ---- A-06: the save ----

def test_one_save_for_many_contracts(field):
    """Group commit: what arrives together is saved together."""
    olt = field.olts["olt-1"]
    customers = [field.customer() for _ in range(16)]
    events = [ana.publish("activated") for ana in customers]
    for event in events:
        field.good(event)
    assert 1 <= olt.counters()["saves"] <= 4
    field.check()


def test_A06_a_save_that_is_cut_is_made_again(field):
    olt = field.olts["olt-1"]
    ana = active_customer(field)
    olt.fault("save_cut", completes=False)
    ana.does("plan_changed", plan=(next(RATES), next(RATES)))
    assert olt.fired() == 1
    field.check()


@pytest.mark.parametrize("seconds", [0, 60], ids=["back at once", "unreachable for a while"])
def test_A06_a_reboot_in_the_middle_of_the_save(field, wait, seconds):
    """The OLT comes back with what it had saved: nothing of the group was said to be final, and all of it is done again."""
    olt = field.olts["olt-1"]
    new, (cut, gone, swapped, moved) = field.customer(), [active_customer(field) for _ in range(4)]
    field.silverd.ctl("device", "pause", "olt-1")
    events = [new.publish("activated"), cut.publish("suspended", "suspended"), gone.publish("terminated", "terminated"),
              swapped.publish("onu_swapped", serial=swapped.hang_up())]
    result = moved.does("moved", device="olt-2", serial=moved.hang_up("olt-2"))
    events.append({"id": next(t["args"]["event"] for t in result["targets"] if t["code"] == "core.follow-up")})
    olt.set(save_ms=60000)
    field.silverd.ctl("device", "resume", "olt-1")
    wait(lambda: olt.state()["saving"], "the save")
    told = [list(field.silverd.results(event["id"])) for event in events]
    if seconds:
        olt.fault("refuse_connect", seconds=seconds)
    olt.ask("reboot")
    olt.set(save_ms=10)
    if seconds:
        wait(lambda: all(field.was_given_back(event) for event in events), "all of them to go back to the queue")
        olt.clear_faults()
    for event in events:
        field.good(event)
    assert all((r["state"], r["saved"]) == ("progress", False) for some in told for r in some)
    field.check()


# ---- A-14: what would be done ----

def mark_of(line):
    """create, remove or change"""
    makes = line.startswith(("traffic table", "ont add")) or (line.startswith("service-port") and " vlan " in line)
    return "+" if makes else "-" if line.startswith(("undo service-port", "ont delete")) else "~"


def test_A14_a_plan_says_the_lines_and_sends_none(field):
    olt = field.olts["olt-1"]
    ana = active_customer(field)
    for event in (field.customer(flows=((1, 100), (2, 110))).event("activated", plan=(next(RATES), next(RATES))),
                  ana.event("plan_changed", plan=(next(RATES), next(RATES))), ana.event("suspended", "suspended"),
                  ana.event("terminated", "terminated")):
        path = field.lab.folder / "event.json"
        path.write_text(json.dumps(event), encoding="utf-8")
        olt.reset()
        said = field.silverd.ctl("--json", "plan", str(path), "--exit-code")
        assert said.returncode == 3 and olt.writes() == []
        target, = json.loads(said.stdout)["targets"]
        planned = [(change["mark"], change["line"]) for change in target["changes"]]
        field.odoo.publish(event)
        field.good(event)
        assert [line for _, line in planned] == olt.writes()
        assert [mark for mark, _ in planned] == [mark_of(line) for _, line in planned]
        olt.reset()
        again = field.silverd.ctl("--json", "plan", str(path), "--exit-code")
        assert again.returncode == 0 and json.loads(again.stdout)["changes"] == 0
    field.check()


# ---- A-15: a person wants the device ----

def test_A15_pause_closes_an_idle_session_and_loses_nothing(field, wait):
    olt = field.olts["olt-1"]
    ana = active_customer(field)
    assert olt.counters()["sessions"]["open"] == 1
    said = field.silverd.ctl("--json", "device", "pause", "olt-1", "--why", "new board")
    wait(lambda: olt.counters()["sessions"]["open"] == 0, "the session to be closed", 1)
    assert json.loads(said.stdout)["unsaved"] == 0
    event = ana.publish("plan_changed", plan=(next(RATES), next(RATES)))
    field.customer(olt="olt-2").does("activated")
    assert field.silverd.results(event["id"]) == [] and olt.counters()["sessions"]["open"] == 0
    field.silverd.ctl("device", "resume", "olt-1")
    field.good(event)
    field.check()


def test_A15_pause_stops_a_busy_session_after_the_reply_in_flight(field, wait):
    olt = field.olts["olt-1"]
    ana = field.customer()
    olt.set(latency_for=[{"match": "^ont add", "ms": 700}])
    event = ana.publish("activated", plan=(next(RATES), next(RATES)))
    wait(lambda: len(olt.writes()) == 2, "both traffic tables; then the ONU is being added")
    said = field.silverd.ctl("--json", "device", "pause", "olt-1")
    wait(lambda: olt.counters()["sessions"]["open"] == 0, "the session to be closed")
    assert [w.split()[0] for w in olt.writes()] == ["traffic", "traffic", "ont"]
    assert json.loads(said.stdout)["unsaved"] == 3 and olt.state()["dirty"]
    assert not [r for r in field.silverd.results(event["id"]) if r["state"] == "final"]
    olt.set(latency_for=[])
    field.silverd.ctl("device", "resume", "olt-1")
    field.good(event)
    assert len(olt.writes()) == len(set(olt.writes())) == 4
    field.check()
