#include "dkim2/sign.h"

#include "base/b64.h"
#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/fold.h"

#include <assert.h>

/* Octets that a field can take: what is written, and a fold for each piece. */
static size_t
room_for(size_t octets, size_t pieces)
{
	size_t n = octets + octets / 16 + 8 * pieces + 256;

	return n < SIGN_FIELD_MAX ? n : SIGN_FIELD_MAX;
}

/* "tag" and text, and what ends it, as one word. */
static void
put_text(struct fold *f, const char *tag, struct bytes text, char tail)
{
	uint8_t word[512];
	struct buf b = BUF_ON(word);

	buf_add_str(&b, tag);
	buf_add(&b, text);
	buf_add_octet(&b, (uint8_t)tail);
	assert(!b.full);	/* sign_options_are_good() bounds them all */
	fold_tag(f, buf_bytes(&b));
}

static void
put_number(struct fold *f, const char *tag, uint64_t number)
{
	uint8_t digits[24];
	struct buf b = BUF_ON(digits);

	buf_add_number(&b, number);
	put_text(f, tag, buf_bytes(&b), ';');
}

static int
finish(struct fold *f, struct buf *b, struct bytes *out)
{
	fold_end(f);
	*out = b->full ? (struct bytes){NULL, 0} : buf_bytes(b);
	return 0;
}

static void
put_hash(struct fold *f, const struct dkim2_sign *s, enum dkim2_hash h,
    bool is_first, bool is_last)
{
	size_t n = dkim2_hash_size(h);
	uint8_t word[32];
	struct buf b = BUF_ON(word);

	buf_add_str(&b, is_first ? "h=" : "");
	buf_add_str(&b, dkim2_hash_name(h));
	buf_add_octet(&b, ':');
	if (is_first)
		fold_tag(f, buf_bytes(&b));
	else
		fold_word(f, buf_bytes(&b));
	fold_base64(f, false, "", (struct bytes){s->digests->header[h], n},
	    ':');
	fold_base64(f, false, "", (struct bytes){s->digests->body[h], n},
	    is_last ? ';' : ',');
}

int
sign_write_instance(const struct dkim2_sign *s, struct bytes *out)
{
	unsigned left = s->hashes;
	struct fold f;
	struct buf b;
	int r = arena_room(s->arena, room_for(B64_LEN(s->recipe.n) +
	    DKIM2_HASH__N * 4 * DKIM2_HASH_MAX, 16), &b);

	if (r != 0)
		return r;
	fold_begin(&f, &b, DRAFT_INSTANCE);
	put_number(&f, "m=", s->self.m);
	for (unsigned h = 0; h < DKIM2_HASH__N; h++) {
		if ((left & 1U << h) == 0)
			continue;
		left &= ~(1U << h);
		put_hash(&f, s, (enum dkim2_hash)h,
		    (s->hashes & ((1U << h) - 1)) == 0, left == 0);
	}
	if (s->has_recipe)
		fold_base64(&f, true, "r=", s->recipe, ';');
	return finish(&f, &b, out);
}

static void
put_envelope(struct fold *f, const struct signature *self)
{
	if (self->nd.p != NULL) {
		put_text(f, "nd=", self->nd, ';');
		return;
	}
	fold_base64(f, true, "mf=", self->mf, ';');
	for (size_t k = 0; k < self->n_rt; k++)
		fold_base64(f, k == 0, k == 0 ? "rt=" : "", self->rt[k],
		    k + 1 == self->n_rt ? ';' : ',');
}

static void
put_flags(struct fold *f, const struct signature *self)
{
	for (size_t k = 0; k < self->n_flags; k++) {
		uint8_t word[64];
		struct buf b = BUF_ON(word);

		buf_add_str(&b, k == 0 ? "f=" : "");
		buf_add(&b, self->flags[k]);
		buf_add_octet(&b, k + 1 == self->n_flags ? ';' : ',');
		if (k == 0)
			fold_tag(f, buf_bytes(&b));
		else
			fold_word(f, buf_bytes(&b));
	}
}

/* "s=selector:algorithm:", on one line where it fits on one. */
static void
put_member(struct fold *f, const struct dkim2_signing_key *key, bool is_first)
{
	uint8_t word[320];
	struct buf b = BUF_ON(word);
	size_t selector;

	buf_add_str(&b, is_first ? "s=" : "");
	buf_add(&b, key->selector);
	buf_add_octet(&b, ':');
	selector = b.n;
	buf_add_str(&b, dkim2_algorithm_name(key->algorithm));
	buf_add_octet(&b, ':');
	assert(!b.full);
	if (b.n <= FOLD_NEXT)
		selector = b.n;
	if (is_first)
		fold_tag(f, bytes_first(buf_bytes(&b), selector));
	else
		fold_word(f, bytes_first(buf_bytes(&b), selector));
	if (selector != b.n)
		fold_word(f, bytes_skip(buf_bytes(&b), selector));
}

static void
put_signatures(struct fold *f, const struct dkim2_sign *s)
{
	/* stands in until the signature is there: its own input has none */
	static const uint8_t none = 0;

	for (size_t k = 0; k < s->n_keys; k++) {
		char tail = k + 1 == s->n_keys ? ';' : s->is_or ? '|' : ',';

		put_member(f, &s->keys[k], k == 0);
		fold_base64(f, false, "", s->values[k].p != NULL ?
		    s->values[k] : (struct bytes){&none, 1}, tail);
	}
}

int
sign_write_signature(const struct dkim2_sign *s, struct bytes *out)
{
	const struct signature *self = &s->self;
	size_t octets = self->d.n + self->nd.n + self->n.n +
	    B64_LEN(self->mf.n);
	struct fold f;
	struct buf b;
	int r;

	for (size_t k = 0; k < self->n_rt; k++)
		octets += B64_LEN(self->rt[k].n);
	for (size_t k = 0; k < s->n_keys; k++)
		octets += s->keys[k].selector.n + B64_LEN(DKIM2_SIGNATURE_MAX);
	r = arena_room(s->arena, room_for(octets,
	    16 + self->n_rt + 4 * s->n_keys), &b);
	if (r != 0)
		return r;
	fold_begin(&f, &b, DRAFT_SIGNATURE);
	put_number(&f, "i=", self->i);
	put_number(&f, "m=", self->m);
	put_number(&f, "t=", (uint64_t)self->t);
	put_text(&f, "d=", self->d, ';');
	put_envelope(&f, self);
	if (self->n.p != NULL)
		put_text(&f, "n=", self->n, ';');
	put_flags(&f, self);
	put_signatures(&f, s);
	return finish(&f, &b, out);
}
