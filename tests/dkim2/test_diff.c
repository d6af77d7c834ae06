#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/diff_runs.h"
#include "dkim2/recipe.h"
#include "tests/dkim2/kit.h"

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

/* The recipe is proved by dkim2_diff() itself before it is returned. */
static enum dkim2_diff
diff(struct bytes old, struct bytes now, struct bytes *json, struct arena *a)
{
	struct dkim2_message m_old, m_now;
	struct bytes b_old = kit_split(old, &m_old, a);
	struct bytes b_now = kit_split(now, &m_now, a);
	enum dkim2_diff what;

	*json = (struct bytes){NULL, 0};
	assert_int_equal(dkim2_diff(&what, json, a, &m_old, b_old, &m_now,
	    b_now), 0);
	return what;
}

#define H "From: a@b.example\r\n"
#define F(fields) H fields "\r\n"
#define B(body) H "\r\n" body

static void
recipes_are_short_and_right(void **state)
{
	static const struct {
		const char *label, *old, *now;
		const char *json;	/* NULL: nothing changed */
	} row[] = {
		{"nothing", B("x\r\n"), B("x\r\n"), NULL},
		{"folds and white space are no change",
		    F("Subject: a b\r\n"), F("SUBJECT:  a\r\n\tb \r\n"), NULL},
		{"trace fields are no change", B("x\r\n"),
		    "Received: y\r\nX-Z: 1\r\nDKIM2-Signature: i=9\r\n"
		    B("x\r\n"), NULL},
		{"nor are lines at the end", B("x\r\n"), B("x\r\n\r\n\r\n"),
		    NULL},
		{"nor is the last line end", B("x\r\n"), B("x"), NULL},
		{"a value", F("Subject: a\r\n"), F("Subject: [l] a\r\n"),
		    "{\"h\":{\"subject\":[{\"d\":[\"a\"]}]}}"},
		{"a field added", F(""), F("List-Id: <l.x>\r\n"),
		    "{\"h\":{\"list-id\":[]}}"},
		{"a field taken out", F("Comments: a\r\n"), F(""),
		    "{\"h\":{\"comments\":[{\"d\":[\"a\"]}]}}"},
		{"the upper of two", F("C: up\r\nC: low\r\n"),
		    F("C: low\r\n"),
		    "{\"h\":{\"c\":[{\"c\":[1,1]},{\"d\":[\"up\"]}]}}"},
		{"two change places", F("C: up\r\nC: low\r\n"),
		    F("C: low\r\nC: up\r\n"),
		    "{\"h\":{\"c\":[{\"d\":[\"low\"]},{\"c\":[1,1]}]}}"},
		{"names in order", F("B: 1\r\nA: 1\r\n"), F(""),
		    "{\"h\":{\"a\":[{\"d\":[\"1\"]}],"
		    "\"b\":[{\"d\":[\"1\"]}]}}"},
		{"octets that are no text", F("S: caf\xe9\r\n"),
		    F("S: [l] caf\xe9\r\n"),
		    "{\"h\":{\"s\":[{\"u\":[\"Y2Fm6Q==\"]}]}}"},
		{"quotes and others", F("S: \"\\\x7f\x01\r\n"), F("S: x\r\n"),
		    "{\"h\":{\"s\":[{\"d\":"
		    "[\"\\\"\\\\\\u007f\\u0001\"]}]}}"},
		{"a tab", B("a\tb\r\n"), B("x\r\n"),
		    "{\"b\":[{\"d\":[\"a\\tb\"]}]}"},
		{"a footer", B("one\r\ntwo\r\n"), B("one\r\ntwo\r\n-- \r\nf\r\n"),
		    "{\"b\":[{\"c\":[1,2]}]}"},
		{"a banner", B("one\r\ntwo\r\n"), B("hi\r\none\r\ntwo\r\n"),
		    "{\"b\":[{\"c\":[2,3]}]}"},
		{"both, as in a new part", B("one\r\n\r\ntwo\r\n"),
		    B("--b\r\n\r\none\r\n\r\ntwo\r\n\r\n--b--\r\n"),
		    "{\"b\":[{\"c\":[3,5]}]}"},
		{"a line in the middle", B("a\r\nb\r\nc\r\n"),
		    B("a\r\nB\r\nc\r\n"),
		    "{\"b\":[{\"c\":[1,1]},{\"d\":[\"b\"]},{\"c\":[3,3]}]}"},
		{"more on the last line", B("a\r\nb\r\n"), B("a\r\nbc\r\n"),
		    "{\"b\":[{\"c\":[1,1]},{\"d\":[\"b\"]}]}"},
		{"less on the last line", B("a\r\nbc\r\n"), B("a\r\nb\r\n"),
		    "{\"b\":[{\"c\":[1,1]},{\"d\":[\"bc\"]}]}"},
		{"less on the first line", B("ab\r\nc\r\n"),
		    B("a\r\nc\r\n"),
		    "{\"b\":[{\"d\":[\"ab\"]},{\"c\":[2,2]}]}"},
		{"a line taken out", B("a\r\nb\r\nc\r\n"), B("a\r\nc\r\n"),
		    "{\"b\":[{\"c\":[1,1]},{\"d\":[\"b\"]},{\"c\":[2,2]}]}"},
		{"all of it", B("a\r\nb\r\n"), B("c\r\n"),
		    "{\"b\":[{\"d\":[\"a\",\"b\"]}]}"},
		{"text and octets", B("a\r\n\xff\r\nb\r\n"), B("c\r\n"),
		    "{\"b\":[{\"d\":[\"a\"]},{\"u\":[\"/w==\"]},"
		    "{\"d\":[\"b\"]}]}"},
		{"empty before", B(""), B("c\r\n"), "{\"b\":[]}"},
		{"empty now", B("c\r\n"), B(""), "{\"b\":[{\"d\":[\"c\"]}]}"},
		{"empty lines before", B("\r\n\r\nx\r\n"), B("x\r\n"),
		    "{\"b\":[{\"d\":[\"\",\"\"]},{\"c\":[1,1]}]}"},
		{"the last line gets its end", B("a\r\nb\r\n"), B("x\r\na"),
		    "{\"b\":[{\"c\":[2,2]},{\"d\":[\"b\"]}]}"},
		{"moved", B("a\r\nb\r\nc\r\nd\r\n"), B("b\r\nc\r\nd\r\na\r\n"),
		    "{\"b\":[{\"d\":[\"a\"]},{\"c\":[1,3]}]}"},
		{"inside a line is not in it", B("one\r\n"), B("none\r\n"),
		    "{\"b\":[{\"d\":[\"one\"]}]}"},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes json;
		enum dkim2_diff what = diff(bytes_of(row[k].old),
		    bytes_of(row[k].now), &json, *state);

		if (what == DKIM2_DIFF_CANNOT ||
		    (what == DKIM2_DIFF_NONE) != (row[k].json == NULL))
			fail_msg("%s: %d", row[k].label, (int)what);
		if (what == DKIM2_DIFF_RECIPE)
			kit_assert_bytes(json, row[k].json);
	}
}

static void
the_worked_example_has_its_recipe(void **state)
{
	struct bytes json;

	assert_int_equal(diff(
	    kit_file(*state, "tests/vectors/worked/q1.eml"),
	    kit_file(*state, "tests/vectors/worked/q2.eml"), &json, *state),
	    DKIM2_DIFF_RECIPE);
	kit_assert_bytes(json, "{\"h\":{\"comments\":[{\"c\":[1,1]},"
	    "{\"d\":[\"newest\"]}],\"list-id\":[],\"subject\":[{\"d\":"
	    "[\"Two words\"]}]},\"b\":[{\"c\":[1,1]},{\"d\":"
	    "[\" indented \"]}]}");
}

static void
what_no_literal_can_hold_is_not_described(void **state)
{
	static const struct {
		const char *old;
		size_t n;
	} row[] = {
#define LIT(s) {s, sizeof(s) - 1}
		LIT(B("a\rb\r\n")), LIT(B("a\nb\r\n")), LIT(B("a\0b\r\n")),
		LIT(F("S: a\0b\r\n")),
	};
	struct bytes json;

	for (size_t k = 0; k < COUNT(row); k++)
		assert_int_equal(diff((struct bytes){
		    (const uint8_t *)row[k].old, row[k].n},
		    BYTES_LIT(B("c\r\n")), &json, *state),
		    DKIM2_DIFF_CANNOT);
	/* but it may be kept */
	assert_int_equal(diff(BYTES_LIT(B("a\nb\r\n")),
	    BYTES_LIT(B("a\nb\r\nfooter\r\n")), &json, *state),
	    DKIM2_DIFF_RECIPE);
}

/* xorshift64 */
static uint64_t
next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* n lines out of few, so that they meet again. */
static struct bytes
random_message(struct arena *a, uint64_t *s, size_t n)
{
	struct buf b;

	assert_int_equal(arena_buf(a, 256 + n * 8, &b), 0);
	buf_add_str(&b, H);
	for (unsigned k = (unsigned)(next(s) % 6); k != 0; k--)
		buf_printf(&b, "N%u: %u\r\n", (unsigned)(next(s) % 3),
		    (unsigned)(next(s) % 4));
	buf_add_str(&b, "\r\n");
	for (size_t k = 0; k < n; k++)
		buf_printf(&b, "%.*s\r\n", (int)(next(s) % 3),
		    &"xyz"[next(s) % 3]);
	if (next(s) % 4 == 0 && n != 0)
		b.n -= 2;
	return buf_bytes(&b);
}

static void
any_two_messages_have_a_recipe(void **state)
{
	uint64_t s = 20261122;

	(void)state;
	for (unsigned k = 0; k < 3000; k++) {
		struct arena *a = arena_new(KIT_ARENA);
		struct bytes old = random_message(a, &s,
		    (size_t)(next(&s) % 30));
		struct bytes now = random_message(a, &s,
		    (size_t)(next(&s) % 30));
		struct bytes json;

		assert_int_not_equal(diff(old, now, &json, a),
		    DKIM2_DIFF_CANNOT);
		arena_free(&a);
	}
}

/* How many lines the runs keep; they rise and are equal. */
static size_t
kept(const struct bytes *old, size_t n_old, const struct bytes *now,
    size_t n_now, struct arena *a)
{
	struct diff_run *runs;
	size_t n, work, x = 0, y = 0, sum = 0;

	assert_int_equal(diff_runs_find(old, n_old, now, n_now, a, &runs, &n,
	    &work), 0);
	assert_in_range(work, 0, DIFF_WORK_MAX + 20 * (n_old + n_now) +
	    DIFF_EDITS_MAX);
	for (size_t k = 0; k < n; k++) {
		assert_true(runs[k].n != 0);
		assert_true(runs[k].old_at >= x && runs[k].now_at >= y);
		x = runs[k].old_at + runs[k].n;
		y = runs[k].now_at + runs[k].n;
		assert_true(x <= n_old && y <= n_now);
		for (size_t j = 0; j < runs[k].n; j++)
			assert_true(bytes_eq(old[runs[k].old_at + j],
			    now[runs[k].now_at + j]));
		sum += runs[k].n;
	}
	return sum;
}

/* The longest common subsequence, the slow way. */
static size_t
longest(const struct bytes *x, size_t n, const struct bytes *y, size_t m)
{
	size_t row[65] = {0};

	for (size_t k = 0; k < n; k++) {
		size_t corner = 0;

		for (size_t j = 0; j < m; j++) {
			size_t up = row[j + 1];

			if (bytes_eq(x[k], y[j]))
				row[j + 1] = corner + 1;
			else if (row[j] > up)
				row[j + 1] = row[j];
			corner = up;
		}
	}
	return row[m];
}

static void
small_differences_are_the_smallest(void **state)
{
	static const struct bytes letters[] = {BYTES_LIT("a"), BYTES_LIT("b"),
		BYTES_LIT("c"), BYTES_LIT("")};
	uint64_t s = 7;

	(void)state;
	for (unsigned k = 0; k < 2000; k++) {
		struct arena *a = arena_new(KIT_ARENA);
		struct bytes x[64], y[64];
		size_t n = next(&s) % 64, m = next(&s) % 64;

		for (size_t j = 0; j < 64; j++) {
			x[j] = letters[next(&s) % 4];
			y[j] = letters[next(&s) % 4];
		}
		assert_int_equal(kept(x, n, y, m, a), longest(x, n, y, m));
		arena_free(&a);
	}
}

/* V17: a,b,a,b ... against b,a,b,a ..., equal lines, lines all different. */
static void
bombs_cost_what_they_may(void **state)
{
	enum { N = 40000 };
	struct arena *a = arena_new((size_t)1 << 30);
	struct bytes *x = arena_array(a, N, sizeof(*x));
	struct bytes *y = arena_array(a, N, sizeof(*y));
	size_t used;

	(void)state;
	for (size_t k = 0; k < N; k++) {
		x[k] = k % 2 == 0 ? BYTES_LIT("a") : BYTES_LIT("b");
		y[k] = k % 2 == 1 ? BYTES_LIT("a") : BYTES_LIT("b");
	}
	assert_int_equal(kept(x, N, y, N, a), N - 1);
	/* every diagonal is long */
	for (size_t k = 0; k < N; k++) {
		bool is_end = k >= N - 600;

		x[k] = is_end ? BYTES_LIT("x") : BYTES_LIT("a");
		y[k] = is_end ? BYTES_LIT("y") : BYTES_LIT("a");
	}
	(void)kept(x, N, y, N, a);
	for (size_t k = 0; k < N; k++) {
		uint8_t room[32];
		struct buf b = BUF_ON(room);

		buf_printf(&b, "%zu", k);
		x[k] = arena_copy(a, buf_bytes(&b));
		y[N - 1 - k] = x[k];
	}
	used = arena_used(a);
	assert_in_range(kept(x, N, y, N, a), 1, N);
	/* rows, hashes and anchors: no square of the lines */
	assert_in_range(arena_used(a) - used, 1, 24U << 20);
	/* far apart, but in order: anchors find them again */
	for (size_t k = 0; k < N; k++)
		y[k] = k % 4 == 0 ? BYTES_LIT("new") : x[k];
	assert_int_equal(kept(x, N, y, N, a), N - N / 4);
	arena_free(&a);
}

static void
long_recipes_are_not_made(void **state)
{
	struct arena *a = *state;
	struct bytes json;
	struct buf old;

	assert_int_equal(arena_buf(a, 200000, &old), 0);
	buf_add_str(&old, H "\r\n");
	for (size_t k = 0; k < 9000; k++)
		buf_printf(&old, "line %zu\r\n", k);
	assert_int_equal(diff(buf_bytes(&old), BYTES_LIT(B("c\r\n")), &json,
	    a), DKIM2_DIFF_LONG);
	old.n = 30000;
	assert_int_equal(diff(buf_bytes(&old), BYTES_LIT(B("c\r\n")), &json,
	    a), DKIM2_DIFF_RECIPE);
}

/* All of a long body is another: that is seen without a search. */
static void
what_is_hopeless_is_seen_at_once(void **state)
{
	enum { N = 6000 };
	struct bytes *x = arena_array(*state, N, sizeof(*x));
	struct bytes *y = arena_array(*state, N, sizeof(*y));
	size_t octets;

	for (size_t k = 0; k < N; k++) {
		uint8_t room[32];
		struct buf b = BUF_ON(room);

		buf_printf(&b, "line %05zu", k);
		x[k] = y[N - 1 - k] = arena_copy(*state, buf_bytes(&b));
	}
	assert_int_equal(diff_runs_lost(x, N, y, N, *state, &octets), 0);
	assert_int_equal(octets, 0);
	y[7] = BYTES_LIT("line");
	assert_int_equal(diff_runs_lost(x, N, y, N, *state, &octets), 0);
	assert_int_equal(octets, 10);
	assert_int_equal(diff_runs_lost(x, N, y, 0, *state, &octets), 0);
	assert_int_equal(octets, 10 * N);
	assert_int_equal(diff_runs_lost(x, 0, y, N, *state, &octets), 0);
	assert_int_equal(octets, 0);
}

/* No line is there once, and hundreds are in or out. */
static void
many_differences_are_the_smallest(void **state)
{
	enum { N = 1200 };
	struct bytes *x = arena_array(*state, N * 4, sizeof(*x));
	struct bytes *y = arena_array(*state, N * 4, sizeof(*y));

	for (size_t k = 0; k < (size_t)N * 4; k++) {
		x[k] = y[k] = k % 4 < 2 ? BYTES_LIT("<td>") :
		    BYTES_LIT("</td>");
		if (k % 4 == 1) {
			x[k] = BYTES_LIT("old");
			y[k] = BYTES_LIT("new");
		}
	}
	assert_int_equal(kept(x, (size_t)N * 4, y, (size_t)N * 4, *state),
	    N * 3);
}

/* Too many differences for Myers, and lines that stand everywhere. */
static void
gaps_between_anchors_are_looked_at(void **state)
{
	enum { N = 6000 };
	static const struct bytes was[] = {BYTES_LIT("a"), BYTES_LIT("b"),
		BYTES_LIT("a")}, is[] = {BYTES_LIT("b"), BYTES_LIT("a"),
		BYTES_LIT("c")};
	struct bytes *x = arena_array(*state, N * 4, sizeof(*x));
	struct bytes *y = arena_array(*state, N * 4, sizeof(*y));

	for (size_t k = 0; k < (size_t)N * 4; k++) {
		uint8_t room[32];
		struct buf b = BUF_ON(room);

		buf_printf(&b, "%zu", k);
		x[k] = y[k] = arena_copy(*state, buf_bytes(&b));
		if (k % 4 != 0) {
			x[k] = was[k % 4 - 1];
			y[k] = is[k % 4 - 1];
		}
	}
	assert_int_equal(kept(x, (size_t)N * 4, y, (size_t)N * 4, *state),
	    N * 3);
}

/* Copies of short lines would cost more than the lines: they give way. */
static void
what_is_tight_still_fits(void **state)
{
	struct bytes json;
	struct buf old, now;

	for (size_t n = 1900; n <= 3600; n += 1700) {
		size_t first;

		assert_int_equal(arena_buf(*state, 65536, &old), 0);
		assert_int_equal(arena_buf(*state, 65536, &now), 0);
		buf_add_str(&old, H "\r\n");
		buf_add_str(&now, H "\r\n");
		for (size_t k = 0; k < n; k++) {
			buf_printf(&old, "%s%04zu\r\n", k % 2 == 0 ? "o" : "",
			    k);
			buf_printf(&now, "%s%04zu\r\n", k % 2 == 0 ? "n" : "",
			    k);
		}
		/* copied, each second line would cost 40 octets and more */
		assert_int_equal(diff(buf_bytes(&old), buf_bytes(&now), &json,
		    *state), DKIM2_DIFF_RECIPE);
		first = bytes_find(json, BYTES_LIT("\"c\""));
		assert_true(first < 40 || n == 3600);
		assert_true(first > 20000 || n == 1900);
	}
}

static void
a_small_arena_is_no_memory(void **state)
{
	struct arena *a = *state;
	struct dkim2_message old, now;
	struct bytes b_old = kit_split(BYTES_LIT(B("a\r\nb\r\nc\r\n")), &old, a);
	struct bytes b_now = kit_split(BYTES_LIT(H "S: x\r\n\r\nb\r\nd\r\n"),
	    &now, a);
	enum dkim2_diff what;
	int r = -E_NOMEM;

	for (size_t cap = 16; r == -E_NOMEM; cap += 64) {
		struct arena *small = arena_new(cap);
		struct bytes json;

		r = dkim2_diff(&what, &json, small, &old, b_old, &now, b_now);
		arena_free(&small);
	}
	assert_int_equal(r, 0);
	assert_int_equal(what, DKIM2_DIFF_RECIPE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(recipes_are_short_and_right),
		TEST(the_worked_example_has_its_recipe),
		TEST(what_no_literal_can_hold_is_not_described),
		TEST(any_two_messages_have_a_recipe),
		TEST(small_differences_are_the_smallest),
		TEST(bombs_cost_what_they_may),
		TEST(long_recipes_are_not_made),
		TEST(what_is_hopeless_is_seen_at_once),
		TEST(many_differences_are_the_smallest),
		TEST(gaps_between_anchors_are_looked_at),
		TEST(what_is_tight_still_fits),
		TEST(a_small_arena_is_no_memory),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
