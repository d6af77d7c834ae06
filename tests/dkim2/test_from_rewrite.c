#include "dkim2/from_rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "dkim2/from.h"
#include "tests/dkim2/kit.h"

#define TO "list@lists.example"
#define NAME10 "abcdefghi "
#define NAME50 NAME10 NAME10 NAME10 NAME10 NAME10
#define NAME500 NAME50 NAME50 NAME50 NAME50 NAME50 NAME50 NAME50 NAME50 \
	NAME50 NAME50
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X256 X64 X64 X64 X64

static int
run(struct arena *a, const char *header, const char *address, const char *via,
    struct dkim2_message *now)
{
	const struct from_rewrite how = {bytes_of(address), bytes_of(via)};
	struct dkim2_message m;

	assert_int_equal(dkim2_message_parse(&m, bytes_of(header), 100, a),
	    0);
	return from_rewrite(now, &m, &how, a);
}

/* What From becomes, value and all; Reply-To is behind it. */
static void
names(void **state)
{
	static const struct {
		const char *in, *from, *reply_to;
	} row[] = {
		{"Alice <a@b.example>", "Alice via dev <" TO ">",
		    "Alice <a@b.example>"},
		{"Alice B. Carroll <a@b.example>",
		    "Alice B. Carroll via dev <" TO ">",
		    "Alice B. Carroll <a@b.example>"},
		{"\"Carroll, Alice\" <a@b.example>",
		    "\"Carroll, Alice\" via dev <" TO ">",
		    "\"Carroll, Alice\" <a@b.example>"},
		{"\"a  b\\\" c\"  D(x y)E <a@b.example>",
		    "\"a  b\\\" c\" D(x y)E via dev <" TO ">",
		    "\"a  b\\\" c\"  D(x y)E <a@b.example>"},
		/* RFC 2047, and octets of any kind (RFC 6532, or of old) */
		{"=?utf-8?q?J=C3=BCrgen?=\r\n =?utf-8?q?_M?= <a@b.example>",
		    "=?utf-8?q?J=C3=BCrgen?= =?utf-8?q?_M?= via dev <"
		    TO ">",
		    "=?utf-8?q?J=C3=BCrgen?=\r\n =?utf-8?q?_M?= "
		    "<a@b.example>"},
		{"J\xc3\xbcrgen <a@b.example>",
		    "J\xc3\xbcrgen via dev <" TO ">",
		    "J\xc3\xbcrgen <a@b.example>"},
		{"J\xfcrgen \"\xe9\" <a@b.example>",
		    "J\xfcrgen \"\xe9\" via dev <" TO ">",
		    "J\xfcrgen \"\xe9\" <a@b.example>"},
		/* folds inside quotes are undone, others made anew */
		{"\"Carroll,\r\n\tAlice\"\r\n <a@b.example>",
		    "\"Carroll,\tAlice\" via dev <" TO ">",
		    "\"Carroll,\r\n\tAlice\"\r\n <a@b.example>"},
		/* no name */
		{"a@b.example", "a via dev <" TO ">", "a@b.example"},
		{"<a@b.example>", "a via dev <" TO ">", "<a@b.example>"},
		{"(c) <a@b.example>", "a via dev <" TO ">",
		    "(c) <a@b.example>"},
		{"a.b@b.example (A)", "\"a.b\" via dev <" TO ">",
		    "a.b@b.example (A)"},
		{"\"a b\"@b.example", "via dev <" TO ">",
		    "\"a b\"@b.example"},
		{X64 "@b.example", X64 " via\r\n\tdev <" TO ">",
		    X64 "@b.example"},
		{X64 "x@b.example", "via dev <" TO ">", X64 "x@b.example"},
		/* an address as its own name is one for nobody else */
		{"a@b.example <a@b.example>", "a via dev <" TO ">",
		    "<a@b.example>"},
		/* control octets are nobody's name */
		{"\"A\x1b[2J\" <a@b.example>", "a via dev <" TO ">",
		    "\"A\x1b[2J\" <a@b.example>"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct arena *a = arena_new(1 << 20);
		struct dkim2_message now;
		char header[2048], want[4096];

		snprintf(header, sizeof(header), "To: x\r\nFROM: %s\r\n"
		    "Subject: y\r\n", row[k].in);
		snprintf(want, sizeof(want), "To: x\r\nFrom: %s\r\n"
		    "Reply-To: %s\r\nSubject: y\r\n", row[k].from,
		    row[k].reply_to);
		assert_int_equal(run(a, header, TO, "dev", &now), 0);
		kit_assert_bytes(now.header, want);
		assert_int_equal(now.n_fields, 4);
		arena_free(&a);
	}
}

/* Lines of at most 76 octets, broken between words alone. */
static void
long_names_are_folded(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct dkim2_message now;
	struct bytes rest;
	size_t n_lines = 0;

	(void)state;
	assert_int_equal(run(a, "From: " NAME500 "<a@b.example>\r\n", TO,
	    "dev", &now), 0);
	rest = now.fields[0].raw;
	while (rest.n > 1) {
		struct bytes line = bytes_cut(&rest, '\r');

		rest = bytes_skip(rest, 1);
		assert_true(line.n <= 76);
		assert_true(n_lines++ == 0 || (line.p[0] == '\t' &&
		    line.n <= 73));
	}
	assert_true(n_lines > 6);
	/* one octet past the bound it is no name any more */
	assert_int_equal(run(a, "From: " NAME500 "123456789 123 "
	    "<a@b.example>\r\n", TO, "dev", &now), 0);
	kit_assert_bytes(now.fields[0].raw, "From: a via dev <" TO ">\r\n");
	assert_int_equal(run(a, "From: " NAME500 "123456789 12 "
	    "<a@b.example>\r\n", TO, "dev", &now), 0);
	assert_true(now.fields[0].raw.n > 500);
	arena_free(&a);
}

static void
reply_to_is_kept(void **state)
{
	static const struct {
		const char *in, *want;
	} row[] = {
		{"Reply-To: c@d.example\r\nFrom: A <a@b.example>\r\n",
		    "Reply-To: c@d.example\r\nFrom: A via dev <" TO ">\r\n"},
		{"From: A <a@b.example>\r\nREPLY-TO:\r\nreply-to: x\r\n",
		    "From: A via dev <" TO ">\r\nREPLY-TO:\r\nreply-to: x\r\n"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct arena *a = arena_new(1 << 20);
		struct dkim2_message now;

		assert_int_equal(run(a, row[k].in, TO, "dev", &now), 0);
		kit_assert_bytes(now.header, row[k].want);
		arena_free(&a);
	}
}

static void
what_is_via(void **state)
{
	static const struct {
		const char *via, *want;
	} row[] = {
		{"", "From: A <" TO ">\r\n"},
		{"dev", "From: A via dev <" TO ">\r\n"},
		{"two.example", "From: A \"via two.example\" <" TO ">\r\n"},
		{"My \"L\\\x01", "From: A \"via My \\\"L\\\\?\" <" TO ">\r\n"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct arena *a = arena_new(1 << 20);
		struct dkim2_message now;

		assert_int_equal(run(a, "From: A <a@b.example>\r\n", TO,
		    row[k].via, &now), 0);
		kit_assert_bytes(now.fields[0].raw, row[k].want);
		arena_free(&a);
	}
}

static void
what_is_there_already_stays(void **state)
{
	static const char header[] = "From: A\r\n <list@LISTS.example>\r\n";
	struct arena *a = arena_new(1 << 20);
	struct dkim2_message now;

	(void)state;
	assert_int_equal(run(a, header, TO, "dev", &now), 0);
	assert_ptr_equal(now.header.p, header);
	assert_int_equal(run(a, "From: A <List@lists.example>\r\n", TO,
	    "dev", &now), 0);
	assert_int_equal(now.n_fields, 2);
	arena_free(&a);
}

static void
what_can_not_be_rewritten(void **state)
{
	static const struct {
		const char *header, *address;
		int want;
	} row[] = {
		{"Subject: x\r\n", TO, -E_SYNTAX},
		{"From: a@b.example\r\nFrom: a@b.example\r\n", TO, -E_SYNTAX},
		{"From: a@b.example, c@d.example\r\n", TO, -E_SYNTAX},
		{"From: g: a@b.example;\r\n", TO, -E_SYNTAX},
		{"From: a@[192.0.2.1]\r\n", TO, -E_SYNTAX},
		{"From: c@d.example <a@b.example>\r\n", TO, -E_SYNTAX},
		{"From:\r\n", TO, -E_SYNTAX},
		{"From: a@b.example\r\n", "", -E_SYNTAX},
		{"From: a@b.example\r\n", "list", -E_SYNTAX},
		{"From: a@b.example\r\n", "x <list@lists.example>",
		    -E_SYNTAX},
		{"From: a@b.example\r\n", "(x)list@lists.example", -E_SYNTAX},
		{"From: a@b.example\r\n", "list@lists.example ", -E_SYNTAX},
		{"From: a@b.example\r\n", " list@lists.example", -E_SYNTAX},
		{"From: a@b.example\r\n", "list @lists.example", -E_SYNTAX},
		{"From: a@b.example\r\n", "list@ lists.example", -E_SYNTAX},
		{"From: a@b.example\r\n", "\"l\" @lists.example", -E_SYNTAX},
		{"From: a@b.example\r\n", "a@b.example, c@d.example",
		    -E_SYNTAX},
		{"From: a@b.example\r\n", "list@[192.0.2.1]", -E_SYNTAX},
		{"From: a@b.example\r\n", "\"a\r\n b\"@b.example", -E_SYNTAX},
		{"From: a@b.example\r\n", "\"a\x01\"@b.example", -E_SYNTAX},
		{"From: " X256 X256 X256 X64 X64 "x@b.example\r\n", TO,
		    -E_LIMIT},
		{"From: a@b.example\r\n", "\"l. x\"@lists.example", 0},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct arena *a = arena_new(1 << 20);
		struct dkim2_message now;
		struct bytes domain;

		assert_int_equal(run(a, row[k].header, row[k].address, "dev",
		    &now), row[k].want);
		if (row[k].want == 0)
			assert_int_equal(dkim2_message_from(&now, a, &domain),
			    DKIM2_FROM_ONE);
		arena_free(&a);
	}
}

/* A recipe leads back, and a long value of From does not pass a line. */
static void
the_change_can_be_described(void **state)
{
	struct arena *a = arena_new(4 << 20);
	struct dkim2_message m, now;
	enum dkim2_diff what;
	struct bytes json;

	(void)state;
	assert_int_equal(dkim2_message_parse(&m, BYTES_LIT(
	    "From: \"" NAME500 "\xfc\" <a@b.example>\r\nTo: b\r\n"), 100, a),
	    0);
	assert_int_equal(run(a, "From: \"" NAME500 "\xfc\" <a@b.example>\r\n"
	    "To: b\r\n", TO, "dev", &now), 0);
	assert_int_equal(dkim2_diff(&what, &json, a, &m, BYTES_LIT("x\r\n"),
	    &now, BYTES_LIT("x\r\n")), 0);
	assert_int_equal(what, DKIM2_DIFF_RECIPE);
	assert_true(bytes_find(json, BYTES_LIT("\"reply-to\":[]")) != json.n);
	assert_true(bytes_find(json, BYTES_LIT("\"from\":[{\"u\":")) !=
	    json.n);
	/* 900 octets are kept as they are, one more is the address alone */
	assert_int_equal(run(a, "From: \"" X256 X256 X256 X64 X64 "\" "
	    "<a@b.example>\r\n", TO, "dev", &now), 0);
	kit_assert_bytes(now.fields[1].raw, "Reply-To: <a@b.example>\r\n");
	arena_free(&a);
}

static void
without_memory_it_says_so(void **state)
{
	static const char header[] = "From: A <a@b.example>\r\n";
	struct arena *room = arena_new(1 << 16);
	const struct from_rewrite how = {BYTES_LIT(TO), BYTES_LIT("dev")};
	struct dkim2_message m, now;
	int r = -E_NOMEM;

	(void)state;
	assert_int_equal(dkim2_message_parse(&m, bytes_of(header), 9, room),
	    0);
	for (size_t cap = 16; r != 0; cap += 16) {
		struct arena *a = arena_new(cap);

		assert_true(cap < (1 << 16));
		if (a == NULL)
			continue;
		r = from_rewrite(&now, &m, &how, a);
		assert_true(r == 0 || r == -E_NOMEM);
		arena_free(&a);
	}
	arena_free(&room);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(long_names_are_folded),
		cmocka_unit_test(reply_to_is_kept),
		cmocka_unit_test(what_is_via),
		cmocka_unit_test(what_is_there_already_stays),
		cmocka_unit_test(what_can_not_be_rewritten),
		cmocka_unit_test(the_change_can_be_described),
		cmocka_unit_test(without_memory_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
