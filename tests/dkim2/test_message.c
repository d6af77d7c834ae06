#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dkim2/from.h"
#include "dkim2/unsigned.h"
#include "tests/dkim2/kit.h"

static void
header_ends_at_the_empty_line(void **state)
{
	static const struct {
		const char *in;
		size_t n, body_at;	/* SIZE_MAX: not yet */
	} row[] = {
		{"", SIZE_MAX, 0},
		{"\r\n", 0, 2},
		{"\r\nbody", 0, 2},
		{"A: b\r\n", SIZE_MAX, 0},
		{"A: b\r\n\r\n", 6, 8},
		{"A: b\r\n\r\nx\r\n\r\n", 6, 8},
		{"A: b\r\n\r", SIZE_MAX, 0},
		{"A: b\n\nx", SIZE_MAX, 0},
		{"A: b\r\n \r\n\r\n", 9, 11},
		{"A: b\r\r\n\r\n", 7, 9},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes in = bytes_of(row[k].in);
		size_t body_at = 0;

		assert_int_equal(dkim2_header_end(in, &body_at), row[k].n);
		assert_int_equal(body_at, row[k].body_at);
		/* the same, as the octets come one by one */
		for (size_t n = 1; n <= in.n; n++) {
			size_t got = dkim2_header_end_from(bytes_first(in, n),
			    n - 1, &body_at);

			assert_int_equal(got, n < row[k].body_at ||
			    row[k].n == SIZE_MAX ? SIZE_MAX : row[k].n);
			if (got != SIZE_MAX)
				break;
		}
	}
}

static void
fields_are_views(void **state)
{
	static const char header[] =
	    "Received: x\r\n\ty\r\n z\r\nB :1\r\nb:\r\n: no";
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_message m;
	const struct dkim2_field *first;
	struct bytes in = bytes_first(bytes_of(header), sizeof(header) - 5);

	(void)state;
	assert_int_equal(dkim2_message_parse(&m, in, 3, a), 0);
	assert_int_equal(m.n_fields, 3);
	kit_assert_bytes(m.fields[0].raw, "Received: x\r\n\ty\r\n z\r\n");
	kit_assert_bytes(m.fields[0].name, "Received");
	kit_assert_bytes(m.fields[0].value, " x\r\n\ty\r\n z");
	kit_assert_bytes(m.fields[1].raw, "B :1\r\n");
	kit_assert_bytes(m.fields[1].name, "B");
	kit_assert_bytes(m.fields[1].value, "1");
	kit_assert_bytes(m.fields[2].value, "");
	assert_ptr_equal(m.fields[0].raw.p, header);
	assert_int_equal(dkim2_message_find(&m, BYTES_LIT("b"), &first), 2);
	assert_ptr_equal(first, &m.fields[1]);
	assert_int_equal(dkim2_message_find(&m, BYTES_LIT("c"), &first), 0);
	arena_free(&a);
}

/* F6: more fields than allowed, and lines that are no field. */
static void
what_is_no_header(void **state)
{
	static const struct {
		const char *in;
		int result;
	} row[] = {
		{"", 0},
		{"A: b", 0},
		{"A:\r\nB:\r\nC:\r\n", 0},
		{"A:\r\nB:\r\nC:\r\nD:\r\n", -E_LIMIT},
		{"A:\r\nno colon\r\n", -E_SYNTAX},
		{"A:\r\nno", -E_SYNTAX},
		{"A:\r\nno\r\n :colon\r\n", -E_SYNTAX},
		{" A: folded first\r\n", -E_SYNTAX},
		{"\tA: x\r\n", -E_SYNTAX},
		{": x\r\n", -E_SYNTAX},
		{" : x\r\n", -E_SYNTAX},
		{"A b: x\r\n", -E_SYNTAX},
		{"A\x01: x\r\n", -E_SYNTAX},
		{"\xc3\xa9: x\r\n", -E_SYNTAX},
		{"A: b\r\n\r\nC: d\r\n", -E_SYNTAX},
	};
	struct arena *a = arena_new(KIT_ARENA), *small = arena_new(16);
	struct dkim2_message m;

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		assert_int_equal(dkim2_message_parse(&m, bytes_of(row[k].in),
		    3, a), row[k].result);
	assert_int_equal(dkim2_message_parse(&m, BYTES_LIT("A:\r\n"), 3,
	    small), -E_NOMEM);
	arena_free(&small);
	arena_free(&a);
}

/* V5: one mailbox is told from all that only looks like one. */
static void
from_names_one_mailbox(void **state)
{
	static const struct {
		const char *value, *domain;	/* NULL: unclear */
	} row[] = {
		{"a@b.example", "b.example"},
		{" a@b.example ", "b.example"},
		{"<a@b.example>", "b.example"},
		{"Name <a@b.example>", "b.example"},
		{"A B. C <a.b+c@B.example>", "B.example"},
		{"\"A, <x@y>, B\" <a@b.example>", "b.example"},
		{"\"q \\\" q\"@b.example", "b.example"},
		{"\"a@x\"@b.example", "b.example"},
		{"(c (n) \\) c) a (x) @ (y) b.example (z)", "b.example"},
		{"Name\r\n <a@b.example>", "b.example"},
		{"=?utf-8?q?x=40y?= <a@b.example>", "b.example"},
		{"J\xc3\xb6rg <j\xc3\xb6rg@b.example>", "b.example"},
		{"a . b @b.example", "b.example"},
		{"a@localhost", "localhost"},
		{"a@_x.b-c.example", "_x.b-c.example"},
		{"a@b.example <a@b.example>", "b.example"},
		{"\r\n a@b.example (x)\r\n\t<a@b.example> (y)", "b.example"},
		{"<a@b.example> <a@b.example>", NULL},
		{"a@b.example <a@b.example> <a@b.example>", NULL},
		{"A@b.example <a@b.example>", NULL},
		{"a@b.example <a@B.example>", NULL},
		{"a@b.example <a@b.example>, c@d.example", NULL},
		{"a@b.example a@b.example", NULL},
		{"", NULL},
		{" ", NULL},
		{"Name", NULL},
		{"a@", NULL},
		{"@b.example", NULL},
		{"<>", NULL},
		{"<@b.example>", NULL},
		{"a b@b.example", NULL},
		{".a@b.example", NULL},
		{"a.@b.example", NULL},
		{"a..b@b.example", NULL},
		{"a@b.example.", NULL},
		{"a@.b.example", NULL},
		{"a@b..example", NULL},
		{"a@b.example c", NULL},
		{"a@b. example", NULL},
		{"a@[192.0.2.1]", NULL},
		{"a@b.example, c@d.example", NULL},
		{"a@b.example,", NULL},
		{"group: a@b.example;", NULL},
		{"group:a@b.example", NULL},
		{"undisclosed:;", NULL},
		{"<a@b.example", NULL},
		{"a@b.example>", NULL},
		{"<a@b.example> x", NULL},
		{"<a@b.example> <c@d.example>", NULL},
		{"c@d.example <a@b.example>", NULL},
		{"<<a@b.example>>", NULL},
		{"<@x.example:a@b.example>", NULL},
		{"a@b@c.example", NULL},
		{"\"a@b.example", NULL},
		{"(a@b.example", NULL},
		{"a@b.example (c", NULL},
		{"a@b.ex\x01mple", NULL},
		{"a@b.example\\", NULL},
		{"\"a\\", NULL},
		{"(a\\", NULL},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes domain = {NULL, 0};
		enum dkim2_from f = from_parse(bytes_of(row[k].value),
		    &domain);

		if ((f == DKIM2_FROM_ONE) != (row[k].domain != NULL))
			print_message("%s\n", row[k].value);
		assert_int_equal(f, row[k].domain == NULL ?
		    DKIM2_FROM_UNCLEAR : DKIM2_FROM_ONE);
		if (row[k].domain != NULL)
			kit_assert_bytes(domain, row[k].domain);
		else
			assert_null(domain.p);
	}
}

/* V21: who is not named clearly is hidden. */
static void
v21_to_and_cc_name_recipients(void **state)
{
	static const struct {
		const char *header, *path;
		bool is_named;
	} row[] = {
		{"To: a@b.example\r\n", "<a@b.example>", true},
		{"tO: a@B.exAmple\r\n", "<a@b.example>", true},
		{"Cc: x@y.example,\r\n\tAnn <a@b.example>\r\n",
		 "<a@b.example>", true},
		{"To: x@y.example\r\nTo: a@b.example\r\n", "<a@b.example>",
		 true},
		{"To: \"x, y\" <x@y.example>, (c, d) a@b.example\r\n",
		 "<a@b.example>", true},
		{"To: us: x@y.example, a@b.example;, z@y.example\r\n",
		 "<a@b.example>", true},
		{"To: us: x@y.example;, a@b.example\r\n", "<a@b.example>",
		 true},
		{"To: ,, a@b.example,\r\n", "<a@b.example>", true},
		{"To: \"a c\"@b.example\r\n", "<\"a c\"@b.example>", true},
		{"To: < a@b.example >\r\n", "<a@b.example>", true},
		{"To: A@b.example\r\n", "<a@b.example>", false},
		{"Bcc: a@b.example\r\n", "<a@b.example>", false},
		{"From: a@b.example\r\n", "<a@b.example>", false},
		{"Toto: a@b.example\r\n", "<a@b.example>", false},
		{"To: aa@b.example\r\n", "<a@b.example>", false},
		{"To: a@b.example.net\r\n", "<a@b.example>", false},
		{"To: \"a@b.example\" <x@y.example>\r\n", "<a@b.example>",
		 false},
		{"To: (a@b.example) x@y.example\r\n", "<a@b.example>", false},
		{"To: undisclosed-recipients:;\r\n", "<a@b.example>", false},
		{"To: x@y.example z, a@b.example\r\n", "<a@b.example>", false},
		{"To: \"x, a@b.example\r\n", "<a@b.example>", false},
		{"To: <@x.example:a@b.example>\r\n", "<a@b.example>", false},
		{"To: a@b.example x\r\n", "<a@b.example>", false},
		{"To: a\r\n", "<a>", false},
		{"To: \r\n", "<>", false},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_message m;

		print_message("%s", row[k].header);
		assert_int_equal(dkim2_message_parse(&m,
		    bytes_of(row[k].header), 10, a), 0);
		assert_int_equal(dkim2_message_names(&m,
		    bytes_of(row[k].path)), row[k].is_named);
	}
	arena_free(&a);
}

static void
from_fields_are_counted(void **state)
{
	static const struct {
		const char *header;
		enum dkim2_from from;
	} row[] = {
		{"To: a@b.example\r\n", DKIM2_FROM_NONE},
		{"Fromm: a@b.example\r\n", DKIM2_FROM_NONE},
		{"FROM: a@b.example\r\n", DKIM2_FROM_ONE},
		{"From: a@b.example\r\nfrom :c@d.example\r\n",
		 DKIM2_FROM_MANY},
		{"From: a\r\n", DKIM2_FROM_UNCLEAR},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_message m;
		struct bytes domain;

		assert_int_equal(dkim2_message_parse(&m,
		    bytes_of(row[k].header), 9, a), 0);
		assert_int_equal(dkim2_message_from(&m, a, &domain),
		    row[k].from);
	}
	arena_free(&a);
}

static void
domains_cover_what_is_below(void **state)
{
	static const struct {
		const char *domain, *name;
		bool covers;
	} row[] = {
		{"a.example", "a.example", true},
		{"a.example", "A.EXAMPLE", true},
		{"A.example", "x.y.a.example", true},
		{"a.example", "xa.example", false},
		{"a.example", "x-a.example", false},
		{"a.example", ".a.example", false},
		{"a.example", "example", false},
		{"x.a.example", "a.example", false},
		{"a.example", "a.example.", false},
		{"a.example", "", false},
		{"", "a.example", false},
		{"", "", false},
		{"[192.0.2.1]", "[192.0.2.1]", false},
		{"2.1]", "[192.0.2.1]", false},
		{"[192.0.2.1]", "x.[192.0.2.1]", false},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		assert_int_equal(dkim2_domain_covers(bytes_of(row[k].domain),
		    bytes_of(row[k].name)), row[k].covers);
}

static void
paths_have_domains(void **state)
{
	static const struct {
		const char *path, *domain;
	} row[] = {
		{"<a@b.example>", "b.example"},
		{"<\"a@x\"@b.example>", "b.example"},
		{"<a@[192.0.2.1]>", "[192.0.2.1]"},
		{"<>", ""},
		{"<postmaster>", ""},
		{"<a@>", ""},
		{"a@b.example", ""},
		{"<", ""},
		{"", ""},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		kit_assert_bytes(dkim2_path_domain(bytes_of(row[k].path)),
		    row[k].domain);
}

static void
unsigned_fields(void **state)
{
	static const struct {
		const char *name;
		bool is_unsigned;
	} row[] = {
		{"Received", true}, {"RECEIVED-SPF", true},
		{"Received-", true}, {"Receivedx", false},
		{"X-", true}, {"x-y", true}, {"X", false}, {"Xy", false},
		{"Authentication-Results", true}, {"DKIM-Signature", true},
		{"DKIM2-Signature", true}, {"message-instance", true},
		{"Apparently-To", true}, {"DL-Expansion-History", true},
		{"Original-Recipient", true}, {"SIO-Label-History", true},
		{"X400-Received", true}, {"X400-Trace", true},
		{"X400-Other", false}, {"Delivered-To", true},
		{"Return-Path", true}, {"ARC-Seal", true},
		{"ARC-Message-Signature", true},
		{"ARC-Authentication-Results", true},
		{"Auto-Submitted", false}, {"VBR-Info", false},
		{"From", false}, {"", false},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		assert_int_equal(unsigned_is(bytes_of(row[k].name)),
		    row[k].is_unsigned);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_ends_at_the_empty_line),
		cmocka_unit_test(fields_are_views),
		cmocka_unit_test(what_is_no_header),
		cmocka_unit_test(from_names_one_mailbox),
		cmocka_unit_test(from_fields_are_counted),
		cmocka_unit_test(v21_to_and_cc_name_recipients),
		cmocka_unit_test(domains_cover_what_is_below),
		cmocka_unit_test(paths_have_domains),
		cmocka_unit_test(unsigned_fields),
	};

	return cmocka_run_group_tests_name("dkim2/message", tests, NULL, NULL);
}
