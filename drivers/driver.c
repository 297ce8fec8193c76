/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

const char *sn_class_word(enum sn_class c)
{
    static const char *const words[] = {
#define X(name, word) word,
        SN_CLASSES(X)
#undef X
    };
    return (unsigned)c < SN_CLASS_COUNT ? words[c] : "?";
}

void sn_verdict_set(struct sn_verdict *v, enum sn_class class, const char *code, const char *fmt, ...)
{
    char raw[sizeof(v->text)];
    va_list ap;

    sn_verdict_fini(v);
    v->class = class;
    (void)snprintf(v->code, sizeof(v->code), "%s", code);
    va_start(ap, fmt);
    (void)vsnprintf(raw, sizeof(raw), fmt, ap);
    va_end(ap);
    sn_text_escape(v->text, sizeof(v->text), raw, strlen(raw));
}

void sn_verdict_arg(struct sn_verdict *v, const char *key, const char *value)
{
    char safe[256];

    if (v->args == NULL)
        v->args = json_object();
    sn_text_escape(safe, sizeof(safe), value, strlen(value));
    if (v->args != NULL)
        (void)json_object_set_new(v->args, key, json_string(safe));
}

void sn_verdict_copy(struct sn_verdict *to, const struct sn_verdict *from)
{
    if (to == from)
        return;
    sn_verdict_fini(to);
    *to = *from;
    if (from->args != NULL)
        to->args = json_incref(from->args);
}

void sn_verdict_fini(struct sn_verdict *v)
{
    json_decref(v->args);
    memset(v, 0, sizeof(*v));
}

struct sn_op *sn_ops_add(struct sn_ops *ops, enum sn_op_kind kind, char mark, int verb)
{
    struct sn_op *op;

    if (ops->n >= SN_OPS_MAX)
        return NULL;
    op = &ops->v[ops->n++];
    memset(op, 0, sizeof(*op));
    op->kind = kind;
    op->mark = mark;
    op->verb = verb;
    return op;
}

int sn_op_line(struct sn_op *op, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(op->line, sizeof(op->line), fmt, ap);
    va_end(ap);
    return n < 0 || (size_t)n >= sizeof(op->line) ? -1 : 0;
}

void sn_reply_fini(struct sn_reply *r)
{
    sn_buf_fini(&r->text);
    json_decref(r->data);
    r->data = NULL;
    sn_verdict_fini(&r->verdict);
}

const char *sn_evidence_word(enum sn_evidence e)
{
    switch (e) {
    case SN_EVIDENCE_OBSERVED:
        return "observed";
    case SN_EVIDENCE_ACKNOWLEDGED:
        return "acknowledged";
    case SN_EVIDENCE_NONE:
        break;
    }
    return "none";
}

void sn_answer_fini(struct sn_answer *a)
{
    sn_verdict_fini(&a->verdict);
}
