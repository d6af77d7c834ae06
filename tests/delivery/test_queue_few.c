/* A next hop that takes few recipients at a time (RFC 5321 4.5.3.1.10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include <sodium.h>

#include "tests/delivery/kit.h"

/* n recipients in one copy, for a hop that takes so many and says this to
 * those behind them. */
static void
put_for_few(size_t n, unsigned max_rcpts, const char *reply)
{
	const struct queue_site_mail m = {.id = "m1", .is_shared = true,
	    .n_to = n};

	queue_hop[0].max_rcpts = max_rcpts;
	queue_hop[0].rcpt = reply;
	put(&m);
	queue_site_work();
}

/* How many recipients stand so, and have had so many tries. */
static size_t
n_that(size_t n, char status, unsigned tries)
{
	size_t found = 0;

	for (size_t k = 0; k < n; k++)
		found += queue_site_status("m1", 0, k) == status &&
		    queue_site_rcpt("m1", 0, k)->tries == tries;
	return found;
}

static void
a_few_recipients_a_transaction(void **state)
{
	static const struct {
		const char *to, *reply;
		unsigned n_rcpts, max, n_mails, n_asked, n_connections;
	} rows[] = {
		/* all are asked for once; then as many as it took */
		{TO_HOP, "452 4.5.3 Too many", 220, 1, 220, 100 + 219, 3},
		{TO_LMTP, "452 4.5.3 Too many", 7, 3, 3, 7 + 3 + 1, 1},
		{TO_HOP, "452 Too many recipients", 5, 2, 3, 5 + 2 + 1, 1},
		{TO_HOP, "552 5.5.3 Too many", 5, 2, 3, 5 + 2 + 1, 1},
		{TO_HOP, "552 Too many recipients", 5, 4, 2, 5 + 1, 1},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		printf("# %s\n", rows[k].reply);
		begin("", rows[k].to);
		queue_hop[0].is_lmtp = strcmp(rows[k].to, TO_LMTP) == 0;
		put_for_few(rows[k].n_rcpts, rows[k].max, rows[k].reply);
		assert_int_equal(queue_site_status("m1", 0, 0), '-');
		assert_int_equal(queue_hop[0].n_mails, rows[k].n_mails);
		assert_int_equal(queue_hop[0].n_rcpts, rows[k].n_asked);
		assert_int_equal(queue_hop[0].n_connections,
		    rows[k].n_connections);
		assert_int_equal(queue_site_logged("status=sent"),
		    rows[k].n_rcpts);
		assert_int_equal(queue_site_logged("status=deferred"), 0);
		assert_int_equal(queue_site_logged("m1: 10.0.0.2[10.0.0.2]:25 "
		    "took "), 1);
		queue_site_end();
	}
}

/* Other words, or nobody before them: it is a deferral, or a failure. */
static void
not_every_refusal_is_of_the_number(void **state)
{
	static const struct {
		const char *reply;
		unsigned max;
		char status;
	} rows[] = {
		{"452 4.3.1 No room", 1, 'q'},
		{"452 4.2.2 The mailbox is full", 1, 'q'},
		{"451 4.5.3 Later", 1, 'q'},
		{"550 5.5.3 No", 1, 'f'},
		{"552 5.2.2 The mailbox is full", 1, 'f'},
		{"452 4.5.3 Too many", 0, 'q'},
		{"452 Too many", 0, 'q'},
		{"552 5.5.3 Too many", 0, 'f'},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		printf("# %s\n", rows[k].reply);
		begin("", TO_HOP);
		put_for_few(5, rows[k].max, rows[k].reply);
		queue_site_pass(2 * M);
		assert_int_equal(queue_hop[0].n_mails, 1);
		assert_int_equal(n_that(5, rows[k].status, 1),
		    5 - rows[k].max);
		queue_site_end();
	}
}

/* Each transaction settles somebody, and asks for nobody that it settled. */
static void
a_refused_content_is_no_endless_loop(void **state)
{
	static const struct {
		const char *data, *dot;
		char status;
	} rows[] = {
		{NULL, "451 4.3.0 later", 'q'}, {NULL, "550 5.7.1 no", 'f'},
		{"451 4.3.0 later", NULL, 'q'}, {"554 5.6.0 no", NULL, 'f'},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		begin("", TO_HOP);
		queue_hop[0].data = rows[k].data;
		queue_hop[0].dot = rows[k].dot;
		put_for_few(5, 2, "452 4.5.3 Too many");
		queue_site_pass(2 * M);
		assert_int_equal(queue_hop[0].n_mails, 3);
		assert_int_equal(queue_hop[0].n_rcpts, 5 + 2 + 1);
		assert_int_equal(n_that(5, rows[k].status, 1), 5);
		queue_hop[0].data = queue_hop[0].dot = NULL;
		queue_site_pass(10 * M);
		assert_int_equal(queue_hop[0].n_taken,
		    rows[k].status == 'q' ? 3 : 0);
		queue_site_end();
	}
}

/* Who hangs up is not called again at once for each of the others. */
static void
who_hangs_up_leaves_nobody_for_the_next(void **state)
{
	static const struct {
		const char *to, *data, *dot;
		unsigned n_mails;
	} rows[] = {
		{TO_HOP, NULL, "421 4.3.2 later", 1},
		{TO_LMTP, NULL, "421 4.3.2 later", 1},
		{TO_HOP, NULL, "hangup", 1},
		{TO_HOP, "421 4.3.2 later", NULL, 2},	/* connected again */
		{TO_HOP, "hangup", NULL, 2},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		begin("", rows[k].to);
		queue_hop[0].is_lmtp = strcmp(rows[k].to, TO_LMTP) == 0;
		queue_hop[0].data = rows[k].data;
		queue_hop[0].dot = rows[k].dot;
		put_for_few(5, 1, "452 4.5.3 Too many");
		queue_site_pass(2 * M);
		assert_int_equal(queue_hop[0].n_mails, rows[k].n_mails);
		assert_int_equal(n_that(5, 'q', 1) + n_that(1, 'u', 1), 5);
		assert_int_equal(queue_site_logged("dsn=4."), 5);
		queue_hop[0].data = queue_hop[0].dot = NULL;
		queue_site_pass(20 * M);
		assert_int_equal(queue_site_status("m1", 0, 0), '-');
		queue_site_end();
	}
}

/* It takes few, and then is away: one try says so of all. */
static void
who_is_lost_between_is_asked_for_all(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].dot = "silence";
	put_for_few(5, 1, "452 4.5.3 Too many");
	queue_hop[0].dot = NULL;
	queue_hop[0].mail = "450 4.3.0 later";
	queue_site_answer(0, "250 2.0.0 taken");
	queue_site_pass(2 * M);
	assert_int_equal(queue_hop[0].n_mails, 3);
	assert_int_equal(n_that(5, 'd', 1), 1);
	assert_int_equal(n_that(5, 'q', 1), 4);
	queue_site_end();
}

/* Who is tried before his time, and left, is due then. */
static void
whoever_is_left_is_due_at_once(void **state)
{
	(void)state;
	begin("", TO_HOP);
	put_for_few(5, 0, "450 4.2.0 busy");
	assert_int_equal(n_that(5, 'q', 1), 5);
	queue_hop[0].max_rcpts = 1;
	queue_hop[0].rcpt = "452 4.5.3 Too many";
	assert_true(queue_site_says("retry m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 5);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

/* That the next hop took few is of that time. */
static void
what_it_took_is_forgotten(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].dot = "451 4.3.0 later";
	put_for_few(5, 2, "452 4.5.3 Too many");
	queue_hop[0].rcpt = queue_hop[0].dot = NULL;
	queue_site_pass(10 * M);
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

/* A recipient that is refused when his turn comes is just that. */
static void
a_refusal_between_changes_nothing(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].dot = "silence";
	put_for_few(5, 1, "452 4.5.3 Too many");
	queue_hop[0].dot = NULL;
	queue_hop[0].max_rcpts = 0;
	queue_hop[0].rcpt = "550 5.1.1 no";
	queue_hop[0].refused_rcpt = "<r1@two.example>";
	queue_site_answer(0, "250 2.0.0 taken");
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 3);
	assert_int_equal(queue_hop[0].n_mails, 5);
	assert_int_equal(n_that(5, 'd', 1), 4);
	assert_int_equal(n_that(5, 'f', 1), 1);
	queue_site_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_few_recipients_a_transaction),
		cmocka_unit_test(not_every_refusal_is_of_the_number),
		cmocka_unit_test(a_refused_content_is_no_endless_loop),
		cmocka_unit_test(who_hangs_up_leaves_nobody_for_the_next),
		cmocka_unit_test(who_is_lost_between_is_asked_for_all),
		cmocka_unit_test(whoever_is_left_is_due_at_once),
		cmocka_unit_test(what_it_took_is_forgotten),
		cmocka_unit_test(a_refusal_between_changes_nothing),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
