#include "base/logline.h"

#include "base/ascii.h"

#define KEY_MAX 24U

/* Values in which there may be anything, to the end of the line. */
static const char *const to_the_end[] = {"message-id", "reason"};

static const char *const reserved[] = {"time", "level", "process", "pid",
    "id", "text", "cut"};

bool
logline_is_id(struct bytes octets)
{
	if (octets.n < LOGLINE_ID_MIN || octets.n > 32)
		return false;
	for (size_t k = 0; k < octets.n; k++)
		if (!ascii_is_digit(octets.p[k]) &&
		    !(octets.p[k] >= 'a' && octets.p[k] <= 'z'))
			return false;
	return true;
}

/* The length of the key that stands at the beginning; 0: there is none. */
static size_t
key_length(struct bytes b)
{
	size_t n = 0;

	while (n < b.n && n <= KEY_MAX && ((b.p[n] >= 'a' && b.p[n] <= 'z') ||
	    (n != 0 && (ascii_is_digit(b.p[n]) || b.p[n] == '-' ||
	    b.p[n] == '_'))))
		n++;
	return n < b.n && n <= KEY_MAX && b.p[n] == '=' ? n : 0;
}

/* Where the next key begins; b.n where there is none. */
static size_t
next_key(struct bytes b, size_t from)
{
	for (size_t at = from; at < b.n; at++)
		if ((at == 0 || b.p[at - 1] == ' ') &&
		    key_length(bytes_skip(b, at)) != 0)
			return at;
	return b.n;
}

void
logline_escape(struct bytes octets, size_t max, struct buf *out)
{
	struct bytes shown = bytes_first(octets, max);
	size_t at = next_key(shown, 0);

	while (at < shown.n) {
		size_t n = at + key_length(bytes_skip(shown, at));

		buf_add_escaped(out, bytes_first(shown, n), n);
		buf_add_str(out, "\\075");
		shown = bytes_skip(shown, n + 1);
		octets = bytes_skip(octets, n + 1);
		at = next_key(shown, 0);
	}
	buf_add_escaped(out, octets, shown.n);
}

/* `<a@b>`, also with a quoted local part; 0: it has no end. */
static size_t
path_length(struct bytes b)
{
	bool is_quoted = false;

	for (size_t k = 1; k < b.n; k++) {
		if (is_quoted && bytes_starts(bytes_skip(b, k),
		    BYTES_LIT("\\134")))
			k += 4;		/* a backslash and what it is before */
		else if (b.p[k] == '"')
			is_quoted = !is_quoted;
		else if (b.p[k] == '>' && !is_quoted)
			return k + 1;
		else if (b.p[k] == ' ' && !is_quoted)
			return 0;	/* it was cut */
	}
	return 0;
}

/* Of what has an end of its own: `<a@b>` or `"words"`; 0: it has none. */
static size_t
closed_length(struct bytes b)
{
	size_t n;

	if (b.n == 0 || b.p[0] == '<')
		return path_length(b);
	n = b.p[0] == '"' ? bytes_index(bytes_skip(b, 1), '"') + 2 : 0;
	return n <= b.n ? n : 0;
}

static bool
is_to_the_end(struct bytes key)
{
	for (size_t k = 0; k < sizeof(to_the_end) / sizeof(*to_the_end); k++)
		if (bytes_eq(key, bytes_of(to_the_end[k])))
			return true;
	return false;
}

/* Each key once, and none that the object of a line has for itself. */
static bool
add(struct logline *l, struct bytes key, struct bytes value)
{
	for (size_t k = 0; k < sizeof(reserved) / sizeof(*reserved); k++)
		if (bytes_eq(key, bytes_of(reserved[k])))
			return false;
	if (l->n_fields == LOGLINE_FIELDS_MAX)
		return false;
	for (size_t k = 0; k < l->n_fields; k++)
		if (bytes_eq(l->fields[k].key, key))
			return false;
	l->fields[l->n_fields++] = (struct logline_field){key, value};
	return true;
}

static struct bytes
trim_marks(struct bytes b)
{
	b = bytes_trim(b);
	while (b.n != 0 && strchr(",;:", b.p[b.n - 1]) != NULL)
		b.n--;
	return b;
}

/* `sent (250 2.0.0 Ok)`: the word, and the reply in brackets. */
static bool
add_status(struct logline *l, struct bytes key, struct bytes value)
{
	size_t at = bytes_index(value, ' ');
	struct bytes reply = bytes_trim(bytes_skip(value, at));
	bool is_all = add(l, key, bytes_first(value, at));

	if (reply.n < 2 || reply.p[0] != '(' || reply.p[reply.n - 1] != ')')
		return is_all && reply.n == 0;
	reply = bytes_first(bytes_skip(reply, 1), reply.n - 2);
	return add(l, BYTES_LIT("reply"), reply) && is_all;
}

/* What is between a key and the next one. False: not all of it is there. */
static bool
add_value(struct logline *l, struct bytes key, struct bytes value)
{
	size_t n = closed_length(value);

	if (bytes_eq(key, BYTES_LIT("status")))
		return add_status(l, key, bytes_trim(value));
	if (n != 0)
		return add(l, key, bytes_first(bytes_skip(value, 1), n - 2)) &&
		    trim_marks(bytes_skip(value, n)).n == 0;
	n = bytes_index(value, ' ');
	return add(l, key, trim_marks(bytes_first(value, n))) &&
	    bytes_trim(bytes_skip(value, n)).n == 0;
}

static void
read_fields(struct logline *l, struct bytes rest)
{
	while (rest.n != 0) {
		size_t n = key_length(rest), end;
		struct bytes key = bytes_first(rest, n);

		rest = bytes_skip(rest, n + 1);
		if (is_to_the_end(key)) {
			if (bytes_starts(rest, BYTES_LIT("<")) &&
			    path_length(rest) == rest.n)
				rest = bytes_first(bytes_skip(rest, 1),
				    rest.n - 2);
			l->has_words |= !add(l, key, rest);
			return;
		}
		end = next_key(rest, closed_length(rest));
		l->has_words |= !add_value(l, key, bytes_first(rest, end));
		rest = bytes_skip(rest, end);
	}
}

/* Words that a line with fields may begin with, and the key of what follows. */
static const struct {
	const char *word;
	const char *key;
} labels[] = {
	{"reject: ", "reject"},
	{"ALARM: ", "alarm"},
	{"sender non-delivery notification: ", "report"},
};

/* In other lines may stand what somebody else said, with = in it. */
void
logline_read(struct bytes told, struct logline *l)
{
	size_t at = bytes_find(told, BYTES_LIT(": "));
	struct bytes rest;

	l->n_fields = 0;
	l->has_words = true;
	l->id = (struct bytes){told.p, 0};
	l->text = told;
	if (at < told.n && logline_is_id(bytes_first(told, at))) {
		l->id = bytes_first(told, at);
		l->text = bytes_skip(told, at + 2);
	}
	for (size_t k = 0; k < sizeof(labels) / sizeof(*labels); k++) {
		if (!bytes_starts(l->text, bytes_of(labels[k].word)))
			continue;
		rest = bytes_skip(l->text, strlen(labels[k].word));
		at = next_key(rest, 0);
		(void)add(l, bytes_of(labels[k].key),
		    trim_marks(bytes_first(rest, at)));
		read_fields(l, bytes_skip(rest, at));
		l->has_words = true;
		return;
	}
	if (l->text.n == 0 || next_key(l->text, 0) != 0)
		return;
	l->has_words = false;
	read_fields(l, l->text);
}

struct bytes
logline_get(const struct logline *l, const char *key)
{
	for (size_t k = 0; k < l->n_fields; k++)
		if (bytes_eq(l->fields[k].key, bytes_of(key)))
			return l->fields[k].value;
	return (struct bytes){NULL, 0};
}
