/* What the files of the outbound share; nobody else includes it. */
#ifndef DAEMON_OUTBOUND_STATE_H
#define DAEMON_OUTBOUND_STATE_H

#include "daemon/conn.h"
#include "daemon/nexthop.h"
#include "daemon/outbound.h"

#define OUTBOUND_ADDRS 8

/* Named after what was just done; the event that ends it is in a comment. */
enum outbound_state {
	OUTBOUND_IDLE,		/* no transaction; conn may be there, greeted */
	OUTBOUND_BEGUN,		/* outbound_rcpt(), or the answer to RSET */
	OUTBOUND_RESOLVING,	/* outbound_way() */
	OUTBOUND_CONNECTING,	/* CONN_CONNECTED */
	OUTBOUND_GREETING,	/* SMTP_CLIENT_READY */
	OUTBOUND_ASKING,	/* SMTP_CLIENT_MAIL, _RCPT; outbound_send() */
	OUTBOUND_DATA,		/* SMTP_CLIENT_DATA */
	OUTBOUND_CONTENT,	/* all pieces and the dot are in the buffer */
	OUTBOUND_DOT,		/* SMTP_CLIENT_END */
	OUTBOUND_DEAD,		/* being freed */
};

/* A recipient, and what was said of it first. */
struct outbound_asked {
	struct outbound_rcpt rcpt;
	int code;		/* 0: no answer so far */
};

struct outbound {
	struct hub *hub;
	const struct config_listener *listener;
	const struct config_next_hop *hop;
	uint8_t domain_octets[NEXTHOP_HOST_MAX];
	struct bytes domain;	/* of the recipients */
	uint64_t tag;		/* of look-ups */
	outbound_call *call;
	void *arg;
	enum outbound_state state;
	struct conn *conn;
	struct smtp_client client;
	struct nexthop_target addrs[OUTBOUND_ADDRS];	/* of the next hop */
	size_t n_addrs;
	size_t addr;		/* the one in use */
	bool is_reused;		/* a transaction was made on it before */
	bool is_resetting;	/* the answer to RSET is still to come */
	struct outbound_mail mail;
	struct outbound_asked *asked;
	size_t n_asked;
	size_t cap_asked;
	size_t n_accepted;
	size_t n_said;		/* of asked, on this connection */
	size_t n_heard;		/* of those, answered */
	bool is_mail_said;	/* on this connection */
	bool is_mail_refused;	/* answers to RCPT are still to come */
	bool is_to_send;	/* outbound_send() came */
	unsigned reconnects;
	struct bytes pieces[OUTBOUND_PIECES];
	struct bytes left[OUTBOUND_PIECES];	/* of them, to be sent */
	size_t n_pieces;
	size_t piece;
	struct outbound_result result;
	char kept[SMTP_REPLY_MAX];	/* text of result.reply */
	char kept_enhanced[16];
	char fault[768];
	char relay[384];
	struct loop_deferred deferred;
	struct loop_timer *soon;	/* what must not come at once */
};

/* ---- outbound.c ---- */

/* The transaction is over; the connection too where it can not be kept. */
void outbound_finish(struct outbound *o, enum outbound_event what, bool keep);

/* Keeps the client's last reply as the result's. */
void outbound_keep_reply(struct outbound *o);

/*
 * The connection broke or said what it must not. Before the content it is
 * made anew once; while connecting the next address is tried.
 */
void outbound_lost(struct outbound *o, const char *why);

/* ---- outbound_talk.c ---- */

/* Says what can be said now: MAIL, RCPTs, DATA. */
void outbound_go_on(struct outbound *o);

/* Puts as much content into the buffer as goes; then the final dot. */
void outbound_pump(struct outbound *o);

/* An event of the client. */
void outbound_on_reply(struct outbound *o, enum smtp_client_event what);

#endif
