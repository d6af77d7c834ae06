/*
 * A strict reader of Authentication-Results (RFC 8601 2.2), written from the
 * grammar and not from the writer. Needs nothing of cmocka.
 */
#ifndef TESTS_DKIM2_ARPARSE_H
#define TESTS_DKIM2_ARPARSE_H

#include "base/ascii.h"
#include "base/buf.h"

struct ar_property {
	struct bytes type, name;
	struct buf value;		/* quotes undone */
	uint8_t room[600];
};

struct ar_result {
	struct bytes method, state;
	struct ar_property properties[8];
	size_t n;
};

struct ar {
	struct bytes rest;
	struct buf id;
	uint8_t room[600];
	bool is_none;
	struct ar_result results[16];
	size_t n;
};

/* Folding white space and comments. False where they are broken. */
static inline bool
ar_cfws(struct ar *ar, size_t *n)
{
	struct bytes *b = &ar->rest;
	size_t depth = 0, before = b->n;

	while (b->n != 0) {
		uint8_t c = b->p[0];

		if (c == '\r') {
			if (b->n < 3 || b->p[1] != '\n' ||
			    !ascii_is_wsp(b->p[2]))
				return false;
			*b = bytes_skip(*b, 2);
		} else if (c == '(') {
			depth++;
		} else if (depth != 0 && c == ')') {
			depth--;
		} else if (depth != 0 && c == '\\') {
			*b = bytes_skip(*b, 1);
			if (b->n == 0 || !ascii_is_graph(b->p[0]))
				return false;
		} else if (!ascii_is_wsp(c) &&
		    (depth == 0 || !ascii_is_graph(c))) {
			break;
		}
		*b = bytes_skip(*b, 1);
	}
	*n = before - b->n;
	return depth == 0;
}

static inline bool
ar_is_token_octet(uint8_t c)
{
	return ascii_is_graph(c) && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* value = token / quoted-string; with at: local-part and "@" too. */
static inline bool
ar_value(struct ar *ar, struct buf *out, bool at)
{
	struct bytes *b = &ar->rest;

	if (b->n != 0 && b->p[0] == '"') {
		for (*b = bytes_skip(*b, 1); b->n != 0 && b->p[0] != '"';
		    *b = bytes_skip(*b, 1)) {
			if (b->p[0] == '\\')
				*b = bytes_skip(*b, 1);
			if (b->n == 0 || b->p[0] < ' ' || b->p[0] > '~')
				return false;
			buf_add_octet(out, b->p[0]);
		}
		if (b->n == 0)
			return false;
		*b = bytes_skip(*b, 1);
		return !out->full;
	}
	while (b->n != 0 && (ar_is_token_octet(b->p[0]) ||
	    (at && b->p[0] == '@'))) {
		buf_add_octet(out, b->p[0]);
		*b = bytes_skip(*b, 1);
	}
	return out->n != 0 && !out->full;
}

/* Keyword = letters, digits, "-" (and "_" in names of properties). */
static inline bool
ar_keyword(struct ar *ar, struct bytes *word)
{
	*word = ar->rest;
	word->n = 0;
	while (ar->rest.n != 0 && (ascii_is_alnum(ar->rest.p[0]) ||
	    ar->rest.p[0] == '-' || ar->rest.p[0] == '_')) {
		word->n++;
		ar->rest = bytes_skip(ar->rest, 1);
	}
	return word->n != 0;
}

static inline bool
ar_octet(struct ar *ar, uint8_t c)
{
	if (ar->rest.n == 0 || ar->rest.p[0] != c)
		return false;
	ar->rest = bytes_skip(ar->rest, 1);
	return true;
}

static inline bool
ar_result_read(struct ar *ar, struct ar_result *r)
{
	size_t n;

	if (!ar_cfws(ar, &n) || !ar_keyword(ar, &r->method) ||
	    !ar_octet(ar, '=') || !ar_keyword(ar, &r->state))
		return false;
	for (;;) {
		struct ar_property *p = &r->properties[r->n];

		if (!ar_cfws(ar, &n))
			return false;
		if (ar->rest.n == 0 || ar->rest.p[0] == ';')
			return true;
		if (n == 0 || r->n == 8)
			return false;
		p->value = BUF_ON(p->room);
		if (!ar_keyword(ar, &p->type) || !ar_octet(ar, '.') ||
		    !ar_keyword(ar, &p->name) || !ar_octet(ar, '=') ||
		    !ar_value(ar, &p->value, true))
			return false;
		r->n++;
	}
}

/* Reads the value of a field; false where it breaks the grammar. */
static inline bool
ar_parse(struct ar *ar, struct bytes value)
{
	struct ar mark;
	struct bytes none;
	size_t n;

	memset(ar, 0, sizeof(*ar));
	ar->rest = value;
	ar->id = BUF_ON(ar->room);
	if (!ar_cfws(ar, &n) || !ar_value(ar, &ar->id, false) ||
	    !ar_cfws(ar, &n))
		return false;
	while (n != 0 && ar->rest.n != 0 && ascii_is_digit(ar->rest.p[0]))
		ar->rest = bytes_skip(ar->rest, 1);
	if (!ar_cfws(ar, &n))
		return false;
	mark = *ar;
	if (ar_octet(ar, ';') && ar_cfws(ar, &n) && ar_keyword(ar, &none) &&
	    bytes_case_eq(none, BYTES_LIT("none")) && ar->rest.n == 0) {
		ar->is_none = true;
		return true;
	}
	*ar = mark;
	ar->id.p = ar->room;
	while (ar->n < 16 && ar_octet(ar, ';'))
		if (!ar_result_read(ar, &ar->results[ar->n++]))
			return false;
	return ar->rest.n == 0 && ar->n != 0;
}

/* The value of a property; NULL where it is not there. */
static inline const struct buf *
ar_find(const struct ar_result *r, const char *name)
{
	for (size_t k = 0; k < r->n; k++)
		if (bytes_eq(r->properties[k].name, bytes_of(name)))
			return &r->properties[k].value;
	return NULL;
}

#endif
