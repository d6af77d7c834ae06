/*
 * Runs scenarios written as text; tests/scenario/README says what their lines
 * mean. One file holds many, each from `== TITLE` to the next.
 */
#ifndef SCENARIO_SCRIPT_H
#define SCENARIO_SCRIPT_H

#include "base/buf.h"

struct scenario {
	const char *file;
	char title[120];
	unsigned line;		/* of its first line in the file */
	struct bytes text;	/* its lines */
	struct bytes common;	/* what stands before the first of the file */
	struct bytes words;	/* before that: those of all files */
};

/* Cuts a file into scenarios; views of its text. Returns how many. */
size_t scenario_split(const char *file, struct bytes text,
    struct scenario *list, size_t max);

/*
 * Runs one from beginning to end.
 *
 * why      "FILE:LINE: what was expected and what came", where it fails
 * Returns  whether all came as it says, and nothing was left behind
 */
bool scenario_run(const struct scenario *s, struct buf *why);

#endif
