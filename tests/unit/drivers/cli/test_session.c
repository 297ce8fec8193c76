/* SPDX-License-Identifier: Apache-2.0 */
/* The engine against a scripted device: what is sent, in which order, and what is said when the device does not play along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "drivers/cli/cli.h"
#include "drivers/cli/screen.h"
#include "tests/unit/drivers/cli/dialect_x.h"

#define HANG_UP "<hang up>"
#define LOGIN {NULL, "\r\nHOST>"}, {"enable\n", "enable\r\n\r\nHOST#"}, {"undo smart\n", "undo smart\r\n\r\nHOST#"}

/* The device: waits for `sent`, then says `says`. Silence when the script is over. */
struct step {
    const char *sent;
    const char *says;
};

struct device {
    const struct step *steps;
    size_t n, at;
    struct sn_buf out; /* said, not read yet */
    bool hung_up, cut, freed;
    bool writes_fail;
};

static void say(struct device *d, const char *says)
{
    if (strcmp(says, HANG_UP) == 0)
        d->hung_up = true;
    else
        sn_buf_adds(&d->out, says);
}

static int device_write(void *link, const void *data, size_t len, int64_t deadline_ms)
{
    struct device *d = link;
    char got[600];

    (void)deadline_ms;
    assert_false(d->cut);
    assert_true(len < sizeof(got));
    memcpy(got, data, len);
    got[len] = '\0';
    if (d->hung_up || d->writes_fail)
        return -1;
    if (d->at >= d->n) {
        print_message("unexpected: %s\n", got);
        assert_true(d->at < d->n);
    }
    assert_string_equal(got, d->steps[d->at].sent);
    say(d, d->steps[d->at++].says);
    while (d->at < d->n && d->steps[d->at].sent == NULL)
        say(d, d->steps[d->at++].says);
    return 0;
}

static ssize_t device_read(void *link, void *buf, size_t size, int64_t deadline_ms)
{
    struct device *d = link;
    size_t n = d->out.len < size ? d->out.len : size;

    (void)deadline_ms; /* nobody has to wait for a script: nothing there means that the deadline passes */
    assert_false(d->cut);
    if (n == 0)
        return d->hung_up ? -1 : 0;
    memcpy(buf, d->out.data, n);
    sn_buf_consume(&d->out, n);
    return (ssize_t)n;
}

static int device_fd(void *link)
{
    return ((struct device *)link)->cut ? -1 : 42;
}

static void device_cut(void *link)
{
    ((struct device *)link)->cut = true;
}

static void device_free(void *link)
{
    struct device *d = link;

    assert_false(d->freed);
    d->freed = true;
    sn_buf_fini(&d->out);
}

static const struct sn_cli_link_ops device_ops = {device_write, device_read, device_fd, device_cut, device_free};

struct bench {
    struct device device;
    struct sn_target target;
    json_t *conf;
    void *session;
    struct sn_verdict verdict;
    struct sn_reply reply;
    int writes_allowed;
};

static bool may_write(void *arg)
{
    struct bench *b = arg;

    return b->writes_allowed-- > 0;
}

static int bench_open(struct bench *b, const struct step *steps, size_t n)
{
    struct sn_driver_env env = {.target = &b->target, .may_write = may_write, .may_write_arg = b};
    struct sn_cli_link link = {&device_ops, &b->device};

    b->device.steps = steps;
    b->device.n = n;
    while (b->device.at < n && steps[b->device.at].sent == NULL)
        say(&b->device, steps[b->device.at++].says);
    if (b->conf == NULL)
        b->conf = json_object();
    b->target.conf = b->conf;
    b->writes_allowed = 100;
    return sn_cli_open_link(&x_dialect, &env, link, sn_clock_mono_ms() + 5000, &b->session, &b->verdict);
}
#define OPEN(b, steps) assert_int_equal(bench_open((b), (steps), sizeof(steps) / sizeof((steps)[0])), 0)
#define OPEN_FAILS(b, steps) assert_int_equal(bench_open((b), (steps), sizeof(steps) / sizeof((steps)[0])), -1)

static void bench_send(struct bench *b, enum sn_op_kind kind, const char *mode, const char *line)
{
    struct sn_op op = {.kind = kind};

    (void)snprintf(op.mode, sizeof(op.mode), "%s", mode);
    (void)snprintf(op.line, sizeof(op.line), "%s", line);
    sn_reply_fini(&b->reply);
    memset(&b->reply, 0, sizeof(b->reply));
    sn_cli_exchange(b->session, NULL, &op, sn_clock_mono_ms() + 1000, &b->reply);
}

static void answered(struct bench *b, enum sn_class class, const char *code, const char *text)
{
    assert_string_equal(b->reply.verdict.code, code);
    assert_int_equal(b->reply.verdict.class, class);
    if (text != NULL)
        assert_string_equal(sn_buf_str(&b->reply.text), text);
}

static void bench_end(struct bench *b)
{
    if (b->session != NULL)
        sn_cli_close(b->session, 0);
    assert_true(b->device.freed);
    assert_int_equal(b->device.at, b->device.n); /* the whole script was played */
    sn_reply_fini(&b->reply);
    sn_verdict_fini(&b->verdict);
    json_decref(b->conf);
}

static void test_login_modes_and_reply(void **state)
{
    static const struct step steps[] = {
        {NULL, "\r\n  Banner\r\n\r\nHOST>"},
        {NULL, "\r\n  Warning: change the password.\r\n\r\nHOST>"},
        {"enable\n", "enable\r\n\r\nHOST#"},
        {"undo smart\n", "undo smart\r\n  % Unknown command\r\n\r\nHOST#"},
        {"config\n", "config\r\n\r\nHOST(config)#"},
        {"interface gpon 0/1\n", "interface gpon 0/1\r\n\r\nHOST(config-if-gpon-0/1)#"},
        {"ont add 1\n", "ont add 1\r\n  success: 1\r\n\r\nHOST(config-if-gpon-0/1)#"},
        {"quit\n", "quit\r\n\r\nHOST(config)#"},
        {"interface gpon 0/2\n", "interface gpon 0/2\r\n\r\nHOST(config-if-gpon-0/2)#"},
        {"display x\n", "display x\r\n  one\r\n  ---- More ( Press 'Q' to break ) ----"},
        {" ", "\033[37D                                     \033[37D  two\r\n\r\nHOST(config-if-gpon-0/2)#"},
        {"display y\n", "display y\r\n\r\nHOST(config-if-gpon-0/2)#"},
    };
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    bench_send(&b, SN_WRITE, "interface gpon 0/1", "ont add 1");
    answered(&b, SN_OK, "", "  success: 1");
    bench_send(&b, SN_READ, "interface gpon 0/2", "display x");
    answered(&b, SN_OK, "", "  one\n  two");
    bench_send(&b, SN_READ, "", "display y");
    answered(&b, SN_OK, "", "");
    assert_int_equal(sn_cli_fd(b.session), 42);
    bench_end(&b);
}

static void test_unsafe_lines_are_not_sent(void **state)
{
    static const struct step steps[] = {LOGIN};
    static const char *const lines[] = {"", "a\nb", "a\rb", "a\x1b[A", "a\x7f", "caf\xc3\xa9", "desc \"?\"", "a\tb", "\x03"};
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        bench_send(&b, SN_WRITE, "enable", lines[i]);
        answered(&b, SN_INVALID, "cli.unsafe-line", "");
    }
    bench_send(&b, SN_READ, "interface gpon 0/1\nreboot", "display x");
    answered(&b, SN_INVALID, "cli.unsafe-line", "");
    bench_end(&b);
}

static void test_write_needs_the_lease(void **state)
{
    static const struct step steps[] = {LOGIN, {"display x\n", "display x\r\nok\r\nHOST#"}};
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    b.writes_allowed = 0;
    bench_send(&b, SN_WRITE, "enable", "reset all");
    answered(&b, SN_LOST, "cli.lease", "");
    assert_true(b.reply.unsent);
    bench_send(&b, SN_READ, "enable", "display x"); /* a read needs none, and the session lives */
    answered(&b, SN_OK, "", "ok");
    b.writes_allowed = 0;
    sn_reply_fini(&b.reply);
    memset(&b.reply, 0, sizeof(b.reply));
    sn_cli_commit(b.session, sn_clock_mono_ms() + 1000, &b.reply);
    answered(&b, SN_LOST, "cli.lease", "");
    bench_end(&b);
}

static void lost_after(enum sn_op_kind kind, const char *says, const char *code)
{
    const struct step steps[] = {LOGIN, {"x y\n", says}};
    struct bench b = {0};

    OPEN(&b, steps);
    bench_send(&b, kind, "enable", "x y");
    answered(&b, SN_UNKNOWN, code, NULL);
    assert_false(b.reply.unsent);
    assert_true(b.device.cut); /* at once: nothing that is queued may leave */
    bench_send(&b, SN_READ, "enable", "display x");
    answered(&b, SN_UNKNOWN, "cli.dead", "");
    bench_send(&b, SN_WRITE, "enable", "display x");
    answered(&b, SN_UNREACHABLE, "cli.dead", "");
    assert_int_equal(sn_cli_idle(b.session), -1);
    bench_end(&b);
}

static void test_lost_replies(void **state)
{
    (void)state;
    lost_after(SN_WRITE, HANG_UP, "cli.closed");
    lost_after(SN_READ, HANG_UP, "cli.closed");
    lost_after(SN_WRITE, "x y\r\n  done, but no prompt\r\n", "cli.timeout");
    lost_after(SN_READ, "", "cli.timeout");
    lost_after(SN_WRITE, "\r\nHOST#", "cli.timeout"); /* a prompt without our echo is somebody else's */
}

static void test_failing_write_is_unknown(void **state)
{
    static const struct step steps[] = {LOGIN};
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    b.device.writes_fail = true;
    bench_send(&b, SN_WRITE, "enable", "x y");
    answered(&b, SN_UNKNOWN, "cli.closed", "");
    bench_end(&b);
}

static void test_lost_on_the_way_sends_nothing(void **state)
{
    static const struct step steps[] = {LOGIN, {"config\n", HANG_UP}};
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    bench_send(&b, SN_WRITE, "config", "x y");
    answered(&b, SN_UNREACHABLE, "cli.closed", NULL);
    bench_end(&b);
}

static void test_mode_that_is_refused(void **state)
{
    static const struct step steps[] = {
        LOGIN,
        {"config\n", "config\r\n  Failure: busy, later\r\n\r\nHOST#"},
        {"config\n", "config\r\n  well\r\n\r\nHOST#"},
    };
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    bench_send(&b, SN_WRITE, "config", "x y");
    answered(&b, SN_TRANSIENT_DEVICE, "x.busy", "  Failure: busy, later");
    bench_send(&b, SN_WRITE, "config", "x y");
    answered(&b, SN_BUG, "cli.mode", NULL);
    bench_end(&b);
}

static void test_unexpected_question(void **state)
{
    static const struct step steps[] = {
        LOGIN,
        {"x y\n", "x y\r\nErase all customers? (y/n)[n]:"},
        {"\x03", "\r\n\r\nHOST#"},
        {"display x\n", "display x\r\nok\r\nHOST#"},
        {"x z\n", "x z\r\n{ frame<U> }:"},
        {"\x03", "^C"},
    };
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    bench_send(&b, SN_WRITE, "enable", "x y");
    answered(&b, SN_BUG, "cli.unexpected-question", NULL);
    assert_non_null(strstr(b.reply.verdict.text, "Erase all customers"));
    bench_send(&b, SN_READ, "enable", "display x");
    answered(&b, SN_OK, "", "ok");
    bench_send(&b, SN_WRITE, "enable", "x z"); /* no prompt comes back: the session is over */
    answered(&b, SN_BUG, "cli.unexpected-question", NULL);
    assert_true(b.device.cut);
    bench_end(&b);
}

/* One read of the link ends behind a label; the value comes with the next. */
static void test_half_a_line_is_no_question(void **state)
{
    static const char label[] = "  Shall it be so (y/n)    :";
    struct bench b = {0};
    char listing[4096 + 64];

    (void)state;
    memset(listing, 'x', sizeof(listing));
    memcpy(listing, "display x\r\n", 11);
    memcpy(listing + 4096 - (sizeof(label) - 1) - 2, "\r\n", 2);
    (void)snprintf(listing + 4096 - (sizeof(label) - 1), sizeof(listing) - 4096 + sizeof(label) - 1, "%s yes\r\nHOST#", label);
    {
        const struct step steps[] = {LOGIN, {"display x\n", listing}};

        OPEN(&b, steps);
        bench_send(&b, SN_READ, "enable", "display x");
        answered(&b, SN_OK, "", NULL);
        assert_non_null(strstr(sn_buf_str(&b.reply.text), "(y/n)    : yes"));
        bench_end(&b);
    }
}

/* Behind a terminal server a device that restarts asks for the login again: nothing is typed into it, the session is over. */
static void test_login_in_the_middle_ends_the_session(void **state)
{
    static const struct step login[] = {LOGIN}, steps[] = {LOGIN, {"x y\n", "x y\r\n\r\n>>User name:"}};
    struct bench b = {0}, idle = {0};

    (void)state;
    OPEN(&b, steps);
    bench_send(&b, SN_WRITE, "enable", "x y");
    answered(&b, SN_UNKNOWN, "cli.logged-out", NULL);
    assert_true(b.device.cut);
    bench_end(&b);
    OPEN(&idle, login);
    sn_buf_adds(&idle.device.out, "\r\n\r\n>>User name:");
    bench_send(&idle, SN_WRITE, "enable", "x y");
    answered(&idle, SN_UNREACHABLE, "cli.dead", "");
    bench_end(&idle);
}

static void test_unsolicited_text_is_drained_first(void **state)
{
    static const struct step steps[] = {LOGIN, {"display x\n", "display x\r\nok\r\nHOST#"}};
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    sn_buf_adds(&b.device.out, "\r\n  User admin logged in\r\n\r\nHOST#");
    assert_int_equal(sn_cli_idle(b.session), 0);
    sn_buf_adds(&b.device.out, "\r\n  Failure: of another one\r\n");
    bench_send(&b, SN_READ, "enable", "display x");
    answered(&b, SN_OK, "", "ok");
    b.device.hung_up = true;
    bench_send(&b, SN_WRITE, "enable", "x y"); /* found out before anything is sent */
    answered(&b, SN_UNREACHABLE, "cli.dead", "");
    assert_true(b.reply.unsent);
    assert_int_equal(sn_cli_idle(b.session), -1);
    bench_end(&b);
}

static void test_login_that_fails(void **state)
{
    static const struct {
        struct step steps[2];
        size_t n;
        enum sn_class class;
        const char *code;
    } rows[] = {
        {{{NULL, "\r\nReenter times have reached the upper limit.\r\n"}, {NULL, HANG_UP}}, 2, SN_TRANSIENT_DEVICE, "cli.session-quota"},
        {{{NULL, HANG_UP}}, 1, SN_TRANSIENT_DEVICE, "cli.session-quota"},
        {{{NULL, "\r\n invalid login or password\r\n"}, {NULL, HANG_UP}}, 2, SN_AUTH, "cli.login-refused"},
        {{{NULL, "\r\n hello, no prompt"}}, 1, SN_UNREACHABLE, "cli.timeout"},
        {{{NULL, "\r\nHOST>"}, {"enable\n", HANG_UP}}, 2, SN_UNREACHABLE, "cli.closed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench b = {0};

        assert_int_equal(bench_open(&b, rows[i].steps, rows[i].n), -1);
        assert_string_equal(b.verdict.code, rows[i].code);
        assert_int_equal(b.verdict.class, rows[i].class);
        bench_end(&b);
    }
}

static void test_legal_banner_and_missing_enable_password(void **state)
{
    static const struct step agree[] = {
        {NULL, "\r\nDo you agree:"}, {"yes\n", "yes\r\nHOST#"}, {"undo smart\n", "undo smart\r\nHOST#"}};
    static const struct step password[] = {
        {NULL, "\r\nHOST>"}, {"enable\n", "enable\r\nPassword:"}, {"\x03", "\r\nHOST>"}};
    struct bench a = {0}, b = {0};

    (void)state;
    OPEN(&a, agree);
    bench_end(&a);
    OPEN_FAILS(&b, password);
    assert_string_equal(b.verdict.code, "cli.unexpected-question");
    bench_end(&b);
}

static void save(struct bench *b)
{
    sn_reply_fini(&b->reply);
    memset(&b->reply, 0, sizeof(b->reply));
    sn_cli_commit(b->session, sn_clock_mono_ms() + 60000, &b->reply);
}

static void test_save(void **state)
{
    static const struct step steps[] = {
        LOGIN,
        {"save\n", "save\r\nHOST#\r\n  saving takes a while, please wait\r\n"},
        {NULL, "  saved\r\n"},
        {"save\n", "save\r\nHOST#\r\n  saving takes a while, please wait\r\n"}, /* and silence */
        {"save\n", "save\r\n  Failure: busy now\r\n\r\nHOST#"},
        {"save\n", "save\r\nHOST#\r\n  saving takes a while, please wait\r\n  Failure: disk full\r\n"},
        {"save\n", "save\r\n\r\nHOST#"},
        {NULL, HANG_UP},
    };
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    save(&b);
    answered(&b, SN_OK, "", "  saving takes a while, please wait\n  saved");
    save(&b);
    answered(&b, SN_UNKNOWN, "cli.save-unconfirmed", NULL);
    save(&b);
    answered(&b, SN_TRANSIENT_DEVICE, "x.busy", NULL);
    save(&b);
    answered(&b, SN_PERMANENT, "x.unknown", NULL);
    save(&b);
    answered(&b, SN_UNKNOWN, "cli.save-unconfirmed", NULL);
    bench_end(&b);
}

static void test_save_by_silence(void **state)
{
    static const struct step steps[] = {LOGIN, {"save\n", "save\r\nHOST#"}};
    struct bench b = {.conf = json_pack("{s:s}", "save_done", "quiet")};

    (void)state;
    OPEN(&b, steps);
    save(&b);
    answered(&b, SN_OK, "", "");
    bench_end(&b);
}

static void test_log_out(void **state)
{
    static const struct step steps[] = {
        LOGIN,
        {"quit\n", "quit\r\nHOST>"},
        {"quit\n", "quit\r\nAre you sure to log out? (y/n)[n]:"},
        {"y\n", "y\r\n bye\r\n"},
        {NULL, HANG_UP},
    };
    struct bench b = {0};

    (void)state;
    OPEN(&b, steps);
    sn_cli_close(b.session, sn_clock_mono_ms() + 1000);
    b.session = NULL;
    bench_end(&b);
}

static void test_endless_reply(void **state)
{
    struct bench b = {0};
    char *flood = malloc(SN_CLI_TEXT_MAX + 5000);

    (void)state;
    assert_non_null(flood);
    memset(flood, 'x', SN_CLI_TEXT_MAX + 4000);
    memcpy(flood, "x y\r\n", 5);
    memcpy(flood + SN_CLI_TEXT_MAX + 4000, "\r\nHOST#", sizeof("\r\nHOST#"));
    {
        const struct step flooding[] = {LOGIN, {"x y\n", flood}};

        OPEN(&b, flooding);
        bench_send(&b, SN_WRITE, "enable", "x y");
        answered(&b, SN_BUG, "cli.reply-too-long", NULL);
        assert_true(b.device.cut);
        bench_end(&b);
    }
    free(flood);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_modes_and_reply),
        cmocka_unit_test(test_unsafe_lines_are_not_sent),
        cmocka_unit_test(test_write_needs_the_lease),
        cmocka_unit_test(test_lost_replies),
        cmocka_unit_test(test_failing_write_is_unknown),
        cmocka_unit_test(test_lost_on_the_way_sends_nothing),
        cmocka_unit_test(test_mode_that_is_refused),
        cmocka_unit_test(test_unexpected_question),
        cmocka_unit_test(test_half_a_line_is_no_question),
        cmocka_unit_test(test_login_in_the_middle_ends_the_session),
        cmocka_unit_test(test_unsolicited_text_is_drained_first),
        cmocka_unit_test(test_login_that_fails),
        cmocka_unit_test(test_legal_banner_and_missing_enable_password),
        cmocka_unit_test(test_save),
        cmocka_unit_test(test_save_by_silence),
        cmocka_unit_test(test_log_out),
        cmocka_unit_test(test_endless_reply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
