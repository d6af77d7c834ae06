/*
 * Private keys: what is taken for one keeps the bounds of signers, and is the
 * same key once it was written and read again. An Ed25519 key signs what its
 * public half verifies (an RSA key that is broken inside may not).
 */
#include <stdlib.h>

#include <sodium.h>

#include "base/b64.h"
#include "base/err.h"
#include "dkim2/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static void
check_signs(const struct dkim2_private_key *k)
{
	static const uint8_t digest[DKIM2_DIGEST] = {1, 2, 3};
	uint8_t room[DKIM2_SIGNATURE_MAX], text[1024], point[64];
	struct buf signature = BUF_ON(room), record = BUF_ON(text);
	struct buf octets = BUF_ON(point);
	struct dkim2_public_key public;
	size_t at;
	bool good;

	need(dkim2_private_key_record(k, &record) == 0);
	if (dkim2_private_key_algorithm(k) != DKIM2_ED25519_SHA256) {
		(void)dkim2_private_key_sign(k, digest, &signature);
		return;
	}
	need(dkim2_private_key_sign(k, digest, &signature) == 0);
	at = bytes_find(buf_bytes(&record), BYTES_LIT("p=")) + 2;
	need(b64_decode(bytes_skip(buf_bytes(&record), at), &octets));
	need(dkim2_public_key_init(&public, DKIM2_ED25519_SHA256,
	    buf_bytes(&octets), &good) == 0 && good);
	need(dkim2_public_key_verify(&public, digest, buf_bytes(&signature),
	    &good) == 0 && good);
	dkim2_public_key_fini(&public);
}

static void
check_reads_again(const struct dkim2_private_key *k)
{
	struct dkim2_private_key *other;
	char one[4096], two[4096];
	struct buf a = BUF_ON(one), b = BUF_ON(two);

	need(dkim2_private_key_pem(k, &a) == 0);
	need(dkim2_private_key_load(&other, buf_bytes(&a), NULL) == 0);
	need(dkim2_private_key_pem(other, &b) == 0);
	need(bytes_eq(buf_bytes(&a), buf_bytes(&b)));
	dkim2_private_key_free(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes pem = {p, n};
	struct dkim2_private_key *k = NULL;
	const char *why = NULL;
	int r;

	if (sodium_init() < 0)
		abort();
	r = dkim2_private_key_load(&k, pem, &why);
	need(r == 0 || r == -E_SYNTAX || r == -E_LIMIT);
	need((r == 0) == (k != NULL) && (r == 0 || why != NULL));
	if (r != 0)
		return 0;
	need(dkim2_private_key_algorithm(k) < DKIM2_ALGORITHM__N);
	need(dkim2_private_key_bits(k) == 256 ||
	    (dkim2_private_key_bits(k) >= DKIM2_RSA_BITS_SIGN_MIN &&
	    dkim2_private_key_bits(k) <= DKIM2_RSA_BITS_MAX));
	check_signs(k);
	check_reads_again(k);
	dkim2_private_key_free(&k);
	return 0;
}
