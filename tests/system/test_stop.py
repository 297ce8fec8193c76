# SPDX-License-Identifier: Apache-2.0
"""How silverd ends, and what the machine may lack: signals, log readers, open files, the right time."""

import fcntl
import os
import pathlib
import re
import resource
import signal
import subprocess

import pytest
from nullfleet import fleet  # noqa: F401  (fixture)
from olt import LIMITS, Field
from test_radius import isp  # noqa: F401  (fixture)

LONG_LEASE = {"ttl": "2500ms", "margin": "200ms"}


def line(one, words):
    return any(words in said for said in one.log().splitlines())


def ended(one, wait, code=0, timeout_s=10):
    """The process is gone, with this exit code."""
    wait(lambda: not one.silverd.process.alive(), "the process to end", timeout_s)
    assert one.silverd.process.returncode() == code, one.silverd.process.log_end(20)


# ---- signals


def test_a_drain_whose_time_is_over_gives_back_and_is_no_crash(fleet, wait):
    one = fleet({"job": {"drain": "50ms", "crash_max": "1"}}, latency_ms=600).start()
    event = one.contract().publish("activated")
    wait(lambda: line(one, "from=queued to=visiting"), "the read")
    one.silverd.process.signal(signal.SIGTERM)
    ended(one, wait)
    assert line(one, "the drain's time is over: nothing more is written, the rest is given back")
    assert one.held() == {}
    one.silverd.start()
    one.applied(event)


def test_a_run_that_waits_for_time_when_the_drain_ends_is_no_crash(fleet, lab, wait):
    one = fleet({"session": LONG_LEASE, "job": {"drain": "50ms", "crash_max": "1", "store_retry": "60s"}}, latency_ms=300).start()
    event = one.contract().publish("activated")
    wait(lambda: line(one, "from=queued to=visiting"), "the read")
    lab.redis.command("CLIENT", "PAUSE", "1500", "ALL")
    wait(lambda: line(one, "from=visiting to=timed"), "the job to wait for Redis")
    assert lab.redis.command("PING") == "PONG"      # the pause is over
    one.silverd.process.signal(signal.SIGTERM)
    ended(one, wait)
    one.silverd.settings["job"]["store_retry"] = "100ms"
    one.silverd.write_config()
    one.silverd.start()
    result = one.applied(event)
    assert result["run"] == 2


def test_a_second_signal_stops_after_the_reply_in_flight(fleet, wait):
    one = fleet({"job": {"drain": "60s"}}, latency_ms=250).start()
    events = [one.contract().publish("activated") for _ in range(5)]
    one.applied(events[0])
    one.silverd.process.signal(signal.SIGTERM)
    wait(lambda: line(one, "draining: no new jobs, finishing those in hand"), "the drain")
    assert "stopping: draining" in one.health()
    held = len(one.held())
    one.silverd.process.signal(signal.SIGTERM)
    ended(one, wait, timeout_s=3)
    assert line(one, "second signal: nothing more is written, replies in flight are awaited")
    assert len(one.held()) <= held + 1
    one.silverd.start()
    for event in events:
        one.applied(event)


def test_a_third_signal_leaves_at_once_as_after_a_kill(fleet, wait):
    one = fleet({"job": {"drain": "60s"}}, latency_ms=30000).start()
    event = one.contract().publish("activated")
    wait(lambda: line(one, "from=queued to=visiting"), "a device that hangs")
    for words in ("draining: no new jobs", "second signal", "leaving at once, as after a kill"):
        one.silverd.process.signal(signal.SIGTERM)
        wait(lambda said=words: line(one, said), words)
    ended(one, wait, code=1, timeout_s=2)
    one.silverd.write_inventory(one.targets())
    one.silverd.start()
    one.applied(event)


def test_sigterm_while_an_olt_hangs_ends_by_itself(lab, binary, wait):
    field = Field(lab, binary, names=("olt-1",))
    field.silverd.write_inventory([field.target("olt-1", limits={**LIMITS, "read_ms": 700, "write_ms": 700})])
    field.start()
    field.customer().does("activated")
    field.olts["olt-1"].fault("silence", match="display ont info", execute=False)
    event = field.customer().publish("activated")
    wait(lambda: field.olts["olt-1"].fired() == 1, "the OLT to hang")
    field.silverd.process.signal(signal.SIGTERM)
    wait(lambda: not field.silverd.process.alive(), "the process to end", 10)
    assert field.silverd.process.returncode() == 0
    field.olts["olt-1"].clear_faults()
    field.silverd.start()
    field.good(event)
    field.check()
    field.odoo.close()


def test_sigterm_is_heard_while_the_start_waits_for_the_broker(fleet, lab, wait):
    one = fleet({"broker": {"start_wait": "60s"}})
    lab.rabbitmq.pause()
    try:
        one.silverd.settings["broker"]["connect_timeout"] = "300ms"
        one.silverd.write_config()
        one.silverd.start(wait_ready=False)
        wait(lambda: line(one, "the broker is not there yet"), "the start to wait")
        one.silverd.process.signal(signal.SIGTERM)
        ended(one, wait, timeout_s=5)
    finally:
        lab.rabbitmq.resume()


# ---- nobody reads the log


def through(one, words):
    """silverd starts with its stderr redirected: words as a shell has them."""
    process = one.silverd.process
    process.argv = ["/bin/sh", "-c", f'exec "$0" "$@" {words}', *process.argv]
    return one.start()


@pytest.mark.parametrize("words, leads_to", [("2>/dev/full", "/dev/full"), ("2>&-", "/dev/null"), ("0<&- 1>&- 2>&-", "/dev/null")])
def test_a_log_that_nobody_takes_costs_only_the_log(fleet, words, leads_to):
    """No space for it, or closed: then its number must not become that of a link."""
    one = through(fleet(), words)
    assert os.readlink(f"/proc/{one.silverd.process.pid}/fd/2") == leads_to
    for _ in range(3):
        one.applied(one.contract().publish("activated"))


@pytest.mark.parametrize("reader", ["asleep", "gone"])
def test_a_log_reader_that_hangs_or_dies_holds_up_nobody(fleet, lab, reader):
    pipe = lab.folder / f"log-{reader}"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
    one = through(fleet(), f"2>{pipe}")
    if reader == "gone":
        os.close(end)
    for _ in range(15):     # several times what the pipe takes
        one.applied(one.contract().publish("activated"))
    assert one.silverd.owns_everything()
    if reader == "asleep":
        os.close(end)


# ---- no file descriptor left


def test_without_a_file_descriptor_left_it_waits(lab, binary, wait):
    """The OLT cannot be reached then: its gate closes and nothing is spent; the process lives and says why."""
    field = Field(lab, binary, names=("olt-1",), settings={"lanes": {"idle_close": "100ms", "front": 1}}).start()
    process = field.silverd.process
    field.customer().does("activated")      # every link but that to the OLT stands
    wait(lambda: field.olts["olt-1"].state()["sessions"] == [], "the OLT's session to be closed")
    customer = field.customer()
    _, most = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    taken = {int(path.name) for path in pathlib.Path(f"/proc/{process.pid}/fd").iterdir()}
    lowest = next(number for number in range(most) if number not in taken)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (lowest, most))
    event = customer.publish("activated")
    wait(lambda: re.search(r"gate closed device=olt-1 .*Too many open files", process.log_text()), "the gate to say it")
    assert field.silverd.results(event["id"]) == [] or all(r["state"] == "progress" for r in field.silverd.results(event["id"]))
    process.check()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))
    field.good(event)
    field.check()
    field.odoo.close()


def test_too_few_file_descriptors_are_refused_at_the_start(fleet):
    one = fleet()
    done = subprocess.run([one.silverd.program, "--config", one.silverd.config], capture_output=True, text=True, timeout=30, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12)))
    assert done.returncode == 78, done
    assert re.search(r"^silverd: [a-z.-]+: .*(Too many open files|cannot be)", done.stderr, re.M), done.stderr


# ---- an hour off


@pytest.mark.parametrize("shift", ["wall+3600s", "wall-3600s"])
def test_a_clock_that_is_off_is_said_and_events_go_on(fleet, wait, shift):
    one = fleet(env={"SILVER_CLOCK": shift}).start()
    hour = -3600 if shift == "wall+3600s" else 3600
    for whose in ("redis", "postgresql"):
        wait(lambda name=whose: abs(one.measured(f'silver_clock_skew_seconds{{against="{name}"}}') - hour) < 60, f"{whose}'s clock")
    said = [text for text in one.health().splitlines() if text.startswith("clock: ")]
    assert len(said) == 2 and all("NASes may drop our packets in silence" in text for text in said), said
    assert re.search(r" error keeper \"this clock and that of Redis differ", one.log())
    assert re.search(r" error ledger \"this clock and that of PostgreSQL differ", one.log())
    one.applied(one.contract().publish("activated"))


def test_with_a_clock_that_is_off_no_session_is_said_to_be_changed(isp, lab, wait):
    """The NAS's answers look old and are dropped, as a NAS drops our packets: nothing is claimed of the session; it is done
    when the time is right again."""
    net = isp()
    net.silverd.start()
    ana = net.contract()
    net.customer(ana)
    net.silverd.stop()
    net.silverd.process.env["SILVER_CLOCK"] = "wall+3600s"
    net.silverd.start()
    event = ana.publish("plan_changed", plan={"code": "FTTH-100", "down_kbps": 100000, "up_kbps": 50000})
    waiting = wait(lambda: [r for r in net.silverd.results(event["id"]) if r["state"] == "progress" and r["waiting"]], "the session to wait")
    assert waiting[-1]["waiting"]["target"] == "bng-1"
    assert not [r for r in net.silverd.results(event["id"]) if r["state"] == "final"]
    net.silverd.stop()
    del net.silverd.process.env["SILVER_CLOCK"]
    net.silverd.start()
    result = net.silverd.final(event)
    assert (result["outcome"], result["attempt"]) == ("applied", 1)
    assert net.rate("ana@isp") == ["50000k/100000k"]
