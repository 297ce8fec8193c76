/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out in buffers, the redactor and the log: what is shown is right or is not shown, a secret never is. */
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
#include "common/base/log.h"
#include "tests/unit/alloc/alloc.h"

#define CANARY "canary\"7c1e"

static enum alloc_end fill_buffer(void *arg)
{
    struct sn_buf b = SN_BUF_INIT;
    size_t len;
    enum alloc_end end;

    (void)arg;
    sn_buf_adds(&b, "begin");
    for (int i = 0; i < 300; i++)
        sn_buf_addf(&b, " %d", i);
    sn_buf_add_escaped(&b, "\x1b[2J", 4);
    len = b.len;
    assert_int_equal(strlen(sn_buf_str(&b)), len);
    end = b.failed ? ALLOC_ERROR : ALLOC_RIGHT;
    if (!b.failed)
        assert_string_equal(b.data + len - 11, " 299\\x1b[2J");
    sn_buf_fini(&b);
    return end;
}

static void a_buffer_is_whole_or_says_that_it_is_not(void **state)
{
    (void)state;
    alloc_try_each(fill_buffer, NULL, 1);
}

/* What the redactor took is hidden, in each spelling, and forgotten afterwards. */
static enum alloc_end hide_a_secret(void *arg)
{
    static const char *const SAID[] = { "a " CANARY " b", "a canary\\\"7c1e b" };
    struct sn_redact *r = sn_redact_new();
    enum alloc_end end = ALLOC_ERROR;

    (void)arg;
    if (r == NULL)
        return ALLOC_ERROR;
    if (sn_redact_add(r, CANARY, strlen(CANARY)) == 0) {
        end = ALLOC_RIGHT;
        for (size_t i = 0; i < 2; i++) {
            struct sn_buf out = SN_BUF_INIT;
            sn_redact_apply(r, &out, SAID[i], strlen(SAID[i]));
            assert_null(strstr(sn_buf_str(&out), "7c1e"));
            if (out.failed)
                end = ALLOC_ERROR;
            else
                assert_string_equal(out.data, "a [secret] b");
            sn_buf_fini(&out);
        }
        sn_redact_remove(r, CANARY, strlen(CANARY));
        alloc_pause();
        struct sn_buf out = SN_BUF_INIT;
        sn_redact_apply(r, &out, SAID[0], strlen(SAID[0]));
        assert_string_equal(sn_buf_str(&out), SAID[0]);
        sn_buf_fini(&out);
        alloc_resume();
    }
    sn_redact_free(r);
    return end;
}

static void a_secret_is_hidden_or_not_taken(void **state)
{
    (void)state;
    alloc_try_each(hide_a_secret, NULL, 1);
}

struct sink {
    struct sn_log log;
    int ends[2];
};

static enum alloc_end write_line(void *arg)
{
    struct sink *s = arg;
    char line[4096];
    ssize_t n;

    sn_log(&s->log, SN_LOG_INFO, "test", "said", "password", "is " CANARY, "event", "5e0b1f2a", NULL);
    assert_int_equal(write(s->ends[1], "\n", 1), 1); /* so that there is something to read */
    n = read(s->ends[0], line, sizeof(line) - 1);
    assert_true(n > 0);
    line[n] = '\0';
    assert_null(strstr(line, "7c1e"));
    if (n == 1)
        return ALLOC_ERROR; /* the line was dropped */
    /* a value is there, or said to be missing */
    if (strstr(line, "[secret]") == NULL || strstr(line, "5e0b1f2a") == NULL || strstr(line, "said") == NULL) {
        assert_non_null(strstr(line, "out of memory"));
        return ALLOC_ERROR;
    }
    return ALLOC_RIGHT;
}

static void a_log_line_is_whole_or_says_what_it_lacks(void **state)
{
    struct sink s = { .log = { .level = SN_LOG_INFO, .json = false } };

    (void)state;
    assert_int_equal(pipe(s.ends), 0);
    s.log.fd = s.ends[1];
    s.log.redact = sn_redact_new();
    assert_non_null(s.log.redact);
    assert_int_equal(sn_redact_add(s.log.redact, CANARY, strlen(CANARY)), 0);
    alloc_try_each(write_line, &s, 1);
    s.log.json = true;
    alloc_try_each(write_line, &s, 1);
    sn_redact_free(s.log.redact);
    (void)close(s.ends[0]);
    (void)close(s.ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_is_whole_or_says_that_it_is_not),
        cmocka_unit_test(a_secret_is_hidden_or_not_taken),
        cmocka_unit_test(a_log_line_is_whole_or_says_what_it_lacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
