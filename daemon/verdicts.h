/*
 * LMTP's answers to the end of the content: one for each recipient, kept
 * until its turn comes, since not all of them fit into the buffer at once.
 */
#ifndef DAEMON_VERDICTS_H
#define DAEMON_VERDICTS_H

#include "base/buf.h"

struct verdict {
	int code;
	const char *enhanced;	/* up to 11 octets */
	struct bytes text;
};

struct verdicts {
	struct verdict *all;	/* NULL: none */
	size_t n;
};

/* Keeps copies, in place of what was kept before. n is not 0. */
void verdicts_keep(struct verdicts *k, const struct verdict *v, size_t n);

/*
 * The verdict of a recipient, the last one for those past the end; 451 where
 * there was no memory to keep any.
 */
struct verdict verdicts_of(const struct verdicts *k, size_t recipient);

/* Gives back its memory. */
void verdicts_fini(struct verdicts *k);

#endif
