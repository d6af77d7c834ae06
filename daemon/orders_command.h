/*
 * Orders as the operator gives them: a request of the control socket in, what
 * was done of it, or why not, out. Nothing here knows a socket.
 */
#ifndef DAEMON_ORDERS_COMMAND_H
#define DAEMON_ORDERS_COMMAND_H

#include "base/buf.h"
#include "daemon/control_request.h"
#include "daemon/orders.h"

#define ORDERS_MAX_S (7 * 24 * 3600U)	/* no order that is to end is longer */
#define ORDERS_BYPASS_S 3600U		/* without `--for` */
#define ORDERS_WATCH_S 600U		/* likewise, of `debug` */
#define ORDERS_WATCH_MAX_S (24 * 3600U)

struct orders_scene {
	struct orders *orders;
	const struct config *config;	/* that serves */
	int64_t now_ms;
};

/*
 * Carries out a request:
 *
 *	bypass LISTENER on [SECONDS] | bypass LISTENER off
 *	pause LISTENER [SECONDS], drain LISTENER [SECONDS], resume LISTENER
 *	set LISTENER verify observe|enforce|off [SECONDS]
 *	set LISTENER verify config
 *	debug NETWORK [SECONDS], debug NETWORK off, debug off
 *
 * LISTENER is a name, or * for all of the configuration. All or nothing.
 *
 * why      gets what is wrong, one line, octets from outside escaped
 * Returns  false where nothing was done
 */
bool orders_command(const struct orders_scene *s,
    const struct control_request *r, struct buf *why);

/*
 * Takes back what was ordered of a listener under another configuration, and
 * would be refused under this one.
 *
 * what     gets the enum config_verify that was ordered
 * Returns  why, in words; NULL: it stays, or there was nothing
 */
const char *orders_take_back(const struct orders_scene *s,
    const struct config_listener *l, unsigned *what);

/*
 * What is in force, a line each with its LF, as `hopseal status` shows it.
 *
 * out      grows by up to 100 octets an order
 */
void orders_list(const struct orders *o, int64_t now_ms, struct buf *out);

/* "2h" or "1h 5m" or "40s": how long it still is. */
void orders_put_rest(struct buf *out, int64_t until_ms, int64_t now_ms);

extern const char *const orders_verify_word[];

#endif
