#include "base/json.h"

#include "base/ascii.h"
#include "base/err.h"
#include "base/sort.h"
#include "base/utf8.h"

enum expect {
	EXPECT_VALUE,
	EXPECT_FIRST_VALUE,	/* or the end of the array */
	EXPECT_FIRST_KEY,	/* or the end of the object */
	EXPECT_COMMA,		/* or the end of what is open */
	EXPECT_NOTHING,
	EXPECT_NEVER,		/* it was bad */
};

/* ---- octets ------------------------------------------------------------- */

/* The four hexadecimal digits at the front of b; false where there are none. */
static bool
hex4(struct bytes b, uint32_t *value)
{
	uint32_t v = 0;

	if (b.n < 4)
		return false;
	for (size_t k = 0; k < 4; k++) {
		uint8_t c = ascii_lower(b.p[k]);

		if (ascii_is_digit(c))
			v = v << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	*value = v;
	return true;
}

/*
 * Reads the escape at the front of b.
 *
 * Returns  its length, or 0 where it is none or half a surrogate pair
 */
static size_t
escape(struct bytes b, uint32_t *code)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint32_t low;

	if (b.n < 2)
		return 0;
	for (size_t k = 0; from[k] != '\0'; k++) {
		if (b.p[1] == (uint8_t)from[k]) {
			*code = (uint8_t)to[k];
			return 2;
		}
	}
	if (b.p[1] != 'u' || !hex4(bytes_skip(b, 2), code))
		return 0;
	if (*code < 0xd800 || *code > 0xdfff)
		return 6;
	if (*code > 0xdbff ||
	    !bytes_starts(bytes_skip(b, 6), BYTES_LIT("\\u")) ||
	    !hex4(bytes_skip(b, 8), &low) || low < 0xdc00 || low > 0xdfff)
		return 0;
	*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	return 12;
}

static void
add_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_octet(out, (uint8_t)c);
		return;
	}
	if (c < 0x800) {
		buf_add_octet(out, (uint8_t)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_add_octet(out, (uint8_t)(0xe0 | c >> 12));
		} else {
			buf_add_octet(out, (uint8_t)(0xf0 | c >> 18));
			buf_add_octet(out, (uint8_t)(0x80 | (c >> 12 & 63)));
		}
		buf_add_octet(out, (uint8_t)(0x80 | (c >> 6 & 63)));
	}
	buf_add_octet(out, (uint8_t)(0x80 | (c & 63)));
}

bool
json_unescape(struct bytes text, struct buf *out)
{
	struct bytes rest = text;

	while (rest.n != 0) {
		size_t plain = bytes_index(rest, '\\');
		uint32_t code = 0;
		size_t n;

		buf_add(out, bytes_first(rest, plain));
		rest = bytes_skip(rest, plain);
		if (rest.n == 0)
			break;
		n = escape(rest, &code);
		if (n == 0)
			return false;
		add_utf8(out, code);
		rest = bytes_skip(rest, n);
	}
	return !out->full;
}

/* ---- events ------------------------------------------------------------- */

int
json_init(struct json *j, struct bytes in, size_t max_depth, struct arena *a)
{
	*j = (struct json){.in = in, .max_depth = max_depth,
	    .expect = EXPECT_VALUE};
	j->is_object = arena_alloc(a, max_depth / 8 + 1);
	return j->is_object == NULL ? -E_NOMEM : 0;
}

static enum json_event
bad(struct json *j)
{
	j->expect = EXPECT_NEVER;
	return JSON_BAD;
}

static struct bytes
rest_of(const struct json *j)
{
	return bytes_skip(j->in, j->at);
}

static void
skip_space(struct json *j)
{
	while (j->at < j->in.n) {
		uint8_t c = j->in.p[j->at];

		if (!ascii_is_wsp(c) && c != '\r' && c != '\n')
			break;
		j->at++;
	}
}

/* Reads a string, its first quote included, into text. */
static bool
read_string(struct json *j)
{
	size_t from = j->at + 1;

	j->at = from;
	while (j->at < j->in.n && j->in.p[j->at] != '"') {
		uint8_t c = j->in.p[j->at];
		uint32_t code;
		size_t n;

		if (c < ' ')
			return false;
		n = c == '\\' ? escape(rest_of(j), &code) :
		    utf8_length(rest_of(j));
		if (n == 0)
			return false;
		j->at += n;
	}
	if (j->at >= j->in.n)
		return false;
	j->text = bytes_between(j->in.p + from, j->in.p + j->at);
	j->at++;
	return true;
}

static size_t
skip_digits(struct json *j)
{
	size_t from = j->at;

	while (j->at < j->in.n && ascii_is_digit(j->in.p[j->at]))
		j->at++;
	return j->at - from;
}

static bool
skip_octet(struct json *j, const char *any)
{
	if (j->at == j->in.n || j->in.p[j->at] == '\0' ||
	    strchr(any, j->in.p[j->at]) == NULL)
		return false;
	j->at++;
	return true;
}

static bool
read_number(struct json *j)
{
	size_t from = j->at;

	skip_octet(j, "-");
	if (!skip_octet(j, "0") && skip_digits(j) == 0)
		return false;
	if (skip_octet(j, ".") && skip_digits(j) == 0)
		return false;
	if (skip_octet(j, "eE")) {
		skip_octet(j, "+-");
		if (skip_digits(j) == 0)
			return false;
	}
	j->text = bytes_between(j->in.p + from, j->in.p + j->at);
	return true;
}

static enum json_event
read_word(struct json *j)
{
	static const struct {
		struct bytes word;
		enum json_event event;
	} rows[] = {
		{BYTES_LIT("true"), JSON_TRUE},
		{BYTES_LIT("false"), JSON_FALSE},
		{BYTES_LIT("null"), JSON_NULL},
	};

	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		if (bytes_starts(rest_of(j), rows[k].word)) {
			j->at += rows[k].word.n;
			return rows[k].event;
		}
	}
	return JSON_BAD;
}

static void
after_value(struct json *j)
{
	j->expect = j->depth == 0 ? EXPECT_NOTHING : EXPECT_COMMA;
}

static bool
in_object(const struct json *j)
{
	size_t k = j->depth - 1;

	return (j->is_object[k / 8] >> (k % 8) & 1) != 0;
}

static enum json_event
nest(struct json *j, bool is_object)
{
	size_t k = j->depth;
	uint8_t bit = (uint8_t)(1U << (k % 8));

	if (k == j->max_depth)
		return bad(j);
	j->at++;
	j->depth++;
	if (is_object)
		j->is_object[k / 8] |= bit;
	else
		j->is_object[k / 8] &= (uint8_t)~bit;
	j->expect = is_object ? EXPECT_FIRST_KEY : EXPECT_FIRST_VALUE;
	return is_object ? JSON_OBJECT : JSON_ARRAY;
}

static enum json_event
read_value(struct json *j)
{
	uint8_t c = j->in.p[j->at];
	enum json_event e;

	if (c == '{' || c == '[')
		return nest(j, c == '{');
	if (c == '"')
		e = read_string(j) ? JSON_STRING : JSON_BAD;
	else if (c == '-' || ascii_is_digit(c))
		e = read_number(j) ? JSON_NUMBER : JSON_BAD;
	else
		e = read_word(j);
	if (e == JSON_BAD)
		return bad(j);
	after_value(j);
	return e;
}

static enum json_event
read_key(struct json *j)
{
	if (j->in.p[j->at] != '"' || !read_string(j))
		return bad(j);
	skip_space(j);
	if (!skip_octet(j, ":"))
		return bad(j);
	j->expect = EXPECT_VALUE;
	return JSON_KEY;
}

/* Closes what is open, if that is what stands there. */
static bool
unnest(struct json *j, enum json_event *e)
{
	bool is_object = in_object(j);

	if (j->in.p[j->at] != (is_object ? '}' : ']'))
		return false;
	j->at++;
	j->depth--;
	after_value(j);
	*e = is_object ? JSON_OBJECT_END : JSON_ARRAY_END;
	return true;
}

enum json_event
json_next(struct json *j)
{
	enum json_event e;

	if (j->expect == EXPECT_NEVER)
		return JSON_BAD;
	skip_space(j);
	if (j->expect == EXPECT_NOTHING)
		return j->at == j->in.n ? JSON_END : bad(j);
	if (j->at == j->in.n)
		return bad(j);
	switch ((enum expect)j->expect) {
	case EXPECT_COMMA:
		if (unnest(j, &e))
			return e;
		if (!skip_octet(j, ","))
			return bad(j);
		skip_space(j);
		if (j->at == j->in.n)
			return bad(j);
		return in_object(j) ? read_key(j) : read_value(j);
	case EXPECT_FIRST_KEY:
		return unnest(j, &e) ? e : read_key(j);
	case EXPECT_FIRST_VALUE:
		return unnest(j, &e) ? e : read_value(j);
	case EXPECT_VALUE:
	case EXPECT_NOTHING:
	case EXPECT_NEVER:
		break;
	}
	return read_value(j);
}

bool
json_skip(struct json *j, enum json_event e)
{
	size_t depth = j->depth;

	if (e != JSON_ARRAY && e != JSON_OBJECT)
		return e != JSON_BAD;
	while (j->depth >= depth)
		if (json_next(j) == JSON_BAD)
			return false;
	return true;
}

/* ---- the whole text ----------------------------------------------------- */

struct key {
	struct bytes text;	/* unescaped, and folded where wanted */
	size_t object;		/* the how manieth object it is in */
	size_t at;
};

static int
key_compare(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return bytes_compare(x->text, y->text);
}

/* What a first reading counts. */
struct counts {
	size_t n_keys;
	size_t deepest;
	size_t n_text;		/* octets of all keys */
};

static bool
count(struct json *j, struct counts *c)
{
	enum json_event e;

	*c = (struct counts){0, 0, 0};
	while ((e = json_next(j)) != JSON_END) {
		if (e == JSON_BAD)
			return false;
		if (j->depth > c->deepest)
			c->deepest = j->depth;
		if (e == JSON_KEY) {
			c->n_keys++;
			c->n_text += j->text.n;
		}
	}
	return true;
}

/* Reads a text known to be JSON again and gathers its keys. */
static void
gather(struct json *j, struct key *keys, size_t *objects, struct buf *text,
    bool fold)
{
	enum json_event e;
	size_t n_objects = 0, n_keys = 0;

	while ((e = json_next(j)) != JSON_END) {
		size_t from = text->n;

		if (e == JSON_OBJECT)
			objects[j->depth] = ++n_objects;
		if (e != JSON_KEY)
			continue;
		json_unescape(j->text, text);
		for (size_t k = from; fold && k < text->n; k++)
			text->p[k] = ascii_lower(text->p[k]);
		keys[n_keys++] = (struct key){
		    bytes_skip(buf_bytes(text), from), objects[j->depth],
		    (size_t)(j->text.p - j->in.p)};
	}
}

int
json_check(struct bytes in, bool fold, struct arena *a,
    enum json_verdict *v, size_t *at)
{
	struct json j;
	struct counts c;
	struct key *keys;
	size_t *objects;
	struct buf text;
	int r = json_init(&j, in, in.n, a);

	if (r != 0)
		return r;
	*v = count(&j, &c) ? JSON_GOOD : JSON_INVALID;
	*at = j.at;
	if (*v != JSON_GOOD || c.n_keys < 2)
		return 0;
	keys = arena_array(a, c.n_keys, sizeof(*keys));
	objects = arena_array(a, c.deepest + 1, sizeof(*objects));
	r = arena_buf(a, c.n_text, &text);
	if (r != 0 || keys == NULL || objects == NULL)
		return -E_NOMEM;
	r = json_init(&j, in, in.n, a);
	if (r != 0)
		return r;
	gather(&j, keys, objects, &text, fold);
	sort_heap(keys, c.n_keys, sizeof(*keys), key_compare);
	for (size_t k = 1; k < c.n_keys; k++) {
		if (key_compare(&keys[k - 1], &keys[k]) == 0) {
			*v = JSON_TWICE;
			*at = keys[k].at;
			return 0;
		}
	}
	return 0;
}
