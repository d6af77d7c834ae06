/*
 * The value of a From field, and of a To field: who is found stands in it, is
 * a plain domain, and is nobody any more beside a second mailbox or behind a
 * name without brackets; white space and comments around it change nothing.
 * The same value in a To field names the same mailbox, alone and in a list.
 */
#include <stdlib.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "dkim2/from.h"
#include "dkim2/mailbox.h"

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

static void
check_to(struct bytes value, struct arena *a)
{
	struct bytes rest = value;
	struct dkim2_field to = {value, BYTES_LIT("To"), value};
	struct dkim2_message m = {.fields = &to, .n_fields = 1};
	struct mailbox one;
	struct buf path, list;

	need(mailbox_parse(&rest, &one));
	if (rest.n != 0)
		return;		/* an address and itself: not in a To field */
	while (one.local.n != 0 && strchr(" \t\r\n", one.local.p[0]) != NULL)
		one.local = bytes_skip(one.local, 1);
	while (one.local.n != 0 &&
	    strchr(" \t\r\n", one.local.p[one.local.n - 1]) != NULL)
		one.local.n--;
	if (bytes_index(one.local, '(') != one.local.n)
		return;		/* a comment: it names nobody */
	need(arena_buf(a, value.n + 3, &path) == 0);
	buf_add_octet(&path, '<');
	buf_add(&path, one.local);
	buf_add_octet(&path, '@');
	buf_add(&path, one.domain);
	buf_add_octet(&path, '>');
	need(dkim2_message_names(&m, buf_bytes(&path)));
	need(arena_buf(a, value.n + 64, &list) == 0);
	buf_add_str(&list, "x (\\)) <y@z.example>, g: ,");
	buf_add(&list, value);
	buf_add_str(&list, ";, y@z.example");
	to.value = buf_bytes(&list);
	need(dkim2_message_names(&m, buf_bytes(&path)));
	need(dkim2_message_names(&m, BYTES_LIT("<y@z.example>")));
	need(!dkim2_message_names(&m, BYTES_LIT("<g@z.example>")));
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
	check_to(value, a);
	arena_free(&a);
	return 0;
}
