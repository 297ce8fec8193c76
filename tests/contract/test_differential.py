# SPDX-License-Identifier: Apache-2.0
"""Our interpreter and python3-jsonschema say the same of the corpora and of mutations of them (fixed seed)."""

import copy
import json
import random
import re

import jsonschema
import pytest
import yaml

from conftest import EXAMPLES, NAMES, load_schema

SEED = 20261123
MUTATIONS = {"event": 4000, "result": 1500, "ctl": 1500, "inventory": 1500}

ODD = [
    None, True, False, 0, 1, -1, 1.0, 1.5, 2 ** 53 - 1, 4095, "", " ", "x", "CT-1", "olt-7", "a" * 64, "a" * 300,
    "ñandú", "line\nline", "ends with newline\n", "\x1b[2J", "quote\"", "back\\slash", "semi;colon", "100.64.0.10", "0" * 16,
    [], {}, [1, 1], [[]], {"$secret": "vault:a#b"}, {"$secret": "file:/etc/shadow"}, {"x_a": 1},
    {"a": {"b": {"c": []}}},
    "5e0b1f2a-0000-4000-8000-000000000001", "2026-11-23T04:00:00Z", "2026-11-23", "contract.moved",
    "command.onu-reboot", "suspended", "terminated", "final", "dead", "port",
]
NAMES_TO_ADD = [
    "x_note", "x_", "extra", "schema", "type", "service", "command", "cleanup", "onu", "access", "plan", "waiting",
    "code", "letter", "device", "kind", "output", "driver", "port", "vlan",
]


def for_python(schema):
    """Python's `$` also matches before a last newline; ours, as ECMA's, does not."""
    if isinstance(schema, list):
        return [for_python(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    fixed = {key: for_python(value) for key, value in schema.items()}
    if isinstance(fixed.get("pattern"), str):
        fixed["pattern"] = re.sub(r"\$$", r"\\Z", fixed["pattern"])
    if isinstance(fixed.get("patternProperties"), dict):
        patterns = fixed["patternProperties"].items()
        fixed["patternProperties"] = {re.sub(r"\$$", r"\\Z", key): value for key, value in patterns}
    return fixed


def corpus(name):
    """Every example that is a document at all: what the loader refuses (too deep, too big) has no shape to compare."""
    found = []
    side = {key: want for kind in NAMES
            for key, want in json.loads((EXAMPLES / "invalid" / f"{kind}.expected.json").read_text()).items()}
    for kind in ("valid", "invalid"):
        for path in sorted((EXAMPLES / kind / name).iterdir()):
            try:
                text = path.read_text()
                document = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
                if side.get(path.name, {}).get("code") != "event.syntax":
                    found.append(document)
            except (ValueError, RecursionError, yaml.YAMLError):
                continue  # syntax is the loader's business
    return found


def places(value, path=()):
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from places(member, (*path, key))


def bounds(schema):
    """The numbers that a schema compares with: where an error of one hides."""
    if isinstance(schema, list):
        return {number for part in schema for number in bounds(part)}
    if not isinstance(schema, dict):
        return set()
    own = {schema[key] for key in ("minimum", "maximum") if isinstance(schema.get(key), int)}
    return own | {number for part in schema.values() for number in bounds(part)}


def mutate(document, limits, chance):
    document = copy.deepcopy(document)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        everywhere = [path for path in places(document) if path]
        if not everywhere:
            return chance.choice(ODD)
        *parents, last = chance.choice(everywhere)
        owner = document
        for key in parents:
            owner = owner[key]
        deed = chance.choice(["replace", "replace", "remove", "add", "nudge", "nudge", "copy"])
        if isinstance(owner[last], int):
            deed = "nudge"
        if deed == "remove":
            del owner[last]
        elif deed == "add" and isinstance(owner, dict):
            owner[chance.choice(NAMES_TO_ADD)] = copy.deepcopy(chance.choice(ODD))
        elif deed == "add":
            owner.append(copy.deepcopy(chance.choice([*ODD, *owner])))
        elif deed == "copy" and isinstance(owner, dict):
            owner[chance.choice([*owner, *NAMES_TO_ADD])] = copy.deepcopy(owner[last])
        elif deed == "nudge" and isinstance(owner[last], str):
            text = owner[last]
            at = chance.randrange(len(text) + 1)
            put = chance.choice(["", "a", "A", "0", " ", "\n", "-", "é", "."])
            owner[last] = text[:at] + put + text[at + chance.randrange(2):]
        elif deed == "nudge" and isinstance(owner[last], int) and limits:
            owner[last] = chance.choice(limits) + chance.choice([-1, 0, 0, 1])
        else:
            owner[last] = copy.deepcopy(chance.choice(ODD))
    return document


def readable(value):
    """Within what the loader takes: integers up to 2^53 - 1."""
    if isinstance(value, dict):
        return all(readable(member) for member in value.values())
    if isinstance(value, list):
        return all(readable(member) for member in value)
    return not isinstance(value, int) or abs(value) < 2 ** 53


@pytest.mark.parametrize("name", NAMES)
def test_same_verdicts_as_python(schema_check, name):
    schema = load_schema(name)
    jsonschema.Draft7Validator.check_schema(schema)
    python = jsonschema.Draft7Validator(for_python(schema))
    chance = random.Random(f"{SEED} {name}")
    documents = [document for document in corpus(name) if readable(document)]
    seeds = [document for document in documents if python.is_valid(document)]
    limits = sorted(bounds(schema))
    assert len(seeds) >= 5
    while len(documents) < MUTATIONS[name]:
        document = mutate(chance.choice(seeds), limits, chance)
        if readable(document):
            documents.append(document)
    lines = schema_check("shape", name, text="".join(json.dumps(document) + "\n" for document in documents))
    assert len(lines) == len(documents)
    different = [document for document, line in zip(documents, lines) if line["ok"] != python.is_valid(document)]
    valid = sum(line["ok"] for line in lines)
    print(f"\n{name}: {len(documents)} documents, {valid} valid, {len(different)} judged differently (seed {SEED})")
    assert all(line["ok"] or line["code"] == "shape" for line in lines), "the loader refused what has a shape"
    assert not different, json.dumps(different[0])
    assert valid >= len(documents) // 20, "the mutations are too wild to say anything"
