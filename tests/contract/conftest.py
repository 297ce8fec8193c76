# SPDX-License-Identifier: Apache-2.0
"""What the contract tests share: the schemas, their examples, and schema-check (see schema-check.c)."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "schemas" / "examples"
NAMES = ("event", "result", "ctl", "inventory")


def load_schema(name):
    return json.loads((ROOT / "schemas" / name / "v1" / "schema.json").read_text())


@pytest.fixture(scope="session")
def schema_check():
    """schema_check(*words, text=None): the JSON lines that schema-check prints."""
    build = pathlib.Path(os.environ.get("SILVER_BUILD", ROOT / "build" / "gcc"))
    program = build / "tests" / "contract" / "schema-check"
    assert program.exists(), f"{program} is not built"

    def check(*words, text=None):
        done = subprocess.run([program, *map(str, words)], input=text, capture_output=True, text=True, check=False,
                              timeout=120)
        assert done.returncode == 0, f"schema-check {words[:2]} ended with {done.returncode}: {done.stderr[-2000:]}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    return check
