/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/radius-session/packet.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define MA_LEN 18 /* type, length, 16 octets */

static size_t length_field(const unsigned char *data)
{
    return (size_t)data[2] << 8 | data[3];
}

/* ---- building ---- */

void sn_packet_begin(struct sn_packet *p, enum sn_packet_code code, uint8_t id, const unsigned char *authenticator)
{
    static const unsigned char zero[SN_PACKET_AUTHENTICATOR];

    memset(p, 0, sizeof(*p));
    p->data[0] = (unsigned char)code;
    p->data[1] = id;
    if (authenticator != NULL)
        memcpy(p->data + 4, authenticator, SN_PACKET_AUTHENTICATOR);
    p->len = SN_PACKET_HEADER;
    sn_packet_add(p, SN_ATTR_MESSAGE_AUTHENTICATOR, zero, sizeof(zero));
}

void sn_packet_add(struct sn_packet *p, enum sn_attribute type, const void *value, size_t len)
{
    if (p->failed || len > 253 || p->len + 2 + len > sizeof(p->data)) {
        p->failed = true;
        return;
    }
    p->data[p->len] = (unsigned char)type;
    p->data[p->len + 1] = (unsigned char)(len + 2);
    memcpy(p->data + p->len + 2, value, len);
    p->len += len + 2;
}

void sn_packet_add_text(struct sn_packet *p, enum sn_attribute type, const char *text)
{
    sn_packet_add(p, type, text, strlen(text));
}

void sn_packet_add_u32(struct sn_packet *p, enum sn_attribute type, uint32_t value)
{
    uint32_t wire = htonl(value);
    sn_packet_add(p, type, &wire, sizeof(wire));
}

void sn_packet_add_nas(struct sn_packet *p, const char *address)
{
    unsigned char wire[16];

    if (inet_pton(AF_INET, address, wire) == 1)
        sn_packet_add(p, SN_ATTR_NAS_IP_ADDRESS, wire, 4);
    else if (inet_pton(AF_INET6, address, wire) == 1)
        sn_packet_add(p, SN_ATTR_NAS_IPV6_ADDRESS, wire, 16);
    else
        p->failed = true;
}

void sn_packet_add_vendor_text(struct sn_packet *p, uint32_t vendor, uint8_t type, const char *text)
{
    unsigned char value[253];
    uint32_t wire = htonl(vendor);
    size_t len = strlen(text);

    if (len > sizeof(value) - 6) {
        p->failed = true;
        return;
    }
    memcpy(value, &wire, 4);
    value[4] = type;
    value[5] = (unsigned char)(len + 2);
    memcpy(value + 6, text, len);
    sn_packet_add(p, SN_ATTR_VENDOR_SPECIFIC, value, len + 6);
}

/* MD5 over up to four pieces. -1 when the library refuses. */
struct piece {
    const void *data;
    size_t len;
};

static int md5(const struct piece *pieces, size_t n, unsigned char out[16])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1;

    for (size_t i = 0; ok && i < n; i++)
        ok = EVP_DigestUpdate(ctx, pieces[i].data, pieces[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -1;
}

static int hmac_md5(const char *secret, size_t secret_len, const unsigned char *data, size_t len, unsigned char out[16])
{
    unsigned n = 0;
    return HMAC(EVP_md5(), secret, (int)secret_len, data, len, out, &n) != NULL && n == 16 ? 0 : -1;
}

void sn_packet_add_chap(struct sn_packet *p, uint8_t ident, const unsigned char challenge[16], const char *password,
                        size_t password_len)
{
    unsigned char value[17];
    struct piece pieces[] = { { &ident, 1 }, { password, password_len }, { challenge, 16 } };

    value[0] = ident;
    if (md5(pieces, 3, value + 1) != 0)
        p->failed = true;
    sn_packet_add(p, SN_ATTR_CHAP_PASSWORD, value, sizeof(value));
    sn_packet_add(p, SN_ATTR_CHAP_CHALLENGE, challenge, 16);
}

int sn_packet_sign(struct sn_packet *p, const char *secret, size_t secret_len, struct sn_error *err)
{
    struct piece pieces[] = { { p->data, p->len }, { secret, secret_len } };

    if (p->failed)
        return sn_error_set(err, "radius.packet", "an attribute does not fit into a RADIUS packet");
    p->data[2] = (unsigned char)(p->len >> 8);
    p->data[3] = (unsigned char)(p->len & 0xff);
    if (hmac_md5(secret, secret_len, p->data, p->len, p->data + SN_PACKET_HEADER + 2) != 0)
        return sn_error_set(err, "radius.crypto", "the cryptographic library refuses HMAC-MD5");
    if (p->data[0] != SN_ACCESS_REQUEST && md5(pieces, 2, p->data + 4) != 0)
        return sn_error_set(err, "radius.crypto", "the cryptographic library refuses MD5");
    return 0;
}

/* ---- checking ---- */

const char *sn_packet_fault_word(enum sn_packet_fault f)
{
    static const char *const words[] = {
        [SN_PACKET_OK] = "ok",
        [SN_PACKET_SHORT] = "cut short",
        [SN_PACKET_LENGTH] = "bad length",
        [SN_PACKET_ID] = "other identifier",
        [SN_PACKET_RESPONSE_AUTH] = "wrong Response Authenticator",
        [SN_PACKET_ATTRIBUTE] = "malformed attribute",
        [SN_PACKET_MESSAGE_AUTH] = "wrong Message-Authenticator",
        [SN_PACKET_MESSAGE_AUTH_ZERO] = "Message-Authenticator over a zeroed authenticator",
        [SN_PACKET_STALE] = "Event-Timestamp outside of the window",
        [SN_PACKET_CODE] = "answer to another kind of request",
        [SN_PACKET_CRYPTO] = "MD5 refused by the cryptographic library",
    };
    return (unsigned)f < sizeof(words) / sizeof(words[0]) ? words[f] : "?";
}

static bool well_formed(const unsigned char *data, size_t len)
{
    size_t at = SN_PACKET_HEADER;

    while (at < len) {
        if (len - at < 2 || data[at + 1] < 2 || data[at + 1] > len - at)
            return false;
        at += data[at + 1];
    }
    return true;
}

static enum sn_packet_fault check_message_auth(const struct sn_packet *request, const unsigned char *data, size_t len,
                                               const struct sn_packet_check *how, bool *ret_zero_ma)
{
    unsigned char copy[SN_PACKET_MAX];
    unsigned char want[16];
    struct sn_packet_attribute ma;

    if (!sn_packet_find(data, len, 0, SN_ATTR_MESSAGE_AUTHENTICATOR, &ma))
        return SN_PACKET_OK; /* accel-ppp and strongSwan send none; it is judged only when present */
    if (ma.len != 16)
        return SN_PACKET_ATTRIBUTE;
    memcpy(copy, data, len);
    memset(copy + (ma.value - data), 0, 16);
    memcpy(copy + 4, request->data + 4, SN_PACKET_AUTHENTICATOR);
    if (hmac_md5(how->secret, how->secret_len, copy, len, want) != 0)
        return SN_PACKET_CRYPTO;
    if (CRYPTO_memcmp(want, ma.value, 16) == 0)
        return SN_PACKET_OK;
    memset(copy + 4, 0, SN_PACKET_AUTHENTICATOR);
    if (hmac_md5(how->secret, how->secret_len, copy, len, want) != 0)
        return SN_PACKET_CRYPTO;
    if (CRYPTO_memcmp(want, ma.value, 16) != 0)
        return SN_PACKET_MESSAGE_AUTH;
    *ret_zero_ma = true;
    return how->accept_zero_ma ? SN_PACKET_OK : SN_PACKET_MESSAGE_AUTH_ZERO;
}

static bool answers(unsigned char request, unsigned char reply)
{
    switch (request) {
    case SN_ACCESS_REQUEST:
        return reply == SN_ACCESS_ACCEPT || reply == SN_ACCESS_REJECT || reply == SN_ACCESS_CHALLENGE;
    case SN_DISCONNECT_REQUEST:
        return reply == SN_DISCONNECT_ACK || reply == SN_DISCONNECT_NAK;
    case SN_COA_REQUEST:
        return reply == SN_COA_ACK || reply == SN_COA_NAK;
    default:
        return false;
    }
}

static bool stale(const unsigned char *data, size_t len, const struct sn_packet_check *how)
{
    struct sn_packet_attribute at;
    int64_t then;

    if (how->now_s == 0 || !sn_packet_find(data, len, 0, SN_ATTR_EVENT_TIMESTAMP, &at) || at.len != 4)
        return false;
    then = (int64_t)at.value[0] << 24 | (int64_t)at.value[1] << 16 | (int64_t)at.value[2] << 8 | at.value[3];
    return then < how->now_s - how->window_s || then > how->now_s + how->window_s;
}

/* The order of docs/protocols/dynamic-authorization.md: what an attacker can vary cheaply is looked at last. */
enum sn_packet_fault sn_packet_check(const struct sn_packet *request, const unsigned char *data, size_t len,
                                     const struct sn_packet_check *how, bool *ret_zero_ma)
{
    unsigned char want[16];
    enum sn_packet_fault fault;
    size_t own;

    *ret_zero_ma = false;
    if (len < SN_PACKET_HEADER)
        return SN_PACKET_SHORT;
    own = length_field(data);
    if (own < SN_PACKET_HEADER || own > SN_PACKET_MAX)
        return SN_PACKET_LENGTH;
    if (own > len)
        return SN_PACKET_SHORT;
    if (data[1] != request->data[1])
        return SN_PACKET_ID;
    struct piece pieces[] = { { data, 4 },
                              { request->data + 4, SN_PACKET_AUTHENTICATOR },
                              { data + SN_PACKET_HEADER, own - SN_PACKET_HEADER },
                              { how->secret, how->secret_len } };
    if (md5(pieces, 4, want) != 0)
        return SN_PACKET_CRYPTO;
    if (CRYPTO_memcmp(want, data + 4, 16) != 0)
        return SN_PACKET_RESPONSE_AUTH;
    if (!well_formed(data, own))
        return SN_PACKET_ATTRIBUTE;
    fault = check_message_auth(request, data, own, how, ret_zero_ma);
    if (fault != SN_PACKET_OK)
        return fault;
    if (stale(data, own, how))
        return SN_PACKET_STALE;
    return answers(request->data[0], data[0]) ? SN_PACKET_OK : SN_PACKET_CODE;
}

/* ---- walking ---- */

/* A Vendor-Specific value that is one vendor number and whole sub-attributes. */
static bool has_sub_attributes(const unsigned char *v, size_t len)
{
    size_t at = 4;

    while (at < len) {
        if (len - at < 2 || v[at + 1] < 2 || v[at + 1] > len - at)
            return false;
        at += v[at + 1];
    }
    return len > 4;
}

bool sn_packet_next(const unsigned char *data, size_t len, struct sn_packet_cursor *cursor, struct sn_packet_attribute *ret)
{
    size_t at = cursor->at < SN_PACKET_HEADER ? SN_PACKET_HEADER : cursor->at;
    const unsigned char *v;
    size_t v_len;

    if (len >= SN_PACKET_HEADER && length_field(data) < len)
        len = length_field(data);
    if (at >= len || len - at < 2 || data[at + 1] < 2 || data[at + 1] > len - at)
        return false;
    v = data + at + 2;
    v_len = (size_t)data[at + 1] - 2;
    *ret = (struct sn_packet_attribute){ .type = data[at], .value = v, .len = v_len };
    if (ret->type == SN_ATTR_VENDOR_SPECIFIC && has_sub_attributes(v, v_len)) {
        size_t sub = cursor->sub != 0 ? cursor->sub : 4;
        ret->vendor = (uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 | (uint32_t)v[2] << 8 | v[3];
        ret->type = v[sub];
        ret->value = v + sub + 2;
        ret->len = (size_t)v[sub + 1] - 2;
        cursor->sub = sub + v[sub + 1] < v_len ? sub + v[sub + 1] : 0;
    }
    cursor->at = cursor->sub != 0 ? at : at + data[at + 1];
    return true;
}

bool sn_packet_find(const unsigned char *data, size_t len, uint32_t vendor, uint8_t type, struct sn_packet_attribute *ret)
{
    struct sn_packet_attribute a;
    struct sn_packet_cursor cursor = { 0 };

    while (sn_packet_next(data, len, &cursor, &a)) {
        if (a.vendor == vendor && a.type == type) {
            *ret = a;
            return true;
        }
    }
    return false;
}

#define SESSION_NOT_FOUND 503

uint32_t sn_packet_error_cause(const unsigned char *data, size_t len)
{
    struct sn_packet_attribute a;
    struct sn_packet_cursor cursor = { 0 };
    uint32_t cause = 0;

    while (sn_packet_next(data, len, &cursor, &a)) {
        if (a.vendor != 0 || a.type != SN_ATTR_ERROR_CAUSE)
            continue;
        cause = a.len != 4 ? 0
                           : (uint32_t)a.value[0] << 24 | (uint32_t)a.value[1] << 16 | (uint32_t)a.value[2] << 8 | a.value[3];
        if (cause != SESSION_NOT_FOUND)
            return cause;
    }
    return cause;
}
