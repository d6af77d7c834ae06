/*
 * RSA, for crypto_key.c alone. void *key is the library's; whoever got it
 * gives it back with rsa_free().
 */
#ifndef DKIM2_CRYPTO_RSA_H
#define DKIM2_CRYPTO_RSA_H

#include "dkim2/crypto.h"

/* What the library's last error means to us; its queue is emptied. */
int rsa_failure(void);

void rsa_free(void *key);

/* As dkim2_public_key_init(); fills in rsa, bits and exponent. */
int rsa_public_init(struct dkim2_public_key *k, struct bytes der, bool *good);
void rsa_public_fini(struct dkim2_public_key *k);

/* As dkim2_public_key_verify(). */
int rsa_verify(const struct dkim2_public_key *k, const uint8_t *digest,
    struct bytes signature, bool *good);

/* Makes a private key ready to sign; 0, -E_NOMEM or -E_CRYPTO. */
int rsa_signer_new(void **signer, void *key);
void rsa_signer_free(void *signer);

/* As dkim2_private_key_sign(). */
int rsa_sign(void *signer, const uint8_t *digest, struct buf *out);

/* Makes a key of 2048 bits; 0, -E_NOMEM or -E_CRYPTO. */
int rsa_generate(void **key);

/* Adds the base64 of the SubjectPublicKeyInfo; as ..._record(). */
int rsa_public_text(void *key, struct buf *out);

#endif
