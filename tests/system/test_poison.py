# SPDX-License-Identifier: Apache-2.0
"""A message that kills or that nobody can finish ends dead, and blocks nobody behind it."""

import pytest

from lab import Odoo, Silverd
from olt import Field
from test_null import SERVICE, held


@pytest.fixture
def odoo(lab):
    odoo = Odoo(lab.rabbitmq.url(lab.vhost))
    yield odoo
    odoo.close()


@pytest.fixture
def silverd(lab, binary):
    network = lab.folder / "network.json"
    network.unlink(missing_ok=True)
    silverd = Silverd(lab, binary("worker/silverd"), [{"id": "null-1", "driver": "null", "null": {"file": str(network)}}],
                      {"job": {"crash_max": 2}})
    silverd.network = network
    return silverd.listen()


def test_an_event_whose_runs_end_with_their_process_is_dead(silverd, odoo, wait):
    """Each start takes it up again, until the crashes are counted to their end; what stood behind it is carried out."""
    silverd.process.env["SILVER_FAILPOINTS"] = "write.journaled~CT-60 =kill"
    silverd.start()
    killer = odoo.contract(60, **SERVICE).publish("activated")
    behind = odoo.contract(61, **SERVICE).publish("activated")
    for _ in range(2):
        wait(lambda: not silverd.process.alive(), "its death")
        silverd.start()
    result = silverd.final(killer)
    assert (result["outcome"], result["code"], result["attempt"], result["run"]) == ("dead", "core.crashed", 1, 3), result
    assert silverd.final(behind)["outcome"] == "applied"
    assert "onu/CT-60" not in held(silverd)
    silverd.process.check()


def test_a_poison_takes_nobody_along(lab, binary, wait):
    """Three deaths of the process count against the event that it had in hand: not against one that waited for its save, nor those behind it."""
    field = Field(lab, binary, ["olt-1"], name="poisoned")
    field.start()
    wait(field.silverd.owns_everything, "ownership")
    field.silverd.stop()
    saver, killer, *behind = [field.customer() for _ in range(4)]
    field.silverd.process.env["SILVER_FAILPOINTS"] = f'write.journaled~"{killer.ref}"=kill'
    good = [saver.publish("activated")]
    poison = killer.publish("activated")
    good += [who.publish("activated") for who in behind]
    field.customers.remove(killer)
    for _ in range(3):
        field.silverd.start()
        wait(lambda: not field.silverd.process.alive(), "its death")
    field.silverd.start()
    result = field.silverd.final(poison)
    assert (result["outcome"], result["code"]) == ("dead", "core.crashed"), result
    for event in good:
        field.good(event)
    field.check()
    field.close()


def test_what_the_broker_delivered_too_often_is_dead(silverd, odoo, lab, wait):
    """Somebody takes the message a thousand times and gives it back: the broker throws it to the intake, which names it."""
    silverd.start()
    wait(silverd.owns_everything, "ownership")
    silverd.stop()
    event = odoo.contract(62, **SERVICE).publish("activated")
    channel = odoo.channel()
    channel.basic_qos(prefetch_count=1)
    given_back = 0
    for method, _, _ in channel.consume("silver.device.null-1", inactivity_timeout=2):
        if method is None:
            break
        given_back += 1
        channel.basic_reject(method.delivery_tag, requeue=True)
    channel.cancel()
    assert given_back == 1001
    wait(lambda: lab.rabbitmq.queues(lab.vhost)["silver.intake"]["messages"] == 1, "the message in the intake")
    silverd.start()
    result = silverd.final(event)
    assert (result["outcome"], result["code"]) == ("dead", "core.delivery-limit"), result
    assert held(silverd) == {}
    assert silverd.final(odoo.contract(63, **SERVICE).publish("activated"))["outcome"] == "applied"
