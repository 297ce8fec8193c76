# SPDX-License-Identifier: Apache-2.0
"""Rules about the proofs: the mutants (tests/mutants), and the tests and mutants that docs/guarantees.md names."""

import ast
import pathlib
import re
import sys

from rules import SHARED_BY_DRIVERS, rule

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mutants"))

import catalogue  # noqa: E402  (the path above comes first)

GUARANTEES = "docs/guarantees.md"
FOLDERS = ("system/", "unit/", "stress/", "contract/", "sim/", "chaos/", "fuzz/", "lint/", "bench/")      # below tests/
DRIVER_MUTANTS = 2      # at least so many for each driver, noticed by unit tests


def _load(tree):
    sources = [path for path in tree.files if re.fullmatch(rf"{catalogue.FOLDER}/[^/]+\.toml", path)]
    return catalogue.load(sources, lambda path: tree.text(path) if path in tree.files else None)


@rule
def mutant(tree):
    """Each mutant changes exactly one place, and its tests exist."""
    mutants, faults = _load(tree)
    for fault in faults:
        yield fault.source, fault.line, fault.name, fault.text
    for one in mutants:
        for test in one.tests:
            kind, place = catalogue.split_test(test)
            if kind in ("unit", "tsan"):
                there = _has_ctest(tree, place)
            else:
                path, _, node = place.partition("::")
                there = path.endswith(".py") and _has_node(tree, f"tests/{kind}/{path}", node)
            if not there:
                yield one.source, _line_of(tree, one.source, one.name), one.name, f"{one.name}: no test {test}"


@rule
def mutant_driver(tree):
    """Each driver has mutants that its unit tests notice."""
    fast = [one.file for one in _load(tree)[0] if all(test.startswith("unit:") for test in one.tests)]
    drivers = {path.split("/")[1] for path in tree.named(".c", under=("drivers",)) if path.count("/") == 2}
    for driver in sorted(drivers - set(SHARED_BY_DRIVERS)):
        count = sum(path.startswith(f"drivers/{driver}/") for path in fast)
        if count < DRIVER_MUTANTS:
            yield f"drivers/{driver}", 1, "", f"{count} mutants that unit tests notice, {DRIVER_MUTANTS} are wanted"


@rule
def guarantee_row(tree):
    """Every row of the tables names tests and mutants, and they exist. The name of a row is its first cell without blanks."""
    if GUARANTEES not in tree.files:
        return
    known = {one.name for one in _load(tree)[0]}
    for number, cells in _rows(tree):
        name = re.sub(r"[^A-Za-z0-9]+", "-", cells[0]).strip("-")
        tests, faults = _tests_of(tree, re.findall(r"`([^`]+)`", cells[2]))
        if not tests:
            faults.append("names no test")
        mutants = re.findall(r"`([^`]+)`", cells[3])
        if not mutants:
            faults.append("names no mutant")
        faults += [f"no mutant {one}" for one in mutants if one not in known]
        for fault in faults:
            yield GUARANTEES, number, name, f"{name}: {fault}"


def _rows(tree):
    """(line number, four cells) of each row of a table whose last column is `seen failing`."""
    inside = False
    for number, line in tree.lines(GUARANTEES):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[-1] == "seen failing":
            inside = len(cells) == 4
        elif inside and not set(line) <= set("|-: "):
            yield number, cells


def _tests_of(tree, items):
    """(items that are tests, what is wrong with them). `::node` and `-k x` belong to the file named before them."""
    tests, faults, path = [], [], ""
    for item in items:
        place, _, expression = item.partition("-k ")
        place, _, node = place.strip().partition("::")
        if place.startswith(FOLDERS):
            path = f"tests/{place}"
        elif place:
            if place.split()[0] in tree.files:      # a command of this tree
                tests.append(item)
            continue
        tests.append(item)
        if not any(file == path or file.startswith(f"{path}/") for file in tree.files):
            faults.append(f"no file {path}")
        elif node and not _has_node(tree, path, node):
            faults.append(f"no test {node} in {path}")
        elif expression and not _selects(tree, path, expression.strip().strip('"')):
            faults.append(f"-k {expression} selects nothing in {path}")
    return tests, faults


def _has_node(tree, path, node):
    """A test function of a pytest or cmocka file; an empty node is the whole file."""
    name = node.split("::")[-1].split("[")[0]
    if not node:
        return path in tree.files
    if path.endswith(".py"):
        return any(name in words[:1] for words in _pytest_names(tree, path))
    return re.search(rf"\b{re.escape(name)}\s*\(\s*void\s*\*\*", tree.text(path)) is not None


def _pytest_names(tree, path):
    """Per test: its name, then what else -k looks at: the file, the class, words of the decorators (ids of parameters)."""
    def walk(body, outer):
        for one in body:
            if isinstance(one, ast.ClassDef):
                yield from walk(one.body, [*outer, one.name])
            elif isinstance(one, ast.FunctionDef) and one.name.startswith("test"):
                yield [one.name, *outer, *(ast.unparse(word) for word in one.decorator_list)]
    return list(walk(ast.parse(tree.text(path)).body, [pathlib.PurePosixPath(path).name]))


def _selects(tree, path, expression):
    """Does pytest's -k expression fit a test of the file? Parameters that are made at run time are not seen."""
    words = re.findall(r"[\w.\[\]-]+|[()]", expression)
    for names in _pytest_names(tree, path) if path.endswith(".py") else []:
        text = "\n".join(names).lower()
        truth = [word if word in ("and", "or", "not", "(", ")") else str(word.lower() in text) for word in words]
        if _evaluate(truth):
            return True
    return False


def _evaluate(words):
    """The value of True, False, and, or, not and parentheses, by descent."""
    def either(at):
        value, at = both(at)
        while at < len(words) and words[at] == "or":
            other, at = both(at + 1)
            value = value or other
        return value, at

    def both(at):
        value, at = one(at)
        while at < len(words) and words[at] == "and":
            other, at = one(at + 1)
            value = value and other
        return value, at

    def one(at):
        if words[at] == "not":
            value, at = one(at + 1)
            return not value, at
        if words[at] == "(":
            value, at = either(at + 1)
            return value, at + 1
        return words[at] == "True", at + 1

    return either(0)[0]


def _has_ctest(tree, name):
    """Is there a unit test, a stress test, or the replay of a fuzz target, of that name?"""
    pattern = re.compile(rf"sn_(?:unit|alloc|stress)_test\(\s*{re.escape(name)}[\s)]|sn_fuzz_target\(\s*{re.escape(name.removesuffix('_replay'))}\s")
    return any(pattern.search(tree.text(path)) for path in tree.named("CMakeLists.txt", under=("tests",)))


def _line_of(tree, path, name):
    for number, line in tree.lines(path):
        if f'"{name}"' in line:
            return number
    return 1
