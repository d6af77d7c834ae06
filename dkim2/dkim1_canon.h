/* Canonical forms of RFC 6376 3.4, for dkim1_*.c and their tests. */
#ifndef DKIM2_DKIM1_CANON_H
#define DKIM2_DKIM1_CANON_H

#include "dkim2/canon.h"

enum dkim1_canon { DKIM1_SIMPLE, DKIM1_RELAXED, DKIM1_CANON__N };

/* "simple", "relaxed" (case matters); DKIM1_CANON__N for any other name. */
enum dkim1_canon dkim1_canon_by_name(struct bytes name);

/*
 * Makes the canonical form of one field, with its CRLF.
 *
 * Returns  0 or what sink returned
 * Source   RFC 6376 3.4.1, 3.4.2
 */
int dkim1_canon_field(enum dkim1_canon c, const struct dkim2_field *field,
    canon_sink *sink, void *to);

/*
 * Makes the last line of a signature's input: the field itself, with nothing
 * between the "=" of b= and the next ";", and without the CRLF.
 *
 * Source   RFC 6376 3.7
 */
int dkim1_canon_signature(enum dkim1_canon c, const struct dkim2_field *field,
    canon_sink *sink, void *to);

/*
 * The body as octets arrive. Any split of the input gives the same.
 *
 * Source   RFC 6376 3.4.3, 3.4.4
 */
struct dkim1_body {
	enum dkim1_canon canon;
	struct canon_body simple;	/* what draft 6.1 has is "simple" */
	canon_sink *sink;
	void *to;
	uint64_t n_held;		/* CRLFs that may be the last of all, */
	bool is_blank_held;		/* then white space, */
	bool is_cr_held;		/* and then a CR */
	bool is_begun;			/* something was written */
};

void dkim1_body_init(struct dkim1_body *b, enum dkim1_canon c,
    canon_sink *sink, void *to);

/* Returns 0 or what the sink returned. */
int dkim1_body_add(struct dkim1_body *b, struct bytes octets);

/* Writes the CRLF of the end where one is due. */
int dkim1_body_end(struct dkim1_body *b);

#endif
