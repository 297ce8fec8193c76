# SPDX-License-Identifier: Apache-2.0
"""Bad days of the RADIUS database: rows and tables locked by others, deadlocks, commits that hang, read-only, full, without rights.

Every fault is a real one of the lab's PostgreSQL, and is taken back; events that met it must end as if it had never been, without
an attempt spent. The OLT is a null target: results of waiting events say what they wait for.
"""

import contextlib
import threading

import psycopg2
import pytest
from test_radius import LARGE, Isp, isp  # noqa: F401  (isp is a fixture)
from test_radius_drivers import Driver, driver, fence, groups, rows, service  # noqa: F401  (driver is a fixture)
from test_radius_peers import gate

TIMEOUT_MS = 800
SMALL_GROUP, LARGE_GROUP = "FTTH-50@25000/50000", "FTTH-100@50000/100000"


@pytest.fixture
def net(isp):  # noqa: F811
    made = isp(sql={"timeout_ms": TIMEOUT_MS}, settings={"job": {"attempts_max": "2"}, "gate": {"probe_min": "50ms", "probe_max": "250ms"}})
    made.silverd.start()
    return made


@contextlib.contextmanager
def transaction(lab, deadlock_timeout="60s"):
    """Another program's transaction, rolled back at the end unless it was committed: a cursor."""
    connection = lab.pg.admin("radius")
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL deadlock_timeout = '{deadlock_timeout}'")
            yield cursor
    finally:
        connection.close()


def waiting_backends(lab, event="Lock"):
    return lab.pg.query("radius", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'silver_worker' AND wait_event_type = %s",
                        event)[0][0]


def hang_up(lab):
    """The worker's connections end: what was changed of its role holds for the next ones."""
    lab.pg.query("radius", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'silver_worker'")


def progress(net, event):
    return [result for result in net.silverd.results(event["id"]) if result["state"] != "final"]


def waits(net, wait, event, code, turns=2):
    """The event comes and goes without spending anything, and says why."""
    wait(lambda: len(progress(net, event)) >= turns, f"{turns} turns of a waiting event", 60)
    said = progress(net, event)
    assert {(r["attempt"], r["waiting"]["target"]) for r in said} == {(1, "radius-1")}, said
    codes = {r["waiting"]["code"] for r in said}
    assert code in codes and codes <= {code, "core.gate-closed"}, codes


def ends_well(net, event):
    result = net.silverd.final(event, 60)
    assert (result["outcome"], result["attempt"]) == ("applied", 1), result
    return result


# ---- slow


def test_rows_that_another_program_holds_are_waited_for(net, lab, wait):
    """One customer's rows are locked for longer than an exchange may take: he waits, the others are served."""
    ana, beto = net.contract(1), net.contract(2, "beto@isp")
    net.carry(ana, "activated")
    net.carry(beto, "activated")
    with transaction(lab) as other:
        other.execute("SELECT 1 FROM radusergroup WHERE username = 'ana@isp' FOR UPDATE")
        event = ana.publish("plan_changed", plan=LARGE)
        waits(net, wait, event, "radius.sql-busy")
        assert ends_well(net, beto.publish("plan_changed", plan=LARGE))
        assert groups(lab, "ana@isp") == [(SMALL_GROUP, 10)] and fence(lab)[0] == ana.generation - 1
    ends_well(net, event)
    assert groups(lab, "ana@isp") == [(LARGE_GROUP, 10)]


def test_a_locked_table_leaves_no_statements_behind(net, lab, wait):
    """A migration holds radcheck. Whoever reads it is told so by the server in time; nothing of ours goes on waiting there, or
    there would soon be no connection left for FreeRADIUS."""
    ana = net.contract(1)
    net.carry(ana, "activated")
    with transaction(lab) as other:
        other.execute("LOCK TABLE radcheck IN ACCESS EXCLUSIVE MODE")
        events = [net.contract(10 + n, f"c{n}@isp").publish("activated") for n in range(4)]
        for event in events:
            waits(net, wait, event, "radius.sql-busy", turns=3)
        ours = lab.pg.query("radius", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'silver_worker'")[0][0]
        assert ours <= 16       # as many as there are lanes that have opened one: eight of the server, eight of the NAS
        assert lab.pg.query("radius", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'silver_worker' AND state = 'active' "
                            "AND clock_timestamp() - query_start > %s * interval '1 ms'", TIMEOUT_MS)[0][0] == 0
    for event in events:
        ends_well(net, event)
    assert all(len(rows(lab, "radcheck", f"c{n}@isp", "id")) == 1 for n in range(4))


def test_a_commit_that_hangs_is_read_and_not_repeated(net, lab, wait):
    """The server waits for a standby that never confirms: the rows are there, and nobody can see them yet."""
    ana = net.contract(1)
    net.carry(ana, "activated")
    try:
        lab.pg.query("radius", "ALTER ROLE silver_worker SET synchronous_commit = 'on'")
        for sql in ("ALTER SYSTEM SET synchronous_commit = 'local'", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"):
            lab.pg.query("postgres", sql)
        lab.pg.query("postgres", "SELECT pg_reload_conf()")
        hang_up(lab)
        event = ana.publish("plan_changed", plan=LARGE)
        wait(lambda: lab.pg.query("radius", "SELECT 1 FROM pg_stat_activity WHERE usename = 'silver_worker' AND wait_event = 'SyncRep'"),
             "the commit to wait for its standby")
        waits(net, wait, event, "radius.sql-busy")
        assert groups(lab, "ana@isp") == [(SMALL_GROUP, 10)]
    finally:
        for setting in ("synchronous_commit", "synchronous_standby_names"):
            lab.pg.query("postgres", f"ALTER SYSTEM RESET {setting}")
        lab.pg.query("radius", "ALTER ROLE silver_worker RESET ALL")
        lab.pg.query("postgres", "SELECT pg_reload_conf()")
    result = ends_well(net, event)
    assert groups(lab, "ana@isp") == [(LARGE_GROUP, 10)] and fence(lab)[0] == ana.generation
    # the commit that hung is the one that counts
    assert not [entry for entry in result["log"] if entry["target"] == "radius-1" and entry["text"] == "committed"]


# ---- two transactions that meet


@pytest.mark.parametrize("victim", ["ours", "theirs"])
def test_a_deadlock_costs_neither_an_attempt_nor_the_gate(isp, lab, wait, victim):  # noqa: F811
    """Another program takes the user's row and then the fence; we take the fence and then the row. Whoever closes the circle is killed."""
    lab.pg.query("radius", "ALTER ROLE silver_worker SET deadlock_timeout = '%s'" % ("20ms" if victim == "ours" else "60s"))
    try:
        net = isp()     # noqa: F811
        net.silverd.start()
        ana = net.contract(1)
        net.carry(ana, "activated")
        with transaction(lab) as barrier, transaction(lab, "60s" if victim == "ours" else "20ms") as other:
            if victim == "ours":    # ours stops between fence and row, when it makes the plan's group
                barrier.execute("LOCK TABLE radgroupcheck IN EXCLUSIVE MODE")
            other.execute("SELECT 1 FROM radusergroup WHERE username = 'ana@isp' FOR UPDATE")
            event = ana.publish("plan_changed", plan=LARGE)
            wait(lambda: waiting_backends(lab) == 1, "our transaction to wait")
            end = []
            thread = threading.Thread(target=lambda: end.append(end_of(other)))
            thread.start()
            if victim == "ours":
                wait(lambda: lab.pg.query("radius", "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'UPDATE silver_fence%%' "
                                          "AND wait_event_type = 'Lock'"), "the other program to wait for the fence")
            barrier.connection.rollback()
            thread.join(timeout=30)
            assert end == ["committed" if victim == "ours" else "deadlock"]
        result = net.silverd.final(event)
    finally:
        lab.pg.query("radius", "ALTER ROLE silver_worker RESET ALL")
    assert (result["outcome"], result["attempt"], result["run"]) == ("applied", 1, 1), result
    assert not progress(net, event) and gate(lab, "radius-1").get("state", "open") == "open"
    said = [entry for entry in result["log"] if entry["target"] == "radius-1" and "deadlock detected" in entry["text"]]
    assert len(said) == (1 if victim == "ours" else 0)
    assert groups(lab, "ana@isp") == [(LARGE_GROUP, 10)] and fence(lab)[0] == ana.generation


def end_of(other):
    try:
        other.execute("UPDATE silver_fence SET rev = rev WHERE contract = 'odoo/prod/1'")
        other.connection.commit()
        return "committed"
    except psycopg2.errors.DeadlockDetected:
        other.connection.rollback()
        return "deadlock"


def test_a_serialization_failure_is_done_again_at_once(isp, lab, wait):  # noqa: F811
    lab.pg.query("radius", "ALTER ROLE silver_worker SET default_transaction_isolation = 'repeatable read'")
    try:
        net = isp()
        net.silverd.start()
        ana = net.contract(1)
        net.carry(ana, "activated")
        with transaction(lab) as other:
            other.execute("UPDATE radusergroup SET priority = priority WHERE username = 'ana@isp'")
            event = ana.publish("plan_changed", plan=LARGE)
            wait(lambda: waiting_backends(lab) == 1, "our transaction to wait for the row")
            other.connection.commit()
        result = net.silverd.final(event)
    finally:
        lab.pg.query("radius", "ALTER ROLE silver_worker RESET ALL")
    assert (result["outcome"], result["attempt"], result["run"]) == ("applied", 1, 1), result
    assert [entry["text"] for entry in result["log"] if "could not serialize" in entry["text"]]
    assert groups(lab, "ana@isp") == [(LARGE_GROUP, 10)]


# ---- it says no


@contextlib.contextmanager
def role_says(lab, sql):
    lab.pg.query("radius", f"ALTER ROLE silver_worker {sql}")
    hang_up(lab)
    try:
        yield
    finally:
        lab.pg.query("radius", "ALTER ROLE silver_worker CONNECTION LIMIT -1")
        lab.pg.query("radius", "ALTER ROLE silver_worker RESET ALL")
        hang_up(lab)


@contextlib.contextmanager
def full_disk(lab, table):
    """The file of a table that is empty takes no page: ENOSPC of /dev/full, as PostgreSQL gets it from a full disk."""
    path = lab.pg.folder / "data" / lab.pg.query("radius", "SELECT pg_relation_filepath(%s)", table)[0][0]
    kept = path.with_name(path.name + ".kept")
    path.rename(kept)
    path.symlink_to("/dev/full")
    hang_up(lab)
    try:
        yield
    finally:
        path.unlink()
        kept.rename(path)
        hang_up(lab)


def test_a_database_that_takes_nothing_is_waited_for(net, lab, wait):
    """Disk full, read-only as a standby, no connection left: one after the other, each with an event of its own."""
    def faults():
        yield "full", full_disk(lab, "radcheck")
        yield "read-only", role_says(lab, "SET default_transaction_read_only = on")
        yield "no connection left", role_says(lab, "CONNECTION LIMIT 0")
    for number, (name, fault) in enumerate(faults(), 1):
        user = f"c{number}@isp"
        contract = net.contract(number, user)
        with fault:
            event = contract.publish("activated")
            waits(net, wait, event, "radius.sql-busy")
            assert gate(lab, "radius-1").get("lock", "") == ""          # nobody has to come
        ends_well(net, event)
        assert net.tables(user) == ([("Cleartext-Password", ":=", "clave-1")], [], [(SMALL_GROUP, 10)]), name
        assert fence(lab, f"odoo/prod/{number}")[:2] == (contract.generation, user)


def test_a_right_or_column_that_is_missing_waits_for_a_person(net, lab, wait):
    def faults():
        yield "REVOKE INSERT ON radcheck FROM silver_worker", "GRANT INSERT ON radcheck TO silver_worker"
        yield "ALTER TABLE radusergroup RENAME priority TO prio", "ALTER TABLE radusergroup RENAME prio TO priority"
    for number, (broken, mended) in enumerate(faults(), 1):
        user = f"c{number}@isp"
        contract = net.contract(number, user)
        lab.pg.query("radius", broken)
        try:
            event = contract.publish("activated")
            waits(net, wait, event, "radius.sql-not-prepared")
            wait(lambda: gate(lab, "radius-1").get("lock") == "person", "the gate to wait for a person")
        finally:
            lab.pg.query("radius", mended)
        net.silverd.ctl("device", "resume", "radius-1")
        ends_well(net, event)
        assert net.tables(user)[0] == [("Cleartext-Password", ":=", "clave-1")]


# ---- two workers, one new plan


def test_first_customers_of_new_plans_at_once_make_each_plan_once(driver, lab, wait):  # noqa: F811
    """Two workers for each plan, all of them held back right before they insert its rows."""
    plans, answers = range(1, 5), []

    def first(number):
        plan = number % len(plans) + 1
        answers.append(driver.user(service=service(f"u{number}@isp", up=1000 * plan, down=2000 * plan, code="NEW"),
                                   owner=f"odoo/prod/{number}"))
    with transaction(lab) as barrier:
        barrier.execute("LOCK TABLE radgroupcheck IN EXCLUSIVE MODE")       # may be read, not written
        threads = [threading.Thread(target=first, args=(number,)) for number in range(2 * len(plans))]
        for thread in threads:
            thread.start()
        wait(lambda: waiting_backends(lab) == len(threads), "all workers at the barrier", 60)
        barrier.connection.rollback()
    for thread in threads:
        thread.join(timeout=60)
    assert [answer["end"] for answer in answers] == ["done"] * len(threads)
    for table, attribute in (("radgroupcheck", "Simultaneous-Use"), ("radgroupreply", "Mikrotik-Rate-Limit")):
        made = lab.pg.query("radius", f"SELECT groupname, count(*) FROM {table} WHERE attribute = %s AND groupname LIKE 'NEW%%' "
                            "GROUP BY groupname ORDER BY groupname", attribute)
        assert made == [(f"NEW@{1000 * plan}/{2000 * plan}", 1) for plan in plans], table
