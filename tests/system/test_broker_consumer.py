# SPDX-License-Identifier: Apache-2.0
"""worker/broker against a real RabbitMQ: the consumer, and messages that mean harm. pika is the independent witness."""

import decimal
import struct

import pika
import pytest

from broker_probe import consumers, count, probe, put, ready, server, unacked, witness  # noqa: F401


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
    """More is on its way than one turn reads, and the first delivery leads to a cancel: the rest goes back by itself."""
    number = 1500
    for i in range(number):
        ready.send("publish", "-", "silver.device.olt-1", f"m{i}")
    ready.expect("published", number)
    ready.send("auto", "unwant")
    ready.send("want", "silver.device.olt-1", number)
    ready.expect("delivered")
    ready.wait(lambda: consumers(server) == 0, "the cancel")
    ready.wait(lambda: unacked(server) == len(ready.find("delivered")), "the rest to be given back")
    assert len(ready.find("delivered")) < number
    for event in ready.find("delivered"):
        ready.send("nack", event["link"], event["tag"])
    ready.wait(lambda: ready.must("queue", "silver.device.olt-1")["count"] == number, "all to be back")
    assert not ready.find("down")


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
    ups, attempts = len(ready.find("up")), ready.log_text().count("put off")
    for i in range(200):
        ready.send("publish", "-", "silver.device.olt-1", f"m{i}")
    ready.expect("published", 200)
    ready.wait(lambda: set(ready.ids()) >= {f"m{i}" for i in range(200)}, "all to be delivered")
    # a link is lost by an attempt only, however many of them a slow machine has time for meanwhile
    assert len(ready.find("up")) - ups <= ready.log_text().count("put off") - attempts + 1
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


def test_deep_headers_do_not_break_the_consumer(probe, witness, raw_tables):
    """librabbitmq decodes tables by recursion without a limit: the stack must hold them."""
    one = probe(stack_kb=512)       # of every thread of the process
    one.must("base")
    one.must("device", "olt-1")
    one.send("auto", "ack")
    one.send("want", "silver.device.olt-1", 5)
    put(witness, "", "silver.device.olt-1", "hostile", headers=deep(12000))
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


# ---- what the broker does to a consumer

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
    other = probe(stall_ms=100, reconnect_max_ms=20)
    ready.send("want", "silver.device.olt-1", 1)
    ready.wait(lambda: consumers(server) == 1, "the active consumer")
    other.send("want", "silver.device.olt-1", 1)
    for i in range(5):
        ready.send("publish", "-", "silver.device.olt-1", f"m{i}")
    other.expect("down", 3, timeout_s=30)
    other.send("turn", 10)
    downs = len(other.find("down"))
    other.expect("turn", 100)       # a second: not twice the fourth patience
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
