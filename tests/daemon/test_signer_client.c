/*
 * A worker's end of several signers. They are in this process, at sockets in
 * the same loop, and do what the test says.
 */
#include "daemon/signer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/signer_wire.h"

#define FAKES 3
#define MANY 600
#define AT_ONCE 16		/* that one signer is asked */

enum how { ANSWERS, HANGS, DIES, DIES_AFTER_ONE, LIES };

struct fake {
	struct fixture *f;
	enum how how;
	int fd;
	struct loop_watch *watch;
	unsigned n_asked;
	struct signer_request asked[MANY];
};

struct fixture {
	struct loop *loop;
	struct signer_client *client;
	struct fake fakes[FAKES];
	unsigned n_answers, n_wanted;
	bool is_signed[MANY];
	bool is_answered[MANY];
	bool frees;		/* the client, with the first answer */
};

static void
end(struct fake *k)
{
	loop_unwatch(&k->watch);
	close(k->fd);
	k->fd = -1;
}

static void
answer(struct fake *k, const struct signer_request *q)
{
	struct signer_reply a = {.tag = q->tag, .n = 32};

	memcpy(a.signature, q->digest, sizeof(q->digest));
	assert_int_equal(send(k->fd, &a, sizeof(a), MSG_NOSIGNAL), sizeof(a));
}

static void
on_question(void *arg, unsigned what)
{
	struct fake *k = arg;
	struct signer_request q;
	ssize_t n;

	(void)what;
	while (k->fd >= 0) {
		n = recv(k->fd, &q, sizeof(q), MSG_DONTWAIT);
		if (n <= 0) {
			if (n == 0)
				end(k);
			return;
		}
		assert_int_equal(n, sizeof(q));
		k->asked[k->n_asked++] = q;
		if (k->how == LIES)
			assert_int_equal(send(k->fd, "no", 2, 0), 2);
		if (k->how == ANSWERS || (k->how == DIES_AFTER_ONE &&
		    k->n_asked == 1))
			answer(k, &q);
		else if (k->how == DIES || k->how == DIES_AFTER_ONE)
			end(k);
	}
}

static void
on_answer(void *arg, uint64_t tag, struct bytes signature)
{
	struct fixture *f = arg;

	assert_true(tag < MANY);
	assert_false(f->is_answered[tag]);	/* once */
	f->is_answered[tag] = true;
	f->is_signed[tag] = signature.n != 0;
	/* its own answer */
	if (signature.n != 0)
		assert_memory_equal(signature.p, &tag, sizeof(tag));
	if (f->frees)
		signer_client_free(&f->client);
	if (++f->n_answers == f->n_wanted || f->frees)
		loop_stop(f->loop);
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct signer_ends ends = {.n = 0};

	assert_non_null(f);
	*state = f;
	f->loop = loop_new();
	for (int k = 0; k < FAKES; k++) {
		struct fake *fake = &f->fakes[k];
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair),
		    0);
		ends.fds[ends.n++] = pair[0];
		fake->f = f;
		fake->fd = pair[1];
		fake->watch = loop_watch(f->loop, fake->fd, on_question, fake);
		loop_want(fake->watch, LOOP_READ);
	}
	f->client = signer_client_new(f->loop, &ends, on_answer, f);
	assert_non_null(f->client);
	return 0;
}

static int
finish(void **state)
{
	struct fixture *f = *state;

	signer_client_free(&f->client);
	for (int k = 0; k < FAKES; k++)
		if (f->fakes[k].fd >= 0)
			end(&f->fakes[k]);
	loop_free(&f->loop);
	free(f);
	return 0;
}

static void
behave(struct fixture *f, enum how a, enum how b, enum how c)
{
	f->fakes[0].how = a;
	f->fakes[1].how = b;
	f->fakes[2].how = c;
}

static int
ask(struct fixture *f, uint64_t tag)
{
	uint8_t digest[32] = {0};

	memcpy(digest, &tag, sizeof(tag));
	return signer_client_ask(f->client, 7, (struct bytes){digest, 32},
	    tag);
}

static void
ask_all(struct fixture *f, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		assert_int_equal(ask(f, k), 0);
	assert_int_equal(f->n_answers, 0);	/* never before it returns */
	f->n_wanted = n;
	loop_run(f->loop);
	assert_int_equal(f->n_answers, n);
}

static unsigned
count_signed(const struct fixture *f)
{
	unsigned n = 0;

	for (unsigned k = 0; k < MANY; k++)
		n += f->is_signed[k];
	return n;
}

/* Each goes to who owes least; alone, to the first. */
static void
test_questions_are_spread(void **state)
{
	struct fixture *f = *state;

	for (unsigned k = 0; k < 7; k++)
		assert_int_equal(ask(f, k), 0);
	for (int k = 0; k < FAKES; k++)
		on_question(&f->fakes[k], LOOP_READ);
	assert_int_equal(f->fakes[0].n_asked, 3);
	assert_int_equal(f->fakes[1].n_asked, 2);
	assert_int_equal(f->fakes[2].n_asked, 2);
	f->n_wanted = 7;
	loop_run(f->loop);
	assert_int_equal(count_signed(f), 7);
	f->n_wanted = 8;
	assert_int_equal(ask(f, 7), 0);
	loop_run(f->loop);
	assert_int_equal(f->fakes[0].n_asked, 4);
}

/* What one that died did not answer is asked of the others. */
static void
test_one_dies(void **state)
{
	struct fixture *f = *state;

	behave(f, DIES_AFTER_ONE, ANSWERS, ANSWERS);
	ask_all(f, MANY);
	assert_int_equal(count_signed(f), MANY);
	assert_int_equal(f->fakes[0].n_asked, 2);
}

static void
test_one_lies(void **state)
{
	struct fixture *f = *state;

	behave(f, ANSWERS, LIES, ANSWERS);
	ask_all(f, MANY);
	assert_int_equal(count_signed(f), MANY);
	assert_true(f->fakes[1].n_asked <= AT_ONCE);
}

/* A question that ends signers ends two of them, and no more. */
static void
test_a_deadly_question(void **state)
{
	struct fixture *f = *state;

	behave(f, DIES, DIES, ANSWERS);
	ask_all(f, 1);
	assert_false(f->is_signed[0]);
	assert_int_equal(f->fakes[0].n_asked, 1);
	assert_int_equal(f->fakes[1].n_asked, 1);
	assert_int_equal(f->fakes[2].n_asked, 0);
	f->n_wanted = 2;
	assert_int_equal(ask(f, 1), 0);
	loop_run(f->loop);
	assert_true(f->is_signed[1]);
}

/* The last one goes: all fail, and no more are taken. */
static void
test_all_die(void **state)
{
	struct fixture *f = *state;

	behave(f, DIES, DIES, DIES);
	ask_all(f, MANY);
	assert_int_equal(count_signed(f), 0);
	assert_int_equal(ask(f, 0), -E_SYSTEM);
}

/* One that hangs has no more than it may owe; the rest is signed. Not all are
 * answered: its own are, after 5 s. */
static void
test_one_hangs(void **state)
{
	struct fixture *f = *state;

	behave(f, ANSWERS, HANGS, ANSWERS);
	for (unsigned k = 0; k < MANY; k++)
		assert_int_equal(ask(f, k), 0);
	f->n_wanted = MANY - AT_ONCE;
	loop_run(f->loop);
	assert_int_equal(count_signed(f), MANY - AT_ONCE);
	assert_int_equal(f->fakes[1].n_asked, AT_ONCE);
	/* it goes on: what it owes comes, and it is asked again */
	f->fakes[1].how = ANSWERS;
	for (unsigned k = 0; k < AT_ONCE; k++)
		answer(&f->fakes[1], &f->fakes[1].asked[k]);
	f->n_wanted = MANY;
	loop_run(f->loop);
	assert_int_equal(count_signed(f), MANY);
}

/* Who is asked no more has no part in what is open. */
static void
test_an_answer_of_another(void **state)
{
	struct fixture *f = *state;

	behave(f, HANGS, HANGS, HANGS);
	f->n_wanted = 1;
	assert_int_equal(ask(f, 0), 0);
	assert_int_equal(ask(f, 1), 0);
	on_question(&f->fakes[0], LOOP_READ);
	on_question(&f->fakes[1], LOOP_READ);
	answer(&f->fakes[1], &f->fakes[0].asked[0]);
	answer(&f->fakes[1], &f->fakes[1].asked[0]);
	loop_run(f->loop);
	assert_true(f->is_signed[1]);
	assert_false(f->is_answered[0]);
}

static void
test_freed_by_an_answer(void **state)
{
	struct fixture *f = *state;

	behave(f, DIES, DIES, DIES);
	f->frees = true;
	for (unsigned k = 0; k < MANY; k++)
		assert_int_equal(ask(f, k), 0);
	loop_run(f->loop);
	assert_int_equal(f->n_answers, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
	const struct CMUnitTest tests[] = {
		TEST(test_questions_are_spread), TEST(test_one_dies),
		TEST(test_one_lies), TEST(test_a_deadly_question),
		TEST(test_all_die), TEST(test_one_hangs),
		TEST(test_an_answer_of_another),
		TEST(test_freed_by_an_answer),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
