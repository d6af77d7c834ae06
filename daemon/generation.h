/*
 * A generation: the signers and the workers of one configuration. A reload
 * makes a new one; the old one finishes its sessions and leaves.
 */
#ifndef DAEMON_GENERATION_H
#define DAEMON_GENERATION_H

#include "daemon/bind.h"
#include "daemon/keeper.h"
#include "daemon/queue.h"
#include "daemon/signers.h"
#include "daemon/watchdog.h"
#include "daemon/worker.h"

/* A configuration, and how many generations use it. */
struct shared_config {
	struct config *config;
	unsigned uses;
};

struct worker_process {
	pid_t pid;		/* 0: it is not there */
	bool is_ready;
	int64_t started_ms;
	int64_t restart_ms;	/* not before */
	unsigned n_restarts;	/* ends that nobody asked for */
	struct watchdog watchdog;
	int channel;		/* for its sockets to keepers; -1: none */
	int queue_channel;	/* likewise to queue processes */
	bool is_unmet;		/* it has none to the keeper that is there */
	bool is_queue_unmet;	/* nor to the queue process */
};

struct generation {
	struct generation *next;	/* the one before */
	unsigned number;
	struct shared_config *shared;	/* this, and what is like it: until it
					   leaves */
	struct arena *arena;			/* likewise */
	struct signer_inventory inventory;	/* likewise */
	struct worker_start start;	/* of each worker, but for its own;
					   its share: until it is gone */
	unsigned watchdog_s;
	int64_t started_ms;		/* also its signers' */
	struct signers signers;
	struct keeper *keeper;		/* of all generations */
	struct queue *queue;		/* likewise */
	struct worker_process *workers;
	size_t n_workers;
	int64_t meet_ms;		/* who is unmet is tried again then */
	bool is_up;			/* every worker has been ready */
	bool is_leaving;
};

/* What became of a process that ended. */
enum generation_loss {
	GENERATION_NOT_OURS,
	GENERATION_EXPECTED,	/* it was told to */
	GENERATION_WORKER,	/* it will be started again */
	GENERATION_SIGNER,	/* another generation is to bring another */
};

/*
 * Forks a generation. Its configuration's sockets are bound already.
 *
 * config   gets one use more
 * keeper   of all generations; configured and started if none was yet
 * orders   as all processes read them
 * queue    likewise; its spool is locked if it is needed and was not yet
 * before   that serves; while it can sign, keys that it has must not be lost
 *          (reload_keys.h); NULL: none does
 * ready_fd where workers write their pid when they accept
 * status   set on failure: what to exit with (sysexits.h)
 * Returns  NULL on failure (logged); nothing is left behind then. Where another
 *          serves, and workers of this one may have sessions already, it is
 *          one that is leaving
 */
struct generation *generation_new(struct shared_config *config,
    const struct bind_set *sockets, struct keeper *keeper, struct queue *queue,
    const struct orders *orders, const struct generation *before,
    unsigned number, int ready_fd, int *status);

/* Frees what is gone; *g becomes NULL. */
void generation_free(struct generation **g);

/* A worker says that it accepts. False where it is not one of ours. */
bool generation_ready(struct generation *g, pid_t pid);

/* A process ended. */
enum generation_loss generation_reap(struct generation *g, pid_t pid,
    int status, int64_t now_ms);

/*
 * Starts workers again that are due, ends those that hang, and connects those
 * that could not be with keeper and queue process.
 *
 * Returns  when there is something to do again; INT64_MAX: nothing
 */
int64_t generation_tick(struct generation *g, int64_t now_ms);

/* In a process that is not to have the keys of certificates: wipes them,
 * logins and secrets. */
void generation_wipe(struct generation *g);

/* Another keeper, or queue process, was started: connects every worker with
 * it. */
void generation_meet(struct generation *g);
void generation_meet_queue(struct generation *g);

/* Sockets to its signers, for a queue process; the caller's. None where there
 * are none, or they can not be had (logged). */
void generation_signers(const struct generation *g, struct signer_ends *ends);

/* Whether a signer is there, where it has keys. */
bool generation_can_sign(const struct generation *g);

/* Whether all of its signers are. */
bool generation_is_whole(const struct generation *g);

/* Has it finish its sessions: a signal of worker.h; or SIGKILL. It lets go of
 * its configuration and all else that only a serving one needs. */
void generation_end(struct generation *g, int signal);

bool generation_is_gone(const struct generation *g);

#endif
