#include "daemon/relay_state.h"

#include "base/err.h"
#include "daemon/nexthop.h"

/* ---- what is refused before anybody is asked ---- */

static void
refuse(struct relay *r, const struct smtp_path *to, int code,
    const char *enhanced, const char *text)
{
	struct relay_answer a = relay_answer_say(code, enhanced, text);
	char said[700];
	struct buf b = BUF_ON(said);

	relay_log_reject(r, "RCPT", &a, to->raw);
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

	if (inbound_client(r->session)->is_authenticated ||
	    config_nets_hold(l->clients, l->n_clients,
	        inbound_client(r->session)->addr.ip))
		return true;
	if (to->domain.n == 0)		/* <postmaster> */
		return (l->role == ROLE_INBOUND || l->role == ROLE_LIST_IN) &&
		    l->n_domains != 0;
	return !to->is_literal && !is_routed(to->local) &&
	    config_domains_hold(l->domains, l->n_domains, to->domain);
}

/* Who logged in has one connection: copies go over it one after the other. */
static size_t
max_copies(const struct relay *r)
{
	return inbound_client(r->session)->is_authenticated ? 1
	    : r->listener->max_copies;
}

/* Whether one more recipient has room in this transaction. */
static bool
is_full(const struct relay *r)
{
	const struct config_listener *l = r->listener;

	if (r->n_rcpts != 0 && (r->is_single || l->mixed == MIXED_ONE_RCPT))
		return true;
	if (r->is_queued)
		return false;
	/* where we sign each may need a copy of its own: he may be hidden */
	return r->n_rcpts >= max_copies(r) &&
	    decide_may_sign(l, &r->hub->inventory->domains);
}

/* ---- a new recipient ---- */

static void answer(struct relay *r);

/* Keeps what RCPT said. Returns NULL without memory. */
static struct relay_rcpt *
take_down(struct relay *r, const struct smtp_server_rcpt *said)
{
	struct relay_rcpt *rcpt = arena_alloc(r->arena, sizeof(*rcpt));

	if (rcpt == NULL)
		return NULL;
	rcpt->to = said->to;
	rcpt->said.notify = said->notify;
	rcpt->said.orcpt = said->orcpt;
	if (relay_keep_path(r, &rcpt->to) != 0 ||
	    relay_keep(r, &rcpt->said.notify) != 0 ||
	    relay_keep(r, &rcpt->said.orcpt) != 0)
		return NULL;
	if (rewrite_envelope(&rcpt->out, r->listener, &r->mail.from,
	        &rcpt->to, r->arena) != 0)
		return NULL;
	rcpt->said.path = rcpt->out.rcpt_to;
	rcpt->number = r->n_rcpts;
	return rcpt;
}

/* Who goes to the same onward address: he is delivered to once. */
static const struct relay_rcpt *
twin_of(const struct relay *r, const struct relay_rcpt *rcpt)
{
	for (const struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->twin == NULL &&
		    bytes_eq(k->out.rcpt_to, rcpt->out.rcpt_to))
			return k;
	return NULL;
}

static bool
is_like(const struct onward *a, const struct onward *b)
{
	return nexthop_is_same(a->hop, a->domain, b->hop, b->domain) &&
	    bytes_eq(a->mail_from, b->mail_from) &&
	    bytes_eq(a->identity, b->identity);
}

/*
 * The transaction a recipient is asked over.
 *
 * onward   NULL where there would be too many
 * Returns  0 or -E_NOMEM
 */
static int
find_onward(struct relay *r, const struct relay_rcpt *rcpt,
    struct onward **onward)
{
	const struct config_listener *l = r->listener;
	struct bytes domain = dkim2_path_domain(rcpt->out.rcpt_to);
	const struct onward like = {
	    .hop = nexthop_route(l, domain),
	    .domain = domain,
	    .mail_from = rcpt->out.mail_from,
	    .identity = decide_identity(l, &r->hub->inventory->domains,
	        rcpt->to.raw, rcpt->out.mail_from),
	};
	struct onward **at = &r->asked;

	while (*at != NULL && !is_like(*at, &like))
		at = &(*at)->next;
	*onward = NULL;
	if (*at == NULL && !r->is_queued && r->n_asked >= max_copies(r))
		return 0;
	if (*at == NULL) {
		*at = onward_new(r, &like);
		r->n_asked += *at != NULL;
	}
	*onward = *at;
	return *at == NULL ? -E_NOMEM : 0;
}

static void
take(struct relay *r, struct relay_rcpt *rcpt, const struct relay_answer *a)
{
	*r->rcpts_end = rcpt;
	r->rcpts_end = &rcpt->next;
	r->n_rcpts++;
	inbound_answer(r->session, a->code, a->enhanced, a->text);
}

/*
 * Whether answers at the dot might differ from those of the recipients
 * before. Without a memory a client that is then told 451 would double what
 * the others have.
 */
static bool
may_differ(const struct relay *r, const struct onward *o)
{
	return r->n_rcpts != 0 && !relay_remembers(r) &&
	    (o->next != NULL || o != r->asked ||
	    o->hop->scheme == SCHEME_LMTP ||
	    decide_may_sign(r->listener, &r->hub->inventory->domains));
}

/* For the queue the next hop is not asked; what it says is told later. */
static void
take_for_queue(struct relay *r, struct relay_rcpt *rcpt, struct onward *o)
{
	rcpt->onward = o;
	rcpt->state = RCPT_ACCEPTED;
	rcpt->answer = relay_answer_say(250, "2.1.5", "Ok");
	r->asking = rcpt;
	if (relay_remembers(r))
		relay_memory_look(r, rcpt);
	answer(r);
}

static void
ask(struct relay *r, struct relay_rcpt *rcpt)
{
	struct onward *o;

	if (find_onward(r, rcpt, &o) != 0) {
		refuse(r, &rcpt->to, 452, "4.3.1", "Out of memory");
		return;
	}
	if (r->is_queued) {
		take_for_queue(r, rcpt, o);
		return;
	}
	if (o == NULL || may_differ(r, o)) {
		refuse(r, &rcpt->to, 452, "4.5.3", "Not in one transaction "
		    "with the recipients before, send it in its own");
		return;
	}
	if (onward_ask(o, rcpt) != 0) {
		refuse(r, &rcpt->to, 452, "4.3.1", "Out of memory");
		return;
	}
	r->asking = rcpt;
	if (relay_remembers(r))
		relay_memory_look(r, rcpt);
}

void
relay_rcpt(struct relay *r, const struct smtp_server_rcpt *said)
{
	static const struct relay_answer ok = {250, "2.1.5",
	    {(const uint8_t *)"Ok", 2}};
	struct relay_rcpt *rcpt;

	if (is_full(r)) {
		refuse(r, &said->to, 452, "4.5.3", "Too many recipients, send "
		    "the others in a transaction of their own");
		return;
	}
	if (!may_relay(r, &said->to)) {
		refuse(r, &said->to, 554, "5.7.1", "Relay access denied");
		return;
	}
	rcpt = take_down(r, said);
	if (rcpt == NULL) {
		refuse(r, &said->to, 452, "4.3.1", "Out of memory");
		return;
	}
	if (rcpt->out.code != 0) {
		refuse(r, &rcpt->to, rcpt->out.code, rcpt->out.enhanced,
		    rcpt->out.text);
		return;
	}
	rcpt->twin = twin_of(r, rcpt);
	if (rcpt->twin != NULL)
		take(r, rcpt, &ok);
	else
		ask(r, rcpt);
}

/* ---- what came of it ---- */

/*
 * The client's answer to RCPT, once next hop and memory have spoken. Where
 * the memory knows of the recipient, a refusal waits for the dot: the content
 * may be what was delivered before.
 */
static void
answer(struct relay *r)
{
	struct relay_rcpt *rcpt = r->asking;
	struct relay_answer ok = relay_answer_say(250, "2.1.5", "Ok");

	if (rcpt->state == RCPT_ASKED || r->is_looking)
		return;
	r->asking = NULL;
	if (rcpt->state == RCPT_ACCEPTED) {
		take(r, rcpt, &rcpt->answer);
	} else if (rcpt->is_known) {
		take(r, rcpt, &ok);
	} else {
		relay_log_fate(r, rcpt);
		relay_memory_answered(r, rcpt);
		inbound_answer(r->session, rcpt->answer.code,
		    rcpt->answer.enhanced, rcpt->answer.text);
	}
}

void
relay_rcpt_heard(struct relay *r, struct relay_rcpt *rcpt)
{
	if (rcpt == r->asking)
		answer(r);
}

void
relay_rcpt_looked(struct relay *r, const struct memory_reply *reply)
{
	if (!r->is_looking)
		return;
	r->is_looking = false;
	r->is_single = r->is_single || reply->is_single;
	r->asking->is_known = reply->status == MEMORY_KNOWN;
	answer(r);
}

void
relay_onward_lost(struct relay *r, struct onward *o)
{
	struct relay_rcpt *asking = r->asking;

	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next) {
		if (k->onward != o || k->state != RCPT_ACCEPTED)
			continue;
		k->state = RCPT_REFUSED;
		k->answer = relay_answer_say(451, "4.4.2",
		    "The next hop can not be reached now");
	}
	if (asking == NULL || asking->onward != o)
		return;
	asking->state = RCPT_REFUSED;
	asking->answer = relay_answer_say(451, "4.4.1",
	    "The next hop can not be reached now");
	answer(r);
}
