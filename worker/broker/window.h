/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bookkeeping of publications between "handed over" and "confirmed"; no I/O, private to this folder. Owns what is in
 * it. A publication is in exactly one place: ready (to be sent) → sent (waits for its confirm) → out; or, refused,
 * → later → ready. Thread: one.
 */
#ifndef SN_WORKER_BROKER_WINDOW_H
#define SN_WORKER_BROKER_WINDOW_H

#include "worker/broker/broker.h"

struct sn_publication_list {
    struct sn_publication *head, *tail;
    size_t count;
    size_t bytes;
};
void sn_list_push(struct sn_publication_list *l, struct sn_publication *p);
struct sn_publication *sn_list_pop(struct sn_publication_list *l);
/* Moves all of `from` in front of `to`, order kept. */
void sn_list_prepend(struct sn_publication_list *to, struct sn_publication_list *from);

struct sn_window {
    struct sn_publication_list ready;
    struct sn_publication_list sent; /* by seq, ascending */
    struct sn_publication_list later;
    uint64_t last_seq; /* of this channel; the broker counts from 1 on each new one */
    size_t alone; /* so many of ready are sent one at a time, to find the one that the broker closes the channel for */
    size_t max_count, max_bytes;
};

/* The next one that may be sent now, already counted as sent; NULL = none. */
struct sn_publication *sn_window_next(struct sn_window *w, int64_t now_ms);
/* basic.ack / basic.nack: takes out the publication(s) with this tag, in order. */
void sn_window_settle(struct sn_window *w, uint64_t tag, bool multiple, struct sn_publication_list *ret);
/* basic.return: the confirm that follows means RETURNED. */
void sn_window_returned(struct sn_window *w, uint64_t seq);
/* The channel is gone: what was sent is sent again first. */
void sn_window_reset(struct sn_window *w);
/* The broker closed the channel for one of those sent. One only: it is the culprit, put off and returned; several: sent
 * one at a time from now on, NULL. */
const struct sn_publication *sn_window_accuse(struct sn_window *w, int64_t not_before_ms);
/* Refused by the broker (nack): again, not before. */
void sn_window_postpone(struct sn_window *w, struct sn_publication *p, int64_t not_before_ms);
/* What has been put off long enough is ready again. Returns when the next is due, 0 = none. */
int64_t sn_window_due(struct sn_window *w, int64_t now_ms);
/* When the oldest unconfirmed one was sent, 0 = none. */
int64_t sn_window_oldest(const struct sn_window *w);
/* The broker was blocked meanwhile: all waiting begins anew. */
void sn_window_restart_clock(struct sn_window *w, int64_t now_ms);
size_t sn_window_count(const struct sn_window *w);

#endif
