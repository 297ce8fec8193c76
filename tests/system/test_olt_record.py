# SPDX-License-Identifier: Apache-2.0
"""silverctl device record: a transcript of an OLT, through its owner's session, ready to become a fixture."""

import json

import pytest
from olt import Field


@pytest.fixture
def field(lab, binary):
    field = Field(lab, binary, ["olt-1"]).start()
    yield field
    field.close()


def test_a_record_is_read_only_whole_and_without_the_login(field):
    field.customer().does("activated")
    olt = field.olts["olt-1"]
    before = len(olt.writes())
    sessions = olt.counters()["sessions"]["opened"]
    done = field.silverd.ctl("device", "record", "olt-1", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    entries = {entry["sent"]: entry["received"] for entry in record["entries"]}
    assert all(sent.startswith("display ") for sent in entries) and len(entries) >= 5
    assert "PRODUCT" in entries["display version"]
    assert "line_10" in entries["display ont-lineprofile gpon all"]
    assert len(olt.writes()) == before                                  # it changed nothing
    assert olt.counters()["sessions"]["max"] == 1                       # and it used the owner's session
    assert olt.counters()["sessions"]["opened"] == sessions
    assert field.sim.olts["olt-1"]["password"] not in done.stdout
    text = field.silverd.ctl("device", "record", "olt-1").stdout        # for people and for fixtures: lines as they came
    assert "> display version" in text and "PRODUCT" in text


def test_a_device_test_asks_the_device_although_its_session_is_warm(field):
    field.customer().does("activated")
    olt = field.olts["olt-1"]
    before = olt.counters()["commands"]
    [tested] = [json.loads(line) for line in field.silverd.ctl("device", "test", "olt-1", "--json").stdout.splitlines()]
    assert (tested["ok"], tested["text"]) == (True, "answers")
    assert olt.counters()["commands"] > before and olt.counters()["sessions"]["opened"] == 1
    olt.fault("silence", seconds=60)
    [tested] = [json.loads(line) for line in field.silverd.ctl("device", "test", "olt-1", "--json").stdout.splitlines()]
    assert not tested["ok"] and tested["code"].startswith("cli."), tested
