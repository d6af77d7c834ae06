/*
 * The queue: one process for all generations that owns the spool, decides
 * what is tried when (queue/plan.h, queue/retry.h) and delivers it with the
 * same connections as workers do (outbound.h). It signs nothing: copies come
 * to it signed. The newest generation's configuration is its own.
 */
#ifndef DAEMON_QUEUE_H
#define DAEMON_QUEUE_H

#include "daemon/generation.h"

/* ---- the queue's process ------------------------------------------------- */

/* Told to leave: begins nothing new, still commits, and goes once no final
 * dot is out without an answer, after a minute at the latest. */
#define QUEUE_LEAVE SIGUSR1

/*
 * Takes workers from the control socket and serves them, delivers what is due,
 * until QUEUE_LEAVE, or until the control socket and every worker are gone.
 *
 * env      as a worker's; no sockets, no signer
 * Returns  what to exit with
 */
int queue_serve(const struct worker_env *env, int control);

/* ---- the master's end; as keeper.h has it -------------------------------- */

struct queue {
	pid_t pid;		/* 0: none */
	int control;		/* -1: none */
	int channel;		/* of its own keeper; -1: none */
	int lock;		/* of the spool; -1: none */
	struct generation *of;	/* whose configuration it has; NULL: none */
	int64_t started_ms;
	int64_t restart_ms;
	int64_t wait_ms;
	bool is_stopping;
};

#define QUEUE_NONE ((struct queue){.control = -1, .channel = -1, .lock = -1})

/* Whether a configuration needs the process: a listener queues, or there is
 * a spool from when one did. */
bool queue_is_needed(const struct config *c);

/*
 * Makes the spool ready and locks it; once, before the first generation.
 *
 * status   set to what to exit with where it can not be had (EX_TEMPFAIL:
 *          another daemon has it)
 * Returns  0 or -E_SYSTEM
 */
int queue_lock(struct queue *q, const struct config *c, const struct priv *p,
    int *status);

#endif
