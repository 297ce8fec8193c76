/* SPDX-License-Identifier: Apache-2.0 */
/*
 * next() and absorb() of radius-session against a world in memory: rows of radacct and a NAS that says what the test tells it to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/radius-session/radius_session.h"
#include "drivers/radius-session/session.h"
#include "tests/unit/drivers/conformance/conformance.h"

#define NOW INT64_C(1795406400000)

struct world {
    json_t *data;    /* answer of the read */
    int causes[8];   /* Error-Cause of the n-th packet, 0 = ACK, -1 = NAK without a cause */
    int sent[8];     /* transmissions that the n-th packet took; 0 = 1 */
    int packets;
    bool stop_on_ack; /* an acknowledged Disconnect closes the row */
    const char *login;
    int appear_after; /* a session is accounted for right after the n-th packet */
};

static void add_session(struct world *w, int64_t row, const char *id, int64_t start_ms)
{
    json_t *sessions = json_object_get(w->data, "sessions");

    json_array_append_new(sessions, json_pack("{s:I, s:s, s:s, s:n, s:I}", "row", (json_int_t)row, "id", id, "nas", "10.0.0.1",
                                              "framed", "start_ms", (json_int_t)start_ms));
    json_object_set_new(w->data, "open", json_integer((json_int_t)json_array_size(sessions)));
}

static void make_world(struct world *w, bool refused)
{
    memset(w, 0, sizeof(*w));
    w->data = json_pack("{s:I, s:{s:I, s:I, s:n}, s:s, s:b, s:i, s:[]}", "now_ms", (json_int_t)NOW, "fence", "generation",
                        (json_int_t)2, "changed_ms", (json_int_t)(NOW - 1000), "redial_ms", "holder", "odoo/prod/1", "refused",
                        refused, "open", 0, "sessions");
    w->stop_on_ack = true;
}

static void close_row(struct world *w, int64_t row)
{
    json_t *sessions = json_object_get(w->data, "sessions");

    for (size_t i = 0; i < json_array_size(sessions); i++) {
        if (json_integer_value(json_object_get(json_array_get(sessions, i), "row")) == row)
            json_array_remove(sessions, i--);
    }
    json_object_set_new(w->data, "open", json_integer((json_int_t)json_array_size(sessions)));
}

static void exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply)
{
    struct world *w = arg;
    int n = w->packets;
    int cause;

    (void)want;
    if (op->verb == SES_READ) {
        reply->data = json_deep_copy(w->data);
        return;
    }
    if (op->verb == SES_LOGIN) {
        reply->data = json_loads(w->login, 0, NULL);
        return;
    }
    assert_in_range(n, 0, 7);
    w->packets++;
    cause = w->causes[n];
    reply->data = json_pack("{s:s, s:i, s:s, s:i, s:b}", "answer", cause == 0 ? "ack" : "nak", "cause", cause > 0 ? cause : 0,
                            "name", "Name", "sent", w->sent[n] > 0 ? w->sent[n] : 1, "zero_ma", 0);
    if (w->packets == w->appear_after)
        add_session(w, 9, "81a00019", NOW - 500);
    if (cause == 0 && op->verb == SES_CUT && w->stop_on_ack)
        close_row(w, op->n[SES_N_ROW]);
}

struct fixture {
    struct sn_target target;
    struct sn_want want;
    struct world world;
    struct conform_world conform;
    json_t *conf, *key, *service, *memo;
};

static void setup(struct fixture *f, enum sn_want_kind kind, const char *aspect, bool refused)
{
    memset(f, 0, sizeof(*f));
    f->conf = json_pack("{s:s, s:s}", "nas_address", "10.0.0.1", "radius", "radius-1");
    f->key = json_pack("{s:s}", "username", "ana@isp");
    f->service = json_pack("{s:{s:s, s:i, s:i}}", "plan", "code", "P", "up_kbps", 500, "down_kbps", 2000);
    f->memo = json_object();
    f->target.conf = f->conf;
    f->want = (struct sn_want){ .kind = kind, .aspect = aspect, .ref = "CT-1", .owner = "odoo/prod/1", .generation = 2, .rev = "r",
                                .service = kind == SN_GONE ? NULL : f->service, .key = f->key, .target = &f->target,
                                .since_ms = NOW };
    make_world(&f->world, refused);
    f->conform = (struct conform_world){ .exchange = exchange, .arg = &f->world };
}

static void teardown(struct fixture *f)
{
    json_decref(f->conf);
    json_decref(f->key);
    json_decref(f->service);
    json_decref(f->memo);
    json_decref(f->world.data);
}

static void carry(struct fixture *f, struct conform_run *run)
{
    conform_carry(&sn_driver_radius_session, &f->want, &f->conform, f->memo, run);
}

/* Later looks, as the timer brings them. */
static int carry_to_the_end(struct fixture *f, struct conform_run *run)
{
    int looks = 0;

    carry(f, run);
    while (run->end == CONFORM_LATER && looks < 50) {
        conform_run_fini(run);
        carry(f, run);
        looks++;
    }
    return looks;
}

static void coa_refusals_follow_the_table(void **state)
{
    static const struct {
        int cause;
        bool disconnects; /* falls back */
        enum sn_class class;
        const char *code;
    } rows[] = {
        { -1, true, SN_OK, "" },
        { 401, true, SN_OK, "" },
        { 402, true, SN_OK, "" },
        { 405, true, SN_OK, "" },
        { 406, true, SN_OK, "" },
        { 407, true, SN_OK, "" },
        { 403, false, SN_PERMANENT, "radius.nas-refused-403" },
        { 404, false, SN_PERMANENT, "radius.nas-refused-404" },
        { 501, false, SN_PERMANENT, "radius.nas-refused-501" },
        { 502, false, SN_PERMANENT, "radius.nas-refused-502" },
        { 504, false, SN_TRANSIENT_JOB, "radius.nas-refused-504" },
        { 505, false, SN_TRANSIENT_JOB, "radius.nas-refused-505" },
        { 506, false, SN_TRANSIENT_JOB, "radius.nas-refused-506" },
        { 507, false, SN_PERMANENT, "radius.nas-refused-507" },
        { 508, false, SN_PERMANENT, "radius.nas-refused-508" },
        { 777, false, SN_PERMANENT, "radius.nas-refused-777" },
        { 123456, false, SN_PERMANENT, "radius.nas-refused" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct conform_run run;
        setup(&f, SN_SINCE, "session", false);
        add_session(&f.world, 7, "81a00010", NOW - 60000);
        f.world.causes[0] = rows[i].cause;
        carry(&f, &run);
        if (rows[i].disconnects) {
            assert_int_equal(run.end, CONFORM_DONE);
            assert_int_equal(run.writes, 2);
            assert_string_equal(json_string_value(json_array_get(json_array_get(run.lines, 3), 1)),
                                "Disconnect-Request User-Name=ana@isp NAS-IP-Address=10.0.0.1 Acct-Session-Id=81a00010");
        } else {
            assert_int_equal(run.end, CONFORM_REFUSED);
            assert_int_equal(run.verdict.class, rows[i].class);
            assert_string_equal(run.verdict.code, rows[i].code);
        }
        conform_run_fini(&run);
        teardown(&f);
    }
}

static void disconnect_refusals_follow_the_table(void **state)
{
    static const struct {
        int cause;
        enum sn_class class;
    } rows[] = {
        { -1, SN_TRANSIENT_JOB }, { 401, SN_PERMANENT },     { 402, SN_PERMANENT },     { 403, SN_PERMANENT },
        { 404, SN_PERMANENT },    { 405, SN_PERMANENT },     { 406, SN_TRANSIENT_JOB }, { 407, SN_PERMANENT },
        { 501, SN_PERMANENT },    { 502, SN_PERMANENT },     { 504, SN_TRANSIENT_JOB }, { 505, SN_TRANSIENT_JOB },
        { 506, SN_TRANSIENT_JOB }, { 507, SN_PERMANENT },    { 508, SN_PERMANENT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct conform_run run;
        setup(&f, SN_GONE, "session", true);
        add_session(&f.world, 7, "81a00010", NOW - 60000);
        f.world.causes[0] = rows[i].cause;
        carry(&f, &run);
        assert_int_equal(run.end, CONFORM_REFUSED);
        assert_int_equal(run.verdict.class, rows[i].class);
        conform_run_fini(&run);
        teardown(&f);
    }
}

static void unknown_session_after_our_own_retransmission_is_done(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_GONE, "session", true);
    add_session(&f.world, 7, "81a00010", NOW - 60000);
    f.world.causes[0] = 503;
    f.world.sent[0] = 2;
    /* the row never closes: one look at once, five later, then the NAS's word stands */
    assert_int_equal(carry_to_the_end(&f, &run), 5);
    assert_int_equal(f.world.packets, 1); /* not tried by name */
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(run.evidence, SN_EVIDENCE_ACKNOWLEDGED);
    conform_run_fini(&run);
    teardown(&f);
}

static void unknown_session_is_tried_once_by_name(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_SINCE, "session", false);
    add_session(&f.world, 7, "81a00010", NOW - 60000);
    f.world.causes[0] = 503;
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(run.evidence, SN_EVIDENCE_ACKNOWLEDGED);
    assert_int_equal(f.world.packets, 2);
    assert_string_equal(json_string_value(json_array_get(json_array_get(run.lines, 3), 1)),
                        "CoA-Request User-Name=ana@isp NAS-IP-Address=10.0.0.1 Mikrotik-Rate-Limit=500k/2000k "
                        "(in place of session 81a00010)");
    conform_run_fini(&run);
    teardown(&f);

    setup(&f, SN_GONE, "session", true);
    add_session(&f.world, 7, "81a00010", NOW - 60000);
    f.world.causes[0] = f.world.causes[1] = 503;
    (void)carry_to_the_end(&f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(f.world.packets, 2);
    conform_run_fini(&run);
    teardown(&f);
}

/* The sweep by name cut a session whose Accounting-Start came only then: the words that follow must not count as a repetition. */
static void session_that_appears_after_the_sweep_is_no_repetition(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_GONE, "session", true);
    carry(&f, &run);
    assert_int_equal(run.writes, 1);
    conform_run_fini(&run);
    json_object_del(f.memo, "swept");
    f.world.causes[2] = f.world.causes[3] = 503;
    f.world.appear_after = 2;
    (void)carry_to_the_end(&f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(f.world.packets, 4);
    conform_run_fini(&run);
    teardown(&f);
}

/* What needs no packet ends well while the NAS does not answer; what does need one asks for it, and the core does not send it. */
static void nas_that_is_away_is_not_swept(void **state)
{
    struct fixture f;
    struct conform_run run;
    json_t *holds = NULL;
    json_t *reality = NULL;
    struct ses_have have = { .known = true };

    (void)state;
    setup(&f, SN_GONE, "session", true);
    f.want.away = true;
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(run.writes, 0);
    conform_run_fini(&run);
    ses_describe(&f.want, &have, f.memo, &holds, &reality);
    assert_string_equal(json_string_value(json_object_get(holds, "asked_by_name")), "not asked: the NAS does not answer now");
    json_decref(holds);
    json_decref(reality);
    add_session(&f.world, 7, "81a00010", NOW - 60000);
    f.conform.dry = true;
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_WOULD_WRITE);
    conform_run_fini(&run);
    /* back again: the sweep is still owed */
    close_row(&f.world, 7);
    f.conform.dry = false;
    f.want.away = false;
    carry(&f, &run);
    assert_int_equal(run.writes, 1);
    conform_run_fini(&run);
    teardown(&f);
}

static void late_accounting_stop_is_waited_for(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_GONE, "session", true);
    add_session(&f.world, 7, "81a00010", NOW - 60000);
    f.world.stop_on_ack = false;
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_LATER);
    assert_string_equal(run.verdict.code, "radius-session.waits-for-stop");
    conform_run_fini(&run);
    close_row(&f.world, 7);
    f.world.causes[1] = 503; /* the sweep by name */
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(run.evidence, SN_EVIDENCE_OBSERVED);
    conform_run_fini(&run);
    teardown(&f);
}

static void row_numbers_are_the_memory_not_session_ids(void **state)
{
    struct fixture f;
    struct conform_run run;

    /* a NAS that was restarted counts its session ids from the start: same id, other row */
    (void)state;
    setup(&f, SN_SINCE, "session", false);
    add_session(&f.world, 7, "81a00010", NOW - 60000);
    carry(&f, &run);
    assert_int_equal(run.writes, 1);
    conform_run_fini(&run);
    close_row(&f.world, 7);
    add_session(&f.world, 8, "81a00010", NOW - 50000);
    carry(&f, &run);
    assert_int_equal(run.writes, 1);
    conform_run_fini(&run);
    teardown(&f);
}

static void sessions_are_due_by_time_and_by_refusal(void **state)
{
    static const struct {
        enum sn_want_kind kind;
        bool refused;
        int64_t start_ms;
        bool due;
    } rows[] = {
        { SN_SINCE, false, NOW - 1001, true },  { SN_SINCE, false, NOW - 1000, false }, { SN_SINCE, false, 0, true },
        { SN_SINCE, false, NOW + 5001, true },  /* the NAS's clock is ahead: its start says nothing */
        { SN_GONE, true, NOW - 1, true },       { SN_GONE, true, NOW + 4000, true },
        { SN_GONE, false, NOW - 1, true },      /* in flight when the rows changed, until now */
        { SN_GONE, false, NOW + 1, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct conform_run run;
        setup(&f, rows[i].kind, "session", rows[i].refused);
        add_session(&f.world, 7, "81a00010", rows[i].start_ms);
        f.world.causes[1] = 503;
        carry(&f, &run);
        assert_int_equal(run.end, CONFORM_DONE);
        assert_int_equal(json_object_get(f.memo, "cut") != NULL || json_object_get(f.memo, "acks") != NULL, rows[i].due);
        conform_run_fini(&run);
        teardown(&f);
    }
}

static void hostile_session_id_stays_on_its_line(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_GONE, "session", true);
    add_session(&f.world, 7, "x\r\nUser-Name=\x1b[2J\"';--", NOW - 60000);
    f.world.causes[1] = 503;
    carry(&f, &run); /* the conformance loop refuses control bytes in a line */
    assert_int_equal(run.end, CONFORM_DONE);
    assert_string_equal(json_string_value(json_array_get(json_array_get(run.lines, 1), 1)),
                        "Disconnect-Request User-Name=ana@isp NAS-IP-Address=10.0.0.1 "
                        "Acct-Session-Id=x\\x0d\\x0aUser-Name=\\x1b[2J\"';--");
    conform_run_fini(&run);
    teardown(&f);
}

static void as_many_sessions_as_are_read_fit_into_one_list(void **state)
{
    struct fixture f;
    struct conform_run run;
    char id[16];

    (void)state;
    setup(&f, SN_SINCE, "session", false);
    for (int i = 0; i < SES_ROWS_MAX; i++) {
        (void)snprintf(id, sizeof(id), "s%d", i);
        add_session(&f.world, 100 + i, id, NOW - 60000);
    }
    f.conform.dry = true;
    carry(&f, &run);
    assert_int_equal(json_array_size(run.lines), 1 + SN_OPS_MAX);
    conform_run_fini(&run);
    teardown(&f);
}

static void login_is_looked_at_again_when_a_session_came_up_meanwhile(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_LOOK, "login", false);
    f.world.login = "{\"answer\": \"reject\", \"message\": \"You are already logged in\"}";
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_STUCK);
    assert_string_equal(run.verdict.code, "radius.login-rejected");
    assert_string_equal(json_string_value(json_object_get(run.verdict.args, "message")), "You are already logged in");
    assert_int_equal(run.reads, 3); /* sessions, login, sessions once more */
    conform_run_fini(&run);
    f.world.login = "{\"answer\": \"challenge\"}";
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_STUCK);
    conform_run_fini(&run);
    f.world.login = "{\"answer\": \"accept\", \"rate\": \"500k/2000k\"}";
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    conform_run_fini(&run);
    teardown(&f);
}

static void every_want_keeps_the_contract(void **state)
{
    static const enum sn_want_kind kinds[] = { SN_SINCE, SN_GONE, SN_LOOK };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        setup(&f, kinds[i], "session", kinds[i] == SN_GONE);
        add_session(&f.world, 7, "81a00010", NOW - 60000);
        add_session(&f.world, 8, "81a00011", NOW - 50000);
        conform_reaches(&sn_driver_radius_session, &f.want, &f.conform);
        conform_survives_noise(&sn_driver_radius_session, &f.want, (const char *const[]){ "{\"now_ms\": 1}", NULL }, 50);
        teardown(&f);
    }
}

/* What the database holds is newer than the event: its sessions are the newer event's business, whatever is wanted. */
static void a_newer_generation_in_the_database_stops_every_packet(void **state)
{
    static const enum sn_want_kind kinds[] = { SN_SINCE, SN_GONE };

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct fixture f;
        struct conform_run run;

        setup(&f, kinds[i], "session", kinds[i] == SN_GONE);
        add_session(&f.world, 7, "81a00010", NOW - 60000);
        json_object_set_new(json_object_get(f.world.data, "fence"), "generation", json_integer(3));
        carry(&f, &run);
        assert_int_equal(run.end, CONFORM_STUCK);
        assert_int_equal(run.verdict.class, SN_SUPERSEDED);
        assert_string_equal(run.verdict.code, "radius-session.superseded");
        assert_int_equal(f.world.packets, 0);
        conform_run_fini(&run);
        teardown(&f);
    }
}

/* Answers whose members are missing, of another type, or out of range: never done, never a crash. */
static void broken_answers_of_the_database_are_not_understood(void **state)
{
    static const char *const members[] = { "now_ms", "fence", "holder", "refused", "open", "sessions" };
    static const char *const values[] = { NULL, "null", "-1", "\"x\"", "[]", "{}", "[{}]", "true", "[{\"row\": -1}]", "1e300",
                                          "[{\"row\": 1}]" };
    int understood = 0;

    (void)state;
    for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++) {
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            struct fixture f;
            struct ses_have have = { 0 };
            setup(&f, SN_GONE, "session", true);
            add_session(&f.world, 7, "81a00010", NOW - 60000);
            if (values[v] == NULL)
                json_object_del(f.world.data, members[m]);
            else
                json_object_set_new(f.world.data, members[m], json_loads(values[v], JSON_DECODE_ANY, NULL));
            if (ses_have_read(f.world.data, &have) == 0) {
                understood++;
                assert_true(have.known);
                assert_true(have.rows_n <= SES_ROWS_MAX && have.open >= (int64_t)have.rows_n);
            } else {
                assert_false(have.known);
            }
            teardown(&f);
        }
    }
    /* fence and holder may be null or unknown, the sessions another list, refused true: what remains readable stays so */
    assert_in_range(understood, 1, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coa_refusals_follow_the_table),
        cmocka_unit_test(disconnect_refusals_follow_the_table),
        cmocka_unit_test(unknown_session_after_our_own_retransmission_is_done),
        cmocka_unit_test(unknown_session_is_tried_once_by_name),
        cmocka_unit_test(session_that_appears_after_the_sweep_is_no_repetition),
        cmocka_unit_test(nas_that_is_away_is_not_swept),
        cmocka_unit_test(late_accounting_stop_is_waited_for),
        cmocka_unit_test(row_numbers_are_the_memory_not_session_ids),
        cmocka_unit_test(sessions_are_due_by_time_and_by_refusal),
        cmocka_unit_test(hostile_session_id_stays_on_its_line),
        cmocka_unit_test(as_many_sessions_as_are_read_fit_into_one_list),
        cmocka_unit_test(login_is_looked_at_again_when_a_session_came_up_meanwhile),
        cmocka_unit_test(every_want_keeps_the_contract),
        cmocka_unit_test(a_newer_generation_in_the_database_stops_every_packet),
        cmocka_unit_test(broken_answers_of_the_database_are_not_understood),
    };
    return cmocka_run_group_tests_name("radius-session", tests, NULL, NULL);
}
