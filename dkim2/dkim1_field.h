/* One DKIM-Signature field and one key record; for dkim1_verify.c. */
#ifndef DKIM2_DKIM1_FIELD_H
#define DKIM2_DKIM1_FIELD_H

#include "dkim2/crypto.h"
#include "dkim2/dkim1.h"
#include "dkim2/dkim1_canon.h"

#define DKIM1_FIELD "DKIM-Signature"
#define DKIM1_NAMES_MAX 256	/* ours: names of one h= */

struct dkim1_field {
	enum dkim2_algorithm algorithm;
	enum dkim1_canon header, body;
	struct bytes h;			/* names, colons between */
	struct bytes i_domain;		/* of i=, or that of d= */
	struct bytes bh, signature;	/* decoded */
};

/*
 * Reads a field.
 *
 * r        field is set; the rest of it, but for what the key says, is
 *          filled in: views of the field, which lives as long as both
 * now_s    for t= and x=
 * m        whose From fields are to be covered
 * Returns  0 or -E_NOMEM; what is wrong with the field is in r->reason, and
 *          f is then not to be used
 * Source   RFC 6376 3.5, 6.1.1; RFC 8301 3.1
 */
int dkim1_field_parse(struct dkim1_field *f, struct dkim1_signature_result *r,
    const struct dkim2_message *m, int64_t now_s, struct arena *a);

/*
 * Makes the SHA-256 of the header input: the fields that h names, then own
 * without what its b= says. Each name takes the lowest field that no earlier
 * one took; one name too many takes nothing.
 *
 * own      never taken itself; need not be a field of m
 * h        names, colons between
 * digest   gets 32 octets
 * Returns  0, -E_NOMEM or -E_CRYPTO
 * Source   RFC 6376 3.7, 5.4.2
 */
int dkim1_field_digest(const struct dkim2_message *m,
    const struct dkim2_field *own, enum dkim1_canon c, struct bytes h,
    struct arena *a, uint8_t *digest);

struct dkim1_key {
	struct dkim2_public_key public;	/* to be given back where it is OK */
	bool is_testing;		/* t=y */
};

/*
 * Reads the key record of a signature and checks that it is one for it.
 *
 * reason   set to DKIM1_OK or to what is wrong
 * Returns  0, -E_NOMEM or -E_CRYPTO
 * Source   RFC 6376 3.6.1, 6.1.2; RFC 8301 3.2; RFC 8463 4
 */
int dkim1_key_read(struct dkim1_key *k, struct bytes record,
    const struct dkim1_field *f, struct bytes d, struct arena *a,
    enum dkim1_reason *reason);

#endif
