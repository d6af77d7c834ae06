/*
 * Connections of one worker to next hops: how many there are to each
 * destination, who waits for one, and those that are idle between two
 * transactions and serve the next one. What carries a client's identity is
 * counted, never kept.
 */
#ifndef DAEMON_POOL_H
#define DAEMON_POOL_H

#include "daemon/link.h"

struct pool;
struct pool_place;

/* What does not differ may share connections. */
struct pool_key {
	const struct config_listener *listener;
	const struct config_next_hop *hop;
	struct bytes domain;	/* of the recipients, for mx; else empty */
};

/* Who wants a connection. The owner's; all zero before the first use. */
struct pool_wait {
	TAILQ_ENTRY(pool_wait) entry;
	struct pool_place *queue;	/* waits there */
	bool is_shared;			/* an idle link will do */
	struct link *link;		/* has got this one; or */
	struct pool_place *place;	/* may open one */
	link_call *call;		/* hears of the link from then on */
	void (*granted)(void *arg);	/* told later; must only take note */
	void *arg;
};

/* Idle connections that a worker keeps in all. */
#define POOL_IDLE_MAX 256

/* NULL without memory. */
struct pool *pool_new(void);

/* Closes what is idle, and *p becomes NULL. Nothing else may be left. */
void pool_free(struct pool **p);

/*
 * Asks for a connection to a destination.
 *
 * w        is_shared, call, granted and arg are set
 * Returns  true where w has a link or a place at once; false: it waits, and
 *          ->granted tells. Without memory it waits for nothing: the caller
 *          has its own patience
 */
bool pool_ask(struct pool *p, const struct pool_key *key,
    struct pool_wait *w);

/* Waits no more, and gives back what it was granted and has not used. */
void pool_cancel(struct pool_wait *w);

/*
 * Takes an idle link: for who waits, or to be kept as long as the listener's
 * idle-reuse says, and those above its max-idle for a second, unless it is 0;
 * else it is closed. *l becomes NULL.
 */
void pool_give(struct pool *p, struct link **l);

/* A connection is gone, or was not opened. *place becomes NULL. */
void pool_left(struct pool_place **place);

/* Closes what is idle, and keeps nothing from now on. */
void pool_drain(struct pool *p);

#endif
