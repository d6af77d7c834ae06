#include "dkim2/crypto_rsa.h"

#include "base/b64.h"
#include "base/err.h"
#include "dkim2/crypto_der.h"

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

/*
 * A key of the library's. Its own readers of DER find out what they have
 * before them by trying, which takes longer than to check five signatures.
 */
static int
key_make(void **key, struct bytes n, struct bytes e)
{
	uint8_t room[DKIM2_RSA_BITS_MAX / 8 + sizeof(uint64_t)];
	BIGNUM *num = BN_bin2bn(n.p, (int)n.n, NULL);
	BIGNUM *exp = BN_bin2bn(e.p, (int)e.n, NULL);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *made = NULL;
	OSSL_PARAM param[3];
	int r = -E_CRYPTO;

	if (num == NULL || exp == NULL || ctx == NULL ||
	    BN_bn2nativepad(num, room, (int)n.n) < 0 ||
	    BN_bn2nativepad(exp, room + n.n, (int)e.n) < 0)
		goto out;
	param[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, room, n.n);
	param[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, room + n.n,
	    e.n);
	param[2] = OSSL_PARAM_construct_end();
	if (EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_PUBLIC_KEY, param) == 1)
		r = 0;
	*key = made;
out:
	EVP_PKEY_CTX_free(ctx);
	BN_free(exp);
	BN_free(num);
	return r == 0 ? 0 : rsa_failure();
}

static unsigned
count_bits(struct bytes n)
{
	unsigned bits = (unsigned)(8 * n.n);

	for (uint8_t top = n.p[0]; bits != 0 && top < 0x80; bits--)
		top = (uint8_t)(top << 1 | 1);
	return bits;
}

int
rsa_public_init(struct dkim2_public_key *k, struct bytes der, bool *good)
{
	struct bytes n, e;
	int r = 0;

	if (!der_rsa_public(der, &n, &e) || e.n > sizeof(k->exponent))
		return 0;
	k->bits = count_bits(n);
	for (size_t j = 0; j < e.n; j++)
		k->exponent = k->exponent << 8 | e.p[j];
	if (n.p[n.n - 1] % 2 == 0 || k->exponent < 3 || k->exponent % 2 == 0)
		return 0;
	ERR_clear_error();
	/* nothing is computed with a larger one */
	if (k->bits <= DKIM2_RSA_BITS_MAX)
		r = key_make(&k->rsa, n, e);
	*good = r == 0;
	return r;
}

/* A context for PKCS#1 v1.5 with SHA-256 over a digest that is given. */
static EVP_PKEY_CTX *
context_new(void *key, int (*init)(EVP_PKEY_CTX *))
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
rsa_verify(const struct dkim2_public_key *k, const uint8_t *digest,
    struct bytes signature, bool *good)
{
	EVP_PKEY_CTX *ctx;
	int ok;

	/* before any arithmetic: whoever made the key chose its cost too */
	if (k->bits > DKIM2_RSA_BITS_MAX ||
	    signature.n != ((size_t)k->bits + 7) / 8)
		return 0;
	ERR_clear_error();
	ctx = context_new(k->rsa, EVP_PKEY_verify_init);
	if (ctx == NULL)
		return rsa_failure();
	ok = EVP_PKEY_verify(ctx, signature.p, signature.n, digest,
	    DKIM2_DIGEST);
	EVP_PKEY_CTX_free(ctx);
	*good = ok == 1;
	if (ok == 1)
		return 0;
	/* OpenSSL says 0 for "wrong" and for "no memory" alike */
	if (rsa_failure() == -E_NOMEM)
		return -E_NOMEM;
	return ok == 0 ? 0 : -E_CRYPTO;
}

int
rsa_sign(void *key, const uint8_t *digest, struct buf *out)
{
	uint8_t octets[DKIM2_SIGNATURE_MAX];
	size_t n = sizeof(octets);
	EVP_PKEY_CTX *ctx;
	int ok;

	ERR_clear_error();
	ctx = context_new(key, EVP_PKEY_sign_init);
	if (ctx == NULL)
		return rsa_failure();
	ok = EVP_PKEY_sign(ctx, octets, &n, digest, DKIM2_DIGEST);
	EVP_PKEY_CTX_free(ctx);
	if (ok != 1)
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
