# SPDX-License-Identifier: Apache-2.0
"""The customers' side of the network: fibres at the simulated OLTs, CPEs that dial while their line is up, and what the
OLT, the RADIUS server and the NAS say at the end. Nothing here asks the worker."""

import socket

from lab import LabError, radius_packet as radius, wait_until
from morning import GEMPORT, LINE_PROFILE, NAS, OLTS, SERVICE_PROFILE, VLAN, sn_of

PON_PORTS = 8


def olt_settings():
    """Three OLTs with one line profile and one service profile; what no event brings is prepared by the ISP."""
    return [{"name": name, "boards": [{"frame": 0, "slot": 1, "ports": PON_PORTS}], "latency_ms": 5, "save_ms": 200,
             "line_profiles": [{"id": int(LINE_PROFILE), "name": "internet", "gems": [{"index": GEMPORT, "vlan": VLAN}]}],
             "service_profiles": [{"id": int(SERVICE_PROFILE), "name": "bridge", "eth": 4}], "vlans": [VLAN]}
            for name in OLTS]


class Network:
    def __init__(self, lab, sim):
        self.lab, self.sim = lab, sim
        self.customers = []
        self.lit = {}               # customer -> its line was up at the last look
        self.states = {}

    def join(self, customer):
        """The customer's ONU is hung on the fibre and the CPE connected; it dials when its line is up."""
        self.customers.append(customer)
        self.lit[customer] = False
        self.sim.ask("plug", customer.olt, fsp=customer.fsp, sn=customer.sn, rx_dbm=-21.4)
        self.lab.cpes.add(customer.user, customer.password, dial=False, nas=NAS)

    def swap(self, customer):
        self.sim.ask("unplug", customer.olt, sn=customer.sn)
        changes = customer.swap()
        self.sim.ask("plug", customer.olt, fsp=customer.fsp, sn=customer.sn, rx_dbm=-20.9)
        return changes

    def move(self, customer):
        self.sim.ask("unplug", customer.olt, sn=customer.sn)
        changes = customer.move("olt-2", 4)
        self.sim.ask("plug", customer.olt, fsp=customer.fsp, sn=customer.sn, rx_dbm=-22.3)
        return changes

    # ---- while the morning goes on

    def tick(self):
        """Looks at the OLTs; a CPE whose line came up dials, one whose line went down is off."""
        self.lab.check()
        self.states = {name: self.sim.state(name) for name in OLTS}
        for customer in self.customers:
            up = self.line_is_up(customer)
            if up and not self.lit[customer]:
                self.lab.cpes.dial(customer.user)
            elif self.lit[customer] and not up:
                self.lab.cpes.hangup(customer.user)
            self.lit[customer] = up

    def line_is_up(self, customer):
        """The OLT serves the ONU: it is online in its normal state, and a service-port carries its VLAN."""
        state = self.states[customer.olt]
        return any(ont["sn"] == customer.sn and ont["run"] == "online" and ont["config"] == "normal" and
                   any((port["fsp"], port["ont"]) == (ont["fsp"], ont["id"]) for port in state["service_ports"])
                   for ont in state["onts"])

    def is_online(self, customer):
        """It has a session at the NAS, and the RADIUS server knows."""
        return self.lab.cpes.state(customer.user)["state"] == "online" and self.open_sessions(customer) == 1

    def is_offline(self, customer):
        return self.lab.cpes.state(customer.user)["state"] in ("off", "rejected") and self.open_sessions(customer) == 0

    def open_sessions(self, customer):
        return self.lab.pg.query("radius", "SELECT count(*) FROM radacct WHERE username = %s AND acctstoptime IS NULL",
                                 customer.user)[0][0]

    def left_behind(self, customer):
        """ONTs of the contract where it does not live any more: other serial, or other OLT."""
        here = (customer.olt, customer.sn)
        serials = {customer.sn, *map(sn_of, customer.old_serials)}
        return [(name, ont) for name, state in self.states.items() for ont in state["onts"]
                if (ont["sn"] in serials or ont["desc"].split(" ")[0] == customer.ref) and (name, ont["sn"]) != here]

    # ---- what holds at the end

    def olt_says(self, customer):
        """Lines for the table."""
        state = self.states[customer.olt]
        lines = []
        for ont in (one for one in state["onts"] if one["sn"] == customer.sn):
            tables = {table["index"]: table["cir"] for table in state["traffic_tables"]}
            run = ont["run"] if ont["active"] else "cut" if ont["run"] == "offline" else f"cut, but {ont['run']}"
            lines += [f"{customer.olt} {ont['fsp']} ONU {ont['id']} {run}", customer.serial]
            lines += [f"VLAN {port['vlan']}, {mbit(tables.get(port['tx']))}/{mbit(tables.get(port['rx']))} Mbit/s"
                      for port in state["service_ports"] if (port["fsp"], port["ont"]) == (ont["fsp"], ont["id"])]
        lines = lines or ["nothing"]
        if customer.old_serials or customer.old_olts:
            left = self.left_behind(customer)
            lines += [f"left: {name} {ont['fsp']} ONU {ont['id']}" for name, ont in left] or ["old place: nothing"]
        if customer.counts_adds:
            adds = sum(write["command"].startswith("ont add") and customer.sn in write["command"]
                       for write in self.sim.counters(customer.olt)["write_list"])
            lines.append(f"ont add executed {adds} x")
        return lines

    def nas_says(self, customer):
        sessions = self.lab.nas[NAS].sessions(customer.user)
        return [line for one in sessions for line in ("online", one["rate"])] or ["none"]

    def radius_says(self, customer):
        """The server's answer to a login with CHAP. A session that is open is ended before: Simultaneous-Use would
        refuse a second login, and the answer would be about that."""
        if self.lab.cpes.state(customer.user)["state"] == "online":
            self.lab.cpes.hangup(customer.user)
        wait_until(lambda: self.open_sessions(customer) == 0, f"the Accounting-Stop of {customer.user}")
        code, attributes = self.login(customer)
        if code == radius.ACCESS_ACCEPT:
            return [f"Accept {attributes.get('Framed-IP-Address', '')}", attributes.get("Mikrotik-Rate-Limit", "")]
        return ["Reject"] + ([attributes["Reply-Message"]] if "Reply-Message" in attributes else [])

    def login(self, customer):
        server = self.lab.radius
        packet, authenticator = radius.access_request(
            7, server.client_secret, customer.user, customer.password, True,
            [("NAS-IP-Address", "127.0.0.1"), ("Service-Type", 2), ("Framed-Protocol", 1)])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.connect((server.host, server.auth_port))
            sock.send(packet)
            try:
                reply = radius.parse_reply(sock.recv(4096), authenticator, server.client_secret)
            except TimeoutError:
                reply = None
        if reply is None:
            raise LabError(f"the RADIUS server did not answer a login of {customer.user}; its log: {server.process.log}")
        return reply

    def totals(self):
        """One line for each OLT, from its own state and counters."""
        for name, state in self.states.items():
            counters = self.sim.counters(name)
            serials = [ont["sn"] for ont in state["onts"]]
            lost = [port for port in state["service_ports"]
                    if (port["fsp"], port["ont"]) not in {(ont["fsp"], ont["id"]) for ont in state["onts"]}]
            yield (f"{name}: {len(serials)} ONUs ({len(serials) - len(set(serials))} twice), "
                   f"{len(state['service_ports'])} service-ports ({len(lost)} without an ONU), "
                   f"{'unsaved changes' if state['dirty'] else 'all saved'}, "
                   f"{counters['interleaved_writers']} writes of two sessions at once")


def mbit(kbps):
    return "-" if kbps is None else f"{kbps / 1000:g}"
