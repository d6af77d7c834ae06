/*
 * What the queue's reports go through: who stands in one is written down, it
 * is made (queue_report_make.c) and made safe, and then who stood in it is
 * told. Killed anywhere, the next process goes on from what is written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/queue_run_state.h"
#include "dsn/parse.h"

#define REPORTS_AT_ONCE 8U
#define LATER_S 60		/* or sooner, where mail is tried sooner */

/* ---- whether ------------------------------------------------------------- */

/* Whether a list of words with commas has one of them. */
static bool
has_word(struct bytes list, struct bytes word)
{
	while (list.n != 0)
		if (bytes_case_eq(bytes_cut(&list, ','), word))
			return true;
	return false;
}

/* Without NOTIFY failures are told (RFC 3461 4.1). */
bool
queue_report_is_for(const struct queue_message *m,
    const struct queue_rcpt *rcpt)
{
	return m->report_to.n != 0 && (rcpt->notify.n == 0 ||
	    has_word(rcpt->notify, BYTES_LIT("FAILURE")));
}

bool
queue_report_is_due(const struct queue_message *m)
{
	if (m->report_to.n == 0)
		return false;
	for (size_t c = 0; c < m->n_copies; c++)
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++)
			if (queue_status_is_failed(
			        m->copies[c].rcpts[k].status))
				return true;
	return false;
}

/* ---- who stands in it ---------------------------------------------------- */


/*
 * The name of the report about those that are being told: of the message and
 * the first of them, which no other report of it has.
 *
 * Returns  false where there is none
 */
static bool
name_report(const struct queue_message *m, char id[QUEUE_ID_MAX + 1])
{
	unsigned long long hash = 14695981039346656037U;
	size_t at = 0;

	for (size_t c = 0; c < m->n_copies; c++)
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++, at++)
			if (queue_status_is_telling(m->copies[c].rcpts[k].status))
				goto found;
	return false;
found:
	if (m->id.n <= QUEUE_ID_MAX - sizeof("r10000")) {
		snprintf(id, QUEUE_ID_MAX + 1, "%.*sr%zu", BYTES_FMT(m->id),
		    at);
		return true;
	}
	for (size_t k = 0; k < m->id.n; k++)	/* of another program */
		hash = (hash ^ m->id.p[k]) * 1099511628211U;
	snprintf(id, QUEUE_ID_MAX + 1, "r%016llxr%zu", hash, at);
	return true;
}

/* Nobody wants to know of it. */
static void
leave_out(struct queue_entry *e, struct queue_rcpt *rcpt)
{
	log_line(LOG_NOTICE_, "%s: a failure is not reported: the sender said "
	    "NOTIFY=%.*s", e->id, BYTES_FMT(rcpt->notify));
	rcpt->status = QUEUE_TOLD;
	queue_patch(e, rcpt);
}

static bool
has_telling(const struct queue_message *m)
{
	char id[QUEUE_ID_MAX + 1];

	return name_report(m, id);
}

/* Those that failed, and stand in no report yet; nobody else joins them. */
static void
choose(struct queue_entry *e)
{
	struct queue_message *m = &e->file->m;
	unsigned n = 0;

	for (size_t c = 0; c < m->n_copies; c++) {
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++) {
			struct queue_rcpt *rcpt = &m->copies[c].rcpts[k];

			if (!queue_status_is_failed(rcpt->status))
				continue;
			if (!queue_report_is_for(m, rcpt)) {
				leave_out(e, rcpt);
				continue;
			}
			if (n++ == DSN_RECIPIENTS_MAX) {
				e->has_failed = true;	/* the next has them */
				return;
			}
			rcpt->status = rcpt->status == QUEUE_FAILED
			    ? QUEUE_TELLING_FAILED : QUEUE_TELLING_EXPIRED;
			queue_patch(e, rcpt);
		}
	}
}

/* The report is safe. */
static void
mark_told(struct queue_entry *e)
{
	struct queue_message *m = &e->file->m;

	for (size_t c = 0; c < m->n_copies; c++) {
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++) {
			struct queue_rcpt *rcpt = &m->copies[c].rcpts[k];

			if (!queue_status_is_telling(rcpt->status))
				continue;
			rcpt->status = QUEUE_TOLD;
			queue_patch(e, rcpt);
			e->has_news = true;
		}
	}
}

/* ---- its way ------------------------------------------------------------- */

void
queue_reports_soon(struct queue_run *r)
{
	if (!r->is_leaving && !TAILQ_EMPTY(&r->reports))
		loop_timer_start(r->reporter, 0);
}

/* What it has while it is made. */
static void
let_go(struct queue_report *q)
{
	if (q->state != REPORT_DUE)
		q->run->n_reporting--;
	q->state = REPORT_DUE;
	if (q->has_tag)
		slots_leave(&q->run->hub->slots, q->tag);
	q->has_tag = false;
	q->sign = NULL;
	q->dkim1 = NULL;
	arena_free(&q->arena);
}

static void
drop(struct queue_report *q)
{
	let_go(q);
	TAILQ_REMOVE(&q->run->reports, q, entry);
	q->about->report = NULL;
	free(q);
}

/* It is over: the entry is looked at, and what failed since is next. */
static void
end(struct queue_report *q)
{
	struct queue_run *r = q->run;
	struct queue_entry *e = q->about;

	drop(q);
	queue_entry_look(r, e);
	queue_reports_soon(r);
}

void
queue_report_want(struct queue_run *r, struct queue_entry *e)
{
	struct queue_report *q;

	if (e->report != NULL)
		return;
	q = calloc(1, sizeof(*q));
	if (q == NULL) {
		log_line(LOG_ERROR_, "%s: no memory to report its failure; it "
		    "is read again later", e->id);
		e->is_partial = true;
		queue_run_rescan(r);
		return;
	}
	e->has_failed = false;
	e->report = q;
	q->run = r;
	q->about = e;
	TAILQ_INSERT_TAIL(&r->reports, q, entry);
	queue_reports_soon(r);
}

void
queue_report_later(struct queue_report *q, const char *why)
{
	struct queue_run *r = q->run;
	struct queue_entry *e = q->about;

	log_line(LOG_ERROR_, "%s: its failure can not be reported now: %s",
	    e->id, why);
	let_go(q);
	q->due_ms = loop_now_ms(r->hub->loop) + 1000 *
	    (r->rules.first_s < LATER_S ? r->rules.first_s : LATER_S);
	TAILQ_REMOVE(&r->reports, q, entry);
	TAILQ_INSERT_TAIL(&r->reports, q, entry);
	queue_entry_look(r, e);
	queue_reports_soon(r);
}

void
queue_report_give_up(struct queue_report *q, const char *why)
{
	q->about->has_failed = false;	/* the word is for all */
	metrics_count(METRIC_DSNS, DSN_HELD, 0);
	log_line(LOG_ERROR_, "%s: ALARM: its failure can not be reported: %s; "
	    "kept for the postmaster: hopseal queue show %s", q->about->id,
	    why, q->about->id);
	end(q);
}

/* It is in the spool: whoever stands in it is told, and it leaves. */
static void
finish(struct queue_report *q)
{
	struct queue_run *r = q->run;
	char id[QUEUE_ID_MAX + 1];
	int error = 0;

	memcpy(id, q->id, sizeof(id));
	if (queue_entry_open(r, q->about, &error) != NULL) {
		mark_told(q->about);
		metrics_count(METRIC_DSNS, DSN_MADE, 0);
		log_line(LOG_NOTICE_, "%s: sender non-delivery "
		    "notification: %s", q->about->id, id);
	} else if (error == -E_NOMEM || error == -E_SYSTEM) {
		/* it stays, and is found then */
		queue_report_later(q, "its file can not be read");
		return;
	}
	end(q);
	queue_run_add(r, id);
}

static bool
is_there(struct queue_run *r, const char *id)
{
	struct spool_file f;
	bool is = spool_was_removed(r->spool, id);

	if (!is && spool_file_open(&f, r->spool, id, false) == 0) {
		is = true;
		spool_file_close(&f);
	}
	return is;
}

/*
 * Who stands in it is known for good once it is on the disk; it was there
 * before where a process before us has made the report.
 */
static void
begin(struct queue_report *q)
{
	struct queue_run *r = q->run;
	struct queue_entry *e = q->about;
	int error = 0;

	if (e->is_held || queue_entry_open(r, e, &error) == NULL) {
		if (error == -E_NOMEM || error == -E_SYSTEM)
			queue_report_later(q, "its file can not be read");
		else
			end(q);
		return;
	}
	q->state = REPORT_SIGNING;
	r->n_reporting++;
	if (!has_telling(&e->file->m))
		choose(e);
	else
		e->has_failed = true;	/* others may have, since */
	if (e->marks != NULL || fdatasync(e->file->fd) != 0)
		queue_report_later(q, "its file can not be written");
	else if (!name_report(&e->file->m, q->id))
		end(q);
	else if (is_there(r, q->id))
		finish(q);
	else
		queue_report_make(q);
}

void
queue_report_turn(void *run)
{
	struct queue_run *r = run;
	int64_t now = loop_now_ms(r->hub->loop), next = INT64_MAX;
	struct queue_report *q, *behind;
	unsigned n = 0;

	for (q = TAILQ_FIRST(&r->reports); q != NULL; q = behind) {
		behind = TAILQ_NEXT(q, entry);
		if (q->state != REPORT_DUE)
			continue;
		if (r->n_reporting == REPORTS_AT_ONCE)
			return;		/* one that ends says so */
		if (q->due_ms > now) {
			next = q->due_ms < next ? q->due_ms : next;
			continue;
		}
		if (++n > REPORTS_AT_ONCE) {
			next = now;
			break;
		}
		begin(q);
	}
	if (next != INT64_MAX && !r->is_leaving)
		loop_timer_start(r->reporter, next > now ? next - now : 0);
}

/* ---- making it safe ------------------------------------------------------ */

void
queue_report_commit(struct queue_report *q)
{
	struct queue_run *r = q->run;
	struct spool_commit c = {.result = -E_SYSTEM};

	q->state = REPORT_COMMITTING;
	if (r->commit != NULL) {
		if (!r->commit(r->commit_arg, q->id))
			queue_report_later(q, "too much is being committed");
		return;
	}
	memcpy(c.id, q->id, sizeof(c.id));
	spool_commit(r->spool, &c, 1);
	queue_run_committed(r, c.id, c.result);
}

void
queue_run_committed(struct queue_run *r, const char *id, int result)
{
	struct queue_report *q;

	TAILQ_FOREACH(q, &r->reports, entry)
		if (q->state == REPORT_COMMITTING && strcmp(q->id, id) == 0)
			break;
	if (q == NULL)
		return;
	if (result != 0)
		queue_report_later(q, "it could not be committed");
	else
		finish(q);
}

void
queue_report_found(struct queue_run *r, const struct queue_message *m)
{
	char about[QUEUE_ID_MAX + 1], id[QUEUE_ID_MAX + 1];
	struct queue_entry *e, *own = NULL;
	struct spool_file f;

	snprintf(about, sizeof(about), "%.*s", BYTES_FMT(m->about));
	e = queue_entry_find(r, about);
	if (e == NULL || e->file == NULL) {
		if (spool_file_open(&f, r->spool, about, false) != 0)
			return;
		own = calloc(1, sizeof(*own) + sizeof(about));
		if (own == NULL) {
			spool_file_close(&f);
			return;
		}
		memcpy(own->id, about, sizeof(about));
		own->file = &f;
	}
	if (own != NULL)
		e = own;
	if (name_report(&e->file->m, id) &&
	    bytes_eq(bytes_of(id), m->id)) {
		mark_told(e);
		log_line(LOG_NOTICE_, "%s: sender non-delivery notification: %s",
		    about, id);
	}
	if (own == NULL)
		return;
	queue_marks_drop(own);
	spool_file_close(&f);
	free(own);
}

void
queue_reports_free(struct queue_run *r)
{
	while (!TAILQ_EMPTY(&r->reports))
		drop(TAILQ_FIRST(&r->reports));
}
