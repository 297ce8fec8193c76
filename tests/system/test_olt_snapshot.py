# SPDX-License-Identifier: Apache-2.0
"""Redis comes back as it was in the middle of an event: what the ledger knows of the event's end counts too."""

import pytest
from lab import wait_until
from olt import Field, serial_of
from test_bad_redis import started_with


@pytest.fixture
def field(lab, binary):
    lab.redis.command("CONFIG", "SET", "appendonly", "no")
    field = Field(lab, binary, ["olt-1"], name="snapshot")
    yield field
    field.close()


def redis_after(lab, script):
    return lab.redis.command("EVAL", f"local key = redis.call('KEYS', 'sn:1:c:*')[1] return {script}", 0)


def test_a_snapshot_from_the_middle_of_an_event_hides_nothing(field, lab):
    """Taken between the admission and the first write: the generation is the newest, the record says the older ONU."""
    field.silverd.process.env["SILVER_FAILPOINTS"] = "admit.after~CT-1=nap@2"
    field.start()
    ana, beto = field.customer(port=5), field.customer(port=5)
    ana.does("activated")
    first = ana.onu
    event = ana.publish("onu_swapped", serial=ana.hang_up())
    wait_until(lambda: redis_after(lab, "redis.call('HGET', key, 'gen')") == str(event["generation"]), "the admission")
    lab.redis.command("SAVE")
    field.good(event)
    field.check()
    wait_until(lambda: lab.pg.query("silver", "SELECT 1 FROM silver.event WHERE id = %s AND outcome = 'applied'", event["id"]), "the ledger's row")
    with started_with(lab, "--appendonly", "no"):
        lab.redis.wait_ready()
        # the ONU that was left is nobody's, and the one that is there is known
        beto.onu = first
        beto.does("activated", serial=serial_of(first))
        ana.does("onu_swapped", serial=ana.hang_up())
        field.check()
    lab.redis.restart()
