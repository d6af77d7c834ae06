/*
 * A worker: one event loop, SMTP sessions, verification, delivery. What it
 * needs was opened before it was forked; see master.c.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include "config/config.h"
#include "config/keysfile.h"
#include "daemon/login.h"
#include "daemon/loop.h"
#include "daemon/orders.h"
#include "daemon/priv.h"
#include "daemon/secrets.h"
#include "daemon/share.h"
#include "daemon/signer.h"
#include "daemon/tls.h"

/* Of STATE: bodies without a name. */
#define WORKER_TMP "tmp"

/* One listening descriptor, and whose it is. */
struct worker_socket {
	int fd;			/* non-blocking */
	const struct config_listener *listener;
	bool is_tls;		/* from the first octet */
	bool is_lmtp;
};

struct worker_env {
	struct loop *loop;
	const struct config *config;
	const struct keysfile *keysfile;	/* NULL: ask the DNS */
	struct tls *tls;
	struct logins *logins;
	struct secrets *secrets;
	const struct signer_inventory *inventory;	/* n == 0: no keys */
	struct signer_ends signers;
	int keeper_fd;	/* where sockets to keepers come; -1: no keeper */
	int spool_fd;	/* folder for O_TMPFILE bodies; -1: memfd */
	int state_fd;	/* the folder STATE */
	int copies_fd;	/* folder of copies of messages; -1: none */
	int queue_fd;	/* where sockets to queue processes come; -1: no
			   listener queues */
	const struct orders *orders;	/* NULL: nobody can give any */
	const struct worker_socket *sockets;
	size_t n_sockets;
	struct share *share;	/* NULL: there is no other worker */
	size_t worker;		/* which one of it */
	const int *http_fds;	/* of the control process: `metrics` */
	size_t n_http;
	const int64_t *certificate_ends;	/* of each listener's, in order;
						   seconds of 1970. NULL: none */
	loop_call *drained;	/* the last session is gone after a drain */
	void *drained_arg;
};

/* Signals of the master to a worker. */
#define WORKER_STOP SIGTERM	/* finish your sessions, within 30 s */
#define WORKER_LEAVE SIGUSR1	/* finish your sessions, a newer one is there */
#define WORKER_PART SIGUSR2	/* likewise, and without delay: no signer is
				   left, so that clients are to come again */

/* What a worker is forked with; env but for its loop and drained. */
struct worker_start {
	struct worker_env env;
	unsigned number;
	struct priv priv;
	pid_t parent;
	int ready_fd;		/* gets a worker's pid once it accepts */
};

/* What of guard.h a worker gives up. 0 or -E_SYSTEM (logged). */
int worker_shut_in(const char *state);

/* Runs a worker in a process of its own. Returns what to exit with. */
int worker_main(const struct worker_start *start);

#endif
