# SPDX-License-Identifier: Apache-2.0
"""A-05: silverd is killed with -9 at each of its points while it changes a Huawei OLT, and started again.

Several silverd with an OLT, a vhost and a Redis database of their own die and live side by side: a new one waits until
the session of the dead one is over, and that is what takes the time.
"""

import collections
import copy
import signal

import pytest

from olt import DIALOGUES, RATES, Field

FIELDS = 8
QUICK = {"session": {"ttl": "1s", "margin": "200ms"}}
AT_EACH_WRITE = ("write.before-admit", "write.journaled", "write.executed", "write.answered")
ONCE = ("admit.after", "save.before", "save.after", "claim.before", "claim.after")


def move(customer):
    """To the field's second OLT: four lines there, and two in an event of its own that cleans the old place."""
    there = sorted(customer.field.olts)[1]
    customer.field.olts[there].plug(customer.onu, customer.port)
    return customer.event("moved", device=there, plan=(next(RATES), next(RATES)))


DIALOGUES = {**DIALOGUES, "move": (True, move, 6)}


def cases():
    """(dialogue, point, at its n-th hit, does the OLT lose power too)"""
    for dialogue, (_, _, writes) in DIALOGUES.items():
        for point in AT_EACH_WRITE:
            yield from ((dialogue, point, n) for n in range(1, writes + 1))
        yield from ((dialogue, point, 1) for point in ONCE)
        yield dialogue, "save.before", 1, True
    for point in ("memo.kept", "job.unsaved", "save.recorded"):
        yield "activate", point, 1
    yield "swap", "record.unclaimed", 1


class Case:
    """One contract, one event, one death. With reboot the OLTs forget what was not saved, and all of it is done again."""

    def __init__(self, field, dialogue, point, n, reboot=False):
        self.active, self.make, _ = DIALOGUES[dialogue]
        self.reboot, self.forgotten = reboot, collections.Counter()
        self.field, self.failpoint, self.name = field, f"{point}=kill@{n}", f"{dialogue} {point} {n}"
        self.customer = field.customer(olt=sorted(field.olts)[0])

    def begin(self):
        silverd = self.field.silverd
        self.before = {name: len(olt.writes()) for name, olt in self.field.olts.items()}
        silverd.process.env["SILVER_FAILPOINTS"] = self.failpoint
        silverd.start(wait_ready=False)
        self.event = self.make(self.customer)
        self.field.odoo.publish(self.event)

    def died(self, wait):
        silverd = self.field.silverd
        wait(lambda: not silverd.process.alive(), f"the death at {self.name}")
        assert (silverd.process.returncode(), "failpoint" in silverd.process.log_text()) == (-signal.SIGKILL, True), self.name
        del silverd.process.env["SILVER_FAILPOINTS"]
        for olt in self.field.olts.values() if self.reboot else ():
            if olt.state()["dirty"]:
                self.forgotten.update(olt.writes()[self.before[olt.name]:])
                olt.ask("reboot")
        silverd.start(wait_ready=False)

    def ended(self):
        self.field.good(self.event)
        for cleanup in self.field.follow_ups():
            self.field.good({"id": cleanup})
        self.field.check()


@pytest.fixture
def fields(running_lab, binary):
    """Running silverds that know nothing of each other. They write one ledger."""
    running_lab.clean()
    made = []
    for n in range(FIELDS):
        lab = copy.copy(running_lab)        # the same servers, another vhost
        lab.vhost = running_lab.rabbitmq.new_vhost()
        settings = {**QUICK, "broker": {"vhost": lab.vhost}, "redis": {"db": n, "timeout": "500ms"}}
        made.append(Field(lab, binary, [f"olt-{n}a", f"olt-{n}b"], settings, name=f"kill-{n}", first=1 + 1000 * n).start())
    yield made
    running_lab.stop_children()
    for field in made:
        field.odoo.close()
        running_lab.rabbitmq.delete_vhost(field.lab.vhost)


def logged_writes(lab, olt):
    """Lines of the exec_log that change something."""
    rows = lab.pg.query("silver", "SELECT text FROM silver.exec_log WHERE target = %s AND dir = '>'", olt)
    return collections.Counter(text for text, in rows if not text.startswith("display"))


def test_A05_killed_at_each_point(fields, wait):
    """The same final state, one outcome, and every executed write in the exec_log (G7)."""
    todo = [Case(fields[i % FIELDS], *case) for i, case in enumerate(cases())]
    events = [case.customer.publish("activated") for case in todo if case.active]
    for event, case in zip(events, (case for case in todo if case.active)):
        case.field.good(event)
    for at in range(0, len(todo), FIELDS):
        batch = todo[at:at + FIELDS]
        for case in batch:
            case.field.silverd.process.signal(signal.SIGTERM)
        for case in batch:
            case.field.silverd.stop()
            case.begin()
        for case in batch:
            case.died(wait)
        for case in batch:
            case.ended()
    forgotten = sum((case.forgotten for case in todo), collections.Counter())
    assert sum(case.reboot for case in todo) == len(DIALOGUES) and forgotten
    for name, olt in ((name, olt) for field in fields for name, olt in field.olts.items()):
        executed = collections.Counter(olt.writes())
        assert max((executed - forgotten).values()) == 1
        wait(lambda: not executed - logged_writes(fields[0].lab, name), "every executed write to be in the exec_log")
        never = logged_writes(fields[0].lab, name) - executed
        # journaled and not sent: once, or twice when its sender died after the transcript and before the journal was trimmed
        assert set(never.values()) <= {1, 2}, never
