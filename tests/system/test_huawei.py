# SPDX-License-Identifier: Apache-2.0
"""The driver huawei-smartax against simulated OLTs over real SSH: whole dialogues, each with its loop, without the worker."""

import json
import subprocess
import sys

import pytest

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "sim"))

from simulator import PASSWORD, OpenSshFront, Simulator, olt_config, wait_until  # noqa: E402

SERIAL = "4857544311E70E9A"
OTHER = "48575443AABBCCDD"
ID = 38         # the ONT id at which the driver begins for SERIAL: made from it, so that one that was freed is not the next one given out


class Olt:
    """One simulated OLT and the program that carries wants to it."""

    def __init__(self, sim, drive):
        self.sim, self.drive = sim, drive
        self.fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", sim.folder / "host_key"], capture_output=True, text=True,
                                          check=True).stdout.split()[1]

    def target(self, **options):
        return {"id": "olt-1", "driver": "huawei-smartax", "address": "127.0.0.1", "port": self.sim.ports["olt-1"],
                "credential": {"user": "silver", "password": PASSWORD}, "host_key": self.fingerprint,
                "limits": {"settle_ms": 30, "connect_ms": 5000, "read_ms": 3000, "write_ms": 3000}, **options}

    def carry(self, service=None, options=None, **job):
        """One run of the loop; its answer."""
        job = {"target": self.target(**(options or {})), "service": service, **job}
        done = subprocess.run([self.drive], input=json.dumps({k: v for k, v in job.items() if v is not None}), text=True,
                              capture_output=True, timeout=100, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert lines, done.stdout + done.stderr
        answer = json.loads(lines[-1])
        assert not answer["failed"] and done.returncode == 0, done.stderr
        assert answer["leaked_files"] == 0
        return answer

    def done(self, *args, **job):
        answer = self.carry(*args, **job)
        assert answer["end"] == "done", answer
        assert answer["evidence"] == "observed"
        return answer

    def state(self):
        return self.sim.ask("state")

    def ont(self, serial=SERIAL):
        found = [o for o in self.state()["onts"] if o["sn"] == serial]
        assert len(found) < 2
        return found[0] if found else None

    def flows(self):
        return [(p["fsp"], p["ont"], p["gem"], p["vlan"]) for p in self.state()["service_ports"]]

    def writes(self):
        return [w["command"] for w in self.sim.ask("counters")["write_list"]]

    def reset(self):
        self.sim.ask("counters", reset=True)


def service(serial=SERIAL, port=0, down=100000, up=50000, line="10", flows=((1, 110),), **onu):
    return {"plan": {"code": f"FTTH-{down}", "down_kbps": down, "up_kbps": up},
            "onu": {"device": "olt-1", "serial": serial, "frame": 0, "slot": 1, "port": port, "line_profile": line,
                    "service_profile": "10", "services": [{"name": f"s{g}", "gemport": g, "vlan": v} for g, v in flows], **onu}}


@pytest.fixture
def start(tmp_path, binary):
    """start(**settings of the simulated OLT) -> Olt"""
    running = []

    def begin(**changes):
        sim = Simulator(tmp_path, olt_config(**{"release_ms": 0, "sessions_max": 1, **changes})).start()
        running.append(sim)
        return Olt(sim, binary("tests/system/drive/driver-drive"))

    yield begin
    for sim in running:
        sim.stop()


@pytest.fixture
def olt(start):
    return start()


def key_of(*args, **more):
    s = service(*args, **more)["onu"]
    return {"serial": s["serial"], "fsp": f"{s['frame']}/{s['slot']}/{s['port']}",
            "flows": [{"gem": x["gemport"], "vlan": x["vlan"], "user_vlan": x["vlan"]} for x in s["services"]]}


# ---- the life of a contract ----

def test_activation_is_read_back_and_saved(olt):
    answer = olt.done(service(description="Ana Perez"), ref="CT-17071")
    ont = olt.ont()
    assert ont["desc"] == "CT-17071 Ana Perez" and ont["line_profile"] == 10 and ont["run"] == "online"
    assert olt.flows() == [("0/1/0", ID, 1, 110)]
    assert answer["reality"]["rx_dbm"] == -21.4
    assert answer["save"]["class"] == "ok"
    assert not olt.state()["dirty"] and olt.state()["saved"]["service_ports"] == olt.state()["service_ports"]


def test_repetition_writes_nothing(olt):
    olt.done(service())
    olt.reset()
    assert olt.done(service())["writes"] == 0 and olt.writes() == []


def test_plan_change_makes_tables_and_keeps_the_flow(olt):
    olt.done(service())
    index = olt.state()["service_ports"][0]["index"]
    olt.reset()
    olt.done(service(down=200000, up=200000))
    assert [w.split(" ")[0] for w in olt.writes()] == ["traffic", "service-port"]
    port = olt.state()["service_ports"][0]
    names = {t["index"]: t["name"] for t in olt.state()["traffic_tables"]}
    assert port["index"] == index and names[port["rx"]] == names[port["tx"]] == "sn-200000"


def test_suspension_cuts_the_onu_and_resumption_heals_it(olt):
    olt.done(service())
    olt.reset()
    olt.done(service(), suspended=True)
    assert olt.writes() == [f"ont deactivate 0 {ID}"] and not olt.ont()["active"]
    assert olt.done(service(), suspended=True)["writes"] == 0
    olt.done(service())
    assert olt.ont()["active"] and olt.writes()[1:] == [f"ont activate 0 {ID}"]


def test_suspension_of_the_lan_port(olt):
    want = service(cutoff="port", cutoff_port=2)
    olt.done(want)
    answer = olt.done(want, suspended=True)
    assert answer["holds"]["eth 2"] == "off" and olt.ont()["active"]
    olt.done(want)
    assert olt.carry(want, suspended=True, dry=True)["end"] == "would-write"
    # today's event cuts the ONU instead: the port of the older form is switched on again
    olt.done(want, suspended=True)
    answer = olt.done(service(), old=[{**key_of(), "eth": 2}])
    assert answer["holds"]["eth 2"] == "on"


def test_suspension_without_a_cut(olt):
    olt.done(service(cutoff="none"))
    olt.reset()
    assert olt.done(service(cutoff="none"), suspended=True)["writes"] == 0


def test_suspension_of_what_is_not_there_creates_nothing(olt):
    answer = olt.done(service(), suspended=True)
    assert answer["writes"] == 0 and answer["holds"]["onu"] is None and olt.ont() is None


def test_suspension_cuts_before_anything_else_can_fail(olt):
    olt.done(service())
    answer = olt.carry(service(line="77"), suspended=True)
    assert answer["code"] == "huawei.line-profile-missing" and not olt.ont()["active"]


def test_move_to_another_port_of_the_same_olt(olt):
    olt.done(service())
    olt.sim.ask("plug", fsp="0/1/5", sn=SERIAL)
    answer = olt.done(service(port=5), old=[key_of()])
    assert olt.ont()["fsp"] == "0/1/5" and olt.flows() == [("0/1/5", ID, 1, 110)]
    assert answer["reality"]["run"] == "online"


def test_termination_leaves_nothing(olt):
    olt.done(service(flows=((1, 110), (2, 100))))
    olt.done(kind="GONE", key=key_of(flows=((1, 110), (2, 100))))
    assert olt.ont() is None and olt.flows() == []
    assert olt.done(kind="GONE", key=key_of())["writes"] == 0


def test_another_vlan_on_the_same_gem_is_undone_first(olt):
    olt.done(service())
    olt.reset()
    olt.done(service(flows=((1, 100),)), old=[key_of()])
    undo, add = olt.writes()
    assert undo == f"undo service-port vlan 110 gpon 0/1/0 ont {ID} gemport 1" and " vlan 100 " in add
    assert olt.flows() == [("0/1/0", ID, 1, 100)]


def test_older_flow_is_removed_and_a_stranger_stays(olt):
    olt.done(service(flows=((1, 110), (2, 100))))
    olt.sim.ask("type", lines=[f"service-port 3999 vlan 100 gpon 0/1/0 ont {ID} gemport 2 multi-service user-vlan 55"])
    answer = olt.done(service(), old=[key_of(flows=((1, 110),))])
    assert len(olt.flows()) == 3, "flows that no key of ours names stay"
    assert len(answer["holds"]["extra"]) == 2
    # both flows share VLAN and GEM port: the one of ours can only be undone by its index
    olt.done(service(), old=[key_of(flows=((1, 110), (2, 100)))])
    assert olt.flows() == [("0/1/0", ID, 1, 110)]


def test_profiles_by_name_and_by_the_plan_of_the_target(olt):
    plans = {"FTTH-100000": {"line_profile": "line_20", "service_profile": "srv_10", "priority": 5}}
    olt.done(service(flows=((2, 100),)), options={"plans": plans})
    assert olt.ont()["line_profile"] == 20
    assert {"sn-100000-p5", "sn-50000-p5"} <= {t["name"] for t in olt.state()["traffic_tables"]}
    olt.reset()
    olt.done(service(flows=((2, 100),)), options={"plans": plans})
    assert olt.writes() == []


def test_profile_of_an_existing_onu_is_changed_in_place(olt):
    olt.done(service(flows=((2, 100),)))
    olt.reset()
    olt.done(service(line="20", flows=((2, 100),)))
    assert olt.writes() == [f"ont modify 0 {ID} ont-lineprofile-id 20"]


def test_onu_that_is_dark_is_added_and_said_to_be_offline(olt):
    answer = olt.done(service(serial=OTHER))
    assert answer["reality"]["run"] == "offline" and "autofind" in answer["reality"]


def test_leftover_service_ports_of_a_deleted_ont_are_not_inherited(start):
    olt = start(service_ports=[{"index": 9, "vlan": 110, "fsp": "0/1/0", "ont": ID, "gem": 1, "user_vlan": 110}])
    olt.done(service())
    assert olt.ont()["id"] == ID + 1


def test_next_free_ont_id(start):
    onts = [{"fsp": "0/1/0", "id": i, "sn": f"4857544300000{i:03X}", "line_profile": 10, "service_profile": 10,
             "desc": f"CT-{i}"} for i in (ID, ID + 1, ID + 3)]
    olt = start(onts=onts)
    olt.done(service(), ref="CT-99")
    assert olt.ont()["id"] == ID + 2


def test_ont_ids_of_a_card_that_knows_fewer(olt):
    olt.done(service(), options={"ont_ids": 16})
    assert olt.ont()["id"] == ID % 16


# ---- whose is it ----

def test_A09_mark_of_another_contract_is_never_touched(olt):
    olt.done(service(), ref="CT-17071")
    olt.reset()
    for job in ({"service": service()}, {"service": service(), "suspended": True},
                {"kind": "GONE", "key": key_of()}):
        answer = olt.carry(ref="CT-1707", **job)
        assert (answer["end"], answer["writes"]) in (("stuck", 0), ("done", 0))
        assert answer["end"] == "done" or (answer["class"], answer["code"]) == ("conflict", "huawei.other-contract")
    assert olt.writes() == [] and olt.ont()["desc"] == "CT-17071"


def test_unmarked_onu_is_adopted_or_refused(olt):
    olt.done(service())
    olt.sim.ask("type", lines=["interface gpon 0/1", f"ont modify 0 {ID} desc Generic_description"])
    answer = olt.carry(service(), options={"unmarked": "refuse"})
    assert (answer["class"], answer["code"]) == ("permanent", "huawei.unmarked")
    olt.done(service())
    assert olt.ont()["desc"] == "CT-1"


def test_A10_neighbour_on_a_shared_onu_survives_everything(olt):
    mine, yours = service(flows=((1, 110),), shared=True), service(flows=((2, 100),), shared=True)
    olt.done(yours, ref="CT-2", shared=True)
    olt.done(mine, ref="CT-1", shared=True, rivals=["CT-2"])
    both = [("0/1/0", ID, 1, 110), ("0/1/0", ID, 2, 100)]
    assert sorted(olt.flows()) == both and olt.ont()["desc"] == "CT-2"
    answer = olt.done(mine, ref="CT-1", shared=True, suspended=True, rivals=["CT-2"])
    assert olt.flows() == both[1:] and olt.ont()["active"] and "own service-ports" in answer["holds"]["cut"]
    olt.done(mine, ref="CT-1", shared=True, rivals=["CT-2"])
    answer = olt.carry({**mine, "onu": {**mine["onu"], "line_profile": "20"}}, ref="CT-1", shared=True, rivals=["CT-2"])
    assert (answer["class"], answer["code"]) == ("conflict", "huawei.shared-onu-differs")
    answer = olt.carry(service(flows=((2, 110),), shared=True), ref="CT-1", shared=True, rivals=["CT-2"])
    assert (answer["class"], answer["code"]) == ("conflict", "huawei.flow-conflict")
    # the first one leaves: its flow goes, the ONU stays and is the other's
    olt.done(kind="GONE", key={**key_of(flows=((2, 100),)), "shared": True}, ref="CT-2", rivals=["CT-1"])
    assert olt.flows() == both[:1] and olt.ont()["desc"] == "CT-1"
    olt.done(kind="GONE", key={**key_of(flows=((1, 110),)), "shared": True}, ref="CT-1")
    assert olt.ont() is None


def test_claimed_by_another_contract_and_not_shared(olt):
    olt.done(service())
    answer = olt.carry(service(), rivals=["CT-2"])
    assert (answer["class"], answer["code"]) == ("conflict", "huawei.claimed")


def test_termination_keeps_an_onu_with_a_stranger_on_it(olt):
    olt.done(service())
    olt.sim.ask("type", lines=[f"service-port 3999 vlan 100 gpon 0/1/0 ont {ID} gemport 2 multi-service user-vlan 55"])
    answer = olt.done(kind="GONE", key=key_of())
    assert olt.flows() == [("0/1/0", ID, 2, 100)] and olt.ont() is not None and "kept" in answer["holds"]


def test_onu_on_another_port_than_the_event_says(olt):
    answer = olt.carry(service(port=3))
    assert (answer["end"], answer["code"]) == ("stuck", "huawei.onu-elsewhere") and "0/1/0" in answer["text"]
    assert olt.writes() == []


# ---- what the device refuses ----

@pytest.mark.parametrize("want, code", [
    (service(line="77"), "huawei.line-profile-missing"),
    (service(flows=((1, 999),)), "huawei.vlan-missing"),
    (service(flows=((9, 110),)), "huawei.gem-missing"),
    ({**service(), "onu": {**service()["onu"], "slot": 4}}, "huawei.onu-elsewhere"),
    (service(serial=OTHER, port=55), "huawei.port-missing"),
    (service(wan={"mode": "pppoe"}), "huawei-smartax.unsupported"),
    (service(line=""), "huawei-smartax.plan-unmapped"),
    (service(line='10" desc'), "huawei-smartax.profile-name"),
    (service(serial="HWTC12"), "huawei-smartax.serial"),
])
def test_refusals_have_a_code(olt, want, code):
    answer = olt.carry(want)
    assert answer["code"] == code and answer["end"] != "done"


def test_A12_hostile_words_reach_no_line(olt):
    for ref in ('CT-1"\r\nreboot', "CT 1", "", "CT-\u00e9", "C" * 33):
        assert olt.carry(service(), ref=ref)["code"] == "huawei-smartax.mark"
    answer = olt.done(service(description='x" sn-auth 1; reboot\r\nquit\x1b[2J\u00e9?|'))
    assert olt.ont()["desc"] == "CT-1 x sn-auth 1 rebootquit2J"
    assert all(ord(c) > 31 for _, line in answer["lines"] for c in line)


def test_A11_an_olt_that_answers_and_does_nothing(olt):
    olt.sim.fault("do_nothing", count=-1)
    assert olt.carry(service())["end"] == "no-effect"


def test_A14_dry_run_sends_no_write(olt):
    answer = olt.carry(service(), dry=True)
    assert answer["end"] == "would-write" and [m for m, _ in answer["lines"]].count("+") == 4
    assert olt.writes() == [] and olt.ont() is None


@pytest.mark.parametrize("kind, code", [("busy", "huawei.busy"), ("flash_busy", "huawei.flash-busy")])
def test_busy_is_the_device_later(olt, kind, code):
    olt.sim.fault(kind, seconds=30)
    answer = olt.carry(service())
    assert (answer["end"], answer["class"], answer["code"]) == ("refused", "transient-device", code)


def test_unknown_failure_is_permanent_and_keeps_the_words(olt):
    olt.sim.fault("unknown_text", match="^ont add")
    answer = olt.carry(service())
    assert (answer["class"], answer["code"]) == ("permanent", "huawei.unknown-failure")
    assert "Configuring ONT-ID 5 failed" in answer["text"]


def test_reply_that_nobody_understands_is_a_bug(olt):
    olt.sim.fault("unknown_text", match="by-sn", text="  qwertz")
    assert olt.carry(service())["class"] == "bug"


# ---- links that break ----

WRITES_OF_ACTIVATION = 4


@pytest.mark.parametrize("n", range(1, WRITES_OF_ACTIVATION + 1))
@pytest.mark.parametrize("kind", ["cut_after_write", "cut_before"])
def test_A04_cut_at_each_write(olt, kind, n):
    olt.sim.fault(kind, n=n, match="^(traffic|ont add|service-port)")
    answer = olt.done(service())
    assert [r[1] for r in answer["replies"]].count("unknown") == 1
    assert len(olt.state()["onts"]) == 1 and olt.flows() == [("0/1/0", ID, 1, 110)]
    assert len(olt.writes()) == WRITES_OF_ACTIVATION


@pytest.mark.parametrize("n", [1, 2])
def test_A04_cut_at_each_write_of_a_termination(olt, n):
    olt.done(service())
    olt.sim.fault("cut_after_write", n=n)
    olt.done(kind="GONE", key=key_of())
    assert olt.ont() is None and olt.flows() == []


def test_silence_ends_at_the_deadline_and_the_write_is_unknown(olt):
    olt.sim.fault("silence", match="^ont add", execute=True)
    answer = olt.done(service(), options={"limits": {"settle_ms": 30, "write_ms": 700, "read_ms": 3000}})
    assert ["unknown", "cli.timeout"] in [r[1:3] for r in answer["replies"]]
    assert len(olt.state()["onts"]) == 1 and sum(w.startswith("ont add") for w in olt.writes()) == 1


def test_lost_lease_stops_before_the_write(olt):
    answer = olt.carry(service(), lose_lease_after=2, save=False)
    assert (answer["end"], answer["class"], answer["code"]) == ("refused", "lost", "cli.lease")
    assert len(olt.writes()) == 2 and olt.ont() is None


# ---- noise on the line ----

@pytest.mark.parametrize("changes", [{"echo_wrap": True}, {"echo_quirk": True}, {"echo_wrap": True, "echo_quirk": True},
                                     {"async_prompt": False}, {"password_warning": True, "last_login": True},
                                     {"prompt_twice": True}, {"desc_wrap": 20}, {"quit_to_user": True},
                                     {"product": "MA5800", "version": "MA5800V100R022C00"}])
def test_ways_of_a_device(start, changes):
    olt = start(**changes)
    olt.done(service(description="a long description that wraps twice"), ref="CT-17071")
    assert olt.done(service(description="a long description that wraps twice"), ref="CT-17071")["writes"] == 0
    wait_until("log-out", lambda: olt.sim.ask("counters")["sessions"]["open"] == 0)


@pytest.mark.parametrize("fault", [{"kind": "alarm", "count": -1, "obeys_infoswitch": False},
                                   {"kind": "alarm_echo", "count": -1, "obeys_infoswitch": False},
                                   {"kind": "noise", "count": -1}, {"kind": "slow", "ms": 1, "count": 6}])
def test_noise_in_the_output(olt, fault):
    olt.sim.fault(**fault)
    olt.done(service())
    assert olt.done(service())["writes"] == 0


def test_long_lists_are_paged_and_read_whole(start):
    onts = [{"fsp": "0/1/0", "id": i, "sn": f"4857544300000{i:03X}", "line_profile": 10, "service_profile": 10,
             "desc": f"CT-{i} some name"} for i in range(100)]
    olt = start(onts=onts)
    olt.sim.fault("unknown_text", match="^scroll", text="  % Unknown command, the error locates at '^'", count=-1)
    olt.done(service(), ref="CT-200")
    assert olt.ont()["id"] == 100           # all from 0 to 99 are in use


@pytest.mark.parametrize("command", ["undo smart", "undo interactive", "infoswitch"])
def test_settings_that_the_release_does_not_know(start, command):
    olt = start()
    olt.sim.fault("unknown_text", match=f"^{command}", text="  % Unknown command, the error locates at '^'", count=-1)
    olt.done(service())
    olt.done(kind="GONE", key=key_of())
    assert olt.ont() is None


def test_release_that_shows_no_table_by_name(olt):
    olt.sim.fault("unknown_text", match="^display traffic table ip name", text="  % Unknown command, the error locates at '^'",
                  count=-1)
    olt.done(service())
    olt.reset()
    assert olt.done(service())["writes"] == 0


# ---- login ----

def test_wrong_password_is_tried_once(olt):
    answer = olt.carry(service(), options={"credential": {"user": "silver", "password": "wrong"}})
    assert (answer["open"]["class"], answer["open"]["code"]) == ("auth", "ssh.auth")
    assert olt.sim.ask("counters")["login_failures"] == 1


def test_host_key_must_be_the_one_of_the_inventory(olt):
    answer = olt.carry(service(), options={"host_key": None})
    assert answer["open"]["code"] == "ssh.host-key-unknown" and olt.fingerprint in answer["open"]["text"]
    wrong = "SHA256:AAAAztksCsDhcc0u9e8BrqCe4ATkAnG9kbyHMNm0w3g"
    answer = olt.carry(service(), options={"host_key": wrong})
    assert (answer["open"]["class"], answer["open"]["code"]) == ("auth", "ssh.host-key-changed")
    assert olt.sim.ask("counters")["login_failures"] == 0
    olt.done(service(), options={"host_key": [wrong, olt.fingerprint]})


def test_quota_is_the_device_later(olt):
    olt.sim.fault("quota")
    answer = olt.carry(service())
    assert (answer["open"]["class"], answer["open"]["code"]) == ("transient-device", "cli.session-quota")


@pytest.mark.parametrize("kind", ["refuse_connect", "half_open"])
def test_nobody_listens(olt, kind):
    olt.sim.fault(kind, **({"seconds": 10} if kind == "refuse_connect" else {"count": -1}))
    answer = olt.carry(service(), options={"limits": {"connect_ms": 500, "login_ms": 500}})
    assert answer["open"]["class"] == "unreachable"


def test_old_algorithms_only_when_allowed(start):
    olt = start(ssh={"kex": "diffie-hellman-group14-sha1", "ciphers": "aes128-cbc", "macs": "hmac-sha1"})
    opened = olt.carry(service())["open"]
    # who finds the mismatch first, we or the peer, is a race of two processes
    assert opened["code"] == "ssh.algorithms" or "old algorithms?" in opened["text"], opened
    olt.done(service(), options={"legacy_crypto": True})


def test_key_login_through_openssh(olt):
    with OpenSshFront(olt.sim) as front:
        fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", front.folder / "host_key"], capture_output=True, text=True,
                                     check=True).stdout.split()[1]
        olt.done(service(), options={"port": front.port, "host_key": fingerprint,
                                     "credential": {"user": front.user, "private_key": front.key.read_text()}})
        assert olt.ont()["run"] == "online"


# ---- save ----

def test_save_that_is_never_confirmed_is_unknown(olt):
    olt.sim.fault("save_never_completes", seconds=1)
    answer = olt.carry(service(), save_ms=800)
    assert (answer["save"]["class"], answer["save"]["code"]) == ("unknown", "cli.save-unconfirmed")


def test_save_that_is_cut_is_unknown(olt):
    olt.sim.fault("save_cut", completes=False)
    answer = olt.carry(service())
    assert answer["save"]["class"] == "unknown" and olt.state()["dirty"]


def test_save_by_silence_where_the_device_says_nothing(start):
    olt = start(save_ms=100)
    answer = olt.done(service(), options={"save_done": "quiet", "limits": {"settle_ms": 30, "quiet_ms": 400}})
    assert answer["save"]["class"] == "ok"


def test_save_while_the_flash_is_busy(olt):
    olt.sim.fault("flash_busy", match="^save", count=-1)
    answer = olt.carry(service())
    assert (answer["save"]["class"], answer["save"]["code"]) == ("transient-device", "huawei.flash-busy")
