/* What the files of the client share; nobody else includes it. */
#ifndef SMTP_CLIENT_STATE_H
#define SMTP_CLIENT_STATE_H

#include "smtp/client.h"

/* Each state has what happened last. */
enum smtp_client_state {
	ST_INIT,	/* the connection: the banner is due */
	ST_BANNER,	/* the banner: EHLO or HELO is under way */
	ST_READY,	/* the greeting is done: steps may be asked for */
	ST_TLS,		/* 220 to STARTTLS: the handshake is due */
	ST_OVER,	/* refused, QUIT or 421: nothing may be asked for */
	ST_BROKEN,	/* nothing that comes can be believed */
};

/* What a reply may answer. */
enum smtp_client_asked {
	ASKED_BANNER,
	ASKED_EHLO,
	ASKED_HELO,
	ASKED_STARTTLS,
	ASKED_XCLIENT,
	ASKED_AUTH,
	ASKED_MAIL,
	ASKED_RCPT,
	ASKED_DATA,
	ASKED_END,
	ASKED_RSET,
	ASKED_QUIT,
};

/* ---- client.c ---- */

enum smtp_client_event smtp_client_broken(struct smtp_client *c,
    const char *fault);

/* Whether a command can be asked for that must stand alone. */
bool smtp_client_may_ask(const struct smtp_client *c);

/* Counts a command that was written; takes it back where it did not fit. */
bool smtp_client_asked(struct smtp_client *c, size_t before,
    enum smtp_client_asked asked);

/* EHLO or LHLO; what was learnt before is forgotten. */
void smtp_client_hello(struct smtp_client *c);

/* ---- client_hello.c ---- */

/* Whole replies to STARTTLS, XCLIENT, AUTH. MORE: it goes on by itself. */
enum smtp_client_event smtp_client_on_starttls(struct smtp_client *c);
enum smtp_client_event smtp_client_on_xclient(struct smtp_client *c);
enum smtp_client_event smtp_client_on_auth(struct smtp_client *c);

#endif
