# SPDX-License-Identifier: Apache-2.0
"""Results as a worker publishes them, and the road they take, for the tests of ledger and silverctl."""

import json
import uuid

import pika


def result(event=None, run=1, state="final", outcome="applied", contract=17071, generation=5, **changes):
    """A whole result of one run (schemas/result/v1). changes replace top-level fields; a change to None stays null."""
    final = state == "final"
    message = {
        "schema": "silver.result/1", "event": event or str(uuid.uuid4()), "run": run, "replay": 0, "attempt": 1,
        "type": "contract.activated", "source": {"system": "odoo", "database": "prod", "user": "ventas"},
        "ns": "odoo/prod", "contract_id": str(contract), "contract": {"id": contract, "ref": f"CT-{contract}"},
        "generation": generation, "rev": "0123456789abcdef", "routing": "olt-7", "state": state,
        "outcome": outcome if final else None, "evidence": "observed", "saved": True if final else None,
        "code": "", "args": {}, "worker": "worker-1/0a1b2c3d", "epoch": 40,
        "at": {"published": "2026-11-23T04:00:00.000Z", "started": "2026-11-23T04:00:00.100Z",
               "finished": "2026-11-23T04:00:03.100Z" if final else None},
        "targets": [{"target": "olt-7", "uid": "olt-7-uid", "driver": "huawei-smartax", "aspect": "onu", "want": "be",
                     "outcome": outcome if final and outcome in ("applied", "unchanged", "dead") else "pending",
                     "evidence": "observed", "code": "", "args": {},
                     "holds": {"onu": "0/1/3 ONU 5"}, "reality": {"run": "online", "rx_dbm": -21.4}, "ops": 4}],
        "records": [{"uid": "olt-7-uid", "target": "olt-7", "generation": generation, "rev": "0123456789abcdef",
                     "outcome": "applied", "epoch": 40, "run": run, "created_here": True,
                     "record": {"generation": generation, "memo": {},
                                "keys": [{"aspect": "onu", "key": {"serial": "HWTC1A2B3C4D"}}]}}],
        "wanted": {"state": "active", "plan": {"code": "FTTH-100"}},
        "log": [{"seq": 0, "ms": 10, "target": "olt-7", "dir": ">", "text": "ont add 3 5 sn-auth HWTC1A2B3C4D"},
                {"seq": 1, "ms": 90, "target": "olt-7", "dir": "<", "text": "success: 1", "verdict": "ok"}],
        "truncated": False,
    }
    if outcome in ("dead", "rejected") and final:
        message["code"] = "huawei.line-profile-missing"
        message["args"] = {"profile": "30", "target": "olt-7"}
        message["targets"][0]["code"] = message["code"]
        message["letter"] = {"event_sealed": "c2VhbGVk"}
    message.update(changes)
    return message


class Road:
    """silver.results and silver.ledger in the lab's vhost, a confirming publisher (make=False: silverd made them)."""

    def __init__(self, lab, make=True):
        self.connection = pika.BlockingConnection(pika.URLParameters(lab.rabbitmq.url(lab.vhost)))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        if make:
            self.channel.exchange_declare("silver.results", "topic", durable=True)
            self.channel.queue_declare("silver.ledger", durable=True, arguments={"x-queue-type": "quorum"})
            self.channel.queue_bind("silver.ledger", "silver.results", "#")

    def send(self, *messages, key=None):
        for message in messages:
            body = message if isinstance(message, bytes) else json.dumps(message).encode()
            outcome = "progress"
            if isinstance(message, dict):
                outcome = message.get("outcome") or "progress"
            self.channel.basic_publish("silver.results", key or f"{outcome}.olt-7", body,
                                       pika.BasicProperties(content_type="application/json", delivery_mode=2),
                                       mandatory=True)

    def ready(self):
        return self.channel.queue_declare("silver.ledger", passive=True).method.message_count

    def close(self):
        if self.connection.is_open:
            self.connection.close()
