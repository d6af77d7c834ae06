/* A store in a folder of its own. */
#ifndef TESTS_DAEMON_STORE_KIT_H
#define TESTS_DAEMON_STORE_KIT_H

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store.h"

#define DAY 86400
#define NOW (20000LL * DAY)	/* some day */

struct kit {
	char folder[64];
	char path[96];
	struct store_limits limits;
	uint8_t secret[STORE_SECRET_SIZE];
	struct store *store;
};

static inline void
kit_open(struct kit *k, int64_t now_s)
{
	k->store = store_new(k->folder, &k->limits, k->secret);
	assert_non_null(k->store);
	(void)store_tick(k->store, now_s);
}

static inline int
kit_start(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	*state = k;
	snprintf(k->folder, sizeof(k->folder), "/tmp/hopseal-store-XXXXXX");
	assert_non_null(mkdtemp(k->folder));
	snprintf(k->path, sizeof(k->path), "%s/store.db", k->folder);
	k->limits = (struct store_limits){7 * DAY, 900, 1 << 24, 7 * DAY,
	    1 << 24, 1000};
	memset(k->secret, 0x5a, sizeof(k->secret));
	kit_open(k, NOW);
	return 0;
}

static inline int
kit_stop(void **state)
{
	struct kit *k = *state;
	char command[128];

	store_free(&k->store);
	snprintf(command, sizeof(command), "rm -rf %s", k->folder);
	assert_int_equal(system(command), 0);
	free(k);
	return 0;
}

/* Entry n; its value is written into room. */
static inline struct store_entry
kit_entry(unsigned n, char room[32])
{
	struct store_entry e = {.pair = 1000 + n / 2};

	memset(e.key, 0, sizeof(e.key));
	e.key[0] = (uint8_t)(n * 151);	/* in no order */
	memcpy(e.key + 1, &n, sizeof(n));
	snprintf(room, 32, "value %u", n);
	e.value = bytes_of(room);
	return e;
}

/* A claim of entry n: its fate, or -E_*. */
static inline int
kit_claim(struct kit *k, unsigned n, int64_t now_s)
{
	char room[32];
	struct store_entry e = kit_entry(n, room);
	enum store_fate fate;
	struct bytes value;
	int r = store_claim(k->store, &e, now_s, &fate, &value);

	if (r == 0 && fate != STORE_NEW)
		assert_true(bytes_eq(value, e.value));
	return r == 0 ? (int)fate : r;
}

static inline int
kit_deliver(struct kit *k, unsigned n, int64_t now_s)
{
	char room[32];
	struct store_entry e = kit_entry(n, room);

	return store_deliver(k->store, &e, now_s);
}

static inline void
kit_commit(struct kit *k, int64_t now_s)
{
	assert_int_equal(store_commit(k->store, now_s), 0);
}

/* ---- files, and processes ------------------------------------------------ */

static inline bool
exists(const struct kit *k, const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", k->folder, name);
	return access(path, F_OK) == 0;
}

static inline void
unlink_aside(const struct kit *k)
{
	char path[128];

	snprintf(path, sizeof(path), "%s.damaged", k->path);
	(void)unlink(path);
}

static inline size_t
read_all(const char *path, uint8_t *room, size_t n)
{
	int fd = open(path, O_RDONLY);
	ssize_t r = 0;

	if (fd >= 0) {
		r = read(fd, room, n);
		close(fd);
	}
	assert_in_range(r, 0, n);
	return (size_t)r;
}

static inline void
write_all(const char *path, const uint8_t *p, size_t n)
{
	int fd;

	/* some file systems flush what is written over a truncated file */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static inline void
sql(const struct kit *k, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Runs a test in a process of its own. */
static inline void
in_child(struct kit *k, void (*test)(struct kit *))
{
	int status;
	pid_t pid;

	store_free(&k->store);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		test(k);
		_exit(0);	/* a failed assertion of cmocka's never is here */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	kit_open(k, NOW);
}

#endif
