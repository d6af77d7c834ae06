#include "cli/queue.h"

#include "base/err.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#define START 64U		/* octets that say how long a head is */
#define BLOCK 65536U

int
queue_folder_open(struct queue_folder *f, const char *path)
{
	*f = (struct queue_folder){path, -1, -1};
	f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0)
		return cli_fail(CLI_UNREADABLE, "%s: %s", path,
		    strerror(errno));
	f->mail = openat(f->fd, "mail", O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (f->mail < 0) {
		cli_fail(0, "%s/mail: %s", path, strerror(errno));
		queue_folder_close(f);
		return CLI_UNREADABLE;
	}
	return 0;
}

void
queue_folder_close(struct queue_folder *f)
{
	if (f->mail >= 0)
		close(f->mail);
	if (f->fd >= 0)
		close(f->fd);
	f->mail = f->fd = -1;
}

/* Names are shown, too: anybody may have made the file. */
static int
fail(int code, const char *name, const char *why)
{
	char shown[4 * 256];
	struct buf b = BUF_ON(shown);

	buf_add_escaped(&b, bytes_of(name), 200);
	return cli_fail(code, "%.*s: %s", BYTES_FMT(buf_bytes(&b)), why);
}

/* All n octets from an offset on, or -1 (errno; 0 where the file ends). */
static int
read_at(int fd, uint8_t *p, size_t n, uint64_t at)
{
	while (n != 0) {
		ssize_t got = pread(fd, p, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got == 0)
				errno = 0;
			return -1;
		}
		p += got;
		n -= (size_t)got;
		at += (uint64_t)got;
	}
	return 0;
}

static const char *
error_text(void)
{
	return errno == 0 ? "it ends too early" : strerror(errno);
}

/* What stands in its head, once it is known to be a file of n octets. */
static int
read_head(struct queue_open *o, const char *name, uint64_t n, struct arena *a)
{
	uint8_t start[START];
	size_t n_start = n < START ? (size_t)n : START;
	struct buf head;
	int64_t n_head;
	int r;

	if (read_at(o->fd, start, n_start, 0) != 0)
		return fail(CLI_UNREADABLE, name, error_text());
	n_head = queue_file_head((struct bytes){start, n_start});
	if (n_head == -E_LIMIT)
		return fail(CLI_UNREADABLE, name,
		    "of another version of hopseal");
	if (n_head <= 0 || (uint64_t)n_head > n)
		return fail(CLI_UNREADABLE, name, "no queue file");
	o->n_head = (uint64_t)n_head;
	if (arena_room(a, (size_t)n_head, &head) != 0)
		return cli_fail(CLI_CANNOT, "out of memory");
	if (read_at(o->fd, head.p, (size_t)n_head, 0) != 0)
		return fail(CLI_UNREADABLE, name, error_text());
	head.n = (size_t)n_head;
	r = queue_file_parse(buf_bytes(&head), a, &o->m);
	if (r == -E_NOMEM)
		return cli_fail(CLI_CANNOT, "out of memory");
	if (r != 0)
		return fail(CLI_UNREADABLE, name, "corrupt: its head does not "
		    "read");
	if (o->m.n_file != n)
		return fail(CLI_UNREADABLE, name, "corrupt: it is longer or "
		    "shorter than its head says");
	return 0;
}

int
queue_open(struct queue_open *o, int folder, const char *name,
    struct arena *a)
{
	struct stat st;
	int r;

	arena_reset(a);
	*o = (struct queue_open){.fd = -1};
	/* a FIFO would make us wait */
	o->fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	if (o->fd < 0 && errno == ENOENT)
		return QUEUE_NOT_THERE;
	if (o->fd < 0)
		return fail(CLI_UNREADABLE, name,
		    errno == ELOOP ? "a link, and no file" : strerror(errno));
	if (fstat(o->fd, &st) != 0)
		r = fail(CLI_UNREADABLE, name, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		r = fail(CLI_UNREADABLE, name, "not a regular file");
	else
		r = read_head(o, name, (uint64_t)st.st_size, a);
	if (r == 0 && folder != AT_FDCWD &&
	    !bytes_eq(o->m.id, bytes_of(name)))
		r = fail(CLI_UNREADABLE, name, "corrupt: it has another id");
	if (r != 0)
		queue_close(o);
	return r;
}

void
queue_close(struct queue_open *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}

/* LF, CR and HTAB are what text is made of; a CR goes only before an LF. */
static void
put_safe(const uint8_t *p, size_t n, FILE *out)
{
	for (size_t k = 0; k < n; k++) {
		if (p[k] == '\n' || p[k] == '\t' ||
		    (p[k] >= ' ' && p[k] != 0x7f && p[k] < 0x80))
			fputc(p[k], out);
		else if (p[k] != '\r')
			fprintf(out, "\\%03o", p[k]);
	}
}

int
queue_copy_octets(int fd, uint64_t from, uint64_t n, FILE *out, bool is_safe)
{
	static uint8_t block[BLOCK];

	while (n != 0) {
		size_t want = n < BLOCK ? (size_t)n : BLOCK;

		if (read_at(fd, block, want, from) != 0)
			return cli_fail(CLI_UNREADABLE, "%s", error_text());
		if (is_safe)
			put_safe(block, want, out);
		else if (fwrite(block, 1, want, out) != want)
			return cli_fail(CLI_CANNOT, "%s", strerror(errno));
		from += want;
		n -= want;
	}
	return 0;
}
