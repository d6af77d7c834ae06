#include "daemon/shared_arrivals_state.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

/* A request, until the server has answered. */
struct ask {
	struct shared_arrivals *arrivals;
	unsigned peer;
	uint64_t tag;
	uint8_t chain[STORE_KEY_SIZE];
	uint8_t name[STORE_KEY_SIZE];
	uint8_t message[STORE_KEY_SIZE];
	uint8_t content[STORE_KEY_SIZE];	/* WRITE: of it */
	struct shared_copy copy;		/* WRITE: its own; size 0: none */
	bool by_message;
	size_t n_places, at_place;	/* FIND_MESSAGE: chains to be tried */
	uint8_t places[SHARED_PLACES_MAX][STORE_KEY_SIZE];
};

/* ---- keys and seals ------------------------------------------------------ */

struct bytes
shared_arrival_key(char kind, const uint8_t key[STORE_KEY_SIZE],
    char text[SHARED_KEY_TEXT])
{
	char hex[2 * STORE_KEY_SIZE + 1];

	sodium_bin2hex(hex, sizeof(hex), key, STORE_KEY_SIZE);
	snprintf(text, SHARED_KEY_TEXT, SHARED_PREFIX "a%c:%s", kind, hex);
	return bytes_of(text);
}

/* What is sealed stands under two keys of ours. */
static struct bytes
join_keys(const uint8_t one[STORE_KEY_SIZE],
    const uint8_t other[STORE_KEY_SIZE], uint8_t out[2 * STORE_KEY_SIZE])
{
	memcpy(out, one, STORE_KEY_SIZE);
	memcpy(out + STORE_KEY_SIZE, other, STORE_KEY_SIZE);
	return (struct bytes){out, 2 * STORE_KEY_SIZE};
}

struct bytes
shared_copy_seal(const struct shared *s, const uint8_t chain[STORE_KEY_SIZE],
    const uint8_t content[STORE_KEY_SIZE], const struct shared_copy *c,
    uint8_t out[SHARED_COPY_SEALED])
{
	uint8_t keys[2 * STORE_KEY_SIZE];
	struct buf b = {out + SHARED_SEAL_SIZE, 0, SHARED_COPY_MAX, false};

	shared_copy_write(c, &b);
	assert(!b.full);
	shared_seal(s, 'c', join_keys(chain, content, keys), buf_bytes(&b),
	    out);
	return (struct bytes){out, SHARED_SEAL_SIZE + b.n};
}

bool
shared_copy_unseal(const struct shared *s, const uint8_t chain[STORE_KEY_SIZE],
    const uint8_t content[STORE_KEY_SIZE], struct bytes b,
    struct shared_copy *c)
{
	uint8_t keys[2 * STORE_KEY_SIZE];

	return shared_unseal(s, 'c', join_keys(chain, content, keys), &b) &&
	    shared_copy_parse(b, c);
}

/* ---- asking -------------------------------------------------------------- */

void
shared_arrival_say(struct shared_arrivals *a, unsigned peer, uint64_t tag,
    enum arrival_status status, struct bytes value)
{
	struct memory_response head = {.tag = tag, .is_arrival = true,
	    .status = (uint8_t)status, .n_value = (uint16_t)value.n};

	(void)shared_answer(a->shared, peer, &head, value);
}

static void
end(struct ask *k, enum arrival_status status)
{
	shared_arrival_say(k->arrivals, k->peer, k->tag, status,
	    (struct bytes){NULL, 0});
	free(k);
}

static struct ask *
ask_new(struct shared_arrivals *a, unsigned peer,
    const struct memory_request *q)
{
	struct ask *k = calloc(1, sizeof(*k));

	if (k != NULL) {
		k->arrivals = a;
		k->peer = peer;
		k->tag = q->tag;
	}
	return k;
}

static int
run(struct shared_arrivals *a, int script, unsigned n_keys,
    const struct bytes *args, size_t n, redis_answer *answer, void *arg)
{
	struct redis_command c = {.script = script < 0 ? -1 :
	    SHARED_OWN_SCRIPTS + script, .n_keys = n_keys, .args = args,
	    .n_args = n, .wait_ms = REDIS_WAIT_MS, .answer = answer,
	    .arg = arg};

	return redis_ask(shared_redis(a->shared), &c);
}

/* Contents without a row, each with its copy: those go, too. */
static void
drop_copies(struct shared_arrivals *a, const uint8_t chain[STORE_KEY_SIZE],
    const struct redis_value *items, size_t n)
{
	for (size_t k = 0; k + 1 < n; k += 2) {
		struct shared_copy c;

		if (items[k].kind == REDIS_STRING &&
		    items[k].text.n == STORE_KEY_SIZE &&
		    items[k + 1].kind == REDIS_STRING &&
		    shared_copy_unseal(a->shared, chain, items[k].text.p,
		    items[k + 1].text, &c) && c.is_whole)
			shared_copies_drop(a->bulk, &c);
	}
}

/* ---- taking back --------------------------------------------------------- */

static void say_removals(struct shared_arrivals *a);

static void
removal_keep(struct shared_arrivals *a, struct shared_removal *r)
{
	if (a->n_removals == SHARED_REMOVALS_MAX) {
		free(r);	/* it grows old */
		return;
	}
	r->next = NULL;
	*a->last_removal = r;
	a->last_removal = &r->next;
	a->n_removals++;
}

/* What a removal of the server needs to answer. */
struct removing {
	struct shared_arrivals *arrivals;
	struct shared_removal *removal;
};

static void
on_removed(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct removing *w = arg;
	struct shared_arrivals *a = w->arrivals;

	(void)tag;
	a->n_removing--;
	if (err != 0 && v == NULL) {
		removal_keep(a, w->removal);
		free(w);
		return;
	}
	if (err == 0 && v->kind == REDIS_ARRAY)
		drop_copies(a, w->removal->place.chain, v->items, v->n_items);
	free(w->removal);
	free(w);
	say_removals(a);
}

static bool
ask_removal(struct removing *w)
{
	const struct shared_removal *r = w->removal;
	char keys[3][SHARED_KEY_TEXT];
	uint8_t place[2 * STORE_KEY_SIZE];
	struct bytes args[] = {
		shared_arrival_key('c', r->place.chain, keys[0]),
		shared_arrival_key('o', r->place.chain, keys[1]),
		shared_arrival_key('m', r->place.message, keys[2]),
		{r->name, sizeof(r->name)},
		join_keys(r->name, r->place.chain, place),
	};

	return run(w->arrivals, ARRIVAL_SCRIPT_REMOVE, 3, args, 5, on_removed,
	    w) == 0;
}

/* Says one of those that wait, which is the server's then. */
static bool
say_removal(struct shared_arrivals *a, struct shared_removal **at)
{
	struct shared_removal *next = (*at)->next;
	struct removing *w = malloc(sizeof(*w));

	if (w == NULL)
		return false;
	*w = (struct removing){a, *at};
	if (!ask_removal(w)) {
		free(w);
		return false;
	}
	*at = next;
	if (next == NULL)
		a->last_removal = at;
	a->n_removals--;
	a->n_removing++;
	return true;
}

/* As many as may be asked at a time. */
static void
say_removals(struct shared_arrivals *a)
{
	while (a->is_up && a->removals != NULL &&
	    a->n_removing < SHARED_REMOVALS_ASKED)
		if (!say_removal(a, &a->removals))
			return;
}

/* What is written again was removed before. */
static void
say_removals_of(struct shared_arrivals *a, const uint8_t name[STORE_KEY_SIZE])
{
	struct shared_removal **at = &a->removals;

	while (*at != NULL)
		if (memcmp((*at)->name, name, STORE_KEY_SIZE) != 0)
			at = &(*at)->next;
		else if (!say_removal(a, at))
			return;
}

static void
take_removal(struct shared_arrivals *a, const struct memory_request *q,
    struct bytes value)
{
	struct shared_removal *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return;		/* it grows old */
	memcpy(r->name, q->key, sizeof(r->name));
	memcpy(&r->place, value.p, sizeof(r->place));
	removal_keep(a, r);
	say_removals(a);
}

/* ---- writing ------------------------------------------------------------- */

enum { IS_UNWANTED, IS_WANTED, IS_THERE };	/* what the script says */

/* Where it can not be sent it is no use: the record goes on without. */
static void
settle_copy(struct ask *k, int64_t said)
{
	struct shared_arrivals *a = k->arrivals;

	if (k->copy.size == 0 || said == IS_THERE)
		return;
	if (said != IS_WANTED || !shared_copies_send(a->bulk, k->chain,
	    k->content, &k->copy))
		copies_remove(a->copies, k->copy.name);
}

static void
on_written(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct ask *k = arg;

	(void)tag;
	if (err != 0 || v->kind != REDIS_ARRAY || v->n_items == 0 ||
	    v->items[0].kind != REDIS_INTEGER) {
		/* its worker removes the copy */
		if (k->copy.size != 0)
			shared_copies_unsay(k->arrivals->bulk, k->chain,
			    k->content, &k->copy);
		end(k, ARRIVAL_OUT);
		return;
	}
	settle_copy(k, v->items[0].integer);
	drop_copies(k->arrivals, k->chain, v->items + 1, v->n_items - 1);
	end(k, ARRIVAL_KEPT);
}

/* The copy of a record, where its file is here and it is not sent already. */
static void
find_copy(struct ask *k, const struct arrival *record)
{
	struct shared_arrivals *a = k->arrivals;

	if (!record->has_copy)
		return;
	k->copy.size = copies_size(a->copies, record->copy);
	k->copy.time_s = loop_time_s(a->loop);
	memcpy(k->copy.name, record->copy, sizeof(k->copy.name));
	if (k->copy.size > a->limits.arrival_size)
		k->copy.size = 0;
}

static bool
is_sendable(const struct ask *k)
{
	const struct shared_copies *bulk = k->arrivals->bulk;

	return k->copy.size != 0 && shared_copies_has_room(bulk) &&
	    !shared_copies_has_content(bulk, k->content);
}

/* A row behind its seal. */
static struct bytes
seal_row(struct shared_arrivals *a, const struct store_arrival *row,
    const uint8_t content[STORE_KEY_SIZE])
{
	struct buf b = {a->octets + SHARED_SEAL_SIZE, 0, SHARED_ROW_MAX,
	    false};
	uint8_t keys[2 * STORE_KEY_SIZE];

	shared_row_write(row, content, &b);
	assert(!b.full);
	shared_seal(a->shared, 'a', join_keys(row->chain, row->name, keys),
	    buf_bytes(&b), a->octets);
	return (struct bytes){a->octets, SHARED_SEAL_SIZE + b.n};
}

static int
ask_write(struct ask *k, struct bytes value)
{
	struct shared_arrivals *a = k->arrivals;
	struct store_arrival row = {.time_s = loop_time_s(a->loop),
	    .value = value};
	char keys[3][SHARED_KEY_TEXT], old[24], age[24], rows[24], octets[24];
	uint8_t place[2 * STORE_KEY_SIZE], copy[SHARED_COPY_SEALED];
	struct bytes args[11];

	memcpy(row.chain, k->chain, sizeof(row.chain));
	memcpy(row.name, k->name, sizeof(row.name));
	memcpy(row.message, k->message, sizeof(row.message));
	snprintf(old, sizeof(old), "%lld",
	    (long long)(row.time_s - a->limits.arrival_age_s));
	snprintf(age, sizeof(age), "%lld",
	    (long long)a->limits.arrival_age_s);
	snprintf(rows, sizeof(rows), "%d", ARRIVAL_ROWS_MAX);
	snprintf(octets, sizeof(octets), "%u", SHARED_CHAIN_OCTETS);
	args[0] = shared_arrival_key('c', k->chain, keys[0]);
	args[1] = shared_arrival_key('o', k->chain, keys[1]);
	args[2] = shared_arrival_key('m', k->message, keys[2]);
	args[3] = (struct bytes){k->name, sizeof(k->name)};
	args[4] = join_keys(k->name, k->chain, place);
	args[5] = seal_row(a, &row, k->content);
	args[6] = bytes_of(old);
	args[7] = bytes_of(age);
	args[8] = bytes_of(rows);
	args[9] = bytes_of(octets);
	args[10] = is_sendable(k) ? shared_copy_seal(a->shared, k->chain,
	    k->content, &k->copy, copy) : (struct bytes){NULL, 0};
	return run(a, ARRIVAL_SCRIPT_WRITE, 3, args, 11, on_written, k);
}

static void
take_write(struct ask *k, const struct memory_request *q, struct bytes value)
{
	struct memory_write head;
	struct arrival record;

	memcpy(&head, value.p, sizeof(head));
	value = bytes_skip(value, sizeof(head));
	if (!arrival_value_parse(value, &record)) {
		end(k, ARRIVAL_OUT);
		return;
	}
	memcpy(k->chain, q->key, sizeof(k->chain));
	memcpy(k->name, head.name, sizeof(k->name));
	memcpy(k->message, head.message, sizeof(k->message));
	shared_content(k->chain, k->message, &record, k->content);
	find_copy(k, &record);
	say_removals_of(k->arrivals, k->name);
	if (ask_write(k, value) != 0)
		end(k, ARRIVAL_OUT);
}

/* ---- finding ------------------------------------------------------------- */

static void on_found(void *arg, uint64_t tag, int err,
    const struct redis_value *v);

static int
ask_find(struct ask *k)
{
	struct shared_arrivals *a = k->arrivals;
	char keys[2][SHARED_KEY_TEXT], old[24], rows[24];
	struct bytes args[5];

	snprintf(old, sizeof(old), "%lld",
	    (long long)(loop_time_s(a->loop) - ARRIVAL_AGE_S));
	snprintf(rows, sizeof(rows), "%d", ARRIVAL_ROWS_MAX);
	args[0] = shared_arrival_key('c', k->chain, keys[0]);
	args[1] = shared_arrival_key('o', k->chain, keys[1]);
	args[2] = bytes_of(old);
	args[3] = k->by_message ? (struct bytes){k->message,
	    sizeof(k->message)} : (struct bytes){NULL, 0};
	args[4] = bytes_of(rows);
	return run(a, ARRIVAL_SCRIPT_FIND, 2, args, 5, on_found, k);
}

/* Joins a row of an answer; false where it is none of ours. copy, content are
 * set where the record has one from it. */
static bool
join_row(struct ask *k, const struct redis_value *items, uint32_t n_found,
    struct shared_copy *copy)
{
	struct shared_arrivals *a = k->arrivals;
	uint8_t keys[2 * STORE_KEY_SIZE], content[STORE_KEY_SIZE];
	struct bytes value = items[1].text;
	struct store_arrival row;
	struct shared_copy c = {.size = 0};
	bool had = a->rows.join.n != 0 && a->rows.join.record.has_copy;

	if (items[0].kind != REDIS_STRING || items[0].text.n !=
	    STORE_KEY_SIZE || items[1].kind != REDIS_STRING ||
	    !shared_unseal(a->shared, 'a', join_keys(k->chain,
	    items[0].text.p, keys), &value) ||
	    !shared_row_parse(value, &row, content))
		return false;
	memcpy(row.chain, k->chain, sizeof(row.chain));
	row.n_found = n_found;
	if (items[2].kind == REDIS_STRING && shared_copy_unseal(a->shared,
	    k->chain, content, items[2].text, &c)) {
		row.copy_size = c.size;
		memcpy(row.copy, c.name, sizeof(row.copy));
	}
	if (!arrival_rows_is_wanted(&a->rows, &row))
		return false;
	arrival_rows_take(&a->rows, &row);
	if (!had && a->rows.join.n != 0 && a->rows.join.record.has_copy) {
		*copy = c;
		memcpy(k->content, content, sizeof(k->content));
	}
	return true;
}

/* The record that rows make; n of it is 0 where they make none. */
static struct bytes
join_rows(struct ask *k, const struct redis_value *v, struct shared_copy *copy)
{
	struct shared_arrivals *a = k->arrivals;
	struct buf b = BUF_ON(a->value);
	int64_t n_found = v->items[0].integer;

	if (n_found < 0 || n_found > UINT32_MAX)
		n_found = UINT32_MAX;
	arrival_rows_begin(&a->rows, loop_time_s(a->loop));
	for (size_t n = 1; n + 2 < v->n_items; n += 3)
		(void)join_row(k, v->items + n, (uint32_t)n_found, copy);
	if (a->rows.join.n == 0)
		return (struct bytes){NULL, 0};
	arrival_value_write(&a->rows.join.record, &b);
	assert(!b.full);
	return buf_bytes(&b);
}

/* Another chain had that Message-ID, before. */
static void
try_next(struct ask *k)
{
	if (++k->at_place >= k->n_places) {
		end(k, ARRIVAL_NONE);
		return;
	}
	memcpy(k->chain, k->places[k->at_place], sizeof(k->chain));
	if (ask_find(k) != 0)
		end(k, ARRIVAL_OUT);
}

/* A keeper that was started again does not know what was on its way. */
static void
send_again(struct ask *k, const struct shared_copy *copy)
{
	struct shared_arrivals *a = k->arrivals;

	if (!copy->is_whole && !shared_copies_has_name(a->bulk, copy->name))
		(void)shared_copies_send(a->bulk, k->chain, k->content, copy);
}

static void
on_found(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct ask *k = arg;
	struct shared_arrivals *a = k->arrivals;
	struct shared_copy copy = {.size = 0};
	struct bytes record;

	(void)tag;
	if (err != 0 || v->kind != REDIS_ARRAY || v->n_items == 0 ||
	    v->items[0].kind != REDIS_INTEGER) {
		end(k, ARRIVAL_OUT);
		return;
	}
	record = join_rows(k, v, &copy);
	if (record.n == 0) {
		try_next(k);
		return;
	}
	if (copy.size == 0) {
		shared_arrival_say(a, k->peer, k->tag, ARRIVAL_FOUND, record);
	} else if (copies_size(a->copies, copy.name) == copy.size) {
		shared_arrival_say(a, k->peer, k->tag, ARRIVAL_FOUND, record);
		send_again(k, &copy);
	} else {
		shared_finding_add(a, k->peer, k->tag, k->chain, k->content,
		    &copy, record);
	}
	free(k);
}

static void
on_places(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct ask *k = arg;

	(void)tag;
	if (err != 0 || v->kind != REDIS_ARRAY) {
		end(k, ARRIVAL_OUT);
		return;
	}
	for (size_t n = 0; n < v->n_items && k->n_places < SHARED_PLACES_MAX;
	    n++) {
		const struct redis_value *i = v->items + n;

		if (i->kind == REDIS_STRING && i->text.n ==
		    2 * STORE_KEY_SIZE && (k->n_places == 0 || memcmp(
		    k->places[k->n_places - 1], i->text.p + STORE_KEY_SIZE,
		    STORE_KEY_SIZE) != 0))
			memcpy(k->places[k->n_places++], i->text.p +
			    STORE_KEY_SIZE, STORE_KEY_SIZE);
	}
	k->at_place = SIZE_MAX;		/* before the first */
	try_next(k);
}

static void
take_find(struct ask *k, const struct memory_request *q)
{
	char key[SHARED_KEY_TEXT], last[24];
	struct bytes args[] = {BYTES_LIT("ZREVRANGE"),
	    shared_arrival_key('m', q->key, key), BYTES_LIT("0"), {NULL, 0}};
	int r;

	k->by_message = q->op == MEMORY_OP_FIND_MESSAGE;
	if (k->by_message) {
		snprintf(last, sizeof(last), "%d", ARRIVAL_ROWS_MAX - 1);
		args[3] = bytes_of(last);
		memcpy(k->message, q->key, sizeof(k->message));
		r = run(k->arrivals, -1, 0, args, 4, on_places, k);
	} else {
		memcpy(k->chain, q->key, sizeof(k->chain));
		r = ask_find(k);
	}
	if (r != 0)
		end(k, ARRIVAL_OUT);
}

/* ---- the whole ----------------------------------------------------------- */

void
shared_arrivals_take(struct shared_arrivals *a, unsigned peer,
    const struct memory_request *q, struct bytes value)
{
	struct ask *k;

	if (q->op == MEMORY_OP_REMOVE) {
		take_removal(a, q, value);
		return;
	}
	k = a->is_up ? ask_new(a, peer, q) : NULL;
	if (k == NULL)
		shared_arrival_say(a, peer, q->tag, ARRIVAL_OUT,
		    (struct bytes){NULL, 0});
	else if (q->op == MEMORY_OP_WRITE)
		take_write(k, q, value);
	else
		take_find(k, q);
}

void
shared_arrivals_up(struct shared_arrivals *a)
{
	a->is_up = true;
	say_removals(a);
	shared_copies_tick(a->bulk);
}

void
shared_arrivals_down(struct shared_arrivals *a)
{
	a->is_up = false;
	shared_finding_end(a);
}

static bool
is_file_wanted(void *arg, const uint8_t name[STORE_KEY_SIZE])
{
	const struct shared_arrivals *a = arg;

	return shared_copies_has_name(a->bulk, name) ||
	    shared_finding_needs(a, name);
}

void
shared_arrivals_tick(struct shared_arrivals *a)
{
	int64_t now = loop_now_ms(a->loop);

	say_removals(a);
	shared_copies_tick(a->bulk);
	if (!a->is_sweeping && now < a->sweep_ms)
		return;
	a->is_sweeping = copies_sweep(a->copies, is_file_wanted, a,
	    SHARED_FILE_S, loop_time_s(a->loop));
	if (!a->is_sweeping)
		a->sweep_ms = now + SHARED_SWEEP_MS;
}

struct shared_arrivals *
shared_arrivals_new(struct shared *s, struct loop *l,
    const struct redis_where *where, const char *folder,
    const struct store_limits *limits)
{
	struct shared_arrivals *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->shared = s;
	a->loop = l;
	a->limits = *limits;
	a->last_removal = &a->removals;
	a->copies = copies_new(folder);
	a->poll = loop_timer_new(l, shared_finding_poll, a);
	if (a->copies != NULL)
		a->bulk = shared_copies_new(l, s, where, a->copies, limits,
		    shared_finding_fetched, a);
	if (a->bulk == NULL || a->poll == NULL)
		shared_arrivals_free(&a);
	return a;
}

void
shared_arrivals_free(struct shared_arrivals **ap)
{
	struct shared_arrivals *a = *ap;

	if (a == NULL)
		return;
	*ap = NULL;
	shared_finding_end(a);
	shared_copies_free(&a->bulk);
	while (a->removals != NULL) {
		struct shared_removal *r = a->removals;

		a->removals = r->next;
		free(r);
	}
	loop_timer_free(&a->poll);
	copies_free(&a->copies);
	free(a);
}
