#include "daemon/keeper.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/arrival_keep.h"
#include "daemon/claims.h"
#include "daemon/copies.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/loop.h"
#include "daemon/packets.h"
#include "daemon/passfd.h"
#include "daemon/shared.h"

#define TICK_MS (10 * 1000)
#define TICK_SOON_MS 100
#define TICK_SHARED_MS 1000	/* how the server does */
#define SWEEP_MS (3600 * 1000)
#define ERRORS_MAX 3U	/* one behind the other */
#define REPLIES_A_TURN 1024U
#define VALUES_A_TURN (1024U * 1024)
/* Holds the answers to all messages that are taken in a turn, less than two
 * packets of them, but for more arrivals than anybody asks for at a time; none
 * is read before the answers to those of the turn before have left. */
#define OUT_MAX (2 * MEMORY_PACKET_MAX / sizeof(struct memory_request) * \
	(MEMORY_RESPONSE_MAX + 2) + VALUES_A_TURN)

struct peer {
	struct serving *serving;
	struct peer *before, *behind;
	unsigned number;
	int fd;				/* -1: it is gone */
	bool is_greeted;		/* it has the secret */
	unsigned n_errors;
	struct loop_watch *watch;
	struct packets out;
	struct loop_deferred destroy;
};

/* An answer that counts when its turn is kept. */
struct reply {
	struct peer *peer;
	struct memory_response head;
	size_t at;			/* of its value */
};

struct serving {
	struct loop *loop;
	const char *folder;
	uint8_t secret[STORE_SECRET_SIZE];
	bool has_secret;		/* it is in the folder too */
	bool was_absent;		/* the folder, when we were shut in */
	struct shared *shared;		/* or NULL, and these are */
	struct store *store;
	struct copies *copies;
	struct claims *claims;
	struct arrival_keep *arrivals;
	bool is_sweeping;
	int64_t sweep_ms;		/* the next, not before */
	int control;			/* -1: closed */
	struct loop_watch *control_watch;
	struct loop_timer *tick;
	struct peer *first;
	unsigned n_peers;		/* so far */
	bool is_turn;			/* end_turn() is due */
	struct loop_deferred turn;
	size_t n_replies;
	struct reply replies[REPLIES_A_TURN];
	size_t n_values;
	uint8_t values[VALUES_A_TURN];
};

/* ---- turns --------------------------------------------------------------- */

static void on_peer(void *arg, unsigned what);

static void
say_copies(const struct serving *s)
{
	metrics_set(METRIC_COPIES_OCTETS, 0,
	    (int64_t)store_copies(s->store));
}

static void
destroy(void *arg)
{
	struct peer *p = arg;

	packets_fini(&p->out);
	free(p);
}

static void
look_whether_done(struct serving *s)
{
	if (s->control < 0 && s->first == NULL)
		loop_stop(s->loop);
}

/* Answers of this turn that wait for it find fd < 0. */
static void
leave(struct peer *p)
{
	struct serving *s = p->serving;

	loop_unwatch(&p->watch);
	close(p->fd);
	p->fd = -1;
	if (p->before != NULL)
		p->before->behind = p->behind;
	else
		s->first = p->behind;
	if (p->behind != NULL)
		p->behind->before = p->before;
	if (s->shared != NULL)
		shared_leave(s->shared, p->number);
	else
		claims_leave(s->claims, p->number);
	loop_defer(s->loop, &p->destroy, destroy, p);
	look_whether_done(s);
}

/* One that is gone may have said more before: its end of file comes last. */
static void
send_answers(struct peer *p)
{
	int r;

	if (p->fd < 0)
		return;
	r = packets_send(&p->out, p->fd);
	if (r < 0)
		packets_clear(&p->out);
	loop_want(p->watch, r <= 0 ? LOOP_READ : LOOP_WRITE);
}

/* Copies that no record has any more. */
static void
remove_copies(struct serving *s)
{
	const uint8_t (*names)[STORE_KEY_SIZE];
	size_t n = store_arrival_dropped(s->store, &names);

	for (size_t k = 0; k < n; k++)
		if (store_arrival_has_copy(s->store, names[k]) == 0)
			copies_remove(s->copies, names[k]);
}

static void
add_answer(struct serving *s, struct reply *r, bool is_kept)
{
	struct bytes head = {(uint8_t *)&r->head, sizeof(r->head)};

	if (!is_kept && r->head.is_arrival)
		arrival_keep_fail(&r->head);
	else if (!is_kept)
		claims_fail(&r->head);
	if (r->peer->fd < 0 || packets_add(&r->peer->out, head, (struct bytes)
	    {s->values + r->at, r->head.n_value}) || !r->head.is_arrival)
		return;
	arrival_keep_fail(&r->head);
	packets_add(&r->peer->out, head, (struct bytes){NULL, 0});
}

static void
send_all(struct serving *s)
{
	for (struct peer *p = s->first, *behind; p != NULL; p = behind) {
		behind = p->behind;
		if (p->out.head != p->out.tail)
			send_answers(p);
	}
}

/* What was asked in this turn is kept, then answered. */
static void
end_turn(struct serving *s)
{
	bool is_kept = store_commit(s->store, loop_time_s(s->loop)) == 0;

	for (size_t k = 0; k < s->n_replies; k++)
		add_answer(s, s->replies + k, is_kept);
	s->n_replies = s->n_values = 0;
	send_all(s);
	say_copies(s);
	remove_copies(s);
}

static void
on_turn(void *arg)
{
	struct serving *s = arg;

	s->is_turn = false;
	if (s->store == NULL)
		send_all(s);
	else
		end_turn(s);
}

static void
begin_turn(struct serving *s)
{
	if (s->is_turn)
		return;
	s->is_turn = true;
	loop_defer(s->loop, &s->turn, on_turn, s);
}

static void
take(struct peer *p, const struct memory_request *q, struct bytes value,
    struct claims_now now)
{
	struct serving *s = p->serving;
	struct reply *r = s->replies + s->n_replies;
	struct bytes out;
	bool is_answered;

	if (s->shared != NULL) {
		shared_take(s->shared, p->number, q, value);
		return;
	}
	if (memory_op_is_arrival(q->op))
		is_answered = arrival_keep_take(s->arrivals, q, value, now,
		    &r->head, &out);
	else
		is_answered = claims_take(s->claims, p->number, q, value, now,
		    &r->head, &out);
	if (!is_answered)
		return;
	r->peer = p;
	r->at = s->n_values;
	if (out.n != 0)
		memcpy(s->values + s->n_values, out.p, out.n);
	s->n_values += out.n;
	if (++s->n_replies == REPLIES_A_TURN ||
	    VALUES_A_TURN - s->n_values < ARRIVAL_VALUE_MAX)
		end_turn(s);
}

/* ---- peers --------------------------------------------------------------- */

/* False where it is none of ours. */
static bool
take_packet(struct peer *p, struct bytes packet)
{
	struct serving *s = p->serving;
	struct claims_now now = {loop_now_ms(s->loop), loop_time_s(s->loop)};
	struct memory_request q;
	struct bytes value;
	int r = 1;

	begin_turn(s);
	while (p->fd >= 0 &&
	    (r = memory_request_parse(&packet, &q, &value)) == 1)
		take(p, &q, value, now);
	return r >= 0;
}

/* Octets that were taken, or 0. */
static size_t
take_next(struct peer *p)
{
	uint8_t room[MEMORY_PACKET_MAX];
	ssize_t n = recv(p->fd, room, sizeof(room), MSG_DONTWAIT | MSG_TRUNC);

	/* one that left answers unread is an error before what it said last */
	if (n < 0 && (errno == EINTR || errno == EAGAIN ||
	    ++p->n_errors < ERRORS_MAX))
		return 0;
	p->n_errors = 0;
	if (n <= 0) {
		leave(p);
	} else if ((size_t)n > sizeof(room) ||
	    !take_packet(p, (struct bytes){room, (size_t)n})) {
		log_line(LOG_ERROR_, "a message of %zd octets that is none; "
		    "that worker is not served any more", n);
		if (p->fd >= 0)
			leave(p);
	}
	return n <= 0 ? 0 : (size_t)n;
}

/* As much as a packet holds a turn, so that one commit does for several and
 * all have their turn. */
static void
on_peer(void *arg, unsigned what)
{
	struct peer *p = arg;
	size_t n, taken = 0;

	if (p->out.head != p->out.tail) {
		if ((what & LOOP_WRITE) != 0)
			send_answers(p);
		return;
	}
	do {
		n = take_next(p);
		taken += n;
	} while (n != 0 && taken < MEMORY_PACKET_MAX && p->fd >= 0 &&
	    p->out.head == p->out.tail);
}

/* A shared secret may not be known yet. 0 or -E_SYSTEM. */
static int
greet(struct peer *p)
{
	struct memory_hello hello;
	ssize_t n;

	if (p->serving->shared != NULL && !p->serving->has_secret)
		return 0;
	memcpy(hello.secret, p->serving->secret, sizeof(hello.secret));
	n = send(p->fd, &hello, sizeof(hello), MSG_DONTWAIT | MSG_NOSIGNAL);
	explicit_bzero(&hello, sizeof(hello));
	p->is_greeted = n >= 0;
	return n < 0 ? -E_SYSTEM : 0;
}

static void
welcome(struct serving *s, int fd)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		goto fail;
	*p = (struct peer){.serving = s, .fd = fd, .number = ++s->n_peers,
	    .behind = s->first};
	p->watch = loop_watch(s->loop, fd, on_peer, p);
	if (p->watch == NULL || packets_init(&p->out, OUT_MAX) != 0 ||
	    greet(p) != 0)
		goto fail;
	if (p->behind != NULL)
		p->behind->before = p;
	s->first = p;
	loop_want(p->watch, LOOP_READ);
	return;
fail:
	log_line(LOG_ERROR_, "cannot serve a worker: %m");
	if (p != NULL) {
		loop_unwatch(&p->watch);
		packets_fini(&p->out);
	}
	free(p);
	close(fd);
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
	look_whether_done(s);
}

/* ---- a store that is shared ---------------------------------------------- */

/* One that is not read from has its time out: the worker does without. */
static bool
answer_shared(void *arg, unsigned peer, const struct memory_response *head,
    struct bytes value)
{
	struct serving *s = arg;
	struct bytes octets = {(const uint8_t *)head, sizeof(*head)};
	struct peer *p = s->first;

	while (p != NULL && p->number != peer)
		p = p->behind;
	if (p == NULL)
		return false;
	begin_turn(s);
	(void)packets_add(&p->out, octets, value);
	return true;
}

static void
on_secret(void *arg, const uint8_t secret[MEMORY_SECRET_SIZE])
{
	struct serving *s = arg;

	if (s->has_secret) {	/* digests and claims were made with it */
		log_line(LOG_WARNING_, "the store is another, or was emptied: "
		    "what was remembered there is not found any more");
		loop_stop(s->loop);
		return;
	}
	memcpy(s->secret, secret, sizeof(s->secret));
	s->has_secret = true;
	for (struct peer *p = s->first, *behind; p != NULL; p = behind) {
		behind = p->behind;
		if (!p->is_greeted && greet(p) != 0)
			leave(p);
	}
}

static const struct shared_calls shared_calls = {answer_shared, on_secret};

static void
on_tick_shared(void *arg)
{
	struct serving *s = arg;

	metrics_beat(loop_now_ms(s->loop));
	loop_timer_start(s->tick, TICK_SHARED_MS);
}

/* ---- the process --------------------------------------------------------- */

static void
on_leave(void *arg)
{
	struct serving *s = arg;

	loop_stop(s->loop);
}

/* A folder that could not be used may be usable now. */
static void
find_secret(struct serving *s)
{
	uint8_t secret[STORE_SECRET_SIZE];
	bool is_next;

	memcpy(secret, s->secret, sizeof(secret));
	s->has_secret = store_secret(s->folder, secret) == 0;
	/* it is there; we may not open it, and the next keeper may */
	is_next = !s->has_secret && s->was_absent && errno == EACCES;
	if (!s->has_secret && !is_next)
		return;
	log_line(LOG_NOTICE_, "%s can be used now", s->folder);
	if (is_next || memcmp(secret, s->secret, sizeof(secret)) != 0)
		loop_stop(s->loop);	/* the next keeper has the right one */
}

/* Where it can not be told it may be. Outside of a turn of the store. */
static bool
is_copy_wanted(void *arg, const uint8_t name[STORE_KEY_SIZE])
{
	struct serving *s = arg;

	return store_arrival_has_copy(s->store, name) != 0;
}

/* Now and then, as those who wrote a copy may die before it is recorded. */
static bool
sweep(struct serving *s)
{
	int64_t now = loop_now_ms(s->loop);

	if (!s->is_sweeping && now < s->sweep_ms)
		return false;
	s->is_sweeping = copies_sweep(s->copies, is_copy_wanted, s,
	    COPIES_ORPHAN_S, loop_time_s(s->loop));
	if (!s->is_sweeping)
		s->sweep_ms = now + SWEEP_MS;
	return s->is_sweeping;
}

static void
on_tick(void *arg)
{
	struct serving *s = arg;
	bool is_more = false;

	if (!s->has_secret)
		find_secret(s);
	metrics_beat(loop_now_ms(s->loop));
	metrics_ready(s->has_secret);
	say_copies(s);
	if (s->has_secret && !s->is_turn) {
		is_more = store_tick(s->store, loop_time_s(s->loop));
		remove_copies(s);
		is_more = sweep(s) || is_more;
	}
	loop_timer_start(s->tick, is_more || s->is_turn ? TICK_SOON_MS :
	    TICK_MS);
}

static int
setup_shared(struct serving *s, const struct store_limits *limits,
    const struct redis_where *where)
{
	s->shared = shared_new(s->loop, where, s->folder, limits,
	    &shared_calls, s);
	s->tick = loop_timer_new(s->loop, on_tick_shared, s);
	if (s->shared == NULL || s->tick == NULL)
		return -E_NOMEM;
	metrics_beat(loop_now_ms(s->loop));	/* or it seems to hang */
	metrics_ready(true);
	return 0;
}

static int
setup_own(struct serving *s, const struct store_limits *limits)
{
	randombytes_buf(s->secret, sizeof(s->secret));
	s->has_secret = store_secret(s->folder, s->secret) == 0;
	s->was_absent = !s->has_secret && errno == ENOENT;
	if (!s->has_secret)
		log_line(LOG_WARNING_, "the delivered memory can not be kept "
		    "in %s (%m): a retry may arrive twice", s->folder);
	s->store = store_new(s->folder, limits, s->secret);
	s->copies = copies_new(s->folder);
	if (s->store == NULL || s->copies == NULL)
		return -E_NOMEM;
	s->claims = claims_new(s->store);
	s->arrivals = arrival_keep_new(s->store, s->copies);
	s->tick = loop_timer_new(s->loop, on_tick, s);
	if (s->claims == NULL || s->arrivals == NULL || s->tick == NULL)
		return -E_NOMEM;
	if (s->has_secret)
		(void)store_tick(s->store, loop_time_s(s->loop));
	return 0;
}

static int
setup(struct serving *s, const struct store_limits *limits,
    const struct redis_where *where)
{
	int r;

	s->loop = loop_new();
	if (s->loop == NULL)
		return -E_NOMEM;
	r = where != NULL ? setup_shared(s, limits, where) :
	    setup_own(s, limits);
	s->control_watch = loop_watch(s->loop, s->control, on_control, s);
	if (r != 0 || s->control_watch == NULL ||
	    loop_signal(s->loop, KEEPER_LEAVE, on_leave, s) != 0)
		return -E_NOMEM;
	loop_timer_start(s->tick, TICK_SOON_MS);	/* sweeps */
	loop_want(s->control_watch, LOOP_READ);
	return 0;
}

static void
fini(struct serving *s)
{
	if (s->claims != NULL && s->arrivals != NULL)
		end_turn(s);
	while (s->first != NULL)
		leave(s->first);
	shared_free(&s->shared);
	loop_unwatch(&s->control_watch);
	loop_timer_free(&s->tick);
	if (s->control >= 0)
		close(s->control);
	claims_free(&s->claims);
	arrival_keep_free(&s->arrivals);
	copies_free(&s->copies);
	store_free(&s->store);
	loop_free(&s->loop);
	sodium_memzero(s->secret, sizeof(s->secret));
	free(s);
}

int
keeper_serve(const char *folder, const struct store_limits *limits,
    const struct redis_where *where, int control)
{
	struct serving *s = calloc(1, sizeof(*s));
	sigset_t none;
	int r = -E_NOMEM;

	if (s != NULL) {
		s->folder = folder;
		s->control = control;
		r = setup(s, limits, where);
	}
	signal(SIGXFSZ, SIG_IGN);	/* a file too large is an error */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (r == 0)
		loop_run(s->loop);
	else
		log_line(LOG_ERROR_, "cannot start: no memory");
	if (s != NULL)
		fini(s);
	return r == 0 ? 0 : EX_OSERR;
}
