#include "tests/scenario/arrivals.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/arrival_value.h"
#include "tests/scenario/world.h"

#define RECORDS 256

enum what { WRITE, FIND };

struct record {
	char scope[128];
	uint8_t chain[ARRIVAL_DIGEST];
	bool has_chain;
	char message_id[512];
	uint8_t value[ARRIVAL_VALUE_MAX];
	size_t n_value;
	bool is_there;
};

struct question {
	struct loop_deferred deferred;
	enum what what;
	struct record record;
	uint64_t tag;
};

static struct loop *loop;
static arrival_answer *answer;
static void *answer_arg;
static struct record records[RECORDS];	/* the oldest first */
static size_t n_records;
static bool are_out;

void
scenario_arrivals_begin(void)
{
	n_records = 0;
	are_out = false;
}

void
scenario_arrivals_for(struct loop *l, const struct memory_calls *calls,
    void *arg)
{
	loop = l;
	answer = calls->arrival;
	answer_arg = arg;
}

static uint64_t
count(void)
{
	uint64_t n = 0;

	for (size_t k = 0; k < n_records; k++)
		n += records[k].is_there;
	return n;
}

bool
scenario_arrivals_say(struct bytes what)
{
	uint64_t n;

	if (bytes_number(what, RECORDS, &n))
		return count() == n;
	are_out = bytes_eq(what, BYTES_LIT("gone"));
	return are_out || bytes_eq(what, BYTES_LIT("works"));
}

static void
put_text(char *to, size_t cap, struct bytes b)
{
	assert(b.n < cap);
	memset(to, 0, cap);
	if (b.n != 0)
		memcpy(to, b.p, b.n);
}

static void
set_key(struct record *r, const struct arrival_key *k)
{
	put_text(r->scope, sizeof(r->scope), k->scope);
	put_text(r->message_id, sizeof(r->message_id), k->message_id);
	assert(k->chain.n == 0 || k->chain.n == ARRIVAL_DIGEST);
	r->has_chain = k->chain.n != 0;
	if (r->has_chain)
		memcpy(r->chain, k->chain.p, k->chain.n);
}

static void
set_value(struct record *r, const struct arrival *a)
{
	struct buf value = BUF_ON(r->value);

	arrival_value_write(a, &value);
	assert(!value.full);
	r->n_value = value.n;
}

static bool
parse(const struct record *r, struct arrival *a)
{
	return r->is_there && arrival_value_parse((struct bytes){r->value,
	    r->n_value}, a) && loop_time_s(loop) - a->time_s < ARRIVAL_AGE_S;
}

static bool
is_same_chain(const struct record *a, const struct record *b)
{
	return a->has_chain == b->has_chain && (!a->has_chain ||
	    memcmp(a->chain, b->chain, sizeof(a->chain)) == 0);
}

static bool
fits(const struct record *wanted, const struct record *r)
{
	if (strcmp(wanted->scope, r->scope) != 0)
		return false;
	if (wanted->has_chain)
		return is_same_chain(wanted, r);
	return *wanted->message_id != '\0' &&
	    strcmp(wanted->message_id, r->message_id) == 0;
}

static void
find(const struct record *wanted, struct arrival_reply *reply)
{
	static struct arrival_join j;
	struct record *youngest = NULL;
	struct arrival a;

	j.n = 0;
	for (size_t k = n_records; k != 0; k--) {
		struct record *r = &records[k - 1];

		if (!fits(wanted, r) || !parse(r, &a))
			continue;
		if (youngest == NULL)
			youngest = r;
		arrival_join(&j, &a);
	}
	if (youngest == NULL)
		return;
	reply->status = ARRIVAL_FOUND;
	reply->record = j.record;
	parse(youngest, &a);
	a.n_found = j.record.n_found + 1;
	set_value(youngest, &a);
}

static bool
is_same(const struct record *a, const struct record *b)
{
	return strcmp(a->scope, b->scope) == 0 && is_same_chain(a, b) &&
	    strcmp(a->message_id, b->message_id) == 0 &&
	    a->n_value == b->n_value &&
	    memcmp(a->value, b->value, a->n_value) == 0;
}

static void
take_back(struct record *r)
{
	for (size_t k = n_records; k != 0; k--) {
		struct record *old = &records[k - 1];
		struct arrival a;
		struct record now = *old;

		if (!old->is_there || !arrival_value_parse((struct bytes){
		    old->value, old->n_value}, &a))
			continue;
		a.n_found = 0;	/* it may have been found meanwhile */
		set_value(&now, &a);
		if (is_same(&now, r)) {
			old->is_there = false;
			return;
		}
	}
}

static void
reply(void *arg)
{
	struct question *q = arg;
	struct arrival_reply r = {.status = ARRIVAL_NONE};

	if (are_out) {
		r.status = ARRIVAL_OUT;
	} else if (q->what == FIND) {
		find(&q->record, &r);
	} else if (q->record.has_chain || *q->record.message_id != '\0') {
		assert(n_records < RECORDS);
		records[n_records] = q->record;
		records[n_records++].is_there = true;
		r.status = ARRIVAL_KEPT;
	}
	if (answer != NULL && !answer(answer_arg, q->tag, &r) &&
	    r.status == ARRIVAL_KEPT)
		take_back(&q->record);
	free(q);
}

static int
ask(enum what what, const struct arrival_key *k, const struct arrival *a,
    uint64_t tag)
{
	struct question *q = world_alloc(1, sizeof(*q));

	assert(q != NULL);
	q->what = what;
	q->tag = tag;
	set_key(&q->record, k);
	if (a != NULL)
		set_value(&q->record, a);
	loop_defer(loop, &q->deferred, reply, q);
	return 0;
}

int
arrival_write(struct memory *m, const struct arrival_key *k,
    const struct arrival *a, uint64_t tag)
{
	(void)m;
	return ask(WRITE, k, a, tag);
}

void
arrival_remove(struct memory *m, const struct arrival_key *k,
    const struct arrival *a)
{
	struct record *r = world_alloc(1, sizeof(*r));

	(void)m;
	assert(r != NULL);
	set_key(r, k);
	set_value(r, a);
	take_back(r);
	free(r);
}

int
arrival_find(struct memory *m, const struct arrival_key *k, uint64_t tag)
{
	(void)m;
	return ask(FIND, k, NULL, tag);
}
