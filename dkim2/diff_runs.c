#include "dkim2/diff_runs.h"

#include "base/err.h"
#include "base/sort.h"

#include <sodium.h>

struct side {
	const struct bytes *lines;
	const uint64_t *hashes;
	size_t n;
};

struct diff {
	struct side old, now;
	struct arena *arena;
	size_t work;		/* compares so far */
	struct diff_run *runs;	/* room for one a line of the shorter side */
	size_t n_runs;
	int64_t *rows[DIFF_EDITS_MAX + 1];
};

/* A key that is known does not matter: colliding lines are compared. */
static int
hash_lines(struct side *s, struct arena *a)
{
	static const uint8_t key[crypto_shorthash_KEYBYTES];
	uint64_t *hashes = arena_array(a, s->n, sizeof(*hashes));

	if (hashes == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < s->n; k++) {
		uint8_t h[crypto_shorthash_BYTES];

		(void)crypto_shorthash(h, s->lines[k].p, s->lines[k].n, key);
		memcpy(&hashes[k], h, sizeof(hashes[k]));
	}
	s->hashes = hashes;
	return 0;
}

static bool
same(struct diff *d, size_t x, size_t y)
{
	d->work++;
	return d->old.hashes[x] == d->now.hashes[y] &&
	    bytes_eq(d->old.lines[x], d->now.lines[y]);
}

static void
add_run(struct diff *d, size_t x, size_t y, size_t n)
{
	d->runs[d->n_runs++] = (struct diff_run){x, y, n};
}

/* ---- Myers ----------------------------------------------------------------- */

#define NOWHERE (-1)

/*
 * Where diagonal k (x - y) is entered with one edit more than row has: from
 * the left by leaving out an old line, from above by taking in a new one.
 */
static int64_t
enter(const struct diff *d, const int64_t *row, int64_t edits, int64_t k,
    bool *is_left)
{
	int64_t left = NOWHERE, above = NOWHERE;

	*is_left = false;
	if (k - 1 >= -edits && k - 1 <= edits)
		left = row[k - 1 + edits];
	if (k + 1 >= -edits && k + 1 <= edits)
		above = row[k + 1 + edits];
	if (left != NOWHERE)
		left = left < (int64_t)d->old.n ? left + 1 : NOWHERE;
	if (above != NOWHERE && above - k > (int64_t)d->now.n)
		above = NOWHERE;
	*is_left = left > above;
	return left > above ? left : above;
}

/* Fills rows[edits]; returns whether both ends are reached. */
static bool
step(struct diff *d, int64_t edits)
{
	int64_t *row = d->rows[edits];
	bool is_done = false, is_left;

	for (int64_t k = -edits; k <= edits; k++) {
		int64_t x = NOWHERE;

		d->work++;
		if ((k + edits) % 2 == 0)
			x = edits == 0 ? 0 : enter(d, d->rows[edits - 1],
			    edits - 1, k, &is_left);
		while (x != NOWHERE && x < (int64_t)d->old.n &&
		    x - k < (int64_t)d->now.n &&
		    d->work < DIFF_WORK_MAX &&
		    same(d, (size_t)x, (size_t)(x - k)))
			x++;
		row[k + edits] = x;
		if (x == (int64_t)d->old.n && x - k == (int64_t)d->now.n)
			is_done = true;
	}
	return is_done;
}

/* From the end to the beginning; runs are then turned round. */
static void
walk_back(struct diff *d, int64_t edits)
{
	int64_t x = (int64_t)d->old.n, y = (int64_t)d->now.n;
	struct diff_run *runs = d->runs;
	size_t n = 0;

	for (; edits >= 0; edits--) {
		int64_t k = x - y, from = 0;
		bool is_left = false;

		if (edits > 0)
			from = enter(d, d->rows[edits - 1], edits - 1, k,
			    &is_left);
		if (x > from)
			runs[n++] = (struct diff_run){(size_t)from,
			    (size_t)(from - k), (size_t)(x - from)};
		x = is_left ? from - 1 : from;
		y = is_left ? from - k : from - k - 1;
	}
	for (size_t k = 0; k < n / 2; k++) {
		struct diff_run swap = runs[k];

		runs[k] = runs[n - 1 - k];
		runs[n - 1 - k] = swap;
	}
	d->n_runs = n;
}

/* Returns 0 with *is_found, or -E_NOMEM. */
static int
myers(struct diff *d, bool *is_found)
{
	*is_found = false;
	for (int64_t edits = 0; edits <= DIFF_EDITS_MAX &&
	    d->work < DIFF_WORK_MAX; edits++) {
		d->rows[edits] = arena_array(d->arena,
		    2 * (size_t)edits + 1, sizeof(int64_t));
		if (d->rows[edits] == NULL)
			return -E_NOMEM;
		if (step(d, edits)) {
			*is_found = true;
			walk_back(d, edits);
			return 0;
		}
	}
	return 0;
}

/* ---- anchors ---------------------------------------------------------------- */

struct place {
	uint64_t hash;
	size_t at;
	bool is_now;
};

static int
compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->is_now != y->is_now)
		return x->is_now ? 1 : -1;
	return x->at < y->at ? -1 : x->at > y->at;
}

struct anchor {
	size_t old_at, now_at;
	size_t before;		/* in the best chain that ends here */
};

static int
compare_anchors(const void *a, const void *b)
{
	const struct anchor *x = a, *y = b;

	return x->old_at < y->old_at ? -1 : x->old_at > y->old_at;
}

/* Lines that are there once on each side, in the order of the old one. */
static size_t
find_anchors(struct diff *d, struct place *places, struct anchor *anchors)
{
	size_t n = d->old.n + d->now.n, found = 0;

	for (size_t k = 0; k < d->old.n; k++)
		places[k] = (struct place){d->old.hashes[k], k, false};
	for (size_t k = 0; k < d->now.n; k++)
		places[d->old.n + k] = (struct place){d->now.hashes[k], k,
		    true};
	sort_heap(places, n, sizeof(*places), compare_places);
	for (size_t k = 0, end; k < n; k = end) {
		for (end = k + 1; end < n &&
		    places[end].hash == places[k].hash; end++)
			;
		if (end - k == 2 && !places[k].is_now &&
		    places[k + 1].is_now &&
		    same(d, places[k].at, places[k + 1].at))
			anchors[found++] = (struct anchor){places[k].at,
			    places[k + 1].at, 0};
	}
	sort_heap(anchors, found, sizeof(*anchors), compare_anchors);
	return found;
}

/*
 * The longest chain of anchors that rises on both sides (patience): tails[k]
 * is the anchor with the lowest now_at that ends a chain of k + 1.
 *
 * Returns  how long it is; chain holds it
 */
static size_t
longest_chain(struct anchor *anchors, size_t n, size_t *tails, size_t *chain)
{
	size_t length = 0, at;

	for (size_t k = 0; k < n; k++) {
		size_t low = 0, high = length;

		while (low < high) {
			size_t mid = low + (high - low) / 2;

			if (anchors[tails[mid]].now_at < anchors[k].now_at)
				low = mid + 1;
			else
				high = mid;
		}
		anchors[k].before = low == 0 ? n : tails[low - 1];
		tails[low] = k;
		if (low == length)
			length++;
	}
	at = length == 0 ? n : tails[length - 1];
	for (size_t k = length; k-- != 0; at = anchors[at].before)
		chain[k] = at;
	return length;
}

/* Each anchor, and the equal lines before and behind it. */
static void
grow(struct diff *d, const struct anchor *anchors, const size_t *chain,
    size_t n)
{
	size_t x_end = 0, y_end = 0;

	for (size_t k = 0; k < n; k++) {
		size_t x = anchors[chain[k]].old_at;
		size_t y = anchors[chain[k]].now_at;
		size_t length = 1;

		if (x < x_end || y < y_end)
			continue;	/* the run before took it in */
		while (x > x_end && y > y_end && same(d, x - 1, y - 1)) {
			x--;
			y--;
			length++;
		}
		while (x + length < d->old.n && y + length < d->now.n &&
		    same(d, x + length, y + length))
			length++;
		add_run(d, x, y, length);
		x_end = x + length;
		y_end = y + length;
	}
}

static int
patience(struct diff *d)
{
	size_t n = d->old.n < d->now.n ? d->old.n : d->now.n;
	struct place *places = arena_array(d->arena, d->old.n + d->now.n,
	    sizeof(*places));
	struct anchor *anchors = arena_array(d->arena, n, sizeof(*anchors));
	size_t *tails = arena_array(d->arena, n, sizeof(*tails));
	size_t *chain = arena_array(d->arena, n, sizeof(*chain));

	if (places == NULL || anchors == NULL || tails == NULL ||
	    chain == NULL)
		return -E_NOMEM;
	n = find_anchors(d, places, anchors);
	n = longest_chain(anchors, n, tails, chain);
	grow(d, anchors, chain, n);
	return 0;
}

int
diff_runs_find(const struct bytes *old, size_t n_old,
    const struct bytes *now, size_t n_now, struct arena *a,
    struct diff_run **runs, size_t *n_runs, size_t *work)
{
	size_t n = n_old < n_now ? n_old : n_now;
	struct diff *d = arena_alloc(a, sizeof(*d));
	bool is_found;
	int r;

	if (d == NULL)
		return -E_NOMEM;
	d->old = (struct side){old, NULL, n_old};
	d->now = (struct side){now, NULL, n_now};
	d->arena = a;
	d->runs = arena_array(a, n + 1, sizeof(*d->runs));
	r = d->runs == NULL ? -E_NOMEM : hash_lines(&d->old, a);
	if (r == 0)
		r = hash_lines(&d->now, a);
	if (r == 0)
		r = myers(d, &is_found);
	if (r == 0 && !is_found)
		r = patience(d);
	*runs = d->runs;
	*n_runs = d->n_runs;
	*work = d->work;
	return r;
}
