/* A worker's way to queue processes, which are played by the test. */
#include "daemon/queue_link.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "daemon/passfd.h"

#define N_TAGS 4096
#define NONE (-1)

struct fixture {
	struct loop *loop;
	struct loop_timer *timer;
	struct queue_link *link;
	int channel;			/* the master's end */
	int told[N_TAGS];		/* enum queue_answer, or NONE */
	size_t n_told;
	bool is_freeing;		/* at the next answer */
};

static void
on_answer(void *arg, uint64_t tag, enum queue_answer a)
{
	struct fixture *f = arg;

	assert_true(tag < N_TAGS);
	assert_int_equal(f->told[tag], NONE);
	f->told[tag] = (int)a;
	f->n_told++;
	if (f->is_freeing)
		queue_link_free(&f->link);
}

static void
on_timer(void *arg)
{
	struct fixture *f = arg;

	loop_stop(f->loop);
}

/* As many turns as it takes until nothing more is to be done. */
static void
turn(struct fixture *f)
{
	loop_timer_start(f->timer, 20);
	loop_run(f->loop);
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	assert_non_null(f);
	*state = f;
	for (size_t k = 0; k < N_TAGS; k++)
		f->told[k] = NONE;
	f->loop = loop_new();
	assert_non_null(f->loop);
	f->timer = loop_timer_new(f->loop, on_timer, f);
	assert_non_null(f->timer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    pair), 0);
	f->channel = pair[0];
	f->link = queue_link_new(f->loop, pair[1], on_answer, f);
	assert_non_null(f->link);
	return 0;
}

static int
stop(void **state)
{
	struct fixture *f = *state;

	queue_link_free(&f->link);
	turn(f);
	loop_timer_free(&f->timer);
	loop_free(&f->loop);
	close(f->channel);
	free(f);
	return 0;
}

/* Another process is on its way. */
static int
announce(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    pair), 0);
	assert_int_equal(passfd_give(f->channel, pair[1]), 0);
	close(pair[1]);
	return pair[0];
}

/* And there: its end. */
static int
meet(struct fixture *f)
{
	int fd = announce(f);

	turn(f);
	return fd;
}

static void
commit(struct fixture *f, uint64_t tag)
{
	char id[QUEUE_ID_MAX + 1];

	snprintf(id, sizeof(id), "id%u", (unsigned)tag);
	assert_int_equal(queue_link_commit(f->link, id, tag), 0);
}

/* The tag of what was asked for next, or NONE. */
static int
take(int fd)
{
	struct queue_request q;
	ssize_t n = recv(fd, &q, sizeof(q), MSG_DONTWAIT | MSG_TRUNC);
	char id[QUEUE_ID_MAX + 1];

	if (n < 0)
		return NONE;
	assert_int_equal(n, sizeof(q));
	snprintf(id, sizeof(id), "id%u", (unsigned)q.tag);
	assert_string_equal(q.id, id);
	for (size_t k = 0; k < sizeof(q.zero); k++)
		assert_int_equal(q.zero[k], 0);
	return (int)q.tag;
}

static void
answer(int fd, uint64_t tag, int result, int error)
{
	struct queue_response a = {tag, result, error};

	assert_int_equal(send(fd, &a, sizeof(a), 0), sizeof(a));
}

/* ---- one process --------------------------------------------------------- */

static void
answers_are_told(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);

	for (unsigned tag = 0; tag < 6; tag++)
		commit(f, tag);
	for (int tag = 0; tag < 6; tag++)
		assert_int_equal(take(fd), tag);
	assert_int_equal(take(fd), NONE);
	answer(fd, 1, -E_SYSTEM, ENOSPC);
	answer(fd, 0, 0, 0);
	answer(fd, 2, -E_SYSTEM, EDQUOT);
	answer(fd, 3, -E_SYSTEM, EIO);
	answer(fd, 4, -E_ABSENT, ENOENT);
	turn(f);
	assert_int_equal(f->told[0], QUEUE_TAKEN);
	assert_int_equal(f->told[1], QUEUE_FULL);
	assert_int_equal(f->told[2], QUEUE_FULL);
	assert_int_equal(f->told[3], QUEUE_BROKEN);
	assert_int_equal(f->told[4], QUEUE_BROKEN);
	assert_int_equal(f->told[5], NONE);
	close(fd);
}

/* An answer to what nobody asked, or to what has its answer. */
static void
answers_to_nobody_are_left_out(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);

	commit(f, 1);
	answer(fd, 7, 0, 0);
	answer(fd, 1, 0, 0);
	answer(fd, 1, -E_SYSTEM, EIO);
	turn(f);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[1], QUEUE_TAKEN);
	close(fd);
}

static void
nothing_is_told_of_what_is_forgotten(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);

	for (unsigned tag = 0; tag < 4; tag++)
		commit(f, tag);
	queue_link_forget(f->link, 0);
	queue_link_forget(f->link, 2);
	queue_link_forget(f->link, 3);
	queue_link_forget(f->link, 99);
	for (unsigned tag = 0; tag < 4; tag++)
		answer(fd, tag, 0, 0);
	turn(f);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[1], QUEUE_TAKEN);
	close(fd);
}

/* More than a socket holds. */
static void
many_are_asked_for_as_there_is_room(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f), got;

	for (unsigned tag = 0; tag < N_TAGS; tag++)
		commit(f, tag);
	for (int tag = 0; tag < N_TAGS; tag++) {
		got = take(fd);
		if (got == NONE) {	/* it knows that there is room */
			turn(f);
			got = take(fd);
		}
		assert_int_equal(got, tag);
	}
	for (unsigned tag = 0; tag < N_TAGS; tag++) {
		answer(fd, tag, 0, 0);
		if (tag % 32 == 0)
			turn(f);
	}
	turn(f);
	turn(f);
	assert_int_equal(f->n_told, N_TAGS);
	close(fd);
}

static void
freed_within_an_answer(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);

	commit(f, 1);
	commit(f, 2);
	answer(fd, 1, 0, 0);
	answer(fd, 2, 0, 0);
	f->is_freeing = true;
	turn(f);
	assert_int_equal(f->n_told, 1);
	assert_null(f->link);
	close(fd);
}

/* ---- one after the other ------------------------------------------------- */

static void
waits_for_the_first(void **state)
{
	struct fixture *f = *state;
	int fd;

	commit(f, 1);
	commit(f, 2);
	queue_link_forget(f->link, 1);
	turn(f);
	assert_int_equal(f->n_told, 0);
	fd = meet(f);
	assert_int_equal(take(fd), 2);
	assert_int_equal(take(fd), NONE);
	answer(fd, 2, 0, 0);
	turn(f);
	assert_int_equal(f->told[2], QUEUE_TAKEN);
	close(fd);
}

/* What one that died left without an answer. */
static void
the_next_one_is_asked_again(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);

	for (unsigned tag = 0; tag < 5; tag++)
		commit(f, tag);
	for (int tag = 0; tag < 4; tag++)	/* one is not even read */
		assert_int_equal(take(fd), tag);
	answer(fd, 0, 0, 0);
	turn(f);
	answer(fd, 1, 0, 0);
	queue_link_forget(f->link, 3);
	close(fd);
	turn(f);
	assert_int_equal(f->n_told, 2);
	commit(f, 5);
	fd = meet(f);
	assert_int_equal(take(fd), 2);
	assert_int_equal(take(fd), 4);
	assert_int_equal(take(fd), 5);
	assert_int_equal(take(fd), NONE);
	for (unsigned tag = 2; tag < 6; tag++)
		answer(fd, tag, 0, 0);
	turn(f);
	assert_int_equal(f->n_told, 5);
	assert_int_equal(f->told[3], NONE);
	close(fd);
}

/* The next one's socket and the end of the one before in one turn. */
static void
the_last_answers_count(void **state)
{
	struct fixture *f = *state;
	int first = meet(f), second;

	commit(f, 1);
	commit(f, 2);
	second = announce(f);
	answer(first, 1, -E_SYSTEM, EIO);
	close(first);
	turn(f);
	assert_int_equal(f->told[1], QUEUE_BROKEN);
	assert_int_equal(take(second), 2);
	assert_int_equal(take(second), NONE);
	close(second);
}

static void
one_that_talks_nonsense_is_left(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);
	char room[64] = "";

	commit(f, 1);
	assert_int_equal(take(fd), 1);
	assert_int_equal(send(fd, room, 3, 0), 3);
	answer(fd, 1, 0, 0);
	turn(f);
	assert_int_equal(f->n_told, 0);
	assert_true(recv(fd, room, sizeof(room), 0) <= 0);
	close(fd);
	fd = meet(f);
	assert_int_equal(send(fd, room, sizeof(room), 0), sizeof(room));
	turn(f);
	assert_int_equal(f->n_told, 0);
	close(fd);
	fd = meet(f);
	assert_int_equal(take(fd), 1);
	close(fd);
}

/* The master is gone: the process may still answer, and no other comes. */
static void
goes_on_without_a_master(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);

	commit(f, 1);
	commit(f, 2);
	close(f->channel);
	f->channel = -1;
	turn(f);
	answer(fd, 1, 0, 0);
	turn(f);
	close(fd);
	turn(f);
	assert_int_equal(f->told[1], QUEUE_TAKEN);
	assert_int_equal(f->n_told, 1);
	f->channel = dup(STDERR_FILENO);	/* for stop() */
}

static void
nobody_queues(void **state)
{
	struct fixture *f = *state;

	queue_link_free(&f->link);
	f->link = queue_link_new(f->loop, -1, on_answer, f);
	assert_non_null(f->link);
	turn(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_are_told),
		TEST(answers_to_nobody_are_left_out),
		TEST(nothing_is_told_of_what_is_forgotten),
		TEST(many_are_asked_for_as_there_is_room),
		TEST(freed_within_an_answer),
		TEST(waits_for_the_first),
		TEST(the_next_one_is_asked_again),
		TEST(the_last_answers_count),
		TEST(one_that_talks_nonsense_is_left),
		TEST(goes_on_without_a_master),
		TEST(nobody_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
