/*
 * The keeper's judgement: who claims what, over a store. No I/O but the
 * store's; clocks are arguments.
 */
#ifndef DAEMON_CLAIMS_H
#define DAEMON_CLAIMS_H

#include "daemon/memory_wire.h"
#include "daemon/store.h"

#define CLAIMS_OWNED_MAX (256U * 1024)
/* No delivery takes as long: the claim of one that does is free. */
#define CLAIMS_OWNED_MS (4LL * 3600 * 1000)

struct claims;

/* s stays the caller's. NULL without memory. */
struct claims *claims_new(struct store *s);
void claims_free(struct claims **c);

struct claims_now {
	int64_t ms;		/* of a monotonic clock */
	int64_t time_s;		/* of day */
};

/*
 * Does what a message asks for.
 *
 * peer     who asks
 * a, out   the answer and its value, which lasts until the next call; it
 *          counts once store_commit() has succeeded
 * Returns  whether there is one
 */
bool claims_take(struct claims *c, unsigned peer,
    const struct memory_request *q, struct bytes value, struct claims_now now,
    struct memory_response *a, struct bytes *out);

/* What an answer is where the store could not keep its turn. */
void claims_fail(struct memory_response *a);

/* A peer is gone: what it had claimed is free, as tries without a clear end. */
void claims_leave(struct claims *c, unsigned peer);

#endif
