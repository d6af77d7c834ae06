#include "dkim2/sign.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/idn.h"
#include "dkim2/recipe.h"
#include "dkim2/taglist.h"
#include "dkim2/unsigned.h"

#define ALL_FLAGS (DKIM2_FLAG_FEEDBACK | DKIM2_FLAG_FEEDHERE | \
	DKIM2_FLAG_EXPLODED)
#define ALL_HASHES ((1U << DKIM2_HASH__N) - 1)

/* ---- options --------------------------------------------------------------- */

static bool
keys_are_good(const struct dkim2_sign_options *o)
{
	if (o->n_keys == 0 || o->n_keys > DRAFT_MEMBERS_MAX)
		return false;
	for (size_t k = 0; k < o->n_keys; k++) {
		struct bytes selector = o->keys[k].selector;

		if (o->keys[k].algorithm >= DKIM2_ALGORITHM__N ||
		    !taglist_is_domain(selector, 1))
			return false;
		for (size_t j = 0; j < k; j++)
			if (bytes_case_eq(selector, o->keys[j].selector))
				return false;
	}
	return true;
}

/*
 * A path that a tag can carry, its domain one that has A-labels (draft 18).
 */
static bool
path_is_good(struct bytes path)
{
	uint8_t room[DRAFT_DOMAIN_MAX];
	struct buf labels = BUF_ON(room);
	struct bytes domain;

	if (!signature_is_path(path))
		return false;
	domain = dkim2_path_domain(path);
	for (size_t k = 0; k < domain.n; k++)
		if (domain.p[k] < 0x80 && !ascii_is_graph(domain.p[k]))
			return false;
	return idn_is_ascii(domain) || idn_to_ascii(domain, &labels);
}

static bool
envelope_is_good(const struct dkim2_envelope *e)
{
	if (!path_is_good(e->mail_from) || e->n_rcpt_to == 0)
		return false;
	for (size_t k = 0; k < e->n_rcpt_to; k++)
		if (!path_is_good(e->rcpt_to[k]) || e->rcpt_to[k].n == 2)
			return false;
	return true;
}

static bool
nonce_is_good(struct bytes nonce)
{
	if (nonce.n > DRAFT_NONCE_MAX)
		return false;
	for (size_t k = 0; k < nonce.n; k++)
		if (!ascii_is_graph(nonce.p[k]) || nonce.p[k] == ';')
			return false;
	return true;
}

bool
sign_options_are_good(const struct dkim2_sign_options *o)
{
	if (!keys_are_good(o) || !taglist_is_domain(o->domain, 2) ||
	    o->timestamp_s < 0 || !nonce_is_good(o->nonce) ||
	    (o->flags & ~ALL_FLAGS) != 0 || (o->hashes & ~ALL_HASHES) != 0)
		return false;
	if (o->next_domain.n != 0)
		return o->envelope == NULL &&
		    taglist_is_domain(o->next_domain, 2);
	return o->envelope != NULL && envelope_is_good(o->envelope);
}

/* ---- content --------------------------------------------------------------- */

static bool
hash_matches(const struct instance_hash *h, const struct dkim2_digests *d)
{
	size_t n;

	if (h->algorithm >= DKIM2_HASH__N ||
	    (d->have & 1U << h->algorithm) == 0)
		return false;
	n = dkim2_hash_size(h->algorithm);
	return bytes_eq(h->header,
	    (struct bytes){d->header[h->algorithm], n}) &&
	    bytes_eq(h->body, (struct bytes){d->body[h->algorithm], n});
}

/* One group whose every hash is that of the message (draft 9.3, 14.7). */
static bool
content_matches(const struct instance *in, const struct dkim2_digests *d)
{
	size_t k = 0;

	while (k < in->n_hashes) {
		unsigned group = in->hashes[k].group;
		bool good = true;

		for (; k < in->n_hashes && in->hashes[k].group == group; k++)
			good = good && hash_matches(&in->hashes[k], d);
		if (good)
			return true;
	}
	return false;
}

/* ---- From ------------------------------------------------------------------ */

/* Draft 11, 12.4: d= of this signature answers for this From. */
static enum dkim2_refusal
from_check(const struct dkim2_sign *s)
{
	struct bytes domain;

	if (dkim2_message_from(&s->message, s->arena, &domain) !=
	    DKIM2_FROM_ONE)
		return DKIM2_REFUSE_FROM;
	return dkim2_domain_covers(s->self.d, domain) ? DKIM2_MAY_SIGN :
	    DKIM2_REFUSE_FROM_DOMAIN;
}

/* ---- recipes --------------------------------------------------------------- */

/*
 * A recipe that we may write: it reads well, does not say that the body
 * before is lost (nobody could sign such a chain on), and names no field
 * that is not hashed.
 */
static int
recipe_is_good(struct dkim2_sign *s, struct recipe *recipe, bool *good)
{
	enum recipe_verdict v;
	int r;

	*good = false;
	if (s->recipe.n > s->limits.max_recipe)
		return 0;
	r = recipe_parse(recipe, s->recipe, s->arena, &v);
	if (r != 0 || v != RECIPE_GOOD || recipe->is_body_null)
		return r;
	for (size_t k = 0; k < recipe->n_names; k++)
		if (unsigned_is(recipe->names[k].name))
			return 0;
	*good = true;
	return 0;
}

/* Our recipe; and whether d= must answer for a From that it changes. */
static int
recipe_check(struct dkim2_sign *s, enum dkim2_refusal *why)
{
	struct recipe recipe;
	bool good;
	int r = recipe_is_good(s, &recipe, &good);

	if (r != 0)
		return r;
	if (!good)
		*why = DKIM2_REFUSE_RECIPE;
	else if (recipe_names(&recipe, BYTES_LIT("from")))
		*why = from_check(s);
	return 0;
}

/* ---- all of it ------------------------------------------------------------- */

static enum dkim2_refusal
originate_check(struct dkim2_sign *s)
{
	s->self.i = 1;
	s->self.m = 1;
	s->is_new_instance = true;
	if (s->has_recipe)
		return DKIM2_REFUSE_RECIPE;
	if (signature_has_flag(&s->self, "exploded"))
		return DKIM2_REFUSE_EXPLODED;
	return from_check(s);
}

/* Several recipients behind one signature: copies will meet again (12.5). */
static void
explode(struct signature *self)
{
	if (self->n_rt > 1 && !signature_has_flag(self, "exploded"))
		self->flags[self->n_flags++] = BYTES_LIT("exploded");
}

/*
 * Who asked for feedback does not learn where a private address is: the hop
 * that knows it hands the feedback on.
 */
static void
stand_in(struct dkim2_sign *s)
{
	bool is_asked = false;

	for (size_t k = 0; k < s->chain.n_signatures; k++)
		is_asked = is_asked || signature_has_flag(
		    &s->chain.signatures[k], "feedback");
	if (is_asked && s->is_private &&
	    !signature_has_flag(&s->self, "feedhere"))
		s->self.flags[s->self.n_flags++] = BYTES_LIT("feedhere");
}

static enum dkim2_refusal
extend_check(struct dkim2_sign *s)
{
	const struct chain *c = &s->chain;
	const struct signature *prev = &c->signatures[c->n_signatures - 1];
	uint32_t m = (uint32_t)c->n_instances;

	s->self.i = prev->i + 1;
	s->self.m = s->has_recipe ? m + 1 : m;
	s->is_new_instance = s->has_recipe;
	explode(&s->self);
	stand_in(s);
	if (c->n_signatures >= s->limits.max_chain ||
	    s->self.m > s->limits.max_chain)
		return DKIM2_REFUSE_CHAIN_FULL;
	if (chain_custody(prev, &s->self).state != DKIM2_PASS)
		return DKIM2_REFUSE_CUSTODY;
	if (!s->has_recipe &&
	    !content_matches(&c->instances[m - 1], s->digests))
		return DKIM2_REFUSE_CONTENT;
	return DKIM2_MAY_SIGN;
}

int
sign_check(struct dkim2_sign *s, enum dkim2_refusal *why)
{
	struct reason_list faults;
	int r = reason_list_init(&faults, chain_faults_max(&s->message,
	    &s->limits), s->arena);

	if (r == 0)
		r = chain_read(&s->chain, &s->message, &s->limits, s->arena,
		    &faults);
	if (r != 0)
		return r;
	if (faults.n == 0)
		*why = extend_check(s);
	else if (faults.v[0].reason == DKIM2_NO_FIELDS)
		*why = originate_check(s);
	else
		*why = faults.v[0].reason == DKIM2_TOO_MANY_FIELDS ?
		    DKIM2_REFUSE_CHAIN_FULL : DKIM2_REFUSE_CHAIN;
	if (*why == DKIM2_MAY_SIGN &&
	    chain_mail_from_domain(&s->self).state != DKIM2_PASS)
		*why = DKIM2_REFUSE_MAIL_FROM;
	if (*why == DKIM2_MAY_SIGN && s->has_recipe)
		r = recipe_check(s, why);
	return r;
}
