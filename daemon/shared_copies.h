/*
 * Copies of messages between this machine's folder and a server that several
 * share, over a connection of their own, so that nothing with a short deadline
 * waits behind them: in pieces, one command at a time. Part of
 * shared_arrivals.h.
 *
 * What stands on the server, beside the chains (shared_arrivals_lua.c):
 *   hopseal:ab:NAME    octets of a copy
 *   hopseal:al         sorted set of all copies, name and size, by their time
 *   hopseal:an         their octets; at most `copies: size`, past it the
 *                      oldest go
 */
#ifndef DAEMON_SHARED_COPIES_H
#define DAEMON_SHARED_COPIES_H

#include "daemon/copies.h"
#include "daemon/shared.h"
#include "daemon/shared_rows.h"

#define SHARED_PIECE (256U * 1024)
#define SHARED_PIECE_MS (10 * 1000)	/* until its answer */
#define SHARED_UPLOADS_MAX 1024U	/* that wait */
#define SHARED_FETCHES_MAX 256U
#define SHARED_DROPS_MAX 4096U
/* Neither takes as long: it is given up. */
#define SHARED_UPLOAD_MS (10 * 60 * 1000)
#define SHARED_FETCH_MS (5 * 60 * 1000)
#define SHARED_TRIES_MAX 3U	/* from the first octet on */

enum shared_fetched {
	SHARED_HERE,		/* a file, whole, under its name */
	SHARED_GONE,		/* the server does not have it, or there is no
				   room for it here */
	SHARED_FAILED,		/* the server does not answer now */
};

struct shared_copies;

typedef void shared_fetched_call(void *arg,
    const uint8_t name[STORE_KEY_SIZE], enum shared_fetched how);

/*
 * s, copies  the caller's; the first seals what is said of copies
 * where      as of redis_new()
 * fetched    is told the end of each fetch, with arg
 * Returns    NULL without memory
 */
struct shared_copies *shared_copies_new(struct loop *l, struct shared *s,
    const struct redis_where *where, struct copies *copies,
    const struct store_limits *limits,
    shared_fetched_call *fetched, void *arg);
void shared_copies_free(struct shared_copies **c);

/*
 * Sends a copy that is a file here to the server, and says with its content
 * that it is there once it is. Where that fails for good the record stays
 * without.
 *
 * Returns  false where too many wait, or without memory
 */
bool shared_copies_send(struct shared_copies *c,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *copy);

/* Whether there is room for another. */
bool shared_copies_has_room(const struct shared_copies *c);

/* Whether one of that content is on its way, or that file. */
bool shared_copies_has_content(const struct shared_copies *c,
    const uint8_t content[STORE_KEY_SIZE]);
bool shared_copies_has_name(const struct shared_copies *c,
    const uint8_t name[STORE_KEY_SIZE]);

/*
 * Fetches a copy that is whole on the server into the folder; one that is on
 * its way is not fetched twice.
 *
 * Returns  false where too many are, or without memory
 */
bool shared_copies_fetch(struct shared_copies *c,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *copy);

/* No record has it any more: it goes from the server, and the file here. */
void shared_copies_drop(struct shared_copies *c,
    const struct shared_copy *copy);

/*
 * Nobody knows whether the server has written a record which says that this
 * copy is on its way, and it will not be sent: nobody is to wait for it. The
 * server is told once it is ready again.
 */
void shared_copies_unsay(struct shared_copies *c,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *copy);

/* Now and then: gives up what takes too long. */
void shared_copies_tick(struct shared_copies *c);

#endif
