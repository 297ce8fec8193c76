# SPDX-License-Identifier: Apache-2.0
"""The demonstration after its packages: build, servers, morning, kill, table. See deploy/demo/run."""

import argparse
import datetime
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "deploy"))

import pika  # noqa: E402  (the path above comes first)
import psycopg2  # noqa: E402

import morning  # noqa: E402
import show  # noqa: E402
from lab import Lab, LabError, Odoo, Sim, Silverd, exit_on_signals, wait_until  # noqa: E402
from network import Network, olt_settings  # noqa: E402

TARGETS = ("silverd", "silverctl", "silver-sim")
LIMIT_S = 60
EXIT_NOT_FOUND = 4

# Short waits, so that a morning takes seconds. In an ISP's network the defaults hold: 10 s, 15 s, 60 s and so on.
WAITS = {"session": {"ttl": "2s", "margin": "500ms"}, "redis": {"timeout": "1s"},
         "job": {"session_settle": "500ms", "store_retry": "100ms"}, "save": {"every": "2s"},
         "gate": {"probe_min": "200ms", "probe_max": "1s"}, "broker": {"reconnect_min": "50ms"},
         "ladder": {"level_1": "300ms", "level_2": "600ms", "level_3": "900ms", "level_4": "1200ms", "level_5": "1500ms"}}


def build(folder):
    """Release, without failure points; the programs' folder."""
    commands = (["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Release",
                 "-DSILVER_FAILPOINTS=OFF", "--log-level=WARNING"], ["cmake", "--build", folder, "--target", *TARGETS])
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    with open(folder / "lock", "w", encoding="utf-8") as lock, open(log, "a", encoding="utf-8") as out:
        fcntl.flock(lock, fcntl.LOCK_EX)    # ninja's log does not survive two builds of one folder at once
        out.truncate(0)
        for command in commands:
            if subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode != 0:
                raise LabError(f"the build failed; its words are in {log}")


class Demo:
    def __init__(self, lab, programs):
        self.lab = lab
        self.sim = Sim(lab, programs / "tests" / "sim" / "silver-sim", olt_settings()).start()
        self.silverd = Silverd(lab, programs / "worker" / "silverd", self.inventory(), settings={
            **WAITS, "process": {"log_level": "info"},
            "ledger": {"reader_password": lab.secret("reader", lab.pg.passwords["silver_reader"])["$secret"]}})
        self.silverd.listen()
        self.silverd.start()
        self.odoo = Odoo(lab.rabbitmq.url(lab.vhost))
        self.network = Network(lab, self.sim)
        self.customers = []
        self.contracts = {}
        self.board = show.Board()

    def inventory(self):
        olts = [self.sim.target(name, self.lab.secret(name, settings["password"]))
                for name, settings in self.sim.olts.items()]
        return [*olts, self.lab.radius_target(), self.lab.nas_target(morning.NAS)]

    # ---- the morning

    def join(self, customer):
        self.customers.append(customer)
        self.contracts[customer] = self.odoo.contract(customer.number, **customer.service)
        self.network.join(customer)

    def play(self, customers):
        """Publishes each contract's steps, the next one when the one before is final and the customer's line is as it
        asks for; all contracts at the same time."""
        scripts = {customer.ref: self.script(customer) for customer in customers}
        waits = {}

        def turn():
            self.silverd.process.check()
            self.network.tick()
            for ref, script in list(scripts.items()):
                waits[ref] = next(script, None)
                if waits[ref] is None:
                    del scripts[ref], waits[ref]
            return not scripts
        try:
            wait_until(turn, "every contract", LIMIT_S, every_s=0.05)
        except LabError as error:
            open_ends = "; ".join(f"{ref}: {what}" for ref, what in waits.items())
            raise LabError(f"{error}: {open_ends}" if open_ends else str(error)) from None

    def script(self, customer):
        """A generator: says what it waits for, as often as it is asked."""
        told = []
        for step in customer.steps:
            if not step.published_at:
                self.publish(customer, step)
            for times in range(2 if step.twice else 1):
                while (result := self.final(step, times + 1)) is None:
                    self.board.put(customer.ref, *told, f"{step.asked}: {self.standing(step)}")
                    yield f"a final result of {step.asked}" + (", for the second time" if times else "")
                if step.twice and times == 0:
                    self.publish(customer, step)
            told.append(f"{step.asked}: {result['outcome']}")
            self.board.put(customer.ref, *told)
            while not self.settled(customer, step, result):
                yield f"the customer to notice {step.asked}"

    def publish(self, customer, step):
        if step.event is None:
            changes = step.changes
            if step.visit == "swap":
                changes = self.network.swap(customer)
            elif step.visit == "move":
                changes = self.network.move(customer)
            contract = self.contracts[customer]
            generation = contract.generation - 1 if step.older else None
            step.event = contract.event(step.kind, step.state, generation, **changes)
        step.published_at = step.published_at or time.time()
        self.odoo.publish(step.event)

    def final(self, step, times):
        """The step's final result when it was said that often."""
        finals = [result for result in self.silverd.results(step.event["id"]) if result["state"] == "final"]
        return finals[-1] if len(finals) >= times else None

    def standing(self, step):
        results = self.silverd.results(step.event["id"])
        if not results:
            return "published"
        waiting = results[-1].get("waiting") or {}
        return f"waits, {waiting['code']}" if waiting.get("code") else "done, not yet saved"

    def settled(self, customer, step, result):
        """What the customer notices of it has happened."""
        if result["outcome"] not in ("applied", "unchanged"):
            return True
        wanted = self.network.is_online if step.state == "active" else self.network.is_offline
        return wanted(customer) and not self.network.left_behind(customer)

    # ---- the kill

    def kill_after_ont_add(self, customer):
        """silverd dies between an `ont add` that the OLT has executed and its answer: the OLT keeps its mouth shut
        after having executed it, so that this moment cannot be missed."""
        self.sim.fault("silence", customer.olt, execute=True, match=f"^ont add .*{customer.sn}")
        step = customer.steps[0]
        self.publish(customer, step)
        self.board.put(customer.ref, f"{step.asked}: published")

        def added():
            self.silverd.process.check()
            self.network.tick()
            return [ont for ont in self.network.states[customer.olt]["onts"] if ont["sn"] == customer.sn]
        wait_until(added, f"the ont add of {customer.ref}", LIMIT_S, every_s=0.01)
        self.silverd.kill()
        self.board.put(customer.ref, f"{step.asked}: ont add executed, silverd killed with -9")
        self.sim.ask("clear_faults", customer.olt)
        self.silverd.start()
        self.board.put(customer.ref, f"{step.asked}: silverd started again")
        self.play([customer])

    # ---- the report

    def ledger(self, step):
        """What silverctl says of the event, once the ledger has it as final, and the seconds from its publication on."""
        event_id = step.event["id"]

        def known():
            done = self.silverd.ctl("event", event_id, "--json", check=False)
            if done.returncode == EXIT_NOT_FOUND:
                return False
            if done.returncode not in (0, 1):
                raise LabError(f"silverctl event {event_id}: {done.stderr.strip()}")
            event = json.loads(done.stdout)
            return event["state"] == "final" and event
        event = wait_until(known, f"event {event_id} in the ledger")
        return event, datetime.datetime.fromisoformat(event["finished"]).timestamp() - step.published_at

    def table(self):
        self.network.tick()
        rows = []
        for customer in self.customers:     # sessions are read before a login check ends them
            rows.append([[customer.ref, customer.user], None, self.network.olt_says(customer), None,
                         self.network.nas_says(customer), None, None, None])
        for customer, cells in zip(self.customers, rows):
            events = [(step.asked, *self.ledger(step)) for step in customer.steps]
            cells[3] = self.network.radius_says(customer)
            cells[1], cells[5], cells[6], cells[7] = show.event_cells(events)
        return show.table(rows)

    def ctl(self, *words):
        """silverctl's answer; a LabError when it has none."""
        done = self.silverd.ctl("--no-color", *words)
        if not done.stdout:
            raise LabError(f"silverctl {' '.join(words)} said nothing (exit {done.returncode}): {done.stderr.strip()}")
        return done.stdout.rstrip("\n")

    def letters(self):
        listed = [json.loads(line) for line in self.ctl("dlq", "list", "--json").splitlines()]
        return [self.ctl("dlq", "list"), *(self.ctl("dlq", "show", letter["event"]) for letter in listed)]

    def dialogue(self, customer):
        return self.ctl("event", customer.steps[0].event["id"], "--raw")

    def look_around(self):
        lab, folder = self.lab, self.lab.folder
        first = self.customers[0]       # who may be given another plan by whoever looks around
        wish = self.contracts[first].event("plan_changed", **morning.plan("FTTH-100"))
        (folder / "plan-change.json").write_text(json.dumps(wish, indent=2) + "\n", encoding="utf-8")
        ctl = f"{self.silverd.program.parent / 'ctl' / 'silverctl'} --config {self.silverd.config}"
        sim = f"{self.sim.process.argv[0]} ctl {self.sim.control}"
        return (f"{ctl} device list\n{ctl} contract CT-1004\n{ctl} event last\n{ctl} plan {folder}/plan-change.json\n{ctl} publish --wait {folder}/plan-change.json\n"
                f"{sim} '{{\"op\": \"state\", \"olt\": \"olt-1\"}}'\n"
                f"psql -h {lab.pg.socket_dir} -p {lab.pg.port} -U postgres radius      (or nas, silver)\n"
                f"curl http://127.0.0.1:{self.silverd.port}/metrics      (or /healthz?verbose)\n"
                f"RabbitMQ {lab.rabbitmq.url(lab.vhost)}   Redis {lab.redis.url}\n"
                f"logs and configuration: {folder}")

    def keep_up(self):
        """Until Ctrl-C; the CPEs go on living."""
        while True:
            self.silverd.process.check()
            self.network.tick()
            select.select([], [], [], 0.2)


def report_folder(path):
    """An empty folder for what stays; that of an earlier run is replaced."""
    if path.exists() and any(path.iterdir()) and not (path / "table.txt").exists():
        raise LabError(f"{path} holds something else than the report of an earlier run: name another folder")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    (path / "table.txt").touch()
    return path


def keep_logs(lab, report):
    """Logs of every process and the inventory; no file with a secret."""
    for log in sorted(lab.folder.rglob("*.log")):
        shutil.copyfile(log, report / log.name)
    for inventory in lab.folder.glob("*/inventory.yaml"):
        shutil.copyfile(inventory, report / inventory.name)


def play(demo, report):
    show.heading("a morning of an ISP: Odoo publishes, three OLTs, one RADIUS server and one BNG follow")
    for customer in morning.customers():
        demo.join(customer)
    demo.play(demo.customers)
    show.heading("one more activation; silverd is killed with -9 right after its `ont add` was executed")
    last = morning.last_customer()
    demo.board = show.Board()
    demo.join(last)
    demo.kill_after_ont_add(last)

    show.heading("what holds now (OLTs, NAS and RADIUS server asked themselves; outcomes from the ledger)")
    table = demo.table()
    show.say(table)
    (report / "table.txt").write_text(table + "\n", encoding="utf-8")
    show.say("RADIUS answers a login with CHAP after the session column was read and the session ended: Simultaneous-Use is 1.")
    for line in demo.network.totals():
        show.say(line)
    show.heading("dead letters: cause and next step (silverctl dlq list, silverctl dlq show)")
    show.say("\n\n".join(demo.letters()))
    show.heading(f"the literal dialogue of the activation that was killed ({last.ref}; silverctl event ID --raw)")
    dialogue = demo.dialogue(last)
    show.say(show.shortened(dialogue, report / "dialogue.txt"))
    (report / "dialogue.txt").write_text(dialogue + "\n", encoding="utf-8")


def blame(lab):
    """After an error of a connection: a LabError that names the server which has ended; returns when all are alive."""
    def ended():
        try:
            lab.check()
            for child in lab.children():
                child.check()
        except LabError as error:
            return error
        return None
    try:
        error = wait_until(ended, "a server to have ended", 2)
    except LabError:
        return
    raise error


def run(options):
    started = time.monotonic()
    programs = pathlib.Path(options.build).resolve() if options.build else ROOT / "build" / "demo" / "tree"
    if options.build is None:
        show.heading(f"build ({programs})")
        build(programs)
    for name in ("worker/silverd", "worker/ctl/silverctl", "tests/sim/silver-sim"):
        if not (programs / name).exists():
            raise LabError(f"{programs / name} is not built")
    report = report_folder(pathlib.Path(options.report).resolve())
    show.heading("servers: RabbitMQ, Redis, PostgreSQL, FreeRADIUS, a NAS with CPEs, three OLTs, silverd")
    with Lab(base_port=options.base_port) as lab:
        try:
            demo = Demo(lab, programs)
            show.say(f"up after {time.monotonic() - started:.0f} s, in {lab.folder}")
            play(demo, report)
            show.heading("where to look")
            if options.keep:
                for customer in demo.customers:      # those that the login check sent away
                    demo.network.lit[customer] = False
                show.say(demo.look_around() + "\nCtrl-C stops everything and removes that folder.")
                demo.keep_up()
        except (OSError, pika.exceptions.AMQPError, psycopg2.Error):
            blame(lab)
            raise
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)    # a second Ctrl-C would leave something behind
            keep_logs(lab, report)
    show.say(f"logs of every process, inventory, table and dialogue: {report}\n"
             "what the words mean: README.md; to look around while all is up: deploy/demo/run --keep\n"
             f"nothing was left running; {time.monotonic() - started:.0f} s")


def main(argv):
    parser = argparse.ArgumentParser(prog="deploy/demo/run", description="A morning of an ISP on real servers.")
    parser.add_argument("--keep", action="store_true", help="leave all up until Ctrl-C and say how to look around")
    parser.add_argument("--base-port", type=int, metavar="N", help="ports N, N+1, ... (default: free ones)")
    parser.add_argument("--build", metavar="FOLDER", help="programs that are built already")
    parser.add_argument("--report", metavar="FOLDER", default=ROOT / "build" / "demo" / "report",
                        help="where logs, table and dialogue stay (default: build/demo/report)")
    options = parser.parse_args(argv[1:])
    exit_on_signals()
    try:
        run(options)
    except LabError as error:
        print(f"deploy/demo/run: {error}", file=sys.stderr)
        return 69
    except KeyboardInterrupt:
        print("\nstopped; nothing was left running", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
