#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/repair.h"

#define FROM "From: <a@example.org>\r\n"
#define DATE "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
#define ID "Message-ID: <4fqk2x@example.org>\r\n"
#define MIME "MIME-Version: 1.0\r\n"
#define TYPE(charset) "Content-Type: text/plain; charset=" charset "\r\n"
#define CTE "Content-Transfer-Encoding: 8bit\r\n"
#define UMLAUT "gr\xc3\xbc\xc3\x9f\x65\r\n"

static const struct repair_facts facts = {
	.time_s = 1700000000,
	.id = BYTES_LIT("4fqk2x"),
	.domain = BYTES_LIT("example.org"),
	.hostname = "hop.example",
};

static const char *
written(const char *header, struct bytes body, const struct repair_facts *f)
{
	static char text[REPAIR_MAX + 1];
	struct buf out = {(uint8_t *)text, 0, REPAIR_MAX, false};
	struct arena *a = arena_new(1 << 20);
	struct dkim2_message m;
	struct repair r;

	assert_non_null(a);
	assert_int_equal(dkim2_message_parse(&m, bytes_of(header), 100, a), 0);
	repair_look(&r, &m, body);
	repair_write(&r, f, &out);
	assert_false(out.full);
	assert_int_equal(r.lacks == 0, out.n == 0);
	text[out.n] = '\0';
	arena_free(&a);
	return text;
}

static void
what_is_lacking_is_added_and_nothing_else(void **state)
{
	static const struct {
		const char *header;
		const char *body;
		const char *want;
	} row[] = {
		{FROM, "x\r\n", DATE ID},
		{FROM DATE, "x\r\n", ID},
		{FROM ID, "x\r\n", DATE},
		{FROM DATE ID, "x\r\n", ""},
		/* a field that is there stays, whatever it says */
		{FROM "date:\r\nMESSAGE-ID: nonsense\r\n", "x\r\n", ""},
		/* octets of 8 bits that nothing declares */
		{FROM DATE ID, UMLAUT, MIME TYPE("utf-8") CTE},
		{FROM DATE ID, "gr\xfc\xdf\x65\r\n",
		    MIME TYPE("unknown-8bit") CTE},
		{FROM DATE ID, "a long line of text and then \xc3\xa4 and \xe4\r\n",
		    MIME TYPE("unknown-8bit") CTE},
		{FROM DATE ID, "\xc3\xa4 and then, at the very end, \xc3",
		    MIME TYPE("unknown-8bit") CTE},
		{FROM, UMLAUT, DATE ID MIME TYPE("utf-8") CTE},
		{FROM DATE ID "Content-Type: text/html\r\n", UMLAUT, MIME CTE},
		{FROM DATE ID CTE, UMLAUT, MIME TYPE("utf-8")},
		{FROM DATE ID MIME, UMLAUT, CTE},
		{FROM DATE ID MIME "Content-Type: text/plain\r\n", UMLAUT, CTE},
		{FROM DATE ID MIME CTE, UMLAUT, ""},
		{FROM DATE ID MIME "Content-Transfer-Encoding: 7bit\r\n", UMLAUT, ""},
		{FROM DATE ID MIME "Content-Type:\r\n\tMultiPart/mixed; boundary=x\r\n",
		    UMLAUT, ""},
		{FROM DATE ID "Content-Type: multipart/mixed; boundary=x\r\n",
		    UMLAUT, MIME},
		/* 8 bits in the header alone */
		{FROM DATE ID "Subject: " UMLAUT, "x\r\n", ""},
		/* mail with DKIM2 fields is never touched */
		{FROM "DKIM2-Signature: i=1\r\n", UMLAUT, ""},
		{FROM "message-instance: m=1\r\n", UMLAUT, ""},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		const char *got = written(row[k].header, bytes_of(row[k].body),
		    &facts);

		if (strcmp(got, row[k].want) != 0)
			fail_msg("row %zu: %s", k, got);
	}
}

/* An octet of 8 bits is seen wherever it stands. */
static void
octets_of_8_bits_are_found_at_every_place(void **state)
{
	uint8_t body[41];

	(void)state;
	for (size_t n = 1; n <= sizeof(body); n++) {
		memset(body, 'a', sizeof(body));
		assert_string_equal(written(FROM DATE ID,
		    (struct bytes){body, n}, &facts), "");
		for (size_t at = 0; at < n; at++) {
			body[at] = 0xe4;
			assert_string_equal(written(FROM DATE ID,
			    (struct bytes){body, n}, &facts),
			    MIME TYPE("unknown-8bit") CTE);
			body[at] = 'a';
		}
	}
}

/* What has no place in a message-id is not put there. */
static void
the_domain_is_that_of_from_where_it_is_plain(void **state)
{
	static const struct {
		struct bytes domain;
		const char *want;
	} row[] = {
		{BYTES_LIT("Example.ORG"), "Message-ID: <4fqk2x@Example.ORG>\r\n"},
		{BYTES_LIT("xn--a-1.example"), "Message-ID: <4fqk2x@xn--a-1.example>\r\n"},
#define OURS "Message-ID: <4fqk2x@hop.example>\r\n"
		{BYTES_LIT(""), OURS},
		{BYTES_LIT("."), OURS},
		{BYTES_LIT(".example"), OURS},
		{BYTES_LIT("a..example"), OURS},
		{BYTES_LIT("example."), OURS},
		{BYTES_LIT("b\xc3\xbc" "cher.example"), OURS},
		{BYTES_LIT("[192.0.2.1]"), OURS},
		{BYTES_LIT("a>\r\nBcc: <x"), OURS},
	};
	uint8_t octets[256];
	struct repair_facts f = facts;

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		f.domain = row[k].domain;
		assert_string_equal(written(FROM DATE, BYTES_LIT("x\r\n"), &f),
		    row[k].want);
	}
	memset(octets, 'a', sizeof(octets));
	f.domain = (struct bytes){octets, sizeof(octets)};
	assert_string_equal(written(FROM DATE, BYTES_LIT("x\r\n"), &f), OURS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_lacking_is_added_and_nothing_else),
		cmocka_unit_test(octets_of_8_bits_are_found_at_every_place),
		cmocka_unit_test(the_domain_is_that_of_from_where_it_is_plain),
	};

	return cmocka_run_group_tests_name("daemon/repair", tests, NULL, NULL);
}
