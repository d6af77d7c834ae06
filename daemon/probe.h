/*
 * Asks the fixed next hop of each listener what it can before a worker says
 * that it is ready, so that the first client is offered what it has.
 */
#ifndef DAEMON_PROBE_H
#define DAEMON_PROBE_H

#include "daemon/hub.h"

struct probe;

/* NULL without memory. */
struct probe *probe_new(struct hub *h);

/* Gives up what is under way; *p becomes NULL. */
void probe_free(struct probe **p);

/*
 * Connects to every next hop that is the only one of a listener; offers.h
 * learns of it, and the connection waits in the pool for the first mail.
 *
 * asked    called once, when all have answered or a second is over; never
 *          before this returns
 */
void probe_start(struct probe *p, loop_call *asked, void *arg);

#endif
