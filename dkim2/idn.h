/*
 * Domain names outside ASCII: U-labels become A-labels, so that the two can
 * be compared. No more than that: a name that is not in the lower case and
 * normal form that IDNA2008 asks for gives another A-label, and no match.
 *
 * Source  draft 18; RFC 3492, RFC 5890 2.3.2.1
 */
#ifndef DKIM2_IDN_H
#define DKIM2_IDN_H

#include "base/buf.h"

/* Says whether all octets are below 0x80. */
bool idn_is_ascii(struct bytes b);

/*
 * Adds the domain with each label in ASCII, A to Z in lower case.
 *
 * Returns  false where a label is not UTF-8, is longer than 63 octets then,
 *          or out is full
 */
bool idn_to_ascii(struct bytes domain, struct buf *out);

/* Equal without case, as A-labels. */
bool idn_domain_eq(struct bytes a, struct bytes b);

#endif
