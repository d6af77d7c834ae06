/*
 * From the verdict to the copies a message leaves in. Where we sign, whoever
 * is not named in To or Cc has a copy and a signature of his own, since rt=
 * shows recipients to each other (attacks.md V21).
 */
#include "daemon/relay_state.h"

#include "base/err.h"

#define AT_ONCE 4U	/* copies under way, once one was accepted */

/* ---- what is to become of it ---- */

bool
relay_may_share(const struct onward *asked, const struct relay_rcpt *rcpt)
{
	return asked->decision.kind != DECIDE_SIGN || rcpt->is_named;
}

/* Recipients that the message leaves for, were it not for the memory. */
static size_t
count_wanting(const struct relay *r)
{
	size_t n = 0;

	for (const struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		n += k->twin == NULL && k->state == RCPT_ACCEPTED;
	return n;
}

static void
decide_for(struct relay *r, struct onward *asked,
    const struct dkim2_result *result)
{
	const struct decide_facts facts = {
	    .listener = r->listener,
	    .keys = &r->hub->inventory->domains,
	    .message = &r->message,
	    .result = result,
	    .mail_from_in = r->mail.from.raw,
	    .mail_from_out = asked->mail_from,
	    .identity = asked->identity,
	    .before = asked->before,
	    .from_address = asked->from_address,
	    .dmarc = sender_dmarc(r->sender),
	    .is_dkim1_aligned = relay_from_is_signed(r),
	    .extension = &r->extension,
	    .policy = r->policy,
	    .verify = r->verify_as,
	    .is_bypassed = r->is_bypassed,
	    .is_internal = decide_is_internal(r->listener, asked->hop),
	    .n_rcpts = count_wanting(r),
	    .arena = r->arena,
	};

	if (r->dsn != NULL)
		asked->decision = (struct decision){.kind = DECIDE_SIGN,
		    .domain = r->dsn->made.domain};
	else if (r->unsigned_rule != NULL)
		asked->decision = (struct decision){.kind = DECIDE_PASS,
		    .rule = r->unsigned_rule};
	else if (relay_is_return(r))
		relay_return_decide(r, &asked->decision);
	else
		decide(&asked->decision, &facts);
	asked->n_sharing = 0;
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next) {
		if (k->onward != asked || k->state != RCPT_ACCEPTED)
			continue;
		k->is_named = asked->decision.kind == DECIDE_SIGN &&
		    dkim2_message_names(&r->message, k->out.rcpt_to);
		asked->n_sharing += relay_may_share(asked, k);
	}
}

/* Our trace field; rcpt is NULL where several share it. 0 or -E_NOMEM. */
static int
write_received(struct relay *r, const struct relay_rcpt *rcpt,
    struct relay_value *value)
{
	const struct inbound_client *c = inbound_client(r->session);
	const struct received t = {
	    .helo = c->helo,
	    .ip = c->ip,
	    .hostname = r->hub->config->hostname,
	    .id = r->id,
	    .is_esmtp = c->is_esmtp,
	    .rcpt = rcpt == NULL ? (struct bytes){NULL, 0} : rcpt->to.raw,
	    .time_s = value->time_s,
	    .is_lmtp = c->is_lmtp,
	    .is_utf8 = r->mail.is_utf8,
	    .is_auth = c->login.n != 0,
	    .tls = c->tls,
	    .cipher = c->cipher,
	};
	char octets[RECEIVED_MAX];
	struct buf out = BUF_ON(octets);

	received_write(&t, &out);
	value->received = arena_copy(r->arena, buf_bytes(&out));
	return value->received.p == NULL ? -E_NOMEM : 0;
}

/* Who is named by the signature of a copy that several share. 0 or -E_NOMEM. */
static int
list_sharing(struct relay *r, struct onward *asked)
{
	struct buf list;
	size_t n = 0;

	if (asked->decision.kind != DECIDE_SIGN || asked->n_sharing < 2)
		return 0;
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		n += k->out.rcpt_to.n + 2;
	if (arena_buf(r->arena, n, &list) != 0)
		return -E_NOMEM;
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->onward == asked && k->state == RCPT_ACCEPTED &&
		    relay_may_share(asked, k))
			relay_value_add_rcpt(&list, k->out.rcpt_to);
	asked->sharing = buf_bytes(&list);
	return 0;
}

/* What goes out with each recipient, were it not for earlier tries. */
static int
set_values(struct relay *r)
{
	struct relay_value shared = {
	    .time_s = loop_time_s(r->hub->loop),
	    .id = bytes_of(r->id),
	};
	int error;

	memcpy(shared.client, inbound_client(r->session)->addr.ip,
	    sizeof(shared.client));
	error = write_received(r, NULL, &shared);
	for (struct onward *o = r->asked; o != NULL && error == 0; o = o->next)
		error = list_sharing(r, o);
	for (struct relay_rcpt *k = r->rcpts; k != NULL && error == 0;
	    k = k->next) {
		const struct onward *o = k->onward;

		k->value = shared;
		if (k->state != RCPT_ACCEPTED)
			continue;
		if (o->n_sharing != 1 && relay_may_share(o, k)) {
			k->value.rcpts = o->sharing;
			continue;
		}
		/* `for` only where it names nobody to others */
		error = write_received(r, k, &k->value);
		k->value.is_exploded = k->n_of > 1;
	}
	return error != 0 ? error : relay_split(r);
}

static bool
says_exploded(const struct dkim2_result *result)
{
	const struct dkim2_signature_result *top;

	if (result == NULL || result->n_signatures == 0)
		return true;
	top = &result->signatures[result->n_signatures - 1];
	for (size_t k = 0; k < top->n_flags; k++)
		if (bytes_eq(top->flags[k], BYTES_LIT("exploded")))
			return true;
	return false;
}

enum loopcheck_finding
relay_loop(const struct relay *r, const struct dkim2_result *result)
{
	const struct loopcheck facts = {
	    .message = &r->message,
	    .hostname = r->hub->config->hostname,
	    .max_received = r->listener->max_received,
	    .result = result,
	    .keys = &r->hub->inventory->domains,
	};

	return loopcheck_message(&facts);
}

/* Who is ours to deliver to, and had it before, does not get it again. */
static void
refuse_delivered(struct relay *r)
{
	struct relay_answer a = relay_answer_say(554, "5.4.6",
	    "This message was delivered to this recipient before: it is in a "
	    "loop");
	const struct config_listener *l = r->listener;

	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->state == RCPT_ACCEPTED && k->twin == NULL &&
		    config_domains_hold(l->domains, l->n_domains,
		        k->to.domain) &&
		    loopcheck_delivered(&r->message, k->to.raw))
			relay_settle(r, k, &a);
}

/* What the servers behind us are told (RFC 8601): where mail comes in. */
static int
annotate_message(struct relay *r, const struct dkim2_result *result)
{
	const struct dmarc_verdict *dmarc = sender_dmarc(r->sender);
	struct authres facts = {
	    .id = bytes_of(r->hub->config->authserv_id),
	    .dkim2 = result,
	    .dkim1 = sender_dkim1(r->sender),
	};

	if (r->policy != NULL && r->policy->action == ACTION_ANNOTATE)
		facts.condition = config_condition_name(r->policy->condition);
	/* without SPF nothing else can be said for sure */
	if (dmarc != NULL && dmarc->state == DMARC_PASS)
		facts.dmarc = dmarc;
	r->annotation = (struct annotation){.header = r->message.header};
	if (!config_role_annotates(r->listener->role))
		return 0;
	return annotate(&r->annotation, &r->message, &facts, r->arena);
}

/* The rule that the operator has for such mail. */
static void
find_policy(struct relay *r, const struct dkim2_result *result)
{
	struct policy_facts facts = {
	    .client = inbound_client(r->session)->addr.ip,
	    .mail_from = r->mail.from.domain,
	};

	if (result == NULL || r->listener->n_policy == 0)
		return;
	facts.condition = result->condition;
	if (dkim2_message_from(&r->message, r->arena, &facts.from) !=
	    DKIM2_FROM_ONE)
		facts.from.n = 0;
	r->policy = policy_find(r->listener, &facts);
	if (r->policy != NULL)
		relay_log_policy(r);
}

void
relay_decide(struct relay *r, const struct dkim2_result *result)
{
	enum loopcheck_finding loop = relay_loop(r, result);
	struct relay_answer a = relay_answer_say(452, "4.3.1",
	    "Out of memory");

	if (result != NULL && r->listener->pair == NULL)
		relay_log_verdict(r, result);
	relay_log_sender(r);
	if (loop != LOOPCHECK_NONE) {
		a = relay_answer_say(554, "5.4.6", loopcheck_text(loop));
		relay_refuse(r, &a);
		return;
	}
	r->is_exploded = r->dsn != NULL || says_exploded(result);
	relay_queue_or_through(r, result);
	refuse_delivered(r);
	find_policy(r, result);
	if (result != NULL && r->listener->pair == NULL)
		relay_count_verdict(r, result);
	for (struct onward *o = r->asked; o != NULL; o = o->next)
		decide_for(r, o, result);
	if (annotate_message(r, result) != 0 || set_values(r) != 0)
		relay_refuse(r, &a);
	else
		relay_memory_claim(r);
}

/* ---- the copies ---- */

static bool
is_same_value(const struct relay_value *a, const struct relay_value *b)
{
	return a->time_s == b->time_s && bytes_eq(a->id, b->id) &&
	    a->is_exploded == b->is_exploded &&
	    bytes_eq(a->received, b->received) &&
	    bytes_eq(a->rcpts, b->rcpts);
}

/*
 * A copy that went out before, on another day, has the return address of that
 * day: what is signed is to be the same. 0 or -E_*.
 */
static int
set_mail_from(struct relay *r, struct onward *copy,
    const struct relay_rcpt *rcpt)
{
	const struct config_listener *l = r->listener;
	const struct rewrite_with with = relay_rewrite_with(r,
	    copy->value.time_s);
	struct bytes under = copy->decision.under;

	if (l->role == ROLE_FORWARD && config_domains_hold(l->domains,
	    l->n_domains, rcpt->to.domain))
		under = rcpt->to.domain;
	return under.n == 0 ? 0 : rewrite_mail_from(&copy->mail_from, l, &with,
	    &r->mail.from, under, r->arena);
}

/* The copy for a recipient: a new one, or one that it shares. */
static struct onward *
find_copy(struct relay *r, const struct relay_rcpt *rcpt)
{
	struct onward *asked = rcpt->onward, *o;

	for (o = r->copies; o != NULL; o = o->next)
		if (o->asked == asked && relay_may_share(asked, rcpt) &&
		    relay_may_share(asked, o->rcpts[0]) &&
		    is_same_value(&o->value, &rcpt->value))
			return o;
	o = onward_new(r, asked);
	if (o == NULL)
		return NULL;
	o->rcpts = arena_array(r->arena, relay_may_share(asked, rcpt) ?
	    asked->n_sharing : 1, sizeof(*o->rcpts));
	if (o->rcpts == NULL)
		return NULL;
	o->asked = asked;
	o->decision = asked->decision;
	o->value = rcpt->value;
	if (set_mail_from(r, o, rcpt) != 0)
		return NULL;
	*r->copies_end = o;
	r->copies_end = &o->next;
	return o;
}

/* Who is not in a copy behind this is settled. 0 or -E_NOMEM. */
static int
sort_recipients(struct relay *r)
{
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next) {
		const struct decision *d;
		struct relay_answer a;
		struct onward *copy;

		if (k->state == RCPT_SETTLED || k->twin != NULL)
			continue;
		if (k->state == RCPT_REFUSED) {
			a = k->answer;
			relay_settle(r, k, &a);
			continue;
		}
		d = &k->onward->decision;
		if (d->kind == DECIDE_REFUSE) {
			a = relay_answer_say(d->code, d->enhanced, d->text);
			relay_log_reject(r, "DATA", &a, k->to.raw);
			relay_settle(r, k, &a);
			continue;
		}
		copy = find_copy(r, k);
		if (copy == NULL)
			return -E_NOMEM;
		copy->rcpts[copy->n_rcpts++] = k;
	}
	return 0;
}

/* From here on a recipient is with its copy. */
static void
hand_over(struct relay *r)
{
	for (struct onward *o = r->copies; o != NULL; o = o->next)
		for (size_t k = 0; k < o->n_rcpts; k++)
			o->rcpts[k]->onward = o;
}

static void
take_connections(struct relay *r)
{
	for (struct onward *o = r->copies; o != NULL; o = o->next)
		onward_take(o, o->asked);
	for (struct onward *o = r->asked; o != NULL; o = o->next)
		onward_close(o);	/* that nobody needs */
}

static void
send_some(struct relay *r)
{
	unsigned most = r->is_delivered ? AT_ONCE : 1;

	while (r->next_copy != NULL && r->n_under_way < most) {
		struct onward *copy = r->next_copy;

		r->next_copy = copy->next;
		if (copy->rcpts[0]->state == RCPT_SETTLED)
			continue;	/* by give_up() */
		r->n_under_way++;
		onward_send(copy);	/* relay_copy_over() comes later */
	}
	if (r->n_under_way == 0)
		relay_conclude(r);
}

void
relay_deliver(struct relay *r)
{
	struct relay_answer a = relay_answer_say(452, "4.3.1",
	    "Out of memory");

	if (sort_recipients(r) != 0) {
		relay_refuse(r, &a);
		return;
	}
	hand_over(r);
	if (!relay_arrival_write(r))
		relay_send(r);
}

void
relay_send(struct relay *r)
{
	if (r->is_queued) {
		relay_queue(r);
		return;
	}
	take_connections(r);
	r->state = RELAY_SENDING;
	r->next_copy = r->copies;
	send_some(r);
}

/* What was said of a copy: of several answers the weightiest. */
static struct relay_answer
answer_of(const struct onward *copy)
{
	const struct relay_answer *out = &copy->rcpts[0]->answer;

	for (size_t k = 1; k < copy->n_rcpts; k++)
		if (relay_answer_counts_more(&copy->rcpts[k]->answer, out))
			out = &copy->rcpts[k]->answer;
	return *out;
}

/*
 * Nobody has it, and what was said of the first copy goes for all; but one
 * address of an alias keeps nobody else from the message.
 */
static void
give_up(struct relay *r, const struct onward *copy)
{
	struct relay_answer a = answer_of(copy);

	/* what was said may be of its recipient alone */
	if (onward_is_exploded(copy) || copy->is_each || r->is_unasked)
		return;
	for (struct onward *o = r->next_copy; o != NULL; o = o->next)
		for (size_t k = 0; !onward_is_exploded(o) && k < o->n_rcpts;
		    k++)
			relay_settle(r, o->rcpts[k], &a);
}

void
relay_copy_over(struct relay *r, struct onward *copy)
{
	if (r->is_queued) {
		relay_queue_signed(r, copy);
		return;
	}
	r->n_under_way--;
	for (size_t k = 0; k < copy->n_rcpts; k++)
		if (copy->rcpts[k]->answer.code / 100 == 2)
			r->is_delivered = true;
	onward_close(copy);
	if (!r->is_delivered)
		give_up(r, copy);
	send_some(r);
}
