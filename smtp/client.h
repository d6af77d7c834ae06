/*
 * The client's side of an SMTP session, without a socket: the mirror of
 * server.h. The owner asks for the next step, octets to send stand in ->out,
 * replies of the next hop come out as events (RFC 5321, 1870, 2920, 6152).
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "base/buf.h"
#include "smtp/dot.h"
#include "smtp/ehlo.h"
#include "smtp/path.h"
#include "smtp/replyparse.h"

enum smtp_client_event {
	SMTP_CLIENT_MORE,	/* all input is used; read more */
	SMTP_CLIENT_READY,	/* greeted: the extensions are known */
	SMTP_CLIENT_REFUSED,	/* banner or EHLO refused: ->reply; over */
	SMTP_CLIENT_MAIL,	/* ->reply to MAIL */
	SMTP_CLIENT_RCPT,	/* ->reply to RCPT */
	SMTP_CLIENT_DATA,	/* ->reply to DATA: after a 354 content may go */
	SMTP_CLIENT_END,	/* ->reply to the final dot */
	SMTP_CLIENT_RSET,	/* ->reply to RSET */
	SMTP_CLIENT_QUIT,	/* ->reply to QUIT; over */
	SMTP_CLIENT_BROKEN,	/* not a reply, or one nobody asked for; over */
};

#define SMTP_CLIENT_OUT 32768

#define SMTP_CLIENT_ASKED 8

struct smtp_client {
	const char *hostname;	/* what we say in EHLO */
	int state;
	uint8_t asked[SMTP_CLIENT_ASKED]; /* under way, the oldest first */
	unsigned n_asked;
	unsigned can;		/* SMTP_CAN_* of the next hop */
	uint64_t max_size;	/* of its SIZE; 0: no limit said */
	struct buf out;		/* octets to be written; drain it */
	uint8_t out_octets[SMTP_CLIENT_OUT];
	struct smtp_reply reply;
	struct smtp_replyparse parse;
	struct smtp_ehlo ehlo;	/* as far as its reply was read */
	struct dot_encoder dot;
	bool is_mail;		/* MAIL was asked, and not refused so far */
	unsigned n_rcpt;	/* recipients that the next hop accepted */
	bool is_content;	/* 354 came and the final dot is not out */
	bool is_unasked;	/* octets came that answer nothing */
	const char *fault;	/* why BROKEN, else NULL */
};

/* Ready for the banner. hostname outlives c; c must not be moved. */
void smtp_client_init(struct smtp_client *c, const char *hostname);

/*
 * Reads replies until one is complete.
 *
 * in       octets as read; what was used is cut from its front
 * Returns  an event; c->reply is good until the next call
 *
 * A 4xx or 5xx to EHLO but 421 falls back to HELO by itself. SMTP_CLIENT_BROKEN
 * is a code outside 200 to 599, one that the command can not have (354 to
 * the dot), what is no reply line, a bare LF, lines with different codes, a
 * line that does not end within 64 KiB, more than 128 lines, and a reply
 * that nobody asked for; that one is in c->reply, so that the 421 of a host
 * that closes an idle connection can be told (attacks.md F14).
 *
 * A 421 answers the oldest command, as any reply; nothing can be asked for
 * after it.
 */
enum smtp_client_event smtp_client_next(struct smtp_client *c,
    struct bytes *in);

/*
 * Ask for a step; commands go to ->out. MAIL, its RCPTs and RSET may be asked
 * for one after the other where SMTP_CAN_PIPELINE, up to SMTP_CLIENT_ASKED
 * of them; everything else once all replies have come. DATA needs a
 * recipient that was accepted. Each returns false, nothing written, where it
 * is out of order or does not fit, or a path holds what can not stand in a
 * command. SIZE= and BODY= are said only where the next hop has them.
 *
 * path     with its angle brackets, as struct smtp_path has it in raw
 * size     octets that the message will have, 0 where not known
 */
bool smtp_client_mail(struct smtp_client *c, struct bytes path, uint64_t size,
    bool is_8bit);
bool smtp_client_rcpt(struct smtp_client *c, struct bytes path);
bool smtp_client_data(struct smtp_client *c);
bool smtp_client_rset(struct smtp_client *c);
bool smtp_client_quit(struct smtp_client *c);

/*
 * Sends message octets, dot-stuffed; only after a 354 was read.
 *
 * octets   what fits into ->out is taken and cut from its front
 * Returns  false out of order, or where the octets hold a bare CR or LF:
 *          the connection must then be dropped
 */
bool smtp_client_content(struct smtp_client *c, struct bytes *octets);

/*
 * Sends the final dot. False where ->out has no room: drain and call again.
 * False with smtp_client_fault() set where the message ended in a bare CR or
 * the session is broken: it will never be true. False out of order.
 */
bool smtp_client_end(struct smtp_client *c);

/* Why the connection must be dropped, for the log; NULL: it need not be. */
const char *smtp_client_fault(const struct smtp_client *c);

#endif
