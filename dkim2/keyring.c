#include "dkim2/keyring.h"

#include "base/err.h"

struct slot {
	bool is_taken;
	struct keyring_key key;
};

/*
 * Each record has one slot where it may be, as its digest says: what is
 * looked up is found at once, and whoever fills the ring with keys of his
 * own costs others no more than reading theirs again.
 */
struct dkim2_keyring {
	struct slot *slots;
	size_t n;
};

int
dkim2_keyring_new(struct dkim2_keyring **out, struct arena *a, size_t n)
{
	struct dkim2_keyring *r = arena_alloc(a, sizeof(*r));

	*out = NULL;
	if (r == NULL)
		return -E_NOMEM;
	r->n = n == 0 ? 1 : n;
	r->slots = arena_array(a, r->n, sizeof(*r->slots));
	if (r->slots == NULL)
		return -E_NOMEM;
	*out = r;
	return 0;
}

static struct slot *
slot_of(const struct dkim2_keyring *r, const uint8_t *digest)
{
	uint64_t v;

	memcpy(&v, digest, sizeof(v));
	return &r->slots[v % r->n];
}

static void
empty(struct slot *s)
{
	if (s->is_taken)
		dkim2_public_key_fini(&s->key.key);
	s->is_taken = false;
}

void
dkim2_keyring_fini(struct dkim2_keyring *r)
{
	for (size_t k = 0; r != NULL && k < r->n; k++)
		empty(&r->slots[k]);
}

const struct keyring_key *
keyring_find(const struct dkim2_keyring *r, const uint8_t *digest)
{
	const struct slot *s = slot_of(r, digest);

	return s->is_taken &&
	    memcmp(s->key.digest, digest, DKIM2_DIGEST) == 0 ? &s->key : NULL;
}

const struct keyring_key *
keyring_keep(struct dkim2_keyring *r, const struct keyring_key *key)
{
	struct slot *s = slot_of(r, key->digest);

	empty(s);
	*s = (struct slot){true, *key};
	return &s->key;
}
