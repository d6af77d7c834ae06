#include "daemon/memory.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/err.h"
#include "daemon/arrivals.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/memory_link.h"
#include "daemon/slots.h"

#define START_MS 1000
#define LOG_MS (60 * 1000)
#define BUCKETS 1024U		/* a power of 2 */
#define CLAIMS_MAX 65536U	/* at a time; past it nothing is claimed */
#define TOLD_MAX 4096U		/* deliveries that no keeper has confirmed */
#define KEPT_MAX 4096U		/* likewise, ways back */

enum state {
	DUE,		/* its answer is known, and told after this turn */
	ASKED,
	HELD,		/* claimed, or as good as that */
	TOLD,		/* ended, or to be forgotten; the keeper may not
			   know yet */
	KEPT,		/* likewise, a way back */
};

/* A look, or a claim from its question to its end. */
struct question {
	struct question *before, *behind;	/* in the list of its state */
	struct question *chained;		/* claims of one bucket */
	enum state state;
	bool is_look;
	bool is_said;		/* to this keeper: what it is of now */
	bool is_loose;		/* not found by its key: nobody ends it */
	enum memory_status due;
	uint64_t tag;		/* the asker's */
	uint64_t number;	/* ours, on the wire */
	int64_t deadline_ms;
	struct memory_request request;
	uint8_t value[MEMORY_VALUE_MAX];
};

struct list {
	struct question *first, *last;
	size_t n;
};

struct memory {
	struct loop *loop;
	struct memory_link *link;
	bool is_up;
	struct memory_calls calls;
	void *arg;
	struct loop_timer *timer;	/* runs while something is ASKED */
	struct loop_deferred deferred;	/* tells what is DUE */
	int wait_ms;
	bool is_telling;
	struct loop_deferred destroy;
	bool is_dying;
	uint8_t secret[MEMORY_SECRET_SIZE];
	struct arrivals *arrivals;
	struct slots numbers;
	struct list due, asked, told, kept;
	struct question *buckets[BUCKETS];	/* claims, ASKED or HELD */
	size_t n_claims;
	size_t n_held;			/* buckets whose claims were said */
	struct memory_counts counts;
	int64_t logged_ms;		/* 0: never */
	int64_t ways_logged_ms;
};

/* The keeper never sees addresses, only these. */
static struct memory_request
request_of(const struct memory *m, enum memory_op op,
    const struct memory_key *k)
{
	struct bytes parts[] = {k->scope, k->reverse_path, k->rcpt_to,
	    k->content};
	struct memory_request q = {.op = (uint8_t)op};
	uint8_t out[MEMORY_KEY_SIZE];

	memory_digest(m->secret, 's', parts, 2, out, sizeof(out));
	memcpy(&q.sender, out, sizeof(q.sender));
	memory_digest(m->secret, 'p', parts, 3, out, sizeof(out));
	memcpy(&q.pair, out, sizeof(q.pair));
	memory_digest(m->secret, 'k', parts, 4, q.key, sizeof(q.key));
	return q;
}

/* ---- questions ----------------------------------------------------------- */

static void
add(struct list *l, struct question *q)
{
	q->before = l->last;
	q->behind = NULL;
	if (l->last != NULL)
		l->last->behind = q;
	else
		l->first = q;
	l->last = q;
	l->n++;
}

static void
take_out(struct list *l, struct question *q)
{
	if (q->before != NULL)
		q->before->behind = q->behind;
	else
		l->first = q->behind;
	if (q->behind != NULL)
		q->behind->before = q->before;
	else
		l->last = q->before;
	l->n--;
}

static struct question **
bucket(struct memory *m, const uint8_t *key)
{
	uint32_t at;

	memcpy(&at, key, sizeof(at));
	return &m->buckets[at & (BUCKETS - 1)];
}

/* The claim of a key that is ASKED or HELD; NULL without one. */
static struct question *
find(struct memory *m, const uint8_t *key)
{
	struct question *q = *bucket(m, key);

	while (q != NULL && memcmp(q->request.key, key, MEMORY_KEY_SIZE) != 0)
		q = q->chained;
	return q;
}

static struct list *
list_of(struct memory *m, const struct question *q)
{
	switch (q->state) {
	case DUE:
		return &m->due;
	case ASKED:
		return &m->asked;
	case TOLD:
		return &m->told;
	case KEPT:
		return &m->kept;
	default:
		return NULL;
	}
}

static void
unchain(struct memory *m, struct question *q)
{
	struct question **at = bucket(m, q->request.key);

	while (*at != NULL && *at != q)
		at = &(*at)->chained;
	if (*at == NULL)
		return;
	*at = q->chained;
	m->n_claims--;
}

static void
end(struct memory *m, struct question *q)
{
	struct list *l = list_of(m, q);

	if (l != NULL)
		take_out(l, q);
	if (!q->is_look)
		unchain(m, q);
	slots_leave(&m->numbers, q->number);
	free(q);
}

static void
log_out(struct memory *m, const char *why)
{
	int64_t now = loop_now_ms(m->loop);

	metrics_count(METRIC_OUTAGES, BEHIND_KEEPER, 0);
	if (m->logged_ms != 0 && now - m->logged_ms < LOG_MS)
		return;
	m->logged_ms = now;
	log_line(LOG_ERROR_, "no delivered memory (%s): mail goes on, a retry "
	    "may arrive twice; %llu answers and %llu deliveries so far", why,
	    (unsigned long long)m->counts.out,
	    (unsigned long long)m->counts.lost);
}

static void
count_lost(struct memory *m, const char *why)
{
	m->counts.lost++;
	log_out(m, why);
}

static void
count_lost_way(struct memory *m)
{
	int64_t now = loop_now_ms(m->loop);

	if (m->ways_logged_ms != 0 && now - m->ways_logged_ms < LOG_MS)
		return;
	m->ways_logged_ms = now;
	log_line(LOG_ERROR_, "what return addresses lead to can not be kept: "
	    "bounces to some of them will be refused");
}

/* ---- answers ------------------------------------------------------------- */

static void end_claim(struct memory *m, const struct memory_request *r);

static void
list_move(struct memory *m, struct question *q, enum state state)
{
	struct list *l = list_of(m, q);

	if (l != NULL)
		take_out(l, q);
	q->state = state;
	l = list_of(m, q);
	if (l != NULL)
		add(l, q);
}

/* Tells the asker. q may be gone behind it, and m dying. */
static void
tell(struct memory *m, struct question *q, const struct memory_reply *reply)
{
	bool is_held = !q->is_look && !q->is_loose &&
	    (reply->status == MEMORY_NEW || reply->status == MEMORY_AGAIN ||
	    reply->status == MEMORY_OUT);
	struct memory_request r = q->request;
	uint64_t tag = q->tag;

	m->counts.delivered += reply->status == MEMORY_DELIVERED;
	m->counts.busy += reply->status == MEMORY_BUSY;
	m->counts.out += reply->status == MEMORY_OUT;
	if (is_held)
		list_move(m, q, HELD);
	else
		end(m, q);
	if (!m->calls.answer(m->arg, tag, reply) && is_held && !m->is_dying) {
		r.op = MEMORY_OP_RELEASE;
		end_claim(m, &r);
	}
}

static void
tell_due(void *arg)
{
	struct memory *m = arg;
	size_t n = m->due.n;	/* what becomes due meanwhile waits */

	m->is_telling = false;
	for (; n != 0 && !m->is_dying && m->due.first != NULL; n--) {
		struct question *q = m->due.first;

		tell(m, q, &(struct memory_reply){.status = q->due});
	}
}

static void
make_due(struct memory *m, struct question *q, enum memory_status status)
{
	q->due = status;
	list_move(m, q, DUE);
	if (!m->is_telling) {
		m->is_telling = true;
		loop_defer(m->loop, &m->deferred, tell_due, m);
	}
}

static void
out_of_keeper(struct memory *m, struct question *q, const char *why)
{
	make_due(m, q, MEMORY_OUT);
	log_out(m, why);
}

static void
on_time(void *arg)
{
	struct memory *m = arg;
	int64_t now = loop_now_ms(m->loop);

	while (m->asked.first != NULL && m->asked.first->deadline_ms <= now)
		out_of_keeper(m, m->asked.first, "no answer in time");
	if (m->asked.first != NULL)
		loop_timer_start(m->timer, m->asked.first->deadline_ms - now);
}

static void
on_response(void *arg, const struct memory_response *a, struct bytes value)
{
	struct memory *m = arg;
	struct question *q = slots_find(&m->numbers, a->tag);
	struct memory_reply reply = {(enum memory_status)a->status, a->is_single, value};
	uint8_t room[MEMORY_VALUE_MAX];

	if (a->is_arrival) {
		arrivals_response(m->arrivals, a, value);
		return;
	}
	if (q != NULL && q->state == TOLD) {
		if (a->status != MEMORY_DELIVERED)
			count_lost(m, "its store fails");
		end(m, q);
		return;
	}
	if (q != NULL && q->state == KEPT) {
		if (a->status != MEMORY_DELIVERED)
			count_lost_way(m);
		end(m, q);
		return;
	}
	if (q == NULL || q->state != ASKED)
		return;		/* too late */
	if (a->status == MEMORY_AGAIN) {	/* that is what is sent now */
		memcpy(q->value, value.p, value.n);
		q->request.n_value = (uint16_t)value.n;
	} else if (a->status == MEMORY_NEW) {
		memcpy(room, q->value, q->request.n_value);
		reply.value = (struct bytes){room, q->request.n_value};
	} else if (a->status == MEMORY_OUT) {
		log_out(m, "its store fails");
	}
	tell(m, q, &reply);
}

/* ---- the keeper comes and goes ------------------------------------------- */

static void
on_down(void *arg)
{
	struct memory *m = arg;

	m->is_up = false;
	while (m->asked.first != NULL)
		out_of_keeper(m, m->asked.first, "the keeper is gone");
	arrivals_down(m->arrivals);
}

static bool
send_on(struct memory *m, struct question *q, enum memory_op op)
{
	q->request.op = (uint8_t)op;
	q->request.tag = q->number;
	return memory_link_put(m->link, &q->request, (struct bytes){q->value,
	    q->request.n_value});
}

/* Says what it has not been told yet, as far as there is room. */
static void
say(struct memory *m, struct list *l)
{
	struct question *q = l->first, *behind;

	for (; q != NULL; q = behind) {
		enum memory_op op = q->request.op;

		behind = q->behind;
		if (q->is_said)
			continue;
		if (!send_on(m, q, op))
			break;
		q->is_said = true;
		/* the others are confirmed */
		if (op == MEMORY_OP_UNSURE || op == MEMORY_OP_RELEASE)
			end(m, q);
	}
}

/* Likewise, the claims that another keeper gave us. */
static void
say_claims(struct memory *m)
{
	for (; m->n_held < BUCKETS; m->n_held++) {
		struct question *q = m->buckets[m->n_held];

		for (; q != NULL; q = q->chained) {
			if (!q->is_said && !send_on(m, q, MEMORY_OP_HOLD))
				return;
			q->is_said = true;
		}
	}
}

/* Claims whose digests were made with another secret: nobody finds them. */
static void
let_go(struct memory *m)
{
	while (m->told.first != NULL) {
		end(m, m->told.first);
		count_lost(m, "its store is another");
	}
	for (size_t b = 0; b < BUCKETS; b++)
		while (m->buckets[b] != NULL) {
			struct question *q = m->buckets[b];

			unchain(m, q);
			q->is_loose = true;
			if (q->state == HELD)
				end(m, q);
		}
}

/* What it must know of what an earlier one knew. */
static void
on_up(void *arg, const uint8_t secret[MEMORY_SECRET_SIZE])
{
	struct memory *m = arg;

	m->is_up = true;
	if (memcmp(m->secret, secret, sizeof(m->secret)) != 0)
		let_go(m);
	memcpy(m->secret, secret, sizeof(m->secret));
	for (struct question *q = m->told.first; q != NULL; q = q->behind)
		q->is_said = false;
	say(m, &m->told);
	for (struct question *q = m->kept.first; q != NULL; q = q->behind)
		q->is_said = false;
	say(m, &m->kept);
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct question *q = m->buckets[b]; q != NULL;
		    q = q->chained)
			q->is_said = false;
	m->n_held = 0;
	say_claims(m);
	arrivals_up(m->arrivals, m->secret);
	memory_link_flush(m->link);
}

static void
on_room(void *arg)
{
	struct memory *m = arg;

	say(m, &m->told);
	say(m, &m->kept);
	say_claims(m);
	arrivals_room(m->arrivals);
}

static const struct memory_link_calls link_calls = {on_up, on_down,
    on_response, on_room};

/* ---- asking -------------------------------------------------------------- */

static struct question *
question_new(struct memory *m, const struct memory_request *r)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->request = *r;
	q->state = HELD;	/* in no list yet */
	if (!slots_take(&m->numbers, q, &q->number)) {
		free(q);
		return NULL;
	}
	return q;
}

static int
ask(struct memory *m, struct question *q, uint64_t tag)
{
	q->tag = tag;
	m->counts.asked++;
	if (!send_on(m, q, q->request.op)) {
		out_of_keeper(m, q, m->is_up ? "the keeper is slow" :
		    "there is no keeper");
		return 0;
	}
	q->is_said = true;
	q->deadline_ms = loop_now_ms(m->loop) + m->wait_ms;
	list_move(m, q, ASKED);
	if (m->asked.n == 1)
		loop_timer_start(m->timer, m->wait_ms);
	return 0;
}

int
memory_look(struct memory *m, const struct memory_key *k, uint64_t tag)
{
	struct memory_request r = request_of(m, MEMORY_OP_LOOK, k);
	struct question *q = question_new(m, &r);

	if (q == NULL)
		return -E_NOMEM;
	q->is_look = true;
	return ask(m, q, tag);
}

int
memory_claim(struct memory *m, const struct memory_key *k, struct bytes value,
    bool is_short, uint64_t tag)
{
	struct memory_request r = request_of(m, MEMORY_OP_CLAIM, k);
	struct question *q = question_new(m, &r);

	if (q == NULL)
		return -E_NOMEM;
	value = bytes_first(value, sizeof(q->value));
	if (value.n != 0)
		memcpy(q->value, value.p, value.n);
	q->request.n_value = (uint16_t)value.n;
	q->request.is_short = is_short;
	if (find(m, r.key) != NULL) {
		q->is_loose = true;
		q->tag = tag;
		m->counts.asked++;
		make_due(m, q, MEMORY_BUSY);
		return 0;
	}
	if (m->n_claims >= CLAIMS_MAX) {
		q->is_loose = true;	/* it could not be released */
		q->tag = tag;
		m->counts.asked++;
		out_of_keeper(m, q, "too many deliveries at a time");
		return 0;
	}
	q->chained = *bucket(m, r.key);
	*bucket(m, r.key) = q;
	m->n_claims++;
	return ask(m, q, tag);
}

/* ---- ends of a claim ----------------------------------------------------- */

/* Says how a claim ended. Where there is no room now, or no keeper, it waits
 * for that. */
static void
tell_keeper(struct memory *m, struct question *q, enum memory_op op)
{
	bool is_there;

	unchain(m, q);
	list_move(m, q, TOLD);
	q->is_said = false;
	q->request.op = (uint8_t)op;
	/* or the claim's own answer, late, would be taken for its answer */
	slots_leave(&m->numbers, q->number);
	is_there = slots_take(&m->numbers, q, &q->number);
	assert(is_there);	/* that one is free */
	say(m, &m->told);
	if (m->told.n > TOLD_MAX) {
		end(m, m->told.first);
		count_lost(m, m->is_up ? "the keeper is slow" :
		    "there is no keeper");
	}
}

/* r names the claim, and how it ends. */
static void
end_claim(struct memory *m, const struct memory_request *r)
{
	struct question *q = find(m, r->key);

	if (q != NULL && q->state != HELD)
		return;		/* somebody else's, who waits for his answer */
	if (q == NULL && r->op == MEMORY_OP_RELEASE)
		return;
	if (q == NULL) {
		q = question_new(m, r);
		/* with its claim is lost for how long it may be remembered */
		if (q != NULL)
			q->request.is_short = true;
	}
	if (q == NULL)
		count_lost(m, "there is no memory");
	else
		tell_keeper(m, q, r->op);
}

void
memory_delivered(struct memory *m, const struct memory_key *k)
{
	struct memory_request r = request_of(m, MEMORY_OP_DELIVERED, k);

	end_claim(m, &r);
	memory_link_flush(m->link);
}

void
memory_unsure(struct memory *m, const struct memory_key *k)
{
	struct memory_request r = request_of(m, MEMORY_OP_UNSURE, k);

	end_claim(m, &r);
}

void
memory_release(struct memory *m, const struct memory_key *k)
{
	struct memory_request r = request_of(m, MEMORY_OP_RELEASE, k);

	end_claim(m, &r);
}

void
memory_forget(struct memory *m, const struct memory_key *k)
{
	struct memory_request r = request_of(m, MEMORY_OP_FORGET, k);
	struct question *q = m->told.first;

	while (q != NULL && memcmp(q->request.key, r.key, sizeof(r.key)) != 0)
		q = q->behind;
	if (q != NULL)
		end(m, q);	/* or the next keeper would hear of both */
	q = question_new(m, &r);
	if (q != NULL)
		tell_keeper(m, q, MEMORY_OP_FORGET);
}

/* ---- mixed answers ------------------------------------------------------- */

void
memory_mixed(struct memory *m, struct bytes scope, struct bytes reverse_path,
    const struct bytes *rcpts, size_t n)
{
	struct memory_request r = {.op = 0};
	uint64_t pairs[MEMORY_MIXED_MAX];
	size_t n_pairs = 0;

	for (size_t k = 0; k < n; k++) {
		struct memory_key key = {scope, reverse_path, rcpts[k],
		    {NULL, 0}};

		r = request_of(m, MEMORY_OP_MIXED, &key);
		pairs[n_pairs++] = r.pair;
		if (n_pairs < MEMORY_MIXED_MAX && k + 1 < n)
			continue;
		r.n_value = (uint16_t)(n_pairs * sizeof(pairs[0]));
		memory_link_put(m->link, &r, (struct bytes){
		    (const uint8_t *)pairs, r.n_value});
		n_pairs = 0;
	}
}

void
memory_answered(struct memory *m, struct bytes scope,
    struct bytes reverse_path, struct bytes rcpt)
{
	struct memory_key key = {scope, reverse_path, rcpt, {NULL, 0}};
	struct memory_request r = request_of(m, MEMORY_OP_ANSWERED, &key);

	memory_link_put(m->link, &r, (struct bytes){NULL, 0});
}

/* ---- return addresses ---------------------------------------------------- */

static struct memory_request
request_of_return(enum memory_op op, const uint8_t id[MEMORY_RETURN_ID])
{
	struct memory_request r = {.op = (uint8_t)op};

	_Static_assert(sizeof(r.key) == MEMORY_RETURN_ID, "");
	memcpy(r.key, id, sizeof(r.key));
	return r;
}

void
memory_return_keep(struct memory *m, const uint8_t id[MEMORY_RETURN_ID],
    struct bytes path)
{
	struct memory_request r = request_of_return(MEMORY_OP_RETURN_KEEP, id);
	struct question *q;

	/* one message for many makes the same address for each */
	for (q = m->kept.last; q != NULL; q = q->before)
		if (memcmp(q->request.key, r.key, sizeof(r.key)) == 0)
			return;
	assert(path.n != 0 && path.n <= sizeof(q->value));
	q = question_new(m, &r);
	if (q == NULL) {
		count_lost_way(m);
		return;
	}
	memcpy(q->value, path.p, path.n);
	q->request.n_value = (uint16_t)path.n;
	q->is_loose = true;
	list_move(m, q, KEPT);
	say(m, &m->kept);
	if (m->kept.n > KEPT_MAX) {
		end(m, m->kept.first);
		count_lost_way(m);
	}
}

int
memory_return_find(struct memory *m, const uint8_t id[MEMORY_RETURN_ID],
    uint64_t tag)
{
	struct memory_request r = request_of_return(MEMORY_OP_RETURN_FIND, id);
	struct question *q = question_new(m, &r);

	if (q == NULL)
		return -E_NOMEM;
	q->is_look = true;
	return ask(m, q, tag);
}

/* ---- the whole ----------------------------------------------------------- */

struct memory *
memory_new(struct loop *l, int channel, const struct memory_calls *calls,
    void *arg)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->loop = l;
	m->calls = *calls;
	m->arg = arg;
	m->wait_ms = MEMORY_WAIT_MS;
	slots_init(&m->numbers);
	randombytes_buf(m->secret, sizeof(m->secret));
	m->timer = loop_timer_new(l, on_time, m);
	m->link = memory_link_new(l, channel, &link_calls, m);
	if (m->link != NULL)
		m->arrivals = arrivals_new(l, m->link, calls->arrival, arg);
	if (m->timer == NULL || m->arrivals == NULL) {
		memory_link_free(&m->link);
		loop_timer_free(&m->timer);
		free(m);
		return NULL;
	}
	memory_link_wait(m->link, START_MS);
	return m;
}

static void
destroy(void *arg)
{
	free(arg);
}

void
memory_free(struct memory **mp)
{
	struct memory *m = *mp;

	if (m == NULL)
		return;
	*mp = NULL;
	m->is_dying = true;
	arrivals_free(&m->arrivals);
	memory_link_free(&m->link);
	loop_timer_free(&m->timer);
	while (m->due.first != NULL)
		end(m, m->due.first);
	while (m->asked.first != NULL)
		end(m, m->asked.first);
	while (m->told.first != NULL)
		end(m, m->told.first);
	while (m->kept.first != NULL)
		end(m, m->kept.first);
	for (size_t b = 0; b < BUCKETS; b++)
		while (m->buckets[b] != NULL)
			end(m, m->buckets[b]);
	slots_fini(&m->numbers);
	loop_defer(m->loop, &m->destroy, destroy, m);
}

void
memory_wait(struct memory *m, int ms)
{
	m->wait_ms = ms;
	arrivals_wait(m->arrivals, ms);
}

struct arrivals *
memory_arrivals(struct memory *m)
{
	return m->arrivals;
}

const struct memory_counts *
memory_counted(const struct memory *m)
{
	return &m->counts;
}
