/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/broker/command.h"

#include <stdlib.h>

#include "common/base/text.h"

struct sn_command *sn_command_new(enum sn_command_kind kind, const char *queue, size_t ntags)
{
    struct sn_command *k = calloc(1, sizeof(*k) + ntags * sizeof(k->tags[0]));

    if (k == NULL)
        return NULL;
    if (queue != NULL && sn_text_copy(k->queue, sizeof(k->queue), queue) != 0) {
        free(k);
        return NULL;
    }
    k->kind = kind;
    k->ntags = ntags;
    return k;
}

void sn_command_push(struct sn_command_list *l, struct sn_command *k)
{
    if (l->tail != NULL)
        l->tail->next = k;
    else
        l->head = k;
    l->tail = k;
}

struct sn_command *sn_command_pop(struct sn_command_list *l)
{
    struct sn_command *k = l->head;

    if (k == NULL)
        return NULL;
    l->head = k->next;
    if (l->head == NULL)
        l->tail = NULL;
    return k;
}
