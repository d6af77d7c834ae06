/* One DKIM2-Signature field. Source: draft 10. */
#ifndef DKIM2_SIGNATURE_H
#define DKIM2_SIGNATURE_H

#include "dkim2/dkim2.h"

/* One member of s=. */
struct signature_member {
	struct bytes selector;
	struct bytes name;		/* of the algorithm, as written */
	enum dkim2_algorithm algorithm;	/* DKIM2_ALGORITHM__N: unknown */
	unsigned group;			/* from 0 */
	struct bytes value;		/* decoded */
};

struct signature {
	const struct dkim2_field *field;
	uint32_t i;			/* 0: no usable number */
	uint32_t m;			/* 0 where it has none, or m=0 */
	bool has_m;			/* m is what m= says */
	int64_t t;
	struct bytes d;
	struct bytes mf;		/* path; p == NULL with nd= */
	struct bytes *rt;		/* paths */
	size_t n_rt;
	struct bytes nd;		/* p == NULL without it */
	struct bytes n;			/* p == NULL without it */
	struct bytes *flags;
	size_t n_flags;
	struct signature_member *members;
	size_t n_members;
	struct dkim2_verdict fault;	/* DKIM2_PASS: all of it reads well */
};

/*
 * Reads one field.
 *
 * field    lives as long as the signature
 * Returns  0 or -E_NOMEM; what is wrong with the field is in fault, and only
 *          field, i, m and has_m then mean anything
 */
int signature_parse(struct signature *s, const struct dkim2_field *field,
    const struct dkim2_limits *limits, struct arena *a);

/*
 * Says whether b can be a path of mf= or rt=: UTF-8 without control octets in
 * angle brackets.
 *
 * Source   draft 10.5, 10.6, 18
 */
bool signature_is_path(struct bytes b);

/* Says whether f= holds a flag of this name (case matters). */
bool signature_has_flag(const struct signature *s, const char *name);

#endif
