/*
 * The queue: one process for all generations that owns the spool, decides
 * what is tried when (queue/plan.h, queue/retry.h) and delivers it with the
 * same connections as workers do (outbound.h). Copies come to it signed;
 * of its own are reports alone. The configuration that serves is its own.
 */
#ifndef DAEMON_QUEUE_H
#define DAEMON_QUEUE_H

#include "daemon/keeper.h"
#include "daemon/worker.h"

/* ---- the queue's process ------------------------------------------------- */

/* Told to leave: begins nothing new, still commits, and goes once no final
 * dot is out without an answer, after a minute at the latest. */
#define QUEUE_LEAVE SIGUSR1
#define QUEUE_LEAVE_MS (90 * 1000)	/* it hangs then, and is killed */

/*
 * Takes workers from the control socket and serves them, delivers what is due,
 * until QUEUE_LEAVE. Where the control socket is closed it begins nothing new,
 * and goes when every worker is gone and no dot is without an answer.
 *
 * env      as a worker's; no sockets
 * Returns  what to exit with (sysexits.h)
 */
int queue_serve(const struct worker_env *env, int control);

/* ---- the master's end ---------------------------------------------------- */

struct queue {
	struct child child;
	int control;		/* -1: none */
	int channel;		/* for its sockets to keepers; -1: none */
	int lock;		/* of the spool; -1: none is to be */
	char *state;		/* whose spool that is */
	struct priv priv;	/* likewise */
	/* sockets to the signers of the generation that serves */
	void (*signers)(void *arg, struct signer_ends *ends);
	/* wipes, in the new process, what a queue must not have */
	void (*in_child)(void *arg);
	void *arg;
};

#define QUEUE_NONE ((struct queue){.control = -1, .channel = -1, .lock = -1})

/* Whether a listener queues. */
bool queue_is_used(const struct config *c);

/* Whether the process is needed: a listener queues, or there is a spool from
 * when one did. */
bool queue_is_needed(const struct config *c);

/*
 * Makes the spool ready and locks it, where it is needed and not done yet.
 * The spool of a master never changes: another `state` or `user` needs a
 * restart, since workers of two generations have one queue.
 *
 * p        whose the spool is to be
 * Returns  0, or what to exit with (logged; EX_TEMPFAIL: another daemon has
 *          it)
 */
int queue_lock(struct queue *q, const struct config *c, const struct priv *p);

/*
 * Starts a process where there is none, it is needed, and it is due.
 *
 * env      of the generation that serves; NULL: none does yet
 * is_new   set where one was started: workers and keeper are to be given
 * Returns  when one is due; INT64_MAX: it runs, or none is to
 */
int64_t queue_tick(struct queue *q, const struct worker_env *env,
    int64_t now_ms, bool *is_new);

/*
 * Connects a worker: one end of a pair goes to the process, the other into
 * the worker's channel. Without a process it does nothing: the worker gets its
 * end when the next one starts. Returns false where it is to be tried again
 * (child_meet()).
 */
bool queue_meet(struct queue *q, int channel);

/* A process ended. Returns whether it was the queue's. */
bool queue_reap(struct queue *q, pid_t pid, int status, int64_t now_ms);

/* Another generation serves: queue_tick() starts one with its configuration
 * when the one that runs has left. */
void queue_leave(struct queue *q);

/* Has it leave behind the last worker; with SIGKILL: now. */
void queue_end(struct queue *q, int signal);

void queue_fini(struct queue *q);

#endif
