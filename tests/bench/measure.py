# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a process as /proc shows it, CPU between two moments, results with their times, a table."""

import datetime
import json
import os
import pathlib
import resource
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "deploy"))

import msgpack  # noqa: E402  (the path above comes first)
import pika  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def raise_descriptors():
    """As many as the hard limit allows, for this process and its children; the number."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def silver_build():
    return pathlib.Path(os.environ.get("SILVER_BUILD", ROOT / "build" / "gcc"))


class Proc:
    """One process in /proc."""

    def __init__(self, pid):
        self.folder = pathlib.Path(f"/proc/{pid}")

    def cpu_s(self):
        """User and system time so far."""
        fields = (self.folder / "stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _status(self, key):
        for line in (self.folder / "status").read_text(encoding="utf-8").splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise KeyError(key)

    def rss_mb(self):
        return self._status("VmRSS") / 1024

    def threads(self):
        return self._status("Threads")

    def descriptors(self):
        return len(os.listdir(self.folder / "fd"))

    def wakeups(self):
        """How often its threads gave the CPU up by themselves: each is one wakeup."""
        return sum(int(line.split()[1]) for task in (self.folder / "task").iterdir()
                   for line in (task / "status").read_text(encoding="utf-8").splitlines()
                   if line.startswith("voluntary_ctxt_switches"))


class Span:
    """CPU of several processes {name: Proc} between start() and end(): wall_s, cpu {name: seconds}."""

    def __init__(self, processes):
        self.processes = processes
        self.restart()

    def restart(self):
        self.began = time.monotonic()
        self.before = {name: one.cpu_s() for name, one in self.processes.items()}
        self.woken = {name: one.wakeups() for name, one in self.processes.items()}
        return self

    def end(self):
        self.wall_s = time.monotonic() - self.began
        self.cpu = {name: one.cpu_s() - self.before[name] for name, one in self.processes.items()}
        self.wakeups = {name: one.wakeups() - self.woken[name] for name, one in self.processes.items()}
        return self

    def percent(self, name):
        return 100 * self.cpu[name] / self.wall_s

    def wakeups_per_s(self, name):
        return self.wakeups[name] / self.wall_s


class Events:
    """Publishes events without waiting for each confirm, and collects final results with the time that silverd wrote into them."""

    def __init__(self, lab):
        self.parameters = pika.URLParameters(lab.rabbitmq.url(lab.vhost))
        self.connection = pika.BlockingConnection(self.parameters)
        self.channel = self.connection.channel()
        self.channel.exchange_declare("silver.results", "topic", durable=True)
        self.channel.queue_declare("bench.results", durable=True)
        self.channel.queue_bind("bench.results", "silver.results", "#")
        self.published = {}
        self.final = {}

    def publish(self, event, device, bulk=False):
        self.published[event["id"]] = time.time()
        self.channel.basic_publish(
            "silver.events", f"{'bulk' if bulk else 'contract'}.{event['type'].split('.')[1]}.{device}", msgpack.packb(event),
            pika.BasicProperties(content_type="application/msgpack", delivery_mode=2, message_id=event["id"],
                                 timestamp=int(time.time())))

    def collect(self, wanted, timeout_s, every_s=0.25):
        """Reads results until `wanted` events have a final one; the events that have none when the time is over."""
        deadline = time.monotonic() + timeout_s
        missing = set(wanted) - set(self.final)
        while missing and time.monotonic() < deadline:
            self.connection.process_data_events(0)
            while True:
                method, _, body = self.channel.basic_get("bench.results", auto_ack=True)
                if method is None:
                    break
                self._take(json.loads(body))
            missing -= set(self.final)
            if missing:
                self.connection.process_data_events(every_s)
        return missing

    def _take(self, result):
        if result.get("state") == "final":
            self.final.setdefault(result["event"], result)

    def latency_ms(self, event_id):
        """From the publication to the final result, on one clock."""
        return 1000 * (parse_time(self.final[event_id]["at"]["finished"]) - self.published[event_id])

    def close(self):
        self.connection.close()


def parse_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))] if values else float("nan")


def print_table(rows):
    """rows: (what, value, unit)"""
    width = max(len(what) for what, _, _ in rows)
    for what, value, unit in rows:
        shown = f"{value:.2f}" if isinstance(value, float) and abs(value) < 100 else f"{value:.0f}" if isinstance(value, float) else value
        print(f"{what:<{width}}  {shown:>10}  {unit}")
