/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out while an event is read: it is read whole, or nobody has judged it. Never "rejected", never another revision. */
#include <jansson.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/event/event.h"
#include "tests/unit/alloc/alloc.h"

struct fixture {
    struct sn_schemas *schemas;
    struct sn_secret_store *store;
    struct sn_redact *redact;
    struct sn_event_policy policy;
};

static int setup(void **state)
{
    static struct fixture f;
    char path[] = "/tmp/sn-alloc-key-XXXXXX";
    struct sn_secret_conf conf = { .fleet_key_file = path, .timeout_ms = 1000 };
    struct sn_error err = { 0 };
    int fd;

    alloc_setup();
    fd = mkstemp(path);
    assert_true(fd >= 0 && sodium_init() >= 0);
    assert_int_equal(write(fd, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 65), 65);
    assert_int_equal(close(fd), 0);
    f.redact = sn_redact_new();
    assert_non_null(f.redact);
    if (sn_secret_store_new(&conf, f.redact, &f.store, &err) < 0 || sn_schemas_load(&f.schemas, &err) < 0)
        fail_msg("%s: %s", err.code, err.text);
    assert_int_equal(unlink(path), 0);
    f.policy = (struct sn_event_policy){ .schemas = f.schemas,
                                         .fleet_key = sn_secret_hash_key(f.store),
                                         .seal_public = sn_secret_seal_public(f.store),
                                         .secrets = f.store,
                                         .inline_secrets = true };
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sn_schemas_free(f->schemas);
    sn_secret_store_free(f->store);
    sn_redact_free(f->redact);
    return 0;
}

struct message {
    const struct fixture *f;
    char *data;
    size_t len;
    const char *type;
    char rev[SN_REV_MAX];
    const char *refused; /* code, NULL: it is taken */
};

static enum alloc_end read_message(void *arg)
{
    const struct message *m = arg;
    struct sn_event_refusal refusal;
    struct sn_event *ev = NULL;

    if (sn_event_read(&m->f->policy, m->data, m->len, m->type, NULL, &ev, &refusal) != 0) {
        assert_null(ev);
        if (m->refused != NULL && strcmp(refusal.code, m->refused) == 0)
            return ALLOC_RIGHT;
        if (strcmp(refusal.code, SN_CODE_OOM) != 0)
            fail_msg("%s %s %s", refusal.code, refusal.path, refusal.rule);
        return ALLOC_ERROR;
    }
    assert_null(m->refused);
    assert_string_equal(ev->rev, m->rev);
    assert_string_equal(ev->routing, "olt-7");
    alloc_pause();
    char *text = json_dumps(ev->body, JSON_COMPACT); /* sealed, in every place */
    assert_null(strstr(text, "clave"));
    free(text);
    /* what came in plain is hidden as long as the event lives */
    struct sn_buf said = SN_BUF_INIT;
    sn_redact_apply(m->f->redact, &said, "clave-17071", 11);
    assert_string_equal(sn_buf_str(&said), "[secret]");
    sn_buf_fini(&said);
    alloc_resume();
    sn_event_free(ev);
    return ALLOC_RIGHT;
}

static void load(struct message *m, const char *path, const char *type)
{
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    m->data = calloc(1, 65536);
    assert_non_null(m->data);
    m->len = fread(m->data, 1, 65535, file);
    assert_true(m->len > 0);
    m->type = type;
    (void)fclose(file);
}

/* The event with its password inline, and as one whose password came sealed (a dead letter that is replayed). */
static void an_event_is_read_whole_or_judged_by_nobody(void **state)
{
    struct message m = { .f = *state };
    struct sn_event_refusal refusal;
    struct sn_event *ev = NULL;
    json_t *body;
    char *text;

    load(&m, "schemas/examples/valid/event/10-inline-secret.json", "application/json");
    body = json_loadb(m.data, m.len, 0, NULL);
    assert_non_null(body);
    assert_int_equal(json_object_set_new(json_object_get(json_object_get(body, "service"), "access"), "password", json_string("clave-17071")), 0);
    free(m.data);
    m.data = json_dumps(body, 0);
    m.len = strlen(m.data);
    json_decref(body);
    assert_int_equal(sn_event_read(&m.f->policy, m.data, m.len, m.type, NULL, &ev, &refusal), 0);
    (void)snprintf(m.rev, sizeof(m.rev), "%s", ev->rev);
    text = json_dumps(ev->body, 0);
    sn_event_free(ev);
    alloc_try_each(read_message, &m, 1);
    free(m.data);
    m.data = text;
    m.len = strlen(text);
    alloc_try_each(read_message, &m, 1);
    free(m.data);
}

static void a_message_is_refused_for_what_it_is_or_not_judged(void **state)
{
    static const struct {
        const char *file;
        const char *code;
    } CASES[] = {
        { "not-json.json", "event.syntax" },        { "unknown-top-level.json", "event.unknown-field" },
        { "serial-with-command.json", "event.shape" }, { "services-share-a-flow.json", "event.duplicate-service" },
        { "duplicate-key.json", "event.syntax" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct message m = { .f = *state, .refused = CASES[i].code };
        char path[128];
        (void)snprintf(path, sizeof(path), "schemas/examples/invalid/event/%s", CASES[i].file);
        load(&m, path, "application/json");
        alloc_try_each(read_message, &m, 1);
        free(m.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_read_whole_or_judged_by_nobody),
        cmocka_unit_test(a_message_is_refused_for_what_it_is_or_not_judged),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
