# SPDX-License-Identifier: Apache-2.0
"""worker/broker against a real RabbitMQ: topology, publisher, links that die. pika is the independent witness."""

import contextlib
import socket
import threading

import pika
import pytest

from broker_probe import (LEVELS, consumers, count, drain, probe, put, ready, server, unacked,  # noqa: F401
                          witness)


# ---- topology

DEVICE_ARGUMENTS = {"x-queue-type": "quorum", "x-single-active-consumer": True, "x-delivery-limit": 1000,
                    "x-dead-letter-exchange": "silver.intake", "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish"}


def test_topology_has_the_agreed_arguments(ready, witness):
    """Declared again by another client with the arguments of the design: the broker closes the channel at any other."""
    for queue in ("silver.device.olt-1", "silver.device.olt-1.bulk"):
        witness.queue_declare(queue, durable=True, arguments=DEVICE_ARGUMENTS)
    for ms, name in zip(LEVELS, ("200ms", "300ms", "400ms", "500ms", "600ms")):
        witness.queue_declare(f"silver.retry.{name}", durable=True, arguments={
            "x-queue-type": "quorum", "x-message-ttl": ms, "x-dead-letter-exchange": "silver.return",
            "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"})
    for queue in ("silver.intake", "silver.ledger"):
        witness.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 1000000})
    for name, kind, alternate in (("silver.events", "topic", True), ("silver.intake", "fanout", False),
                                  ("silver.retry", "headers", False), ("silver.return", "direct", True),
                                  ("silver.results", "topic", False), ("silver.ctl", "direct", False)):
        witness.exchange_declare(name, kind, durable=True,
                                 arguments={"alternate-exchange": "silver.intake"} if alternate else None)


def test_topology_is_idempotent_and_checked(ready):
    ready.must("base")
    ready.must("device", "olt-1")
    assert ready.must("check", "olt-1")["count"] == 0
    assert ready.must("check", "olt-1", "olt-2")["count"] == 2
    assert [event["line"] for event in ready.find("differs")] == [
        "queue silver.device.olt-2 is missing", "queue silver.device.olt-2.bulk is missing"]


def test_check_changes_nothing(probe, server):
    one = probe()
    assert one.must("check", "olt-1")["count"] == 6 + 2 + 5 + 2
    assert "no_queues" == server.eval(
        f'case rabbit_amqqueue:list(<<"{server.vhost}">>) of [] -> no_queues; _ -> some end')


def test_topology_names_the_argument_that_differs(ready, witness):
    witness.queue_declare("silver.device.olt-9", durable=True, arguments={**DEVICE_ARGUMENTS, "x-delivery-limit": 20})
    answer = ready.ask("device", "olt-9")
    assert answer["code"] == "broker.topology-differs"
    assert "silver.device.olt-9" in answer["text"] and "x-delivery-limit" in answer["text"], answer
    witness.exchange_delete("silver.return")
    witness.exchange_declare("silver.return", "direct", durable=True)
    answer = ready.ask("base")
    assert answer["code"] == "broker.topology-differs" and "alternate-exchange" in answer["text"], answer
    assert ready.must("check", "olt-9")["count"] >= 2
    assert any("x-delivery-limit" in event["line"] for event in ready.find("differs"))


@pytest.mark.parametrize("name", ["", "olt.7", "OLT-7", "*", "#", "a" * 64, "-olt"])
def test_bad_device_id_is_refused(probe, name):
    assert probe().ask("device", name or "\x01")["code"] == "inventory.device-id"


def test_description_is_what_is_declared(ready):
    ready.send("describe", "olt-1")
    body = ready.expect("topology")["body"]
    queues = {queue["name"]: queue for queue in body["queues"]}
    assert queues["silver.device.olt-1"]["arguments"] == DEVICE_ARGUMENTS
    assert {"exchange": "silver.retry", "key": "", "silver-delay": 200} in queues["silver.retry.200ms"]["bindings"]
    assert len(queues) == 2 + 5 + 2 and len(body["exchanges"]) == 6


def test_keys_lead_to_their_queues(ready, witness, server, wait):
    put(witness, "silver.events", "contract.activated.olt-1", "contract")
    put(witness, "silver.events", "command.onu-reboot.olt-1", "command")
    put(witness, "silver.events", "bulk.suspended.olt-1", "bulk")
    put(witness, "silver.events", "contract.activated.olt-2", "unknown")
    put(witness, "silver.events", "contract.activated", "short")
    put(witness, "silver.results", "applied.olt-1", "result")
    assert drain(server, "silver.intake") == ["unknown", "short"]
    assert drain(server, "silver.ledger") == ["result"]
    ready.send("want", "silver.device.olt-1", 10)
    ready.send("want", "silver.device.olt-1.bulk", 10)
    ready.expect("delivered", 3)
    assert sorted((event["queue"], event["id"]) for event in ready.find("delivered")) == [
        ("silver.device.olt-1", "command"), ("silver.device.olt-1", "contract"), ("silver.device.olt-1.bulk", "bulk")]


# ---- publisher

def test_unroutable_is_returned_and_routable_is_confirmed(ready):
    for i in range(50):
        ready.send("publish", "-", "silver.device.olt-1", f"good-{i}")
        ready.send("publish", "-", "silver.device.nowhere", f"bad-{i}")
    ready.expect("published", 100)
    assert {event["id"] for event in ready.find("published", outcome="returned")} == {f"bad-{i}" for i in range(50)}
    assert {event["id"] for event in ready.find("published", outcome="confirmed")} == {f"good-{i}" for i in range(50)}


def test_each_retry_level_makes_the_round_trip(ready):
    """Through the real publisher: every level returns its message to the queue of origin, express and bulk."""
    for queue in ("silver.device.olt-1", "silver.device.olt-1.bulk"):
        ready.send("want", queue, 20)
    ready.send("auto", "ack")
    for ms in LEVELS:
        for queue in ("silver.device.olt-1", "silver.device.olt-1.bulk"):
            ready.send("publish", "silver.retry", queue, f"{queue}/{ms}", f"delay={ms}", f"origin={queue}", "attempt=3")
    ready.expect("published", 10, outcome="confirmed")
    ready.expect("delivered", 10)
    assert {(event["queue"], event["id"]) for event in ready.find("delivered")} == {
        (queue, f"{queue}/{ms}") for ms in LEVELS for queue in ("silver.device.olt-1", "silver.device.olt-1.bulk")}
    for event in ready.find("headers"):
        assert event["attempt"] == 3 and event["origin"] in event["id"] and event["first_death"] == "expired", event


def test_a_level_takes_the_same_message_again_and_again(ready):
    """No cycle: what was read of a delivery never carries x-death back to the broker."""
    ready.send("want", "silver.device.olt-1", 20)
    ready.send("auto", "ack")
    for attempt in range(1, 5):
        ready.send("publish", "silver.retry", "silver.device.olt-1", "again", "delay=200", f"attempt={attempt}")
        ready.expect("headers", attempt, id="again")
    assert [event["attempt"] for event in ready.find("headers")] == [1, 2, 3, 4]


def test_a_delay_without_a_level_is_returned(ready):
    ready.send("publish", "silver.retry", "silver.device.olt-1", "m", "delay=201")
    ready.expect("published", id="m", outcome="returned")


def test_undeliverable_retries_do_not_stop_a_level(ready, server):
    """40 copies for a queue that is gone: the healthy device gets its own, the others arrive in intake."""
    for i in range(40):
        ready.send("publish", "silver.retry", "silver.device.gone", f"gone-{i}", "delay=200")
    for i in range(5):
        ready.send("publish", "silver.retry", "silver.device.olt-1", f"healthy-{i}", "delay=200")
    ready.send("want", "silver.device.olt-1", 20)
    ready.expect("delivered", 5)
    assert sorted(ready.ids()) == [f"healthy-{i}" for i in range(5)]
    ready.wait(lambda: count(server, "silver.intake") == 40, "40 copies in intake")


def test_a_missing_exchange_stops_only_its_own_publications(ready, server, witness):
    """The broker closes the channel for it: the others are confirmed, this one is kept until the exchange is there."""
    for i in range(20):
        ready.send("publish", "-", "silver.device.olt-1", f"before-{i}")
        if i in (5, 11):
            ready.send("publish", "silver.absent", "k", f"orphan-{i}")
    ready.expect("published", 20, outcome="confirmed")
    ready.wait(lambda: "silver.absent" in ready.log_text(), "a line in the log")
    ready.wait(lambda: "silver.absent" in ready.state()["publisher_why"], "the reason to be shown")
    assert ready.state()["waiting"] == 2
    witness.exchange_declare("silver.absent", "fanout")
    witness.queue_bind("silver.device.olt-1", "silver.absent")
    ready.expect("published", id="orphan-5", outcome="confirmed")
    ready.expect("published", id="orphan-11", outcome="confirmed")
    assert len(ready.find("published")) == 22
    assert ready.state()["publisher_why"] == ""
    assert count(server, "silver.device.olt-1") >= 22


def test_a_full_queue_is_repeated_until_it_has_room(ready, server, witness):
    """basic.nack: the publisher repeats by itself."""
    witness.queue_declare("small", durable=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    put(witness, "", "small", "filler")
    with pytest.raises(pika.exceptions.NackError):
        put(witness, "", "small", "too much")
    ready.send("publish", "-", "small", "patient")
    ready.wait(lambda: "basic.nack" in ready.state()["publisher_why"], "the broker's refusal")
    assert ready.state()["waiting"] == 1 and not ready.find("published")
    drain(server, "small")
    ready.expect("published", id="patient", outcome="confirmed")


def block(one, server):
    """Raises the alarm and publishes until the broker has told the publisher; returns how many that took."""
    server.set_memory_alarm(True)
    sent = []

    def blocked():      # the alarm reaches the connections a moment later, and only a publication shows it
        sent.append(f"block-{len(sent)}")
        one.send("publish", "silver.intake", "k", sent[-1])
        return "memory" in one.state()["publisher_why"]
    one.wait(blocked, "the publisher to be blocked")
    return len(sent)


def test_memory_alarm_blocks_and_releases(probe, server):
    """A blocked publisher says so, keeps its link and everything queued, however long; the consumer goes on acking."""
    ready = probe(confirm_timeout_ms=400, heartbeat_s=2)
    ready.must("base")
    ready.must("device", "olt-1")
    ready.send("want", "silver.device.olt-1", 5)
    ready.send("publish", "-", "silver.device.olt-1", "before")
    ready.expect("delivered", id="before")
    sent = block(ready, server)
    done = len(ready.find("published"))
    for i in range(50):
        ready.send("publish", "-", "silver.device.olt-1", f"queued-{i}")
    ready.wait(lambda: ready.state()["waiting"] == sent + 1 + 50 - done, "50 publications to wait")
    held = ready.find("delivered", id="before")[0]
    ready.send("ack", held["link"], held["tag"])
    ready.wait(lambda: unacked(server) == len(ready.find("delivered")) - 1, "the ack to arrive")
    ready.send("turn", 20)
    ready.expect("turn", 80)        # 1.6 s: four times what a confirm may take otherwise
    ready.send("turn", 0)
    assert len(ready.find("published")) == done
    server.set_memory_alarm(False)
    ready.expect("published", sent + 1 + 50, outcome="confirmed")
    assert ready.state()["publisher_why"] == ""
    assert not ready.find("down") and "no connection" not in ready.log_text()


def test_no_confirm_in_time_is_a_dead_link(probe, server):
    """Ends in a new link and the same message again."""
    one = probe(confirm_timeout_ms=600, heartbeat_s=30)
    one.must("base")
    one.must("device", "olt-1")
    publishers = "lists:filter(fun(P) -> [{confirm, C}] = rabbit_channel:info(P, [confirm]), C end, " \
                 "rabbit_channel:list())"
    one.wait(lambda: server.eval(f"length({publishers})") == "1", "the publisher's channel")
    assert server.eval(f"[sys:suspend(P) || P <- {publishers}], ok") == "ok"
    one.send("publish", "-", "silver.device.olt-1", "m")
    one.expect("published", id="m", outcome="confirmed")
    assert "no confirm for 600 ms" in one.log_text()


def test_stop_says_what_was_not_confirmed(probe, server):
    one = probe()
    one.must("base")
    sent = block(one, server)
    one.send("publish", "silver.results", "k", "m")
    one.wait(lambda: one.state()["waiting"] >= 2, "the publication to wait")
    assert one.quit(100) == 0
    assert one.find("published", id="m") == [{"ev": "published", "id": "m", "outcome": "stopped"}]
    assert one.count("published") == sent + 1 and one.find("published", outcome="stopped", id=f"block-{sent - 1}")


def test_stop_waits_for_confirms(probe, server):
    one = probe()
    one.must("base")
    for i in range(200):
        one.send("publish", "silver.results", "k", f"m{i}")
    assert one.quit() == 0
    assert len(one.find("published", outcome="confirmed")) == 200
    assert len(drain(server, "silver.ledger")) == 200


# ---- links and nodes that die

DEVICES = 8


class Load:
    """Events go out through the probe's publisher, are delivered, answered by a confirmed result, then acknowledged."""

    def __init__(self, one, devices=DEVICES):
        self.one = one
        self.devices = devices
        self.sent = 0
        one.must("base")
        for i in range(devices):        # a busy machine may take longer than the probe's patience for one
            one.wait(lambda i=i: one.ask("device", f"d{i}")["ev"] == "done", f"the queues of d{i}")
        one.send("auto", "result")
        for i in range(devices):
            one.send("want", f"silver.device.d{i}", 16)

    def publish(self, number):
        for _ in range(number):
            key = f"contract.activated.d{self.sent % self.devices}"
            self.one.send("publish", "silver.events", key, f"e{self.sent}")
            self.sent += 1

    @contextlib.contextmanager
    def flowing(self, unconfirmed=200):
        """Publishes all the time from another thread; so many are always on their way."""
        stop = threading.Event()

        def pump():
            while not stop.is_set():
                if self.sent - self.one.count("published") < unconfirmed:
                    self.publish(20)
                stop.wait(0.005)
        thread = threading.Thread(target=pump)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def finish(self, server):
        """Every event was confirmed once, is in the ledger and nowhere else; and a further one is still consumed."""
        one = self.one
        one.expect("published", self.sent, outcome="confirmed", timeout_s=60)
        self.publish(self.devices)
        one.expect("published", self.sent, outcome="confirmed", timeout_s=60)
        wanted = {f"e{i}" for i in range(self.sent)}
        one.wait(lambda: set(one.ids()) >= wanted, "every event to be delivered", 60)
        one.wait(lambda: unacked(server) == 0 and one.state()["waiting"] == 0, "everything to be settled", 60)
        assert sorted(event["id"] for event in one.find("published")) == sorted(wanted)
        for i in range(self.devices):
            assert count(server, f"silver.device.d{i}") == 0
        assert set(drain(server, "silver.ledger")) == wanted
        assert drain(server, "silver.intake") == []


def test_A17_connections_closed_twenty_times_under_load(probe, server):
    one = probe()
    load = Load(one)
    with load.flowing():
        for number in range(20):
            before = one.count("published")
            one.wait(lambda: one.count("published") > before + 100, "confirms")
            assert server.close_all_connections() >= 1
            one.expect("down", number + 1)
            one.expect("up", number + 2)
    load.finish(server)
    assert len(one.find("up")) == 21


def test_A17_node_restarted_three_times_under_load(probe, server):
    one = probe()
    load = Load(one)
    with load.flowing():
        for number in range(3):
            before = one.count("published")
            one.wait(lambda: one.count("published") > before + 200, "confirms")
            if number == 1:
                server.kill()
            else:
                server.stop()
            server.start()
            one.wait(lambda: len(one.find("up")) > number + 1, "a new link")
    load.finish(server)


def test_silent_broker_is_noticed_and_nothing_hangs(probe, server):
    """SIGSTOP: no byte comes and no connection is closed. Both links end within about two heartbeats, also while
    publications are handed over."""
    one = probe(heartbeat_s=1, connect_timeout_ms=500, rpc_timeout_ms=500)
    load = Load(one)
    load.publish(50)
    one.expect("published", 50)
    server.pause()
    try:
        load.publish(500)
        one.expect("down", 1, timeout_s=8)
        one.wait(lambda: not one.state()["publisher"], "the publisher's link to be down", 8)
        state = one.state()
        assert state["consumer_turn_age"] < 2000 and state["publisher_turn_age"] < 2000, state
        load.publish(10)
    finally:
        server.resume()
    load.finish(server)


def test_wrong_password_and_vhost_are_said(probe, server):
    one = probe(password="wrong")
    one.wait(lambda: "ACCESS_REFUSED" in one.state()["consumer_why"], "the reason")
    assert "ACCESS_REFUSED" in one.state()["publisher_why"]
    assert one.ask("base")["code"] == "broker.login"
    assert one.log_text().count("ACCESS_REFUSED") == 2, "the same reason is one line for each connection"


def test_nobody_listens(probe, wait):
    with socket.socket() as closed:     # bound, not listening: a connect is refused
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        one = probe(port=port)
        one.wait(lambda: f"127.0.0.1:{port}" in one.state()["consumer_why"], "the reason")
        answer = one.ask("base")
        assert answer["code"] == "broker.connect" and str(port) in answer["text"]
        one.send("publish", "silver.results", "k", "m")
        one.wait(lambda: one.state()["waiting"] == 1, "the publication to wait")
