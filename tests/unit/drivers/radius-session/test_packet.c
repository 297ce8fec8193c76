/* SPDX-License-Identifier: Apache-2.0 */
/* Packets against the test vectors of docs/protocols/dynamic-authorization.md (accepted and sent by real servers). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <string.h>

#include "drivers/radius-session/packet.h"

struct bytes {
    unsigned char data[SN_PACKET_MAX];
    size_t len;
};

static struct bytes hex(const char *text)
{
    struct bytes b = { .len = strlen(text) / 2 };

    for (size_t i = 0; i < b.len; i++) {
        char pair[3] = { text[2 * i], text[2 * i + 1], '\0' };
        b.data[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return b;
}

static void assert_packet(const struct sn_packet *p, const char *text)
{
    struct bytes b = hex(text);

    assert_int_equal(p->len, b.len);
    assert_memory_equal(p->data, b.data, b.len);
}

static struct sn_packet as_request(const char *text)
{
    struct bytes b = hex(text);
    struct sn_packet p = { .len = b.len };

    memcpy(p.data, b.data, b.len);
    return p;
}

static enum sn_packet_fault check(const struct sn_packet *request, const struct bytes *reply, const char *secret, int64_t now_s,
                                  bool accept_zero, bool *ret_zero)
{
    struct sn_packet_check how = {
        .secret = secret, .secret_len = strlen(secret), .now_s = now_s, .window_s = 300, .accept_zero_ma = accept_zero
    };
    return sn_packet_check(request, reply->data, reply->len, &how, ret_zero);
}

#define TS 0x6b03bf7eu
#define COA_REQ                                                                                                         \
    "2b09004ca70862a4da38cdf4573c893663ed7e275012c9e37ca8da1724056eb47fe1d16e3ff60109616e61406973702c0a38316130303031" \
    "3037066b03bf7e1a0d00003a8c0807394d2f394d"
#define COA_REP "2c09001abfd2ea8bf8a5850f9ed20c4d5e87d37a37066b03bf7e"
#define DIS_REQ                                                                                                         \
    "280c0035fc4d9b19daafa39719664537258f1d3c5012d6437ca81ba3b4d493109b74dd5e083e01097a6f654069737037066b03bf7e"
#define DIS_REP                                                                                                         \
    "2a0c003201f5df368d89c3df7b50b6202802d3886506000001f737066b03bf7f5012785c09f676c4e914ba414c4bfa34702f"
#define TWICE_REQ                                                                                                       \
    "280e0035d97db8c76893fca335e251e6b46b8e565012793fa5deb3f4ae078b92b317ab78fde90109616e614069737037066b03bf7e"
#define TWICE_ACK "290e002ca5eb8270c0b42a41155084cc3c6b15dc37066b03bf815012e9c2422617f05bdea565d6da712c9209"
#define TWICE_NAK                                                                                                       \
    "2a0e00322200ddad02a2b1a3d262879d0bf892366506000001f737066b03bf81501228953c799817d04fdd6bac1311c030ba"
#define ZERO_REQ                                                                                                        \
    "2b0a004e56cf394804c7981e6c99a7e746251ebf50125f4df7168706e760d15f73b72c82bbf50109616e6140697370200c7369676e2d7265"   \
    "706c7937066b03bf7e1a0d00003a8c0807394d2f394d"
#define ZERO_REP "2c0a002cae3d8e2bb13ed560a9af50d9997eb91737066b03bf7e50125b84da1c46997b4b0e63110f4029453c"

static void coa_request_is_built_byte_by_byte(void **state)
{
    struct sn_packet p;
    struct sn_error err;

    (void)state;
    sn_packet_begin(&p, SN_COA_REQUEST, 9, NULL);
    sn_packet_add_text(&p, SN_ATTR_USER_NAME, "ana@isp");
    sn_packet_add_text(&p, SN_ATTR_ACCT_SESSION_ID, "81a00010");
    sn_packet_add_u32(&p, SN_ATTR_EVENT_TIMESTAMP, TS);
    sn_packet_add_vendor_text(&p, SN_VENDOR_MIKROTIK, SN_MIKROTIK_RATE_LIMIT, "9M/9M");
    assert_int_equal(sn_packet_sign(&p, "coa-secret", 10, &err), 0);
    assert_packet(&p, COA_REQ);
}

static void disconnect_requests_are_built_byte_by_byte(void **state)
{
    static const struct {
        uint8_t id;
        const char *user;
        const char *packet;
    } rows[] = { { 12, "zoe@isp", DIS_REQ }, { 14, "ana@isp", TWICE_REQ } };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sn_packet p;
        struct sn_error err;
        sn_packet_begin(&p, SN_DISCONNECT_REQUEST, rows[i].id, NULL);
        sn_packet_add_text(&p, SN_ATTR_USER_NAME, rows[i].user);
        sn_packet_add_u32(&p, SN_ATTR_EVENT_TIMESTAMP, TS);
        assert_int_equal(sn_packet_sign(&p, "das-secret", 10, &err), 0);
        assert_packet(&p, rows[i].packet);
    }
}

static void request_with_nas_identifier_is_built_byte_by_byte(void **state)
{
    struct sn_packet p;
    struct sn_error err;

    (void)state;
    sn_packet_begin(&p, SN_COA_REQUEST, 10, NULL);
    sn_packet_add_text(&p, SN_ATTR_USER_NAME, "ana@isp");
    sn_packet_add_text(&p, SN_ATTR_NAS_IDENTIFIER, "sign-reply");
    sn_packet_add_u32(&p, SN_ATTR_EVENT_TIMESTAMP, TS);
    sn_packet_add_vendor_text(&p, SN_VENDOR_MIKROTIK, SN_MIKROTIK_RATE_LIMIT, "9M/9M");
    assert_int_equal(sn_packet_sign(&p, "coa-secret", 10, &err), 0);
    assert_packet(&p, ZERO_REQ);
}

static void answers_of_real_servers_are_taken(void **state)
{
    static const struct {
        const char *request, *reply, *secret;
        uint32_t cause;
    } rows[] = {
        { COA_REQ, COA_REP, "coa-secret", 0 },
        { DIS_REQ, DIS_REP, "das-secret", 503 },
        { TWICE_REQ, TWICE_ACK, "das-secret", 0 },
        { TWICE_REQ, TWICE_NAK, "das-secret", 503 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sn_packet request = as_request(rows[i].request);
        struct bytes reply = hex(rows[i].reply);
        bool zero = true;
        assert_int_equal(check(&request, &reply, rows[i].secret, TS + 10, false, &zero), SN_PACKET_OK);
        assert_false(zero);
        assert_int_equal(sn_packet_error_cause(reply.data, reply.len), rows[i].cause);
        /* octets past the length field are padding */
        memset(reply.data + reply.len, 0xab, 7);
        reply.len += 7;
        assert_int_equal(check(&request, &reply, rows[i].secret, 0, false, &zero), SN_PACKET_OK);
        assert_int_equal(sn_packet_error_cause(reply.data, reply.len), rows[i].cause);
    }
}

static void zeroed_message_authenticator_is_dropped_unless_allowed(void **state)
{
    struct sn_packet request = as_request(ZERO_REQ);
    struct bytes reply = hex(ZERO_REP);
    bool zero = false;

    (void)state;
    assert_int_equal(check(&request, &reply, "coa-secret", 0, false, &zero), SN_PACKET_MESSAGE_AUTH_ZERO);
    assert_int_equal(check(&request, &reply, "coa-secret", 0, true, &zero), SN_PACKET_OK);
    assert_true(zero);
    /* the option does not open the door to any other signature */
    request = as_request(DIS_REQ);
    reply = hex(DIS_REP);
    reply.data[reply.len - 1] ^= 1;
    assert_int_not_equal(check(&request, &reply, "das-secret", 0, true, &zero), SN_PACKET_OK);
}

static void foreign_answers_are_told_apart(void **state)
{
    struct sn_packet request = as_request(DIS_REQ);
    struct bytes reply;
    bool zero;

    (void)state;
    reply = hex(DIS_REP);
    assert_int_equal(check(&request, &reply, "other", 0, false, &zero), SN_PACKET_RESPONSE_AUTH);
    reply.data[1] ^= 1;
    assert_int_equal(check(&request, &reply, "das-secret", 0, false, &zero), SN_PACKET_ID);
    reply = hex(DIS_REP);
    reply.data[20] ^= 1; /* any attribute octet */
    assert_int_equal(check(&request, &reply, "das-secret", 0, false, &zero), SN_PACKET_RESPONSE_AUTH);
    reply = hex(DIS_REP);
    reply.len--;
    assert_int_equal(check(&request, &reply, "das-secret", 0, false, &zero), SN_PACKET_SHORT);
    reply.len = 19;
    assert_int_equal(check(&request, &reply, "das-secret", 0, false, &zero), SN_PACKET_SHORT);
    reply = hex(DIS_REP);
    reply.data[2] = 0;
    reply.data[3] = 19;
    assert_int_equal(check(&request, &reply, "das-secret", 0, false, &zero), SN_PACKET_LENGTH);
    reply.data[2] = 0x10;
    reply.data[3] = 0x01;
    assert_int_equal(check(&request, &reply, "das-secret", 0, false, &zero), SN_PACKET_LENGTH);
    /* the answer to another request with the same identifier */
    reply = hex(TWICE_ACK);
    reply.data[1] = 12;
    assert_int_equal(check(&request, &reply, "das-secret", 0, false, &zero), SN_PACKET_RESPONSE_AUTH);
    /* a true answer with a time far from ours */
    reply = hex(DIS_REP);
    assert_int_equal(check(&request, &reply, "das-secret", TS + 302, false, &zero), SN_PACKET_STALE);
    assert_int_equal(check(&request, &reply, "das-secret", TS - 300, false, &zero), SN_PACKET_STALE);
}

/* Signs a reply as a server that knows the secret would, whatever its attributes are. */
static struct bytes signed_reply(const struct sn_packet *request, unsigned char code, const unsigned char *attributes, size_t len,
                                 const char *secret)
{
    struct bytes b = { .len = 20 + len };
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    b.data[0] = code;
    b.data[1] = request->data[1];
    b.data[2] = (unsigned char)(b.len >> 8);
    b.data[3] = (unsigned char)b.len;
    memcpy(b.data + 4, request->data + 4, 16);
    memcpy(b.data + 20, attributes, len);
    assert_int_equal(EVP_DigestInit_ex(ctx, EVP_md5(), NULL), 1);
    assert_int_equal(EVP_DigestUpdate(ctx, b.data, b.len), 1);
    assert_int_equal(EVP_DigestUpdate(ctx, secret, strlen(secret)), 1);
    assert_int_equal(EVP_DigestFinal_ex(ctx, b.data + 4, NULL), 1);
    EVP_MD_CTX_free(ctx);
    return b;
}

static void malformed_attributes_of_a_signed_answer_are_refused(void **state)
{
    static const struct {
        unsigned char bytes[8];
        size_t len;
        enum sn_packet_fault fault;
    } rows[] = {
        { { 101, 6, 0, 0, 1, 0xf7 }, 6, SN_PACKET_OK },
        { { 101, 7, 0, 0, 1, 0xf7 }, 6, SN_PACKET_ATTRIBUTE },             /* beyond the end */
        { { 101, 1, 0, 0, 1, 0xf7 }, 6, SN_PACKET_ATTRIBUTE },             /* below 2 octets */
        { { 101, 0, 0, 0, 1, 0xf7 }, 6, SN_PACKET_ATTRIBUTE },
        { { 101, 6, 0, 0, 1, 0xf7, 18 }, 7, SN_PACKET_ATTRIBUTE },         /* half a header */
        { { 80, 6, 0, 0, 1, 0xf7 }, 6, SN_PACKET_ATTRIBUTE },              /* Message-Authenticator of 4 octets */
        { { 26, 6, 0, 0, 0x3a, 0x8c }, 6, SN_PACKET_OK },                  /* a vendor without anything */
    };
    struct sn_packet request = as_request(DIS_REQ);
    bool zero;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bytes b = signed_reply(&request, SN_DISCONNECT_NAK, rows[i].bytes, rows[i].len, "das-secret");
        assert_int_equal(check(&request, &b, "das-secret", 0, false, &zero), rows[i].fault);
    }
}

static void answer_to_another_kind_of_request_is_refused(void **state)
{
    static const unsigned char codes[] = { SN_COA_ACK, SN_COA_NAK, SN_ACCESS_ACCEPT, SN_DISCONNECT_REQUEST, 0, 255 };
    struct sn_packet request = as_request(DIS_REQ);
    bool zero;

    (void)state;
    for (size_t i = 0; i < sizeof(codes); i++) {
        struct bytes b = signed_reply(&request, codes[i], (const unsigned char *)"", 0, "das-secret");
        assert_int_equal(check(&request, &b, "das-secret", 0, false, &zero), SN_PACKET_CODE);
    }
}

static void too_much_fails_at_signing(void **state)
{
    char text[300];
    struct sn_packet p;
    struct sn_error err;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[254] = '\0';
    sn_packet_begin(&p, SN_COA_REQUEST, 1, NULL);
    sn_packet_add_text(&p, SN_ATTR_USER_NAME, text); /* 254 octets: one too many */
    assert_int_equal(sn_packet_sign(&p, "s", 1, &err), -1);
    assert_string_equal(err.code, "radius.packet");

    text[253] = '\0';
    sn_packet_begin(&p, SN_COA_REQUEST, 1, NULL);
    sn_packet_add_text(&p, SN_ATTR_USER_NAME, text);
    assert_int_equal(sn_packet_sign(&p, "s", 1, &err), 0);

    text[248] = '\0';
    sn_packet_begin(&p, SN_COA_REQUEST, 1, NULL);
    sn_packet_add_vendor_text(&p, SN_VENDOR_MIKROTIK, 8, text); /* 247 octets fit into a vendor's attribute */
    assert_int_equal(sn_packet_sign(&p, "s", 1, &err), -1);

    text[247] = '\0';
    sn_packet_begin(&p, SN_COA_REQUEST, 1, NULL);
    for (int i = 0; i < 15; i++)
        sn_packet_add_vendor_text(&p, SN_VENDOR_MIKROTIK, 8, text);
    assert_int_equal(sn_packet_sign(&p, "s", 1, &err), 0);
    sn_packet_add_vendor_text(&p, SN_VENDOR_MIKROTIK, 8, text); /* 4098 octets in all */
    assert_int_equal(sn_packet_sign(&p, "s", 1, &err), -1);

    sn_packet_begin(&p, SN_COA_REQUEST, 1, NULL);
    sn_packet_add_nas(&p, "no address");
    assert_int_equal(sn_packet_sign(&p, "s", 1, &err), -1);
}

static void vendor_attributes_are_walked_one_by_one(void **state)
{
    static const unsigned char two[] = { 26, 15, 0, 0, 0x3a, 0x8c, 19, 4, 'l', '1', 8, 5, '1', '/', '1',
                                         26, 8, 0, 0, 0x3a, 0x8c, 8, 9 /* sub-attribute beyond the end: opaque */ };
    unsigned char data[20 + sizeof(two)] = { 2, 1, 0, sizeof(data) };
    struct sn_packet_cursor cursor = { 0 };
    struct sn_packet_attribute a;

    (void)state;
    memcpy(data + 20, two, sizeof(two));
    assert_true(sn_packet_next(data, sizeof(data), &cursor, &a));
    assert_int_equal(a.vendor, SN_VENDOR_MIKROTIK);
    assert_int_equal(a.type, SN_MIKROTIK_ADDRESS_LIST);
    assert_memory_equal(a.value, "l1", a.len);
    assert_true(sn_packet_next(data, sizeof(data), &cursor, &a));
    assert_int_equal(a.type, SN_MIKROTIK_RATE_LIMIT);
    assert_memory_equal(a.value, "1/1", a.len);
    assert_true(sn_packet_next(data, sizeof(data), &cursor, &a));
    assert_int_equal(a.vendor, 0);
    assert_int_equal(a.type, 26);
    assert_false(sn_packet_next(data, sizeof(data), &cursor, &a));
}

static void of_several_causes_the_one_that_is_no_proof_counts(void **state)
{
    static const struct {
        const char *attributes;
        uint32_t cause;
    } rows[] = {
        { "", 0 },
        { "6506000001f7", 503 },
        { "6506000001f76506000001f7", 503 },
        { "6506000001f76506000001f5", 501 },
        { "6506000001f56506000001f7", 501 },
        { "6506000001916506000001f5", 401 },
        { "6506000001f76505000001", 0 }, /* one that cannot be read */
        { "37066b03bf7e6506000001f7", 503 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bytes b = hex(rows[i].attributes);
        memmove(b.data + SN_PACKET_HEADER, b.data, b.len);
        b.len += SN_PACKET_HEADER;
        memcpy(b.data, "\x2a\x01\x00", 3);
        b.data[3] = (unsigned char)b.len;
        assert_int_equal(sn_packet_error_cause(b.data, b.len), rows[i].cause);
    }
}

static void chap_is_the_hash_of_rfc_2865(void **state)
{
    unsigned char challenge[16];
    unsigned char authenticator[16] = { 7 };
    unsigned char want[EVP_MAX_MD_SIZE];
    unsigned char text[1 + 6 + 16];
    struct sn_packet_attribute a;
    struct sn_packet p;
    struct sn_error err;

    (void)state;
    memset(challenge, 0x5a, sizeof(challenge));
    sn_packet_begin(&p, SN_ACCESS_REQUEST, 3, authenticator);
    sn_packet_add_chap(&p, 0x42, challenge, "clave1", 6);
    assert_int_equal(sn_packet_sign(&p, "s", 1, &err), 0);
    text[0] = 0x42;
    memcpy(text + 1, "clave1", 6);
    memcpy(text + 7, challenge, 16);
    assert_int_equal(EVP_Digest(text, sizeof(text), want, NULL, EVP_md5(), NULL), 1);
    assert_true(sn_packet_find(p.data, p.len, 0, SN_ATTR_CHAP_PASSWORD, &a));
    assert_int_equal(a.len, 17);
    assert_int_equal(a.value[0], 0x42);
    assert_memory_equal(a.value + 1, want, 16);
    assert_true(sn_packet_find(p.data, p.len, 0, SN_ATTR_CHAP_CHALLENGE, &a));
    assert_memory_equal(a.value, challenge, 16);
    /* an Access-Request keeps its random authenticator, and its first attribute is the Message-Authenticator */
    assert_memory_equal(p.data + 4, authenticator, 16);
    assert_int_equal(p.data[20], SN_ATTR_MESSAGE_AUTHENTICATOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coa_request_is_built_byte_by_byte),
        cmocka_unit_test(disconnect_requests_are_built_byte_by_byte),
        cmocka_unit_test(request_with_nas_identifier_is_built_byte_by_byte),
        cmocka_unit_test(answers_of_real_servers_are_taken),
        cmocka_unit_test(zeroed_message_authenticator_is_dropped_unless_allowed),
        cmocka_unit_test(foreign_answers_are_told_apart),
        cmocka_unit_test(malformed_attributes_of_a_signed_answer_are_refused),
        cmocka_unit_test(answer_to_another_kind_of_request_is_refused),
        cmocka_unit_test(too_much_fails_at_signing),
        cmocka_unit_test(vendor_attributes_are_walked_one_by_one),
        cmocka_unit_test(of_several_causes_the_one_that_is_no_proof_counts),
        cmocka_unit_test(chap_is_the_hash_of_rfc_2865),
    };
    return cmocka_run_group_tests_name("radius packet", tests, NULL, NULL);
}
