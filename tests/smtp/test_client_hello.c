#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/smtp/client.h"

/* STARTTLS, AUTH, XCLIENT, LMTP and the parameters of MAIL and RCPT. */

static struct smtp_client c;

static void
expect(const char *said, enum smtp_client_event event)
{
	struct bytes in = bytes_of(said);
	enum smtp_client_event got = smtp_client_next(&c, &in);

	if (got != event)
		fail_msg("event %d, not %d after %s (%s)", got, event, said,
		    c.fault == NULL ? "" : c.fault);
	if (event != SMTP_CLIENT_BROKEN)
		assert_int_equal(in.n, 0);
}

/* What went out since the last call. */
static void
expect_out(const char *octets)
{
	if (!bytes_eq(buf_bytes(&c.out), bytes_of(octets)))
		fail_msg("out is %.*s, not %s", (int)c.out.n, c.out_octets,
		    octets);
	c.out.n = 0;
}

static void
greet(bool is_lmtp, bool is_secure, const char *extensions)
{
	char octets[400];
	struct buf in = BUF_ON(octets);

	smtp_client_init(&c, "me.example", is_lmtp);
	if (is_secure)
		smtp_client_secured(&c);
	expect("220 x\r\n", SMTP_CLIENT_MORE);
	buf_printf(&in, "250-x\r\n%s250 HELP\r\n", extensions);
	buf_add_octet(&in, 0);
	expect(octets, SMTP_CLIENT_READY);
	c.out.n = 0;
}

/* ---- parameters ---- */

static void
parameters_go_where_they_are_known(void **state)
{
	const struct smtp_client_mail mail = {
	    .path = BYTES_LIT("<a@b>"), .size = 77, .is_8bit = true,
	    .is_utf8 = true, .ret = BYTES_LIT("HDRS"),
	    .envid = BYTES_LIT("a+2Bb"),
	};
	const struct smtp_client_rcpt rcpt = {
	    .path = BYTES_LIT("<c@d>"), .notify = BYTES_LIT("SUCCESS,DELAY"),
	    .orcpt = BYTES_LIT("rfc822;e@f"),
	};
	static const struct {
		const char *extensions;
		const char *mail, *rcpt;
	} row[] = {
		{"", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n"},
		{"250-SIZE\r\n", "MAIL FROM:<a@b> SIZE=77\r\n",
		    "RCPT TO:<c@d>\r\n"},
		{"250-8BITMIME\r\n", "MAIL FROM:<a@b> BODY=8BITMIME\r\n",
		    "RCPT TO:<c@d>\r\n"},
		{"250-SMTPUTF8\r\n", "MAIL FROM:<a@b> SMTPUTF8\r\n",
		    "RCPT TO:<c@d>\r\n"},
		{"250-DSN\r\n", "MAIL FROM:<a@b> RET=HDRS ENVID=a+2Bb\r\n",
		    "RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;e@f\r\n"},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		greet(false, false, row[k].extensions);
		assert_true(smtp_client_mail(&c, &mail));
		expect_out(row[k].mail);
		expect("250 x\r\n", SMTP_CLIENT_MAIL);
		assert_true(smtp_client_rcpt(&c, &rcpt));
		expect_out(row[k].rcpt);
	}
}

/* F13: a parameter never is two, nor a second command. */
static void
f13_parameters_stay_parameters(void **state)
{
	static const struct bytes row[] = {
		LIT("a b"), LIT("a\r\nRSET"), LIT("a\0b"), LIT("a\tb"),
		LIT("a\x7f"),
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct smtp_client_mail mail = {.path = BYTES_LIT("<a@b>")};
		struct smtp_client_rcpt rcpt = {.path = BYTES_LIT("<a@b>")};

		greet(false, false, "250-DSN\r\n250-PIPELINING\r\n");
		mail.envid = row[k];
		assert_false(smtp_client_mail(&c, &mail));
		mail.envid = (struct bytes){0};
		mail.ret = row[k];
		assert_false(smtp_client_mail(&c, &mail));
		mail.ret = (struct bytes){0};
		assert_true(smtp_client_mail(&c, &mail));
		c.out.n = 0;
		rcpt.notify = row[k];
		assert_false(smtp_client_rcpt(&c, &rcpt));
		rcpt.notify = (struct bytes){0};
		rcpt.orcpt = row[k];
		assert_false(smtp_client_rcpt(&c, &rcpt));
		assert_int_equal(c.out.n, 0);
	}
	/* an address in UTF-8 only where it is understood */
	greet(false, false, "250-8BITMIME\r\n");
	assert_false(ask_mail(&c, BYTES_LIT("<\xc3\xa4@b>"), 0, true));
	greet(false, false, "250-SMTPUTF8\r\n");
	assert_true(ask_mail(&c, BYTES_LIT("<\xc3\xa4@b>"), 0, true));
}

/* ---- LMTP ---- */

static void
lmtp_answers_for_each_recipient(void **state)
{
	struct bytes content = BYTES_LIT("x\r\n");

	(void)state;
	smtp_client_init(&c, "me.example", true);
	expect("220 x\r\n", SMTP_CLIENT_MORE);
	expect_out("LHLO me.example\r\n");
	expect("250-x\r\n250 PIPELINING\r\n", SMTP_CLIENT_READY);
	for (int round = 0; round < 2; round++) {
		assert_true(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));
		for (int k = 0; k < 3; k++)
			assert_true(ask_rcpt(&c, BYTES_LIT("<c@d>")));
		expect("250 a\r\n", SMTP_CLIENT_MAIL);
		expect("250 b\r\n", SMTP_CLIENT_RCPT);
		expect("550 c\r\n", SMTP_CLIENT_RCPT);
		expect("250 d\r\n", SMTP_CLIENT_RCPT);
		assert_true(smtp_client_data(&c));
		expect("354 go\r\n", SMTP_CLIENT_DATA);
		assert_true(smtp_client_content(&c, &content));
		assert_true(smtp_client_end(&c));
		c.out.n = 0;
		expect("250 2.0.0 e\r\n", SMTP_CLIENT_END);
		/* the second answer is still to come */
		assert_false(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));
		assert_false(smtp_client_quit(&c));
		expect("452 4.2.2 f\r\n", SMTP_CLIENT_END);
		assert_int_equal(c.reply.code, 452);
		content = BYTES_LIT("x\r\n");
	}
	/* a third is one too many */
	expect("250 g\r\n", SMTP_CLIENT_BROKEN);

	/* there is no HELO to fall back to */
	smtp_client_init(&c, "me.example", true);
	expect("220 x\r\n", SMTP_CLIENT_MORE);
	c.out.n = 0;
	expect("502 x\r\n", SMTP_CLIENT_REFUSED);
	assert_int_equal(c.out.n, 0);
}

/* ---- STARTTLS ---- */

#define OFFER "250-STARTTLS\r\n250-PIPELINING\r\n250-SIZE 9\r\n" \
	"250-AUTH PLAIN\r\n250-XCLIENT ADDR\r\n"

static void
starttls_forgets_what_it_learnt(void **state)
{
	(void)state;
	greet(false, false, OFFER);
	assert_true(smtp_client_starttls(&c));
	expect_out("STARTTLS\r\n");
	/* nothing is said behind it */
	assert_false(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));
	assert_false(smtp_client_rset(&c));
	assert_false(smtp_client_quit(&c));
	expect("220 go\r\n", SMTP_CLIENT_STARTTLS);
	assert_false(smtp_client_quit(&c));
	assert_int_equal(c.out.n, 0);
	smtp_client_secured(&c);
	expect_out("EHLO me.example\r\n");
	assert_int_equal(c.can, 0);
	assert_int_equal(c.max_size, 0);
	expect("250-x\r\n250 8BITMIME\r\n", SMTP_CLIENT_READY);
	assert_int_equal(c.can, SMTP_CAN_8BITMIME);
	assert_int_equal(c.max_size, 0);
	assert_int_equal(c.ehlo.xclient, 0);

	/* refused: all is as it was */
	for (int k = 0; k < 2; k++) {
		greet(false, false, OFFER);
		assert_true(smtp_client_starttls(&c));
		c.out.n = 0;
		expect(k == 0 ? "454 4.7.0 no\r\n" : "501 no\r\n",
		    SMTP_CLIENT_STARTTLS);
		assert_false(c.is_secure);
		assert_true(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));
	}
	greet(false, false, OFFER);
	assert_true(smtp_client_starttls(&c));
	expect("250 go\r\n", SMTP_CLIENT_BROKEN);

	/* only where it is offered, once, outside of a transaction */
	greet(false, false, "250-SIZE\r\n");
	assert_false(smtp_client_starttls(&c));
	greet(false, true, OFFER);
	assert_false(smtp_client_starttls(&c));
	greet(false, false, OFFER);
	assert_true(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));
	expect("250 x\r\n", SMTP_CLIENT_MAIL);
	assert_false(smtp_client_starttls(&c));
}

/* T2: octets in plain behind the 220, cut anywhere, are never believed. */
static void
t2_nothing_plain_is_read_behind_starttls(void **state)
{
	static const char said[] = "220-a\r\n220 go\r\n"
	    "250-x\r\n250 AUTH PLAIN\r\n250 injected\r\n";
	const size_t end = strlen("220-a\r\n220 go\r\n");
	const size_t n = sizeof(said) - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		struct bytes first = {(const uint8_t *)said, cut};
		struct bytes second = {(const uint8_t *)said + cut, n - cut};
		enum smtp_client_event event;

		greet(false, false, OFFER);
		assert_true(smtp_client_starttls(&c));
		c.out.n = 0;
		event = smtp_client_next(&c, &first);
		if (cut < end) {
			assert_int_equal(event, SMTP_CLIENT_MORE);
			event = smtp_client_next(&c, &second);
		} else if (cut == end) {
			assert_int_equal(event, SMTP_CLIENT_STARTTLS);
			event = smtp_client_next(&c, &second);
		}
		assert_int_equal(event, SMTP_CLIENT_BROKEN);
		assert_non_null(smtp_client_fault(&c));
		smtp_client_secured(&c);
		assert_int_equal(c.out.n, 0);
		assert_int_equal(smtp_client_next(&c, &second),
		    SMTP_CLIENT_BROKEN);
	}
}

/* ---- AUTH ---- */

#define USER BYTES_LIT("tim")
#define PASSWORD BYTES_LIT("tanstaaftanstaaf")

static void
auth_by_plain_and_login(void **state)
{
	uint8_t octets[255];
	struct bytes big = {octets, sizeof(octets)};

	(void)state;
	/* RFC 4616 4 has this pair */
	greet(false, true, "250-AUTH LOGIN PLAIN\r\n");
	assert_true(smtp_client_auth(&c, USER, PASSWORD));
	expect_out("AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n");
	assert_false(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));
	expect("235 2.7.0 ok\r\n", SMTP_CLIENT_AUTH);
	assert_int_equal(c.reply.code, 235);
	assert_true(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));

	greet(false, true, "250-AUTH LOGIN\r\n");
	assert_true(smtp_client_auth(&c, USER, PASSWORD));
	expect_out("AUTH LOGIN\r\n");
	expect("334 VXNlcm5hbWU6\r\n", SMTP_CLIENT_MORE);
	expect_out("dGlt\r\n");
	expect("334 x\r\n", SMTP_CLIENT_MORE);
	expect_out("dGFuc3RhYWZ0YW5zdGFhZg==\r\n");
	expect("535 5.7.8 no\r\n", SMTP_CLIENT_AUTH);
	assert_int_equal(c.reply.code, 535);

	/* what makes the command line too long waits for its 334 */
	memset(octets, 'x', sizeof(octets));
	greet(false, true, "250-AUTH PLAIN\r\n");
	assert_true(smtp_client_auth(&c, big, big));
	expect_out("AUTH PLAIN\r\n");
	expect("334 \r\n", SMTP_CLIENT_MORE);
	assert_int_equal(c.out.n, 684 + 2);
	c.out.n = 0;
	expect("334 \r\n", SMTP_CLIENT_BROKEN);

	/* only 235 is a yes */
	greet(false, true, "250-AUTH PLAIN\r\n");
	assert_true(smtp_client_auth(&c, USER, PASSWORD));
	expect("250 ok\r\n", SMTP_CLIENT_BROKEN);
}

/* T3: no password goes out in the clear, nor one that is no credential. */
static void
t3_auth_only_under_tls(void **state)
{
	static const struct bytes bad[] = {LIT(""), LIT("a\0b")};
	uint8_t octets[256] = {'x'};

	(void)state;
	memset(octets, 'x', sizeof(octets));
	greet(false, false, "250-AUTH PLAIN LOGIN\r\n250-STARTTLS\r\n");
	assert_false(smtp_client_auth(&c, USER, PASSWORD));
	assert_false(smtp_client_auth_line(&c, BYTES_LIT("AUTH PLAIN AHQA")));
	assert_int_equal(c.out.n, 0);
	greet(false, true, "250-AUTH CRAM-MD5\r\n");
	assert_false(smtp_client_auth(&c, USER, PASSWORD));
	assert_int_equal(c.out.n, 0);
	greet(false, true, "250-AUTH PLAIN\r\n");
	for (size_t k = 0; k < N(bad); k++) {
		assert_false(smtp_client_auth(&c, bad[k], PASSWORD));
		assert_false(smtp_client_auth(&c, USER, bad[k]));
	}
	assert_false(smtp_client_auth(&c, USER, (struct bytes){octets, 256}));
	assert_int_equal(c.out.n, 0);
}

static void
t7_auth_lines_are_passed_on(void **state)
{
	static uint8_t octets[13000];
	static const struct bytes bad[] = {LIT("AUTH\r\nRSET"), LIT("a\0"),
	    LIT("a\xff")};

	(void)state;
	greet(false, true, "250-AUTH LOGIN\r\n250-PIPELINING\r\n");
	for (size_t k = 0; k < N(bad); k++)
		assert_false(smtp_client_auth_line(&c, bad[k]));
	assert_true(smtp_client_auth_line(&c, BYTES_LIT("AUTH LOGIN")));
	expect_out("AUTH LOGIN\r\n");
	assert_false(smtp_client_auth_line(&c, BYTES_LIT("AUTH LOGIN")));
	expect("334 VXNl\r\n", SMTP_CLIENT_AUTH);
	assert_int_equal(c.reply.code, 334);
	/* nothing but its answer */
	assert_false(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));
	assert_false(smtp_client_rset(&c));
	assert_false(smtp_client_quit(&c));
	assert_true(smtp_client_auth_line(&c, BYTES_LIT("dGlt")));
	expect_out("dGlt\r\n");
	expect("334 UGFz\r\n", SMTP_CLIENT_AUTH);
	assert_true(smtp_client_auth_line(&c, BYTES_LIT("*")));
	expect("501 5.7.0 cancelled\r\n", SMTP_CLIENT_AUTH);
	assert_true(smtp_client_auth_line(&c, BYTES_LIT("AUTH LOGIN dGlt")));
	expect("334 UGFz\r\n", SMTP_CLIENT_AUTH);
	memset(octets, 'A', sizeof(octets));
	assert_false(smtp_client_auth_line(&c, (struct bytes){octets, 12287}));
	assert_true(smtp_client_auth_line(&c, (struct bytes){octets, 12286}));
	/* an early yes is what the next hop says, and no other code is */
	expect("235 2.7.0 ok\r\n", SMTP_CLIENT_AUTH);
	assert_true(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));
}

static void
nothing_of_auth_stays_in_memory(void **state)
{
	static const char secret[] = "AHRpbQB0YW5zdGFhZnRhbnN0YWFm";
	struct bytes all = {(const uint8_t *)&c, sizeof(c)};

	(void)state;
	greet(false, true, "250-AUTH PLAIN\r\n");
	assert_true(smtp_client_auth(&c, USER, PASSWORD));
	assert_true(bytes_find(all, bytes_of(secret)) < all.n);
	c.out.n = 0;		/* it is sent */
	expect("235 2.7.0 ok\r\n", SMTP_CLIENT_AUTH);
	assert_int_equal(bytes_find(all, bytes_of(secret)), all.n);
	assert_null(c.password.p);
}

/* ---- who the client is ---- */

static const struct smtp_introduction four = {
	.from = {.ip = {[10] = 255, 255, 192, 0, 2, 1}, .text = "192.0.2.1",
	    .port = 4711},
	.to = {.ip = {[10] = 255, 255, 192, 0, 2, 25}, .text = "192.0.2.25",
	    .port = 25},
	.helo = {(const uint8_t *)"a+b=c d\xff", 8},
	.proto = "ESMTP",
};
static const struct smtp_introduction six = {
	.from = {.ip = {0x20, 1, 0xd, 0xb8, [15] = 1}, .text = "2001:db8::1",
	    .port = 65535},
	.to = {.ip = {[10] = 255, 255, 192, 0, 2, 25}, .text = "192.0.2.25",
	    .port = 25},
	.proto = "SMTP",
};

static void
xclient_says_what_is_known(void **state)
{
	uint8_t octets[256];
	struct smtp_introduction long_helo = four;

	(void)state;
	greet(false, false, "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN X\r\n");
	assert_true(smtp_client_xclient(&c, &four));
	expect_out("XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=4711 "
	    "PROTO=ESMTP HELO=a+2Bb+3Dc+20d+FF\r\n");
	assert_false(ask_mail(&c, BYTES_LIT("<a@b>"), 0, false));
	/* the session begins anew */
	expect("220 x\r\n", SMTP_CLIENT_MORE);
	expect_out("EHLO me.example\r\n");
	expect("250 x\r\n", SMTP_CLIENT_READY);
	assert_int_equal(c.can, 0);
	assert_false(smtp_client_xclient(&c, &four));

	greet(false, false, "250-XCLIENT ADDR DESTADDR DESTPORT HELO\r\n");
	assert_true(smtp_client_xclient(&c, &six));
	expect_out("XCLIENT ADDR=IPV6:2001:db8::1 DESTADDR=192.0.2.25 "
	    "DESTPORT=25\r\n");
	expect("550 5.7.0 no\r\n", SMTP_CLIENT_XCLIENT);
	assert_int_equal(c.reply.code, 550);
	assert_true(smtp_client_quit(&c));

	memset(octets, '+', sizeof(octets));
	long_helo.helo = (struct bytes){octets, 160};
	greet(false, false, "250-XCLIENT ADDR HELO\r\n");
	assert_true(smtp_client_xclient(&c, &long_helo));
	assert_int_equal(c.out.n, strlen("XCLIENT ADDR=192.0.2.1 HELO=\r\n") +
	    480);
	long_helo.helo.n = 161;
	greet(false, false, "250-XCLIENT ADDR HELO\r\n");
	assert_true(smtp_client_xclient(&c, &long_helo));
	expect_out("XCLIENT ADDR=192.0.2.1\r\n");
}

static void
proxy_headers(void **state)
{
	static const uint8_t v2_four[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
	    "\xc0\0\2\1\xc0\0\2\x19\x12\x67\0\x19";
	static const uint8_t v2_six[] = "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"
	    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
	    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\x19\xff\xff\0\x19";
	uint8_t octets[SMTP_PROXY_MAX];
	struct buf out = BUF_ON(octets);

	(void)state;
	smtp_introduce_proxy_v1(&out, &four);
	assert_true(bytes_eq(buf_bytes(&out), BYTES_LIT(
	    "PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\n")));
	out.n = 0;
	smtp_introduce_proxy_v1(&out, &six);
	assert_true(bytes_eq(buf_bytes(&out), BYTES_LIT(
	    "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.25 65535 25\r\n")));
	out.n = 0;
	smtp_introduce_proxy_v2(&out, &four);
	assert_true(bytes_eq(buf_bytes(&out),
	    (struct bytes){v2_four, sizeof(v2_four) - 1}));
	out.n = 0;
	smtp_introduce_proxy_v2(&out, &six);
	assert_true(bytes_eq(buf_bytes(&out),
	    (struct bytes){v2_six, sizeof(v2_six) - 1}));
	/* ours, for nobody */
	out.n = 0;
	smtp_introduce_proxy_v1(&out, NULL);
	assert_true(bytes_eq(buf_bytes(&out), BYTES_LIT("PROXY UNKNOWN\r\n")));
	out.n = 0;
	smtp_introduce_proxy_v2(&out, NULL);
	assert_true(bytes_eq(buf_bytes(&out),
	    BYTES_LIT("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_go_where_they_are_known),
		cmocka_unit_test(f13_parameters_stay_parameters),
		cmocka_unit_test(lmtp_answers_for_each_recipient),
		cmocka_unit_test(starttls_forgets_what_it_learnt),
		cmocka_unit_test(t2_nothing_plain_is_read_behind_starttls),
		cmocka_unit_test(auth_by_plain_and_login),
		cmocka_unit_test(t3_auth_only_under_tls),
		cmocka_unit_test(t7_auth_lines_are_passed_on),
		cmocka_unit_test(nothing_of_auth_stays_in_memory),
		cmocka_unit_test(xclient_says_what_is_known),
		cmocka_unit_test(proxy_headers),
	};

	return cmocka_run_group_tests_name("smtp/client hello", tests, NULL,
	    NULL);
}
