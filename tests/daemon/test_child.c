#include "daemon/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

#define PID 4711
#define EXITED(n) ((n) << 8)

static bool
reap(struct child *c, pid_t pid, int status, int64_t now_ms)
{
	return child_reap(c, "it", METRIC_PROCESS_KEEPER, pid, status, now_ms);
}

/* The longer it fails, the longer the pauses; but each pause has an end. */
static void
test_pauses_double(void **unused)
{
	static const int64_t pauses[] = {0, 0, 100, 200, 400, 800, 1600, 3200,
	    6400, 12800, 25600, 51200, 60000, 60000, 60000};
	struct child c = {.pid = 0};
	int64_t now_ms = 1000000, next;

	(void)unused;
	for (size_t k = 0; k < sizeof(pauses) / sizeof(pauses[0]); k++) {
		if (pauses[k] != 0) {
			assert_false(child_is_due(&c, now_ms + pauses[k] - 1,
			    &next));
			assert_true(next == now_ms + pauses[k]);
		}
		now_ms += pauses[k];
		assert_true(child_is_due(&c, now_ms, &next));
		assert_true(c.started_ms == now_ms);
		c.pid = PID;
		assert_false(child_is_due(&c, now_ms + 1000000, &next));
		assert_true(next == INT64_MAX);
		assert_true(reap(&c, PID, EXITED(1), now_ms));
		assert_int_equal(c.pid, 0);
		assert_int_equal(c.n_restarts, k + 1);
	}
}

/* What lived for a minute is no failure to start, nor what was told to end. */
static void
test_what_lived_comes_back_at_once(void **unused)
{
	struct child c = {.pid = 0};
	int64_t now_ms = 1000000, next;

	(void)unused;
	for (int k = 0; k < 8; k++) {
		now_ms = c.restart_ms > now_ms ? c.restart_ms : now_ms;
		assert_true(child_is_due(&c, now_ms, &next));
		c.pid = PID;
		assert_true(reap(&c, PID, SIGKILL, now_ms + 1));
	}
	assert_false(child_is_due(&c, now_ms + 1, &next));
	child_excuse(&c);
	assert_true(child_is_due(&c, now_ms + 1, &next));
	c.pid = PID;
	now_ms += 1 + 60001;
	assert_true(reap(&c, PID, SIGKILL, now_ms));
	assert_true(child_is_due(&c, now_ms, &next));
	assert_true(c.restart_ms == now_ms);
}

/* Nor a keeper that a reload gives other things to do. */
static void
test_who_is_told_to_leave_has_not_failed(void **unused)
{
	struct keeper k = KEEPER_NONE;
	struct config c = {.state = "one"};
	const struct priv p = {.uid = 1};
	int64_t next;

	(void)unused;
	assert_int_equal(keeper_configure(&k, &c, &p), 0);
	for (int n = 0; n < 4; n++) {
		assert_true(child_is_due(&k.child, 1000, &next));
		k.child.pid = fork();
		if (k.child.pid == 0)
			for (;;)
				pause();
		c.memory.size++;
		assert_int_equal(keeper_configure(&k, &c, &p), 0);
		assert_int_equal(waitpid(k.child.pid, NULL, 0), k.child.pid);
		assert_true(reap(&k.child, k.child.pid, EXITED(0), 1000));
	}
	free(k.folder);
}

static void
test_whose_end_it_is(void **unused)
{
	struct child c = {.pid = 0};
	uint64_t before = metrics_get(METRIC_RESTARTS, METRIC_PROCESS_KEEPER,
	    0);

	(void)unused;
	assert_false(reap(&c, PID, SIGKILL, 0));
	c.pid = PID;
	assert_false(reap(&c, PID + 1, SIGKILL, 0));
	assert_int_equal(c.pid, PID);
	assert_true(reap(&c, PID, EXITED(0), 0));	/* as it should */
	assert_int_equal(c.n_restarts, 0);
	assert_int_equal(metrics_get(METRIC_RESTARTS, METRIC_PROCESS_KEEPER,
	    0), before);
	c.pid = PID;
	assert_true(reap(&c, PID, SIGKILL, 0));
	assert_int_equal(c.n_restarts, 1);
	assert_int_equal(metrics_get(METRIC_RESTARTS, METRIC_PROCESS_KEEPER,
	    0), before + 1);
}

static void
test_none_follows_a_stop(void **unused)
{
	struct child c = {.pid = 0};
	int64_t next;

	(void)unused;
	child_end(&c, 0);
	assert_false(child_is_due(&c, 1000000, &next));
	assert_true(next == INT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pauses_double),
		cmocka_unit_test(test_what_lived_comes_back_at_once),
		cmocka_unit_test(test_who_is_told_to_leave_has_not_failed),
		cmocka_unit_test(test_whose_end_it_is),
		cmocka_unit_test(test_none_follows_a_stop),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
