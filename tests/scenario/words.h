/*
 * Words that stand for lines of a scenario:
 *
 *     with NAME
 *         the indented lines that follow
 *
 * In them $1 to $9 are what stands behind the word where it is used, $N... is
 * the N-th of them and all behind it; what is not there is empty.
 */
#ifndef SCENARIO_WORDS_H
#define SCENARIO_WORDS_H

#include "base/buf.h"

#define WORDS_MAX 150

struct word {
	struct bytes name;
	struct bytes lines;	/* with their indent */
};

struct words {
	struct word of[WORDS_MAX];
	size_t n;
};

/* NULL: there is no such word. */
const struct word *words_find(const struct words *w, struct bytes name);

/*
 * Adds one; of two with the same name the later one counts.
 *
 * Returns  it, without lines
 */
struct word *words_add(struct words *w, struct bytes name);

/* Writes what a line that begins with the word stands for, without indent. */
void words_expand(const struct word *word, struct bytes line, struct buf *out);

#endif
