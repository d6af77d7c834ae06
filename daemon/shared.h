/*
 * The keeper's judgement where several machines share what they know, over a
 * Redis server (redis.h): what claims.h and arrival_keep.h do over a store of
 * this machine's own. Answers come later, when the server has answered, and
 * are outages where it has not: mail goes on then, a double is possible.
 *
 * What stands on the server (all but the secret expires):
 *   hopseal:secret     of the digests and seals: every node has the same
 *   hopseal:nodes      hash: node -> until when its lease lasts (server's
 *                      clock, ms), told anew each second
 *   hopseal:m:KEY      hash of a delivery: v, o (who is at it), f, t
 *   hopseal:p:PAIR     sorted set of the KEYs of a pair, by their end
 *   hopseal:r:ID       where a return address leads
 *   hopseal:a...       arrival records and copies (shared_arrivals.h)
 */
#ifndef DAEMON_SHARED_H
#define DAEMON_SHARED_H

#include "daemon/claims.h"
#include "daemon/redis.h"

#define SHARED_PREFIX "hopseal:"
#define SHARED_SEAL_SIZE 16U

struct shared;

struct shared_calls {
	/*
	 * An answer; value is a view until the call returns.
	 *
	 * Returns  false where that peer is gone
	 */
	bool (*answer)(void *arg, unsigned peer,
	    const struct memory_response *head, struct bytes value);
	/* The secret is known, or is another now. */
	void (*secret)(void *arg, const uint8_t secret[MEMORY_SECRET_SIZE]);
};

/*
 * where    as redis_new() takes it
 * folder   `state`: this machine is known by what is there
 * limits   of ages alone: the server has bounds of its own
 * calls    lasts
 * Returns  NULL without memory
 */
struct shared *shared_new(struct loop *l, const struct redis_where *where,
    const char *folder, const struct store_limits *limits,
    const struct shared_calls *calls, void *arg);

/* No answers come from now on. What the server was not told yet is lost. */
void shared_free(struct shared **s);

/* Does what a message asks for. Its answer comes now or later. */
void shared_take(struct shared *s, unsigned peer,
    const struct memory_request *q, struct bytes value);

/* A peer is gone: what it had claimed is free, as tries without a clear end. */
void shared_leave(struct shared *s, unsigned peer);

/* Whether the server answers, and the secret is known. */
bool shared_is_ready(const struct shared *s);

/* ---- for shared_arrivals.c ----------------------------------------------- */

/* The connection; its scripts are those of shared_scripts. */
struct redis *shared_redis(struct shared *s);

/* Places in the scripts of the connection. */
enum {
	SHARED_LOOK, SHARED_CLAIM, SHARED_HOLD, SHARED_DELIVERED,
	SHARED_UNSURE, SHARED_RELEASE, SHARED_LEAVE, SHARED_FORGET,
	SHARED_BEAT,
	/* of arrivals follow */
	SHARED_OWN_SCRIPTS
};

/*
 * The seal of a value under a key of ours: what was damaged, or put there by
 * others, does not read as ours. Both go before the value on the server.
 *
 * kind     of value: seals of different kinds never meet
 */
void shared_seal(const struct shared *s, uint8_t kind, struct bytes key,
    struct bytes value, uint8_t seal[SHARED_SEAL_SIZE]);

/*
 * Takes a sealed value apart.
 *
 * value    in: seal and value; out: the value
 * Returns  whether it is ours
 */
bool shared_unseal(const struct shared *s, uint8_t kind, struct bytes key,
    struct bytes *value);

/* Gives an answer to a peer; false where it is gone. */
bool shared_answer(struct shared *s, unsigned peer,
    const struct memory_response *head, struct bytes value);

#endif
