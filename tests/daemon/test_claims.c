#include "daemon/claims.h"

#include <sodium.h>
#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/singles.h"
#include "tests/daemon/store_kit.h"

/* Peers 1 and 2 before one keeper, whose clock is ours. */
struct scene {
	struct kit *kit;
	struct claims *claims;
	struct claims_now now;
	struct memory_response a;
	char value[MEMORY_VALUE_MAX + 1];
};

static int
start(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(kit_start((void **)&s->kit), 0);
	s->claims = claims_new(s->kit->store);
	assert_non_null(s->claims);
	s->now = (struct claims_now){1000, NOW};
	*state = s;
	return 0;
}

static int
stop(void **state)
{
	struct scene *s = *state;

	claims_free(&s->claims);
	kit_stop((void **)&s->kit);
	free(s);
	return 0;
}

static struct memory_request
request(enum memory_op op, unsigned n)
{
	struct memory_request q = {.op = (uint8_t)op, .tag = 77,
	    .pair = 5000 + n, .sender = 9};

	memcpy(q.key, &n, sizeof(n));
	return q;
}

/* Sends a message of entry n; whether it was answered. */
static bool
say(struct scene *s, unsigned peer, enum memory_op op, unsigned n,
    const char *value)
{
	struct memory_request q = request(op, n);
	struct bytes out;
	bool is_answered = claims_take(s->claims, peer, &q, bytes_of(value),
	    s->now, &s->a, &out);

	memset(s->value, 0, sizeof(s->value));
	if (out.n != 0)
		memcpy(s->value, out.p, out.n);
	return is_answered;
}

static void
claim_is(struct scene *s, unsigned peer, unsigned n, const char *value,
    enum memory_status status, const char *answer)
{
	assert_true(say(s, peer, MEMORY_OP_CLAIM, n, value));
	assert_int_equal(s->a.status, status);
	assert_int_equal(s->a.tag, 77);
	assert_int_equal(s->a.n_value, strlen(answer));
	assert_string_equal(s->value, answer);
}

static void
v7_one_owner_at_a_time(void **state)
{
	struct scene *s = *state;

	claim_is(s, 1, 1, "v1", MEMORY_NEW, "");
	claim_is(s, 2, 1, "v2", MEMORY_BUSY, "");
	claim_is(s, 1, 1, "v3", MEMORY_BUSY, "");
	claim_is(s, 2, 2, "v4", MEMORY_NEW, "");
	/* another can neither end it nor forget it */
	assert_false(say(s, 2, MEMORY_OP_RELEASE, 1, ""));
	assert_false(say(s, 2, MEMORY_OP_UNSURE, 1, "v5"));
	assert_true(say(s, 2, MEMORY_OP_FORGET, 1, ""));
	claim_is(s, 2, 1, "v6", MEMORY_BUSY, "");
	/* who delivered it all the same is believed; the owner still has it */
	assert_true(say(s, 2, MEMORY_OP_DELIVERED, 1, "v7"));
	assert_int_equal(s->a.status, MEMORY_DELIVERED);
	claim_is(s, 2, 1, "v8", MEMORY_BUSY, "");
	assert_true(say(s, 1, MEMORY_OP_DELIVERED, 1, "v9"));
	claim_is(s, 2, 1, "v10", MEMORY_DELIVERED, "v9");
}

static void
ends_of_claims(void **state)
{
	struct scene *s = *state;

	claim_is(s, 1, 1, "v1", MEMORY_NEW, "");
	say(s, 1, MEMORY_OP_RELEASE, 1, "");
	claim_is(s, 2, 1, "v2", MEMORY_NEW, "");
	say(s, 2, MEMORY_OP_UNSURE, 1, "");
	claim_is(s, 1, 1, "v3", MEMORY_AGAIN, "v2");
	say(s, 1, MEMORY_OP_RELEASE, 1, "");
	claim_is(s, 2, 1, "v4", MEMORY_AGAIN, "v2");
	say(s, 2, MEMORY_OP_DELIVERED, 1, "v2");
	claim_is(s, 1, 1, "v5", MEMORY_DELIVERED, "v2");
	assert_true(say(s, 1, MEMORY_OP_FORGET, 1, ""));
	assert_int_equal(s->a.status, MEMORY_DELIVERED);
	claim_is(s, 1, 1, "v6", MEMORY_NEW, "");
	/* a try that no keeper knew of */
	say(s, 1, MEMORY_OP_UNSURE, 5, "v7");
	claim_is(s, 2, 5, "v8", MEMORY_AGAIN, "v7");
}

/* The memory of a keeper that is gone: who had it of that one ended it when
 * another had claimed it anew already. */
static void
what_another_ended_outlives_a_release(void **state)
{
	struct scene *s = *state;

	claim_is(s, 2, 1, "v1", MEMORY_NEW, "");
	assert_true(say(s, 1, MEMORY_OP_DELIVERED, 1, "v2"));
	say(s, 2, MEMORY_OP_RELEASE, 1, "");
	claim_is(s, 2, 1, "v3", MEMORY_DELIVERED, "v2");
	/* likewise a try without a clear end */
	claim_is(s, 2, 2, "v4", MEMORY_NEW, "");
	assert_false(say(s, 1, MEMORY_OP_UNSURE, 2, "v5"));
	say(s, 2, MEMORY_OP_RELEASE, 2, "");
	claim_is(s, 2, 2, "v6", MEMORY_AGAIN, "v4");
}

static void
claims_of_the_dead_are_free(void **state)
{
	struct scene *s = *state;

	for (unsigned n = 0; n < 100; n++)
		claim_is(s, 1 + n % 2, n, "v1", MEMORY_NEW, "");
	claims_leave(s->claims, 1);
	for (unsigned n = 0; n < 100; n++)
		claim_is(s, 3, n, "v2", n % 2 == 0 ? MEMORY_AGAIN :
		    MEMORY_BUSY, n % 2 == 0 ? "v1" : "");
}

static void
claims_of_the_forgetful_are_free_some_day(void **state)
{
	struct scene *s = *state;

	claim_is(s, 1, 1, "v1", MEMORY_NEW, "");
	s->now.ms += CLAIMS_OWNED_MS;
	claim_is(s, 2, 1, "v2", MEMORY_BUSY, "");
	/* a step of the clock is no time */
	s->now.time_s += 3 * DAY;
	claim_is(s, 2, 1, "v3", MEMORY_BUSY, "");
	s->now.ms++;
	claim_is(s, 2, 1, "v4", MEMORY_AGAIN, "v1");
	/* and the first owner has it no more */
	say(s, 1, MEMORY_OP_RELEASE, 1, "");
	claim_is(s, 3, 1, "v5", MEMORY_BUSY, "");
}

static void
held_claims_are_claims(void **state)
{
	struct scene *s = *state;

	assert_false(say(s, 1, MEMORY_OP_HOLD, 1, "v1"));
	claim_is(s, 2, 1, "v2", MEMORY_BUSY, "");
	/* the first to come has it */
	assert_false(say(s, 2, MEMORY_OP_HOLD, 1, "v3"));
	say(s, 2, MEMORY_OP_RELEASE, 1, "");
	claim_is(s, 2, 1, "v4", MEMORY_BUSY, "");
	say(s, 1, MEMORY_OP_UNSURE, 1, "");
	claim_is(s, 2, 1, "v5", MEMORY_AGAIN, "v1");
	/* what was delivered is not held */
	say(s, 1, MEMORY_OP_DELIVERED, 2, "v6");
	assert_false(say(s, 1, MEMORY_OP_HOLD, 2, "v7"));
	claim_is(s, 2, 2, "v8", MEMORY_DELIVERED, "v6");
}

static void
v9_without_a_store_claims_hold(void **state)
{
	struct scene *s = *state;

	claims_free(&s->claims);
	store_free(&s->kit->store);
	s->kit->store = store_new("/nowhere", &s->kit->limits,
	    s->kit->secret);
	s->claims = claims_new(s->kit->store);
	claim_is(s, 1, 1, "v1", MEMORY_OUT, "");
	claim_is(s, 2, 1, "v2", MEMORY_BUSY, "");
	assert_true(say(s, 1, MEMORY_OP_LOOK, 1, ""));
	assert_int_equal(s->a.status, MEMORY_OUT);
	assert_true(say(s, 1, MEMORY_OP_DELIVERED, 1, "v1"));
	assert_int_equal(s->a.status, MEMORY_OUT);
	claim_is(s, 2, 1, "v3", MEMORY_OUT, "");
	assert_true(say(s, 1, MEMORY_OP_FORGET, 2, ""));
	assert_int_equal(s->a.status, MEMORY_OUT);
	say(s, 2, MEMORY_OP_RELEASE, 1, "");
	claim_is(s, 1, 1, "v3", MEMORY_OUT, "");
}

static void
v9_answers_of_a_turn_that_is_not_kept(void **state)
{
	static const enum memory_status all[] = {MEMORY_NEW, MEMORY_AGAIN,
	    MEMORY_DELIVERED, MEMORY_KNOWN, MEMORY_OUT};
	struct memory_response a;

	(void)state;
	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
		a = (struct memory_response){.status = (uint8_t)all[k],
		    .n_value = 7, .is_single = 1};
		claims_fail(&a);
		assert_int_equal(a.status, MEMORY_OUT);
		assert_int_equal(a.n_value, 0);
		assert_int_equal(a.is_single, 1);
	}
	a.status = MEMORY_BUSY;
	claims_fail(&a);
	assert_int_equal(a.status, MEMORY_BUSY);
}

/* Past the bound nobody owns: that claim may be had twice. */
static void
owners_are_bounded(void **state)
{
	struct scene *s = *state;

	claims_free(&s->claims);
	store_free(&s->kit->store);
	s->kit->store = store_new("/nowhere", &s->kit->limits,
	    s->kit->secret);
	s->claims = claims_new(s->kit->store);
	for (unsigned n = 0; n <= CLAIMS_OWNED_MAX; n++)
		claim_is(s, 1, n, "", MEMORY_OUT, "");
	claim_is(s, 2, CLAIMS_OWNED_MAX - 1, "", MEMORY_BUSY, "");
	claim_is(s, 2, CLAIMS_OWNED_MAX, "", MEMORY_OUT, "");
	say(s, 1, MEMORY_OP_RELEASE, 5, "");
	claim_is(s, 2, CLAIMS_OWNED_MAX, "", MEMORY_OUT, "");
	claim_is(s, 1, CLAIMS_OWNED_MAX, "", MEMORY_BUSY, "");
}

static void
looks(void **state)
{
	struct scene *s = *state;

	say(s, 1, MEMORY_OP_LOOK, 1, "");
	assert_int_equal(s->a.status, MEMORY_NEW);
	assert_int_equal(s->a.is_single, 0);
	claim_is(s, 1, 1, "v1", MEMORY_NEW, "");
	say(s, 2, MEMORY_OP_LOOK, 1, "");
	assert_int_equal(s->a.status, MEMORY_KNOWN);
	say(s, 2, MEMORY_OP_LOOK, 2, "");
	assert_int_equal(s->a.status, MEMORY_NEW);
}

/* ---- one recipient a transaction ----------------------------------------- */

static void
q14_until_each_was_answered(void **state)
{
	struct singles *l = singles_new();
	const uint64_t some[] = {1, 2, 3}, more[] = {3, 4};

	(void)state;
	assert_false(singles_has(l, 7, 0));
	singles_add(l, 7, some, 3, 0);
	singles_add(l, 7, more, 2, 10);
	singles_add(l, 8, some, 0, 10);
	assert_true(singles_has(l, 7, 10));
	assert_false(singles_has(l, 8, 10));
	for (uint64_t p = 1; p < 4; p++)
		singles_remove(l, 7, p);
	singles_remove(l, 7, 99);
	singles_remove(l, 6, 4);
	assert_true(singles_has(l, 7, 10));
	singles_remove(l, 7, 4);
	assert_false(singles_has(l, 7, 10));
	/* or for a day from the last */
	singles_add(l, 7, some, 3, 0);
	singles_add(l, 7, some, 3, 10);
	assert_true(singles_has(l, 7, SINGLES_KEPT_MS + 9));
	assert_false(singles_has(l, 7, SINGLES_KEPT_MS + 10));
	singles_free(&l);
}

static void
senders_and_recipients_are_bounded(void **state)
{
	struct singles *l = singles_new();

	(void)state;
	for (uint64_t p = 0; p <= SINGLES_PAIRS_MAX; p++)
		singles_add(l, 7, &p, 1, 0);
	for (uint64_t p = 0; p < SINGLES_PAIRS_MAX; p++)
		singles_remove(l, 7, p);
	assert_false(singles_has(l, 7, 0));
	for (uint64_t sender = 0; sender < SINGLES_SENDERS_MAX; sender++)
		singles_add(l, sender, &sender, 1, 0);
	/* sender 0 is young again, so 1 is the oldest */
	singles_add(l, 0, (const uint64_t[]){5}, 1, 1);
	singles_add(l, 1ULL << 40, (const uint64_t[]){5}, 1, 1);
	assert_true(singles_has(l, 0, 1));
	assert_false(singles_has(l, 1, 1));
	assert_true(singles_has(l, 2, 1));
	assert_true(singles_has(l, 1ULL << 40, 1));
	singles_free(&l);
}

static void
q14_the_mode_is_told_to_lookers(void **state)
{
	struct scene *s = *state;
	struct memory_request q = request(MEMORY_OP_MIXED, 0);
	const uint64_t pairs[] = {5001, 5002};
	struct bytes out;

	q.n_value = sizeof(pairs);
	assert_false(claims_take(s->claims, 1, &q, (struct bytes){
	    (const uint8_t *)pairs, sizeof(pairs)}, s->now, &s->a, &out));
	say(s, 2, MEMORY_OP_LOOK, 1, "");
	assert_int_equal(s->a.is_single, 1);
	assert_false(say(s, 2, MEMORY_OP_ANSWERED, 1, ""));
	say(s, 2, MEMORY_OP_LOOK, 2, "");
	assert_int_equal(s->a.is_single, 1);
	assert_false(say(s, 1, MEMORY_OP_ANSWERED, 2, ""));
	say(s, 2, MEMORY_OP_LOOK, 1, "");
	assert_int_equal(s->a.is_single, 0);
}

/* Where return addresses lead; a failing turn leaves no answer. */
static void
ways_back(void **state)
{
	struct scene *s = *state;

	assert_true(say(s, 1, MEMORY_OP_RETURN_FIND, 1, ""));
	assert_int_equal(s->a.status, MEMORY_NEW);
	assert_true(say(s, 1, MEMORY_OP_RETURN_KEEP, 1, "<a@one.example>"));
	assert_int_equal(s->a.status, MEMORY_DELIVERED);
	assert_int_equal(s->a.n_value, 0);
	assert_true(say(s, 2, MEMORY_OP_RETURN_FIND, 1, ""));
	assert_int_equal(s->a.status, MEMORY_KNOWN);
	assert_int_equal(s->a.tag, 77);
	assert_int_equal(s->a.n_value, strlen("<a@one.example>"));
	assert_string_equal(s->value, "<a@one.example>");
	claims_fail(&s->a);
	assert_int_equal(s->a.status, MEMORY_OUT);
	assert_int_equal(s->a.n_value, 0);
	/* it is no delivery, and no claim */
	claim_is(s, 1, 1, "v1", MEMORY_NEW, "");
	assert_true(say(s, 2, MEMORY_OP_RETURN_FIND, 1, ""));
	assert_int_equal(s->a.status, MEMORY_KNOWN);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(v7_one_owner_at_a_time),
		TEST(ends_of_claims),
		TEST(what_another_ended_outlives_a_release),
		TEST(claims_of_the_dead_are_free),
		TEST(claims_of_the_forgetful_are_free_some_day),
		TEST(held_claims_are_claims),
		TEST(v9_without_a_store_claims_hold),
		TEST(owners_are_bounded),
		TEST(looks),
		TEST(q14_the_mode_is_told_to_lookers),
		TEST(ways_back),
		cmocka_unit_test(v9_answers_of_a_turn_that_is_not_kept),
		cmocka_unit_test(q14_until_each_was_answered),
		cmocka_unit_test(senders_and_recipients_are_bounded),
	};

	assert_true(sodium_init() >= 0);
	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
