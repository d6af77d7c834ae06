/* The recipe that leads from a message as it leaves back to what came. */
#include "dkim2/dkim2.h"

#include "base/ascii.h"
#include "base/b64.h"
#include "base/err.h"
#include "base/utf8.h"
#include "dkim2/canon.h"
#include "dkim2/crypto.h"
#include "dkim2/diff_runs.h"
#include "dkim2/recipe.h"
#include "dkim2/unsigned.h"

/* What base64 and folds make of it stays under 64 KiB. */
#define RECIPE_MAX 47000U
#define LINES_MAX ((size_t)1 << 18)	/* on each side, where they differ */
#define FINDS_MAX 16			/* places where the old part may lie */
#define COPY_COST 24U			/* `]},{"c":[N,N]},{"d":[` with short N */

static const struct bytes crlf = BYTES_LIT("\r\n");

/* ---- writing steps ------------------------------------------------------------ */

/* Writes one list of steps; text is full, or is_bad, where it cannot be. */
struct steps {
	struct buf *text;
	char kind;		/* of the step that is open: d, u, or 0 */
	bool is_begun;
	bool is_bad;		/* a line that no literal can hold */
	bool is_tight;		/* short copies are written out */
};

static void
put_escaped(struct buf *text, struct bytes b)
{
	for (size_t k = 0; k < b.n; k++) {
		uint8_t c = b.p[k];

		if (c == '"' || c == '\\')
			buf_add_octet(text, '\\');
		if (c == '\t')
			buf_add_str(text, "\\t");
		else if (c < ' ' || c == 0x7f)
			buf_printf(text, "\\u%04x", c);
		else
			buf_add_octet(text, c);
	}
}

static void
steps_begin(struct steps *s, struct buf *text, bool is_tight)
{
	*s = (struct steps){.text = text, .is_tight = is_tight};
	buf_add_octet(text, '[');
}

static void
close_step(struct steps *s)
{
	if (s->kind != 0)
		buf_add_str(s->text, "]}");
	s->kind = 0;
}

static void
open_step(struct steps *s, char kind)
{
	close_step(s);
	buf_printf(s->text, "%s{\"%c\":[", s->is_begun ? "," : "", kind);
	s->is_begun = true;
	s->kind = kind;
}

/* Copies lines first to last of what is there now, from 1. */
static void
put_copy(struct steps *s, size_t first, size_t last)
{
	open_step(s, 'c');
	buf_printf(s->text, "%zu,%zu", first, last);
	close_step(s);
}

/* "d" is for text; other octets go as they are, in "u" (draft 5). */
static char
kind_of(struct bytes line)
{
	while (line.n != 0) {
		size_t n = utf8_length(line);

		if (n == 0)
			return 'u';
		line = bytes_skip(line, n);
	}
	return 'd';
}

static void
put_literal(struct steps *s, struct bytes line)
{
	char kind = kind_of(line);

	if (bytes_index(line, '\r') < line.n ||
	    bytes_index(line, '\n') < line.n ||
	    bytes_index(line, '\0') < line.n) {
		s->is_bad = true;
		return;
	}
	if (kind != s->kind)
		open_step(s, kind);
	else
		buf_add_octet(s->text, ',');
	buf_add_octet(s->text, '"');
	if (kind == 'd')
		put_escaped(s->text, line);
	else
		b64_encode(line, s->text);
	buf_add_octet(s->text, '"');
}

static void
steps_end(struct steps *s)
{
	close_step(s);
	buf_add_octet(s->text, ']');
}

/* ---- header ------------------------------------------------------------------- */

/* The values of one name, canonical, from the bottom upward. */
struct values {
	struct bytes *v;
	size_t n;
};

/* As the header hash has it: folds undone, white space in single blanks. */
static int
canonical(struct canon_field field, struct arena *a, struct bytes *out)
{
	struct canon_header one = {&field, 1};
	struct buf b;
	int r = arena_buf(a, field.name.n + field.value.n + 3, &b);

	if (r == 0)
		r = canon_header_emit(&one, canon_to_buf, &b);
	if (r != 0)
		return r;
	*out = bytes_skip(buf_bytes(&b), field.name.n + 1);
	out->n -= 2;
	return 0;
}

/* Takes the fields of a name from *at on. */
static int
take_values(const struct canon_header *h, size_t *at, struct bytes name,
    struct arena *a, struct values *out)
{
	size_t end = *at;
	int r = 0;

	while (end < h->n && bytes_case_eq(h->fields[end].name, name))
		end++;
	out->n = end - *at;
	out->v = arena_array(a, out->n, sizeof(*out->v));
	if (out->v == NULL)
		return -E_NOMEM;
	for (size_t k = 0; r == 0 && k < out->n; k++)
		r = canonical(h->fields[*at + k], a, &out->v[k]);
	*at = end;
	return r;
}

static bool
values_are_equal(const struct values *x, const struct values *y)
{
	if (x->n != y->n)
		return false;
	for (size_t k = 0; k < x->n; k++)
		if (!bytes_eq(x->v[k], y->v[k]))
			return false;
	return true;
}

/*
 * Whether lines between literals cost less as literals of the same kind than
 * the end of a step, a copy, and the beginning of the next step.
 */
static bool
is_short(const struct steps *s, const struct bytes *lines, size_t n)
{
	size_t cost = 0;

	for (size_t k = 0; k < n && cost <= COPY_COST; k++) {
		if (kind_of(lines[k]) != s->kind)
			return false;
		cost += lines[k].n + 3;
	}
	return cost <= COPY_COST;
}

/* Steps that make the lines of old from those of now. */
static int
put_lines(struct steps *s, const struct values *old, const struct values *now,
    size_t now_before, struct arena *a)
{
	struct diff_run *runs;
	size_t n_runs, work, at = 0;
	int r = diff_runs_find(old->v, old->n, now->v, now->n, a, &runs,
	    &n_runs, &work);

	if (r != 0)
		return r;
	for (size_t k = 0; k < n_runs; k++) {
		size_t end = runs[k].old_at + runs[k].n;

		while (at < runs[k].old_at)
			put_literal(s, old->v[at++]);
		if (s->is_tight && end < old->n &&
		    (k + 1 == n_runs || end < runs[k + 1].old_at) &&
		    is_short(s, old->v + at, runs[k].n))
			continue;
		put_copy(s, now_before + runs[k].now_at + 1,
		    now_before + runs[k].now_at + runs[k].n);
		at += runs[k].n;
	}
	while (at < old->n)
		put_literal(s, old->v[at++]);
	return 0;
}

struct work {
	struct arena *arena;
	struct buf text;
	bool has_header, has_body, is_bad;
	bool is_tight;
	bool is_hopeless;	/* too long, however it is written */
};

static int
put_name(struct work *w, struct bytes name, const struct values *old,
    const struct values *now)
{
	struct steps s;
	int r;

	buf_add_str(&w->text, w->has_header ? ",\"" : "\"h\":{\"");
	w->has_header = true;
	for (size_t k = 0; k < name.n; k++) {
		uint8_t c = ascii_lower(name.p[k]);

		put_escaped(&w->text, (struct bytes){&c, 1});
	}
	buf_add_str(&w->text, "\":");
	steps_begin(&s, &w->text, w->is_tight);
	r = put_lines(&s, old, now, 0, w->arena);
	steps_end(&s);
	w->is_bad = w->is_bad || s.is_bad;
	return r;
}

/* Every name of either header, in order; those that differ are written. */
static int
diff_header(struct work *w, const struct canon_header *old,
    const struct canon_header *now)
{
	size_t x = 0, y = 0;
	int r = 0;

	while (r == 0 && (x < old->n || y < now->n)) {
		bool is_old = y == now->n || (x < old->n &&
		    canon_name_compare(old->fields[x].name,
		    now->fields[y].name) <= 0);
		struct bytes name = is_old ? old->fields[x].name :
		    now->fields[y].name;
		struct values was, is;

		if (unsigned_is(name)) {
			x += is_old;
			y += !is_old;
			continue;
		}
		r = take_values(old, &x, name, w->arena, &was);
		if (r == 0)
			r = take_values(now, &y, name, w->arena, &is);
		if (r == 0 && !values_are_equal(&was, &is))
			r = put_name(w, name, &was, &is);
	}
	if (w->has_header)
		buf_add_octet(&w->text, '}');
	return r;
}

/* ---- body --------------------------------------------------------------------- */

/*
 * Lines of a body, between CRLFs: none where p is NULL. The last line has no
 * CRLF behind it here, and is never empty in a whole body.
 */
static struct bytes
core_of(struct bytes body)
{
	while (bytes_ends(body, crlf))
		body.n -= 2;
	return body.n == 0 ? (struct bytes){NULL, 0} : body;
}

static struct bytes
first_line(struct bytes *core)
{
	size_t n = bytes_find(*core, crlf);
	struct bytes line = bytes_first(*core, n);

	if (n == core->n)
		*core = (struct bytes){NULL, 0};
	else
		*core = bytes_skip(*core, n + 2);
	return line;
}

static struct bytes
last_line(struct bytes *core)
{
	struct bytes before = *core, line = *core;

	while (before.n != 0) {
		const uint8_t *lf = memrchr(before.p, '\n', before.n);

		before.n = lf == NULL ? 0 : (size_t)(lf - before.p);
		if (before.n != 0 && before.p[before.n - 1] == '\r') {
			line = bytes_skip(*core, before.n + 1);
			core->n = before.n - 1;
			return line;
		}
	}
	*core = (struct bytes){NULL, 0};
	return line;
}

static size_t
count_lines(struct bytes core)
{
	size_t n = 0;

	while (core.p != NULL) {
		(void)first_line(&core);
		n++;
	}
	return n;
}

/* Whether a line ends before octet `at` of a core. */
static bool
is_line_end(struct bytes core, size_t at)
{
	return at == core.n || bytes_starts(bytes_skip(core, at), crlf);
}

/* Takes equal lines off the front, all at once; how many. */
static size_t
take_head(struct bytes *old, struct bytes *now)
{
	size_t n = bytes_common(*old, *now);
	struct bytes head = bytes_first(*old, n);

	if (old->p == NULL || now->p == NULL)
		return 0;
	if (!is_line_end(*old, n) || !is_line_end(*now, n)) {
		(void)last_line(&head);	/* it differs further on */
		n = head.n;
	}
	if (head.p == NULL)
		return 0;
	*old = n == old->n ? (struct bytes){NULL, 0} :
	    bytes_skip(*old, n + crlf.n);
	*now = n == now->n ? (struct bytes){NULL, 0} :
	    bytes_skip(*now, n + crlf.n);
	return count_lines(head);
}

/* Takes equal lines off the end, one at a time; how many. */
static size_t
take_tail(struct bytes *old, struct bytes *now)
{
	size_t n = 0;

	while (old->p != NULL && now->p != NULL) {
		struct bytes x = *old, y = *now;

		if (!bytes_eq(last_line(&x), last_line(&y)))
			break;
		*old = x;
		*now = y;
		n++;
	}
	return n;
}

/*
 * Where all lines of old stand in now one behind the other, as when a list
 * manager wraps a message into a part of a new one.
 *
 * Returns  false where they do not; else *before has the lines before them
 */
static bool
find_whole(struct bytes old, struct bytes now, size_t *before)
{
	struct bytes rest = now;

	for (unsigned k = 0; k < FINDS_MAX && rest.n != 0; k++) {
		size_t at = bytes_find(rest, old);
		struct bytes head, tail;

		if (at == rest.n)
			return false;
		head = bytes_first(now, now.n - rest.n + at);
		tail = bytes_skip(rest, at + old.n);
		if ((head.n == 0 || bytes_ends(head, crlf)) &&
		    (tail.n == 0 || bytes_starts(tail, crlf))) {
			*before = head.n == 0 ? 0 :
			    count_lines(bytes_first(head, head.n - 2));
			return true;
		}
		rest = bytes_skip(rest, at + 1);
	}
	return false;
}

/* The lines of a part, or -E_NOMEM. */
static int
lines_of(struct bytes core, size_t n, struct arena *a, struct values *out)
{
	out->n = n;
	out->v = arena_array(a, n, sizeof(*out->v));
	if (out->v == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < n; k++)
		out->v[k] = first_line(&core);
	return 0;
}

/*
 * Whether the recipe would be too long whatever is copied, as where all of a
 * body was encoded anew: the search would be long, too.
 */
static int
is_hopeless(const struct values *was, const struct values *is,
    struct arena *a, bool *yes)
{
	size_t n = 0, lost;
	int r;

	*yes = false;
	for (size_t k = 0; k < was->n && n <= RECIPE_MAX; k++)
		n += was->v[k].n;
	if (n <= RECIPE_MAX)
		return 0;
	r = diff_runs_lost(was->v, was->n, is->v, is->n, a, &lost);
	*yes = r == 0 && lost > RECIPE_MAX;
	return r;
}

/* What is left between equal lines at both ends. */
static int
put_middle(struct work *w, struct steps *s, struct bytes old,
    struct bytes now, size_t n_now, size_t now_before)
{
	size_t n_old = count_lines(old), at;
	struct values was, is;
	int r;

	if (n_old == 0)
		return 0;
	if (n_now != 0 && find_whole(old, now, &at)) {
		put_copy(s, now_before + at + 1, now_before + at + n_old);
		return 0;
	}
	if (n_old > LINES_MAX || n_now > LINES_MAX) {
		s->is_bad = true;
		return 0;
	}
	r = lines_of(old, n_old, w->arena, &was);
	if (r == 0)
		r = lines_of(now, n_now, w->arena, &is);
	if (r == 0)
		r = is_hopeless(&was, &is, w->arena, &w->is_hopeless);
	if (w->is_hopeless)
		w->text.full = true;
	return r != 0 || w->is_hopeless ? r :
	    put_lines(s, &was, &is, now_before, w->arena);
}

static int
diff_body(struct work *w, struct bytes old_body, struct bytes now_body)
{
	struct bytes old = core_of(old_body), now = core_of(now_body);
	size_t n_now, before, behind;
	struct steps s;
	int r;

	if (bytes_eq(old, now))
		return 0;
	w->has_body = true;
	before = take_head(&old, &now);
	behind = take_tail(&old, &now);
	n_now = count_lines(now);
	buf_add_str(&w->text, w->has_header ? ",\"b\":" : "\"b\":");
	steps_begin(&s, &w->text, w->is_tight);
	if (before != 0)
		put_copy(&s, 1, before);
	r = put_middle(w, &s, old, now, n_now, before);
	if (behind != 0)
		put_copy(&s, before + n_now + 1, before + n_now + behind);
	steps_end(&s);
	w->is_bad = w->is_bad || s.is_bad;
	return r;
}

/* ---- proof -------------------------------------------------------------------- */

static int
hash_header(const struct canon_header *h, uint8_t *digest)
{
	struct dkim2_hasher x;
	int r = dkim2_hasher_init(&x, DKIM2_SHA256);

	if (r == 0)
		r = canon_header_emit(h, canon_to_hasher, &x);
	if (r == 0)
		r = dkim2_hasher_end(&x, digest);
	dkim2_hasher_fini(&x);
	return r;
}

/* What is left of a canonical body while it is compared. */
struct expected {
	struct bytes core, end;
	bool is_other;
};

/* A canon_sink. */
static int
compare(void *to, struct bytes octets)
{
	struct expected *e = to;
	struct bytes head = bytes_first(octets, e->core.n);
	struct bytes tail = bytes_skip(octets, head.n);

	if (!bytes_starts(e->core, head) || !bytes_starts(e->end, tail))
		e->is_other = true;
	e->core = bytes_skip(e->core, head.n);
	e->end = bytes_skip(e->end, tail.n);
	return 0;
}

/*
 * Whether what is hashed of a body that was undone is what is hashed of old.
 * The octets themselves are compared: they need not be hashed twice.
 */
static int
is_hashed_alike(struct bytes old, const struct recipe_body *undone,
    bool *good)
{
	struct expected e = {core_of(old), crlf, false};
	struct canon_body c;
	int r = 0;

	canon_body_init(&c, compare, &e);
	for (size_t k = 0; r == 0 && k < undone->n; k++)
		r = canon_body_add(&c, undone->pieces[k]);
	if (r == 0)
		r = canon_body_end(&c);
	*good = r == 0 && !e.is_other && e.core.n == 0 && e.end.n == 0;
	return r;
}

/* Undoes the header; *good where that is what was hashed before. */
static int
prove_header(struct work *w, const struct recipe *recipe,
    const struct canon_header *old, const struct canon_header *now,
    size_t *budget, bool *good)
{
	uint8_t wanted[DKIM2_HASH_MAX], got[DKIM2_HASH_MAX];
	struct canon_header undone;
	int r;

	*good = false;
	undone.fields = arena_array(w->arena, now->n + recipe->n_values,
	    sizeof(*undone.fields));
	if (undone.fields == NULL)
		return -E_NOMEM;
	if (recipe_undo_header(recipe, now, &undone, budget) != RECIPE_GOOD)
		return 0;
	r = hash_header(old, wanted);
	if (r == 0)
		r = hash_header(&undone, got);
	*good = r == 0 && memcmp(wanted, got, DKIM2_DIGEST) == 0;
	return r;
}

static int
prove_body(struct work *w, const struct recipe *recipe, struct bytes old_body,
    struct bytes now_body, size_t *budget, bool *good)
{
	struct recipe_body now = {&now_body, 1}, undone = now;

	*good = false;
	if (recipe->has_body) {
		/* each copy is a piece, and may need a line end of its own */
		undone.pieces = arena_array(w->arena,
		    1 + 2 * recipe->body.n + 1, sizeof(*undone.pieces));
		if (undone.pieces == NULL)
			return -E_NOMEM;
		if (recipe_undo_body(recipe, &now, &undone, budget) !=
		    RECIPE_GOOD)
			return 0;
	}
	return is_hashed_alike(old_body, &undone, good);
}

/*
 * Writes all that differs. What is too long that way is written once more,
 * with an eye to the length: as a rule a copy says better what was kept.
 */
static int
write_recipe(struct work *w, const struct canon_header *was,
    struct bytes old_body, const struct canon_header *is,
    struct bytes now_body)
{
	struct work empty = *w;
	int r = 0;

	for (unsigned k = 0; r == 0 && k < 2; k++) {
		if (k == 1 && (!w->text.full || w->is_bad ||
		    w->is_hopeless))
			break;
		*w = empty;
		w->is_tight = k == 1;
		buf_add_octet(&w->text, '{');
		r = diff_header(w, was, is);
		if (r == 0)
			r = diff_body(w, old_body, now_body);
		buf_add_octet(&w->text, '}');
	}
	return r;
}

int
dkim2_diff(enum dkim2_diff *what, struct bytes *json, struct arena *a,
    const struct dkim2_message *old, struct bytes old_body,
    const struct dkim2_message *now, struct bytes now_body)
{
	struct work w = {.arena = a};
	struct canon_header was, is;
	struct dkim2_limits limits;
	struct recipe recipe;
	enum recipe_verdict v;
	size_t budget;
	bool good;
	int r = canon_header_sort(&was, old, a);

	*what = DKIM2_DIFF_CANNOT;
	dkim2_limits_default(&limits);
	budget = limits.max_undo;
	if (r == 0)
		r = canon_header_sort(&is, now, a);
	if (r == 0)
		r = arena_room(a, RECIPE_MAX, &w.text);
	if (r == 0)
		r = write_recipe(&w, &was, old_body, &is, now_body);
	if (r != 0 || w.is_bad)
		return r;
	if (w.text.full || (!w.has_header && !w.has_body)) {
		*what = w.text.full ? DKIM2_DIFF_LONG : DKIM2_DIFF_NONE;
		return 0;
	}
	*json = buf_bytes(&w.text);
	r = recipe_parse(&recipe, *json, a, &v);
	if (r != 0 || v != RECIPE_GOOD)
		return r;
	r = prove_header(&w, &recipe, &was, &is, &budget, &good);
	if (r == 0 && good)
		r = prove_body(&w, &recipe, old_body, now_body, &budget, &good);
	if (r == 0 && good)
		*what = DKIM2_DIFF_RECIPE;
	return r;
}
