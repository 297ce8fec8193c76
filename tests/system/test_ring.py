# SPDX-License-Identifier: Apache-2.0
"""What must not happen to a job in hand: copies without end, a store that forgets while it runs, orders that a new owner does not know."""

import json
import uuid

import pika
import pytest

from lab import Odoo, Silverd
from test_null import SERVICE, held

OTHER = {**SERVICE, "onu": {**SERVICE["onu"], "device": "null-2"}}


@pytest.fixture
def odoo(lab):
    odoo = Odoo(lab.rabbitmq.url(lab.vhost))
    yield odoo
    odoo.close()


@pytest.fixture
def fleet(lab, binary):
    def make(name="silverd", settings=None, devices=("null-1",), **options):
        network = lab.folder / "network.json"
        if name == "silverd":
            network.unlink(missing_ok=True)
        targets = [{"id": device, "driver": "null", "null": {"file": str(network)}} for device in devices]
        silverd = Silverd(lab, binary("worker/silverd"), targets, settings, name=name, **options)
        silverd.network = network
        silverd.listen()
        return silverd
    return make


def intake(lab):
    return lab.rabbitmq.queues(lab.vhost)["silver.intake"]


def test_an_event_that_found_no_queue_is_forwarded_once(fleet, odoo, lab, wait):
    silverd = fleet().start()
    wait(silverd.owns_everything, "ownership")
    channel = odoo.channel()
    channel.queue_delete("silver.device.null-1")
    event = odoo.contract(1, **SERVICE).publish("activated")
    wait(lambda: "nobody takes this message" in silverd.process.log_text(), "a forward that was returned")
    silverd.ctl("topology", "--apply")
    assert silverd.final(event)["outcome"] == "applied"
    wait(lambda: intake(lab)["messages"] == 0, "the intake's acknowledgement")
    assert sum(r["state"] == "final" for r in silverd.results(event["id"])) == 1


def test_a_flush_while_it_runs_costs_a_session_time(fleet, odoo, lab, wait):
    silverd = fleet().start()
    wait(silverd.owns_everything, "ownership")
    silverd.final(odoo.contract(1, **SERVICE).publish("activated"))
    lab.redis.flush()
    event = odoo.contract(2, **SERVICE).publish("activated")
    assert silverd.final(event, 40)["outcome"] == "applied"
    assert held(silverd)["onu/CT-2"]


def test_a_pause_holds_for_an_owner_that_ran_before_it_was_given(fleet, odoo, wait):
    first = fleet().start()
    wait(first.owns_everything, "ownership")
    second = fleet("second").start()
    wait(lambda: "null-1: not owned" in verbose(second), "the second worker's look at its device")
    first.ctl("device", "pause", "null-1", "--why", "rack 3")
    first.stop()
    wait(second.owns_everything, "the second worker's ownership")
    assert "gate CLOSED person.pause" in verbose(second)
    event = odoo.contract(1, **SERVICE).publish("activated")
    second.ctl("device", "resume", "null-1")
    assert second.final(event)["outcome"] == "applied"


def test_a_resume_is_known_to_workers_that_read_the_pause(fleet, odoo, wait):
    first = fleet().start()
    wait(first.owns_everything, "ownership")
    first.ctl("device", "pause", "null-1", "--why", "rack 3")
    second = fleet("second").start()
    wait(lambda: "null-1: not owned, gate CLOSED" in verbose(second), "the second worker's look at the gate")
    first.ctl("device", "resume", "null-1")
    first.stop()
    wait(second.owns_everything, "the second worker's ownership")
    assert second.final(odoo.contract(1, **SERVICE).publish("activated"))["outcome"] == "applied"


def test_a_plan_ends_when_the_store_is_away(fleet, odoo, lab, wait):
    silverd = fleet().start()
    wait(silverd.owns_everything, "ownership")
    worker = lab.redis.command("KEYS", "sn:1:w:*")[0].removeprefix("sn:1:w:")
    connection = pika.BlockingConnection(pika.URLParameters(lab.rabbitmq.url(lab.vhost)))
    channel = connection.channel()
    replies = []
    channel.basic_consume("amq.rabbitmq.reply-to", lambda *a: replies.append(json.loads(a[3])), auto_ack=True)
    lab.redis.stop()
    request = {"schema": "silver.ctl/1", "id": str(uuid.uuid4()), "what": "plan", "device": "null-1", "by": "test",
               "deadline": "2099-01-01T00:00:00Z", "args": {"event": odoo.contract(1, **SERVICE).event("activated")}}
    channel.basic_publish("silver.ctl", worker, json.dumps(request),
                          pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", content_type="application/json"))

    def answered():
        connection.process_data_events(0.1)
        silverd.process.check()
        return replies
    [reply] = wait(answered, "the end of the plan")
    lab.redis.start()
    connection.close()
    assert reply["kind"] == "error"
    assert reply["body"]["code"].startswith("store.")


def test_a_long_journal_of_a_dead_worker_reaches_the_ledger_whole(fleet, lab, wait):
    event = str(uuid.uuid4())
    for number in range(80):
        for way, text in ((">", f"display {number}"), ("<", "x" * 8000)):
            lab.redis.command("XADD", "sn:1:j:null-1", "*", "event", event, "run", 1, "seq", number, "uid", "null-1", "epoch", 1,
                              "worker", "gone/12345678", "dir", way, "text", text, "verdict", "ok", "ms", 1, "at", 1795410000000)
    silverd = fleet().start()
    wait(silverd.owns_everything, "ownership")

    def told():
        [[count]] = lab.pg.query("silver", "SELECT count(*) FROM silver.exec_log WHERE event = %s AND run = 1", event)
        return count == 160
    wait(told, "160 lines in the exec_log")
    wait(lambda: lab.redis.command("XLEN", "sn:1:j:null-1") == 0, "the journal's end")


def verbose(silverd):
    from lab.silverd import http_get
    answer = http_get(f"http://127.0.0.1:{silverd.port}/healthz?verbose")
    return answer[1] if answer else ""


def test_an_event_that_wants_two_exclusive_devices_is_dead_at_once(fleet, odoo):
    """Their one session each may belong to two workers: it would be given back for ever."""
    silverd = fleet(devices=("null-1", "null-2")).start()
    contract = odoo.contract(1, **SERVICE, access={"server": "null-2", "username": "ana@isp", "password": "x1y2z3"})
    result = silverd.final(contract.publish("activated"))
    assert (result["outcome"], result["code"]) == ("dead", "core.second-exclusive-target"), result
    assert result["args"] == {"device": "null-2", "routing": "null-1"} and held(silverd) == {}
