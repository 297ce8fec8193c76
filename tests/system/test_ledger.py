# SPDX-License-Identifier: Apache-2.0
"""The ledger role against a real RabbitMQ and PostgreSQL (tests/system/ledger-host.c runs it alone)."""

import json
import random
import signal
import subprocess
import uuid

import psycopg2
import pytest

from results import Road, result


@pytest.fixture
def road(lab):
    road = Road(lab)
    yield road
    road.close()


@pytest.fixture
def settings(lab):
    return {"amqp_port": lab.rabbitmq.port, "vhost": lab.vhost, "amqp_user": lab.rabbitmq.user,
            "amqp_password": lab.rabbitmq.password, "pg_port": lab.pg.port,
            "pg_password": lab.pg.passwords["silver_ledger"], "prefetch": 20, "timeout_ms": 3000,
            "give_back_ms": 60000}


@pytest.fixture
def host(lab, binary, settings):
    """host(name="ledger", env={}, **settings) starts a ledger role."""
    def start(name="ledger", env=None, **changes):
        child = lab.child(name, [binary("tests/system/ledger-host")],
                          env={"LEDGER_HOST": json.dumps({**settings, **changes}), **(env or {})})
        child.spawn()
        return child
    return start


@pytest.fixture
def ask(lab):
    """ask(sql, *args): rows, [] as long as the schema is not there."""
    def run(sql, *args):
        try:
            return lab.pg.query("silver", sql, *args)
        except psycopg2.errors.UndefinedTable:
            return []
    return run


@pytest.fixture
def settled(road, ask, wait):
    """settled(n): n messages are written or kept aside, and the queue is empty."""
    def until(count, sql="SELECT count(*) FROM silver.event", timeout_s=20):
        wait(lambda: ask(sql) == [(count,)], f"{sql} = {count}", timeout_s)
        wait(lambda: road.ready() == 0, "an empty queue")
    return until


def outcome_of(ask, event):
    rows = ask("SELECT state, outcome, run FROM silver.event WHERE id = %s", event)
    return rows[0] if rows else None


# ---- schema and roles

def test_schema_is_made_once_by_many(host, ask, wait):
    hosts = [host(f"ledger-{i}") for i in range(5)]
    wait(lambda: ask("SELECT count(*) FROM silver.migration") == [(2,)], "the migrations")
    for child in hosts:
        child.wait_line("database ready")
        assert "database away" not in child.log_text()          # they waited for each other, none stumbled
    assert ask("SELECT version FROM silver.migration ORDER BY 1") == [(1,), (2,)]
    months = ask("SELECT count(*) FROM pg_inherits WHERE inhparent = 'silver.exec_log'::regclass")
    assert months == [(6,)]                                     # last month, this one, three ahead, and the rest


def test_reader_reads_and_cannot_write(lab, host, road, settled):
    host()
    road.send(result(), b"not JSON")
    settled(1)
    settled(1, "SELECT count(*) FROM silver.ledger_bad")
    reader = lab.pg.connect("silver", "silver_reader").cursor()
    for table in ("event", "run", "record", "exec_log", "letter", "contract", "gate", "replay_request", "replay_item"):
        reader.execute(f"SELECT * FROM silver.{table}")
    reader.execute("SELECT reason FROM silver.ledger_bad")
    assert reader.fetchone()[0].startswith("document.syntax")
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        reader.execute("DELETE FROM silver.event")
    reader.execute("SET default_transaction_read_only = off")   # a setting protects from mistakes, grants from people
    for sql in ("SELECT body FROM silver.ledger_bad", "DELETE FROM silver.event",
                """SELECT silver.take_gate('{"uid": "x", "state": "open", "since": "2026-11-23T04:00:00Z"}')"""):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            reader.execute(sql)


def test_old_schema_is_refused_without_migrate(host, ask, wait, road):
    child = host(migrate=False)
    child.wait_line("database away.*relation .*silver.migration")
    road.send(result())
    child.stop()
    assert ask("SELECT 1 FROM pg_namespace WHERE nspname = 'silver'") == []
    wait(lambda: road.ready() == 1, "the result to wait in the broker")


# ---- one result

def test_result_lands_in_every_table(host, road, settled, ask):
    host()
    message = result(generation=1795406400123)
    road.send(message)
    settled(1)
    event = message["event"]
    assert ask("SELECT ns, contract_id, ref, generation, routing, outcome, evidence, saved, worker, "
               "finished_at - started_at = interval '3 s' FROM silver.event") == [
        ("odoo/prod", "17071", "CT-17071", 1795406400123, "olt-7", "applied", "observed", True, "worker-1/0a1b2c3d",
         True)]
    assert ask("SELECT result->>'outcome', result ? 'log', result ? 'letter' FROM silver.run") == [
        ("applied", False, False)]
    assert ask("SELECT uid, target, generation, keys->0->'key'->>'serial', outcome, holds->>'onu', "
               "reality->>'run' FROM silver.record") == [
        ("olt-7-uid", "olt-7", 1795406400123, "HWTC1A2B3C4D", "applied", "0/1/3 ONU 5", "online")]
    assert ask("SELECT seq, dir, uid, text, verdict, to_char(at AT TIME ZONE 'UTC', 'HH24:MI:SS.MS') "
               "FROM silver.exec_log ORDER BY seq") == [
        (0, ">", "olt-7-uid", "ont add 3 5 sn-auth HWTC1A2B3C4D", "", "04:00:00.110"),
        (1, "<", "olt-7-uid", "success: 1", "ok", "04:00:00.190")]
    assert ask("SELECT ref, generation, event::text, wanted->>'state' FROM silver.contract") == [
        ("CT-17071", 1795406400123, event, "active")]


def test_a_message_without_readable_identity_is_recorded(host, road, settled, ask):
    host()
    road.send(result(outcome="rejected", ns=None, contract_id=None, contract=None, source=None, generation=None,
                     rev=None, run=0, routing="", type="", records=None, wanted=None, targets=[], log=None,
                     code="event.syntax", path="/id", rule="required id"), key="rejected.olt-7")
    settled(1)
    assert ask("SELECT outcome, code, contract_id, routing FROM silver.event") == [
        ("rejected", "event.syntax", None, "")]
    assert ask("SELECT count(*) FROM silver.contract") == [(0,)]


def test_what_is_written_is_acknowledged(lab, host, road, settled, wait):
    host(prefetch=10)
    road.send(*[result(contract=i) for i in range(35)])
    settled(35)
    wait(lambda: lab.rabbitmq.queues(lab.vhost)["silver.ledger"]["messages"] == 0, "nothing unacknowledged")


# ---- which result counts

LIVES = [
    # (messages as (run, state, outcome), what counts in the end)
    ([(1, "progress", None), (1, "final", "applied")], ("final", "applied", 1)),
    ([(1, "final", "applied"), (1, "progress", None)], ("final", "applied", 1)),
    ([(1, "progress", None), (2, "progress", None)], ("progress", None, 2)),
    ([(2, "progress", None), (1, "progress", None)], ("progress", None, 2)),
    ([(1, "final", "applied"), (2, "progress", None)], ("final", "applied", 1)),
    ([(2, "progress", None), (1, "final", "applied")], ("final", "applied", 1)),
    ([(1, "final", "dead"), (2, "final", "applied")], ("final", "applied", 2)),
    ([(2, "final", "applied"), (1, "final", "dead")], ("final", "applied", 2)),
    ([(1, "final", "dead"), (2, "progress", None)], ("final", "dead", 1)),
    ([(1, "final", "dead"), (2, "final", "unchanged")], ("final", "unchanged", 2)),
    ([(1, "final", "dead"), (2, "final", "superseded")], ("final", "superseded", 2)),
    ([(1, "final", "dead"), (2, "final", "dead"), (3, "final", "applied")], ("final", "applied", 3)),
    ([(1, "final", "applied"), (2, "final", "dead")], ("final", "applied", 1)),
    ([(1, "final", "applied"), (2, "final", "unchanged")], ("final", "applied", 1)),
    ([(1, "final", "superseded"), (2, "final", "applied")], ("final", "superseded", 1)),
    ([(1, "final", "applied"), (1, "final", "dead")], ("final", "applied", 1)),
]


def test_which_result_counts(host, road, settled, ask):
    host(prefetch=7)
    expected = {}
    messages = []
    for i, (life, counts) in enumerate(LIVES):
        event = str(uuid.uuid4())
        expected[event] = counts
        messages += [result(event, run, state, outcome, contract=i + 1) for run, state, outcome in life]
    road.send(*messages)
    settled(sum(len({run for run, _, _ in life}) for life, _ in LIVES), "SELECT count(*) FROM silver.run")
    found = {event: (state, outcome, run) for event, state, outcome, run
             in ask("SELECT id::text, state, outcome, run FROM silver.event")}
    assert found == expected


def counts(messages):
    """What counts of an event's distinct results, told without the database: the order of arrival decides nothing but
    between final results that no worker publishes for one event (an outcome is claimed once per life)."""
    finals = [m for m in messages if m["state"] == "final"]
    best = max(finals or messages, key=lambda m: m["run"])
    return best["state"], best["outcome"], best["run"]


@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_number_of_results_ends_the_same(host, road, settled, ask, seed):
    """An event dies k times and is replayed, each life with progress before its end; everything arrives two or three
    times, shuffled within each event's own history as far as a fleet can shuffle it."""
    dice = random.Random(seed)
    host(prefetch=dice.choice((1, 5, 50)))
    expected, messages, runs = {}, [], 0
    for contract in range(30):
        event = str(uuid.uuid4())
        deaths = dice.randrange(3)
        mine = []
        for run in range(1, deaths + 2):
            mine.append(result(event, run, "progress", None, contract=contract))
            outcome = "dead" if run <= deaths else dice.choice(("applied", "unchanged", "superseded", "dead"))
            mine.append(result(event, run, "final", outcome, contract=contract, replay=run - 1))
        expected[event] = counts(mine)
        runs += deaths + 1
        messages += [m for m in mine for _ in range(dice.randint(2, 3))]
    dice.shuffle(messages)
    road.send(*messages)
    settled(runs, "SELECT count(*) FROM silver.run WHERE state = 'final'")
    assert {row[0]: row[1:] for row in ask("SELECT id::text, state, outcome, run FROM silver.event")} == expected
    assert ask("SELECT count(*) FROM silver.exec_log") == [(2 * runs,)]
    open_letters = {row[0] for row in ask("SELECT event::text FROM silver.letter WHERE state = 'open'")}
    assert open_letters == {event for event, (_, outcome, _) in expected.items() if outcome == "dead"}


def test_stored_result_published_again_keeps_the_transcript(host, road, settled, ask):
    host()
    message = result()
    road.send(message, {**message, "log": None}, {**message, "log": None, "targets": [], "records": []})
    settled(1)
    assert ask("SELECT count(*) FROM silver.exec_log") == [(2,)]
    assert ask("SELECT jsonb_array_length(result->'targets') FROM silver.run") == [(1,)]
    assert ask("SELECT count(*) FROM silver.record") == [(1,)]


def test_transcript_that_comes_late_is_added(host, road, settled, ask):
    host()
    message = result()
    road.send({**message, "log": None}, message)
    settled(2, "SELECT count(*) FROM silver.exec_log")


def test_record_keeps_the_highest_generation(host, road, settled, ask):
    host()
    new, old = result(generation=9), result(generation=8)
    old["records"][0]["record"]["keys"][0]["key"]["serial"] = "HWTC00000OLD"
    road.send(new, old)
    settled(2)
    assert ask("SELECT generation, keys->0->'key'->>'serial' FROM silver.record") == [(9, "HWTC1A2B3C4D")]
    assert ask("SELECT generation, event::text FROM silver.contract") == [(9, new["event"])]


def test_letter_opens_closes_and_opens_again(host, road, settled, ask):
    host()
    event = str(uuid.uuid4())
    road.send(result(event, 1, outcome="dead"))
    settled(1, "SELECT count(*) FROM silver.letter WHERE state = 'open'")
    assert ask("SELECT code, args->>'profile', target, driver, fingerprint, convert_from(sealed, 'UTF8') "
               "FROM silver.letter") == [
        ("huawei.line-profile-missing", "30", "olt-7", "huawei-smartax", "huawei.line-profile-missing olt-7",
         "c2VhbGVk")]
    road.send(result(event, 2, outcome="dead", replay=1))
    settled(2, "SELECT count(*) FROM silver.letter")
    assert ask("SELECT replay, state FROM silver.letter ORDER BY replay") == [(0, "replayed"), (1, "open")]
    road.send(result(event, 3, replay=2))
    settled(2, "SELECT count(*) FROM silver.letter WHERE state = 'resolved' AND closed_at IS NOT NULL")


def test_later_order_of_a_person_counts(host, road, settled, ask):
    host()
    gate = {"schema": "silver.gate/1", "uid": "olt-7-uid", "target": "olt-7", "state": "closed", "code": "person.pause",
            "why": "fibra", "by": "jperez", "since": "2026-11-23T04:00:00Z", "until": None}
    opened = {**gate, "state": "open", "code": "", "why": "", "since": "2026-11-23T05:00:00Z"}
    road.send(opened, gate, key="gate.olt-7")
    settled(1, "SELECT count(*) FROM silver.gate")
    assert ask("SELECT state FROM silver.gate") == [("open",)]
    road.send({**gate, "since": "2026-11-23T06:00:00Z", "until": "2026-11-23T08:00:00Z"}, key="gate.olt-7")
    settled(1, "SELECT count(*) FROM silver.gate WHERE state = 'closed' AND why = 'fibra' AND until IS NOT NULL")


# ---- what is no result

BAD = {
    "no JSON": (b"\x00\x01{", "document."),
    "no object": (b"[1, 2]", "result.shape"),
    "other schema": (b'{"schema": "silver.event/1"}', "result.shape"),
    "no event": (json.dumps({k: v for k, v in result().items() if k != "event"}).encode(), "result.shape"),
    "NUL in a text": (json.dumps(result(worker="a")).replace('"online"', '"on\\u0000line"').encode(), "document."),
    "number too large": (json.dumps(result(run=2 ** 40)).encode(), "pg."),
    "no such day": (json.dumps(result(at={"published": None, "started": "2026-02-30T04:00:00Z",
                                          "finished": "2026-02-30T04:00:00Z"})).encode(), "pg."),
}


def test_bad_messages_are_kept_aside_and_block_nothing(host, road, settled, ask):
    host(prefetch=50)
    good = [result(contract=i) for i in range(1, 20)]
    mixed = list(good)
    for i, (body, _) in enumerate(BAD.values()):
        mixed.insert(2 * i + 1, body)
    road.send(*mixed)
    settled(len(good))
    settled(len(BAD), "SELECT count(*) FROM silver.ledger_bad")
    kept = {bytes(body): reason for body, reason in ask("SELECT body, reason FROM silver.ledger_bad")}
    for name, (body, prefix) in BAD.items():
        assert kept[body].startswith(prefix), (name, kept[body])
    road.send(BAD["no JSON"][0])
    settled(1, "SELECT count(*) FROM silver.ledger_bad WHERE times = 2")
    assert ask("SELECT count(*) FROM silver.ledger_bad") == [(len(BAD),)]


def test_text_of_devices_reaches_no_sql(host, road, settled, ask):
    host()
    hostile = "'); DROP TABLE silver.event; -- $$ \\ \" %s {}"
    message = result(args={"said": hostile})
    message["log"][1]["text"] = hostile
    message["targets"][0]["holds"] = {hostile: hostile}
    road.send(message)
    settled(1)
    assert ask("SELECT args->>'said' FROM silver.event") == [(hostile,)]
    assert ask("SELECT text FROM silver.exec_log WHERE seq = 1") == [(hostile,)]


# ---- partitions

def test_rows_of_far_off_clocks_are_kept_and_move_in(host, road, settled, ask):
    host()
    road.send(result(at={"published": None, "started": "2001-02-03T04:05:06Z", "finished": "2001-02-03T04:05:07Z"}))
    settled(2, "SELECT count(*) FROM silver.exec_log_other")
    far = ask("SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '5 months 3 days', "
              "'YYYY-MM-DD\"T00:00:00Z\"')")[0][0]
    road.send(result(at={"published": None, "started": far, "finished": far}))
    settled(4, "SELECT count(*) FROM silver.exec_log_other")
    assert ask("SELECT silver.make_partitions(5)") == [(2,)]
    assert ask("SELECT count(*) FROM silver.exec_log_other") == [(2,)]
    assert ask("SELECT count(*) FROM silver.exec_log") == [(4,)]


# ---- what fails around it

def test_nothing_is_lost_while_the_database_is_away(lab, host, road, settled, ask, wait):
    child = host(prefetch=10)
    child.wait_line("database ready")
    lab.pg.stop()
    messages = [result(contract=i) for i in range(60)]
    road.send(*messages)
    wait(lambda: road.ready() == 50, "the prefetch to be full")
    child.wait_line("database away")
    lab.pg.start()
    settled(60)
    assert ask("SELECT count(*) FROM silver.exec_log") == [(120,)]


def test_a_statement_that_does_not_end_is_done_again(lab, host, road, settled, wait):
    child = host(prefetch=10, timeout_ms=500)
    child.wait_line("database ready")
    blocker = lab.pg.admin("silver")
    blocker.autocommit = False
    blocker.cursor().execute("LOCK TABLE silver.run IN ACCESS EXCLUSIVE MODE")
    road.send(*[result(contract=i) for i in range(30)])
    child.wait_line("database away")
    blocker.rollback()
    blocker.close()
    settled(30)
    wait(lambda: lab.rabbitmq.queues(lab.vhost)["silver.ledger"]["messages"] == 0, "nothing unacknowledged")


def test_a_long_outage_gives_the_messages_back(lab, host, road, settled, wait):
    child = host(prefetch=10, give_back_ms=100)
    child.wait_line("database ready")
    lab.pg.stop()
    road.send(*[result(contract=i) for i in range(30)])
    wait(lambda: lab.rabbitmq.queues(lab.vhost)["silver.ledger"] == {"messages": 30, "ready": 30, "unacked": 0,
                                                                    "consumers": 0}, "all messages in the broker")
    lab.pg.start()
    settled(30)


def test_killed_between_commit_and_acknowledgement(host, road, settled, ask, wait):
    child = host(env={"SILVER_FAILPOINTS": "ledger.before-ack=kill"})
    child.wait_line("database ready")
    message = result()
    road.send(message, result())
    wait(lambda: child.returncode() == -signal.SIGKILL, "the failure point")
    assert ask("SELECT count(*) FROM silver.event")[0][0] >= 1
    host("ledger-again")
    settled(2)
    assert ask("SELECT count(*) FROM silver.exec_log") == [(4,)]
    assert ask("SELECT count(*) FROM silver.run") == [(2,)]


def test_every_result_once_though_connections_break(lab, host, road, settled, ask, wait):
    children = [host(f"ledger-{i}", prefetch=5) for i in range(2)]
    for child in children:
        child.wait_line("database ready")
    sent = 0
    for round_ in range(8):
        road.send(*[result(contract=100 * round_ + i) for i in range(25)])
        sent += 25
        road.close()
        lab.rabbitmq.close_all_connections()
        lab.pg.query("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                 "WHERE usename = 'silver_ledger'")
        road.__init__(lab)
    settled(sent, timeout_s=40)
    assert ask("SELECT count(*) FROM silver.run") == [(sent,)]


def test_orderly_stop_leaves_nothing_half_done(lab, host, road, ask, wait):
    child = host(prefetch=10)
    child.wait_line("database ready")
    road.send(*[result(contract=i) for i in range(200)])
    wait(lambda: ask("SELECT count(*) > 0 FROM silver.event") == [(True,)], "the first batch")
    child.stop()
    assert child.returncode() == 0
    written = ask("SELECT count(*) FROM silver.event")[0][0]
    wait(lambda: road.ready() == 200 - written, "the rest in the broker")


# ---- back into Redis

def test_restore_reads_records_and_gates_back(host, road, settled, binary, settings):
    host()
    first = result(contract=1, generation=7)
    second = result(contract=2, generation=8, records=[{"uid": "olt-8", "target": "olt-8", "outcome": "applied"}])
    gone = {"schema": "silver.gate/1", "uid": "olt-8", "target": "olt-8", "state": "closed", "code": "person.pause",
            "why": "", "by": "ana", "since": "2026-11-23T04:00:00Z"}
    road.send(first, second)
    road.send({**gone, "since": "2020-01-01T00:00:00Z", "until": "2020-01-01T01:00:00Z"},
              {**gone, "uid": "olt-9", "target": "olt-9", "until": None}, key="gate.olt-8")
    settled(2)
    settled(2, "SELECT count(*) FROM silver.gate")
    done = subprocess.run([binary("tests/system/ledger-host")], capture_output=True, text=True, check=True,
                          env={"LEDGER_HOST": json.dumps({**settings, "restore": True})})
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [
        {"ns": "odoo/prod", "contract_id": "1", "ref": "CT-1", "generation": 7, "rev": "0123456789abcdef",
         "event": first["event"], "records": [{"uid": "olt-7-uid", "record": first["records"][0]["record"]}]},
        {"ns": "odoo/prod", "contract_id": "2", "ref": "CT-2", "generation": 8, "rev": "0123456789abcdef",
         "event": second["event"], "records": []},
        {"gate": "olt-9", "code": "person.pause", "why": "", "by": "ana", "since": 1795406400000, "until": 0}]
