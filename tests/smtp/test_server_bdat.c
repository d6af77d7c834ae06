#include "tests/smtp/kit.h"

static const struct smtp_server_config chunking = {
    .hostname = "hop.example",
    .max_message = 1000,
    .max_line = 100,
    .offer = SMTP_CAN_8BITMIME | SMTP_CAN_CHUNKING,
    .max_errors = 20,
    .max_commands = 1000,
};

#define SAID "ehlo me.example; mail <a@b>; rcpt <c@d>; "
#define EVIL "MAIL FROM:<evil@b>\r\n"		/* 20 octets */
#define AGAIN "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"

/* F10: whatever a chunk is refused for, its octets are never commands, and
   the NOOP behind it has its answer. */
static const struct row rows[] = {
	{LIT(ENVELOPE "BDAT 3 LAST\r\nx\r\nQUIT\r\n"), SAID "bdat; end; close; ",
	    "220 250 250 250 250 221 ", "x\r\n."},
	{LIT(ENVELOPE "BDAT 3\r\nx\r\nBDAT 3\r\ny\r\nBDAT 0 LAST\r\nNOOP\r\n"),
	    SAID "bdat; end; ", "220 250 250 250 250 250 250 250 ",
	    "x\r\ny\r\n."},
	{LIT(ENVELOPE "bdat 2\r\nx\rbdat 1\r\n\nBDAT 0\r\nBDAT   0   last  \r\n"),
	    SAID "bdat; end; ", "220 250 250 250 250 250 250 250 ", "x\r\n."},
	{LIT(ENVELOPE "BDAT 0 LAST\r\nNOOP\r\n"), SAID "bdat; end; ",
	    "220 250 250 250 250 250 ", "."},
	/* nothing is stuffed, no dot ends it */
	{LIT(ENVELOPE "BDAT 11 LAST\r\n.\r\n..\r\n.x\r\nNOOP\r\n"),
	    SAID "bdat; end; ", "220 250 250 250 250 250 ",
	    ".\r\n..\r\n.x\r\n."},
	{LIT(ENVELOPE "BDAT 1\r\n.BDAT 2 LAST\r\n\r\nNOOP\r\n"),
	    SAID "bdat; end; ", "220 250 250 250 250 250 250 ", ".\r\n."},
	{LIT(ENVELOPE "BDAT 20\r\n" EVIL "BDAT 20 LAST\r\n" EVIL),
	    SAID "bdat; end; ", "220 250 250 250 250 250 ", EVIL EVIL "."},
	/* the verdict is the owner's, behind the last alone */
	{LIT(EHLO "MAIL FROM:<a@e550>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\nx\r\n"
	    "BDAT 3 LAST\r\ny\r\nNOOP\r\n"),
	    "ehlo me.example; mail <a@e550>; rcpt <c@d>; bdat; end; ",
	    "220 250 250 250 250 550 250 ", "x\r\ny\r\n."},
	/* out of sequence: passed over */
	{LIT(EHLO "BDAT 20\r\n" EVIL "NOOP\r\n"), "ehlo me.example; ",
	    "220 250 503 250 ", ""},
	{LIT(EHLO "MAIL FROM:<a@b>\r\nBDAT 20 LAST\r\n" EVIL "NOOP\r\n" AGAIN),
	    "ehlo me.example; mail <a@b>; reset; mail <a@b>; rcpt <c@d>; ",
	    "220 250 250 503 250 250 250 ", ""},
	{LIT(EHLO "MAIL FROM:<a@b>\r\nRCPT TO:<550@d>\r\nBDAT 20\r\n" EVIL
	    "BDAT 20 LAST\r\n" EVIL "NOOP\r\n"),
	    "ehlo me.example; mail <a@b>; rcpt <550@d>; reset; ",
	    "220 250 250 550 503 503 250 ", ""},
	/* LAST twice */
	{LIT(ENVELOPE "BDAT 3 LAST\r\nx\r\nBDAT 20 LAST\r\n" EVIL "NOOP\r\n"),
	    SAID "bdat; end; ", "220 250 250 250 250 503 250 ", "x\r\n."},
	/* DATA, and more of an envelope, behind BDAT */
	{LIT(ENVELOPE "BDAT 3\r\nx\r\nDATA\r\nMAIL FROM:<e@b>\r\nRCPT TO:<e@d>\r\n"
	    "VRFY a\r\nNOOP\r\nBDAT 0 LAST\r\n"), SAID "bdat; end; ",
	    "220 250 250 250 250 503 503 503 252 250 250 ", "x\r\n."},
	{LIT(ENVELOPE "BDAT 3\r\nx\r\nRSET\r\n" AGAIN "BDAT 3 LAST\r\ny\r\n"),
	    SAID "bdat; reset; mail <a@b>; rcpt <c@d>; bdat; end; ",
	    "220 250 250 250 250 250 250 250 250 ", "y\r\n."},
	{LIT(ENVELOPE "BDAT 3\r\nx\r\n" EHLO "BDAT 3 LAST\r\ny\r\nNOOP\r\n"),
	    SAID "bdat; reset; ehlo me.example; ",
	    "220 250 250 250 250 250 503 250 ", ""},
	/* the owner refuses: what follows is no beginning of a message */
	{LIT(EHLO "MAIL FROM:<a@d451>\r\nRCPT TO:<c@d>\r\nBDAT 20\r\n" EVIL
	    "BDAT 3 LAST\r\ny\r\nNOOP\r\n"),
	    "ehlo me.example; mail <a@d451>; rcpt <c@d>; bdat; reset; ",
	    "220 250 250 250 451 503 250 ", ""},
	{LIT(EHLO "MAIL FROM:<a@d421>\r\nRCPT TO:<c@d>\r\nBDAT 20\r\n" EVIL),
	    "ehlo me.example; mail <a@d421>; rcpt <c@d>; bdat; close; ",
	    "220 250 250 250 421 ", ""},
	/* F2 within chunks: refused, and in step */
#define BAD(chunks, codes) \
	{LIT(ENVELOPE chunks "NOOP\r\n"), SAID "bdat; reset; ", \
	    "220 250 250 250 " codes "250 ", ""}
	BAD("BDAT 4 LAST\r\nx\ny\n", "550 "),
	BAD("BDAT 3\r\nx\r\nBDAT 4\r\n\n\r\nyBDAT 20 LAST\r\n" EVIL, "250 550 503 "),
	BAD("BDAT 6 LAST\r\nx\ry\r\nz", "550 "),
	BAD("BDAT 2\r\nx\rBDAT 3 LAST\r\ny\r\n", "250 550 "),
	BAD("BDAT 2\r\nx\rBDAT 3\r\n\r\n\r", "250 550 "),
	BAD("BDAT 2 LAST\r\nx\r", "550 "),
	BAD("BDAT 2\r\nx\rBDAT 0 LAST\r\n", "250 550 "),
	/* its last line has no end */
	BAD("BDAT 1 LAST\r\nx", "550 "),
	BAD("BDAT 4 LAST\r\nx\r\ny", "550 "),
	BAD("BDAT 4\r\nx\r\nyBDAT 0 LAST\r\n", "250 550 "),
	/* F4 */
	BAD("BDAT 4\r\nx\0\r\nBDAT 0 LAST\r\n", "550 503 "),
	BAD("BDAT 4 LAST\r\nx\0\r\n", "550 "),
#undef BAD
	/* F10: no readable size: nothing can be in step */
#define LOST(line) \
	{LIT(ENVELOPE line EVIL), SAID "close; ", "220 250 250 250 521 ", ""}
	LOST("BDAT\r\n"), LOST("BDAT LAST\r\n"), LOST("BDAT x\r\n"),
	LOST("BDAT -1\r\n"), LOST("BDAT 20x\r\n"), LOST("BDAT 20 LASTS\r\n"),
	LOST("BDAT 20 LAST LAST\r\n"), LOST("BDAT 18446744073709551616\r\n"),
	LOST("BDAT 20\n"), LOST("BDAT 20\rx\r\n"), LOST("BDAT 20 \0\r\n"),
#undef LOST
	{LIT(ENVELOPE "BDAT 9223372036854775808\r\n" EVIL), SAID "close; ",
	    "220 250 250 250 552 ", ""},
	/* not offered before a greeting; F9 */
	{LIT("BDAT 20\r\n" EVIL), "close; ", "220 502 ", ""},
};

static void
f10_chunks_at_every_split(void **state)
{
	(void)state;
	check_rows(&chunking, rows, N(rows));
}

/* F2 where it is repaired: by DATA and by BDAT, a CR alone never. */
static void
f2_bare_lf_is_repaired_where_asked(void **state)
{
	static const struct smtp_server_config repairing = {
	    .hostname = "hop.example", .max_message = 1000, .max_line = 100,
	    .offer = SMTP_CAN_CHUNKING, .is_repairing = true};
	static const struct row row[] = {
		{LIT(ENVELOPE "BDAT 4 LAST\r\nx\ny\nNOOP\r\n"), SAID "bdat; end; ",
		    "220 250 250 250 250 250 ", "x\r\ny\r\n."},
		{LIT(ENVELOPE "BDAT 1\r\n\nBDAT 3\r\n.\nyBDAT 1 LAST\r\n\nNOOP\r\n"),
		    SAID "bdat; end; ", "220 250 250 250 250 250 250 250 ",
		    "\r\n.\r\ny\r\n."},
		{LIT(ENVELOPE "BDAT 2\r\nx\rBDAT 2\r\n\n\nBDAT 0 LAST\r\nNOOP\r\n"),
		    SAID "bdat; end; ", "220 250 250 250 250 250 250 250 ",
		    "x\r\n\r\n."},
		{LIT(ENVELOPE "BDAT 4 LAST\r\nx\ryyNOOP\r\n"), SAID "bdat; reset; ",
		    "220 250 250 250 550 250 ", ""},
		{LIT(ENVELOPE "BDAT 3 LAST\r\nx\nyNOOP\r\n"), SAID "bdat; reset; ",
		    "220 250 250 250 550 250 ", ""},
		{LIT(ENVELOPE "BDAT 3 LAST\r\nx\0\nNOOP\r\n"), SAID "bdat; reset; ",
		    "220 250 250 250 550 250 ", ""},
	};

	(void)state;
	check_rows(&repairing, row, N(row));
}

static void
replies_to_bdat_say_what_and_why(void **state)
{
	static const struct last_row row[] = {
		{EHLO, "250-CHUNKING\r\n250 ENHANCEDSTATUSCODES\r\n"},
		{EHLO "BDAT 1\r\nx", "503 5.5.1 Error: need MAIL command\r\n"},
		{EHLO "MAIL FROM:<a@b>\r\nBDAT 1\r\nx", "503 5.5.1 Error: need RCPT command\r\n"},
		{ENVELOPE "BDAT 1\r\nx", "250 2.0.0 Ok\r\n"},
		{ENVELOPE "BDAT 1\r\nxDATA\r\n", "503 5.5.1 Error: need BDAT or RSET command\r\n"},
		{ENVELOPE "BDAT x\r\n", "521 5.5.4 Syntax: BDAT octets [LAST]\r\n"},
		{ENVELOPE "BDAT 1\n", "521 5.5.2 Error: bare <LF> received\r\n"},
		{ENVELOPE "BDAT 1 LAST\r\nx", "550 5.6.0 Message does not end with <CR><LF>\r\n"},
		{ENVELOPE "BDAT 1\r\n\n", "550 5.5.2 bare <LF> received\r\n"},
		{ENVELOPE "BDAT 2\r\n\rx", "550 5.5.2 bare <CR> received\r\n"},
		{ENVELOPE "BDAT 2 LAST\r\nx\r", "550 5.5.2 bare <CR> received\r\n"},
		{EHLO "MAIL FROM:<a@b> BODY=BINARYMIME\r\n", "501 5.5.4 Syntax: BODY=7BIT or BODY=8BITMIME\r\n"},
	};

	(void)state;
	check_last_rows(&chunking, row, N(row));
}

/* The size of a message at its bound, one past it, and far past it. */
static void
f10_chunks_keep_the_bound_of_a_message(void **state)
{
	static const struct {
		const char *second;
		size_t n;
		const char *last;
		bool is_closed;
	} row[] = {
		{"BDAT 998 LAST\r\n", 996, "250 x\r\n250 2.0.0 Ok\r\n", false},
		{"BDAT 999 LAST\r\n", 997, "552 5.3.4 Message size exceeds "
		    "fixed limit\r\n250 2.0.0 Ok\r\n", false},
		{"BDAT 2001\r\n", 1999, "552 5.3.4 Message size exceeds "
		    "fixed limit\r\n250 2.0.0 Ok\r\n", false},
		{"BDAT 2002\r\n", 0, "552 5.3.4 Message size exceeds fixed "
		    "limit\r\n", true},
	};
	struct smtp_server_config config = chunking;

	(void)state;
	config.max_line = 0;
	for (size_t k = 0; k < N(row); k++) {
		session_init(&t, &config);
		session_feed(&t, BYTES_LIT(ENVELOPE "BDAT 2\r\n\r\n"));
		session_feed(&t, bytes_of(row[k].second));
		feed_many('x', row[k].n);
		session_feed(&t, BYTES_LIT("\r\nNOOP\r\n"));
		check_last(row[k].last);
		assert_int_equal(t.is_closed, row[k].is_closed);
		assert_true(t.n_seen <= 1000);
	}
}

/* F5: a line across chunks at its bound and one past it. */
static void
f5_lines_across_chunks_have_a_bound(void **state)
{
	(void)state;
	for (int more = 0; more < 2; more++) {
		session_init(&t, &chunking);
		session_feed(&t, BYTES_LIT(ENVELOPE "BDAT 60\r\n"));
		feed_many('x', 60);
		session_feed(&t, more == 0 ? BYTES_LIT("BDAT 42\r\n") :
		    BYTES_LIT("BDAT 43\r\n"));
		feed_many('x', 40 + (size_t)more);
		session_feed(&t, BYTES_LIT("\r\n"));
		check_last(more == 0 ? "250 2.0.0 Ok\r\n" :
		    "550 5.6.0 Text line too long\r\n");
	}
}

/* F8: a flood of chunks, as many replies, none lost. */
static void
f8_floods_of_chunks_never_overflow_the_replies(void **state)
{
	static uint8_t octets[100000];
	struct smtp_server_config config = chunking;
	struct buf in = BUF_ON(octets), codes;
	static uint8_t code_octets[20000];
	size_t n = 0;

	(void)state;
	config.max_errors = 0;
	config.max_commands = 0;
	session_init(&t, &config);
	session_feed(&t, BYTES_LIT(ENVELOPE));
	for (int k = 0; k < 4000; k++)
		buf_add_str(&in, k % 2 == 0 ? "BDAT 0\r\n" : "BDAT 2\r\n\r\n");
	assert_false(in.full);
	config.max_message = 0;
	t.out.n = 0;
	session_feed(&t, buf_bytes(&in));
	codes = BUF_ON(code_octets);
	list_codes(buf_bytes(&t.out), &codes);
	while (bytes_starts(bytes_skip(buf_bytes(&codes), n),
	    BYTES_LIT("250 ")))
		n += 4;
	assert_int_equal(n, 4000 * 4);
	assert_int_equal(codes.n, n);
	assert_int_equal(t.s.n_content, 4000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(f10_chunks_at_every_split),
		cmocka_unit_test(f2_bare_lf_is_repaired_where_asked),
		cmocka_unit_test(replies_to_bdat_say_what_and_why),
		cmocka_unit_test(f10_chunks_keep_the_bound_of_a_message),
		cmocka_unit_test(f5_lines_across_chunks_have_a_bound),
		cmocka_unit_test(f8_floods_of_chunks_never_overflow_the_replies),
	};

	return cmocka_run_group_tests_name("smtp/server: BDAT", tests, NULL,
	    NULL);
}
