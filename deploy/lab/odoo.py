# SPDX-License-Identifier: Apache-2.0
"""The publishing side as Odoo has it: one event per change of a contract, msgpack, confirmed, mandatory."""

import copy
import datetime
import json
import time
import uuid

import msgpack
import pika

NAMESPACE = uuid.UUID("5b1f0a52-6c0f-5f0e-9a49-0d5b3f1f8a11")


class Odoo:
    """Publishes to one vhost. Ids are uuid5 of (contract, generation, type), so that the same morning is the same morning."""

    def __init__(self, url, database="prod", first_generation=1795406400000):
        self.url = url
        self.database = database
        self.first_generation = first_generation
        self._connection = None

    def contract(self, number, **service):
        """A contract of this Odoo; service holds what every event of it says unless told otherwise."""
        return Contract(self, number, service)

    def channel(self):
        """One confirmed channel, opened again when the last one is gone."""
        if self._connection is None or self._connection.is_closed or self._channel.is_closed:
            self._connection = pika.BlockingConnection(pika.URLParameters(self.url))
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
        return self._channel

    def send(self, body, key, message_id=None, content_type="application/msgpack", headers=None):
        """One message, confirmed; an unroutable one raises."""
        for attempt in (1, 2):
            try:
                self.channel().basic_publish(
                    "silver.events", key, body, mandatory=True,
                    properties=pika.BasicProperties(content_type=content_type, delivery_mode=2, message_id=message_id,
                                                    timestamp=int(time.time()), headers=headers))
                return
            except (pika.exceptions.AMQPConnectionError, pika.exceptions.ChannelClosedByBroker,
                    pika.exceptions.StreamLostError, ConnectionResetError):
                self.close()
                if attempt == 2:
                    raise

    def publish(self, event, content_type="application/msgpack", bulk=False):
        body = msgpack.packb(event) if content_type == "application/msgpack" else json.dumps(event).encode()
        action = event["type"].split(".", 1)[1]
        self.send(body, f"{'bulk' if bulk else 'contract'}.{action}.{routing_device(event)}", event["id"], content_type)
        return event["id"]

    def close(self):
        try:
            if self._connection is not None:
                self._connection.close()
        except pika.exceptions.AMQPError:
            pass    # it is gone already
        self._connection = None


class Contract:
    def __init__(self, odoo, number, service):
        self.odoo = odoo
        self.number = number
        self.ref = f"CT-{number}"
        self.service = copy.deepcopy(service)   # changes of one contract are not those of the next
        self.generation = odoo.first_generation + number * 1000

    def event(self, kind, state="active", generation=None, salt="", **changes):
        """The next event of this contract (its generation grows by one unless given). changes are merged into the service."""
        merge(self.service, changes)
        if generation is None:
            self.generation += 1
            generation = self.generation
        service = {**copy.deepcopy(self.service), "state": state}
        return {"schema": "silver.event/1",
                "id": str(uuid.uuid5(NAMESPACE, f"{self.odoo.database}/{self.number}/{generation}/{kind}/{salt}")),
                "type": f"contract.{kind}",
                "occurred_at": datetime.datetime.fromtimestamp(generation / 1000, datetime.timezone.utc)
                .isoformat(timespec="seconds").replace("+00:00", "Z"),
                "generation": generation,
                "source": {"system": "odoo", "database": self.odoo.database, "user": "ventas"},
                "contract": {"id": self.number, "ref": self.ref},
                "service": service}

    def publish(self, kind, state="active", **more):
        event = self.event(kind, state, **more)
        self.odoo.publish(event)
        return event


def merge(into, changes):
    """Deep for objects, whole for everything else; None takes the key away."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        elif value is None:
            into.pop(key, None)
        else:
            into[key] = value


def routing_device(event):
    """onu.device, else router.device, else access.server: the rule of schemas/event/v1."""
    service = event.get("service", {})
    for section, field in (("onu", "device"), ("router", "device"), ("access", "server")):
        if field in (service.get(section) or {}):
            return service[section][field]
    return event.get("cleanup", {}).get("device", "none")
