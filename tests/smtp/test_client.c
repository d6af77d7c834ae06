#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/smtp/client.h"

/* A client with an owner that sends one message to two recipients. */
static struct {
	struct smtp_client c;
	int n_steps;		/* taken so far */
	bool is_over;
	struct buf events;
	struct buf out;
	uint8_t event_octets[20000];
	uint8_t out_octets[20000];
} t;

static void
start(void)
{
	smtp_client_init(&t.c, "me.example", false);
	t.n_steps = 0;
	t.is_over = false;
	t.events = BUF_ON(t.event_octets);
	t.out = BUF_ON(t.out_octets);
}

/* The next step, where the machine lets us. */
static bool
take_step(void)
{
	struct bytes content = BYTES_LIT("x\r\n.y\r\n");

	switch (t.n_steps) {
	case 0:
		return ask_mail(&t.c, BYTES_LIT("<a@b>"), 10, true);
	case 1:
		return ask_rcpt(&t.c, BYTES_LIT("<c@d>"));
	case 2:
		return ask_rcpt(&t.c, BYTES_LIT("<e@f>"));
	case 3:
		return smtp_client_data(&t.c);
	case 4:
		return smtp_client_content(&t.c, &content) && content.n == 0;
	case 5:
		return smtp_client_end(&t.c);
	case 6:
		return smtp_client_quit(&t.c);
	default:
		return false;
	}
}

static void
take_steps(void)
{
	while (take_step())
		t.n_steps++;
	/* a transaction that can not go on ends in QUIT */
	if (t.n_steps <= 4 && t.c.n_asked == 0 && smtp_client_quit(&t.c))
		t.n_steps = 7;
	buf_add(&t.out, buf_bytes(&t.c.out));
	t.c.out.n = 0;
}

static void
note(enum smtp_client_event event)
{
	static const char *const name[] = {
		[SMTP_CLIENT_READY] = "ready", [SMTP_CLIENT_REFUSED] = "refused",
		[SMTP_CLIENT_MAIL] = "mail", [SMTP_CLIENT_RCPT] = "rcpt",
		[SMTP_CLIENT_DATA] = "data", [SMTP_CLIENT_END] = "end",
		[SMTP_CLIENT_RSET] = "rset", [SMTP_CLIENT_QUIT] = "quit",
		[SMTP_CLIENT_BROKEN] = "broken",
	};

	buf_add_str(&t.events, name[event]);
	if (event != SMTP_CLIENT_READY && t.c.reply.code != 0) {
		buf_add_octet(&t.events, ' ');
		buf_add_number(&t.events, (uint64_t)t.c.reply.code);
		buf_add_octet(&t.events, ' ');
		buf_add(&t.events, t.c.reply.enhanced);
		buf_add_octet(&t.events, '[');
		buf_add_escaped(&t.events, t.c.reply.text, 100);
		buf_add_octet(&t.events, ']');
	}
	buf_add_str(&t.events, "; ");
}

/* Octets of the next hop, as one read brings them. */
static void
feed(struct bytes in)
{
	while (!t.is_over) {
		enum smtp_client_event event = smtp_client_next(&t.c, &in);

		if (event == SMTP_CLIENT_MORE) {
			assert_int_equal(in.n, 0);
			take_steps();
			return;
		}
		note(event);
		t.is_over = event == SMTP_CLIENT_BROKEN ||
		    event == SMTP_CLIENT_REFUSED || event == SMTP_CLIENT_QUIT;
		assert_int_equal(event == SMTP_CLIENT_BROKEN,
		    smtp_client_fault(&t.c) != NULL);
	}
}

/* What the next hop says, a '|' where it waits for us; cut in two at cut. */
static void
run(struct bytes script, size_t cut)
{
	size_t at = 0;

	start();
	while (script.p != NULL) {
		struct bytes part = bytes_cut(&script, '|');

		while (part.n != 0) {
			struct bytes now = part;

			if (cut == 0)
				now.n = 1;
			else if (at < cut && cut - at < now.n)
				now.n = cut - at;
			feed(now);
			at += now.n;
			part = bytes_skip(part, now.n);
		}
	}
}

#define HELO_OUT "EHLO me.example\r\n"
#define ENVELOPE_OUT HELO_OUT \
	"MAIL FROM:<a@b> SIZE=10 BODY=8BITMIME\r\n" \
	"RCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n"
#define CONTENT_OUT "DATA\r\nx\r\n..y\r\n.\r\n"
#define BANNER "220 x\r\n|"
#define HELLO BANNER "250-x\r\n250-PIPELINING\r\n250-SIZE 99\r\n250 8BITMIME\r\n|"
#define ACCEPTED HELLO "250 a\r\n250 b\r\n250 c\r\n|"
#define ACCEPTED_EVENTS "ready; mail 250 [a]; rcpt 250 [b]; rcpt 250 [c]; "

static const struct {
	struct bytes script;
	const char *events;
	const char *out;
} rows[] = {
	{LIT(ACCEPTED "354 go\r\n|250 2.0.0 ok\r\n|221 2.0.0 bye\r\n"),
	    ACCEPTED_EVENTS "data 354 [go]; end 250 2.0.0[ok]; quit 221 2.0.0[bye]; ",
	    ENVELOPE_OUT CONTENT_OUT "QUIT\r\n"},
	/* nothing offered: nothing said, and one command at a time */
	{LIT(BANNER "250 x\r\n|250 a\r\n|250 b\r\n|250 c\r\n|354\r\n|250\r\n|221\r\n"),
	    ACCEPTED_EVENTS "data 354 []; end 250 []; quit 221 []; ",
	    HELO_OUT "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n"
	    CONTENT_OUT "QUIT\r\n"},
	/* EHLO refused: HELO, and what the refusal says is no extension */
	{LIT("220-x\r\n220 y\r\n|502-no\r\n502 PIPELINING\r\n|250 x\r\n|550 5.7.1 no\r\n|221 x\r\n"),
	    "ready; mail 550 5.7.1[no]; quit 221 [x]; ",
	    HELO_OUT "HELO me.example\r\nMAIL FROM:<a@b>\r\nQUIT\r\n"},
	{LIT(BANNER "450 x\r\n|550 no\r\n"), "refused 550 [no]; ",
	    HELO_OUT "HELO me.example\r\n"},
	{LIT(BANNER "421 4.3.2 x\r\n"), "refused 421 4.3.2[x]; ", HELO_OUT},
	{LIT("554-5.7.1 no\r\n554 5.7.1 really\r\n"),
	    "refused 554 5.7.1[no\\012really]; ", ""},
	{LIT("421 later\r\n"), "refused 421 [later]; ", ""},
	/* refusals at each step */
	{LIT(HELLO "451 a\r\n503 b\r\n503 c\r\n|221 x\r\n"),
	    "ready; mail 451 [a]; rcpt 503 [b]; rcpt 503 [c]; quit 221 [x]; ",
	    ENVELOPE_OUT "QUIT\r\n"},
	{LIT(HELLO "250 a\r\n550 b\r\n252 c\r\n|452 d\r\n|221 x\r\n"),
	    "ready; mail 250 [a]; rcpt 550 [b]; rcpt 252 [c]; data 452 [d]; "
	    "quit 221 [x]; ", ENVELOPE_OUT "DATA\r\nQUIT\r\n"},
	{LIT(HELLO "250 a\r\n550 b\r\n551 c\r\n|221 x\r\n"),
	    "ready; mail 250 [a]; rcpt 550 [b]; rcpt 551 [c]; quit 221 [x]; ",
	    ENVELOPE_OUT "QUIT\r\n"},
	{LIT(ACCEPTED "354 go\r\n|550 5.6.0 bad\r\n|500 x\r\n"),
	    ACCEPTED_EVENTS "data 354 [go]; end 550 5.6.0[bad]; quit 500 [x]; ",
	    ENVELOPE_OUT CONTENT_OUT "QUIT\r\n"},
	/* 421 answers the oldest command; nothing is asked for behind it */
	{LIT(HELLO "250 a\r\n421 b\r\n"), "ready; mail 250 [a]; rcpt 421 [b]; ",
	    ENVELOPE_OUT},
	{LIT(ACCEPTED "354 go\r\n|421 4.4.2 x\r\n"),
	    ACCEPTED_EVENTS "data 354 [go]; end 421 4.4.2[x]; ",
	    ENVELOPE_OUT CONTENT_OUT},
	/* F14: what is no reply, or none that this command can have */
	{LIT("250 x\r\n"), "broken 250 [x]; ", ""},
	{LIT("354 x\r\n"), "broken 354 [x]; ", ""},
	{LIT(BANNER "354 x\r\n"), "broken 354 [x]; ", HELO_OUT},
	{LIT(HELLO "354 x\r\n"), "ready; broken 354 [x]; ", ENVELOPE_OUT},
	{LIT(ACCEPTED "250 x\r\n"), ACCEPTED_EVENTS "broken 250 [x]; ",
	    ENVELOPE_OUT "DATA\r\n"},
	{LIT(ACCEPTED "355 x\r\n"), ACCEPTED_EVENTS "broken 355 [x]; ",
	    ENVELOPE_OUT "DATA\r\n"},
	{LIT(ACCEPTED "354 go\r\n|354 x\r\n"),
	    ACCEPTED_EVENTS "data 354 [go]; broken 354 [x]; ",
	    ENVELOPE_OUT CONTENT_OUT},
	{LIT(ACCEPTED "354 go\r\n|999 x\r\n"),
	    ACCEPTED_EVENTS "data 354 [go]; broken; ", ENVELOPE_OUT CONTENT_OUT},
	{LIT(ACCEPTED "354 go\r\n|250 x\n"),
	    ACCEPTED_EVENTS "data 354 [go]; broken; ", ENVELOPE_OUT CONTENT_OUT},
	{LIT("199 x\r\n"), "broken; ", ""},
	{LIT("600 x\r\n"), "broken; ", ""},
	{LIT("2x0 x\r\n"), "broken; ", ""},
	{LIT("22 x\r\n"), "broken; ", ""},
	{LIT("2200 x\r\n"), "broken; ", ""},
	{LIT("220\tx\r\n"), "broken; ", ""},
	{LIT(" 220 x\r\n"), "broken; ", ""},
	{LIT("\r\n"), "broken; ", ""},
	{LIT("220 x\n"), "broken; ", ""},
	{LIT("220-x\r\n221 y\r\n"), "broken; ", ""},
	{LIT("220-x\r\ny\r\n"), "broken; ", ""},
	/* what stands in a text stays there */
	{LIT("554 a\rb\0\x1b[0m\xff\r\n"), "refused 554 [a\\015b\\000\\033[0m\\377]; ", ""},
	{LIT("554-\r\n554\r\n"), "refused 554 [\\012]; ", ""},
	{LIT("554-250 MAIL FROM:<x@y>\r\n554 5.0.0\r\n"),
	    "refused 554 [250 MAIL FROM:<x@y>\\0125.0.0]; ", ""},
	/* enhanced status: of the class of its code, and at the front */
	{LIT("554 5.7.1\r\n"), "refused 554 5.7.1[]; ", ""},
	{LIT("554 4.7.1 x\r\n"), "refused 554 [4.7.1 x]; ", ""},
	{LIT("554 5.7.1x\r\n"), "refused 554 [5.7.1x]; ", ""},
	{LIT("554 5.7.1234 x\r\n"), "refused 554 [5.7.1234 x]; ", ""},
	{LIT("554 5.777.123 x\r\n"), "refused 554 5.777.123[x]; ", ""},
	{LIT("554 5..1 x\r\n"), "refused 554 [5..1 x]; ", ""},
	{LIT("554 5.7 x\r\n"), "refused 554 [5.7 x]; ", ""},
	{LIT("554-5.7.1 a\r\n554-b\r\n554-5.7.2 c\r\n554 5.7.1 d\r\n"),
	    "refused 554 5.7.1[a\\012b\\0125.7.2 c\\012d]; ", ""},
};

/* F12 holds in each row: no content stands in out before its 354. */
static void
sessions_at_every_split_f12_f14(void **state)
{
	(void)state;
	for (size_t k = 0; k < N(rows); k++) {
		for (size_t cut = 0; cut <= rows[k].script.n; cut++) {
			run(rows[k].script, cut);
			if (!bytes_eq(buf_bytes(&t.events),
			    bytes_of(rows[k].events)) ||
			    !bytes_eq(buf_bytes(&t.out), bytes_of(rows[k].out)))
				fail_msg("%.*s\ncut %zu\nevents %.*s\nout %.*s",
				    BYTES_FMT(rows[k].script), cut,
				    (int)t.events.n, (char *)t.events.p,
				    (int)t.out.n, (char *)t.out.p);
		}
	}
}

static void
expect(struct bytes in, enum smtp_client_event event)
{
	enum smtp_client_event got = smtp_client_next(&t.c, &in);

	if (got != event)
		fail_msg("event %d, not %d", got, event);
	assert_int_equal(in.n, 0);
}

static void
greet(const char *extensions)
{
	uint8_t octets[400];
	struct buf in = BUF_ON(octets);

	start();
	expect(BYTES_LIT("220 x\r\n"), SMTP_CLIENT_MORE);
	buf_printf(&in, "250-x\r\n%s250 HELP\r\n", extensions);
	expect(buf_bytes(&in), SMTP_CLIENT_READY);
	t.c.out.n = 0;
}

static void
extensions_are_read(void **state)
{
	static const struct {
		const char *lines;
		unsigned can;
		uint64_t max_size;
	} row[] = {
		{"", 0, 0},
		{"250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n",
		    SMTP_CAN_PIPELINE | SMTP_CAN_8BITMIME | SMTP_CAN_ENHANCED, 0},
		{"250-SMTPUTF8\r\n250-STARTTLS\r\n250-CHUNKING\r\n250-DSN\r\n",
		    SMTP_CAN_SMTPUTF8 | SMTP_CAN_STARTTLS | SMTP_CAN_CHUNKING |
		    SMTP_CAN_DSN, 0},
		{"250-size 10240000\r\n", SMTP_CAN_SIZE, 10240000},
		{"250-SIZE\r\n", SMTP_CAN_SIZE, 0},
		{"250-SIZE 0\r\n", SMTP_CAN_SIZE, 0},
		{"250-SIZE many\r\n", SMTP_CAN_SIZE, 0},
		{"250-SIZE 99999999999999999999\r\n", SMTP_CAN_SIZE, 0},
		{"250-XSIZE 1\r\n250-SIZEX 1\r\n250-PIPELININGS\r\n", 0, 0},
		{"250-\r\n250-X PIPELINING\r\n", 0, 0},
		{"250-AUTH GSSAPI plain\r\n", SMTP_CAN_AUTH_PLAIN, 0},
		{"250-auth LOGIN  XPLAIN\r\n", SMTP_CAN_AUTH_LOGIN, 0},
		{"250-AUTH\r\n250-AUTHPLAIN\r\n250-AUTH=PLAIN\r\n", 0, 0},
		{"250-XCLIENT NAME\r\n", SMTP_CAN_XCLIENT, 0},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		greet(row[k].lines);
		assert_int_equal(t.c.can, row[k].can);
		assert_int_equal(t.c.max_size, row[k].max_size);
	}
	/* the lines of a refusal are no extensions */
	start();
	expect(BYTES_LIT("220 x\r\n"), SMTP_CLIENT_MORE);
	expect(BYTES_LIT("502-x\r\n502-PIPELINING\r\n502 SIZE 9\r\n"),
	    SMTP_CLIENT_MORE);
	expect(BYTES_LIT("250-x\r\n250 PIPELINING\r\n"), SMTP_CLIENT_READY);
	assert_int_equal(t.c.can, 0);
	assert_int_equal(t.c.max_size, 0);
	/* the name of the host is no extension */
	start();
	expect(BYTES_LIT("220 x\r\n"), SMTP_CLIENT_MORE);
	expect(BYTES_LIT("250 PIPELINING\r\n"), SMTP_CLIENT_READY);
	assert_int_equal(t.c.can, 0);
}

#define PATH BYTES_LIT("<a@b>")

/* What can be asked for when; a false leaves nothing in out. */
static void
steps_have_their_order(void **state)
{
	struct bytes x = BYTES_LIT("x");

	(void)state;
	start();
	assert_false(ask_mail(&t.c, PATH, 0, false));
	assert_false(smtp_client_quit(&t.c));
	expect(BYTES_LIT("220 x\r\n"), SMTP_CLIENT_MORE);
	assert_false(ask_mail(&t.c, PATH, 0, false));
	assert_false(smtp_client_rset(&t.c));

	greet("");
	assert_false(ask_rcpt(&t.c, PATH));
	assert_false(smtp_client_data(&t.c));
	assert_false(smtp_client_content(&t.c, &x));
	assert_false(smtp_client_end(&t.c));
	assert_int_equal(t.c.out.n, 0);
	assert_true(ask_mail(&t.c, PATH, 0, false));
	t.c.out.n = 0;
	/* without PIPELINING nothing goes out behind it */
	assert_false(ask_rcpt(&t.c, PATH));
	assert_false(smtp_client_rset(&t.c));
	assert_false(smtp_client_quit(&t.c));
	assert_int_equal(t.c.out.n, 0);
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_MAIL);
	assert_false(ask_mail(&t.c, PATH, 0, false));
	assert_false(smtp_client_data(&t.c));
	assert_true(ask_rcpt(&t.c, PATH));
	assert_false(smtp_client_data(&t.c));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_RCPT);
	assert_true(smtp_client_rset(&t.c));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_RSET);
	assert_false(ask_rcpt(&t.c, PATH));
	assert_false(smtp_client_data(&t.c));
	assert_true(ask_mail(&t.c, PATH, 0, false));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_MAIL);
	/* the recipient of the transaction before does not count */
	assert_false(smtp_client_data(&t.c));
	assert_true(smtp_client_quit(&t.c));
	assert_false(smtp_client_rset(&t.c));
	expect(BYTES_LIT("221 x\r\n"), SMTP_CLIENT_QUIT);
	assert_false(ask_mail(&t.c, PATH, 0, false));
	assert_false(smtp_client_quit(&t.c));

	/* with it, up to the bound, and DATA only when all was answered */
	greet("250-PIPELINING\r\n");
	assert_true(smtp_client_rset(&t.c));
	assert_true(ask_mail(&t.c, PATH, 0, false));
	for (int k = 2; k < SMTP_CLIENT_ASKED; k++)
		assert_true(ask_rcpt(&t.c, PATH));
	assert_false(ask_rcpt(&t.c, PATH));
	assert_false(smtp_client_data(&t.c));
	assert_false(smtp_client_quit(&t.c));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_RSET);
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_MAIL);
	assert_true(ask_rcpt(&t.c, PATH));

	/* and nothing at all behind QUIT */
	greet("250-PIPELINING\r\n");
	assert_true(smtp_client_quit(&t.c));
	assert_false(ask_mail(&t.c, PATH, 0, false));
	assert_false(smtp_client_rset(&t.c));
	assert_false(smtp_client_quit(&t.c));
}

/* F12: no octet of content before the 354 was read, none behind the dot. */
static void
f12_content_waits_for_354(void **state)
{
	struct bytes x = BYTES_LIT("x\r\n");

	(void)state;
	greet("250-PIPELINING\r\n");
	assert_true(ask_mail(&t.c, PATH, 0, false));
	assert_true(ask_rcpt(&t.c, PATH));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_MAIL);
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_RCPT);
	t.c.out.n = 0;
	assert_false(smtp_client_content(&t.c, &x));
	assert_true(smtp_client_data(&t.c));
	assert_true(bytes_eq(buf_bytes(&t.c.out), BYTES_LIT("DATA\r\n")));
	t.c.out.n = 0;
	assert_false(smtp_client_content(&t.c, &x));
	assert_false(smtp_client_end(&t.c));
	expect(BYTES_LIT("354"), SMTP_CLIENT_MORE);
	assert_false(smtp_client_content(&t.c, &x));
	expect(BYTES_LIT("-go\r\n354 on\r"), SMTP_CLIENT_MORE);
	assert_false(smtp_client_content(&t.c, &x));
	assert_int_equal(t.c.out.n, 0);
	expect(BYTES_LIT("\n"), SMTP_CLIENT_DATA);
	assert_true(t.c.is_content);
	/* and nothing but content before the dot */
	assert_false(smtp_client_rset(&t.c));
	assert_false(smtp_client_quit(&t.c));
	assert_false(ask_mail(&t.c, PATH, 0, false));
	assert_true(smtp_client_content(&t.c, &x));
	assert_int_equal(x.n, 0);
	assert_true(smtp_client_end(&t.c));
	assert_true(bytes_eq(buf_bytes(&t.c.out), BYTES_LIT("x\r\n.\r\n")));
	x = BYTES_LIT("more");
	assert_false(smtp_client_content(&t.c, &x));
	assert_false(smtp_client_end(&t.c));
	assert_false(ask_mail(&t.c, PATH, 0, false));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_END);
	assert_true(ask_mail(&t.c, PATH, 0, false));

	/* DATA refused: no content, the transaction is still there */
	greet("");
	assert_true(ask_mail(&t.c, PATH, 0, false));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_MAIL);
	assert_true(ask_rcpt(&t.c, PATH));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_RCPT);
	assert_true(smtp_client_data(&t.c));
	expect(BYTES_LIT("451 x\r\n"), SMTP_CLIENT_DATA);
	assert_false(t.c.is_content);
	assert_false(smtp_client_content(&t.c, &x));
	assert_false(ask_mail(&t.c, PATH, 0, false));
	assert_true(smtp_client_rset(&t.c));
}

static void
to_content(void)
{
	greet("");
	assert_true(ask_mail(&t.c, PATH, 0, false));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_MAIL);
	assert_true(ask_rcpt(&t.c, PATH));
	expect(BYTES_LIT("250 x\r\n"), SMTP_CLIENT_RCPT);
	assert_true(smtp_client_data(&t.c));
	expect(BYTES_LIT("354 x\r\n"), SMTP_CLIENT_DATA);
	t.c.out.n = 0;
}

/* F3: a message that can not be sent exactly breaks the connection. */
static void
f3_bare_cr_and_lf_are_never_sent(void **state)
{
	static const char *const row[] = {"a\nb", "a\rb", "\n", "a\r\r\n"};
	struct bytes in;

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		to_content();
		in = bytes_of(row[k]);
		assert_false(smtp_client_content(&t.c, &in));
		assert_non_null(smtp_client_fault(&t.c));
		assert_true(t.c.out.n <= 1);
		assert_false(smtp_client_end(&t.c));
		expect((struct bytes){0}, SMTP_CLIENT_BROKEN);
	}
	to_content();
	in = BYTES_LIT("a\r");
	assert_true(smtp_client_content(&t.c, &in));
	assert_false(smtp_client_end(&t.c));
	assert_non_null(smtp_client_fault(&t.c));
	assert_true(bytes_eq(buf_bytes(&t.c.out), BYTES_LIT("a")));
}

static void
what_does_not_fit_waits(void **state)
{
	static uint8_t octets[100000];
	struct bytes in = {octets, sizeof(octets)};
	size_t sent = 0;

	(void)state;
	to_content();
	memset(octets, '.', sizeof(octets));
	while (in.n != 0) {
		size_t before = in.n;

		assert_true(smtp_client_content(&t.c, &in));
		assert_false(t.c.out.full);
		assert_true(in.n < before);
		if (in.n != 0)
			assert_false(smtp_client_end(&t.c));
		sent += t.c.out.n;
		t.c.out.n = 0;
	}
	assert_int_equal(sent, sizeof(octets) + 1);
	assert_true(smtp_client_end(&t.c));
	assert_true(bytes_eq(buf_bytes(&t.c.out), BYTES_LIT("\r\n.\r\n")));

	/* a command without room is not half written */
	greet("250-PIPELINING\r\n");
	t.c.out.n = SMTP_CLIENT_OUT - 10;
	assert_false(ask_mail(&t.c, PATH, 0, false));
	assert_int_equal(t.c.out.n, SMTP_CLIENT_OUT - 10);
	assert_false(t.c.out.full);
	assert_true(smtp_client_rset(&t.c));
	t.c.out.n = 0;
	assert_true(ask_mail(&t.c, PATH, 0, false));
}

/* F13: nothing that is more than a path gets into a command. */
static void
f13_paths_stay_paths(void **state)
{
	static const struct bytes row[] = {
		LIT(""), LIT("<"), LIT("a@b"), LIT("<a@b>\r\nRSET"),
		LIT("<a\r\n@b>"), LIT("<a\n@b>"), LIT("<a\0@b>"),
		LIT("<a\t@b>"), LIT("<a@b> X"),
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		greet("250-PIPELINING\r\n");
		assert_false(ask_mail(&t.c, row[k], 0, false));
		assert_true(ask_mail(&t.c, BYTES_LIT("<>"), 0, false));
		t.c.out.n = 0;
		assert_false(ask_rcpt(&t.c, row[k]));
		assert_int_equal(t.c.out.n, 0);
	}
}

/* F14: a reply that nobody asked for, and what may be asked behind it. */
static void
f14_unasked_replies_break_the_session(void **state)
{
	static const char *const row[] = {
		"421 4.4.2 idle too long\r\n",
		"250 2.0.0 queued\r\n",
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		for (size_t cut = 1; cut <= strlen(row[k]); cut++) {
			struct bytes in = bytes_of(row[k]);

			greet("250-PIPELINING\r\n");
			if (cut < in.n) {
				expect(bytes_first(in, cut), SMTP_CLIENT_MORE);
				assert_false(ask_mail(&t.c, PATH, 0, false));
				in = bytes_skip(in, cut);
			}
			expect(in, SMTP_CLIENT_BROKEN);
			assert_int_equal(t.c.reply.code, k == 0 ? 421 : 250);
			assert_true(bytes_ends(t.c.reply.text, k == 0 ?
			    BYTES_LIT("idle too long") : BYTES_LIT("queued")));
			assert_false(ask_mail(&t.c, PATH, 0, false));
		}
	}
	/* amid the content, too: the dot does not go out */
	to_content();
	expect(BYTES_LIT("552 5.3.4 too big\r\n"), SMTP_CLIENT_BROKEN);
	assert_int_equal(t.c.reply.code, 552);
	assert_false(smtp_client_end(&t.c));
	assert_int_equal(t.c.out.n, 0);
	/* begun amid it and ended behind the dot, it is no answer to that */
	to_content();
	expect(BYTES_LIT("2"), SMTP_CLIENT_MORE);
	assert_true(smtp_client_end(&t.c));
	expect(BYTES_LIT("50 2.0.0 ok\r\n"), SMTP_CLIENT_BROKEN);
}

/* F14: endless lines, too many lines, much text: bounded, memory flat. */
static void
f14_replies_have_their_bounds(void **state)
{
	static uint8_t octets[100000];
	static const struct {
		size_t n;	/* octets of the line, CRLF included */
		enum smtp_client_event event;
		size_t kept;
	} line[] = {
		{512, SMTP_CLIENT_REFUSED, 506},
		{SMTP_REPLY_MAX, SMTP_CLIENT_REFUSED, SMTP_REPLY_MAX - 6},
		{SMTP_REPLY_MAX + 1, SMTP_CLIENT_REFUSED, SMTP_REPLY_MAX - 5},
		{SMTP_REPLY_MAX + 2, SMTP_CLIENT_REFUSED, SMTP_REPLY_MAX - 4},
		{SMTP_REPLY_MAX + 9, SMTP_CLIENT_REFUSED, SMTP_REPLY_MAX - 4},
		{SMTP_LINE_MAX, SMTP_CLIENT_REFUSED, SMTP_REPLY_MAX - 4},
		{SMTP_LINE_MAX + 1, SMTP_CLIENT_BROKEN, 0},
		{sizeof(octets), SMTP_CLIENT_BROKEN, 0},
	};

	(void)state;
	for (size_t k = 0; k < N(line); k++) {
		struct bytes in = {octets, line[k].n};

		memset(octets, 'x', sizeof(octets));
		memcpy(octets, "554 ", 4);
		memcpy(octets + in.n - 2, "\r\n", 2);
		for (size_t piece = 500; piece <= 100000; piece *= 10) {
			enum smtp_client_event event = SMTP_CLIENT_MORE;

			start();
			for (size_t at = 0; at < in.n &&
			    event == SMTP_CLIENT_MORE; at += piece) {
				struct bytes now = bytes_first(
				    bytes_skip(in, at), piece);

				event = smtp_client_next(&t.c, &now);
			}
			assert_int_equal(event, line[k].event);
			assert_int_equal(t.c.reply.text.n, line[k].kept);
		}
	}
	for (unsigned n = SMTP_REPLY_LINES_MAX; n < 10000; n += 4936) {
		struct buf in = BUF_ON(octets);

		for (unsigned k = 1; k < n; k++)
			buf_add_str(&in, "554-x\r\n");
		buf_add_str(&in, "554 x\r\n");
		start();
		feed(buf_bytes(&in));
		assert_true(bytes_starts(buf_bytes(&t.events),
		    n == SMTP_REPLY_LINES_MAX ? BYTES_LIT("refused 554") :
		    BYTES_LIT("broken; ")));
	}
	/* 2 KiB of the text of many lines, cut amid one */
	{
		struct buf in = BUF_ON(octets);

		for (unsigned k = 1; k < 100; k++)
			buf_add_str(&in, "554-0123456789012345678901234567890\r\n");
		buf_add_str(&in, "554 end\r\n");
		start();
		feed(buf_bytes(&in));
		assert_int_equal(t.c.reply.code, 554);
		assert_int_equal(t.c.reply.text.n, SMTP_REPLY_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_at_every_split_f12_f14),
		cmocka_unit_test(extensions_are_read),
		cmocka_unit_test(steps_have_their_order),
		cmocka_unit_test(f12_content_waits_for_354),
		cmocka_unit_test(f3_bare_cr_and_lf_are_never_sent),
		cmocka_unit_test(what_does_not_fit_waits),
		cmocka_unit_test(f13_paths_stay_paths),
		cmocka_unit_test(f14_unasked_replies_break_the_session),
		cmocka_unit_test(f14_replies_have_their_bounds),
	};

	return cmocka_run_group_tests_name("smtp/client", tests, NULL, NULL);
}
