# SPDX-License-Identifier: Apache-2.0
"""Pages that say what the code says: they say the same."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_drawing_of_a_job_has_the_ways_of_the_code():
    table = re.search(r"ways\[SN_JOB_STATE_COUNT\] = \{(.*?)\n    \};", text("worker/job/job.c"), re.DOTALL).group(1)
    code = {(row, to) for row, ways in re.findall(r"\[SN_JOB_(\w+)\] = ([^,]*),", table)
            for to in re.findall(r"BIT\(SN_JOB_(\w+)\)", ways)}
    drawn = set(re.findall(r"^    (\w+) --> (\w+) :", text("docs/architecture.md"), re.MULTILINE))
    assert len(code) > 10 and drawn == code


def test_every_word_of_a_state_is_drawn():
    states = set(re.findall(r"X\(SN_JOB_(\w+), ", text("worker/job/job.h")))
    assert states and all(f" {state}" in text("docs/architecture.md") for state in states)


def test_the_page_names_every_key_of_redis():
    kinds = set(re.findall(r'sn_redis_key\("(\w)"', "".join(text(f"worker/fleet/{name}.c") for name in ("store", "rebuild", "survey"))))
    keys = text("docs/architecture.md").split("## Keys in Redis")[1].split("\n## ")[0]
    assert kinds and all(f"`{kind}:<" in keys for kind in kinds | {"k"}) and "`whole`" in keys
