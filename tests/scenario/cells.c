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

/* Rows have bars; nothing else does. */
size_t
cells_make(const char *file, struct bytes text, struct scenario *list,
    size_t max)
{
	struct bytes common = text;
	size_t n = 0;
	unsigned no = 0;

	for (struct bytes rest = text; rest.n != 0;) {
		struct bytes line = line_of(&rest);

		no++;
		if (line.n == 0 || line.p[0] == '#' || ascii_is_wsp(line.p[0]) ||
		    bytes_index(line, '|') == line.n)
			continue;
		assert(n < max);
		if (n == 0)
			common.n = (size_t)(line.p - text.p);
		list[n] = (struct scenario){.file = file, .line = no,
		    .common = common, .text = lines_of(line)};
		snprintf(list[n++].title, sizeof(list[0].title), "%.*s",
		    BYTES_FMT(line));
	}
	return n;
}
