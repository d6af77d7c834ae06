/* The verifier's side of struct dkim2_keyring. */
#ifndef DKIM2_KEYRING_H
#define DKIM2_KEYRING_H

#include "dkim2/crypto.h"
#include "dkim2/keyrec.h"

/* A key record that was read, and its key. */
struct keyring_key {
	uint8_t digest[DKIM2_DIGEST];	/* the SHA-256 of the record */
	struct keyrec record;		/* without p */
	struct dkim2_public_key key;
};

/*
 * The key of a record that hashes to digest.
 *
 * Returns  NULL where it is not there
 * Lifetime until the next keyring_keep() or dkim2_keyring_fini()
 */
const struct keyring_key *keyring_find(const struct dkim2_keyring *r,
    const uint8_t *digest);

/*
 * Keeps a key, in place of another where it must. The key is the ring's
 * from now on.
 */
const struct keyring_key *keyring_keep(struct dkim2_keyring *r,
    const struct keyring_key *key);

#endif
