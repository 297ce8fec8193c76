/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/drivers/conformance/conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS_MAX 12

struct loop {
    const struct sn_driver *driver;
    const struct sn_want *want;
    const struct conform_world *world;
    json_t *memo;
    void *have;
    struct conform_run *run;
    struct sn_ops *written;  /* write lists so far */
    size_t n_written;
};

static bool same_ops(const struct sn_ops *a, const struct sn_ops *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->v[i].line, b->v[i].line) != 0 || strcmp(a->v[i].mode, b->v[i].mode) != 0)
            return false;
    }
    return true;
}

static void check_list(const struct sn_ops *ops)
{
    assert_true(ops->n > 0 && ops->n <= SN_OPS_MAX);
    for (size_t i = 0; i < ops->n; i++) {
        const struct sn_op *op = &ops->v[i];

        assert_int_equal(op->kind, ops->v[0].kind);
        assert_true(op->line[0] != '\0' && memchr(op->line, '\0', sizeof(op->line)) != NULL);
        for (const char *c = op->line; *c != '\0'; c++)
            assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
        assert_non_null(strchr(op->kind == SN_READ ? " " : "+~-!", op->mark));
        assert_true(op->mark != '\0');
    }
}

static void note_line(struct conform_run *run, const struct sn_op *op)
{
    char mark[2] = {op->mark, '\0'};

    json_array_append_new(run->lines, json_pack("[s, s]", mark, op->line));
}

/* One op. False when the list ends here; *over when the run does, *lost when nobody knows whether it was done. */
static bool send_one(struct loop *l, const struct sn_op *op, bool *over, bool *lost)
{
    struct sn_reply reply = {.text = SN_BUF_INIT};
    struct sn_verdict verdict = {0};
    bool good;

    note_line(l->run, op);
    if (op->kind == SN_WRITE) {
        assert_true(l->run->asked > 0); /* no write before a read */
        l->run->writes++;
    } else {
        l->run->reads++;
    }
    l->world->exchange(l->world->arg, l->want, op, &reply);
    if (reply.verdict.class == SN_OK || (reply.verdict.class == SN_UNKNOWN && op->kind == SN_WRITE))
        l->driver->absorb(l->want, op, &reply, l->have, l->memo, &verdict);
    if (reply.verdict.class != SN_OK)
        sn_verdict_copy(&verdict, &reply.verdict);
    good = verdict.class == SN_OK;
    *lost = verdict.class == SN_UNKNOWN;
    if (good && op->kind == SN_READ)
        l->run->asked++;
    if (!good) {
        assert_true(verdict.code[0] != '\0');
        *over = verdict.class != SN_AGAIN && verdict.class != SN_UNKNOWN;
        if (*over) {
            l->run->end = CONFORM_REFUSED;
            sn_verdict_copy(&l->run->verdict, &verdict);
        }
    }
    sn_verdict_fini(&verdict);
    sn_reply_fini(&reply);
    return good;
}

/* True when the run is over. */
static bool send_list(struct loop *l, const struct sn_ops *ops)
{
    bool over = false, lost = false, write = ops->v[0].kind == SN_WRITE;
    size_t i;

    check_list(ops);
    if (write && l->world->dry) {
        for (i = 0; i < ops->n; i++)
            note_line(l->run, &ops->v[i]);
        l->run->end = CONFORM_WOULD_WRITE;
        return true;
    }
    for (i = 0; write && i < l->n_written; i++) {
        if (same_ops(ops, &l->written[i])) {
            l->run->end = CONFORM_NO_EFFECT;
            return true;
        }
    }
    for (i = 0; i < ops->n && send_one(l, &ops->v[i], &over, &lost); i++)
        continue;
    if (write && !lost) /* a list that a lost link broke off may be asked for again */
        l->written[l->n_written++] = *ops;
    if (write || lost)
        memset(l->have, 0, l->driver->have_size);
    return over;
}

/* True when the run is over. */
static bool one_round(struct loop *l)
{
    struct sn_answer *answer = calloc(1, sizeof(*answer));
    bool over = true;

    assert_non_null(answer);
    l->driver->next(l->want, l->have, l->memo, answer);
    switch (answer->what) {
    case SN_NEXT_DONE:
        assert_true(l->run->asked > 0 || l->run->writes > 0);
        assert_int_not_equal(answer->evidence, SN_EVIDENCE_NONE);
        l->run->end = CONFORM_DONE;
        l->run->evidence = answer->evidence;
        break;
    case SN_NEXT_STUCK:
        assert_true(answer->verdict.code[0] != '\0' && answer->verdict.class != SN_OK);
        l->run->end = CONFORM_STUCK;
        sn_verdict_copy(&l->run->verdict, &answer->verdict);
        break;
    case SN_NEXT_LATER:
        assert_true(answer->later_ms > 0);
        l->run->end = CONFORM_LATER;
        sn_verdict_copy(&l->run->verdict, &answer->verdict);
        break;
    case SN_NEXT_OPS:
        over = send_list(l, &answer->ops);
        break;
    }
    sn_answer_fini(answer);
    free(answer);
    return over;
}

void conform_carry(const struct sn_driver *driver, const struct sn_want *want, const struct conform_world *world, json_t *memo,
                   struct conform_run *ret)
{
    struct loop l = {.driver = driver, .want = want, .world = world, .memo = memo, .run = ret};

    memset(ret, 0, sizeof(*ret));
    ret->lines = json_array();
    l.have = calloc(1, driver->have_size);
    l.written = calloc(ROUNDS_MAX, sizeof(*l.written));
    assert_non_null(l.have);
    assert_non_null(l.written);
    ret->end = CONFORM_NO_EFFECT;
    for (ret->rounds = 1; ret->rounds <= ROUNDS_MAX; ret->rounds++) {
        if (one_round(&l))
            break;
    }
    driver->describe(want, l.have, memo, &ret->holds, &ret->reality);
    free(l.written);
    free(l.have);
}

void conform_run_fini(struct conform_run *run)
{
    sn_verdict_fini(&run->verdict);
    json_decref(run->lines);
    json_decref(run->holds);
    json_decref(run->reality);
    memset(run, 0, sizeof(*run));
}

static void explain(const struct conform_run *run)
{
    char *lines = json_dumps(run->lines, JSON_INDENT(1));

    print_message("end %d, verdict %s (%s)\n%s\n", (int)run->end, run->verdict.code, run->verdict.text, lines);
    free(lines);
}

void conform_reaches(const struct sn_driver *driver, const struct sn_want *want, const struct conform_world *world)
{
    struct conform_world dry = *world;
    struct conform_run run;
    json_t *memo = json_object();

    dry.dry = true;
    conform_carry(driver, want, &dry, memo, &run);
    assert_int_equal(run.writes, 0);
    assert_true(run.end == CONFORM_WOULD_WRITE || run.end == CONFORM_DONE);
    conform_run_fini(&run);

    conform_carry(driver, want, world, memo, &run);
    if (run.end != CONFORM_DONE)
        explain(&run);
    assert_int_equal(run.end, CONFORM_DONE);
    conform_run_fini(&run);

    conform_carry(driver, want, world, memo, &run);
    if (run.end != CONFORM_DONE || run.writes != 0)
        explain(&run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(run.writes, 0);
    conform_run_fini(&run);
    json_decref(memo);
}

/* ---- noise ---- */

struct noise {
    uint64_t state;
    const char *const *samples;
    size_t n_samples;
};

static uint32_t noise_below(struct noise *n, uint32_t below)
{
    n->state = n->state * 6364136223846793005u + 1442695040888963407u;
    return below == 0 ? 0 : (uint32_t)(n->state >> 33) % below;
}

static void noise_piece(struct noise *n, struct sn_buf *out)
{
    char c;

    if (n->n_samples > 0 && noise_below(n, 4) != 0) {
        const char *s = n->samples[noise_below(n, (uint32_t)n->n_samples)];
        size_t len = strlen(s), from = noise_below(n, (uint32_t)len + 1), much = noise_below(n, (uint32_t)(len - from) + 1);

        if (noise_below(n, 4) == 0) { /* whole: an answer about another thing */
            from = 0;
            much = len;
        }
        sn_buf_add(out, s + from, much);
        return;
    }
    for (uint32_t i = noise_below(n, 200); i > 0; i--) {
        c = (char)noise_below(n, 256);
        if (c != '\0')
            sn_buf_add(out, &c, 1);
    }
}

static void noise_exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply)
{
    struct noise *n = arg;

    (void)want;
    (void)op;
    for (uint32_t i = noise_below(n, 4); i > 0; i--)
        noise_piece(n, &reply->text);
    if (noise_below(n, 10) == 0)
        sn_verdict_set(&reply->verdict, SN_UNKNOWN, "test.cut", "cut");
}

void conform_survives_noise(const struct sn_driver *driver, const struct sn_want *want, const char *const *samples,
                            unsigned seeds)
{
    struct noise n = {.samples = samples};

    while (samples[n.n_samples] != NULL)
        n.n_samples++;
    for (unsigned seed = 1; seed <= seeds; seed++) {
        struct conform_world world = {.exchange = noise_exchange, .arg = &n};
        struct conform_run run;
        json_t *memo = json_object();

        n.state = seed * 0x9e3779b97f4a7c15u;
        conform_carry(driver, want, &world, memo, &run);
        if (run.end == CONFORM_DONE) {
            print_message("noise of seed %u led to done\n", seed);
            explain(&run);
        }
        assert_int_not_equal(run.end, CONFORM_DONE);
        conform_run_fini(&run);
        json_decref(memo);
    }
}
