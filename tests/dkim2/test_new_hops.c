/* What a signer asks of its own work: the hops that are new, and no more. */
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

struct asked {
	struct dkim2_verify_options opts;
	const char *mail_from;	/* NULL: that of the example */
	size_t n_wants;
	bool is_known;		/* the body's digests are given */
};

static struct dkim2_digests
digests_of(struct bytes octets)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_verify_options o = {.scope = DKIM2_DIGESTS,
	    .hashes = 1U << DKIM2_SHA256};
	struct dkim2_digests got;
	struct dkim2_message m;
	struct bytes body = kit_split(octets, &m, a);
	struct dkim2_verify *v;

	assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(v, &m), 0);
	assert_int_equal(dkim2_verify_body(v, body), 0);
	assert_int_equal(dkim2_verify_end(v, body), 0);
	got = *dkim2_verify_digests(v);
	dkim2_verify_fini(v);
	arena_free(&a);
	return got;
}

/* The full verdict, as text. */
static void
expect(struct bytes octets, const struct asked *asked, const char *full)
{
	static const struct craft_run usual = {.mail_from = NULL};
	struct arena *a = arena_new(KIT_ARENA);
	struct bytes rcpt = BYTES_LIT("<bob@example.net>"), body;
	struct dkim2_envelope e = {bytes_of(asked->mail_from == NULL ?
	    "<l-bounces@lists.example>" : asked->mail_from), &rcpt, 1};
	struct dkim2_verify_options o = asked->opts;
	struct dkim2_digests known = digests_of(octets);
	const struct dkim2_result *r;
	const struct bytes *names;
	struct dkim2_message m;
	struct dkim2_verify *v;
	char room[600];
	size_t n;

	body = kit_split(octets, &m, a);
	o.now_s = CRAFT_TIME + 60;
	o.scope = DKIM2_NEW_HOPS;
	o.envelope = &e;
	o.known = asked->is_known ? &known : NULL;
	assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(v, &m), 0);
	if (!asked->is_known)
		assert_int_equal(dkim2_verify_body(v, body), 0);
	assert_int_equal(dkim2_verify_end(v, body), 0);
	n = dkim2_verify_wants(v, &names);
	assert_int_equal(n, asked->n_wants);
	for (size_t k = 0; k < n; k++)
		craft_answer(v, k, names[k], &usual);
	assert_int_equal(dkim2_verify_step(v), DKIM2_DONE);
	r = dkim2_verify_result(v);
	assert_string_equal(craft_text(&r->full, room, sizeof(room)), full);
	assert_int_equal(r->condition, DKIM2_UNCLEAR);
	assert_int_equal(r->n_signatures, 2);
	assert_memory_equal(dkim2_verify_digests(v)->body[DKIM2_SHA256],
	    known.body[DKIM2_SHA256], 32);
	dkim2_verify_fini(v);
	arena_free(&a);
}

#define WRONG_KEY "fail DKIM2-Signature i=1 selector ed1 incorrect signature"

static void
the_new_hop_is_looked_at_in_full(void **state)
{
	static const struct {
		const char *old, *new;
		const char *full;
	} row[] = {
		{"Two", "Two", "pass"},
		{"s=l1:ed25519-sha256:6SLx", "s=l1:ed25519-sha256:AAAA",
		    "fail DKIM2-Signature i=2 selector l1 incorrect signature"},
		{"[L] Two", "[M] Two",
		    "fail Message-Instance m=2 header hash sha256 mismatch"},
		/* a footer that is not ours: what came is not that any more */
		{"footer", "footers",
		    "fail Message-Instance m=2 body hash sha256 mismatch"},
		{"t=1795341660", "t=1895341660",
		    "fail DKIM2-Signature i=2 signature is from the future"},
		{"d=lists.example", "d=other.example", "fail DKIM2-Signature "
		    "i=2 MAIL FROM and d= do not match"},
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(row); k++) {
		struct asked asked = {.opts = {.n_new = 1}, .n_wants = 1};
		struct bytes octets = kit_example(a, row[k].old, row[k].new);

		for (unsigned known = 0; known < 2; known++) {
			asked.is_known = known != 0;
			expect(octets, &asked, row[k].full);
		}
	}
}

/* What was verified before is not verified again. */
static void
below_it_nothing_is_asked(void **state)
{
	struct bytes octets = kit_example(*state, "t=1795341600; d=example.org",
	    "t=1795341601; d=example.org");
	struct asked one = {.opts = {.n_new = 1}, .n_wants = 1};
	struct asked both = {.opts = {.n_new = 2}, .n_wants = 2};
	struct asked more = {.opts = {.n_new = 9}, .n_wants = 2};

	expect(octets, &both, WRONG_KEY);
	expect(octets, &more, WRONG_KEY);
	/* the new one signed the old one as it was */
	expect(octets, &one,
	    "fail DKIM2-Signature i=2 selector l1 incorrect signature");
}

static void
its_recipe_must_lead_back(void **state)
{
	struct bytes octets = kit_file(*state, "tests/vectors/worked/q2.eml");
	struct dkim2_limits limits;
	struct asked none = {.opts = {.n_new = 0}, .n_wants = 0};
	struct asked one = {.opts = {.n_new = 1}, .n_wants = 1};

	dkim2_limits_default(&limits);
	limits.max_undo = 1;
	one.opts.limits = &limits;
	none.opts.limits = &limits;
	none.mail_from = "<l-bounces@lists.example>";
	expect(octets, &none, "pass");
	expect(octets, &one, "permerror Message-Instance m=2 Recipe asks "
	    "for more work than allowed");
}

static void
without_a_new_hop_the_top_state_alone_counts(void **state)
{
	struct asked none = {.opts = {.n_new = 0}, .n_wants = 0};

	expect(kit_file(*state, "tests/vectors/worked/q2.eml"), &none, "pass");
	expect(kit_example(*state, "s=l1:ed25519-sha256:6SLx",
	    "s=l1:ed25519-sha256:AAAA"), &none, "pass");
	expect(kit_example(*state, "[L] Two", "[M] Two"), &none,
	    "fail Message-Instance m=2 header hash sha256 mismatch");
}

static void
what_the_caller_made_may_be_trusted(void **state)
{
	struct bytes octets = kit_example(*state, "s=l1:ed25519-sha256:6SLx",
	    "s=l1:ed25519-sha256:AAAA");
	struct asked trusted = {.opts = {.n_new = 1,
	    .trusted = 1U << DKIM2_ED25519_SHA256}, .n_wants = 0};
	struct asked other = {.opts = {.n_new = 1,
	    .trusted = 1U << DKIM2_RSA_SHA256}, .n_wants = 1};

	expect(octets, &trusted, "pass");
	expect(octets, &other,
	    "fail DKIM2-Signature i=2 selector l1 incorrect signature");
	/* the rest is looked at all the same */
	expect(kit_example(*state, "[L] Two", "[M] Two"), &trusted,
	    "fail Message-Instance m=2 header hash sha256 mismatch");
}

static void
the_envelope_counts(void **state)
{
	struct asked asked = {.opts = {.n_new = 1}, .n_wants = 1,
	    .mail_from = "<x@lists.example>"};

	expect(kit_file(*state, "tests/vectors/worked/q2.eml"), &asked,
	    "fail DKIM2-Signature i=2 MAIL FROM <x@lists.example> did not match");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
		TEST(the_new_hop_is_looked_at_in_full),
		TEST(below_it_nothing_is_asked),
		TEST(its_recipe_must_lead_back),
		TEST(without_a_new_hop_the_top_state_alone_counts),
		TEST(what_the_caller_made_may_be_trusted),
		TEST(the_envelope_counts),
	};

	return cmocka_run_group_tests_name("dkim2/new_hops", tests, NULL,
	    NULL);
}
