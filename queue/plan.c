#include "queue/plan.h"

#include <stddef.h>

#include "base/err.h"

#define BUCKETS 4096U

/*
 * Jobs of a destination that are ready stand in a line. A destination stands
 * in the round while one of them may be tried; otherwise it comes back when a
 * try ends, when its rest does, or with a job.
 */
struct plan_destination {
	struct plan_destination *chained;	/* of its bucket; or unused */
	struct plan_destination *before, *behind;	/* the round */
	bool is_in_round;
	bool is_dead;		/* after its rest one is tried alone */
	bool is_waiting;	/* ->wake is in the heap */
	struct plan_job *first, *last;		/* READY */
	struct plan_job *active;
	unsigned n_active, window, n_good;
	unsigned era;		/* times that it died or recovered */
	size_t n_jobs;
	int64_t rest_ms;	/* how long the last one was */
	int64_t until_ms;	/* of the rest; 0: none */
	struct heap_node wake;
	size_t n_name, cap_name;
	uint8_t *name;
};

struct plan {
	struct plan_rules rules;
	struct arena *arena;
	struct heap later, rests;
	struct plan_destination *buckets[BUCKETS];
	struct plan_destination *unused;
	struct plan_destination *first, *last;	/* the round */
	unsigned n_active;
};

struct plan *
plan_new(const struct plan_rules *rules, struct arena *a)
{
	struct plan *p = arena_alloc(a, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->rules = *rules;
	p->arena = a;
	return p;
}

/* ---- destinations -------------------------------------------------------- */

static struct plan_destination **
bucket(struct plan *p, struct bytes name)
{
	uint32_t hash = 2166136261U;

	for (size_t k = 0; k < name.n; k++)
		hash = (hash ^ name.p[k]) * 16777619U;
	return &p->buckets[hash % BUCKETS];
}

static struct bytes
name_of(const struct plan_destination *d)
{
	return (struct bytes){d->name, d->n_name};
}

/* One that is not used any more and has room for the name, or a new one. */
static struct plan_destination *
take(struct plan *p, size_t n)
{
	struct plan_destination **at = &p->unused, *d;
	unsigned looks = 16;

	while (*at != NULL && (*at)->cap_name < n && --looks != 0)
		at = &(*at)->chained;
	d = *at;
	if (d != NULL && d->cap_name >= n) {
		uint8_t *name = d->name;
		size_t cap = d->cap_name;

		*at = d->chained;
		*d = (struct plan_destination){.name = name, .cap_name = cap};
		return d;
	}
	d = arena_alloc(p->arena, sizeof(*d));
	if (d == NULL)
		return NULL;
	d->cap_name = (n + 31) / 32 * 32;
	d->name = arena_alloc(p->arena, d->cap_name);
	return d->name == NULL ? NULL : d;
}

/* NULL without memory. */
static struct plan_destination *
destination(struct plan *p, struct bytes name)
{
	struct plan_destination **b = bucket(p, name), *d = *b;

	while (d != NULL && !bytes_eq(name_of(d), name))
		d = d->chained;
	if (d != NULL)
		return d;
	d = take(p, name.n);
	if (d == NULL)
		return NULL;
	if (name.n != 0)
		memcpy(d->name, name.p, name.n);
	d->n_name = name.n;
	d->window = p->rules.start_window;
	d->chained = *b;
	*b = d;
	return d;
}

static void
leave_round(struct plan *p, struct plan_destination *d)
{
	if (!d->is_in_round)
		return;
	*(d->before != NULL ? &d->before->behind : &p->first) = d->behind;
	*(d->behind != NULL ? &d->behind->before : &p->last) = d->before;
	d->is_in_round = false;
}

static unsigned
bears(const struct plan_destination *d)
{
	return d->is_dead ? 1 : d->window;
}

/* At the end of the round where something of it may be tried. */
static void
join_round(struct plan *p, struct plan_destination *d)
{
	if (d->is_in_round || d->first == NULL || d->until_ms != 0 ||
	    d->n_active >= bears(d))
		return;
	d->before = p->last;
	d->behind = NULL;
	*(p->last != NULL ? &p->last->behind : &p->first) = d;
	p->last = d;
	d->is_in_round = true;
}

static void
end_rest(struct plan *p, struct plan_destination *d)
{
	if (d->is_waiting)
		heap_take(&p->rests, &d->wake);
	d->is_waiting = false;
	d->until_ms = 0;
}

static void
forget_if_idle(struct plan *p, struct plan_destination *d)
{
	struct plan_destination **at;

	/* one that rests is remembered until its rest is over */
	if (d->n_jobs != 0 || d->until_ms != 0)
		return;
	leave_round(p, d);
	at = bucket(p, name_of(d));
	while (*at != d)
		at = &(*at)->chained;
	*at = d->chained;
	d->chained = p->unused;
	p->unused = d;
}

/* ---- jobs ---------------------------------------------------------------- */

static void
line_put(struct plan_destination *d, struct plan_job *j, bool is_first)
{
	j->state = PLAN_READY;
	j->before = is_first ? NULL : d->last;
	j->behind = is_first ? d->first : NULL;
	*(j->before != NULL ? &j->before->behind : &d->first) = j;
	*(j->behind != NULL ? &j->behind->before : &d->last) = j;
}

static void
line_take(struct plan_destination *d, struct plan_job *j)
{
	*(j->before != NULL ? &j->before->behind : &d->first) = j->behind;
	*(j->behind != NULL ? &j->behind->before : &d->last) = j->before;
	j->before = j->behind = NULL;
}

static struct plan_job *
job_of(struct heap_node *n)
{
	return (struct plan_job *)(void *)((char *)n -
	    offsetof(struct plan_job, later));
}

int
plan_add(struct plan *p, struct plan_job *j, struct bytes name,
    int64_t due_ms)
{
	struct plan_destination *d;

	if (name.n > PLAN_NAME_MAX)
		return -E_LIMIT;
	d = destination(p, name);
	if (d == NULL)
		return -E_NOMEM;
	j->destination = d;
	j->before = j->behind = NULL;
	j->state = PLAN_LATER;
	d->n_jobs++;
	heap_put(&p->later, &j->later, due_ms);
	return 0;
}

static void
take_out(struct plan *p, struct plan_job *j)
{
	struct plan_destination *d = j->destination;

	if (j->state == PLAN_LATER)
		heap_take(&p->later, &j->later);
	else if (j->state == PLAN_READY)
		line_take(d, j);
	if (d->first == NULL)
		leave_round(p, d);
}

void
plan_remove(struct plan *p, struct plan_job *j)
{
	struct plan_destination *d = j->destination;

	take_out(p, j);
	j->state = PLAN_NOWHERE;
	j->destination = NULL;
	d->n_jobs--;
	forget_if_idle(p, d);
}

void
plan_hurry(struct plan *p, struct plan_job *j)
{
	struct plan_destination *d = j->destination;

	take_out(p, j);
	line_put(d, j, true);
	end_rest(p, d);
	join_round(p, d);
}

/* What has come due by now. */
static void
ripen(struct plan *p, int64_t now_ms)
{
	while (p->later.root != NULL && p->later.root->due_ms <= now_ms) {
		struct plan_job *j = job_of(p->later.root);

		heap_take(&p->later, &j->later);
		line_put(j->destination, j, false);
		join_round(p, j->destination);
	}
	while (p->rests.root != NULL && p->rests.root->due_ms <= now_ms) {
		struct plan_destination *d = (struct plan_destination *)
		    (void *)((char *)p->rests.root -
		    offsetof(struct plan_destination, wake));

		end_rest(p, d);
		join_round(p, d);
		forget_if_idle(p, d);
	}
}

struct plan_job *
plan_next(struct plan *p, int64_t now_ms)
{
	struct plan_destination *d;
	struct plan_job *j;

	ripen(p, now_ms);
	d = p->first;
	if (d == NULL || p->n_active >= p->rules.max_active)
		return NULL;
	leave_round(p, d);
	j = d->first;
	line_take(d, j);
	j->state = PLAN_ACTIVE;
	j->era = d->era;
	j->behind = d->active;
	if (d->active != NULL)
		d->active->before = j;
	d->active = j;
	d->n_active++;
	p->n_active++;
	join_round(p, d);
	return j;
}

int64_t
plan_wake(const struct plan *p)
{
	int64_t wake = INT64_MAX;

	if (p->first != NULL && p->n_active < p->rules.max_active)
		return 0;
	if (p->later.root != NULL)
		wake = p->later.root->due_ms;
	if (p->rests.root != NULL && p->rests.root->due_ms < wake)
		wake = p->rests.root->due_ms;
	return wake;
}

/* ---- ends ---------------------------------------------------------------- */

static void
on_good(struct plan *p, struct plan_destination *d)
{
	if (d->is_dead) {
		d->era++;
		d->is_dead = false;
		d->rest_ms = 0;
		d->n_good = 0;
		end_rest(p, d);
		return;
	}
	if (++d->n_good < d->window)
		return;
	d->n_good = 0;
	if (d->window < p->rules.max_window)
		d->window++;
}

static void
on_bad(struct plan *p, struct plan_destination *d, int64_t now_ms)
{
	d->n_good = 0;
	if (!d->is_dead && d->window > 1) {
		d->window /= 2;
		return;
	}
	d->era++;
	d->is_dead = true;
	d->window = 1;
	d->rest_ms = d->rest_ms == 0 ? p->rules.rest_min_ms : 2 * d->rest_ms;
	if (d->rest_ms > p->rules.rest_max_ms)
		d->rest_ms = p->rules.rest_max_ms;
	end_rest(p, d);
	leave_round(p, d);
	d->until_ms = now_ms + d->rest_ms;
	heap_put(&p->rests, &d->wake, d->until_ms);
	d->is_waiting = true;
}

void
plan_done(struct plan *p, struct plan_job *j, enum plan_end end,
    int64_t now_ms)
{
	struct plan_destination *d = j->destination;
	bool is_of_now = j->era == d->era;

	*(j->before != NULL ? &j->before->behind : &d->active) = j->behind;
	if (j->behind != NULL)
		j->behind->before = j->before;
	j->before = j->behind = NULL;
	j->state = PLAN_NOWHERE;
	j->destination = NULL;
	d->n_active--;
	d->n_jobs--;
	p->n_active--;
	if (end == PLAN_GOOD)
		on_good(p, d);
	else if (end == PLAN_BAD && is_of_now)
		on_bad(p, d, now_ms);
	join_round(p, d);
	forget_if_idle(p, d);
}

/* ---- what is known ------------------------------------------------------- */

struct plan_health
plan_health(const struct plan_job *j)
{
	const struct plan_destination *d = j->destination;

	return (struct plan_health){d->n_active, bears(d), d->until_ms};
}

struct bytes
plan_name(const struct plan_job *j)
{
	return name_of(j->destination);
}

static void
drop_line(struct plan_job *j)
{
	while (j != NULL) {
		struct plan_job *next = j->behind;

		j->state = PLAN_NOWHERE;
		j->destination = NULL;
		j->before = j->behind = NULL;
		j = next;
	}
}

void
plan_free(struct plan **pp)
{
	struct plan *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	while (p->later.root != NULL) {
		struct plan_job *j = job_of(p->later.root);

		heap_take(&p->later, &j->later);
		j->state = PLAN_NOWHERE;
		j->destination = NULL;
	}
	for (size_t k = 0; k < BUCKETS; k++) {
		for (struct plan_destination *d = p->buckets[k]; d != NULL;
		    d = d->chained) {
			drop_line(d->first);
			drop_line(d->active);
			d->first = d->last = d->active = NULL;
		}
	}
}
