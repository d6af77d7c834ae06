/*
 * Replies of a Redis server (RESP2), from octets as they come: hiredis parses,
 * within bounds of ours. No I/O.
 */
#ifndef DAEMON_REDIS_REPLY_H
#define DAEMON_REDIS_REPLY_H

#include "base/bytes.h"

#define REDIS_REPLY_MAX (1024U * 1024)	/* octets of one reply */
#define REDIS_ITEMS_MAX 1024U		/* of an array */

enum redis_kind {
	REDIS_NIL,
	REDIS_INTEGER,
	REDIS_STRING,
	REDIS_STATUS,		/* "OK" */
	REDIS_ERROR,		/* what the server said, unescaped */
	REDIS_ARRAY,		/* of others, never of arrays */
};

/* A value of a reply, until the call that it is given to returns. */
struct redis_value {
	enum redis_kind kind;
	int64_t integer;
	struct bytes text;		/* of a string, status or error */
	const struct redis_value *items;
	size_t n_items;			/* of an array */
};

struct redis_reader;

/* NULL without memory. */
struct redis_reader *redis_reader_new(void);
void redis_reader_free(struct redis_reader **r);

/*
 * Takes octets of the server.
 *
 * Returns  0, -E_NOMEM, or -E_LIMIT: they are a reply that is too large
 */
int redis_reader_feed(struct redis_reader *r, struct bytes octets);

/*
 * Takes the next whole reply out of what was fed.
 *
 * v        set to it where there is one; until the next call
 * why      set to a reason where there will be none any more
 * Returns  1; 0: it is not whole yet; -E_SYNTAX, -E_LIMIT: what was fed is no
 *          reply, or one past the bounds, and the reader of no more use
 */
int redis_reader_next(struct redis_reader *r, struct redis_value *v,
    const char **why);

#endif
