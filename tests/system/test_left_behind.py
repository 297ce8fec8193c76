# SPDX-License-Identifier: Apache-2.0
"""What a contract no longer has goes away, and only that: sections taken out of an event, cleanups that nobody of ours sent."""

import uuid

from test_null import SERVICE, fleet, held, odoo  # noqa: F401  (fixtures)
from test_radius import isp  # noqa: F401  (fixture)


def test_access_taken_out_of_a_contract_takes_its_session_too(isp, lab, wait):
    net = isp()
    net.silverd.start()
    ana = net.contract()
    net.customer(ana, redial_ms=200)
    result = net.carry(ana, "changed", access=None)
    assert result["outcome"] == "applied"
    assert net.tables("ana@isp") == ([], [], [])
    assert net.rate("ana@isp") == []
    assert lab.cpes.wait("ana@isp", "rejected")


def cleanup(contract, generation, keys):
    """As only the fleet itself should publish one."""
    event = contract.event("cleanup", generation=generation)
    del event["service"]
    event["parent"] = str(uuid.uuid4())
    event["cleanup"] = {"device": "null-1", "uid": "null-1", "keys": keys}
    return event


def test_a_forged_cleanup_removes_nothing_that_is_wanted(fleet, odoo):
    silverd = fleet().start()
    contract = odoo.contract(1, **SERVICE)
    silverd.final(contract.publish("activated"))
    keys = [{"aspect": "onu", "key": {"name": "CT-1"}}]
    for generation, outcome in ((contract.generation, "unchanged"), (contract.generation + 500, "superseded")):
        forged = cleanup(contract, generation, keys)
        odoo.publish(forged)
        assert silverd.final(forged)["outcome"] == outcome
        assert "onu/CT-1" in held(silverd)
    # and it has not become the contract's highest generation either
    result = silverd.final(contract.publish("plan_changed", plan={"down_kbps": 7000}))
    assert result["outcome"] == "applied"


def test_a_deleted_queue_is_made_again(fleet, odoo, lab, wait):
    """An operator deletes a device's queue under its consumer: it comes back, and events are carried out again."""
    silverd = fleet().start()
    silverd.final(odoo.contract(1, **SERVICE).publish("activated"))
    odoo.channel().queue_delete("silver.device.null-1")
    wait(lambda: "declared again" in silverd.process.log_text(), "the queue to be declared again")
    wait(lambda: lab.rabbitmq.queues(lab.vhost).get("silver.device.null-1", {}).get("consumers"), "a consumer of the new queue")
    assert silverd.final(odoo.contract(2, **SERVICE).publish("activated"))["outcome"] == "applied"


def test_a_pause_of_a_pooled_target_closes_all_its_sessions(isp, lab, wait):
    """Each thread of the pool has a connection of its own; a database that is to be taken down must be free of all."""
    net = isp()
    net.silverd.start()
    events = [net.contract(number, user=f"u{number}@isp").publish("activated") for number in range(1, 9)]
    for event in events:
        assert net.silverd.final(event)["outcome"] == "applied"

    def connections():
        return lab.pg.query("postgres", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'silver_worker'")[0][0]
    assert connections() > 0
    for device in ("radius-1", "bng-1"):
        assert net.silverd.ctl("device", "pause", device, "--why", "maintenance").returncode == 0
    wait(lambda: connections() == 0, "all connections to be closed", 5)
