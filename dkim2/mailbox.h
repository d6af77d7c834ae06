/* Mailboxes in the fields of a header (RFC 5322 3.4). */
#ifndef DKIM2_MAILBOX_H
#define DKIM2_MAILBOX_H

#include "base/bytes.h"

struct mailbox {
	struct bytes local;	/* as written: quotes, blanks, comments and all */
	struct bytes domain;	/* labels with single dots between */
};

/*
 * Takes one mailbox, with or without a name and angle brackets, from the
 * front of b, with what white space and comments stand around it.
 *
 * out      views of b, set on true only
 * Returns  false where there is none with a plain domain: a group, a route,
 *          an address literal, a dot at the end; b is then anywhere
 */
bool mailbox_parse(struct bytes *b, struct mailbox *out);

/*
 * Skips white space and comments, which nest.
 *
 * Returns  false where a comment does not end
 */
bool mailbox_skip_cfws(struct bytes *b);

/*
 * Skips words up to one of < @ , : ; or the end: a phrase, or the part before
 * an "@".
 *
 * is_local set where they can be a local part: a dot between any two
 * Returns  false at an octet that can not stand in a word
 */
bool mailbox_skip_words(struct bytes *b, bool *is_local);

#endif
