#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/spool_state.h"

#define START 64U		/* octets that tell how many the head has */
/* What parsing makes beside the octets of the head. */
#define ARENA_MORE ((size_t)8 << 20)

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* ---- reading ------------------------------------------------------------- */

/* -E_SYNTAX where the file ends before. */
static int
read_all(int fd, uint8_t *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = pread(fd, p + done, n - done, (off_t)done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -E_SYSTEM;
		if (r == 0)
			return -E_SYNTAX;
		done += (size_t)r;
	}
	return 0;
}

static int
parse(int fd, size_t n_head, const char *id, struct arena *a,
    struct queue_message *m, uint64_t n_file, const char **why)
{
	struct buf room;
	int r;

	if (arena_room(a, n_head, &room) != 0)
		return -E_NOMEM;
	*why = "cut short";
	r = read_all(fd, room.p, n_head);
	if (r != 0)
		return r;
	*why = "a head that can not be read";
	r = queue_file_parse((struct bytes){room.p, n_head}, a, m);
	if (r == -E_LIMIT)		/* of a bound: of no version */
		r = -E_SYNTAX;
	if (r != 0)
		return r;
	*why = "with another name than its id";
	if (!bytes_eq(m->id, bytes_of(id)))
		return -E_SYNTAX;
	*why = "not of the size that its head says";
	if (m->n_file != n_file)
		return -E_SYNTAX;
	return 0;
}

int
spool_read_head(int fd, const char *id, struct arena **a,
    struct queue_message *m, const char **why)
{
	uint8_t start[START];
	struct stat st;
	int64_t n_head;
	size_t n;
	int r;

	*why = NULL;
	if (fstat(fd, &st) != 0)
		return -E_SYSTEM;
	n = st.st_size < (off_t)START ? (size_t)st.st_size : START;
	r = read_all(fd, start, n);
	if (r == -E_SYSTEM)
		return r;
	n_head = queue_file_head((struct bytes){start, n});
	if (n_head < 0) {
		*why = "of another version";
		return -E_LIMIT;
	}
	if (r != 0 || n_head == 0 || n_head > (int64_t)QUEUE_HEAD_MAX ||
	    n_head > st.st_size) {
		*why = "no queue file";
		return -E_SYNTAX;
	}
	*a = arena_new((size_t)n_head * 2 + ARENA_MORE);
	if (*a == NULL)
		return -E_NOMEM;
	r = parse(fd, (size_t)n_head, id, *a, m, (uint64_t)st.st_size, why);
	if (r != -E_SYNTAX)
		*why = NULL;
	if (r != 0)
		arena_free(a);
	return r;
}

/*
 * Every octet is read once, here: one that can not be had is an error, and
 * not a signal later on.
 */
static int
map(struct spool_file *f)
{
	void *p;

	f->n_map = (size_t)f->m.n_file;
	p = mmap(NULL, f->n_map, PROT_READ, MAP_SHARED, f->fd, 0);
	if (p == MAP_FAILED)
		return -E_SYSTEM;
	f->map = p;
	if (madvise(p, f->n_map, MADV_POPULATE_READ) == 0 || errno == EINVAL)
		return 0;
	if (errno == EFAULT)
		errno = EIO;
	return -E_SYSTEM;
}

/* ---- opening ------------------------------------------------------------- */

/*
 * Looked at by name first: to open a device or a pipe may do something.
 * *why is set where it is no file of ours.
 */
static int
open_ours(struct spool_file *f, struct spool *s, const char *id,
    const char **why)
{
	struct stat st, opened;

	if (fstatat(s->mail, id, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? -E_ABSENT : -E_SYSTEM;
	if (st.st_nlink == 2) {
		struct stat fresh;

		if (fstatat(s->fresh, id, &fresh, AT_SYMLINK_NOFOLLOW) == 0 &&
		    spool_is_in_mail(s, id, &fresh) &&
		    unlinkat(s->fresh, id, 0) == 0)
			st.st_nlink = 1;
	}
	*why = spool_foreign(s, &st);
	if (*why != NULL)
		return -E_SYNTAX;
	f->fd = openat(s->mail, id, O_RDWR | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	if (f->fd < 0)
		return errno == ENOENT ? -E_ABSENT : -E_SYSTEM;
	if (fstat(f->fd, &opened) != 0)
		return -E_SYSTEM;
	*why = opened.st_ino == st.st_ino && opened.st_dev == st.st_dev ?
	    NULL : "replaced by another";
	return *why == NULL ? 0 : -E_SYNTAX;
}

int
spool_file_open(struct spool_file *f, struct spool *s, const char *id,
    bool is_whole)
{
	const char *why = NULL;
	int r, was;

	*f = (struct spool_file){.fd = -1};
	if (!queue_id_is(bytes_of(id)))
		return -E_ABSENT;
	r = open_ours(f, s, id, &why);
	if (r == 0)
		r = spool_read_head(f->fd, id, &f->arena, &f->m, &why);
	if (r == 0 && is_whole)
		r = map(f);
	if (r == 0)
		return 0;
	was = errno;
	if (r == -E_SYNTAX)
		(void)spool_set_aside(s, s->mail, id, why);
	else if (r == -E_LIMIT)
		log_line(LOG_ERROR_, "queue: %s: of another version: it is "
		    "left where it is", id);
	spool_file_close(f);
	errno = was;
	return r;
}

void
spool_file_close(struct spool_file *f)
{
	if (f->map != NULL)
		munmap((void *)(uintptr_t)f->map, f->n_map);
	if (f->fd >= 0)
		close(f->fd);
	arena_free(&f->arena);
	*f = (struct spool_file){.fd = -1};
}

struct bytes
spool_file_added(const struct spool_file *f, const struct queue_copy *c)
{
	return (struct bytes){f->map + c->added_at, c->added.n};
}

struct bytes
spool_file_content(const struct spool_file *f)
{
	return (struct bytes){f->map + f->m.content_at,
	    (size_t)f->m.n_content};
}

struct bytes
spool_file_returned(const struct spool_file *f)
{
	return (struct bytes){f->map + f->m.returned_at,
	    (size_t)f->m.n_returned};
}

int
spool_file_patch(struct spool_file *f, const struct queue_patch *p)
{
	size_t done = 0;

	while (done < p->n) {
		ssize_t n = pwrite(f->fd, p->octets + done, p->n - done,
		    (off_t)(p->at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -E_SYSTEM;
		done += (size_t)n;
	}
	return 0;
}
