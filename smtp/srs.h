/*
 * Return addresses in the form of the Sender Rewriting Scheme, as postsrsd
 * and libsrs2 have it, so that either can take over from the other:
 *
 *	SRS0=HASH=DAY=domain=local	of mail that came from its sender
 *	SRS1=HASH=domain==HASH=DAY=...	of mail that had an SRS0 of `domain`
 *
 * Case may be folded on the way: hash and day are read without it.
 */
#ifndef SMTP_SRS_H
#define SMTP_SRS_H

#include "base/buf.h"
#include "smtp/secret.h"

/*
 * Makes the local part that leads back to local@domain.
 *
 * domain   no literal
 * now_s    seconds since 1970: the same for all of a day
 * out      the local part is added, at most 64 octets
 * Returns  false, and out as it was, where that is not possible: a local part
 *          that is quoted or not ASCII, or the result over 64 octets
 */
bool smtp_srs_make(const struct smtp_secrets *secrets, struct bytes local,
    struct bytes domain, int64_t now_s, struct buf *out);

/*
 * Reads such a local part, strictly.
 *
 * now_s    an address is good for SMTP_RETURN_DAYS, and a day ahead of time
 * out      what it leads back to, "<local@domain>", is added where it is good;
 *          needs 256 octets at most. For an SRS1, the SRS0 at its domain
 */
enum smtp_return smtp_srs_read(const struct smtp_secrets *secrets,
    struct bytes local, int64_t now_s, struct buf *out);

#endif
