/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out while options and inventory are read: the whole of them, or an error that says so. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/config/options.h"
#include "common/inventory/inventory.h"
#include "tests/unit/alloc/alloc.h"
#include "tests/unit/common/base/temp_path.h"

struct values {
    char *host;
    int64_t port;
    char *password;
    char **roles;
    int64_t ttl;
};

static const char *const ROLES[] = { "worker", "ledger", NULL };

#define AT(field) offsetof(struct values, field)
static const struct sn_option_row ROWS[] = {
    { "broker", "host", SN_OPTION_TEXT, AT(host), "localhost", 1, 253, NULL, NULL, false, "Where the broker is." },
    { "broker", "port", SN_OPTION_INT, AT(port), "5672", 1, 65535, NULL, NULL, false, "Its port." },
    { "broker", "password", SN_OPTION_SECRET, AT(password), "", 0, 1024, NULL, NULL, false, "Its password." },
    { "process", "roles", SN_OPTION_LIST, AT(roles), "worker", 1, 2, ROLES, NULL, false, "What it does." },
    { "session", "ttl", SN_OPTION_DURATION, AT(ttl), "10s", 100, 60000, NULL, NULL, false, "Lease." },
};
static const struct sn_option_table TABLE = { ROWS, sizeof(ROWS) / sizeof(ROWS[0]) };

static enum alloc_end load_options(void *arg)
{
    char *environment[] = { (char *)(uintptr_t) "SILVER_BROKER_PORT=5673", NULL };
    const char *setting = "session.ttl=20s";
    struct sn_option_sources sources = { .file = arg, .environment = environment, .settings = &setting, .settings_count = 1 };
    struct values v = { 0 };
    struct sn_error err = { 0 };

    if (sn_options_load(&TABLE, &sources, &v, &err) != 0) {
        if (!sn_error_is_oom(&err))
            fail_msg("%s: %s", err.code, err.text);
        return ALLOC_ERROR;
    }
    assert_string_equal(v.host, "broker.example");
    assert_int_equal(v.port, 5673);
    assert_string_equal(v.password, "env:BROKER");
    assert_int_equal(v.ttl, 20000);
    assert_string_equal(v.roles[0], "ledger");
    assert_string_equal(v.roles[1], "worker");
    assert_null(v.roles[2]);
    sn_options_free(&TABLE, &v);
    return ALLOC_RIGHT;
}

static void options_are_read_whole_or_not(void **state)
{
    static const char TEXT[] = "broker:\n  host: broker.example\n  password: env:BROKER\nprocess: {roles: [ledger, worker]}\n";
    char path[TEMP_PATH_MAX];
    int fd = mkstemp(temp_path(path));

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, TEXT, strlen(TEXT)), (ssize_t)strlen(TEXT));
    (void)close(fd);
    alloc_try_each(load_options, path, 1);
    (void)unlink(path);
}

struct loading {
    struct sn_schemas *schemas;
    const char *path;
    size_t count;
};

static enum alloc_end load_inventory(void *arg)
{
    const struct loading *l = arg;
    struct sn_inventory *inv = NULL;
    struct sn_error err = { 0 };

    if (sn_inventory_load_file(l->path, l->schemas, &inv, &err) != 0) {
        assert_null(inv);
        if (!sn_error_is_oom(&err))
            fail_msg("%s: %s", err.code, err.text);
        return ALLOC_ERROR;
    }
    assert_int_equal(sn_inventory_count(inv), l->count);
    for (size_t i = 0; i < l->count; i++) {
        const struct sn_target *t = sn_inventory_at(inv, i);
        assert_ptr_equal(sn_inventory_by_id(inv, t->id), t);
        assert_ptr_equal(sn_inventory_by_uid(inv, t->uid), t);
        assert_true(t->line > 0);
    }
    sn_inventory_unref(inv);
    return ALLOC_RIGHT;
}

static void an_inventory_is_read_whole_or_not(void **state)
{
    struct loading l = { .path = "schemas/examples/valid/inventory/01-whole.yaml" };
    struct sn_inventory *inv = NULL;
    struct sn_error err;

    (void)state;
    assert_int_equal(sn_schemas_load(&l.schemas, &err), 0);
    assert_int_equal(sn_inventory_load_file(l.path, l.schemas, &inv, &err), 0);
    l.count = sn_inventory_count(inv);
    sn_inventory_unref(inv);
    assert_true(l.count > 2);
    alloc_try_each(load_inventory, &l, 3);
    sn_schemas_free(l.schemas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read_whole_or_not),
        cmocka_unit_test(an_inventory_is_read_whole_or_not),
    };
    return cmocka_run_group_tests(tests, alloc_setup, NULL);
}
