/* What a message that came back in a DSN is asked: its last hop alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "tests/dkim2/kit.h"
#include "tests/dkim2/craft.h"

static int
open_arena(void **state)
{
	*state = arena_new(KIT_ARENA);
	return *state == NULL || sodium_init() < 0;
}

static int
close_arena(void **state)
{
	arena_free((struct arena **)state);
	return 0;
}

static const struct dkim2_result *
verify(struct arena *a, struct bytes octets, enum dkim2_scope scope,
    const struct craft_run *run, struct dkim2_verify **v)
{
	struct dkim2_message *m = arena_alloc(a, sizeof(*m));
	struct bytes body = kit_split(octets, m, a);
	struct bytes rcpt = BYTES_LIT("<bob@example.net>");
	struct dkim2_envelope e = {BYTES_LIT("<l-bounces@lists.example>"),
	    &rcpt, 1};
	struct dkim2_verify_options o = {.now_s = CRAFT_TIME + 60,
	    .scope = scope, .envelope = &e};
	const struct bytes *names;

	if (scope == DKIM2_LAST_HOP_HEADER)
		body = (struct bytes){NULL, 0};
	assert_int_equal(dkim2_verify_new(v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(*v, m), 0);
	assert_int_equal(dkim2_verify_body(*v, body), 0);
	assert_int_equal(dkim2_verify_end(*v, body), 0);
	/* The key of the first hop is nobody's business. */
	assert_int_equal(dkim2_verify_wants(*v, &names), 1);
	kit_assert_bytes(names[0], "l1._domainkey.lists.example");
	assert_int_equal(dkim2_verify_step(*v), DKIM2_WANT_KEY);
	craft_answer(*v, 0, names[0], run);
	assert_int_equal(dkim2_verify_step(*v), DKIM2_DONE);
	return dkim2_verify_result(*v);
}

static void
only_the_last_hop_is_asked(void **state)
{
	static const struct craft_record wrong[] = {
		{"l1._domainkey.lists.example", {CRAFT_A, NULL}},
	}, away[] = {
		{"l1._domainkey.lists.example", {"TEMPFAIL", NULL}},
	};
	static const struct craft_run usual = {.mail_from = NULL},
	    other_key = {.records = wrong, .n_records = 1},
	    no_key = {.records = away, .n_records = 1};
	static const struct {
		const char *old, *new;
		const struct craft_run *run;
		const char *whole, *header;	/* by scope */
	} row[] = {
		{"bob", "bob", &usual, "pass", "pass"},
		/* what the first hop answers for is not looked at */
		{"s=ed1:ed25519-sha256:VMq2", "s=ed1:ed25519-sha256:AAAA",
		 &usual, "fail DKIM2-Signature i=2 selector l1 incorrect "
		 "signature", "fail DKIM2-Signature i=2 selector l1 incorrect "
		 "signature"},
		{"Hello,  list.", "Hello, lists.", &usual,
		 "fail Message-Instance m=2 body hash sha256 mismatch",
		 "pass"},
		{"[L] Two", "[M] Two", &usual,
		 "fail Message-Instance m=2 header hash sha256 mismatch",
		 "fail Message-Instance m=2 header hash sha256 mismatch"},
		{"bob", "bob", &other_key, "fail DKIM2-Signature i=2 selector "
		 "l1 incorrect signature", "fail DKIM2-Signature i=2 selector "
		 "l1 incorrect signature"},
		{"bob", "bob", &no_key, "temperror DKIM2-Signature i=2 public "
		 "key l1 could not be fetched", "temperror DKIM2-Signature i=2 "
		 "public key l1 could not be fetched"},
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(row); k++) {
		for (enum dkim2_scope s = DKIM2_LAST_HOP;
		    s <= DKIM2_LAST_HOP_HEADER; s++) {
			bool same = strcmp(row[k].old, row[k].new) == 0;
			struct bytes octets = kit_example(a, same ? "Two" :
			    row[k].old, same ? "Two" : row[k].new);
			struct dkim2_verify *v;
			const struct dkim2_result *r = verify(a, octets, s,
			    row[k].run, &v);
			char room[600];

			assert_string_equal(craft_text(&r->provisional, room,
			    sizeof(room)), s == DKIM2_LAST_HOP ?
			    row[k].whole : row[k].header);
			/* it is never taken for more than it is */
			assert_int_equal(r->full.state, DKIM2_NONE);
			assert_int_equal(r->condition, DKIM2_UNCLEAR);
			dkim2_verify_fini(v);
		}
	}
}

/* A recipe that can not be undone does not matter to the last hop. */
static void
nothing_is_undone(void **state)
{
	struct arena *a = *state;
	struct bytes octets = kit_file(a, "tests/vectors/worked/q2.eml");
	struct bytes body;
	struct dkim2_limits limits;
	struct dkim2_verify_options o = {.now_s = CRAFT_TIME,
	    .limits = &limits};
	struct dkim2_message m;

	dkim2_limits_default(&limits);
	limits.max_undo = 1;
	body = kit_split(octets, &m, a);
	for (o.scope = DKIM2_WHOLE; o.scope <= DKIM2_LAST_HOP; o.scope++) {
		struct craft_run usual = {.mail_from = NULL};
		const struct bytes *names;
		struct dkim2_verify *v;
		size_t n;

		assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
		assert_int_equal(dkim2_verify_header(v, &m), 0);
		assert_int_equal(dkim2_verify_body(v, body), 0);
		assert_int_equal(dkim2_verify_end(v, body), 0);
		n = dkim2_verify_wants(v, &names);
		for (size_t k = 0; k < n; k++)
			craft_answer(v, k, names[k], &usual);
		assert_int_equal(dkim2_verify_result(v)->n_all,
		    o.scope == DKIM2_WHOLE);
		dkim2_verify_fini(v);
	}
}

static void
digests_alone_need_no_chain(void **state)
{
	struct arena *a = *state;
	struct bytes octets = kit_file(a, "tests/vectors/worked/q2.eml");
	struct dkim2_verify_options o = {.now_s = CRAFT_TIME,
	    .hashes = 1U << DKIM2_SHA512};
	struct dkim2_digests got[2];
	struct dkim2_message m;
	struct bytes body = kit_split(octets, &m, a);

	for (unsigned k = 0; k < 2; k++) {
		const struct bytes *names;
		const struct dkim2_result *r;
		struct dkim2_verify *v;

		o.scope = k == 0 ? DKIM2_LAST_HOP : DKIM2_DIGESTS;
		assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
		assert_int_equal(dkim2_verify_header(v, &m), 0);
		assert_int_equal(dkim2_verify_body(v, body), 0);
		assert_int_equal(dkim2_verify_end(v, body), 0);
		got[k] = *dkim2_verify_digests(v);
		r = dkim2_verify_result(v);
		if (k == 1) {
			assert_int_equal(dkim2_verify_wants(v, &names), 0);
			assert_int_equal(dkim2_verify_step(v), DKIM2_DONE);
			assert_int_equal(r->full.state, DKIM2_NONE);
			assert_int_equal(r->provisional.state, DKIM2_NONE);
			assert_int_equal(r->condition, DKIM2_UNCLEAR);
		}
		dkim2_verify_fini(v);
	}
	assert_int_equal(got[1].have, 1U << DKIM2_SHA512);
	assert_memory_equal(got[0].header[DKIM2_SHA512],
	    got[1].header[DKIM2_SHA512], 64);
	assert_memory_equal(got[0].body[DKIM2_SHA512],
	    got[1].body[DKIM2_SHA512], 64);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
		TEST(only_the_last_hop_is_asked),
		TEST(nothing_is_undone),
		TEST(digests_alone_need_no_chain),
	};

	return cmocka_run_group_tests_name("dkim2/last_hop", tests, NULL,
	    NULL);
}
