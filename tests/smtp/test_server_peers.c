#include "tests/smtp/kit.h"

/* STARTTLS, AUTH, XCLIENT and LMTP. */

static const struct smtp_server_config all = {
    .hostname = "hop.example",
    .max_message = 1000,
    .offer = SMTP_CAN_8BITMIME | SMTP_CAN_CHUNKING | SMTP_CAN_STARTTLS |
        SMTP_CAN_AUTH_PLAIN | SMTP_CAN_AUTH_LOGIN | SMTP_CAN_XCLIENT,
    .max_errors = 20,
};

static const struct smtp_server_config lmtp = {
    .hostname = "hop.example",
    .max_message = 1000,
    .max_line = 100,
    .offer = SMTP_CAN_CHUNKING,
    .is_lmtp = true,
};

/* A session under TLS, EHLO said. */
static void
begin_secured(void)
{
	session_init(&t, &all);
	smtp_server_secured(&t.s);
	session_feed(&t, BYTES_LIT(EHLO));
}

/* ---- STARTTLS ---- */

static void
tls_is_offered_until_it_is_there(void **state)
{
	(void)state;
	session_init(&t, &all);
	session_feed(&t, BYTES_LIT(EHLO));
	assert_int_equal(t.s.can & (SMTP_CAN_STARTTLS | SMTP_CAN_AUTH_PLAIN),
	    SMTP_CAN_STARTTLS);
	session_feed(&t, BYTES_LIT("STARTTLS\r\n"));
	check_last("220 x\r\n");
	smtp_server_secured(&t.s);
	session_feed(&t, BYTES_LIT("MAIL FROM:<a@b>\r\n"));
	check_last("503 5.5.1 Error: send HELO/EHLO first\r\n");
	assert_int_equal(t.s.helo.n, 0);
	session_feed(&t, BYTES_LIT(EHLO));
	check_last("250-CHUNKING\r\n250-AUTH PLAIN LOGIN\r\n250-XCLIENT NAME "
	    "ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
	    "250 ENHANCEDSTATUSCODES\r\n");
	session_feed(&t, BYTES_LIT("STARTTLS\r\n"));
	check_last("503 5.5.1 Error: TLS is active already\r\n");
}

/* T1: what stands behind STARTTLS in clear is never run, nor read later. */
static void
t1_nothing_is_injected_behind_starttls(void **state)
{
	static const char *const behind[] = {"NOOP\r\n", "x", "\r\n",
	    "MAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\n"};

	(void)state;
	for (size_t k = 0; k < N(behind); k++) {
		uint8_t octets[200];
		struct buf in = BUF_ON(octets);

		/* in the same read */
		buf_add_str(&in, "STARTTLS\r\n");
		buf_add_str(&in, behind[k]);
		session_init(&t, &all);
		session_feed(&t, BYTES_LIT(EHLO));
		session_feed(&t, buf_bytes(&in));
		check_last("554 5.5.1 Error: improper pipelining behind "
		    "STARTTLS\r\n");
		assert_true(bytes_eq(buf_bytes(&t.events),
		    BYTES_LIT("ehlo me.example; close; ")));
		/* or later, and still in clear */
		session_init(&t, &all);
		session_feed(&t, BYTES_LIT(EHLO "STARTTLS\r\n"));
		check_last("220 x\r\n");
		session_feed(&t, bytes_of(behind[k]));
		check_last("554 5.5.1 Error: improper pipelining behind "
		    "STARTTLS\r\n");
		assert_true(bytes_eq(buf_bytes(&t.events),
		    BYTES_LIT("ehlo me.example; starttls; close; ")));
	}
}

/* T1: half a command, then STARTTLS's answer is due: as above. */
static void
t1_nothing_comes_while_the_answer_is_due(void **state)
{
	struct bytes in = BYTES_LIT("STARTTLS\r\n");
	struct bytes early = BYTES_LIT("NO");

	(void)state;
	session_init(&t, &all);
	session_feed(&t, BYTES_LIT(EHLO));
	assert_int_equal(smtp_server_next(&t.s, &in), SMTP_SERVER_STARTTLS);
	assert_int_equal(smtp_server_next(&t.s, &early), SMTP_SERVER_MORE);
	smtp_server_answer(&t.s, 220, "2.0.0", BYTES_LIT("go"));
	session_drain(&t);
	check_last("554 5.5.1 Error: improper pipelining behind STARTTLS\r\n");
	assert_int_equal(smtp_server_next(&t.s, &early), SMTP_SERVER_CLOSE);
	assert_int_equal(early.n, 2);
	/* a refusal leaves the session as it was */
	session_init(&t, &all);
	session_feed(&t, BYTES_LIT(EHLO));
	in = BYTES_LIT("STARTTLS\r\n");
	assert_int_equal(smtp_server_next(&t.s, &in), SMTP_SERVER_STARTTLS);
	smtp_server_answer(&t.s, 454, "4.7.0", BYTES_LIT("not now"));
	session_feed(&t, BYTES_LIT("MAIL FROM:<a@b>\r\n"));
	check_last("454 4.7.0 not now\r\n250 x\r\n");
}

static void
tls_is_demanded(void **state)
{
	static const struct last_row row[] = {
		{EHLO "MAIL FROM:<a@b>\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n"},
		{"RCPT TO:<a@b>\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n"},
		{"RSET\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n"},
		{EHLO "AUTH PLAIN\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n"},
		{EHLO "XCLIENT NAME=x\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n"},
		{"NOOP\r\n", "250 2.0.0 Ok\r\n"},
		{EHLO "BDAT 3 LAST\r\nx\r\nNOOP\r\n", "503 5.5.1 Error: need "
		    "MAIL command\r\n250 2.0.0 Ok\r\n"},
		{"QUIT\r\n", "221 2.0.0 Bye\r\n"},
		{"XYZZY\r\n", "500 5.5.2 Error: command not recognized\r\n"},
		{EHLO "STARTTLS\r\n", "220 x\r\n"},
	};
	struct smtp_server_config config = all;

	(void)state;
	config.needs_tls = true;
	check_last_rows(&config, row, N(row));
	session_init(&t, &config);
	smtp_server_secured(&t.s);
	session_feed(&t, BYTES_LIT(ENVELOPE));
	check_last("250 x\r\n");
}

/* ---- AUTH ---- */

/* base64 of NUL u NUL 235 and so on; U is "u" */
#define P235 "AHUAMjM1"
#define P535 "AHUANTM1"
#define P454 "AHUANDU0"
#define U "dQ=="

/* T7, at every split of what is sent. */
static void
t7_auth_at_every_split(void **state)
{
	static const struct {
		struct bytes in;
		const char *events;
		const char *codes;
	} row[] = {
		{LIT("AUTH PLAIN " P235 "\r\nNOOP\r\n"), "auth u; with 235; ", "235 250 "},
		{LIT("auth plain\r\n" P235 "\r\nNOOP\r\n"), "auth u; with 235; ", "334 235 250 "},
		{LIT("AUTH LOGIN\r\n" U "\r\nMjM1\r\nNOOP\r\n"), "auth u; with 235; ", "334 334 235 250 "},
		{LIT("AUTH LOGIN " U "\r\nMjM1\r\nNOOP\r\n"), "auth u; with 235; ", "334 235 250 "},
		{LIT("AUTH PLAIN YQB1ADIzNQ==\r\n"), "auth u; with 235; ", "235 "},
		/* refused; then again */
		{LIT("AUTH PLAIN " P535 "\r\nAUTH PLAIN " P235 "\r\n"),
		    "auth u; with 535; auth u; with 235; ", "535 235 "},
		{LIT("AUTH PLAIN " P454 "\r\nAUTH LOGIN\r\n*\r\nNOOP\r\n"),
		    "auth u; with 454; ", "454 334 501 250 "},
		{LIT("AUTH PLAIN AHUAMzU0\r\n"), "auth u; with 354; ", "451 "},
		/* twice */
		{LIT("AUTH PLAIN " P235 "\r\nAUTH PLAIN " P235 "\r\n"),
		    "auth u; with 235; ", "235 503 "},
		/* in a transaction */
		{LIT("MAIL FROM:<a@b>\r\nAUTH PLAIN " P235 "\r\n"), "mail <a@b>; ", "250 503 "},
		/* wrong base64, wrong contents, wrong mechanism */
		{LIT("AUTH PLAIN AHUAMjM\r\nNOOP\r\n"), "", "501 250 "},
		{LIT("AUTH PLAIN AHUAMjM=\r\n"), "auth u; with 23; ", "235 "},
		{LIT("AUTH PLAIN AHUAMjN=\r\n"), "", "501 "},
		{LIT("AUTH PLAIN =\r\n"), "", "501 "},
		{LIT("AUTH PLAIN AA==\r\n"), "", "501 "},
		{LIT("AUTH PLAIN AAAA\r\n"), "", "501 "},
		{LIT("AUTH PLAIN AHUAMjM1AA==\r\n"), "", "501 "},
		{LIT("AUTH PLAIN " P235 " x\r\n"), "", "501 "},
		{LIT("AUTH LOGIN =\r\n"), "", "501 "},
		{LIT("AUTH LOGIN\r\n\r\n"), "", "334 501 "},
		{LIT("AUTH LOGIN " U "\r\nAHUA\r\n"), "", "334 501 "},
		{LIT("AUTH LOGIN\r\n" U "\r\n*\r\nNOOP\r\n"), "", "334 334 501 250 "},
		{LIT("AUTH LOGIN\r\nQUIT.\r\nNOOP\r\n"), "", "334 501 250 "},
		{LIT("AUTH\r\nAUTH CRAM-MD5\r\n"), "", "501 504 "},
		/* framing in the exchange */
		{LIT("AUTH LOGIN\r\n" U "\nMjM1\r\nNOOP\r\n"), "", "334 500 500 250 "},
		{LIT("AUTH LOGIN\r\nd\rQ==\r\nNOOP\r\n"), "", "334 500 250 "},
		{LIT("AUTH LOGIN\r\nd\0Q=\r\nNOOP\r\n"), "", "334 500 250 "},
		{LIT("AUTH PLAIN " P235 "\nNOOP\r\nNOOP\r\n"), "", "500 500 250 "},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		for (size_t cut = 0; cut <= row[k].in.n; cut++) {
			begin_secured();
			t.out.n = 0;
			t.events.n = 0;
			session_run(&t, row[k].in, cut,
			    cut == 0 ? 1 : row[k].in.n);
			check_run(row[k].in, row[k].events, row[k].codes);
		}
	}
}

/* Who watches: the lines as they are shown, with "C " or "S ". */
static struct buf shown;

static void
show(void *arg, bool is_reply, struct bytes line)
{
	assert_ptr_equal(arg, &shown);
	buf_add_str(&shown, is_reply ? "S " : "C ");
	buf_add(&shown, line);
	buf_add_octet(&shown, '\n');
}

/* T7, also for who looks for a fault: no content, nothing that is secret. */
static void
t7_the_dialogue_is_shown_without_secrets(void **state)
{
	struct smtp_server_config watched = all;
	uint8_t octets[4096];

	(void)state;
	watched.watch = show;
	watched.watch_arg = &shown;
	shown = BUF_ON(octets);
	session_init(&t, &watched);
	smtp_server_secured(&t.s);
	session_feed(&t, BYTES_LIT("HELO c\r\nAUTH LOGIN\r\n" U "\r\nMjM1\r\n"
	    "AUTH PLAIN " P235 "\r\nAUTH cram-md5\r\n" P535 "\r\n"
	    "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"));
	session_feed(&t, BYTES_LIT("content\r\n.\r\n"));
	session_feed(&t, BYTES_LIT("QUIT\r\n"));
	buf_add_octet(&shown, 0);
	assert_string_equal(octets, "S 220 hop.example ESMTP\n"
	    "C HELO c\nS 250 hop.example\n"
	    "C AUTH LOGIN\nS 334 VXNlcm5hbWU6\n"
	    "C (a response to AUTH)\nS 334 UGFzc3dvcmQ6\n"
	    "C (a response to AUTH)\nS 235 x\n"
	    "C AUTH PLAIN ***\nS 503 5.5.1 Error: already authenticated\n"
	    "C AUTH (unknown)\nS 503 5.5.1 Error: already authenticated\n"
	    "C (an unknown command of 8 octets)\n"
	    "S 500 5.5.2 Error: command not recognized\n"
	    "C MAIL FROM:<a@b>\nS 250 x\n"
	    "C RCPT TO:<c@d>\nS 250 x\n"
	    "C DATA\nS 354 x\nS 250 x\n"
	    "C QUIT\nS 221 2.0.0 Bye\n");
}

static void
replies_to_auth_say_what_and_why(void **state)
{
	static const struct last_row clear[] = {
		{EHLO "AUTH PLAIN " P235 "\r\n", "538 5.7.11 Encryption is required for AUTH\r\n"},
		{"AUTH PLAIN " P235 "\r\n", "538 5.7.11 Encryption is required for AUTH\r\n"},
	};
	static const struct last_row row[] = {
		{"AUTH PLAIN\r\n", "334 \r\n"},
		{"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"},
		{"AUTH LOGIN " U "\r\n", "334 UGFzc3dvcmQ6\r\n"},
		{"AUTH PLAIN\r\n*\r\n", "501 5.7.0 Authentication aborted\r\n"},
		{"AUTH PLAIN ****\r\n", "501 5.5.2 Error: malformed response\r\n"},
		{"AUTH X\r\n", "504 5.5.4 Unrecognized authentication type\r\n"},
		{"AUTH\r\n", "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n"},
		{"AUTH PLAIN " P235 "\r\nAUTH PLAIN\r\n", "503 5.5.1 Error: already authenticated\r\n"},
		{"MAIL FROM:<a@b>\r\nAUTH PLAIN\r\n", "503 5.5.1 Error: MAIL transaction in progress\r\n"},
		{"AUTH PLAIN " P235 "\r\nMAIL FROM:<a@b> AUTH=<>\r\n", "250 x\r\n"},
		{"MAIL FROM:<a@b> AUTH=e+3Df\r\n", "250 x\r\n"},
		{"MAIL FROM:<a@b> AUTH=+\r\n", "501 5.5.4 Syntax: AUTH=xtext\r\n"},
		{"MAIL FROM:<a@b> AUTH\r\n", "501 5.5.4 Syntax: AUTH=xtext\r\n"},
	};

	(void)state;
	check_last_rows(&all, clear, N(clear));
	for (size_t k = 0; k < N(row); k++) {
		begin_secured();
		session_feed(&t, bytes_of(row[k].in));
		check_last(row[k].last);
	}
	begin_secured();
	session_feed(&t, BYTES_LIT("AUTH PLAIN " P235 "\r\n"));
	assert_true(t.s.is_authenticated);
	session_feed(&t, BYTES_LIT(EHLO));
	assert_true(t.s.is_authenticated);	/* RFC 4954 4 */
}

/* T7, F5: a line of AUTH at its bound, and one past it. */
static void
t7_f5_lines_of_auth_have_a_bound(void **state)
{
	static const char *const first[] = {"AUTH PLAIN ", "AUTH PLAIN\r\n"};

	(void)state;
	for (size_t k = 0; k < 4; k++) {
		size_t front = k < 2 ? strlen(first[0]) : 0;

		begin_secured();
		session_feed(&t, bytes_of(first[k / 2]));
		feed_many('A', SMTP_AUTH_LINE_MAX - 2 - front + k % 2);
		session_feed(&t, BYTES_LIT("\r\n"));
		check_last(k % 2 == 0 ? "500 5.5.6 Error: response too long\r\n" :
		    "500 5.5.6 Error: line too long\r\n");
		session_feed(&t, BYTES_LIT("NOOP\r\n"));
		check_last("250 2.0.0 Ok\r\n");
	}
	/* what is decoded has room for 4,096 octets */
	for (size_t more = 0; more < 2; more++) {
		begin_secured();
		session_feed(&t, BYTES_LIT("AUTH LOGIN\r\n"));
		feed_many('B', 5460 + 4 * more);
		session_feed(&t, BYTES_LIT("\r\n"));
		check_last(more == 0 ? "334 UGFzc3dvcmQ6\r\n" :
		    "500 5.5.6 Error: response too long\r\n");
	}
}

/* Feeds octets, and leaves the machine its room. */
static void
feed_in_place(struct bytes in)
{
	enum smtp_server_event event = SMTP_SERVER_AUTH;

	while (event != SMTP_SERVER_MORE) {
		event = smtp_server_next(&t.s, &in);
		if (event == SMTP_SERVER_AUTH)
			session_answer(&t, event);
	}
}

static void
check_is_nowhere(struct bytes what)
{
	const struct bytes place[] = {
		{(const uint8_t *)&t.s, sizeof(t.s)},
		{(const uint8_t *)t.room, sizeof(t.room)},
	};

	for (size_t k = 0; k < N(place); k++)
		assert_int_equal(bytes_find(place[k], what), place[k].n);
}

/* T7: nothing of a password is left in the machine. */
static void
t7_secrets_are_overwritten(void **state)
{
	static const char *const row[] = {
		"AUTH PLAIN AHUAc2VjcmV0\r\n",
		"AUTH PLAIN\r\nAHUAc2VjcmV0\r\n",
		"AUTH LOGIN dQ==\r\nc2VjcmV0\r\n",
		"AUTH PLAIN AHUAc2VjcmV0AA==\r\n",
		"AUTH LOGIN c2VjcmV0\r\n*\r\n",
		"AUTH PLAIN\r\nAHUAc2VjcmV0\n",
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		begin_secured();
		feed_in_place(bytes_of(row[k]));
		check_is_nowhere(BYTES_LIT("secret"));
		check_is_nowhere(BYTES_LIT("c2VjcmV0"));
		assert_int_equal(t.s.sasl.mechanism, 0);
	}
}

/* T7: who guesses has no more tries than errors. */
static void
t7_guesses_are_counted(void **state)
{
	(void)state;
	begin_secured();
	for (int k = 0; k < 19; k++)
		session_feed(&t, BYTES_LIT("AUTH PLAIN " P535 "\r\n"));
	assert_false(t.is_closed);
	session_feed(&t, BYTES_LIT("AUTH PLAIN " P535 "\r\n"));
	check_last("421 4.7.0 hop.example Error: too many errors\r\n");
	assert_true(t.is_closed);
}

/* ---- XCLIENT ---- */

static void
t8_xclient_is_for_listed_peers(void **state)
{
	static const struct last_row row[] = {
		{"XCLIENT NAME=x\r\n", "220 hop.example ESMTP\r\n"},
		{EHLO "XCLIENT LOGIN=220 ADDR=192.0.2.1\r\nMAIL FROM:<a@b>\r\n",
		    "220 hop.example ESMTP\r\n503 5.5.1 Error: send HELO/EHLO first\r\n"},
		{EHLO "XCLIENT LOGIN=501\r\nMAIL FROM:<a@b>\r\n", "501 x\r\n250 x\r\n"},
		{EHLO "MAIL FROM:<a@b>\r\nXCLIENT NAME=x\r\n", "503 5.5.1 Error: MAIL transaction in progress\r\n"},
		{"XCLIENT\r\n", "501 5.5.4 Syntax: XCLIENT attribute=value ...\r\n"},
		{"XCLIENT NAME=x NAME=y\r\n", "501 5.5.4 Syntax: XCLIENT attribute=value ...\r\n"},
	};
	struct smtp_server_config config = all;
	struct last_row other = {EHLO "XCLIENT NAME=x\r\n", "550 5.7.0 Error: insufficient authorization\r\n"};

	(void)state;
	check_last_rows(&config, row, N(row));
	config.offer &= ~SMTP_CAN_XCLIENT;
	check_last_rows(&config, &other, 1);
}

static void
t8_attributes_of_xclient_are_checked(void **state)
{
	static const struct {
		const char *arg;
		bool is_good;
	} row[] = {
		{"NAME=mx.example", true}, {"name=[UNAVAILABLE]", true},
		{"NAME=[TEMPUNAVAIL]", true}, {"NAME=a+20b", false},
		{"NAME=a+0D+0Ab", false}, {"NAME=", false}, {"NAME", false},
		{"NAME=x ADDR=192.0.2.1  PORT=25", true}, {"FOO=x", false},
		{"ADDR=192.0.2", false}, {"ADDR=192.0.2.256", false},
		{"ADDR=IPV6:2001:db8::1", true}, {"ADDR=2001:db8::1", false},
		{"ADDR=IPv6:::", true}, {"ADDR=IPV6:192.0.2.1", false},
		{"ADDR=IPV6:::ffff:192.0.2.1", true},
		{"PORT=65535", true}, {"PORT=65536", false}, {"PORT=-1", false},
		{"PROTO=SMTP", true}, {"PROTO=esmtp", true}, {"PROTO=HTTP", false},
		{"HELO=[192.0.2.1]", true}, {"HELO=a(b", false},
		{"LOGIN=u+40d", true}, {"LOGIN=+C3+A4", true},
		{"LOGIN=+C3", false}, {"LOGIN=a+00", false}, {"LOGIN=a+", false},
		{"LOGIN=a+2b", false}, {"LOGIN=a=b", false},
		{"DESTADDR=192.0.2.1 DESTPORT=25", true},
		{"DESTADDR=x", false}, {"DESTPORT=x", false},
		{"", false}, {" ", false},
	};
	uint8_t octets[1000], text[400];
	struct smtp_xclient x;
	struct buf out = BUF_ON(octets), in = BUF_ON(text);

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		out.n = 0;
		if (smtp_xclient_parse(bytes_of(row[k].arg), &x, &out) !=
		    row[k].is_good)
			fail_msg("%s", row[k].arg);
	}
	out.n = 0;
	assert_true(smtp_xclient_parse(BYTES_LIT("ADDR=192.0.2.1 PORT=99 "
	    "HELO=me LOGIN=[UNAVAILABLE] PROTO=ESMTP DESTPORT=25"), &x, &out));
	assert_true(x.has_ip && !x.has_dest_ip && x.is_esmtp);
	assert_int_equal(x.port, 99);
	assert_int_equal(x.dest_port, 25);
	assert_memory_equal(x.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	assert_true(bytes_eq(x.helo, BYTES_LIT("me")));
	assert_true((x.said & SMTP_XCLIENT_LOGIN) != 0 && x.login.n == 0);
	/* a value at its bound, and one past it */
	for (size_t n = SMTP_XCLIENT_MAX; n <= SMTP_XCLIENT_MAX + 1; n++) {
		in.n = out.n = 0;
		buf_add_str(&in, "LOGIN=");
		for (size_t k = 0; k < n; k++)
			buf_add_octet(&in, 'x');
		assert_int_equal(smtp_xclient_parse(buf_bytes(&in), &x, &out),
		    n == SMTP_XCLIENT_MAX);
	}
}

/* ---- LMTP ---- */

#define LHLO "LHLO me.example\r\n"
#define L_SAID "ehlo me.example; mail <a@b>; rcpt <c@d>; rcpt <e@d>; "
#define L_ENVELOPE LHLO "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@d>\r\n"

static void
lmtp_answers_each_recipient(void **state)
{
	static const struct row rows[] = {
		{LIT(L_ENVELOPE "DATA\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n"),
		    L_SAID "data; end; next; close; ",
		    "220 250 250 250 250 354 250 550 250 221 ", "x\r\n."},
		{LIT(LHLO "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<550@d>\r\n"
		    "DATA\r\n.\r\nNOOP\r\n"),
		    "ehlo me.example; mail <a@b>; rcpt <c@d>; rcpt <550@d>; data; "
		    "end; ", "220 250 250 250 550 354 250 250 ", "."},
		{LIT(L_ENVELOPE "RCPT TO:<f@d>\r\nBDAT 2\r\n\r\nBDAT 0 LAST\r\nNOOP\r\n"),
		    L_SAID "rcpt <f@d>; bdat; end; next; next; ",
		    "220 250 250 250 250 250 250 250 550 250 250 ", "\r\n."},
		/* our own refusals, too; of a chunk before the last just once */
		{LIT(L_ENVELOPE "DATA\r\nx\0\r\n.\r\nNOOP\r\n"),
		    L_SAID "data; reset; ",
		    "220 250 250 250 250 354 550 550 250 ", ""},
		{LIT(L_ENVELOPE "BDAT 1 LAST\r\nxNOOP\r\n"), L_SAID "bdat; reset; ",
		    "220 250 250 250 250 550 550 250 ", ""},
		{LIT(L_ENVELOPE "BDAT 1\r\n\0NOOP\r\n"), L_SAID "bdat; reset; ",
		    "220 250 250 250 250 550 250 ", ""},
		/* the owner's 421 */
		{LIT(LHLO "MAIL FROM:<a@e421>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@d>\r\n"
		    "DATA\r\n.\r\n"),
		    "ehlo me.example; mail <a@e421>; rcpt <c@d>; rcpt <e@d>; "
		    "data; end; close; ", "220 250 250 250 250 354 421 ", "."},
		{LIT("EHLO x\r\nHELO x\r\nLHLO\r\nMAIL FROM:<a@b>\r\n"), "",
		    "220 500 500 501 503 ", ""},
	};
	static const struct last_row last[] = {
		{"", "220 hop.example LMTP\r\n"},
		{"MAIL FROM:<a@b>\r\n", "503 5.5.1 Error: send LHLO first\r\n"},
		{"EHLO x\r\n", "500 5.5.1 Error: this is LMTP, send LHLO\r\n"},
		{"LHLO\r\n", "501 5.5.4 Syntax: LHLO hostname\r\n"},
	};
	static const struct last_row smtp[] = {
		{LHLO, "500 5.5.1 Error: this is SMTP, send EHLO\r\n"},
	};

	(void)state;
	check_rows(&lmtp, rows, N(rows));
	check_last_rows(&lmtp, last, N(last));
	check_last_rows(&all, smtp, 1);
}

/* 2,000 recipients have 2,000 answers, however small ->out is. */
static void
lmtp_never_overflows_the_replies(void **state)
{
	struct smtp_server_config config = lmtp;
	static uint8_t octets[20000];
	size_t n = 0;

	(void)state;
	for (int is_bad = 0; is_bad < 2; is_bad++) {
		struct buf codes = BUF_ON(octets);

		session_init(&t, &config);
		session_feed(&t, BYTES_LIT(LHLO "MAIL FROM:<a@e451>\r\n"));
		for (int k = 0; k < 2000; k++)
			session_feed(&t, BYTES_LIT("RCPT TO:<c@d>\r\n"));
		session_feed(&t, BYTES_LIT("DATA\r\n"));
		t.out.n = 0;
		session_feed(&t, is_bad ? BYTES_LIT("\0\r\n.\r\nRSET\r\n") :
		    BYTES_LIT(".\r\nRSET\r\n"));
		list_codes(buf_bytes(&t.out), &codes);
		assert_int_equal(codes.n, 4 * 2001);
		for (n = 0; n < 2000; n++)
			assert_int_equal(octets[4 * n], is_bad ? '5' :
			    n == 0 ? '4' : n % 2 == 1 ? '5' : '2');
		assert_false(smtp_server_is_busy(&t.s));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_is_offered_until_it_is_there),
		cmocka_unit_test(t1_nothing_is_injected_behind_starttls),
		cmocka_unit_test(t1_nothing_comes_while_the_answer_is_due),
		cmocka_unit_test(tls_is_demanded),
		cmocka_unit_test(t7_auth_at_every_split),
		cmocka_unit_test(t7_the_dialogue_is_shown_without_secrets),
		cmocka_unit_test(replies_to_auth_say_what_and_why),
		cmocka_unit_test(t7_f5_lines_of_auth_have_a_bound),
		cmocka_unit_test(t7_secrets_are_overwritten),
		cmocka_unit_test(t7_guesses_are_counted),
		cmocka_unit_test(t8_xclient_is_for_listed_peers),
		cmocka_unit_test(t8_attributes_of_xclient_are_checked),
		cmocka_unit_test(lmtp_answers_each_recipient),
		cmocka_unit_test(lmtp_never_overflows_the_replies),
	};

	return cmocka_run_group_tests_name("smtp/server: peers", tests, NULL,
	    NULL);
}
