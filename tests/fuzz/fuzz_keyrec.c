/*
 * Key records: white space around them and a ";" more or less at the end
 * change nothing, and no p= breaks the crypto library.
 */
#include <stdlib.h>

#include <sodium.h>

#include "dkim2/crypto.h"
#include "dkim2/keyrec.h"
#include "dkim2/taglist.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static void
check_same(struct bytes record, const struct keyrec *k, struct arena *a)
{
	struct bytes bare = taglist_trim(record);
	struct keyrec other;
	struct buf text;
	bool good;

	need(arena_buf(a, record.n + 4, &text) == 0);
	buf_add_octet(&text, ' ');
	buf_add(&text, bare);
	if (bare.p[bare.n - 1] == ';')
		text.n--;
	else
		buf_add_str(&text, " ;");
	need(keyrec_parse(&other, buf_bytes(&text), a, &good) == 0 && good);
	need(other.algorithm == k->algorithm && bytes_eq(other.p, k->p) &&
	    other.is_revoked == k->is_revoked &&
	    other.has_type == k->has_type);
}

static void
check_key(const struct keyrec *k)
{
	static const uint8_t digest[DKIM2_DIGEST];
	struct dkim2_public_key key;
	bool good;

	need(dkim2_public_key_init(&key, k->algorithm, k->p, &good) == 0);
	if (!good)
		return;
	need(dkim2_public_key_verify(&key, digest, BYTES_LIT("no signature"),
	    &good) == 0 && !good);
	dkim2_public_key_fini(&key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes record = {p, n};
	struct arena *a = arena_new(16 << 20);
	struct keyrec k;
	bool good;

	if (a == NULL || sodium_init() < 0)
		abort();
	need(keyrec_parse(&k, record, a, &good) == 0);
	if (good) {
		need(!k.is_revoked || k.p.p == NULL);
		if (n < 16000)
			check_same(record, &k, a);
		if (k.p.p != NULL && k.algorithm != DKIM2_ALGORITHM__N)
			check_key(&k);
	}
	arena_free(&a);
	return 0;
}
