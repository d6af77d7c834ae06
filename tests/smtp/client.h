/* Short forms for the tests of the client. */
#ifndef TESTS_SMTP_CLIENT_H
#define TESTS_SMTP_CLIENT_H

#include "smtp/client.h"

#define N(row) (sizeof(row) / sizeof((row)[0]))
#define LIT(s) {(const uint8_t *)(s), sizeof(s) - 1}

static inline bool
ask_mail(struct smtp_client *c, struct bytes path, uint64_t size, bool is_8bit)
{
	const struct smtp_client_mail mail = {
	    .path = path,
	    .size = size,
	    .is_8bit = is_8bit,
	};

	return smtp_client_mail(c, &mail);
}

static inline bool
ask_rcpt(struct smtp_client *c, struct bytes path)
{
	const struct smtp_client_rcpt rcpt = {.path = path};

	return smtp_client_rcpt(c, &rcpt);
}

#endif
