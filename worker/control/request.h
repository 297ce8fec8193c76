/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A person's request as it comes over silver.ctl: foreign bytes, until they have been read here. Pure. Thread: any.
 */
#ifndef SN_WORKER_CONTROL_REQUEST_H
#define SN_WORKER_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/schema/schema.h"

/* Every text holds what the schema lets through, whole: no control bytes. */
struct sn_request {
    char id[SN_UUID_TEXT_MAX];
    char what[32];       /* "plan", "device-pause", … */
    char device[64];     /* "" = none */
    char by[64];         /* who asks, "" = not said */
    int64_t deadline_ms; /* wall clock: nobody waits for an answer any more */
    json_t *args;        /* own reference; NULL when there are none */
};

/* Fills *ret, to be freed by sn_request_fini(). Errors: document.* (no JSON within the limits), document.shape (not as
 * schemas/ctl/v1 says); then nothing is left to be freed, and of *ret only the id may be filled, "" when there is none. */
int sn_request_read(const struct sn_schemas *schemas, const char *body, size_t len, struct sn_request *ret,
                    struct sn_error *err) SN_MUSTCHECK;
void sn_request_fini(struct sn_request *r);

#endif
