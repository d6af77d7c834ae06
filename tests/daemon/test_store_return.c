#include "daemon/store.h"

#include <sodium.h>

#include "daemon/log.h"
#include "tests/daemon/store_kit.h"

/* A day of bounces that come late, and clocks that differ. */
#define KEPT (23 * DAY)

static void
id_of(unsigned n, uint8_t id[STORE_KEY_SIZE])
{
	memset(id, 0, STORE_KEY_SIZE);
	id[0] = (uint8_t)(n * 151);
	memcpy(id + 1, &n, sizeof(n));
}

static void
keep(struct kit *k, unsigned n, const char *path, int64_t now_s)
{
	uint8_t id[STORE_KEY_SIZE];

	id_of(n, id);
	assert_int_equal(store_return_keep(k->store, id, bytes_of(path),
	    now_s), 0);
}

/* What address n leads to; NULL: nowhere. */
static void
leads(struct kit *k, unsigned n, const char *path, int64_t now_s)
{
	uint8_t id[STORE_KEY_SIZE];
	struct bytes got = {NULL, 0};
	int r;

	id_of(n, id);
	r = store_return_find(k->store, id, now_s, &got);
	assert_int_equal(r, path != NULL);
	if (path != NULL)
		assert_true(bytes_eq(got, bytes_of(path)));
}

static void
again(struct kit *k, int64_t now_s)
{
	store_free(&k->store);
	kit_open(k, now_s);
}

static void
ways_back_outlive_the_process(void **state)
{
	struct kit *k = *state;

	keep(k, 1, "<alice@one.example>", NOW);
	kit_commit(k, NOW);
	keep(k, 2, "<bob@one.example>", NOW);	/* a turn that has no end */
	again(k, NOW);
	leads(k, 1, "<alice@one.example>", NOW);
	leads(k, 2, NULL, NOW);
	leads(k, 3, NULL, NOW);
}

static void
kept_for_as_long_as_addresses_are_good(void **state)
{
	struct kit *k = *state;

	keep(k, 1, "<alice@one.example>", NOW);
	keep(k, 1, "<mallory@one.example>", NOW + DAY);	/* it stays */
	kit_commit(k, NOW);
	leads(k, 1, "<alice@one.example>", NOW + KEPT - 1);
	leads(k, 1, NULL, NOW + KEPT);
	/* an id may come again when it is forgotten */
	keep(k, 1, "<carol@one.example>", NOW + KEPT);
	leads(k, 1, "<carol@one.example>", NOW + 2 * KEPT - 1);
	/* a clock that was wrong */
	keep(k, 2, "<alice@one.example>", NOW + 100 * DAY);
	leads(k, 2, NULL, NOW);
	keep(k, 2, "<dave@one.example>", NOW);
	leads(k, 2, "<dave@one.example>", NOW);
	kit_commit(k, NOW);
}

static uint64_t
count(const struct kit *k)
{
	sqlite3 *db;
	sqlite3_stmt *q;
	uint64_t n;

	assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM way", -1,
	    &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = (uint64_t)sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

static void
the_old_are_dropped(void **state)
{
	struct kit *k = *state;

	for (unsigned n = 0; n < 900; n++)
		keep(k, n, "<alice@one.example>", NOW + n);
	kit_commit(k, NOW + 900);
	while (store_tick(k->store, NOW + KEPT + 600))
		;
	leads(k, 601, "<alice@one.example>", NOW + KEPT + 600);
	again(k, NOW);
	leads(k, 600, NULL, NOW + 600);
	assert_int_equal(count(k), 299);
}

/* The oldest give way; of a turn that is not kept nothing is counted. */
static void
the_number_is_bounded(void **state)
{
	struct kit *k = *state;

	for (unsigned n = 0; n < 1500; n++) {
		keep(k, n, "<alice@one.example>", NOW);
		if (n % 100 == 99)
			kit_commit(k, NOW);
	}
	assert_int_equal(count(k), 1000);
	leads(k, 499, NULL, NOW);
	leads(k, 500, "<alice@one.example>", NOW);
	leads(k, 1499, "<alice@one.example>", NOW);
	kit_commit(k, NOW);
	again(k, NOW);
	keep(k, 1500, "<alice@one.example>", NOW);
	kit_commit(k, NOW);
	leads(k, 500, NULL, NOW);
	leads(k, 501, "<alice@one.example>", NOW);
	/* a smaller number is reached */
	kit_commit(k, NOW);
	k->limits.max_returns = 10;
	again(k, NOW);
	keep(k, 1501, "<alice@one.example>", NOW);
	kit_commit(k, NOW);
	assert_int_equal(count(k), 10);
}

/* They take nothing from the deliveries that are remembered. */
static void
deliveries_have_their_size(void **state)
{
	struct kit *k = *state;

	k->limits.size = 1 << 17;
	k->limits.max_returns = 20000;
	again(k, NOW);
	for (unsigned n = 0; n < 100; n++)
		assert_int_equal(kit_deliver(k, n, NOW), 0);
	kit_commit(k, NOW);
	for (unsigned n = 0; n < 20000; n++)
		keep(k, n, "<some-sender-of-mail@some-domain.example>", NOW);
	kit_commit(k, NOW);
	assert_int_equal(kit_claim(k, 0, NOW), STORE_DELIVERED);
}

/* What was changed is not believed: mail would go to whoever changed it. */
static void
a_changed_path_is_none(void **state)
{
	struct kit *k = *state;
	uint8_t id[STORE_KEY_SIZE];
	struct bytes path;

	for (int how = 0; how < 3; how++) {
		keep(k, 1, "<alice@one.example>", NOW);
		keep(k, 2, "<mallory@evil.example>", NOW);
		kit_commit(k, NOW);
		store_free(&k->store);
		sql(k, how == 0 ? "UPDATE way SET path = "
		    "'<malice@one.example>' WHERE id = 1" :
		    how == 1 ? "UPDATE way SET time = time + 1 WHERE id = 1" :
		    "DELETE FROM way WHERE id = 1; "
		    "UPDATE way SET key = x'97010000000000000000000000000000' "
		    "WHERE id = 2");
		kit_open(k, NOW);
		id_of(1, id);
		assert_int_not_equal(store_return_find(k->store, id, NOW,
		    &path), 1);
		(void)store_commit(k->store, NOW);
		assert_true(exists(k, "store.db.damaged"));
		unlink_aside(k);
		leads(k, 1, NULL, NOW);
	}
}

/* Files of before have no such table, or neither. */
static void
a_file_of_before_is_filled_up(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_deliver(k, 1, NOW), 0);
	kit_commit(k, NOW);
	store_free(&k->store);
	sql(k, "DROP TABLE way");
	kit_open(k, NOW);
	keep(k, 1, "<alice@one.example>", NOW);
	kit_commit(k, NOW);
	assert_int_equal(kit_claim(k, 1, NOW), STORE_DELIVERED);
	kit_commit(k, NOW);
	store_free(&k->store);
	sql(k, "DROP TABLE way; DROP TABLE arrival");
	kit_open(k, NOW);
	assert_int_equal(kit_claim(k, 1, NOW), STORE_DELIVERED);
	leads(k, 1, NULL, NOW);
	kit_commit(k, NOW);
	assert_false(exists(k, "store.db.damaged"));
	/* a table that is another */
	store_free(&k->store);
	sql(k, "DROP TABLE way; CREATE TABLE way (id)");
	kit_open(k, NOW);
	assert_true(exists(k, "store.db.damaged"));
	keep(k, 1, "<alice@one.example>", NOW);
	kit_commit(k, NOW);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, kit_start, kit_stop)
	const struct CMUnitTest tests[] = {
		TEST(ways_back_outlive_the_process),
		TEST(kept_for_as_long_as_addresses_are_good),
		TEST(the_old_are_dropped),
		TEST(the_number_is_bounded),
		TEST(deliveries_have_their_size),
		TEST(a_changed_path_is_none),
		TEST(a_file_of_before_is_filled_up),
	};

	assert_true(sodium_init() >= 0);
	log_open("test");
	return cmocka_run_group_tests_name("daemon/store_return", tests, NULL,
	    NULL);
}
