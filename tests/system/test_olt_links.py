# SPDX-License-Identifier: Apache-2.0
"""Links to OLTs that die, fall silent, drip, refuse: several OLTs at once, each behind a proxy of its own.

Whatever happens to the bytes, each event is applied in its first attempt, said once, and the OLT holds it once.
"""

import time

import pytest

from cutproxy import CLOSE, FORGET, LOST, MUTE, REFUSED, RESET, SILENCE, TO_CLIENT, TO_SERVER
from olt import RATES, ProxiedField, Shared

OLTS = [f"olt-{n}" for n in range(1, 9)]
LIMITS = {"settle_ms": 5, "connect_ms": 700, "login_ms": 1300, "read_ms": 800, "write_ms": 800, "save_ms": 3000}


PATIENT = "olt-9"       # it gets time for a slow link


class LinksField(ProxiedField):
    def target(self, olt, **options):
        more = {"login_ms": 10000, "read_ms": 10000, "write_ms": 10000} if olt == PATIENT else {}
        return super().target(olt, **{"limits": {**LIMITS, **more}, **options})


@pytest.fixture(scope="module")
def shared(running_lab, binary):
    shared = Shared(running_lab, lambda name: LinksField(running_lab, binary, [*OLTS, PATIENT], name=name))
    yield shared
    shared.close()


@pytest.fixture
def field(shared, request):
    field = shared.get()
    for name, proxy in field.proxies.items():
        proxy.drop(RESET)               # each test begins with a login
        field.olts[name].set(idle_s=300)
    yield field
    shared.give_back(request.node)


def customers_on(field, olts=OLTS):
    return {name: field.customer(olt=name) for name in olts}


def activated_everywhere(field):
    """A customer who is active on each OLT: the session is warm, its bytes are over."""
    customers = customers_on(field)
    for event in [ana.publish("activated") for ana in customers.values()]:
        field.good(event)
    return customers


def spread(first, last):
    """For each OLT another number of bytes."""
    return {name: first + (last - first) * n // (len(OLTS) - 1) for n, name in enumerate(OLTS)}


@pytest.mark.parametrize("how", [CLOSE, RESET, SILENCE, FORGET])
@pytest.mark.parametrize("direction, bytes_of", [(TO_CLIENT, spread(0, 16500)), (TO_SERVER, spread(0, 3300))],
                         ids=["to the worker", "to the OLT"])
def test_A04_a_link_that_ends_at_each_phase(field, wait, direction, bytes_of, how):
    """Key exchange, login, reads, writes, save: after so many bytes the link is cut, silent, or forgotten by its middle."""
    for olt in field.olts.values():
        olt.set(idle_s=1)               # it frees the login of a peer that is gone
    cuts = {name: field.proxies[name].cut(direction, after=bytes_of[name], how=how) for name in OLTS}
    events = {name: ana.publish("activated", plan=(next(RATES), next(RATES))) for name, ana in customers_on(field).items()}
    for event in events.values():
        field.good(event)
    for name, cut in cuts.items():
        assert cut.happened, {n: p.passed() for n, p in field.proxies.items()}
    field.check()


def test_an_olt_that_takes_no_connection_is_waited_for(field, wait):
    """Refused, lost on the way, accepted and never served: each within its time, nothing spent, the neighbours go on."""
    codes = {REFUSED: "cli.connect", LOST: "cli.connect", MUTE: "ssh.handshake"}
    ways = dict(zip(OLTS, codes))
    began = time.monotonic()
    for name, how in ways.items():
        field.proxies[name].close()
        field.proxies[name].refuse(how)
    events = {name: ana.publish("activated") for name, ana in customers_on(field).items()}
    for name in set(OLTS) - set(ways):
        field.good(events[name])
    for name, how in ways.items():
        field.gate(name, codes[how])
    assert time.monotonic() - began < 10, "connect_ms and login_ms are 2 s together"
    field.unspent(*(events[name] for name in ways))
    for name in ways:
        field.proxies[name].open()
        field.good(events[name])
    field.check()


def test_a_warm_session_that_went_silent_is_given_up_within_one_read(field, wait):
    """The cable is pulled behind an idle session: the next job finds out, waits for the cable, and the OLT never had two."""
    for olt in field.olts.values():
        olt.set(idle_s=2)
    customers = activated_everywhere(field)
    for proxy in field.proxies.values():
        proxy.isolate()
    events = [ana.publish("plan_changed", plan=(next(RATES), next(RATES))) for ana in customers.values()]
    for name in OLTS:
        field.gate(name, "cli.connect")
    field.unspent(*events)
    for proxy in field.proxies.values():
        proxy.heal()
    for event in events:
        field.good(event)
    field.check()


def test_a_peer_that_lost_its_state_costs_one_login(field):
    """A firewall forgot the warm session: the first byte is answered by a reset, a new session does the job at once."""
    customers = activated_everywhere(field)
    for proxy in field.proxies.values():
        proxy.drop(FORGET)
    for olt in field.olts.values():
        olt.ask("drop")
    closings = field.closings()
    for event in [ana.publish("suspended", "suspended") for ana in customers.values()]:
        field.good(event)
    assert field.closings() == closings
    field.check()


def test_a_byte_now_and_then_does_not_prolong_an_exchange(field, wait):
    """The whole exchange has one deadline: a peer that drips, at the handshake or in an answer, is left when it is over."""
    reading, handshake = OLTS[:3], OLTS[3:6]
    customers = activated_everywhere(field)
    for name in reading:
        field.olts[name].fault("slow", ms=100, count=-1)
    for name in handshake:
        field.proxies[name].drop(RESET)
        field.proxies[name].slow(30)
    began = time.monotonic()
    events = {name: ana.publish("suspended", "suspended") for name, ana in customers.items()}
    for name in handshake:
        field.gate(name, "ssh.handshake")
    for name in reading:
        field.gate(name, "cli.timeout")
    assert time.monotonic() - began < 10
    field.unspent(*(events[name] for name in reading + handshake))
    for name in reading + handshake:
        field.proxies[name].slow(None)
        field.olts[name].clear_faults()
    for event in events.values():
        field.good(event)
    field.check()


def test_a_slow_link_that_lives_does_its_work(field):
    """Byte by byte, and late: within the deadlines nothing is given up."""
    proxy, closings = field.proxies[PATIENT], field.closings()
    ana = field.customer(olt=PATIENT)
    ana.does("activated")
    proxy.slow(4000, TO_CLIENT)
    proxy.delay(0.02)
    ana.does("suspended", "suspended")
    proxy.slow(None)
    proxy.delay(0)
    assert field.olts[PATIENT].counters()["sessions"]["opened"] == 1 and field.closings() == closings
    field.check()
