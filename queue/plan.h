/*
 * What is to be tried next: jobs that wait for their time, destinations with
 * as many tries at once as each one bears, round robin among those that have
 * something ready. All times are of a monotonic clock in milliseconds; no I/O
 * and no clock here.
 *
 * How much a destination is given at once grows by one for each window full of
 * good ends and shrinks by half for each bad one. Where a bad end comes and one
 * at a time is all it is given already, it is dead: left alone for a time that
 * doubles. Then one job of it alone is tried, and what becomes of that decides
 * for all. Of tries that began before it last died or recovered a bad end says
 * nothing.
 * All this is kept of a thousand destinations without a job, too.
 */
#ifndef QUEUE_PLAN_H
#define QUEUE_PLAN_H

#include "base/arena.h"
#include "queue/heap.h"

#define PLAN_NAME_MAX 640U	/* octets of a destination's name */

struct plan;
struct plan_destination;

struct plan_rules {
	unsigned max_active;	/* tries at once in all */
	unsigned start_window;	/* to a destination that is new: 5 */
	unsigned max_window;	/* to one destination */
	int64_t rest_min_ms;	/* a destination that is dead: 60 s ... */
	int64_t rest_max_ms;	/* ... doubling up to an hour */
};

enum plan_state {
	PLAN_NOWHERE,		/* not in the plan */
	PLAN_LATER,		/* its time has not come */
	PLAN_READY,		/* in its destination's line */
	PLAN_ACTIVE,		/* being tried */
};

/* One thing to try. The owner's; all zero before the first use. */
struct plan_job {
	enum plan_state state;		/* to be read; all else is the plan's */
	unsigned era;			/* ACTIVE: of the destination, then */
	struct plan_destination *destination;
	struct heap_node later;		/* LATER; ->due_ms stays */
	struct plan_job *before, *behind;	/* READY, ACTIVE: the line */
};

enum plan_end {
	PLAN_GOOD,		/* the destination talked to us, whatever it
				   said to the message */
	PLAN_BAD,		/* it did not, or hung up on us */
	PLAN_NO_MATTER,		/* we gave up ourselves: says nothing of it */
};

/*
 * Makes a plan in an arena, which also has its destinations: about 200 octets
 * and the name for each. What is not used any more is used again.
 *
 * Returns  NULL without memory
 */
struct plan *plan_new(const struct plan_rules *rules, struct arena *a);

/* Ends *p; jobs that are still in it are then PLAN_NOWHERE. The arena has the
 * memory until it is freed itself. */
void plan_free(struct plan **p);

/*
 * Puts a job into the plan. Those that are due stand in the order of adding.
 *
 * name     of the destination: octets that differ where it does; copied
 * Returns  0, -E_NOMEM, or -E_LIMIT where the name is longer than
 *          PLAN_NAME_MAX: the job is then PLAN_NOWHERE
 */
int plan_add(struct plan *p, struct plan_job *j, struct bytes name,
    int64_t due_ms);

/* Takes a job out that is LATER or READY. */
void plan_remove(struct plan *p, struct plan_job *j);

/* Makes a job that is LATER or READY the first of its destination, whatever
 * its time; and where that rests, ends the rest. */
void plan_hurry(struct plan *p, struct plan_job *j);

/* The next job to try, ACTIVE then; NULL: none now. */
struct plan_job *plan_next(struct plan *p, int64_t now_ms);

/* When plan_next() may have one, unless something changes before; 0: now;
 * INT64_MAX: never. */
int64_t plan_wake(const struct plan *p);

/*
 * A try is over: the job is PLAN_NOWHERE, and its owner adds it again where
 * there is something left to try.
 */
void plan_done(struct plan *p, struct plan_job *j, enum plan_end end,
    int64_t now_ms);

/* How a destination fares, for people. */
struct plan_health {
	unsigned active, window;
	size_t n_jobs;		/* in the plan, in any state */
	int64_t rests_until_ms;	/* 0: it does not rest */
};

/* Of a job that is in the plan. */
struct plan_health plan_health(const struct plan_job *j);

/* The name that plan_add() got; the plan's. */
struct bytes plan_name(const struct plan_job *j);

#endif
