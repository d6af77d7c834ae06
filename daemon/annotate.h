/*
 * What we tell the servers behind us: our Authentication-Results, and the
 * header block without those that only claim to be ours (attacks.md V20).
 * DKIM2 does not hash the field, so that neither breaks a signature.
 */
#ifndef DAEMON_ANNOTATE_H
#define DAEMON_ANNOTATE_H

#include "dkim2/authres.h"

struct annotation {
	struct bytes field;	/* ours, with its CRLF; empty: there is none */
	struct bytes header;	/* what stays of the header block, in order */
};

/*
 * Annotates a message that came in.
 *
 * facts    what is to be told; where it is nothing but our id, no field is
 *          written, and what claims to be ours is left out all the same
 * a        takes the field, and the header block where something is left out
 * Returns  0, -E_NOMEM, or -E_LIMIT for a field past AUTHRES_MAX
 * Lifetime of what out holds: the arena's and the message's
 * Source   RFC 8601 5
 */
int annotate(struct annotation *out, const struct dkim2_message *m,
    const struct authres *facts, struct arena *a);

#endif
