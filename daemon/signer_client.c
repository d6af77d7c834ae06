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
/*
 * Sent to one signer and not answered: so few that the answers fit into the
 * socket, and that no question waits behind others while another signer has
 * nothing to do.
 */
#define SENT_MAX 16
/* A question that ended so many signers ends no other. */
#define ASKED_MAX 2

/* A signer, as we see it. */
struct end {
	struct signer_client *client;
	int fd;
	struct loop_watch *watch;	/* NULL: it is gone */
	unsigned n_owed;		/* answers; late ones too */
	unsigned n_errors;		/* one behind the other */
	bool is_full;			/* its socket takes no more for now */
};

struct question {
	bool is_open;		/* not answered yet */
	unsigned n_asked;
	struct end *end;	/* who is to answer; NULL: not sent */
	uint64_t tag;		/* the asker's */
	int64_t deadline_ms;
	struct signer_request request;
};

/*
 * Questions are numbered as they come; number k stands at k % QUEUE_MAX and
 * is its own tag on the wire, so that an answer that comes too late meets
 * no other question. head <= next <= tail.
 */
struct signer_client {
	struct loop *loop;
	struct loop_timer *timer;	/* runs while there are questions */
	signer_answer *answer;
	void *arg;
	bool is_dying;
	struct loop_deferred destroy;
	uint64_t head;			/* the oldest that is open */
	uint64_t next;			/* none before it is to be sent */
	uint64_t tail;			/* the next to be asked */
	unsigned n_ends;
	struct end ends[SIGNERS_MAX];
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
	if (c->next < c->head)
		c->next = c->head;
	c->answer(c->arg, tag, signature);
}

static bool
has_end(const struct signer_client *c)
{
	for (unsigned k = 0; k < c->n_ends; k++)
		if (c->ends[k].watch != NULL)
			return true;
	return false;
}

/* Who owes us least, and may be asked more; NULL: nobody. */
static struct end *
choose(struct signer_client *c)
{
	struct end *best = NULL;

	for (struct end *e = c->ends; e < c->ends + c->n_ends; e++)
		if (e->watch != NULL && !e->is_full && e->n_owed < SENT_MAX &&
		    (best == NULL || e->n_owed < best->n_owed))
			best = e;
	return best;
}

/* Where it is gone, its watch will say so: later. */
static void
put(struct end *e, struct question *q)
{
	ssize_t n;

	do
		n = send(e->fd, &q->request, sizeof(q->request),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		e->n_errors += errno != EAGAIN;
		e->is_full = true;
		loop_want(e->watch, LOOP_READ | LOOP_WRITE);
		return;
	}
	q->end = e;
	q->n_asked++;
	e->n_owed++;
}

/* Sends what may be sent. */
static void
send_some(struct signer_client *c)
{
	struct end *e;

	for (; c->next != c->tail; c->next++) {
		struct question *q = at(c, c->next);

		while (q->is_open && q->end == NULL) {
			e = choose(c);
			if (e == NULL)
				return;
			put(e, q);
		}
	}
}

/* What was asked of it is asked of another. */
static void
lose(struct end *e, const char *why)
{
	struct signer_client *c = e->client;
	uint64_t tail = c->tail;
	bool is_last;

	loop_unwatch(&e->watch);
	is_last = !has_end(c);
	log_line(LOG_ERROR_, is_last ?
	    "the signer is gone (%s): nothing is signed" :
	    "a signer is gone (%s): the others go on", why);
	for (uint64_t k = c->head; k < tail && !c->is_dying; k++) {
		struct question *q = at(c, k);

		if (k < c->head || !q->is_open || (q->end != e && !is_last))
			continue;
		if (is_last || q->n_asked == ASKED_MAX)
			resolve(c, k, (struct bytes){NULL, 0});
		else
			q->end = NULL;
	}
	if (c->is_dying)
		return;
	c->next = c->head;
	send_some(c);
}

static void
take(struct end *e, const struct signer_reply *a)
{
	struct signer_client *c = e->client;
	struct question *q;

	if (e->n_owed != 0)
		e->n_owed--;
	if (a->tag < c->head || a->tag >= c->tail)
		return;		/* too late, or never asked */
	q = at(c, a->tag);
	if (!q->is_open || q->end != e)
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
	struct end *e = arg;
	struct signer_client *c = e->client;

	if (e->is_full && (what & LOOP_WRITE) != 0) {
		e->is_full = false;
		loop_want(e->watch, LOOP_READ);
	}
	/* bounded, so that the net has its turn too */
	for (int k = 0; k < SENT_MAX && !c->is_dying; k++) {
		struct signer_reply a;
		ssize_t n = recv(e->fd, &a, sizeof(a),
		    MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		/* one that died says end of file behind its error */
		if (n < 0 && errno != EAGAIN)
			e->n_errors++;
		if (n < 0 && e->n_errors < ERRORS_MAX)
			break;
		if (n <= 0) {
			lose(e, n == 0 ? "end of file" : strerror(errno));
			return;
		}
		e->n_errors = 0;
		if ((size_t)n != sizeof(a) || a.n > sizeof(a.signature)) {
			lose(e, "a reply that is none");
			return;
		}
		take(e, &a);
	}
	if (!c->is_dying)
		send_some(c);
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

static void
close_all(struct signer_client *c)
{
	for (unsigned k = 0; k < c->n_ends; k++) {
		loop_unwatch(&c->ends[k].watch);
		close(c->ends[k].fd);
	}
	c->n_ends = 0;
	loop_timer_free(&c->timer);
}

struct signer_client *
signer_client_new(struct loop *l, const struct signer_ends *ends,
    signer_answer *answer, void *arg)
{
	struct signer_client *c = calloc(1, sizeof(*c));
	bool is_good;

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->answer = answer;
	c->arg = arg;
	c->timer = loop_timer_new(l, on_time, c);
	is_good = c->timer != NULL;
	for (; c->n_ends < ends->n; c->n_ends++) {
		struct end *e = c->ends + c->n_ends;

		*e = (struct end){.client = c, .fd = ends->fds[c->n_ends]};
		e->watch = loop_watch(l, e->fd, on_ready, e);
		is_good = is_good && e->watch != NULL;
		if (e->watch != NULL)
			loop_want(e->watch, LOOP_READ);
	}
	if (is_good)
		return c;
	close_all(c);
	free(c);
	return NULL;
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
	close_all(c);
	loop_defer(c->loop, &c->destroy, destroy, c);
}

int
signer_client_ask(struct signer_client *c, unsigned key, struct bytes digest,
    uint64_t tag)
{
	struct question *q = at(c, c->tail);

	if (!has_end(c) || c->is_dying || c->tail - c->head == QUEUE_MAX ||
	    digest.n != sizeof(q->request.digest))
		return -E_SYSTEM;
	*q = (struct question){.is_open = true, .tag = tag,
	    .deadline_ms = loop_now_ms(c->loop) + WAIT_MS,
	    .request = {.tag = c->tail, .key = key}};
	memcpy(q->request.digest, digest.p, digest.n);
	if (c->head == c->tail)
		loop_timer_start(c->timer, WAIT_MS);
	c->tail++;
	send_some(c);
	return 0;
}
