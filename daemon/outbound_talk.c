#include "daemon/outbound_state.h"

#include <stdlib.h>

#define RUN_COPIED 16384U	/* octets that are copied rather */
#define RUN_MAX (256U * 1024)	/* that are looked at before they are sent */

static void
await(struct outbound *o, uint32_t timeout_s)
{
	conn_deadline(o->link->conn, timeout_s * 1000LL);
	conn_flush(o->link->conn);
}

static bool
is_refused(const struct outbound_asked *a)
{
	return a->code != 0 && a->code / 100 != 2;
}

/* Past recipients that were refused before a reconnect. */
static size_t
skip_refused(const struct outbound *o, size_t k)
{
	while (k < o->n_asked && is_refused(&o->asked[k]))
		k++;
	return k;
}

static bool
say_mail(struct outbound *o)
{
	const struct outbound_mail *m = &o->mail;
	const struct smtp_client_mail mail = {
	    .path = m->mail_from,
	    .size = m->size,
	    .is_8bit = m->is_8bit,
	    .is_utf8 = m->is_utf8,
	    .ret = m->ret,
	    .envid = m->envid,
	};

	o->is_mail_said = smtp_client_mail(&o->link->client, &mail);
	return o->is_mail_said;
}

static bool
say_rcpt(struct outbound *o, const struct outbound_rcpt *r)
{
	const struct smtp_client_rcpt rcpt = {r->path, r->notify, r->orcpt};

	return smtp_client_rcpt(&o->link->client, &rcpt);
}

/* As many recipients as the next hop takes before it has answered. */
static void
say_rcpts(struct outbound *o)
{
	o->n_said = skip_refused(o, o->n_said);
	while (o->n_said < o->n_asked &&
	    say_rcpt(o, &o->asked[o->n_said].rcpt))
		o->n_said = skip_refused(o, o->n_said + 1);
}

static void
say_data(struct outbound *o)
{
	o->state = OUTBOUND_DATA;
	o->piece = 0;
	memcpy(o->left, o->pieces, sizeof(o->left));
	if (smtp_client_data(&o->link->client))
		await(o, o->listener->data_timeout_s);
	else
		outbound_lost(o, "DATA out of order");
}

void
outbound_go_on(struct outbound *o)
{
	o->state = OUTBOUND_ASKING;
	if (!o->is_mail_said && !say_mail(o)) {
		outbound_lost(o, "MAIL does not fit");
		return;
	}
	if (!o->is_mail_refused)
		say_rcpts(o);
	if (o->link->client.n_asked != 0)
		await(o, o->listener->reply_timeout_s);
	else if (o->n_said < o->n_asked)
		outbound_lost(o, "RCPT does not fit");
	else if (o->is_to_send)
		say_data(o);
	else
		conn_deadline(o->link->conn, 0);
}

/*
 * What fits into the buffer leaves with what comes behind it, in one write;
 * long runs leave from where they are.
 *
 * Returns  false where the socket is full, or the connection had to be dropped
 */
static bool
send_piece(struct outbound *o)
{
	struct link *l = o->link;
	struct bytes *left = &o->left[o->piece];

	while (left->n != 0) {
		struct bytes run = {NULL, 0};

		if (left->n > RUN_COPIED)
			run = smtp_client_run(&l->client, left, RUN_MAX);
		if (run.n != 0) {
			conn_send(l->conn, run);
		} else if (!smtp_client_content(&l->client, left)) {
			outbound_lost(o, smtp_client_fault(&l->client));
			return false;
		} else if (left->n == 0) {
			break;
		} else {
			conn_flush(l->conn);
		}
		if (!conn_is_sent(l->conn))
			return false;		/* CONN_OUT goes on */
	}
	return true;
}

void
outbound_pump(struct outbound *o)
{
	conn_deadline(o->link->conn, o->listener->send_timeout_s * 1000LL);
	for (; o->piece < o->n_pieces; o->piece++) {
		if (!send_piece(o))
			return;
	}
	while (!smtp_client_end(&o->link->client)) {
		if (smtp_client_fault(&o->link->client) != NULL) {
			outbound_lost(o, smtp_client_fault(&o->link->client));
			return;
		}
		conn_flush(o->link->conn);
		if (!conn_is_sent(o->link->conn))
			return;		/* CONN_OUT goes on */
	}
	o->state = OUTBOUND_DOT;
	await(o, o->listener->end_timeout_s);
}

/* 421 says that the connection ends: as if it had been cut. */
static bool
is_hangup(const struct outbound *o)
{
	return o->link->client.reply.code == 421 && o->reconnects == 0 &&
	    (o->link->n_mails > 1 || o->n_accepted != 0);
}

/* A 4xx or 5xx that stands for all. After an earlier yes it is no answer. */
static void
refused(struct outbound *o, bool keep)
{
	if (o->n_accepted != 0 && o->state != OUTBOUND_DATA) {
		o->result.fault = "the next hop accepted the recipient, hung "
		    "up, and answered otherwise when asked again";
		outbound_finish(o, OUTBOUND_LOST, false);
		return;
	}
	outbound_finish(o, OUTBOUND_REFUSED, keep && link_reset(o->link));
}

static void
on_mail(struct outbound *o)
{
	int code = o->link->client.reply.code;

	if (code != 421)
		o->result.has_talked = true;
	if (code / 100 == 2) {
		outbound_go_on(o);
		return;
	}
	if (is_hangup(o)) {
		outbound_lost(o, "421 between transactions");
		return;
	}
	/* This is the answer; those to RCPT are on their way. */
	o->is_mail_refused = true;
	outbound_keep_reply(o, &o->link->client.reply);
	if (o->link->client.n_asked == 0 || code == 421)
		refused(o, code != 421);
}

static void
on_rcpt(struct outbound *o)
{
	int code = o->link->client.reply.code, before;

	if (o->is_mail_refused) {
		if (o->link->client.n_asked == 0 || code == 421)
			refused(o, code != 421);
		return;
	}
	if (is_hangup(o)) {
		outbound_lost(o, "421 before the content");
		return;
	}
	outbound_keep_reply(o, &o->link->client.reply);
	o->result.rcpt = skip_refused(o, o->n_heard);
	o->n_heard = o->result.rcpt + 1;
	before = o->asked[o->result.rcpt].code;
	if (code == 421 || (before != 0 && code / 100 != 2)) {
		refused(o, false);
		return;
	}
	o->asked[o->result.rcpt].code = code;
	if (before == 0 && code / 100 == 2)
		o->n_accepted++;
	if (before == 0 && o->call != NULL)
		o->call(o->arg, OUTBOUND_RCPT);
	if (o->state == OUTBOUND_ASKING)	/* or the owner gave it up */
		outbound_go_on(o);
}

static void
on_data(struct outbound *o)
{
	if (o->link->client.reply.code == 354) {
		o->state = OUTBOUND_CONTENT;
		outbound_pump(o);
	} else if (is_hangup(o)) {
		outbound_lost(o, "421 before the content");
	} else {
		outbound_keep_reply(o, &o->link->client.reply);
		refused(o, o->link->client.reply.code != 421);
	}
}

const struct nexthop_refusal *
outbound_lacks(const struct outbound *o, const struct outbound_mail *m)
{
	static const struct nexthop_refusal utf8 = {550, "5.6.7",
	    "The next hop does not take addresses and headers in UTF-8"};
	static const struct nexthop_refusal octets = {550, "5.6.3",
	    "The next hop does not take 8-bit content"};
	static const struct nexthop_refusal size = {552, "5.3.4",
	    "The message is larger than the next hop takes"};

	if (m->is_utf8 && !(o->can & SMTP_CAN_SMTPUTF8))
		return &utf8;
	if (m->is_8bit && !(o->can & SMTP_CAN_8BITMIME))
		return &octets;
	if ((o->can & SMTP_CAN_SIZE) && o->max_size != 0 &&
	    m->size > o->max_size)
		return &size;
	return NULL;
}

void
outbound_talk(struct outbound *o)
{
	const struct nexthop_refusal *lack = outbound_lacks(o, &o->mail);

	if (lack != NULL) {
		o->result.is_lack = true;
		o->result.reply = (struct smtp_reply){.code = lack->code,
		    .enhanced = bytes_of(lack->enhanced),
		    .text = bytes_of(lack->text)};
		outbound_finish(o, OUTBOUND_REFUSED, true);
		return;
	}
	o->link->n_mails++;
	o->is_mail_said = false;
	o->is_mail_refused = false;
	o->n_said = 0;
	o->n_heard = 0;
	outbound_go_on(o);
}

/* LMTP: a reply for each recipient that was accepted, in their order. */
static void
keep_said(struct outbound *o)
{
	const struct smtp_reply *r = &o->link->client.reply;
	struct outbound_asked *a = o->asked;
	struct outbound_said *said = malloc(sizeof(*said) + r->enhanced.n +
	    r->text.n);

	while (a->code / 100 != 2 || a->said != NULL)
		a++;
	if (said == NULL) {	/* nobody knows then: as if it was not said */
		outbound_lost(o, "out of memory");
		return;
	}
	said->code = r->code;
	said->n_enhanced = r->enhanced.n;
	said->n_text = r->text.n;
	memcpy(said->octets, r->enhanced.p, r->enhanced.n);
	memcpy(said->octets + r->enhanced.n, r->text.p, r->text.n);
	a->said = said;
}

static void
on_end(struct outbound *o)
{
	struct smtp_client *c = &o->link->client;

	outbound_keep_reply(o, &c->reply);
	if (c->is_lmtp)
		keep_said(o);
	if (o->state == OUTBOUND_DOT && c->n_ends == 0)
		outbound_finish(o, OUTBOUND_ENDED, c->reply.code != 421);
}

void
outbound_on_reply(struct outbound *o, enum smtp_client_event what)
{
	switch (what) {
	case SMTP_CLIENT_MAIL:
		on_mail(o);
		break;
	case SMTP_CLIENT_RCPT:
		on_rcpt(o);
		break;
	case SMTP_CLIENT_DATA:
		on_data(o);
		break;
	case SMTP_CLIENT_END:
		on_end(o);
		break;
	default:
		outbound_lost(o, "a reply out of order");
		break;
	}
}
