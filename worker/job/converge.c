/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/converge.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"

/* Write lists asked for in this call, as hashes: enough to see a repetition, small enough to keep. */
#define LISTS_MAX 16
/* A link that dies so often in one call is taken for one that is down. */
#define DEATHS_MAX 6

struct run {
    const struct sn_driver *driver;
    const struct sn_want *want;
    const struct sn_converge_io *io;
    json_t *memo;
    void *have;
    struct sn_answer *answer;
    uint64_t lists[LISTS_MAX];
    size_t lists_n;
    int lost;        /* sessions lost in the middle of a read, in a row */
    int lost_writes; /* … of a write, in all */
    int deaths;      /* of whatever kind, in all */
    struct sn_verdict undone; /* why the last list of writes was undone; SN_OK: it was not */
};

void sn_converged_fini(struct sn_converged *c)
{
    sn_verdict_fini(&c->verdict);
    json_decref(c->holds);
    json_decref(c->reality);
    c->holds = NULL;
    c->reality = NULL;
}

/* FNV-1a over what would be sent. */
static uint64_t hash_ops(const struct sn_ops *ops)
{
    uint64_t h = 1469598103934665603u;

    for (size_t i = 0; i < ops->n; i++) {
        const char *parts[2] = { ops->v[i].mode, ops->v[i].line };
        for (size_t k = 0; k < 2; k++) {
            for (const char *p = parts[k];; p++) {
                h = (h ^ (unsigned char)*p) * 1099511628211u;
                if (*p == '\0')
                    break;
            }
        }
    }
    return h;
}

static bool asked_before(struct run *r, const struct sn_ops *ops)
{
    uint64_t h = hash_ops(ops);

    for (size_t i = 0; i < r->lists_n; i++) {
        if (r->lists[i] == h)
            return true;
    }
    if (r->lists_n < LISTS_MAX)
        r->lists[r->lists_n++] = h;
    return false;
}

static void no_effect(const struct run *r, struct sn_verdict *v)
{
    sn_verdict_set(v, SN_PERMANENT, "core.no-effect", "%s accepts the change and does not hold it afterwards",
                   r->want->target->id);
    sn_verdict_arg(v, "target", r->want->target->id);
}

/* Carries one op; *ret is the verdict on it. memo is remembered when absorb() changed it. True = it may have changed something. */
static bool carry(struct run *r, const struct sn_op *op, struct sn_verdict *ret)
{
    struct sn_reply reply = { 0 };
    json_t *memo_before = NULL;
    bool absorbed;
    bool sent;

    if (op->kind == SN_WRITE) {
        r->io->before_write(r->io->arg, op, ret);
        if (ret->class != SN_OK)
            return false;
    }
    r->io->exchange(r->io->arg, r->want, op, &reply);
    absorbed = reply.verdict.class == SN_OK || (reply.verdict.class == SN_UNKNOWN && op->kind == SN_WRITE);
    if (absorbed) {
        memo_before = sn_json_deep_copy(r->memo);
        r->driver->absorb(r->want, op, &reply, r->have, r->memo, ret);
    }
    if (reply.verdict.class != SN_OK)
        sn_verdict_copy(ret, &reply.verdict);
    r->io->after(r->io->arg, op, &reply, ret);
    /* without memory for the comparison it is kept once too often */
    if (absorbed && !json_equal(memo_before, r->memo) && r->io->remember(r->io->arg, r->memo) != 0)
        sn_verdict_set(ret, SN_LOST, "core.store-unsure", "an acknowledgement could not be put on record");
    /* LOST, UNREACHABLE: it did not leave; SUPERSEDED, CONFLICT: the target's own fence undid it */
    sent = op->kind == SN_WRITE && ret->class != SN_LOST && ret->class != SN_UNREACHABLE && ret->class != SN_SUPERSEDED &&
           ret->class != SN_CONFLICT;
    json_decref(memo_before);
    sn_reply_fini(&reply);
    return sent;
}

/* True when the list ended well or its end is to be understood by reading again; false: *ret is final for this call. */
static bool carry_list(struct run *r, bool *ret_wrote, struct sn_verdict *ret)
{
    const struct sn_ops *ops = &r->answer->ops;
    bool writes = ops->n > 0 && ops->v[0].kind == SN_WRITE;
    bool wrote = false;
    bool go_on = true;
    bool wipe = writes;
    size_t accepted = 0;

    for (size_t i = 0; i < ops->n; i++) {
        sn_verdict_fini(ret);
        wrote = carry(r, &ops->v[i], ret) || wrote;
        if (ret->class == SN_OK) {
            accepted++;
            continue;
        }
        go_on = ret->class == SN_AGAIN || ret->class == SN_UNKNOWN;
        wipe = wipe || ret->class == SN_UNKNOWN;
        break;
    }
    if (ret->class == SN_UNKNOWN && ((writes ? ++r->lost_writes : ++r->lost) > 2 || ++r->deaths > DEATHS_MAX)) {
        /* a link that dies under every exchange is a link that is down */
        ret->class = SN_UNREACHABLE;
        go_on = false;
    } else if (ret->class == SN_UNKNOWN) {
        r->lists_n = 0; /* it never arrived, or the target restarted and forgot: if the read shows so, it may be asked for again */
    } else if (ret->class == SN_AGAIN && writes) {
        if (r->lists_n > 0)
            r->lists_n--;
        /* a device that took the lines before this one and does not hold them is no such case */
        if (accepted == 0)
            sn_verdict_copy(&r->undone, ret);
    } else {
        r->lost = 0;
    }
    if (writes && ret->class != SN_AGAIN)
        sn_verdict_fini(&r->undone);
    if (wipe)
        memset(r->have, 0, r->driver->have_size);
    *ret_wrote = *ret_wrote || wrote;
    return go_on;
}

/* One round: asks the driver, carries its list. True = another round. */
static bool one_round(struct run *r, struct sn_converged *ret)
{
    struct sn_answer *a = r->answer;

    sn_answer_fini(a);
    memset(a, 0, sizeof(*a));
    r->driver->next(r->want, r->have, r->memo, a);
    switch (a->what) {
    case SN_NEXT_DONE:
        ret->what = SN_CONVERGED_DONE;
        ret->evidence = a->evidence;
        return false;
    case SN_NEXT_LATER:
        ret->what = SN_CONVERGED_LATER;
        ret->later_ms = a->later_ms > 0 ? a->later_ms : 1;
        sn_verdict_copy(&ret->verdict, &a->verdict);
        return false;
    case SN_NEXT_STUCK:
        sn_verdict_copy(&ret->verdict, &a->verdict);
        return false;
    case SN_NEXT_OPS:
        break;
    }
    if (a->ops.n == 0) {
        sn_verdict_set(&ret->verdict, SN_BUG, "core.driver-bug", "driver %s asks for an empty list", r->driver->name);
        return false;
    }
    if (a->ops.v[0].kind == SN_WRITE) {
        if (r->io->dry) {
            ret->what = SN_CONVERGED_WOULD_CHANGE;
            ret->ops = a->ops;
            return false;
        }
        if (asked_before(r, &a->ops)) {
            no_effect(r, &ret->verdict);
            return false;
        }
    }
    return carry_list(r, &ret->wrote, &ret->verdict);
}

void sn_converge(const struct sn_driver *driver, const struct sn_want *want, json_t *memo, const struct sn_converge_io *io,
                 struct sn_converged *ret)
{
    struct run r = { .driver = driver, .want = want, .io = io, .memo = memo };
    int round = 0;

    memset(ret, 0, sizeof(*ret));
    ret->what = SN_CONVERGED_FAILED;
    r.have = calloc(1, driver->have_size > 0 ? driver->have_size : 1);
    r.answer = calloc(1, sizeof(*r.answer));
    if (r.have == NULL || r.answer == NULL) {
        sn_verdict_set(&ret->verdict, SN_TRANSIENT_JOB, "process.out-of-memory", "out of memory");
        goto out;
    }
    while (one_round(&r, ret)) {
        /* what a dead link made unknown is asked for again: no sign that the target does not follow */
        round = ret->verdict.class == SN_UNKNOWN ? 0 : round + 1;
        sn_verdict_fini(&ret->verdict);
        if (round < io->rounds_max)
            continue;
        if (r.undone.class == SN_AGAIN) /* it never came to pass: no word about its effect */
            sn_verdict_copy(&ret->verdict, &r.undone);
        else
            no_effect(&r, &ret->verdict);
        break;
    }
    if (ret->what == SN_CONVERGED_DONE)
        sn_verdict_fini(&ret->verdict);
    if (driver->describe != NULL)
        driver->describe(want, r.have, r.memo, &ret->holds, &ret->reality);
out:
    if (r.answer != NULL)
        sn_answer_fini(r.answer);
    if (r.have != NULL)
        explicit_bzero(r.have, driver->have_size);
    sn_verdict_fini(&r.undone);
    free(r.answer);
    free(r.have);
}
