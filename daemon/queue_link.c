#include "daemon/queue_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/passfd.h"

#define ERRORS_MAX 3
#define PACKETS_A_TURN 64	/* so that the net has its turn too */

/* A commit that was asked for and has no answer. */
struct pending {
	struct pending *before, *behind;	/* in the order of asking */
	struct queue_request request;
};

struct queue_link {
	struct loop *loop;
	queue_link_answer *answer;
	void *arg;
	int channel;			/* of the master; -1: none */
	struct loop_watch *channel_watch;
	int fd;				/* of the queue process; -1: none */
	struct loop_watch *watch;
	unsigned n_errors;		/* one behind the other */
	bool is_dying;
	struct pending *first, *last;
	struct pending *unsent;		/* it, and all behind it */
	struct loop_deferred destroy;
};

/* ---- what is pending ----------------------------------------------------- */

static void
append(struct queue_link *k, struct pending *p)
{
	p->before = k->last;
	if (k->last != NULL)
		k->last->behind = p;
	else
		k->first = p;
	k->last = p;
	if (k->unsent == NULL)
		k->unsent = p;
}

/* Answers come in the order of asking: it is found soon. */
static struct pending *
find(const struct queue_link *k, uint64_t tag)
{
	struct pending *p = k->first;

	while (p != NULL && p->request.tag != tag)
		p = p->behind;
	return p;
}

static void
forget(struct queue_link *k, struct pending *p)
{
	if (k->unsent == p)
		k->unsent = p->behind;
	if (p->before != NULL)
		p->before->behind = p->behind;
	else
		k->first = p->behind;
	if (p->behind != NULL)
		p->behind->before = p->before;
	else
		k->last = p->before;
	free(p);
}

/* ---- the connection ------------------------------------------------------ */

static void
disconnect(struct queue_link *k)
{
	loop_unwatch(&k->watch);
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	k->n_errors = 0;
	k->unsent = k->first;		/* the next one is asked for all */
}

/* What does not go now is tried again; where the process is gone, reading says
 * so first. */
static void
send_unsent(struct queue_link *k)
{
	while (k->fd >= 0 && k->unsent != NULL) {
		const struct queue_request *q = &k->unsent->request;

		if (send(k->fd, q, sizeof(*q), MSG_DONTWAIT | MSG_NOSIGNAL) ==
		    (ssize_t)sizeof(*q))
			k->unsent = k->unsent->behind;
		else if (errno != EINTR)
			break;
	}
	if (k->fd >= 0)
		loop_want(k->watch, k->unsent != NULL ?
		    LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void
take_answer(struct queue_link *k, const struct queue_response *a)
{
	struct pending *p = find(k, a->tag);
	enum queue_answer what = QUEUE_BROKEN;

	if (p == NULL)			/* nobody waits for it any more */
		return;
	if (a->result == 0)
		what = QUEUE_TAKEN;
	else if (a->error == ENOSPC || a->error == EDQUOT)
		what = QUEUE_FULL;
	forget(k, p);
	k->answer(k->arg, a->tag, what);
}

/* Returns false where there is nothing more to read now. */
static bool
read_answer(struct queue_link *k)
{
	struct queue_response a;
	ssize_t n = recv(k->fd, &a, sizeof(a), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && errno == EINTR)
		return true;
	/* one that died has its answers behind its error, and end of file
	 * behind those */
	if (n < 0 && (errno == EAGAIN || ++k->n_errors < ERRORS_MAX))
		return errno != EAGAIN;
	if (n == (ssize_t)sizeof(a)) {
		k->n_errors = 0;
		take_answer(k, &a);
		return true;
	}
	/* each reload has another one; the master says of what one died */
	log_line(n == 0 ? LOG_DEBUG_ : LOG_ERROR_,
	    "the queue process is gone (%s)", n == 0 ? "end of file" : n < 0 ?
	    strerror(errno) : "an answer that is none");
	disconnect(k);
	return false;
}

static void
read_answers(struct queue_link *k)
{
	for (int n = 0; n < PACKETS_A_TURN && k->fd >= 0 && !k->is_dying; n++)
		if (!read_answer(k))
			break;
}

static void
on_ready(void *arg, unsigned what)
{
	struct queue_link *k = arg;

	(void)what;
	read_answers(k);
	if (!k->is_dying)
		send_unsent(k);
}

/* The last process that was started is the one that counts; what the one
 * before it has answered is read first. */
static void
connect_to(struct queue_link *k, int fd)
{
	while (k->fd >= 0 && !k->is_dying && read_answer(k))
		continue;
	if (k->is_dying) {
		close(fd);
		return;
	}
	disconnect(k);
	k->fd = fd;
	k->watch = loop_watch(k->loop, fd, on_ready, k);
	if (k->watch == NULL) {
		log_line(LOG_ERROR_, "cannot watch the queue process: no "
		    "memory");
		disconnect(k);
		return;
	}
	send_unsent(k);
}

static void
on_channel(void *arg, unsigned what)
{
	struct queue_link *k = arg;
	bool is_over;
	int fd = passfd_take(k->channel, &is_over);

	(void)what;
	if (fd >= 0)
		connect_to(k, fd);
	/* the master is gone, and takes the queue process with it: no answer
	 * comes to what is pending, and only the spool knows */
	if (is_over)
		loop_unwatch(&k->channel_watch);
}

struct queue_link *
queue_link_new(struct loop *l, int channel, queue_link_answer *answer,
    void *arg)
{
	struct queue_link *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	*k = (struct queue_link){.loop = l, .answer = answer, .arg = arg,
	    .channel = channel, .fd = -1};
	if (channel < 0)
		return k;
	k->channel_watch = loop_watch(l, channel, on_channel, k);
	if (k->channel_watch == NULL) {
		free(k);
		return NULL;
	}
	loop_want(k->channel_watch, LOOP_READ);
	return k;
}

static void
destroy(void *arg)
{
	free(arg);
}

void
queue_link_free(struct queue_link **kp)
{
	struct queue_link *k = *kp;

	if (k == NULL)
		return;
	*kp = NULL;
	k->is_dying = true;
	disconnect(k);
	while (k->first != NULL)
		forget(k, k->first);
	loop_unwatch(&k->channel_watch);
	if (k->channel >= 0)
		close(k->channel);
	loop_defer(k->loop, &k->destroy, destroy, k);
}

int
queue_link_commit(struct queue_link *k, const char *id, uint64_t tag)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -E_NOMEM;
	p->request.tag = tag;
	snprintf(p->request.id, sizeof(p->request.id), "%s", id);
	append(k, p);
	if (k->unsent == p)
		send_unsent(k);
	return 0;
}

void
queue_link_forget(struct queue_link *k, uint64_t tag)
{
	struct pending *p = find(k, tag);

	if (p != NULL)
		forget(k, p);
}
