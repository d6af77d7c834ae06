#include "dkim2/restore.h"

#include "base/buf.h"
#include "base/err.h"
#include "dkim2/canon.h"
#include "dkim2/recipe.h"

/* Past it no chain is one that verifies. */
#define CHAIN_FIELDS_MAX 128U
/*
 * Of the old body at most an eighth, and no more than this, may be missing in
 * the new one. Who takes the From and Message-ID of a message that the list
 * knows must not have its chain put on what he says; a server that strips
 * fields it does not know may well have changed a line or two. Where its
 * chain stands above it, in a part, half may be: a list manager that writes
 * the part anew quotes From_ lines and folds fields of parts in parts.
 */
#define LOST_SHARE 8U
#define LOST_WITHIN 2U
#define LOST_MAX 4096U

/* ---- chains -------------------------------------------------------------- */

bool
restore_is_chain_field(const struct dkim2_field *f)
{
	return bytes_case_eq(f->name, BYTES_LIT("DKIM2-Signature")) ||
	    bytes_case_eq(f->name, BYTES_LIT("Message-Instance"));
}

/* DKIM2 fields without white space, as they are signed. */
struct chain {
	struct bytes lines[CHAIN_FIELDS_MAX];
	size_t n;
	bool is_too_long;
};

static int
read_chain(struct chain *c, const struct dkim2_message *m, struct arena *a)
{
	int r = 0;

	*c = (struct chain){.n = 0};
	for (size_t k = 0; r == 0 && k < m->n_fields; k++) {
		const struct dkim2_field *f = m->fields + k;
		struct buf b;

		if (!restore_is_chain_field(f))
			continue;
		if (c->n == CHAIN_FIELDS_MAX) {
			c->is_too_long = true;
			break;
		}
		r = arena_buf(a, f->raw.n + 3, &b);
		if (r == 0)
			r = canon_signing_line(f->name, f->value, false,
			    canon_to_buf, &b);
		c->lines[c->n++] = buf_bytes(&b);
	}
	return r;
}

/* Whether every line of x is one of y. */
static bool
is_within(const struct chain *x, const struct chain *y)
{
	for (size_t k = 0; k < x->n; k++) {
		size_t at = 0;

		while (at < y->n && !bytes_eq(x->lines[k], y->lines[at]))
			at++;
		if (at == y->n)
			return false;
	}
	return true;
}

/* ---- proof --------------------------------------------------------------- */

/* The one field of a name; NULL where there is none, or another. */
static const struct dkim2_field *
only(const struct dkim2_message *m, struct bytes name)
{
	const struct dkim2_field *f = NULL;

	return dkim2_message_find(m, name, &f) == 1 ? f : NULL;
}

/* As the header hash has it, name and all. */
static int
canonical(const struct dkim2_field *f, struct arena *a, struct bytes *out)
{
	struct canon_field one = {f->name, f->value};
	struct canon_header h = {&one, 1};
	struct buf b;
	int r = arena_buf(a, f->raw.n + 3, &b);

	if (r == 0)
		r = canon_header_emit(&h, canon_to_buf, &b);
	if (r == 0)
		*out = buf_bytes(&b);
	return r;
}

static int
is_same_field(const struct dkim2_field *x, const struct dkim2_field *y,
    struct arena *a, bool *good)
{
	struct bytes one, other;
	int r = canonical(x, a, &one);

	if (r == 0)
		r = canonical(y, a, &other);
	*good = r == 0 && bytes_eq(one, other);
	return r;
}

static int
has_same_id(const struct dkim2_message *old, const struct dkim2_message *now,
    struct arena *a, bool *good)
{
	const struct dkim2_field *x = only(old, BYTES_LIT("Message-ID"));
	const struct dkim2_field *y = only(now, BYTES_LIT("Message-ID"));

	*good = false;
	if (x == NULL || y == NULL || bytes_trim(x->value).n == 0)
		return 0;
	return is_same_field(x, y, a, good);
}

/* Both From fields, read; false where one of them is unclear. */
static int
read_both(const struct dkim2_field *x, const struct dkim2_field *y,
    struct arena *a, struct restore_from *was, struct restore_from *is,
    bool *good)
{
	int r;

	*good = false;
	if (x == NULL || y == NULL)
		return 0;
	r = restore_from_read(was, x->value, a, good);
	if (r == 0 && *good)
		r = restore_from_read(is, y->value, a, good);
	return r;
}

static int
has_same_mailbox(const struct dkim2_message *old,
    const struct dkim2_message *now, struct arena *a, bool *good)
{
	struct restore_from was, is;
	int r = read_both(only(old, BYTES_LIT("From")),
	    only(now, BYTES_LIT("From")), a, &was, &is, good);

	*good = r == 0 && *good && restore_from_is_same_mailbox(&was, &is);
	return r;
}

/* Octets that the steps of a body say themselves, and lines that they copy. */
static void
count_steps(const struct recipe *r, size_t *n_lost, bool *has_copy)
{
	*n_lost = 0;
	*has_copy = false;
	for (size_t k = 0; k < r->body.n; k++) {
		const struct recipe_step *s = r->body.steps + k;

		*n_lost += s->lines.n;
		*has_copy = *has_copy || s->first != 0;
	}
}

static int
has_same_body(struct bytes old, struct bytes now, size_t share,
    struct arena *a, bool *good)
{
	const struct dkim2_message none = {.n_fields = 0};
	enum recipe_verdict v = RECIPE_INVALID;
	struct recipe recipe;
	enum dkim2_diff what;
	struct bytes json;
	size_t n_lost;
	bool has_copy;
	int r = dkim2_diff(&what, &json, a, &none, old, &none, now);

	*good = r == 0 && what == DKIM2_DIFF_NONE;
	if (r != 0 || what != DKIM2_DIFF_RECIPE)
		return r;
	r = recipe_parse(&recipe, json, a, &v);
	if (r != 0 || v != RECIPE_GOOD)
		return r;
	count_steps(&recipe, &n_lost, &has_copy);
	*good = has_copy && n_lost <= LOST_MAX && n_lost <= old.n / share;
	return 0;
}

static int
is_proven(const struct dkim2_message *old, struct bytes old_body,
    const struct dkim2_message *now, struct bytes now_body, size_t share,
    struct arena *a, bool *good)
{
	int r = has_same_id(old, now, a, good);

	if (r == 0 && *good)
		r = has_same_mailbox(old, now, a, good);
	if (r == 0 && *good)
		r = has_same_body(old_body, now_body, share, a, good);
	return r;
}

/* ---- what is to be put back ---------------------------------------------- */

struct both {
	const struct dkim2_message *old, *now;
	struct bytes old_body, now_body;
	struct arena *arena;
};

static int
look_inside(const struct both *b, const struct chain *was, unsigned *done)
{
	struct dkim2_message inner;
	struct bytes body;
	struct chain is;
	bool good;
	int r = dkim2_wrapped(&good, &inner, &body, b->arena, b->now,
	    b->now_body);

	if (r != 0 || !good)
		return r;
	r = read_chain(&is, &inner, b->arena);
	if (r != 0 || is.is_too_long || is.n != was->n ||
	    !is_within(was, &is))
		return r;
	r = is_proven(b->old, b->old_body, &inner, body, LOST_WITHIN,
	    b->arena, &good);
	if (r == 0 && good)
		*done |= DKIM2_RESTORED_WRAPPED;
	return r;
}

static int
look_at_chain(const struct both *b, unsigned *done)
{
	struct chain was, is;
	bool good;
	int r = read_chain(&was, b->old, b->arena);

	if (r == 0)
		r = read_chain(&is, b->now, b->arena);
	if (r != 0 || was.n == 0 || was.is_too_long || is.is_too_long ||
	    !is_within(&is, &was) || is_within(&was, &is))
		return r;
	r = is_proven(b->old, b->old_body, b->now, b->now_body, LOST_SHARE,
	    b->arena, &good);
	if (r == 0 && good)
		*done |= DKIM2_RESTORED_CHAIN;
	else if (r == 0)
		r = look_inside(b, &was, done);
	return r;
}

static int
look_at_from(const struct both *b, unsigned *done)
{
	const struct dkim2_field *x = only(b->old, BYTES_LIT("From"));
	const struct dkim2_field *y = only(b->now, BYTES_LIT("From"));
	struct restore_from was, is;
	bool good;
	int r;

	if (x == NULL || y == NULL)
		return 0;
	r = is_same_field(x, y, b->arena, &good);
	if (r != 0 || good)
		return r;
	r = read_both(x, y, b->arena, &was, &is, &good);
	if (r == 0 && good && restore_from_is_same(&was, &is))
		*done |= DKIM2_RESTORED_FROM;
	return r;
}

/* ---- the new header ------------------------------------------------------ */

static void
add_field(struct buf *out, const struct dkim2_field *f)
{
	buf_add(out, f->raw);
	if (!bytes_ends(f->raw, BYTES_LIT("\r\n")))
		buf_add_str(out, "\r\n");
}

static void
compose(const struct both *b, bool has_chain, bool has_from, struct buf *out)
{
	const struct dkim2_field *from = only(b->old, BYTES_LIT("From"));

	for (size_t k = 0; has_chain && k < b->old->n_fields; k++)
		if (restore_is_chain_field(b->old->fields + k))
			add_field(out, b->old->fields + k);
	for (size_t k = 0; k < b->now->n_fields; k++) {
		const struct dkim2_field *f = b->now->fields + k;

		if (has_chain && restore_is_chain_field(f))
			continue;
		if (has_from && bytes_case_eq(f->name, BYTES_LIT("From")))
			f = from;
		add_field(out, f);
	}
}

int
dkim2_restore(unsigned *done, struct dkim2_message *out, struct arena *a,
    const struct dkim2_message *old, struct bytes old_body,
    const struct dkim2_message *now, struct bytes now_body)
{
	const struct both b = {old, now, old_body, now_body, a};
	bool has_chain;
	struct buf room;
	int r;

	*done = 0;
	*out = *now;
	r = look_at_chain(&b, done);
	if (r == 0)
		r = look_at_from(&b, done);
	if (r != 0 || *done == 0) {
		*done = 0;
		return r;
	}
	has_chain = (*done & (DKIM2_RESTORED_CHAIN |
	    DKIM2_RESTORED_WRAPPED)) != 0;
	r = arena_room(a, old->header.n + now->header.n + 4, &room);
	if (r != 0)
		return r;
	compose(&b, has_chain, (*done & DKIM2_RESTORED_FROM) != 0, &room);
	return dkim2_message_parse(out, buf_bytes(&room),
	    old->n_fields + now->n_fields, a);
}
