/* Finds of arrival records whose copy is on another machine. */
#include "daemon/shared_arrivals_state.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"

#define AHEAD_S 60		/* clocks differ */

static struct shared_finding **
place_of(struct shared_arrivals *a, uint64_t number)
{
	struct shared_finding **at = &a->findings;

	while (*at != NULL && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

/* Answers, and forgets it. */
static void
end(struct shared_arrivals *a, struct shared_finding **at,
    enum arrival_status status, struct bytes value)
{
	struct shared_finding *f = *at;

	*at = f->next;
	a->n_findings--;
	shared_arrival_say(a, f->peer, f->tag, status, value);
	free(f);
}

static void
end_out(struct shared_arrivals *a, struct shared_finding **at)
{
	end(a, at, ARRIVAL_OUT, (struct bytes){NULL, 0});
}

/* The record alone: of what was changed nobody can say it now. */
static struct bytes
without_copy(struct bytes value, uint8_t room[ARRIVAL_VALUE_MAX])
{
	struct buf b = {room, 0, ARRIVAL_VALUE_MAX, false};
	struct arrival record;
	bool is_one = arrival_value_parse(value, &record);

	assert(is_one);		/* we wrote it */
	record.has_copy = false;
	memset(record.copy, 0, sizeof(record.copy));
	arrival_value_write(&record, &b);
	return buf_bytes(&b);
}

static void
end_without(struct shared_arrivals *a, struct shared_finding **at)
{
	uint8_t room[ARRIVAL_VALUE_MAX];

	end(a, at, ARRIVAL_FOUND, without_copy((struct bytes){(*at)->value,
	    (*at)->n}, room));
}

/* It is on its way to the server, as far as can be told. */
static bool
may_come(const struct shared_arrivals *a, const struct shared_copy *c)
{
	int64_t now_s = loop_time_s(a->loop);

	return c->time_s > now_s - SHARED_PENDING_S &&
	    c->time_s <= now_s + AHEAD_S;
}

static bool
begin(struct shared_arrivals *a, const struct shared_finding *f)
{
	return !f->copy.is_whole || shared_copies_fetch(a->bulk, f->chain,
	    f->content, &f->copy);
}

void
shared_finding_add(struct shared_arrivals *a, unsigned peer, uint64_t tag,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *copy, struct bytes value)
{
	uint8_t room[ARRIVAL_VALUE_MAX];
	struct shared_finding *f = NULL;

	if (!copy->is_whole && !may_come(a, copy)) {
		shared_arrival_say(a, peer, tag, ARRIVAL_FOUND,
		    without_copy(value, room));
		return;
	}
	if (a->n_findings < SHARED_FINDINGS_MAX)
		f = calloc(1, sizeof(*f) + value.n);
	if (f == NULL) {
		shared_arrival_say(a, peer, tag, ARRIVAL_OUT,
		    (struct bytes){NULL, 0});
		return;
	}
	*f = (struct shared_finding){.next = a->findings,
	    .number = ++a->n_numbers, .peer = peer, .tag = tag, .copy = *copy,
	    .deadline_ms = loop_now_ms(a->loop) + SHARED_FIND_MS,
	    .n = value.n};
	memcpy(f->chain, chain, sizeof(f->chain));
	memcpy(f->content, content, sizeof(f->content));
	memcpy(f->value, value.p, value.n);
	a->findings = f;
	a->n_findings++;
	if (!begin(a, f)) {
		end_out(a, &a->findings);
		return;
	}
	shared_arrival_say(a, peer, tag, ARRIVAL_COMING,
	    (struct bytes){NULL, 0});
	loop_timer_start(a->poll, SHARED_POLL_MS);
}

void
shared_finding_fetched(void *arg, const uint8_t name[STORE_KEY_SIZE],
    enum shared_fetched how)
{
	struct shared_arrivals *a = arg;

	for (struct shared_finding **at = &a->findings; *at != NULL;) {
		struct shared_finding *f = *at;

		if (!f->copy.is_whole || memcmp(f->copy.name, name,
		    sizeof(f->copy.name)) != 0)
			at = &f->next;
		else if (how == SHARED_HERE)
			end(a, at, ARRIVAL_FOUND, (struct bytes){f->value,
			    f->n});
		else if (how == SHARED_GONE)
			end_without(a, at);
		else
			end_out(a, at);
	}
}

bool
shared_finding_needs(const struct shared_arrivals *a,
    const uint8_t name[STORE_KEY_SIZE])
{
	for (const struct shared_finding *f = a->findings; f != NULL;
	    f = f->next)
		if (memcmp(f->copy.name, name, sizeof(f->copy.name)) == 0)
			return true;
	return false;
}

void
shared_finding_end(struct shared_arrivals *a)
{
	while (a->findings != NULL)
		end_out(a, &a->findings);
}

/* ---- copies on their way -------------------------------------------------- */

/* Another machine's may have come first: the record names that one then. */
static void
rename_copy(struct shared_finding *f)
{
	struct buf b = {f->value, 0, f->n, false};
	uint8_t room[ARRIVAL_VALUE_MAX];
	struct arrival record;
	bool is_one;

	memcpy(room, f->value, f->n);
	is_one = arrival_value_parse((struct bytes){room, f->n}, &record);
	assert(is_one);
	memcpy(record.copy, f->copy.name, sizeof(record.copy));
	arrival_value_write(&record, &b);	/* as long as before */
	assert(!b.full && b.n == f->n);
}

/* What the server says of it now. */
static void
look(struct shared_arrivals *a, struct shared_finding **at,
    const struct redis_value *items)
{
	struct shared_finding *f = *at;
	struct shared_copy c;

	for (int k = 0; k < 2; k++) {
		if (items[k].kind != REDIS_STRING || !shared_copy_unseal(
		    a->shared, f->chain, f->content, items[k].text, &c))
			continue;
		f->copy = c;
		rename_copy(f);
		if (!c.is_whole && !may_come(a, &c))
			break;
		if (!begin(a, f))
			end_out(a, at);
		return;
	}
	end_without(a, at);	/* whoever had it has given it up */
}

static void
on_polled(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct shared_arrivals *a = arg;
	struct shared_finding **at = place_of(a, tag);

	if (*at == NULL)
		return;
	(*at)->is_polled = false;
	if (err == 0 && v->kind == REDIS_ARRAY && v->n_items == 2)
		look(a, at, v->items);
}

static void
poll_one(struct shared_arrivals *a, struct shared_finding *f)
{
	char key[SHARED_KEY_TEXT];
	uint8_t whole[1 + STORE_KEY_SIZE] = {'c'};
	uint8_t coming[1 + STORE_KEY_SIZE] = {'p'};
	struct bytes args[] = {BYTES_LIT("HMGET"),
	    shared_arrival_key('c', f->chain, key), {whole, sizeof(whole)},
	    {coming, sizeof(coming)}};
	struct redis_command c = {.script = -1, .args = args, .n_args = 4,
	    .wait_ms = REDIS_WAIT_MS, .answer = on_polled, .arg = a,
	    .tag = f->number};

	memcpy(whole + 1, f->content, STORE_KEY_SIZE);
	memcpy(coming + 1, f->content, STORE_KEY_SIZE);
	f->is_polled = redis_ask(shared_redis(a->shared), &c) == 0;
}

void
shared_finding_poll(void *arg)
{
	struct shared_arrivals *a = arg;
	int64_t now = loop_now_ms(a->loop);

	for (struct shared_finding **at = &a->findings; *at != NULL;) {
		struct shared_finding *f = *at;

		if (f->deadline_ms <= now) {
			end_out(a, at);
			continue;
		}
		if (!f->copy.is_whole && !f->is_polled)
			poll_one(a, f);
		at = &f->next;
	}
	if (a->findings != NULL)
		loop_timer_start(a->poll, SHARED_POLL_MS);
}
