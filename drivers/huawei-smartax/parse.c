/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of the device, read with suspicion: every number is bounded, every string cut to its room. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "drivers/huawei-smartax/huawei.h"

struct line {
    const char *at;
    size_t len;
};

static bool next_line(const char **text, struct line *ret)
{
    size_t len = strcspn(*text, "\n");

    if (**text == '\0')
        return false;
    ret->at = *text;
    ret->len = len;
    *text += (*text)[len] == '\0' ? len : len + 1;
    return true;
}

static void skip_blanks(struct line *l)
{
    while (l->len > 0 && (*l->at == ' ' || *l->at == '\t')) {
        l->at++;
        l->len--;
    }
}

static struct line trimmed(struct line l)
{
    skip_blanks(&l);
    while (l.len > 0 && (l.at[l.len - 1] == ' ' || l.at[l.len - 1] == '\t'))
        l.len--;
    return l;
}

static void copy(char *out, size_t size, struct line from)
{
    (void)snprintf(out, size, "%.*s", (int)from.len, from.at);
}

static bool take_int(struct line *l, int max, int *ret)
{
    long n = 0;
    size_t i = 0;

    skip_blanks(l);
    while (i < l->len && isdigit((unsigned char)l->at[i]) && n <= max)
        n = n * 10 + (l->at[i++] - '0');
    if (i == 0 || n > max)
        return false;
    *ret = (int)n;
    l->at += i;
    l->len -= i;
    return true;
}

static bool take_char(struct line *l, char c)
{
    skip_blanks(l);
    if (l->len == 0 || *l->at != c)
        return false;
    l->at++;
    l->len--;
    return true;
}

static bool take_word(struct line *l, struct line *ret)
{
    skip_blanks(l);
    ret->at = l->at;
    ret->len = 0;
    while (ret->len < l->len && l->at[ret->len] != ' ' && l->at[ret->len] != '\t')
        ret->len++;
    l->at += ret->len;
    l->len -= ret->len;
    return ret->len > 0;
}

/* frame/slot/port, printed with blanks anywhere: "0/ 1/0", "0/1 /0" */
static bool take_place(struct line *l, struct hw_place *ret)
{
    return take_int(l, 99, &ret->frame) && take_char(l, '/') && take_int(l, 99, &ret->slot) && take_char(l, '/') &&
           take_int(l, 99, &ret->port);
}

static bool word_is(struct line word, const char *text)
{
    return word.len == strlen(text) && strncasecmp(word.at, text, word.len) == 0;
}

/* A word that is a number, or "-": then *ret = none. */
static bool word_int(struct line word, int max, int none, int *ret)
{
    if (word.len == 1 && *word.at == '-') {
        *ret = none;
        return true;
    }
    return take_int(&word, max, ret) && word.len == 0;
}

/* "  Key   : value": false when there is no colon. column: where the value begins. */
static bool split_pair(struct line l, struct line *key, struct line *value, size_t *column)
{
    const char *colon = memchr(l.at, ':', l.len);

    if (colon == NULL)
        return false;
    *key = trimmed((struct line){l.at, (size_t)(colon - l.at)});
    value->at = colon + 1;
    value->len = l.len - (size_t)(value->at - l.at);
    skip_blanks(value);
    *column = (size_t)(value->at - l.at);
    *value = trimmed(*value);
    return true;
}

/* ---- one ONT ---- */

struct onu_reader {
    struct hw_onu *onu;
    char *serial;
    bool place, id, sn;
};

static bool wants(const char *have, struct line key, const char *name)
{
    return have[0] == '\0' && word_is(key, name);
}

static void onu_field(struct onu_reader *r, struct line key, struct line value)
{
    struct hw_onu *o = r->onu;
    struct line v = value;
    char raw[HW_SERIAL_MAX];

    if (!r->place && word_is(key, "F/S/P"))
        r->place = take_place(&v, &o->at);
    else if (!r->id && word_is(key, "ONT-ID"))
        r->id = take_int(&v, HW_ONT_IDS - 1, &o->id);
    else if (!r->sn && word_is(key, "SN") && take_word(&v, &value) && value.len == 16) {
        copy(raw, sizeof(raw), value);
        r->sn = hw_serial(raw, r->serial) == 0;
    } else if (wants(o->control, key, "Control flag"))
        copy(o->control, sizeof(o->control), value);
    else if (wants(o->run, key, "Run state"))
        copy(o->run, sizeof(o->run), value);
    else if (wants(o->config, key, "Config state"))
        copy(o->config, sizeof(o->config), value);
    else if (wants(o->match, key, "Match state"))
        copy(o->match, sizeof(o->match), value);
    else if (wants(o->down_cause, key, "Last down cause"))
        copy(o->down_cause, sizeof(o->down_cause), value);
    else if (wants(o->line_name, key, "Line profile name"))
        copy(o->line_name, sizeof(o->line_name), value);
    else if (wants(o->service_name, key, "Service profile name"))
        copy(o->service_name, sizeof(o->service_name), value);
    else if (o->line_id < 0 && word_is(key, "Line profile ID"))
        (void)take_int(&v, 65535, &o->line_id);
    else if (o->service_id < 0 && word_is(key, "Service profile ID"))
        (void)take_int(&v, 65535, &o->service_id);
}

int hw_parse_onu(const char *text, struct hw_onu *ret, char serial[HW_SERIAL_MAX])
{
    struct onu_reader r = {.onu = ret, .serial = serial};
    struct line l, key, value;
    size_t column = 0, desc_column = 0;
    bool desc_seen = false;

    memset(ret, 0, sizeof(*ret));
    ret->line_id = ret->service_id = -1;
    serial[0] = '\0';
    while (next_line(&text, &l)) {
        size_t indent = strspn(l.at, " ");

        if (desc_column > 0 && indent >= desc_column && indent < l.len) {
            /* A long description goes on below its first line; the device breaks it anywhere. */
            size_t used = strlen(ret->desc);

            copy(ret->desc + used, sizeof(ret->desc) - used, trimmed(l));
            continue;
        }
        desc_column = 0;
        if (!split_pair(l, &key, &value, &column))
            continue;
        if (!desc_seen && word_is(key, "Description")) {
            copy(ret->desc, sizeof(ret->desc), value);
            desc_seen = true;
            desc_column = column;
        } else {
            onu_field(&r, key, value);
        }
    }
    ret->found = r.place && r.id && r.sn && ret->control[0] != '\0' && ret->run[0] != '\0';
    return ret->found ? 0 : -1;
}

int hw_parse_autofind(const char *text, const char *serial, bool *ret_found, struct hw_place *ret_at)
{
    struct line l, key, value;
    struct hw_place at = {0};
    size_t column;
    int numbers = 0, serials = 0, total = -1;
    bool placed = false;

    *ret_found = false;
    while (next_line(&text, &l)) {
        char raw[HW_SERIAL_MAX], one[HW_SERIAL_MAX];
        struct line word, t = trimmed(l);

        if (t.len > 36 && strncasecmp(t.at, "The number of GPON autofind ONT is ", 35) == 0) {
            t.at += 35;
            t.len -= 35;
            (void)take_int(&t, 65535, &total);
        }
        if (!split_pair(l, &key, &value, &column))
            continue;
        if (word_is(key, "Number")) {
            numbers++;
            placed = false;
        } else if (word_is(key, "F/S/P")) {
            placed = take_place(&value, &at);
        } else if (word_is(key, "Ont SN") && placed && take_word(&value, &word) && word.len == 16) {
            copy(raw, sizeof(raw), word);
            serials++;
            if (hw_serial(raw, one) == 0 && strcmp(one, serial) == 0) {
                *ret_found = true;
                *ret_at = at;
            }
        }
    }
    return numbers == 0 || numbers != serials || (total >= 0 && total != numbers) ? -1 : 0;
}

/* ---- lists ---- */

/* "In port 0/ 1/0 , the total of ONTs are: 2, online: 1" and its variants. */
static bool port_total(struct line l, int *ret)
{
    struct line t = trimmed(l);
    const char *colon;

    if (t.len < 8 || strncasecmp(t.at, "In port ", 8) != 0)
        return false;
    colon = memchr(t.at, ':', t.len);
    if (colon == NULL)
        return false;
    l.at = colon + 1;
    l.len = t.len - (size_t)(l.at - t.at);
    return take_int(&l, 65535, ret);
}

int hw_parse_port(const char *text, const struct hw_place *at, uint8_t used[HW_ONT_IDS / 8])
{
    uint8_t seen[HW_ONT_IDS / 8] = {0};
    struct line l;
    int total = -1, n = 0;

    while (next_line(&text, &l)) {
        struct hw_place place;
        int id;

        if (port_total(l, &total))
            continue;
        if (!take_place(&l, &place) || !take_int(&l, HW_ONT_IDS - 1, &id) || l.len == 0 || *l.at != ' ')
            continue;
        if (!hw_same_place(&place, at))
            return -1;
        if (!hw_bit(seen, id))
            n++;
        hw_bit_set(seen, id);
    }
    if (total < 0 || n != total)
        return -1;
    for (size_t i = 0; i < sizeof(seen); i++)
        used[i] = (uint8_t)(used[i] | seen[i]);
    return 0;
}

int hw_parse_profiles(const char *text, const char *wanted, int *ret_id)
{
    struct line l, key, value;
    int number = hw_profile_id(wanted), total = -1, n = 0;
    bool head = false;
    size_t column;

    *ret_id = -1;
    while (next_line(&text, &l)) {
        struct line name, binding;
        int id, bound;

        if (split_pair(l, &key, &value, &column)) {
            if (word_is(key, "Total"))
                (void)take_int(&value, 65535, &total);
            continue;
        }
        if (!head) {
            head = trimmed(l).len > 10 && strncasecmp(trimmed(l).at, "Profile-ID", 10) == 0;
            continue;
        }
        /* The name may hold blanks: the last word is the number of bindings. */
        if (!take_int(&l, 65535, &id) || l.len == 0 || *l.at != ' ')
            continue;
        name = trimmed(l);
        binding = (struct line){name.at + name.len, 0};
        while (binding.at > name.at && binding.at[-1] != ' ') {
            binding.at--;
            binding.len++;
        }
        if (!word_int(binding, 1000000, 0, &bound))
            return -1;
        n++;
        name.len -= binding.len;
        name = trimmed(name);
        if (number >= 0 ? id == number : name.len == strlen(wanted) && memcmp(name.at, wanted, name.len) == 0)
            *ret_id = id;
    }
    return !head || (total >= 0 && total != n) ? -1 : 0;
}

/* "100000", "100000 kbps", "off" */
static bool take_rate(struct line value, int64_t *ret)
{
    int n;

    if (word_is(value, "off") || word_is(value, "-")) {
        *ret = -1;
        return true;
    }
    if (!take_int(&value, 1000000000, &n))
        return false;
    *ret = n;
    return true;
}

int hw_parse_table(const char *text, char *name, size_t size, int *ret_index, int64_t *ret_cir, int64_t *ret_pir)
{
    struct line l, key, value;
    size_t column;
    bool index = false, cir = false, pir = false;

    name[0] = '\0';
    while (next_line(&text, &l)) {
        if (!split_pair(l, &key, &value, &column))
            continue;
        if (!index && (word_is(key, "TD Index") || word_is(key, "Traffic Table Index")))
            index = take_int(&value, HW_TABLES - 1, ret_index);
        else if (name[0] == '\0' && (word_is(key, "TD Name") || word_is(key, "Traffic Table Name")))
            copy(name, size, value);
        else if (!cir && word_is(key, "CIR"))
            cir = take_rate(value, ret_cir);
        else if (!pir && word_is(key, "PIR"))
            pir = take_rate(value, ret_pir);
    }
    return index && cir && pir ? 0 : -1;
}

bool hw_parse_table_row(const char *line, size_t len, struct hw_table_row *ret)
{
    struct line l = {line, len}, word;
    int64_t rates[4];

    /* TID CIR CBS PIR PBS Pri …; some releases put the name second */
    if (!take_int(&l, HW_TABLES - 1, &ret->index) || l.len == 0 || *l.at != ' ')
        return false;
    ret->name[0] = '\0';
    if (!take_word(&l, &word))
        return false;
    if (!take_rate(word, &rates[0])) {
        copy(ret->name, sizeof(ret->name), word);
        if (!take_word(&l, &word) || !take_rate(word, &rates[0]))
            return false;
    }
    for (size_t i = 1; i < 4; i++) {
        if (!take_word(&l, &word) || !take_rate(word, &rates[i]))
            return false;
    }
    ret->cir = rates[0];
    ret->pir = rates[2];
    return take_int(&l, 7, &ret->priority);
}

/* One row of the flow list after its index: "100 common gpon 0/1 /0 5 1 vlan 100 17 47 up". */
static bool flow_row(struct line l, struct hw_place *at, struct hw_flow *f)
{
    struct line attr, kind, vci, ftype, para, rx, tx;

    if (!take_int(&l, 4095, &f->vlan) || !take_word(&l, &attr) || !take_word(&l, &kind) || !take_place(&l, at) ||
        !take_int(&l, HW_ONT_IDS - 1, &f->ont) || !take_word(&l, &vci) || !take_word(&l, &ftype) || !take_word(&l, &para) ||
        !take_word(&l, &rx) || !take_word(&l, &tx))
        return false;
    if (!word_int(vci, 4095, -1, &f->gem) || !word_int(rx, HW_TABLES - 1, -1, &f->rx) ||
        !word_int(tx, HW_TABLES - 1, -1, &f->tx))
        return false;
    if (!word_int(para, 4095, -1, &f->user_vlan))
        f->user_vlan = -1; /* untagged and other kinds of flow */
    return true;
}

static bool is_gpon_row(struct line l)
{
    struct line vlan, attr, kind;

    return take_word(&l, &vlan) && take_word(&l, &attr) && take_word(&l, &kind) && word_is(kind, "gpon");
}

int hw_parse_flows(const char *text, const struct hw_place *at, struct hw_flow *flows, size_t *n)
{
    size_t room = *n, column;
    struct line l, key, value;
    int total = -1, rows = 0;

    *n = 0;
    while (next_line(&text, &l)) {
        struct hw_place place;
        struct hw_flow f = {0};

        if (split_pair(l, &key, &value, &column)) {
            if (word_is(key, "Total"))
                (void)take_int(&value, 1000000, &total);
            continue;
        }
        if (!take_int(&l, 65535, &f.index) || l.len == 0 || *l.at != ' ')
            continue;
        rows++;
        if (!is_gpon_row(l))
            continue;
        if (!flow_row(l, &place, &f) || !hw_same_place(&place, at))
            return -1;
        if (*n >= room)
            return -1;
        flows[(*n)++] = f;
    }
    return total < 0 || total != rows ? -1 : 0;
}

int hw_parse_next_index(const char *text, int *ret_index)
{
    struct line l, key, value;
    size_t column;

    while (next_line(&text, &l)) {
        if (split_pair(l, &key, &value, &column) && word_is(key, "Next valid free service virtual port ID"))
            return take_int(&value, 65535, ret_index) ? 0 : -1;
    }
    return -1;
}

int hw_parse_optical(const char *text, double *ret_rx_dbm)
{
    struct line l, key, value;
    size_t column;

    while (next_line(&text, &l)) {
        char buf[16], *end;

        if (!split_pair(l, &key, &value, &column) || !word_is(key, "Rx optical power(dBm)"))
            continue;
        copy(buf, sizeof(buf), value);
        *ret_rx_dbm = strtod(buf, &end);
        return end != buf && *ret_rx_dbm > -100 && *ret_rx_dbm < 20 ? 0 : -1;
    }
    return -1;
}

/* The layout differs by release: take the row that names the port among its first words and ends in on or off. */
int hw_parse_eth(const char *text, int port, bool *ret_off)
{
    struct line l, word;
    int rows = 0;

    while (next_line(&text, &l)) {
        struct line rest = l, last = {NULL, 0};
        bool named = false;
        int n = 0, value;

        for (; take_word(&rest, &word); n++) {
            last = word;
            named = named || (n > 0 && n < 3 && word_int(word, 255, -1, &value) && value == port);
        }
        if (!named || !(word_is(last, "on") || word_is(last, "off")))
            continue;
        *ret_off = word_is(last, "off");
        rows++;
    }
    return rows == 1 ? 0 : -1;
}
