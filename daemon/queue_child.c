#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/queue.h"
#include "daemon/signers.h"
#include "daemon/spool_state.h"

/* ---- the spool ----------------------------------------------------------- */

bool
queue_is_used(const struct config *c)
{
	for (size_t k = 0; k < c->n_listeners; k++)
		if (c->listeners[k].delivery == DELIVERY_QUEUE ||
		    c->listeners[k].legacy_bounce_out == BOUNCE_OUT_HOLD)
			return true;
	return false;
}

static bool
has_spool(const char *state)
{
	int fd = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	bool is_there = fd >= 0 && fstatat(fd, "queue", &st,
	    AT_SYMLINK_NOFOLLOW) == 0;

	if (fd >= 0)
		close(fd);
	return is_there;
}

bool
queue_is_needed(const struct config *c)
{
	return queue_is_used(c) || has_spool(c->state);
}

static int
status_of(enum spool_fault f)
{
	switch (f) {
	case SPOOL_OK:
		return 0;
	case SPOOL_LOCKED:
		return EX_TEMPFAIL;
	case SPOOL_NEWER:
	case SPOOL_UNFIT:
		return EX_CONFIG;
	case SPOOL_BROKEN:
		break;
	}
	return EX_OSERR;
}

/* A second generation: it is to have the same. */
static int
compare(const struct queue *q, const struct config *c, const struct priv *p)
{
	if (strcmp(q->state, c->state) == 0 && q->priv.uid == p->uid &&
	    q->priv.gid == p->gid)
		return 0;
	log_line(LOG_ERROR_, "`state` and `user` can not change while there "
	    "is a queue: restart");
	return EX_CONFIG;
}

int
queue_lock(struct queue *q, const struct config *c, const struct priv *p)
{
	int status;

	if (q->lock >= 0)
		return compare(q, c, p);
	if (!queue_is_needed(c))
		return 0;
	q->state = strdup(c->state);
	if (q->state == NULL)
		return EX_OSERR;
	q->priv = *p;
	status = status_of(spool_prepare(q->state, p->uid, p->gid, &q->lock));
	if (status != 0) {
		free(q->state);
		q->state = NULL;
	}
	return status;
}

/* ---- the process --------------------------------------------------------- */

static int
queue_main(const struct queue *q, const struct worker_env *of, pid_t parent,
    int control, int channel, const struct signer_ends *signers)
{
	struct worker_env env = *of;
	const struct guard_path files = {q->state, SPOOL_NAME, GUARD_FILES, -1};

	log_open("queue");
	metrics_begin(METRIC_PROCESS_QUEUE);
	prctl(PR_SET_NAME, "hopseald-queue");
	/* it goes when its workers are gone, and not before */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a file too large is an error */
	if (q->in_child != NULL)
		q->in_child(q->arg);
	umask(077);
	/* the lock is its parent's and its own: no other master has it while
	 * one of them lives, and the two go together */
	if (priv_drop(&q->priv, parent, SIGKILL) != 0 ||
	    guard_enter(GUARD_QUEUE, &files, 1) != 0)
		return EXIT_FAILURE;
	logins_lock(env.logins);
	secrets_free(&env.secrets);	/* it makes no return address */
	env.keeper_fd = channel;
	env.signers = *signers;
	env.queue_fd = env.copies_fd = env.spool_fd = -1;
	env.sockets = NULL;
	env.n_sockets = 0;
	return queue_serve(&env, control);
}

/* In the child: what it needs, and no more. */
static _Noreturn void
child(const struct queue *q, const struct worker_env *env, pid_t parent,
    int control, int channel, const struct signer_ends *signers)
{
	int keep[4 + SIGNERS_MAX], n = 0;

	keep[n++] = control;
	keep[n++] = channel;
	keep[n++] = q->lock;
	for (unsigned k = 0; k < signers->n; k++)
		keep[n++] = signers->fds[k];
	if (env->state_fd >= 0)
		keep[n++] = env->state_fd;
	priv_close_others(keep, (size_t)n);
	exit(queue_main(q, env, parent, control, channel, signers));
}

static int
start(struct queue *q, const struct worker_env *env)
{
	int control[2] = {-1, -1}, channel[2] = {-1, -1};
	pid_t parent = getpid(), pid = -1;
	struct signer_ends signers = {.n = 0};

	if (q->signers != NULL)
		q->signers(q->arg, &signers);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    control) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_CLOEXEC, 0, channel) == 0)
		pid = fork();
	if (pid == 0)
		child(q, env, parent, control[1], channel[1], &signers);
	signers_close(&signers);
	if (pid < 0) {
		int was = errno;

		for (int k = 0; k < 2; k++) {
			if (control[k] >= 0)
				close(control[k]);
			if (channel[k] >= 0)
				close(channel[k]);
		}
		errno = was;
		return -E_SYSTEM;
	}
	close(control[1]);
	close(channel[1]);
	q->child.pid = pid;
	q->control = control[0];
	q->channel = channel[0];
	return 0;
}

/* ---- the master ---------------------------------------------------------- */

int64_t
queue_tick(struct queue *q, const struct worker_env *env, int64_t now_ms,
    bool *is_new)
{
	int64_t next = INT64_MAX;

	*is_new = false;
	if (q->lock < 0 || env == NULL ||
	    !child_is_due(&q->child, now_ms, &next))
		return next;
	if (start(q, env) != 0) {
		log_line(LOG_ERROR_, "cannot start the queue: %m");
		return q->child.restart_ms;
	}
	*is_new = true;
	return INT64_MAX;
}

bool
queue_meet(struct queue *q, int channel)
{
	return child_meet(&q->child, q->control, channel, "queue");
}

static void
hang_up(struct queue *q)
{
	if (q->control >= 0)
		close(q->control);
	q->control = -1;
	if (q->channel >= 0)
		close(q->channel);
	q->channel = -1;
}

bool
queue_reap(struct queue *q, pid_t pid, int status, int64_t now_ms)
{
	if (!child_reap(&q->child, "queue", METRIC_PROCESS_QUEUE, pid, status,
	    now_ms))
		return false;
	hang_up(q);
	return true;
}

void
queue_leave(struct queue *q)
{
	if (q->child.pid == 0)
		return;
	child_excuse(&q->child);
	child_leave(&q->child, QUEUE_LEAVE, QUEUE_LEAVE_MS);
}

void
queue_end(struct queue *q, int signal)
{
	hang_up(q);
	child_end(&q->child, signal);
}

void
queue_fini(struct queue *q)
{
	queue_end(q, 0);
	if (q->lock >= 0)
		close(q->lock);
	q->lock = -1;
	free(q->state);
	q->state = NULL;
}
