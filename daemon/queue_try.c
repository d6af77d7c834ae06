#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/nexthop.h"
#include "daemon/queue_run_state.h"

/* When a try that came to nothing through our own fault is made again. */
#define AGAIN_MS (30 * 1000)

/* ---- ending -------------------------------------------------------------- */

/* The rest comes with the next turn: an outbound may be calling us. */
static void
end(struct queue_try *t, enum plan_end how)
{
	t->end = how;
	outbound_free(&t->outbound);
	TAILQ_REMOVE(&t->run->active, t, entry);
	TAILQ_INSERT_TAIL(&t->run->ended, t, entry);
	queue_run_soon(t->run);
}

static void
keep_reason(struct queue_try *t, struct bytes why)
{
	struct buf b = {(uint8_t *)t->reason, 0, sizeof(t->reason) - 1, false};

	buf_add(&b, bytes_first(why, buf_room(&b)));
	t->reason[b.n] = '\0';
}

/* A job whose try has ended, or could not begin, has something left. */
static void
plan_again(struct queue_run *r, struct queue_job *j, struct bytes name,
    int64_t due_ms)
{
	if (j->entry->is_held)
		queue_job_drop(r, j);
	else
		(void)queue_job_plan(r, j, name, due_ms);
}

static bool
is_of_job(const struct queue_try *t, const struct queue_rcpt *rcpt)
{
	struct queue_way w;

	if (!queue_status_is_open(rcpt->status))
		return false;
	queue_way_find(t->listener, rcpt, &w);
	return w.hash == t->job->hash && bytes_eq(buf_bytes(&w.name),
	    (struct bytes){t->name, t->n_name});
}

/*
 * The earliest time of the recipients of a job that are still open.
 *
 * Returns  false where there is none
 */
static bool
find_due(const struct queue_try *t, int64_t *due_ms)
{
	const struct queue_run *r = t->run;
	const struct queue_copy *c = t->copy;
	bool is_open = false;

	for (size_t k = 0; k < c->n_rcpts; k++) {
		int64_t due;

		if (!is_of_job(t, &c->rcpts[k]))
			continue;
		due = loop_now_ms(r->hub->loop) + retry_wait_ms(&r->rules,
		    c->rcpts[k].due_s, loop_time_s(r->hub->loop));
		if (!is_open || due < *due_ms)
			*due_ms = due;
		is_open = true;
	}
	return is_open;
}

void
queue_try_over(struct queue_try *t)
{
	struct queue_run *r = t->run;
	struct queue_job *j = t->job;
	struct queue_entry *e = j->entry;
	struct bytes name = {t->name, t->n_name};
	int64_t now = loop_now_ms(r->hub->loop), due = now;

	plan_done(r->plan, &j->plan, t->end, now);
	e->n_active--;
	if (t->end == PLAN_GOOD && r->n_rests != 0)
		queue_rest_ends(r, name);
	if (!find_due(t, &due)) {
		queue_job_drop(r, j);
	} else {
		if (due > now)
			j->n_each = 0;
		else if (j->n_each != 0 && !t->is_whole)
			j->n_each = QUEUE_TRY_RCPTS;	/* it says so of all */
		if (t->end == PLAN_NO_MATTER) {
			j->from = t->from;
			due = due < now + AGAIN_MS ? now + AGAIN_MS : due;
		}
		plan_again(r, j, name, due);
		if (t->end == PLAN_BAD && !e->is_held && !e->is_partial)
			queue_rest_begins(r, j, t->reason);
	}
	queue_entry_look(r, e);
	TAILQ_REMOVE(&r->ended, t, entry);
	free(t);
}

/* ---- results ------------------------------------------------------------- */

static void
settle(struct queue_try *t, struct queue_asked *a, enum queue_status before,
    const struct queue_fate *fate)
{
	a->is_settled = true;
	queue_settle(t->run, t->job->entry, t->copy, a->rcpt, before, fate);
}

static void
settle_rest(struct queue_try *t, const struct queue_fate *fate)
{
	for (size_t k = 0; k < t->n_asked; k++)
		if (!t->asked[k].is_settled)
			settle(t, &t->asked[k], t->asked[k].before, fate);
}

/*
 * The content was answered: whom the next hop had no room for beside the others
 * is asked for in the next transaction, at once.
 *
 * That ends: whoever was accepted in this one is settled by it, so that he is
 * over or due later (retry_delay() is a second at least), and while ->n_each
 * is set only those that are due are asked for. So each of these transactions
 * leaves fewer that are due. One that did not come to its end, as where the
 * next hop hung up or said 421, leaves nobody for the next: they wait as all
 * others of it do.
 */
static void
leave_rest(struct queue_try *t)
{
	size_t n = 0;

	t->is_whole = true;
	for (size_t k = 0; k < t->n_asked; k++) {
		struct queue_asked *a = &t->asked[k];

		if (!a->is_left)
			continue;
		a->is_settled = true;
		queue_settle_left(t->run, t->job->entry, a->rcpt);
		n++;
	}
	if (n == 0)
		return;
	t->job->n_each = (uint32_t)t->n_accepted;
	log_line(LOG_NOTICE_, "%s: %s took %zu recipients in a transaction; "
	    "left for the next: %zu", t->job->entry->id,
	    outbound_relay(t->outbound), t->n_accepted, n);
}

/* Nothing came of it: as if it had not been. */
static void
undo(struct queue_try *t)
{
	for (size_t k = 0; k < t->n_asked; k++) {
		struct queue_asked *a = &t->asked[k];

		if (a->is_settled || a->rcpt->status == a->before)
			continue;
		a->rcpt->status = a->before;
		queue_patch(t->job->entry, a->rcpt);
	}
}

/*
 * Should we die before the answer is written, then "duplicate" means
 * delivered (attacks.md Q5).
 */
static void
mark_unsure(struct queue_try *t)
{
	for (size_t k = 0; k < t->n_asked; k++) {
		struct queue_asked *a = &t->asked[k];

		if (!a->is_accepted || a->rcpt->status == QUEUE_UNSURE)
			continue;
		a->rcpt->status = QUEUE_UNSURE;
		queue_patch(t->job->entry, a->rcpt);
	}
}

static void
send_message(struct queue_try *t)
{
	const struct spool_file *f = t->job->entry->file;
	const struct bytes pieces[] = {spool_file_added(f, t->copy),
	    spool_file_content(f)};

	mark_unsure(t);
	outbound_send(t->outbound, pieces, 2);
}

static void
on_rcpt(struct queue_try *t)
{
	const struct outbound_result *result = outbound_result(t->outbound);
	struct queue_asked *a = &t->asked[result->rcpt];
	struct queue_fate fate = queue_fate_of(&result->reply, t->outbound);

	t->n_heard++;
	if (fate.code / 100 == 2) {
		a->is_accepted = true;
		t->n_accepted++;
	} else if (t->n_accepted != 0 && queue_is_too_many(&result->reply)) {
		a->is_left = true;
	} else {
		settle(t, a, a->before, &fate);
	}
	if (t->n_heard < t->n_asked)
		return;
	if (t->n_accepted != 0) {
		send_message(t);
	} else {
		t->is_whole = true;
		end(t, PLAN_GOOD);
	}
}

static void
on_refused(struct queue_try *t)
{
	const struct outbound_result *result = outbound_result(t->outbound);
	struct queue_fate fate = queue_fate_of(&result->reply, t->outbound);
	bool is_good = result->has_talked || fate.code / 100 == 5;

	keep_reason(t, fate.text);
	if (t->n_heard == t->n_asked && fate.code != 421)
		leave_rest(t);		/* it was DATA */
	settle_rest(t, &fate);
	end(t, is_good ? PLAN_GOOD : PLAN_BAD);
}

static void
on_ended(struct queue_try *t)
{
	const struct smtp_reply *last = &outbound_result(t->outbound)->reply;

	if (last->code != 421)
		leave_rest(t);
	for (size_t k = 0; k < t->n_asked; k++) {
		struct queue_asked *a = &t->asked[k];
		struct smtp_reply reply;
		struct queue_fate fate;

		if (a->is_settled)
			continue;
		reply = a->is_left ? *last : outbound_rcpt_reply(t->outbound,
		    k);
		fate = queue_fate_of(&reply, t->outbound);
		fate.is_end = true;
		settle(t, a, a->before, &fate);
	}
	end(t, PLAN_GOOD);
}

/* By LMTP some may have been answered before the connection was lost. */
static void
settle_lost(struct queue_try *t, struct queue_asked *a, size_t k,
    const struct queue_fate *lost)
{
	bool is_unsure = a->is_accepted &&
	    outbound_result(t->outbound)->is_ambiguous;
	struct smtp_reply reply = {0};
	struct queue_fate fate;

	if (is_unsure && t->is_lmtp)
		reply = outbound_rcpt_reply(t->outbound, k);
	fate = queue_fate_of(&reply, t->outbound);
	fate.is_end = true;
	if (reply.code != 0)
		settle(t, a, a->before, &fate);
	else
		settle(t, a, is_unsure ? QUEUE_UNSURE : a->before, lost);
}

static void
on_lost(struct queue_try *t)
{
	const struct outbound_result *result = outbound_result(t->outbound);
	const struct queue_fate lost = {
	    .dsn = "4.4.1",
	    .text = bytes_of(result->fault),
	    .relay = outbound_relay(t->outbound),
	    .tls = outbound_tls(t->outbound),
	};
	struct queue_fate fate = lost;

	if (result->is_crowded) {
		undo(t);
		end(t, PLAN_NO_MATTER);
		return;
	}
	if (result->has_talked)
		snprintf(fate.dsn, sizeof(fate.dsn), "4.4.2");
	keep_reason(t, fate.text);
	for (size_t k = 0; k < t->n_asked; k++)
		if (!t->asked[k].is_settled)
			settle_lost(t, &t->asked[k], k, &fate);
	end(t, result->has_talked ? PLAN_GOOD : PLAN_BAD);
}

static void
on_outbound(void *arg, enum outbound_event what)
{
	struct queue_try *t = arg;

	switch (what) {
	case OUTBOUND_RCPT:
		on_rcpt(t);
		break;
	case OUTBOUND_REFUSED:
		on_refused(t);
		break;
	case OUTBOUND_ENDED:
		on_ended(t);
		break;
	case OUTBOUND_LOST:
		on_lost(t);
		break;
	}
}

void
queue_try_leave(struct queue_try *t)
{
	if (outbound_is_committed(t->outbound))
		return;
	undo(t);
	end(t, PLAN_NO_MATTER);
}

/* ---- beginning ----------------------------------------------------------- */

static bool
is_to_be_asked(const struct queue_try *t, const struct queue_rcpt *rcpt)
{
	const struct queue_run *r = t->run;

	return (t->job->n_each == 0 || retry_wait_ms(&r->rules, rcpt->due_s,
	    loop_time_s(r->hub->loop)) == 0) && is_of_job(t, rcpt);
}

static void
gather_from(struct queue_try *t, size_t k)
{
	struct queue_copy *c = t->copy;
	size_t most = t->job->n_each != 0 ? t->job->n_each : QUEUE_TRY_RCPTS;

	for (; k < c->n_rcpts && t->n_asked < most; k++)
		if (is_to_be_asked(t, &c->rcpts[k]))
			t->asked[t->n_asked++] = (struct queue_asked){
			    .rcpt = &c->rcpts[k],
			    .before = c->rcpts[k].status};
	t->job->from = (uint32_t)k;
}

/*
 * Those of the job that are open, from where the last try left off. Where
 * there are more than one try can ask for, the next one follows at once.
 */
static void
gather(struct queue_try *t)
{
	t->from = t->job->from;
	gather_from(t, t->from);
	if (t->n_asked == 0)
		gather_from(t, 0);
}

static bool
ask_all(struct queue_try *t)
{
	const struct queue_message *m = &t->job->entry->file->m;
	const struct outbound_mail mail = {
	    .mail_from = t->copy->mail_from,
	    .size = t->copy->added.n + m->n_content,
	    .is_8bit = m->is_8bit,
	    .is_utf8 = m->is_utf8,
	    .ret = m->ret,
	    .envid = m->envid,
	};

	outbound_owner(t->outbound, on_outbound, t);
	outbound_begin(t->outbound, &mail);
	for (size_t k = 0; k < t->n_asked; k++) {
		const struct queue_rcpt *q = t->asked[k].rcpt;

		if (!outbound_rcpt(t->outbound,
		        &(struct outbound_rcpt){q->path, q->notify, q->orcpt}))
			return false;
	}
	return true;
}

static bool
connect_to(struct queue_try *t)
{
	struct queue_way w;
	struct outbound_destination to = {0};

	queue_way_find(t->listener, t->asked[0].rcpt, &w);
	to.hop = w.hop;
	to.domain = w.domain;
	t->is_lmtp = w.hop->scheme == SCHEME_LMTP;
	t->outbound = outbound_new(t->run->hub, t->listener, &to);
	return t->outbound != NULL;
}

static struct queue_try *
new_try(struct queue_run *r, struct queue_job *j)
{
	struct queue_try *t = calloc(1, sizeof(*t));
	struct bytes name = plan_name(&j->plan);

	if (t == NULL)
		return NULL;
	t->run = r;
	t->job = j;
	memcpy(t->name, name.p, name.n);
	t->n_name = name.n;
	TAILQ_INSERT_TAIL(&r->active, t, entry);
	return t;
}

/* Its file is gone, or was set aside. */
static void
forget_job(struct queue_run *r, struct queue_job *j)
{
	struct queue_entry *e = j->entry;

	plan_done(r->plan, &j->plan, PLAN_NO_MATTER,
	    loop_now_ms(r->hub->loop));
	e->n_active--;
	queue_job_drop(r, j);
	queue_entry_stop(r, e);
	queue_marks_drop(e);
	e->is_partial = false;
	queue_entry_look(r, e);
}

/* Not for want of trying: of memory, or of a file that can be read. */
static void
try_later(struct queue_run *r, struct queue_job *j)
{
	struct queue_entry *e = j->entry;
	uint8_t octets[PLAN_NAME_MAX];
	struct buf name = BUF_ON(octets);
	int64_t now = loop_now_ms(r->hub->loop);

	buf_add(&name, plan_name(&j->plan));
	plan_done(r->plan, &j->plan, PLAN_NO_MATTER, now);
	e->n_active--;
	plan_again(r, j, buf_bytes(&name), now + AGAIN_MS);
	queue_entry_look(r, e);
}

static bool
is_late(const struct queue_run *r, const struct queue_entry *e)
{
	return retry_is_expired(&r->rules, &e->age, loop_now_ms(r->hub->loop));
}

static void
expire(struct queue_try *t)
{
	for (size_t k = 0; k < t->copy->n_rcpts; k++)
		if (is_of_job(t, &t->copy->rcpts[k]))
			queue_settle_expired(t->run, t->job->entry, t->copy,
			    &t->copy->rcpts[k]);
}

static void
set_out(struct queue_try *t)
{
	t->copy = &t->job->entry->file->m.copies[t->job->copy];
	t->listener = queue_listener(t->run, t->job->entry->file->m.listener);
	assert(t->listener != NULL);
}

static void
begin(struct queue_try *t)
{
	struct queue_entry *e = t->job->entry;

	set_out(t);
	if (is_late(t->run, e))
		expire(t);
	gather(t);
	if (t->n_asked == 0) {
		end(t, PLAN_NO_MATTER);
		return;
	}
	if (!connect_to(t) || !ask_all(t)) {
		log_line(LOG_ERROR_, "%s: no memory for a try", e->id);
		end(t, PLAN_NO_MATTER);
	}
}

void
queue_try_begin(struct queue_run *r, struct queue_job *j)
{
	struct queue_entry *e = j->entry;
	bool is_open = e->file != NULL;
	struct queue_try *t;
	int error = 0;

	e->n_active++;
	if (queue_entry_open(r, e, &error) == NULL) {
		bool may_pass = error == -E_NOMEM || error == -E_SYSTEM;

		log_line(LOG_ERROR_, "%s: can not be read%s: %s%s%s", e->id,
		    may_pass ? " now" : "", err_text(error),
		    error == -E_SYSTEM ? ": " : "",
		    error == -E_SYSTEM ? strerrordesc_np(errno) : "");
		if (may_pass)
			try_later(r, j);
		else
			forget_job(r, j);
		return;
	}
	if (!is_open)
		queue_log_active(&e->file->m);
	t = new_try(r, j);
	if (t == NULL) {
		log_line(LOG_ERROR_, "%s: no memory for a try", e->id);
		try_later(r, j);
		return;
	}
	begin(t);
}

/* ---- others -------------------------------------------------------------- */

bool
queue_job_expire(struct queue_run *r, struct queue_job *j)
{
	struct queue_entry *e = j->entry;
	struct queue_try *t;
	int error = 0;

	if (queue_entry_open(r, e, &error) == NULL)
		return false;		/* its turn comes, or the sweep */
	t = new_try(r, j);
	if (t == NULL)
		return false;
	set_out(t);
	expire(t);
	TAILQ_REMOVE(&r->active, t, entry);
	free(t);
	queue_job_drop(r, j);
	return true;
}

void
queue_tries_free(struct queue_run *r)
{
	struct queue_try *t, *next;

	for (t = TAILQ_FIRST(&r->active); t != NULL; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (!outbound_is_committed(t->outbound))
			undo(t);
		end(t, PLAN_NO_MATTER);
	}
	while ((t = TAILQ_FIRST(&r->ended)) != NULL)
		queue_try_over(t);
}
