/* What the tests of dkim2/ share. Include after <cmocka.h>. */
#ifndef TESTS_DKIM2_KIT_H
#define TESTS_DKIM2_KIT_H

#include <stdio.h>
#include <stdlib.h>

#include "base/b64.h"
#include "dkim2/dkim2.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define KIT_ARENA (64U << 20)

/* A file of the tree, in the arena; make runs tests at its top. */
static inline struct bytes
kit_file(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p;
	long n;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	n = ftell(f);
	assert_true(n >= 0);
	rewind(f);
	p = arena_alloc(a, (size_t)n + 1);
	assert_non_null(p);
	assert_int_equal(fread(p, 1, (size_t)n, f), (size_t)n);
	fclose(f);
	return (struct bytes){p, (size_t)n};
}

/* The worked example of two hops with one thing in it replaced. */
static inline struct bytes
kit_example(struct arena *a, const char *old, const char *new)
{
	struct bytes whole = kit_file(a, "tests/vectors/worked/q2.eml");
	size_t at = bytes_find(whole, bytes_of(old));
	struct buf out;

	assert_true(at < whole.n);
	assert_int_equal(arena_buf(a, whole.n + strlen(new), &out), 0);
	buf_add(&out, bytes_first(whole, at));
	buf_add_str(&out, new);
	buf_add(&out, bytes_skip(whole, at + strlen(old)));
	return buf_bytes(&out);
}

/* Splits a message; without an empty line it is all header. */
static inline struct bytes
kit_split(struct bytes octets, struct dkim2_message *m, struct arena *a)
{
	size_t body_at = octets.n;
	size_t n = dkim2_header_end(octets, &body_at);

	if (n == SIZE_MAX)
		n = octets.n;
	assert_int_equal(dkim2_message_parse(m, bytes_first(octets, n), 1000,
	    a), 0);
	return bytes_skip(octets, body_at);
}

static inline void
kit_assert_bytes(struct bytes got, const char *wanted)
{
	if (!bytes_eq(got, bytes_of(wanted)))
		print_message("got    \"%.*s\"\nwanted \"%s\"\n",
		    BYTES_FMT(got), wanted);
	assert_true(bytes_eq(got, bytes_of(wanted)));
}

static inline void
kit_assert_base64(struct bytes got, const char *wanted)
{
	uint8_t room[128];
	struct buf text = BUF_ON(room);

	b64_encode(got, &text);
	kit_assert_bytes(buf_bytes(&text), wanted);
}

static inline void
kit_assert_hex(struct bytes got, const char *wanted)
{
	uint8_t room[256];
	struct buf text = BUF_ON(room);

	for (size_t k = 0; k < got.n; k++)
		buf_printf(&text, "%02x", got.p[k]);
	kit_assert_bytes(buf_bytes(&text), wanted);
}

#endif
