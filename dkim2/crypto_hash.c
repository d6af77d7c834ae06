#include "dkim2/crypto.h"

#include "base/err.h"

#include <assert.h>

#include <openssl/err.h>
#include <openssl/evp.h>

static const struct {
	const char *name;
	size_t size;
} hashes[DKIM2_HASH__N] = {
	[DKIM2_SHA256] = {"sha256", 32},
	[DKIM2_SHA512] = {"sha512", 64},
};

const char *
dkim2_hash_name(enum dkim2_hash h)
{
	assert(h < DKIM2_HASH__N);
	return hashes[h].name;
}

size_t
dkim2_hash_size(enum dkim2_hash h)
{
	assert(h < DKIM2_HASH__N);
	return hashes[h].size;
}

enum dkim2_hash
dkim2_hash_by_name(struct bytes name)
{
	unsigned h = 0;

	while (h < DKIM2_HASH__N && !bytes_eq(name, bytes_of(hashes[h].name)))
		h++;
	return (enum dkim2_hash)h;
}

static const EVP_MD *
md_of(enum dkim2_hash h)
{
	return h == DKIM2_SHA256 ? EVP_sha256() : EVP_sha512();
}

int
dkim2_hasher_init(struct dkim2_hasher *h, enum dkim2_hash algorithm)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert(algorithm < DKIM2_HASH__N);
	h->ctx = NULL;
	if (ctx == NULL)
		return -E_NOMEM;
	if (EVP_DigestInit_ex(ctx, md_of(algorithm), NULL) != 1) {
		EVP_MD_CTX_free(ctx);
		ERR_clear_error();
		return -E_CRYPTO;
	}
	h->ctx = ctx;
	return 0;
}

int
dkim2_hasher_copy(struct dkim2_hasher *to, const struct dkim2_hasher *from)
{
	return EVP_MD_CTX_copy_ex(to->ctx, from->ctx) == 1 ? 0 : -E_CRYPTO;
}

int
dkim2_hasher_add(struct dkim2_hasher *h, struct bytes octets)
{
	if (octets.n == 0)
		return 0;
	return EVP_DigestUpdate(h->ctx, octets.p, octets.n) == 1 ?
	    0 : -E_CRYPTO;
}

int
dkim2_hasher_end(struct dkim2_hasher *h, uint8_t *digest)
{
	return EVP_DigestFinal_ex(h->ctx, digest, NULL) == 1 ? 0 : -E_CRYPTO;
}

void
dkim2_hasher_fini(struct dkim2_hasher *h)
{
	EVP_MD_CTX_free(h->ctx);
	h->ctx = NULL;
}

int
dkim2_hash_once(enum dkim2_hash algorithm, struct bytes octets,
    uint8_t *digest)
{
	struct dkim2_hasher h;
	int r = dkim2_hasher_init(&h, algorithm);

	if (r != 0)
		return r;
	r = dkim2_hasher_add(&h, octets);
	if (r == 0)
		r = dkim2_hasher_end(&h, digest);
	dkim2_hasher_fini(&h);
	return r;
}
