#include "daemon/arrivals.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/slots.h"

#define LOG_MS (60 * 1000)
#define REMOVALS_MAX 4096U	/* that no keeper could be told of */

/* Where a write is. */
struct place {
	uint8_t name[MEMORY_KEY_SIZE];
	struct memory_place by;
};

/* A question, until its answer. */
struct ask {
	struct ask *before, *behind;
	bool is_due;		/* what it is answered is known: `status` */
	bool is_coming;		/* the answer waits for a copy */
	enum arrival_status status;
	uint64_t tag;		/* the asker's */
	uint64_t number;	/* ours, on the wire */
	int64_t deadline_ms;
	struct place place;	/* of what is written */
};

/* What the keeper is to be told when it can be. */
struct removal {
	struct removal *behind;
	struct place place;
};

struct list {
	struct ask *first, *last;
};

struct arrivals {
	struct loop *loop;
	struct memory_link *link;
	arrival_answer *answer;
	void *arg;
	uint8_t secret[MEMORY_SECRET_SIZE];
	int wait_ms;
	bool is_up;
	bool is_telling;
	bool is_dying;
	struct loop_deferred deferred;	/* tells what is due */
	struct loop_timer *timer;	/* runs while something is asked */
	struct loop_deferred destroy;
	struct slots numbers;
	struct list due, asked, coming;	/* each by its deadline */
	struct removal *removals, **last_removal;
	size_t n_removals;
	uint64_t n_out;
	int64_t logged_ms;		/* 0: never */
};

/* ---- lists --------------------------------------------------------------- */

static struct list *
list_of(struct arrivals *s, const struct ask *k)
{
	return k->is_due ? &s->due : k->is_coming ? &s->coming : &s->asked;
}

static void
put(struct arrivals *s, struct ask *k)
{
	struct list *l = list_of(s, k);

	k->before = l->last;
	k->behind = NULL;
	if (l->last != NULL)
		l->last->behind = k;
	else
		l->first = k;
	l->last = k;
}

static void
take_out(struct arrivals *s, struct ask *k)
{
	struct list *l = list_of(s, k);

	if (k->before != NULL)
		k->before->behind = k->behind;
	else
		l->first = k->behind;
	if (k->behind != NULL)
		k->behind->before = k->before;
	else
		l->last = k->before;
}

static void
end(struct arrivals *s, struct ask *k)
{
	take_out(s, k);
	slots_leave(&s->numbers, k->number);
	free(k);
}

/* ---- what is taken back -------------------------------------------------- */

static bool
say_removal(struct arrivals *s, const struct place *at)
{
	struct memory_request q = {.op = MEMORY_OP_REMOVE,
	    .n_value = sizeof(at->by)};

	memcpy(q.key, at->name, sizeof(q.key));
	return memory_link_put(s->link, &q, (struct bytes){
	    (const uint8_t *)&at->by, sizeof(at->by)});
}

static void
drop_first_removal(struct arrivals *s)
{
	struct removal *r = s->removals;

	s->removals = r->behind;
	if (s->removals == NULL)
		s->last_removal = &s->removals;
	s->n_removals--;
	free(r);
}

static void
say_removals(struct arrivals *s)
{
	while (s->removals != NULL && say_removal(s, &s->removals->place))
		drop_first_removal(s);
}

/* A keeper that can not be told now hears of it later. */
static void
take_back(struct arrivals *s, const struct place *at)
{
	struct removal *r;

	if (s->removals == NULL && say_removal(s, at))
		return;
	r = s->n_removals == REMOVALS_MAX ? NULL : calloc(1, sizeof(*r));
	if (r == NULL)
		return;		/* it grows old */
	r->place = *at;
	*s->last_removal = r;
	s->last_removal = &r->behind;
	s->n_removals++;
}

/* ---- answers ------------------------------------------------------------- */

static void
log_out(struct arrivals *s, const char *why)
{
	int64_t now = loop_now_ms(s->loop);

	s->n_out++;
	if (s->logged_ms != 0 && now - s->logged_ms < LOG_MS)
		return;
	s->logged_ms = now;
	log_line(LOG_ERROR_, "no arrival records (%s): chains of what comes "
	    "back can not be extended; %llu times so far", why,
	    (unsigned long long)s->n_out);
}

/* Tells the asker. k is gone behind it, and s may be dying. */
static void
tell(struct arrivals *s, struct ask *k, const struct arrival_reply *reply)
{
	struct place at = k->place;
	uint64_t tag = k->tag;

	end(s, k);
	if (s->answer != NULL && s->answer(s->arg, tag, reply))
		return;
	if (reply->status == ARRIVAL_KEPT && !s->is_dying)
		take_back(s, &at);
}

static void
tell_due(void *arg)
{
	struct arrivals *s = arg;
	struct ask *last = s->due.last;	/* what becomes due meanwhile waits */

	s->is_telling = false;
	while (!s->is_dying && s->due.first != NULL) {
		struct ask *k = s->due.first;
		bool is_last = k == last;

		tell(s, k, &(struct arrival_reply){.status = k->status});
		if (is_last)
			break;
	}
}

static void
make_due(struct arrivals *s, struct ask *k, enum arrival_status status)
{
	take_out(s, k);
	k->is_due = true;
	k->status = status;
	put(s, k);
	if (!s->is_telling) {
		s->is_telling = true;
		loop_defer(s->loop, &s->deferred, tell_due, s);
	}
}

/* The next deadline of all. */
static void
start_timer(struct arrivals *s)
{
	const struct ask *a = s->asked.first, *c = s->coming.first;
	const struct ask *next = a == NULL || (c != NULL &&
	    c->deadline_ms < a->deadline_ms) ? c : a;

	if (next == NULL)
		loop_timer_stop(s->timer);
	else
		loop_timer_start(s->timer, next->deadline_ms -
		    loop_now_ms(s->loop));
}

static void
end_late(struct arrivals *s, struct list *l, const char *why)
{
	int64_t now = loop_now_ms(s->loop);

	while (l->first != NULL && l->first->deadline_ms <= now) {
		make_due(s, l->first, ARRIVAL_OUT);
		log_out(s, why);
	}
}

static void
on_time(void *arg)
{
	struct arrivals *s = arg;

	end_late(s, &s->asked, "no answer in time");
	end_late(s, &s->coming, "its copy did not come in time");
	start_timer(s);
}

/* The keeper fetches its copy from another machine. */
static void
wait_longer(struct arrivals *s, struct ask *k)
{
	if (k->is_coming)
		return;		/* once */
	take_out(s, k);
	k->is_coming = true;
	k->deadline_ms = loop_now_ms(s->loop) + ARRIVAL_COPY_WAIT_MS;
	put(s, k);
	start_timer(s);
}

void
arrivals_response(struct arrivals *s, const struct memory_response *a,
    struct bytes value)
{
	struct ask *k = slots_find(&s->numbers, a->tag);
	struct arrival_reply reply = {.status = (enum arrival_status)
	    a->status};

	if (k == NULL || k->is_due)
		return;		/* too late */
	if (reply.status == ARRIVAL_COMING) {
		wait_longer(s, k);
		return;
	}
	if (reply.status == ARRIVAL_FOUND &&
	    !arrival_value_parse(value, &reply.record))
		reply.status = ARRIVAL_OUT;
	if (reply.status == ARRIVAL_OUT)
		log_out(s, "its store fails");
	tell(s, k, &reply);
}

/* ---- the keeper comes and goes ------------------------------------------- */

void
arrivals_down(struct arrivals *s)
{
	s->is_up = false;
	while (s->asked.first != NULL || s->coming.first != NULL) {
		make_due(s, s->asked.first != NULL ? s->asked.first :
		    s->coming.first, ARRIVAL_OUT);
		log_out(s, "the keeper is gone");
	}
}

void
arrivals_up(struct arrivals *s, const uint8_t secret[MEMORY_SECRET_SIZE])
{
	s->is_up = true;
	/* names that were made with another are not found */
	if (memcmp(s->secret, secret, sizeof(s->secret)) != 0)
		while (s->removals != NULL)
			drop_first_removal(s);
	memcpy(s->secret, secret, sizeof(s->secret));
	say_removals(s);
}

void
arrivals_room(struct arrivals *s)
{
	say_removals(s);
}

/* ---- asking -------------------------------------------------------------- */

static struct ask *
ask_new(struct arrivals *s, uint64_t tag)
{
	struct ask *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	if (!slots_take(&s->numbers, k, &k->number)) {
		free(k);
		return NULL;
	}
	k->tag = tag;
	put(s, k);
	return k;
}

static int
ask(struct arrivals *s, struct ask *k, struct memory_request *q,
    struct bytes value)
{
	q->tag = k->number;
	q->n_value = (uint16_t)value.n;
	if (!memory_link_put(s->link, q, value)) {
		make_due(s, k, ARRIVAL_OUT);
		log_out(s, s->is_up ? "the keeper is slow" :
		    "there is no keeper");
		return 0;
	}
	k->deadline_ms = loop_now_ms(s->loop) + s->wait_ms;
	if (s->asked.first == k)
		start_timer(s);
	return 0;
}

static void
digest_key(const struct arrivals *s, uint8_t kind, struct bytes scope,
    struct bytes key, uint8_t out[MEMORY_KEY_SIZE])
{
	struct bytes parts[] = {scope, key};

	memory_digest(s->secret, kind, parts, 2, out, MEMORY_KEY_SIZE);
}

static bool
has_nothing(const struct arrival_key *k)
{
	return k->chain.n == 0 && k->message_id.n == 0;
}

/* Mail without DKIM2 fields is found by its Message-ID alone, so that all of
 * it does not stand in one place. */
static void
digest_chain(const struct arrivals *s, const struct arrival_key *k,
    uint8_t out[MEMORY_KEY_SIZE])
{
	if (k->chain.n != 0)
		digest_key(s, 'c', k->scope, k->chain, out);
	else
		digest_key(s, 'i', k->scope, k->message_id, out);
}

/* A write in octets, named after all that it says: how often it was found is
 * nothing that its writer knows. */
static void
compose(const struct arrivals *s, const struct arrival_key *k,
    const struct arrival *a, struct memory_write *head, struct buf *record)
{
	struct arrival fresh = *a;
	struct bytes parts[] = {k->scope, k->chain, k->message_id,
	    {NULL, 0}};

	fresh.n_found = 0;
	arrival_value_write(&fresh, record);
	parts[3] = buf_bytes(record);
	memory_digest(s->secret, 'n', parts, 4, head->name,
	    sizeof(head->name));
	digest_key(s, 'm', k->scope, k->message_id, head->message);
}

int
arrival_write(struct memory *m, const struct arrival_key *k,
    const struct arrival *a, uint64_t tag)
{
	struct arrivals *s = memory_arrivals(m);
	struct memory_request q = {.op = MEMORY_OP_WRITE};
	struct memory_write head;
	uint8_t room[MEMORY_WRITE_MAX];
	struct buf record = {room + sizeof(head), 0, ARRIVAL_VALUE_MAX, false};
	struct ask *at = ask_new(s, tag);

	if (at == NULL)
		return -E_NOMEM;
	if (has_nothing(k)) {
		make_due(s, at, ARRIVAL_NONE);
		return 0;
	}
	compose(s, k, a, &head, &record);
	memcpy(room, &head, sizeof(head));
	digest_chain(s, k, q.key);
	memcpy(at->place.name, head.name, sizeof(at->place.name));
	memcpy(at->place.by.chain, q.key, sizeof(at->place.by.chain));
	memcpy(at->place.by.message, head.message,
	    sizeof(at->place.by.message));
	return ask(s, at, &q, (struct bytes){room, sizeof(head) + record.n});
}

void
arrival_remove(struct memory *m, const struct arrival_key *k,
    const struct arrival *a)
{
	struct arrivals *s = memory_arrivals(m);
	struct memory_write head;
	struct place at;
	uint8_t room[ARRIVAL_VALUE_MAX];
	struct buf record = BUF_ON(room);

	if (has_nothing(k))
		return;
	compose(s, k, a, &head, &record);
	memcpy(at.name, head.name, sizeof(at.name));
	digest_chain(s, k, at.by.chain);
	memcpy(at.by.message, head.message, sizeof(at.by.message));
	take_back(s, &at);
}

int
arrival_find(struct memory *m, const struct arrival_key *k, uint64_t tag)
{
	struct arrivals *s = memory_arrivals(m);
	struct memory_request q = {.op = MEMORY_OP_FIND_CHAIN};
	struct ask *at = ask_new(s, tag);

	if (at == NULL)
		return -E_NOMEM;
	if (has_nothing(k)) {
		make_due(s, at, ARRIVAL_NONE);
		return 0;
	}
	if (k->chain.n != 0) {
		digest_chain(s, k, q.key);
	} else {
		q.op = MEMORY_OP_FIND_MESSAGE;
		digest_key(s, 'm', k->scope, k->message_id, q.key);
	}
	return ask(s, at, &q, (struct bytes){NULL, 0});
}

/* ---- the whole ----------------------------------------------------------- */

struct arrivals *
arrivals_new(struct loop *l, struct memory_link *link, arrival_answer *answer,
    void *arg)
{
	struct arrivals *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = (struct arrivals){.loop = l, .link = link, .answer = answer,
	    .arg = arg, .wait_ms = MEMORY_WAIT_MS};
	s->last_removal = &s->removals;
	slots_init(&s->numbers);
	randombytes_buf(s->secret, sizeof(s->secret));
	s->timer = loop_timer_new(l, on_time, s);
	if (s->timer == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

static void
destroy(void *arg)
{
	free(arg);
}

void
arrivals_free(struct arrivals **sp)
{
	struct arrivals *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	s->is_dying = true;
	loop_timer_free(&s->timer);
	while (s->due.first != NULL)
		end(s, s->due.first);
	while (s->asked.first != NULL)
		end(s, s->asked.first);
	while (s->coming.first != NULL)
		end(s, s->coming.first);
	while (s->removals != NULL)
		drop_first_removal(s);
	slots_fini(&s->numbers);
	sodium_memzero(s->secret, sizeof(s->secret));
	loop_defer(s->loop, &s->destroy, destroy, s);
}

void
arrivals_wait(struct arrivals *s, int ms)
{
	s->wait_ms = ms;
}
