#include "daemon/store.h"

#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>

#include "base/err.h"
#include "tests/daemon/store_kit.h"

/* ---- rows of some form --------------------------------------------------- */

struct wanted {
	struct store_arrival row;
	char value[200];
};

/* Row n: two by two they have a chain, three by three a message. */
static struct wanted
make(unsigned n)
{
	struct wanted w = {.row = {.time_s = NOW, .n_uses = 1 + n % 3,
	    .n_found = n, .copy_size = n % 2 == 0 ? 1000 + n : 0}};
	unsigned chain = n / 2, message = n / 3;

	memset(w.row.name, 'n', sizeof(w.row.name));
	memset(w.row.chain, 'c', sizeof(w.row.chain));
	memset(w.row.message, 'm', sizeof(w.row.message));
	memcpy(w.row.name, &n, sizeof(n));
	memcpy(w.row.chain, &chain, sizeof(chain));
	memcpy(w.row.message, &message, sizeof(message));
	if (n % 2 == 0)
		memset(w.row.copy, (int)(n + 1), sizeof(w.row.copy));
	snprintf(w.value, sizeof(w.value), "value of %u%*s", n, (int)(n % 50),
	    "");
	return w;
}

static int
put(struct kit *k, unsigned n, int64_t now_s)
{
	struct wanted w = make(n);

	w.row.time_s = now_s;
	w.row.value = bytes_of(w.value);
	return store_arrival_put(k->store, NULL, &w.row);
}

/* What a search has told, the numbers of rows in its order. */
struct heard {
	unsigned n, rows[64], most;
	struct store_arrival last;
	char value[200];
};

static bool
hear(void *arg, const struct store_arrival *row)
{
	struct heard *h = arg;
	unsigned n;
	struct wanted w;

	memcpy(&n, row->name, sizeof(n));
	w = make(n);
	/* whatever is told was kept as it is, but for what may change */
	assert_memory_equal(row->name, w.row.name, sizeof(w.row.name));
	assert_memory_equal(row->chain, w.row.chain, sizeof(w.row.chain));
	assert_memory_equal(row->message, w.row.message,
	    sizeof(w.row.message));
	assert_true(bytes_eq(row->value, bytes_of(w.value)));
	if (row->copy_size != 0)
		assert_memory_equal(row->copy, w.row.copy,
		    sizeof(w.row.copy));
	h->rows[h->n++] = n;
	h->last = *row;
	return h->n != h->most;
}

static struct heard
find(struct kit *k, enum store_arrival_by by, unsigned n, int64_t now_s)
{
	struct wanted w = make(n);
	struct heard h = {.n = 0};

	assert_int_equal(store_arrival_find(k->store, by,
	    by == STORE_BY_NAME ? w.row.name : by == STORE_BY_CHAIN ?
	    w.row.chain : w.row.message, now_s, 64, hear, &h), 0);
	return h;
}

static bool
is_there(struct kit *k, unsigned n)
{
	return find(k, STORE_BY_NAME, n, NOW).n == 1;
}

static size_t
dropped(struct kit *k)
{
	const uint8_t (*names)[STORE_KEY_SIZE];

	return store_arrival_dropped(k->store, &names);
}

/* ---- what is kept, and for how long -------------------------------------- */

static void
the_youngest_come_first(void **state)
{
	struct kit *k = *state;
	struct heard h;

	for (unsigned n = 0; n < 6; n++)
		assert_int_equal(put(k, n, NOW), 0);
	kit_commit(k, NOW);
	store_free(&k->store);
	kit_open(k, NOW);
	h = find(k, STORE_BY_CHAIN, 2, NOW);
	assert_int_equal(h.n, 2);
	assert_int_equal(h.rows[0], 3);
	assert_int_equal(h.rows[1], 2);
	assert_int_equal(h.last.copy_size, 1002);
	assert_int_equal(h.last.n_found, 2);
	assert_int_equal(h.last.n_uses, 3);
	assert_int_equal(h.last.time_s, NOW);
	h = find(k, STORE_BY_MESSAGE, 4, NOW);
	assert_int_equal(h.n, 3);
	assert_int_equal(h.rows[0], 5);
	assert_int_equal(h.rows[2], 3);
	h = find(k, STORE_BY_NAME, 4, NOW);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.rows[0], 4);
	assert_int_equal(find(k, STORE_BY_CHAIN, 8, NOW).n, 0);
	/* no more than is wanted */
	h = (struct heard){.most = 1};
	assert_int_equal(store_arrival_find(k->store, STORE_BY_MESSAGE,
	    make(4).row.message, NOW, 64, hear, &h), 0);
	assert_int_equal(h.n, 1);
	h = (struct heard){.n = 0};
	assert_int_equal(store_arrival_find(k->store, STORE_BY_MESSAGE,
	    make(4).row.message, NOW, 2, hear, &h), 0);
	assert_int_equal(h.n, 2);
	kit_commit(k, NOW);
}

static void
rows_change_in_their_place(void **state)
{
	struct kit *k = *state;
	struct wanted w = make(2);
	struct store_arrival now;
	struct heard h;

	for (unsigned n = 2; n < 4; n++)
		assert_int_equal(put(k, n, NOW), 0);
	h = find(k, STORE_BY_NAME, 2, NOW);
	now = h.last;
	now.n_found = 77;
	now.copy_size = 0;
	now.value = bytes_of(w.value);
	h.last.value = now.value;
	assert_int_equal(store_arrival_put(k->store, &h.last, &now), 0);
	kit_commit(k, NOW);
	h = find(k, STORE_BY_CHAIN, 2, NOW);
	assert_int_equal(h.n, 2);
	assert_int_equal(h.rows[1], 2);
	assert_int_equal(h.last.n_found, 77);
	assert_int_equal(h.last.copy_size, 0);
	assert_int_equal(store_arrival_remove(k->store, &h.last), 0);
	kit_commit(k, NOW);
	assert_false(is_there(k, 2));
	assert_true(is_there(k, 3));
	kit_commit(k, NOW);
}

static void
what_was_not_committed_is_not_there(void **state)
{
	struct kit *k = *state;

	assert_int_equal(put(k, 1, NOW), 0);
	store_free(&k->store);
	kit_open(k, NOW);
	assert_false(is_there(k, 1));
	kit_commit(k, NOW);
}

static void
they_have_an_age(void **state)
{
	struct kit *k = *state;

	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(put(k, n, NOW + n), 0);
	kit_commit(k, NOW);
	assert_int_equal(find(k, STORE_BY_CHAIN, 0, NOW + 7 * DAY - 1).n, 2);
	assert_int_equal(find(k, STORE_BY_CHAIN, 0, NOW + 7 * DAY).n, 1);
	assert_int_equal(find(k, STORE_BY_MESSAGE, 0, NOW + 7 * DAY + 1).n,
	    1);
	/* or a second write of it would not be known for that */
	assert_int_equal(find(k, STORE_BY_NAME, 0, NOW + 70 * DAY).n, 1);
	kit_commit(k, NOW);
	assert_int_equal(dropped(k), 0);
	assert_false(store_tick(k->store, NOW + 7 * DAY + 2));
	assert_int_equal(dropped(k), 2);	/* of 0 and 2 */
	assert_int_equal(dropped(k), 0);
	assert_false(is_there(k, 0));
	assert_false(is_there(k, 1));
	assert_false(is_there(k, 2));
	assert_true(is_there(k, 3));
	kit_commit(k, NOW);
	/* nor does one from the future hold anything up */
	assert_int_equal(put(k, 5, NOW + 100 * DAY), 0);
	assert_int_equal(find(k, STORE_BY_CHAIN, 5, NOW).n, 0);
	kit_commit(k, NOW);
}

static void
many_old_ones_go_step_by_step(void **state)
{
	struct kit *k = *state;
	int n_more = 0;

	for (unsigned n = 0; n < 1200; n++)
		assert_int_equal(put(k, n, NOW), 0);
	kit_commit(k, NOW);
	while (store_tick(k->store, NOW + 8 * DAY))
		n_more++;
	assert_int_equal(n_more, 2);
	assert_int_equal(dropped(k), 600);
	assert_false(is_there(k, 1199));
	kit_commit(k, NOW);
}

/* Copies give way before records do, the oldest first, and neither to what
 * was delivered. */
static void
they_have_a_size(void **state)
{
	struct kit *k = *state;
	unsigned n_copies = 0, n_rows = 0;
	uint64_t octets = 0;

	store_free(&k->store);
	k->limits.arrival_size = 200000;
	kit_open(k, NOW);
	assert_int_equal(kit_deliver(k, 1, NOW), 0);
	for (unsigned n = 0; n < 300; n++) {
		assert_int_equal(put(k, n, NOW), 0);
		kit_commit(k, NOW);
	}
	for (unsigned n = 0; n < 300; n++) {
		struct heard h = find(k, STORE_BY_NAME, n, NOW);

		n_rows += h.n;
		octets += h.last.copy_size;
		if (h.last.copy_size != 0)
			n_copies++;
		else
			assert_true(n % 2 == 1 || n_copies == 0);
	}
	assert_int_equal(n_rows, 300);
	assert_in_range(n_copies, 20, 149);
	assert_int_equal(dropped(k), 150 - n_copies);
	assert_in_range(octets, 1, 200000);
	/* a size that records alone are past */
	for (unsigned n = 300; n < 900; n++)
		assert_int_equal(put(k, n, NOW), 0);
	kit_commit(k, NOW);
	n_rows = 0;
	for (unsigned n = 0; n < 900; n++)
		n_rows += find(k, STORE_BY_NAME, n, NOW).n;
	assert_in_range(n_rows, 300, 899);
	assert_false(is_there(k, 0));
	assert_true(is_there(k, 899));
	assert_int_equal(find(k, STORE_BY_NAME, 898, NOW).last.copy_size, 0);
	assert_int_equal(kit_claim(k, 1, NOW), STORE_DELIVERED);
	kit_commit(k, NOW);
	/* counted anew it is the same */
	store_free(&k->store);
	kit_open(k, NOW);
	assert_int_equal(kit_deliver(k, 2, NOW), 0);
	kit_commit(k, NOW);
	assert_int_equal(dropped(k), 0);
	assert_true(is_there(k, 899));
	kit_commit(k, NOW);
}

/* Nor do deliveries give way to arrivals. */
static void
deliveries_have_their_own_size(void **state)
{
	struct kit *k = *state;

	store_free(&k->store);
	k->limits.size = 1 << 20;
	k->limits.arrival_size = 16 << 20;
	kit_open(k, NOW);
	for (unsigned n = 0; n < 1000; n++)
		assert_int_equal(kit_deliver(k, n, NOW), 0);
	kit_commit(k, NOW);
	for (unsigned n = 0; n < 6000; n++) {
		assert_int_equal(put(k, n, NOW), 0);
		if (n % 100 == 0)
			kit_commit(k, NOW);
	}
	kit_commit(k, NOW);
	for (unsigned n = 0; n < 1000; n++)
		assert_int_equal(kit_claim(k, n, NOW), STORE_DELIVERED);
	assert_true(is_there(k, 0));
	kit_commit(k, NOW);
}

/* Long values count for what they take; counted anew they are the same. */
static void
long_values_are_counted(void **state)
{
	static char value[STORE_ARRIVAL_VALUE_MAX];
	struct kit *k = *state;
	unsigned n_rows[2] = {0, 0};

	store_free(&k->store);
	k->limits.size = 1 << 20;
	k->limits.arrival_size = 4 << 20;
	kit_open(k, NOW);
	assert_int_equal(kit_deliver(k, 1, NOW), 0);
	memset(value, 'v', sizeof(value));
	for (unsigned n = 0; n < 400; n++) {
		struct wanted w = make(2 * n + 1);

		w.row.value = (struct bytes){(uint8_t *)value, sizeof(value)};
		assert_int_equal(store_arrival_put(k->store, NULL, &w.row), 0);
		kit_commit(k, NOW);
	}
	for (int round = 0; round < 2; round++) {
		sqlite3 *db;
		sqlite3_stmt *q;

		store_free(&k->store);
		assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM "
		    "arrival", -1, &q, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(q), SQLITE_ROW);
		n_rows[round] = (unsigned)sqlite3_column_int(q, 0);
		sqlite3_finalize(q);
		sqlite3_close(db);
		kit_open(k, NOW);
		assert_int_equal(kit_claim(k, 1, NOW), STORE_DELIVERED);
		kit_commit(k, NOW);
	}
	assert_int_equal(n_rows[0], n_rows[1]);
	assert_in_range(n_rows[0], (4U << 20) / (18432 + 4096 + 320) - 1,
	    (4U << 20) / (18432 + 4096));
}

/* What a turn that failed dropped is still there. */
static void
fail_turns(struct kit *k)
{
	struct rlimit r;
	const uint8_t (*names)[STORE_KEY_SIZE];
	struct wanted w = make(0);

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &r);
	kit_open(k, NOW);
	for (unsigned n = 0; n < 20; n++)
		if (put(k, n, NOW) != 0)
			_exit(1);
	if (store_commit(k->store, NOW) != 0)
		_exit(2);
	r.rlim_cur = 0;
	setrlimit(RLIMIT_FSIZE, &r);
	for (unsigned round = 0; round < 5; round++) {
		store_arrival_drop_copy(k->store, w.row.copy);
		if (put(k, 20, NOW) == 0 && store_commit(k->store, NOW) == 0)
			_exit(3);
		(void)store_commit(k->store, NOW);
		if (store_arrival_dropped(k->store, &names) != 0)
			_exit(4);
	}
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_FSIZE, &r);
	(void)store_tick(k->store, NOW);
	if (put(k, 20, NOW) != 0 || store_commit(k->store, NOW) != 0)
		_exit(5);
	if (store_arrival_has_copy(k->store, w.row.copy) != 1)
		_exit(6);
}

static void
a_full_disk_fails_the_turn_alone(void **state)
{
	struct kit *k = *state;

	in_child(k, fail_turns);
	assert_false(exists(k, "store.db.damaged"));
	assert_true(is_there(k, 0));
	assert_true(is_there(k, 20));
	kit_commit(k, NOW);
}

/* ---- files that are not what they were ----------------------------------- */

#define ROWS 24U

static void
check_damaged(struct kit *k)
{
	bool is_good = false;

	kit_open(k, NOW);
	for (unsigned n = 0; n < ROWS + 8; n++) {
		struct wanted w = make(n);
		struct heard h = {.n = 0};

		/* hear() asserts that each is one of ours */
		(void)store_arrival_find(k->store, STORE_BY_NAME, w.row.name,
		    NOW, 64, hear, &h);
		h.n = 0;
		(void)store_arrival_find(k->store, STORE_BY_CHAIN,
		    w.row.chain, NOW, 64, hear, &h);
		h.n = 0;
		(void)store_arrival_find(k->store, STORE_BY_MESSAGE,
		    w.row.message, NOW, 64, hear, &h);
		(void)store_arrival_has_copy(k->store, w.row.copy);
	}
	(void)store_commit(k->store, NOW);
	(void)store_tick(k->store, NOW + 8 * DAY);
	for (int turn = 0; turn < 4 && !is_good; turn++) {
		is_good = put(k, ROWS + 1, NOW) == 0;
		is_good = store_commit(k->store, NOW) == 0 && is_good;
	}
	assert_true(is_good);
	store_free(&k->store);
}

static void
flipped_octets_are_no_records(void **state)
{
	static uint8_t whole[131072], room[131072];
	struct kit *k = *state;
	size_t n, n_aside = 0, n_tried = 0;

	for (unsigned at = 0; at < ROWS; at++)
		assert_int_equal(put(k, at, NOW), 0);
	kit_commit(k, NOW);
	store_free(&k->store);
	n = read_all(k->path, whole, sizeof(whole));
	assert_true(n >= 8 * 4096);
	for (size_t at = 0; at < n; at++) {
		bool is_near = at % 61 == 0;

		for (size_t near = at < 3 ? 0 : at - 3; near < at + 3 &&
		    near < n; near++)
			is_near |= whole[near] != 0;
		if (!is_near || (at % 3 != 0 && getenv("LONG") == NULL))
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
	assert_true(n_aside > 300);
	kit_open(k, NOW);
}

static void
rows_of_others_are_none(void **state)
{
	static const char *const texts[] = {
		"UPDATE arrival SET found = found + 1",
		"UPDATE arrival SET uses = -1",
		"UPDATE arrival SET size = size + 1",
		"UPDATE arrival SET time = time + 1",
		"UPDATE arrival SET copy = zeroblob(16)",
		"UPDATE arrival SET copy = zeroblob(15)",
		"UPDATE arrival SET message = zeroblob(16)",
		"UPDATE arrival SET value = zeroblob(20000)",
		"UPDATE arrival SET value = 'text'",
		"UPDATE arrival SET seal = 0",
		"UPDATE arrival SET chain = (SELECT chain FROM arrival "
		    "ORDER BY id DESC LIMIT 1)",
		"UPDATE arrival SET size = 9000000000000000000",
		"UPDATE arrival SET id = 9000000000000000000 WHERE id = 1",
		"DROP INDEX arrival_by_copy",
		"DROP INDEX arrival_by_copy; CREATE INDEX arrival_by_copy ON "
		    "arrival (copy)",
		"DROP TABLE arrival",
		"CREATE TRIGGER t AFTER INSERT ON arrival BEGIN UPDATE "
		    "arrival SET found = 0; END",
	};
	struct kit *k = *state;

	for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
		for (unsigned at = 0; at < 4; at++)
			assert_int_equal(put(k, at, NOW), 0);
		kit_commit(k, NOW);
		store_free(&k->store);
		sql(k, texts[t]);
		check_damaged(k);
		/* without a table nobody can tell that there was one */
		assert_int_equal(exists(k, "store.db.damaged"),
		    strncmp(texts[t], "DROP TABLE", 10) != 0);
		unlink_aside(k);
		unlink(k->path);
		kit_open(k, NOW);
	}
}

/* A file of before: what it knows of deliveries stays. */
static void
an_older_file_is_filled_up(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_deliver(k, 1, NOW), 0);
	kit_commit(k, NOW);
	store_free(&k->store);
	sql(k, "DROP TABLE arrival");
	kit_open(k, NOW);
	assert_false(exists(k, "store.db.damaged"));
	assert_int_equal(kit_claim(k, 1, NOW), STORE_DELIVERED);
	assert_int_equal(put(k, 1, NOW), 0);
	kit_commit(k, NOW);
	assert_true(is_there(k, 1));
	kit_commit(k, NOW);
}

/* Writes until it is killed, and says what is committed. */
static void
write_on(struct kit *k, unsigned from, int to)
{
	kit_open(k, NOW);
	for (unsigned n = from;; n++) {
		if (put(k, n, NOW) != 0)
			_exit(1);
		if (n % 3 == 0 && (store_commit(k->store, NOW) != 0 ||
		    write(to, &n, sizeof(n)) != sizeof(n)))
			_exit(2);
	}
}

static void
kills_lose_nothing_that_was_committed(void **state)
{
	struct kit *k = *state;
	unsigned n = 0, from = 0;

	for (int round = 0; round < 8; round++) {
		unsigned wanted = 1 + (unsigned)random() % 100;
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
		while (read(pair[0], &n, sizeof(n)) == sizeof(n))
			;
		close(pair[0]);
		kit_open(k, NOW);
		for (unsigned at = from; at <= n; at++)
			assert_true(is_there(k, at));
		kit_commit(k, NOW);
		from = n + 100000;
	}
	assert_false(exists(k, "store.db.damaged"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_start, kit_stop)
	static const struct CMUnitTest tests[] = {
		TEST(the_youngest_come_first),
		TEST(rows_change_in_their_place),
		TEST(what_was_not_committed_is_not_there),
		TEST(they_have_an_age),
		TEST(many_old_ones_go_step_by_step),
		TEST(they_have_a_size),
		TEST(deliveries_have_their_own_size),
		TEST(long_values_are_counted),
		TEST(a_full_disk_fails_the_turn_alone),
		TEST(flipped_octets_are_no_records),
		TEST(rows_of_others_are_none),
		TEST(an_older_file_is_filled_up),
		TEST(kills_lose_nothing_that_was_committed),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
