/*
 * What becomes of a message, once it is verified: refused, passed on as it
 * is, or signed (product.md, Decide and Sign). Facts in, a decision out.
 */
#ifndef DAEMON_DECIDE_H
#define DAEMON_DECIDE_H

#include "config/config.h"
#include "config/keydir.h"
#include "dkim2/dkim2.h"
#include "dkim2/dmarc.h"

enum decision_kind { DECIDE_REFUSE, DECIDE_PASS, DECIDE_SIGN };

struct decision {
	enum decision_kind kind;
	int code;		/* DECIDE_REFUSE: the reply */
	const char *enhanced;
	char text[640];
	const char *rule;	/* DECIDE_PASS: why it is not signed; NULL: that
				   was never the question */
	bool is_return;		/* DECIDE_SIGN: as its extension has it */
	struct bytes under;	/* then: the domain that it came to, where
				   MAIL FROM is to be moved under it */
	struct bytes domain;	/* DECIDE_SIGN: d= */
	struct bytes before;	/* d= of an imaginary hop before it, whose nd=
				   is domain; empty: none */
	unsigned flags;		/* DECIDE_SIGN: DKIM2_FLAG_* */
	struct bytes from;	/* local@domain that From gets; empty: it
				   stays as it is */
};

/*
 * A message that came to a listener with a pair: what its arrival record
 * says, and what became of it since (daemon/extend.h).
 */
struct extension {
	bool is_found;		/* a record */
	bool is_unknown;	/* it can not be said whether there is one */
	bool is_good;		/* it may be extended, as follows */
	const char *rule;	/* why it may not be, where there was a chain */
	struct bytes rcpts;	/* whom it came for; a list of relay_value.h */
	bool is_used;		/* it went on before, to others */
	bool is_legacy;		/* it came without DKIM2: the rule says so */
	bool is_from_signed;	/* that, with a DKIM1 signature for From */
	struct bytes from_address;	/* local@domain of one whom it came
					   for; empty: none of ours */
	unsigned restored;	/* DKIM2_RESTORED_*: what was undone */
	const struct dkim2_message *message;	/* as it leaves */
	const struct dkim2_digests *digests;
	struct bytes recipe;	/* empty: nothing changed */
};

struct decide_facts {
	const struct config_listener *listener;
	const struct keydir *keys;		/* whose domains we sign for */
	const struct dkim2_message *message;
	const struct dkim2_result *result;	/* NULL: verify is off */
	enum config_verify verify;		/* of the listener, or as ordered */
	struct bytes mail_from_in;	/* paths, with brackets */
	struct bytes mail_from_out;
	struct bytes identity;		/* what decide_identity() said */
	struct bytes before;		/* what decide_before() said */
	struct bytes from_address;	/* what From may become, local@domain;
					   empty: nothing */
	const struct dmarc_verdict *dmarc;	/* of From; NULL: not asked */
	bool is_dkim1_aligned;		/* a DKIM1 signature speaks for From */
	const struct extension *extension;
	const struct config_policy *policy;	/* the rule for it; NULL */
	bool is_internal;		/* the next hop signs in our place */
	bool is_bypassed;		/* nothing is signed, by order */
	size_t n_rcpts;			/* it leaves for */
	struct arena *arena;
};

void decide(struct decision *d, const struct decide_facts *f);

/* A change of mind: it would go round. */
void decide_loop(struct decision *d, const char *text);

/*
 * What From becomes; empty where it stays, as one of ours does.
 *
 * is_adopting the message is to be signed as ours
 */
struct bytes decide_from(const struct decide_facts *f, bool is_adopting);

/* A change of mind: the signer refused for a rule; follows `unsignable`. */
void decide_unsignable(struct decision *d, const struct config_listener *l,
    const char *rule);

/*
 * As whom a chain would be extended: the longest domain with keys that covers
 * both the recipient it came to and the new MAIL FROM. Empty where there is
 * none, and where the envelope does not say (we originate by From).
 *
 * rcpt_to_in, mail_from_out  paths, with brackets
 */
struct bytes decide_identity(const struct config_listener *l,
    const struct keydir *keys, struct bytes rcpt_to_in,
    struct bytes mail_from_out);

/* Whether a next hop is one of ours, which signs in our place. */
bool decide_is_internal(const struct config_listener *l,
    const struct config_next_hop *hop);

/* Whether `verify: enforce` would have refused what `observe` lets go on.
 * policy   the rule for it, which goes before; NULL */
bool decide_would_refuse(enum config_verify verify,
    const struct config_policy *policy, enum dkim2_state state);

/* Whether mail of this listener may be signed at all. */
bool decide_may_sign(const struct config_listener *l,
    const struct keydir *keys);

/*
 * Where no domain does: the longest with keys that covers the recipient alone.
 * An imaginary hop leads from it to the one that covers the new MAIL FROM, if
 * we hold its keys, too (draft 12.3). Empty where there is none, or no need.
 */
struct bytes decide_before(const struct config_listener *l,
    const struct keydir *keys, struct bytes rcpt_to_in,
    struct bytes mail_from_out);

/*
 * Whether mail may be taken into the queue: what can not be delivered later
 * must be somebody's here whom we can tell (attacks.md Q20). All else goes
 * through, or is refused. At forward that is not known before the content:
 * relay_queue_or_through() has the last word.
 *
 * is_known the client is one of `clients`, or has logged in
 * mail_from a path, with brackets
 */
bool decide_may_queue(const struct config_listener *l,
    const struct keydir *keys, bool is_known, struct bytes mail_from);

/* Whether what comes to the listener may have come in before. */
bool decide_may_return(const struct config_listener *l);

/* Whether a message carries fields of DKIM2. */
bool decide_has_chain(const struct dkim2_message *m);

/* Whether a sender's domain may be used where mail of ours is signed. */
bool decide_is_sender(const struct config_listener *l,
    const struct keydir *keys, struct bytes domain);

#endif
