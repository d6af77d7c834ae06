/* A spool in a folder of its own, messages for it, and calls that fail. */
#ifndef TESTS_DAEMON_SPOOLKIT_H
#define TESTS_DAEMON_SPOOLKIT_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "daemon/spool.h"

#define KIT_ADDED "DKIM2-Signature: i=1\r\n"
#define KIT_CONTENT "Subject: one\r\n\r\nBody of \r\n.\r\n"

struct kit {
	char folder[64];		/* STATE */
	int state;
	int lock;
	struct spool *spool;
};

static inline int
kit_start(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	*state = k;
	snprintf(k->folder, sizeof(k->folder), "/tmp/hopseal-spool-XXXXXX");
	assert_non_null(mkdtemp(k->folder));
	k->state = open(k->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(k->state >= 0);
	assert_int_equal(spool_prepare(k->folder, geteuid(), getegid(),
	    &k->lock), SPOOL_OK);
	assert_int_equal(spool_open(&k->spool, k->folder), 0);
	return 0;
}

static inline int
kit_stop(void **state)
{
	struct kit *k = *state;
	char command[128];

	spool_close(&k->spool);
	close(k->lock);
	close(k->state);
	snprintf(command, sizeof(command), "rm -rf %s", k->folder);
	assert_int_equal(system(command), 0);
	free(k);
	return 0;
}

/* The head of a message of one copy and one recipient. */
static inline void
kit_head(const char *id, struct buf *out)
{
	struct queue_rcpt rcpt = {.path = BYTES_LIT("<b@two.example>"),
	    .to = BYTES_LIT("<b@two.example>"), .due_s = 1000000000};
	struct queue_copy copy = {.mail_from = BYTES_LIT("<a@one.example>"),
	    .added = BYTES_LIT(KIT_ADDED), .rcpts = &rcpt, .n_rcpts = 1,
	    .signed_as = BYTES_LIT("signed=no")};
	struct queue_message m = {.id = bytes_of(id),
	    .listener = BYTES_LIT("in"), .arrived_s = 1000000000,
	    .signed_s = 1000000000, .client = BYTES_LIT("[192.0.2.1]:25"),
	    .mail_from = BYTES_LIT("<a@one.example>"),
	    .copies = &copy, .n_copies = 1,
	    .n_content = sizeof(KIT_CONTENT) - 1};

	assert_int_equal(queue_file_write(&m, out), 0);
	assert_false(out->full);
}

/* A whole file. */
static inline void
kit_file(const char *id, struct buf *out)
{
	kit_head(id, out);
	buf_add_str(out, KIT_ADDED KIT_CONTENT);
	assert_false(out->full);
}

static inline int
kit_try_write(struct kit *k, const char *id)
{
	char room[2048];
	struct buf head = BUF_ON(room);
	struct bytes pieces[3];

	kit_head(id, &head);
	pieces[0] = buf_bytes(&head);
	pieces[1] = BYTES_LIT(KIT_ADDED);
	pieces[2] = BYTES_LIT(KIT_CONTENT);
	return spool_write(k->state, id, pieces, 3);
}

static inline void
kit_write(struct kit *k, const char *id)
{
	assert_int_equal(kit_try_write(k, id), 0);
}

static inline int
kit_commit(struct kit *k, const char *id)
{
	struct spool_commit c = {.result = 1};

	snprintf(c.id, sizeof(c.id), "%s", id);
	spool_commit(k->spool, &c, 1);
	assert_true(c.result <= 0);
	return c.result;
}

/* A path below the spool; the caller's until the fourth call after. */
static inline const char *
kit_path(const struct kit *k, const char *folder, const char *name)
{
	static char rooms[4][400];
	static unsigned at;
	char *room = rooms[at++ % 4];

	snprintf(room, sizeof(rooms[0]), "%s/queue/%s/%s", k->folder, folder,
	    name);
	return room;
}

static inline bool
kit_is_in(const struct kit *k, const char *folder, const char *name)
{
	struct stat st;

	return lstat(kit_path(k, folder, name), &st) == 0;
}

/* Puts octets into a file, past all rules. */
static inline void
kit_put(const struct kit *k, const char *folder, const char *name,
    struct bytes octets, mode_t mode)
{
	const char *path = kit_path(k, folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets.p, octets.n), octets.n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* Whether a file has just those octets. */
static inline bool
kit_has(const struct kit *k, const char *folder, const char *name,
    struct bytes octets)
{
	uint8_t room[8192];
	int fd = open(kit_path(k, folder, name), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, room, sizeof(room));
	close(fd);
	return n >= 0 && bytes_eq((struct bytes){room, (size_t)n}, octets);
}

static inline bool
kit_is_whole(const struct kit *k, const char *folder, const char *id)
{
	char room[2048];
	struct buf b = BUF_ON(room);

	kit_file(id, &b);
	return kit_has(k, folder, id, buf_bytes(&b));
}

#endif
