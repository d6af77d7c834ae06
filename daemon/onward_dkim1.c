/*
 * A DKIM1 signature beside ours (directive dkim1), for those who know of no
 * other: it covers neither Message-Instance nor DKIM2-Signature, and DKIM2
 * does not cover it.
 */
#include "daemon/relay_state.h"

#include "base/err.h"
#include "daemon/log.h"
#include "dkim2/crypto.h"
#include "dkim2/dkim1.h"
#include "dkim2/keyrec.h"

#define KEY_ROOM (64U << 10)	/* to read one public key */

/* As whom: of our two domains the one of From, which is what DMARC asks for. */
static struct bytes
domain_of(const struct onward *o, const struct dkim2_message *m)
{
	const struct decision *d = &o->decision;
	struct bytes from;

	if (d->before.n != 0 && dkim2_message_from(m, o->relay->arena,
	    &from) == DKIM2_FROM_ONE && dkim2_domain_covers(d->before, from))
		return d->before;
	return d->domain;
}

/* The hash of the body, the same for all copies. */
static int
hash_body(const struct onward *o)
{
	struct relay *r = o->relay;
	uint8_t *digest;
	int error;

	if (r->dkim1_body != NULL)
		return 0;
	digest = arena_alloc(r->arena, DKIM2_DIGEST);
	if (digest == NULL)
		return -E_NOMEM;
	error = dkim1_body_hash(onward_body(o), digest);
	if (error == 0)
		r->dkim1_body = digest;
	return error;
}

static int
ask(struct onward *o, size_t n_keys)
{
	for (size_t k = 0; k < n_keys; k++)
		if (onward_sign_ask(o, &o->dkim1_keys[k],
		    dkim1_sign_want(o->dkim1, k), ONWARD_DKIM1 + k) != 0)
			return -E_SYSTEM;
	return 0;
}

int
onward_dkim1(struct onward *o, const struct dkim2_message *m)
{
	struct relay *r = o->relay;
	struct bytes domain = domain_of(o, m);
	size_t n = signer_inventory_find(r->hub->inventory, domain,
	    &o->dkim1_keys);
	struct dkim2_signing_key *keys = arena_array(r->arena, n,
	    sizeof(*keys));
	const struct dkim1_sign_options opts = {.domain = domain,
	    .keys = keys, .n_keys = n, .timestamp_s = o->value.time_s};
	enum dkim1_refusal why;
	int error;

	if (keys == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < n; k++)
		keys[k] = (struct dkim2_signing_key){o->dkim1_keys[k].selector,
		    o->dkim1_keys[k].algorithm};
	error = hash_body(o);
	if (error == 0)
		error = dkim1_sign_new(&o->dkim1, r->arena, m, &opts, &why);
	if (error != 0)
		return error;
	if (o->dkim1 == NULL) {
		log_line(LOG_NOTICE_, "%s: no DKIM1 signature beside: %s",
		    r->id, dkim1_refusal_text(why));
		return 0;
	}
	error = dkim1_sign_hashed(o->dkim1, r->dkim1_body);
	dkim1_sign_fini(o->dkim1);	/* its hasher, which was not needed */
	return error != 0 ? error : ask(o, n);
}

int
onward_dkim1_prove(const char *id, const struct signer_key *key,
    struct bytes digest, struct bytes signature)
{
	struct arena *a = arena_new(KEY_ROOM);
	struct dkim2_public_key public;
	struct keyrec record;
	bool good = false;
	int error = a == NULL ? -E_NOMEM
	    : keyrec_parse(&record, key->record, a, &good);

	if (error == 0 && good)
		error = dkim2_public_key_init(&public, key->algorithm,
		    record.p, &good);
	if (error == 0 && good) {
		error = dkim2_public_key_verify(&public, digest.p, signature,
		    &good);
		dkim2_public_key_fini(&public);
	}
	arena_free(&a);
	if (error == 0 && !good) {
		log_line(LOG_ERROR_, "%s: ALARM: what was signed here by DKIM1 "
		    "does not verify, and does not leave so", id);
		error = -E_CRYPTO;
	}
	return error;
}

int
onward_dkim1_answer(struct onward *o, size_t k, struct bytes signature)
{
	const struct signer_key *key = &o->dkim1_keys[k];
	int error = 0;

	if (signature.n == 0)
		return -E_SYSTEM;
	if (key->algorithm == DKIM2_RSA_SHA256)
		error = onward_dkim1_prove(o->relay->id, key,
		    dkim1_sign_want(o->dkim1, k), signature);
	return error != 0 ? error : dkim1_sign_answer(o->dkim1, k, signature);
}
