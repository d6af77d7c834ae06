#include "dkim2/mime.h"

#include "base/ascii.h"
#include "base/err.h"

/* ---- words (RFC 2045 5.1, RFC 822 3.3) ---------------------------------- */

/* Takes c from the front of rest; false where something else stands there. */
static bool
take(struct bytes *rest, uint8_t c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = bytes_skip(*rest, 1);
	return true;
}

/* Takes one comment, the parenthesis before it already gone. */
static bool
take_comment(struct bytes *rest)
{
	size_t depth = 1;

	while (rest->n != 0) {
		uint8_t c = rest->p[0];

		*rest = bytes_skip(*rest, c == '\\' ? 2 : 1);
		if (c == '(' && depth++ == MIME_COMMENTS_MAX)
			return false;
		if (c == ')' && --depth == 0)
			return true;
	}
	return false;
}

/* White space, folds and comments; false for a comment that is broken. */
static bool
skip_blank(struct bytes *rest)
{
	for (;;) {
		if (rest->n != 0 && ascii_is_wsp(rest->p[0]))
			*rest = bytes_skip(*rest, 1);
		else if (bytes_starts(*rest, BYTES_LIT("\r\n")))
			*rest = bytes_skip(*rest, 2);
		else if (!take(rest, '('))
			return true;
		else if (!take_comment(rest))
			return false;
	}
}

static bool
is_token_octet(uint8_t c)
{
	static const struct bytes specials = BYTES_LIT("()<>@,;:\\\"/[]?=");

	return ascii_is_graph(c) && bytes_index(specials, c) == specials.n;
}

static bool
take_token(struct bytes *rest, struct bytes *token)
{
	size_t n = 0;

	while (n < rest->n && is_token_octet(rest->p[n]))
		n++;
	*token = bytes_first(*rest, n);
	*rest = bytes_skip(*rest, n);
	return n != 0;
}

/*
 * Takes a quoted string, the quote before it already gone.
 *
 * is_plain false where its octets are not what it says
 */
static bool
take_quoted(struct bytes *rest, struct bytes *inner, bool *is_plain)
{
	const uint8_t *from = rest->p;

	*is_plain = true;
	while (rest->n != 0) {
		uint8_t c = rest->p[0];

		if (c == '"') {
			*inner = bytes_between(from, rest->p);
			*rest = bytes_skip(*rest, 1);
			return true;
		}
		if (c == '\\' || c == '\r')
			*is_plain = false;
		*rest = bytes_skip(*rest, c == '\\' ? 2 : 1);
	}
	return false;
}

bool
mime_token_parse(struct bytes value, struct bytes *token)
{
	return skip_blank(&value) && take_token(&value, token) &&
	    skip_blank(&value) && value.n == 0;
}

/* ---- Content-Type ------------------------------------------------------- */

static bool
is_boundary(struct bytes b)
{
	static const struct bytes others = BYTES_LIT("'()+_,-./:=? ");

	if (b.n == 0 || b.n > MIME_BOUNDARY_MAX || b.p[b.n - 1] == ' ')
		return false;
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_alnum(b.p[k]) &&
		    bytes_index(others, b.p[k]) == others.n)
			return false;
	return true;
}

/* Takes name=value and keeps it where it is one of ours. */
static bool
take_parameter(struct bytes *rest, struct mime_type *t)
{
	static const struct bytes names[] = {BYTES_LIT("boundary"),
	    BYTES_LIT("report-type")};
	struct bytes *kept[] = {&t->boundary, &t->report_type};
	struct bytes name, value;
	bool is_plain = true;

	if (!take_token(rest, &name) || !skip_blank(rest) ||
	    !take(rest, '=') || !skip_blank(rest))
		return false;
	if (take(rest, '"')) {
		if (!take_quoted(rest, &value, &is_plain))
			return false;
	} else if (!take_token(rest, &value)) {
		return false;
	}
	for (size_t k = 0; k < 2; k++) {
		if (!bytes_case_starts(name, names[k]))
			continue;
		if (bytes_skip(name, names[k].n).n != 0) {
			/* boundary*0= and its like (RFC 2231 3) */
			if (name.p[names[k].n] == '*')
				return false;
			continue;
		}
		if (kept[k]->p != NULL || !is_plain)
			return false;
		*kept[k] = value;
	}
	return true;
}

bool
mime_type_parse(struct mime_type *t, struct bytes value)
{
	*t = (struct mime_type){.type = {NULL, 0}};
	if (!skip_blank(&value) || !take_token(&value, &t->type) ||
	    !skip_blank(&value) || !take(&value, '/') ||
	    !skip_blank(&value) || !take_token(&value, &t->subtype) ||
	    !skip_blank(&value))
		return false;
	while (value.n != 0) {
		if (!take(&value, ';') || !skip_blank(&value))
			return false;
		/* a last semicolon says nothing, and some write it */
		if (value.n == 0)
			break;
		if (!take_parameter(&value, t) || !skip_blank(&value))
			return false;
	}
	return t->boundary.p == NULL || is_boundary(t->boundary);
}

bool
mime_type_is(const struct mime_type *t, struct bytes type,
    struct bytes subtype)
{
	return bytes_case_eq(t->type, type) &&
	    bytes_case_eq(t->subtype, subtype);
}

/* ---- parts -------------------------------------------------------------- */

/*
 * Looks at what follows "--boundary" in its line.
 *
 * rest     cut up to the next line
 * Returns  false where this is no clear delimiter
 */
static bool
take_delimiter_end(struct bytes *rest, bool *is_last)
{
	*is_last = bytes_starts(*rest, BYTES_LIT("--"));
	if (*is_last)
		*rest = bytes_skip(*rest, 2);
	while (rest->n != 0 && ascii_is_wsp(rest->p[0]))
		*rest = bytes_skip(*rest, 1);
	if (rest->n == 0)
		return *is_last;
	if (!bytes_starts(*rest, BYTES_LIT("\r\n")))
		return false;
	*rest = bytes_skip(*rest, 2);
	return true;
}

enum mime_split
mime_split(struct bytes body, struct bytes boundary, struct bytes *parts,
    size_t max, size_t *n)
{
	uint8_t room[MIME_BOUNDARY_MAX + 4];
	struct buf line = BUF_ON(room);
	struct bytes delimiter, rest = body;
	bool is_last = false;

	*n = 0;
	buf_add(&line, BYTES_LIT("\r\n--"));
	buf_add(&line, boundary);
	delimiter = buf_bytes(&line);
	if (line.full)
		return MIME_SPLIT_UNCLEAR;
	/* The first one may stand at the very front, without its CRLF. */
	if (bytes_starts(rest, bytes_skip(delimiter, 2)))
		rest = bytes_skip(rest, delimiter.n - 2);
	else
		rest = bytes_skip(rest, bytes_find(rest, delimiter) +
		    delimiter.n);
	if (!take_delimiter_end(&rest, &is_last))
		return MIME_SPLIT_UNCLEAR;
	while (!is_last) {
		size_t length = bytes_find(rest, delimiter);

		/* A part that begins with its end has no CRLF before it. */
		if (length == rest.n ||
		    bytes_starts(rest, bytes_skip(delimiter, 2)))
			return MIME_SPLIT_UNCLEAR;
		if (*n == max)
			return MIME_SPLIT_MANY;
		parts[(*n)++] = bytes_first(rest, length);
		rest = bytes_skip(rest, length + delimiter.n);
		if (!take_delimiter_end(&rest, &is_last))
			return MIME_SPLIT_UNCLEAR;
	}
	return *n == 0 ? MIME_SPLIT_UNCLEAR : MIME_SPLIT;
}

enum mime_encoding
mime_encoding_of(const struct dkim2_message *m)
{
	const struct dkim2_field *f;
	struct bytes token;

	switch (dkim2_message_find(m, BYTES_LIT("Content-Transfer-Encoding"),
	    &f)) {
	case 0:
		return MIME_PLAIN;
	case 1:
		break;
	default:
		return MIME_UNCLEAR;
	}
	if (!mime_token_parse(f->value, &token))
		return MIME_UNCLEAR;
	return bytes_case_eq(token, BYTES_LIT("7bit")) ||
	    bytes_case_eq(token, BYTES_LIT("8bit")) ? MIME_PLAIN :
	    MIME_ENCODED;
}

int
mime_part_parse(struct mime_part *p, struct bytes octets, struct arena *a,
    bool *good)
{
	const struct dkim2_field *f;
	size_t body_at = octets.n;
	size_t n = dkim2_header_end(octets, &body_at);
	int r;

	*good = false;
	*p = (struct mime_part){.type = {.type = BYTES_LIT("text"),
	    .subtype = BYTES_LIT("plain")}};
	r = dkim2_message_parse(&p->header, bytes_first(octets, n),
	    MIME_FIELDS_MAX, a);
	if (r == -E_NOMEM)
		return r;
	if (r != 0)
		return 0;
	p->body = bytes_skip(octets, body_at);
	p->encoding = mime_encoding_of(&p->header);
	switch (dkim2_message_find(&p->header, BYTES_LIT("Content-Type"),
	    &f)) {
	case 0:
		*good = true;
		break;
	case 1:
		*good = mime_type_parse(&p->type, f->value);
		break;
	default:
		break;
	}
	return 0;
}
