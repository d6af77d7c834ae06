#include "tests/daemon/memory_kit.h"

#include <poll.h>

#include "daemon/memory_wire.h"

/* ---- tests --------------------------------------------------------------- */

/* V8: what was delivered is answered with what it was delivered as. */
static void
v8_a_delivery_is_remembered(void **state)
{
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "one");

	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_NEW, "v1");
	memory_delivered(f->clients[0].m, &k);
	settle(f, 0);
	claim_is(f, 1, "b@b.example", "one", "v2", MEMORY_DELIVERED, "v1");
	claim_is(f, 0, "b@b.example", "one", "v3", MEMORY_DELIVERED, "v1");
	/* another recipient, another content */
	claim_is(f, 1, "c@b.example", "one", "v4", MEMORY_NEW, "v4");
	claim_is(f, 1, "b@b.example", "two", "v5", MEMORY_NEW, "v5");
	assert_int_equal(memory_counted(f->clients[0].m)->delivered, 1);
}

/* V7: of all who claim at the same moment one gets it. */
static void
v7_one_of_many_gets_a_claim(void **state)
{
	struct fixture *f = *state;
	char content[16];

	for (int round = 0; round < 200; round++) {
		int n_new = 0;

		snprintf(content, sizeof(content), "%d", round);
		for (int k = 0; k < 6; k++)
			claim(f, k % 2, "b@b.example", content, "v",
			    (uint64_t)k);
		wait_for(f, 6);
		for (int k = 0; k < 6; k++) {
			bool is_new = f->told[k].status == MEMORY_NEW;

			n_new += is_new;
			expect(f, (uint64_t)k, is_new ? MEMORY_NEW :
			    MEMORY_BUSY, is_new ? "v" : "");
		}
		assert_int_equal(n_new, 1);
	}
}

static void
claims_end_in_three_ways(void **state)
{
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "one");
	struct memory *m = f->clients[0].m, *n = f->clients[1].m;

	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_NEW, "v1");
	claim_is(f, 1, "b@b.example", "one", "v2", MEMORY_BUSY, "");
	/* who does not have it can not end it */
	memory_release(n, &k);
	claim_is(f, 1, "b@b.example", "one", "v2", MEMORY_BUSY, "");
	memory_release(m, &k);
	settle(f, 0);
	claim_is(f, 1, "b@b.example", "one", "v3", MEMORY_NEW, "v3");
	memory_unsure(n, &k);
	settle(f, 1);
	claim_is(f, 0, "b@b.example", "one", "v4", MEMORY_AGAIN, "v3");
	memory_release(m, &k);
	claim_is(f, 0, "b@b.example", "one", "v5", MEMORY_AGAIN, "v3");
	memory_delivered(m, &k);
	settle(f, 0);
	claim_is(f, 1, "b@b.example", "one", "v6", MEMORY_DELIVERED, "v3");
	memory_forget(n, &k);
	claim_is(f, 1, "b@b.example", "one", "v7", MEMORY_NEW, "v7");
}

/* An answer that nobody waits for is a claim that nobody has. */
static void
a_refused_answer_releases(void **state)
{
	struct fixture *f = *state;

	f->is_refused[0] = true;
	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_NEW, "v1");
	claim_is(f, 0, "b@b.example", "one", "v2", MEMORY_NEW, "v2");
	f->is_refused[0] = false;
	settle(f, 0);
	claim_is(f, 1, "b@b.example", "one", "v3", MEMORY_NEW, "v3");
}

static void
claims_of_the_dead_are_free(void **state)
{
	struct fixture *f = *state;

	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_NEW, "v1");
	claim_is(f, 1, "b@b.example", "one", "v2", MEMORY_BUSY, "");
	end_client(f, 0);
	/* its end of file may come behind our question */
	do {
		claim(f, 1, "b@b.example", "one", "v3", 0);
		wait_for(f, 1);
		f->told[0].is_there = false;
	} while (f->told[0].status == MEMORY_BUSY);
	assert_int_equal(f->told[0].status, MEMORY_AGAIN);
	assert_string_equal(f->told[0].value, "v1");
}

static void
say(int fd, enum memory_op op)
{
	struct memory_request q = {.op = (uint8_t)op, .pair = 1, .sender = 2,
	    .key = "a message"};

	assert_int_equal(send(fd, &q, sizeof(q), 0), sizeof(q));
}

/* A worker that says a last word, and leaves while a question of it is not
 * answered yet, or its answer was not read. */
static void
leave_with_a_word(struct fixture *f, bool is_answered)
{
	struct memory_hello hello;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(passfd_give(f->control, pair[0]), 0);
	close(pair[0]);
	assert_int_equal(recv(pair[1], &hello, sizeof(hello), 0),
	    sizeof(hello));
	if (!is_answered)
		kill(f->pid, SIGSTOP);
	say(pair[1], MEMORY_OP_LOOK);
	if (is_answered) {
		struct pollfd p = {pair[1], POLLIN, 0};

		assert_int_equal(poll(&p, 1, 30 * 1000), 1);
		kill(f->pid, SIGSTOP);
	}
	say(pair[1], MEMORY_OP_DELIVERED);
	close(pair[1]);
	kill(f->pid, SIGCONT);
}

/* V8: what one said that left is kept, whatever it did not hear. */
static void
v8_the_last_word_of_one_that_left_counts(void **state)
{
	struct fixture *f = *state;

	for (int is_answered = 0; is_answered < 2; is_answered++) {
		struct memory_response a;
		struct memory_hello hello;
		int pair[2];

		for (int k = 0; k < N_CLIENTS; k++)
			if (f->clients[k].m != NULL)
				end_client(f, k);
		leave_with_a_word(f, is_answered != 0);
		close(f->control);	/* it leaves behind the last word */
		assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
		start_keeper(f);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair),
		    0);
		assert_int_equal(passfd_give(f->control, pair[0]), 0);
		close(pair[0]);
		assert_int_equal(recv(pair[1], &hello, sizeof(hello), 0),
		    sizeof(hello));
		say(pair[1], MEMORY_OP_CLAIM);
		assert_int_equal(recv(pair[1], &a, sizeof(a), 0), sizeof(a));
		say(pair[1], MEMORY_OP_FORGET);
		close(pair[1]);
		assert_int_equal(a.status, MEMORY_DELIVERED);
	}
}

static void
a_look_tells_of_the_pair(void **state)
{
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "one");

	look_is(f, 0, "b@b.example", MEMORY_NEW, false);
	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_NEW, "v1");
	memory_delivered(f->clients[0].m, &k);
	look_is(f, 0, "b@b.example", MEMORY_KNOWN, false);
	look_is(f, 0, "c@b.example", MEMORY_NEW, false);
	memory_forget(f->clients[0].m, &k);
	look_is(f, 0, "b@b.example", MEMORY_NEW, false);
}

/* Q14 */
static void
mixed_answers_are_taken_one_by_one(void **state)
{
	struct fixture *f = *state;
	struct bytes in = BYTES_LIT("in"), from = BYTES_LIT("a@a.example");
	struct bytes rcpts[300];
	char names[300][16];

	for (int k = 0; k < 300; k++) {
		snprintf(names[k], sizeof(names[k]), "r%d@b.example", k);
		rcpts[k] = bytes_of(names[k]);
	}
	look_is(f, 0, names[0], MEMORY_NEW, false);
	memory_mixed(f->clients[0].m, in, from, rcpts, 300);
	look_is(f, 0, names[0], MEMORY_NEW, true);
	look_is(f, 0, "other@b.example", MEMORY_NEW, true);
	for (int k = 0; k < 299; k++)
		memory_answered(f->clients[0].m, in, from, rcpts[k]);
	look_is(f, 0, names[0], MEMORY_NEW, true);
	memory_answered(f->clients[0].m, in, from, rcpts[299]);
	look_is(f, 0, names[0], MEMORY_NEW, false);
}

/* V9: no keeper is no reason to wait, nor to fail. */
static void
v9_without_a_keeper_mail_goes_on(void **state)
{
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "one");
	struct memory *m = f->clients[0].m;

	claim_is(f, 0, "b@b.example", "zero", "v0", MEMORY_NEW, "v0");
	kill_keeper(f, SIGKILL);
	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_OUT, "");
	claim_is(f, 0, "b@b.example", "one", "v2", MEMORY_BUSY, "");
	look_is(f, 0, "b@b.example", MEMORY_OUT, false);
	assert_int_equal(memory_counted(m)->out, 2);
	memory_delivered(m, &k);
	/* the next one hears of it, and of the claim that is still held */
	start_keeper(f);
	do {
		claim(f, 1, "b@b.example", "one", "v3", 0);
		wait_for(f, 1);
		f->told[0].is_there = false;
		if (f->told[0].status == MEMORY_OUT) {
			struct memory_key one = key("b@b.example", "one");

			memory_release(f->clients[1].m, &one);
		}
	} while (f->told[0].status == MEMORY_OUT);
	assert_int_equal(f->told[0].status, MEMORY_DELIVERED);
	assert_string_equal(f->told[0].value, "v1");
	claim_is(f, 1, "b@b.example", "zero", "v4", MEMORY_BUSY, "");
	assert_int_equal(memory_counted(m)->lost, 0);
}

/* What is to be forgotten outlives a keeper, too. */
static void
v9_the_next_keeper_hears_what_to_forget(void **state)
{
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "one");

	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_NEW, "v1");
	memory_delivered(f->clients[0].m, &k);
	settle(f, 0);
	kill_keeper(f, SIGKILL);
	memory_forget(f->clients[0].m, &k);
	start_keeper(f);
	settle(f, 0);
	claim_is(f, 1, "b@b.example", "one", "v2", MEMORY_NEW, "v2");
}

/* V9: a store that can not be written is told apart from one that can. */
static void
v9_a_full_disk_is_no_memory(void **state)
{
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "two");
	struct memory *m = f->clients[0].m;
	const struct rlimit none = {0, RLIM_INFINITY};
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_NEW, "v1");
	assert_int_equal(prlimit(f->pid, RLIMIT_FSIZE, &none, NULL), 0);
	claim_is(f, 0, "b@b.example", "two", "v2", MEMORY_OUT, "");
	claim_is(f, 1, "b@b.example", "two", "v3", MEMORY_BUSY, "");
	assert_int_equal(memory_counted(m)->out, 1);
	memory_delivered(m, &k);
	assert_int_equal(prlimit(f->pid, RLIMIT_FSIZE, &all, NULL), 0);
	/* what was delivered meanwhile is lost, and counted; or it was late */
	settle(f, 0);
	claim_is(f, 1, "b@b.example", "three", "v5", MEMORY_NEW, "v5");
	claim_is(f, 1, "b@b.example", "two", "v4",
	    memory_counted(m)->lost == 1 ? MEMORY_NEW : MEMORY_DELIVERED,
	    memory_counted(m)->lost == 1 ? "v4" : "v2");
}

#define LOAD 3000
#define LOAD_AT_A_TIME 40

/* Messages that come, are delivered, and then the next ones come. */
struct load {
	struct fixture *f;
	unsigned n_begun, n_over;
	struct loop_timer *kill, *rest;
	unsigned n_resting;
	unsigned n_kills;
};

static struct memory_key
key_of_load(char content[16], unsigned n)
{
	snprintf(content, 16, "m%u", n);
	return key("b@b.example", content);
}

static void
begin_one(struct load *l)
{
	unsigned n = l->n_begun++;
	char content[16];
	struct memory_key k = key_of_load(content, n);

	assert_int_equal(memory_claim(l->f->clients[n % N_CLIENTS].m, &k,
	    BYTES_LIT("v"), false, n), 0);
}

static struct load *load;	/* of the one test below */

static bool
on_load(void *arg, uint64_t tag, const struct memory_reply *reply)
{
	struct client *c = arg;
	char content[16];
	struct memory_key k = key_of_load(content, (unsigned)tag);

	if (load->n_over == LOAD)
		return on_answer(arg, tag, reply);
	/* nobody else has it, whatever happens to keepers */
	assert_true(reply->status == MEMORY_NEW ||
	    reply->status == MEMORY_AGAIN || reply->status == MEMORY_OUT);
	memory_delivered(c->m, &k);
	if (reply->status == MEMORY_OUT)
		load->n_resting++;	/* or all would be told that at once */
	else if (load->n_begun < LOAD)
		begin_one(load);
	if (++load->n_over == LOAD)
		loop_stop(c->f->loop);
	return true;
}

static void
on_kill(void *arg)
{
	struct load *l = arg;

	kill_keeper(l->f, SIGKILL);
	start_keeper(l->f);
	l->n_kills++;
	if (l->n_over < LOAD)
		loop_timer_start(l->kill, 1 + random() % 30);
}

static void
on_rested(void *arg)
{
	struct load *l = arg;

	for (; l->n_resting != 0 && l->n_begun < LOAD; l->n_resting--)
		begin_one(l);
	loop_timer_start(l->rest, 5);
}

/* Kills of keepers alone cost nothing but answers. */
static void
v9_killed_under_load_it_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct load l = {.f = f};
	char content[16];

	load = &l;
	for (int k = 0; k < N_CLIENTS; k++) {
		end_client(f, k);
		start_client_with(f, k, on_load);
	}
	l.kill = loop_timer_new(f->loop, on_kill, &l);
	l.rest = loop_timer_new(f->loop, on_rested, &l);
	loop_timer_start(l.kill, 1);
	loop_timer_start(l.rest, 5);
	for (int k = 0; k < LOAD_AT_A_TIME; k++)
		begin_one(&l);
	loop_run(f->loop);
	loop_timer_free(&l.kill);
	loop_timer_free(&l.rest);
	assert_int_equal(l.n_over, LOAD);
	assert_int_equal(memory_counted(f->clients[0].m)->lost +
	    memory_counted(f->clients[1].m)->lost, 0);
	print_message("%u kills, %llu answers that did not come\n", l.n_kills,
	    (unsigned long long)(memory_counted(f->clients[0].m)->out +
	    memory_counted(f->clients[1].m)->out));
	/* what no keeper has confirmed goes to this one, at the latest */
	settle(f, 0);
	settle(f, 1);
	for (unsigned n = 0; n < LOAD; n++) {
		struct memory_key k = key_of_load(content, n);

		do {
			assert_int_equal(memory_claim(f->clients[1].m, &k,
			    BYTES_LIT("w"), false, 0), 0);
			wait_for(f, 1);
			f->told[0].is_there = false;
			if (f->told[0].status == MEMORY_OUT)
				memory_release(f->clients[1].m, &k);
		} while (f->told[0].status == MEMORY_OUT);
		assert_int_equal(f->told[0].status, MEMORY_DELIVERED);
	}
}

/* V9: one that does not answer is none, after 200 ms. */
static void
v9_a_slow_keeper_is_none(void **state)
{
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "one");

	claim_is(f, 0, "b@b.example", "zero", "v0", MEMORY_NEW, "v0");
	memory_wait(f->clients[0].m, MEMORY_WAIT_MS);
	kill(f->pid, SIGSTOP);
	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_OUT, "");
	kill(f->pid, SIGCONT);
	memory_wait(f->clients[0].m, 30 * 1000);
	settle(f, 0);
	/* the claim that came late is the same claim */
	claim_is(f, 1, "b@b.example", "one", "v2", MEMORY_BUSY, "");
	memory_delivered(f->clients[0].m, &k);
	settle(f, 0);
	claim_is(f, 1, "b@b.example", "one", "v3", MEMORY_DELIVERED, "v1");
	/* nor is its answer that of what was said meanwhile */
	memory_wait(f->clients[0].m, MEMORY_WAIT_MS);
	kill(f->pid, SIGSTOP);
	claim_is(f, 0, "b@b.example", "two", "v4", MEMORY_OUT, "");
	k = key("b@b.example", "two");
	memory_delivered(f->clients[0].m, &k);
	kill(f->pid, SIGCONT);
	settle(f, 0);
	claim_is(f, 1, "b@b.example", "two", "v5", MEMORY_DELIVERED, "v4");
	assert_int_equal(memory_counted(f->clients[0].m)->lost, 0);
}

/* V9: what did not fit on its way to a slow keeper is said later, or its
 * claims would be busy for hours. */
static void
v9_a_full_queue_keeps_no_claim(void **state)
{
	enum { MANY = 1500 };
	struct fixture *f = *state;
	char value[MEMORY_VALUE_MAX], content[16];
	unsigned tries = 0;

	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	memory_wait(f->clients[0].m, MEMORY_WAIT_MS);
	kill(f->pid, SIGSTOP);
	for (unsigned n = 0; n < MANY; n++) {
		snprintf(content, sizeof(content), "%u", n);
		claim(f, 0, "b@b.example", content, value, n);
	}
	wait_for(f, MANY);
	for (unsigned n = 0; n < MANY; n++) {
		struct memory_key k;

		snprintf(content, sizeof(content), "%u", n);
		k = key("b@b.example", content);
		expect(f, n, MEMORY_OUT, "");
		memory_release(f->clients[0].m, &k);
	}
	assert_int_equal(memory_counted(f->clients[0].m)->lost, 0);
	kill(f->pid, SIGCONT);
	memory_wait(f->clients[0].m, 30 * 1000);
	for (unsigned n = 0; n < MANY; n++) {
		snprintf(content, sizeof(content), "%u", n);
		do {
			settle(f, 0);
			claim(f, 1, "b@b.example", content, value, 0);
			wait_for(f, 1);
			f->told[0].is_there = false;
			assert_true(++tries < 3 * MANY);
		} while (f->told[0].status == MEMORY_BUSY);
		assert_int_equal(f->told[0].status, MEMORY_NEW);
	}
}

/* V9: however many there are, no claim is another's while it is held. */
static void
v9_the_next_keeper_hears_of_all_claims(void **state)
{
	enum { MANY = 2000 };
	struct fixture *f = *state;
	char value[MEMORY_VALUE_MAX], content[16];

	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	for (unsigned n = 0; n < MANY; n++) {
		snprintf(content, sizeof(content), "%u", n);
		claim_is(f, 0, "b@b.example", content, value, MEMORY_NEW,
		    value);
	}
	kill_keeper(f, SIGKILL);
	start_keeper(f);
	settle(f, 1);
	/* a look finds room beside those that do not fit yet */
	for (unsigned n = 0; n < MANY * sizeof(value) / (256 * 1024) + 2; n++)
		settle(f, 0);
	for (unsigned n = 0; n < MANY; n++) {
		snprintf(content, sizeof(content), "%u", n);
		claim_is(f, 1, "b@b.example", content, value, MEMORY_BUSY, "");
	}
}

/* One that its worker could not release would be busy for hours. */
static void
v9_past_the_bound_nothing_is_claimed(void **state)
{
	enum { BOUND = 65536 };
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "one more");
	char content[16];

	for (unsigned n = 0; n < BOUND; n++) {
		snprintf(content, sizeof(content), "%u", n);
		claim(f, 0, "b@b.example", content, "v", n % 1024);
		if (n % 1024 != 1023)
			continue;
		wait_for(f, 1024);
		for (unsigned t = 0; t < 1024; t++)
			expect(f, t, MEMORY_NEW, "v");
	}
	claim_is(f, 0, "b@b.example", "one more", "v", MEMORY_OUT, "");
	memory_release(f->clients[0].m, &k);
	settle(f, 0);
	claim_is(f, 1, "b@b.example", "one more", "v", MEMORY_NEW, "v");
}

/* What a worker said before it died counts: the keeper's socket had it. */
static void
a_delivery_outlives_its_worker(void **state)
{
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "one");
	pid_t pid;

	kill(f->pid, SIGSTOP);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* the socket is shared with the fork: that of a worker that
		 * is gone before its keeper has read a thing */
		memory_delivered(f->clients[0].m, &k);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	kill(f->pid, SIGCONT);
	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_DELIVERED, "");
}

/* Whether it has a name of its own was known to its claim alone. */
static void
without_its_claim_it_is_short(void **state)
{
	struct fixture *f = *state;
	struct memory_key k = key("b@b.example", "one");

	kill_keeper(f, SIGKILL);
	f->limits.short_s = 0;
	start_keeper(f);
	settle(f, 0);
	memory_delivered(f->clients[0].m, &k);
	settle(f, 0);
	claim_is(f, 0, "b@b.example", "one", "v1", MEMORY_NEW, "v1");
	memory_delivered(f->clients[0].m, &k);
	settle(f, 0);
	claim_is(f, 0, "b@b.example", "one", "v2", MEMORY_DELIVERED, "v1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(v8_a_delivery_is_remembered,
		    start, stop),
		cmocka_unit_test_setup_teardown(v7_one_of_many_gets_a_claim,
		    start, stop),
		cmocka_unit_test_setup_teardown(claims_end_in_three_ways,
		    start, stop),
		cmocka_unit_test_setup_teardown(a_refused_answer_releases,
		    start, stop),
		cmocka_unit_test_setup_teardown(claims_of_the_dead_are_free,
		    start, stop),
		cmocka_unit_test_setup_teardown(
		    v8_the_last_word_of_one_that_left_counts, start, stop),
		cmocka_unit_test_setup_teardown(a_look_tells_of_the_pair,
		    start, stop),
		cmocka_unit_test_setup_teardown(
		    mixed_answers_are_taken_one_by_one, start, stop),
		cmocka_unit_test_setup_teardown(
		    v9_without_a_keeper_mail_goes_on, start, stop),
		cmocka_unit_test_setup_teardown(
		    v9_the_next_keeper_hears_what_to_forget, start, stop),
		cmocka_unit_test_setup_teardown(v9_a_full_disk_is_no_memory,
		    start, stop),
		cmocka_unit_test_setup_teardown(
		    v9_killed_under_load_it_loses_nothing, start, stop),
		cmocka_unit_test_setup_teardown(v9_a_slow_keeper_is_none,
		    start, stop),
		cmocka_unit_test_setup_teardown(
		    v9_the_next_keeper_hears_of_all_claims, start, stop),
		cmocka_unit_test_setup_teardown(
		    v9_past_the_bound_nothing_is_claimed, start, stop),
		cmocka_unit_test_setup_teardown(v9_a_full_queue_keeps_no_claim,
		    start, stop),
		cmocka_unit_test_setup_teardown(
		    a_delivery_outlives_its_worker, start, stop),
		cmocka_unit_test_setup_teardown(
		    without_its_claim_it_is_short, start, stop),
	};

	srandom((unsigned)getpid());
	print_message("seed %ld\n", (long)getpid());
	assert_true(sodium_init() >= 0);
	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
