/* SPDX-License-Identifier: Apache-2.0 */
/* One-threaded event loop: epoll for descriptors, a binary heap for timers, a signalfd for the end. Nothing polls:
 * an idle simulator sleeps in epoll_wait until the next timer. All calls belong to the loop's thread. */
#ifndef SIM_LOOP_H
#define SIM_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct watch {
    int fd; /* -1 when not watched */
    uint32_t events;
    void (*ready)(struct watch *w, uint32_t events);
};

struct timer {
    uint64_t at_ms;
    size_t slot; /* heap place + 1; 0 when not running */
    void (*fire)(struct timer *t);
};

/* Gets the object that holds a watch or a timer. */
#define SIM_OF(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

struct loop *loop_new(void);
void loop_free(struct loop *l);
/* Runs until loop_stop(), SIGTERM or SIGINT. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Monotonic milliseconds. */
uint64_t sim_now_ms(void);

/* The caller keeps the watch alive until the batch after loop_unwatch() is over: free it with loop_later(). */
int loop_watch(struct loop *l, struct watch *w, int fd, uint32_t events);
void loop_rewatch(struct loop *l, struct watch *w, uint32_t events);
void loop_unwatch(struct loop *l, struct watch *w);

/* (Re)starts a timer; it fires once. */
void timer_start(struct loop *l, struct timer *t, uint64_t delay_ms);
void timer_stop(struct loop *l, struct timer *t);

/* Calls fn(arg) when the current batch of events has been handled. */
void loop_later(struct loop *l, void (*fn)(void *arg), void *arg);

#endif
