#include "config/routes.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "config/value.h"

struct routes_row {
	struct routes_row *next;
	struct config_route route;
	struct config_place at;
};

/* "*", ".a.b" or "a.b". */
static const char *
domain_check(struct bytes key)
{
	if (bytes_eq(key, BYTES_LIT("*")))
		return NULL;
	if (key.n > 1 && key.p[0] == '.')
		key = bytes_skip(key, 1);
	return config_value_name(key);
}

static bool
hop_take(struct config_routes_table *t, struct bytes value,
    struct config_place at, struct config_next_hop *hop)
{
	const struct config_listener *self;
	const char *why;

	if (value.p == NULL) {
		config_fault_add(t->faults, at,
		    "routes: a line takes one next hop");
		return false;
	}
	why = config_value_next_hop(value, t->arena, hop);
	if (why != NULL) {
		config_fault_add(t->faults, at, "routes: `%s` %s",
		    config_fault_show(t->faults, value), why);
		return false;
	}
	if (hop->scheme == SCHEME_MX)
		hop->port = t->mx_port;
	self = config_check_loop(t->l, hop);
	if (self != NULL)
		config_fault_add(t->faults, at, "routes: is our own listener "
		    "%s, and mail would go round; write another server",
		    self->name);
	return self == NULL;
}

static void
row_add(void *table, struct bytes key, struct config_place at,
    struct bytes value, struct config_place value_at)
{
	struct config_routes_table *t = table;
	const char *why = domain_check(key);
	struct config_next_hop hop;
	struct routes_row *row;
	struct buf out;

	if (why != NULL)
		config_fault_add(t->faults, at, "domain `%s` %s",
		    config_fault_show(t->faults, key), why);
	if (!hop_take(t, value, value_at, &hop) || why != NULL)
		return;
	row = arena_alloc(t->faults->arena, sizeof(*row));
	if (row == NULL || arena_buf(t->arena, key.n + 1, &out) != 0) {
		t->faults->is_full = true;
		return;
	}
	for (size_t k = 0; k < key.n; k++)
		buf_add_octet(&out, ascii_lower(key.p[k]));
	*row = (struct routes_row){t->first, {buf_bytes(&out), hop}, at};
	t->first = row;
	t->n++;
}

struct config_lines
config_routes_lines(struct config_routes_table *t)
{
	return (struct config_lines){t->faults, row_add, t, "domain",
	    "next hop; write DOMAIN NEXT-HOP", NULL};
}

static int
row_compare(const void *va, const void *vb)
{
	const struct routes_row *a = *(struct routes_row *const *)va;
	const struct routes_row *b = *(struct routes_row *const *)vb;
	int r = bytes_compare(a->route.domain, b->route.domain);

	if (r != 0)
		return r;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	return a->at.column < b->at.column ? -1 : 1;
}

const struct config_place *
config_routes_end(struct config_routes_table *t, struct config_routes *out,
    struct config_next_hop *rest)
{
	struct routes_row **sorted = arena_array(t->faults->arena, t->n,
	    sizeof(struct routes_row *));
	struct config_route *rows = arena_array(t->arena, t->n, sizeof(*rows));
	const struct config_place *rest_at = NULL;
	size_t n = 0, first = 0;

	if (sorted == NULL || rows == NULL) {
		t->faults->is_full = true;
		return NULL;
	}
	for (struct routes_row *row = t->first; row != NULL; row = row->next)
		sorted[n++] = row;
	qsort(sorted, n, sizeof(*sorted), row_compare);
	*out = (struct config_routes){rows, 0};
	for (size_t k = 0; k < n; k++) {
		const struct config_route *route = &sorted[k]->route;

		if (k != 0 && bytes_eq(route->domain,
		    sorted[first]->route.domain)) {
			config_fault_add(t->faults, sorted[k]->at,
			    "domain `%s` stands at line %u already; keep one "
			    "of them",
			    config_fault_show(t->faults, route->domain),
			    sorted[first]->at.line);
			continue;
		}
		first = k;
		if (bytes_eq(route->domain, BYTES_LIT("*"))) {
			*rest = route->hop;
			rest_at = &sorted[k]->at;
		} else {
			rows[out->n++] = *route;
		}
	}
	return rest_at;
}

/* bytes_compare() of a line's domain and one in any case. */
static int
domain_compare(struct bytes line, struct bytes domain)
{
	for (size_t k = 0; k < line.n && k < domain.n; k++) {
		uint8_t c = ascii_lower(domain.p[k]);

		if (line.p[k] != c)
			return line.p[k] < c ? -1 : 1;
	}
	return line.n < domain.n ? -1 : line.n > domain.n;
}

static const struct config_next_hop *
row_find(const struct config_routes *t, struct bytes domain)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = domain_compare(t->rows[middle].domain, domain);

		if (r == 0)
			return &t->rows[middle].hop;
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct config_next_hop *
config_route_find(const struct config_routes *t, struct bytes domain)
{
	const struct config_next_hop *hop;

	/* a domain that began with a dot would be taken for a parent */
	if (t->n == 0 || domain.n == 0 || domain.p[0] == '.')
		return NULL;
	hop = row_find(t, domain);
	while (hop == NULL) {
		domain = bytes_skip(domain, bytes_index(domain, '.'));
		if (domain.n == 0)
			return NULL;
		hop = row_find(t, domain);
		domain = bytes_skip(domain, 1);
	}
	return hop;
}
