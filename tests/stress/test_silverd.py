# SPDX-License-Identifier: Apache-2.0
"""silverd itself under ThreadSanitizer: events, a pause, plans, a lost link, a Redis that is silent for a while, and the drain at the end."""

import json
import os
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "deploy"))

from lab import Lab, Odoo, Silverd, wait_until  # noqa: E402  (the path above comes first)

NAMES = [f"null-{n + 1}" for n in range(6)]
# A report ends the process with this code, after it was written; reports of one place are written once.
OPTIONS = {"TSAN_OPTIONS": "exitcode=66 second_deadlock_stack=1"}


def service(device):
    return {"plan": {"code": "FTTH-100", "down_kbps": 100000, "up_kbps": 50000},
            "onu": {"device": device, "serial": "HWTC1A2B3C4D", "frame": 0, "slot": 1, "port": 3, "line_profile": "10",
                    "service_profile": "10", "services": [{"name": "internet", "gemport": 1, "vlan": 100, "user_vlan": 100}]}}


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


def test_silverd_has_no_data_race(lab):
    build = pathlib.Path(os.environ["SILVER_BUILD"])
    targets = [{"id": name, "driver": "null", "null": {"latency_ms": 2}} for name in NAMES]
    silverd = Silverd(lab, build / "worker/silverd", targets, {"process": {"log_level": "info"}, "redis": {"timeout": "300ms"}},
                      env=OPTIONS).listen().start()
    odoo = Odoo(lab.rabbitmq.url(lab.vhost))
    contracts = [odoo.contract(n + 1, **service(NAMES[n % len(NAMES)])) for n in range(30)]
    wait_until(silverd.owns_everything, "all devices to be owned")
    events = [contract.event("plan_changed", plan={"down_kbps": 1000 * g + 1000}) for g in range(4) for contract in contracts]
    for number, event in enumerate(events):
        odoo.publish(event, bulk=number % 3 == 0)
    assert silverd.ctl("device", "pause", NAMES[0], "--why", "stress").returncode == 0
    assert silverd.ctl("device", "test", NAMES[1]).returncode == 0
    lab.redis.command("CLIENT", "PAUSE", 800, "ALL")
    lab.rabbitmq.close_all_connections()
    wanted = lab.folder / "event.json"
    wanted.write_text(json.dumps(contracts[1].event("plan_changed", plan={"down_kbps": 9000})), encoding="utf-8")
    silverd.ctl("plan", str(wanted), check=False)      # Redis is silent: it may say so
    silverd.ctl("worker", "list", check=False)
    wait_until(lambda: silverd.ctl("device", "resume", NAMES[0], check=False).returncode == 0, "Redis to answer silverctl again")
    for event in events:
        assert silverd.final(event, 60)["outcome"] in ("applied", "unchanged", "superseded")
    odoo.close()
    silverd.stop()
    text = silverd.process.log_text()
    reports = re.findall(r"^SUMMARY: ThreadSanitizer: .*$", text, re.MULTILINE)
    assert not reports, text[text.index("WARNING: ThreadSanitizer"):][:6000]
    assert silverd.process.returncode() == 0
