# SPDX-License-Identifier: Apache-2.0
"""Debian's json-schema-test-suite, draft-07: no wrong verdict; what does not compile is counted by its reason."""

import collections
import pathlib
import re

SUITE = pathlib.Path("/usr/share/json-schema-test-suite/tests/draft7")

# Keywords and references that our schemas do not use, hence the interpreter refuses to compile.
NOT_KNOWN = re.compile(r"""unknown\ keyword\ "(format|contentMediaType|contentEncoding|\$id)"
                         | not\ a\ reference\ into\ this\ document
                         | unknown\ keyword\ "tilda~field"  # a referenced part beside the keywords""", re.X)


def test_no_wrong_verdict(schema_check):
    lines = schema_check("suite", *sorted(SUITE.rglob("*.json")))
    wrong, right, skipped, strange = [], 0, collections.Counter(), []
    for line in lines:
        if "skipped" not in line:
            right += line["expected"] == line["got"]
            if line["expected"] != line["got"]:
                wrong.append(f"{pathlib.Path(line['name']).name}: {line['group']}: {line['test']}")
        elif line["skipped"] == "file":  # optional/bignum.json: what the loader refuses anyway
            skipped["integers beyond 64 bits"] += 1
        else:
            reason = NOT_KNOWN.search(line["why"])
            skipped[reason.group(0) if reason else line["why"]] += line["tests"]
            if not reason:
                strange.append(line["why"])
    print(f"\n{right} verdicts right, {len(wrong)} wrong; skipped:")
    for reason, count in skipped.most_common():
        print(f"{count:5} {reason}")
    assert wrong == []
    assert strange == [], "a schema of the suite was refused for a reason that is not listed"
    assert right >= 397, "fewer cases than before were judged"
