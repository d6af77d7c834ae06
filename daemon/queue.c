#include "daemon/queue.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/control_socket.h"
#include "daemon/hub.h"
#include "daemon/log.h"
#include "daemon/passfd.h"
#include "daemon/pool.h"
#include "daemon/queue_commit.h"
#include "daemon/queue_link.h"
#include "daemon/queue_run.h"
#include "daemon/spool.h"

#define LEAVE_MS (60 * 1000)
#define SWEEP_MS (10 * 60 * 1000)
#define REQUESTS_A_TURN 64U	/* of one worker, so that all have theirs */
#define ERRORS_MAX 3U
/* What one worker may have asked for and was not answered. */
#define ANSWERS_MAX (2 * QUEUE_BATCH_MAX)

/* A worker. */
struct peer {
	struct serving *serving;
	struct peer *before, *behind;
	int fd;				/* -1: it is gone */
	struct loop_watch *watch;
	/* what the socket did not take; nothing is read before that is out */
	struct queue_response out[ANSWERS_MAX];
	unsigned n_out;
	unsigned n_errors;		/* one behind the other */
	struct loop_deferred destroy;
};

/* Who waits for a commit. */
struct asked {
	struct peer *peer;		/* NULL: gone, or is_own */
	uint64_t tag;
	bool is_own;			/* the run's */
};

/* What is made safe together. */
struct batch {
	size_t n;
	struct asked asked[QUEUE_BATCH_MAX];
	struct spool_commit commits[QUEUE_BATCH_MAX];
};

struct serving {
	struct worker_env env;
	struct hub hub;
	bool has_hub;
	struct spool *spool;
	struct queue_run *run;
	struct control_place place;	/* of commands */
	struct control_socket *commands;
	int control;			/* -1: closed */
	struct loop_watch *control_watch;
	struct loop_timer *sweep;
	struct loop_timer *limit;	/* of leaving */
	struct peer *first;
	bool is_ending;			/* nothing new is begun */
	bool is_told;			/* to leave: another one follows */
	bool is_idle;			/* no final dot without an answer */
	bool is_turn;			/* on_turn() is due */
	struct loop_deferred turn;
	struct queue_committer *committer;
	struct batch batches[2];
	struct batch *gathering;
	struct batch *under_way;	/* NULL: none */
};

/* ---- the end ------------------------------------------------------------- */

/* Whom we do not answer any more asks who comes next. */
static bool
is_closing(const struct serving *s)
{
	return s->is_idle && s->is_told;
}

/* What a worker is watched for: where there is no room nothing is read. */
static void
look_at(struct peer *p)
{
	const struct serving *s = p->serving;

	if (p->n_out != 0)
		loop_want(p->watch, LOOP_WRITE);
	else
		loop_want(p->watch, s->gathering->n == QUEUE_BATCH_MAX ||
		    is_closing(s) ? 0 : LOOP_READ);
}

static void
look_at_all(struct serving *s)
{
	for (struct peer *p = s->first; p != NULL; p = p->behind)
		look_at(p);
}

static void
look_whether_done(struct serving *s)
{
	bool is_alone = s->control < 0 && s->first == NULL;

	if (s->is_idle && (s->is_told || is_alone) && s->under_way == NULL &&
	    s->gathering->n == 0)
		loop_stop(s->env.loop);
}

static void
on_idle(void *arg)
{
	struct serving *s = arg;

	s->is_idle = true;
	look_at_all(s);
	look_whether_done(s);
}

/* Commits go on: somebody may wait for one. */
static void
end(struct serving *s)
{
	if (s->is_ending)
		return;
	s->is_ending = true;
	queue_run_leave(s->run);
}

static void
on_limit(void *arg)
{
	struct serving *s = arg;

	log_line(LOG_WARNING_, "next hops that do not answer are left");
	loop_stop(s->env.loop);
}

static void
on_leave(void *arg)
{
	struct serving *s = arg;

	if (s->is_told)
		return;
	s->is_told = true;
	loop_timer_start(s->limit, LEAVE_MS);
	end(s);
	look_at_all(s);
	look_whether_done(s);
}

/* ---- turns --------------------------------------------------------------- */

static void
destroy(void *arg)
{
	free(arg);
}

/* Nobody waits for its commits any more. */
static void
forget(struct batch *b, const struct peer *p)
{
	for (size_t k = 0; k < b->n; k++)
		if (b->asked[k].peer == p)
			b->asked[k].peer = NULL;
}

static void
leave(struct peer *p)
{
	struct serving *s = p->serving;

	forget(s->batches, p);
	forget(s->batches + 1, p);
	loop_unwatch(&p->watch);
	close(p->fd);
	p->fd = -1;
	if (p->before != NULL)
		p->before->behind = p->behind;
	else
		s->first = p->behind;
	if (p->behind != NULL)
		p->behind->before = p->before;
	loop_defer(s->env.loop, &p->destroy, destroy, p);
	look_whether_done(s);
}

/*
 * A worker that lives, and can not be talked to, has no other way to us: all
 * of them get one to the process that follows.
 */
static void
lose(struct peer *p)
{
	log_line(LOG_ERROR_, "cannot serve a worker: %m");
	on_leave(p->serving);
	leave(p);
}

/* Returns false where the socket does not take it now, or the peer is gone. */
static bool
send_response(struct peer *p, const struct queue_response *r)
{
	while (p->fd >= 0) {
		if (send(p->fd, r, sizeof(*r), MSG_DONTWAIT | MSG_NOSIGNAL) ==
		    (ssize_t)sizeof(*r))
			return true;
		if (errno == EAGAIN)
			return false;
		if (errno == EPIPE || errno == ECONNRESET) {
			if (++p->n_errors < ERRORS_MAX)
				continue;
			leave(p);
		} else if (errno != EINTR) {
			lose(p);
		}
	}
	return false;
}

static void
answer(struct peer *p, const struct queue_response *r)
{
	if (p->n_out == 0 && (send_response(p, r) || p->fd < 0))
		return;
	if (p->fd < 0)
		return;
	assert(p->n_out < ANSWERS_MAX);
	p->out[p->n_out++] = *r;
	loop_want(p->watch, LOOP_WRITE);
}

/* What was gathered is made safe, unless that is still being done with what
 * was gathered before. */
static void
commit(struct serving *s)
{
	struct batch *b = s->gathering;

	if (s->under_way != NULL || b->n == 0)
		return;
	s->under_way = b;
	s->gathering = b == s->batches ? s->batches + 1 : s->batches;
	queue_committer_begin(s->committer, b->commits, b->n);
}

/* Of what was delivered meanwhile only this process knows. */
static void
answer_one(struct serving *s, struct spool_commit *c, const struct asked *a)
{
	struct queue_response r;

	if (c->result == -E_ABSENT && spool_was_removed(s->spool, c->id))
		c->result = c->error = 0;
	r = (struct queue_response){a->tag, c->result, c->error};
	if (a->peer != NULL)
		answer(a->peer, &r);
}

static void
on_committed(void *arg)
{
	struct serving *s = arg;
	struct batch *b = s->under_way;

	for (size_t k = 0; k < b->n; k++)
		answer_one(s, b->commits + k, b->asked + k);
	s->under_way = NULL;
	commit(s);
	for (size_t k = 0; k < b->n; k++) {
		const struct spool_commit *c = &b->commits[k];

		if (b->asked[k].is_own)
			queue_run_committed(s->run, c->id, c->result);
		else if (c->result == 0)
			queue_run_add(s->run, c->id);
	}
	b->n = 0;
	look_at_all(s);
	look_whether_done(s);
}

static void
on_turn(void *arg)
{
	struct serving *s = arg;

	s->is_turn = false;
	commit(s);
}

/* Puts one more into what is gathered, which has room. */
static void
gather(struct serving *s, const struct asked *a, const char *id)
{
	struct batch *b = s->gathering;

	if (!s->is_turn) {
		s->is_turn = true;
		loop_defer(s->env.loop, &s->turn, on_turn, s);
	}
	b->asked[b->n] = *a;
	b->commits[b->n] = (struct spool_commit){.result = -E_SYSTEM};
	snprintf(b->commits[b->n].id, sizeof(b->commits[b->n].id), "%s", id);
	b->n++;
	if (b->n == QUEUE_BATCH_MAX)
		look_at_all(s);
}

/* What the run has written itself. */
static bool
commit_own(void *arg, const char *id)
{
	struct serving *s = arg;

	if (s->gathering->n == QUEUE_BATCH_MAX)
		return false;
	gather(s, &(struct asked){.is_own = true}, id);
	return true;
}

/* ---- workers ------------------------------------------------------------- */

/* False where it is none. */
static bool
take_request(struct peer *p, const struct queue_request *q)
{
	static const uint8_t zero[sizeof(q->zero)];

	if (q->id[sizeof(q->id) - 1] != '\0' ||
	    memcmp(q->zero, zero, sizeof(zero)) != 0 ||
	    !queue_id_is(bytes_of(q->id)))
		return false;
	gather(p->serving, &(struct asked){p, q->tag, false}, q->id);
	return true;
}

static void
send_out(struct peer *p)
{
	unsigned n = 0;

	while (n < p->n_out && send_response(p, p->out + n))
		n++;
	if (p->fd < 0)
		return;
	p->n_out -= n;
	memmove(p->out, p->out + n, p->n_out * sizeof(p->out[0]));
	look_at(p);
}

static void
on_peer(void *arg, unsigned what)
{
	struct peer *p = arg;
	const struct serving *s = p->serving;

	if (p->n_out != 0) {
		if ((what & LOOP_WRITE) != 0)
			send_out(p);
		return;
	}
	for (unsigned n = 0; n < REQUESTS_A_TURN && p->fd >= 0 &&
	    p->n_out == 0 && s->gathering->n < QUEUE_BATCH_MAX; n++) {
		struct queue_request q;
		ssize_t got = recv(p->fd, &q, sizeof(q), MSG_DONTWAIT |
		    MSG_TRUNC);

		if (got < 0 && (errno == EINTR || errno == EAGAIN ||
		    ++p->n_errors < ERRORS_MAX))
			return;
		if (got < 0) {
			lose(p);
			return;
		}
		p->n_errors = 0;
		if (got == (ssize_t)sizeof(q) && take_request(p, &q))
			continue;
		if (got > 0)
			log_line(LOG_ERROR_, "a request that is none; that "
			    "worker is not served any more");
		if (p->fd >= 0)
			leave(p);
	}
}

static void
welcome(struct serving *s, int fd)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		goto fail;
	p->serving = s;
	p->fd = fd;
	p->behind = s->first;
	p->watch = loop_watch(s->env.loop, fd, on_peer, p);
	if (p->watch == NULL)
		goto fail;
	if (p->behind != NULL)
		p->behind->before = p;
	s->first = p;
	look_at(p);
	return;
fail:
	log_line(LOG_ERROR_, "cannot serve a worker: %m");
	free(p);
	close(fd);
	on_leave(s);		/* as in lose() */
}

static void
on_control(void *arg, unsigned what)
{
	struct serving *s = arg;
	bool is_over;
	int fd = passfd_take(s->control, &is_over);

	(void)what;
	if (fd >= 0)
		welcome(s, fd);
	if (!is_over)
		return;
	loop_unwatch(&s->control_watch);
	close(s->control);
	s->control = -1;
	end(s);
	look_whether_done(s);
}

/* ---- the process --------------------------------------------------------- */

static void
on_sweep(void *arg)
{
	struct serving *s = arg;

	spool_sweep(s->spool, loop_time_s(s->env.loop));
	loop_timer_start(s->sweep, SWEEP_MS);
}

/* control_request */
static void
on_command(void *arg, struct control_peer *p, struct bytes request)
{
	struct serving *s = arg;
	uint8_t octets[CONTROL_REQUEST_MAX];
	struct buf answer = BUF_ON(octets);

	queue_run_command(s->run, request, &answer);
	control_peer_end(p, buf_bytes(&answer));
}

/* STATE/queue/control; mail goes on without it. */
static void
open_commands(struct serving *s)
{
	char folder[4096];
	int r;

	snprintf(folder, sizeof(folder), "%s/queue", s->env.config->state);
	r = control_place_bind(&s->place, folder);
	if (r == 0)
		s->commands = control_socket_new(s->env.loop, s->place.fd,
		    on_command, s);
	if (s->commands == NULL)
		log_line(LOG_ERROR_, "the control socket %s/control can not "
		    "be made: %s", folder, r != 0 ? strerror(errno) :
		    err_text(-E_NOMEM));
}

static int
setup(struct serving *s)
{
	static const struct hub_calls calls = {.signature = queue_run_signature};
	int r = spool_open(&s->spool, s->env.config->state);

	if (r != 0)
		return r;
	(void)spool_work_beside(s->spool);
	s->env.loop = loop_new();
	if (s->env.loop == NULL)
		return -E_NOMEM;
	s->has_hub = true;
	if (!hub_init(&s->hub, &s->env, &calls))
		return -E_NOMEM;
	s->run = queue_run_new(&s->hub, s->spool, on_idle, s);
	s->sweep = loop_timer_new(s->env.loop, on_sweep, s);
	s->limit = loop_timer_new(s->env.loop, on_limit, s);
	s->control_watch = loop_watch(s->env.loop, s->control, on_control, s);
	if (s->run == NULL || s->sweep == NULL || s->limit == NULL ||
	    s->control_watch == NULL ||
	    loop_signal(s->env.loop, QUEUE_LEAVE, on_leave, s) != 0)
		return -E_NOMEM;
	open_commands(s);
	s->committer = queue_committer_new(s->env.loop, s->spool,
	    s->env.config->state, on_committed, s);
	if (s->committer == NULL)
		return -E_NOMEM;
	queue_run_commit_by(s->run, commit_own, s);
	on_sweep(s);
	loop_want(s->control_watch, LOOP_READ);
	queue_run_start(s->run);
	return 0;
}

static void
fini(struct serving *s)
{
	while (s->first != NULL)
		leave(s->first);
	loop_unwatch(&s->control_watch);
	loop_timer_free(&s->sweep);
	loop_timer_free(&s->limit);
	control_socket_free(&s->commands);
	control_place_leave(&s->place);
	queue_committer_free(&s->committer);
	queue_run_free(&s->run);
	if (s->has_hub)
		hub_fini(&s->hub);
	if (s->control >= 0)
		close(s->control);
	loop_free(&s->env.loop);
	spool_close(&s->spool);
	free(s);
}

int
queue_serve(const struct worker_env *env, int control)
{
	struct serving *s = calloc(1, sizeof(*s));
	sigset_t none;
	int r = -E_NOMEM;

	if (s != NULL) {
		s->env = *env;
		s->control = control;
		s->place = CONTROL_NOWHERE;
		s->gathering = s->batches;
		r = setup(s);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (r == 0)
		loop_run(s->env.loop);
	else if (r == -E_SYSTEM)
		log_line(LOG_ERROR_, "cannot open %s/queue: %m",
		    env->config->state);
	else
		log_line(LOG_ERROR_, "cannot start: no memory");
	if (s != NULL)
		fini(s);
	return r == 0 ? 0 : EX_OSERR;
}
