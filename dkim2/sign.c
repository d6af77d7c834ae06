#include "dkim2/sign.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/idn.h"

#include <assert.h>

const char *
dkim2_refusal_text(enum dkim2_refusal r)
{
	static const char *const text[DKIM2_REFUSAL__N] = {
		[DKIM2_MAY_SIGN] = "it may be signed",
		[DKIM2_REFUSE_OPTIONS] =
		    "keys, domain, addresses or tags cannot be written down",
		[DKIM2_REFUSE_CHAIN] =
		    "the DKIM2 fields that are there are no chain",
		[DKIM2_REFUSE_CHAIN_FULL] =
		    "the chain is as long as it may be",
		[DKIM2_REFUSE_CONTENT] = "the content is not that of the last "
		    "Message-Instance, and no recipe says how it changed",
		[DKIM2_REFUSE_FROM] =
		    "there is not one From field with one mailbox",
		[DKIM2_REFUSE_FROM_DOMAIN] =
		    "the signing domain does not cover the From domain",
		[DKIM2_REFUSE_MAIL_FROM] =
		    "the signing domain does not cover the MAIL FROM domain",
		[DKIM2_REFUSE_CUSTODY] = "the message was not sent to this "
		    "domain by the signature before (custody)",
		[DKIM2_REFUSE_RECIPE] = "the recipe is none, cannot lead back, "
		    "or makes a field of more than 64 KiB",
		[DKIM2_REFUSE_EXPLODED] =
		    "the first signature cannot be exploded",
	};

	return r < DKIM2_REFUSAL__N && text[r] != NULL ? text[r] :
	    "unknown refusal";
}

/* ---- copies of what the caller said ----------------------------------------- */

/* A copy, in lower case where asked; p == NULL without memory. */
static struct bytes
copy(struct dkim2_sign *s, struct bytes b, bool is_lower)
{
	struct bytes c = arena_copy(s->arena, b);
	uint8_t *p = (uint8_t *)c.p;

	for (size_t k = 0; p != NULL && is_lower && k < c.n; k++)
		p[k] = ascii_lower(p[k]);
	return c;
}

/* A path with its domain in A-labels, and the rest of it as it is. */
static struct bytes
copy_path(struct dkim2_sign *s, struct bytes path)
{
	struct bytes domain = dkim2_path_domain(path);
	size_t before;
	struct buf out;

	if (domain.n == 0 || idn_is_ascii(domain))
		return copy(s, path, false);
	before = (size_t)(domain.p - path.p);
	if (arena_buf(s->arena, before + DRAFT_DOMAIN_MAX + 1, &out) != 0)
		return (struct bytes){NULL, 0};
	buf_add(&out, bytes_first(path, before));
	(void)idn_to_ascii(domain, &out);
	buf_add_octet(&out, '>');
	assert(!out.full);	/* sign_options_are_good() tried it */
	return buf_bytes(&out);
}

static int
copy_keys(struct dkim2_sign *s, const struct dkim2_sign_options *o)
{
	struct dkim2_signing_key *keys = arena_array(s->arena, o->n_keys,
	    sizeof(*keys));

	s->values = arena_array(s->arena, o->n_keys, sizeof(*s->values));
	if (keys == NULL || s->values == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < o->n_keys; k++) {
		keys[k].algorithm = o->keys[k].algorithm;
		keys[k].selector = copy(s, o->keys[k].selector, false);
		if (keys[k].selector.p == NULL)
			return -E_NOMEM;
	}
	s->keys = keys;
	s->n_keys = o->n_keys;
	s->is_or = o->is_or;
	return 0;
}

static int
copy_envelope(struct dkim2_sign *s, const struct dkim2_sign_options *o)
{
	const struct dkim2_envelope *e = o->envelope;

	if (e == NULL) {
		s->self.nd = copy(s, o->next_domain, true);
		return s->self.nd.p == NULL ? -E_NOMEM : 0;
	}
	s->self.mf = copy_path(s, e->mail_from);
	s->self.rt = arena_array(s->arena, e->n_rcpt_to,
	    sizeof(*s->self.rt));
	if (s->self.mf.p == NULL || s->self.rt == NULL)
		return -E_NOMEM;
	s->self.n_rt = e->n_rcpt_to;
	for (size_t k = 0; k < e->n_rcpt_to; k++) {
		s->self.rt[k] = copy_path(s, e->rcpt_to[k]);
		if (s->self.rt[k].p == NULL)
			return -E_NOMEM;
	}
	return 0;
}

static int
copy_flags(struct dkim2_sign *s, unsigned flags)
{
	static const char *const names[] = {
		"feedback", "feedhere", "exploded",
	};

	s->self.flags = arena_array(s->arena, 3, sizeof(*s->self.flags));
	if (s->self.flags == NULL)
		return -E_NOMEM;
	for (unsigned k = 0; k < 3; k++)
		if ((flags & 1U << k) != 0)
			s->self.flags[s->self.n_flags++] = bytes_of(names[k]);
	return 0;
}

_Static_assert(DKIM2_FLAG_FEEDBACK == 1U << 0 &&
    DKIM2_FLAG_FEEDHERE == 1U << 1 && DKIM2_FLAG_EXPLODED == 1U << 2,
    "copy_flags() counts them so");

static int
copy_options(struct dkim2_sign *s, const struct dkim2_sign_options *o)
{
	int r;

	s->self.t = o->timestamp_s;
	s->self.d = copy(s, o->domain, true);
	if (o->nonce.n != 0)
		s->self.n = copy(s, o->nonce, false);
	s->is_private = o->is_private;
	s->has_recipe = o->recipe.n != 0;
	s->recipe = copy(s, o->recipe, false);
	s->hashes = o->hashes != 0 ? o->hashes : 1U << DKIM2_SHA256;
	if (s->self.d.p == NULL || s->recipe.p == NULL ||
	    (o->nonce.n != 0 && s->self.n.p == NULL))
		return -E_NOMEM;
	r = copy_keys(s, o);
	if (r == 0)
		r = copy_envelope(s, o);
	return r != 0 ? r : copy_flags(s, o->flags);
}

/* ---- steps ------------------------------------------------------------------ */

/* Writes the signature above the instance; p == NULL: over 64 KiB. */
static int
write_fields(struct dkim2_sign *s, struct bytes *fields)
{
	struct bytes signature;
	struct buf all;
	int r = sign_write_signature(s, &signature);

	if (r != 0 || signature.p == NULL) {
		*fields = (struct bytes){NULL, 0};
		return r;
	}
	r = arena_room(s->arena, signature.n + s->instance.n, &all);
	if (r != 0)
		return r;
	buf_add(&all, signature);
	buf_add(&all, s->instance);
	*fields = buf_bytes(&all);
	return 0;
}

/* What is to be signed, and whether it will read back as it is meant. */
static int
prepare(struct dkim2_sign *s, enum dkim2_refusal *why)
{
	struct bytes fields;
	struct chain c;
	bool good;
	int r;

	if (s->is_new_instance) {
		r = sign_write_instance(s, &s->instance);
		if (r == 0 && s->instance.p == NULL)
			*why = DKIM2_REFUSE_RECIPE;
		if (r != 0 || s->instance.p == NULL)
			return r;
	}
	r = write_fields(s, &fields);
	if (r != 0)
		return r;
	*why = DKIM2_REFUSE_OPTIONS;
	if (fields.p == NULL)
		return 0;
	r = sign_read_back(s, fields, &c, &s->line, &good);
	if (r != 0 || !good)
		return r;
	*why = DKIM2_MAY_SIGN;
	return sign_digest(s, &c);
}

int
dkim2_sign_new(struct dkim2_sign **out, struct arena *a,
    const struct dkim2_message *m, const struct dkim2_digests *d,
    const struct dkim2_sign_options *opts, enum dkim2_refusal *why)
{
	struct dkim2_sign *s = arena_alloc(a, sizeof(*s));
	int r;

	*out = s;
	*why = DKIM2_REFUSE_OPTIONS;
	if (s == NULL)
		return -E_NOMEM;
	if (!sign_options_are_good(opts))
		return 0;
	s->arena = a;
	s->message = *m;
	s->digests = d;
	dkim2_limits_default(&s->limits);
	r = copy_options(s, opts);
	if (r != 0 || (s->hashes & ~d->have) != 0)
		return r;
	r = sign_check(s, why);
	if (r == 0 && *why == DKIM2_MAY_SIGN)
		r = prepare(s, why);
	s->digests = NULL;
	return r;
}

enum dkim2_step
dkim2_sign_step(const struct dkim2_sign *s)
{
	return s->fields.p == NULL ? DKIM2_WANT_SIG : DKIM2_DONE;
}

struct bytes
dkim2_sign_want(const struct dkim2_sign *s)
{
	return (struct bytes){s->digest, sizeof(s->digest)};
}

static bool
length_is_possible(enum dkim2_algorithm algorithm, size_t n)
{
	if (algorithm == DKIM2_ED25519_SHA256)
		return n == 64;
	return n >= DKIM2_RSA_BITS_SIGN_MIN / 8 && n <= DKIM2_RSA_BITS_MAX / 8;
}

/* With all signatures there: the fields, once more through the parser. */
static int
finish(struct dkim2_sign *s)
{
	struct bytes fields, line;
	struct chain c;
	bool good;
	int r = write_fields(s, &fields);

	if (r == 0 && fields.p == NULL)
		r = -E_LIMIT;
	if (r == 0)
		r = sign_read_back(s, fields, &c, &line, &good);
	if (r != 0)
		return r;
	/* of what was signed nothing else can have become another */
	if (!good || !bytes_eq(line, s->line))
		return -E_SYNTAX;
	s->fields = fields;
	return 0;
}

int
dkim2_sign_answer(struct dkim2_sign *s, size_t k, struct bytes signature)
{
	assert(k < s->n_keys);
	if (s->values[k].p != NULL)
		return 0;
	if (!length_is_possible(s->keys[k].algorithm, signature.n))
		return -E_LIMIT;
	s->values[k] = arena_copy(s->arena, signature);
	if (s->values[k].p == NULL)
		return -E_NOMEM;
	return ++s->n_answered == s->n_keys ? finish(s) : 0;
}

struct bytes
dkim2_sign_fields(const struct dkim2_sign *s)
{
	return s->fields;
}
