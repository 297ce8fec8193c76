# SPDX-License-Identifier: Apache-2.0
"""Two silverds on one vhost: a process that sleeps too long loses its OLT to the other, and does not stand in its way when it wakes."""

import itertools
import pathlib
import signal

import pytest
from cutproxy import TO_SERVER, CutProxy
from lab import Silverd
from olt import Field

NUMBER = itertools.count(1)


@pytest.fixture
def field(lab, binary):
    # the broker gives a sleeper's messages away when its link is dead
    field = Field(lab, binary, ("olt-1",), {"broker": {"heartbeat": "1s"}}, f"sleeper-{next(NUMBER)}")
    yield field
    field.odoo.close()


def neighbour(field, binary):
    """A second worker with the same inventory and the same fleet key."""
    second = Silverd(field.lab, binary("worker/silverd"), [field.target("olt-1")], None, f"neighbour-{field.silverd.name}", roles=("worker",))
    second.fleet_key.write_text(field.silverd.fleet_key.read_text(encoding="utf-8"), encoding="utf-8")
    return second.start(wait_ready=False)


@pytest.mark.parametrize("sessions", [1, 2])
def test_G2_who_slept_too_long_leaves_the_device_to_the_new_owner(field, binary, lab, wait, sessions):
    """Stopped in the middle of its work, taken over, woken: one writer at a time, the single session is given up, all is done."""
    field.start()
    second = neighbour(field, binary)
    olt = field.olts["olt-1"]
    olt.set(latency_ms=80, sessions_max=sessions)      # it is nearly always in the middle of a reading
    customers = [field.customer() for _ in range(3)]
    events = [customer.publish("activated") for customer in customers]
    wait(lambda: olt.counters()["writes"] >= 3, "the first owner's work")
    field.silverd.process.signal(signal.SIGSTOP)
    wait(lambda: lab.redis.command("HGET", "sn:1:o:olt-1", "worker").startswith("neighbour-"), "the second worker's claim")
    field.silverd.process.signal(signal.SIGCONT)
    for event in events:
        result = field.silverd.final(event)
        assert (result["outcome"], result["attempt"]) == ("applied", 1), result
        field.one_outcome(event)
    assert result["worker"].startswith("neighbour-")
    wait(lambda: olt.counters()["sessions"]["open"] == 1, "one session, the owner's")
    assert olt.counters()["interleaved_writers"] == 0
    field.check()
    field.silverd.process.check()
    second.process.check()


def test_G2_a_lease_that_was_over_does_not_come_back_with_what_it_had(field, binary, lab, wait):
    """Stopped between the permission to write and the write, taken over, woken, and its keeper is faster than its lane: nothing is sent."""
    field.silverd.process.env["SILVER_FAILPOINTS"] = "write.journaled~ont add=nap,keeper.renewed~late=nap@2"
    field.start()
    second = neighbour(field, binary)
    olt = field.olts["olt-1"]
    olt.set(sessions_max=2)
    event = field.customer().publish("activated")
    wait(lambda: "failpoint write.journaled: nap" in field.silverd.process.log_text(), "the permission to write")
    field.silverd.process.signal(signal.SIGSTOP)
    wait(lambda: lab.redis.command("HGET", "sn:1:o:olt-1", "worker").startswith("neighbour-"), "the second worker's claim")
    field.silverd.process.signal(signal.SIGCONT)
    result = field.silverd.final(event)
    assert (result["outcome"], result["attempt"]) == ("applied", 1) and result["worker"].startswith("neighbour-"), result
    wait(lambda: '"ownership lost" device=olt-1' in field.silverd.process.log_text() and
         olt.counters()["sessions"]["open"] == 1, "the first owner to give its session up")
    log = olt.ask("log")["log"]
    sessions = [entry["session"] for entry in log]
    assert sessions == sorted(sessions), "who was there first has sent something after the new owner began"
    second.process.check()


@pytest.mark.parametrize("point", ["cli.before-write~ont add", "write.journaled~service-port", "claim.before"])
def test_G2_who_slept_at_a_point_writes_nothing_when_it_wakes(field, binary, lab, wait, point):
    """It wakes right before its next byte, when all is done by the new owner: not one line more reaches the device."""
    field.silverd.process.env["SILVER_FAILPOINTS"] = f"{point}=stop"
    field.start()
    olt = field.olts["olt-1"]
    olt.set(sessions_max=2, interleave_ms=100)
    event = field.customer().publish("activated")
    sleeper = field.silverd.process
    wait(lambda: pathlib.Path(f"/proc/{sleeper.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "T", f"the stop at {point}")
    second = neighbour(field, binary)
    result = field.silverd.final(event)
    assert (result["outcome"], result["attempt"]) == ("applied", 1) and result["worker"].startswith("neighbour-"), result
    written = olt.writes()
    sleeper.signal(signal.SIGCONT)
    sleeper.wait_line("ownership lost", 20)
    wait(lambda: olt.counters()["sessions"]["open"] == 1, "one session, the owner's")
    assert olt.writes() == written
    field.one_outcome(event)
    field.check()
    sleeper.check()
    second.process.check()


def is_stopped(process):
    return pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "T"


def test_G2_who_slept_between_the_check_and_the_write_sends_one_line_at_most(field, binary, wait):
    """No program can help that one, the device checks no token: it is one line, of the same contract, and all that is read is right."""
    field.silverd.process.env["SILVER_FAILPOINTS"] = "cli.allowed~service-port=stop"
    field.start()
    olt, sleeper = field.olts["olt-1"], field.silverd.process
    olt.set(sessions_max=2, interleave_ms=100)
    event = field.customer().publish("activated")
    wait(lambda: is_stopped(sleeper), "the stop before the write")
    second = neighbour(field, binary)
    result = field.silverd.final(event)
    assert (result["outcome"], result["attempt"]) == ("applied", 1) and result["worker"].startswith("neighbour-"), result
    mine = olt.ask("log")["log"][-1]["session"]
    seen = len(olt.ask("log")["log"])
    sleeper.signal(signal.SIGCONT)
    sleeper.wait_line("ownership lost", 20)
    wait(lambda: olt.counters()["sessions"]["open"] == 1, "one session, the owner's")
    late = [entry["command"] for entry in olt.ask("log")["log"][seen:] if entry["session"] != mine]
    assert [line for line in late if not line.startswith(("display", "quit"))] == late[:1]
    field.one_outcome(event)
    field.check()
    second.process.check()


class LateField(Field):
    """The first owner reaches the OLT through a proxy, its successor does not."""

    def target(self, olt, **options):
        if not hasattr(self, "proxy"):
            self.proxy = CutProxy("127.0.0.1", self.sim.olts[olt]["port"]).__enter__()
            options["port"] = self.proxy.port
        return super().target(olt, **options)


@pytest.mark.parametrize("kept", [True, False], ids=["held by the network", "in the dead sender's kernel"])
def test_G2_a_line_that_arrives_after_its_sender_has_died_hits_no_other_contract(lab, binary, wait, kept):
    """Its number and its ONU's are not the next customer's. What the kernel of the dead one still held does not arrive at all."""
    field = LateField(lab, binary, ("olt-1",), {"broker": {"heartbeat": "1s"}}, f"late-{next(NUMBER)}")
    olt, first, proxy = field.olts["olt-1"], field.silverd.process, field.proxy
    first.env["SILVER_FAILPOINTS"] = "cli.allowed~undo service-port=stop,cli.sent~undo service-port=stop"
    field.start()
    olt.set(sessions_max=2, interleave_ms=100)      # the OLT does not hear of the first one's death
    ana = field.customer(port=3)
    ana.does("activated")
    leaving = ana.publish("terminated", "terminated")
    first.wait_line("failpoint cli.allowed: stop")
    wait(lambda: is_stopped(first), "the stop before the line leaves")
    if kept:
        proxy.hold(TO_SERVER)
    else:
        proxy.isolate(links=range(proxy.links))
    log = olt.ask("log")["log"]
    first.signal(signal.SIGCONT)
    first.wait_line("failpoint cli.sent: stop")
    first.kill()
    del first.env["SILVER_FAILPOINTS"]
    second = neighbour(field, binary)
    field.silverd.process = second.process      # the one that lives
    field.good(leaving)
    bob = field.customer(port=3)
    bob.does("activated")
    before, old = olt.state(), log[-1]["session"]
    assert not [e for e in olt.ask("log")["log"][len(log):] if e["session"] == old]
    proxy.release() if kept else proxy.heal(links=range(proxy.links))
    if kept:
        wait(lambda: any(e["session"] == old and e["command"].startswith("undo service-port") for e in olt.ask("log")["log"][len(log):]),
             "the late line")
    bob.does("reconcile", outcome="unchanged")
    assert olt.state()["service_ports"] == before["service_ports"] and olt.state()["onts"] == before["onts"]
    assert kept or not [e for e in olt.ask("log")["log"][len(log):] if e["session"] == old]
    field.check()
    field.close()
    proxy.__exit__()
