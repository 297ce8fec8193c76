/* SPDX-License-Identifier: Apache-2.0 */
/* Loader -> shape -> meaning -> seal; each step has its own refusal. */
#include "common/event/event.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/json.h"
#include "common/base/text.h"
#include "common/event/internal.h"
#include "common/schema/doc.h"

struct reading {
    const struct sn_event_policy *policy;
    json_t *body; /* NULL until loaded */
    struct sn_event_refusal *refusal;
};

/* --- refusals --- */

static int refuse(struct reading *r, bool dead, const char *code, const char *path, const char *rule)
{
    r->refusal->dead = dead;
    (void)snprintf(r->refusal->code, sizeof r->refusal->code, "%s", code);
    (void)sn_text_escape(r->refusal->path, sizeof r->refusal->path, path, strlen(path));
    (void)sn_text_escape(r->refusal->rule, sizeof r->refusal->rule, rule, strlen(rule));
    return -1;
}

/* Our side could not do it (memory, key): not the message's fault. */
static int refuse_own(struct reading *r, const struct sn_error *err)
{
    return refuse(r, true, err->code, "", err->text);
}

static int refuse_memory(struct reading *r)
{
    struct sn_error err;

    (void)sn_error_oom(&err);
    return refuse_own(r, &err);
}

/* Copies a name of the message into a refusal when every byte of it is harmless; such a name becomes part of a routing
 * key. */
static void copy_safe(char *out, size_t size, const char *text, const char *allowed)
{
    out[0] = '\0';
    if (text != NULL && strlen(text) < size && strspn(text, allowed) == strlen(text))
        (void)snprintf(out, size, "%s", text);
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static void identify(struct reading *r, const void *data, size_t len, const char *message_id)
{
    struct sn_event_refusal *refusal = r->refusal;
    const char *id = json_string_value(json_object_get(r->body, "id"));
    const json_t *contract = json_object_get(r->body, "contract");

    if (sn_event_is_uuid(id))
        (void)snprintf(refusal->id, sizeof refusal->id, "%s", id);
    else if (sn_event_is_uuid(message_id))
        (void)snprintf(refusal->id, sizeof refusal->id, "%s", message_id);
    else
        sn_event_body_id(data, len, refusal->id);
    copy_safe(refusal->ref, sizeof refusal->ref, json_string_value(json_object_get(contract, "ref")),
              LOWER UPPER DIGITS "._/-");
    copy_safe(refusal->type, sizeof refusal->type, json_string_value(json_object_get(r->body, "type")), LOWER "._-");
    copy_safe(refusal->routing, sizeof refusal->routing, sn_event_routing_device(r->body), LOWER DIGITS "_-");
}

/* --- loader and shape --- */

static enum sn_doc_format format_of(const unsigned char *data, size_t len, const char *content_type)
{
    if (content_type != NULL && strncasecmp(content_type, "application/msgpack", 19) == 0)
        return SN_DOC_MSGPACK;
    if (content_type != NULL && strncasecmp(content_type, "application/json", 16) == 0)
        return SN_DOC_JSON;
    if (len > 0 && ((data[0] & 0xf0) == 0x80 || data[0] == 0xde || data[0] == 0xdf))
        return SN_DOC_MSGPACK; /* a map */
    return SN_DOC_JSON;
}

static int load(struct reading *r, const void *data, size_t len, const char *content_type)
{
    const struct sn_doc_limits limits = SN_DOC_LIMITS_MESSAGE;
    char rule[SN_CODE_MAX + SN_ERROR_TEXT_MAX + 2];
    struct sn_error err;

    if (sn_doc_load(data, len, format_of(data, len, content_type), &limits, &r->body, &err) == 0)
        return 0;
    if (sn_error_is_oom(&err))
        return refuse_own(r, &err);
    (void)snprintf(rule, sizeof rule, "%s, %s", err.code, err.text);
    return refuse(r, false, "event.syntax", "", rule);
}

/* A property that the schema does not know, in an event that is right otherwise, comes from a newer publisher: not to
 * be half applied, but right after an upgrade. */
static int check_shape(struct reading *r)
{
    const struct sn_schema *schema = sn_schemas_get(r->policy->schemas, SN_SCHEMA_EVENT);
    struct sn_violation first;
    struct sn_violation other;

    if (sn_schema_check(schema, r->body, &first))
        return 0;
    if (first.out_of_memory)
        return refuse_memory(r);
    if (sn_schema_check_known(schema, r->body, &other))
        return refuse(r, true, "event.unknown-field", first.path, first.rule);
    if (other.out_of_memory)
        return refuse_memory(r);
    return refuse(r, false, "event.shape", other.path, other.rule);
}

/* --- meaning --- */

static int check_source(struct reading *r, struct sn_event *ev)
{
    const json_t *source = json_object_get(r->body, "source");

    (void)snprintf(ev->ns, sizeof ev->ns, "%s/%s", sn_json_text(source, "system"), sn_json_text(source, "database"));
    (void)snprintf(ev->user, sizeof ev->user, "%s", sn_json_text(source, "user"));
    if (r->policy->sources == NULL)
        return 0;
    for (size_t i = 0; r->policy->sources[i] != NULL; i++) {
        if (strcmp(r->policy->sources[i], ev->ns) == 0)
            return 0;
    }
    return refuse(r, false, "event.source", "/source", "this system and database may not publish here");
}

/* "address/length" or (plain_allowed) "address" of the family. */
static bool is_network(const char *text, int family, bool plain_allowed)
{
    char address[64];
    unsigned char bytes[16];
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    long bits_max = family == AF_INET ? 32 : 128;

    if (len >= sizeof address || (slash == NULL && !plain_allowed))
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (inet_pton(family, address, bytes) != 1)
        return false;
    return slash == NULL || strtol(slash + 1, NULL, 10) <= bits_max;
}

static int check_addresses(struct reading *r)
{
    const json_t *access = json_object_get(json_object_get(r->body, "service"), "access");
    const json_t *key = json_object_get(json_object_get(r->body, "command"), "key");
    const char *prefix = sn_json_text(access, "ipv6_prefix");
    const char *delegated = sn_json_text(access, "ipv6_delegated");
    const char *client = sn_json_text(key, "address");

    if (*prefix != '\0' && !is_network(prefix, AF_INET6, false))
        return refuse(r, false, "event.address", "/service/access/ipv6_prefix", "not an IPv6 prefix");
    if (*delegated != '\0' && !is_network(delegated, AF_INET6, false))
        return refuse(r, false, "event.address", "/service/access/ipv6_delegated", "not an IPv6 prefix");
    if (*client != '\0' && !is_network(client, AF_INET, true) && !is_network(client, AF_INET6, true))
        return refuse(r, false, "event.address", "/command/key/address", "not an address or network");
    return 0;
}

/* A command without a generation takes its time for one: no time before 1970. */
static bool is_time(const char *text, int64_t *ret_ms)
{
    return sn_clock_parse_utc(text, ret_ms) == 0 && *ret_ms > 0;
}

static int check_times(struct reading *r, struct sn_event *ev)
{
    if (!is_time(sn_json_text(r->body, "occurred_at"), &ev->occurred_ms))
        return refuse(r, false, "event.time", "/occurred_at", "no such time");
    if (ev->command != NULL && !is_time(sn_json_text(ev->command, "not_after"), &ev->not_after_ms))
        return refuse(r, false, "event.time", "/command/not_after", "no such time");
    return 0;
}

/* Two services of one ONU may share neither a name nor a flow (gemport and user VLAN). */
static int check_services(struct reading *r, const struct sn_event *ev)
{
    const json_t *list = json_object_get(json_object_get(ev->service, "onu"), "services");

    for (size_t i = 1; i < json_array_size(list); i++) {
        const json_t *a = json_array_get(list, i);
        for (size_t k = 0; k < i; k++) {
            const json_t *b = json_array_get(list, k);
            bool same_flow = json_integer_value(json_object_get(a, "gemport")) ==
                                 json_integer_value(json_object_get(b, "gemport")) &&
                             json_integer_value(json_object_get(a, "user_vlan")) ==
                                 json_integer_value(json_object_get(b, "user_vlan"));
            char path[64];
            if (!same_flow && strcmp(sn_json_text(a, "name"), sn_json_text(b, "name")) != 0)
                continue;
            (void)snprintf(path, sizeof path, "/service/onu/services/%zu", i);
            return refuse(r, false, "event.duplicate-service", path, "same name or flow as an earlier service");
        }
    }
    return 0;
}

static const struct {
    const char *type;
    bool states[3]; /* by enum sn_service_state: agrees with it */
} agreement[] = {
    { "contract.activated", { true, false, false } },  { "contract.resumed", { true, false, false } },
    { "contract.suspended", { false, true, false } },  { "contract.terminated", { false, false, true } },
    { "contract.changed", { true, true, false } },     { "contract.plan_changed", { true, true, false } },
    { "contract.onu_swapped", { true, true, false } }, { "contract.moved", { true, true, false } },
    { "contract.reconcile", { true, true, true } },
};

static void read_state(struct sn_event *ev)
{
    const char *state = sn_json_text(ev->service, "state");

    ev->state = SN_STATE_ACTIVE;
    if (strcmp(state, "suspended") == 0)
        ev->state = SN_STATE_SUSPENDED;
    else if (strcmp(state, "terminated") == 0 || ev->cleanup != NULL)
        ev->state = SN_STATE_TERMINATED;
    for (size_t i = 0; ev->service != NULL && i < sizeof agreement / sizeof agreement[0]; i++) {
        if (strcmp(agreement[i].type, ev->type) == 0)
            ev->disagrees = !agreement[i].states[ev->state];
    }
    ev->shared = json_is_true(json_object_get(json_object_get(ev->service, "onu"), "shared"));
}

/* The schema has bounded every text below the size of its field. */
static void read_names(struct reading *r, struct sn_event *ev)
{
    const json_t *contract = json_object_get(r->body, "contract");
    const json_t *generation = json_object_get(r->body, "generation");
    const char *routing = sn_event_routing_device(r->body);

    (void)snprintf(ev->id, sizeof ev->id, "%s", sn_json_text(r->body, "id"));
    (void)snprintf(ev->parent, sizeof ev->parent, "%s", sn_json_text(r->body, "parent"));
    (void)snprintf(ev->type, sizeof ev->type, "%s", sn_json_text(r->body, "type"));
    (void)snprintf(ev->ref, sizeof ev->ref, "%s", sn_json_text(contract, "ref"));
    (void)snprintf(ev->routing, sizeof ev->routing, "%s", routing != NULL ? routing : "");
    if (ev->command != NULL)
        sn_event_command_record(ev->id, ev->contract_id);
    else
        (void)snprintf(ev->contract_id, sizeof ev->contract_id, "%lld",
                       (long long)json_integer_value(json_object_get(contract, "id")));
    ev->generation = generation != NULL ? json_integer_value(generation) : ev->occurred_ms;
}

static int seal(struct reading *r)
{
    char path[128];
    struct sn_error err;

    if (!sn_event_find_inline(r->body, path, sizeof path))
        return 0;
    if (!r->policy->inline_secrets || r->policy->seal_public == NULL)
        return refuse(r, true, "event.inline-secret", path, "inline secrets are not accepted here");
    return sn_event_seal(r->body, r->policy->seal_public, &err) < 0 ? refuse_own(r, &err) : 0;
}

static int read_rev(struct reading *r, struct sn_event *ev)
{
    const json_t *part = ev->service;
    struct sn_error err;

    if (part == NULL)
        part = ev->command != NULL ? ev->command : ev->cleanup;
    if (r->policy->fleet_key == NULL)
        return 0;
    return sn_event_plain_rev(part, r->policy, ev->rev, &err) < 0 ? refuse_own(r, &err) : 0;
}

static int read_meaning(struct reading *r, struct sn_event *ev)
{
    struct sn_error err;

    ev->service = json_object_get(r->body, "service");
    ev->command = json_object_get(r->body, "command");
    ev->cleanup = json_object_get(r->body, "cleanup");
    if (check_source(r, ev) < 0 || check_times(r, ev) < 0 || check_addresses(r) < 0 || check_services(r, ev) < 0)
        return -1;
    read_names(r, ev);
    read_state(ev);
    if (read_rev(r, ev) < 0) /* before sealing: a sealed box is different each time */
        return -1;
    if (r->policy->secrets != NULL && sn_event_hold_secrets(ev, r->body, r->policy->secrets, &err) < 0)
        return refuse_own(r, &err);
    return seal(r);
}

int sn_event_read(const struct sn_event_policy *policy, const void *data, size_t len, const char *content_type,
                  const char *message_id, struct sn_event **ret_event, struct sn_event_refusal *refusal)
{
    struct reading r = { .policy = policy, .refusal = refusal };
    struct sn_event *ev = NULL;

    memset(refusal, 0, sizeof *refusal);
    if (load(&r, data, len, content_type) < 0 || check_shape(&r) < 0)
        goto refused;
    ev = calloc(1, sizeof *ev);
    if (ev == NULL) {
        (void)refuse_memory(&r);
        goto refused;
    }
    if (read_meaning(&r, ev) < 0)
        goto refused;
    ev->body = r.body;
    *ret_event = ev;
    return 0;

refused:
    identify(&r, data, len, message_id);
    sn_event_wipe(r.body);
    sn_event_free(ev);
    return -1;
}

void sn_event_free(struct sn_event *ev)
{
    if (ev == NULL)
        return;
    for (int i = 0; i < ev->secrets_n; i++)
        sn_secret_fini(&ev->secrets[i]);
    json_decref(ev->body);
    free(ev);
}
