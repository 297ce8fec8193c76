# SPDX-License-Identifier: Apache-2.0
"""An OLT that asks for the password by keyboard-interactive, and takes no other method."""

import pytest
from olt import Field


@pytest.fixture
def field(lab, binary):
    field = Field(lab, binary, ["olt-1"])
    yield field
    field.close()


def test_a_login_by_questions_answers_each_once(field):
    """The password is said once; asked again, it was wrong, and a person must look before the account is locked."""
    olt = field.olts["olt-1"]
    olt.set(interactive_only=True)
    field.start()
    field.customer().does("activated")
    field.check()
    olt.set(password="another")
    olt.ask("drop")
    event = field.customer().publish("activated")
    assert field.gate("olt-1", "ssh.auth")["lock"] == "person"
    assert olt.counters()["login_failures"] == 1
    olt.set(password=field.sim.olts["olt-1"]["password"])
    field.silverd.ctl("device", "resume", "olt-1")
    field.good(event)
    field.check()
