# SPDX-License-Identifier: Apache-2.0
"""The ledger's PostgreSQL is away for long, cannot write, has no connection left, deadlocks: results wait, workers go on, all is there after."""

import contextlib
import re

import pytest
from nullfleet import fleet  # noqa: F401  (fixture)
from results import result
from test_ledger import ask, host, road, settings, settled  # noqa: F401  (fixtures)

EVENTS = 2000


def written(lab):
    return lab.pg.query("silver", "SELECT outcome, count(*) FROM silver.event GROUP BY 1")


def test_an_outage_of_two_thousand_events_loses_nothing(fleet, lab, wait):
    """The load of an hour while the database is away: customers get their service, results wait in the broker."""
    one = fleet({"session": {"ttl": "3s", "margin": "300ms"}, "redis": {"timeout": "1s"}, "ledger": {"timeout": "1s"}}).start()
    one.applied(one.contract().publish("activated"))
    wait(lambda: written(lab) == [("applied", 1)], "the first row")
    locker = lab.pg.admin("silver")
    locker.autocommit = False
    locker.cursor().execute("LOCK TABLE silver.run IN ACCESS EXCLUSIVE MODE")
    events = [one.contract(("null-1", "null-2")[n % 2]).publish("activated") for n in range(EVENTS // 4)]
    wait(lambda: lab.pg.query("postgres", "SELECT 1 FROM pg_stat_activity WHERE usename = 'silver_ledger' AND wait_event_type = 'Lock'"),
         "a batch in hand")
    lab.pg.kill()
    locker.close()
    try:
        events += [one.contract(("null-1", "null-2")[n % 2]).publish("activated") for n in range(EVENTS - len(events))]
        wait(lambda: one.measured('silver_outcomes_total{outcome="applied"}') == EVENTS + 1, "every customer's service", 90)
        assert one.measured("silver_ledger_database_up") == 0
        assert re.search(r"^ledger: turns, .*; .+", one.health(), re.M), one.health()
        assert "database away: results wait in the broker" in one.log()
        assert lab.rabbitmq.queues(lab.vhost)["silver.ledger"]["messages"] >= EVENTS // 2
    finally:
        lab.pg.start()
    wait(lambda: written(lab) == [("applied", EVENTS + 1)], "every row", 60)
    wait(lambda: lab.rabbitmq.queues(lab.vhost)["silver.ledger"]["messages"] == 0, "an empty queue")
    logged = lab.pg.query("silver", "SELECT count(*), count(DISTINCT event) FROM silver.exec_log WHERE dir = '>' AND text LIKE 'put%%'")
    assert logged == [(EVENTS + 1, EVENTS + 1)]


@contextlib.contextmanager
def no_space(lab):
    """The server may not make a file larger than 17 MB (a segment of the write-ahead log has 16): the same call fails as on a disk
    without space."""
    before = list(lab.pg.process.argv)
    lab.pg.stop()
    lab.pg.process.argv = ["/usr/bin/prlimit", f"--fsize={17 << 20}", *before]
    lab.pg.start()
    try:
        yield
    finally:
        lab.pg.process.argv = before
        lab.pg.restart()


def test_a_full_disk_is_waited_for(lab, host, road, settled, ask):
    """Nothing is set aside, nothing is acknowledged, nobody has to do anything when there is space again."""
    child = host(prefetch=10)
    at = {"published": None, "started": "2001-02-03T04:05:06Z", "finished": "2001-02-03T04:05:07Z"}
    road.send(result(contract=1, at=at))
    settled(1)
    ask("INSERT INTO silver.exec_log (event, run, seq, at, target, uid, dir, text, verdict) "     # 20 MB
        "SELECT gen_random_uuid(), 1, n, '2001-02-03T04:05:06Z', '', '', '>', repeat('x', 400), '' FROM generate_series(1, 45000) n")
    with no_space(lab):
        log = [{"seq": n, "ms": n, "target": "olt-7", "dir": "<", "text": "y" * 900, "verdict": "ok"} for n in range(60)]
        road.send(*[result(contract=i, log=log, at=at) for i in range(2, 22)])
        child.wait_line("database away.*File too large")
        child.check()
    settled(21)
    assert ask("SELECT count(*) FROM silver.ledger_bad") == [(0,)]
    assert ask("SELECT count(*) FROM silver.exec_log WHERE text LIKE 'yyy%'") == [(20 * 60,)]


def test_no_connection_left_is_waited_for(fleet, lab, wait):
    one = fleet({"ledger": {"timeout": "1s"}}).start()
    lab.pg.query("postgres", "ALTER ROLE silver_ledger CONNECTION LIMIT 0")
    try:
        lab.pg.query("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'silver_ledger'")
        events = [one.contract().publish("activated") for _ in range(5)]
        for event in events:
            one.applied(event)
        wait(lambda: re.search(r"^ledger: turns, .*too many connections", one.health(), re.M), "the reason to be said")
    finally:
        lab.pg.query("postgres", "ALTER ROLE silver_ledger CONNECTION LIMIT -1")
    wait(lambda: written(lab) == [("applied", 5)], "every row")


def test_a_deadlock_is_done_again(lab, host, road, settled, ask, wait):
    """Somebody else's transaction has what the batch needs and wants what the batch has: the batch is done once more, whole."""
    lab.pg.query("postgres", "ALTER ROLE silver_ledger SET deadlock_timeout = '50ms'")
    other = lab.pg.admin("silver")
    try:
        child = host(prefetch=10)
        child.wait_line("database ready")
        message = result(contract=1)
        other.autocommit = False
        cursor = other.cursor()
        cursor.execute("INSERT INTO silver.event (id, ref, rev, type, routing, state, run, replay, attempt) "
                       "VALUES (%s, '', '', '', '', 'progress', 0, 0, 1)", (message["event"],))
        road.send(message)
        wait(lambda: ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'silver_ledger' AND wait_event_type = 'Lock'") == [(1,)],
             "the batch to wait")
        cursor.execute("INSERT INTO silver.run (event, run, state, worker, result) VALUES (%s, 1, 'progress', '', '{}')", (message["event"],))
        child.wait_line("database away.*deadlock detected")
        other.rollback()
        settled(1, "SELECT count(*) FROM silver.event WHERE state = 'final'")
        assert ask("SELECT count(*) FROM silver.ledger_bad") == [(0,)]
        assert ask("SELECT count(*) FROM silver.exec_log") == [(2,)]
    finally:
        other.close()
        lab.pg.query("postgres", "ALTER ROLE silver_ledger RESET deadlock_timeout")


@pytest.mark.parametrize("fault", ["connection", "statement"])
def test_a_restore_that_fails_in_the_middle_is_done_again(fleet, lab, wait, fault):
    """Redis is flushed and the ledger's database fails while records are written back: not whole until all of them are."""
    one = fleet({"ledger": {"timeout": "1s"}}).start()
    for _ in range(3):
        one.applied(one.contract().publish("activated"))
    wait(lambda: written(lab) == [("applied", 3)], "the rows")
    locker = lab.pg.admin("silver")
    locker.autocommit = False
    locker.cursor().execute("LOCK TABLE silver.record IN ACCESS EXCLUSIVE MODE")
    lab.redis.flush()
    tries = set()

    def tried_three_times():
        tries.update(lab.pg.query("postgres", "SELECT pid FROM pg_stat_activity WHERE usename = 'silver_ledger' "
                                              "AND wait_event_type = 'Lock' AND query LIKE '%record%'"))
        if fault == "connection":
            lab.pg.query("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'silver_ledger'")
        return len(tries) >= 3
    wait(tried_three_times, "three tries to write the records back")
    assert lab.redis.command("EXISTS", "sn:1:whole") == 0
    event = one.contract().publish("activated")
    wait(lambda: one.queue()["messages"] == 1, "the event in its queue")
    assert one.silverd.results(event["id"]) == [] and "onu/CT-4" not in one.held()
    locker.rollback()
    locker.close()
    one.applied(event)
    assert lab.redis.command("HGET", "sn:1:c:odoo/prod/1", "gen") is not None
