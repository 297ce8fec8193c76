/* SPDX-License-Identifier: Apache-2.0 */
#include "common/inventory/meaning.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PORT_SSH 22
#define PORT_TELNET 23
#define PORT_POSTGRESQL 5432
#define PORT_COA 3799 /* RFC 5176 */

/* What makes two entries the same thing; the value that is looked for in the other entries. */
struct key {
    char text[512];
    char place[64]; /* JSON pointer below the entry */
};

/* One spelling per address: IPv6 as inet_ntop() writes it, names in lower case. */
static void normalize(const char *address, char *out, size_t size)
{
    struct in6_addr v6;
    size_t i = 0;

    if (inet_pton(AF_INET6, address, &v6) == 1 && inet_ntop(AF_INET6, &v6, out, (socklen_t)size) != NULL)
        return;
    for (; address[i] != '\0' && i + 1 < size; i++)
        out[i] = (char)tolower((unsigned char)address[i]);
    out[i] = '\0';
}

static int port_of(const json_t *object, int otherwise)
{
    const json_t *port = json_object_get(object, "port");

    return port != NULL ? (int)json_integer_value(port) : otherwise;
}

static void make_key(struct key *key, const char *kind, const json_t *object, int port, const char *more,
                     const char *place)
{
    char address[256] = "";

    normalize(json_string_value(json_object_get(object, "address")), address, sizeof(address));
    (void)snprintf(key->text, sizeof(key->text), "%s %s port %d%s%s", kind, address, port, more[0] != '\0' ? " " : "",
                   more);
    (void)snprintf(key->place, sizeof(key->place), "%s", place);
}

/* The address that a target is reached under; false when it has none. */
static bool address_key(const struct sn_target *t, struct key *key)
{
    const json_t *telnet = json_object_get(t->conf, "transport");
    const json_t *sql = json_object_get(t->conf, "sql");
    const json_t *coa = json_object_get(t->conf, "coa");

    if (sql != NULL) {
        make_key(key, "database", sql, port_of(sql, PORT_POSTGRESQL),
                 json_string_value(json_object_get(sql, "database")), "/sql/address");
    } else if (coa != NULL) {
        make_key(key, "CoA", coa, port_of(coa, PORT_COA), "", "/coa/address");
    } else if (json_object_get(t->conf, "address") != NULL) {
        bool is_telnet = telnet != NULL && strcmp(json_string_value(telnet), "telnet") == 0;
        make_key(key, "device", t->conf, port_of(t->conf, is_telnet ? PORT_TELNET : PORT_SSH), "", "/address");
    } else {
        return false;
    }
    return true;
}

/* The name of a NAS in the sessions of its RADIUS database. */
static bool nas_key(const struct sn_target *t, struct key *key)
{
    const char *address = json_string_value(json_object_get(t->conf, "nas_address"));
    const char *radius = json_string_value(json_object_get(t->conf, "radius"));
    char normal[64];

    if (address == NULL || radius == NULL)
        return false;
    normalize(address, normal, sizeof(normal));
    (void)snprintf(key->text, sizeof(key->text), "NAS %s of %s", normal, radius);
    (void)snprintf(key->place, sizeof(key->place), "/nas_address");
    return true;
}

static bool id_key(const struct sn_target *t, struct key *key)
{
    (void)snprintf(key->text, sizeof(key->text), "%s", t->id);
    (void)snprintf(key->place, sizeof(key->place), "/id");
    return true;
}

static bool uid_key(const struct sn_target *t, struct key *key)
{
    (void)snprintf(key->text, sizeof(key->text), "%s", t->uid);
    (void)snprintf(key->place, sizeof(key->place), "/uid");
    return true;
}

static const struct {
    const char *code;
    const char *what;
    bool (*key)(const struct sn_target *t, struct key *key);
} UNIQUE[] = {
    { "inventory.duplicate-id", "the id", id_key },
    { "inventory.duplicate-uid", "the uid", uid_key },
    { "inventory.duplicate-address", "the address", address_key },
    { "inventory.duplicate-address", "the address", nas_key },
};

/* The first target in the order of the file whose key an earlier one has. `seen`: key -> number of the target. */
static int check_unique(const struct sn_inventory *inv, const struct sn_yaml_file *file, size_t rule, json_t *seen,
                        struct sn_error *err)
{
    for (size_t i = 0; i < sn_inventory_count(inv); i++) {
        const struct sn_target *t = sn_inventory_at(inv, i);
        const struct sn_target *first;
        const json_t *earlier;
        struct key key;
        char pointer[128];

        if (!UNIQUE[rule].key(t, &key))
            continue;
        earlier = json_object_get(seen, key.text);
        if (earlier == NULL) {
            if (json_object_set_new(seen, key.text, json_integer((json_int_t)i)) != 0)
                return sn_error_oom(err);
            continue;
        }
        first = sn_inventory_at(inv, (size_t)json_integer_value(earlier));
        (void)snprintf(pointer, sizeof(pointer), "/targets/%zu%s", i, key.place);
        return sn_yaml_file_fault(file, pointer, err, UNIQUE[rule].code, "%s (%s) is already that of %s in line %d",
                                  UNIQUE[rule].what, key.text, first->id, first->line);
    }
    return 0;
}

static int check_link(const struct sn_inventory *inv, const struct sn_yaml_file *file, size_t i, struct sn_error *err)
{
    const char *radius = json_string_value(json_object_get(sn_inventory_at(inv, i)->conf, "radius"));
    const struct sn_target *server = radius != NULL ? sn_inventory_by_id(inv, radius) : NULL;
    char pointer[64];

    if (radius == NULL)
        return 0;
    (void)snprintf(pointer, sizeof(pointer), "/targets/%zu/radius", i);
    if (server == NULL)
        return sn_yaml_file_fault(file, pointer, err, "inventory.link", "%s is no target of this inventory", radius);
    if (strcmp(server->driver, "freeradius-sql") != 0)
        return sn_yaml_file_fault(file, pointer, err, "inventory.link",
                                  "%s is a target of driver %s, not of freeradius-sql", radius, server->driver);
    return 0;
}

int sn_inventory_check_meaning(const struct sn_inventory *inv, const struct sn_yaml_file *file, struct sn_error *err)
{
    for (size_t rule = 0; rule < sizeof(UNIQUE) / sizeof(UNIQUE[0]); rule++) {
        json_t *seen = json_object();
        int rc = seen != NULL ? check_unique(inv, file, rule, seen, err) : sn_error_oom(err);
        json_decref(seen);
        if (rc != 0)
            return -1;
    }
    for (size_t i = 0; i < sn_inventory_count(inv); i++) {
        if (check_link(inv, file, i, err) != 0)
            return -1;
    }
    return 0;
}
