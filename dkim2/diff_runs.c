#include "dkim2/diff_runs.h"

#include "base/err.h"
#include "base/sort.h"

#include <sodium.h>

#define LEVELS_MAX 4		/* of gaps between the runs in a gap */

struct side {
	const struct bytes *lines;
	const uint64_t *hashes;
	size_t n;
};

struct place {
	uint64_t hash;
	size_t at;
	bool is_now;
};

struct anchor {
	size_t old_at, now_at;
	size_t before;		/* in the best chain that ends here */
};

/* A gap that is looked at, its runs, and what all of them share. */
struct diff {
	struct side old, now;	/* lines of the gap */
	size_t old_at, now_at;	/* where it begins */
	struct arena *arena;
	size_t work;		/* compares so far */
	struct diff_run *runs;	/* room for one a line of the shorter side */
	size_t n_runs;
	int64_t half;		/* edits from each end, at most */
	int64_t *far[2];	/* of each diagonal, half of them below 0 */
	struct place *places;	/* NULL until patience needs them */
	struct anchor *anchors;
	size_t *tails, *chain;
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

/* Adds a run of the gap, or to the run that ends where it begins. */
static void
add_run(struct diff *d, size_t x, size_t y, size_t n)
{
	struct diff_run *last = d->runs + d->n_runs - 1;

	x += d->old_at;
	y += d->now_at;
	if (n == 0)
		return;
	if (d->n_runs != 0 && last->old_at + last->n == x &&
	    last->now_at + last->n == y)
		last->n += n;
	else
		d->runs[d->n_runs++] = (struct diff_run){x, y, n};
}

/* ---- Myers ----------------------------------------------------------------- */

/*
 * The search goes from both ends at once, each on diagonals x - y of its own
 * coordinates, until the two meet: in the middle of a shortest difference. It
 * keeps how far each diagonal got, and no more.
 */
#define NOWHERE (-1)

/* Whether line x of old is line y of now, counted from an end. */
static bool
same_from(struct diff *d, int64_t x, int64_t y, bool is_back)
{
	return is_back ? same(d, d->old.n - 1 - (size_t)x,
	    d->now.n - 1 - (size_t)y) : same(d, (size_t)x, (size_t)y);
}

/*
 * Where diagonal k is entered with one edit more than `edits`: from the left
 * by leaving out an old line, from above by taking in a new one.
 */
static int64_t
enter(const struct diff *d, const int64_t *far, int64_t edits, int64_t k)
{
	int64_t left = NOWHERE, above = NOWHERE;

	if (k - 1 >= -edits && k - 1 <= edits)
		left = far[k - 1];
	if (k + 1 >= -edits && k + 1 <= edits)
		above = far[k + 1];
	if (left != NOWHERE)
		left = left < (int64_t)d->old.n ? left + 1 : NOWHERE;
	if (above != NOWHERE && above - k > (int64_t)d->now.n)
		above = NOWHERE;
	return left > above ? left : above;
}

/* Whether x on diagonal k is where the search from the other end was. */
static bool
meets(const struct diff *d, const int64_t *far, int64_t edits, int64_t k,
    int64_t x)
{
	int64_t other = (int64_t)d->old.n - (int64_t)d->now.n - k;

	return other >= -edits && other <= edits &&
	    (other + edits) % 2 == 0 && far[other] != NOWHERE &&
	    x + far[other] >= (int64_t)d->old.n;
}

/* One edit more from one end; whether the other is met, and then at *x, *y. */
static bool
step(struct diff *d, bool is_back, int64_t edits, size_t *x, size_t *y)
{
	int64_t *far = d->far[is_back] + d->half;
	const int64_t *there = d->far[!is_back] + d->half;

	for (int64_t k = -edits; k <= edits; k += 2) {
		int64_t at = edits == 0 ? 0 : enter(d, far, edits - 1, k);

		d->work++;
		while (at != NOWHERE && at < (int64_t)d->old.n &&
		    at - k < (int64_t)d->now.n && d->work < DIFF_WORK_MAX &&
		    same_from(d, at, at - k, is_back))
			at++;
		far[k] = at;
		if (at == NOWHERE ||
		    !meets(d, there, is_back ? edits : edits - 1, k, at))
			continue;
		*x = is_back ? d->old.n - (size_t)at : (size_t)at;
		*y = is_back ? d->now.n - (size_t)(at - k) : (size_t)(at - k);
		return true;
	}
	return false;
}

/* Room for the whole, of which every gap is a part. */
static int
middle_init(struct diff *d)
{
	size_t n = (d->old.n + d->now.n) / 2 + 1;

	if (d->half != 0)
		return 0;
	if (n > DIFF_EDITS_MAX / 2)
		n = DIFF_EDITS_MAX / 2;
	for (unsigned k = 0; k < 2; k++) {
		d->far[k] = arena_array(d->arena, 2 * n + 1, sizeof(int64_t));
		if (d->far[k] == NULL)
			return -E_NOMEM;
	}
	d->half = (int64_t)n;
	return 0;
}

/* A place in the middle of a shortest difference; false: it is too long. */
static bool
find_middle(struct diff *d, size_t *x, size_t *y)
{
	for (int64_t edits = 0; edits <= d->half &&
	    d->work < DIFF_WORK_MAX; edits++)
		if (step(d, false, edits, x, y) || step(d, true, edits, x, y))
			return *x + *y != 0 &&
			    *x + *y != d->old.n + d->now.n;
	return false;
}

/* ---- anchors ---------------------------------------------------------------- */

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

static int
compare_anchors(const void *a, const void *b)
{
	const struct anchor *x = a, *y = b;

	return x->old_at < y->old_at ? -1 : x->old_at > y->old_at;
}

/* Lines that are there once on each side, in the order of the old one. */
static size_t
find_anchors(struct diff *d)
{
	struct place *places = d->places;
	struct anchor *anchors = d->anchors;
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

/*
 * Each anchor of the chain, and the equal lines before and behind it, as runs
 * within the gap.
 */
static size_t
grow(struct diff *d, size_t n, struct diff_run *runs)
{
	size_t x_end = 0, y_end = 0, n_runs = 0;

	for (size_t k = 0; k < n; k++) {
		size_t x = d->anchors[d->chain[k]].old_at;
		size_t y = d->anchors[d->chain[k]].now_at;
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
		runs[n_runs++] = (struct diff_run){x, y, length};
		x_end = x + length;
		y_end = y + length;
	}
	return n_runs;
}

static int
patience_init(struct diff *d)
{
	size_t n = d->old.n < d->now.n ? d->old.n : d->now.n;

	if (d->places != NULL)
		return 0;
	d->anchors = arena_array(d->arena, n, sizeof(*d->anchors));
	d->tails = arena_array(d->arena, n, sizeof(*d->tails));
	d->chain = arena_array(d->arena, n, sizeof(*d->chain));
	d->places = arena_array(d->arena, d->old.n + d->now.n,
	    sizeof(*d->places));
	return d->anchors == NULL || d->tails == NULL || d->chain == NULL ||
	    d->places == NULL ? -E_NOMEM : 0;
}

static int find(struct diff *d, unsigned level);

/* Looks at a part of the gap that stands between two of its runs. */
static int
find_between(struct diff *d, size_t x, size_t x_end, size_t y, size_t y_end,
    unsigned level)
{
	struct side old = d->old, now = d->now;
	size_t old_at = d->old_at, now_at = d->now_at;
	int r;

	if (x == x_end || y == y_end)
		return 0;
	d->old = (struct side){old.lines + x, old.hashes + x, x_end - x};
	d->now = (struct side){now.lines + y, now.hashes + y, y_end - y};
	d->old_at += x;
	d->now_at += y;
	r = find(d, level);
	d->old = old;
	d->now = now;
	d->old_at = old_at;
	d->now_at = now_at;
	return r;
}

/* Runs between anchors, and what the gaps between them have in common. */
static int
patience(struct diff *d, unsigned level)
{
	struct diff_run *runs;
	size_t n, x = 0, y = 0;
	int r = patience_init(d);

	if (r != 0)
		return r;
	n = longest_chain(d->anchors, find_anchors(d), d->tails, d->chain);
	if (n == 0)
		return 0;
	runs = arena_array(d->arena, n, sizeof(*runs));
	if (runs == NULL)
		return -E_NOMEM;
	n = grow(d, n, runs);
	for (size_t k = 0; r == 0 && k < n; k++) {
		r = find_between(d, x, runs[k].old_at, y, runs[k].now_at,
		    level + 1);
		add_run(d, runs[k].old_at, runs[k].now_at, runs[k].n);
		x = runs[k].old_at + runs[k].n;
		y = runs[k].now_at + runs[k].n;
	}
	return r != 0 ? r :
	    find_between(d, x, d->old.n, y, d->now.n, level + 1);
}

/* Adds the runs of a gap, in order. */
static int
find(struct diff *d, unsigned level)
{
	size_t n_old = d->old.n, n_now = d->now.n, head = 0, tail = 0, x, y;
	int r = middle_init(d);

	if (r != 0)
		return r;
	while (head < n_old && head < n_now && same(d, head, head))
		head++;
	while (head + tail < n_old && head + tail < n_now &&
	    same(d, n_old - 1 - tail, n_now - 1 - tail))
		tail++;
	add_run(d, 0, 0, head);
	if (head != 0 || tail != 0)
		r = find_between(d, head, n_old - tail, head, n_now - tail,
		    level);
	else if (n_old != 0 && n_now != 0 && find_middle(d, &x, &y)) {
		r = find_between(d, 0, x, 0, y, level);
		if (r == 0)
			r = find_between(d, x, n_old, y, n_now, level);
	} else if (level < LEVELS_MAX)
		r = patience(d, level);
	add_run(d, n_old - tail, n_now - tail, tail);
	return r;
}

int
diff_runs_find(const struct bytes *old, size_t n_old,
    const struct bytes *now, size_t n_now, struct arena *a,
    struct diff_run **runs, size_t *n_runs, size_t *work)
{
	size_t n = n_old < n_now ? n_old : n_now;
	struct diff *d = arena_alloc(a, sizeof(*d));
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
		r = find(d, 0);
	*runs = d->runs;
	*n_runs = d->n_runs;
	*work = d->work;
	return r;
}

static int
compare_hashes(const void *va, const void *vb)
{
	const uint64_t *a = va, *b = vb;

	return *a < *b ? -1 : *a > *b;
}

static bool
has_hash(const uint64_t *sorted, size_t n, uint64_t hash)
{
	size_t from = 0, to = n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (sorted[mid] < hash)
			from = mid + 1;
		else
			to = mid;
	}
	return from < n && sorted[from] == hash;
}

int
diff_runs_lost(const struct bytes *old, size_t n_old,
    const struct bytes *now, size_t n_now, struct arena *a, size_t *octets)
{
	struct side was = {old, NULL, n_old}, is = {now, NULL, n_now};
	int r = hash_lines(&was, a);

	*octets = 0;
	if (r == 0)
		r = hash_lines(&is, a);
	if (r != 0)
		return r;
	sort_heap((uint64_t *)is.hashes, n_now, sizeof(*is.hashes),
	    compare_hashes);
	for (size_t k = 0; k < n_old; k++)
		if (!has_hash(is.hashes, n_now, was.hashes[k]))
			*octets += old[k].n;
	return 0;
}
