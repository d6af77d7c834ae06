/* A worker's end of the arrival records, and a keeper of a few lines that
 * fetches a copy first. */
#include "daemon/arrival.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/log.h"
#include "daemon/memory.h"
#include "daemon/memory_wire.h"
#include "daemon/passfd.h"

#define WAIT_MS 2000

struct fixture {
	struct loop *loop;
	struct loop_timer *later;
	struct memory *m;
	int channel;			/* the master's end */
	int keeper;			/* the keeper's; -1: it is gone */
	uint64_t number;		/* of the question */
	size_t n_told;
	enum arrival_status status;
};

static bool
on_arrival(void *arg, uint64_t tag, const struct arrival_reply *reply)
{
	struct fixture *f = arg;

	assert_int_equal(tag, 5);
	f->status = reply->status;
	f->n_told++;
	loop_stop(f->loop);
	return true;
}

static bool
on_memory(void *arg, uint64_t tag, const struct memory_reply *reply)
{
	(void)arg;
	(void)tag;
	(void)reply;
	return true;
}

static void
answer(struct fixture *f, enum arrival_status status)
{
	struct memory_response r = {.tag = f->number, .is_arrival = true,
	    .status = (uint8_t)status};

	assert_int_equal(send(f->keeper, &r, sizeof(r), 0), sizeof(r));
}

static void
end_keeper(struct fixture *f)
{
	close(f->keeper);
	f->keeper = -1;
}

static void
on_later(void *arg)
{
	answer(arg, ARRIVAL_NONE);
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct memory_hello hello = {{1}};
	int channel[2], pair[2];

	assert_non_null(f);
	*state = f;
	f->loop = loop_new();
	f->later = loop_timer_new(f->loop, on_later, f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	f->channel = channel[0];
	f->keeper = pair[0];
	assert_int_equal(passfd_give(f->channel, pair[1]), 0);
	close(pair[1]);
	assert_int_equal(send(f->keeper, &hello, sizeof(hello), 0),
	    sizeof(hello));
	f->m = memory_new(f->loop, channel[1],
	    &(struct memory_calls){on_memory, on_arrival}, f);
	assert_non_null(f->m);
	memory_wait(f->m, WAIT_MS);
	return 0;
}

static int
stop(void **state)
{
	struct fixture *f = *state;

	memory_free(&f->m);
	loop_timer_free(&f->later);
	loop_free(&f->loop);
	close(f->channel);
	if (f->keeper >= 0)
		end_keeper(f);
	free(f);
	return 0;
}

static void
turn_over(void *arg)
{
	loop_stop(arg);
}

/* The keeper has a question, and says that the answer takes longer. */
static void
ask(struct fixture *f)
{
	struct arrival_key k = {BYTES_LIT("in"), BYTES_LIT("chain"),
	    {NULL, 0}};
	struct memory_request q;
	struct loop_deferred d;

	assert_int_equal(arrival_find(f->m, &k, 5), 0);
	loop_defer(f->loop, &d, turn_over, f->loop);
	loop_run(f->loop);
	assert_int_equal(recv(f->keeper, &q, sizeof(q), 0), sizeof(q));
	assert_int_equal(q.op, MEMORY_OP_FIND_CHAIN);
	f->number = q.tag;
	answer(f, ARRIVAL_COMING);
}

static void
the_answer_waits_for_the_copy(void **state)
{
	struct fixture *f = *state;

	ask(f);
	loop_timer_start(f->later, WAIT_MS + WAIT_MS / 2);
	loop_run(f->loop);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->status, ARRIVAL_NONE);
}

static void
others_do_not_wait_with_it(void **state)
{
	struct fixture *f = *state;
	struct arrival_key k = {BYTES_LIT("in"), BYTES_LIT("other"),
	    {NULL, 0}};

	ask(f);
	loop_timer_start(f->later, WAIT_MS + WAIT_MS / 2);
	assert_int_equal(arrival_find(f->m, &k, 5), 0);
	loop_run(f->loop);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->status, ARRIVAL_OUT);
	loop_run(f->loop);
	assert_int_equal(f->n_told, 2);
	assert_int_equal(f->status, ARRIVAL_NONE);
}

static void
a_keeper_that_dies_meanwhile_is_an_outage(void **state)
{
	struct fixture *f = *state;

	ask(f);
	end_keeper(f);
	loop_run(f->loop);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->status, ARRIVAL_OUT);
}

static void
who_leaves_meanwhile_hears_nothing(void **state)
{
	struct fixture *f = *state;
	struct loop_deferred d;

	ask(f);
	for (int k = 0; k < 3; k++) {
		loop_defer(f->loop, &d, turn_over, f->loop);
		loop_run(f->loop);
	}
	memory_free(&f->m);
	loop_defer(f->loop, &d, turn_over, f->loop);
	loop_run(f->loop);
	assert_int_equal(f->n_told, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(the_answer_waits_for_the_copy),
		TEST(others_do_not_wait_with_it),
		TEST(a_keeper_that_dies_meanwhile_is_an_outage),
		TEST(who_leaves_meanwhile_hears_nothing),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
