#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <sodium.h>

#include "daemon/queue_run_state.h"
#include "daemon/spool_state.h"
#include "tests/delivery/kit.h"

/* ---- one message --------------------------------------------------------- */

static void
a_message_is_delivered_and_removed(void **state)
{
	static const char octets[] = "Received: by hop.example\r\n"
	    "Subject: x\r\n\r\nhello\r\n";

	(void)state;
	begin("", TO_HOP);
	put(&plain);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_int_equal(queue_hop[0].n_content, sizeof(octets) - 1);
	assert_memory_equal(queue_hop[0].content, octets, sizeof(octets) - 1);
	assert_string_equal(queue_hop[0].last_mail,
	    "MAIL FROM:<alice@one.example> SIZE=47");
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	assert_int_equal(queue_site_logged("m1: from=<alice@one.example>, "
	    "size=21, nrcpt=1 (queue active)"), 1);
	assert_int_equal(queue_site_logged("m1: to=<bob@two.example>, "
	    "relay=10.0.0.2[10.0.0.2]:25, delay=0.00, dsn=2.0.0, status=sent "
	    "(250 2.0.0 Ok: taken) signed=yes d=one.example"), 1);
	assert_int_equal(queue_site_logged("m1: removed"), 1);
	queue_site_end();
}

/*
 * What the process that removes was told, and did not do before it died, is
 * done by us: the next look at the queue sees that it is gone.
 */
static void
what_a_dead_process_left_is_removed(void **state)
{
	static const struct queue_site_mail left = {.id = "m2",
	    .to = {"<bob@two.example>"}};
	siginfo_t info;
	pid_t remover;

	(void)state;
	begin("", TO_HOP);
	assert_int_equal(spool_work_beside(queue_site_run->spool), 0);
	put(&plain);
	queue_site_work();
	remover = queue_site_run->spool->remover;
	assert_true(remover > 0);
	kill(remover, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)remover, &info, WEXITED |
	    WNOWAIT), 0);
	queue_site_put(&left);
	queue_site_patch("m2", 0, 0, QUEUE_DELIVERED);
	queue_site_pass(2 * M);
	assert_int_equal(queue_site_logged("the process that removes (pid"), 1);
	assert_int_equal(queue_site_logged("m2: removed"), 1);
	spool_remover_end(queue_site_run->spool);	/* the next one did it */
	assert_int_equal(queue_site_status("m2", 0, 0), '-');
	queue_site_end();
}

/*
 * What the next hop does at each of its stages, what becomes of the recipient
 * and what is tried after that: attacks.md Q11.
 */
static const struct stage {
	const char *name;
	size_t at;		/* of the reply, in struct queue_hop */
	const char *reply;
	char status;		/* after the first try */
	const char *dsn;
	bool is_bad;		/* the destination rests */
} stages[] = {
#define AT(stage) #stage, offsetof(struct queue_hop, stage)
	{AT(banner), "421 4.3.2 busy", 'q', "4.3.2", true},
	{AT(banner), "450 4.3.2 busy", 'q', "4.3.2", true},
	{AT(banner), "554 5.3.2 no service", 'f', "5.3.2", false},
	{AT(banner), "hangup", 'q', "4.4.1", true},
	{AT(banner), "silence", 'q', "4.4.1", true},
	{AT(ehlo), "421 4.3.2 busy", 'q', "4.3.2", true},
	{AT(ehlo), "hangup", 'q', "4.4.1", true},
	{AT(ehlo), "silence", 'q', "4.4.1", true},
	{AT(mail), "450 4.1.8 later", 'q', "4.1.8", false},
	{AT(mail), "421 4.3.2 busy", 'q', "4.3.2", true},
	{AT(mail), "550 5.1.8 no", 'f', "5.1.8", false},
	{AT(mail), "hangup", 'q', "4.4.1", true},
	{AT(mail), "silence", 'q', "4.4.1", true},
	{AT(rcpt), "450 4.2.1 later", 'q', "4.2.1", false},
	{AT(rcpt), "550 5.1.1 no", 'f', "5.1.1", false},
	{AT(rcpt), "550 5.7.1 duplicate message", 'f', "5.7.1", false},
	{AT(rcpt), "hangup", 'q', "4.4.2", false},
	{AT(rcpt), "silence", 'q', "4.4.2", false},
	{AT(data), "451 4.3.0 later", 'q', "4.3.0", false},
	{AT(data), "554 5.6.0 no", 'f', "5.6.0", false},
	{AT(data), "hangup", 'q', "4.4", false},
	{AT(data), "silence", 'q', "4.4.2", false},
	{AT(dot), "451 4.3.0 later", 'q', "4.3.0", false},
	{AT(dot), "421 4.3.0 later", 'q', "4.3.0", false},
	{AT(dot), "550 5.7.1 no", 'f', "5.7.1", false},
	{AT(dot), "550 5.7.1 duplicate message", 'f', "5.7.1", false},
	{AT(dot), "hangup", 'u', "4.4.2", false},
	{AT(dot), "silence", 'u', "4.4.2", false},
#undef AT
};

static void
try_stage(const struct stage *s)
{
	char text[60];

	begin("queue-retry: 10m\n", TO_HOP);
	*(const char **)(void *)((char *)&queue_hop[0] + s->at) = s->reply;
	put(&plain);
	queue_site_work();
	/* the longest that we wait for an answer, less than a retry */
	if (strcmp(s->reply, "silence") == 0)
		queue_site_pass(strcmp(s->name, "dot") == 0 ? 10 * M + 10 * S
							    : 5 * M + 10 * S);
	assert_int_equal(queue_site_status("m1", 0, 0), s->status);
	snprintf(text, sizeof(text), ", dsn=%s", s->dsn);
	assert_int_equal(queue_site_logged(text), 1);
	assert_int_equal(queue_site_logged("status=bounced"),
	    s->status == 'f');
	assert_int_equal(queue_site_logged("m1: ALARM: to=<bob@two.example>: "
	    "failed for good: "), s->status == 'f');
	/* what is talked to once is at first given less, then it rests */
	*(const char **)(void *)((char *)&queue_hop[0] + s->at) = NULL;
	queue_site_pass(20 * M);
	assert_int_equal(queue_site_status("m1", 0, 0),
	    s->status == 'f' ? 'f' : '-');
	assert_int_equal(queue_hop[0].n_taken, s->status != 'f');
	queue_site_end();
}

static void
each_failure_at_each_stage(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(stages) / sizeof(stages[0]); k++) {
		printf("# %s: %s\n", stages[k].name, stages[k].reply);
		try_stage(&stages[k]);
	}
}

static void
a_duplicate_after_an_unsure_try_is_delivered(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].dot = "hangup";
	put(&plain);
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), 'u');
	/* a deferral in between says nothing of that try */
	queue_hop[0].dot = NULL;
	queue_hop[0].rcpt = "450 4.2.0 busy";
	queue_site_pass(8 * M);
	assert_int_equal(queue_site_status("m1", 0, 0), 'u');
	assert_int_equal(queue_site_rcpt("m1", 0, 0)->tries, 2);
	queue_hop[0].rcpt = NULL;
	queue_hop[0].dot = "550 5.7.1 Duplicate message";
	queue_site_pass(H);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	assert_int_equal(queue_site_logged("status=sent (550 5.7.1 Duplicate "
	    "message: an earlier try delivered it)"), 1);
	assert_int_equal(queue_site_logged("ALARM"), 0);
	queue_site_end();
}

static void
a_duplicate_is_said_of_the_content_alone(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		begin("", TO_HOP);
		queue_hop[0].dot = "hangup";
		put(&plain);
		queue_site_work();
		queue_hop[0].dot = NULL;
		*(k == 0 ? &queue_hop[0].mail : k == 1 ? &queue_hop[0].rcpt
		    : &queue_hop[0].data) = "550 5.7.1 Duplicate message";
		queue_site_pass(H);
		assert_int_equal(queue_site_status("m1", 0, 0), 'f');
		assert_int_equal(queue_site_logged("status=bounced"), 1);
		queue_site_end();
	}
}

/* Attacks.md Q5: killed between the dot and its answer. */
static void
who_dies_after_the_dot_leaves_a_mark(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].dot = "silence";
	put(&plain);
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), 'u');
	queue_site_restart();
	queue_hop[0].dot = "550 5.7.1 duplicate message";
	queue_run_start(queue_site_run);
	queue_site_pass(10 * M);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

static void
what_the_next_hop_lacks_is_final(void **state)
{
	static const struct {
		const char *can, *dsn;
		struct queue_site_mail mail;
	} rows[] = {
		{"250-SMTPUTF8\r\n", "5.6.3", {.id = "m1", .is_8bit = true,
		    .to = {"<bob@two.example>"}}},
		{"250-8BITMIME\r\n", "5.6.7", {.id = "m1", .is_utf8 = true,
		    .to = {"<bob@two.example>"}}},
		{"250-SIZE 20\r\n", "5.3.4", {.id = "m1",
		    .to = {"<bob@two.example>"}}},
	};
	char text[80];

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		begin("", TO_HOP);
		queue_hop[0].can = rows[k].can;
		put(&rows[k].mail);
		queue_site_work();
		assert_int_equal(queue_site_status("m1", 0, 0), 'f');
		snprintf(text, sizeof(text), "dsn=%s, status=bounced",
		    rows[k].dsn);
		assert_int_equal(queue_site_logged(text), 1);
		assert_int_equal(queue_hop[0].n_mails, 0);
		queue_site_end();
	}
}

static void
each_recipient_has_its_own_fate(void **state)
{
	const struct queue_site_mail m = {.id = "m1", .is_shared = true,
	    .to = {"<bob@two.example>", "<carol@two.example>"}};

	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "450 4.2.0 busy";
	queue_hop[0].refused_rcpt = "<carol@two.example>";
	put(&m);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	assert_int_equal(queue_site_status("m1", 0, 0), 'd');
	assert_int_equal(queue_site_status("m1", 0, 1), 'q');
	queue_hop[0].rcpt = NULL;
	queue_hop[0].n_rcpts = 0;
	queue_site_pass(10 * M);
	assert_int_equal(queue_hop[0].n_rcpts, 1);
	assert_string_equal(queue_hop[0].last_path, "<carol@two.example>");
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

static void
lmtp_has_an_answer_for_each(void **state)
{
	const struct queue_site_mail m = {.id = "m1", .is_shared = true,
	    .to = {"<bob@two.example>", "<carol@two.example>"}};

	(void)state;
	begin("", TO_LMTP);
	queue_hop[0].is_lmtp = true;
	queue_hop[0].dot = "452 4.2.2 full";
	put(&m);
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), 'q');
	assert_int_equal(queue_site_status("m1", 0, 1), 'd');
	queue_hop[0].dot = NULL;
	queue_site_pass(10 * M);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	assert_string_equal(queue_hop[0].last_path, "<bob@two.example>");
	queue_site_end();
}

static void
many_recipients_go_in_several_transactions(void **state)
{
	const struct queue_site_mail m = {.id = "m1", .is_shared = true,
	    .n_to = 250};

	(void)state;
	begin("", TO_HOP);
	put(&m);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 3);
	assert_int_equal(queue_hop[0].n_rcpts, 250);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

static void
a_deferral_of_the_first_hinders_no_other(void **state)
{
	const struct queue_site_mail m = {.id = "m1", .is_shared = true,
	    .n_to = 250};

	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "450 4.2.0 busy";
	put(&m);
	queue_site_pass(M);
	assert_int_equal(queue_hop[0].n_rcpts, 250);
	assert_int_equal(queue_site_rcpt("m1", 0, 0)->tries, 1);
	assert_int_equal(queue_site_rcpt("m1", 0, 249)->tries, 1);
	queue_site_end();
}

/* ---- the schedule -------------------------------------------------------- */

static void
a_week_of_deferrals(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "450 4.2.0 busy";
	put(&plain);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_mails, 1);
	queue_site_pass(4 * M);
	assert_int_equal(queue_hop[0].n_mails, 1);
	queue_site_pass(2 * M);
	assert_int_equal(queue_hop[0].n_mails, 2);
	queue_site_pass(8 * M);
	assert_int_equal(queue_hop[0].n_mails, 2);
	queue_site_pass(4 * M);
	assert_int_equal(queue_hop[0].n_mails, 3);
	for (unsigned k = 0; k < 7 * 24; k++) {
		world_log_forget();
		queue_site_pass(H);
		if (queue_site_logged("ALARM") != 0)
			break;
	}
	assert_in_range(queue_hop[0].n_mails, 100, 140);
	assert_int_equal(queue_site_status("m1", 0, 0), 'e');
	assert_int_equal(queue_site_logged("m1: ALARM: to=<bob@two.example>: "
	    "failed for good: out of time: 450 4.2.0 busy; kept for the "
	    "postmaster: hopseal queue show m1"), 1);
	queue_hop[0].n_connections = 0;
	queue_site_pass(D);
	assert_int_equal(queue_hop[0].n_connections, 0);
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_pass(D);
	assert_int_equal(queue_hop[0].n_connections, 0);
	queue_site_end();
}

/* Signatures age: attacks.md Q10. */
static void
what_was_signed_earlier_expires_earlier(void **state)
{
	struct queue_site_mail m = plain;

	(void)state;
	begin("", TO_HOP);
	m.signed_s = loop_time_s(world_loop) - 4 * 86400;
	queue_hop[0].rcpt = "450 4.2.0 busy";
	put(&m);
	queue_site_pass(23 * H);
	assert_int_equal(queue_site_status("m1", 0, 0), 'q');
	queue_site_pass(2 * H);
	assert_int_equal(queue_site_status("m1", 0, 0), 'e');
	queue_site_end();
}

static void
a_dead_destination_and_its_recovery(void **state)
{
	size_t tries;

	(void)state;
	begin("queue-retry-max: 1h\n", TO_HOP);
	queue_hop_outcome(0, ECONNREFUSED);
	put_many(50, "<bob@two.example>");
	queue_site_pass(6 * H);
	assert_int_equal(queue_site_status("many0", 0, 0), 'q');
	assert_true(queue_site_logged("delivery temporarily suspended for") > 3);
	tries = queue_site_logged("Connection refused) ");
	assert_in_range(tries, 4, 30);
	/* who comes now is told, and waits */
	world_log_forget();
	put(&plain);
	queue_site_work();
	assert_int_equal(queue_site_logged("m1: to=<bob@two.example>, "
	    "relay=none, delay=0.00, dsn=4.4.1, status=deferred (4.4.1 "
	    "delivery temporarily suspended: "), 1);
	queue_hop_outcome(0, 0);
	queue_site_pass(H + 10 * M);
	assert_int_equal(queue_hop[0].n_taken, 51);
	assert_int_equal(queue_site_logged("talks to us again"), 1);
	queue_site_end();
}

/* It has had its time though its turn never came. */
static void
what_waits_for_a_dead_destination_expires(void **state)
{
	(void)state;
	begin("queue-expire: 130m\n", TO_HOP);	/* it rests until 183m */
	queue_hop_outcome(0, ECONNREFUSED);
	put_many(50, "<bob@two.example>");
	queue_site_pass(H);
	for (unsigned k = 0; k < 50; k++) {
		char id[20];

		snprintf(id, sizeof(id), "many%u", k);
		assert_int_equal(queue_site_status(id, 0, 0), 'q');
	}
	queue_site_pass(H + 20 * M);
	for (unsigned k = 0; k < 50; k++) {
		char id[20];

		snprintf(id, sizeof(id), "many%u", k);
		assert_int_equal(queue_site_status(id, 0, 0), 'e');
	}
	assert_int_equal(queue_site_logged("ALARM"), 50);
	queue_site_end();
}

static void
a_dead_destination_starves_nobody(void **state)
{
	(void)state;
	begin("queue-connections: 10\n", BY_MX);
	queue_hop_outcome(0, ECONNREFUSED);
	queue_hop_outcome(1, -1);	/* slow: nothing ever comes */
	put_many(100, "<bob@[10.0.0.2]>");
	for (unsigned k = 0; k < 100; k++) {
		char id[20];
		struct queue_site_mail m = {.id = id};

		snprintf(id, sizeof(id), "slow%u", k);
		m.to[0] = "<bob@[10.0.0.3]>";
		put(&m);
		snprintf(id, sizeof(id), "good%u", k);
		m.to[0] = "<bob@[10.0.0.4]>";
		put(&m);
	}
	queue_site_work();
	assert_int_equal(queue_hop[2].n_taken, 100);
	queue_site_end();
}

static void
no_clock_that_is_set_matters(void **state)
{
	static const int64_t steps[] = {86400, -86400, 30 * 86400};

	(void)state;
	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
		begin("", TO_HOP);
		queue_hop[0].rcpt = "450 4.2.0 busy";
		put(&plain);
		queue_site_work();
		world_set_clock(steps[k]);
		queue_site_pass(6 * M);
		assert_int_equal(queue_hop[0].n_mails, 2);
		assert_int_equal(queue_site_status("m1", 0, 0), 'q');
		queue_site_pass(6 * H);
		assert_in_range(queue_hop[0].n_mails, 7, 12);
		assert_int_equal(queue_site_status("m1", 0, 0), 'q');
		queue_hop[0].rcpt = NULL;
		queue_site_pass(90 * M);
		assert_int_equal(queue_site_status("m1", 0, 0), '-');
		queue_site_end();
	}
}

/* A time that was written down before the clock went back. */
static void
no_wait_is_longer_than_the_longest_after_a_restart(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop[0].rcpt = "450 4.2.0 busy";
	put(&plain);
	queue_site_work();
	queue_site_restart();
	world_set_clock(-86400);
	queue_hop[0].rcpt = NULL;
	queue_run_start(queue_site_run);
	queue_site_pass(70 * M);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

/* ---- connections --------------------------------------------------------- */

static void
a_backlog_reuses_connections(void **state)
{
	(void)state;
	begin("", TO_HOP ", max-per-destination: 4");
	put_many(60, "<bob@two.example>");
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 60);
	assert_in_range(queue_hop[0].n_connections, 1, 4);
	assert_in_range(queue_hop[0].most_open, 1, 4);
	queue_site_end();
}

static void
a_new_destination_is_given_little_at_first(void **state)
{
	(void)state;
	begin("", TO_HOP ", max-per-destination: 50");
	queue_hop[0].dot = "silence";
	put_many(60, "<bob@two.example>");
	queue_site_work();
	assert_int_equal(queue_hop[0].most_open, 5);
	queue_site_end();
}

static void
no_more_than_queue_connections_are_open(void **state)
{
	(void)state;
	begin("queue-connections: 3\n", TO_HOP);
	queue_hop[0].dot = "silence";
	put_many(60, "<bob@two.example>");
	queue_site_work();
	assert_int_equal(queue_hop[0].most_open, 3);
	queue_site_end();
}

/* ---- without memory ------------------------------------------------------ */

/* Each request for memory fails in turn: nothing is lost. */
static void
no_memory_loses_nothing(void **state)
{
	unsigned k;

	(void)state;
	for (k = 1; k < 1000; k++) {
		const struct queue_site_mail m = {.id = "m1",
		    .to = {"<bob@two.example>", "<carol@two.example>"}};
		bool is_met;

		begin("", TO_HOP);
		queue_site_put(&m);
		world_memory_fail(k);
		queue_run_add(queue_site_run, "m1");
		queue_site_work();
		is_met = world_memory_failed();
		world_memory_fail(0);
		queue_site_pass(2 * H);
		if (queue_site_status("m1", 0, 0) != '-')
			printf("# request %u\n", k);
		assert_int_equal(queue_site_status("m1", 0, 0), '-');
		queue_site_end();
		if (!is_met)
			break;
	}
	assert_in_range(k, 10, 999);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_delivered_and_removed),
		cmocka_unit_test(what_a_dead_process_left_is_removed),
		cmocka_unit_test(each_failure_at_each_stage),
		cmocka_unit_test(a_duplicate_after_an_unsure_try_is_delivered),
		cmocka_unit_test(a_duplicate_is_said_of_the_content_alone),
		cmocka_unit_test(who_dies_after_the_dot_leaves_a_mark),
		cmocka_unit_test(what_the_next_hop_lacks_is_final),
		cmocka_unit_test(each_recipient_has_its_own_fate),
		cmocka_unit_test(lmtp_has_an_answer_for_each),
		cmocka_unit_test(many_recipients_go_in_several_transactions),
		cmocka_unit_test(a_deferral_of_the_first_hinders_no_other),
		cmocka_unit_test(a_week_of_deferrals),
		cmocka_unit_test(what_was_signed_earlier_expires_earlier),
		cmocka_unit_test(a_dead_destination_and_its_recovery),
		cmocka_unit_test(what_waits_for_a_dead_destination_expires),
		cmocka_unit_test(a_dead_destination_starves_nobody),
		cmocka_unit_test(no_clock_that_is_set_matters),
		cmocka_unit_test(
		    no_wait_is_longer_than_the_longest_after_a_restart),
		cmocka_unit_test(a_backlog_reuses_connections),
		cmocka_unit_test(a_new_destination_is_given_little_at_first),
		cmocka_unit_test(no_more_than_queue_connections_are_open),
		cmocka_unit_test(no_memory_loses_nothing),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
