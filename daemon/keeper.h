/*
 * The keeper: one process for all generations that has the delivered memory
 * and the arrival records. It judges claims (claims.h) and arrivals
 * (arrival_keep.h) over a store (store.h), or over a server that several
 * machines share (shared.h), parses only messages of fixed form
 * (memory_wire.h) and holds no key but that of its digests.
 */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include "daemon/child.h"
#include "daemon/priv.h"
#include "daemon/redis.h"
#include "daemon/store.h"

/* ---- the keeper's process ------------------------------------------------ */

/* Told to leave at once; what it was told before is kept. */
#define KEEPER_LEAVE SIGUSR1
#define KEEPER_LEAVE_MS (20 * 1000)	/* for a slow disk; then it is killed,
					   which costs nothing but answers */

/*
 * Takes peers from the control socket and serves them, until KEEPER_LEAVE,
 * or until the control socket and every peer are closed.
 *
 * folder   of the store
 * where    the server that several machines share (shared.h); NULL: the store
 *          is of this machine alone (claims.h, arrival_keep.h)
 * Returns  what to exit with (sysexits.h)
 */
int keeper_serve(const char *folder, const struct store_limits *limits,
    const struct redis_where *where, int control);

/* ---- the master's end ---------------------------------------------------- */

struct keeper {
	struct child child;
	int control;		/* -1: none */
	char *folder;		/* what it was started with */
	char *store;		/* likewise; NULL: a store of its own */
	char *store_password;	/* a file, or NULL */
	int64_t password_ns;	/* when that changed */
	struct store_limits limits;
	struct priv priv;
	/* wipes, in the new process, what a keeper must not have */
	void (*in_child)(void *arg);
	void *arg;
};

#define KEEPER_NONE ((struct keeper){.control = -1})

/*
 * What a keeper is to do. Where that is another thing than what the running
 * one does, it is told to leave; keeper_tick() starts the next one.
 *
 * p        whom it becomes
 * Returns  0 or -E_NOMEM
 */
int keeper_configure(struct keeper *k, const struct config *c,
    const struct priv *p);

/*
 * Starts a keeper where there is none, it was configured, and it is due.
 *
 * is_new   set where one was started: its peers are to be given
 * Returns  when one is due; INT64_MAX: it runs, or none is to
 */
int64_t keeper_tick(struct keeper *k, int64_t now_ms, bool *is_new);

/*
 * Connects a worker: one end of a pair goes to the keeper, the other into
 * the worker's channel (memory_new()). Without a keeper it does nothing:
 * the worker gets its end when the next one starts. Returns false where it is
 * to be tried again (child_meet()).
 */
bool keeper_meet(struct keeper *k, int channel);

/* A process ended. Returns whether it was the keeper. */
bool keeper_reap(struct keeper *k, pid_t pid, int status, int64_t now_ms);

/* Has it leave behind the last worker; with SIGKILL: now. */
void keeper_end(struct keeper *k, int signal);

void keeper_fini(struct keeper *k);

#endif
