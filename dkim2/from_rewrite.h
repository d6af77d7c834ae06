/*
 * From rewriting, as list managers do it where the policy of the author's
 * domain would have the message refused: "Alice via list <list address>",
 * and Reply-To leads back to the author.
 */
#ifndef DKIM2_FROM_REWRITE_H
#define DKIM2_FROM_REWRITE_H

#include "dkim2/dkim2.h"

#define FROM_REWRITE_NAME_MAX 512U	/* octets of a name that is kept */
#define FROM_REWRITE_ADDRESS_MAX 900U	/* of an author's address */

struct from_rewrite {
	struct bytes address;	/* that From gets: local@domain */
	struct bytes via;	/* what stands behind "via"; may be empty */
};

/*
 * Makes the header of a message whose From is another address.
 *
 * The author's name keeps its octets, quotes and encoded words (RFC 2047)
 * included; only folds between words are new, and those inside are undone.
 * What is no name, or longer than FROM_REWRITE_NAME_MAX, is replaced by the
 * author's local part, and left out where that is no plain one. A Reply-To
 * that is there is kept; where there is none it gets the author's mailbox as
 * it stood in From. No other field is touched, and all keep their order.
 *
 * now      set to the message as it leaves; *m itself where From has that
 *          address already. Views of m, and octets in the arena
 * Returns  0, -E_NOMEM, -E_LIMIT for an author's address that is too long, or
 *          -E_SYNTAX where m has not one From with one mailbox, or address is
 *          no mailbox with a plain domain
 * Source   RFC 5322 3.4, 3.6.2; RFC 7960 4.1.3
 */
int from_rewrite(struct dkim2_message *now, const struct dkim2_message *m,
    const struct from_rewrite *how, struct arena *a);

/* Whether From is one mailbox, and that: the domain without case. */
bool from_rewrite_is(const struct dkim2_message *m, struct bytes address);

#endif
