/*
 * What was said of messages in a day, by the domain whose signature is on
 * top: for who wants to know whom `verify: enforce` would keep out. Counted in
 * memory that all processes share (as metrics.h does); written to the log by
 * the master at midnight (UTC), and when it stops.
 *
 * A domain is what a message says, before anybody has checked it: only
 * SUMMARY_DOMAINS of a day have a place, and the first letters of a name are
 * those that a host name may have. All else is "others".
 */
#ifndef DAEMON_SUMMARY_H
#define DAEMON_SUMMARY_H

#include "base/buf.h"
#include "dkim2/dkim2.h"

#define SUMMARY_DOMAINS 1024U
#define SUMMARY_TOLD 20U	/* with a line of their own */
#define SUMMARY_NAME_MAX 120U	/* octets */

/* Makes the shared memory: before the first fork. 0 or -E_SYSTEM. */
int summary_open(void);

/*
 * Counts a verdict.
 *
 * domain       d= of the top signature; of none the rest is not looked at
 * would_refuse `enforce` would have refused it
 */
void summary_count(struct bytes domain, enum dkim2_state state,
    bool would_refuse);

/*
 * Writes what was counted, a line each, the most first, and begins anew.
 * Nothing where nothing was counted.
 */
void summary_write(struct buf *out);

/*
 * Writes it to the log where a day (UTC) is over; the first call begins one.
 *
 * is_last  or it is the last call
 * Returns  seconds until the next midnight
 */
int64_t summary_tick(int64_t now_s, bool is_last);

#endif
