#include "smtp/params.h"
#include "tests/smtp/kit.h"

static const struct smtp_server_config all = {
    .hostname = "hop.example",
    .max_message = 1000,
    .offer = SMTP_CAN_8BITMIME | SMTP_CAN_SMTPUTF8 | SMTP_CAN_CHUNKING |
        SMTP_CAN_DSN | SMTP_CAN_STARTTLS | SMTP_CAN_AUTH_PLAIN |
        SMTP_CAN_AUTH_LOGIN | SMTP_CAN_XCLIENT,
    .max_rcpt = 3,
};

#define X100 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X400 X100 X100 X100 X100
#define MAIL EHLO "MAIL FROM:<a@b> "
#define RCPT EHLO "MAIL FROM:<a@b>\r\nRCPT TO:<c@d> "
#define OK "250 x\r\n"
#define NO_ENVID "501 5.5.4 Syntax: ENVID=xtext of at most 100 octets\r\n"
#define NO_RET "501 5.5.4 Syntax: RET=FULL or RET=HDRS\r\n"
#define NO_NOTIFY "501 5.5.4 Syntax: NOTIFY=NEVER or a list of SUCCESS, " \
	"FAILURE, DELAY\r\n"
#define NO_ORCPT "501 5.5.4 Syntax: ORCPT=type;xtext of at most 500 octets\r\n"
#define NO_FROM "501 5.1.7 Non-ASCII address without SMTPUTF8\r\n"
#define BAD_FROM "501 5.1.7 Bad address syntax\r\n"
#define BAD_TO "501 5.1.3 Bad address syntax\r\n"

/* F13: RFC 3461, 4954 5, 6531, 6533. */
static void
f13_parameters_are_strict(void **state)
{
	static const struct last_row row[] = {
		{EHLO, "250-hop.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
		    "250-8BITMIME\r\n250-SMTPUTF8\r\n250-STARTTLS\r\n"
		    "250-CHUNKING\r\n250-DSN\r\n250-XCLIENT NAME ADDR PORT PROTO "
		    "HELO LOGIN DESTADDR DESTPORT\r\n250 ENHANCEDSTATUSCODES\r\n"},
		{MAIL "RET=FULL\r\n", OK},
		{MAIL "ret=hdrs ENVID=x\r\n", OK},
		{MAIL "RET=NONE\r\n", NO_RET},
		{MAIL "RET\r\n", NO_RET},
		{MAIL "RET=FULL RET=FULL\r\n", "501 5.5.4 Repeated option\r\n"},
		{MAIL "ENVID=" X100 "\r\n", OK},
		{MAIL "ENVID=" X100 "x\r\n", NO_ENVID},
		{MAIL "ENVID=a+2Bb+3D+20\r\n", OK},
		{MAIL "ENVID=a+2bb\r\n", NO_ENVID},
		{MAIL "ENVID=a+2\r\n", NO_ENVID},
		{MAIL "ENVID=+\r\n", NO_ENVID},
		{MAIL "ENVID=a+0Db\r\n", NO_ENVID},
		{MAIL "ENVID=a+00\r\n", NO_ENVID},
		{MAIL "ENVID=a+C3+A4\r\n", NO_ENVID},
		{MAIL "ENVID\r\n", NO_ENVID},
		{MAIL "AUTH=<>\r\n", "555 5.5.4 Unsupported option\r\n"},
		{MAIL "NOTIFY=NEVER\r\n", "555 5.5.4 Unsupported option\r\n"},
		{RCPT "NOTIFY=NEVER\r\n", OK},
		{RCPT "NOTIFY=success,Delay,FAILURE ORCPT=rfc822;c@d\r\n", OK},
		{RCPT "NOTIFY=NEVER,DELAY\r\n", NO_NOTIFY},
		{RCPT "NOTIFY=DELAY,NEVER\r\n", NO_NOTIFY},
		{RCPT "NOTIFY=DELAY,DELAY\r\n", NO_NOTIFY},
		{RCPT "NOTIFY=DELAY,\r\n", NO_NOTIFY},
		{RCPT "NOTIFY\r\n", NO_NOTIFY},
		{RCPT "NOTIFY=DELAY NOTIFY=DELAY\r\n", "501 5.5.4 Repeated option\r\n"},
		{RCPT "ORCPT=rfc822;" X400 X100 "\r\n", NO_ORCPT},
		{RCPT "ORCPT=rfc822;" X400 "x\r\n", OK},
		{RCPT "ORCPT=rfc822\r\n", NO_ORCPT},
		{RCPT "ORCPT=rfc822;\r\n", NO_ORCPT},
		{RCPT "ORCPT=;c@d\r\n", NO_ORCPT},
		{RCPT "ORCPT=a(b;c@d\r\n", NO_ORCPT},
		{RCPT "ORCPT=rfc822;c+40d\r\n", OK},
		{RCPT "ORCPT=rfc822;c+0Ad\r\n", NO_ORCPT},
		{RCPT "ORCPT=utf-8;\xc3\xa4@d\r\n", NO_ORCPT},
		{RCPT "ORCPT=utf-8;\\x{E4}@d\r\n", OK},
		{RCPT "ORCPT=rfc822;c@d\xff\r\n", "501 5.5.4 Bad parameter syntax\r\n"},
		{RCPT "RET=FULL\r\n", "555 5.5.4 Unsupported option\r\n"},
		{RCPT "SIZE=1\r\n", "555 5.5.4 Unsupported option\r\n"},
		/* SMTPUTF8 */
		{MAIL "SMTPUTF8\r\n", OK},
		{MAIL "SMTPUTF8=1\r\n", "501 5.5.4 Syntax: SMTPUTF8\r\n"},
		{EHLO "MAIL FROM:<\xc3\xa4@b>\r\n", NO_FROM},
		{EHLO "MAIL FROM:<\xc3\xa4@b> BODY=8BITMIME\r\n", NO_FROM},
		{EHLO "MAIL FROM:<\xc3\xa4@b> SMTPUTF8\r\n", OK},
		{EHLO "MAIL FROM:<\"\xc3\xa4 \"@\xe2\x82\xac.b> SMTPUTF8\r\n", OK},
		{EHLO "MAIL FROM:<\xc0\xaf@b> SMTPUTF8\r\n", BAD_FROM},
		{EHLO "MAIL FROM:<\xed\xa0\x80@b> SMTPUTF8\r\n", BAD_FROM},
		{EHLO "MAIL FROM:<\xc2\x85@b> SMTPUTF8\r\n", BAD_FROM},
		{EHLO "MAIL FROM:<\"\xc2\x85\"@b> SMTPUTF8\r\n", BAD_FROM},
		{EHLO "MAIL FROM:<\"\\\xc3\xa4\"@b> SMTPUTF8\r\n", BAD_FROM},
		{EHLO "MAIL FROM:<\xc3@b> SMTPUTF8\r\n", BAD_FROM},
		{EHLO "MAIL FROM:<a@b\xff> SMTPUTF8\r\n", BAD_FROM},
		{RCPT "\r\nRCPT TO:<\xc3\xa4@b>\r\n", "501 5.1.3 Non-ASCII address "
		    "without SMTPUTF8\r\n"},
		{MAIL "SMTPUTF8\r\nRCPT TO:<\xc3\xa4@b> ORCPT=utf-8;\xc3\xa4@b\r\n", OK},
		{MAIL "SMTPUTF8\r\nRCPT TO:<a@b> ORCPT=utf-8;a\\x{e4}@b\r\n", OK},
		{MAIL "SMTPUTF8\r\nRCPT TO:<a@b> ORCPT=utf-8;\xc3\xa4+@b\r\n", NO_ORCPT},
		{MAIL "SMTPUTF8\r\nRCPT TO:<a@b> ORCPT=utf-8;\xc3\xa4\\b\r\n", NO_ORCPT},
		{MAIL "SMTPUTF8\r\nRCPT TO:<a@b> ORCPT=rfc822;\xc3\xa4@b\r\n", NO_ORCPT},
		{MAIL "SMTPUTF8\r\nRCPT TO:<\xff@b>\r\n", BAD_TO},
		/* and a transaction does not pass it to the next one */
		{MAIL "SMTPUTF8\r\nRSET\r\nMAIL FROM:<\xc3\xa4@b>\r\n", NO_FROM},
	};

	(void)state;
	check_last_rows(&all, row, N(row));
}

/* What is not offered is not known, one extension at a time. */
static void
parameters_follow_what_was_offered(void **state)
{
	static const struct {
		unsigned can;
		const char *in;
	} row[] = {
		{SMTP_CAN_DSN, MAIL "RET=FULL\r\n"},
		{SMTP_CAN_DSN, MAIL "ENVID=x\r\n"},
		{SMTP_CAN_DSN, RCPT "NOTIFY=NEVER\r\n"},
		{SMTP_CAN_DSN, RCPT "ORCPT=rfc822;x\r\n"},
		{SMTP_CAN_SMTPUTF8, MAIL "SMTPUTF8\r\n"},
		{SMTP_CAN_8BITMIME, MAIL "BODY=8BITMIME\r\n"},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct smtp_server_config config = all;
		struct last_row last = {row[k].in, OK};

		check_last_rows(&config, &last, 1);
		config.offer &= ~row[k].can;
		last.last = "555 5.5.4 Unsupported option\r\n";
		check_last_rows(&config, &last, 1);
	}
}

/* The owner sees the octets as they came. */
static void
parameters_stand_at_their_events(void **state)
{
	struct smtp_server *s = &t.s;
	struct bytes in = BYTES_LIT(EHLO "MAIL FROM:<\xc3\xa4@b> ENVID=a+2B "
	    "RET=hdrs SMTPUTF8 AUTH=x+3Dy\r\nRCPT TO:<c@d> NOTIFY=NEVER "
	    "ORCPT=rfc822;c+40d\r\nRCPT TO:<e@d>\r\n");

	(void)state;
	session_init(&t, &all);
	smtp_server_secured(s);
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_HELO);
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_MAIL);
	assert_true(s->mail.is_utf8 && s->mail.from.is_utf8);
	assert_true(bytes_eq(s->mail.envid, BYTES_LIT("a+2B")));
	assert_true(bytes_eq(s->mail.ret, BYTES_LIT("hdrs")));
	assert_true(bytes_eq(s->mail.auth, BYTES_LIT("x+3Dy")));
	smtp_server_answer(s, 250, NULL, BYTES_LIT("x"));
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_RCPT);
	assert_true(bytes_eq(s->rcpt.notify, BYTES_LIT("NEVER")));
	assert_true(bytes_eq(s->rcpt.orcpt, BYTES_LIT("rfc822;c+40d")));
	smtp_server_answer(s, 250, NULL, BYTES_LIT("x"));
	assert_int_equal(smtp_server_next(s, &in), SMTP_SERVER_RCPT);
	assert_true(s->rcpt.notify.n == 0 && s->rcpt.orcpt.n == 0);
}

/* The bound of recipients, and one past it: they are not errors. */
static void
recipients_have_a_bound(void **state)
{
	(void)state;
	session_init(&t, &all);
	session_feed(&t, BYTES_LIT(ENVELOPE "RCPT TO:<550@d>\r\n"
	    "RCPT TO:<e@d>\r\nRCPT TO:<f@d>\r\n"));
	check_last(OK);
	session_feed(&t, BYTES_LIT("RCPT TO:<g@d>\r\n"));
	check_last("452 4.5.3 Error: too many recipients\r\n");
	assert_int_equal(t.s.n_rcpt, 3);
	assert_int_equal(t.s.n_errors, 1);
	session_feed(&t, BYTES_LIT("RSET\r\nMAIL FROM:<a@b>\r\n"
	    "RCPT TO:<g@d>\r\n"));
	check_last(OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(f13_parameters_are_strict),
		cmocka_unit_test(parameters_follow_what_was_offered),
		cmocka_unit_test(parameters_stand_at_their_events),
		cmocka_unit_test(recipients_have_a_bound),
	};

	return cmocka_run_group_tests_name("smtp/server: parameters", tests,
	    NULL, NULL);
}
