/* What the files of the server's side share; nobody else includes it. */
#ifndef SMTP_SERVER_STATE_H
#define SMTP_SERVER_STATE_H

#include "smtp/command.h"
#include "smtp/server.h"

/* Each state has what was answered well last. */
enum state {
	ST_GREET,	/* the banner */
	ST_READY,	/* EHLO, HELO or LHLO; there is no transaction */
	ST_MAIL,	/* MAIL */
	ST_RCPT,	/* MAIL and at least one RCPT */
	ST_BDAT,	/* a chunk that was not the last */
	ST__N_COMMANDS,	/* in the others no line is read as a command */
	ST_DATA = ST__N_COMMANDS,	/* 354: what comes is content, or END
					   is asked */
	ST_CHUNK,	/* BDAT: as above */
	ST_DONE,	/* nothing more is read */
};

#define SMTP_CAN_AUTH (SMTP_CAN_AUTH_PLAIN | SMTP_CAN_AUTH_LOGIN)

/* What a step returns when it was answered here and nobody need know. */
#define GO_ON (-1)

struct smtp_server_refusal {
	int code;
	const char *enhanced;
	const char *text;
};

/* ---- server.c ---- */

/* Replies; GO_ON. */
int smtp_server_reply(struct smtp_server *s, int code, const char *enhanced,
    const char *text);

/* The same, counted as an error: CLOSE when there were too many. */
int smtp_server_refuse(struct smtp_server *s, int code, const char *enhanced,
    const char *text);
int smtp_server_refuse_as(struct smtp_server *s,
    const struct smtp_server_refusal *why);

/* Says a last word, and reads nothing more: CLOSE. */
int smtp_server_hang_up(struct smtp_server *s, int code, const char *enhanced,
    const char *text);

/* A 421 names the host, RFC 5321 3.8. */
int smtp_server_hang_up_421(struct smtp_server *s, const char *enhanced,
    const char *text);

/* Waits for the owner's answer to the event. */
int smtp_server_ask(struct smtp_server *s, enum smtp_server_event event);

/* Forgets the transaction; the session is READY. */
void smtp_server_end_transaction(struct smtp_server *s);

/* ---- server_watch.c ---- */

/* Shows what stands in ->out from an octet on, and a command. */
void smtp_server_show_replies(const struct smtp_server *s, size_t from);
void smtp_server_show_command(const struct smtp_server *s,
    const struct smtp_command *command, struct bytes line);

/* ---- server_mail.c ---- */

int smtp_server_run_mail(struct smtp_server *s, struct bytes arg);
int smtp_server_run_rcpt(struct smtp_server *s, struct bytes arg);

/* ---- server_auth.c ---- */

int smtp_server_run_auth(struct smtp_server *s, struct bytes arg);

/* A line while an exchange is under way. fault: of its framing, or NULL. */
int smtp_server_auth_line(struct smtp_server *s, struct bytes line,
    const char *fault);

/* The exchange is over: what was said is overwritten. */
void smtp_server_auth_wipe(struct smtp_server *s);

/* ---- server_content.c ---- */

/* BDAT where it is offered. sequence: why it may not stand here, or NULL. */
int smtp_server_run_bdat(struct smtp_server *s, struct bytes arg,
    const char *sequence);

/* Reads on in ST_DATA and in ST_CHUNK. */
int smtp_server_read_data(struct smtp_server *s, struct bytes *in);
int smtp_server_read_chunk(struct smtp_server *s, struct bytes *in);

/* Passes over octets of a refused chunk. */
int smtp_server_skip(struct smtp_server *s, struct bytes *in);

/* Tells a fault of the content, once, or to each recipient in LMTP. */
int smtp_server_tell_fault(struct smtp_server *s);

/* A refused chunk: the transaction is over, its octets are passed over. */
int smtp_server_refuse_chunk(struct smtp_server *s,
    const struct smtp_server_refusal *why);

extern const struct smtp_server_refusal smtp_server_too_big;

#endif
