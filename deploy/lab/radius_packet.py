# SPDX-License-Identifier: Apache-2.0
"""RADIUS packets as a NAS sends and checks them (RFC 2865, 2866, 3579): just what the simulated CPEs need."""

import hashlib
import hmac
import os
import struct

ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT, ACCOUNTING_REQUEST, ACCOUNTING_RESPONSE = 1, 2, 3, 4, 5
MIKROTIK = 14988

# name -> (type, kind); kinds: text, int, ipv4, octets
ATTRIBUTES = {
    "User-Name": (1, "text"), "User-Password": (2, "octets"), "CHAP-Password": (3, "octets"),
    "NAS-IP-Address": (4, "ipv4"), "NAS-Port": (5, "int"), "Service-Type": (6, "int"), "Framed-Protocol": (7, "int"),
    "Framed-IP-Address": (8, "ipv4"), "Filter-Id": (11, "text"), "Reply-Message": (18, "text"),
    "Session-Timeout": (27, "int"), "Called-Station-Id": (30, "text"), "Calling-Station-Id": (31, "text"),
    "NAS-Identifier": (32, "text"), "Acct-Status-Type": (40, "int"), "Acct-Delay-Time": (41, "int"),
    "Acct-Input-Octets": (42, "int"), "Acct-Output-Octets": (43, "int"), "Acct-Session-Id": (44, "text"),
    "Acct-Authentic": (45, "int"), "Acct-Session-Time": (46, "int"), "Acct-Terminate-Cause": (49, "int"),
    "Event-Timestamp": (55, "int"), "CHAP-Challenge": (60, "octets"), "NAS-Port-Type": (61, "int"),
    "Message-Authenticator": (80, "octets"), "Acct-Interim-Interval": (85, "int"), "Framed-Pool": (88, "text"),
}
NAMES = {number: (name, kind) for name, (number, kind) in ATTRIBUTES.items()}
MIKROTIK_NAMES = {8: "Mikrotik-Rate-Limit", 19: "Mikrotik-Address-List"}


def _pack(name, value):
    number, kind = ATTRIBUTES[name]
    data = {"text": lambda: value.encode(), "int": lambda: struct.pack("!I", value), "octets": lambda: value,
            "ipv4": lambda: bytes(int(part) for part in value.split("."))}[kind]()
    if len(data) > 253:
        raise ValueError(f"{name} is longer than 253 octets")
    return bytes((number, len(data) + 2)) + data


def _unpack(kind, data):
    if kind == "text":
        return data.decode("utf-8", "replace")
    if kind == "int":
        return struct.unpack("!I", data)[0]
    if kind == "ipv4":
        return ".".join(str(byte) for byte in data)
    return data


def hide_password(password, authenticator, secret):
    """User-Password of RFC 2865 5.2."""
    plain = password.encode()
    plain += b"\0" * (-len(plain) % 16 or (16 if not plain else 0))
    hidden, last = b"", authenticator
    for start in range(0, len(plain), 16):
        key = hashlib.md5(secret.encode() + last).digest()
        last = bytes(a ^ b for a, b in zip(plain[start:start + 16], key))
        hidden += last
    return hidden


def access_request(identifier, secret, user, password, chap, attributes):
    """(packet, request authenticator); Message-Authenticator is the last attribute."""
    authenticator = os.urandom(16)
    body = _pack("User-Name", user)
    if chap:
        challenge = os.urandom(16)
        digest = hashlib.md5(bytes((identifier,)) + password.encode() + challenge).digest()
        body += _pack("CHAP-Password", bytes((identifier,)) + digest) + _pack("CHAP-Challenge", challenge)
    else:
        body += _pack("User-Password", hide_password(password, authenticator, secret))
    body += b"".join(_pack(name, value) for name, value in attributes)
    body += _pack("Message-Authenticator", bytes(16))
    packet = struct.pack("!BBH", ACCESS_REQUEST, identifier, 20 + len(body)) + authenticator + body
    return packet[:-16] + hmac.digest(secret.encode(), packet, "md5"), authenticator


def accounting_request(identifier, secret, attributes):
    """(packet, request authenticator)."""
    body = b"".join(_pack(name, value) for name, value in attributes)
    head = struct.pack("!BBH", ACCOUNTING_REQUEST, identifier, 20 + len(body))
    authenticator = hashlib.md5(head + bytes(16) + body + secret.encode()).digest()
    return head + authenticator + body, authenticator


def parse_reply(packet, request_authenticator, secret):
    """(code, {name: value}) of a reply whose signatures are right; None for anything else, which is then ignored."""
    if len(packet) < 20:
        return None
    code, identifier, length = struct.unpack("!BBH", packet[:4])
    if not 20 <= length <= len(packet):
        return None
    packet = packet[:length]
    signed = packet[:4] + request_authenticator + packet[20:]
    if not hmac.compare_digest(hashlib.md5(signed + secret.encode()).digest(), packet[4:20]):
        return None
    found, at = {}, 20
    while at < length:
        if at + 2 > length or packet[at + 1] < 2 or at + packet[at + 1] > length:
            return None
        number, data = packet[at], packet[at + 2:at + packet[at + 1]]
        if number == ATTRIBUTES["Message-Authenticator"][0]:
            zeroed = signed[:at + 2] + bytes(len(data)) + signed[at + packet[at + 1]:]
            if not hmac.compare_digest(hmac.digest(secret.encode(), zeroed, "md5"), data):
                return None
        if number == 26 and len(data) >= 6 and struct.unpack("!I", data[:4])[0] == MIKROTIK:
            name = MIKROTIK_NAMES.get(data[4])
            if name:
                found[name] = data[6:4 + data[5]].decode("utf-8", "replace")
        elif number in NAMES:
            name, kind = NAMES[number]
            if kind in ("int", "ipv4") and len(data) != 4:
                return None
            found[name] = _unpack(kind, data)
        at += packet[at + 1]
    return code, found
