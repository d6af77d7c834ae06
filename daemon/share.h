/*
 * How many sessions each worker of a generation has at each listening socket,
 * in memory that all of them have: who has more than another one leaves the
 * next connection to it for a moment.
 */
#ifndef DAEMON_SHARE_H
#define DAEMON_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct share;

/* For workers that are forked later. NULL without memory. */
struct share *share_new(size_t n_workers, size_t n_sockets);
void share_free(struct share **s);

/* A worker accepts there, and has no session yet. */
void share_join(struct share *s, size_t worker, size_t socket);

/* It accepts no more; what it has counts no more. */
void share_leave(struct share *s, size_t worker, size_t socket);

/* The worker has ended, however that was. */
void share_forget(struct share *s, size_t worker);

/* How many sessions it has; of no effect where it does not accept. */
void share_set(struct share *s, size_t worker, size_t socket, size_t n);

/* Whether it leaves what comes to others for now. Until it looks again it
 * counts for more than it has: two do not leave much to each other. */
#define SHARE_RESTING 6U
void share_rest(struct share *s, size_t worker, size_t socket, bool rests);

/* By how many it has more than whoever accepts there and has fewest. */
size_t share_ahead(const struct share *s, size_t worker, size_t socket);

#endif
