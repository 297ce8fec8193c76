/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of causes: for each stable code what happened, what holds now, and what to do. `dlq show`, `event`, the
 * runbook (docs/runbook.md) and the translations all come from this one table; ledger, log and JSON hold codes and
 * arguments only.
 *
 * A sentence may name arguments of the code as %{name}; %{target} is always given. Thread: any, no state.
 */
#ifndef SN_WORKER_CTL_CATALOGUE_H
#define SN_WORKER_CTL_CATALOGUE_H

#include <jansson.h>
#include <stddef.h>

#include "common/base/buf.h"

struct sn_cause {
    const char *code;
    const char *happened; /* English; the key of the translation */
    const char *holds;
    const char *todo;
};

/* Sorted by code. */
size_t sn_cause_count(void);
const struct sn_cause *sn_cause_at(size_t i);
/* NULL when the catalogue does not know the code. */
const struct sn_cause *sn_cause_find(const char *code);
/* A sentence with its arguments put in, escaped; an argument that is not given stays as its name. */
void sn_cause_fill(const char *sentence, const json_t *args, struct sn_buf *out);

#endif
