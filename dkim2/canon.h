/*
 * Canonical forms: what is hashed and what is signed. Octets are handed on
 * as they are made; nothing is copied but through a small buffer.
 */
#ifndef DKIM2_CANON_H
#define DKIM2_CANON_H

#include "base/arena.h"
#include "base/bytes.h"
#include "dkim2/dkim2.h"

/*
 * Takes the next canonical octets.
 *
 * Returns  0 or a negative E_*, which ends the work and is passed on
 */
typedef int canon_sink(void *to, struct bytes octets);

/* A canon_sink for a struct buf; -E_LIMIT where it is full. */
int canon_to_buf(void *buf, struct bytes octets);

/* A canon_sink for a struct dkim2_hasher. */
int canon_to_hasher(void *hasher, struct bytes octets);

/* ---- header ------------------------------------------------------------- */

/* A field of some state of the message; views. */
struct canon_field {
	struct bytes name;	/* in any case */
	struct bytes value;	/* without the last CRLF */
};

/*
 * A header in hash order: by lower-case name, those of one name from the
 * bottom of the block upward. Fields that are not hashed are there too.
 */
struct canon_header {
	struct canon_field *fields;
	size_t n;
};

/* Octet order of the lower-case names: <0, 0 or >0. */
int canon_name_compare(struct bytes a, struct bytes b);

/*
 * Brings the fields of m into hash order; n log n in their number.
 *
 * a        takes the table, and as much again to sort it
 * Returns  0 or -E_NOMEM
 */
int canon_header_sort(struct canon_header *h, const struct dkim2_message *m,
    struct arena *a);

/*
 * Makes the header hash input.
 *
 * Returns  0 or what sink returned
 * Source   draft 6.2, 4
 */
int canon_header_emit(const struct canon_header *h, canon_sink *sink,
    void *to);

/* ---- body --------------------------------------------------------------- */

/*
 * The body hash input, as octets arrive: only line ends at the very end are
 * folded into one CRLF. Any split of the input gives the same.
 *
 * Source   draft 6.1
 */
struct canon_body {
	canon_sink *sink;
	void *to;
	uint64_t n_held;	/* CRLFs that may be the last of all */
	bool is_cr_held;	/* and then a CR */
};

void canon_body_init(struct canon_body *c, canon_sink *sink, void *to);

/* Returns 0 or what the sink returned. */
int canon_body_add(struct canon_body *c, struct bytes octets);

/* Writes the one CRLF of the end. Returns 0 or what the sink returned. */
int canon_body_end(struct canon_body *c);

/* ---- signing input ------------------------------------------------------ */

/*
 * Makes the line of one DKIM2 field in a signing input: all white space and
 * line ends of the value are dropped, nothing else is touched.
 *
 * name     in any case; value without the last CRLF, as it is on the wire
 * blank    drop the third part of each s= member too: the form that a
 *          signature has in its own input
 * Returns  0 or what sink returned
 * Source   draft 12.8
 */
int canon_signing_line(struct bytes name, struct bytes value, bool blank,
    canon_sink *sink, void *to);

#endif
