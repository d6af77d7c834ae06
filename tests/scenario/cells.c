#include "tests/scenario/cells.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"

#define MEANINGS 200
#define SCENARIO_TEXT 16384
#define WORDS 10

struct meaning {
	struct bytes name;
	struct bytes lines;	/* with their indent */
};

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

/* The lines of a meaning, $N replaced; the last word takes all the rest. */
static void
expand(struct bytes lines, const struct bytes *words, size_t n,
    struct buf *out)
{
	while (lines.n != 0) {
		struct bytes line = trim(line_of(&lines));

		for (size_t k = 0; k < line.n; k++) {
			size_t at = k + 1 < line.n && line.p[k] == '$'
			    ? (size_t)(line.p[k + 1] - '0') : WORDS;

			if (at < n) {
				buf_add(out, words[at]);
				k++;
			} else {
				buf_add_octet(out, line.p[k]);
			}
		}
		buf_add_octet(out, '\n');
	}
}

static void
add_cell(const struct meaning *m, size_t n_m, struct bytes cell,
    struct buf *out)
{
	struct bytes words[WORDS] = {{NULL, 0}};
	struct bytes rest = cell;
	size_t n = 0;

	for (size_t k = 0; k < n_m; k++) {
		if (!bytes_starts(cell, m[k].name) || (cell.n > m[k].name.n &&
		    cell.p[m[k].name.n] != ' '))
			continue;
		words[n++] = m[k].name;
		rest = trim(bytes_skip(cell, m[k].name.n));
		while (rest.n != 0 && n < WORDS) {
			words[n] = bytes_first(rest, bytes_index(rest, ' '));
			rest = trim(bytes_skip(rest, words[n++].n));
		}
		expand(m[k].lines, words, n, out);
		return;
	}
	buf_add(out, cell);
	buf_add_octet(out, '\n');
}

static void
make_row(const struct meaning *m, size_t n, struct bytes row,
    struct scenario *s)
{
	struct buf b = {malloc(SCENARIO_TEXT), 0, SCENARIO_TEXT, false};

	assert(b.p != NULL);
	snprintf(s->title, sizeof(s->title), "%.*s", BYTES_FMT(row));
	for (struct bytes rest = row; rest.n != 0;) {
		struct bytes cell = bytes_first(rest, bytes_index(rest, '|'));

		rest = bytes_skip(rest, cell.n + (cell.n < rest.n));
		add_cell(m, n, trim(cell), &b);
	}
	assert(!b.full);
	s->text = buf_bytes(&b);
}

size_t
cells_make(const char *file, struct bytes text, struct scenario *list,
    size_t max)
{
	static struct meaning m[MEANINGS];
	struct bytes common = {text.p, 0};
	size_t n_m = 0, n = 0;
	unsigned no = 0;

	for (struct bytes rest = text; rest.n != 0;) {
		struct bytes line = line_of(&rest);

		no++;
		if (bytes_starts(line, BYTES_LIT("with "))) {
			assert(n_m < MEANINGS);
			m[n_m++] = (struct meaning){
			    trim(bytes_skip(line, 5)), {rest.p, 0}};
		} else if (n_m == 0) {
			common.n = (size_t)(rest.p - common.p);
		} else if (line.n == 0 || line.p[0] == '#') {
			continue;
		} else if (ascii_is_wsp(line.p[0])) {
			m[n_m - 1].lines.n =
			    (size_t)(rest.p - m[n_m - 1].lines.p);
		} else {
			assert(n < max);
			list[n] = (struct scenario){.file = file, .line = no,
			    .common = common};
			make_row(m, n_m, line, &list[n++]);
		}
	}
	return n;
}
