/*
 * The way to the next hop: resolves, connects, asks for one transaction after
 * the other, sends the content. A next hop that hangs up before DATA is
 * connected again once and asked again (product.md, through).
 */
#ifndef DAEMON_OUTBOUND_H
#define DAEMON_OUTBOUND_H

#include "daemon/hub.h"
#include "smtp/client.h"

struct outbound;

enum outbound_event {
	OUTBOUND_ACCEPTED,	/* MAIL and RCPT got 2xx; ->reply to RCPT */
	OUTBOUND_REFUSED,	/* ->reply to banner, EHLO, MAIL, RCPT, DATA or dot: 4xx, 5xx */
	OUTBOUND_DELIVERED,	/* 2xx to the final dot */
	OUTBOUND_LOST,		/* no answer; ->fault says why, for people */
};

/* Where the transaction stood at its last event. */
enum outbound_stage {
	OUTBOUND_AT_CONNECT,	/* resolve, connect, banner, EHLO */
	OUTBOUND_AT_ENVELOPE,	/* MAIL, RCPT */
	OUTBOUND_AT_DATA,
	OUTBOUND_AT_CONTENT,
	OUTBOUND_AT_END,	/* the final dot may be out */
};

typedef void outbound_call(void *arg, enum outbound_event what);

/* What it was told; good until the next call. */
struct outbound_result {
	enum outbound_stage stage;
	struct smtp_reply reply;
	const char *fault;	/* OUTBOUND_LOST; static or the outbound's */
};

/* The pieces of a message, sent one behind the other. */
#define OUTBOUND_PIECES 4

struct outbound_envelope {
	struct bytes mail_from;	/* with brackets; live until the end */
	struct bytes rcpt_to;
	uint64_t size;		/* 0: not known */
	bool is_8bit;		/* BODY=8BITMIME was declared */
};

/* NULL without memory. Nothing is connected yet. */
struct outbound *outbound_new(struct hub *h, const struct config_listener *l);

/* Who hears of the transaction; NULL: nobody. */
void outbound_owner(struct outbound *o, outbound_call *call, void *arg);

/*
 * Begins a transaction: the answer is ACCEPTED, REFUSED or LOST, never before
 * this returns. Only when idle.
 */
void outbound_begin(struct outbound *o, const struct outbound_envelope *e);

/*
 * Sends the message: DATA, then, after 354, the pieces and the dot. The
 * answer is DELIVERED, REFUSED or LOST. The octets live until then. Only
 * after ACCEPTED.
 */
void outbound_send(struct outbound *o,
    const struct bytes pieces[OUTBOUND_PIECES]);

/*
 * Ends a transaction that is not wanted any more; no event follows. Before
 * DATA the connection is kept (RSET), later it is dropped.
 */
void outbound_abort(struct outbound *o);

/* Whether a transaction may begin. */
bool outbound_is_idle(const struct outbound *o);

/* Whether the final dot may be out, so that the answer has to be awaited. */
bool outbound_is_committed(const struct outbound *o);

/* The SMTP_CAN_* of the next hop and its SIZE, after ACCEPTED. */
unsigned outbound_can(const struct outbound *o, uint64_t *max_size);

const struct outbound_result *outbound_result(const struct outbound *o);

/* "host[ip]:port" for the log; the outbound's. */
const char *outbound_relay(const struct outbound *o);

/* The resolver's answer for its tag. */
void outbound_addrs(struct outbound *o, const struct resolve_addrs *addrs);

/* QUIT where that is possible at once, then closes and frees. */
void outbound_free(struct outbound **o);

#endif
