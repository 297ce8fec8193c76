/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/huawei-smartax/huawei.h"

#define TAKEN_MAX 64
#define NO_MEMORY (-2) /* of a reading: nothing is wrong with the reply */

static void note_taken(json_t *memo, const char *what, int64_t number)
{
    json_t *taken = json_object_get(memo, "taken"), *list;

    /* looked up again: what cannot be put in is freed */
    if (taken == NULL) {
        (void)json_object_set_new(memo, "taken", json_object());
        taken = json_object_get(memo, "taken");
    }
    list = json_object_get(taken, what);
    if (list == NULL) {
        (void)json_object_set_new(taken, what, json_array());
        list = json_object_get(taken, what);
    }
    if (json_array_size(list) < TAKEN_MAX)
        (void)json_array_append_new(list, json_integer(number));
}

bool hw_memo_taken(const json_t *memo, const char *what, int number)
{
    size_t i;
    json_t *one;

    json_array_foreach(json_object_get(json_object_get(memo, "taken"), what), i, one) {
        if (json_integer_value(one) == number)
            return true;
    }
    return false;
}

bool hw_rate_is(int64_t shown, int64_t wanted)
{
    if (wanted < 64)
        wanted = 64;
    return shown <= wanted && shown > wanted - 64;
}

static void unexpected(struct sn_verdict *ret, const struct sn_op *op)
{
    sn_verdict_set(ret, SN_BUG, "huawei.unexpected-reply", "the reply to %s cannot be read", op->line);
}

/* ---- reads: each sets what is known, or says that it cannot read the reply ---- */

static int read_onu(const struct sn_op *op, const char *text, bool refused, struct hw_have *h)
{
    struct hw_onu onu;
    char serial[HW_SERIAL_MAX];

    if (refused) {
        memset(&h->onu, 0, sizeof(h->onu));
    } else {
        /* The serial guards against a reply that belongs to another question. */
        if (hw_parse_onu(text, &onu, serial) < 0 || strcmp(serial, op->s[0]) != 0)
            return -1;
        h->onu = onu;
    }
    h->onu_read = true;
    return 0;
}

static int read_autofind(const struct sn_want *want, const char *text, bool refused, struct hw_have *h, json_t *memo)
{
    bool found = false;
    char serial[HW_SERIAL_MAX];

    if (hw_serial(json_string_value(json_object_get(want->key, "serial")) == NULL
                      ? ""
                      : json_string_value(json_object_get(want->key, "serial")),
                  serial) < 0)
        return -1;
    if (!refused && hw_parse_autofind(text, serial, &found, &h->autofind_at) < 0)
        return -1;
    h->autofind = found ? HW_PRESENT : HW_ABSENT;
    (void)json_object_set_new(memo, "autofind", json_string(found ? "seen" : "unseen"));
    return 0;
}

static struct hw_place op_place(const struct sn_op *op)
{
    return (struct hw_place){(int)op->n[5], (int)op->n[6], (int)op->n[7]};
}

static int read_port_flows(const struct sn_op *op, const char *text, bool refused, struct hw_have *h)
{
    /* A port holds more service-ports than one ONT: a room of its own, of which only the ONT ids are kept. */
    static const size_t room = 2048;
    struct hw_place at = op_place(op);
    struct hw_flow *flows;
    size_t n = room;
    int ret = 0;

    if (!refused) {
        flows = calloc(room, sizeof(*flows));
        if (flows == NULL)
            return NO_MEMORY;
        ret = hw_parse_flows(text, &at, flows, &n);
        for (size_t i = 0; ret == 0 && i < n; i++)
            hw_bit_set(h->ont_used, flows[i].ont);
        free(flows);
    }
    h->port_flows_read = ret == 0;
    return ret;
}

static int read_flows(const struct sn_op *op, const char *text, bool refused, struct hw_have *h)
{
    struct hw_place at = op_place(op);

    h->n_flows = refused ? 0 : HW_FLOWS_MAX;
    if (!refused && hw_parse_flows(text, &at, h->flows, &h->n_flows) < 0) {
        h->n_flows = 0;
        return -1;
    }
    for (size_t i = 0; i < h->n_flows; i++) {
        if (h->flows[i].ont != op->n[0])
            return -1;
    }
    h->flows_read = true;
    return 0;
}

static int read_profiles(const struct sn_want *want, const struct sn_op *op, const char *text, struct hw_have *h)
{
    struct hw_want w;
    bool line = op->verb == HW_READ_LINES;
    int id;

    if (hw_want_read(want, &w) < 0 || hw_parse_profiles(text, line ? w.line : w.service, &id) < 0)
        return -1;
    *(line ? &h->line : &h->service) = id < 0 ? HW_ABSENT : HW_PRESENT;
    *(line ? &h->line_id : &h->service_id) = id;
    return 0;
}

/* A traffic table by name. A release that does not know the command is asked for the list instead. */
static int read_table(const struct sn_op *op, const char *text, const struct sn_cli_fault *f, struct hw_have *h, json_t *memo)
{
    struct hw_table *t = &h->table[op->n[0] == HW_UP ? HW_UP : HW_DOWN];
    char name[HW_NAME_MAX];
    int64_t cir = 0, pir = 0;
    int index = 0;

    if (f != NULL && f->id == HW_FAULT_NO_TABLE) {
        t->known = HW_ABSENT;
        return 0;
    }
    if (f != NULL || hw_parse_table(text, name, sizeof(name), &index, &cir, &pir) < 0) {
        (void)json_object_set_new(memo, "by_list", json_true());
        return 0;
    }
    if (name[0] != '\0' && strcmp(name, op->s[0]) != 0)
        return -1;
    t->known = HW_PRESENT;
    t->index = index;
    t->differs = !hw_rate_is(cir, op->n[1]) || !hw_rate_is(pir, op->n[1]);
    return 0;
}

static void table_row(const struct sn_want *want, const struct hw_table_row *row, struct hw_have *h, const json_t *memo)
{
    struct hw_want w;

    hw_bit_set(h->table_used, row->index);
    if (!json_is_true(json_object_get(memo, "by_list")) || hw_want_read(want, &w) < 0)
        return;
    for (int way = 0; way < 2; way++) {
        char name[HW_NAME_MAX];
        bool same = row->priority == w.priority && hw_rate_is(row->cir, w.kbps[way]) && hw_rate_is(row->pir, w.kbps[way]);

        hw_table_name(&w, (enum hw_way)way, name);
        if (h->table[way].known == HW_PRESENT || (row->name[0] != '\0' ? strcmp(row->name, name) != 0 : !same))
            continue;
        h->table[way] = (struct hw_table){.known = HW_PRESENT, .index = row->index, .differs = !same};
    }
}

static int read_tables(const struct sn_want *want, const char *text, bool refused, struct hw_have *h, const json_t *memo)
{
    size_t n = 0;

    for (const char *line = text; !refused && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        struct hw_table_row row;

        if (hw_parse_table_row(line, len, &row)) {
            table_row(want, &row, h, memo);
            n++;
        }
        line += line[len] == '\0' ? len : len + 1;
    }
    if (!refused && n == 0)
        return -1;
    for (int way = 0; way < 2; way++) {
        if (h->table[way].known == HW_UNREAD && json_is_true(json_object_get(memo, "by_list")))
            h->table[way].known = HW_ABSENT;
    }
    h->tables_read = true;
    return 0;
}

/* Is a service-port index free? Only a clear "does not exist" says so. */
static int read_index(const struct sn_op *op, const struct sn_cli_fault *f, struct hw_have *h)
{
    if (h->n_probes < HW_PROBES_MAX) {
        h->probes[h->n_probes].index = (int)op->n[0];
        h->probes[h->n_probes].free = f != NULL && f->id == HW_FAULT_NO_FLOW;
        h->n_probes++;
    }
    return f != NULL && f->id != HW_FAULT_NO_FLOW ? -1 : 0;
}

static int read_next_index(const char *text, const struct sn_cli_fault *f, struct hw_have *h)
{
    h->next_index_read = true;
    if (f != NULL || hw_parse_next_index(text, &h->next_index) < 0)
        h->next_index = -1;
    return 0;
}

/* An unknown layout is no fault: then the acknowledgement of our write is all there is (memo). */
static void read_eth(const struct sn_op *op, const char *text, bool refused, struct hw_have *h)
{
    bool off = false, known = !refused && hw_parse_eth(text, (int)op->n[0], &off) == 0;

    if (h->n_eth >= HW_ETH_MAX)
        return;
    h->eth[h->n_eth].port = (int)op->n[0];
    h->eth[h->n_eth].known = known ? HW_PRESENT : HW_ABSENT;
    h->eth[h->n_eth++].off = off;
}

static int read_one(const struct sn_want *want, const struct sn_op *op, const char *text, const struct sn_cli_fault *f,
                    struct hw_have *h, json_t *memo)
{
    bool refused = f != NULL;
    struct hw_place at = op_place(op);

    switch ((enum hw_verb)op->verb) {
    case HW_READ_ONU:
        return refused && f->id != HW_FAULT_NO_ONT ? -1 : read_onu(op, text, refused, h);
    case HW_READ_AUTOFIND:
        return refused && f->id != HW_FAULT_NONE_FOUND ? -1 : read_autofind(want, text, refused, h, memo);
    case HW_READ_PORT:
        if (refused && f->id != HW_FAULT_NONE_FOUND && f->id != HW_FAULT_NO_ONT)
            return -1;
        h->port_read = refused || hw_parse_port(text, &at, h->ont_used) == 0;
        return h->port_read ? 0 : -1;
    case HW_READ_PORT_FLOWS:
        return refused && f->id != HW_FAULT_NO_FLOW ? -1 : read_port_flows(op, text, refused, h);
    case HW_READ_LINES:
    case HW_READ_SERVICES:
        return refused ? -1 : read_profiles(want, op, text, h);
    case HW_READ_TABLE:
        return read_table(op, text, f, h, memo);
    case HW_READ_TABLES:
        return refused && f->id != HW_FAULT_NO_TABLE ? -1 : read_tables(want, text, refused, h, memo);
    case HW_READ_FLOWS:
        return refused && f->id != HW_FAULT_NO_FLOW ? -1 : read_flows(op, text, refused, h);
    case HW_READ_INDEX:
        return read_index(op, f, h);
    case HW_READ_NEXT_INDEX:
        return read_next_index(text, f, h);
    case HW_READ_ETH:
        read_eth(op, text, refused, h);
        return 0;
    case HW_READ_OPTICAL:
        h->optical_read = true;
        h->optical_known = !refused && hw_parse_optical(text, &h->rx_dbm) == 0;
        return 0;
    default:
        return -1;
    }
}

/* The bare sentence with which some displays answer, instead of a failure. */
static const struct sn_cli_fault *judge_read(const struct sn_op *op, const char *text, char *joined, size_t size)
{
    bool bare = (op->verb == HW_READ_ONU || op->verb == HW_READ_PORT) && strlen(text) < 80;

    return sn_cli_judge(&hw_dialect, text, bare, joined, size);
}

static void absorb_read(const struct sn_want *want, const struct sn_op *op, const char *text, struct hw_have *h, json_t *memo,
                        struct sn_verdict *ret)
{
    char joined[256];
    const struct sn_cli_fault *f = judge_read(op, text, joined, sizeof(joined));

    if (f != NULL && f->class == SN_TRANSIENT_DEVICE) {
        sn_verdict_set(ret, f->class, f->code, "%s", joined);
        return;
    }
    switch (read_one(want, op, text, f, h, memo)) {
    case 0:
        return;
    case NO_MEMORY:
        sn_verdict_set(ret, SN_TRANSIENT_JOB, SN_CODE_OOM, "out of memory");
        return;
    default:
        break;
    }
    if (f == NULL || f->class == SN_OK || f->class == SN_AGAIN) {
        unexpected(ret, op);
        return;
    }
    sn_verdict_set(ret, f->class, f->code, "%s: %s", op->line, joined);
    sn_verdict_arg(ret, "said", joined);
    sn_verdict_arg(ret, "line", op->line);
}

/* ---- writes ---- */

/* What a refusal teaches, noted for the next round. */
static void learn(const struct sn_op *op, const struct sn_cli_fault *f, json_t *memo)
{
    if (op->verb == HW_ADD && f->id == HW_FAULT_ID_TAKEN)
        note_taken(memo, "ont", op->n[0]);
    if (op->verb == HW_FLOW_ADD && f->id == HW_FAULT_FLOW_EXISTS)
        note_taken(memo, "index", op->n[0]);
    if (op->verb == HW_TABLE_ADD && f->id == HW_FAULT_TABLE_EXISTS)
        note_taken(memo, "table", op->n[0]);
}

/* Is the refusal what we wanted anyway? */
static bool already(const struct sn_op *op, const struct sn_cli_fault *f)
{
    return f->id == HW_FAULT_REPEATED || (op->verb == HW_DELETE && f->id == HW_FAULT_NO_ONT) ||
           (op->verb == HW_FLOW_UNDO && (f->id == HW_FAULT_NO_FLOW || f->id == HW_FAULT_NO_ONT));
}

/* Some writes must say that they did something; silence means that nothing happened. */
static bool confirmed(const struct sn_op *op, const char *text)
{
    const char *success = strstr(text, "success:");

    if (op->verb != HW_ADD && op->verb != HW_DELETE)
        return true;
    if (success != NULL) {
        success += strlen("success:");
        success += strspn(success, " ");
        return *success >= '1' && *success <= '9';
    }
    return op->verb == HW_ADD && strstr(text, "ONTID :") != NULL;
}

/* People want to know which profile. */
static void name_profile(const struct sn_want *want, const struct sn_cli_fault *f, struct sn_verdict *ret)
{
    struct hw_want w;

    if (hw_want_read(want, &w) < 0)
        return;
    if (strcmp(f->code, "huawei.line-profile-missing") == 0)
        sn_verdict_arg(ret, "profile", w.line);
    else if (strcmp(f->code, "huawei.service-profile-missing") == 0)
        sn_verdict_arg(ret, "profile", w.service);
}

static void absorb_write(const struct sn_want *want, const struct sn_op *op, const char *text, json_t *memo, struct sn_verdict *ret)
{
    char joined[256];
    const struct sn_cli_fault *f = sn_cli_judge(&hw_dialect, text, true, joined, sizeof(joined));

    if (op->verb == HW_ETH && (f == NULL || f->id == HW_FAULT_REPEATED)) {
        char port[16];

        (void)snprintf(port, sizeof(port), "%d", (int)op->n[0]);
        if (!json_is_object(json_object_get(memo, "eth")))
            (void)json_object_set_new(memo, "eth", json_object());
        (void)json_object_set_new(json_object_get(memo, "eth"), port, json_string(op->n[1] ? "on" : "off"));
    }
    if (f == NULL) {
        if (!confirmed(op, text))
            sn_verdict_set(ret, SN_AGAIN, "huawei.no-confirmation", "%s was not confirmed", op->line);
        return;
    }
    if (already(op, f))
        return;
    learn(op, f, memo);
    sn_verdict_set(ret, f->class == SN_OK ? SN_AGAIN : f->class, f->code, "%s: %s", op->line, joined);
    sn_verdict_arg(ret, "said", joined);
    sn_verdict_arg(ret, "line", op->line);
    name_profile(want, f, ret);
}

void hw_absorb(const struct sn_want *want, const struct sn_op *op, const struct sn_reply *reply, void *have, json_t *memo,
               struct sn_verdict *ret)
{
    if (reply->verdict.class != SN_OK)
        return; /* sent, but unanswered: nothing is known, the next step reads */
    if (op->kind == SN_READ)
        absorb_read(want, op, sn_buf_str(&reply->text), have, memo, ret);
    else
        absorb_write(want, op, sn_buf_str(&reply->text), memo, ret);
}
