/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints verdicts as JSON lines; the tests compare them with other validators.
 *
 * - schema-check shape NAME [FILE…]: each file (.json, .msgpack, .yaml), or each line of stdin, against the schema
 *   NAME = event, result, ctl, inventory. {"name", "ok": true} or {"name", "ok": false, "code", "path", "rule"}
 * - schema-check event [--no-inline] [--source SYSTEM/DB] FILE…: each file through the whole reader.
 *   {"name", "outcome": "ok", …} or {"name", "outcome": "rejected" | "dead", "code", "path", "rule", …}
 * - schema-check suite FILE…: files of the JSON-Schema-Test-Suite.
 *   {"name", "group", "test", "expected", "got"} or {"name", "group", "tests", "skipped", "why"}
 *
 * Exit: 0 when all was read, whatever the verdicts; 2 otherwise.
 */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/event/event.h"
#include "common/schema/doc.h"
#include "common/schema/schema.h"

static void print_line(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);

    puts(text != NULL ? text : "{}");
    free(text);
    json_decref(line);
}

static int read_file(const char *path, char **ret_data, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    char *data = NULL;
    size_t len = 0;
    size_t cap = 0;

    if (file == NULL) {
        perror(path);
        return -1;
    }
    do {
        if (cap - len < 4096) {
            cap = cap == 0 ? 65536 : cap * 2;
            data = realloc(data, cap);
            if (data == NULL)
                abort();
        }
        len += fread(data + len, 1, cap - len - 1, file);
    } while (!feof(file) && !ferror(file));
    (void)fclose(file);
    data[len] = '\0';
    *ret_data = data;
    *ret_len = len;
    return 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static int load(const char *name, const char *data, size_t len, json_t **ret, struct sn_error *err)
{
    const struct sn_doc_limits message = SN_DOC_LIMITS_MESSAGE;
    const struct sn_doc_limits file = SN_DOC_LIMITS_FILE;

    if (ends_with(name, ".yaml"))
        return sn_doc_load_yaml(data, len, &file, ret, NULL, err);
    return sn_doc_load(data, len, ends_with(name, ".msgpack") ? SN_DOC_MSGPACK : SN_DOC_JSON, &message, ret, err);
}

static void judge_shape(const struct sn_schema *schema, const char *name, const char *data, size_t len)
{
    struct sn_violation violation = { 0 };
    struct sn_error err = { 0 };
    json_t *doc = NULL;

    if (load(name, data, len, &doc, &err) < 0) {
        print_line(json_pack("{s:s, s:b, s:s, s:s, s:s}", "name", name, "ok", 0, "code", err.code, "path", "", "rule",
                             err.text));
        return;
    }
    if (sn_schema_check(schema, doc, &violation))
        print_line(json_pack("{s:s, s:b}", "name", name, "ok", 1));
    else
        print_line(json_pack("{s:s, s:b, s:s, s:s, s:s}", "name", name, "ok", 0, "code", "shape", "path",
                             violation.path, "rule", violation.rule));
    json_decref(doc);
}

static int mode_shape(const struct sn_schemas *schemas, int count, char **files)
{
    static const char *const names[SN_SCHEMA_COUNT] = { "event", "result", "ctl", "inventory" };
    const struct sn_schema *schema = NULL;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;

    for (int i = 0; count > 0 && i < SN_SCHEMA_COUNT; i++) {
        if (strcmp(files[0], names[i]) == 0)
            schema = sn_schemas_get(schemas, (enum sn_schema_id)i);
    }
    if (schema == NULL)
        return 2;
    for (int i = 1; i < count; i++) {
        char *data;
        size_t size;
        if (read_file(files[i], &data, &size) < 0)
            return 2;
        judge_shape(schema, files[i], data, size);
        free(data);
    }
    while (count == 1 && (len = getline(&line, &cap, stdin)) > 0)
        judge_shape(schema, "stdin", line, (size_t)len);
    free(line);
    return 0;
}

static void judge_event(const struct sn_event_policy *policy, const char *name, const char *data, size_t len)
{
    struct sn_event_refusal refusal;
    struct sn_event *ev = NULL;
    const char *type = ends_with(name, ".msgpack") ? "application/msgpack" : "application/json";

    if (sn_event_read(policy, data, len, type, NULL, &ev, &refusal) < 0) {
        print_line(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", name, "outcome",
                             refusal.dead ? "dead" : "rejected", "code", refusal.code, "path", refusal.path, "rule",
                             refusal.rule, "id", refusal.id, "ref", refusal.ref, "routing", refusal.routing));
        return;
    }
    print_line(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:O}", "name", name, "outcome", "ok", "id", ev->id,
                         "ref", ev->ref, "routing", ev->routing, "rev", ev->rev, "type", ev->type, "disagrees",
                         (int)ev->disagrees, "body", ev->body));
    sn_event_free(ev);
}

static int mode_event(const struct sn_schemas *schemas, int count, char **args)
{
    unsigned char fleet_key[32] = { 7 };
    unsigned char public_key[crypto_box_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_box_SECRETKEYBYTES];
    const char *sources[2] = { NULL, NULL };
    struct sn_event_policy policy = {
        .schemas = schemas, .fleet_key = fleet_key, .seal_public = public_key, .inline_secrets = true
    };
    int i = 0;

    (void)crypto_box_keypair(public_key, secret_key);
    for (; i < count && args[i][0] == '-'; i++) {
        if (strcmp(args[i], "--no-inline") == 0) {
            policy.inline_secrets = false;
        } else if (strcmp(args[i], "--source") == 0 && i + 1 < count) {
            sources[0] = args[++i];
            policy.sources = sources;
        } else {
            return 2;
        }
    }
    for (; i < count; i++) {
        char *data;
        size_t len;
        if (read_file(args[i], &data, &len) < 0)
            return 2;
        judge_event(&policy, args[i], data, len);
        free(data);
    }
    return 0;
}

static void run_group(const char *name, const json_t *group)
{
    const char *title = json_string_value(json_object_get(group, "description"));
    const json_t *tests = json_object_get(group, "tests");
    char *text = json_dumps(json_object_get(group, "schema"), JSON_ENCODE_ANY);
    struct sn_schema *schema = NULL;
    struct sn_error err = { 0 };

    if (text == NULL || sn_schema_compile(text, strlen(text), &schema, &err) < 0) {
        print_line(json_pack("{s:s, s:s, s:i, s:s, s:s}", "name", name, "group", title, "tests",
                             (int)json_array_size(tests), "skipped", err.code, "why", err.text));
        free(text);
        return;
    }
    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *test = json_array_get(tests, i);
        bool got = sn_schema_check(schema, json_object_get(test, "data"), NULL);
        print_line(json_pack("{s:s, s:s, s:s, s:b, s:b}", "name", name, "group", title, "test",
                             json_string_value(json_object_get(test, "description")), "expected",
                             json_is_true(json_object_get(test, "valid")), "got", (int)got));
    }
    sn_schema_free(schema);
    free(text);
}

static int mode_suite(int count, char **files)
{
    for (int i = 0; i < count; i++) {
        json_error_t where;
        json_t *groups = json_load_file(files[i], JSON_ALLOW_NUL, &where);
        if (groups == NULL) {
            print_line(json_pack("{s:s, s:s, s:i, s:s, s:s}", "name", files[i], "group", "", "tests", 0, "skipped",
                                 "file", "why", where.text));
            continue;
        }
        for (size_t k = 0; k < json_array_size(groups); k++)
            run_group(files[i], json_array_get(groups, k));
        json_decref(groups);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct sn_schemas *schemas = NULL;
    struct sn_error err = { 0 };
    int rc = 2;

    if (sodium_init() < 0 || sn_schemas_load(&schemas, &err) < 0) {
        fprintf(stderr, "%s: %s\n", err.code, err.text);
        return 2;
    }
    if (argc > 2 && strcmp(argv[1], "shape") == 0)
        rc = mode_shape(schemas, argc - 2, argv + 2);
    else if (argc > 2 && strcmp(argv[1], "event") == 0)
        rc = mode_event(schemas, argc - 2, argv + 2);
    else if (argc > 2 && strcmp(argv[1], "suite") == 0)
        rc = mode_suite(argc - 2, argv + 2);
    else
        fprintf(stderr, "usage: schema-check shape|event|suite …\n");
    sn_schemas_free(schemas);
    return rc;
}
