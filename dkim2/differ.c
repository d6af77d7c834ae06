#include "dkim2/differ.h"

#include "base/err.h"
#include "dkim2/unsigned.h"

/* ---- headers ------------------------------------------------------------- */

/* A header hash input, line by line. */
struct lines {
	struct bytes *line;	/* "name:value", without the end */
	size_t n;
};

static int
lines_make(struct lines *l, const struct canon_header *h, struct arena *a)
{
	size_t n = 0;
	struct bytes rest;
	struct buf out;

	for (size_t k = 0; k < h->n; k++)
		n += h->fields[k].name.n + h->fields[k].value.n + 3;
	if (arena_buf(a, n, &out) != 0)
		return -E_NOMEM;
	(void)canon_header_emit(h, canon_to_buf, &out);
	rest = buf_bytes(&out);
	*l = (struct lines){arena_array(a, h->n, sizeof(struct bytes)), 0};
	if (l->line == NULL)
		return -E_NOMEM;
	/* An LF inside a value is an octet like any other. */
	for (size_t k = 0; k < h->n; k++) {
		size_t name, end;

		if (unsigned_is(h->fields[k].name))
			continue;
		name = h->fields[k].name.n + 1;
		end = name + bytes_find(bytes_skip(rest, name),
		    BYTES_LIT("\r\n"));
		l->line[l->n++] = bytes_first(rest, end);
		rest = bytes_skip(rest, end + 2);
	}
	return 0;
}

static struct bytes
name_of(struct bytes line)
{
	return bytes_first(line, bytes_index(line, ':'));
}

static struct bytes
value_of(struct bytes line)
{
	return bytes_skip(line, bytes_index(line, ':') + 1);
}

/* How many lines from k on have the same name. */
static size_t
group_length(const struct lines *l, size_t k)
{
	size_t n = 0;

	while (k + n < l->n && bytes_eq(name_of(l->line[k + n]),
	    name_of(l->line[k])))
		n++;
	return n;
}

static size_t
common_front(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	size_t k = 0;

	while (k < n && a.p[k] == b.p[k])
		k++;
	return k;
}

static size_t
common_end(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	size_t k = 0;

	while (k < n && a.p[a.n - 1 - k] == b.p[b.n - 1 - k])
		k++;
	return k;
}

/* Two groups of lines with one name, or one of them empty. */
struct groups {
	const struct bytes *was, *is;
	size_t n_was, n_is;
	size_t offset;		/* where the group is begins */
};

static void
add_field(struct differ_header *d, enum differ_kind kind, struct bytes was,
    struct bytes is, size_t number, size_t offset)
{
	struct differ_field *f = &d->fields[d->n++];

	*f = (struct differ_field){.kind = kind, .number = number};
	f->name = name_of(kind == DIFFER_ADDED ? is : was);
	f->was = kind == DIFFER_ADDED ? was : value_of(was);
	f->is = kind == DIFFER_LOST ? is : value_of(is);
	f->offset = offset;
	if (kind != DIFFER_CHANGED)
		return;
	f->at = common_front(f->was, f->is);
	f->offset += f->name.n + 1 + f->at;
}

/* What is equal at both ends stays; in between, line by line. */
static void
compare_groups(struct differ_header *d, const struct groups *g)
{
	static const struct bytes none = {NULL, 0};
	size_t front = 0, end = 0, offset = g->offset;
	size_t n = g->n_was < g->n_is ? g->n_was : g->n_is;

	while (front < n && bytes_eq(g->was[front], g->is[front]))
		offset += g->is[front++].n + 2;
	while (end < n - front && bytes_eq(g->was[g->n_was - 1 - end],
	    g->is[g->n_is - 1 - end]))
		end++;
	for (size_t k = front; k < g->n_was - end || k < g->n_is - end; k++) {
		bool has_was = k < g->n_was - end, has_is = k < g->n_is - end;

		if (has_was && has_is && bytes_eq(g->was[k], g->is[k])) {
			offset += g->is[k].n + 2;
			continue;
		}
		add_field(d, !has_was ? DIFFER_ADDED :
		    !has_is ? DIFFER_LOST : DIFFER_CHANGED,
		    has_was ? g->was[k] : none, has_is ? g->is[k] : none,
		    k + 1, offset);
		if (has_is)
			offset += g->is[k].n + 2;
	}
}

int
differ_headers(struct differ_header *d, const struct canon_header *was,
    const struct canon_header *is, struct arena *a)
{
	struct lines w, i;
	size_t kw = 0, ki = 0, offset = 0;
	int r = lines_make(&w, was, a);

	if (r == 0)
		r = lines_make(&i, is, a);
	if (r != 0)
		return r;
	*d = (struct differ_header){arena_array(a, w.n + i.n,
	    sizeof(d->fields[0])), 0};
	if (d->fields == NULL)
		return -E_NOMEM;
	while (kw < w.n || ki < i.n) {
		int order = kw == w.n ? 1 : ki == i.n ? -1 :
		    bytes_compare(name_of(w.line[kw]), name_of(i.line[ki]));
		struct groups g = {
			.was = w.line + kw,
			.is = i.line + ki,
			.n_was = order <= 0 ? group_length(&w, kw) : 0,
			.n_is = order >= 0 ? group_length(&i, ki) : 0,
			.offset = offset,
		};

		compare_groups(d, &g);
		for (size_t k = 0; k < g.n_is; k++)
			offset += g.is[k].n + 2;
		kw += g.n_was;
		ki += g.n_is;
	}
	return 0;
}

/* ---- bodies -------------------------------------------------------------- */

int
differ_body_canonical(struct bytes b, struct arena *a, struct bytes *out)
{
	struct bytes text = b;
	struct buf copy;

	while (bytes_ends(text, BYTES_LIT("\r\n")))
		text.n -= 2;
	*out = bytes_first(b, text.n + 2);
	if (out->n == text.n + 2)
		return 0;
	if (arena_buf(a, text.n + 2, &copy) != 0)
		return -E_NOMEM;
	buf_add(&copy, text);
	buf_add_str(&copy, "\r\n");
	*out = buf_bytes(&copy);
	return 0;
}

/* The line of b that octet `at` stands in; p == NULL behind the end. */
static struct bytes
line_at(struct bytes b, size_t begin, size_t at)
{
	struct bytes rest = bytes_skip(b, begin);

	if (at >= b.n)
		return (struct bytes){NULL, 0};
	return bytes_first(rest, bytes_find(rest, BYTES_LIT("\r\n")));
}

int
differ_bodies(struct differ_body *d, struct bytes was, struct bytes is,
    struct arena *a)
{
	struct bytes w, i;
	size_t begin = 0, end;
	int r = differ_body_canonical(was, a, &w);

	if (r == 0)
		r = differ_body_canonical(is, a, &i);
	if (r != 0)
		return r;
	*d = (struct differ_body){.at = common_front(w, i), .line = 1};
	d->is_same = d->at == w.n && d->at == i.n;
	for (size_t k = 1; k < d->at; k++)
		if (i.p[k] == '\n' && i.p[k - 1] == '\r') {
			begin = k + 1;
			d->line++;
		}
	d->column = d->at - begin + 1;
	d->was = bytes_skip(w, d->at);
	d->is = bytes_skip(i, d->at);
	end = common_end(d->was, d->is);
	d->was.n -= end;
	d->is.n -= end;
	d->was_line = line_at(w, begin, d->at);
	d->is_line = line_at(i, begin, d->at);
	return 0;
}
