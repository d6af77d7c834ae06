#include "dsn/check.h"

#include <assert.h>

#include "base/err.h"

/* A name that is wanted, and where the answer goes. */
struct want {
	size_t in_dsn, in_returned;	/* SIZE_MAX: not there */
	bool is_answered;
};

struct dsn_check {
	struct arena *a;
	const struct dkim2_envelope *envelope;
	struct dsn_report report;
	struct dkim2_verify *dsn, *returned;
	struct bytes *names;
	struct want *wants;
	size_t n_wants, n_answers;
	bool has_failed;
	struct dsn_result *result;
};

/* ---- the verdict -------------------------------------------------------- */

/*
 * The DSN comes from one of those whom the returned message was given to
 * last: its first signer is the domain of a recipient, or one above it.
 */
static bool
is_signer_aligned(const struct dkim2_result *dsn,
    const struct dkim2_signature_result *top)
{
	for (size_t k = 0; k < top->n_rt; k++)
		if (dkim2_domain_covers(dsn->signatures[0].d,
		    dkim2_path_domain(top->rt[k])))
			return true;
	return false;
}

/*
 * The DSN goes to the domain that signed the returned message last. What is
 * found stands for every recipient, so it has to hold for each.
 */
static bool
is_recipient_aligned(const struct dkim2_envelope *e,
    const struct dkim2_signature_result *top)
{
	for (size_t k = 0; k < e->n_rcpt_to; k++)
		if (!dkim2_domain_covers(top->d,
		    dkim2_path_domain(e->rcpt_to[k])))
			return false;
	return e->n_rcpt_to != 0;
}

static bool
is_hopeless(struct dkim2_verdict v)
{
	return v.state != DKIM2_PASS && v.state != DKIM2_TEMPERROR;
}

/*
 * The first that is wrong (draft 16.4); what may be better at another time
 * only where nothing else is wrong.
 */
static void
judge(const struct dsn_check *c, struct dsn_result *r)
{
	const struct dkim2_signature_result *top;
	struct dkim2_verdict dsn = r->dsn->full;
	struct dkim2_verdict returned = r->returned->provisional;
	struct dkim2_verdict *v = &r->verdict;

	r->state = DKIM2_FAIL;
	if (is_hopeless(dsn) || is_hopeless(returned)) {
		r->reason = is_hopeless(dsn) ? DSN_BROKEN :
		    DSN_RETURNED_BROKEN;
		*v = is_hopeless(dsn) ? dsn : returned;
		return;
	}
	/* Both are sound, so they have signatures without a gap. */
	assert(r->dsn->n_signatures != 0 && r->returned->n_signatures != 0);
	top = &r->returned->signatures[r->returned->n_signatures - 1];
	if (!is_signer_aligned(r->dsn, top)) {
		r->reason = DSN_SIGNER_OTHER;
	} else if (!is_recipient_aligned(c->envelope, top)) {
		r->reason = DSN_RECIPIENT_OTHER;
	} else if (dsn.state != DKIM2_PASS ||
	    returned.state != DKIM2_PASS) {
		r->reason = dsn.state != DKIM2_PASS ? DSN_BROKEN :
		    DSN_RETURNED_BROKEN;
		*v = dsn.state != DKIM2_PASS ? dsn : returned;
		r->state = DKIM2_TEMPERROR;
	} else {
		r->reason = DSN_OK;
		r->state = DKIM2_PASS;
	}
}

/* Makes the result: of a reason that is clear, else (DSN_OK) of the rest. */
static int
conclude(struct dsn_check *c, enum dsn_reason reason)
{
	struct dsn_result *r = arena_alloc(c->a, sizeof(*r));

	if (r == NULL)
		return -E_NOMEM;
	*r = (struct dsn_result){.reason = reason, .state = DKIM2_FAIL};
	if (reason == DSN_UNREADABLE || reason == DSN_RETURNED_UNREADABLE)
		r->state = DKIM2_PERMERROR;
	else
		r->report = &c->report;
	if (reason == DSN_OK) {
		r->dsn = dkim2_verify_result(c->dsn);
		r->returned = dkim2_verify_result(c->returned);
		judge(c, r);
	}
	c->result = r;
	return 0;
}

static int
conclude_if_complete(struct dsn_check *c)
{
	return c->n_answers < c->n_wants || c->result != NULL ? 0 :
	    conclude(c, DSN_OK);
}

void
dsn_result_text(const struct dsn_result *r, struct buf *out)
{
	static const char *const texts[] = {
		[DSN_OK] = "",
		[DSN_UNREADABLE] = "DSN could not be parsed",
		[DSN_RETURNED_UNREADABLE] =
		    "Returned message could not be parsed",
		[DSN_RETURNED_UNCHECKABLE] =
		    "Returned message is encoded and cannot be checked",
		[DSN_UNSIGNED] = "DSN is not DKIM2 signed",
		[DSN_RETURNED_UNSIGNED] =
		    "Returned message is not DKIM2 signed",
		[DSN_BROKEN] = "DSN ",
		[DSN_RETURNED_BROKEN] = "Returned message ",
		[DSN_SIGNER_OTHER] = "DSN signer is not aligned with the "
		    "returned message recipient",
		[DSN_RECIPIENT_OTHER] = "Returned message signer is not "
		    "aligned with the DSN recipient",
	};

	buf_add_str(out, texts[r->reason]);
	if (r->reason == DSN_BROKEN || r->reason == DSN_RETURNED_BROKEN)
		dkim2_verdict_text(&r->verdict, out);
}

/* ---- what is wanted ----------------------------------------------------- */

/* Both tables of names as one, each name once. */
static int
merge_wants(struct dsn_check *c)
{
	const struct bytes *dsn, *returned;
	size_t n_dsn = dkim2_verify_wants(c->dsn, &dsn);
	size_t n_returned = dkim2_verify_wants(c->returned, &returned);

	c->names = arena_array(c->a, n_dsn + n_returned, sizeof(c->names[0]));
	c->wants = arena_array(c->a, n_dsn + n_returned, sizeof(c->wants[0]));
	if (c->names == NULL || c->wants == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < n_dsn; k++) {
		c->names[k] = dsn[k];
		c->wants[k] = (struct want){k, SIZE_MAX, false};
	}
	c->n_wants = n_dsn;
	for (size_t k = 0; k < n_returned; k++) {
		size_t j = 0;

		while (j < n_dsn && !bytes_eq(c->names[j], returned[k]))
			j++;
		if (j < n_dsn) {
			c->wants[j].in_returned = k;
			continue;
		}
		c->names[c->n_wants] = returned[k];
		c->wants[c->n_wants++] = (struct want){SIZE_MAX, k, false};
	}
	return 0;
}

size_t
dsn_check_wants(const struct dsn_check *c, const struct bytes **names)
{
	*names = c->names;
	return c->n_wants;
}

enum dkim2_step
dsn_check_step(const struct dsn_check *c)
{
	return c->has_failed || c->result != NULL ? DKIM2_DONE :
	    DKIM2_WANT_KEY;
}

int
dsn_check_answer(struct dsn_check *c, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n)
{
	struct want *w = &c->wants[k];
	int r = 0;

	assert(k < c->n_wants);
	if (c->has_failed)
		return -E_CRYPTO;
	if (w->is_answered)
		return 0;
	w->is_answered = true;
	c->n_answers++;
	if (w->in_dsn != SIZE_MAX)
		r = dkim2_verify_answer(c->dsn, w->in_dsn, found, records, n);
	if (r == 0 && w->in_returned != SIZE_MAX)
		r = dkim2_verify_answer(c->returned, w->in_returned, found,
		    records, n);
	if (r == 0)
		r = conclude_if_complete(c);
	c->has_failed = r != 0;
	return r;
}

const struct dsn_result *
dsn_check_result(const struct dsn_check *c)
{
	return c->result;
}

/* ---- beginning ---------------------------------------------------------- */

static bool
is_signed(const struct dkim2_message *m)
{
	const struct dkim2_field *f;

	return dkim2_message_find(m, BYTES_LIT("DKIM2-Signature"), &f) != 0;
}

/* What is clear before anything is verified; DSN_OK where nothing is. */
static enum dsn_reason
first_look(const struct dsn_check *c, const struct dkim2_message *m,
    enum dsn_parsed parsed)
{
	switch (parsed) {
	case DSN_PARSED:
	case DSN_RETURNED_ENCODED:
		break;
	case DSN_NO_REPORT:
	case DSN_MALFORMED:
		return DSN_UNREADABLE;
	case DSN_NOTHING_RETURNED:
	case DSN_RETURNED_OTHER:
	case DSN_RETURNED_MALFORMED:
		return DSN_RETURNED_UNREADABLE;
	}
	if (parsed == DSN_RETURNED_ENCODED)
		return DSN_RETURNED_UNCHECKABLE;
	if (!is_signed(m))
		return DSN_UNSIGNED;
	return is_signed(&c->report.returned) ? DSN_OK :
	    DSN_RETURNED_UNSIGNED;
}

static int
verify(struct dkim2_verify **v, struct arena *a,
    const struct dkim2_message *m, struct bytes body,
    const struct dkim2_verify_options *opts)
{
	int r = dkim2_verify_new(v, a, opts);

	if (r == 0)
		r = dkim2_verify_header(*v, m);
	if (r == 0)
		r = dkim2_verify_body(*v, body);
	if (r == 0)
		r = dkim2_verify_end(*v, body);
	return r;
}

/*
 * The returned message has no envelope but what its own top signature says,
 * so there is nothing to compare it with.
 */
static int
verify_both(struct dsn_check *c, const struct dkim2_message *m,
    struct bytes body, const struct dsn_check_options *opts)
{
	struct dkim2_verify_options o = {.now_s = opts->now_s,
	    .envelope = opts->envelope, .limits = opts->limits};
	int r = verify(&c->dsn, c->a, m, body, &o);

	if (r != 0)
		return r;
	o.envelope = NULL;
	if (opts->returned_limits != NULL)
		o.limits = opts->returned_limits;
	o.scope = c->report.has_returned_body ? DKIM2_LAST_HOP :
	    DKIM2_LAST_HOP_HEADER;
	return verify(&c->returned, c->a, &c->report.returned,
	    c->report.returned_body, &o);
}

int
dsn_check_new(struct dsn_check **out, struct arena *a,
    const struct dkim2_message *m, struct bytes body,
    const struct dsn_check_options *opts)
{
	struct dsn_check *c = arena_alloc(a, sizeof(*c));
	enum dsn_parsed parsed;
	enum dsn_reason reason;
	int r;

	assert(opts->envelope != NULL);
	*out = c;
	if (c == NULL)
		return -E_NOMEM;
	c->a = a;
	c->envelope = opts->envelope;
	r = dsn_report_parse(&c->report, m, body, a, &parsed);
	if (r == 0) {
		reason = first_look(c, m, parsed);
		if (reason != DSN_OK)
			return conclude(c, reason);
		r = verify_both(c, m, body, opts);
	}
	if (r == 0)
		r = merge_wants(c);
	if (r == 0)
		r = conclude_if_complete(c);
	c->has_failed = r != 0;
	return r;
}

void
dsn_check_fini(struct dsn_check *c)
{
	if (c == NULL)
		return;
	dkim2_verify_fini(c->dsn);
	dkim2_verify_fini(c->returned);
}
