# SPDX-License-Identifier: Apache-2.0
"""freeradius-sql and radius-session against real PostgreSQL, FreeRADIUS and NAS stand-ins; the drivers are carried by
tests/system/drive, what holds is asked of the servers themselves."""

import concurrent.futures
import json
import os
import pathlib
import struct
import subprocess
import time

import pytest
from cutproxy import TO_CLIENT, TO_SERVER, CutProxy
from lab import wait_until
from radius_peer import RadiusPeer, reply

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
TIMERS = {"irt_ms": 150, "mrt_ms": 400, "mrc": 3, "mrd_ms": 1500}


class Driver:
    """Carries wants through the drivers; follows LATER as the worker's timer does."""

    def __init__(self, program, lab, tmp_path, **server_options):
        self.program = program
        self.lab = lab
        self.server = lab.radius_target(**server_options)
        self.nas = {name: lab.nas_target(name, timers=TIMERS) for name in lab.nas}
        self.inventory = tmp_path / f"inventory-{server_options.get('suspend', 'reject')}.yaml"
        self.write_inventory()

    def write_inventory(self):
        targets = [self.server, *self.nas.values()]
        self.inventory.write_text(json.dumps({"schema": "silver.inventory/1", "targets": targets}), encoding="utf-8")

    def once(self, target, failpoints="", **job):
        text = json.dumps({"target": target, "inventory": str(self.inventory), "save": False, **job})
        done = subprocess.run([str(self.program)], input=text, capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "SILVER_FAILPOINTS": failpoints})
        if failpoints.endswith("=kill"):
            assert done.returncode == -9
            return None
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    def carry(self, target, **job):
        """The last answer; its `lines` and `writes` are those of all calls."""
        job.setdefault("memo", {})
        lines, writes = [], []

        def look():
            answer = self.once(target, **job)
            lines.extend(answer.get("lines", []))
            writes.append(answer.get("writes", 0))
            job["memo"] = answer.get("memo", job["memo"])
            return answer["end"] != "later" and answer
        answer = wait_until(look, "the driver to ask for no later look", every_s=0.3)    # the driver's own step
        return {**answer, "lines": lines, "writes": sum(writes)}

    def user(self, kind="BE", owner="odoo/prod/1", generation=1, **job):
        return self.carry(self.server, aspect="user", kind=kind, owner=owner, generation=generation, **job)

    def session(self, kind, nas="bng-1", owner="odoo/prod/1", generation=1, **job):
        return self.carry(self.nas[nas], aspect="session", kind=kind, owner=owner, generation=generation, **job)

    def login(self, owner="odoo/prod/1", generation=1, **job):
        return self.carry(self.nas["bng-1"], aspect="login", kind="LOOK", owner=owner, generation=generation, **job)


def service(username="ana@isp", up=50000, down=100000, code="FTTH-100", password="clave-1", state="active", **access):
    return {"state": state, "plan": {"code": code, "up_kbps": up, "down_kbps": down},
            "access": {"server": "radius-1", "username": username, "password": password, "nas": "bng-1", **access}}


@pytest.fixture
def driver(lab, binary, tmp_path):
    return Driver(binary("tests/system/drive/driver-drive"), lab, tmp_path)


@pytest.fixture
def garden(lab, binary, tmp_path):
    return Driver(binary("tests/system/drive/driver-drive"), lab, tmp_path, suspend="garden",
                  garden={"address_list": "morosos", "up_kbps": 512, "down_kbps": 512})


def rows(lab, table, username, columns):
    return lab.pg.query("radius", f"SELECT {columns} FROM {table} WHERE username = %s ORDER BY id", username)


def groups(lab, username):
    return lab.pg.query("radius", "SELECT groupname, priority FROM radusergroup WHERE username = %s ORDER BY priority",
                        username)


def fence(lab, owner="odoo/prod/1"):
    found = lab.pg.query("radius", "SELECT generation, username, changed_at, redial_at FROM silver_fence "
                         "WHERE contract = %s", owner)
    return found[0] if found else None


def lines(answer):
    return [line for mark, line in answer["lines"] if mark != " "]


# ---- users


def test_new_user_is_made_and_a_repetition_writes_nothing(driver, lab):
    wanted = service(ipv4="100.64.0.10")
    plan = driver.user(service=wanted, dry=True)
    assert plan["end"] == "would-write" and plan["writes"] == 0
    assert rows(lab, "radcheck", "ana@isp", "attribute") == [] and fence(lab) is None
    assert lines(plan) == ["user ana@isp, FTTH-100@50000/100000, 100.64.0.10; group created: "
                           "Mikrotik-Rate-Limit 50000k/100000k"]

    answer = driver.user(service=wanted)
    assert (answer["end"], answer["evidence"], answer["writes"]) == ("done", "observed", 1)
    assert answer["lines"][1][0] == "+"
    assert rows(lab, "radcheck", "ana@isp", "attribute, op, value") == [("Cleartext-Password", ":=", "clave-1")]
    assert rows(lab, "radreply", "ana@isp", "attribute, op, value") == [("Framed-IP-Address", ":=", "100.64.0.10")]
    assert groups(lab, "ana@isp") == [("FTTH-100@50000/100000", 10)]
    assert lab.pg.query("radius", "SELECT attribute, op, value FROM radgroupreply WHERE groupname LIKE 'FTTH%%'") == [
        ("Mikrotik-Rate-Limit", "=", "50000k/100000k")]
    assert lab.pg.query("radius", "SELECT attribute, op, value FROM radgroupcheck WHERE groupname LIKE 'FTTH%%'") == [
        ("Simultaneous-Use", ":=", "1")]
    assert answer["holds"] == {"user": "ana@isp", "group": "FTTH-100@50000/100000", "suspended": False,
                               "address": "100.64.0.10", "sessions": []}
    assert answer["reality"] == {"sessions": 0}

    before = fence(lab)
    again = driver.user(service=wanted)
    assert (again["end"], again["writes"]) == ("done", 0)
    assert fence(lab) == before


def test_passwords_stay_out_of_everything_that_is_said(driver, lab):
    answer = driver.user(service=service(password="canary-password-1"))
    changed = driver.user(service=service(password="canary-password-2"), generation=2)
    said = json.dumps([answer, changed])
    assert "canary-password" not in said
    assert lines(changed) == ["radcheck ana@isp: password set"]
    assert rows(lab, "radcheck", "ana@isp", "value") == [("canary-password-2",)]


def test_half_a_megabit_is_half_a_megabit(driver, lab):
    driver.user(service=service(code="MINI", up=500, down=512))
    assert lab.pg.query("radius", "SELECT value FROM radgroupreply WHERE groupname = 'MINI@500/512'") == [("500k/512k",)]


def test_plan_change_replaces_the_group_row(driver, lab):
    driver.user(service=service(code="FTTH-50", up=25000, down=50000))
    changed_before = fence(lab)[2]
    answer = driver.user(service=service(), generation=2)
    assert lines(answer) == ["radusergroup ana@isp: FTTH-50@25000/50000 -> FTTH-100@50000/100000; "
                             "group FTTH-100@50000/100000 created: Mikrotik-Rate-Limit 50000k/100000k"]
    assert groups(lab, "ana@isp") == [("FTTH-100@50000/100000", 10)]
    assert fence(lab)[0] == 2 and fence(lab)[2] > changed_before


def test_newer_generation_without_changes_raises_only_the_fence(driver, lab):
    driver.user(service=service())
    before = fence(lab)
    ids = rows(lab, "radusergroup", "ana@isp", "id")
    answer = driver.user(service=service(), generation=7)
    assert lines(answer) == ["silver_fence odoo/prod/1: generation 1 -> 7, no row of ana@isp changes"]
    assert fence(lab)[0] == 7 and fence(lab)[2] == before[2]
    assert rows(lab, "radusergroup", "ana@isp", "id") == ids


def test_older_generation_changes_nothing(driver, lab):
    driver.user(service=service(), generation=9)
    answer = driver.user(service=service(code="OLD", up=1000, down=1000), generation=8)
    assert (answer["end"], answer["class"], answer["writes"]) == ("stuck", "superseded", 0)
    assert groups(lab, "ana@isp") == [("FTTH-100@50000/100000", 10)]


def test_A03_shuffled_generations_end_in_the_highest(driver, lab):
    order = [4, 1, 9, 2, 10, 3, 8, 5, 7, 6]
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda g: driver.user(service=service(code=f"P{g}", up=g, down=g), generation=g), order))
    assert fence(lab)[0] == 10
    assert groups(lab, "ana@isp") == [("P10@10/10", 10)]
    assert [a["class"] for a in answers if a["end"] != "done"].count("superseded") + \
        len([a for a in answers if a["end"] == "done"]) == 10, answers


@pytest.mark.parametrize("suspend", ["reject", "garden"])
def test_suspension_is_one_row_and_its_end_too(lab, binary, tmp_path, suspend):
    options = {"suspend": suspend}
    if suspend == "garden":
        options["garden"] = {"address_list": "morosos", "up_kbps": 512, "down_kbps": 1024}
    driver = Driver(binary("tests/system/drive/driver-drive"), lab, tmp_path, **options)
    group = "silver-suspended" if suspend == "reject" else "silver-suspended@morosos@512/1024"
    driver.user(service=service())
    answer = driver.user(service=service(state="suspended"), suspended=True, generation=2)
    assert answer["end"] == "done" and answer["holds"]["suspended"] is True
    assert lines(answer) == [f"radusergroup ana@isp: {group} added; group {group} created"]
    assert groups(lab, "ana@isp") == [(group, 1), ("FTTH-100@50000/100000", 10)]
    content = lab.pg.query("radius", "SELECT attribute, op, value FROM radgroupcheck WHERE groupname = %s UNION ALL "
                           "SELECT attribute, op, value FROM radgroupreply WHERE groupname = %s", group, group)
    assert content == ([("Auth-Type", ":=", "Reject"), ("Reply-Message", ":=", "Service suspended")]
                       if suspend == "reject" else
                       [("Mikrotik-Address-List", ":=", "morosos"), ("Mikrotik-Rate-Limit", ":=", "512k/1024k")])

    answer = driver.user(service=service(), generation=3)
    assert lines(answer) == [f"radusergroup ana@isp: {group} removed"]
    assert groups(lab, "ana@isp") == [("FTTH-100@50000/100000", 10)]


def test_termination_refuses_first_and_then_leaves_only_the_fence(driver, lab):
    driver.user(service=service(ipv4="100.64.0.10"))
    # a service that ends names neither plan nor password
    ending = {"state": "terminated", "access": {"server": "radius-1", "username": "ana@isp"}}
    first = driver.user(service=ending, suspended=True, generation=2)
    assert first["end"] == "done"
    assert groups(lab, "ana@isp") == [("silver-suspended", 1), ("FTTH-100@50000/100000", 10)]
    gone = driver.user("GONE", key={"username": "ana@isp"}, generation=2)
    assert (gone["end"], lines(gone)) == ("done", ["user ana@isp: rows of radcheck, radreply and radusergroup deleted"])
    for table in ("radcheck", "radreply", "radusergroup"):
        assert rows(lab, table, "ana@isp", "id") == []
    assert fence(lab)[:2] == (2, None)
    # said again, it neither makes the user in order to refuse it nor deletes anything
    assert driver.user(service=ending, suspended=True, generation=2)["writes"] == 0
    assert driver.user("GONE", key={"username": "ana@isp"}, generation=2)["writes"] == 0
    assert fence(lab)[:2] == (2, None)


def test_termination_of_somebody_unknown_raises_a_fence_against_late_writers(driver, lab):
    gone = driver.user("GONE", key={"username": "ana@isp"}, generation=5)
    assert gone["end"] == "done" and fence(lab)[:2] == (5, None)
    late = driver.user(service=service(), generation=4)
    assert late["class"] == "superseded" and rows(lab, "radcheck", "ana@isp", "id") == []


def test_A09_late_termination_spares_the_next_customer_of_the_name(driver, lab):
    driver.user(service=service())
    driver.user("GONE", key={"username": "ana@isp"}, generation=2)
    driver.user(service=service(password="other"), owner="odoo/prod/2")
    late = driver.user("GONE", key={"username": "ana@isp"}, generation=3)
    assert (late["end"], late["writes"], late["holds"]["holder"]) == ("done", 0, "odoo/prod/2")
    ending = driver.user(service=service(state="terminated"), suspended=True, generation=3)
    assert (ending["end"], ending["writes"]) == ("done", 0)
    assert rows(lab, "radcheck", "ana@isp", "value") == [("other",)]
    assert groups(lab, "ana@isp") == [("FTTH-100@50000/100000", 10)]


def test_name_of_another_contract_is_a_conflict(driver, lab):
    driver.user(service=service())
    answer = driver.user(service=service(password="thief"), owner="odoo/prod/2")
    assert (answer["end"], answer["class"], answer["code"]) == ("stuck", "conflict", "freeradius-sql.username-taken")
    assert rows(lab, "radcheck", "ana@isp", "value") == [("clave-1",)]


def test_address_of_another_user_is_a_conflict_but_does_not_stop_a_suspension(driver, lab):
    driver.user(service=service(ipv4="100.64.0.10"))
    other = service("beto@isp", ipv4="100.64.0.10")
    answer = driver.user(service=other, owner="odoo/prod/2")
    assert (answer["end"], answer["code"]) == ("stuck", "freeradius-sql.address-taken")
    suspended = driver.user(service={**other, "state": "suspended"}, suspended=True, owner="odoo/prod/2")
    assert suspended["end"] == "done"
    assert rows(lab, "radreply", "beto@isp", "id") == []
    assert rows(lab, "radreply", "ana@isp", "value") == [("100.64.0.10",)]


def test_ten_contracts_at_once_for_one_name_one_address_and_one_new_plan(driver, lab):
    """Real races: the fence's unique name, the lock of the address and the lock of the group decide."""
    def be(i, username, ipv4):
        return driver.user(service=service(username, ipv4=ipv4), owner=f"odoo/prod/{i}")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        same_name = list(pool.map(lambda i: be(i, "ana@isp", None), range(5)))
    assert sorted(a["end"] == "done" for a in same_name) == [False] * 4 + [True]
    assert all(a["class"] == "conflict" for a in same_name if a["end"] != "done")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        same_address = list(pool.map(lambda i: be(10 + i, f"u{i}@isp", "100.64.0.77"), range(5)))
    assert sorted(a["end"] == "done" for a in same_address) == [False] * 4 + [True]
    assert all(a["code"] == "freeradius-sql.address-taken" for a in same_address if a["end"] != "done")
    assert lab.pg.query("radius", "SELECT count(*) FROM radreply WHERE value = '100.64.0.77'") == [(1,)]
    assert lab.pg.query("radius", "SELECT count(*) FROM radgroupreply WHERE groupname = 'FTTH-100@50000/100000'") == [(1,)]


def test_group_with_another_content_is_refused_and_what_an_isp_adds_is_not(driver, lab):
    lab.pg.query("radius", "INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES "
                 "('FTTH-100@50000/100000', 'Mikrotik-Rate-Limit', '=', '1M/1M'),"
                 "('OK@1000/2000', 'Mikrotik-Rate-Limit', '=', '1000k/2000k'), ('OK@1000/2000', 'Framed-Pool', '=', 'p')")
    answer = driver.user(service=service())
    assert (answer["end"], answer["class"], answer["code"]) == ("stuck", "permanent", "freeradius-sql.group-differs")
    assert rows(lab, "radcheck", "ana@isp", "id") == []
    assert driver.user(service=service(code="OK", up=1000, down=2000))["end"] == "done"
    assert len(lab.pg.query("radius", "SELECT 1 FROM radgroupreply WHERE groupname = 'OK@1000/2000'")) == 2


def test_unmarked_user_is_adopted_or_refused(driver, lab):
    lab.pg.query("radius", "INSERT INTO radcheck (username, attribute, op, value) VALUES "
                 "('ana@isp', 'Crypt-Password', ':=', 'x'), ('ana@isp', 'Auth-Type', ':=', 'Reject'),"
                 "('ana@isp', 'Calling-Station-Id', '==', '00-11')")
    lab.pg.query("radius", "INSERT INTO radreply (username, attribute, op, value) VALUES "
                 "('ana@isp', 'Mikrotik-Rate-Limit', ':=', '10M/20M'), ('ana@isp', 'Framed-Route', '+=', '10.0.0.0/24')")
    lab.pg.query("radius", "INSERT INTO radusergroup (username, groupname, priority) VALUES ('ana@isp', 'Cliente', 0)")
    driver.server["unmarked"] = "refuse"
    refused = driver.user(service=service())
    assert (refused["end"], refused["code"]) == ("stuck", "freeradius-sql.unmarked")
    gone = driver.user("GONE", key={"username": "ana@isp"})
    assert (gone["end"], gone["writes"]) == ("done", 0)
    assert len(rows(lab, "radcheck", "ana@isp", "id")) == 3

    driver.server["unmarked"] = "adopt"
    adopted = driver.user(service=service())
    assert adopted["end"] == "done" and adopted["holds"]["adopted"] is True
    assert adopted["holds"]["untouched"] == "Calling-Station-Id, Framed-Route"
    assert lines(adopted)[0].startswith("adopted: the user belonged to no contract; "
                                        "radusergroup ana@isp: Cliente -> FTTH-100@50000/100000")
    assert rows(lab, "radcheck", "ana@isp", "attribute, value") == [("Calling-Station-Id", "00-11"),
                                                                    ("Cleartext-Password", "clave-1")]
    assert rows(lab, "radreply", "ana@isp", "attribute") == [("Framed-Route",)]


def test_renamed_user_leaves_nothing_behind_even_without_a_record(driver, lab):
    driver.user(service=service(ipv4="100.64.0.10"))
    answer = driver.user(service=service("ana2@isp", ipv4="100.64.0.11"), generation=2)
    assert answer["end"] == "done" and "user ana@isp of this contract removed" in lines(answer)[0]
    assert rows(lab, "radcheck", "ana@isp", "id") == [] and rows(lab, "radreply", "ana@isp", "id") == []
    assert fence(lab)[:2] == (2, "ana2@isp")


def test_removal_of_an_old_name_does_not_let_the_new_one_go(driver, lab):
    driver.user(service=service("ana2@isp"))
    gone = driver.user("GONE", key={"username": "ana@isp"}, generation=2)
    assert gone["end"] == "done" and fence(lab)[:2] == (2, "ana2@isp")
    driver.server["unmarked"] = "refuse"
    again = driver.user(service=service("ana2@isp"), generation=2)
    assert (again["end"], again["writes"]) == ("done", 0)


def test_hostile_names_reach_no_sql(driver, lab):
    evil = "x'); DROP TABLE radcheck; --"
    answer = driver.user(service=service(evil), key={"username": evil})
    assert (answer["end"], answer["class"]) == ("stuck", "invalid")
    driver.user(service=service(code="A+B"))
    assert groups(lab, "ana@isp") == [("A_B@50000/100000", 10)]     # FreeRADIUS would look A+B up as A=2BB
    hostile = service(password="p'; DROP TABLE radcheck; -- \\ \" $1 é")
    assert driver.user(service=hostile, generation=2)["end"] == "done"
    assert rows(lab, "radcheck", "ana@isp", "value") == [(hostile["access"]["password"],)]


def test_lost_lease_commits_nothing(driver, lab):
    answer = driver.user(service=service(), lose_lease_after=1)      # yes before BEGIN, no before COMMIT
    assert (answer["end"], answer["class"]) == ("refused", "lost")
    assert fence(lab) is None and rows(lab, "radcheck", "ana@isp", "id") == []


@pytest.mark.parametrize("generation_now", [1, 2])
@pytest.mark.parametrize("point", ["before-commit", "after-commit"])
def test_A05_killed_at_the_commit_leaves_all_or_nothing(driver, lab, wait, point, generation_now):
    if generation_now == 2:
        driver.user(service=service(code="OLD", up=1, down=1))
    job = {"aspect": "user", "kind": "BE", "owner": "odoo/prod/1", "generation": generation_now, "service": service()}
    driver.once(driver.server, failpoints=f"freeradius-sql.{point}=kill", **job)
    wait(lambda: lab.pg.query("radius", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'silver_worker' "
                              "AND state <> 'active'") == [(0,)],
         "the server to see that the worker is gone")
    if point == "before-commit":
        assert groups(lab, "ana@isp") == ([("OLD@1/1", 10)] if generation_now == 2 else [])
    else:
        assert groups(lab, "ana@isp") == [("FTTH-100@50000/100000", 10)]
    again = driver.user(service=service(), generation=generation_now)
    assert (again["end"], again["writes"]) == ("done", 1 if point == "before-commit" else 0)
    assert len(rows(lab, "radcheck", "ana@isp", "id")) == 1 and fence(lab)[:2] == (generation_now, "ana@isp")


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_A04_link_cut_at_the_commit_is_read_not_repeated(driver, lab, direction):
    """To the server: half of the COMMIT arrives. To the client: it was done, and half of the answer arrives."""
    with CutProxy(lab.pg.host, lab.pg.port) as proxy:
        cut = proxy.cut(direction, when=b"COMMIT")
        driver.server["sql"] = {**driver.server["sql"], "address": "127.0.0.1", "port": proxy.port, "sslmode": "disable"}
        answer = driver.user(service=service())
        cut.wait()
    assert [verdict for _, verdict, _, _ in answer["replies"] if verdict != "ok"][:1] == ["unknown"]
    assert (answer["end"], answer["evidence"]) == ("done", "observed")
    assert answer["writes"] == (1 if direction == TO_CLIENT else 2)
    assert len(rows(lab, "radcheck", "ana@isp", "id")) == 1 and fence(lab)[:2] == (1, "ana@isp")


def test_wrong_login_stopped_server_and_missing_rights_are_told_apart(driver, lab):
    def opened(**sql):
        target = {**driver.server, "sql": {**driver.server["sql"], **sql}}
        return driver.once(target, aspect="user", kind="BE", owner="odoo/prod/1", generation=1, service=service())

    wrong = opened(password="wrong")
    assert (wrong["open"]["class"], wrong["open"]["code"]) == ("auth", "radius.sql-auth")
    assert (opened(database="nowhere")["open"]["class"]) == "auth"
    assert (opened(port=1)["open"]["class"]) == "unreachable"
    as_reader = opened(user="radius", password=lab.pg.passwords["radius"])
    assert (as_reader["class"], as_reader["code"]) == ("auth", "radius.sql-not-prepared")


# ---- sessions


def online(driver, lab, user="ana@isp", password="clave-1", **options):
    """A CPE that is online and in radacct; its Acct-Session-Id."""
    lab.cpes.add(user, password, **options)
    state = lab.cpes.wait(user, "online", start_sent=True)
    wait_row(lab, user, 1)
    return state["session"]


def wait_row(lab, user, count):
    wait_until(lambda: open_rows(lab, user) == count, f"{count} open rows of {user} in radacct")


def open_rows(lab, user):
    return lab.pg.query("radius", "SELECT count(*) FROM radacct WHERE username = %s AND acctstoptime IS NULL", user)[0][0]


def stale_row(lab, user, session, nas="127.0.0.2", age="1 hour"):
    """A session that radacct still shows and the NAS no longer has."""
    lab.pg.query("radius", "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime) "
                 "VALUES (%s, %s, %s, %s, now() - %s::interval)", session, f"unique-{session}", user, nas, age)


def test_login_check_answers_with_the_plan_or_says_what_is_wrong(driver, lab):
    driver.user(service=service())
    good = driver.login(service=service())
    assert (good["end"], good["evidence"], good["holds"]["login"]) == ("done", "observed", "Accept 50000k/100000k")
    assert lab.pg.query("radius", "SELECT count(*) FROM radpostauth WHERE pass LIKE '%%clave%%'") == [(0,)]
    rate = driver.login(service=service(up=1000))
    assert (rate["end"], rate["code"]) == ("stuck", "radius.login-profile")
    password = driver.login(service=service(password="wrong"))
    assert (password["end"], password["code"]) == ("stuck", "radius.login-rejected")
    # before the rows of this generation are written (a plan) nothing is asked
    early = driver.login(service=service(), generation=2)
    assert (early["end"], early["holds"]["login"]) == ("done", "skipped: rows of another generation")
    assert lab.pg.query("radius", "SELECT count(*) FROM radpostauth") == [(3,)]


def test_login_of_a_suspended_user_must_be_refused_or_led_into_the_garden(driver, garden, lab):
    driver.user(service=service())
    let_in = driver.login(service=service(state="suspended"), suspended=True)
    assert (let_in["end"], let_in["code"]) == ("stuck", "radius.login-accepted")
    driver.user(service=service(state="suspended"), suspended=True, generation=2)
    refused = driver.login(service=service(state="suspended"), suspended=True, generation=2)
    assert (refused["end"], refused["holds"]["login"]) == ("done", "Reject Service suspended")
    garden.user(service=service("beto@isp"), owner="odoo/prod/2", suspended=True)
    led = garden.login(service=service("beto@isp"), owner="odoo/prod/2", suspended=True)
    assert (led["end"], led["holds"]["login"]) == ("done", "Accept 512k/512k morosos")


def test_A16_plan_change_of_an_online_user_is_acknowledged_once_and_its_login_not_tried(driver, lab):
    driver.user(service=service(code="FTTH-50", up=25000, down=50000))
    session = online(driver, lab)
    driver.user(service=service(), generation=2)
    plan = driver.session("SINCE", service=service(), generation=2, dry=True)
    assert plan["lines"][-1] == ["!", "CoA-Request User-Name=ana@isp NAS-IP-Address=127.0.0.2 Mikrotik-Rate-Limit="
                                 f"50000k/100000k Acct-Session-Id={session}"]
    assert lab.nas["bng-1"].sessions("ana@isp")[0]["rate"] == "25000k/50000k"
    answer = driver.session("SINCE", service=service(), generation=2)
    assert (answer["end"], answer["evidence"], answer["writes"]) == ("done", "acknowledged", 1)
    assert lab.nas["bng-1"].sessions("ana@isp")[0]["rate"] == "50000k/100000k"
    assert answer["holds"]["sessions"][0]["rate"] == "50000k/100000k"
    assert list(answer["memo"]["acks"].values()) == ["50000k/100000k"]
    again = driver.session("SINCE", service=service(), generation=2, memo=answer["memo"])
    assert (again["end"], again["writes"]) == ("done", 0)
    login = driver.login(service=service(), generation=2)
    assert (login["end"], login["holds"]["login"]) == ("done", "skipped: session up")


def test_session_that_began_with_the_new_rows_is_left_alone(driver, lab):
    driver.user(service=service())
    online(driver, lab)
    answer = driver.session("SINCE", service=service())
    assert (answer["end"], answer["evidence"], answer["writes"]) == ("done", "observed", 0)
    assert lab.cpes.state("ana@isp")["disconnects"] == 0


def test_suspended_user_is_cut_and_stays_out(driver, lab):
    driver.user(service=service())
    online(driver, lab, redial_ms=100)
    driver.user(service=service(state="suspended"), suspended=True, generation=2)
    answer = driver.session("GONE", key={"username": "ana@isp"}, generation=2)
    assert (answer["end"], answer["evidence"]) == ("done", "observed")      # radacct shows the end
    lab.cpes.wait("ana@isp", "rejected")
    assert open_rows(lab, "ana@isp") == 0 and lab.nas["bng-1"].sessions("ana@isp") == []
    # the second look, and the event once more: nothing is sent
    again = driver.session("GONE", key={"username": "ana@isp"}, generation=2, memo=answer["memo"])
    assert (again["end"], again["writes"]) == ("done", 0)


@pytest.mark.parametrize("hold", ["accept", "start"])
def test_A07_login_in_flight_during_the_suspension_is_cut_too(driver, lab, hold):
    driver.user(service=service())
    lab.cpes.add("ana@isp", "clave-1", hold=hold, redial_ms=100)
    lab.cpes.wait("ana@isp", "held" if hold == "accept" else "online", accepts=1)
    driver.user(service=service(state="suspended"), suspended=True, generation=2)
    first = driver.session("GONE", key={"username": "ana@isp"}, generation=2)
    assert first["end"] == "done", first
    assert first["lines"][1] == ["!", "Disconnect-Request User-Name=ana@isp NAS-IP-Address=127.0.0.2 (a login may be in flight)"]
    if hold == "start":                                     # the NAS had it, radacct did not
        assert (first["evidence"], first["holds"]["asked_by_name"]) == ("acknowledged", "ack")
    else:
        assert first["holds"]["asked_by_name"] == "nak 503"
        lab.cpes.release("ana@isp")
        wait_row(lab, "ana@isp", 1)
        settled = driver.session("GONE", key={"username": "ana@isp"}, generation=2, memo=first["memo"])
        assert (settled["end"], settled["evidence"], settled["writes"]) == ("done", "observed", 1)
    lab.cpes.wait("ana@isp", "rejected")
    assert open_rows(lab, "ana@isp") == 0


def test_A08_terminated_user_who_redials_at_once_is_offline_and_gone(driver, lab):
    driver.user(service=service())
    online(driver, lab, redial_ms=50, retry_ms=100)
    ending = {"state": "terminated", "access": {"server": "radius-1", "username": "ana@isp"}}
    driver.user(service=ending, suspended=True, generation=2)
    assert driver.session("GONE", key={"username": "ana@isp"}, generation=2)["end"] == "done"
    lab.cpes.wait("ana@isp", "rejected")
    assert driver.user("GONE", key={"username": "ana@isp"}, generation=2)["end"] == "done"
    rejects = lab.cpes.state("ana@isp")["rejects"]
    wait_until(lambda: lab.cpes.state("ana@isp")["rejects"] > rejects + 2, "three more refused logins")
    assert open_rows(lab, "ana@isp") == 0 and lab.cpes.state("ana@isp")["accepts"] == 1


def test_session_of_a_name_that_another_contract_took_is_not_touched(driver, lab):
    driver.user(service=service(), owner="odoo/prod/2")
    online(driver, lab)
    answer = driver.session("GONE", key={"username": "ana@isp"}, generation=9, since_ms=int(time.time() * 1000) + 5000)
    assert (answer["end"], answer["writes"]) == ("done", 0)
    assert lab.cpes.state("ana@isp")["state"] == "online"


def test_disconnect_after_the_customer_came_back_is_superseded(driver, lab):
    driver.user(service=service(), generation=3)
    online(driver, lab)
    answer = driver.session("GONE", key={"username": "ana@isp"}, generation=2)
    assert (answer["end"], answer["class"], answer["writes"]) == ("stuck", "superseded", 0)


def test_garden_is_entered_and_left_by_a_new_login(garden, lab):
    garden.user(service=service())
    online(garden, lab, redial_ms=100)
    garden.user(service=service(state="suspended"), suspended=True, generation=2)
    first = garden.session("GONE", key={"username": "ana@isp"}, generation=2)
    assert first["end"] == "done"
    lab.cpes.wait("ana@isp", "online", addrlist="morosos", rate="512k/512k", start_sent=True)
    wait_row(lab, "ana@isp", 1)
    # long after the change the garden's own session is nobody's business, however often this is asked
    lab.pg.query("radius", "UPDATE silver_fence SET changed_at = changed_at - interval '2 hours'")
    late = garden.session("GONE", key={"username": "ana@isp"}, generation=2, memo=first["memo"],
                          since_ms=int(time.time() * 1000))
    assert (late["end"], late["writes"]) == ("done", 0)
    # a rate can be changed in an open session, an address list cannot: it is cut, not changed
    garden.user(service=service(), generation=3)
    back = garden.session("SINCE", service=service(), generation=3)
    assert back["end"] == "done" and "Disconnect-Request" in str(back["lines"]) and "CoA" not in str(back["lines"])
    lab.cpes.wait("ana@isp", "online", addrlist=None, rate="50000k/100000k")


def test_new_address_needs_a_new_login(driver, lab):
    driver.user(service=service(ipv4="100.64.0.10"))
    online(driver, lab, redial_ms=100)
    driver.user(service=service(ipv4="100.64.0.11"), generation=2)
    answer = driver.session("SINCE", service=service(ipv4="100.64.0.11"), generation=2)
    assert answer["end"] == "done"
    lab.cpes.wait("ana@isp", "online", framed_ip="100.64.0.11")


def test_stale_row_is_done_by_the_word_of_the_nas(driver, lab):
    driver.user(service=service())
    stale_row(lab, "ana@isp", "dead0001")
    driver.user(service=service(state="suspended"), suspended=True, generation=2)
    answer = driver.session("GONE", key={"username": "ana@isp"}, generation=2)
    sent = [line for mark, line in answer["lines"] if mark == "!"]
    assert sent == ["Disconnect-Request User-Name=ana@isp NAS-IP-Address=127.0.0.2 Acct-Session-Id=dead0001",
                    "Disconnect-Request User-Name=ana@isp NAS-IP-Address=127.0.0.2 (in place of session dead0001)"]
    assert (answer["end"], answer["evidence"]) == ("done", "acknowledged")
    assert answer["holds"]["sessions"][0]["stale"] == "503"


def test_stale_row_beside_a_live_session_does_not_cost_the_live_one(garden, lab):
    """In the garden the newer session is legitimate: the older one's unknown id must not be tried by name."""
    garden.user(service=service())
    garden.user(service=service(state="suspended"), suspended=True, generation=2)
    lab.pg.query("radius", "UPDATE silver_fence SET changed_at = now() - interval '30 minutes'")
    online(garden, lab)
    stale_row(lab, "ana@isp", "dead0001")
    answer = garden.session("GONE", key={"username": "ana@isp"}, generation=2)
    assert answer["end"] == "done"
    assert [line for mark, line in answer["lines"] if mark == "!"] == [
        "Disconnect-Request User-Name=ana@isp NAS-IP-Address=127.0.0.2 Acct-Session-Id=dead0001"]
    assert lab.cpes.state("ana@isp")["disconnects"] == 0


def test_two_sessions_are_cut_one_by_one(driver, lab):
    driver.user(service=service(username="dos@isp"))
    for n in (1, 2):
        stale_row(lab, "dos@isp", f"81a0001{n}")
        lab.pg.query("nas", "INSERT INTO nas_session (acctsessionid, nas, username, framedip) VALUES (%s, 'bng-1', "
                     "'dos@isp', %s)", f"81a0001{n}", f"100.64.0.{n}")
    driver.user(service=service(username="dos@isp", state="suspended"), suspended=True, generation=2)
    answer = driver.session("GONE", key={"username": "dos@isp"}, generation=2)
    assert answer["end"] == "done" and lab.nas["bng-1"].sessions("dos@isp") == []
    assert len(answer["memo"]["cut"]) == 2


@pytest.mark.parametrize("user, code, cause_class", [
    ("vip@isp", "radius.nas-refused-501", "permanent"), ("lleno@isp", "radius.nas-refused-506", "transient-job"),
    ("mudo@isp", "radius-session.nas-silent", "transient-device")])
def test_what_a_nas_says_no_with(driver, lab, user, code, cause_class):
    driver.user(service=service(username=user))
    stale_row(lab, user, "81a00010")
    for kind in ("SINCE", "GONE"):
        driver.user(service=service(username=user), generation=2, suspended=kind == "GONE")
        if kind == "SINCE":
            lab.pg.query("radius", "UPDATE silver_fence SET changed_at = now()")
        answer = driver.session(kind, service=service(username=user), key={"username": user}, generation=2)
        assert (answer["end"], answer["class"], answer["code"]) == ("refused", cause_class, code), (kind, answer)


def test_wrong_secret_closed_port_and_unknown_nas_are_told_apart(driver, lab):
    driver.user(service=service())
    stale_row(lab, "ana@isp", "81a00010")
    driver.user(service=service(state="suspended"), suspended=True, generation=2)
    coa = driver.nas["bng-1"]["coa"]

    def gone(**changed):
        driver.nas["bng-1"]["coa"] = {**coa, **changed}
        return driver.session("GONE", key={"username": "ana@isp"}, generation=2)

    began = time.monotonic()
    refused = gone(port=1)
    assert (refused["class"], refused["code"]) == ("unreachable", "radius-session.nas-unreachable")
    assert time.monotonic() - began < 1.0
    assert gone(secret="wrong")["code"] == "radius-session.nas-silent"
    lab.pg.query("radius", "UPDATE radacct SET nasipaddress = '10.9.9.9'")
    unknown = gone()
    assert (unknown["class"], unknown["code"]) == ("transient-job", "radius-session.nas-unknown")


def test_lost_answer_of_the_nas_is_looked_up_not_guessed(driver, lab):
    driver.user(service=service())
    online(driver, lab, redial_ms=100)
    driver.user(service=service(state="suspended"), suspended=True, generation=2)
    key = {"username": "ana@isp"}
    lost = driver.session("GONE", key=key, generation=2, failpoints="radius-session.answered=cut")
    assert (lost["end"], lost["class"], lost["code"]) == ("refused", "transient-device", "radius-session.nas-silent")
    lab.cpes.wait("ana@isp", "rejected")
    wait_row(lab, "ana@isp", 0)
    again = driver.session("GONE", key=key, generation=2, memo=lost["memo"])
    assert (again["end"], again["evidence"]) == ("done", "observed")


@pytest.fixture
def odd_nas(driver, lab):
    """odd_nas(reply(...)): a NAS of another make, for FreeRADIUS and hostapd know only their own way; bng-1 of the inventory."""
    made = []

    def make(answer):
        nas = RadiusPeer("odd-secret", "127.0.0.9")
        nas.default = [answer]
        made.append(nas)
        driver.nas["bng-1"]["coa"] = dict(nas.coa)
        driver.user(service=service())
        stale_row(lab, "ana@isp", "81a00010")
        driver.user(service=service(state="suspended"), suspended=True, generation=2)
        return nas
    yield make
    for nas in made:
        nas.close()


def test_reply_signed_over_zeros_is_dropped_and_said_until_the_inventory_allows_it(driver, odd_nas):
    nas = odd_nas(reply(wrong="message-authenticator-zeros"))
    dropped = driver.session("GONE", key={"username": "ana@isp"}, generation=2)
    assert dropped["code"] == "radius-session.nas-silent" and "coa.accept_zero_ma" in dropped["text"]
    assert [one.copies for one in nas.requests()] == [TIMERS["mrc"]]        # same bytes each time
    driver.nas["bng-1"]["coa"]["accept_zero_ma"] = True
    taken = driver.session("GONE", key={"username": "ana@isp"}, generation=2)
    assert taken["end"] == "done" and "zeroed authenticator" in taken["holds"]["warning"]


def test_right_signature_needs_no_option_and_a_disconnect_says_only_who_is_meant(driver, odd_nas):
    nas = odd_nas(reply(ma=True))
    answer = driver.session("GONE", key={"username": "ana@isp"}, generation=2)
    assert (answer["end"], answer["evidence"]) == ("done", "acknowledged") and "warning" not in answer["holds"]
    attributes = nas.requests()[0].attributes
    assert [number for number, _ in attributes] == [80, 1, 44, 4, 55]       # signature first; time; nothing else
    assert [value for _, value in attributes[1:4]] == [b"ana@isp", b"81a00010", bytes((127, 0, 0, 2))]
    assert abs(struct.unpack("!I", attributes[4][1])[0] - time.time()) < 60


def test_refusal_without_a_cause_is_tried_again_later(driver, odd_nas):
    odd_nas(reply(cause=[]))
    answer = driver.session("GONE", key={"username": "ana@isp"}, generation=2)
    assert (answer["end"], answer["class"], answer["code"]) == ("refused", "transient-job", "radius.nas-refused")


def test_lost_lease_sends_nothing(driver, lab):
    driver.user(service=service())
    online(driver, lab)
    driver.user(service=service(state="suspended"), suspended=True, generation=2)
    answer = driver.session("GONE", key={"username": "ana@isp"}, generation=2, lose_lease_after=0)
    assert (answer["end"], answer["class"]) == ("refused", "lost")
    assert lab.cpes.state("ana@isp")["state"] == "online"


def test_commands_touch_only_sessions_from_before_them(driver, lab):
    driver.user(service=service())
    session = online(driver, lab)
    key = {"username": "ana@isp"}
    early = driver.session("GONE", owner="command/1", key=key, args={}, since_ms=1000)
    assert (early["end"], early["writes"]) == ("done", 0)
    coa = driver.session("SINCE", owner="command/2", key=key, args={"up_kbps": 7, "down_kbps": 9},
                         since_ms=int(time.time() * 1000) + 1000)
    assert coa["end"] == "done" and lab.nas["bng-1"].sessions("ana@isp")[0]["rate"] == "7k/9k"
    other = driver.session("GONE", owner="command/3", key={**key, "session": "other"}, args={},
                           since_ms=int(time.time() * 1000) + 1000)
    assert other["writes"] == 0
    cut = driver.session("GONE", owner="command/4", key={**key, "session": session}, args={},
                         since_ms=int(time.time() * 1000) + 1000)
    assert (cut["end"], cut["writes"]) == ("done", 1)
    lab.cpes.wait("ana@isp", "waiting")


# ---- what an ISP applies


def test_the_view_names_what_is_missing_and_the_script_may_be_applied_again(lab):
    def faults():
        with lab.pg.connect("radius", "silver_worker") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT fault FROM silver_check")
            return [fault for (fault,) in cursor.fetchall()]

    assert faults() == []
    lab.pg.query("radius", "REVOKE INSERT ON radcheck FROM silver_worker")
    lab.pg.query("radius", "REVOKE USAGE ON SEQUENCE radreply_id_seq FROM silver_worker")
    assert sorted(faults()) == ["INSERT on radcheck is not granted", "USAGE on sequence radreply_id_seq is not granted"]
    for script in sorted((REPOSITORY / "deploy/sql").glob("radius-*.sql")):
        lab.pg.apply("radius", script.read_text(encoding="utf-8"), script.name)
    assert faults() == []


def test_the_worker_may_not_change_groups_nor_accounting(lab):
    import psycopg2
    for sql in ("UPDATE radgroupreply SET value = 'x'", "DELETE FROM radgroupcheck", "DELETE FROM radacct",
                "UPDATE radacct SET username = 'x'", "DELETE FROM silver_fence", "SELECT * FROM radpostauth"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            lab.pg.connect("radius", "silver_worker").cursor().execute(sql)
