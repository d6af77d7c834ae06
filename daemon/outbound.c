#include "daemon/outbound_state.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/inbound.h"

/* The link's views end with its next reply; ours with the next call. */
void
outbound_keep_reply(struct outbound *o, const struct smtp_reply *from)
{
	struct smtp_reply *to = &o->result.reply;
	struct buf text = BUF_ON(o->kept);
	struct buf enhanced = BUF_ON(o->kept_enhanced);

	buf_add(&text, bytes_first(from->text, sizeof(o->kept)));
	buf_add(&enhanced,
	    bytes_first(from->enhanced, sizeof(o->kept_enhanced)));
	to->code = from->code;
	to->text = buf_bytes(&text);
	to->enhanced = buf_bytes(&enhanced);
}

/* Between transactions a link is the pool's, but for one of our own. */
static void
release(struct outbound *o, bool keep)
{
	if (o->link == NULL)
		return;
	if (!keep)
		link_close(&o->link);
	else if (o->wait.is_shared)
		pool_give(o->hub->pool, &o->link);
	else if (!o->link->is_resetting)
		conn_deadline(o->link->conn, 0);
}

void
outbound_finish(struct outbound *o, enum outbound_event what, bool keep)
{
	o->state = OUTBOUND_IDLE;
	release(o, keep);
	if (o->call != NULL)
		o->call(o->arg, what);
}

/* ---- beginning and end ---- */

/* After outbound_rcpt(), outbound_send() or a grant, not inside of it. */
static void
on_soon(void *arg)
{
	struct outbound *o = arg;

	if (o->state == OUTBOUND_ASKING)
		outbound_go_on(o);
	else if (o->state == OUTBOUND_BEGUN)
		outbound_connect(o);
	else if (o->state == OUTBOUND_WAITING && o->wait.queue == NULL)
		outbound_granted(o);
}

static void
on_granted(void *arg)
{
	struct outbound *o = arg;

	loop_timer_start(o->soon, 0);
}

static void
set_endpoint(struct smtp_endpoint *e, const struct config_addr *a,
    char text[ADDR_TEXT_MAX])
{
	memcpy(e->ip, a->ip, sizeof(e->ip));
	e->port = a->port;
	addr_text(a, text);
	e->text = text;
}

static struct outbound_identity *
identity_of(const struct inbound_client *c)
{
	struct outbound_identity *d = calloc(1, sizeof(*d));
	struct buf helo;

	if (d == NULL)
		return NULL;
	helo = BUF_ON(d->helo);
	set_endpoint(&d->who.from, &c->addr, d->from);
	set_endpoint(&d->who.to, &c->local, d->to);
	buf_add(&helo, c->helo);
	d->who.helo = buf_bytes(&helo);
	d->who.proto = c->is_esmtp ? "ESMTP" : "SMTP";
	return d;
}

static void
destroy(void *arg)
{
	struct outbound *o = arg;

	loop_timer_free(&o->soon);
	loop_timer_free(&o->patience);
	sodium_free(o->secret);
	free(o->identity);
	free(o->asked);
	free(o);
}

/* In memory of their own, as long as connections are made with it. */
static bool
copy_login(struct outbound *o, const struct login *l)
{
	o->secret = sodium_malloc(l->user.n + l->password.n);
	if (o->secret == NULL)
		return false;
	memcpy(o->secret, l->user.p, l->user.n);
	memcpy(o->secret + l->user.n, l->password.p, l->password.n);
	o->login.user = (struct bytes){o->secret, l->user.n};
	o->login.password = (struct bytes){o->secret + l->user.n,
	    l->password.n};
	return true;
}

static bool
prepare(struct outbound *o, const struct outbound_destination *to)
{
	struct buf domain = BUF_ON(o->domain_octets);
	bool is_passed = o->listener->pass_client != PASS_NONE;

	buf_add(&domain, to->domain);
	o->domain = buf_bytes(&domain);
	o->wait.is_shared = !is_passed && to->login == NULL;
	o->wait.call = outbound_on_link;
	o->wait.granted = on_granted;
	o->wait.arg = o;
	if (is_passed && to->client != NULL) {
		o->identity = identity_of(to->client);
		if (o->identity == NULL)
			return false;
	}
	if (to->login != NULL && !copy_login(o, to->login))
		return false;
	o->soon = loop_timer_new(o->hub->loop, on_soon, o);
	o->patience = loop_timer_new(o->hub->loop, outbound_is_impatient, o);
	return o->soon != NULL && o->patience != NULL &&
	    slots_take(&o->hub->slots, o, &o->tag);
}

struct outbound *
outbound_new(struct hub *h, const struct config_listener *l,
    const struct outbound_destination *to)
{
	struct outbound *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->hub = h;
	o->listener = l;
	o->hop = to->hop;
	if (!prepare(o, to)) {
		destroy(o);
		return NULL;
	}
	return o;
}

static void
forget_said(struct outbound *o)
{
	for (size_t k = 0; k < o->n_asked; k++)
		free(o->asked[k].said);
	o->n_asked = 0;
}

void
outbound_free(struct outbound **op)
{
	struct outbound *o = *op;

	*op = NULL;
	if (o == NULL || o->state == OUTBOUND_DEAD)
		return;
	outbound_abort(o);
	link_close(&o->link);
	forget_said(o);
	loop_timer_stop(o->soon);
	slots_leave(&o->hub->slots, o->tag);
	o->state = OUTBOUND_DEAD;
	loop_defer(o->hub->loop, &o->deferred, destroy, o);
}

void
outbound_watch(struct outbound *o, bool is_watched)
{
	o->is_watched = is_watched;
	if (o->link != NULL)
		o->link->is_watched = is_watched;
}

void
outbound_owner(struct outbound *o, outbound_call *call, void *arg)
{
	o->call = call;
	o->arg = arg;
}

/* ---- a transaction ---- */

void
outbound_begin(struct outbound *o, const struct outbound_mail *mail)
{
	assert(o->state == OUTBOUND_IDLE);
	o->state = OUTBOUND_BEGUN;
	o->mail = *mail;
	forget_said(o);
	o->n_accepted = 0;
	o->is_to_send = false;
	o->is_probe = false;
	o->reconnects = 0;
	o->result = (struct outbound_result){0};
}

void
outbound_probe(struct outbound *o)
{
	const struct outbound_mail none = {.size = 0};

	outbound_begin(o, &none);
	o->is_probe = true;
	loop_timer_start(o->soon, 0);
}

bool
outbound_rcpt(struct outbound *o, const struct outbound_rcpt *rcpt)
{
	if (o->n_asked == o->cap_asked) {
		size_t cap = o->cap_asked == 0 ? 4 : 2 * o->cap_asked;
		struct outbound_asked *more = reallocarray(o->asked, cap,
		    sizeof(*more));

		if (more == NULL)
			return false;
		o->asked = more;
		o->cap_asked = cap;
	}
	o->asked[o->n_asked++] = (struct outbound_asked){.rcpt = *rcpt};
	loop_timer_start(o->soon, 0);
	return true;
}

void
outbound_send(struct outbound *o, const struct bytes pieces[], size_t n)
{
	assert(n <= OUTBOUND_PIECES && o->n_accepted != 0);
	memcpy(o->pieces, pieces, n * sizeof(pieces[0]));
	o->n_pieces = n;
	o->is_to_send = true;
	loop_timer_start(o->soon, 0);
}

void
outbound_abort(struct outbound *o)
{
	enum outbound_state was = o->state;

	o->call = NULL;
	if (was == OUTBOUND_IDLE || was == OUTBOUND_DEAD)
		return;
	o->state = OUTBOUND_IDLE;
	loop_timer_stop(o->soon);
	loop_timer_stop(o->patience);
	if (was == OUTBOUND_ASKING)
		release(o, o->link->client.n_asked == 0 &&
		    link_reset(o->link));
	else if (was != OUTBOUND_BEGUN)
		release(o, false);
	pool_cancel(&o->wait);
}

/* ---- what is known ---- */

bool
outbound_is_idle(const struct outbound *o)
{
	return o->state == OUTBOUND_IDLE;
}

bool
outbound_is_committed(const struct outbound *o)
{
	return o->state == OUTBOUND_DOT;
}

unsigned
outbound_can(const struct outbound *o, uint64_t *max_size)
{
	*max_size = o->max_size;
	return o->can;
}

const struct outbound_result *
outbound_result(const struct outbound *o)
{
	return &o->result;
}

struct smtp_reply
outbound_rcpt_reply(const struct outbound *o, size_t rcpt)
{
	const struct outbound_said *said = o->asked[rcpt].said;

	if (said == NULL)
		return o->hop->scheme == SCHEME_LMTP ? (struct smtp_reply){0}
						     : o->result.reply;
	return (struct smtp_reply){said->code,
	    {said->octets, said->n_enhanced},
	    {said->octets + said->n_enhanced, said->n_text}};
}

bool
outbound_leads(const struct outbound *o, const struct outbound_destination *to)
{
	return nexthop_is_same(o->hop, o->domain, to->hop, to->domain);
}

const char *
outbound_relay(const struct outbound *o)
{
	return o->relay;
}

const char *
outbound_tls(const struct outbound *o)
{
	return o->tls;
}
