#include "dkim2/canon.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/crypto.h"
#include "dkim2/unsigned.h"

int
canon_to_buf(void *buf, struct bytes octets)
{
	struct buf *b = buf;

	buf_add(b, octets);
	return b->full ? -E_LIMIT : 0;
}

int
canon_to_hasher(void *hasher, struct bytes octets)
{
	return dkim2_hasher_add(hasher, octets);
}

/* Gathers single octets, so that a sink is not called for each. */
struct gather {
	canon_sink *sink;
	void *to;
	int failed;
	size_t n;
	uint8_t octets[512];
};

static void
gather_flush(struct gather *g)
{
	if (g->failed == 0 && g->n != 0)
		g->failed = g->sink(g->to, (struct bytes){g->octets, g->n});
	g->n = 0;
}

static inline void
gather_put(struct gather *g, uint8_t c)
{
	if (g->n == sizeof(g->octets))
		gather_flush(g);
	g->octets[g->n++] = c;
}

static void
gather_add(struct gather *g, struct bytes b)
{
	while (b.n != 0) {
		size_t n = sizeof(g->octets) - g->n;

		if (n == 0) {
			gather_flush(g);
			continue;
		}
		n = n < b.n ? n : b.n;
		memcpy(g->octets + g->n, b.p, n);
		g->n += n;
		b = bytes_skip(b, n);
	}
}

static void
gather_name(struct gather *g, struct bytes name)
{
	for (size_t k = 0; k < name.n; k++)
		gather_put(g, ascii_lower(name.p[k]));
	gather_put(g, ':');
}

static int
gather_end(struct gather *g)
{
	gather_put(g, '\r');
	gather_put(g, '\n');
	gather_flush(g);
	return g->failed;
}

/* A line end inside a value is a fold: it goes before anything else does. */
static bool
is_fold(struct bytes v, size_t k)
{
	return v.p[k] == '\r' && k + 1 < v.n && v.p[k + 1] == '\n';
}

/* What ends a run of octets that are taken as they are. */
static const bool ends_run[256] = {
	[' '] = true, ['\t'] = true, ['\r'] = true,
};

/* The octets from k on that are neither white space nor CR. */
static inline struct bytes
run_at(struct bytes v, size_t k)
{
	size_t end = k;

	while (end < v.n && !ends_run[v.p[end]])
		end++;
	return bytes_between(v.p + k, v.p + end);
}

int
canon_name_compare(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t k = 0; k < n; k++) {
		int d = ascii_lower(a.p[k]) - ascii_lower(b.p[k]);

		if (d != 0)
			return d;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

/* Merges the sorted runs [0, half) and [half, n) of from into to; stable. */
static void
merge(const struct canon_field *from, size_t half, size_t n,
    struct canon_field *to)
{
	size_t a = 0, b = half;

	for (size_t k = 0; k < n; k++) {
		bool is_left = b == n || (a < half &&
		    canon_name_compare(from[a].name, from[b].name) <= 0);

		to[k] = is_left ? from[a++] : from[b++];
	}
}

int
canon_header_sort(struct canon_header *h, const struct dkim2_message *m,
    struct arena *a)
{
	struct canon_field *from = arena_array(a, m->n_fields, sizeof(*from));
	struct canon_field *to = arena_array(a, m->n_fields, sizeof(*to));
	size_t n = m->n_fields;

	if (from == NULL || to == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < n; k++)
		from[k] = (struct canon_field){m->fields[n - 1 - k].name,
		    m->fields[n - 1 - k].value};
	for (size_t run = 1; run < n; run *= 2) {
		struct canon_field *swap = from;

		for (size_t k = 0; k < n; k += 2 * run) {
			size_t left = n - k;

			merge(from + k, left < run ? left : run,
			    left < 2 * run ? left : 2 * run, to + k);
		}
		from = to;
		to = swap;
	}
	*h = (struct canon_header){from, n};
	return 0;
}

/* Folds undone, then runs of white space to one blank, then both ends cut. */
static void
gather_value(struct gather *g, struct bytes v)
{
	bool is_blank_due = false, is_begun = false;

	for (size_t k = 0; k < v.n; k++) {
		struct bytes run = run_at(v, k);

		if (run.n == 0 && is_fold(v, k)) {
			k++;
			continue;
		}
		if (run.n == 0 && ascii_is_wsp(v.p[k])) {
			is_blank_due = is_begun;
			continue;
		}
		if (run.n == 0)
			run.n = 1;	/* a CR that is no fold */
		if (is_blank_due)
			gather_put(g, ' ');
		is_blank_due = false;
		is_begun = true;
		gather_add(g, run);
		k += run.n - 1;
	}
}

int
canon_header_emit(const struct canon_header *h, canon_sink *sink, void *to)
{
	struct gather g = {.sink = sink, .to = to};

	for (size_t k = 0; k < h->n && g.failed == 0; k++) {
		if (unsigned_is(h->fields[k].name))
			continue;
		gather_name(&g, h->fields[k].name);
		gather_value(&g, h->fields[k].value);
		gather_put(&g, '\r');
		gather_put(&g, '\n');
	}
	gather_flush(&g);
	return g.failed;
}

void
canon_body_init(struct canon_body *c, canon_sink *sink, void *to)
{
	*c = (struct canon_body){sink, to, 0, false};
}

static int
body_flush(struct canon_body *c)
{
	static const struct bytes lines =
	    BYTES_LIT("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n");
	int r = 0;

	while (r == 0 && c->n_held != 0) {
		size_t n = c->n_held < lines.n / 2 ?
		    (size_t)c->n_held : lines.n / 2;

		r = c->sink(c->to, bytes_first(lines, 2 * n));
		c->n_held -= n;
	}
	if (r == 0 && c->is_cr_held)
		r = c->sink(c->to, BYTES_LIT("\r"));
	c->is_cr_held = false;
	return r;
}

int
canon_body_add(struct canon_body *c, struct bytes octets)
{
	struct bytes b = octets;
	uint64_t n_lines = 0;
	bool is_cr;
	int r;

	if (c->is_cr_held && b.n != 0 && b.p[0] == '\n') {
		c->is_cr_held = false;
		c->n_held++;
		b = bytes_skip(b, 1);
	}
	if (b.n == 0)
		return 0;
	is_cr = b.p[b.n - 1] == '\r';
	if (is_cr)
		b.n--;
	for (; bytes_ends(b, BYTES_LIT("\r\n")); b.n -= 2)
		n_lines++;
	/* A CR that no LF followed was no line end. */
	if (b.n != 0 || c->is_cr_held) {
		r = body_flush(c);
		if (r == 0 && b.n != 0)
			r = c->sink(c->to, b);
		if (r != 0)
			return r;
	}
	c->n_held += n_lines;
	c->is_cr_held = is_cr;
	return 0;
}

int
canon_body_end(struct canon_body *c)
{
	int r = 0;

	if (c->is_cr_held)
		r = body_flush(c);
	return r == 0 ? c->sink(c->to, BYTES_LIT("\r\n")) : r;
}

/* Where in its own tag list an octet of a signature stands. */
enum place {
	AT_TAG,		/* a name begins */
	AFTER_S,	/* behind a name that is "s" so far */
	IN_OTHER,	/* anywhere in a tag that is not s= */
	IN_MEMBER,	/* in s=, before the second colon of a member */
	IN_SIGNATURE,	/* behind it */
};

struct blanker {
	enum place place;
	unsigned n_colons;
};

/* Says whether c, the next octet, stays. */
static bool
blanker_keeps(struct blanker *b, uint8_t c)
{
	if (c == ';') {
		b->place = AT_TAG;
		return true;
	}
	switch (b->place) {
	case AT_TAG:
		b->place = c == 's' ? AFTER_S : IN_OTHER;
		return true;
	case AFTER_S:
		b->place = c == '=' ? IN_MEMBER : IN_OTHER;
		b->n_colons = 0;
		return true;
	case IN_OTHER:
		return true;
	case IN_MEMBER:
	case IN_SIGNATURE:
		break;
	}
	if (c == ',' || c == '|') {
		b->place = IN_MEMBER;
		b->n_colons = 0;
		return true;
	}
	if (b->place == IN_SIGNATURE)
		return false;
	if (c == ':' && ++b->n_colons == 2)
		b->place = IN_SIGNATURE;
	return true;
}

int
canon_signing_line(struct bytes name, struct bytes value, bool blank,
    canon_sink *sink, void *to)
{
	struct gather g = {.sink = sink, .to = to};
	struct blanker b = {AT_TAG, 0};

	gather_name(&g, name);
	for (size_t k = 0; k < value.n && g.failed == 0; k++) {
		struct bytes run = run_at(value, k);

		if (run.n == 0 && is_fold(value, k)) {
			k++;
			continue;
		}
		if (run.n == 0 && ascii_is_wsp(value.p[k]))
			continue;
		if (run.n == 0)
			run.n = 1;	/* a CR that is no fold */
		if (!blank)
			gather_add(&g, run);
		for (size_t j = 0; blank && j < run.n; j++)
			if (blanker_keeps(&b, run.p[j]))
				gather_put(&g, run.p[j]);
		k += run.n - 1;
	}
	return gather_end(&g);
}
