/* What the files of the relay share; nobody else includes it. */
#ifndef DAEMON_RELAY_STATE_H
#define DAEMON_RELAY_STATE_H

#include "daemon/content.h"
#include "daemon/decide.h"
#include "daemon/received.h"
#include "daemon/relay.h"
#include "daemon/rewrite.h"

/* Named after what was just done. */
enum relay_state {
	BEGUN,		/* MAIL was answered 250 */
	ASKING,		/* the next hop is asked for the recipient */
	ACCEPTED,	/* the next hop accepts the recipient */
	RECEIVING,	/* 354: the content comes */
	VERIFYING,	/* it is all there; keys are not */
	SIGNING,	/* signatures are not */
	SENDING,	/* the next hop has it, or is getting it */
	OVER,		/* being freed */
};

/* What the content is refused for, at its dot. */
struct relay_fault {
	int code;		/* 0: nothing */
	const char *enhanced;
	const char *text;
};

struct relay {
	struct hub *hub;
	const struct config_listener *listener;
	struct inbound *session;	/* NULL: the client is not waiting */
	struct outbound *outbound;	/* NULL: none yet */
	enum relay_state state;
	char id[16];
	int64_t begun_ms;
	uint64_t tag;			/* of key and signature questions */
	struct arena *arena;
	struct loop_timer *timer;	/* through-wait */
	struct smtp_path from;		/* octets in the arena */
	struct smtp_path to;
	uint64_t size;			/* said at MAIL */
	bool is_8bit;			/* said at MAIL */
	struct rewrite onward;
	struct content content;
	struct relay_fault fault;
	struct dkim2_message message;
	struct dkim2_envelope arrived;	/* the envelope it came with */
	struct dkim2_envelope leaves;	/* the envelope it is sent with */
	struct dkim2_verify *verify;
	struct decision decision;
	struct dkim2_sign *sign;
	size_t n_unsigned;		/* signatures that have not come */
	const struct signer_key *keys;
	char signed_as[320];		/* for the log: "i=.. d=.." */
	char received_octets[RECEIVED_MAX];
	struct loop_deferred deferred;
};

/* ---- relay.c ---- */

/* The last answer of the transaction, in our own words. r is over. */
void relay_end_with(struct relay *r, int code, const char *enhanced,
    const char *text);

/* Sends the message on, with our fields on top. */
void relay_send(struct relay *r);

/* ---- relay_sign.c ---- */

/* Signs as r->decision says, then relay_send(), or ends with an answer. */
void relay_sign_begin(struct relay *r);

/* Writes r->signed_as, for the log. */
void relay_describe_signing(struct relay *r);

/* ---- relay_log.c ---- */

/* Octets from the net, escaped and cut to fit n octets with the NUL. */
void relay_escape(struct bytes octets, char *out, size_t n);

/* A refusal of ours; stage is MAIL, RCPT or DATA. */
void relay_log_reject(const struct relay *r, const char *stage, int code,
    const char *enhanced, const char *text, struct bytes to);

/* One line tells the fate of the recipient. */
void relay_log_fate(const struct relay *r, const char *status,
    const char *dsn, struct bytes said);

void relay_log_verdict(const struct relay *r, const struct dkim2_result *v);

#endif
