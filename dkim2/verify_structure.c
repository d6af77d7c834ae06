#include "dkim2/verify_state.h"

#include "base/err.h"

/* Adds a failure to both lists: it stands against the last hop too. */
static void
add_to_both(struct dkim2_verify *v, struct dkim2_verdict verdict)
{
	reason_list_add(&v->all, verdict);
	reason_list_add(&v->provisional, verdict);
}

/* Whatever is wrong with the time of any signature (draft 14.3). */
static void
check_times(struct dkim2_verify *v)
{
	int64_t now = v->opts.now_s < 0 ? 0 : v->opts.now_s;

	for (size_t k = 0; k < v->chain.n_signatures; k++) {
		const struct signature *s = &v->chain.signatures[k];

		if (s->i == 0 || s->fault.state != DKIM2_PASS)
			continue;
		if (now - s->t > v->limits.max_age_s)
			add_to_both(v, reason_plain(DKIM2_EXPIRED, s->i));
		else if (s->t - now > v->limits.max_future_s)
			add_to_both(v, reason_plain(DKIM2_FUTURE, s->i));
	}
}

/*
 * Envelope and custody (draft 14.4), among signatures that read well. The
 * last hop answers for its own envelope, not for who gave it the message.
 */
static void
check_custody(struct dkim2_verify *v)
{
	size_t n = v->chain.n_signatures;
	const struct signature *top = &v->chain.signatures[n - 1];
	bool is_top_good = top->fault.state == DKIM2_PASS;

	if (is_top_good && top->nd.p == NULL && v->opts.envelope != NULL)
		add_to_both(v, chain_envelope(top, v->opts.envelope));
	for (size_t k = 0; k < n; k++) {
		const struct signature *s = &v->chain.signatures[k];
		struct dkim2_verdict domain;

		if (s->fault.state != DKIM2_PASS)
			continue;
		domain = chain_mail_from_domain(s);
		reason_list_add(&v->all, domain);
		if (s == top)
			reason_list_add(&v->provisional, domain);
	}
	for (size_t k = 1; k < n; k++) {
		const struct signature *s = &v->chain.signatures[k];

		if (s[-1].fault.state == DKIM2_PASS &&
		    s->fault.state == DKIM2_PASS)
			reason_list_add(&v->all, chain_custody(&s[-1], s));
	}
	if (is_top_good && top->nd.p != NULL)
		add_to_both(v, reason_plain(DKIM2_NEXT_DOMAIN_ON_TOP, top->i));
}

static int
make_tables(struct dkim2_verify *v)
{
	v->signatures = arena_array(v->a, v->chain.n_signatures,
	    sizeof(v->signatures[0]));
	v->instances = arena_array(v->a, v->chain.n_instances,
	    sizeof(v->instances[0]));
	return v->signatures == NULL || v->instances == NULL ? -E_NOMEM : 0;
}

int
verify_structure(struct dkim2_verify *v)
{
	/* Each signature may add: structure, time, domain, custody, keys. */
	size_t cap = 8 + 7 * chain_faults_max(v->message, &v->limits);

	if (reason_list_init(&v->all, cap, v->a) != 0 ||
	    reason_list_init(&v->provisional, cap, v->a) != 0 ||
	    chain_read(&v->chain, v->message, &v->limits, v->a, &v->all) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k < v->all.n; k++)
		reason_list_add(&v->provisional, v->all.v[k]);
	v->is_sound = v->all.n == 0;
	check_times(v);
	if (v->chain.is_numbered)
		check_custody(v);
	return v->is_sound ? make_tables(v) : 0;
}
