#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dkim2/mime.h"
#include "tests/dkim2/kit.h"

#define NINE "(((((((((x)))))))))"	/* nine deep */
#define B_35 "01234567890123456789012345678901234"
#define B_70 B_35 B_35

static void
content_types(void **state)
{
	static const struct {
		const char *in;
		bool is_good;
		const char *boundary, *report_type;	/* NULL: none */
	} row[] = {
		{"multipart/report", true, NULL, NULL},
		{" multipart/report; boundary=b", true, "b", NULL},
		{" Multipart/REPORT;\r\n\tBoundary=\"=_b c\";\r\n "
		 "REPORT-type=delivery-status", true, "=_b c",
		 "delivery-status"},
		{"multipart/report;boundary=b;", true, "b", NULL},
		{"multipart/report;boundary=b; \r\n ", true, "b", NULL},
		{"(a) multipart (b) / (c (d) \\) e) report (f) ; (g) boundary "
		 "(h) = (i) b (j)", true, "b", NULL},
		{"multipart/report; charset=\"a\\\"b\\\\\"; boundary=b", true,
		 "b", NULL},
		{"multipart/report; boundaryx=a; boundary=b", true, "b", NULL},
		{"multipart/report; boundary=\"" B_70 "\"", true, B_70, NULL},
		{"multipart/report; boundary=\"'()+_,-./:=? x\"", true,
		 "'()+_,-./:=? x", NULL},
		{"multipart/report; report-type=\"\"", true, NULL, ""},
		/* no Content-Type */
		{"", false, NULL, NULL},
		{"multipart", false, NULL, NULL},
		{"multipart/", false, NULL, NULL},
		{"/report", false, NULL, NULL},
		{"multi part/report", false, NULL, NULL},
		{"multipart/report boundary=b", false, NULL, NULL},
		{"multipart/report, boundary=b", false, NULL, NULL},
		{"multipart/report;; boundary=b", false, NULL, NULL},
		{"multipart/report; =b", false, NULL, NULL},
		{"multipart/report; boundary", false, NULL, NULL},
		{"multipart/report; boundary=", false, NULL, NULL},
		{"multipart/report; boundary=a b", false, NULL, NULL},
		{"multipart/report; boundary==_b", false, NULL, NULL},
		{"multipart/report; boundary=\"b", false, NULL, NULL},
		{"multipart/report; boundary=\"b\\\"", false, NULL, NULL},
		{"multipart/report; boundary=b (", false, NULL, NULL},
		{"multipart/report; boundary=b (\\)", false, NULL, NULL},
		{"multipart/report; boundary=b)", false, NULL, NULL},
		{"multipart/report; boundary=b\r", false, NULL, NULL},
		{"multipart/report; boundary=b\n", false, NULL, NULL},
		/* for two readers two things */
		{"multipart/report; boundary=a; boundary=b", false, NULL,
		 NULL},
		{"multipart/report; boundary=a; BOUNDARY=a", false, NULL,
		 NULL},
		{"multipart/report; report-type=a; report-type=b", false,
		 NULL, NULL},
		{"multipart/report; boundary*=us-ascii''b", false, NULL,
		 NULL},
		{"multipart/report; boundary*0=a; boundary*1=b", false, NULL,
		 NULL},
		{"multipart/report; boundary=a; boundary*0=b", false, NULL,
		 NULL},
		{"multipart/report; report-type*0=delivery", false, NULL,
		 NULL},
		{"multipart/report; boundary=\"a\\b\"", false, NULL, NULL},
		{"multipart/report; boundary=\"a\r\n b\"", false, NULL, NULL},
		{"multipart/report; report-type=\"delivery\\-status\"", false,
		 NULL, NULL},
		/* what no boundary may be */
		{"multipart/report; boundary=\"\"", false, NULL, NULL},
		{"multipart/report; boundary=\"b \"", false, NULL, NULL},
		{"multipart/report; boundary=\"" B_70 "x\"", false, NULL, NULL},
		{"multipart/report; boundary=a*b", false, NULL, NULL},
		{"multipart/report; boundary=\"a\tb\"", false, NULL, NULL},
		{"multipart/report; boundary=\"\xc3\xa9\"", false, NULL, NULL},
		/* F7: comments ten deep, and eleven */
		{"(" NINE ")text/plain", true, NULL, NULL},
		{"((" NINE "))text/plain", false, NULL, NULL},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct mime_type t;
		bool good = mime_type_parse(&t, bytes_of(row[k].in));

		if (good != row[k].is_good)
			print_message("%s\n", row[k].in);
		assert_int_equal(good, row[k].is_good);
		if (!good)
			continue;
		assert_int_equal(t.boundary.p != NULL,
		    row[k].boundary != NULL);
		if (row[k].boundary != NULL)
			kit_assert_bytes(t.boundary, row[k].boundary);
		assert_int_equal(t.report_type.p != NULL,
		    row[k].report_type != NULL);
		if (row[k].report_type != NULL)
			kit_assert_bytes(t.report_type, row[k].report_type);
	}
}

static void
a_nul_is_no_end(void **state)
{
	struct mime_type t;

	(void)state;
	assert_false(mime_type_parse(&t, BYTES_LIT("text/plain\0")));
	assert_false(mime_type_parse(&t, BYTES_LIT("text/pl\0ain")));
	assert_false(mime_type_parse(&t,
	    BYTES_LIT("multipart/report; boundary=\"a\0b\"")));
}

/* Parts are shown as "part|part". */
static void
delimiters(void **state)
{
	static const struct {
		const char *in;
		enum mime_split split;
		const char *parts;
	} row[] = {
		{"--b\r\none\r\n--b--\r\n", MIME_SPLIT, "one"},
		{"--b\r\none\r\n--b--", MIME_SPLIT, "one"},
		{"--b\r\none\r\n--b\r\ntwo\r\n--b--", MIME_SPLIT, "one|two"},
		{"text\r\n--b\r\none\r\n--b--\r\nmore\r\n", MIME_SPLIT, "one"},
		{"\r\n--b\r\none\r\n--b--", MIME_SPLIT, "one"},
		/* padding behind a delimiter */
		{"--b \t\r\none\r\n--b-- \t\r\n", MIME_SPLIT, "one"},
		/* the CRLF before a delimiter is the delimiter's */
		{"--b\r\n\r\n--b--", MIME_SPLIT, ""},
		{"--b\r\n\r\n\r\n--b--", MIME_SPLIT, "\r\n"},
		{"--b\r\none\r\n\r\n--b--", MIME_SPLIT, "one\r\n"},
		/* only a line begins with one */
		{"--b\r\none --b\r\ntwo--b--\r\n--b--", MIME_SPLIT,
		 "one --b\r\ntwo--b--"},
		{"--b\r\none\n--b--\r\ntwo\r\n--b--", MIME_SPLIT,
		 "one\n--b--\r\ntwo"},
		{"--b\r\n --b--\r\n--b--", MIME_SPLIT, " --b--"},
		{"--b\r\n--B--\r\n--c\r\n--b--", MIME_SPLIT, "--B--\r\n--c"},
		/* what is behind the last is nobody's */
		{"--b\r\none\r\n--b--\r\n--b\r\ntwo\r\n--b--", MIME_SPLIT,
		 "one"},
		/* no part at all */
		{"", MIME_SPLIT_UNCLEAR, ""},
		{"--b", MIME_SPLIT_UNCLEAR, ""},
		{"--b\r\n", MIME_SPLIT_UNCLEAR, ""},
		{"--b--", MIME_SPLIT_UNCLEAR, ""},
		{"--b--\r\n", MIME_SPLIT_UNCLEAR, ""},
		{"text", MIME_SPLIT_UNCLEAR, ""},
		{"-b\r\none\r\n-b--", MIME_SPLIT_UNCLEAR, ""},
		/* cut off */
		{"--b\r\none", MIME_SPLIT_UNCLEAR, ""},
		{"--b\r\none\r\n--b", MIME_SPLIT_UNCLEAR, "one"},
		{"--b\r\none\r\n--b\r\n", MIME_SPLIT_UNCLEAR, "one"},
		{"--b\r\none\r\n--b-", MIME_SPLIT_UNCLEAR, "one"},
		{"--b\r\none\r\n--b\r\ntwo", MIME_SPLIT_UNCLEAR, "one"},
		/* F7: a line that goes on behind the delimiter */
		{"--bc\r\none\r\n--b\r\ntwo\r\n--b--", MIME_SPLIT_UNCLEAR, ""},
		{"x\r\n--bc\r\n--b\r\ntwo\r\n--b--", MIME_SPLIT_UNCLEAR, ""},
		{"--b\r\none\r\n--bc\r\n--b--", MIME_SPLIT_UNCLEAR, "one"},
		{"--b\r\none\r\n--b x\r\n--b--", MIME_SPLIT_UNCLEAR, "one"},
		{"--b\r\none\r\n--b--x\r\n--b--", MIME_SPLIT_UNCLEAR, "one"},
		{"--b\r\none\r\n--b\n--b--", MIME_SPLIT_UNCLEAR, "one"},
		{"--b\r\none\r\n--b\r--b--", MIME_SPLIT_UNCLEAR, "one"},
		/* a delimiter that takes the CRLF of the one before */
		{"--b\r\n--b\r\none\r\n--b--", MIME_SPLIT_UNCLEAR, ""},
		{"--b\r\n--b--\r\n", MIME_SPLIT_UNCLEAR, ""},
		{"--b\r\none\r\n--b\r\n--b--", MIME_SPLIT_UNCLEAR, "one"},
		/* F7: one more than there may be */
		{"--b\r\n1\r\n--b\r\n2\r\n--b\r\n3\r\n--b\r\n4\r\n--b--",
		 MIME_SPLIT, "1|2|3|4"},
		{"--b\r\n1\r\n--b\r\n2\r\n--b\r\n3\r\n--b\r\n4\r\n--b\r\n5\r\n"
		 "--b--", MIME_SPLIT_MANY, "1|2|3|4"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes in = bytes_of(row[k].in), parts[4];
		uint8_t room[200];
		struct buf got = BUF_ON(room);
		size_t n;
		enum mime_split s = mime_split(in, BYTES_LIT("b"), parts, 4,
		    &n);

		if (s != row[k].split)
			print_message("row %zu: %s\n", k, row[k].in);
		assert_int_equal(s, row[k].split);
		for (size_t j = 0; j < n; j++) {
			assert_true(parts[j].p >= in.p &&
			    parts[j].p + parts[j].n <= in.p + in.n);
			if (j != 0)
				buf_add_octet(&got, '|');
			buf_add(&got, parts[j]);
		}
		kit_assert_bytes(buf_bytes(&got), row[k].parts);
	}
}

static void
encodings(void **state)
{
	static const struct {
		const char *in;
		enum mime_encoding encoding;
	} row[] = {
		{"A: b\r\n", MIME_PLAIN},
		{"Content-Transfer-Encoding: 7bit\r\n", MIME_PLAIN},
		{"content-transfer-encoding:8BIT\r\n", MIME_PLAIN},
		{"Content-Transfer-Encoding: (x)\r\n 7bit (y)\r\n",
		 MIME_PLAIN},
		{"Content-Transfer-Encoding: binary\r\n", MIME_ENCODED},
		{"Content-Transfer-Encoding: quoted-printable\r\n",
		 MIME_ENCODED},
		{"Content-Transfer-Encoding: base64\r\n", MIME_ENCODED},
		{"Content-Transfer-Encoding: x-mine\r\n", MIME_ENCODED},
		{"Content-Transfer-Encoding:\r\n", MIME_UNCLEAR},
		{"Content-Transfer-Encoding: 7bit 8bit\r\n", MIME_UNCLEAR},
		{"Content-Transfer-Encoding: 7bit;\r\n", MIME_UNCLEAR},
		{"Content-Transfer-Encoding: \"7bit\"\r\n", MIME_UNCLEAR},
		{"Content-Transfer-Encoding: 7bit (\r\n", MIME_UNCLEAR},
		{"Content-Transfer-Encoding: 7bit\r\n"
		 "Content-Transfer-Encoding: 7bit\r\n", MIME_UNCLEAR},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_message m;

		assert_int_equal(dkim2_message_parse(&m, bytes_of(row[k].in),
		    10, a), 0);
		assert_int_equal(mime_encoding_of(&m), row[k].encoding);
	}
	arena_free(&a);
}

static void
parts(void **state)
{
	static const struct {
		const char *in;
		bool is_good;
		const char *subtype, *body;
	} row[] = {
		{"", true, "plain", ""},
		{"\r\ntext", true, "plain", "text"},
		{"\r\n\r\ntext", true, "plain", "\r\ntext"},
		{"Content-Type: text/html\r\n\r\ntext", true, "html", "text"},
		{"Content-Type: text/html\r\n\r\n", true, "html", ""},
		/* a header and no body */
		{"Content-Type: text/html\r\n", true, "html", ""},
		{"Content-Type: text/html", true, "html", ""},
		{"Content-ID: <a>\r\n\r\ntext", true, "plain", "text"},
		{"text\r\n\r\ntext", false, NULL, NULL},
		{" Content-Type: text/html\r\n\r\n", false, NULL, NULL},
		{"Content-Type: text\r\n\r\n", false, NULL, NULL},
		{"Content-Type: text/html\r\nContent-Type: text/html\r\n\r\n",
		 false, NULL, NULL},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct mime_part p;
		bool good;

		assert_int_equal(mime_part_parse(&p, bytes_of(row[k].in), a,
		    &good), 0);
		assert_int_equal(good, row[k].is_good);
		if (!good)
			continue;
		kit_assert_bytes(p.type.subtype, row[k].subtype);
		kit_assert_bytes(p.body, row[k].body);
	}
	arena_free(&a);
}

/* F7: the header of a part is bounded; the cap of the arena is clean. */
static void
part_headers_are_bounded(void **state)
{
	static uint8_t room[MIME_FIELDS_MAX * 6 + 12];
	struct buf text = BUF_ON(room);
	struct arena *a = arena_new(KIT_ARENA);
	struct arena *small = arena_new(64);
	struct mime_part p;
	bool good;

	(void)state;
	for (size_t k = 0; k < MIME_FIELDS_MAX; k++)
		buf_add_str(&text, "A: b\r\n");
	assert_int_equal(mime_part_parse(&p, buf_bytes(&text), a, &good), 0);
	assert_true(good);
	assert_int_equal(mime_part_parse(&p, buf_bytes(&text), small, &good),
	    -E_NOMEM);
	buf_add_str(&text, "A: b\r\n");
	assert_int_equal(mime_part_parse(&p, buf_bytes(&text), a, &good), 0);
	assert_false(good);
	arena_free(&a);
	arena_free(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_types),
		cmocka_unit_test(a_nul_is_no_end),
		cmocka_unit_test(delimiters),
		cmocka_unit_test(encodings),
		cmocka_unit_test(parts),
		cmocka_unit_test(part_headers_are_bounded),
	};

	return cmocka_run_group_tests_name("dsn/mime", tests, NULL, NULL);
}
