#include "daemon/relay_state.h"

#include <stdlib.h>

#include <sodium.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

/* A chain may have changed the largest message we take that many times. */
#define UNDONE_BODIES 4
/* More than a recipient of the queue takes, with a copy and its signatures. */
#define QUEUED_COPY (16U << 10)
/* More than a DKIM1 signature with each of 8 keys takes. */
#define DKIM1_COPY (48U << 10)

/* ---- beginning and end ---- */

static void
make_id(struct relay *r)
{
	static const char alphabet[] = "0123456789bcdfghjklmnpqrstvwxyz";
	uint64_t v = (uint64_t)loop_time_us(r->hub->loop) << 12 ^
	    randombytes_random();

	for (size_t k = 0; k < 12; k++) {
		r->id[k] = alphabet[v % (sizeof(alphabet) - 1)];
		v /= sizeof(alphabet) - 1;
	}
}

static void
destroy(void *arg)
{
	struct relay *r = arg;
	struct hub *h = r->hub;

	loop_timer_free(&r->timer);
	dkim2_verify_fini(r->verify);
	dsn_check_fini(r->check);
	sender_free(&r->sender);
	content_fini(&r->content);
	arena_free(&r->arena);
	free(r);
	h->n_relays--;
	h->calls.relay_gone(h);
}

/* Octets that a message may take beside its content. */
static size_t
room_for(const struct config *c, const struct config_listener *l)
{
	size_t room = (16U << 20) + 4 * (size_t)l->max_header;

	/* what comes back may go on, whole, in a report of ours */
	if (l->role == ROLE_FORWARD || l->returns != NULL)
		room += 2 * (size_t)c->dsn_return_max;

	/* each may have another header, with its table of fields */
	if (l->from_rewrite != FROM_REWRITE_NEVER)
		room += (size_t)l->max_copies * 2 * (size_t)l->max_header;
	/* each recipient may have a copy of its own */
	if (l->delivery == DELIVERY_QUEUE)
		room += (size_t)l->max_recipients * QUEUED_COPY;
	if (l->is_dkim1 || l->returns != NULL)
		room += DKIM1_COPY * (size_t)(l->delivery == DELIVERY_QUEUE
		    ? l->max_recipients : l->max_copies);
	return room;
}

static void too_late(void *arg);

struct relay *
relay_new(struct hub *h, const struct config_listener *l, struct inbound *s,
    struct outbound *o)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->hub = h;
	r->listener = l;
	h->n_relays++;
	r->session = s;
	r->rcpts_end = &r->rcpts;
	r->asked_end = &r->asked;
	r->copies_end = &r->copies;
	r->begun_ms = loop_now_ms(h->loop);
	content_init(&r->content, h->env->spool_fd);
	make_id(r);
	r->arena = arena_new(room_for(h->config, l));
	r->timer = loop_timer_new(h->loop, too_late, r);
	if (r->arena == NULL || r->timer == NULL ||
	    !slots_take(&h->slots, r, &r->tag)) {
		destroy(r);
		return NULL;
	}
	r->spare = o;
	return r;
}

static void
close_all(struct relay *r)
{
	for (struct onward *o = r->asked; o != NULL; o = o->next)
		onward_close(o);
	for (struct onward *o = r->copies; o != NULL; o = o->next)
		onward_close(o);
}

/* The relay is over: what still comes for it finds nobody. */
static void
leave(struct relay *r)
{
	if (r->state == RELAY_OVER)
		return;
	relay_arrival_end(r);
	r->state = RELAY_OVER;
	slots_leave(&r->hub->slots, r->tag);
	close_all(r);
	outbound_free(&r->spare);
	loop_defer(r->hub->loop, &r->deferred, destroy, r);
}

/*
 * The session goes on without this transaction, and gets its connection.
 *
 * watching as inbound_release() has it
 */
static struct inbound *
part(struct relay *r, struct relay *watching)
{
	struct inbound *s = r->session;

	loop_timer_stop(r->timer);	/* it was for who waits */
	if (r->n_under_way == 0)
		close_all(r);
	r->session = NULL;
	inbound_release(s, r->spare, watching);
	r->spare = NULL;
	return s;
}

/*
 * The last answer was given. Of mail without a name of its own, what is
 * remembered is for a client that did not see it: one that goes on has seen
 * it, and may say the same thing again.
 */
static struct inbound *
part_and_watch(struct relay *r, bool is_delivered)
{
	struct inbound *s;

	if (!r->is_short || !is_delivered || !relay_remembers(r)) {
		s = part(r, NULL);
		leave(r);
		return s;
	}
	r->state = RELAY_ANSWERED;
	slots_leave(&r->hub->slots, r->tag);
	s = part(r, r);
	content_fini(&r->content);	/* a device may stay for minutes */
	return s;
}

void
relay_went_on(struct relay *r)
{
	for (; r != NULL; r = r->earlier) {
		relay_memory_forget(r);
		leave(r);
	}
}

void
relay_left(struct relay *r)
{
	for (; r != NULL; r = r->earlier)
		leave(r);
}

void
relay_watch_too(struct relay *r, struct relay *earlier)
{
	r->earlier = earlier;
}

/* ---- answers ---- */

void
relay_settle(struct relay *r, struct relay_rcpt *rcpt,
    const struct relay_answer *a)
{
	rcpt->state = RCPT_SETTLED;
	rcpt->answer = *a;
	relay_memory_settle(r, rcpt);
	relay_log_fate(r, rcpt);
}

void
relay_refuse(struct relay *r, const struct relay_answer *a)
{
	relay_log_reject(r, "DATA", a, r->rcpts->to.raw);
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->state != RCPT_SETTLED && k->twin == NULL)
			relay_settle(r, k, a);
	relay_conclude(r);
}

/* Who goes with another has his answer. */
static void
settle_twins(struct relay *r)
{
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next) {
		if (k->twin == NULL || k->state == RCPT_SETTLED ||
		    k->twin->state != RCPT_SETTLED)
			continue;
		k->state = RCPT_SETTLED;
		k->answer = k->twin->answer;
		k->is_discarded = k->twin->is_discarded;
		relay_log_fate(r, k);
	}
}

/*
 * One answer for all recipients.
 *
 * Returns  whether they differed; what is to be told is in out
 */
static bool
mix(const struct relay *r, struct relay_answer *out)
{
	struct relay_answer first = relay_answer_said(r->rcpts,
	    &r->rcpts->answer);
	bool is_mixed = false;

	for (const struct relay_rcpt *k = r->rcpts; k != NULL && !is_mixed;
	    k = relay_next_said(k)) {
		struct relay_answer its = relay_answer_said(k, &k->answer);
		const struct relay_answer *two[] = {&first, &its};

		is_mixed = relay_answers_mix(two, 2, out);
	}
	return is_mixed;
}

/* What the client is told: with our id, where it was taken. */
static struct bytes
told(struct relay *r, const struct relay_answer *a)
{
	struct buf out;

	if (a->code / 100 != 2 ||
	    arena_buf(r->arena, a->text.n + 32, &out) != 0)
		return a->text;
	buf_add(&out, a->text);
	buf_printf(&out, " (id %s)", r->id);
	return buf_bytes(&out);
}

/*
 * LMTP: each RCPT has an answer of its own (RFC 2033 4.2).
 *
 * late     that of who has none by now
 * n        how many there are; 0 without memory
 */
static struct verdict *
answer_each(struct relay *r, const struct relay_answer *late, size_t *n)
{
	struct relay_answer *a = arena_array(r->arena, r->n_said, sizeof(*a));
	struct verdict *v = arena_array(r->arena, r->n_said, sizeof(*v));

	*n = 0;
	if (a == NULL || v == NULL)
		return NULL;
	for (const struct relay_rcpt *k = r->rcpts; k != NULL;
	    k = relay_next_said(k), a++) {
		*a = relay_answer_said(k, late);
		v[(*n)++] = (struct verdict){a->code, a->enhanced,
		    told(r, a)};
	}
	return v;
}

static void
conclude_each(struct relay *r)
{
	size_t n;
	struct verdict *v = answer_each(r, &r->rcpts->answer, &n);
	bool is_delivered = false;
	struct inbound *s;

	for (size_t k = 0; k < n; k++)
		is_delivered = is_delivered || v[k].code / 100 == 2;
	s = part_and_watch(r, is_delivered);
	inbound_answer_each(s, v, n);
}

void
relay_conclude(struct relay *r)
{
	struct relay_answer a;
	struct inbound *s;
	bool is_mixed;

	settle_twins(r);
	relay_arrival_end(r);
	if (r->session == NULL) {
		leave(r);
		return;
	}
	is_mixed = mix(r, &a);
	relay_count(r, a.code);
	if (inbound_client(r->session)->is_lmtp) {
		conclude_each(r);
		return;
	}
	if (is_mixed)
		relay_memory_mixed(r);
	else if (r->n_said == 1)
		for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
			relay_memory_answered(r, k);
	s = part_and_watch(r, a.code / 100 == 2);
	inbound_answer(s, a.code, a.enhanced, told(r, &a));
}

/* ---- MAIL and DATA ---- */

int
relay_keep(struct relay *r, struct bytes *b)
{
	*b = arena_copy(r->arena, *b);
	return b->p == NULL ? -E_NOMEM : 0;
}

int
relay_keep_path(struct relay *r, struct smtp_path *path)
{
	const uint8_t *was = path->raw.p;

	if (relay_keep(r, &path->raw) != 0)
		return -E_NOMEM;
	if (path->local.n != 0)
		path->local.p = path->raw.p + (path->local.p - was);
	if (path->domain.n != 0)
		path->domain.p = path->raw.p + (path->domain.p - was);
	return 0;
}

/* Keeps what MAIL said. */
static int
take_down(struct relay *r, const struct smtp_server_mail *mail)
{
	r->mail = *mail;
	r->is_8bit = mail->is_8bit;
	if (relay_keep_path(r, &r->mail.from) != 0 ||
	    relay_keep(r, &r->mail.ret) != 0 ||
	    relay_keep(r, &r->mail.envid) != 0 ||
	    relay_keep(r, &r->mail.auth) != 0)
		return -E_NOMEM;
	return 0;
}

static void
refuse_mail(struct relay *r, int code, const char *enhanced, const char *text)
{
	struct relay_answer a = relay_answer_say(code, enhanced, text);
	struct inbound *s;

	relay_log_reject(r, "MAIL", &a, BYTES_LIT("<>"));
	s = part(r, NULL);
	leave(r);
	inbound_answer(s, code, enhanced, bytes_of(text));
}

void
relay_mail(struct relay *r, const struct smtp_server_mail *mail)
{
	if (take_down(r, mail) != 0) {
		refuse_mail(r, 452, "4.3.1", "Out of memory");
		return;
	}
	if (!relay_take_orders(r)) {
		refuse_mail(r, 451, "4.3.2", "Paused by the operator, try "
		    "again later");
		return;
	}
	/* where it may be mail that came in, its content will say so */
	if (config_role_originates(r->listener->role) && !mail->from.is_null &&
	    !decide_may_return(r->listener) &&
	    !decide_is_sender(r->listener, &r->hub->inventory->domains,
	        mail->from.domain)) {
		refuse_mail(r, 550, "5.7.1",
		    "This client may not send from that domain");
		return;
	}
	r->is_queued = relay_queue_is_for(r);
	if (r->is_queued && !relay_queue_has_room(r, mail->size +
	    onward_growth(r->hub, r->listener))) {
		refuse_mail(r, 452, "4.3.1", "No room in the queue now");
		return;
	}
	inbound_answer(r->session, 250, "2.1.0", BYTES_LIT("Ok"));
}

/* Whether a recipient may still get the message, or has it already. */
static bool
is_wanted(const struct relay *r)
{
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->twin == NULL &&
		    (k->state == RCPT_ACCEPTED || k->is_known))
			return true;
	return false;
}

void
relay_data(struct relay *r)
{
	if (!is_wanted(r)) {	/* the next hop is lost meanwhile */
		const struct relay_answer *a = relay_answer_lost(r);

		inbound_answer(r->session, a->code, a->enhanced, a->text);
		return;
	}
	relay_log_client(r);
	r->state = RELAY_RECEIVING;
	inbound_answer(r->session, 354, NULL,
	    BYTES_LIT("End data with <CR><LF>.<CR><LF>"));
}

/* ---- the content ---- */

static void
set_fault(struct relay *r, int code, const char *enhanced, const char *text)
{
	if (r->fault.code == 0)
		r->fault = relay_answer_say(code, enhanced, text);
}

/* A failure of ours while the message was read. */
static void
fail(struct relay *r, int error)
{
	if (error == -E_NOMEM)
		set_fault(r, 452, "4.3.1", "The message needs more memory "
		    "than one message may have");
	else if (error == -E_SYSTEM)
		set_fault(r, 452, "4.3.1", "No room for the message now");
	else
		set_fault(r, 451, "4.3.0", "The message could not be checked");
	if (error == -E_SYSTEM)
		metrics_count(METRIC_OUTAGES, BEHIND_DISK, 0);
	if (error == -E_SYSTEM)
		log_line(LOG_ERROR_, "%s: storing the body failed: %m", r->id);
}

static void
ask_keys(struct relay *r)
{
	const struct bytes *names;
	size_t n = dkim2_verify_wants(r->verify, &names);

	if (r->verify_as == VERIFY_OFF)
		return;
	for (size_t k = 0; k < n; k++)
		resolve_ask_txt(r->hub->resolve, names[k], r->tag | k);
}

static bool
lacks(const struct relay *r, const char *name)
{
	const struct dkim2_field *first;

	return dkim2_message_find(&r->message, bytes_of(name), &first) == 0;
}

/* The envelope as the client gave it: what signatures are held against. */
static int
set_arrived(struct relay *r)
{
	struct bytes *to = arena_array(r->arena, r->n_said, sizeof(*to));
	size_t n = 0;

	if (to == NULL)
		return -E_NOMEM;
	for (struct relay_rcpt *k = r->rcpts; k != NULL;
	    k = relay_next_said(k))
		to[n++] = k->to.raw;
	r->arrived = (struct dkim2_envelope){r->mail.from.raw, to, n};
	return 0;
}

void
relay_limits(const struct relay *r, struct dkim2_limits *limits)
{
	dkim2_limits_default(limits);
	if (limits->max_undo < UNDONE_BODIES * r->listener->max_message)
		limits->max_undo = UNDONE_BODIES * r->listener->max_message;
}

static int
begin_to_verify(struct relay *r)
{
	struct dkim2_limits limits;
	struct dkim2_verify_options opts = {
	    .now_s = loop_time_s(r->hub->loop),
	    .envelope = &r->arrived,
	    .limits = &limits,
	    .hashes = 1U << DKIM2_SHA256,
	    .keyring = r->hub->keyring,
	};
	int error = set_arrived(r);

	relay_arrival_scope(r, &opts);
	relay_limits(r, &limits);
	if (error == 0)
		error = dkim2_verify_new(&r->verify, r->arena, &opts);
	if (error == 0)
		error = dkim2_verify_header(r->verify, &r->message);
	return error;
}

static void go_on(struct relay *r);

static void
on_sender(void *arg)
{
	struct relay *r = arg;

	if (r->state == RELAY_VERIFYING)
		go_on(r);
}

/* Where mail comes in, what DKIM1 says is looked at beside DKIM2; and what it
 * still says of mail that came back, where From goes by it. */
static void
look_at_sender(struct relay *r)
{
	const struct config_listener *l = r->listener;
	const struct sender_start start = {
	    .hub = r->hub,
	    .tag = r->tag,
	    .message = &r->message,
	    .wants_policy = l->from_rewrite == FROM_REWRITE_DMARC,
	    .done = on_sender,
	    .arg = r,
	};

	if (config_role_annotates(l->role) ? r->verify_as != VERIFY_OFF ||
	    (r->is_bypassed && start.wants_policy) : start.wants_policy &&
	    !r->is_bypassed && decide_may_return(l))
		r->sender = sender_new(&start);
}

/* The header block is complete: look at it while the body still comes. */
static void
on_header(struct relay *r)
{
	enum loopcheck_finding loop;
	int error = dkim2_message_parse(&r->message,
	    content_block(&r->content), r->listener->max_fields, r->arena);

	if (error == -E_SYNTAX) {
		set_fault(r, 550, "5.6.0", "The message header has a line "
		    "that is no header field");
		return;
	}
	if (error == -E_LIMIT) {
		set_fault(r, 550, "5.6.0",
		    "The message has too many header fields");
		return;
	}
	loop = error == 0 ? relay_loop(r, NULL) : LOOPCHECK_NONE;
	if (loop != LOOPCHECK_NONE) {
		set_fault(r, 554, "5.4.6", loopcheck_text(loop));
		return;
	}
	if (error == 0)
		error = begin_to_verify(r);
	if (error != 0) {
		fail(r, error);
		return;
	}
	r->is_short = lacks(r, "message-id") && lacks(r, "date");
	ask_keys(r);
	look_at_sender(r);
}

void
relay_content(struct relay *r, struct bytes octets)
{
	int error;

	if (r->fault.code != 0)
		return;		/* told at the dot */
	if (!r->content.has_header) {
		error = content_add_header(&r->content, &octets,
		    (size_t)r->listener->max_header);
		if (error == -E_LIMIT)
			set_fault(r, 552, "5.3.4",
			    "The message header is too long");
		else if (error != 0)
			fail(r, error);
		else if (r->content.has_header)
			on_header(r);
	}
	if (r->fault.code != 0 || octets.n == 0)
		return;
	error = content_add_body(&r->content, octets);
	if (error == 0)
		error = dkim2_verify_body(r->verify, octets);
	sender_body(r->sender, octets);
	if (error != 0)
		fail(r, error);
}

/* The message is all there, and the keys are, or are not asked for. */
static void
go_on(struct relay *r)
{

	if (r->fault.code != 0) {
		relay_refuse(r, &r->fault);
		return;
	}
	if (!sender_is_done(r->sender))
		return;		/* on_sender() comes */
	if (r->verify_as != VERIFY_OFF &&
	    dkim2_verify_step(r->verify) != DKIM2_DONE)
		return;
	if (!relay_back(r) && !relay_bounce(r) && !relay_arrival_find(r))
		relay_decide(r, relay_result(r));
}

void
relay_end(struct relay *r, bool has_8bit, bool has_bare_lf)
{
	bool had_header = r->content.has_header;
	int error;

	r->is_8bit = has_8bit;
	r->ended_ms = loop_now_ms(r->hub->loop);
	loop_timer_start(r->timer, r->listener->through_wait_s * 1000LL);
	if (r->fault.code == 0) {
		error = content_end(&r->content);
		if (error != 0)
			fail(r, error);
	}
	if (r->fault.code == 0 && !had_header)
		on_header(r);
	if (r->fault.code == 0) {
		error = dkim2_verify_end(r->verify, content_body(&r->content));
		if (error != 0)
			fail(r, error);
	}
	if (r->fault.code == 0)
		relay_log_message(r);
	if (r->fault.code == 0)
		relay_repair_look(r, has_bare_lf);
	/* DKIM1 must never be why the client's time is up */
	sender_end(r->sender, r->listener->through_wait_s * 1000LL / 4);
	r->state = RELAY_VERIFYING;
	go_on(r);
}

void
relay_key(struct relay *r, size_t k, const struct resolve_txt *txt)
{
	int error;

	if (r->verify == NULL || r->fault.code != 0)
		return;
	if (k >= RELAY_BACK_PART) {
		relay_back_key(r, k - RELAY_BACK_PART, txt);
		return;
	}
	if (k >= SENDER_PART) {
		sender_answer(r->sender, (unsigned)k, txt);
		return;		/* on_sender() has gone on */
	}
	error = dkim2_verify_answer(r->verify, k, txt->found, txt->records,
	    txt->n);
	if (error != 0)
		fail(r, error);
	if (r->state == RELAY_VERIFYING)
		go_on(r);
}

/* ---- the client does not wait any longer ---- */

/* Whether an answer of the next hop is to be waited for in any case. */
static bool
is_due(const struct relay *r, const struct onward *o)
{
	return !r->is_queued && onward_is_committed(o);
}

/*
 * What went out with its final dot is still awaited; all else is dropped.
 *
 * Returns  whether there is something to wait for
 */
static bool
drop(struct relay *r, const struct relay_answer *a)
{
	r->n_under_way = 0;
	r->next_copy = NULL;
	for (struct onward *o = r->copies; o != NULL; o = o->next) {
		if (is_due(r, o))
			r->n_under_way++;
		else
			onward_close(o);
	}
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->twin == NULL && k->state != RCPT_SETTLED &&
		    (k->onward == NULL || !is_due(r, k->onward)))
			relay_settle(r, k, a);
	settle_twins(r);
	return r->n_under_way != 0;
}

/* The last copy's end is not told yet, but will be in this turn. */
static bool
is_just_settled(const struct relay *r)
{
	for (const struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->twin == NULL && k->state != RCPT_SETTLED)
			return false;
	return true;
}

static void
too_late(void *arg)
{
	struct relay *r = arg;
	struct relay_answer a = relay_answer_say(451, "4.4.2",
	    "This takes too long, try again later");
	struct verdict *v = NULL;
	struct inbound *s;
	bool is_awaited;
	size_t n = 0;

	if (is_just_settled(r))
		return;
	if (r->state == RELAY_COMMITTING && !relay_queue_take_back(r)) {
		relay_queue_answer(r, QUEUE_TAKEN);
		return;
	}
	is_awaited = drop(r, &a);
	relay_count(r, a.code);
	log_line(LOG_WARNING_, "%s: the client was told 451 after %u s%s",
	    r->id, r->listener->through_wait_s, is_awaited
	    ? ": the next hop's answer is awaited" : "");
	if (inbound_client(r->session)->is_lmtp)
		v = answer_each(r, &a, &n);
	s = part(r, NULL);
	if (!is_awaited)
		leave(r);
	if (v != NULL)
		inbound_answer_each(s, v, n);
	else
		inbound_answer(s, a.code, a.enhanced, a.text);
}

void
relay_abandon(struct relay *r)
{
	struct relay_answer a = relay_answer_say(451, "4.4.2",
	    "The client is gone");
	bool is_awaited = false;

	if (r->state == RELAY_COMMITTING && !relay_queue_take_back(r)) {
		log_line(LOG_NOTICE_, "%s: the client is gone, the message is "
		    "in the queue", r->id);
		relay_count(r, 0);
		(void)part(r, NULL);
		relay_queue_answer(r, QUEUE_TAKEN);
		return;
	}
	if (r->state >= RELAY_RECEIVING)
		relay_count(r, 0);
	if (r->state == RELAY_RECEIVING)
		log_line(LOG_NOTICE_, "%s: abandoned before its end", r->id);
	if (r->state > RELAY_RECEIVING) {
		is_awaited = drop(r, &a);
		log_line(LOG_NOTICE_, "%s: the client is gone%s", r->id,
		    is_awaited ? "; the next hop's answer is awaited" : "");
	}
	(void)part(r, NULL);
	if (!is_awaited)
		leave(r);
}
