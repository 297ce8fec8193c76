# SPDX-License-Identifier: Apache-2.0
"""The corpora in schemas/examples: valid ones pass, invalid ones are refused where and why the side file says."""

import json

import pytest

from conftest import EXAMPLES, NAMES


def invalid(name):
    return json.loads((EXAMPLES / "invalid" / f"{name}.expected.json").read_text())


def files(kind, name):
    return sorted(path for path in (EXAMPLES / kind / name).iterdir())


@pytest.mark.parametrize("name,least_valid,least_invalid",
                         [("event", 12, 40), ("result", 5, 10), ("ctl", 5, 10), ("inventory", 5, 10)])
def test_corpus_is_whole(name, least_valid, least_invalid):
    assert len(files("valid", name)) >= least_valid
    assert len(files("invalid", name)) >= least_invalid
    assert {path.name for path in files("invalid", name)} == set(invalid(name)), "side file and folder differ"


@pytest.mark.parametrize("name", NAMES)
def test_valid_examples_pass(schema_check, name):
    lines = schema_check("shape", name, *files("valid", name))
    assert [line for line in lines if not line["ok"]] == []


def test_valid_events_are_read(schema_check):
    lines = schema_check("event", "--source", "odoo/prod", *files("valid", "event"))
    assert [(line["name"], line.get("code"), line.get("rule")) for line in lines if line["outcome"] != "ok"] == []
    assert {line["name"].rsplit("/")[-1] for line in lines if line["disagrees"]} == {"17-type-and-state-disagree.json"}
    assert all(line["routing"] for line in lines)


def test_the_life_of_a_contract_is_covered(schema_check):
    types = {line["type"] for line in schema_check("event", *files("valid", "event"))}
    life = {f"contract.{word}" for word in ("activated", "plan_changed", "suspended", "resumed", "onu_swapped", "moved",
                                            "terminated", "reconcile", "cleanup")}
    assert life <= types
    assert any(kind.startswith("command.") for kind in types)


def test_msgpack_and_json_are_one_event(schema_check):
    json_line, msgpack_line = schema_check("event", EXAMPLES / "valid/event/01-activated.json",
                                           EXAMPLES / "valid/event/18-activated.msgpack")
    assert json_line["rev"] == msgpack_line["rev"]
    json_line["body"].pop("id")
    msgpack_line["body"].pop("id")
    assert json_line["body"] == msgpack_line["body"]


def test_a12_malformed_events(schema_check):
    expected = invalid("event")
    lines = schema_check("event", *files("invalid", "event"))
    assert len(lines) == len(expected)
    for line in lines:
        name = line["name"].rsplit("/")[-1]
        want = expected[name]
        said = (line["outcome"], line.get("code"), line.get("path"))
        assert said == (want["outcome"], want["code"], want["path"]), name
        assert line["rule"].startswith(want["rule"]), f"{name}: {line['rule']}"
        assert len(line["id"]) == 36, name


def test_a12_refusals_hold_no_control_bytes_and_no_values(schema_check):
    for line in schema_check("event", *files("invalid", "event")):
        words = " ".join(str(line.get(key)) for key in ("code", "path", "rule", "id", "ref", "routing"))
        assert words.isprintable(), line["name"]
        for value in ("DROP TABLE", "undo ont", "/etc/shadow", "rm -rf", "reboot"):
            assert value not in words, line["name"]


@pytest.mark.parametrize("name", ["result", "ctl", "inventory"])
def test_invalid_examples_are_refused(schema_check, name):
    expected = invalid(name)
    lines = schema_check("shape", name, *files("invalid", name))
    assert len(lines) == len(expected)
    for line in lines:
        file = line["name"].rsplit("/")[-1]
        want = expected[file]
        assert not line["ok"], file
        assert line["code"] == want.get("code", "shape"), file
        if "path" in want:
            assert line["path"] == want["path"], file
            assert line["rule"].startswith(want["rule"]), file


def test_other_sources_are_rejected(schema_check):
    (line,) = schema_check("event", "--source", "odoo/staging", EXAMPLES / "valid/event/01-activated.json")
    assert (line["outcome"], line.get("code"), line.get("path")) == ("rejected", "event.source", "/source")


def test_inline_secrets(schema_check):
    path = EXAMPLES / "valid/event/10-inline-secret.json"
    (line,) = schema_check("event", "--no-inline", path)
    said = (line["outcome"], line.get("code"), line.get("path"))
    assert said == ("dead", "event.inline-secret", "/service/access/password")
    (line,) = schema_check("event", path)
    text = json.dumps(line["body"], ensure_ascii=False)
    for secret in ("clave de Ana 7", "wan-clave", "wifi-clave-1"):
        assert secret in path.read_text()
        assert secret not in text
    assert text.count("sealed:") == 3
