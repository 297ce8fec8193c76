/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person sees is a contract too: each document of views/ (<view>[-<case>].json) against the whole text beside it
 * (.txt). The clock stands at 2026-11-23 04:30 in Caracas, the terminal has 100 columns and no colour.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <dirent.h>

#include "worker/ctl/view.h"

#define FOLDER "tests/unit/worker/ctl/views"
#define NOW_MS 1795422600000 /* 2026-11-23T08:30:00Z */

typedef void view_fn(struct sn_out *o, const json_t *document, int64_t now_ms);

static const struct {
    const char *name;
    view_fn *view;
} VIEWS[] = {
    { "config", sn_view_config },        { "contract", sn_view_contract },
    { "device", sn_view_device },        { "devices", sn_view_devices },
    { "event", sn_view_event },          { "gate", sn_view_gate },
    { "groups", sn_view_letter_groups }, { "letter", sn_view_letter },
    { "letters", sn_view_letters },      { "plan", sn_view_plan },
    { "publish", sn_view_publish },      { "raw", sn_view_event_raw },
    { "test", sn_view_device_test },     { "topology", sn_view_topology },
    { "workers", sn_view_workers },
};
#define N_VIEWS (sizeof(VIEWS) / sizeof(VIEWS[0]))

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 65536);

    if (f == NULL || text == NULL)
        fail_msg("%s cannot be read", path);
    assert_true(fread(text, 1, 65535, f) > 0);
    (void)fclose(f);
    return text;
}

static void render(const char *name, struct sn_out *o)
{
    char path[512];
    json_error_t why;
    json_t *doc;
    size_t i = 0;

    while (i < N_VIEWS && (strncmp(name, VIEWS[i].name, strlen(VIEWS[i].name)) != 0 ||
                           strchr("-.", name[strlen(VIEWS[i].name)]) == NULL))
        i++;
    if (i == N_VIEWS)
        fail_msg("%s belongs to no view", name);
    (void)snprintf(path, sizeof(path), FOLDER "/%s", name);
    doc = json_load_file(path, 0, &why);
    if (doc == NULL)
        fail_msg("%s:%d: %s", path, why.line, why.text);
    VIEWS[i].view(o, doc, NOW_MS);
    json_decref(doc);
    assert_false(o->buf.failed);
}

static int is_document(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static void test_documents_become_these_texts(void **state)
{
    struct dirent **names;
    int n = scandir(FOLDER, &names, is_document, alphasort);

    (void)state;
    assert_true(n >= (int)N_VIEWS);
    for (int i = 0; i < n; i++) {
        struct sn_out o = { .width = 100 };
        char path[512];
        char *text;

        (void)snprintf(path, sizeof(path), FOLDER "/%.*s.txt", (int)strlen(names[i]->d_name) - 5, names[i]->d_name);
        text = read_file(path);
        render(names[i]->d_name, &o);
        if (strcmp(sn_buf_str(&o.buf), text) != 0)
            fail_msg("%s: shown:\n%s\nexpected:\n%s", names[i]->d_name, sn_buf_str(&o.buf), text);
        sn_buf_fini(&o.buf);
        free(text);
        free(names[i]);
    }
    free(names);
}

/* Whatever the document says, no control byte reaches the terminal, and no view needs a field to be there. */
static void test_hostile_and_empty_documents_do_no_harm(void **state)
{
    static const char evil[] = "\x1b]0;owned\x07\r\n\xff";
    char *text = strndup(evil, sizeof(evil) - 2);
    const char *const documents[] = {
        "{}", "{\"targets\": [{}], \"log\": [{}], \"events\": [{}], \"devices\": [{}], \"letters\": [{}], "
              "\"groups\": [{}], \"workers\": [{}], \"checks\": [{}], \"runs\": [{}], \"gate\": {}, "
              "\"waiting\": {}, \"wanted\": {}, \"differences\": [\"\"], \"objects\": {}}"
    };
    (void)state;
    for (size_t v = 0; v < N_VIEWS; v++) {
        for (size_t d = 0; d < 2; d++) {
            struct sn_out o = { .width = 100 };
            json_t *doc = json_loads(documents[d], 0, NULL);

            for (size_t k = 0; d == 1 && k < 8; k++) {
                static const char *const keys[] = { "event",   "ref",    "type", "code",
                                                    "outcome", "device", "text", "worker" };
                (void)json_object_set_new(doc, keys[k], json_stringn_nocheck(text, strlen(text)));
            }
            VIEWS[v].view(&o, doc, NOW_MS);
            assert_null(strchr(sn_buf_str(&o.buf), '\x1b'));
            assert_null(strchr(sn_buf_str(&o.buf), '\r'));
            sn_buf_fini(&o.buf);
            json_decref(doc);
        }
    }
    free(text);
}

static int set_up(void **state)
{
    (void)state;
    if (setenv("TZ", "America/Caracas", 1) != 0)
        return -1;
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents_become_these_texts),
        cmocka_unit_test(test_hostile_and_empty_documents_do_no_harm),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
