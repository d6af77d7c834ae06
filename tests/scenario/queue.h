/* The spool and the queue process of a scenario, in the place of
 * daemon/spool.c and daemon/queue_link.c. */
#ifndef SCENARIO_QUEUE_H
#define SCENARIO_QUEUE_H

#include "base/buf.h"

/* Forgets everything. */
void scenario_queue_begin(void);

/*
 * How it is from now on; what waits is answered where it works:
 * works, no-room (less than queue-min-free is left), unwritable (EIO for a
 * file), overflows (likewise ENOSPC), full (a commit finds no room), broken
 * (a commit fails), silent (it waits), slow (it waits, and the message is in
 * the queue by then).
 *
 * Returns  false where the word is none of them
 */
bool scenario_queue_is(struct bytes word);

/*
 * Takes the oldest message that is in the queue, or that was written and is
 * not in the queue.
 *
 * Returns  its octets until the next call; n == 0: there is none
 */
struct bytes scenario_queue_take(bool is_committed);

/* Writes the n-th copy (from 1) of a queue file as it would leave by DATA.
 * False: it is no such file, or there is none. */
bool scenario_queue_copy(struct bytes file, unsigned long n, struct buf *out);

#endif
