#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/metrics.h"
#include "daemon/pages.h"

static struct config_listener listener = {.name = "l"};
static struct config config = {.state = "/tmp", .keys = "keys",
    .listeners = &listener, .n_listeners = 1};

/* A child that says of itself what it is, until it is killed. */
static pid_t
begin(unsigned process, bool is_ready, int64_t beat_ms)
{
	int said[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		metrics_begin(process);
		metrics_ready(is_ready);
		metrics_beat(beat_ms);
		(void)!write(said[1], &c, 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(said[0], &c, 1), 1);
	close(said[0]);
	close(said[1]);
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	metrics_reap(pid);
}

static const char *
ready(int64_t now_ms, bool is_ready)
{
	static char text[1000];
	struct buf b = {(uint8_t *)text, 0, sizeof(text) - 1, false};

	assert_int_equal(pages_is_ready(&config, NULL, now_ms, &b), is_ready);
	text[b.n] = '\0';
	return text;
}

static const char *
alive(int64_t now_ms, bool is_alive)
{
	static char text[1000];
	struct buf b = {(uint8_t *)text, 0, sizeof(text) - 1, false};

	assert_int_equal(pages_is_alive(now_ms, &b), is_alive);
	text[b.n] = '\0';
	return text;
}

/* Each thing that is missing, in words. */
static void
readiness_names_what_is_missing(void **state)
{
	pid_t worker, signer, keeper, queue;

	(void)state;
	assert_string_equal(ready(0, false), "no worker runs\n"
	    "no signer runs\nno keeper runs\n");
	assert_string_equal(alive(0, false), "no worker runs\n");
	keeper = begin(METRIC_PROCESS_KEEPER, true, 1000);
	signer = begin(METRIC_PROCESS_SIGNER, true, 1000);
	worker = begin(METRIC_PROCESS_WORKER, false, 1000);
	assert_string_equal(ready(2000, false), "no worker is ready\n");
	assert_string_equal(alive(2000, true), "ok\n");
	end(worker);
	worker = begin(METRIC_PROCESS_WORKER, true, 1000);
	assert_string_equal(ready(6000, true), "ok\n");
	assert_string_equal(ready(6001, false),
	    "no worker answers: it hangs\nno signer answers: it hangs\n");
	assert_string_equal(alive(31000, true), "ok\n");
	assert_string_equal(alive(31001, false),
	    "no worker answers: all of them hang\n");
	/* one that leaves with its last session serves nobody else */
	queue = begin(METRIC_PROCESS_WORKER, false, 31000);
	assert_string_equal(alive(31001, false),
	    "no worker answers: all of them hang\n");
	end(queue);
	listener.delivery = DELIVERY_QUEUE;
	assert_string_equal(ready(6000, false), "no queue runs\n");
	queue = begin(METRIC_PROCESS_QUEUE, true, 1000);
	assert_string_equal(ready(6000, true), "ok\n");
	config.queue_min_free = UINT64_MAX;
	assert_string_equal(ready(6000, false), "the disk of `state` is "
	    "full\n");
	config.queue_min_free = 0;
	config.state = "/nowhere/at/all";
	assert_string_equal(ready(6000, false), "the folder of `state` can "
	    "not be looked at\n");
	config.state = "/tmp";
	/* one that hangs is no matter where another does not */
	end(worker);
	worker = begin(METRIC_PROCESS_WORKER, true, 0);
	end(signer);
	signer = begin(METRIC_PROCESS_WORKER, true, 9000);
	config.keys = NULL;
	assert_string_equal(ready(9000, true), "ok\n");
	end(worker);
	end(signer);
	end(keeper);
	end(queue);
}

static int
setup(void **state)
{
	(void)state;
	return metrics_open();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(readiness_names_what_is_missing, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
