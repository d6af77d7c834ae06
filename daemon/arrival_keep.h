/*
 * The keeper's judgement of arrival records, over a store. No I/O but the
 * store's and that of the copies; clocks are arguments.
 */
#ifndef DAEMON_ARRIVAL_KEEP_H
#define DAEMON_ARRIVAL_KEEP_H

#include "daemon/claims.h"
#include "daemon/copies.h"

struct arrival_keep;

/* Both stay the caller's. NULL without memory. */
struct arrival_keep *arrival_keep_new(struct store *s, struct copies *c);
void arrival_keep_free(struct arrival_keep **k);

/*
 * Does what a message about arrivals asks for.
 *
 * a, out   as of claims_take(): at most ARRIVAL_VALUE_MAX octets
 * Returns  whether there is an answer
 */
bool arrival_keep_take(struct arrival_keep *k, const struct memory_request *q,
    struct bytes value, struct claims_now now, struct memory_response *a,
    struct bytes *out);

/* What an answer is where the store could not keep its turn. */
void arrival_keep_fail(struct memory_response *a);

#endif
