/*
 * AND and OR: members of one group must all pass, one group must.
 * Source  draft 9.3, 10.9, 14.6
 */
#ifndef DKIM2_GROUPS_H
#define DKIM2_GROUPS_H

#include "dkim2/dkim2.h"

/* One thing that was checked. A member may stand here more than once. */
struct groups_item {
	unsigned group;
	struct dkim2_verdict verdict;
};

/*
 * The verdict of a whole tag.
 *
 * none     the failure to report where no group passed, one of them failed,
 *          and there is more than one
 */
struct dkim2_verdict groups_verdict(const struct groups_item *items, size_t n,
    struct dkim2_verdict none);

#endif
