/*
 * The server's side of an SMTP session, without a socket: octets and answers
 * go in, events and replies come out (RFC 5321, 1870, 2920, 6152, 2034).
 *
 * Usage: feed octets with smtp_server_next() until it says SMTP_SERVER_MORE;
 * write what stands in ->out to the client whenever it is not empty. After
 * an event that asks (MAIL, RCPT, DATA, END) nothing further is read from
 * the input until smtp_server_answer() was called: pipelined commands wait.
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include "base/buf.h"
#include "smtp/dot.h"
#include "smtp/path.h"

struct smtp_server_config {
	const char *hostname;	/* banner and replies */
	uint64_t max_message;	/* octets; announced as SIZE */
	size_t max_line;	/* octets of a text line without CRLF */
	bool offer_8bitmime;
	unsigned max_errors;	/* then 421 */
	unsigned max_commands;	/* a session; then 421 */
};

enum smtp_server_event {
	SMTP_SERVER_MORE,	/* all input is used; read more */
	SMTP_SERVER_HELO,	/* ->helo is new; already answered */
	SMTP_SERVER_MAIL,	/* asks: ->mail_from, ->size, ->is_8bit */
	SMTP_SERVER_RCPT,	/* asks: ->rcpt_to */
	SMTP_SERVER_DATA,	/* asks: 354 or a refusal */
	SMTP_SERVER_CONTENT,	/* ->content holds message octets: take them */
	SMTP_SERVER_END,	/* asks: the final dot was read */
	SMTP_SERVER_RESET,	/* the transaction is gone; already answered */
	SMTP_SERVER_CLOSE,	/* write ->out, then close */
};

#define SMTP_COMMAND_MAX 1024	/* octets with CRLF, parameters included */
#define SMTP_CONTENT_CHUNK 16384

/* All of it is the machine's but for what the comments at events name. */
struct smtp_server {
	const struct smtp_server_config *config;
	int state;
	int pending;		/* the event that waits for its answer */
	struct buf out;		/* replies to be written; drain it */
	uint8_t out_octets[8192];
	uint8_t line[SMTP_COMMAND_MAX];
	size_t n_line;
	size_t n_swallowed;	/* of a line that is too long */
	struct bytes helo;	/* view of helo_octets */
	uint8_t helo_octets[256];
	bool is_esmtp;		/* EHLO, not HELO */
	bool is_pipelining;	/* more input stood behind the last command */
	struct smtp_path mail_from;	/* views of path_octets */
	struct smtp_path rcpt_to;	/* views of line; until the answer */
	uint8_t path_octets[SMTP_COMMAND_MAX];
	uint64_t size;		/* SIZE= of MAIL; 0: not said */
	bool is_8bit;		/* BODY=8BITMIME */
	unsigned n_rcpt;	/* accepted */
	unsigned n_errors;
	unsigned n_commands;
	struct dot dot;
	uint64_t n_content;	/* octets of the message so far */
	int refusal;		/* what the content is refused for, at its dot */
	struct bytes content;	/* view of content_octets; until the next call */
	uint8_t content_octets[SMTP_CONTENT_CHUNK];
};

/* Ready for a client; the banner stands in ->out. config outlives s. */
void smtp_server_init(struct smtp_server *s,
    const struct smtp_server_config *config);

/*
 * Goes on until something happens.
 *
 * in       octets as read; what was used is cut from its front
 * Returns  an event. After CLOSE the machine takes no further octets.
 *
 * Faults of framing and bounds are answered here, not asked about: command
 * lines too long (500 5.5.2, the session goes on), bare CR or LF in DATA
 * (550 5.5.2 and CLOSE, since what follows can not be told from data), a
 * message over max_message (552 5.3.4 at its dot) or with a line over
 * max_line (550 5.6.0 at its dot), an endless line (421 and CLOSE). Then
 * RESET is the event, or CLOSE, and END never comes.
 */
enum smtp_server_event smtp_server_next(struct smtp_server *s,
    struct bytes *in);

/*
 * Answers the event that asked.
 *
 * code     of the reply: 250, 354, 4xx, 5xx; 421 closes the session
 * enhanced "2.1.0"; NULL: the text already begins with one, or has none
 * text     printed as it is, CR and LF taken out, up to 1,800 octets of one
 *          or more lines (LF between them)
 */
void smtp_server_answer(struct smtp_server *s, int code, const char *enhanced,
    struct bytes text);

/* Says 421 4.3.2 (or 4.4.2 where it was silent) and closes; next is CLOSE. */
void smtp_server_shutdown(struct smtp_server *s, bool is_timeout);

/* Whether a transaction is under way (MAIL accepted, not ended). */
bool smtp_server_is_busy(const struct smtp_server *s);

#endif
