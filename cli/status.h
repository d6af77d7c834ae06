/*
 * hopseal status: the lines that hopseald says of itself (daemon/status.h):
 * of a kind each, with fields that are a text or a number. Kinds and fields
 * that are not known here are shown by --json all the same.
 */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "base/arena.h"
#include "base/bytes.h"

struct status_field {
	struct bytes name;
	struct bytes text;	/* of a number: its digits */
	bool is_number;
};

struct status_line {
	struct bytes kind;
	struct status_field *fields;
	size_t n;
};

struct status {
	struct status_line *lines;
	size_t n;
};

/*
 * Reads the lines; what is no field is left out.
 *
 * Returns  0, or -E_NOMEM where the arena is full
 * Lifetime text and arena
 */
int status_read(struct status *s, struct bytes text, struct arena *a);

/* The n-th line of a kind, from 0; NULL: there are not so many. */
const struct status_line *status_line(const struct status *s,
    const char *kind, size_t n);

/* A field; p == NULL where the line, or the field, is not there. */
struct bytes status_text(const struct status_line *l, const char *name);

/* A number; 0 where it is not there. */
int64_t status_number(const struct status_line *l, const char *name);

/* On standard output: for eyes, and as one line of JSON. */
int status_put(const struct status *s, int64_t now_s, struct arena *a);
void status_put_json(const struct status *s);

#endif
