# SPDX-License-Identifier: Apache-2.0
"""Redis is down, silent, read-only, full, cannot save, loads, evicts, forgets: no device is written to, nothing else stops.

One silverd lives through all of it; faults are those of a real Redis.
"""

import contextlib
import json
import re
import subprocess
import uuid

import pika
import pytest
from cutproxy import SILENCE, TO_SERVER, CutProxy
from lab import wait_until
from nullfleet import Fleet, fleet  # noqa: F401  (fixture)


# ---- faults: with fault(lab): Redis has it; what is said of it


@contextlib.contextmanager
def down(lab):
    lab.redis.stop()
    try:
        yield
    finally:
        lab.redis.start()


@contextlib.contextmanager
def setting(lab, name, wrong):
    before = lab.redis.command("CONFIG", "GET", name)[1]
    lab.redis.command("CONFIG", "SET", name, wrong)
    try:
        yield
    finally:
        lab.redis.command("CONFIG", "SET", name, before)


@contextlib.contextmanager
def silent(lab):
    lab.redis.command("CLIENT", "PAUSE", "2500", "ALL")     # ends by itself
    yield


@contextlib.contextmanager
def read_only(lab):
    lab.redis.command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        lab.redis.command("REPLICAOF", "NO", "ONE")


def info(lab, name):
    return re.search(rf"{name}:(\w+)", lab.redis.command("INFO", "persistence")).group(1)


@contextlib.contextmanager
def cannot_save(lab):
    """Its folder takes no new file; a snapshot that fails stops all writes (stop-writes-on-bgsave-error)."""
    lab.redis.folder.chmod(0o500)
    with setting(lab, "save", "3600 1"):
        lab.redis.command("BGSAVE")
        wait_until(lambda: info(lab, "rdb_last_bgsave_status") == "err", "a failed snapshot")
        try:
            yield
        finally:
            lab.redis.folder.chmod(0o755)
            lab.redis.command("BGSAVE")
            wait_until(lambda: info(lab, "rdb_last_bgsave_status") == "ok", "a good snapshot")


@contextlib.contextmanager
def started_with(lab, *words):
    """Runs on from its files, with other settings; afterwards with its own again."""
    before = list(lab.redis.process.argv)
    lab.redis.kill()
    lab.redis.process.argv += [str(word) for word in words]
    lab.redis.spawn()
    try:
        yield
    finally:
        lab.redis.process.argv = before
        lab.redis.kill()
        lab.redis.start()


def loading(lab):
    """A start that takes its time: each of 300 keys takes 100 ms; clients are told meanwhile."""
    lab.redis.command("CONFIG", "SET", "rdbcompression", "no")
    lab.redis.command("EVAL", "for i = 1, 300 do redis.call('SET', 'other:' .. i, string.rep('x', 100)) end", "0")
    lab.redis.command("BGREWRITEAOF")
    wait_until(lambda: info(lab, "aof_rewrite_in_progress") == info(lab, "aof_rewrite_scheduled") == "0", "a compact file")
    return started_with(lab, "--key-load-delay", 100000, "--loading-process-events-interval-bytes", 1024)


FAULTS = {
    "down": (down, "refused"),
    "silent": (silent, "no answer within 400 ms"),
    "read-only": (read_only, "READONLY"),
    "full": (lambda lab: setting(lab, "maxmemory", "1"), "OOM"),
    "cannot-save": (cannot_save, "MISCONF"),
    "loading": (loading, "LOADING"),
    "evicts": (lambda lab: setting(lab, "maxmemory-policy", "allkeys-lru"), "it must be noeviction"),
}


# ---- at the start


@pytest.mark.parametrize("fault", ["down", "read-only", "loading"])
def test_a_redis_that_is_not_there_at_the_start_is_waited_for(fleet, lab, wait, fault):
    begin, words = FAULTS[fault]
    one = fleet()
    with begin(lab):
        one.silverd.start()
        wait(lambda: words in one.health(), f"'{words}' to be said")
        assert re.search(rf" error .*{re.escape(words)}", one.silverd.process.log_text())
    one.applied(one.contract().publish("activated"))


def test_an_eviction_policy_is_refused_at_the_start(fleet, lab):
    one = fleet()
    with setting(lab, "maxmemory-policy", "volatile-lru"):
        done = subprocess.run([one.silverd.program, "--config", one.silverd.config], capture_output=True, text=True, timeout=30,
                              check=False)
    assert done.returncode == 78
    assert ("silverd: store.eviction: Redis has maxmemory-policy volatile-lru; it must be noeviction, "
            "or records are lost") in done.stderr.splitlines()


# ---- it forgets


def test_a_redis_that_comes_back_with_old_records_is_not_believed(fleet, lab, wait):
    """Without an append-only file a killed Redis comes back as its latest snapshot: complete to look at, and from yesterday."""
    one = fleet()
    one.silverd.start()
    contract = one.contract()
    one.applied(contract.publish("activated"))
    wait(lambda: one.measured("silver_ledger_waiting") == 0, "the ledger's commit")
    lab.redis.command("CONFIG", "SET", "appendonly", "no")
    lab.redis.command("SAVE")
    older = contract.event("plan_changed", plan={"down_kbps": 7000})
    one.applied(contract.publish("moved", onu={"device": "null-2"}))
    wait(lambda: one.held("null-1") == {}, "the old place to be cleaned")
    with started_with(lab, "--appendonly", "no"):
        lab.redis.wait_ready()
        older["service"]["onu"]["device"] = "null-1"
        one.odoo.publish(older)
        result = one.silverd.final(older)
        assert (result["outcome"], result["code"]) == ("superseded", "core.superseded"), result
        assert lab.redis.command("HKEYS", "sn:1:c:odoo/prod/1").count("t:null-1") == 0      # what it had there is over, as the ledger knows
        # and what the contract has is known as it was when Redis died
        one.applied(contract.publish("terminated", "terminated"))
        assert one.held("null-1") == one.held("null-2") == {}
    lab.redis.restart()


def test_a_cleanup_that_speaks_before_its_event_does_not_stand_for_it(fleet, lab, wait):
    """The old OLT is cleaned while the new one is away; Redis forgets; then the event goes on, and is no second one of its generation."""
    one = fleet().start()
    other, contract = one.contract(), one.contract()
    for each in (other, contract):
        each.service["onu"]["serial"] = f"HWTC{each.number:08X}"
        one.applied(each.publish("activated"))
    event = contract.event("moved", onu={"device": "null-2"})
    other.generation = event["generation"] - 1          # an event of the same generation, of another contract
    moved = other.publish("moved", onu={"device": "null-2"})
    one.applied(moved)
    [cleanup] = [target["args"]["event"] for target in one.silverd.final(moved)["targets"] if target["code"] == "core.follow-up"]
    said = dict(one.silverd.final(cleanup), event=str(uuid.uuid4()), parent=event["id"], contract_id=str(contract.number), log=[],
                contract={"id": contract.number, "ref": contract.ref})
    one.odoo.channel().basic_publish("silver.results", f"{said['outcome']}.null-1", json.dumps(said), pika.BasicProperties(
        content_type="application/json", type="silver.result/1"))
    wait(lambda: lab.pg.query("silver", "SELECT generation FROM silver.contract WHERE contract_id = %s", said["contract_id"]) ==
         [(event["generation"],)], "the ledger to know of the cleanup only")
    lab.redis.flush()
    one.odoo.publish(event)
    one.applied(event)
    assert lab.redis.command("HGET", f"sn:1:c:odoo/prod/{contract.number}", "rev") == one.silverd.final(event)["rev"]
    wait(lambda: lab.pg.query("silver", "SELECT rev FROM silver.contract WHERE contract_id = %s", said["contract_id"]) ==
         [(one.silverd.final(event)["rev"],)], "the ledger to know the event")


def test_a_reply_that_is_lost_is_asked_for_again_and_writes_nothing_twice(fleet, lab, wait):
    """The script ran and its answer never came: for the worker that is the same as not at all."""
    with CutProxy(lab.redis.host, lab.redis.port) as link:
        one = fleet({"redis": {"host": link.host, "port": link.port}})
        one.silverd.start()
        wait(one.silverd.owns_everything, "ownership")
        cut = link.cut(TO_SERVER, when=b"put onu CT-1", how=SILENCE)
        event = one.contract().publish("activated")
        cut.wait()
        result = one.applied(event)
        puts = [entry for said in one.silverd.results(event["id"]) for entry in said["log"] or [] if entry["text"].startswith("put")]
        assert len(puts) == 1 and result["run"] == 2, puts


def test_a_session_that_too_few_replicas_hold_does_not_count(fleet, lab, wait):
    one = fleet({"redis": {"replicas": 1}})
    one.silverd.start()
    wait(lambda: "fewer than 1 replicas hold the session" in one.health(), "the sentence")
    event = one.contract().publish("activated")
    assert one.measured("silver_store_unsure") == 1
    port = lab.ports.take("redis-replica")
    lab.child("redis-replica", ["/usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--replicaof",
                                lab.redis.host, lab.redis.port, "--repl-diskless-sync-delay", "0"]).spawn()
    lab.redis.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    one.applied(event)


# ---- while it works


@pytest.fixture(scope="module")
def shared(running_lab, binary):
    running_lab.clean()
    fleet = Fleet(running_lab, binary("worker/silverd"), "bad-redis")
    fleet.silverd.start()
    yield fleet
    fleet.close()
    running_lab.stop_children()
    running_lab.check()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_redis_that_is_unsure_stops_writes_and_nothing_else(shared, running_lab, wait, fault):
    begin, words = FAULTS[fault]
    shared.applied(shared.contract().publish("activated"))
    assert shared.measured("silver_store_unsure") == 0
    with begin(running_lab):
        wait(lambda: shared.measured("silver_store_unsure") == 1, "the worker to be unsure")
        event = shared.contract().publish("activated")
        wait(lambda: words in shared.health(), f"'{words}' to be said")
        assert "no device is written to" in shared.health()
        wait(lambda: shared.queue() == {"messages": 1, "ready": 1, "unacked": 0, "consumers": 0}, "the event to wait in the broker")
        assert f"onu/CT-{shared.count}" not in shared.held()
        assert re.search(rf" error .*{re.escape(words)}", shared.silverd.process.log_text()), "the log to say it"
        shared.silverd.process.check()
    shared.applied(event)
    assert shared.held()[f"onu/CT-{shared.count}"]
    wait(lambda: shared.measured("silver_store_unsure") == 0, "the worker to be sure again")
