#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/daemon/onwardkit.h"

/* The way onward against next hops that say what they should not. */

/* ---- one transaction ---- */

static const struct {
	const char *script[3];
	const char *events;
	const char *seen[3];
} rows[] = {
	/* many recipients, one at a time and all at once */
	{{PLAIN "250 m|250 a|550 5.1.1 b|250 c|354 go|250 2.0.0 sent"},
	    "rcpt 250 [a]; rcpt 550 5.1.1[b]; rcpt 250 [c]; "
	    "ended 250 2.0.0[sent]; ", {HELLO TO3 CONTENT}},
	{{PIPED "250 m|250 a|450 b|250 c|354 go|451 4.3.0 later"},
	    "rcpt 250 [a]; rcpt 450 [b]; rcpt 250 [c]; "
	    "ended 451 4.3.0[later]; ", {HELLO TO3 CONTENT}},
	/* Q11: refused or lost at each stage */
	{{"421 x"}, "refused 421 [x]; ", {""}},
	{{"554 5.3.2 x"}, "refused 554 5.3.2[x]; ", {""}},
	{{"!"}, "lost; ", {""}},
	{{"220 x|550 no|550 5.7.1 never"}, "refused 550 5.7.1[never]; ",
	    {HELLO "HELO me.example\r\n"}},
	{{"220 x|421 4.3.2 bye"}, "refused 421 4.3.2[bye]; ", {HELLO}},
	{{"220 x|!"}, "lost; ", {HELLO}},
	{{PLAIN "550 5.7.1 m"}, "refused 550 5.7.1[m]; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRSET\r\n"}},
	{{PIPED "451 m|503 a|503 b|503 c"}, "refused 451 [m]; ",
	    {HELLO TO3 "RSET\r\n"}},
	{{PLAIN "421 m"}, "refused 421 [m]; ", {HELLO "MAIL FROM:<s@t>\r\n"}},
	{{PLAIN "!"}, "lost; ", {HELLO "MAIL FROM:<s@t>\r\n"}},
	{{PLAIN "250 m|!421 a"}, "refused 421 [a]; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n"}},
	{{PIPED "250 m|250 a|250 b|250 c|554 5.5.0 no"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; refused 554 5.5.0[no]; ",
	    {HELLO TO3 "DATA\r\nRSET\r\n"}},
	{{PIPED "250 m|250 a|250 b|250 c|354 go|!"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; lost?; ",
	    {HELLO TO3 CONTENT}},
	{{PIPED "250 m|250 a|250 b|250 c|354 go|999 x"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; lost?; ",
	    {HELLO TO3 CONTENT}},
	{{PIPED "250 m|250 a|250 b|250 c|354 go|!421 4.3.2 x"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; ended 421 4.3.2[x]; ",
	    {HELLO TO3 CONTENT}},
	/* Q19: hung up after a yes: asked again, who was refused is not */
	{{PLAIN "250 m|250 a|550 b|!", PLAIN "250 m|250 a2|250 c|354 go|250 s"},
	    "rcpt 250 [a]; rcpt 550 [b]; rcpt 250 [c]; ended 250 [s]; ",
	    {HELLO TO3, HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n"
	    "RCPT TO:<e@f>\r\n" CONTENT}},
	{{PIPED "250 m|250 a|250 b|250 c|!",
	    PIPED "250 m|250 a2|250 b2|250 c2|354 go|250 s"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; ended 250 [s]; ",
	    {HELLO TO3 "DATA\r\n", HELLO TO3 CONTENT}},
	{{PIPED "250 m|250 a|250 b|250 c|!421 4.4.2 idle",
	    PIPED "250 m|250 a2|250 b2|250 c2|354 go|250 s"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; ended 250 [s]; ",
	    {HELLO TO3 "DATA\r\n", HELLO TO3 CONTENT}},
	/* once */
	{{PLAIN "250 m|250 a|!421 b", PLAIN "250 m|!421 a2"},
	    "rcpt 250 [a]; lost; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n"}},
	{{PLAIN "250 m|250 a|!", PLAIN "250 m|!"}, "rcpt 250 [a]; lost; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n"}},
	/* another answer than before */
	{{PLAIN "250 m|250 a|!", PLAIN "250 m|550 a2"}, "rcpt 250 [a]; lost; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n"}},
	{{PLAIN "250 m|250 a|!", PLAIN "550 m2"}, "rcpt 250 [a]; lost; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    HELLO "MAIL FROM:<s@t>\r\n"}},
	{{PLAIN "250 m|250 a|!", "554 full"}, "rcpt 250 [a]; lost; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    ""}},
	/* F14: what is no answer */
	{{PLAIN "250 m\n250 a"}, "lost; ", {HELLO "MAIL FROM:<s@t>\r\n"}},
	{{PLAIN "250-m\r\n251 a"}, "lost; ", {HELLO "MAIL FROM:<s@t>\r\n"}},
};

static void
q11_q19_f14_each_stage(void **state)
{
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		for (size_t i = 0; i < 3 && rows[k].script[i] != NULL; i++)
			script(0, rows[k].script[i]);
		begin(0, 3, true);
		wait_for(are_over);
		expect(0, rows[k].events);
		pool_drain(t.hub.pool);
		wait_for(is_idle_gone);		/* all has come */
		for (size_t i = 0; i < t.server[0].n; i++) {
			struct scripted_peer *p = t.server[0].peers[i];
			struct bytes seen;

			seen = buf_bytes(&p->seen);
			if (bytes_ends(seen, BYTES_LIT("QUIT\r\n")))
				p->seen.n -= 6;
			expect_seen(0, i, rows[k].seen[i]);
		}
		assert_int_equal(t.server[0].n, t.server[0].n_scripts);
		teardown(state);
		setup(state);
	}
}

/* ---- LMTP ---- */

static void
q14_lmtp_has_an_answer_each(void **state)
{
	(void)state;
	t.listener.next_hop.scheme = SCHEME_LMTP;
	script(0, PIPED "250 m|250 a|550 b|250 c|354 go|250 2.0.0 to a+|"
	    "452 4.2.2 full");
	begin(0, 3, true);
	wait_for(are_over);
	note_each(&t.runner[0]);
	expect(0, "rcpt 250 [a]; rcpt 550 [b]; rcpt 250 [c]; "
	    "ended 452 4.2.2[full]; for 250 2.0.0[to a]; for 0 []; "
	    "for 452 4.2.2[full]; ");
}

static void
q14_lmtp_cut_off_amid_its_answers(void **state)
{
	(void)state;
	t.listener.next_hop.scheme = SCHEME_LMTP;
	script(0, PIPED "250 m|250 a|250 b|354 go|!250 2.0.0 to a");
	begin(0, 2, true);
	wait_for(are_over);
	note_each(&t.runner[0]);
	expect(0, "rcpt 250 [a]; rcpt 250 [b]; lost?; for 250 2.0.0[to a]; "
	    "for 0 []; ");
}

/* ---- several servers (RFC 5321 5.1) ---- */

static void
try_servers(const char *one, const char *two, const char *events)
{
	t.n_servers = 2;
	script(0, one);
	script(1, two);
	begin(0, 1, false);
	wait_for(are_over);
	expect(0, events);
	outbound_free(&t.runner[0].o);
	teardown(NULL);
	setup(NULL);
}

static void
the_next_server_is_tried(void **state)
{
	(void)state;
	try_servers("!", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("421 x", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("554 x", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("220 x|421 x", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("220 x|!", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("220 x\n", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	/* of two failures the one that may pass is told */
	try_servers("554 one", "421 two", "refused 421 [two]; ");
	try_servers("421 one", "554 two", "refused 421 [one]; ");
	try_servers("554 one", "!", "lost; ");
	try_servers("554 one", "553 two", "refused 553 [two]; ");
}

static void
what_was_said_to_mail_counts(void **state)
{
	(void)state;
	t.n_servers = 2;
	script(0, PLAIN "451 m");
	begin(0, 1, false);
	wait_for(are_over);
	expect(0, "refused 451 [m]; ");
	assert_int_equal(t.server[1].n, 0);
}

static void
a_server_that_is_not_there(void **state)
{
	(void)state;
	t.n_servers = 2;
	close(t.server[0].fd);
	loop_unwatch(&t.server[0].watch);
	script(1, PLAIN "250 m|250 a|250 reset|250 m|250 a");
	begin(0, 1, false);
	wait_for(are_over);
	expect(0, "rcpt 250 [a]; ");
	outbound_abort(t.runner[0].o);
	t.n_servers = 0;
	begin(1, 1, false);
	wait_for(are_over);
	expect(1, "rcpt 250 [a]; ");	/* the idle one is there */
}

/* ---- who the client is ---- */

static const struct inbound_client client = {
	.addr = {.ip = {[10] = 255, 255, 192, 0, 2, 1}, .port = 4711},
	.local = {.ip = {[10] = 255, 255, 192, 0, 2, 25}, .port = 25},
	.helo = {(const uint8_t *)"c.example", 9},
	.is_esmtp = true,
};

static void
identities_are_told_and_never_shared(void **state)
{
	static const struct {
		enum config_pass_client how;
		const char *script;
		const char *seen;
	} row[] = {
		{PASS_PROXY_V1, "220 x|250 x|250 m|250 a|354 go|250 s|!221 x",
		    "PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\n" HELLO
		    "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n" CONTENT},
		{PASS_XCLIENT, "220 x|250-x\r\n250 XCLIENT ADDR HELO|220 y|"
		    "250 x|250 m|250 a|354 go|250 s|!221 x",
		    HELLO "XCLIENT ADDR=192.0.2.1 HELO=c.example\r\n" HELLO
		    "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n" CONTENT},
		/* it does not know XCLIENT: nothing is told */
		{PASS_XCLIENT, "220 x|250 x|250 m|250 a|354 go|250 s|!221 x",
		    HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n" CONTENT},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct scripted_peer *p;
		bool is_proxy = row[k].how == PASS_PROXY_V1;

		t.listener.pass_client = row[k].how;
		for (size_t i = 0; i < 2; i++) {
			char text[200];
			struct buf b = BUF_ON(text);

			/* the header comes with the first line */
			buf_printf(&b, "%s", row[k].script);
			buf_add_octet(&b, 0);
			script(0, strdup(is_proxy ? "220 x||250 x|250 m|250 a|"
			    "354 go|250 s|!221 x" : text));
			t.runner[i].o = new_outbound(&client);
			begin(i, 1, true);
			wait_for(are_over);
			expect(i, "rcpt 250 [a]; ended 250 [s]; ");
			outbound_free(&t.runner[i].o);
		}
		wait_for(is_idle_gone);
		assert_int_equal(t.server[0].n, 2);
		p = t.server[0].peers[1];
		p->seen.n -= 6;			/* QUIT */
		expect_seen(0, 1, row[k].seen);
		for (size_t i = 0; i < 2; i++)
			free((char *)(uintptr_t)t.server[0].scripts[i]);
		teardown(NULL);
		setup(NULL);
	}
}

static void
a_refused_xclient_is_no_fault_of_the_client(void **state)
{
	(void)state;
	t.listener.pass_client = PASS_XCLIENT;
	script(0, "220 x|250-x\r\n250 XCLIENT ADDR|550 5.7.0 no");
	t.runner[0].o = new_outbound(&client);
	begin(0, 1, false);
	wait_for(are_over);
	expect(0, "refused 451 4.3.5[The next hop does not let us tell who its "
	    "client is]; ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(q11_q19_f14_each_stage),
		TEST(q14_lmtp_has_an_answer_each),
		TEST(q14_lmtp_cut_off_amid_its_answers),
		TEST(the_next_server_is_tried),
		TEST(what_was_said_to_mail_counts),
		TEST(a_server_that_is_not_there),
		TEST(identities_are_told_and_never_shared),
		TEST(a_refused_xclient_is_no_fault_of_the_client),
	};

	return cmocka_run_group_tests_name("daemon/outbound", tests, NULL, NULL);
}
