#include "queue/plan.h"

#include <assert.h>

#include "base/err.h"

#define TABLE_SIZE 1024U
/* Names take whole pieces of this size, so that records are used again. */
#define NAME_PIECE 64U
#define N_PIECES (PLAN_NAME_MAX / NAME_PIECE)
/* Destinations of which nothing is known to be tried, but how they fare. */
#define IDLE_MAX 1000U

#define OWNER(type, member, part) \
	((struct type *)(void *)((uint8_t *)(part) - \
	offsetof(struct type, member)))

/* Jobs, the first and the last of them. */
struct line {
	struct plan_job *first, *last;
};

/* Destinations, likewise. */
struct row {
	struct plan_destination *first, *last;
	size_t n;
};

struct plan_destination {
	struct plan_destination *next;	/* of its chain, or of those free */
	struct plan_destination *before, *behind;	/* ->in */
	struct row *in;			/* turns, idle, or NULL */
	uint64_t hash;
	struct line ready, tried;
	size_t n_jobs;			/* in the plan, in any state */
	unsigned active, window, n_good;
	unsigned era;			/* counts its deaths and recoveries */
	int64_t rest_ms;		/* 0: it is alive */
	bool is_resting;		/* until ->rests_until_ms */
	bool is_waiting;		/* ->rests is in the heap */
	int64_t rests_until_ms;
	struct plan_job *probe;		/* the one try of a dead one */
	struct heap_node rests;
	size_t n_name, n_pieces;
	uint8_t name[];
};

struct plan {
	struct plan_rules rules;
	struct arena *arena;
	struct heap later;		/* jobs */
	struct heap rests;		/* destinations that rest and have
					   something ready */
	struct row turns;		/* that may be given something now */
	struct row idle;		/* that have no job, oldest first */
	unsigned active;
	struct plan_destination *table[TABLE_SIZE];
	struct plan_destination *free[N_PIECES + 1];
};

/* ---- lines and rows ------------------------------------------------------ */

static void
line_add(struct line *l, struct plan_job *j)
{
	j->before = l->last;
	j->behind = NULL;
	*(l->last == NULL ? &l->first : &l->last->behind) = j;
	l->last = j;
}

static void
line_add_first(struct line *l, struct plan_job *j)
{
	j->before = NULL;
	j->behind = l->first;
	*(l->first == NULL ? &l->last : &l->first->before) = j;
	l->first = j;
}

static void
line_take(struct line *l, struct plan_job *j)
{
	*(j->before == NULL ? &l->first : &j->before->behind) = j->behind;
	*(j->behind == NULL ? &l->last : &j->behind->before) = j->before;
	j->before = j->behind = NULL;
}

static void
row_add(struct row *r, struct plan_destination *d)
{
	d->in = r;
	d->before = r->last;
	d->behind = NULL;
	*(r->last == NULL ? &r->first : &r->last->behind) = d;
	r->last = d;
	r->n++;
}

static void
row_take(struct plan_destination *d)
{
	struct row *r = d->in;

	if (r == NULL)
		return;
	*(d->before == NULL ? &r->first : &d->before->behind) = d->behind;
	*(d->behind == NULL ? &r->last : &d->behind->before) = d->before;
	d->in = NULL;
	r->n--;
}

/* ---- destinations -------------------------------------------------------- */

/* FNV-1a; names come from the configuration and from domains. */
static uint64_t
hash_of(struct bytes name)
{
	uint64_t h = 0xcbf29ce484222325U;

	for (size_t k = 0; k < name.n; k++)
		h = (h ^ name.p[k]) * 0x100000001b3U;
	return h;
}

static struct plan_destination **
chain_of(struct plan *p, uint64_t hash)
{
	return &p->table[(hash ^ hash >> 32) % TABLE_SIZE];
}

static struct plan_destination *
destination_find(struct plan *p, struct bytes name, uint64_t hash)
{
	struct plan_destination *d = *chain_of(p, hash);

	while (d != NULL && (d->hash != hash || !bytes_eq(name,
	    (struct bytes){d->name, d->n_name})))
		d = d->next;
	return d;
}

static struct plan_destination *
destination_new(struct plan *p, struct bytes name, uint64_t hash)
{
	size_t pieces = (name.n + NAME_PIECE - 1) / NAME_PIECE;
	struct plan_destination *d = p->free[pieces];
	struct plan_destination **chain = chain_of(p, hash);

	if (d != NULL)
		p->free[pieces] = d->next;
	else
		d = arena_alloc(p->arena, sizeof(*d) + pieces * NAME_PIECE);
	if (d == NULL)
		return NULL;
	memset(d, 0, sizeof(*d));
	d->hash = hash;
	d->window = p->rules.start_window;
	d->n_pieces = pieces;
	d->n_name = name.n;
	if (name.n != 0)
		memcpy(d->name, name.p, name.n);
	d->next = *chain;
	*chain = d;
	return d;
}

/* How one fares that has no job is forgotten once there are many of them. */
static void
forget_oldest(struct plan *p)
{
	struct plan_destination *d = p->idle.first, **at;

	row_take(d);
	at = chain_of(p, d->hash);
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	d->next = p->free[d->n_pieces];
	p->free[d->n_pieces] = d;
}

static unsigned
window_of(const struct plan_destination *d)
{
	return d->rest_ms != 0 ? 1 : d->window;
}

static bool
has_turn(const struct plan_destination *d)
{
	if (d->ready.first == NULL || d->is_resting)
		return false;
	/* Tries that began before it died may be out still. */
	return d->rest_ms != 0 ? d->probe == NULL : d->active < d->window;
}

/* Puts a destination where it belongs, after any change. */
static void
settle(struct plan *p, struct plan_destination *d)
{
	bool is_to_wait = d->is_resting && d->ready.first != NULL;

	if (d->is_waiting && !is_to_wait)
		heap_take(&p->rests, &d->rests);
	if (is_to_wait && !d->is_waiting)
		heap_put(&p->rests, &d->rests, d->rests_until_ms);
	d->is_waiting = is_to_wait;
	if (has_turn(d)) {
		if (d->in != &p->turns)
			row_add(&p->turns, d);
	} else if (d->n_jobs != 0) {
		row_take(d);
	} else if (d->in != &p->idle) {
		row_take(d);
		row_add(&p->idle, d);
		if (p->idle.n > IDLE_MAX)
			forget_oldest(p);
	}
}

/* ---- jobs ---------------------------------------------------------------- */

struct plan *
plan_new(const struct plan_rules *rules, struct arena *a)
{
	struct plan *p = arena_alloc(a, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->rules = *rules;
	p->arena = a;
	/* None of them makes sense as 0, and none may stop the queue. */
	if (p->rules.max_active == 0)
		p->rules.max_active = 1;
	if (p->rules.max_window == 0)
		p->rules.max_window = 1;
	if (p->rules.start_window == 0)
		p->rules.start_window = 1;
	if (p->rules.start_window > p->rules.max_window)
		p->rules.start_window = p->rules.max_window;
	if (p->rules.rest_min_ms < 1)
		p->rules.rest_min_ms = 1;
	if (p->rules.rest_max_ms < p->rules.rest_min_ms)
		p->rules.rest_max_ms = p->rules.rest_min_ms;
	return p;
}

static void
line_end(struct line *l)
{
	while (l->first != NULL) {
		struct plan_job *j = l->first;

		line_take(l, j);
		*j = (struct plan_job){.state = PLAN_NOWHERE};
	}
}

void
plan_free(struct plan **p)
{
	if (*p == NULL)
		return;
	while ((*p)->later.root != NULL) {
		struct heap_node *node = (*p)->later.root;

		heap_take(&(*p)->later, node);
		*OWNER(plan_job, later, node) =
		    (struct plan_job){.state = PLAN_NOWHERE};
	}
	for (size_t k = 0; k < TABLE_SIZE; k++)
		for (struct plan_destination *d = (*p)->table[k]; d != NULL;
		    d = d->next) {
			line_end(&d->ready);
			line_end(&d->tried);
		}
	*p = NULL;
}

int
plan_add(struct plan *p, struct plan_job *j, struct bytes name,
    int64_t due_ms)
{
	uint64_t hash = hash_of(name);
	struct plan_destination *d;

	assert(j->state == PLAN_NOWHERE);
	if (name.n > PLAN_NAME_MAX)
		return -E_LIMIT;
	d = destination_find(p, name, hash);
	if (d == NULL)
		d = destination_new(p, name, hash);
	if (d == NULL)
		return -E_NOMEM;
	*j = (struct plan_job){.state = PLAN_LATER, .destination = d};
	heap_put(&p->later, &j->later, due_ms);
	d->n_jobs++;
	settle(p, d);
	return 0;
}

static void
job_ready(struct plan *p, struct plan_job *j)
{
	heap_take(&p->later, &j->later);
	j->state = PLAN_READY;
	line_add(&j->destination->ready, j);
	settle(p, j->destination);
}

/* Of where it waits. */
static void
take_out(struct plan *p, struct plan_job *j)
{
	assert(j->state == PLAN_LATER || j->state == PLAN_READY);
	if (j->state == PLAN_LATER)
		heap_take(&p->later, &j->later);
	else
		line_take(&j->destination->ready, j);
}

void
plan_remove(struct plan *p, struct plan_job *j)
{
	struct plan_destination *d = j->destination;

	take_out(p, j);
	*j = (struct plan_job){.state = PLAN_NOWHERE};
	d->n_jobs--;
	settle(p, d);
}

void
plan_hurry(struct plan *p, struct plan_job *j)
{
	struct plan_destination *d = j->destination;

	take_out(p, j);
	j->state = PLAN_READY;
	line_add_first(&d->ready, j);
	d->is_resting = false;
	settle(p, d);
}

struct plan_job *
plan_next(struct plan *p, int64_t now_ms)
{
	struct plan_destination *d;
	struct plan_job *j;

	while (p->later.root != NULL && p->later.root->due_ms <= now_ms)
		job_ready(p, OWNER(plan_job, later, p->later.root));
	while (p->rests.root != NULL && p->rests.root->due_ms <= now_ms) {
		d = OWNER(plan_destination, rests, p->rests.root);
		d->is_resting = false;
		settle(p, d);
	}
	d = p->turns.first;
	if (d == NULL || p->active >= p->rules.max_active)
		return NULL;
	j = d->ready.first;
	line_take(&d->ready, j);
	line_add(&d->tried, j);
	j->state = PLAN_ACTIVE;
	j->era = d->era;
	if (d->rest_ms != 0)
		d->probe = j;
	d->active++;
	p->active++;
	/* Its next turn comes when all others had theirs. */
	row_take(d);
	settle(p, d);
	return j;
}

int64_t
plan_wake(const struct plan *p)
{
	int64_t at = INT64_MAX;

	if (p->active >= p->rules.max_active)
		return at;
	if (p->turns.first != NULL)
		return 0;
	if (p->later.root != NULL)
		at = p->later.root->due_ms;
	if (p->rests.root != NULL && p->rests.root->due_ms < at)
		at = p->rests.root->due_ms;
	return at;
}

/* ---- how destinations fare ----------------------------------------------- */

static void
fares_well(const struct plan *p, struct plan_destination *d)
{
	if (d->rest_ms != 0) {
		d->rest_ms = 0;
		d->is_resting = false;
		d->probe = NULL;
		d->era++;
		d->window = 1;
		d->n_good = 0;
	}
	if (++d->n_good < d->window)
		return;
	d->n_good = 0;
	if (d->window < p->rules.max_window)
		d->window++;
}

static void
dies(const struct plan *p, struct plan_destination *d, int64_t now_ms)
{
	const struct plan_rules *r = &p->rules;

	if (d->rest_ms == 0)
		d->rest_ms = r->rest_min_ms;
	else
		d->rest_ms = d->rest_ms > r->rest_max_ms / 2 ?
		    r->rest_max_ms : d->rest_ms * 2;
	d->is_resting = true;
	d->rests_until_ms = now_ms > INT64_MAX - d->rest_ms ? INT64_MAX :
	    now_ms + d->rest_ms;
	d->era++;
}

static void
fares_badly(const struct plan *p, struct plan_destination *d, int64_t now_ms)
{
	d->n_good = 0;
	if (d->rest_ms == 0 && d->window > 1)
		d->window /= 2;
	else
		dies(p, d, now_ms);
}

void
plan_done(struct plan *p, struct plan_job *j, enum plan_end end,
    int64_t now_ms)
{
	struct plan_destination *d = j->destination;

	assert(j->state == PLAN_ACTIVE);
	line_take(&d->tried, j);
	d->active--;
	p->active--;
	d->n_jobs--;
	if (end == PLAN_GOOD)
		fares_well(p, d);
	else if (end == PLAN_BAD && j->era == d->era)
		fares_badly(p, d, now_ms);
	if (d->probe == j)
		d->probe = NULL;
	*j = (struct plan_job){.state = PLAN_NOWHERE};
	settle(p, d);
}

struct plan_health
plan_health(const struct plan_job *j)
{
	const struct plan_destination *d = j->destination;

	return (struct plan_health){
		.active = d->active,
		.window = window_of(d),
		.n_jobs = d->n_jobs,
		.rests_until_ms = d->is_resting ? d->rests_until_ms : 0,
	};
}

struct bytes
plan_name(const struct plan_job *j)
{
	return (struct bytes){j->destination->name, j->destination->n_name};
}
