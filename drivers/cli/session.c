/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "drivers/cli/cli.h"
#include "drivers/cli/screen.h"

#define MOVES_MAX 8
#define QUITS_MAX 6
#define INTERRUPT_MS 5000 /* for the prompt to come back after Ctrl-C */
/* Silence after what looks like a question that nobody knows. Before, it may be the half of a listing's line ("Password   : ") of which the rest
 * is still under way. */
#define ASKED_AFTER_MS 1000
#define CTRL_C "\x03"

struct session {
    const struct sn_cli_dialect *dialect;
    struct sn_driver_env env;
    struct sn_cli_link link;
    struct sn_cli_screen screen;
    bool dead;
    bool save_quiet; /* save_done: quiet */
    int quiet_ms;
    int settle_ms;
    bool enable_sent;
    struct sn_secret enable; /* password of the privileged mode, empty when there is none */
};

const char sn_cli_enable_password[] = "enable password";

enum talk { TALK_PROMPT, TALK_CLOSED, TALK_LATE, TALK_ASKED, TALK_LONG, TALK_LOGGED_OUT };

bool sn_cli_line_safe(const char *line)
{
    if (line[0] == '\0')
        return false;
    for (const unsigned char *c = (const unsigned char *)line; *c != '\0'; c++) {
        /* '?' opens the help of every vendor, in the middle of a value too. */
        if (*c < 0x20 || *c > 0x7e || *c == '?')
            return false;
    }
    return true;
}

static int option_ms(const struct sn_target *t, const char *name, int fallback)
{
    const json_t *v = json_object_get(json_object_get(t->conf, "limits"), name);

    return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= 3600000 ? (int)json_integer_value(v)
                                                                                              : fallback;
}

int64_t sn_cli_op_timeout_ms(const struct sn_target *target, const struct sn_op *op)
{
    return op->kind == SN_WRITE ? option_ms(target, "write_ms", 30000) : option_ms(target, "read_ms", 20000);
}

static void cut(struct session *s)
{
    if (!s->dead)
        s->link.ops->cut(s->link.link);
    s->dead = true;
}

static int send_text(struct session *s, const char *text, const char *enter, int64_t deadline_ms)
{
    char buf[SN_OP_LINE_MAX + 8];
    int n = snprintf(buf, sizeof(buf), "%s%s", text, enter), rc = -1;

    if (n >= 0 && (size_t)n < sizeof(buf))
        rc = s->link.ops->write(s->link.link, buf, (size_t)n, deadline_ms);
    explicit_bzero(buf, sizeof(buf)); /* it may have been a password */
    return rc;
}

/* The device restarted behind a terminal server, or ended the session and not the link. Nothing is ever typed into a login in the middle. */
static bool is_logged_out(const struct session *s)
{
    for (size_t i = 0; s->screen.host[0] != '\0' && s->dialect->logged_out[i] != NULL; i++) {
        if (sn_cli_glob(s->dialect->logged_out[i], s->screen.line, s->screen.len))
            return true;
    }
    return false;
}

/* Reads and answers until the prompt, or until something else ends it. */
static enum talk listen_on(struct session *s, int64_t deadline_ms)
{
    for (;;) {
        char buf[4096];
        ssize_t n;
        const char *answer;
        int64_t asked_at = 0;

        if (is_logged_out(s))
            return TALK_LOGGED_OUT;
        switch (sn_cli_screen_reached(&s->screen)) {
        case SN_CLI_PROMPT:
            return TALK_PROMPT;
        case SN_CLI_PAGER:
            if (send_text(s, s->dialect->pager_answer, "", deadline_ms) < 0)
                return TALK_CLOSED;
            sn_cli_screen_answered(&s->screen, "");
            break;
        case SN_CLI_QUESTION:
            answer = s->screen.question->answer;
            if (answer == sn_cli_enable_password && !s->enable_sent) {
                answer = s->enable.data;
                s->enable_sent = true; /* once: asked again, it was wrong */
            }
            if (answer == NULL || answer == sn_cli_enable_password) {
                asked_at = sn_clock_mono_ms() + ASKED_AFTER_MS;
                break;
            }
            if (send_text(s, answer, s->dialect->newline, deadline_ms) < 0)
                return TALK_CLOSED;
            sn_cli_screen_answered(&s->screen, answer == s->enable.data ? "" : answer);
            break;
        case SN_CLI_RUNNING:
            break;
        }
        n = s->link.ops->read(s->link.link, buf, sizeof(buf), asked_at > 0 && asked_at < deadline_ms ? asked_at : deadline_ms);
        if (n < 0)
            return TALK_CLOSED;
        if (n == 0)
            return asked_at > 0 ? TALK_ASKED : TALK_LATE;
        sn_cli_screen_feed(&s->screen, buf, (size_t)n);
        if (s->screen.text.failed)
            return TALK_LONG;
    }
}

static enum talk talk(struct session *s, const char *line, int64_t deadline_ms)
{
    sn_cli_screen_begin(&s->screen, line);
    if (send_text(s, line, s->dialect->newline, deadline_ms) < 0)
        return TALK_CLOSED;
    if (SN_FAILPOINT("cli.sent", line)) {
        cut(s);
        return TALK_CLOSED;
    }
    return listen_on(s, deadline_ms);
}

/* Takes in what came unasked. -1: the session is over. */
static int take_in(struct session *s)
{
    char buf[4096];
    ssize_t n;

    sn_cli_screen_begin(&s->screen, "");
    while ((n = s->link.ops->read(s->link.link, buf, sizeof(buf), 0)) > 0) {
        sn_cli_screen_feed(&s->screen, buf, (size_t)n);
        if (s->screen.text.len > sizeof(buf))
            sn_cli_screen_begin(&s->screen, "");
    }
    (void)sn_cli_screen_reached(&s->screen);
    return n < 0 || is_logged_out(s) ? -1 : 0;
}

/* Leaves a question that nobody expected. The session lives on only when the prompt comes back. */
static void interrupt_question(struct session *s, struct sn_verdict *verdict)
{
    char asked[SN_CLI_LINE_MAX + 1];

    memcpy(asked, s->screen.line, s->screen.len);
    asked[s->screen.len] = '\0';
    sn_verdict_set(verdict, SN_BUG, "cli.unexpected-question", "the device asked: %s", asked);
    sn_verdict_arg(verdict, "question", asked);
    sn_cli_screen_answered(&s->screen, "");
    if (send_text(s, CTRL_C, "", sn_clock_mono_ms() + INTERRUPT_MS) < 0 ||
        listen_on(s, sn_clock_mono_ms() + INTERRUPT_MS) != TALK_PROMPT)
        cut(s);
}

/* What became of a line that was sent; lost: the class when no whole answer came. */
static void settle(struct session *s, enum talk t, enum sn_class lost, struct sn_verdict *verdict)
{
    switch (t) {
    case TALK_PROMPT:
        return;
    case TALK_ASKED:
        interrupt_question(s, verdict);
        return;
    case TALK_CLOSED:
        sn_verdict_set(verdict, lost, "cli.closed", "the connection ended before the answer to: %s", s->screen.command);
        break;
    case TALK_LOGGED_OUT:
        sn_verdict_set(verdict, lost, "cli.logged-out", "the device asks for the login again, after: %s", s->screen.command);
        break;
    case TALK_LATE:
        sn_verdict_set(verdict, lost, "cli.timeout", "no prompt in time after: %s", s->screen.command);
        break;
    case TALK_LONG:
        sn_verdict_set(verdict, SN_BUG, "cli.reply-too-long", "more than %zu bytes in answer to: %s", SN_CLI_TEXT_MAX,
                       s->screen.command);
        break;
    }
    cut(s);
}

static void keep_text(struct session *s, struct sn_reply *reply)
{
    const char *text = sn_cli_screen_text(&s->screen);

    sn_buf_clear(&reply->text);
    sn_buf_adds(&reply->text, text);
}

/* A refusal of a line that the engine itself sent. */
static void judge(struct session *s, const char *what, struct sn_verdict *verdict)
{
    char joined[256];
    const struct sn_cli_fault *f = sn_cli_judge(s->dialect, sn_cli_screen_text(&s->screen), false, joined, sizeof(joined));

    if (f == NULL) {
        sn_verdict_set(verdict, SN_BUG, "cli.mode", "%s did not lead where it should", what);
        return;
    }
    sn_verdict_set(verdict, f->class, f->code, "%s: %s", what, joined);
    sn_verdict_arg(verdict, "said", joined);
}

/* Walks to a mode. 0, or -1 with the verdict set: then the op itself was not sent. */
static int go_to(struct session *s, const char *mode, int64_t deadline_ms, enum sn_class lost, struct sn_reply *reply)
{
    for (int i = 0; i < MOVES_MAX; i++) {
        char line[SN_OP_LINE_MAX], from[SN_CLI_MODE_MAX];
        int way = sn_cli_way(s->dialect, s->screen.mode, mode, line, sizeof(line));
        enum talk t;

        if (way == 0)
            return 0;
        if (way < 0 || !sn_cli_line_safe(line))
            break;
        memcpy(from, s->screen.mode, sizeof(from));
        t = talk(s, line, deadline_ms);
        if (t == TALK_PROMPT && strcmp(from, s->screen.mode) != 0)
            continue;
        if (t == TALK_PROMPT)
            judge(s, line, &reply->verdict);
        else
            settle(s, t, lost, &reply->verdict);
        keep_text(s, reply);
        return -1;
    }
    sn_verdict_set(&reply->verdict, SN_BUG, "cli.mode", "no way from mode %s to %s", s->screen.mode, mode);
    return -1;
}

/* Ready to send: alive, drained, in the mode. lost: the class when the session turns out to be dead. */
static int make_ready(struct session *s, const char *mode, int64_t deadline_ms, enum sn_class lost, struct sn_reply *reply)
{
    if (!s->dead && take_in(s) < 0)
        cut(s);
    if (s->dead) {
        sn_verdict_set(&reply->verdict, lost, "cli.dead", "the session had ended; nothing was sent");
        return -1;
    }
    return mode[0] == '\0' ? 0 : go_to(s, mode, deadline_ms, lost, reply); /* "": wherever we are */
}

static bool may_write(const struct session *s, const char *line, struct sn_verdict *verdict)
{
    (void)SN_FAILPOINT("cli.before-write", line);
    if (s->env.may_write == NULL || s->env.may_write(s->env.may_write_arg))
        return true;
    sn_verdict_set(verdict, SN_LOST, "cli.lease", "not sent, the lease is over: %s", line);
    return false;
}

void sn_cli_exchange(void *session, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms,
                     struct sn_reply *reply)
{
    struct session *s = session;
    /* A read whose session died: read again, in a new one. A write that did not leave: unreachable, the next step is not a guess. */
    enum sn_class unsent = op->kind == SN_WRITE ? SN_UNREACHABLE : SN_UNKNOWN;

    (void)want;
    if (!sn_cli_line_safe(op->line) || (op->mode[0] != '\0' && !sn_cli_line_safe(op->mode))) {
        sn_verdict_set(&reply->verdict, SN_INVALID, "cli.unsafe-line", "a line with characters that no line may hold");
        return;
    }
    reply->unsent = true;
    if (make_ready(s, op->mode, deadline_ms, unsent, reply) < 0)
        return;
    if (op->kind == SN_WRITE && !may_write(s, op->line, &reply->verdict))
        return;
    if (op->kind == SN_WRITE)
        (void)SN_FAILPOINT("cli.allowed", op->line);
    reply->unsent = false;
    settle(s, talk(s, op->line, deadline_ms), SN_UNKNOWN, &reply->verdict);
    keep_text(s, reply);
    if (reply->text.failed && reply->verdict.class == SN_OK)
        sn_verdict_set(&reply->verdict, SN_UNKNOWN, "base.memory", "out of memory");
}

/* ---- save ---- */

static bool has_line(const char *text, const char *glob)
{
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");

        if (sn_cli_glob(glob, line, len))
            return true;
        line += line[len] == '\0' ? len : len + 1;
    }
    return false;
}

/* Refusals in the answer to `save`, without the sentence that announces that it takes a while. */
static const struct sn_cli_fault *judge_save(const struct session *s, char *joined, size_t size)
{
    struct sn_buf rest = SN_BUF_INIT;
    const struct sn_cli_fault *f;

    for (const char *line = sn_buf_str(&s->screen.text); *line != '\0';) {
        size_t len = strcspn(line, "\n");

        if (!sn_cli_glob(s->dialect->save_busy, line, len)) {
            sn_buf_add(&rest, line, len);
            sn_buf_adds(&rest, "\n");
        }
        line += line[len] == '\0' ? len : len + 1;
    }
    f = rest.failed ? &s->dialect->unknown_fault : sn_cli_judge(s->dialect, sn_buf_str(&rest), false, joined, size);
    sn_buf_fini(&rest);
    return f;
}

/* Waits for the line that says that the save is complete, or for silence. */
static void wait_saved(struct session *s, int64_t deadline_ms, struct sn_verdict *verdict)
{
    char joined[256] = "";

    for (;;) {
        const struct sn_cli_fault *f = judge_save(s, joined, sizeof(joined));
        int64_t now = sn_clock_mono_ms(), until = s->save_quiet ? now + s->quiet_ms : deadline_ms;
        char buf[4096];
        ssize_t n;

        if (f != NULL) {
            sn_verdict_set(verdict, f->class, f->code, "save: %s", joined);
            sn_verdict_arg(verdict, "said", joined);
            return;
        }
        if (has_line(sn_buf_str(&s->screen.text), s->dialect->save_done))
            return;
        n = s->link.ops->read(s->link.link, buf, sizeof(buf), until < deadline_ms ? until : deadline_ms);
        if (n == 0 && s->save_quiet && until <= deadline_ms)
            return;
        if (n <= 0) {
            sn_verdict_set(verdict, SN_UNKNOWN, "cli.save-unconfirmed",
                           n < 0 ? "the connection ended before the save was confirmed" : "no confirmation of the save in time");
            if (n < 0)
                cut(s);
            return;
        }
        sn_cli_screen_feed(&s->screen, buf, (size_t)n);
        if (s->screen.text.failed) {
            settle(s, TALK_LONG, SN_UNKNOWN, verdict);
            return;
        }
    }
}

void sn_cli_commit(void *session, int64_t deadline_ms, struct sn_reply *reply)
{
    struct session *s = session;
    const char *line = s->dialect->save.line;
    enum talk t;

    if (make_ready(s, s->dialect->save.mode, deadline_ms, SN_UNREACHABLE, reply) < 0 || !may_write(s, line, &reply->verdict))
        return;
    sn_cli_screen_begin(&s->screen, line);
    s->screen.keep_async = true;
    t = send_text(s, line, s->dialect->newline, deadline_ms) < 0 ? TALK_CLOSED : TALK_PROMPT;
    if (SN_FAILPOINT("cli.sent", line)) {
        cut(s);
        t = TALK_CLOSED;
    }
    if (t == TALK_PROMPT)
        t = listen_on(s, deadline_ms);
    settle(s, t, SN_UNKNOWN, &reply->verdict);
    if (t == TALK_PROMPT)
        wait_saved(s, deadline_ms, &reply->verdict);
    keep_text(s, reply);
}

/* ---- login and log-out ---- */

static bool has_any(const char *text, const char *const *globs)
{
    for (size_t i = 0; globs[i] != NULL; i++) {
        if (has_line(text, globs[i]))
            return true;
    }
    return false;
}

/* The login's end: the last prompt after which the device is silent for settle_ms (some print warnings and a second prompt). */
static int log_in(struct session *s, int64_t deadline_ms, struct sn_verdict *verdict)
{
    enum talk t = listen_on(s, deadline_ms);
    char buf[4096];
    ssize_t n = 1;

    while (t == TALK_PROMPT && n > 0) {
        int64_t until = sn_clock_mono_ms() + s->settle_ms;

        n = s->link.ops->read(s->link.link, buf, sizeof(buf), until < deadline_ms ? until : deadline_ms);
        if (n > 0) {
            sn_cli_screen_feed(&s->screen, buf, (size_t)n);
            t = s->screen.text.failed ? TALK_LONG : listen_on(s, deadline_ms);
        } else if (n < 0) {
            t = TALK_CLOSED;
        }
    }
    if (t == TALK_PROMPT)
        return 0;
    if (has_any(sn_buf_str(&s->screen.text), s->dialect->refused))
        sn_verdict_set(verdict, SN_AUTH, "cli.login-refused", "the device refused user name or password");
    else if (has_any(sn_buf_str(&s->screen.text), s->dialect->quota) || t == TALK_CLOSED)
        sn_verdict_set(verdict, SN_TRANSIENT_DEVICE, "cli.session-quota", "the device ended the login: too many sessions");
    else
        settle(s, t, SN_UNREACHABLE, verdict);
    return -1;
}

/* Session settings. A device that does not know one of them (an older release) is used without it. */
static int prepare(struct session *s, int64_t deadline_ms, struct sn_verdict *verdict)
{
    struct sn_reply reply = {.text = SN_BUF_INIT};
    int ret = 0;

    for (const struct sn_cli_step *p = s->dialect->prepare; p->line != NULL && ret == 0; p++) {
        enum talk t;

        ret = make_ready(s, p->mode, deadline_ms, SN_UNREACHABLE, &reply);
        if (ret < 0)
            break;
        t = talk(s, p->line, deadline_ms);
        if (t == TALK_PROMPT)
            continue;
        settle(s, t, SN_UNREACHABLE, &reply.verdict);
        ret = s->dead ? -1 : 0;
    }
    if (ret < 0)
        sn_verdict_copy(verdict, &reply.verdict);
    sn_reply_fini(&reply);
    return ret;
}

/* Takes over the link and the secret. */
static int open_link(const struct sn_cli_dialect *dialect, const struct sn_driver_env *env, struct sn_cli_link link,
                     struct sn_secret *enable, int64_t deadline_ms, void **ret_session, struct sn_verdict *verdict)
{
    struct session *s = calloc(1, sizeof(*s));
    const char *save_done;

    if (s == NULL) {
        link.ops->free(link.link);
        sn_verdict_set(verdict, SN_UNREACHABLE, "base.memory", "out of memory");
        return -1;
    }
    s->dialect = dialect;
    s->env = *env;
    s->link = link;
    s->enable = *enable;
    memset(enable, 0, sizeof(*enable));
    s->settle_ms = option_ms(env->target, "settle_ms", 300);
    s->quiet_ms = option_ms(env->target, "quiet_ms", 3000);
    save_done = json_string_value(json_object_get(env->target->conf, "save_done"));
    s->save_quiet = save_done != NULL && strcmp(save_done, "quiet") == 0;
    sn_cli_screen_init(&s->screen, dialect);
    if (log_in(s, deadline_ms, verdict) < 0 || prepare(s, deadline_ms, verdict) < 0) {
        sn_cli_close(s, 0);
        return -1;
    }
    *ret_session = s;
    return 0;
}

int sn_cli_open_link(const struct sn_cli_dialect *dialect, const struct sn_driver_env *env, struct sn_cli_link link,
                     int64_t deadline_ms, void **ret_session, struct sn_verdict *verdict)
{
    struct sn_secret none = {0};

    return open_link(dialect, env, link, &none, deadline_ms, ret_session, verdict);
}

/* Credentials as the library wants them; each absent one stays empty. */
struct login {
    struct sn_secret password, key, enable;
};

static void login_fini(struct login *l)
{
    sn_secret_fini(&l->password);
    sn_secret_fini(&l->key);
    sn_secret_fini(&l->enable);
}

static int login_resolve(const struct sn_driver_env *env, const json_t *credential, struct login *l, struct sn_verdict *verdict)
{
    const struct {
        const char *name;
        struct sn_secret *to;
    } all[] = {{"password", &l->password}, {"private_key", &l->key}, {"enable_password", &l->enable}};
    struct sn_error err;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const json_t *value = json_object_get(credential, all[i].name);

        if (value == NULL || sn_secret_resolve_json(env->secrets, value, all[i].to, &err) == 0)
            continue;
        sn_verdict_set(verdict, strcmp(err.code, "secret.unreachable") == 0 ? SN_UNREACHABLE : SN_AUTH, err.code, "%s",
                       err.text);
        return -1;
    }
    return 0;
}

int sn_cli_open(const struct sn_cli_dialect *dialect, const struct sn_driver_env *env, int64_t deadline_ms, void **ret_session,
                struct sn_verdict *verdict)
{
    const json_t *conf = env->target->conf, *credential = json_object_get(conf, "credential");
    json_int_t number = json_integer_value(json_object_get(conf, "port"));
    int64_t connect_by = sn_clock_mono_ms() + option_ms(env->target, "connect_ms", 10000) +
                         option_ms(env->target, "login_ms", 15000);
    const char *transport = json_string_value(json_object_get(conf, "transport"));
    char port[8];
    struct login login = {0};
    struct sn_cli_ssh ssh = {
        .host = json_string_value(json_object_get(conf, "address")),
        .port = port,
        .username = json_string_value(json_object_get(credential, "user")),
        .host_key = json_object_get(conf, "host_key"),
        .legacy_crypto = json_is_true(json_object_get(conf, "legacy_crypto")),
        .user_timeout_ms = option_ms(env->target, "tcp_ms", 4000),
        .connect_ms = option_ms(env->target, "connect_ms", 10000),
    };
    struct sn_cli_link link = {0};
    int ret = -1;

    (void)snprintf(port, sizeof(port), "%d", number > 0 && number < 65536 ? (int)number : 22);
    if (ssh.host == NULL || ssh.username == NULL || (transport != NULL && strcmp(transport, "ssh") != 0)) {
        sn_verdict_set(verdict, SN_AUTH, "cli.option", "%s: address, credential.user or transport cannot be used",
                       env->target->id);
        return -1;
    }
    if (login_resolve(env, credential, &login, verdict) < 0)
        goto out;
    ssh.password = login.password.data;
    ssh.private_key = login.key.data;
    if (connect_by > deadline_ms)
        connect_by = deadline_ms;
    if (sn_cli_ssh_open(&ssh, connect_by, &link, verdict) < 0)
        goto out;
    ret = open_link(dialect, env, link, &login.enable, connect_by, ret_session, verdict);
out:
    login_fini(&login);
    return ret;
}

/* The device hangs up when it has logged us out: seen, the account is free for the next owner. */
static void log_out(struct session *s, int64_t deadline_ms)
{
    for (int i = 0; i < QUITS_MAX && !s->dead; i++) {
        if (talk(s, s->dialect->logout, deadline_ms) != TALK_PROMPT)
            return;
    }
}

void sn_cli_close(void *session, int64_t deadline_ms)
{
    struct session *s = session;

    if (s == NULL)
        return;
    if (!s->dead && deadline_ms > 0 && take_in(s) == 0)
        log_out(s, deadline_ms);
    s->link.ops->free(s->link.link);
    sn_cli_screen_fini(&s->screen);
    sn_secret_fini(&s->enable);
    free(s);
}

int sn_cli_fd(void *session)
{
    struct session *s = session;

    return s->link.ops->fd(s->link.link);
}

int sn_cli_idle(void *session)
{
    struct session *s = session;

    if (!s->dead && take_in(s) < 0)
        cut(s);
    return s->dead ? -1 : 0;
}
