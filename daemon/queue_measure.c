/*
 * What metrics say of the queue: all its messages are looked at, some at a
 * turn, again and again; a look at a million of them takes a minute. And
 * whether the process that removes them is there.
 */
#include "daemon/metrics.h"
#include "daemon/queue_run_state.h"

#define EVERY_MS 5000
#define BUCKETS_A_TURN 1024U
#define TURN_MS 20

/* A message whose every job waits for its time has been tried. */
static bool
is_deferred(const struct queue_entry *e)
{
	for (const struct queue_job *j = e->jobs; j != NULL; j = j->next)
		if (j->plan.state != PLAN_LATER)
			return false;
	return e->jobs != NULL;
}

static void
add(struct queue_measure *m, const struct queue_run *r,
    const struct queue_entry *e)
{
	int64_t age_s = e->age.loaded_age_s + (loop_now_ms(r->hub->loop) -
	    e->age.loaded_ms) / 1000;
	int64_t since_s = loop_time_s(r->hub->loop) - age_s;

	m->n[e->is_held ? QUEUED_HELD : is_deferred(e) ? QUEUED_DEFERRED :
	    QUEUED_WAITING]++;
	m->octets += (int64_t)e->n_octets;
	if (e->is_held)
		return;
	if (m->oldest_s == 0 || since_s < m->oldest_s)
		m->oldest_s = since_s;
}

void
queue_measure(void *run)
{
	struct queue_run *r = run;
	struct queue_measure *m = &r->measure;
	size_t end = m->at + BUCKETS_A_TURN;

	metrics_beat(loop_now_ms(r->hub->loop));
	metrics_ready(true);
	for (; m->at < end && m->at < r->n_buckets; m->at++)
		for (const struct queue_entry *e = r->buckets[m->at];
		    e != NULL; e = e->chained)
			add(m, r, e);
	if (m->at < r->n_buckets) {
		loop_timer_start(r->measurer, TURN_MS);
		return;
	}
	for (unsigned k = 0; k < QUEUED__N; k++)
		metrics_set(METRIC_QUEUE_MESSAGES, k, m->n[k]);
	metrics_set(METRIC_QUEUE_OCTETS, 0, m->octets);
	metrics_set(METRIC_QUEUE_OLDEST, 0, m->oldest_s);
	*m = (struct queue_measure){0};
	if (spool_remover_has_died(r->spool))
		queue_run_rescan(r);
	loop_timer_start(r->measurer, EVERY_MS);
}
