/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of one exchange with a target. A driver says it, the core (worker/job/settle.c) decides what becomes of the
 * job: no driver retries, sleeps or reconnects.
 * Thread: any; a verdict belongs to its holder.
 */
#ifndef SN_DRIVERS_VERDICT_H
#define SN_DRIVERS_VERDICT_H

#include <jansson.h>

#include "common/base/error.h"

/* X-macro: enum name, word in logs and results. Keep the order: settle.c and its test have one row for each. */
#define SN_CLASSES(X)                                                                                                   \
    X(SN_OK, "ok")                             /* a whole, understood, good answer */                                   \
    X(SN_AGAIN, "again")                       /* something was learned (an id is taken, it exists already): read again */ \
    X(SN_UNKNOWN, "unknown")                   /* sent, no whole answer: may have been done. The next step is to read */ \
    X(SN_TRANSIENT_JOB, "transient-job")       /* this job later: ONU not online, NAK 504/506 */                        \
    X(SN_CONFLICT, "conflict")                 /* another contract's mark or claim stands on the thing */               \
    X(SN_TRANSIENT_DEVICE, "transient-device") /* the device later: busy, saving, session quota */                      \
    X(SN_UNREACHABLE, "unreachable")           /* nothing was sent, or nothing of it can have been done */              \
    X(SN_AUTH, "auth")                         /* login refused, host key changed: a person must look */                \
    X(SN_PERMANENT, "permanent")               /* the device says no, and will say no again */                          \
    X(SN_INVALID, "invalid")                   /* the event asks for what cannot be meant */                            \
    X(SN_BUG, "bug")                           /* a reply that the driver does not understand */                        \
    X(SN_SUPERSEDED, "superseded")             /* a newer generation was accepted meanwhile (the target's own fence) */ \
    X(SN_LOST, "lost")                         /* we no longer own the target: stop at once */

enum sn_class {
#define X(name, word) name,
    SN_CLASSES(X)
#undef X
    SN_CLASS_COUNT
};

const char *sn_class_word(enum sn_class c);

/* Owned by whoever holds it; args is an own reference or NULL. */
struct sn_verdict {
    enum sn_class class;
    char code[SN_CODE_MAX]; /* stable, `huawei.line-profile-missing`; "" with SN_OK. Every code has its row in the catalogue */
    char text[256];         /* one English sentence for the log; device text in it is escaped */
    json_t *args;           /* arguments of the catalogue's sentences: {"profile": "30"}; no secrets */
};

/* Fills v (dropping what it held). text is formatted and escaped. */
void sn_verdict_set(struct sn_verdict *v, enum sn_class class, const char *code, const char *fmt, ...) SN_PRINTF(4, 5);
/* Adds one string argument, escaped. Memory failures are dropped: the verdict still stands. */
void sn_verdict_arg(struct sn_verdict *v, const char *key, const char *value);
void sn_verdict_copy(struct sn_verdict *to, const struct sn_verdict *from);
void sn_verdict_fini(struct sn_verdict *v);

#endif
