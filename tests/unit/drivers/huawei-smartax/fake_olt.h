/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OLT in memory that knows the lines of the driver and answers in the words of a device: enough for the loop, without SSH and dialogue
 * (those are tested against tests/sim).
 */
#ifndef SN_TESTS_FAKE_OLT_H
#define SN_TESTS_FAKE_OLT_H

#include "drivers/driver.h"

#define FAKE_MAX 32

struct fake_olt {
    struct fake_ont {
        int slot, port, id, line, service;
        char sn[17], desc[128];
        bool off;
        unsigned eth_off;
    } onts[FAKE_MAX];
    struct fake_flow {
        int index, vlan, slot, port, ont, gem, user, rx, tx;
    } flows[FAKE_MAX];
    struct fake_table {
        int index, rate;
        char name[33];
    } tables[FAKE_MAX];
    int n_onts, n_flows, n_tables;
    unsigned long lose_at; /* the n-th write is done, its reply lost; 0: never */
    bool before;           /* … or lost before it was done */
    unsigned long writes;
    const char *refuse_line, *refuse_text; /* a write that begins so is refused with this text */
    bool refuse_keeps;     /* … although it is done */
    bool refuse_always;    /* not only once */
};

void fake_olt_exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply);

#endif
