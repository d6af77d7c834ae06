#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/signer.h"
#include "daemon/signer_wire.h"

#define WAIT_MS 5000
#define ERRORS_MAX 3
#define QUEUE_MAX 1024		/* asked and not answered */
/* Sent and not answered: so few that the answers fit into the socket. */
#define SENT_MAX 64

struct question {
	bool is_open;		/* not answered yet */
	uint64_t tag;		/* the asker's */
	int64_t deadline_ms;
	struct signer_request request;
};

/*
 * Questions are numbered as they come; number k stands at k % QUEUE_MAX and
 * is its own tag on the wire, so that an answer that comes too late meets
 * no other question. head <= sent <= tail.
 */
struct signer_client {
	struct loop *loop;
	int fd;
	struct loop_watch *watch;	/* NULL: the signer is gone */
	struct loop_timer *timer;	/* runs while there are questions */
	signer_answer *answer;
	void *arg;
	unsigned n_errors;		/* of the socket, one behind the other */
	bool is_dying;
	struct loop_deferred destroy;
	uint64_t head;			/* the oldest that is open */
	uint64_t sent;			/* the next to be sent */
	uint64_t tail;			/* the next to be asked */
	struct question questions[QUEUE_MAX];
};

static struct question *
at(struct signer_client *c, uint64_t number)
{
	return &c->questions[number % QUEUE_MAX];
}

/* The last thing to do with a question; c may be dying behind it. */
static void
resolve(struct signer_client *c, uint64_t number, struct bytes signature)
{
	struct question *q = at(c, number);
	uint64_t tag = q->tag;

	q->is_open = false;
	if (signature.n == 0)
		metrics_count(METRIC_OUTAGES, BEHIND_SIGNER, 0);
	while (c->head != c->tail && !at(c, c->head)->is_open)
		c->head++;
	if (c->sent < c->head)
		c->sent = c->head;
	c->answer(c->arg, tag, signature);
}

static void
gone(struct signer_client *c, const char *why)
{
	log_line(LOG_ERROR_, "the signer is gone (%s): nothing is signed", why);
	loop_unwatch(&c->watch);
	loop_timer_stop(c->timer);
	while (c->head != c->tail && !c->is_dying)
		resolve(c, c->head, (struct bytes){NULL, 0});
}

/* Sends what may be sent. 0, or -E_SYSTEM where the signer is gone. */
static int
send_some(struct signer_client *c)
{
	while (c->sent != c->tail && c->sent - c->head < SENT_MAX) {
		struct question *q = at(c, c->sent);

		if (send(c->fd, &q->request, sizeof(q->request),
		    MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN && ++c->n_errors >= ERRORS_MAX)
				return -E_SYSTEM;
			loop_want(c->watch, LOOP_READ | LOOP_WRITE);
			return 0;
		}
		c->sent++;
	}
	loop_want(c->watch, LOOP_READ);
	return 0;
}

static void
take(struct signer_client *c, const struct signer_reply *a)
{
	struct question *q;

	if (a->tag < c->head || a->tag >= c->sent)
		return;		/* too late, or never asked */
	q = at(c, a->tag);
	if (!q->is_open)
		return;
	if (a->status != 0)
		log_line(LOG_ERROR_, "the signer cannot sign with key %u: %s",
		    q->request.key, err_text(a->status));
	resolve(c, a->tag, (struct bytes){a->signature,
	    a->status == 0 ? a->n : 0});
}

static void
on_ready(void *arg, unsigned what)
{
	struct signer_client *c = arg;

	(void)what;
	/* bounded, so that the net has its turn too */
	for (int k = 0; k < SENT_MAX && !c->is_dying; k++) {
		struct signer_reply a;
		ssize_t n = recv(c->fd, &a, sizeof(a),
		    MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		/* one that died says end of file behind its error; without a
		 * signer this worker could not sign until the next reload */
		if (n < 0 && (errno == EAGAIN || ++c->n_errors < ERRORS_MAX))
			break;
		if (n <= 0) {
			gone(c, n == 0 ? "end of file" : strerror(errno));
			return;
		}
		c->n_errors = 0;
		if ((size_t)n != sizeof(a) || a.n > sizeof(a.signature)) {
			gone(c, "a reply that is none");
			return;
		}
		take(c, &a);
	}
	if (!c->is_dying && send_some(c) != 0)
		gone(c, strerror(errno));
}

static void
on_time(void *arg)
{
	struct signer_client *c = arg;
	int64_t now = loop_now_ms(c->loop);
	uint64_t end = c->tail;		/* what is asked meanwhile has time */

	while (c->head < end && !c->is_dying &&
	    at(c, c->head)->deadline_ms <= now) {
		log_line(LOG_ERROR_, "no answer from the signer in %d s",
		    WAIT_MS / 1000);
		resolve(c, c->head, (struct bytes){NULL, 0});
	}
	if (!c->is_dying && c->head != c->tail)
		loop_timer_start(c->timer,
		    at(c, c->head)->deadline_ms - now + 1);
}

struct signer_client *
signer_client_new(struct loop *l, int fd, signer_answer *answer, void *arg)
{
	struct signer_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->fd = fd;
	c->answer = answer;
	c->arg = arg;
	c->watch = loop_watch(l, fd, on_ready, c);
	c->timer = loop_timer_new(l, on_time, c);
	if (c->watch == NULL || c->timer == NULL) {
		loop_unwatch(&c->watch);
		loop_timer_free(&c->timer);
		free(c);
		return NULL;
	}
	loop_want(c->watch, LOOP_READ);
	return c;
}

static void
destroy(void *arg)
{
	free(arg);
}

void
signer_client_free(struct signer_client **cp)
{
	struct signer_client *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	c->is_dying = true;
	loop_unwatch(&c->watch);
	loop_timer_free(&c->timer);
	close(c->fd);
	loop_defer(c->loop, &c->destroy, destroy, c);
}

int
signer_client_ask(struct signer_client *c, unsigned key, struct bytes digest,
    uint64_t tag)
{
	struct question *q = at(c, c->tail);

	if (c->watch == NULL || c->is_dying ||
	    c->tail - c->head == QUEUE_MAX ||
	    digest.n != sizeof(q->request.digest))
		return -E_SYSTEM;
	*q = (struct question){.is_open = true, .tag = tag,
	    .deadline_ms = loop_now_ms(c->loop) + WAIT_MS,
	    .request = {.tag = c->tail, .key = key}};
	memcpy(q->request.digest, digest.p, digest.n);
	if (c->head == c->tail)
		loop_timer_start(c->timer, WAIT_MS);
	c->tail++;
	/* where the signer is gone now, the watch will say so: later */
	if (send_some(c) != 0)
		loop_want(c->watch, LOOP_READ | LOOP_WRITE);
	return 0;
}
