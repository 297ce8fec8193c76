# SPDX-License-Identifier: Apache-2.0
"""tests/mutants/run on a small project: what is killed, what survives, and what is no answer of the tests."""

import json
import pathlib
import shutil
import subprocess

import pytest

MUTANTS = pathlib.Path(__file__).resolve().parent.parent / "mutants"

FILES = {
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES C)
enable_testing()
foreach(name one two)
    add_executable(test_${name} test.c answer.c)
    add_test(NAME test_${name} COMMAND test_${name})
endforeach()
add_executable(test_red red.c)
add_test(NAME test_red COMMAND test_red)
""",
    "answer.c": "int answer(void)\n{\n    int unused = 7;\n    return 42 + 0 * unused;\n}\n",
    "test.c": "int answer(void);\nint main(void)\n{\n    return answer() == 42 ? 0 : 1;\n}\n",
    "red.c": "int main(void)\n{\n    return 1;\n}\n",
    "words.py": 'GREETING = "good day"\nANSWER = 42\n',
    "tests/sim/test_words.py": """import pathlib
import pytest
TEXT = (pathlib.Path(__file__).parent.parent.parent / "words.py").read_text()
@pytest.mark.parametrize("word", ["good", "day"])
def test_greeting(word):
    assert word in TEXT
class TestAnswer:
    def test_number(self):
        assert "42" in TEXT
""",
}


def mutant(name, find, replace, tests, file="answer.c"):
    return (f'[[mutant]]\nname = "{name}"\nwhy = "a test"\nfile = "{file}"\nfind = \'{find}\'\nreplace = \'{replace}\'\n'
            f"tests = {json.dumps(tests)}\n\n")


def make_project(folder, *mutants):
    shutil.copytree(MUTANTS, folder / "tests" / "mutants", ignore=shutil.ignore_patterns("*.toml", "__pycache__"))
    (folder / "tests" / "mutants" / "area.toml").write_text("".join(mutants))
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".gitignore").write_text("/build/\n")
    subprocess.run(["git", "init", "-q", folder], check=True)


def run(folder, *words):
    """(exit code, {mutant: verdict}, what was said)"""
    done = subprocess.run([folder / "tests" / "mutants" / "run", "--json", *words], capture_output=True, text=True,
                          check=False)
    return done.returncode, {one["name"]: one for one in json.loads(done.stdout or "[]")}, done.stderr


def test_killed_survived_and_neither(tmp_path):
    both = ["unit:test_one", "unit:test_two"]
    make_project(
        tmp_path,
        mutant("wrong-answer", "42", "41", both),
        mutant("same-answer", "unused = 7", "unused = 8", both),
        mutant("no-c", "return", "retrun", both),
        mutant("no-test", "42", "41", ["unit:test_three"]),
        mutant("red-before", "42", "41", ["unit:test_one", "unit:test_red"]),
        mutant("no-greeting", "day", "night", ["sim:test_words.py::test_greeting"], "words.py"),
        mutant("one-notices", "42", "41", ["sim:test_words.py::TestAnswer::test_number", "sim:test_words.py::test_greeting"],
               "words.py"))
    code, verdicts, _ = run(tmp_path, "-j", "2")
    assert code == 1
    assert {name: one["result"] for name, one in verdicts.items()} == {
        "wrong-answer": "killed", "same-answer": "survived", "no-c": "error", "no-test": "error", "red-before": "error",
        "no-greeting": "killed", "one-notices": "survived"}
    assert "unit:test_one" in verdicts["same-answer"]["why"] and "unit:test_two" in verdicts["same-answer"]["why"]
    assert "retrun" in verdicts["no-c"]["why"]
    assert "unit:test_three" in verdicts["no-test"]["why"]
    assert verdicts["red-before"]["why"].endswith("unit:test_red")
    assert verdicts["one-notices"]["why"] == "passed: sim:test_words.py::test_greeting"
    for name, text in FILES.items():        # neither the tree nor a copy stays broken
        assert (tmp_path / name).read_text() == text
        for copy in (tmp_path / "build" / "mutants").glob("*/tree"):
            assert (copy / name).read_text() == text


def test_chosen_mutants_and_what_the_tree_has_become(tmp_path):
    make_project(tmp_path, mutant("wrong-answer", "42", "41", ["unit:test_one"]),
                 mutant("same-answer", "unused = 7", "unused = 8", ["unit:test_one"]))
    code, verdicts, _ = run(tmp_path, "wrong-answer")
    assert (code, list(verdicts)) == (0, ["wrong-answer"])
    (tmp_path / "test.c").write_text("int main(void)\n{\n    return 0;\n}\n")     # a test that cannot fail any more
    code, verdicts, _ = run(tmp_path, "wrong-answer")
    assert (code, verdicts["wrong-answer"]["result"]) == (1, "survived")


@pytest.mark.parametrize("words,code,text", [
    (["unknown"], 64, "no such mutant: unknown"),
    (["twice"], 1, "occurs 2 times in answer.c"),
])
def test_what_cannot_be_run_is_said(tmp_path, words, code, text):
    make_project(tmp_path, mutant("twice", "unused", "used", ["unit:test_one"]),
                 mutant("wrong-answer", "42", "41", ["unit:test_one"]))
    ended, verdicts, said = run(tmp_path, *words)
    assert (ended, verdicts) == (code, {})
    assert text in said
