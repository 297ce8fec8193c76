/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that a test orders for one OLT. Each waits for its n-th chance (from the order on), fires `count` times
 * (-1: until cleared or its time is over) and may be limited to commands that match an extended regular expression. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "model.h"

struct fault {
    struct fault *next;
    char kind[24];
    char *match; /* NULL: any */
    regex_t regex;
    unsigned skip; /* chances still to let pass */
    int count;     /* times left, -1 no limit */
    uint64_t until_ms; /* 0 no limit */
    unsigned fired;
    json_t *args; /* owned: the order as given */
};

extern const char *const fault_kinds[]; /* NULL-terminated */

/* NULL and a reason in err when the order is not understood. */
struct fault *fault_add(struct olt *olt, json_t *order, struct text *err);
/* Is a fault of this kind due for this line (NULL: no command)? Counts the chance. The fault stays owned by the OLT. */
const struct fault *fault_take(struct olt *olt, const char *kind, const char *line);
void fault_clear(struct olt *olt, const char *kind); /* NULL: all */
json_t *fault_list(struct olt *olt);
long fault_number(const struct fault *f, const char *name, long otherwise);
bool fault_flag(const struct fault *f, const char *name, bool otherwise);
const char *fault_string(const struct fault *f, const char *name, const char *otherwise);

#endif
