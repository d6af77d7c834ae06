#include "dkim2/mailbox.h"

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

bool
mailbox_skip_cfws(struct bytes *b)
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

	if (!mailbox_skip_cfws(b))
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
	return mailbox_skip_cfws(b);
}

bool
mailbox_skip_words(struct bytes *b, bool *is_local)
{
	bool is_word = false, is_dotted = true;

	for (;;) {
		if (!mailbox_skip_cfws(b))
			return false;
		if (b->n == 0 || bytes_index(BYTES_LIT("<@,:;"), b->p[0]) != 5)
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

bool
mailbox_parse(struct bytes *b, struct mailbox *out)
{
	struct bytes from = *b;
	bool is_angle, is_local;

	if (!mailbox_skip_words(b, &is_local) || b->n == 0)
		return false;
	is_angle = b->p[0] == '<';
	if (is_angle) {
		*b = bytes_skip(*b, 1);
		from = *b;
		if (!mailbox_skip_words(b, &is_local))
			return false;
	}
	if (!is_local || b->n == 0 || b->p[0] != '@')
		return false;
	out->local = bytes_between(from.p, b->p);
	*b = bytes_skip(*b, 1);
	if (!take_domain(b, &out->domain))
		return false;
	if (!is_angle)
		return true;
	if (b->n == 0 || b->p[0] != '>')
		return false;
	*b = bytes_skip(*b, 1);
	return mailbox_skip_cfws(b);
}
