#include "config/table_state.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/err.h"
#include "config/value.h"

/* ---- reading lines ------------------------------------------------------- */

/* A copy with the domain in lower case, which is what stands behind @. */
static struct bytes
address_copy(struct config_table *t, struct bytes address)
{
	size_t at = bytes_index(address, '@');
	struct buf out;

	if (arena_buf(t->arena, address.n + 1, &out) != 0) {
		t->faults->is_full = true;
		return (struct bytes){NULL, 0};
	}
	if (address.n != 0 && address.p[0] == '.')
		at = 0;
	for (size_t k = 0; k < address.n; k++)
		buf_add_octet(&out, k < at ? address.p[k] :
		    ascii_lower(address.p[k]));
	return buf_bytes(&out);
}

static const char *
address_check(struct bytes address)
{
	struct bytes local, domain;

	if (bytes_eq(address, BYTES_LIT("*")))
		return NULL;
	if (address.n != 0 && (address.p[0] == '@' || address.p[0] == '.'))
		return config_value_name(bytes_skip(address, 1));
	return config_value_address(address, &local, &domain);
}

static void
target_add(struct config_table *t, struct table_row *row,
    struct bytes address, struct config_place at)
{
	struct bytes local, domain;
	const char *why = config_value_address(address, &local, &domain);
	struct table_target *target;

	if (why != NULL) {
		config_fault_add(t->faults, at, "target `%s` %s",
		    config_fault_show(t->faults, address), why);
		return;
	}
	if (++row->n > CONFIG_ALIAS_ENDS + 1)
		return;		/* told when lines are followed */
	target = arena_alloc(t->faults->arena, sizeof(*target));
	if (target != NULL)
		target->address = arena_copy(t->arena, address);
	if (target == NULL || target->address.p == NULL) {
		t->faults->is_full = true;
		return;
	}
	target->at = at;
	*row->end = target;
	row->end = &target->next;
}

/* The targets of one text: commas between, white space around them. */
static void
targets_add(struct config_table *t, struct table_row *row,
    struct bytes text, struct config_place at)
{
	struct bytes rest = text;

	do {
		struct bytes one = bytes_cut(&rest, ',');
		struct bytes target = bytes_trim(one);
		struct config_place its = at;

		its.column += (unsigned)(target.p - text.p);
		target_add(t, row, target, its);
	} while (rest.p != NULL && !t->faults->is_full);
}

/* Begins a line. NULL after a complaint, or without memory. */
static struct table_row *
row_begin(struct config_table *t, struct bytes address,
    struct config_place at)
{
	const char *why = address_check(address);
	struct table_row *row;

	if (why != NULL) {
		config_fault_add(t->faults, at, "address `%s` %s",
		    config_fault_show(t->faults, address), why);
		return NULL;
	}
	row = arena_alloc(t->faults->arena, sizeof(*row));
	if (row == NULL) {
		t->faults->is_full = true;
		return NULL;
	}
	row->address = address_copy(t, address);
	row->at = at;
	row->end = &row->targets;
	return row;
}

/* Whether a line is good is known once its targets are read. */
static void
row_end(struct config_table *t, struct table_row *row)
{
	if (row->targets == NULL)
		return;
	row->next = t->first;
	t->first = row;
	t->n++;
}

void
config_table_add(void *table, struct bytes address, struct config_place at,
    struct bytes targets, struct config_place targets_at)
{
	struct table_row lost = {.end = &lost.targets};
	struct config_table *t = table;
	struct table_row *row = row_begin(t, address, at);

	if (targets.p == NULL)
		config_fault_add(t->faults, targets_at, "target is a map; "
		    "write an address, or a list of them");
	else
		targets_add(t, row == NULL ? &lost : row, targets,
		    targets_at);
	if (row != NULL)
		row_end(t, row);
}

/* A list in place of the text: [TARGET, TARGET]. */
static void
add_list(void *table, struct bytes address, struct config_place at,
    const struct config_node *list)
{
	struct table_row lost = {.end = &lost.targets};
	struct config_table *t = table;
	struct table_row *row = row_begin(t, address, at);

	if (list->first == NULL)
		config_fault_add(t->faults, list->at, "address `%s` has no "
		    "target; write one",
		    config_fault_show(t->faults, address));
	for (const struct config_node *k = list->first; k != NULL; k = k->next)
		if (k->kind == NODE_TEXT)
			target_add(t, row == NULL ? &lost : row, k->text,
			    k->at);
		else if (k->kind != NODE_BROKEN)
			config_fault_add(t->faults, k->at,
			    "target is no text; write an address");
	if (row != NULL)
		row_end(t, row);
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
	    "address", "target; write ADDRESS TARGET", add_list};
}

/* ---- all of them --------------------------------------------------------- */

static int
row_compare(const void *va, const void *vb)
{
	const struct table_row *a = *(struct table_row *const *)va;
	const struct table_row *b = *(struct table_row *const *)vb;
	int r = bytes_compare(a->address, b->address);

	if (r != 0)
		return r;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	return a->at.column < b->at.column ? -1 : 1;
}

/* Whether a line may take mail at all: some of it is in the domains. */
static bool
is_of_use(const struct config_table_rules *rules, struct bytes address)
{
	struct bytes domain = bytes_skip(address,
	    bytes_index(address, '@') + 1);

	if (bytes_eq(address, BYTES_LIT("*")))
		return true;
	if (address.p[0] != '.')
		return config_domains_hold(rules->domains, rules->n_domains,
		    domain);
	for (size_t k = 0; k < rules->n_domains; k++)
		if (bytes_ends(rules->domains[k], address))
			return true;
	return false;
}

static void
row_check(struct config_table *t, const struct config_table_rules *rules,
    const struct table_row *row)
{
	struct bytes mail_from = rules->mail_from;

	if (!is_of_use(rules, row->address))
		config_fault_add(t->faults, row->at,
		    "address `%s` is in none of the listener's `domains`; add "
		    "its domain there or remove the line",
		    config_fault_show(t->faults, row->address));
	else if (mail_from.n != 0 && bytes_eq(row->address, mail_from))
		config_fault_add(t->faults, row->at,
		    "address `%s` is the listener's `mail-from`, which takes "
		    "no mail; remove the line",
		    config_fault_show(t->faults, row->address));
}

/* Makes what is kept of a line. 0 or -E_NOMEM. */
static int
row_keep(struct config_table *t, const struct table_row *row,
    struct config_alias *alias)
{
	struct bytes *targets;
	uint32_t n = 0;

	for (const struct table_target *k = row->targets; k != NULL;
	    k = k->next)
		n++;
	targets = arena_array(t->arena, n, sizeof(*targets));
	if (targets == NULL)
		return -E_NOMEM;
	*alias = (struct config_alias){row->address, targets, n, 0};
	for (const struct table_target *k = row->targets; k != NULL;
	    k = k->next)
		*targets++ = k->address;
	return 0;
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
		if (row_keep(t, sorted[k], &rows[k]) != 0)
			return -E_NOMEM;
		if (k == 0 || !bytes_eq(rows[first].address, rows[k].address))
			first = k;
		else
			config_fault_add(t->faults, sorted[k]->at,
			    "address `%s` stands at line %u already; keep one "
			    "of them",
			    config_fault_show(t->faults, rows[k].address),
			    sorted[first]->at.line);
	}
	*out = (struct config_aliases){rows, n, rules->domains,
	    rules->n_domains, rules->delimiter};
	return table_follow(t->faults, rules, sorted, out, rows);
}

bool
config_table_has_many(const struct config_aliases *t)
{
	for (size_t k = 0; k < t->n; k++)
		if (t->rows[k].n_ends > 1)
			return true;
	return false;
}
