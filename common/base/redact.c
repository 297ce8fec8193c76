/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

#define MIN_SECRET 4

struct entry {
    struct entry *next;
    size_t len;
    unsigned count;
    char text[];
};

struct sn_redact {
    pthread_rwlock_t lock;
    struct entry *first;
};

struct sn_redact *sn_redact_new(void)
{
    struct sn_redact *r = calloc(1, sizeof(*r));

    if (r != NULL)
        (void)pthread_rwlock_init(&r->lock, NULL);
    return r;
}

static void entry_free(struct entry *e)
{
    explicit_bzero(e->text, e->len);
    free(e);
}

void sn_redact_free(struct sn_redact *r)
{
    if (r == NULL)
        return;
    while (r->first != NULL) {
        struct entry *e = r->first;
        r->first = e->next;
        entry_free(e);
    }
    (void)pthread_rwlock_destroy(&r->lock);
    free(r);
}

static struct entry **find(struct sn_redact *r, const char *secret, size_t len)
{
    struct entry **p = &r->first;

    while (*p != NULL && ((*p)->len != len || memcmp((*p)->text, secret, len) != 0))
        p = &(*p)->next;
    return p;
}

int sn_redact_add(struct sn_redact *r, const char *secret, size_t len)
{
    struct entry **at;
    struct entry *e;
    int rc = 0;

    if (r == NULL || len < MIN_SECRET)
        return 0;
    (void)pthread_rwlock_wrlock(&r->lock);
    at = find(r, secret, len);
    if (*at != NULL) {
        (*at)->count++;
        goto out;
    }
    e = malloc(sizeof(*e) + len);
    if (e == NULL) {
        rc = -1;
        goto out;
    }
    e->len = len;
    e->count = 1;
    memcpy(e->text, secret, len);
    /* longest first: a secret that contains another is masked whole */
    at = &r->first;
    while (*at != NULL && (*at)->len > len)
        at = &(*at)->next;
    e->next = *at;
    *at = e;
out:
    (void)pthread_rwlock_unlock(&r->lock);
    return rc;
}

void sn_redact_remove(struct sn_redact *r, const char *secret, size_t len)
{
    struct entry **at;

    if (r == NULL || len < MIN_SECRET)
        return;
    (void)pthread_rwlock_wrlock(&r->lock);
    at = find(r, secret, len);
    if (*at != NULL && --(*at)->count == 0) {
        struct entry *e = *at;
        *at = e->next;
        entry_free(e);
    }
    (void)pthread_rwlock_unlock(&r->lock);
}

void sn_redact_apply(struct sn_redact *r, struct sn_buf *out, const char *in, size_t len)
{
    size_t i = 0;

    if (r == NULL) {
        sn_buf_add(out, in, len);
        return;
    }
    (void)pthread_rwlock_rdlock(&r->lock);
    while (i < len) {
        const struct entry *e = r->first;
        while (e != NULL && (e->len > len - i || memcmp(e->text, in + i, e->len) != 0))
            e = e->next;
        if (e != NULL) {
            sn_buf_adds(out, "[secret]");
            i += e->len;
        } else {
            sn_buf_add(out, in + i, 1);
            i++;
        }
    }
    (void)pthread_rwlock_unlock(&r->lock);
}
