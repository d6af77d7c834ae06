/*
 * Whatever the message is: it is refused, or it is signed, the fields read
 * back, and the result may be signed on until the chain is full.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "dkim2/canon.h"
#include "dkim2/crypto.h"
#include "dkim2/dkim2.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int
digests_of(const struct dkim2_message *m, struct bytes body,
    struct dkim2_digests *d, struct arena *a)
{
	struct canon_header sorted;

	if (canon_header_sort(&sorted, m, a) != 0)
		return -E_NOMEM;
	for (unsigned h = 0; h < DKIM2_HASH__N; h++) {
		struct dkim2_hasher x;
		struct canon_body c;

		if (dkim2_hasher_init(&x, h) != 0 ||
		    canon_header_emit(&sorted, canon_to_hasher, &x) != 0 ||
		    dkim2_hasher_end(&x, d->header[h]) != 0)
			abort();
		dkim2_hasher_fini(&x);
		if (dkim2_hasher_init(&x, h) != 0)
			abort();
		canon_body_init(&c, canon_to_hasher, &x);
		if (canon_body_add(&c, body) != 0 ||
		    canon_body_end(&c) != 0 ||
		    dkim2_hasher_end(&x, d->body[h]) != 0)
			abort();
		dkim2_hasher_fini(&x);
		d->have |= 1U << h;
	}
	return 0;
}

/* Signs *header in place; false where it is refused, with *why. */
static bool
sign(struct bytes *header, struct bytes body, struct arena *a,
    enum dkim2_refusal *why)
{
	static const struct dkim2_signing_key key = {BYTES_LIT("l1"),
	    DKIM2_ED25519_SHA256};
	static const struct bytes rcpt = BYTES_LIT("<c@lists.example>");
	static const struct dkim2_envelope e = {
		BYTES_LIT("<b@lists.example>"), &rcpt, 1};
	static const struct dkim2_sign_options o = {
		.domain = BYTES_LIT("lists.example"), .keys = &key,
		.n_keys = 1, .envelope = &e, .timestamp_s = 1795341600};
	static const uint8_t signature[64];
	struct dkim2_digests d = {0};
	struct dkim2_message m;
	struct dkim2_sign *s;
	struct buf out;

	*why = DKIM2_REFUSE_OPTIONS;
	if (dkim2_message_parse(&m, *header, 1000, a) != 0 ||
	    digests_of(&m, body, &d, a) != 0 ||
	    dkim2_sign_new(&s, a, &m, &d, &o, why) != 0 ||
	    *why != DKIM2_MAY_SIGN)
		return false;
	switch (dkim2_sign_answer(s, 0, (struct bytes){signature, 64})) {
	case 0:
		break;
	case -E_NOMEM:
		return false;
	default:
		abort();	/* what it wrote does not read back */
	}
	if (arena_buf(a, header->n + dkim2_sign_fields(s).n, &out) != 0)
		return false;
	buf_add(&out, dkim2_sign_fields(s));
	buf_add(&out, *header);
	*header = buf_bytes(&out);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(16U << 20);
	struct bytes octets = {p, n}, header;
	size_t body_at = n, end = dkim2_header_end(octets, &body_at);
	enum dkim2_refusal why;

	header = bytes_first(octets, end == SIZE_MAX ? n : end);
	octets = bytes_skip(octets, body_at);
	if (sign(&header, octets, a, &why) &&
	    !sign(&header, octets, a, &why) && why != DKIM2_MAY_SIGN &&
	    why != DKIM2_REFUSE_CHAIN_FULL && why != DKIM2_REFUSE_OPTIONS)
		abort();
	arena_free(&a);
	return 0;
}
