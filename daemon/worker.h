/*
 * A worker: one event loop, SMTP sessions, verification, delivery. What it
 * needs was opened before it was forked; see master.c.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include "config/config.h"
#include "config/keysfile.h"
#include "daemon/loop.h"
#include "daemon/signer.h"

/* One listening descriptor, and whose it is. */
struct worker_socket {
	int fd;			/* non-blocking */
	const struct config_listener *listener;
};

struct worker_env {
	struct loop *loop;
	const struct config *config;
	const struct keysfile *keysfile;	/* NULL: ask the DNS */
	const struct signer_inventory *inventory;	/* n == 0: no keys */
	int signer_fd;				/* -1: no signer */
	int spool_fd;	/* folder for O_TMPFILE bodies; -1: memfd */
	const struct worker_socket *sockets;
	size_t n_sockets;
	loop_call *drained;	/* the last session is gone after a drain */
	void *drained_arg;
};

#endif
