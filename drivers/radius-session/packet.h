/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RADIUS packets of a Dynamic Authorization Client (RFC 5176) and of an access probe (RFC 2865): building, signing, checking.
 * Pure: no I/O, no clock, no random source. libradcli cannot put such packets on the wire (docs/protocols/dynamic-authorization.md).
 * Thread: any; a packet belongs to its caller.
 */
#ifndef SN_DRIVERS_RADIUS_SESSION_PACKET_H
#define SN_DRIVERS_RADIUS_SESSION_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

#define SN_PACKET_MAX 4096
#define SN_PACKET_HEADER 20
#define SN_PACKET_AUTHENTICATOR 16

enum sn_packet_code {
    SN_ACCESS_REQUEST = 1,
    SN_ACCESS_ACCEPT = 2,
    SN_ACCESS_REJECT = 3,
    SN_ACCESS_CHALLENGE = 11,
    SN_DISCONNECT_REQUEST = 40,
    SN_DISCONNECT_ACK = 41,
    SN_DISCONNECT_NAK = 42,
    SN_COA_REQUEST = 43,
    SN_COA_ACK = 44,
    SN_COA_NAK = 45,
};

enum sn_attribute {
    SN_ATTR_USER_NAME = 1,
    SN_ATTR_CHAP_PASSWORD = 3,
    SN_ATTR_NAS_IP_ADDRESS = 4,
    SN_ATTR_SERVICE_TYPE = 6,
    SN_ATTR_FRAMED_PROTOCOL = 7,
    SN_ATTR_REPLY_MESSAGE = 18,
    SN_ATTR_VENDOR_SPECIFIC = 26,
    SN_ATTR_NAS_IDENTIFIER = 32,
    SN_ATTR_ACCT_SESSION_ID = 44,
    SN_ATTR_EVENT_TIMESTAMP = 55,
    SN_ATTR_CHAP_CHALLENGE = 60,
    SN_ATTR_NAS_PORT_TYPE = 61,
    SN_ATTR_MESSAGE_AUTHENTICATOR = 80,
    SN_ATTR_NAS_IPV6_ADDRESS = 95,
    SN_ATTR_ERROR_CAUSE = 101,
};
#define SN_VENDOR_MIKROTIK 14988
#define SN_MIKROTIK_RATE_LIMIT 8
#define SN_MIKROTIK_ADDRESS_LIST 19

/* A packet in the making. An attribute that does not fit makes it failed; sn_packet_sign() then refuses. */
struct sn_packet {
    unsigned char data[SN_PACKET_MAX];
    size_t len;
    bool failed;
};

/* Header and an empty Message-Authenticator, which is the first attribute. authenticator: 16 random bytes for an Access-Request, NULL
 * for the codes whose authenticator is computed. */
void sn_packet_begin(struct sn_packet *p, enum sn_packet_code code, uint8_t id, const unsigned char *authenticator);
void sn_packet_add(struct sn_packet *p, enum sn_attribute type, const void *value, size_t len);
void sn_packet_add_text(struct sn_packet *p, enum sn_attribute type, const char *text);
void sn_packet_add_u32(struct sn_packet *p, enum sn_attribute type, uint32_t value);
/* NAS-IP-Address or NAS-IPv6-Address, by the form of the text. */
void sn_packet_add_nas(struct sn_packet *p, const char *address);
void sn_packet_add_vendor_text(struct sn_packet *p, uint32_t vendor, uint8_t type, const char *text);
/* CHAP-Password and CHAP-Challenge (RFC 2865 5.3: MD5 over ident, password, challenge). */
void sn_packet_add_chap(struct sn_packet *p, uint8_t ident, const unsigned char challenge[16], const char *password,
                        size_t password_len);
/* Length, Message-Authenticator, and for Disconnect and CoA the Request Authenticator, in this order (RFC 5176 3.4). */
int sn_packet_sign(struct sn_packet *p, const char *secret, size_t secret_len, struct sn_error *err) SN_MUSTCHECK;

/* Why a received packet is not the answer. Everything but SN_PACKET_OK is ignored and waited past, never treated as a refusal. */
enum sn_packet_fault {
    SN_PACKET_OK,
    SN_PACKET_SHORT,              /* below 20 octets, or below its own length field */
    SN_PACKET_LENGTH,             /* length field outside of 20..4096 */
    SN_PACKET_ID,                 /* another identifier */
    SN_PACKET_RESPONSE_AUTH,      /* Response Authenticator wrong: other secret, other request, forged */
    SN_PACKET_ATTRIBUTE,          /* an attribute below 2 octets or beyond the end, or Message-Authenticator of a wrong size */
    SN_PACKET_MESSAGE_AUTH,       /* Message-Authenticator wrong */
    SN_PACKET_MESSAGE_AUTH_ZERO,  /* wrong, but right over a zeroed authenticator: FreeRADIUS 3.2.1 as the NAS or as a relay */
    SN_PACKET_STALE,              /* Event-Timestamp outside of the window */
    SN_PACKET_CODE,               /* not an answer to this kind of request */
    SN_PACKET_CRYPTO,             /* the cryptographic library refuses (MD5 switched off) */
};
const char *sn_packet_fault_word(enum sn_packet_fault f);

struct sn_packet_check {
    const char *secret;
    size_t secret_len;
    bool accept_zero_ma; /* take SN_PACKET_MESSAGE_AUTH_ZERO for right; *ret_zero_ma tells */
    int64_t now_s;       /* wall clock for Event-Timestamp; 0 = not checked */
    int64_t window_s;
};
/* Is data[0..len) the answer to the signed request? Octets beyond the length field are padding. */
enum sn_packet_fault sn_packet_check(const struct sn_packet *request, const unsigned char *data, size_t len,
                                     const struct sn_packet_check *how, bool *ret_zero_ma);

/* Walks the attributes of a packet that was checked (or of our own). vendor 0 = plain; a Vendor-Specific attribute is given as its
 * sub-attributes, one by one (RFC 2865 5.26 allows several), or as type 26 with vendor 0 when it is not made of such. A zeroed
 * cursor starts at the first. False at the end. */
struct sn_packet_cursor {
    size_t at;  /* of the attribute */
    size_t sub; /* of the next sub-attribute in its value, 0 = none */
};
struct sn_packet_attribute {
    uint32_t vendor;
    uint8_t type;
    const unsigned char *value; /* borrowed from the packet */
    size_t len;
};
bool sn_packet_next(const unsigned char *data, size_t len, struct sn_packet_cursor *cursor, struct sn_packet_attribute *ret);
/* First attribute of that kind; false when there is none. */
bool sn_packet_find(const unsigned char *data, size_t len, uint32_t vendor, uint8_t type, struct sn_packet_attribute *ret);
/* Error-Cause (RFC 5176 3.5) of a NAK, 0 when it has none or one that cannot be read. Of several the first that is not 503: that a session
 * is not there must not be believed of a NAS that says something else in the same breath. */
uint32_t sn_packet_error_cause(const unsigned char *data, size_t len);

#endif
