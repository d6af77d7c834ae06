/* Arrival records of two machines, over a real Redis server. */
#include "tests/daemon/shared_kit.h"

#include "daemon/shared_state.h"

/* ---- records ------------------------------------------------------------- */

static void
what_one_writes_another_finds(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;

	NEEDS_SERVER(f);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_NONE);
	kept(a, &first);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_int_equal(b->record.n_found, 0);
	assert_int_equal(b->record.full, DKIM2_PASS);
	assert_int_equal(b->record.time_s, 1795341600);
	assert_int_equal(b->record.header[31], 'x');
	rcpts_are(b, "<r@l.example>");
	assert_int_equal(find(a, MEMORY_OP_FIND_MESSAGE, 'm'), ARRIVAL_FOUND);
	assert_int_equal(a->record.n_found, 1);
	assert_int_equal(find_chain(b, 'd'), ARRIVAL_NONE);
	assert_int_equal(find(b, MEMORY_OP_FIND_MESSAGE, 'c'), ARRIVAL_NONE);
}

static void
writes_of_a_chain_are_joined(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct write second = first, third = first;

	NEEDS_SERVER(f);
	second.name = '2';
	second.rcpts = "<s@l.example>";
	third.name = '3';
	third.content = 'y';
	third.full = DKIM2_FAIL;
	kept(a, &first);
	kept(b, &second);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	rcpts_are(a, "<s@l.example> <r@l.example>");
	/* other words under the same fields */
	kept(a, &third);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_int_equal(b->record.full, DKIM2_FAIL);
	/* how often it was found stands with what remains */
	take_back(a, &third);
	take_back(a, &second);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	assert_int_equal(a->record.full, DKIM2_PASS);
	assert_int_equal(a->record.n_found, 1);
	rcpts_are(a, "<r@l.example>");
	take_back(b, &first);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_NONE);
	assert_int_equal(find(b, MEMORY_OP_FIND_MESSAGE, 'm'), ARRIVAL_NONE);
	assert_int_equal(n_keys(f, "hopseal:ac:*"), 0);
	assert_int_equal(n_keys(f, "hopseal:ao:*"), 0);
	assert_int_equal(n_keys(f, "hopseal:am:*"), 0);
}

static void
what_was_written_twice_is_removed_twice(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;

	NEEDS_SERVER(f);
	kept(a, &first);
	kept(b, &first);
	take_back(a, &first);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	take_back(a, &first);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_NONE);
	take_back(a, &first);
	kept(a, &first);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
}

static void
other_messages_of_a_message_id_are_not_joined(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct write other = {'2', 'd', 'm', 'y', "<s@l.example>",
	    DKIM2_PASS, 0};
	struct write more = {'3', 'd', 'n', 'z', "<t@l.example>",
	    DKIM2_PASS, 0};

	NEEDS_SERVER(f);
	kept(a, &first);
	kept(a, &other);
	kept(a, &more);
	assert_int_equal(find(b, MEMORY_OP_FIND_MESSAGE, 'm'), ARRIVAL_FOUND);
	rcpts_are(b, "<s@l.example>");
	take_back(a, &other);
	assert_int_equal(find(b, MEMORY_OP_FIND_MESSAGE, 'm'), ARRIVAL_FOUND);
	rcpts_are(b, "<r@l.example>");
	assert_int_equal(find_chain(b, 'd'), ARRIVAL_FOUND);
	rcpts_are(b, "<t@l.example>");
	/* what the server has lost is none */
	kept(a, &other);
	say(f, "DEL hopseal:ac:64646464646464646464646464646464");
	assert_int_equal(find(b, MEMORY_OP_FIND_MESSAGE, 'm'), ARRIVAL_FOUND);
	rcpts_are(b, "<r@l.example>");
}

static void
none_older_is_found(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes;
	struct write second = first;

	NEEDS_SERVER(f);
	kept(a, &first);
	ahead_s = ARRIVAL_AGE_S - 60;
	second.name = '2';
	second.rcpts = "<s@l.example>";
	kept(a, &second);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	rcpts_are(a, "<s@l.example> <r@l.example>");
	ahead_s = ARRIVAL_AGE_S + 60;
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	rcpts_are(a, "<s@l.example>");
	ahead_s = 2 * ARRIVAL_AGE_S;
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_NONE);
	/* what is too old goes with the next that comes */
	ahead_s = 7 * 86400 + 60;
	second.name = '3';
	kept(a, &second);
	say_of(f, "ZCARD", "hopseal:ao:*", "");
	assert_int_equal(f->integer, 2);
}

/* Whoever sends the same chain on and on fills neither the server nor us. */
static void
a_chain_has_bounds(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes;

	NEEDS_SERVER(f);
	for (int k = 0; k < ARRIVAL_ROWS_MAX + 20; k++) {
		struct memory_request q;
		uint8_t room[MEMORY_WRITE_MAX];
		struct bytes value = compose(a, &first, &q, room);

		memcpy(room + offsetof(struct memory_write, name), &k,
		    sizeof(k));
		assert_int_equal(ask(a, &q, value), ARRIVAL_KEPT);
	}
	say_of(f, "ZCARD", "hopseal:am:*", "");
	assert_int_equal(f->integer, ARRIVAL_ROWS_MAX);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	say_of(f, "ZCARD", "hopseal:ao:*", "");
	assert_int_equal(f->integer, ARRIVAL_ROWS_MAX);
}

/* Long ones: fewer. */
static void
a_chain_has_octets(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes;
	struct write w = first;
	char many[12 * 1024] = "";

	NEEDS_SERVER(f);
	for (size_t k = 0; strlen(many) + 32 < sizeof(many); k++)
		snprintf(many + strlen(many), 32, "%s<r%zu@l.example>",
		    k == 0 ? "" : " ", k);
	w.rcpts = many;
	for (char k = 0; k < 40; k++) {
		w.name = k;
		kept(a, &w);
	}
	say_of(f, "HGET", "hopseal:ac:*", " o");
	assert_true(atoi(f->text) > (int)SHARED_CHAIN_OCTETS / 2 &&
	    atoi(f->text) <= (int)SHARED_CHAIN_OCTETS);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
}

/* What others put there, or what was damaged, is as if it were none. */
static void
what_is_not_ours_is_none(void **state)
{
	static const char *const wrong[] = {
		"EVAL local@a=KEYS[1]@for@_,k@in@ipairs(redis.call('HKEYS',a))"
		"@do@if@string.sub(k,1,1)=='r'@then@local@v=redis.call('HGET',"
		"a,k)@redis.call('HSET',a,k,(string.gsub(v,'xxxx','yyyy')))@end@end"
		"@return@1 1 %s",
		"EVAL redis.call('DEL',KEYS[1])@redis.call('SET',KEYS[1],'x')"
		"@return@1 1 %s",
	};
	struct fixture *f = *state;
	struct node *a = f->nodes;
	char words[512], key[64];

	NEEDS_SERVER(f);
	for (size_t k = 0; k < sizeof(wrong) / sizeof(*wrong); k++) {
		struct bytes args[4];
		struct redis_command c = {.script = -1, .args = args,
		    .wait_ms = 30 * 1000, .answer = on_said, .arg = f};
		struct bytes rest;

		kept(a, &first);
		assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
		assert_int_equal(n_keys(f, "hopseal:ac:*"), 1);
		memcpy(key, f->text, sizeof(key));
		snprintf(words, sizeof(words), wrong[k], key);
		rest = bytes_of(words);
		while (rest.n != 0)
			args[c.n_args++] = bytes_cut(&rest, ' ');
		for (char *p = words; *p != 0; p++)
			if (*p == '@')
				*p = ' ';
		f->is_over = false;
		assert_int_equal(redis_ask(f->redis, &c), 0);
		until(f, is_said, NULL);
		assert_int_equal(find_chain(a, 'c'), ARRIVAL_NONE);
		take_back(a, &first);
	}
	kept(a, &first);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
}

static void
what_is_no_record_is_not_kept(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes;
	uint8_t room[MEMORY_WRITE_MAX];
	struct memory_request q;
	struct bytes value;

	NEEDS_SERVER(f);
	value = compose(a, &first, &q, room);
	room[sizeof(struct memory_write)] = 99;
	assert_int_equal(ask(a, &q, value), ARRIVAL_OUT);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_NONE);
}

static void
without_a_server_nothing_is_known(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes;

	NEEDS_SERVER(f);
	kept(a, &first);
	/* asked before it is known: no answer comes */
	is_hasty = true;
	kill(f->pid, SIGSTOP);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_OUT);
	until(f, is_out, a);
	assert_int_equal(write_one(a, &first), ARRIVAL_OUT);
	take_back(a, &first);		/* told once it is there */
	kill(f->pid, SIGCONT);
	is_hasty = false;
	until(f, is_ready, a);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_NONE);
}

static bool
is_rid(struct fixture *f, void *arg)
{
	const struct shared_arrivals *a =
	    ((struct node *)arg)->shared->arrivals;

	(void)f;
	return a->n_removals == 0 && a->n_removing == 0;
}

/* What waited to be removed while it was out does not remove what is written
 * then, under the same name. */
static void
what_is_written_again_was_removed_before(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes;
	struct write other = {'2', 'd', 'n', 'x', "<r@l.example>",
	    DKIM2_PASS, 0};

	NEEDS_SERVER(f);
	kept(a, &first);
	kill_server(f);
	until(f, is_out, a);
	for (unsigned k = 0; k < SHARED_REMOVALS_MAX - 1; k++)
		take_back(a, &other);
	take_back(a, &first);
	start_server(f);		/* emptied */
	until(f, is_ready, a);
	kept(a, &first);
	assert_true(a->shared->arrivals->n_removing <= SHARED_REMOVALS_ASKED);
	until(f, is_rid, a);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
}

/* Whatever it says, nothing is found that is not ours. */
static void
P9_a_hostile_server_makes_no_record(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes;

	NEEDS_SERVER(f);
	for (size_t k = 0; k < N_HOSTILE; k++) {
		hostile = &hostile_values[k];
		assert_int_equal(write_one(a, &first), hostile->kind ==
		    REDIS_ARRAY && hostile->n_items != 0 &&
		    hostile->items[0].kind == REDIS_INTEGER ? ARRIVAL_KEPT :
		    ARRIVAL_OUT);
		assert_int_not_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
		assert_int_not_equal(find(a, MEMORY_OP_FIND_MESSAGE, 'm'),
		    ARRIVAL_FOUND);
		take_back(a, &first);
	}
	say(f, "PING");
	hostile = NULL;
	kept(a, &first);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
}

/* ---- the run ------------------------------------------------------------- */

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(what_one_writes_another_finds),
		TEST(writes_of_a_chain_are_joined),
		TEST(what_was_written_twice_is_removed_twice),
		TEST(other_messages_of_a_message_id_are_not_joined),
		TEST(none_older_is_found),
		TEST(a_chain_has_bounds),
		TEST(a_chain_has_octets),
		TEST(what_is_not_ours_is_none),
		TEST(what_is_no_record_is_not_kept),
		TEST(without_a_server_nothing_is_known),
		TEST(what_is_written_again_was_removed_before),
		TEST(P9_a_hostile_server_makes_no_record),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
