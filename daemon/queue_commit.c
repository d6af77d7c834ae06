#include "daemon/queue_commit.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/priv.h"
#include "daemon/queue.h"
#include "daemon/spool_state.h"

#define DEATHS_MAX 2U		/* of one batch; then the loop's own process */

/* A batch is one packet of ids, its results are another. */
struct asked {
	char id[QUEUE_ID_MAX + 1];
};
struct told {
	int32_t result, error;
};

struct queue_committer {
	struct loop *loop;
	struct spool *spool;
	const char *state;
	loop_call *done;
	void *arg;
	pid_t pid;			/* 0: none */
	int fd;				/* -1: none */
	struct loop_watch *watch;
	struct spool_commit *all;	/* under way; NULL: none is */
	size_t n;
	unsigned n_deaths;		/* of this batch */
	bool is_dying;
	bool is_deferred;
	struct loop_deferred deferred;	/* done(), or the end */
};

/* ---- the child ----------------------------------------------------------- */

/* How many were asked for; 0: nothing more will be. */
static size_t
hear(int fd, struct spool_commit *all)
{
	struct asked in[QUEUE_BATCH_MAX];
	ssize_t n;

	do {
		n = recv(fd, in, sizeof(in), 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	for (size_t k = 0; k < (size_t)n / sizeof(in[0]); k++) {
		all[k] = (struct spool_commit){.result = -E_SYSTEM};
		memcpy(all[k].id, in[k].id, sizeof(all[k].id));
	}
	return (size_t)n / sizeof(in[0]);
}

static _Noreturn void
serve(const char *state, int fd, pid_t parent)
{
	static struct spool_commit all[QUEUE_BATCH_MAX];
	struct told out[QUEUE_BATCH_MAX];
	const struct guard_path files = {state, SPOOL_NAME, GUARD_FILES, -1};
	struct spool *s;
	size_t n;

	prctl(PR_SET_NAME, "hopseald-commit");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	signal(QUEUE_LEAVE, SIG_IGN);
	priv_close_others(&fd, 1);
	if (guard_enter(GUARD_COMMIT, &files, 1) != 0 ||
	    spool_open(&s, state) != 0)
		_exit(EX_OSERR);
	(void)spool_work_beside(s);
	while ((n = hear(fd, all)) != 0) {
		spool_commit(s, all, n);
		for (size_t k = 0; k < n; k++)
			out[k] = (struct told){all[k].result, all[k].error};
		if (send(fd, out, n * sizeof(out[0]), MSG_NOSIGNAL) < 0)
			break;
	}
	spool_close(&s);
	_exit(0);
}

/* ---- the loop's process -------------------------------------------------- */

static void on_ready(void *arg, unsigned what);

static bool
start(struct queue_committer *c)
{
	int pair[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	c->watch = loop_watch(c->loop, pair[0], on_ready, c);
	c->pid = c->watch == NULL ? -1 : fork();
	if (c->pid == 0)
		serve(c->state, pair[1], parent);
	close(pair[1]);
	if (c->pid < 0) {
		loop_unwatch(&c->watch);
		close(pair[0]);
		c->pid = 0;
		return false;
	}
	c->fd = pair[0];
	loop_want(c->watch, LOOP_READ);
	return true;
}

/* It has died, or goes once its socket is closed. */
static void
bury(struct queue_committer *c)
{
	int status = 0;

	if (c->pid == 0)
		return;
	loop_unwatch(&c->watch);
	close(c->fd);
	c->fd = -1;
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFSIGNALED(status))
		log_line(LOG_ERROR_, "queue: the process that commits (pid "
		    "%ld) died of signal %d, %s", (long)c->pid,
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	c->pid = 0;
}

static void
tell(void *arg)
{
	struct queue_committer *c = arg;

	c->is_deferred = false;
	if (c->is_dying) {
		free(c);
		return;
	}
	c->all = NULL;
	c->done(c->arg);
}

static void
defer(struct queue_committer *c)
{
	if (c->is_deferred)
		return;
	c->is_deferred = true;
	loop_defer(c->loop, &c->deferred, tell, c);
}

static bool
send_batch(struct queue_committer *c)
{
	struct asked out[QUEUE_BATCH_MAX];

	for (size_t k = 0; k < c->n; k++)
		memcpy(out[k].id, c->all[k].id, sizeof(out[k].id));
	return send(c->fd, out, c->n * sizeof(out[0]), MSG_NOSIGNAL |
	    MSG_DONTWAIT) > 0;
}

/* Slower, as deliveries wait for it; but mail goes on. */
static void
commit_here(struct queue_committer *c)
{
	log_line(LOG_WARNING_, "queue: there is no process that commits: the "
	    "queue's own does");
	spool_commit(c->spool, c->all, c->n);
	defer(c);
}

/* One that died while it had nothing to do is no failure of this batch. */
static void
ask(struct queue_committer *c)
{
	while (c->n_deaths < DEATHS_MAX) {
		if (c->pid == 0 && !start(c))
			break;
		if (send_batch(c))
			return;
		bury(c);
		c->n_deaths++;
	}
	commit_here(c);
}

void
queue_committer_begin(struct queue_committer *c, struct spool_commit *all,
    size_t n)
{
	assert(c->all == NULL && n != 0 && n <= QUEUE_BATCH_MAX);
	c->all = all;
	c->n = n;
	c->n_deaths = 0;
	ask(c);
}

/* True where the answer is whole. */
static bool
take_results(struct queue_committer *c, const struct told *in, ssize_t n)
{
	if (c->all == NULL || n != (ssize_t)(c->n * sizeof(*in)))
		return false;
	for (size_t k = 0; k < c->n; k++) {
		c->all[k].result = in[k].result;
		c->all[k].error = in[k].error;
	}
	return true;
}

static void
on_ready(void *arg, unsigned what)
{
	struct queue_committer *c = arg;
	struct told in[QUEUE_BATCH_MAX];
	ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (take_results(c, in, n)) {
		defer(c);
		return;
	}
	if (n > 0)		/* none that we asked for: it is not ours any more */
		kill(c->pid, SIGKILL);
	bury(c);
	if (c->all == NULL || c->is_deferred)
		return;		/* the next batch has another one */
	c->n_deaths++;
	ask(c);
}

struct queue_committer *
queue_committer_new(struct loop *l, struct spool *s, const char *state,
    loop_call *done, void *arg)
{
	struct queue_committer *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	*c = (struct queue_committer){.loop = l, .spool = s, .state = state,
	    .done = done, .arg = arg, .fd = -1};
	(void)start(c);		/* while it is small; or for the first batch */
	return c;
}

/* Busy it is not waited for: the disk may hang. It dies with us. */
void
queue_committer_free(struct queue_committer **cp)
{
	struct queue_committer *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	if (c->all != NULL && c->pid != 0) {
		loop_unwatch(&c->watch);
		close(c->fd);
	} else {
		bury(c);
	}
	c->is_dying = true;
	defer(c);
}
