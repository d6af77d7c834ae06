/*
 * The way to the next hop: takes a connection of the pool or makes one to the
 * first server that greets, asks for one transaction after the other, sends
 * the content. A next hop that hangs up before DATA is connected again once
 * and asked again (product.md, through).
 */
#ifndef DAEMON_OUTBOUND_H
#define DAEMON_OUTBOUND_H

#include "daemon/hub.h"
#include "smtp/client.h"

struct outbound;
struct inbound_client;
struct login;
struct nexthop_refusal;

/* Where to; what does not differ may share a connection. */
struct outbound_destination {
	const struct config_next_hop *hop;	/* the configuration's */
	struct bytes domain;		/* of the recipients; copied */
	const struct inbound_client *client;	/* passed on; or NULL */
	const struct login *login;	/* of a client, who alone uses the
					   connection then; copied; or NULL */
};

/* What MAIL says. The octets live until the transaction is over. */
struct outbound_mail {
	struct bytes mail_from;	/* with brackets */
	uint64_t size;		/* with what we add; 0: not known */
	bool is_8bit;		/* BODY=8BITMIME */
	bool is_utf8;		/* SMTPUTF8 */
	struct bytes ret;	/* RFC 3461; empty: not said */
	struct bytes envid;
};

/* What RCPT says; likewise. */
struct outbound_rcpt {
	struct bytes path;	/* with brackets */
	struct bytes notify;	/* RFC 3461; empty: not said */
	struct bytes orcpt;
};

enum outbound_event {
	OUTBOUND_RCPT,		/* ->rcpt got ->reply: 2xx, 4xx, 5xx */
	OUTBOUND_REFUSED,	/* ->reply to banner, EHLO, STARTTLS, AUTH,
				   MAIL or DATA, or ours in their place: 4xx,
				   5xx for all; over */
	OUTBOUND_ENDED,		/* the final dot got ->reply: any class; over */
	OUTBOUND_LOST,		/* no answer; ->fault says why; over */
};

typedef void outbound_call(void *arg, enum outbound_event what);

/* What it was told; good until the next call. */
struct outbound_result {
	size_t rcpt;		/* which, from 0 in the order of asking */
	struct smtp_reply reply;
	const char *fault;	/* for people; the outbound's */
	bool is_ambiguous;	/* LOST: the final dot may be out */
	bool is_lack;		/* REFUSED: by us, as outbound_lacks() says */
	bool has_talked;	/* MAIL was answered, by more than 421 */
	bool is_crowded;	/* LOST: we have too many connections there */
};

/* The pieces of a message, sent one behind the other: at most that many. */
#define OUTBOUND_PIECES 8

/* NULL without memory. Nothing is connected yet. */
struct outbound *outbound_new(struct hub *h, const struct config_listener *l,
    const struct outbound_destination *to);

/* Whether it goes there. */
bool outbound_leads(const struct outbound *o,
    const struct outbound_destination *to);

/* Whether replies of the next hop are logged, from here on. */
void outbound_watch(struct outbound *o, bool is_watched);

/* Who hears of the transaction; NULL: nobody. */
void outbound_owner(struct outbound *o, outbound_call *call, void *arg);

/* Begins a transaction; only when idle. Nothing is told before the first
 * recipient. */
void outbound_begin(struct outbound *o, const struct outbound_mail *mail);

/*
 * Only greets, when idle: what the next hop can is known then. The answer is
 * ENDED without a reply, REFUSED or LOST.
 */
void outbound_probe(struct outbound *o);

/*
 * Asks for one more recipient, also while others are under way. The answer
 * is RCPT, in the order of asking, or REFUSED or LOST for all; never before
 * this returns. A next hop that hangs up or says 421 before the content is
 * connected again once, and who was accepted is asked for again in silence;
 * any other answer than before is LOST.
 *
 * Returns  false without memory: nothing is asked
 */
bool outbound_rcpt(struct outbound *o, const struct outbound_rcpt *rcpt);

/*
 * Sends the message to all who were accepted, at least one: DATA, then, after
 * 354, the pieces and the dot. The answer is ENDED, REFUSED or LOST. The
 * octets live until then. Every recipient has been answered before.
 */
void outbound_send(struct outbound *o, const struct bytes pieces[], size_t n);

/*
 * Ends a transaction that is not wanted any more; no event follows. Before
 * DATA the connection is kept (RSET), later it is dropped.
 */
void outbound_abort(struct outbound *o);

/* Whether a transaction may begin. */
bool outbound_is_idle(const struct outbound *o);

/* Whether the final dot may be out, so that the answer has to be awaited. */
bool outbound_is_committed(const struct outbound *o);

/*
 * What a message asks for and the next hop has not, once a RCPT was answered:
 * nothing is ever converted.
 *
 * m        size and the two flags are looked at
 * Returns  the answer that this deserves; NULL: it has it all
 * Source   RFC 6152 3, RFC 6531 3.5, RFC 1870 6.1
 */
const struct nexthop_refusal *outbound_lacks(const struct outbound *o,
    const struct outbound_mail *m);

/* The SMTP_CAN_* of the next hop and its SIZE, once a RCPT was answered. */
unsigned outbound_can(const struct outbound *o, uint64_t *max_size);

const struct outbound_result *outbound_result(const struct outbound *o);

/*
 * LMTP: what the next hop said of an accepted recipient after the dot; code 0
 * where nothing came (LOST). SMTP: what it said to the dot. Good as long as
 * the result.
 */
struct smtp_reply outbound_rcpt_reply(const struct outbound *o, size_t rcpt);

/* "host[ip]:port" for the log; the outbound's. */
const char *outbound_relay(const struct outbound *o);

/* The TLS of the connection that was used last: "1.3"; empty: none. */
const char *outbound_tls(const struct outbound *o);

/* nexthop_ask()'s answer for its tag. */
struct nexthop_answer;
void outbound_way(struct outbound *o, const struct nexthop_answer *way);

/* An idle connection of its own is closed; a shared one is in the pool. */
void outbound_free(struct outbound **o);

#endif
