#include "tests/scenario/cells.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"

static struct bytes
line_of(struct bytes *rest)
{
	struct bytes line = bytes_first(*rest, bytes_index(*rest, '\n'));

	*rest = bytes_skip(*rest, line.n + (line.n < rest->n));
	return line;
}

static struct bytes
trim(struct bytes b)
{
	while (b.n != 0 && ascii_is_wsp(b.p[0]))
		b = bytes_skip(b, 1);
	while (b.n != 0 && ascii_is_wsp(b.p[b.n - 1]))
		b.n--;
	return b;
}

/* A cell is a line. */
static struct bytes
lines_of(struct bytes row)
{
	struct buf b = {malloc(2 * row.n), 0, 2 * row.n, false};

	assert(b.p != NULL);
	while (row.n != 0) {
		struct bytes cell = bytes_first(row, bytes_index(row, '|'));

		row = bytes_skip(row, cell.n + (cell.n < row.n));
		buf_add(&b, trim(cell));
		buf_add_octet(&b, '\n');
	}
	return buf_bytes(&b);
}

struct rows {
	const char *file;
	unsigned no;
	struct bytes common;
	struct scenario *list;
	size_t n, max;
};

static void
add_row(struct rows *r, struct bytes row)
{
	struct scenario *s = &r->list[r->n++];

	assert(r->n <= r->max);
	*s = (struct scenario){.file = r->file, .line = r->no,
	    .common = r->common, .text = lines_of(row)};
	snprintf(s->title, sizeof(s->title), "%.*s", BYTES_FMT(row));
}

/* A row for each of what stands in the first braces, and so on. */
static void
add_rows(struct rows *r, struct bytes row)
{
	size_t open = bytes_index(row, '{'), close = bytes_index(row, '}');
	struct bytes before = bytes_first(row, open);
	struct bytes behind = bytes_skip(row, close + 1);
	struct bytes inside = bytes_skip(bytes_first(row, close), open + 1);

	if (open == row.n) {
		add_row(r, row);
		return;
	}
	while (inside.n != 0) {
		struct bytes one = bytes_first(inside, bytes_index(inside,
		    ';'));
		size_t room = row.n;
		struct buf b = {malloc(room), 0, room, false};

		assert(b.p != NULL);
		inside = bytes_skip(inside, one.n + 1);
		buf_add(&b, before);
		buf_add(&b, trim(one));
		buf_add(&b, behind);
		add_rows(r, buf_bytes(&b));
		free(b.p);
	}
}

/* Rows have bars; nothing else does. */
size_t
cells_make(const char *file, struct bytes text, struct scenario *list,
    size_t max)
{
	struct rows r = {.file = file, .common = text, .list = list,
	    .max = max};

	for (struct bytes rest = text; rest.n != 0;) {
		struct bytes line = line_of(&rest);

		r.no++;
		if (line.n == 0 || line.p[0] == '#' || ascii_is_wsp(line.p[0]) ||
		    bytes_index(line, '|') == line.n)
			continue;
		if (r.n == 0)
			r.common.n = (size_t)(line.p - text.p);
		add_rows(&r, line);
	}
	return r.n;
}
