#include "daemon/store.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/err.h"
#include "daemon/log.h"
#include "tests/daemon/store_kit.h"

/* ---- what is kept, and for how long -------------------------------------- */

static void
entries_outlive_the_process(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_claim(k, 1, NOW), STORE_NEW);
	assert_int_equal(kit_claim(k, 2, NOW), STORE_NEW);
	assert_int_equal(kit_deliver(k, 2, NOW), 0);
	assert_int_equal(kit_deliver(k, 3, NOW), 0);	/* never claimed */
	kit_commit(k, NOW);
	store_free(&k->store);
	kit_open(k, NOW);
	assert_int_equal(kit_claim(k, 1, NOW), STORE_TRIED);
	assert_int_equal(kit_claim(k, 2, NOW), STORE_DELIVERED);
	assert_int_equal(kit_claim(k, 3, NOW), STORE_DELIVERED);
	assert_int_equal(kit_claim(k, 4, NOW), STORE_NEW);
}

static void
what_was_not_committed_is_not_there(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_deliver(k, 1, NOW), 0);
	store_free(&k->store);
	kit_open(k, NOW);
	assert_int_equal(kit_claim(k, 1, NOW), STORE_NEW);
}

static void
removed_is_removed(void **state)
{
	struct kit *k = *state;
	char room[32];
	struct store_entry e = kit_entry(1, room);

	assert_int_equal(kit_deliver(k, 1, NOW), 0);
	assert_int_equal(store_known(k->store, e.pair, NOW), 1);
	assert_int_equal(store_remove(k->store, e.key), 0);
	assert_int_equal(store_remove(k->store, e.key), 0);
	assert_int_equal(store_known(k->store, e.pair, NOW), 0);
	assert_int_equal(kit_claim(k, 1, NOW), STORE_NEW);
}

static void
kept_from_the_last_attempt(void **state)
{
	struct kit *k = *state;
	char room[32];
	uint64_t pair = kit_entry(1, room).pair;

	assert_int_equal(kit_deliver(k, 1, NOW), 0);
	kit_commit(k, NOW);
	assert_int_equal(kit_claim(k, 1, NOW + 7 * DAY - 1), STORE_DELIVERED);
	kit_commit(k, NOW);
	assert_int_equal(kit_claim(k, 1, NOW + 14 * DAY - 2),
	    STORE_DELIVERED);
	assert_int_equal(store_known(k->store, pair, NOW + 21 * DAY - 3), 1);
	assert_int_equal(store_known(k->store, pair, NOW + 21 * DAY), 0);
	assert_int_equal(kit_claim(k, 1, NOW + 21 * DAY), STORE_NEW);
}

static void
short_ones_are_kept_for_minutes(void **state)
{
	struct kit *k = *state;
	char room[32];
	struct store_entry e = kit_entry(1, room);
	enum store_fate fate;
	struct bytes value;

	e.is_short = true;
	assert_int_equal(store_deliver(k->store, &e, NOW), 0);
	assert_int_equal(store_known(k->store, e.pair, NOW + 899), 1);
	assert_int_equal(store_claim(k->store, &e, NOW + 899, &fate, &value),
	    0);
	assert_int_equal(fate, STORE_DELIVERED);
	assert_int_equal(store_known(k->store, e.pair, NOW + 899 + 900), 0);
	assert_int_equal(store_claim(k->store, &e, NOW + 899 + 900, &fate,
	    &value), 0);
	assert_int_equal(fate, STORE_NEW);
}

/* A device that says much to one recipient does not hide what is known now. */
static void
old_ones_hide_no_young_one(void **state)
{
	struct kit *k = *state;
	char room[32];
	struct store_entry e = kit_entry(0, room);
	uint64_t pair = e.pair;

	for (unsigned n = 0; n < 40; n++) {
		e = kit_entry(n, room);
		e.pair = pair;
		e.is_short = true;
		assert_int_equal(store_deliver(k->store, &e, NOW +
		    (n == 39 ? 3600 : 0)), 0);
	}
	assert_int_equal(store_known(k->store, pair, NOW + 3600), 1);
}

static void
the_old_are_dropped(void **state)
{
	struct kit *k = *state;
	char room[32];
	struct stat before, after;

	for (unsigned n = 0; n < 5000; n++)
		assert_int_equal(kit_deliver(k, n, NOW + n), 0);
	kit_commit(k, NOW + 5000);
	while (store_tick(k->store, NOW + 7 * DAY + 2500))
		;
	/* half of the octets are free, and used before the file grows */
	store_free(&k->store);
	assert_int_equal(stat(k->path, &before), 0);
	kit_open(k, NOW);
	for (unsigned n = 0; n < 2500; n++)
		assert_int_equal(kit_claim(k, n, NOW), STORE_NEW);
	kit_commit(k, NOW);
	store_free(&k->store);
	assert_int_equal(stat(k->path, &after), 0);
	assert_true(after.st_size <= before.st_size + before.st_size / 8);
	kit_open(k, NOW);
	assert_int_equal(store_known(k->store, kit_entry(4000, room).pair,
	    NOW + 5000), 1);
	assert_int_equal(kit_claim(k, 2501, NOW + 5000), STORE_DELIVERED);
}

static void
the_oldest_give_way_to_the_size(void **state)
{
	struct kit *k = *state;
	char room[32];
	struct stat st;
	unsigned n = 0;

	k->limits.size = 1 << 20;
	store_free(&k->store);
	kit_open(k, NOW);
	for (; n < 40000; n++) {
		assert_int_equal(kit_deliver(k, n, NOW + n), 0);
		if (n % 100 == 0) {
			/* this one is tried again and again */
			assert_int_equal(kit_claim(k, 0, NOW + n),
			    STORE_DELIVERED);
			kit_commit(k, NOW + n);
		}
	}
	kit_commit(k, NOW + n);
	assert_int_equal(kit_claim(k, 0, NOW + n), STORE_DELIVERED);
	assert_int_equal(kit_claim(k, n - 1, NOW + n), STORE_DELIVERED);
	assert_int_equal(kit_claim(k, n - 2000, NOW + n), STORE_DELIVERED);
	assert_int_equal(store_known(k->store, kit_entry(2, room).pair,
	    NOW + n), 0);
	assert_int_equal(kit_claim(k, 2, NOW + n), STORE_NEW);
	kit_commit(k, NOW + n);
	store_free(&k->store);
	assert_int_equal(stat(k->path, &st), 0);
	/* one turn may be above it */
	assert_in_range(st.st_size, 1 << 19, (1 << 20) + (1 << 17));
	kit_open(k, NOW + n);
}

static void
a_smaller_size_is_reached_step_by_step(void **state)
{
	struct kit *k = *state;
	unsigned n = 0, turns = 0;

	for (; n < 20000; n++)
		assert_int_equal(kit_deliver(k, n, NOW), 0);
	kit_commit(k, NOW);
	k->limits.size = 1 << 19;
	store_free(&k->store);
	kit_open(k, NOW);
	assert_int_equal(kit_claim(k, 10000, NOW), STORE_DELIVERED);
	kit_commit(k, NOW);
	for (; kit_claim(k, 10000, NOW) == STORE_DELIVERED; turns++) {
		assert_int_equal(kit_deliver(k, n++, NOW), 0);
		kit_commit(k, NOW);
		assert_true(turns < 100);
	}
	assert_in_range(turns, 1, 10);
	assert_int_equal(kit_claim(k, n - 1000, NOW), STORE_DELIVERED);
}

/* A clock that was wrong neither keeps entries for ever nor blocks others. */
static void
clock_steps(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_deliver(k, 1, NOW + 1000 * DAY), 0);
	kit_commit(k, NOW + 1000 * DAY);
	/* back again, a little: still known */
	assert_int_equal(kit_claim(k, 1, NOW + 1000 * DAY - 3000),
	    STORE_DELIVERED);
	/* that moved it to the new time */
	assert_int_equal(kit_claim(k, 1, NOW + 1000 * DAY - 6000),
	    STORE_DELIVERED);
	kit_commit(k, NOW);
	/* back again, far: forgotten, and it holds nothing up behind it */
	assert_int_equal(kit_deliver(k, 2, NOW), 0);
	kit_commit(k, NOW);
	while (store_tick(k->store, NOW + 8 * DAY))
		;
	assert_int_equal(kit_claim(k, 1, NOW + 8 * DAY), STORE_NEW);
	assert_int_equal(kit_claim(k, 2, NOW + 8 * DAY), STORE_NEW);
	/* forward: everything is too old, and that is all */
	assert_int_equal(kit_claim(k, 1, NOW + 4000 * DAY), STORE_NEW);
	assert_int_equal(kit_deliver(k, 1, NOW + 4000 * DAY), 0);
	assert_int_equal(kit_claim(k, 1, NOW + 4000 * DAY), STORE_DELIVERED);
	/* before 1970 */
	assert_int_equal(kit_claim(k, 7, -5 * DAY), STORE_NEW);
	assert_int_equal(kit_claim(k, 7, -4 * DAY), STORE_TRIED);
	kit_commit(k, NOW);
}

/* ---- files that are not what they were ----------------------------------- */

#define TRIED 16U		/* entries 0 to 15 */
#define DELIVERED 32U		/* and up to here */
#define ALL 48U			/* the others were never there */

static void
fill(struct kit *k)
{
	for (unsigned n = 0; n < TRIED; n++)
		assert_int_equal(kit_claim(k, n, NOW), STORE_NEW);
	for (unsigned n = TRIED; n < DELIVERED; n++)
		assert_int_equal(kit_deliver(k, n, NOW), 0);
	kit_commit(k, NOW);
}

/*
 * Whatever the file says: nothing is taken for delivered that was not, and
 * after the turns that meet the damage everything works.
 */
static void
check_damaged(struct kit *k)
{
	bool is_good = false;

	kit_open(k, NOW);
	for (unsigned n = 0; n < ALL; n++)
		if (kit_claim(k, n, NOW) == STORE_DELIVERED)
			assert_in_range(n, TRIED, DELIVERED - 1);
	(void)store_tick(k->store, NOW);
	(void)store_commit(k->store, NOW);
	/* what no question has met yet is met by one of these */
	for (int turn = 0; turn < 3 && !is_good; turn++) {
		is_good = kit_deliver(k, ALL, NOW) == 0;
		is_good = store_commit(k->store, NOW) == 0 && is_good;
		is_good = is_good && kit_claim(k, ALL, NOW) == STORE_DELIVERED;
		is_good = store_commit(k->store, NOW) == 0 && is_good;
	}
	assert_true(is_good);
	store_free(&k->store);
}

/* Every octet that says something; of unused space now and then one. */
static bool
is_worth_it(const uint8_t *p, size_t n, size_t at)
{
	bool is_near = false;

	for (size_t k = at < 4 ? 0 : at - 4; k < n && k < at + 4; k++)
		is_near |= p[k] != 0;
	/* all of SQLite's own header, where zeros say something too */
	return is_near || at < 100 || at % 61 == 0 || getenv("LONG") != NULL;
}

static void
v9_flipped_octets_are_no_deliveries(void **state)
{
	static uint8_t whole[65536], room[65536];
	struct kit *k = *state;
	size_t n, n_aside = 0, n_tried = 0;
	fill(k);
	store_free(&k->store);
	n = read_all(k->path, whole, sizeof(whole));
	assert_true(n >= 4 * 4096);
	for (size_t at = 0; at < n; at++) {
		if (!is_worth_it(whole, n, at))
			continue;
		memcpy(room, whole, n);
		room[at] ^= (uint8_t)(1U << (at % 8) | 0x40);
		write_all(k->path, room, n);
		check_damaged(k);
		n_tried++;
		n_aside += exists(k, "store.db.damaged");
		unlink_aside(k);
	}
	print_message("%zu octets flipped, %zu files set aside\n", n_tried,
	    n_aside);
	assert_true(n_aside > 1000);
	kit_open(k, NOW);
}

/* The log beside the file, as a dead process leaves it. */
static void
v9_flipped_octets_of_the_log(void **state)
{
	static uint8_t whole[1 << 20], room[1 << 20];
	struct kit *k = *state;
	char log[128];
	size_t n, step;

	fill(k);
	snprintf(log, sizeof(log), "%s-wal", k->path);
	n = read_all(log, whole, sizeof(whole));
	assert_true(n > 4096);
	store_free(&k->store);
	step = getenv("LONG") != NULL ? 1 : 37;
	for (size_t at = 0; at < n; at += step) {
		memcpy(room, whole, n);
		room[at] ^= 0x11;
		unlink(k->path);
		write_all(k->path, room, 0);
		write_all(log, room, n);
		check_damaged(k);
	}
	kit_open(k, NOW);
}

static void
v9_a_truncated_file_is_begun_anew(void **state)
{
	static uint8_t whole[65536];
	struct kit *k = *state;
	size_t n;

	fill(k);
	store_free(&k->store);
	n = read_all(k->path, whole, sizeof(whole));
	for (size_t to = 0; to < n; to += 509) {
		write_all(k->path, whole, to);
		check_damaged(k);
	}
	kit_open(k, NOW);
}

static void
v9_foreign_files_are_set_aside(void **state)
{
	struct kit *k = *state;

	store_free(&k->store);
	write_all(k->path, (const uint8_t *)"not a store, but long enough to "
	    "be looked at as one, which it is not: it is but this line of "
	    "text that somebody left here\n", 110);
	check_damaged(k);
	assert_true(exists(k, "store.db.damaged"));
	/* SQLite's, but not ours */
	unlink(k->path);
	sql(k, "CREATE TABLE entry (id INTEGER PRIMARY KEY, key BLOB)");
	check_damaged(k);
	/* ours, and something beside it */
	sql(k, "CREATE TABLE other (id)");
	unlink_aside(k);
	check_damaged(k);
	assert_true(exists(k, "store.db.damaged"));
	sql(k, "CREATE TRIGGER t AFTER INSERT ON entry BEGIN UPDATE entry "
	    "SET kind = 1; END");
	check_damaged(k);
	kit_open(k, NOW);
}

/* A row that another store, or somebody's hand, made. */
static void
v9_rows_of_others_are_no_deliveries(void **state)
{
	struct kit *k = *state;

	fill(k);
	store_free(&k->store);
	memset(k->secret, 1, sizeof(k->secret));
	check_damaged(k);
	assert_true(exists(k, "store.db.damaged"));
	kit_open(k, NOW);
}

static void
v9_a_folder_in_its_place(void **state)
{
	struct kit *k = *state;

	store_free(&k->store);
	assert_int_equal(unlink(k->path), 0);
	assert_int_equal(mkdir(k->path, 0700), 0);
	kit_open(k, NOW);
	assert_int_equal(kit_claim(k, 1, NOW), -E_SYSTEM);
	assert_int_equal(store_commit(k->store, NOW), -E_SYSTEM);
	/* and when it is gone, all is well */
	assert_int_equal(rmdir(k->path), 0);
	(void)store_tick(k->store, NOW);
	assert_int_equal(kit_claim(k, 1, NOW), STORE_NEW);
	kit_commit(k, NOW);
}

/* ---- systems that fail --------------------------------------------------- */

static void
fill_disk(struct kit *k)
{
	struct rlimit r;
	unsigned n = 0;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = 256 * 1024;
	setrlimit(RLIMIT_FSIZE, &r);
	kit_open(k, NOW);
	for (;;) {
		for (unsigned end = n + 50; n < end; n++)
			(void)kit_deliver(k, n, NOW);
		if (store_commit(k->store, NOW) != 0)
			break;
		if (n > 1000000)
			_exit(1);
	}
	/* nothing of that turn, all of those before */
	if (kit_claim(k, n - 51, NOW) != STORE_DELIVERED)
		_exit(2);
	(void)store_commit(k->store, NOW);
	r.rlim_cur = 0;
	setrlimit(RLIMIT_FSIZE, &r);
	for (int round = 0; round < 10; round++) {
		(void)kit_deliver(k, n, NOW);
		if (store_commit(k->store, NOW) == 0)
			_exit(3);
	}
	/* there is room again: it goes on */
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_FSIZE, &r);
	(void)store_tick(k->store, NOW);
	if (kit_deliver(k, n, NOW) != 0 || store_commit(k->store, NOW) != 0)
		_exit(4);
	if (kit_claim(k, 0, NOW) != STORE_DELIVERED)
		_exit(5);
}

static void
v9_a_full_disk_fails_the_turn_alone(void **state)
{
	struct kit *k = *state;

	in_child(k, fill_disk);
	assert_false(exists(k, "store.db.damaged"));
}

static void
be_nobody(struct kit *k)
{
	if (setuid(65534) != 0)
		_exit(1);
	kit_open(k, NOW);
	if (kit_claim(k, 1, NOW) >= 0 && store_commit(k->store, NOW) == 0)
		_exit(2);
	if (store_secret(k->folder, k->secret) != -E_SYSTEM)
		_exit(3);
}

static void
v9_a_folder_that_can_not_be_written(void **state)
{
	struct kit *k = *state;

	if (geteuid() != 0) {
		print_message("SKIP a folder that is not ours needs root\n");
		skip();
	}
	in_child(k, be_nobody);
	assert_int_equal(chmod(k->folder, 0755), 0);
	in_child(k, be_nobody);
}

/* Writes until it is killed, and says what is committed. */
static void
write_on(struct kit *k, unsigned from, int to)
{
	kit_open(k, NOW);
	for (unsigned n = from;; n++) {
		if (kit_claim(k, n, NOW) != STORE_NEW ||
		    kit_deliver(k, n, NOW) != 0)
			_exit(1);
		if (n % 3 == 0) {
			if (store_commit(k->store, NOW) != 0)
				_exit(2);
			if (write(to, &n, sizeof(n)) != sizeof(n))
				_exit(3);
		}
	}
}

static void
v9_kills_lose_nothing_that_was_committed(void **state)
{
	struct kit *k = *state;
	int rounds = getenv("LONG") != NULL ? 300 : 15;
	unsigned n = 0, from = 0;

	for (int round = 0; round < rounds; round++) {
		unsigned wanted = 1 + (unsigned)random() % 300;
		int pair[2], status;
		pid_t pid;

		store_free(&k->store);
		assert_int_equal(pipe(pair), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			write_on(k, from, pair[1]);
		close(pair[1]);
		for (unsigned at = 0; at < wanted; at++)
			assert_int_equal(read(pair[0], &n, sizeof(n)),
			    sizeof(n));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		while (read(pair[0], &n, sizeof(n)) == sizeof(n))
			;
		close(pair[0]);
		kit_open(k, NOW);
		for (unsigned at = from; at <= n; at++)
			assert_int_equal(kit_claim(k, at, NOW),
			    STORE_DELIVERED);
		from = n + 100000;
	}
	assert_false(exists(k, "store.db.damaged"));
}

/* ---- the secret ---------------------------------------------------------- */

static void
secrets_are_made_once(void **state)
{
	struct kit *k = *state;
	uint8_t first[STORE_SECRET_SIZE], again[STORE_SECRET_SIZE];
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/store.key", k->folder);
	randombytes_buf(first, sizeof(first));
	memset(again, 0, sizeof(again));
	assert_int_equal(store_secret(k->folder, first), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(store_secret(k->folder, again), 0);
	assert_memory_equal(first, again, sizeof(first));
	/* others could have read it */
	assert_int_equal(chmod(path, 0644), 0);
	memset(again, 1, sizeof(again));
	assert_int_equal(store_secret(k->folder, again), 0);
	assert_memory_not_equal(first, again, sizeof(first));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* not whole, too long, a link, something else */
	assert_int_equal(truncate(path, 31), 0);
	assert_int_equal(store_secret(k->folder, first), 0);
	assert_int_equal(truncate(path, 33), 0);
	assert_int_equal(store_secret(k->folder, again), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, STORE_SECRET_SIZE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_int_equal(store_secret(k->folder, first), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(store_secret(k->folder, first), -E_SYSTEM);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, kit_start, kit_stop)
	const struct CMUnitTest tests[] = {
		TEST(entries_outlive_the_process),
		TEST(what_was_not_committed_is_not_there),
		TEST(removed_is_removed),
		TEST(kept_from_the_last_attempt),
		TEST(short_ones_are_kept_for_minutes),
		TEST(old_ones_hide_no_young_one),
		TEST(the_old_are_dropped),
		TEST(the_oldest_give_way_to_the_size),
		TEST(a_smaller_size_is_reached_step_by_step),
		TEST(clock_steps),
		TEST(v9_flipped_octets_are_no_deliveries),
		TEST(v9_flipped_octets_of_the_log),
		TEST(v9_a_truncated_file_is_begun_anew),
		TEST(v9_foreign_files_are_set_aside),
		TEST(v9_rows_of_others_are_no_deliveries),
		TEST(v9_a_folder_in_its_place),
		TEST(v9_a_full_disk_fails_the_turn_alone),
		TEST(v9_a_folder_that_can_not_be_written),
		TEST(v9_kills_lose_nothing_that_was_committed),
		TEST(secrets_are_made_once),
	};

	assert_true(sodium_init() >= 0);
	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
