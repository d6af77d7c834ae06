#include "smtp/reply.h"
#include "tests/smtp/kit.h"

static const struct smtp_server_config plain = {
    .hostname = "hop.example",
    .max_message = 1000,
    .max_line = 100,
    .offer = SMTP_CAN_8BITMIME,
    .max_errors = 20,
    .max_commands = 1000,
};

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define SAID "ehlo me.example; mail <a@b>; rcpt <c@d>; data; "
#define NEXT "MAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n"

/* Whole sessions, then what each fault does. Each at every split. */
static const struct row rows[] = {
	{LIT(TO_DATA "x\r\n.\r\nQUIT\r\n"), SAID "end; close; ",
	    "220 250 250 250 354 250 221 ", "x\r\n."},
	{LIT("HELO me\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n.\r\n"),
	    "helo me; mail <>; rcpt <postmaster>; data; end; ",
	    "220 250 250 250 354 250 ", "."},
	{LIT(TO_DATA "..a\r\n.b\r\n..\r\n.\r\n"), SAID "end; ",
	    "220 250 250 250 354 250 ", ".a\r\nb\r\n.\r\n."},
	{LIT(TO_DATA ".\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\ny\r\n.\r\n"),
	    SAID "end; mail <a@b>; rcpt <c@d>; data; end; ",
	    "220 250 250 250 354 250 250 250 354 250 ", ".y\r\n."},
	{LIT("ehlo Me.example  \r\nmail from:<a@b> size=1000 body=8bitmime\r\n"
	    "rcpt to:<c@d>\r\ndata \r\nx\r\n.\r\nquit\r\n"),
	    "ehlo Me.example; mail8 <a@b>; rcpt <c@d>; data; end; close; ",
	    "220 250 250 250 354 250 221 ", "x\r\n."},
	/* answers of the owner */
	{LIT(EHLO "MAIL FROM:<451@b>\r\nRCPT TO:<c@d>\r\n"),
	    "ehlo me.example; mail <451@b>; ", "220 250 451 503 ", ""},
	{LIT(EHLO "MAIL FROM:<a@b>\r\nRCPT TO:<550@d>\r\nDATA\r\nRCPT TO:<c@d>\r\n"
	    "RCPT TO:<452@d>\r\nDATA\r\nx\r\n.\r\n"),
	    "ehlo me.example; mail <a@b>; rcpt <550@d>; rcpt <c@d>; rcpt <452@d>; "
	    "data; end; ", "220 250 250 550 503 250 452 354 250 ", "x\r\n."},
	{LIT(EHLO "MAIL FROM:<a@d451>\r\nRCPT TO:<c@d>\r\nDATA\r\nDATA\r\nRSET\r\n"),
	    "ehlo me.example; mail <a@d451>; rcpt <c@d>; data; data; reset; ",
	    "220 250 250 250 451 451 250 ", ""},
	{LIT(EHLO "MAIL FROM:<a@e550>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nDATA\r\n"),
	    "ehlo me.example; mail <a@e550>; rcpt <c@d>; data; end; ",
	    "220 250 250 250 354 550 503 ", "x\r\n."},
	{LIT(EHLO "MAIL FROM:<421@b>\r\nNOOP\r\n"),
	    "ehlo me.example; mail <421@b>; close; ", "220 250 421 ", ""},
	{LIT(EHLO "MAIL FROM:<a@e421>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n"),
	    "ehlo me.example; mail <a@e421>; rcpt <c@d>; data; end; close; ",
	    "220 250 250 250 354 421 ", "x\r\n."},
	/* a code that a command can not have becomes 451 */
	{LIT(EHLO "MAIL FROM:<354@b>\r\nMAIL FROM:<a@d250>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
	    "RSET\r\nMAIL FROM:<a@e354>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n"),
	    "ehlo me.example; mail <354@b>; mail <a@d250>; rcpt <c@d>; data; "
	    "reset; mail <a@e354>; rcpt <c@d>; data; end; ",
	    "220 250 451 250 250 451 250 250 250 354 451 ", "."},
	/* a second greeting, and RSET */
	{LIT(ENVELOPE "EHLO again\r\nRCPT TO:<c@d>\r\n"),
	    "ehlo me.example; mail <a@b>; rcpt <c@d>; reset; ehlo again; ",
	    "220 250 250 250 250 503 ", ""},
	{LIT(ENVELOPE "EHLO\r\nRCPT TO:<e@d>\r\n"),
	    "ehlo me.example; mail <a@b>; rcpt <c@d>; rcpt <e@d>; ",
	    "220 250 250 250 501 250 ", ""},
	{LIT(ENVELOPE "RSET\r\nRSET\r\nDATA\r\n"),
	    "ehlo me.example; mail <a@b>; rcpt <c@d>; reset; ",
	    "220 250 250 250 250 250 503 ", ""},
	/* F1: false ends of data, more mail behind each; F2 */
#define F1(content, cr_or_lf) \
	{LIT(TO_DATA content NEXT), SAID "close; ", \
	    "220 250 250 250 354 550 ", ""},
	F1("a\n.\n", "LF") F1("a\n.\r\n", "LF") F1("a\r\n.\n", "LF")
	F1("a\r.\r", "CR") F1("a\r.\r\n", "CR") F1("a\r\n.\r", "CR")
	F1("a\n.\r", "LF") F1("a\r.\n", "CR") F1("a\r\r\n.\r\n", "CR")
	F1("a\r\r\n.\r\r\n", "CR") F1("a\r\n.\r\r\n", "CR")
	F1("a\n\n.\r\n", "LF") F1("a\nb\r\n.\r\n", "LF")
	F1("a\rb\r\n.\r\n", "CR") F1("\n.\r\n", "LF") F1(".\n", "LF")
#undef F1
	/* with NUL it is no end either: the message goes on, to its refusal */
	{LIT(TO_DATA "a\r\n\0.\r\nMAIL FROM:<evil@b>\r\n.\r\nNOOP\r\n"),
	    SAID "reset; ", "220 250 250 250 354 550 250 ", ""},
	{LIT(TO_DATA "a\r\n.\0\r\nMAIL FROM:<evil@b>\r\n.\r\nNOOP\r\n"),
	    SAID "reset; ", "220 250 250 250 354 550 250 ", ""},
	/* F9: what follows a refused BDAT is not run */
	{LIT(ENVELOPE "BDAT 20 LAST\r\nMAIL FROM:<evil@b>\r\n"),
	    "ehlo me.example; mail <a@b>; rcpt <c@d>; close; ",
	    "220 250 250 250 502 ", ""},
	{LIT("BDAT 20\nMAIL FROM:<evil@b>\r\n"), "close; ", "220 502 ", ""},
	{LIT(EHLO "bdat\r\nNOOP\r\n"), "ehlo me.example; close; ",
	    "220 250 502 ", ""},
	/* other protocols that talk to us through a browser, or early */
	{LIT("POST / HTTP/1.1\r\n" EHLO), "close; ", "220 554 ", ""},
	{LIT("GET /\r\n" EHLO), "close; ", "220 554 ", ""},
	{LIT("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n" EHLO), "close; ",
	    "220 554 ", ""},
	/* T8: PROXY version 2, and TLS, where SMTP is spoken */
	{LIT("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\xc\r\n" EHLO), "close; ",
	    "220 500 500 554 ", ""},
	{LIT("\x16\x03\x01\0\x05\r\n" EHLO), "close; ", "220 554 ", ""},
	/* F8: nothing behind QUIT */
	{LIT("QUIT\r\n" EHLO), "close; ", "220 221 ", ""},
	/* F4, F5: framing of commands; no command behind a bare LF is run */
	{LIT("NOOP\n"), "", "220 500 ", ""},
	{LIT("NOOP\nNOOP\nNOOP\r\nNOOP\r\n"), "", "220 500 500 500 250 ", ""},
	{LIT(EHLO "MAIL FROM:<a@b>\nMAIL FROM:<evil@b>\r\nMAIL FROM:<c@b>\r\n"),
	    "ehlo me.example; mail <c@b>; ", "220 250 500 500 250 ", ""},
	{LIT("NOOP\r\r\nNOOP\r\n"), "", "220 500 250 ", ""},
	{LIT("NOOP a\rNOOP\r\nNOOP\r\n"), "", "220 500 250 ", ""},
	{LIT(EHLO "NOOP\0\r\nNOOP\r\n"), "ehlo me.example; ",
	    "220 250 500 250 ", ""},
	{LIT(EHLO "MAIL FROM:<a\0@b>\r\n"), "ehlo me.example; ", "220 250 500 ", ""},
	{LIT("\r\n \r\n\r\n"), "", "220 500 500 500 ", ""},
};

static void
sessions_at_every_split_f1_f2_f4_f8_f9(void **state)
{
	(void)state;
	check_rows(&plain, rows, N(rows));
}

/* The text of replies, one for each that there is. */
static void
replies_say_what_and_why(void **state)
{
	static const struct last_row row[] = {
		{"", "220 hop.example ESMTP\r\n"},
		{"HELO a\r\n", "250 hop.example\r\n"},
		{"EHLO a\r\n", "250-hop.example\r\n250-PIPELINING\r\n"
		    "250-SIZE 1000\r\n250-8BITMIME\r\n"
		    "250 ENHANCEDSTATUSCODES\r\n"},
		{"EHLO\r\n", "501 5.5.4 Syntax: EHLO hostname\r\n"},
		{"EHLO a b\r\n", "501 5.5.4 Syntax: EHLO hostname\r\n"},
		{"EHLO a(b\r\n", "501 5.5.4 Syntax: EHLO hostname\r\n"},
		{"EHLO a\\b\r\n", "501 5.5.4 Syntax: EHLO hostname\r\n"},
		{"EHLO " X64 X64 X64 X64 "\r\n", "501 5.5.4 Syntax: EHLO hostname\r\n"},
		{"EHLO \xc3\xa4\r\n", "501 5.5.4 Syntax: EHLO hostname\r\n"},
		{"HELO\r\n", "501 5.5.4 Syntax: HELO hostname\r\n"},
		{"HELO [192.0.2.1]\r\n", "250 hop.example\r\n"},
		{"HELO my_pc\r\n", "250 hop.example\r\n"},
		{"NOOP\r\n", "250 2.0.0 Ok\r\n"},
		{"NOOP anything <> at all\r\n", "250 2.0.0 Ok\r\n"},
		{"QUIT\r\n", "221 2.0.0 Bye\r\n"},
		{"QUIT now\r\n", "501 5.5.4 Syntax: QUIT\r\n"},
		{"RSET\r\n", "250 2.0.0 Ok\r\n"},
		{"RSET a\r\n", "501 5.5.4 Syntax: RSET\r\n"},
		{"VRFY a\r\n", "252 2.5.2 Cannot VRFY; send mail and delivery is attempted\r\n"},
		{"VRFY\r\n", "501 5.5.4 Syntax: VRFY address\r\n"},
		{"EXPN a\r\n", "502 5.5.1 Error: command not implemented\r\n"},
		{"STARTTLS\r\n", "502 5.5.1 Error: command not implemented\r\n"},
		{"AUTH PLAIN AAAA\r\n", "502 5.5.1 Error: command not implemented\r\n"},
		{"BDAT 1 LAST\r\n", "502 5.5.1 Error: CHUNKING is not offered\r\n"},
		{"HELP\r\n", "214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY QUIT\r\n"},
		{"GET /\r\n", "554 5.5.1 Error: this is SMTP\r\n"},
		{"XYZZY\r\n", "500 5.5.2 Error: command not recognized\r\n"},
		{"EHLOX\r\n", "500 5.5.2 Error: command not recognized\r\n"},
		{"NOOP\n", "500 5.5.2 Error: bare <LF> received\r\n"},
		{"NOOP\nNOOP\r\n", "500 5.5.2 Error: command behind a bare <LF>\r\n"},
		{"NO\rOP\r\n", "500 5.5.2 Error: bare <CR> received\r\n"},
		{"MAIL FROM:<a@b>\r\n", "503 5.5.1 Error: send HELO/EHLO first\r\n"},
		{EHLO "RCPT TO:<a@b>\r\n", "503 5.5.1 Error: need MAIL command\r\n"},
		{EHLO "DATA\r\n", "503 5.5.1 Error: need MAIL command\r\n"},
		{EHLO "MAIL FROM:<a@b>\r\nDATA\r\n", "503 5.5.1 Error: need RCPT command\r\n"},
		{ENVELOPE "MAIL FROM:<a@b>\r\n", "503 5.5.1 Error: nested MAIL command\r\n"},
		{ENVELOPE "DATA x\r\n", "501 5.5.4 Syntax: DATA\r\n"},
		/* F13: paths and parameters */
		{EHLO "MAIL\r\n", "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"},
		{EHLO "MAIL TO:<a@b>\r\n", "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"},
		{EHLO "MAIL FROM <a@b>\r\n", "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"},
		{EHLO "MAIL FROM: <a@b>\r\n", "250 x\r\n"},
		{EHLO "MAIL FROM:a@b\r\n", "501 5.1.7 Bad address syntax\r\n"},
		{EHLO "MAIL FROM:\r\n", "501 5.1.7 Bad address syntax\r\n"},
		{EHLO "MAIL FROM:<<>>\r\n", "501 5.1.7 Bad address syntax\r\n"},
		{EHLO "MAIL FROM:<@c:a@b>\r\n", "501 5.1.7 Source routes are not accepted\r\n"},
		{EHLO "MAIL FROM:<\xc3\xa4@b>\r\n",
		    "501 5.1.7 Non-ASCII address without SMTPUTF8\r\n"},
		{EHLO "MAIL FROM:<a@b> SIZE=1000\r\n", "250 x\r\n"},
		{EHLO "MAIL FROM:<a@b>   SIZE=1   BODY=7BIT  \r\n", "250 x\r\n"},
		{EHLO "MAIL FROM:<a@b> SIZE=1001\r\n", "552 5.3.4 Message size exceeds fixed limit\r\n"},
		{EHLO "MAIL FROM:<a@b> SIZE=18446744073709551615\r\n",
		    "552 5.3.4 Message size exceeds fixed limit\r\n"},
		{EHLO "MAIL FROM:<a@b> SIZE=18446744073709551616\r\n", "501 5.5.4 Syntax: SIZE=octets\r\n"},
		{EHLO "MAIL FROM:<a@b> SIZE=-1\r\n", "501 5.5.4 Syntax: SIZE=octets\r\n"},
		{EHLO "MAIL FROM:<a@b> SIZE\r\n", "501 5.5.4 Syntax: SIZE=octets\r\n"},
		{EHLO "MAIL FROM:<a@b> SIZE=\r\n", "501 5.5.4 Bad parameter syntax\r\n"},
		{EHLO "MAIL FROM:<a@b> SIZE=1 SIZE=1\r\n", "501 5.5.4 Repeated option\r\n"},
		{EHLO "MAIL FROM:<a@b> BODY=7BIT BODY=8BITMIME\r\n", "501 5.5.4 Repeated option\r\n"},
		{EHLO "MAIL FROM:<a@b> BODY=BINARYMIME\r\n", "501 5.5.4 Syntax: BODY=7BIT or BODY=8BITMIME\r\n"},
		{EHLO "MAIL FROM:<a@b> SMTPUTF8\r\n", "555 5.5.4 Unsupported option\r\n"},
		{EHLO "MAIL FROM:<a@b> RET=HDRS\r\n", "555 5.5.4 Unsupported option\r\n"},
		{EHLO "MAIL FROM:<a@b>SIZE=1\r\n", "501 5.5.4 Bad parameter syntax\r\n"},
		{EHLO "MAIL FROM:<a@b> -A=1\r\n", "501 5.5.4 Bad parameter syntax\r\n"},
		{EHLO "MAIL FROM:<a@b> SIZE=1=2\r\n", "501 5.5.4 Bad parameter syntax\r\n"},
		{EHLO "MAIL FROM:<a@b>\tSIZE=1\r\n", "501 5.5.4 Bad parameter syntax\r\n"},
		{EHLO "MAIL FROM:<a@b>\r\nRCPT\r\n", "501 5.5.4 Syntax: RCPT TO:<address>\r\n"},
		{EHLO "MAIL FROM:<a@b>\r\nRCPT FROM:<a@b>\r\n", "501 5.5.4 Syntax: RCPT TO:<address>\r\n"},
		{EHLO "MAIL FROM:<a@b>\r\nRCPT TO:<>\r\n", "501 5.1.3 Bad address syntax\r\n"},
		{EHLO "MAIL FROM:<a@b>\r\nRCPT TO:<@x,@y:c@d>\r\n", "501 5.1.3 Source routes are not accepted\r\n"},
		{EHLO "MAIL FROM:<a@b>\r\nRCPT TO:<c@d> NOTIFY=NEVER\r\n", "555 5.5.4 Unsupported option\r\n"},
		{EHLO "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>x\r\n", "501 5.5.4 Bad parameter syntax\r\n"},
		/* faults of content */
		{TO_DATA "a\nb", "550 5.5.2 bare <LF> received\r\n"},
		{TO_DATA "a\rb", "550 5.5.2 bare <CR> received\r\n"},
	};

	(void)state;
	check_last_rows(&plain, row, N(row));
}

static void
extensions_follow_the_configuration(void **state)
{
	struct smtp_server_config config = plain;

	(void)state;
	config.offer = 0;
	config.max_message = 0;
	session_init(&t, &config);
	session_run(&t, BYTES_LIT(EHLO "MAIL FROM:<a@b> BODY=7BIT\r\n"
	    "MAIL FROM:<a@b> SIZE=18446744073709551615\r\n"), 0, SIZE_MAX);
	assert_true(bytes_eq(buf_bytes(&t.out), BYTES_LIT(
	    "220 hop.example ESMTP\r\n"
	    "250-hop.example\r\n250-PIPELINING\r\n250-SIZE 0\r\n"
	    "250 ENHANCEDSTATUSCODES\r\n555 5.5.4 Unsupported option\r\n"
	    "250 x\r\n")));
}

/* F5: a command line at its bound, one past it, and without an end. */
static void
f5_command_lines_have_a_bound(void **state)
{
	static const size_t n[] = {SMTP_COMMAND_MAX, SMTP_COMMAND_MAX + 1,
	    SMTP_COMMAND_MAX + 2, 5000, SMTP_LINE_MAX};

	(void)state;
	for (size_t k = 0; k < N(n); k++) {
		session_init(&t, &plain);
		session_feed(&t, BYTES_LIT("NOOP "));
		feed_many('x', n[k] - 7);
		session_feed(&t, BYTES_LIT("\r\n"));
		check_last(k == 0 ? "250 2.0.0 Ok\r\n" :
		    "500 5.5.2 Error: line too long\r\n");
		/* and in sync */
		session_feed(&t, BYTES_LIT("RSET\r\nNO\r\n"));
		check_last("250 2.0.0 Ok\r\n"
		    "500 5.5.2 Error: command not recognized\r\n");
		assert_false(t.is_closed);
	}
	session_init(&t, &plain);
	feed_many('x', SMTP_LINE_MAX);
	assert_false(t.is_closed);
	feed_many('\n', 1);
	assert_true(t.is_closed);
	check_last("421 4.7.0 hop.example Error: command line without end\r\n");
	assert_true(t.s.line.n <= SMTP_AUTH_LINE_MAX);
}

/* F5: a line of text at its bound, one past it, and without an end. */
static void
f5_text_lines_have_a_bound(void **state)
{
	struct smtp_server_config config = plain;
	static const size_t n[] = {100, 101, 99999};

	(void)state;
	config.max_message = 10 << 20;
	for (size_t k = 0; k < N(n); k++) {
		session_init(&t, &config);
		session_run(&t, BYTES_LIT(TO_DATA "a\r\n"), 0, SIZE_MAX);
		feed_many('x', n[k]);
		session_feed(&t, BYTES_LIT("\r\nb\r\n.\r\n"));
		check_last(k == 0 ? "250 x\r\n" :
		    "550 5.6.0 Text line too long\r\n");
		session_feed(&t, BYTES_LIT("NOOP\r\n"));
		check_last("250 2.0.0 Ok\r\n");
		assert_true(bytes_ends(buf_bytes(&t.events),
		    k == 0 ? BYTES_LIT("end; ") : BYTES_LIT("reset; ")));
		assert_true(t.n_seen < 2000);
		assert_false(smtp_server_is_busy(&t.s));
	}
	session_init(&t, &config);
	session_run(&t, BYTES_LIT(TO_DATA), 0, SIZE_MAX);
	feed_many('x', SMTP_TEXT_LINE_MAX);
	assert_false(t.is_closed);
	feed_many('x', 1);
	check_last("421 4.7.0 hop.example Error: message without end\r\n");
	assert_true(bytes_ends(buf_bytes(&t.events), BYTES_LIT("close; ")));
}

/* A message at its bound, one past it, and one that never ends. */
static void
messages_have_a_bound(void **state)
{
	static const size_t n[] = {998, 999, 1998, 1999};

	(void)state;
	for (size_t k = 0; k < N(n); k++) {
		struct smtp_server_config config = plain;

		config.max_line = 0;
		session_init(&t, &config);
		session_run(&t, BYTES_LIT(TO_DATA), 0, SIZE_MAX);
		feed_many('x', n[k]);
		assert_true(k == 0 ? t.n_seen == n[k] : t.n_seen <= 1000);
		session_feed(&t, BYTES_LIT("\r\n.\r\n"));
		if (k == 3) {
			check_last("421 4.7.0 hop.example Error: message "
			    "without end\r\n");
			assert_true(t.is_closed);
			continue;
		}
		check_last(k == 0 ? "250 x\r\n" :
		    "552 5.3.4 Message size exceeds fixed limit\r\n");
		assert_true(bytes_ends(buf_bytes(&t.events),
		    k == 0 ? BYTES_LIT("end; ") : BYTES_LIT("reset; ")));
		session_feed(&t, BYTES_LIT("NOOP\r\n"));
		check_last("250 2.0.0 Ok\r\n");
	}
}

/* F4: a NUL in the header, in the body and behind many lines. */
static void
f4_nul_in_content_is_refused_at_the_dot(void **state)
{
	static const struct bytes row[] = {
		LIT("Subject: a\0b\r\n\r\nx\r\n"),
		LIT("\r\n\0\r\n"),
		LIT("a\r\nb\r\n\r\nccccccccccccccccccc\0"),
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		session_init(&t, &plain);
		session_run(&t, BYTES_LIT(TO_DATA), 0, SIZE_MAX);
		session_feed(&t, row[k]);
		session_feed(&t, BYTES_LIT("\r\n.\r\nNOOP\r\n"));
		check_last("550 5.6.0 Message contains <NUL>\r\n250 2.0.0 Ok\r\n");
	}
}

/* F8: DATA is the last of a group; what stands behind it is not run. */
static void
f8_nothing_may_stand_behind_data(void **state)
{
	(void)state;
	session_init(&t, &plain);
	session_feed(&t, BYTES_LIT(TO_DATA "x\r\n.\r\n" NEXT));
	check_last("554 5.5.0 Error: improper pipelining behind DATA\r\n");
	assert_true(bytes_eq(buf_bytes(&t.events), BYTES_LIT(
	    "ehlo me.example; mail <a@b>; rcpt <c@d>; close; ")));

	/* or comes while the owner looks for its answer */
	for (int is_early = 0; is_early < 2; is_early++) {
		struct bytes in = BYTES_LIT("DATA\r\n");
		struct bytes early = BYTES_LIT("x");

		session_init(&t, &plain);
		session_feed(&t, BYTES_LIT(ENVELOPE));
		assert_int_equal(smtp_server_next(&t.s, &in),
		    SMTP_SERVER_DATA);
		early.n = (size_t)is_early;
		assert_int_equal(smtp_server_next(&t.s, &early),
		    SMTP_SERVER_MORE);
		assert_int_equal(early.n, is_early);
		smtp_server_answer(&t.s, 354, NULL, BYTES_LIT("go"));
		session_drain(&t);
		check_last(is_early == 0 ? "354 go\r\n" :
		    "554 5.5.0 Error: improper pipelining behind DATA\r\n");
		assert_int_equal(smtp_server_next(&t.s, &early), is_early == 0 ?
		    SMTP_SERVER_MORE : SMTP_SERVER_CLOSE);
	}
}

/* F8: who talks before the banner was written gets 554 in its place. */
static void
f8_early_talkers_are_sent_away(void **state)
{
	struct bytes in = BYTES_LIT(EHLO);
	struct smtp_server *s = &t.s;

	(void)state;
	smtp_server_init(s, &plain, t.room);
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_CLOSE);
	assert_true(bytes_eq(buf_bytes(&s->out), BYTES_LIT(
	    "554 5.5.0 Error: you talked before the greeting\r\n")));
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_CLOSE);
	assert_int_equal(in.n, sizeof(EHLO) - 1);
}

/*
 * F8: 10,000 commands in one write, each answered, in order and complete,
 * whatever the replies are; ->out is drained only when the machine asks.
 */
static void
f8_floods_never_overflow_the_replies(void **state)
{
	static const char *const row[][2] = {
		{"NOOP\r\n", "250 2.0.0 Ok\r\n"},
		{"RSET\r\n", "250 2.0.0 Ok\r\n"},
		{"XYZZY\r\n", "500 5.5.2 Error: command not recognized\r\n"},
		{"EHLO x\r\n", "250-hop.example\r\n250-PIPELINING\r\n"
		    "250-SIZE 1000\r\n250-8BITMIME\r\n"
		    "250 ENHANCEDSTATUSCODES\r\n"},
	};
	static uint8_t octets[200000];
	struct smtp_server_config config = plain;

	(void)state;
	config.max_errors = 0;
	config.max_commands = 0;
	for (size_t k = 0; k < N(row); k++) {
		struct buf in = BUF_ON(octets);
		struct bytes left, reply = bytes_of(row[k][1]);
		size_t n_out = 0;

		for (int n = 0; n < 10000; n++)
			buf_add_str(&in, row[k][0]);
		left = buf_bytes(&in);
		smtp_server_init(&t.s, &config, t.room);
		t.s.out.n = 0;
		for (;;) {
			struct bytes out;
			enum smtp_server_event event =
			    smtp_server_next(&t.s, &left);

			if (event == SMTP_SERVER_HELO)
				continue;
			assert_int_equal(event, SMTP_SERVER_MORE);
			assert_false(t.s.out.full);
			out = buf_bytes(&t.s.out);
			for (; out.n != 0; n_out++) {
				assert_true(bytes_starts(out, reply));
				out = bytes_skip(out, reply.n);
			}
			if (left.n == 0)
				break;
			assert_int_not_equal(t.s.out.n, 0);
			t.s.out.n = 0;
		}
		assert_int_equal(n_out, 10000);
	}
}

/* F8: too many errors, too many commands; a good message counts anew. */
static void
f8_errors_and_commands_are_counted(void **state)
{
	struct smtp_server_config config = plain;

	(void)state;
	config.max_errors = 3;
	session_init(&t, &config);
	session_feed(&t, BYTES_LIT("X\r\nX\r\nNOOP\r\n"));
	assert_false(t.is_closed);
	session_feed(&t, BYTES_LIT("X\r\n" EHLO));
	check_last("500 5.5.2 Error: command not recognized\r\n"
	    "421 4.7.0 hop.example Error: too many errors\r\n");
	assert_true(bytes_eq(buf_bytes(&t.events), BYTES_LIT("close; ")));

	session_init(&t, &config);
	session_run(&t, BYTES_LIT("X\r\nX\r\n" TO_DATA ".\r\nX\r\nX\r\n"), 0,
	    SIZE_MAX);
	assert_false(t.is_closed);

	/* 5xx of the owner count, 4xx do not */
	session_init(&t, &config);
	session_feed(&t, BYTES_LIT(EHLO "MAIL FROM:<a@b>\r\n"
	    "RCPT TO:<452@b>\r\nRCPT TO:<452@b>\r\nRCPT TO:<452@b>\r\n"
	    "RCPT TO:<550@b>\r\nRCPT TO:<550@b>\r\n"));
	assert_false(t.is_closed);
	session_feed(&t, BYTES_LIT("RCPT TO:<550@b>\r\nNOOP\r\n"));
	check_last("421 4.7.0 hop.example Error: too many errors\r\n");
	assert_true(t.is_closed);

	config = plain;
	config.max_commands = 3;
	session_init(&t, &config);
	session_feed(&t, BYTES_LIT("NOOP\r\nNOOP\r\nNOOP\r\n"));
	assert_false(t.is_closed);
	session_feed(&t, BYTES_LIT("NOOP\r\nNOOP\r\n"));
	check_last("Ok\r\n421 4.7.0 hop.example Error: too many commands\r\n");
	assert_true(t.is_closed);
}

static void
shutting_down_says_421_once(void **state)
{
	static const char *const to[] = {"", EHLO, ENVELOPE, TO_DATA,
	    TO_DATA "half a line"};

	(void)state;
	for (size_t k = 0; k < N(to); k++) {
		for (int is_timeout = 0; is_timeout < 2; is_timeout++) {
			struct bytes in = BYTES_LIT("QUIT\r\n");

			session_init(&t, &plain);
			session_run(&t, bytes_of(to[k]), 0, SIZE_MAX);
			smtp_server_shutdown(&t.s, is_timeout != 0);
			smtp_server_shutdown(&t.s, is_timeout != 0);
			smtp_server_answer(&t.s, 250, NULL, BYTES_LIT("late"));
			assert_true(bytes_eq(buf_bytes(&t.s.out), is_timeout ?
			    BYTES_LIT("421 4.4.2 hop.example Error: timeout "
			    "exceeded\r\n") :
			    BYTES_LIT("421 4.3.2 hop.example Error: service "
			    "shutting down\r\n")));
			assert_int_equal(smtp_server_next(&t.s, &in),
			    SMTP_SERVER_CLOSE);
			assert_false(smtp_server_is_busy(&t.s));
		}
	}
}

/* F14: an answer is one reply, whatever stands in its text. */
static void
f14_answers_can_not_break_out(void **state)
{
	static uint8_t long_text[4000];
	static const struct {
		struct bytes text;
		const char *enhanced;
		const char *out;
	} row[] = {
		{LIT("fine"), "5.1.1", "550 5.1.1 fine\r\n"},
		{LIT("5.1.1 fine"), NULL, "550 5.1.1 fine\r\n"},
		{LIT("a\nb\nc"), "5.1.1", "550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n"},
		{LIT("a\r\n250 b\r\n"), NULL, "550-a\r\n550 250 b\r\n"},
		{LIT("a\rb\x1b[0m\0\x7f\xff\tc"), NULL, "550 ab?[0m???\tc\r\n"},
		{LIT(""), NULL, "550\r\n"},
		{LIT(""), "5.0.0", "550 5.0.0\r\n"},
		{LIT("\n"), NULL, "550\r\n"},
		{LIT("\n\na"), NULL, "550-\r\n550-\r\n550 a\r\n"},
	};
	struct buf out = BUF_ON(long_text);

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		out.n = 0;
		smtp_reply_add(&out, 550, row[k].enhanced, row[k].text);
		if (!bytes_eq(buf_bytes(&out), bytes_of(row[k].out)))
			fail_msg("%zu: %.*s", k, (int)out.n, (char *)out.p);
	}
	/* the bounds: one line of 1,800 and more, and nothing but lines */
	for (int is_lines = 0; is_lines < 2; is_lines++) {
		uint8_t octets[3000], codes[100];
		struct buf list = BUF_ON(codes);

		memset(long_text, is_lines ? '\n' : 'x', sizeof(long_text));
		out = BUF_ON(octets);
		smtp_reply_add(&out, 550, "5.123.123",
		    (struct bytes){long_text, sizeof(long_text)});
		assert_true(out.n <= SMTP_REPLY_ROOM);
		list_codes(buf_bytes(&out), &list);
		assert_true(bytes_eq(buf_bytes(&list), BYTES_LIT("550 ")));
		if (is_lines == 0)
			assert_true(out.n > SMTP_REPLY_TEXT);
	}
}

/* What the owner may ask of the machine at each event. */
static void
facts_stand_at_their_events(void **state)
{
	struct smtp_server *s = &t.s;
	struct bytes in = BYTES_LIT(
	    EHLO "MAIL FROM:<a@b> SIZE=77 BODY=8BITMIME\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n");

	(void)state;
	session_init(&t, &plain);
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_HELO);
	assert_true(s->is_esmtp && s->is_pipelining);
	assert_false(smtp_server_is_busy(s));
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_MAIL);
	assert_true(bytes_eq(s->mail.from.raw, BYTES_LIT("<a@b>")));
	assert_true(bytes_eq(s->mail.from.domain, BYTES_LIT("b")));
	assert_int_equal(s->mail.size, 77);
	assert_true(s->mail.is_8bit);
	/* nothing is read before the answer */
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_MORE);
	smtp_server_answer(s, 250, "2.1.0", BYTES_LIT("Ok"));
	assert_true(smtp_server_is_busy(s));
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_RCPT);
	assert_true(bytes_eq(s->rcpt.to.raw, BYTES_LIT("<c@d>")));
	smtp_server_answer(s, 250, "2.1.5", BYTES_LIT("Ok"));
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_RCPT);
	assert_true(bytes_eq(s->mail.from.raw, BYTES_LIT("<a@b>")));
	smtp_server_answer(s, 452, "4.5.3", BYTES_LIT("later"));
	assert_int_equal(s->n_rcpt, 1);
	assert_false(s->is_pipelining);
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_MORE);
	session_drain(&t);
	session_feed(&t, BYTES_LIT("DATA\r\n"));
	session_feed(&t, BYTES_LIT("\xc3\xa4\r\n"));
	assert_true(s->dot.has_8bit);
	assert_int_equal(s->n_content, 4);
	assert_true(smtp_server_is_busy(s));
	session_feed(&t, BYTES_LIT(".\r\n"));
	assert_false(smtp_server_is_busy(s));
	/* nothing of a transaction outlives it */
	session_feed(&t, BYTES_LIT(
	    "MAIL FROM:<a@b> SIZE=7 BODY=8BITMIME\r\nRCPT TO:<c@d>\r\n"));
	assert_int_equal(s->n_rcpt, 1);
	session_feed(&t, BYTES_LIT("RSET\r\n"));
	assert_true(s->n_rcpt == 0 && s->mail.size == 0 && !s->mail.is_8bit);
	assert_int_equal(s->mail.from.raw.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_at_every_split_f1_f2_f4_f8_f9),
		cmocka_unit_test(replies_say_what_and_why),
		cmocka_unit_test(extensions_follow_the_configuration),
		cmocka_unit_test(f5_command_lines_have_a_bound),
		cmocka_unit_test(f5_text_lines_have_a_bound),
		cmocka_unit_test(messages_have_a_bound),
		cmocka_unit_test(f4_nul_in_content_is_refused_at_the_dot),
		cmocka_unit_test(f8_nothing_may_stand_behind_data),
		cmocka_unit_test(f8_early_talkers_are_sent_away),
		cmocka_unit_test(f8_floods_never_overflow_the_replies),
		cmocka_unit_test(f8_errors_and_commands_are_counted),
		cmocka_unit_test(shutting_down_says_421_once),
		cmocka_unit_test(f14_answers_can_not_break_out),
		cmocka_unit_test(facts_stand_at_their_events),
	};

	return cmocka_run_group_tests_name("smtp/server", tests, NULL, NULL);
}
