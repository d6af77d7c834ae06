/* Reads replies of a server that is not trusted: bounded, strict in form. */
#ifndef SMTP_REPLYPARSE_H
#define SMTP_REPLYPARSE_H

#include "base/buf.h"
#include "smtp/line.h"

/* A reply, parsed and bounded; views of the parser's buffers. */
struct smtp_reply {
	int code;		/* 200 to 599 */
	struct bytes enhanced;	/* "5.1.1"; empty where there is none */
	struct bytes text;	/* lines joined by LF, without code and enhanced
				   status; control octets are still in it */
};

#define SMTP_REPLY_MAX 2048		/* octets of text kept of a reply */
#define SMTP_REPLY_LINES_MAX 128	/* lines; more are no reply */

enum smtp_replyparse_step {
	SMTP_REPLYPARSE_MORE,	/* all input used, the reply goes on */
	SMTP_REPLYPARSE_LINE,	/* a line that is not the last: ->last_line */
	SMTP_REPLYPARSE_READY,	/* the last line: the reply is whole */
	SMTP_REPLYPARSE_BROKEN,	/* no reply: ->fault; not to be fed again */
};

struct smtp_replyparse {
	struct smtp_line line;
	uint8_t line_octets[SMTP_REPLY_MAX];
	struct bytes last_line;	/* what stands behind its code; until the next
				   call */
	int code;		/* 0 before the first line */
	unsigned n_lines;
	uint8_t enhanced[12];
	size_t n_enhanced;
	struct buf text;
	uint8_t text_octets[SMTP_REPLY_MAX];
	bool is_ready;
	const char *fault;
};

/* Ready for the first reply. p must not be moved. */
void smtp_replyparse_init(struct smtp_replyparse *p);

/*
 * Reads on to the end of the next line of a reply.
 *
 * in       octets as read; what was used is cut from its front
 * Returns  a step. BROKEN is a code outside of 200 to 599, a line of another
 *          form than code, SP or hyphen, text; another code than the line
 *          before; a bare LF; a line without end, too many lines
 * Source   RFC 5321 4.2.1, 4.5.3.1.5; RFC 2034 4; attacks.md F14
 */
enum smtp_replyparse_step smtp_replyparse_next(struct smtp_replyparse *p,
    struct bytes *in);

/* The reply that is READY; views that are good until the next call. */
struct smtp_reply smtp_replyparse_reply(const struct smtp_replyparse *p);

#endif
