/* What return addresses are keyed with. */
#ifndef SMTP_SECRET_H
#define SMTP_SECRET_H

#include "base/bytes.h"

/* At least one; the first makes addresses, all of them verify. */
struct smtp_secrets {
	const struct bytes *all;
	size_t n;
};

#define SMTP_SECRET_MIN 16	/* octets of one */
#define SMTP_SECRET_MAX 1024

#define SMTP_RETURN_DAYS 21	/* how long an address that we made is good */

/* What a local part is that may be one of ours. */
enum smtp_return {
	SMTP_RETURN_NONE,	/* it has not the form at all */
	SMTP_RETURN_GOOD,	/* made with one of the secrets, and not old */
	SMTP_RETURN_FORGED,	/* the form, and not made with any of them */
	SMTP_RETURN_EXPIRED,	/* ours, too old */
};

#endif
