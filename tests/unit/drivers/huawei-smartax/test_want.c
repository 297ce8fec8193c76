/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/huawei-smartax/huawei-smartax.h"
#include "drivers/huawei-smartax/huawei.h"

#define DRIVER (&sn_driver_huawei_smartax)

static void test_serials(void **state)
{
    char out[HW_SERIAL_MAX];

    (void)state;
    assert_int_equal(hw_serial("HWTC1A2B3C4D", out), 0);
    assert_string_equal(out, "485754431A2B3C4D");
    assert_int_equal(hw_serial("485754431a2b3c4d", out), 0);
    assert_string_equal(out, "485754431A2B3C4D");
    assert_int_equal(hw_serial("FHTT983DEFE8", out), 0);
    assert_string_equal(out, "46485454983DEFE8");
    assert_int_equal(hw_serial("", out), -1);
    assert_int_equal(hw_serial("HWTC1A2B3C4", out), -1);
    assert_int_equal(hw_serial("HWTC1A2B3C4G", out), -1);
    assert_int_equal(hw_serial("HW\"C1A2B3C4D", out), -1);
    assert_int_equal(hw_serial("485754431A2B3C4D0", out), -1);
}

static void test_key(void **state)
{
    json_t *service;
    json_t *expected, *key = NULL, *claims;
    struct sn_want want = {.kind = SN_BE, .shared = true};
    struct sn_error err;
    static const char text[] = "{\"plan\":{\"code\":\"F\",\"down_kbps\":1000,\"up_kbps\":500},\"onu\":{\"serial\":\"HWTC1A2B3C4D\",\"frame\":0,"
                      "\"slot\":1,\"port\":3,\"line_profile\":\"10\",\"service_profile\":\"10\",\"cutoff\":\"port\",\"cutoff_port\":2,"
                      "\"services\":[{\"name\":\"i\",\"gemport\":1,\"vlan\":100},"
                      "{\"name\":\"v\",\"gemport\":2,\"vlan\":200,\"user_vlan\":7}]}}";

    (void)state;
    service = json_loads(text, 0, NULL);
    assert_non_null(service);
    want.service = service;
    assert_int_equal(DRIVER->key(&want, &key, &err), 0);
    expected = json_loads("{\"serial\":\"485754431A2B3C4D\",\"fsp\":\"0/1/3\",\"flows\":[{\"gem\":1,\"vlan\":100,\"user_vlan\":100},"
                          "{\"gem\":2,\"vlan\":200,\"user_vlan\":7}],\"eth\":2,\"shared\":true}", 0, NULL);
    assert_true(json_equal(key, expected));
    claims = DRIVER->claims(key);
    assert_int_equal(json_array_size(claims), 1);
    assert_string_equal(json_string_value(json_array_get(claims, 0)), "onu/485754431A2B3C4D");
    json_object_set_new(expected, "fsp", json_string("0/2/2"));
    assert_true(DRIVER->same_thing(key, expected));
    json_object_set_new(expected, "serial", json_string("485754431A2B3C4E"));
    assert_false(DRIVER->same_thing(key, expected));
    json_decref(claims);
    json_decref(expected);
    json_decref(key);
    json_decref(service);
}

static void key_fails(const char *onu, const char *code)
{
    json_t *service = json_object(), *key = NULL;
    struct sn_want want = {.kind = SN_BE, .service = service};
    struct sn_error err = {0};

    json_object_set_new(service, "onu", json_loads(onu, 0, NULL));
    assert_non_null(json_object_get(service, "onu"));
    assert_int_equal(DRIVER->key(&want, &key, &err), -1);
    assert_string_equal(err.code, code);
    json_decref(service);
}

#define ONU "{\"serial\":\"HWTC1A2B3C4D\",\"frame\":0,\"slot\":1,\"port\":3,\"line_profile\":\"10\",\"service_profile\":\"10\""

static void test_keys_that_cannot_be(void **state)
{
    (void)state;
    key_fails("{}", "huawei-smartax.serial");
    key_fails(ONU ",\"wifi\":[{\"index\":1}]}", "huawei-smartax.unsupported");
    key_fails(ONU ",\"wan\":{\"mode\":\"pppoe\"}}", "huawei-smartax.unsupported");
    key_fails("{\"serial\":\"HWTC1A2B3C4D\",\"frame\":0,\"slot\":1,\"port\":3}", "huawei-smartax.plan-unmapped");
    key_fails("{\"serial\":\"HWTC1A2B3C4D\",\"line_profile\":\"1\",\"service_profile\":\"1\"}", "huawei-smartax.place");
    key_fails("{\"serial\":\"HWTC1A2B3C4D\",\"line_profile\":\"1;2\",\"service_profile\":\"1\"}", "huawei-smartax.profile-name");
    key_fails(ONU ",\"services\":[{\"gemport\":1,\"vlan\":4095}]}", "huawei-smartax.services");
    key_fails(ONU ",\"services\":[{\"gemport\":1}]}", "huawei-smartax.services");
}

static void test_marks(void **state)
{
    json_t *rivals = json_pack("[s]", "EMPRESA"), *conf = json_pack("{s:[s]}", "marks", "EMP-*");
    struct sn_target target = {.conf = conf};
    struct sn_want want = {.ref = "CT-17071", .rivals = rivals, .target = &target};
    static const struct {
        const char *desc;
        enum hw_mark mark;
    } rows[] = {
        {"CT-17071", HW_MARK_OURS},         {"CT-17071 Ana Perez", HW_MARK_OURS}, {"CT-1707", HW_MARK_OTHER},
        {"CT-170711 x", HW_MARK_OTHER},     {"CT-3", HW_MARK_OTHER},              {"EMPRESA", HW_MARK_OTHER},
        {"EMP-77 x", HW_MARK_OTHER},        {"", HW_MARK_NONE},                   {"ONT_NO_DESCRIPTION", HW_MARK_NONE},
        {"Generic_description", HW_MARK_NONE}, {"CT-17071,x", HW_MARK_NONE},      {"ct-17071", HW_MARK_NONE},
        {" CT-17071", HW_MARK_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (hw_mark_of(&want, rows[i].desc) != rows[i].mark)
            print_message("%s\n", rows[i].desc);
        assert_int_equal(hw_mark_of(&want, rows[i].desc), rows[i].mark);
    }
    assert_true(hw_ref_is_mark("CT/1.2_x-9"));
    assert_false(hw_ref_is_mark("CT 1"));
    assert_false(hw_ref_is_mark("CT\"1"));
    assert_false(hw_ref_is_mark(""));
    json_decref(rivals);
    json_decref(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serials),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_keys_that_cannot_be),
        cmocka_unit_test(test_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
