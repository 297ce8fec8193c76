/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every driver must keep, whatever it drives: the loop of drivers/driver.h against a world of the test's choice.
 *
 * A world answers operations: a fake in memory, or a real session. conform_carry() is the loop with its rules (reads and writes never
 * mixed, `have` wiped after a list that wrote, the same write list twice or 12 rounds = no-effect), without lease and journal;
 * it fails the running cmocka test on a breach of the contract.
 */
#ifndef SN_TESTS_CONFORMANCE_H
#define SN_TESTS_CONFORMANCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "drivers/driver.h"

struct conform_world {
    void (*exchange)(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply);
    void *arg;
    bool dry; /* stop before the first write */
};

enum conform_end { CONFORM_DONE, CONFORM_STUCK, CONFORM_LATER, CONFORM_REFUSED /* a reply ended it */, CONFORM_NO_EFFECT,
                   CONFORM_WOULD_WRITE };

struct conform_run {
    enum conform_end end;
    struct sn_verdict verdict; /* STUCK, LATER, REFUSED */
    enum sn_evidence evidence;
    size_t rounds, reads, writes;
    size_t asked;      /* replies that were good, before the first write */
    json_t *lines;     /* [["+", "line"], …] in the order of sending; with dry: those that would be written come last */
    json_t *holds, *reality;
};

/* memo: an object that outlives the run, as the record's does. */
void conform_carry(const struct sn_driver *driver, const struct sn_want *want, const struct conform_world *world, json_t *memo,
                   struct conform_run *ret);
void conform_run_fini(struct conform_run *run);

/* No write before a read was answered; ends in DONE; a repetition writes nothing and ends in DONE; a dry run before it writes nothing. */
void conform_reaches(const struct sn_driver *driver, const struct sn_want *want, const struct conform_world *world);

/* Replies made of noise and of broken pieces of `samples`: absorb() must not crash, and the driver must never be done.
 * seeds: number of runs. Samples that are true replies must describe another thing than the wanted one. */
void conform_survives_noise(const struct sn_driver *driver, const struct sn_want *want, const char *const *samples,
                            unsigned seeds);

#endif
