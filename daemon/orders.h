/*
 * What the operator orders for a while (product.md, The night it breaks), in
 * memory that all processes of a daemon share: the master makes it before it
 * forks, the control process alone can write it, everybody else has it
 * read-only. Each order is one word with its own end in it, so that it is read
 * by a plain load, is never half written, and ends by itself even where
 * nobody is left to end it. A restart of the daemon forgets all of them.
 *
 * Orders are for listeners by name: a reload keeps those whose listener stays.
 */
#ifndef DAEMON_ORDERS_H
#define DAEMON_ORDERS_H

#include "config/config.h"

struct orders;

#define ORDERS_NAMES 256U	/* listeners that ever had one */
#define ORDERS_NETS 16U		/* of clients whose sessions are watched */
#define ORDERS_NAME_MAX 32U	/* octets of a listener's name */
#define ORDERS_FOREVER INT64_MAX	/* until it is taken back */

/* What there is for a listener; each ends at its own time. */
enum orders_kind {
	ORDERS_BYPASS,	/* unsigned and not judged, and alarmed */
	ORDERS_PAUSE,	/* no new transactions: 451 */
	ORDERS_DRAIN,	/* no new sessions: 421 */
	ORDERS_VERIFY,	/* another `verify` than the configuration's */
	ORDERS__KINDS
};

/* What is in force for a listener at a time. */
struct orders_now {
	bool is_bypassed;
	bool is_paused;
	bool is_drained;
	enum config_verify verify;	/* with bypass: off */
};

/*
 * Makes the memory, empty.
 *
 * fd       set to a descriptor that it can be written by; the caller's
 * Returns  it as it can be read, for as long as the process lives; NULL where
 *          there is none: errno
 */
const struct orders *orders_make(int *fd);

/* The same memory as it can be written, for as long as the process lives; NULL
 * where it can not be had: errno. */
struct orders *orders_open(int fd);

/*
 * What is ordered for a listener.
 *
 * o        NULL: nothing ever is
 * now_ms   of the monotonic clock, as everywhere here
 */
struct orders_now orders_now(const struct orders *o,
    const struct config_listener *l, int64_t now_ms);

/* Whether sessions of a client are to be watched. */
bool orders_watches(const struct orders *o, const uint8_t ip[16],
    int64_t now_ms);

/*
 * One order of a listener.
 *
 * what     for ORDERS_VERIFY: an enum config_verify; set. May be NULL
 * Returns  when it ends, in ms; ORDERS_FOREVER; 0 where there is none
 */
int64_t orders_until(const struct orders *o, struct bytes listener,
    enum orders_kind kind, int64_t now_ms, unsigned *what);

/* The n-th listener that has or had orders; n == 0: there are no more. */
struct bytes orders_name(const struct orders *o, size_t n);

/* The n-th network that is watched, and until when; 0: there is none there. */
int64_t orders_net(const struct orders *o, size_t n, int64_t now_ms,
    struct config_net *net);

/* ---- for who can write ---- */

/*
 * Gives an order, or another in its place.
 *
 * until_ms 0: takes it back
 * Returns  0, or -E_LIMIT where too many listeners had orders by now
 */
int orders_set(struct orders *o, struct bytes listener, enum orders_kind kind,
    unsigned what, int64_t until_ms);

/* Watches a network; until_ms 0: no more. 0, or -E_LIMIT: too many are. */
int orders_watch(struct orders *o, const struct config_net *net,
    int64_t until_ms, int64_t now_ms);

/* Takes back all orders of listeners that a configuration has not. */
void orders_trim(struct orders *o, const struct config *c);

#endif
