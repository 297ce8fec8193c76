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
#include "tests/unit/common/event/fixture.h"

static int setup(void **state)
{
    return alloc_setup(NULL) == 0 ? event_setup(state) : -1;
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
    return cmocka_run_group_tests(tests, setup, event_teardown);
}
