/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/huawei-smartax/huawei.h"
#include "tests/unit/drivers/huawei-smartax/fixture.h"

static const struct hw_place P010 = {0, 1, 0}, P020 = {0, 2, 0};

static void test_onu(void **state)
{
    char *text = fixture("onu-ma5608t.txt"), serial[HW_SERIAL_MAX];
    struct hw_onu o;

    (void)state;
    assert_int_equal(hw_parse_onu(text, &o, serial), 0);
    assert_string_equal(serial, "485754431234AB12");
    assert_true(o.found && o.at.frame == 0 && o.at.slot == 1 && o.at.port == 1 && o.id == 131);
    assert_string_equal(o.control, "active");
    assert_string_equal(o.run, "online");
    assert_string_equal(o.desc, "ABCD");
    assert_string_equal(o.down_cause, "dying-gasp");
    assert_int_equal(o.line_id, 100);
    assert_string_equal(o.line_name, "ftth");
    assert_int_equal(o.service_id, 500);
    assert_string_equal(o.service_name, "new_link");
    free(text);
}

static void test_onu_with_wrapped_description(void **state)
{
    char *text = fixture("onu-ma5800-wrapped.txt"), serial[HW_SERIAL_MAX];
    struct hw_onu o;

    (void)state;
    assert_int_equal(hw_parse_onu(text, &o, serial), 0);
    /* what a description says is no field */
    assert_string_equal(serial, "4857544311E70E9A");
    assert_int_equal(o.id, 2);
    assert_int_equal(o.at.port, 6);
    assert_string_equal(o.control, "deactivated");
    assert_string_equal(o.down_cause, "LOS");
    assert_string_equal(o.desc, "CT-17071 a very long description of the customer whose SN : 485754430000FFFF and ONT-ID: 7 are "
                                "in thetext");
    assert_int_equal(o.service_id, 501);
    free(text);
}

static void test_onu_that_is_no_onu(void **state)
{
    static const char *const texts[] = {"", "  The required ONT does not exist", "  F/S/P : 0/1/1\n  ONT-ID : 5\n",
                                        "  F/S/P : 0/1\n  ONT-ID : 5\n  SN : 485754431234AB12\n  Control flag : active\n  Run state : online",
                                        "  F/S/P : 0/1/1\n  ONT-ID : 999\n  SN : 485754431234AB12\n  Control flag : active\n  Run state : x",
                                        "  F/S/P : 0/1/1\n  ONT-ID : 9\n  SN : 48575443\n  Control flag : active\n  Run state : x"};
    char serial[HW_SERIAL_MAX];
    struct hw_onu o;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(hw_parse_onu(texts[i], &o, serial), -1);
}

static void test_autofind(void **state)
{
    char *text = fixture("autofind.txt");
    struct hw_place at;
    bool found;

    (void)state;
    assert_int_equal(hw_parse_autofind(text, "46485454983DEFE8", &found, &at), 0);
    assert_true(found && at.frame == 0 && at.slot == 3 && at.port == 12);
    assert_int_equal(hw_parse_autofind(text, "46485454983DEFE9", &found, &at), 0);
    assert_false(found);
    /* cut short: one entry has no serial, or the count does not fit */
    memcpy(strstr(text, "Ont SN"), "Ont XX", 6);
    assert_int_equal(hw_parse_autofind(text, "46485454983DEFE8", &found, &at), -1);
    assert_int_equal(hw_parse_autofind("", "46485454983DEFE8", &found, &at), -1);
    free(text);
}

static void test_port(void **state)
{
    uint8_t used[HW_ONT_IDS / 8] = {0};
    char *text = fixture("port.txt");

    (void)state;
    assert_int_equal(hw_parse_port(text, &P010, used), 0);
    assert_true(hw_bit(used, 0) && hw_bit(used, 1) && !hw_bit(used, 2));
    assert_int_equal(hw_parse_port(text, &P020, used), -1); /* another port's list */
    memcpy(strstr(text, "are: 2"), "are: 3", 6);
    assert_int_equal(hw_parse_port(text, &P010, used), -1); /* a row is missing */
    free(text);
    memset(used, 0, sizeof(used));
    text = fixture("port-shifted.txt");
    assert_int_equal(hw_parse_port(text, &P020, used), 0);
    assert_true(hw_bit(used, 0) && hw_bit(used, 7) && hw_bit(used, 10) && !hw_bit(used, 9));
    free(text);
    assert_int_equal(hw_parse_port("", &P020, used), -1);
}

static void test_flows(void **state)
{
    char *text = fixture("flows.txt");
    struct hw_flow f[8];
    size_t n = 8;

    (void)state;
    assert_int_equal(hw_parse_flows(text, &P010, f, &n), 0);
    assert_int_equal(n, 4); /* the Ethernet row is none of GPON */
    assert_true(f[1].index == 358 && f[1].vlan == 110 && f[1].ont == 5 && f[1].gem == 1 && f[1].user_vlan == 110);
    assert_true(f[1].rx == 55 && f[1].tx == 58);
    assert_true(f[2].index == 5827 && f[2].rx == -1 && f[2].tx == -1 && f[2].user_vlan == 2);
    assert_true(f[3].user_vlan == -1 && f[3].gem == 2);
    n = 3;
    assert_int_equal(hw_parse_flows(text, &P010, f, &n), -1); /* more than there is room for */
    n = 8;
    assert_int_equal(hw_parse_flows(text, &P020, f, &n), -1);
    n = 8;
    memcpy(strstr(text, "Total : 5"), "Total : 6", 9);
    assert_int_equal(hw_parse_flows(text, &P010, f, &n), -1);
    n = 8;
    assert_int_equal(hw_parse_flows("", &P010, f, &n), -1);
    free(text);
}

static void test_tables(void **state)
{
    char *text = fixture("table.txt"), name[HW_NAME_MAX];
    int64_t cir, pir;
    int index;
    struct hw_table_row row;
    static const char with_name[] = "   22 sn-512            512      18384      512      18384        5 -  local-pri";
    static const char without[] = "   10 1048064  10240000   1048064  10240000     0 -               local-pri";
    static const char off[] = "    6 off      off        off      off          0 -                  tag-pri";

    (void)state;
    assert_int_equal(hw_parse_table(text, name, sizeof(name), &index, &cir, &pir), 0);
    assert_string_equal(name, "sn-100000");
    assert_true(index == 22 && cir == 99968 && pir == 99968);
    assert_true(hw_rate_is(cir, 100000)); /* the device keeps multiples of 64 */
    assert_false(hw_rate_is(cir, 99967));
    assert_false(hw_rate_is(cir, 100032));
    assert_true(hw_rate_is(64, 1));
    free(text);
    text = fixture("table-td.txt");
    assert_int_equal(hw_parse_table(text, name, sizeof(name), &index, &cir, &pir), 0);
    assert_true(index == 7 && cir == 512);
    assert_int_equal(hw_parse_table("  TD Index : 7\n", name, sizeof(name), &index, &cir, &pir), -1);
    free(text);
    assert_true(hw_parse_table_row(without, strlen(without), &row));
    assert_true(row.index == 10 && row.cir == 1048064 && row.pir == 1048064 && row.priority == 0 && row.name[0] == '\0');
    assert_true(hw_parse_table_row(with_name, strlen(with_name), &row));
    assert_true(row.index == 22 && row.cir == 512 && row.priority == 5);
    assert_string_equal(row.name, "sn-512");
    assert_true(hw_parse_table_row(off, strlen(off), &row));
    assert_true(row.index == 6 && row.cir == -1);
    assert_false(hw_parse_table_row("  TID CIR", 9, &row));
    assert_false(hw_parse_table_row("  Total Num : 3", 15, &row));
}

static void test_profiles(void **state)
{
    char *text = fixture("line-profiles.txt");
    int id;

    (void)state;
    assert_int_equal(hw_parse_profiles(text, "429", &id), 0);
    assert_int_equal(id, 429);
    assert_int_equal(hw_parse_profiles(text, "example", &id), 0);
    assert_int_equal(id, 429);
    assert_int_equal(hw_parse_profiles(text, "with blanks 7", &id), 0);
    assert_int_equal(id, 10);
    assert_int_equal(hw_parse_profiles(text, "30", &id), 0);
    assert_int_equal(id, -1);
    assert_int_equal(hw_parse_profiles(text, "12", &id), 0); /* a number of bindings is no profile */
    assert_int_equal(id, -1);
    memcpy(strstr(text, "Total: 3"), "Total: 4", 8);
    assert_int_equal(hw_parse_profiles(text, "429", &id), -1);
    assert_int_equal(hw_parse_profiles("", "429", &id), -1);
    free(text);
}

static void test_small_displays(void **state)
{
    char *eth = fixture("eth.txt"), *optical = fixture("optical.txt");
    double rx;
    bool off;
    int index;

    (void)state;
    assert_int_equal(hw_parse_eth(eth, 1, &off), 0);
    assert_false(off);
    assert_int_equal(hw_parse_eth(eth, 2, &off), 0);
    assert_true(off);
    assert_int_equal(hw_parse_eth(eth, 3, &off), -1);
    assert_int_equal(hw_parse_eth(eth, 5, &off), -1); /* the ONT's id is not a port */
    assert_int_equal(hw_parse_optical(optical, &rx), 0);
    assert_true(rx < -18.17 && rx > -18.19);
    assert_int_equal(hw_parse_optical("  Rx optical power(dBm) : -\n", &rx), -1);
    assert_int_equal(hw_parse_next_index("  Next valid free service virtual port ID: 13\n", &index), 0);
    assert_int_equal(index, 13);
    assert_int_equal(hw_parse_next_index("  nothing\n", &index), -1);
    free(eth);
    free(optical);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onu),
        cmocka_unit_test(test_onu_with_wrapped_description),
        cmocka_unit_test(test_onu_that_is_no_onu),
        cmocka_unit_test(test_autofind),
        cmocka_unit_test(test_port),
        cmocka_unit_test(test_flows),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_small_displays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
