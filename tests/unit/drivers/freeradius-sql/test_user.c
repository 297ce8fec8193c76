/* SPDX-License-Identifier: Apache-2.0 */
/* next() and absorb() of freeradius-sql: what differs, what stands in the way, what is said. The statements themselves are tested against
 * a real server in tests/system/test_radius_drivers.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/freeradius-sql/freeradius_sql.h"
#include "drivers/freeradius-sql/user.h"
#include "tests/unit/drivers/conformance/conformance.h"

#define OWNER "odoo/prod/1"
#define GROUP "FTTH-100@50000/100000"

struct fixture {
    struct sn_target target;
    struct sn_want want;
    json_t *conf, *service, *key, *memo;
    json_t *data; /* answer of the read */
};

static json_t *nothing(void)
{
    return json_pack("{s:n, s:n, s:{s:i, s:b}, s:[], s:[], s:[], s:{s:[], s:[]}, s:{s:[], s:[]}, s:n, s:i, s:[]}", "fence", "holder",
                     "password", "rows", 0, "ok", 0, "check", "reply", "groups", "plan", "check", "reply", "suspend", "check",
                     "reply", "address_holder", "open", 0, "sessions");
}

/* The database as it is when the wanted user stands there. */
static json_t *as_wanted(void)
{
    return json_pack("{s:{s:i, s:s, s:s}, s:s, s:{s:i, s:b}, s:[], s:[{s:s, s:s, s:s}], s:[{s:s, s:i}], s:{s:[], s:[{s:s, s:s}]},"
                     " s:{s:[], s:[]}, s:n, s:i, s:[{s:s, s:s}]}",
                     "fence", "generation", 2, "rev", "r", "username", "ana@isp", "holder", OWNER, "password", "rows", 1, "ok", 1,
                     "check", "reply", "attribute", "Framed-IP-Address", "op", ":=", "value", "100.64.0.10", "groups", "group",
                     GROUP, "priority", 10, "plan", "check", "reply", "attribute", "Mikrotik-Rate-Limit", "value",
                     "50000k/100000k", "suspend", "check", "reply", "address_holder", "open", 1, "sessions", "id", "81a00010",
                     "nas", "10.0.0.1");
}

static void setup(struct fixture *f, enum sn_want_kind kind, json_t *data)
{
    memset(f, 0, sizeof(*f));
    f->conf = json_object();
    f->service = json_pack("{s:s, s:{s:s, s:i, s:i}, s:{s:s, s:s}}", "state", "active", "plan", "code", "FTTH-100", "up_kbps", 50000,
                           "down_kbps", 100000, "access", "username", "ana@isp", "password", "canary-password");
    f->key = json_pack("{s:s, s:s}", "username", "ana@isp", "ipv4", "100.64.0.10");
    f->memo = json_object();
    f->data = data;
    f->target.conf = f->conf;
    f->want = (struct sn_want){ .kind = kind, .aspect = "user", .ref = "CT-1", .owner = OWNER, .generation = 2, .rev = "r",
                                .service = kind == SN_GONE ? NULL : f->service, .key = f->key, .target = &f->target };
}

static void teardown(struct fixture *f)
{
    json_decref(f->conf);
    json_decref(f->service);
    json_decref(f->key);
    json_decref(f->memo);
    json_decref(f->data);
}

/* A database that accepts every write and holds afterwards what was wanted. */
static void exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply)
{
    struct fixture *f = arg;

    (void)want;
    if (op->verb == FRSQL_READ) {
        reply->data = json_deep_copy(f->data);
        return;
    }
    json_decref(f->data);
    f->data = op->verb == FRSQL_GONE ? nothing() : as_wanted();
    if (op->verb == FRSQL_GONE)
        json_object_set_new(f->data, "fence", json_pack("{s:i, s:s, s:n}", "generation", 2, "rev", "r", "username"));
}

static void carry(struct fixture *f, struct conform_run *run)
{
    struct conform_world world = { .exchange = exchange, .arg = f, .dry = true };
    conform_carry(&sn_driver_freeradius_sql, &f->want, &world, f->memo, run);
}

/* What a dry run would write, or the code that it ends with. */
static void assert_says(struct fixture *f, const char *mark, const char *line)
{
    struct conform_run run;

    carry(f, &run);
    assert_int_equal(run.end, CONFORM_WOULD_WRITE);
    assert_string_equal(json_string_value(json_array_get(json_array_get(run.lines, 1), 0)), mark);
    assert_string_equal(json_string_value(json_array_get(json_array_get(run.lines, 1), 1)), line);
    conform_run_fini(&run);
    teardown(f);
}

static void assert_stuck(struct fixture *f, enum sn_class class, const char *code)
{
    struct conform_run run;

    carry(f, &run);
    assert_int_equal(run.end, CONFORM_STUCK);
    assert_string_equal(run.verdict.code, code);
    assert_int_equal(run.verdict.class, class);
    conform_run_fini(&run);
    teardown(f);
}

static void assert_done(struct fixture *f)
{
    struct conform_run run;

    carry(f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(run.evidence, SN_EVIDENCE_OBSERVED);
    conform_run_fini(&run);
    teardown(f);
}

static void set(struct fixture *f, const char *name, json_t *value)
{
    json_object_set_new(f->data, name, value);
}

static void contract_of_drivers_is_kept(void **state)
{
    static const char *const samples[] = { "{\"fence\": null, \"holder\": null}", NULL };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        struct conform_world world = { .exchange = exchange, .arg = &f };
        setup(&f, i == 0 ? SN_BE : SN_GONE, i == 0 ? nothing() : as_wanted());
        conform_reaches(&sn_driver_freeradius_sql, &f.want, &world);
        conform_survives_noise(&sn_driver_freeradius_sql, &f.want, samples, 50);
        teardown(&f);
    }
}

static void every_difference_is_said_in_words(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, SN_BE, nothing());
    assert_says(&f, "+", "user ana@isp, " GROUP ", 100.64.0.10; group created: Mikrotik-Rate-Limit 50000k/100000k");
    setup(&f, SN_BE, as_wanted());
    set(&f, "groups", json_pack("[{s:s, s:i}]", "group", "FTTH-50@25000/50000", "priority", 10));
    assert_says(&f, "~", "radusergroup ana@isp: FTTH-50@25000/50000 -> " GROUP);
    setup(&f, SN_BE, as_wanted());
    set(&f, "groups", json_pack("[{s:s, s:i}]", "group", GROUP, "priority", 9)); /* the priority is part of it */
    assert_says(&f, "~", "radusergroup ana@isp: " GROUP " -> " GROUP);
    setup(&f, SN_BE, as_wanted());
    set(&f, "password", json_pack("{s:i, s:b}", "rows", 1, "ok", 0));
    assert_says(&f, "~", "radcheck ana@isp: password set");
    setup(&f, SN_BE, as_wanted());
    set(&f, "reply", json_array());
    assert_says(&f, "~", "radreply ana@isp Framed-IP-Address: none -> 100.64.0.10");
    setup(&f, SN_BE, as_wanted());
    set(&f, "reply", json_pack("[{s:s, s:s, s:s}]", "attribute", "framed-ip-address", "op", "=", "value", "100.64.0.10"));
    assert_says(&f, "~", "radreply ana@isp Framed-IP-Address: 100.64.0.10 -> 100.64.0.10"); /* the group would win over `=` */
    setup(&f, SN_BE, as_wanted());
    set(&f, "check", json_pack("[{s:s, s:s, s:s}]", "attribute", "Auth-Type", "op", ":=", "value", "Reject"));
    assert_says(&f, "~", "own Auth-Type of ana@isp removed");
    setup(&f, SN_BE, as_wanted());
    f.want.generation = 5;
    assert_says(&f, "~", "silver_fence " OWNER ": generation 2 -> 5, no row of ana@isp changes");
    setup(&f, SN_BE, as_wanted());
    f.want.suspended = true;
    assert_says(&f, "~", "radusergroup ana@isp: silver-suspended added; group silver-suspended created");
    setup(&f, SN_GONE, as_wanted());
    assert_says(&f, "-", "user ana@isp: rows of radcheck, radreply and radusergroup deleted");
}

static void words_of_the_database_are_escaped(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, SN_BE, as_wanted());
    set(&f, "groups", json_pack("[{s:s, s:i}]", "group", "x\r\n\x1b[2J", "priority", 10));
    assert_says(&f, "~", "radusergroup ana@isp: x\\x0d\\x0a\\x1b[2J -> " GROUP);
}

static void obstacles_have_their_codes(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, SN_BE, as_wanted());
    set(&f, "holder", json_string("odoo/prod/2"));
    assert_stuck(&f, SN_CONFLICT, "freeradius-sql.username-taken");
    setup(&f, SN_BE, as_wanted());
    set(&f, "address_holder", json_string("beto@isp"));
    assert_stuck(&f, SN_CONFLICT, "freeradius-sql.address-taken");
    setup(&f, SN_BE, as_wanted());
    f.want.generation = 1;
    assert_stuck(&f, SN_SUPERSEDED, "freeradius-sql.superseded");
    setup(&f, SN_BE, as_wanted());
    set(&f, "plan", json_pack("{s:[], s:[{s:s, s:s}]}", "check", "reply", "attribute", "Mikrotik-Rate-Limit", "value", "5M/5M"));
    assert_stuck(&f, SN_PERMANENT, "freeradius-sql.group-differs");
    setup(&f, SN_BE, as_wanted());
    set(&f, "plan", json_pack("{s:[], s:[{s:s, s:s}]}", "check", "reply", "attribute", "Framed-Pool", "value", "p"));
    assert_stuck(&f, SN_PERMANENT, "freeradius-sql.group-differs"); /* a group without any rate */
    setup(&f, SN_BE, as_wanted());
    f.want.suspended = true;
    set(&f, "suspend", json_pack("{s:[], s:[{s:s, s:s}]}", "check", "reply", "attribute", "Reply-Message", "value", "x"));
    assert_stuck(&f, SN_PERMANENT, "freeradius-sql.group-differs"); /* it would not refuse anybody */
    setup(&f, SN_BE, as_wanted());
    set(&f, "holder", json_null());
    set(&f, "fence", json_null());
    json_object_set_new(f.conf, "unmarked", json_string("refuse"));
    assert_stuck(&f, SN_PERMANENT, "freeradius-sql.unmarked");
    setup(&f, SN_BE, nothing());
    json_object_del(json_object_get(f.service, "access"), "password");
    assert_stuck(&f, SN_INVALID, "freeradius-sql.password-missing");
}

static void suspending_is_not_stopped_by_what_stops_an_activation(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, SN_BE, as_wanted());
    f.want.suspended = true;
    set(&f, "plan", json_pack("{s:[], s:[{s:s, s:s}]}", "check", "reply", "attribute", "Mikrotik-Rate-Limit", "value", "5M/5M"));
    set(&f, "address_holder", json_string("beto@isp"));
    assert_says(&f, "~", "radusergroup ana@isp: silver-suspended added; group silver-suspended created; "
                         "radreply ana@isp Framed-IP-Address: 100.64.0.10 -> none");
}

static void removal_spares_what_is_not_ours(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, SN_GONE, as_wanted()); /* another contract's; our fence need not be raised for it */
    f.want.generation = 3;
    set(&f, "holder", json_string("odoo/prod/2"));
    assert_done(&f);
    setup(&f, SN_GONE, as_wanted()); /* nobody's, after we let the name go */
    set(&f, "holder", json_null());
    set(&f, "fence", json_pack("{s:i, s:s, s:n}", "generation", 2, "rev", "r", "username"));
    assert_done(&f);
    setup(&f, SN_GONE, as_wanted()); /* nobody's, never ours, and the inventory says refuse */
    set(&f, "holder", json_null());
    set(&f, "fence", json_null());
    json_object_set_new(f.conf, "unmarked", json_string("refuse"));
    assert_done(&f);
    setup(&f, SN_GONE, as_wanted()); /* nobody's, never ours, adopted */
    set(&f, "holder", json_null());
    set(&f, "fence", json_null());
    assert_says(&f, "-", "user ana@isp: rows of radcheck, radreply and radusergroup deleted");
}

static void names_and_plans_that_cannot_be_looked_up_are_invalid(void **state)
{
    static const char *const names[] = { "", "a'b", "a\"b", "a;b", "a\\b", "a%b", "a=b", "a\nb", "\xc3\xb1",
                                         "0123456789012345678901234567890123456789012345678901234567890123" };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sn_error err;
        json_t *key = NULL;
        setup(&f, SN_BE, nothing());
        json_object_set_new(json_object_get(f.service, "access"), "username", json_string(names[i]));
        assert_int_equal(sn_driver_freeradius_sql.key(&f.want, &key, &err), -1);
        json_object_set_new(f.key, "username", json_string(names[i]));
        assert_stuck(&f, SN_INVALID, "freeradius-sql.username");
    }
    setup(&f, SN_BE, nothing());
    json_object_set_new(json_object_get(f.service, "plan"), "code", json_string("a'b"));
    assert_stuck(&f, SN_INVALID, "freeradius-sql.plan-code");
    setup(&f, SN_BE, nothing());
    json_object_set_new(json_object_get(f.service, "plan"), "up_kbps", json_real(0.5));
    assert_stuck(&f, SN_INVALID, "freeradius-sql.plan-missing");
}

static void open_sessions_are_judged_by_what_changes(void **state)
{
    static const struct {
        bool suspended_now, garden_now, suspend, garden;
        bool address; /* another address */
        int open;
        enum frsql_change change;
    } rows[] = {
        { false, false, true, false, false, 1, FRSQL_CHANGE_SERVED },  /* refused from now on */
        { true, false, false, false, false, 0, FRSQL_CHANGE_FRESH },   /* nobody could log in */
        { true, false, false, false, false, 1, FRSQL_CHANGE_SERVED },
        { false, false, true, true, false, 1, FRSQL_CHANGE_REDIAL },   /* into the garden */
        { true, true, false, true, false, 1, FRSQL_CHANGE_REDIAL },    /* and out of it */
        { false, false, false, false, true, 1, FRSQL_CHANGE_REDIAL },  /* an address comes with a login */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct frsql_have have = { 0 };
        struct sn_answer answer = { 0 };
        struct sn_reply reply = { 0 };
        struct sn_verdict verdict = { 0 };
        struct sn_op read = { .verb = FRSQL_READ };
        setup(&f, SN_BE, as_wanted());
        f.want.suspended = rows[i].suspend;
        if (rows[i].garden)
            json_object_set_new(f.conf, "suspend", json_string("garden"));
        if (rows[i].suspended_now)
            json_array_append_new(json_object_get(f.data, "groups"),
                                  json_pack("{s:s, s:i}", "group",
                                            rows[i].garden_now ? "silver-suspended@suspended@512/512" : "silver-suspended",
                                            "priority", 1));
        if (rows[i].address)
            json_object_set_new(f.key, "ipv4", json_string("100.64.0.99"));
        set(&f, "open", json_integer(rows[i].open));
        reply.data = f.data;
        sn_driver_freeradius_sql.absorb(&f.want, &read, &reply, &have, f.memo, &verdict);
        assert_int_equal(verdict.class, SN_OK);
        sn_driver_freeradius_sql.next(&f.want, &have, f.memo, &answer);
        assert_int_equal(answer.what, SN_NEXT_OPS);
        assert_int_equal(answer.ops.v[0].n[3], rows[i].change);
        teardown(&f);
    }
}

/* Each member missing, null, or of another type: not understood, or read as what it then says; never a crash, never done by accident. */
static void broken_answers_are_not_understood(void **state)
{
    static const char *const values[] = { NULL, "null", "1", "\"x\"", "[]", "{}", "true", "[1]", "[{}]", "[{\"attribute\": 1}]" };
    json_t *whole = as_wanted();
    const char *name;
    json_t *member;

    (void)state;
    json_object_foreach(whole, name, member) {
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            struct fixture f;
            struct frsql_goal goal;
            struct frsql_have have = { 0 };
            struct sn_verdict verdict = { 0 };
            bool gone = values[v] == NULL;
            bool understood;
            setup(&f, SN_BE, as_wanted());
            if (gone)
                json_object_del(f.data, name);
            else
                json_object_set_new(f.data, name, json_loads(values[v], JSON_DECODE_ANY, NULL));
            assert_int_equal(frsql_goal_read(&f.want, &goal, &verdict), 0);
            understood = frsql_have_read(&f.want, &goal, f.data, &have) == 0;
            assert_int_equal(understood, have.known);
            if (gone && have.known)
                fail_msg("an answer without %s is understood", name);
            teardown(&f);
        }
    }
    json_decref(whole);
}

static void password_is_in_no_word(void **state)
{
    struct fixture f;
    struct conform_run run;
    char *text;

    (void)state;
    setup(&f, SN_BE, nothing());
    carry(&f, &run);
    text = json_dumps(run.lines, 0);
    assert_null(strstr(text, "canary"));
    free(text);
    conform_run_fini(&run);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contract_of_drivers_is_kept),
        cmocka_unit_test(every_difference_is_said_in_words),
        cmocka_unit_test(words_of_the_database_are_escaped),
        cmocka_unit_test(obstacles_have_their_codes),
        cmocka_unit_test(suspending_is_not_stopped_by_what_stops_an_activation),
        cmocka_unit_test(removal_spares_what_is_not_ours),
        cmocka_unit_test(names_and_plans_that_cannot_be_looked_up_are_invalid),
        cmocka_unit_test(open_sessions_are_judged_by_what_changes),
        cmocka_unit_test(broken_answers_are_not_understood),
        cmocka_unit_test(password_is_in_no_word),
    };
    return cmocka_run_group_tests_name("freeradius-sql", tests, NULL, NULL);
}
