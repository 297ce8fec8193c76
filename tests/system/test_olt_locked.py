# SPDX-License-Identifier: Apache-2.0
"""What closes an OLT's gate until a person looks: a login that is refused, and words that nobody knows. No restart forgets it."""

import pytest
from lab import Silverd


def wrong_password(olt):
    olt.set(password="changed-by-somebody", lock_after=3)
    return "ssh.auth"


def other_host_key(olt):
    olt.ask("new_host_key")
    return "ssh.host-key-changed"


@pytest.mark.parametrize("trap, tries", [(wrong_password, 1), (other_host_key, 0)])
def test_a_refused_login_is_tried_once_whatever_restarts(field, binary, wait, trap, tries):
    """Events, kill -9, SIGTERM, a take-over by another worker: one try in all; then a person says go on."""
    olt, silverd = field.olts["olt-1"], field.silverd
    password = field.sim.olts["olt-1"]["password"]
    code = trap(olt)
    olt.ask("drop")
    events = [field.customer().publish("activated") for _ in range(3)]
    assert field.gate("olt-1", code)["lock"] == "person"
    other = field.customer(olt="olt-2")
    other.does("activated")

    def goes_on(kind, state):
        """The worker of the moment does its work, and has met the closed gate again."""
        events.append(field.customer().publish("activated"))
        other.does(kind, state)
        assert olt.counters()["login_failures"] == tries
        assert field.gate("olt-1", code)["lock"] == "person"

    silverd.kill()
    silverd.start()
    goes_on("suspended", "suspended")
    silverd.stop()
    silverd.start()
    goes_on("resumed", "active")
    second = Silverd(field.lab, binary("worker/silverd"), [field.target(name) for name in field.olts], None, f"second-{code}",
                     roles=("worker",))
    second.fleet_key.write_text(silverd.fleet_key.read_text(encoding="utf-8"), encoding="utf-8")
    second.start(wait_ready=False)
    silverd.stop()
    silverd.process, first = second.process, silverd.process
    wait(lambda: field.lab.redis.command("HGET", "sn:1:o:olt-1", "worker").startswith("second-"), "the second worker's claim")
    goes_on("suspended", "suspended")
    first.spawn()
    second.stop()
    silverd.process = first
    goes_on("resumed", "active")
    field.unspent(*events)
    olt.set(password=password, lock_after=0, host_key=str(field.sim.folder / "host_key"))
    silverd.ctl("device", "resume", "olt-1")
    for event in events:
        field.good(event)
    field.check()


def test_an_unknown_text_costs_five_letters_of_five_hundred(shared, field, wait):
    """A new release says something else after one command: five contracts are dead, 495 wait unspent, until a person says go on."""
    olt = field.olts["olt-1"]
    before = olt.state()["onts"]
    olt.set(latency_ms=0)
    olt.fault("unknown_text", match="^ont add", text="  Failure: The ONT is what nobody has ever read", count=-1)
    customers = [field.customer(port=n % 16) for n in range(500)]
    events = [ana.publish("activated") for ana in customers]
    assert field.gate("olt-1", "core.equal-failures")["lock"] == "person"
    wait(lambda: field.waiting("olt-1") == 495, "the others to be back in their queue", 60)
    finals = {result["event"]: result for results in field.silverd.said().values() for result in results if result["state"] == "final"}
    dead = [finals[event["id"]] for event in events if event["id"] in finals]
    assert [(r["outcome"], r["code"]) for r in dead] == [("dead", "huawei.unknown-failure")] * 5
    assert olt.state()["onts"] == before
    assert olt.fired() == 5
    olt.clear_faults()
    field.silverd.ctl("device", "resume", "olt-1")
    for event in [event for event in events if event["id"] not in finals][:10]:
        field.good(event)
    shared.close()                          # the others need not go on here
