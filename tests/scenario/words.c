#include "tests/scenario/words.h"

#include <assert.h>

#include "base/ascii.h"

#define ARGUMENTS 10	/* the word itself is $0 */

const struct word *
words_find(const struct words *w, struct bytes name)
{
	for (size_t k = w->n; k-- > 0;)
		if (bytes_eq(w->of[k].name, name))
			return &w->of[k];
	return NULL;
}

struct word *
words_add(struct words *w, struct bytes name)
{
	assert(w->n < WORDS_MAX);
	w->of[w->n] = (struct word){name, {NULL, 0}};
	return &w->of[w->n++];
}

static struct bytes
trim(struct bytes b)
{
	while (b.n != 0 && ascii_is_wsp(b.p[0]))
		b = bytes_skip(b, 1);
	return b;
}

/* Each argument, with all that stands behind it. */
static void
split(struct bytes line, struct bytes from[ARGUMENTS])
{
	for (size_t k = 0; k < ARGUMENTS; k++) {
		line = trim(line);
		from[k] = line;
		line = bytes_skip(line, bytes_index(line, ' '));
	}
}

void
words_expand(const struct word *word, struct bytes line, struct buf *out)
{
	struct bytes from[ARGUMENTS];
	struct bytes rest = word->lines;
	bool is_begun = true;		/* of a line: its indent goes */

	split(line, from);
	while (rest.n != 0) {
		struct bytes one;

		if (is_begun)
			rest = trim(rest);
		is_begun = rest.n != 0 && rest.p[0] == '\n';
		if (rest.n < 2 || rest.p[0] != '$' ||
		    !ascii_is_digit(rest.p[1])) {
			buf_add(out, bytes_first(rest, 1));
			rest = bytes_skip(rest, rest.n < 1 ? 0 : 1);
			continue;
		}
		one = from[rest.p[1] - '0'];
		rest = bytes_skip(rest, 2);
		if (bytes_starts(rest, BYTES_LIT("...")))
			rest = bytes_skip(rest, 3);
		else
			one.n = bytes_index(one, ' ');
		buf_add(out, one);
	}
}
