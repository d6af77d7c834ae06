#include <stdio.h>
#include <stdlib.h>

#include "base/logline.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/queue_run_state.h"

/* Destinations whose reason is remembered. */
#define RESTS_MAX 4096U
#define TEXT_MAX 1200		/* octets of a log line's parts */

static void
escape(struct bytes octets, char *out, size_t n)
{
	struct buf b = {(uint8_t *)out, 0, n - 1, false};

	logline_escape(octets, (n - 8) / 4, &b);
	out[b.n] = '\0';
}

/* ---- fates --------------------------------------------------------------- */

bool
queue_is_too_many(const struct smtp_reply *reply)
{
	return (reply->code == 452 || reply->code == 552) &&
	    (reply->enhanced.n == 0 ||
	    bytes_eq(bytes_skip(reply->enhanced, 1), BYTES_LIT(".5.3")));
}

struct queue_fate
queue_fate_of(const struct smtp_reply *reply, const struct outbound *o)
{
	struct queue_fate f = {
	    .code = reply->code,
	    .text = reply->text,
	    .relay = outbound_relay(o),
	    .tls = outbound_tls(o),
	};

	if (reply->enhanced.n != 0 &&
	    reply->enhanced.p[0] == '0' + reply->code / 100)
		snprintf(f.dsn, sizeof(f.dsn), "%.*s",
		    BYTES_FMT(bytes_first(reply->enhanced, 15)));
	else
		snprintf(f.dsn, sizeof(f.dsn), "%d.0.0", reply->code / 100);
	return f;
}

/* As the file has it: one line, "450 4.2.0 Mailbox busy". */
static struct bytes
fate_text(const struct queue_fate *f, uint8_t room[QUEUE_REPLY_SIZE])
{
	struct buf out = {room, 0, QUEUE_REPLY_SIZE, false};

	if (f->code != 0)
		buf_printf(&out, "%d ", f->code);
	buf_printf(&out, "%s ", f->dsn);
	buf_add(&out, bytes_first(f->text, buf_room(&out)));
	for (size_t k = 0; k < out.n; k++)
		if (room[k] == '\n' || room[k] == '\r')
			room[k] = ' ';
	return bytes_trim(buf_bytes(&out));
}

static void
log_fate(const struct queue_run *r, const struct queue_message *m,
    const struct queue_copy *c, const struct queue_rcpt *rcpt,
    const struct queue_fate *f, const char *status, const char *more)
{
	char to[600], orig[620] = "", reply[TEXT_MAX], keys[TEXT_MAX];
	struct buf signed_as = BUF_ON(keys);	/* keys of ours */
	uint8_t room[QUEUE_REPLY_SIZE];
	int64_t ms = loop_time_us(r->hub->loop) / 1000 - m->arrived_s * 1000;

	if (ms < 0)
		ms = 0;
	escape(rcpt->path, to, sizeof(to));
	escape(fate_text(f, room), reply, sizeof(reply));
	buf_add_escaped(&signed_as, c->signed_as, TEXT_MAX / 4 - 8);
	if (!bytes_eq(rcpt->path, rcpt->to)) {
		memcpy(orig, "orig_to=", 8);
		escape(rcpt->to, orig + 8, sizeof(orig) - 16);
		strcat(orig, ", ");
	}
	log_line(LOG_NOTICE_, "%.*s: to=%s, %srelay=%s, delay=%lld.%02lld, "
	    "dsn=%s, status=%s (%s%s) %s%s%s%.*s", BYTES_FMT(m->id), to, orig,
	    f->relay == NULL || *f->relay == '\0' ? "none" : f->relay,
	    (long long)ms / 1000, (long long)ms % 1000 / 10, f->dsn, status,
	    reply, more, f->tls == NULL || *f->tls == '\0' ? "" : "tls=",
	    f->tls == NULL ? "" : f->tls,
	    f->tls == NULL || *f->tls == '\0' ? "" : " ",
	    BYTES_FMT(buf_bytes(&signed_as)));
}

static void
alarm_of(const struct queue_message *m, const struct queue_rcpt *rcpt,
    const char *why)
{
	char to[600], reply[TEXT_MAX];

	escape(rcpt->path, to, sizeof(to));
	escape(rcpt->reply, reply, sizeof(reply));
	log_line(LOG_ERROR_, "%.*s: ALARM: to=%s: failed for good: %s%s; kept "
	    "for the postmaster: hopseal queue show %.*s", BYTES_FMT(m->id),
	    to, why, reply, BYTES_FMT(m->id));
}

/* It will be told, or is kept for people. */
static void
announce(struct queue_entry *e, const struct queue_rcpt *rcpt,
    const char *why)
{
	const struct queue_message *m = &e->file->m;

	if (m->report_to.n != 0) {
		e->has_failed = true;
		return;
	}
	metrics_count(METRIC_DSNS, DSN_HELD, 0);
	alarm_of(m, rcpt, why);
}

/* ---- recipients ---------------------------------------------------------- */

void
queue_forget(struct queue_run *r, const struct queue_message *m,
    const struct queue_rcpt *rcpt)
{
	const struct memory_key key = {
	    .scope = m->listener,
	    .reverse_path = m->mail_from,
	    .rcpt_to = rcpt->path,
	    .content = m->digest,
	};

	if (m->digest.n != 0)
		memory_forget(r->hub->memory, &key);
}

/* In the file's own arena; where that is full the reply is left out. */
static void
keep_reply(struct spool_file *f, struct queue_rcpt *rcpt,
    const struct queue_fate *fate)
{
	uint8_t room[QUEUE_REPLY_SIZE];
	struct bytes text = fate_text(fate, room);

	if (bytes_eq(text, rcpt->reply))
		return;
	rcpt->reply = arena_copy(f->arena, text);
	if (rcpt->reply.p == NULL)
		rcpt->reply.n = 0;
}

static uint64_t
seed_of(struct bytes id)
{
	uint64_t hash = 14695981039346656037U;

	for (size_t k = 0; k < id.n; k++)
		hash = (hash ^ id.p[k]) * 1099511628211U;
	return hash;
}

static void
defer(struct queue_run *r, const struct queue_message *m,
    struct queue_rcpt *rcpt)
{
	rcpt->due_s = loop_time_s(r->hub->loop) +
	    retry_delay(&r->rules, rcpt->tries, seed_of(m->id));
}

static bool
is_delivered(enum queue_status before, const struct queue_fate *f)
{
	return f->code / 100 == 2 || (f->is_end && before == QUEUE_UNSURE &&
	    queue_is_duplicate(f->code, f->text));
}

void
queue_settle(struct queue_run *r, struct queue_entry *e,
    const struct queue_copy *c, struct queue_rcpt *rcpt,
    enum queue_status before, const struct queue_fate *fate)
{
	const struct queue_message *m = &e->file->m;
	int class = fate->code / 100;

	keep_reply(e->file, rcpt, fate);
	if (rcpt->tries < QUEUE_TRIES_MAX)
		rcpt->tries++;
	if (is_delivered(before, fate)) {
		rcpt->status = QUEUE_DELIVERED;
		metrics_count(METRIC_QUEUE_TRIES, TRY_DELIVERED, 0);
		queue_patch(e, rcpt);
		log_fate(r, m, c, rcpt, fate, "sent",
		    class == 2 ? "" : ": an earlier try delivered it");
	} else if (class == 5) {
		rcpt->status = QUEUE_FAILED;
		metrics_count(METRIC_QUEUE_TRIES, TRY_FAILED, 0);
		queue_patch(e, rcpt);
		log_fate(r, m, c, rcpt, fate, "bounced", "");
		announce(e, rcpt, "");
		queue_forget(r, m, rcpt);
	} else {
		rcpt->status = before;
		metrics_count(METRIC_QUEUE_TRIES, TRY_DEFERRED, 0);
		defer(r, m, rcpt);
		queue_patch(e, rcpt);
		log_fate(r, m, c, rcpt, fate, "deferred", "");
	}
}

void
queue_settle_left(struct queue_run *r, struct queue_entry *e,
    struct queue_rcpt *rcpt)
{
	int64_t now_s = loop_time_s(r->hub->loop);

	if (rcpt->due_s <= now_s)
		return;
	rcpt->due_s = now_s;		/* it was tried before its time */
	queue_patch(e, rcpt);
}

void
queue_settle_expired(struct queue_run *r, struct queue_entry *e,
    const struct queue_copy *c, struct queue_rcpt *rcpt)
{
	const struct queue_message *m = &e->file->m;
	const struct queue_fate fate = {
	    .dsn = "4.4.7",
	    .text = rcpt->reply.n != 0 ? rcpt->reply :
	        BYTES_LIT("it was never tried"),
	};
	bool is_unsure = rcpt->status == QUEUE_UNSURE;

	rcpt->status = QUEUE_EXPIRED;
	metrics_count(METRIC_QUEUE_TRIES, TRY_EXPIRED, 0);
	queue_patch(e, rcpt);
	log_fate(r, m, c, rcpt, &fate, "expired", "");
	announce(e, rcpt, is_unsure ? "out of time, but a try without an "
	    "answer may have delivered it: " : "out of time: ");
	queue_forget(r, m, rcpt);
}

void
queue_log_active(const struct queue_message *m)
{
	char from[600];
	size_t n = 0;

	for (size_t k = 0; k < m->n_copies; k++)
		n += m->copies[k].n_rcpts;
	escape(m->mail_from, from, sizeof(from));
	log_line(LOG_NOTICE_, "%.*s: from=%s, size=%llu, nrcpt=%zu (queue "
	    "active)", BYTES_FMT(m->id), from,
	    (unsigned long long)m->n_content, n);
}

/* ---- destinations that rest ---------------------------------------------- */

static struct queue_rest *
find_rest(struct queue_run *r, struct bytes name)
{
	struct queue_rest *k;

	TAILQ_FOREACH(k, &r->rests, entry)
		if (bytes_eq((struct bytes){k->name, k->n_name}, name))
			return k;
	return NULL;
}

static void
drop_rest(struct queue_run *r, struct queue_rest *k)
{
	TAILQ_REMOVE(&r->rests, k, entry);
	r->n_rests--;
	free(k);
}

static struct queue_rest *
new_rest(struct queue_run *r, struct bytes name)
{
	struct queue_rest *k = calloc(1, sizeof(*k) + name.n);

	if (k == NULL)
		return NULL;
	if (r->n_rests == RESTS_MAX)
		drop_rest(r, TAILQ_LAST(&r->rests, queue_rests));
	memcpy(k->name, name.p, name.n);
	k->n_name = name.n;
	TAILQ_INSERT_HEAD(&r->rests, k, entry);
	r->n_rests++;
	return k;
}

void
queue_rest_begins(struct queue_run *r, const struct queue_job *j,
    const char *reason)
{
	struct bytes name = plan_name(&j->plan);
	int64_t until = plan_health(&j->plan).rests_until_ms;
	int64_t now = loop_now_ms(r->hub->loop);
	struct queue_rest *k = find_rest(r, name);
	char text[TEXT_MAX], why[TEXT_MAX];

	if (until <= now || (k != NULL && k->until_ms == until))
		return;
	if (k == NULL)
		k = new_rest(r, name);
	if (k != NULL) {
		k->until_ms = until;
		snprintf(k->reason, sizeof(k->reason), "%s", reason);
	}
	escape(name, text, sizeof(text));
	escape(bytes_of(reason), why, sizeof(why));
	log_line(LOG_NOTICE_, "queue: %s: delivery temporarily suspended for "
	    "%llds: %s; messages that wait for it: %zu", text,
	    (long long)(until - now + 999) / 1000, why,
	    plan_health(&j->plan).n_jobs);
}

void
queue_rest_ends(struct queue_run *r, struct bytes name)
{
	struct queue_rest *k = find_rest(r, name);
	char text[TEXT_MAX];

	if (k == NULL)
		return;
	drop_rest(r, k);
	escape(name, text, sizeof(text));
	log_line(LOG_NOTICE_, "queue: %s: talks to us again", text);
}

void
queue_rests_sweep(struct queue_run *r, bool all)
{
	int64_t now = loop_now_ms(r->hub->loop);
	struct queue_rest *k, *next;

	for (k = TAILQ_FIRST(&r->rests); k != NULL; k = next) {
		next = TAILQ_NEXT(k, entry);
		if (all || now - k->until_ms > r->rules.max_s * 1000)
			drop_rest(r, k);
	}
}

void
queue_log_suspended(struct queue_run *r, const struct queue_message *m,
    const struct queue_job *j)
{
	const struct queue_copy *c = &m->copies[j->copy];
	const struct queue_rest *k = NULL;
	struct queue_fate fate = {.dsn = "4.4.1"};
	struct queue_way way;
	char text[QUEUE_REPLY_SIZE + 40];
	const struct config_listener *l = queue_listener(r, m->listener);

	if (plan_health(&j->plan).rests_until_ms >
	    loop_now_ms(r->hub->loop))
		k = find_rest(r, plan_name(&j->plan));
	if (k == NULL || l == NULL)
		return;
	snprintf(text, sizeof(text), "delivery temporarily suspended: %s",
	    k->reason);
	fate.text = bytes_of(text);
	for (size_t n = 0; n < c->n_rcpts; n++) {
		if (!queue_status_is_open(c->rcpts[n].status))
			continue;
		queue_way_find(l, &c->rcpts[n], &way);
		if (way.hash == j->hash)
			log_fate(r, m, c, &c->rcpts[n], &fate, "deferred",
			    "");
	}
}
