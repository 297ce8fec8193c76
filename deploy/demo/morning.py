# SPDX-License-Identifier: Apache-2.0
"""The morning: who the customers are, what Odoo publishes of them and when. Fixed; nothing here is drawn or timed."""

import copy
import dataclasses

PLANS = {"FTTH-50": {"code": "FTTH-50", "down_kbps": 50000, "up_kbps": 25000},
         "FTTH-100": {"code": "FTTH-100", "down_kbps": 100000, "up_kbps": 50000}}
OLTS = ("olt-1", "olt-2", "olt-3")
NAS = "bng-1"
VLAN, GEMPORT = 100, 1
LINE_PROFILE, LINE_PROFILE_MISSING, SERVICE_PROFILE = "10", "30", "10"


@dataclasses.dataclass
class Step:
    """One publication. asked: words for the table. visit: what the technician did on the fibre before (swap, move)."""

    kind: str
    asked: str
    state: str = "active"
    changes: dict = dataclasses.field(default_factory=dict)
    visit: str = ""
    older: bool = False         # generated before the step above it, published after it
    twice: bool = False         # the very same message once more, when its result has been seen
    event: dict = None          # as published
    published_at: float = 0     # Unix time, the first time


class Customer:
    """Attributes: number, name, user, password, address, place (olt, port), serial, steps; old_serials and old_olts say
    where the contract was before."""

    def __init__(self, number, name, olt, port, plan, steps, line_profile=LINE_PROFILE):
        self.number, self.name, self.steps = number, name, steps
        self.ref = f"CT-{number}"
        self.user = f"{name}@isp"
        self.password = f"clave-de-{name}"
        self.address = f"100.64.0.{number % 100}"
        self.olt, self.port = olt, port
        self.serial = f"HWTC{number:08X}"
        self.old_serials, self.old_olts = [], []
        self.counts_adds = False        # the table says how often the OLT executed an `ont add`
        self.service = {
            "plan": copy.deepcopy(PLANS[plan]),
            "access": {"server": "radius-1", "username": self.user, "password": self.password, "ipv4": self.address,
                       "nas": NAS},
            "onu": {"device": olt, "serial": self.serial, "frame": 0, "slot": 1, "port": port,
                    "line_profile": line_profile, "service_profile": SERVICE_PROFILE, "cutoff": "onu",
                    "services": [{"name": "internet", "gemport": GEMPORT, "vlan": VLAN, "user_vlan": VLAN}]}}

    def swap(self):
        """A new ONU on the same fibre."""
        self.old_serials.append(self.serial)
        self.serial = f"HWTC1{self.number:07X}"
        return {"onu": {"serial": self.serial}}

    def move(self, olt, port):
        """The same ONU on another OLT."""
        self.old_olts.append(self.olt)
        self.olt, self.port = olt, port
        return {"onu": {"device": olt, "port": port}}

    @property
    def fsp(self):
        return f"0/1/{self.port}"

    @property
    def sn(self):
        """The serial as an OLT shows it."""
        return sn_of(self.serial)


def sn_of(serial):
    return serial[:4].encode().hex().upper() + serial[4:]


def plan(code):
    return {"plan": PLANS[code]}


def activated(code):
    return Step("activated", f"activated {code}", changes=plan(code))


def customers():
    """Each has a PON port of its own; so what an OLT holds does not depend on who came first."""
    found = [
        Customer(1001, "ana", "olt-1", 1, "FTTH-50", [activated("FTTH-50")]),
        Customer(1002, "beto", "olt-1", 2, "FTTH-50", [
            activated("FTTH-50"),
            Step("plan_changed", "plan now FTTH-100", changes=plan("FTTH-100"))]),
        Customer(1003, "carla", "olt-1", 3, "FTTH-50", [
            activated("FTTH-50"),
            Step("onu_swapped", "ONU swapped", visit="swap")]),
        Customer(1004, "diego", "olt-1", 4, "FTTH-100", [
            activated("FTTH-100"),
            Step("moved", "moved to olt-2", visit="move")]),
        Customer(1005, "elena", "olt-2", 1, "FTTH-50", [
            activated("FTTH-50"),
            Step("suspended", "suspended, unpaid", "suspended", {"reason": "unpaid"}),
            Step("resumed", "resumed, paid", changes={"reason": None})]),
        Customer(1006, "fidel", "olt-2", 2, "FTTH-50", [
            activated("FTTH-50"),
            Step("terminated", "terminated", "terminated", {"reason": "voluntary"})]),
        Customer(1007, "gloria", "olt-2", 3, "FTTH-100", [
            Step("activated", "activated FTTH-100, published twice", changes=plan("FTTH-100"), twice=True)]),
        Customer(1008, "hugo", "olt-3", 1, "FTTH-100", [
            Step("plan_changed", "plan now FTTH-100", changes=plan("FTTH-100")),
            Step("activated", "activated FTTH-50, older, late", changes=plan("FTTH-50"), older=True)]),
        Customer(1009, "irene", "olt-3", 2, "FTTH-100", [activated("FTTH-100")], line_profile=LINE_PROFILE_MISSING),
        Customer(1010, "julio", "olt-3", 3, "FTTH-50", [
            Step("activated", "activated, VLAN 4095", changes={"onu": {"services": [
                {"name": "internet", "gemport": GEMPORT, "vlan": 4095, "user_vlan": VLAN}]}})]),
        Customer(1011, "karla", "olt-3", 4, "FTTH-50", [
            activated("FTTH-50"),
            Step("suspended", "suspended, unpaid", "suspended", {"reason": "unpaid"})]),
        Customer(1012, "luis", "olt-3", 5, "FTTH-100", [activated("FTTH-100")]),
    ]
    found[6].counts_adds = True
    return found


def last_customer():
    """Whose activation the worker does not survive."""
    last = Customer(1013, "marta", "olt-1", 5, "FTTH-50", [activated("FTTH-50")])
    last.counts_adds = True
    return last
