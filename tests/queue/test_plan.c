/* What is tried next: a week of queue life on a clock that is a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "queue/plan.h"

#define MIN 60000LL
#define HOUR (60 * MIN)
#define MANY 100000U

static const struct plan_rules rules = {
	.max_active = 10,
	.start_window = 2,
	.max_window = 4,
	.rest_min_ms = MIN,
	.rest_max_ms = HOUR,
};

struct test {
	struct arena *arena;
	struct plan *plan;
	struct plan_job jobs[16];
};

static int
start(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->arena = arena_new(64U << 20);
	t->plan = plan_new(&rules, t->arena);
	assert_non_null(t->plan);
	*state = t;
	return 0;
}

static int
stop(void **state)
{
	struct test *t = *state;

	plan_free(&t->plan);
	assert_null(t->plan);
	for (size_t k = 0; k < 16; k++)
		assert_int_equal(t->jobs[k].state, PLAN_NOWHERE);
	arena_free(&t->arena);
	free(t);
	return 0;
}

static void
add(struct test *t, size_t k, const char *name, int64_t due_ms)
{
	assert_int_equal(plan_add(t->plan, &t->jobs[k], bytes_of(name),
	    due_ms), 0);
}

static void
expect(struct test *t, size_t k, int64_t now_ms)
{
	struct plan_job *j = plan_next(t->plan, now_ms);

	assert_ptr_equal(j, &t->jobs[k]);
	assert_int_equal(j->state, PLAN_ACTIVE);
}

static void
expect_none(struct test *t, int64_t now_ms)
{
	assert_null(plan_next(t->plan, now_ms));
}

static void
done(struct test *t, size_t k, enum plan_end end, int64_t now_ms)
{
	plan_done(t->plan, &t->jobs[k], end, now_ms);
	assert_int_equal(t->jobs[k].state, PLAN_NOWHERE);
}

static void
each_at_its_time(void **state)
{
	struct test *t = *state;

	add(t, 0, "a", 200);
	add(t, 1, "a", 100);
	assert_int_equal(plan_wake(t->plan), 100);
	expect_none(t, 99);
	expect(t, 1, 100);
	expect_none(t, 199);
	assert_int_equal(plan_wake(t->plan), 200);
	expect(t, 0, 1000);
	assert_int_equal(plan_wake(t->plan), INT64_MAX);
}

static void
destinations_take_turns(void **state)
{
	struct test *t = *state;

	for (size_t k = 0; k < 4; k++)
		add(t, k, "a", 0);
	add(t, 4, "b", 1);
	add(t, 5, "c", 2);
	expect(t, 0, 5);
	expect(t, 4, 5);
	expect(t, 5, 5);
	expect(t, 1, 5);
	expect_none(t, 5);	/* a bears two */
	done(t, 0, PLAN_GOOD, 6);
	expect(t, 2, 6);
	expect_none(t, 6);
}

static void
all_together_are_bounded(void **state)
{
	struct test *t = *state;
	char name[2] = "a";

	for (size_t k = 0; k < 12; k++, name[0]++)
		add(t, k, name, 0);
	for (size_t k = 0; k < 10; k++)
		expect(t, k, 1);
	expect_none(t, 1);
	assert_int_equal(plan_wake(t->plan), INT64_MAX);
	done(t, 3, PLAN_NO_MATTER, 1);
	assert_int_equal(plan_wake(t->plan), 0);
	expect(t, 10, 1);
}

static void
a_window_grows_and_shrinks(void **state)
{
	struct test *t = *state;

	add(t, 15, "a", HOUR);		/* keeps the destination */
	for (unsigned window = 2; window < 4; window++) {
		for (unsigned k = 0; k < window; k++) {
			assert_int_equal(plan_health(&t->jobs[15]).window,
			    window);
			add(t, 0, "a", 0);
			expect(t, 0, 1);
			done(t, 0, PLAN_GOOD, 1);
		}
	}
	for (unsigned k = 0; k < 10; k++) {
		add(t, 0, "a", 0);
		expect(t, 0, 1);
		done(t, 0, PLAN_GOOD, 1);
	}
	assert_int_equal(plan_health(&t->jobs[15]).window, 4);
	add(t, 0, "a", 0);
	expect(t, 0, 1);
	done(t, 0, PLAN_BAD, 1);
	assert_int_equal(plan_health(&t->jobs[15]).window, 2);
	assert_int_equal(plan_health(&t->jobs[15]).rests_until_ms, 0);
}

/* It is left alone for a minute, two, ... an hour; then one is tried. */
static void
what_is_dead_rests_and_recovers(void **state)
{
	struct test *t = *state;
	int64_t now = 0, rest = MIN;

	for (size_t k = 0; k < 3; k++)
		add(t, k, "dead", 0);
	add(t, 3, "good", 0);
	expect(t, 0, now);
	expect(t, 3, now);
	expect(t, 1, now);
	done(t, 0, PLAN_BAD, now);	/* the window is one now */
	done(t, 1, PLAN_BAD, now);
	for (unsigned k = 0; k < 9; k++) {
		struct plan_health h = plan_health(&t->jobs[2]);

		assert_int_equal(h.rests_until_ms, now + rest);
		expect_none(t, now);
		assert_int_equal(plan_wake(t->plan), now + rest);
		expect_none(t, now + rest - 1);
		now += rest;
		add(t, 4, "dead", now);
		expect(t, 2, now);
		expect_none(t, now);	/* one alone */
		done(t, 2, PLAN_BAD, now);
		add(t, 2, "dead", now);
		plan_remove(t->plan, &t->jobs[4]);
		rest = rest * 2 > HOUR ? HOUR : rest * 2;
	}
	now += HOUR;
	expect(t, 2, now);
	done(t, 2, PLAN_GOOD, now);
	add(t, 0, "dead", now);
	assert_int_equal(plan_health(&t->jobs[0]).rests_until_ms, 0);
	expect(t, 0, now);
}

/* What was begun while it lived says nothing of the one that died since. */
static void
late_news_of_the_dead(void **state)
{
	struct test *t = *state;

	add(t, 15, "a", HOUR);
	for (unsigned k = 0; k < 5; k++) {	/* a window of four */
		add(t, 0, "a", 0);
		expect(t, 0, 0);
		done(t, 0, PLAN_GOOD, 0);
	}
	for (size_t k = 0; k < 4; k++)
		add(t, k, "a", 0);
	for (size_t k = 0; k < 4; k++)
		expect(t, k, 0);
	for (size_t k = 0; k < 3; k++)
		done(t, k, PLAN_BAD, 0);
	assert_int_equal(plan_health(&t->jobs[15]).rests_until_ms, MIN);
	done(t, 3, PLAN_BAD, 1000);
	assert_int_equal(plan_health(&t->jobs[15]).rests_until_ms, MIN);
}

static void
who_is_in_a_hurry(void **state)
{
	struct test *t = *state;

	add(t, 0, "a", 0);
	add(t, 1, "a", 0);
	expect(t, 0, 0);
	expect(t, 1, 0);
	done(t, 0, PLAN_BAD, 0);
	done(t, 1, PLAN_BAD, 0);
	add(t, 2, "a", HOUR);
	expect_none(t, 1);
	plan_hurry(t->plan, &t->jobs[2]);
	expect(t, 2, 1);
	assert_int_equal(plan_health(&t->jobs[2]).rests_until_ms, 0);
}

static void
who_is_taken_out_is_not_tried(void **state)
{
	struct test *t = *state;

	add(t, 0, "a", 0);
	add(t, 1, "a", 0);
	add(t, 2, "a", 10);
	plan_remove(t->plan, &t->jobs[2]);
	expect(t, 0, 5);		/* 1 is ready now */
	plan_remove(t->plan, &t->jobs[1]);
	expect_none(t, 50);
	assert_int_equal(plan_wake(t->plan), INT64_MAX);
}

static void
names_have_a_bound(void **state)
{
	struct test *t = *state;
	static char name[PLAN_NAME_MAX + 2];

	memset(name, 'a', PLAN_NAME_MAX + 1);
	assert_true(plan_add(t->plan, &t->jobs[0], bytes_of(name), 0) < 0);
	assert_int_equal(t->jobs[0].state, PLAN_NOWHERE);
	name[PLAN_NAME_MAX] = '\0';
	add(t, 0, name, 0);
	assert_true(bytes_eq(plan_name(&t->jobs[0]), bytes_of(name)));
}

/*
 * A hundred thousand for one that is dead, one that is slow and one that is
 * good: the good one's are through first, and every one is tried in the end.
 */
static void
the_dead_starve_nobody(void **state)
{
	static const char *const names[] = {"dead", "slow", "good"};
	struct test *t = *state;
	struct plan_job *jobs = calloc(MANY, sizeof(*jobs)), *j, *slow = NULL;
	unsigned n_good = 0, n_dead = 0, n_slow = 0;
	int64_t now = 0;

	assert_non_null(jobs);
	for (size_t k = 0; k < MANY; k++)
		assert_int_equal(plan_add(t->plan, &jobs[k],
		    bytes_of(names[k % 3]), 0), 0);
	while (n_good < MANY / 3) {
		now++;
		if (slow != NULL && now % 1000 == 0) {
			plan_done(t->plan, slow, PLAN_GOOD, now);
			slow = NULL;
		}
		j = plan_next(t->plan, now);
		if (j == NULL)
			continue;
		if (bytes_eq(plan_name(j), bytes_of("good"))) {
			n_good++;
			plan_done(t->plan, j, PLAN_GOOD, now);
		} else if (bytes_eq(plan_name(j), bytes_of("dead"))) {
			n_dead++;
			plan_done(t->plan, j, PLAN_BAD, now);
		} else {
			n_slow++;
			slow = j;	/* others stay active: its window */
		}
	}
	assert_in_range(now, MANY / 3, MANY / 2);
	assert_in_range(n_dead, 2, 5);
	assert_in_range(n_slow, 2, 100);
	plan_free(&t->plan);
	for (size_t k = 0; k < MANY; k++)
		assert_int_equal(jobs[k].state, PLAN_NOWHERE);
	free(jobs);
	t->plan = plan_new(&rules, t->arena);
}

/* Destinations that come and go take no memory for ever. */
static void
names_are_used_again(void **state)
{
	struct test *t = *state;
	size_t used = 0;

	for (unsigned k = 0; k < 20000; k++) {
		char name[32];

		snprintf(name, sizeof(name), "destination-%u", k);
		add(t, 0, name, 0);
		expect(t, 0, 1);
		done(t, 0, PLAN_GOOD, 1);
		if (k == 2000)
			used = arena_used(t->arena);
	}
	assert_int_equal(arena_used(t->arena), used);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(each_at_its_time),
		TEST(destinations_take_turns),
		TEST(all_together_are_bounded),
		TEST(a_window_grows_and_shrinks),
		TEST(what_is_dead_rests_and_recovers),
		TEST(late_news_of_the_dead),
		TEST(who_is_in_a_hurry),
		TEST(who_is_taken_out_is_not_tried),
		TEST(names_have_a_bound),
		TEST(the_dead_starve_nobody),
		TEST(names_are_used_again),
	};

	return cmocka_run_group_tests_name("queue/plan", tests, NULL, NULL);
}
