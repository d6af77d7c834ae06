#include "daemon/shared_state.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

/* Asked of the server, until its answer. */
struct question {
	struct shared *shared;
	unsigned peer;
	bool is_again;		/* what was there does not count */
	int64_t deadline_ms;
	struct memory_request q;
	uint8_t value[];
};

/* ---- keys and values ----------------------------------------------------- */

void
shared_key(char kind, const void *octets, size_t n, char out[64])
{
	char hex[2 * MEMORY_KEY_SIZE + 1];

	sodium_bin2hex(hex, sizeof(hex), octets, n);
	snprintf(out, 64, SHARED_PREFIX "%c:%s", kind, hex);
}

void
shared_number(char out[32], int64_t number)
{
	snprintf(out, 32, "%" PRId64, number);
}

void
shared_seal(const struct shared *s, uint8_t kind, struct bytes key,
    struct bytes value, uint8_t seal[SHARED_SEAL_SIZE])
{
	struct bytes parts[] = {{&kind, 1}, key, value};

	memory_digest(s->secret, 'S', parts, 3, seal, SHARED_SEAL_SIZE);
}

bool
shared_unseal(const struct shared *s, uint8_t kind, struct bytes key,
    struct bytes *value)
{
	struct bytes rest = bytes_skip(*value, SHARED_SEAL_SIZE);
	uint8_t seal[SHARED_SEAL_SIZE];

	if (value->n < SHARED_SEAL_SIZE)
		return false;
	shared_seal(s, kind, key, rest, seal);
	if (sodium_memcmp(seal, value->p, sizeof(seal)) != 0)
		return false;
	*value = rest;
	return true;
}

void
shared_args(const struct shared *s, unsigned peer,
    const struct memory_request *q, struct shared_args *a)
{
	a->n = 0;
	shared_key('m', q->key, sizeof(q->key), a->entry);
	shared_key('p', &q->pair, sizeof(q->pair), a->pair);
	snprintf(a->owner, sizeof(a->owner), "%s:%u", s->node, peer);
	shared_number(a->lease, SHARED_LEASE_MS);
	shared_number(a->age, s->limits.age_s * 1000);
	a->args[a->n++] = bytes_of(a->entry);
	a->args[a->n++] = BYTES_LIT(SHARED_PREFIX "nodes");
	a->args[a->n++] = bytes_of(a->pair);
	a->args[a->n++] = bytes_of(a->owner);
	a->args[a->n++] = bytes_of(a->lease);
	a->args[a->n++] = bytes_of(a->age);
	a->args[a->n++] = (struct bytes){q->key, sizeof(q->key)};
}

void
shared_args_value(const struct shared *s, const struct memory_request *q,
    char how, struct bytes value, struct shared_args *a)
{
	uint8_t *p = a->blob + SHARED_SEAL_SIZE;

	*p = (uint8_t)how;
	if (value.n != 0)
		memcpy(p + 1, value.p, value.n);
	shared_seal(s, 'm', bytes_of(a->entry), (struct bytes){p, 1 + value.n},
	    a->blob);
	shared_number(a->ttl, (q->is_short ? s->limits.short_s :
	    s->limits.age_s) * 1000);
	a->args[a->n++] = bytes_of(a->ttl);
	a->args[a->n++] = (struct bytes){a->blob, SHARED_SEAL_SIZE + 1 +
	    value.n};
}

/* ---- answers ------------------------------------------------------------- */

bool
shared_answer(struct shared *s, unsigned peer,
    const struct memory_response *head, struct bytes value)
{
	struct memory_response a = *head;

	if (s->is_dying)
		return true;
	a.n_value = (uint16_t)value.n;
	return s->calls->answer(s->arg, peer, &a, value);
}

static bool
answer(struct shared *s, unsigned peer, const struct memory_request *q,
    enum memory_status status, struct bytes value)
{
	struct memory_response a = {.tag = q->tag,
	    .status = (uint8_t)status};

	if (q->op == MEMORY_OP_LOOK)
		a.is_single = singles_has(s->singles, q->sender,
		    loop_now_ms(s->loop));
	return shared_answer(s, peer, &a, value);
}

/* Whoever claims it now is told that it is busy, until the peer that has it
 * ends it, or leaves. */
static void
leave_claim(struct shared *s, unsigned peer, const uint8_t *key)
{
	struct memory_request q = {.op = SHARED_OP_LEAVE};

	memcpy(q.key, key, sizeof(q.key));
	(void)notes_add(s, peer, &q, (struct bytes){NULL, 0});
}

static void
answer_claim(struct shared *s, unsigned peer, const struct memory_request *q,
    enum memory_status status, struct bytes value)
{
	if (status != MEMORY_BUSY && status != MEMORY_DELIVERED)
		owners_add(s->owners, peer, q->key, loop_now_ms(s->loop));
	if (answer(s, peer, q, status, value) || status == MEMORY_BUSY ||
	    status == MEMORY_DELIVERED)
		return;
	owners_remove(s->owners, peer, q->key);
	leave_claim(s, peer, q->key);
}

/* ---- asking -------------------------------------------------------------- */

static struct question *
question_new(struct shared *s, unsigned peer, const struct memory_request *q,
    struct bytes value)
{
	struct question *w = calloc(1, sizeof(*w) + value.n);

	if (w == NULL)
		return NULL;
	w->shared = s;
	w->peer = peer;
	w->q = *q;
	w->deadline_ms = loop_now_ms(s->loop) + REDIS_WAIT_MS;
	if (value.n != 0)
		memcpy(w->value, value.p, value.n);
	return w;
}

/* ---- claims -------------------------------------------------------------- */

static void on_claim(void *arg, uint64_t tag, int err,
    const struct redis_value *v);

/* bad      what stands there and does not count; empty: nothing is known */
static int
ask_claim(struct question *w, struct bytes bad)
{
	struct shared *s = w->shared;
	int64_t left_ms = w->deadline_ms - loop_now_ms(s->loop);
	struct shared_args a;
	struct redis_command c = {.script = SHARED_CLAIM, .n_keys = 3,
	    .args = a.args, .wait_ms = left_ms < 1 ? 1 : (int)left_ms,
	    .answer = on_claim, .arg = w};

	shared_args(s, w->peer, &w->q, &a);
	shared_args_value(s, &w->q, SHARED_TRIED, (struct bytes){w->value,
	    w->q.n_value}, &a);
	a.args[a.n++] = bad;
	c.n_args = a.n;
	return redis_ask(s->redis, &c);
}

/* What is there was damaged, or written by somebody else: there is nothing. */
static bool
ask_claim_again(struct question *w, struct bytes bad)
{
	if (w->is_again)
		return false;
	w->is_again = true;
	return ask_claim(w, bad) == 0;
}

/*
 * What the script said.
 *
 * value    of what is there
 * Returns  false where it is none of ours
 */
static bool
parse_claim(struct question *w, const struct redis_value *v,
    enum memory_status *status, struct bytes *value)
{
	char key[64], how;

	if (v->kind != REDIS_ARRAY || v->n_items != 2 ||
	    v->items[0].kind != REDIS_STRING || v->items[0].text.n != 1 ||
	    v->items[1].kind != REDIS_STRING)
		return false;
	how = (char)v->items[0].text.p[0];
	*value = v->items[1].text;
	*status = how == 'B' ? MEMORY_BUSY : how == 'N' ? MEMORY_NEW :
	    how == SHARED_IS_DELIVERED ? MEMORY_DELIVERED : MEMORY_AGAIN;
	if (how == 'B' || how == 'N')
		return value->n == 0;
	shared_key('m', w->q.key, sizeof(w->q.key), key);
	if (!shared_unseal(w->shared, 'm', bytes_of(key), value) ||
	    value->n == 0 || value->p[0] != (uint8_t)how ||
	    value->n - 1 > MEMORY_VALUE_MAX)
		return false;
	*value = bytes_skip(*value, 1);
	return true;
}

static void
on_claim(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct question *w = arg;
	enum memory_status status = MEMORY_OUT;
	struct bytes value = {NULL, 0};

	(void)tag;
	if (err == 0 && !parse_claim(w, v, &status, &value)) {
		if (v->kind == REDIS_ARRAY && v->n_items == 2 &&
		    ask_claim_again(w, v->items[1].text))
			return;
		status = MEMORY_OUT;
		value = (struct bytes){NULL, 0};
	}
	if (!w->shared->is_dying)
		answer_claim(w->shared, w->peer, &w->q, status, value);
	free(w);
}

/* What the server is still to be told of comes first. */
static bool
claim_of_note(struct shared *s, unsigned peer, const struct memory_request *q)
{
	const struct note *n = notes_find(&s->notes, q->key);
	struct bytes value;

	if (n == NULL)
		return false;
	value = (struct bytes){n->value, n->q.n_value};
	if (n->q.op == MEMORY_OP_DELIVERED)
		answer_claim(s, peer, q, MEMORY_DELIVERED, value);
	else if (n->q.op == MEMORY_OP_UNSURE && !s->is_ready)
		answer_claim(s, peer, q, MEMORY_AGAIN, value);
	else
		return false;
	return true;
}

static void
claim(struct shared *s, unsigned peer, const struct memory_request *q,
    struct bytes value)
{
	struct question *w;

	if (owners_find(s->owners, q->key, loop_now_ms(s->loop)) != 0) {
		answer_claim(s, peer, q, MEMORY_BUSY, (struct bytes){NULL, 0});
		return;
	}
	if (claim_of_note(s, peer, q))
		return;
	w = s->is_ready ? question_new(s, peer, q, value) : NULL;
	if (w != NULL && ask_claim(w, (struct bytes){NULL, 0}) == 0)
		return;
	free(w);
	answer_claim(s, peer, q, MEMORY_OUT, (struct bytes){NULL, 0});
}

/* ---- looks and ways back ------------------------------------------------- */

static void
on_look(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct question *w = arg;
	bool is_known = err == 0 && v->kind == REDIS_INTEGER;

	(void)tag;
	if (!w->shared->is_dying)
		(void)answer(w->shared, w->peer, &w->q, !is_known ?
		    MEMORY_OUT : v->integer != 0 ? MEMORY_KNOWN : MEMORY_NEW,
		    (struct bytes){NULL, 0});
	free(w);
}

static void
on_way(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct question *w = arg;
	enum memory_status status = MEMORY_OUT;
	struct bytes path = {NULL, 0};
	char key[64];

	(void)tag;
	shared_key('r', w->q.key, sizeof(w->q.key), key);
	if (err == 0)
		status = MEMORY_NEW;
	if (err == 0 && v->kind == REDIS_STRING) {
		path = v->text;
		if (shared_unseal(w->shared, 'r', bytes_of(key), &path) &&
		    path.n <= MEMORY_VALUE_MAX)
			status = MEMORY_KNOWN;
		else
			path.n = 0;
	}
	if (!w->shared->is_dying)
		(void)answer(w->shared, w->peer, &w->q, status, path);
	free(w);
}

/* A question whose answer changes nothing here. */
static void
look(struct shared *s, unsigned peer, const struct memory_request *q)
{
	struct question *w = s->is_ready ? question_new(s, peer, q,
	    (struct bytes){NULL, 0}) : NULL;
	bool is_way = q->op == MEMORY_OP_RETURN_FIND;
	char key[64];
	struct bytes args[2];
	struct redis_command c = {.script = is_way ? -1 : SHARED_LOOK,
	    .n_keys = 1, .args = args, .n_args = is_way ? 2 : 1,
	    .wait_ms = REDIS_WAIT_MS, .answer = is_way ? on_way : on_look,
	    .arg = w};

	if (is_way)
		shared_key('r', q->key, sizeof(q->key), key);
	else
		shared_key('p', &q->pair, sizeof(q->pair), key);
	args[0] = is_way ? BYTES_LIT("GET") : bytes_of(key);
	args[1] = bytes_of(key);
	if (w != NULL && redis_ask(s->redis, &c) == 0)
		return;
	free(w);
	(void)answer(s, peer, q, MEMORY_OUT, (struct bytes){NULL, 0});
}

/* ---- ends ---------------------------------------------------------------- */

/* The claim is free here; the server is told, now or when it is back. */
static void
note(struct shared *s, unsigned peer, const struct memory_request *q,
    struct bytes value)
{
	bool is_held = owners_find(s->owners, q->key, loop_now_ms(s->loop)) !=
	    0;

	if (q->op == MEMORY_OP_HOLD && is_held)
		return;
	/* where it is being delivered again there is nothing to forget yet */
	if (q->op == MEMORY_OP_FORGET && is_held) {
		(void)answer(s, peer, q, MEMORY_DELIVERED,
		    (struct bytes){NULL, 0});
		return;
	}
	if (q->op == MEMORY_OP_HOLD)
		owners_add(s->owners, peer, q->key, loop_now_ms(s->loop));
	else if (q->op != MEMORY_OP_RETURN_KEEP)
		owners_remove(s->owners, peer, q->key);
	if (!notes_add(s, peer, q, value) && (q->op == MEMORY_OP_DELIVERED ||
	    q->op == MEMORY_OP_FORGET || q->op == MEMORY_OP_RETURN_KEEP))
		(void)answer(s, peer, q, MEMORY_OUT, (struct bytes){NULL, 0});
}

static void
mixed(struct shared *s, const struct memory_request *q, struct bytes value)
{
	uint64_t pairs[MEMORY_MIXED_MAX];

	if (value.n != 0)
		memcpy(pairs, value.p, value.n);
	singles_add(s->singles, q->sender, pairs, value.n / sizeof(pairs[0]),
	    loop_now_ms(s->loop));
}

void
shared_take(struct shared *s, unsigned peer, const struct memory_request *q,
    struct bytes value)
{
	switch ((enum memory_op)q->op) {
	case MEMORY_OP_LOOK:
	case MEMORY_OP_RETURN_FIND:
		look(s, peer, q);
		break;
	case MEMORY_OP_CLAIM:
		claim(s, peer, q, value);
		break;
	case MEMORY_OP_HOLD:
	case MEMORY_OP_DELIVERED:
	case MEMORY_OP_UNSURE:
	case MEMORY_OP_RELEASE:
	case MEMORY_OP_FORGET:
	case MEMORY_OP_RETURN_KEEP:
		note(s, peer, q, value);
		break;
	case MEMORY_OP_MIXED:
		mixed(s, q, value);
		break;
	case MEMORY_OP_ANSWERED:
		singles_remove(s->singles, q->sender, q->pair);
		break;
	case MEMORY_OP_WRITE:
	case MEMORY_OP_REMOVE:
	case MEMORY_OP_FIND_CHAIN:
	case MEMORY_OP_FIND_MESSAGE:
		shared_arrivals_take(s->arrivals, peer, q, value);
		break;
	case MEMORY_OP__N:
		break;
	}
}

void
shared_leave(struct shared *s, unsigned peer)
{
	uint8_t key[MEMORY_KEY_SIZE];

	while (owners_take(s->owners, peer, key))
		leave_claim(s, peer, key);
}

/* ---- the server comes and goes ------------------------------------------- */

static void
out(struct shared *s)
{
	bool was_ready = s->is_ready;

	s->is_ready = false;
	metrics_set(METRIC_STORE_OUT, 0, 1);
	if (was_ready)
		shared_arrivals_down(s->arrivals);
}

static void
ready(struct shared *s, const uint8_t *secret)
{
	bool is_other = !s->has_secret ||
	    memcmp(secret, s->secret, sizeof(s->secret)) != 0;

	memcpy(s->secret, secret, sizeof(s->secret));
	s->has_secret = true;
	if (is_other)
		s->calls->secret(s->arg, s->secret);
	redis_is_well(s->redis);
	if (s->is_ready)
		return;
	s->is_ready = true;
	metrics_set(METRIC_STORE_OUT, 0, 0);
	notes_tell(s);
	shared_arrivals_up(s->arrivals);
}

static void
on_beat(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct shared *s = arg;

	(void)tag;
	s->is_beating = false;
	if (s->is_dying)
		return;
	if (err == 0 && v->kind == REDIS_STRING &&
	    v->text.n == MEMORY_SECRET_SIZE) {
		ready(s, v->text.p);
		return;
	}
	out(s);
	if (err == 0)
		redis_fault(s->redis, "what stands there as " SHARED_PREFIX
		    "secret is none (it is to be deleted, with all of "
		    SHARED_PREFIX "*)");
}

static void
beat(struct shared *s)
{
	char lease[32];
	struct bytes args[] = {BYTES_LIT(SHARED_PREFIX "nodes"),
	    BYTES_LIT(SHARED_PREFIX "secret"), bytes_of(s->node),
	    {NULL, 0}, {s->secret, sizeof(s->secret)}};
	struct redis_command c = {.script = SHARED_BEAT, .n_keys = 2,
	    .args = args, .n_args = 5, .wait_ms = REDIS_WAIT_MS,
	    .answer = on_beat, .arg = s};

	shared_number(lease, SHARED_LEASE_MS);
	args[3] = bytes_of(lease);
	if (!s->is_beating && redis_ask(s->redis, &c) == 0)
		s->is_beating = true;
}

static void
on_up(void *arg)
{
	beat(arg);
}

static void
on_down(void *arg)
{
	out(arg);
}

static void
on_tick(void *arg)
{
	struct shared *s = arg;

	loop_timer_start(s->tick, SHARED_BEAT_MS);
	if (redis_is_up(s->redis))
		beat(s);
	notes_tick(s);
	shared_arrivals_tick(s->arrivals);
}

static const struct redis_calls redis_calls = {on_up, on_down};

/* ---- the whole ----------------------------------------------------------- */

/* Who we are: this machine, as its folder says, and this life. The server has
 * the secret of the folder where it has none. */
static void
introduce(struct shared *s, const char *folder)
{
	uint8_t machine[crypto_generichash_BYTES_MIN], life[8];
	static const uint8_t purpose[] = "machine";

	randombytes_buf(s->secret, sizeof(s->secret));
	if (store_secret(folder, s->secret) != 0)
		log_line(LOG_WARNING_, "there is no secret in %s (%m): the "
		    "store may be given another", folder);
	crypto_generichash(machine, sizeof(machine), purpose,
	    sizeof(purpose) - 1, s->secret, sizeof(s->secret));
	randombytes_buf(life, sizeof(life));
	sodium_bin2hex(s->node, sizeof(s->node), machine, SHARED_MACHINE / 2);
	sodium_bin2hex(s->node + SHARED_MACHINE,
	    sizeof(s->node) - SHARED_MACHINE, life, sizeof(life));
}

static int
make_scripts(struct shared *s)
{
	size_t n = SHARED_OWN_SCRIPTS + shared_arrival_n_scripts;

	s->scripts = calloc(n, sizeof(s->scripts[0]));
	if (s->scripts == NULL || n > REDIS_SCRIPTS_MAX)
		return -E_NOMEM;
	memcpy(s->scripts, shared_own_scripts, sizeof(shared_own_scripts));
	memcpy(s->scripts + SHARED_OWN_SCRIPTS, shared_arrival_scripts,
	    shared_arrival_n_scripts * sizeof(s->scripts[0]));
	return 0;
}

struct shared *
shared_new(struct loop *l, const struct redis_where *where,
    const char *folder, const struct store_limits *limits,
    const struct shared_calls *calls, void *arg)
{
	struct shared *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->calls = calls;
	s->arg = arg;
	s->limits = *limits;
	introduce(s, folder);
	if (make_scripts(s) != 0 || notes_init(&s->notes) != 0)
		goto fail;
	s->tick = loop_timer_new(l, on_tick, s);
	s->singles = singles_new();
	s->owners = owners_new();
	s->arrivals = shared_arrivals_new(s, l, where, folder, limits);
	s->redis = redis_new(l, where, s->scripts, SHARED_OWN_SCRIPTS +
	    shared_arrival_n_scripts, &redis_calls, s);
	if (s->tick == NULL || s->singles == NULL || s->owners == NULL ||
	    s->arrivals == NULL || s->redis == NULL)
		goto fail;
	loop_timer_start(s->tick, SHARED_BEAT_MS);
	metrics_set(METRIC_STORE_OUT, 0, 1);
	return s;
fail:
	shared_free(&s);
	return NULL;
}

void
shared_free(struct shared **sp)
{
	struct shared *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	s->is_dying = true;
	redis_free(&s->redis);
	loop_timer_free(&s->tick);
	if (s->arrivals != NULL)
		shared_arrivals_free(&s->arrivals);
	singles_free(&s->singles);
	owners_free(&s->owners);
	notes_fini(&s->notes);
	free(s->scripts);
	sodium_memzero(s->secret, sizeof(s->secret));
	free(s);
}

bool
shared_is_ready(const struct shared *s)
{
	return s->is_ready;
}

struct redis *
shared_redis(struct shared *s)
{
	return s->redis;
}
