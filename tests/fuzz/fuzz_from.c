/*
 * The value of a From field: who is found stands in it, is a plain domain,
 * and is nobody any more beside a second mailbox or behind a name without
 * brackets. White space and comments around it change nothing.
 */
#include <stdlib.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "dkim2/from.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static bool
is_one(const char *before, struct bytes value, const char *behind,
    struct arena *a, struct bytes *domain)
{
	struct buf text;

	need(arena_buf(a, value.n + 64, &text) == 0);
	buf_add_str(&text, before);
	buf_add(&text, value);
	buf_add_str(&text, behind);
	return from_parse(buf_bytes(&text), domain) == DKIM2_FROM_ONE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes value = {p, n}, domain, other;
	struct arena *a = arena_new(16 << 20);

	if (a == NULL)
		abort();
	if (n > 65536 || from_parse(value, &domain) != DKIM2_FROM_ONE) {
		arena_free(&a);
		return 0;
	}
	need(domain.n != 0 && domain.p >= p && domain.p + domain.n <= p + n);
	need(domain.p[0] != '.' && domain.p[domain.n - 1] != '.');
	for (size_t k = 0; k < domain.n; k++)
		need(domain.p[k] >= 0x80 || domain.p[k] == '.' ||
		    domain.p[k] == '-' || domain.p[k] == '_' ||
		    ascii_is_alnum(domain.p[k]));
	need(is_one(" ", value, " ", a, &other) && bytes_eq(domain, other));
	need(is_one("(a b)", value, "\r\n (c)", a, &other) &&
	    bytes_eq(domain, other));
	need(!is_one("", value, ", b@example.net", a, &other));
	need(!is_one("b@example.net, ", value, "", a, &other));
	need(!is_one("g: ", value, ";", a, &other));
	need(!is_one("", value, "<b@example.net>", a, &other) ||
	    bytes_eq(other, BYTES_LIT("example.net")));
	arena_free(&a);
	return 0;
}
