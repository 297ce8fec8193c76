# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ is down, silent, slow, out of memory, lacks what was declared, carries what is too large: nothing is lost, and it is said."""

import json
import re

import pika
import pytest
from cutproxy import CutProxy
from nullfleet import fleet  # noqa: F401  (fixture)

# A lease that outlives the fault: what is looked at is the broker.
CALM = {"session": {"ttl": "5s", "margin": "300ms"}, "redis": {"timeout": "1s"}}
SHORT = {"broker": {"heartbeat": "1s", "connect_timeout": "500ms", "rpc_timeout": "500ms", "confirm_timeout": "600ms",
                    "reconnect_max": "200ms"}}


def ledgered(lab, events):
    """Outcomes in the ledger, one an event."""
    rows = lab.pg.query("silver", "SELECT outcome, count(*) FROM silver.event WHERE id = ANY(%s::uuid[]) GROUP BY 1",
                        [event["id"] for event in events])
    return dict(rows)


def all_applied(one, lab, wait, events):
    for event in events:
        one.applied(event)
    wait(lambda: ledgered(lab, events) == {"applied": len(events)}, "every outcome in the ledger")


def test_a_broker_that_is_down_at_the_start_is_waited_for(fleet, lab, wait):
    one = fleet(SHORT)
    lab.rabbitmq.pause()
    try:
        one.silverd.start(wait_ready=False)
        wait(lambda: "the broker is not there yet" in one.log(), "the start to wait")
        one.silverd.process.check()
    finally:
        lab.rabbitmq.resume()
    one.silverd.process.wait_ready(one.silverd.is_ready)
    all_applied(one, lab, wait, [one.contract().publish("activated")])


def test_a_broker_that_never_comes_ends_the_start_with_a_sentence(fleet, lab, wait):
    one = fleet({"broker": {**SHORT["broker"], "start_wait": "500ms"}})
    lab.rabbitmq.pause()
    try:
        one.silverd.start(wait_ready=False)
        wait(lambda: not one.silverd.process.alive(), "the end of the start")
    finally:
        lab.rabbitmq.resume()
    assert one.silverd.process.returncode() == 69
    assert re.search(rf"^silverd: broker\.[a-z-]+: RabbitMQ at {lab.rabbitmq.host}:{lab.rabbitmq.port}: ", one.log(), re.M)


def test_a_killed_broker_loses_nothing_that_it_confirmed(fleet, lab, wait):
    one = fleet({**CALM, **SHORT}, latency_ms=30).start()
    events = [one.contract().publish("activated") for _ in range(12)]
    one.applied(events[0])
    lab.rabbitmq.kill()
    try:
        wait(lambda: one.measured("silver_broker_consumer_up") == one.measured("silver_broker_publisher_up") == 0, "both links to be down")
        wait(lambda: re.search(r"^consume: turns, .* RabbitMQ at .*$\n^publish: turns, .* RabbitMQ at ", one.health(), re.M), "it to be said")
    finally:
        lab.rabbitmq.start()
    all_applied(one, lab, wait, events)
    assert one.measured("silver_broker_consumer_up") == one.measured("silver_broker_publisher_up") == 1


def test_a_slow_broker_costs_time_only(fleet, lab, wait):
    """Each answer of it takes longer than most rounds of the worker."""
    with CutProxy(lab.rabbitmq.host, lab.rabbitmq.port) as link:
        one = fleet({**CALM, "broker": {"host": link.host, "port": link.port, "heartbeat": "2s"}}).start()
        link.delay(0.1)
        events = [one.contract().publish("activated") for _ in range(10)]
        all_applied(one, lab, wait, events)
        assert "link down" not in one.log() and "no connection to the broker" not in one.log()
        assert "ownership lost" not in one.log()


def test_a_silent_broker_is_left_for_a_new_link(fleet, lab, wait):
    one = fleet({**CALM, **SHORT}).start()
    one.applied(one.contract().publish("activated"))
    lab.rabbitmq.pause()
    try:
        wait(lambda: one.measured("silver_broker_consumer_up") == one.measured("silver_broker_publisher_up") == 0,
             "both links to be given up", 10)
        assert "consume: turns" in one.health() and "publish: turns" in one.health()
    finally:
        lab.rabbitmq.resume()
    all_applied(one, lab, wait, [one.contract().publish("activated")])


def test_an_alarm_holds_results_back_and_says_so(fleet, lab, wait):
    """connection.blocked: publishers stop, consumers go on. Customers get their service; what is said of it waits."""
    one = fleet(CALM, latency_ms=150).start()
    one.applied(one.contract().publish("activated"))
    events = [one.contract().publish("activated") for _ in range(3)]
    wait(lambda: one.queue()["unacked"] == 3, "the events to be in hand")
    lab.rabbitmq.set_memory_alarm(True)
    try:
        wait(lambda: "onu/CT-4" in one.held(), "the devices' answers")
        wait(lambda: one.measured("silver_publications_waiting") >= 1, "results to wait")
        assert "the broker accepts no publications (memory or disk alarm)" in one.health(), one.health()
        assert re.search(r" warn broker \"the broker accepts no publications\"", one.log())
        assert one.queue()["unacked"] >= 1
    finally:
        lab.rabbitmq.set_memory_alarm(False)
    all_applied(one, lab, wait, events)
    wait(lambda: one.measured("silver_publications_waiting") == 0, "nothing to wait any more")
    assert "the broker accepts no publications (memory or disk alarm)" not in one.health()


@pytest.mark.parametrize("what", ["queue", "exchange"])
def test_results_without_their_queue_or_exchange_wait_for_it(fleet, lab, wait, what):
    """Somebody deleted silver.ledger or silver.results: no event is acknowledged before its result is with somebody."""
    one = fleet(CALM).start()
    one.applied(one.contract().publish("activated"))
    channel = one.odoo.channel()
    if what == "queue":
        one.silverd.deafen()
        channel.queue_delete("silver.ledger")
    else:
        channel.exchange_delete("silver.results")
    event = one.contract().publish("activated")
    wait(lambda: f"onu/CT-{one.count}" in one.held(), "the device's answer")
    said = "nobody takes this message: is the topology applied?" if what == "queue" else "silver.results"
    wait(lambda: said in one.log(), "the log to say it")
    assert one.queue()["unacked"] == 1
    one.silverd.ctl("topology", "--apply")
    wait(lambda: ledgered(lab, [event]) == {"applied": 1}, "the ledger's row", 40)
    wait(lambda: one.queue()["messages"] == 0, "the acknowledgement")
    one.silverd.listen()


def set_policy(lab, wait, definition):
    lab.rabbitmq.ctl("set_policy", "-p", lab.vhost, "odd", ".*", json.dumps(definition), "--apply-to", "queues")
    queues = f'rabbit_amqqueue:list(<<"{lab.vhost}">>)'
    wait(lambda: lab.rabbitmq.eval(f'lists:any(fun(Q) -> rabbit_policy:name(Q) =:= <<"odd">> end, {queues})') == "true", "the policy")


def test_what_the_broker_throws_out_has_one_outcome(fleet, lab, wait):
    """A delivery limit of a policy is stronger than ours when it is lower: events whose link is lost are thrown out at once, while
    their run goes on. Each has the outcome that was claimed first, however often it is said."""
    one = fleet(CALM, latency_ms=300).start()
    set_policy(lab, wait, {"delivery-limit": 0})
    events = [one.contract().publish("activated") for _ in range(4)]
    wait(lambda: one.queue()["unacked"] == 4, "events in hand")
    lab.rabbitmq.close_all_connections()
    outcomes = {event["id"]: one.silverd.final(event)["outcome"] for event in events}
    assert outcomes[events[0]["id"]] == "applied" and "dead" in outcomes.values(), outcomes
    wait(lambda: lab.rabbitmq.queues(lab.vhost)["silver.intake"]["messages"] == 0, "an empty intake")
    for event, outcome in outcomes.items():
        assert one.silverd.outcomes(event) == {outcome}
        assert all(result["run"] > 0 for result in one.silverd.results(event))
        wait(lambda e=event, o=outcome: [row[0] for row in rows(lab, e)] == [o], "the ledger's row")


def test_a_message_over_the_limit_is_rejected_and_blocks_nobody(fleet, lab, wait):
    one = fleet().start()
    mine = "11111111-2222-4333-8444-555555555556"
    body = json.dumps({"schema": "silver.event/1", "id": mine, "service": {"x_note": "x" * 3000000}}).encode()
    one.odoo.send(body, "contract.activated.null-1", mine, "application/json")
    behind = one.contract().publish("activated")
    result = one.silverd.final(mine)
    assert (result["outcome"], result["code"]) == ("rejected", "event.syntax")
    assert "document.too-large" in result["args"]["rule"] and len(json.dumps(result)) < 200000
    one.applied(behind)
    wait(lambda: one.queue()["messages"] == 0, "both acknowledgements")


# ---- whose id?


def rows(lab, event):
    return lab.pg.query("silver", "SELECT outcome, run, contract_id FROM silver.event WHERE id = %s", event)


@pytest.mark.parametrize("first", ["the event", "the other message"])
def test_a_message_that_bears_an_events_id_does_not_hide_its_outcome(fleet, lab, wait, first):
    """Malformed, with the message_id of an event that is on its way: it is rejected; the event's outcome is the event's."""
    one = fleet(latency_ms=200 if first == "the event" else 0).start()
    event = one.contract().event("activated")
    body = b'{"schema": "silver.event/1", "id": 7}'
    if first == "the event":
        one.odoo.publish(event)
        one.odoo.send(body, "contract.activated.null-2", event["id"], "application/json")
    else:
        one.odoo.send(body, "contract.activated.null-2", event["id"], "application/json")
        wait(lambda: rows(lab, event["id"]) == [("rejected", 0, None)], "the rejection in the ledger")
        one.odoo.publish(event)
    wait(lambda: one.silverd.outcomes(event["id"]) == {"rejected", "applied"}, "both to be said")
    wait(lambda: rows(lab, event["id"]) == [("applied", 1, "1")], "the event's own outcome in the ledger")
    assert "onu/CT-1" in one.held()


# ---- silver.ctl


@pytest.mark.parametrize("request_, said", [
    (b"{", "document."),
    (json.dumps({"schema": "silver.ctl/1", "id": "11111111-2222-4333-8444-555555555555", "what": "dance",
                 "deadline": "2099-01-01T00:00:00Z"}).encode(), "/what"),
    (json.dumps({"schema": "silver.ctl/1", "id": "11111111-2222-4333-8444-555555555555", "what": "worker-show",
                 "deadline": "2001-01-01T00:00:00Z"}).encode(), "deadline"),
])
def test_a_request_that_is_not_understood_is_answered(fleet, lab, wait, request_, said):
    one = fleet().start()
    worker = lab.redis.command("KEYS", "sn:1:w:*")[0].removeprefix("sn:1:w:")
    connection = pika.BlockingConnection(pika.URLParameters(lab.rabbitmq.url(lab.vhost)))
    channel = connection.channel()
    replies = []
    channel.basic_consume("amq.rabbitmq.reply-to", lambda *a: replies.append((a[2], json.loads(a[3]))), auto_ack=True)
    channel.basic_publish("silver.ctl", worker, request_, pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="7"))

    def answered():
        connection.process_data_events(0.1)
        return replies
    [(properties, reply)] = wait(answered, "an answer", 5)
    connection.close()
    assert properties.correlation_id == "7"
    assert (reply["kind"], reply["last"], reply["body"]["code"]) == ("error", True, "control.request")
    assert said in reply["body"]["text"] or said == "document."
    if b"11111111" in request_:
        assert reply["id"] == "11111111-2222-4333-8444-555555555555"
