# SPDX-License-Identifier: Apache-2.0
"""common/pg against a real PostgreSQL, driven through tests/system/pg-probe.c."""

import json
import subprocess
import time

import pytest


class Probe:
    def __init__(self, program):
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, **command):
        self.send(**command)
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)


@pytest.fixture
def probes(lab, binary):
    made = []

    def make(**changed):
        probe = Probe(binary("tests/system/pg-probe"))
        made.append(probe)
        conf = {"host": lab.pg.host, "port": lab.pg.port, "database": "radius", "user": "silver_worker",
                "password": lab.pg.passwords["silver_worker"], **changed}
        return probe, probe.ask(open=conf)
    yield make
    for probe in made:
        probe.close()


def test_values_go_and_come_unchanged(probes):
    probe, opened = probes()
    assert opened == {"class": "ok"}
    hostile = "'; DROP TABLE radcheck; -- \\ \" $1 é \t"
    got = probe.ask(sql="SELECT $1::text, $2::text, $3::bigint", params=[hostile, None, "7"])
    assert got["rows"] == [[hostile, None, "7"]]
    changed = probe.ask(sql="INSERT INTO radcheck (username, attribute, op, value) VALUES ($1, 'A', ':=', 'v')", params=["x"])
    assert changed["affected"] == 1


@pytest.mark.parametrize("changed, expected, state", [
    ({"password": "wrong"}, "auth", "28P01"), ({"user": "nobody-of-that-name"}, "auth", "28P01"),
    ({"database": "nowhere"}, "auth", "3D000"), ({"password": None}, "auth", "")])
def test_refused_logins_need_a_person(probes, changed, expected, state):
    _, opened = probes(**changed)
    assert (opened["class"], opened["sqlstate"]) == (expected, state), opened
    assert "wrong" not in opened["text"]


def test_errors_have_their_classes_and_the_connection_stays(probes, lab):
    probe, _ = probes()
    lab.pg.query("radius", "INSERT INTO silver_fence (contract, generation, rev, username) VALUES ('a', 1, 'r', 'u')")
    rows = [("SELECT broken syntax here from", "other"), ("SELECT * FROM no_such_table", "privilege"),
            ("SELECT no_such_column FROM radcheck", "privilege"), ("DELETE FROM silver_fence", "privilege"),
            ("INSERT INTO silver_fence (contract, generation, rev, username) VALUES ('b', 1, 'r', 'u')", "constraint"),
            ("SELECT 'x'::int", "other")]
    for sql, expected in rows:
        answer = probe.ask(sql=sql)
        assert (answer["class"], answer["broken"]) == (expected, False), answer
        assert probe.ask(sql="SELECT 1")["rows"][0][0] == "1"
    assert probe.ask(sql=rows[4][0])["constraint"] == "silver_fence_username_key"


def test_deadline_in_the_middle_of_a_statement_breaks_the_connection(probes):
    probe, _ = probes()
    began = time.monotonic()
    answer = probe.ask(sql="SELECT pg_sleep(30)", timeout_ms=200)
    assert (answer["class"], answer["broken"]) == ("lost", True)
    assert 0.2 <= time.monotonic() - began < 5
    assert probe.ask(sql="SELECT 1")["class"] == "unreachable"


def test_server_side_limit_is_busy_and_the_connection_stays(probes):
    probe, _ = probes()
    probe.ask(sql="SELECT set_config('statement_timeout', '100', false)")
    answer = probe.ask(sql="SELECT pg_sleep(30)")
    assert (answer["class"], answer["sqlstate"], answer["broken"]) == ("busy", "57014", False)


def test_deadlock_is_to_be_done_again(probes, wait, lab):
    one, _ = probes()
    two, _ = probes()
    for probe, key in ((one, "1"), (two, "2")):
        probe.ask(sql="BEGIN")
        probe.ask(sql="SELECT pg_advisory_xact_lock($1::bigint)", params=[key])
    one.send(sql="SELECT pg_advisory_xact_lock(2)")
    wait(lambda: lab.pg.query("radius", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == [(1,)],
         "the first to wait for the second's lock")
    answers = [two.ask(sql="SELECT pg_advisory_xact_lock(1)"), None]
    if answers[0]["class"] != "retry":
        two.ask(sql="ROLLBACK")
    else:
        assert two.ask(sql="ROLLBACK")["class"] == "ok"
    answers[1] = one.answer()
    assert sorted(a["class"] for a in answers) == ["ok", "retry"]
    assert next(a for a in answers if a["class"] == "retry")["sqlstate"] == "40P01"


def test_ended_link_is_seen_idle_and_busy(probes, lab):
    probe, _ = probes()
    assert probe.ask(idle=True)["dead"] is False
    pid = probe.ask(sql="SELECT pg_backend_pid()")["rows"][0][0]
    lab.pg.query("radius", "SELECT pg_terminate_backend(%s)", int(pid))
    answer = probe.ask(sql="SELECT 1")
    assert answer["class"] in ("busy", "lost") and answer["broken"] is True
    probe, _ = probes()
    pid = probe.ask(sql="SELECT pg_backend_pid()")["rows"][0][0]
    lab.pg.query("radius", "SELECT pg_terminate_backend(%s, 5000)", int(pid))
    assert probe.ask(idle=True) == {"dead": True, "fd": -1}
