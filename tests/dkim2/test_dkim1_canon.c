#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dkim2/dkim1_canon.h"
#include "tests/dkim2/kit.h"

static const struct {
	const char *what, *in, *simple, *relaxed;
} bodies[] = {
	/* RFC 6376 3.4.5 */
	{"RFC 3.4.5", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n",
	    " C\r\nD E\r\n"},
	{"nothing", "", "\r\n", ""},
	{"one empty line", "\r\n", "\r\n", ""},
	{"empty lines", "\r\n\r\n\r\n", "\r\n", ""},
	{"blank lines", " \r\n\t \r\n", " \r\n\t \r\n", ""},
	{"blank line that does not end", " \t", " \t\r\n", ""},
	{"no line end", "a", "a\r\n", "a\r\n"},
	{"white space and no line end", "a \t", "a \t\r\n", "a\r\n"},
	{"empty lines before", "\r\n\r\na\r\n", "\r\n\r\na\r\n",
	    "\r\n\r\na\r\n"},
	{"empty lines between", "a\r\n\r\n \r\nb\r\n\r\n",
	    "a\r\n\r\n \r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
	{"tab alone", "a\tb\r\n", "a\tb\r\n", "a b\r\n"},
	{"line begins blank", "a\r\n  b\r\n", "a\r\n  b\r\n", "a\r\n b\r\n"},
	{"lone CR", "a \rb\r\n", "a \rb\r\n", "a \rb\r\n"},
	{"lone CR at the end", "a\r\n\r", "a\r\n\r\r\n", "a\r\n\r\r\n"},
	{"CR CR LF", "a \r\r\n", "a \r\r\n", "a \r\r\n"},
	{"lone LF", "a \nb\n\n", "a \nb\n\n\r\n", "a \nb\n\n\r\n"},
	{"CR before white space", "a\r \r\n\r\n", "a\r \r\n", "a\r\r\n"},
	{"many held lines",
	    "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb",
	    "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb\r\n",
	    "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb\r\n"},
};

static void
body_make(enum dkim1_canon c, struct bytes in, size_t at, size_t at2,
    struct buf *out)
{
	struct dkim1_body b;

	dkim1_body_init(&b, c, canon_to_buf, out);
	assert_int_equal(dkim1_body_add(&b, bytes_first(in, at)), 0);
	assert_int_equal(dkim1_body_add(&b,
	    bytes_first(bytes_skip(in, at), at2 - at)), 0);
	assert_int_equal(dkim1_body_add(&b, bytes_skip(in, at2)), 0);
	assert_int_equal(dkim1_body_end(&b), 0);
}

static void
bodies_are_the_same_at_every_split(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(bodies); k++) {
		struct bytes in = bytes_of(bodies[k].in);

		for (size_t at = 0; at <= in.n; at++)
			for (size_t at2 = at; at2 <= in.n; at2++) {
				uint8_t r1[128], r2[128];
				struct buf s = BUF_ON(r1), r = BUF_ON(r2);

				body_make(DKIM1_SIMPLE, in, at, at2, &s);
				body_make(DKIM1_RELAXED, in, at, at2, &r);
				kit_assert_bytes(buf_bytes(&s),
				    bodies[k].simple);
				kit_assert_bytes(buf_bytes(&r),
				    bodies[k].relaxed);
			}
	}
}

static void
nul_octets_are_octets(void **state)
{
	uint8_t room[64];
	struct buf out = BUF_ON(room);

	(void)state;
	body_make(DKIM1_RELAXED, BYTES_LIT("a\0 \0\t\r\n\0"), 2, 5, &out);
	assert_true(bytes_eq(buf_bytes(&out), BYTES_LIT("a\0 \0\r\n\0\r\n")));
}

static const struct {
	const char *raw, *simple, *relaxed;
} fields[] = {
	/* RFC 6376 3.4.5 */
	{"A: X\r\n", "A: X\r\n", "a:X\r\n"},
	{"B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
	{"Received: a \r\n\r\n \r\n b\r\n", "Received: a \r\n", "received:a\r\n"},
	{"X:\r\n", "X:\r\n", "x:\r\n"},
	{"X: \t \r\n", "X: \t \r\n", "x:\r\n"},
	{"X:\r\n\ty\r\n", "X:\r\n\ty\r\n", "x:y\r\n"},
	{"X: a\rb \r\n", "X: a\rb \r\n", "x:a\rb\r\n"},
};

/* The first field of a header block. */
static struct dkim2_field
field_of(struct arena *a, const char *raw)
{
	struct dkim2_message m;

	(void)kit_split(bytes_of(raw), &m, a);
	return m.fields[0];
}

static void
fields_get_their_forms(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(fields); k++) {
		struct dkim2_field f = field_of(a, fields[k].raw);
		uint8_t r1[128], r2[128];
		struct buf s = BUF_ON(r1), r = BUF_ON(r2);

		assert_int_equal(dkim1_canon_field(DKIM1_SIMPLE, &f,
		    canon_to_buf, &s), 0);
		assert_int_equal(dkim1_canon_field(DKIM1_RELAXED, &f,
		    canon_to_buf, &r), 0);
		kit_assert_bytes(buf_bytes(&s), fields[k].simple);
		kit_assert_bytes(buf_bytes(&r), fields[k].relaxed);
	}
	arena_free(&a);
}

static const struct {
	const char *raw, *simple, *relaxed;
} signatures[] = {
	{"DKIM-Signature: v=1; b=abc; d=x\r\n",
	    "DKIM-Signature: v=1; b=; d=x", "dkim-signature:v=1; b=; d=x"},
	{"DKIM-Signature: v=1; b=ab\r\n\tcd\r\n",
	    "DKIM-Signature: v=1; b=", "dkim-signature:v=1; b="},
	{"DKIM-Signature: v=1;\r\n\tb = a=b ;\r\n",
	    "DKIM-Signature: v=1;\r\n\tb =;", "dkim-signature:v=1; b =;"},
	{"DKIM-Signature:b=x ; \tbh= b=; c=b=\r\n",
	    "DKIM-Signature:b=; \tbh= b=; c=b=",
	    "dkim-signature:b=; bh= b=; c=b="},
	{"DKIM-Signature: v=1; B=x; bb=y\r\n",
	    "DKIM-Signature: v=1; B=x; bb=y",
	    "dkim-signature:v=1; B=x; bb=y"},
};

static void
signatures_lose_what_b_says(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(signatures); k++) {
		struct dkim2_field f = field_of(a, signatures[k].raw);
		uint8_t r1[128], r2[128];
		struct buf s = BUF_ON(r1), r = BUF_ON(r2);

		assert_int_equal(dkim1_canon_signature(DKIM1_SIMPLE, &f,
		    canon_to_buf, &s), 0);
		assert_int_equal(dkim1_canon_signature(DKIM1_RELAXED, &f,
		    canon_to_buf, &r), 0);
		kit_assert_bytes(buf_bytes(&s), signatures[k].simple);
		kit_assert_bytes(buf_bytes(&r), signatures[k].relaxed);
	}
	arena_free(&a);
}

static void
a_full_sink_is_seen(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_field f = field_of(a, "DKIM-Signature: b=x; d=y\r\n");
	uint8_t room[3];
	struct dkim1_body b;

	(void)state;
	for (int c = 0; c < DKIM1_CANON__N; c++) {
		struct buf out = BUF_ON(room);

		dkim1_body_init(&b, (enum dkim1_canon)c, canon_to_buf, &out);
		assert_int_equal(dkim1_body_add(&b, BYTES_LIT("abcd")),
		    -E_LIMIT);
		out = BUF_ON(room);
		dkim1_body_init(&b, (enum dkim1_canon)c, canon_to_buf, &out);
		assert_int_equal(dkim1_body_add(&b, BYTES_LIT("ab")), 0);
		assert_int_equal(dkim1_body_end(&b), -E_LIMIT);
		out = BUF_ON(room);
		assert_int_equal(dkim1_canon_field((enum dkim1_canon)c, &f,
		    canon_to_buf, &out), -E_LIMIT);
		out = BUF_ON(room);
		assert_int_equal(dkim1_canon_signature((enum dkim1_canon)c,
		    &f, canon_to_buf, &out), -E_LIMIT);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_are_the_same_at_every_split),
		cmocka_unit_test(nul_octets_are_octets),
		cmocka_unit_test(fields_get_their_forms),
		cmocka_unit_test(signatures_lose_what_b_says),
		cmocka_unit_test(a_full_sink_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
