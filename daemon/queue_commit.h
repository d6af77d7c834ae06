/*
 * Commits beside the loop of the queue process: a child of it runs
 * spool_commit() for a batch, with others that sync (spool_sync.h), while the
 * loop delivers, and gathers the next batch.
 */
#ifndef DAEMON_QUEUE_COMMIT_H
#define DAEMON_QUEUE_COMMIT_H

#include "daemon/loop.h"
#include "daemon/spool.h"

#define QUEUE_BATCH_MAX 256U	/* commits of one batch */

struct queue_committer;

/*
 * s        of the loop's process; where the child can not do it, it does it
 *          itself. Lives longer.
 * state    path of STATE; likewise
 * done     a batch has its results
 * Returns  NULL without memory
 */
struct queue_committer *queue_committer_new(struct loop *l, struct spool *s,
    const char *state, loop_call *done, void *arg);

/* What is under way is given up: nobody hears what becomes of it. */
void queue_committer_free(struct queue_committer **c);

/*
 * Commits a batch; done() comes once, never before this returns, and there is
 * no other batch before it. A child that dies is followed by another, which is
 * asked again: what was committed is found committed.
 *
 * all      n of them, 1 to QUEUE_BATCH_MAX; stay until done()
 */
void queue_committer_begin(struct queue_committer *c,
    struct spool_commit *all, size_t n);

#endif
