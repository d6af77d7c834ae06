/*
 * Whether a message is going round: what it carries of our own, and of its
 * recipient, from the times before. Facts in, a finding out.
 */
#ifndef DAEMON_LOOPCHECK_H
#define DAEMON_LOOPCHECK_H

#include "config/keydir.h"
#include "dkim2/dkim2.h"

/*
 * Received fields of ours: a message honestly passes us several times, in
 * and out again, by way of a list or an alias of ours.
 */
#define LOOPCHECK_OWN_MAX 10

/*
 * Recipients of a signature that is compared with others: a header of 1 MiB
 * in which all pairs are would hold a worker for minutes. More than ours have
 * unless max-copies was raised; such a loop ends by Received fields.
 */
#define LOOPCHECK_RT_MAX 32

struct loopcheck {
	const struct dkim2_message *message;
	const char *hostname;		/* ours */
	uint32_t max_received;		/* fields of anybody's */
	const struct dkim2_result *result;	/* NULL: it was not verified */
	const struct keydir *keys;	/* NULL: there are none */
};

/* Each is answered 554 5.4.6 with its text. */
enum loopcheck_finding {
	LOOPCHECK_NONE,
	LOOPCHECK_HOPS,		/* more Received fields than max_received */
	LOOPCHECK_OWN,		/* more than LOOPCHECK_OWN_MAX of ours */
	LOOPCHECK_SIGNED,	/* two of our signatures name the same rt= */
	LOOPCHECK_PASSED,	/* of loopcheck_passed() */
};

/*
 * Looks at the message, for all its recipients. A chain is taken at its word:
 * who forges our signatures into his own mail is refused it.
 *
 * Source   RFC 5321 6.3; attacks.md L1
 */
enum loopcheck_finding loopcheck_message(const struct loopcheck *c);

/*
 * Whether the chain has a signature already that says what a new one would:
 * the same d= for the same recipients. Then it is LOOPCHECK_SIGNED, before
 * anybody has it a second time.
 */
bool loopcheck_repeats(const struct dkim2_result *r, struct bytes d,
    const struct dkim2_envelope *leaves);

/*
 * Whether a message that we sent on with this id is what came back: it has
 * our Received field of then, which no second try of its client has.
 */
bool loopcheck_passed(const struct dkim2_message *m, const char *hostname,
    struct bytes id);

/*
 * Whether a Delivered-To field names a recipient that we deliver for: it was
 * there once. The domain is compared without case, the local part as it is.
 *
 * rcpt     with or without brackets
 */
bool loopcheck_delivered(const struct dkim2_message *m, struct bytes rcpt);

/* For people; static. NULL for LOOPCHECK_NONE. */
const char *loopcheck_text(enum loopcheck_finding f);

#endif
