/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

/* The shortest secret that is searched for; the first so many bytes choose the bucket. */
#define MIN_SECRET 4
#define BUCKET_BITS 10
#define FORMS_MAX 3

/* One spelling of one secret. Within a bucket the longest comes first: a secret that begins with another is masked
 * whole. */
struct entry {
    struct entry *next;
    size_t len;
    unsigned count;
    char text[];
};

struct sn_redact {
    pthread_rwlock_t lock;
    struct entry *bucket[1u << BUCKET_BITS];
};

struct sn_redact *sn_redact_new(void)
{
    struct sn_redact *r = calloc(1, sizeof(*r));

    if (r != NULL && pthread_rwlock_init(&r->lock, NULL) != 0) {
        free(r);
        r = NULL;
    }
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
    for (size_t i = 0; i < sizeof(r->bucket) / sizeof(r->bucket[0]); i++) {
        while (r->bucket[i] != NULL) {
            struct entry *e = r->bucket[i];
            r->bucket[i] = e->next;
            entry_free(e);
        }
    }
    (void)pthread_rwlock_destroy(&r->lock);
    free(r);
}

static size_t bucket_of(const char *text)
{
    uint32_t first;

    memcpy(&first, text, sizeof(first));
    return (first * UINT32_C(2654435761)) >> (32 - BUCKET_BITS);
}

static struct entry **find(struct sn_redact *r, const char *text, size_t len)
{
    struct entry **at = &r->bucket[bucket_of(text)];

    while (*at != NULL && ((*at)->len != len || memcmp((*at)->text, text, len) != 0))
        at = &(*at)->next;
    return at;
}

static int add_entry(struct sn_redact *r, const char *text, size_t len)
{
    struct entry **at = find(r, text, len);
    struct entry *e;

    if (*at != NULL) {
        (*at)->count++;
        return 0;
    }
    e = malloc(sizeof(*e) + len);
    if (e == NULL)
        return -1;
    e->len = len;
    e->count = 1;
    memcpy(e->text, text, len);
    at = &r->bucket[bucket_of(text)];
    while (*at != NULL && (*at)->len > len)
        at = &(*at)->next;
    e->next = *at;
    *at = e;
    return 0;
}

static void remove_entry(struct sn_redact *r, const char *text, size_t len)
{
    struct entry **at = find(r, text, len);

    if (*at != NULL && --(*at)->count == 0) {
        struct entry *e = *at;
        *at = e->next;
        entry_free(e);
    }
}

static void spell_json(struct sn_buf *out, const char *in, size_t len)
{
    static const char SHORT[] = "\bb\ff\nn\rr\tt\"\"\\\\"; /* byte, letter after the backslash */

    for (size_t i = 0; i < len; i++) {
        const char *s = in[i] == '\0' ? NULL : strchr(SHORT, in[i]);
        if (s != NULL && (s - SHORT) % 2 == 0)
            sn_buf_addf(out, "\\%c", s[1]);
        else if ((unsigned char)in[i] < 0x20)
            sn_buf_addf(out, "\\u%04X", (unsigned)in[i]);
        else
            sn_buf_add(out, in + i, 1);
    }
}

/* The different spellings of a secret; forms[0] is the secret itself. Returns how many, 0 on memory. */
static size_t spell(struct sn_buf forms[FORMS_MAX], const char *secret, size_t len)
{
    size_t n = 1;

    sn_buf_add(&forms[0], secret, len);
    spell_json(&forms[n], secret, len);
    if (forms[n].failed)
        return 0;
    if (forms[n].len != len)
        n++;
    else
        sn_buf_clear(&forms[n]);
    sn_buf_add_escaped(&forms[n], secret, len);
    if (forms[0].failed || forms[n].failed)
        return 0;
    return forms[n].len != len ? n + 1 : n;
}

int sn_redact_add(struct sn_redact *r, const char *secret, size_t len)
{
    struct sn_buf forms[FORMS_MAX] = { SN_BUF_INIT };
    size_t n;
    size_t done = 0;

    if (r == NULL || len < MIN_SECRET)
        return 0;
    n = spell(forms, secret, len);
    (void)pthread_rwlock_wrlock(&r->lock);
    while (done < n && add_entry(r, forms[done].data, forms[done].len) == 0)
        done++;
    if (done < n) {
        for (size_t i = 0; i < done; i++)
            remove_entry(r, forms[i].data, forms[i].len);
    }
    (void)pthread_rwlock_unlock(&r->lock);
    for (size_t i = 0; i < FORMS_MAX; i++)
        sn_buf_fini(&forms[i]);
    return n > 0 && done == n ? 0 : -1;
}

void sn_redact_remove(struct sn_redact *r, const char *secret, size_t len)
{
    struct sn_buf forms[FORMS_MAX] = { SN_BUF_INIT };
    size_t n;

    if (r == NULL || len < MIN_SECRET)
        return;
    n = spell(forms, secret, len);
    (void)pthread_rwlock_wrlock(&r->lock);
    /* without memory for the other spellings they stay masked: too much hidden, never too little */
    if (n == 0)
        remove_entry(r, secret, len);
    for (size_t i = 0; i < n; i++)
        remove_entry(r, forms[i].data, forms[i].len);
    (void)pthread_rwlock_unlock(&r->lock);
    for (size_t i = 0; i < FORMS_MAX; i++)
        sn_buf_fini(&forms[i]);
}

/* Length of the longest live secret at the start of in, 0 when there is none. */
static size_t match(const struct sn_redact *r, const char *in, size_t len)
{
    const struct entry *e;

    if (len < MIN_SECRET)
        return 0;
    e = r->bucket[bucket_of(in)];
    while (e != NULL && (e->len > len || memcmp(e->text, in, e->len) != 0))
        e = e->next;
    return e != NULL ? e->len : 0;
}

void sn_redact_apply(struct sn_redact *r, struct sn_buf *out, const char *in, size_t len)
{
    size_t shown = 0;      /* in[..shown) is copied or masked */
    size_t masked_end = 0; /* in[..masked_end) belongs to a mask that is already written */

    if (r == NULL) {
        sn_buf_add(out, in, len);
        return;
    }
    (void)pthread_rwlock_rdlock(&r->lock);
    for (size_t i = 0; i < len; i++) {
        size_t n = match(r, in + i, len - i);
        if (n == 0)
            continue;
        if (i >= masked_end) {
            sn_buf_add(out, in + shown, i - shown);
            sn_buf_adds(out, "[secret]");
        }
        if (i + n > masked_end)
            masked_end = i + n;
        shown = masked_end;
    }
    (void)pthread_rwlock_unlock(&r->lock);
    sn_buf_add(out, in + shown, len - shown);
}
