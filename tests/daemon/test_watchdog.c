#include "daemon/watchdog.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/log.h"
#include "daemon/metrics.h"

#define LIMIT_MS 60000
#define LOOK_MS (LIMIT_MS / (int)WATCHDOG_LOOKS)

/* A process that does nothing, and may leave SIGABRT for later. */
static pid_t
sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		for (;;)
			pause();
	}
	return pid;
}

static int
ended_by(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WTERMSIG(status);
}

static void
test_who_beats_lives(void **state)
{
	struct watchdog w;
	int64_t t = 1000;

	(void)state;
	watchdog_begin(&w, METRIC_PROCESS_WORKER, t, LIMIT_MS);
	for (int k = 1; k < 20; k++) {
		t += LOOK_MS;
		/* a kill would end the test */
		assert_int_equal(watchdog_look(&w, getpid(), "it", k, t,
		    LIMIT_MS), t + LOOK_MS);
	}
	/* three looks without a beat are a long moment, not the end */
	for (unsigned k = 1; k < WATCHDOG_LOOKS; k++) {
		t += LOOK_MS;
		watchdog_look(&w, getpid(), "it", 19, t, LIMIT_MS);
	}
	t += LOOK_MS;
	watchdog_look(&w, getpid(), "it", 20, t, LIMIT_MS);
	assert_int_equal(w.n_silent, 0);
}

/* Its clock may be far behind: the machine slept. */
static void
test_a_master_that_stood_still_blames_nobody(void **state)
{
	struct watchdog w;

	(void)state;
	watchdog_begin(&w, METRIC_PROCESS_WORKER, 0, LIMIT_MS);
	watchdog_look(&w, getpid(), "it", 1, 100 * LIMIT_MS, LIMIT_MS);
	watchdog_look(&w, getpid(), "it", 1, 100 * LIMIT_MS + 1, LIMIT_MS);
	watchdog_look(&w, getpid(), "it", 1, 200 * LIMIT_MS, LIMIT_MS);
	assert_int_equal(w.n_silent, 1);
}

/* There are more processes than places. */
static void
test_who_can_not_beat_is_not_judged(void **state)
{
	struct watchdog w;

	(void)state;
	assert_int_equal(metrics_beaten(getpid()), -1);
	watchdog_begin(&w, METRIC_PROCESS_WORKER, 0, LIMIT_MS);
	for (int k = 1; k <= 3 * (int)WATCHDOG_LOOKS; k++)
		watchdog_look(&w, getpid(), "it", metrics_beaten(getpid()),
		    k * LOOK_MS, LIMIT_MS);
	assert_int_equal(w.n_silent, 0);
}

static void
test_who_does_not_is_ended(void **state)
{
	pid_t pid = sleeper();
	struct watchdog w;

	(void)state;
	watchdog_begin(&w, METRIC_PROCESS_WORKER, 0, LIMIT_MS);
	for (int k = 1; k <= (int)WATCHDOG_LOOKS; k++)
		watchdog_look(&w, pid, "it", 0, k * LOOK_MS, LIMIT_MS);
	assert_int_equal(ended_by(pid), SIGABRT);
	assert_int_equal(metrics_get(METRIC_HUNG, METRIC_PROCESS_WORKER, 0),
	    1);
}

/* Stopped, it does not get SIGABRT. */
static void
test_who_does_not_end_is_killed(void **state)
{
	pid_t pid = sleeper();
	struct watchdog w;

	(void)state;
	kill(pid, SIGSTOP);
	watchdog_begin(&w, METRIC_PROCESS_SIGNER, 0, LIMIT_MS);
	for (int k = 1; k <= (int)WATCHDOG_LOOKS + 1; k++)
		watchdog_look(&w, pid, "it", 0, k * LOOK_MS, LIMIT_MS);
	assert_int_equal(ended_by(pid), SIGKILL);
	assert_int_equal(metrics_get(METRIC_HUNG, METRIC_PROCESS_SIGNER, 0),
	    1);
}

/* Between two looks there is one, however short the limit. */
static void
test_beats_are_more_often_than_looks(void **state)
{
	(void)state;
	assert_int_equal(watchdog_beat_ms(60 * 60000), METRICS_BEAT_MS);
	for (int64_t limit = 1000; limit < LIMIT_MS; limit += 1000)
		assert_true(watchdog_beat_ms(limit) <= limit /
		    (2 * WATCHDOG_LOOKS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_beats_lives),
		cmocka_unit_test(test_a_master_that_stood_still_blames_nobody),
		cmocka_unit_test(test_who_can_not_beat_is_not_judged),
		cmocka_unit_test(test_who_does_not_is_ended),
		cmocka_unit_test(test_who_does_not_end_is_killed),
		cmocka_unit_test(test_beats_are_more_often_than_looks),
	};

	log_open("test");
	alarm(60);		/* one that nobody ends is awaited for ever */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
