#include "dkim2/dkim1_canon.h"

#include "base/ascii.h"
#include "dkim2/taglist.h"

enum dkim1_canon
dkim1_canon_by_name(struct bytes name)
{
	if (bytes_eq(name, BYTES_LIT("simple")))
		return DKIM1_SIMPLE;
	if (bytes_eq(name, BYTES_LIT("relaxed")))
		return DKIM1_RELAXED;
	return DKIM1_CANON__N;
}

/* ---- header -------------------------------------------------------------- */

/* Writes a relaxed field through a small buffer. */
struct relaxer {
	canon_sink *sink;
	void *to;
	int failed;
	bool is_begun;		/* of the value */
	bool is_blank_due;
	size_t n;
	uint8_t octets[512];
};

static void
relaxer_flush(struct relaxer *r)
{
	if (r->failed == 0 && r->n != 0)
		r->failed = r->sink(r->to, (struct bytes){r->octets, r->n});
	r->n = 0;
}

static void
relaxer_put(struct relaxer *r, uint8_t c)
{
	if (r->n == sizeof(r->octets))
		relaxer_flush(r);
	r->octets[r->n++] = c;
}

static void
relaxer_name(struct relaxer *r, struct bytes name)
{
	for (size_t k = 0; k < name.n; k++)
		relaxer_put(r, ascii_lower(name.p[k]));
	relaxer_put(r, ':');
}

/* Folds undone, runs of white space to one blank, none at the ends. */
static void
relaxer_value(struct relaxer *r, struct bytes v)
{
	for (size_t k = 0; k < v.n; k++) {
		if (v.p[k] == '\r' && k + 1 < v.n && v.p[k + 1] == '\n') {
			k++;
		} else if (ascii_is_wsp(v.p[k])) {
			r->is_blank_due = r->is_begun;
		} else {
			if (r->is_blank_due)
				relaxer_put(r, ' ');
			r->is_blank_due = false;
			r->is_begun = true;
			relaxer_put(r, v.p[k]);
		}
	}
}

int
dkim1_canon_field(enum dkim1_canon c, const struct dkim2_field *field,
    canon_sink *sink, void *to)
{
	struct relaxer r = {.sink = sink, .to = to};

	if (c == DKIM1_SIMPLE)
		return sink(to, field->raw);
	relaxer_name(&r, field->name);
	relaxer_value(&r, field->value);
	relaxer_put(&r, '\r');
	relaxer_put(&r, '\n');
	relaxer_flush(&r);
	return r.failed;
}

/* The value before and behind what b= says. */
static void
split_at_b(struct bytes value, struct bytes *head, struct bytes *tail)
{
	struct bytes rest = value;

	*head = value;
	*tail = (struct bytes){NULL, 0};
	while (rest.p != NULL) {
		struct bytes piece = bytes_cut(&rest, ';');
		size_t equals = bytes_index(piece, '=');

		if (equals == piece.n || !bytes_eq(taglist_trim(
		    bytes_first(piece, equals)), BYTES_LIT("b")))
			continue;
		*head = bytes_between(value.p, piece.p + equals + 1);
		*tail = bytes_between(piece.p + piece.n, value.p + value.n);
		return;
	}
}

int
dkim1_canon_signature(enum dkim1_canon c, const struct dkim2_field *field,
    canon_sink *sink, void *to)
{
	struct relaxer r = {.sink = sink, .to = to};
	struct bytes head, tail;
	int failed;

	split_at_b(field->value, &head, &tail);
	if (c == DKIM1_SIMPLE) {
		failed = sink(to, bytes_between(field->raw.p,
		    head.p + head.n));
		return failed != 0 || tail.n == 0 ? failed : sink(to, tail);
	}
	relaxer_name(&r, field->name);
	relaxer_value(&r, head);
	relaxer_value(&r, tail);
	relaxer_flush(&r);
	return r.failed;
}

/* ---- body ------------------------------------------------------------------ */

void
dkim1_body_init(struct dkim1_body *b, enum dkim1_canon c, canon_sink *sink,
    void *to)
{
	*b = (struct dkim1_body){.canon = c, .sink = sink, .to = to};
	canon_body_init(&b->simple, sink, to);
}

/* Writes what was held back, now that something stands behind it. */
static int
body_flush(struct dkim1_body *b)
{
	static const struct bytes lines =
	    BYTES_LIT("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n");
	int r = 0;

	b->is_begun = true;
	while (r == 0 && b->n_held != 0) {
		size_t n = b->n_held < lines.n / 2 ?
		    (size_t)b->n_held : lines.n / 2;

		r = b->sink(b->to, bytes_first(lines, 2 * n));
		b->n_held -= n;
	}
	if (r == 0 && b->is_blank_held)
		r = b->sink(b->to, BYTES_LIT(" "));
	b->is_blank_held = false;
	if (r == 0 && b->is_cr_held)
		r = b->sink(b->to, BYTES_LIT("\r"));
	b->is_cr_held = false;
	return r;
}

/* An octet that neither is changed nor changes what stands before it. */
static inline bool
is_plain(uint8_t c)
{
	return c != ' ' && c != '\t' && c != '\r';
}

/*
 * How many octets at the front of in are written as they are: words, with
 * single blanks and single line ends between them.
 */
static size_t
plain_length(struct bytes in)
{
	size_t k = 0;

	for (;;) {
		while (k < in.n && is_plain(in.p[k]))
			k++;
		if (in.n - k < 2)
			return k;
		if (in.p[k] == ' ' && is_plain(in.p[k + 1])) {
			k += 2;
		} else if (in.n - k > 2 && in.p[k] == '\r' &&
		    in.p[k + 1] == '\n' && is_plain(in.p[k + 2])) {
			k += 3;
		} else {
			return k;
		}
	}
}

int
dkim1_body_add(struct dkim1_body *b, struct bytes octets)
{
	struct bytes in = octets;
	int r;

	if (b->canon == DKIM1_SIMPLE)
		return canon_body_add(&b->simple, octets);
	while (in.n != 0) {
		uint8_t c = in.p[0];
		size_t n = 1;

		if (b->is_cr_held && c == '\n') {
			b->is_cr_held = b->is_blank_held = false;
			b->n_held++;
		} else if (b->is_cr_held) {
			/* a CR that no LF followed was no line end */
			r = body_flush(b);
			if (r != 0)
				return r;
			continue;
		} else if (ascii_is_wsp(c)) {
			b->is_blank_held = true;
		} else if (c == '\r') {
			b->is_cr_held = true;
		} else {
			r = body_flush(b);
			n = plain_length(in);
			if (r == 0)
				r = b->sink(b->to, bytes_first(in, n));
			if (r != 0)
				return r;
		}
		in = bytes_skip(in, n);
	}
	return 0;
}

int
dkim1_body_end(struct dkim1_body *b)
{
	int r = 0;

	if (b->canon == DKIM1_SIMPLE)
		return canon_body_end(&b->simple);
	if (b->is_cr_held)
		r = body_flush(b);
	/* A body of nothing but white space and line ends is empty. */
	if (r == 0 && b->is_begun)
		r = b->sink(b->to, BYTES_LIT("\r\n"));
	return r;
}
