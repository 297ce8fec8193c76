/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/broker/window.h"

void sn_list_push(struct sn_publication_list *l, struct sn_publication *p)
{
    p->next = NULL;
    if (l->tail != NULL)
        l->tail->next = p;
    else
        l->head = p;
    l->tail = p;
    l->count++;
    l->bytes += p->len;
}

struct sn_publication *sn_list_pop(struct sn_publication_list *l)
{
    struct sn_publication *p = l->head;

    if (p == NULL)
        return NULL;
    l->head = p->next;
    if (l->head == NULL)
        l->tail = NULL;
    p->next = NULL;
    l->count--;
    l->bytes -= p->len;
    return p;
}

void sn_list_prepend(struct sn_publication_list *to, struct sn_publication_list *from)
{
    if (from->head == NULL)
        return;
    from->tail->next = to->head;
    if (to->tail == NULL)
        to->tail = from->tail;
    to->head = from->head;
    to->count += from->count;
    to->bytes += from->bytes;
    *from = (struct sn_publication_list){ 0 };
}

struct sn_publication *sn_window_next(struct sn_window *w, int64_t now_ms)
{
    struct sn_publication *p;

    if (w->ready.head == NULL || w->sent.count >= w->max_count)
        return NULL;
    /* One always fits, however big. */
    if (w->sent.count > 0 && (w->alone > 0 || w->sent.bytes + w->ready.head->len > w->max_bytes))
        return NULL;
    if (w->alone > 0)
        w->alone--;
    p = sn_list_pop(&w->ready);
    p->seq = ++w->last_seq;
    p->sent_ms = now_ms;
    p->returned = false;
    sn_list_push(&w->sent, p);
    return p;
}

void sn_window_settle(struct sn_window *w, uint64_t tag, bool multiple, struct sn_publication_list *ret)
{
    struct sn_publication_list rest = { 0 };
    struct sn_publication *p;

    if (w->sent.head != NULL && w->sent.head->seq == tag) { /* the usual case: confirms come in order */
        sn_list_push(ret, sn_list_pop(&w->sent));
        return;
    }
    while ((p = sn_list_pop(&w->sent)) != NULL && p->seq <= tag)
        sn_list_push(multiple || p->seq == tag ? ret : &rest, p);
    if (p != NULL) { /* the first one beyond the tag */
        struct sn_publication_list one = { 0 };
        sn_list_push(&one, p);
        sn_list_prepend(&w->sent, &one);
    }
    sn_list_prepend(&w->sent, &rest);
}

void sn_window_returned(struct sn_window *w, uint64_t seq)
{
    for (struct sn_publication *p = w->sent.head; p != NULL; p = p->next) {
        if (p->seq == seq)
            p->returned = true;
    }
}

void sn_window_reset(struct sn_window *w)
{
    sn_list_prepend(&w->ready, &w->sent);
    w->last_seq = 0;
}

const struct sn_publication *sn_window_accuse(struct sn_window *w, int64_t not_before_ms)
{
    struct sn_publication *culprit = NULL;

    if (w->sent.count == 1) {
        culprit = sn_list_pop(&w->sent);
        sn_window_postpone(w, culprit, not_before_ms);
    } else {
        w->alone = w->sent.count;
    }
    sn_window_reset(w);
    return culprit;
}

void sn_window_postpone(struct sn_window *w, struct sn_publication *p, int64_t not_before_ms)
{
    p->not_before_ms = not_before_ms;
    sn_list_push(&w->later, p);
}

int64_t sn_window_due(struct sn_window *w, int64_t now_ms)
{
    struct sn_publication_list rest = { 0 };
    struct sn_publication *p;
    int64_t next_ms = 0;

    while ((p = sn_list_pop(&w->later)) != NULL) {
        if (p->not_before_ms <= now_ms) {
            sn_list_push(&w->ready, p);
            continue;
        }
        if (next_ms == 0 || p->not_before_ms < next_ms)
            next_ms = p->not_before_ms;
        sn_list_push(&rest, p);
    }
    w->later = rest;
    return next_ms;
}

int64_t sn_window_oldest(const struct sn_window *w)
{
    return w->sent.head != NULL ? w->sent.head->sent_ms : 0;
}

void sn_window_restart_clock(struct sn_window *w, int64_t now_ms)
{
    for (struct sn_publication *p = w->sent.head; p != NULL; p = p->next)
        p->sent_ms = now_ms;
}

size_t sn_window_count(const struct sn_window *w)
{
    return w->ready.count + w->sent.count + w->later.count;
}
