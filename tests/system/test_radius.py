# SPDX-License-Identifier: Apache-2.0
"""The whole way with RADIUS: Odoo -> RabbitMQ -> silverd -> FreeRADIUS's tables on PostgreSQL, NAS, customers' CPEs.

What holds is asked of the servers themselves: the tables, the NAS's sessions, the CPE that logs in. The OLT is a null
target.
"""

import contextlib
import json
import signal

import pytest
from cutproxy import TO_CLIENT, TO_SERVER, CutProxy
from lab import Odoo, Silverd
from test_radius_drivers import fence, groups, open_rows, rows, stale_row, wait_row

# A silent NAS is given up after a second instead of thirty.
TIMERS = {"irt_ms": 100, "mrt_ms": 300, "mrc": 3, "mrd_ms": 1000}
SMALL = {"code": "FTTH-50", "down_kbps": 50000, "up_kbps": 25000}
LARGE = {"code": "FTTH-100", "down_kbps": 100000, "up_kbps": 50000}
GARDEN = {"suspend": "garden", "garden": {"address_list": "morosos", "up_kbps": 512, "down_kbps": 512}}


class Isp:
    """silverd between an Odoo and this network; and what the network says of itself."""

    def __init__(self, lab, program, settings=None, env=None, sql=None, coa=None, **server):
        self.lab = lab
        self.network = lab.folder / "network.json"
        self.network.unlink(missing_ok=True)
        radius = lab.radius_target(**server)
        radius["sql"].update(sql or {})
        nas = [lab.nas_target(name, timers=dict(TIMERS)) for name in lab.nas]
        nas[0]["coa"].update(coa or {})
        olt = {"id": "olt-null", "driver": "null", "null": {"file": str(self.network)}}
        self.silverd = Silverd(lab, program, [radius, *nas, olt], settings, env=env)
        self.silverd.listen()
        self.odoo = Odoo(lab.rabbitmq.url(lab.vhost))

    def close(self):
        self.odoo.close()

    def contract(self, number=1, user="ana@isp", nas="bng-1", olt=True, plan=None, **access):
        """A contract that Odoo has not published yet."""
        service = {"plan": dict(plan or SMALL),
                   "access": {"server": "radius-1", "username": user, "password": "clave-1", "nas": nas, **access}}
        if olt:
            service["onu"] = {"device": "olt-null", "serial": f"HWTC{number:08X}", "frame": 0, "slot": 1, "port": 3,
                              "line_profile": "10", "service_profile": "10",
                              "services": [{"name": "internet", "gemport": 1, "vlan": 100, "user_vlan": 100}]}
        return self.odoo.contract(number, **service)

    def carry(self, contract, kind, state="active", timeout_s=30, **changes):
        """Publishes the contract's next event; its final result."""
        return self.silverd.final(contract.publish(kind, state, **changes), timeout_s)

    def customer(self, contract, **options):
        """The contract is activated and its CPE online and accounted; the CPE's state."""
        result = self.carry(contract, "activated")
        assert result["outcome"] == "applied", result
        return self.dial(contract, **options)

    def dial(self, contract, **options):
        access = contract.service["access"]
        options.setdefault("nas", access["nas"])
        self.lab.cpes.add(access["username"], access["password"], redial_ms=options.pop("redial_ms", 500), **options)
        state = self.lab.cpes.wait(access["username"], "online", start_sent=True)
        wait_row(self.lab, access["username"], 1)
        return state

    def onu(self, contract):
        return json.loads(self.network.read_text()).get(f"onu/{contract.ref}") if self.network.exists() else None

    def rate(self, user, nas="bng-1"):
        """What the NAS gives the user now: one entry a session."""
        return [session["rate"] for session in self.lab.nas[nas].sessions(user)]

    def logins(self):
        """How many logins FreeRADIUS has been asked for."""
        return self.lab.pg.query("radius", "SELECT count(*) FROM radpostauth")[0][0]

    def tables(self, user):
        """Every row of the user: check, reply, groups."""
        return (rows(self.lab, "radcheck", user, "attribute, op, value"),
                rows(self.lab, "radreply", user, "attribute, op, value"), groups(self.lab, user))

    def journal(self, device="olt-null"):
        """What is on its way at a device, as the journal has it: [(direction, text)]."""
        entries = self.lab.redis.command("XRANGE", f"sn:1:j:{device}", "-", "+") or []
        fields = [dict(zip(entry[1][::2], entry[1][1::2])) for entry in entries]
        return [(field.get("dir"), field.get("text", "")) for field in fields]


@pytest.fixture
def isp(lab, binary):
    made = []

    def make(**options):
        made.append(Isp(lab, binary("worker/silverd"), **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


def steps(result):
    """[(target, aspect, want, outcome, evidence)] in the order of the work."""
    return [(t["target"], t["aspect"], t["want"], t["outcome"], t["evidence"]) for t in result["targets"]]


def login_said(result):
    return next(t["holds"]["login"] for t in result["targets"] if t["aspect"] == "login")


# ---- a customer's life


def test_A16_life_of_a_customer_from_activation_to_termination(isp, lab):
    net = isp()
    net.silverd.start()
    ana = net.contract(ipv4="100.64.0.10")

    result = net.carry(ana, "activated")
    assert (result["outcome"], result["evidence"], result["attempt"]) == ("applied", "observed", 1)
    assert steps(result) == [("radius-1", "user", "be", "applied", "observed"),
                             ("olt-null", "onu", "be", "applied", "observed"),
                             ("bng-1", "session", "since", "unchanged", "observed"),
                             ("bng-1", "login", "look", "unchanged", "observed")]
    assert login_said(result) == "Accept 25000k/50000k"
    assert net.tables("ana@isp") == ([("Cleartext-Password", ":=", "clave-1")],
                                     [("Framed-IP-Address", ":=", "100.64.0.10")], [("FTTH-50@25000/50000", 10)])
    assert fence(lab)[:2] == (ana.generation, "ana@isp")
    state = net.dial(ana, retry_ms=200)
    assert (state["framed_ip"], state["rate"]) == ("100.64.0.10", "25000k/50000k")

    # she is online with Simultaneous-Use 1: changed where she is, and no login in her name
    logins = net.logins()
    result = net.carry(ana, "plan_changed", plan=LARGE)
    assert (result["outcome"], result["evidence"]) == ("applied", "acknowledged")
    assert steps(result)[2:] == [("bng-1", "session", "since", "applied", "acknowledged"),
                                 ("bng-1", "login", "look", "unchanged", "observed")]
    assert login_said(result) == "skipped: session up" and net.logins() == logins
    assert net.rate("ana@isp") == ["50000k/100000k"]
    assert lab.cpes.state("ana@isp")["disconnects"] == 0
    assert groups(lab, "ana@isp") == [("FTTH-100@50000/100000", 10)]

    result = net.carry(ana, "suspended", "suspended")
    assert (result["outcome"], result["evidence"]) == ("applied", "observed")
    assert [step[:3] for step in steps(result)] == [("radius-1", "user", "be"), ("bng-1", "session", "gone"),
                                                    ("bng-1", "session", "gone"), ("olt-null", "onu", "be")]
    assert groups(lab, "ana@isp") == [("silver-suspended", 1), ("FTTH-100@50000/100000", 10)]
    assert net.onu(ana)["suspended"] is True
    assert lab.cpes.wait("ana@isp", "rejected")["message"] == "Service suspended"
    assert (lab.cpes.state("ana@isp")["disconnects"], open_rows(lab, "ana@isp"), net.rate("ana@isp")) == (1, 0, [])

    result = net.carry(ana, "resumed")
    assert (result["outcome"], result["evidence"]) == ("applied", "observed")
    assert groups(lab, "ana@isp") == [("FTTH-100@50000/100000", 10)] and net.onu(ana)["suspended"] is False
    lab.cpes.wait("ana@isp", "online", rate="50000k/100000k", start_sent=True)
    wait_row(lab, "ana@isp", 1)

    result = net.carry(ana, "changed", access={"username": "anita@isp"})
    assert result["outcome"] == "applied", result
    assert net.tables("ana@isp") == ([], [], [])
    assert net.tables("anita@isp") == ([("Cleartext-Password", ":=", "clave-1")],
                                       [("Framed-IP-Address", ":=", "100.64.0.10")], [("FTTH-100@50000/100000", 10)])
    assert fence(lab)[:2] == (ana.generation, "anita@isp")
    lab.cpes.wait("ana@isp", "rejected")        # the old name's session is gone, and does not come back
    assert (open_rows(lab, "ana@isp"), net.rate("ana@isp")) == (0, [])
    net.dial(ana)

    result = net.carry(ana, "terminated", "terminated")
    assert result["outcome"] == "applied", result
    assert net.tables("anita@isp") == ([], [], []) and net.onu(ana) is None
    assert fence(lab)[:2] == (ana.generation, None)
    lab.cpes.wait("anita@isp", "rejected")
    assert (open_rows(lab, "anita@isp"), net.rate("anita@isp")) == (0, [])


def test_walled_garden_is_entered_and_left_by_a_new_login(isp, lab):
    net = isp(**GARDEN)
    net.silverd.start()
    ana = net.contract(plan=LARGE)
    net.customer(ana)
    result = net.carry(ana, "suspended", "suspended")
    assert result["outcome"] == "applied", result
    assert groups(lab, "ana@isp") == [("silver-suspended@morosos@512/512", 1), ("FTTH-100@50000/100000", 10)]
    lab.cpes.wait("ana@isp", "online", addrlist="morosos", rate="512k/512k", start_sent=True)
    wait_row(lab, "ana@isp", 1)
    result = net.carry(ana, "resumed")
    assert result["outcome"] == "applied", result
    lab.cpes.wait("ana@isp", "online", addrlist=None, rate="50000k/100000k")
    assert lab.cpes.state("ana@isp")["rejects"] == 0


def test_customer_without_an_olt_is_routed_by_the_radius_server(isp, lab):
    net = isp()
    net.silverd.start()
    ana = net.contract(olt=False)
    result = net.carry(ana, "activated")
    assert (result["outcome"], result["routing"]) == ("applied", "radius-1")
    assert [step[1] for step in steps(result)] == ["user", "session", "login"]
    net.dial(ana)
    assert net.carry(ana, "plan_changed", plan=LARGE)["evidence"] == "acknowledged"
    assert net.rate("ana@isp") == ["50000k/100000k"]


# ---- logins in flight


@pytest.mark.parametrize("hold", ["accept", "start"])
def test_A07_login_in_flight_during_the_suspension_is_cut_too(isp, lab, wait, hold):
    """accept: FreeRADIUS has said yes and the session does not exist; start: the NAS has it and radacct does not."""
    net = isp(settings={"job": {"session_settle": "1500ms"}})
    net.silverd.start()
    ana = net.contract()
    net.carry(ana, "activated")
    lab.cpes.add("ana@isp", "clave-1", hold=hold, redial_ms=300)
    lab.cpes.wait("ana@isp", "held" if hold == "accept" else "online", accepts=1)
    event = ana.publish("suspended", "suspended")
    wait(lambda: any(way == "<" and "Disconnect" in text for way, text in net.journal()), "the first look at the NAS")
    lab.cpes.set("ana@isp", hold="")
    if hold == "accept":
        lab.cpes.release("ana@isp")
        lab.cpes.wait("ana@isp", "online", accepts=1)       # it got in behind the first look
        assert net.silverd.results(event["id"]) == []
    result = net.silverd.final(event)
    assert result["outcome"] == "applied", result
    state = lab.cpes.wait("ana@isp", "rejected")
    assert (state["accepts"], state["disconnects"]) == (1, 1)
    assert (open_rows(lab, "ana@isp"), net.rate("ana@isp")) == (0, [])


@pytest.mark.parametrize("redial_ms", [100, 1000])
def test_A08_terminated_customer_who_redials_is_offline_and_gone(isp, lab, wait, redial_ms):
    net = isp()
    net.silverd.start()
    ana = net.contract()
    net.customer(ana, redial_ms=redial_ms, retry_ms=200)
    result = net.carry(ana, "terminated", "terminated")
    assert result["outcome"] == "applied", result
    rejects = lab.cpes.wait("ana@isp", "rejected")["rejects"]
    wait(lambda: lab.cpes.state("ana@isp")["rejects"] > rejects + 2, "three more refused logins")
    state = lab.cpes.state("ana@isp")
    assert (state["accepts"], state["disconnects"]) == (1, 1)
    assert (open_rows(lab, "ana@isp"), net.rate("ana@isp")) == (0, [])
    assert net.tables("ana@isp") == ([], [], []) and net.onu(ana) is None


# ---- what a NAS may do


def test_two_sessions_of_one_user_are_cut_one_by_one(isp, lab):
    net = isp()
    net.silverd.start()
    dos = net.contract(user="dos@isp")
    net.carry(dos, "activated")
    for n in (1, 2):
        stale_row(lab, "dos@isp", f"81a0001{n}")
        lab.pg.query("nas", "INSERT INTO nas_session (acctsessionid, nas, username, framedip) VALUES (%s, 'bng-1', "
                     "'dos@isp', %s)", f"81a0001{n}", f"100.64.0.{n}")
    result = net.carry(dos, "suspended", "suspended")
    # the NAS's word: no Accounting-Stop came, radacct still shows both
    assert (result["outcome"], result["evidence"]) == ("applied", "acknowledged")
    assert lab.nas["bng-1"].sessions("dos@isp") == []


def test_session_at_another_nas_than_the_event_says_is_found_by_radacct(isp, lab):
    net = isp()
    net.silverd.start()
    ana = net.contract(nas="bng-1")
    net.customer(ana, nas="bng-2")
    result = net.carry(ana, "plan_changed", plan=LARGE)
    assert (result["outcome"], result["evidence"]) == ("applied", "acknowledged")
    assert net.rate("ana@isp", "bng-2") == ["50000k/100000k"]
    assert net.carry(ana, "suspended", "suspended")["outcome"] == "applied"
    lab.cpes.wait("ana@isp", "rejected")
    assert net.rate("ana@isp", "bng-2") == []


def test_silence_of_the_nas_that_has_the_session_closes_that_ones_gate(isp, lab, wait):
    """The event says bng-1, the customer is at bng-2, which does not answer: bng-1 goes on as if nothing were."""
    net = isp()
    net.silverd.start()
    ana, beto = net.contract(1, nas="bng-1"), net.contract(2, "beto@isp", "bng-1")
    net.customer(ana, nas="bng-2")
    net.customer(beto)
    with paused(lab.nas["bng-2"].process):
        event = ana.publish("plan_changed", plan=LARGE)
        wait(lambda: len(net.silverd.results(event["id"])) >= 2, "two turns of the waiting event")
        wait(lambda: "closed" in str(lab.redis.command("HGETALL", "sn:1:g:bng-2")), "the gate of bng-2 to close")
        result = net.carry(beto, "plan_changed", plan=LARGE)
        assert (result["outcome"], result["evidence"]) == ("applied", "acknowledged")
    result = net.silverd.final(event)
    assert (result["outcome"], result["attempt"], net.rate("ana@isp", "bng-2")) == ("applied", 1, ["50000k/100000k"])
    assert "gate closed device=bng-1" not in net.silverd.process.log_text()


@pytest.mark.parametrize("user, code, attempts", [("vip@isp", "radius.nas-refused-501", 1),
                                                  ("lleno@isp", "radius.nas-refused-506", 3)])
def test_refusal_of_the_nas_is_dead_and_everything_else_is_done(isp, lab, user, code, attempts):
    """501 will not change; 506 (resources) is tried as often as the settings say."""
    net = isp(settings={"job": {"attempts_max": "3"}})
    net.silverd.start()
    customer = net.contract(user=user)
    net.customer(customer)
    result = net.carry(customer, "plan_changed", plan=LARGE)
    assert (result["outcome"], result["code"], result["attempt"]) == ("dead", code, attempts), result
    assert "letter" in result
    assert [(step[1], step[3]) for step in steps(result)] == [("user", "applied"), ("onu", "applied"),
                                                              ("session", "dead"), ("login", "skipped")]
    assert groups(lab, user) == [("FTTH-100@50000/100000", 10)] and net.rate(user) == ["25000k/50000k"]
    # a customer who does not pay is refused all the same: withdrawing goes on where it can
    result = net.carry(customer, "suspended", "suspended")
    assert (result["outcome"], result["code"]) == ("dead", code)
    assert groups(lab, user)[0] == ("silver-suspended", 1) and net.onu(customer)["suspended"] is True


@contextlib.contextmanager
def paused(process):
    """A process that neither answers nor closes anything."""
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


def test_dead_nas_stalls_nobody_and_spends_no_attempt(isp, lab, wait):
    """bng-2 does not answer; its ten customers wait, the ten at bng-1 on the same OLT are served meanwhile."""
    net = isp(settings={"job": {"attempts_max": "3"}})
    net.silverd.start()
    away = [net.contract(100 + n, f"away{n}@isp", "bng-2") for n in range(10)]
    near = [net.contract(200 + n, f"near{n}@isp", "bng-1") for n in range(10)]
    events = [contract.publish("activated") for contract in away + near]
    for event in events:
        assert net.silverd.final(event)["outcome"] == "applied"
    for contract in away:
        net.lab.cpes.add(contract.service["access"]["username"], "clave-1", nas="bng-2")
    for contract in away:
        wait_row(lab, contract.service["access"]["username"], 1)
    with paused(lab.nas["bng-2"].process):
        waiting = [contract.publish("plan_changed", plan=LARGE) for contract in away]
        served = [contract.publish("plan_changed", plan=LARGE) for contract in near]
        for event in served:
            assert net.silverd.final(event)["outcome"] == "applied"
        # longer than all attempts would take, were they spent
        for event in waiting:
            wait(lambda e=event: len(net.silverd.results(e["id"])) >= 4, "four turns of a waiting event", 60)
            said = net.silverd.results(event["id"])
            assert {(r["state"], r["attempt"], r["waiting"]["target"]) for r in said} == {("progress", 1, "bng-2")}
            assert {r["waiting"]["code"] for r in said} <= {"radius-session.nas-silent", "core.gate-closed"}
        for contract in away:       # what does not need the NAS is done
            assert groups(lab, contract.service["access"]["username"]) == [("FTTH-100@50000/100000", 10)]
    for event in waiting:
        result = net.silverd.final(event, 60)
        assert (result["outcome"], result["attempt"]) == ("applied", 1)
    for contract in away:
        assert net.rate(contract.service["access"]["username"], "bng-2") == ["50000k/100000k"]


def test_one_silent_session_does_not_keep_its_neighbours_at_the_nas_waiting(isp, lab, wait):
    net = isp()
    net.silverd.start()
    mute = net.contract(1, "mudo@isp")
    others = [net.contract(10 + n, f"otro{n}@isp") for n in range(5)]
    for contract in (mute, *others):
        net.customer(contract)
    silent = mute.publish("plan_changed", plan=LARGE)
    wait(lambda: net.silverd.results(silent["id"]), "the first turn of the silent one")
    events = [contract.publish("plan_changed", plan=LARGE) for contract in others]
    for event in events:
        result = net.silverd.final(event)
        assert (result["outcome"], result["evidence"], result["attempt"]) == ("applied", "acknowledged", 1)
    assert {(r["state"], r["attempt"]) for r in net.silverd.results(silent["id"])} == {("progress", 1)}
    # the customer goes away: nothing is left to change, and the event ends
    lab.cpes.hangup("mudo@isp")
    result = net.silverd.final(silent)
    assert (result["outcome"], result["attempt"]) == ("applied", 1)


def test_wrong_secret_of_a_nas_waits_without_an_attempt_until_it_is_right(isp, lab, wait):
    net = isp(coa={"secret": lab.secret("coa-wrong", "not the secret")})
    net.silverd.start()
    ana = net.contract()
    net.customer(ana)
    event = ana.publish("plan_changed", plan=LARGE)
    wait(lambda: len(net.silverd.results(event["id"])) >= 3, "three turns of the waiting event")
    said = net.silverd.results(event["id"])
    assert {(r["state"], r["attempt"]) for r in said} == {("progress", 1)}
    assert said[0]["waiting"]["code"] == "radius-session.nas-silent"
    assert {r["waiting"]["code"] for r in said[1:]} <= {"radius-session.nas-silent", "core.gate-closed"}
    assert net.rate("ana@isp") == ["25000k/50000k"]
    # the secret is put right: nobody has to send anything again
    lab.secret("coa-wrong", lab.nas["bng-1"].coa_secret)
    result = net.silverd.final(event)
    assert (result["outcome"], result["evidence"], result["attempt"]) == ("applied", "acknowledged", 1)
    assert net.rate("ana@isp") == ["50000k/100000k"]


# ---- the database


@pytest.fixture
def radius_link(lab):
    """The way to the RADIUS database, which the ledger does not take."""
    with CutProxy(lab.pg.host, lab.pg.port) as proxy:
        yield proxy


def through(proxy):
    return {"address": proxy.host, "port": proxy.port, "timeout_ms": 2000}


@pytest.mark.parametrize("olt", [True, False], ids=["behind-an-olt", "routed-by-radius"])
def test_radius_database_that_is_down_is_waited_for(isp, lab, wait, radius_link, olt):
    net = isp(sql=through(radius_link), settings={"job": {"attempts_max": "3"}})
    net.silverd.start()
    first = net.contract(1, "uno@isp", olt=olt)
    assert net.carry(first, "activated")["outcome"] == "applied"
    radius_link.close()
    contracts = [net.contract(10 + n, f"c{n}@isp", olt=olt) for n in range(5)]
    events = [contract.publish("activated") for contract in contracts]
    if olt:
        for event in events:
            wait(lambda e=event: len(net.silverd.results(e["id"])) >= 4, "four turns of a waiting event", 60)
    else:
        wait(lambda: "closed" in str(lab.redis.command("HGETALL", "sn:1:g:radius-1")), "the gate to close")
    said = [result for event in events for result in net.silverd.results(event["id"])]
    assert {r["state"] for r in said} <= {"progress"} and {r["attempt"] for r in said} <= {1}
    assert rows(lab, "radcheck", "c0@isp", "id") == []
    radius_link.open()
    for event in events:
        result = net.silverd.final(event, 60)
        assert (result["outcome"], result["attempt"]) == ("applied", 1), result
    assert all(len(rows(lab, "radcheck", f"c{n}@isp", "id")) == 1 for n in range(5))


@pytest.mark.parametrize("way, writes_wanted", [(TO_SERVER, 2), (TO_CLIENT, 1)], ids=["not-executed", "executed"])
def test_A04_link_to_the_database_lost_at_the_commit(isp, lab, radius_link, way, writes_wanted):
    """The statement has arrived, not the order to execute it; or the yes has come, not the end of the answer."""
    net = isp(sql=through(radius_link))
    net.silverd.start()
    cut = radius_link.cut(way, when=b"COMMIT\0")
    result = net.carry(net.contract(), "activated")
    assert cut.happened
    assert (result["outcome"], result["evidence"], result["attempt"]) == ("applied", "observed", 1), result
    assert net.tables("ana@isp")[0] == [("Cleartext-Password", ":=", "clave-1")]
    writes = [entry for entry in result["log"] if entry["target"] == "radius-1" and entry["dir"] == ">" and
              entry["text"].startswith("user ana@isp, ")]
    assert len(writes) == writes_wanted


def test_A03_newer_generation_at_the_table_stops_an_older_commit(isp, lab, wait):
    """Another writer raises the fence while ours waits for the row: ours must not commit."""
    net = isp()
    net.silverd.start()
    ana = net.contract()
    net.carry(ana, "activated")
    before = net.tables("ana@isp")
    other = lab.pg.connect("radius", "silver_worker")
    other.autocommit = False
    with contextlib.closing(other), other.cursor() as cursor:
        cursor.execute("UPDATE silver_fence SET generation = %s WHERE contract = 'odoo/prod/1'", (ana.generation + 50,))
        event = ana.publish("plan_changed", plan=LARGE)
        wait(lambda: lab.pg.query("radius", "SELECT 1 FROM pg_stat_activity WHERE usename = 'silver_worker' "
                                  "AND wait_event_type = 'Lock'"), "our transaction to wait for the row")
        other.commit()
    result = net.silverd.final(event)
    assert (result["outcome"], result["code"]) == ("superseded", "freeradius-sql.superseded")
    assert net.tables("ana@isp") == before and fence(lab)[0] == ana.generation + 49


@pytest.mark.parametrize("kind, state, point", [
    ("activated", "active", "freeradius-sql.before-commit"), ("plan_changed", "active", "radius-session.answered~CoA"),
    ("suspended", "suspended", "write.answered~Disconnect"),
    ("terminated", "terminated", "freeradius-sql.after-commit~deleted")])
def test_A05_killed_in_the_middle_ends_as_if_nothing_had_been(isp, lab, wait, kind, state, point):
    net = isp(env={"SILVER_FAILPOINTS": f"{point}=kill"})
    net.silverd.start()
    ana = net.contract()
    if kind != "activated":
        net.customer(ana)
    event = ana.publish(kind, state, **({"plan": LARGE} if kind == "plan_changed" else {}))
    wait(lambda: not net.silverd.process.alive(), f"the death at {point}")
    net.silverd.process.env.pop("SILVER_FAILPOINTS")
    net.silverd.start()
    result = net.silverd.final(event)
    assert (result["outcome"], result["run"]) == ("applied", 2), result
    assert net.silverd.outcomes(event["id"]) == {"applied"}
    if kind == "activated":
        assert net.tables("ana@isp") == ([("Cleartext-Password", ":=", "clave-1")], [], [("FTTH-50@25000/50000", 10)])
    elif kind == "plan_changed":
        assert net.rate("ana@isp") == ["50000k/100000k"] and lab.cpes.state("ana@isp")["disconnects"] == 0
    else:
        lab.cpes.wait("ana@isp", "rejected")
        assert net.rate("ana@isp") == []
        left = [("silver-suspended", 1), ("FTTH-50@25000/50000", 10)] if kind == "suspended" else []
        assert groups(lab, "ana@isp") == left


def test_a_link_lost_in_the_middle_leaves_its_transcript_and_is_no_crash(isp, lab, wait):
    net = isp(settings={"job": {"session_settle": "4s"}})
    net.silverd.start()
    ana = net.contract()
    net.carry(ana, "activated")
    event = ana.publish("suspended", "suspended")
    wait(lambda: any(way == "<" and "Disconnect" in text for way, text in net.journal()), "the first look at the NAS")
    lab.rabbitmq.close_all_connections()
    result = net.silverd.final(event)
    assert (result["outcome"], result["run"]) == ("applied", 2)
    assert lab.redis.command("HGET", f"sn:1:e:{event['id']}", "crashes") == "0"

    def said():
        return lab.pg.query("silver", "SELECT dir, text FROM silver.exec_log WHERE event = %s AND run = 1 ORDER BY seq",
                            event["id"])
    wait(lambda: any(way == ">" and "silver-suspended" in text for way, text in said()), "what the first run wrote")
