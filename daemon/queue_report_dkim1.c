/* A DKIM1 signature beside that of a report, as other mail of the listener has
 * (directive dkim1): DMARC asks those who know of no other for it. */
#include "daemon/onward.h"
#include "daemon/queue_run_state.h"

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "dkim2/crypto.h"
#include "dkim2/dkim1.h"

static int
ask(struct queue_report *q)
{
	struct hub *h = q->run->hub;

	for (size_t k = 0; k < q->n_keys; k++)
		if (signer_client_ask(h->signer, q->keys[k].number,
		    dkim1_sign_want(q->dkim1, k),
		    q->tag | (QUEUE_REPORT_DKIM1 + k)) != 0)
			return -E_SYSTEM;
	return 0;
}

int
queue_report_dkim1(struct queue_report *q)
{
	const struct config_listener *l = queue_listener(q->run, q->listener);
	struct dkim2_signing_key *keys;
	struct dkim1_sign_options opts = {.domain = q->domain,
	    .n_keys = q->n_keys,
	    .timestamp_s = loop_time_s(q->run->hub->loop)};
	uint8_t digest[DKIM2_DIGEST];
	enum dkim1_refusal why;
	int error;

	if (l == NULL || !l->is_dkim1)
		return 0;
	opts.keys = keys = arena_array(q->arena, q->n_keys, sizeof(*keys));
	if (keys == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < q->n_keys; k++)
		keys[k] = (struct dkim2_signing_key){q->keys[k].selector,
		    q->keys[k].algorithm};
	error = dkim1_body_hash(q->body, digest);
	if (error == 0)
		error = dkim1_sign_new(&q->dkim1, q->arena, &q->message,
		    &opts, &why);
	if (error != 0)
		return error;
	if (q->dkim1 == NULL) {
		log_line(LOG_NOTICE_, "%s: no DKIM1 signature beside: %s",
		    q->id, dkim1_refusal_text(why));
		return 0;
	}
	error = dkim1_sign_hashed(q->dkim1, digest);
	dkim1_sign_fini(q->dkim1);	/* its hasher, which was not needed */
	return error != 0 ? error : ask(q);
}

int
queue_report_dkim1_answer(struct queue_report *q, size_t k,
    struct bytes signature)
{
	int error = 0;

	if (k >= q->n_keys)
		return -E_SYSTEM;
	metrics_count(METRIC_DKIM1_SIGNATURES, 0, 0);
	if (q->keys[k].algorithm == DKIM2_RSA_SHA256)
		error = onward_dkim1_prove(q->id, &q->keys[k],
		    dkim1_sign_want(q->dkim1, k), signature);
	return error != 0 ? error
	    : dkim1_sign_answer(q->dkim1, k, signature);
}

bool
queue_report_dkim1_is_done(const struct queue_report *q)
{
	return q->dkim1 == NULL || dkim1_sign_step(q->dkim1) == DKIM2_DONE;
}

struct bytes
queue_report_dkim1_fields(const struct queue_report *q)
{
	return q->dkim1 == NULL ? (struct bytes){NULL, 0}
	    : dkim1_sign_fields(q->dkim1);
}
