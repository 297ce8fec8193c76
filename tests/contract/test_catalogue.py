# SPDX-License-Identifier: Apache-2.0
"""The catalogue of causes against the sources, the runbook and the translations."""

import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("SILVER_BUILD", ROOT / "build" / "gcc"))
CTL = ROOT / "worker" / "ctl"

LITERAL = re.compile(r'"([a-z][a-z0-9]*(?:-[a-z0-9]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*)"')
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
# Literals of the same form that are no codes: failure points, exchanges, queues and message types, settings and files.
NO_CODES = re.compile(r'SN_FAILPOINT\([^;]*;|#include[^\n]*|"(silver|contract|command|bulk)\.[^"]*"|'
                      r'"(access|auth|coa|sql|credential|broker|redis|ledger)\.(secret|password|user)"|'
                      r'"basic\.nack"|"connection\.blocked"|UTC\("[^"]*"\)|"[^"]*\.(yaml|sql|lua|json|conf)"')
# Errors of silverctl's own that end a command with a sentence of their own, whose "what to do" is in that sentence.
SELF_EXPLAINING = re.compile(r"^(usage\.|output\.|wait\.|document\.|file\.|config\.usage$|[a-z]+\.not-found$|"
                             r"event\.(invalid|no-device)$|owner\.timeout$)")


COMMAND = r"silverctl (?:(?:device|dlq|worker) [a-z]+|publish|plan|event|contract|topology|check-config)"


def codes_of(*folders):
    """{code: first file that uses it}"""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.c")):
            if path == CTL / "causes.c":
                continue
            text = NO_CODES.sub("", COMMENT.sub("", path.read_text(encoding="utf-8")))
            for code in LITERAL.findall(text):
                found.setdefault(code, path.relative_to(ROOT))
    return found


def codes_made():
    """Codes that the core makes of a driver's name (worker/job/recipe.c)."""
    schema = json.loads((ROOT / "schemas/inventory/v1/schema.json").read_text(encoding="utf-8"))
    names = schema["definitions"]["target"]["properties"]["driver"]["enum"]
    assert '"%s.unsupported"' in (ROOT / "worker/job/recipe.c").read_text(encoding="utf-8")
    return {f"{name}.unsupported": pathlib.Path("worker/job/recipe.c") for name in names}


@pytest.fixture(scope="module")
def runbook():
    return subprocess.run([BUILD / "worker/ctl/silver-runbook"], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def catalogue(runbook):
    return re.findall(r"^## (.+)$", runbook, re.MULTILINE)


def test_every_code_that_people_may_see_has_its_row(catalogue):
    used = codes_of("drivers", "worker", "common/event", "common/secret") | codes_made()
    missing = [f"{code} ({path})" for code, path in used.items()
               if code not in catalogue and not SELF_EXPLAINING.match(code)]
    assert not missing


def test_no_row_is_left_of_a_code_that_is_gone(catalogue):
    used = codes_of("drivers", "worker", "common") | codes_made()
    assert [code for code in catalogue if code not in used] == []


def test_rows_are_sorted_and_whole(catalogue, runbook):
    assert catalogue == sorted(set(catalogue))
    for section in runbook.split("\n## ")[1:]:
        sentences = re.findall(r"^- \*\*(.+?)\*\* (.+)$", section, re.MULTILINE)
        assert [heading for heading, _ in sentences] == ["What happened:", "What holds now:", "What to do:"], section
        assert all(re.search(r"[.:)_?]$|device resume _target_$|--apply$", text) or "silverctl" in text
                   for _, text in sentences), section


def test_runbook_is_the_catalogue(runbook):
    assert (ROOT / "docs/runbook.md").read_text(encoding="utf-8") == runbook, \
        "docs/runbook.md is not what worker/ctl/silver-runbook prints"


def test_page_of_commands_is_what_help_says():
    printed = subprocess.run([BUILD / "worker/ctl/silver-runbook", "commands"], capture_output=True, text=True,
                             check=True).stdout
    assert (ROOT / "docs/silverctl.md").read_text(encoding="utf-8") == printed, \
        "docs/silverctl.md is not what `silver-runbook commands` prints"


def extracted():
    """Every text that can be translated, as xgettext finds it in the sources."""
    sources = sorted(str(path) for path in CTL.rglob("*.c"))
    return subprocess.run(["xgettext", "--from-code=UTF-8", "--keyword=_", "--keyword=N_", "--keyword=P_:1,2", "--language=C", "--output=-",
                           *sources], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("language", ["es"])
def test_translation_is_complete(tmp_path, language):
    template = tmp_path / "silverctl.pot"
    template.write_text(extracted(), encoding="utf-8")
    po = CTL / "po" / f"{language}.po"
    missing = subprocess.run(["msgcmp", po, template], capture_output=True, text=True, check=False)
    assert missing.returncode == 0, missing.stderr
    unused = subprocess.run(["msgcomm", "--unique", po, template], capture_output=True, text=True, check=True).stdout
    assert "msgid" not in unused.split("\n\n", 1)[-1], unused


@pytest.mark.parametrize("language", ["es"])
def test_translation_keeps_arguments_and_commands(language):
    po = subprocess.run(["msgcat", "--no-wrap", CTL / "po" / f"{language}.po"], capture_output=True, text=True,
                        check=True).stdout
    pairs = re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', po, re.MULTILINE)
    pairs += [(many, translated) for many, translated in
              re.findall(r'^msgid_plural "(.+)"\nmsgstr\[0\] ".*"\nmsgstr\[1\] "(.*)"$', po, re.MULTILINE)]
    assert len(pairs) > 300
    for english, translated in pairs:
        for kept in (r"%\{[a-z_]+\}", COMMAND, r"silver\.[a-z_]+", r"--[a-z][a-z-]+"):
            assert sorted(re.findall(kept, english)) == sorted(re.findall(kept, translated)), (english, translated)
