# SPDX-License-Identifier: Apache-2.0
"""silverd reaches its OLT through OpenSSH's server with a key: driver and simulator do not share one SSH library."""

import subprocess
import sys

import pytest

from conftest import ROOT
from olt import Field, LIMITS

sys.path.insert(0, str(ROOT / "tests" / "sim"))

from simulator import OpenSshFront  # noqa: E402  (the path above comes first)


class FieldBehindSshd(Field):
    """One OLT whose consoles are reached through an sshd."""

    def target(self, olt):
        self.front = OpenSshFront(self.sim, olt)
        shown = subprocess.run(["ssh-keygen", "-l", "-f", self.front.folder / "host_key"], capture_output=True, text=True, check=True)
        key = self.lab.secret("olt-key", self.front.key.read_text(encoding="utf-8"))
        return {"id": olt, "driver": "huawei-smartax", "address": "127.0.0.1", "port": self.front.port, "limits": dict(LIMITS),
                "credential": {"user": self.front.user, "private_key": key}, "host_key": shown.stdout.split()[1]}


@pytest.fixture
def field(lab, binary):
    field = FieldBehindSshd(lab, binary, ["olt-1"]).start()
    yield field
    field.close()
    field.front.stop()


def test_life_of_a_contract_through_openssh(field):
    ana = field.customer()
    for kind, changes in (("activated", {}), ("plan_changed", {"plan": (200000, 80000)}), ("suspended", {}), ("resumed", {}),
                          ("onu_swapped", {"serial": ana.hang_up()}), ("terminated", {})):
        ana.does(kind, kind if kind in ("suspended", "terminated") else "active", **changes)
        field.check()
    olt = field.olts["olt-1"]
    bob = field.customer()
    olt.fault("cut_after_write", match="^ont add")
    bob.does("activated")
    assert olt.fired() == 1
    field.check()
