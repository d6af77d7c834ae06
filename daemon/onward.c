#include "daemon/relay_state.h"

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/nexthop.h"

/* More than a signature and an instance take: 8 signatures of 1,024 octets
 * (draft 10.11) and the paths of 20 recipients, in base64. */
#define SIGNATURE_GROWTH (24 * 1024U)
#define RECIPE_GROWTH (64 * 1024U)	/* one field, product.md */
#define REPAIR_GROWTH 2048U

static void on_outbound(void *arg, enum outbound_event what);

struct onward *
onward_new(struct relay *r, const struct onward *like)
{
	struct onward *o = arena_alloc(r->arena, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->relay = r;
	o->way = like->way;
	o->hop = like->hop;
	o->is_return = like->is_return;
	o->domain = like->domain;
	o->mail_from = like->mail_from;
	o->identity = like->identity;
	o->before = like->before;
	o->from_address = like->from_address;
	return o;
}

static bool
has_outbound(struct onward *o)
{
	const struct outbound_destination to = {
	    .hop = o->hop,
	    .domain = o->domain,
	    .client = inbound_client(o->relay->session),
	};
	struct relay *r = o->relay;

	if (o->outbound != NULL)
		return true;
	if (r->spare != NULL && outbound_leads(r->spare, &to)) {
		o->outbound = r->spare;
		r->spare = NULL;
	} else if (!to.client->is_authenticated) {
		/* who logged in has one connection, and that one is lost */
		o->outbound = outbound_new(r->hub, o->way, &to);
	}
	if (o->outbound != NULL)
		outbound_watch(o->outbound, orders_watches(r->hub->env->orders,
		    to.client->addr.ip, loop_now_ms(r->hub->loop)));
	return o->outbound != NULL;
}

static void
begin(struct onward *o, uint64_t size)
{
	static const struct bytes none = {NULL, 0};
	const struct relay *r = o->relay;
	const struct outbound_mail mail = {
	    .mail_from = o->mail_from,
	    .size = size,
	    .is_8bit = r->is_8bit,
	    .is_utf8 = r->mail.is_utf8,
	    .ret = o->is_return ? none : r->mail.ret,
	    .envid = o->is_return ? none : r->mail.envid,
	};

	o->state = ONWARD_OPEN;
	o->n_begun++;
	o->n_asked = 0;
	o->n_accepted = 0;
	o->is_8bit = r->is_8bit;
	outbound_owner(o->outbound, on_outbound, o);
	outbound_begin(o->outbound, &mail);
}

static int
ask(struct onward *o, struct relay_rcpt *rcpt)
{
	if (!outbound_rcpt(o->outbound, &rcpt->said))
		return -E_NOMEM;
	rcpt->asked_as = o->n_asked++;
	rcpt->asked_in = o->n_begun;
	return 0;
}

/* ---- while the client names recipients ---- */

uint64_t
onward_growth(const struct hub *h, const struct config_listener *l)
{
	uint64_t more = RECEIVED_MAX + (config_role_annotates(l->role)
	    ? AUTHRES_MAX : REPAIR_GROWTH);

	if (decide_may_sign(l, &h->inventory->domains))
		more += SIGNATURE_GROWTH;
	if ((l->pair != NULL && l->recipes != RECIPES_NONE) ||
	    l->from_rewrite != FROM_REWRITE_NEVER)
		more += RECIPE_GROWTH;
	return more;
}

/* What the message will have, as far as it is known; 0: it is not. */
static uint64_t
size_onward(const struct relay *r)
{
	return r->mail.size == 0 ? 0 : r->mail.size +
	    onward_growth(r->hub, r->listener);
}

int
onward_ask(struct onward *o, struct relay_rcpt *rcpt)
{
	if (!has_outbound(o))
		return -E_NOMEM;
	if (o->state == ONWARD_IDLE)
		begin(o, size_onward(o->relay));
	rcpt->onward = o;
	rcpt->state = RCPT_ASKED;
	return ask(o, rcpt);
}

static void
on_rcpt(struct onward *o)
{
	const struct smtp_reply *reply = &outbound_result(o->outbound)->reply;
	struct relay_rcpt *rcpt = o->relay->asking;

	rcpt->answer = relay_answer_of(reply, o->relay->arena);
	if (reply->code / 100 != 2) {
		rcpt->state = RCPT_REFUSED;
	} else {
		o->n_accepted++;
		rcpt->state = RCPT_ACCEPTED;
	}
	relay_rcpt_heard(o->relay, rcpt);
}

/*
 * MAIL, or the connection, was refused. Where that was one made anew while
 * nobody waits for an answer of it, who was accepted is asked for again.
 */
static void
on_mail_refused(struct onward *o)
{
	struct relay_rcpt *rcpt = o->relay->asking;

	o->state = ONWARD_IDLE;
	if (rcpt == NULL || rcpt->onward != o)
		return;
	rcpt->answer = relay_answer_of(&outbound_result(o->outbound)->reply,
	    o->relay->arena);
	rcpt->state = RCPT_REFUSED;
	relay_rcpt_heard(o->relay, rcpt);
}

static void
on_lost_early(struct onward *o)
{
	log_line(LOG_NOTICE_, "%s: %s", o->relay->id,
	    outbound_result(o->outbound)->fault);
	o->state = ONWARD_IDLE;
	o->n_accepted = 0;
	relay_onward_lost(o->relay, o);
}

/* ---- a copy ---- */

static void
over(void *arg)
{
	struct onward *o = arg;

	o->is_ending = false;
	if (o->relay->state != RELAY_OVER)
		relay_copy_over(o->relay, o);
}

static void
end(struct onward *o)
{
	o->state = ONWARD_OVER;
	o->is_ending = true;
	loop_defer(o->relay->hub->loop, &o->deferred, over, o);
}

/* The same answer for every recipient. */
static void
end_with(struct onward *o, const struct relay_answer *a)
{
	for (size_t k = 0; k < o->n_rcpts; k++)
		relay_settle(o->relay, o->rcpts[k], a);
	end(o);
}

static void
end_saying(struct onward *o, int code, const char *enhanced, const char *text)
{
	struct relay_answer a = relay_answer_say(code, enhanced, text);

	end_with(o, &a);
}

static uint64_t
size_of(const struct onward *o)
{
	uint64_t n = 0;

	for (size_t k = 0; k < ONWARD_PIECES; k++)
		n += o->pieces[k].n;
	return n;
}

/* The next hop waits for the content of this copy, no more and no less. */
static void
send_content(struct onward *o)
{
	const struct outbound_mail mail = {
	    .size = size_of(o),
	    .is_8bit = o->relay->is_8bit,
	    .is_utf8 = o->relay->mail.is_utf8,
	};
	const struct nexthop_refusal *lack = outbound_lacks(o->outbound, &mail);

	if (lack != NULL) {
		end_saying(o, lack->code, lack->enhanced, lack->text);
		return;
	}
	o->state = ONWARD_SENDING;
	outbound_send(o->outbound, o->pieces, ONWARD_PIECES);
}

static void
ask_again(struct onward *o)
{
	if (!has_outbound(o)) {
		end_saying(o, 452, "4.3.1", "Out of memory");
		return;
	}
	begin(o, size_of(o));
	for (size_t k = 0; k < o->n_rcpts; k++) {
		if (ask(o, o->rcpts[k]) != 0) {
			(void)onward_abort(o);
			end_saying(o, 452, "4.3.1", "Out of memory");
			return;
		}
	}
}

struct bytes
onward_body(const struct onward *o)
{
	return o->replaced != NULL ? o->replaced->body
	    : content_body(&o->relay->content);
}

/* A message of our own: nothing of what came is in it. */
static void
put_replaced(struct onward *o)
{
	memset(o->pieces, 0, sizeof(o->pieces));
	o->pieces[0] = o->signatures;
	o->pieces[ONWARD_CONTENT] = o->replaced->message.header;
	o->pieces[5] = BYTES_LIT("\r\n");
	o->pieces[6] = o->replaced->body;
}

static void
put_pieces(struct onward *o)
{
	const struct relay *r = o->relay;

	if (o->replaced != NULL) {
		put_replaced(o);
		return;
	}
	o->pieces[0] = (struct bytes){NULL, 0};
	if (o->sign != NULL)
		o->pieces[0] = o->signatures;
	o->pieces[1] = r->annotation.field;
	o->pieces[2] = o->value.received;
	if (o->repaired != NULL)
		o->pieces[3] = o->repaired->fields;
	o->pieces[ONWARD_CONTENT] = o->rewritten != NULL
	    ? o->rewritten->message.header
	    : o->decision.is_return && o->sign != NULL
	    ? r->extension.message->header : r->annotation.header;
	o->pieces[5] = bytes_skip(content_header(&r->content),
	    r->message.header.n);	/* the empty line */
	o->pieces[6] = content_body(&r->content);
}

/* The copy is whole: signed, or not to be. */
static void
send_whole(struct onward *o)
{
	if (o->decision.kind == DECIDE_REFUSE) {
		end_saying(o, o->decision.code, o->decision.enhanced,
		    o->decision.text);
		return;
	}
	put_pieces(o);
	onward_sign_describe(o);
	if (o->relay->is_queued)
		end(o);
	else if (o->state == ONWARD_OPEN)
		send_content(o);
	else
		ask_again(o);
}

/* Whether who is to have the copy is who was accepted there, all of them. */
static bool
is_for_all(const struct onward *asked, const struct onward *copy)
{
	for (size_t k = 0; k < copy->n_rcpts; k++)
		if (copy->rcpts[k]->asked_in != asked->n_begun)
			return false;
	return asked->n_accepted == copy->n_rcpts;
}

/*
 * Whether the copy may go out as what was asked. Content of 8 bits that the
 * client did not declare is declared to a next hop that wants to know: it may
 * change what it takes for 7 bits (RFC 6152 3).
 */
static bool
is_fit(const struct onward *copy, const struct onward *asked)
{
	uint64_t max;

	if (asked->state != ONWARD_OPEN || !is_for_all(asked, copy) ||
	    !bytes_eq(asked->mail_from, copy->mail_from))
		return false;
	return asked->is_8bit || !copy->relay->is_8bit ||
	    (outbound_can(asked->outbound, &max) & SMTP_CAN_8BITMIME) == 0;
}

void
onward_take(struct onward *copy, struct onward *asked)
{
	if (is_fit(copy, asked)) {
		copy->outbound = asked->outbound;
		copy->state = ONWARD_OPEN;
		outbound_owner(copy->outbound, on_outbound, copy);
	} else {
		copy->outbound = onward_abort(asked);
	}
	asked->outbound = NULL;
	asked->state = ONWARD_OVER;
}

/*
 * Whose fault it is: that of a message that is too much, or of the signer,
 * or the proof. For those on-failure says what is to be done.
 */
static void
lack_signature(struct onward *o, int error)
{
	if (error == -E_NOMEM) {
		end_saying(o, 452, "4.3.1", "Out of memory");
	} else if (o->replaced != NULL ||
	    o->relay->listener->on_failure == ON_FAILURE_DEFER) {
		end_saying(o, 451, "4.3.0",
		    "The message can not be signed now");
	} else {
		o->sign = NULL;
		o->decision.kind = DECIDE_PASS;
		o->decision.rule = "it could not be signed: on-failure";
		relay_from_undo(o);
		log_line(LOG_WARNING_, "%s: ALARM: leaves unsigned, as "
		    "on-failure says", o->relay->id);
		send_whole(o);
	}
}

/* All signatures are there: they are proved, and it leaves. */
static void
send_signed(struct onward *o)
{
	int error = onward_sign_gather(o);

	put_pieces(o);
	if (error == 0)
		error = onward_prove(o);
	if (error != 0)
		lack_signature(o, error);
	else
		send_whole(o);
}

/* Makes the message what the copy is to have, but for our signatures. */
static int
prepare(struct onward *o)
{
	struct relay *r = o->relay;
	int error;

	if (r->dsn != NULL)
		return relay_dsn_write(r, &o->value, &o->replaced);
	error = relay_repair(r, &o->value, &o->repaired);
	return error != 0 ? error : relay_from(r, o);
}

void
onward_send(struct onward *o)
{
	int error = prepare(o);

	o->is_begun = true;
	if (error == 0 && o->decision.kind == DECIDE_SIGN)
		error = onward_sign(o);
	if (error != 0)
		lack_signature(o, error);
	else if (o->sign == NULL)
		send_whole(o);
}

void
onward_signature(struct onward *o, size_t k, struct bytes signature)
{
	int error;

	if (o->state == ONWARD_OVER || o->state == ONWARD_SENDING ||
	    o->sign == NULL)
		return;
	error = onward_sign_answer(o, k, signature);
	if (error != 0)
		lack_signature(o, error);
	else if (o->sign == NULL)
		send_whole(o);		/* a rule forbids the next one */
	else if (onward_sign_is_done(o))
		send_signed(o);
}

/*
 * The answer of one who was not asked before the content. Who shares his copy
 * is to come without him: the copy names them all.
 */
static void
on_rcpt_refused(struct onward *o)
{
	const struct outbound_result *result = outbound_result(o->outbound);
	struct relay_answer own = relay_answer_of(&result->reply,
	    o->relay->arena), other = relay_answer_say(451, "4.4.2",
	    "Another recipient was refused, send it again");
	size_t refused = result->rcpt;

	(void)onward_abort(o);
	for (size_t k = 0; k < o->n_rcpts; k++)
		relay_settle(o->relay, o->rcpts[k], k == refused ? &own
		    : &other);
	end(o);
}

/* The answer when asked again: it was a yes before. */
static void
on_rcpt_again(struct onward *o)
{
	const struct smtp_reply *reply = &outbound_result(o->outbound)->reply;

	if (reply->code / 100 != 2 && o->relay->is_unasked) {
		on_rcpt_refused(o);
		return;
	}
	if (reply->code / 100 != 2) {
		(void)onward_abort(o);
		end_saying(o, 451, "4.4.2", "The next hop accepted the "
		    "recipient, and did not when it was asked again");
		return;
	}
	o->n_accepted++;
	if (o->n_accepted == o->n_rcpts)
		send_content(o);
}

/*
 * MAIL was refused, which it was not before; or DATA, which is an answer, as
 * is what the next hop lacks for this copy.
 */
static void
on_refused(struct onward *o)
{
	const struct outbound_result *result = outbound_result(o->outbound);
	struct relay_answer a;

	if (o->state != ONWARD_SENDING && !result->is_lack &&
	    !o->relay->is_unasked) {
		end_saying(o, 451, "4.4.2", "The next hop accepted the "
		    "recipient, and did not when it was asked again");
		return;
	}
	a = relay_answer_of(&result->reply, o->relay->arena);
	end_with(o, &a);
}

static void
on_ended(struct onward *o)
{
	for (size_t k = 0; k < o->n_rcpts; k++) {
		struct relay_rcpt *rcpt = o->rcpts[k];
		struct smtp_reply reply = outbound_rcpt_reply(o->outbound,
		    rcpt->asked_as);
		struct relay_answer a = relay_answer_of(&reply,
		    o->relay->arena);

		relay_settle(o->relay, rcpt, &a);
	}
	o->is_each = o->hop->scheme == SCHEME_LMTP;
	end(o);
}

/* By LMTP some may have been answered before the connection was lost. */
static void
on_lost(struct onward *o)
{
	const struct outbound_result *result = outbound_result(o->outbound);
	bool is_unsure = result->is_ambiguous;

	log_line(LOG_NOTICE_, "%s: %s", o->relay->id, result->fault);
	for (size_t k = 0; k < o->n_rcpts; k++) {
		struct relay_rcpt *rcpt = o->rcpts[k];
		struct relay_answer a = relay_answer_say(451, "4.4.2",
		    is_unsure ? "The next hop hung up before it answered"
			      : "The next hop can not be reached now");
		struct smtp_reply reply = {0};

		if (is_unsure && o->hop->scheme == SCHEME_LMTP)
			reply = outbound_rcpt_reply(o->outbound,
			    rcpt->asked_as);
		rcpt->is_unsure = is_unsure && reply.code == 0;
		if (reply.code != 0)
			a = relay_answer_of(&reply, o->relay->arena);
		relay_settle(o->relay, rcpt, &a);
	}
	end(o);
}

/* ---- both ---- */

static void
on_outbound(void *arg, enum outbound_event what)
{
	struct onward *o = arg;
	bool is_copy = o->asked != NULL;

	if (o->state == ONWARD_OVER)
		return;
	if (is_copy && !o->is_begun) {
		o->state = ONWARD_IDLE;		/* it is asked for again */
		return;
	}
	switch (what) {
	case OUTBOUND_RCPT:
		if (is_copy)
			on_rcpt_again(o);
		else
			on_rcpt(o);
		break;
	case OUTBOUND_REFUSED:
		if (is_copy)
			on_refused(o);
		else
			on_mail_refused(o);
		break;
	case OUTBOUND_ENDED:
		on_ended(o);
		break;
	case OUTBOUND_LOST:
		if (is_copy)
			on_lost(o);
		else
			on_lost_early(o);
		break;
	}
}

bool
onward_is_exploded(const struct onward *o)
{
	for (size_t k = 0; k < o->n_rcpts; k++)
		if (o->rcpts[k]->n_of > 1)
			return true;
	return false;
}

bool
onward_is_committed(const struct onward *o)
{
	return o->is_ending ||
	    (o->outbound != NULL && outbound_is_committed(o->outbound));
}

struct outbound *
onward_abort(struct onward *o)
{
	o->state = ONWARD_IDLE;
	o->n_asked = 0;
	o->n_accepted = 0;
	if (o->outbound == NULL)
		return NULL;
	outbound_owner(o->outbound, NULL, NULL);
	outbound_abort(o->outbound);
	return o->outbound;
}

void
onward_close(struct onward *o)
{
	struct outbound *outbound = onward_abort(o);

	if (o->has_tag)
		slots_leave(&o->relay->hub->slots, o->tag);
	o->has_tag = false;
	o->state = ONWARD_OVER;
	o->outbound = NULL;
	if (o->relay->spare == NULL)
		o->relay->spare = outbound;
	else
		outbound_free(&outbound);
}
