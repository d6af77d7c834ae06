#include "dkim2/from.h"

#include "dkim2/mailbox.h"

enum dkim2_from
from_parse(struct bytes value, struct bytes *domain)
{
	struct bytes b = value;
	struct mailbox one;

	if (!mailbox_parse(&b, &one) || b.n != 0)
		return DKIM2_FROM_UNCLEAR;
	*domain = one.domain;
	return DKIM2_FROM_ONE;
}

enum dkim2_from
dkim2_message_from(const struct dkim2_message *m, struct arena *a,
    struct bytes *domain)
{
	const struct dkim2_field *from = NULL;
	size_t n = dkim2_message_find(m, BYTES_LIT("From"), &from);

	(void)a;
	if (n == 0)
		return DKIM2_FROM_NONE;
	return n > 1 ? DKIM2_FROM_MANY : from_parse(from->value, domain);
}
