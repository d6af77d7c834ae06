#include "dkim2/crypto.h"

#include "base/err.h"
#include "dkim2/crypto_ed25519.h"
#include "dkim2/crypto_rsa.h"

#include <assert.h>
#include <limits.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

static const char *const algorithms[DKIM2_ALGORITHM__N] = {
	[DKIM2_RSA_SHA256] = "rsa-sha256",
	[DKIM2_ED25519_SHA256] = "ed25519-sha256",
};

struct dkim2_private_key {
	enum dkim2_algorithm algorithm;
	unsigned bits;
	uint8_t ed25519[ED25519_SECRET];
	void *rsa;
	void *rsa_signer;	/* the same key, ready to sign */
};

const char *
dkim2_algorithm_name(enum dkim2_algorithm a)
{
	assert(a < DKIM2_ALGORITHM__N);
	return algorithms[a];
}

enum dkim2_algorithm
dkim2_algorithm_by_name(struct bytes name)
{
	unsigned a = 0;

	while (a < DKIM2_ALGORITHM__N &&
	    !bytes_eq(name, bytes_of(algorithms[a])))
		a++;
	return (enum dkim2_algorithm)a;
}

int
dkim2_public_key_init(struct dkim2_public_key *k,
    enum dkim2_algorithm algorithm, struct bytes octets, bool *good)
{
	assert(algorithm < DKIM2_ALGORITHM__N);
	*good = false;
	memset(k, 0, sizeof(*k));
	k->algorithm = algorithm;
	if (algorithm == DKIM2_RSA_SHA256)
		return rsa_public_init(k, octets, good);
	if (octets.n != sizeof(k->ed25519))
		return 0;
	memcpy(k->ed25519, octets.p, octets.n);
	k->bits = 256;
	*good = true;
	return 0;
}

void
dkim2_public_key_fini(struct dkim2_public_key *k)
{
	rsa_public_fini(k);
}

int
dkim2_public_key_verify(const struct dkim2_public_key *k,
    const uint8_t *digest, struct bytes signature, bool *good)
{
	*good = false;
	if (k->algorithm == DKIM2_RSA_SHA256)
		return rsa_verify(k, digest, signature, good);
	*good = ed25519_verify(k->ed25519, digest, signature);
	return 0;
}

/* Memory that is locked, out of core dumps, and wiped by sodium_free(). */
static struct dkim2_private_key *
key_new(enum dkim2_algorithm algorithm)
{
	struct dkim2_private_key *k = sodium_malloc(sizeof(*k));

	if (k == NULL)
		return NULL;
	memset(k, 0, sizeof(*k));
	k->algorithm = algorithm;
	return k;
}

void
dkim2_private_key_free(struct dkim2_private_key **k)
{
	if (*k == NULL)
		return;
	rsa_signer_free((*k)->rsa_signer);
	rsa_free((*k)->rsa);	/* OpenSSL wipes private numbers itself */
	sodium_free(*k);
	*k = NULL;
}

/* A daemon must never ask its terminal for a pass phrase. */
static int
no_pass_phrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static int
adopt_rsa(struct dkim2_private_key **out, EVP_PKEY *key, const char **why)
{
	int bits = EVP_PKEY_get_bits(key), r;

	if (bits < (int)DKIM2_RSA_BITS_SIGN_MIN ||
	    bits > (int)DKIM2_RSA_BITS_MAX) {
		*why = "an RSA key for signing has 2048 to 4096 bits";
		return -E_LIMIT;
	}
	*out = key_new(DKIM2_RSA_SHA256);
	if (*out == NULL || EVP_PKEY_up_ref(key) != 1) {
		dkim2_private_key_free(out);
		return -E_NOMEM;
	}
	(*out)->rsa = key;
	(*out)->bits = (unsigned)bits;
	r = rsa_signer_new(&(*out)->rsa_signer, key);
	if (r != 0)
		dkim2_private_key_free(out);
	return r;
}

static int
adopt_ed25519(struct dkim2_private_key **out, EVP_PKEY *key)
{
	uint8_t seed[ED25519_SEED];
	size_t n = sizeof(seed);
	int r = -E_CRYPTO;

	if (EVP_PKEY_get_raw_private_key(key, seed, &n) == 1 &&
	    n == sizeof(seed)) {
		*out = key_new(DKIM2_ED25519_SHA256);
		r = *out == NULL ? -E_NOMEM : 0;
	}
	if (r == 0) {
		ed25519_secret((*out)->ed25519, seed);
		(*out)->bits = 256;
	}
	sodium_memzero(seed, sizeof(seed));
	return r;
}

static int
adopt(struct dkim2_private_key **out, EVP_PKEY *key, const char **why)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		return adopt_rsa(out, key, why);
	case EVP_PKEY_ED25519:
		return adopt_ed25519(out, key);
	default:
		*why = "neither an RSA nor an Ed25519 key";
		return -E_SYNTAX;
	}
}

int
dkim2_private_key_load(struct dkim2_private_key **k, struct bytes pem,
    const char **why)
{
	const char *unused;
	EVP_PKEY *key;
	BIO *bio;
	int r;

	if (why == NULL)
		why = &unused;
	*k = NULL;
	*why = "no private key in PEM form (PKCS#8 or RSA, not encrypted)";
	if (pem.n == 0 || pem.n > INT_MAX)
		return -E_SYNTAX;
	ERR_clear_error();
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		return -E_NOMEM;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
	BIO_free(bio);
	if (key == NULL)
		return rsa_failure() == -E_NOMEM ? -E_NOMEM : -E_SYNTAX;
	r = adopt(k, key, why);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

int
dkim2_private_key_generate(struct dkim2_private_key **k,
    enum dkim2_algorithm algorithm)
{
	int r;

	assert(algorithm < DKIM2_ALGORITHM__N);
	*k = key_new(algorithm);
	if (*k == NULL)
		return -E_NOMEM;
	if (algorithm == DKIM2_ED25519_SHA256) {
		ed25519_generate((*k)->ed25519);
		(*k)->bits = 256;
		return 0;
	}
	r = rsa_generate(&(*k)->rsa);
	if (r == 0)
		r = rsa_signer_new(&(*k)->rsa_signer, (*k)->rsa);
	(*k)->bits = DKIM2_RSA_BITS_SIGN_MIN;
	if (r != 0)
		dkim2_private_key_free(k);
	return r;
}

enum dkim2_algorithm
dkim2_private_key_algorithm(const struct dkim2_private_key *k)
{
	return k->algorithm;
}

unsigned
dkim2_private_key_bits(const struct dkim2_private_key *k)
{
	return k->bits;
}

int
dkim2_private_key_sign(const struct dkim2_private_key *k,
    const uint8_t *digest, struct buf *out)
{
	return k->algorithm == DKIM2_RSA_SHA256 ?
	    rsa_sign(k->rsa_signer, digest, out) :
	    ed25519_sign(k->ed25519, digest, out);
}

int
dkim2_private_key_record(const struct dkim2_private_key *k, struct buf *out)
{
	if (k->algorithm == DKIM2_RSA_SHA256) {
		buf_add_str(out, "v=DKIM1; k=rsa; p=");
		return rsa_public_text(k->rsa, out);
	}
	buf_add_str(out, "v=DKIM1; k=ed25519; p=");
	ed25519_public_text(k->ed25519, out);
	return out->full ? -E_LIMIT : 0;
}

/* PKCS#8 is OpenSSL's to write, for both. */
static EVP_PKEY *
library_key(const struct dkim2_private_key *k)
{
	if (k->algorithm == DKIM2_RSA_SHA256)
		return EVP_PKEY_up_ref(k->rsa) == 1 ? k->rsa : NULL;
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
	    k->ed25519, ED25519_SEED);
}

int
dkim2_private_key_pem(const struct dkim2_private_key *k, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_secmem());	/* wiped when freed */
	EVP_PKEY *key = NULL;
	char *text;
	long n;
	int r = -E_NOMEM;

	ERR_clear_error();
	if (bio == NULL)
		return r;
	key = library_key(k);
	if (key == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL,
	    0, NULL, NULL) != 1) {
		r = rsa_failure();
		goto out;
	}
	n = BIO_get_mem_data(bio, &text);
	buf_add(out, (struct bytes){(const uint8_t *)text, (size_t)n});
	r = out->full ? -E_LIMIT : 0;
out:
	EVP_PKEY_free(key);
	BIO_free(bio);
	return r;
}
