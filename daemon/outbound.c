#include "daemon/outbound.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/addr.h"
#include "daemon/conn.h"
#include "daemon/log.h"

#define MAX_ADDRS 8

/* Named after what was just done; the event that ends it is in a comment. */
enum state {
	IDLE,		/* no transaction; conn may be there, greeted */
	RESOLVING,	/* outbound_addrs() */
	CONNECTING,	/* CONN_CONNECTED */
	GREETING,	/* SMTP_CLIENT_READY */
	ASKED,		/* SMTP_CLIENT_MAIL, then _RCPT */
	ACCEPTED,	/* outbound_send() */
	DATA_ASKED,	/* SMTP_CLIENT_DATA */
	CONTENT,	/* all pieces and the dot are in the buffer */
	ENDED,		/* SMTP_CLIENT_END */
	DEAD,		/* being freed */
};

struct outbound {
	struct hub *hub;
	const struct config_listener *listener;
	uint64_t tag;		/* of address look-ups */
	outbound_call *call;
	void *arg;
	enum state state;
	struct conn *conn;
	struct smtp_client client;
	struct config_addr addrs[MAX_ADDRS];	/* of the next hop */
	size_t n_addrs;
	size_t addr;		/* the one in use */
	bool is_reused;		/* a transaction was made on it before */
	bool was_accepted;	/* RCPT got its 2xx once: it is asked again */
	bool is_waiting_send;	/* outbound_send() came while asking again */
	unsigned reconnects;
	bool is_mail_refused;	/* and the answer to RCPT is still to come */
	bool is_resetting;	/* the answer to RSET is still to come */
	struct outbound_envelope envelope;
	struct bytes pieces[OUTBOUND_PIECES];
	size_t piece;
	struct outbound_result result;
	char kept[SMTP_REPLY_MAX];	/* text of result.reply */
	char kept_enhanced[16];
	char fault[768];
	char relay[384];
	struct loop_deferred deferred;
	struct loop_timer *soon;	/* an event that must not come at once */
};

static void on_conn(void *arg, enum conn_event what);

static void
name_relay(struct outbound *o)
{
	const struct config_addr *a = &o->addrs[o->addr];
	char ip[ADDR_TEXT_MAX];

	addr_text(a, ip);
	snprintf(o->relay, sizeof(o->relay), "%s[%s]:%u",
	    o->listener->next_hop.host_str, ip, a->port);
}

static void
tell(struct outbound *o, enum outbound_event what)
{
	if (o->call != NULL)
		o->call(o->arg, what);
}

/* The client's views end with its next reply; ours with the next call. */
static void
keep_reply(struct outbound *o)
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

/* The transaction is over; the connection too where it can not be kept. */
static void
finish(struct outbound *o, enum outbound_event what, bool keep)
{
	o->state = IDLE;
	o->is_reused = true;
	if (!keep)
		conn_kill(&o->conn);
	else
		conn_deadline(o->conn, 0);
	tell(o, what);
}

static bool
reset(struct outbound *o)
{
	o->is_resetting = smtp_client_rset(&o->client);
	return o->is_resetting;
}

static enum outbound_stage
stage_of(enum state s)
{
	switch (s) {
	case ASKED:
	case ACCEPTED:
		return OUTBOUND_AT_ENVELOPE;
	case DATA_ASKED:
		return OUTBOUND_AT_DATA;
	case CONTENT:
		return OUTBOUND_AT_CONTENT;
	case ENDED:
		return OUTBOUND_AT_END;
	default:
		return OUTBOUND_AT_CONNECT;
	}
}

static void
connect_next(struct outbound *o)
{
	while (o->addr < o->n_addrs) {
		name_relay(o);
		o->state = CONNECTING;
		smtp_client_init(&o->client, o->hub->config->hostname);
		o->is_reused = false;
		o->is_resetting = false;
		o->conn = conn_connect(o->hub->loop, &o->addrs[o->addr],
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
	o->result.stage = OUTBOUND_AT_CONNECT;
	o->result.fault = o->fault;
	finish(o, OUTBOUND_LOST, false);
}

static void
resolve_first(struct outbound *o)
{
	const struct config_next_hop *h = &o->listener->next_hop;

	o->state = RESOLVING;
	o->n_addrs = 0;
	o->addr = 0;
	snprintf(o->relay, sizeof(o->relay), "%s:%u", h->host_str, h->port);
	if (h->is_ip) {
		o->addrs[0] = h->addr;
		o->n_addrs = 1;
		connect_next(o);
	} else {
		resolve_ask_addrs(o->hub->resolve, h->host_str, h->port, o->tag);
	}
}

/*
 * The connection broke or said what it must not. Before DATA it is made anew
 * once; while connecting the next address is tried.
 */
static void
lost(struct outbound *o, const char *why)
{
	enum state was = o->state;

	snprintf(o->fault, sizeof(o->fault), "%s: %s", o->relay,
	    why == NULL ? "a step out of order" : why);
	conn_kill(&o->conn);
	if (was == IDLE)
		return;
	if (was == CONNECTING || (was == GREETING && o->addr + 1 < o->n_addrs)) {
		o->addr++;
		connect_next(o);
		return;
	}
	if ((was == ACCEPTED || (o->is_reused &&
	    (was == ASKED || was == RESOLVING))) && o->reconnects++ == 0) {
		log_line(LOG_NOTICE_, "%s; connecting again", o->fault);
		resolve_first(o);
		return;
	}
	o->result.stage = stage_of(was);
	o->result.fault = o->fault;
	finish(o, OUTBOUND_LOST, false);
}

static void
ask(struct outbound *o)
{
	const struct outbound_envelope *e = &o->envelope;

	o->state = ASKED;
	o->is_mail_refused = false;
	conn_deadline(o->conn, o->listener->reply_timeout_s * 1000LL);
	if (!smtp_client_mail(&o->client, e->mail_from, e->size,
	        e->is_8bit)) {
		lost(o, "MAIL does not fit");
		return;
	}
	if (o->client.can & SMTP_CAN_PIPELINE)
		smtp_client_rcpt(&o->client, e->rcpt_to);
	conn_flush(o->conn);
}

static void
data(struct outbound *o)
{
	o->is_waiting_send = false;
	o->state = DATA_ASKED;
	o->piece = 0;
	conn_deadline(o->conn, o->listener->data_timeout_s * 1000LL);
	if (!smtp_client_data(&o->client)) {
		lost(o, "DATA out of order");
		return;
	}
	conn_flush(o->conn);
}

/* False where the socket is full, or the connection had to be dropped. */
static bool
send_piece(struct outbound *o)
{
	struct bytes *piece = &o->pieces[o->piece];

	while (piece->n != 0) {
		if (!smtp_client_content(&o->client, piece)) {
			lost(o, smtp_client_fault(&o->client));
			return false;
		}
		conn_flush(o->conn);
		if (o->client.out.n != 0)
			return false;		/* CONN_OUT goes on */
	}
	return true;
}

/* Puts as much content into the buffer as goes; then the final dot. */
static void
pump(struct outbound *o)
{
	conn_deadline(o->conn, o->listener->send_timeout_s * 1000LL);
	for (; o->piece < OUTBOUND_PIECES; o->piece++) {
		if (!send_piece(o))
			return;
	}
	while (!smtp_client_end(&o->client)) {
		if (smtp_client_fault(&o->client) != NULL) {
			lost(o, smtp_client_fault(&o->client));
			return;
		}
		conn_flush(o->conn);
		if (o->client.out.n != 0)
			return;		/* CONN_OUT goes on */
	}
	o->state = ENDED;
	conn_deadline(o->conn, o->listener->end_timeout_s * 1000LL);
	conn_flush(o->conn);
}
/* A 4xx or 5xx: told as it is. */
static void
refused(struct outbound *o, bool keep)
{
	o->result.stage = stage_of(o->state);
	if (!o->is_mail_refused)
		keep_reply(o);
	finish(o, OUTBOUND_REFUSED, keep);
}

static void
on_accepted(struct outbound *o)
{
	o->state = ACCEPTED;
	conn_deadline(o->conn, 0);
	o->result.stage = OUTBOUND_AT_ENVELOPE;
	keep_reply(o);
	if (!o->was_accepted) {
		o->was_accepted = true;
		tell(o, OUTBOUND_ACCEPTED);
	} else if (o->is_waiting_send) {
		data(o);
	}
}

/* The envelope was refused: after an earlier yes that is no answer. */
static void
on_envelope_refused(struct outbound *o)
{
	if (o->client.reply.code == 421 && o->is_reused &&
	    o->reconnects == 0) {
		lost(o, "421 between transactions");
		return;
	}
	if (!o->was_accepted) {
		refused(o, o->client.reply.code != 421 && reset(o));
		return;
	}
	o->result.stage = OUTBOUND_AT_ENVELOPE;
	o->result.fault = "the next hop accepted the recipient, hung up, and "
			  "answered otherwise when asked again";
	finish(o, OUTBOUND_LOST, false);
}

static void
on_mail(struct outbound *o)
{
	int code = o->client.reply.code;
	bool is_pipelined = (o->client.can & SMTP_CAN_PIPELINE) != 0;

	if (code / 100 != 2 && is_pipelined && code != 421) {
		/* This is the answer; the one to RCPT is on its way. */
		o->is_mail_refused = true;
		keep_reply(o);
	} else if (code / 100 != 2) {
		on_envelope_refused(o);
	} else if (!is_pipelined) {
		smtp_client_rcpt(&o->client, o->envelope.rcpt_to);
		conn_flush(o->conn);
	}
}

static void
on_reply(struct outbound *o, enum smtp_client_event what)
{
	int class = o->client.reply.code / 100;

	switch (what) {
	case SMTP_CLIENT_READY:
		ask(o);
		break;
	case SMTP_CLIENT_REFUSED:
		if (o->was_accepted)
			on_envelope_refused(o);
		else
			refused(o, false);
		break;
	case SMTP_CLIENT_MAIL:
		on_mail(o);
		break;
	case SMTP_CLIENT_RCPT:
		if (class == 2 && !o->is_mail_refused)
			on_accepted(o);
		else
			on_envelope_refused(o);
		break;
	case SMTP_CLIENT_DATA:
		if (o->client.reply.code == 354) {
			o->state = CONTENT;
			pump(o);
		} else {
			refused(o, o->client.reply.code != 421 && reset(o));
		}
		break;
	case SMTP_CLIENT_END:
		if (class != 2) {
			refused(o, o->client.reply.code != 421);
			break;
		}
		o->result.stage = OUTBOUND_AT_END;
		keep_reply(o);
		finish(o, OUTBOUND_DELIVERED, true);
		break;
	case SMTP_CLIENT_RSET:
		o->is_resetting = false;
		if (o->state == RESOLVING)
			ask(o);		/* it waited for this answer */
		break;
	default:
		lost(o, smtp_client_fault(&o->client));
		break;
	}
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
		on_reply(o, what);
	}
}

static void
on_conn(void *arg, enum conn_event what)
{
	struct outbound *o = arg;
	char why[128];

	switch (what) {
	case CONN_CONNECTED:
		o->state = GREETING;
		conn_deadline(o->conn, o->listener->reply_timeout_s * 1000LL);
		break;
	case CONN_IN:
		step(o);
		if (o->conn != NULL)
			conn_flush(o->conn);
		break;
	case CONN_OUT:
		if (o->state == CONTENT)
			pump(o);
		break;
	case CONN_EOF:
		lost(o, o->state == ENDED
		    ? "hung up after the final dot, before its answer"
		    : "hung up");
		break;
	case CONN_BROKEN:
		snprintf(why, sizeof(why), "%s: %s",
		    o->state == CONNECTING ? "connecting failed" : "connection lost",
		    strerrordesc_np(o->conn->error));
		lost(o, why);
		break;
	case CONN_TIMEOUT:
		lost(o, "no answer in time");
		break;
	}
}

static void
begin(void *arg)
{
	struct outbound *o = arg;

	if (o->state != RESOLVING)
		return;		/* aborted meanwhile */
	if (o->conn == NULL)
		resolve_first(o);
	else if (!o->is_resetting)
		ask(o);
	else
		conn_deadline(o->conn, o->listener->reply_timeout_s * 1000LL);
}

struct outbound *
outbound_new(struct hub *h, const struct config_listener *l)
{
	struct outbound *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->hub = h;
	o->listener = l;
	o->soon = loop_timer_new(h->loop, begin, o);
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
outbound_begin(struct outbound *o, const struct outbound_envelope *e)
{
	o->envelope = *e;
	o->was_accepted = false;
	o->is_waiting_send = false;
	o->reconnects = 0;
	o->state = RESOLVING;
	loop_timer_start(o->soon, 0);
}

void
outbound_send(struct outbound *o, const struct bytes pieces[OUTBOUND_PIECES])
{
	memcpy(o->pieces, pieces, sizeof(o->pieces));
	if (o->state == ACCEPTED)
		data(o);
	else
		o->is_waiting_send = true;	/* it is being asked again */
}

void
outbound_abort(struct outbound *o)
{
	o->call = NULL;
	switch (o->state) {
	case IDLE:
	case DEAD:
		break;
	case ACCEPTED:
		o->state = IDLE;
		o->is_reused = true;
		if (reset(o))
			conn_flush(o->conn);
		else
			conn_kill(&o->conn);
		break;
	default:
		loop_timer_stop(o->soon);
		conn_kill(&o->conn);
		o->state = IDLE;
		break;
	}
}

bool
outbound_is_idle(const struct outbound *o)
{
	return o->state == IDLE;
}

bool
outbound_is_committed(const struct outbound *o)
{
	return o->state == ENDED;
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

const char *
outbound_relay(const struct outbound *o)
{
	return o->relay;
}

void
outbound_addrs(struct outbound *o, const struct resolve_addrs *addrs)
{
	if (o->state != RESOLVING)
		return;
	o->n_addrs = addrs->n < MAX_ADDRS ? addrs->n : MAX_ADDRS;
	if (o->n_addrs != 0)
		memcpy(o->addrs, addrs->addrs,
		    o->n_addrs * sizeof(o->addrs[0]));
	else
		snprintf(o->fault, sizeof(o->fault), "%s: %s",
		    o->listener->next_hop.host_str,
		    addrs->is_temporary ? "name could not be looked up"
					: "name does not exist");
	connect_next(o);
}

static void
destroy(void *arg)
{
	struct outbound *o = arg;

	loop_timer_free(&o->soon);
	free(o);
}

void
outbound_free(struct outbound **op)
{
	struct outbound *o = *op;

	*op = NULL;
	if (o == NULL || o->state == DEAD)
		return;
	loop_timer_stop(o->soon);
	if (o->conn != NULL && outbound_is_idle(o) &&
	    smtp_client_quit(&o->client))
		conn_flush(o->conn);
	conn_kill(&o->conn);
	slots_leave(&o->hub->slots, o->tag);
	o->state = DEAD;
	o->call = NULL;
	loop_defer(o->hub->loop, &o->deferred, destroy, o);
}
