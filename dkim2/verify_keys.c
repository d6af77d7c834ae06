#include "dkim2/verify_state.h"

#include <assert.h>

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/keyring.h"

/* ---- what is wanted ----------------------------------------------------- */

/* "sel._domainkey.example.org", lower case. */
static int
key_name(const struct dkim2_verify *v, const struct signature *s,
    const struct signature_member *m, struct bytes *name)
{
	struct buf b;

	if (arena_buf(v->a, m->selector.n + s->d.n +
	    sizeof(DRAFT_KEY_LABEL) - 1, &b) != 0)
		return -E_NOMEM;
	buf_add(&b, m->selector);
	buf_add(&b, BYTES_LIT(DRAFT_KEY_LABEL));
	buf_add(&b, s->d);
	for (size_t k = 0; k < b.n; k++)
		b.p[k] = ascii_lower(b.p[k]);
	*name = buf_bytes(&b);
	return 0;
}

/* The look-up of that name, made where there is none yet. */
static size_t
want(struct dkim2_verify *v, struct bytes name)
{
	for (size_t k = 0; k < v->n_wants; k++)
		if (bytes_eq(v->wants[k], name))
			return k;
	if (v->n_wants == v->limits.max_keys)
		return SIZE_MAX;
	v->wants[v->n_wants] = name;
	return v->n_wants++;
}

static void
decide(struct verify_signature *vs, size_t k, struct dkim2_verdict verdict)
{
	vs->results[k].verdict = verdict;
	vs->members[k].is_done = true;
}

/* An algorithm that we do not know costs no look-up. */
static int
prepare_member(struct dkim2_verify *v, size_t i, size_t k)
{
	const struct signature *s = &v->chain.signatures[i - 1];
	const struct signature_member *m = &s->members[k];
	struct verify_signature *vs = &v->signatures[i - 1];
	struct bytes name;
	int r;

	vs->results[k] = (struct dkim2_member_result){m->selector, m->name,
	    m->group, reason_pass()};
	vs->members[k].want = SIZE_MAX;
	if (m->algorithm == DKIM2_ALGORITHM__N) {
		decide(vs, k, reason_verdict(DKIM2_ALGORITHM_UNKNOWN, s->i,
		    m->selector));
		return 0;
	}
	if ((v->opts.trusted >> m->algorithm & 1) != 0) {
		vs->members[k].is_done = true;
		return 0;
	}
	r = key_name(v, s, m, &name);
	if (r != 0)
		return r;
	vs->members[k].want = want(v, name);
	if (vs->members[k].want == SIZE_MAX)
		decide(vs, k, reason_verdict(DKIM2_KEYS_MANY, s->i,
		    m->selector));
	return 0;
}

/* The SHA-256 of the lines before the last of a signing input. */
struct head {
	struct chain_head done;
	struct dkim2_hasher hasher;
};

static int
hash_head(const struct dkim2_verify *v, size_t i, struct head *h)
{
	int r = 0;

	if (h->hasher.ctx == NULL || !chain_head_fits(&v->chain, i, &h->done)) {
		dkim2_hasher_fini(&h->hasher);
		h->done = (struct chain_head){0, 0};
		r = dkim2_hasher_init(&h->hasher, DKIM2_SHA256);
	}
	return r != 0 ? r : chain_signing_head(&v->chain, i, &h->done,
	    canon_to_hasher, &h->hasher);
}

static int
hash_last(struct dkim2_verify *v, size_t i, struct dkim2_hasher *h)
{
	int r = chain_signing_last(&v->chain, i, canon_to_hasher, h);

	return r != 0 ? r : dkim2_hasher_end(h, v->signatures[i - 1].digest);
}

/*
 * The SHA-256 of each signing input: what every algorithm signs. What a
 * signature shares with the next one is hashed once.
 */
static int
hash_inputs(struct dkim2_verify *v)
{
	size_t n = v->chain.n_signatures;
	struct head head = {.hasher = {NULL}};
	struct dkim2_hasher own = {NULL};
	int r = 0;

	if (verify_first_signature(v) > n)
		return 0;
	for (size_t i = verify_first_signature(v); r == 0 && i < n; i++) {
		r = hash_head(v, i, &head);
		if (r == 0 && own.ctx == NULL)
			r = dkim2_hasher_init(&own, DKIM2_SHA256);
		if (r == 0)
			r = dkim2_hasher_copy(&own, &head.hasher);
		if (r == 0)
			r = hash_last(v, i, &own);
	}
	if (r == 0)
		r = hash_head(v, n, &head);
	if (r == 0)
		r = hash_last(v, n, &head.hasher);
	dkim2_hasher_fini(&own);
	dkim2_hasher_fini(&head.hasher);
	return r;
}

int
verify_keys(struct dkim2_verify *v)
{
	int r = 0;

	v->wants = arena_array(v->a, v->limits.max_keys, sizeof(v->wants[0]));
	v->is_answered = arena_array(v->a, v->limits.max_keys, sizeof(bool));
	if (v->wants == NULL || v->is_answered == NULL)
		return -E_NOMEM;
	for (size_t i = verify_first_signature(v);
	    r == 0 && i <= v->chain.n_signatures; i++) {
		const struct signature *s = &v->chain.signatures[i - 1];
		struct verify_signature *vs = &v->signatures[i - 1];

		vs->members = arena_array(v->a, s->n_members,
		    sizeof(vs->members[0]));
		vs->results = arena_array(v->a, s->n_members,
		    sizeof(vs->results[0]));
		if (vs->members == NULL || vs->results == NULL)
			return -E_NOMEM;
		for (size_t k = 0; r == 0 && k < s->n_members; k++)
			r = prepare_member(v, i, k);
	}
	return r != 0 ? r : hash_inputs(v);
}

/* ---- what was found ----------------------------------------------------- */

/* What one look-up gave, read once for all members that wait for it. */
struct found {
	enum dkim2_reason reason;	/* DKIM2_OK: there is a record */
	struct keyring_key own;
	bool is_key;			/* own.key is one, to be given back */
	const struct keyring_key *kept;	/* the ring's; NULL: see own */
};

static bool
is_size_good(const struct dkim2_public_key *key)
{
	return key->algorithm != DKIM2_RSA_SHA256 ||
	    (key->bits >= DRAFT_RSA_BITS_MIN &&
	    key->bits <= DKIM2_RSA_BITS_MAX &&
	    key->exponent == DRAFT_RSA_EXPONENT);
}

/* Reads one record and its key. */
static int
read_record(struct dkim2_verify *v, struct bytes text, struct found *f)
{
	struct keyrec *record = &f->own.record;
	struct dkim2_public_key *key = &f->own.key;
	bool good;
	int r = keyrec_parse(record, text, v->a, &good);

	if (r != 0)
		return r;
	if (!good)
		f->reason = DKIM2_KEY_SYNTAX;
	if (!good || record->p.p == NULL ||
	    record->algorithm == DKIM2_ALGORITHM__N)
		return 0;
	r = dkim2_public_key_init(key, record->algorithm, record->p, &good);
	record->p = (struct bytes){NULL, 0};
	if (r != 0 || !good)
		return r;
	f->is_key = is_size_good(key);
	if (!f->is_key)
		dkim2_public_key_fini(key);
	return 0;
}

/* The same by way of the ring, which keeps good keys alone. */
static int
read_or_recall(struct dkim2_verify *v, struct bytes text, struct found *f)
{
	struct dkim2_keyring *ring = v->opts.keyring;
	int r;

	if (ring == NULL)
		return read_record(v, text, f);
	r = dkim2_hash_once(DKIM2_SHA256, text, f->own.digest);
	if (r != 0)
		return r;
	f->kept = keyring_find(ring, f->own.digest);
	if (f->kept != NULL)
		return 0;
	r = read_record(v, text, f);
	if (r == 0 && f->is_key) {
		f->kept = keyring_keep(ring, &f->own);
		f->is_key = false;
	}
	return r;
}

static int
read_found(struct dkim2_verify *v, enum dkim2_key what,
    const struct bytes *records, size_t n, struct found *f)
{
	f->reason = what == DKIM2_KEY_TEMPFAIL ? DKIM2_KEY_UNFETCHED :
	    what == DKIM2_KEY_ABSENT || n == 0 ? DKIM2_KEY_MISSING :
	    n > 1 ? DKIM2_KEY_MULTIPLE : DKIM2_OK;
	return f->reason != DKIM2_OK ? 0 : read_or_recall(v, records[0], f);
}

/*
 * The order of the draft: mismatch, revoked, malformed (14.5). What is left
 * of a revoked key may not say any more which kind it was.
 */
static enum dkim2_reason
key_reason(const struct found *f, enum dkim2_algorithm algorithm)
{
	const struct keyrec *record = f->kept != NULL ? &f->kept->record :
	    &f->own.record;

	if (f->reason != DKIM2_OK)
		return f->reason;
	if (record->algorithm != algorithm &&
	    (record->has_type || !record->is_revoked))
		return DKIM2_KEY_MISMATCH;
	if (record->is_revoked)
		return DKIM2_KEY_REVOKED;
	return f->kept != NULL || f->is_key ? DKIM2_OK : DKIM2_KEY_MALFORMED;
}

static int
check_member(struct dkim2_verify *v, size_t i, size_t k,
    const struct found *f)
{
	const struct signature *s = &v->chain.signatures[i - 1];
	const struct signature_member *m = &s->members[k];
	struct verify_signature *vs = &v->signatures[i - 1];
	enum dkim2_reason reason = key_reason(f, m->algorithm);
	bool good = false;

	if (reason == DKIM2_OK) {
		int r = dkim2_public_key_verify(f->kept != NULL ?
		    &f->kept->key : &f->own.key, vs->digest, m->value, &good);

		if (r != 0)
			return r;
		if (!good)
			reason = DKIM2_SIGNATURE_WRONG;
	}
	decide(vs, k, reason == DKIM2_OK ? reason_pass() :
	    reason_verdict(reason, s->i, m->selector));
	return 0;
}

int
verify_key_found(struct dkim2_verify *v, size_t k, enum dkim2_key what,
    const struct bytes *records, size_t n)
{
	struct found f = {.kept = NULL};
	int r = read_found(v, what, records, n, &f);

	for (size_t i = verify_first_signature(v);
	    r == 0 && i <= v->chain.n_signatures; i++) {
		const struct signature *s = &v->chain.signatures[i - 1];
		const struct verify_signature *vs = &v->signatures[i - 1];

		for (size_t j = 0; r == 0 && j < s->n_members; j++)
			if (vs->members[j].want == k)
				r = check_member(v, i, j, &f);
	}
	if (f.is_key)
		dkim2_public_key_fini(&f.own.key);
	return r;
}
