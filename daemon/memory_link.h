/*
 * The worker's connection to the keeper, made anew whenever the master has
 * started another keeper.
 */
#ifndef DAEMON_MEMORY_LINK_H
#define DAEMON_MEMORY_LINK_H

#include "daemon/loop.h"
#include "daemon/memory_wire.h"

struct memory_link;

/* Who wants to know. None is called before memory_link_new() returns. */
struct memory_link_calls {
	/* a keeper is there; secret is that of its digests */
	void (*up)(void *arg, const uint8_t secret[MEMORY_SECRET_SIZE]);
	/* it is gone, and what was asked will not be answered */
	void (*down)(void *arg);
	void (*response)(void *arg, const struct memory_response *a,
	    struct bytes value);
	/* what memory_link_put() refused may be said now */
	void (*room)(void *arg);
};

/* channel: as for memory_new(). NULL without memory. */
struct memory_link *memory_link_new(struct loop *l, int channel,
    const struct memory_link_calls *calls, void *arg);

/* Safe from any callback; memory goes after the turn. */
void memory_link_free(struct memory_link **k);

/* Waits for the first keeper, and calls up() for it. */
void memory_link_wait(struct memory_link *k, int ms);

/*
 * Queues a message; it leaves at the end of the turn.
 *
 * Returns  false where there is no keeper, or too much on its way to it
 */
bool memory_link_put(struct memory_link *k, const struct memory_request *q,
    struct bytes value);

/* Hands what is queued to the kernel now. */
void memory_link_flush(struct memory_link *k);

#endif
