#include "daemon/shared_state.h"

#include <stdlib.h>

#include "base/err.h"

#define BUCKETS (16U * 1024)	/* a power of 2 */
/* Of those that waited, at a time: where one is late the connection is closed,
 * and all that were on their way wait again. */
#define TELL_MAX 64U
#define ERRORS_MAX 10U		/* that the server says to one of them */

int
notes_init(struct notes *n)
{
	*n = (struct notes){.buckets = calloc(BUCKETS, sizeof(*n->buckets))};
	n->last = &n->first;
	return n->buckets == NULL ? -E_NOMEM : 0;
}

static struct note **
bucket(const struct notes *n, const uint8_t *key)
{
	uint32_t at;

	memcpy(&at, key, sizeof(at));
	return &n->buckets[at & (BUCKETS - 1)];
}

struct note *
notes_find(const struct notes *n, const uint8_t *key)
{
	struct note *w = *bucket(n, key);

	while (w != NULL && memcmp(w->q.key, key, MEMORY_KEY_SIZE) != 0)
		w = w->chained;
	return w;
}

static void
take_out(struct notes *n, struct note *w)
{
	struct note **at = bucket(n, w->q.key);

	while (*at != w)
		at = &(*at)->chained;
	*at = w->chained;
	*w->at = w->next;
	if (w->next != NULL)
		w->next->at = w->at;
	else
		n->last = w->at;
	n->n--;
	n->n_octets -= sizeof(*w) + w->q.n_value;
	n->n_waiting -= !w->is_asked;
	free(w);
}

void
notes_fini(struct notes *n)
{
	if (n->buckets == NULL)
		return;
	while (n->first != NULL)
		take_out(n, n->first);
	free(n->buckets);
	n->buckets = NULL;
}

/* ---- telling ------------------------------------------------------------- */

/* Who asked has his answer, if he wants one. */
static void
answer(struct note *w, enum memory_status status)
{
	struct memory_response a = {.tag = w->q.tag,
	    .status = (uint8_t)status};

	if (w->is_answered || (w->q.op != MEMORY_OP_DELIVERED &&
	    w->q.op != MEMORY_OP_FORGET && w->q.op != MEMORY_OP_RETURN_KEEP))
		return;
	w->is_answered = true;
	(void)shared_answer(w->shared, w->peer, &a, (struct bytes){NULL, 0});
}

static void
on_told(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct note *w = arg;
	struct shared *s = w->shared;

	(void)tag;
	w->is_asked = false;
	s->notes.n_waiting++;
	if (s->is_dying)
		return;
	if (err != 0) {
		w->n_errors += v != NULL;
		w->is_refused = v != NULL;
		if (w->n_errors < ERRORS_MAX)
			return;		/* it waits for the next time */
		answer(w, MEMORY_OUT);
	} else {
		answer(w, MEMORY_DELIVERED);
	}
	/* somebody else of this machine or another has it */
	if (w->q.op == MEMORY_OP_HOLD && err == 0 &&
	    v->kind == REDIS_INTEGER && v->integer == 0)
		owners_remove(s->owners, w->peer, w->q.key);
	take_out(&s->notes, w);
	notes_tell(s);
}

static int
script_of(unsigned op)
{
	switch (op) {
	case MEMORY_OP_HOLD:
		return SHARED_HOLD;
	case MEMORY_OP_DELIVERED:
		return SHARED_DELIVERED;
	case MEMORY_OP_UNSURE:
		return SHARED_UNSURE;
	case MEMORY_OP_RELEASE:
		return SHARED_RELEASE;
	case MEMORY_OP_FORGET:
		return SHARED_FORGET;
	default:
		return SHARED_LEAVE;
	}
}

static int
ask_way(struct shared *s, struct note *w)
{
	uint8_t room[SHARED_SEAL_SIZE + MEMORY_VALUE_MAX];
	struct bytes value = {w->value, w->q.n_value};
	char key[64], ttl[32];
	struct bytes args[5] = {BYTES_LIT("SET"), {NULL, 0},
	    {room, SHARED_SEAL_SIZE + value.n}, BYTES_LIT("PX"), {NULL, 0}};
	struct redis_command c = {.script = -1, .args = args, .n_args = 5,
	    .wait_ms = REDIS_WAIT_MS, .answer = on_told, .arg = w};

	shared_key('r', w->q.key, sizeof(w->q.key), key);
	args[1] = bytes_of(key);
	shared_number(ttl, STORE_RETURN_AGE_S * 1000);
	args[4] = bytes_of(ttl);
	shared_seal(s, 'r', args[1], value, room);
	memcpy(room + SHARED_SEAL_SIZE, value.p, value.n);
	return redis_ask(s->redis, &c);
}

static int
ask(struct shared *s, struct note *w)
{
	struct shared_args a;
	struct redis_command c = {.script = script_of(w->q.op), .n_keys = 3,
	    .args = a.args, .wait_ms = REDIS_WAIT_MS, .answer = on_told,
	    .arg = w};

	if (w->q.op == MEMORY_OP_RETURN_KEEP)
		return ask_way(s, w);
	shared_args(s, w->peer, &w->q, &a);
	if (w->q.op == MEMORY_OP_HOLD || w->q.op == MEMORY_OP_DELIVERED ||
	    w->q.op == MEMORY_OP_UNSURE)
		shared_args_value(s, &w->q, w->q.op == MEMORY_OP_DELIVERED ?
		    SHARED_IS_DELIVERED : SHARED_TRIED,
		    (struct bytes){w->value, w->q.n_value}, &a);
	c.n_args = a.n;
	return redis_ask(s->redis, &c);
}

/* Until the server has what it is to know before: the last word counts. */
static bool
must_wait(const struct note *w)
{
	const struct note *o = w->chained;

	while (o != NULL && memcmp(o->q.key, w->q.key, MEMORY_KEY_SIZE) != 0)
		o = o->chained;
	return o != NULL || w->is_refused;
}

void
notes_tick(struct shared *s)
{
	for (struct note *w = s->notes.first; w != NULL; w = w->next)
		w->is_refused = false;
	notes_tell(s);
}

void
notes_tell(struct shared *s)
{
	struct notes *n = &s->notes;

	for (struct note *w = n->first; w != NULL && n->n_waiting != 0 &&
	    s->is_ready && n->n - n->n_waiting < TELL_MAX; w = w->next) {
		if (w->is_asked || must_wait(w))
			continue;
		if (ask(s, w) != 0)
			break;
		w->is_asked = true;
		n->n_waiting--;
	}
}

bool
notes_add(struct shared *s, unsigned peer, const struct memory_request *q,
    struct bytes value)
{
	struct notes *n = &s->notes;
	struct note *w = NULL;
	struct note **b = bucket(n, q->key);

	if (n->n < SHARED_NOTES_MAX && n->n_octets + sizeof(*w) + value.n <=
	    SHARED_NOTES_OCTETS)
		w = calloc(1, sizeof(*w) + value.n);
	if (w == NULL)
		return false;
	w->shared = s;
	w->peer = peer;
	w->q = *q;
	w->q.n_value = (uint16_t)value.n;
	if (value.n != 0)
		memcpy(w->value, value.p, value.n);
	w->at = n->last;
	*n->last = w;
	n->last = &w->next;
	w->chained = *b;
	*b = w;
	n->n++;
	n->n_waiting++;
	n->n_octets += sizeof(*w) + value.n;
	if (n->n_waiting == 1 && s->is_ready && !must_wait(w) &&
	    ask(s, w) == 0) {
		w->is_asked = true;
		n->n_waiting--;
	} else {
		notes_tell(s);
	}
	return true;
}
