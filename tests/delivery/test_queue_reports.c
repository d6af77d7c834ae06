/* Reports of the queue: at least once, and once where nothing is lost; to
 * whoever sent it; never one of a report. Promise 1; B2, B6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/delivery/kit.h"

#define ALICE "<alice@one.example>"

static const struct queue_site_mail told = {
	.id = "m1", .to = {"<bob@two.example>"}, .report_to = ALICE,
};

static void
refuse_bob(void)
{
	queue_hop[0].rcpt = "550 5.1.1 nobody here";
	queue_hop[0].refused_rcpt = "<bob@two.example>";
}

static void
a_failure_is_reported_and_removed(void **state)
{
	(void)state;
	begin("", TO_HOP);
	refuse_bob();
	put(&told);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_string_equal(queue_hop[0].last_path, ALICE);
	assert_memory_equal(queue_hop[0].last_mail, "MAIL FROM:<>", 12);
	assert_non_null(strstr(queue_hop[0].content, "Status: 5.1.1\r\n"));
	assert_non_null(strstr(queue_hop[0].content,
	    "Final-Recipient: rfc822; bob@two.example\r\n"));
	assert_non_null(strstr(queue_hop[0].content,
	    "smtp; 550 5.1.1 nobody here"));
	assert_non_null(strstr(queue_hop[0].content, "\r\nSubject: x\r\n"));
	assert_null(strstr(queue_hop[0].content, "hello"));
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	assert_int_equal(queue_site_status("m1r0", 0, 0), '-');
	assert_int_equal(queue_site_logged("m1: sender non-delivery notification: m1r0"), 1);
	assert_int_equal(queue_site_logged("ALARM"), 0);
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_pass(2 * M);
	assert_int_equal(queue_hop[0].n_taken, 1);
	queue_site_end();
}

/* Nobody is to report on a report (B8). */
static void
a_report_asks_for_none(void **state)
{
	(void)state;
	begin("", TO_HOP);
	refuse_bob();
	queue_hop[0].can = "250-8BITMIME\r\n250-DSN\r\n";
	put(&told);
	queue_site_work();
	assert_string_equal(queue_hop[0].last_rcpt, "RCPT TO:" ALICE
	    " NOTIFY=NEVER");
	queue_site_end();
}

/* B6: what is returned where the sender does not say, and of what length. */
static void
what_is_returned(void **state)
{
	static const struct {
		const char *top, *ret;
		bool is_full;
	} row[] = {
		{"", NULL, false},
		{"", "FULL", true},
		{"dsn-return: full\n", NULL, true},
		{"dsn-return: full\n", "HDRS", false},
		{"dsn-return: full\ndsn-return-max: 6\n", NULL, false},
		{"dsn-return: full\ndsn-return-max: 7\n", NULL, true},
		{"dsn-return-max: 6\n", "FULL", false},
		{"dsn-return-max: 0\n", "full", false},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct queue_site_mail m = told;

		begin(row[k].top, TO_HOP);
		refuse_bob();
		m.ret = row[k].ret;
		put(&m);
		queue_site_work();
		assert_int_equal(queue_hop[0].n_taken, 1);
		assert_int_equal(strstr(queue_hop[0].content,
		    "\r\nhello\r\n") != NULL, row[k].is_full);
		assert_non_null(strstr(queue_hop[0].content, row[k].is_full
		    ? "message/rfc822\r\n" : "text/rfc822-headers\r\n"));
		queue_site_end();
	}
}

/* RFC 3461 4.3: the whole where it is asked for. */
static void
what_the_sender_asked_for(void **state)
{
	struct queue_site_mail m = told;

	(void)state;
	begin("", TO_HOP);
	refuse_bob();
	m.ret = "FULL";
	m.envid = "QQ+2B314";
	m.orcpt = "rfc822;b+3Db@zero.example";
	m.notify = "SUCCESS,failure";
	put(&m);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_non_null(strstr(queue_hop[0].content, "\r\nhello\r\n"));
	assert_non_null(strstr(queue_hop[0].content,
	    "Original-Envelope-Id: QQ+314\r\n"));
	assert_non_null(strstr(queue_hop[0].content,
	    "Original-Recipient: rfc822; b=b@zero.example\r\n"));
	queue_site_end();
}

static void
nobody_who_does_not_want_it_is_told(void **state)
{
	static const char *const notify[] = {"NEVER", "SUCCESS,DELAY"};
	struct queue_site_mail m = told;

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		begin("", TO_HOP);
		refuse_bob();
		m.notify = notify[k];
		put(&m);
		queue_site_work();
		assert_int_equal(queue_hop[0].n_taken, 0);
		assert_int_equal(queue_site_status("m1", 0, 0), '-');
		assert_int_equal(queue_site_logged("the sender said NOTIFY="),
		    1);
		queue_site_end();
	}
}

/* Whoever failed together stands in one report; who fails later in another. */
static void
one_report_for_all_of_a_message(void **state)
{
	struct queue_site_mail m = {.id = "m1", .report_to = ALICE,
	    .to = {"<b@two.example>", "<c@two.example>", "<d@two.example>"}};

	(void)state;
	begin("", TO_HOP);
	queue_hop[0].dot = "550 5.7.1 not that";
	m.is_shared = true;
	put(&m);
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	assert_int_equal(queue_site_logged("m1: sender non-delivery notification: m1r0"), 1);
	assert_int_equal(queue_site_logged("m1: sender non-delivery notification:"), 1);
	/* the report was refused like them */
	assert_int_equal(queue_site_status("m1r0", 0, 0), 'f');
	assert_int_equal(queue_hop[0].n_mails, 2);
	queue_site_end();
}

/* B2: what can not be delivered then is for people. */
static void
no_report_of_a_report(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "550 5.1.1 nobody here";
	put(&told);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 0);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	assert_int_equal(queue_site_status("m1r0", 0, 0), 'f');
	assert_int_equal(queue_site_logged("m1r0: ALARM: "), 1);
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_pass(2 * M);
	assert_int_equal(queue_site_status("m1r0", 0, 0), 'f');
	assert_int_equal(queue_hop[0].n_rcpts, 2);
	queue_site_end();
}

static void
what_is_out_of_time_is_reported(void **state)
{
	(void)state;
	begin("queue-retry: 10m\nqueue-expire: 1h\n", TO_HOP);
	queue_hop[0].rcpt = "450 4.2.1 later";
	queue_hop[0].refused_rcpt = "<bob@two.example>";
	put(&told);
	queue_site_pass(2 * H);
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_non_null(strstr(queue_hop[0].content, "Status: 4.4.7\r\n"));
	assert_non_null(strstr(queue_hop[0].content, "Action: failed\r\n"));
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

/* A process before died behind each step: the next one goes on. */
static void
it_goes_on_where_one_died(void **state)
{
	static const enum queue_status left[] = {QUEUE_FAILED, QUEUE_EXPIRED,
	    QUEUE_TELLING_FAILED, QUEUE_TELLING_EXPIRED, QUEUE_TOLD};

	(void)state;
	for (size_t k = 0; k < sizeof(left) / sizeof(left[0]); k++) {
		queue_site_begin("", "  l: {listen: [\"127.0.0.1:25\"], role: "
		    "inbound, domains: [two.example], verify: off, " TO_HOP
		    "}\n");
		queue_site_put(&told);
		queue_site_patch("m1", 0, 0, left[k]);
		queue_run_start(queue_site_run);
		queue_site_work();
		assert_int_equal(queue_hop[0].n_taken, left[k] != QUEUE_TOLD);
		assert_int_equal(queue_site_status("m1", 0, 0), '-');
		assert_int_equal(queue_hop[0].n_rcpts, left[k] != QUEUE_TOLD);
		queue_site_end();
	}
}

/* It is in the spool already, and nobody is marked as told: it is not made
 * again. */
static void
one_that_is_there_is_not_made_again(void **state)
{
	const struct queue_site_mail report = {.id = "m1r0", .to = {ALICE},
	    .about = "m1"};

	(void)state;
	begin("", TO_HOP);
	queue_site_put(&report);
	queue_site_put(&told);
	queue_site_patch("m1", 0, 0, QUEUE_TELLING_FAILED);
	queue_run_add(queue_site_run, "m1");
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	assert_int_equal(queue_site_status("m1r0", 0, 0), '-');
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_non_null(strstr(queue_hop[0].content, "hello"));
	queue_site_end();
}

/* The process before died between the commit and the mark: the report may be
 * delivered, and gone, before its message is looked at. */
static void
a_report_that_leaves_first_has_told(void **state)
{
	const struct queue_site_mail report = {.id = "m1r0", .to = {ALICE},
	    .about = "m1"};
	struct queue_site_mail m = told;

	(void)state;
	queue_site_begin("", "  l: {listen: [\"127.0.0.1:25\"], role: "
	    "inbound, domains: [two.example], verify: off, " TO_HOP "}\n");
	m.is_held = true;		/* nobody looks at it */
	queue_site_put(&report);
	queue_site_put(&m);
	queue_site_patch("m1", 0, 0, QUEUE_TELLING_FAILED);
	queue_run_start(queue_site_run);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_int_equal(queue_site_status("m1", 0, 0), 'r');
	assert_int_equal(queue_site_logged("m1: sender non-delivery notification: m1r0"), 1);
	queue_site_end();
}

/* B5 */
static void
the_onward_address_is_not_told(void **state)
{
	struct queue_site_mail m = told;

	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "550 5.1.1 <bob@two.example> unknown";
	queue_hop[0].refused_rcpt = "<bob@two.example>";
	m.said = "<rob@one.example>";
	put(&m);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_null(strstr(queue_hop[0].content, "bob"));
	assert_null(strstr(queue_hop[0].content, "two.example"));
	assert_non_null(strstr(queue_hop[0].content,
	    "Final-Recipient: rfc822; rob@one.example\r\n"));
	assert_non_null(strstr(queue_hop[0].content, "Status: 5.1.1\r\n"));
	queue_site_end();
}

/* Who stands in it can not be written: it is not made before that. */
static void
nothing_is_made_before_it_is_written_down(void **state)
{
	(void)state;
	begin("queue-retry: 10m\n", TO_HOP);
	refuse_bob();
	queue_site_write_error = EIO;
	put(&told);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 0);
	assert_int_equal(queue_site_status("m1r0", 0, 0), '-');
	queue_site_write_error = 0;
	queue_site_pass(5 * M);
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

static void
held_it_is_not_reported(void **state)
{
	struct queue_site_mail m = told;

	(void)state;
	begin("", TO_HOP);
	refuse_bob();
	m.is_held = true;
	put(&m);
	queue_site_patch("m1", 0, 0, QUEUE_FAILED);
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_pass(2 * M);
	assert_int_equal(queue_hop[0].n_taken, 0);
	assert_true(queue_site_says("release m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

/* What can not be reported is for the postmaster, who may try it again. */
static void
what_is_being_told_is_not_tried_again(void **state)
{
	(void)state;
	begin("queue-retry: 10m\n", TO_HOP);
	refuse_bob();
	queue_site_write_error = EIO;
	put(&told);
	queue_site_work();
	queue_site_write_error = 0;
	queue_site_patch("m1", 0, 0, QUEUE_TELLING_FAILED);
	queue_hop[0].rcpt = NULL;
	assert_true(queue_site_says("retry m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), 'g');
	queue_site_pass(2 * M);
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_string_equal(queue_hop[0].last_path, ALICE);
	queue_site_end();
}

/* Nobody joins those that are being told: he stands in the next one, without
 * a restart in between. */
static void
who_failed_meanwhile_is_told_next(void **state)
{
	static const struct queue_site_mail two = {.id = "m1",
	    .report_to = ALICE, .to = {"<bob@two.example>",
	    "<carol@two.example>"}};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		queue_site_begin("", "  l: {listen: [\"127.0.0.1:25\"], role: "
		    "inbound, domains: [two.example], verify: off, " TO_HOP
		    "}\n");
		queue_site_put(&two);
		queue_site_patch("m1", 0, 0, QUEUE_TELLING_FAILED);
		queue_site_patch("m1", 1, 0, k == 0 ? QUEUE_FAILED
						    : QUEUE_EXPIRED);
		queue_run_start(queue_site_run);
		queue_site_pass(M);
		assert_int_equal(queue_hop[0].n_taken, 2);
		assert_string_equal(queue_hop[0].last_path, ALICE);
		assert_non_null(strstr(queue_hop[0].content,
		    "Final-Recipient: rfc822; carol@two.example\r\n"));
		assert_int_equal(queue_site_logged("m1: sender non-delivery "
		    "notification: m1r0"), 1);
		assert_int_equal(queue_site_logged("m1: sender non-delivery "
		    "notification: m1r1"), 1);
		assert_int_equal(queue_site_status("m1", 0, 0), '-');
		queue_site_end();
	}
}

/* A report that can not be made at all is not begun again for the others: the
 * postmaster is told once, of all. */
static void
what_can_not_be_reported_is_for_people_once(void **state)
{
	const struct queue_site_mail two = {.id = "m1", .report_to = ALICE,
	    .report_as = "two.example", .to = {"<b@two.example>",
	    "<c@two.example>"}};	/* there is no key */

	(void)state;
	begin("", TO_HOP);
	queue_site_put(&two);
	queue_site_patch("m1", 0, 0, QUEUE_TELLING_FAILED);
	queue_site_patch("m1", 1, 0, QUEUE_FAILED);
	queue_run_add(queue_site_run, "m1");
	queue_site_pass(H);
	assert_int_equal(queue_site_logged("m1: ALARM: its failure can not be "
	    "reported: "), 1);
	assert_int_equal(queue_site_status("m1", 1, 0), 'f');
	queue_site_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_failed_meanwhile_is_told_next),
		cmocka_unit_test(what_can_not_be_reported_is_for_people_once),
		cmocka_unit_test(a_failure_is_reported_and_removed),
		cmocka_unit_test(a_report_asks_for_none),
		cmocka_unit_test(what_is_returned),
		cmocka_unit_test(what_the_sender_asked_for),
		cmocka_unit_test(nobody_who_does_not_want_it_is_told),
		cmocka_unit_test(one_report_for_all_of_a_message),
		cmocka_unit_test(no_report_of_a_report),
		cmocka_unit_test(what_is_out_of_time_is_reported),
		cmocka_unit_test(it_goes_on_where_one_died),
		cmocka_unit_test(one_that_is_there_is_not_made_again),
		cmocka_unit_test(a_report_that_leaves_first_has_told),
		cmocka_unit_test(the_onward_address_is_not_told),
		cmocka_unit_test(nothing_is_made_before_it_is_written_down),
		cmocka_unit_test(held_it_is_not_reported),
		cmocka_unit_test(what_is_being_told_is_not_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
