# SPDX-License-Identifier: Apache-2.0
"""The session with one OLT: what its login costs."""

import pathlib

import pytest
from olt import LIMITS, Field


@pytest.fixture
def field(lab, binary):
    field = Field(lab, binary, ["olt-1"])
    yield field
    field.close()


def test_a_slow_login_takes_nothing_from_the_time_of_a_read(field):
    """The login takes longer than a read may; the first read after it has its whole time."""
    field.silverd.write_inventory([field.target("olt-1", limits={**LIMITS, "read_ms": 500})])
    field.olts["olt-1"].set(latency_for=[{"match": "^enable", "ms": 1000}])
    field.start()
    field.customer().does("activated")
    assert "gate closed" not in pathlib.Path(field.silverd.process.log).read_text(encoding="utf-8")
    field.check()
