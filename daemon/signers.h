/*
 * The signers of a generation, as the master has them: where there are RSA
 * keys as many as workers, so that signatures are made on every core. They
 * have the same keys, and each worker asks all of them; where one ends, the
 * others go on until another generation comes.
 */
#ifndef DAEMON_SIGNERS_H
#define DAEMON_SIGNERS_H

#include "daemon/watchdog.h"
#include "daemon/worker.h"

struct signer_process {
	pid_t pid;		/* 0: it has ended */
	int control;		/* -1: it is to leave behind its peers */
	struct watchdog watchdog;
};

/* All zero: none. */
struct signers {
	unsigned n;		/* that were started */
	struct signer_process each[SIGNERS_MAX];
};

/*
 * Starts them; takes the inventory from the first, and of the others that
 * theirs is the same.
 *
 * start     of each worker: its configuration, and whom they become
 * n_workers how many there will be
 * inv       filled in from the arena
 * status    set, where that is known, on failure: what to exit with
 * Returns   0, -E_SYSTEM, -E_NOMEM, -E_UNSAFE (all logged); those that were
 *           started are there all the same
 */
int signers_start(struct signers *s, const struct worker_start *start,
    size_t n_workers, struct signer_inventory *inv, struct arena *a,
    int *status);

/*
 * A socket to each that is there.
 *
 * first    whose comes first, modulo their number
 * ends     filled in; the caller's to close
 * Returns  0 or -E_SYSTEM (nothing is open then)
 */
int signers_connect(const struct signers *s, size_t first,
    struct signer_ends *ends);

void signers_close(struct signer_ends *ends);

/* A process ended. Returns its number, from 1; 0: it was none of them. */
unsigned signers_reap(struct signers *s, pid_t pid);

/* How many are there. */
unsigned signers_left(const struct signers *s);

/* Has them leave behind their last peer; with SIGKILL: now. */
void signers_end(struct signers *s, int signal);

#endif
