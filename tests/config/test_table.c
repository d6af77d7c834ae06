#include "tests/config/kit.h"

#include "config/table.h"

static const struct bytes domains[] = {BYTES_LIT("a.example"),
    BYTES_LIT("b.example")};

/* Reads a table; what was wrong is in h. */
static struct config_aliases
read_table(struct arena *a, const char *text, struct heard *h)
{
	struct config_faults faults = {.arena = a};
	struct config_table t = {a, &faults, NULL, 0};
	const struct config_table_rules rules = {domains, 2,
	    BYTES_LIT("mf@a.example")};
	struct config_aliases out = {NULL, 0};

	*h = (struct heard){.text = ""};
	config_table_read(&t, bytes_of(text), "t", 1);
	assert_int_equal(config_table_end(&t, &rules, &out), 0);
	config_fault_tell(&faults, "c", hear, h);
	return out;
}

static void
lines_are_read_and_looked_up(void **state)
{
	static const char text[] =
	    "# a table\n"
	    "\n"
	    "info@a.example\tone@x.example\n"
	    "   Info@a.example   two@x.example   # another local part\r\n"
	    "@A.Example three@x.example#y\n"
	    "i#1@b.example four@X.example # .\n"
	    "\t# nothing\n"
	    "in@a.example five@x.example";
	static const struct {
		const char *local;
		const char *domain;
		const char *target;	/* NULL: there is none */
	} row[] = {
		{"info", "a.example", "one@x.example"},
		{"info", "A.EXAMPLE", "one@x.example"},
		{"Info", "a.example", "two@x.example"},
		{"INFO", "a.example", "six@x.example"},
		{"in", "a.example", "five@x.example"},
		{"i", "a.example", "six@x.example"},
		{"info@a", "a.example", "six@x.example"},
		{"", "a.example", "six@x.example"},
		{"i#1", "b.example", "four@X.example"},
		{"i", "b.example", NULL},
		{"", "b.example", NULL},
		{"i#1", "b.example.", NULL},
		{"i#1", "b.exampl", NULL},
		{"i#1", "", NULL},
		{"info", "sub.a.example", NULL},
	};
	struct arena *a = arena_new(1 << 20);
	struct heard *h = test_malloc(sizeof(*h));
	struct config_aliases t = read_table(a, text, h);

	(void)state;
	assert_string_equal(h->text, "t:5:12: target `three@x.example#y` is "
	    "no DNS name; write letters, digits and hyphens in labels of 1 to "
	    "63, such as mx.example.org\n");
	assert_int_equal(t.n, 4);
	t = read_table(a, "@A.Example six@x.example\n"
	    "info@a.example one@x.example\nInfo@a.example two@x.example\n"
	    "in@a.example five@x.example\ni#1@b.example four@X.example\n", h);
	assert_string_equal(h->text, "");
	for (size_t k = 0; k < N(row); k++) {
		struct bytes target;
		bool is_there = config_alias_find(&t, bytes_of(row[k].local),
		    bytes_of(row[k].domain), &target);

		assert_int_equal(is_there, row[k].target != NULL);
		if (is_there)
			assert_true(bytes_eq(target, bytes_of(row[k].target)));
	}
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
		{"a@a.example x@y.z,v@w.x\n", "t:1:13: aliases: more than one target: not built yet; write one address\n"},
		{"a@a.example x@y.z v@w.x\n", "t:1:13: aliases: more than one target: not built yet; write one address\n"},
		{"a@a.example x@y.z,\n", "t:1:13: aliases: more than one target: not built yet; write one address\n"},
		{"a@a.example a@a.example\n", "t:1:13: target `a@a.example` is in the listener's own `domains`: an alias is looked up once and never in a circle; write the address where the mail ends\n"},
		{"a@a.example x@B.example\n", "t:1:13: target `x@B.example` is in the listener's own `domains`: an alias is looked up once and never in a circle; write the address where the mail ends\n"},
		{"a@c.example x@y.z\n", "t:1:1: address `a@c.example` is in none of the listener's `domains`; add its domain there or remove the line\n"},
		{"@sub.a.example x@y.z\n", "t:1:1: address `@sub.a.example` is in none of the listener's `domains`; add its domain there or remove the line\n"},
		{"mf@A.example x@y.z\n", "t:1:1: address `mf@a.example` is the listener's `mail-from`, which takes no mail; remove the line\n"},
		{"b@a.example x@y.z\n@a.example x@y.z\nb@A.example x@y.z\n@A.EXAMPLE x@y.z\n",
		    "t:3:1: address `b@a.example` stands at line 1 already; keep one of them\n"
		    "t:4:1: address `@a.example` stands at line 2 already; keep one of them\n"},
		{"a@a.example: x@y.z\n", "t:1:1: address `a@a.example:` is no DNS name; write letters, digits and hyphens in labels of 1 to 63, such as mx.example.org\n"},
		{"a@a.example @y.z\n", "t:1:13: target `@y.z` has a local part that is no dot-string; write letters, digits and .!#$%&'*+-/=?^_`{|}~ without quotes\n"},
		{"\x1b[2J x@y.z\n", "t:1:1: address `\\033[2J` is no address; write LOCAL@DOMAIN\n"},
	};
	struct heard *h = test_malloc(sizeof(*h));

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct arena *a = arena_new(1 << 20);

		(void)read_table(a, row[k].in, h);
		assert_string_equal(h->text, row[k].out);
		arena_free(&a);
	}
	test_free(h);
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
		cmocka_unit_test(mistakes_have_their_place),
		cmocka_unit_test(a_full_arena_is_told),
	};

	return cmocka_run_group_tests_name("config/table", tests, NULL, NULL);
}
