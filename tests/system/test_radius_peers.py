# SPDX-License-Identifier: Apache-2.0
"""silverd against a NAS that answers wrongly, late, twice, with every refusal, or not at all (radius_peer.py).

bng-1 of the inventory is the scripted NAS; its sessions are rows of radacct only. Customers have no OLT.
"""

import struct

import pytest
from lab import http_get
from radius_peer import ACCT_SESSION_ID, COA, DISCONNECT, PROBE, USER_NAME, WRONG, RadiusPeer, reply
from test_radius import LARGE, isp, steps  # noqa: F401  (isp is a fixture)
from test_radius_drivers import groups, stale_row

VENDOR_SPECIFIC = 26


@pytest.fixture
def nas():
    with RadiusPeer() as peer:
        yield peer


class Customers:
    """Contracts with a session at bng-1 that radacct has shown for an hour."""

    def __init__(self, net, lab):
        self.net, self.lab, self.made = net, lab, {}

    def add(self, *users, session=True):
        events = []
        for user in users:
            contract = self.net.contract(len(self.made) + 1, user, olt=False)
            self.made[user] = contract
            events.append(contract.publish("activated"))
        for user, event in zip(users, events):
            assert self.net.silverd.final(event)["outcome"] == "applied"
            if session:
                stale_row(self.lab, user, f"session-{user}")

    def faster(self, *users):
        """{user: event}: more speed, which takes a CoA."""
        return {user: self.made[user].publish("plan_changed", plan=LARGE) for user in users}

    def suspend(self, *users):
        """{user: event}: suspended, which takes a Disconnect."""
        return {user: self.made[user].publish("suspended", "suspended") for user in users}

    def finals(self, events):
        return {user: self.net.silverd.final(event, 60) for user, event in events.items()}

    def before(self, event):
        """What was said of an event before its final result."""
        return [result for result in self.net.silverd.results(event["id"]) if result["state"] != "final" and "waiting" in result]


@pytest.fixture
def net(isp, nas):  # noqa: F811
    made = isp(coa=nas.coa, settings={"job": {"attempts_max": "2"}, "gate": {"probe_min": "50ms", "probe_max": "250ms"}})
    made.silverd.start()
    return made


@pytest.fixture
def customers(net, lab):
    return Customers(net, lab)


def session_step(result):
    return next(step for step in steps(result) if step[1] == "session")


def gate(lab, target="bng-1"):
    stored = lab.redis.command("HGETALL", f"sn:1:g:{target}") or []
    return dict(zip(stored[::2], stored[1::2]))


# ---- wrong answers


@pytest.mark.parametrize("kind", ["CoA", "Disconnect"])
def test_a_wrong_answer_is_no_answer(net, nas, customers, lab, kind):
    """The first request of each customer gets only wrong ACKs, one for each transmission; the second a right one."""
    users = [f"{word}@isp" for word in WRONG]
    customers.add(*users)
    for word, user in zip(WRONG, users):
        nas.script(user, [reply(wrong=word)], [reply(ma=word == "message-authenticator")])
    events = customers.faster(*users) if kind == "CoA" else customers.suspend(*users)
    for user, result in customers.finals(events).items():
        assert (result["outcome"], result["evidence"], result["attempt"]) == ("applied", "acknowledged", 1), (user, result)
        asked = nas.requests(user)
        assert len(asked) >= 2, user        # a wrong one that had been taken would have been the end
        assert all(one.code == (COA if kind == "CoA" else DISCONNECT) and one.signed for one in asked), user
        said = customers.before(events[user])
        # (none at all when the run was given back in between, as on a machine too busy to keep its lease)
        assert all(r["attempt"] == 1 and r["waiting"]["target"] == "bng-1" for r in said), user
        assert {r["waiting"]["code"] for r in said} <= {"radius-session.nas-silent", "core.gate-closed"}, user
        # nothing was taken for an acknowledgement before: neither then nor later
        if kind == "CoA":      # of two looks at a suspended customer the second may have had the right answer
            assert {session_step(r)[4] for r in said} == {"none"}, user


def test_a_wrong_answer_does_not_hide_the_right_one_behind_it(net, nas, customers):
    words = [word for word in WRONG if word not in ("port", "address")]
    customers.add("ana@isp")
    nas.script("ana@isp", [reply(wrong=word) for word in words] + [reply()])
    (result,) = customers.finals(customers.faster("ana@isp")).values()
    assert (result["outcome"], result["evidence"]) == ("applied", "acknowledged")
    assert len(nas.requests("ana@isp")) == 1


def test_a_forged_answer_to_the_sweep_is_silence(net, nas, customers, lab):
    customers.add("ana@isp", session=False)
    nas.script("ana@isp", [reply(wrong="authenticator")])
    (result,) = customers.finals(customers.suspend("ana@isp")).values()
    assert (result["outcome"], result["evidence"]) == ("applied", "observed")
    holds = next(target["holds"] for target in result["targets"] if target["aspect"] == "session")
    assert holds["asked_by_name"] == "silent" and holds["sessions"] == []


def test_late_and_double_answers_count_once_and_only_for_their_own_request(net, nas, customers):
    users = ["late@isp", "old@isp", "twice@isp", "cut-before@isp"]
    customers.add(*users)
    nas.script("late@isp", [reply(late="retransmission")])
    nas.script("old@isp", [reply(late="next")], [], [reply()])
    nas.script("twice@isp", [reply(times=2)])
    results = customers.finals(customers.faster(*users[:3]))
    assert {(r["outcome"], r["evidence"], r["attempt"]) for r in results.values()} == {("applied", "acknowledged", 1)}
    assert len(nas.requests("late@isp")) == 1 and nas.requests("late@isp")[0].copies >= 2
    asked = nas.requests("old@isp")     # the ACK of the first request came into the second: the third was needed
    assert len(asked) >= 3 and len({one.data[4:20] for one in asked}) == len(asked)
    assert len(nas.requests("twice@isp")) == 1
    # hostapd: the first copy was carried out and its ACK lost, the second finds nobody
    nas.script("cut-before@isp", [reply(copy=2, cause=503)])
    (result,) = customers.finals(customers.suspend("cut-before@isp")).values()
    assert (result["outcome"], result["evidence"]) == ("applied", "acknowledged")
    assert len(nas.requests("cut-before@isp")) == 1 and nas.requests("cut-before@isp")[0].copies >= 2


# ---- refusals, as docs/protocols/dynamic-authorization.md has them


ALL = [[], 401, 402, 403, 404, 405, 406, 407, 501, 502, 503, 504, 505, 506, 507, 508, 599, 70000]
INSTEAD, PERMANENT, LADDER, GONE = "Disconnect instead", "permanent", "ladder", "gone"
COA_ENDS = {401: INSTEAD, 402: INSTEAD, 405: INSTEAD, 406: INSTEAD, 407: INSTEAD, 503: GONE, 504: LADDER, 505: LADDER, 506: LADDER}
DISCONNECT_ENDS = {406: LADDER, 503: GONE, 504: LADDER, 505: LADDER, 506: LADDER}


def words(cause):
    return "-".join(map(str, cause)) if isinstance(cause, list) else str(cause)


def check_end(nas, user, result, end, cause, kind):
    kinds = [one.code for one in nas.requests(user)]
    if end == INSTEAD:
        assert (result["outcome"], result["evidence"], kinds) == ("applied", "acknowledged", [COA, DISCONNECT]), result
    elif end == GONE:       # once more by name: the id in radacct may be an old one
        assert (result["outcome"], result["evidence"], kinds) == ("applied", "acknowledged", [kind, kind]), result
        assert [one.value(ACCT_SESSION_ID) is None for one in nas.requests(user)] == [False, True]
    else:
        code = f"radius.nas-refused-{cause}" if isinstance(cause, int) and cause < 1000 else "radius.nas-refused"
        attempts = 2 if end == LADDER else 1
        assert (result["outcome"], result["code"], result["attempt"]) == ("dead", code, attempts), result
        # withdrawing goes on where it can: the second look, after session_settle, tries once more
        assert kinds == [kind] * (attempts + (kind == DISCONNECT))


def test_every_refusal_of_a_coa_ends_as_the_table_says(net, nas, customers, lab):
    causes = [*ALL, [401, 404]]
    users = {f"c{words(cause)}@isp": cause for cause in causes}
    customers.add(*users)
    for user, cause in users.items():
        end = INSTEAD if cause in ([], [401, 404]) else COA_ENDS.get(cause, PERMANENT)
        nas.script(user, [reply(cause=cause)], [reply(cause=cause) if end in (LADDER, GONE) else reply()])
    for user, result in customers.finals(customers.faster(*users)).items():
        cause = users[user]
        end = INSTEAD if cause in ([], [401, 404]) else COA_ENDS.get(cause, PERMANENT)
        check_end(nas, user, result, end, cause, COA)
        assert groups(lab, user) == [("FTTH-100@50000/100000", 10)]         # the next login has it, whatever the NAS said


def test_every_refusal_of_a_disconnect_ends_as_the_table_says(net, nas, customers, lab):
    # several causes: a session that is not there and something else is no proof that it is gone
    several = {"c503-501@isp": ([503, 501], 501), "c501-503@isp": ([501, 503], 501), "c503-503@isp": ([503, 503], 503)}
    users = {f"c{words(cause)}@isp": (cause, cause) for cause in ALL} | several
    customers.add(*users)
    for user, (said, _) in users.items():
        nas.script(user, [reply(cause=said)])
    for user, result in customers.finals(customers.suspend(*users)).items():
        cause = users[user][1]
        check_end(nas, user, result, LADDER if cause == [] else DISCONNECT_ENDS.get(cause, PERMANENT), cause, DISCONNECT)
        assert groups(lab, user)[0] == ("silver-suspended", 1)


# ---- silence, and the question that is asked meanwhile


def closings(net):
    """How often the gate of bng-1 was closed."""
    body = http_get(f"http://127.0.0.1:{net.silverd.port}/metrics")[1]
    return sum(float(line.rsplit(" ", 1)[1]) for line in body.splitlines()
               if line.startswith("silver_device_gate_closings") and 'device="bng-1"' in line)


def test_a_dead_nas_is_asked_by_probes_and_holds_up_only_what_needs_it(net, nas, customers, lab, wait):
    online = [f"on{n}@isp" for n in range(12)]
    customers.add(*online)
    customers.add("off1@isp", "off2@isp", session=False)
    nas.dead = True
    waiting = customers.faster(*online)
    for event in waiting.values():
        wait(lambda e=event: len(customers.before(e)) >= 3, "three turns of a waiting event", 60)
    wait(lambda: len(nas.probes()) >= 4, "four probes", 60)
    # the first wave of eight lanes, and after each probe one job tries for itself
    asked, probes = nas.requests(), nas.probes()
    assert len(asked) <= 8 + len(probes)
    assert closings(net) == 1 and (gate(lab)["state"], gate(lab)["code"]) == ("closed", "radius-session.nas-silent")
    for event in waiting.values():
        said = customers.before(event)
        assert {(r["attempt"], r["waiting"]["target"]) for r in said} == {(1, "bng-1")}
        assert {r["waiting"]["code"] for r in said} <= {"radius-session.nas-silent", "core.gate-closed"}
    # who needs nothing of the NAS is served: a new customer, and one to be suspended who is not online
    customers.add("new@isp", session=False)
    before = len(nas.requests("off1@isp"))
    (result,) = customers.finals(customers.suspend("off1@isp")).values()
    assert (result["outcome"], result["evidence"]) == ("applied", "observed")
    assert len(nas.requests("off1@isp")) == before == 0
    holds = next(target["holds"] for target in result["targets"] if target["aspect"] == "session")
    assert holds["asked_by_name"].startswith("not asked")
    assert gate(lab)["state"] == "closed"       # nobody has heard of it
    # it comes back: each is served, nothing was spent
    nas.dead = False
    for user, result in customers.finals(waiting).items():
        assert (result["outcome"], result["evidence"], result["attempt"]) == ("applied", "acknowledged", 1), user
    assert "gate open device=bng-1" in net.silverd.process.log_text()


def test_refusals_in_a_row_brake_though_other_customers_need_nothing_between_them(net, nas, customers, lab, wait):
    """That nothing had to be asked of a NAS is no sign that it serves anybody: the fifth equal refusal still closes its gate."""
    customers.add(*[f"vip{n}@isp" for n in range(5)])
    nas.default = [reply(cause=501)]
    for n in range(5):
        (result,) = customers.finals(customers.faster(f"vip{n}@isp")).values()
        assert (result["outcome"], result["code"]) == ("dead", "radius.nas-refused-501")
        if n < 4:
            customers.add(f"new{n}@isp", session=False)
    wait(lambda: gate(lab).get("code") == "core.equal-failures", "the brake")


def test_a_probe_names_nobody(net, nas, customers, lab, wait):
    """A Disconnect-Request of made-up name and session id, with nothing else in it but the NAS's address and the time."""
    customers.add("ana@isp")
    nas.dead = True
    event = customers.faster("ana@isp")
    wait(lambda: len(nas.probes()) >= 2, "two probes")
    nas.dead = False
    customers.finals(event)
    probes = nas.probes()
    assert {one.code for one in probes} == {DISCONNECT} and all(one.signed for one in probes)
    assert all([number for number, _ in one.attributes] == [80, 1, 44, 4, 55] for one in probes)
    assert all(one.text(USER_NAME) == one.text(ACCT_SESSION_ID) for one in probes)
    assert len({one.text(USER_NAME) for one in probes}) == len(probes)
    assert all(one.text(USER_NAME).startswith(PROBE) and one.copies <= 2 for one in probes)


def test_any_signed_answer_to_a_probe_opens_the_gate_and_no_other_does(net, nas, customers, wait):
    """One customer stays silent and closes the gate whenever it is open."""
    def opened():
        return net.silverd.process.log_text().count("probe answered")
    customers.add("mute@isp")
    nas.script("mute@isp", [])
    nas.probe = [reply(wrong="authenticator")]
    customers.faster("mute@isp")
    for wrong in ("authenticator", "id", "code", "attribute"):
        nas.probe = [reply(wrong=wrong)]
        before = len(nas.probes())
        wait(lambda n=before: len(nas.probes()) >= n + 2, "two probes")
    assert opened() == 0
    for answer in (reply(cause=[]), reply(cause=403), reply(ma=True)):
        nas.probe = [answer]
        wait(lambda n=opened(): opened() > n, "the gate to open")


def test_a_nas_that_answers_jobs_but_no_probe_is_tried_with_a_job(net, nas, customers, wait):
    users = [f"u{n}@isp" for n in range(10)]
    customers.add(*users)
    nas.probe = []
    nas.script(users[0], [], [reply()])
    events = customers.faster(users[0])
    wait(lambda: len(nas.probes()) >= 1, "the first probe")
    events |= customers.faster(*users[1:])
    for user, result in customers.finals(events).items():
        assert (result["outcome"], result["evidence"], result["attempt"]) == ("applied", "acknowledged", 1), user
    assert "a job was answered" in net.silverd.process.log_text()


def test_silence_of_a_sweep_closes_the_gate_and_the_next_is_not_kept_waiting(net, nas, customers, lab, wait):
    users = ["one@isp", "two@isp"]
    customers.add(*users, session=False)
    nas.dead = True
    (result,) = customers.finals(customers.suspend("one@isp")).values()
    assert result["outcome"] == "applied" and len(nas.requests("one@isp")) == 1
    wait(lambda: gate(lab).get("code") == "radius-session.nas-silent", "the gate to close")
    (result,) = customers.finals(customers.suspend("two@isp")).values()
    assert result["outcome"] == "applied" and nas.requests("two@isp") == []


def test_a_packet_that_was_not_answered_is_told_as_sent(net, nas, customers, lab, wait):
    """The NAS did it, and its answer was lost: the log says that it was sent, and the outcome that something was done."""
    customers.add("ana@isp")
    nas.script("ana@isp", [])
    event = customers.suspend("ana@isp")["ana@isp"]
    wait(lambda: nas.requests("ana@isp") and customers.before(event), "the first turn")
    lab.pg.query("radius", "UPDATE radacct SET acctstoptime = now() WHERE username = 'ana@isp'")
    result = net.silverd.final(event)
    assert (result["outcome"], result["evidence"], result["attempt"]) == ("applied", "observed", 1)

    def said():
        return lab.pg.query("silver", "SELECT dir, text, verdict FROM silver.exec_log WHERE event = %s AND target = 'bng-1' ORDER BY run, seq",
                            event["id"])
    wait(lambda: any(way == "<" and "no answer to 3 transmissions" in text for way, text, _ in said()), "the transcript")
    assert any(way == ">" and "Acct-Session-Id=session-ana@isp" in text for way, text, _ in said())
    # not "unreachable": that is what was never sent
    assert {verdict for way, text, verdict in said() if way == "<" and "no answer to 3" in text} == {"transient-device"}


def test_a_nas_in_the_middle_of_its_restart_refuses_and_is_waited_for(net, nas, customers, lab, wait):
    """Nobody listens on the port: said at once, spends nothing, and goes on when somebody does."""
    customers.add("ana@isp")
    port = nas.port
    nas.close()
    event = customers.faster("ana@isp")["ana@isp"]
    wait(lambda: len(customers.before(event)) >= 2, "two turns")
    assert customers.before(event)[0]["waiting"]["code"] == "radius-session.nas-unreachable"
    with RadiusPeer(port=port) as again:
        result = net.silverd.final(event)
        assert (result["outcome"], result["attempt"]) == ("applied", 1)
        rate = next(value for number, value in again.requests("ana@isp")[-1].attributes if number == VENDOR_SPECIFIC)
        assert struct.unpack("!IBB", rate[:6]) == (14988, 8, len(rate) - 4) and rate[6:] == b"50000k/100000k"
