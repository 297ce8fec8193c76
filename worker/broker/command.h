/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other threads ask of the consumer's thread, in their order; private to this folder.
 * Thread: the list's lock is the consumer's; a command belongs to the list, then to the consumer's thread, which frees it.
 */
#ifndef SN_WORKER_BROKER_COMMAND_H
#define SN_WORKER_BROKER_COMMAND_H

#include <stddef.h>
#include <stdint.h>

enum sn_command_kind {
    SN_COMMAND_WANT,
    SN_COMMAND_OWN_QUEUE,
    SN_COMMAND_UNWANT,
    SN_COMMAND_ACK, /* the cancel of queue when it is not "", then the tags */
    SN_COMMAND_NACK,
};

struct sn_command {
    struct sn_command *next;
    enum sn_command_kind kind;
    char queue[96];
    char exchange[96];
    char key[256];
    int prefetch;
    int ttl_ms;
    uint64_t link;
    size_t ntags;
    uint64_t tags[];
};

struct sn_command_list {
    struct sn_command *head, *tail;
};

/* NULL on memory, or when the queue's name does not fit. queue may be NULL. */
struct sn_command *sn_command_new(enum sn_command_kind kind, const char *queue, size_t ntags);
void sn_command_push(struct sn_command_list *l, struct sn_command *k);
struct sn_command *sn_command_pop(struct sn_command_list *l);

#endif
