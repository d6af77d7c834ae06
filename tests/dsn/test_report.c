/* DSNs that we write: exact, clean, and read by our own reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dsn/report.h"
#include "tests/dkim2/kit.h"

#define HEADER "Received: from a by b; x\r\nFrom: Alice <alice@example.org>\r\n" \
	"Subject: hello\r\n"
#define BODY "one\r\n\r\n--two\r\n"

static const struct dsn_failed bob = {
	.final = BYTES_LIT("bob@lists.example"),
	.status = BYTES_LIT("5.1.1"),
};

static struct dsn_made
plain(void)
{
	return (struct dsn_made){
		.domain = BYTES_LIT("lists.example"),
		.to = BYTES_LIT("<alice@example.org>"),
		.hostname = BYTES_LIT("mx.lists.example"),
		.id = BYTES_LIT("4fQk2x"),
		.now_s = 1795341660,
		.rcpts = &bob,
		.n_rcpts = 1,
		.returned_header = BYTES_LIT(HEADER),
	};
}

/* Written, and what our reader finds in it. */
struct seen {
	struct bytes header, body;
	bool is_8bit;
	enum dsn_parsed parsed;
	struct dsn_report report;
	struct dkim2_message message;
};

static struct seen
write_and_read(struct arena *a, const struct dsn_made *d)
{
	struct seen s;

	assert_int_equal(dsn_report_write(d, a, &s.header, &s.body,
	    &s.is_8bit), 0);
	assert_int_equal(dkim2_message_parse(&s.message, s.header, 100, a),
	    0);
	assert_int_equal(dsn_report_parse(&s.report, &s.message, s.body, a,
	    &s.parsed), 0);
	return s;
}

static bool
holds(struct bytes b, const char *text)
{
	return bytes_find(b, bytes_of(text)) < b.n;
}

/* Lines as RFC 5322 2.1.1 wants them, all ASCII; what we fold is shorter. */
static void
assert_lines(struct bytes b, size_t longest)
{
	while (b.n != 0) {
		size_t n = bytes_find(b, BYTES_LIT("\r\n"));

		assert_true(n < b.n && n <= longest);
		for (size_t k = 0; k < n; k++)
			assert_true(b.p[k] == '\t' ||
			    (b.p[k] >= ' ' && b.p[k] < 0x7f));
		b = bytes_skip(b, n + 2);
	}
}

static struct bytes
boundary_of(struct bytes header)
{
	static const struct bytes before = BYTES_LIT("boundary=\"");
	size_t at = bytes_find(header, before);

	assert_true(at < header.n);
	header = bytes_skip(header, at + before.n);
	return bytes_first(header, bytes_index(header, '"'));
}

/* The text with each $ as the boundary. */
static void
assert_written(struct bytes got, struct bytes boundary, const char *text)
{
	struct bytes rest = bytes_of(text);
	char room[8192];
	struct buf all = BUF_ON(room);

	while (rest.p != NULL) {
		buf_add(&all, bytes_cut(&rest, '$'));
		if (rest.p != NULL)
			buf_add(&all, boundary);
	}
	buf_add_octet(&all, 0);
	assert_false(all.full);
	kit_assert_bytes(got, room);
}

static void
a_report_is_written(void **state)
{
	static const struct dsn_failed failed = {
		.final = BYTES_LIT("bob@lists.example"),
		.original = BYTES_LIT("rfc822;Bob@lists.example"),
		.status = BYTES_LIT("5.2.2"),
		.diagnostic = BYTES_LIT("552-5.2.2 The mailbox is full,\r\n"
		    "552 5.2.2 as it has been for a long time by now"),
	};
	struct arena *a = arena_new(KIT_ARENA);
	struct dsn_made d = plain();
	struct seen s;

	(void)state;
	d.rcpts = &failed;
	d.envid = BYTES_LIT("id 1");
	d.arrived_s = 1795341600;
	d.returned_body = BYTES_LIT(BODY);
	d.has_returned_body = true;
	s = write_and_read(a, &d);
	assert_written(s.header, boundary_of(s.header),
	    "Date: Sun, 22 Nov 2026 10:01:00 +0000\r\n"
	    "From: Mail Delivery System <MAILER-DAEMON@lists.example>\r\n"
	    "To: <alice@example.org>\r\n"
	    "Subject: Your message could not be delivered\r\n"
	    "Message-ID: <4fQk2x.dsn@lists.example>\r\n"
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"$\"\r\n");
	assert_written(s.body, boundary_of(s.header),
	    "--$\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
	    "This is the mail system at mx.lists.example.\r\n\r\n"
	    "Your message could not be delivered to the recipient below, and "
	    "it will not\r\nbe tried again.\r\n\r\n"
	    "<bob@lists.example>\r\n"
	    "    The mailbox is full. (5.2.2)\r\n"
	    "    The server said: 552-5.2.2 The mailbox is full, 552 5.2.2 as "
	    "it has been\r\n    for a long time by now\r\n"
	    "    Send it again later, or reach the person in another way."
	    "\r\n\r\n"
	    "A report for programs and the message are attached.\r\n\r\n"
	    "--$\r\n"
	    "Content-Type: message/delivery-status\r\n\r\n"
	    "Reporting-MTA: dns; mx.lists.example\r\n"
	    "Original-Envelope-Id: id 1\r\n"
	    "Arrival-Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n"
	    "Original-Recipient: rfc822; Bob@lists.example\r\n"
	    "Final-Recipient: rfc822; bob@lists.example\r\n"
	    "Action: failed\r\n"
	    "Status: 5.2.2\r\n"
	    "Diagnostic-Code: smtp; 552-5.2.2 The mailbox is full, 552 5.2.2 "
	    "as it has\r\n been for a long time by now\r\n\r\n"
	    "--$\r\n"
	    "Content-Type: message/rfc822\r\n\r\n"
	    HEADER "\r\n" BODY "\r\n--$--\r\n");
	assert_int_equal(s.parsed, DSN_PARSED);
	assert_false(s.is_8bit);
	arena_free(&a);
}

/* What the reader finds is what was to be said. */
static void
our_reader_agrees(void **state)
{
	static const struct dsn_failed failed[] = {
		{.final = BYTES_LIT("bob@lists.example"),
		    .original = BYTES_LIT("rfc822;b@x"),
		    .status = BYTES_LIT("5.1.1"),
		    .diagnostic = BYTES_LIT("550 5.1.1 no")},
		{.final = BYTES_LIT("\"a  ;(\"@lists.example"),
		    .status = BYTES_LIT("4.4.7"), .is_expired = true},
	};
	struct arena *a = arena_new(KIT_ARENA);
	struct dsn_made d = plain();
	struct seen s;

	(void)state;
	d.rcpts = failed;
	d.n_rcpts = COUNT(failed);
	s = write_and_read(a, &d);
	assert_int_equal(s.parsed, DSN_PARSED);
	kit_assert_bytes(s.report.reporting_mta, "mx.lists.example");
	assert_null(s.report.envelope_id.p);
	assert_int_equal(s.report.n_recipients, 2);
	kit_assert_bytes(s.report.recipients[0].final, "bob@lists.example");
	kit_assert_bytes(s.report.recipients[0].original, "b@x");
	kit_assert_bytes(s.report.recipients[0].status, "5.1.1");
	kit_assert_bytes(s.report.recipients[0].diagnostic,
	    "smtp; 550 5.1.1 no");
	kit_assert_bytes(s.report.recipients[1].final,
	    "\"a  ;(\"@lists.example");
	assert_null(s.report.recipients[1].original.p);
	assert_null(s.report.recipients[1].diagnostic.p);
	for (size_t k = 0; k < 2; k++)
		assert_int_equal(s.report.recipients[k].action, DSN_FAILED);
	kit_assert_bytes(s.report.returned.header, HEADER);
	assert_false(s.report.has_returned_body);
	assert_true(holds(s.body, "We tried for a long time"));
	assert_true(holds(s.body, "the header of the message"));
	assert_true(holds(s.body, "recipients below"));
	assert_lines(s.body, 100);
	arena_free(&a);
}

/* A status that is none, or none of a failure, is replaced. */
static void
statuses(void **state)
{
	static const struct {
		const char *in, *out, *late;
	} row[] = {
		{"5.1.1", "5.1.1", "5.1.1"}, {"4.4.7", "4.4.7", "4.4.7"},
		{"5.999.999", "5.999.999", "5.999.999"},
		{"", "5.0.0", "4.4.7"}, {"2.1.5", "5.0.0", "4.4.7"},
		{"3.1.5", "5.0.0", "4.4.7"}, {"5.1", "5.0.0", "4.4.7"},
		{"5.1.1.1", "5.0.0", "4.4.7"}, {"5.1.1000", "5.0.0", "4.4.7"},
		{"5.1000.1", "5.0.0", "4.4.7"}, {"5.0001.1", "5.0.0", "4.4.7"},
		{"5.1.0001", "5.0.0", "4.4.7"}, {"5.1.1\r\n", "5.0.0", "4.4.7"},
		{"55.1.1", "5.0.0", "4.4.7"}, {"5.x.1", "5.0.0", "4.4.7"},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < 2 * COUNT(row); k++) {
		struct dsn_failed f = bob;
		struct dsn_made d = plain();
		struct seen s;

		f.status = bytes_of(row[k / 2].in);
		f.is_expired = k % 2 != 0;
		d.rcpts = &f;
		s = write_and_read(a, &d);
		assert_int_equal(s.parsed, DSN_PARSED);
		kit_assert_bytes(s.report.recipients[0].status,
		    f.is_expired ? row[k / 2].late : row[k / 2].out);
	}
	arena_free(&a);
}

/* Nothing of it begins a line or a field of its own (attacks.md F14). */
static void
hostile_words_are_cleaned(void **state)
{
	static const char reply[] = "550 \x1b[2J no\r\n\r\nAction: delivered\n"
	    "Final-Recipient: rfc822; x@y\t\xff\x7f (\0)";
	static const struct {
		struct bytes original;
		const char *found;
	} row[] = {
		{BYTES_LIT("rfc822;a@b"), "a@b"},
		{BYTES_LIT("RFC822 ; \"a b\"@c "), "\"a b\"@c"},
		{BYTES_LIT("rfc822;a@b\r\nAction: delivered"), NULL},
		{BYTES_LIT("rfc822;a@b\xc3\xbc"), NULL},
		{BYTES_LIT("rfc822;"), NULL},
		{BYTES_LIT("rfc822; "), NULL},
		{BYTES_LIT("a@b"), NULL},
		{BYTES_LIT(";a@b"), NULL},
		{BYTES_LIT("rfc 822;a@b"), NULL},
	};
	struct arena *a = arena_new(KIT_ARENA);
	struct dsn_failed f = {.final = BYTES_LIT("a\r\nb@\x80\x01 c"),
	    .status = BYTES_LIT("5.0.0"),
	    .diagnostic = {(const uint8_t *)reply, sizeof(reply) - 1}};
	struct dsn_made d = plain();
	struct seen s;

	(void)state;
	d.rcpts = &f;
	d.envid = BYTES_LIT("x\r\nAction: delivered");
	d.hostname = BYTES_LIT("mx\r\nX: y");
	d.domain = BYTES_LIT("lists\r\n.example");
	d.to = BYTES_LIT("<a\r\nBcc: b@c>");
	d.id = BYTES_LIT("a\r\nb>c");
	for (size_t k = 0; k < COUNT(row); k++) {
		f.original = row[k].original;
		s = write_and_read(a, &d);
		assert_int_equal(s.parsed, DSN_PARSED);
		assert_int_equal(s.message.n_fields, 8);
		assert_lines(s.header, 100);
		assert_lines(s.body, 100);
		assert_int_equal(s.report.n_recipients, 1);
		kit_assert_bytes(s.report.recipients[0].final, "a b@? c");
		assert_null(s.report.envelope_id.p);
		kit_assert_bytes(s.report.reporting_mta, "mx X: y");
		kit_assert_bytes(s.report.recipients[0].diagnostic,
		    "smtp; 550 [2J no Action: delivered "
		    "Final-Recipient: rfc822;\r\n x@y ? ( )");
		if (row[k].found == NULL)
			assert_null(s.report.recipients[0].original.p);
		else
			kit_assert_bytes(s.report.recipients[0].original,
			    row[k].found);
	}
	arena_free(&a);
}

/* What is long is cut, and no line is past 998 octets. */
static void
long_words_are_cut(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dsn_failed f = bob;
	struct dsn_made d = plain();
	uint8_t *many = arena_alloc(a, 100000);
	struct seen s;

	(void)state;
	memset(many, 'x', 100000);
	f.final = (struct bytes){many, 257};
	f.diagnostic = (struct bytes){many, 100000};
	f.original = (struct bytes){many, 600};
	many[6] = ';';
	d.rcpts = &f;
	d.envid = (struct bytes){many, 101};
	s = write_and_read(a, &d);
	assert_int_equal(s.parsed, DSN_PARSED);
	assert_int_equal(s.report.recipients[0].final.n, 256 + 3);
	assert_int_equal(s.report.recipients[0].diagnostic.n, 6 + 500 + 3);
	assert_null(s.report.recipients[0].original.p);
	assert_null(s.report.envelope_id.p);
	assert_lines(s.body, 600);
	f.final.n = 256;
	f.original.n = 500;
	d.envid.n = 100;
	s = write_and_read(a, &d);
	assert_int_equal(s.report.recipients[0].final.n, 256);
	assert_int_equal(s.report.recipients[0].original.n, 493);
	assert_int_equal(s.report.envelope_id.n, 100);
	arena_free(&a);
}

/* An address in UTF-8 is told in ASCII (RFC 6533 3). */
static void
unicode_recipients(void **state)
{
	static const struct {
		const char *final, *told, *field;
	} row[] = {
		{"j\xc3\xb6rg+a@x", "j\\x{F6}rg\\x{2B}a@x", "utf-8; "},
		{"\xf0\x9f\x90\x9d=\\ b@x", "\\x{1F41D}\\x{3D}\\x{5C}\\x{20}b@x",
		    "utf-8; "},
		{"j\xf6rg@x", "j?rg@x", "rfc822; "},
		{"a+b@x", "a+b@x", "rfc822; "},
		{"", "?", "rfc822; "},
		{"\r\n", "?", "rfc822; "},
	};
	struct arena *a = arena_new(KIT_ARENA);
	struct dsn_failed f = bob;
	struct dsn_made d = plain();
	uint8_t most[256];
	struct seen s;

	(void)state;
	d.rcpts = &f;
	for (size_t k = 0; k < COUNT(row); k++) {
		f.final = bytes_of(row[k].final);
		s = write_and_read(a, &d);
		assert_int_equal(s.parsed, DSN_PARSED);
		kit_assert_bytes(s.report.recipients[0].final, row[k].told);
		assert_true(holds(s.body, row[k].field));
		assert_lines(s.body, 100);
		assert_false(s.is_8bit);
	}
	for (size_t k = 0; k < sizeof(most); k++)
		most[k] = k % 2 == 0 ? 0xdf : 0xbf;
	f.final = (struct bytes){most, sizeof(most)};
	s = write_and_read(a, &d);
	assert_int_equal(s.report.recipients[0].final.n, 128 * 7);
	assert_lines(s.body, 998);
	arena_free(&a);
}

/* What is returned says what it is; a body of 8 bits is not, so that no hop
 * converts a DSN and breaks its signature (attacks.md B6). */
static void
octets_of_8_bit(void **state)
{
	static const struct {
		const char *header, *body, *type;
		bool is_8bit, has_body;
	} row[] = {
		{"A: b\r\n", NULL, "text/rfc822-headers", false, false},
		{"A: b\r\n", "c\r\n", "message/rfc822", false, true},
		{"A: b\r\n", "\xe9\r\n", "text/rfc822-headers", false, false},
		{"A: b\r\n", "\xc3\xa9\r\n", "text/rfc822-headers", false,
		    false},
		{"A: \xc3\xa9\r\n", "c", "message/rfc822", true, true},
		{"A: \xc3\xa9\r\n", NULL, "text/rfc822-headers", true,
		    false},
		{"A: \xe9\r\n", "", "message/rfc822", true, true},
		{"A: \xe9", NULL, "text/rfc822-headers", true, false},
	};
	struct arena *a = arena_new(KIT_ARENA);
	char type[100];

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct dsn_made d = plain();
		struct seen s;

		d.returned_header = bytes_of(row[k].header);
		d.has_returned_body = row[k].body != NULL;
		/* not looked at where it is not returned */
		d.returned_body = row[k].body != NULL ?
		    bytes_of(row[k].body) : BYTES_LIT("\xff");
		s = write_and_read(a, &d);
		assert_int_equal(s.parsed, DSN_PARSED);
		assert_int_equal(s.is_8bit, row[k].is_8bit);
		snprintf(type, sizeof(type), "Content-Type: %s\r\n%s",
		    row[k].type, row[k].is_8bit ?
		    "Content-Transfer-Encoding: 8bit\r\n\r\n" : "\r\n");
		assert_true(holds(s.body, type));
		assert_true(bytes_starts(s.report.returned.header,
		    d.returned_header));
		assert_int_equal(s.report.has_returned_body,
		    row[k].has_body);
		if (row[k].has_body)
			kit_assert_bytes(s.report.returned_body, row[k].body);
	}
	arena_free(&a);
}

/* A message that knows our boundary gets another; the same facts the same. */
static void
boundaries(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dsn_made d = plain();
	struct seen first = write_and_read(a, &d), again, other;
	struct buf body;

	(void)state;
	again = write_and_read(a, &d);
	assert_true(bytes_eq(first.header, again.header));
	assert_true(bytes_eq(first.body, again.body));
	d.id = BYTES_LIT("4fQk2y");
	other = write_and_read(a, &d);
	assert_false(bytes_eq(boundary_of(first.header),
	    boundary_of(other.header)));

	d = plain();
	assert_int_equal(arena_buf(a, 1000, &body), 0);
	buf_add_str(&body, "--");
	buf_add(&body, boundary_of(first.header));
	buf_add_str(&body, "--\r\n");
	d.returned_body = buf_bytes(&body);
	d.has_returned_body = true;
	other = write_and_read(a, &d);
	assert_int_equal(other.parsed, DSN_PARSED);
	assert_true(bytes_eq(other.report.returned_body, buf_bytes(&body)));
	d.has_returned_body = false;
	d.returned_header = BYTES_LIT(HEADER "X: y\r\n");
	other = write_and_read(a, &d);
	assert_false(bytes_eq(boundary_of(first.header),
	    boundary_of(other.header)));
	arena_free(&a);
}

static void
dates(void **state)
{
	static const struct {
		int64_t time_s;
		const char *date;
	} row[] = {
		{0, "Thu, 1 Jan 1970 00:00:00 +0000"},
		{-1, "Thu, 1 Jan 1970 00:00:00 +0000"},
		{951782399, "Mon, 28 Feb 2000 23:59:59 +0000"},
		{951782400, "Tue, 29 Feb 2000 00:00:00 +0000"},
		{951868800, "Wed, 1 Mar 2000 00:00:00 +0000"},
		{1798675199, "Wed, 30 Dec 2026 23:59:59 +0000"},
		{1798761600, "Fri, 1 Jan 2027 00:00:00 +0000"},
		{4107542399, "Sun, 28 Feb 2100 23:59:59 +0000"},
		{4107542400, "Mon, 1 Mar 2100 00:00:00 +0000"},
		{253402300799, "Fri, 31 Dec 9999 23:59:59 +0000"},
		{INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000"},
	};
	struct arena *a = arena_new(KIT_ARENA);
	char line[100];

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct dsn_made d = plain();
		struct seen s;

		d.now_s = row[k].time_s;
		s = write_and_read(a, &d);
		snprintf(line, sizeof(line), "Date: %s\r\n", row[k].date);
		assert_true(holds(s.header, line));
	}
	arena_free(&a);
}

/* In words, what to do about it. */
static void
advice(void **state)
{
	static const struct {
		const char *status, *what;
	} row[] = {
		{"5.1.1", "There is no such address."},
		{"5.1.8", "The address that it came from"},
		{"5.1.7", "The address that it came from"},
		{"5.2.1", "takes no mail"}, {"4.2.2", "is full"},
		{"5.2.3", "too large for the mailbox"},
		{"5.3.4", "too large for the server"},
		{"5.4.6", "in a circle"}, {"4.4.1", "could not be reached"},
		{"4.4.7", "did not take it in time"}, {"5.5.3", "too many"},
		{"5.6.7", "of this kind"}, {"5.7.1", "A rule there"},
		{"5.0.0", "It was refused."}, {"5.2.9", "It was refused."},
		{"5.999.1", "It was refused."},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct dsn_failed f = bob;
		struct dsn_made d = plain();

		f.status = bytes_of(row[k].status);
		d.rcpts = &f;
		assert_true(holds(write_and_read(a, &d).body, row[k].what));
	}
	arena_free(&a);
}

static void
limits(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dsn_failed many[DSN_RECIPIENTS_MAX + 1];
	struct dsn_made d = plain();
	struct bytes header, body;
	struct seen s;
	bool is_8bit;

	(void)state;
	for (size_t k = 0; k < COUNT(many); k++)
		many[k] = bob;
	d.rcpts = many;
	d.n_rcpts = DSN_RECIPIENTS_MAX;
	s = write_and_read(a, &d);
	assert_int_equal(s.parsed, DSN_PARSED);
	assert_int_equal(s.report.n_recipients, DSN_RECIPIENTS_MAX);
	d.n_rcpts++;
	assert_int_equal(dsn_report_write(&d, a, &header, &body, &is_8bit),
	    -E_LIMIT);
	d.n_rcpts = 0;
	assert_int_equal(dsn_report_write(&d, a, &header, &body, &is_8bit),
	    -E_LIMIT);
	d = plain();
	d.returned_header.n = 0;
	assert_int_equal(dsn_report_write(&d, a, &header, &body, &is_8bit),
	    -E_LIMIT);
	arena_free(&a);
}

static void
every_small_arena(void **state)
{
	struct dsn_made d = plain();
	struct bytes header, body;
	bool is_8bit;
	int r = -E_NOMEM;

	(void)state;
	for (size_t n = 0; r != 0; n += 500) {
		struct arena *a = arena_new(n);

		assert_true(n < 100000);
		r = dsn_report_write(&d, a, &header, &body, &is_8bit);
		assert_true(r == 0 || r == -E_NOMEM);
		arena_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_is_written),
		cmocka_unit_test(our_reader_agrees),
		cmocka_unit_test(statuses),
		cmocka_unit_test(hostile_words_are_cleaned),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(unicode_recipients),
		cmocka_unit_test(octets_of_8_bit),
		cmocka_unit_test(boundaries),
		cmocka_unit_test(dates),
		cmocka_unit_test(advice),
		cmocka_unit_test(limits),
		cmocka_unit_test(every_small_arena),
	};

	return cmocka_run_group_tests_name("dsn/report", tests, NULL, NULL);
}
