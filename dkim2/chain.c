#include "dkim2/chain.h"

#include <assert.h>

#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/idn.h"

/* ---- reading ------------------------------------------------------------ */

/* Sorts by number; fields without one come first. Few, so insertion does. */
static void
instances_sort(struct instance *in, size_t n)
{
	for (size_t k = 1; k < n; k++) {
		struct instance x = in[k];
		size_t at = k;

		for (; at != 0 && in[at - 1].m > x.m; at--)
			in[at] = in[at - 1];
		in[at] = x;
	}
}

static void
signatures_sort(struct signature *s, size_t n)
{
	for (size_t k = 1; k < n; k++) {
		struct signature x = s[k];
		size_t at = k;

		for (; at != 0 && s[at - 1].i > x.i; at--)
			s[at] = s[at - 1];
		s[at] = x;
	}
}

static int
fields_parse(struct chain *c, const struct dkim2_message *m,
    const struct dkim2_limits *limits, struct arena *a)
{
	size_t n_in = 0, n_sig = 0;
	int r = 0;

	c->instances = arena_array(a, c->n_instances, sizeof(c->instances[0]));
	c->signatures = arena_array(a, c->n_signatures,
	    sizeof(c->signatures[0]));
	if (c->instances == NULL || c->signatures == NULL)
		return -E_NOMEM;
	for (size_t k = 0; r == 0 && k < m->n_fields; k++) {
		const struct dkim2_field *f = &m->fields[k];

		if (bytes_case_eq(f->name, BYTES_LIT(DRAFT_INSTANCE)))
			r = instance_parse(&c->instances[n_in++], f, limits, a);
		else if (bytes_case_eq(f->name, BYTES_LIT(DRAFT_SIGNATURE)))
			r = signature_parse(&c->signatures[n_sig++], f, limits,
			    a);
	}
	return r;
}

/*
 * What is wrong with a sorted column of numbers.
 */
struct numbering {
	bool is_missing;	/* a field has none */
	uint32_t next;		/* the lowest that no field has, from 1 */
	uint32_t twice;		/* the lowest that two have; 0: none */
	uint32_t last;		/* the highest */
};

static void
numbering_add(struct numbering *n, uint32_t number)
{
	if (number == 0)
		n->is_missing = true;
	else if (number == n->last && n->twice == 0)
		n->twice = number;
	if (number == n->next)
		n->next++;
	n->last = number;
}

/* Faults in the numbers, in the order of the draft. */
static void
numbers_check(const struct chain *c, struct reason_list *faults)
{
	struct numbering in = {.next = 1}, sig = {.next = 1};
	uint32_t top = 0;
	bool is_top_known = c->n_signatures != 0, is_zero_named = false;

	for (size_t k = 0; k < c->n_instances; k++)
		numbering_add(&in, c->instances[k].m);
	for (size_t k = 0; k < c->n_signatures; k++) {
		const struct signature *s = &c->signatures[k];

		numbering_add(&sig, s->i);
		is_top_known = is_top_known && s->has_m;
		is_zero_named = is_zero_named || (s->has_m && s->m == 0);
		if (s->m > top)
			top = s->m;
	}
	if (in.is_missing)
		reason_list_add(faults, reason_plain(
		    DKIM2_INSTANCE_NUMBER_MISSING, in.next));
	if (in.twice != 0)
		reason_list_add(faults, reason_plain(DKIM2_INSTANCE_SYNTAX,
		    in.twice));
	if (sig.is_missing)
		reason_list_add(faults, reason_plain(
		    DKIM2_SIGNATURE_NUMBER_MISSING, sig.next));
	if (sig.twice != 0)
		reason_list_add(faults, reason_plain(DKIM2_SIGNATURE_SYNTAX,
		    sig.twice));
	if (is_zero_named)
		reason_list_add(faults, reason_plain(DKIM2_INSTANCE_MISSING,
		    0));
	else if (in.next <= top || in.next <= in.last || in.next == 1)
		reason_list_add(faults, reason_plain(DKIM2_INSTANCE_MISSING,
		    in.next));
	if (is_top_known && in.last > top)
		reason_list_add(faults, reason_plain(DKIM2_INSTANCE_UNSIGNED,
		    top + 1));
	if (sig.next <= sig.last || sig.next == 1)
		reason_list_add(faults, reason_plain(DKIM2_SIGNATURE_MISSING,
		    sig.next));
}

static void
contents_check(const struct chain *c, struct reason_list *faults)
{
	uint32_t m = 0;

	for (size_t k = 0; k < c->n_instances; k++)
		if (c->instances[k].m != 0)
			reason_list_add(faults, c->instances[k].fault);
	for (size_t k = 0; k < c->n_signatures; k++) {
		struct signature *s = &c->signatures[k];

		if (s->i == 0)
			continue;
		if (s->fault.state == DKIM2_PASS && s->m < m)
			s->fault = reason_plain(DKIM2_SIGNATURE_SYNTAX, s->i);
		reason_list_add(faults, s->fault);
		if (s->m > m)
			m = s->m;
	}
}

size_t
chain_faults_max(const struct dkim2_message *m,
    const struct dkim2_limits *limits)
{
	const struct dkim2_field *first;
	size_t n = dkim2_message_find(m, BYTES_LIT(DRAFT_INSTANCE), &first) +
	    dkim2_message_find(m, BYTES_LIT(DRAFT_SIGNATURE), &first);

	return 8 + (n < 2 * limits->max_chain ? n : 2 * limits->max_chain);
}

int
chain_read(struct chain *c, const struct dkim2_message *m,
    const struct dkim2_limits *limits, struct arena *a,
    struct reason_list *faults)
{
	const struct dkim2_field *first;
	size_t before = faults->n;
	int r;

	*c = (struct chain){
		.n_instances = dkim2_message_find(m, BYTES_LIT(DRAFT_INSTANCE),
		    &first),
		.n_signatures = dkim2_message_find(m,
		    BYTES_LIT(DRAFT_SIGNATURE), &first),
	};
	if (c->n_instances + c->n_signatures == 0) {
		reason_list_add(faults, reason_plain(DKIM2_NO_FIELDS, 0));
		return 0;
	}
	if (c->n_instances > limits->max_chain ||
	    c->n_signatures > limits->max_chain) {
		*c = (struct chain){.n_instances = 0};
		reason_list_add(faults, reason_plain(DKIM2_TOO_MANY_FIELDS, 0));
		return 0;
	}
	r = fields_parse(c, m, limits, a);
	if (r != 0)
		return r;
	instances_sort(c->instances, c->n_instances);
	signatures_sort(c->signatures, c->n_signatures);
	numbers_check(c, faults);
	c->is_numbered = faults->n == before;
	contents_check(c, faults);
	return 0;
}

/* ---- custody ------------------------------------------------------------ */

bool
chain_path_eq(struct bytes a, struct bytes b)
{
	struct bytes a_domain = dkim2_path_domain(a);
	struct bytes b_domain = dkim2_path_domain(b);

	if (a_domain.n == 0 || b_domain.n == 0)
		return bytes_eq(a, b);
	return bytes_eq(bytes_first(a, a.n - a_domain.n - 1),
	    bytes_first(b, b.n - b_domain.n - 1)) &&
	    idn_domain_eq(a_domain, b_domain);
}

static bool
is_null_path(struct bytes path)
{
	return bytes_eq(path, BYTES_LIT("<>"));
}

struct dkim2_verdict
chain_custody(const struct signature *prev, const struct signature *s)
{
	bool is_by_mail_from = s->nd.p == NULL && !is_null_path(s->mf);
	struct dkim2_verdict v;

	if (prev->nd.p != NULL)
		return bytes_case_eq(prev->nd, s->d) ? reason_pass() :
		    reason_plain(DKIM2_NEXT_DOMAIN_OTHER, s->i);
	for (size_t k = 0; k < prev->n_rt; k++) {
		struct bytes rt = dkim2_path_domain(prev->rt[k]);

		if (is_by_mail_from ?
		    dkim2_domain_covers(rt, dkim2_path_domain(s->mf)) :
		    dkim2_domain_covers(s->d, rt))
			return reason_pass();
	}
	v = reason_plain(is_by_mail_from ? DKIM2_CUSTODY_MAIL_FROM :
	    DKIM2_CUSTODY_DOMAIN, s->i);
	v.other = prev->i;
	return v;
}

struct dkim2_verdict
chain_mail_from_domain(const struct signature *s)
{
	if (s->nd.p != NULL || is_null_path(s->mf) ||
	    dkim2_domain_covers(s->d, dkim2_path_domain(s->mf)))
		return reason_pass();
	return reason_plain(DKIM2_MAIL_FROM_DOMAIN, s->i);
}

static bool
has_rcpt(const struct signature *s, struct bytes path)
{
	for (size_t k = 0; k < s->n_rt; k++)
		if (chain_path_eq(s->rt[k], path))
			return true;
	return false;
}

struct dkim2_verdict
chain_envelope(const struct signature *s, const struct dkim2_envelope *e)
{
	if (!chain_path_eq(s->mf, e->mail_from))
		return reason_verdict(DKIM2_MAIL_FROM_OTHER, s->i,
		    e->mail_from);
	for (size_t k = 0; k < e->n_rcpt_to; k++)
		if (!has_rcpt(s, e->rcpt_to[k]))
			return reason_verdict(DKIM2_RCPT_TO_OTHER, s->i,
			    e->rcpt_to[k]);
	return reason_pass();
}

/* ---- signing input ------------------------------------------------------ */

int
chain_signing_head(const struct chain *c, size_t i, struct chain_head *done,
    canon_sink *sink, void *to)
{
	const struct signature *s = &c->signatures[i - 1];
	int r = 0;

	assert(c->is_numbered && i >= 1 && i <= c->n_signatures);
	assert(chain_head_fits(c, i, done));
	for (; r == 0 && done->n_instances < s->m; done->n_instances++) {
		const struct dkim2_field *f =
		    c->instances[done->n_instances].field;

		r = canon_signing_line(f->name, f->value, false, sink, to);
	}
	for (; r == 0 && done->n_signatures < i - 1; done->n_signatures++) {
		const struct dkim2_field *f =
		    c->signatures[done->n_signatures].field;

		r = canon_signing_line(f->name, f->value, false, sink, to);
	}
	return r;
}

bool
chain_head_fits(const struct chain *c, size_t i,
    const struct chain_head *done)
{
	size_t m = c->signatures[i - 1].m;

	return done->n_signatures == 0 ? done->n_instances <= m :
	    done->n_instances == m && done->n_signatures < i;
}

int
chain_signing_last(const struct chain *c, size_t i, canon_sink *sink,
    void *to)
{
	const struct dkim2_field *f = c->signatures[i - 1].field;

	return canon_signing_line(f->name, f->value, true, sink, to);
}

int
chain_signing_input(const struct chain *c, size_t i, canon_sink *sink,
    void *to)
{
	struct chain_head none = {0, 0};
	int r = chain_signing_head(c, i, &none, sink, to);

	return r == 0 ? chain_signing_last(c, i, sink, to) : r;
}
