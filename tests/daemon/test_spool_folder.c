/* The folder of the spool, its lock, and the disk below. */
#include "daemon/spool.h"

#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/err.h"
#include "daemon/log.h"
#include "tests/daemon/spoolcalls.h"

/* ---- the folder ---------------------------------------------------------- */

static enum spool_fault
prepare_again(struct kit *k)
{
	int lock = -1;
	enum spool_fault r = spool_prepare(k->folder, geteuid(), getegid(),
	    &lock);

	assert_int_equal(lock >= 0, r == SPOOL_OK);
	if (lock >= 0)
		close(lock);
	return r;
}

static void
q6_one_daemon_at_a_time(void **state)
{
	struct kit *k = *state;
	pid_t pid;

	assert_int_equal(prepare_again(k), SPOOL_LOCKED);
	/* a child with a copy of the lock has it like its parent */
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	close(k->lock);
	k->lock = -1;
	assert_int_equal(prepare_again(k), SPOOL_LOCKED);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(prepare_again(k), SPOOL_OK);
}

static void
unlock(struct kit *k)
{
	close(k->lock);
	k->lock = -1;
}

static void
what_is_made(void **state)
{
	static const char *const folders[] = {"", "new", "mail", "corrupt"};
	struct kit *k = *state;
	struct stat st;

	unlock(k);
	for (size_t n = 0; n < 4; n++) {
		const char *path = kit_path(k, folders[n], "");

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		assert_int_equal(chmod(path, 0777), 0);
	}
	kit_put(k, "mail", ID, BYTES_LIT("x"), 0600);
	assert_true(kit_has(k, ".", "format", BYTES_LIT("hopseal-queue 1\n")));
	assert_int_equal(prepare_again(k), SPOOL_OK);
	for (size_t n = 0; n < 4; n++) {
		assert_int_equal(stat(kit_path(k, folders[n], ""), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
	}
	assert_true(kit_is_in(k, "mail", ID));
}

/* Of root's making, for whom root says. */
static void
what_is_made_is_the_users(void **state)
{
	static const char *const names[] = {"", "new", "mail", "corrupt",
	    "lock", "format"};
	struct kit *k = *state;
	struct stat st;
	int lock;

	if (geteuid() != 0) {
		puts("SKIP what_is_made_is_the_users: not root");
		skip();
	}
	unlock(k);
	assert_int_equal(spool_prepare(k->folder, 65534, 65534, &lock),
	    SPOOL_BROKEN);		/* root's, and not for that user */
	assert_int_equal(geteuid(), 0);
	assert_int_equal(chown(k->folder, 65534, 65534), 0);
	assert_int_equal(spool_prepare(k->folder, 65534, 65534, &lock),
	    SPOOL_UNFIT);		/* the spool of another */
	assert_int_equal(rename(kit_path(k, "", ""), kit_path(k, "../other",
	    "")), 0);
	assert_int_equal(spool_prepare(k->folder, 65534, 65534, &lock),
	    SPOOL_OK);
	close(lock);
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		assert_int_equal(lstat(kit_path(k, ".", names[n]), &st), 0);
		assert_int_equal(st.st_uid, 65534);
		assert_int_equal(st.st_gid, 65534);
	}
	assert_int_equal(umask(022), 022);
}

static void
formats(void **state)
{
	struct kit *k = *state;

	unlock(k);
	kit_put(k, ".", "format", BYTES_LIT("hopseal-queue 2\n"), 0600);
	assert_int_equal(prepare_again(k), SPOOL_NEWER);
	kit_put(k, ".", "format", BYTES_LIT("hopseal-queue 1\nmore"), 0600);
	assert_int_equal(prepare_again(k), SPOOL_NEWER);
	kit_put(k, ".", "format", BYTES_LIT(""), 0600);
	assert_int_equal(prepare_again(k), SPOOL_NEWER);
	assert_int_equal(unlink(kit_path(k, ".", "format")), 0);
	kit_put(k, ".", "format.new", BYTES_LIT("hop"), 0600);
	assert_int_equal(prepare_again(k), SPOOL_OK);
	assert_true(kit_has(k, ".", "format", BYTES_LIT("hopseal-queue 1\n")));
	assert_false(kit_is_in(k, ".", "format.new"));
}

/* Nothing follows a link that was laid. */
static void
links_for_folders(void **state)
{
	struct kit *k = *state;
	struct spool *s;

	unlock(k);
	assert_int_equal(rmdir(kit_path(k, "mail", "")), 0);
	assert_int_equal(symlink(".", kit_path(k, ".", "mail")), 0);
	assert_int_equal(prepare_again(k), SPOOL_BROKEN);
	assert_int_equal(spool_open(&s, k->folder), -E_SYSTEM);
	assert_null(s);
	assert_int_equal(unlink(kit_path(k, ".", "mail")), 0);
	assert_int_equal(unlink(kit_path(k, ".", "lock")), 0);
	assert_int_equal(symlink("/tmp/hopseal-never", kit_path(k, ".",
	    "lock")), 0);
	assert_int_equal(prepare_again(k), SPOOL_BROKEN);
	assert_int_equal(access("/tmp/hopseal-never", F_OK), -1);
	assert_int_equal(unlink(kit_path(k, ".", "lock")), 0);
	assert_int_equal(mkfifo(kit_path(k, ".", "lock"), 0600), 0);
	assert_int_equal(prepare_again(k), SPOOL_BROKEN);
	assert_int_equal(unlink(kit_path(k, ".", "lock")), 0);
	assert_int_equal(prepare_again(k), SPOOL_OK);
}

static void
q4_file_systems(void **state)
{
	static const struct {
		long magic;
		enum spool_fault is;
	} rows[] = {
		{0xef53, SPOOL_OK}, {0x58465342, SPOOL_OK},
		{0x9123683e, SPOOL_OK}, {0x01021994, SPOOL_OK},
		{0x794c7630, SPOOL_OK}, {0x6969, SPOOL_UNFIT},
		{(long)0xff534d42, SPOOL_UNFIT},
		{(long)0xfe534d42, SPOOL_UNFIT},
		{(int)0xfe534d42, SPOOL_UNFIT},	/* where a long is short */
		{0x517b, SPOOL_UNFIT}, {0x65735546, SPOOL_UNFIT},
		{0x01021997, SPOOL_UNFIT}, {0x00c36400, SPOOL_UNFIT},
		{0x73757245, SPOOL_UNFIT}, {0x5346414f, SPOOL_UNFIT},
	};
	struct kit *k = *state;

	unlock(k);
	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		calls.magic = rows[n].magic;
		assert_int_equal(prepare_again(k), rows[n].is);
		assert_int_equal(spool_check(k->folder), rows[n].is);
	}
	assert_int_equal(spool_check("/nowhere/at/all"), SPOOL_BROKEN);
}

static void
q4_a_folder_on_another_file_system(void **state)
{
	struct kit *k = *state;
	const char *path = kit_path(k, "mail", "");
	enum spool_fault is;

	unlock(k);
	if (mount("none", path, "tmpfs", 0, "size=64k,mode=700") != 0) {
		puts("SKIP q4_a_folder_on_another_file_system: no mounts");
		skip();
	}
	is = prepare_again(k);
	assert_int_equal(umount(kit_path(k, "mail", "")), 0);
	assert_int_equal(is, SPOOL_UNFIT);
}

/* A disk that is truly full: nothing is half there, and it goes on. */
static void
q2_a_full_disk(void **state)
{
	struct kit *k = *state;
	unsigned n_yes = 0;
	char id[QUEUE_ID_MAX + 1];
	int r = 0;

	spool_close(&k->spool);
	unlock(k);
	close(k->state);
	if (mount("none", k->folder, "tmpfs", 0, "size=256k,mode=700") != 0) {
		k->state = open(k->folder, O_PATH | O_DIRECTORY);
		puts("SKIP q2_a_full_disk: no mounts");
		skip();
	}
	k->state = open(k->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(spool_prepare(k->folder, geteuid(), getegid(),
	    &k->lock), SPOOL_OK);
	assert_int_equal(spool_open(&k->spool, k->folder), 0);
	assert_true(spool_has_room(k->state, 1000, 65536));
	while (r == 0) {
		snprintf(id, sizeof(id), "m%u", n_yes);
		r = kit_try_write(k, id);
		if (r == 0) {
			assert_int_equal(kit_commit(k, id), 0);
			n_yes++;
		}
	}
	assert_int_equal(errno, ENOSPC);
	assert_false(kit_is_in(k, "new", id));
	assert_false(spool_has_room(k->state, 1000, 65536));
	assert_true(n_yes > 10);
	assert_int_equal(spool_remove(k->spool, "m0"), 0);
	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	spool_close(&k->spool);
	unlock(k);
	close(k->state);
	k->state = -1;
	assert_int_equal(umount(k->folder), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(q6_one_daemon_at_a_time),
		TEST(what_is_made),
		TEST(what_is_made_is_the_users),
		TEST(formats),
		TEST(links_for_folders),
		TEST(q4_file_systems),
		TEST(q4_a_folder_on_another_file_system),
		TEST(q2_a_full_disk),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
