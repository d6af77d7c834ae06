#include "tests/scenario/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/memory.h"
#include "tests/scenario/arrivals.h"
#include "tests/scenario/world.h"

#define ENTRIES 256
#define SINGLES 64
#define WAYS 256

enum fate { FREE, TRIED, DELIVERED };

struct entry {
	char pair[1024];	/* scope, reverse-path, recipient */
	char content[256];
	enum fate fate;
	bool is_claimed;
	bool was_tried;
	bool is_short;
	int64_t since_ms;
	uint8_t value[MEMORY_VALUE_MAX];
	size_t n_value;
};

struct memory {
	struct loop *loop;
	memory_answer *answer;
	void *arg;
};

struct question {
	struct loop_deferred deferred;
	struct memory_key key;	/* octets below */
	char octets[4096];
	struct bytes value;
	bool is_claim;
	bool is_short;
	bool is_return;		/* the key's content is the id */
	uint64_t tag;
};

/* Where a return address leads. */
struct way {
	uint8_t id[MEMORY_RETURN_ID];
	char path[512];		/* empty: a free one */
};

static struct memory memory;
static struct entry entries[ENTRIES];
static char singles[SINGLES][1024];	/* scope, reverse-path, recipient */
static struct way ways[WAYS];
static bool is_out, is_busy;
static struct memory_counts counts;

void
scenario_memory_begin(void)
{
	memset(entries, 0, sizeof(entries));
	memset(singles, 0, sizeof(singles));
	memset(ways, 0, sizeof(ways));
	is_out = is_busy = false;
	scenario_arrivals_begin();
}

void
scenario_memory_is_out(bool yes)
{
	is_out = yes;
}

bool
scenario_memory_say(struct bytes what)
{
	is_out = bytes_eq(what, BYTES_LIT("gone"));
	is_busy = bytes_eq(what, BYTES_LIT("busy"));
	if (bytes_eq(what, BYTES_LIT("forgets-ways"))) {
		memset(ways, 0, sizeof(ways));
		return true;
	}
	return is_out || is_busy || bytes_eq(what, BYTES_LIT("works"));
}

static void
name_pair(struct bytes scope, struct bytes path, struct bytes rcpt,
    char out[1024])
{
	struct buf b = {(uint8_t *)out, 0, 1023, false};

	buf_add_escaped(&b, scope, 100);
	buf_add_octet(&b, '|');
	buf_add_escaped(&b, path, 400);
	buf_add_octet(&b, '|');
	buf_add_escaped(&b, rcpt, 400);
	out[b.n] = '\0';
}

static struct entry *
find(const struct memory_key *k, bool with_content)
{
	char pair[1024], content[256] = "";
	struct buf b = {(uint8_t *)content, 0, 255, false};
	struct entry *free_one = NULL;

	name_pair(k->scope, k->reverse_path, k->rcpt_to, pair);
	buf_add_escaped(&b, k->content, 250);
	for (size_t n = 0; n < ENTRIES; n++) {
		struct entry *e = &entries[n];

		if (e->is_short && loop_now_ms(memory.loop) - e->since_ms >
		    MEMORY_SHORT_S * 1000LL && !e->is_claimed)
			memset(e, 0, sizeof(*e));
		if (e->fate == FREE && !e->is_claimed)
			free_one = e;
		else if (strcmp(e->pair, pair) == 0 &&
		    (!with_content || strcmp(e->content, content) == 0))
			return e;
	}
	if (!with_content)
		return NULL;
	assert(free_one != NULL);
	memset(free_one, 0, sizeof(*free_one));
	strcpy(free_one->pair, pair);
	strcpy(free_one->content, content);
	return free_one;
}

static bool
is_single(const struct memory_key *k)
{
	char prefix[1024];

	name_pair(k->scope, k->reverse_path, BYTES_LIT(""), prefix);
	for (size_t n = 0; n < SINGLES; n++)
		if (strncmp(singles[n], prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

static void
claim(const struct question *q, struct memory_reply *r)
{
	struct entry *e = find(&q->key, true);

	if (e->is_claimed || is_busy) {
		r->status = MEMORY_BUSY;
		return;
	}
	if (e->fate == DELIVERED) {
		r->status = MEMORY_DELIVERED;
	} else {
		r->status = e->was_tried ? MEMORY_AGAIN : MEMORY_NEW;
		e->is_claimed = true;
		e->is_short = q->is_short;
		if (!e->was_tried) {
			memcpy(e->value, q->value.p, q->value.n);
			e->n_value = q->value.n;
		}
	}
	e->since_ms = loop_now_ms(memory.loop);
	r->value = (struct bytes){e->value, e->n_value};
}

/* The way of an id, or a free one; NULL: all are taken. */
static struct way *
find_way(const uint8_t *id)
{
	struct way *free_one = NULL;

	for (size_t k = 0; k < WAYS; k++) {
		if (ways[k].path[0] == '\0')
			free_one = &ways[k];
		else if (memcmp(ways[k].id, id, sizeof(ways[k].id)) == 0)
			return &ways[k];
	}
	return free_one;
}

static void
find_return(const struct question *q, struct memory_reply *r)
{
	const struct way *w = find_way(q->key.content.p);

	if (w == NULL || w->path[0] == '\0')
		return;
	r->status = MEMORY_KNOWN;
	r->value = bytes_of(w->path);
}

static void
reply(void *arg)
{
	struct question *q = arg;
	struct memory_reply r = {.status = MEMORY_NEW};
	struct entry *e;

	if (is_out) {
		r.status = MEMORY_OUT;
	} else if (q->is_return) {
		find_return(q, &r);
	} else if (q->is_claim) {
		claim(q, &r);
	} else {
		e = find(&q->key, false);
		if (e != NULL && e->fate != FREE)
			r.status = MEMORY_KNOWN;
		r.is_single = is_single(&q->key);
	}
	if (!memory.answer(memory.arg, q->tag, &r) && q->is_claim &&
	    (r.status == MEMORY_NEW || r.status == MEMORY_AGAIN))
		memory_release(&memory, &q->key);
	free(q);
}

static struct question *
ask(const struct memory_key *k, struct bytes value, bool is_claim,
    bool is_short, uint64_t tag)
{
	struct question *q = world_alloc(1, sizeof(*q));
	struct buf b;
	struct bytes *part[] = {&q->key.scope, &q->key.reverse_path,
	    &q->key.rcpt_to, &q->key.content, &q->value};
	const struct bytes from[] = {k->scope, k->reverse_path, k->rcpt_to,
	    k->content, value};

	assert(q != NULL);
	b = BUF_ON(q->octets);
	for (size_t n = 0; n < 5; n++) {
		*part[n] = (struct bytes){b.p + b.n, from[n].n};
		buf_add(&b, from[n]);
	}
	assert(!b.full);
	q->is_claim = is_claim;
	q->is_short = is_short;
	q->tag = tag;
	loop_defer(memory.loop, &q->deferred, reply, q);
	return q;
}

struct memory *
memory_new(struct loop *l, int channel, const struct memory_calls *calls,
    void *arg)
{
	(void)channel;
	memory = (struct memory){l, calls->answer, arg};
	scenario_arrivals_for(l, calls, arg);
	return &memory;
}

void
memory_free(struct memory **m)
{
	*m = NULL;
}

void
memory_wait(struct memory *m, int ms)
{
	(void)m;
	(void)ms;
}

const struct memory_counts *
memory_counted(const struct memory *m)
{
	(void)m;
	return &counts;
}

int
memory_look(struct memory *m, const struct memory_key *k, uint64_t tag)
{
	(void)m;
	ask(k, (struct bytes){NULL, 0}, false, false, tag);
	return 0;
}

int
memory_claim(struct memory *m, const struct memory_key *k, struct bytes value,
    bool is_short, uint64_t tag)
{
	(void)m;
	ask(k, value, true, is_short, tag);
	return 0;
}

static void
settle(const struct memory_key *k, enum fate fate, bool was_tried)
{
	struct entry *e = find(k, true);

	e->is_claimed = false;
	e->fate = fate;
	e->was_tried = was_tried;
	if (fate == FREE && !was_tried)
		memset(e, 0, sizeof(*e));
}

void
memory_delivered(struct memory *m, const struct memory_key *k)
{
	(void)m;
	settle(k, DELIVERED, true);
}

void
memory_unsure(struct memory *m, const struct memory_key *k)
{
	(void)m;
	settle(k, TRIED, true);
}

void
memory_release(struct memory *m, const struct memory_key *k)
{
	bool was_tried = find(k, true)->was_tried;

	(void)m;
	settle(k, was_tried ? TRIED : FREE, was_tried);
}

void
memory_forget(struct memory *m, const struct memory_key *k)
{
	(void)m;
	settle(k, FREE, false);
}

static void
note_single(const char *pair)
{
	char *free_one = NULL;

	for (size_t k = 0; k < SINGLES; k++) {
		if (strcmp(singles[k], pair) == 0)
			return;
		if (free_one == NULL && singles[k][0] == '\0')
			free_one = singles[k];
	}
	assert(free_one != NULL);
	strcpy(free_one, pair);
}

void
memory_mixed(struct memory *m, struct bytes scope, struct bytes reverse_path,
    const struct bytes *rcpts, size_t n)
{
	char pair[1024];

	(void)m;
	for (size_t k = 0; k < n; k++) {
		name_pair(scope, reverse_path, rcpts[k], pair);
		note_single(pair);
	}
}

void
memory_answered(struct memory *m, struct bytes scope,
    struct bytes reverse_path, struct bytes rcpt)
{
	char pair[1024];

	(void)m;
	name_pair(scope, reverse_path, rcpt, pair);
	for (size_t k = 0; k < SINGLES; k++)
		if (strcmp(singles[k], pair) == 0)
			singles[k][0] = '\0';
}

/* While the keeper is out the real one says it again later. */
void
memory_return_keep(struct memory *m, const uint8_t id[MEMORY_RETURN_ID],
    struct bytes path)
{
	struct way *w = find_way(id);

	(void)m;
	if (w == NULL)
		w = &ways[0];
	assert(path.n != 0 && path.n < sizeof(w->path));
	memcpy(w->id, id, sizeof(w->id));
	memcpy(w->path, path.p, path.n);
	w->path[path.n] = '\0';
}

int
memory_return_find(struct memory *m, const uint8_t id[MEMORY_RETURN_ID],
    uint64_t tag)
{
	struct memory_key key = {.content = {id, MEMORY_RETURN_ID}};

	(void)m;
	ask(&key, (struct bytes){NULL, 0}, false, false, tag)->is_return =
	    true;
	return 0;
}
