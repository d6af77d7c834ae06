/*
 * Arrival records on a server that several machines share: what
 * arrival_keep.h does over a store of this machine's own. Part of shared.h,
 * which calls it.
 */
#ifndef DAEMON_SHARED_ARRIVALS_H
#define DAEMON_SHARED_ARRIVALS_H

#include "daemon/shared.h"

struct shared_arrivals;

/*
 * s        the caller, which outlives it, with the secret not known yet
 * where    as of redis_new(): for a connection of the copies' own
 * folder   `state`, with the folder of copies; the caller's
 * limits   arrival_age_s, and arrival_size: octets of all copies on the server.
 *          Records are bounded by their age and by the server's own memory
 * Returns  NULL without memory
 */
struct shared_arrivals *shared_arrivals_new(struct shared *s,
    struct loop *l, const struct redis_where *where, const char *folder,
    const struct store_limits *limits);

/* After redis_free(), so that no answer is on its way any more. */
void shared_arrivals_free(struct shared_arrivals **a);

/* WRITE, REMOVE, FIND_CHAIN, FIND_MESSAGE: answers by shared_answer(). */
void shared_arrivals_take(struct shared_arrivals *a, unsigned peer,
    const struct memory_request *q, struct bytes value);

/* The connection is up and the secret known; or it is not any more. */
void shared_arrivals_up(struct shared_arrivals *a);
void shared_arrivals_down(struct shared_arrivals *a);

/* Each second. */
void shared_arrivals_tick(struct shared_arrivals *a);

/* Its scripts, which follow those of shared.c from SHARED_OWN_SCRIPTS on. */
extern const struct redis_script shared_arrival_scripts[];
extern const size_t shared_arrival_n_scripts;

#endif
