/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/radius-session/names.h"
#include "drivers/radius-session/packet.h"

static struct sn_radius_names *load(void)
{
    struct sn_radius_names *names = NULL;
    struct sn_error err = { 0 };

    if (sn_radius_names_load(&names, &err) != 0)
        fail_msg("%s", err.text);
    return names;
}

static void every_error_cause_has_its_name(void **state)
{
    static const struct {
        uint32_t cause;
        const char *text;
    } rows[] = {
        { 401, "Unsupported-Attribute" },  { 402, "Missing-Attribute" },          { 403, "NAS-Identification-Mismatch" },
        { 404, "Invalid-Request" },        { 405, "Unsupported-Service" },        { 406, "Unsupported-Extension" },
        { 407, "Invalid-Attribute-Value" }, { 501, "Administratively-Prohibited" }, { 502, "Proxy-Request-Not-Routable" },
        { 503, "Session-Context-Not-Found" }, { 504, "Session-Context-Not-Removable" }, { 505, "Proxy-Processing-Error" },
        { 506, "Resources-Unavailable" },  { 507, "Request-Initiated" },          { 508, "Multi-Session-Sel-Unsupported" },
        { 201, "Residual-Context-Removed" }, { 0, "no Error-Cause" },             { 999, "999" },
        { 4294967295u, "4294967295" },
    };
    struct sn_radius_names *names = load();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[SN_CAUSE_TEXT_MAX];
        sn_radius_cause_text(names, rows[i].cause, text);
        assert_string_equal(text, rows[i].text);
    }
    sn_radius_names_free(names);
}

static void packets_are_told_in_words_without_what_proves_a_password(void **state)
{
    static const unsigned char challenge[16] = "0123456789abcdef";
    static const unsigned char authenticator[16] = "fedcba9876543210";
    struct sn_radius_names *names = load();
    struct sn_buf out = SN_BUF_INIT;
    struct sn_packet p;
    struct sn_error err;

    (void)state;
    sn_packet_begin(&p, SN_COA_REQUEST, 9, NULL);
    sn_packet_add_text(&p, SN_ATTR_USER_NAME, "ana\x1b[2J\"\r\n");
    sn_packet_add_nas(&p, "10.0.0.1");
    sn_packet_add_nas(&p, "2001:db8::1");
    sn_packet_add_u32(&p, SN_ATTR_ERROR_CAUSE, 503);
    sn_packet_add_vendor_text(&p, SN_VENDOR_MIKROTIK, SN_MIKROTIK_RATE_LIMIT, "1k/2k");
    sn_packet_add_vendor_text(&p, 70000, 1, "x"); /* larger than libradcli's numbers */
    assert_int_equal(sn_packet_sign(&p, "s", 1, &err), 0);
    sn_radius_describe(names, p.data, p.len, &out);
    assert_string_equal(sn_buf_str(&out),
                        "CoA-Request id 9: Message-Authenticator, User-Name = \"ana\\x1b[2J\"\\x0d\\x0a\", NAS-IP-Address = 10.0.0.1, "
                        "NAS-IPv6-Address = 2001:db8::1, Error-Cause = Session-Context-Not-Found, "
                        "Mikrotik-Rate-Limit = \"1k/2k\", attribute 70000/1");
    sn_buf_clear(&out);
    sn_packet_begin(&p, SN_ACCESS_REQUEST, 1, authenticator);
    sn_packet_add_chap(&p, 1, challenge, "clave1", 6);
    assert_int_equal(sn_packet_sign(&p, "s", 1, &err), 0);
    sn_radius_describe(names, p.data, p.len, &out);
    assert_string_equal(sn_buf_str(&out), "Access-Request id 1: Message-Authenticator, CHAP-Password, CHAP-Challenge");
    sn_buf_fini(&out);
    sn_radius_names_free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_cause_has_its_name),
        cmocka_unit_test(packets_are_told_in_words_without_what_proves_a_password),
    };
    return cmocka_run_group_tests_name("radius names", tests, NULL, NULL);
}
