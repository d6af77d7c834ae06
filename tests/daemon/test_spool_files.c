/* What is found in the spool, also what is none of ours. */
#include "daemon/spool.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"
#include "daemon/log.h"
#include "tests/daemon/spoolcalls.h"

/* ---- what is none of ours ------------------------------------------------ */

enum bad {
	EMPTY_FILE, GARBAGE, CUT_HEAD, CUT_END, TOO_LONG, OTHER_ID,
	SYMLINK, DANGLING, FIFO, SOCKET, FOLDER, HARD_LINK, READABLE,
	WRITABLE, FOREIGN, BAD__N
};

/* False where it can not be made. */
static bool
make_bad(const struct kit *k, const char *folder, enum bad what)
{
	const char *path = kit_path(k, folder, ID);
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char room[2048];
	struct buf b = BUF_ON(room);
	int fd;

	kit_file(what == OTHER_ID ? OTHER : ID, &b);
	switch (what) {
	case EMPTY_FILE:
		b.n = 0;
		break;
	case GARBAGE:
		buf_drop(&b, 1);
		break;
	case CUT_HEAD:
		b.n = 100;
		break;
	case CUT_END:
		b.n--;
		break;
	case TOO_LONG:
		buf_add_octet(&b, 'x');
		break;
	case SYMLINK:
		kit_put(k, ".", "elsewhere", buf_bytes(&b), 0600);
		return symlink("../elsewhere", path) == 0;
	case DANGLING:
		return symlink("/nowhere/at/all", path) == 0;
	case FIFO:
		return mkfifo(path, 0600) == 0;
	case SOCKET:
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
		assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)),
		    0);
		close(fd);
		return chmod(path, 0600) == 0;
	case FOLDER:
		return mkdir(path, 0700) == 0;
	case HARD_LINK:
		kit_put(k, ".", "elsewhere", buf_bytes(&b), 0600);
		return link(kit_path(k, ".", "elsewhere"), path) == 0;
	case FOREIGN:
		kit_put(k, folder, ID, buf_bytes(&b), 0600);
		return geteuid() == 0 && chown(path, 65534, 65534) == 0;
	default:
		break;
	}
	kit_put(k, folder, ID, buf_bytes(&b), what == READABLE ? 0640 :
	    what == WRITABLE ? 0602 : 0600);
	return true;
}

static void
clean(const struct kit *k, const char *folder)
{
	unlink(kit_path(k, folder, ID));
	rmdir(kit_path(k, folder, ID));
	unlink(kit_path(k, ".", "elsewhere"));
}

static void
q7_none_of_ours_is_moved_away(void **state)
{
	struct kit *k = *state;
	struct spool_file f;

	kit_write(k, OTHER);
	assert_int_equal(kit_commit(k, OTHER), 0);
	for (enum bad what = 0; what < BAD__N; what++) {
		if (!make_bad(k, "mail", what)) {
			clean(k, "mail");
			continue;
		}
		assert_int_equal(spool_file_open(&f, k->spool, ID, true),
		    -E_SYNTAX);
		assert_int_equal(f.fd, -1);
		assert_false(kit_is_in(k, "mail", ID));
		assert_true(kit_is_in(k, "corrupt", ID));
		clean(k, "corrupt");
		assert_int_equal(spool_file_open(&f, k->spool, ID, true),
		    -E_ABSENT);
		assert_int_equal(spool_file_open(&f, k->spool, OTHER, true),
		    0);
		spool_file_close(&f);
	}
}

/* Nor is it said yes to. */
static void
q7_none_of_ours_is_not_committed(void **state)
{
	struct kit *k = *state;

	for (enum bad what = 0; what < BAD__N; what++) {
		struct spool_commit c[2] = {{.id = ID, .result = 1},
		    {.id = OTHER, .result = 1}};

		kit_write(k, OTHER);
		if (make_bad(k, "new", what)) {
			spool_commit(k->spool, c, 2);
			assert_int_equal(c[0].result, -E_SYSTEM);
			assert_int_equal(c[1].result, 0);
			assert_false(kit_is_in(k, "mail", ID));
		}
		clean(k, "new");
		clean(k, "corrupt");
		assert_int_equal(spool_remove(k->spool, OTHER), 0);
		assert_true(spool_take_back(k->state, OTHER) || true);
	}
}

static void
q7_another_version_stays(void **state)
{
	struct kit *k = *state;
	struct spool_file f;
	char room[2048];
	struct buf b = BUF_ON(room);
	uint8_t *at;

	kit_file(ID, &b);
	at = memchr(b.p, '2', b.n);
	assert_non_null(at);
	*at = '3';
	kit_put(k, "mail", ID, buf_bytes(&b), 0600);
	assert_int_equal(spool_file_open(&f, k->spool, ID, true), -E_LIMIT);
	assert_true(kit_has(k, "mail", ID, buf_bytes(&b)));
	kit_put(k, "new", OTHER, buf_bytes(&b), 0600);
	assert_int_equal(kit_commit(k, OTHER), -E_SYSTEM);
	assert_false(kit_is_in(k, "mail", OTHER));
}

static void
names_that_are_none_are_moved_away(void **state)
{
	static const char *const names[] = {"Upper", ".hidden", "a.b", "a\nb",
	    "a\xff", "012345678901234567890123456789012"};
	struct kit *k = *state;
	struct spool_scan *scan;
	char id[QUEUE_ID_MAX + 1];
	unsigned n_seen = 0;

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
		kit_put(k, "mail", names[n], BYTES_LIT("x"), 0600);
	assert_int_equal(mkdir(kit_path(k, "mail", "Folder"), 0700), 0);
	for (unsigned n = 0; n < 300; n++) {
		snprintf(id, sizeof(id), "m%u", n);
		kit_put(k, "mail", id, BYTES_LIT("x"), 0600);
	}
	assert_int_equal(spool_scan_new(&scan, k->spool), 0);
	while (spool_scan_next(scan, id)) {
		assert_int_equal(id[0], 'm');
		n_seen++;
	}
	assert_false(spool_scan_next(scan, id));
	spool_scan_free(&scan);
	assert_null(scan);
	assert_int_equal(n_seen, 300);
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		assert_false(kit_is_in(k, "mail", names[n]));
		assert_true(kit_is_in(k, "corrupt", names[n]));
	}
	assert_true(kit_is_in(k, "corrupt", "Folder"));
	assert_int_equal(rmdir(kit_path(k, "corrupt", "Folder")), 0);
}

/* A second scan sees all again, whoever read the folder before. */
static void
scans_start_at_the_front(void **state)
{
	struct kit *k = *state;
	char id[QUEUE_ID_MAX + 1];

	kit_put(k, "mail", ID, BYTES_LIT("x"), 0600);
	for (int n = 0; n < 2; n++) {
		struct spool_scan *scan;

		assert_int_equal(spool_scan_new(&scan, k->spool), 0);
		assert_true(spool_scan_next(scan, id));
		assert_string_equal(id, ID);
		assert_false(spool_scan_next(scan, id));
		spool_scan_free(&scan);
	}
}

static void
a_name_set_aside_many_times(void **state)
{
	struct kit *k = *state;
	char name[256];
	struct spool_scan *scan;
	char id[QUEUE_ID_MAX + 1];

	memset(name, 'X', 255);
	name[255] = '\0';
	for (int n = 0; n < 3; n++) {
		kit_put(k, "mail", name, BYTES_LIT("x"), 0600);
		assert_int_equal(spool_scan_new(&scan, k->spool), 0);
		assert_false(spool_scan_next(scan, id));
		spool_scan_free(&scan);
		assert_false(kit_is_in(k, "mail", name));
	}
	assert_true(kit_is_in(k, "corrupt", name));
	memcpy(name + 240, ".2", 3);
	assert_true(kit_is_in(k, "corrupt", name));
}

/* ---- messages ------------------------------------------------------------ */

static void
a_message_is_read_and_changed(void **state)
{
	struct kit *k = *state;
	struct spool_file f;
	struct queue_patch p;
	struct queue_rcpt *r;

	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	assert_int_equal(spool_file_open(&f, k->spool, ID, true), 0);
	assert_true(bytes_eq(f.m.id, BYTES_LIT(ID)));
	assert_int_equal(f.m.n_copies, 1);
	assert_true(bytes_eq(spool_file_added(&f, f.m.copies),
	    BYTES_LIT(KIT_ADDED)));
	assert_true(bytes_eq(spool_file_content(&f), BYTES_LIT(KIT_CONTENT)));
	r = f.m.copies[0].rcpts;
	r->status = QUEUE_UNSURE;
	r->tries = 7;
	r->due_s = 1234567890;
	r->reply = BYTES_LIT("450 4.2.0 busy");
	queue_file_patch_rcpt(r, &p);
	assert_int_equal(spool_file_patch(&f, &p), 0);
	spool_file_close(&f);
	assert_int_equal(f.fd, -1);
	assert_null(f.map);
	assert_int_equal(spool_file_open(&f, k->spool, ID, false), 0);
	r = f.m.copies[0].rcpts;
	assert_int_equal(r->status, QUEUE_UNSURE);
	assert_int_equal(r->tries, 7);
	assert_int_equal(r->due_s, 1234567890);
	assert_true(bytes_eq(r->reply, BYTES_LIT("450 4.2.0 busy")));
	assert_null(f.map);
	spool_file_close(&f);
	spool_file_close(&f);
}

static void
make_older(const struct kit *k, const char *name, int64_t now_s, int64_t by_s)
{
	const struct timespec t[2] = {{now_s - by_s, 0}, {now_s - by_s, 0}};

	assert_int_equal(utimensat(AT_FDCWD, kit_path(k, "new", name), t,
	    AT_SYMLINK_NOFOLLOW), 0);
}

static void
what_nobody_asks_for_is_swept(void **state)
{
	struct kit *k = *state;
	int64_t now_s = (int64_t)time(NULL);

	kit_write(k, "young");
	make_older(k, "young", now_s, 3500);
	kit_write(k, "old");
	make_older(k, "old", now_s, 3700);
	kit_write(k, "future");		/* a clock that was wrong */
	make_older(k, "future", now_s, -7200);
	kit_write(k, "ahead");
	make_older(k, "ahead", now_s, -60);
	assert_int_equal(symlink("/nowhere", kit_path(k, "new", "Link")), 0);
	make_older(k, "Link", now_s, 3700);
	assert_int_equal(mkdir(kit_path(k, "new", "folder"), 0700), 0);
	make_older(k, "folder", now_s, 3700);
	kit_write(k, ID);
	assert_int_equal(kit_commit(k, ID), 0);
	spool_sweep(k->spool, now_s);
	assert_true(kit_is_in(k, "new", "young"));
	assert_true(kit_is_in(k, "new", "ahead"));
	assert_false(kit_is_in(k, "new", "old"));
	assert_false(kit_is_in(k, "new", "future"));
	assert_false(kit_is_in(k, "new", "Link"));
	assert_false(kit_is_in(k, "new", "folder"));
	spool_sweep(k->spool, now_s + 100 * 86400);
	assert_true(kit_is_whole(k, "mail", ID));
	assert_int_equal(rmdir(kit_path(k, "corrupt", "folder")), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(q7_none_of_ours_is_moved_away),
		TEST(q7_none_of_ours_is_not_committed),
		TEST(q7_another_version_stays),
		TEST(names_that_are_none_are_moved_away),
		TEST(scans_start_at_the_front),
		TEST(a_name_set_aside_many_times),
		TEST(a_message_is_read_and_changed),
		TEST(what_nobody_asks_for_is_swept),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
