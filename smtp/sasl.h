/*
 * What a server hears in AUTH PLAIN and LOGIN: lines of base64 in, name and
 * password out (RFC 4954, RFC 4616; LOGIN never became an RFC).
 */
#ifndef SMTP_SASL_H
#define SMTP_SASL_H

#include "smtp/ehlo.h"

/*
 * SMTP_CAN_AUTH_PLAIN or _LOGIN for the name in any case of letters; 0: it is
 * none of the two.
 */
unsigned smtp_sasl_find(struct bytes name);

/* Octets of a name, and of a password (RFC 4616 2). */
#define SMTP_SASL_PART_MAX 255

/* What a client proves itself with. */
struct smtp_sasl_said {
	struct bytes authzid;	/* PLAIN: who to act as; empty: the user */
	struct bytes user;
	struct bytes password;
};

enum smtp_sasl_step {
	SMTP_SASL_MORE,		/* ask with ->challenge, take the response */
	SMTP_SASL_READY,	/* ->said is complete */
	SMTP_SASL_SYNTAX,	/* no canonical base64, or not the mechanism's */
	SMTP_SASL_LONG,		/* no room for what was said */
};

/* All octets of secrets are in the owner's storage. */
struct smtp_sasl {
	unsigned mechanism;	/* SMTP_CAN_AUTH_*; 0: no exchange is under way */
	const char *challenge;	/* base64, to stand behind 334 */
	struct buf octets;
	bool has_user;		/* LOGIN: what comes is the password */
	struct smtp_sasl_said said;	/* views of octets */
};

/*
 * Begins an exchange; ->challenge is the first one, for a client that sent
 * no initial response.
 *
 * storage  takes what is decoded, cap octets; outlives the exchange, and is
 *          to be wiped when it is over
 */
void smtp_sasl_begin(struct smtp_sasl *x, unsigned mechanism,
    uint8_t *storage, size_t cap);

/*
 * Takes a response, an initial one too ("=" in AUTH is an empty one and not
 * for this).
 *
 * Returns  a step; after any but MORE the exchange takes no more
 * Source   RFC 4616 2: authzid NUL user NUL password, user and password not
 *          empty; LOGIN: user, then password, no NUL in them
 */
enum smtp_sasl_step smtp_sasl_take(struct smtp_sasl *x, struct bytes base64);

#endif
