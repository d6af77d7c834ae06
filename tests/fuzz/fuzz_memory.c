/*
 * What workers say to the keeper, and it to them. The keeper's judgement runs
 * over a store of a few lines; whoever has a claim has it alone until it ends.
 */
#include "daemon/claims.c"	/* not in a library: the daemon is none */
#include "daemon/memory_wire.c"
#include "daemon/singles.c"

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define ENTRIES 64U
#define PEERS 4U

struct store {
	struct {
		struct store_entry entry;
		uint8_t value[MEMORY_VALUE_MAX];
		bool is_there, is_delivered;
	} rows[ENTRIES];
};

/* Who has which claim, as the answers have it. */
struct model {
	uint8_t keys[ENTRIES][MEMORY_KEY_SIZE];
	unsigned owners[ENTRIES];	/* 0: nobody */
};

static unsigned
row_of(const uint8_t *key)
{
	return key[0] % ENTRIES;
}

static bool
is_failing(const uint8_t *key)
{
	return key[1] == 0xff;
}

static bool
is_there(const struct store *s, const uint8_t *key)
{
	return s->rows[row_of(key)].is_there && memcmp(
	    s->rows[row_of(key)].entry.key, key, STORE_KEY_SIZE) == 0;
}

static void
put(struct store *s, const struct store_entry *e, bool is_delivered)
{
	unsigned r = row_of(e->key);

	if (e->value.n > sizeof(s->rows[r].value))
		abort();
	s->rows[r].entry = *e;
	if (e->value.n != 0)
		memcpy(s->rows[r].value, e->value.p, e->value.n);
	s->rows[r].is_there = true;
	s->rows[r].is_delivered = is_delivered;
}

int
store_claim(struct store *s, const struct store_entry *e, int64_t now_s,
    enum store_fate *fate, struct bytes *value)
{
	unsigned r = row_of(e->key);

	(void)now_s;
	*value = (struct bytes){NULL, 0};
	if (is_failing(e->key))
		return -E_SYSTEM;
	*fate = STORE_NEW;
	if (!is_there(s, e->key)) {
		put(s, e, false);
		return 0;
	}
	*fate = s->rows[r].is_delivered ? STORE_DELIVERED : STORE_TRIED;
	*value = (struct bytes){s->rows[r].value, s->rows[r].entry.value.n};
	return 0;
}

int
store_deliver(struct store *s, const struct store_entry *e, int64_t now_s)
{
	(void)now_s;
	if (is_failing(e->key))
		return -E_SYSTEM;
	put(s, e, true);
	return 0;
}

int
store_remove(struct store *s, const uint8_t key[STORE_KEY_SIZE])
{
	if (is_failing(key))
		return -E_SYSTEM;
	if (is_there(s, key))
		s->rows[row_of(key)].is_there = false;
	return 0;
}

int
store_known(struct store *s, uint64_t pair, int64_t now_s)
{
	(void)now_s;
	for (unsigned r = 0; r < ENTRIES; r++)
		if (s->rows[r].is_there && s->rows[r].entry.pair == pair)
			return 1;
	return 0;
}

/* Ways back and deliveries have the same rows here. */
int
store_return_keep(struct store *s, const uint8_t id[STORE_KEY_SIZE],
    struct bytes path, int64_t now_s)
{
	struct store_entry e = {.value = path};

	memcpy(e.key, id, sizeof(e.key));
	if (path.n == 0)
		abort();
	return store_deliver(s, &e, now_s);
}

int
store_return_find(struct store *s, const uint8_t id[STORE_KEY_SIZE],
    int64_t now_s, struct bytes *path)
{
	unsigned r = row_of(id);

	(void)now_s;
	if (is_failing(id))
		return -E_SYSTEM;
	if (!is_there(s, id))
		return 0;
	*path = (struct bytes){s->rows[r].value, s->rows[r].entry.value.n};
	return 1;
}

static bool
is_claimed(const struct memory_response *a)
{
	return a->status == MEMORY_NEW || a->status == MEMORY_AGAIN ||
	    a->status == MEMORY_OUT;
}

/* Follows one message; a row of the model is for one key at a time. */
static void
follow(struct model *m, unsigned peer, const struct memory_request *q,
    const struct memory_response *a, bool is_answered)
{
	unsigned r = row_of(q->key);
	bool is_same = memcmp(m->keys[r], q->key, MEMORY_KEY_SIZE) == 0;

	if (is_answered && (a->status > MEMORY_OUT || a->tag != q->tag ||
	    a->n_value > MEMORY_VALUE_MAX))
		abort();
	switch (q->op) {
	case MEMORY_OP_CLAIM:
		if (is_same && m->owners[r] != 0 && a->status != MEMORY_BUSY)
			abort();
		if (is_claimed(a)) {
			memcpy(m->keys[r], q->key, MEMORY_KEY_SIZE);
			m->owners[r] = peer;
		}
		break;
	case MEMORY_OP_DELIVERED:
	case MEMORY_OP_UNSURE:
	case MEMORY_OP_RELEASE:
		if (is_same && m->owners[r] == peer)
			m->owners[r] = 0;
		break;
	default:
		break;
	}
}

static void
serve(struct bytes packet)
{
	static struct store store;
	struct claims *c;
	struct model m = {.owners = {0}};
	struct memory_request q;
	struct bytes value, out;
	struct claims_now now = {0, 0};

	memset(&store, 0, sizeof(store));
	c = claims_new(&store);
	while (c != NULL && memory_request_parse(&packet, &q, &value) == 1) {
		unsigned peer = 1 + (unsigned)(q.tag % PEERS);
		struct memory_response a;
		bool is_answered = claims_take(c, peer, &q, value, now, &a,
		    &out);

		if (is_answered && out.n != a.n_value)
			abort();
		follow(&m, peer, &q, &a, is_answered);
	}
	for (unsigned peer = 1; c != NULL && peer <= PEERS; peer++)
		claims_leave(c, peer);
	if (c != NULL && c->n != 0)
		abort();
	claims_free(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes packet = {data, n};
	struct memory_response a;
	struct bytes value;
	size_t octets = 0;

	if (n > MEMORY_PACKET_MAX)
		return 0;
	serve(packet);
	while (memory_response_parse(&packet, &a, &value) == 1)
		octets += sizeof(a) + value.n;
	if (octets > n)
		abort();
	return 0;
}
