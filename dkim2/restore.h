/*
 * What a server in between did to fields that a chain needs, undone. Two
 * messages are compared: what came (old) and what came back (now).
 */
#ifndef DKIM2_RESTORE_H
#define DKIM2_RESTORE_H

#include "dkim2/dkim2.h"

#define RESTORE_FROM_MAX 8192U	/* octets of a From that is looked at */

/* A From field in a form that two ways to write it have in common. */
struct restore_from {
	struct bytes name;	/* UTF-8, single blanks between words */
	struct bytes notes;	/* what the comments say, likewise */
	struct bytes local;	/* without quotes and comments */
	struct bytes domain;	/* as written */
};

/*
 * Reads the value of a From field: encoded words are decoded, quotes taken
 * off, folds and blanks made one blank.
 *
 * good     false where it is not exactly one mailbox, is too long, or says
 *          anything that is no UTF-8 or has controls
 * Returns  0 or -E_NOMEM
 * Source   RFC 5322 3.2.4, 3.4; RFC 2047
 */
int restore_from_read(struct restore_from *f, struct bytes value,
    struct arena *a, bool *good);

/* Octet for octet, but for the case of the domain. */
bool restore_from_is_same_mailbox(const struct restore_from *x,
    const struct restore_from *y);

/* And the same name and comments. */
bool restore_from_is_same(const struct restore_from *x,
    const struct restore_from *y);

/* Whether a field is one of the two of DKIM2. */
bool restore_is_chain_field(const struct dkim2_field *f);

#endif
