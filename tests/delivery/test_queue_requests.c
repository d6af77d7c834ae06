#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <sodium.h>

#include "daemon/metrics.h"
#include "tests/delivery/kit.h"

/* ---- start and end ------------------------------------------------------- */

static void
what_is_in_the_spool_is_delivered(void **state)
{
	(void)state;
	queue_site_begin("", LISTENER("l", TO_HOP));
	for (unsigned k = 0; k < 200; k++) {
		char id[20];
		struct queue_site_mail m = {.id = id,
		    .to = {"<bob@two.example>"}};

		snprintf(id, sizeof(id), "old%u", k);
		queue_site_put(&m);
	}
	queue_run_start(queue_site_run);
	/* told of one that the scan finds as well */
	queue_run_add(queue_site_run, "old7");
	queue_site_work();
	queue_run_add(queue_site_run, "old7");
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 200);
	queue_site_end();
}

static void
all_delivered_but_not_removed_is_removed(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_site_put(&plain);
	queue_site_patch("m1", 0, 0, QUEUE_DELIVERED);
	queue_run_add(queue_site_run, "m1");
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	assert_int_equal(queue_hop[0].n_connections, 0);
	queue_site_end();
}

static void
a_listener_that_is_gone_holds_its_mail(void **state)
{
	struct queue_site_mail m = plain;

	(void)state;
	begin("", TO_HOP);
	m.listener = "other";
	put(&m);
	queue_site_pass(D);
	assert_int_equal(queue_site_status("m1", 0, 0), 'q');
	assert_int_equal(queue_site_logged("m1: held: its listener \"other\" "
	    "is not configured any more"), 1);
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_pass(D);
	assert_int_equal(queue_site_logged("m1: held: its listener"), 1);
	queue_site_end();
}

static void
who_leaves_gives_up_what_has_no_dot(void **state)
{
	static const char *const silent[] = {"banner", "mail", "rcpt", "data"};

	(void)state;
	for (size_t k = 0; k < 4; k++) {
		begin("", TO_HOP);
		if (k == 0)
			queue_hop[0].banner = "silence";
		else if (k == 1)
			queue_hop[0].mail = "silence";
		else if (k == 2)
			queue_hop[0].rcpt = "silence";
		else
			queue_hop[0].data = "silence";
		printf("# %s\n", silent[k]);
		put(&plain);
		queue_site_work();
		queue_run_leave(queue_site_run);
		assert_false(queue_site_is_idle);
		queue_site_work();
		assert_true(queue_site_is_idle);
		assert_int_equal(queue_site_status("m1", 0, 0), 'q');
		assert_int_equal(queue_site_rcpt("m1", 0, 0)->tries, 0);
		assert_int_equal(queue_hop[0].n_open, 0);
		/* nothing new begins */
		queue_run_add(queue_site_run, "m1");
		queue_site_pass(H);
		assert_int_equal(queue_hop[0].n_connections, 1);
		queue_site_end();
	}
}

static void
who_leaves_waits_for_the_answer_to_a_dot(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].dot = "silence";
	put(&plain);
	queue_site_work();
	queue_run_leave(queue_site_run);
	queue_site_pass(M);
	assert_false(queue_site_is_idle);
	queue_site_answer(0, "250 2.0.0 Ok");
	queue_site_work();
	assert_true(queue_site_is_idle);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

static void
who_has_nothing_under_way_is_idle_at_once(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_run_leave(queue_site_run);
	assert_false(queue_site_is_idle);
	queue_site_work();
	assert_true(queue_site_is_idle);
	queue_site_end();
}

/* ---- requests ------------------------------------------------------------ */

static void
hold_and_release(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "450 4.2.0 busy";
	put(&plain);
	queue_site_work();
	assert_true(queue_site_says("hold m1", "ok"));
	queue_hop[0].rcpt = NULL;
	queue_site_pass(D);
	assert_int_equal(queue_hop[0].n_taken, 0);
	assert_true(queue_site_says("retry m1",
	    "error it is held: release it"));
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_pass(D);
	assert_int_equal(queue_hop[0].n_taken, 0);
	assert_true(queue_site_says("release m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	queue_site_end();
}

static void
a_hold_lets_a_try_end(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "silence";
	put(&plain);
	queue_site_work();
	assert_true(queue_site_says("hold m1", "ok"));
	queue_hop[0].rcpt = NULL;
	queue_site_answer(0, "450 4.2.0 busy");
	queue_site_pass(D);
	assert_int_equal(queue_site_status("m1", 0, 0), 'q');
	assert_int_equal(queue_site_rcpt("m1", 0, 0)->tries, 1);
	assert_int_equal(queue_hop[0].n_mails, 1);
	assert_true(queue_site_says("release m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

static int64_t
counted(unsigned state)
{
	queue_site_pass(10 * S);	/* a look at the queue */
	return (int64_t)metrics_get(METRIC_QUEUE_MESSAGES, state, 0);
}

/* As long as it is held and there, and after a restart, too. */
static void
what_is_held_is_counted(void **state)
{
	static const struct queue_site_mail held = {.id = "m2",
	    .to = {"<bob@two.example>"}, .is_held = true};

	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "451 4.2.0 later";
	put(&plain);
	put(&held);
	queue_site_work();
	assert_int_equal(counted(QUEUED_HELD), 1);
	assert_int_equal(counted(QUEUED_DEFERRED), 1);
	assert_true(queue_site_says("hold m1", "ok"));
	assert_true(queue_site_says("hold m1", "ok"));
	assert_int_equal(counted(QUEUED_HELD), 2);
	assert_int_equal(counted(QUEUED_DEFERRED), 0);
	assert_int_equal(counted(QUEUED_WAITING), 0);
	assert_int_equal(metrics_get(METRIC_QUEUE_OLDEST, 0, 0), 0);
	assert_true(metrics_get(METRIC_QUEUE_OCTETS, 0, 0) > 0);
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_work();
	assert_int_equal(counted(QUEUED_HELD), 2);
	assert_true(queue_site_says("remove m2", "ok"));
	assert_int_equal(counted(QUEUED_HELD), 1);
	queue_hop[0].rcpt = NULL;
	assert_true(queue_site_says("release m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_int_equal(counted(QUEUED_HELD), 0);
	queue_site_end();
}

/* Where nothing of it is left to be tried, a release ends it. */
static void
a_release_of_what_is_over_removes_it(void **state)
{
	static const struct queue_site_mail held = {.id = "m2",
	    .to = {"<bob@two.example>"}, .is_held = true};

	(void)state;
	begin("", TO_HOP);
	put(&held);
	queue_site_work();
	queue_site_patch("m2", 0, 0, QUEUE_DELIVERED);
	assert_true(queue_site_says("release m2", "ok"));
	queue_site_work();
	assert_int_equal(queue_site_status("m2", 0, 0), '-');
	assert_int_equal(counted(QUEUED_HELD), 0);
	assert_int_equal(counted(QUEUED_WAITING), 0);
	queue_site_end();
}

/* A release while a try that began before the hold goes on: no second one. */
static void
a_release_finds_a_try_under_way(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].dot = "silence";
	put(&plain);
	queue_site_work();
	assert_true(queue_site_says("hold m1", "ok"));
	assert_true(queue_site_says("release m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_hop[0].n_mails, 1);
	assert_true(queue_site_says("remove m1", "busy"));
	queue_hop[0].dot = NULL;
	queue_site_answer(0, "451 4.3.0 later");
	queue_site_pass(10 * M);
	assert_int_equal(queue_hop[0].n_mails, 2);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

static void
retry_ends_a_rest_and_opens_what_failed(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop_outcome(0, ECONNREFUSED);
	put_many(20, "<bob@two.example>");
	queue_site_pass(2 * H);
	queue_hop_outcome(0, 0);
	assert_true(queue_site_says("retry many3", "ok"));
	queue_site_work();
	assert_int_equal(queue_site_status("many3", 0, 0), '-');
	queue_hop[0].rcpt = "550 5.1.1 no";
	put(&plain);
	queue_site_pass(H);
	assert_int_equal(queue_site_status("m1", 0, 0), 'f');
	queue_hop[0].rcpt = NULL;
	assert_true(queue_site_says("retry m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

static void
what_expired_has_its_time_again(void **state)
{
	(void)state;
	begin("queue-expire: 1h\n", TO_HOP);
	queue_hop[0].rcpt = "450 4.2.0 busy";
	put(&plain);
	queue_site_pass(2 * H);
	assert_int_equal(queue_site_status("m1", 0, 0), 'e');
	assert_true(queue_site_says("retry m1", "ok"));
	queue_site_pass(20 * M);
	/* whoever delivers then */
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_pass(30 * M);
	assert_int_equal(queue_site_status("m1", 0, 0), 'q');
	queue_site_pass(20 * M);
	assert_int_equal(queue_site_status("m1", 0, 0), 'e');
	queue_site_end();
}

static void
remove_and_import(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "450 4.2.0 busy";
	put(&plain);
	queue_site_work();
	assert_true(queue_site_says("remove m1", "ok"));
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_pass(D);
	assert_int_equal(queue_hop[0].n_mails, 1);
	queue_hop[0].rcpt = NULL;
	queue_site_put(&plain);
	assert_true(queue_site_says("import m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_true(queue_site_says("remove m1", "absent"));
	assert_true(queue_site_says("hold m1", "absent"));
	assert_true(queue_site_says("release m1", "absent"));
	assert_true(queue_site_says("retry m1", "absent"));
	assert_true(queue_site_says("import m2", "absent"));
	queue_site_end();
}

static void
other_requests_are_errors(void **state)
{
	static const char *const bad[] = {"", "retry", "retry ", "retry ../m1",
	    "retry m1 ", "retry  m1", "retry M1", "retry "
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

	(void)state;
	begin("", TO_HOP);
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		assert_true(queue_site_says(bad[k], "error no id of a message"));
	assert_true(queue_site_says("frob m1", "error no such request"));
	queue_site_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_the_spool_is_delivered),
		cmocka_unit_test(all_delivered_but_not_removed_is_removed),
		cmocka_unit_test(a_listener_that_is_gone_holds_its_mail),
		cmocka_unit_test(who_leaves_gives_up_what_has_no_dot),
		cmocka_unit_test(who_leaves_waits_for_the_answer_to_a_dot),
		cmocka_unit_test(who_has_nothing_under_way_is_idle_at_once),
		cmocka_unit_test(hold_and_release),
		cmocka_unit_test(what_is_held_is_counted),
		cmocka_unit_test(a_release_of_what_is_over_removes_it),
		cmocka_unit_test(a_hold_lets_a_try_end),
		cmocka_unit_test(a_release_finds_a_try_under_way),
		cmocka_unit_test(retry_ends_a_rest_and_opens_what_failed),
		cmocka_unit_test(what_expired_has_its_time_again),
		cmocka_unit_test(remove_and_import),
		cmocka_unit_test(other_requests_are_errors),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
