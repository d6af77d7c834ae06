/*
 * Writes one header field of ours, folded: lines of at most 76 octets, and
 * continuations of one TAB and at most 72. A line may break behind ; , : |
 * and inside base64, never inside a number, a name, a domain or a selector
 * (such a line may be longer): there are verifiers that refuse a number that
 * is cut in two, and list managers pass this form on octet for octet.
 */
#ifndef DKIM2_FOLD_H
#define DKIM2_FOLD_H

#include "base/buf.h"

#define FOLD_FIRST 76U	/* octets of the first line, without CRLF */
#define FOLD_NEXT 72U	/* of the others, without the TAB */

struct fold {
	struct buf *out;
	size_t left;		/* octets that still fit on this line */
	bool at_start;		/* nothing but the TAB stands on it */
};

/* Begins a field: its name and the colon. */
void fold_begin(struct fold *f, struct buf *out, const char *name);

/*
 * Adds the first octets of a tag ("i=", "s=", "h=sha256:") and what follows
 * them, as one word that is never broken; a space or a fold comes before.
 * The word ends in one of ; , : |.
 */
void fold_tag(struct fold *f, struct bytes word);

/* The same without the space: a further member of a list. */
void fold_word(struct fold *f, struct bytes word);

/*
 * Adds octets as base64, which may be broken inside.
 *
 * head     stands unbroken before it: a tag with its "=", or nothing
 * is_tag   a space or a fold comes before head
 * tail     the separator behind it
 */
void fold_base64(struct fold *f, bool is_tag, const char *head,
    struct bytes octets, char tail);

/* Ends the field with its CRLF. */
void fold_end(struct fold *f);

#endif
