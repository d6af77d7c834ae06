/* Whether what the DNS has of a key is that key. */
#ifndef CLI_PUBLISHED_H
#define CLI_PUBLISHED_H

#include "cli/keyplace.h"
#include "dkim2/crypto.h"

enum published {
	PUBLISHED_UNASKED,	/* the private key does not read; it was told */
	PUBLISHED_RIGHT,
	PUBLISHED_ABSENT,
	PUBLISHED_OTHER,	/* a key, not the public half of this one */
	PUBLISHED_REVOKED,	/* p= is empty */
	PUBLISHED_BROKEN,	/* no key record */
	PUBLISHED_SEVERAL,	/* verifiers take none of several */
	PUBLISHED_UNKNOWN,	/* the DNS gave no answer */
	PUBLISHED__N
};

/* In words, behind "its record": "is in the DNS" ...; static storage. */
const char *published_text(enum published p);

/*
 * Compares a private key with a record, by a signature that it must check:
 * that is all that counts, however the record is written.
 *
 * Returns  0 with *found PUBLISHED_RIGHT, _OTHER, _REVOKED or _BROKEN;
 *          -E_NOMEM or -E_CRYPTO
 */
int published_compare(const struct dkim2_private_key *k, struct bytes record,
    struct arena *a, enum published *found);

/*
 * Asks for the record of each key.
 *
 * found    of each, in the arena
 * Returns  0, or an exit code after a message
 */
int published_ask(const struct keyplace *p, const struct keydir_key *keys,
    size_t n, const enum published **found, struct arena *a);

#endif
