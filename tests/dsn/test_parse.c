#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dsn/parse.h"
#include "tests/dkim2/kit.h"
#include "tests/dsn/kit.h"

#define RETURNED "From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n"
#define FIELDS "From: a@example.org\r\nSubject: x\r\n"
#define GOOD_END DSN_WHOLE RETURNED DSN_END

static enum dsn_parsed
parse(struct arena *a, struct bytes text, struct dsn_report *r)
{
	struct dkim2_message m;
	struct bytes body = kit_split(text, &m, a);
	enum dsn_parsed verdict;

	assert_int_equal(dsn_report_parse(r, &m, body, a, &verdict), 0);
	return verdict;
}

static void
a_report_is_read(void **state)
{
	static const char text[] = DSN_TYPE DSN_FROM "MIME-Version: 1.0\r\n"
	    "\r\nThis is a report.\r\n"
	    DSN_TEXT
	    "--=_b\r\n" DSN_STATUS_TYPE "\r\n"
	    DSN_MTA "Original-Envelope-Id: id 1\r\n"
	    "X-Queue: 7\r\n\r\n"
	    "Final-Recipient: rfc822;\r\n one@lists.example\r\n"
	    "Original-Recipient: rfc822;two@lists.example\r\n"
	    "Action: Failed (for good)\r\nStatus: 5.1.1 (no user)\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1\r\n no such user\r\n\r\n"
	    "Final-Recipient: rfc822; three@lists.example\r\n"
	    "ACTION:delayed\r\nStatus:4.4.7\r\n\r\n"
	    DSN_WHOLE RETURNED "\r\n--=_b--\r\nThe end.\r\n";
	struct arena *a = arena_new(KIT_ARENA);
	struct dsn_report r;

	(void)state;
	assert_int_equal(parse(a, bytes_of(text), &r), DSN_PARSED);
	kit_assert_bytes(r.reporting_mta, "mx.lists.example");
	kit_assert_bytes(r.envelope_id, "id 1");
	assert_int_equal(r.n_recipients, 2);
	kit_assert_bytes(r.recipients[0].final, "one@lists.example");
	kit_assert_bytes(r.recipients[0].original, "two@lists.example");
	assert_int_equal(r.recipients[0].action, DSN_FAILED);
	kit_assert_bytes(r.recipients[0].status, "5.1.1");
	kit_assert_bytes(r.recipients[0].diagnostic,
	    "smtp; 550 5.1.1\r\n no such user");
	kit_assert_bytes(r.recipients[1].final, "three@lists.example");
	assert_null(r.recipients[1].original.p);
	assert_null(r.recipients[1].diagnostic.p);
	assert_int_equal(r.recipients[1].action, DSN_DELAYED);
	assert_int_equal(r.returned.n_fields, 2);
	kit_assert_bytes(r.returned.fields[1].value, " x");
	assert_true(r.has_returned_body);
	kit_assert_bytes(r.returned_body, "body\r\n");
	arena_free(&a);
}

/* Everything that is not exactly a report; the octets are never guessed. */
static void
reports_and_others(void **state)
{
	static const struct {
		const char *in;
		enum dsn_parsed verdict;
	} row[] = {
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS GOOD_END, DSN_PARSED},
		/* other mail */
		{DSN_FROM "\r\n" DSN_TEXT DSN_STATUS GOOD_END, DSN_NO_REPORT},
		{"Content-Type: text/plain\r\n\r\n" DSN_TEXT DSN_STATUS
		 GOOD_END, DSN_NO_REPORT},
		{"Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n"
		 DSN_TEXT DSN_STATUS GOOD_END, DSN_NO_REPORT},
		{"Content-Type: multipart/mixed; report-type=delivery-status"
		 "; boundary=\"=_b\"\r\n\r\n" DSN_TEXT DSN_STATUS GOOD_END,
		 DSN_NO_REPORT},
		{"Content-Type: multipart/report; boundary=\"=_b\"\r\n\r\n"
		 DSN_TEXT DSN_STATUS GOOD_END, DSN_NO_REPORT},
		{"Content-Type: multipart/report; boundary=\"=_b\"; "
		 "report-type=disposition-notification\r\n\r\n" DSN_TEXT
		 DSN_STATUS GOOD_END, DSN_NO_REPORT},
		/* the outer header */
		{DSN_TYPE DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS GOOD_END,
		 DSN_MALFORMED},
		{"Content-Type: multipart/report; report-type=delivery-status"
		 "\r\n\r\n" DSN_TEXT DSN_STATUS GOOD_END, DSN_MALFORMED},
		{"Content-Type: multipart/report; report-type=delivery-status"
		 "; boundary=\"=_b\r\n\r\n" DSN_TEXT DSN_STATUS GOOD_END,
		 DSN_MALFORMED},
		{DSN_TYPE "Content-Transfer-Encoding: 8bit\r\n\r\n" DSN_TEXT
		 DSN_STATUS GOOD_END, DSN_PARSED},
		{DSN_TYPE "Content-Transfer-Encoding: base64\r\n\r\n" DSN_TEXT
		 DSN_STATUS GOOD_END, DSN_MALFORMED},
		{DSN_TYPE "Content-Transfer-Encoding: 7bit\r\n"
		 "Content-Transfer-Encoding: 7bit\r\n\r\n" DSN_TEXT
		 DSN_STATUS GOOD_END, DSN_MALFORMED},
		/* the parts */
		{DSN_TYPE, DSN_MALFORMED},
		{DSN_TYPE "\r\n", DSN_MALFORMED},
		{DSN_TYPE "\r\n--=_b--\r\n", DSN_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_END, DSN_MALFORMED},
		{DSN_TYPE "\r\n" DSN_STATUS GOOD_END, DSN_MALFORMED},
		{DSN_TYPE "\r\n" DSN_STATUS DSN_TEXT GOOD_END,
		 DSN_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_WHOLE RETURNED,
		 DSN_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_WHOLE RETURNED
		 "\r\n--=_bc--\r\n", DSN_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_END,
		 DSN_NOTHING_RETURNED},
		{DSN_TYPE "\r\n--=_b\r\nbroken header\r\n\r\ntext\r\n"
		 DSN_STATUS GOOD_END, DSN_MALFORMED},
		{DSN_TYPE "\r\n--=_b\r\n\r\ntext\r\n" DSN_STATUS GOOD_END,
		 DSN_PARSED},
		{DSN_TYPE "\r\n--=_b\r\nContent-Type: "
		 "multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\n"
		 "text\r\n--c--\r\n" DSN_STATUS GOOD_END, DSN_PARSED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_WHOLE RETURNED
		 "\r\n--=_b\r\nContent-Type: message/rfc822\r\n\r\n" RETURNED
		 DSN_END, DSN_MALFORMED},
		/* the status part */
		{DSN_TYPE "\r\n" DSN_TEXT "--=_b\r\nContent-Type: "
		 "message/global-delivery-status\r\n\r\n" DSN_MTA "\r\n"
		 DSN_RCPT GOOD_END, DSN_PARSED},
		{DSN_TYPE "\r\n" DSN_TEXT "--=_b\r\nContent-Type: "
		 "text/delivery-status\r\n\r\n" DSN_MTA "\r\n" DSN_RCPT
		 GOOD_END, DSN_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT "--=_b\r\n\r\n" DSN_MTA "\r\n"
		 DSN_RCPT GOOD_END, DSN_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT "--=_b\r\n" DSN_STATUS_TYPE
		 "Content-Transfer-Encoding: base64\r\n\r\n" DSN_MTA "\r\n"
		 DSN_RCPT GOOD_END, DSN_MALFORMED},
		/* the third */
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS "--=_b\r\n\r\n" RETURNED
		 DSN_END, DSN_RETURNED_OTHER},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS "--=_b\r\nContent-Type: "
		 "text/html\r\n\r\n" RETURNED DSN_END, DSN_RETURNED_OTHER},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS "--=_b\r\nContent-Type: "
		 "message/partial\r\n\r\n" RETURNED DSN_END,
		 DSN_RETURNED_OTHER},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS "--=_b\r\nContent-Type: "
		 "Message/RFC822\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n"
		 RETURNED DSN_END, DSN_PARSED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS "--=_b\r\nContent-Type: "
		 "message/rfc822\r\nContent-Transfer-Encoding: "
		 "quoted-printable\r\n\r\n" RETURNED DSN_END,
		 DSN_RETURNED_ENCODED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS "--=_b\r\nContent-Type: "
		 "message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		 "RnJvbTogYUBleGFtcGxlLm9yZwo=" DSN_END,
		 DSN_RETURNED_ENCODED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS "--=_b\r\nContent-Type: "
		 "message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n"
		 "Content-Transfer-Encoding: base64\r\n\r\n" RETURNED DSN_END,
		 DSN_RETURNED_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_WHOLE DSN_END,
		 DSN_RETURNED_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_WHOLE "\r\nbody"
		 DSN_END, DSN_RETURNED_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_WHOLE
		 "From a@example.org Mon Sep 28 10:00:00 2026\r\n" RETURNED
		 DSN_END, DSN_RETURNED_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_WHOLE
		 "Subject: x\nFrom a@example.org\r\nno field\r\n\r\nbody"
		 DSN_END, DSN_RETURNED_MALFORMED},
		{DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS "--=_b\r\nContent-Type: "
		 "message/rfc822; a\r\n\r\n" RETURNED DSN_END, DSN_MALFORMED},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct dsn_report r;
		enum dsn_parsed verdict = parse(a, bytes_of(row[k].in), &r);

		if (verdict != row[k].verdict)
			print_message("row %zu: %s\n", k, row[k].in);
		assert_int_equal(verdict, row[k].verdict);
		/* nothing of what did not read is left to be used */
		assert_int_equal(r.returned.n_fields != 0,
		    verdict == DSN_PARSED);
		assert_int_equal(r.n_recipients, verdict == DSN_NO_REPORT ||
		    verdict == DSN_MALFORMED ? 0 : 1);
		assert_true(verdict == DSN_PARSED || !r.has_returned_body);
	}
	arena_free(&a);
}

/* What is in the status part, put between good parts. */
static void
statuses(void **state)
{
#define FINAL "Final-Recipient: rfc822; a@b\r\n"
#define ACTION "Action: failed\r\n"
#define STATUS "Status: 5.1.1\r\n"
	static const struct {
		const char *in;
		size_t n;	/* recipients; 0: malformed */
	} row[] = {
		{DSN_MTA "\r\n" FINAL ACTION STATUS, 1},
		{"\r\n" DSN_MTA "\r\n\r\n\r\n" FINAL ACTION STATUS "\r\n\r\n",
		 1},
		{DSN_MTA "\r\n" FINAL ACTION STATUS "\r\n" FINAL ACTION
		 STATUS, 2},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 5.999.999", 1},
		{DSN_MTA "\r\n" FINAL "Action: expanded\r\nStatus: 2.0.0\r\n",
		 1},
		{DSN_MTA "\r\n" FINAL "Action: delivered\r\n" STATUS, 1},
		{DSN_MTA "\r\n" FINAL "Action: relayed\r\n" STATUS, 1},
		/* groups */
		{"", 0},
		{DSN_MTA, 0},
		{DSN_MTA FINAL ACTION STATUS, 0},
		{FINAL ACTION STATUS "\r\n" DSN_MTA, 0},
		{FINAL ACTION STATUS, 0},
		{DSN_MTA "\r\n" FINAL ACTION STATUS "\r\n" DSN_MTA, 0},
		{DSN_MTA "\r\n" FINAL ACTION STATUS "\r\nnot a field\r\n", 0},
		{DSN_MTA "\r\n continued\r\n" FINAL ACTION STATUS, 0},
		/* fields of the message */
		{"X-A: b\r\n\r\n" FINAL ACTION STATUS, 0},
		{DSN_MTA DSN_MTA "\r\n" FINAL ACTION STATUS, 0},
		{"Reporting-MTA: mx\r\n\r\n" FINAL ACTION STATUS, 0},
		{"Reporting-MTA: dns;\r\n\r\n" FINAL ACTION STATUS, 0},
		{"Reporting-MTA: ; mx\r\n\r\n" FINAL ACTION STATUS, 0},
		{DSN_MTA "Original-Envelope-Id: 1\r\nOriginal-Envelope-Id: 1"
		 "\r\n\r\n" FINAL ACTION STATUS, 0},
		/* fields of a recipient */
		{DSN_MTA "\r\n" ACTION STATUS, 0},
		{DSN_MTA "\r\n" FINAL STATUS, 0},
		{DSN_MTA "\r\n" FINAL ACTION, 0},
		{DSN_MTA "\r\n" FINAL FINAL ACTION STATUS, 0},
		{DSN_MTA "\r\n" FINAL ACTION ACTION STATUS, 0},
		{DSN_MTA "\r\n" FINAL ACTION STATUS STATUS, 0},
		{DSN_MTA "\r\n" FINAL ACTION STATUS "Diagnostic-Code: a\r\n"
		 "Diagnostic-Code: b\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION STATUS "Original-Recipient: a@b"
		 "\r\n", 0},
		{DSN_MTA "\r\nFinal-Recipient: a@b\r\n" ACTION STATUS, 0},
		{DSN_MTA "\r\nFinal-Recipient: rfc822;\r\n" ACTION STATUS, 0},
		{DSN_MTA "\r\n" FINAL "Action: bounced\r\n" STATUS, 0},
		{DSN_MTA "\r\n" FINAL "Action: failed failed\r\n" STATUS, 0},
		{DSN_MTA "\r\n" FINAL "Action:\r\n" STATUS, 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 3.1.1\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 55.1.1\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 5.1\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 5.1.\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 5..1\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 5.1.1.1\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 5.1.1111\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 5.1111.1\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 550\r\n", 0},
		{DSN_MTA "\r\n" FINAL ACTION "Status: 5.1.1 no\r\n", 0},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		enum dsn_parsed verdict;
		struct dsn_report r;
		struct buf text;

		assert_int_equal(arena_buf(a, 2000, &text), 0);
		buf_printf(&text, DSN_TYPE "\r\n" DSN_TEXT "--=_b\r\n"
		    DSN_STATUS_TYPE "\r\n%s\r\n" GOOD_END, row[k].in);
		assert_false(text.full);
		verdict = parse(a, buf_bytes(&text), &r);
		if ((verdict == DSN_PARSED) != (row[k].n != 0))
			print_message("row %zu: %s\n", k, row[k].in);
		assert_int_equal(verdict, row[k].n != 0 ? DSN_PARSED :
		    DSN_MALFORMED);
		assert_int_equal(r.n_recipients, row[k].n);
	}
	arena_free(&a);
}

/* What is returned is there octet for octet, and nothing else is. */
static void
what_is_returned(void **state)
{
	static const struct {
		const char *type, *in;
		size_t n;
		bool has_body;
		const char *body;
	} row[] = {
		{"message/rfc822", RETURNED, 2, true, "body\r\n"},
		{"message/global", RETURNED, 2, true, "body\r\n"},
		{"message/rfc822; charset=x", RETURNED, 2, true, "body\r\n"},
		{"message/rfc822", FIELDS "\r\n\r\n\r\n a \r\n\r\n", 2, true,
		 "\r\n\r\n a \r\n\r\n"},
		{"message/rfc822", FIELDS "\r\n", 2, true, ""},
		{"message/rfc822", FIELDS, 2, true, ""},
		{"message/rfc822", "A: b", 1, true, ""},
		{"text/rfc822-headers", FIELDS, 2, false, ""},
		{"text/rfc822-headers", "A: b", 1, false, ""},
		{"text/rfc822-headers", FIELDS "\r\n", 2, false, ""},
		/* what is no header field is nobody's word */
		{"text/rfc822-headers", RETURNED, 2, false, ""},
		{"message/global-headers", FIELDS, 2, false, ""},
		/* octets are octets */
		{"message/rfc822", "A: \xc3\xa9\xff\r\n\r\n\x80\r\n", 1, true,
		 "\x80\r\n"},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct dsn_report r;
		struct buf text;

		assert_int_equal(arena_buf(a, 2000, &text), 0);
		buf_printf(&text, DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS
		    "--=_b\r\nContent-Type: %s\r\n\r\n%s" DSN_END,
		    row[k].type, row[k].in);
		assert_int_equal(parse(a, buf_bytes(&text), &r), DSN_PARSED);
		assert_int_equal(r.returned.n_fields, row[k].n);
		assert_int_equal(r.has_returned_body, row[k].has_body);
		kit_assert_bytes(r.returned_body, row[k].body);
		assert_true(bytes_starts(bytes_of(row[k].in),
		    r.returned.header));
	}
	arena_free(&a);
}

/*
 * F7: ten thousand parts, ten thousand recipients, multiparts nested ten
 * thousand deep and delimiters that are each other's beginning.
 */
static void
bombs(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct arena *b = arena_new(32768);
	struct dsn_report r;
	struct buf text;

	(void)state;
	assert_int_equal(arena_buf(a, 4 << 20, &text), 0);
	buf_add_str(&text, DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS);
	for (size_t k = 0; k < 10000; k++)
		buf_add_str(&text, DSN_WHOLE RETURNED "\r\n");
	buf_add_str(&text, "--=_b--");
	assert_int_equal(parse(b, buf_bytes(&text), &r), DSN_MALFORMED);

	text.n = 0;
	buf_add_str(&text, DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS);
	for (size_t k = 1; k < DSN_RECIPIENTS_MAX; k++)
		buf_add_str(&text, "\r\n" DSN_RCPT);
	buf_add_str(&text, GOOD_END);
	assert_int_equal(parse(a, buf_bytes(&text), &r), DSN_PARSED);
	assert_int_equal(r.n_recipients, DSN_RECIPIENTS_MAX);
	text.n -= sizeof(GOOD_END) - 1;
	buf_add_str(&text, "\r\n" DSN_RCPT GOOD_END);
	assert_int_equal(parse(b, buf_bytes(&text), &r), DSN_MALFORMED);

	/* nothing inside a part is looked at, however deep */
	text.n = 0;
	buf_add_str(&text, DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_WHOLE
	    "Content-Type: multipart/mixed; boundary=0\r\n\r\n");
	for (unsigned k = 0; k < 10000; k++)
		buf_printf(&text, "--%u\r\nContent-Type: multipart/mixed; "
		    "boundary=%u\r\n\r\n", k, k + 1);
	buf_add_str(&text, DSN_END);
	assert_false(text.full);
	assert_int_equal(parse(b, buf_bytes(&text), &r), DSN_PARSED);
	assert_int_equal(r.returned.n_fields, 1);

	text.n = 0;
	buf_add_str(&text, DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS DSN_WHOLE
	    RETURNED);
	for (size_t k = 0; k < 10000; k++)
		buf_add_str(&text, "--=_\r\n--=_\r\n--=\r\n");
	buf_add_str(&text, "--=_b=_b\r\n" DSN_END);
	assert_int_equal(parse(b, buf_bytes(&text), &r), DSN_MALFORMED);

	/* as many fields as a message of ours may have, and one more */
	for (size_t k = 0; k < 2; k++) {
		text.n = 0;
		buf_add_str(&text, DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS
		    DSN_HEADER);
		for (size_t j = 0; j < DSN_RETURNED_FIELDS_MAX + k; j++)
			buf_add_str(&text, "A: b\r\n");
		buf_add_str(&text, DSN_END);
		assert_int_equal(parse(a, buf_bytes(&text), &r), k == 0 ?
		    DSN_PARSED : DSN_RETURNED_MALFORMED);
	}
	arena_free(&a);
	arena_free(&b);
}

/* Every small cap is a clean -E_NOMEM, never another verdict. */
static void
every_small_arena(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_message m;
	struct bytes body = kit_split(BYTES_LIT(DSN_TYPE "\r\n" DSN_TEXT
	    DSN_STATUS GOOD_END), &m, a);
	size_t n_failed = 0;
	int e = -E_NOMEM;

	(void)state;
	for (size_t cap = 0; e != 0; cap += 16) {
		struct arena *b = arena_new(cap);
		enum dsn_parsed verdict;
		struct dsn_report r;

		assert_true(cap < 100000);
		e = dsn_report_parse(&r, &m, body, b, &verdict);
		if (e == 0)
			assert_int_equal(verdict, DSN_PARSED);
		else
			assert_int_equal(e, -E_NOMEM);
		n_failed += e != 0;
		arena_free(&b);
	}
	assert_true(n_failed > 3);
	arena_free(&a);
}

/* Cut short anywhere, a report is none. */
static void
every_beginning(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct bytes whole = BYTES_LIT(DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS
	    GOOD_END);

	(void)state;
	for (size_t n = sizeof(DSN_TYPE) + 1; n + 2 < whole.n; n++) {
		struct dsn_report r;

		assert_int_equal(parse(a, bytes_first(whole, n), &r),
		    DSN_MALFORMED);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_is_read),
		cmocka_unit_test(reports_and_others),
		cmocka_unit_test(statuses),
		cmocka_unit_test(what_is_returned),
		cmocka_unit_test(bombs),
		cmocka_unit_test(every_small_arena),
		cmocka_unit_test(every_beginning),
	};

	return cmocka_run_group_tests_name("dsn/parse", tests, NULL, NULL);
}
