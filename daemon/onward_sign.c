#include "daemon/relay_state.h"

#include <stdio.h>

#include "base/err.h"

/* Asks the signer for one signature with each key of d=. */
static int
ask_signatures(struct onward *o)
{
	struct bytes digest = dkim2_sign_want(o->sign);

	for (size_t k = 0; k < o->n_signatures; k++)
		if (signer_client_ask(o->relay->hub->signer, o->keys[k].number,
		        digest, o->tag | k) != 0)
			return -E_SYSTEM;
	return 0;
}

/*
 * Whom rt= names: those who share the copy, also where some of them had it in
 * an earlier try, so that the signature stays the same.
 *
 * Returns  how many are in paths; 0 where one of ours is not among them
 */
static size_t
shared_paths(const struct onward *o, struct bytes *paths, size_t max)
{
	struct bytes list = o->value.rcpts;
	size_t n = 0, found = 0;

	while (n < max && relay_value_next_rcpt(&list, &paths[n]))
		n++;
	for (size_t k = 0; k < o->n_rcpts; k++)
		for (size_t at = 0; at < n; at++)
			if (bytes_eq(paths[at], o->rcpts[k]->out.rcpt_to)) {
				found++;
				break;
			}
	return found == o->n_rcpts ? n : 0;
}

/* The recipients of the copy, as the signature names them. */
static int
set_envelope(struct onward *o)
{
	/* the shortest path of a list takes 5 octets with its length */
	size_t n, max = o->n_rcpts + o->value.rcpts.n / 5;
	struct bytes *paths = arena_array(o->relay->arena, max,
	    sizeof(*paths));

	if (paths == NULL)
		return -E_NOMEM;
	n = shared_paths(o, paths, max);
	for (size_t k = 0; n == 0 && k < o->n_rcpts; k++)
		paths[k] = o->rcpts[k]->out.rcpt_to;
	o->leaves = (struct dkim2_envelope){o->mail_from, paths,
	    n == 0 ? o->n_rcpts : n};
	return 0;
}

static int
begin_to_sign(struct onward *o, enum dkim2_refusal *why)
{
	struct relay *r = o->relay;
	size_t n = signer_inventory_find(r->hub->inventory,
	    o->decision.domain, &o->keys);
	struct dkim2_signing_key *keys = arena_array(r->arena, n,
	    sizeof(*keys));
	struct dkim2_sign_options opts = {
	    .domain = o->decision.domain,
	    .keys = keys,
	    .n_keys = n,
	    .envelope = &o->leaves,
	    .timestamp_s = o->value.time_s,
	    .flags = o->decision.flags,
	};

	if (keys == NULL)
		return -E_NOMEM;
	if (o->value.is_exploded && decide_has_chain(&r->message))
		opts.flags |= DKIM2_FLAG_EXPLODED;
	for (size_t k = 0; k < n; k++)
		keys[k] = (struct dkim2_signing_key){o->keys[k].selector,
		    o->keys[k].algorithm};
	o->n_signatures = n;
	if (o->decision.is_return) {
		opts.recipe = r->extension.recipe;
		return dkim2_sign_new(&o->sign, r->arena,
		    r->extension.message, r->extension.digests, &opts, why);
	}
	if (o->rewritten != NULL) {
		opts.recipe = o->rewritten->recipe;
		return dkim2_sign_new(&o->sign, r->arena,
		    &o->rewritten->message, &o->rewritten->digests, &opts,
		    why);
	}
	if (o->repaired != NULL)
		return dkim2_sign_new(&o->sign, r->arena,
		    &o->repaired->message, &o->repaired->digests, &opts, why);
	return dkim2_sign_new(&o->sign, r->arena, &r->message,
	    dkim2_verify_digests(r->verify), &opts, why);
}

/* Whether the chain says already what this signature would (L1). */
static bool
is_repeated(const struct onward *o)
{
	const struct dkim2_result *result =
	    dkim2_verify_result(o->relay->verify);

	return result != NULL && loopcheck_repeats(result,
	    o->decision.domain, &o->leaves);
}

int
onward_sign(struct onward *o)
{
	struct relay *r = o->relay;
	enum dkim2_refusal why = DKIM2_MAY_SIGN;
	int error;

	if (r->hub->signer == NULL ||
	    !slots_take(&r->hub->slots, o, &o->tag))
		return -E_SYSTEM;
	o->has_tag = true;
	error = set_envelope(o);
	if (error == 0 && is_repeated(o)) {
		decide_loop(&o->decision,
		    loopcheck_text(LOOPCHECK_SIGNED));
		return 0;
	}
	if (error == 0)
		error = begin_to_sign(o, &why);
	if (error != 0)
		return error;
	if (why == DKIM2_MAY_SIGN)
		return ask_signatures(o);
	decide_unsignable(&o->decision, r->listener, dkim2_refusal_text(why));
	relay_from_undo(o);
	o->sign = NULL;
	return 0;
}

int
onward_sign_answer(struct onward *o, size_t k, struct bytes signature)
{
	if (signature.n == 0)
		return -E_SYSTEM;
	return dkim2_sign_answer(o->sign, k, signature);
}

void
onward_sign_describe(struct onward *o)
{
	char d[300];

	relay_escape(o->decision.domain, d, sizeof(d));
	if (o->sign != NULL)
		snprintf(o->signed_as, sizeof(o->signed_as), "signed=yes d=%s",
		    d);
	else if (o->decision.rule != NULL)
		snprintf(o->signed_as, sizeof(o->signed_as),
		    "signed=no rule=\"%s\"", o->decision.rule);
	else
		snprintf(o->signed_as, sizeof(o->signed_as), "signed=no");
}
