#include "dkim2/groups.h"

#include "dkim2/reason.h"

/* The first item of that state in the group; NULL where there is none. */
static const struct dkim2_verdict *
first(const struct groups_item *items, size_t n, unsigned group,
    enum dkim2_state state)
{
	for (size_t k = 0; k < n; k++)
		if (items[k].group == group && items[k].verdict.state == state)
			return &items[k].verdict;
	return NULL;
}

static struct dkim2_verdict
group_verdict(const struct groups_item *items, size_t n, unsigned group)
{
	static const enum dkim2_state worst_first[] = {DKIM2_FAIL,
	    DKIM2_PERMERROR, DKIM2_TEMPERROR};

	for (size_t k = 0; k < 3; k++) {
		const struct dkim2_verdict *v = first(items, n, group,
		    worst_first[k]);

		if (v != NULL)
			return *v;
	}
	return reason_pass();
}

/* Among groups the order is another one than inside of them. */
static int
rank(enum dkim2_state s)
{
	return s == DKIM2_PASS ? 0 : s == DKIM2_TEMPERROR ? 1 :
	    s == DKIM2_FAIL ? 2 : 3;
}

struct dkim2_verdict
groups_verdict(const struct groups_item *items, size_t n,
    struct dkim2_verdict none)
{
	struct dkim2_verdict best = none;
	unsigned n_groups = 0;

	for (size_t k = 0; k < n; k++)
		if (items[k].group >= n_groups)
			n_groups = items[k].group + 1;
	for (unsigned g = 0; g < n_groups; g++) {
		struct dkim2_verdict v = group_verdict(items, n, g);

		if (g == 0 || rank(v.state) < rank(best.state))
			best = v;
	}
	return best.state == DKIM2_FAIL && n_groups > 1 ? none : best;
}
