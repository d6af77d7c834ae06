#include "dkim2/recipe.h"

/* ---- header ------------------------------------------------------------- */

/* Takes n octets off the budget; false where it does not hold them. */
static bool
spend(size_t *budget, size_t n)
{
	if (n > *budget)
		return false;
	*budget -= n;
	return true;
}

static bool
add_field(struct canon_header *to, struct canon_field f, size_t *budget)
{
	to->fields[to->n++] = f;
	return spend(budget, f.name.n + f.value.n);
}

/* Makes the fields of one name from those there are now. */
static enum recipe_verdict
undo_name(const struct recipe_name *name, const struct canon_field *now,
    size_t n_now, struct canon_header *to, size_t *budget)
{
	for (size_t k = 0; k < name->list.n; k++) {
		const struct recipe_step *s = &name->list.steps[k];
		struct bytes rest = s->lines;

		if (s->first != 0 && s->last > n_now)
			return RECIPE_INVALID;
		for (size_t c = s->first; c != 0 && c <= s->last; c++)
			if (!add_field(to, now[c - 1], budget))
				return RECIPE_TOO_MUCH;
		for (size_t l = 0; l < s->n_lines; l++) {
			struct bytes line = bytes_cut(&rest, '\n');

			line.n--;
			if (!add_field(to, (struct canon_field){name->name,
			    line}, budget))
				return RECIPE_TOO_MUCH;
		}
	}
	return RECIPE_GOOD;
}

enum recipe_verdict
recipe_undo_header(const struct recipe *r, const struct canon_header *from,
    struct canon_header *to, size_t *budget)
{
	size_t at = 0;

	to->n = 0;
	for (size_t k = 0; ; k++) {
		bool is_rest = k == r->n_names;
		const struct recipe_name *name = is_rest ? NULL : &r->names[k];
		enum recipe_verdict v;
		size_t begin;

		while (at < from->n && (is_rest || canon_name_compare(
		    from->fields[at].name, name->name) < 0))
			if (!add_field(to, from->fields[at++], budget))
				return RECIPE_TOO_MUCH;
		if (is_rest)
			return RECIPE_GOOD;
		begin = at;
		while (at < from->n && bytes_case_eq(from->fields[at].name,
		    name->name))
			at++;
		v = undo_name(name, from->fields + begin, at - begin, to,
		    budget);
		if (v != RECIPE_GOOD)
			return v;
	}
}

/* ---- body --------------------------------------------------------------- */

/* Where reading a state of the body has come to. */
struct cursor {
	const struct recipe_body *body;
	size_t piece;
	size_t at;		/* in it */
	size_t line;		/* lines behind us */
};

/*
 * The octets of the first *n lines of a piece, with their ends; *n is set to
 * how many lines they are, where there are fewer. A line ends with CRLF; an
 * LF alone is an octet like any other.
 */
static struct bytes
first_lines(struct bytes piece, size_t *n)
{
	size_t at = 0, found = 0;

	while (found < *n && at < piece.n) {
		const uint8_t *lf = memchr(piece.p + at, '\n', piece.n - at);

		at = lf == NULL ? piece.n : (size_t)(lf - piece.p) + 1;
		if (at == piece.n || (at >= 2 && piece.p[at - 2] == '\r'))
			found++;
	}
	*n = found;
	return bytes_first(piece, at);
}

/*
 * The next lines, up to n, as far as they stand in one piece; false where
 * there is none.
 */
static bool
next_lines(struct cursor *c, size_t n, struct bytes *lines)
{
	while (c->piece < c->body->n &&
	    c->at == c->body->pieces[c->piece].n) {
		c->piece++;
		c->at = 0;
	}
	if (c->piece == c->body->n)
		return false;
	*lines = first_lines(bytes_skip(c->body->pieces[c->piece], c->at),
	    &n);
	c->at += lines->n;
	c->line += n;
	return true;
}

/* Adds octets, to the last piece where they stand right behind it. */
static bool
add_piece(struct recipe_body *to, struct bytes b, size_t *budget)
{
	struct bytes *last = to->n == 0 ? NULL : &to->pieces[to->n - 1];

	if (last != NULL && last->p + last->n == b.p)
		last->n += b.n;
	else
		to->pieces[to->n++] = b;
	return spend(budget, b.n);
}

static enum recipe_verdict
undo_copy(const struct recipe_step *s, struct cursor *c,
    struct recipe_body *to, size_t *budget)
{
	struct bytes lines;

	while (c->line < s->first - 1)
		if (!next_lines(c, s->first - 1 - c->line, &lines))
			return RECIPE_INVALID;
	while (c->line < s->last) {
		if (!next_lines(c, s->last - c->line, &lines))
			return RECIPE_INVALID;
		if (!add_piece(to, lines, budget))
			return RECIPE_TOO_MUCH;
		/* What was the last line gets its end. */
		if (!bytes_ends(lines, BYTES_LIT("\r\n")) &&
		    !add_piece(to, BYTES_LIT("\r\n"), budget))
			return RECIPE_TOO_MUCH;
	}
	return RECIPE_GOOD;
}

enum recipe_verdict
recipe_undo_body(const struct recipe *r, const struct recipe_body *from,
    struct recipe_body *to, size_t *budget)
{
	struct cursor c = {from, 0, 0, 0};

	to->n = 0;
	for (size_t k = 0; k < r->body.n; k++) {
		const struct recipe_step *s = &r->body.steps[k];
		enum recipe_verdict v = RECIPE_GOOD;

		if (s->first != 0)
			v = undo_copy(s, &c, to, budget);
		else if (!add_piece(to, s->lines, budget))
			v = RECIPE_TOO_MUCH;
		if (v != RECIPE_GOOD)
			return v;
	}
	return RECIPE_GOOD;
}
