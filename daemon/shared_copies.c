#include "daemon/shared_copies_state.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"

#define SET SHARED_PREFIX "al"
#define OCTETS SHARED_PREFIX "an"

/* ---- words --------------------------------------------------------------- */

void
shared_copies_log(struct shared_copies *c, const char *fmt, ...)
{
	int64_t now = loop_now_ms(c->loop);
	char text[256];
	va_list ap;

	if (c->logged_ms != 0 && now - c->logged_ms < COPY_LOG_MS)
		return;
	c->logged_ms = now;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line(LOG_ERROR_, "copies: %s", text);
}

struct bytes
shared_copy_key(const struct shared_copy *c, char text[SHARED_KEY_TEXT])
{
	return shared_arrival_key('b', c->name, text);
}

struct bytes
shared_copy_member(const struct shared_copy *c, char out[COPY_MEMBER_MAX])
{
	int n;

	memcpy(out, c->name, sizeof(c->name));
	n = snprintf(out + sizeof(c->name), COPY_MEMBER_MAX - sizeof(c->name),
	    "%llu", (unsigned long long)c->size);
	return (struct bytes){(uint8_t *)out, sizeof(c->name) + (size_t)n};
}

/* ---- jobs ---------------------------------------------------------------- */

static struct copy_jobs *
jobs_of(struct shared_copies *c, const struct copy_job *j)
{
	return j->is_fetch ? &c->fetches : &c->sends;
}

static void
jobs_init(struct copy_jobs *jobs)
{
	jobs->last = &jobs->first;
}

/* The first of its list: no other is begun before it is over. */
void
shared_copies_end(struct shared_copies *c, struct copy_job *j)
{
	struct copy_jobs *jobs = jobs_of(c, j);

	assert(jobs->first == j);
	jobs->first = j->next;
	if (jobs->first == NULL)
		jobs->last = &jobs->first;
	jobs->n--;
	if (c->asked == j)
		c->asked = NULL;
	if (!j->is_fetch)
		c->n_piece = 0;
	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

void
shared_copies_begin(struct copy_job *j, enum copy_step step)
{
	j->step = step;
	j->at = 0;
	crypto_generichash_init(&j->hash, NULL, 0, SHARED_DIGEST);
}

static bool
add_job(struct shared_copies *c, const struct copy_job *how,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE])
{
	/* a hash has an alignment of its own */
	struct copy_job *j = aligned_alloc(_Alignof(struct copy_job),
	    sizeof(*j));
	struct copy_jobs *jobs;

	if (j == NULL)
		return false;
	*j = *how;
	memcpy(j->chain, chain, sizeof(j->chain));
	memcpy(j->content, content, sizeof(j->content));
	j->fd = -1;
	shared_copies_begin(j, j->is_fetch ? COPY_FETCH : COPY_RESERVE);
	jobs = jobs_of(c, j);
	*jobs->last = j;
	jobs->last = &j->next;
	jobs->n++;
	shared_copies_go(c);
	return true;
}

bool
shared_copies_has_room(const struct shared_copies *c)
{
	return c->sends.n < SHARED_UPLOADS_MAX;
}

bool
shared_copies_has_content(const struct shared_copies *c,
    const uint8_t content[STORE_KEY_SIZE])
{
	for (const struct copy_job *j = c->sends.first; j != NULL; j = j->next)
		if (memcmp(j->content, content, STORE_KEY_SIZE) == 0)
			return true;
	return false;
}

bool
shared_copies_has_name(const struct shared_copies *c,
    const uint8_t name[STORE_KEY_SIZE])
{
	for (const struct copy_job *j = c->sends.first; j != NULL; j = j->next)
		if (memcmp(j->copy.name, name, STORE_KEY_SIZE) == 0)
			return true;
	for (const struct copy_job *j = c->fetches.first; j != NULL;
	    j = j->next)
		if (memcmp(j->copy.name, name, STORE_KEY_SIZE) == 0)
			return true;
	return false;
}

bool
shared_copies_send(struct shared_copies *c,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *copy)
{
	if (!shared_copies_has_room(c)) {
		shared_copies_log(c, "%u wait for the server; those of more "
		    "messages are not kept", SHARED_UPLOADS_MAX);
		return false;
	}
	return add_job(c, &(struct copy_job){.copy = *copy,
	    .deadline_ms = loop_now_ms(c->loop) + SHARED_UPLOAD_MS}, chain,
	    content);
}

bool
shared_copies_fetch(struct shared_copies *c,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *copy)
{
	for (const struct copy_job *j = c->fetches.first; j != NULL;
	    j = j->next)
		if (memcmp(j->copy.name, copy->name, STORE_KEY_SIZE) == 0)
			return true;
	if (c->fetches.n >= SHARED_FETCHES_MAX)
		return false;
	return add_job(c, &(struct copy_job){.is_fetch = true, .copy = *copy,
	    .deadline_ms = loop_now_ms(c->loop) + SHARED_FETCH_MS}, chain,
	    content);
}

/* ---- commands ------------------------------------------------------------ */

bool
shared_copies_ask(struct shared_copies *c, struct copy_job *j, int script,
    unsigned n_keys, const struct bytes *args, size_t n, redis_answer *answer)
{
	const struct redis_command k = {.script = script, .n_keys = n_keys,
	    .args = args, .n_args = n, .wait_ms = SHARED_PIECE_MS,
	    .answer = answer, .arg = c};

	if (redis_ask(c->redis, &k) != 0)
		return false;
	c->is_asked = true;
	c->asked = j;
	return true;
}

static void
end_forgotten(struct shared_copies *c, struct copy_job *j)
{
	const struct shared_copy copy = j->copy;

	if (j->is_fetch)
		shared_fetch_end(c, j, SHARED_GONE);
	else
		shared_copies_end(c, j);
	shared_copies_drop(c, &copy);
}

static void
on_forgotten(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct shared_copies *c = arg;
	struct copy_job *j = c->asked;

	(void)tag;
	c->is_asked = false;
	if (c->is_dying)
		return;
	if (j != NULL && (err == 0 || v != NULL))
		end_forgotten(c, j);
	shared_copies_go(c);
}

/* j        as of shared_copies_ask() */
static bool
ask_forget(struct shared_copies *c, struct copy_job *j,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *copy, redis_answer *answer)
{
	char key[SHARED_KEY_TEXT];
	uint8_t field[1 + STORE_KEY_SIZE] = {copy->is_whole ? 'c' : 'p'};
	uint8_t sealed[SHARED_COPY_SEALED];
	struct bytes args[] = {shared_arrival_key('c', chain, key),
	    {field, sizeof(field)}, shared_copy_seal(c->shared, chain,
	    content, copy, sealed)};

	memcpy(field + 1, content, STORE_KEY_SIZE);
	return shared_copies_ask(c, j, COPY_SCRIPT_FORGET, 1, args, 3,
	    answer);
}

bool
shared_copies_forget(struct shared_copies *c, struct copy_job *j)
{
	return ask_forget(c, j, j->chain, j->content, &j->copy, on_forgotten);
}

/* ---- what no record has -------------------------------------------------- */

/* NULL where too many wait, or without memory: it grows old. */
static struct copy_drop *
add_drop(struct shared_copies *c, const struct shared_copy *copy)
{
	struct copy_drop *d = NULL;

	if (c->n_drops < SHARED_DROPS_MAX)
		d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	d->copy = *copy;
	*c->last_drop = d;
	c->last_drop = &d->next;
	c->n_drops++;
	return d;
}

void
shared_copies_drop(struct shared_copies *c, const struct shared_copy *copy)
{
	copies_remove(c->copies, copy->name);
	if (add_drop(c, copy) != NULL)
		shared_copies_go(c);
}

/* Not now: the server may still read it on a connection that was closed. */
void
shared_copies_unsay(struct shared_copies *c,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *copy)
{
	struct copy_drop *d = add_drop(c, copy);

	if (d == NULL)
		return;
	d->is_unsaid = true;
	memcpy(d->chain, chain, sizeof(d->chain));
	memcpy(d->content, content, sizeof(d->content));
}

static void
take_drop(struct shared_copies *c)
{
	struct copy_drop *d = c->drops;

	c->drops = d->next;
	if (c->drops == NULL)
		c->last_drop = &c->drops;
	c->n_drops--;
	free(d);
}

static void
on_dropped(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct shared_copies *c = arg;

	(void)tag;
	c->is_asked = false;
	if (c->is_dying)
		return;
	if (err == 0 || v != NULL)
		take_drop(c);
	shared_copies_go(c);
}

static bool
drop_first(struct shared_copies *c)
{
	const struct copy_drop *d = c->drops;
	const struct shared_copy *copy = &d->copy;
	char key[SHARED_KEY_TEXT], member[COPY_MEMBER_MAX], size[24];
	struct bytes args[] = {BYTES_LIT(SET), BYTES_LIT(OCTETS),
	    shared_copy_key(copy, key), shared_copy_member(copy, member),
	    {NULL, 0}};

	if (d->is_unsaid)
		return ask_forget(c, NULL, d->chain, d->content, copy,
		    on_dropped);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)copy->size);
	args[4] = bytes_of(size);
	return shared_copies_ask(c, NULL, COPY_SCRIPT_DROP, 3, args, 5,
	    on_dropped);
}

/* ---- the whole ----------------------------------------------------------- */

/* A send and a fetch take turns, so that neither waits for all of the other.
 * False: nothing more can be done now. */
static bool
go_once(struct shared_copies *c)
{
	if (c->is_dying || c->is_asked || !redis_is_up(c->redis) ||
	    !shared_is_ready(c->shared))
		return false;
	if (c->drops != NULL)
		return drop_first(c);
	if (c->fetches.first != NULL &&
	    (c->sends.first == NULL || !c->was_fetch)) {
		c->was_fetch = true;
		return shared_fetch_step(c, c->fetches.first);
	}
	c->was_fetch = false;
	return c->sends.first != NULL &&
	    shared_send_step(c, c->sends.first);
}

void
shared_copies_go(struct shared_copies *c)
{
	while (go_once(c))
		;
}

static void
on_up(void *arg)
{
	shared_copies_go(arg);
}

static void
on_down(void *arg)
{
	(void)arg;	/* what waited was told */
}

static const struct redis_calls calls = {on_up, on_down};

/* What was asked is not waited for: it is what it belongs to that ends. */
static void
end_late(struct shared_copies *c, int64_t now)
{
	while (c->fetches.first != NULL &&
	    c->fetches.first->deadline_ms <= now)
		shared_fetch_end(c, c->fetches.first, SHARED_FAILED);
	while (c->sends.first != NULL && c->sends.first->deadline_ms <= now) {
		const struct shared_copy copy = c->sends.first->copy;

		shared_copies_log(c, "one could not be sent to the server in "
		    "time: its record is kept without");
		shared_copies_end(c, c->sends.first);
		shared_copies_drop(c, &copy);
	}
}

void
shared_copies_tick(struct shared_copies *c)
{
	end_late(c, loop_now_ms(c->loop));
	shared_copies_go(c);
}

struct shared_copies *
shared_copies_new(struct loop *l, struct shared *s,
    const struct redis_where *where, struct copies *copies,
    const struct store_limits *limits, shared_fetched_call *fetched, void *arg)
{
	struct shared_copies *c = calloc(1, sizeof(*c));
	struct redis_where own = *where;

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->shared = s;
	c->copies = copies;
	c->limits = *limits;
	c->fetched = fetched;
	c->arg = arg;
	jobs_init(&c->sends);
	jobs_init(&c->fetches);
	c->last_drop = &c->drops;
	own.loss = "what list managers change may not be described";
	c->redis = redis_new(l, &own, shared_copy_scripts, COPY_SCRIPT__N,
	    &calls, c);
	if (c->redis == NULL)
		shared_copies_free(&c);
	return c;
}

void
shared_copies_free(struct shared_copies **cp)
{
	struct shared_copies *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	c->is_dying = true;
	redis_free(&c->redis);
	while (c->sends.first != NULL)
		shared_copies_end(c, c->sends.first);
	while (c->fetches.first != NULL)
		shared_fetch_end(c, c->fetches.first, SHARED_FAILED);
	while (c->drops != NULL)
		take_drop(c);
	free(c);
}
