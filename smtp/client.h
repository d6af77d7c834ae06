/*
 * The client's side of an SMTP session, without a socket: the mirror of
 * server.h. The owner asks for the next step, octets to send stand in ->out,
 * replies of the next hop come out as events (RFC 5321, 1870, 2920, 6152).
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "base/buf.h"
#include "smtp/dot.h"
#include "smtp/path.h"

/* A reply, parsed and bounded; views of the client's buffers. */
struct smtp_reply {
	int code;		/* 200 to 599 */
	struct bytes enhanced;	/* "5.1.1"; empty where there is none */
	struct bytes text;	/* lines joined by LF, without code and enhanced
				   status; control octets are still in it */
};

#define SMTP_REPLY_MAX 2048	/* octets of text kept of a reply */

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

#define SMTP_CAN_PIPELINE 1U
#define SMTP_CAN_8BITMIME 2U
#define SMTP_CAN_SIZE 4U
#define SMTP_CAN_ENHANCED 8U
#define SMTP_CAN_SMTPUTF8 16U
#define SMTP_CAN_STARTTLS 32U
#define SMTP_CAN_CHUNKING 64U
#define SMTP_CAN_DSN 128U

#define SMTP_CLIENT_OUT 32768

struct smtp_client {
	const char *hostname;	/* what we say in EHLO */
	int state;
	uint8_t asked[8];	/* commands under way, the oldest first */
	unsigned n_asked;
	unsigned can;		/* SMTP_CAN_* of the next hop */
	uint64_t max_size;	/* of its SIZE; 0: no limit said */
	struct buf out;		/* octets to be written; drain it */
	uint8_t out_octets[SMTP_CLIENT_OUT];
	struct smtp_reply reply;
	uint8_t line[SMTP_REPLY_MAX];
	size_t n_line;
	struct buf text;	/* of the reply that is being read */
	uint8_t text_octets[SMTP_REPLY_MAX];
	int code;
	unsigned n_lines;
	struct dot_encoder dot;
	bool is_content;	/* 354 came and the final dot is not out */
};

/* Ready for the banner. hostname outlives c. */
void smtp_client_init(struct smtp_client *c, const char *hostname);

/*
 * Reads replies until one is complete.
 *
 * in       octets as read; what was used is cut from its front
 * Returns  an event; c->reply is good until the next call
 *
 * A 4xx or 5xx to EHLO falls back to HELO by itself. A code outside 200 to
 * 599, one that the command can not have (354 to the dot), a reply line
 * over 512 octets that does not end within 64 KiB, or more than 128 lines is
 * SMTP_CLIENT_BROKEN (attacks.md F14).
 */
enum smtp_client_event smtp_client_next(struct smtp_client *c,
    struct bytes *in);

/*
 * Ask for a step; commands go to ->out. MAIL and RCPT may be asked for one
 * after the other where SMTP_CAN_PIPELINE. Each returns false, nothing
 * written, where it is out of order or does not fit.
 *
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

/* Sends the final dot. False where ->out has no room: drain and call again. */
bool smtp_client_end(struct smtp_client *c);

/* Why the last event was SMTP_CLIENT_BROKEN, for the log. Static storage. */
const char *smtp_client_fault(const struct smtp_client *c);

#endif
