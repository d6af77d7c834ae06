#include "tests/config/kit.h"

#include "config/routes.h"

/* Reads a table of routes; what was wrong is in h. */
static struct config_routes
read_routes(struct arena *a, const char *text, struct config_next_hop *rest,
    struct heard *h)
{
	struct load l = {.scratch = a, .config = arena_alloc(a,
	    sizeof(struct config))};
	struct config_faults faults = {.arena = a};
	struct config_routes_table t = {&l, a, &faults, 2525, NULL, 0};
	const struct config_lines lines = config_routes_lines(&t);
	struct config_routes out = {NULL, 0};

	*h = (struct heard){.text = ""};
	config_lines_read(&lines, bytes_of(text), "t", 1);
	(void)config_routes_end(&t, &out, rest);
	config_fault_tell(&faults, "c", hear, h);
	return out;
}

static void
the_nearest_line_counts(void **state)
{
	static const char text[] =
	    "# where mail goes\n"
	    "a.example       smtp://exact\n"
	    ".A.Example      smtp://below   # all below it\r\n"
	    ".b.a.example\tsmtp://deeper:26\n"
	    "*  smtp://rest none\n"
	    "x  smtp://top\n"
	    ".y smtp://topmost";
	static const struct {
		const char *domain;
		const char *host;	/* NULL: none, the rest */
	} row[] = {
		{"a.example", "exact"}, {"A.EXAMPLE", "exact"},
		{"z.a.example", "below"}, {"z.Y.a.EXAMPLE", "below"},
		{"b.a.example", "below"}, {"z.b.a.example", "deeper"},
		{"xb.a.example", "below"}, {"xa.example", NULL},
		{"example", NULL}, {"a.example.", NULL}, {"", NULL},
		{".a.example", NULL}, {".", NULL}, {"..", NULL}, {"*", NULL},
		{"x", "top"}, {"y", NULL}, {"a.y", "topmost"},
		{"a.example.y", "topmost"}, {"a..y", "topmost"},
		{"[192.0.2.1]", NULL},
	};
	struct arena *a = arena_new(1 << 20);
	struct heard *h = test_malloc(sizeof(*h));
	struct config_next_hop rest = {0};
	struct config_routes t = read_routes(a, text, &rest, h);

	(void)state;
	assert_string_equal(h->text, "");
	assert_int_equal(t.n, 5);
	assert_string_equal(rest.host_str, "rest");
	assert_int_equal(rest.tls, TLS_NONE);
	for (size_t k = 0; k < N(row); k++) {
		const struct config_next_hop *hop = config_route_find(&t,
		    bytes_of(row[k].domain));

		assert_int_equal(hop != NULL, row[k].host != NULL);
		if (hop != NULL)
			assert_string_equal(hop->host_str, row[k].host);
	}
	test_free(h);
	arena_free(&a);
}

static void
mistakes_are_told_where_they_stand(void **state)
{
	static const char text[] =
	    "a.b smtp://c\n"
	    "A.B smtp://d\n"
	    "  c.d\n"
	    "a_b smtp://c\n"
	    "*   nowhere\n"
	    "* smtp://c\n"
	    "* smtp://c\n"
	    "e.f lmtp://c verify\n";
	struct arena *a = arena_new(1 << 20);
	struct heard *h = test_malloc(sizeof(*h));
	struct config_next_hop rest = {0};

	(void)state;
	(void)read_routes(a, text, &rest, h);
	assert_string_equal(h->text,
	    "t:2:1: domain `a.b` stands at line 1 already; keep one of them\n"
	    "t:3:3: domain `c.d` has no next hop; write DOMAIN NEXT-HOP\n"
	    "t:4:1: domain `a_b` is no DNS name; write letters, digits and "
	    "hyphens in labels of 1 to 63, such as mx.example.org\n"
	    "t:5:5: routes: `nowhere` is no next hop; write smtp://HOST:PORT or mx\n"
	    "t:7:1: domain `*` stands at line 6 already; keep one of them\n");
	test_free(h);
	arena_free(&a);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nearest_line_counts),
		cmocka_unit_test(mistakes_are_told_where_they_stand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
