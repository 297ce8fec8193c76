/* SPDX-License-Identifier: Apache-2.0 */
/* One event is one line, whatever the values hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "common/base/log.h"

struct fixture {
    int read_fd;
    struct sn_log log;
    char line[1024];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int fds[2];

    assert_non_null(f);
    assert_int_equal(pipe(fds), 0);
    f->read_fd = fds[0];
    f->log = (struct sn_log){ .level = SN_LOG_INFO, .fd = fds[1], .redact = sn_redact_new() };
    assert_non_null(f->log.redact);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    close(f->read_fd);
    close(f->log.fd);
    sn_redact_free(f->log.redact);
    free(f);
    return 0;
}

/* What was written so far (a log line is in the pipe when sn_log() returns), without its time. */
static const char *written(struct fixture *f)
{
    ssize_t n;

    assert_int_equal(write(f->log.fd, "|", 1), 1); /* so that read() never blocks */
    n = read(f->read_fd, f->line, sizeof(f->line) - 1);
    assert_true(n >= 1);
    f->line[n - 1] = '\0';
    return f->line;
}

static void text_line_has_time_level_area_text_and_fields(void **state)
{
    struct fixture *f = *state;

    sn_log(&f->log, SN_LOG_WARN, "worker", "job done", "event", "3f2a", "cause", "no such profile", "empty", "",
           "absent", NULL, "kv", "a=b", NULL);
    written(f);
    assert_true(strlen(f->line) > 25);
    assert_int_equal(f->line[23], 'Z');
    assert_string_equal(
        f->line + 24,
        " warn worker \"job done\" event=3f2a cause=\"no such profile\" empty=\"\" absent=- kv=\"a=b\"\n");
}

static void value_cannot_forge_a_line_or_move_a_terminal(void **state)
{
    struct fixture *f = *state;

    sn_log(&f->log, SN_LOG_INFO, "worker", "x", "v", "a\n2026-01-01T00:00:00.000Z error worker forged\x1b[2J", "q",
           "say \"hi\" \\", NULL);
    written(f);
    assert_string_equal(f->line + 24,
                        " info worker x v=\"a\\\\x0a2026-01-01T00:00:00.000Z error worker forged\\\\x1b[2J\""
                        " q=\"say \\\"hi\\\" \\\\\"\n");
}

static void json_line_is_json(void **state)
{
    struct fixture *f = *state;
    json_t *line;

    f->log.json = true;
    sn_log(&f->log, SN_LOG_ERROR, "ledger", "say \"hi\"", "v", "a\nb\\c\xff", "word", "ni\xc3\xb1o", "none", NULL,
           NULL);
    written(f);
    assert_int_equal(f->line[strlen(f->line) - 1], '\n');
    assert_ptr_equal(strchr(f->line, '\n'), f->line + strlen(f->line) - 1);
    line = json_loads(f->line, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))), 24);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(line, "area")), "ledger");
    assert_string_equal(json_string_value(json_object_get(line, "text")), "say \"hi\"");
    assert_string_equal(json_string_value(json_object_get(line, "v")), "a\\x0ab\\c\\xff");
    assert_string_equal(json_string_value(json_object_get(line, "word")), "ni\xc3\xb1o");
    assert_string_equal(json_string_value(json_object_get(line, "none")), "-");
    json_decref(line);
}

static void level_decides(void **state)
{
    struct fixture *f = *state;

    sn_log(&f->log, SN_LOG_DEBUG, "worker", "hidden", NULL);
    sn_log(NULL, SN_LOG_ERROR, "worker", "nowhere", NULL);
    assert_string_equal(written(f), "");
    f->log.level = SN_LOG_DEBUG;
    sn_log(&f->log, SN_LOG_DEBUG, "worker", "shown", NULL);
    assert_non_null(strstr(written(f), " debug worker shown\n"));
}

static void secret_is_masked_in_text_and_fields(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sn_redact_add(f->log.redact, "s3cr\net", 7), 0);
    sn_log(&f->log, SN_LOG_INFO, "worker", "got s3cr\net", "line", "user password s3cr\net end", "shown", "s3cr\\x0aet",
           NULL);
    written(f);
    assert_string_equal(f->line + 24,
                        " info worker \"got [secret]\" line=\"user password [secret] end\" shown=[secret]\n");
    sn_redact_remove(f->log.redact, "s3cr\net", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_line_has_time_level_area_text_and_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(value_cannot_forge_a_line_or_move_a_terminal, setup, teardown),
        cmocka_unit_test_setup_teardown(json_line_is_json, setup, teardown),
        cmocka_unit_test_setup_teardown(level_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(secret_is_masked_in_text_and_fields, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
