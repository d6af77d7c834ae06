#include "dkim2/authres.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/idn.h"

/* How a reader takes what is not the id. Each bit is one way to be right. */
enum {
	NESTS = 1,	/* comments may stand in comments */
	ESCAPES = 2,	/* a backslash takes the meaning of what follows */
	QUOTES = 4,	/* within quotes a "(" or ";" is nothing special */
	READERS = 8,
	STRICT = NESTS | ESCAPES | QUOTES,
};

struct reader {
	struct bytes rest;
	unsigned how;
	bool is_quoted;
	bool is_gap;	/* something stood before the octet last read */
	bool is_open;	/* a comment or a quote did not end */
};

static void
skip_comment(struct reader *r)
{
	size_t depth = 0;

	while (r->rest.n != 0) {
		uint8_t c = r->rest.p[0];

		r->rest = bytes_skip(r->rest, 1);
		if (c == '\\' && (r->how & ESCAPES))
			r->rest = bytes_skip(r->rest, 1);
		else if (c == '(' && (depth == 0 || (r->how & NESTS)))
			depth++;
		else if (c == ')' && --depth == 0)
			return;
	}
	r->is_open = true;
}

/* White space, controls and 8-bit octets: readers drop one or another. */
static bool
is_dropped(uint8_t c)
{
	return !ascii_is_graph(c) || c == '\\';
}

/* The next octet that may belong to the id; 0 at the end. */
static uint8_t
next_octet(struct reader *r)
{
	r->is_gap = false;
	while (r->rest.n != 0) {
		uint8_t c = r->rest.p[0];

		if (c == '(' && !r->is_quoted) {
			skip_comment(r);
			r->is_gap = true;
			continue;
		}
		r->rest = bytes_skip(r->rest, 1);
		if (c == '"') {
			r->is_quoted = !r->is_quoted && (r->how & QUOTES);
			r->is_gap = true;
		} else if (is_dropped(c)) {
			r->is_gap = true;
		} else if (c == ';' && !r->is_quoted) {
			return 0;
		} else {
			return ascii_lower(c);
		}
	}
	r->is_open = r->is_open || r->is_quoted;
	return 0;
}

static bool
is_name_octet(uint8_t c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_' || c == '.';
}

/* Whether the id that was just read ends there. */
static bool
is_at_end(struct reader *r)
{
	uint8_t c = next_octet(r);

	if (c == '.' && !r->is_gap)
		c = next_octet(r);
	return r->is_gap || !is_name_octet(c);
}

/* "mx" and a version 1 are not "mx1". */
static bool
is_version(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_digit(b.p[k]))
			return false;
	return true;
}

static bool
reader_finds(struct reader *r, struct bytes id)
{
	uint8_t c = next_octet(r);

	/* An empty id before the first ";" is skipped by some. */
	while (c == 0 && r->rest.n != 0)
		c = next_octet(r);
	for (size_t k = 0; k < id.n; k++) {
		if (c != ascii_lower(id.p[k]) ||
		    (k != 0 && r->is_gap && is_version(bytes_skip(id, k)))) {
			/* to see whether a quote that began ends */
			while (r->is_quoted && next_octet(r) != 0)
				;
			return false;
		}
		if (k + 1 < id.n)
			c = next_octet(r);
	}
	return is_at_end(r);
}

/* Whether the id stands anywhere as a word of its own. */
static bool
has_word(struct bytes value, struct bytes id)
{
	for (size_t k = 0; k + id.n <= value.n; k++) {
		struct bytes rest = bytes_skip(value, k);

		if (bytes_case_starts(rest, id) &&
		    (k == 0 || !is_name_octet(value.p[k - 1])) &&
		    (rest.n == id.n || !is_name_octet(rest.p[id.n]) ||
		    rest.p[id.n] == '.'))
			return true;
	}
	return false;
}

/* Whether the first word is the id, once both are written as A-labels. */
static bool
is_other_form(struct bytes value, struct bytes id)
{
	struct reader r = {.rest = value, .how = STRICT};
	struct bytes start, word;

	/* White space and comments before it, then up to what ends a word. */
	do {
		start = r.rest;
		if (start.n != 0 && start.p[0] == '(')
			skip_comment(&r);
		else if (start.n != 0 && (start.p[0] <= ' ' ||
		    start.p[0] == '"' || start.p[0] == ';'))
			r.rest = bytes_skip(r.rest, 1);
	} while (r.rest.n != start.n);
	word = start;
	word.n = 0;
	while (word.n < start.n && (start.p[word.n] >= 0x80 ||
	    is_name_octet(start.p[word.n])))
		word.n++;
	if (word.n != 0 && word.p[word.n - 1] == '.')
		word.n--;
	return !idn_is_ascii(word) && idn_domain_eq(word, id);
}

bool
authres_claims(const struct dkim2_field *field, struct bytes id)
{
	bool is_open = false;

	if (id.n == 0 ||
	    !bytes_case_eq(field->name, BYTES_LIT(AUTHRES_FIELD)))
		return false;
	for (unsigned how = 0; how < READERS; how++) {
		struct reader r = {.rest = field->value, .how = how};

		if (reader_finds(&r, id))
			return true;
		is_open = how == STRICT && r.is_open;
	}
	return (is_open && has_word(field->value, id)) ||
	    is_other_form(field->value, id);
}

int
authres_find(const struct dkim2_message *m, struct bytes id,
    struct arena *a, const struct bytes **cuts, size_t *n)
{
	struct bytes *found = arena_array(a, m->n_fields + 1, sizeof(*found));

	*n = 0;
	*cuts = found;
	if (found == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < m->n_fields; k++)
		if (authres_claims(&m->fields[k], id))
			found[(*n)++] = m->fields[k].raw;
	return 0;
}
