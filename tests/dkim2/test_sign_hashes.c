/* What a signer is told of the content, and what it makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dkim2/crypto.h"
#include "tests/dkim2/kit.h"

#define ORIGINAL "From: Alice <alice@example.org>\r\nSubject: hello\r\n"

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

/* Digests that no content need have; these hashes were made. */
static struct dkim2_digests
digests(unsigned have)
{
	struct dkim2_digests d = {.have = have};

	memset(d.header, 0xaa, sizeof(d.header));
	memset(d.body, 0x55, sizeof(d.body));
	return d;
}

static const struct dkim2_signing_key key = {BYTES_LIT("ed1"),
    DKIM2_ED25519_SHA256};

/* Signs with anything; the header with the new fields, or why not. */
static enum dkim2_refusal
sign(struct arena *a, const struct dkim2_digests *d, struct bytes header,
    const struct dkim2_sign_options *o, struct bytes *out)
{
	static const uint8_t any[64] = {1};
	struct dkim2_message *m = arena_alloc(a, sizeof(*m));
	struct dkim2_sign *s;
	enum dkim2_refusal why;
	struct buf text;

	assert_int_equal(dkim2_message_parse(m, header, 99, a), 0);
	assert_int_equal(dkim2_sign_new(&s, a, m, d, o, &why), 0);
	if (why != DKIM2_MAY_SIGN)
		return why;
	assert_int_equal(dkim2_sign_answer(s, 0, (struct bytes){any, 64}), 0);
	assert_int_equal(dkim2_sign_step(s), DKIM2_DONE);
	assert_int_equal(arena_buf(a, header.n + dkim2_sign_fields(s).n,
	    &text), 0);
	buf_add(&text, dkim2_sign_fields(s));
	buf_add(&text, header);
	*out = buf_bytes(&text);
	return why;
}

/* A first hop with some hashes, and a second that made some. */
static void
hashes_of_a_group_all_have_to_match(void **state)
{
	static const struct {
		unsigned written, made;
		enum dkim2_refusal first, second;
	} row[] = {
		{1, 1, DKIM2_MAY_SIGN, DKIM2_MAY_SIGN},
		{3, 3, DKIM2_MAY_SIGN, DKIM2_MAY_SIGN},
		{2, 3, DKIM2_MAY_SIGN, DKIM2_MAY_SIGN},
		{3, 1, DKIM2_MAY_SIGN, DKIM2_REFUSE_CONTENT},
		{3, 2, DKIM2_MAY_SIGN, DKIM2_REFUSE_CONTENT},
		{1, 2, DKIM2_MAY_SIGN, DKIM2_REFUSE_CONTENT},
		/* not every bit is a hash */
		{4, 7, DKIM2_REFUSE_OPTIONS, DKIM2_MAY_SIGN},
	};
	static const struct bytes to = BYTES_LIT("<list@lists.example>");
	static const struct dkim2_envelope first = {
		BYTES_LIT("<alice@example.org>"), &to, 1};
	static const struct dkim2_envelope second = {
		BYTES_LIT("<l@lists.example>"), &to, 1};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_digests all = digests(7);
		struct dkim2_digests made = digests(row[k].made);
		struct dkim2_sign_options o = {
			.domain = BYTES_LIT("example.org"), .keys = &key,
			.n_keys = 1, .envelope = &first,
			.hashes = row[k].written,
		};
		struct bytes once, twice;

		assert_int_equal(sign(*state, &all, BYTES_LIT(ORIGINAL), &o,
		    &once), row[k].first);
		if (row[k].first != DKIM2_MAY_SIGN)
			continue;
		o.envelope = &second;
		o.domain = BYTES_LIT("lists.example");
		o.hashes = row[k].made;
		assert_int_equal(sign(*state, &made, once, &o, &twice),
		    row[k].second);
	}
}

/* A hash that was not made is never written. */
static void
hashes_are_written_only_when_made(void **state)
{
	static const struct bytes to = BYTES_LIT("<list@lists.example>");
	static const struct dkim2_envelope e = {
		BYTES_LIT("<alice@example.org>"), &to, 1};

	for (unsigned made = 0; made <= 3; made++) {
		for (unsigned wanted = 0; wanted <= 3; wanted++) {
			struct dkim2_digests d = digests(made);
			struct dkim2_sign_options o = {
				.domain = BYTES_LIT("example.org"),
				.keys = &key, .n_keys = 1, .envelope = &e,
				.hashes = wanted,
			};
			unsigned needed = wanted == 0 ? 1 : wanted;
			struct bytes out;

			assert_int_equal(sign(*state, &d, BYTES_LIT(ORIGINAL),
			    &o, &out), (needed & ~made) == 0 ?
			    DKIM2_MAY_SIGN : DKIM2_REFUSE_OPTIONS);
		}
	}
}

/* G12: behind the first hop, and with several recipients, it is exploded. */
static void
exploded_is_for_several_recipients(void **state)
{
	static const struct bytes to[] = {BYTES_LIT("<list@lists.example>"),
		BYTES_LIT("<bob@lists.example>")};
	struct dkim2_digests d = digests(1);

	for (size_t n = 1; n <= 2; n++) {
		struct dkim2_envelope e = {BYTES_LIT("<alice@example.org>"),
		    to, n};
		struct dkim2_sign_options o = {
			.domain = BYTES_LIT("example.org"), .keys = &key,
			.n_keys = 1, .envelope = &e,
		};
		struct bytes once, twice;

		assert_int_equal(sign(*state, &d, BYTES_LIT(ORIGINAL), &o,
		    &once), DKIM2_MAY_SIGN);
		assert_int_equal(bytes_find(once, BYTES_LIT("f=exploded;")),
		    once.n);
		e.mail_from = BYTES_LIT("<l@lists.example>");
		o.domain = BYTES_LIT("lists.example");
		assert_int_equal(sign(*state, &d, once, &o, &twice),
		    DKIM2_MAY_SIGN);
		assert_int_equal(bytes_find(twice, BYTES_LIT("f=exploded;")) <
		    twice.n, n == 2);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
		TEST(hashes_of_a_group_all_have_to_match),
		TEST(hashes_are_written_only_when_made),
		TEST(exploded_is_for_several_recipients),
	};

	return cmocka_run_group_tests_name("dkim2/sign_hashes", tests, NULL,
	    NULL);
}
