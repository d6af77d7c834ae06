#include "tests/scenario/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2026-11-26 00:00:00 UTC */
#define EPOCH_S 1795651200LL

/* More turns than any honest work takes without time passing. */
#define TURNS 100000

struct loop_watch {
	struct loop_watch *next;
	int fd;
	unsigned want;
	loop_ready *ready;
	void *arg;
	bool is_gone;
};

struct loop_timer {
	struct loop_timer *next;
	loop_call *call;
	void *arg;
	int64_t due_ms;
	uint64_t order;		/* of two that are due at once */
	bool is_set;
	bool is_gone;
};

struct loop {
	struct loop_watch *watches;
	struct loop_timer *timers;
	struct loop_deferred *first, **last;
	uint64_t order;
	int64_t now_ms;
};

struct loop *world_loop;

static int64_t stepped_s;	/* the time of day, by its owner */

void
world_begin(void)
{
	world_loop = NULL;
	stepped_s = 0;
	world_net_begin();
}

void
world_set_clock(int64_t by_s)
{
	stepped_s += by_s;
}

struct loop *
loop_new(void)
{
	struct loop *l = world_alloc(1, sizeof(*l));

	assert(l != NULL && world_loop == NULL);
	l->last = &l->first;
	l->now_ms = 1000000;
	world_loop = l;
	return l;
}

static void
bury(struct loop *l)
{
	for (struct loop_watch **w = &l->watches; *w != NULL;) {
		struct loop_watch *dead = *w;

		if (!dead->is_gone) {
			w = &dead->next;
			continue;
		}
		*w = dead->next;
		free(dead);
	}
	for (struct loop_timer **t = &l->timers; *t != NULL;) {
		struct loop_timer *dead = *t;

		if (!dead->is_gone) {
			t = &dead->next;
			continue;
		}
		*t = dead->next;
		free(dead);
	}
}

/* Deferred calls that defer again wait for the next turn. */
static bool
run_deferred(struct loop *l)
{
	struct loop_deferred *d = l->first, *next;
	bool any = d != NULL;

	l->first = NULL;
	l->last = &l->first;
	for (; d != NULL; d = next) {
		next = d->next;
		d->call(d->arg);
	}
	return any;
}

static bool
run_watches(struct loop *l)
{
	bool any = false;

	for (struct loop_watch *w = l->watches; w != NULL; w = w->next) {
		unsigned what = w->is_gone ? 0 :
		    world_net_ready(w->fd) & w->want;

		if (what == 0)
			continue;
		any = true;
		w->ready(w->arg, what);
	}
	return any;
}

static struct loop_timer *
first_timer(const struct loop *l)
{
	struct loop_timer *first = NULL;

	for (struct loop_timer *t = l->timers; t != NULL; t = t->next)
		if (t->is_set && !t->is_gone && (first == NULL ||
		    t->due_ms < first->due_ms || (t->due_ms == first->due_ms &&
		    t->order < first->order)))
			first = t;
	return first;
}

static bool
run_timer(struct loop *l)
{
	struct loop_timer *t = first_timer(l);

	if (t == NULL || t->due_ms > l->now_ms)
		return false;
	t->is_set = false;
	t->call(t->arg);
	return true;
}

void
world_run(void)
{
	struct loop *l = world_loop;
	bool any = true;

	for (unsigned k = 0; any; k++) {
		if (k == TURNS) {
			fprintf(stderr, "the loop spins\n");
			abort();
		}
		any = run_watches(l);
		any |= run_timer(l);
		any |= run_deferred(l);
		bury(l);
	}
}

void
world_pass(int64_t ms)
{
	struct loop *l = world_loop;
	int64_t until = l->now_ms + ms;
	struct loop_timer *t;

	while ((t = first_timer(l)) != NULL && t->due_ms <= until) {
		l->now_ms = t->due_ms;
		world_run();
	}
	l->now_ms = until;
	world_run();
}

bool
world_has_timer(void)
{
	return first_timer(world_loop) != NULL;
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (l == NULL)
		return;
	while (run_deferred(l))
		;
	bury(l);
	assert(l->watches == NULL && l->timers == NULL);
	free(l);
	world_loop = NULL;
	*lp = NULL;
}

void
loop_run(struct loop *l)
{
	(void)l;
	world_run();
}

void
loop_stop(struct loop *l)
{
	(void)l;
}

int64_t
loop_now_ms(const struct loop *l)
{
	return l->now_ms;
}

int64_t
loop_time_us(const struct loop *l)
{
	return (EPOCH_S + stepped_s) * 1000000 + (l->now_ms - 1000000) * 1000;
}

int64_t
loop_time_s(const struct loop *l)
{
	return loop_time_us(l) / 1000000;
}

struct loop_watch *
loop_watch(struct loop *l, int fd, loop_ready *ready, void *arg)
{
	struct loop_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fd = fd;
	w->ready = ready;
	w->arg = arg;
	w->next = l->watches;
	l->watches = w;
	return w;
}

void
loop_want(struct loop_watch *w, unsigned what)
{
	assert(!w->is_gone);
	w->want = what;
}

void
loop_unwatch(struct loop_watch **wp)
{
	if (*wp == NULL)
		return;
	(*wp)->is_gone = true;
	*wp = NULL;
}

struct loop_timer *
loop_timer_new(struct loop *l, loop_call *call, void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->call = call;
	t->arg = arg;
	t->next = l->timers;
	l->timers = t;
	return t;
}

void
loop_timer_start(struct loop_timer *t, int64_t ms)
{
	assert(!t->is_gone);
	t->due_ms = world_loop->now_ms + (ms < 0 ? 0 : ms);
	t->order = world_loop->order++;
	t->is_set = true;
}

void
loop_timer_stop(struct loop_timer *t)
{
	t->is_set = false;
}

void
loop_timer_free(struct loop_timer **tp)
{
	if (*tp == NULL)
		return;
	(*tp)->is_gone = true;
	*tp = NULL;
}

void
loop_defer(struct loop *l, struct loop_deferred *d, loop_call *call, void *arg)
{
	d->next = NULL;
	d->call = call;
	d->arg = arg;
	*l->last = d;
	l->last = &d->next;
}

int
loop_signal(struct loop *l, int signal, loop_call *call, void *arg)
{
	(void)l;
	(void)signal;
	(void)call;
	(void)arg;
	return 0;
}
