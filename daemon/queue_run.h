/*
 * Delivery from the queue: which messages are there, what of them is tried
 * when (queue/plan.h), and what becomes of each recipient. Of a message little
 * is kept in memory; its file is read again when it is tried.
 */
#ifndef DAEMON_QUEUE_RUN_H
#define DAEMON_QUEUE_RUN_H

#include "base/buf.h"
#include "daemon/hub.h"
#include "daemon/spool.h"

struct queue_run;

/* Octets of a request to queue_run_command() and of its answer, at most. */
#define QUEUE_COMMAND_MAX 512

/*
 * Begins nothing before queue_run_start().
 *
 * h, s     live longer
 * idle     after queue_run_leave(), once nothing is under way; may stop the
 *          loop, not free the run
 * Returns  NULL without memory
 */
struct queue_run *queue_run_new(struct hub *h, struct spool *s,
    loop_call *idle, void *arg);

/* Drops what is under way. */
void queue_run_free(struct queue_run **r);

/*
 * Has new/ID committed; queue_run_committed() says what came of it, never
 * before this returns. False: there is no room for it now.
 */
typedef bool queue_run_commit(void *arg, const char *id);

/* Who commits what the run itself writes: its reports. NULL: it does. */
void queue_run_commit_by(struct queue_run *r, queue_run_commit *commit,
    void *arg);
void queue_run_committed(struct queue_run *r, const char *id, int result);

/* An answer of the signer, as in hub_calls. */
void queue_run_signature(struct hub *h, uint64_t tag, struct bytes signature);

/* Reads what is in the spool, some of it at a time, and delivers meanwhile. */
void queue_run_start(struct queue_run *r);

/* A message was committed. One that is known already is left as it is. */
void queue_run_add(struct queue_run *r, const char *id);

/*
 * Begins nothing new; what has not said its final dot is given up. idle() is
 * called when no final dot is without an answer, never before this returns.
 */
void queue_run_leave(struct queue_run *r);

/*
 * A request of the control socket.
 *
 * request  VERB SP ID: retry, hold, release, remove, import
 * answer   "ok"; "absent": there is no such message; "busy": a try of what is
 *          to be removed is under way; or "error " and why
 */
void queue_run_command(struct queue_run *r, struct bytes request,
    struct buf *answer);

#endif
