#include "cli/story.h"

#include "base/err.h"

static void
add(struct story_changes *c, bool is_added, size_t line, struct bytes text)
{
	static const struct bytes no_name = {NULL, 0};

	c->n_all++;
	if (c->n < STORY_CHANGES_MAX)
		c->list[c->n++] = (struct story_change){is_added, no_name,
		    line, text};
}

/* A field, its value as it is hashed. */
static int
add_field(struct story_changes *c, bool is_added, struct bytes name,
    struct bytes value, struct arena *a)
{
	struct canon_field f = {BYTES_LIT("a"), value};
	const struct canon_header one = {&f, 1};
	struct buf line;

	c->n_all++;
	if (c->n == STORY_CHANGES_MAX)
		return 0;
	if (arena_buf(a, value.n + 4, &line) != 0)
		return -E_NOMEM;
	(void)canon_header_emit(&one, canon_to_buf, &line);
	value = bytes_skip(buf_bytes(&line), 2);
	value.n -= 2;
	c->list[c->n++] = (struct story_change){is_added, name, 0, value};
	return 0;
}

/* ---- header -------------------------------------------------------------- */

/* now[0 .. n_now) are the fields of this name, from the bottom up. */
static int
name_changes(struct story_changes *c, const struct recipe_name *r,
    const struct canon_field *now, size_t n_now, struct arena *a)
{
	struct bytes name = n_now != 0 ? now[0].name :
	    history_name(r->name, a);
	size_t at = 0;
	int failed = name.p == NULL ? -E_NOMEM : 0;

	for (size_t k = 0; failed == 0 && k <= r->list.n; k++) {
		bool is_end = k == r->list.n;
		const struct recipe_step *s = is_end ? NULL : &r->list.steps[k];
		size_t first = is_end ? n_now + 1 : s->first;
		struct bytes rest = is_end ? name : s->lines;

		for (size_t j = 0; first == 0 && failed == 0 &&
		    j < s->n_lines; j++) {
			struct bytes line = bytes_cut(&rest, '\n');

			line.n--;
			failed = add_field(c, false, name, line, a);
		}
		for (; failed == 0 && at + 1 < first && at < n_now; at++)
			failed = add_field(c, true, name, now[at].value, a);
		if (!is_end && first != 0)
			at = s->last;
	}
	return failed;
}

static int
header_changes(struct story_changes *c, const struct recipe *r,
    const struct canon_header *now, struct arena *a)
{
	size_t at = 0;
	int failed = 0;

	for (size_t k = 0; failed == 0 && k < r->n_names; k++) {
		size_t from, n = 0;

		while (at < now->n && canon_name_compare(now->fields[at].name,
		    r->names[k].name) < 0)
			at++;
		from = at;
		for (; at < now->n && bytes_case_eq(now->fields[at].name,
		    r->names[k].name); at++)
			n++;
		failed = name_changes(c, &r->names[k], now->fields + from, n,
		    a);
	}
	return failed;
}

/* ---- body ---------------------------------------------------------------- */

static bool
next_line(struct bytes *rest, struct bytes *line)
{
	size_t at;

	if (rest->n == 0)
		return false;
	at = bytes_find(*rest, BYTES_LIT("\r\n"));
	*line = bytes_first(*rest, at);
	*rest = bytes_skip(*rest, at + 2);
	return true;
}

/* The lines of a literal step: what was there before. */
static void
add_literals(struct story_changes *c, const struct recipe_step *s, size_t line)
{
	struct bytes rest = s->lines;

	for (size_t k = 0; k < s->n_lines; k++) {
		struct bytes text = bytes_cut(&rest, '\n');

		text.n--;
		add(c, false, line, text);
	}
}

static void
body_changes(struct story_changes *c, const struct recipe *r,
    struct bytes now)
{
	struct bytes rest = now, line;
	size_t at = 0;		/* lines behind us */

	for (size_t k = 0; k < r->body.n; k++) {
		const struct recipe_step *s = &r->body.steps[k];

		if (s->first == 0) {
			add_literals(c, s, at + 1);
			continue;
		}
		while (at + 1 < s->first && next_line(&rest, &line))
			add(c, true, ++at, line);
		while (at < s->last && next_line(&rest, &line))
			at++;
	}
	/* What is empty up to the end is not hashed. */
	while (bytes_ends(rest, BYTES_LIT("\r\n\r\n")) ||
	    bytes_eq(rest, BYTES_LIT("\r\n")))
		rest.n -= 2;
	while (next_line(&rest, &line))
		add(c, true, ++at, line);
}

int
story_changes_make(struct story_changes *out, const struct recipe *r,
    const struct history_state *now, struct arena *a)
{
	int failed;

	*out = (struct story_changes){arena_array(a, STORY_CHANGES_MAX,
	    sizeof(out->list[0])), 0, 0};
	if (out->list == NULL)
		return -E_NOMEM;
	failed = header_changes(out, r, &now->header, a);
	if (failed == 0 && r->has_body)
		body_changes(out, r, now->body);
	return failed;
}
