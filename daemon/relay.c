#include "daemon/relay_state.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/nexthop.h"

/* A chain may have changed the largest message we take that many times. */
#define UNDONE_BODIES 4

static void go_on(struct relay *r);

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
	content_fini(&r->content);
	arena_free(&r->arena);
	free(r);
	h->n_relays--;
	h->relay_gone(h);
}

/* The relay is over: what still comes for it finds nobody. */
static void
leave(struct relay *r)
{
	if (r->state == OVER)
		return;
	r->state = OVER;
	slots_leave(&r->hub->slots, r->tag);
	if (r->timer != NULL)
		loop_timer_stop(r->timer);
	if (r->outbound != NULL)
		outbound_owner(r->outbound, NULL, NULL);
	outbound_free(&r->outbound);
	loop_defer(r->hub->loop, &r->deferred, destroy, r);
}

/* The session goes on without this transaction; it gets the connection. */
static struct inbound *
part(struct relay *r)
{
	struct inbound *s = r->session;
	struct outbound *o = r->outbound;

	r->session = NULL;
	if (o != NULL && !outbound_is_committed(o)) {
		outbound_abort(o);
		outbound_owner(o, NULL, NULL);
		r->outbound = NULL;
	} else {
		o = NULL;
	}
	inbound_release(s, o);
	return s;
}

/* ---- answers ---- */

/* The last answer of the transaction, in our own words. */
void
relay_end_with(struct relay *r, int code, const char *enhanced, const char *text)
{
	struct inbound *s;

	if (r->session == NULL) {
		leave(r);
		return;
	}
	relay_log_reject(r, "DATA", code, enhanced, text, r->to.raw);
	s = part(r);
	leave(r);	/* what text points to lives to the end of the turn */
	inbound_answer(s, code, enhanced, bytes_of(text));
}

/*
 * The next hop's reply as it goes to the client: same class, same text. A 421
 * would end the client's session, which has done nothing: 451.
 */
struct answer {
	int code;
	char enhanced[16];
	struct bytes text;
};

static void
answer_of(struct answer *a, const struct smtp_reply *reply)
{
	a->code = reply->code == 421 ? 451 : reply->code;
	a->text = reply->text.n == 0 ? BYTES_LIT("Ok") : reply->text;
	if (reply->enhanced.n != 0 &&
	    reply->enhanced.p[0] == '0' + a->code / 100)
		snprintf(a->enhanced, sizeof(a->enhanced), "%.*s",
		    BYTES_FMT(bytes_first(reply->enhanced, 15)));
	else
		snprintf(a->enhanced, sizeof(a->enhanced), "%d.0.0",
		    a->code / 100);
}

/* ---- MAIL and RCPT ---- */

static int
copy_path(struct relay *r, const struct smtp_path *from, struct smtp_path *to)
{
	struct bytes raw = arena_copy(r->arena, from->raw);

	if (raw.p == NULL)
		return -E_NOMEM;
	*to = *from;
	to->raw = raw;
	if (from->local.n != 0)
		to->local.p = raw.p + (from->local.p - from->raw.p);
	if (from->domain.n != 0)
		to->domain.p = raw.p + (from->domain.p - from->raw.p);
	return 0;
}

static void
refuse_mail(struct relay *r, int code, const char *enhanced, const char *text)
{
	struct inbound *s;

	relay_log_reject(r, "MAIL", code, enhanced, text, BYTES_LIT("<>"));
	s = part(r);
	leave(r);
	inbound_answer(s, code, enhanced, bytes_of(text));
}

void
relay_mail(struct relay *r, const struct smtp_server_mail *mail)
{
	const struct smtp_path *from = &mail->from;

	r->size = mail->size;
	r->is_8bit = mail->is_8bit;
	if (copy_path(r, from, &r->from) != 0) {
		refuse_mail(r, 452, "4.3.1", "Out of memory");
		return;
	}
	if (r->listener->role == ROLE_EGRESS && !from->is_null &&
	    !decide_is_sender(r->listener, &r->hub->inventory->domains,
	        from->domain)) {
		refuse_mail(r, 550, "5.7.1",
		    "This client may not send from that domain");
		return;
	}
	inbound_answer(r->session, 250, "2.1.0", BYTES_LIT("Ok"));
}

static void
refuse_rcpt(struct relay *r, const struct smtp_path *to, int code,
    const char *enhanced, const char *text)
{
	char said[700];
	struct buf b = BUF_ON(said);

	relay_log_reject(r, "RCPT", code, enhanced, text, to->raw);
	buf_add_escaped(&b, to->raw, 300);
	buf_printf(&b, ": %s", text);
	inbound_answer(r->session, code, enhanced, buf_bytes(&b));
}

/* A local part that asks the next hop to send on: user%there, there!user. */
static bool
is_routed(struct bytes local)
{
	return bytes_index(local, '%') != local.n ||
	    bytes_index(local, '!') != local.n ||
	    bytes_index(local, '@') != local.n;
}

/* Whether this client may send to that recipient through us at all. */
static bool
may_relay(const struct relay *r, const struct smtp_path *to)
{
	const struct config_listener *l = r->listener;

	if (config_nets_hold(l->clients, l->n_clients,
	        inbound_client(r->session)->addr.ip))
		return true;
	if (to->domain.n == 0)		/* <postmaster> */
		return l->role == ROLE_INBOUND && l->n_domains != 0;
	return !to->is_literal && !is_routed(to->local) &&
	    config_domains_hold(l->domains, l->n_domains, to->domain);
}

static void on_outbound(void *arg, enum outbound_event what);

/* Asks the next hop; what we add is counted in. */
static void
ask_next_hop(struct relay *r)
{
	struct bytes domain = dkim2_path_domain(r->onward.rcpt_to);
	const struct outbound_destination to = {
	    .hop = nexthop_route(r->listener, domain),
	    .domain = domain,
	    .client = inbound_client(r->session),
	};
	const struct outbound_mail mail = {
	    .mail_from = r->onward.mail_from,
	    .size = r->size == 0 ? 0 : r->size + RECEIVED_MAX,
	    .is_8bit = r->is_8bit,
	};
	const struct outbound_rcpt rcpt = {.path = r->onward.rcpt_to};

	/* that of the transaction before may lead elsewhere */
	if (r->outbound != NULL && !outbound_leads(r->outbound, &to))
		outbound_free(&r->outbound);
	if (r->outbound == NULL)
		r->outbound = outbound_new(r->hub, r->listener, &to);
	if (r->outbound == NULL) {
		refuse_rcpt(r, &r->to, 452, "4.3.1", "Out of memory");
		return;
	}
	outbound_owner(r->outbound, on_outbound, r);
	outbound_begin(r->outbound, &mail);
	if (!outbound_rcpt(r->outbound, &rcpt)) {
		outbound_abort(r->outbound);
		refuse_rcpt(r, &r->to, 452, "4.3.1", "Out of memory");
		return;
	}
	r->state = ASKING;
}

void
relay_rcpt(struct relay *r, const struct smtp_server_rcpt *rcpt)
{
	const struct smtp_path *to = &rcpt->to;

	if (r->state != BEGUN) {
		/* Interim, until one message goes to many. */
		inbound_answer(r->session, 452, "4.5.3",
		    BYTES_LIT("One recipient a transaction, send the others "
			      "in their own"));
		return;
	}
	if (!may_relay(r, to)) {
		refuse_rcpt(r, to, 554, "5.7.1", "Relay access denied");
		return;
	}
	if (copy_path(r, to, &r->to) != 0 || rewrite_envelope(&r->onward,
	        r->listener, &r->from, &r->to, r->arena) != 0) {
		refuse_rcpt(r, to, 452, "4.3.1", "Out of memory");
		return;
	}
	if (r->onward.code != 0)
		refuse_rcpt(r, to, r->onward.code, r->onward.enhanced,
		    r->onward.text);
	else
		ask_next_hop(r);
}

static void
on_rcpt_refused(struct relay *r, const struct smtp_reply *reply)
{
	struct answer a;

	r->state = BEGUN;
	answer_of(&a, reply);
	relay_log_fate(r, a.code < 500 ? "deferred" : "refused", a.enhanced,
	    reply->text);
	inbound_answer(r->session, a.code, a.enhanced, a.text);
}

static void
on_rcpt_accepted(struct relay *r, const struct smtp_reply *reply)
{
	uint64_t max;
	struct answer a;

	if (r->is_8bit && !(outbound_can(r->outbound, &max) &
	        SMTP_CAN_8BITMIME)) {
		outbound_abort(r->outbound);
		r->state = BEGUN;
		refuse_rcpt(r, &r->to, 550, "5.6.3",
		    "The next hop does not take 8-bit content");
		return;
	}
	r->state = ACCEPTED;
	answer_of(&a, reply);
	inbound_answer(r->session, a.code, a.enhanced, a.text);
}

/* ---- DATA ---- */

void
relay_data(struct relay *r)
{
	const struct inbound_client *c = inbound_client(r->session);
	char from[600];

	if (r->fault.code != 0) {	/* the next hop is lost meanwhile */
		inbound_answer(r->session, r->fault.code, r->fault.enhanced,
		    bytes_of(r->fault.text));
		return;
	}
	relay_escape(r->from.raw, from, sizeof(from));
	log_line(LOG_NOTICE_, "%s: client=[%s]:%u, listener=%s, from=%s",
	    r->id, c->ip, c->addr.port, r->listener->name, from);
	r->state = RECEIVING;
	inbound_answer(r->session, 354, NULL,
	    BYTES_LIT("End data with <CR><LF>.<CR><LF>"));
}

static void
set_fault(struct relay *r, int code, const char *enhanced, const char *text)
{
	if (r->fault.code == 0)
		r->fault = (struct relay_fault){code, enhanced, text};
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
		log_line(LOG_ERROR_, "%s: storing the body failed: %m", r->id);
}

static void
ask_keys(struct relay *r)
{
	const struct bytes *names;
	size_t n = dkim2_verify_wants(r->verify, &names);

	if (r->listener->verify == VERIFY_OFF)
		return;
	for (size_t k = 0; k < n; k++)
		resolve_ask_txt(r->hub->resolve, names[k], r->tag | k);
}

static bool
too_many_received(const struct relay *r)
{
	size_t n = 0;

	for (size_t k = 0; k < r->message.n_fields; k++)
		n += bytes_case_eq(r->message.fields[k].name,
		    BYTES_LIT("received"));
	return n > r->listener->max_received;
}

/* The header block is complete: look at it while the body still comes. */
static void
on_header(struct relay *r)
{
	struct dkim2_limits limits;
	const struct dkim2_verify_options opts = {
	    .now_s = loop_time_s(r->hub->loop),
	    .envelope = &r->arrived,
	    .limits = &limits,
	    .hashes = 1U << DKIM2_SHA256,
	};
	int error = dkim2_message_parse(&r->message,
	    content_block(&r->content), r->listener->max_fields, r->arena);

	dkim2_limits_default(&limits);
	if (limits.max_undo < UNDONE_BODIES * r->listener->max_message)
		limits.max_undo = UNDONE_BODIES * r->listener->max_message;
	r->arrived = (struct dkim2_envelope){r->from.raw, &r->to.raw, 1};
	if (error == -E_SYNTAX) {
		set_fault(r, 550, "5.6.0", "The message header has a line "
		    "that is no header field");
	} else if (error == -E_LIMIT) {
		set_fault(r, 550, "5.6.0",
		    "The message has too many header fields");
	} else if (error != 0) {
		fail(r, error);
	} else if (too_many_received(r)) {
		set_fault(r, 554, "5.4.6",
		    "Too many Received fields: is this a mail loop?");
	} else {
		error = dkim2_verify_new(&r->verify, r->arena, &opts);
		if (error == 0)
			error = dkim2_verify_header(r->verify, &r->message);
		if (error != 0)
			fail(r, error);
		else
			ask_keys(r);
	}
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
	if (error != 0)
		fail(r, error);
}

static void
too_late(void *arg)
{
	struct relay *r = arg;

	if (r->outbound != NULL && outbound_is_committed(r->outbound)) {
		struct inbound *s = part(r);

		log_line(LOG_WARNING_, "%s: no answer of the next hop yet, "
		    "the client was told 451; still waiting", r->id);
		inbound_answer(s, 451, "4.4.2",
		    BYTES_LIT("The next hop has not answered in time"));
		return;
	}
	relay_end_with(r, 451, "4.4.2", "This takes too long, try again later");
}

void
relay_end(struct relay *r, bool has_8bit)
{
	bool had_header = r->content.has_header;
	int error;

	r->is_8bit = has_8bit;
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
	if (r->fault.code != 0) {
		relay_end_with(r, r->fault.code, r->fault.enhanced, r->fault.text);
		return;
	}
	r->state = VERIFYING;
	go_on(r);
}

/* ---- the verdict, and what follows from it ---- */

void
relay_key(struct relay *r, size_t k, const struct resolve_txt *txt)
{
	int error;

	if (r->verify == NULL || r->fault.code != 0)
		return;
	error = dkim2_verify_answer(r->verify, k, txt->found, txt->records,
	    txt->n);
	if (error != 0)
		fail(r, error);
	if (r->state == VERIFYING)
		go_on(r);
}

static void
on_verdict(struct relay *r, const struct dkim2_result *result)
{
	const struct decide_facts facts = {
	    .listener = r->listener,
	    .keys = &r->hub->inventory->domains,
	    .message = &r->message,
	    .result = result,
	    .mail_from_in = r->from.raw,
	    .rcpt_to_in = r->to.raw,
	    .mail_from_out = r->onward.mail_from,
	    .arena = r->arena,
	};

	if (result != NULL)
		relay_log_verdict(r, result);
	decide(&r->decision, &facts);
	switch (r->decision.kind) {
	case DECIDE_REFUSE:
		relay_end_with(r, r->decision.code, r->decision.enhanced,
		    r->decision.text);
		break;
	case DECIDE_PASS:
		relay_send(r);
		break;
	case DECIDE_SIGN:
		relay_sign_begin(r);
		break;
	}
}

static void
go_on(struct relay *r)
{
	if (r->fault.code != 0) {
		relay_end_with(r, r->fault.code, r->fault.enhanced, r->fault.text);
		return;
	}
	if (r->listener->verify == VERIFY_OFF)
		on_verdict(r, NULL);
	else if (dkim2_verify_step(r->verify) == DKIM2_DONE)
		on_verdict(r, dkim2_verify_result(r->verify));
}

/* ---- to the next hop ---- */

static struct bytes
our_received(struct relay *r)
{
	const struct inbound_client *c = inbound_client(r->session);
	const struct received t = {
	    .helo = c->helo,
	    .ip = c->ip,
	    .hostname = r->hub->config->hostname,
	    .id = r->id,
	    .is_esmtp = c->is_esmtp,
	    .rcpt = r->to.raw,
	    .time_s = loop_time_s(r->hub->loop),
	    .tls = c->tls,
	    .cipher = c->cipher,
	};
	struct buf out = BUF_ON(r->received_octets);

	received_write(&t, &out);
	return buf_bytes(&out);
}

void
relay_send(struct relay *r)
{
	struct bytes pieces[] = {{NULL, 0}, our_received(r),
	    content_header(&r->content), content_body(&r->content)};
	size_t n = sizeof(pieces) / sizeof(pieces[0]);
	uint64_t max, total = 0;
	unsigned can = outbound_can(r->outbound, &max);

	if (r->sign != NULL)
		pieces[0] = dkim2_sign_fields(r->sign);
	relay_describe_signing(r);
	for (size_t k = 0; k < n; k++)
		total += pieces[k].n;
	if ((can & SMTP_CAN_SIZE) && max != 0 && total > max) {
		relay_end_with(r, 552, "5.3.4",
		    "The message is larger than the next hop takes");
	} else if (r->is_8bit && !(can & SMTP_CAN_8BITMIME)) {
		relay_end_with(r, 550, "5.6.3",
		    "The next hop does not take 8-bit content");
	} else {
		r->state = SENDING;
		outbound_send(r->outbound, pieces, n);
	}
}

/* The next hop answered the dot, or DATA: its answer is the client's. */
static void
on_answer(struct relay *r, const char *status)
{
	const struct smtp_reply *reply = &outbound_result(r->outbound)->reply;
	struct inbound *s;
	char octets[1800];
	struct buf text = BUF_ON(octets);
	struct answer a;

	answer_of(&a, reply);
	relay_log_fate(r, status, a.enhanced, reply->text);
	if (r->session == NULL) {
		leave(r);
		return;
	}
	buf_add(&text, bytes_first(a.text, sizeof(octets) - 64));
	if (a.code / 100 == 2)
		buf_printf(&text, " (id %s)", r->id);
	s = part(r);
	leave(r);
	inbound_answer(s, a.code, a.enhanced, buf_bytes(&text));
}

static void
on_lost(struct relay *r)
{
	const struct outbound_result *o = outbound_result(r->outbound);

	relay_log_fate(r, "deferred", "4.4.2", bytes_of(o->fault));
	if (r->state == SENDING) {
		relay_end_with(r, 451, "4.4.2", o->is_ambiguous
		    ? "The next hop hung up before it answered"
		    : "The next hop can not be reached now");
		return;
	}
	if (r->state == ASKING) {
		r->state = BEGUN;
		refuse_rcpt(r, &r->to, 451, "4.4.1",
		    "The next hop can not be reached now");
		return;
	}
	/* Lost while the client sends or we verify: told at the dot. */
	set_fault(r, 451, "4.4.2", "The next hop can not be reached now");
	if (r->state == VERIFYING || r->state == SIGNING)
		relay_end_with(r, r->fault.code, r->fault.enhanced, r->fault.text);
}

static void
on_outbound(void *arg, enum outbound_event what)
{
	struct relay *r = arg;
	const struct outbound_result *o = outbound_result(r->outbound);
	int class = o->reply.code / 100;

	switch (what) {
	case OUTBOUND_RCPT:
		if (class == 2) {
			on_rcpt_accepted(r, &o->reply);
			break;
		}
		outbound_abort(r->outbound);
		on_rcpt_refused(r, &o->reply);
		break;
	case OUTBOUND_REFUSED:
		if (r->state == ASKING) {
			on_rcpt_refused(r, &o->reply);
			break;
		}
		/* FALLTHROUGH */
	case OUTBOUND_ENDED:
		on_answer(r, class == 2 ? "sent"
		    : class == 4 ? "deferred" : "refused");
		break;
	case OUTBOUND_LOST:
		on_lost(r);
		break;
	}
}

/* ---- from outside ---- */

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
	r->begun_ms = loop_now_ms(h->loop);
	content_init(&r->content, h->env->spool_fd);
	make_id(r);
	r->arena = arena_new((16U << 20) + 4 * (size_t)l->max_header);
	r->timer = loop_timer_new(h->loop, too_late, r);
	if (r->arena == NULL || r->timer == NULL ||
	    !slots_take(&h->slots, r, &r->tag)) {
		destroy(r);
		return NULL;
	}
	r->outbound = o;
	return r;
}

void
relay_abandon(struct relay *r)
{
	if (r->state == SENDING && outbound_is_committed(r->outbound)) {
		log_line(LOG_NOTICE_, "%s: the client is gone; the next hop's "
		    "answer is awaited", r->id);
		part(r);
		return;
	}
	if (r->state >= RECEIVING)
		log_line(LOG_NOTICE_, "%s: abandoned before its end", r->id);
	part(r);
	leave(r);
}
