# SPDX-License-Identifier: Apache-2.0
"""Simulated CPEs behind the NAS stand-ins: one process, `python3 -m lab.cpe CONFIG`.

A CPE logs in (Access-Request from the NAS's address). Accepted: its session becomes a row of nas_session and an
Accounting-Start is sent. When the row vanishes (the NAS stand-in got a Disconnect) an Accounting-Stop is sent and the
CPE redials after redial_ms. Rejected: it stays out, or dials again every retry_ms if that is set.

Control: a unix socket, one JSON object a line each way; see COMMANDS and the client in cpes.py.
"""

import heapq
import itertools
import json
import os
import selectors
import signal
import socket
import sys
import time

import psycopg2

from . import radius_packet as radius

RETRANSMIT_S, TRIES = 1.0, 8
POLL_S = 1.0                    # the net under LISTEN: vanished rows are looked for this often, too
START, STOP, INTERIM = 1, 2, 3
USER_REQUEST, ADMIN_RESET = 1, 6


class Subscriber:
    """One CPE. Options: password, auth (chap | pap), nas, redial_ms, retry_ms (0: stays out when rejected),
    interim_ms (0: as the reply says), hold (accept: after the Access-Accept, before the session exists; start: before
    the Accounting-Start; both until `release`), start_delay_ms (between session and Accounting-Start)."""

    OPTIONS = {"password": "", "auth": "chap", "nas": "", "redial_ms": 2000, "retry_ms": 0, "interim_ms": 0,
               "hold": "", "start_delay_ms": 0}

    def __init__(self, user, number, options):
        self.user = user
        self.number = number
        for name, default in self.OPTIONS.items():
            setattr(self, name, options.get(name, default))
        self.state = "off"              # off login held online rejected waiting
        self.generation = 0             # timers and replies of an older dial are void
        self.session = None
        self.framed_ip = None
        self.reply = {}
        self.started = None             # monotonic: the session exists since
        self.start_sent = False
        self.message = None             # Reply-Message of the latest reject
        self.accepts = self.rejects = self.disconnects = 0


class Simulator:
    def __init__(self, config):
        self.config = config
        self.nas = {one["name"]: one for one in config["nas"]}
        self.subscribers = {}
        self.numbers = itertools.count(1)
        self.session_base = int(time.time()) & 0xFFFFFF
        self.timers = []
        self.timer_numbers = itertools.count()
        self.requests = {}              # (nas, port, identifier) -> request
        self.accounting = {}            # session -> [(nas, attributes)], the first of them on its way
        self.selector = selectors.DefaultSelector()
        self.sockets = {}
        self.db = None
        self.db_fd = -1                 # of its own: psycopg2 closes the connection's when it is lost
        self.running = True
        for name, nas in self.nas.items():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((nas["address"], 0))
            sock.setblocking(False)
            self.sockets[name] = sock
            self.selector.register(sock, selectors.EVENT_READ, lambda name=name: self.receive(name))
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.bind(config["control"])
        control.listen()
        self.selector.register(control, selectors.EVENT_READ, lambda: self.accept_control(control))

    # ---- time

    def after(self, seconds, action, *args):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.timer_numbers), action, args))

    def after_for(self, subscriber, milliseconds, action):
        """action(subscriber), unless the subscriber has begun another dial (or is gone) by then."""
        generation = subscriber.generation

        def due():
            if self.subscribers.get(subscriber.user) is subscriber and subscriber.generation == generation:
                action(subscriber)
        self.after(milliseconds / 1000, due)

    def run(self):
        self.poll_sessions()
        print("ready", flush=True)
        while self.running:
            while self.timers and self.timers[0][0] <= time.monotonic():
                _, _, action, args = heapq.heappop(self.timers)
                action(*args)
            pause = max(0.0, self.timers[0][0] - time.monotonic()) if self.timers else None
            for key, _ in self.selector.select(pause):
                key.data()

    # ---- the table of sessions

    def database(self):
        if self.db is None:
            self.db = psycopg2.connect(self.config["database"])
            self.db.autocommit = True
            self.db_fd = self.db.fileno()
            self.selector.register(self.db_fd, selectors.EVENT_READ, self.notified)
            with self.db.cursor() as cursor:
                cursor.execute("LISTEN nas_session_gone")
        return self.db

    def lose_database(self):
        if self.db is not None:
            self.selector.unregister(self.db_fd)
            self.db.close()
            self.db = None

    def sql(self, statement, *args):
        """Rows, or None when the database does not answer (it may be restarting; the poll tries again)."""
        try:
            with self.database().cursor() as cursor:
                cursor.execute(statement, args)
                return cursor.fetchall() if cursor.description else []
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            self.lose_database()
            return None

    def notified(self):
        try:
            self.db.poll()
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            self.lose_database()
            return
        gone = {notify.payload for notify in self.db.notifies}
        self.db.notifies.clear()
        self.drop_sessions(lambda session: session in gone)

    def poll_sessions(self):
        rows = self.sql("SELECT acctsessionid FROM nas_session")
        if rows is not None:
            there = {row[0] for row in rows}
            self.drop_sessions(lambda session: session not in there)
        self.after(POLL_S, self.poll_sessions)

    def drop_sessions(self, is_gone):
        for subscriber in list(self.subscribers.values()):
            if subscriber.state == "online" and is_gone(subscriber.session):
                subscriber.disconnects += 1
                self.end_session(subscriber, ADMIN_RESET)
                self.redial_later(subscriber)

    # ---- a CPE's life

    def change_state(self, subscriber, state, note=""):
        print(f"{time.strftime('%H:%M:%S')} {subscriber.user!r} {subscriber.state} -> {state} {note}".rstrip(),
              flush=True)
        subscriber.state = state

    def dial(self, subscriber):
        subscriber.generation += 1
        subscriber.session = f"{self.session_base:06x}{next(self.numbers):04x}"
        subscriber.start_sent = False
        self.change_state(subscriber, "login")
        generation = subscriber.generation

        def answered(reply):
            if self.subscribers.get(subscriber.user) is subscriber and subscriber.generation == generation:
                self.login_answered(subscriber, reply)

        nas = self.nas[subscriber.nas]
        attributes = [*self.identity(subscriber), ("Service-Type", 2), ("Framed-Protocol", 1)]
        self.send(subscriber.nas, nas["auth_port"], answered, lambda identifier: radius.access_request(
            identifier, nas["secret"], subscriber.user, subscriber.password, subscriber.auth == "chap", attributes))

    def redial_later(self, subscriber):
        self.change_state(subscriber, "waiting", f"redials in {subscriber.redial_ms} ms")
        self.after_for(subscriber, subscriber.redial_ms, self.dial)

    def login_answered(self, subscriber, reply):
        if reply is None:
            self.redial_later(subscriber)
            return
        code, attributes = reply
        if code == radius.ACCESS_ACCEPT:
            subscriber.accepts += 1
            subscriber.reply = attributes
            if subscriber.hold == "accept":
                self.change_state(subscriber, "held", "accepted, the session is held")
            else:
                self.begin_session(subscriber)
            return
        subscriber.rejects += 1
        subscriber.message = attributes.get("Reply-Message")
        self.change_state(subscriber, "rejected", subscriber.message or "")
        if subscriber.retry_ms:
            self.after_for(subscriber, subscriber.retry_ms, self.dial)

    def begin_session(self, subscriber):
        reply = subscriber.reply
        number = subscriber.number
        subscriber.framed_ip = reply.get("Framed-IP-Address", f"100.127.{number // 250}.{number % 250 + 1}")
        subscriber.started = time.monotonic()
        rows = self.sql("INSERT INTO nas_session (acctsessionid, nas, username, framedip, rate, addrlist) "
                        "VALUES (%s, %s, %s, %s, %s, %s)", subscriber.session, subscriber.nas, subscriber.user,
                        subscriber.framed_ip, reply.get("Mikrotik-Rate-Limit"), reply.get("Mikrotik-Address-List"))
        if rows is None:
            self.redial_later(subscriber)
            return
        self.change_state(subscriber, "online", f"{subscriber.framed_ip} {reply.get('Mikrotik-Rate-Limit', '')}")
        if subscriber.hold != "start":
            self.after_for(subscriber, subscriber.start_delay_ms, self.send_start)

    def send_start(self, subscriber):
        if subscriber.state == "online" and not subscriber.start_sent:
            subscriber.start_sent = True
            self.account(subscriber, START)
            self.plan_interim(subscriber)

    def plan_interim(self, subscriber):
        every_ms = subscriber.interim_ms or 1000 * subscriber.reply.get("Acct-Interim-Interval", 0)
        if every_ms:
            self.after_for(subscriber, every_ms, self.send_interim)

    def send_interim(self, subscriber):
        if subscriber.state == "online":
            self.account(subscriber, INTERIM)
            self.plan_interim(subscriber)

    def end_session(self, subscriber, cause):
        """The session is over: Accounting-Stop, after the Start if that was still held back."""
        if not subscriber.start_sent:
            self.account(subscriber, START)
        self.account(subscriber, STOP, cause)

    # ---- packets

    def identity(self, subscriber):
        nas = self.nas[subscriber.nas]
        number = subscriber.number
        return [("NAS-IP-Address", nas["address"]), ("NAS-Identifier", subscriber.nas), ("NAS-Port", number),
                ("NAS-Port-Type", 15), ("Acct-Session-Id", subscriber.session),
                ("Calling-Station-Id", f"02:00:5E:00:{number >> 8 & 255:02X}:{number & 255:02X}"),
                ("Called-Station-Id", "pppoe-isp")]

    def account(self, subscriber, status, cause=None):
        seconds = int(time.monotonic() - subscriber.started)
        attributes = [("Acct-Status-Type", status), ("User-Name", subscriber.user), *self.identity(subscriber),
                      ("Service-Type", 2), ("Framed-Protocol", 1), ("Acct-Authentic", 1),
                      ("Framed-IP-Address", subscriber.framed_ip), ("Event-Timestamp", int(time.time())),
                      ("Acct-Delay-Time", 0)]
        if status != START:
            attributes += [("Acct-Session-Time", seconds), ("Acct-Input-Octets", 1000 * seconds),
                           ("Acct-Output-Octets", 9000 * seconds)]
        if cause:
            attributes.append(("Acct-Terminate-Cause", cause))
        queue = self.accounting.setdefault(subscriber.session, [])
        queue.append((subscriber.nas, attributes))
        if len(queue) == 1:
            self.send_accounting(subscriber.session)

    def send_accounting(self, session):
        """The oldest packet of a session; the next one when the server has answered it: a Stop that overtakes its Start
        would leave the session open in radacct."""
        name, attributes = self.accounting[session][0]
        nas = self.nas[name]

        def answered(_reply):
            queue = self.accounting.get(session, [])
            del queue[:1]
            if queue:
                self.send_accounting(session)
            else:
                self.accounting.pop(session, None)
        self.send(name, nas["acct_port"], answered,
                  lambda identifier: radius.accounting_request(identifier, nas["secret"], attributes))

    def send(self, nas, port, answered, build):
        """build(identifier) -> (packet, authenticator); answered(reply) once, with None when nobody answered."""
        for identifier in range(256):
            key = (nas, port, identifier)
            if key not in self.requests:
                packet, authenticator = build(identifier)
                self.requests[key] = (packet, authenticator, answered)
                self.transmit(key, packet, TRIES)
                return
        self.after(0.05, self.send, nas, port, answered, build)     # all 256 identifiers are in flight

    def transmit(self, key, packet, tries):
        request = self.requests.get(key)
        if request is None or request[0] is not packet:
            return
        if tries == 0:
            del self.requests[key]
            print(f"{key[0]}: no answer from port {key[1]}", flush=True)
            request[2](None)
            return
        try:
            self.sockets[key[0]].sendto(packet, (self.config["radius_host"], key[1]))
        except OSError:         # the server's port is closed: as lost as any other datagram
            pass
        self.after(RETRANSMIT_S, self.transmit, key, packet, tries - 1)

    def receive(self, nas):
        while True:
            try:
                packet, (host, port) = self.sockets[nas].recvfrom(4096)
            except BlockingIOError:
                return
            except OSError:
                continue
            key = (nas, port, packet[1] if len(packet) > 1 else -1)
            request = self.requests.get(key)
            if host != self.config["radius_host"] or request is None:
                continue
            reply = radius.parse_reply(packet, request[1], self.nas[nas]["secret"])
            if reply is None:
                print(f"{nas}: a reply from port {port} has a wrong signature, ignored", flush=True)
                continue
            del self.requests[key]
            request[2](reply)

    # ---- control

    def accept_control(self, control):
        connection, _ = control.accept()
        stream = connection.makefile("rwb")

        def readable():
            line = stream.readline()
            if not line:
                self.selector.unregister(connection)
                stream.close()
                connection.close()
                return
            try:
                request = json.loads(line)
                answer = {"ok": True, "value": COMMANDS[request.pop("command")](self, **request)}
            except (KeyError, TypeError, ValueError) as error:
                answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            stream.write(json.dumps(answer).encode() + b"\n")
            stream.flush()
        self.selector.register(connection, selectors.EVENT_READ, readable)

    def command_add(self, user, dial=True, **options):
        unknown = set(options) - set(Subscriber.OPTIONS)
        if unknown:
            raise ValueError(f"unknown option {', '.join(sorted(unknown))}")
        if user in self.subscribers:
            raise ValueError(f"{user} is here already")
        options.setdefault("nas", next(iter(self.nas)))
        self.subscribers[user] = Subscriber(user, len(self.subscribers) + 1, options)
        if options["nas"] not in self.nas:
            del self.subscribers[user]
            raise ValueError(f"no NAS {options['nas']}")
        if dial:
            self.dial(self.subscribers[user])

    def command_set(self, user, **options):
        for name, value in options.items():
            if name not in Subscriber.OPTIONS or name == "nas":
                raise ValueError(f"{name} cannot be set")
            setattr(self.subscribers[user], name, value)

    def command_dial(self, user):
        subscriber = self.subscribers[user]
        if subscriber.state in ("online", "held"):
            raise ValueError(f"{user} is {subscriber.state}")
        self.dial(subscriber)

    def command_release(self, user):
        subscriber = self.subscribers[user]
        subscriber.hold = ""
        if subscriber.state == "held":
            self.begin_session(subscriber)
        else:
            self.send_start(subscriber)

    def command_hangup(self, user):
        """The customer switches the CPE off."""
        subscriber = self.subscribers[user]
        subscriber.generation += 1
        was = subscriber.state
        self.change_state(subscriber, "off")
        if was == "online":
            self.sql("DELETE FROM nas_session WHERE acctsessionid = %s", subscriber.session)
            self.end_session(subscriber, USER_REQUEST)

    def command_state(self, user=None):
        chosen = list(self.subscribers.values()) if user is None else [self.subscribers[user]]
        rows = self.sql("SELECT acctsessionid, rate, addrlist FROM nas_session") or []
        sessions = {row[0]: row[1:] for row in rows}
        found = []
        for one in chosen:
            online = one.state == "online"
            rate, addrlist = sessions.get(one.session, (None, None)) if online else (None, None)
            found.append({"user": one.user, "nas": one.nas, "state": one.state,
                          "session": one.session if online else None, "framed_ip": one.framed_ip if online else None,
                          "rate": rate, "addrlist": addrlist, "start_sent": one.start_sent, "accepts": one.accepts,
                          "rejects": one.rejects, "disconnects": one.disconnects, "message": one.message})
        return found

    def command_clear(self):
        """Every CPE is forgotten at once, without accounting; nothing more is sent."""
        self.subscribers.clear()
        self.requests.clear()
        self.accounting.clear()


COMMANDS = {"add": Simulator.command_add, "set": Simulator.command_set, "dial": Simulator.command_dial,
            "release": Simulator.command_release, "hangup": Simulator.command_hangup,
            "state": Simulator.command_state, "clear": Simulator.command_clear}


def main(path):
    with open(path, encoding="utf-8") as text:
        simulator = Simulator(json.load(text))

    def leave(_number, _frame):
        sys.exit(0)
    signal.signal(signal.SIGTERM, leave)
    try:
        simulator.run()
    finally:
        os.unlink(simulator.config["control"])


if __name__ == "__main__":
    main(sys.argv[1])
