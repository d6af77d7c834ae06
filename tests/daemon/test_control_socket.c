/* Control sockets: how many may talk to one, for how long, what is no request,
 * and answers that are not taken. P4 */
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

#include "daemon/control_socket.h"

/* No test is to wait for half a minute. */
static int64_t idle_ms;

#undef CONTROL_IDLE_MS
#define CONTROL_IDLE_MS idle_ms

#include "daemon/control_socket.c"

#define WAIT_MS (30 * 1000)	/* a machine may be slow */

struct fixture {
	char folder[64];
	pid_t pid;
};

/* A request is how many octets of text its answer has, or nothing. */
static void
take_request(void *arg, struct control_peer *p, struct bytes request)
{
	uint8_t octets[CONTROL_REQUEST_MAX];
	struct buf end = BUF_ON(octets);
	uint64_t n;

	(void)arg;
	if (bytes_number(request, CONTROL_TEXT_MAX + 1, &n))
		for (uint64_t k = 0; k < n; k++)
			control_peer_text(p, BYTES_LIT("t"));
	buf_add_str(&end, "ok ");
	buf_add(&end, request);
	control_peer_end(p, buf_bytes(&end));
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
	struct control_place place;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loop_timer_start(t, 4 * WAIT_MS);
	if (control_place_bind(&place, f->folder) != 0 ||
	    control_socket_new(l, place.fd, take_request, NULL) == NULL ||
	    write(ready, "r", 1) != 1)
		_exit(1);
	loop_run(l);
	_exit(0);
}

static void
begin(struct fixture *f, int64_t idle)
{
	char octet;
	int ready[2];

	idle_ms = idle;
	snprintf(f->folder, sizeof(f->folder), "/tmp/hopseal-control-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
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
	snprintf(path, sizeof(path), "%s/control", f->folder);
	unlink(path);
	rmdir(f->folder);
}

static int
meet(const struct fixture *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	assert_true(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/control",
	    f->folder);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/* NULL: it hung up. */
static const char *
said(int fd)
{
	static char room[CONTROL_REQUEST_MAX + 1];
	struct pollfd p = {fd, POLLIN, 0};
	ssize_t n;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	n = recv(fd, room, CONTROL_REQUEST_MAX, 0);
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
	int fds[CONTROL_PEERS], more;

	(void)state;
	begin(&f, WAIT_MS * 4);
	for (size_t k = 0; k < CONTROL_PEERS; k++) {
		fds[k] = meet(&f);
		assert_string_equal(ask(fds[k], "x"), "ok x");
	}
	for (size_t k = 0; k < 3; k++) {
		more = meet(&f);
		assert_string_equal(said(more), "error too many ask at a "
		    "time");
		assert_null(said(more));
		close(more);
	}
	/* those are served all the same, and there is room behind one */
	for (size_t k = 0; k < CONTROL_PEERS; k++)
		assert_string_equal(ask(fds[k], "y"), "ok y");
	close(fds[7]);
	for (;;) {
		const char *answer;

		more = meet(&f);
		answer = ask(more, "z");
		if (answer != NULL && strcmp(answer, "ok z") == 0)
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
	char large[CONTROL_REQUEST_MAX + 2];
	struct fixture f;
	int fd;

	(void)state;
	begin(&f, WAIT_MS * 4);
	fd = meet(&f);
	assert_string_equal(ask(fd, "a\nb"), "error no such request");
	assert_string_equal(ask(fd, "\xff"), "error no such request");
	memset(large, 'a', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_string_equal(ask(fd, large), "error a request has at most 512 "
	    "octets");
	assert_null(said(fd));
	close(fd);
	finish(&f);
}

/* Octets of text up to the end of an answer, which is left in end. */
static size_t
text_of(int fd, char end[CONTROL_REQUEST_MAX])
{
	static char room[8192];
	size_t octets = 0;

	for (;;) {
		struct pollfd p = {fd, POLLIN, 0};
		ssize_t n;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		n = recv(fd, room, sizeof(room), 0);
		if (n > 0 && room[0] == '=') {
			octets += (size_t)n - 1;
			continue;
		}
		end[0] = '\0';
		if (n > 0)
			snprintf(end, CONTROL_REQUEST_MAX, "%.*s", (int)n,
			    room);
		return octets;
	}
}

static void
a_long_text_comes_whole(void **state)
{
	char end[CONTROL_REQUEST_MAX];
	struct fixture f;
	int fd;

	(void)state;
	begin(&f, WAIT_MS * 4);
	fd = meet(&f);
	assert_int_equal(send(fd, "1000000", 7, 0), 7);
	assert_int_equal(text_of(fd, end), 1000000);
	assert_string_equal(end, "ok 1000000");
	/* and another one behind it */
	assert_int_equal(send(fd, "3", 1, 0), 1);
	assert_int_equal(text_of(fd, end), 3);
	close(fd);
	fd = meet(&f);
	assert_int_equal(send(fd, "4194305", 7, 0), 7);
	(void)text_of(fd, end);
	assert_string_equal(end, "error the answer is too long");
	close(fd);
	finish(&f);
}

static void
who_takes_no_answer_is_left(void **state)
{
	char end[CONTROL_REQUEST_MAX];
	struct fixture f;
	int fds[CONTROL_PEERS], other;

	(void)state;
	begin(&f, 50);
	for (size_t k = 0; k < CONTROL_PEERS; k++) {
		fds[k] = meet(&f);
		(void)!send(fds[k], "3000000", 7, MSG_NOSIGNAL);
	}
	for (;;) {		/* until their time is over */
		const char *answer;

		other = meet(&f);
		answer = ask(other, "x");
		if (answer != NULL && strcmp(answer, "ok x") == 0)
			break;
		close(other);
	}
	close(other);
	for (size_t k = 0; k < CONTROL_PEERS; k++) {
		struct pollfd p = {fds[k], 0, 0};

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_true((p.revents & POLLHUP) != 0);
		assert_true(text_of(fds[k], end) < 3000000);
		assert_string_equal(end, "");
		close(fds[k]);
	}
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_at_a_time),
		cmocka_unit_test(who_says_nothing_is_left),
		cmocka_unit_test(what_is_no_request),
		cmocka_unit_test(a_long_text_comes_whole),
		cmocka_unit_test(who_takes_no_answer_is_left),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
