#include "dkim2/crypto_ed25519.h"

#include "base/b64.h"
#include "base/err.h"

#include <sodium.h>

_Static_assert(ED25519_SECRET == crypto_sign_SECRETKEYBYTES &&
    ED25519_SEED == crypto_sign_SEEDBYTES &&
    crypto_sign_PUBLICKEYBYTES == 32, "libsodium and RFC 8032 agree");

void
ed25519_secret(uint8_t secret[ED25519_SECRET],
    const uint8_t seed[ED25519_SEED])
{
	uint8_t public[32];

	(void)crypto_sign_seed_keypair(public, secret, seed);
}

void
ed25519_generate(uint8_t secret[ED25519_SECRET])
{
	uint8_t public[32];

	(void)crypto_sign_keypair(public, secret);
}

bool
ed25519_verify(const uint8_t key[32], const uint8_t *digest,
    struct bytes signature)
{
	/* refuses an S past the order and keys of small order by itself */
	return signature.n == crypto_sign_BYTES &&
	    crypto_sign_verify_detached(signature.p, digest, DKIM2_DIGEST,
	    key) == 0;
}

int
ed25519_sign(const uint8_t secret[ED25519_SECRET], const uint8_t *digest,
    struct buf *out)
{
	uint8_t octets[crypto_sign_BYTES];

	if (crypto_sign_detached(octets, NULL, digest, DKIM2_DIGEST,
	    secret) != 0)
		return -E_CRYPTO;
	buf_add(out, (struct bytes){octets, sizeof(octets)});
	return out->full ? -E_LIMIT : 0;
}

void
ed25519_public_text(const uint8_t secret[ED25519_SECRET], struct buf *out)
{
	b64_encode((struct bytes){secret + ED25519_SEED, 32}, out);
}
