#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/onward.h"
#include "tests/daemon/onwardkit.h"

/* Connections that serve again, and what next hops are known to can. */

#define TWICE PIPED "250 m|250 a|354 go|250 s|250 m|250 a|354 go|250 s"

static void
a_connection_serves_the_next(void **state)
{
	(void)state;
	script(0, TWICE);
	begin(0, 1, true);
	wait_for(are_over);
	outbound_free(&t.runner[0].o);
	begin(1, 1, true);
	wait_for(are_over);
	expect(1, "rcpt 250 [a]; ended 250 [s]; ");
	assert_int_equal(t.server[0].n, 1);
}

static void
an_aborted_one_is_reset_first(void **state)
{
	(void)state;
	script(0, PIPED "250 m|250 a|250 reset|250 m|250 a");
	begin(0, 1, false);
	wait_for(are_over);
	outbound_abort(t.runner[0].o);
	begin(1, 1, false);
	wait_for(are_over);
	expect(1, "rcpt 250 [a]; ");
	expect_seen(0, 0, HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRSET\r\n"
	    "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n");
}

/* An idle one that hung up or said 421 is nobody's trouble. */
static void
idle_ones_may_go(void **state)
{
	static const char *const last[] = {"!250 s", "!250 s\r\n421 idle"};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		char text[200];
		struct buf b = BUF_ON(text);

		buf_printf(&b, PIPED "250 m|250 a|354 go|%s", last[k]);
		buf_add_octet(&b, 0);
		script(0, text);
		script(0, PIPED "250 m|250 a");
		begin(0, 1, true);
		wait_for(are_over);
		/* taken at once, before the end was read */
		begin(1, 1, false);
		wait_for(are_over);
		expect(1, "rcpt 250 [a]; ");
		teardown(NULL);
		setup(NULL);
	}
}

static void
a_connection_is_not_used_for_ever(void **state)
{
	struct bytes seen;

	(void)state;
	t.listener.max_reuse = 2;
	script(0, TWICE);
	script(0, PIPED "250 m|250 a");
	for (size_t k = 0; k < 2; k++) {
		begin(k, 1, true);
		wait_for(are_over);
	}
	begin(2, 1, false);
	wait_for(are_over);
	assert_int_equal(t.server[0].n, 2);
	seen = buf_bytes(&t.server[0].peers[0]->seen);
	for (unsigned k = 0; k < 2; k++)
		seen = bytes_skip(seen, bytes_find(seen,
		    BYTES_LIT("MAIL FROM")) + 1);
	assert_int_equal(bytes_find(seen, BYTES_LIT("MAIL FROM")), seen.n);
}

static bool
is_one_open(void)
{
	return t.server[0].n_open == 1;
}

static void
idle_ones_are_bounded(void **state)
{
	(void)state;
	t.listener.max_idle = 1;
	for (size_t k = 0; k < 3; k++) {
		script(0, PIPED "250 m|250 a|354 go|250 s|!221 bye");
		begin(k, 1, true);
	}
	wait_for(are_over);
	assert_int_equal(t.server[0].n, 3);
	wait_for(is_one_open);
	begin(0, 1, false);	/* takes the one that is left */
	outbound_abort(t.runner[0].o);
	pool_drain(t.hub.pool);
	t.listener.max_idle = 0;
	script(0, PIPED "250 m|250 a|354 go|250 s|!221 bye");
	begin(0, 1, true);
	wait_for(are_over);
	assert_int_equal(t.server[0].n, 4);
}

static bool
are_two_open(void)
{
	return t.server[0].n_open == 2;
}

/* The next of many take them all. */
static void
more_are_kept_for_a_moment(void **state)
{
	(void)state;
	t.listener.max_idle = 2;
	for (size_t k = 0; k < 3; k++) {
		script(0, PIPED "250 m|250 a|354 go|250 s|250 m|250 a|354 go|"
		    "250 s|!221 bye");
		begin(k, 1, true);
	}
	wait_for(are_over);
	for (size_t k = 0; k < 3; k++)
		begin(k, 1, true);
	wait_for(are_over);
	assert_int_equal(t.server[0].n, 3);
	wait_for(are_two_open);
}

static void
none_is_kept_where_none_may_be(void **state)
{
	(void)state;
	t.listener.max_idle = 0;
	for (unsigned k = 1; k <= 2; k++) {
		script(0, TWICE);
		begin(0, 1, true);
		wait_for(are_over);
		assert_int_equal(t.server[0].n, k);
	}
}

static void
connections_to_a_destination_are_bounded(void **state)
{
	(void)state;
	t.listener.max_per_destination = 1;
	script(0, PIPED "250 m|250 a|354 go|250 s|250 m|250 a|354 go|250 s|"
	    "250 m|250 a|354 go|250 s");
	for (size_t k = 0; k < 3; k++)
		begin(k, 1, true);
	wait_for(are_over);
	for (size_t k = 0; k < 3; k++)
		expect(k, "rcpt 250 [a]; ended 250 [s]; ");
	assert_int_equal(t.server[0].n, 1);
}

static void
who_waits_gets_the_place_of_a_lost_one(void **state)
{
	(void)state;
	t.listener.max_per_destination = 1;
	script(0, "!");
	script(0, PIPED "250 m|250 a|!");
	script(0, PIPED "250 m|250 a|354 go|250 s");
	begin(0, 1, true);
	begin(1, 1, false);
	wait_for(are_over);
	expect(0, "lost; ");
	expect(1, "rcpt 250 [a]; ");
	begin(2, 1, true);
	outbound_free(&t.runner[1].o);	/* its RSET ends the connection */
	wait_for(are_over);
	expect(2, "rcpt 250 [a]; ended 250 [s]; ");
}

static bool
is_second_over(void)
{
	return t.runner[1].is_over;
}

/* Who waits in vain has an end, and is no burden when it gives up. */
static void
waiting_has_an_end(void **state)
{
	(void)state;
	t.listener.max_per_destination = 1;
	script(0, PIPED "250 m|250 a");
	begin(0, 1, false);
	wait_for(are_over);
	t.listener.reply_timeout_s = 0;
	begin(1, 1, false);
	begin(2, 1, false);
	outbound_free(&t.runner[2].o);
	t.listener.reply_timeout_s = 1;
	wait_for(is_second_over);
	expect(1, "lost; ");
}

static void
drained_connections_say_quit(void **state)
{
	(void)state;
	script(0, PIPED "250 m|250 a|354 go|250 s|!221 bye");
	script(0, PIPED "250 m|250 a|354 go|250 s|!221 bye");
	begin(0, 1, true);
	wait_for(are_over);
	pool_drain(t.hub.pool);
	wait_for(is_idle_gone);
	expect_seen(0, 0, HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n" CONTENT
	    "QUIT\r\n");
	begin(0, 1, true);
	wait_for(are_over);
	wait_for(is_idle_gone);
}

/* ---- what the next hop can ---- */

static bool is_asked;

static void
asked(void *arg)
{
	(void)arg;
	assert_false(is_asked);
	is_asked = true;
	loop_stop(t.loop);
}

static void
expect_offer(unsigned can, uint64_t max_message)
{
	struct offer offer = offers_of(&t.hub, &t.listener);

	assert_int_equal(offer.can & ~SMTP_CAN_CHUNKING, can);
	assert_int_equal(offer.max_message, max_message);
}

static void
probe(void)
{
	is_asked = false;
	probe_start(t.hub.probe, asked, NULL);
	loop_run(t.loop);
	assert_true(is_asked);
}

static void
we_offer_what_the_next_hop_has(void **state)
{
	const unsigned all = SMTP_CAN_8BITMIME | SMTP_CAN_SMTPUTF8 |
	    SMTP_CAN_DSN;
	uint64_t growth;

	(void)state;
	t.listener.max_message = 1000000;
	t.listener.role = ROLE_INBOUND;
	t.listener.max_idle = 0;
	growth = onward_growth(&t.hub, &t.listener);
	expect_offer(all, 1000000);
	script(0, "220 x|250-x\r\n250-SIZE 500000\r\n250-8BITMIME\r\n"
	    "250-CHUNKING\r\n250 DSN");
	probe();
	expect_offer(SMTP_CAN_8BITMIME | SMTP_CAN_DSN, 500000 - growth);
	/* Q15: it changed its mind, as the next connection shows */
	script(0, "220 x|250-x\r\n250-SIZE\r\n250 SMTPUTF8|250 m|250 a");
	begin(0, 1, false);
	wait_for(are_over);
	expect_offer(SMTP_CAN_SMTPUTF8, 1000000);
	/* by MX there is no one next hop, and nobody is asked */
	t.listener.next_hop.scheme = SCHEME_MX;
	expect_offer(all, 1000000);
	probe();
	t.listener.next_hop.scheme = SCHEME_SMTP;
	t.listener.routes.n = 1;
	expect_offer(all, 1000000);
	probe();
	t.listener.routes.n = 0;
}

/* A next hop that does not answer holds up the start for a second. */
static void
a_silent_next_hop_is_not_waited_for(void **state)
{
	(void)state;
	t.listener.reply_timeout_s = 3600;
	script(0, "");
	probe();
}

/* What was idle since the start may have ended, as one that was used may. */
static void
one_that_was_only_asked_may_go(void **state)
{
	(void)state;
	script(0, "220 x|250 x|!421 idle for too long");
	script(0, PIPED "250 m|250 a");
	probe();
	begin(0, 1, false);
	wait_for(are_over);
	expect(0, "rcpt 250 [a]; ");
}

/* Q15: nothing is converted, whatever the next hop lacks. */
static void
q15_what_the_next_hop_lacks_is_refused(void **state)
{
	static const struct {
		const char *hello;
		struct outbound_mail mail;
		const char *events;
	} row[] = {
		{"250-x\r\n250 SIZE", {.is_8bit = true}, "refused 550 5.6.3["},
		{"250-x\r\n250 8BITMIME", {.is_8bit = true, .is_utf8 = true},
		    "refused 550 5.6.7["},
		{"250-x\r\n250 SIZE 99", {.size = 100}, "refused 552 5.3.4["},
		{"250-x\r\n250 SIZE 100", {.size = 100}, "rcpt 250 [a]"},
		{"250-x\r\n250 SIZE 0", {.size = 100}, "rcpt 250 [a]"},
		{"250-x\r\n250 SIZE 99", {.size = 0}, "rcpt 250 [a]"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		const struct outbound_rcpt rcpt = {.path = BYTES_LIT("<a@b>")};
		struct runner *r = &t.runner[0];
		struct outbound_mail mail = row[k].mail;
		char text[200];
		struct buf b = BUF_ON(text);

		buf_printf(&b, "220 x|%s|250 m|250 a", row[k].hello);
		buf_add_octet(&b, 0);
		script(0, text);
		r->o = new_outbound(NULL);
		r->n_rcpt = 1;
		mail.mail_from = BYTES_LIT("<s@t>");
		outbound_owner(r->o, on_outbound, r);
		outbound_begin(r->o, &mail);
		assert_true(outbound_rcpt(r->o, &rcpt));
		wait_for(are_over);
		if (!bytes_starts(buf_bytes(&r->events),
		    bytes_of(row[k].events)))
			fail_msg("%zu: %.*s", k, (int)r->events.n, r->octets);
		teardown(NULL);
		setup(NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connection_serves_the_next),
		TEST(an_aborted_one_is_reset_first),
		TEST(idle_ones_may_go),
		TEST(a_connection_is_not_used_for_ever),
		TEST(idle_ones_are_bounded),
		TEST(more_are_kept_for_a_moment),
		TEST(none_is_kept_where_none_may_be),
		TEST(connections_to_a_destination_are_bounded),
		TEST(who_waits_gets_the_place_of_a_lost_one),
		TEST(waiting_has_an_end),
		TEST(drained_connections_say_quit),
		TEST(we_offer_what_the_next_hop_has),
		TEST(a_silent_next_hop_is_not_waited_for),
		TEST(one_that_was_only_asked_may_go),
		TEST(q15_what_the_next_hop_lacks_is_refused),
	};

	return cmocka_run_group_tests_name("daemon/pool", tests, NULL, NULL);
}
