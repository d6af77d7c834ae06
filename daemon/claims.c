#include "daemon/claims.h"

#include <stdlib.h>

#include "daemon/singles.h"

#define BUCKETS (16U * 1024)	/* a power of 2 */

struct owner {
	struct owner *chained;
	uint8_t key[MEMORY_KEY_SIZE];
	unsigned peer;
	bool is_first;		/* no earlier try is behind it */
	int64_t since_ms;
};

struct claims {
	struct store *store;
	struct singles *singles;
	struct owner *buckets[BUCKETS];
	size_t n;
};

struct claims *
claims_new(struct store *s)
{
	struct claims *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->store = s;
	c->singles = singles_new();
	if (c->singles == NULL)
		claims_free(&c);
	return c;
}

void
claims_free(struct claims **cp)
{
	struct claims *c = *cp;

	if (c == NULL)
		return;
	for (size_t b = 0; b < BUCKETS; b++)
		while (c->buckets[b] != NULL) {
			struct owner *o = c->buckets[b];

			c->buckets[b] = o->chained;
			free(o);
		}
	singles_free(&c->singles);
	free(c);
	*cp = NULL;
}

/* ---- owners -------------------------------------------------------------- */

/* Where the owner of a key stands; *at is NULL without one. */
static struct owner **
find(struct claims *c, const uint8_t *key)
{
	struct owner **at;
	uint32_t hash;

	memcpy(&hash, key, sizeof(hash));
	at = &c->buckets[hash & (BUCKETS - 1)];
	while (*at != NULL && memcmp((*at)->key, key, MEMORY_KEY_SIZE) != 0)
		at = &(*at)->chained;
	return at;
}

static void
disown(struct claims *c, struct owner **at)
{
	struct owner *o = *at;

	*at = o->chained;
	free(o);
	c->n--;
}

/* Past the bound, or without memory, a claim has no owner: a double. */
static void
own(struct claims *c, unsigned peer, const uint8_t *key, bool is_first,
    int64_t now_ms)
{
	struct owner **at = find(c, key);
	struct owner *o = *at;

	if (o == NULL && c->n < CLAIMS_OWNED_MAX) {
		o = calloc(1, sizeof(*o));
		if (o != NULL) {
			memcpy(o->key, key, sizeof(o->key));
			*at = o;
			c->n++;
		}
	}
	if (o == NULL)
		return;
	o->peer = peer;
	o->is_first = is_first;
	o->since_ms = now_ms;
}

/* The owner of a key, but for one who must have forgotten it; NULL: none. */
static const struct owner *
owner_of(struct claims *c, const uint8_t *key, int64_t now_ms)
{
	struct owner **at = find(c, key);

	if (*at != NULL && now_ms - (*at)->since_ms > CLAIMS_OWNED_MS)
		disown(c, at);
	return *at;
}

void
claims_leave(struct claims *c, unsigned peer)
{
	for (size_t b = 0; b < BUCKETS; b++) {
		struct owner **at = &c->buckets[b];

		while (*at != NULL)
			if ((*at)->peer == peer)
				disown(c, at);
			else
				at = &(*at)->chained;
	}
}

/* ---- messages ------------------------------------------------------------ */

static struct store_entry
entry_of(const struct memory_request *q, struct bytes value)
{
	struct store_entry e = {.pair = q->pair, .is_short = q->is_short != 0,
	    .value = value};

	_Static_assert(sizeof(e.key) == sizeof(q->key), "");
	memcpy(e.key, q->key, sizeof(e.key));
	return e;
}

static enum memory_status
look(struct claims *c, const struct memory_request *q, struct claims_now now)
{
	int r = store_known(c->store, q->pair, now.time_s);

	return r < 0 ? MEMORY_OUT : r == 1 ? MEMORY_KNOWN : MEMORY_NEW;
}

/* With a store that fails the claim holds against others all the same. */
static enum memory_status
claim(struct claims *c, unsigned peer, const struct memory_request *q,
    const struct store_entry *e, struct claims_now now, struct bytes *out)
{
	enum store_fate fate = STORE_NEW;
	enum memory_status status = MEMORY_NEW;

	if (owner_of(c, q->key, now.ms) != NULL)
		return MEMORY_BUSY;
	if (store_claim(c->store, e, now.time_s, &fate, out) != 0)
		status = MEMORY_OUT;
	else if (fate == STORE_DELIVERED)
		return MEMORY_DELIVERED;
	else if (fate == STORE_TRIED)
		status = MEMORY_AGAIN;
	own(c, peer, q->key, status == MEMORY_NEW, now.ms);
	return status;
}

/* A claim whose maker had it of a keeper that is gone, or of none. */
static void
hold(struct claims *c, unsigned peer, const struct memory_request *q,
    const struct store_entry *e, struct claims_now now)
{
	enum store_fate fate;
	struct bytes value;

	if (owner_of(c, q->key, now.ms) != NULL ||
	    store_claim(c->store, e, now.time_s, &fate, &value) != 0)
		return;
	if (fate != STORE_DELIVERED)
		own(c, peer, q->key, fate == STORE_NEW, now.ms);
}

static bool
is_owner(const struct owner *o, unsigned peer)
{
	return o != NULL && o->peer == peer;
}

/* The claim behind a try goes. Where it is another's, who had it of us while
 * no keeper knew of this try, that one is not the first any more. */
static void
end_try(struct claims *c, unsigned peer, const uint8_t *key)
{
	struct owner **at = find(c, key);

	if (is_owner(*at, peer))
		disown(c, at);
	else if (*at != NULL)
		(*at)->is_first = false;
}

/* A try that no keeper knows of leaves its value too. */
static void
unsure(struct claims *c, unsigned peer, const struct memory_request *q,
    const struct store_entry *e, struct claims_now now)
{
	enum store_fate fate;
	struct bytes value;

	(void)store_claim(c->store, e, now.time_s, &fate, &value);
	end_try(c, peer, q->key);
}

static void
release(struct claims *c, unsigned peer, const struct memory_request *q)
{
	struct owner **at = find(c, q->key);

	if (!is_owner(*at, peer))
		return;
	if ((*at)->is_first)
		(void)store_remove(c->store, q->key);
	disown(c, at);
}

static void
mixed(struct claims *c, const struct memory_request *q, struct bytes value,
    int64_t now_ms)
{
	uint64_t pairs[MEMORY_MIXED_MAX];

	if (value.n != 0)
		memcpy(pairs, value.p, value.n);
	singles_add(c->singles, q->sender, pairs, value.n / sizeof(pairs[0]),
	    now_ms);
}

static enum memory_status
delivered(struct claims *c, unsigned peer, const struct memory_request *q,
    const struct store_entry *e, struct claims_now now)
{
	end_try(c, peer, q->key);
	return store_deliver(c->store, e, now.time_s) == 0 ?
	    MEMORY_DELIVERED : MEMORY_OUT;
}

/* Where it is being delivered again there is nothing to forget yet. */
static enum memory_status
forget(struct claims *c, const struct memory_request *q)
{
	if (*find(c, q->key) != NULL)
		return MEMORY_DELIVERED;
	return store_remove(c->store, q->key) == 0 ? MEMORY_DELIVERED :
	    MEMORY_OUT;
}

/* Where a return address leads, and that it does. */
static enum memory_status
return_find(struct claims *c, const struct memory_request *q,
    struct claims_now now, struct bytes *out)
{
	int r = store_return_find(c->store, q->key, now.time_s, out);

	return r < 0 ? MEMORY_OUT : r == 1 ? MEMORY_KNOWN : MEMORY_NEW;
}

static enum memory_status
return_keep(struct claims *c, const struct memory_request *q,
    struct bytes path, struct claims_now now)
{
	return store_return_keep(c->store, q->key, path, now.time_s) == 0 ?
	    MEMORY_DELIVERED : MEMORY_OUT;
}

bool
claims_take(struct claims *c, unsigned peer, const struct memory_request *q,
    struct bytes value, struct claims_now now, struct memory_response *a,
    struct bytes *out)
{
	struct store_entry e = entry_of(q, value);

	*out = (struct bytes){NULL, 0};
	*a = (struct memory_response){.tag = q->tag};
	switch ((enum memory_op)q->op) {
	case MEMORY_OP_LOOK:
		a->status = (uint8_t)look(c, q, now);
		a->is_single = singles_has(c->singles, q->sender, now.ms);
		break;
	case MEMORY_OP_CLAIM:
		a->status = (uint8_t)claim(c, peer, q, &e, now, out);
		break;
	case MEMORY_OP_DELIVERED:
		a->status = (uint8_t)delivered(c, peer, q, &e, now);
		break;
	case MEMORY_OP_FORGET:
		a->status = (uint8_t)forget(c, q);
		break;
	case MEMORY_OP_RETURN_KEEP:
		a->status = (uint8_t)return_keep(c, q, value, now);
		break;
	case MEMORY_OP_RETURN_FIND:
		a->status = (uint8_t)return_find(c, q, now, out);
		break;
	case MEMORY_OP_HOLD:
		hold(c, peer, q, &e, now);
		return false;
	case MEMORY_OP_UNSURE:
		unsure(c, peer, q, &e, now);
		return false;
	case MEMORY_OP_RELEASE:
		release(c, peer, q);
		return false;
	case MEMORY_OP_MIXED:
		mixed(c, q, value, now.ms);
		return false;
	case MEMORY_OP_ANSWERED:
		singles_remove(c->singles, q->sender, q->pair);
		return false;
	case MEMORY_OP_WRITE:
	case MEMORY_OP_REMOVE:
	case MEMORY_OP_FIND_CHAIN:
	case MEMORY_OP_FIND_MESSAGE:
	case MEMORY_OP__N:
		return false;
	}
	a->n_value = (uint16_t)out->n;
	return true;
}

void
claims_fail(struct memory_response *a)
{
	if (a->status != MEMORY_BUSY) {
		a->status = MEMORY_OUT;
		a->n_value = 0;
	}
}
