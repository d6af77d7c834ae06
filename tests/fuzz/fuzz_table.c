/*
 * An alias table: what comes out is sorted, has no address twice, finds each
 * address with its domain in any case, leads nowhere in a circle, and a table
 * written from it reads as the same; mistakes are told exactly where lines
 * are left out.
 */
#include <stdlib.h>

#include "base/ascii.h"
#include "config/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct bytes domains[] = {BYTES_LIT("a.b"), BYTES_LIT("c.d")};

static void
hear(void *arg, const char *text)
{
	if (strncmp(text, "t:", 2) != 0 && strncmp(text, "c:1:1: ", 7) != 0)
		abort();
	++*(unsigned *)arg;
}

static unsigned
read_table(struct arena *a, struct bytes octets, struct config_aliases *t)
{
	struct config_faults faults = {.arena = a};
	struct config_table table = {a, &faults, NULL, 0};
	const struct config_table_rules rules = {domains, 2,
	    BYTES_LIT("mf@a.b"), "+", 100};
	unsigned n = 0;

	*t = (struct config_aliases){.n = 0};
	config_table_read(&table, octets, "t", 1);
	if (config_table_end(&table, &rules, t) != 0)
		faults.is_full = true;
	config_fault_tell(&faults, "c", hear, &n);
	return n;
}

/* Each end is one: no line answers for it but one that leads to it alone. */
static void
follow(const struct config_aliases *t, const struct config_alias *row)
{
	struct arena *a = arena_new(1U << 20);
	const struct bytes *ends;
	size_t n;

	if (a == NULL || config_alias_expand(t, row, a, &ends, &n) != 0 ||
	    n == 0 || n > row->n_ends || row->n_ends > 100)
		abort();
	for (size_t k = 0; k < n; k++) {
		size_t at = bytes_index(ends[k], '@');
		const struct config_alias *next = config_alias_next(t,
		    ends[k]);

		for (size_t i = 0; i < k; i++)
			if (bytes_eq(ends[i], ends[k]))
				abort();
		if (next == NULL && config_domains_hold(domains, 2,
		    bytes_skip(ends[k], at + 1)))
			abort();
	}
	arena_free(&a);
}

static void
find_each(const struct config_aliases *t)
{
	for (size_t k = 0; k < t->n; k++) {
		struct bytes address = t->rows[k].address;
		size_t at = bytes_index(address, '@');
		struct bytes domain = bytes_skip(address, at + 1);
		uint8_t upper[256];

		if (k != 0 &&
		    bytes_compare(t->rows[k - 1].address, address) >= 0)
			abort();
		follow(t, &t->rows[k]);
		if (at == address.n)
			continue;
		for (size_t i = 0; i < domain.n; i++) {
			if (domain.p[i] != ascii_lower(domain.p[i]))
				abort();
			upper[i] = (uint8_t)(ascii_is_alpha(domain.p[i]) ?
			    domain.p[i] & ~0x20 : domain.p[i]);
		}
		domain.p = upper;
		if (config_alias_find(t, bytes_first(address, at), domain) !=
		    &t->rows[k])
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(64U << 20);
	struct config_aliases first, second;
	struct buf text;

	if (a == NULL || arena_buf(a, 8 * n + 64, &text) != 0)
		abort();
	if (read_table(a, (struct bytes){p, n}, &first) != 0) {
		arena_free(&a);
		return 0;
	}
	find_each(&first);
	for (size_t k = 0; k < first.n; k++) {
		buf_add(&text, first.rows[k].address);
		buf_add_octet(&text, '\t');
		for (uint32_t i = 0; i < first.rows[k].n_targets; i++) {
			buf_add_str(&text, i == 0 ? "" : ", ");
			buf_add(&text, first.rows[k].targets[i]);
		}
		buf_add_octet(&text, '\n');
	}
	if (text.full || read_table(a, buf_bytes(&text), &second) != 0 ||
	    second.n != first.n)
		abort();
	for (size_t k = 0; k < first.n; k++)
		if (!bytes_eq(first.rows[k].address, second.rows[k].address) ||
		    first.rows[k].n_targets != second.rows[k].n_targets)
			abort();
		else
			for (uint32_t i = 0; i < first.rows[k].n_targets; i++)
				if (!bytes_eq(first.rows[k].targets[i],
				    second.rows[k].targets[i]))
					abort();
	arena_free(&a);
	return 0;
}
