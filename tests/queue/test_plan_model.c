/* The plan beside a model that looks at everything each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "queue/plan.h"

#define JOBS 48U
#define PLACES 6U
#define STEPS 4000U
#define SEEDS 50U

static const struct plan_rules rules = {
	.max_active = 12, .start_window = 3, .max_window = 6,
	.rest_min_ms = 50, .rest_max_ms = 400,
};

struct model_job {
	enum plan_state state;
	unsigned place;
	int64_t due_ms, order;	/* LATER */
	int64_t at;		/* READY: where in the line */
	unsigned era;
};

struct model_place {
	unsigned window, active, n_good, era;
	int64_t rest_ms, until_ms;
	bool is_resting;
	int probe;		/* -1: none */
};

struct model {
	struct model_job jobs[JOBS];
	struct model_place places[PLACES];
	int64_t n_put, front, back, now_ms;
	unsigned active;
	uint64_t chance;
};

static struct plan_job jobs[JOBS];

static unsigned
below(struct model *m, unsigned n)
{
	m->chance ^= m->chance << 13;
	m->chance ^= m->chance >> 7;
	m->chance ^= m->chance << 17;
	return (unsigned)(m->chance >> 32) % n;
}

static struct bytes
name_of(unsigned place)
{
	static const char *const names[PLACES] = {
		"", "a", "b", "two.example", "two.example:26", "three.example",
	};

	return bytes_of(names[place]);
}

/* The one of a state that is first, by its time or its place; -1: none. */
static int
first_of(const struct model *m, enum plan_state state, int place)
{
	int found = -1;

	for (unsigned k = 0; k < JOBS; k++) {
		const struct model_job *j = &m->jobs[k], *f;

		if (j->state != state ||
		    (place >= 0 && j->place != (unsigned)place))
			continue;
		f = found < 0 ? NULL : &m->jobs[found];
		if (f == NULL || (state == PLAN_READY ? j->at < f->at :
		    j->due_ms != f->due_ms ? j->due_ms < f->due_ms :
		    j->order < f->order))
			found = (int)k;
	}
	return found;
}

static bool
may_be_given(const struct model *m, unsigned place)
{
	const struct model_place *p = &m->places[place];

	return first_of(m, PLAN_READY, (int)place) >= 0 && !p->is_resting &&
	    (p->rest_ms != 0 ? p->probe < 0 : p->active < p->window);
}

static void
ripen(struct model *m)
{
	int k;

	while ((k = first_of(m, PLAN_LATER, -1)) >= 0 &&
	    m->jobs[k].due_ms <= m->now_ms) {
		m->jobs[k].state = PLAN_READY;
		m->jobs[k].at = m->back++;
	}
	for (unsigned d = 0; d < PLACES; d++)
		if (m->places[d].until_ms <= m->now_ms &&
		    first_of(m, PLAN_READY, (int)d) >= 0)
			m->places[d].is_resting = false;
}

static void
check_wake(const struct model *m, const struct plan *p)
{
	int64_t want = INT64_MAX;
	int later = first_of(m, PLAN_LATER, -1);

	if (later >= 0)
		want = m->jobs[later].due_ms;
	for (unsigned d = 0; d < PLACES; d++) {
		if (m->places[d].is_resting && m->places[d].until_ms < want &&
		    first_of(m, PLAN_READY, (int)d) >= 0)
			want = m->places[d].until_ms;
		if (may_be_given(m, d))
			want = 0;
	}
	if (m->active == rules.max_active)
		want = INT64_MAX;
	assert_true(plan_wake(p) == want);
}

static void
next(struct model *m, struct plan *p)
{
	struct plan_job *j = plan_next(p, m->now_ms);
	struct model_job *k;
	struct model_place *d;
	bool is_any = false;

	ripen(m);
	for (unsigned n = 0; n < PLACES; n++)
		is_any = is_any || may_be_given(m, n);
	if (!is_any || m->active == rules.max_active) {
		assert_null(j);
		return;
	}
	assert_non_null(j);
	k = &m->jobs[j - jobs];
	d = &m->places[k->place];
	assert_true(may_be_given(m, k->place));
	assert_int_equal(first_of(m, PLAN_READY, (int)k->place), j - jobs);
	k->state = PLAN_ACTIVE;
	k->era = d->era;
	if (d->rest_ms != 0)
		d->probe = (int)(j - jobs);
	d->active++;
	m->active++;
}

static void
good(struct model_place *d)
{
	if (d->rest_ms != 0) {
		d->rest_ms = 0;
		d->is_resting = false;
		d->probe = -1;
		d->era++;
		d->window = 1;
		d->n_good = 0;
	}
	d->n_good++;
	if (d->n_good >= d->window) {
		d->n_good = 0;
		d->window += d->window < rules.max_window;
	}
}

static void
bad(struct model_place *d, int64_t now_ms)
{
	d->n_good = 0;
	if (d->rest_ms == 0 && d->window > 1) {
		d->window /= 2;
		return;
	}
	d->rest_ms = d->rest_ms == 0 ? rules.rest_min_ms : d->rest_ms * 2;
	if (d->rest_ms > rules.rest_max_ms)
		d->rest_ms = rules.rest_max_ms;
	d->is_resting = true;
	d->until_ms = now_ms + d->rest_ms;
	d->era++;
}

static void
done(struct model *m, struct plan *p, unsigned n, enum plan_end end)
{
	struct model_job *k = &m->jobs[n];
	struct model_place *d = &m->places[k->place];

	plan_done(p, &jobs[n], end, m->now_ms);
	k->state = PLAN_NOWHERE;
	d->active--;
	m->active--;
	if (end == PLAN_GOOD)
		good(d);
	else if (end == PLAN_BAD && k->era == d->era)
		bad(d, m->now_ms);
	if (d->probe == (int)n)
		d->probe = -1;
}

/* Something with one job, after its state. */
static void
touch(struct model *m, struct plan *p, unsigned n)
{
	struct model_job *k = &m->jobs[n];

	switch (k->state) {
	case PLAN_NOWHERE:
		k->place = below(m, PLACES);
		k->due_ms = m->now_ms - 5 + below(m, 40);
		k->order = m->n_put++;
		k->state = PLAN_LATER;
		assert_int_equal(plan_add(p, &jobs[n], name_of(k->place),
		    k->due_ms), 0);
		break;
	case PLAN_LATER:
	case PLAN_READY:
		if (below(m, 4) == 0) {
			plan_remove(p, &jobs[n]);
			k->state = PLAN_NOWHERE;
		} else if (below(m, 4) == 0) {
			plan_hurry(p, &jobs[n]);
			k->state = PLAN_READY;
			k->at = --m->front;
			m->places[k->place].is_resting = false;
		}
		break;
	case PLAN_ACTIVE:
		/* The first ones fail more often. */
		done(m, p, n, below(m, 8) == 0 ? PLAN_NO_MATTER :
		    below(m, PLACES) < k->place ? PLAN_GOOD : PLAN_BAD);
		break;
	}
}

static void
check_jobs(const struct model *m)
{
	for (unsigned n = 0; n < JOBS; n++) {
		const struct model_job *k = &m->jobs[n];
		const struct model_place *d = &m->places[k->place];
		struct plan_health h;

		assert_int_equal(jobs[n].state, k->state);
		if (k->state == PLAN_NOWHERE)
			continue;
		h = plan_health(&jobs[n]);
		assert_int_equal(h.active, d->active);
		assert_int_equal(h.window, d->rest_ms != 0 ? 1 : d->window);
		assert_true(h.rests_until_ms ==
		    (d->is_resting ? d->until_ms : 0));
		assert_true(bytes_eq(plan_name(&jobs[n]), name_of(k->place)));
	}
}

static void
run(uint64_t seed)
{
	struct model m = {.chance = seed};
	struct arena *a = arena_new(1U << 16);
	struct plan *p = plan_new(&rules, a);

	assert_non_null(p);
	memset(jobs, 0, sizeof(jobs));
	for (unsigned d = 0; d < PLACES; d++)
		m.places[d] = (struct model_place){
			.window = rules.start_window, .probe = -1,
		};
	for (unsigned k = 0; k < STEPS; k++) {
		if (below(&m, 2) == 0)
			touch(&m, p, below(&m, JOBS));
		else
			next(&m, p);
		m.now_ms += below(&m, 8) == 0 ? below(&m, 30) : 0;
		check_wake(&m, p);
		check_jobs(&m);
	}
	plan_free(&p);
	for (unsigned n = 0; n < JOBS; n++)
		assert_int_equal(jobs[n].state, PLAN_NOWHERE);
	arena_free(&a);
}

static void
whatever_is_done_it_is_as_the_model_has_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run(seed * 0x9e3779b97f4a7c15U);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_done_it_is_as_the_model_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
