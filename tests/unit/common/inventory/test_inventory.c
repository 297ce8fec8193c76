/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of the schema, what the schema cannot say, and the lines of faults. */
#include <dirent.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/inventory/inventory.h"

#define EXAMPLES "schemas/examples"

static struct sn_schemas *schemas_of(void **state)
{
    return *state;
}

static int setup(void **state)
{
    struct sn_error err;
    struct sn_schemas *schemas = NULL;

    if (sn_schemas_load(&schemas, &err) != 0)
        fail_msg("%s: %s", err.code, err.text);
    *state = schemas;
    return 0;
}

static int teardown(void **state)
{
    sn_schemas_free(*state);
    return 0;
}

static struct sn_inventory *load(void **state, const char *text)
{
    struct sn_inventory *inv = NULL;
    struct sn_error err;

    if (sn_inventory_load_text(text, strlen(text), schemas_of(state), &inv, &err) != 0)
        fail_msg("%s: %s", err.code, err.text);
    return inv;
}

/* message: the whole text, or its begin when it ends in "…". */
static void assert_fault(void **state, const char *text, const char *code, const char *message)
{
    size_t begin = strlen(message) >= 3 ? strlen(message) - 3 : 0;
    struct sn_inventory *inv = NULL;
    struct sn_error err;

    if (sn_inventory_load_text(text, strlen(text), schemas_of(state), &inv, &err) == 0)
        fail_msg("loaded:\n%s", text);
    assert_null(inv);
    if (strcmp(message + begin, "…") != 0)
        assert_string_equal(err.text, message);
    else if (strncmp(err.text, message, begin) != 0)
        fail_msg("%s does not begin as %s", err.text, message);
    assert_string_equal(err.code, code);
}

#define HEAD "schema: silver.inventory/1\ntargets:\n"
#define HOST_KEY "host_key: SHA256:uNiVztksCsDhcc0u9e8BrqCe4ATkAnG9kbyHMNm0w3g"
#define OLT(id, more) \
    "  - id: " id "\n    driver: huawei-smartax\n    credential: {user: n, password: pw}\n    " HOST_KEY "\n" more
#define RADIUS(id, sql) "  - id: " id "\n    driver: freeradius-sql\n    sql: {database: radius, user: w, " sql "}\n"
#define NAS(id, radius, nas, coa)                                                               \
    "  - id: " id "\n    driver: radius-session\n    radius: " radius "\n    nas_address: " nas \
    "\n    coa: {secret: s3, " coa "}\n"

static void examples_load_or_name_a_line(void **state)
{
    static const char *const FOLDERS[] = { EXAMPLES "/valid/inventory", EXAMPLES "/invalid/inventory" };
    size_t counts[2] = { 0 };

    for (size_t i = 0; i < 2; i++) {
        DIR *dir = opendir(FOLDERS[i]);
        struct dirent *entry;
        assert_non_null(dir);
        while ((entry = readdir(dir)) != NULL) {
            struct sn_inventory *inv = NULL;
            struct sn_error err = { "", "" };
            char path[512];
            int line = 0;
            int rc;
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof(path), "%s/%s", FOLDERS[i], entry->d_name);
            rc = sn_inventory_load_file(path, schemas_of(state), &inv, &err);
            counts[i]++;
            if ((rc == 0) != (i == 0))
                fail_msg("%s: %s %s", path, err.code, err.text);
            if (rc != 0 && (strncmp(err.text, path, strlen(path)) != 0 ||
                            sscanf(err.text + strlen(path), ":%d: ", &line) != 1 || line < 1))
                fail_msg("no line: %s", err.text);
            sn_inventory_unref(inv);
        }
        closedir(dir);
    }
    assert_true(counts[0] >= 5);
    assert_true(counts[1] >= 10);
}

static void target_has_its_values_and_defaults(void **state)
{
    struct sn_inventory *inv = load(
        state, HEAD OLT("olt-7", "    address: 10.0.0.7\n    uid: u-7\n    batch_max: 32\n    maintenance: true\n"
                                 "    plans: {FTTH-50: {line_profile: \"10\"}}\n") "  - {id: lab, driver: \"null\"}\n");
    const struct sn_target *olt = sn_inventory_by_id(inv, "olt-7");
    const struct sn_target *lab = sn_inventory_by_uid(inv, "lab");

    assert_int_equal(sn_inventory_count(inv), 2);
    assert_ptr_equal(sn_inventory_at(inv, 0), olt);
    assert_ptr_equal(sn_inventory_at(inv, 1), lab);
    assert_null(sn_inventory_at(inv, 2));
    assert_ptr_equal(sn_inventory_by_uid(inv, "u-7"), olt);
    assert_null(sn_inventory_by_uid(inv, "olt-7"));
    assert_null(sn_inventory_by_id(inv, "u-7"));
    assert_null(sn_inventory_by_id(inv, "olt"));
    assert_string_equal(olt->driver, "huawei-smartax");
    assert_int_equal(olt->batch_max, 32);
    assert_true(olt->maintenance);
    assert_int_equal(olt->line, 3);
    assert_string_equal(json_string_value(json_object_get(olt->conf, "address")), "10.0.0.7");
    assert_string_equal(json_string_value(json_object_get(sn_target_plan(olt, "FTTH-50"), "line_profile")), "10");
    assert_null(sn_target_plan(olt, "FTTH-100"));
    assert_string_equal(lab->id, "lab");
    assert_string_equal(lab->uid, "lab");
    assert_int_equal(lab->batch_max, 16);
    assert_false(lab->maintenance);
    assert_null(sn_target_plan(lab, "FTTH-50"));
    sn_inventory_unref(inv);
}

static void every_target_is_found(void **state)
{
    struct sn_buf text = SN_BUF_INIT;
    struct sn_inventory *inv;
    char id[32];

    sn_buf_adds(&text, HEAD);
    for (int i = 0; i < 500; i++)
        sn_buf_addf(&text, "  - {id: t-%d, uid: u-%d, driver: \"null\"}\n", (i * 7919) % 500, i);
    inv = load(state, sn_buf_str(&text));
    assert_int_equal(sn_inventory_count(inv), 500);
    for (int i = 0; i < 500; i++) {
        const struct sn_target *t = sn_inventory_at(inv, (size_t)i);
        assert_int_equal(t->line, i + 3);
        assert_ptr_equal(sn_inventory_by_id(inv, t->id), t);
        snprintf(id, sizeof(id), "u-%d", i);
        assert_ptr_equal(sn_inventory_by_uid(inv, id), t);
    }
    sn_inventory_unref(inv);
    sn_buf_fini(&text);
}

static void shape_faults_name_line_and_path(void **state)
{
    assert_fault(state, HEAD OLT("olt-7", "    address: 10.0.0.7\n    port: 70000\n"), "inventory.shape",
                 "inventory:8: targets[0].port: maximum 65535");
    assert_fault(state, "schema: silver.inventory/1\n", "inventory.shape", "inventory:1: required targets");
    assert_fault(state, HEAD "  - id: x\n   driver: bad indent\n", "inventory.syntax", "inventory:4: …");
    assert_fault(state, HEAD "  - id: x\n    id: y\n", "inventory.syntax", "inventory:4: …");
}

static void ids_and_uids_are_unique(void **state)
{
    assert_fault(state,
                 HEAD "  - {id: a, driver: \"null\"}\n  - {id: b, driver: \"null\"}\n  - id: a\n    driver: \"null\"\n",
                 "inventory.duplicate-id", "inventory:5: targets[2].id: the id (a) is already that of a in line 3");
    assert_fault(state, HEAD "  - {id: a, driver: \"null\"}\n  - {id: b, uid: a, driver: \"null\"}\n",
                 "inventory.duplicate-uid", "inventory:4: targets[1].uid: the uid (a) is already that of a in line 3");
    assert_fault(state, HEAD "  - {id: b, uid: a, driver: \"null\"}\n  - {id: a, driver: \"null\"}\n",
                 "inventory.duplicate-uid", "inventory:4: targets[1].uid: the uid (a) is already that of b in line 3");
}

static void addresses_are_unique(void **state)
{
    static const struct {
        const char *first;
        const char *second;
        const char *place;
    } SAME[] = {
        { OLT("a", "    address: 10.0.0.7\n"), OLT("b", "    address: 10.0.0.7\n    port: 22\n"),
          "targets[1].address" },
        { OLT("a", "    address: OLT7.isp\n"), OLT("b", "    address: olt7.isp\n"), "targets[1].address" },
        { OLT("a", "    address: 2001:db8::7\n"), OLT("b", "    address: 2001:0DB8:0::7\n"), "targets[1].address" },
        { OLT("a", "    address: 10.0.0.7\n    transport: telnet\n"), OLT("b", "    address: 10.0.0.7\n    port: 23\n"),
          "targets[1].address" },
        { RADIUS("a", "address: 10.0.0.1"), RADIUS("b", "address: 10.0.0.1, port: 5432"), "targets[1].sql.address" },
        { RADIUS("r", "address: 10.0.0.1") NAS("a", "r", "10.0.0.1", "address: 10.0.0.1"),
          NAS("b", "r", "10.0.0.2", "address: 10.0.0.1, port: 3799"), "targets[2].coa.address" },
        { RADIUS("r", "address: 10.0.0.1") NAS("a", "r", "10.0.0.1", "address: 10.0.0.1"),
          NAS("b", "r", "10.0.0.1", "address: 10.0.0.2"), "targets[2].nas_address" },
    };
    char text[2048];

    for (size_t i = 0; i < sizeof(SAME) / sizeof(SAME[0]); i++) {
        struct sn_inventory *inv = NULL;
        struct sn_error err;
        snprintf(text, sizeof(text), "%s%s%s", HEAD, SAME[i].first, SAME[i].second);
        if (sn_inventory_load_text(text, strlen(text), schemas_of(state), &inv, &err) == 0)
            fail_msg("loaded:\n%s", text);
        assert_string_equal(err.code, "inventory.duplicate-address");
        if (strstr(err.text, SAME[i].place) == NULL)
            fail_msg("%s instead of %s", err.text, SAME[i].place);
    }
    sn_inventory_unref(load(state,
                            HEAD OLT("a", "    address: 10.0.0.7\n") OLT("b", "    address: 10.0.0.7\n    port: 2222\n")
                                RADIUS("r1", "address: 10.0.0.7") RADIUS("r2", "address: 10.0.0.7, port: 5433")
                                    NAS("n1", "r1", "10.0.0.7", "address: 10.0.0.7")
                                        NAS("n2", "r2", "10.0.0.7", "address: 10.0.0.8")));
}

static void a_nas_links_to_a_radius_database(void **state)
{
    assert_fault(state, HEAD NAS("n", "r", "10.0.0.1", "address: 10.0.0.1"), "inventory.link",
                 "inventory:5: targets[0].radius: r is no target of this inventory");
    assert_fault(state, HEAD "  - {id: r, driver: \"null\"}\n" NAS("n", "r", "10.0.0.1", "address: 10.0.0.1"),
                 "inventory.link",
                 "inventory:6: targets[1].radius: r is a target of driver null, not of freeradius-sql");
}

static void file_that_is_not_there(void **state)
{
    struct sn_inventory *inv = NULL;
    struct sn_error err;

    assert_int_equal(sn_inventory_load_file("/nonexistent/inventory.yaml", schemas_of(state), &inv, &err), -1);
    assert_string_equal(err.code, "inventory.unreadable");
    assert_string_equal(err.text, "/nonexistent/inventory.yaml: No such file or directory");
    assert_int_equal(sn_inventory_load_file("/", schemas_of(state), &inv, &err), -1);
    assert_string_equal(err.code, "inventory.unreadable");
    assert_null(inv);
}

#define THREADS 4

/* Takes and drops references while it reads; the last one out frees. */
static void *use_inventory(void *arg)
{
    struct sn_inventory *inv = arg;
    intptr_t missing = 0;

    for (int i = 0; i < 2000; i++) {
        struct sn_inventory *mine = sn_inventory_ref(inv);
        if (sn_inventory_by_id(mine, "olt-7") == NULL || sn_target_plan(sn_inventory_at(mine, 0), "P") == NULL)
            missing++;
        sn_inventory_unref(mine);
    }
    sn_inventory_unref(inv);
    return (void *)missing;
}

static void threads_share_an_inventory(void **state)
{
    struct sn_inventory *inv = load(state, HEAD OLT("olt-7", "    address: 10.0.0.7\n    plans: {P: {priority: 1}}\n"));
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_inventory, sn_inventory_ref(inv)), 0);
    sn_inventory_unref(inv);
    for (int i = 0; i < THREADS; i++) {
        void *missing;
        assert_int_equal(pthread_join(threads[i], &missing), 0);
        assert_null(missing);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_load_or_name_a_line),
        cmocka_unit_test(target_has_its_values_and_defaults),
        cmocka_unit_test(every_target_is_found),
        cmocka_unit_test(shape_faults_name_line_and_path),
        cmocka_unit_test(ids_and_uids_are_unique),
        cmocka_unit_test(addresses_are_unique),
        cmocka_unit_test(a_nas_links_to_a_radius_database),
        cmocka_unit_test(file_that_is_not_there),
        cmocka_unit_test(threads_share_an_inventory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
