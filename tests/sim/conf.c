/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: flat lists, searched from the start; an OLT of a test holds some hundred objects. */
#include <stdlib.h>
#include <string.h>

#include "model.h"

static void *copy_list(const void *list, size_t n, size_t size)
{
    void *p = sim_alloc(n * size);
    if (n > 0) {
        memcpy(p, list, n * size);
    }
    return p;
}

void conf_copy(struct conf *to, const struct conf *from)
{
    conf_free(to);
    to->onts = copy_list(from->onts, from->n_onts, sizeof *from->onts);
    to->n_onts = to->cap_onts = from->n_onts;
    to->ports = copy_list(from->ports, from->n_ports, sizeof *from->ports);
    to->n_ports = to->cap_ports = from->n_ports;
    to->tables = copy_list(from->tables, from->n_tables, sizeof *from->tables);
    to->n_tables = to->cap_tables = from->n_tables;
}

void conf_free(struct conf *c)
{
    free(c->onts);
    free(c->ports);
    free(c->tables);
    *c = (struct conf){0};
}

struct ont *conf_ont(struct conf *c, struct place at, unsigned id)
{
    for (size_t i = 0; i < c->n_onts; i++) {
        if (c->onts[i].id == id && same_place(c->onts[i].at, at)) {
            return &c->onts[i];
        }
    }
    return NULL;
}

struct ont *conf_ont_sn(struct conf *c, const uint8_t *sn)
{
    for (size_t i = 0; i < c->n_onts; i++) {
        if (memcmp(c->onts[i].sn, sn, SIM_SN_BYTES) == 0) {
            return &c->onts[i];
        }
    }
    return NULL;
}

struct service_port *conf_port(struct conf *c, unsigned index)
{
    for (size_t i = 0; i < c->n_ports; i++) {
        if (c->ports[i].index == index) {
            return &c->ports[i];
        }
    }
    return NULL;
}

struct traffic_table *conf_table(struct conf *c, unsigned index)
{
    for (size_t i = 0; i < c->n_tables; i++) {
        if (c->tables[i].index == index) {
            return &c->tables[i];
        }
    }
    return NULL;
}

struct ont *conf_add_ont(struct conf *c)
{
    void *list = c->onts;
    sim_grow(&list, c->n_onts, &c->cap_onts, sizeof *c->onts);
    c->onts = list;
    struct ont *o = &c->onts[c->n_onts++];
    memset(o, 0, sizeof *o);
    o->active = true;
    return o;
}

struct service_port *conf_add_port(struct conf *c)
{
    void *list = c->ports;
    sim_grow(&list, c->n_ports, &c->cap_ports, sizeof *c->ports);
    c->ports = list;
    struct service_port *p = &c->ports[c->n_ports++];
    memset(p, 0, sizeof *p);
    p->rx = p->tx = p->user_vlan = -1;
    return p;
}

struct traffic_table *conf_add_table(struct conf *c)
{
    void *list = c->tables;
    sim_grow(&list, c->n_tables, &c->cap_tables, sizeof *c->tables);
    c->tables = list;
    struct traffic_table *t = &c->tables[c->n_tables++];
    memset(t, 0, sizeof *t);
    return t;
}

void conf_drop_ont(struct conf *c, const struct ont *o)
{
    size_t i = (size_t)(o - c->onts);
    memmove(&c->onts[i], &c->onts[i + 1], (c->n_onts - i - 1) * sizeof *o);
    c->n_onts--;
}

void conf_drop_port(struct conf *c, const struct service_port *p)
{
    size_t i = (size_t)(p - c->ports);
    memmove(&c->ports[i], &c->ports[i + 1], (c->n_ports - i - 1) * sizeof *p);
    c->n_ports--;
}

void conf_drop_table(struct conf *c, const struct traffic_table *t)
{
    size_t i = (size_t)(t - c->tables);
    memmove(&c->tables[i], &c->tables[i + 1], (c->n_tables - i - 1) * sizeof *t);
    c->n_tables--;
}

static int compare(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *a, const void *b)
{
    const struct ont *x = a, *y = b;
    int d = compare(x->at.frame, y->at.frame);
    d = d != 0 ? d : compare(x->at.slot, y->at.slot);
    d = d != 0 ? d : compare(x->at.port, y->at.port);
    return d != 0 ? d : compare(x->id, y->id);
}

static int by_index(const void *a, const void *b)
{
    const struct service_port *x = a, *y = b;
    return compare(x->index, y->index);
}

static int by_table(const void *a, const void *b)
{
    const struct traffic_table *x = a, *y = b;
    return compare(x->index, y->index);
}

void conf_sort(struct conf *c)
{
    if (c->n_onts > 1) {
        qsort(c->onts, c->n_onts, sizeof *c->onts, by_place);
    }
    if (c->n_ports > 1) {
        qsort(c->ports, c->n_ports, sizeof *c->ports, by_index);
    }
    if (c->n_tables > 1) {
        qsort(c->tables, c->n_tables, sizeof *c->tables, by_table);
    }
}

unsigned conf_ports_of(const struct conf *c, struct place at, unsigned ont)
{
    unsigned n = 0;
    for (size_t i = 0; i < c->n_ports; i++) {
        if (c->ports[i].ont == ont && same_place(c->ports[i].at, at)) {
            n++;
        }
    }
    return n;
}
