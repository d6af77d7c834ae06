/* P9: a hostile Redis. Whatever it says, each command is told its end once,
 * and nothing blocks. */
#include "tests/daemon/redis_kit.h"

static const char *
counts(struct fixture *f, const char *command)
{
	static char text[32];

	(void)command;
	(void)snprintf(text, sizeof(text), "$1\r\n%u\r\n", f->n_commands);
	return text;
}

static void
answers_come_in_order(void **state)
{
	struct fixture *f = begin(state);

	f->answer = counts;
	for (unsigned k = 0; k < 5; k++)
		assert_int_equal(ask(f, k, "GET"), 0);
	assert_int_equal(f->n_told, 0);
	run_for(f, 5);
	for (unsigned k = 0; k < 5; k++) {
		assert_int_equal(f->told[k], GOOD);
		assert_int_equal(f->order[k], k);
		assert_int_equal(f->text[k][0], '1' + (int)k);
	}
	assert_int_equal(f->n_loads, 2);
	assert_int_equal(ask_script(f, 5), 0);
	run_for(f, 6);
	assert_string_equal(f->last, "EVALSHA " SHA " 1 key value");
}

/* Each of these is none that could be used: the connection is closed. */
static void
P9_what_is_no_reply_closes(void **state)
{
	static const char *const replies[] = {
		"!\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", ":1x\r\n",
		":99999999999999999999\r\n", "$-2\r\n", "$x\r\n",
		"*-2\r\n", "*99999999999\r\n", "*1025\r\n", "*2147483647\r\n",
		"*1\r\n*1\r\n:1\r\n", "*2\r\n:1\r\n*0\r\n",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
		"+yes\r\n+and more\r\n",
	};
	struct fixture *f = begin(state);

	for (size_t k = 0; k < sizeof(replies) / sizeof(replies[0]); k++) {
		f->says = replies[k];
		f->n_downs = 0;
		assert_int_equal(ask(f, k, "GET"), 0);
		run(f, is_down);
		assert_int_equal(f->n_told, k + 1);
		assert_int_equal(f->told[k], k + 1 == sizeof(replies) /
		    sizeof(replies[0]) ? GOOD : ABSENT);
		/* the next one has its time, and is as good as any */
		assert_false(redis_is_up(f->redis));
		assert_int_equal(ask(f, k, "GET"), -E_ABSENT);
		f->redis->rest_ms = 0;
		run(f, is_up);
	}
}

static void
P9_what_may_be_a_reply_is_taken(void **state)
{
	static const char *const replies[] = {
		"$-1\r\n", "*-1\r\n", "*0\r\n", "$0\r\n\r\n", ":-1\r\n",
		"*3\r\n:1\r\n$-1\r\n-ERR no\r\n", "+\r\n",
	};
	struct fixture *f = begin(state);

	for (unsigned k = 0; k < sizeof(replies) / sizeof(replies[0]); k++) {
		f->says = replies[k];
		assert_int_equal(ask(f, k, "GET"), 0);
		run_for(f, k + 1);
		assert_int_equal(f->told[k], GOOD);
	}
	assert_int_equal(f->n_downs, 0);
}

/* Octets of a reply that never ends are taken up to a bound. */
static void
P9_a_gigabyte_is_not_taken(void **state)
{
	static const char *const heads[] = {"$1000000000\r\n", "+",
	    "*1000\r\n$999999999\r\n"};
	struct fixture *f = begin(state);

	for (unsigned k = 0; k < 3; k++) {
		struct bytes args[] = {BYTES_LIT("GET")};
		/* it is not its time that ends it */
		struct redis_command c = {.script = -1, .args = args,
		    .n_args = 1, .wait_ms = 2 * LOST_MS,
		    .answer = on_answer, .arg = f, .tag = k};

		f->says = heads[k];
		f->n_downs = 0;
		assert_int_equal(redis_ask(f->redis, &c), 0);
		loop_timer_start(f->flood, 0);
		run(f, is_down);
		loop_timer_stop(f->flood);
		assert_int_equal(f->told[k], ABSENT);
		f->redis->rest_ms = 0;
		run(f, is_up);
	}
}

/* A string that is whole, and as large as it may be, or an octet more. */
static void
P9_a_reply_has_a_bound(void **state)
{
	static uint8_t octets[REDIS_REPLY_MAX];
	struct redis_reader *r = redis_reader_new();
	struct redis_value v;
	const char *why = NULL;
	char head[32];
	size_t n = REDIS_REPLY_MAX - 64;

	(void)state;
	(void)snprintf(head, sizeof(head), "$%zu\r\n", n);
	assert_int_equal(redis_reader_feed(r, bytes_of(head)), 0);
	assert_int_equal(redis_reader_next(r, &v, &why), 0);
	assert_int_equal(redis_reader_feed(r, (struct bytes){octets, n}), 0);
	assert_int_equal(redis_reader_next(r, &v, &why), 0);
	assert_int_equal(redis_reader_feed(r, (struct bytes){octets, 65}),
	    -E_LIMIT);
	assert_int_equal(redis_reader_feed(r, BYTES_LIT("\r\n")), 0);
	assert_int_equal(redis_reader_next(r, &v, &why), 1);
	assert_int_equal(v.text.n, n);
	redis_reader_free(&r);
}

/* Small strings that are too much together. */
static void
P9_an_array_has_a_bound(void **state)
{
	static uint8_t octets[8192];
	struct redis_reader *r = redis_reader_new();
	struct redis_value v;
	const char *why = NULL;
	int said = 0;

	(void)state;
	assert_int_equal(redis_reader_feed(r, BYTES_LIT("*1024\r\n")), 0);
	for (unsigned k = 0; k < 1024 && said == 0; k++) {
		assert_int_equal(redis_reader_feed(r, BYTES_LIT("$8192\r\n")),
		    0);
		assert_int_equal(redis_reader_feed(r, (struct bytes){octets,
		    sizeof(octets)}), 0);
		assert_int_equal(redis_reader_feed(r, BYTES_LIT("\r\n")), 0);
		said = redis_reader_next(r, &v, &why);
	}
	assert_int_equal(said, -E_LIMIT);
	assert_string_equal(why, "a reply that is too large");
	redis_reader_free(&r);
	/* its number is enough */
	r = redis_reader_new();
	assert_int_equal(redis_reader_feed(r, BYTES_LIT("*1025\r\n")), 0);
	assert_int_equal(redis_reader_next(r, &v, &why), -E_LIMIT);
	redis_reader_free(&r);
}

static const char *
says_once(struct fixture *f, const char *command)
{
	(void)command;
	return f->n_commands % 2 == 1 ? f->says : NULL;
}

/* Half a reply, or none: it is late, and so is what stands behind it. */
static void
P9_who_is_late_is_closed(void **state)
{
	static const char *const halves[] = {NULL, "$5\r\nhal", "*2\r\n:1\r\n",
	    "+", "$"};
	struct fixture *f = begin(state);

	f->answer = says_once;
	for (unsigned k = 0; k < 5; k++) {
		f->says = halves[k];
		f->n_downs = 0;
		assert_int_equal(ask(f, 2 * k, "GET"), 0);
		assert_int_equal(ask(f, 2 * k + 1, "GET"), 0);
		run(f, is_down);
		assert_int_equal(f->told[2 * k], ABSENT);
		assert_int_equal(f->told[2 * k + 1], ABSENT);
		assert_int_equal(f->n_told, 2 * k + 2);
		f->redis->rest_ms = 0;
		run(f, is_up);
	}
}

static const char *
answers_the_one_before(struct fixture *f, const char *command)
{
	(void)command;
	return f->n_commands == 1 ? NULL : "+second\r\n";
}

/* What was late comes on a connection that nobody reads any more. */
static void
P9_a_late_answer_is_not_anothers(void **state)
{
	struct fixture *f = begin(state);
	int fd;

	f->answer = answers_the_one_before;
	assert_int_equal(ask(f, 0, "GET"), 0);
	run(f, is_down);
	assert_int_equal(f->told[0], ABSENT);
	loop_unwatch(&f->at->watch);
	fd = f->at->fd;		/* it stays open at the server's end */
	f->at->fd = -1;
	f->redis->rest_ms = 0;
	run(f, is_up);
	assert_int_equal(ask(f, 1, "GET"), 0);
	if (fd >= 0)
		(void)send(fd, "+first\r\n", 8, MSG_NOSIGNAL);
	run_for(f, 2);
	assert_int_equal(f->told[1], GOOD);
	assert_string_equal(f->text[1], "second");
	if (fd >= 0)
		close(fd);
}

/* What nobody asked for, or not wholly yet, answers nothing. */
static void
P9_what_nobody_asked_for_closes(void **state)
{
	struct fixture *f = begin(state);

	say(f, "+OK\r\n");
	run(f, is_down);
	assert_int_equal(f->n_told, 0);
}

/* Errors that mean that no command will be done now close; others do not.
 * Each is told with what the server said. */
static void
P9_errors_of_the_server(void **state)
{
	static const struct {
		const char *says;
		bool is_closing;
	} rows[] = {
		{"-READONLY You can't write against a read only replica.\r\n", true},
		{"-MOVED 3999 127.0.0.1:6381\r\n", true},
		{"-LOADING Redis is loading the dataset in memory\r\n", true},
		{"-NOAUTH Authentication required.\r\n", true},
		{"-MASTERDOWN Link with MASTER is down\r\n", true},
		{"-CLUSTERDOWN Hash slot not served\r\n", true},
		{"-ERR Error running script (call to f_x): @user_script:1: -READONLY no\r\n", true},
		{"-OOM command not allowed when used memory > 'maxmemory'.\r\n", false},
		{"-WRONGTYPE Operation against a key\r\n", false},
		{"-ERR unknown command\r\n", false},
		{"-\001\377\r\n", false},
	};
	struct fixture *f = begin(state);

	for (unsigned k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		f->says = rows[k].says;
		f->n_downs = 0;
		assert_int_equal(ask(f, k, "GET"), 0);
		run_for(f, k + 1);
		assert_int_equal(f->told[k], SAID);
		if (rows[k].is_closing)
			run(f, is_down);
		assert_int_equal(redis_is_up(f->redis), !rows[k].is_closing);
		f->redis->rest_ms = 0;
		run(f, is_up);
	}
}

static bool
has_come_thrice(struct fixture *f)
{
	return f->n_connects >= 3;
}

/* Who may not log in, or meets no Redis, asks again and is never up. */
static void
P9_no_login_no_commands(void **state)
{
	static const char *const logins[] = {
	    "-WRONGPASS invalid username-password pair\r\n",
	    "-DENIED Redis is running in protected mode\r\n",
	    "220 mail.example ESMTP\r\n", "$-1\r\n"};
	static const char *const loads[] = {"-NOPERM no\r\n", "+OK\r\n",
	    "$40\r\n0123456789abcdef0123456789abcdef0123456X\r\n",
	    "$39\r\n0123456789abcdef0123456789abcdef0123456\r\n"};
	struct fixture *f = *state;
	struct redis_where w = where(f);

	w.user = BYTES_LIT("hop");
	w.password = BYTES_LIT("secret");
	w.db = 3;
	for (unsigned k = 0; k < 8; k++) {
		f->n_connects = 0;
		f->login = k < 4 ? logins[k] : "+OK\r\n";
		f->load = k < 4 ? "$40\r\n" SHA "\r\n" : loads[k - 4];
		f->redis = redis_new(f->loop, &w, scripts, 2, &calls, f);
		run(f, has_come_thrice);
		assert_int_equal(f->n_ups, 0);
		assert_int_equal(ask(f, 0, "GET"), -E_ABSENT);
		redis_free(&f->redis);
	}
}

static const char *
wants_scripts(struct fixture *f, const char *command)
{
	bool is_script = strncmp(command, "EVALSHA", 7) == 0;

	return is_script && f->n_loads < 4 ? "-NOSCRIPT none\r\n" : "+yes\r\n";
}

static const char *
has_none(struct fixture *f, const char *command)
{
	(void)f;
	(void)command;
	return "-NOSCRIPT none\r\n";
}

static void
scripts_that_are_gone_are_loaded_again(void **state)
{
	struct fixture *f = begin(state);

	f->answer = wants_scripts;
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(ask_script(f, k), 0);
	run_for(f, 3);
	for (unsigned k = 0; k < 3; k++) {
		assert_int_equal(f->told[k], GOOD);
		assert_int_equal(f->order[k], k);
	}
	assert_int_equal(f->n_loads, 4);
	f->answer = has_none;
	assert_int_equal(ask_script(f, 3), 0);
	run_for(f, 4);
	assert_int_equal(f->told[3], SAID);
	assert_int_equal(f->n_loads, 6);
}

/* Past a number, or octets, that wait, one more is refused at once. */
static void
P9_what_waits_is_bounded(void **state)
{
	static uint8_t octets[REDIS_OCTETS_MAX];
	struct fixture *f = begin(state);
	struct bytes args[] = {BYTES_LIT("SET"), {octets, 1}};
	struct redis_command c = {.script = -1, .args = args, .n_args = 2,
	    .wait_ms = REDIS_WAIT_MS, .answer = on_answer, .arg = f};

	f->says = NULL;
	for (unsigned k = 0; k < REDIS_COMMANDS_MAX; k++)
		assert_int_equal(ask(f, k, "GET"), 0);
	assert_int_equal(ask(f, REDIS_COMMANDS_MAX, "GET"), -E_LIMIT);
	run_for(f, REDIS_COMMANDS_MAX);
	f->redis->rest_ms = 0;
	run(f, is_up);
	args[1].n = REDIS_OCTETS_MAX / 2;
	c.tag = REDIS_COMMANDS_MAX;
	assert_int_equal(redis_ask(f->redis, &c), 0);
	assert_int_equal(redis_ask(f->redis, &c), -E_LIMIT);
	args[1].n = SIZE_MAX / 2;
	assert_int_equal(redis_ask(f->redis, &c), -E_LIMIT);
	c.n_args = REDIS_ARGS_MAX + 1;
	args[1].n = 1;
	assert_int_equal(redis_ask(f->redis, &c), -E_LIMIT);
}

static void
on_last_answer(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct fixture *f = arg;

	redis_free(&f->redis);
	on_answer(arg, tag, err, v);
}

/* Freed within an answer, whatever it is: the others are told, once. */
static void
who_asked_may_go_at_any_time(void **state)
{
	static const char *const says_[] = {"+yes\r\n", "-READONLY no\r\n",
	    "!\r\n", NULL};
	struct fixture *f = *state;

	for (unsigned k = 0; k < 4; k++) {
		struct bytes args[] = {BYTES_LIT("GET")};
		struct redis_command c = {.script = -1, .args = args,
		    .n_args = 1, .wait_ms = REDIS_WAIT_MS,
		    .answer = on_last_answer, .arg = f, .tag = 3 * k};

		f->n_ups = 0;
		f->says = says_[k];
		connect_to(f);
		run(f, is_up);
		assert_int_equal(redis_ask(f->redis, &c), 0);
		assert_int_equal(ask(f, 3 * k + 1, "GET"), 0);
		assert_int_equal(ask(f, 3 * k + 2, "GET"), 0);
		run_for(f, 3 * k + 3);
		assert_null(f->redis);
		assert_int_equal(f->told[3 * k + 1], ABSENT);
		assert_int_equal(f->told[3 * k + 2], ABSENT);
	}
}

/* A bad answer's line; then another connection. */
static void
on_bad_answer(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct fixture *f = arg;

	on_answer(arg, tag, err, v);
	redis_fault(f->redis, "it is no good");
	assert_false(redis_is_up(f->redis));
}

static void
who_asked_may_find_fault(void **state)
{
	struct fixture *f = begin(state);
	struct bytes args[] = {BYTES_LIT("GET")};
	struct redis_command c = {.script = -1, .args = args, .n_args = 1,
	    .wait_ms = REDIS_WAIT_MS, .answer = on_bad_answer, .arg = f};

	assert_int_equal(redis_ask(f->redis, &c), 0);
	assert_int_equal(ask(f, 1, "GET"), 0);
	run(f, is_down);
	assert_int_equal(f->told[0], GOOD);
	assert_int_equal(f->told[1], ABSENT);
	f->redis->rest_ms = 0;
	run(f, is_up);
}

/* Its rests grow, up to a bound, while nobody is there. */
static void
P9_who_is_not_there_is_asked_less_often(void **state)
{
	struct fixture *f = begin(state);
	int64_t want = REDIS_REST_MIN_MS;

	for (unsigned k = 0; k < 12; k++) {
		redis_fault(f->redis, "test");
		assert_int_equal(f->redis->rest_ms, want);
		want = want * 2 > REDIS_REST_MAX_MS ? REDIS_REST_MAX_MS :
		    want * 2;
		/* as if it had one again */
		f->redis->fd = dup(f->listener);
	}
	assert_int_equal(want, REDIS_REST_MAX_MS);
	/* from the start again behind one that stood for long enough */
	f->redis->is_up = true;
	f->redis->up_ms = loop_now_ms(f->loop) - REDIS_REST_MAX_MS;
	redis_fault(f->redis, "test");
	assert_int_equal(f->redis->rest_ms, REDIS_REST_MIN_MS);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(answers_come_in_order),
		T(P9_what_is_no_reply_closes),
		T(P9_what_may_be_a_reply_is_taken),
		T(P9_a_gigabyte_is_not_taken),
		cmocka_unit_test(P9_a_reply_has_a_bound),
		cmocka_unit_test(P9_an_array_has_a_bound),
		T(P9_who_is_late_is_closed),
		T(P9_a_late_answer_is_not_anothers),
		T(P9_what_nobody_asked_for_closes),
		T(P9_errors_of_the_server),
		T(P9_no_login_no_commands),
		T(scripts_that_are_gone_are_loaded_again),
		T(P9_what_waits_is_bounded),
		T(who_asked_may_go_at_any_time),
		T(who_asked_may_find_fault),
		T(P9_who_is_not_there_is_asked_less_often),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
