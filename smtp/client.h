/*
 * The client's side of an SMTP or LMTP session, without a socket: the mirror
 * of server.h. The owner asks for the next step, octets to send stand in
 * ->out, replies of the next hop come out as events (RFC 5321, 1870, 2033,
 * 2920, 3207, 3461, 4954, 6152, 6531).
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "base/buf.h"
#include "smtp/dot.h"
#include "smtp/ehlo.h"
#include "smtp/introduce.h"
#include "smtp/replyparse.h"

enum smtp_client_event {
	SMTP_CLIENT_MORE,	/* all input is used; read more */
	SMTP_CLIENT_READY,	/* greeted: the extensions are known */
	SMTP_CLIENT_REFUSED,	/* banner or EHLO refused: ->reply; over */
	SMTP_CLIENT_STARTTLS,	/* ->reply: after a 220 the handshake is due,
				   then smtp_client_secured() */
	SMTP_CLIENT_AUTH,	/* ->reply: 235, a refusal, or the 334 that
				   smtp_client_auth_line() answers */
	SMTP_CLIENT_XCLIENT,	/* refused: ->reply. A yes ends in READY */
	SMTP_CLIENT_MAIL,	/* ->reply to MAIL */
	SMTP_CLIENT_RCPT,	/* ->reply to RCPT */
	SMTP_CLIENT_DATA,	/* ->reply to DATA: after a 354 content may go */
	SMTP_CLIENT_END,	/* ->reply to the final dot; LMTP: one for
				   each accepted recipient, in their order */
	SMTP_CLIENT_RSET,	/* ->reply to RSET */
	SMTP_CLIENT_QUIT,	/* ->reply to QUIT; over */
	SMTP_CLIENT_BROKEN,	/* not a reply, or one nobody asked for; over */
};

#define SMTP_CLIENT_OUT 32768

#define SMTP_CLIENT_ASKED 64

/* MAIL and its parameters; those of RFC 3461 are empty where not said. */
struct smtp_client_mail {
	struct bytes path;	/* with brackets, as struct smtp_path's raw */
	uint64_t size;		/* octets of the message; 0: not known */
	bool is_8bit;
	bool is_utf8;
	struct bytes ret;	/* "FULL", "HDRS" */
	struct bytes envid;	/* xtext */
};

struct smtp_client_rcpt {
	struct bytes path;
	struct bytes notify;	/* "NEVER" ... */
	struct bytes orcpt;	/* "rfc822;" and xtext */
};

struct smtp_client {
	const char *hostname;	/* what we say in EHLO */
	bool is_lmtp;
	bool is_secure;		/* under TLS */
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
	unsigned n_ends;	/* LMTP: replies to the dot still to come */
	int auth;		/* what is sent at the next 334 */
	bool is_auth_open;	/* a 334 waits for smtp_client_auth_line() */
	struct bytes user, password;	/* the owner's, while AUTH lasts */
	bool is_content;	/* 354 came and the final dot is not out */
	bool is_unasked;	/* octets came that answer nothing */
	const char *fault;	/* why BROKEN, else NULL */
};

/*
 * Ready for the banner. hostname outlives c; c must not be moved.
 *
 * is_lmtp  LHLO, which has no HELO behind it (RFC 2033)
 */
void smtp_client_init(struct smtp_client *c, const char *hostname,
    bool is_lmtp);

/*
 * Reads replies until one is complete.
 *
 * in       octets as read; what was used is cut from its front
 * Returns  an event; c->reply is good until the next call
 *
 * A 4xx or 5xx to EHLO but 421 falls back to HELO by itself. SMTP_CLIENT_BROKEN
 * is also any octet behind the 220 to STARTTLS (attacks.md T2) or the 354 to
 * DATA, a code outside 200 to 599, one that the command can not have (354 to
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
 * is out of order or does not fit, or a path or parameter holds what can not
 * stand in a command. A parameter is said only where the next hop has its
 * extension; a path that is not ASCII needs SMTPUTF8.
 */
bool smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m);
bool smtp_client_rcpt(struct smtp_client *c, const struct smtp_client_rcpt *r);
bool smtp_client_data(struct smtp_client *c);
bool smtp_client_rset(struct smtp_client *c);
bool smtp_client_quit(struct smtp_client *c);

/*
 * Asks for TLS: where it is offered and not there yet. Once the owner has
 * done the handshake it calls smtp_client_secured(): all that was learnt is
 * forgotten and EHLO is said anew, READY follows (RFC 3207 4.2). For TLS from
 * the first octet that is called before the banner.
 */
bool smtp_client_starttls(struct smtp_client *c);
void smtp_client_secured(struct smtp_client *c);

/*
 * AUTH with a name and a password, by PLAIN or else LOGIN, whichever is
 * offered; never in the clear (attacks.md T3). False also where a name is
 * over 255 octets.
 *
 * user, password  octets without NUL that live until SMTP_CLIENT_AUTH
 * Source   RFC 4954 4, RFC 4616
 */
bool smtp_client_auth(struct smtp_client *c, struct bytes user,
    struct bytes password);

/*
 * AUTH as somebody else says it, octet for octet and without CRLF: the
 * command, then an answer to each 334. Under TLS alone.
 */
bool smtp_client_auth_line(struct smtp_client *c, struct bytes line);

/* Wipes what AUTH has left in the buffer. When it was sent, and at the end. */
void smtp_client_wipe(struct smtp_client *c);

/*
 * Says who the client is, in the attributes that the next hop knows; then
 * EHLO anew and READY. False also where it does not know XCLIENT.
 */
bool smtp_client_xclient(struct smtp_client *c,
    const struct smtp_introduction *who);

/*
 * Sends message octets, dot-stuffed; only after a 354 was read.
 *
 * octets   what fits into ->out is taken and cut from its front
 * Returns  false out of order, or where the octets hold a bare CR or LF:
 *          the connection must then be dropped
 */
bool smtp_client_content(struct smtp_client *c, struct bytes *octets);

/*
 * Likewise without a copy: octets that leave as they are, at most max of them,
 * cut from the front. The owner sends them behind what stands in ->out, before
 * anything else. Empty where smtp_client_content() must look at what is next.
 */
struct bytes smtp_client_run(struct smtp_client *c, struct bytes *octets,
    size_t max);

/*
 * Sends the final dot. False where ->out has no room: drain and call again.
 * False with smtp_client_fault() set where the message ended in a bare CR or
 * the session is broken: it will never be true. False out of order.
 */
bool smtp_client_end(struct smtp_client *c);

/* Why the connection must be dropped, for the log; NULL: it need not be. */
const char *smtp_client_fault(const struct smtp_client *c);

#endif
