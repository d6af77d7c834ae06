#include "dkim2/verify_state.h"

#include <assert.h>

#include "base/err.h"
#include "dkim2/groups.h"

/* The first failure, but TEMPERROR only where there is no other. */
static struct dkim2_verdict
first_failure(const struct reason_list *l)
{
	for (size_t k = 0; k < l->n; k++)
		if (l->v[k].state != DKIM2_TEMPERROR)
			return l->v[k];
	return l->n == 0 ? reason_pass() : l->v[0];
}

static struct dkim2_verdict
signature_verdict(const struct dkim2_verify *v, size_t i,
    struct groups_item *room)
{
	const struct signature *s = &v->chain.signatures[i - 1];
	const struct verify_signature *vs = &v->signatures[i - 1];

	for (size_t k = 0; k < s->n_members; k++) {
		assert(vs->members[k].is_done);
		room[k] = (struct groups_item){vs->results[k].group,
		    vs->results[k].verdict};
	}
	return groups_verdict(room, s->n_members,
	    reason_plain(DKIM2_SIGNATURE_GROUPS, s->i));
}

static struct dkim2_signature_result
signature_result(const struct signature *s)
{
	return (struct dkim2_signature_result){
		.i = s->i, .m = s->m, .t = s->t, .d = s->d, .mf = s->mf,
		.rt = s->rt, .n_rt = s->n_rt, .nd = s->nd, .n = s->n,
		.flags = s->flags, .n_flags = s->n_flags,
		.verdict = s->fault,
	};
}

/* Signatures and instances that read well, even where the rest does not. */
static int
list_parts(struct dkim2_verify *v, struct dkim2_signature_result **sigs,
    struct dkim2_instance_result **ins)
{
	const struct chain *c = &v->chain;

	*sigs = arena_array(v->a, c->n_signatures, sizeof(**sigs));
	*ins = arena_array(v->a, c->n_instances, sizeof(**ins));
	if (*sigs == NULL || *ins == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < c->n_signatures; k++)
		(*sigs)[k] = signature_result(&c->signatures[k]);
	for (size_t k = 0; k < c->n_instances; k++)
		(*ins)[k] = (struct dkim2_instance_result){
		    c->instances[k].m, c->instances[k].recipe.p != NULL,
		    c->instances[k].fault};
	return 0;
}

/* A recipe that failed stands against each state below it, but once. */
static void
add_once(struct reason_list *l, struct dkim2_verdict v)
{
	for (size_t k = 0; k < l->n; k++)
		if (l->v[k].reason == v.reason && l->v[k].number == v.number)
			return;
	reason_list_add(l, v);
}

/* Keys, signatures, hashes and From, in the order of the draft. */
static void
add_checks(struct dkim2_verify *v, struct dkim2_signature_result *sigs,
    struct dkim2_instance_result *ins, struct groups_item *room)
{
	size_t n_sigs = v->chain.n_signatures, n_ins = v->chain.n_instances;
	size_t last = verify_last_state(v);

	for (size_t k = verify_first_signature(v) - 1; k < n_sigs; k++) {
		sigs[k].members = v->signatures[k].results;
		sigs[k].n_members = v->chain.signatures[k].n_members;
		sigs[k].verdict = signature_verdict(v, k + 1, room);
		reason_list_add(&v->all, sigs[k].verdict);
	}
	for (size_t k = n_ins; k-- >= last; ) {
		ins[k].verdict = verify_instance_verdict(v, k + 1, room);
		add_once(&v->all, ins[k].verdict);
	}
	for (size_t k = last - 1; !verify_is_last_hop(v) && k < n_ins; k++)
		add_once(&v->all, v->instances[k].from);
	reason_list_add(&v->provisional, sigs[n_sigs - 1].verdict);
	reason_list_add(&v->provisional, ins[n_ins - 1].verdict);
}

static enum dkim2_condition
condition(const struct dkim2_verify *v)
{
	bool is_left = v->all.n != 0 && v->opts.scope == DKIM2_WHOLE;

	for (size_t k = 0; k < v->all.n; k++) {
		enum dkim2_reason r = v->all.v[k].reason;

		if (r == DKIM2_NO_FIELDS)
			return DKIM2_NEVER_ENTERED;
		is_left = is_left && (r == DKIM2_MAIL_FROM_OTHER ||
		    r == DKIM2_RCPT_TO_OTHER);
	}
	if (is_left)
		return DKIM2_LEFT;
	/* Without an envelope nobody knows whether it left. */
	return v->all.n == 0 && v->opts.envelope != NULL &&
	    v->opts.scope == DKIM2_WHOLE ? DKIM2_NEVER_LEFT : DKIM2_UNCLEAR;
}

int
verify_conclude(struct dkim2_verify *v)
{
	struct dkim2_result *r = arena_alloc(v->a, sizeof(*r));
	struct groups_item *room = arena_array(v->a,
	    2 * v->limits.max_members, sizeof(*room));
	const struct dkim2_verdict none = {.state = DKIM2_NONE};
	struct dkim2_signature_result *sigs;
	struct dkim2_instance_result *ins;

	if (r == NULL || room == NULL || list_parts(v, &sigs, &ins) != 0)
		return -E_NOMEM;
	if (v->is_sound)
		add_checks(v, sigs, ins, room);
	*r = (struct dkim2_result){
		.full = verify_is_last_hop(v) ? none : first_failure(&v->all),
		.provisional = v->opts.scope == DKIM2_DIGESTS ? none :
		    first_failure(&v->provisional),
		.condition = condition(v),
		.signatures = sigs, .n_signatures = v->chain.n_signatures,
		.instances = ins, .n_instances = v->chain.n_instances,
		.all = v->all.v, .n_all = v->all.n,
	};
	v->result = r;
	return 0;
}
