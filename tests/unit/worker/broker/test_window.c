/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/broker/window.h"

static struct sn_publication *make(int id, size_t len)
{
    struct sn_publication *p = sn_publication_new("x", "k", calloc(1, len), len);

    assert_non_null(p);
    (void)snprintf(p->message_id, sizeof(p->message_id), "%d", id);
    return p;
}

static void fill(struct sn_window *w, int from, int to)
{
    for (int i = from; i <= to; i++)
        sn_list_push(&w->ready, make(i, 10));
}

static int send_all(struct sn_window *w, int64_t now_ms)
{
    int n = 0;

    while (sn_window_next(w, now_ms) != NULL)
        n++;
    return n;
}

/* The ids of a list, "1 2 3"; empties it. */
static const char *take(struct sn_publication_list *l, char *out, size_t size)
{
    struct sn_publication *p;
    size_t bytes = l->bytes, count = l->count;

    out[0] = '\0';
    while ((p = sn_list_pop(l)) != NULL) {
        size_t used = strlen(out);
        (void)snprintf(out + used, size - used, "%s%s", used > 0 ? " " : "", p->message_id);
        bytes -= p->len;
        count--;
        sn_publication_free(p);
    }
    assert_int_equal(bytes, 0);
    assert_int_equal(count, 0);
    assert_null(l->tail);
    return out;
}

static const char *settle(struct sn_window *w, uint64_t tag, bool multiple)
{
    static char text[256];
    struct sn_publication_list l = { 0 };

    sn_window_settle(w, tag, multiple, &l);
    return take(&l, text, sizeof(text));
}

static void empty(struct sn_window *w)
{
    char text[512];

    sn_window_reset(w);
    (void)take(&w->ready, text, sizeof(text));
    (void)take(&w->later, text, sizeof(text));
}

#define WINDOW                              \
    {                                       \
        .max_count = 100, .max_bytes = 1000 \
    }

static void single_confirms_in_any_order(void **state)
{
    struct sn_window w = WINDOW;

    (void)state;
    fill(&w, 1, 5);
    assert_int_equal(send_all(&w, 1), 5);
    assert_string_equal(settle(&w, 3, false), "3");
    assert_string_equal(settle(&w, 1, false), "1");
    assert_string_equal(settle(&w, 5, false), "5");
    assert_string_equal(settle(&w, 5, false), "");
    assert_string_equal(settle(&w, 9, false), "");
    assert_int_equal(w.sent.count, 2);
    assert_string_equal(settle(&w, 4, false), "4");
    assert_string_equal(settle(&w, 2, false), "2");
    assert_int_equal(sn_window_count(&w), 0);
}

static void multiple_confirms_all_up_to_the_tag(void **state)
{
    struct sn_window w = WINDOW;

    (void)state;
    fill(&w, 1, 8);
    assert_int_equal(send_all(&w, 1), 8);
    assert_string_equal(settle(&w, 2, false), "2");
    assert_string_equal(settle(&w, 4, true), "1 3 4");
    assert_string_equal(settle(&w, 4, true), "");
    assert_string_equal(settle(&w, 5, true), "5"); /* the first one */
    assert_string_equal(settle(&w, 100, true), "6 7 8");
    assert_int_equal(sn_window_count(&w), 0);
}

static void multiple_at_the_head_takes_the_head_only(void **state)
{
    struct sn_window w = WINDOW;

    (void)state;
    fill(&w, 1, 3);
    assert_int_equal(send_all(&w, 1), 3);
    assert_string_equal(settle(&w, 1, true), "1");
    assert_int_equal(w.sent.count, 2);
    assert_int_equal(w.sent.head->seq, 2);
    empty(&w);
}

static void a_return_marks_its_own(void **state)
{
    struct sn_window w = WINDOW;
    struct sn_publication_list l = { 0 };

    (void)state;
    fill(&w, 1, 3);
    assert_int_equal(send_all(&w, 1), 3);
    sn_window_returned(&w, 2);
    sn_window_returned(&w, 99);
    sn_window_returned(&w, 0);
    sn_window_settle(&w, 3, true, &l);
    for (struct sn_publication *p; (p = sn_list_pop(&l)) != NULL; sn_publication_free(p))
        assert_int_equal(p->returned, p->seq == 2);
}

static void the_window_is_bounded_by_count_and_bytes(void **state)
{
    struct sn_window w = { .max_count = 3, .max_bytes = 1000 };

    (void)state;
    fill(&w, 1, 5);
    assert_int_equal(send_all(&w, 1), 3);
    assert_string_equal(settle(&w, 1, false), "1");
    assert_int_equal(send_all(&w, 1), 1);
    empty(&w);
    w.max_bytes = 25;
    fill(&w, 1, 5);
    assert_int_equal(send_all(&w, 1), 2);
    empty(&w);
    sn_list_push(&w.ready, make(1, 5000)); /* too big for the window, but alone */
    sn_list_push(&w.ready, make(2, 1));
    assert_int_equal(send_all(&w, 1), 1);
    assert_string_equal(settle(&w, 1, false), "1");
    assert_int_equal(send_all(&w, 1), 1);
    empty(&w);
}

static void a_lost_link_sends_the_unconfirmed_first_and_counts_anew(void **state)
{
    struct sn_window w = WINDOW;
    char text[64];

    (void)state;
    fill(&w, 1, 4);
    assert_int_equal(send_all(&w, 1), 4);
    sn_window_returned(&w, 3);
    assert_string_equal(settle(&w, 2, false), "2");
    fill(&w, 5, 6);
    sn_window_reset(&w);
    assert_int_equal(w.sent.count, 0);
    assert_int_equal(sn_window_next(&w, 9)->seq, 1);
    assert_int_equal(send_all(&w, 9), 4);
    for (struct sn_publication *p = w.sent.head; p != NULL; p = p->next)
        assert_false(p->returned); /* of the old link */
    assert_int_equal(sn_window_oldest(&w), 9);
    sn_window_reset(&w);
    assert_string_equal(take(&w.ready, text, sizeof(text)), "1 3 4 5 6");
}

/* Sends in rounds; the "broker" closes the channel as soon as `bad` is in flight, else it confirms all. */
static int rounds_until_accused(struct sn_window *w, const char *bad, int limit)
{
    for (int round = 1; round <= limit; round++) {
        bool closed = false;
        (void)send_all(w, 1);
        for (struct sn_publication *p = w->sent.head; p != NULL; p = p->next)
            closed = closed || strcmp(p->message_id, bad) == 0;
        if (closed) {
            const struct sn_publication *culprit = sn_window_accuse(w, 500);
            if (culprit != NULL) {
                assert_string_equal(culprit->message_id, bad);
                return round;
            }
        } else {
            (void)settle(w, UINT64_MAX, true);
        }
    }
    fail();
    return 0;
}

static void the_one_that_closes_the_channel_is_found(void **state)
{
    (void)state;
    for (int bad = 1; bad <= 6; bad++) {
        struct sn_window w = WINDOW;
        char id[8];
        fill(&w, 1, 6);
        (void)snprintf(id, sizeof(id), "%d", bad);
        assert_in_range(rounds_until_accused(&w, id, 20), 2, 8);
        assert_int_equal(w.later.count, 1);
        (void)send_all(&w, 1);
        (void)settle(&w, UINT64_MAX, true);
        (void)send_all(&w, 1);
        (void)settle(&w, UINT64_MAX, true);
        while (w.ready.head != NULL) {
            (void)send_all(&w, 1);
            (void)settle(&w, UINT64_MAX, true);
        }
        assert_int_equal(sn_window_count(&w), 1); /* all others went through */
        assert_int_equal(sn_window_due(&w, 499), 500);
        assert_int_equal(w.ready.count, 0);
        assert_int_equal(sn_window_due(&w, 500), 0);
        assert_int_equal(w.ready.count, 1);
        empty(&w);
    }
}

static void postponed_ones_come_when_due(void **state)
{
    struct sn_window w = WINDOW;
    char text[64];

    (void)state;
    sn_window_postpone(&w, make(1, 1), 300);
    sn_window_postpone(&w, make(2, 1), 100);
    sn_window_postpone(&w, make(3, 1), 200);
    assert_int_equal(sn_window_due(&w, 50), 100);
    assert_int_equal(sn_window_due(&w, 200), 300);
    assert_string_equal(take(&w.ready, text, sizeof(text)), "2 3");
    empty(&w);
}

static void a_block_restarts_the_clock(void **state)
{
    struct sn_window w = WINDOW;

    (void)state;
    assert_int_equal(sn_window_oldest(&w), 0);
    fill(&w, 1, 2);
    assert_int_equal(send_all(&w, 5), 2);
    assert_int_equal(sn_window_oldest(&w), 5);
    sn_window_restart_clock(&w, 70);
    assert_int_equal(sn_window_oldest(&w), 70);
    empty(&w);
}

static void a_name_that_does_not_fit_is_refused(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_null(sn_publication_new(name, "k", calloc(1, 4), 4));
    assert_null(sn_publication_new("x", name, calloc(1, 4), 4));
    sn_publication_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_confirms_in_any_order),
        cmocka_unit_test(multiple_confirms_all_up_to_the_tag),
        cmocka_unit_test(multiple_at_the_head_takes_the_head_only),
        cmocka_unit_test(a_return_marks_its_own),
        cmocka_unit_test(the_window_is_bounded_by_count_and_bytes),
        cmocka_unit_test(a_lost_link_sends_the_unconfirmed_first_and_counts_anew),
        cmocka_unit_test(the_one_that_closes_the_channel_is_found),
        cmocka_unit_test(postponed_ones_come_when_due),
        cmocka_unit_test(a_block_restarts_the_clock),
        cmocka_unit_test(a_name_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
