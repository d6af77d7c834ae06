#include "daemon/relay_state.h"

#include <stdio.h>

#include "base/err.h"

/* Asks the signer for one signature with each key of d=. */
static void
ask_signatures(struct relay *r)
{
	struct bytes digest = dkim2_sign_want(r->sign);

	r->state = SIGNING;
	for (size_t k = 0; k < r->n_unsigned; k++) {
		if (signer_client_ask(r->hub->signer, r->keys[k].number,
		        digest, r->tag | k) != 0) {
			relay_end_with(r, 451, "4.3.0",
			    "The message can not be signed now");
			return;
		}
	}
}

/* Returns E_* or 0; why is set. */
static int
begin_to_sign(struct relay *r, enum dkim2_refusal *why)
{
	size_t n = signer_inventory_find(r->hub->inventory,
	    r->decision.domain, &r->keys);
	struct dkim2_signing_key *keys = arena_array(r->arena, n,
	    sizeof(*keys));
	struct dkim2_sign_options opts = {
	    .domain = r->decision.domain,
	    .keys = keys,
	    .n_keys = n,
	    .envelope = &r->leaves,
	    .timestamp_s = loop_time_s(r->hub->loop),
	    .flags = r->decision.flags,
	};

	if (keys == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < n; k++)
		keys[k] = (struct dkim2_signing_key){r->keys[k].selector,
		    r->keys[k].algorithm};
	r->n_unsigned = n;
	r->leaves = (struct dkim2_envelope){r->onward.mail_from,
	    &r->onward.rcpt_to, 1};
	return dkim2_sign_new(&r->sign, r->arena, &r->message,
	    dkim2_verify_digests(r->verify), &opts, why);
}

void
relay_sign_begin(struct relay *r)
{
	enum dkim2_refusal why = DKIM2_MAY_SIGN;

	if (r->hub->signer == NULL || begin_to_sign(r, &why) != 0) {
		relay_end_with(r, 451, "4.3.0",
		    "The message can not be signed now");
		return;
	}
	if (why == DKIM2_MAY_SIGN) {
		ask_signatures(r);
		return;
	}
	decide_unsignable(&r->decision, r->listener, dkim2_refusal_text(why));
	r->sign = NULL;
	if (r->decision.kind == DECIDE_REFUSE)
		relay_end_with(r, r->decision.code, r->decision.enhanced,
		    r->decision.text);
	else
		relay_send(r);
}

void
relay_signature(struct relay *r, size_t k, struct bytes signature)
{
	if (r->state != SIGNING)
		return;
	if (signature.n == 0 || dkim2_sign_answer(r->sign, k, signature) != 0) {
		relay_end_with(r, 451, "4.3.0",
		    "The message can not be signed now");
		return;
	}
	if (dkim2_sign_step(r->sign) == DKIM2_DONE)
		relay_send(r);
}

void
relay_describe_signing(struct relay *r)
{
	char d[300];

	relay_escape(r->decision.domain, d, sizeof(d));
	if (r->sign != NULL)
		snprintf(r->signed_as, sizeof(r->signed_as), "signed=yes d=%s",
		    d);
	else if (r->decision.rule != NULL)
		snprintf(r->signed_as, sizeof(r->signed_as),
		    "signed=no rule=\"%s\"", r->decision.rule);
	else
		snprintf(r->signed_as, sizeof(r->signed_as), "signed=no");
}
