#include "dkim2/dkim2.h"

#include <assert.h>

#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/verify_state.h"

void
dkim2_limits_default(struct dkim2_limits *l)
{
	*l = (struct dkim2_limits){
		.max_chain = DRAFT_CHAIN_MAX,
		.max_members = DRAFT_MEMBERS_MAX,
		.max_keys = DRAFT_KEYS_MAX,
		.max_age_s = DRAFT_AGE_S,
		.max_future_s = DRAFT_FUTURE_S,
		.max_recipe = DRAFT_RECIPE_MAX,
		.max_undo = DRAFT_UNDO_MAX,
	};
}

static int
copy_envelope(struct dkim2_verify *v, const struct dkim2_envelope *e)
{
	struct bytes *rcpt = arena_array(v->a, e->n_rcpt_to, sizeof(*rcpt));

	if (rcpt == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < e->n_rcpt_to; k++)
		rcpt[k] = e->rcpt_to[k];
	v->envelope = (struct dkim2_envelope){e->mail_from, rcpt,
	    e->n_rcpt_to};
	v->opts.envelope = &v->envelope;
	return 0;
}

int
dkim2_verify_new(struct dkim2_verify **out, struct arena *a,
    const struct dkim2_verify_options *opts)
{
	struct dkim2_verify *v = arena_alloc(a, sizeof(*v));

	*out = NULL;
	if (v == NULL)
		return -E_NOMEM;
	v->a = a;
	v->opts = *opts;
	if (opts->limits != NULL)
		v->limits = *opts->limits;
	else
		dkim2_limits_default(&v->limits);
	v->budget = v->limits.max_undo;
	if (opts->envelope != NULL && copy_envelope(v, opts->envelope) != 0)
		return -E_NOMEM;
	*out = v;
	return 0;
}

void
dkim2_verify_fini(struct dkim2_verify *v)
{
	if (v == NULL)
		return;
	for (unsigned h = 0; h < DKIM2_HASH__N; h++)
		dkim2_hasher_fini(&v->hashers[h]);
}

/* Gives the octets of the body to each hash that is wanted of it. */
static int
to_hashers(void *verify, struct bytes octets)
{
	struct dkim2_verify *v = verify;
	int r = 0;

	for (unsigned h = 0; r == 0 && h < DKIM2_HASH__N; h++)
		if ((v->digests.have >> h & 1) != 0)
			r = dkim2_hasher_add(&v->hashers[h], octets);
	return r;
}

static int
begin_body(struct dkim2_verify *v)
{
	int r = 0;

	if (v->opts.known != NULL)
		return 0;
	canon_body_init(&v->body, to_hashers, v);
	for (unsigned h = 0; r == 0 && h < DKIM2_HASH__N; h++)
		if ((v->digests.have >> h & 1) != 0)
			r = dkim2_hasher_init(&v->hashers[h],
			    (enum dkim2_hash)h);
	return r;
}

int
dkim2_verify_header(struct dkim2_verify *v, const struct dkim2_message *m)
{
	int r = 0;

	assert(!v->has_header);
	v->message = m;
	if (v->opts.scope != DKIM2_DIGESTS)
		r = verify_structure(v);
	if (r == 0) {
		v->digests.have = v->opts.hashes & ((1U << DKIM2_HASH__N) - 1);
		if (v->is_sound)
			v->digests.have |= verify_hashes_named(v);
		r = verify_headers(v);
	}
	if (r == 0 && v->is_sound)
		r = verify_keys(v);
	if (r == 0)
		r = begin_body(v);
	v->has_header = true;
	v->has_failed = r != 0;
	return r;
}

int
dkim2_verify_body(struct dkim2_verify *v, struct bytes octets)
{
	int r;

	assert(v->has_header && !v->has_body && v->opts.known == NULL);
	if (v->has_failed)
		return -E_CRYPTO;
	v->n_body += octets.n;
	r = canon_body_add(&v->body, octets);
	v->has_failed = r != 0;
	return r;
}

/* The result is made when the last thing is there that it needs. */
static int
conclude_if_complete(struct dkim2_verify *v)
{
	if (!v->has_body || v->n_answers < v->n_wants)
		return 0;
	return verify_conclude(v);
}

/* The digests of the body as received, or those that the caller had. */
static int
end_body(struct dkim2_verify *v, struct bytes body)
{
	int r = 0;

	if (v->opts.known != NULL) {
		v->n_body = body.n;
		v->digests.have &= v->opts.known->have;
		memcpy(v->digests.body, v->opts.known->body,
		    sizeof(v->digests.body));
		return 0;
	}
	r = canon_body_end(&v->body);
	for (unsigned h = 0; r == 0 && h < DKIM2_HASH__N; h++)
		if ((v->digests.have >> h & 1) != 0)
			r = dkim2_hasher_end(&v->hashers[h],
			    v->digests.body[h]);
	return r;
}

int
dkim2_verify_end(struct dkim2_verify *v, struct bytes body)
{
	int r;

	assert(v->has_header && !v->has_body);
	if (v->has_failed)
		return -E_CRYPTO;
	r = end_body(v, body);
	if (r == 0 && v->is_sound)
		r = verify_bodies(v, body);
	v->has_body = r == 0;
	if (r == 0)
		r = conclude_if_complete(v);
	v->has_failed = r != 0;
	return r;
}

enum dkim2_step
dkim2_verify_step(struct dkim2_verify *v)
{
	if (v->has_failed)
		return DKIM2_DONE;
	if (!v->has_body)
		return DKIM2_MORE;
	return v->n_answers < v->n_wants ? DKIM2_WANT_KEY : DKIM2_DONE;
}

size_t
dkim2_verify_wants(const struct dkim2_verify *v, const struct bytes **names)
{
	*names = v->wants;
	return v->n_wants;
}

int
dkim2_verify_answer(struct dkim2_verify *v, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n)
{
	int r;

	assert(k < v->n_wants);
	if (v->has_failed)
		return -E_CRYPTO;
	if (v->is_answered[k])
		return 0;
	v->is_answered[k] = true;
	v->n_answers++;
	r = verify_key_found(v, k, found, records, n);
	if (r == 0)
		r = conclude_if_complete(v);
	v->has_failed = r != 0;
	return r;
}

const struct dkim2_result *
dkim2_verify_result(const struct dkim2_verify *v)
{
	return v->result;
}

const struct dkim2_digests *
dkim2_verify_digests(const struct dkim2_verify *v)
{
	return &v->digests;
}
