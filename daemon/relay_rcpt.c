#include "daemon/relay_state.h"

#include "base/err.h"
#include "daemon/nexthop.h"
#include "dkim2/idn.h"

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

	if (relay_is_return(r))
		return true;
	if (r->n_rcpts != 0 && (r->is_single || l->mixed == MIXED_ONE_RCPT))
		return true;
	if (r->is_queued && !relay_queue_may_not(r))
		return false;
	/* where we sign each may need a copy of its own: he may be hidden */
	return r->n_rcpts >= max_copies(r) &&
	    decide_may_sign(l, &r->hub->inventory->domains);
}

/* ---- what two ask for who are one onward ---- */

enum {
	ASKS_SUCCESS = 1,
	ASKS_FAILURE = 2,
	ASKS_DELAY = 4,
};

/* By what is asked for. */
static const char *const notifies[] = {
	"NEVER", "SUCCESS", "FAILURE", "SUCCESS,FAILURE", "DELAY",
	"SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY",
};

/* What NOTIFY asks for; where it is not said, see RFC 3461 4.1. */
static unsigned
asks(struct bytes notify)
{
	unsigned asked = 0;

	if (notify.n == 0)
		return ASKS_FAILURE | ASKS_DELAY;
	while (notify.n != 0) {
		struct bytes word = bytes_cut(&notify, ',');

		for (unsigned k = ASKS_SUCCESS; k <= ASKS_DELAY; k <<= 1)
			if (bytes_case_eq(word, bytes_of(notifies[k])))
				asked |= k;
	}
	return asked;
}

/*
 * A recipient is told of as its twin wants it, too. Reports name the first who
 * asks for those of failures, and nobody who said NEVER.
 */
static void
ask_more(struct relay_rcpt *rcpt, const struct relay_rcpt *twin)
{
	unsigned was = asks(rcpt->said.notify);
	unsigned all = was | asks(twin->said.notify);

	if (all == was)
		return;
	rcpt->said.notify = bytes_of(notifies[all]);
	rcpt->asked_in = 0;	/* the next hop heard less */
	if (was != 0 && (all & ~was & ASKS_FAILURE) == 0)
		return;
	rcpt->said.orcpt = twin->said.orcpt;
	rcpt->told_as = twin->to.raw;
}

/* ---- a new recipient ---- */

static void answer(struct relay *r);
static void conclude(struct relay *r);

/* NOTIFY without SUCCESS, which an alias passes on to one address alone. */
static int
without_success(struct relay *r, struct bytes *notify)
{
	struct bytes rest = *notify;
	struct buf left;

	if (notify->n == 0)
		return 0;
	if (arena_buf(r->arena, notify->n + 8, &left) != 0)
		return -E_NOMEM;
	while (rest.p != NULL) {
		struct bytes word = bytes_cut(&rest, ',');

		if (bytes_case_eq(word, BYTES_LIT("SUCCESS")))
			continue;
		buf_add_str(&left, left.n == 0 ? "" : ",");
		buf_add(&left, word);
	}
	if (left.n == 0)
		buf_add_str(&left, "NEVER");
	*notify = buf_bytes(&left);
	return 0;
}

/*
 * The other addresses that an alias leads to, behind the first. What the
 * client wants to know of failures is asked for each, of success for the
 * first: so one report comes, and we need not make one (RFC 3461 5.2.7.3).
 */
static int
spread(struct relay *r, struct relay_rcpt *first)
{
	struct outbound_rcpt said = first->said;
	struct relay_rcpt **end = &first->next;

	first->first = first;
	first->n_of = first->out.n_rcpts;
	if (first->n_of > 1 && without_success(r, &said.notify) != 0)
		return -E_NOMEM;
	for (size_t k = 1; k < first->n_of; k++) {
		struct relay_rcpt *rcpt = arena_alloc(r->arena,
		    sizeof(*rcpt));

		if (rcpt == NULL)
			return -E_NOMEM;
		*rcpt = *first;
		rcpt->next = NULL;
		rcpt->number += (unsigned)k;
		rcpt->out.rcpt_to = first->out.rcpts[k];
		rcpt->said = said;
		rcpt->said.path = rcpt->out.rcpt_to;
		*end = rcpt;
		end = &rcpt->next;
	}
	return 0;
}

static void
keep_return(void *arg, const uint8_t id[SMTP_TOKEN_ID], struct bytes path)
{
	memory_return_keep(arg, id, path);
}

struct rewrite_with
relay_rewrite_with(const struct relay *r, int64_t now_s)
{
	_Static_assert(MEMORY_RETURN_ID == SMTP_TOKEN_ID, "");
	return (struct rewrite_with){&r->hub->secrets, now_s, keep_return,
	    r->hub->memory};
}

/* Whether what is sent may be a report, on which there is none: one that we make of it, or pass on. */
static bool
may_report(const struct relay *r, const struct relay_rcpt *rcpt)
{
	return rcpt->out.is_return || (r->mail.from.is_null &&
	    config_role_originates(r->listener->role));
}

/* Keeps what RCPT said. Returns NULL without memory. */
static struct relay_rcpt *
take_down(struct relay *r, const struct smtp_server_rcpt *said)
{
	struct relay_rcpt *rcpt = arena_alloc(r->arena, sizeof(*rcpt));
	const struct rewrite_with with = relay_rewrite_with(r,
	    loop_time_s(r->hub->loop));

	if (rcpt == NULL)
		return NULL;
	rcpt->to = said->to;
	rcpt->said.notify = said->notify;
	rcpt->said.orcpt = said->orcpt;
	if (relay_keep_path(r, &rcpt->to) != 0 ||
	    relay_keep(r, &rcpt->said.notify) != 0 ||
	    relay_keep(r, &rcpt->said.orcpt) != 0)
		return NULL;
	if (rewrite_envelope(&rcpt->out, r->listener, &with,
	        &r->mail.from, &rcpt->to, r->arena) != 0)
		return NULL;
	rcpt->told_as = rcpt->to.raw;
	rcpt->said.path = rcpt->out.rcpt_to;
	if (rcpt->out.is_return)
		rcpt->said.orcpt = (struct bytes){NULL, 0};	/* it is ours */
	if (may_report(r, rcpt))
		rcpt->said.notify = BYTES_LIT("NEVER");
	rcpt->number = r->n_rcpts;
	return spread(r, rcpt) != 0 ? NULL : rcpt;
}

/* Whether all that an RCPT became have room in this transaction. */
static bool
has_room(const struct relay *r, const struct relay_rcpt *first)
{
	size_t n = r->n_rcpts + first->n_of;

	if (first->n_of == 1)
		return true;		/* is_full() said so */
	return n <= r->listener->max_recipients && n <= max_copies(r);
}

/* What From would become for a recipient: the address it came to. */
static struct bytes
from_address(const struct config_listener *l, const struct relay_rcpt *rcpt)
{
	const struct smtp_path *to = &rcpt->to;

	if (l->role != ROLE_FORWARD || l->from_rewrite == FROM_REWRITE_NEVER ||
	    to->domain.n == 0 || to->is_literal ||
	    !config_domains_hold(l->domains, l->n_domains, to->domain))
		return (struct bytes){NULL, 0};
	return bytes_between(to->local.p, to->domain.p + to->domain.n);
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
	const struct config_listener *way = rcpt->out.is_return
	    ? relay_return_way(r) : l;
	struct bytes domain = dkim2_path_domain(rcpt->out.rcpt_to);
	struct onward like = {
	    .way = way,
	    .hop = nexthop_route(way, domain),
	    .is_return = rcpt->out.is_return,
	    .domain = domain,
	    .mail_from = rcpt->out.mail_from,
	    .identity = decide_identity(l, &r->hub->inventory->domains,
	        rcpt->to.raw, rcpt->out.mail_from),
	    .before = decide_before(l, &r->hub->inventory->domains,
	        rcpt->to.raw, rcpt->out.mail_from),
	    .from_address = from_address(l, rcpt),
	};
	struct onward *o = relay_index_onward(r, &like);

	*onward = o;
	if (o != NULL || ((!r->is_queued || relay_queue_may_not(r)) &&
	    r->n_asked >= max_copies(r)))
		return 0;
	o = onward_new(r, &like);
	if (o == NULL)
		return -E_NOMEM;
	relay_index_asked(r, o);
	*onward = o;
	return 0;
}

static void
take(struct relay *r, struct relay_rcpt *first, const struct relay_answer *a)
{
	*r->rcpts_end = first;
	while (*r->rcpts_end != NULL) {
		struct relay_rcpt *rcpt = *r->rcpts_end;

		if (rcpt->twin == NULL)
			relay_index_rcpt(r, rcpt);
		else
			ask_more(rcpt->twin, rcpt);
		r->rcpts_end = &rcpt->next;
	}
	r->n_rcpts += (unsigned)first->n_of;
	r->n_said++;
	inbound_answer(r->session, a->code, a->enhanced, a->text);
}

/* Ours, for an RCPT whose recipients can not be asked for now. */
static void
refuse_said(struct relay *r, int code, const char *enhanced, const char *text)
{
	const struct relay_rcpt *first = r->said;

	r->said = NULL;
	refuse(r, &first->to, code, enhanced, text);
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
		refuse_said(r, 452, "4.3.1", "Out of memory");
		return;
	}
	if (o == NULL || ((!r->is_queued || relay_queue_may_not(r)) &&
	    may_differ(r, o))) {
		refuse_said(r, 452, "4.5.3", "Not in one transaction "
		    "with the recipients before, send it in its own");
		return;
	}
	if (r->is_queued) {
		take_for_queue(r, rcpt, o);
		return;
	}
	if (onward_ask(o, rcpt) != 0) {
		refuse_said(r, 452, "4.3.1", "Out of memory");
		return;
	}
	r->asking = rcpt;
	if (relay_remembers(r))
		relay_memory_look(r, rcpt);
}

/* Asks for the first of the rest of an RCPT's that nobody was asked for. */
static void
ask_rest(struct relay *r, struct relay_rcpt *rcpt)
{
	for (; rcpt != NULL; rcpt = rcpt->next) {
		rcpt->twin = relay_index_twin(r, rcpt);
		if (rcpt->twin == NULL) {
			ask(r, rcpt);
			return;
		}
	}
	conclude(r);
}

void
relay_rcpt(struct relay *r, const struct smtp_server_rcpt *said)
{
	static const char too_many[] = "Too many recipients, send "
	    "the others in a transaction of their own";
	struct relay_rcpt *rcpt;

	if (is_full(r)) {
		refuse(r, &said->to, 452, "4.5.3", too_many);
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
	if (!has_room(r, rcpt) || (rcpt->out.is_return && r->n_rcpts != 0)) {
		refuse(r, &rcpt->to, 452, "4.5.3", too_many);
		return;
	}
	r->said = rcpt;
	if (rcpt->out.is_token && rcpt->out.is_return)
		relay_return_ask(r);
	else
		ask_rest(r, rcpt);
}

void
relay_rcpt_returned(struct relay *r, const struct memory_reply *reply)
{
	struct relay_rcpt *rcpt = r->said;

	r->is_returning = false;
	if (reply->status == MEMORY_OUT)
		refuse_said(r, 451, "4.3.0", "Where mail to this return "
		    "address belongs can not be looked up now");
	else if (reply->status != MEMORY_KNOWN)
		refuse_said(r, 550, "5.1.1", "Where mail to this return "
		    "address belongs is not known any more");
	else if (rewrite_returned(&rcpt->out, reply->value, r->arena) != 0)
		refuse_said(r, 452, "4.3.1", "Out of memory");
	else if (rcpt->out.code != 0)
		refuse_said(r, rcpt->out.code, rcpt->out.enhanced,
		    rcpt->out.text);
	else if (!r->mail.is_utf8 && !idn_is_ascii(rcpt->out.rcpt_to))
		refuse_said(r, 550, "5.6.7", "Mail to this return address "
		    "needs SMTPUTF8");
	else {
		rcpt->said.path = rcpt->out.rcpt_to;
		ask_rest(r, rcpt);
	}
}

/* ---- what came of it ---- */

struct relay_rcpt *
relay_next_said(const struct relay_rcpt *rcpt)
{
	struct relay_rcpt *next = rcpt->next;

	while (next != NULL && next->first != next)
		next = next->next;
	return next;
}

struct relay_answer
relay_answer_said(const struct relay_rcpt *first,
    const struct relay_answer *late)
{
	const struct relay_answer *out = NULL;

	for (const struct relay_rcpt *k = first;
	    k != NULL && k->first == first; k = k->next) {
		const struct relay_answer *a = k->state == RCPT_SETTLED
		    ? &k->answer : late;

		if (out == NULL || relay_answer_counts_more(a, out))
			out = a;
	}
	return *out;
}

const struct relay_answer *
relay_answer_lost(const struct relay *r)
{
	const struct relay_answer *out = &r->rcpts->answer;

	for (const struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->twin == NULL &&
		    relay_answer_counts_more(&k->answer, out))
			out = &k->answer;
	return out;
}

/*
 * Whether a recipient may get the message, or has it. Where the memory knows
 * of one, a refusal waits for the dot: the content may be what was delivered
 * before.
 */
static bool
is_promising(const struct relay_rcpt *rcpt)
{
	if (rcpt->twin != NULL)
		rcpt = rcpt->twin;
	return rcpt->state == RCPT_ACCEPTED || rcpt->is_known;
}

/*
 * None of an RCPT's recipients will get it.
 *
 * why      the answer of those who might have
 */
static void
refuse_each(struct relay *r, struct relay_rcpt *first,
    const struct relay_answer *why)
{
	struct relay_answer a;

	for (struct relay_rcpt *k = first; k != NULL; k = k->next) {
		if (is_promising(k))
			k->answer = *why;
		else if (k->twin != NULL)
			k->answer = k->twin->answer;
		else
			relay_memory_answered(r, k);
		k->state = RCPT_SETTLED;
		relay_log_fate(r, k);
	}
	a = relay_answer_said(first, &first->answer);
	inbound_answer(r->session, a.code, a.enhanced, a.text);
}

/*
 * The client's answer to RCPT. An alias is taken where one of its addresses
 * is; what the others said is told at the dot, when these have the message:
 * then the client's retry, or its report, is for the others alone. Where the
 * memory is out, each retry would double what they have: all wait.
 */
static void
conclude(struct relay *r)
{
	struct relay_answer ok = relay_answer_say(250, "2.1.5", "Ok");
	const struct relay_answer *why = NULL;
	struct relay_rcpt *first = r->said;
	bool is_promised = false;

	r->said = NULL;
	for (const struct relay_rcpt *k = first; k != NULL; k = k->next) {
		const struct relay_rcpt *its = k->twin != NULL ? k->twin : k;

		if (is_promising(k))
			is_promised = true;
		else if (its->answer.code / 100 == 4)
			why = &its->answer;
	}
	if (!is_promised || (r->is_forgetful && why != NULL))
		refuse_each(r, first, why);
	else if (first->n_of == 1 && first->state == RCPT_ACCEPTED)
		take(r, first, &first->answer);
	else
		take(r, first, &ok);
}

/* Next hop and memory have spoken: asks for the next one of the same RCPT. */
static void
answer(struct relay *r)
{
	struct relay_rcpt *rcpt = r->asking;

	if (rcpt->state == RCPT_ASKED || r->is_looking)
		return;
	r->asking = NULL;
	ask_rest(r, rcpt->next);
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
	r->is_forgetful = r->is_forgetful || reply->status == MEMORY_OUT;
	r->asking->is_known = reply->status == MEMORY_KNOWN;
	answer(r);
}

static void
lose(struct relay_rcpt *rcpts, const struct onward *o)
{
	for (struct relay_rcpt *k = rcpts; k != NULL; k = k->next) {
		if (k->onward != o || k->state != RCPT_ACCEPTED)
			continue;
		k->state = RCPT_REFUSED;
		k->answer = relay_answer_say(451, "4.4.2",
		    "The next hop can not be reached now");
	}
}

void
relay_onward_lost(struct relay *r, struct onward *o)
{
	struct relay_rcpt *asking = r->asking;

	lose(r->rcpts, o);
	lose(r->said, o);
	if (asking == NULL || asking->onward != o)
		return;
	asking->state = RCPT_REFUSED;
	asking->answer = relay_answer_say(451, "4.4.1",
	    "The next hop can not be reached now");
	answer(r);
}
