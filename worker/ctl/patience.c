/* SPDX-License-Identifier: Apache-2.0 */
/* A second thread that speaks when the first one waits. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "worker/ctl/ctl.h"

#define SILENCE_MS 1000

struct sn_patience {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char what[256];
    bool unsaid, over;
};

static void *speak(void *arg)
{
    struct sn_patience *p = arg;
    int64_t at_ms = sn_clock_mono_ms() + SILENCE_MS;
    struct timespec until = { .tv_sec = at_ms / 1000, .tv_nsec = (long)(at_ms % 1000) * 1000000 };
    int rc = 0;

    pthread_mutex_lock(&p->lock);
    while (!p->over && rc == 0)
        rc = pthread_cond_timedwait(&p->changed, &p->lock, &until);
    while (!p->over) {
        if (p->unsaid)
            sn_ctl_say("%s", p->what);
        p->unsaid = false;
        (void)pthread_cond_wait(&p->changed, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct sn_patience *sn_patience_begin(const char *what)
{
    struct sn_patience *p = calloc(1, sizeof(*p));
    pthread_condattr_t monotonic;

    if (p == NULL)
        return NULL;
    (void)snprintf(p->what, sizeof(p->what), "%s", what);
    p->unsaid = true;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&p->thread, NULL, speak, p) != 0) {
        free(p);
        return NULL;
    }
    return p;
}

void sn_patience_change(struct sn_patience *p, const char *what)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    if (strcmp(p->what, what) != 0) {
        (void)snprintf(p->what, sizeof(p->what), "%s", what);
        p->unsaid = true;
        pthread_cond_signal(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
}

void sn_patience_end(struct sn_patience *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->over = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    (void)pthread_join(p->thread, NULL);
    (void)pthread_cond_destroy(&p->changed);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}
