# SPDX-License-Identifier: Apache-2.0
"""Broker, Redis and the ledger's database go away and come back under load: each event ends once, nothing is lost."""

import contextlib
import json
import re
import signal

import pytest
from cutproxy import CutProxy
from lab import Odoo, Silverd, wait_until

OLTS = ("olt-1", "olt-2", "olt-3")


class Load:
    """A fleet of null OLTs, and events of which each must end once."""

    def __init__(self, lab, program, settings=None, olts=None):
        self.lab = lab
        self.network = {name: lab.folder / f"{name}.json" for name in OLTS}
        targets = []
        for name, path in self.network.items():
            path.unlink(missing_ok=True)
            null = {"file": str(path), "latency_ms": 5, **(olts or {}).get(name, {})}
            targets.append({"id": name, "driver": "null", "null": null})
        self.silverd = Silverd(lab, program, targets, settings)
        self.silverd.listen()
        self.silverd.start()
        wait_until(self.silverd.owns_everything, "silverd to own its OLTs")
        self.odoo = Odoo(lab.rabbitmq.url(lab.vhost))
        self.events = []

    def close(self):
        self.odoo.close()

    def contract(self, number, olt=None):
        return self.odoo.contract(
            number, plan={"code": "FTTH-100", "down_kbps": 100000, "up_kbps": 50000},
            onu={"device": olt or OLTS[number % len(OLTS)], "serial": f"HWTC{number:08X}", "frame": 0, "slot": 1,
                 "port": 3, "line_profile": "10", "service_profile": "10",
                 "services": [{"name": "internet", "gemport": 1, "vlan": 100, "user_vlan": 100}]})

    def publish(self, count):
        """So many contracts more are activated; nobody waits for them."""
        first = len(self.events) + 1
        self.events += [self.contract(number).publish("activated") for number in range(first, first + count)]

    def held(self, olt):
        path = self.network[olt]
        return json.loads(path.read_text()) if path.exists() else {}

    def writes(self, event_id):
        """How often the event's thing was written, by its transcripts; a line that the lease held back was not sent."""
        sent = set()
        for result in self.silverd.results(event_id):
            log = result.get("log") or []
            for entry, reply in zip(log, log[1:]):
                if entry["dir"] == ">" and entry["text"].startswith("put") and reply["verdict"] != "not-sent":
                    sent.add((result["run"], entry["seq"]))
        return len(sent)

    def assert_each_ended_once(self, timeout_s=60):
        for event in self.events:
            result = self.silverd.final(event, timeout_s)
            assert result["outcome"] == "applied", result
        for event in self.events:
            assert self.silverd.outcomes(event["id"]) == {"applied"}
            assert self.writes(event["id"]) <= 1
        for olt in OLTS:
            there = [event for event in self.events if event["service"]["onu"]["device"] == olt]
            assert set(self.held(olt)) == {f"onu/{event['contract']['ref']}" for event in there}
        ids = [event["id"] for event in self.events]
        applied = "SELECT count(*) FROM silver.event WHERE id = ANY(%s::uuid[]) AND outcome = 'applied'"
        wait_until(lambda: self.ledger(applied, ids) == [(len(ids),)], "every outcome in the ledger")

    def lost(self):
        return self.silverd.process.log_text().count("ownership lost")

    def ledger(self, sql, *args):
        return self.lab.pg.query("silver", sql, *args)

    def queued(self):
        """(messages, consumers) of all device queues together."""
        queues = [queue for name, queue in self.lab.rabbitmq.queues(self.lab.vhost).items() if ".device." in name]
        return sum(queue["messages"] for queue in queues), sum(queue["consumers"] for queue in queues)


@pytest.fixture
def load(lab, binary):
    made = []

    def make(**options):
        made.append(Load(lab, binary("worker/silverd"), **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


# ---- the broker


def test_A17_broker_connections_closed_twenty_times_and_the_node_restarted_three_times(load, lab, wait):
    fleet = load()
    for turn in range(20):
        fleet.publish(10)
        if turn in (5, 10, 15):
            lab.rabbitmq.restart()
            fleet.publish(5)
        # consumer, publisher, ledger and the publishing Odoo at least (one that only asked something may be gone by now)
        wait(lambda: lab.rabbitmq.connections() >= 4, "the connections to be there again", 60)
        assert lab.rabbitmq.close_all_connections() >= 3
    fleet.publish(10)
    fleet.assert_each_ended_once()
    assert len(fleet.events) == 225 and fleet.silverd.process.alive()
    # and consuming goes on, at each device
    late = [fleet.contract(1000 + n).publish("activated") for n in range(len(OLTS))]
    for event in late:
        assert fleet.silverd.final(event)["outcome"] == "applied"
    wait(lambda: fleet.queued()[0] == 0, "empty device queues")


# ---- Redis


@contextlib.contextmanager
def paused(process):
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


def renewals(lab):
    """SET commands since the statistics were reset: one for each turn of the keeper."""
    found = re.search(r"cmdstat_set:calls=(\d+)", lab.redis.command("INFO", "commandstats"))
    return int(found.group(1)) if found else 0


@pytest.mark.parametrize("how", ["restart", "kill", "pause"])
def test_redis_goes_away_under_load_and_every_event_ends_once(load, lab, wait, how):
    fleet = load()
    for _ in range(2):
        fleet.publish(40)
        if how == "pause":
            wait(lambda: fleet.queued()[1] == 2 * len(OLTS), "every device to be owned (again)", 30)
            with paused(lab.redis.process):     # longer than a lease
                lost = fleet.lost()
                wait(lambda n=lost: fleet.lost() >= n + len(OLTS), "the lease to end")
                fleet.publish(5)
        else:
            getattr(lab.redis, "stop" if how == "restart" else "kill")()
            fleet.publish(5)
            lab.redis.start()
        fleet.publish(5)
    fleet.assert_each_ended_once()


def test_flushed_redis_forbids_writes_until_the_ledger_wrote_the_records_back(load, lab, wait):
    with CutProxy(lab.pg.host, lab.pg.port) as ledger_link:
        fleet = load(settings={"ledger": {"host": ledger_link.host, "port": ledger_link.port}})
        fleet.publish(10)
        fleet.assert_each_ended_once()
        before = {olt: fleet.held(olt) for olt in OLTS}
        ledger_link.close()
        lab.redis.flush()
        lab.redis.command("CONFIG", "RESETSTAT")
        fleet.publish(10)
        # longer than a session: the worker has claimed its OLTs anew, and would be ready
        wait(lambda: renewals(lab) >= 10, "ten renewals of the worker's session")
        assert fleet.queued()[0] == 10
        assert {olt: fleet.held(olt) for olt in OLTS} == before
        assert fleet.silverd.results(fleet.events[-1]["id"]) == []
        ledger_link.open()
        fleet.assert_each_ended_once()
        # the records are the old ones: nothing of a contract is made twice, a repetition is known
        again = fleet.contract(1)
        again.generation = fleet.events[0]["generation"] - 1
        result = fleet.silverd.final(again.publish("reconcile", salt="again"))
        assert (result["outcome"], result["generation"]) == ("unchanged", fleet.events[0]["generation"])


def test_older_generation_on_the_ladder_stays_superseded_after_a_flush(load, lab, wait):
    """The older event waits for seconds in a level queue while Redis forgets all that it knew of its contract."""
    fleet = load(olts={"olt-3": {"fail": "transient-job"}},
                 settings={"job": {"attempts_max": "3"}, "gate": {"equal_failures": "0"},
                           "ladder": {f"level_{n}": f"{2 + n}s" for n in range(1, 6)}})

    def parked(event):
        wait(lambda: [r for r in fleet.silverd.results(event["id"]) if r["state"] == "progress"],
             "the event on the ladder")

    moved = fleet.contract(1, "olt-3")          # newer one: on another OLT, applied
    older_moved = moved.publish("activated")
    parked(older_moved)
    newer_moved = moved.publish("moved", onu={"device": "olt-1"})
    assert fleet.silverd.final(newer_moved)["outcome"] == "applied"
    both = fleet.contract(2, "olt-3")           # newer one: on the ladder too, only accepted
    older = both.publish("activated")
    parked(older)
    newer = both.publish("plan_changed", plan={"down_kbps": 7000})
    parked(newer)
    newest = [newer_moved["id"], newer["id"]]
    wait(lambda: len(fleet.ledger("SELECT 1 FROM silver.event WHERE id = ANY(%s::uuid[])", newest)) == 2,
         "the ledger to know them")
    assert all(r["state"] == "progress" for e in (older_moved, older) for r in fleet.silverd.results(e["id"]))
    lab.redis.flush()
    wait(lambda: lab.redis.command("EXISTS", "sn:1:whole") == 1, "the records to be written back")
    for event in (older_moved, older):
        result = fleet.silverd.final(event)
        assert (result["outcome"], result["code"]) == ("superseded", "core.superseded"), result
    assert fleet.held("olt-1")["onu/CT-1"]["rev"] == fleet.silverd.final(newer_moved)["rev"]
    assert fleet.silverd.final(newer)["outcome"] == "dead"       # it was told to fail, and was tried until the end
    assert fleet.held("olt-3") == {}


# ---- the ledger's database


def test_ledger_database_goes_away_under_load_and_nothing_is_lost(load, lab, wait):
    fleet = load()
    fleet.publish(30)
    lab.pg.kill()
    fleet.publish(30)
    for event in fleet.events:      # the customers do not wait for the ledger
        assert fleet.silverd.final(event)["outcome"] == "applied"
    lab.pg.start()
    fleet.publish(10)
    lab.pg.restart()
    fleet.publish(10)
    fleet.assert_each_ended_once()
    said = {(r["event"], r["run"]) for event in fleet.events for r in fleet.silverd.results(event["id"])}
    wait(lambda: set(fleet.ledger("SELECT event::text, run FROM silver.run")) >= said, "every run in the ledger")
    logged = fleet.ledger("SELECT event::text, count(*) FROM silver.exec_log "
                          "WHERE dir = '>' AND text LIKE 'put%%' GROUP BY 1")
    assert dict(logged) == {event["id"]: 1 for event in fleet.events}
