/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/null/null.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/text.h"

enum verb { READ_THING, PUT_THING, DROP_THING, TOUCH_THING };

/* What one read learns. */
struct have {
    bool known;
    bool present;
    bool suspended;
    char rev[24];
    char mark[40];
};

struct session {
    char file[256]; /* "" = the table lives in this session */
    json_t *table;  /* {"<aspect>/<name>": {"rev", "suspended", "mark"}} */
    int latency_ms;
    bool silent;    /* says ok and does nothing */
    char fail[32];  /* class word that every write answers */
    struct sn_driver_env env;
};

/* ---- pure ---- */

static int null_key(const struct sn_want *want, json_t **ret_key, struct sn_error *err)
{
    *ret_key = json_pack("{s:s}", "name", want->ref);
    return *ret_key != NULL ? 0 : sn_error_oom(err);
}

static json_t *null_claims(const json_t *key)
{
    return json_pack("[s+]", "thing/", sn_json_text(key, "name"));
}

static bool null_same_thing(const json_t *a, const json_t *b)
{
    return strcmp(sn_json_text(a, "name"), sn_json_text(b, "name")) == 0;
}

static void ask(const struct sn_want *want, struct sn_answer *ret, enum sn_op_kind kind, char mark, enum verb verb, const char *word)
{
    struct sn_op *op = sn_ops_add(&ret->ops, kind, mark, (int)verb);

    if (op == NULL || sn_op_line(op, "%s %s %s%s%s", word, want->aspect, sn_json_text(want->key, "name"),
                                 verb == PUT_THING ? " rev " : "", verb == PUT_THING ? want->rev : "") != 0) {
        ret->what = SN_NEXT_STUCK; /* half a line is another line */
        sn_verdict_set(&ret->verdict, SN_INVALID, "null.too-long", "the name does not fit");
        return;
    }
    ret->what = SN_NEXT_OPS;
    op->n[0] = want->suspended;
    (void)snprintf(op->s[0], sizeof(op->s[0]), "%.40s/%.80s", want->aspect, sn_json_text(want->key, "name"));
    (void)snprintf(op->s[1], sizeof(op->s[1]), "%s", want->rev != NULL ? want->rev : "");
    (void)snprintf(op->s[2], sizeof(op->s[2]), "%s", want->ref);
}

static void null_next(const struct sn_want *want, const void *have, const json_t *memo, struct sn_answer *ret)
{
    const struct have *h = have;

    if (!h->known) {
        ask(want, ret, SN_READ, ' ', READ_THING, "read");
        return;
    }
    ret->evidence = SN_EVIDENCE_OBSERVED;
    switch (want->kind) {
    case SN_LOOK:
        return;
    case SN_SINCE:
        if (strcmp(sn_json_text(memo, "touched"), want->rev) != 0)
            ask(want, ret, SN_WRITE, '!', TOUCH_THING, "touch");
        else
            ret->evidence = SN_EVIDENCE_ACKNOWLEDGED;
        return;
    case SN_GONE:
        if (h->present && strcmp(h->mark, want->ref) == 0)
            ask(want, ret, SN_WRITE, '-', DROP_THING, "drop");
        return;
    case SN_BE:
        if (h->present && strcmp(h->mark, want->ref) != 0) {
            ret->what = SN_NEXT_STUCK;
            sn_verdict_set(&ret->verdict, SN_CONFLICT, "null.other-mark", "it belongs to %s", h->mark);
        } else if (!h->present || strcmp(h->rev, want->rev) != 0 || h->suspended != want->suspended) {
            ask(want, ret, SN_WRITE, h->present ? '~' : '+', PUT_THING, "put");
        }
        return;
    }
}

static void null_absorb(const struct sn_want *want, const struct sn_op *op, const struct sn_reply *reply, void *have, json_t *memo,
                        struct sn_verdict *ret)
{
    struct have *h = have;

    (void)ret;
    if (reply->verdict.class != SN_OK)
        return;
    if (op->verb == TOUCH_THING) {
        (void)json_object_set_new(memo, "touched", json_string(want->rev));
        return;
    }
    if (op->verb != READ_THING)
        return;
    h->known = true;
    h->present = json_is_object(reply->data);
    h->suspended = json_is_true(json_object_get(reply->data, "suspended"));
    (void)snprintf(h->rev, sizeof(h->rev), "%s", sn_json_text(reply->data, "rev"));
    (void)snprintf(h->mark, sizeof(h->mark), "%s", sn_json_text(reply->data, "mark"));
}

static void null_describe(const struct sn_want *want, const void *have, const json_t *memo, json_t **ret_holds, json_t **ret_reality)
{
    const struct have *h = have;

    (void)memo;
    (void)ret_reality;
    if (h->known && h->present)
        *ret_holds = json_pack("{s:s, s:s, s:b}", "thing", sn_json_text(want->key, "name"), "rev", h->rev, "suspended", (int)h->suspended);
    else if (h->known)
        *ret_holds = json_pack("{s:n}", "thing");
}

/* ---- I/O ---- */

static int null_open(const struct sn_driver_env *env, int64_t deadline_ms, void **ret_session, struct sn_verdict *verdict)
{
    const json_t *conf = json_object_get(env->target->conf, "null");
    struct session *s = calloc(1, sizeof(*s));

    (void)deadline_ms;
    if (s != NULL)
        s->table = json_object();
    if (s == NULL || s->table == NULL) {
        free(s);
        sn_verdict_set(verdict, SN_TRANSIENT_DEVICE, "process.out-of-memory", "out of memory");
        return -1;
    }
    if (sn_text_copy(s->file, sizeof(s->file), sn_json_text(conf, "file")) != 0) {
        sn_verdict_set(verdict, SN_AUTH, "null.file", "the path of the file is too long"); /* half a path is another file */
        json_decref(s->table);
        free(s);
        return -1;
    }
    s->env = *env;
    s->latency_ms = (int)json_integer_value(json_object_get(conf, "latency_ms"));
    s->silent = json_is_true(json_object_get(conf, "silent"));
    (void)snprintf(s->fail, sizeof(s->fail), "%s", sn_json_text(conf, "fail"));
    *ret_session = s;
    return 0;
}

/* The file is the network: whole, or as it was. */
static int load(struct session *s)
{
    json_t *t;

    if (s->file[0] == '\0')
        return 0;
    t = sn_json_load_file(s->file, 0, NULL);
    if (t == NULL && access(s->file, F_OK) == 0)
        return -1;
    json_decref(s->table);
    s->table = json_is_object(t) ? t : json_object();
    return s->table != NULL ? 0 : -1;
}

static int store(struct session *s)
{
    char next[300];
    char *text;
    FILE *file;
    bool ok;

    if (s->file[0] == '\0')
        return 0;
    (void)snprintf(next, sizeof(next), "%s.next", s->file);
    text = sn_json_dumps(s->table, JSON_INDENT(1) | JSON_SORT_KEYS);
    file = text != NULL ? fopen(next, "we") : NULL;
    ok = file != NULL && fputs(text, file) >= 0;
    if (file != NULL)
        ok = fclose(file) == 0 && ok;
    free(text);
    return ok && rename(next, s->file) == 0 ? 0 : -1;
}

static void wait_latency(const struct session *s)
{
    struct timespec ts = { .tv_sec = s->latency_ms / 1000, .tv_nsec = (long)(s->latency_ms % 1000) * 1000000 };

    while (s->latency_ms > 0 && nanosleep(&ts, &ts) != 0 && errno == EINTR)
        continue;
}

static enum sn_class class_of(const char *word)
{
    for (int c = 0; c < SN_CLASS_COUNT; c++) {
        if (strcmp(sn_class_word((enum sn_class)c), word) == 0)
            return (enum sn_class)c;
    }
    return SN_OK;
}

static void null_exchange(void *session, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms, struct sn_reply *reply)
{
    struct session *s = session;

    (void)want;
    (void)deadline_ms;
    wait_latency(s);
    if (op->kind == SN_WRITE && !s->env.may_write(s->env.may_write_arg)) {
        sn_verdict_set(&reply->verdict, SN_LOST, "core.lease-lost", "the lease is over");
        return;
    }
    if (op->kind == SN_WRITE && s->fail[0] != '\0') {
        sn_verdict_set(&reply->verdict, class_of(s->fail), "null.told-to-fail", "the inventory says: fail");
        return;
    }
    if (load(s) != 0) {
        sn_verdict_set(&reply->verdict, SN_UNREACHABLE, "null.file", "the file cannot be read");
        return;
    }
    sn_buf_adds(&reply->text, "done");
    if (op->verb == READ_THING) {
        reply->data = json_incref(json_object_get(s->table, op->s[0]));
        return;
    }
    if (s->silent || op->verb == TOUCH_THING)
        return;
    if (op->verb == PUT_THING)
        (void)json_object_set_new(s->table, op->s[0], json_pack("{s:s, s:b, s:s}", "rev", op->s[1], "suspended", op->n[0] != 0, "mark", op->s[2]));
    else
        (void)json_object_del(s->table, op->s[0]);
    if (store(s) != 0)
        sn_verdict_set(&reply->verdict, SN_UNKNOWN, "null.file", "the file cannot be written");
}

static void null_close(void *session, int64_t deadline_ms)
{
    struct session *s = session;

    (void)deadline_ms;
    json_decref(s->table);
    free(s);
}

static int null_fd(void *session)
{
    (void)session;
    return -1;
}

static int64_t null_op_timeout_ms(const struct sn_target *target, const struct sn_op *op)
{
    (void)target;
    (void)op;
    return 5000;
}

static const char *const ASPECTS[] = { "user", "onu", "session", "login", NULL };

const struct sn_driver sn_driver_null = {
    .abi = SN_DRIVER_ABI,
    .name = "null",
    .aspects = ASPECTS,
    .commit_policy = SN_COMMIT_JOB,
    .sessions_max = 1,
    .have_size = sizeof(struct have),
    .key = null_key,
    .claims = null_claims,
    .same_thing = null_same_thing,
    .next = null_next,
    .absorb = null_absorb,
    .describe = null_describe,
    .open = null_open,
    .exchange = null_exchange,
    .close = null_close,
    .fd = null_fd,
    .op_timeout_ms = null_op_timeout_ms,
};
