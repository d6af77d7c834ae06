/* What is written, taken back and committed, also where calls fail. */
#include "daemon/spool.h"

#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/err.h"
#include "daemon/log.h"
#include "tests/daemon/spoolcalls.h"

/* ---- a worker writes ----------------------------------------------------- */

static void
a_file_is_written_for_us_alone(void **state)
{
	struct kit *k = *state;
	struct stat st;

	umask(0);
	kit_write(k, ID);
	umask(022);
	assert_true(kit_is_whole(k, "new", ID));
	assert_int_equal(stat(kit_path(k, "new", ID), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_false(kit_is_in(k, "mail", ID));
}

static void
many_pieces_and_short_writes(void **state)
{
	struct kit *k = *state;
	char text[1500], whole[1501] = "";
	struct bytes pieces[300];
	size_t at = 0;

	for (size_t n = 0; n < sizeof(text); n++)
		text[n] = (char)('a' + n % 26);
	for (size_t p = 0; p < 300; p++) {
		pieces[p] = (struct bytes){(uint8_t *)text + at, p % 10};
		at += p % 10;
	}
	memcpy(whole, text, at);
	assert_int_equal(spool_write(k->state, ID, pieces, 300), 0);
	assert_true(kit_has(k, "new", ID, (struct bytes){(uint8_t *)whole,
	    at}));
	for (calls.short_write = 1; calls.short_write < 5;
	    calls.short_write += 3) {
		assert_true(spool_take_back(k->state, ID));
		assert_int_equal(spool_write(k->state, ID, pieces, 300), 0);
		assert_true(kit_has(k, "new", ID, (struct bytes){
		    (uint8_t *)whole, at}));
	}
}

static void
names_are_ids(void **state)
{
	static const char *const names[] = {"", ".", "..", "../mail/4fqk2x",
	    "A", "a b", "a.b", "a/b", "012345678901234567890123456789012"};
	struct kit *k = *state;
	struct spool_file f;

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		struct bytes piece = BYTES_LIT("x");

		assert_int_equal(spool_write(k->state, names[n], &piece, 1),
		    -E_SYSTEM);
		assert_int_equal(errno, EINVAL);
		assert_true(spool_take_back(k->state, names[n]));
		assert_int_equal(spool_file_open(&f, k->spool, names[n],
		    false), -E_ABSENT);
		if (strlen(names[n]) <= QUEUE_ID_MAX)
			assert_int_equal(kit_commit(k, names[n]), -E_ABSENT);
	}
}

static void
a_name_is_taken_once(void **state)
{
	struct kit *k = *state;
	struct bytes piece = BYTES_LIT("other octets");

	kit_write(k, ID);
	assert_int_equal(spool_write(k->state, ID, &piece, 1), -E_SYSTEM);
	assert_int_equal(errno, EEXIST);
	assert_true(kit_is_whole(k, "new", ID));
}

static void
nothing_is_left_of_a_failed_write(void **state)
{
	struct kit *k = *state;

	for (unsigned nth = 1; nth <= 2; nth++) {
		fail_call(WRITEV, nth, ENOSPC);
		calls.short_write = 100;
		assert_int_equal(kit_try_write(k, ID), -E_SYSTEM);
		assert_int_equal(errno, ENOSPC);
		assert_false(kit_is_in(k, "new", ID));
	}
	fail_call(WRITEV, 1, EINTR);
	assert_int_equal(kit_try_write(k, ID), 0);
	assert_true(kit_is_whole(k, "new", ID));
}

/* ---- and takes back ------------------------------------------------------ */

static void
taken_back_is_gone(void **state)
{
	struct kit *k = *state;

	kit_write(k, ID);
	assert_true(spool_take_back(k->state, ID));
	assert_false(kit_is_in(k, "new", ID));
	assert_int_equal(kit_commit(k, ID), -E_ABSENT);
}

static void
in_the_queue_is_not_taken_back(void **state)
{
	struct kit *k = *state;

	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	forget_calls();
	assert_false(spool_take_back(k->state, ID));
	/* it may be asked in place of a process that did not come to it */
	assert_string_equal(calls.trace, "ulf");
	assert_true(kit_is_whole(k, "mail", ID));
	fail_call(SYNC, 1, EIO);
	assert_true(spool_take_back(k->state, ID));
	forget_calls();
	assert_int_equal(spool_remove(k->spool, ID), 0);
	assert_false(spool_take_back(k->state, ID));
}

static void
set_aside_is_gone(void **state)
{
	struct kit *k = *state;

	kit_write(k, ID);
	fail_call(DATASYNC, 1, EIO);
	assert_int_equal(kit_commit(k, ID), -E_SYSTEM);
	assert_true(spool_take_back(k->state, ID));
	kit_write(k, OTHER);
	fail_call(DATASYNC, 1, ENOSPC);
	assert_int_equal(kit_commit(k, OTHER), -E_SYSTEM);
	/* also where a second process has been asked */
	assert_int_equal(kit_commit(k, OTHER), -E_SYSTEM);
	assert_true(kit_has(k, "new", OTHER, BYTES_LIT("")));
	assert_true(spool_take_back(k->state, OTHER));
}

/* Renamed and not synced yet: what the sync says is waited for. */
static void
taken_back_in_the_middle_of_a_commit(void **state)
{
	struct kit *k = *state;
	int mail = open(kit_path(k, "mail", "."), O_RDONLY | O_DIRECTORY);

	assert_true(mail >= 0);
	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	assert_int_equal(flock(mail, LOCK_EX), 0);
	assert_true(spool_take_back(k->state, ID));
	assert_int_equal(flock(mail, LOCK_UN), 0);
	assert_false(spool_take_back(k->state, ID));
	close(mail);
}

static void
what_can_not_be_told_is_no_yes(void **state)
{
	struct kit *k = *state;

	kit_write(k, ID);
	fail_call(UNLINK, 1, EROFS);
	assert_true(spool_take_back(k->state, ID));
	fail_call(UNLINK, 1, ENOENT);
	assert_false(spool_take_back(k->state, ID));	/* it is nowhere */
	fail_call(LOCK, 1, ENOLCK);
	assert_true(spool_take_back(k->state, OTHER));
	assert_true(spool_take_back(-1, OTHER));
}

static void
q2_room_is_looked_for(void **state)
{
	struct kit *k = *state;

	assert_true(spool_has_room(k->state, 0, 0));
	assert_true(spool_has_room(k->state, 1, 1));
	assert_false(spool_has_room(k->state, 0, UINT64_MAX));
	assert_false(spool_has_room(k->state, UINT64_MAX, 0));
	assert_false(spool_has_room(k->state, UINT64_MAX, UINT64_MAX));
	assert_true(spool_has_room(-1, UINT64_MAX, UINT64_MAX));
}

/* ---- commits ------------------------------------------------------------- */

static void
set_ids(struct spool_commit *c, size_t n)
{
	for (size_t at = 0; at < n; at++) {
		snprintf(c[at].id, sizeof(c[at].id), "m%zu", at);
		c[at].result = 1;
	}
}

/* Every file synced, then every rename, then the folder. */
static void
q1_the_order_of_a_commit(void **state)
{
	struct kit *k = *state;
	struct spool_commit c[3];

	set_ids(c, 3);
	for (size_t n = 0; n < 3; n++)
		kit_write(k, c[n].id);
	forget_calls();
	spool_commit(k->spool, c, 3);
	assert_string_equal(calls.trace, "lsssdddlrrrfll");
	for (size_t n = 0; n < 3; n++) {
		assert_int_equal(c[n].result, 0);
		assert_true(kit_is_whole(k, "mail", c[n].id));
		assert_false(kit_is_in(k, "new", c[n].id));
	}
}

static void
more_than_are_open_at_once(void **state)
{
	struct kit *k = *state;
	static struct spool_commit c[600];

	set_ids(c, 600);
	for (size_t n = 0; n < 600; n++)
		if (n % 100 != 7)
			kit_write(k, c[n].id);
	spool_commit(k->spool, c, 600);
	for (size_t n = 0; n < 600; n++)
		assert_int_equal(c[n].result, n % 100 != 7 ? 0 : -E_ABSENT);
}

/* By a process that died before it answered, perhaps before it synced. */
static void
what_was_committed_is_found(void **state)
{
	struct kit *k = *state;

	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	forget_calls();
	assert_int_equal(kit_commit(k, ID), 0);
	assert_string_equal(calls.trace, "llfll");
	fail_call(SYNC, 1, EIO);
	assert_int_equal(kit_commit(k, ID), -E_SYSTEM);
	assert_true(kit_is_whole(k, "mail", ID));
	forget_calls();
	assert_int_equal(spool_remove(k->spool, ID), 0);
	assert_int_equal(spool_remove(k->spool, ID), 0);
	assert_int_equal(kit_commit(k, ID), 0);
	assert_int_equal(kit_commit(k, OTHER), -E_ABSENT);
	assert_false(kit_is_in(k, "mail", ID));
}

static void
asked_for_twice_at_once(void **state)
{
	struct kit *k = *state;
	struct spool_commit c[2] = {{.id = ID, .result = 1}, {.id = ID,
	    .result = 1}};

	kit_write(k, ID);
	spool_commit(k->spool, c, 2);
	assert_int_equal(c[0].result, 0);
	assert_int_equal(c[1].result, 0);
	assert_true(kit_is_whole(k, "mail", ID));
}

/* No second sync of it is ever believed. */
static void
q3_a_failed_sync_is_not_tried_again(void **state)
{
	struct kit *k = *state;
	struct spool_commit c[3];

	set_ids(c, 3);
	for (size_t n = 0; n < 3; n++)
		kit_write(k, c[n].id);
	fail_call(DATASYNC, 2, EIO);
	spool_commit(k->spool, c, 3);
	assert_int_equal(c[0].result, 0);
	assert_int_equal(c[1].result, -E_SYSTEM);
	assert_int_equal(c[1].error, EIO);
	assert_int_equal(c[2].result, 0);
	assert_string_equal(calls.trace, "lsssdddrlrrfll");
	assert_true(kit_is_whole(k, "corrupt", "m1"));
	assert_false(kit_is_in(k, "new", "m1"));
	assert_false(kit_is_in(k, "mail", "m1"));
	forget_calls();
	assert_int_equal(kit_commit(k, "m1"), -E_ABSENT);
	assert_null(strchr(calls.trace, DATASYNC));
	assert_null(strchr(calls.trace, SYNC));
}

/* It is emptied where it can not be moved, and not synced then either. */
static void
q3_also_where_it_can_not_be_moved(void **state)
{
	struct kit *k = *state;

	kit_write(k, ID);
	fail_call(DATASYNC, 1, EIO);
	/* a folder that can not be found */
	assert_int_equal(rmdir(kit_path(k, "corrupt", "")), 0);
	assert_int_equal(kit_commit(k, ID), -E_SYSTEM);
	assert_true(kit_has(k, "new", ID, BYTES_LIT("")));
	forget_calls();
	assert_int_equal(kit_commit(k, ID), -E_SYSTEM);
	assert_null(strchr(calls.trace, DATASYNC));
	assert_int_equal(mkdir(kit_path(k, "corrupt", ""), 0700), 0);
}

static void
q2_no_room_at_the_sync(void **state)
{
	static const int errors[] = {ENOSPC, EDQUOT};
	struct kit *k = *state;

	for (size_t n = 0; n < 2; n++) {
		struct spool_commit c = {.id = ID, .result = 1};

		kit_write(k, ID);
		fail_call(DATASYNC, 1, errors[n]);
		spool_commit(k->spool, &c, 1);
		assert_int_equal(c.result, -E_SYSTEM);
		assert_int_equal(c.error, errors[n]);
		assert_true(kit_has(k, "new", ID, BYTES_LIT("")));
		assert_false(kit_is_in(k, "corrupt", ID));
		assert_true(spool_take_back(k->state, ID));
	}
}

static void
a_rename_that_fails(void **state)
{
	struct kit *k = *state;
	struct spool_commit c[2];

	set_ids(c, 2);
	kit_write(k, "m0");
	kit_write(k, "m1");
	fail_call(RENAME, 1, EIO);
	spool_commit(k->spool, c, 2);
	assert_int_equal(c[0].result, -E_SYSTEM);
	assert_int_equal(c[0].error, EIO);
	assert_true(kit_is_whole(k, "corrupt", "m0"));
	assert_false(kit_is_in(k, "new", "m0"));
	assert_int_equal(c[1].result, 0);
	assert_true(kit_is_whole(k, "mail", "m1"));
	kit_write(k, ID);
	fail_call(RENAME, 1, ENOSPC);
	assert_int_equal(kit_commit(k, ID), -E_SYSTEM);
	assert_true(kit_has(k, "new", ID, BYTES_LIT("")));
}

/* A file system that does not know how to not replace. */
static void
a_rename_without_flags(void **state)
{
	struct kit *k = *state;

	kit_write(k, ID);
	fail_call(RENAME, 0, EINVAL);
	assert_int_equal(kit_commit(k, ID), 0);
	assert_true(kit_is_whole(k, "mail", ID));
	kit_put(k, "mail", OTHER, BYTES_LIT("first"), 0600);
	kit_write(k, OTHER);
	assert_int_equal(kit_commit(k, OTHER), -E_SYSTEM);
	assert_true(kit_has(k, "mail", OTHER, BYTES_LIT("first")));
	assert_true(kit_is_whole(k, "corrupt", OTHER));
}

/* Nobody can say which names are on the disk: no answer is yes. */
static void
q3_a_failed_sync_of_the_folder(void **state)
{
	struct kit *k = *state;
	struct spool_commit c[3];

	set_ids(c, 3);
	kit_write(k, "m0");
	assert_int_equal(kit_commit(k, "m0"), 0);
	kit_write(k, "m1");
	kit_write(k, "m2");
	fail_call(SYNC, 1, EIO);
	spool_commit(k->spool, c, 3);
	for (size_t n = 0; n < 3; n++) {
		assert_int_equal(c[n].result, -E_SYSTEM);
		assert_int_equal(c[n].error, EIO);
	}
	assert_true(kit_is_whole(k, "mail", "m0"));	/* an earlier yes */
	for (size_t n = 1; n < 3; n++) {
		assert_true(kit_is_whole(k, "corrupt", c[n].id));
		assert_false(kit_is_in(k, "mail", c[n].id));
		assert_false(kit_is_in(k, "new", c[n].id));
	}
}

static void
another_of_that_name_is_not_replaced(void **state)
{
	struct kit *k = *state;
	char room[2048];
	struct buf b = BUF_ON(room);

	kit_file(ID, &b);
	kit_put(k, "mail", ID, BYTES_LIT("first"), 0600);
	kit_put(k, "corrupt", ID, BYTES_LIT("before"), 0600);
	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), -E_SYSTEM);
	assert_true(kit_has(k, "mail", ID, BYTES_LIT("first")));
	assert_true(kit_has(k, "corrupt", ID, BYTES_LIT("before")));
	assert_true(kit_has(k, "corrupt", ID ".1", buf_bytes(&b)));
}

/* What a power cut leaves on a file system without a journal. */
static void
both_names_of_one_file(void **state)
{
	struct kit *k = *state;
	struct spool_file f;

	kit_write(k, ID);
	assert_int_equal(link(kit_path(k, "new", ID), kit_path(k, "mail", ID)),
	    0);
	assert_int_equal(kit_commit(k, ID), 0);
	assert_false(kit_is_in(k, "new", ID));
	assert_true(kit_is_whole(k, "mail", ID));
	kit_write(k, OTHER);
	assert_int_equal(link(kit_path(k, "new", OTHER), kit_path(k, "mail",
	    OTHER)), 0);
	assert_int_equal(spool_file_open(&f, k->spool, OTHER, true), 0);
	spool_file_close(&f);
	assert_false(kit_is_in(k, "new", OTHER));
}

/* ---- kills --------------------------------------------------------------- */

/* Accepts two messages, and says so over a pipe; dies at a call. */
static void
accept_and_die(struct kit *k, unsigned kill_at, int out)
{
	struct spool_commit c[2] = {{.id = ID}, {.id = OTHER}};

	prctl(PR_SET_DUMPABLE, 0);
	forget_calls();
	calls.kill_at = kill_at;
	kit_write(k, ID);
	kit_write(k, OTHER);
	spool_commit(k->spool, c, 2);
	for (size_t n = 0; n < 2; n++)
		if (c[n].result == 0 && write(out, "y", 1) != 1)
			_exit(1);
	_exit(0);
}

/* How many of the two it said yes to, or -1 where it was not killed. */
static int
run_and_kill(struct kit *k, unsigned kill_at)
{
	int out[2], status;
	char yes[8];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		accept_and_die(k, kill_at, out[1]);
	close(out[1]);
	n = read(out[0], yes, sizeof(yes));
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		return -1;
	assert_int_equal(WTERMSIG(status), SIGKILL);
	return (int)n;
}

/*
 * Whatever call is the last: each message is in one folder, whole where it is
 * in mail/, and asked for again it is committed if it was written whole.
 */
static void
q1_killed_at_every_call(void **state)
{
	static const char *const ids[] = {ID, OTHER};
	struct kit *k = *state;
	unsigned at = 1;

	for (;; at++) {
		int n_yes = run_and_kill(k, at);

		if (n_yes < 0)
			break;
		assert_int_equal(n_yes, 0);
		spool_close(&k->spool);
		assert_int_equal(spool_open(&k->spool, k->folder), 0);
		for (size_t n = 0; n < 2; n++) {
			bool is_new = kit_is_in(k, "new", ids[n]);
			bool is_whole = kit_is_whole(k, "new", ids[n]);
			bool is_mail = kit_is_in(k, "mail", ids[n]);
			int r;

			assert_false(is_new && is_mail);
			assert_false(kit_is_in(k, "corrupt", ids[n]));
			if (is_mail)
				assert_true(kit_is_whole(k, "mail", ids[n]));
			r = kit_commit(k, ids[n]);
			assert_int_equal(r == 0, is_whole || is_mail);
			assert_int_equal(kit_is_whole(k, "mail", ids[n]),
			    r == 0);
			unlink(kit_path(k, "mail", ids[n]));
			unlink(kit_path(k, "new", ids[n]));
			unlink(kit_path(k, "corrupt", ids[n]));
		}
	}
	/* two writes, then lssddlrrfll */
	assert_int_equal(at, 2 + 11 + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_written_for_us_alone),
		TEST(many_pieces_and_short_writes),
		TEST(names_are_ids),
		TEST(a_name_is_taken_once),
		TEST(nothing_is_left_of_a_failed_write),
		TEST(taken_back_is_gone),
		TEST(in_the_queue_is_not_taken_back),
		TEST(set_aside_is_gone),
		TEST(taken_back_in_the_middle_of_a_commit),
		TEST(what_can_not_be_told_is_no_yes),
		TEST(q2_room_is_looked_for),
		TEST(q1_the_order_of_a_commit),
		TEST(more_than_are_open_at_once),
		TEST(what_was_committed_is_found),
		TEST(asked_for_twice_at_once),
		TEST(q3_a_failed_sync_is_not_tried_again),
		TEST(q3_also_where_it_can_not_be_moved),
		TEST(q2_no_room_at_the_sync),
		TEST(a_rename_that_fails),
		TEST(a_rename_without_flags),
		TEST(q3_a_failed_sync_of_the_folder),
		TEST(another_of_that_name_is_not_replaced),
		TEST(both_names_of_one_file),
		TEST(q1_killed_at_every_call),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
