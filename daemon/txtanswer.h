/*
 * Walks a raw DNS answer for the TXT records of one name. c-ares checks id
 * and question, but joins no strings and knows no bounds of ours. No I/O.
 */
#ifndef DAEMON_TXTANSWER_H
#define DAEMON_TXTANSWER_H

#include "base/arena.h"
#include "dkim2/dkim2.h"

#define TXTANSWER_NAME_MAX 255		/* octets on the wire */
#define TXTANSWER_TEXT_MAX 16384	/* octets of all records together */
#define TXTANSWER_RRS_MAX 128		/* records of an answer section */
#define TXTANSWER_CHAIN_MAX 8		/* CNAMEs followed */

struct txtanswer {
	enum dkim2_key found;
	const struct bytes *records;	/* strings of one joined */
	size_t n;
	uint32_t ttl_s;			/* the least along the way */
};

/*
 * A name as it stands on the wire, in lower case.
 *
 * name     "sel._domainkey.example.org", with or without a dot at the end
 * out      at least TXTANSWER_NAME_MAX octets of room
 * Returns  false where no such name can be asked for
 */
bool txtanswer_name(struct bytes name, struct buf *out);

/*
 * Finds the TXT records of a name, or of what its CNAMEs in the same answer
 * lead to. Two records are two, even where they are the same. Records of
 * more than TXTANSWER_TEXT_MAX octets become empty ones: what is there is
 * no key record, and will not be one on the next try either.
 *
 * t        DKIM2_KEY_ABSENT where there is none, or no such name;
 *          DKIM2_KEY_TEMPFAIL for another RCODE, an answer that is cut or
 *          does not parse, a loop or a too long chain of CNAMEs
 * Returns  0 or -E_NOMEM
 * Lifetime records are the arena's
 * Source   RFC 1035 4.1; RFC 2181 8; RFC 6376 3.6.2.2
 */
int txtanswer_parse(struct txtanswer *t, struct bytes answer,
    struct bytes name, struct arena *a);

#endif
