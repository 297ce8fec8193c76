/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured log lines and the redactor that stands before every sink.
 *
 * One line an event: `2026-11-23T04:00:00.123Z info worker "job done" event=3f2a… outcome=applied`, or JSON, to
 * stderr. Values are escaped (common/base/text.h); every value passes the redactor first. Library code does not log:
 * it returns struct sn_error and the program logs it once, with the object that it concerns as a field.
 * Thread: any; one line is one write().
 */
#ifndef SN_COMMON_BASE_LOG_H
#define SN_COMMON_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"

enum sn_log_level { SN_LOG_ERROR, SN_LOG_WARN, SN_LOG_INFO, SN_LOG_DEBUG };

struct sn_redact; /* set of live secrets */

struct sn_log {
    enum sn_log_level level;
    bool json;
    int fd;                   /* 2 unless a test says otherwise */
    struct sn_redact *redact; /* may be NULL */
};

/* fields: alternating key, value strings, ended by NULL. A NULL value is printed as "-". */
void sn_log(const struct sn_log *log, enum sn_log_level level, const char *area, const char *text, ...)
    __attribute__((sentinel));

/* First thing in main: a standard stream that is closed is opened on /dev/null. Else its number would go to the next socket, and what is meant
 * for people would be sent to a server or a device. */
void sn_log_keep_streams(void);

/* The redactor: remembers secrets while they are live and replaces them in text by "[secret]", also where they stand
 * as a JSON string would hold them or as sn_text_escape() shows them. Secrets that overlap are masked as one.
 * Secrets shorter than 4 bytes are not searched for (they would mask ordinary text); they are wiped with their owner.
 */
struct sn_redact *sn_redact_new(void);
void sn_redact_free(struct sn_redact *r);
/* Registers a copy; registering the same secret twice counts. Returns 0, or -1 on memory. */
int sn_redact_add(struct sn_redact *r, const char *secret, size_t len) SN_MUSTCHECK;
/* Counts down; at zero the copy is wiped after all. Unknown secrets are ignored. */
void sn_redact_remove(struct sn_redact *r, const char *secret, size_t len);
/* Appends in[0..len) to out with every live secret replaced. r may be NULL (then plain copy). */
void sn_redact_apply(struct sn_redact *r, struct sn_buf *out, const char *in, size_t len);

#endif
