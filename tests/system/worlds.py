# SPDX-License-Identifier: Apache-2.0
"""Workers that die again and again, several side by side: kill -9 at each change of state and journal entry (test_null.py)."""

import collections
import copy
import json
import re
import signal

from lab import LabError, Odoo, Silverd

# Points of drivers and of the save, of which the null driver has none, and what another test kills at.
ELSEWHERE = ("cli.", "freeradius-sql.", "radius-session.", "save.", "job.unsaved", "record.unclaimed", "ledger.")
WORLDS = 10
SERVICE = {"plan": {"code": "FTTH-100", "down_kbps": 100000, "up_kbps": 50000},
           "onu": {"serial": "HWTC1A2B3C4D", "frame": 0, "slot": 1, "port": 3, "line_profile": "10", "service_profile": "10",
                   "services": [{"name": "internet", "gemport": 1, "vlan": 100, "user_vlan": 100}]},
           "access": {"username": "ana@isp", "password": "clave-1"}}
BRIEF = {"session": {"ttl": "1s", "margin": "200ms"}, "redis": {"timeout": "400ms"},
         "job": {"session_settle": "50ms", "store_retry": "50ms"}}
# A contract's events, published at once, and what the OLT answers to its writes until the process has died.
STORIES = {"activated": (["activated"], None), "came and went": (["activated", "terminated"], None),
           "later": (["activated"], "transient-job"), "busy": (["activated"], "transient-device")}
# Where a worker dies before it has anything in hand, as it ends, or when it has slept too long.
AT_START = ("keeper.turn", "keeper.renewed", "keeper.claimed", "gate.told", "keeper.ready", "orphans.told")
IN_FIRST_LIFE = ("heal.before-whole",)
AT_END = ("keeper.released", "keeper.lost")
OF_NOBODY = ("keeper.turn", "keeper.renewed", "orphans.told")
OF_A_DEVICE = ("gate.", "keeper.", "journal.")


class World:
    """A worker with a vhost and a Redis database of its own; its contracts stand on two devices in turn, with all
    that they have."""

    def __init__(self, running_lab, binary, number):
        self.lab, self.number = copy.copy(running_lab), number
        self.lab.vhost = running_lab.rabbitmq.new_vhost()
        self.silverd = Silverd(self.lab, binary("worker/silverd"), self.targets(), {**BRIEF, "redis": {**BRIEF["redis"], "db": number}},
                               name=f"world-{number}").listen()
        self.odoo = Odoo(running_lab.rabbitmq.url(self.lab.vhost))
        self.open = []          # events without an outcome yet
        self.contracts = []     # (ref, events)

    def close(self):
        self.silverd.kill()
        self.odoo.close()
        self.lab.rabbitmq.delete_vhost(self.lab.vhost)

    def network(self, target):
        return self.lab.folder / f"world-{self.number}-{target}.json"

    def targets(self, fails=None, how=None):
        entries = [{"id": target, "driver": "null", "null": {"file": str(self.network(target))}}
                   for target in ("null-0", "null-1")]
        for entry in entries:
            if how and entry["id"] == fails:
                entry["null"]["fail"] = how
        return entries

    def spawn(self, device=None, fails=None, failpoint=None):
        self.silverd.write_inventory(self.targets(device, fails))
        self.silverd.process.env["SILVER_FAILPOINTS"] = failpoint or ""
        self.silverd.process.spawn()

    def publish(self, kinds, number, device):
        contract = self.odoo.contract(number, **SERVICE)
        contract.service["onu"]["device"] = contract.service["access"]["server"] = contract.service["access"]["nas"] = device
        events = [contract.event(kind, "terminated" if kind == "terminated" else "active") for kind in kinds]
        for event in events:
            self.odoo.publish(event)
        self.contracts.append((device, contract.ref, events))
        self.open += events

    def settled(self):
        self.open = [event for event in self.open if not self.silverd.outcomes(event["id"])]
        return not self.open

    def dead(self):
        return not self.silverd.process.alive()

    def oversleep(self, device):
        """Longer than its session, until the device is somebody else's; then it wakes. Yields what is waited for."""
        def redis(script):
            return self.lab.redis.command("EVAL", f"redis.call('SELECT', ARGV[1]) return {script}", 0, self.number)
        yield lambda: self.dead() or f"keeper claimed device={device}" in self.silverd.process.log_text(), "the device to be its own"
        self.silverd.process.signal(signal.SIGSTOP)
        yield lambda: not redis("redis.call('KEYS', 'sn:1:w:*')"), "the end of the session"
        redis(f"redis.call('HSET', 'sn:1:o:{device}', 'worker', 'another/1')")
        self.silverd.process.signal(signal.SIGCONT)

    def trace(self, story):
        """The first start; then one story to its end, or to where it waits, and what was hit. Yields what is waited for."""
        self.spawn(failpoint="heal.before-whole=kill")
        yield self.dead, "the death before the records are whole"
        self.spawn()
        yield self.silverd.is_ready, "the first owner"
        self.silverd.kill()
        if story is None:
            return
        kinds, fails = STORIES[story]
        last = {"later": "journal.dropped", "busy": "gate.opened"}.get(story)
        self.spawn("null-0", fails, "*=trace")
        self.publish(kinds, 100 + self.number, "null-0")
        yield (lambda: f"failpoint {last}: null-0" in self.silverd.process.log_text()) if last else self.settled, f"the end of {story}"
        self.silverd.kill()
        text = self.silverd.process.log_text()
        if last:
            text = text[:text.index(f"failpoint {last}")] + f"failpoint {last}: null-0\n"
        self.hits = collections.Counter(re.findall(rf"^failpoint (\S+): .*(?:CT-{100 + self.number}\b|null-0$)", text, re.MULTILINE))

    def lives(self, cases):
        """One death after the other: a new life first ends what the last one left, then its own contract comes. Yields what
        is waited for."""
        for story, point, n in cases:
            name = f"{story}: {point}@{n}"
            number, device = 10000 + 100 * self.number + len(self.contracts), f"null-{len(self.contracts) % 2}"
            kinds, fails = STORIES[story]
            what = "" if point in OF_NOBODY else f"~{device}" if point.startswith(OF_A_DEVICE) else f"~CT-{number}"
            self.spawn(device, fails, f"{point}{what}=kill@{n}")
            if point not in AT_START:
                yield lambda: self.settled() or self.dead(), f"what was left before {name}"
            self.publish(kinds, number, device)
            if point == "keeper.released":
                self.silverd.process.signal(signal.SIGTERM)
            elif point == "keeper.lost":
                yield from self.oversleep(device)
            yield self.dead, f"the death at {name}"
            assert (self.silverd.process.returncode(), f"failpoint {point}: kill" in self.silverd.process.log_text()) == (-signal.SIGKILL, True), name
        self.spawn()
        yield self.settled, "the last outcomes"

    def check(self):
        """One outcome each, and on the OLT what the latest event of each contract says."""
        for device, ref, events in self.contracts:
            held = json.loads(self.network(device).read_text())
            results = [self.silverd.final(event) for event in events]
            assert all(len(self.silverd.outcomes(event["id"])) == 1 for event in events), ref
            assert results[-1]["outcome"] == "applied" and results[0]["outcome"] in ("applied", "superseded"), (ref, results)
            assert held.get(f"onu/{ref}", {}).get("rev") == (results[-1]["rev"] if events[-1]["type"] != "contract.terminated" else None), ref


def side_by_side(wait, lives):
    """Runs generators that yield (condition, what) until all have ended."""
    waiting = {life: next(life) for life in lives}

    def turn():
        for life, (condition, _) in list(waiting.items()):
            while condition():
                waiting[life] = next(life, None)
                if waiting[life] is None:
                    del waiting[life]
                    break
                condition = waiting[life][0]
        return not waiting
    try:
        wait(turn, "everything", 90, every_s=0.05)
    except LabError as error:
        raise LabError(f"{error}; {[what for _, what in waiting.values()]}") from None


def cases_of(traces):
    """(story, point, n): each hit of the first story; of the others the first hit that those before them have not."""
    seen, cases = collections.Counter(), []
    for story, hits in traces.items():
        cases += [(story, point, n) for point, count in hits.items()
                  for n in range(seen[point] + 1, (count if not seen else min(count, seen[point] + 1)) + 1) if point not in AT_START + AT_END + IN_FIRST_LIFE]
        seen |= hits
    return cases
