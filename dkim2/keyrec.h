/* Key records: the TXT record of a public key. */
#ifndef DKIM2_KEYREC_H
#define DKIM2_KEYREC_H

#include "base/arena.h"
#include "dkim2/dkim2.h"

struct keyrec {
	enum dkim2_algorithm algorithm;	/* of k=; DKIM2_ALGORITHM__N: unknown */
	bool has_type;			/* there is a k= */
	bool is_revoked;		/* p= is empty */
	bool is_testing;		/* t=y; noted, and nothing else */
	struct bytes p;			/* decoded; p == NULL: not base64 */
};

/*
 * Reads one record, its strings joined.
 *
 * is_good  set to whether it is a key record at all
 * Returns  0 or -E_NOMEM
 * Source   draft-ietf-dkim-dkim2-dns 3
 */
int keyrec_parse(struct keyrec *k, struct bytes record, struct arena *a,
    bool *is_good);

#endif
