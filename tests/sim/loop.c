/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

struct later {
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    int epoll;
    bool stop;
    struct timer **heap;
    size_t timers, heap_cap;
    struct later *later;
    size_t laters, later_cap;
    struct watch signals;
};

uint64_t sim_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void on_signal(struct watch *w, uint32_t events)
{
    (void)events;
    struct signalfd_siginfo info;
    if (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        SIM_OF(w, struct loop, signals)->stop = true;
    }
}

struct loop *loop_new(void)
{
    struct loop *l = sim_alloc(sizeof *l);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->signals.ready = on_signal;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (l->epoll < 0 || fd < 0 || loop_watch(l, &l->signals, fd, EPOLLIN) != 0) {
        abort();
    }
    return l;
}

void loop_free(struct loop *l)
{
    close(l->signals.fd);
    close(l->epoll);
    free(l->heap);
    free(l->later);
    free(l);
}

void loop_stop(struct loop *l)
{
    l->stop = true;
}

int loop_watch(struct loop *l, struct watch *w, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.ptr = w}};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        return -1;
    }
    w->fd = fd;
    w->events = events;
    return 0;
}

void loop_rewatch(struct loop *l, struct watch *w, uint32_t events)
{
    if (w->fd < 0 || w->events == events) {
        return;
    }
    struct epoll_event ev = {.events = events, .data = {.ptr = w}};
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &ev);
    w->events = events;
}

void loop_unwatch(struct loop *l, struct watch *w)
{
    if (w->fd >= 0) {
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
        w->fd = -1;
    }
}

static void heap_put(struct loop *l, size_t i, struct timer *t)
{
    l->heap[i] = t;
    t->slot = i + 1;
}

static void heap_up(struct loop *l, size_t i)
{
    struct timer *t = l->heap[i];
    while (i > 0 && l->heap[(i - 1) / 2]->at_ms > t->at_ms) {
        heap_put(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(l, i, t);
}

static void heap_down(struct loop *l, size_t i)
{
    struct timer *t = l->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= l->timers) {
            break;
        }
        if (child + 1 < l->timers && l->heap[child + 1]->at_ms < l->heap[child]->at_ms) {
            child++;
        }
        if (l->heap[child]->at_ms >= t->at_ms) {
            break;
        }
        heap_put(l, i, l->heap[child]);
        i = child;
    }
    heap_put(l, i, t);
}

void timer_stop(struct loop *l, struct timer *t)
{
    if (t->slot == 0) {
        return;
    }
    size_t i = t->slot - 1;
    t->slot = 0;
    struct timer *last = l->heap[--l->timers];
    if (last != t) {
        heap_put(l, i, last);
        heap_up(l, i);
        heap_down(l, last->slot - 1);
    }
}

void timer_start(struct loop *l, struct timer *t, uint64_t delay_ms)
{
    timer_stop(l, t);
    t->at_ms = sim_now_ms() + delay_ms;
    void *heap = l->heap;
    sim_grow(&heap, l->timers, &l->heap_cap, sizeof *l->heap);
    l->heap = heap;
    heap_put(l, l->timers, t);
    l->timers++;
    heap_up(l, l->timers - 1);
}

void loop_later(struct loop *l, void (*fn)(void *arg), void *arg)
{
    void *list = l->later;
    sim_grow(&list, l->laters, &l->later_cap, sizeof *l->later);
    l->later = list;
    l->later[l->laters++] = (struct later){fn, arg};
}

static void run_later(struct loop *l)
{
    for (size_t i = 0; i < l->laters; i++) { /* fn may add more: they run in this pass too */
        struct later next = l->later[i];
        next.fn(next.arg);
    }
    l->laters = 0;
}

static int next_wait_ms(const struct loop *l)
{
    if (l->timers == 0) {
        return -1;
    }
    uint64_t now = sim_now_ms();
    uint64_t at = l->heap[0]->at_ms;
    uint64_t wait = at > now ? at - now : 0;
    return wait > 3600000 ? 3600000 : (int)wait;
}

void loop_run(struct loop *l)
{
    while (!l->stop) {
        struct epoll_event ev[128];
        int n = epoll_wait(l->epoll, ev, 128, next_wait_ms(l));
        if (n < 0 && errno != EINTR) {
            abort();
        }
        for (int i = 0; i < n; i++) {
            struct watch *w = ev[i].data.ptr;
            if (w->fd >= 0) {
                w->ready(w, ev[i].events);
            }
        }
        uint64_t now = sim_now_ms();
        while (l->timers > 0 && l->heap[0]->at_ms <= now) {
            struct timer *t = l->heap[0];
            timer_stop(l, t);
            t->fire(t);
        }
        run_later(l);
    }
    run_later(l);
}
