/* What the files of the outbound share; nobody else includes it. */
#ifndef DAEMON_OUTBOUND_STATE_H
#define DAEMON_OUTBOUND_STATE_H

#include "daemon/addr.h"
#include "daemon/login.h"
#include "daemon/outbound.h"
#include "daemon/pool.h"

/* Servers of one next hop that are tried. */
#define OUTBOUND_TARGETS 8

/* Named after what was just done; the event that ends it is in a comment. */
enum outbound_state {
	OUTBOUND_IDLE,		/* no transaction */
	OUTBOUND_BEGUN,		/* outbound_rcpt() */
	OUTBOUND_WAITING,	/* the pool grants a link or a place */
	OUTBOUND_RESOLVING,	/* outbound_way() */
	OUTBOUND_OPENING,	/* LINK_READY */
	OUTBOUND_ASKING,	/* MAIL, RCPT are answered; outbound_send() */
	OUTBOUND_DATA,		/* DATA is answered */
	OUTBOUND_CONTENT,	/* all pieces and the dot are in the buffer */
	OUTBOUND_DOT,		/* the dot is answered */
	OUTBOUND_DEAD,		/* being freed */
};

/* A recipient, and what was said of it first. */
struct outbound_asked {
	struct outbound_rcpt rcpt;
	int code;		/* 0: no answer so far */
	struct outbound_said *said;	/* LMTP, after the dot; or NULL */
};

/* A reply that is kept. */
struct outbound_said {
	int code;
	size_t n_enhanced;
	size_t n_text;
	uint8_t octets[];
};

/* Whose identity is passed on. */
struct outbound_identity {
	struct smtp_introduction who;
	char from[ADDR_TEXT_MAX];
	char to[ADDR_TEXT_MAX];
	uint8_t helo[255];
};

struct outbound {
	struct hub *hub;
	const struct config_listener *listener;
	const struct config_next_hop *hop;
	uint8_t domain_octets[NEXTHOP_HOST_MAX];
	struct bytes domain;
	struct outbound_identity *identity;	/* or NULL */
	struct login login;	/* of a client */
	uint8_t *secret;	/* its octets, of libsodium; or NULL */
	uint64_t tag;		/* of address look-ups */
	outbound_call *call;
	void *arg;
	enum outbound_state state;
	struct pool_wait wait;
	struct link *link;	/* greeted, or to be; between transactions
				   only one of our own */
	struct nexthop_target targets[OUTBOUND_TARGETS];
	size_t n_targets;
	size_t target;		/* the one in use */
	bool is_plain;		/* it failed at TLS, and the policy is `may` */
	bool has_failed;	/* a target did: result says how */
	bool is_refused;	/* by a reply, not LOST */
	unsigned can;		/* of the link in use, or the one before */
	uint64_t max_size;
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
	bool is_probe;		/* READY is all that is wanted */
	bool is_watched;	/* as struct link has it */
	unsigned reconnects;
	struct bytes pieces[OUTBOUND_PIECES];
	struct bytes left[OUTBOUND_PIECES];	/* of them, to be sent */
	size_t n_pieces;
	size_t piece;
	struct outbound_result result;
	char kept[SMTP_REPLY_MAX];	/* text of result.reply */
	char kept_enhanced[16];
	char fault[1024];
	char relay[384];
	char tls[8];
	struct loop_deferred deferred;
	struct loop_timer *soon;	/* what must not come at once */
	struct loop_timer *patience;	/* with the pool */
};

/* ---- outbound.c ---- */

/* The transaction is over; the connection too where it can not be kept. */
void outbound_finish(struct outbound *o, enum outbound_event what, bool keep);

/* Keeps a reply as the result's. */
void outbound_keep_reply(struct outbound *o, const struct smtp_reply *from);

/* ---- outbound_connect.c ---- */

/* Gets a connection and goes on with it; what was asked is asked again. */
void outbound_connect(struct outbound *o);

/* The pool has granted a link or a place, or there is time to ask again. */
void outbound_granted(struct outbound *o);

/* Nobody has a connection for us for too long. */
void outbound_is_impatient(void *arg);

/*
 * The connection broke or said what it must not. Before the content it is
 * made anew once.
 */
void outbound_lost(struct outbound *o, const char *why);

/* The link's events. */
void outbound_on_link(void *arg, enum link_event what);

/* ---- outbound_talk.c ---- */

/* On a connection that nothing was asked on so far. */
void outbound_talk(struct outbound *o);

/* Says what can be said now: MAIL, RCPTs, DATA. */
void outbound_go_on(struct outbound *o);

/* Puts as much content into the buffer as goes; then the final dot. */
void outbound_pump(struct outbound *o);

/* The next hop answered. */
void outbound_on_reply(struct outbound *o, enum smtp_client_event what);

#endif
