# SPDX-License-Identifier: Apache-2.0
"""silverd as a process: what it refuses to start with, what it shows over HTTP, what it keeps to itself."""

import json
import os
import pathlib
import re
import resource
import subprocess
import urllib.request

import pytest

from lab import Odoo, Silverd

SAMPLE = re.compile(r'^(?P<name>silver_[a-z_]+)(?P<labels>\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? '
                    r'(?P<value>-?[0-9.e+-]+|[+-]Inf|NaN)$')
SERVICE = {"plan": {"code": "FTTH-100", "down_kbps": 100000, "up_kbps": 50000},
           "onu": {"device": "null-1", "serial": "HWTC1A2B3C4D", "frame": 0, "slot": 1, "port": 3,
                   "line_profile": "10", "service_profile": "10",
                   "services": [{"name": "internet", "gemport": 1, "vlan": 100, "user_vlan": 100}]}}


@pytest.fixture
def silverd(lab, binary):
    network = lab.folder / "process-network.json"
    network.unlink(missing_ok=True)
    return Silverd(lab, binary("worker/silverd"), [{"id": "null-1", "driver": "null", "null": {"file": str(network)}}])


def get(silverd, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{silverd.port}{path}", timeout=10) as answer:
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def samples_of(text):
    """{name and labels: value}; fails on a line that is neither a sample nor HELP or TYPE of a family that follows."""
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            assert word in ("HELP", "TYPE"), line
            if word == "TYPE":
                types[name] = rest
            continue
        sample = SAMPLE.match(line)
        assert sample, line
        family = re.sub(r"_(bucket|sum|count)$", "", sample["name"]) if sample["name"] not in types else sample["name"]
        assert family in types, line
        samples[sample["name"] + (sample["labels"] or "")] = float(sample["value"])
    return samples


def test_metrics_say_what_happened(silverd, lab, wait):
    silverd.listen()
    silverd.start()
    odoo = Odoo(lab.rabbitmq.url(lab.vhost))
    try:
        silverd.final(odoo.contract(1, **SERVICE).publish("activated"))
        silverd.final(odoo.contract(2, **SERVICE).publish("suspended", state="active", onu={"serial": "HWTC00000002"}))
    finally:
        odoo.close()
    status, content_type, text = get(silverd, "/metrics")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    samples = samples_of(text)
    assert samples['silver_outcomes_total{outcome="applied"}'] == 2
    assert samples['silver_event_seconds_count{outcome="applied"}'] == 2
    assert samples['silver_event_type_disagrees_total{type="contract.suspended"}'] == 1
    exchanges = samples['silver_exchange_seconds_count{driver="null"}']
    assert exchanges >= 2, "at least a read and a write"
    assert samples['silver_exchange_seconds_bucket{driver="null",le="+Inf"}'] == exchanges
    assert samples['silver_device_owned{device="null-1"}'] == 1
    assert samples['silver_device_gate_open{device="null-1"}'] == 1
    assert samples["silver_store_unsure"] == 0
    for link in ("silver_broker_consumer_up", "silver_broker_publisher_up", "silver_ledger_database_up"):
        assert samples[link] == 1, link
    wait(lambda: samples_of(get(silverd, "/metrics")[2])["silver_ledger_written_total"] >= 1, "the ledger's count")
    wait(lambda: samples_of(get(silverd, "/metrics")[2])["silver_jobs_in_hand"] == 0, "the acknowledgement")
    assert samples_of(get(silverd, "/metrics")[2])["silver_jobs_done_total"] == 2


def test_probes_answer(silverd):
    silverd.start()
    assert get(silverd, "/healthz")[::2] == (200, "ok\n")
    assert get(silverd, "/readyz")[::2] == (200, "ready\n")
    assert "device null-1: " in get(silverd, "/healthz?verbose")[2]


@pytest.fixture
def cores_allowed():
    """Core dumps are allowed here, so that a child that writes none has seen to it."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    if before[1] == 0:
        pytest.skip("core dumps are forbidden on this machine")
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.parametrize("asked_for", [False, True])
def test_a13_no_core_unless_asked_for(silverd, cores_allowed, asked_for):
    silverd.settings["process"]["core_dumps"] = asked_for
    silverd.config.write_text(json.dumps(silverd.settings), encoding="utf-8")
    silverd.start()
    limits = pathlib.Path(f"/proc/{silverd.process.pid}/limits").read_text(encoding="utf-8")
    assert (re.search(r"^Max core file size\s+0\s+0\s", limits, re.MULTILINE) is None) == asked_for


def test_a13_no_secret_in_the_process_list(silverd):
    silverd.start()
    words = pathlib.Path(f"/proc/{silverd.process.pid}/cmdline").read_bytes()
    log = pathlib.Path(silverd.process.log).read_bytes()
    for name in ("broker", "ledger"):
        secret = pathlib.Path(silverd.settings[name]["password"].removeprefix("file:")).read_bytes().strip()
        assert secret and secret not in words and secret not in log


def run(silverd, *words, env=None):
    return subprocess.run([silverd.program, "--config", silverd.config, *words], capture_output=True, text=True,
                          check=False, timeout=30, env={**os.environ, **(env or {})})


@pytest.mark.parametrize("words, env, said", [
    (["broker.prot=1"], {}, "config.unknown-key: --broker.prot: there is no such option; did you mean broker.port?"),
    ([], {"SILVER_SESSION_TLT": "1s"}, "config.unknown-key: environment SILVER_SESSION_TLT: there is no such option; "
                                       "did you mean SILVER_SESSION_TTL?"),
    (["--session.ttl=soon"], {}, "config.value: --session.ttl: soon is not a duration with its unit, "
                                 "as 200ms, 15s, 10m, 1h or 30d"),
    (["--session.margin=1h"], {}, "config.range: --session.margin: 1h is more than 1m"),
    (["--ladder.level_5=1s"], {}, "config.conflict: ladder.level_4 must be shorter than ladder.level_5"),
    (["--broker.password=hunter22"], {}, "config.value: --broker.password: not a reference: env:NAME, file:/path, "
                                         "vault:path#field or sealed:<base64> is meant"),
])
def test_a_wrong_setting_is_refused_with_its_place(silverd, words, env, said):
    done = run(silverd, *words, env=env)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == f"silverd: {said}\n"


def test_a_broker_that_does_not_come_is_no_wrong_setting(silverd):
    done = run(silverd, "--broker.port=1", "--broker.start_wait=1s")
    assert done.returncode == 69
    assert "silverd: broker." in done.stderr


def test_a_wrong_line_of_the_file_is_named(silverd):
    silverd.config.write_text("broker:\n  host: 127.0.0.1\n  heartbeat: 5\n", encoding="utf-8")
    done = run(silverd)
    assert done.returncode == 78
    assert done.stderr == (f"silverd: config.value: {silverd.config}:3: broker.heartbeat: 5 is not a duration with its "
                           "unit, as 200ms, 15s, 10m, 1h or 30d\n")


def test_a_wrong_line_of_the_inventory_is_named(silverd):
    silverd.write_inventory([{"id": "x", "driver": "no-such"}])
    done = run(silverd)
    assert done.returncode == 78
    assert f"{silverd.inventory}:4: targets[0].driver: " in done.stderr


def test_settings_in_force_can_be_printed_and_used_again(silverd, lab):
    printed = run(silverd, "--session.ttl=3s", "--print-config")
    assert printed.returncode == 0, printed.stderr
    assert "session:\n  ttl: 3s\n" in printed.stdout
    again = lab.folder / "printed.yaml"
    again.write_text(printed.stdout, encoding="utf-8")
    silverd.config = again
    assert run(silverd, "--print-config").stdout == printed.stdout
