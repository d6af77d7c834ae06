/*
 * A strict JSON reader: it hands out one event after the other and builds
 * nothing. What it accepts is RFC 8259 in UTF-8, and no more: no byte order
 * mark, no comments, nothing behind the value, no lone surrogates.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"

enum json_event {
	JSON_BAD,	/* what stands at `at` is not JSON, or is too deep */
	JSON_END,	/* the whole value was read and nothing is behind it */
	JSON_OBJECT,
	JSON_OBJECT_END,
	JSON_ARRAY,
	JSON_ARRAY_END,
	JSON_KEY,	/* text; the value follows */
	JSON_STRING,	/* text */
	JSON_NUMBER,	/* text; for bytes_number() where it is a natural one */
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
};

struct json {
	struct bytes in;
	size_t at;
	struct bytes text;	/* view: a number, or what is between quotes */
	size_t depth;		/* arrays and objects that are open */
	size_t max_depth;
	uint8_t *is_object;	/* a bit for each open one */
	uint8_t expect;
};

/*
 * Begins to read.
 *
 * in       read as events are taken; text is a view of it
 * a        takes max_depth / 8 octets
 * Returns  0 or -E_NOMEM
 */
int json_init(struct json *j, struct bytes in, size_t max_depth,
    struct arena *a);

/* The next event; after JSON_BAD and JSON_END always the same again. */
enum json_event json_next(struct json *j);

/*
 * Reads on to the end of the value that event e began; nothing to do for a
 * value that is neither array nor object.
 *
 * Returns  false with JSON_BAD
 */
bool json_skip(struct json *j, enum json_event e);

/*
 * Adds the octets that the text of a string or key stands for, as UTF-8.
 * There are never more of them than text has.
 *
 * text     as an event gave it
 * Returns  false where out is full
 */
bool json_unescape(struct bytes text, struct buf *out);

enum json_verdict {
	JSON_GOOD,
	JSON_INVALID,	/* not JSON */
	JSON_TWICE,	/* JSON with a key twice in one object */
};

/*
 * Reads all of a text at once, of any depth, in n log n steps.
 *
 * fold     keys that differ only in the case of A to Z are the same
 * at       set to where it went wrong
 * a        takes room for the keys; needed no longer than the call
 * Returns  0 with *v set, or -E_NOMEM
 */
int json_check(struct bytes in, bool fold, struct arena *a,
    enum json_verdict *v, size_t *at);

#endif
