/*
 * The server's side of an SMTP or LMTP session, without a socket: octets and
 * answers go in, events and replies come out (RFC 5321, 1870, 2033, 2034,
 * 2920, 3030, 3207, 3461, 4954, 6152, 6531; Postfix's XCLIENT).
 *
 * Usage: feed octets with smtp_server_next() until it says SMTP_SERVER_MORE;
 * write what stands in ->out to the client whenever it is not empty. After
 * an event that asks nothing further is read from the input until
 * smtp_server_answer() was called: pipelined commands wait.
 *
 * MORE with something in ->out may mean that there is no room for what comes
 * next: drain it, call again. So ->out never overflows, however much is
 * pipelined.
 *
 * Write the banner before the first octets are fed. Input that comes while
 * it still stands in ->out is an early talker's: 554 in its place and CLOSE.
 *
 * Input that stands behind DATA or STARTTLS when the machine reads it, or
 * that is fed while the answer to it is due, was sent before its 354 or 220:
 * 554 and CLOSE (RFC 2920 3.1 has both at the end of a group; row T1).
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include "base/buf.h"
#include "smtp/dot.h"
#include "smtp/ehlo.h"
#include "smtp/line.h"
#include "smtp/path.h"
#include "smtp/sasl.h"
#include "smtp/xclient.h"

/* The owner may change it while no command waits for its answer. */
struct smtp_server_config {
	const char *hostname;	/* banner and replies */
	unsigned offer;		/* of SMTP_CAN_*: 8BITMIME, SMTPUTF8, CHUNKING,
				   DSN, XCLIENT, STARTTLS (not under TLS), AUTH_*
				   (only there); PIPELINING, SIZE and ENHANCED
				   always are */
	bool is_lmtp;		/* LHLO, and a reply for each recipient */
	bool needs_tls;		/* 530 to all but greetings before it */
	bool is_repairing;	/* an LF alone in content becomes CRLF, and
				   ->dot.is_repaired says so at END */
	uint64_t max_message;	/* octets; announced as SIZE; 0: no limit */
	size_t max_line;	/* octets of a text line without CRLF; 0: those
				   of SMTP_TEXT_LINE_MAX */
	unsigned max_rcpt;	/* accepted in a transaction; 0: no limit */
	unsigned max_errors;	/* 5xx replies since the last message that was
				   accepted; then 421. 0: no limit */
	unsigned max_commands;	/* a session; then 421. 0: no limit */
	/* is told each command line, and each line of a reply, without its
	   end; of AUTH and its responses, and of unknown commands, only that
	   they came. NULL: nobody is */
	void (*watch)(void *arg, bool is_reply, struct bytes line);
	void *watch_arg;
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
	SMTP_SERVER_STARTTLS,	/* asks: 220 or 454 and the like. Once the 220
				   is written: smtp_server_secured() */
	SMTP_SERVER_AUTH,	/* asks: ->sasl.said; 235, 535, 454 ... The
				   secrets are overwritten by the answer */
	SMTP_SERVER_XCLIENT,	/* asks: ->xclient; 220 or a refusal */
	SMTP_SERVER_MAIL,	/* asks: ->mail */
	SMTP_SERVER_RCPT,	/* asks: ->rcpt */
	SMTP_SERVER_DATA,	/* asks: 354 or a refusal; DATA, or the first
				   BDAT, whose 354 is not sent */
	SMTP_SERVER_CONTENT,	/* ->content holds message octets: take them */
	SMTP_SERVER_END,	/* asks: all content was read. LMTP: the answer
				   is that of the first recipient */
	SMTP_SERVER_END_RCPT,	/* asks: LMTP's answer for the next recipient,
				   ->n_answered of them have theirs */
	SMTP_SERVER_RESET,	/* the transaction that was under way is gone;
				   already answered */
	SMTP_SERVER_CLOSE,	/* write ->out, then close */
};

#define SMTP_COMMAND_MAX 2048	/* octets with CRLF, parameters included */
#define SMTP_AUTH_LINE_MAX 12288	/* AUTH, and responses in it */
#define SMTP_TEXT_LINE_MAX (1U << 20)	/* octets; then DATA is given up */
#define SMTP_CONTENT_CHUNK 16384

struct smtp_server_refusal;

/*
 * Where replies and what was read stand. Most sessions wait for their client
 * most of the time, and need none of it then.
 */
struct smtp_server_room {
	uint8_t out[8192];
	uint8_t octets[SMTP_CONTENT_CHUNK];	/* a command line, or content */
	uint8_t said[SMTP_COMMAND_MAX];	/* of MAIL and XCLIENT */
};

/* All of it is the machine's but for what the comments at events name. */
struct smtp_server {
	const struct smtp_server_config *config;
	int state;
	int pending;		/* the event that waits for its answer */
	int follow;		/* the event that comes next, whatever is read */
	struct smtp_server_room *room;	/* NULL: it was taken away */
	struct buf out;		/* replies to be written; drain it */
	struct smtp_line line;	/* in the room */
	bool is_tainted;	/* the line before ended in a bare LF */
	bool is_greeted;	/* the banner was drained from ->out */
	bool is_early;		/* octets came before a 354 or 220 */
	bool is_upgrading;	/* 220 to STARTTLS: no octet is taken */
	bool is_secured;	/* TLS */
	bool is_authenticated;
	struct bytes helo;	/* view of helo_octets */
	uint8_t helo_octets[256];
	bool is_esmtp;		/* EHLO or LHLO, not HELO */
	unsigned can;		/* SMTP_CAN_*: what the greeting offered */
	bool is_pipelining;	/* more input stood behind the last command */
	struct smtp_sasl sasl;	/* its octets are in the room */
	struct smtp_xclient xclient;	/* views of the room, which may be taken */
	struct smtp_server_mail mail;	/* away once they are answered */
	struct smtp_server_rcpt rcpt;	/* views of the room; until the answer */
	unsigned n_rcpt;	/* accepted */
	unsigned n_answered;	/* of them, by LMTP's final answers */
	unsigned n_errors;
	unsigned n_commands;
	struct dot dot;
	uint64_t n_chunk;	/* octets of the chunk that are still to come */
	uint64_t n_skip;	/* octets of a refused chunk, likewise */
	bool is_chunked;	/* the content comes by BDAT */
	bool is_last;		/* the chunk is the last one */
	uint64_t n_content;	/* octets of the message so far */
	struct bytes content;	/* view of the input or of the room; until the
				   next call */
	const struct smtp_server_refusal *fault;	/* of the content */
	unsigned n_due;		/* replies that tell it */
};

/*
 * Ready for a client; the banner stands in ->out. config and room outlive s,
 * but for what smtp_server_lend() changes. The machine points into itself:
 * it must not be copied or moved.
 */
void smtp_server_init(struct smtp_server *s,
    const struct smtp_server_config *config, struct smtp_server_room *room);

/* Whether nothing is under way, so that the room may be taken away. */
bool smtp_server_is_resting(const struct smtp_server *s);

/*
 * Gives it another room, or, with NULL, none: only while it is resting. With
 * none no other function may be called that does more than ask.
 */
void smtp_server_lend(struct smtp_server *s, struct smtp_server_room *room);

/*
 * Says that the channel is TLS from here on: once the 220 to STARTTLS was
 * written and the handshake is done, or, where TLS came first, before the
 * first octets. The session is where the banner left it: nothing that was
 * said in clear is remembered (RFC 3207 4.2).
 */
void smtp_server_secured(struct smtp_server *s);

/*
 * Goes on until something happens.
 *
 * in       octets as read; what was used is cut from its front
 * Returns  an event. After CLOSE the machine takes no further octets.
 *
 * Faults of framing and bounds are answered here, not asked about. Of
 * commands: a line over SMTP_COMMAND_MAX (AUTH: SMTP_AUTH_LINE_MAX, 500
 * 5.5.6), a bare CR, a NUL (500 5.5.2, the session goes on; a NUL before any
 * greeting is another protocol: 554 and CLOSE), a bare LF (likewise, and what
 * follows up to the next CRLF is refused too), no line end within
 * SMTP_LINE_MAX (421 and CLOSE), BDAT that is not offered (502 5.5.1 and
 * CLOSE, since octets follow unasked) or whose size can not be read (521). Of
 * content: a bare CR or LF in DATA (550 5.5.2 and CLOSE, since what follows
 * can not be told from data; an LF is none where is_repairing); at the dot a message over max_message (552
 * 5.3.4), a line over max_line or a NUL (550 5.6.0); a message over twice
 * max_message or a line over SMTP_TEXT_LINE_MAX (421 and CLOSE). Then RESET
 * is the event, or CLOSE, and END never comes; CONTENT stops as soon as the
 * fault is seen.
 *
 * A refused BDAT (503, 552, a bare CR or LF in it, a last one that does not
 * end its last line: 550 5.6.0) ends the transaction, and its octets are
 * passed over: chunks behind it are never taken for the beginning of a
 * message. A chunk over twice max_message is 552 and CLOSE.
 */
enum smtp_server_event smtp_server_next(struct smtp_server *s,
    struct bytes *in);

/*
 * Answers the event that asked.
 *
 * code     of the reply: 2xx to MAIL, RCPT, END and END_RCPT, 354 to DATA,
 *          220 to STARTTLS and XCLIENT, 235 to AUTH, 4xx and 5xx to all; 421
 *          closes the session, next is CLOSE. A code that the command can
 *          not have is sent as 451
 * enhanced "2.1.0"; NULL: the text already begins with one, or has none
 * text     one or more lines, LF between them, written as smtp/reply.h says:
 *          up to 1,800 octets, nothing in it can break out of the reply
 *
 * A refused MAIL begins no transaction, a refused RCPT or DATA leaves the
 * one there is as it was (a refused first BDAT ends it: RESET follows), END
 * ends it with any code, in LMTP the last recipient's. After 220 to XCLIENT
 * the session is where the banner left it. Without effect once the session
 * is over.
 */
void smtp_server_answer(struct smtp_server *s, int code, const char *enhanced,
    struct bytes text);

/* Says 421 4.3.2 (or 4.4.2 where it was silent) and closes; next is CLOSE. */
void smtp_server_shutdown(struct smtp_server *s, bool is_timeout);

/* Whether what is read next is content: DATA, or a chunk. */
bool smtp_server_is_reading(const struct smtp_server *s);

/* Whether a transaction is under way (MAIL accepted, not ended). */
bool smtp_server_is_busy(const struct smtp_server *s);

#endif
