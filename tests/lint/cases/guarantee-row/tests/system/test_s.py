# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.mark.parametrize("what", [1, 2], ids=["slow-device", "fast"])
def test_one(what):
    pass


class TestGroup:
    def test_a04_inside(self):
        pass
