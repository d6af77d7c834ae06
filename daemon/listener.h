/*
 * All listening sockets and sessions of one worker. It makes the resolver
 * and the signer's client of the worker, since their answers are for its
 * sessions.
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include "daemon/worker.h"

struct listener_set;

/* Begins to accept. env outlives the set. NULL without memory (logged). */
struct listener_set *listener_set_new(const struct worker_env *env);

/* Asks the next hops what they can: see probe_start(). */
void listener_set_ask(struct listener_set *s, loop_call *asked, void *arg);

/*
 * Stops accepting, lets sessions go on until they end or are silent between
 * transactions, then calls env->drained (never before it returns).
 */
void listener_set_leave(struct listener_set *s);

/* As above; but sessions between transactions are told 421 now. */
void listener_set_stop(struct listener_set *s);

/* Drops what is left, without a word, and frees all. */
void listener_set_free(struct listener_set **s);

#endif
