/* SPDX-License-Identifier: Apache-2.0 */
/* The table of silverd's options, what belongs together, and the page that is generated from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "worker/options.h"

static int load(const char *const *settings, struct sn_options *o, struct sn_error *err)
{
    struct sn_option_sources sources = { .settings = settings };

    while (settings != NULL && settings[sources.settings_count] != NULL)
        sources.settings_count++;
    if (sn_options_load(&sn_option_table, &sources, o, err) != 0)
        return -1;
    if (sn_options_check(o, err) == 0)
        return 0;
    sn_options_free(&sn_option_table, o);
    return -1;
}

static void table_is_consistent(void **state)
{
    struct sn_error err;

    (void)state;
    if (sn_option_table_check(&sn_option_table, &err) != 0)
        fail_msg("%s", err.text);
}

static void defaults_fit_together(void **state)
{
    struct sn_options o;
    struct sn_error err;

    (void)state;
    if (load(NULL, &o, &err) != 0)
        fail_msg("%s: %s", err.code, err.text);
    assert_true(sn_options_has_role(&o, "worker"));
    assert_true(sn_options_has_role(&o, "ledger"));
    assert_false(sn_options_has_role(&o, "writeback"));
    assert_true(o.session.ttl == 10000);
    assert_true(o.ladder.level_5 == 1200000);
    assert_true(o.limits.log_bytes == 65536);
    assert_string_equal(o.broker.password, "");
    assert_null(o.events.sources[0]);
    sn_options_free(&sn_option_table, &o);
}

static void what_contradicts_itself_is_refused(void **state)
{
    static const struct {
        const char *settings[3];
        const char *code;
        const char *text;
    } CASES[] = {
        { { "session.margin=10s", NULL }, "config.conflict", "session.margin must be shorter than session.ttl" },
        { { "session.margin=8s", NULL },
          "config.conflict",
          "redis.timeout and session.margin together must be shorter than session.ttl" },
        { { "ladder.level_1=10s", NULL }, "config.conflict", "ladder.level_1 must be shorter than ladder.level_2" },
        { { "ladder.level_4=20m", NULL }, "config.conflict", "ladder.level_4 must be shorter than ladder.level_5" },
        { { "broker.reconnect_min=11s", NULL },
          "config.conflict",
          "broker.reconnect_min must not be longer than broker.reconnect_max" },
        { { "gate.probe_max=900ms", NULL },
          "config.conflict",
          "gate.probe_min must not be longer than gate.probe_max" },
        { { "job.hold_max=25m", NULL },
          "config.conflict",
          "job.hold_max and job.deadline together must be shorter than broker.consumer_timeout" },
        { { "broker.consumer_timeout=15m", NULL },
          "config.conflict",
          "job.hold_max and job.deadline together must be shorter than broker.consumer_timeout" },
        { { "job.deadline=25s", NULL }, "config.conflict", "lanes.connect_timeout must be shorter than job.deadline" },
        { { "process.http_listen=9102", NULL },
          "http.address",
          "process.http_listen: 9102 is not address:port, as 127.0.0.1:9102 or [::1]:9102" },
        { { "process.http_listen=localhost:9102", NULL },
          "http.address",
          "process.http_listen: localhost is not a literal IPv4 or IPv6 address" },
        { { "broker.password=in-clear", NULL },
          "config.value",
          "--broker.password: not a reference: env:NAME, file:/path, vault:path#field or sealed:<base64> is meant" },
        { { "ledger.sslmode=off", NULL },
          "config.value",
          "--ledger.sslmode: off is none of disable, allow, prefer, require, verify-ca, verify-full" },
        { { "process.name=kill ~1", NULL },
          "config.conflict",
          "process.name: at most 63 letters, digits, dots, underscores and hyphens" },
        { { "process.roles=", NULL }, "config.range", "--process.roles: must be given" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct sn_options o;
        struct sn_error err;
        if (load(CASES[i].settings, &o, &err) == 0)
            fail_msg("accepted: %s", CASES[i].settings[0]);
        assert_string_equal(err.text, CASES[i].text);
        assert_string_equal(err.code, CASES[i].code);
    }
}

static void page_is_the_table(void **state)
{
    static const char PATH[] = "docs/configuration.md";
    struct sn_buf page = SN_BUF_INIT;
    struct sn_buf file = SN_BUF_INIT;
    char chunk[4096];
    FILE *f = fopen(PATH, "r");
    size_t n;

    (void)state;
    if (f == NULL)
        fail_msg("%s: run silverd --describe-options > %s", PATH, PATH);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        sn_buf_add(&file, chunk, n);
    fclose(f);
    sn_options_page(&page);
    assert_false(page.failed || file.failed);
    if (strcmp(sn_buf_str(&page), sn_buf_str(&file)) != 0)
        fail_msg("%s is not what the table says: run silverd --describe-options > %s", PATH, PATH);
    sn_buf_fini(&page);
    sn_buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_consistent),
        cmocka_unit_test(defaults_fit_together),
        cmocka_unit_test(what_contradicts_itself_is_refused),
        cmocka_unit_test(page_is_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
