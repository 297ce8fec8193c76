/* SPDX-License-Identifier: Apache-2.0 */
/* event, contract, dlq: what the ledger knows. */
#include <stdlib.h>
#include <string.h>

#include "worker/ctl/catalogue.h"
#include "worker/ctl/ctl.h"
#include "worker/ctl/past.h"
#include "worker/ctl/view.h"

static int limit_of(const struct sn_args *args, int otherwise, struct sn_error *err)
{
    const char *text = args->value[SN_FLAG_LIMIT];
    char *end;
    long n;

    if (text == NULL)
        return otherwise;
    n = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n < 1 || n > 10000)
        return sn_error_set(err, "usage.limit", "--limit wants a number from 1 to 10000, not %s", text);
    return (int)n;
}

int sn_cmd_event(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    char id[SN_UUID_TEXT_MAX];
    struct sn_pg *pg;
    json_t *event;

    if (sn_ctl_pg(ctl, &pg, err) != 0 || sn_past_event_id(pg, args->words[0], ctl->timeout_ms, id, err) != 0 ||
        sn_past_event(pg, id, ctl->timeout_ms, &event, err) != 0)
        return -1;
    return sn_ctl_answer(ctl, "event", event, args->given[SN_FLAG_RAW] ? sn_view_event_raw : sn_view_event, err);
}

int sn_cmd_contract(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    int limit = limit_of(args, 20, err);
    struct sn_pg *pg;
    json_t *contract;

    if (limit < 0 || sn_ctl_pg(ctl, &pg, err) != 0 ||
        sn_past_contract(pg, args->words[0], limit, ctl->timeout_ms, &contract, err) != 0)
        return -1;
    return sn_ctl_answer(ctl, "contract", contract, sn_view_contract, err);
}

/* ---- dead letters ---- */

/* JSON carries the English sentences beside code and arguments, so that a script need not know the catalogue. */
static void add_sentences(json_t *letter)
{
    const struct sn_cause *cause = sn_cause_find(sn_json_text(letter, "code"));
    const char *const keys[] = { "what", "holds", "next" };

    if (cause == NULL)
        return;
    const char *const sentences[] = { cause->happened, cause->holds, cause->todo };
    for (size_t i = 0; i < 3; i++) {
        struct sn_buf text = SN_BUF_INIT;
        sn_cause_fill(sentences[i], json_object_get(letter, "args"), &text);
        (void)json_object_set_new(letter, keys[i], json_string(sn_buf_str(&text)));
        sn_buf_fini(&text);
    }
}

int sn_cmd_dlq_list(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    int limit = limit_of(args, 100, err);
    struct sn_pg *pg;
    json_t *list, *letter;
    size_t i;

    if (limit < 0 || sn_ctl_pg(ctl, &pg, err) != 0 ||
        sn_past_letters(pg, args->value[SN_FLAG_CAUSE], args->value[SN_FLAG_DEVICE], limit, ctl->timeout_ms, &list,
                        err) != 0)
        return -1;
    json_array_foreach (json_object_get(list, "letters"), i, letter)
        add_sentences(letter);
    return sn_ctl_answer_list(ctl, "letter", list, "letters", sn_view_letters, err);
}

int sn_cmd_dlq_groups(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    struct sn_pg *pg;
    json_t *list;

    (void)args;
    if (sn_ctl_pg(ctl, &pg, err) != 0 || sn_past_letter_groups(pg, ctl->timeout_ms, &list, err) != 0)
        return -1;
    return sn_ctl_answer_list(ctl, "letter-group", list, "groups", sn_view_letter_groups, err);
}

/* The letter is the event's last death, seen from the person who has to act. */
int sn_cmd_dlq_show(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    char id[SN_UUID_TEXT_MAX];
    struct sn_pg *pg;
    json_t *event, *letters, *newest;

    if (sn_ctl_pg(ctl, &pg, err) != 0 || sn_past_event_id(pg, args->words[0], ctl->timeout_ms, id, err) != 0 ||
        sn_past_event(pg, id, ctl->timeout_ms, &event, err) != 0)
        return -1;
    letters = json_object_get(event, "letters");
    newest = json_array_get(letters, json_array_size(letters) - 1);
    if (json_array_size(letters) == 0) {
        json_decref(event);
        return sn_error_set(err, "letter.not-found", "%s is not among the dead letters", args->words[0]);
    }
    (void)json_object_update(event, newest); /* code, state, died_at, replay of the letter */
    (void)json_object_del(event, "letters");
    add_sentences(event);
    return sn_ctl_answer(ctl, "letter", event, sn_view_letter, err);
}
