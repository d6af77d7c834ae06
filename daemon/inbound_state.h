/* What inbound.c and inbound_who.c share; nobody else includes it. */
#ifndef DAEMON_INBOUND_STATE_H
#define DAEMON_INBOUND_STATE_H

#include "daemon/conn.h"
#include "daemon/inbound.h"
#include "smtp/server.h"

/* What the session waits for. */
enum stage { STAGE_NONE, STAGE_COMMAND, STAGE_LEAVING, STAGE_CONTENT,
    STAGE_OURS, STAGE_REPLY };

struct inbound {
	struct hub *hub;
	const struct config_listener *listener;
	struct conn *conn;
	struct smtp_server server;
	struct smtp_server_config config;
	struct inbound_client client;
	struct inbound_ends came;	/* before any XCLIENT */
	uint8_t said[2 * SMTP_XCLIENT_MAX];	/* HELO and LOGIN of XCLIENT */
	bool has_helo;			/* of XCLIENT */
	bool has_addr;			/* likewise, or it said there is none */
	struct relay *relay;		/* the transaction, or NULL */
	struct outbound *outbound;	/* idle, for the next one, or NULL */
	struct relay *watching;		/* one that is over, or NULL */
	struct verdicts verdicts;	/* LMTP's */
	struct inbound_link link;
	inbound_gone *gone;
	void *arg;
	enum stage stage;
	uint64_t mark;			/* how far the stage had come */
	bool is_greeted;	/* the machine is there */
	bool is_pumping;
	bool is_closing;	/* the last reply is on its way out */
	bool is_leaving;	/* it may go on, but not be idle */
	bool is_stopping;
	bool is_dying;
	struct loop_deferred deferred;
};

/* ---- who the client is, inbound_who.c ---- */

/* Who it is by the connection alone; XCLIENT and TLS come later. */
void inbound_identify(struct inbound *s);

/* It said EHLO, HELO or LHLO. */
void inbound_greeted(struct inbound *s);

/* Takes what XCLIENT says, and answers it. */
void inbound_take_xclient(struct inbound *s);

/* Asks the next hop whether it knows who says AUTH, and answers then. */
void inbound_pass_auth(struct inbound *s);

#endif
