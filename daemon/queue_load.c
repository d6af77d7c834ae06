#include <errno.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/err.h"
#include "daemon/log.h"
#include "daemon/nexthop.h"
#include "daemon/queue_run_state.h"
#include "dkim2/idn.h"
#include "smtp/path.h"

/* ---- the messages that are known ----------------------------------------- */

static uint32_t
hash_of(struct bytes b)
{
	uint32_t hash = 2166136261U;

	for (size_t k = 0; k < b.n; k++)
		hash = (hash ^ b.p[k]) * 16777619U;
	return hash;
}

static struct queue_entry **
bucket_of(const struct queue_run *r, const char *id)
{
	return &r->buckets[hash_of(bytes_of(id)) & (r->n_buckets - 1)];
}

struct queue_entry *
queue_entry_find(const struct queue_run *r, const char *id)
{
	struct queue_entry *e = *bucket_of(r, id);

	while (e != NULL && strcmp(e->id, id) != 0)
		e = e->chained;
	return e;
}

/* Twice as many buckets; where there is no memory chains grow instead. */
static void
grow(struct queue_run *r)
{
	size_t old = r->n_buckets;
	struct queue_entry **more = calloc(2 * old, sizeof(struct queue_entry *)),
	    **before = r->buckets;

	if (more == NULL)
		return;
	r->buckets = more;
	r->n_buckets = 2 * old;
	for (size_t k = 0; k < old; k++) {
		struct queue_entry *e = before[k], *next;

		for (; e != NULL; e = next) {
			struct queue_entry **b = bucket_of(r, e->id);

			next = e->chained;
			e->chained = *b;
			*b = e;
		}
	}
	free(before);
}

static struct queue_entry *
entry_new(struct queue_run *r, const char *id)
{
	size_t n = strlen(id);
	struct queue_entry *e = calloc(1, sizeof(*e) + n + 1), **b;

	if (e == NULL)
		return NULL;
	memcpy(e->id, id, n);
	if (r->n_entries >= r->n_buckets)
		grow(r);
	b = bucket_of(r, id);
	e->chained = *b;
	*b = e;
	r->n_entries++;
	return e;
}

static void
close_file(struct queue_entry *e)
{
	if (e->file == NULL)
		return;
	spool_file_close(e->file);
	free(e->file);
	e->file = NULL;
}

static void
entry_free(struct queue_run *r, struct queue_entry *e)
{
	struct queue_entry **at = bucket_of(r, e->id);

	while (*at != e)
		at = &(*at)->chained;
	*at = e->chained;
	r->n_entries--;
	close_file(e);
	queue_marks_drop(e);
	free(e);
}

void
queue_job_drop(struct queue_run *r, struct queue_job *j)
{
	struct queue_job **at = &j->entry->jobs;

	if (j->plan.state != PLAN_NOWHERE)
		plan_remove(r->plan, &j->plan);
	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	free(j);
}

void
queue_entry_stop(struct queue_run *r, struct queue_entry *e)
{
	struct queue_job *j, *next;

	for (j = e->jobs; j != NULL; j = next) {
		next = j->next;
		if (j->plan.state != PLAN_ACTIVE)
			queue_job_drop(r, j);
	}
}

void
queue_entries_free(struct queue_run *r)
{
	for (size_t k = 0; k < r->n_buckets; k++) {
		while (r->buckets[k] != NULL) {
			struct queue_entry *e = r->buckets[k];

			queue_entry_stop(r, e);
			entry_free(r, e);
		}
	}
	free(r->buckets);
}

struct spool_file *
queue_entry_open(struct queue_run *r, struct queue_entry *e, int *error)
{
	if (e->file != NULL)
		return e->file;
	e->file = calloc(1, sizeof(*e->file));
	*error = -E_NOMEM;
	if (e->file != NULL)
		*error = spool_file_open(e->file, r->spool, e->id, true);
	if (*error != 0) {
		int saved = errno;

		free(e->file);
		e->file = NULL;
		errno = saved;
	} else {
		queue_marks_put(e, e->file);
	}
	return e->file;
}

static bool
is_all_over(const struct queue_message *m)
{
	for (size_t c = 0; c < m->n_copies; c++)
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++)
			if (!queue_status_is_over(m->copies[c].rcpts[k].status))
				return false;
	return true;
}

/* Its file is closed: whoever has it open last gives back its octets. */
static void
remove_message(struct queue_run *r, const char *id)
{
	int error = spool_remove_delivered(r->spool, id);

	if (error < 0)
		log_line(LOG_ERROR_, "%s: was delivered, and can not be "
		    "removed: %m", id);
	else
		log_line(LOG_NOTICE_, "%s: removed", id);
	if (error == 1)
		queue_run_rescan(r);
}

void
queue_entry_look(struct queue_run *r, struct queue_entry *e)
{
	bool is_over = e->n_active == 0 && e->jobs == NULL && !e->is_partial &&
	    e->report == NULL;

	if (is_over && e->file != NULL && is_all_over(&e->file->m)) {
		close_file(e);
		remove_message(r, e->id);
		e->is_removed = e->is_removed || e->marks != NULL;
		if (!e->is_removed)
			entry_free(r, e);
		return;
	}
	if (e->has_news)
		spool_sync_marks(r->spool, e->id);
	e->has_news = false;
	if (e->n_active != 0)
		return;
	close_file(e);
	if (e->has_failed && !e->is_held)
		queue_report_want(r, e);
	if (is_over && e->marks == NULL && e->report == NULL && !e->is_held &&
	    !e->is_removed)
		entry_free(r, e);
}

/* ---- where recipients go ------------------------------------------------- */

const struct config_listener *
queue_listener(const struct queue_run *r, struct bytes name)
{
	const struct config *c = r->hub->config;

	for (size_t k = 0; k < c->n_listeners; k++)
		if (bytes_eq(bytes_of(c->listeners[k].name), name))
			return &c->listeners[k];
	return NULL;
}

static void
add_lower(struct buf *out, struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		buf_add_octet(out, ascii_lower(b.p[k]));
}

/* What differs has another name, as nexthop_is_same() has it. */
static void
name_way(const struct config_listener *l, struct queue_way *w)
{
	static const char *const scheme[] = {[SCHEME_SMTP] = "smtp",
	    [SCHEME_SMTPS] = "smtps", [SCHEME_LMTP] = "lmtp",
	    [SCHEME_MX] = "mx"};
	const struct config_next_hop *h = w->hop;
	uint8_t room[NEXTHOP_HOST_MAX];
	struct buf ascii = BUF_ON(room);

	w->name = BUF_ON(w->octets);
	buf_printf(&w->name, "%s %s:", l->name, scheme[h->scheme]);
	if (h->scheme != SCHEME_MX)
		add_lower(&w->name, h->host);
	else if (idn_to_ascii(w->domain, &ascii))
		buf_add(&w->name, buf_bytes(&ascii));
	else
		add_lower(&w->name, w->domain);
	buf_printf(&w->name, ":%u", h->port);
	if (h->scheme != SCHEME_MX)	/* a server may have several lines */
		buf_printf(&w->name, " tls=%d", (int)h->tls);
	w->hash = hash_of(buf_bytes(&w->name));
}

void
queue_way_find(const struct config_listener *l,
    const struct queue_rcpt *rcpt, struct queue_way *w)
{
	struct smtp_path path;
	struct bytes rest;

	w->domain = (struct bytes){NULL, 0};
	if (smtp_path_parse(rcpt->path, SMTP_PATH_IS_RCPT | SMTP_PATH_MAY_UTF8,
	        &path, &rest) == SMTP_PATH_OK)
		w->domain = path.domain;
	w->hop = nexthop_route(l, w->domain);
	name_way(l, w);
}

/* ---- planning ------------------------------------------------------------ */

bool
queue_job_plan(struct queue_run *r, struct queue_job *j, struct bytes name,
    int64_t due_ms)
{
	int64_t end = retry_expires_ms(&r->rules, &j->entry->age);

	if (plan_add(r->plan, &j->plan, name, due_ms < end ? due_ms : end) == 0)
		return true;
	log_line(LOG_ERROR_, "%s: no memory to plan its delivery; it is read "
	    "again later", j->entry->id);
	j->entry->is_partial = true;
	queue_job_drop(r, j);
	queue_run_rescan(r);
	return false;
}

/*
 * The job that a recipient belongs to. Those of one copy stand together, the
 * newest first; where older ones are behind them all have to be looked at.
 */
static struct queue_job *
find_job(const struct queue_entry *e, uint32_t copy,
    const struct queue_way *w, bool is_merge)
{
	for (struct queue_job *j = e->jobs; j != NULL; j = j->next) {
		if (j->copy != copy && !is_merge)
			return NULL;
		if (j->copy == copy && j->hash == w->hash &&
		    bytes_eq(plan_name(&j->plan), buf_bytes(&w->name)))
			return j;
	}
	return NULL;
}

static int64_t
due_of(const struct queue_run *r, const struct queue_rcpt *rcpt,
    enum queue_load how)
{
	int64_t now = loop_now_ms(r->hub->loop);

	if (how >= QUEUE_LOAD_NOW)
		return now;
	return now + retry_wait_ms(&r->rules, rcpt->due_s,
	    loop_time_s(r->hub->loop));
}

static struct queue_job *
new_job(struct queue_run *r, struct queue_entry *e, uint32_t copy,
    const struct queue_way *w, int64_t due_ms)
{
	struct queue_job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		e->is_partial = true;
		queue_run_rescan(r);
		return NULL;
	}
	j->entry = e;
	j->copy = copy;
	j->hash = w->hash;
	j->next = e->jobs;
	e->jobs = j;
	return queue_job_plan(r, j, buf_bytes(&w->name), due_ms) ? j : NULL;
}

static void
plan_rcpt(struct queue_run *r, struct queue_entry *e,
    const struct queue_message *m, uint32_t copy,
    const struct queue_rcpt *rcpt, const struct queue_way *w,
    enum queue_load how, bool is_merge)
{
	struct queue_job *j = find_job(e, copy, w, is_merge);
	int64_t due = due_of(r, rcpt, how);

	if (j == NULL) {
		j = new_job(r, e, copy, w, due);
		if (j == NULL)
			return;
		if (how == QUEUE_LOAD_NEW)
			queue_log_suspended(r, m, j);
	} else if (j->plan.state == PLAN_LATER && due < j->plan.later.due_ms) {
		plan_remove(r->plan, &j->plan);
		if (!queue_job_plan(r, j, buf_bytes(&w->name), due))
			return;
	}
	if (how >= QUEUE_LOAD_NOW && j->plan.state != PLAN_ACTIVE)
		plan_hurry(r->plan, &j->plan);
}

static void
plan_message(struct queue_run *r, struct queue_entry *e,
    const struct queue_message *m, const struct config_listener *l,
    enum queue_load how)
{
	bool is_merge = e->jobs != NULL;
	struct queue_way w;

	e->is_partial = false;
	for (size_t c = 0; c < m->n_copies; c++) {
		const struct queue_copy *copy = &m->copies[c];

		for (size_t k = 0; k < copy->n_rcpts; k++) {
			if (!queue_status_is_open(copy->rcpts[k].status))
				continue;
			queue_way_find(l, &copy->rcpts[k], &w);
			plan_rcpt(r, e, m, (uint32_t)c, &copy->rcpts[k], &w,
			    how, is_merge);
		}
	}
}

/* Nobody knows where it goes. */
static void
hold_stray(struct spool_file *f)
{
	struct queue_patch p;

	log_line(LOG_ERROR_, "%.*s: held: its listener \"%.*s\" is not "
	    "configured any more; configure it and hopseal queue release "
	    "%.*s", BYTES_FMT(f->m.id), BYTES_FMT(f->m.listener),
	    BYTES_FMT(f->m.id));
	f->m.is_held = true;
	queue_file_patch_hold(&f->m, &p);
	if (spool_file_patch(f, &p) != 0)
		log_line(LOG_ERROR_, "%.*s: that it is held can not be "
		    "written: %m", BYTES_FMT(f->m.id));
}

static bool
has_open(const struct queue_message *m)
{
	for (size_t c = 0; c < m->n_copies; c++)
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++)
			if (queue_status_is_open(
			        m->copies[c].rcpts[k].status))
				return true;
	return false;
}

static void
set_age(struct queue_run *r, struct queue_entry *e,
    const struct queue_message *m)
{
	int64_t since = m->signed_s < m->arrived_s ? m->signed_s
						   : m->arrived_s;

	e->age = retry_age_of(m->again_s != 0 ? m->again_s : since,
	    loop_time_s(r->hub->loop), loop_now_ms(r->hub->loop));
}

/* Where it can not be written, until we end. */
static void
begin_anew(struct queue_run *r, struct queue_entry *e, struct spool_file *f)
{
	struct queue_patch p;

	f->m.again_s = loop_time_s(r->hub->loop);
	queue_file_patch_again(&f->m, &p);
	if (spool_file_patch(f, &p) != 0)
		log_line(LOG_ERROR_, "%s: that its time begins anew can not "
		    "be written: %m", e->id);
	set_age(r, e, &f->m);
}

/* Nothing of it is tried; it is there to be counted. */
static int
keep_held(struct queue_run *r, const char *id, const struct queue_message *m)
{
	struct queue_entry *e = queue_entry_find(r, id);

	if (e == NULL) {
		e = entry_new(r, id);
		if (e == NULL) {
			queue_run_rescan(r);
			return -E_NOMEM;
		}
		set_age(r, e, m);
	}
	e->is_held = true;
	e->is_partial = false;
	e->n_octets = m->n_content;
	return 0;
}

int
queue_load_file(struct queue_run *r, const char *id, struct spool_file *f,
    enum queue_load how)
{
	const struct config_listener *l = queue_listener(r, f->m.listener);
	struct queue_entry *e = queue_entry_find(r, id);
	bool is_known = e != NULL;

	if (how == QUEUE_LOAD_SCAN && f->m.about.n != 0)
		queue_report_found(r, &f->m);
	if (f->m.is_held)
		return keep_held(r, id, &f->m);
	if (!has_open(&f->m) && !queue_report_is_due(&f->m)) {
		if (!is_known && is_all_over(&f->m))
			remove_message(r, id);
		return 0;
	}
	if (l == NULL) {
		hold_stray(f);
		return keep_held(r, id, &f->m);
	}
	if (!is_known)
		e = entry_new(r, id);
	if (e == NULL) {
		queue_run_rescan(r);
		return -E_NOMEM;
	}
	if (!is_known)
		set_age(r, e, &f->m);
	e->n_octets = f->m.n_content;
	if (queue_report_is_due(&f->m))
		queue_report_want(r, e);
	if (!has_open(&f->m))
		return 0;
	if (how == QUEUE_LOAD_ANEW || (how == QUEUE_LOAD_NOW &&
	    retry_is_expired(&r->rules, &e->age, loop_now_ms(r->hub->loop))))
		begin_anew(r, e, f);
	plan_message(r, e, &f->m, l, how);
	queue_run_soon(r);
	return 0;
}

int
queue_load(struct queue_run *r, const char *id, enum queue_load how)
{
	struct queue_entry *e = queue_entry_find(r, id);
	struct spool_file f;
	int error;

	if (e != NULL && !e->is_partial)
		return 0;
	if (e != NULL && e->file != NULL)
		return queue_load_file(r, id, e->file, how);
	error = spool_file_open(&f, r->spool, id, false);
	if (error == -E_NOMEM || error == -E_SYSTEM) {
		log_line(LOG_ERROR_, "%s: can not be read now: %s%s%s", id,
		    err_text(error), error == -E_SYSTEM ? ": " : "",
		    error == -E_SYSTEM ? strerrordesc_np(errno) : "");
		queue_run_rescan(r);
	}
	if (error != 0)
		return error;
	if (e != NULL)
		queue_marks_put(e, &f);
	error = queue_load_file(r, id, &f, how);
	spool_file_close(&f);
	return error;
}
