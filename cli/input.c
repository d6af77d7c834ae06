#include "cli/input.h"

#include "base/err.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK ((size_t)1 << 16)
#define MAX_FIELDS 10000U

static int
read_all(FILE *f, const char *name, size_t max, struct bytes *octets)
{
	uint8_t *p = NULL;
	size_t n = 0, cap = 0;

	for (;;) {
		size_t got;

		if (n == cap) {
			uint8_t *more;

			cap = cap == 0 ? BLOCK : cap * 2;
			more = realloc(p, cap);
			if (more == NULL) {
				free(p);
				return cli_fail(CLI_CANNOT, "out of memory");
			}
			p = more;
		}
		got = fread(p + n, 1, cap - n, f);
		n += got;
		*octets = (struct bytes){p, n};
		if (n > max)
			return cli_fail(CLI_CANNOT, "%s: more than %zu octets",
			    name, max);
		if (got == 0)
			break;
	}
	if (ferror(f))
		return cli_fail(CLI_UNREADABLE, "%s: %s", name,
		    strerror(errno));
	return 0;
}

int
input_read(const char *path, size_t max, struct bytes *octets)
{
	FILE *f = stdin;
	int r;

	*octets = (struct bytes){NULL, 0};
	if (path == NULL || strcmp(path, "-") == 0)
		return read_all(f, "standard input", max, octets);
	f = fopen(path, "rbe");
	if (f == NULL)
		return cli_fail(CLI_UNREADABLE, "%s: %s", path,
		    strerror(errno));
	setvbuf(f, NULL, _IONBF, 0);	/* a key stays in one place only */
	r = read_all(f, path, max, octets);
	fclose(f);
	return r;
}

/* Counts LF without a CR before them, and those with one. */
static void
count_line_ends(struct bytes raw, size_t *lf, size_t *crlf)
{
	*lf = *crlf = 0;
	for (size_t k = 0; k < raw.n; k++) {
		if (raw.p[k] != '\n')
			continue;
		if (k != 0 && raw.p[k - 1] == '\r')
			++*crlf;
		else
			++*lf;
	}
}

static int
make_crlf(struct input_message *m, struct arena *a)
{
	size_t lf, crlf;
	struct buf out;

	count_line_ends(m->raw, &lf, &crlf);
	m->octets = m->raw;
	m->is_lf = lf != 0 && crlf == 0;
	if (lf == 0)
		return 0;
	if (arena_buf(a, m->raw.n + lf, &out) != 0)
		return cli_fail(CLI_CANNOT, "out of memory");
	for (size_t k = 0; k < m->raw.n; k++) {
		if (m->raw.p[k] == '\n' && (k == 0 || m->raw.p[k - 1] != '\r'))
			buf_add_octet(&out, '\r');
		buf_add_octet(&out, m->raw.p[k]);
	}
	m->octets = buf_bytes(&out);
	return 0;
}

/* The header block; without an empty line all is header, and ends in CRLF. */
static int
split(struct input_message *m, struct arena *a, struct bytes *header)
{
	size_t body_at;
	size_t end = dkim2_header_end(m->octets, &body_at);

	if (end != SIZE_MAX) {
		*header = bytes_first(m->octets, end);
		m->body = bytes_skip(m->octets, body_at);
		return 0;
	}
	m->body = (struct bytes){NULL, 0};
	*header = m->octets;
	if (header->n != 0 && !bytes_ends(*header, BYTES_LIT("\r\n"))) {
		struct buf out;

		if (arena_buf(a, header->n + 2, &out) != 0)
			return cli_fail(CLI_CANNOT, "out of memory");
		buf_add(&out, *header);
		buf_add_str(&out, "\r\n");
		*header = buf_bytes(&out);
	}
	return 0;
}

int
input_message_load(struct input_message *m, const char *path, struct arena *a)
{
	struct bytes header;
	int r;

	*m = (struct input_message){0};
	r = input_read(path, INPUT_MAX, &m->raw);
	if (r == 0)
		r = make_crlf(m, a);
	if (r == 0)
		r = split(m, a, &header);
	if (r != 0)
		return r;
	r = dkim2_message_parse(&m->fields, header, MAX_FIELDS, a);
	if (r == -E_NOMEM)
		return cli_fail(CLI_CANNOT, "out of memory");
	m->is_message = r == 0;
	return 0;
}

void
input_message_fini(struct input_message *m)
{
	free((void *)m->raw.p);
	m->raw = (struct bytes){NULL, 0};
}

struct bytes
input_path(const char *address, struct arena *a)
{
	struct bytes b = bytes_of(address);
	struct buf out;

	if (bytes_starts(b, BYTES_LIT("<")) && bytes_ends(b, BYTES_LIT(">")))
		return b;
	if (arena_buf(a, b.n + 2, &out) != 0)
		return (struct bytes){NULL, 0};
	buf_add_octet(&out, '<');
	buf_add(&out, b);
	buf_add_octet(&out, '>');
	return buf_bytes(&out);
}
