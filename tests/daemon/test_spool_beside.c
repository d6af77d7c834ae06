/* Processes that sync and remove for the one that owns the spool. */
#include "daemon/spool.h"

#include <sys/file.h>
#include <sys/wait.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/spool_state.h"
#include "tests/daemon/spoolcalls.h"

#define MANY 60U

static struct spool_commit all[MANY];

/* Whether one of them is whole in a folder. */
static bool
is_whole(const struct kit *k, const char *folder, size_t n)
{
	char id[QUEUE_ID_MAX + 1];

	memcpy(id, all[n].id, sizeof(id));
	return kit_is_whole(k, folder, id);
}

static unsigned
count_syncs(void)
{
	unsigned n = 0;

	for (size_t k = 0; k < calls.n; k++)
		n += calls.trace[k] == DATASYNC;
	return n;
}

/* Writes and commits so many, of a letter; returns how many are in. */
static unsigned
commit_many(struct kit *k, char letter)
{
	unsigned n_in = 0;

	for (size_t n = 0; n < MANY; n++) {
		snprintf(all[n].id, 8, "%c%zu", letter, n % MANY);
		all[n].result = 1;
		kit_write(k, all[n].id);
	}
	spool_commit(k->spool, all, MANY);
	for (size_t n = 0; n < MANY; n++) {
		assert_true(all[n].result <= 0);
		n_in += all[n].result == 0;
		assert_int_equal(is_whole(k, "mail", n), all[n].result == 0);
		assert_false(is_whole(k, "new", n));
	}
	return n_in;
}

static void
others_sync_most_of_a_batch(void **state)
{
	struct kit *k = *state;

	assert_int_equal(commit_many(k, 'a'), MANY);
	assert_int_equal(count_syncs(), MANY);
	assert_int_equal(spool_work_beside(k->spool), 0);
	for (char letter = 'b'; letter < 'e'; letter++) {
		forget_calls();
		assert_int_equal(commit_many(k, letter), MANY);
		assert_int_equal(count_syncs(), MANY / (SPOOL_SYNCERS + 1));
	}
	/* as many as there are, and fewer */
	for (size_t n = 1; n <= SPOOL_SYNCERS + 2; n++) {
		for (size_t at = 0; at < n; at++) {
			snprintf(all[at].id, 8, "e%zux%zu", n % 100, at % 100);
			kit_write(k, all[at].id);
		}
		forget_calls();
		spool_commit(k->spool, all, n);
		for (size_t at = 0; at < n; at++)
			assert_int_equal(all[at].result, 0);
		assert_int_equal(count_syncs(), 1);
	}
}

/* As where one process syncs: each that failed is set aside, and no other. */
static void
q3_a_failure_there_is_one_here(void **state)
{
	struct kit *k = *state;

	assert_int_equal(spool_work_beside(k->spool), 0);
	fail_call(DATASYNC, 2, EIO);	/* the second of each */
	calls.spared = getpid();
	assert_int_equal(commit_many(k, 'a'), MANY - SPOOL_SYNCERS);
	for (size_t n = 0; n < MANY; n++) {
		if (all[n].result == 0)
			continue;
		assert_int_equal(all[n].error, EIO);
		assert_true(is_whole(k, "corrupt", n));
	}
}

/* Nobody can say what it was told: its share has failed. The next batch has
 * others. */
static void
q3_what_a_dead_one_had_has_failed(void **state)
{
	struct kit *k = *state;

	assert_int_equal(spool_work_beside(k->spool), 0);
	forget_calls();
	calls.kill_at = 3;		/* of each */
	calls.spared = getpid();
	assert_int_equal(commit_many(k, 'a'), MANY / (SPOOL_SYNCERS + 1));
	for (size_t n = 0; n < MANY; n++)
		if (all[n].result != 0)
			assert_true(is_whole(k, "corrupt", n));
	forget_calls();
	assert_int_equal(commit_many(k, 'b'), MANY);
	assert_true(count_syncs() < MANY);
}

/* One that died with nothing to do has taken nothing of the next batch. */
static void
one_that_died_before_is_followed(void **state)
{
	struct kit *k = *state;
	siginfo_t info;
	char path[64];
	FILE *file;
	int pid;

	assert_int_equal(spool_work_beside(k->spool), 0);
	assert_int_equal(commit_many(k, 'a'), MANY);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "r");
	if (file == NULL) {
		print_message("%s can not be read\n", path);
		skip();
	}
	while (fscanf(file, "%d", &pid) == 1) {
		kill(pid, SIGKILL);
		assert_int_equal(waitid(P_PID, (id_t)pid, &info,
		    WEXITED | WNOWAIT), 0);
	}
	fclose(file);
	assert_int_equal(commit_many(k, 'b'), MANY);
}

static void
wait_gone(const struct kit *k, const char *id)
{
	const struct timespec nap = {0, 1000000L};

	for (int n = 0; kit_is_in(k, "mail", id); n++) {
		assert_true(n < 30000);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
}

static void
another_removes(void **state)
{
	struct kit *k = *state;

	kit_write(k, ID);
	kit_write(k, OTHER);
	assert_int_equal(kit_commit(k, ID), 0);
	assert_int_equal(kit_commit(k, OTHER), 0);
	assert_int_equal(spool_work_beside(k->spool), 0);
	forget_calls();
	assert_int_equal(spool_remove_delivered(k->spool, ID), 0);
	assert_null(strchr(calls.trace, UNLINK));
	/* whoever asks for it again is told that it was there */
	assert_true(spool_was_removed(k->spool, ID));
	wait_gone(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	/* all is done before the spool is closed */
	assert_int_equal(spool_remove_delivered(k->spool, OTHER), 0);
	spool_close(&k->spool);
	assert_false(kit_is_in(k, "mail", OTHER));
}

static void
one_that_removes_has_died(void **state)
{
	static const char *const ids[] = {"a", "b", "c", "d"};
	struct kit *k = *state;
	siginfo_t info;

	for (size_t n = 0; n < 4; n++) {
		kit_write(k, ids[n]);
		assert_int_equal(kit_commit(k, ids[n]), 0);
	}
	assert_int_equal(spool_work_beside(k->spool), 0);
	assert_int_equal(spool_remove_delivered(k->spool, "a"), 0);
	wait_gone(k, "a");
	kill(k->spool->remover, SIGSTOP);
	assert_int_equal(spool_remove_delivered(k->spool, "b"), 0);
	kill(k->spool->remover, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)k->spool->remover, &info,
	    WEXITED | WNOWAIT), 0);
	assert_true(kit_is_in(k, "mail", "b"));
	/* this one is removed, and the caller is told to look for others */
	assert_int_equal(spool_remove_delivered(k->spool, "c"), 1);
	assert_false(kit_is_in(k, "mail", "c"));
	assert_int_equal(spool_remove_delivered(k->spool, "d"), 0);
	wait_gone(k, "d");
}

/* It is seen before there is more to remove. */
static void
who_asks_sees_that_it_died(void **state)
{
	struct kit *k = *state;
	siginfo_t info;

	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	kit_write(k, OTHER);
	assert_int_equal(kit_commit(k, OTHER), 0);
	assert_int_equal(spool_work_beside(k->spool), 0);
	assert_int_equal(spool_remove_delivered(k->spool, ID), 0);
	assert_false(spool_remover_has_died(k->spool));
	kill(k->spool->remover, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)k->spool->remover, &info,
	    WEXITED | WNOWAIT), 0);
	assert_true(spool_remover_has_died(k->spool));
	assert_false(spool_remover_has_died(k->spool));
	assert_int_equal(spool_remove_delivered(k->spool, OTHER), 0);
	wait_gone(k, OTHER);
}

/* The call it dies at is the sync. */
static void
another_syncs_what_was_written(void **state)
{
	struct kit *k = *state;
	siginfo_t info;

	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	assert_int_equal(spool_work_beside(k->spool), 0);
	forget_calls();
	calls.kill_at = 1;
	calls.spared = getpid();
	spool_sync_marks(k->spool, "absent");
	spool_sync_marks(k->spool, ID);
	assert_int_equal(waitid(P_PID, (id_t)k->spool->remover, &info,
	    WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_status, SIGKILL);
	assert_true(kit_is_whole(k, "mail", ID));
	assert_int_equal(calls.n, 0);
}

/* One that is stuck takes only so many; the others are removed here. */
static void
one_that_removes_is_stuck(void **state)
{
	struct kit *k = *state;
	char id[8] = "";
	unsigned n = 0;

	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	assert_int_equal(spool_work_beside(k->spool), 0);
	assert_int_equal(spool_remove_delivered(k->spool, ID), 0);
	wait_gone(k, ID);
	kill(k->spool->remover, SIGSTOP);
	do {
		snprintf(id, sizeof(id), "n%u", n++ % 10000);
		kit_write(k, id);
		assert_int_equal(kit_commit(k, id), 0);
		assert_int_equal(spool_remove_delivered(k->spool, id), 0);
	} while (kit_is_in(k, "mail", id) && n < 5000);
	assert_true(n < 5000);
	kill(k->spool->remover, SIGCONT);
	spool_close(&k->spool);
	assert_false(kit_is_in(k, "mail", "n0"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(others_sync_most_of_a_batch),
		TEST(q3_a_failure_there_is_one_here),
		TEST(q3_what_a_dead_one_had_has_failed),
		TEST(one_that_died_before_is_followed),
		TEST(another_removes),
		TEST(one_that_removes_has_died),
		TEST(who_asks_sees_that_it_died),
		TEST(another_syncs_what_was_written),
		TEST(one_that_removes_is_stuck),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
