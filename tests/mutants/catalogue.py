# SPDX-License-Identifier: Apache-2.0
"""tests/mutants/*.toml: what is broken on purpose, and the tests that must notice. README.md says how to write one."""

import collections
import re
import tomllib

FOLDER = "tests/mutants"
KINDS = ("unit", "tsan", "system", "sim", "contract")
FIELDS = {"name": str, "why": str, "file": str, "find": str, "replace": str, "tests": list}

# source = the TOML file; the other fields are those of the file.
Mutant = collections.namedtuple("Mutant", ["source", *FIELDS])
# line = where the TOML file names the mutant (1 when it has no name)
Fault = collections.namedtuple("Fault", "source line name text")


def load(sources, text_of):
    """(mutants, faults). sources: paths of TOML files; text_of(path): a file's text below the root, None when it is not there.

    A mutant with a fault is not among the mutants.
    """
    mutants, faults, owner = [], [], {}
    for source in sorted(sources):
        try:
            entries = tomllib.loads(text_of(source)).get("mutant", [])
        except tomllib.TOMLDecodeError as error:
            faults.append(Fault(source, 1, "", f"not TOML: {error}"))
            continue
        for entry in entries:
            name = entry.get("name", "") if isinstance(entry.get("name"), str) else ""
            problem = _problem(entry, text_of)
            if problem is None and name in owner:
                problem = f"the name stands in {owner[name]} too"
            if problem is None:
                owner[name] = source
                mutants.append(Mutant(source, **{field: entry[field] for field in FIELDS}))
            else:
                faults.append(Fault(source, _line_of(text_of(source), name), name, f"{name or 'a mutant'}: {problem}"))
    return mutants, faults


def broken(mutant, text):
    """The text of the mutant's file with the one replacement made."""
    assert text.count(mutant.find) == 1
    return text.replace(mutant.find, mutant.replace)


def split_test(test):
    """("system", "test_olt.py::test_x") of "system:test_olt.py::test_x"."""
    kind, _, place = test.partition(":")
    return kind, place


def _problem(entry, text_of):
    """The first thing that is wrong with a mutant, None when nothing is."""
    for field, kind in FIELDS.items():
        if not isinstance(entry.get(field), kind):
            return f"no {field}"
    unknown = sorted(set(entry) - set(FIELDS))
    if unknown:
        return f"unknown: {', '.join(unknown)}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", entry["name"]):
        return "a name has small letters, digits and hyphens"
    if not entry["why"].strip() or entry["find"] == entry["replace"] or not entry["find"]:
        return "no why, or nothing is changed"
    for test in entry["tests"] or [""]:
        if not isinstance(test, str) or split_test(test)[0] not in KINDS or not split_test(test)[1]:
            return f"a test is a kind and a name (README.md), not {test!r}"
    text = text_of(entry["file"])
    if text is None:
        return f"{entry['file']} is not there"
    count = text.count(entry["find"])
    return None if count == 1 else f"its find occurs {count} times in {entry['file']}, must be once"


def _line_of(text, name):
    at = text.find(f'"{name}"') if name else -1
    return text.count("\n", 0, at) + 1 if at >= 0 else 1
