# SPDX-License-Identifier: Apache-2.0
"""The simulated OLT as a person at its console sees it, and each fault."""

import json
import pathlib
import re
import socket
import subprocess
import time

import pytest

from simulator import (PASSWORD, PROMPT, Closed, Console, OpenSshFront, Simulator, binary, olt_config,
                       wait_until)

SN = "4857544311E70E9A"
ADD = f'ont add 0 5 sn-auth {SN} omci ont-lineprofile-id 10 ont-srvprofile-id 10 desc "CT-00056"'
FLOW = ("service-port 358 vlan 110 gpon 0/1/0 ont 5 gemport 1 multi-service user-vlan 110 tag-transform translate "
        "inbound traffic-table index 11 outbound traffic-table index 9")
QUESTION = re.compile(rb"\{[^}\r\n]*\}:$")
YES_NO = re.compile(rb"\(y/n\)\[n\]:$")
MORE = re.compile(rb"---- More \( Press 'Q' to break \) ----$")


def prepared(console, *more):
    """A console as automation sets it up, in config mode."""
    console.login()
    console.runs("enable", "undo smart", "undo interactive", "scroll 512", "config", *more)
    return console


def in_card(console):
    return prepared(console, "interface gpon 0/1")


# -- the dialogue ----------------------------------------------------------------------------------------------------

TRANSCRIPT = """MA5608T>enable

MA5608T#undo smart

MA5608T#undo interactive

MA5608T#scroll 512

MA5608T#config

MA5608T(config)#display ont info by-sn 4857544311E70E9A
  The required ONT does not exist

MA5608T(config)#interface gpon 0/1

MA5608T(config-if-gpon-0/1)#ont add 0 sn-auth 4857544311E70E9A omci ont-lineprofile-id 10 ont-srvprofile-id 10 desc "CT-00056"
  Number of ONTs that can be added: 1, success: 1
  PortID :0, ONTID :5

MA5608T(config-if-gpon-0/1)#quit

MA5608T(config)#service-port vlan 110 gpon 0/1/0 ont 5 gemport 1 multi-service user-vlan 110 tag-transform translate inbound traffic-table index 11 outbound traffic-table index 9

MA5608T(config)#interface gpon 0/1

MA5608T(config-if-gpon-0/1)#ont delete 0 5
  Failure: This configured object has some service virtual
  ports

MA5608T(config-if-gpon-0/1)#"""


def test_complete_transcript_equals_the_real_one(make_sim):
    others = [{"fsp": "0/1/0", "id": i, "sn": f"48575443000000{i:02d}", "line_profile": 10, "service_profile": 10}
              for i in range(5)]
    sim = make_sim(olt_config(onts=others))
    with sim.console() as console:
        seen = console.login()[-len("MA5608T>"):]
        for line in re.findall(r"[>#](.+)", TRANSCRIPT):
            seen += console.run(line)
    assert seen == TRANSCRIPT.replace("\n", "\r\n")


@pytest.mark.parametrize("method", ["keyboard-interactive", "password"])
def test_login_by_both_methods_shows_the_banner(sim, method):
    with sim.console(method=method) as console:
        assert console.login() == (
            "\r\n\r\n  Huawei Integrated Access Software (MA5608T).\r\n"
            "  Copyright(C) Huawei Technologies Co., Ltd. 2002-2016. All rights reserved.\r\n\r\nMA5608T>")


def test_wrong_password_is_refused_and_counted(sim):
    with sim.console(password="wrong") as console:
        console.ended()
    assert sim.ask("counters")["login_failures"] == 2      # once by each method


def test_account_locks_after_failures(make_sim):
    sim = make_sim(olt_config(lock_after=1))
    with sim.console(password="wrong", method="password") as console:
        console.ended()
    with sim.console() as console:
        console.ended()
    assert sim.ask("counters")["sessions"]["opened"] == 0


def test_unasked_warning_after_the_first_prompt(make_sim):
    sim = make_sim(olt_config(password_warning=True))
    with sim.console() as console:
        first = console.read_until(rb"change the password\.\r\n\r\nMA5608T>$").decode()
    assert first.endswith("\r\nMA5608T>\r\n  Warning: The user password is set by other administrator or NMS, it is\r\n"
                          "recommended to change the password.\r\n\r\nMA5608T>")


def test_prompt_may_come_twice_after_login(make_sim):
    sim = make_sim(olt_config(prompt_twice=True))
    with sim.console() as console:
        assert console.read_until(rb">\r\nMA5608T>$|>\r\n\r\nMA5608T>$")


def test_caret_stands_under_the_first_bad_character(sim):
    with sim.console() as console:
        prepared(console)
        assert console.run("exit") == (
            "exit\r\n" + " " * len("MA5608T(config)#") + "^\r\n"
            "  % Unknown command, the error locates at '^'\r\n\r\nMA5608T(config)#")
        for line, text, place in [
                ("display ont info by-sn 4857", "Parameter error", "4857"),
                ("display ont autofind all now", "Too many parameters", "now"),
                ("display traffic table ip from-index", "Incomplete command", ""),
                ("ont add 0 5", "Unknown command", "ont"),              # a command of the card, not of config
                ("display vlan 100 ; reboot", "Parameter error", ";"),
                ("undo service-port vlan 110 gpon 0/1/0 ont 5", "Incomplete command", "")]:
            column = len("MA5608T(config)#") + (line.index(place) if place else len(line))
            assert console.run(line) == (f"{line}\r\n{' ' * column}^\r\n  % {text}, the error locates at '^'"
                                         "\r\n\r\nMA5608T(config)#")


def test_smart_question_is_asked_answered_and_repeated(sim):
    with sim.console() as console:
        console.login()
        console.runs("enable", "config")
        assert console.run("display ont info by-sn " + SN, QUESTION).endswith("\r\n{ <cr>||<K> }:")
        assert console.run("") == ("\r\n\r\n  Command:\r\n          display ont info by-sn " + SN + "\r\n"
                                   "  The required ONT does not exist\r\n\r\nMA5608T(config)#")
        # a mandatory word is missing: no <cr> in the question, Enter is wrong, the third time drops the command
        assert console.run("display ont info by-sn", QUESTION).endswith("{ sn<S> }:")
        console.run("", QUESTION)
        console.run("", QUESTION)
        assert "Reenter times have reached the upper limit" in console.run("")
        # ctrl-C leaves a question
        console.run("display ont info by-sn", QUESTION)
        console.send("\x03")
        console.read_until(PROMPT)
        # what is typed into a question loses its blanks
        console.run("display ont info by-sn", QUESTION)
        assert "The required ONT" in console.run(SN[:8] + " " + SN[8:], QUESTION) + console.run("")


def test_confirmation_defaults_to_no(sim):
    with sim.console() as console:
        prepared(console, "interface gpon 0/1", ADD, "quit", FLOW)
        console.runs("quit", "interactive", "config")
        asked = console.run("undo service-port port 0/1/0 ont 5", YES_NO)
        assert "Warning: The operation will delete multiple or all service ports" in asked
        console.run("")
        assert len(sim.ask("state")["service_ports"]) == 1
        console.run("undo service-port port 0/1/0 ont 5", YES_NO)
        assert "have been\r\n  deleted: 1\r\n" in console.run("y")
        assert sim.ask("state")["service_ports"] == []


def test_pager_shows_24_lines_and_erases_its_question(sim):
    sim.ask("type", lines=["interface gpon 0/1", ADD])
    with sim.console() as console:
        console.login()
        console.runs("enable", "undo smart")
        page = console.run("display ont info 0 1 0 5", MORE)
        assert page.count("\r\n") == 24 and page.endswith("\r\n  ---- More ( Press 'Q' to break ) ----")
        console.send("\r")                                      # Enter: one line
        assert console.read_until(MORE).decode().startswith("\x1b[37D" + " " * 37 + "\x1b[37D  ")
        console.send(" ")
        assert console.read_until(MORE).decode().count("\r\n") == 23
        console.send("q")
        assert console.read_until(PROMPT).decode() == "\x1b[37D" + " " * 37 + "\x1b[37D\r\nMA5608T#"
        assert "---- More" not in console.run("display ont info 0 1 0 5 | no-more")
        console.run("scroll")
        assert "---- More" not in console.run("display ont info 0 1 0 5")
        assert console.run('display ont info 0 1 0 5 | include "Control flag"').count("\r\n") == 3


def test_quit_at_enable_asks_and_logs_out(sim):
    with sim.console() as console:
        console.login()
        console.run("enable")
        asked = console.run("quit", YES_NO)
        assert asked == ("quit\r\n  Check whether system data has been changed. Please save data before logout.\r\n"
                         "Are you sure to log out? (y/n)[n]:")
        console.run("n")
        console.run("quit", YES_NO)
        console.send("y\r")
        assert console.ended() == "y\r\n\r\n  Configuration console exit, please retry to log on\r\n"
    assert sim.ask("counters")["sessions"] == {"opened": 1, "open": 0, "max": 1}


def test_keys_of_the_line_editor(sim):
    with sim.console() as console:
        console.login()
        assert "MA5608T#" in console.run("enablx\x7fe")
        console.send("disp?")
        assert "% There is no matched command\r\n\r\nMA5608T#disp" in console.read_until(rb"#disp$").decode()
        console.run("\x15undo smart")
        assert "VERSION" in console.run("display version\x1b[A")
        assert sim.ask("log")["log"][-1]["command"] == "display version"


def test_typed_ahead_waits_for_the_prompt(make_sim):
    sim = make_sim(olt_config(latency_ms=50))
    with sim.console() as console:
        console.login()
        console.send("enable\rconfig\r")
        assert console.read_until(rb"\(config\)#$").decode() == "enable\r\n\r\nMA5608T#config\r\n\r\nMA5608T(config)#"


def test_echo_wraps_at_80_columns(make_sim):
    sim = make_sim(olt_config(echo_wrap=True))
    with sim.console() as console:
        in_card(console)
        assert console.run(ADD).startswith(ADD[:80 - len("MA5608T(config-if-gpon-0/1)#")] + "\r\n")


def test_idle_console_is_logged_out(make_sim):
    sim = make_sim(olt_config(idle_s=1))
    with sim.console() as console:
        console.login()
        assert console.ended() == "\r\n  Configuration console time out, please retry to log on\r\n"


# -- state -----------------------------------------------------------------------------------------------------------

def test_activation_reads_back_and_deletion_brings_autofind_back(sim):
    with sim.console() as console:
        prepared(console)
        found = console.run("display ont autofind all")
        assert f"   Ont SN              : {SN} (HWTC-11E70E9A)\r\n" in found
        assert "The number of GPON autofind ONT is 1" in found
        console.runs("interface gpon 0/1", ADD, "quit", FLOW)
        assert "Failure: The automatically found ONTs do not exist" in console.run("display ont autofind all")
        one = console.run("display ont info by-sn HWTC11E70E9A")
        for line in ("  F/S/P                   : 0/1/0", "  ONT-ID                  : 5",
                     "  Run state               : online", "  Config state            : normal",
                     "  Description             : CT-00056", "  Line profile name    : line_10", "   <Gem Index 1>"):
            assert line + "\r\n" in one
        assert f"  0/ 1/0    5  {SN}  active      online   normal   match    no \r\n" in console.run(
            "display ont info 0 1 0 all")
        assert ("     358  110 common   gpon 0/1 /0  5    1     vlan  110        11   9    up  \r\n"
                in console.run("display service-port port 0/1/0 ont 5"))
        console.run("interface gpon 0/1")
        assert "Rx optical power(dBm)                  : -21.40\r\n" in console.run("display ont optical-info 0 5")
        console.runs("quit", "undo service-port 358", "interface gpon 0/1", "ont delete 0 5")
    state = sim.ask("state")
    assert (state["onts"], state["service_ports"]) == ([], [])
    assert state["autofind"] == [{"fsp": "0/1/0", "sn": SN}]
    assert [w["command"].split()[0:2] for w in sim.ask("counters")["write_list"]] == [
        ["ont", "add"], ["service-port", "358"], ["undo", "service-port"], ["ont", "delete"]]


REFUSALS = [  # mode, line, failure
    ("card", ADD.replace("0 5", "0 6"), "SN already exists"),
    ("card", ADD.replace(SN, "4857544300000001"), "The ONT ID has already existed"),
    ("card", ADD.replace("lineprofile-id 10", "lineprofile-id 99").replace("0 5", "0 6"),
     "The line profile does not exist"),
    ("card", "ont delete 0 7", "The ONT does not exist"),
    ("card", "ont modify 0 5 desc CT-00056", "Make configuration repeatedly"),
    ("card", "ont modify 0 5 ont-lineprofile-id 20", "The GEM port cannot be deleted"),
    ("card", "ont activate 0 5", "Make configuration repeatedly"),
    ("card", "ont port attribute 0 5 eth 1 operational-state on", "Make configuration repeatedly"),
    ("card", "ont port attribute 0 5 eth 9 operational-state off", "The ONT port ID does not exist"),
    ("config", FLOW, "Service virtual port has existed already"),
    ("config", FLOW.replace("vlan 110 gpon", "vlan 999 gpon"), "VLAN does not exist"),
    ("config", FLOW.replace("gemport 1", "gemport 7"), "The GEM port does not exist"),
    ("config", FLOW.replace("ont 5", "ont 9"), "The ONT does not exist"),
    ("config", FLOW.replace("gemport 1", "gemport 2").replace("index 9", "index 90"),
     "The traffic table does not exist"),
    ("config", "service-port 358 inbound traffic-table index 11 outbound traffic-table index 9",
     "Make configuration repeatedly"),
    ("config", "undo service-port 5", "The service virtual port does not exist"),
    ("config", "undo service-port port 0/1/0 ont 9", "No service virtual port can be operated"),
    ("config", "undo traffic table ip index 11", "The traffic table is being used"),
    ("config", "display service-port port 0/1/3", "No service virtual port can be operated"),
    ("config", "display vlan 999", "VLAN does not exist"),
]


def test_refusals_change_nothing(sim):
    with sim.console() as console:
        prepared(console, "interface gpon 0/1", ADD, "quit", FLOW)
        before = sim.ask("state")
        for mode, line, failure in REFUSALS:
            console.runs(*(["interface gpon 0/1"] if mode == "card" else []))
            assert f"\r\n  Failure: {failure}" in console.run(line), line
            console.runs(*(["quit"] if mode == "card" else []))
        after = sim.ask("state")
    for key in ("onts", "service_ports", "traffic_tables"):
        assert after[key] == before[key]
    assert sim.ask("counters")["writes"] == 2


def test_plan_change_suspension_and_port_cut(sim):
    with sim.console() as console:
        in_card(console)
        console.runs(ADD, "quit", FLOW)
        made = console.run('traffic table ip index 22 name "PLAN" cir 1024 pir 2048 priority 0 '
                           "priority-policy local-setting")
        assert "Create traffic descriptor record successfully\r\n" in made
        assert "Traffic Table Index          : 22\r\n  Traffic Table Name           : PLAN\r\n" in made
        assert "  % Incomplete command" in console.run("traffic table ip cir 1024 pir 2048")
        console.run("service-port 358 inbound traffic-table index 22 outbound traffic-table index 9")
        rows = console.run("display traffic table ip from-index 0")
        assert "   22 1024     34768      2048     69536      0 -               local-pri\r\n" in rows
        assert "    6 off      off        off      off        0 -               tag-pri\r\n" in rows
        assert "PLAN" not in rows
        assert "Traffic Table Name           : PLAN" in console.run("display traffic table ip from-index 22 detail")
        console.run("interface gpon 0/1")
        assert console.run("ont deactivate 0 5") == "ont deactivate 0 5\r\n\r\nMA5608T(config-if-gpon-0/1)#"
        assert "Control flag            : deactivated\r\n  Run state               : offline" in console.run(
            "display ont info 0 5")
        console.runs("ont activate 0 5", "ont port attribute 0 5 eth 1 operational-state off",
                     "ont port native-vlan 0 5 eth 1 vlan 110 priority 0")
        assert re.search(r"5  ETH +1 .* 110  off\r\n +5  ETH +2 .* 1  on\r\n",
                         console.run("display ont port attribute 0 5 eth all"))
    state = sim.ask("state")
    assert (state["service_ports"][0]["rx"], state["service_ports"][0]["tx"]) == (22, 9)
    ont = state["onts"][0]
    assert (ont["active"], ont["eth_off"], ont["native_vlan"]) == (True, [1], {"1": 110})


def test_light_decides_the_run_state(make_sim):
    sim = make_sim(olt_config(online_ms=500, normal_ms=80))
    with sim.console() as console:
        in_card(console)
        console.run(ADD)
        assert sim.ask("state")["onts"][0]["run"] == "offline"
        wait_until("online", lambda: sim.ask("state")["onts"][0]["run"] == "online")
        wait_until("configured", lambda: sim.ask("state")["onts"][0]["config"] == "normal")
        sim.ask("unplug", sn=SN, cause="dying-gasp")
        gone = console.run("display ont info 0 5")
        assert "Run state               : offline\r\n" in gone and "Last down cause         : dying-gasp\r\n" in gone
        assert "Failure: ONT is not online" in console.run("display ont optical-info 0 5")
        sim.ask("plug", sn=SN, fsp="0/1/3")                      # moved by hand to another fibre
        assert sim.ask("state")["autofind"] == [{"fsp": "0/1/3", "sn": SN}]
        assert "Failure: SN already exists" in console.run(ADD.replace("0 5", "3 1"))


def test_description_of_64_characters_is_wrapped_in_the_detail(sim):
    text = "CT-17071 " + "x" * 55
    with sim.console() as console:
        in_card(console)
        console.run(ADD.replace("CT-00056", text))
        assert f"  Description             : {text[:51]}\r\n{' ' * 28}{text[51:]}\r\n" in console.run(
            "display ont info 0 5")
        assert "% Parameter error" in console.run(ADD.replace("CT-00056", text + "x"))


def test_save_returns_early_and_the_device_is_busy_until_it_is_done(make_sim):
    sim = make_sim(olt_config(save_ms=1000))
    with sim.console() as console:
        in_card(console)
        console.runs(ADD, "return")
        started = console.run("save", re.compile(rb"please wait\.\.\.\r\n\r\nMA5608T#$"))
        assert started == ("save\r\nMA5608T#\r\n  It will take several minutes to save configuration file, please wait..."
                           "\r\n\r\nMA5608T#")
        assert ("Failure: System is reading or writing flash, please retry after a while"
                in console.run("display ont autofind all"))
        assert sim.ask("state")["saved"]["onts"] == []
        done = console.read_until(rb"activated\r\n\r\nMA5608T#$").decode()
        assert done == ("\r\n  Configuration file had been saved successfully\r\n"
                        "  Note: The configuration file will take effect after being activated\r\n\r\nMA5608T#")
    state = sim.ask("state")
    assert state["saved"]["onts"][0]["sn"] == SN and not state["dirty"]
    assert sim.ask("counters")["saves"] == 1


def test_reboot_and_restart_keep_only_what_was_saved(sim):
    with sim.console() as console:
        in_card(console)
        console.runs(ADD, "return")
        console.run("save", re.compile(rb"activated\r\n\r\nMA5608T#$"))
        console.runs("config", FLOW)
        assert sim.ask("state")["dirty"]
        sim.ask("reboot")
        console.ended()
    state = sim.ask("state")
    assert len(state["onts"]) == 1 and state["service_ports"] == [] and not state["dirty"]
    sim.ask("plug", sn="HWTC1A2B3C4D", fsp="0/1/3")
    assert sim.stop() == 0
    sim.start()
    state = sim.ask("state")
    assert [o["sn"] for o in state["onts"]] == [SN]
    assert [o["sn"] for o in state["plant"]] == [SN, "485754431A2B3C4D"]


def test_session_quota_and_slow_release_of_a_broken_link(make_sim):
    sim = make_sim(olt_config(release_ms=1500))
    first = sim.console()
    first.login()
    with sim.console() as second:
        assert second.ended() == "\r\nReenter times have reached the upper limit.\r\n"
    first.close()
    wait_until("the link is gone", lambda: sim.ask("counters")["sessions"]["open"] == 0)
    with sim.console() as third:
        third.ended()

    def login():
        with sim.console() as console:
            try:
                return console.login()
            except Closed:
                return None
    wait_until("the line is free", login)
    assert sim.ask("counters")["quota_refusals"] >= 2


def test_two_writers_at_once_are_counted(make_sim):
    sim = make_sim(olt_config(sessions_max=2))
    with sim.console() as one:
        in_card(one)
        with sim.console() as two:
            in_card(two)
            one.run(ADD)
            assert sim.ask("counters")["interleaved_writers"] == 0
            two.run("ont modify 0 5 desc two")
            one.run("ont modify 0 5 desc one")
    assert sim.ask("counters")["interleaved_writers"] == 2


def test_a_writer_that_comes_back_is_counted_however_late(make_sim):
    sim = make_sim(olt_config(sessions_max=2, interleave_ms=0))
    with sim.console() as one:
        in_card(one)
        with sim.console() as two:
            in_card(two)
            one.run(ADD)
            two.run("ont modify 0 5 desc two")
            assert sim.ask("counters")["interleaved_writers"] == 0
            one.run("ont modify 0 5 desc one")
    assert sim.ask("counters")["interleaved_writers"] == 1


def test_what_the_control_socket_types_is_no_counted_write(sim):
    typed = sim.ask("type", lines=["interface gpon 0/1", ADD, "ont add 9"])["replies"]
    assert [t["result"] for t in typed] == ["done", "done", "incomplete"]
    assert "PortID :0, ONTID :5\r\n" in typed[1]["text"]
    counters = sim.ask("counters")
    assert (counters["writes"], counters["write_list"]) == (0, [])
    assert sim.ask("state")["dirty"]


def test_hand_over_is_not_counted_as_two_writers(sim):
    with sim.console() as one:
        in_card(one)
        one.run(ADD)
    wait_until("the first is gone", lambda: sim.ask("counters")["sessions"]["open"] == 0)
    with sim.console() as two:
        in_card(two)
        two.run("ont modify 0 5 desc two")
    assert sim.ask("counters")["interleaved_writers"] == 0


# -- faults ----------------------------------------------------------------------------------------------------------

def test_cut_after_the_nth_write_executes_it_and_says_nothing(sim):
    sim.fault("cut_after_write", n=2)
    with sim.console() as console:
        in_card(console)
        console.runs(ADD, "quit")
        console.send(FLOW + "\r")
        assert console.ended() == FLOW + "\r\n"                 # the echo, no byte of the answer
    assert len(sim.ask("state")["service_ports"]) == 1
    assert [e["result"] for e in sim.ask("log")["log"]][-1] == "done, cut"
    assert sim.ask("faults")["faults"][0]["fired"] == 1


def test_cut_after_a_matching_write(sim):
    sim.fault("cut_after_write", match="^service-port")
    with sim.console() as console:
        in_card(console)
        console.runs(ADD, "quit")
        console.send(FLOW + "\r")
        console.ended()
    assert sim.ask("counters")["writes"] == 2


def test_cut_before_executes_nothing(sim):
    sim.fault("cut_before", match="^ont add")
    with sim.console() as console:
        in_card(console)
        console.send(ADD + "\r")
        console.ended()
    assert sim.ask("state")["onts"] == []


@pytest.mark.parametrize("execute", [False, True])
def test_silence(sim, execute):
    sim.fault("silence", match="^ont add", execute=execute)
    with sim.console() as console:
        in_card(console)
        console.send(ADD + "\r")
        console.read_until(rb'"CT-00056"\r\n')
        assert console.silent(0.3)
        assert len(sim.ask("state")["onts"]) == int(execute)


def test_late_answer(sim):
    sim.fault("silence", match="^ont add", execute=True, seconds=1)
    with sim.console() as console:
        in_card(console)
        console.send(ADD + "\r")
        console.read_until(rb'"CT-00056"\r\n')
        assert console.silent(0.1)
        assert "success: 1" in console.read_until(PROMPT).decode()


@pytest.mark.parametrize("kind, text", [
    ("busy", "Failure: System is busy, please retry after a while"),
    ("flash_busy", "Failure: System is reading or writing flash, please retry after a while")])
def test_busy_for_a_while(sim, kind, text):
    with sim.console() as console:
        in_card(console)
        sim.fault(kind, seconds=1)
        assert text in console.run(ADD)
        assert sim.ask("state")["onts"] == []
        wait_until("free again", lambda: text not in console.run("display ont info 0 all"))
        assert "success: 1" in console.run(ADD)


def test_refused_login_and_quota_fault(sim):
    sim.fault("refuse_login", count=2)
    with sim.console() as console:
        console.ended()
    sim.fault("quota")
    with sim.console() as console:
        assert "Reenter times have reached the upper limit.\r\n" in console.ended()
    with sim.console() as console:
        console.login()


def test_login_again_in_the_middle_of_a_session(sim):
    sim.fault("login_again", match="^display version")
    with sim.console() as console:
        console.login()
        console.runs("enable", "undo smart")
        console.send("display version\r")
        console.read_until(rb">>User name:$")
        for key in ("\x03", "\r"):
            console.send(key)
            console.read_until(rb">>User name:$")
        assert sim.ask("counters")["login_failures"] == 0
        console.send("display version\r")
        console.read_until(rb">>User password:$")
        console.send("s3cret\r")
        console.read_until(rb"Username or password invalid\.\r\n\r\n>>User name:$")
    assert sim.ask("counters")["login_failures"] == 1


def test_unknown_text_instead_of_the_answer(sim):
    sim.fault("unknown_text", match="^ont add", text="  Failure: Something nobody has seen")
    with sim.console() as console:
        in_card(console)
        assert console.run(ADD).endswith("\r\n  Failure: Something nobody has seen\r\n\r\nMA5608T(config-if-gpon-0/1)#")
        assert sim.ask("state")["onts"] == []
        assert "success: 1" in console.run(ADD)


def test_device_that_answers_and_does_nothing(sim):
    sim.fault("do_nothing", count=-1)
    with sim.console() as console:
        in_card(console)
        assert "success: 1" in console.run(ADD)
        assert "success: 1" in console.run(ADD)
        assert "The required ONT does not exist" in console.run("display ont info 0 5")
    assert sim.ask("counters")["writes"] == 0 and not sim.ask("state")["dirty"]


def test_slow_output_arrives_whole(sim):
    sim.fault("slow", match="by-sn", ms=5)
    with sim.console() as console:
        prepared(console)
        begun = time.monotonic()
        assert console.run("display ont info by-sn " + SN).endswith(
            "\r\n  The required ONT does not exist\r\n\r\nMA5608T(config)#")
        assert time.monotonic() - begun >= 0.2                  # 50 bytes, 5 ms each


def test_alarms_in_the_middle_and_before_the_echo(sim):
    with sim.console() as console:
        in_card(console)
        sim.fault("alarm", match="^ont add")
        text = console.run(ADD)
        assert re.search(r"success: 1\r\n.*  ALARM \d+ FAULT MAJOR .*  --- END\r\n  PortID :0", text, re.S)
        sim.fault("alarm_echo")
        text = console.run("quit")
        assert text.startswith("\r\n\r\n  ! 1[") and text.endswith("  --- END\r\nquit\r\n\r\nMA5608T(config)#")
        sim.fault("alarm", obeys_infoswitch=True)
        console.runs("quit", "infoswitch cli OFF")
        assert "ALARM" not in console.run("display version")


def test_noise_hides_in_the_answer(sim):
    sim.fault("noise", match="by-sn")
    with sim.console() as console:
        prepared(console)
        noisy = console.run("display ont info by-sn " + SN)
        assert "\x07" in noisy and "\0" in noisy and "\x1b[0m" in noisy
        assert "required ONT" not in noisy
        assert "  The required ONT does not exist\r\n" in console.run("display ont info by-sn " + SN)


def test_save_that_never_completes(sim):
    with sim.console() as console:
        in_card(console)
        sim.fault("save_never_completes", seconds=0.1)
        console.runs(ADD, "return")
        console.run("save", re.compile(rb"please wait\.\.\.\r\n\r\nMA5608T#$"))
        wait_until("flash is free", lambda: not sim.ask("state")["saving"])
        assert console.silent(0.2)
    assert sim.ask("state")["dirty"] and sim.ask("counters")["saves"] == 0


@pytest.mark.parametrize("completes", [True, False])
def test_link_cut_during_a_save(make_sim, completes):
    sim = make_sim(olt_config(save_ms=100))
    with sim.console() as console:
        in_card(console)
        sim.fault("save_cut", completes=completes)
        console.runs(ADD, "return")
        console.send("save\r")
        assert "successfully" not in console.ended()
    wait_until("save is over", lambda: not sim.ask("state")["saving"])
    assert sim.ask("state")["dirty"] is not completes


def test_connections_refused_reset_and_half_open(sim):
    port = sim.ports["olt-1"]
    sim.fault("half_open")
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(0.2)
        with pytest.raises(TimeoutError):
            s.recv(1)
    sim.fault("refuse_connect")
    with socket.create_connection(("127.0.0.1", port)) as s, pytest.raises(ConnectionResetError):
        s.settimeout(5)
        s.recv(1)
    sim.fault("refuse_connect", seconds=1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))

    def connects():
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            return None
    with wait_until("listening again", connects) as s:
        assert s.recv(4) == b"SSH-"


def test_host_key_changes(sim):
    with sim.console() as console:
        console.login()
    sim.ask("new_host_key")
    with sim.console() as console:
        console.ended()
        assert b"REMOTE HOST IDENTIFICATION HAS CHANGED" in console.process.stderr.read()


def test_unknown_settings_and_faults_are_refused(make_sim, tmp_path):
    sim = make_sim()
    for request in ({"op": "fault", "fault": {"kind": "earthquake"}}, {"op": "set", "set": {"latencyms": 3}},
                    {"op": "dance"}):
        with pytest.raises(AssertionError, match="error"):
            sim.ask(olt="olt-1", **request)
    broken = Simulator(tmp_path, olt_config(hostnme="x"))
    with pytest.raises(AssertionError, match='unknown key "hostnme"'):
        broken.start()


# -- other ways in ---------------------------------------------------------------------------------------------------

def test_legacy_algorithms_only(make_sim):
    sim = make_sim(olt_config(ssh={"kex": "diffie-hellman-group14-sha1", "ciphers": "aes128-cbc", "macs": "hmac-sha1"}))
    argv = ["ssh", "-F", "none", "-p", str(sim.ports["olt-1"]), "-o", "StrictHostKeyChecking=no", "-o",
            f"UserKnownHostsFile={sim.folder}/none", "-o", "BatchMode=yes", "silver@127.0.0.1"]
    refused = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert "no matching key exchange method found. Their offer: diffie-hellman-group14-sha1" in refused.stderr
    legacy = ["-o", "KexAlgorithms=+diffie-hellman-group14-sha1", "-o", "Ciphers=+aes128-cbc"]
    refused = subprocess.run(argv[:-1] + legacy + argv[-1:], capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, check=False)
    assert "Permission denied" in refused.stderr                 # the algorithms agreed


def test_relay_is_a_console_of_the_same_olt(sim):
    with subprocess.Popen([binary(), "relay", sim.control, "olt-1"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as relay:
        def until(end):
            seen = b""
            while not seen.endswith(end):
                seen += relay.stdout.read1(4096)
            return seen.decode()
        assert "Huawei Integrated Access Software" in until(b"MA5608T>")
        for line, end in [("enable", b"MA5608T#"), ("undo smart", b"MA5608T#"), ("config", b"(config)#"),
                          ("interface gpon 0/1", b"0/1)#"), (ADD, b"0/1)#")]:
            relay.stdin.write(line.encode() + b"\r")
            relay.stdin.flush()
            last = until(end)
        assert "PortID :0, ONTID :5" in last
        assert sim.ask("state")["sessions"] == [{"number": 1, "mode": 8}]
        sim.ask("drop")
        assert relay.wait(timeout=10) == 0
    assert sim.ask("state")["onts"][0]["sn"] == SN


def test_openssh_server_in_front_of_the_same_olt(sim):
    with OpenSshFront(sim) as front:
        with Console(front.folder, front.port, user=front.user, key=front.key) as console:
            assert "Huawei Integrated Access Software" in console.login()
            console.runs("enable", "undo smart", "undo interactive", "scroll", "config", "interface gpon 0/1")
            assert console.run(ADD) == (ADD + "\r\n  Number of ONTs that can be added: 1, success: 1\r\n"
                                        "  PortID :0, ONTID :5\r\n\r\nMA5608T(config-if-gpon-0/1)#")
            sim.fault("cut_after_write")
            console.send("ont modify 0 5 desc cut\r")
            assert "MA5608T" not in console.ended()
    assert sim.ask("state")["onts"][0]["desc"] == "cut"


def test_ctl_prints_one_answer(sim):
    done = subprocess.run([binary(), "ctl", sim.control, json.dumps({"op": "list"})], capture_output=True, text=True,
                          check=True)
    assert json.loads(done.stdout)["olts"][0]["port"] == sim.ports["olt-1"]
    bad = subprocess.run([binary(), "ctl", sim.control, '{"op":"state"}'], capture_output=True, text=True, check=False)
    assert bad.returncode == 1 and "no such OLT" in bad.stdout


def test_many_olts_in_one_idle_process(make_sim):
    sim = make_sim(*[olt_config(f"olt-{i}") for i in range(1, 501)])
    consoles = [sim.console(f"olt-{i}") for i in range(1, 9)]
    try:
        for console in consoles:
            console.login()
        status = pathlib.Path(f"/proc/{sim.process.pid}/status")
        wakes = lambda: int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status.read_text(), re.M)[1])
        before = wakes()
        assert consoles[0].silent(1.0)
        assert wakes() - before <= 20                           # nothing polls
    finally:
        for console in consoles:
            console.close()
    assert PASSWORD not in (sim.folder / "sim.log").read_text()
