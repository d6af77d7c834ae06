#include "dkim2/from.h"

#include "base/ascii.h"

static bool
is_space(uint8_t c)
{
	return ascii_is_wsp(c) || c == '\r' || c == '\n';
}

/* An octet of an atom; 8-bit octets are those of RFC 6532. */
static bool
is_atext(uint8_t c)
{
	if (c >= 0x80)
		return true;
	if (!ascii_is_graph(c))
		return false;
	return bytes_index(BYTES_LIT("()<>[]:;@\\,.\""), c) == 13;
}

static bool
is_domain_octet(uint8_t c)
{
	return c >= 0x80 || ascii_is_alnum(c) || c == '-' || c == '_';
}

/*
 * Skips white space and comments, which nest.
 *
 * Returns  false where a comment does not end
 */
static bool
skip_cfws(struct bytes *b)
{
	size_t depth = 0;

	while (b->n != 0) {
		uint8_t c = b->p[0];

		if (c == '(')
			depth++;
		else if (c == ')' && depth != 0)
			depth--;
		else if (depth == 0 && !is_space(c))
			break;
		else if (c == '\\')
			*b = bytes_skip(*b, 1);
		*b = bytes_skip(*b, 1);
	}
	return depth == 0;
}

static bool
skip_quoted(struct bytes *b)
{
	*b = bytes_skip(*b, 1);
	while (b->n != 0) {
		uint8_t c = b->p[0];

		*b = bytes_skip(*b, 1);
		if (c == '"')
			return true;
		if (c == '\\')
			*b = bytes_skip(*b, 1);
	}
	return false;
}

static bool
skip_word(struct bytes *b)
{
	if (b->p[0] == '"')
		return skip_quoted(b);
	if (!is_atext(b->p[0]))
		return false;
	while (b->n != 0 && is_atext(b->p[0]))
		*b = bytes_skip(*b, 1);
	return true;
}

/* Behind the "@": labels with single dots between, nothing else inside. */
static bool
take_domain(struct bytes *b, struct bytes *domain)
{
	size_t n = 0;

	if (!skip_cfws(b))
		return false;
	while (n < b->n && (is_domain_octet(b->p[n]) || b->p[n] == '.')) {
		if (b->p[n] == '.' && (n == 0 || b->p[n - 1] == '.'))
			return false;
		n++;
	}
	if (n == 0 || b->p[n - 1] == '.')
		return false;
	*domain = bytes_first(*b, n);
	*b = bytes_skip(*b, n);
	return skip_cfws(b);
}

/*
 * Words up to something that is none: a phrase, or the part before an "@".
 *
 * is_local set where they can be a local part: a dot between any two
 */
static bool
skip_words(struct bytes *b, bool *is_local)
{
	bool is_word = false, is_dotted = true;

	for (;;) {
		if (!skip_cfws(b))
			return false;
		if (b->n == 0 || b->p[0] == '<' || b->p[0] == '@')
			break;
		if (b->p[0] == '.') {
			is_dotted = is_dotted && is_word;
			is_word = false;
			*b = bytes_skip(*b, 1);
			continue;
		}
		is_dotted = is_dotted && !is_word;
		is_word = true;
		if (!skip_word(b))
			return false;
	}
	*is_local = is_dotted && is_word;
	return true;
}

enum dkim2_from
from_parse(struct bytes value, struct bytes *domain)
{
	struct bytes b = value, found;
	bool is_angle, is_local;

	if (!skip_words(&b, &is_local) || b.n == 0)
		return DKIM2_FROM_UNCLEAR;
	is_angle = b.p[0] == '<';
	if (is_angle) {
		b = bytes_skip(b, 1);
		if (!skip_words(&b, &is_local))
			return DKIM2_FROM_UNCLEAR;
	}
	if (!is_local || b.n == 0 || b.p[0] != '@')
		return DKIM2_FROM_UNCLEAR;
	b = bytes_skip(b, 1);
	if (!take_domain(&b, &found))
		return DKIM2_FROM_UNCLEAR;
	if (is_angle) {
		if (b.n == 0 || b.p[0] != '>')
			return DKIM2_FROM_UNCLEAR;
		b = bytes_skip(b, 1);
		if (!skip_cfws(&b))
			return DKIM2_FROM_UNCLEAR;
	}
	if (b.n != 0)
		return DKIM2_FROM_UNCLEAR;
	*domain = found;
	return DKIM2_FROM_ONE;
}

enum dkim2_from
dkim2_message_from(const struct dkim2_message *m, struct arena *a,
    struct bytes *domain)
{
	const struct dkim2_field *from = NULL;
	size_t n = dkim2_message_find(m, BYTES_LIT("From"), &from);

	(void)a;
	if (n == 0)
		return DKIM2_FROM_NONE;
	return n > 1 ? DKIM2_FROM_MANY : from_parse(from->value, domain);
}
