# SPDX-License-Identifier: Apache-2.0
"""A silverd that owns two null devices, for tests of what stands around it: Redis, broker, ledger, process."""

import json
import re

import pytest
from lab import Odoo, Silverd, http_get, wait_until
from test_null import SERVICE

# Short lives: a lease is over in a second, a Redis that does not answer is unsure after less than half of that.
QUICK = {"session": {"ttl": "900ms", "margin": "200ms"}, "redis": {"timeout": "400ms", "check_every": "100ms"}}
DEVICES = ("null-1", "null-2")


class Fleet:
    """A silverd that owns two null devices, and contracts one after the other."""

    def __init__(self, lab, program, name="nullfleet", settings=None, env=None, **null):
        self.lab = lab
        folder = lab.new_folder(name)
        self.network = {device: folder / f"{device}.json" for device in DEVICES}
        merged = {section: {**QUICK.get(section, {}), **(settings or {}).get(section, {})} for section in {**QUICK, **(settings or {})}}
        self.silverd = Silverd(lab, program, self.targets(**null), merged, folder.name, env=env).listen()
        self.odoo = Odoo(lab.rabbitmq.url(lab.vhost))
        self.count = 0

    def targets(self, **null):
        return [{"id": device, "driver": "null", "null": {"file": str(path), **null}} for device, path in self.network.items()]

    def start(self):
        """Started and owning its devices."""
        self.silverd.start()
        wait_until(self.silverd.owns_everything, "the worker to own its devices")
        return self

    def contract(self, device="null-1"):
        self.count += 1
        return self.odoo.contract(self.count, **{**SERVICE, "onu": {**SERVICE["onu"], "device": device}})

    def held(self, device="null-1"):
        path = self.network[device]
        return json.loads(path.read_text()) if path.exists() else {}

    def health(self):
        """What /healthz?verbose says; it must be well."""
        status, text = http_get(f"http://127.0.0.1:{self.silverd.port}/healthz?verbose", 10)
        assert status == 200, text
        return text

    def measured(self, name):
        text = http_get(f"http://127.0.0.1:{self.silverd.port}/metrics", 10)[1]
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M).group(1))

    def log(self):
        return self.silverd.process.log_text()

    def queue(self, device="null-1"):
        return self.lab.rabbitmq.queues(self.lab.vhost)[f"silver.device.{device}"]

    def applied(self, event):
        """Ended well, and no attempt was spent on the way."""
        result = self.silverd.final(event)
        assert (result["outcome"], result["attempt"]) == ("applied", 1), result
        assert self.silverd.outcomes(event["id"]) == {"applied"}
        return result

    def close(self):
        self.odoo.close()


@pytest.fixture
def fleet(lab, binary):
    """fleet(settings={}, env={}, **null): a Fleet, not yet started."""
    made = []

    def make(settings=None, env=None, **null):
        made.append(Fleet(lab, binary("worker/silverd"), settings=settings, env=env, **null))
        return made[-1]
    yield make
    for one in made:
        one.close()
