#include "daemon/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"

#define IN_MEMORY (256U * 1024)
#define LARGE_MAX (2U * 1024 * 1024)
#define LARGE_N 16U		/* such bodies in memory at a time */
#define SPARES 4U

/* Maps of LARGE_MAX octets each, of this process. New pages cost more than all
 * else that is done with an octet: some are kept. */
static struct {
	unsigned n;		/* that bodies have now */
	unsigned n_spare;
	uint8_t *spare[SPARES];
} large;

void
content_init(struct content *c, int folder)
{
	*c = (struct content){.folder = folder, .file = -1};
}

/* NULL: a file is better. */
static uint8_t *
take_large(void)
{
	void *p;

	if (large.n == LARGE_N)
		return NULL;
	if (large.n_spare != 0)
		p = large.spare[--large.n_spare];
	else
		p = mmap(NULL, LARGE_MAX, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	large.n++;
	return p;
}

static void
free_body(struct content *c)
{
	if (c->cap_body != LARGE_MAX) {
		free(c->body);
	} else {
		large.n--;
		if (large.n_spare < SPARES)
			large.spare[large.n_spare++] = c->body;
		else
			munmap(c->body, LARGE_MAX);
	}
	c->body = NULL;
	c->cap_body = 0;
}

void
content_fini(struct content *c)
{
	if (c->is_mapped)
		munmap(c->body, c->n_body);
	else
		free_body(c);
	if (c->file >= 0)
		close(c->file);
	free(c->header);
	content_init(c, -1);
}

/* Room for n more octets behind the first used ones. */
static int
grow(uint8_t **p, size_t used, size_t *cap, size_t n)
{
	size_t want = *cap == 0 ? 4096 : *cap;
	uint8_t *q;

	if (n <= *cap - used)
		return 0;
	while (want - used < n)
		want *= 2;
	q = realloc(*p, want);
	if (q == NULL)
		return -E_NOMEM;
	*p = q;
	*cap = want;
	return 0;
}

/* Looks for the empty line among the octets from `from` on. */
static void
find_end(struct content *c, size_t from)
{
	struct bytes all = {c->header, c->n_header};
	size_t at;

	if (bytes_starts(all, BYTES_LIT("\r\n"))) {
		c->has_header = true;
		c->n_block = 0;
		c->n_header = 2;
		return;
	}
	from = from < 3 ? 0 : from - 3;
	at = from + bytes_find(bytes_skip(all, from), BYTES_LIT("\r\n\r\n"));
	if (at < all.n) {
		c->has_header = true;
		c->n_block = at + 2;
		c->n_header = at + 4;
	}
}

int
content_add_header(struct content *c, struct bytes *octets, size_t max)
{
	size_t before = c->n_header;
	size_t added = octets->n;

	if (grow(&c->header, before, &c->cap_header, added) != 0)
		return -E_NOMEM;
	if (added != 0)
		memcpy(c->header + before, octets->p, added);
	c->n_header += added;
	find_end(c, before);
	if (!c->has_header) {
		*octets = (struct bytes){NULL, 0};
		return c->n_header > max ? -E_LIMIT : 0;
	}
	*octets = bytes_skip(*octets, c->n_header - before);
	return c->n_block > max ? -E_LIMIT : 0;
}

static int
write_all(int fd, struct bytes b)
{
	while (b.n != 0) {
		ssize_t n = write(fd, b.p, b.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -E_SYSTEM;
		b = bytes_skip(b, (size_t)n);
	}
	return 0;
}

/* From memory to an unlinked file: nobody else can ever name it. */
static int
to_file(struct content *c)
{
	int fd = -1;

	if (c->folder >= 0)
		fd = openat(c->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC,
		    0600);
	if (fd < 0)
		fd = memfd_create("message", MFD_CLOEXEC);
	if (fd < 0)
		return -E_SYSTEM;
	c->file = fd;
	if (write_all(fd, (struct bytes){c->body, c->n_body}) != 0)
		return -E_SYSTEM;
	free_body(c);
	return 0;
}

/* More than IN_MEMORY with n octets more: storage, or a file, for them. */
static int
outgrow(struct content *c, size_t n)
{
	uint8_t *p;

	if (c->cap_body == LARGE_MAX)
		return n <= LARGE_MAX - c->n_body ? 0 : to_file(c);
	p = n <= LARGE_MAX - c->n_body ? take_large() : NULL;
	if (p == NULL)
		return to_file(c);
	if (c->n_body != 0)
		memcpy(p, c->body, c->n_body);
	free(c->body);
	c->body = p;
	c->cap_body = LARGE_MAX;
	return 0;
}

int
content_add_body(struct content *c, struct bytes octets)
{
	int r = 0;

	if (octets.n == 0)
		return 0;
	if (c->file < 0 && c->n_body + octets.n > IN_MEMORY)
		r = outgrow(c, octets.n);
	if (r == 0 && c->file >= 0)
		r = write_all(c->file, octets);
	else if (r == 0)
		r = grow(&c->body, c->n_body, &c->cap_body, octets.n);
	if (r != 0)
		return r;
	if (c->file < 0)
		memcpy(c->body + c->n_body, octets.p, octets.n);
	c->n_body += octets.n;
	return 0;
}

int
content_end(struct content *c)
{
	void *p;

	if (!c->has_header) {
		c->has_header = true;
		c->n_block = c->n_header;
	}
	if (c->file < 0)
		return 0;
	p = mmap(NULL, c->n_body, PROT_READ, MAP_PRIVATE, c->file, 0);
	if (p == MAP_FAILED)
		return -E_SYSTEM;
	c->body = p;
	c->is_mapped = true;
	return 0;
}

struct bytes
content_block(const struct content *c)
{
	return (struct bytes){c->header, c->n_block};
}

struct bytes
content_header(const struct content *c)
{
	return (struct bytes){c->header, c->n_header};
}

struct bytes
content_body(const struct content *c)
{
	return (struct bytes){c->body, c->n_body};
}
