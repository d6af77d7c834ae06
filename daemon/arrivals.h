/*
 * Arrival records, the worker's end: what is asked and not answered yet, over
 * the link of the delivered memory, which calls what is here.
 */
#ifndef DAEMON_ARRIVALS_H
#define DAEMON_ARRIVALS_H

#include "daemon/arrival.h"
#include "daemon/memory_link.h"

struct arrivals;

/* NULL without memory. The link stays the caller's. */
struct arrivals *arrivals_new(struct loop *l, struct memory_link *link,
    arrival_answer *answer, void *arg);

/* Safe from an answer; memory goes after the turn. *a may be NULL. */
void arrivals_free(struct arrivals **a);

/* For how long an answer is waited. */
void arrivals_wait(struct arrivals *a, int ms);

/* What the link says. */
void arrivals_up(struct arrivals *a, const uint8_t secret[MEMORY_SECRET_SIZE]);
void arrivals_down(struct arrivals *a);
void arrivals_room(struct arrivals *a);
void arrivals_response(struct arrivals *a, const struct memory_response *r,
    struct bytes value);

/* Those of a memory. */
struct arrivals *memory_arrivals(struct memory *m);

#endif
