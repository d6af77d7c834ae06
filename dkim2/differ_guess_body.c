#include "dkim2/differ_guess.h"

#include "base/err.h"

/* One search. */
struct search {
	const struct differ_target *target;
	struct differ_work *work;
	struct arena *arena;
	struct differ_guess *guess;
	struct dkim2_hasher now, copy;
};

/* ---- tries --------------------------------------------------------------- */

/* Without the line ends at its end, of which the hash has one. */
static struct bytes
text_of(struct bytes body)
{
	while (bytes_ends(body, BYTES_LIT("\r\n")))
		body.n -= 2;
	return body;
}

/* Says whether head and then tail, as they are, have the wanted hash. */
static int
try_octets(struct search *s, struct bytes head, struct bytes tail, bool *fits)
{
	uint8_t digest[DKIM2_HASH_MAX];
	struct dkim2_hasher h;
	int r;

	*fits = false;
	if (!guess_spend(s->work, head.n + tail.n))
		return 0;
	r = dkim2_hasher_init(&h, s->target->algorithm);
	if (r != 0)
		return r;
	r = dkim2_hasher_add(&h, head);
	if (r == 0)
		r = dkim2_hasher_add(&h, tail);
	if (r == 0)
		r = dkim2_hasher_end(&h, digest);
	dkim2_hasher_fini(&h);
	*fits = r == 0 && guess_is_digest(s->target, digest);
	return r;
}

/* Keeps the body that fits, and says why. */
static int
found(struct search *s, struct bytes head, struct bytes tail,
    struct bytes what)
{
	struct buf out;

	if (arena_buf(s->arena, head.n + tail.n, &out) != 0)
		return -E_NOMEM;
	buf_add(&out, head);
	buf_add(&out, tail);
	s->guess->body = buf_bytes(&out);
	s->guess->what = arena_copy(s->arena, what);
	return s->guess->what.p == NULL ? -E_NOMEM : 0;
}

static bool
is_found(const struct search *s)
{
	return s->guess->what.p != NULL;
}

/* ---- lines at the end ---------------------------------------------------- */

/* Says whether what `now` has taken, and then tail, has the wanted hash. */
static int
try_rest(struct search *s, struct bytes tail, bool *fits)
{
	uint8_t digest[DKIM2_HASH_MAX];
	int r = dkim2_hasher_copy(&s->copy, &s->now);

	if (r == 0)
		r = dkim2_hasher_add(&s->copy, tail);
	if (r == 0)
		r = dkim2_hasher_end(&s->copy, digest);
	*fits = r == 0 && guess_is_digest(s->target, digest);
	return r;
}

static struct bytes
cut_line(struct bytes *rest)
{
	size_t at = bytes_find(*rest, BYTES_LIT("\r\n"));
	struct bytes line = bytes_first(*rest, at);

	*rest = bytes_skip(*rest, at + 2);
	return line;
}

/*
 * Looks for lines at the top that alone have the wanted hash, in one pass.
 *
 * body     some form of it; form says which, "" as it came
 * is_whole the body as a whole was not tried yet
 */
static int
find_tail(struct search *s, struct bytes body, const char *form, bool is_whole)
{
	struct bytes rest = text_of(body), none = {NULL, 0};
	size_t n_lines = 0, n_all = rest.n;
	bool fits;
	int r;

	if (!guess_spend(s->work, rest.n))
		return 0;
	dkim2_hasher_fini(&s->now);
	r = dkim2_hasher_init(&s->now, s->target->algorithm);
	while (r == 0 && rest.n != 0) {
		struct bytes line = cut_line(&rest);
		struct bytes head = bytes_between(body.p, line.p + line.n);
		char text[512];
		struct buf what = BUF_ON(text);

		r = dkim2_hasher_add(&s->now, line);
		if (r == 0)
			r = dkim2_hasher_add(&s->now, BYTES_LIT("\r\n"));
		n_lines++;
		if (r != 0 || line.n == 0 || (rest.n == 0 && !is_whole))
			continue;
		if (!guess_spend(s->work, 0))
			break;
		r = try_rest(s, none, &fits);
		if (r != 0 || !fits)
			continue;
		buf_printf(&what, "it fits %s", form);
		if (head.n < n_all)
			buf_printf(&what, "%sthe first %zu octets (%zu "
			    "line%s): what follows was added later",
			    *form == '\0' ? "" : ", and then ", head.n + 2,
			    n_lines, n_lines == 1 ? "" : "s");
		return found(s, head, BYTES_LIT("\r\n"), buf_bytes(&what));
	}
	return r;
}

/* ---- lines at the top, or inside ----------------------------------------- */

static int
find_head(struct search *s, struct bytes body)
{
	struct bytes text = text_of(body), rest = text;
	size_t n_lines = 0;
	int r = 0;

	while (r == 0 && rest.n != 0 && !s->work->is_out) {
		char said[256];
		struct buf what = BUF_ON(said);
		bool fits;

		(void)cut_line(&rest);
		n_lines++;
		if (rest.n == 0)
			break;
		r = try_octets(s, rest, BYTES_LIT("\r\n"), &fits);
		if (r != 0 || !fits)
			continue;
		buf_printf(&what, "it fits without the first %zu line%s: %s "
		    "put in front later", n_lines, n_lines == 1 ? "" : "s",
		    n_lines == 1 ? "it was" : "they were");
		return found(s, rest, BYTES_LIT("\r\n"), buf_bytes(&what));
	}
	return r;
}

static size_t
count_lines(struct bytes rest)
{
	size_t n = 0;

	while (rest.n != 0) {
		(void)cut_line(&rest);
		n++;
	}
	return n;
}

/*
 * Tries the body without lines from `line` on, up to n of them; `now` has
 * taken what stands before.
 */
static int
find_range(struct search *s, struct bytes text, struct bytes from, size_t line,
    size_t n)
{
	struct bytes head = bytes_between(text.p, from.p), rest = from;
	int r = 0;

	for (size_t k = 0; r == 0 && k < n && rest.n != 0; k++) {
		char said[256];
		struct buf what = BUF_ON(said);
		bool fits;

		(void)cut_line(&rest);
		if (rest.n == 0 || !guess_spend(s->work, rest.n))
			break;
		r = try_rest(s, rest, &fits);
		if (r != 0 || !fits)
			continue;
		if (k == 0)
			buf_printf(&what, "it fits without line %zu: it was "
			    "put in later", line);
		else
			buf_printf(&what, "it fits without lines %zu to %zu: "
			    "they were put in later", line, line + k);
		r = found(s, head, rest, buf_bytes(&what));
		break;
	}
	return r;
}

static int
find_inside(struct search *s, struct bytes body)
{
	struct bytes text, rest;
	size_t n_lines, line = 0, n;
	int r = differ_body_canonical(body, s->arena, &text);

	rest = text;
	n_lines = count_lines(text);
	if (r != 0 || n_lines < 3)
		return r;
	/* From each line on so many that half of what is left is enough. */
	n = s->work->left / 2 / n_lines / (text.n / 2 + GUESS_TRY_MIN);
	dkim2_hasher_fini(&s->now);
	r = dkim2_hasher_init(&s->now, s->target->algorithm);
	if (n < n_lines)
		s->work->is_out = true;
	while (r == 0 && rest.n != 0 && n != 0 && !is_found(s)) {
		struct bytes one;

		line++;
		r = find_range(s, text, rest, line, n);
		one = cut_line(&rest);
		if (r == 0)
			r = dkim2_hasher_add(&s->now, one);
		if (r == 0)
			r = dkim2_hasher_add(&s->now, BYTES_LIT("\r\n"));
	}
	return r;
}

/* ---- all of it in another form ------------------------------------------- */

/* Forms that the hash of DKIM2 does not have: signers that went wrong. */
static int
try_signer_faults(struct search *s, struct bytes body)
{
	struct bytes none = {NULL, 0};
	bool fits;
	int r = try_octets(s, none, none, &fits);

	if (r == 0 && fits)
		return found(s, none, none, BYTES_LIT("it fits no octets at "
		    "all: the signer hashed an empty body without its CRLF"));
	if (r == 0)
		r = try_octets(s, none, BYTES_LIT("\r\n"), &fits);
	if (r == 0 && fits)
		return found(s, none, BYTES_LIT("\r\n"), BYTES_LIT("it fits an "
		    "empty body: all of it was added later"));
	if (r == 0)
		r = try_octets(s, text_of(body), none, &fits);
	if (r == 0 && fits)
		return found(s, text_of(body), BYTES_LIT("\r\n"),
		    BYTES_LIT("it fits without the CRLF of the last line: the "
		    "signer did not use the form of DKIM2"));
	if (r == 0)
		r = try_octets(s, body, none, &fits);
	if (r == 0 && fits)
		return found(s, body, none, BYTES_LIT("it fits with all empty "
		    "lines at its end: the signer did not use the form of "
		    "DKIM2"));
	return r;
}

static int
try_form(struct search *s, struct bytes body, const struct guess_form *f,
    struct buf *room)
{
	struct bytes none = {NULL, 0};
	bool fits = false;
	int r;

	room->n = 0;
	room->full = false;
	if (!guess_spend(s->work, body.n) || !f->make(body, room) ||
	    room->full)
		return 0;
	/* LF alone: there is no CRLF to end it with. */
	r = try_octets(s, buf_bytes(room), none, &fits);
	if (r == 0 && fits) {
		char said[512];
		struct buf what = BUF_ON(said);

		buf_printf(&what, "it fits %s", f->what);
		return found(s, buf_bytes(room), none, buf_bytes(&what));
	}
	return r != 0 ? r : find_tail(s, buf_bytes(room), f->what, true);
}

static int
try_forms(struct search *s, struct bytes body)
{
	struct buf room;
	int r = 0;

	if (body.n > s->work->left / 16) {
		s->work->is_out = true;
		return 0;
	}
	if (arena_buf(s->arena, 9 * body.n + 16, &room) != 0)
		return -E_NOMEM;
	for (size_t k = 0; r == 0 && !is_found(s) && k < guess_n_body_forms;
	    k++)
		r = try_form(s, body, &guess_body_forms[k], &room);
	return r;
}

int
differ_guess_body(struct differ_guess *g, struct bytes is,
    const struct differ_target *t, struct differ_work *work, struct arena *a)
{
	struct search s = {t, work, a, g, {NULL}, {NULL}};
	int r;

	*g = (struct differ_guess){.what = {NULL, 0}};
	r = dkim2_hasher_init(&s.copy, t->algorithm);
	if (r == 0)
		r = find_tail(&s, is, "", false);
	if (r == 0 && !is_found(&s))
		r = try_signer_faults(&s, is);
	if (r == 0 && !is_found(&s))
		r = try_forms(&s, is);
	if (r == 0 && !is_found(&s))
		r = find_head(&s, is);
	if (r == 0 && !is_found(&s))
		r = find_inside(&s, is);
	dkim2_hasher_fini(&s.now);
	dkim2_hasher_fini(&s.copy);
	return r;
}
