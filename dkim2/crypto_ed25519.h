/* Ed25519, for crypto_key.c alone. Secrets lie in the caller's storage. */
#ifndef DKIM2_CRYPTO_ED25519_H
#define DKIM2_CRYPTO_ED25519_H

#include "dkim2/crypto.h"

#define ED25519_SEED 32
#define ED25519_SECRET 64	/* the seed, then the public half */

/* Makes the secret form of a seed. */
void ed25519_secret(uint8_t secret[ED25519_SECRET],
    const uint8_t seed[ED25519_SEED]);

/* Makes a secret from the library's randomness. */
void ed25519_generate(uint8_t secret[ED25519_SECRET]);

/* Whether the signature of DKIM2_DIGEST octets is right. */
bool ed25519_verify(const uint8_t key[32], const uint8_t *digest,
    struct bytes signature);

/* As dkim2_private_key_sign(). */
int ed25519_sign(const uint8_t secret[ED25519_SECRET], const uint8_t *digest,
    struct buf *out);

/* Adds the base64 of the public half. */
void ed25519_public_text(const uint8_t secret[ED25519_SECRET],
    struct buf *out);

#endif
