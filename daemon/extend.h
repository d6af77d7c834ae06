/*
 * What came back from the server in between, against what came in: whether
 * the chain in it may be extended, and what the new instance says (product.md,
 * Hand-over). Everything here is done within one call.
 */
#ifndef DAEMON_EXTEND_H
#define DAEMON_EXTEND_H

#include "daemon/arrival.h"
#include "daemon/decide.h"

struct extend_facts {
	const struct config_listener *listener;
	const struct dkim2_message *message;	/* as it came back */
	struct bytes body;
	const struct dkim2_digests *digests;	/* of it; SHA-256 among them */
	int64_t now_s;
	int copies_fd;		/* folder of copies; -1: none */
	struct arena *arena;	/* takes what e holds */
};

/*
 * What an arrival record makes of a message.
 *
 * e        filled in
 * Returns  0, -E_NOMEM or -E_CRYPTO
 * Lifetime of e: that of the arena and of the message
 */
int extend_by_record(struct extension *e, const struct extend_facts *f,
    const struct arrival *record);

/*
 * What `extend: trusting` makes of a message without a record: its chain is
 * extended where all of it is good but for the envelope it came with, which
 * nobody told us.
 *
 * result   without an envelope
 * Returns  0 or -E_NOMEM
 */
int extend_by_trust(struct extension *e, const struct extend_facts *f,
    const struct dkim2_result *result);

#endif
