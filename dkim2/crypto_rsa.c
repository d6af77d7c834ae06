#include "dkim2/crypto_rsa.h"

#include "base/b64.h"
#include "base/err.h"

#include <limits.h>

#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

int
rsa_failure(void)
{
	bool no_memory =
	    ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;

	ERR_clear_error();
	return no_memory ? -E_NOMEM : -E_CRYPTO;
}

void
rsa_free(void *key)
{
	EVP_PKEY_free(key);
}

/* RSAPublicKey, filling all of der; else NULL. */
static EVP_PKEY *
read_bare(struct bytes der)
{
	const uint8_t *at = der.p;
	EVP_PKEY *key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)der.n);

	if (key != NULL && at != der.p + der.n) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

/*
 * SubjectPublicKeyInfo (RFC 5280 4.1). d2i_PUBKEY() would read it too, but
 * asks every decoder there is: five times as long as the check of a
 * signature. The same library does the reading here.
 */
struct rsa_info {
	X509_ALGOR *algorithm;
	ASN1_BIT_STRING *key;
};

ASN1_SEQUENCE(rsa_info) = {
	ASN1_SIMPLE(struct rsa_info, algorithm, X509_ALGOR),
	ASN1_SIMPLE(struct rsa_info, key, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END_name(struct rsa_info, rsa_info)

/* rsaEncryption alone: a key for PSS must not be used for PKCS#1. */
static EVP_PKEY *
read_info(struct bytes der)
{
	const ASN1_ITEM *form = ASN1_ITEM_rptr(rsa_info);
	const uint8_t *at = der.p;
	ASN1_VALUE *value = ASN1_item_d2i(NULL, &at, (long)der.n, form);
	const struct rsa_info *info = (const struct rsa_info *)value;
	EVP_PKEY *key = NULL;

	if (info != NULL && at == der.p + der.n &&
	    OBJ_obj2nid(info->algorithm->algorithm) == NID_rsaEncryption)
		key = read_bare((struct bytes){
		    ASN1_STRING_get0_data(info->key),
		    (size_t)ASN1_STRING_length(info->key)});
	ASN1_item_free(value, form);
	return key;
}

/* One of the two forms; else NULL. */
static EVP_PKEY *
read_public(struct bytes der)
{
	EVP_PKEY *key = read_info(der);

	return key != NULL ? key : read_bare(der);
}

/* Reads bits and exponent; *good when both numbers can be a key's. */
static int
read_numbers(struct dkim2_public_key *k, const EVP_PKEY *key, bool *good)
{
	BIGNUM *n = NULL, *e = NULL;
	uint8_t octets[8];
	int r = -E_CRYPTO;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		goto out;
	r = 0;
	k->bits = (unsigned)BN_num_bits(n);
	if (BN_num_bytes(e) > 8 || BN_is_negative(e) || BN_is_negative(n))
		goto out;
	if (BN_bn2binpad(e, octets, sizeof(octets)) != sizeof(octets)) {
		r = -E_CRYPTO;
		goto out;
	}
	for (size_t j = 0; j < sizeof(octets); j++)
		k->exponent = k->exponent << 8 | octets[j];
	*good = BN_is_odd(n) && k->exponent >= 3 && k->exponent % 2 == 1;
out:
	BN_free(n);
	BN_free(e);
	return r;
}

/* A context for PKCS#1 v1.5 with SHA-256 over a digest that is given. */
static EVP_PKEY_CTX *
context_new(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *))
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

	if (ctx == NULL)
		return NULL;
	if (init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1)
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

int
rsa_public_init(struct dkim2_public_key *k, struct bytes der, bool *good)
{
	EVP_PKEY *key;
	int r;

	if (der.n == 0 || der.n > LONG_MAX)
		return 0;
	ERR_clear_error();
	key = read_public(der);
	if (key == NULL)
		return rsa_failure() == -E_NOMEM ? -E_NOMEM : 0;
	ERR_clear_error();	/* of the form that it was not */
	r = read_numbers(k, key, good);
	if (r == 0 && *good) {
		k->rsa = context_new(key, EVP_PKEY_verify_init);
		*good = k->rsa != NULL;
		r = *good ? 0 : -E_CRYPTO;
	}
	if (r != 0)
		r = rsa_failure();
	EVP_PKEY_free(key);
	return r;
}

void
rsa_public_fini(struct dkim2_public_key *k)
{
	EVP_PKEY_CTX_free(k->rsa);
	k->rsa = NULL;
}

int
rsa_verify(const struct dkim2_public_key *k, const uint8_t *digest,
    struct bytes signature, bool *good)
{
	int ok;

	/* before any arithmetic: whoever made the key chose its cost too */
	if (k->bits > DKIM2_RSA_BITS_MAX ||
	    signature.n != ((size_t)k->bits + 7) / 8)
		return 0;
	ERR_clear_error();
	ok = EVP_PKEY_verify(k->rsa, signature.p, signature.n, digest,
	    DKIM2_DIGEST);
	*good = ok == 1;
	if (ok == 1)
		return 0;
	/* OpenSSL says 0 for "wrong" and for "no memory" alike */
	if (rsa_failure() == -E_NOMEM)
		return -E_NOMEM;
	return ok == 0 ? 0 : -E_CRYPTO;
}

int
rsa_signer_new(void **signer, void *key)
{
	ERR_clear_error();
	*signer = context_new(key, EVP_PKEY_sign_init);
	return *signer == NULL ? rsa_failure() : 0;
}

void
rsa_signer_free(void *signer)
{
	EVP_PKEY_CTX_free(signer);
}

int
rsa_sign(void *signer, const uint8_t *digest, struct buf *out)
{
	uint8_t octets[DKIM2_SIGNATURE_MAX];
	size_t n = sizeof(octets);

	ERR_clear_error();
	if (EVP_PKEY_sign(signer, octets, &n, digest, DKIM2_DIGEST) != 1)
		return rsa_failure();
	buf_add(out, (struct bytes){octets, n});
	return out->full ? -E_LIMIT : 0;
}

int
rsa_generate(void **key)
{
	ERR_clear_error();
	*key = EVP_RSA_gen(DKIM2_RSA_BITS_SIGN_MIN);
	return *key == NULL ? rsa_failure() : 0;
}

int
rsa_public_text(void *key, struct buf *out)
{
	uint8_t *der = NULL;
	int n;

	ERR_clear_error();
	n = i2d_PUBKEY(key, &der);
	if (n <= 0)
		return rsa_failure();
	b64_encode((struct bytes){der, (size_t)n}, out);
	OPENSSL_free(der);
	return out->full ? -E_LIMIT : 0;
}
