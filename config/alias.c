#include "config/table.h"

#include "base/ascii.h"
#include "base/err.h"

/* ---- the line for an address --------------------------------------------- */

/* What is looked for, in pieces; the domain in any case. */
struct key {
	struct bytes head;
	struct bytes middle;	/* "@", or empty */
	struct bytes domain;
};

static int
piece_compare(struct bytes *address, struct bytes piece)
{
	int r = bytes_compare(bytes_first(*address, piece.n), piece);

	*address = bytes_skip(*address, piece.n);
	return r;
}

/* bytes_compare() of the address of a line and a key in one piece. */
static int
address_compare(struct bytes address, const struct key *key)
{
	int r = piece_compare(&address, key->head);

	if (r == 0)
		r = piece_compare(&address, key->middle);
	if (r != 0)
		return r;
	for (size_t k = 0; k < address.n && k < key->domain.n; k++) {
		uint8_t c = ascii_lower(key->domain.p[k]);

		if (address.p[k] != c)
			return address.p[k] < c ? -1 : 1;
	}
	return address.n < key->domain.n ? -1 : address.n > key->domain.n;
}

static const struct config_alias *
row_find(const struct config_aliases *t, struct key key)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = address_compare(t->rows[middle].address, &key);

		if (r == 0)
			return &t->rows[middle];
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* A local part without its subaddress, which begins behind the first octet. */
static struct bytes
user_of(const struct config_aliases *t, struct bytes local)
{
	for (size_t k = 1; k < local.n && t->delimiter != NULL; k++)
		if (local.p[k] != '\0' &&
		    strchr(t->delimiter, local.p[k]) != NULL)
			return bytes_first(local, k);
	return local;
}

/* The line of ".parent", from near to far. */
static const struct config_alias *
parent_find(const struct config_aliases *t, struct bytes domain)
{
	const struct config_alias *row = NULL;
	struct key key = {.domain = domain};

	/* one that began with a dot would be taken for a parent itself */
	if (domain.n == 0 || domain.p[0] == '.')
		return NULL;
	while (row == NULL) {
		key.domain = bytes_skip(key.domain,
		    bytes_index(key.domain, '.'));
		if (key.domain.n == 0)
			return NULL;
		row = row_find(t, key);
		key.domain = bytes_skip(key.domain, 1);
	}
	return row;
}

const struct config_alias *
config_alias_find(const struct config_aliases *t, struct bytes local,
    struct bytes domain)
{
	struct bytes user = user_of(t, local);
	struct key key = {local, BYTES_LIT("@"), domain};
	const struct config_alias *row = row_find(t, key);

	if (row == NULL && user.n != local.n) {
		key.head = user;
		row = row_find(t, key);
	}
	if (row == NULL) {
		key.head = (struct bytes){NULL, 0};
		row = row_find(t, key);
	}
	if (row == NULL)
		row = parent_find(t, domain);
	if (row == NULL)
		row = row_find(t, (struct key){.head = BYTES_LIT("*")});
	return row;
}

/* ---- where mail ends ----------------------------------------------------- */

struct walk {
	const struct config_aliases *t;
	struct bytes *ends;
	size_t n;
	size_t max;
};

static bool
is_same_address(struct bytes a, struct bytes b)
{
	size_t at = bytes_index(a, '@');

	return at == bytes_index(b, '@') &&
	    bytes_eq(bytes_first(a, at), bytes_first(b, at)) &&
	    bytes_case_eq(bytes_skip(a, at), bytes_skip(b, at));
}

static int
add_end(struct walk *w, struct bytes target)
{
	for (size_t k = 0; k < w->n; k++)
		if (is_same_address(w->ends[k], target))
			return 0;
	if (w->n == w->max)
		return -E_LIMIT;
	w->ends[w->n++] = target;
	return 0;
}

const struct config_alias *
config_alias_next(const struct config_aliases *t, struct bytes target)
{
	size_t at = bytes_index(target, '@');
	struct bytes domain = bytes_skip(target, at + 1);

	if (!config_domains_hold(t->domains, t->n_domains, domain))
		return NULL;
	return config_alias_find(t, bytes_first(target, at), domain);
}

static int
follow(struct walk *w, const struct config_alias *row, unsigned depth)
{
	int r = depth > CONFIG_ALIAS_DEPTH ? -E_LIMIT : 0;

	for (uint32_t k = 0; k < row->n_targets && r == 0; k++) {
		const struct config_alias *next = config_alias_next(w->t,
		    row->targets[k]);

		if (next == NULL || next == row)
			r = add_end(w, row->targets[k]);
		else
			r = follow(w, next, depth + 1);
	}
	return r;
}

int
config_alias_expand(const struct config_aliases *t,
    const struct config_alias *row, struct arena *a,
    const struct bytes **ends, size_t *n)
{
	struct walk w = {.t = t, .max = row->n_ends};
	int r;

	w.ends = arena_array(a, w.max, sizeof(*w.ends));
	if (w.ends == NULL)
		return -E_NOMEM;
	r = follow(&w, row, 1);
	*ends = w.ends;
	*n = w.n;
	return r == 0 && w.n == 0 ? -E_LIMIT : r;
}
