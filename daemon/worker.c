#include "daemon/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/copies.h"
#include "daemon/guard.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/spool_state.h"
#include "daemon/watchdog.h"

#define STOP_MS (30 * 1000)
#define LEAVE_MS (3600 * 1000)	/* of sessions that are never silent */

struct worker {
	struct worker_env env;
	struct listener_set *set;
	struct loop_timer *limit;
	struct loop_timer *pulse;
	bool is_draining;
	bool is_stopping;
	int ready_fd;
	int failed;		/* what to exit with */
};

static void
drained(void *arg)
{
	struct worker *w = arg;

	loop_stop(w->env.loop);
}

static void
out_of_time(void *arg)
{
	struct worker *w = arg;

	log_line(LOG_WARNING_, "sessions that would not end are dropped");
	loop_stop(w->env.loop);
}

/* Or the kernel would go on to take connections for nobody. */
static void
close_sockets(struct worker *w)
{
	if (w->is_draining)
		return;
	w->is_draining = true;
	metrics_ready(false);
	log_line(LOG_DEBUG_, "no new sessions");
	for (size_t k = 0; k < w->env.n_sockets; k++)
		close(w->env.sockets[k].fd);
}

static void
on_stop(void *arg)
{
	struct worker *w = arg;

	loop_timer_start(w->limit, STOP_MS);
	if (w->is_stopping)
		return;
	w->is_stopping = true;
	listener_set_stop(w->set);
	close_sockets(w);
}

static void
on_leave(void *arg)
{
	struct worker *w = arg;

	if (w->is_draining)	/* or it would lengthen a stop */
		return;
	loop_timer_start(w->limit, LEAVE_MS);
	listener_set_leave(w->set);
	close_sockets(w);
}

static void
on_part(void *arg)
{
	struct worker *w = arg;

	if (w->is_stopping)
		return;
	if (!w->is_draining)
		loop_timer_start(w->limit, LEAVE_MS);
	listener_set_stop(w->set);
	close_sockets(w);
}

/* The master ends us where none comes (watchdog.h). */
static void
on_pulse(void *arg)
{
	struct worker *w = arg;

	metrics_beat(loop_now_ms(w->env.loop));
	loop_timer_start(w->pulse, watchdog_beat_ms((int64_t)
	    w->env.config->watchdog_s * 1000));
}

/* What comes is written, to go on: what others wrote is not read. */
int
worker_shut_in(const char *state)
{
	const struct guard_path paths[] = {
	    {state, WORKER_TMP, GUARD_READ | GUARD_WRITE, -1},
	    {state, COPIES_NAME, GUARD_READ | GUARD_WRITE | GUARD_MAKE |
		GUARD_REMOVE_FILES, -1},
	    {state, SPOOL_NAME, GUARD_LIST, -1},
	    {state, SPOOL_NAME "/new", GUARD_WRITE | GUARD_MAKE |
		GUARD_REMOVE_FILES, -1}};

	return guard_enter(GUARD_WORKER, paths, sizeof(paths) /
	    sizeof(paths[0]));
}

/* A folder is of use only where this user may make files in it. */
static void
check_spool(struct worker_env *env, unsigned number)
{
	int test = -1;

	if (env->spool_fd >= 0)
		test = openat(env->spool_fd, ".",
		    O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (test >= 0) {
		close(test);
		return;
	}
	env->spool_fd = -1;
	if (number == 1)	/* once is enough */
		log_line(LOG_NOTICE_, "no files can be made in %s/"
		    WORKER_TMP ": "
		    "large messages are kept in memory", env->config->state);
}

static int
setup(struct worker *w)
{
	w->env.drained = drained;
	w->env.drained_arg = w;
	w->env.loop = loop_new();
	if (w->env.loop == NULL)
		return EX_OSERR;
	w->limit = loop_timer_new(w->env.loop, out_of_time, w);
	w->pulse = loop_timer_new(w->env.loop, on_pulse, w);
	if (w->limit == NULL || w->pulse == NULL ||
	    loop_signal(w->env.loop, WORKER_STOP, on_stop, w) != 0 ||
	    loop_signal(w->env.loop, WORKER_LEAVE, on_leave, w) != 0 ||
	    loop_signal(w->env.loop, WORKER_PART, on_part, w) != 0)
		return EX_OSERR;
	w->set = listener_set_new(&w->env);
	return w->set == NULL ? EX_OSERR : 0;
}

/* Signals that came between the fork and here are pending, not lost. */
static void
unblock_signals(void)
{
	sigset_t none;

	signal(SIGINT, SIG_IGN);	/* of a terminal; the master tells us */
	signal(SIGHUP, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a file too large is an error */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The loop gives signals back to the system: told once more to leave, we would
 * die of it on the way out. */
static void
block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

/* The next hops have said what they can, so that we offer no more. */
static void
ready(void *arg)
{
	struct worker *w = arg;
	pid_t self = getpid();

	metrics_ready(!w->is_draining);
	if (write(w->ready_fd, &self, sizeof(self)) < 0) {
		w->failed = EX_OSERR;
		loop_stop(w->env.loop);
	}
	close(w->ready_fd);
}

int
worker_main(const struct worker_start *start)
{
	struct worker w = {.env = start->env, .ready_fd = start->ready_fd};
	char name[32];
	int r;

	snprintf(name, sizeof(name), "worker/%u", start->number);
	log_open(name);
	metrics_begin(METRIC_PROCESS_WORKER);
	prctl(PR_SET_NAME, "hopseald-worker");
	if (priv_drop(&start->priv, start->parent, SIGTERM) != 0 ||
	    worker_shut_in(w.env.config->state) != 0)
		return EX_OSERR;
	check_spool(&w.env, start->number);
	logins_lock(w.env.logins);
	secrets_lock(w.env.secrets);
	r = setup(&w);
	if (r == 0) {
		unblock_signals();
		log_gather(true);
		on_pulse(&w);
		listener_set_ask(w.set, ready, &w);
		loop_run(w.env.loop);
		block_signals();
		r = w.failed;
	} else {
		log_line(LOG_ERROR_, "cannot start: no memory or descriptors");
	}
	listener_set_free(&w.set);
	loop_timer_free(&w.limit);
	loop_timer_free(&w.pulse);
	loop_free(&w.env.loop);
	log_gather(false);
	return r;
}
