/*
 * What an operator wants of mail by how it stands to DKIM2: never in it, in
 * and out, or in it all the way. A broken chain has no such standing; what
 * becomes of it `verify` says. Facts in, a rule out.
 */
#ifndef DAEMON_POLICY_H
#define DAEMON_POLICY_H

#include "config/config.h"
#include "dkim2/dkim2.h"

struct policy_facts {
	enum dkim2_condition condition;
	const uint8_t *client;		/* its address, mapped form */
	struct bytes mail_from;		/* their domains, any case; empty: it */
	struct bytes from;		/* has none, or none that is clear */
};

/*
 * The first rule that fits: of its condition, from one of its clients, and
 * from one of its senders or a domain below, by From or by MAIL FROM.
 *
 * Returns  NULL where none does
 */
const struct config_policy *policy_find(const struct config_listener *l,
    const struct policy_facts *f);

/* For the reply of a rule that refuses; static storage. */
const char *policy_text(const struct config_policy *rule);

#endif
