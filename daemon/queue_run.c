#include <stdlib.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/queue_run_state.h"

#define BUCKETS 1024U		/* at first; a power of 2 */
#define PLAN_OCTETS (256U << 20)	/* destinations of the plan, at most */
#define START_WINDOW 5U
#define REST_MIN_S 60

/* What one turn of the loop does at most, so that others have theirs. */
#define SCANS_A_TURN 64U
#define TRIES_A_TURN 32U

/* When a spool that could not be read in full is read again. */
#define RESCAN_MS (60 * 1000)

/*
 * The sweep looks at each message once in so many steps. It finds what has
 * had its time and waits for a destination that rests; whatever else is late
 * finds that out itself.
 */
#define SWEEP_MS (10 * 1000)
#define SWEEP_STEPS 30U
#define EXPIRED_A_STEP 64U

/* ---- trying -------------------------------------------------------------- */

void
queue_run_soon(struct queue_run *r)
{
	loop_timer_start(r->turn, 0);
}

static bool
is_idle(const struct queue_run *r)
{
	return TAILQ_EMPTY(&r->active) && TAILQ_EMPTY(&r->ended);
}

/* Sets the timer to when there is something to do again. */
static void
wait_for_next(struct queue_run *r)
{
	int64_t wake = plan_wake(r->plan), now = loop_now_ms(r->hub->loop);

	if (!TAILQ_EMPTY(&r->ended))
		queue_run_soon(r);
	else if (wake != INT64_MAX)
		loop_timer_start(r->turn, wake > now ? wake - now : 0);
}

static void
turn(void *arg)
{
	struct queue_run *r = arg;
	struct queue_try *t;

	while ((t = TAILQ_FIRST(&r->ended)) != NULL)
		queue_try_over(t);
	if (r->is_leaving) {
		if (is_idle(r) && !r->has_left) {
			r->has_left = true;
			r->idle(r->arg);
		}
		return;
	}
	for (unsigned k = 0; k < TRIES_A_TURN; k++) {
		/* the first member */
		struct queue_job *j = (struct queue_job *)plan_next(r->plan,
		    loop_now_ms(r->hub->loop));

		if (j == NULL)
			break;
		queue_try_begin(r, j);
	}
	wait_for_next(r);
}

/* ---- reading the spool --------------------------------------------------- */

void
queue_run_rescan(struct queue_run *r)
{
	r->is_rescan_due = true;
	if (r->scan == NULL && !r->is_leaving)
		loop_timer_start(r->scanner, RESCAN_MS);
}

static void
scan_over(struct queue_run *r)
{
	spool_scan_free(&r->scan);
	if (r->is_rescan_due)
		queue_run_rescan(r);
}

static void
scan(void *arg)
{
	struct queue_run *r = arg;
	char id[QUEUE_ID_MAX + 1];

	if (r->scan == NULL) {
		r->is_rescan_due = false;
		if (spool_scan_new(&r->scan, r->spool) != 0) {
			log_line(LOG_ERROR_, "queue: the spool can not be "
			    "read now: %m");
			queue_run_rescan(r);
			return;
		}
	}
	for (unsigned k = 0; k < SCANS_A_TURN; k++) {
		if (!spool_scan_next(r->scan, id)) {
			scan_over(r);
			return;
		}
		(void)queue_load(r, id, QUEUE_LOAD_SCAN);
	}
	loop_timer_start(r->scanner, 0);
}

/* ---- what had its time --------------------------------------------------- */

/* What could not be written of a message that nobody has open. */
static void
write_marks(struct queue_run *r, struct queue_entry *e)
{
	int error = 0;

	if ((e->marks == NULL && !e->is_removed) || e->file != NULL)
		return;
	(void)queue_entry_open(r, e, &error);
	if (error != 0 && error != -E_NOMEM && error != -E_SYSTEM) {
		queue_marks_drop(e);	/* there is no such message */
		e->is_removed = false;
	}
	queue_entry_look(r, e);
}

/* The next process knows nothing else. */
static void
write_all_marks(struct queue_run *r)
{
	struct queue_entry *e, *next;

	for (size_t at = 0; at < r->n_buckets; at++) {
		for (e = r->buckets[at]; e != NULL; e = next) {
			next = e->chained;
			write_marks(r, e);
		}
	}
}

/* Returns whether there may be more in this bucket. */
static bool
expire_entry(struct queue_run *r, struct queue_entry *e, unsigned *left)
{
	struct queue_job *j, *next;

	for (j = e->jobs; j != NULL && *left != 0; j = next) {
		next = j->next;
		if (j->plan.state == PLAN_ACTIVE)
			continue;
		if (!queue_job_expire(r, j))
			break;
		--*left;
	}
	queue_entry_look(r, e);
	return *left == 0;
}

/* False: this step has done enough. */
static bool
sweep_bucket(struct queue_run *r, size_t at, unsigned *left)
{
	int64_t now = loop_now_ms(r->hub->loop);
	struct queue_entry *e = r->buckets[at], *next;

	for (; e != NULL; e = next) {
		next = e->chained;
		bool has_jobs = e->jobs != NULL;

		if (e->n_active == 0)
			write_marks(r, e);	/* without jobs it may be gone */
		if (has_jobs && retry_is_expired(&r->rules, &e->age, now) &&
		    expire_entry(r, e, left))
			return false;
	}
	return true;
}

static void
sweep(void *arg)
{
	struct queue_run *r = arg;
	size_t n = r->n_buckets / SWEEP_STEPS + 1;
	unsigned left = EXPIRED_A_STEP;

	queue_rests_sweep(r, false);
	for (; n != 0; n--) {
		if (r->swept >= r->n_buckets)
			r->swept = 0;
		if (!sweep_bucket(r, r->swept, &left))
			break;
		r->swept++;
	}
	loop_timer_start(r->sweeper, n == 0 ? SWEEP_MS : 0);
}

/* ---- what others do for us ------------------------------------------------ */

void
queue_run_commit_by(struct queue_run *r, queue_run_commit *commit, void *arg)
{
	r->commit = commit;
	r->commit_arg = arg;
}

/* ---- from outside -------------------------------------------------------- */

/* To one destination: what the listener that bears least says; the pool
 * keeps others to what they say. */
static unsigned
max_window(const struct config *c)
{
	unsigned least = c->queue_connections;

	for (size_t k = 0; k < c->n_listeners; k++)
		if (c->listeners[k].delivery == DELIVERY_QUEUE &&
		    c->listeners[k].max_per_destination < least)
			least = c->listeners[k].max_per_destination;
	return least;
}

static bool
make_plan(struct queue_run *r)
{
	const struct config *c = r->hub->config;
	unsigned window = max_window(c);
	int64_t rest_s = c->queue_retry_s < REST_MIN_S ? c->queue_retry_s
						       : REST_MIN_S;
	const struct plan_rules rules = {
	    .max_active = c->queue_connections,
	    .start_window = window < START_WINDOW ? window : START_WINDOW,
	    .max_window = window,
	    .rest_min_ms = rest_s * 1000,
	    .rest_max_ms = (c->queue_retry_max_s > rest_s
	        ? c->queue_retry_max_s : rest_s) * 1000,
	};

	r->arena = arena_new(PLAN_OCTETS);
	if (r->arena != NULL)
		r->plan = plan_new(&rules, r->arena);
	return r->plan != NULL;
}

struct queue_run *
queue_run_new(struct hub *h, struct spool *s, loop_call *idle, void *arg)
{
	struct queue_run *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->hub = h;
	r->spool = s;
	r->idle = idle;
	r->arg = arg;
	r->rules = (struct retry_rules){h->config->queue_retry_s,
	    h->config->queue_retry_max_s, h->config->queue_expire_s};
	TAILQ_INIT(&r->active);
	TAILQ_INIT(&r->ended);
	TAILQ_INIT(&r->rests);
	TAILQ_INIT(&r->reports);
	r->turn = loop_timer_new(h->loop, turn, r);
	r->scanner = loop_timer_new(h->loop, scan, r);
	r->sweeper = loop_timer_new(h->loop, sweep, r);
	r->reporter = loop_timer_new(h->loop, queue_report_turn, r);
	r->measurer = loop_timer_new(h->loop, queue_measure, r);
	r->buckets = calloc(BUCKETS, sizeof(struct queue_entry *));
	r->n_buckets = r->buckets == NULL ? 0 : BUCKETS;
	if (!make_plan(r) || r->turn == NULL || r->scanner == NULL ||
	    r->sweeper == NULL || r->reporter == NULL || r->measurer == NULL || r->buckets == NULL)
		queue_run_free(&r);
	return r;
}

void
queue_run_free(struct queue_run **rp)
{
	struct queue_run *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	if (r->plan != NULL && r->turn != NULL)
		queue_tries_free(r);
	queue_reports_free(r);
	queue_entries_free(r);
	queue_rests_sweep(r, true);
	spool_scan_free(&r->scan);
	plan_free(&r->plan);
	arena_free(&r->arena);
	loop_timer_free(&r->turn);
	loop_timer_free(&r->scanner);
	loop_timer_free(&r->sweeper);
	loop_timer_free(&r->reporter);
	loop_timer_free(&r->measurer);
	free(r);
}

void
queue_run_start(struct queue_run *r)
{
	loop_timer_start(r->scanner, 0);
	loop_timer_start(r->sweeper, SWEEP_MS);
	loop_timer_start(r->measurer, 0);
}

void
queue_run_add(struct queue_run *r, const char *id)
{
	(void)queue_load(r, id, QUEUE_LOAD_NEW);
}

void
queue_run_leave(struct queue_run *r)
{
	struct queue_try *t, *next;

	r->is_leaving = true;
	write_all_marks(r);
	loop_timer_stop(r->scanner);
	loop_timer_stop(r->sweeper);
	loop_timer_stop(r->reporter);
	loop_timer_stop(r->measurer);
	for (t = TAILQ_FIRST(&r->active); t != NULL; t = next) {
		next = TAILQ_NEXT(t, entry);
		queue_try_leave(t);
	}
	pool_drain(r->hub->pool);
	queue_run_soon(r);
}
