/*
 * Recipes: the input is JSON, a NUL, and a message that it is undone on.
 * What comes out is what a plain reading line by line gives, in hash order,
 * and never more than the budget.
 */
#include <stdlib.h>

#include "dkim2/recipe.h"

#define BUDGET 100000

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

/* The k-th line of b, from 1, without its end; false where there is none. */
static bool
line_at(struct bytes b, size_t k, struct bytes *line)
{
	while (b.n != 0) {
		size_t end = bytes_find(b, BYTES_LIT("\r\n"));

		*line = bytes_first(b, end);
		if (--k == 0)
			return true;
		b = bytes_skip(b, end + 2);
	}
	return false;
}

/* The slow and plain way: each line is looked for from the top. */
static bool
plain_undo(const struct recipe *r, struct bytes body, struct buf *out)
{
	for (size_t k = 0; k < r->body.n; k++) {
		const struct recipe_step *s = &r->body.steps[k];
		struct bytes line;

		buf_add(out, s->lines);
		for (size_t l = s->first; l != 0 && l <= s->last; l++) {
			if (!line_at(body, l, &line))
				return false;
			buf_add(out, line);
			buf_add_str(out, "\r\n");
			if (out->full)
				return true;
		}
	}
	return true;
}

static void
check_body(const struct recipe *r, struct bytes body, struct arena *a)
{
	struct recipe_body now = {&body, 1}, before;
	struct buf plain;
	size_t budget = BUDGET, at = 0;
	enum recipe_verdict v;
	bool fits;

	before.pieces = arena_array(a, now.n + r->body.n + 1,
	    sizeof(before.pieces[0]));
	need(before.pieces != NULL && arena_buf(a, BUDGET, &plain) == 0);
	v = recipe_undo_body(r, &now, &before, &budget);
	fits = plain_undo(r, body, &plain);
	if (plain.full) {
		need(v != RECIPE_GOOD);
		return;
	}
	need(v == (fits ? RECIPE_GOOD : RECIPE_INVALID));
	if (v != RECIPE_GOOD)
		return;
	need(before.n <= now.n + r->body.n + 1 && budget == BUDGET - plain.n);
	for (size_t k = 0; k < before.n; k++) {
		need(bytes_starts(bytes_skip(buf_bytes(&plain), at),
		    before.pieces[k]));
		at += before.pieces[k].n;
	}
	need(at == plain.n);
}

static void
check_header(const struct recipe *r, struct bytes header, struct arena *a)
{
	struct dkim2_message m;
	struct canon_header now, before;
	size_t budget = BUDGET, made = 0;

	if (dkim2_message_parse(&m, header, 1000, a) != 0)
		return;
	need(canon_header_sort(&now, &m, a) == 0);
	before.fields = arena_array(a, now.n + r->n_values,
	    sizeof(before.fields[0]));
	need(before.fields != NULL);
	if (recipe_undo_header(r, &now, &before, &budget) != RECIPE_GOOD)
		return;
	need(before.n <= now.n + r->n_values);
	for (size_t k = 0; k < before.n; k++) {
		made += before.fields[k].name.n + before.fields[k].value.n;
		need(k == 0 || canon_name_compare(before.fields[k - 1].name,
		    before.fields[k].name) <= 0);
	}
	need(made == BUDGET - budget);
	for (size_t k = 0; k < now.n; k++) {
		size_t had = 0, has = 0;

		if (recipe_names(r, now.fields[k].name))
			continue;
		for (size_t j = 0; j < now.n; j++)
			had += bytes_case_eq(now.fields[j].name,
			    now.fields[k].name);
		for (size_t j = 0; j < before.n; j++)
			has += bytes_case_eq(before.fields[j].name,
			    now.fields[k].name);
		need(had == has);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes message = {p, n}, json = bytes_cut(&message, '\0');
	struct arena *a = arena_new(64 << 20);
	struct recipe r;
	enum recipe_verdict v;
	size_t body_at = message.n;
	size_t header = dkim2_header_end(message, &body_at);

	if (a == NULL || n > 8192) {
		arena_free(&a);
		return 0;
	}
	need(recipe_parse(&r, json, a, &v) == 0);
	if (v == RECIPE_GOOD) {
		need(r.n_names != 0 || r.has_body);
		check_header(&r, bytes_first(message, header), a);
		if (r.has_body && !r.is_body_null)
			check_body(&r, bytes_skip(message, body_at), a);
	}
	arena_free(&a);
	return 0;
}
