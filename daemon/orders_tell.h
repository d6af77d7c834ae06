/*
 * What of orders is told in the log and the metrics: when one begins, while a
 * bypass lasts, and when it is over. One process does it, the control process;
 * the next one of them goes on with what is in force.
 */
#ifndef DAEMON_ORDERS_TELL_H
#define DAEMON_ORDERS_TELL_H

#include "daemon/orders.h"

/* A bypass is told again that often. */
#define ORDERS_ALARM_MS (10 * 60 * 1000)

struct orders_told {
	int64_t until_ms[ORDERS_NAMES][ORDERS__KINDS];	/* 0: not in force */
	unsigned what[ORDERS_NAMES];	/* of ORDERS_VERIFY */
	int64_t watched_ms[ORDERS_NETS];
	struct config_net nets[ORDERS_NETS];
	int64_t alarm_ms;		/* the next */
};

/*
 * Tells what changed since the last call, and what is due. At the first, t is
 * zero.
 *
 * now_s    time since the epoch, of the same moment
 * Returns  when to call it next, if nothing is ordered until then; INT64_MAX:
 *          never
 */
int64_t orders_tell(struct orders_told *t, const struct orders *o,
    int64_t now_ms, int64_t now_s);

#endif
