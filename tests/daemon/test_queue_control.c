/* The control socket: how many may talk to it, for how long, and what is no
 * request. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "daemon/queue_control.h"

/* No test is to wait for half a minute. */
static int64_t idle_ms;

#undef QUEUE_CONTROL_IDLE_MS
#define QUEUE_CONTROL_IDLE_MS idle_ms

#include "daemon/queue_control.c"

#define WAIT_MS (30 * 1000)	/* a machine may be slow */

struct fixture {
	char folder[64];
	pid_t pid;
};

void
queue_run_command(struct queue_run *r, struct bytes request,
    struct buf *answer)
{
	(void)r;
	buf_add_str(answer, "ok ");
	buf_add(answer, request);
}

static void
give_up(void *arg)
{
	(void)arg;
	_exit(1);
}

static _Noreturn void
serve(struct fixture *f, int ready)
{
	struct loop *l = loop_new();
	struct loop_timer *t = loop_timer_new(l, give_up, NULL);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loop_timer_start(t, 4 * WAIT_MS);
	if (queue_control_new(l, f->folder, NULL) == NULL ||
	    write(ready, "r", 1) != 1)
		_exit(1);
	loop_run(l);
	_exit(0);
}

static void
begin(struct fixture *f, int64_t idle)
{
	char path[80], octet;
	int ready[2];

	idle_ms = idle;
	snprintf(f->folder, sizeof(f->folder), "/tmp/hopseal-control-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(path, sizeof(path), "%s/queue", f->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(pipe(ready), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0)
		serve(f, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
}

static void
finish(struct fixture *f)
{
	char path[80];

	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	snprintf(path, sizeof(path), "%s/queue/control", f->folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/queue", f->folder);
	rmdir(path);
	rmdir(f->folder);
}

static int
meet(const struct fixture *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	assert_true(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/queue/control",
	    f->folder);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/* NULL: it hung up. */
static const char *
said(int fd)
{
	static char room[QUEUE_COMMAND_MAX + 1];
	struct pollfd p = {fd, POLLIN, 0};
	ssize_t n;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	n = recv(fd, room, QUEUE_COMMAND_MAX, 0);
	if (n <= 0)
		return NULL;
	room[n] = '\0';
	return room;
}

static const char *
ask(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return NULL;
	return said(fd);
}

static void
so_many_at_a_time(void **state)
{
	struct fixture f;
	int fds[QUEUE_CONTROL_PEERS], more;

	(void)state;
	begin(&f, WAIT_MS * 4);
	for (size_t k = 0; k < QUEUE_CONTROL_PEERS; k++) {
		fds[k] = meet(&f);
		assert_string_equal(ask(fds[k], "x"), "ok x");
	}
	for (size_t k = 0; k < 3; k++) {
		more = meet(&f);
		assert_null(said(more));
		close(more);
	}
	/* those are served all the same, and there is room behind one */
	for (size_t k = 0; k < QUEUE_CONTROL_PEERS; k++)
		assert_string_equal(ask(fds[k], "y"), "ok y");
	close(fds[7]);
	for (;;) {
		const char *answer;

		more = meet(&f);
		answer = ask(more, "z");
		if (answer != NULL)
			break;
		close(more);	/* it has not seen that one go */
	}
	close(more);
	finish(&f);
}

static void
who_says_nothing_is_left(void **state)
{
	struct fixture f;
	int fd, other;

	(void)state;
	begin(&f, 20);
	fd = meet(&f);
	assert_null(said(fd));
	close(fd);
	for (;;) {		/* the time may be over before it is read */
		const char *answer;

		other = meet(&f);
		answer = ask(other, "x");
		if (answer != NULL)
			break;
		close(other);
	}
	assert_null(said(other));
	close(other);
	finish(&f);
}

static void
what_is_no_request(void **state)
{
	char large[QUEUE_COMMAND_MAX + 2];
	struct fixture f;
	int fd;

	(void)state;
	begin(&f, WAIT_MS * 4);
	fd = meet(&f);
	assert_string_equal(ask(fd, "a\nb"), "error no such request");
	assert_string_equal(ask(fd, "\xff"), "error no such request");
	memset(large, 'a', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_null(ask(fd, large));
	close(fd);
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_at_a_time),
		cmocka_unit_test(who_says_nothing_is_left),
		cmocka_unit_test(what_is_no_request),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
