# SPDX-License-Identifier: Apache-2.0
"""A broker-probe (worker/broker driven by lines), the broker's view of it, and the fixtures of the tests of both."""

import collections
import json
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
        self.by_kind = collections.defaultdict(list)
        with open(log, "ab") as err:
            self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=err, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            self.by_kind[event["ev"]].append(event)
            self.events.append(event)

    def send(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def find(self, ev, **fields):
        return [event for event in list(self.by_kind[ev])
                if all(event.get(name) == value for name, value in fields.items())]

    def count(self, ev):
        return len(self.by_kind[ev])

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
    """Takes out everything that is ready now; returns the message ids."""
    with pika.BlockingConnection(pika.URLParameters(server.url(server.vhost))) as connection:
        channel = connection.channel()
        number = channel.queue_declare(queue, passive=True).method.message_count
        messages = channel.consume(queue, auto_ack=True)
        return [next(messages)[1].message_id for _ in range(number)]


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
