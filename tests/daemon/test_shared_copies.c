/* Copies of messages between two machines, over a real Redis server. */
#include "tests/daemon/shared_kit.h"

#include <dirent.h>
#include <time.h>

#define LONG (20U << 20)	/* many pieces */
#define SHORT (2 * SHARED_PIECE + SHARED_PIECE / 2)

static const struct write brief = {'1', 'c', 'm', 'x', "<r@l.example>",
    DKIM2_PASS, SHORT};
static const struct write large = {'1', 'c', 'm', 'x', "<r@l.example>",
    DKIM2_PASS, LONG};

/* Whether a node has the octets that a record names. */
static bool
has_copy(const struct node *n, const struct write *w)
{
	uint8_t *want = make_octets(w->n_copy, w->content);
	uint8_t *got = malloc(w->n_copy + 1);
	int fd = arrival_copy_open(n->copies, n->record.copy);
	ssize_t r = fd < 0 ? -1 : read(fd, got, w->n_copy + 1);
	bool is_same;

	/* between header and body arrival_copy_write() has an empty line */
	memcpy(want + 10, "\r\n", 2);
	is_same = r == (ssize_t)w->n_copy && memcmp(want, got, w->n_copy) == 0;
	if (fd >= 0)
		close(fd);
	free(want);
	free(got);
	return n->record.has_copy && is_same;
}

/* The server has a copy that is whole: the chain names it. */
static bool
is_whole(struct fixture *f, void *arg)
{
	static const char script[] = "local n=0 for _,k in ipairs("
	    "redis.call('KEYS','hopseal:ac:*')) do for _,h in ipairs("
	    "redis.call('HKEYS',k)) do if string.sub(h,1,1)=='c' then n=n+1 "
	    "end end end return n";
	struct bytes args[] = {BYTES_LIT("EVAL"), bytes_of(script),
	    BYTES_LIT("0")};
	struct redis_command c = {.script = -1, .args = args, .n_args = 3,
	    .wait_ms = 30 * 1000, .answer = on_said, .arg = f};

	(void)arg;
	if (f->is_over && f->integer > 0)
		return true;
	if (f->is_over && redis_is_up(f->redis)) {
		f->is_over = false;
		assert_int_equal(redis_ask(f->redis, &c), 0);
	}
	return false;
}

static void
wait_whole(struct fixture *f)
{
	f->is_over = true;
	f->integer = 0;
	until(f, is_whole, NULL);
}

static bool
is_dropped(struct fixture *f, void *arg)
{
	struct bytes args[] = {BYTES_LIT("KEYS"), BYTES_LIT("hopseal:ab:*")};
	struct redis_command c = {.script = -1, .args = args, .n_args = 2,
	    .wait_ms = 30 * 1000, .answer = on_said, .arg = f};
	int64_t *want = arg;

	if (f->is_over && f->integer == *want)
		return true;
	if (f->is_over && redis_is_up(f->redis)) {
		f->is_over = false;
		assert_int_equal(redis_ask(f->redis, &c), 0);
	}
	return false;
}

/* Until the server has the octets of so many copies. */
static void
wait_copies(struct fixture *f, int64_t n)
{
	f->is_over = true;
	f->integer = -1;
	until(f, is_dropped, &n);
}

/* ---- the way there -------------------------------------------------------- */

static void
a_copy_comes_along(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;

	NEEDS_SERVER(f);
	kept(a, &brief);
	wait_whole(f);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_int_equal(b->n_coming, 1);
	assert_true(has_copy(b, &brief));
	/* it is here now, and was there all the time */
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_int_equal(b->n_coming, 1);
	assert_true(has_copy(b, &brief));
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	assert_int_equal(a->n_coming, 0);
	assert_true(has_copy(a, &brief));
	say(f, "GET hopseal:an");
	assert_int_equal(atoi(f->text), SHORT);
}

/* Asked for while it is on its way to the server. */
static void
one_on_its_way_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;

	NEEDS_SERVER(f);
	kept(a, &large);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	assert_int_equal(a->n_coming, 0);
	assert_true(has_copy(a, &large));
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_int_equal(b->n_coming, 1);
	assert_true(has_copy(b, &large));
}

/* Whoever had it is gone before the server had all of it. */
static void
one_that_does_not_come_is_none(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct memory_request q = request(MEMORY_OP_FIND_CHAIN, 'c');

	NEEDS_SERVER(f);
	kept(a, &large);
	stop_node(a);
	b->n_told = 0;
	shared_take(b->shared, 1, &q, (struct bytes){NULL, 0});
	while (b->n_coming == 0 && b->n_told == 0)
		say(f, "PING");
	assert_int_equal(b->n_told, 0);
	ahead_s = SHARED_PENDING_S + 60;
	until(f, is_told, b);
	assert_int_equal(b->status, ARRIVAL_FOUND);
	assert_false(b->record.has_copy);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_int_equal(b->n_coming, 1);
	assert_false(b->record.has_copy);
}

static void
remove_files(const struct node *n)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -f %s/" COPIES_NAME "/*",
	    n->folder);
	assert_int_equal(system(command), 0);
}

/* The server has written a record, and its answer came too late: the worker
 * took it for an outage and removed the copy, for which nobody waits then. */
static void
that_of_a_record_answered_late_is_none(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct write again = brief;

	NEEDS_SERVER(f);
	is_hasty = true;
	kill(f->pid, SIGSTOP);
	assert_int_equal(write_one(a, &brief), ARRIVAL_OUT);
	remove_files(a);
	kill(f->pid, SIGCONT);
	is_hasty = false;
	until(f, is_ready, a);
	until(f, is_ready, b);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_false(b->record.has_copy);
	/* and the next one has its own */
	again.name = '2';
	kept(a, &again);
	wait_whole(f);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &again));
}

/* A keeper that was started again has the file, and does not know. */
static void
what_was_on_its_way_is_sent_again(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;

	NEEDS_SERVER(f);
	kept(a, &large);
	stop_node(a);
	start_node(a);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(a, &large));
	wait_whole(f);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &large));
}

/* Two of this machine at a time, and both machines. */
static void
many_may_ask_at_once(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct memory_request q = request(MEMORY_OP_FIND_CHAIN, 'c');

	NEEDS_SERVER(f);
	kept(a, &large);
	wait_whole(f);
	for (int k = 0; k < 3; k++)
		shared_take(b->shared, 1, &q, (struct bytes){NULL, 0});
	a->n_told = b->n_told = 0;
	while (b->n_told < 3)
		say(f, "PING");
	assert_true(has_copy(b, &large));
	assert_int_equal(b->n_coming, 3);
	assert_int_equal(n_files(b), 1);
}

/* ---- what it is worth ---------------------------------------------------- */

static void
a_damaged_one_is_none(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;

	NEEDS_SERVER(f);
	kept(a, &brief);
	wait_whole(f);
	say_of(f, "SETRANGE", "hopseal:ab:*", " 300000 x");
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_false(b->record.has_copy);
	assert_int_equal(n_files(b), 0);
	wait_copies(f, 0);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_false(b->record.has_copy);
	assert_int_equal(b->n_coming, 1);
}

static void
one_that_is_gone_is_none(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct write second = brief;

	NEEDS_SERVER(f);
	kept(a, &brief);
	wait_whole(f);
	say_of(f, "DEL", "hopseal:ab:*", "");
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_false(b->record.has_copy);
	/* then that of the next write counts */
	second.name = '2';
	kept(a, &second);
	wait_whole(f);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &brief));
}

static void
one_copy_of_a_content_is_kept(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct write second = brief, other = brief;

	NEEDS_SERVER(f);
	second.name = '2';
	kept(a, &brief);
	kept(a, &second);	/* while the first is on its way, or not */
	wait_whole(f);
	assert_int_equal(n_files(a), 1);
	second.name = '3';
	kept(b, &second);
	assert_int_equal(n_files(b), 0);
	assert_int_equal(n_keys(f, "hopseal:ab:*"), 1);
	other.name = '4';
	other.content = 'y';
	kept(b, &other);
	wait_copies(f, 2);
	assert_int_equal(n_files(b), 1);
	/* the last of its records takes it along */
	second.name = '2';
	take_back(b, &second);
	second.name = '3';
	take_back(b, &second);
	assert_int_equal(n_keys(f, "hopseal:ab:*"), 2);
	take_back(a, &brief);
	wait_copies(f, 1);
	assert_int_equal(n_files(a), 0);
	say(f, "GET hopseal:an");
	assert_int_equal(atoi(f->text), SHORT);
	take_back(b, &other);
	wait_copies(f, 0);
	say(f, "GET hopseal:an");
	assert_int_equal(atoi(f->text), 0);
}

/* The two of one content at once, from two machines. */
static void
the_first_that_is_whole_counts(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct write second = large;

	NEEDS_SERVER(f);
	second.name = '2';
	kept(a, &large);
	kept(b, &second);
	wait_whole(f);
	wait_copies(f, 1);
	assert_int_equal(n_files(a) + n_files(b), 1);
	assert_int_equal(find_chain(a, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(a, &large));
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &large));
}

/* ---- bounds -------------------------------------------------------------- */

static void
copies_have_room_of_their_own(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct write w = brief;

	NEEDS_SERVER(f);
	stop_node(a);
	f->limits.arrival_size = 2 * SHORT + 10;
	start_node(a);
	for (char k = 0; k < 3; k++) {
		w.name = w.chain = w.message = w.content = (char)('a' + k);
		ahead_s += 10;
		kept(a, &w);
		wait_copies(f, k < 2 ? k + 1 : 2);
		do
			say(f, "GET hopseal:an");
		while (atoi(f->text) != (k == 0 ? 1 : 2) * (int)SHORT);
	}
	ahead_s += SHARED_PENDING_S + 60;	/* whatever is on its way */
	while (find_chain(b, 'c') != ARRIVAL_FOUND || !b->record.has_copy)
		continue;
	w.content = 'c';
	assert_true(has_copy(b, &w));
	/* the oldest had to go for it, its record did not */
	assert_int_equal(find_chain(b, 'a'), ARRIVAL_FOUND);
	assert_false(b->record.has_copy);
	/* one that is larger than all is not kept */
	w = large;
	w.chain = w.content = 'L';
	w.name = 'L';
	kept(a, &w);
	assert_int_equal(find_chain(b, 'L'), ARRIVAL_FOUND);
	assert_false(b->record.has_copy);
	assert_int_equal(n_keys(f, "hopseal:ab:*"), 2);
}

static void
a_full_disk_is_no_copy(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	const struct rlimit few = {SHARED_PIECE + 1, RLIM_INFINITY};
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	NEEDS_SERVER(f);
	kept(a, &brief);
	wait_whole(f);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	assert_false(b->record.has_copy);
	assert_int_equal(n_files(b), 0);
	/* the server has it still */
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &brief));
}

/* ---- the server goes ----------------------------------------------------- */

static void
a_lost_connection_is_taken_up(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	int64_t at;

	NEEDS_SERVER(f);
	kept(a, &large);
	wait_copies(f, 1);		/* a piece is there */
	say(f, "CLIENT KILL TYPE normal SKIPME yes");
	assert_true(f->integer >= 2);
	say_of(f, "STRLEN", "hopseal:ab:*", "");
	at = f->integer;
	assert_true(at > 0 && at < (int64_t)LONG);
	wait_whole(f);
	until(f, is_ready, b);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &large));
}

static void
octets_that_are_lost_are_sent_again(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;

	NEEDS_SERVER(f);
	kept(a, &large);
	wait_copies(f, 1);
	say_of(f, "DEL", "hopseal:ab:*", "");
	assert_int_equal(f->integer, 1);
	wait_whole(f);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &large));
}

/* It comes back with nothing, in the middle of it. */
static void
a_server_that_forgot_has_no_copy(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct write other = {'9', 'd', 'n', 'z', "<r@l.example>",
	    DKIM2_PASS, SHORT};

	NEEDS_SERVER(f);
	kept(a, &large);
	wait_copies(f, 1);
	kill_server(f);
	until(f, is_out, a);
	until(f, is_out, b);
	start_server(f);
	until(f, is_ready, a);
	until(f, is_ready, b);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_NONE);
	/* what comes next has its copy */
	kept(a, &other);
	wait_whole(f);
	assert_int_equal(find_chain(b, 'd'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &other));
	wait_copies(f, 1);		/* of the other nothing is left */
	assert_int_equal(n_files(a), 1);
}

/* Who waits is told at once, and finds it later. */
static void
who_waits_is_told_of_an_outage(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct memory_request q = request(MEMORY_OP_FIND_CHAIN, 'c');

	NEEDS_SERVER(f);
	kept(a, &large);
	wait_whole(f);
	b->n_told = 0;
	shared_take(b->shared, 1, &q, (struct bytes){NULL, 0});
	while (b->n_coming == 0)
		say(f, "PING");
	say(f, "CLIENT KILL TYPE normal SKIPME yes");
	until(f, is_told, b);
	assert_int_equal(b->status, ARRIVAL_OUT);
	until(f, is_ready, b);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &large));
}

static bool
has_no_files(struct fixture *f, void *arg)
{
	(void)f;
	return n_files(arg) == 0;
}

/* Whatever it says, a copy that is sent ends, and none comes that is not what
 * was sent. */
static void
P9_a_hostile_server_makes_no_copy(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;
	struct write w = brief;

	NEEDS_SERVER(f);
	kept(a, &brief);
	wait_whole(f);
	for (size_t k = 0; k < N_HOSTILE; k++) {
		struct memory_request q = request(MEMORY_OP_FIND_CHAIN, 'c');

		b->n_told = 0;
		shared_take(b->shared, 1, &q, (struct bytes){NULL, 0});
		hostile = &hostile_values[k];	/* behind the record */
		until(f, is_told, b);
		hostile = NULL;
		assert_true(b->status == ARRIVAL_FOUND ||
		    b->status == ARRIVAL_OUT);
		assert_false(b->record.has_copy);
		assert_int_equal(n_files(b), 0);
	}
	take_back(a, &brief);
	until(f, has_no_files, a);
	for (size_t k = 0; k < N_HOSTILE; k++) {
		uint8_t room[MEMORY_WRITE_MAX];
		struct memory_request q;
		struct bytes value;

		w.chain = w.message = w.content = w.name = (char)('A' + k);
		value = compose(a, &w, &q, room);
		a->n_told = 0;
		shared_take(a->shared, 1, &q, value);
		hostile = &hostile_values[k];	/* behind the record */
		until(f, is_told, a);
		assert_int_equal(a->status, ARRIVAL_KEPT);
		until(f, has_no_files, a);
		hostile = NULL;
	}
	/* and those that come next are what they are */
	kept(a, &brief);
	wait_whole(f);
	assert_int_equal(find_chain(b, 'c'), ARRIVAL_FOUND);
	assert_true(has_copy(b, &brief));
}

/* ---- files --------------------------------------------------------------- */

static void
make_old(const struct node *n, const char *name)
{
	const struct timespec old[2] = {{.tv_sec = time(NULL) - 86400},
	    {.tv_sec = time(NULL) - 86400}};

	assert_int_equal(utimensat(n->copies, name, old, 0), 0);
}

static void
make_all_old(const struct node *n)
{
	int fd = openat(n->copies, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	const struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			make_old(n, e->d_name);
	closedir(d);
}

static bool
is_swept(struct fixture *f, void *arg)
{
	const struct node *n = arg;

	(void)f;
	return faccessat(n->copies, "old", F_OK, 0) != 0;
}

/* Files are a cache, but for what the server does not have yet. A keeper that
 * starts sweeps in a second: one that did so before the file of a copy was old
 * is started again. */
static void
old_files_are_swept(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes;
	struct write w = large;		/* it is on its way for long */

	NEEDS_SERVER(f);
	do {
		if (f->pid == 0)
			start_server(f);
		stop_node(a);
		close(openat(a->copies, "old", O_CREAT | O_WRONLY, 0600));
		make_old(a, "old");
		start_node(a);
		w.chain = w.message = w.content = ++w.name;
		kept(a, &w);
		kill_server(f);
		make_all_old(a);
	} while (is_swept(f, a));
	until(f, is_swept, a);
	assert_int_equal(n_files(a), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(a_copy_comes_along),
		TEST(one_on_its_way_is_waited_for),
		TEST(one_that_does_not_come_is_none),
		TEST(that_of_a_record_answered_late_is_none),
		TEST(what_was_on_its_way_is_sent_again),
		TEST(many_may_ask_at_once),
		TEST(a_damaged_one_is_none),
		TEST(one_that_is_gone_is_none),
		TEST(one_copy_of_a_content_is_kept),
		TEST(the_first_that_is_whole_counts),
		TEST(copies_have_room_of_their_own),
		TEST(a_full_disk_is_no_copy),
		TEST(a_lost_connection_is_taken_up),
		TEST(octets_that_are_lost_are_sent_again),
		TEST(a_server_that_forgot_has_no_copy),
		TEST(who_waits_is_told_of_an_outage),
		TEST(P9_a_hostile_server_makes_no_copy),
		TEST(old_files_are_swept),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
