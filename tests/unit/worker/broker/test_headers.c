/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/text.h"
#include "worker/broker/amqp.h"

static const amqp_table_entry_t *find(const struct sn_amqp_headers *h, const char *name)
{
    for (int i = 0; i < h->table.num_entries; i++) {
        const amqp_table_entry_t *e = &h->table.entries[i];
        if (e->key.len == strlen(name) && memcmp(e->key.bytes, name, e->key.len) == 0)
            return e;
    }
    return NULL;
}

static void put(char *field, size_t size, const char *text)
{
    assert_int_equal(sn_text_copy(field, size, text), 0);
}

/* Through the bytes of the wire, as the broker would see them. */
/* wire must live as long as *out: decoded texts point into it. */
static void round_trip(const struct sn_amqp_headers *in, amqp_pool_t *pool, amqp_table_t *out, char wire[4096])
{
    amqp_bytes_t bytes = { .len = 4096, .bytes = wire };
    amqp_table_t table = in->table;
    size_t offset = 0;

    assert_int_equal(amqp_encode_table(bytes, &table, &offset), AMQP_STATUS_OK);
    bytes.len = offset;
    offset = 0;
    assert_int_equal(amqp_decode_table(bytes, pool, out, &offset), AMQP_STATUS_OK);
}

static void everything_comes_back(void **state)
{
    struct sn_headers in = { .attempt = 5, .first_failed = 1795406400123 };
    struct sn_headers out;
    struct sn_amqp_headers wire;
    amqp_basic_properties_t props = { ._flags = AMQP_BASIC_HEADERS_FLAG };
    amqp_pool_t pool;
    char bytes[4096];

    (void)state;
    put(in.origin, sizeof(in.origin), "silver.device.olt-7");
    put(in.code, sizeof(in.code), "huawei.busy");
    put(in.replay, sizeof(in.replay), "r1/3");
    put(in.traceparent, sizeof(in.traceparent), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    init_amqp_pool(&pool, 4096);
    sn_headers_encode(&in, 60000, 77, &wire);
    assert_int_equal(find(&wire, "silver-delay")->value.value.i64, 60000);
    round_trip(&wire, &pool, &props.headers, bytes);
    sn_headers_decode(&props.headers, &out);
    assert_memory_equal(&in, &out, sizeof(in));
    assert_int_equal(sn_headers_seq(&props), 77);
    empty_amqp_pool(&pool);
}

static void nothing_is_sent_for_nothing(void **state)
{
    struct sn_headers in = { 0 };
    struct sn_amqp_headers wire;

    (void)state;
    sn_headers_encode(&in, 0, 1, &wire);
    assert_int_equal(wire.table.num_entries, 1); /* silver-seq */
    assert_null(find(&wire, "silver-delay"));
}

static void the_brokers_own_headers_are_never_sent(void **state)
{
    struct sn_headers in = { 0 };
    struct sn_amqp_headers wire;

    (void)state;
    put(in.first_death, sizeof(in.first_death), "delivery_limit");
    in.deliveries = 7;
    sn_headers_encode(&in, 0, 1, &wire);
    for (int i = 0; i < wire.table.num_entries; i++)
        assert_memory_not_equal(wire.table.entries[i].key.bytes, "x-", 2);
}

static amqp_table_entry_t number(const char *name, uint8_t kind, int64_t value)
{
    amqp_table_entry_t e = { .key = amqp_cstring_bytes(name) };

    e.value.kind = kind;
    e.value.value.i64 = value; /* little-endian: the shorter members see their bytes */
    return e;
}

static void any_integer_kind_is_read(void **state)
{
    static const struct {
        uint8_t kind;
        int64_t sent, read;
    } CASES[] = {
        { AMQP_FIELD_KIND_I8, -3, -3 },
        { AMQP_FIELD_KIND_U8, 200, 200 },
        { AMQP_FIELD_KIND_I16, -300, -300 },
        { AMQP_FIELD_KIND_U16, 60000, 60000 },
        { AMQP_FIELD_KIND_I32, -70000, -70000 },
        { AMQP_FIELD_KIND_U32, 4000000000, 4000000000 },
        { AMQP_FIELD_KIND_I64, INT64_MIN, INT64_MIN },
        { AMQP_FIELD_KIND_U64, -1, 0 }, /* above INT64_MAX */
        { AMQP_FIELD_KIND_F64, 5, 0 },
        { AMQP_FIELD_KIND_BOOLEAN, 1, 0 },
        { AMQP_FIELD_KIND_TIMESTAMP, 9, 0 },
    };
    struct sn_headers out;

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        amqp_table_entry_t e = number("silver-attempt", CASES[i].kind, CASES[i].sent);
        amqp_table_t t = { .num_entries = 1, .entries = &e };
        sn_headers_decode(&t, &out);
        assert_int_equal(out.attempt, CASES[i].read);
    }
}

static void foreign_text_is_whole_or_absent(void **state)
{
    char longest[96];
    char with_nul[3] = { 'a', '\0', 'b' };
    amqp_table_entry_t e = { .key = amqp_cstring_bytes("silver-origin") };
    amqp_table_t t = { .num_entries = 1, .entries = &e };
    struct sn_headers out;

    (void)state;
    memset(longest, 'q', sizeof(longest));
    e.value.kind = AMQP_FIELD_KIND_UTF8;
    e.value.value.bytes = (amqp_bytes_t){ .len = sizeof(longest) - 1, .bytes = longest };
    sn_headers_decode(&t, &out);
    assert_int_equal(strlen(out.origin), 95);
    e.value.value.bytes.len = sizeof(longest);
    sn_headers_decode(&t, &out);
    assert_string_equal(out.origin, "");
    e.value.value.bytes = (amqp_bytes_t){ .len = 3, .bytes = with_nul };
    sn_headers_decode(&t, &out);
    assert_string_equal(out.origin, "");
    e.value.value.bytes = amqp_empty_bytes;
    sn_headers_decode(&t, &out);
    assert_string_equal(out.origin, "");
    e.value.kind = AMQP_FIELD_KIND_I64;
    sn_headers_decode(&t, &out);
    assert_string_equal(out.origin, "");
}

static void seq_is_0_without_headers(void **state)
{
    amqp_basic_properties_t props = { 0 };

    (void)state;
    assert_int_equal(sn_headers_seq(&props), 0);
    props._flags = AMQP_BASIC_HEADERS_FLAG;
    assert_int_equal(sn_headers_seq(&props), 0);
}

static void backoff_doubles_to_its_limit_with_jitter(void **state)
{
    struct sn_backoff b = { .min_ms = 100, .max_ms = 1000 };
    static const int STEPS[] = { 100, 200, 400, 800, 1000, 1000, 1000 };

    (void)state;
    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        struct sn_backoff low = b, high = b;
        uint32_t top = (uint32_t)(STEPS[i] - STEPS[i] / 2);
        assert_int_equal(sn_backoff_next(&low, 0), STEPS[i] / 2);
        assert_int_equal(sn_backoff_next(&high, top), STEPS[i]);
        assert_in_range(sn_backoff_next(&b, UINT32_MAX), STEPS[i] / 2, STEPS[i]);
    }
    b.step_ms = 0;
    assert_in_range(sn_backoff_next(&b, 7), 50, 100);
    b = (struct sn_backoff){ .min_ms = 0, .max_ms = 0 };
    for (int i = 0; i < 5; i++)
        assert_in_range(sn_backoff_next(&b, 3), 0, 1);
}

static void versions_known_to_fail_are_named(void **state)
{
    static const struct {
        const char *version;
        bool warned;
    } CASES[] = {
        { "3.9.29", true },  { "3.10.8", false },       { "3.12.14", false }, { "3.13.0", true }, { "3.13.2", true },
        { "3.13.3", false }, { "4.0.1", false },        { "4.2.9", false },   { "4.3.0", true },  { "4.3.5", true },
        { "4.3.6", false },  { "4.4.0-beta.1", false }, { "", false },        { "dev", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        assert_int_equal(sn_amqp_version_warning(CASES[i].version) != NULL, CASES[i].warned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(nothing_is_sent_for_nothing),
        cmocka_unit_test(the_brokers_own_headers_are_never_sent),
        cmocka_unit_test(any_integer_kind_is_read),
        cmocka_unit_test(foreign_text_is_whole_or_absent),
        cmocka_unit_test(seq_is_0_without_headers),
        cmocka_unit_test(backoff_doubles_to_its_limit_with_jitter),
        cmocka_unit_test(versions_known_to_fail_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
