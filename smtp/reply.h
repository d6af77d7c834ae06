/* Writes replies: one or more lines, bounded, and nothing can break out. */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "base/buf.h"

#define SMTP_REPLY_TEXT 1800	/* octets of text that are written at most */
#define SMTP_REPLY_LINES 24	/* lines, likewise */
#define SMTP_REPLY_ROOM 2560	/* no reply needs more room than this */

/*
 * Adds a reply.
 *
 * code     200 to 599
 * enhanced "5.1.1", at the front of each line; NULL: none
 * text     lines with LF between them; a line over 480 octets is broken.
 *          CR is taken out, a control or 8-bit octet becomes '?', HTAB
 *          stays. What is over a bound is left out
 * Source   RFC 5321 4.2.1, 4.5.3.1.5; RFC 2034; attacks.md F14
 */
void smtp_reply_add(struct buf *out, int code, const char *enhanced,
    struct bytes text);

#endif
