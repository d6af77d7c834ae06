/*
 * Into the queue: the copies are signed, written into one file of the spool,
 * and the queue process is asked to make it safe. Only then is the client
 * told 250 (product.md, promise 1).
 */
#include "daemon/relay_state.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/spool.h"
#include "dkim2/chain.h"
#include "dsn/route.h"

#define SIGN_AT_ONCE 32U

/* ---- whether ------------------------------------------------------------- */

bool
relay_queue_is_for(const struct relay *r)
{
	const struct inbound_client *c = inbound_client(r->session);
	const struct config_listener *l = r->listener;

	return r->hub->queue != NULL &&
	    decide_may_queue(l, &r->hub->inventory->domains,
	        c->is_authenticated || config_nets_hold(l->clients,
	        l->n_clients, c->addr.ip), r->mail.from.raw);
}

/* ---- whom a failure is told to ------------------------------------------- */

static bool
has_key(void *arg, struct bytes domain)
{
	const struct signer_inventory *inventory = arg;
	const struct signer_key *first;

	return signer_inventory_find(inventory, domain, &first) != 0;
}

/*
 * Of a chain that came to us: mf= of its top signature, as a domain that the
 * recipients' side allows (protocol.md K1-K5), where that envelope is the one
 * it came with.
 *
 * Returns  NULL, or why nobody is told
 */
static const char *
find_chain_report(struct relay *r, const struct dkim2_result *result,
    struct bytes *to, struct bytes *as)
{
	const struct dkim2_signature_result *top;
	struct dsn_route_facts facts = {.message = &r->message};
	enum dsn_bar bar;

	if (result == NULL || result->n_signatures == 0)
		return "it came without a chain that was verified";
	top = &result->signatures[result->n_signatures - 1];
	facts.mail_from = top->mf;
	facts.has_nd = top->nd.p != NULL;
	facts.is_vouched = result->provisional.state == DKIM2_PASS &&
	    result->condition != DKIM2_LEFT;
	bar = dsn_route_forbids(&facts);
	if (bar != DSN_BAR_NONE)
		return dsn_bar_text(bar);
	if (!chain_path_eq(top->mf, r->mail.from.raw))
		return "it came with another MAIL FROM than its chain has";
	*to = top->mf;
	if (dsn_route_domain(as, top->rt, top->n_rt, has_key,
	    (void *)(uintptr_t)r->hub->inventory, r->arena) != 0 || as->n == 0)
		return "no key is of a domain that it was sent to";
	return NULL;
}

/* Likewise; of our own clients' mail MAIL FROM, which is of our domains. */
static const char *
find_report(struct relay *r, const struct dkim2_result *result,
    struct bytes *to, struct bytes *as)
{
	const struct dsn_route_facts facts = {
	    .mail_from = r->mail.from.raw,
	    .is_vouched = true,
	    .message = &r->message,
	};
	struct bytes domain = dkim2_path_domain(facts.mail_from);
	enum dsn_bar bar;

	if (r->listener->role == ROLE_FORWARD)
		return find_chain_report(r, result, to, as);
	bar = dsn_route_forbids(&facts);
	if (bar != DSN_BAR_NONE)
		return dsn_bar_text(bar);
	*to = facts.mail_from;
	*as = keydir_cover(&r->hub->inventory->domains, &domain, 1);
	if (as->n == 0) {	/* nobody signed what it returns: any may */
		domain = bytes_of(r->hub->config->hostname);
		*as = keydir_cover(&r->hub->inventory->domains, &domain, 1);
	}
	return NULL;
}

bool
relay_queue_may_not(const struct relay *r)
{
	return r->listener->role == ROLE_FORWARD;
}

void
relay_queue_or_through(struct relay *r, const struct dkim2_result *result)
{
	struct bytes to, as;
	const char *why;

	if (!r->is_queued || !relay_queue_may_not(r))
		return;
	why = find_report(r, result, &to, &as);
	if (why == NULL)
		return;
	log_line(LOG_NOTICE_, "%s: not queued: a failure could not be "
	    "reported: %s", r->id, why);
	r->is_queued = false;
	r->is_unasked = true;
	relay_log_envelope(r);
}

bool
relay_queue_has_room(const struct relay *r, uint64_t octets)
{
	return spool_has_room(r->hub->env->state_fd, octets,
	    r->hub->config->queue_min_free);
}

/* ---- the end ------------------------------------------------------------- */

/* The same answer for all who have none. */
static void
settle_rest(struct relay *r, const struct relay_answer *a)
{
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->state != RCPT_SETTLED && k->twin == NULL)
			relay_settle(r, k, a);
}

static void
conclude_with(struct relay *r, const struct relay_answer *a)
{
	settle_rest(r, a);
	relay_conclude(r);
}

static void
conclude_saying(struct relay *r, int code, const char *enhanced,
    const char *text)
{
	struct relay_answer a = relay_answer_say(code, enhanced, text);

	conclude_with(r, &a);
}

/* ---- the file ------------------------------------------------------------ */

/* Whether a copy is to be stored: its recipients have no answer yet. */
static bool
is_open(const struct onward *copy)
{
	return copy->rcpts[0]->state != RCPT_SETTLED;
}

static const struct onward *
first_open(const struct relay *r)
{
	const struct onward *o = r->copies;

	while (o != NULL && !is_open(o))
		o = o->next;
	return o;
}

/*
 * The content is kept once for all copies. Where they have not all the same
 * header (one could not be signed, and keeps its From), each has its own in
 * what it adds.
 */
static void
part_headers(struct relay *r)
{
	const struct onward *first = first_open(r);
	bool is_same = true;

	for (const struct onward *o = first; o != NULL; o = o->next)
		is_same = is_same && (!is_open(o) ||
		    o->pieces[ONWARD_CONTENT].p ==
		        first->pieces[ONWARD_CONTENT].p);
	for (struct onward *o = r->copies; o != NULL && !is_same;
	    o = o->next) {
		/* what is repaired has no other header */
		assert(o->pieces[ONWARD_CONTENT - 1].n == 0);
		o->pieces[ONWARD_CONTENT - 1] = o->pieces[ONWARD_CONTENT];
		o->pieces[ONWARD_CONTENT] = (struct bytes){NULL, 0};
	}
}

static int
describe_copy(struct relay *r, const struct onward *o, struct queue_copy *c)
{
	c->mail_from = o->mail_from;
	c->signed_as = bytes_of(o->signed_as);
	for (size_t k = 0; k < ONWARD_CONTENT; k++)
		c->added.n += o->pieces[k].n;
	c->rcpts = arena_array(r->arena, o->n_rcpts, sizeof(*c->rcpts));
	if (c->rcpts == NULL)
		return -E_NOMEM;
	for (; c->n_rcpts < o->n_rcpts; c->n_rcpts++) {
		const struct relay_rcpt *k = o->rcpts[c->n_rcpts];

		c->rcpts[c->n_rcpts] = (struct queue_rcpt){
		    .status = QUEUE_WAITING,
		    .due_s = loop_time_s(r->hub->loop),
		    .path = k->out.rcpt_to,
		    .to = k->told_as,
		    .notify = k->said.notify,
		    .orcpt = k->said.orcpt,
		};
	}
	return 0;
}

/*
 * Whom a failure is told to, and as whom (product.md, Fail well).
 */
static void
describe_report(struct relay *r, struct queue_message *m)
{
	struct bytes to, as;
	const char *why = find_report(r, relay_result(r), &to, &as);

	if (why != NULL) {
		m->report_why = bytes_of(why);
		return;
	}
	m->report_to = to;
	m->report_as = as;
}

/* The header as it came: in the content, or behind it. */
static void
describe_returned(const struct relay *r, const struct onward *first,
    struct queue_message *m)
{
	struct bytes header = first->pieces[ONWARD_CONTENT];

	m->body_at = m->n_content - first->pieces[ONWARD_PIECES - 1].n;
	if (header.p != content_block(&r->content).p)
		m->n_returned = content_block(&r->content).n;
}

/*
 * What the head of the file says.
 *
 * text     room for the client's name
 * n_added  set to the octets that all copies add
 */
static int
describe(struct relay *r, struct queue_message *m, struct buf *text,
    uint64_t *n_added)
{
	const struct inbound_client *c = inbound_client(r->session);
	const struct onward *first = NULL;
	int error = 0;

	part_headers(r);
	buf_printf(text, "[%s]:%u", c->ip, c->addr.port);
	*m = (struct queue_message){
	    .id = bytes_of(r->id),
	    .listener = bytes_of(r->listener->name),
	    .arrived_s = loop_time_s(r->hub->loop),
	    .client = buf_bytes(text),
	    .mail_from = r->mail.from.raw,
	    .ret = r->mail.ret,
	    .envid = r->mail.envid,
	    .digest = r->digest,
	    .is_8bit = r->is_8bit,
	    .is_utf8 = r->mail.is_utf8,
	    .is_held = r->held_why != NULL,
	};
	m->signed_s = m->arrived_s;
	for (const struct onward *o = r->copies; o != NULL; o = o->next)
		m->n_copies += is_open(o);
	m->copies = arena_array(r->arena, m->n_copies, sizeof(*m->copies));
	if (m->copies == NULL)
		return -E_NOMEM;
	*n_added = 0;
	m->n_copies = 0;
	for (const struct onward *o = r->copies; o != NULL && error == 0;
	    o = o->next) {
		if (!is_open(o))
			continue;
		first = o;
		error = describe_copy(r, o, &m->copies[m->n_copies]);
		*n_added += m->copies[m->n_copies++].added.n;
		if (o->sign != NULL && o->value.time_s < m->signed_s)
			m->signed_s = o->value.time_s;
	}
	for (size_t k = ONWARD_CONTENT; k < ONWARD_PIECES; k++)
		m->n_content += first->pieces[k].n;
	describe_report(r, m);
	describe_returned(r, first, m);
	return error;
}

/* Head, what each copy adds, content, the header as it came where that is
 * another. Returns NULL without memory. */
static struct bytes *
list_pieces(struct relay *r, struct bytes head,
    const struct queue_message *m, size_t *n)
{
	struct bytes *list = arena_array(r->arena, 2 +
	    ONWARD_CONTENT * m->n_copies + ONWARD_PIECES, sizeof(*list));
	const struct onward *last = NULL;

	*n = 0;
	if (list == NULL)
		return NULL;
	list[(*n)++] = head;
	for (const struct onward *o = r->copies; o != NULL; o = o->next) {
		if (!is_open(o))
			continue;
		for (size_t k = 0; k < ONWARD_CONTENT; k++)
			if (o->pieces[k].n != 0)
				list[(*n)++] = o->pieces[k];
		last = o;
	}
	for (size_t k = ONWARD_CONTENT; k < ONWARD_PIECES; k++)
		if (last->pieces[k].n != 0)
			list[(*n)++] = last->pieces[k];
	if (m->n_returned != 0)
		list[(*n)++] = content_block(&r->content);
	return list;
}

/* What could not be written, as the client is told. */
static struct relay_answer
answer_for(const struct relay *r, int error)
{
	int why = errno;

	if (error == -E_NOMEM)
		return relay_answer_say(452, "4.3.1", "Out of memory");
	if (error == -E_LIMIT)
		return relay_answer_say(552, "5.3.4",
		    "The envelope is too long for the queue");
	if (error == -E_SYNTAX)
		return relay_answer_say(550, "5.5.2",
		    "The envelope has octets that can not be queued");
	errno = why;
	log_line(LOG_ERROR_, "%s: writing to the queue failed: %m", r->id);
	if (why == ENOSPC || why == EDQUOT)
		return relay_answer_say(452, "4.3.1",
		    "No room in the queue now");
	return relay_answer_say(451, "4.3.0",
	    "The message can not be queued now");
}

/* Writes the file, of which nobody knows yet. 0 or -E_*; errno. */
static int
write_file(struct relay *r, const struct queue_message *m, uint64_t n_added)
{
	struct buf head = {.cap = queue_file_room(m)};
	struct bytes *list;
	size_t n;
	int error, why;

	head.p = malloc(head.cap);
	if (head.p == NULL)
		return -E_NOMEM;
	error = queue_file_write(m, &head);
	list = list_pieces(r, buf_bytes(&head), m, &n);
	if (error == 0 && list == NULL)
		error = -E_NOMEM;
	if (error == 0 && !relay_queue_has_room(r, head.n + n_added +
	    m->n_content + m->n_returned)) {
		errno = ENOSPC;
		error = -E_SYSTEM;
	}
	if (error == 0)
		error = spool_write(r->hub->env->state_fd, r->id, list, n);
	why = errno;
	free(head.p);
	errno = why;
	return error;
}

/* Every copy is signed, or its recipients have their answers. */
static void
store(struct relay *r)
{
	char octets[100];
	struct buf text = BUF_ON(octets);
	struct queue_message m;
	struct relay_answer a;
	uint64_t n_added;
	int error = describe(r, &m, &text, &n_added);

	if (error == 0)
		error = write_file(r, &m, n_added);
	if (error != 0) {
		a = answer_for(r, error);
		conclude_with(r, &a);
		return;
	}
	r->state = RELAY_COMMITTING;
	if (queue_link_commit(r->hub->queue, r->id, r->tag) == 0)
		return;
	(void)spool_take_back(r->hub->env->state_fd, r->id);
	conclude_saying(r, 452, "4.3.1", "Out of memory");
}

void
relay_queue_answer(struct relay *r, enum queue_answer answer)
{
	char octets[64];
	struct buf text = BUF_ON(octets);
	struct bytes kept;

	if (r->state != RELAY_COMMITTING)
		return;
	if (answer == QUEUE_FULL) {
		conclude_saying(r, 452, "4.3.1", "No room in the queue now");
		return;
	}
	if (answer == QUEUE_BROKEN) {
		metrics_count(METRIC_OUTAGES, BEHIND_QUEUE, 0);
		conclude_saying(r, 451, "4.3.0",
		    "The message can not be queued now");
		return;
	}
	if (r->held_why != NULL)
		log_line(LOG_WARNING_, "%s: ALARM: a bounce of the server "
		    "behind us is held: %s; hopseal queue show %s", r->id,
		    r->held_why, r->id);
	buf_printf(&text, "Ok: queued as %s", r->id);
	buf_add_octet(&text, '\0');
	kept = arena_copy(r->arena, buf_bytes(&text));
	conclude_saying(r, 250, "2.0.0", kept.p == NULL ? "Ok" :
	    (const char *)kept.p);
}

bool
relay_queue_take_back(struct relay *r)
{
	queue_link_forget(r->hub->queue, r->tag);
	return spool_take_back(r->hub->env->state_fd, r->id);
}

/* ---- signing ------------------------------------------------------------- */

static void
sign_some(struct relay *r)
{
	bool has_open = false;

	while (r->next_copy != NULL && r->n_under_way < SIGN_AT_ONCE) {
		struct onward *copy = r->next_copy;

		r->next_copy = copy->next;
		r->n_under_way++;
		onward_send(copy);	/* relay_queue_signed() comes later */
	}
	if (r->n_under_way != 0)
		return;
	for (const struct onward *o = r->copies; o != NULL; o = o->next)
		has_open = has_open || is_open(o);
	if (has_open)
		store(r);
	else
		relay_conclude(r);
}

void
relay_queue(struct relay *r)
{
	r->state = RELAY_SIGNING;
	r->next_copy = r->copies;
	sign_some(r);
}

/*
 * Nothing is stored where a copy can not be signed now, since the client is
 * to come again with all of it; nor where a rule forbids one and there is no
 * memory that would keep the others from being doubled then.
 */
void
relay_queue_signed(struct relay *r, struct onward *copy)
{
	const struct relay_answer a = copy->rcpts[0]->answer;

	if (r->state != RELAY_SIGNING)
		return;
	r->n_under_way--;
	if (!is_open(copy) && (a.code / 100 == 4 || !relay_remembers(r))) {
		r->next_copy = NULL;
		conclude_with(r, &a);
		return;
	}
	onward_close(copy);
	sign_some(r);
}
