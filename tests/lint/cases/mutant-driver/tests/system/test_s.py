# SPDX-License-Identifier: Apache-2.0
def test_one():
    pass
