/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/log.h"

static struct sn_redact *make(const char *const *secrets)
{
    struct sn_redact *r = sn_redact_new();

    assert_non_null(r);
    for (; *secrets != NULL; secrets++)
        assert_int_equal(sn_redact_add(r, *secrets, strlen(*secrets)), 0);
    return r;
}

static void assert_masked(struct sn_redact *r, const char *in, const char *expected)
{
    struct sn_buf out = SN_BUF_INIT;

    sn_redact_apply(r, &out, in, strlen(in));
    assert_string_equal(sn_buf_str(&out), expected);
    sn_buf_fini(&out);
}

static void secret_is_masked_wherever_it_stands(void **state)
{
    struct sn_redact *r = make((const char *[]){ "hunter22", NULL });

    (void)state;
    assert_masked(r, "hunter22", "[secret]");
    assert_masked(r, "a hunter22 b hunter22", "a [secret] b [secret]");
    assert_masked(r, "hunter22hunter22", "[secret][secret]");
    assert_masked(r, "hunter2", "hunter2");
    assert_masked(r, "hunthunter22", "hunt[secret]");
    assert_masked(r, "", "");
    sn_redact_free(r);
    assert_masked(NULL, "hunter22", "hunter22");
}

static void longest_and_overlapping_secrets_leave_no_rest(void **state)
{
    struct sn_redact *r = make((const char *[]){ "abcd", "abcdefgh", "ghijkl", "inner1", "xxinner1yy", NULL });

    (void)state;
    assert_masked(r, "abcdefgh", "[secret]");
    assert_masked(r, "abcdef", "[secret]ef");
    assert_masked(r, "-abcdefghijkl-", "-[secret]-"); /* two secrets share "gh" */
    assert_masked(r, "xxinner1yy", "[secret]");
    assert_masked(r, "xinner1y", "x[secret]y");
    sn_redact_free(r);
}

static void secret_is_found_as_json_and_escaped_text_spell_it(void **state)
{
    struct sn_redact *r = make((const char *[]){ "pa\"ss\\w\x01rd\n", NULL });

    (void)state;
    assert_masked(r, "pa\"ss\\w\x01rd\n", "[secret]");
    assert_masked(r, "{\"p\":\"pa\\\"ss\\\\w\\u0001rd\\n\"}", "{\"p\":\"[secret]\"}");
    assert_masked(r, "pa\"ss\\w\\x01rd\\x0a", "[secret]");
    sn_redact_remove(r, "pa\"ss\\w\x01rd\n", 11);
    assert_masked(r, "pa\\\"ss\\\\w\\u0001rd\\n pa\"ss\\w\\x01rd\\x0a",
                  "pa\\\"ss\\\\w\\u0001rd\\n pa\"ss\\w\\x01rd\\x0a");
    sn_redact_free(r);
}

static void same_secret_twice_lives_until_the_last_owner(void **state)
{
    struct sn_redact *r = make((const char *[]){ "hunter22", "hunter22", NULL });

    (void)state;
    sn_redact_remove(r, "hunter22", 8);
    assert_masked(r, "hunter22", "[secret]");
    sn_redact_remove(r, "hunter22", 8);
    assert_masked(r, "hunter22", "hunter22");
    sn_redact_remove(r, "hunter22", 8);
    sn_redact_remove(r, "never-added", 11);
    sn_redact_free(r);
}

static void short_secret_does_not_mask_ordinary_text(void **state)
{
    struct sn_redact *r = make((const char *[]){ "abc", "", "four", NULL });

    (void)state;
    assert_masked(r, "abc four fou", "abc [secret] fou");
    sn_redact_remove(r, "abc", 3);
    sn_redact_free(r);
}

static void many_secrets_are_all_found(void **state)
{
    struct sn_redact *r = make((const char *[]){ NULL });
    char secret[32];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        int n = snprintf(secret, sizeof(secret), "pw-%d-end", i); /* all in one bucket or few */
        assert_int_equal(sn_redact_add(r, secret, (size_t)n), 0);
    }
    for (int i = 0; i < 5000; i += 997) {
        snprintf(secret, sizeof(secret), "pw-%d-end", i);
        assert_masked(r, secret, "[secret]");
    }
    sn_redact_free(r);
}

#define THREADS 4
#define TURNS 300

struct thread_job {
    struct sn_redact *redact;
    int number;
};

/* Each thread has an own secret; while it is registered no output of this thread may show it. */
static void *use_redactor(void *arg)
{
    struct thread_job *job = arg;
    char secret[32];
    char text[64];
    intptr_t shown = 0;
    int n = snprintf(secret, sizeof(secret), "secret-of-%d", job->number);

    snprintf(text, sizeof(text), "line with %s and shared-secret", secret);
    for (int i = 0; i < TURNS; i++) {
        struct sn_buf out = SN_BUF_INIT;
        if (sn_redact_add(job->redact, secret, (size_t)n) != 0 || sn_redact_add(job->redact, "shared-secret", 13) != 0)
            return (void *)(intptr_t)-1;
        sn_redact_apply(job->redact, &out, text, strlen(text));
        if (strcmp(sn_buf_str(&out), "line with [secret] and [secret]") != 0)
            shown++;
        sn_buf_fini(&out);
        sn_redact_remove(job->redact, "shared-secret", 13);
        sn_redact_remove(job->redact, secret, (size_t)n);
    }
    return (void *)shown;
}

static void threads_share_a_redactor(void **state)
{
    struct sn_redact *r = sn_redact_new();
    struct thread_job jobs[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    assert_non_null(r);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct thread_job){ r, i };
        assert_int_equal(pthread_create(&threads[i], NULL, use_redactor, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *shown;
        assert_int_equal(pthread_join(threads[i], &shown), 0);
        assert_int_equal((intptr_t)shown, 0);
    }
    assert_masked(r, "shared-secret", "shared-secret");
    sn_redact_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_is_masked_wherever_it_stands),
        cmocka_unit_test(longest_and_overlapping_secrets_leave_no_rest),
        cmocka_unit_test(secret_is_found_as_json_and_escaped_text_spell_it),
        cmocka_unit_test(same_secret_twice_lives_until_the_last_owner),
        cmocka_unit_test(short_secret_does_not_mask_ordinary_text),
        cmocka_unit_test(many_secrets_are_all_found),
        cmocka_unit_test(threads_share_a_redactor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
