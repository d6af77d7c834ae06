#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/http.h"

#define PATIENCE_MS (20 * 1000)

struct world {
	struct loop *loop;
	int told;			/* a client has had its answer */
	int pair[2];
	struct loop_watch *told_watch, *watch;
	bool is_seen;
};

static int
page(void *arg, const char *path, struct buf *out)
{
	(void)arg;
	(void)path;
	buf_add_str(out, "hello\n");
	return 200;
}

static int
listening(struct sockaddr_in *sin)
{
	socklen_t n = sizeof(*sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	*sin = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)sin, sizeof(*sin)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sin, &n), 0);
	return fd;
}

/* A client that asks, has its answer, and tells so. */
static pid_t
client(const struct sockaddr_in *sin, int tell)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	pid_t pid = fork();
	char got[1000];
	int fd;

	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)sin, sizeof(*sin)) != 0 ||
	    write(fd, request, strlen(request)) < 0)
		_exit(1);
	while (read(fd, got, sizeof(got)) > 0)
		;
	close(fd);
	(void)!write(tell, "x", 1);
	_exit(0);
}

static void
on_seen(void *arg, unsigned what)
{
	struct world *w = arg;

	(void)what;
	w->is_seen = true;
	loop_stop(w->loop);
}

/* What is opened now gets the number of the client's descriptor, if that is
 * closed. */
static void
on_told(void *arg, unsigned what)
{
	struct world *w = arg;

	(void)what;
	loop_unwatch(&w->told_watch);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w->pair), 0);
	w->watch = loop_watch(w->loop, w->pair[0], on_seen, w);
	loop_want(w->watch, LOOP_READ);
	assert_int_equal(write(w->pair[1], "x", 1), 1);
}

static void
give_up(void *arg)
{
	loop_stop(arg);
}

/* The loop sees what comes over the descriptors that others get after a
 * client of HTTP is gone. */
static void
a_descriptor_is_used_again(void **state)
{
	struct world w = {.loop = loop_new()};
	struct http *h = http_new(w.loop, "localhost", page, NULL);
	struct loop_timer *patience = loop_timer_new(w.loop, give_up, w.loop);
	struct sockaddr_in sin;
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(http_listen(h, listening(&sin)), 0);
	w.told_watch = loop_watch(w.loop, ends[0], on_told, &w);
	loop_want(w.told_watch, LOOP_READ);
	loop_timer_start(patience, PATIENCE_MS);
	pid = client(&sin, ends[1]);
	loop_run(w.loop);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(w.is_seen);
	loop_unwatch(&w.watch);
	loop_timer_free(&patience);
	http_free(&h);
	for (int k = 0; k < 2; k++) {
		close(w.pair[k]);
		close(ends[k]);
	}
	loop_free(&w.loop);
}

/* ---- leaving ------------------------------------------------------------- */

static int
connect_to(const struct sockaddr_in *sin)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)sin,
	    sizeof(*sin)), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

struct parting {
	struct loop *loop;
	struct http *http;
	int fds[3];		/* asks, is silent, comes too late */
	struct sockaddr_in sin;
	struct loop_timer *next;
};

static void
part(void *arg)
{
	struct parting *p = arg;

	http_leave(p->http, give_up, p->loop);
	say(p->fds[0], "Host: localhost\r\n\r\n");
	p->fds[2] = connect_to(&p->sin);
	say(p->fds[2], "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

/* Who was let in and asks is answered, who does not is hung up on, and who
 * comes later waits for the next one. */
static void
who_was_let_in_is_answered(void **state)
{
	struct parting p = {.loop = loop_new()};
	struct http *next = http_new(p.loop, "localhost", page, NULL);
	int fd = listening(&p.sin), its = dup(fd);
	char got[1000];

	(void)state;
	p.http = http_new(p.loop, "localhost", page, NULL);
	p.next = loop_timer_new(p.loop, part, &p);
	assert_int_equal(http_listen(p.http, fd), 0);
	for (int k = 0; k < 2; k++) {
		p.fds[k] = connect_to(&p.sin);
		say(p.fds[k], "GET / HTTP/1.1\r\n");
	}
	loop_timer_start(p.next, 100);		/* they are in by then */
	loop_run(p.loop);			/* until everybody left */
	assert_true(read(p.fds[0], got, sizeof(got)) > 5);
	assert_memory_equal(got, "HTTP/1.1 200", 12);
	assert_int_equal(read(p.fds[1], got, sizeof(got)), 0);
	http_free(&p.http);
	assert_int_equal(http_listen(next, its), 0);
	loop_timer_free(&p.next);
	p.next = loop_timer_new(p.loop, give_up, p.loop);
	loop_timer_start(p.next, 500);
	loop_run(p.loop);
	assert_true(read(p.fds[2], got, sizeof(got)) > 5);
	assert_memory_equal(got, "HTTP/1.1 200", 12);
	loop_timer_free(&p.next);
	http_free(&next);
	for (int k = 0; k < 3; k++)
		close(p.fds[k]);
	loop_free(&p.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_is_used_again),
		cmocka_unit_test(who_was_let_in_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
