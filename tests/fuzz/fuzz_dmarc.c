/*
 * DMARC: two domains and TXT records, a line each. An organisation is a tail
 * of its domain and its own organisation; alignment has no direction, and
 * strict implies relaxed; a search ends after two answers and passes only
 * with a policy and an aligned signer.
 */
#include <stdlib.h>

#include "dkim2/dmarc.h"

#define RECORDS 8

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static void
check_domains(struct bytes a, struct bytes b)
{
	struct bytes o = dmarc_organisation(a);
	bool relaxed = dmarc_aligned(a, b, false);

	need(bytes_ends(a, o) && o.p + o.n == a.p + a.n);
	need(bytes_eq(dmarc_organisation(o), o));
	need(relaxed == dmarc_aligned(b, a, false));
	need(dmarc_aligned(a, b, true) == dmarc_aligned(b, a, true));
	need(!dmarc_aligned(a, b, true) || relaxed);
	need(dmarc_aligned(a, a, true) == dmarc_aligned(a, a, false));
}

static void
check_search(struct bytes from, struct bytes signer,
    const struct bytes *records, size_t n, struct arena *a)
{
	size_t n_asked = 0, half = n / 2;
	struct dmarc_verdict v;
	struct dmarc *d;

	need(dmarc_new(&d, a, from) == 0);
	for (; dmarc_step(d) == DKIM2_WANT_KEY; n_asked++) {
		need(n_asked < 2 && bytes_starts(dmarc_want(d),
		    BYTES_LIT("_dmarc.")) && dmarc_want(d).n <= 260);
		dmarc_answer(d, DKIM2_KEY_TXT, n_asked == 0 ? records :
		    records + half, n_asked == 0 ? half : n - half);
	}
	v = dmarc_judge(d, &signer, 1, (struct bytes){NULL, 0});
	need(v.state != DMARC_TEMPERROR);
	need(v.has_policy == (v.state == DMARC_PASS ||
	    v.state == DMARC_FAIL));
	need(v.state != DMARC_PASS || dmarc_aligned(from, signer, false));
	need(v.state == DMARC_NONE || n_asked != 0);
	if (v.has_policy)
		need(v.pct <= 100 && dmarc_policy_name(v.policy) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = {n == 0 ? (const uint8_t *)"" : p, n};
	struct bytes from = bytes_cut(&rest, '\n');
	struct bytes signer = bytes_cut(&rest, '\n');
	struct bytes records[RECORDS];
	size_t n_records = 0;
	struct arena *a = arena_new(1U << 20);

	need(a != NULL);
	while (rest.p != NULL && n_records < RECORDS) {
		struct dmarc_record r;

		records[n_records] = bytes_cut(&rest, '\n');
		if (dmarc_record_parse(&r, records[n_records]) !=
		    DMARC_OTHER)
			need(bytes_find(records[n_records],
			    BYTES_LIT("DMARC1")) < records[n_records].n);
		need(r.pct <= 100);
		n_records++;
	}
	check_domains(from, signer);
	if (from.n < 100000)
		check_search(from, signer, records, n_records, a);
	arena_free(&a);
	return 0;
}
