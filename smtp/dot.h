/* The transparency of DATA, octet-exact both ways (RFC 5321 4.5.2), and the
   lines of BDAT. */
#ifndef SMTP_DOT_H
#define SMTP_DOT_H

#include "base/buf.h"

enum dot_step {
	DOT_MORE,	/* all input used, or out is full; call again */
	DOT_END,	/* CRLF "." CRLF seen; the rest is not message data */
	DOT_BARE_CR,	/* a CR stood alone; refuse the message */
	DOT_BARE_LF,	/* an LF stood alone; refuse the message */
};

/* Where the decoder stands: named after what was just seen. */
enum dot_at { DOT_AT_BOL, DOT_AT_TEXT, DOT_AT_CR, DOT_AT_DOT, DOT_AT_DOTCR };

struct dot {
	enum dot_at at;
	size_t line;		/* octets of the line so far, without CRLF and
				   without a dot that was taken off */
	size_t longest;		/* octets of the longest line so far */
	bool is_stuffed;	/* DATA: a dot at the beginning of a line is
				   not text */
	bool is_repairing;	/* an LF alone becomes CRLF */
	bool is_repaired;	/* one did */
	bool has_8bit;
	bool has_nul;
};

/*
 * Ready for the first octet behind the 354. Where nothing is stuffed, as in
 * BDAT, the octets go through as they are, looked at for the same faults, and
 * no dot ends them: ->at says whether they ended a line.
 *
 * Where ->is_repairing is set then, an LF that no CR precedes ends a line of
 * the message as CRLF does, and nothing else: CRLF "." CRLF alone still ends
 * the message, a dot behind such an LF is text, and a CR alone is refused.
 */
void dot_init(struct dot *d, bool is_stuffed);

/*
 * Undoes dot-stuffing and finds the end of DATA.
 *
 * in       octets as read; what was used is cut from its front
 * out      message octets are appended, CRLF line ends kept as sent
 * Returns  a step. After DOT_BARE_* the decoder must not be fed again.
 * Source   RFC 5321 4.5.2 (transparency), 2.3.8 (no bare CR or LF)
 */
enum dot_step dot_decode(struct dot *d, struct bytes *in, struct buf *out);

/*
 * The part of that which needs no copy: octets that are the message's as they
 * came.
 *
 * in       octets as read; the run is cut from its front
 * max      octets that the run may have
 * Returns  the run; empty where dot_decode() must look at what comes next
 */
struct bytes dot_decode_run(struct dot *d, struct bytes *in, size_t max);

/* The sending side: only whether a line begins here. */
struct dot_encoder {
	bool is_bol;
	bool is_cr;		/* a CR is held back until its LF comes */
};

void dot_encoder_init(struct dot_encoder *e);

/*
 * Dot-stuffs message octets for the wire.
 *
 * in       octets of a message whose lines end CRLF (the decoder saw to it);
 *          what was used is cut from its front
 * out      as much as fits is appended; it never becomes full
 * Returns  false when a bare CR or LF is met: nothing may follow on that
 *          connection, since it can not be told what the peer would read.
 *          A CR is written with its LF, never before it, so that nothing
 *          bare ever left (attacks.md F3)
 */
bool dot_encode(struct dot_encoder *e, struct bytes *in, struct buf *out);

/*
 * The part of that which needs no copy: octets that leave as they are, at most
 * max of them, cut from the front of in. The owner sends them behind all that
 * was encoded before. Empty where dot_encode() must look at what comes next.
 */
struct bytes dot_encode_run(struct dot_encoder *e, struct bytes *in,
    size_t max);

/*
 * Adds the end of DATA: CRLF first where the message did not end with it.
 * Needs 5 octets of room. Returns false, nothing added, without them, and
 * where the message ended in a bare CR (is_cr): that can not be ended.
 */
bool dot_encode_end(struct dot_encoder *e, struct buf *out);

#endif
