/*
 * The server's side of an SMTP session, without a socket: octets and answers
 * go in, events and replies come out (RFC 5321, 1870, 2920, 6152, 2034).
 *
 * Usage: feed octets with smtp_server_next() until it says SMTP_SERVER_MORE;
 * write what stands in ->out to the client whenever it is not empty. After
 * an event that asks (MAIL, RCPT, DATA, END) nothing further is read from
 * the input until smtp_server_answer() was called: pipelined commands wait.
 *
 * MORE with octets left in the input means that ->out has no room for the
 * replies to them (or that an answer is due): drain it, call again. So
 * ->out never overflows, however much is pipelined.
 *
 * Write the banner before the first octets are fed. Input that comes while
 * it still stands in ->out is an early talker's: 554 in its place and CLOSE.
 *
 * Input that stands behind DATA when the machine reads it, or that is fed
 * while the answer to it is due, was sent before its 354: 554 5.5.0 and
 * CLOSE (RFC 2920 3.1 has DATA at the end of a group).
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include "base/buf.h"
#include "smtp/dot.h"
#include "smtp/line.h"
#include "smtp/path.h"

struct smtp_server_config {
	const char *hostname;	/* banner and replies */
	uint64_t max_message;	/* octets; announced as SIZE; 0: no limit */
	size_t max_line;	/* octets of a text line without CRLF; 0: those
				   of SMTP_TEXT_LINE_MAX */
	bool offer_8bitmime;
	unsigned max_errors;	/* 5xx replies since the last message that was
				   accepted; then 421. 0: no limit */
	unsigned max_commands;	/* a session; then 421. 0: no limit */
};

/* What MAIL said. */
struct smtp_server_mail {
	struct smtp_path from;
	uint64_t size;		/* SIZE=, octets; 0: not said */
	bool is_8bit;		/* BODY=8BITMIME */
	bool is_utf8;		/* SMTPUTF8 */
	struct bytes ret;	/* RET=, ENVID= and AUTH=: values as they */
	struct bytes envid;	/* came, in xtext; empty: not said */
	struct bytes auth;
};

/* What RCPT said. */
struct smtp_server_rcpt {
	struct smtp_path to;
	struct bytes notify;	/* NOTIFY= and ORCPT=: as above */
	struct bytes orcpt;
};

enum smtp_server_event {
	SMTP_SERVER_MORE,	/* all input is used; read more */
	SMTP_SERVER_HELO,	/* ->helo is new; already answered. Where it
				   ends a transaction, RESET came before it */
	SMTP_SERVER_MAIL,	/* asks: ->mail */
	SMTP_SERVER_RCPT,	/* asks: ->rcpt */
	SMTP_SERVER_DATA,	/* asks: 354 or a refusal */
	SMTP_SERVER_CONTENT,	/* ->content holds message octets: take them */
	SMTP_SERVER_END,	/* asks: the final dot was read */
	SMTP_SERVER_RESET,	/* the transaction that was under way is gone;
				   already answered */
	SMTP_SERVER_CLOSE,	/* write ->out, then close */
};

#define SMTP_COMMAND_MAX 1024	/* octets with CRLF, parameters included */
#define SMTP_TEXT_LINE_MAX (1U << 20)	/* octets; then DATA is given up */
#define SMTP_CONTENT_CHUNK 16384

/* All of it is the machine's but for what the comments at events name. */
struct smtp_server {
	const struct smtp_server_config *config;
	int state;
	int pending;		/* the event that waits for its answer */
	int follow;		/* the event that comes next, whatever is read */
	struct buf out;		/* replies to be written; drain it */
	uint8_t out_octets[8192];
	struct smtp_line line;
	uint8_t line_octets[SMTP_COMMAND_MAX];
	bool is_tainted;	/* the line before ended in a bare LF */
	bool is_greeted;	/* the banner was drained from ->out */
	bool is_early;		/* octets came behind DATA, before its 354 */
	struct bytes helo;	/* view of helo_octets */
	uint8_t helo_octets[256];
	bool is_esmtp;		/* EHLO, not HELO */
	bool is_pipelining;	/* more input stood behind the last command */
	struct smtp_server_mail mail;	/* views of mail_octets */
	struct smtp_server_rcpt rcpt;	/* views of line; until the answer */
	uint8_t mail_octets[SMTP_COMMAND_MAX];
	unsigned n_rcpt;	/* accepted */
	unsigned n_errors;
	unsigned n_commands;
	struct dot dot;
	uint64_t n_content;	/* octets of the message so far */
	struct bytes content;	/* view of content_octets; until the next call */
	uint8_t content_octets[SMTP_CONTENT_CHUNK];
};

/*
 * Ready for a client; the banner stands in ->out. config outlives s. The
 * machine points into itself: it must not be copied or moved.
 */
void smtp_server_init(struct smtp_server *s,
    const struct smtp_server_config *config);

/*
 * Goes on until something happens.
 *
 * in       octets as read; what was used is cut from its front
 * Returns  an event. After CLOSE the machine takes no further octets.
 *
 * Faults of framing and bounds are answered here, not asked about. Of
 * commands: a line over SMTP_COMMAND_MAX, a bare CR, a NUL (500 5.5.2, the
 * session goes on), a bare LF (likewise, and what follows up to the next
 * CRLF is refused too), no line end within SMTP_LINE_MAX (421 and CLOSE),
 * BDAT (502 5.5.1 and CLOSE, since octets follow unasked). Of content: a
 * bare CR or LF (550 5.5.2 and CLOSE, since what follows can not be told
 * from data); at the dot a message over max_message (552 5.3.4), a line over
 * max_line or a NUL (550 5.6.0); a message over twice max_message or a line
 * over SMTP_TEXT_LINE_MAX (421 and CLOSE). Then RESET is the event, or
 * CLOSE, and END never comes; CONTENT stops as soon as the fault is seen.
 */
enum smtp_server_event smtp_server_next(struct smtp_server *s,
    struct bytes *in);

/*
 * Answers the event that asked.
 *
 * code     of the reply: 2xx to MAIL, RCPT and END, 354 to DATA, 4xx and 5xx
 *          to all; 421 closes the session, next is CLOSE. A code that the
 *          command can not have is sent as 451
 * enhanced "2.1.0"; NULL: the text already begins with one, or has none
 * text     one or more lines, LF between them, written as smtp/reply.h says:
 *          up to 1,800 octets, nothing in it can break out of the reply
 *
 * A refused MAIL begins no transaction, a refused RCPT or DATA leaves the
 * one there is as it was, END ends it with any code. Without effect once
 * the session is over.
 */
void smtp_server_answer(struct smtp_server *s, int code, const char *enhanced,
    struct bytes text);

/* Says 421 4.3.2 (or 4.4.2 where it was silent) and closes; next is CLOSE. */
void smtp_server_shutdown(struct smtp_server *s, bool is_timeout);

/* Whether a transaction is under way (MAIL accepted, not ended). */
bool smtp_server_is_busy(const struct smtp_server *s);

#endif
