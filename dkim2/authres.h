/*
 * Authentication-Results (RFC 8601): ours written, forged ones found.
 *
 * Source  RFC 8601; RFC 6008 (header.b); draft-gondwana-dkim2-authres
 */
#ifndef DKIM2_AUTHRES_H
#define DKIM2_AUTHRES_H

#include "base/buf.h"
#include "dkim2/dkim1.h"
#include "dkim2/dkim2.h"
#include "dkim2/dmarc.h"

#define AUTHRES_FIELD "Authentication-Results"
#define AUTHRES_MAX 16384	/* octets of the longest field we write */

/* What was found out; each part may be NULL: it was not looked for. */
struct authres {
	struct bytes id;	/* authserv-id, ours */
	const struct dkim2_result *dkim2;
	const char *condition;	/* a token for policy.condition= */
	const struct dkim1_result *dkim1;
	const struct dmarc_verdict *dmarc;
};

/*
 * Adds the field, folded, a line or more for each method:
 *
 *   dkim2=STATE (TEXT) header.d=D header.i=I	D of i=1; I of the signature
 *	that failed, where it was one that did; TEXT of a pass counts the hops.
 *	Behind it policy.condition=C where the operator asks for it
 *   dkim=STATE (TEXT) header.d=D header.i=I header.s=S header.a=A header.b=B
 *	for each signature; B is the beginning of b=
 *   dmarc=STATE (p=POLICY) header.from=DOMAIN
 *
 * A value that came from the net is written only where it is the plain kind
 * of thing that it should be; texts are escaped.
 *
 * out      AUTHRES_MAX octets of room are always enough
 * Returns  0, -E_LIMIT where out is full, or -E_SYNTAX for an id that is
 *          empty, longer than 253 octets or not printable ASCII
 */
int authres_write(const struct authres *r, struct buf *out);

/*
 * Says whether a field is an Authentication-Results that may be taken for
 * one of ours. That is judged as the most careless reader would: any case,
 * folds, comments (nested, escaped, or neither), quotes, a version or more
 * behind the id, a dot at its end, U-labels, a word cut in two by white
 * space, 8-bit or control octets; and where comments or quotes never end,
 * wherever the id stands. A field of another host that only mentions ours in
 * a comment is not one.
 *
 * id       ours; of letters, digits, "." "-" "_" (others are never found)
 * Source   RFC 8601 5, 2.2
 */
bool authres_claims(const struct dkim2_field *field, struct bytes id);

/*
 * All such fields of a message, from the top: what is to be left out before
 * our own is put on.
 *
 * cuts     set to their octets, views of the header block, folds and last
 *          CRLF included
 * Returns  0 or -E_NOMEM
 */
int authres_find(const struct dkim2_message *m, struct bytes id,
    struct arena *a, const struct bytes **cuts, size_t *n);

#endif
