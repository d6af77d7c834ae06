/* The judgement over a server that several machines share: what it says is
 * believed behind a seal, and what it is not there to hear it hears later. The
 * scripts themselves run in tests/e2e/test_redis.py. */
#include "tests/daemon/redis_kit.h"

#include "daemon/shared_arrivals_state.h"
#include "daemon/shared_state.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"

struct world {
	struct fixture server;		/* first: it is found by this */
	struct shared *shared;
	char folder[64];
	const char *secret;		/* what the beat finds; NULL: OOM */
	unsigned n_secrets;
	const char *claim;		/* what CLAIM is answered */
	struct shared_args *sealed;	/* or with this: D and its blob */
	char asked[64][128];		/* other scripts than the beat */
	unsigned n_asked;
	bool is_mute;			/* it answers the beat alone */
	unsigned n_unanswered;
	unsigned n_refused;		/* as many are answered OOM */
	unsigned gone;			/* a peer */
	struct {
		unsigned peer;
		struct memory_response head;
		uint8_t value[MEMORY_VALUE_MAX];
	} said[64];
	unsigned n_said, n_more;
};

/* ---- the server ---------------------------------------------------------- */

static bool
is_script_of(const char *words, unsigned script)
{
	return (unsigned)strtoul(words, NULL, 10) == script + 1;
}

static bool
is_script(const char *command, unsigned script)
{
	return is_script_of(command + strlen("EVALSHA "), script);
}

static void
say_octets(struct world *w, struct bytes b)
{
	if (send(w->server.at->fd, b.p, b.n, MSG_NOSIGNAL) < 0)
		fail();
}

static const char *
answer(struct fixture *f, const char *command)
{
	static char text[256];
	struct world *w = (struct world *)f;
	const struct bytes *blob;

	if (strncmp(command, "EVALSHA ", 8) != 0)
		return "$-1\r\n";
	if (is_script(command, SHARED_BEAT)) {
		(void)snprintf(text, sizeof(text), "$%zu\r\n%s\r\n",
		    w->secret == NULL ? 0 : strlen(w->secret), w->secret ==
		    NULL ? "" : w->secret);
		return w->secret == NULL ? "-OOM no\r\n" : text;
	}
	w->n_unanswered += w->is_mute;
	if (w->is_mute)
		return NULL;
	if (w->n_asked < 64)
		(void)snprintf(w->asked[w->n_asked++], 128, "%s",
		    command + strlen("EVALSHA "));
	if (w->n_refused != 0) {
		w->n_refused--;
		return "-OOM no\r\n";
	}
	if (!is_script(command, SHARED_CLAIM))
		return ":1\r\n";
	if (w->sealed == NULL)
		return w->claim;
	blob = &w->sealed->args[w->sealed->n - 1];
	(void)snprintf(text, sizeof(text), "*2\r\n$1\r\nD\r\n$%zu\r\n",
	    blob->n);
	say(f, text);
	say_octets(w, *blob);
	return "\r\n";
}

/* How often a script ran for a key. */
static unsigned
n_asked(const struct world *w, unsigned script, uint8_t key)
{
	char head[128];
	unsigned n = 0;

	(void)snprintf(head, sizeof(head), "%040u 3 hopseal:m:%02x",
	    script + 1, key);
	for (unsigned k = 0; k < w->n_asked; k++)
		n += strncmp(w->asked[k], head, strlen(head)) == 0;
	return n;
}

/* ---- who asks ------------------------------------------------------------ */

static bool
on_said(void *arg, unsigned peer, const struct memory_response *head,
    struct bytes value)
{
	struct world *w = arg;

	assert_true(w->n_said < 64);
	assert_int_equal(value.n, head->n_value);
	w->said[w->n_said].peer = peer;
	w->said[w->n_said].head = *head;
	if (value.n != 0)
		memcpy(w->said[w->n_said].value, value.p, value.n);
	w->n_said++;
	stop_where_done(&w->server);
	return peer != w->gone;
}

static void
on_secret(void *arg, const uint8_t secret[MEMORY_SECRET_SIZE])
{
	struct world *w = arg;

	assert_memory_equal(secret, w->secret, MEMORY_SECRET_SIZE);
	w->n_secrets++;
	stop_where_done(&w->server);
}

static const struct shared_calls shared_calls = {on_said, on_secret};

static void
take_op(struct world *w, unsigned peer, enum memory_op op, uint8_t key,
    const char *value)
{
	struct memory_request q = {.op = (uint8_t)op, .tag = key,
	    .n_value = (uint16_t)strlen(value)};

	q.key[0] = key;
	shared_take(w->shared, peer, &q, bytes_of(value));
}

/* What was said last, and that it is of this key and peer. */
static enum memory_status
said_last(const struct world *w, unsigned peer, uint8_t key)
{
	assert_true(w->n_said != 0);
	assert_int_equal(w->said[w->n_said - 1].peer, peer);
	assert_int_equal(w->said[w->n_said - 1].head.tag, key);
	return (enum memory_status)w->said[w->n_said - 1].head.status;
}

static bool
is_ready(struct fixture *f)
{
	return shared_is_ready(((struct world *)f)->shared);
}

static bool
is_out(struct fixture *f)
{
	return !is_ready(f);
}

static bool
is_said(struct fixture *f)
{
	struct world *w = (struct world *)f;

	return w->n_said >= w->n_more;
}

/* Waits for n more answers. */
static void
hear(struct world *w, unsigned n)
{
	w->n_more = w->n_said + n;
	run(&w->server, is_said);
}

static bool
is_asked(struct fixture *f)
{
	struct world *w = (struct world *)f;

	return w->n_asked >= w->n_more;
}

static bool
is_told_all(struct fixture *f)
{
	return ((struct world *)f)->shared->notes.n == 0;
}

/* Waits until n scripts ran in all. */
static void
wait_asked(struct world *w, unsigned n)
{
	w->n_more = n;
	run(&w->server, is_asked);
}

static int
set_up_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct store_limits limits = {.age_s = 7 * 86400, .short_s = 900,
	    .arrival_age_s = 86400, .arrival_size = 1 << 20};
	struct redis_where at;

	assert_non_null(w);
	set_up_server(&w->server);
	w->server.load = NULL;
	w->server.answer = answer;
	w->secret = SECRET;
	(void)snprintf(w->folder, sizeof(w->folder),
	    "/tmp/hopseal-shared.XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	at = where(&w->server);
	w->shared = shared_new(w->server.loop, &at, w->folder, &limits,
	    &shared_calls, w);
	assert_non_null(w->shared);
	*state = w;
	return 0;
}

static int
tear_down_world(void **state)
{
	struct world *w = *state;
	char command[128];

	w->server.until = never;
	shared_free(&w->shared);
	tear_down_server(&w->server);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", w->folder);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

/* ---- tests --------------------------------------------------------------- */

static void
V9_nothing_is_known_without_the_secret(void **state)
{
	struct world *w = *state;

	take_op(w, 1, MEMORY_OP_LOOK, 1, "");
	assert_int_equal(said_last(w, 1, 1), MEMORY_OUT);
	take_op(w, 1, MEMORY_OP_CLAIM, 1, "v");
	assert_int_equal(said_last(w, 1, 1), MEMORY_OUT);
	take_op(w, 1, MEMORY_OP_RETURN_FIND, 1, "");
	assert_int_equal(said_last(w, 1, 1), MEMORY_OUT);
	/* it holds against others of this machine all the same */
	take_op(w, 2, MEMORY_OP_CLAIM, 1, "v");
	assert_int_equal(said_last(w, 2, 1), MEMORY_BUSY);
	assert_int_equal(w->n_secrets, 0);
	run(&w->server, is_ready);
	assert_int_equal(w->n_secrets, 1);
}

static void
what_the_server_says_of_a_claim(void **state)
{
	static const struct {
		const char *says;
		enum memory_status status;
	} rows[] = {
		{"*2\r\n$1\r\nN\r\n$0\r\n\r\n", MEMORY_NEW},
		{"*2\r\n$1\r\nB\r\n$0\r\n\r\n", MEMORY_BUSY},
		{"-ERR no\r\n", MEMORY_OUT},
		{"-WRONGTYPE no\r\n", MEMORY_OUT},
		{":1\r\n", MEMORY_OUT},
		{"*0\r\n", MEMORY_OUT},
		{"*2\r\n$1\r\nN\r\n$1\r\nx\r\n", MEMORY_OUT},
		{"*2\r\n$-1\r\n$0\r\n\r\n", MEMORY_OUT},
		{"*2\r\n$0\r\n\r\n$0\r\n\r\n", MEMORY_OUT},
		{"*2\r\n:1\r\n:2\r\n", MEMORY_OUT},
		{"*2\r\n$1\r\nD\r\n$20\r\n0123456789abcdefDtxt\r\n", MEMORY_OUT},
	};
	struct world *w = *state;

	run(&w->server, is_ready);
	for (uint8_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		w->claim = rows[k].says;
		take_op(w, 1, MEMORY_OP_CLAIM, k, "v");
		hear(w, 1);
		assert_int_equal(said_last(w, 1, k), rows[k].status);
		assert_int_equal(w->said[w->n_said - 1].head.n_value, 0);
	}
}

/* The blob of a key, as the server would have it. */
static void
seal_for(struct world *w, uint8_t key, char how, struct shared_args *a)
{
	struct memory_request q = {.op = MEMORY_OP_DELIVERED};

	q.key[0] = key;
	shared_args(w->shared, 1, &q, a);
	shared_args_value(w->shared, &q, how, BYTES_LIT("250 ok"), a);
}

static void
V9_a_delivery_is_behind_a_seal(void **state)
{
	struct world *w = *state;
	struct shared_args a;

	run(&w->server, is_ready);
	seal_for(w, 1, 'D', &a);
	w->sealed = &a;
	take_op(w, 1, MEMORY_OP_CLAIM, 1, "v");
	hear(w, 1);
	assert_int_equal(said_last(w, 1, 1), MEMORY_DELIVERED);
	assert_memory_equal(w->said[w->n_said - 1].value, "250 ok", 6);
	assert_int_equal(n_asked(w, SHARED_CLAIM, 1), 1);
	/* of another key; a try; every octet of it: it is asked once more, and
	 * is none in the end */
	take_op(w, 1, MEMORY_OP_CLAIM, 2, "v");
	hear(w, 1);
	assert_int_equal(said_last(w, 1, 2), MEMORY_OUT);
	assert_int_equal(n_asked(w, SHARED_CLAIM, 2), 2);
	seal_for(w, 3, 'T', &a);
	take_op(w, 1, MEMORY_OP_CLAIM, 3, "v");
	hear(w, 1);
	assert_int_equal(said_last(w, 1, 3), MEMORY_OUT);
	for (uint8_t k = 0; k < SHARED_SEAL_SIZE + 7; k++) {
		w->n_asked = 0;
		seal_for(w, 4 + k, 'D', &a);
		a.blob[k] ^= 1;
		take_op(w, 1, MEMORY_OP_CLAIM, 4 + k, "v");
		hear(w, 1);
		assert_int_equal(said_last(w, 1, 4 + k), MEMORY_OUT);
	}
}

static void
make_out(struct world *w)
{
	w->secret = NULL;
	run(&w->server, is_out);
}

static void
V9_what_happens_meanwhile_is_known(void **state)
{
	struct world *w = *state;
	unsigned had;

	w->claim = "*2\r\n$1\r\nN\r\n$0\r\n\r\n";
	run(&w->server, is_ready);
	make_out(w);
	for (uint8_t k = 1; k <= 4; k++) {
		take_op(w, 1, MEMORY_OP_CLAIM, k, "v");
		assert_int_equal(said_last(w, 1, k), MEMORY_OUT);
		take_op(w, 2, MEMORY_OP_CLAIM, k, "v");
		assert_int_equal(said_last(w, 2, k), MEMORY_BUSY);
	}
	had = w->n_said;
	take_op(w, 1, MEMORY_OP_DELIVERED, 1, "250 ok");
	take_op(w, 1, MEMORY_OP_UNSURE, 2, "250 may");
	take_op(w, 1, MEMORY_OP_RELEASE, 3, "");
	assert_int_equal(w->n_said, had);	/* it is not done yet */
	take_op(w, 2, MEMORY_OP_CLAIM, 1, "v");
	assert_int_equal(said_last(w, 2, 1), MEMORY_DELIVERED);
	assert_memory_equal(w->said[w->n_said - 1].value, "250 ok", 6);
	take_op(w, 2, MEMORY_OP_CLAIM, 2, "v");
	assert_int_equal(said_last(w, 2, 2), MEMORY_AGAIN);
	assert_memory_equal(w->said[w->n_said - 1].value, "250 may", 7);
	take_op(w, 2, MEMORY_OP_CLAIM, 3, "v");
	assert_int_equal(said_last(w, 2, 3), MEMORY_OUT);
	shared_leave(w->shared, 1);		/* it had 4 */
	take_op(w, 2, MEMORY_OP_CLAIM, 4, "v");
	assert_int_equal(said_last(w, 2, 4), MEMORY_OUT);
	/* all of it the server is told once it is back, in that order */
	w->n_asked = 0;
	w->secret = SECRET;
	hear(w, 1);
	assert_int_equal(said_last(w, 1, 1), MEMORY_DELIVERED);
	wait_asked(w, 4);
	assert_int_equal(strtoul(w->asked[0], NULL, 10), SHARED_DELIVERED + 1);
	assert_int_equal(strtoul(w->asked[1], NULL, 10), SHARED_UNSURE + 1);
	assert_int_equal(strtoul(w->asked[2], NULL, 10), SHARED_RELEASE + 1);
	assert_int_equal(strtoul(w->asked[3], NULL, 10), SHARED_LEAVE + 1);
	assert_int_equal(w->n_secrets, 1);
}

static void
V9_what_is_remembered_for_it_is_bounded(void **state)
{
	struct world *w = *state;

	run(&w->server, is_ready);
	make_out(w);
	for (unsigned k = 0; k < SHARED_NOTES_MAX; k++)
		take_op(w, 1, MEMORY_OP_RELEASE, (uint8_t)k, "");
	take_op(w, 1, MEMORY_OP_DELIVERED, 1, "250 ok");
	assert_int_equal(said_last(w, 1, 1), MEMORY_OUT);
}

/* It is full for a moment: what it refused is told at the next tick, and
 * nothing of the same key before it. */
static void
V9_what_is_refused_is_not_overtaken(void **state)
{
	struct world *w = *state;

	run(&w->server, is_ready);
	w->n_refused = 1;
	take_op(w, 1, MEMORY_OP_DELIVERED, 1, "250 ok");
	wait_asked(w, 1);
	for (uint8_t k = 2; k < 30; k++) {	/* each would ask it again */
		take_op(w, 1, MEMORY_OP_UNSURE, k, "x");
		wait_asked(w, k);
	}
	take_op(w, 1, MEMORY_OP_FORGET, 1, "");
	run(&w->server, is_told_all);
	assert_int_equal(w->n_asked, 31);
	assert_true(is_script_of(w->asked[0], SHARED_DELIVERED));
	assert_true(is_script_of(w->asked[29], SHARED_DELIVERED));
	assert_true(is_script_of(w->asked[30], SHARED_FORGET));
	assert_int_equal(w->n_said, 2);
	assert_int_equal(w->said[0].head.status, MEMORY_DELIVERED);
}

/* One that is slow closes the connection, and all is to be said again: with
 * more at a time a server under load would never come back. */
static void
V9_a_server_that_is_back_is_told_few_things_at_a_time(void **state)
{
	struct world *w = *state;

	run(&w->server, is_ready);
	make_out(w);
	for (unsigned k = 0; k < 200; k++)
		take_op(w, 1, MEMORY_OP_RELEASE, (uint8_t)k, "");
	w->is_mute = true;
	w->secret = SECRET;
	run(&w->server, is_ready);
	run(&w->server, is_out);
	assert_int_equal(w->n_unanswered, 64);
	/* but all in the end */
	w->is_mute = false;
	wait_asked(w, 64);
	run(&w->server, is_told_all);
}

static void
remove_record(struct world *w, uint8_t name)
{
	const struct memory_place place = {.chain = {name}};
	struct memory_request q = {.op = MEMORY_OP_REMOVE,
	    .n_value = sizeof(place)};

	q.key[0] = name;
	shared_take(w->shared, 1, &q, (struct bytes){(const uint8_t *)&place,
	    sizeof(place)});
}

static bool
is_rid(struct fixture *f)
{
	const struct shared_arrivals *a = ((struct world *)f)->shared->arrivals;

	return a->n_removals == 0 && a->n_removing == 0;
}

/* Likewise; and nothing before its secret is known. */
static void
V9_it_is_told_few_removals_at_a_time(void **state)
{
	struct world *w = *state;

	run(&w->server, is_ready);
	make_out(w);
	for (uint8_t k = 1; k <= 60; k++)
		remove_record(w, k);
	take_op(w, 1, MEMORY_OP_RELEASE, 1, "");
	w->is_mute = true;
	w->secret = SECRET;
	run(&w->server, is_ready);
	run(&w->server, is_out);
	assert_int_equal(w->n_asked, 0);
	assert_int_equal(w->n_unanswered, 1 + SHARED_REMOVALS_ASKED);
	/* but all in the end */
	w->is_mute = false;
	run(&w->server, is_rid);
	assert_true(w->n_asked >= 60);
}

static void
V9_nothing_is_removed_before_the_secret_is_known(void **state)
{
	struct world *w = *state;

	run(&w->server, is_ready);
	make_out(w);
	assert_true(redis_is_up(shared_redis(w->shared)));
	remove_record(w, 1);
	assert_int_equal(w->shared->arrivals->n_removing, 0);
	assert_false(is_rid(&w->server));
	w->secret = SECRET;
	run(&w->server, is_rid);
	assert_int_equal(w->n_asked, 1);
}

static void
who_leaves_frees_his_claims_there(void **state)
{
	struct world *w = *state;

	w->claim = "*2\r\n$1\r\nN\r\n$0\r\n\r\n";
	run(&w->server, is_ready);
	for (uint8_t k = 1; k <= 3; k++)
		take_op(w, k == 3 ? 2 : 1, MEMORY_OP_CLAIM, k, "v");
	hear(w, 3);
	shared_leave(w->shared, 1);
	wait_asked(w, 5);
	assert_int_equal(n_asked(w, SHARED_LEAVE, 1), 1);
	assert_int_equal(n_asked(w, SHARED_LEAVE, 2), 1);
	assert_int_equal(n_asked(w, SHARED_LEAVE, 3), 0);
	/* and who has left before his answer comes */
	w->gone = 2;
	w->n_asked = 0;
	take_op(w, 2, MEMORY_OP_CLAIM, 4, "v");
	wait_asked(w, 2);
	assert_int_equal(n_asked(w, SHARED_LEAVE, 4), 1);
}

static void
one_that_is_claimed_here_is_not_asked_for(void **state)
{
	struct world *w = *state;

	w->claim = "*2\r\n$1\r\nN\r\n$0\r\n\r\n";
	run(&w->server, is_ready);
	take_op(w, 1, MEMORY_OP_CLAIM, 1, "v");
	hear(w, 1);
	take_op(w, 2, MEMORY_OP_CLAIM, 1, "v");
	assert_int_equal(said_last(w, 2, 1), MEMORY_BUSY);
	take_op(w, 2, MEMORY_OP_FORGET, 1, "");
	assert_int_equal(said_last(w, 2, 1), MEMORY_DELIVERED);
	assert_int_equal(w->n_asked, 1);
	take_op(w, 1, MEMORY_OP_DELIVERED, 1, "250 ok");
	hear(w, 1);
	assert_int_equal(said_last(w, 1, 1), MEMORY_DELIVERED);
	assert_int_equal(n_asked(w, SHARED_DELIVERED, 1), 1);
	take_op(w, 2, MEMORY_OP_CLAIM, 1, "v");
	hear(w, 1);
	assert_int_equal(n_asked(w, SHARED_CLAIM, 1), 2);
}

static bool
has_two_secrets(struct fixture *f)
{
	return ((struct world *)f)->n_secrets == 2;
}

static void
V9_another_secret_is_told(void **state)
{
	struct world *w = *state;

	run(&w->server, is_ready);
	w->secret = OTHER;
	run(&w->server, has_two_secrets);
}

static bool
is_closed(struct fixture *f)
{
	return f->n_connects >= 3;
}

static void
V9_a_secret_that_is_none(void **state)
{
	struct world *w = *state;

	w->secret = "short";
	run(&w->server, is_closed);
	assert_int_equal(w->n_secrets, 0);
	assert_false(shared_is_ready(w->shared));
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, set_up_world, tear_down_world)
	const struct CMUnitTest tests[] = {
		T(V9_nothing_is_known_without_the_secret),
		T(what_the_server_says_of_a_claim),
		T(V9_a_delivery_is_behind_a_seal),
		T(V9_what_happens_meanwhile_is_known),
		T(V9_what_is_remembered_for_it_is_bounded),
		T(V9_what_is_refused_is_not_overtaken),
		T(V9_a_server_that_is_back_is_told_few_things_at_a_time),
		T(V9_it_is_told_few_removals_at_a_time),
		T(V9_nothing_is_removed_before_the_secret_is_known),
		T(who_leaves_frees_his_claims_there),
		T(one_that_is_claimed_here_is_not_asked_for),
		T(V9_another_secret_is_told),
		T(V9_a_secret_that_is_none),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
