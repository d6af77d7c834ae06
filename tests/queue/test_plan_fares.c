/* How destinations fare, what is kept of it, and the order of what is due. Q8 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "queue/plan.h"

#define MINUTE_MS ((int64_t)60000)
#define HOUR_MS (60 * MINUTE_MS)

static const struct plan_rules rules = {
	.max_active = 100, .start_window = 5, .max_window = 20,
	.rest_min_ms = MINUTE_MS, .rest_max_ms = HOUR_MS,
};

static struct arena *arena;
static struct plan *plan;

static int
begin(void **state)
{
	(void)state;
	arena = arena_new(1U << 24);
	plan = plan_new(&rules, arena);
	return plan == NULL;
}

static int
end(void **state)
{
	(void)state;
	/* Its jobs are gone already. */
	plan = NULL;
	arena_free(&arena);
	return 0;
}

static void
add(struct plan_job *j, const char *name, int64_t due_ms)
{
	assert_int_equal(plan_add(plan, j, bytes_of(name), due_ms), 0);
}

/* Adds a job, which is tried now, and ends. */
static void
one_try(const char *name, enum plan_end how, int64_t now_ms)
{
	struct plan_job j = {.state = PLAN_NOWHERE};

	add(&j, name, now_ms);
	assert_ptr_equal(plan_next(plan, now_ms), &j);
	plan_done(plan, &j, how, now_ms);
	assert_int_equal(j.state, PLAN_NOWHERE);
}

/* As many as are tried at once of a destination that has enough. */
static unsigned
tried_at_once(struct plan_job *jobs, size_t n, const char *name,
    int64_t now_ms)
{
	unsigned count = 0;

	for (size_t k = 0; k < n; k++)
		add(&jobs[k], name, now_ms);
	while (plan_next(plan, now_ms) != NULL)
		count++;
	for (size_t k = 0; k < n; k++)
		if (jobs[k].state == PLAN_ACTIVE)
			plan_done(plan, &jobs[k], PLAN_NO_MATTER, now_ms);
		else
			plan_remove(plan, &jobs[k]);
	return count;
}

static void
die(const char *name, int64_t now_ms)
{
	for (int k = 0; k < 3; k++)	/* 5, 2, 1 */
		one_try(name, PLAN_BAD, now_ms);
}

/* ---- order --------------------------------------------------------------- */

static void
by_time_then_in_the_order_of_adding(void **state)
{
	struct plan_job j[4] = {{.state = PLAN_NOWHERE}};

	(void)state;
	assert_int_equal(plan_wake(plan), INT64_MAX);
	assert_null(plan_next(plan, 0));
	add(&j[0], "a", 200);
	add(&j[1], "a", 100);
	add(&j[2], "a", 100);
	add(&j[3], "a", 300);
	assert_int_equal(j[0].state, PLAN_LATER);
	assert_int_equal(plan_wake(plan), 100);
	assert_null(plan_next(plan, 99));
	assert_ptr_equal(plan_next(plan, 250), &j[1]);
	assert_int_equal(j[1].state, PLAN_ACTIVE);
	assert_int_equal(j[0].state, PLAN_READY);
	assert_int_equal(plan_wake(plan), 0);
	assert_ptr_equal(plan_next(plan, 250), &j[2]);
	assert_ptr_equal(plan_next(plan, 250), &j[0]);
	assert_null(plan_next(plan, 250));
	assert_int_equal(plan_wake(plan), 300);
	assert_ptr_equal(plan_next(plan, 300), &j[3]);
	assert_int_equal(plan_health(&j[3]).active, 4);
	assert_memory_equal(plan_name(&j[3]).p, "a", 1);
	assert_int_equal(plan_name(&j[3]).n, 1);
}

static void
round_robin(void **state)
{
	static const char *const names[] = {"a", "b", "c"};
	struct plan_job j[30] = {{.state = PLAN_NOWHERE}}, *next;

	(void)state;
	for (size_t k = 0; k < 10; k++)		/* all of a, then of b ... */
		for (size_t d = 0; d < 3; d++)
			add(&j[d * 10 + k], names[d], 0);
	for (size_t k = 0; k < 5; k++)
		for (size_t d = 0; d < 3; d++)
			assert_ptr_equal(plan_next(plan, 0), &j[d * 10 + k]);
	assert_null(plan_next(plan, 0));
	assert_int_equal(plan_wake(plan), INT64_MAX);
	plan_done(plan, &j[20], PLAN_GOOD, 0);
	next = plan_next(plan, 0);
	assert_ptr_equal(next, &j[25]);
}

static void
no_more_than_all_may(void **state)
{
	struct plan_rules few = rules;
	struct plan_job j[6] = {{.state = PLAN_NOWHERE}};

	(void)state;
	plan_free(&plan);
	few.max_active = 4;
	plan = plan_new(&few, arena);
	for (size_t k = 0; k < 6; k++)
		add(&j[k], k % 2 == 0 ? "a" : "b", 0);
	for (size_t k = 0; k < 4; k++)
		assert_ptr_equal(plan_next(plan, 0), &j[k]);
	assert_null(plan_next(plan, 0));
	assert_int_equal(plan_wake(plan), INT64_MAX);
	plan_done(plan, &j[0], PLAN_NO_MATTER, 0);
	assert_int_equal(plan_wake(plan), 0);
	assert_ptr_equal(plan_next(plan, 0), &j[4]);
}

static void
remove_in_each_state(void **state)
{
	struct plan_job j[4] = {{.state = PLAN_NOWHERE}};

	(void)state;
	add(&j[0], "a", 0);
	add(&j[1], "a", 0);
	add(&j[2], "a", 10);
	add(&j[3], "a", 20);
	assert_ptr_equal(plan_next(plan, 0), &j[0]);
	assert_int_equal(j[1].state, PLAN_READY);
	plan_remove(plan, &j[1]);
	plan_remove(plan, &j[2]);
	assert_int_equal(j[1].state, PLAN_NOWHERE);
	assert_int_equal(j[2].state, PLAN_NOWHERE);
	assert_null(plan_next(plan, 10));
	assert_int_equal(plan_wake(plan), 20);
	assert_int_equal(plan_health(&j[3]).active, 1);
	plan_done(plan, &j[0], PLAN_GOOD, 10);
	assert_int_equal(plan_health(&j[3]).active, 0);
	add(&j[1], "a", 10);
	assert_ptr_equal(plan_next(plan, 10), &j[1]);
	plan_free(&plan);
	assert_int_equal(j[1].state, PLAN_NOWHERE);
	assert_int_equal(j[3].state, PLAN_NOWHERE);
	plan_free(&plan);
}

/* ---- windows and rests --------------------------------------------------- */

static void
windows_grow_and_shrink(void **state)
{
	struct plan_job j[100] = {{.state = PLAN_NOWHERE}};

	(void)state;
	assert_int_equal(tried_at_once(j, 100, "a", 0), 5);
	for (int k = 0; k < 4; k++)
		one_try("a", PLAN_GOOD, 0);
	assert_int_equal(tried_at_once(j, 100, "a", 0), 5);
	one_try("a", PLAN_GOOD, 0);
	assert_int_equal(tried_at_once(j, 100, "a", 0), 6);
	for (int k = 0; k < 6; k++)
		one_try("a", PLAN_GOOD, 0);
	assert_int_equal(tried_at_once(j, 100, "a", 0), 7);
	/* What was good before a bad one does not count. */
	for (int k = 0; k < 4; k++)
		one_try("a", PLAN_GOOD, 0);
	one_try("a", PLAN_BAD, 0);
	assert_int_equal(tried_at_once(j, 100, "a", 0), 3);
	one_try("a", PLAN_GOOD, 0);
	assert_int_equal(tried_at_once(j, 100, "a", 0), 3);
	one_try("a", PLAN_BAD, 0);
	assert_int_equal(tried_at_once(j, 100, "a", 0), 1);
	for (int k = 0; k < 1000; k++)
		one_try("a", PLAN_GOOD, 0);
	assert_int_equal(tried_at_once(j, 100, "a", 0), 20);
	assert_int_equal(tried_at_once(j, 100, "b", 0), 5);
}

static void
a_dead_one_rests_twice_as_long_each_time(void **state)
{
	struct plan_job j[2] = {{.state = PLAN_NOWHERE}};
	int64_t now = 1000, rest = MINUTE_MS;

	(void)state;
	die("a", now);
	add(&j[0], "a", now);
	add(&j[1], "a", now);
	assert_null(plan_next(plan, now));
	assert_int_equal(j[0].state, PLAN_READY);
	for (int k = 0; k < 9; k++) {
		assert_int_equal(plan_health(&j[0]).rests_until_ms,
		    now + rest);
		assert_int_equal(plan_wake(plan), now + rest);
		assert_null(plan_next(plan, now + rest - 1));
		now += rest;
		/* One alone. */
		assert_ptr_equal(plan_next(plan, now), &j[0]);
		assert_null(plan_next(plan, now + HOUR_MS));
		assert_int_equal(plan_wake(plan), INT64_MAX);
		assert_int_equal(plan_health(&j[0]).rests_until_ms, 0);
		assert_int_equal(plan_health(&j[0]).window, 1);
		plan_done(plan, &j[0], PLAN_BAD, now);
		plan_remove(plan, &j[1]);
		add(&j[0], "a", now);
		add(&j[1], "a", now);
		assert_null(plan_next(plan, now));
		rest = rest * 2 < HOUR_MS ? rest * 2 : HOUR_MS;
	}
	assert_int_equal(rest, HOUR_MS);
}

static void
a_good_try_ends_it(void **state)
{
	struct plan_job j[10] = {{.state = PLAN_NOWHERE}}, last = j[0];

	(void)state;
	die("a", 0);
	add(&j[0], "a", 0);
	assert_ptr_equal(plan_next(plan, MINUTE_MS), &j[0]);
	plan_done(plan, &j[0], PLAN_BAD, MINUTE_MS);
	add(&j[0], "a", 0);
	assert_null(plan_next(plan, 3 * MINUTE_MS - 1));
	assert_ptr_equal(plan_next(plan, 3 * MINUTE_MS), &j[0]);
	plan_done(plan, &j[0], PLAN_GOOD, 3 * MINUTE_MS);
	/* A window of one that is full of good ends. */
	assert_int_equal(tried_at_once(j, 10, "a", 0), 2);
	/* From the shortest rest on again. */
	one_try("a", PLAN_BAD, 3 * MINUTE_MS);
	one_try("a", PLAN_BAD, 3 * MINUTE_MS);
	add(&last, "a", 0);
	assert_null(plan_next(plan, 4 * MINUTE_MS - 1));
	assert_ptr_equal(plan_next(plan, 4 * MINUTE_MS), &last);
}

static void
what_says_nothing_lets_another_be_tried(void **state)
{
	struct plan_job j[2] = {{.state = PLAN_NOWHERE}};

	(void)state;
	die("a", 0);
	add(&j[0], "a", 0);
	add(&j[1], "a", 0);
	assert_ptr_equal(plan_next(plan, MINUTE_MS), &j[0]);
	plan_done(plan, &j[0], PLAN_NO_MATTER, MINUTE_MS);
	assert_ptr_equal(plan_next(plan, MINUTE_MS), &j[1]);
	assert_null(plan_next(plan, MINUTE_MS));
}

/* All of a window that fail together are one death, whenever they say so. */
static void
tries_of_before_kill_no_more(void **state)
{
	struct plan_job j[5] = {{.state = PLAN_NOWHERE}}, more = j[0];

	(void)state;
	for (size_t k = 0; k < 5; k++)
		add(&j[k], "a", 0);
	for (size_t k = 0; k < 5; k++)
		assert_ptr_equal(plan_next(plan, 0), &j[k]);
	for (size_t k = 0; k < 3; k++)
		plan_done(plan, &j[k], PLAN_BAD, 0);
	add(&more, "a", 0);
	assert_null(plan_next(plan, 1));
	plan_done(plan, &j[3], PLAN_BAD, 30000);	/* a straggler */
	assert_int_equal(plan_wake(plan), MINUTE_MS);
	assert_ptr_equal(plan_next(plan, MINUTE_MS), &more);
	plan_done(plan, &more, PLAN_GOOD, MINUTE_MS);
	plan_done(plan, &j[4], PLAN_BAD, MINUTE_MS);	/* another one */
	add(&more, "a", 0);
	assert_int_equal(plan_health(&more).window, 2);
	assert_ptr_equal(plan_next(plan, MINUTE_MS), &more);
	/* And one of before that is good after all says that it lives. */
	plan_done(plan, &more, PLAN_BAD, MINUTE_MS);
	add(&j[0], "a", 0);
	assert_ptr_equal(plan_next(plan, MINUTE_MS), &j[0]);
	one_try("b", PLAN_GOOD, MINUTE_MS);
	plan_done(plan, &j[0], PLAN_GOOD, MINUTE_MS);
}

static void
a_late_good_end_ends_the_rest(void **state)
{
	struct plan_job j[5] = {{.state = PLAN_NOWHERE}};

	(void)state;
	for (size_t k = 0; k < 5; k++) {
		add(&j[k], "a", 0);
		assert_ptr_equal(plan_next(plan, 0), &j[k]);
	}
	for (size_t k = 0; k < 3; k++)
		plan_done(plan, &j[k], PLAN_BAD, 0);
	add(&j[0], "a", 0);
	assert_null(plan_next(plan, 1));
	plan_done(plan, &j[3], PLAN_GOOD, 1);
	assert_int_equal(plan_health(&j[0]).rests_until_ms, 0);
	assert_ptr_equal(plan_next(plan, 1), &j[0]);
}

/* The one that was to tell hangs; another told, and then it died again. */
static void
a_probe_of_before_holds_nobody_back(void **state)
{
	struct plan_job j[5] = {{.state = PLAN_NOWHERE}};
	int64_t now = MINUTE_MS;

	(void)state;
	for (size_t k = 0; k < 5; k++) {
		add(&j[k], "a", 0);
		assert_ptr_equal(plan_next(plan, 0), &j[k]);
	}
	for (size_t k = 0; k < 3; k++)
		plan_done(plan, &j[k], PLAN_BAD, 0);
	add(&j[0], "a", 0);
	assert_ptr_equal(plan_next(plan, now), &j[0]);
	plan_done(plan, &j[3], PLAN_GOOD, now);
	plan_done(plan, &j[4], PLAN_GOOD, now);
	for (size_t k = 0; k < 4; k++)
		one_try("a", PLAN_GOOD, now);
	for (size_t k = 1; k < 4; k++) {
		add(&j[k], "a", now);
		assert_ptr_equal(plan_next(plan, now), &j[k]);
	}
	for (size_t k = 1; k < 4; k++)
		plan_done(plan, &j[k], PLAN_BAD, now);
	add(&j[1], "a", now);
	assert_null(plan_next(plan, now));
	now += MINUTE_MS;
	assert_ptr_equal(plan_next(plan, now), &j[1]);
}

static void
hurry(void **state)
{
	struct plan_job j[4] = {{.state = PLAN_NOWHERE}};

	(void)state;
	add(&j[0], "a", HOUR_MS);
	add(&j[1], "a", HOUR_MS);
	plan_hurry(plan, &j[1]);
	assert_int_equal(plan_wake(plan), 0);
	assert_ptr_equal(plan_next(plan, 0), &j[1]);
	assert_null(plan_next(plan, 0));
	plan_done(plan, &j[1], PLAN_GOOD, 0);
	/* It is the one that is tried of a destination at rest. */
	die("a", 0);
	add(&j[1], "a", 0);
	add(&j[2], "a", 0);
	add(&j[3], "a", 0);
	assert_null(plan_next(plan, 1));
	plan_hurry(plan, &j[3]);
	assert_ptr_equal(plan_next(plan, 1), &j[3]);
	assert_null(plan_next(plan, 1));
	/* Another waits for what becomes of it. */
	plan_hurry(plan, &j[0]);
	assert_null(plan_next(plan, 1));
	plan_done(plan, &j[3], PLAN_BAD, 1);
	assert_int_equal(plan_wake(plan), 1 + 2 * MINUTE_MS);
	plan_hurry(plan, &j[0]);
	assert_ptr_equal(plan_next(plan, 1), &j[0]);
	plan_done(plan, &j[0], PLAN_GOOD, 1);
	assert_ptr_equal(plan_next(plan, 1), &j[1]);
	assert_ptr_equal(plan_next(plan, 1), &j[2]);
}

/* ---- memory -------------------------------------------------------------- */

static void
names_and_memory(void **state)
{
	static uint8_t many[PLAN_NAME_MAX + 1];
	struct plan_job j = {.state = PLAN_NOWHERE}, k = j;
	struct arena *small;
	struct plan *p;
	size_t used = 0;
	int e = 0;

	(void)state;
	memset(many, 'x', sizeof(many));
	assert_int_equal(plan_add(plan, &j, (struct bytes){many,
	    PLAN_NAME_MAX + 1}, 0), -E_LIMIT);
	assert_int_equal(j.state, PLAN_NOWHERE);
	assert_int_equal(plan_add(plan, &j, (struct bytes){many,
	    PLAN_NAME_MAX}, 0), 0);
	assert_int_equal(plan_name(&j).n, PLAN_NAME_MAX);
	assert_int_equal(plan_add(plan, &k, (struct bytes){NULL, 0}, 0), 0);
	assert_int_equal(plan_name(&k).n, 0);
	plan_remove(plan, &j);
	plan_remove(plan, &k);
	/* One after the other they need no more than 1,000 of them. */
	for (uint32_t n = 0; n < 20000; n++) {
		struct bytes name = {(const uint8_t *)&n, sizeof(n)};

		assert_int_equal(plan_add(plan, &j, name, 0), 0);
		plan_remove(plan, &j);
		if (n == 2000)
			used = arena_used(arena);
	}
	assert_int_equal(arena_used(arena), used);
	small = arena_new(20000);
	p = plan_new(&rules, small);
	assert_non_null(p);
	for (uint32_t n = 0; n < 1000 && e == 0; n++) {
		j.state = PLAN_NOWHERE;
		e = plan_add(p, &j, (struct bytes){(const uint8_t *)&n,
		    sizeof(n)}, 0);
	}
	assert_int_equal(e, -E_NOMEM);
	assert_int_equal(j.state, PLAN_NOWHERE);
	arena_free(&small);
	small = arena_new(100);
	assert_null(plan_new(&rules, small));
	arena_free(&small);
}

/* How a destination fares is kept while nothing is to be tried there. */
static void
a_dead_one_is_remembered(void **state)
{
	struct plan_job j = {.state = PLAN_NOWHERE};

	(void)state;
	die("a", 0);
	for (uint32_t n = 0; n < 900; n++)
		one_try((char[]){(char)(1 + n % 100), (char)(1 + n / 100), 0},
		    PLAN_GOOD, 0);
	add(&j, "a", 0);
	assert_null(plan_next(plan, MINUTE_MS - 1));
	assert_ptr_equal(plan_next(plan, MINUTE_MS), &j);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(by_time_then_in_the_order_of_adding),
		TEST(round_robin),
		TEST(no_more_than_all_may),
		TEST(remove_in_each_state),
		TEST(windows_grow_and_shrink),
		TEST(a_dead_one_rests_twice_as_long_each_time),
		TEST(a_good_try_ends_it),
		TEST(what_says_nothing_lets_another_be_tried),
		TEST(tries_of_before_kill_no_more),
		TEST(a_late_good_end_ends_the_rest),
		TEST(a_probe_of_before_holds_nobody_back),
		TEST(hurry),
		TEST(names_and_memory),
		TEST(a_dead_one_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
