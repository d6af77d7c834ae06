#include "dkim2/recipe.h"

#include <assert.h>

#include "base/ascii.h"
#include "base/b64.h"
#include "base/err.h"
#include "base/json.h"
#include "base/sort.h"
#include "dkim2/draft.h"

/* ---- reading ------------------------------------------------------------ */

/*
 * What is known to be JSON without doubled keys is read into tables that
 * were made large enough before.
 */
struct reader {
	struct json j;
	struct recipe_step *steps;
	size_t n_steps;
	struct recipe_name *names;
	size_t n_names;
	struct buf text;
};

static bool
has_line_end(struct bytes b)
{
	return bytes_index(b, '\r') < b.n || bytes_index(b, '\n') < b.n ||
	    bytes_index(b, '\0') < b.n;
}

/* [first, last], both from 1. */
static bool
read_copy(struct reader *rd, struct recipe_step *s)
{
	size_t *const ends[] = {&s->first, &s->last};

	if (json_next(&rd->j) != JSON_ARRAY)
		return false;
	for (size_t k = 0; k < 2; k++) {
		uint64_t v;

		if (json_next(&rd->j) != JSON_NUMBER ||
		    !bytes_number(rd->j.text, SIZE_MAX, &v) || v == 0)
			return false;
		*ends[k] = (size_t)v;
	}
	return json_next(&rd->j) == JSON_ARRAY_END && s->first <= s->last;
}

/* One string of a "d" or "u" step: one line, without its end. */
static bool
read_line(struct reader *rd, bool is_base64)
{
	struct buf *text = &rd->text;
	size_t from = text->n;

	if (!json_unescape(rd->j.text, text))
		return false;
	if (is_base64) {
		struct bytes b = bytes_skip(buf_bytes(text), from);
		struct buf octets = {text->p + from, 0, b.n, false};

		/* In place: four octets are read before three are written. */
		if (!b64_decode(b, &octets))
			return false;
		text->n = from + octets.n;
	}
	if (has_line_end(bytes_skip(buf_bytes(text), from)))
		return false;
	buf_add(text, BYTES_LIT("\r\n"));
	return !text->full;
}

static bool
read_lines(struct reader *rd, struct recipe_step *s, bool is_base64)
{
	size_t from = rd->text.n;
	enum json_event e;

	if (json_next(&rd->j) != JSON_ARRAY)
		return false;
	while ((e = json_next(&rd->j)) == JSON_STRING) {
		if (!read_line(rd, is_base64))
			return false;
		s->n_lines++;
	}
	s->lines = bytes_skip(buf_bytes(&rd->text), from);
	return e == JSON_ARRAY_END && s->n_lines != 0;
}

/* Keys of our own are matched however they are escaped. */
static bool
is_key(struct bytes text, const char *key)
{
	uint8_t room[16];
	struct buf out = BUF_ON(room);

	return json_unescape(text, &out) &&
	    bytes_case_eq(buf_bytes(&out), bytes_of(key));
}

/* An object with exactly one of the keys c, d and u. */
static bool
read_step(struct reader *rd, struct recipe_step *s)
{
	struct bytes key;
	bool good = false;

	*s = (struct recipe_step){.first = 0};
	if (json_next(&rd->j) != JSON_KEY)
		return false;
	key = rd->j.text;
	if (is_key(key, "c"))
		good = read_copy(rd, s);
	else if (is_key(key, "d"))
		good = read_lines(rd, s, false);
	else if (is_key(key, "u"))
		good = read_lines(rd, s, true);
	return good && json_next(&rd->j) == JSON_OBJECT_END;
}

/* A list of steps, whose copies rise and do not overlap. */
static bool
read_list(struct reader *rd, struct recipe_list *list)
{
	size_t copied = 0;
	enum json_event e;

	*list = (struct recipe_list){rd->steps + rd->n_steps, 0};
	while ((e = json_next(&rd->j)) == JSON_OBJECT) {
		struct recipe_step *s = &list->steps[list->n];

		if (!read_step(rd, s))
			return false;
		if (s->first != 0) {
			if (s->first <= copied)
				return false;
			copied = s->last;
		}
		list->n++;
		rd->n_steps++;
	}
	return e == JSON_ARRAY_END;
}

static bool
read_name(struct reader *rd, struct bytes *name)
{
	size_t from = rd->text.n;

	if (!json_unescape(rd->j.text, &rd->text))
		return false;
	*name = bytes_skip(buf_bytes(&rd->text), from);
	for (size_t k = 0; k < name->n; k++)
		if (!ascii_is_graph(name->p[k]) || name->p[k] == ':')
			return false;
	return name->n != 0;
}

static bool
read_header(struct reader *rd)
{
	enum json_event e;

	if (json_next(&rd->j) != JSON_OBJECT)
		return false;
	while ((e = json_next(&rd->j)) == JSON_KEY) {
		struct recipe_name *n = &rd->names[rd->n_names++];

		if (!read_name(rd, &n->name) ||
		    json_next(&rd->j) != JSON_ARRAY || !read_list(rd, &n->list))
			return false;
	}
	return e == JSON_OBJECT_END && rd->n_names != 0;
}

static bool
read_body(struct reader *rd, struct recipe *r)
{
	enum json_event e = json_next(&rd->j);

	r->has_body = true;
	r->is_body_null = e == JSON_NULL;
	return r->is_body_null || (e == JSON_ARRAY &&
	    read_list(rd, &r->body));
}

static bool
read_recipe(struct reader *rd, struct recipe *r)
{
	enum json_event e;

	if (json_next(&rd->j) != JSON_OBJECT)
		return false;
	while ((e = json_next(&rd->j)) == JSON_KEY) {
		bool good;

		if (is_key(rd->j.text, "h"))
			good = read_header(rd);
		else if (is_key(rd->j.text, "b"))
			good = read_body(rd, r);
		else
			good = json_skip(&rd->j, json_next(&rd->j));
		if (!good)
			return false;
	}
	return e == JSON_OBJECT_END && (rd->n_names != 0 || r->has_body);
}

/* Makes room for all that a text known to be JSON can hold. */
static int
reader_init(struct reader *rd, struct bytes json, struct arena *a,
    bool *is_small)
{
	size_t n_objects = 0, n_arrays = 0;
	enum json_event e;
	int r = json_init(&rd->j, json, json.n, a);

	if (r != 0)
		return r;
	while ((e = json_next(&rd->j)) != JSON_END) {
		assert(e != JSON_BAD);
		n_objects += e == JSON_OBJECT;
		n_arrays += e == JSON_ARRAY;
	}
	*is_small = n_objects <= DRAFT_RECIPE_STEPS_MAX &&
	    n_arrays <= DRAFT_RECIPE_STEPS_MAX;
	if (!*is_small)
		return 0;
	rd->steps = arena_array(a, n_objects, sizeof(rd->steps[0]));
	rd->names = arena_array(a, n_arrays + 1, sizeof(rd->names[0]));
	/* A string in quotes, with its comma, is longer than its line. */
	r = arena_room(a, json.n, &rd->text);
	if (rd->steps == NULL || rd->names == NULL || r != 0)
		return -E_NOMEM;
	return json_init(&rd->j, json, json.n, a);
}

static int
compare_names(const void *a, const void *b)
{
	const struct recipe_name *x = a, *y = b;

	return canon_name_compare(x->name, y->name);
}

int
recipe_parse(struct recipe *r, struct bytes json, struct arena *a,
    enum recipe_verdict *v)
{
	struct reader rd = {.n_steps = 0};
	enum json_verdict checked;
	bool is_small;
	size_t at;
	int failed = json_check(json, true, a, &checked, &at);

	*r = (struct recipe){.names = NULL};
	if (failed != 0)
		return failed;
	*v = checked == JSON_INVALID ? RECIPE_NOT_JSON : RECIPE_INVALID;
	if (checked != JSON_GOOD)
		return 0;
	failed = reader_init(&rd, json, a, &is_small);
	if (failed != 0)
		return failed;
	if (!is_small) {
		*v = RECIPE_TOO_MUCH;
		return 0;
	}
	if (!read_recipe(&rd, r))
		return 0;
	r->names = rd.names;
	r->n_names = rd.n_names;
	sort_heap(r->names, r->n_names, sizeof(r->names[0]), compare_names);
	for (size_t k = 0; k < r->n_names; k++)
		for (size_t n = 0; n < r->names[k].list.n; n++)
			r->n_values += r->names[k].list.steps[n].n_lines;
	*v = RECIPE_GOOD;
	return 0;
}

bool
recipe_names(const struct recipe *r, struct bytes name)
{
	for (size_t k = 0; k < r->n_names; k++)
		if (bytes_case_eq(r->names[k].name, name))
			return true;
	return false;
}
