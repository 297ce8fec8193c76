# SPDX-License-Identifier: Apache-2.0
"""A scripted NAS: answers CoA and Disconnect over UDP as a test tells it, rightly or in every wrong way.

    with RadiusPeer("secret") as nas:                       # on 127.0.0.1, a free port
        target["coa"] = nas.coa                             # {"address", "port", "secret"} for an inventory
        nas.script("ana@isp", [reply(wrong="id")], [reply()])

A script has one entry for each request of that user; the last entry is also that of all further ones. A retransmission (same
bytes, same port) is a further copy of its request, not another request. An entry is a list of replies, [] is silence:

    reply()                     ACK to what was asked            reply(cause=503), reply(cause=[401, 404])    NAK
    reply(cause=[])             NAK without an Error-Cause       reply(code=44)    that code, whatever was asked
    reply(copy=2)               to the second copy, nothing to the first
    reply(times=2)              sent twice
    reply(late="retransmission")    to the first copy, but held back until the second one has come
    reply(late="next")          held back until the user's next request has come, and then sent to that one's port
    reply(wrong=WORD)           in one of the ways of WRONG, below

Users without a script get the default entry (`nas.default`, an ACK). Packets that look like a probe of silverd are answered with
NAK 503, as a NAS does that knows no such session, or as `nas.probe` says. `nas.dead = True` drops everything, after it was
recorded. Nothing is simulated beyond the packets: no session starts or ends.

    nas.requests("ana@isp")     [Request]: code, identifier, attributes [(number, value)], copies, port, signed
    nas.probes()                the same for probes
"""

import dataclasses
import hashlib
import hmac
import itertools
import socket
import struct
import threading
import time

DISCONNECT, COA = 40, 43
USER_NAME, ACCT_SESSION_ID, EVENT_TIMESTAMP, MESSAGE_AUTHENTICATOR, ERROR_CAUSE = 1, 44, 55, 80, 101
PROBE = "silver-netops-probe-"

# How a reply can be wrong -> what is done to it. All others of its bytes are right.
WRONG = {
    "id": "another identifier, signed",
    "authenticator": "Response Authenticator of another secret",
    "request-authenticator": "signed as the answer to another request",
    "message-authenticator": "a Message-Authenticator that is not right, in a packet that is signed",
    "message-authenticator-zeros": "a Message-Authenticator made over zeros, as FreeRADIUS before 3.2.5 does",
    "attribute": "the last attribute runs beyond the end, signed",
    "attribute-zero": "an attribute of length 0, signed",
    "cut": "the end of the datagram is missing",
    "length-long": "the length field says more than has come",
    "length-short": "the length field says less than was signed",
    "length-tiny": "the length field says less than a header has",
    "code": "the ACK of the other kind of request, signed",
    "stale": "an Event-Timestamp of an hour ago, signed",
    "port": "sent from another port",
    "address": "sent from another address",
    "noise": "bytes without sense",
}


@dataclasses.dataclass
class Reply:
    code: int
    causes: list
    copy: int
    times: int
    late: str
    wrong: str
    ma: bool


def reply(cause=None, code=0, copy=1, times=1, late="", wrong="", ma=False):
    """See the top; ma: with a Message-Authenticator made as RFC 5176 wants it."""
    assert not wrong or wrong in WRONG, wrong
    assert late in ("", "retransmission", "next"), late
    causes = None if cause is None else [cause] if isinstance(cause, int) else list(cause)
    return Reply(code, causes, copy, times, late, wrong, ma)


@dataclasses.dataclass
class Request:
    code: int
    identifier: int
    attributes: list
    port: int
    data: bytes
    signed: bool        # Request Authenticator and Message-Authenticator are right
    copies: int = 1

    def value(self, number):
        return next((value for found, value in self.attributes if found == number), None)

    def text(self, number):
        return (self.value(number) or b"").decode()


def attributes_of(data):
    found, at = [], 20
    while at < len(data):
        found.append((data[at], data[at + 2:at + data[at + 1]]))
        at += data[at + 1]
    return found


class RadiusPeer:
    def __init__(self, secret="peer-secret", address="127.0.0.1", port=0):
        self.secret, self.address = secret.encode(), address
        self.default, self.probe, self.dead = [reply()], [reply(cause=503)], False
        self._scripts, self._requests, self._held = {}, {}, {}
        self._lock = threading.Lock()
        self._socket = self._bound(address, port)
        self._elsewhere = {"port": self._bound(address), "address": self._bound("127.0.0.99")}
        self.port = self._socket.getsockname()[1]
        self.coa = {"address": address, "port": self.port, "secret": secret}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @staticmethod
    def _bound(address, port=0):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        return made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if not self._thread.is_alive():
            return
        self._socket.sendto(b"", (self.address, self.port))
        self._thread.join(timeout=10)
        for made in (self._socket, *self._elsewhere.values()):
            made.close()

    # ---- what the test says and asks

    def script(self, user, *entries):
        with self._lock:
            self._scripts[user] = list(entries)

    def requests(self, user=None):
        """Of one user, or of all, in the order of coming; probes are not among them."""
        with self._lock:
            if user is not None:
                return list(self._requests.get(user, []))
            return [one for name, made in self._requests.items() for one in made if not name.startswith(PROBE)]

    def probes(self):
        with self._lock:
            return [one for name, made in self._requests.items() for one in made if name.startswith(PROBE)]

    # ---- the NAS

    def _serve(self):
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            with self._lock:
                self._take(data, peer)

    def _take(self, data, peer):
        request = Request(data[0], data[1], attributes_of(data), peer[1], data, self._is_signed(data))
        user = request.text(USER_NAME)
        made = self._requests.setdefault(user, [])
        if made and (made[-1].data, made[-1].port) == (data, peer[1]):
            made[-1].copies += 1
            request = made[-1]
        else:
            made.append(request)
        if self.dead:
            return
        if user.startswith(PROBE):
            entry = self.probe
        else:
            script = self._scripts.get(user, [self.default])
            entry = script[min(len(made), len(script)) - 1]
        if request.copies == 1:
            for datagram, by in self._held.pop((user, "next"), []):
                by.sendto(datagram, peer)
        for one in entry:
            self._answer(one, request, user, peer)

    def _answer(self, one, request, user, peer):
        by = self._elsewhere.get(one.wrong, self._socket)
        if one.late == "retransmission" and request.copies < 2:
            return
        if one.late == "next":
            if request.copies == 1:
                self._held.setdefault((user, "next"), []).append((self._build(one, request), by))
            return
        if request.copies < one.copy:
            return
        for _ in range(one.times):
            by.sendto(self._build(one, request), peer)

    # ---- packets

    def _is_signed(self, data):
        zeroed = data[:4] + bytes(16) + data[20:]
        if hashlib.md5(zeroed + self.secret).digest() != data[4:20]:
            return False
        at = 20
        for number, value in attributes_of(data):
            if number == MESSAGE_AUTHENTICATOR:
                unsigned = zeroed[:at + 2] + bytes(16) + zeroed[at + 18:]
                return hmac.new(self.secret, unsigned, hashlib.md5).digest() == value
            at += 2 + len(value)
        return False

    def _code(self, one, request):
        if one.code:
            return one.code
        kind = request.code
        if one.wrong == "code":
            kind = COA if kind == DISCONNECT else DISCONNECT
        return kind + (1 if one.causes is None else 2)

    def _body(self, one):
        then = int(time.time()) - (3600 if one.wrong == "stale" else 0)
        body = struct.pack("!BBI", EVENT_TIMESTAMP, 6, then)
        body += b"".join(struct.pack("!BBI", ERROR_CAUSE, 6, cause) for cause in one.causes or [])
        if one.wrong == "attribute":
            body += b"\x12\x20cut"          # says 32 octets, has 5
        elif one.wrong == "attribute-zero":
            body += b"\x12\x00"
        return body

    def _build(self, one, request):
        """One datagram."""
        if one.wrong == "noise":
            return bytes(itertools.islice(itertools.cycle(request.data[4:20]), 64))
        body = self._body(one)
        identifier = request.identifier ^ (one.wrong == "id")
        asked = request.data[4:20]
        if one.wrong == "request-authenticator":
            asked = hashlib.md5(asked).digest()

        def head(end):
            return struct.pack("!BBH", self._code(one, request), identifier, 20 + len(end))
        if one.ma or one.wrong.startswith("message-authenticator"):
            over = bytes(16) if one.wrong == "message-authenticator-zeros" else asked
            secret = b"another" if one.wrong == "message-authenticator" else self.secret
            body += struct.pack("!BB", MESSAGE_AUTHENTICATOR, 18) + bytes(16)
            body = body[:-16] + hmac.new(secret, head(body) + over + body, hashlib.md5).digest()
        secret = b"another" if one.wrong == "authenticator" else self.secret
        data = head(body) + hashlib.md5(head(body) + asked + body + secret).digest() + body
        length = {"length-long": len(data) + 1, "length-short": len(data) - 6, "length-tiny": 19}.get(one.wrong, len(data))
        data = data[:2] + struct.pack("!H", length) + data[4:]
        return data[:-3] if one.wrong == "cut" else data
