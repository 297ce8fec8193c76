/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out while records and results are made: the whole of them, or none; a secret is never left in clear. */
#include <jansson.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/json.h"
#include "drivers/null/null.h"
#include "tests/unit/alloc/alloc.h"
#include "tests/unit/fake/fake_clock.h"
#include "worker/job/converge.h"
#include "worker/job/job.h"
#include "worker/job/recipe.h"
#include "worker/job/record.h"
#include "worker/job/result.h"

#define WALL INT64_C(1795406400000)
#define CANARY "clave-17071"

static const char INVENTORY[] = "schema: silver.inventory/1\ntargets:\n"
                                "  - {id: olt-7, driver: \"null\"}\n"
                                "  - {id: radius-1, driver: freeradius-sql, sql: {database: radius, user: w, address: 127.0.0.1}}\n"
                                "  - {id: bng-1, driver: radius-session, radius: radius-1, nas_address: 192.0.2.1, coa: {secret: s3, address: 192.0.2.1}}\n";

struct fixture {
    struct sn_schemas *schemas;
    struct sn_fleet fleet;
    struct sn_log log;
    unsigned char seal_public[32];
    unsigned char seal_secret[32];
    char event[8192];
};

static int setup(void **state)
{
    static struct fixture f;
    struct sn_error err = { 0 };
    FILE *file = fopen("schemas/examples/valid/event/01-activated.json", "r");

    (void)alloc_setup(NULL);
    fake_clock_set(5000, WALL, 1);
    assert_non_null(file);
    assert_true(fread(f.event, 1, sizeof(f.event) - 1, file) > 0);
    (void)fclose(file);
    assert_true(sodium_init() >= 0);
    assert_int_equal(crypto_box_keypair(f.seal_public, f.seal_secret), 0);
    if (sn_schemas_load(&f.schemas, &err) != 0 ||
        sn_inventory_load_text(INVENTORY, strlen(INVENTORY), f.schemas, &f.fleet.inventory, &err) != 0 || sn_fleet_init(&f.fleet, &err) != 0)
        fail_msg("%s: %s", err.code, err.text);
    f.fleet.redact = sn_redact_new();
    assert_non_null(f.fleet.redact);
    assert_int_equal(sn_redact_add(f.fleet.redact, CANARY, strlen(CANARY)), 0);
    f.fleet.conf.log_bytes = 65536;
    (void)snprintf(f.fleet.conf.worker, sizeof(f.fleet.conf.worker), "worker-1/0a0b0c0d");
    f.fleet.policy = (struct sn_event_policy){ .schemas = f.schemas, .seal_public = f.seal_public };
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sn_fleet_fini(&f->fleet);
    sn_inventory_unref(f->fleet.inventory);
    sn_redact_free(f->fleet.redact);
    sn_schemas_free(f->schemas);
    return 0;
}

/* ---- records ---- */

struct making {
    const json_t *old;
    json_t *key;
    json_t *memo;
    json_t *expected;
    json_t *(*make)(const struct making *m);
};

static const struct sn_record_who WHO = { .generation = 9, .rev = "0123456789abcdef", .event = "5e0b1f2a-0000-4000-8000-000000000001",
                                          .ref = "CT-17071", .epoch = 40, .run = 2 };

static json_t *intent(const struct making *m)
{
    return sn_record_intent(m->old, &WHO, "onu", m->key, m->memo);
}

static json_t *settled(const struct making *m)
{
    return sn_record_settled(m->old, &WHO, &sn_driver_null, "onu", m->key, false, m->memo);
}

static json_t *other_things(const struct making *m)
{
    return sn_record_other_things(m->old, &sn_driver_null, NULL, m->key);
}

static json_t *old_forms(const struct making *m)
{
    return sn_record_old_forms(m->old, &sn_driver_null, "onu", m->key);
}

static json_t *kept_memo(const struct making *m)
{
    return sn_record_memo(m->old, "0123456789abcdef");
}

static enum alloc_end make(void *arg)
{
    const struct making *m = arg;
    json_t *made = m->make(m);

    if (made == NULL)
        return ALLOC_ERROR;
    assert_true(json_equal(made, m->expected));
    json_decref(made);
    return ALLOC_RIGHT;
}

static void a_record_is_whole_or_none(void **state)
{
    static json_t *(*const MAKERS[])(const struct making *m) = { intent, settled, other_things, old_forms, kept_memo };
    struct making m = { .old = json_pack("{s:[{s:s, s:{s:s}}, {s:s, s:{s:s, s:i}}], s:{s:s, s:{s:s}}, s:s}", "keys", "aspect", "user", "key", "name", "A",
                                         "aspect", "onu", "key", "name", "CT-1", "port", 3, "memo", "rate", "100/50", "inner", "k", "v", "memo_rev",
                                         "0123456789abcdef"),
                        .key = json_pack("{s:s}", "name", "CT-1"),
                        .memo = json_pack("{s:s, s:{s:s}}", "rate", "100/50", "inner", "k", "v") };

    (void)state;
    assert_non_null(m.old);
    for (size_t i = 0; i < sizeof(MAKERS) / sizeof(MAKERS[0]); i++) {
        m.make = MAKERS[i];
        m.expected = m.make(&m);
        assert_non_null(m.expected);
        alloc_try_each(make, &m, 1);
        json_decref(m.expected);
    }
    json_decref((json_t *)(uintptr_t)m.old);
    json_decref(m.key);
    json_decref(m.memo);
}

/* ---- results ---- */

static struct sn_job *new_job(struct fixture *f)
{
    struct sn_event_refusal refusal;
    struct sn_event *event = NULL;
    struct sn_follow_ups follow;
    struct sn_verdict why = { 0 };
    struct sn_job *job;

    assert_int_equal(sn_event_read(&f->fleet.policy, f->event, strlen(f->event), "application/json", NULL, &event, &refusal), 0);
    job = sn_job_new(NULL, event, f->fleet.inventory, &f->log);
    assert_non_null(job);
    job->device = sn_fleet_device(&f->fleet, "olt-7");
    job->run = 2;
    job->started_wall_ms = WALL - 500;
    if (sn_recipe_build(job, &f->fleet, NULL, &follow, &why) != 0)
        fail_msg("%s: %s", why.code, why.text);
    assert_true(job->steps_n >= 2);
    for (int i = 0; i < job->steps_n; i++) {
        struct sn_step *s = &job->steps[i];
        s->state = SN_STEP_DONE;
        s->wrote = true;
        s->evidence = SN_EVIDENCE_OBSERVED;
        s->holds = json_pack("{s:s}", "thing", "CT-17071");
        s->record = sn_record_intent(NULL, &WHO, s->aspect, s->key, NULL);
    }
    sn_job_note(job, &f->fleet, "olt-7", ">", "put onu CT-17071", "");
    sn_job_note(job, &f->fleet, "olt-7", "<", "done", "ok");
    sn_buf_adds(&job->raw, "what nobody understood");
    return job;
}

struct telling {
    struct fixture *f;
    struct sn_job *job;
    struct sn_result_say say;
    char *(*tell)(const struct sn_job *job, const struct sn_fleet *fleet, const struct sn_result_say *say);
    char *expected; /* without its letter, which is another each time */
};

static char *without_letter(char *text, bool *ret_letter)
{
    json_t *r = json_loads(text, 0, NULL);
    char *rest;

    *ret_letter = json_string_value(json_object_get(json_object_get(r, "letter"), "event_sealed")) != NULL &&
                  json_string_value(json_object_get(json_object_get(r, "letter"), "reply_sealed")) != NULL;
    (void)json_object_del(r, "letter");
    rest = json_dumps(r, JSON_SORT_KEYS);
    json_decref(r);
    free(text);
    return rest;
}

static enum alloc_end tell(void *arg)
{
    const struct telling *t = arg;
    char *text = t->tell(t->job, &t->f->fleet, &t->say);
    bool letter;

    if (text == NULL)
        return ALLOC_ERROR;
    alloc_pause();
    text = without_letter(text, &letter);
    assert_string_equal(text, t->expected);
    assert_true(letter || !t->say.letter || t->tell == sn_result_stored);
    free(text);
    alloc_resume();
    return ALLOC_RIGHT;
}

static void a_result_is_whole_or_none(void **state)
{
    struct fixture *f = *state;
    struct sn_verdict cause = { 0 };
    struct telling t[] = {
        { .f = f, .say = { .final = true, .outcome = "applied", .saved = true }, .tell = sn_result_text },
        { .f = f, .say = { .waiting = "bng-1", .waiting_since_ms = WALL, .cause = &cause }, .tell = sn_result_text },
        { .f = f, .say = { .final = true, .outcome = "dead", .saved = true, .cause = &cause, .letter = true }, .tell = sn_result_text },
        { .f = f, .say = { .final = true, .outcome = "dead", .saved = true, .cause = &cause, .letter = true }, .tell = sn_result_stored },
    };
    struct sn_job *job = new_job(f);

    sn_verdict_set(&cause, SN_PERMANENT, "null.told-to-fail", "told to");
    sn_verdict_arg(&cause, "target", "olt-7");
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        bool letter;
        t[i].job = job;
        t[i].expected = without_letter(t[i].tell(job, &f->fleet, &t[i].say), &letter);
        alloc_try_each(tell, &t[i], 1);
        free(t[i].expected);
    }
    sn_verdict_fini(&cause);
    sn_job_free(job);
}

/* The transcript: an entry is whole, or the job says that something is missing. */
static enum alloc_end note(void *arg)
{
    struct fixture *f = arg;
    struct sn_job *job;
    enum alloc_end end;
    const json_t *entry;

    alloc_pause();
    job = new_job(f);
    alloc_resume();
    sn_job_note(job, &f->fleet, "olt-7", "<", "said " CANARY "\r\nand more\x1b[2J", "ok");
    entry = json_array_get(job->entries, 2);
    end = job->entries_cut ? ALLOC_ERROR : ALLOC_RIGHT;
    if (!job->entries_cut)
        assert_string_equal(json_string_value(json_object_get(entry, "text")), "said [secret]\nand more\\x1b[2J");
    else if (entry != NULL)
        assert_null(strstr(json_string_value(json_object_get(entry, "text")), "17071"));
    sn_job_free(job);
    return end;
}

static void a_transcript_says_when_it_lacks_something(void **state)
{
    alloc_try_each(note, *state, 1);
}

/* Lists come first, writes last. */
static void a_full_transcript_has_room_for_every_line_that_is_sent(void **state)
{
    struct fixture *f = *state;
    struct sn_job *job = new_job(f);
    size_t before = json_array_size(job->entries);
    char list[20001];
    const char *text;

    memset(list, 'x', sizeof(list) - 1);
    list[sizeof(list) - 1] = '\0';
    for (int i = 0; i < 5; i++)
        sn_job_note(job, &f->fleet, "olt-7", "<", list, "ok");
    for (int i = 0; i < 100; i++)
        sn_job_note(job, &f->fleet, "olt-7", ">", "service-port 2702 vlan 100 gpon 0/1/1 ont 94 gemport 1 multi-service user-vlan 100", "");
    assert_true(job->entries_cut);
    assert_int_equal(json_array_size(job->entries), before + 105);
    text = json_string_value(json_object_get(json_array_get(job->entries, before + 104), "text"));
    assert_string_equal(text, "service-port 2702 vlan 100 gpon 0/1/1 ont 94 gemport 1 multi-service user-vlan 100");
    text = json_string_value(json_object_get(json_array_get(job->entries, before + 4), "text"));
    assert_int_equal(strlen(text), 512);
    for (int i = 0; i < 600; i++)
        sn_job_note(job, &f->fleet, "olt-7", "<", list, "ok");
    assert_true(job->entries_bytes < 4 * f->fleet.conf.log_bytes);
    sn_job_free(job);
}

static enum alloc_end mask(void *arg)
{
    struct fixture *f = arg;
    enum alloc_end end;
    json_t *tree;
    char *text;

    alloc_pause();
    tree = json_pack("{s:s, s:[s, s], s:{s:s}}", "a", "is " CANARY " here", "b", CANARY, "harmless", "c", "d", "also harmless");
    alloc_resume();
    sn_job_mask(&f->fleet, tree);
    alloc_pause();
    text = json_dumps(tree, JSON_SORT_KEYS);
    assert_null(strstr(text, "17071"));
    end = strcmp(text, "{\"a\": \"is [secret] here\", \"b\": [\"[secret]\", \"harmless\"], \"c\": {\"d\": \"also harmless\"}}") == 0 ? ALLOC_RIGHT : ALLOC_ERROR;
    free(text);
    json_decref(tree);
    alloc_resume();
    return end;
}

static void a_tree_is_masked_whatever_happens(void **state)
{
    alloc_try_each(mask, *state, 1);
}

static enum alloc_end make_job(void *arg)
{
    struct fixture *f = arg;
    struct sn_event *event = NULL;
    struct sn_event_refusal refusal;
    struct sn_follow_ups follow = { .n = 0 };
    struct sn_verdict why = { 0 };
    struct sn_job *job;
    unsigned before = sn_json_failures();
    enum alloc_end end = ALLOC_ERROR;

    alloc_pause();
    assert_int_equal(sn_event_read(&f->fleet.policy, f->event, strlen(f->event), "application/json", NULL, &event, &refusal), 0);
    alloc_resume();
    job = sn_job_new(NULL, event, f->fleet.inventory, &f->log);
    if (job == NULL)
        return ALLOC_ERROR;
    job->device = sn_fleet_device(&f->fleet, "olt-7");
    if (sn_recipe_build(job, &f->fleet, NULL, &follow, &why) == 0 && sn_json_failures() == before) {
        end = ALLOC_RIGHT;
        assert_int_equal(job->steps_n, 4);
        for (int i = 0; i < job->steps_n; i++)
            assert_non_null(job->steps[i].key);
    }
    sn_follow_ups_fini(&follow);
    sn_verdict_fini(&why);
    sn_job_free(job);
    return end;
}

static void a_recipe_is_whole_or_said_not_to_be(void **state)
{
    alloc_try_each(make_job, *state, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_whole_or_none),
        cmocka_unit_test(a_result_is_whole_or_none),
        cmocka_unit_test(a_transcript_says_when_it_lacks_something),
        cmocka_unit_test(a_full_transcript_has_room_for_every_line_that_is_sent),
        cmocka_unit_test(a_tree_is_masked_whatever_happens),
        cmocka_unit_test(a_recipe_is_whole_or_said_not_to_be),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
