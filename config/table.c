#include "config/table.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/err.h"
#include "config/value.h"

struct table_row {
	struct table_row *next;
	struct config_alias alias;
	struct config_place at;
	struct config_place target_at;
};

/* A copy with the domain in lower case; its text is known to hold an @. */
static struct bytes
address_copy(struct config_table *t, struct bytes address)
{
	size_t at = bytes_index(address, '@');
	struct buf out;

	if (arena_buf(t->arena, address.n + 1, &out) != 0) {
		t->faults->is_full = true;
		return (struct bytes){NULL, 0};
	}
	for (size_t k = 0; k < address.n; k++)
		buf_add_octet(&out, k < at ? address.p[k] :
		    ascii_lower(address.p[k]));
	return buf_bytes(&out);
}

static const char *
address_check(struct bytes address)
{
	struct bytes local, domain;

	if (address.n != 0 && address.p[0] == '@')
		return config_value_name(bytes_skip(address, 1));
	return config_value_address(address, &local, &domain);
}

/* Takes the one target, or complains. */
static bool
target_take(struct config_table *t, struct bytes targets,
    struct config_place at, struct bytes *target)
{
	struct bytes local, domain;
	const char *why;

	*target = bytes_trim(targets);
	if (targets.p == NULL ||
	    bytes_index(*target, ',') != target->n ||
	    bytes_index(*target, ' ') != target->n ||
	    bytes_index(*target, '\t') != target->n) {
		config_fault_add_unbuilt(t->faults, at, "aliases",
		    "more than one target", "one address");
		return false;
	}
	why = config_value_address(*target, &local, &domain);
	if (why != NULL)
		config_fault_add(t->faults, at, "target `%s` %s",
		    config_fault_show(t->faults, *target), why);
	return why == NULL;
}

void
config_table_add(void *table, struct bytes address, struct config_place at,
    struct bytes targets, struct config_place targets_at)
{
	struct config_table *t = table;
	const char *why = address_check(address);
	struct table_row *row;
	struct bytes target;
	bool is_good;

	is_good = target_take(t, targets, targets_at, &target);
	if (why != NULL)
		config_fault_add(t->faults, at, "address `%s` %s",
		    config_fault_show(t->faults, address), why);
	if (why != NULL || !is_good)
		return;
	row = arena_alloc(t->faults->arena, sizeof(*row));
	if (row == NULL) {
		t->faults->is_full = true;
		return;
	}
	row->alias.address = address_copy(t, address);
	row->alias.target = arena_copy(t->arena, target);
	if (row->alias.target.p == NULL)
		t->faults->is_full = true;
	row->at = at;
	row->target_at = targets_at;
	row->next = t->first;
	t->first = row;
	t->n++;
}

void
config_table_read(struct config_table *t, struct bytes octets,
    const char *file, unsigned file_no)
{
	const struct config_lines lines = config_table_lines(t);

	config_lines_read(&lines, octets, file, file_no);
}

struct config_lines
config_table_lines(struct config_table *t)
{
	return (struct config_lines){t->faults, config_table_add, t,
	    "address", "target; write ADDRESS TARGET"};
}

static int
row_compare(const void *va, const void *vb)
{
	const struct table_row *a = *(struct table_row *const *)va;
	const struct table_row *b = *(struct table_row *const *)vb;
	int r = bytes_compare(a->alias.address, b->alias.address);

	if (r != 0)
		return r;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	return a->at.column < b->at.column ? -1 : 1;
}

static struct bytes
domain_of(struct bytes address)
{
	return bytes_skip(address, bytes_index(address, '@') + 1);
}

static void
row_check(struct config_table *t, const struct config_table_rules *rules,
    const struct table_row *row)
{
	struct bytes address = row->alias.address;
	struct bytes target = row->alias.target;

	if (!config_domains_hold(rules->domains, rules->n_domains,
	    domain_of(address)))
		config_fault_add(t->faults, row->at,
		    "address `%s` is in none of the listener's `domains`; add "
		    "its domain there or remove the line",
		    config_fault_show(t->faults, address));
	else if (rules->mail_from.n != 0 &&
	    bytes_eq(address, rules->mail_from))
		config_fault_add(t->faults, row->at,
		    "address `%s` is the listener's `mail-from`, which takes "
		    "no mail; remove the line",
		    config_fault_show(t->faults, address));
	if (config_domains_hold(rules->domains, rules->n_domains,
	    domain_of(target)))
		config_fault_add(t->faults, row->target_at,
		    "target `%s` is in the listener's own `domains`: an alias "
		    "is looked up once and never in a circle; write the "
		    "address where the mail ends",
		    config_fault_show(t->faults, target));
}

int
config_table_end(struct config_table *t,
    const struct config_table_rules *rules, struct config_aliases *out)
{
	struct table_row **sorted = arena_array(t->faults->arena, t->n,
	    sizeof(struct table_row *));
	struct config_alias *rows = arena_array(t->arena, t->n, sizeof(*rows));
	size_t n = 0, first = 0;

	if (sorted == NULL || rows == NULL)
		return -E_NOMEM;
	for (struct table_row *row = t->first; row != NULL; row = row->next)
		sorted[n++] = row;
	qsort(sorted, n, sizeof(*sorted), row_compare);
	for (size_t k = 0; k < n; k++) {
		row_check(t, rules, sorted[k]);
		rows[k] = sorted[k]->alias;
		if (k == 0 || !bytes_eq(rows[first].address, rows[k].address))
			first = k;
		else
			config_fault_add(t->faults, sorted[k]->at,
			    "address `%s` stands at line %u already; keep one "
			    "of them",
			    config_fault_show(t->faults, rows[k].address),
			    sorted[first]->at.line);
	}
	*out = (struct config_aliases){rows, n};
	return 0;
}

/* bytes_compare(address, local "@" domain), the domain without case. */
static int
address_compare(struct bytes address, struct bytes local, struct bytes domain)
{
	int r = bytes_compare(bytes_first(address, local.n), local);

	if (r != 0)
		return r;
	address = bytes_skip(address, local.n);
	if (address.n == 0)
		return -1;
	if (address.p[0] != '@')
		return address.p[0] < '@' ? -1 : 1;
	address = bytes_skip(address, 1);
	for (size_t k = 0; k < address.n && k < domain.n; k++) {
		uint8_t c = ascii_lower(domain.p[k]);

		if (address.p[k] != c)
			return address.p[k] < c ? -1 : 1;
	}
	return address.n < domain.n ? -1 : address.n > domain.n;
}

static const struct config_alias *
row_find(const struct config_aliases *t, struct bytes local,
    struct bytes domain)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = address_compare(t->rows[middle].address, local, domain);

		if (r == 0)
			return &t->rows[middle];
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool
config_alias_find(const struct config_aliases *t, struct bytes local,
    struct bytes domain, struct bytes *target)
{
	const struct config_alias *row = row_find(t, local, domain);

	if (row == NULL)
		row = row_find(t, (struct bytes){NULL, 0}, domain);
	if (row == NULL)
		return false;
	*target = row->target;
	return true;
}
