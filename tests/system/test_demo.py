# SPDX-License-Identifier: Apache-2.0
"""The demonstration: every cell of its table, twice the same, nothing left behind, one sentence for what goes wrong."""

import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from lab import wait_until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXPECTED = pathlib.Path(__file__).with_name("demo-table.txt").read_text()
TIME = re.compile(r" +-?[0-9]+\.[0-9] s$", re.MULTILINE)


class Run:
    """One run of deploy/demo/run, with its output in a file."""

    def __init__(self, folder, build, *words):
        self.report = folder / "report"
        self.output = folder / "output"
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen(
                [ROOT / "deploy/demo/run", "--build", build, "--report", self.report, *words], stdout=out,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def text(self):
        return self.output.read_text()

    def ended(self):
        """The exit code, waited for; output as a failed test's explanation."""
        wait_until(lambda: self.process.poll() is not None, "the demonstration to end", 170, every_s=0.1)
        print(self.text()[-6000:])
        return self.process.returncode

    def wait_text(self, pattern, timeout_s=120):
        def found():
            assert self.process.poll() is None, self.text()[-6000:]
            return re.search(pattern, self.text())
        return wait_until(found, pattern, timeout_s, every_s=0.05)

    @property
    def lab(self):
        return pathlib.Path(self.wait_text(r"up after \d+ s, in (\S+)").group(1))

    def table(self):
        """The table without its last column."""
        return TIME.sub("", (self.report / "table.txt").read_text())

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def processes_in(folder):
    """{name: pid} of what works in the folder."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{entry}/cwd").startswith(str(folder)):
                found[pathlib.Path(f"/proc/{entry}/comm").read_text().strip()] = int(entry)
        except OSError:
            continue
    return found


@pytest.fixture
def demo(tmp_path, binary):
    build = binary("worker/silverd").parent.parent
    runs = []

    def start(*words):
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        runs.append(Run(folder, build, *words))
        return runs[-1]
    yield start
    for run in runs:
        run.stop()


def test_a02_every_cell_of_the_table_is_right(demo):
    """A-02: also the ONU after the kill, the swap and the move; nothing runs afterwards, and one folder stays."""
    run = demo()
    lab = run.lab
    assert run.ended() == 0
    assert run.table() == EXPECTED
    output = run.text()
    for olt, onus in (("olt-1", 4), ("olt-2", 3), ("olt-3", 3)):
        assert (f"{olt}: {onus} ONUs (0 twice), {onus} service-ports (0 without an ONU), all saved, "
                "0 writes of two sessions at once") in output
    assert "silverd killed with -9" in output
    assert "huawei.line-profile-missing" in output.split("== dead letters")[1]
    assert "What to do:" in output
    dialogue = (run.report / "dialogue.txt").read_text()
    assert len(re.findall(r"^> ont add 5 \d+ sn-auth 48575443000003F5 ", dialogue, re.MULTILINE)) == 1
    assert "run 2  olt-1" in dialogue
    assert "clave-de-" not in output + dialogue
    assert not lab.exists() and not processes_in(lab)
    assert str(run.report) in output


def test_the_readme_shows_what_the_demonstration_prints():
    shown = TIME.sub("", (ROOT / "README.md").read_text()).splitlines()
    rows = [line for line in shown if re.match(r"CT-10\d\d  ", line)]
    assert len(rows) >= 5
    assert [line for line in rows if line not in EXPECTED.splitlines()] == []


def test_kept_up_it_shows_the_same_and_answers_questions(demo, binary):
    run = demo("--keep")
    lab = run.lab
    run.wait_text("Ctrl-C stops everything")
    assert run.table() == EXPECTED
    told = re.search(r"^(\S+/silverctl --config \S+) contract CT-1004$", run.text(), re.MULTILINE).group(1).split()
    answer = subprocess.run([*told, "contract", "CT-1004"], capture_output=True, text=True, check=False)
    assert answer.returncode == 0 and "olt-2" in answer.stdout, answer.stderr
    plan = subprocess.run([*told, "plan", lab / "plan-change.json"], capture_output=True, text=True, check=False)
    assert "FTTH-50@25000/50000 -> FTTH-100@50000/100000" in plan.stdout, plan.stderr
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 130
    assert not lab.exists() and not processes_in(lab)


@pytest.mark.parametrize("server, said", [("beam.smp", "rabbitmq-server"), ("redis-server", "redis-server")])
def test_a_crashed_server_is_one_sentence(demo, server, said):
    run = demo()
    lab = run.lab
    run.wait_text("CT-1001  activated")
    os.kill(processes_in(lab)[server], signal.SIGKILL)
    assert run.ended() == 69
    last = run.text().split("deploy/demo/run: ")[1]
    assert last.startswith(f"{said} was ended by signal SIGKILL; its log ")
    assert "Traceback" not in run.text()
    assert not lab.exists() and not processes_in(lab)


def test_a_port_in_use_is_one_sentence(demo, running_lab):
    first = running_lab.ports.take("demo")
    with socket.create_server(("127.0.0.1", first)):
        run = demo("--base-port", str(first))
        assert run.ended() == 69
    last = run.text().splitlines()[-1]
    assert re.fullmatch(rf"deploy/demo/run: port {first} \(wanted for \S+\) is in use by .*: "
                        "stop it or choose another base port", last)


def test_programs_that_are_not_built_are_one_sentence(tmp_path):
    done = subprocess.run([ROOT / "deploy/demo/run", "--build", tmp_path, "--report", tmp_path / "report"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert done.stderr == f"deploy/demo/run: {tmp_path}/worker/silverd is not built\n"


def test_a_report_folder_with_other_things_is_not_touched(tmp_path, binary):
    (tmp_path / "mine").write_text("x")
    done = subprocess.run([ROOT / "deploy/demo/run", "--build", binary("worker/silverd").parent.parent, "--report",
                           tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 69 and "name another folder" in done.stderr
    assert (tmp_path / "mine").read_text() == "x"
