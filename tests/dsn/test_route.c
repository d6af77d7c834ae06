/* Whether a DSN may go, as whom, and of whom it tells (draft 16.1-16.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dsn/route.h"
#include "tests/dkim2/kit.h"

#define MAX_PATHS 4

static int
open_arena(void **state)
{
	*state = arena_new(KIT_ARENA);
	return *state == NULL;
}

static int
close_arena(void **state)
{
	arena_free((struct arena **)state);
	return 0;
}

/* ---- whether ------------------------------------------------------------- */

static enum dsn_bar
bar_of(struct arena *a, const char *header, struct dsn_route_facts f)
{
	struct dkim2_message m;

	assert_int_equal(dkim2_message_parse(&m, bytes_of(header), 100, a), 0);
	f.message = &m;
	return dsn_route_forbids(&f);
}

/* B2, K2: to nobody, on a report, and on what no human sent. */
static void
who_is_told(void **state)
{
#define ALICE .mail_from = BYTES_LIT("<alice@one.example>")
	static const struct {
		struct dsn_route_facts facts;
		enum dsn_bar bar;
	} row[] = {
		{{ALICE, .is_vouched = true}, DSN_BAR_NONE},
		{{ALICE}, DSN_BAR_UNVERIFIED},
		{{.mail_from = BYTES_LIT("<>"), .is_vouched = true},
		    DSN_BAR_NULL},
		{{.is_vouched = true}, DSN_BAR_NULL},
		{{ALICE, .has_nd = true, .is_vouched = true},
		    DSN_BAR_NEXT_DOMAIN},
		/* of several the first */
		{{.has_nd = true}, DSN_BAR_NEXT_DOMAIN},
		{{.mail_from = BYTES_LIT("<>")}, DSN_BAR_NULL},
	};

	for (size_t k = 0; k < COUNT(row); k++)
		assert_int_equal(bar_of(*state, "Subject: x\r\n",
		    row[k].facts), row[k].bar);
}

static void
what_is_told(void **state)
{
	static const struct {
		const char *header;
		enum dsn_bar bar;
	} row[] = {
		{"Content-Type: text/plain\r\n", DSN_BAR_NONE},
		{"Content-Type: multipart/mixed; boundary=b\r\n",
		    DSN_BAR_NONE},
		{"Content-Type: multipart/report; boundary=b;\r\n"
		    " report-type=delivery-status\r\n", DSN_BAR_REPORT},
		{"content-type: MULTIPART/Report; boundary=b\r\n",
		    DSN_BAR_REPORT},
		{"Content-Type: multipart/report; boundary=b; "
		    "report-type=disposition-notification\r\n",
		    DSN_BAR_REPORT},
		{"Auto-Submitted: no\r\n", DSN_BAR_NONE},
		{"auto-submitted: NO (a human); x=y\r\n", DSN_BAR_NONE},
		{"Auto-Submitted: auto-generated\r\n", DSN_BAR_AUTOMATIC},
		{"Auto-Submitted: auto-replied; owner-email=x\r\n",
		    DSN_BAR_AUTOMATIC},
		{"Auto-Submitted: not so\r\n", DSN_BAR_AUTOMATIC},
		{"Auto-Submitted:\r\n", DSN_BAR_AUTOMATIC},
		{"Auto-Submitted: no\r\nAuto-Submitted: no\r\n",
		    DSN_BAR_AUTOMATIC},
	};
	const struct dsn_route_facts good = {ALICE, .is_vouched = true};

	for (size_t k = 0; k < COUNT(row); k++)
		assert_int_equal(bar_of(*state, row[k].header, good),
		    row[k].bar);
#undef ALICE
}

static void
each_bar_has_words(void **state)
{
	(void)state;
	assert_string_equal(dsn_bar_text(DSN_BAR_NONE), "");
	for (unsigned b = DSN_BAR_NONE + 1; b < DSN_BAR__N; b++)
		assert_true(strlen(dsn_bar_text(b)) > 5);
}

/* ---- as whom ------------------------------------------------------------- */

static size_t
count_paths(const char *const paths[MAX_PATHS], struct bytes out[MAX_PATHS])
{
	size_t n = 0;

	for (; n < MAX_PATHS && paths[n] != NULL; n++)
		out[n] = bytes_of(paths[n]);
	return n;
}

/* arg is a list of domains between spaces. */
static bool
has_key(void *arg, struct bytes domain)
{
	struct bytes list = bytes_of(arg);

	while (list.n != 0)
		if (bytes_eq(bytes_cut(&list, ' '), domain))
			return true;
	return false;
}

/* K4: the domain of a recipient or one above it, and the longest of those. */
static void
as_whom(void **state)
{
	static const struct {
		const char *keys, *paths[MAX_PATHS], *domain;
	} row[] = {
		{"two.example", {"<bob@two.example>"}, "two.example"},
		{"two.example", {"<bob@mx.a.two.example>"}, "two.example"},
		{"two.example", {"<Bob@TWO.Example>"}, "two.example"},
		{"two.example a.two.example", {"<bob@a.two.example>"},
		    "a.two.example"},
		/* above it, never below or beside */
		{"a.two.example three.example", {"<bob@two.example>"}, ""},
		{"two.example", {"<bob@xtwo.example>"}, ""},
		/* of several the longest; of equals the first */
		{"two.example three.example",
		    {"<bob@two.example>", "<carol@three.example>"},
		    "three.example"},
		{"aaa.example bbb.example",
		    {"<bob@bbb.example>", "<carol@aaa.example>"},
		    "bbb.example"},
		{"two.example", {"<x@far.example>", "<bob@two.example>"},
		    "two.example"},
		/* nobody's domain */
		{"2]", {"<bob@[192.0.2.2]>"}, ""},
		{"two.example", {"<>"}, ""},
		{"two.example", {"<postmaster>"}, ""},
		{"", {"<bob@two.example>"}, ""},
		{"two.example", {NULL}, ""},
	};
	struct bytes paths[MAX_PATHS], domain;

	for (size_t k = 0; k < COUNT(row); k++) {
		size_t n = count_paths(row[k].paths, paths);

		assert_int_equal(dsn_route_domain(&domain, paths, n, has_key,
		    (void *)(uintptr_t)row[k].keys, *state), 0);
		kit_assert_bytes(domain, row[k].domain);
	}
}

/* ---- of whom ------------------------------------------------------------- */

/* B5: those whom the hop before named, at the domain that we signed as. */
static void
of_whom(void **state)
{
	static const struct {
		const char *domain, *paths[MAX_PATHS], *told[MAX_PATHS];
	} row[] = {
		{"two.example", {"<bob@two.example>"}, {"bob@two.example"}},
		{"two.example", {"<bob@two.example>", "<x@far.example>",
		    "<bell@a.two.example>"},
		    {"bob@two.example", "bell@a.two.example"}},
		/* each once, as paths are compared */
		{"two.example", {"<bob@two.example>", "<bob@TWO.example>",
		    "<Bob@two.example>"},
		    {"bob@two.example", "Bob@two.example"}},
		/* where it covers none, all of them */
		{"two.example", {"<x@far.example>", "<y@near.example>"},
		    {"x@far.example", "y@near.example"}},
		{"two.example", {NULL}, {NULL}},
	};
	struct bytes paths[MAX_PATHS];
	const struct bytes *told;
	size_t n;

	for (size_t k = 0; k < COUNT(row); k++) {
		size_t n_paths = count_paths(row[k].paths, paths);

		assert_int_equal(dsn_route_told(&told, &n, paths, n_paths,
		    bytes_of(row[k].domain), *state), 0);
		for (size_t j = 0; j < n; j++) {
			assert_true(j < MAX_PATHS && row[k].told[j] != NULL);
			kit_assert_bytes(told[j], row[k].told[j]);
		}
		assert_true(n == MAX_PATHS || row[k].told[n] == NULL);
	}
}

/* No more than a report has room for. */
static void
of_so_many(void **state)
{
	static char text[DSN_RECIPIENTS_MAX + 1][24];
	static struct bytes paths[DSN_RECIPIENTS_MAX + 1];
	const struct bytes *told;
	size_t n;

	for (size_t k = 0; k < COUNT(paths); k++) {
		snprintf(text[k], sizeof(text[k]), "<u%zu@two.example>", k);
		paths[k] = bytes_of(text[k]);
	}
	assert_int_equal(dsn_route_told(&told, &n, paths, COUNT(paths),
	    BYTES_LIT("two.example"), *state), 0);
	assert_int_equal(n, DSN_RECIPIENTS_MAX);
	kit_assert_bytes(told[n - 1], "u999@two.example");
}

/* Addresses as servers write them, and as they were sent. */
static void
one_address(void **state)
{
	static const struct {
		const char *a, *b;
		bool is_one, is_one_reported;
	} row[] = {
		{"bob@two.example", "bob@two.example", true, true},
		{"bob@TWO.example", "bob@two.Example", true, true},
		{"Bob@two.example", "bob@two.example", false, true},
		{"bob@b\xc3\xbc" "cher.example", "bob@XN--bcher-kva.example",
		    true, true},
		{"b\xc3\xb6" "b@two.example", "b\xc3\xb6" "b@two.example",
		    true, true},
		{"bob@two.example", "rob@two.example", false, false},
		{"bob@two.example", "bob@a.two.example", false, false},
		{"bob@two.example", "bobtwo.example", false, false},
		/* a local part may have an @ */
		{"\"a@b\"@two.example", "\"a@c\"@two.example", false, false},
		{"\"a@X\"@two.example", "\"a@x\"@two.example", false, true},
		{"\"a@two.example\"@b", "\"a@two.example\"@c", false, false},
		{"postmaster", "Postmaster", true, true},
		{"postmaster", "postmaster@two.example", false, false},
		{"", "two.example", false, false},
		{"", "@two.example", false, false},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes a = bytes_of(row[k].a), b = bytes_of(row[k].b);

		if (a.n == 0)	/* a field that is not there */
			a.p = NULL;
		assert_int_equal(dsn_route_address_eq(a, b, false),
		    row[k].is_one);
		assert_int_equal(dsn_route_address_eq(b, a, false),
		    row[k].is_one);
		assert_int_equal(dsn_route_address_eq(a, b, true),
		    row[k].is_one_reported);
	}
}

static void
every_small_arena(void **state)
{
	const struct bytes paths[] = {BYTES_LIT("<bob@two.example>")};
	const struct bytes *told;
	struct bytes domain;
	int r[2] = {-E_NOMEM, -E_NOMEM};
	size_t n_told;

	(void)state;
	for (size_t n = 0; r[0] != 0 || r[1] != 0; n += 8) {
		struct arena *a = arena_new(n);

		assert_true(n < 10000);
		r[0] = dsn_route_domain(&domain, paths, 1, has_key,
		    "two.example", a);
		assert_true(r[0] == 0 || r[0] == -E_NOMEM);
		arena_free(&a);
		a = arena_new(n);
		r[1] = dsn_route_told(&told, &n_told, paths, 1,
		    BYTES_LIT("two.example"), a);
		assert_true(r[1] == 0 || r[1] == -E_NOMEM);
		arena_free(&a);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
		TEST(who_is_told),
		TEST(what_is_told),
		TEST(each_bar_has_words),
		TEST(as_whom),
		TEST(of_whom),
		TEST(of_so_many),
		TEST(one_address),
		TEST(every_small_arena),
	};

	return cmocka_run_group_tests_name("dsn/route", tests, NULL, NULL);
}
