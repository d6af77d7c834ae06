#include "daemon/relay_state.h"

#include <stdio.h>

#include "base/err.h"
#include "daemon/metrics.h"
#include "daemon/unsigned.h"
#include "dkim2/chain.h"

_Static_assert(DKIM2_FLAG_FEEDBACK == 1 && DKIM2_FLAG_FEEDHERE == 2,
    "as the words of the directive `flags`");

#define PART 64U	/* numbers of one hop's questions */

_Static_assert(ONWARD_DKIM1 == 2 * PART, "two hops' questions before it");

int
onward_sign_ask(struct onward *o, const struct signer_key *key,
    struct bytes digest, size_t k)
{
	return signer_client_ask(o->relay->hub->signer, key->number, digest,
	    o->tag | k) != 0 ? -E_SYSTEM : 0;
}

/* Asks the signer for one signature with each key of d=. */
static int
ask_signatures(struct onward *o)
{
	const struct onward_hop *h = &o->hops[o->n_hops - 1];
	struct bytes digest = dkim2_sign_want(o->sign);
	size_t first = PART * (o->n_hops - 1);

	for (size_t k = 0; k < h->n; k++)
		if (onward_sign_ask(o, &h->keys[k], digest, first + k) != 0)
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

/* What is signed: the message as it leaves, but for our own fields on top. */
struct subject {
	struct dkim2_message message;
	const struct dkim2_digests *digests;
	struct bytes recipe;
};

static struct subject
subject_of(const struct onward *o)
{
	const struct relay *r = o->relay;

	if (o->replaced != NULL)
		return (struct subject){o->replaced->message,
		    &o->replaced->digests, {NULL, 0}};
	if (o->decision.is_return)
		return (struct subject){*r->extension.message,
		    r->extension.digests, r->extension.recipe};
	if (o->rewritten != NULL)
		return (struct subject){o->rewritten->message,
		    &o->rewritten->digests, o->rewritten->recipe};
	if (o->repaired != NULL)
		return (struct subject){o->repaired->message,
		    &o->repaired->digests, {NULL, 0}};
	return (struct subject){r->message, dkim2_verify_digests(r->verify),
	    {NULL, 0}};
}

/* How many signatures the copy has in the end. */
static size_t
n_hops(const struct onward *o)
{
	return o->decision.before.n != 0 ? 2 : 1;
}

/* Puts the fields of the imaginary hop on top, as if they had come. */
static int
add_before(struct onward *o, struct subject *s)
{
	struct arena *a = o->relay->arena;
	struct dkim2_message own, *m = &s->message;
	struct dkim2_field *fields;
	int error;

	if (o->n_hops == 0)
		return 0;
	/* a signature, and an instance where there is a new one */
	error = dkim2_message_parse(&own, o->hops[0].fields, 2, a);
	if (error != 0)
		return error;
	fields = arena_array(a, own.n_fields + m->n_fields, sizeof(*fields));
	if (fields == NULL)
		return -E_NOMEM;
	memcpy(fields, own.fields, own.n_fields * sizeof(*fields));
	if (m->n_fields != 0)
		memcpy(fields + own.n_fields, m->fields,
		    m->n_fields * sizeof(*fields));
	m->fields = fields;
	m->n_fields += own.n_fields;
	s->recipe = (struct bytes){NULL, 0};	/* the hop before has it */
	return 0;
}

/* Whether the message was sent to that address. */
static bool
is_sent_to(const struct onward *o, const struct relay_rcpt *rcpt)
{
	struct bytes list = o->relay->extension.rcpts, path;

	if (!o->decision.is_return)
		return bytes_eq(rcpt->to.raw, rcpt->out.rcpt_to);
	while (relay_value_next_rcpt(&list, &path))
		if (chain_path_eq(path, rcpt->out.rcpt_to))
			return true;
	return false;
}

/* Whether a copy goes to an address that those before us do not know. */
static bool
is_private(const struct onward *o)
{
	for (size_t k = 0; k < o->n_rcpts; k++)
		if (!is_sent_to(o, o->rcpts[k]))
			return true;
	return false;
}

/* d=, and the envelope or nd=, of the next signature. */
static void
set_hop(const struct onward *o, struct dkim2_sign_options *opts)
{
	const struct decision *d = &o->decision;

	if (d->before.n != 0 && o->n_hops == 0) {
		opts->domain = d->before;
		opts->next_domain = d->domain;
		return;
	}
	opts->domain = d->domain;
	opts->envelope = &o->leaves;
	if (o->replaced != NULL)
		return;		/* nothing is asked for, nothing hidden */
	opts->flags = d->flags | o->relay->listener->flags;
	opts->is_private = is_private(o);
	if (o->value.is_exploded && (o->n_hops != 0 ||
	    decide_has_chain(&o->relay->message)))
		opts->flags |= DKIM2_FLAG_EXPLODED;
}

static int
begin_to_sign(struct onward *o, enum dkim2_refusal *why)
{
	struct relay *r = o->relay;
	struct onward_hop *h = &o->hops[o->n_hops];
	struct dkim2_sign_options opts = {.timestamp_s = o->value.time_s};
	struct dkim2_signing_key *keys;
	struct subject s = subject_of(o);
	int error = add_before(o, &s);

	if (error != 0)
		return error;
	set_hop(o, &opts);
	h->n = signer_inventory_find(r->hub->inventory, opts.domain,
	    &h->keys);
	keys = arena_array(r->arena, h->n, sizeof(*keys));
	if (keys == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < h->n; k++)
		keys[k] = (struct dkim2_signing_key){h->keys[k].selector,
		    h->keys[k].algorithm};
	opts.keys = keys;
	opts.n_keys = h->n;
	opts.recipe = s.recipe;
	o->n_hops++;
	return dkim2_sign_new(&o->sign, r->arena, &s.message, s.digests,
	    &opts, why);
}

/* Begins the next signature; where a rule forbids it the decision changes. */
static int
sign_next(struct onward *o)
{
	enum dkim2_refusal why = DKIM2_MAY_SIGN;
	int error = begin_to_sign(o, &why);

	if (error != 0)
		return error;
	if (why == DKIM2_MAY_SIGN)
		return ask_signatures(o);
	if (o->replaced != NULL)
		return -E_CRYPTO;	/* a DSN is believed by its signature */
	decide_unsignable(&o->decision, o->relay->listener,
	    dkim2_refusal_text(why));
	relay_from_undo(o);
	o->sign = NULL;
	return 0;
}

/* By DKIM1, of the message as the first of our signatures has it. */
static int
sign_beside(struct onward *o)
{
	struct dkim2_message *m = arena_alloc(o->relay->arena, sizeof(*m));

	if (m == NULL)
		return -E_NOMEM;
	*m = subject_of(o).message;
	return onward_dkim1(o, m);
}

/* Whether the chain says already what this signature would (L1). */
static bool
is_repeated(const struct onward *o)
{
	const struct dkim2_result *result =
	    dkim2_verify_result(o->relay->verify);

	return o->replaced == NULL && result != NULL &&
	    loopcheck_repeats(result,
	    o->decision.domain, &o->leaves);
}

/* Whether new mail says by an imaginary hop that it is one of several copies:
 * i=1 may not. */
static bool
is_split(const struct onward *o)
{
	return o->relay->listener->is_split_first_hop && o->replaced == NULL &&
	    o->value.is_exploded && o->decision.before.n == 0 &&
	    !o->decision.is_return && !decide_has_chain(&o->relay->message);
}

int
onward_sign(struct onward *o)
{
	struct relay *r = o->relay;
	int error;

	if (r->hub->signer == NULL ||
	    !slots_take(&r->hub->slots, o, &o->tag))
		return -E_SYSTEM;
	o->has_tag = true;
	if (is_split(o))
		o->decision.before = o->decision.domain;
	error = set_envelope(o);
	if (error == 0 && is_repeated(o)) {
		decide_loop(&o->decision,
		    loopcheck_text(LOOPCHECK_SIGNED));
		return 0;
	}
	if (error == 0)
		error = sign_next(o);
	if (error != 0 || o->sign == NULL || !o->way->is_dkim1)
		return error;
	return sign_beside(o);
}

/* The signature is there: its fields, above those of the hop before. */
static int
keep_fields(struct onward *o)
{
	struct onward_hop *h = &o->hops[o->n_hops - 1];
	struct bytes fields = dkim2_sign_fields(o->sign);
	struct buf all;

	h->fields = fields;
	if (o->n_hops == 1)
		return 0;
	if (arena_room(o->relay->arena, fields.n + h[-1].fields.n, &all) != 0)
		return -E_NOMEM;
	buf_add(&all, fields);
	buf_add(&all, h[-1].fields);
	h->fields = buf_bytes(&all);
	return 0;
}

static void
count(const struct onward *o, size_t k)
{
	const struct onward_hop *h = &o->hops[k / PART % 2];

	if (k >= ONWARD_DKIM1)
		metrics_count(METRIC_DKIM1_SIGNATURES, 0, 0);
	else if (k % PART < h->n)
		metrics_count(METRIC_SIGNATURES, h->keys[k % PART].algorithm,
		    0);
}

int
onward_sign_answer(struct onward *o, size_t k, struct bytes signature)
{
	int error;

	if (signature.n != 0)
		count(o, k);
	if (k >= ONWARD_DKIM1)
		return onward_dkim1_answer(o, k - ONWARD_DKIM1, signature);
	if (k / PART != o->n_hops - 1)
		return 0;
	if (signature.n == 0)
		return -E_SYSTEM;
	error = dkim2_sign_answer(o->sign, k % PART, signature);
	if (error != 0 || dkim2_sign_step(o->sign) != DKIM2_DONE)
		return error;
	error = keep_fields(o);
	return error != 0 || o->n_hops == n_hops(o) ? error : sign_next(o);
}

bool
onward_sign_is_done(const struct onward *o)
{
	return o->n_hops == n_hops(o) &&
	    dkim2_sign_step(o->sign) == DKIM2_DONE && (o->dkim1 == NULL ||
	    dkim1_sign_step(o->dkim1) == DKIM2_DONE);
}

int
onward_sign_gather(struct onward *o)
{
	struct bytes fields = o->hops[o->n_hops - 1].fields, beside;
	struct buf all;

	o->signatures = fields;
	if (o->dkim1 == NULL)
		return 0;
	beside = dkim1_sign_fields(o->dkim1);
	if (arena_room(o->relay->arena, fields.n + beside.n, &all) != 0)
		return -E_NOMEM;
	buf_add(&all, fields);
	buf_add(&all, beside);
	o->signatures = buf_bytes(&all);
	return 0;
}

void
onward_sign_describe(struct onward *o)
{
	char d[260], before[260];

	relay_escape(o->decision.domain, d, sizeof(d));
	relay_escape(o->decision.before, before, sizeof(before));
	if (o->sign == NULL && o->decision.rule != NULL)
		metrics_count(METRIC_UNSIGNED,
		    unsigned_rule(o->decision.rule), 0);
	if (o->sign != NULL)
		snprintf(o->signed_as, sizeof(o->signed_as),
		    "signed=yes d=%s%s%s", d, *before != '\0' ? " via=" : "",
		    before);
	else if (o->decision.rule != NULL)
		snprintf(o->signed_as, sizeof(o->signed_as),
		    "signed=no rule=\"%s\"", o->decision.rule);
	else
		snprintf(o->signed_as, sizeof(o->signed_as), "signed=no");
}
