#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/json.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* One letter for each event, texts in parentheses, "!" for bad. */
static void
trace(struct bytes in, size_t max_depth, struct arena *a, struct buf *out)
{
	static const char letters[] = "!.{}[]ksn+-0";
	struct json j;
	enum json_event e;

	assert_int_equal(json_init(&j, in, max_depth, a), 0);
	do {
		e = json_next(&j);
		buf_add_octet(out, (uint8_t)letters[e]);
		if (e == JSON_KEY || e == JSON_STRING || e == JSON_NUMBER)
			buf_printf(out, "(%.*s)", BYTES_FMT(j.text));
	} while (e != JSON_BAD && e != JSON_END);
	assert_int_equal(json_next(&j), e);
}

/* V15: what is JSON, and what only looks like it. */
static void
events(void **state)
{
	static const struct {
		const char *in, *out;
	} row[] = {
		{"{}", "{}."},
		{" [ ] ", "[]."},
		{"{\"a\":[1,-2.5e+3,\"x\"],\"b\":null}\r\n",
		 "{k(a)[n(1)n(-2.5e+3)s(x)]k(b)0}."},
		{"[true,false,null]", "[+-0]."},
		{"\"a\"", "s(a)."},
		{"0", "n(0)."},
		{"[[],{},[{}]]", "[[]{}[{}]]."},
		{"\"\\u00e9\\ud83d\\ude00\\n\\/\"",
		 "s(\\u00e9\\ud83d\\ude00\\n\\/)."},
		{"\"\xc3\xa9\"", "s(\xc3\xa9)."},
		{"", "!"},
		{"[", "[!"},
		{"[1", "[n(1)!"},
		{"[1,", "[n(1)!"},
		{"[1,]", "[n(1)!"},
		{"[,1]", "[!"},
		{"[1 2]", "[n(1)!"},
		{"[1}", "[n(1)!"},
		{"{\"a\":1]", "{k(a)n(1)!"},
		{"{\"a\":1,}", "{k(a)n(1)!"},
		{"{\"a\"}", "{!"},
		{"{\"a\" 1}", "{!"},
		{"{\"a\":}", "{k(a)!"},
		{"{a:1}", "{!"},
		{"{1:1}", "{!"},
		{"{} {}", "{}!"},
		{"{}x", "{}!"},
		{"nul", "!"},
		{"True", "!"},
		{"01", "n(0)!"},
		{"1.", "!"},
		{".5", "!"},
		{"-", "!"},
		{"1e", "!"},
		{"+1", "!"},
		{"NaN", "!"},
		{"'a'", "!"},
		{"\"a", "!"},
		{"\"a\\\"", "!"},
		{"\"a\nb\"", "!"},
		{"\"a\tb\"", "!"},
		{"\"\\x41\"", "!"},
		{"\"\\u12\"", "!"},
		{"\"\\ud800\"", "!"},		/* half a pair */
		{"\"\\ud800\\u0041\"", "!"},
		{"\"\\udc00\\ud800\"", "!"},
		{"\"\xff\"", "!"},
		{"\"\xc0\xaf\"", "!"},		/* overlong */
		{"\"\xe0\x80\x80\"", "!"},
		{"\"\xed\xa0\x80\"", "!"},	/* a surrogate */
		{"\"\xf4\x90\x80\x80\"", "!"},	/* past U+10FFFF */
		{"\"\xe2\x82\"", "!"},
		{"\xef\xbb\xbf{}", "!"},	/* byte order mark */
		{"{}/* x */", "{}!"},
		{"\v{}", "!"},
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		char got[256] = "";
		struct buf out = {(uint8_t *)got, 0, sizeof(got) - 1, false};

		trace(bytes_of(row[k].in), 100, a, &out);
		assert_string_equal(got, row[k].out);
	}
	arena_free(&a);
}

static void
depth_is_bounded(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char got[64] = "";
	struct buf out = {(uint8_t *)got, 0, sizeof(got) - 1, false};

	(void)state;
	trace(BYTES_LIT("[[[1]]]"), 3, a, &out);
	assert_string_equal(got, "[[[n(1)]]].");
	memset(got, 0, sizeof(got));
	out.n = 0;
	trace(BYTES_LIT("[[[1]]]"), 2, a, &out);
	assert_string_equal(got, "[[!");
	arena_free(&a);
}

static void
escapes_become_octets(void **state)
{
	static const struct {
		const char *in, *out;
	} row[] = {
		{"", ""},
		{"plain", "plain"},
		{"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
		{"\\u0041\\u00e9\\u20AC\\ud83d\\ude00z",
		 "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"},
		{"a\\u07ffb\\u0800\\uffff",
		 "a\xdf\xbf" "b\xe0\xa0\x80\xef\xbf\xbf"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		uint8_t room[64];
		struct buf out = {room, 0, strlen(row[k].in), false};

		assert_true(json_unescape(bytes_of(row[k].in), &out));
		assert_true(bytes_eq(buf_bytes(&out), bytes_of(row[k].out)));
	}
}

static void
a_skipped_value_is_gone(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct json j;

	(void)state;
	assert_int_equal(json_init(&j, BYTES_LIT("[[1,{\"a\":[]}],2,[}]"), 9,
	    a), 0);
	assert_int_equal(json_next(&j), JSON_ARRAY);
	assert_true(json_skip(&j, json_next(&j)));
	assert_int_equal(json_next(&j), JSON_NUMBER);
	assert_true(json_skip(&j, JSON_NUMBER));
	assert_false(json_skip(&j, json_next(&j)));
	arena_free(&a);
}

/* V15: keys that come twice, at any depth, however they are written. */
static void
keys_may_not_come_twice(void **state)
{
	static const struct {
		const char *in;
		enum json_verdict exact, folded;
	} row[] = {
		{"{\"a\":1,\"b\":2}", JSON_GOOD, JSON_GOOD},
		{"{\"a\":1,\"a\":1}", JSON_TWICE, JSON_TWICE},
		{"{\"a\":1,\"A\":1}", JSON_GOOD, JSON_TWICE},
		{"{\"a\":1,\"\\u0061\":1}", JSON_TWICE, JSON_TWICE},
		{"{\"h\":{\"a\":1},\"b\":{\"a\":1}}", JSON_GOOD, JSON_GOOD},
		{"{\"x\":{\"a\":1,\"b\":[{\"c\":1,\"d\":1,\"c\":2}]}}",
		 JSON_TWICE, JSON_TWICE},
		{"{\"a\":{\"b\":1},\"c\":2,\"a\":3}", JSON_TWICE, JSON_TWICE},
		{"[{\"a\":1},{\"a\":1}]", JSON_GOOD, JSON_GOOD},
		{"{\"\":1,\"\":2}", JSON_TWICE, JSON_TWICE},
		{"{\"\xc3\x89\":1,\"\xc3\xa9\":2}", JSON_GOOD, JSON_GOOD},
		{"{\"a\":1,\"a\":1", JSON_INVALID, JSON_INVALID},
		{"[1,2]", JSON_GOOD, JSON_GOOD},
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		enum json_verdict v;
		size_t at;

		assert_int_equal(json_check(bytes_of(row[k].in), false, a, &v,
		    &at), 0);
		assert_int_equal(v, row[k].exact);
		assert_int_equal(json_check(bytes_of(row[k].in), true, a, &v,
		    &at), 0);
		assert_int_equal(v, row[k].folded);
		assert_true(at <= strlen(row[k].in));
	}
	arena_free(&a);
}

/* V15: depth costs neither stack nor time; many keys are sorted. */
static void
bombs(void **state)
{
	enum { N = 100000 };
	struct arena *a = arena_new(64 << 20);
	struct buf text;
	enum json_verdict v;
	size_t at;

	(void)state;
	assert_int_equal(arena_buf(a, 2 * N, &text), 0);
	memset(text.p, '[', N);
	memset(text.p + N, ']', N);
	assert_int_equal(json_check((struct bytes){text.p, 2 * N}, true, a,
	    &v, &at), 0);
	assert_int_equal(v, JSON_GOOD);
	assert_int_equal(json_check((struct bytes){text.p, 2 * N - 1}, true,
	    a, &v, &at), 0);
	assert_int_equal(v, JSON_INVALID);
	assert_int_equal(arena_buf(a, 16 * N, &text), 0);
	buf_add_octet(&text, '{');
	for (unsigned k = 0; k < N; k++)
		buf_printf(&text, "\"%u\":0,", k * 7U % N);
	buf_add_str(&text, "\"77\":0}");
	assert_int_equal(json_check(buf_bytes(&text), true, a, &v, &at), 0);
	assert_int_equal(v, JSON_TWICE);
	arena_free(&a);
}

static void
no_room_is_told(void **state)
{
	struct arena *a = arena_new(32);
	enum json_verdict v;
	size_t at;

	(void)state;
	assert_int_equal(json_check(BYTES_LIT("{\"a\":1,\"b\":2}"), true, a,
	    &v, &at), -E_NOMEM);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(escapes_become_octets),
		cmocka_unit_test(a_skipped_value_is_gone),
		cmocka_unit_test(keys_may_not_come_twice),
		cmocka_unit_test(bombs),
		cmocka_unit_test(no_room_is_told),
	};

	return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
