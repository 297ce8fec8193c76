# SPDX-License-Identifier: Apache-2.0
"""A silverd that drives simulated OLTs over SSH, and what these tests ask of both: fixtures of test_olt.py."""

import copy
import itertools

from cutproxy import CutProxy
from lab import Odoo, Silverd, Sim, wait_until

# The tests' OLTs answer at once; what waits, waits for a condition.
LIMITS = {"settle_ms": 5, "connect_ms": 3000, "login_ms": 3000, "read_ms": 3000, "write_ms": 3000, "save_ms": 5000}
VLANS = (100, 110, 120)


def olt_settings(name, **changes):
    """A simulated OLT: one board of 16 ports, two line profiles, one service profile."""
    return {"name": name, "latency_ms": 1, "save_ms": 10, "sessions_max": 1, "release_ms": 0,
            "boards": [{"frame": 0, "slot": 1, "ports": 16}],
            "line_profiles": [{"id": 10, "name": "line_10", "gems": [1, 2, 3]}, {"id": 20, "name": "line_20", "gems": [1, 2, 3]}],
            "service_profiles": [{"id": 10, "name": "srv_10", "eth": 4}], "vlans": list(VLANS), **changes}


def serial_of(number):
    """Serial number of the ONU number n, as Odoo writes it; the OLT shows it in hexadecimal digits."""
    return f"HWTC{number:08X}"


def shown(serial):
    return serial[:4].encode().hex().upper() + serial[4:]


class Olt:
    """One simulated OLT: what it holds, what was done to it, what shall go wrong."""

    def __init__(self, sim, name):
        self.sim, self.name = sim, name

    def ask(self, op, **more):
        return self.sim.ask(op, self.name, **more)

    def state(self):
        return self.ask("state")

    def fault(self, kind, **order):
        self.sim.fault(kind, self.name, **order)

    def clear_faults(self):
        self.ask("clear_faults")

    def fired(self):
        return sum(fault["fired"] for fault in self.ask("faults")["faults"])

    def counters(self, reset=False):
        return self.ask("counters", reset=reset)

    def writes(self):
        """Lines that changed something, in the order in which they were executed."""
        return [write["command"] for write in self.counters()["write_list"]]

    def reset(self):
        self.counters(reset=True)

    def set(self, **settings):
        self.ask("set", set=settings)

    def type(self, *lines):
        """Somebody at the console cable."""
        replies = self.ask("type", lines=lines)["replies"]
        assert all(reply["result"] == "done" for reply in replies), replies

    def plug(self, onu, port):
        self.ask("plug", fsp=f"0/1/{port}", sn=shown(serial_of(onu)), rx_dbm=-21.4)


class Customer:
    """A contract and the state in which its newest event wants it; publishes events and says what the OLTs shall hold."""

    def __init__(self, field, number, olt="olt-1", onu=None, port=None, down=100000, up=50000, flows=((1, 100),), **more):
        self.field = field
        self.onu = 10 * number if onu is None else onu
        self.port = number % 16 if port is None else port
        self.contract = field.odoo.contract(number, plan={"code": f"FTTH-{down}", "down_kbps": down, "up_kbps": up}, onu={
            "device": olt, "serial": serial_of(self.onu), "frame": 0, "slot": 1, "port": self.port, "line_profile": "10",
            "service_profile": "10",
            "services": [{"name": f"s{gem}", "gemport": gem, "vlan": vlan, "user_vlan": vlan} for gem, vlan in flows], **more})
        self.ref = self.contract.ref
        self.state = None
        field.olts[olt].plug(self.onu, self.port)

    @property
    def service(self):
        return self.contract.service["onu"]

    def event(self, kind, state="active", **changes):
        """The next event; changes are keys of service.onu, or plan=(down, up)."""
        self.state = state
        plan = changes.pop("plan", None)
        merged = {"onu": changes}
        if plan is not None:
            merged["plan"] = {"code": f"FTTH-{plan[0]}", "down_kbps": plan[0], "up_kbps": plan[1]}
        return self.contract.event(kind, state, **merged)

    def publish(self, kind, state="active", **changes):
        event = self.event(kind, state, **changes)
        self.field.odoo.publish(event)
        return event

    def does(self, kind, state="active", outcome="applied", **changes):
        """Publishes and waits for the final result, which is good."""
        return self.field.good(self.publish(kind, state, **changes), outcome)

    def hang_up(self, olt=None, port=None):
        """Somebody hangs up a new ONU, here or elsewhere; its serial number."""
        self.onu += 1
        self.field.olts[olt or self.service["device"]].plug(self.onu, self.port if port is None else port)
        return serial_of(self.onu)

    def onts(self, olt):
        """What the OLT shall hold of this contract: {(port, serial): ...}."""
        if self.state in (None, "terminated") or self.service["device"] != olt:
            return {}
        cut = self.service.get("cutoff", "onu") if self.state == "suspended" and not self.service.get("shared") else "none"
        place = f"0/1/{self.service['port']}", shown(self.service["serial"])
        return {place: {"desc": self.ref, "line": int(self.service["line_profile"]), "active": cut != "onu",
                        "eth_off": [self.service["cutoff_port"]] if cut == "port" else []}}

    def flows(self, olt):
        """[(port, serial, vlan, gem, user vlan, up kbps, down kbps)]"""
        plan = self.contract.service["plan"]
        if self.state == "suspended" and self.service.get("shared"):
            return []
        return [(*place, s["vlan"], s["gemport"], s.get("user_vlan", s["vlan"]), plan["up_kbps"], plan["down_kbps"])
                for place in self.onts(olt) for s in self.service["services"]]


class Field:
    """OLTs, a silverd and an Odoo in one lab. Attributes: lab, sim, olts {name: Olt}, silverd, odoo, customers."""

    def __init__(self, lab, binary, names=("olt-1", "olt-2"), settings=None, name="silverd", first=1):
        self.lab = lab
        self.sim = Sim(lab, binary("tests/sim/silver-sim"), [olt_settings(n) for n in names],
                       name=f"{name}-olts").start()
        self.olts = {n: Olt(self.sim, n) for n in names}
        self.odoo = Odoo(lab.rabbitmq.url(lab.vhost))
        self.silverd = Silverd(lab, binary("worker/silverd"), [self.target(n) for n in names], settings, name).listen()
        self.customers = []
        self._numbers = itertools.count(first)

    def target(self, olt, **options):
        """The OLT's entry in the inventory."""
        password = self.lab.secret(f"password-{olt}", self.sim.olts[olt]["password"])
        return self.sim.target(olt, password, **{"limits": dict(LIMITS), **options})

    def start(self):
        self.silverd.start()
        return self

    def close(self):
        self.odoo.close()
        self.lab.stop_children()

    def customer(self, *args, **more):
        customer = Customer(self, next(self._numbers), *args, **more)
        self.customers.append(customer)
        return customer

    def good(self, event, outcome="applied"):
        """The final result of an event that ends well: read back, saved before it was said, and no attempt was spent."""
        result = self.silverd.final(event)
        assert (result["outcome"], result["evidence"], result["saved"], result["attempt"]) == (outcome, "observed", True, 1), result
        self.one_outcome(event)
        return result

    def one_outcome(self, event):
        """However often it was said, it was the same, and nothing but a superseded event was final before the save."""
        assert len(self.silverd.outcomes(event["id"])) == 1
        assert all(r["saved"] for r in self.silverd.results(event["id"]) if r["state"] == "final" and r["outcome"] != "superseded")

    def dead(self, event, code):
        result = self.silverd.final(event)
        assert (result["outcome"], result["code"]) == ("dead", code), result
        self.one_outcome(event)
        return result

    def gate(self, olt, code):
        """Waits until the OLT's gate is closed for this reason; the gate as it stands in Redis."""
        def closed():
            words = self.lab.redis.command("HGETALL", f"sn:1:g:{olt}")
            gate = dict(zip(words[::2], words[1::2]))
            return gate.get("state") == "closed" and gate.get("code") == code and gate
        return wait_until(closed, f"the gate of {olt} to be closed: {code}")

    def waiting(self, olt):
        """How many messages wait in the OLT's queue, untouched."""
        return self.silverd.waiting(f"silver.device.{olt}")

    def closings(self):
        """How often a gate was closed since silverd started."""
        return self.silverd.process.log_text().count(" gate closed device=")

    def follow_ups(self):
        """Ids of the events that clean places on other OLTs."""
        return {target["args"]["event"] for results in self.silverd.said().values() for result in results
                for target in result["targets"] if target["code"] == "core.follow-up"}

    def unspent(self, *events):
        """Nothing final was said of them."""
        assert not [r for event in events for r in self.silverd.results(event["id"]) if r["state"] == "final"]

    def was_given_back(self, event):
        return f"event={event['id']} from=visiting to=given-back" in self.silverd.process.log_text()

    def check(self):
        """Each OLT, whole: what the contracts are to have there and nothing else, in the saved configuration too."""
        for name, olt in self.olts.items():
            self.check_olt(name, olt.state())
            assert olt.counters()["interleaved_writers"] == 0

    def check_olt(self, name, state):
        wanted, flows = {}, []
        for customer in self.customers:
            for place, ont in customer.onts(name).items():
                wanted.setdefault(place, ont)      # a shared ONU bears the mark of whoever came first
            flows += customer.flows(name)
        ids = {(ont["fsp"], ont["id"]): ont["sn"] for ont in state["onts"]}
        held = {(o["fsp"], o["sn"]): {"desc": o["desc"], "line": o["line_profile"], "active": o["active"], "eth_off": o["eth_off"]}
                for o in state["onts"]}
        assert held == wanted
        assert len(held) == len(state["onts"]) == len(ids)
        rates = {table["index"]: table["cir"] for table in state["traffic_tables"]}
        ports = [(p["fsp"], ids[p["fsp"], p["ont"]], p["vlan"], p["gem"], p["user_vlan"], rates[p["rx"]], rates[p["tx"]])
                 for p in state["service_ports"]]
        assert sorted(ports) == sorted(flows)
        names = [table["name"] for table in state["traffic_tables"]]
        assert len(names) == len(set(names))
        check_saved(state)


class ProxiedField(Field):
    """Each OLT is reached through a proxy of its own: proxies {name: CutProxy}."""

    def __init__(self, *args, **more):
        self.proxies = {}
        super().__init__(*args, **more)

    def target(self, olt, **options):
        proxy = CutProxy("127.0.0.1", self.sim.olts[olt]["port"])
        self.proxies[olt] = proxy.__enter__()
        return super().target(olt, port=proxy.port, **options)

    def close(self):
        super().close()
        for proxy in self.proxies.values():
            proxy.__exit__()


RATES = itertools.count(300000, 1000)       # new ones each time: their tables have to be made
# An event of each kind, for a customer who is active before it or not, and how many lines it takes.
DIALOGUES = {
    "activate": (False, lambda c: c.event("activated", plan=(next(RATES), next(RATES))), 4),
    "plan_changed": (True, lambda c: c.event("plan_changed", plan=(next(RATES), next(RATES))), 3),
    "suspend": (True, lambda c: c.event("suspended", "suspended"), 1),
    "swap": (True, lambda c: c.event("onu_swapped", serial=c.hang_up()), 4),
    "terminate": (True, lambda c: c.event("terminated", "terminated"), 2),
}


class Shared:
    """One field for many tests: made for the first of them, and anew after one that failed."""

    _numbers = itertools.count(1)       # of all files that share the lab: names of folders

    def __init__(self, lab, make):
        self.lab, self.make, self.field = lab, make, None

    def get(self):
        if self.field is None:
            self.lab.clean()
            self.field = self.make(f"silverd-{next(self._numbers)}").start()
        for olt in self.field.olts.values():
            olt.clear_faults()
            olt.reset()
        return self.field

    def give_back(self, node):
        report = getattr(node, "report_call", None)
        if report is not None and report.failed:
            for child in self.lab.children():
                print(f"---- {child.name} (exit {child.returncode()}), end of {child.log}\n{child.log_end(80)}")
            for name, olt in self.field.olts.items():
                print(f"---- {name}, its last commands")
                for entry in olt.ask("log")["log"][-40:]:
                    print(f"{entry['session']:4} {entry['at_ms']:8} {entry['result']:12} {entry['command']}")
            self.close()

    def close(self):
        if self.field is not None:
            self.field.close()
        self.field = None


def check_saved(state):
    """The saved configuration is the running one."""
    running = copy.deepcopy({key: state[key] for key in state["saved"]})
    for ont in running["onts"]:
        for key in ("run", "config", "down_cause"):
            ont.pop(key)
    assert running == state["saved"] and not state["dirty"] and not state["saving"]


__all__ = ["Customer", "DIALOGUES", "Field", "LIMITS", "Olt", "ProxiedField", "RATES", "Shared", "VLANS", "check_saved", "olt_settings", "serial_of", "shown"]
