#include "cli/published.h"

#include "base/err.h"
#include "cli/cli.h"
#include "cli/keyfile.h"
#include "cli/lookup.h"
#include "dkim2/keyrec.h"

#include <sodium.h>

#define AT_ONCE 64U	/* questions */

static const char *const texts[PUBLISHED__N] = {
	[PUBLISHED_UNASKED] = "was not asked for: the key does not read",
	[PUBLISHED_RIGHT] = "is in the DNS",
	[PUBLISHED_ABSENT] = "is not in the DNS",
	[PUBLISHED_OTHER] = "in the DNS is that of another key",
	[PUBLISHED_REVOKED] = "in the DNS is revoked (p= is empty)",
	[PUBLISHED_BROKEN] = "in the DNS is no key record",
	[PUBLISHED_SEVERAL] =
	    "in the DNS is one of several, and verifiers take none",
	[PUBLISHED_UNKNOWN] = "is not known: the DNS gave no answer",
};

const char *
published_text(enum published p)
{
	return texts[p];
}

/* Whether the public half checks what the private key signs. */
static int
is_pair(const struct dkim2_private_key *k, const struct dkim2_public_key *its,
    bool *good)
{
	uint8_t digest[DKIM2_DIGEST], room[DKIM2_SIGNATURE_MAX];
	struct buf signature = BUF_ON(room);
	int r;

	randombytes_buf(digest, sizeof(digest));
	r = dkim2_private_key_sign(k, digest, &signature);
	if (r == 0)
		r = dkim2_public_key_verify(its, digest,
		    buf_bytes(&signature), good);
	return r;
}

int
published_compare(const struct dkim2_private_key *k, struct bytes record,
    struct arena *a, enum published *found)
{
	struct dkim2_public_key its;
	struct keyrec rec;
	bool good;
	int r = keyrec_parse(&rec, record, a, &good);

	*found = PUBLISHED_BROKEN;
	if (r != 0 || !good)
		return r;
	*found = rec.is_revoked ? PUBLISHED_REVOKED : PUBLISHED_OTHER;
	if (rec.is_revoked ||
	    rec.algorithm != dkim2_private_key_algorithm(k))
		return 0;
	*found = PUBLISHED_BROKEN;
	if (rec.p.p == NULL)
		return 0;
	r = dkim2_public_key_init(&its, rec.algorithm, rec.p, &good);
	if (r != 0 || !good)
		return r;
	r = is_pair(k, &its, &good);
	dkim2_public_key_fini(&its);
	*found = good ? PUBLISHED_RIGHT : PUBLISHED_OTHER;
	return r;
}

/* Some of the keys, and the arena for their records. */
struct some {
	const struct keydir_key *keys;
	enum published *found;
	struct arena *arena;
};

static int
compare(const struct some *s, size_t k, struct bytes record)
{
	struct dkim2_private_key *key;
	int r;

	s->found[k] = PUBLISHED_UNASKED;
	if (keyfile_load(&key, s->keys[k].entry.path, false) != 0)
		return 0;
	r = published_compare(key, record, s->arena, &s->found[k]);
	dkim2_private_key_free(&key);
	return r;
}

/* lookup_answer */
static int
answer(void *asker, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n)
{
	const struct some *s = asker;

	if (found == DKIM2_KEY_TXT && n == 1)
		return compare(s, k, records[0]);
	s->found[k] = found == DKIM2_KEY_TEMPFAIL ? PUBLISHED_UNKNOWN :
	    found == DKIM2_KEY_TXT && n > 1 ? PUBLISHED_SEVERAL :
	    PUBLISHED_ABSENT;
	return 0;
}

static int
names_make(const struct keydir_key *keys, size_t n, struct bytes *names,
    struct arena *a)
{
	for (size_t k = 0; k < n; k++) {
		const struct keydir_entry *e = &keys[k].entry;
		struct buf out;

		if (arena_buf(a, e->selector.n + e->domain.n + 16, &out) != 0)
			return -E_NOMEM;
		buf_add(&out, e->selector);
		buf_add_str(&out, "._domainkey.");
		buf_add(&out, e->domain);
		names[k] = buf_bytes(&out);
	}
	return 0;
}

static int
ask_some(const struct keyplace *p, struct some *s, size_t n)
{
	struct bytes names[AT_ONCE];
	const struct lookup l = {names, n, answer, s};

	if (names_make(s->keys, n, names, s->arena) != 0)
		return cli_fail(CLI_CANNOT, "out of memory");
	return p->keys_file != NULL ? lookup_file(&l, p->keys_file, s->arena) :
	    lookup_dns(&l, p->resolver, s->arena);
}

int
published_ask(const struct keyplace *p, const struct keydir_key *keys,
    size_t n, const enum published **out, struct arena *a)
{
	enum published *found = arena_array(a, n, sizeof(*found));
	int r = 0;

	if (found == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	for (size_t k = 0; k < n; k++)
		found[k] = PUBLISHED_UNKNOWN;
	for (size_t k = 0; r == 0 && k < n; k += AT_ONCE) {
		struct some s = {keys + k, found + k, a};

		r = ask_some(p, &s, n - k < AT_ONCE ? n - k : AT_ONCE);
	}
	*out = found;
	return r;
}
