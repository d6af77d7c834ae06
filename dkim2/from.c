#include "dkim2/from.h"

#include "dkim2/mailbox.h"
#include "dkim2/taglist.h"

/*
 * Many programs write an address as its own name, without the quotes that it
 * needs there: "a@b.example <a@b.example>". Whoever reads it, and how, finds
 * the same mailbox, but only where both are the same to the last octet.
 */
static bool
is_said_again(const struct mailbox *name, struct bytes angle)
{
	struct bytes local = name->local;
	struct mailbox other;

	return angle.p[0] == '<' && mailbox_parse(&angle, &other) &&
	    angle.n == 0 && mailbox_skip_cfws(&local) &&
	    bytes_eq(taglist_trim(other.local), taglist_trim(local)) &&
	    bytes_eq(other.domain, name->domain);
}

enum dkim2_from
from_parse(struct bytes value, struct bytes *domain)
{
	struct bytes b = value;
	struct mailbox one;

	if (!mailbox_parse(&b, &one))
		return DKIM2_FROM_UNCLEAR;
	/* The name of an address has no brackets of its own. */
	if (b.n != 0 && (one.local.p != value.p || !is_said_again(&one, b)))
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
