#include "tests/config/kit.h"

#include "base/err.h"
#include "config/table.h"

static const struct bytes domains[] = {BYTES_LIT("a.example"),
    BYTES_LIT("b.example"), BYTES_LIT("x.sub.b.example"),
    BYTES_LIT("sub.b.example")};

/* Reads a table; what was wrong is in h. */
static struct config_aliases
read_table(struct arena *a, const char *text, struct heard *h)
{
	struct config_faults faults = {.arena = a};
	struct config_table t = {a, &faults, NULL, 0};
	const struct config_table_rules rules = {domains, N(domains),
	    BYTES_LIT("mf@a.example"), "+-", 20};
	struct config_aliases out = {.n = 0};

	*h = (struct heard){.text = ""};
	config_table_read(&t, bytes_of(text), "t", 1);
	assert_int_equal(config_table_end(&t, &rules, &out), 0);
	config_fault_tell(&faults, "c", hear, h);
	return out;
}

/* Where mail for an address ends: "c@d e@f", "-" without a line. */
static void
assert_ends(const struct config_aliases *t, const char *local,
    const char *domain, const char *want)
{
	const struct config_alias *row = config_alias_find(t, bytes_of(local),
	    bytes_of(domain));
	struct arena *a = arena_new(1 << 20);
	const struct bytes *ends;
	char text[1000];
	struct buf out = BUF_ON(text);
	size_t n;

	if (row == NULL) {
		assert_string_equal(want, "-");
	} else {
		assert_int_equal(config_alias_expand(t, row, a, &ends, &n), 0);
		assert_in_range(n, 1, row->n_ends);
		for (size_t k = 0; k < n; k++) {
			buf_add_str(&out, k == 0 ? "" : " ");
			buf_add(&out, ends[k]);
		}
		buf_add_octet(&out, '\0');
		assert_string_equal(text, want);
	}
	arena_free(&a);
}

static void
lines_are_read_and_looked_up(void **state)
{
	static const char text[] =
	    "# a table\n"
	    "\n"
	    "info@a.example\tone@x.example\n"
	    "   Info@a.example   two@x.example   # another local part\r\n"
	    "@A.Example three@x.example\n"
	    "i#1@b.example four@X.example # .\n"
	    "\t# nothing\n"
	    "in@a.example five@x.example";
	static const struct {
		const char *local;
		const char *domain;
		const char *ends;	/* "-": there is none */
	} row[] = {
		{"info", "a.example", "one@x.example"},
		{"info", "A.EXAMPLE", "one@x.example"},
		{"Info", "a.example", "two@x.example"},
		{"INFO", "a.example", "three@x.example"},
		{"in", "a.example", "five@x.example"},
		{"i", "a.example", "three@x.example"},
		{"info@a", "a.example", "three@x.example"},
		{"", "a.example", "three@x.example"},
		{"i#1", "b.example", "four@X.example"},
		{"i", "b.example", "-"},
		{"", "b.example", "-"},
		{"i#1", "b.example.", "-"},
		{"i#1", "b.exampl", "-"},
		{"i#1", "", "-"},
		{"info", "sub.a.example", "-"},
	};
	struct arena *a = arena_new(1 << 20);
	struct heard *h = test_malloc(sizeof(*h));
	struct config_aliases t = read_table(a, text, h);

	(void)state;
	assert_string_equal(h->text, "");
	assert_int_equal(t.n, 5);
	for (size_t k = 0; k < N(row); k++)
		assert_ends(&t, row[k].local, row[k].domain, row[k].ends);
	arena_free(&a);
	test_free(h);
}

/* The full address, without its subaddress, domain, parents, all. */
static void
the_nearest_line_counts(void **state)
{
	static const char text[] =
	    "al@b.example 1@x.example\n"
	    "al+ext@b.example 2@x.example\n"
	    "@b.example 3@x.example\n"
	    ".B.example 4@x.example\n"
	    ".example 5@x.example\n"
	    "al@sub.b.example 6@x.example\n";
	static const struct {
		const char *local;
		const char *domain;
		const char *ends;
	} row[] = {
		{"al", "b.example", "1@x.example"},
		{"al+ext", "B.example", "2@x.example"},
		{"al+exta", "b.example", "1@x.example"},
		{"al-ext", "b.example", "1@x.example"},
		{"al-ext+", "b.example", "1@x.example"},
		{"al+", "b.example", "1@x.example"},
		{"Al+ext", "b.example", "3@x.example"},
		{"+al", "b.example", "3@x.example"},
		{"bo", "b.example", "3@x.example"},
		{"al+x", "sub.b.example", "6@x.example"},
		{"bo", "sub.B.example", "4@x.example"},
		{"al", "x.sub.b.example", "4@x.example"},
		{"al", "a.example", "5@x.example"},
		{"al", "example", "-"},
		{"al", ".example", "-"},
		{"al", "xb.example", "5@x.example"},
	};
	struct arena *a = arena_new(1 << 20);
	struct heard *h = test_malloc(sizeof(*h));
	struct config_aliases t = read_table(a, text, h);

	(void)state;
	assert_string_equal(h->text, "");
	for (size_t k = 0; k < N(row); k++)
		assert_ends(&t, row[k].local, row[k].domain, row[k].ends);
	t = read_table(a, "* all@x.example\nal@a.example al@x.example\n", h);
	assert_string_equal(h->text, "");
	assert_ends(&t, "al", "a.example", "al@x.example");
	assert_ends(&t, "bo", "a.example", "all@x.example");
	assert_ends(&t, "bo", "b.example", "all@x.example");
	t.delimiter = "";
	assert_ends(&t, "al+ext", "a.example", "all@x.example");
	arena_free(&a);
	test_free(h);
}

static void
targets_that_are_aliases_are_followed(void **state)
{
	static const char text[] =
	    "team@a.example  al@a.example,bo@A.EXAMPLE , out@x.example\n"
	    "al@a.example\tal@a.example, Out@X.example\n"
	    "bo@a.example bo@y.example, out@X.EXAMPLE, al+team@a.example\n"
	    "@b.example post@b.example\n"
	    "news@a.example sub@b.example\n"
	    "twice@a.example x@y.example, x@Y.example, X@y.example\n";
	struct arena *a = arena_new(1 << 20);
	struct heard *h = test_malloc(sizeof(*h));
	struct config_aliases t = read_table(a, text, h);

	(void)state;
	assert_string_equal(h->text, "");
	assert_ends(&t, "team", "a.example", "al@a.example Out@X.example "
	    "bo@y.example out@X.EXAMPLE");
	assert_ends(&t, "al", "a.example", "al@a.example Out@X.example");
	/* a subaddress is looked up; what it leads to is as it is written */
	assert_ends(&t, "bo", "a.example", "bo@y.example out@X.EXAMPLE "
	    "al@a.example Out@X.example");
	assert_ends(&t, "any", "b.example", "post@b.example");
	assert_ends(&t, "news", "a.example", "post@b.example");
	assert_ends(&t, "twice", "a.example", "x@y.example X@y.example");
	assert_true(config_table_has_many(&t));
	arena_free(&a);
	test_free(h);
}

static void
mistakes_have_their_place(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} row[] = {
		{"a@a.example\n", "t:1:1: address `a@a.example` has no target; write ADDRESS TARGET\n"},
		{"\n  a@a.example  # x@y.z\n", "t:2:3: address `a@a.example` has no target; write ADDRESS TARGET\n"},
		{"a@a.example x@y.z v@w.x\n", "t:1:13: target `x@y.z v@w.x` is no DNS name; write letters, digits and hyphens in labels of 1 to 63, such as mx.example.org\n"},
		{"a@a.example x@y.z,\n", "t:1:19: target `` is no address; write LOCAL@DOMAIN\n"},
		{"a@a.example x@y.z , ,v\n", "t:1:20: target `` is no address; write LOCAL@DOMAIN\nt:1:22: target `v` is no address; write LOCAL@DOMAIN\n"},
		{"a@a.example x@y.z, b@a.example\n", "t:1:20: target `b@a.example` is in the listener's own `domains` and has no line; write one, `b@a.example b@a.example` where its mail goes on as it is\n"},
		{"a@a.example x@y.z, b@A.example\nb@a.example d@y.z\n  d@b.example a@a.example\n", ""},
		{"a@a.example b@a.example\nb@a.example v@w.x, a@A.example\n", "t:2:20: target `a@A.example` leads in a circle: a@a.example -> b@a.example -> a@a.example; take one of these targets out\n"},
		{"b@a.example a@a.example\na@a.example a@a.example, b+x@a.example\n", "t:1:13: target `a@a.example` leads in a circle: a@a.example -> b@a.example -> a@a.example; take one of these targets out\n"},
		{"a@a.example b@a.example\n@a.example .@y.z\n", "t:1:13: target `b@a.example` is in the listener's own `domains` and has no line; write one, `b@a.example b@a.example` where its mail goes on as it is\n"
		    "t:2:12: target `.@y.z` has a local part that is no dot-string; write letters, digits and .!#$%&'*+-/=?^_`{|}~ without quotes\n"},
		{"a@c.example x@y.z\n", "t:1:1: address `a@c.example` is in none of the listener's `domains`; add its domain there or remove the line\n"},
		{"@sub.a.example x@y.z\n", "t:1:1: address `@sub.a.example` is in none of the listener's `domains`; add its domain there or remove the line\n"},
		{".a.example x@y.z\n.c.example x@y.z\n", "t:1:1: address `.a.example` is in none of the listener's `domains`; add its domain there or remove the line\n"
		    "t:2:1: address `.c.example` is in none of the listener's `domains`; add its domain there or remove the line\n"},
		{"*.b.example x@y.z\n", "t:1:1: address `*.b.example` is no address; write LOCAL@DOMAIN\n"},
		{"mf@A.example x@y.z\n", "t:1:1: address `mf@a.example` is the listener's `mail-from`, which takes no mail; remove the line\n"},
		{"b@a.example x@y.z\n@a.example x@y.z\nb@A.example x@y.z\n@A.EXAMPLE x@y.z\n",
		    "t:3:1: address `b@a.example` stands at line 1 already; keep one of them\n"
		    "t:4:1: address `@a.example` stands at line 2 already; keep one of them\n"},
		{"a@a.example: x@y.z\n", "t:1:1: address `a@a.example:` is no DNS name; write letters, digits and hyphens in labels of 1 to 63, such as mx.example.org\n"},
		{"a@a.example @y.z\n", "t:1:13: target `@y.z` has a local part that is no dot-string; write letters, digits and .!#$%&'*+-/=?^_`{|}~ without quotes\n"},
		{"\x1b[2J x@y.z\n", "t:1:1: address `\\033[2J` is no address; write LOCAL@DOMAIN\n"},
		{"a@a.example 1@y.z,2@y.z,3@y.z,4@y.z,5@y.z,6@y.z,7@y.z,8@y.z,9@y.z,A@y.z,B@y.z\n"
		    "b@a.example 1@y.z,2@y.z,3@y.z,4@y.z,5@y.z,6@y.z,7@y.z,8@y.z,9@y.z\n"
		    "c@a.example b@a.example,a@a.example\nd@a.example c@a.example,1@y.z\n",
		    "t:4:1: address `d@a.example` leads to 21 addresses, a copy each, and `max-copies` allows 20; write more there\n"},
	};
	struct heard *h = test_malloc(sizeof(*h));

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct arena *a = arena_new(1 << 20);

		(void)read_table(a, row[k].in, h);
		if (strcmp(h->text, row[k].out) != 0)
			print_message("%s", row[k].in);
		assert_string_equal(h->text, row[k].out);
		arena_free(&a);
	}
	test_free(h);
}

/* a0 leads to a1 and so on, the last one to x@y.z. */
static void
put_chain(struct put *in, unsigned n)
{
	char line[64];

	for (unsigned k = 0; k < n; k++) {
		(void)snprintf(line, sizeof(line), "a%u@a.example a%u@"
		    "a.example\n", k, k + 1);
		put(in, line);
	}
	(void)snprintf(line, sizeof(line), "a%u@a.example x@y.z\n", n);
	put(in, line);
}

static void
how_far_and_how_wide_is_bounded(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct arena *a = arena_new(4 << 20);
	struct config_aliases t;
	struct put in = {NULL, 0};

	(void)state;
	put_chain(&in, CONFIG_ALIAS_DEPTH - 1);
	t = read_table(a, in.text, h);
	assert_string_equal(h->text, "");
	assert_ends(&t, "a0", "a.example", "x@y.z");
	free(in.text);
	in = (struct put){NULL, 0};
	put_chain(&in, CONFIG_ALIAS_DEPTH);
	(void)read_table(a, in.text, h);
	assert_non_null(strstr(h->text, "t:10:14: target `a10@a.example` leads "
	    "through more than 10 lines: a0@a.example -> a1@a.example -> "));
	free(in.text);
	in = (struct put){NULL, 0};
	put(&in, "b@a.example x@y.z");
	for (unsigned k = 0; k <= CONFIG_ALIAS_ENDS; k++)
		put(&in, ",x@y.z");
	put(&in, "\n");
	(void)read_table(a, in.text, h);
	assert_string_equal(h->text, "t:1:1: address `b@a.example` leads to "
	    "more than 1000 addresses; use a list manager\n");
	free(in.text);
	arena_free(&a);
	test_free(h);
}

/* No checked table is so; the daemon does not depend on it. */
static void
a_circle_ends_when_it_is_followed(void **state)
{
	static const struct bytes to[] = {BYTES_LIT("b@a.example"),
	    BYTES_LIT("a@a.example"), BYTES_LIT("x@y.z")};
	static const struct config_alias rows[] = {
		{BYTES_LIT("a@a.example"), &to[0], 1, 5},
		{BYTES_LIT("b@a.example"), &to[1], 2, 5},
		{BYTES_LIT("c@a.example"), &to[2], 1, 0},
	};
	const struct config_aliases t = {rows, N(rows), domains, N(domains),
	    NULL};
	struct arena *a = arena_new(1 << 20);
	const struct bytes *ends;
	size_t n;

	(void)state;
	assert_int_equal(config_alias_expand(&t, &rows[0], a, &ends, &n),
	    -E_LIMIT);
	assert_int_equal(config_alias_expand(&t, &rows[2], a, &ends, &n),
	    -E_LIMIT);
	arena_free(&a);
}

static void
a_full_arena_is_told(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct put in = {NULL, 0};
	struct arena *small = arena_new(8192);
	struct arena *a = arena_new(1 << 20);
	struct config_faults faults = {.arena = a};
	struct config_table t = {small, &faults, NULL, 0};

	(void)state;
	for (int k = 0; k < 1000; k++) {
		char line[64];

		(void)snprintf(line, sizeof(line), "a%d@a.example x@y.z\n", k);
		put(&in, line);
	}
	config_table_read(&t, bytes_of(in.text), "t", 1);
	assert_true(faults.is_full);
	*h = (struct heard){.text = ""};
	config_fault_tell(&faults, "c", hear, h);
	assert_non_null(strstr(h->text, "c:1:1: it needs more memory"));
	free(in.text);
	arena_free(&small);
	arena_free(&a);
	test_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read_and_looked_up),
		cmocka_unit_test(the_nearest_line_counts),
		cmocka_unit_test(targets_that_are_aliases_are_followed),
		cmocka_unit_test(mistakes_have_their_place),
		cmocka_unit_test(how_far_and_how_wide_is_bounded),
		cmocka_unit_test(a_circle_ends_when_it_is_followed),
		cmocka_unit_test(a_full_arena_is_told),
	};

	return cmocka_run_group_tests_name("config/table", tests, NULL, NULL);
}
