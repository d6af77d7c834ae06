/* The TXT records of a name in a raw DNS answer. No I/O. */
#ifndef DAEMON_TXTANSWER_H
#define DAEMON_TXTANSWER_H

#include "daemon/dnsanswer.h"

#define TXTANSWER_TEXT_MAX 16384	/* octets of all records together */

/*
 * Finds the TXT records of a name, or of what its CNAMEs in the same answer
 * lead to; a record is its strings joined. Two records are two, even where
 * they are the same. Records of more than TXTANSWER_TEXT_MAX octets become
 * empty ones: what is there is no key record, and will not be one on the next
 * try either.
 *
 * t        as dnsanswer_read() has it; DNSANSWER_TEMPFAIL also for a record
 *          that does not parse
 * Returns  0 or -E_NOMEM
 * Lifetime records are the arena's
 * Source   RFC 1035 4.1; RFC 6376 3.6.2.2
 */
int txtanswer_parse(struct dnsanswer_records *t, struct bytes answer,
    struct bytes name, struct arena *a);

#endif
