/* Lines of commands and of replies: they end CRLF, and have bounds. */
#ifndef SMTP_LINE_H
#define SMTP_LINE_H

#include "base/bytes.h"

#define SMTP_LINE_MAX 65536	/* octets; a line must end within these */

enum smtp_line_step {
	SMTP_LINE_MORE,		/* all input used, the line goes on */
	SMTP_LINE_READY,	/* a line; look at all four flags */
	SMTP_LINE_ENDLESS,	/* no end within SMTP_LINE_MAX: give up */
};

struct smtp_line {
	uint8_t *p;		/* the front of the line, storage of the owner */
	size_t cap;		/* octets that are kept, line end included */
	size_t n;		/* kept */
	size_t n_seen;		/* octets of the line, line end included */
	bool is_long;		/* over cap: the front alone was kept */
	bool has_bare_cr;	/* a CR that no LF follows */
	bool has_bare_lf;	/* the line ended in LF without CR */
	bool has_nul;
	bool is_cr;		/* the octet before was CR */
	bool is_ready;		/* READY was said: the next octet begins anew */
};

/* Lines of up to cap octets, CRLF included, in storage that outlives l. */
void smtp_line_init(struct smtp_line *l, uint8_t *storage, size_t cap);

/*
 * Reads on up to the next LF.
 *
 * A line ends at LF, with a flag where no CR came before it: the caller
 * refuses such a line, but need not wait for a CRLF that may never come.
 *
 * in       octets as read; what was used is cut from its front
 * Source   RFC 5321 2.3.8, 4.5.3.1.4; attacks.md F4, F5
 */
enum smtp_line_step smtp_line_read(struct smtp_line *l, struct bytes *in);

/* The line that is READY, without its end; until the next read. */
struct bytes smtp_line_octets(const struct smtp_line *l);

#endif
