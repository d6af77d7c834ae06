#include "daemon/outbound_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/addr.h"
#include "daemon/log.h"

static void on_conn(void *arg, enum conn_event what);

static void
name_relay(struct outbound *o)
{
	const struct nexthop_target *t = &o->addrs[o->addr];
	char ip[ADDR_TEXT_MAX];

	addr_text(&t->addr, ip);
	snprintf(o->relay, sizeof(o->relay), "%s[%s]:%u", t->host, ip,
	    t->addr.port);
}

/* The client's views end with its next reply; ours with the next call. */
void
outbound_keep_reply(struct outbound *o)
{
	const struct smtp_reply *from = &o->client.reply;
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

void
outbound_finish(struct outbound *o, enum outbound_event what, bool keep)
{
	o->state = OUTBOUND_IDLE;
	o->is_reused = true;
	if (!keep)
		conn_kill(&o->conn);
	else
		conn_deadline(o->conn, 0);
	if (o->call != NULL)
		o->call(o->arg, what);
}

/* ---- the connection ---- */

static void
connect_next(struct outbound *o)
{
	while (o->addr < o->n_addrs) {
		name_relay(o);
		o->state = OUTBOUND_CONNECTING;
		smtp_client_init(&o->client, o->hub->config->hostname, false);
		o->is_reused = false;
		o->is_resetting = false;
		o->conn = conn_connect(o->hub->loop, &o->addrs[o->addr].addr,
		    &o->client.out, on_conn, o);
		if (o->conn != NULL) {
			conn_deadline(o->conn,
			    o->listener->connect_timeout_s * 1000LL);
			return;
		}
		snprintf(o->fault, sizeof(o->fault),
		    "connecting to %s failed: %m", o->relay);
		o->addr++;
	}
	o->result.fault = o->fault;
	outbound_finish(o, OUTBOUND_LOST, false);
}

static void
resolve_first(struct outbound *o)
{
	bool is_mx = o->hop->scheme == SCHEME_MX;

	o->state = OUTBOUND_RESOLVING;
	o->n_addrs = 0;
	o->addr = 0;
	snprintf(o->relay, sizeof(o->relay), "%.*s:%u",
	    BYTES_FMT(is_mx ? o->domain : o->hop->host), o->hop->port);
	if (nexthop_ask(o->hub, o->listener, o->hop, o->domain, o->tag))
		return;
	snprintf(o->fault, sizeof(o->fault), "out of memory");
	connect_next(o);
}

static bool
may_reconnect(struct outbound *o, enum outbound_state was)
{
	bool is_before_content = was == OUTBOUND_BEGUN ||
	    was == OUTBOUND_ASKING || was == OUTBOUND_DATA;

	return is_before_content && (o->is_reused || o->n_accepted != 0) &&
	    o->reconnects++ == 0;
}

void
outbound_lost(struct outbound *o, const char *why)
{
	enum outbound_state was = o->state;

	snprintf(o->fault, sizeof(o->fault), "%s: %s", o->relay,
	    why == NULL ? "a step out of order" : why);
	conn_kill(&o->conn);
	if (was == OUTBOUND_IDLE || (was == OUTBOUND_BEGUN && o->n_asked == 0))
		return;
	if (was == OUTBOUND_CONNECTING ||
	    (was == OUTBOUND_GREETING && o->addr + 1 < o->n_addrs)) {
		o->addr++;
		connect_next(o);
		return;
	}
	if (may_reconnect(o, was)) {
		log_line(LOG_NOTICE_, "%s; connecting again", o->fault);
		resolve_first(o);
		return;
	}
	o->result.is_ambiguous = was == OUTBOUND_DOT;
	o->result.fault = o->fault;
	outbound_finish(o, OUTBOUND_LOST, false);
}

static void
step(struct outbound *o)
{
	while (o->conn != NULL) {
		struct conn *c = o->conn;
		struct bytes in = buf_bytes(&c->in);
		size_t had = in.n;
		enum smtp_client_event what = smtp_client_next(&o->client, &in);

		buf_drop(&c->in, had - in.n);
		conn_used(c);
		if (what == SMTP_CLIENT_MORE)
			return;
		outbound_on_reply(o, what);
	}
}

static void
on_conn(void *arg, enum conn_event what)
{
	struct outbound *o = arg;
	char why[384];

	switch (what) {
	case CONN_SECURED:
		break;
	case CONN_CONNECTED:
		o->state = OUTBOUND_GREETING;
		conn_deadline(o->conn, o->listener->reply_timeout_s * 1000LL);
		break;
	case CONN_IN:
		step(o);
		if (o->conn != NULL)
			conn_flush(o->conn);
		break;
	case CONN_OUT:
		if (o->state == OUTBOUND_CONTENT)
			outbound_pump(o);
		break;
	case CONN_EOF:
		outbound_lost(o, o->state == OUTBOUND_DOT
		    ? "hung up after the final dot, before its answer"
		    : "hung up");
		break;
	case CONN_BROKEN:
		snprintf(why, sizeof(why), "%s: %s",
		    o->state == OUTBOUND_CONNECTING ? "connecting failed"
						    : "connection lost",
		    conn_fault(o->conn));
		outbound_lost(o, why);
		break;
	case CONN_TIMEOUT:
		outbound_lost(o, "no answer in time");
		break;
	}
}

/* ---- from outside ---- */

/* After outbound_rcpt(), not inside of it. */
static void
on_soon(void *arg)
{
	struct outbound *o = arg;

	if (o->state == OUTBOUND_ASKING)
		outbound_go_on(o);
	else if (o->state != OUTBOUND_BEGUN)
		return;		/* it is on its way, or aborted */
	else if (o->conn == NULL)
		resolve_first(o);
	else if (o->is_resetting)
		conn_deadline(o->conn, o->listener->reply_timeout_s * 1000LL);
	else
		outbound_on_reply(o, SMTP_CLIENT_READY);
}

struct outbound *
outbound_new(struct hub *h, const struct config_listener *l,
    const struct outbound_destination *to)
{
	struct outbound *o = calloc(1, sizeof(*o));
	struct buf domain;

	if (o == NULL)
		return NULL;
	o->hub = h;
	o->listener = l;
	o->hop = to->hop;
	domain = BUF_ON(o->domain_octets);
	buf_add(&domain, to->domain);
	o->domain = buf_bytes(&domain);
	o->soon = loop_timer_new(h->loop, on_soon, o);
	if (o->soon == NULL || !slots_take(&h->slots, o, &o->tag)) {
		loop_timer_free(&o->soon);
		free(o);
		return NULL;
	}
	return o;
}

void
outbound_owner(struct outbound *o, outbound_call *call, void *arg)
{
	o->call = call;
	o->arg = arg;
}

void
outbound_begin(struct outbound *o, const struct outbound_mail *mail)
{
	assert(o->state == OUTBOUND_IDLE);
	o->state = OUTBOUND_BEGUN;
	o->mail = *mail;
	o->n_asked = 0;
	o->n_accepted = 0;
	o->is_to_send = false;
	o->reconnects = 0;
	o->result = (struct outbound_result){0};
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
	o->asked[o->n_asked++] = (struct outbound_asked){*rcpt, 0};
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
	bool can_keep = o->state == OUTBOUND_ASKING && o->client.n_asked == 0;

	o->call = NULL;
	if (o->state == OUTBOUND_IDLE || o->state == OUTBOUND_DEAD)
		return;
	loop_timer_stop(o->soon);
	o->is_reused = true;
	if (o->state != OUTBOUND_BEGUN) {
		o->is_resetting = can_keep && smtp_client_rset(&o->client);
		if (o->is_resetting)
			conn_flush(o->conn);
		else
			conn_kill(&o->conn);
	}
	o->state = OUTBOUND_IDLE;
}

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
	*max_size = o->client.max_size;
	return o->client.can;
}

const struct outbound_result *
outbound_result(const struct outbound *o)
{
	return &o->result;
}

struct smtp_reply
outbound_rcpt_reply(const struct outbound *o, size_t rcpt)
{
	(void)rcpt;
	return o->result.reply;
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

/* What our look-up says in the next hop's place. */
static void
refuse(struct outbound *o, const struct nexthop_refusal *why)
{
	o->result.reply = (struct smtp_reply){.code = why->code,
	    .enhanced = bytes_of(why->enhanced), .text = bytes_of(why->text)};
	outbound_finish(o, OUTBOUND_REFUSED, false);
}

void
outbound_way(struct outbound *o, const struct nexthop_answer *way)
{
	if (o->state != OUTBOUND_RESOLVING)
		return;
	if (way->status != NEXTHOP_OK) {
		refuse(o, nexthop_refusal(way->status));
		return;
	}
	o->n_addrs = way->n < OUTBOUND_ADDRS ? way->n : OUTBOUND_ADDRS;
	memcpy(o->addrs, way->targets, o->n_addrs * sizeof(o->addrs[0]));
	connect_next(o);
}

static void
destroy(void *arg)
{
	struct outbound *o = arg;

	loop_timer_free(&o->soon);
	free(o->asked);
	free(o);
}

void
outbound_free(struct outbound **op)
{
	struct outbound *o = *op;

	*op = NULL;
	if (o == NULL || o->state == OUTBOUND_DEAD)
		return;
	loop_timer_stop(o->soon);
	if (o->conn != NULL && outbound_is_idle(o) &&
	    smtp_client_quit(&o->client))
		conn_flush(o->conn);
	conn_kill(&o->conn);
	slots_leave(&o->hub->slots, o->tag);
	o->state = OUTBOUND_DEAD;
	o->call = NULL;
	loop_defer(o->hub->loop, &o->deferred, destroy, o);
}
