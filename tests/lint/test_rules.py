# SPDX-License-Identifier: Apache-2.0
"""Each rule is seen failing on a small bad tree (cases/<rule>, what is found in cases/<rule>.expected), and quiet on the good
lines beside them."""

import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import proofs  # noqa: E402,F401  (its rules enter RULES)
from rules import FILE_LINES, FUNCTION_LINES, RULES  # noqa: E402  (the path above comes first)

CASES = sorted(path.stem for path in (HERE / "cases").glob("*.expected"))
GENERATED = {"function-size", "file-size"}      # their trees would be long


def lint(root):
    """(exit code, findings without the line that counts)"""
    done = subprocess.run([HERE / "check", root], capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines()[:-1]


def of_rule(findings, name):
    return [line for line in findings if line.split(": ")[1] == name]


@pytest.mark.parametrize("name", CASES)
def test_bad_tree_is_found(name):
    code, findings = lint(HERE / "cases" / name)
    expected = (HERE / "cases" / f"{name}.expected").read_text().splitlines()
    if name == "exceptions":
        assert [line for line in findings if ": licence: " not in line] == expected
    else:
        assert of_rule(findings, name) == expected
    assert code == 1


def test_every_rule_has_a_case():
    assert set(CASES) - {"exceptions"} | GENERATED == set(RULES)


def test_good_tree_is_quiet(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common/a.c").write_text('/* SPDX-License-Identifier: Apache-2.0 */\n#include "common/a.h"\n')
    assert lint(tmp_path) == (0, [])


def test_long_function(tmp_path):
    for name, lines in (("fits", FUNCTION_LINES), ("long", FUNCTION_LINES + 1)):
        body = "    call();\n" * (lines - 3)
        (tmp_path / f"{name}.c").write_text(f"int {name}_c(void)\n{{\n{body}}}\n")
        (tmp_path / f"{name}.py").write_text(f"def {name}_py():\n" + "    call()\n" * (lines - 1))
    findings = of_rule(lint(tmp_path)[1], "function-size")
    assert findings == [f"long.c:1: function-size: long_c has {FUNCTION_LINES + 1} lines, {FUNCTION_LINES} are enough",
                        f"long.py:1: function-size: long_py has {FUNCTION_LINES + 1} lines, {FUNCTION_LINES} are enough"]


def test_long_file(tmp_path):
    for name, lines in (("fits.c", FILE_LINES), ("long.c", FILE_LINES + 1), ("data.json", 5000)):
        (tmp_path / name).write_text("\n" * lines)
    assert of_rule(lint(tmp_path)[1], "file-size") == [
        f"long.c:{FILE_LINES + 1}: file-size: {FILE_LINES + 1} lines, {FILE_LINES} are enough"]


def test_what_git_ignores_is_not_looked_at(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("/build/\n")
    (tmp_path / "build").mkdir()
    (tmp_path / "build/a.c").write_text("int a;\n")
    (tmp_path / "b.c").write_text("int b;\n")               # not yet added: looked at
    assert [line.split(":")[0] for line in lint(tmp_path)[1]] == ["b.c"]
