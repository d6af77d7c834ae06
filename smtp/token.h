/*
 * Opaque return addresses: a local part that says nothing and proves by
 * itself that we made it, for this domain and not long ago. What it leads
 * back to is kept elsewhere, under its id.
 *
 *	hopseal=DDDIIIIII...MMMM	base 32 of day, id and MAC
 */
#ifndef SMTP_TOKEN_H
#define SMTP_TOKEN_H

#include "base/buf.h"
#include "smtp/secret.h"

#define SMTP_TOKEN_ID 16	/* octets */
#define SMTP_TOKEN_N 56		/* octets of the local part */

/*
 * Makes the local part for one reverse-path and day: always the same.
 *
 * id       set to what it is kept under
 * local, domain  of the reverse-path; domain without case
 * under    the domain that the local part is for, without case
 * out      SMTP_TOKEN_N octets are added: letters, digits and '='
 * Returns  false where the crypto library fails or out is full
 */
bool smtp_token_make(const struct smtp_secrets *secrets,
    uint8_t id[SMTP_TOKEN_ID], struct bytes local, struct bytes domain,
    struct bytes under, int64_t now_s, struct buf *out);

/*
 * Reads such a local part; its case may have been folded.
 *
 * under    the domain it came with
 * now_s    it is good for SMTP_RETURN_DAYS, and a day ahead of time
 * id       set where it is good
 */
enum smtp_return smtp_token_read(const struct smtp_secrets *secrets,
    struct bytes local, struct bytes under, int64_t now_s,
    uint8_t id[SMTP_TOKEN_ID]);

#endif
