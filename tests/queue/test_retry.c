/* When a recipient is tried again, and when no more. Q9 Q10 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/retry.h"

#define DAY_S 86400
#define YEAR_S (365 * (int64_t)DAY_S)
#define NOW_S ((int64_t)1795664097)
#define UP_MS ((int64_t)12345678)

static const struct retry_rules rules = {
	.first_s = 300, .max_s = 4000, .expire_s = 5 * DAY_S,
};

static void
delays_double_up_to_the_longest(void **state)
{
	static const int64_t want[] = {300, 600, 1200, 2400, 4000, 4000};

	(void)state;
	for (unsigned k = 0; k < sizeof(want) / sizeof(want[0]); k++) {
		int64_t least = INT64_MAX, most = 0;

		for (uint64_t seed = 0; seed < 100000; seed++) {
			int64_t d = retry_delay(&rules, k + 1, seed * 7919);

			least = d < least ? d : least;
			most = d > most ? d : most;
		}
		/* All that a tenth allows does come. */
		assert_int_equal(least, want[k] - want[k] / 10);
		assert_int_equal(most, want[k] + want[k] / 10);
	}
	for (unsigned tries = 5; tries != 0; tries *= 2)
		assert_in_range(retry_delay(&rules, tries, 1), 3600, 4400);
	assert_in_range(retry_delay(&rules, UINT32_MAX, UINT64_MAX), 3600,
	    4400);
}

static void
the_same_message_has_the_same_delay(void **state)
{
	unsigned n_same = 0;

	(void)state;
	assert_int_equal(retry_delay(&rules, 3, 42), retry_delay(&rules, 3, 42));
	for (uint64_t seed = 0; seed < 1000; seed++)
		n_same += retry_delay(&rules, 3, seed) ==
		    retry_delay(&rules, 3, seed + 1);
	assert_true(n_same < 50);
	n_same = 0;
	for (unsigned tries = 6; tries < 1006; tries++)
		n_same += retry_delay(&rules, tries, 42) ==
		    retry_delay(&rules, tries + 1, 42);
	assert_true(n_same < 50);
}

static void
rules_at_their_bounds(void **state)
{
	struct retry_rules r = {.first_s = 1, .max_s = 1, .expire_s = 1};

	(void)state;
	assert_int_equal(retry_delay(&r, 1, 5), 1);
	assert_int_equal(retry_delay(&r, 9999, 5), 1);
	r.first_s = 10;		/* more than the longest */
	assert_int_equal(retry_delay(&r, 1, 5), 1);
	r.first_s = r.max_s = 0;
	assert_int_equal(retry_delay(&r, 1, 5), 1);
	r.first_s = r.max_s = -5;
	assert_int_equal(retry_delay(&r, 1, 5), 1);
	r.first_s = 1;
	r.max_s = INT64_MAX;
	for (unsigned tries = 1; tries < 100; tries++)
		assert_true(retry_delay(&r, tries, tries) > 0);
	assert_true(retry_wait_ms(&r, INT64_MAX, INT64_MIN) > 0);
	r.expire_s = INT64_MAX;
	assert_true(retry_expires_ms(&r, &(struct retry_age){0, INT64_MAX}) ==
	    INT64_MAX);
}

static void
waits(void **state)
{
	const int64_t most = 4400000;
	const struct {
		int64_t due_s, now_s, want_ms;
	} row[] = {
		{NOW_S + 300, NOW_S, 300000}, {NOW_S, NOW_S, 0},
		{NOW_S + 4400, NOW_S, most}, {NOW_S + 4401, NOW_S, most},
		/* the clock was set on */
		{NOW_S + 300, NOW_S + DAY_S, 0},
		{NOW_S + 300, NOW_S + 10 * YEAR_S, 0},
		/* and back */
		{NOW_S + 300, NOW_S - 60, 360000},
		{NOW_S + 300, NOW_S - DAY_S, most},
		{NOW_S + 300, NOW_S - 10 * YEAR_S, most},
		{NOW_S + 300, -NOW_S, most},
		{0, NOW_S, 0}, {0, 0, 0}, {0, INT64_MIN, most},
		{INT64_MAX, INT64_MIN, most}, {INT64_MIN, INT64_MAX, 0},
		{INT64_MAX, -1, most}, {-1, INT64_MAX, 0},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++)
		assert_int_equal(retry_wait_ms(&rules, row[k].due_s,
		    row[k].now_s), row[k].want_ms);
}

static void
ages(void **state)
{
	static const struct {
		int64_t since_s, now_s, want_s;
	} row[] = {
		{NOW_S, NOW_S, 0}, {NOW_S, NOW_S + 90, 90},
		{NOW_S, NOW_S + DAY_S, DAY_S},
		{NOW_S, NOW_S + 10 * YEAR_S, 10 * YEAR_S},
		{NOW_S, NOW_S - 1, 0}, {NOW_S, NOW_S - DAY_S, 0},
		{NOW_S, NOW_S - 10 * YEAR_S, 0}, {NOW_S, -NOW_S, 0},
		{INT64_MIN, INT64_MAX, INT64_MAX}, {INT64_MAX, INT64_MIN, 0},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct retry_age a = retry_age_of(row[k].since_s,
		    row[k].now_s, UP_MS);

		assert_int_equal(a.loaded_age_s, row[k].want_s);
		assert_int_equal(a.loaded_ms, UP_MS);
	}
}

static void
expiry_goes_by_the_monotonic_clock(void **state)
{
	const int64_t all_ms = 5 * DAY_S * (int64_t)1000;
	struct retry_age a = retry_age_of(NOW_S, NOW_S, UP_MS);

	(void)state;
	assert_int_equal(retry_expires_ms(&rules, &a), UP_MS + all_ms);
	assert_false(retry_is_expired(&rules, &a, UP_MS));
	assert_false(retry_is_expired(&rules, &a, UP_MS + all_ms - 1));
	assert_true(retry_is_expired(&rules, &a, UP_MS + all_ms));
	assert_true(retry_is_expired(&rules, &a, INT64_MAX));
	/* A day old when it was loaded: four more. */
	a = retry_age_of(NOW_S - DAY_S, NOW_S, UP_MS);
	assert_false(retry_is_expired(&rules, &a, UP_MS + all_ms / 5 * 4 - 1));
	assert_true(retry_is_expired(&rules, &a, UP_MS + all_ms / 5 * 4));
	/* From later than now, as after a clock was set back: whole days. */
	a = retry_age_of(NOW_S + 10 * YEAR_S, NOW_S, UP_MS);
	assert_int_equal(retry_expires_ms(&rules, &a), UP_MS + all_ms);
}

static void
too_old_already(void **state)
{
	struct retry_age a = retry_age_of(NOW_S - 5 * DAY_S, NOW_S, UP_MS);

	(void)state;
	assert_true(retry_is_expired(&rules, &a, UP_MS));
	a = retry_age_of(NOW_S - 5 * DAY_S + 1, NOW_S, UP_MS);
	assert_false(retry_is_expired(&rules, &a, UP_MS));
	a = retry_age_of(INT64_MIN, INT64_MAX, UP_MS);
	assert_true(retry_is_expired(&rules, &a, UP_MS));
	assert_int_equal(retry_expires_ms(&rules, &a), UP_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_double_up_to_the_longest),
		cmocka_unit_test(the_same_message_has_the_same_delay),
		cmocka_unit_test(rules_at_their_bounds),
		cmocka_unit_test(waits),
		cmocka_unit_test(ages),
		cmocka_unit_test(expiry_goes_by_the_monotonic_clock),
		cmocka_unit_test(too_old_already),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
