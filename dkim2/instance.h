/* One Message-Instance field. Source: draft 9. */
#ifndef DKIM2_INSTANCE_H
#define DKIM2_INSTANCE_H

#include "dkim2/recipe.h"

/* One member of h=. */
struct instance_hash {
	struct bytes name;
	enum dkim2_hash algorithm;	/* DKIM2_HASH__N: none we know */
	unsigned group;			/* from 0 */
	struct bytes header;		/* decoded; of any length */
	struct bytes body;
};

struct instance {
	const struct dkim2_field *field;
	uint32_t m;			/* 0: no usable number */
	struct instance_hash *hashes;
	size_t n_hashes;
	struct bytes recipe;		/* decoded r=; p == NULL: no r= */
	struct recipe steps;		/* what it says; empty without r= */
	struct dkim2_verdict fault;	/* DKIM2_PASS: all of it reads well */
};

/*
 * Reads one field, its recipe included.
 *
 * field    lives as long as the instance
 * Returns  0 or -E_NOMEM; what is wrong with the field is in fault
 */
int instance_parse(struct instance *in, const struct dkim2_field *field,
    const struct dkim2_limits *limits, struct arena *a);

#endif
