/*
 * A header block, and behind a NUL each the address and the words for a new
 * From. What comes out has that address and nothing else of its own: one From
 * field that reads as one mailbox, folded as our fields are; a Reply-To only
 * where there was none, which leads to the author; all other fields as they
 * stood. A recipe leads back.
 */
#include <stdlib.h>

#include "base/ascii.h"
#include "dkim2/dkim2.h"
#include "dkim2/from_rewrite.h"
#include "dkim2/mailbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static struct bytes
domain_of(struct bytes address)
{
	size_t at = address.n;

	while (at != 0 && address.p[at - 1] != '@')
		at--;
	return bytes_skip(address, at);
}

/* The others, one by one. */
static void
check_others(const struct dkim2_message *m, const struct dkim2_message *now)
{
	bool is_new = now->n_fields > m->n_fields;
	size_t at = 0;

	need(now->n_fields == m->n_fields + (is_new ? 1 : 0));
	for (size_t k = 0; k < m->n_fields; k++, at++) {
		if (bytes_case_eq(m->fields[k].name, BYTES_LIT("from")))
			at += is_new ? 1 : 0;
		else
			need(bytes_eq(m->fields[k].raw, now->fields[at].raw));
	}
}

static void
check_reply_to(const struct dkim2_message *m, const struct dkim2_message *now,
    struct arena *a)
{
	const struct dkim2_field *was, *is;
	struct bytes from, value;
	struct mailbox one;

	need(dkim2_message_from(m, a, &from) == DKIM2_FROM_ONE);
	if (dkim2_message_find(m, BYTES_LIT("reply-to"), &was) != 0)
		return;
	need(dkim2_message_find(now, BYTES_LIT("reply-to"), &is) == 1);
	value = is->value;
	need(mailbox_parse(&value, &one) && value.n == 0);
	need(bytes_eq(one.domain, from));
}

static void
check_from(const struct dkim2_message *now, struct bytes address,
    struct arena *a)
{
	const struct dkim2_field *from;
	struct bytes domain, line, rest;

	need(dkim2_message_find(now, BYTES_LIT("from"), &from) == 1);
	need(dkim2_message_from(now, a, &domain) == DKIM2_FROM_ONE);
	need(bytes_eq(domain, domain_of(address)));
	rest = bytes_first(from->raw, from->raw.n - 2);
	while (rest.p != NULL) {
		line = bytes_cut(&rest, '\n');
		if (rest.p != NULL)
			need(rest.n > 1 && rest.p[0] == '\t');
		/* a word may be longer than a line, two are not */
		need(line.n <= 78 || line.n <= 2 * FROM_REWRITE_NAME_MAX);
	}
}

static void
check_recipe(const struct dkim2_message *m, const struct dkim2_message *now,
    struct arena *a)
{
	enum dkim2_diff what;
	struct bytes json;

	need(dkim2_diff(&what, &json, a, m, BYTES_LIT("x\r\n"), now,
	    BYTES_LIT("x\r\n")) == 0);
	need(what == DKIM2_DIFF_RECIPE || what == DKIM2_DIFF_CANNOT);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = {p, n};
	struct bytes header = bytes_cut(&rest, '\0'), address;
	struct from_rewrite how;
	struct dkim2_message m, now;
	struct arena *a = arena_new(64 << 20);

	if (a == NULL)
		abort();
	address = bytes_cut(&rest, '\0');
	how = (struct from_rewrite){address, bytes_cut(&rest, '\0')};
	if (n < 65536 && dkim2_message_parse(&m, header, 1000, a) == 0 &&
	    from_rewrite(&now, &m, &how, a) == 0 &&
	    now.header.p != m.header.p) {
		check_others(&m, &now);
		check_from(&now, address, a);
		check_reply_to(&m, &now, a);
		check_recipe(&m, &now, a);
	}
	arena_free(&a);
	return 0;
}
