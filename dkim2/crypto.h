/*
 * What we need of cryptography, and the only door to it: hashes and RSA by
 * OpenSSL, Ed25519 by libsodium. Neither library's types are seen outside.
 *
 * A program calls sodium_init() once before anything here. There is no other
 * state than that of the objects; each belongs to one thread at a time.
 * "Bad signature", "no key" (values that a stranger chose) and "could not
 * check" (negative E_*) are different answers.
 */
#ifndef DKIM2_CRYPTO_H
#define DKIM2_CRYPTO_H

#include "base/bytes.h"
#include "base/buf.h"
#include "dkim2/dkim2.h"

/* ---- hashes ------------------------------------------------------------- */

/* Octets of a digest: 32 or 64. */
size_t dkim2_hash_size(enum dkim2_hash h);

/* The hash of that name (case matters), or DKIM2_HASH__N. */
enum dkim2_hash dkim2_hash_by_name(struct bytes name);

/* One running hash. Storage is the caller's; zeroed, it may be finished. */
struct dkim2_hasher {
	void *ctx;		/* the library's */
};

/* Begins. Returns 0, -E_NOMEM or -E_CRYPTO (then h needs no _fini). */
int dkim2_hasher_init(struct dkim2_hasher *h, enum dkim2_hash algorithm);

/*
 * Makes `to`, which was begun with the same algorithm, a copy of what `from`
 * has taken so far. Returns 0 or -E_CRYPTO.
 */
int dkim2_hasher_copy(struct dkim2_hasher *to,
    const struct dkim2_hasher *from);

/* Takes the next octets. Returns 0 or -E_CRYPTO. */
int dkim2_hasher_add(struct dkim2_hasher *h, struct bytes octets);

/*
 * Writes the digest. The hasher is then used up, but for _fini.
 *
 * digest   gets dkim2_hash_size() octets
 * Returns  0 or -E_CRYPTO
 */
int dkim2_hasher_end(struct dkim2_hasher *h, uint8_t *digest);

/* Gives back what the library holds; may be called twice. */
void dkim2_hasher_fini(struct dkim2_hasher *h);

/* Hashes octets at once. Returns 0, -E_NOMEM or -E_CRYPTO. */
int dkim2_hash_once(enum dkim2_hash algorithm, struct bytes octets,
    uint8_t *digest);

/* ---- algorithms ---------------------------------------------------------- */

#define DKIM2_DIGEST 32		/* octets that are signed: a SHA-256 */
#define DKIM2_RSA_BITS_SIGN_MIN 2048U	/* draft 3.2 */
#define DKIM2_RSA_BITS_MAX 4096U	/* more is not computed with */

/* The algorithm of that name (case matters), or DKIM2_ALGORITHM__N. */
enum dkim2_algorithm dkim2_algorithm_by_name(struct bytes name);

/* ---- public keys --------------------------------------------------------- */

/* The public half, as a key record has it. Storage is the caller's. */
struct dkim2_public_key {
	enum dkim2_algorithm algorithm;
	unsigned bits;		/* RSA: of the modulus. Ed25519: 256 */
	uint64_t exponent;	/* RSA; 0 for Ed25519 */
	uint8_t ed25519[32];
	void *rsa;		/* the library's, ready to check */
};

/*
 * Reads a public key.
 *
 * octets   RSA: DER, SubjectPublicKeyInfo or bare RSAPublicKey, nothing
 *          behind it, modulus and exponent odd, 3 <= exponent < 2^64.
 *          Ed25519: 32 octets
 * good     set to whether they are such a key; the size of an RSA key is the
 *          caller's to judge (bits)
 * Returns  0, -E_NOMEM or -E_CRYPTO (it could not be told)
 * Lifetime until dkim2_public_key_fini(), needed only where *good
 * Source   draft 3.2, 3.3; draft-ietf-dkim-dkim2-dns p=
 */
int dkim2_public_key_init(struct dkim2_public_key *k,
    enum dkim2_algorithm algorithm, struct bytes octets, bool *good);

/* Gives back what the library holds; may be called twice. */
void dkim2_public_key_fini(struct dkim2_public_key *k);

/*
 * Checks a signature over a SHA-256 digest: RSA PKCS#1 v1.5 with the digest
 * as it is in the DigestInfo; Ed25519 (PureEdDSA) with the 32 octets of the
 * digest as the message.
 *
 * digest   DKIM2_DIGEST octets
 * good     set to whether the signature is right
 * Returns  0, -E_NOMEM or -E_CRYPTO (it could not be checked; *good is
 *          false). An RSA key past DKIM2_RSA_BITS_MAX checks nothing: false
 */
int dkim2_public_key_verify(const struct dkim2_public_key *k,
    const uint8_t *digest, struct bytes signature, bool *good);

/* ---- private keys -------------------------------------------------------- */

/* In locked memory of its own where the system allows it; wiped when freed. */
struct dkim2_private_key;

/*
 * Reads a private key.
 *
 * pem      PKCS#8 (RSA or Ed25519) or a traditional RSA PEM, not encrypted;
 *          octets of the caller, who wipes them
 * why      set to a sentence where it is refused; static storage; may be NULL
 * Returns  0; -E_SYNTAX where it is no such key; -E_LIMIT for an RSA key that
 *          is not of 2048 to 4096 bits; -E_NOMEM or -E_CRYPTO
 * Lifetime until dkim2_private_key_free()
 * Source   draft 3.2, 3.3 (size of a signer's key)
 */
int dkim2_private_key_load(struct dkim2_private_key **k, struct bytes pem,
    const char **why);

/*
 * Makes a new key: Ed25519, or RSA of 2048 bits. The randomness is that of
 * the libraries (it must not come from anywhere else).
 *
 * Returns  0, -E_NOMEM or -E_CRYPTO
 */
int dkim2_private_key_generate(struct dkim2_private_key **k,
    enum dkim2_algorithm algorithm);

/* Wipes and frees *k, and leaves NULL. *k may be NULL. */
void dkim2_private_key_free(struct dkim2_private_key **k);

enum dkim2_algorithm dkim2_private_key_algorithm(
    const struct dkim2_private_key *k);

/* Bits of the modulus; 256 for Ed25519. */
unsigned dkim2_private_key_bits(const struct dkim2_private_key *k);

/*
 * Signs a SHA-256 digest, as dkim2_public_key_verify() checks it.
 *
 * digest   DKIM2_DIGEST octets
 * out      the signature is appended; DKIM2_SIGNATURE_MAX is always enough
 * Returns  0, -E_LIMIT where out is full, -E_NOMEM or -E_CRYPTO
 */
int dkim2_private_key_sign(const struct dkim2_private_key *k,
    const uint8_t *digest, struct buf *out);

/*
 * Adds the public half as a key record: "v=DKIM1; k=ed25519; p=..." or
 * "v=DKIM1; k=rsa; p=..." (SubjectPublicKeyInfo).
 *
 * Returns  0, -E_LIMIT where out is full (1024 octets are always enough),
 *          -E_NOMEM or -E_CRYPTO
 */
int dkim2_private_key_record(const struct dkim2_private_key *k,
    struct buf *out);

/*
 * Adds the key as PKCS#8 PEM. The caller wipes what out holds.
 *
 * Returns  0, -E_LIMIT where out is full (4096 octets are always enough),
 *          -E_NOMEM or -E_CRYPTO
 */
int dkim2_private_key_pem(const struct dkim2_private_key *k, struct buf *out);

#endif
