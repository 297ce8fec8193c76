# SPDX-License-Identifier: Apache-2.0
"""worker/broker against a real RabbitMQ, driven through tests/system/broker-probe.c; pika is the independent witness.
"""

import decimal
import json
import socket
import struct
import subprocess
import threading

import pika
import pytest

LEVELS = (200, 300, 400, 500, 600)


class Probe:
    """One broker-probe: commands in, events out, in the order in which they came."""

    def __init__(self, program, server, log, wait, password=None, port=None, stack_kb=None, **settings):
        ladder = {f"level{i + 1}": ms for i, ms in enumerate(LEVELS)}
        words = [program, server.host, port or server.port, server.vhost, server.user, password or server.password]
        words += [f"{name}={value}" for name, value in {**ladder, **settings}.items()]
        if stack_kb:
            words = ["/usr/bin/prlimit", f"--stack={stack_kb * 1024}", *words]
        self.log = log
        self.wait = wait
        self.events = []
        with open(log, "ab") as err:
            self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=err, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def send(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def find(self, ev, **fields):
        return [event for event in list(self.events)
                if event["ev"] == ev and all(event.get(name) == value for name, value in fields.items())]

    def expect(self, ev, count=1, timeout_s=20, **fields):
        """Waits until there are at least `count` such events; returns the last of them."""
        return self.wait(lambda: len(found := self.find(ev, **fields)) >= count and found,
                         f"{count} x {ev} {fields} of the probe", timeout_s)[-1]

    def ask(self, *words):
        """A command that answers with done or error: returns that event."""
        seen = len(self.events)
        self.send(*words)

        def answer():
            found = [event for event in self.events[seen:]
                     if event["ev"] in ("done", "error") and event["of"] == words[0]]
            return found and found[0]
        return self.wait(answer, f"the answer to {words}")

    def must(self, *words):
        answer = self.ask(*words)
        assert answer["ev"] == "done", answer
        return answer

    def state(self):
        count = len(self.find("state"))
        self.send("state")
        return self.expect("state", count + 1)

    def ids(self):
        return [event["id"] for event in self.find("delivered")]

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def quit(self, wait_ms=10000):
        if self.process.poll() is None:
            self.send("quit", wait_ms)
        code = self.process.wait(30)
        self._reader.join(10)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


@pytest.fixture
def server(running_lab):
    """The broker, with a fresh vhost as server.vhost."""
    rabbitmq = running_lab.rabbitmq
    rabbitmq.vhost = rabbitmq.new_vhost()
    yield rabbitmq
    if not rabbitmq.process.alive():
        rabbitmq.start()
    rabbitmq.set_memory_alarm(False)
    rabbitmq.delete_vhost(rabbitmq.vhost)


@pytest.fixture
def probe(server, binary, tmp_path, wait):
    """probe(**settings): a started Probe. At the end each must have ended by itself, cleanly (sanitizers included)."""
    started = []

    def start(program="tests/system/broker-probe", **settings):
        one = Probe(binary(program), server, tmp_path / f"probe-{len(started)}.log", wait, **settings)
        started.append(one)
        return one
    yield start
    for one in started:
        try:
            code = one.quit(0)
        except (OSError, subprocess.TimeoutExpired):
            code = None
        finally:
            one.kill()
        assert code == 0, f"probe ended with {code}:\n{one.log_text()[-3000:]}"
        assert "Sanitizer" not in one.log_text(), one.log_text()[-6000:]


@pytest.fixture
def ready(probe):
    """A probe on a vhost with the base topology and device olt-1."""
    one = probe()
    one.must("base")
    one.must("device", "olt-1")
    return one


@pytest.fixture
def witness(server):
    """A pika channel with confirms."""
    connection = pika.BlockingConnection(pika.URLParameters(server.url(server.vhost) + "?heartbeat=0"))
    channel = connection.channel()
    channel.confirm_delivery()
    yield channel
    if connection.is_open:
        connection.close()


def count(server, queue):
    """Ready messages, by a connection of its own (each declare sees what is there now)."""
    with pika.BlockingConnection(pika.URLParameters(server.url(server.vhost))) as connection:
        return connection.channel().queue_declare(queue, passive=True).method.message_count


def drain(server, queue):
    """Takes everything out; returns the message ids."""
    ids = []
    with pika.BlockingConnection(pika.URLParameters(server.url(server.vhost))) as connection:
        channel = connection.channel()
        while True:
            method, properties, _ = channel.basic_get(queue, auto_ack=True)
            if method is None:
                return ids
            ids.append(properties.message_id)


def unacked(server):
    """Deliveries that no client settled, over all channels of the broker."""
    return int(server.eval("lists:sum([proplists:get_value(messages_unacknowledged, rabbit_channel:info(P, "
                           "[messages_unacknowledged])) || P <- rabbit_channel:list()])"))


def consumers(server):
    """Consumers of the vhost, those that wait in line included (queue.declare-ok counts active ones only)."""
    return int(server.eval(f'length(rabbit_amqqueue:consumers_all(<<"{server.vhost}">>))'))


def put(channel, exchange, key, message_id, body=b"x", **properties):
    properties = pika.BasicProperties(delivery_mode=2, message_id=message_id, **properties)
    channel.basic_publish(exchange, key, body, properties, mandatory=True)


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
    witness.queue_declare("small", durable=True, arguments={"x-queue-type": "quorum", "x-max-length": 1,
                                                            "x-overflow": "reject-publish"})
    sent = 0
    while True:     # the limit of a quorum queue acts late: fill until it refuses
        try:
            put(witness, "", "small", f"filler-{sent}")
            sent += 1
        except pika.exceptions.NackError:
            break
    ready.send("publish", "-", "small", "patient")
    ready.wait(lambda: ready.state()["waiting"] == 1, "the publication to wait")
    assert not ready.find("published") and "basic.nack" in ready.state()["publisher_why"]
    drain(server, "small")
    ready.expect("published", id="patient", outcome="confirmed")


def test_memory_alarm_blocks_and_releases(ready, server):
    """A blocked publisher says so, keeps its link and everything queued; the consumer goes on acknowledging."""
    ready.send("want", "silver.device.olt-1", 5)
    ready.send("publish", "-", "silver.device.olt-1", "before")
    ready.expect("delivered", id="before")
    server.set_memory_alarm(True)
    sent = []

    def blocked():      # the alarm reaches the connections a moment later, and only a publication shows it
        sent.append(f"during-{len(sent)}")
        ready.send("publish", "-", "silver.device.olt-1", sent[-1])
        return "memory" in ready.state()["publisher_why"]
    ready.wait(blocked, "the publisher to be blocked")
    done = len(ready.find("published"))
    for i in range(50):
        ready.send("publish", "-", "silver.device.olt-1", f"queued-{i}")
    ready.wait(lambda: ready.state()["waiting"] == len(sent) + 1 + 50 - done, "50 publications to wait")
    held = ready.find("delivered", id="before")[0]
    ready.send("ack", held["link"], held["tag"])
    ready.wait(lambda: unacked(server) == len(ready.find("delivered")) - 1, "the ack to arrive")
    assert len(ready.find("published")) == done
    server.set_memory_alarm(False)
    ready.expect("published", len(sent) + 1 + 50, outcome="confirmed")
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
    server.set_memory_alarm(True)
    one.send("publish", "silver.results", "k", "m")
    one.wait(lambda: one.state()["waiting"] == 1, "the publication to wait")
    assert one.quit(100) == 0
    assert one.find("published") == [{"ev": "published", "id": "m", "outcome": "stopped"}]


def test_stop_waits_for_confirms(probe, server):
    one = probe()
    one.must("base")
    for i in range(200):
        one.send("publish", "silver.results", "k", f"m{i}")
    assert one.quit() == 0
    assert len(one.find("published", outcome="confirmed")) == 200
    assert len(drain(server, "silver.ledger")) == 200


# ---- consumer

def test_acks_of_an_older_link_are_dropped(ready, server):
    """Tags count anew on each link: an ack that came late would settle another message."""
    for i in range(3):
        ready.send("publish", "-", "silver.device.olt-1", f"m{i}")
    ready.send("want", "silver.device.olt-1", 10)
    ready.expect("delivered", 3)
    server.close_all_connections()
    ready.expect("delivered", 6)
    assert {event["link"] for event in ready.find("delivered")} == {1, 2}
    for event in ready.find("delivered", link=1):
        ready.send("ack", 1, event["tag"])
    ready.must("queue", "silver.device.olt-1")      # a round trip behind the acks
    ready.wait(lambda: ready.state()["consumer_turn_age"] < 5000, "a turn")
    assert unacked(server) == 3
    server.close_all_connections()
    ready.expect("delivered", 9)
    for event in ready.find("delivered", link=3):
        assert event["redelivered"]
        ready.send("ack", 3, event["tag"])
        ready.send("ack", 3, event["tag"])      # twice: the second is dropped, the broker would close the channel
        ready.send("ack", 3, event["tag"] + 100)
    ready.wait(lambda: unacked(server) == 0, "the acks")
    assert count(server, "silver.device.olt-1") == 0
    assert len(ready.find("up")) == 3


def test_given_back_is_delivered_again_in_its_place(ready):
    for i in range(3):
        ready.send("publish", "-", "silver.device.olt-1", f"m{i}")
    ready.expect("published", 3)
    ready.send("want", "silver.device.olt-1", 1)
    first = ready.expect("delivered")
    ready.send("nack", first["link"], first["tag"])
    ready.send("auto", "ack")
    ready.expect("delivered", 2)
    second = ready.find("delivered")[1]
    assert (second["id"], second["redelivered"]) == ("m0", True)
    ready.send("ack", second["link"], second["tag"])
    ready.expect("delivered", 4)
    assert ready.ids() == ["m0", "m0", "m1", "m2"]


def test_prefetch_holds_for_each_queue(ready):
    for i in range(20):
        ready.send("publish", "-", "silver.device.olt-1", f"e{i}")
        ready.send("publish", "-", "silver.device.olt-1.bulk", f"b{i}")
    ready.expect("published", 40)
    ready.send("want", "silver.device.olt-1", 7)
    ready.send("want", "silver.device.olt-1.bulk", 3)
    ready.expect("delivered", 10)
    assert ready.must("queue", "silver.device.olt-1")["count"] == 13
    assert ready.must("queue", "silver.device.olt-1.bulk")["count"] == 17
    assert len(ready.find("delivered", queue="silver.device.olt-1")) == 7


def test_ack_and_cancel_in_one_write_give_no_extra_delivery(ready, probe, server):
    """A hundred hand-overs of a single-active queue between two consumers: no message is delivered twice."""
    rounds = 100
    pair = (ready, probe())
    for i in range(rounds + 1):
        ready.send("publish", "-", "silver.device.olt-1", f"m{i}")
    ready.expect("published", rounds + 1)
    for one in pair:
        one.send("want", "silver.device.olt-1", 1)
        one.wait(lambda: consumers(server) == 1 + pair.index(one), "the consumer")
    for i in range(rounds):
        active, next_one = pair if i % 2 == 0 else pair[::-1]
        held = active.expect("delivered", id=f"m{i}")
        active.send("ackunwant", held["link"], held["tag"], "silver.device.olt-1")
        next_one.expect("delivered", id=f"m{i + 1}")
        active.send("want", "silver.device.olt-1", 1)
        active.wait(lambda: consumers(server) == 2, "to wait in line again")
    deliveries = pair[0].find("delivered") + pair[1].find("delivered")
    assert sorted(event["id"] for event in deliveries) == sorted(f"m{i}" for i in range(rounds + 1))
    assert not [event for event in deliveries if event["redelivered"]]


def test_what_comes_after_the_cancel_is_given_back(ready, server):
    """A cancel without an ack first: the broker may still deliver; the consumer returns that by itself."""
    ready.send("auto", "none")
    for i in range(200):
        ready.send("publish", "-", "silver.device.olt-1", f"m{i}")
    ready.expect("published", 200)
    ready.send("want", "silver.device.olt-1", 50)
    ready.send("unwant", "silver.device.olt-1")
    ready.must("queue", "silver.device.olt-1")
    for event in ready.find("delivered"):
        ready.send("nack", event["link"], event["tag"])
    ready.wait(lambda: ready.must("queue", "silver.device.olt-1") == {"ev": "done", "of": "queue", "count": 200,
                                                                       "consumers": 0}, "all to be back")


def test_a_missing_queue_is_tried_again_without_disturbing_others(ready, server, witness):
    ready.send("auto", "ack")
    ready.send("want", "silver.device.olt-1", 5)
    for i in range(3):
        ready.send("want", f"silver.device.new-{i}", 5)
    ready.send("publish", "-", "silver.device.olt-1", "m0")
    ready.expect("delivered", id="m0")
    ready.wait(lambda: all(f"silver.device.new-{i}" in ready.log_text() for i in range(3)), "one line for each")
    for i in (2, 0, 1):
        ready.must("device", f"new-{i}")
        put(witness, "", f"silver.device.new-{i}", f"new-{i}")
        ready.expect("delivered", id=f"new-{i}")
    ready.send("publish", "-", "silver.device.olt-1", "m1")
    ready.expect("delivered", id="m1")
    assert len(ready.find("up")) == 1 and not ready.find("down")
    assert ready.log_text().count("cannot be consumed") == 3


def test_a_deleted_queue_is_told_and_consumed_again_when_it_is_back(ready, server, witness):
    ready.must("device", "olt-2")
    ready.send("auto", "ack")
    ready.send("want", "silver.device.olt-1", 5)
    ready.send("want", "silver.device.olt-2", 5)
    ready.send("publish", "-", "silver.device.olt-2", "m0")
    ready.expect("delivered", id="m0")
    ready.wait(lambda: ready.must("queue", "silver.device.olt-1")["consumers"] == 1, "the consumer")
    witness.queue_delete("silver.device.olt-1")
    ready.expect("cancelled", queue="silver.device.olt-1")
    ready.expect("up", link=2)
    assert ready.find("down")[0]["why"].endswith("silver.device.olt-1")
    put(witness, "", "silver.device.olt-2", "m1")
    ready.expect("delivered", id="m1")
    ready.must("device", "olt-1")
    put(witness, "", "silver.device.olt-1", "m2")
    ready.expect("delivered", id="m2")


def test_a_queue_that_kills_the_channel_is_put_off(ready, server, witness):
    """In exclusive use by another client: basic.consume closes our channel. The others go on between the attempts."""
    witness.queue_declare("taken", durable=True)
    tag = witness.basic_consume("taken", lambda *_: None, exclusive=True)
    ready.send("auto", "ack")
    ready.send("want", "silver.device.olt-1", 5)
    ready.send("want", "taken", 5)
    ready.wait(lambda: ready.log_text().count("put off") >= 2, "two attempts")
    ups = len(ready.find("up"))
    for i in range(200):
        ready.send("publish", "-", "silver.device.olt-1", f"m{i}")
    ready.expect("published", 200)
    ready.wait(lambda: set(ready.ids()) >= {f"m{i}" for i in range(200)}, "all to be delivered")
    assert len(ready.find("up")) <= ups + 1
    witness.basic_cancel(tag)
    put(witness, "", "taken", "free")
    ready.expect("delivered", id="free")


def test_own_queue_answers_calls_and_survives_its_link(ready, server):
    ready.send("auto", "reply")
    ready.send("own", "silver.ctl.w1", "silver.ctl", "w1", 30000)
    ready.wait(lambda: ready.ask("call", "silver.ctl", "w1", 5000)["ev"] == "done", "the first answer")
    assert ready.find("reply")[0]["body"] == {"answer": 42, "last": True}
    server.close_all_connections()
    ready.expect("up", link=2)
    ready.wait(lambda: ready.ask("call", "silver.ctl", "w1", 5000)["ev"] == "done", "an answer on the new link")
    assert ready.ask("call", "silver.ctl", "w2", 5000)["code"] == "broker.unroutable"
    ready.send("auto", "none")
    assert ready.ask("call", "silver.ctl", "w1", 300)["code"] == "broker.timeout"
    assert unacked(server) == 0


def test_own_queue_waits_for_its_exchange(probe):
    one = probe()
    one.send("auto", "reply")
    one.send("own", "silver.ctl.w1", "silver.ctl", "w1", 30000)
    one.wait(lambda: "silver.ctl" in one.log_text(), "a line in the log")
    one.must("base")
    one.wait(lambda: one.ask("call", "silver.ctl", "w1", 5000)["ev"] == "done", "an answer")
    assert not one.find("down")


def test_replies_to_nonsense_do_no_harm(ready, witness):
    """reply_to comes from outside: whatever it says, the publisher goes on."""
    ready.send("auto", "reply")
    ready.send("want", "silver.device.olt-1", 5)
    for reply_to in ("amq.rabbitmq.reply-to.AAAA", "amq.rabbitmq.reply-to.", "nobody", "é", "a" * 250):
        put(witness, "", "silver.device.olt-1", "m", reply_to=reply_to)
    ready.expect("delivered", 5)
    ready.send("publish", "silver.results", "k", "after")
    ready.expect("published", id="after", outcome="confirmed")
    ready.wait(lambda: ready.state()["waiting"] == 0, "nothing to wait")
    assert "no connection" not in ready.log_text()


def test_turn_is_called_when_it_asked_to_be(ready):
    ready.send("turn", 50)
    ready.expect("turn", 20, timeout_s=5)
    times = [event["now"] for event in ready.find("turn")]
    assert all(later - earlier >= 0 for earlier, later in zip(times, times[1:]))
    ready.send("turn", 0)


# ---- hostile messages

def test_a_big_body_passes_the_publisher_and_is_cut_for_the_consumer(ready):
    ready.send("auto", "ack")
    ready.send("want", "silver.device.olt-1", 5)
    for size in (0, 1, 131064, 131065, 262128, 1048576, 1048577, 3000000):
        ready.send("publish", "-", "silver.device.olt-1", f"m{size}", f"size={size}")
        event = ready.expect("delivered", id=f"m{size}")
        assert (event["len"], event["full_len"]) == (min(size, 1 << 20), size)
    assert not ready.find("down")


def nested(depth):
    """A header table in a table in a table …, built from the inside."""
    table = {}
    for _ in range(depth):
        table = {"": table}
    return table


HOSTILE = {
    "wrong-types": {"headers": {"silver-attempt": "six", "silver-origin": 7, "silver-code": None, "silver-replay": [1],
                                "traceparent": {"a": 1}, "silver-first-failed": decimal.Decimal("1.5")}},
    "too-long": {"headers": {"silver-origin": "o" * 200, "silver-code": "c" * 5000}, "correlation_id": "x" * 255},
    "nul": {"headers": {"silver-origin": "silver\0x"}, "reply_to": "a\0b", "content_type": "\0"},
    "control": {"headers": {"silver-code": "\x1b[31m\r\n"}},
    "extremes": {"headers": {"silver-attempt": -2**63, "silver-first-failed": 2**63 - 1}, "timestamp": 2**63 - 1},
    "nested": {"headers": nested(200)},
    "long-headers": {"headers": {f"k{i}": "v" * 200 for i in range(600)}},
    "x-death": {"headers": {"x-death": "no list", "x-first-death-reason": 5}},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_properties_reach_nobody(ready, witness, case):
    ready.send("auto", "ack")
    ready.send("want", "silver.device.olt-1", 5)
    put(witness, "", "silver.device.olt-1", "hostile", **HOSTILE[case])
    put(witness, "", "silver.device.olt-1", "after")
    ready.expect("delivered", id="after")
    assert ready.ids() == ["hostile", "after"] and len(ready.find("up")) == 1
    for event in ready.find("headers"):
        assert event["origin"] == "" and event["replay"] == "" and event["first_death"] == "", event
        assert event["attempt"] in (0, -2**63), event


class RawTable(dict):
    """A header table given as its encoded entries."""


@pytest.fixture
def raw_tables(monkeypatch):
    encode = pika.data.encode_table

    def encode_table(pieces, table):
        if not isinstance(table, RawTable):
            return encode(pieces, table)
        pieces.append(struct.pack(">I", len(table["raw"])) + table["raw"])
        return 4 + len(table["raw"])
    monkeypatch.setattr(pika.data, "encode_table", encode_table)


def deep(levels):
    """Tables in tables, each with nothing but the next under an empty name."""
    return RawTable(raw=b"".join(b"\0F" + struct.pack(">I", 6 * (levels - 1 - i)) for i in range(levels)))


def test_deepest_headers_do_not_break_the_consumer(probe, witness, raw_tables):
    """librabbitmq decodes tables by recursion without a limit: the stack must hold the deepest that fits a frame."""
    one = probe(stack_kb=512)       # of every thread of the process
    one.must("base")
    one.must("device", "olt-1")
    one.send("auto", "ack")
    one.send("want", "silver.device.olt-1", 5)
    put(witness, "", "silver.device.olt-1", "hostile", headers=deep(21500))
    put(witness, "", "silver.device.olt-1", "after")
    one.expect("delivered", id="after")
    assert one.ids() == ["hostile", "after"] and len(one.find("up")) == 1


def test_headers_that_outgrow_the_frame_are_received(ready, witness):
    """The broker adds x-death to headers that filled the agreed frame, and sends them in one frame all the same."""
    ready.send("auto", "ack")
    ready.send("want", "silver.device.olt-1", 5)
    headers = {"silver-delay": 200, **{f"key-{i:05}": "v" * 1000 for i in range(129)}}
    put(witness, "silver.retry", "silver.device.olt-1", "grown", headers=headers)
    ready.expect("headers", id="grown", first_death="expired")
    assert len(ready.find("up")) == 1


def test_message_id_that_is_none(ready, witness):
    ready.send("auto", "ack")
    ready.send("want", "silver.device.olt-1", 5)
    put(witness, "", "silver.device.olt-1", "i" * 200)
    witness.basic_publish("", "silver.device.olt-1", b"")
    ready.expect("delivered", 2)
    assert ready.ids() == ["", ""]


# ---- links and nodes that die

DEVICES = 8


class Load:
    """Events go out through the probe's publisher, are delivered, answered by a confirmed result, then acknowledged."""

    def __init__(self, one, devices=DEVICES):
        self.one = one
        self.devices = devices
        self.sent = 0
        one.must("base")
        for i in range(devices):
            one.must("device", f"d{i}")
        one.send("auto", "result")
        for i in range(devices):
            one.send("want", f"silver.device.d{i}", 16)

    def publish(self, number):
        for _ in range(number):
            key = f"contract.activated.d{self.sent % self.devices}"
            self.one.send("publish", "silver.events", key, f"e{self.sent}")
            self.sent += 1

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
    for number in range(20):
        load.publish(100)
        one.expect("published", load.sent - 60)
        assert server.close_all_connections() >= 1
        one.expect("down", number + 1)
        one.expect("up", number + 2)
    load.finish(server)
    assert len(one.find("up")) == 21


def test_A17_node_restarted_three_times_under_load(probe, server):
    one = probe()
    load = Load(one)
    for number in range(3):
        load.publish(200)
        one.expect("published", load.sent - 100)
        if number == 1:
            server.kill()
        else:
            server.stop()
        load.publish(200)
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


def test_consumer_timeout_costs_the_link_and_says_so(probe, server):
    """The broker closes the whole channel for one delivery that was held too long."""
    names = ("consumer_timeout", "channel_tick_interval")
    before = {name: server.eval(f"element(2, application:get_env(rabbit, {name}))") for name in names}
    try:
        server.eval("[application:set_env(rabbit, N, V) || {N, V} <- [{consumer_timeout, 400}, "
                    "{channel_tick_interval, 100}]]")
        one = probe()
        one.must("base")
        one.must("device", "olt-1")
        one.send("publish", "-", "silver.device.olt-1", "held")
        one.send("want", "silver.device.olt-1", 5)
        one.expect("down")
        one.expect("delivered", 2, id="held")
        assert "acknowledgement" in one.find("down")[0]["why"] and "406" in one.find("down")[0]["why"]
    finally:
        for name, value in before.items():
            server.eval(f"application:set_env(rabbit, {name}, {value})")


def test_stalled_queue_is_rescued(probe, server, witness):
    """The broker holds ready messages and delivers none (its channel process is suspended)."""
    one = probe(stall_ms=300)
    one.must("base")
    one.must("device", "olt-1")
    one.send("want", "silver.device.olt-1", 2)
    one.wait(lambda: consumers(server) == 1, "the consumer")
    consuming = "lists:filter(fun(P) -> [{consumer_count, C}] = rabbit_channel:info(P, [consumer_count]), C > 0 end, " \
                "rabbit_channel:list())"
    assert server.eval(f"[sys:suspend(P) || P <- {consuming}], ok") == "ok"
    for i in range(10):
        put(witness, "", "silver.device.olt-1", f"m{i}")
    one.expect("down")
    assert "silver.device.olt-1 holds" in one.find("down")[0]["why"]
    one.send("auto", "ack")
    one.wait(lambda: len(set(one.ids())) >= 2, "deliveries on the new link")


def test_waiting_for_its_turn_is_told_apart_from_a_stall(ready, probe, server):
    """Another consumer is the active one: dropping our link does not help, so it happens more and more seldom."""
    other = probe(stall_ms=100)
    ready.send("want", "silver.device.olt-1", 1)
    ready.wait(lambda: consumers(server) == 1, "the active consumer")
    other.send("want", "silver.device.olt-1", 1)
    for i in range(5):
        ready.send("publish", "-", "silver.device.olt-1", f"m{i}")
    other.expect("down", 3, timeout_s=30)
    other.send("turn", 10)
    downs = len(other.find("down"))
    other.expect("turn", 60)        # 600 ms at least: less than the fourth patience
    assert len(other.find("down")) <= downs + 1
    assert other.ids() == [] and len(ready.find("delivered")) == 1


def test_quiet_queues_are_no_stall(probe, server):
    one = probe(stall_ms=100)
    one.must("base")
    one.must("device", "olt-1")
    one.send("want", "silver.device.olt-1", 2)
    for i in range(4):      # two in hand, two ready: our own prefetch is what holds them back
        one.send("publish", "-", "silver.device.olt-1", f"m{i}")
    one.send("want", "silver.device.olt-1.bulk", 2)
    one.expect("delivered", 2)
    one.send("turn", 20)
    one.expect("turn", 60)
    assert not one.find("down")


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
