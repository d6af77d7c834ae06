#include "daemon/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/passfd.h"

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

/* It goes soon, also where the test fails. */
static pid_t
sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(10);
		for (;;)
			pause();
	}
	return pid;
}

/* What hangs is killed at the end of its time, which being told again does not
 * make longer. */
static void
test_who_does_not_leave_is_killed(void **unused)
{
	struct child c = {.pid = sleeper()};
	int64_t next;
	int status;

	(void)unused;
	child_leave(&c, SIGCONT, 1000);
	assert_false(child_is_due(&c, 5000, &next));
	assert_true(next == 6000);
	child_leave(&c, SIGCONT, 1000);
	assert_false(child_is_due(&c, 5999, &next));
	assert_true(next == 6000);
	assert_int_equal(waitpid(c.pid, &status, WNOHANG), 0);
	assert_false(child_is_due(&c, 6000, &next));
	assert_true(next == INT64_MAX);
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void
test_the_next_one_was_not_told_to_leave(void **unused)
{
	struct child c = {.pid = sleeper()};
	int64_t next;
	int status;

	(void)unused;
	child_leave(&c, SIGKILL, 1000);
	assert_false(child_is_due(&c, 5000, &next));
	assert_true(next == 6000);
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	assert_true(reap(&c, c.pid, status, 5001));
	assert_true(child_is_due(&c, 5001, &next));
	c.pid = PID;
	assert_false(child_is_due(&c, 5002, &next));
	assert_true(next == INT64_MAX);
}

static void
pair_of(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
	    ends), 0);
}

static void
close_pair(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

/* What has come over a socket until now, descriptors closed. */
static unsigned
drain(int socket)
{
	unsigned n = 0;
	bool is_over;
	int fd;

	while ((fd = passfd_take(socket, &is_over)) >= 0) {
		close(fd);
		n++;
	}
	return n;
}

/* It gets a socket to the other, and the other one to it. */
static void
test_who_meets_has_a_socket(void **unused)
{
	struct child c = {.pid = PID};
	int control[2], channel[2], a, b;
	bool is_over;
	char octet;

	(void)unused;
	pair_of(control);
	pair_of(channel);
	assert_true(child_meet(&c, control[0], channel[0], "it"));
	a = passfd_take(control[1], &is_over);
	b = passfd_take(channel[1], &is_over);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(write(a, "x", 1), 1);
	assert_int_equal(read(b, &octet, 1), 1);
	close(a);
	close(b);
	assert_true(child_meet(&c, -1, channel[0], "it"));	/* later */
	assert_int_equal(drain(channel[1]), 0);
	close_pair(control);
	close_pair(channel);
}

/* One that stands still takes no more; once it goes on, who was not connected
 * can be. */
static void
test_who_could_not_meet_is_to_be_tried_again(void **unused)
{
	struct child c = {.pid = PID};
	int control[2], channel[2];
	unsigned n = 0;

	(void)unused;
	pair_of(control);
	pair_of(channel);
	while (child_meet(&c, control[0], channel[0], "it")) {
		assert_int_equal(drain(channel[1]), 1);
		assert_true(++n < 100000);
	}
	assert_false(child_meet(&c, control[0], channel[0], "it"));
	assert_int_equal(drain(channel[1]), 0);
	assert_int_equal(drain(control[1]), n);
	assert_true(child_meet(&c, control[0], channel[0], "it"));
	close_pair(control);
	close_pair(channel);
}

/* And once more when it had succeeded in between. */
static void
test_what_fails_again_and_again_is_told_once(void **unused)
{
	struct child c = {.pid = PID};
	int out[2], was = dup(STDERR_FILENO);
	char text[4096];
	ssize_t n;

	(void)unused;
	assert_int_equal(pipe(out), 0);
	dup2(out[1], STDERR_FILENO);
	log_open("test");
	for (int k = 0; k < 3; k++)
		assert_false(child_meet(&c, out[1], out[1], "it"));
	assert_true(child_meet(&c, -1, out[1], "it"));
	assert_false(child_meet(&c, out[1], out[1], "it"));
	dup2(was, STDERR_FILENO);
	log_open("test");
	n = read(out[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = 0;
	n = 0;
	for (const char *p = text; (p = strstr(p, "cannot connect")) != NULL;
	    p++)
		n++;
	assert_int_equal(n, 2);
	close_pair(out);
	close(was);
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
		cmocka_unit_test(test_who_does_not_leave_is_killed),
		cmocka_unit_test(test_the_next_one_was_not_told_to_leave),
		cmocka_unit_test(test_who_meets_has_a_socket),
		cmocka_unit_test(test_who_could_not_meet_is_to_be_tried_again),
		cmocka_unit_test(test_what_fails_again_and_again_is_told_once),
	};

	log_open("test");
	alarm(10);		/* one that nobody ends is awaited for ever */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
