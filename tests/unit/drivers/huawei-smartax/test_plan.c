/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of one ONU against an OLT in memory: every way to the wanted state, with every loss on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/huawei-smartax/huawei-smartax.h"
#include "drivers/huawei-smartax/huawei.h"
#include "tests/unit/drivers/conformance/conformance.h"
#include "tests/unit/drivers/huawei-smartax/fake_olt.h"
#include "tests/unit/drivers/huawei-smartax/fixture.h"

#define DRIVER (&sn_driver_huawei_smartax)
#define SN "4857544311E70E9A"

struct bench {
    struct fake_olt olt;
    struct conform_world world;
    struct sn_target target;
    json_t *service, *conf, *old, *rivals, *key, *memo;
    struct sn_want want;
    struct conform_run run;
};

static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    b->world = (struct conform_world){.exchange = fake_olt_exchange, .arg = &b->olt};
    b->conf = json_object();
    b->old = json_array();
    b->rivals = json_array();
    b->memo = json_object();
    b->target.conf = b->conf;
    b->service = json_loads("{\"plan\":{\"code\":\"F\",\"down_kbps\":100000,\"up_kbps\":50000},\"onu\":{\"serial\":\"" SN "\",\"frame\":0,"
                            "\"slot\":1,\"port\":3,\"line_profile\":\"10\",\"service_profile\":\"10\","
                            "\"services\":[{\"name\":\"i\",\"gemport\":1,\"vlan\":100}]}}", 0, NULL);
    assert_non_null(b->service);
    b->want = (struct sn_want){.kind = SN_BE, .aspect = "onu", .ref = "CT-17071", .owner = "x/1", .service = b->service,
                               .old = b->old, .rivals = b->rivals, .target = &b->target};
    return b;
}

static json_t *onu(struct bench *b)
{
    return json_object_get(b->service, "onu");
}

static void add_service(struct bench *b, int gem, int vlan)
{
    json_array_append_new(json_object_get(onu(b), "services"), json_pack("{s:s, s:i, s:i}", "name", "x", "gemport", gem, "vlan", vlan));
}

static void set_vlan(struct bench *b, int vlan)
{
    json_object_set_new(json_array_get(json_object_get(onu(b), "services"), 0), "vlan", json_integer(vlan));
}

/* The key from the service as it is now; what it replaces goes to `old`. */
static void make_key(struct bench *b)
{
    struct sn_error err;

    if (b->key != NULL)
        json_array_append_new(b->old, b->key);
    b->key = NULL;
    assert_int_equal(DRIVER->key(&b->want, &b->key, &err), 0);
    b->want.key = b->key;
}

static void carry(struct bench *b)
{
    if (b->key == NULL)
        make_key(b);
    conform_run_fini(&b->run);
    conform_carry(DRIVER, &b->want, &b->world, b->memo, &b->run);
}

static void reaches(struct bench *b)
{
    if (b->key == NULL)
        make_key(b);
    conform_reaches(DRIVER, &b->want, &b->world);
}

static void ends(struct bench *b, enum conform_end end, enum sn_class class, const char *code)
{
    carry(b);
    assert_string_equal(b->run.verdict.code, code);
    assert_int_equal(b->run.end, end);
    assert_int_equal(b->run.verdict.class, class);
}

static void bench_free(struct bench *b)
{
    conform_run_fini(&b->run);
    json_decref(b->service);
    json_decref(b->conf);
    json_decref(b->old);
    json_decref(b->rivals);
    json_decref(b->key);
    json_decref(b->memo);
    free(b);
}

static bool said(const struct bench *b, const char *start)
{
    size_t i;
    json_t *one;

    json_array_foreach(b->run.lines, i, one) {
        if (strncmp(json_string_value(json_array_get(one, 1)), start, strlen(start)) == 0)
            return true;
    }
    return false;
}

static void holds_one(const struct bench *b)
{
    const struct fake_olt *o = &b->olt;

    assert_int_equal(o->n_onts, 1);
    assert_string_equal(o->onts[0].sn, SN);
    assert_string_equal(o->onts[0].desc, "CT-17071");
    assert_int_equal(o->n_flows, 1);
    assert_true(o->flows[0].vlan == 100 && o->flows[0].gem == 1 && o->flows[0].user == 100);
    assert_int_equal(o->n_tables, 2);
}

static void test_life(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    reaches(b);
    holds_one(b);
    b->want.suspended = true;
    reaches(b);
    assert_true(b->olt.onts[0].off);
    b->want.suspended = false;
    reaches(b);
    assert_false(b->olt.onts[0].off);
    json_object_set_new(json_object_get(b->service, "plan"), "up_kbps", json_integer(100000));
    reaches(b);
    assert_int_equal(b->olt.flows[0].rx, b->olt.flows[0].tx);
    set_vlan(b, 200);
    make_key(b);
    reaches(b);
    assert_true(b->olt.n_flows == 1 && b->olt.flows[0].vlan == 200);
    json_object_set_new(onu(b), "port", json_integer(5));
    make_key(b);
    reaches(b);
    assert_true(b->olt.n_onts == 1 && b->olt.onts[0].port == 5 && b->olt.n_flows == 1 && b->olt.flows[0].port == 5);
    b->want.kind = SN_GONE;
    b->want.service = NULL;
    reaches(b);
    assert_true(b->olt.n_onts == 0 && b->olt.n_flows == 0);
    bench_free(b);
}

/* Each write of each of these changes is lost once before it is done and once after: the end is the same. */
static void lose_each(void (*change)(struct bench *b), void (*check)(const struct bench *b))
{
    for (int before = 0; before < 2; before++) {
        unsigned long n = 1;

        for (bool more = true; more; n++) {
            struct bench *b = bench_new();
            unsigned long start;

            reaches(b);
            change(b);
            make_key(b);
            start = b->olt.writes;
            b->olt.lose_at = start + n;
            b->olt.before = before == 1;
            json_object_clear(b->memo);
            carry(b);
            if (b->run.end != CONFORM_DONE)
                print_message("lost %s write %lu\n", before ? "before" : "after", n);
            assert_int_equal(b->run.end, CONFORM_DONE);
            check(b);
            more = b->olt.writes >= b->olt.lose_at;
            b->olt.lose_at = 0;
            carry(b);
            assert_int_equal(b->run.writes, 0);
            bench_free(b);
        }
        assert_true(n > 2);
    }
}

static void to_suspended(struct bench *b)
{
    b->want.suspended = true;
}

static void is_suspended(const struct bench *b)
{
    holds_one(b);
    assert_true(b->olt.onts[0].off);
}

static void to_moved(struct bench *b)
{
    json_object_set_new(onu(b), "port", json_integer(7));
}

static void is_moved(const struct bench *b)
{
    holds_one(b);
    assert_true(b->olt.onts[0].port == 7 && b->olt.flows[0].port == 7);
}

static void to_other_vlan(struct bench *b)
{
    set_vlan(b, 300);
    json_object_set_new(json_object_get(b->service, "plan"), "down_kbps", json_integer(200000));
    json_object_set_new(onu(b), "line_profile", json_string("p_20"));
    add_service(b, 2, 301);
}

static void is_other_vlan(const struct bench *b)
{
    assert_true(b->olt.n_flows == 2 && b->olt.onts[0].line == 20);
    for (int i = 0; i < 2; i++)
        assert_true(b->olt.flows[i].vlan == 300 || b->olt.flows[i].vlan == 301);
}

static void to_gone(struct bench *b)
{
    b->want.kind = SN_GONE;
}

static void is_gone(const struct bench *b)
{
    assert_true(b->olt.n_onts == 0 && b->olt.n_flows == 0);
}

static void to_added(struct bench *b)
{
    b->olt.n_onts = b->olt.n_flows = b->olt.n_tables = 0;
}

static void test_lost_at_each_write(void **state)
{
    (void)state;
    lose_each(to_added, holds_one);
    lose_each(to_suspended, is_suspended);
    lose_each(to_moved, is_moved);
    lose_each(to_other_vlan, is_other_vlan);
    lose_each(to_gone, is_gone);
}

static void refused(const char *line, const char *text, bool keeps, enum conform_end end, enum sn_class class, const char *code)
{
    struct bench *b = bench_new();

    b->olt.refuse_line = line;
    b->olt.refuse_text = text;
    b->olt.refuse_keeps = keeps;
    b->olt.refuse_always = end != CONFORM_DONE;
    ends(b, end, class, code);
    if (end == CONFORM_DONE)
        holds_one(b);
    bench_free(b);
}

static void test_refusals_of_the_table(void **state)
{
    (void)state;
    /* numbers that are taken: another one is chosen */
    refused("ont add", "  Failure: The ONT ID has already existed", false, CONFORM_DONE, SN_OK, "");
    refused("service-port", "  Failure: Service virtual port has existed already\n  Conflicted service virtual port index: 5", false,
            CONFORM_DONE, SN_OK, "");
    refused("service-port", "  Failure: Conflicted service virtual port index: 5", false, CONFORM_DONE, SN_OK, "");
    refused("traffic table", "  Failure: The traffic table exists already", false, CONFORM_DONE, SN_OK, "");
    /* done already */
    refused("service-port", "  Failure: Make configuration repeatedly", true, CONFORM_DONE, SN_OK, "");
    /* taken as an answer, and nothing is there afterwards */
    refused("ont add", "  Failure: SN already exists", false, CONFORM_NO_EFFECT, SN_OK, "");
    refused("ont add", "", false, CONFORM_NO_EFFECT, SN_OK, "");
    refused("ont add", "  Number of ONTs that can be added: 1, success: 0", false, CONFORM_NO_EFFECT, SN_OK, "");
    /* later, never, and words that nobody knows */
    refused("ont add", "  Failure: System is busy, please retry after a while", false, CONFORM_REFUSED, SN_TRANSIENT_DEVICE, "huawei.busy");
    refused("ont add", "  Failure: System is reading or writing flash, please retry after a while", false, CONFORM_REFUSED,
            SN_TRANSIENT_DEVICE, "huawei.flash-busy");
    refused("ont add", "  It will take several minutes to save configuration file, please wait...", false, CONFORM_REFUSED,
            SN_TRANSIENT_DEVICE, "huawei.flash-busy");
    refused("ont add",
            "  Failure: Command can not be executed rightly, the cause is: Loading\n  (backuping,rollbacking...) command being "
            "executed. Please retry later",
            false, CONFORM_REFUSED, SN_TRANSIENT_DEVICE, "huawei.flash-busy");
    refused("ont add", "  Failure: The line profile does not exist", false, CONFORM_REFUSED, SN_PERMANENT, "huawei.line-profile-missing");
    refused("ont add", "  Failure: The service profile does not exist", false, CONFORM_REFUSED, SN_PERMANENT,
            "huawei.service-profile-missing");
    refused("service-port", "  Failure: VLAN does not exist", false, CONFORM_REFUSED, SN_PERMANENT, "huawei.vlan-missing");
    refused("service-port", "  Failure: The GEM port does not exist", false, CONFORM_REFUSED, SN_PERMANENT, "huawei.gem-missing");
    refused("service-port", "  Failure: ONT is not online", false, CONFORM_REFUSED, SN_TRANSIENT_JOB, "huawei.ont-offline");
    refused("ont add", "  Failure: The number of ONTs has reached the upper limit", false, CONFORM_REFUSED, SN_PERMANENT, "huawei.full");
    refused("ont add", "  Failure: Configuring ONT-ID 5 failed", false, CONFORM_REFUSED, SN_PERMANENT, "huawei.unknown-failure");
    refused("ont add", "             ^\n  % Parameter error, the error locates at '^'", false, CONFORM_REFUSED, SN_PERMANENT,
            "huawei.syntax");
    /* without the marker, as some releases do */
    refused("service-port", "  The GEM port does not exist", false, CONFORM_REFUSED, SN_PERMANENT, "huawei.gem-missing");
}

/* After a silent or unconfirmed add nothing is built upon it. */
static void test_nothing_follows_an_unconfirmed_add(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    b->olt.refuse_line = "ont add";
    b->olt.refuse_text = "";
    b->olt.refuse_always = true;
    ends(b, CONFORM_NO_EFFECT, SN_OK, "");
    assert_false(said(b, "service-port"));
    bench_free(b);
}

/* A reply that is about another ONU is none. */
static void test_reply_about_another_onu(void **state)
{
    struct bench *b = bench_new();
    struct sn_op op = {.kind = SN_READ, .verb = HW_READ_ONU, .s = {SN}, .line = "display ont info by-sn " SN};
    struct sn_reply reply = {.text = SN_BUF_INIT};
    struct sn_verdict v = {0};
    struct hw_have have = {0};
    char *text = fixture("onu-ma5608t.txt");

    (void)state;
    make_key(b);
    sn_buf_adds(&reply.text, text);
    DRIVER->absorb(&b->want, &op, &reply, &have, b->memo, &v);
    assert_int_equal(v.class, SN_BUG);
    assert_false(have.onu_read);
    sn_verdict_fini(&v);
    sn_reply_fini(&reply);
    free(text);
    bench_free(b);
}

/* A service-port on the ONT, or on the id that the ONT would get. */
static void add_stranger(struct bench *b, int gem, int vlan)
{
    struct hw_want w;

    assert_int_equal(hw_want_read(&b->want, &w), 0);
    b->olt.flows[b->olt.n_flows++] =
        (struct fake_flow){.index = 900 + b->olt.n_flows, .vlan = vlan, .slot = 1, .port = 3,
                           .ont = (int)(hw_hash(w.serial) % (uint32_t)w.ont_ids), .gem = gem, .user = vlan};
}

static void test_strangers_flows(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    b->want.shared = true;
    reaches(b);
    json_array_append_new(b->rivals, json_string("CT-2"));
    add_stranger(b, 2, 500);
    reaches(b);
    assert_int_equal(b->olt.n_flows, 2);
    add_service(b, 2, 501); /* on a GEM port that the other one uses */
    make_key(b);
    ends(b, CONFORM_STUCK, SN_CONFLICT, "huawei.flow-conflict");
    json_array_clear(b->rivals);
    b->want.shared = false;
    json_object_del(b->key, "shared");
    b->want.kind = SN_GONE;
    reaches(b); /* whose it is nobody knows: it stays, and so does the ONU */
    assert_true(b->olt.n_onts == 1 && b->olt.n_flows == 1 && b->olt.flows[0].vlan == 500);
    bench_free(b);
}

/* Service-ports that a deleted ONT left behind: their ONT id is not given out. */
static void test_leftovers(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    make_key(b);
    add_stranger(b, 1, 100);
    reaches(b);
    assert_int_equal(b->olt.onts[0].id, b->olt.flows[0].ont + 1);
    bench_free(b);
}

static void test_owners(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    carry(b);
    b->want.ref = "CT-17072";
    ends(b, CONFORM_STUCK, SN_CONFLICT, "huawei.other-contract");
    assert_string_equal(json_string_value(json_object_get(b->run.verdict.args, "description")), "CT-17071");
    b->want.kind = SN_GONE;
    ends(b, CONFORM_DONE, SN_OK, "");
    assert_int_equal(b->run.writes, 0);
    b->want.kind = SN_BE;
    (void)snprintf(b->olt.onts[0].desc, sizeof(b->olt.onts[0].desc), "casa de Ana");
    json_object_set_new(b->conf, "unmarked", json_string("refuse"));
    ends(b, CONFORM_STUCK, SN_PERMANENT, "huawei.unmarked");
    b->want.kind = SN_GONE; /* what may not be adopted may not be taken away either */
    ends(b, CONFORM_DONE, SN_OK, "");
    assert_int_equal(b->run.writes, 0);
    b->want.kind = SN_BE;
    json_object_set_new(b->conf, "unmarked", json_string("adopt"));
    reaches(b);
    assert_string_equal(b->olt.onts[0].desc, "CT-17072");
    json_array_append_new(b->rivals, json_string("CT-9"));
    ends(b, CONFORM_STUCK, SN_CONFLICT, "huawei.claimed");
    bench_free(b);
}

/* Two contracts on one ONU: each of the states of one against each of the other; the neighbour's flow is always there. */
static void test_shared_onu_pairs(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        for (int how = 0; how < 3; how++) { /* active, suspended, gone */
            struct bench *b = bench_new();

            b->want.shared = true;
            b->want.ref = first ? "CT-2" : "CT-1";
            reaches(b); /* the neighbour: VLAN 100 */
            set_vlan(b, 200);
            json_object_set_new(json_array_get(json_object_get(onu(b), "services"), 0), "gemport", json_integer(2));
            json_decref(b->key);
            b->key = NULL;
            json_object_clear(b->memo);
            b->want.ref = first ? "CT-1" : "CT-2";
            json_array_append_new(b->rivals, json_string(first ? "CT-2" : "CT-1"));
            reaches(b);
            assert_int_equal(b->olt.n_flows, 2);
            b->want.suspended = how == 1;
            b->want.kind = how == 2 ? SN_GONE : SN_BE;
            reaches(b);
            assert_int_equal(b->olt.n_onts, 1);
            assert_false(b->olt.onts[0].off);
            assert_int_equal(b->olt.n_flows, how == 0 ? 2 : 1);
            assert_int_equal(b->olt.flows[0].vlan, 100);
            bench_free(b);
        }
    }
}

static void test_last_of_a_shared_onu_takes_it_away(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    b->want.shared = true;
    reaches(b);
    b->want.kind = SN_GONE;
    reaches(b);
    assert_true(b->olt.n_onts == 0 && b->olt.n_flows == 0);
    bench_free(b);
}

/* A key that names no flows, from a publisher who only knows the place: on an ONU of ours alone they are ours. */
static void test_gone_without_flows_in_the_key(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    reaches(b);
    json_decref(b->key);
    b->key = json_pack("{s:s}", "serial", SN);
    b->want.key = b->key;
    b->want.kind = SN_GONE;
    reaches(b);
    assert_true(b->olt.n_onts == 0 && b->olt.n_flows == 0);
    bench_free(b);
}

/* The suspension names no services: the flows stay as they are. */
static void test_suspension_without_services(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    reaches(b);
    json_object_del(onu(b), "services");
    json_object_del(onu(b), "line_profile");
    json_object_del(onu(b), "service_profile");
    b->want.suspended = true;
    make_key(b);
    reaches(b);
    is_suspended(b);
    assert_false(said(b, "undo"));
    bench_free(b);
}

static void test_traffic_table_with_our_name_and_another_rate(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    b->olt.tables[0] = (struct fake_table){.index = 9, .rate = 1024, .name = "sn-100000"};
    b->olt.n_tables = 1;
    ends(b, CONFORM_STUCK, SN_PERMANENT, "huawei.traffic-table-differs");
    bench_free(b);
}

static void test_full_port(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    carry(b);
    b->olt.n_onts = b->olt.n_flows = 0;
    json_object_set_new(b->memo, "taken", json_pack("{s:[]}", "ont"));
    for (int i = 0; i < 128; i++)
        json_array_append_new(json_object_get(json_object_get(b->memo, "taken"), "ont"), json_integer(i));
    ends(b, CONFORM_STUCK, SN_PERMANENT, "huawei.full");
    bench_free(b);
}

static void test_noise(void **state)
{
    static const char *const names[] = {"autofind.txt", "onu-ma5608t.txt", "port.txt", "port-shifted.txt", "flows.txt", "tables.txt",
                                        "table.txt", "line-profiles.txt", "eth.txt", "optical.txt"};
    enum { N = sizeof(names) / sizeof(names[0]) };
    const char *samples[N + 4] = {"  Failure: No service virtual port can be operated\n", "  Failure: Make configuration repeatedly\n",
                                  "  Number of ONTs that can be added: 1, success: 1\n"};
    struct bench *b = bench_new();

    (void)state;
    for (size_t i = 0; i < N; i++)
        samples[3 + i] = fixture(names[i]);
    make_key(b);
    conform_survives_noise(DRIVER, &b->want, samples, 3000);
    b->want.suspended = true;
    json_object_set_new(onu(b), "cutoff", json_string("port"));
    json_object_set_new(onu(b), "cutoff_port", json_integer(2));
    make_key(b);
    conform_survives_noise(DRIVER, &b->want, samples, 1000);
    b->want.kind = SN_GONE;
    conform_survives_noise(DRIVER, &b->want, samples, 1000);
    for (size_t i = 0; i < N; i++)
        free((char *)(uintptr_t)samples[3 + i]);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_lost_at_each_write),
        cmocka_unit_test(test_refusals_of_the_table),
        cmocka_unit_test(test_nothing_follows_an_unconfirmed_add),
        cmocka_unit_test(test_reply_about_another_onu),
        cmocka_unit_test(test_strangers_flows),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_shared_onu_pairs),
        cmocka_unit_test(test_last_of_a_shared_onu_takes_it_away),
        cmocka_unit_test(test_gone_without_flows_in_the_key),
        cmocka_unit_test(test_suspension_without_services),
        cmocka_unit_test(test_traffic_table_with_our_name_and_another_rate),
        cmocka_unit_test(test_full_port),
        cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
