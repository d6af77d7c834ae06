/*
 * The control process: STATE/control (control_socket.h), one process with the
 * configuration that serves, forked anew with each. The master binds the
 * socket, so that whoever comes between two of them waits and is not refused.
 * It decides nothing about mail: without it mail goes on.
 *
 * A request is a verb and its arguments, with one space between them
 * (control_request.h); control_verbs.c has the table.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "daemon/child.h"
#include "daemon/control_request.h"
#include "daemon/control_socket.h"
#include "daemon/control_wire.h"
#include "daemon/worker.h"

/* ---- the control process ------------------------------------------------- */

#define CONTROL_HTTP_MAX 4	/* addresses of `metrics` */

struct control_past;
struct control_samples;

struct control_waiting {
	struct control_peer *peer;	/* NULL: nobody */
	enum control_op op;
	uint32_t ticket;
	struct loop_timer *limit;
};

struct control {
	struct loop *loop;
	const struct worker_env *env;	/* of the generation; no loop, TLS,
					   logins and secrets */
	struct control_socket *socket;
	struct pages *pages;		/* NULL: none are told */
	int master;			/* -1: closed, we are leaving */
	unsigned n_leaving;		/* of socket and pages, then */
	struct loop_watch *master_watch;
	uint32_t ticket;		/* the last one given */
	struct control_samples *samples;	/* of what was counted */
	const int64_t *certificates;	/* when each of each listener ends, in
					   s of 1970; NULL: not known */
	struct control_waiting waiting[CONTROL_PEERS];
	struct control_orders *orders;	/* NULL: none can be given */
};

/*
 * A request in the process: answered with control_ok() or control_error(),
 * at once or later, and control_say() before that.
 */
struct control_call {
	struct control *control;
	struct control_peer *peer;
	const struct control_request *request;	/* until the verb returns */
};

struct control_verb {
	const char *name;
	const char *usage;	/* its arguments, "" for none */
	size_t min, max;	/* how many there are */
	void (*fn)(const struct control_call *c);
};

/* Finds the verb of a request and calls it, or refuses. */
void control_verbs_run(const struct control_call *c);

/* ---- control_orders.c ---- */

struct control_orders;

/* Takes over what is in force, but for listeners that are gone. NULL: no
 * orders can be given (logged). fd is closed. */
struct control_orders *control_orders_new(struct loop *l,
    const struct worker_env *env, int fd);
void control_orders_free(struct control_orders **o);

/* A verb that gives orders: says then what is in force. */
void control_orders_give(const struct control_call *c);

/* Lines of status: "order text=..." for each. */
void control_orders_status(const struct control_call *c);

/* Adds text to the answer; lines end with "\n". */
void control_say(const struct control_call *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void control_ok(const struct control_call *c);

/* What is wrong, and what to do; one line, octets from outside escaped. */
void control_error(const struct control_call *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Asks the master; the caller is answered with what it tells: the text, then
 * ok, or where that is not done "error", which CONTROL_WAIT_MS ends too.
 */
#define CONTROL_WAIT_MS (120 * 1000)
void control_ask_master(const struct control_call *c, enum control_op op);

/*
 * Serves until the master hangs up and who was promised an answer has it.
 *
 * env      of the generation that serves
 * certificates  when each of each listener ends; NULL: not known
 * past     what processes before this one counted (control_status.h)
 * orders   the descriptor that orders are written by, or -1; taken
 * listens  the bound socket
 * master   a socket to the master
 * Returns  what to exit with (sysexits.h)
 */
int control_serve(const struct worker_env *env, const int64_t *certificates,
    struct control_past *past, int orders, int listens, int master);

/* ---- the master's end ---------------------------------------------------- */

struct control_process {
	struct child child;
	int fd;			/* to it; -1: none, or it is leaving */
	struct control_place place;
	struct control_past *past;	/* of all of them; NULL: none yet */
	int orders;		/* to be written by it; -1: none; the caller's */
	char *folder;		/* whose place that is; NULL: none yet */
	struct priv priv;	/* whom it becomes */
	int64_t kill_ms;	/* leaving: no longer than until then */
	/* wipes, in the new process, what it must not have */
	void (*in_child)(void *arg);
	void *arg;
};

#define CONTROL_PROCESS_NONE \
	((struct control_process){.fd = -1, .orders = -1, .place = CONTROL_NOWHERE})

/*
 * Binds STATE/control and starts a process, where there is none and it is
 * due.
 *
 * start    of the generation that serves; NULL: none does yet
 * Returns  when it is to be called again; INT64_MAX: for nothing
 */
int64_t control_tick(struct control_process *k,
    const struct worker_start *start, int64_t now_ms);

/* What it asks for next. Returns false where there is nothing. */
bool control_asked(struct control_process *k, struct control_ask *a);

/* Tells it; text beyond CONTROL_TOLD_MAX is cut. */
void control_tell(const struct control_process *k,
    const struct control_told *t, struct bytes text);

/* Another generation serves: the process leaves behind the answers that it
 * owes, or is killed for not doing so, and control_tick() starts the next
 * one. */
void control_leave(struct control_process *k, int64_t now_ms);

/* A process ended. Returns whether it was this one. */
bool control_reap(struct control_process *k, pid_t pid, int status,
    int64_t now_ms);

/* Has it leave, and removes the socket; with SIGKILL: now. */
void control_end(struct control_process *k, int signal, int64_t now_ms);

void control_fini(struct control_process *k);

#endif
