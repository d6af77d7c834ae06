/*
 * A message that left us, as it had come to us (protocol.md K7; draft 16.3):
 * for a DSN that goes back one hop.
 */
#ifndef DSN_UNDO_H
#define DSN_UNDO_H

#include "dkim2/dkim2.h"

/* Who we are. */
struct dsn_ours {
	/* Whether a d= is of our keys; it comes as written, in any case. */
	bool (*is_ours)(void *arg, struct bytes domain);
	void *arg;
	struct bytes hostname;	/* stands in our Received behind "by" */
};

/*
 * What came to us. Octets of the header and the paths are the arena's or
 * views of the message.
 */
struct dsn_undone {
	struct bytes header;	/* without the empty line; what we put on top
				   and what stood above it is gone */
	struct bytes body;
	bool has_body;		/* false: there is none, or it can not be had;
				   the header alone goes back */
	/*
	 * mf= of the signature that is then on top, with brackets, "<>" for the
	 * null path; p == NULL: it has none (nd=), or no signature is left as
	 * we were the first to sign.
	 */
	struct bytes mail_from;
	bool has_nd;		/* it has nd=: no DSN may go (draft 16.1) */
	const struct bytes *rcpts;	/* its rt=, paths with brackets */
	size_t n_rcpts;
	/*
	 * d= of our lowest signature that was taken off: the domain which
	 * the message had come to, as custody wants.
	 */
	struct bytes domain;
	/*
	 * rt= of our top signature, paths with brackets: whom this copy was
	 * for, whoever reports on it.
	 */
	const struct bytes *sent;
	size_t n_sent;
	/*
	 * Names the copy of the message that we sent, to tell of it once: 32
	 * octets, SHA-256 of what our top signature signs. Whoever reports
	 * can not vary it (folds and s= are not in it).
	 */
	struct bytes signature;
};

enum dsn_undo_verdict {
	DSN_UNDONE,
	DSN_UNDO_NOT_OURS,	/* its top signature is not ours, or none */
	DSN_UNDO_IMPOSSIBLE,	/* no header that fits the hashes it came
				   with can be had */
};

/*
 * Takes our own hop off a message: its top signature, one of an imaginary hop
 * (nd=) of ours below it, their instances with what their recipes tell,
 * and of the fields that no hash covers those of our own block and all above
 * it. What remains stands octet for octet.
 *
 * That the returned message verifies is not looked at (dsn/check.h does);
 * that what comes out fits the hashes of its own top instance is.
 *
 * m, body  as the DSN returns it (struct dsn_report); has_body: with its body
 * ours     who we are
 * v        set where 0 is returned; u is filled in with DSN_UNDONE alone
 * Returns  0, -E_NOMEM or -E_CRYPTO
 */
int dsn_undo(struct dsn_undone *u, const struct dkim2_message *m,
    struct bytes body, bool has_body, const struct dsn_ours *ours,
    struct arena *a, enum dsn_undo_verdict *v);

/*
 * The header as it came to us of a message that we passed on unsigned, from
 * one that was returned by a server behind us: fields that no hash covers
 * are cut from the top down to our own Received above the top signature;
 * where that is not found, down to that signature.
 *
 * header   set, without the empty line
 * Returns  0 or -E_NOMEM
 */
int dsn_undo_trace(struct bytes *header, const struct dkim2_message *m,
    struct bytes hostname, struct arena *a);

#endif
