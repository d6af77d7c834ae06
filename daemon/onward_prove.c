/*
 * The proof before a signed copy leaves (product.md, Prove): our own verifier
 * reads the finished message as the next hop will.
 */
#include "daemon/relay_state.h"

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

/* Beside the header, of which a copy is made. */
#define PROOF_ROOM (64U << 20)

/* One Ed25519 signature in so many is checked; every RSA one is, since a bit
 * that falls over while it is made can give away the key. */
#define ED25519_ONE_IN 64U

/* The header block of what leaves, as one. */
static int
gather(const struct onward *o, struct arena *a, struct dkim2_message *m)
{
	size_t n = 0;
	struct buf header;

	for (size_t k = 0; k <= ONWARD_CONTENT; k++)
		n += o->pieces[k].n;
	if (arena_room(a, n, &header) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k <= ONWARD_CONTENT; k++)
		buf_add(&header, o->pieces[k]);
	return dkim2_message_parse(m, buf_bytes(&header), SIZE_MAX, a);
}

/* The public halves come from the signer, not from the DNS. */
static int
answer_keys(const struct onward *o, struct dkim2_verify *v)
{
	const struct bytes *names;
	size_t n = dkim2_verify_wants(v, &names);
	int error = 0;

	for (size_t k = 0; k < n && error == 0; k++) {
		const struct bytes *record = NULL;

		for (size_t h = 0; h < o->n_hops; h++)
			for (size_t j = 0; j < o->hops[h].n; j++)
				if (signer_key_is(&o->hops[h].keys[j], names[k]))
					record = &o->hops[h].keys[j].record;
		error = dkim2_verify_answer(v, k, record == NULL
		    ? DKIM2_KEY_ABSENT : DKIM2_KEY_TXT, record,
		    record != NULL);
	}
	return error;
}

/* What is known of the body: it is not hashed a second time. */
static const struct dkim2_digests *
digests_of(const struct onward *o)
{
	const struct relay *r = o->relay;

	if (o->replaced != NULL)
		return &o->replaced->digests;
	if (o->decision.is_return)
		return r->extension.digests;
	if (o->rewritten != NULL)
		return &o->rewritten->digests;
	return o->repaired != NULL ? &o->repaired->digests
	    : dkim2_verify_digests(r->verify);
}

static int
verify(const struct onward *o, struct arena *a, struct dkim2_verify **v,
    const struct dkim2_message *m)
{
	struct relay *r = o->relay;
	bool is_sample = r->hub->n_proofs++ % ED25519_ONE_IN == 0;
	struct dkim2_limits limits;
	const struct dkim2_verify_options opts = {
	    .now_s = loop_time_s(r->hub->loop),
	    .envelope = &o->leaves,
	    .limits = &limits,
	    .scope = DKIM2_NEW_HOPS,
	    .n_new = o->n_hops,
	    .trusted = is_sample ? 0 : 1U << DKIM2_ED25519_SHA256,
	    .known = digests_of(o),
	    .keyring = r->hub->keyring,
	};
	int error;

	relay_limits(r, &limits);
	error = dkim2_verify_new(v, a, &opts);
	if (error == 0)
		error = dkim2_verify_header(*v, m);
	if (error == 0)
		error = answer_keys(o, *v);
	if (error == 0)
		error = dkim2_verify_end(*v, onward_body(o));
	return error;
}

static void
alarm_of(const struct onward *o, const struct dkim2_verdict *verdict)
{
	char octets[600];
	struct buf text = BUF_ON(octets);

	metrics_count(METRIC_PROOFS_FAILED, 0, 0);
	dkim2_verdict_text(verdict, &text);
	log_line(LOG_ERROR_, "%s: ALARM: what was signed here does not verify, "
	    "and does not leave so: %s: %.*s", o->relay->id,
	    dkim2_state_name(verdict->state), BYTES_FMT(buf_bytes(&text)));
}

/*
 * A chain grows old while a list manager waits for its moderator: that is no
 * fault of ours, and nothing to be tried again.
 */
static bool
is_outlived(struct onward *o, const struct dkim2_verdict *verdict)
{
	if (verdict->reason != DKIM2_EXPIRED)
		return false;
	decide_unsignable(&o->decision, o->relay->listener,
	    "a signature of the chain is too old by now");
	o->sign = NULL;
	relay_from_undo(o);
	return true;
}

int
onward_prove(struct onward *o)
{
	struct arena *a = arena_new(PROOF_ROOM);
	struct dkim2_verify *v = NULL;
	struct dkim2_message m;
	const struct dkim2_verdict *full;
	int error = a == NULL ? -E_NOMEM : gather(o, a, &m);

	if (error == 0)
		error = verify(o, a, &v, &m);
	if (error == 0) {
		full = &dkim2_verify_result(v)->full;
		if (full->state != DKIM2_PASS && !is_outlived(o, full)) {
			alarm_of(o, full);
			error = -E_CRYPTO;
		}
	}
	dkim2_verify_fini(v);
	arena_free(&a);
	return error;
}
