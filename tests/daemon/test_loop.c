#include "daemon/loop.h"

#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What happened, a letter an event. */
struct trace {
	struct loop *loop;
	struct loop_watch *watch, *other;
	struct loop_timer *timer;
	struct loop_deferred deferred[2];
	char seen[32];
	size_t n;
	int fds[2];
};

static void
note(struct trace *t, char c)
{
	assert_true(t->n < sizeof(t->seen) - 1);
	t->seen[t->n++] = c;
}

static int
setup(void **state)
{
	static struct trace t;

	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	assert_non_null(t.loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, t.fds), 0);
	*state = &t;
	return 0;
}

static int
teardown(void **state)
{
	struct trace *t = *state;

	loop_unwatch(&t->watch);
	loop_unwatch(&t->other);
	loop_timer_free(&t->timer);
	loop_free(&t->loop);
	close(t->fds[0]);
	close(t->fds[1]);
	return 0;
}

static void
second_deferred(void *arg)
{
	struct trace *t = arg;

	note(t, 'D');
	loop_stop(t->loop);
}

static void
first_deferred(void *arg)
{
	struct trace *t = arg;

	note(t, 'd');
	loop_defer(t->loop, &t->deferred[1], second_deferred, t);
}

static void
on_write(void *arg, unsigned what)
{
	struct trace *t = arg;

	assert_int_equal(what, LOOP_WRITE);
	if (t->n == 0)
		loop_defer(t->loop, &t->deferred[0], first_deferred, t);
	note(t, 'w');
}

/* A deferred call comes behind the turn, what it defers a turn later. */
static void
test_defer_order(void **state)
{
	struct trace *t = *state;

	t->watch = loop_watch(t->loop, t->fds[0], on_write, t);
	loop_want(t->watch, LOOP_WRITE);
	loop_run(t->loop);
	assert_string_equal(t->seen, "wdwD");
}

static void
on_either(void *arg, unsigned what)
{
	struct trace *t = arg;

	(void)what;
	note(t, 'x');
	loop_unwatch(&t->watch);
	loop_unwatch(&t->other);
}

/* Both watches are due; the first takes both away, itself included. */
static void
test_unwatch_inside(void **state)
{
	struct trace *t = *state;

	t->watch = loop_watch(t->loop, t->fds[0], on_either, t);
	t->other = loop_watch(t->loop, t->fds[1], on_either, t);
	loop_want(t->watch, LOOP_READ | LOOP_WRITE);
	loop_want(t->other, LOOP_READ | LOOP_WRITE);
	assert_int_equal(write(t->fds[0], "a", 1), 1);
	assert_int_equal(write(t->fds[1], "b", 1), 1);
	loop_run(t->loop);	/* ends: nothing is watched any more */
	assert_string_equal(t->seen, "x");
}

static void
on_read(void *arg, unsigned what)
{
	struct trace *t = arg;
	char c;

	assert_int_equal(what, LOOP_READ);
	assert_int_equal(read(t->fds[0], &c, 1), 1);
	note(t, c);
	loop_stop(t->loop);
}

static void
on_timer(void *arg)
{
	struct trace *t = arg;

	note(t, 't');
	loop_want(t->watch, LOOP_READ);
}

static void
on_usr1(void *arg)
{
	struct trace *t = arg;

	note(t, 's');
	loop_timer_start(t->timer, 0);
	loop_timer_start(t->timer, 1);	/* again: one call, not two */
}

/* What is not wanted is not told; timers call once for each start. */
static void
test_want_timer_signal(void **state)
{
	struct trace *t = *state;

	t->watch = loop_watch(t->loop, t->fds[0], on_read, t);
	t->timer = loop_timer_new(t->loop, on_timer, t);
	assert_int_equal(loop_signal(t->loop, SIGUSR1, on_usr1, t), 0);
	assert_int_equal(write(t->fds[1], "abc", 3), 3);
	raise(SIGUSR1);
	loop_want(t->watch, 0);
	loop_timer_start(t->timer, 60000);
	loop_timer_stop(t->timer);
	loop_run(t->loop);
	assert_string_equal(t->seen, "sta");
}

/* A clock that stands still or runs back would break every time-out. */
static void
test_clock(void **state)
{
	struct trace *t = *state;
	int64_t a = loop_now_ms(t->loop);

	assert_true(a > 0);
	assert_true(loop_now_ms(t->loop) >= a);
	assert_true(loop_time_us(t->loop) / 1000000 >= loop_time_s(t->loop));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defer_order, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_unwatch_inside, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_want_timer_signal, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_clock, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
