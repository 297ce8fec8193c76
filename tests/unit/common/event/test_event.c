/* SPDX-License-Identifier: Apache-2.0 */
/* What the corpora (tests/contract) do not ask: fields, ids, revisions, sealing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/event/event.h"
#include "common/event/internal.h"
#include "common/schema/doc.h"
#include "tests/unit/common/event/fixture.h"

#define UUID "5e0b1f2a-0000-4000-8000-000000000001"
#define HEAD                                                                                          \
    "\"schema\":\"silver.event/1\",\"id\":\"" UUID "\",\"occurred_at\":\"2026-11-23T04:00:00.250Z\"," \
    "\"source\":{\"system\":\"odoo\",\"database\":\"prod\",\"user\":\"ana\"}"
#define CONTRACT "\"generation\":1795406400123,\"contract\":{\"id\":17071,\"ref\":\"CT-17071\"}"
#define PLAN "\"plan\":{\"code\":\"F\",\"down_kbps\":1,\"up_kbps\":1}"

static struct sn_event *read_event(const struct sn_event_policy *policy, const char *text)
{
    struct sn_event_refusal refusal;
    struct sn_event *ev = NULL;

    if (sn_event_read(policy, text, strlen(text), "application/json", NULL, &ev, &refusal) < 0)
        fail_msg("%s %s %s: %s", refusal.code, refusal.path, refusal.rule, text);
    return ev;
}

static void refused(const struct sn_event_policy *policy, const char *text, const char *code,
                    struct sn_event_refusal *refusal)
{
    struct sn_event *ev = NULL;

    assert_int_equal(sn_event_read(policy, text, strlen(text), NULL, NULL, &ev, refusal), -1);
    assert_null(ev);
    assert_string_equal(refusal->code, code);
}

static const char suspended[] =
    "{" HEAD "," CONTRACT ",\"type\":\"contract.suspended\",\"service\":{\"state\":\"suspended\"," PLAN
    ",\"access\":{\"server\":\"radius-1\",\"username\":\"ana@isp\"},"
    "\"onu\":{\"device\":\"olt-7\",\"serial\":\"HWTC1A2B3C4D\",\"frame\":0,\"slot\":1,\"port\":3,\"shared\":true}}}";

static void the_fields_of_a_contract_event(void **state)
{
    const struct fixture *f = *state;
    struct sn_event *ev = read_event(&f->policy, suspended);

    assert_string_equal(ev->id, UUID);
    assert_string_equal(ev->parent, "");
    assert_string_equal(ev->type, "contract.suspended");
    assert_string_equal(ev->ns, "odoo/prod");
    assert_string_equal(ev->user, "ana");
    assert_string_equal(ev->contract_id, "17071");
    assert_string_equal(ev->ref, "CT-17071");
    assert_string_equal(ev->routing, "olt-7");
    assert_int_equal(strlen(ev->rev), 16);
    assert_int_equal(ev->generation, 1795406400123);
    assert_int_equal(ev->occurred_ms, 1795406400250);
    assert_int_equal(ev->state, SN_STATE_SUSPENDED);
    assert_true(ev->shared);
    assert_false(ev->disagrees);
    assert_non_null(ev->service);
    assert_null(ev->command);
    assert_null(ev->cleanup);
    sn_event_free(ev);
    sn_event_free(NULL);
}

static void the_fields_of_a_command(void **state)
{
    const struct fixture *f = *state;
    struct sn_event *ev = read_event(
        &f->policy,
        "{" HEAD ",\"type\":\"command.onu-reboot\",\"command\":{\"target\":\"olt-7\",\"what\":\"onu-reboot\","
        "\"key\":{\"serial\":\"HWTC1A2B3C4D\"},\"not_after\":\"2026-11-23T00:10:00-04:00\"}}");

    assert_string_equal(ev->type, "command.onu-reboot");
    assert_string_equal(ev->routing, "olt-7");
    assert_string_equal(ev->ref, "");
    assert_int_equal(strncmp(ev->contract_id, "cmd-", 4), 0);
    assert_int_equal(strlen(ev->contract_id), 20);
    assert_int_equal(ev->generation, 1795406400250); /* it has none of its own */
    assert_int_equal(ev->not_after_ms, 1795407000000);
    assert_null(ev->service);
    assert_non_null(ev->command);
    sn_event_free(ev);
}

static void the_fields_of_a_cleanup(void **state)
{
    const struct fixture *f = *state;
    struct sn_event *ev = read_event(
        &f->policy,
        "{" HEAD "," CONTRACT ",\"type\":\"contract.cleanup\",\"parent\":\"5e0b1f2a-0000-4000-8000-000000000002\","
        "\"cleanup\":{\"device\":\"olt-9\",\"uid\":\"olt-9-a\",\"keys\":[{\"serial\":\"HWTC1A2B3C4D\"}]}}");

    assert_string_equal(ev->parent, "5e0b1f2a-0000-4000-8000-000000000002");
    assert_string_equal(ev->routing, "olt-9");
    assert_int_equal(ev->state, SN_STATE_TERMINATED);
    assert_int_equal(strlen(ev->rev), 16);
    assert_null(ev->service);
    assert_non_null(ev->cleanup);
    sn_event_free(ev);
}

static void routing_prefers_onu_then_router_then_access(void **state)
{
    static const struct {
        const char *body;
        const char *device;
    } rows[] = {
        { "{\"service\":{\"onu\":{\"device\":\"a\"},\"router\":{\"device\":\"b\"},\"access\":{\"server\":\"c\"}}}",
          "a" },
        { "{\"service\":{\"router\":{\"device\":\"b\"},\"access\":{\"server\":\"c\"}}}", "b" },
        { "{\"service\":{\"access\":{\"server\":\"c\"}}}", "c" },
        { "{\"cleanup\":{\"device\":\"d\"}}", "d" },
        { "{\"command\":{\"target\":\"e\"}}", "e" },
        { "{\"service\":{\"onu\":{\"device\":7}}}", NULL },
        { "{}", NULL },
        { "[]", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *body = json_loads(rows[i].body, 0, NULL);
        const char *device = sn_event_routing_device(body);
        assert_non_null(body);
        if (rows[i].device == NULL)
            assert_null(device);
        else
            assert_string_equal(device, rows[i].device);
        json_decref(body);
    }
    assert_null(sn_event_routing_device(NULL));
}

/* RFC 4122; the values are those of Python's uuid.uuid5(). */
static void derived_ids_are_uuid5(void **state)
{
    char id[SN_UUID_TEXT_MAX];
    char other[SN_UUID_TEXT_MAX];

    (void)state;
    sn_event_derive_id("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "python.org", id);
    assert_string_equal(id, "886313e1-3b8a-5372-9b90-0c9aee199e5d");
    sn_event_derive_id("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "silver-netops", id);
    assert_string_equal(id, "023cf8c0-6270-5384-9c18-af1a55230572");
    sn_event_derive_id(UUID, "cleanup/olt-7", id);
    sn_event_derive_id(UUID, "cleanup/olt-8", other);
    assert_string_not_equal(id, other);
    assert_true(sn_event_is_uuid(id));
    assert_false(sn_event_is_uuid("5E0B1F2A-0000-4000-8000-000000000001"));
    assert_false(sn_event_is_uuid("5e0b1f2a-0000-4000-8000-00000000001"));
    assert_false(sn_event_is_uuid(NULL));
}

static void a_message_without_an_id_still_has_one(void **state)
{
    const struct fixture *f = *state;
    static const char garbage[] = "\xc1\xff garbage";
    struct sn_event_refusal refusal;
    struct sn_event *ev = NULL;
    char first[SN_UUID_TEXT_MAX];

    assert_int_equal(sn_event_read(&f->policy, garbage, sizeof garbage - 1, "application/msgpack",
                                   "5e0b1f2a-0000-4000-8000-00000000000a", &ev, &refusal),
                     -1);
    assert_string_equal(refusal.id, "5e0b1f2a-0000-4000-8000-00000000000a");
    assert_false(refusal.dead);
    assert_int_equal(sn_event_read(&f->policy, garbage, sizeof garbage - 1, NULL, "not a uuid", &ev, &refusal), -1);
    assert_true(sn_event_is_uuid(refusal.id));
    memcpy(first, refusal.id, sizeof first);
    assert_int_equal(sn_event_read(&f->policy, garbage, sizeof garbage - 1, NULL, NULL, &ev, &refusal), -1);
    assert_string_equal(refusal.id, first);
    assert_int_equal(sn_event_read(&f->policy, garbage, sizeof garbage - 2, NULL, NULL, &ev, &refusal), -1);
    assert_string_not_equal(refusal.id, first);
}

/* A refusal's names go into routing keys and tables: only harmless ones are kept. */
static void a_refusal_keeps_harmless_names_only(void **state)
{
    const struct fixture *f = *state;
    struct sn_event_refusal refusal;

    refused(&f->policy,
            "{\"id\":\"" UUID "\",\"type\":\"contract.moved\",\"contract\":{\"ref\":\"CT-1\"},"
            "\"service\":{\"onu\":{\"device\":\"olt-7\"}}}",
            "event.shape", &refusal);
    assert_string_equal(refusal.id, UUID);
    assert_string_equal(refusal.type, "contract.moved");
    assert_string_equal(refusal.ref, "CT-1");
    assert_string_equal(refusal.routing, "olt-7");
    refused(&f->policy,
            "{\"id\":7,\"type\":\"contract.#\",\"contract\":{\"ref\":\"CT-1\\n\"},"
            "\"service\":{\"onu\":{\"device\":\"olt-7.#\"}}}",
            "event.shape", &refusal);
    assert_true(sn_event_is_uuid(refusal.id));
    assert_string_equal(refusal.type, "");
    assert_string_equal(refusal.ref, "");
    assert_string_equal(refusal.routing, "");
}

static void only_allowed_sources_publish(void **state)
{
    const struct fixture *f = *state;
    static const char *const prod[] = { "odoo/other", "odoo/prod", NULL };
    static const char *const staging[] = { "odoo/staging", "odoo/pro", "odoo/prod2", NULL };
    static const char *const nobody[] = { NULL };
    struct sn_event_policy policy = f->policy;
    struct sn_event_refusal refusal;

    policy.sources = prod;
    sn_event_free(read_event(&policy, suspended));
    policy.sources = staging;
    refused(&policy, suspended, "event.source", &refusal);
    assert_false(refusal.dead);
    policy.sources = nobody;
    refused(&policy, suspended, "event.source", &refusal);
}

static void state_wins_over_type(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *type;
        const char *state;
        bool disagrees;
    } rows[] = {
        { "activated", "active", false },    { "activated", "suspended", true },    { "activated", "terminated", true },
        { "suspended", "suspended", false }, { "suspended", "active", true },       { "resumed", "active", false },
        { "resumed", "suspended", true },    { "terminated", "terminated", false }, { "terminated", "active", true },
        { "changed", "suspended", false },   { "plan_changed", "active", false },   { "moved", "terminated", true },
        { "onu_swapped", "active", false },  { "reconcile", "terminated", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[1024];
        struct sn_event *ev;
        (void)snprintf(text, sizeof text,
                       "{" HEAD "," CONTRACT ",\"type\":\"contract.%s\",\"service\":{\"state\":\"%s\"," PLAN
                       ",\"access\":{\"server\":\"radius-1\",\"username\":\"ana\",\"password\":\"x\"}}}",
                       rows[i].type, rows[i].state);
        ev = read_event(&f->policy, text);
        if (ev->disagrees != rows[i].disagrees)
            fail_msg("%s with state %s", rows[i].type, rows[i].state);
        assert_int_equal(ev->state, strcmp(rows[i].state, "active") == 0      ? SN_STATE_ACTIVE
                                    : strcmp(rows[i].state, "suspended") == 0 ? SN_STATE_SUSPENDED
                                                                              : SN_STATE_TERMINATED);
        sn_event_free(ev);
    }
}

#define ACCESS_FORMAT                                                                                \
    "{" HEAD "," CONTRACT ",\"type\":\"contract.activated\",\"service\":{\"state\":\"active\"," PLAN \
    ",\"access\":{\"server\":\"radius-1\",\"username\":\"ana\",\"password\":%s}}}"

static void rev_of(const struct sn_event_policy *policy, const char *password, char out[SN_REV_MAX])
{
    char text[2048];
    struct sn_event *ev;

    (void)snprintf(text, sizeof text, ACCESS_FORMAT, password);
    ev = read_event(policy, text);
    memcpy(out, ev->rev, SN_REV_MAX);
    sn_event_free(ev);
}

static void rev_depends_on_content_and_key_only(void **state)
{
    const struct fixture *f = *state;
    unsigned char key[32] = { 0 };
    unsigned char other_key[32] = { 1 };
    json_t *a = json_loads("{\"x\":1,\"y\":[true,{\"b\":2,\"a\":\"\xc3\xb1\"}]}", 0, NULL);
    json_t *b = json_loads("{ \"y\": [true, {\"a\": \"\\u00f1\", \"b\": 2}], \"x\": 1 }", 0, NULL);
    json_t *c = json_loads("{\"x\":1,\"y\":[true,{\"b\":2,\"a\":\"n\"}]}", 0, NULL);
    char one[SN_REV_MAX];
    char two[SN_REV_MAX];
    struct sn_error err;

    assert_int_equal(sn_event_rev(a, key, one, &err), 0);
    /* python: hashlib.blake2b('{"x":1,"y":[true,{"a":"ñ","b":2}]}'.encode(), key=bytes(32),
     * digest_size=32).hexdigest()[:16] */
    assert_string_equal(one, "541dfb44e794ded7");
    assert_int_equal(sn_event_rev(b, key, two, &err), 0);
    assert_string_equal(one, two);
    assert_int_equal(sn_event_rev(c, key, two, &err), 0);
    assert_string_not_equal(one, two);
    assert_int_equal(sn_event_rev(a, other_key, two, &err), 0);
    assert_string_not_equal(one, two);
    json_decref(a);
    json_decref(b);
    json_decref(c);
    rev_of(&f->policy, "\"hunter2\"", one);
    rev_of(&f->policy, "\"hunter3\"", two);
    assert_string_not_equal(one, two);
}

/* A dead letter holds the sealed form; its replay must be the same payload to the record. */
static void a_replayed_event_has_the_rev_of_the_original(void **state)
{
    const struct fixture *f = *state;
    char text[2048];
    struct sn_event *original;
    struct sn_event *replayed;
    char *sealed;

    (void)snprintf(text, sizeof text, ACCESS_FORMAT, "\"hunter2\"");
    original = read_event(&f->policy, text);
    sealed = json_dumps(original->body, 0);
    assert_non_null(sealed);
    assert_null(strstr(sealed, "hunter2"));
    assert_non_null(strstr(sealed, "sealed:"));
    replayed = read_event(&f->policy, sealed);
    assert_string_equal(original->rev, replayed->rev);
    free(sealed);
    sealed = json_dumps(replayed->body, 0);
    assert_null(strstr(sealed, "hunter2")); /* opened for the hash only */
    free(sealed);
    sn_event_free(original);
    sn_event_free(replayed);
}

static void inline_secrets_are_sealed_in_every_place(void **state)
{
    const struct fixture *f = *state;
    static const char text[] =
        "{" HEAD "," CONTRACT
        ",\"x_note\":[\"canary-1\",{\"a\":\"canary-2\"}],\"type\":\"contract.activated\",\"service\":{"
        "\"state\":\"active\"," PLAN
        ",\"access\":{\"server\":\"radius-1\",\"username\":\"ana\",\"password\":\"canary-1\"},"
        "\"onu\":{\"device\":\"olt-7\",\"serial\":\"HWTC1A2B3C4D\",\"frame\":0,\"slot\":1,\"port\":3,"
        "\"services\":[{\"name\":\"i\",\"gemport\":1,\"vlan\":1}],\"wan\":{\"password\":\"canary-2\"},"
        "\"wifi\":[{\"index\":1,\"ssid\":\"a\",\"key\":\"canary-3\"},{\"index\":2,\"ssid\":\"b\",\"key\":\"canary-4\"}]"
        "},"
        "\"playbooks\":[{\"name\":\"p\",\"vars\":{\"pw\":\"canary-3\",\"l\":[\"canary-4\",\"free\"]}}]}}";
    struct sn_event *ev = read_event(&f->policy, text);
    char *body = json_dumps(ev->body, 0);
    struct sn_secret secret = { 0 };
    struct sn_error err;
    int sealed = 0;

    assert_non_null(body);
    assert_null(strstr(body, "canary"));
    assert_non_null(strstr(body, "\"free\""));
    for (const char *p = body; (p = strstr(p, "\"sealed:")) != NULL; p++)
        sealed++;
    assert_int_equal(sealed, 8);
    assert_int_equal(sn_secret_resolve_json(
                         f->store, json_object_get(json_object_get(ev->service, "access"), "password"), &secret, &err),
                     0);
    assert_string_equal(secret.data, "canary-1");
    sn_secret_fini(&secret);
    free(body);
    sn_event_free(ev);
}

static void inline_secrets_need_permission_and_a_key(void **state)
{
    const struct fixture *f = *state;
    struct sn_event_policy policy = f->policy;
    struct sn_event_refusal refusal;
    char text[2048];

    (void)snprintf(text, sizeof text, ACCESS_FORMAT, "\"hunter2\"");
    policy.inline_secrets = false;
    refused(&policy, text, "event.inline-secret", &refusal);
    assert_true(refusal.dead);
    assert_string_equal(refusal.path, "/service/access/password");
    assert_null(strstr(refusal.rule, "hunter2"));
    policy.inline_secrets = true;
    policy.seal_public = NULL;
    refused(&policy, text, "event.inline-secret", &refusal);
    (void)snprintf(text, sizeof text, ACCESS_FORMAT, "{\"$secret\":\"vault:a#b\"}");
    sn_event_free(read_event(&policy, text)); /* a reference needs neither */
}

/* --- the table of places is that of the schema --- */

static void collect(const json_t *document, const json_t *node, const char *path, unsigned depth, json_t *found)
{
    const char *ref = json_string_value(json_object_get(node, "$ref"));
    const char *name;
    json_t *member;
    char here[256];

    if (depth > 12 || (ref != NULL && strstr(ref, "/held") != NULL))
        return;
    if (ref != NULL && strcmp(ref, "#/definitions/secret") == 0) {
        (void)json_object_set_new(found, path, json_true());
        return;
    }
    if (ref != NULL) {
        collect(document, json_object_get(json_object_get(document, "definitions"), ref + strlen("#/definitions/")),
                path, depth + 1, found);
        return;
    }
    json_object_foreach(json_object_get(node, "properties"), name, member)
    {
        (void)snprintf(here, sizeof here, "%s%s%s", path, *path != '\0' ? "/" : "", name);
        collect(document, member, here, depth + 1, found);
    }
    (void)snprintf(here, sizeof here, "%s/*", path);
    if (json_object_get(node, "items") != NULL)
        collect(document, json_object_get(node, "items"), here, depth + 1, found);
}

static void every_secret_of_the_schema_is_known(void **state)
{
    json_t *document = json_load_file("schemas/event/v1/schema.json", 0, NULL);
    json_t *found = json_object();
    size_t count = 0;

    (void)state;
    assert_non_null(document);
    collect(document, document, "", 0, found);
    for (; sn_event_secret_places[count] != NULL; count++) {
        if (json_object_get(found, sn_event_secret_places[count]) == NULL)
            fail_msg("%s is no secret of the schema", sn_event_secret_places[count]);
    }
    assert_int_equal(json_object_size(found), count);
    json_decref(found);
    json_decref(document);
}

static void the_format_is_told_by_type_or_first_byte(void **state)
{
    const struct fixture *f = *state;
    struct sn_event_refusal refusal;
    struct sn_event *ev = NULL;

    assert_int_equal(
        sn_event_read(&f->policy, suspended, strlen(suspended), "application/json; charset=utf-8", NULL, &ev, &refusal),
        0);
    sn_event_free(ev);
    assert_int_equal(sn_event_read(&f->policy, suspended, strlen(suspended), "text/plain", NULL, &ev, &refusal), 0);
    sn_event_free(ev);
    assert_int_equal(sn_event_read(&f->policy,
                                   "\x81\xa1"
                                   "a\xc0",
                                   4, NULL, NULL, &ev, &refusal),
                     -1);
    assert_string_equal(refusal.code, "event.shape"); /* read as msgpack */
    assert_int_equal(sn_event_read(&f->policy,
                                   "\x81\xa1"
                                   "a\xc0",
                                   4, "application/json", NULL, &ev, &refusal),
                     -1);
    assert_string_equal(refusal.code, "event.syntax");
    assert_int_equal(sn_event_read(&f->policy, "", 0, NULL, NULL, &ev, &refusal), -1);
    assert_string_equal(refusal.code, "event.syntax");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fields_of_a_contract_event),
        cmocka_unit_test(the_fields_of_a_command),
        cmocka_unit_test(the_fields_of_a_cleanup),
        cmocka_unit_test(routing_prefers_onu_then_router_then_access),
        cmocka_unit_test(derived_ids_are_uuid5),
        cmocka_unit_test(a_message_without_an_id_still_has_one),
        cmocka_unit_test(a_refusal_keeps_harmless_names_only),
        cmocka_unit_test(only_allowed_sources_publish),
        cmocka_unit_test(state_wins_over_type),
        cmocka_unit_test(rev_depends_on_content_and_key_only),
        cmocka_unit_test(a_replayed_event_has_the_rev_of_the_original),
        cmocka_unit_test(inline_secrets_are_sealed_in_every_place),
        cmocka_unit_test(inline_secrets_need_permission_and_a_key),
        cmocka_unit_test(every_secret_of_the_schema_is_known),
        cmocka_unit_test(the_format_is_told_by_type_or_first_byte),
    };

    return cmocka_run_group_tests(tests, event_setup, event_teardown);
}
